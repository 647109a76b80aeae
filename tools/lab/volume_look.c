/* SPDX-License-Identifier: BSD-2-Clause */
/* A state that the disks may have when the power goes; see volume.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define PIECE_SECTORS 128u
#define AFTERWARDS    4u /* of so many states one takes another change, and one the same again */

void lab_volume_fails(struct lab_volume *volume, enum lab_failing kind, const char *format, ...)
{
	struct lab_explored *out = volume->out;
	va_list args;

	if (volume->failed)
		return;
	volume->failed = true;
	if (out->failures++)
		return;
	va_start(args, format);
	vsnprintf(out->what, sizeof(out->what), format, args);
	va_end(args);
	out->kind = kind;
	out->at_write = volume->states.writes;
	out->state = volume->states.states;
	out->pending = lab_states_pending(&volume->states, &out->keep_count, &out->pending_count);
}

/* ---- Data ---- */

static bool is_right(const struct lab_oracle *oracle, uint64_t sector, const char *bytes)
{
	struct lab_legal legal = lab_oracle_legal(oracle, sector, true);
	uint32_t version;

	/* Nothing was flushed there yet: what was on the disks before may be there. */
	if (!legal.least || legal.most == LAB_ANYTHING)
		return true;
	version = lab_oracle_version(oracle, sector, bytes);
	return version >= legal.least && version <= legal.most;
}

static void look_at_lv(struct lab_volume *volume, struct volume_group *group,
		       const struct lab_volume_expected *lv)
{
	const struct lab_oracle *oracle = &volume->expected[lv->slot];
	char bytes[PIECE_SECTORS * LAB_SECTOR];
	struct error error = { 0 };
	CLEANUP_BLOCK struct block *block = NULL;
	uint64_t sectors;

	if (volume_open_lv(group, lv->name, false, &block, &error)) {
		lab_volume_fails(volume, LAB_FAILS_REFUSED, "%s: %s", lv->name, error.text);
		return;
	}
	sectors = MIN(block->size / LAB_SECTOR, LAB_SLOT_SECTORS);
	for (uint64_t at = 0, count; at < sectors && !volume->failed; at += count) {
		count = MIN(PIECE_SECTORS, sectors - at);
		if (block_read(block, at * LAB_SECTOR, bytes, count * LAB_SECTOR))
			lab_volume_fails(volume, LAB_FAILS_UNREADABLE,
					 "%s: sector %llu cannot be read", lv->name,
					 (unsigned long long)at);
		for (uint64_t i = 0; i < count && !volume->failed; i++)
			if (!is_right(oracle, at + i, bytes + i * LAB_SECTOR))
				lab_volume_fails(volume, LAB_FAILS_SILENT,
						 "%s: sector %llu does not hold what was flushed",
						 lv->name, (unsigned long long)(at + i));
	}
}

/* Whether it is to be expected that what is on a disk which is gone cannot be read. */
static bool is_lost(const struct volume_group *group, const char *name)
{
	const struct volume_lv *lv = volume_group_get_lv(group, name);

	return group->partial && lv->partial;
}

void lab_volume_look_at_lvs(struct lab_volume *volume, struct volume_scan *found,
			    const struct lab_volume_snapshot *snapshot)
{
	for (unsigned i = 0; i < snapshot->here.lv_count && !volume->failed; i++) {
		const struct lab_volume_expected *lv = &snapshot->here.lvs[i];
		struct volume_group *group = NULL;
		unsigned groups = 0;

		for (unsigned k = 0; k < found->group_count; k++)
			if (volume_group_get_lv(found->groups[k], lv->name)) {
				group = found->groups[k];
				groups++;
			}
		if (groups != 1)
			lab_volume_fails(volume, LAB_FAILS_MISFIT,
					 "%s: %u groups have it, expected one", lv->name, groups);
		else if (!snapshot->here.gone || !is_lost(group, lv->name))
			look_at_lv(volume, group, lv);
	}
}

/* ---- Metadata ---- */

/* Old or new, where an operation is on its way; NULL: neither. Where the metadata is the same, disks say which. */
static const struct lab_volume_snapshot *snapshot_of(const struct lab_volume *volume,
						     const struct volume_scan *found, bool exactly)
{
	CLEANUP_FREE char *text = lab_volume_text(found), *devices = lab_volume_devices(found);
	const char *known = volume->snapshots[volume->done].text;
	const struct lab_volume_snapshot *best = NULL;

	for (unsigned i = volume->done; i <= volume->begun; i++) {
		const struct lab_volume_snapshot *one = &volume->snapshots[i];

		if (exactly ? strcmp(text, one->text) : !lab_volume_alike(text, one->text, known))
			continue;
		if (!best || !strcmp(devices, one->devices))
			best = one;
	}
	return best;
}

const struct lab_volume_snapshot *lab_volume_settle(struct lab_volume_stage *stage,
						    const struct lab_volume_op *op, bool exactly,
						    struct volume_scan **found, struct error *error)
{
	const struct lab_volume *volume = stage->volume;
	const struct lab_volume_operation *operation = op ? lab_volume_operation(op) : NULL;
	const struct lab_volume_snapshot *snapshot;

