/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID volumes of a text that is to be restored. What their superblocks say is of now, as the metadata of thin pools are: an older text may name images
 * that have missed writes since and take them for current, has stripes in another order, or data begin elsewhere, since a reshape took room or gave
 * it back, and at which end of the images that was only superblocks know.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/restore_raid.h"
#include "volume/segment_raid.h"

#define WHY_TEXT 160

static const struct volume_lv *find_by_uuid(const struct volume_group *group, const char *uuid)
{
	for (unsigned i = 0; group && i < group->lv_count; i++)
		if (!strcmp(group->lvs[i]->uuid, uuid))
			return group->lvs[i];
	return NULL;
}

/* ---- Beside what the group is now ---- */

static bool same_place(const struct volume_segment *a, const struct volume_segment *b, uint32_t at)
{
	const struct volume_area *one = a->areas, *other = b->areas;

	if (a->area_count != 1 || b->area_count != 1 || !one->pv != !other->pv)
		return false;
	if (one->pv ? strcmp(one->pv->uuid, other->pv->uuid) : strcmp(one->lv_name, other->lv_name))
		return false;
	return one->extent + (at - a->start_extent) == other->extent + (at - b->start_extent);
}

/* A part may have been made larger or smaller at its end. */
static bool begins_alike(const struct volume_lv *one, const struct volume_lv *other)
{
	const struct volume_segment *a = one->segments, *b = other->segments;
	uint32_t end = MIN(one->extent_count, other->extent_count);

	for (uint32_t at = 0; at < end;) {
		uint32_t ends[] = { a->start_extent + a->extent_count,
				    b->start_extent + b->extent_count };

		if (!same_place(a, b, at))
			return false;
		at = MIN(ends[0], ends[1]);
		a += at == ends[0];
		b += at == ends[1];
	}
	return true;
}

static bool same_part(const struct volume_lv *one, const struct volume_lv *other)
{
	return one && other && !strcmp(one->uuid, other->uuid);
}

static const char *parts_differ(const struct volume_segment *then, const struct volume_segment *now)
{
	for (unsigned i = 0; i < then->area_count; i++) {
		if (!same_part(then->areas[i].lv, now->areas[i].lv) ||
		    !same_part(then->metas[i].lv, now->metas[i].lv))
			return "has other images by now";
		if (!begins_alike(then->areas[i].lv, now->areas[i].lv) ||
		    !begins_alike(then->metas[i].lv, now->metas[i].lv))
			return "has images elsewhere by now";
		if (lvm_raid_removed(then, i) != lvm_raid_removed(now, i))
			return "was reshaped since";
	}
	return NULL;
}

/* Why its superblocks are of another volume than the text has; NULL: they are not. */
static const char *differs(const struct volume_segment *then, const struct volume_lv *lv,
			   char why[WHY_TEXT])
{
	const struct volume_segment *now = lvm_lv_raid(lv);
	const struct lvm_raid *a = then->private->raid, *b = now ? now->private->raid : NULL;

	if (!b || a->kind->level != b->kind->level || a->kind->layout != b->kind->layout ||
	    a->copies != b->copies)
		snprintf(why, WHY_TEXT, "is %s by now", volume_lv_type(lv));
	else if (then->stripe_size != now->stripe_size)
		snprintf(why, WHY_TEXT, "has stripes of %u bytes by now", now->stripe_size);
	else if (then->area_count != now->area_count)
		snprintf(why, WHY_TEXT, "has %u images by now", now->area_count);
	else if (a->room != b->room)
		snprintf(why, WHY_TEXT,
			 "keeps room of %u extents in each image for reshapes by now, and kept %u",
			 b->room, a->room);
	else if (lvm_raid_is_to_begin(then) != lvm_raid_is_to_begin(now))
		snprintf(why, WHY_TEXT, "was reshaped since");
	else
		return parts_differ(then, now);
	return why;
}

static int refuse(const struct volume_lv *lv, const char *file, const char *why,
		  struct error *error)
{
	error_set(error, -EOPNOTSUPP,
		  "%s: is not restored: volume %s, a %s in it, %s; its superblocks are no older "
		  "than that",
		  file, lv->name, volume_lv_type(lv), why);
	return error_advise(error, "give --force where what is read then, old and new mixed, is "
				   "no matter");
}

int volume_restore_check_raid(const struct volume_group *then, const struct volume_group *now,
			      const char *file, struct error *error)
{
	char text[WHY_TEXT];

	for (unsigned i = 0; i < then->lv_count; i++) {
		const struct volume_lv *lv = then->lvs[i], *by_now;
		const struct volume_segment *segment = lv->supported ? lvm_lv_raid(lv) : NULL;
		const char *why;

		if (!segment || !segment->private->raid->kind->level)
			continue;
		by_now = find_by_uuid(now, lv->uuid);
		why = by_now ? differs(segment, by_now, text) : NULL;
		if (why)
			return refuse(lv, file, why, error);
	}
	return 0;
}

/* ---- Beside superblocks, where the group does not have it ---- */

/* The end that its data are at is known where they begin behind the room. */
static const char *room_unknown(const struct volume_group *group, const struct volume_lv *lv)
{
	uint64_t room = lvm_lv_raid(lv)->private->raid->room * group->extent_size;
	struct raid_array *array = lvm_active_raid(lv);
	struct raid_status status;
	bool known = true;

	if (!room || !array)
		return NULL;
	raid_status(array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		known &= status.members[i].data_offset == room || status.reshaping;
	raid_status_free(&status);
	return known ? NULL
		     : "keeps room for reshapes, and nothing says whether that is before its data "
		       "still";
}

static int check_superblocks(struct volume_group *group, struct volume_lv *lv, const char *file,
			     struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct error why = { 0 };
	const char *room;
	int rc = lvm_active_open(group, lv, false, &block, &why);

	/* One that has not all data has not either before. */
	if (rc && rc != -EINVAL)
		return 0;
	if (rc)
		return refuse(lv, file, why.text, error);
	room = room_unknown(group, lv);
	return room ? refuse(lv, file, room, error) : 0;
}

int lvm_restore_check_superblocks(struct volume_group *group, const struct volume_group *now,
				  const char *file, struct error *error)
{
	int rc = 0;

	lvm_vg_judge_partial(group);
	for (unsigned i = 0; !rc && i < group->lv_count; i++) {
		struct volume_lv *lv = group->lvs[i];
		const struct volume_segment *segment = lv->supported ? lvm_lv_raid(lv) : NULL;

		if (segment && segment->private->raid->kind->level && !find_by_uuid(now, lv->uuid))
			rc = check_superblocks(group, lv, file, error);
	}
	return rc;
}
