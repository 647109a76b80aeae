/* SPDX-License-Identifier: BSD-2-Clause */
/* See pv_check.h. */
#include "tools/pv_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/partition.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/look.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/text.h"
#include "volume/volume.h"

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

/* Of a row that says that a PV is missing its UUID, or NULL. */
static const char *missing_uuid(const json_t *row)
{
	static const char before[] = "PV ", behind[] = " is missing";
	const char *found = json_string_value(json_object_get(row, "found"));

	return found && !strncmp(found, before, strlen(before)) && strstr(found, behind)
		       ? found + strlen(before)
		       : NULL;
}

/* Whether the group that the row is about has that PV there: a copy may be one of another group by now. */
static bool is_place(const struct volume_scanned *scanned, const char *uuid, const json_t *row)
{
	static const char before[] = "volume group ";
	const char *what = json_string_value(json_object_get(row, "what"));

	return scanned->group && scanned->pv && scanned->pv->block == scanned->block &&
	       !strncmp(uuid, scanned->info.uuid, VOLUME_UUID_TEXT - 1) && what &&
	       !strncmp(what, before, strlen(before)) &&
	       !strcmp(what + strlen(before), scanned->group->name);
}

/* A PV that is not among the devices that were named is not missing where it is among those that are known. */
static void place_missing(json_t *row, const struct volume_scan *scan)
{
	const char *uuid = missing_uuid(row);
	char text[512];

	if (!uuid)
		return;
	for (unsigned i = 0; i < scan->device_count; i++) {
		const struct volume_scanned *scanned = &scan->devices[i];

		if (!is_place(scanned, uuid, row))
			continue;
		snprintf(text, sizeof(text), "PV %s is on %.300s, which was not named",
			 scanned->info.uuid, scanned->block->name);
		json_object_set_new(row, "found", describe_text(text));
		json_object_set_new(row, "severity", json_string("note"));
		return;
	}
}

static void place_all_missing(json_t *rows, const struct cli_words *given)
{
	CLEANUP_STACK struct stack *look = NULL;
	bool missing = false;
	json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
		missing |= missing_uuid(row) != NULL;
	if (!missing || stack_look_below(&look, given, NULL))
		return;
	json_array_foreach(rows, index, row)
		place_missing(row, look->scan);
}

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
	place_all_missing(look->result, &look->given);
	return 0;
}

static const struct cli_column check_columns[] = {
	{ "DEVICE", "device", CLI_AS_PATH, 4 },
	{ "OFFSET", "offset_bytes", CLI_AS_TEXT, 1 },
	{ "SEVERITY", "severity", CLI_AS_STATE },
	{ "WHAT", "what", CLI_AS_TEXT },
	{ "FOUND", "found", CLI_AS_TEXT, 2 },
	{ "EXPECTED", "expected", CLI_AS_TEXT, 3 },
	{ NULL },
};

static int check_verb(struct pv_check *check, int argc, char **argv)
{
	struct error error = { 0 };
	int status = look_verb(&check->look, argc, argv);

	if (status || check->worst != VOLUME_DAMAGED)
		return status;
	return cli_fail(error_set(&error, -EIO, "damage was found"), &error);
}

int pv_check_verb(int argc, char **argv)
{
	struct pv_check check = { .look = { .usage = "pv check DEVICE... [--json]",
					    .least = 1,
					    .most = CLI_ANY,
					    .columns = check_columns,
					    .run = check_run } };

	return check_verb(&check, argc, argv);
}

/* ---- Of a group ---- */

/* What is not of one device. */
static void add_problem(struct pv_check *check, const char *group, const char *what,
			const char *found)
{
	json_array_append_new(check->look.result,
			      json_pack("{s:o, s:i, s:s, s:s, s:o, s:n}", "device",
					describe_text(group), "offset_bytes", 0, "severity",
					"damaged", "what", what, "found", describe_text(found),
					"expected"));
	check->worst = VOLUME_DAMAGED;
}

static int check_devices(struct pv_check *check, const struct volume_group *group,
			 struct error *error)
{
	CLEANUP_FREE struct block **blocks = calloc(group->pv_count + 1, sizeof(struct block *));
	CLEANUP_VOLUME_CHECK struct volume_check *found = NULL;
	unsigned count = 0;
	int rc;

	if (!blocks)
		return -ENOMEM;
	for (unsigned i = 0; i < group->pv_count; i++)
		if (group->pvs[i]->block)
			blocks[count++] = group->pvs[i]->block;
	rc = volume_pv_check(blocks, count, &found, error);
	if (rc)
		return rc;
	check->worst = found->worst;
	for (unsigned i = 0; i < found->count; i++)
		json_array_append_new(check->look.result, describe_finding(&found->findings[i]));
	return 0;
}

static int check_group_run(struct look *look, struct error *error)
{
	struct pv_check *check = container_of(look, struct pv_check, look);
	CLEANUP_STACK struct stack *stack = NULL;
	struct error invalid = { 0 };
	struct volume_group *group;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc)
		rc = stack_find_group(stack, look->name, &group, error);
	if (rc)
		return rc;
	look->result = json_array();
	rc = check_devices(check, group, error);
	for (unsigned i = 0; !rc && i < group->problem_count; i++)
		add_problem(check, group->name, "group", group->problems[i]);
	if (!rc && volume_group_validate(group, &invalid))
		add_problem(check, group->name, "rules of LVM2", invalid.text);
	return rc;
}

int vg_check_verb(int argc, char **argv)
{
	struct pv_check check = { .look = { .usage = "vg check VG [--json]",
					    .least = 1,
					    .most = 1,
					    .columns = check_columns,
					    .run = check_group_run } };

	return check_verb(&check, argc, argv);
}

/* ---- Dump ---- */

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

int pv_dump_verb(int argc, char **argv)
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
