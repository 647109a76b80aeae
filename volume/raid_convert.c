/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume gets another type or other images, while it is used.
 *
 *	1. room for new images and metadata volumes is found, on extents that are free
 *	2. the metadata volumes are written there: superblocks and bitmap of what the array will be, durable
 *	3. requests wait, what was written is flushed, and the array is looked at once more: is it whole?
 *	4. a commit
 *	5. the tables are swapped, and requests go on
 *
 * Up to 4 nothing is changed, from 4 on all is: who opens the volume after a cut of power finds the one array or the other, with superblocks
 * of its own, and all data that were flushed. Between 3 and 5 nobody writes, so that what is left out after 4 misses
 * nothing, and what is new is filled from what was there.
 *
 * A mirror that gets images keeps the metadata of the others. The new ones are zeroes, and have the status REBUILD until superblocks say
 * that they have no data, as in raid_repair.c; lvm2 does the same.
 */
#include "volume/raid_convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/mirror.h"
#include "volume/raid_change.h"
#include "volume/raid_reshape.h"

/* ---- Whether it may be ---- */

static int check_synced(const struct conversion *c)
{
	const struct lvm_strings *status = &c->lv->private->status;
	const struct lvm_raid *raid = c->old->private->raid;
	bool fewer = c->plan.count <= c->old_images && (c->plan.keep_metas || !raid);

	if (!lvm_strings_contain(status, "NOTSYNCED") || fewer || (raid && !raid->kind->level))
		return 0;
	return error_set(
		c->error, -EBUSY,
		"%s/%s: was made or extended with --nosync, so that its images need not agree",
		c->group->name, c->lv->name);
}

/* Of a mirror: what its log says of its legs. Where they do not agree the first has all data, and the others get them anew. */
static int judge_legs(struct conversion *c)
{
	struct lvm_mirror_map map;
	bool first = false, agree;
	int rc = lvm_mirror_map_read(c->group, c->lv, &map, c->error);

	agree = map.in_sync == map.regions;
	lvm_mirror_map_free(&map);
	if (rc || agree)
		return rc;
	for (unsigned i = 0; i < c->plan.count; i++) {
		struct convert_place *place = &c->plan.places[i];

		first |= !place->from;
		if (place->from > 0)
			place->filled = false;
	}
	if (first)
		return 0;
	error_set(
		c->error, -EBUSY,
		"%s/%s: its first leg, %s, is to go, and no log says that the others have the same",
		c->group->name, c->lv->name, c->old->areas[0].lv->name);
	return error_advise(c->error, "make it raid1 with all of them first");
}

/* What stays must have all data, by what the array says of itself. */
static int check_whole(const struct conversion *c)
{
	struct raid_array *array = lvm_active_raid(c->lv);
	struct raid_status status;
	int rc = 0;

	if (!array || !c->old)
		return 0;
	raid_status(array, &status);
	for (unsigned i = 0; !rc && i < c->plan.count; i++) {
		const struct convert_place *place = &c->plan.places[i];

		if (place->from == CONVERT_NEW)
			continue;
		if (!lvm_raid_is_in_sync(&status, (unsigned)place->from))
			rc = error_set(
				c->error, -EBUSY,
				"%s/%s: its image %s, which is to stay, has not all data yet",
				c->group->name, c->lv->name, c->old->areas[place->from].lv->name);
	}
	if (!rc && !status.agree)
		rc = error_set(c->error, -EBUSY, "%s/%s: its images do not agree yet",
			       c->group->name, c->lv->name);
	if (rc)
		error_advise(c->error, "`tenon lv repair %s/%s` waits until they do",
			     c->group->name, c->lv->name);
	raid_status_free(&status);
	return rc;
}

static int check_images(const struct conversion *c)
{
	for (unsigned i = 0; c->old && i < c->old_images; i++) {
		const struct volume_lv *image = c->old->areas[i].lv;

		if (c->old->private->mirror && image->extent_count != c->lv->extent_count)
			return error_set(c->error, -EOPNOTSUPP,
					 "%s/%s: has %u extents, the mirror has %u", c->group->name,
					 image->name, image->extent_count, c->lv->extent_count);
		for (unsigned k = 0; k < image->segment_count; k++)
			if (image->segments[k].area_count != 1 || !image->segments[k].areas->pv)
				return error_set(c->error, -EOPNOTSUPP,
						 "%s/%s: is not linear, and cannot be converted",
						 c->group->name, image->name);
	}
	return 0;
}

/* ---- What is written before the commit ---- */

static int write_all_metas(struct conversion *c, struct block **blocks, bool *filled)
{
	char name[2 * VOLUME_NAME_LENGTH + 2];
	const struct lvm_raid_kind *kind = c->raid.kind;
	struct raid_shape shape = {
		.name = name,
		.level = kind->level,
		.layout = kind->layout + (kind->level == 10 ? c->raid.copies : 0),
		.chunk = c->plan.stripe_size,
		.region = c->raid.region,
	};
	int rc = 0;

	snprintf(name, sizeof(name), "%s/%s", c->group->name, c->lv->name);
	for (unsigned i = 0; !rc && i < c->plan.count; i++) {
		filled[i] = c->plan.places[i].filled;
		rc = lvm_raid_clear_meta(c->group, c->metas[i], c->error);
		if (!rc)
			rc = lvm_active_open(c->group, c->metas[i], true, &blocks[i], c->error);
	}
	return rc ? rc
		  : raid_create_components(&shape, blocks, filled, c->plan.count,
					   c->image_extents * c->group->extent_size, c->error);
}

