/* SPDX-License-Identifier: BSD-2-Clause */
/* Committing a group's metadata in two phases; see commit.h. */
#include "volume/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/archive.h"
#include "volume/lvm_io.h"

/* Of each header of the last step, before it is told as failed. */
#define ATTEMPTS 2

/* ---- Where ---- */

/* The area as its label has it, where its own header is damaged. */
static bool rebuild_area(const struct volume_pv *pv, unsigned number, struct lvm_metadata_area *out)
{
	const struct lvm_location *where = &pv->private->label.metadata[number];

	*out = (struct lvm_metadata_area){ .start = where->offset, .size = where->size };
	return where->size >= LVM_METADATA_SIZE_MIN &&
	       range_within(where->offset, where->size, pv->block->size);
}

static int add_target(struct lvm_commit *commit, struct volume_pv *pv, unsigned number,
		      struct error *error)
{
	struct lvm_commit_target *target = &commit->targets[commit->count];
	int rc;

	target->pv = pv;
	target->to = &pv->private->areas[number];
	target->area = target->to->area;
	if (!target->to->readable && !rebuild_area(pv, number, &target->area))
		return 0;
	if (target->area.ignored)
		return 0;
	target->slot = (struct lvm_slot){ .size = commit->size, .crc = commit->crc };
	rc = lvm_metadata_place(&target->area, commit->size, pv->block->name, &target->slot.offset,
				error);
	commit->count += !rc;
	return rc;
}

static int find_targets(struct lvm_commit *commit, struct error *error)
{
	struct volume_group *group = commit->group;
	size_t most = 0;

	for (unsigned i = 0; i < group->pv_count; i++)
		most += group->pvs[i]->private->area_count;
	commit->targets = calloc(most + 1, sizeof(*commit->targets));
	if (!commit->targets)
		return error_set(error, -ENOMEM, "volume group %s: no memory for metadata",
				 group->name);
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		if (!pv->block || pv->duplicate)
			continue;
		for (unsigned k = 0; k < pv->private->area_count; k++) {
			int rc = add_target(commit, pv, k, error);

			if (rc)
				return rc;
		}
	}
	if (!commit->count)
		return error_set(error, -EROFS,
				 "volume group %s: none of its PVs has a metadata area in use",
				 group->name);
	return 0;
}

/* A device that became shorter since it was opened answers so at its end. A change that relies on what is
 * gone must not be made; what else a read there says is not about its length. Of one that was shorter then already it is known. */
static int check_lengths(struct volume_group *group, struct error *error)
{
	uint8_t sector[LVM_SECTOR_SIZE];

	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];
		uint64_t end = lvm_pv_end(group, pv), last;

		if (!pv->block)
			continue;
		last = MIN(end, round_down(pv->block->size, sizeof(sector)));
		if (lvm_read(pv->block, last - sizeof(sector), sector, sizeof(sector), NULL) !=
		    -ENXIO)
			continue;
		error_set(error, -ENXIO,
			  "volume group %s: the change was not made: %s became shorter, PV %s "
			  "on it must have %llu bytes again",
			  group->name, pv->block->name, pv->uuid,
			  (unsigned long long)MAX(end, pv->device_size));
		return error_advise(
			error,
			"where that cannot be: end who has it open (`tenon status`), and look at "
			"it anew: `tenon vg show %s`",
			group->name);
	}
	return 0;
}

/* ---- Steps 1 and 2 ---- */

static int flush(struct lvm_commit *commit, struct error *error)
{
	for (unsigned i = 0; i < commit->count; i++) {
		bool done = false;
		int rc;

		for (unsigned k = 0; k < i; k++)
			done |= commit->targets[k].pv == commit->targets[i].pv;
		rc = done ? 0 : lvm_flush(commit->targets[i].pv->block, error);
		if (rc)
			return rc;
	}
	return 0;
}

static int write_texts(struct lvm_commit *commit, struct error *error)
{
	for (unsigned i = 0; i < commit->count; i++) {
		struct lvm_commit_target *target = &commit->targets[i];
		int rc = lvm_metadata_text_write(target->pv->block, &target->area,
						 target->slot.offset, commit->text.at, commit->size,
						 error);

		if (rc)
			return rc;
	}
	return flush(commit, error);
}

/* A header that was damaged is sound from now on, and names no text yet. */
static void take_rebuilt(struct lvm_commit_target *target)
{
	if (target->to->readable)
		return;
	target->to->area = target->area;
	target->to->area.precommitted = (struct lvm_slot){ 0 };
	target->to->readable = true;
}

static int precommit(struct lvm_commit *commit, struct error *error)
{
	int rc;

	commit->group->private->seqno_tried = commit->group->seqno;
	for (unsigned i = 0; i < commit->count; i++) {
		struct lvm_commit_target *target = &commit->targets[i];

		target->area.precommitted = target->slot;
		rc = lvm_metadata_area_write(target->pv->block, &target->area, error);
		if (rc)
			return rc;
	}
	rc = flush(commit, error);
	for (unsigned i = 0; !rc && i < commit->count; i++)
		take_rebuilt(&commit->targets[i]);
	return rc;
}

/* Takes precommitted slots back, as far as the disks let it: they say nothing to readers anyway. */
static void revert(struct lvm_commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++) {
		struct lvm_commit_target *target = &commit->targets[i];

		if (!target->area.precommitted.size)
			continue;
		target->area.precommitted = (struct lvm_slot){ 0 };
		lvm_metadata_area_write(target->pv->block, &target->area, NULL);
	}
}

