/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A RAID volume gets another shape, while it is used: more stripes or fewer, another stripe size or layout.
 *
 *	1. room for data to move into is found at the end of each image, on the PV that it is on, and for new images on other PVs
 *	2. metadata volumes of new images are cleared, on extents that are free until the commit
 *	3. requests wait, what was written is flushed, and the array is looked at once more: is it whole and at rest?
 *	4. a commit: the new shape, the room, and that the reshape is to begin
 *	5. the array is stopped and assembled anew: superblocks say both shapes, and that nothing has been moved (dm_shape.c)
 *	6. a second commit: it need not begin any more. The array moves data while it is open (raid5_reshape.c, raid10_reshape.c)
 *
 * When it is over the room stays, and images that have no data any more; both go when that is asked for, as with lvm2.
 *
 * Why no crash loses data. Up to 4 nothing is changed. Between 4 and 5 the group says what is to be, and superblocks what is; that is how
 * lvm2 begins one as well, and who opens the volume then, it or we, begins it (raid_repair.c). From 5 on superblocks count, and 6 only forgets.
 * Room that is before the data is given back likewise: images are turned, so that it is at the end, and superblocks told; then it is cut off.
 */
#include "volume/raid_reshape.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"

/* ---- Whether the array is whole, and at rest ---- */

static int fail_busy(const struct reshape *reshape, const char *why)
{
	error_set(reshape->error, -EBUSY, "%s/%s: %s", reshape->group->name, reshape->lv->name,
		  why);
	return error_advise(reshape->error, "`tenon lv repair %s/%s` waits until that is over",
			    reshape->group->name, reshape->lv->name);
}

/* All data begin at one end of the room or the other. */
static int find_end(struct reshape *reshape, const struct raid_status *status)
{
	uint64_t room = lvm_lv_raid(reshape->lv)->private->raid->room * reshape->group->extent_size;

	reshape->in_front = status->member_count && status->members[0].data_offset;
	for (unsigned i = 0; i < status->member_count; i++)
		if (status->members[i].data_offset != (reshape->in_front ? room : 0))
			return error_set(reshape->error, -EOPNOTSUPP,
					 "%s/%s: data of %s begin at its byte %llu, expected 0 or "
					 "%llu",
					 reshape->group->name, reshape->lv->name,
					 status->members[i].device,
					 (unsigned long long)status->members[i].data_offset,
					 (unsigned long long)room);
	return 0;
}

static int check_status(struct reshape *reshape, const struct raid_status *status)
{
	unsigned in_sync = 0;

	if (status->reshaping)
		return fail_busy(reshape, "is being reshaped already");
	for (unsigned i = 0; i < status->member_count; i++)
		in_sync += status->members[i].state == RAID_MEMBER_IN_SYNC;
	if (in_sync != reshape->before || status->raid_disks != reshape->before)
		return fail_busy(reshape, "not all of its images have all data");
	if (!status->agree)
		return fail_busy(reshape, "its images do not agree yet");
	return find_end(reshape, status);
}

static int check_array(struct reshape *reshape)
{
	struct raid_array *array = lvm_active_raid(reshape->lv);
	struct raid_status status;
	int rc;

	if (!array)
		return error_set(reshape->error, -EIO, "%s/%s: its array does not run",
				 reshape->group->name, reshape->lv->name);
	raid_status(array, &status);
	rc = check_status(reshape, &status);
	raid_status_free(&status);
	return rc;
}

static int check_synced(const struct reshape *reshape)
{
	return lvm_strings_contain(&reshape->lv->private->status, "NOTSYNCED")
		       ? error_set(reshape->error, -EBUSY,
				   "%s/%s: was made or extended with --nosync, so that its images "
				   "need not agree",
				   reshape->group->name, reshape->lv->name)
		       : 0;
}

uint64_t volume_lv_reshape_room(const struct volume_group *group, const struct volume_lv *lv)
{
	return volume_lv_is_raid(lv) ? lvm_lv_raid(lv)->private->raid->room * group->extent_size
				     : 0;
}

/* ---- The commits ---- */

/* It may have changed while requests were waited for: what is in memory then is of no use. */
static int commit(struct reshape *reshape)
{
	bool in_front = reshape->in_front;
	struct lvm_hold hold;
	int rc = lvm_active_hold(reshape->lv, &hold, reshape->error);

	if (!rc)
		rc = check_array(reshape);
	if (!rc && in_front != reshape->in_front)
		rc = fail_busy(reshape, "was reshaped meanwhile");
	if (!rc)
		rc = change_commit(&reshape->change, reshape->error);
	lvm_active_release(&hold);
	return rc;
}

static int change(struct reshape *reshape, int (*parts)(struct reshape *reshape))
{
	int rc;

	change_begin(&reshape->change, reshape->group);
	rc = parts(reshape);
	if (!rc)
		rc = commit(reshape);
	change_end(&reshape->change);
	return rc;
}

/* Superblocks say it, so that the group need not. */
static int settle(struct reshape *reshape)
{
	struct raid_array *array = lvm_active_raid(reshape->lv);
	int rc;

	if (!lvm_raid_is_to_begin(lvm_lv_raid(reshape->lv)))
		return 0;
	if (!array) {
		error_set(reshape->error, -EIO,
			  "%s/%s: its metadata are changed, and its array does not run",
			  reshape->group->name, reshape->lv->name);
		return error_advise(reshape->error, "`tenon lv repair %s/%s` goes on with it",
				    reshape->group->name, reshape->lv->name);
	}
	rc = raid_write_superblocks(array, reshape->error);
	return rc ? rc : lvm_raid_clear_rebuild(reshape->group, reshape->lv, reshape->error);
}

static void tell(const struct reshape *reshape)
{
	struct volume_reshaped *told = reshape->wish->reshaped;
	const struct lvm_raid *raid = lvm_lv_raid(reshape->lv)->private->raid;
	uint64_t extent = reshape->group->extent_size;

	if (!told)
		return;
	*told = (struct volume_reshaped){
		.step = reshape->step,
		.images = reshape->images,
		.before = reshape->before,
		.room = reshape->room * extent,
		.moved = reshape->data_extents * extent * MIN(reshape->before, reshape->images),
		.size = (uint64_t)reshape->data_extents *
			lvm_raid_data_images(raid, reshape->images) * extent,
	};
}

/* The array is in use meanwhile, and says whether it is whole. */
static int carry_out(struct reshape *reshape)
{
	bool in_front;
	int rc =
		lvm_active_open(reshape->group, reshape->lv, true, &reshape->block, reshape->error);

	if (!rc)
		rc = check_array(reshape);
	in_front = reshape->in_front;
	if (!rc)
		rc = change(reshape, lvm_reshape_parts);
	if (!rc)
		rc = settle(reshape);
	if (!rc && reshape->step == VOLUME_RESHAPE_RELEASED && in_front)
		rc = change(reshape, lvm_reshape_cut);
	if (!rc)
		tell(reshape);
	return rc;
}

int lvm_lv_reshape(struct volume_group *group, struct volume_lv *lv,
		   const struct volume_convert *wish, struct error *error)
{
	struct reshape reshape = { .group = group, .lv = lv, .wish = wish, .error = error };
	int rc = lvm_reshape_plan(&reshape);

	if (!rc)
		rc = check_synced(&reshape);
	if (!rc)
		rc = carry_out(&reshape);
	block_unref(reshape.block);
	return rc;
}
