/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume that is reshaped, in memory; see raid_reshape.h. Room for it is added at the end of each image, on the PV that it is on, and is then moved
 * before the data where dm-raid has them begin: with more images. That moves no byte: extents of the image get another order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/raid_reshape.h"

/* ---- An image ---- */

/* Extents of `from` behind those of `to`. */
static int append_range(struct volume_group *group, const struct volume_lv *from, uint32_t start,
			uint32_t end, struct volume_lv *to)
{
	for (unsigned i = 0; i < from->segment_count; i++) {
		const struct volume_segment *segment = &from->segments[i];
		uint32_t low = MAX(start, segment->start_extent);
		uint32_t high = MIN(end, segment->start_extent + segment->extent_count);
		uint32_t length = high - low;
		struct allocate_place place = { .extent = segment->areas->extent + low -
							  segment->start_extent };
		struct allocate_result piece = { .count = 1, .lengths = &length, .places = &place };

		if (low >= high)
			continue;
		place.pv = segment->areas->pv->private->index;
		if (change_append(group, to, &piece, 1, 0))
			return -ENOMEM;
	}
	return 0;
}

/* Its extents from `first` on are its first ones then. */
static int turn(struct reshape *reshape, struct volume_lv *image, uint32_t first)
{
	struct volume_lv turned = { .private = image->private };

	if (change_keep_lv(&reshape->change, image) ||
	    append_range(reshape->group, image, first, image->extent_count, &turned) ||
	    append_range(reshape->group, image, 0, first, &turned))
		return -ENOMEM;
	image->segments = turned.segments;
	image->segment_count = turned.segment_count;
	return 0;
}

static struct lvm_config_node *room_key(struct volume_group *group, uint32_t room)
{
	struct lvm_config *memory = &group->private->memory;
	struct lvm_config_node *node = lvm_config_alloc(memory, sizeof(*node));

	if (!node)
		return NULL;
	*node = (struct lvm_config_node){ .key = "reshape_count",
					  .values = lvm_config_alloc(memory, sizeof(*node->values)),
					  .value_count = 1 };
	if (!node->values)
		return NULL;
	*node->values = (struct lvm_config_value){ .type = LVM_CONFIG_INTEGER, .integer = room };
	return node;
}

/* lvm2 has the first segment say it, whichever end the room is at. */
static int say_room(struct reshape *reshape, struct volume_lv *image, uint32_t room)
{
	struct volume_group *group = reshape->group;

	for (unsigned i = 0; i < image->segment_count; i++) {
		struct lvm_config_node **extra = &image->segments[i].private->extra, *node;

		if (change_set_key(group, extra, "reshape_count", NULL))
			return -ENOMEM;
		if (i || !room)
			continue;
		node = room_key(group, room);
		if (!node)
			return -ENOMEM;
		node->next = *extra;
		*extra = node;
	}
	return 0;
}

/* The flags are those of a copy of its segments, which is looked at by nobody else. */
static int settle_image(struct reshape *reshape, struct volume_lv *image, uint32_t room,
			const char *flags)
{
	return lvm_raid_set_flags(&reshape->change, image, flags) || say_room(reshape, image, room)
		       ? -ENOMEM
		       : 0;
}

/* ---- Images that come, and room ---- */

static int no_place(const struct reshape *reshape, unsigned count, uint32_t extents)
{
	error_set(reshape->error, -ENOSPC,
		  "%s/%s: %u new images are needed, and there are not so many PVs with %u free "
		  "extents beside those that it is on",
		  reshape->group->name, reshape->lv->name, count, extents);
	return error_advise(reshape->error, "add one: `tenon vg extend %s DEVICE`",
			    reshape->group->name);
}

