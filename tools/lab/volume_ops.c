/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be done with a group in a scenario; see volume.h. Whoever adds an operation adds a row; one of a kind of volume that is not
 * there yet (a snapshot, a pool) says with it what its volumes must hold.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/volume_move.h"

#define PIECE_SECTORS 128u

/* ---- Words ---- */

static struct lab_volume_expected *find_lv(struct lab_volume *volume, const char *name)
{
	for (unsigned i = 0; i < volume->lv_count; i++)
		if (!strcmp(volume->lvs[i].name, name))
			return &volume->lvs[i];
	return NULL;
}

/* "disk2". */
static struct lab_disk *find_disk(struct lab_volume *volume, const char *name, struct error *error)
{
	unsigned number;
	char rest;

	if (sscanf(name, "disk%u%c", &number, &rest) == 1 && number < volume->scenario->disk_count)
		return volume->disks[number];
	error_set(error, -ENOENT, "%s: expected disk0 to disk%u", name,
		  volume->scenario->disk_count - 1);
	return NULL;
}

static struct volume_pv *find_pv(struct lab_volume *volume, const char *name, struct error *error)
{
	struct lab_disk *disk = find_disk(volume, name, error);

	for (unsigned i = 0; disk && i < volume->group->pv_count; i++)
		if (volume->group->pvs[i]->block == &disk->block)
			return volume->group->pvs[i];
	if (disk)
		error_set(error, -ENOENT, "%s: is not in the group", name);
	return NULL;
}

static int parse_size(const char *text, uint64_t *size, struct error *error)
{
	int rc = size_parse(text, size, error);

	if (!rc && (!*size || *size > LAB_SLOT_SECTORS * LAB_SECTOR))
		rc = error_set(error, -EINVAL, "%s: expected at most %u KiB", text,
			       LAB_SLOT_SECTORS / 2);
	return rc;
}

/* ---- Data ---- */

static void note(struct lab_volume *volume, enum lab_trace_kind kind, unsigned slot,
		 uint64_t sector, uint64_t count, uint32_t version, bool flag)
{
	lab_trace_add(&volume->trace, &(struct lab_trace_event){ .kind = kind,
								 .disk = slot,
								 .flag = flag,
								 .number = version,
								 .offset = sector,
								 .length = count });
}

static int write_all(struct lab_volume *volume, const struct lab_volume_expected *lv,
		     uint32_t version, struct block *block)
{
	CLEANUP_FREE char *bytes = malloc(PIECE_SECTORS * LAB_SECTOR);
	int rc = bytes ? 0 : -ENOMEM;

	for (uint64_t at = 0, count; at < lv->sectors && !rc; at += count) {
		count = MIN(PIECE_SECTORS, lv->sectors - at);
		lab_oracle_fill(&volume->written[lv->slot], at, count, version, bytes);
		rc = block_write(block, at * LAB_SECTOR, bytes, count * LAB_SECTOR, 0);
	}
	return rc ? rc : block_flush(block);
}

/* All of it is written anew and flushed. */
static int write_lv(struct lab_volume *volume, const char *name, struct error *error)
{
	struct lab_volume_expected *lv = find_lv(volume, name);
	CLEANUP_BLOCK struct block *block = NULL;
	uint32_t version;
	int rc;

	if (!lv)
		return error_set(error, -ENOENT, "%s: there is no such volume", name);
	rc = volume_open_lv(volume->group, name, true, &block, error);
	if (rc)
		return rc;
	/* The size that was asked for is rounded up, to extents of each stripe. */
	if (block->size > LAB_SLOT_SECTORS * LAB_SECTOR)
		return error_set(error, -EINVAL, "%s: became %llu KiB, expected at most %u KiB",
				 name, (unsigned long long)block->size >> 10, LAB_SLOT_SECTORS / 2);
	lv->sectors = block->size / LAB_SECTOR;
	version = lab_oracle_issue(&volume->written[lv->slot], 0, lv->sectors);
	note(volume, LAB_TRACE_ISSUE, lv->slot, 0, lv->sectors, version, false);
	rc = write_all(volume, lv, version, block);
	if (rc)
		return error_set(error, rc, "%s: writing it: %s", name, error_name(rc));
	note(volume, LAB_TRACE_ACK, lv->slot, 0, lv->sectors, version, true);
	return 0;
}

/* ---- Operations ---- */

static int do_create(struct lab_volume *volume, char *const *words, unsigned count,
		     struct error *error)
{
	struct lab_volume_expected *lv = &volume->lvs[volume->lv_count];
	struct volume_lv_options options = { .stripes = count > 2 ? (unsigned)atoi(words[2]) : 1 };
	int rc = parse_size(words[1], &options.size, error);

	if (volume->slot_count == LAB_SLOTS)
		return error_set(error, -E2BIG, "expected at most %u volumes", LAB_SLOTS);
	if (!rc)
		rc = volume_lv_create(volume->group, words[0], &options, NULL, error);
	if (rc)
		return rc;
	*lv = (struct lab_volume_expected){ strdup(words[0]), volume->slot_count++, 0 };
	volume->lv_count++;
	return write_lv(volume, words[0], error);
}

static int do_resize(struct lab_volume *volume, char *const *words, unsigned count,
		     struct error *error)
{
	struct lab_volume_expected *lv = find_lv(volume, words[0]);
	uint64_t size;
	int rc = parse_size(words[1], &size, error);

