/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which reshape is asked for, as lvm2 has it: one begins; or images are let go that one has left without data; or the room that it needed is given
 * back. See raid_reshape.h.
 */
#include <errno.h>
#include <string.h>

#include "raid/dm_raid.h"
#include "raid/geometry.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/raid_reshape.h"

#define SECTOR     512
#define ROOM_LEAST (1ull << 20) /* bytes; lvm2's */

/* ---- What there is, and what is meant ---- */

static bool is_raid4(const struct lvm_raid_kind *kind)
{
	return !strcmp(kind->name, "raid4");
}

/* Places that are to stay when a reshape to fewer is over. */
static unsigned staying(const struct volume_segment *segment)
{
	unsigned places = segment->area_count;

	while (places && lvm_raid_removed(segment, places - 1))
		places--;
	return places;
}

/* The kind of the same level that is meant; NULL: it is of another, or none. */
static const struct lvm_raid_kind *kind_meant(const struct lvm_raid_kind *from, const char *name)
{
	const struct lvm_raid_kind *to = name ? lvm_raid_kind_find(name) : from;

	if (!to || to->level != from->level)
		return NULL;
	/* These stand for any layout. Parity of raid4 is the first disk: its images change places, and no data. */
	if (name && (!strcmp(name, "raid5") || !strcmp(name, "raid6")) && !is_raid4(from))
		return from;
	return is_raid4(from) == is_raid4(to) ? to : NULL;
}

bool lvm_reshape_is_wanted(const struct volume_lv *lv, const struct volume_convert *wish)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);
	const struct lvm_raid_kind *from = segment ? segment->private->raid->kind : NULL;

	if (!from || from->level < 4 || wish->split_name)
		return false;
	if (wish->mirrors && from->level != 10)
		return false;
	if (!wish->type && !wish->stripes && !wish->stripe_size)
		return false;
	return kind_meant(from, wish->type) != NULL;
}

static unsigned images_for(const struct lvm_raid *raid, unsigned stripes)
{
	return raid->kind->level == 10 ? stripes * raid->copies : stripes + raid->kind->parity;
}

static unsigned stripes_of(const struct lvm_raid *raid, unsigned images)
{
	return lvm_raid_data_images(raid, images);
}

/* ---- Whether it can be ---- */

static int check_numbers(const struct reshape *reshape)
{
	const struct volume_segment *segment = lvm_lv_raid(reshape->lv);
	const struct lvm_raid *raid = segment->private->raid;
	unsigned least = raid->kind->level == 6 ? 5 : 2;

	if (reshape->images < least || reshape->images > DM_RAID_DEVICES)
		return error_set(reshape->error, -EINVAL,
				 "%s/%s: would have %u images, and %s has %u to %u",
				 reshape->group->name, reshape->lv->name, reshape->images,
				 raid->kind->name, least, DM_RAID_DEVICES);
	if (raid->kind->level == 10 && reshape->images < reshape->before)
		return error_set(reshape->error, -EOPNOTSUPP,
				 "%s/%s: is raid10, which gets no fewer stripes, by lvm2 and "
				 "dm-raid either",
				 reshape->group->name, reshape->lv->name);
	if (reshape->before == 2 && reshape->images == 2) {
		error_set(reshape->error, -EOPNOTSUPP,
			  "%s/%s: has two images, which are the same in all layouts",
			  reshape->group->name, reshape->lv->name);
		return error_advise(reshape->error, "give it more first: --stripes 2");
	}
	return 0;
}

static int check_stripe(const struct reshape *reshape)
{
	const struct lvm_raid *raid = lvm_lv_raid(reshape->lv)->private->raid;
	uint64_t stripe = reshape->stripe_size;
	char text[2][SIZE_TEXT];

	if (!is_power_of_two(stripe) || stripe < 4096 || reshape->group->extent_size % stripe)
		return error_set(reshape->error, -EINVAL,
				 "%s/%s: stripe size is %llu, expected a power of two from 4096 on "
				 "of which extents of %llu bytes have a whole number",
				 reshape->group->name, reshape->lv->name,
				 (unsigned long long)stripe,
				 (unsigned long long)reshape->group->extent_size);
	if (stripe <= raid->region)
		return 0;
	error_set(reshape->error, -EINVAL,
		  "%s/%s: its regions have %s, less than a stripe of %s would have",
		  reshape->group->name, reshape->lv->name, size_format(raid->region, text[0]),
		  size_format(stripe, text[1]));
	return -EINVAL;
}

static int check_combination(const struct reshape *reshape)
{
	const struct lvm_raid_kind *from = lvm_lv_raid(reshape->lv)->private->raid->kind;

	if (reshape->wish->region_size)
		return error_set(reshape->error, -EINVAL,
				 "%s/%s: a reshape keeps the size of regions", reshape->group->name,
				 reshape->lv->name);
	if (reshape->images == reshape->before || reshape->kind->layout == from->layout)
		return 0;
	error_set(reshape->error, -EINVAL,
		  "%s/%s: gets either another layout or another number of stripes",
		  reshape->group->name, reshape->lv->name);
	return error_advise(reshape->error, "do one after the other");
}

