/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_look.h. */
#include "tools/image_look.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "block/block.h"
#include "block/dos_table.h"
#include "block/gpt.h"
#include "block/signature.h"
#include "block/signature_size.h"
#include "tools/describe.h"
#include "tools/describe_set.h"
#include "util/bytes.h"
#include "util/error.h"

#define PARTITIONS_MOST 128u /* that are shown; what is on them is looked for on the first ones */
#define LOOKED_MOST     32u

/* ---- Tables ---- */

/* A row of what is not known yet. */
static json_t *new_row(uint64_t start, uint64_t size)
{
	static const char *const keys[] = { "number",         "type",
					    "type_uuid",      "name",
					    "partition_uuid", "content",
					    "label",          "uuid",
					    "used_bytes",     "os",
					    "os_id",          "os_version",
					    "hostname",       "kernel_versions",
					    "boot_files",     "cloud_init",
					    "seed_instance",  "problem" };
	json_t *row = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_set_new(row, keys[i], json_null());
	set_number(row, "start_bytes", start);
	set_number(row, "size_bytes", size);
	return row;
}

static void add_gpt(json_t *rows, const struct gpt *gpt)
{
	struct gpt_partition partition;

	for (uint32_t i = 0; i < gpt->count && json_array_size(rows) < PARTITIONS_MOST; i++) {
		char uuid[GPT_UUID];
		json_t *row;

		if (!gpt_partition(gpt, i, &partition))
			continue;
		row = new_row(partition.start, partition.length);
		set_number(row, "number", partition.number);
		gpt_uuid(partition.type, uuid);
		set_text(row, "type_uuid", uuid);
		set_text(row, "type",
			 gpt_type_name(partition.type) ? gpt_type_name(partition.type) : uuid);
		gpt_uuid(partition.id, uuid);
		set_text(row, "partition_uuid", uuid);
		if (*partition.name)
			set_text(row, "name", partition.name);
		json_array_append_new(rows, row);
	}
}

static void add_dos(json_t *rows, const struct dos_table *table)
{
	for (unsigned i = 0; i < table->count; i++) {
		const struct dos_partition *partition = &table->partitions[i];
		json_t *row = new_row(partition->start, partition->length);
		const char *name = dos_type_name(partition->type);
		char text[16];

		set_number(row, "number", partition->number);
		snprintf(text, sizeof(text), "0x%02x", partition->type);
		set_text(row, "type", name ? name : text);
		snprintf(text, sizeof(text), "%08x-%02x", table->id, partition->number);
		set_text(row, "partition_uuid", text);
		json_array_append_new(rows, row);
	}
}

/* Sets what is said of the table in `disk`, and its partitions in `rows`. `dos` without a GPT beside it is a table. */
static int read_tables(struct block *block, json_t *disk, json_t *rows, struct error *error)
{
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 };
	struct dos_table dos;
	char uuid[GPT_UUID];
	int rc = gpt_look(block, &look, error);

	if (rc > 0) {
		gpt_uuid(look.gpt.id, uuid);
		set_text(disk, "partition_table", "gpt");
		set_text(disk, "table_uuid", uuid);
		set_number(disk, "sector_bytes", look.gpt.sector_size);
		add_gpt(rows, &look.gpt);
	}
	if (rc >= 0 && *look.problem)
		set_text(disk, "problem", look.problem);
	if (rc)
		return MIN(rc, 0);
	if (*look.problem) {
		set_text(disk, "partition_table", "gpt");
		return 0;
	}
	rc = dos_table_read(block, &dos, error);
	if (rc > 0 && dos.count == 1 && dos.partitions[0].type == DOS_PROTECTIVE) {
		set_text(disk, "partition_table", "gpt");
		set_text(disk, "problem", "both copies are gone; what protects them is there");
	} else if (rc > 0) {
		snprintf(uuid, sizeof(uuid), "%08x", dos.id);
		set_text(disk, "partition_table", "dos");
		set_text(disk, "table_uuid", uuid);
		set_number(disk, "sector_bytes", 512);
		add_dos(rows, &dos);
	}
	return MIN(rc, 0);
}

/* ---- Contents ---- */

static bool is_table_type(const char *type)
{
	return !strcmp(type, "gpt") || !strcmp(type, "dos") || !strcmp(type, "PMBR");
}

static void set_if(json_t *row, const char *key, const char *text)
{
	if (*text)
		set_text(row, key, text);
}

static void set_found(json_t *row, const struct block_signature *found)
{
	set_text(row, "content", found->type);
	set_if(row, "label", found->label);
	set_if(row, "uuid", found->uuid);
}

