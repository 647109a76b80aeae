/*
 * Committing a group's metadata in two phases, so that a cut of power at any write leaves either the
 * old or the new metadata valid in each area, and the newest one is found by its sequence number:
 *
 *	1. the text into free space of the ring of each area      flush
 *	2. slot 1 (precommitted) of each header                    flush
 *	3. slot 0 (committed), slot 1 cleared                      flush
 *
 * Readers look only at slot 0. Between the first and the last header of step 3 the areas differ, and
 * the higher number wins. Areas that are stale or damaged take part like the others, and so are
 * repaired; ignored ones are left alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"

struct target {
	struct volume_pv *pv;
	struct volume_metadata_area *to;
	struct lvm_metadata_area area; /* as on disk, or new where the header is damaged */
	struct lvm_slot slot;          /* of the new text */
	bool committed;
};

struct commit {
	struct volume_group *group;
	struct lvm_text text;
	uint64_t size; /* with the NUL */
	struct target *targets;
	unsigned count;
	struct error *error;
};

/* ---- What and where ---- */

int64_t lvm_vg_now(const struct volume_group *group)
{
	return group->private->time ? group->private->time : (int64_t)time(NULL);
}

static int set_description(struct volume_group *group)
{
	struct lvm_text text = { 0 };

	lvm_text_print(&text, "Write from %s.", group->private->command);
	group->description = text.failed ? NULL : lvm_vg_string(group, text.at);
	free(text.at);
	return group->description ? 0 : -ENOMEM;
}

/* The text must read back as a valid group before it goes anywhere near a disk. */
static int check_text(struct commit *commit)
{
	struct volume_group *group = NULL;
	struct lvm_config config;
	int r;

	r = lvm_config_parse(&config, commit->text.at, commit->text.size, commit->group->name,
			     commit->error);
	if (!r)
		r = lvm_vg_import(&config, commit->group->name, &group, commit->error);
	if (!r)
		r = lvm_vg_validate(group, commit->error);
	volume_group_unref(group);
	return r;
}

static int prepare_text(struct commit *commit)
{
	lvm_vg_export(commit->group, lvm_vg_now(commit->group), &commit->text);
	if (commit->text.failed)
		return error_set(commit->error, -ENOMEM, "volume group %s: no memory for metadata",
				 commit->group->name);
	commit->size = commit->text.size + 1;
	return check_text(commit);
}

/* The area as its label has it, where its own header is damaged. */
static bool rebuild_area(const struct volume_pv *pv, unsigned number, struct lvm_metadata_area *out)
{
	const struct lvm_location *where = &pv->private->label.metadata[number];

	*out = (struct lvm_metadata_area){ .start = where->offset, .size = where->size };
	return where->size >= LVM_METADATA_SIZE_MIN &&
	       range_within(where->offset, where->size, pv->block->size);
}

static int add_target(struct commit *commit, struct volume_pv *pv, unsigned number)
{
	struct volume_metadata_area *to = &pv->private->areas[number];
	struct target *target = &commit->targets[commit->count];
	int r;

	*target = (struct target){ .pv = pv, .to = to, .area = to->area };
	if (!to->readable && !rebuild_area(pv, number, &target->area))
		return 0;
	if (target->area.ignored)
		return 0;
	r = lvm_metadata_place(&target->area, commit->size, pv->block->name, &target->slot.offset,
			       commit->error);
	target->slot.size = commit->size;
	target->slot.crc = lvm_crc(LVM_CRC_INITIAL, commit->text.at, commit->size);
	commit->count += !r;
	return r;
}

static int find_targets(struct commit *commit)
{
	struct volume_group *group = commit->group;
	size_t most = 0;

	for (unsigned i = 0; i < group->pv_count; i++)
		most += group->pvs[i]->private->area_count;
	commit->targets = calloc(most + 1, sizeof(*commit->targets));
	if (!commit->targets)
		return error_set(commit->error, -ENOMEM, "volume group %s: no memory for metadata",
				 group->name);
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		if (!pv->block || pv->duplicate)
			continue;
		for (unsigned k = 0; k < pv->private->area_count; k++) {
			int r = add_target(commit, pv, k);

			if (r)
				return r;
		}
	}
	if (!commit->count)
		return error_set(commit->error, -EROFS,
				 "volume group %s: none of its PVs has a metadata area in use",
				 group->name);
	return 0;
}