static int write_metas(struct conversion *c)
{
	CLEANUP_FREE struct block **blocks = NULL;
	CLEANUP_FREE bool *filled = NULL;
	int rc = 0;

	if (!c->plan.kind || !c->meta_extents)
		return 0;
	for (unsigned i = 0; c->plan.keep_metas && !rc && i < c->plan.count; i++)
		if (c->plan.places[i].from == CONVERT_NEW)
			rc = lvm_raid_clear_meta(c->group, c->metas[i], c->error);
	if (c->plan.keep_metas)
		return rc;
	blocks = calloc(c->plan.count, sizeof(struct block *));
	filled = calloc(c->plan.count, sizeof(*filled));
	rc = blocks && filled ? write_all_metas(c, blocks, filled)
			      : change_no_memory(c->group, c->error);
	for (unsigned i = 0; blocks && i < c->plan.count; i++)
		block_unref(blocks[i]);
	return rc;
}

/* ---- The change ---- */

static int change_group(struct conversion *c)
{
	int rc = lvm_convert_parts(c);

	return rc ? rc : write_metas(c);
}

static int commit(struct conversion *c)
{
	struct lvm_hold hold;
	int rc = lvm_active_hold(c->lv, &hold, c->error);

	if (!rc)
		rc = check_whole(c);
	if (!rc)
		rc = change_commit(&c->change, c->error);
	lvm_active_release(&hold);
	return rc;
}

static int make(struct conversion *c)
{
	int rc;

	c->images = calloc(c->plan.count + 1, sizeof(struct volume_lv *));
	c->metas = calloc(c->plan.count + 1, sizeof(struct volume_lv *));
	c->meta_places = calloc(c->plan.count + 1, sizeof(*c->meta_places));
	rc = c->images && c->metas && c->meta_places ? lvm_convert_find_room(c)
						     : change_no_memory(c->group, c->error);
	if (!rc)
		rc = change_group(c);
	return rc ? rc : commit(c);
}

static int check_wish(const struct conversion *c)
{
	int rc = c->wish->split_name
			 ? lvm_lv_new_name_check(c->group, c->wish->split_name, c->error)
			 : 0;

	if (!rc && c->old)
		rc = check_synced(c);
	if (!rc)
		rc = check_images(c);
	if (!rc && c->plan.kind)
		rc = lvm_raid_check_part_names(c->group, c->lv->name, c->lv, c->plan.count,
					       c->error);
	if (!rc && !c->plan.kind && c->plan.count > 1 &&
	    c->lv->extent_count != c->image_extents * c->plan.count)
		rc = error_set(c->error, -EOPNOTSUPP,
			       "%s/%s: has %u extents, and %u stripes of %u are more",
			       c->group->name, c->lv->name, c->lv->extent_count, c->plan.count,
			       c->image_extents);
	return rc;
}

/* An array is in use meanwhile, and says whether it is whole. */
static int carry_out(struct conversion *c)
{
	const struct volume_segment *mirror = lvm_lv_mirror(c->lv);
	int rc;

	c->old = mirror ? mirror : lvm_lv_raid(c->lv);
	c->old_images = mirror ? mirror->private->mirror->legs : c->old ? c->old->area_count : 0;
	lvm_convert_set_sizes(c);
	rc = check_wish(c);
	if (!rc && mirror)
		rc = judge_legs(c);
	if (!rc && !mirror)
		rc = lvm_active_open(c->group, c->lv, true, &c->block, c->error);
	if (!rc)
		rc = check_whole(c);
	if (!rc)
		rc = make(c);
	return rc;
}

/* Superblocks of what is there now, and no image is told to be filled that they say it of. */
static int settle(struct conversion *c)
{
	/* Nobody writes to what was a mirror. */
	struct raid_array *array = c->block ? lvm_active_raid(c->lv) : NULL;
	int rc = array ? raid_write_superblocks(array, c->error) : 0;

	return rc || !lvm_lv_raid(c->lv) ? rc : lvm_raid_clear_rebuild(c->group, c->lv, c->error);
}

int volume_lv_convert(struct volume_group *group, const char *name,
		      const struct volume_convert *wish, struct error *error)
{
	CHANGING(group);
	struct conversion c = { .group = group, .wish = wish, .error = error };
	int rc;

	change_begin(&c.change, group);
	rc = change_find_lv_or_raid(group, name, &c.lv, error);
	if (!rc && lvm_reshape_is_wanted(c.lv, wish)) {
		change_end(&c.change);
		return lvm_lv_reshape(group, c.lv, wish, error);
	}
	if (!rc)
		rc = lvm_convert_plan(group, c.lv, wish, &c.plan, error);
	if (!rc)
		rc = carry_out(&c);
	change_end(&c.change);
	if (!rc)
		rc = settle(&c);
	block_unref(c.block);
	free(c.images);
	free(c.metas);
	free(c.meta_places);
	allocate_result_free(&c.fresh);
	convert_plan_free(&c.plan);
	return rc;
}