static int new_image(struct reshape *reshape, struct volume_segment *segment, unsigned place,
		     const struct allocate_result *places, unsigned column, uint32_t meta_extents)
{
	struct change *change = &reshape->change;
	const char *name = reshape->lv->name;
	struct volume_lv *meta = lvm_raid_new_part(change, name, "rmeta", place, NULL);
	struct volume_lv *image =
		meta ? lvm_raid_new_part(change, name, "rimage", place, NULL) : NULL;

	if (!image ||
	    lvm_raid_give(reshape->group, places, reshape->images - reshape->before, column, meta,
			  meta_extents, image) ||
	    settle_image(reshape, image, reshape->room, "+RESHAPE_DELTA_DISKS_PLUS"))
		return change_no_memory(reshape->group, reshape->error);
	segment->metas[place] = (struct volume_area){ .lv_name = meta->name, .lv = meta };
	segment->areas[place] = (struct volume_area){ .lv_name = image->name, .lv = image };
	return lvm_raid_clear_meta(reshape->group, meta, reshape->error);
}

static int new_images(struct reshape *reshape, struct volume_segment *segment)
{
	struct volume_lv_options options = { .pvs = reshape->wish->pvs,
					     .pv_count = reshape->wish->pv_count };
	unsigned count = reshape->images - reshape->before;
	uint32_t image = reshape->data_extents + reshape->room;
	uint32_t meta = segment->metas[0].lv->extent_count;
	struct allocate_result places;
	int rc =
		lvm_raid_place(reshape->group, &options, reshape->lv, count, image + meta, &places);

	if (rc)
		return rc == -ENOSPC ? no_place(reshape, count, image + meta)
				     : change_no_memory(reshape->group, reshape->error);
	for (unsigned i = 0; !rc && i < count; i++)
		rc = new_image(reshape, segment, reshape->before + i, &places, i, meta);
	allocate_result_free(&places);
	return rc;
}

/* With more images data move upwards from behind the room, with fewer downwards into it. */
static int place_room(struct reshape *reshape, const struct volume_segment *segment)
{
	uint32_t all = reshape->data_extents + reshape->room;
	bool front = reshape->images > reshape->before;
	int rc = 0;

	if (reshape->images == reshape->before || front == reshape->in_front)
		return 0;
	for (unsigned i = 0; !rc && i < reshape->before; i++)
		rc = turn(reshape, segment->areas[i].lv,
			  front ? all - reshape->room : reshape->room);
	return rc;
}

/* ---- The segment ---- */

/* One for so many places, the first of which are as they are; it and what is private to it may be changed. */
static struct volume_segment *new_segment(struct reshape *reshape, unsigned places)
{
	struct lvm_config *memory = &reshape->group->private->memory;
	const struct volume_segment *old = reshape->lv->segments;
	unsigned kept = MIN(places, old->area_count);
	struct volume_segment *segment = lvm_config_alloc(memory, sizeof(*segment));
	struct volume_segment_private *private = lvm_config_alloc(memory, sizeof(*private));
	struct lvm_raid *raid = lvm_config_alloc(memory, sizeof(*raid));

	if (!segment || !private || !raid)
		return NULL;
	*segment = *old;
	*private = *old->private;
	*raid = *private->raid;
	private->raid = raid;
	segment->private = private;
	segment->area_count = places;
	segment->areas = lvm_config_alloc(memory, places * sizeof(*segment->areas));
	segment->metas = lvm_config_alloc(memory, places * sizeof(*segment->metas));
	if (!segment->areas || !segment->metas)
		return NULL;
	memcpy(segment->areas, old->areas, kept * sizeof(*segment->areas));
	memcpy(segment->metas, old->metas, kept * sizeof(*segment->metas));
	return segment;
}

static void set_extents(struct reshape *reshape, struct volume_segment *segment, uint32_t room)
{
	struct lvm_raid *raid = (struct lvm_raid *)segment->private->raid;
	uint32_t data = reshape->data_extents * lvm_raid_data_images(raid, segment->area_count);

	raid->room = room;
	segment->extent_count = data + room * (segment->area_count - raid->kind->parity);
	reshape->lv->extent_count = segment->extent_count;
	reshape->lv->size = data * reshape->group->extent_size;
}

