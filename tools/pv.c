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

/* The blocks of the devices named, files or arrays. */
struct open_devices {
	struct stack *stack;
	struct block **blocks;
	unsigned count;
};

static void open_devices_free(struct open_devices *open)
{
	for (unsigned i = 0; i < open->count; i++)
		block_unref(open->blocks[i]);
	free(open->blocks);
	stack_close(open->stack, NULL);
}

static int open_devices(struct open_devices *open, const struct cli_words *given,
			const struct cli_words *devices, struct error *error)
{
	bool arrays = false;
	int rc = 0;

	open->blocks = calloc(devices->count, sizeof(struct block *));
	if (!open->blocks)
		return -ENOMEM;
	for (unsigned i = 0; !rc && i < devices->count; i++)
		rc = device_check_answers(devices->words[i], error);
	for (unsigned i = 0; !rc && i < devices->count; i++)
		arrays |= stack_names_array(devices->words[i]);
	if (arrays)
		rc = stack_look(&open->stack, given, error);
	for (unsigned i = 0; !rc && i < devices->count; i++) {
		const char *word = devices->words[i];

		rc = stack_names_array(word)
			     ? stack_open_block(open->stack, word, false, &open->blocks[i], error)
			     : block_open_file(&open->blocks[i], word, 0, 0, error);
		open->count += !rc;
	}
	return rc;
}

static json_t *describe_finding(const struct volume_finding *finding)
{
	static const char *const severities[] = { "fine", "note", "warning", "damaged" };

	return json_pack("{s:o, s:I, s:s, s:o, s:o, s:o}", "device", describe_text(finding->device),
			 "offset_bytes", (json_int_t)finding->offset, "severity",
			 severities[finding->severity], "what", describe_text(finding->what),
			 "found", describe_text(finding->found), "expected",
			 describe_text(finding->expected));
}

struct pv_check {
	struct look look;
	enum volume_severity worst;
};

static int check_run(struct look *look, struct error *error)
{
	CLEANUP(open_devices_free) struct open_devices open = { 0 };
	CLEANUP_VOLUME_CHECK struct volume_check *check = NULL;
	int rc = open_devices(&open, &look->given, &look->operands, error);

	if (!rc)
		rc = volume_pv_check(open.blocks, open.count, &check, error);
	for (unsigned i = 0; rc && rc != -ETIMEDOUT && i < look->operands.count; i++) {
		CLEANUP_FREE char *hint = partition_hint(look->operands.words[i]);

		if (hint)
			error_advise(error, "%s", hint);
	}
	if (rc)
		return rc;
	container_of(look, struct pv_check, look)->worst = check->worst;
	look->result = json_array();
	for (unsigned i = 0; i < check->count; i++)
		json_array_append_new(look->result, describe_finding(&check->findings[i]));
	return 0;
}

static int pv_check_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "DEVICE", "device", CLI_AS_PATH, 4 },
		{ "OFFSET", "offset_bytes", CLI_AS_TEXT, 1 },
		{ "SEVERITY", "severity", CLI_AS_STATE },
		{ "WHAT", "what", CLI_AS_TEXT },
		{ "FOUND", "found", CLI_AS_TEXT, 2 },
		{ "EXPECTED", "expected", CLI_AS_TEXT, 3 },
		{ NULL },
	};
	struct pv_check check = { .look = { .usage = "pv check DEVICE... [--json]",
					    .least = 1,
					    .most = CLI_ANY,
					    .columns = columns,
					    .run = check_run } };
	int status = look_verb(&check.look, argc, argv);

	if (!status && check.worst == VOLUME_DAMAGED) {
		struct error error = { 0 };

		return cli_fail(error_set(&error, -EIO, "damage was found"), &error);
	}
	return status;
}

struct dump {
	struct cli_words given, devices;
	bool metadata;
};

/* A file gets the text as it is on the disk; a terminal gets nothing that it could take for a command. */
static void print_dump(const char *text)
{
	CLEANUP_FREE char *clean = isatty(STDOUT_FILENO) ? text_cleaned(text, "\n\t") : NULL;

	fputs(clean ? clean : text, stdout);
}

static int dump_run(void *arg, struct error *error)
{
	struct dump *dump = arg;
	CLEANUP(open_devices_free) struct open_devices open = { 0 };
	CLEANUP_FREE char *text = NULL;
	int rc = open_devices(&open, &dump->given, &dump->devices, error);

	if (!rc)
		rc = dump->metadata ? volume_pv_dump_metadata(open.blocks[0], &text, error)
				    : volume_pv_dump(open.blocks[0], &text, error);
	if (!rc)
		print_dump(text);
	return rc;
}

static int pv_dump_verb(int argc, char **argv)
{
	struct dump dump = { 0 };
	const struct cli_option options[] = {
		CLI_OPTION_LOOK_AT(&dump.given),
		{ "metadata", CLI_FLAG, &dump.metadata, NULL, "the metadata text" },
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("pv dump DEVICE [--metadata]", options, argc, argv, 1, 1, &dump.devices,
		       &status))
		return status;
	return cli_on_fiber(dump_run, &dump);
}

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
