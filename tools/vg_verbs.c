/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vg extend`, `reduce`, `rename`, ..., `tenon pv resize`, `tag`, ...: what they take. */
#include <errno.h>
#include <string.h>

#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/lv_size.h"
#include "tools/vg_command.h"
#include "util/bytes.h"
#include "volume/volume.h"

/* ---- Groups ---- */

int vg_extend_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.extend" };
	const struct cli_option options[] = {
		{ "force", CLI_FLAG, &command.consent.force, NULL,
		  "overwrite what is on the devices" },
		CLI_OPTIONS_CONSENT(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg extend VG DEVICE...", options, argc, argv, 2, CLI_ANY, &operands,
		       &status))
		return status;
	command.name = operands.words[0];
	command.devices = (struct cli_words){ operands.words + 1, operands.count - 1 };
	return vg_command_do(&command);
}

int vg_reduce_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.reduce" };
	bool missing = false;
	const struct cli_option options[] = {
		{ "remove-missing", CLI_FLAG, &missing, NULL,
		  "all physical volumes that are missing" },
		{ "force", CLI_FLAG, &command.consent.force, NULL,
		  "with that: also volumes that lie on them" },
		CLI_OPTIONS_CONSENT(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg reduce VG DEVICE... | --remove-missing", options, argc, argv, 1, CLI_ANY,
		       &operands, &status))
		return status;
	if (missing != (operands.count == 1))
		return cli_usage_error("give either devices or --remove-missing");
	command.name = operands.words[0];
	command.params = json_pack("{s:b}", "force", command.consent.force);
	if (missing)
		command.method = "vg.reduce_missing";
	else
		lv_place_add(&operands, 1, command.params);
	return vg_command_do(&command);
}

int vg_rename_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.rename" };
	struct error error = { 0 };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&command.consent),
					      CLI_OPTION_DEVICE(&command.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("vg rename VG NEW", options, argc, argv, 2, 2, &operands, &status))
		return status;
	if (volume_group_name_check(operands.words[1], &error))
		return cli_wrong_value(NULL, &error);
	command.name = operands.words[0];
	command.params = json_pack("{s:o}", "new_name", describe_text(operands.words[1]));
	return vg_command_do(&command);
}

int vg_export_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.export" };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&command.consent),
					      CLI_OPTION_DEVICE(&command.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("vg export VG", options, argc, argv, 1, 1, &operands, &status))
		return status;
	command.name = operands.words[0];
	return vg_command_do(&command);
}

int vg_import_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.import" };
	bool force = false;
	const struct cli_option options[] = {
		{ "force", CLI_FLAG, &force, NULL,
		  "though physical volumes of it are missing, which are marked as that" },
		CLI_OPTION_DRY_RUN(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg import VG [--force]", options, argc, argv, 1, 1, &operands, &status))
		return status;
	command.name = operands.words[0];
	command.params = json_pack("{s:b}", "partial", force);
	return vg_command_do(&command);
}

int vg_repair_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.repair" };
	bool restore = false;
	const struct cli_option options[] = {
		{ "restore-missing", CLI_FLAG, &restore, NULL,
		  "take physical volumes back that were missing, as they are" },
		CLI_OPTION_DRY_RUN(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg repair VG [--restore-missing]", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	command.name = operands.words[0];
	command.params = json_pack("{s:b}", "restore_missing", restore);
	return vg_command_do(&command);
}

/* ---- Tags and settings ---- */

static int tag_verb(const char *method, const char *usage, int argc, char **argv)
{
	struct vg_command command = { .method = method };
	struct cli_words add = { 0 }, delete = { 0 }, operands;
	struct error error = { 0 };
	const struct cli_option options[] = {
		{ "add", CLI_LIST, &add, "TAG", "a new tag (repeatable)" },
		{ "delete", CLI_LIST, &delete, "TAG", "one that goes (repeatable)" },
		CLI_OPTION_DRY_RUN(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse(usage, options, argc, argv, 1, 1, &operands, &status))
		return status;
	if (!add.count && !delete.count)
		return cli_usage_error("give --add or --delete");
	for (unsigned i = 0; i < add.count; i++)
		if (volume_tag_check(add.words[i], &error))
			return cli_wrong_value("add", &error);
	command.params = json_pack("{s:o, s:o}", "add_tags", vg_words(&add), "delete_tags",
				   vg_words(&delete));
	*(*method == 'v' ? &command.name : &command.device) = operands.words[0];
	return vg_command_do(&command);
}

int vg_tag_verb(int argc, char **argv)
{
	return tag_verb("vg.tag", "vg tag VG [--add TAG] [--delete TAG]", argc, argv);
}

int pv_tag_verb(int argc, char **argv)
{
	return tag_verb("pv.tag", "pv tag DEVICE [--add TAG] [--delete TAG]", argc, argv);
}

/* Sets `key` to what `text`, if given, says; false: that is neither yes nor no, which was printed. */
static bool yes_or_no(json_t *params, const char *key, const char *text)
{
	if (!text)
		return true;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return cli_usage_error("--%s %s: expected yes or no", key, text), false;
	json_object_set_new(params, key, json_boolean(!strcmp(text, "yes")));
	return true;
}

/* What was given of it, as parameters of the method; 0, or the exit status. */
static int vg_change_params(json_t *params, const char *policy, uint64_t extent_size,
			    const uint64_t most[2])
{
	static const char *const keys[] = { "max_lvs", "max_pvs" };
	enum volume_allocation allocation;
	struct error error = { 0 };

	if (policy && volume_allocation_parse(policy, &allocation, &error))
		return cli_usage_error("--alloc: %s", error.text);
	if (policy)
		json_object_set_new(params, "allocation", json_string(policy));
	if (extent_size)
		json_object_set_new(params, "extent_size", json_integer((json_int_t)extent_size));
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (most[i] != UINT64_MAX)
			json_object_set_new(params, keys[i], json_integer((json_int_t)most[i]));
	return 0;
}

/* Which group it is, and whose, is changed by itself: not by a server, nor with anything else. 0, or the exit status. */
static int vg_change_identity(struct vg_command *command, bool uuid, const char *system_id)
{
	struct error error = { 0 };

	if (!uuid && !system_id)
		return 0;
	if (json_object_size(command->params) || (uuid && system_id))
		return cli_usage_error("--%s goes alone", uuid ? "uuid" : "systemid");
	if (system_id && volume_system_id_check(system_id, &error))
		return cli_wrong_value("systemid", &error);
	command->method = uuid ? "vg.change_uuid" : "vg.change_systemid";
	if (system_id)
		json_object_set_new(command->params, "system_id", json_string(system_id));
	return 0;
}

int vg_change_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.change" };
	const char *autoactivate = NULL, *policy = NULL, *resizeable = NULL, *system_id = NULL;
	bool uuid = false;
	uint64_t most[] = { UINT64_MAX, UINT64_MAX }; /* volumes, PVs */
	uint64_t extent_size = 0;
	const struct cli_option options[] = {
		{ "autoactivate", CLI_TEXT, &autoactivate, "yes|no",
		  "LVM2 may start its volumes by itself" },
		{ "alloc", CLI_TEXT, &policy, "POLICY",
		  "contiguous, cling, normal, anywhere; inherit: normal" },
		{ "resizeable", CLI_TEXT, &resizeable, "yes|no",
		  "physical volumes may come and go" },
		{ "max-lvs", CLI_NUMBER, &most[0], "N", "so many volumes; 0: as many as one likes",
		  0, UINT32_MAX },
		{ "max-pvs", CLI_NUMBER, &most[1], "N", "so many physical volumes; 0: likewise", 0,
		  UINT32_MAX },
		{ "extent-size", CLI_SIZE, &extent_size, "SIZE",
		  "count in extents of that size; nothing moves", 512, UINT32_MAX * 512ull },
		{ "uuid", CLI_FLAG, &uuid, NULL, "give it another UUID" },
		{ "systemid", CLI_TEXT, &system_id, "ID",
		  "the one host that may use it; \"\": any" },
		CLI_OPTIONS_CONSENT(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg change VG [--autoactivate yes|no] [--alloc POLICY] [--resizeable "
		       "yes|no] [--max-lvs N] [--max-pvs N] [--extent-size SIZE] | --uuid | "
		       "--systemid ID",
		       options, argc, argv, 1, 1, &operands, &status))
		return status;
	command.params = json_object();
	status = yes_or_no(command.params, "autoactivate", autoactivate) &&
				 yes_or_no(command.params, "resizeable", resizeable)
			 ? vg_change_params(command.params, policy, extent_size, most)
			 : EXIT_USAGE;
	if (!status)
		status = vg_change_identity(&command, uuid, system_id);
	if (!status && !json_object_size(command.params) && !uuid)
		status = cli_usage_error("nothing to change is given");
	if (status) {
		json_decref(command.params);
		return status;
	}
	command.name = operands.words[0];
	return vg_command_do(&command);
}

int pv_change_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "pv.change" };
	const char *allocatable = NULL;
	const struct cli_option options[] = {
		{ "allocatable", CLI_TEXT, &allocatable, "yes|no",
		  "volumes may get extents on it" },
		CLI_OPTION_DRY_RUN(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("pv change DEVICE --allocatable yes|no", options, argc, argv, 1, 1,
		       &operands, &status))
		return status;
	if (!allocatable)
		return cli_usage_error("nothing to change is given");
	command.params = json_object();
	if (!yes_or_no(command.params, "allocatable", allocatable)) {
		json_decref(command.params);
		return EXIT_USAGE;
	}
	command.device = operands.words[0];
	return vg_command_do(&command);
}

/* ---- PVs ---- */

int pv_resize_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "pv.resize" };
	uint64_t size = 0;
	const struct cli_option options[] = {
		{ "size", CLI_SIZE, &size, "SIZE", "so much of its device; default: all", 512,
		  INT64_MAX },
		CLI_OPTION_DRY_RUN(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("pv resize DEVICE [--size SIZE]", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	command.device = operands.words[0];
	command.params = json_pack("{s:I}", "size", (json_int_t)size);
	return vg_command_do(&command);
}
