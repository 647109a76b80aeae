/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images that are lost are replaced, as `lvconvert --repair` does it.
 *
 * Three steps, each of which may be the last before a cut of power:
 *
 *	1. the new metadata volume is cleared, on extents that are free
 *	2. a commit: the new image and its metadata volume are in the places of the old ones, and the image has the status REBUILD
 *	3. the array is assembled and writes superblocks that say that the image has no data yet; a second commit takes REBUILD away
 *
 * After 2 and before 3 whoever opens the volume, lvm2 too, sees REBUILD and fills the image from its start. Without it lvm2 would not
 * take a metadata volume of zeroes; with it for good it would fill the image again with each activation.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/mirror.h"
#include "volume/raid_change.h"
#include "volume/raid_convert.h"
#include "volume/volume_raid.h"

struct mending {
	struct volume_group *group;
	const char *name;
	const struct volume_lv_options *options;
	struct change change;
	struct volume_lv *lv;
	unsigned lost, *places;        /* which */
	struct volume_pv *const *from; /* images on these are to go, too */
	unsigned from_count;
	struct error *error;
};

bool volume_lv_is_raid(const struct volume_lv *lv)
{
	return lv->supported && lvm_lv_raid(lv);
}

bool volume_lv_degraded(const struct volume_lv *lv)
{
	const struct volume_segment *mirror = lv->supported ? lvm_lv_mirror(lv) : NULL;

	if (lv->partial && mirror)
		return lvm_mirror_may_survive(mirror, 0);
	return lv->partial && volume_lv_is_raid(lv) && lvm_raid_survives(lvm_lv_raid(lv));
}

bool volume_lv_is_to_begin(const struct volume_lv *lv)
{
	return volume_lv_is_raid(lv) && lvm_raid_is_to_begin(lvm_lv_raid(lv));
}

bool volume_lv_reads_only(const struct volume_lv *lv)
{
	return lvm_lv_mirror(lv) || volume_lv_is_to_begin(lv) || volume_lv_beside_cut(lv);
}

struct raid_array *volume_lv_array(const struct volume_lv *lv)
{
	return lvm_active_raid(lv);
}

/* ---- What is lost ---- */

/* An array that runs may have failed one whose PV is here, or have it not at all: its superblock cannot be read. What a reshape has left is none of it. */
static bool is_failed(const struct raid_status *status, const struct volume_segment *segment,
		      unsigned place)
{
	const struct raid_member_status *member = lvm_raid_member(status, place);

	return member ? member->state == RAID_MEMBER_FAULTY
		      : status->member_count && !lvm_raid_removed(segment, place);
}

static bool is_to_go(const struct mending *mending, const struct volume_segment *segment,
		     unsigned place)
{
	for (unsigned i = 0; i < mending->from_count; i++)
		if (lvm_lv_lies_on(segment->areas[place].lv, mending->from[i]) ||
		    lvm_lv_lies_on(segment->metas[place].lv, mending->from[i]))
			return true;
	return false;
}

static int find_lost(struct mending *mending)
{
	const struct volume_segment *segment = lvm_lv_raid(mending->lv);
	struct raid_array *array = lvm_active_raid(mending->lv);
	struct raid_status status = { 0 };

	mending->places = calloc(segment->area_count, sizeof(*mending->places));
	if (!mending->places)
		return change_no_memory(mending->group, mending->error);
	if (array)
		raid_status(array, &status);
	for (unsigned i = 0; i < segment->area_count; i++)
		if (lvm_raid_part_lost(segment->areas[i].lv) ||
		    lvm_raid_part_lost(segment->metas[i].lv) || is_failed(&status, segment, i) ||
		    is_to_go(mending, segment, i))
			mending->places[mending->lost++] = i;
	raid_status_free(&status);
	return 0;
}

static int fail_without(const struct mending *mending, const char *which)
{
	return error_set(mending->error, -EBUSY,
			 "%s/%s: without %u of its %u images, %s, it has not all data",
			 mending->group->name, mending->name, mending->lost,
			 lvm_lv_raid(mending->lv)->area_count, which);
}

