/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vg`: volume groups. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/device_new.h"
#include "tools/look.h"
#include "tools/raid.h"
#include "tools/pv_check.h"
#include "tools/stack.h"
#include "tools/state.h"
#include "tools/vg_archive.h"
#include "tools/vg_change.h"
#include "util/bytes.h"

/* ---- create ---- */

struct vg_create {
	char *name;
	struct cli_words devices, given, tags;
	uint64_t extent_size, data_alignment, metadata_size, metadata_copies;
	struct consent consent;
	bool overwrite; /* what is on the devices */
};

/* The name must be free among the devices that are looked at. */
static int create_check_name(const struct vg_create *create, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc = stack_look(&look, &create->given, error);

	if (rc)
		return rc;
	rc = volume_scan_find(look->scan, create->name, &group, NULL);
	if (rc == -ENOENT)
		return 0;
	error_set(error, -EEXIST, "%s: there is a volume group of this name", create->name);
	return error_advise(error, "choose another name");
}

static int create_group(struct vg_create *create, struct block *const *blocks, struct error *error)
{
	struct volume_group_options options = {
		.extent_size = create->extent_size,
		.data_alignment = create->data_alignment,
		.metadata_size = create->metadata_size,
		.metadata_copies = (unsigned)create->metadata_copies,
		.tags = (const char *const *)create->tags.words,
		.tag_count = create->tags.count,
		.force = create->overwrite,
	};
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	struct volume_context context = { .command = "tenon vg create",
					  .archive = state_archive(&state) };
	struct volume_group *group;
	int rc = volume_group_create(&group, create->name, blocks, create->devices.count, &options,
				     &context, error);

	if (rc)
		return rc;
	for (unsigned i = 0; i < group->problem_count; i++)
		cli_warn("%s", group->problems[i]);
	volume_group_unref(group);
	return 0;
}

/* 0: go on; 1: no. */
static int create_ask(struct vg_create *create, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	char becomes[VOLUME_NAME_LENGTH + 64];
	int rc;

	if (!consent_asks(&create->consent))
		return 0;
	snprintf(becomes, sizeof(becomes), "would become a physical volume of %s", create->name);
	rc = stack_look(&look, &create->given, error);
	for (unsigned i = 0; !rc && i < create->devices.count; i++)
		rc = consent_plan_device(&create->consent, look, create->devices.words[i], becomes,
					 error);
	if (!rc)
		rc = consent_ask(&create->consent, error);
	/* What was named in the question. */
	create->overwrite |= !rc && create->consent.loss;
	return rc;
}

static int create_run(void *arg, struct error *error)
{
	struct vg_create *create = arg;
	CLEANUP_FREE struct block **blocks = calloc(create->devices.count, sizeof(struct block *));
	struct stack *below = NULL;
	int rc = blocks ? create_check_name(create, error) : -ENOMEM;

	create->overwrite = create->consent.force || create->consent.yes;
	if (!rc)
		rc = devices_check_distinct(create->devices.words, create->devices.count, error);
	if (!rc)
		rc = create_ask(create, error);
	if (rc)
		return MIN(rc, 0);
	if (!rc)
		rc = device_claim_below(&below, &create->given, &create->devices, error);
	/* What lies on a device is judged by volume_group_create(), which takes orphan PVs as they are. */
	if (!rc)
		rc = devices_open_new(below, create->devices.words, create->devices.count, true,
				      blocks, error);
	if (!rc)
		rc = create_group(create, blocks, error);
	for (unsigned i = 0; blocks && i < create->devices.count; i++)
		block_unref(blocks[i]);
	return stack_finish(below, rc, error);
}

static int vg_create_verb(int argc, char **argv)
{
	struct vg_create create = { 0 };
	struct error error = { 0 };
	const struct cli_option options[] = {
		{ "extent-size", CLI_SIZE, &create.extent_size, "SIZE", "default 4M", 512,
		  (uint64_t)UINT32_MAX << 9 },
		{ "data-alignment", CLI_SIZE, &create.data_alignment, "SIZE", "default 1M", 4096,
		  1ull << 40 },
		{ "metadata-size", CLI_SIZE, &create.metadata_size, "SIZE", "of a metadata area",
		  4096, 0 },
		{ "metadata-copies", CLI_NUMBER, &create.metadata_copies, "N",
		  "metadata areas on each device, 1 or 2", 1, 2 },
		{ "tag", CLI_LIST, &create.tags, "TAG", "a tag (repeatable)" },
		{ "force", CLI_FLAG, &create.consent.force, NULL,
		  "overwrite what is on the devices" },
		CLI_OPTIONS_CONSENT(&create.consent),
		CLI_OPTION_DEVICE(&create.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg create VG DEVICE...", options, argc, argv, 2, CLI_ANY, &operands,
		       &status))
		return status;
	create.name = operands.words[0];
	if (volume_group_name_check(create.name, &error))
		return cli_wrong_value(NULL, &error);
	for (unsigned i = 0; i < create.tags.count; i++)
		if (volume_tag_check(create.tags.words[i], &error))
			return cli_wrong_value("tag", &error);
	create.devices = (struct cli_words){ operands.words + 1, operands.count - 1 };
	return cli_on_fiber(create_run, &create);
}

/* ---- list, show, remove ---- */

static int list_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *only = NULL;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc && look->name)
		rc = stack_find_group(stack, look->name, &only, error);
	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < stack->scan->group_count; i++)
		if (!only || only == stack->scan->groups[i])
			json_array_append_new(look->result,
					      describe_group_row(stack->scan->groups[i]));
	return stack_report(stack, stack->scan->group_count > 0, error);
}

static int vg_list_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "VG", "name", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE },
		{ "PVS", "pv_count", CLI_AS_TEXT, 1 },
		{ "LVS", "lv_count", CLI_AS_TEXT, 1 },
		{ "SIZE", "size_bytes", CLI_AS_SIZE },
		{ "FREE", "free_bytes", CLI_AS_SIZE },
		{ "UUID", "uuid", CLI_AS_TEXT, CLI_LONG },
		{ "PROBLEMS", "problems", CLI_AS_NOTE, 1 },
		{ NULL },
	};
	struct look look = { .usage = "vg list [VG] [--json]",
			     .least = 0,
			     .most = 1,
			     .columns = columns,
			     .run = list_run };

	return look_verb(&look, argc, argv);
}

static int show_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *group;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc)
		rc = stack_find_group(stack, look->name, &group, error);
	if (!rc)
		look->result = describe_group(group);
	return rc;
}

static int vg_show_verb(int argc, char **argv)
{
	struct look look = {
		.usage = "vg show VG [--json]", .least = 1, .most = 1, .run = show_run
	};

	return look_verb(&look, argc, argv);
}

struct removal {
	struct cli_words given;
	char *name;
	struct consent consent;
};

/* 0: go on; 1: no. By a look, which writes nothing. */
static int remove_ask(struct removal *removal, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc;

	if (!consent_asks(&removal->consent))
		return 0;
	rc = stack_look(&look, &removal->given, error);
	if (!rc)
		rc = stack_find_group(look, removal->name, &group, error);
	if (rc)
		return rc;
	if (group->lv_count) {
		error_set(error, -EBUSY, "volume group %s: has %u volume%s", group->name,
			  group->lv_count, group->lv_count == 1 ? "" : "s");
		return error_advise(error, "remove them first");
	}
	removal->consent.always = true;
	consent_plan(&removal->consent, "%s: would be removed", group->name);
	for (unsigned i = 0; i < group->pv_count; i++)
		consent_plan(&removal->consent, "%s: would be a physical volume of no group",
			     group->pvs[i]->block ? group->pvs[i]->block->name
						  : group->pvs[i]->uuid);
	return consent_ask(&removal->consent, error);
}

static int remove_run(void *arg, struct error *error)
{
	struct removal *removal = arg;
	const struct stack_options options = { .write = true, .command = "tenon vg remove" };
	struct cli_words targets = { &removal->name, 1 };
	struct stack *stack = NULL;
	struct volume_group *group;
	int rc = remove_ask(removal, error);

	if (rc)
		return MIN(rc, 0);
	rc = stack_claim(&stack, &removal->given, &targets, &options, error);
	if (!rc)
		rc = stack_find_group(stack, removal->name, &group, error);
	if (!rc)
		rc = volume_group_remove(group, error);
	return stack_finish(stack, rc, error);
}

static int vg_remove_verb(int argc, char **argv)
{
	struct removal removal = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_CONSENT(&removal.consent),
					      CLI_OPTION_DEVICE(&removal.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("vg remove VG", options, argc, argv, 1, 1, &operands, &status))
		return status;
	removal.name = operands.words[0];
	return cli_on_fiber(remove_run, &removal);
}

int command_vg(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "create", vg_create_verb, "VG DEVICE...",
		  "make devices physical volumes of a new group" },
		{ "list", vg_list_verb, "[VG] [--json]", "list the groups on the devices" },
		{ "show", vg_show_verb, "VG [--json]", "show a group" },
		{ "remove", vg_remove_verb, "VG", "remove a group that has no volumes" },
		{ "extend", vg_extend_verb, "VG DEVICE...",
		  "add devices to a group as physical volumes" },
		{ "reduce", vg_reduce_verb, "VG DEVICE... | --remove-missing",
		  "take physical volumes out of a group" },
		{ "rename", vg_rename_verb, "VG NEW", "give a group another name" },
		{ "export", vg_export_verb, "VG", "mark a group as one that goes to another host" },
		{ "import", vg_import_verb, "VG", "take a group that was exported" },
		{ "repair", vg_repair_verb, "VG [--restore-missing]",
		  "write the metadata of a group anew on all its physical volumes" },
		{ "clone", vg_clone_verb, "VG DEVICE...",
		  "have copies of a group's disks be a group of their own" },
		{ "split", vg_split_verb, "VG NEW DEVICE... | --volume LV",
		  "make a group of some of a group's devices" },
		{ "merge", vg_merge_verb, "VG FROM", "have a group take another one in" },
		{ "check", vg_check_verb, "VG [--json]", "verify a group on all its devices" },
		{ "tag", vg_tag_verb, "VG [--add TAG] [--delete TAG]",
		  "add tags to a group, or take some away" },
		{ "change", vg_change_verb,
		  "VG [--autoactivate yes|no] [--alloc POLICY] [--resizeable yes|no] [--max-lvs N] "
		  "[--max-pvs N] [--extent-size SIZE]",
		  "change what a group says of its volumes" },
		{ "archive", vg_archive_verb, "[VG] [--json]", "list the copies of metadata" },
		{ "backup", vg_backup_verb, "VG [--file FILE]",
		  "copy a group's metadata to a file" },
		{ "restore", vg_restore_verb, "VG [--file FILE]", "put metadata back from a copy" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("vg", verbs, argc, argv);
}