/* ---- Step 3 ---- */

/* Proves what is on the disk: 0 only for a header that was written and flushed. */
static int write_header(const struct lvm_commit_target *target,
			const struct lvm_metadata_area *area, struct error *error)
{
	int rc = lvm_metadata_area_write(target->pv->block, area, error);

	return rc ? rc : lvm_flush(target->pv->block, error);
}

static int commit_slot(struct lvm_commit_target *target, struct error *error)
{
	struct lvm_metadata_area area = target->area;
	int rc = -EIO;

	area.committed = target->slot;
	area.precommitted = (struct lvm_slot){ 0 };
	target->to->settled = false;
	for (unsigned i = 0; rc && i < ATTEMPTS; i++)
		rc = write_header(target, &area, error);
	if (rc)
		return rc;
	target->area = area;
	target->committed = true;
	return 0;
}

/* No header of the change is known to be durable: puts the former ones back. 0 if all of them are. */
static int roll_back(struct lvm_commit *commit)
{
	int rc = 0;

	for (unsigned i = 0; i < commit->count; i++) {
		struct lvm_commit_target *target = &commit->targets[i];
		int one;

		target->area.precommitted = (struct lvm_slot){ 0 };
		one = write_header(target, &target->area, NULL);
		target->to->settled = !one;
		rc = rc ? rc : one;
	}
	return rc;
}

/* What the devices say of a change that is unknown, for the user. */
static const char *read_again(const struct lvm_commit *commit)
{
	bool new = false, old = false;

	for (unsigned i = 0; i < commit->count; i++) {
		const struct lvm_commit_target *target = &commit->targets[i];
		const struct lvm_location where = { target->area.start, target->area.size };
		struct lvm_metadata_area found;

		if (lvm_metadata_area_read(target->pv->block, &where, &found, NULL))
			continue;
		if (lvm_slot_equal(&found.committed, &target->slot))
			new = true;
		else
			old = true;
	}
	if (new)
		return "the devices read as if it was made";
	return old ? "the devices read as if it was not made" : "the devices cannot be read";
}

static int fail_unknown(struct lvm_commit *commit, int rc, struct error *error)
{
	commit->group->private->unsure = true;
	error_prefix(error, "volume group %s: it is unknown whether the change was made",
		     commit->group->name);
	error_advise(error,
		     "%s, which a cut of power may undo; mend the device, then look at the group",
		     read_again(commit));
	return rc;
}

static int commit_slots(struct lvm_commit *commit, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < commit->count; i++) {
		int one = commit_slot(&commit->targets[i], rc ? NULL : error);

		commit->made |= !one;
		rc = rc ? rc : one;
	}
	if (commit->made)
		return 0;
	if (roll_back(commit))
		return fail_unknown(commit, rc, error);
	error_prefix(error, "volume group %s: the change was not made", commit->group->name);
	return rc;
}

/* ---- All together ---- */

/* A device that did not take the header gets it with the next change: the text is there. */
static void keep_failed(struct volume_group *group, struct lvm_commit_target *target)
{
	target->area.committed = target->slot;
	target->area.precommitted = (struct lvm_slot){ 0 };
	lvm_vg_problem_unwritten(group, target->pv, target->area.start);
}

static void finish(struct lvm_commit *commit)
{
	struct volume_group *group = commit->group;

	for (unsigned i = 0; i < commit->count; i++) {
		struct lvm_commit_target *target = &commit->targets[i];

		if (!target->committed)
			keep_failed(group, target);
		target->to->current = target->committed;
		target->to->unwritten = target->to->unwritten_told = !target->committed;
		target->to->settled = target->committed;
		target->to->area = target->area;
	}
	lvm_commit_take(commit);
	lvm_vg_problems_judge(group);
}

/* All that reads only. */
static int plan(struct lvm_commit *commit, struct volume_group *group, struct error *error)
{
	int rc = lvm_commit_build(commit, group, error);

	if (!rc)
		rc = find_targets(commit, error);
	return rc ? rc : check_lengths(group, error);
}

int lvm_vg_check_commit(struct volume_group *group, struct error *error)
{
	CLEANUP_COMMIT struct lvm_commit commit = { 0 };

	return plan(&commit, group, error);
}

int lvm_commit_prepare(struct lvm_commit *commit, struct volume_group *group, struct error *error)
{
	int rc = plan(commit, group, error);

	if (rc)
		return rc;
	rc = lvm_vg_settle(group, error);
	if (rc)
		error_prefix(error, "volume group %s: the change was not made", group->name);
	else
		lvm_archive_before(group, !commit->old_seqno);
	return rc;
}

int lvm_commit_write(struct lvm_commit *commit, struct error *error)
{
	int rc = write_texts(commit, error);

	if (!rc)
		rc = precommit(commit, error);
	if (rc) {
		revert(commit);
		error_prefix(error, "volume group %s: the change was not made",
			     commit->group->name);
		return rc;
	}
	rc = commit_slots(commit, error);
	if (!rc) {
		finish(commit);
		lvm_archive_after(commit->group);
	}
	return rc;
}

int lvm_vg_commit(struct volume_group *group, struct error *error)
{
	CLEANUP_COMMIT struct lvm_commit commit = { 0 };
	int rc = lvm_commit_prepare(&commit, group, error);

	return rc ? rc : lvm_commit_write(&commit, error);
}