	(void)count;
	if (!rc && !lv)
		rc = error_set(error, -ENOENT, "%s: there is no such volume", words[0]);
	if (rc)
		return rc;
	/* From here on nobody asks for what will not be there. */
	if (size / LAB_SECTOR < lv->sectors)
		note(volume, LAB_TRACE_FORGET, lv->slot, size / LAB_SECTOR,
		     lv->sectors - size / LAB_SECTOR, 0, false);
	rc = volume_lv_resize(volume->group, words[0], size, NULL, error);
	return rc ? rc : write_lv(volume, words[0], error);
}

static int do_rename(struct lab_volume *volume, char *const *words, unsigned count,
		     struct error *error)
{
	struct lab_volume_expected *lv = find_lv(volume, words[0]);
	int rc = volume_lv_rename(volume->group, words[0], words[1], error);

	(void)count;
	if (rc || !lv)
		return rc;
	free(lv->name);
	lv->name = strdup(words[1]);
	return 0;
}

static int do_remove(struct lab_volume *volume, char *const *words, unsigned count,
		     struct error *error)
{
	struct lab_volume_expected *lv = find_lv(volume, words[0]);
	int rc = volume_lv_remove(volume->group, words[0], error);

	(void)count;
	if (rc || !lv)
		return rc;
	free(lv->name);
	*lv = volume->lvs[--volume->lv_count];
	return 0;
}

static int do_write(struct lab_volume *volume, char *const *words, unsigned count,
		    struct error *error)
{
	(void)count;
	return write_lv(volume, words[0], error);
}

static int do_tag(struct lab_volume *volume, char *const *words, unsigned count,
		  struct error *error)
{
	const char *const tags[] = { words[1] };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };

	(void)count;
	return volume_lv_set(volume->group, words[0], &settings, error);
}

static int do_move(struct lab_volume *volume, char *const *words, unsigned count,
		   struct error *error)
{
	struct volume_pv *from = find_pv(volume, words[0], error);
	struct volume_pv *to = from ? find_pv(volume, words[1], error) : NULL;
	const struct volume_move_options options = { .from = from, .to = &to, .to_count = 1 };
	uint32_t extents;
	int rc;

	(void)count;
	if (!to)
		return error->code;
	rc = volume_move_begin(volume->group, &options, &extents, error);
	if (!rc)
		rc = volume_move_start(volume->group, NULL, error);
	return rc ? rc : volume_move_wait(volume->group, NULL, NULL, 1000000000, error);
}

static int do_vg_extend(struct lab_volume *volume, char *const *words, unsigned count,
			struct error *error)
{
	struct lab_disk *disk = find_disk(volume, words[0], error);

	(void)count;
	return disk ? volume_group_extend(volume->group, (struct block *const[]){ &disk->block }, 1,
					  NULL, error)
		    : error->code;
}

static int do_vg_reduce(struct lab_volume *volume, char *const *words, unsigned count,
			struct error *error)
{
	struct volume_pv *pv = find_pv(volume, words[0], error);

	(void)count;
	return pv ? volume_group_reduce(volume->group, pv, error) : error->code;
}

static int do_vg_rename(struct lab_volume *volume, char *const *words, unsigned count,
			struct error *error)
{
	(void)count;
	return volume_group_rename(volume->group, words[0], error);
}

/* ---- The table ---- */

static const struct operation {
	const char *name, *words;
	unsigned least, most;
	bool has_steps;
	int (*run)(struct lab_volume *volume, char *const *words, unsigned count,
		   struct error *error);
} operations[] = {
	{ "create", "NAME SIZE [STRIPES]", 2, 3, false, do_create },
	{ "resize", "NAME SIZE", 2, 2, false, do_resize },
	{ "rename", "NAME NEW", 2, 2, false, do_rename },
	{ "remove", "NAME", 1, 1, false, do_remove },
	{ "write", "NAME", 1, 1, false, do_write },
	{ "tag", "NAME TAG", 2, 2, false, do_tag },
	{ "move", "DISK DISK", 2, 2, true, do_move },
	{ "vg-extend", "DISK", 1, 1, false, do_vg_extend },
	{ "vg-reduce", "DISK", 1, 1, false, do_vg_reduce },
	{ "vg-rename", "NEW", 1, 1, false, do_vg_rename },
};

bool lab_volume_op_has_steps(const struct lab_volume_op *op)
{
	return operations[op->number].has_steps;
}

int lab_volume_op_parse(const char *text, struct lab_volume_op *op, struct error *error)
{
	char *rest, *word;

	*op = (struct lab_volume_op){ 0 };
	snprintf(op->text, sizeof(op->text), "%s", text);
	rest = op->text;
	word = strsep(&rest, " ");
	while (rest && op->count < ARRAY_SIZE(op->words))
		op->words[op->count++] = strsep(&rest, " ");
	for (; op->number < ARRAY_SIZE(operations); op->number++)
		if (!strcmp(word, operations[op->number].name))
			break;
	if (op->number == ARRAY_SIZE(operations))
		return error_set(error, -EINVAL,
				 "'%s': expected create, resize, rename, remove, write, tag, move, "
				 "vg-extend, vg-reduce or vg-rename",
				 text);
	if (rest || strlen(text) >= sizeof(op->text) || op->count < operations[op->number].least ||
	    op->count > operations[op->number].most)
		return error_set(error, -EINVAL, "'%s': expected %s %s", text,
				 operations[op->number].name, operations[op->number].words);
	return 0;
}

int lab_volume_op_run(struct lab_volume *volume, const struct lab_volume_op *op,
		      struct error *error)
{
	return operations[op->number].run(volume, op->words, op->count, error);
}
