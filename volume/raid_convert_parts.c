/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume that gets another type, in memory: room for what is new, and what its parts become; see raid_convert.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/mirror.h"
#include "volume/raid_convert.h"

/* ---- Room ---- */

bool lvm_lv_lies_on(const struct volume_lv *lv, const struct volume_pv *pv)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (lv->segments[i].areas[k].pv == pv)
				return true;
	return false;
}

/* The PV on which a place that stays begins. */
static const struct volume_pv *pv_of(const struct conversion *c, const struct convert_place *place)
{
	return c->old ? c->old->areas[place->from].lv->segments->areas->pv
		      : c->lv->segments->areas[place->from].pv;
}

static int find_meta_place(const struct conversion *c, struct allocate_free *gaps, size_t count,
			   unsigned number)
{
	const struct volume_pv *pv = pv_of(c, &c->plan.places[number]);

	for (size_t i = 0; i < count; i++) {
		if (gaps[i].pv != pv->private->index || gaps[i].count < c->meta_extents)
			continue;
		c->meta_places[number] =
			(struct allocate_place){ .pv = gaps[i].pv, .extent = gaps[i].start };
		gaps[i].start += c->meta_extents;
		gaps[i].count -= c->meta_extents;
		return 0;
	}
	error_set(
		c->error, -ENOSPC,
		"%s/%s: the metadata of its image on %s needs %u free extent%s there, and there is "
		"none",
		c->group->name, c->lv->name, pv->block ? pv->block->name : pv->uuid,
		c->meta_extents, c->meta_extents > 1 ? "s" : "");
	return error_advise(c->error, "move something away: `tenon lv move`");
}

/* Beside the images that stay; new ones lie on PVs that nothing of the volume is on, so that both do not meet. */
static int find_meta_places(struct conversion *c)
{
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	size_t count;
	int rc = change_free_extents(c->group, &gaps, &count);

	if (rc)
		return change_no_memory(c->group, c->error);
	for (unsigned i = 0; !rc && i < c->plan.count; i++)
		if (c->plan.places[i].from != CONVERT_NEW)
			rc = find_meta_place(c, gaps, count, i);
	return rc;
}

int lvm_convert_find_room(struct conversion *c)
{
	struct volume_lv_options options = { .pvs = c->wish->pvs, .pv_count = c->wish->pv_count };
	int rc = c->meta_extents && !c->plan.keep_metas ? find_meta_places(c) : 0;

	if (rc || !c->fresh_count)
		return rc;
	rc = lvm_raid_place(c->group, &options, c->lv, c->fresh_count,
			    c->image_extents + c->meta_extents, &c->fresh);
	if (rc == -ENOSPC) {
		error_set(c->error, rc,
			  "%s/%s: %u new images are needed, and there are not so many PVs with %u "
			  "free extents beside those that it is on",
			  c->group->name, c->lv->name, c->fresh_count,
			  c->image_extents + c->meta_extents);
		return error_advise(c->error, "add one: `tenon vg extend %s DEVICE`",
				    c->group->name);
	}
	return rc ? change_no_memory(c->group, c->error) : 0;
}

void lvm_convert_set_sizes(struct conversion *c)
{
	const struct lvm_raid_kind *kind = c->plan.kind;
	uint64_t region = c->plan.region;

	for (unsigned i = 0; i < c->plan.count; i++)
		c->fresh_count += c->plan.places[i].from == CONVERT_NEW;
	c->image_extents = c->old ? c->old->areas->lv->extent_count
				  : c->lv->extent_count / c->lv->segments->area_count;
	if (!kind)
		return;
	if (!region && c->old)
		region = c->old->private->mirror ? c->old->private->mirror->region
						 : c->old->private->raid->region;
	region = lvm_raid_region(c->group, region, c->lv->extent_count);
	c->raid = (struct lvm_raid){ .kind = kind, .region = region, .copies = 2 };
	c->meta_extents = !strcmp(kind->name, "raid0")
				  ? 0
				  : lvm_raid_meta_extents(c->group, region, c->image_extents);
	if (!kind->level)
		c->raid.region = 0;
}

/* ---- Parts ---- */