/* What is beyond the end is lost; said before anything is, with how to keep it. */
static int check_fewer(const struct reshape *reshape)
{
	const struct lvm_raid *raid = lvm_lv_raid(reshape->lv)->private->raid;
	uint64_t size = (uint64_t)reshape->data_extents * stripes_of(raid, reshape->images) *
			reshape->group->extent_size;
	uint64_t keeps = reshape->lv->size / stripes_of(raid, reshape->images) *
			 stripes_of(raid, reshape->before);
	char text[3][SIZE_TEXT];
	int rc;

	if (reshape->images >= reshape->before)
		return 0;
	rc = change_check_closed(reshape->group, reshape->lv, reshape->error);
	if (rc || reshape->wish->force)
		return rc;
	error_set(reshape->error, -EINVAL,
		  "%s/%s: would have %llu bytes (%s) with %u stripes, it has %s: what is beyond "
		  "would be lost",
		  reshape->group->name, reshape->lv->name, (unsigned long long)size,
		  size_format(size, text[0]), stripes_of(raid, reshape->images),
		  size_format(reshape->lv->size, text[1]));
	return error_advise(reshape->error,
			    "make what is on it smaller, or the volume larger first, %s for all "
			    "of it to stay (`tenon lv resize`); then --force",
			    size_format(keeps, text[2]));
}

static int check_parts(const struct reshape *reshape)
{
	const struct volume_segment *segment = lvm_lv_raid(reshape->lv);

	for (unsigned i = 0; i < segment->area_count; i++) {
		const struct volume_lv *image = segment->areas[i].lv;

		for (unsigned k = 0; k < image->segment_count; k++)
			if (image->segments[k].area_count != 1 || !image->segments[k].areas->pv)
				return error_set(reshape->error, -EOPNOTSUPP,
						 "%s/%s: is not linear, and cannot be reshaped",
						 reshape->group->name, image->name);
		if (image->extent_count != segment->areas[0].lv->extent_count)
			return error_set(reshape->error, -EOPNOTSUPP,
					 "%s/%s: has %u extents, and %s has %u",
					 reshape->group->name, image->name, image->extent_count,
					 segment->areas[0].lv->name,
					 segment->areas[0].lv->extent_count);
	}
	return lvm_raid_check_part_names(reshape->group, reshape->lv->name, reshape->lv,
					 reshape->images, reshape->error);
}

/* Extents of the volume, and its bitmap, of which raid10 has one of the whole. */
static int check_extents(const struct reshape *reshape)
{
	const struct volume_segment *segment = lvm_lv_raid(reshape->lv);
	const struct lvm_raid *raid = segment->private->raid;
	uint64_t extents = (uint64_t)reshape->data_extents * stripes_of(raid, reshape->images);
	uint64_t room = (uint64_t)reshape->room * MAX(reshape->images, reshape->before);

	if (lvm_raid_extents(segment) !=
	    (uint64_t)reshape->data_extents * stripes_of(raid, reshape->before)) {
		error_set(reshape->error, -EOPNOTSUPP,
			  "%s/%s: has %u extents, and its images would have more: %u of each",
			  reshape->group->name, reshape->lv->name, lvm_raid_extents(segment),
			  reshape->data_extents);
		return error_advise(reshape->error, "`tenon lv resize` rounds it to whole stripes");
	}
	if (extents + room > UINT32_MAX)
		return error_set(reshape->error, -EINVAL, "%s/%s: would have more than %u extents",
				 reshape->group->name, reshape->lv->name, UINT32_MAX);
	if (raid->kind->level == 10 &&
	    (lvm_raid_region(reshape->group, raid->region, (uint32_t)extents) != raid->region ||
	     lvm_raid_meta_extents(reshape->group, raid->region, (uint32_t)extents) >
		     segment->metas[0].lv->extent_count))
		return error_set(reshape->error, -ENOSPC,
				 "%s/%s: the bitmap of %llu extents would not fit its metadata "
				 "volumes",
				 reshape->group->name, reshape->lv->name,
				 (unsigned long long)extents);
	return 0;
}

/* ---- How much room ---- */

