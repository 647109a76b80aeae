/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid examine`: what is on members, of every level. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/partition.h"
#include "raid/raid.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/raid.h"
#include "util/bytes.h"

struct examine {
	struct cli_words devices;
	bool json, kernels;
	json_t *rows, *row;
};

/* Words with spaces between. */
static json_t *words_of(const char *text)
{
	json_t *list = json_array();

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		size_t length = strcspn(text, " ");

		json_array_append_new(list, json_stringn(text, length));
		text += length;
	}
	return list;
}

/* A place, and what it is in or instead of one. */
static void add_role(json_t *row, const char *text)
{
	bool placed = isdigit((unsigned char)*text);
	const char *kind = text + strspn(text, "0123456789 ");

	json_object_set_new(row, "role", placed ? json_integer(atoi(text)) : json_null());
	json_object_set_new(row, "kind", json_string(*kind ? kind : "active"));
}

/* "8+16", in sectors. */
static void add_bad_range(json_t *row, const char *text)
{
	unsigned long long sector, count;

	if (sscanf(text, "%llu+%llu", &sector, &count) != 2)
		return;
	json_array_append_new(json_object_get(row, "bad_ranges"),
			      json_pack("{s:I, s:I}", "offset_bytes", (json_int_t)(sector << 9),
					"length_bytes", (json_int_t)(count << 9)));
}

static void add_field(json_t *row, const struct raid_field *field)
{
	const char *key = field->key, *text = field->text;

	if (!strcmp(key, "features") || !strcmp(key, "flags"))
		json_object_set_new(row, key, words_of(text));
	else if (!strcmp(key, "role"))
		add_role(row, text);
	else if (!strcmp(key, "bad_range"))
		add_bad_range(row, text);
	else if (!strcmp(key, "bitmap_offset") || !strcmp(key, "ppl_offset"))
		json_object_set_new(row, *key == 'b' ? "bitmap_offset_bytes" : "ppl_offset_bytes",
				    json_integer((json_int_t)atoi(text) * 512));
	else if (!strcmp(key, "delta_disks"))
		json_object_set_new(row, key, json_integer(atoi(text)));
	else
		json_object_set_new(row, key,
				    field->is_number ? json_integer((json_int_t)field->number)
						     : describe_text(text));
}

static void examine_field(const struct raid_field *field, void *arg)
{
	struct examine *examine = arg;

	if (examine->json)
		add_field(examine->row, field);
	else
		cli_say("  %-20s %s", field->label, field->text);
}

/* What not every superblock has is there as null. */
static json_t *new_row(const char *path)
{
	static const char *const keys[] = {
		"metadata",
		"features",
		"array_uuid",
		"set_name",
		"created",
		"level",
		"devices",
		"layout",
		"chunk_bytes",
		"logical_block_size_bytes",
		"member_size_bytes",
		"array_size_bytes",
		"reshape_position_bytes",
		"delta_disks",
		"new_level",
		"new_layout",
		"new_chunk_bytes",
		"device_uuid",
		"super_offset_bytes",
		"data_offset_bytes",
		"new_data_offset_bytes",
		"data_size_bytes",
		"unused_before_bytes",
		"unused_after_bytes",
		"recovery_offset_bytes",
		"flags",
		"corrected",
		"dev_number",
		"role",
		"kind",
		"places",
		"state",
		"resync_offset_bytes",
		"updated",
		"checksum",
		"checksum_expected",
		"events",
		"bitmap_offset_bytes",
		"bitmap_chunk_bytes",
		"bitmap_chunks",
		"bitmap_dirty",
		"bitmap_events",
		"bitmap_events_cleared",
		"ppl_offset_bytes",
		"ppl_bytes",
		"bad_block_log",
		"bad_blocks",
	};
	json_t *row = json_pack("{s:o, s:n}", "device", describe_path(path), "problem");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_set_new(row, keys[i], json_null());
	json_object_set_new(row, "bad_ranges", json_array());
	return row;
}

static int examine_device(struct examine *examine, const char *path, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_FREE char *hint = NULL;
	int rc = device_check_answers(path, error);

	if (!rc)
		rc = block_open_file(&block, path, 0, 0, error);
	if (rc)
		return rc;
	if (!examine->json)
		cli_say("%s:", path);
	examine->row = new_row(path);
	json_array_append_new(examine->rows, examine->row);
	rc = raid_examine(block, examine_field, examine, error);
	if (rc)
		json_object_set_new(examine->row, "problem", describe_text(error->text));
	hint = rc ? partition_hint(path) : NULL;
	return hint ? error_advise(error, "%s", hint) : rc;
}

static int examine_run(void *arg, struct error *error)
{
	struct examine *examine = arg;
	int rc = 0;

	if (examine->kernels)
		return raid_kernels_run(&examine->devices, examine->json, error);
	/* One that is damaged does not keep the others from being shown. */
	for (unsigned i = 0; i < examine->devices.count; i++) {
		struct error why = { 0 };
		int one = examine_device(examine, examine->devices.words[i], &why);

		if (!one)
			continue;
		if (rc)
			cli_fail(rc, error);
		*error = why;
		rc = one;
	}
	if (examine->json)
		cli_print_json(examine->rows);
	return rc;
}

int raid_examine_verb(int argc, char **argv)
{
	struct examine examine = { .rows = json_array() };
	const struct cli_option options[] = {
		{ "kernels", CLI_FLAG, &examine.kernels, NULL,
		  "which versions of Linux assemble it, and why others do not" },
		CLI_OPTION_JSON(&examine.json),
		CLI_OPTION_END,
	};
	int status;

	if (cli_parse("raid examine DEVICE... [--kernels] [--json]", options, argc, argv, 1,
		      CLI_ANY, &examine.devices, &status))
		status = cli_on_fiber(examine_run, &examine);
	json_decref(examine.rows);
	return status;
}