/* ---- Writing ---- */

static int flush(struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++) {
		bool done = false;
		int r;

		for (unsigned k = 0; k < i; k++)
			done |= commit->targets[k].pv == commit->targets[i].pv;
		r = done ? 0 : lvm_flush(commit->targets[i].pv->block, commit->error);
		if (r)
			return r;
	}
	return 0;
}

static int write_texts(struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++) {
		struct target *target = &commit->targets[i];
		int r = lvm_metadata_text_write(target->pv->block, &target->area,
						target->slot.offset, commit->text.at, commit->size,
						commit->error);

		if (r)
			return r;
	}
	return flush(commit);
}

static int precommit(struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++) {
		struct target *target = &commit->targets[i];
		int r;

		target->area.precommitted = target->slot;
		r = lvm_metadata_area_write(target->pv->block, &target->area, commit->error);
		if (r)
			return r;
	}
	return flush(commit);
}

/* Takes precommitted slots back, as far as the disks let it: they say nothing to readers anyway. */
static void revert(struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++) {
		struct target *target = &commit->targets[i];

		if (!target->area.precommitted.size)
			continue;
		target->area.precommitted = (struct lvm_slot){ 0 };
		lvm_metadata_area_write(target->pv->block, &target->area, NULL);
	}
}

/* From the first header on the change has happened: a device that fails now becomes stale, and the
 * change fails only if no device took it. */
static int commit_slots(struct commit *commit)
{
	unsigned done = 0;
	int status = 0;

	for (unsigned i = 0; i < commit->count; i++) {
		struct target *target = &commit->targets[i];
		struct lvm_metadata_area area = target->area;
		int r;

		area.committed = target->slot;
		area.precommitted = (struct lvm_slot){ 0 };
		r = lvm_metadata_area_write(target->pv->block, &area,
					    status ? NULL : commit->error);
		if (!r)
			r = lvm_flush(target->pv->block, status ? NULL : commit->error);
		if (r) {
			status = status ? status : r;
			continue;
		}
		target->area = area;
		target->committed = true;
		done++;
	}
	return done ? 0 : status;
}

static void finish(struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++) {
		struct target *target = &commit->targets[i];

		target->to->current = target->committed;
		if (!target->committed) {
			lvm_vg_problem(commit->group,
				       "%s: metadata area at byte %llu could not be written, it "
				       "holds older metadata",
				       target->pv->block->name,
				       (unsigned long long)target->area.start);
			continue;
		}
		target->to->area = target->area;
		target->to->readable = true;
	}
	commit->group->creation_host = commit->group->private->host;
	commit->group->creation_time = lvm_vg_now(commit->group);
}

int lvm_vg_commit(struct volume_group *group, struct error *error)
{
	struct commit commit = { .group = group, .error = error };
	char *description = group->description;
	int r;

	if (group->seqno == UINT32_MAX)
		return error_set(error, -EOVERFLOW,
				 "volume group %s: its sequence number cannot grow further",
				 group->name);
	group->seqno++;
	r = set_description(group);
	if (r)
		error_set(error, r, "volume group %s: %s", group->name, error_name(r));
	if (!r)
		r = prepare_text(&commit);
	if (!r)
		r = find_targets(&commit);
	if (!r) {
		r = write_texts(&commit);
		if (!r)
			r = precommit(&commit);
		if (r)
			revert(&commit);
	}
	if (!r)
		r = commit_slots(&commit);
	if (r) {
		group->seqno--;
		group->description = description;
	} else {
		finish(&commit);
	}
	free(commit.targets);
	free(commit.text.at);
	return r;
}