static bool *list_gone(const struct mending *mending)
{
	bool *gone = calloc(lvm_lv_raid(mending->lv)->area_count, sizeof(*gone));

	for (unsigned i = 0; gone && i < mending->lost; i++)
		gone[mending->places[i]] = true;
	return gone;
}

/* Whether what is left has all data. It opens; but who uses it may have lost more of it since than it has data without. */
static int check_survives(struct mending *mending)
{
	CLEANUP_FREE bool *gone = list_gone(mending);

	if (!gone)
		return change_no_memory(mending->group, mending->error);
	if (!lvm_raid_survives_without(lvm_lv_raid(mending->lv), gone))
		return fail_without(mending, "which are lost or failed");
	return lvm_active_check_writable(mending->group, mending->lv, mending->error);
}

static int check_replaced(const struct mending *mending)
{
	CLEANUP_FREE bool *gone = list_gone(mending);

	if (!gone)
		return change_no_memory(mending->group, mending->error);
	if (!mending->lost)
		return error_set(mending->error, -EINVAL,
				 "%s/%s: none of its images is on the devices that are to be "
				 "replaced",
				 mending->group->name, mending->name);
	if (lvm_raid_survives_without(lvm_lv_raid(mending->lv), gone))
		return lvm_raid_check_in_sync(mending->group, mending->lv, gone, mending->error);
	fail_without(mending, "those to be replaced and those that are lost");
	return error_advise(mending->error, "replace one after the other");
}

/* ---- The group ---- */

/* Of LVM2's older type, which is not written to here. */
static int fail_mirror(const struct volume_group *group, const struct volume_lv *lv,
		       struct error *error)
{
	error_set(error, -EOPNOTSUPP,
		  "%s/%s: its type is mirror, lvm2's older one, nothing of which is made anew here",
		  group->name, lv->name);
	return lv->partial
		       ? error_advise(error, "LVM2 can: lvconvert --repair %s/%s", group->name,
				      lv->name)
		       : error_advise(error,
				      "`tenon lv convert %s/%s --type raid1` makes of it what is",
				      group->name, lv->name);
}

static int find_volume(struct mending *mending)
{
	struct volume_group *group = mending->group;
	struct volume_lv *lv = volume_group_get_lv(group, mending->name);
	const struct volume_segment *segment;
	int rc = change_check_but_missing(group, mending->error);

	if (rc)
		return rc;
	if (!lv)
		return error_set(mending->error, -ENOENT, "%s/%.128s: no such volume", group->name,
				 mending->name);
	if (lv->supported && lvm_lv_mirror(lv))
		return fail_mirror(group, lv, mending->error);
	segment = lv->supported ? lvm_lv_raid(lv) : NULL;
	if (!segment || !segment->private->raid->kind->level)
		return error_set(mending->error, -EOPNOTSUPP,
				 "%s/%s: its type is %s, which keeps its data once: nothing of it "
				 "can be made anew",
				 group->name, lv->name, volume_lv_type(lv));
	mending->lv = lv;
	return lvm_raid_refuse_tracked(group, lv, mending->error);
}

/* ---- New images ---- */

/* It comes with a reshape, or is over when that is, as the one whose place it takes. */
static void take_flags(struct volume_lv *part, const struct volume_lv *old)
{
	for (unsigned i = 0; old->segment_count && i < part->segment_count; i++)
		part->segments[i].private->flags = old->segments->private->flags;
}

static int new_image(struct mending *mending, struct volume_segment *segment, unsigned place,
		     const struct allocate_result *places, unsigned column, uint32_t meta_extents)
{
	struct volume_group *group = mending->group;
	struct volume_lv *meta, *image;

	meta = lvm_raid_new_part(&mending->change, mending->lv->name, "rmeta", place, NULL);
	image = meta ? lvm_raid_new_part(&mending->change, mending->lv->name, "rimage", place,
					 "REBUILD")
		     : NULL;
	if (!image ||
	    lvm_raid_give(group, places, mending->lost, column, meta, meta_extents, image))
		return change_no_memory(group, mending->error);
	take_flags(meta, segment->metas[place].lv);
	take_flags(image, segment->areas[place].lv);
	segment->metas[place] = (struct volume_area){ .lv_name = meta->name, .lv = meta };
	segment->areas[place] = (struct volume_area){ .lv_name = image->name, .lv = image };
	return lvm_raid_clear_meta(group, meta, mending->error);
}