static int find_room(struct reshape *reshape)
{
	const struct volume_segment *segment = lvm_lv_raid(reshape->lv);
	const struct lvm_raid *raid = segment->private->raid;
	uint64_t extent = reshape->group->extent_size;
	struct raid_geometry from = { .level = raid->kind->level,
				      .layout = raid->kind->layout +
						(raid->kind->level == 10 ? raid->copies : 0),
				      .chunk_sectors = segment->stripe_size / SECTOR,
				      .disks = reshape->before,
				      .member_sectors = reshape->data_extents * extent / SECTOR };
	struct raid_geometry to = from;
	uint64_t bytes;
	int rc;

	to.layout += reshape->kind->layout - raid->kind->layout;
	to.chunk_sectors = reshape->stripe_size / SECTOR;
	to.disks = reshape->images;
	rc = raid_geometry_check(to.level, to.layout, to.chunk_sectors, to.disks, reshape->error);
	if (rc) {
		error_prefix(reshape->error, "%s/%s", reshape->group->name, reshape->lv->name);
		return rc;
	}
	bytes = MAX(ROOM_LEAST, (uint64_t)MAX(reshape->stripe_size, segment->stripe_size));
	bytes = MAX(bytes, raid_geometry_reshape_height(&from, &to) * SECTOR);
	reshape->room = (uint32_t)((bytes + extent - 1) / extent);
	if (!raid->room)
		return 0;
	if (raid->room < reshape->room) {
		error_set(reshape->error, -EBUSY,
			  "%s/%s: keeps room of %u extents in each image from a reshape, and this "
			  "one needs %u",
			  reshape->group->name, reshape->lv->name, raid->room, reshape->room);
		return error_advise(reshape->error,
				    "`tenon lv convert %s/%s --type %s` gives it back",
				    reshape->group->name, reshape->lv->name, raid->kind->name);
	}
	reshape->room = raid->room;
	return 0;
}

/* ---- The step ---- */

static int find_step(struct reshape *reshape)
{
	const struct volume_segment *segment = lvm_lv_raid(reshape->lv);
	const struct lvm_raid *raid = segment->private->raid;
	bool same = reshape->images == reshape->before &&
		    reshape->kind->layout == raid->kind->layout &&
		    reshape->stripe_size == segment->stripe_size;

	if (reshape->before < segment->area_count && !same) {
		error_set(reshape->error, -EBUSY,
			  "%s/%s: has %u images still that a reshape has left",
			  reshape->group->name, reshape->lv->name,
			  segment->area_count - reshape->before);
		return error_advise(reshape->error,
				    "`tenon lv convert %s/%s --stripes %u` lets go of them",
				    reshape->group->name, reshape->lv->name,
				    stripes_of(raid, reshape->before));
	}
	reshape->step = !same                                   ? VOLUME_RESHAPE_BEGUN
			: reshape->before < segment->area_count ? VOLUME_RESHAPE_DROPPED
								: VOLUME_RESHAPE_RELEASED;
	if (same && reshape->before == segment->area_count && !raid->room)
		return error_set(reshape->error, -EALREADY, "%s/%s: is %s with %u images already",
				 reshape->group->name, reshape->lv->name,
				 volume_lv_type(reshape->lv), segment->area_count);
	return 0;
}

static int check_begun(const struct reshape *reshape)
{
	error_set(reshape->error, -EBUSY, "%s/%s: was stopped as a reshape of it began",
		  reshape->group->name, reshape->lv->name);
	return error_advise(reshape->error, "`tenon lv repair %s/%s` goes on with it",
			    reshape->group->name, reshape->lv->name);
}

int lvm_reshape_plan(struct reshape *reshape)
{
	const struct volume_segment *segment = lvm_lv_raid(reshape->lv);
	const struct lvm_raid *raid = segment->private->raid;
	const struct volume_convert *wish = reshape->wish;
	int rc;

	if (lvm_raid_is_to_begin(segment))
		return check_begun(reshape);
	reshape->kind = kind_meant(raid->kind, wish->type);
	reshape->before = staying(segment);
	if (wish->stripes > DM_RAID_DEVICES || wish->mirrors > 1)
		return error_set(reshape->error, -EINVAL,
				 "%s/%s: %u stripes with %u mirrors, expected at most %u, and one",
				 reshape->group->name, reshape->lv->name, wish->stripes,
				 wish->mirrors, DM_RAID_DEVICES);
	reshape->images = wish->stripes ? images_for(raid, wish->stripes) : reshape->before;
	reshape->stripe_size = wish->stripe_size ? wish->stripe_size : segment->stripe_size;
	reshape->data_extents = segment->areas[0].lv->extent_count - raid->room;
	rc = find_step(reshape);
	if (rc)
		return rc;
	reshape->room = raid->room;
	if (reshape->step != VOLUME_RESHAPE_BEGUN)
		return check_parts(reshape);
	rc = check_combination(reshape);
	if (!rc)
		rc = check_numbers(reshape);
	if (!rc)
		rc = check_stripe(reshape);
	if (!rc)
		rc = check_parts(reshape);
	if (!rc)
		rc = find_room(reshape);
	if (!rc)
		rc = check_extents(reshape);
	return rc ? rc : check_fewer(reshape);
}
