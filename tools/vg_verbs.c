/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon vg extend`, `reduce`, `rename`, ..., `tenon pv resize`, `tag`, ...: in a running server where one owns the group,
 * or else here. See vg_change.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/lv_change.h"
#include "tools/lv_size.h"
#include "tools/owner.h"
#include "tools/pv_find.h"
#include "tools/raid.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "tools/vg_change.h"
#include "util/bytes.h"
#include "volume/volume.h"

struct vg_command {
	struct cli_words given;
	const char *method;
	char *name;               /* the group's, or NULL where `device` says it */
	char *device;             /* of PVs */
	struct cli_words devices; /* that join */
	json_t *params;           /* owned */
	struct consent consent;
	bool overwrite;
	bool told; /* the consent was asked for */
};

/* ---- Before it ---- */

static int find_group_of(struct vg_command *command, struct error *error)
{
	char uuid[VOLUME_UUID_TEXT];
	int rc = pv_find(&command->given, command->device, &command->name, uuid, error);

	if (!rc)
		json_object_set_new(command->params, "pvs", json_pack("[s]", uuid));
	return rc;
}

static int check_outside(const struct stack *look, const char *word, struct error *error)
{
	CLEANUP_FREE char *path = device_resolve(word);

	for (unsigned i = 0; i < look->scan->device_count; i++) {
		const struct volume_scanned *scanned = &look->scan->devices[i];

		if (!scanned->group || (strcmp(scanned->block->name, word) &&
					strcmp(scanned->block->name, path ? path : word)))
			continue;
		error_set(error, -EBUSY, "%s: is a physical volume of volume group %s", word,
			  scanned->group->name);
		return error_advise(error, "take it out there first: tenon vg reduce");
	}
	return 0;
}

/* That none of them is in a group, by a look: of what a server has, too. */
static int check_all_outside(const struct vg_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	int rc = stack_look(&look, &command->given, error);

	for (unsigned i = 0; !rc && i < command->devices.count; i++)
		rc = check_outside(look, command->devices.words[i], error);
	return rc;
}

static int plan_join(struct vg_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	char becomes[VOLUME_NAME_LENGTH + 64];
	int rc;

	if (!consent_asks(&command->consent))
		return 0;
	snprintf(becomes, sizeof(becomes), "would become a physical volume of %s", command->name);
	rc = stack_look(&look, &command->given, error);
	for (unsigned i = 0; !rc && i < command->devices.count; i++)
		rc = consent_plan_device(&command->consent, look, command->devices.words[i],
					 becomes, error);
	if (!rc)
		rc = consent_ask(&command->consent, error);
	command->overwrite |= !rc && command->consent.loss;
	return rc;
}

static int plan_missing(struct vg_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc;

	if (!consent_asks(&command->consent))
		return 0;
	rc = stack_look(&look, &command->given, error);
	if (!rc)
		rc = stack_find_group(look, command->name, &group, error);
	if (rc)
		return rc;
	for (unsigned i = 0; i < group->pv_count; i++)
		if (!group->pvs[i]->block)
			consent_plan(&command->consent,
				     "%s: PV %s, which is missing, would leave it", group->name,
				     group->pvs[i]->uuid);
	for (unsigned i = 0; i < group->lv_count; i++)
		if (group->lvs[i]->partial)
			consent_loss(&command->consent,
				     "%s/%s, which lies on what is missing, would be removed",
				     group->name, group->lvs[i]->name);
	command->consent.always = true;
	return consent_ask(&command->consent, error);
}

static int check_new_name(const struct vg_command *command, struct error *error)
{
	const char *name = json_string_value(json_object_get(command->params, "new_name"));
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc = stack_look(&look, &command->given, error);

	if (rc || volume_scan_find(look->scan, name, &group, NULL) == -ENOENT)
		return rc;
	error_set(error, -EEXIST, "%s: there is a volume group of this name", name);
	return error_advise(error, "choose another name");
}

/* 0: go on; 1: no. */
static int prepare(struct vg_command *command, struct error *error)
{
	int rc = command->device ? find_group_of(command, error) : 0;

	command->overwrite = command->consent.force || command->consent.yes;
	if (!rc && command->devices.count)
		rc = devices_check_distinct(command->devices.words, command->devices.count, error);
	if (!rc && command->devices.count)
		rc = check_all_outside(command, error);
	if (!rc && command->devices.count)
		rc = plan_join(command, error);
	if (!rc && !strcmp(command->method, "vg.reduce_missing") &&
	    json_is_true(json_object_get(command->params, "force")))
		rc = plan_missing(command, error);
	if (!rc && !strcmp(command->method, "vg.rename"))
		rc = check_new_name(command, error);
	if (!rc)
		json_object_set_new(command->params, "name", describe_text(command->name));
	if (!rc && command->overwrite)
		json_object_set_new(command->params, "force", json_true());
	return rc;
}

/* ---- Doing it ---- */

static int carry_out(struct vg_command *command, struct volume_group *group, struct stack **below,
		     struct error *error)
{
	CLEANUP_FREE struct block **blocks =
		calloc(command->devices.count + 1, sizeof(struct block *));
	struct vg_change change = { .method = command->method,
				    .params = command->params,
				    .blocks = blocks,
				    .block_count = command->devices.count,
				    .news = json_array() };
	json_t *notes = NULL;
	int rc = blocks ? device_claim_below(below, &command->given, &command->devices, error)
			: -ENOMEM;

	for (unsigned i = 0; !rc && i < command->devices.count; i++)
		rc = device_open_new(*below, command->devices.words[i], true, &blocks[i], error);
	if (!rc)
		rc = vg_change(group, &change, error);
	if (!rc)
		notes = lv_change_notes(group);
	lv_change_tell(notes, change.news);
	json_decref(notes);
	json_decref(change.news);
	for (unsigned i = 0; blocks && i < command->devices.count; i++)
		block_unref(blocks[i]);
	return rc;
}

static int change_here(struct vg_command *command, struct error *error)
{
	CLEANUP_FREE char *text = NULL;
	struct stack_options options = { .write = true };
	struct cli_words targets = { &command->name, 1 };
	struct stack *stack = NULL, *below = NULL;
	struct volume_group *group;
	int rc;

	if (asprintf(&text, "tenon %.2s %s", command->method, command->method + 3) < 0)
		return -ENOMEM;
	text[strcspn(text, "_")] = '\0';
	options.command = text;
	rc = stack_claim(&stack, &command->given, &targets, &options, error);
	if (!rc)
		rc = stack_find_group(stack, command->name, &group, error);
	if (!rc)
		rc = carry_out(command, group, &below, error);
	rc = stack_finish(stack, rc, error);
	return stack_finish(below, rc, error);
}

static int check_while_served(const struct vg_command *command, struct error *error)
{
	if (vg_change_while_served(command->method))
		return 0;
	error_set(error, -EBUSY, "%s: a running server has it", command->name);
	return error_advise(error, "stop the server for this: tenon status names it");
}

static int ask_server(struct vg_command *command, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	int rc = check_while_served(command, error);

	if (rc)
		return rc;
	if (command->devices.count)
		lv_place_add(&command->devices, 0, command->params);
	rc = rpc_call(socket, command->method, json_incref(command->params), &answer, error);
	if (!rc)
		lv_change_tell(json_object_get(answer, "notes"), json_object_get(answer, "news"));
	json_decref(answer);
	return rc;
}

/* Lines for what has no news. */
static void say_rehearsed(const struct vg_command *command, const struct volume_group *group,
			  const char *before)
{
	const char *uuid =
		json_string_value(json_array_get(json_object_get(command->params, "pvs"), 0));

	if (!strcmp(command->method, "vg.rename"))
		cli_say("%s: would be renamed to %s", before, group->name);
	else if (!strcmp(command->method, "vg.export"))
		cli_say("%s: would be exported: no host would use it before it is imported",
			before);
	else if (!strcmp(command->method, "vg.import"))
		cli_say("%s: would be imported: this host could use it", before);
	else if (!command->device)
		rehearse_say_settings(before, command->params, group->tags, group->tag_count);
	for (unsigned i = 0; command->device && uuid && i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->uuid, uuid))
			rehearse_say_settings(command->device, command->params, group->pvs[i]->tags,
					      group->pvs[i]->tag_count);
}

static int rehearse(struct vg_command *command, bool served, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct vg_change change = { .method = command->method,
				    .params = command->params,
				    .rehearsal = true };
	struct volume_group *group;
	json_t *line;
	size_t index;
	int rc = served ? check_while_served(command, error) : 0;

	if (!rc)
		rc = rehearse_claim(&stack, &command->given, command->name, error);
	if (!rc)
		rc = stack_find_group(stack, command->name, &group, error);
	if (rc)
		return rc;
	change.news = json_array();
	rc = vg_change(group, &change, error);
	json_array_foreach(change.news, index, line) {
		if (!rc && json_is_string(line))
			cli_say("%s", json_string_value(line));
	}
	if (!rc)
		say_rehearsed(command, group, command->name);
	json_decref(change.news);
	return rc;
}

static int command_run(void *arg, struct error *error)
{
	struct vg_command *command = arg;
	int rc = prepare(command, error);

	if (rc)
		return MIN(rc, 0);
	for (;;) {
		CLEANUP_FREE char *socket = NULL;

		rc = owner_find(&command->given, command->name, &socket, error);
		if (rc)
			return rc;
		if (command->consent.dry_run)
			return rehearse(command, socket, error);
		if (!socket)
			return change_here(command, error);
		rc = ask_server(command, socket, error);
		if (!rc || !owner_has_ended(rc, socket))
			return rc;
	}
}

static int command_do(struct vg_command *command)
{
	int status;

	if (!command->params)
		command->params = json_object();
	status = cli_on_fiber(command_run, command);
	json_decref(command->params);
	return status;
}

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
	return command_do(&command);
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
	return command_do(&command);
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
	return command_do(&command);
}

static int move_verb(const char *method, const char *usage, int argc, char **argv)
{
	struct vg_command command = { .method = method };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&command.consent),
					      CLI_OPTION_DEVICE(&command.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse(usage, options, argc, argv, 1, 1, &operands, &status))
		return status;
	command.name = operands.words[0];
	return command_do(&command);
}

int vg_export_verb(int argc, char **argv)
{
	return move_verb("vg.export", "vg export VG", argc, argv);
}

int vg_import_verb(int argc, char **argv)
{
	return move_verb("vg.import", "vg import VG", argc, argv);
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
	return command_do(&command);
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
	return command_do(&command);
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

int vg_change_verb(int argc, char **argv)
{
	struct vg_command command = { .method = "vg.change" };
	const char *autoactivate = NULL, *policy = NULL;
	enum volume_allocation allocation;
	struct error error = { 0 };
	const struct cli_option options[] = {
		{ "autoactivate", CLI_TEXT, &autoactivate, "yes|no",
		  "LVM2 may start its volumes by itself" },
		{ "alloc", CLI_TEXT, &policy, "POLICY",
		  "contiguous, cling, normal, anywhere; inherit: normal" },
		CLI_OPTION_DRY_RUN(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg change VG [--autoactivate yes|no] [--alloc POLICY]", options, argc, argv,
		       1, 1, &operands, &status))
		return status;
	if (!autoactivate && !policy)
		return cli_usage_error("nothing to change is given");
	if (policy && volume_allocation_parse(policy, &allocation, &error))
		return cli_usage_error("--alloc: %s", error.text);
	command.params = json_object();
	if (policy)
		json_object_set_new(command.params, "allocation", json_string(policy));
	if (!yes_or_no(command.params, "autoactivate", autoactivate)) {
		json_decref(command.params);
		return EXIT_USAGE;
	}
	command.name = operands.words[0];
	return command_do(&command);
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
	return command_do(&command);
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
	return command_do(&command);
}