/* What is kept last is swapped first: the old array is stopped before its images get another order. */
static int put_segment(struct reshape *reshape, struct volume_segment *segment, uint32_t room,
		       const char *flags)
{
	if (change_keep_lv(&reshape->change, reshape->lv))
		return change_no_memory(reshape->group, reshape->error);
	segment->private->flags = flags;
	set_extents(reshape, segment, room);
	reshape->lv->segments = segment;
	return 0;
}

/* ---- The steps ---- */

static int begin(struct reshape *reshape, struct volume_segment *segment)
{
	struct lvm_raid *raid = (struct lvm_raid *)segment->private->raid;
	int rc = 0;

	if (!raid->room)
		rc = lvm_raid_grow_images(&reshape->change, segment, reshape->before, reshape->room,
					  reshape->error);
	if (!rc && place_room(reshape, segment))
		rc = change_no_memory(reshape->group, reshape->error);
	for (unsigned i = 0; !rc && i < reshape->before; i++) {
		const char *flags = i < reshape->images ? NULL : "+RESHAPE_DELTA_DISKS_MINUS";

		if (settle_image(reshape, segment->areas[i].lv, reshape->room, flags))
			rc = change_no_memory(reshape->group, reshape->error);
	}
	if (!rc && reshape->images > reshape->before)
		rc = new_images(reshape, segment);
	if (rc)
		return rc;
	raid->kind = reshape->kind;
	raid->begins = true;
	raid->begins_at = reshape->room * reshape->group->extent_size;
	segment->type = (char *)reshape->kind->name;
	segment->stripe_size = reshape->stripe_size;
	return put_segment(reshape, segment, reshape->room, "+RESHAPE+RESHAPE_DATA_OFFSET");
}

static int drop(struct reshape *reshape, struct volume_segment *segment)
{
	const struct volume_segment *old = reshape->lv->segments;

	for (unsigned i = reshape->images; i < old->area_count; i++)
		if (change_drop_lv(&reshape->change, old->areas[i].lv) ||
		    change_drop_lv(&reshape->change, old->metas[i].lv))
			return change_no_memory(reshape->group, reshape->error);
	return put_segment(reshape, segment, reshape->room,
			   reshape->room ? "+RESHAPE_DATA_OFFSET" : NULL);
}

/* Room at the end goes with one commit. From before the data it is turned to the end first, and superblocks say that they begin there. */
static int release(struct reshape *reshape, struct volume_segment *segment)
{
	struct lvm_raid *raid = (struct lvm_raid *)segment->private->raid;

	for (unsigned i = 0; i < segment->area_count; i++) {
		struct volume_lv *image = segment->areas[i].lv;
		int rc = reshape->in_front
				 ? turn(reshape, image, reshape->room)
				 : (change_keep_lv(&reshape->change, image) ||
				    change_shrink(reshape->group, image, reshape->data_extents));

		if (rc || settle_image(reshape, image, reshape->in_front ? reshape->room : 0, NULL))
			return change_no_memory(reshape->group, reshape->error);
	}
	raid->begins = reshape->in_front;
	raid->begins_at = 0;
	if (reshape->in_front)
		return put_segment(reshape, segment, reshape->room, "+RESHAPE_DATA_OFFSET");
	return put_segment(reshape, segment, 0, NULL);
}

int lvm_reshape_cut(struct reshape *reshape)
{
	reshape->in_front = false;
	return lvm_reshape_parts(reshape);
}

int lvm_reshape_parts(struct reshape *reshape)
{
	unsigned places = reshape->lv->segments->area_count;
	struct volume_segment *segment;

	if (reshape->step == VOLUME_RESHAPE_BEGUN)
		places = MAX(reshape->images, reshape->before);
	else if (reshape->step == VOLUME_RESHAPE_DROPPED)
		places = reshape->images;
	segment = new_segment(reshape, places);
	if (!segment)
		return change_no_memory(reshape->group, reshape->error);
	switch (reshape->step) {
	case VOLUME_RESHAPE_BEGUN:
		return begin(reshape, segment);
	case VOLUME_RESHAPE_DROPPED:
		return drop(reshape, segment);
	default:
		return release(reshape, segment);
	}
}
