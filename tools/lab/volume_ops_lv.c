/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on volumes; see volume_ops.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"
#include "util/size.h"
#include "volume/volume_move.h"
#include "volume/volume_raid.h"

#define PIECE_SECTORS 128u

/* ---- Words ---- */

static struct lab_volume_expected *find_lv(struct lab_volume_stage *stage, const char *name)
{
	for (unsigned i = 0; i < stage->here.lv_count; i++)
		if (!strcmp(stage->here.lvs[i].name, name))
			return &stage->here.lvs[i];
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
static int write_lv(struct lab_volume_stage *stage, struct volume_group *group, const char *name,
		    struct error *error)
{
	struct lab_volume *volume = stage->volume;
	struct lab_volume_expected *lv = find_lv(stage, name);
	CLEANUP_BLOCK struct block *block = NULL;
	uint32_t version;
	int rc;

	if (!lv)
		return error_set(error, -ENOENT, "%s: there is no such volume", name);
	if (!stage->recorded)
		return 0;
	rc = volume_open_lv(group, name, true, &block, error);
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

/* ---- Coming, changing, going ---- */

static int create(struct lab_volume_stage *stage, const char *name,
		  const struct volume_lv_options *options, struct error *error)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct lab_volume_expected *lv = &stage->here.lvs[stage->here.lv_count];
	int rc;

	if (!group)
		return error->code;
	if (stage->here.slot_count == LAB_SLOTS)
		return error_set(error, -E2BIG, "expected at most %u volumes", LAB_SLOTS);
	rc = volume_lv_create(group, name, options, NULL, error);
	if (rc)
		return rc;
	*lv = (struct lab_volume_expected){ .slot = stage->here.slot_count++ };
	memcpy(lv->name, name, strlen(name) + 1);
	stage->here.lv_count++;
	return write_lv(stage, group, name, error);
}

LAB_VOLUME_OP(lab_op_create)
{
	struct volume_lv_options options = { .stripes = count > 2 ? (unsigned)atoi(words[2]) : 1 };
	int rc = parse_size(words[1], &options.size, error);

	return rc ? rc : create(stage, words[0], &options, error);
}

LAB_VOLUME_OP(lab_op_create_raid)
{
	struct volume_lv_options options = { .type = words[2],
					     .stripes = count > 3 ? (unsigned)atoi(words[3]) : 1,
					     .no_sync = true };
	int rc = parse_size(words[1], &options.size, error);

	return rc ? rc : create(stage, words[0], &options, error);
}

LAB_VOLUME_OP(lab_op_resize)
{
	struct lab_volume_expected *lv = find_lv(stage, words[0]);
	struct volume_group *group;
	uint64_t size;
	int rc = parse_size(words[1], &size, error);

	(void)count;
	if (!rc && !lv)
		rc = error_set(error, -ENOENT, "%s: there is no such volume", words[0]);
	if (rc)
		return rc;
	group = lab_volume_group(stage, NULL, error);
	if (!group)
		return error->code;
	/* From here on nobody asks for what will not be there. */
	if (stage->recorded && size / LAB_SECTOR < lv->sectors)
		note(stage->volume, LAB_TRACE_FORGET, lv->slot, size / LAB_SECTOR,
		     lv->sectors - size / LAB_SECTOR, 0, false);
	rc = volume_lv_resize(group, words[0], size, NULL, error);
	return rc ? rc : write_lv(stage, group, words[0], error);
}

LAB_VOLUME_OP(lab_op_rename)
{
	struct lab_volume_expected *lv = find_lv(stage, words[0]);
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	int rc = group ? volume_lv_rename(group, words[0], words[1], error) : error->code;

	(void)count;
	if (!rc && lv)
		memcpy(lv->name, words[1], strlen(words[1]) + 1);
	return rc;
}

LAB_VOLUME_OP(lab_op_remove)
{
	struct lab_volume_expected *lv = find_lv(stage, words[0]);
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	int rc = group ? volume_lv_remove(group, words[0], error) : error->code;

	(void)count;
	if (!rc && lv)
		*lv = stage->here.lvs[--stage->here.lv_count];
	return rc;
}

LAB_VOLUME_OP(lab_op_write)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);

	(void)count;
	return group ? write_lv(stage, group, words[0], error) : error->code;
}