/* By their places: where lvm2 has had places change and left parts their names, its own repair fails, for a new part is to have the name of one that stays. */
static int name_those_that_stay(struct mending *mending)
{
	const struct volume_segment *segment = lvm_lv_raid(mending->lv);
	CLEANUP_FREE bool *gone = list_gone(mending);
	const char *name = mending->lv->name;
	int rc = gone ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		if (gone[i])
			continue;
		rc = lvm_raid_name_part(&mending->change, name, segment->areas[i].lv, "rimage", i);
		if (!rc)
			rc = lvm_raid_name_part(&mending->change, name, segment->metas[i].lv,
						"rmeta", i);
	}
	return rc;
}

/* The old ones first: what is kept last is swapped first, and the array lets go of them when it is swapped (change.h). */
static int drop_old(struct mending *mending)
{
	const struct volume_segment *segment = lvm_lv_raid(mending->lv);
	int rc = 0;

	for (unsigned i = 0; !rc && i < mending->lost; i++) {
		rc = change_drop_lv(&mending->change, segment->areas[mending->places[i]].lv);
		if (!rc)
			rc = change_drop_lv(&mending->change,
					    segment->metas[mending->places[i]].lv);
	}
	if (!rc)
		rc = name_those_that_stay(mending);
	return rc || change_keep_lv(&mending->change, mending->lv) ? -ENOMEM : 0;
}

static int no_place(const struct mending *mending, uint32_t extents)
{
	error_set(mending->error, -ENOSPC,
		  "%s/%s: %u images %s, and there are not so many PVs with %u free extents beside "
		  "those that it is on",
		  mending->group->name, mending->name, mending->lost,
		  mending->from_count ? "are to be replaced" : "are lost", extents);
	return error_advise(mending->error, "add one: `tenon vg extend %s DEVICE`",
			    mending->group->name);
}

static int replace(struct mending *mending)
{
	struct volume_group *group = mending->group;
	const struct volume_segment *old = lvm_lv_raid(mending->lv);
	uint32_t image = old->areas[0].lv->extent_count;
	uint32_t meta = lvm_raid_meta_extents(group, old->private->raid->region, image);
	struct volume_segment *segment;
	struct allocate_result places;
	int rc = lvm_raid_place(group, mending->options, mending->lv, mending->lost, image + meta,
				&places);

	if (rc)
		return rc == -ENOSPC ? no_place(mending, image + meta)
				     : change_no_memory(group, mending->error);
	rc = drop_old(mending);
	segment = rc ? NULL : lvm_raid_copy_segment(group, mending->lv);
	if (!segment)
		rc = change_no_memory(group, mending->error);
	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		segment->areas[i].lv_name = segment->areas[i].lv->name;
		segment->metas[i].lv_name = segment->metas[i].lv->name;
	}
	for (unsigned i = 0; !rc && i < mending->lost; i++)
		rc = new_image(mending, segment, mending->places[i], &places, i, meta);
	allocate_result_free(&places);
	return rc ? rc : change_commit(&mending->change, mending->error);
}

/* ---- Afterwards ---- */

/* Whether the group says what superblocks are to say: an image that has no data, a reshape that begins. */
static bool has_word(const struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	for (unsigned i = 0; i < segment->area_count; i++)
		if (lvm_strings_contain(&segment->areas[i].lv->private->status, "REBUILD"))
			return true;
	return lvm_raid_is_to_begin(segment);
}

