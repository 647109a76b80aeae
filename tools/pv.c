/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon pv`: physical volumes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/partition.h"
#include "block/signature.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/look.h"
#include "tools/move.h"
#include "tools/pv_check.h"
#include "tools/stack.h"
#include "tools/vg_change.h"
#include "util/bytes.h"
#include "util/text.h"

static int list_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	bool sound = false;
	int rc = stack_look(&stack, &look->given, error);

	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		sound |= scanned->is_pv && (scanned->group || !scanned->problem);
		if (scanned->is_pv || scanned->problem)
			json_array_append_new(look->result, describe_pv_row(scanned));
	}
	return stack_report(stack, sound, error);
}

static int pv_list_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "DEVICE", "device", CLI_AS_PATH },
		{ "VG", "vg", CLI_AS_TEXT },
		{ "SIZE", "size_bytes", CLI_AS_SIZE, 1 },
		{ "FREE", "free_bytes", CLI_AS_SIZE, 2 },
		{ "UUID", "uuid", CLI_AS_TEXT, CLI_LONG },
		{ "PROBLEM", "problem", CLI_AS_NOTE },
		{ NULL },
	};
	struct look look = { .usage = "pv list [--json]",
			     .least = 0,
			     .most = 0,
			     .columns = columns,
			     .run = list_run };

	return look_verb(&look, argc, argv);
}

/* `name` is a device of the list, a path that is not in it, md/NAME or a PV's uuid. */
static const struct volume_scanned *find_pv(const struct stack *stack, const char *name)
{
	CLEANUP_FREE char *path = device_resolve(name);

	for (unsigned i = 0; i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		if (!strcmp(scanned->block->name, name) || !strcmp(scanned->info.uuid, name) ||
		    (path && !strcmp(scanned->block->name, path)))
			return scanned;
	}
	return NULL;
}

/* Why `name` cannot be shown. */
static int show_explain(struct stack *stack, const struct volume_scanned *scanned, const char *name,
			struct error *error)
{
	CLEANUP_FREE char *path = device_resolve(name);
	CLEANUP_FREE char *hint = scanned ? partition_hint(name) : NULL;
	struct block_signature found;

	for (unsigned i = 0; !scanned && i < stack->node_count; i++) {
		const struct stack_node *node = &stack->nodes[i];

		if (strcmp(node->name, path ? path : name))
			continue;
		if (node->problem)
			return error_set(error, -EINVAL, "%s", node->problem);
		if (node->is_member)
			return error_set(error, -EINVAL,
					 "%s: found a member of the array md/%s, expected a "
					 "physical volume",
					 name, node->md.name);
	}
	if (!scanned) {
		error_set(error, -ENOENT,
			  "%s: there is no such device, and no physical volume with this UUID "
			  "on the devices that were looked at",
			  name);
		return error_advise(error, "`tenon pv list` shows what there is");
	}
	if (scanned->problem)
		return error_set(error, -EINVAL, "%s", scanned->problem);
	if (hint)
		return error_set(error, -EINVAL, "%s", hint);
	if (block_signature_find(scanned->block, &found, NULL) == 1)
		return error_set(error, -EINVAL, "%s: no LVM2 label; found: %s at byte %llu", name,
				 found.name, (unsigned long long)found.offset);
	return error_set(error, -EINVAL, "%s: no LVM2 label in its first 2 KiB", name);
}

static int show_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_DEVICES struct device_list devices = { 0 };
	const struct stack_options options = { .write = false };
	const struct volume_scanned *scanned;
	int rc = device_check_answers(look->name, error);

	if (!rc)
		rc = device_list_collect(&devices, &look->given, error);
	if (!rc && device_exists(look->name))
		rc = device_list_add(&devices, look->name);
	if (!rc)
		rc = stack_open(&stack, &devices, &options, error);
	if (rc)
		return rc;
	scanned = find_pv(stack, look->name);
	if (!scanned || !scanned->is_pv)
		return show_explain(stack, scanned, look->name, error);
	look->result = describe_pv(scanned);
	return 0;
}

static int pv_show_verb(int argc, char **argv)
{
	struct look look = {
		.usage = "pv show DEVICE [--json]", .least = 1, .most = 1, .run = show_run
	};

	return look_verb(&look, argc, argv);
}

/* ---- check, dump ---- */

int command_pv(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "list", pv_list_verb, "[--json]", "list physical volumes" },
		{ "show", pv_show_verb, "DEVICE [--json]", "show a physical volume" },
		{ "create", pv_create_verb, "DEVICE...", "make devices physical volumes" },
		{ "remove", pv_remove_verb, "DEVICE...",
		  "have devices be no physical volumes any more" },
		{ "resize", pv_resize_verb, "DEVICE [--size SIZE]",
		  "use all of a device that has another size now" },
		{ "move", pv_move_verb, "DEVICE [DEVICE]... [--volume LV]",
		  "move what lies on it to other devices, while it is used" },
		{ "tag", pv_tag_verb, "DEVICE [--add TAG] [--delete TAG]",
		  "add tags to a physical volume, or take some away" },
		{ "change", pv_change_verb, "DEVICE --allocatable yes|no",
		  "change whether volumes get extents on it" },
		{ "check", pv_check_verb, "DEVICE... [--json]",
		  "verify labels, metadata areas and texts" },
		{ "dump", pv_dump_verb, "DEVICE [--metadata]", "print what is on it" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("pv", verbs, argc, argv);
}