LAB_VOLUME_OP(lab_op_tag)
{
	const char *const tags[] = { words[1] };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };
	struct volume_group *group = lab_volume_group(stage, NULL, error);

	(void)count;
	return group ? volume_lv_set(group, words[0], &settings, error) : error->code;
}

LAB_VOLUME_OP(lab_op_lv_change)
{
	const bool writable = strcmp(words[1], "read-only") != 0;
	const struct volume_settings settings = { .writable = &writable };
	struct volume_group *group = lab_volume_group(stage, NULL, error);

	(void)count;
	return group ? volume_lv_set(group, words[0], &settings, error) : error->code;
}

LAB_VOLUME_OP(lab_op_lv_repair)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	unsigned replaced;

	(void)count;
	return group ? volume_lv_repair(group, words[0], NULL, &replaced, error) : error->code;
}

/* What an array lost is told by whoever looks at it: places with a member less. */
static unsigned count_lost(struct volume_group *group, const char *name)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct raid_array *array = NULL;
	struct raid_status status;
	struct error error = { 0 };
	unsigned lost;

	if (volume_open_lv(group, name, false, &block, &error))
		return 1;
	for (unsigned i = 0; i < group->lv_count && !array; i++)
		if (!strcmp(group->lvs[i]->name, name))
			array = volume_lv_array(group->lvs[i]);
	if (!array)
		return 0;
	raid_status(array, &status);
	lost = status.missing;
	for (unsigned i = 0; i < status.member_count; i++)
		lost += status.members[i].state == RAID_MEMBER_FAULTY ||
			status.members[i].state == RAID_MEMBER_STALE;
	raid_status_free(&status);
	return lost;
}

LAB_VOLUME_OP(lab_op_lv_convert)
{
	const struct volume_convert wish = { .type = words[1],
					     .mirrors = (unsigned)atoi(words[2]) };
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	int rc = group ? volume_lv_convert(group, words[0], &wish, error) : error->code;

	(void)count;
	if (!rc)
		stage->problems += count_lost(group, words[0]);
	return rc;
}

/* Its second commit takes a status away that says no more than the first. */
int lab_finish_lv_repair(struct lab_volume_stage *stage, struct error *error)
{
	(void)stage, (void)error;
	return 0;
}

/* ---- Moving ---- */

static int move(struct volume_group *group, const struct volume_move_options *options,
		struct error *error)
{
	uint32_t extents;
	int rc = volume_move_begin(group, options, &extents, error);

	if (!rc)
		rc = volume_move_start(group, NULL, error);
	return rc ? rc : volume_move_wait(group, NULL, NULL, 1000000000, error);
}

LAB_VOLUME_OP(lab_op_move)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *from = group ? lab_volume_find_pv(stage, words[0], error) : NULL;
	struct volume_pv *to = from ? lab_volume_find_pv(stage, words[1], error) : NULL;
	const struct volume_move_options options = { .from = from, .to = &to, .to_count = 1 };

	(void)count;
	return to ? move(group, &options, error) : error->code;
}

LAB_VOLUME_OP(lab_op_lv_move)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *to = group ? lab_volume_find_pv(stage, words[1], error) : NULL;
	const char *const names[] = { words[0] };
	const struct volume_move_options options = {
		.volumes = names, .volume_count = 1, .to = &to, .to_count = 1
	};

	(void)count;
	return to ? move(group, &options, error) : error->code;
}

/* It goes on, or back. */
int lab_finish_move(struct lab_volume_stage *stage, struct error *error)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_move_status status;
	int rc;

	if (!group)
		return error->code;
	volume_move_status(group, &status);
	if (!status.half_done)
		return 0;
	if (stage->volume->states.states % 2)
		return volume_move_abort(group, error);
	rc = volume_move_start(group, NULL, error);
	return rc ? rc : volume_move_wait(group, NULL, NULL, 1000000000, error);
}