/* The linear volume that a stripe is. */
static int give_stripe(struct conversion *c, unsigned stripe, struct volume_lv *to)
{
	for (unsigned i = 0; i < c->lv->segment_count; i++) {
		const struct volume_segment *segment = &c->lv->segments[i];
		const struct volume_area *area = &segment->areas[stripe];
		uint32_t length = segment->extent_count / segment->area_count;
		struct allocate_place place = { .extent = area->extent };
		struct allocate_result piece = { .count = 1, .lengths = &length, .places = &place };

		place.pv = area->pv->private->index;
		if (change_append(c->group, to, &piece, 1, 0))
			return -ENOMEM;
	}
	return 0;
}

static struct volume_lv *new_meta(struct conversion *c, unsigned number)
{
	struct allocate_result piece = { .count = 1,
					 .lengths = &c->meta_extents,
					 .places = &c->meta_places[number] };
	struct volume_lv *meta = lvm_raid_new_part(&c->change, c->lv->name, "rmeta", number, NULL);

	return meta && !change_append(c->group, meta, &piece, 1, 0) ? meta : NULL;
}

/* An image that stays. */
static int take_place(struct conversion *c, unsigned number)
{
	const struct convert_place *place = &c->plan.places[number];

	if (c->old) {
		c->images[number] = c->old->areas[place->from].lv;
		if (lvm_raid_name_part(&c->change, c->lv->name, c->images[number], "rimage",
				       number))
			return -ENOMEM;
	} else {
		c->images[number] =
			lvm_raid_new_part(&c->change, c->lv->name, "rimage", number, NULL);
		if (!c->images[number] || give_stripe(c, (unsigned)place->from, c->images[number]))
			return -ENOMEM;
	}
	if (c->plan.keep_metas) {
		c->metas[number] = c->old->metas[place->from].lv;
		return lvm_raid_name_part(&c->change, c->lv->name, c->metas[number], "rmeta",
					  number);
	}
	if (c->meta_extents)
		c->metas[number] = new_meta(c, number);
	return c->meta_extents && !c->metas[number] ? -ENOMEM : 0;
}

static int new_place(struct conversion *c, unsigned number, unsigned column)
{
	const char *more = c->plan.keep_metas ? "REBUILD" : NULL;

	if (c->meta_extents) {
		c->metas[number] =
			lvm_raid_new_part(&c->change, c->lv->name, "rmeta", number, NULL);
		if (!c->metas[number])
			return -ENOMEM;
	}
	c->images[number] = lvm_raid_new_part(&c->change, c->lv->name, "rimage", number, more);
	return c->images[number]
		       ? lvm_raid_give(c->group, &c->fresh, c->fresh_count, column,
				       c->metas[number], c->meta_extents, c->images[number])
		       : -ENOMEM;
}

static int make_places(struct conversion *c)
{
	unsigned column = 0;
	int rc = 0;

	for (unsigned i = 0; !rc && i < c->plan.count; i++)
		rc = c->plan.places[i].from == CONVERT_NEW ? new_place(c, i, column++)
							   : take_place(c, i);
	return rc;
}

/* ---- What goes ---- */

static bool stays(const struct conversion *c, unsigned image)
{
	for (unsigned i = 0; i < c->plan.count; i++)
		if (c->plan.places[i].from == (int)image)
			return true;
	return false;
}

/* It becomes a volume that people see. */
static int split(struct conversion *c, struct volume_lv *image)
{
	static const char *const status[] = { "READ", "WRITE", "VISIBLE" };

	if (change_keep_lv(&c->change, image) ||
	    change_set_strings(c->group, &image->private->status, status, ARRAY_SIZE(status)))
		return -ENOMEM;
	image->name = lvm_vg_string(c->group, c->wish->split_name);
	image->visible = true;
	lvm_index_forget(c->group);
	return image->name ? 0 : -ENOMEM;
}

/* Images of a volume that is an array no more are its segments. */
static bool image_goes(const struct conversion *c, unsigned image)
{
	return (int)image != c->plan.split && (!c->plan.kind || !stays(c, image));
}