static void look_into(json_t *row, struct block *part)
{
	struct block_signature found;
	struct error error = { 0 };
	uint64_t needed = 0;
	bool seed;
	int rc = block_signature_find(part, &found, &error);

	if (rc < 0) {
		set_text(row, "problem", error.text);
		return;
	}
	if (rc == 0 || is_table_type(found.type))
		return;
	set_found(row, &found);
	if (!block_signature_size(part, &found, &needed, NULL) && needed > part->size)
		set_text(row, "problem", "it is larger than where it is");
	seed = !strcasecmp(found.label, "cidata");
	if (!strncmp(found.type, "ext", 3))
		image_system_ext(row, part);
	else if (!strcmp(found.type, "vfat"))
		image_system_fat(row, part, seed);
	else if (seed)
		set_text(row, "seed_instance", "");
}

/* Of a row: what is there to look at; NULL where there is nothing, which the row says if that is wrong. */
static struct block *slice_of(json_t *row, struct block *block)
{
	uint64_t start = (uint64_t)json_integer_value(json_object_get(row, "start_bytes"));
	uint64_t size = (uint64_t)json_integer_value(json_object_get(row, "size_bytes"));
	const char *type = json_string_value(json_object_get(row, "type"));
	struct block *part = NULL;

	if (type && !strcmp(type, "extended"))
		return NULL;
	if (!size || !range_within(start, size, block->size)) {
		set_text(row, "problem", "it is not wholly on the disk");
		return NULL;
	}
	if (start % block->logical_block_size || size % block->logical_block_size ||
	    block_create_slice(&part, block->name, block, start, size, NULL)) {
		set_text(row, "problem", "it does not lie on whole blocks");
		return NULL;
	}
	return part;
}

/* ---- The disk ---- */

/* What a listing says of the disk is what its partitions say: of the first that says it. */
static void sum_up(json_t *disk, json_t *rows)
{
	static const char *const keys[] = { "os", "hostname", "seed_instance" };
	json_t *row, *value;
	size_t index;

	json_array_foreach(rows, index, row) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (json_is_null(json_object_get(disk, keys[i])))
				json_object_set(disk, keys[i], json_object_get(row, keys[i]));
		value = json_object_get(row, "kernel_versions");
		if (json_array_size(value) && json_is_null(json_object_get(disk, "kernel")))
			json_object_set(disk, "kernel",
					json_array_get(value, json_array_size(value) - 1));
		value = json_object_get(row, "problem");
		if (json_is_null(json_object_get(disk, "problem")) && json_is_string(value)) {
			json_t *number = json_object_get(row, "number");
			json_t *text = json_is_integer(number)
					       ? json_sprintf("partition %lld: %s",
							      (long long)json_integer_value(number),
							      json_string_value(value))
					       : json_incref(value);

			json_object_set_new(disk, "problem", text);
		}
	}
}

static json_t *new_disk(uint64_t size, json_t *name)
{
	static const char *const keys[] = {
		"partition_table", "table_uuid", "sector_bytes",  "content", "os",
		"hostname",        "kernel",     "seed_instance", "problem"
	};
	json_t *disk = json_object();

	json_object_set_new(disk, "name", name);
	set_number(disk, "size_bytes", size);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_set_new(disk, keys[i], json_null());
	return disk;
}

int image_look(const struct image_disk *of, json_t **out, struct error *error)
{
	struct block *block = of->block;
	json_t *disk = new_disk(block->size,
				of->is_object ? describe_text(of->word) : describe_path(of->word));
	json_t *rows = json_array(), *row;
	size_t index;
	int rc = read_tables(block, disk, rows, error);

	if (rc) {
		json_decref(disk);
		json_decref(rows);
		return rc;
	}
	json_object_set_new(disk, "parts", rows);
	set_number(disk, "partition_count", json_array_size(rows));
	/* A file system on all of it, also one whose first sector ends as a table's. */
	if (!json_array_size(rows)) {
		row = new_row(0, block->size);
		look_into(row, block);
		json_object_set(disk, "content", json_object_get(row, "content"));
		json_array_append_new(rows, row);
	} else {
		json_array_foreach(rows, index, row) {
			CLEANUP_BLOCK struct block *part =
				index < LOOKED_MOST ? slice_of(row, block) : NULL;

			if (part)
				look_into(row, part);
		}
	}
	sum_up(disk, rows);
	*out = disk;
	return 0;
}

int image_each_partition(struct block *block,
			 int (*fn)(void *arg, unsigned number, struct block *part), void *arg,
			 struct error *error)
{
	json_t *disk = new_disk(block->size, json_null()), *rows = json_array(), *row;
	size_t index;
	int rc = read_tables(block, disk, rows, error);

	if (!rc && !json_array_size(rows))
		rc = fn(arg, 0, block);
	json_array_foreach(rows, index, row) {
		CLEANUP_BLOCK struct block *part = rc ? NULL : slice_of(row, block);

		if (part)
			rc = fn(arg, (unsigned)json_integer_value(json_object_get(row, "number")),
				part);
	}
	json_decref(disk);
	json_decref(rows);
	return rc;
}