	if (lab_volume_scan(stage, found, error))
		return NULL;
	snapshot = snapshot_of(volume, *found, exactly);
	if (snapshot || !operation || !operation->finish)
		return snapshot;
	volume_scan_free(steal_pointer(found));
	if (operation->finish(stage, error) || lab_volume_scan(stage, found, error))
		return NULL;
	snapshot = snapshot_of(volume, *found, false);
	/* A move that was undone leaves things in other places. */
	return snapshot || !operation->moves ? snapshot : &volume->snapshots[volume->done];
}

/* The operation that the power took away. */
static void again(struct lab_volume *volume, struct lab_volume_stage *stage,
		  const struct lab_volume_op *op)
{
	const struct lab_volume_snapshot *expected = &volume->snapshots[volume->begun];
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL;
	struct error error = { 0 };

	if (lab_volume_op_run(stage, op, &error))
		lab_volume_fails(volume, LAB_FAILS_REFUSED, "it cannot be done again: %s",
				 error.text);
	else if (lab_volume_scan(stage, &found, &error))
		lab_volume_fails(volume, LAB_FAILS_REFUSED, "done again: %s", error.text);
	else if (!lab_volume_operation(op)->moves &&
		 snapshot_of(volume, found, false) != expected &&
		 !lab_volume_alike(expected->text, volume->snapshots[volume->done].text, ""))
		lab_volume_fails(volume, LAB_FAILS_MISFIT,
				 "done again it is not what it was at first");
	else
		lab_volume_look_at_lvs(volume, found, expected);
}

/* Something else, in a group that can be changed. */
static void another_change(struct lab_volume *volume, struct lab_volume_stage *stage,
			   const struct lab_volume_snapshot *snapshot)
{
	const struct volume_lv_options options = { .extents = 1 };
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL, *now = NULL;
	struct error error = { 0 };
	struct volume_group *group, *after;
	uint32_t seqno;
	int rc;

	if (lab_volume_scan(stage, &found, &error) ||
	    volume_scan_find(found, snapshot->here.group, &group, NULL) || group->locked_reason)
		return;
	rc = volume_lv_create(group, "afterwards", &options, NULL, &error);
	seqno = group->seqno;
	/* That there is no room for it is no failure. */
	if (rc && rc != -ENOSPC)
		lab_volume_fails(volume, LAB_FAILS_REFUSED, "it cannot be changed any more: %s",
				 error.text);
	else if (lab_volume_scan(stage, &now, &error) ||
		 volume_scan_find(now, snapshot->here.group, &after, &error))
		lab_volume_fails(volume, LAB_FAILS_REFUSED, "after a change: %s", error.text);
	else if (after->seqno < seqno || (!rc && after->problem_count))
		lab_volume_fails(volume, LAB_FAILS_REFUSED,
				 "after a change it is not found as it is: %s",
				 after->problem_count ? after->problems[0] : "it is older");
	else
		lab_volume_look_at_lvs(volume, now, snapshot);
}

void lab_volume_go_on(struct lab_volume_stage *stage, const struct lab_volume_op *op,
		      const struct lab_volume_snapshot *snapshot)
{
	struct lab_volume *volume = stage->volume;
	bool is_old = snapshot == &volume->snapshots[volume->done];
	uint64_t turn =
		(volume->states.states + volume->out->trials + volume->options->seed) % AFTERWARDS;

	stage->here = snapshot->here;
	if (op && is_old && turn == 1)
		again(volume, stage, op);
	else if (turn == 0)
		another_change(volume, stage, snapshot);
}

/* After an operation that was told to be done, and before the next, disks are what they were. */
static void look_at_devices(struct lab_volume *volume, const struct volume_scan *found,
			    const struct lab_volume_snapshot *snapshot)
{
	CLEANUP_FREE char *devices = lab_volume_devices(found);

	if (volume->begun == volume->done && strcmp(devices, snapshot->devices))
		lab_volume_fails(volume, LAB_FAILS_MISFIT,
				 "after the %u. operation disks are not what they were: %s, "
				 "expected %s",
				 volume->done, devices, snapshot->devices);
}

void lab_volume_look(struct lab_volume *volume)
{
	const struct lab_volume_plan *plan = &volume->scenario->volume;
	const struct lab_volume_op *op =
		volume->begun > volume->done ? &plan->parsed[volume->done] : NULL;
	struct lab_volume_stage stage = { .volume = volume,
					  .disks = volume->states.disks,
					  .here = volume->snapshots[volume->done].here };
	const struct lab_volume_snapshot *snapshot;
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL;
	struct error error = { 0 };

	volume->failed = false;
	snapshot = lab_volume_settle(&stage, op, true, &found, &error);
	if (!snapshot) {
		lab_volume_fails(volume, LAB_FAILS_MISFIT,
				 "the metadata is neither what it was before the %u. operation "
				 "(%s) nor after it%s%s",
				 volume->begun,
				 volume->begun ? plan->ops.texts[volume->begun - 1] : "none",
				 error.code ? ": " : "", error.text);
	} else {
		look_at_devices(volume, found, snapshot);
		lab_volume_look_at_lvs(volume, found, snapshot);
	}
	if (!volume->failed)
		lab_volume_go_on(&stage, op, snapshot);
	lab_volume_stage_end(&stage);
}