static int drop_old(struct conversion *c)
{
	int rc = 0;

	if (c->old && c->old_images < c->old->area_count)
		rc = lvm_mirror_drop(&c->change, c->old->areas[c->old_images].lv);
	for (unsigned i = 0; !rc && c->old && i < c->old_images; i++) {
		if ((int)i == c->plan.split)
			rc = split(c, c->old->areas[i].lv);
		else if (image_goes(c, i))
			rc = change_drop_lv(&c->change, c->old->areas[i].lv);
		if (!rc && c->old->metas && !(c->plan.keep_metas && stays(c, i)))
			rc = change_drop_lv(&c->change, c->old->metas[i].lv);
	}
	return rc;
}

/* ---- The volume ---- */

static const struct volume_segment *segment_at(const struct volume_lv *lv, uint32_t extent)
{
	const struct volume_segment *segment = lv->segments;

	while (segment->start_extent + segment->extent_count <= extent)
		segment++;
	return segment;
}

/* The images next to each other, as far as each is in one piece. */
static int become_plain(struct conversion *c)
{
	unsigned count = c->plan.count;
	CLEANUP_FREE struct allocate_place *at = calloc(count, sizeof(*at));
	struct volume_lv plain = { 0 };

	if (!at)
		return -ENOMEM;
	for (uint32_t done = 0, length; done < c->image_extents; done += length) {
		struct allocate_result piece = { .count = 1, .lengths = &length, .places = at };

		length = c->image_extents - done;
		for (unsigned i = 0; i < count; i++) {
			const struct volume_segment *segment =
				segment_at(c->old->areas[c->plan.places[i].from].lv, done);
			uint32_t skip = done - segment->start_extent;

			length = MIN(length, segment->extent_count - skip);
			at[i].pv = segment->areas->pv->private->index;
			at[i].extent = segment->areas->extent + skip;
		}
		if (change_append(c->group, &plain, &piece, count, c->plan.stripe_size))
			return -ENOMEM;
	}
	c->lv->segments = plain.segments;
	c->lv->segment_count = plain.segment_count;
	return change_set_flag(c->group, &c->lv->private->status, "NOTSYNCED", false);
}

static int become_array(struct conversion *c)
{
	struct lvm_config *memory = &c->group->private->memory;
	size_t size = c->plan.count * sizeof(struct volume_area);
	struct volume_segment *segment = lvm_config_alloc(memory, sizeof(*segment));
	struct lvm_raid *raid = lvm_config_alloc(memory, sizeof(*raid));

	if (!segment || !raid)
		return -ENOMEM;
	*raid = c->raid;
	*segment = (struct volume_segment){
		.extent_count = c->lv->extent_count,
		.type = (char *)c->raid.kind->name,
		.stripe_size = c->plan.stripe_size,
		.area_count = c->plan.count,
		.areas = lvm_config_alloc(memory, size),
		.metas = c->meta_extents ? lvm_config_alloc(memory, size) : NULL,
		.private = lvm_config_alloc(memory, sizeof(*segment->private)),
	};
	if (!segment->areas || !segment->private || (c->meta_extents && !segment->metas))
		return -ENOMEM;
	segment->private->type = &lvm_segment_raid;
	segment->private->raid = raid;
	for (unsigned i = 0; i < c->plan.count; i++) {
		segment->areas[i] =
			(struct volume_area){ .lv_name = c->images[i]->name, .lv = c->images[i] };
		if (c->meta_extents)
			segment->metas[i] = (struct volume_area){ .lv_name = c->metas[i]->name,
								  .lv = c->metas[i] };
	}
	c->lv->segments = segment;
	c->lv->segment_count = 1;
	return 0;
}

/* ---- The group ---- */

/* What is kept last is swapped first: the volume lets go of what it was made of then (raid_repair.c). */
int lvm_convert_parts(struct conversion *c)
{
	int rc = drop_old(c);

	if (!rc && c->plan.kind)
		rc = make_places(c);
	if (!rc)
		rc = change_keep_lv(&c->change, c->lv);
	if (!rc)
		rc = c->plan.kind ? become_array(c) : become_plain(c);
	return rc ? change_no_memory(c->group, c->error) : 0;
}
