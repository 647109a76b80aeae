/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes of a text that is to be restored, beside what is there now. What superblocks of RAID volumes say is of now, as the metadata of thin pools are:
 * an older text may name images that have missed writes since and take them for current, has stripes in another order, or data begin elsewhere, since
 * a reshape took room or gave it back, and at which end of the images that was only superblocks know. Of a linear or striped volume that was moved or
 * converted since, the text has the old place, which nobody has written to since or others have; unless that is an image of the mirror that it is now,
 * which has all data.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/raid_change.h"
#include "volume/restore_check.h"
#include "volume/segment_raid.h"

#define WHY_TEXT 1024

/* Looked for from volume `first` on: most are where they were. */
static struct volume_lv *find_near(const struct volume_group *group, unsigned first,
				   const char *uuid)
{
	unsigned count = group ? group->lv_count : 0;

	for (unsigned i = 0; i < count; i++) {
		struct volume_lv *lv = group->lvs[(first + i) % count];

		if (!strcmp(lv->uuid, uuid))
			return lv;
	}
	return NULL;
}

/* ---- Beside what the group is now ---- */

/* A volume below may have another name. */
static bool same_device(const struct volume_area *one, const struct volume_area *other)
{
	if (one->pv || other->pv)
		return one->pv && other->pv && !strcmp(one->pv->uuid, other->pv->uuid);
	return one->lv && other->lv && !strcmp(one->lv->uuid, other->lv->uuid);
}

static bool same_place(const struct volume_segment *a, const struct volume_segment *b, uint32_t at)
{
	uint32_t into[] = { at - a->start_extent, at - b->start_extent };
	unsigned count = a->area_count;

	if (!count || count != b->area_count || strcmp(a->type, b->type) != 0 ||
	    (count > 1 && a->stripe_size != b->stripe_size) || into[0] % count || into[1] % count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (!same_device(&a->areas[i], &b->areas[i]) ||
		    a->areas[i].extent + into[0] / count != b->areas[i].extent + into[1] / count)
			return false;
	return true;
}

bool volume_lv_lies_as(const struct volume_lv *one, const struct volume_lv *other)
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
		bool metas = then->metas && now->metas; /* raid0 need not have them */

		if (!same_part(then->areas[i].lv, now->areas[i].lv) ||
		    (metas && !same_part(then->metas[i].lv, now->metas[i].lv)))
			return "has other images by now";
		if (!volume_lv_lies_as(then->areas[i].lv, now->areas[i].lv) ||
		    (metas && !volume_lv_lies_as(then->metas[i].lv, now->metas[i].lv)))
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

static bool has_superblocks(const struct volume_segment *raid)
{
	return raid && raid->private->raid->kind->level;
}

static int refuse_place(const struct volume_lv *lv, const char *file, const char *why,
			struct error *error)
{
	error_set(error, -EOPNOTSUPP,
		  "%s: is not restored: volume %s, a %s in it, %s; where the file has it are data "
		  "from before that, or of others",
		  file, lv->name, volume_lv_type(lv), why);
	return error_advise(error, "give --force where what is read there then is no matter");
}

static int check_raid(const struct volume_lv *lv, const struct volume_lv *by_now, const char *file,
		      struct error *error)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);
	char text[WHY_TEXT];
	const char *why = differs(segment, by_now, text);

	if (!why)
		return 0;
	return has_superblocks(segment) ? refuse(lv, file, why, error)
					: refuse_place(lv, file, why, error);
}

/* Nothing but the group's metadata says where its data are. */
static bool is_plain(const struct volume_lv *lv)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		if (strcmp(lv->segments[i].type, "striped") != 0)
			return false;
	return lv->segment_count > 0;
}

/* The place of the image of a mirror that lies where the volume did, or -1. */
static int place_of_image(const struct volume_lv *lv, const struct volume_lv *by_now)
{
	const struct volume_segment *raid = by_now->supported ? lvm_lv_raid(by_now) : NULL;

	if (!raid || raid->private->raid->kind->level != 1 || raid->private->raid->room)
		return -1;
	for (unsigned i = 0; i < raid->area_count; i++)
		if (raid->areas[i].lv && volume_lv_lies_as(lv, raid->areas[i].lv))
			return (int)i;
	return -1;
}