static int drop_rebuild(struct mending *mending)
{
	const struct volume_segment *segment = lvm_lv_raid(mending->lv);
	struct volume_group *group = mending->group;

	for (unsigned i = 0; i < segment->area_count; i++) {
		struct volume_lv *image = segment->areas[i].lv;

		if (change_keep_lv(&mending->change, image) ||
		    change_set_flag(group, &image->private->status, "REBUILD", false))
			return change_no_memory(group, mending->error);
	}
	if (lvm_raid_is_to_begin(segment) &&
	    lvm_raid_forget_beginning(&mending->change, mending->lv))
		return change_no_memory(group, mending->error);
	return change_commit(&mending->change, mending->error);
}

static int clear_rebuild(struct mending *mending)
{
	int rc;

	change_begin(&mending->change, mending->group);
	rc = drop_rebuild(mending);
	change_end(&mending->change);
	return rc;
}

int lvm_raid_clear_rebuild(struct volume_group *group, struct volume_lv *lv, struct error *error)
{
	struct mending mending = { .group = group, .lv = lv, .error = error };

	return has_word(lv) ? clear_rebuild(&mending) : 0;
}

/* The array says in its superblocks which images have no data yet, and that it is reshaped: then the group need not. */
static int settle(struct mending *mending)
{
	CLEANUP_BLOCK struct block *block = NULL;
	int rc;

	if (!has_word(mending->lv))
		return 0;
	/* A commit of new images may have had the group read anew. */
	mending->lv->private->may_begin = true;
	rc = lvm_active_open(mending->group, mending->lv, true, &block, mending->error);
	if (!rc)
		rc = raid_write_superblocks(lvm_active_raid(mending->lv), mending->error);
	return rc ? rc : clear_rebuild(mending);
}

static int make(struct mending *mending)
{
	int rc;

	change_begin(&mending->change, mending->group);
	rc = replace(mending);
	change_end(&mending->change);
	return rc;
}

static int mend(struct mending *mending, unsigned *replaced)
{
	int rc = mending->lost ? make(mending) : 0;

	if (!rc)
		*replaced = mending->lost;
	return rc ? rc : settle(mending);
}

int volume_lv_begin(struct volume_group *group, const char *name, struct error *error)
{
	CHANGING(group);
	struct mending mending = { .group = group, .name = name, .error = error };
	int rc = find_volume(&mending);

	if (rc)
		return rc;
	rc = settle(&mending);
	mending.lv->private->may_begin = false;
	return rc;
}

int volume_lv_repair(struct volume_group *group, const char *name,
		     const struct volume_lv_options *options, unsigned *replaced,
		     struct error *error)
{
	CHANGING(group);
	CLEANUP_BLOCK struct block *block = NULL; /* its array runs, and is asked */
	struct mending mending = {
		.group = group, .name = name, .options = options, .error = error
	};
	int rc = find_volume(&mending);

	*replaced = 0;
	if (mending.lv)
		mending.lv->private->may_begin = true;
	if (!rc)
		rc = lvm_active_open(group, mending.lv, false, &block, error);
	if (!rc)
		rc = find_lost(&mending);
	if (!rc)
		rc = check_survives(&mending);
	if (!rc)
		rc = mend(&mending, replaced);
	if (mending.lv)
		mending.lv->private->may_begin = false;
	free(mending.places);
	return rc;
}

int volume_lv_replace(struct volume_group *group, const char *name, struct volume_pv *const *from,
		      unsigned from_count, const struct volume_lv_options *options,
		      unsigned *replaced, struct error *error)
{
	CHANGING(group);
	CLEANUP_BLOCK struct block *block = NULL; /* keeps its array running, which is asked */
	struct mending mending = { .group = group,
				   .name = name,
				   .options = options,
				   .from = from,
				   .from_count = from_count,
				   .error = error };
	int rc = find_volume(&mending);

	*replaced = 0;
	if (!rc)
		rc = lvm_active_open(group, mending.lv, false, &block, error);
	if (!rc)
		rc = lvm_active_check_writable(group, mending.lv, error);
	if (!rc)
		rc = find_lost(&mending);
	if (!rc)
		rc = check_replaced(&mending);
	if (!rc)
		rc = mend(&mending, replaced);
	free(mending.places);
	return rc;
}