const char *volume_restore_image(const struct volume_lv *then, const struct volume_lv *now)
{
	int place = is_plain(then) ? place_of_image(then, now) : -1;

	return place < 0 ? NULL : lvm_lv_raid(now)->areas[place].lv->name;
}

/* Whether the image in that place has all data. */
static int check_image(struct volume_group *now, struct volume_lv *by_now, unsigned place,
		       struct error *error)
{
	const struct volume_segment *raid = lvm_lv_raid(by_now);
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_FREE bool *others = malloc(raid->area_count * sizeof(*others));
	int rc;

	if (!others)
		return error_set(error, -ENOMEM, "no memory to look at it");
	for (unsigned i = 0; i < raid->area_count; i++)
		others[i] = i != place;
	if (lvm_raid_tracked(&raid->areas[place]))
		return error_set(error, -EBUSY, "it is split off");
	rc = lvm_active_open(now, by_now, false, &block, error);
	return rc ? rc : lvm_raid_check_in_sync(now, by_now, others, error);
}

static int check_plain(struct volume_group *now, const struct volume_lv *lv,
		       struct volume_lv *by_now, const char *file, struct error *error)
{
	char text[WHY_TEXT] = "lies elsewhere by now";
	struct error why = { 0 };
	int place;

	if (volume_lv_lies_as(lv, by_now))
		return 0;
	place = place_of_image(lv, by_now);
	if (place >= 0 && !check_image(now, by_now, (unsigned)place, &why))
		return 0;
	if (place >= 0)
		snprintf(text, sizeof(text),
			 "is %s by now, and its image %s, which lies there, "
			 "cannot stand for it: %s",
			 volume_lv_type(by_now), lvm_lv_raid(by_now)->areas[place].lv->name,
			 why.text);
	else if (!is_plain(by_now))
		snprintf(text, sizeof(text), "is %s by now", volume_lv_type(by_now));
	return refuse_place(lv, file, text, error);
}

/* Numbers of extents say nothing of each other. */
static int refuse_extents(const struct volume_group *then, const struct volume_group *now,
			  const char *file, struct error *error)
{
	error_set(error, -EOPNOTSUPP,
		  "%s: is not restored: it has extents of %llu bytes, and %s has of %llu by now",
		  file, (unsigned long long)then->extent_size, now->name,
		  (unsigned long long)now->extent_size);
	return error_advise(error, "give --force where what volumes have then is no matter");
}

int volume_restore_check(const struct volume_group *then, struct volume_group *now,
			 const char *file, struct error *error)
{
	int rc = 0;

	if (then->extent_size != now->extent_size)
		return refuse_extents(then, now, file, error);
	/* RAID first: that its parts lie elsewhere is said of the whole. */
	for (unsigned i = 0; !rc && i < then->lv_count; i++) {
		const struct volume_lv *lv = then->lvs[i], *by_now;

		if (lv->supported && lvm_lv_raid(lv) && (by_now = find_near(now, i, lv->uuid)))
			rc = check_raid(lv, by_now, file, error);
	}
	for (unsigned i = 0; !rc && i < then->lv_count; i++) {
		const struct volume_lv *lv = then->lvs[i];
		struct volume_lv *by_now;

		if (is_plain(lv) && (by_now = find_near(now, i, lv->uuid)))
			rc = check_plain(now, lv, by_now, file, error);
	}
	return rc;
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
	if (rc == -ENODEV)
		return 0;
	if (rc == -EINVAL)
		return refuse(lv, file, why.text, error);
	if (rc) {
		error_set(error, rc, "%s: is not restored: whether volume %s fits is not known: %s",
			  file, lv->name, why.text[0] ? why.text : error_name(rc));
		return error_advise(error, "give --force to restore it unseen");
	}
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

		if (lv->supported && has_superblocks(lvm_lv_raid(lv)) &&
		    !find_near(now, i, lv->uuid))
			rc = check_superblocks(group, lv, file, error);
	}
	return rc;
}
