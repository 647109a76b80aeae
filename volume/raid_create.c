/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New RAID volumes: as many images, as large, and where lvm2 would put them (lib/metadata/lv_manip.c): each on a PV of its own, its metadata
 * volume before it in the same free area.
 *
 * The array is started, and so its superblocks written, on extents that are free until the commit (change.c): a crash before that
 * leaves nothing, one after it a volume with a resync to do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/dm_raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/active.h"
#include "volume/cling.h"
#include "volume/mirror.h"
#include "volume/raid_change.h"
#include "volume/raid_convert.h"

#define REGION_DEFAULT (2ull << 20)
#define REGION_MIN     4096u
#define REGIONS_MAX    (1u << 21) /* lvm2's */
#define STRIPE_DEFAULT (64u << 10)
#define STRIPE_MIN     4096u
#define CLEARED_MAX                                                                                \
	(8ull << 20) /* of a metadata volume: more than a superblock and a bitmap have */

struct raid_wish {
	const char *name; /* "VG/LV" */
	struct lvm_raid raid;
	unsigned images;
	uint32_t stripe_size, extents, image_extents, meta_extents; /* 0: no metadata */
};

/* ---- What is asked for ---- */

static int check_type(const struct volume_lv_options *options, struct raid_wish *wish,
		      struct error *error)
{
	const struct lvm_raid_kind *kind = lvm_raid_kind_find(options->type);
	unsigned stripes = options->stripes, mirrors = options->mirrors;

	if (!kind) {
		error_set(error, -EINVAL, "%s: type \"%.60s\" is none that is made", wish->name,
			  options->type);
		return error_advise(error,
				    "raid0, raid0_meta, raid1, raid4, raid5, raid6 and raid10 are, "
				    "raid5_ls and the like too");
	}
	wish->raid.kind = kind;
	if (mirrors && kind->level != 1 && kind->level != 10)
		return error_set(error, -EINVAL, "%s: %s has no mirrors", wish->name, kind->name);
	if (kind->level == 10 && mirrors > 1)
		return error_set(error, -EINVAL, "%s: %u mirrors, raid10 has one of each stripe",
				 wish->name, mirrors);
	if (kind->level == 1 && stripes > 1) {
		error_set(error, -EINVAL, "%s: raid1 has no stripes", wish->name);
		return error_advise(error, "raid10 has both");
	}
	mirrors = mirrors ? mirrors : 1;
	stripes = stripes ? stripes : kind->default_stripes;
	if (stripes < kind->default_stripes)
		return error_set(error, -EINVAL, "%s: %u stripes, %s has at least %u", wish->name,
				 stripes, kind->name, kind->default_stripes);
	wish->raid.copies = kind->level == 10 ? 2 : mirrors + 1;
	wish->images = kind->level == 1    ? mirrors + 1
		       : kind->level == 10 ? 2 * stripes
					   : stripes + kind->parity;
	return wish->images <= DM_RAID_DEVICES
		       ? 0
		       : error_set(error, -EINVAL, "%s: %u images, at most %u are possible",
				   wish->name, wish->images, DM_RAID_DEVICES);
}

static int check_sizes(const struct volume_group *group, const struct volume_lv_options *options,
		       struct raid_wish *wish, struct error *error)
{
	uint64_t stripe = options->stripe_size, region = options->region_size;
	int level = wish->raid.kind->level;
	char text[2][SIZE_TEXT];

	if (stripe && level == 1)
		return error_set(error, -EINVAL, "%s: raid1 has no stripes", wish->name);
	if (region && !level)
		return error_set(error, -EINVAL, "%s: %s has no regions", wish->name,
				 wish->raid.kind->name);
	stripe = stripe ? stripe : MIN((uint64_t)STRIPE_DEFAULT, group->extent_size);
	if (level != 1 &&
	    (!is_power_of_two(stripe) || stripe < STRIPE_MIN || stripe > group->extent_size))
		return error_set(error, -EINVAL,
				 "%s: stripe size is %llu, expected a power of two from %u to %llu",
				 wish->name, (unsigned long long)stripe, STRIPE_MIN,
				 (unsigned long long)group->extent_size);
	region = region ? region : REGION_DEFAULT;
	if (!is_power_of_two(region) || region < REGION_MIN || region > (1ull << 40))
		return error_set(error, -EINVAL,
				 "%s: region size is %llu, expected a power of two from %u on",
				 wish->name, (unsigned long long)region, REGION_MIN);
	if (level > 1 && region < stripe)
		return error_set(error, -EINVAL, "%s: region size is %s, less than a stripe of %s",
				 wish->name, size_format(region, text[0]),
				 size_format(stripe, text[1]));
	if (options->no_sync && level == 6)
		return error_set(
			error, -EINVAL,
			"%s: raid6 is synchronized before it is of use; leave out --nosync",
			wish->name);
	wish->stripe_size = level == 1 ? 0 : (uint32_t)stripe;
	wish->raid.region = region;
	return 0;
}

uint32_t lvm_raid_meta_extents(const struct volume_group *group, uint64_t region,
			       uint32_t image_extents)
{
	uint64_t regions = image_extents * group->extent_size / region;
	uint64_t bytes = 2 * 4096 + (regions + 7) / 8;

	return (uint32_t)((bytes + group->extent_size - 1) / group->extent_size);
}

uint64_t lvm_raid_region(const struct volume_group *group, uint64_t region, uint32_t extents)
{
	region = region ? region : REGION_DEFAULT;
	while (extents * group->extent_size / region > REGIONS_MAX)
		region *= 2;
	return region;
}

static void set_extents(const struct volume_group *group, struct raid_wish *wish, uint32_t extents)
{
	wish->raid.region = lvm_raid_region(group, wish->raid.region, extents);
	wish->extents = extents;
	wish->image_extents = lvm_raid_image_extents(&wish->raid, wish->images, extents);
	wish->meta_extents =
		strcmp(wish->raid.kind->name, "raid0") != 0
			? lvm_raid_meta_extents(group, wish->raid.region, wish->image_extents)
			: 0;
}

/* ---- Where ---- */

/* Whether the volume is on the PV, or a part of the array, of those that are not lost, or a leg of the mirror. */
static bool array_lies_on(const struct volume_lv *lv, const struct volume_pv *pv)
{
	const struct volume_segment *mirror = lvm_lv_mirror(lv);
	const struct volume_segment *segment = mirror ? mirror : lvm_lv_raid(lv);
	unsigned count = mirror ? mirror->private->mirror->legs : segment ? segment->area_count : 0;

	if (!segment)
		return lvm_lv_lies_on(lv, pv);
	for (unsigned i = 0; i < count; i++)
		if (lvm_lv_lies_on(segment->areas[i].lv, pv) ||
		    (segment->metas && lvm_lv_lies_on(segment->metas[i].lv, pv)))
			return true;
	return false;
}

/* Of each PV only its largest area, where that has room for a whole part. */
static size_t whole_areas(const struct allocate_free *gaps, size_t count, uint32_t extents,
			  struct allocate_free *out)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (gaps[i].count < extents)
			continue;
		if (!found || out[found - 1].pv != gaps[i].pv)
			out[found++] = gaps[i];
		else if (gaps[i].count > out[found - 1].count)
			out[found - 1] = gaps[i];
	}
	return found;
}

static int place_among(const struct volume_group *group, const struct allocate_free *gaps,
		       size_t count, const struct volume_lv *avoid, unsigned images,
		       uint32_t extents, struct allocate_result *result)
{
	struct allocate_wish wish = { .extents = extents * images,
				      .stripes = images,
				      .policy = ALLOCATE_CLING };
	struct lvm_cling cling;
	CLEANUP_FREE struct allocate_free *fit = calloc(count + 1, sizeof(*fit));
	CLEANUP_FREE struct allocate_free *all = calloc(count + 1, sizeof(*all));
	size_t kept = 0, whole;
	int rc = -ENOSPC;

	if (!fit || !all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!avoid || !array_lies_on(avoid, group->pvs[gaps[i].pv]))
			all[kept++] = gaps[i];
	whole = whole_areas(all, kept, extents, fit);
	/* Tags keep images apart where that can be. */
	wish.tags = lvm_cling_tags(&cling, group, NULL);
	if (whole >= images && wish.tags && !avoid)
		rc = allocate_extents(fit, whole, &wish, result);
	wish.tags = NULL;
	if (rc == -ENOSPC && whole >= images)
		rc = allocate_extents(fit, whole, &wish, result);
	return rc == -ENOSPC ? allocate_extents(all, kept, &wish, result) : rc;
}

/* What those who use it were told, which never changes; 0: nothing of it is there. */
static uint32_t raid_block_size(const struct volume_lv *lv)
{
	uint32_t size = 0;

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			const struct volume_area *area = &lv->segments[i].areas[k];

			if (area->lv)
				size = MAX(size, raid_block_size(area->lv));
			else if (area->pv && area->pv->block)
				size = MAX(size, area->pv->block->logical_block_size);
		}
	return size;
}

int lvm_raid_place(const struct volume_group *group, const struct volume_lv_options *options,
		   const struct volume_lv *avoid, unsigned images, uint32_t extents,
		   struct allocate_result *result)
{
	uint32_t own = avoid ? raid_block_size(avoid) : 0;
	uint32_t block_size = own ? own : change_next_block_size(group, 0);
	int rc = -ENOSPC;

	if ((uint64_t)extents * images > UINT32_MAX)
		return -ENOSPC;
	for (; rc == -ENOSPC && block_size;
	     block_size = own ? 0 : change_next_block_size(group, block_size)) {
		CLEANUP_FREE struct allocate_free *gaps = NULL;
		size_t count;

		rc = change_find_free(group, options, block_size, &gaps, &count);
		if (!rc)
			rc = place_among(group, gaps, count, avoid, images, extents, result);
	}
	return rc;
}

static int fail_place(const struct volume_group *group, const struct raid_wish *wish,
		      struct error *error)
{
	error_set(
		error, -ENOSPC,
		"%s: %u parts of %u extents are needed, each on a PV of its own: the volume group "
		"has %u PVs, and %u extents are free",
		wish->name, wish->images, wish->image_extents + wish->meta_extents, group->pv_count,
		group->free_extents);
	return error_advise(error, "ask for less, or add PVs: `tenon vg extend %s`", group->name);
}

/* As much as there is: the most extents that fit, where not all do. */
static int place_wish(const struct volume_group *group, const struct volume_lv_options *options,
		      struct raid_wish *wish, struct allocate_result *places)
{
	unsigned data = lvm_raid_data_images(&wish->raid, wish->images);
	uint32_t low = 0, high = wish->extents / data;
	int rc = lvm_raid_place(group, options, NULL, wish->images,
				wish->image_extents + wish->meta_extents, places);

	if (rc != -ENOSPC || !options->less)
		return rc;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		set_extents(group, wish, middle * data);
		rc = lvm_raid_place(group, options, NULL, wish->images,
				    wish->image_extents + wish->meta_extents, places);
		if (rc && rc != -ENOSPC)
			return rc;
		if (!rc)
			allocate_result_free(places);
		*(rc ? &high : &low) = middle;
	}
	if (!low)
		return -ENOSPC;
	set_extents(group, wish, low * data);
	return lvm_raid_place(group, options, NULL, wish->images,
			      wish->image_extents + wish->meta_extents, places);
}

/* ---- Parts ---- */

struct volume_lv *lvm_raid_new_part(struct change *change, const char *lv, const char *kind,
				    unsigned number, const char *more)
{
	static const struct volume_lv_options plain;
	const char *status[3] = { "READ", "WRITE", more };
	char name[LVM_RAID_NAME];
	struct volume_lv *part;

	snprintf(name, sizeof(name), "%s_%s_%u", lv, kind, number);
	part = change_new_lv(change->group, name, &plain);
	if (!part ||
	    change_set_strings(change->group, &part->private->status, status, more ? 3 : 2)) {
		lvm_lv_free(part);
		return NULL;
	}
	part->visible = false;
	return change_add_lv(change, part) ? NULL : part;
}

/* `extents` of the column from its extent `from` on. */
static int give_range(struct volume_group *group, const struct allocate_result *places,
		      unsigned images, unsigned column, uint32_t from, uint32_t extents,
		      struct volume_lv *lv)
{
	CLEANUP_FREE uint32_t *lengths = calloc(places->count + 1, sizeof(*lengths));
	CLEANUP_FREE struct allocate_place *at = calloc(places->count + 1, sizeof(*at));
	struct allocate_result own = { .lengths = lengths, .places = at };
	uint64_t start = 0, end = (uint64_t)from + extents;

	if (!lengths || !at)
		return -ENOMEM;
	for (size_t i = 0; i < places->count; i++) {
		uint64_t low = MAX(start, (uint64_t)from);
		uint64_t high = MIN(start + places->lengths[i], end);

		if (low < high) {
			at[own.count] = places->places[i * images + column];
			at[own.count].extent += (uint32_t)(low - start);
			lengths[own.count++] = (uint32_t)(high - low);
		}
		start += places->lengths[i];
	}
	return change_append(group, lv, &own, 1, 0);
}

int lvm_raid_give(struct volume_group *group, const struct allocate_result *places, unsigned images,
		  unsigned column, struct volume_lv *meta, uint32_t meta_extents,
		  struct volume_lv *image)
{
	uint32_t all = 0;
	int rc = 0;

	for (size_t i = 0; i < places->count; i++)
		all += places->lengths[i];
	if (meta)
		rc = give_range(group, places, images, column, 0, meta_extents, meta);
	else
		meta_extents = 0;
	return rc ? rc
		  : give_range(group, places, images, column, meta_extents, all - meta_extents,
			       image);
}

static int add_parts(struct change *change, struct volume_lv *lv, const struct raid_wish *wish,
		     const struct allocate_result *places, struct volume_segment *segment)
{
	struct volume_group *group = change->group;
	int rc = 0;

	for (unsigned i = 0; !rc && i < wish->images; i++) {
		struct volume_lv *meta = NULL, *image;

		if (wish->meta_extents) {
			meta = lvm_raid_new_part(change, lv->name, "rmeta", i, NULL);
			if (!meta)
				return -ENOMEM;
			segment->metas[i] =
				(struct volume_area){ .lv_name = meta->name, .lv = meta };
		}
		image = lvm_raid_new_part(change, lv->name, "rimage", i, NULL);
		if (!image)
			return -ENOMEM;
		segment->areas[i] = (struct volume_area){ .lv_name = image->name, .lv = image };
		rc = lvm_raid_give(group, places, wish->images, i, meta, wish->meta_extents, image);
	}
	return rc;
}

static int add_segment(struct change *change, struct volume_lv *lv, const struct raid_wish *wish,
		       const struct allocate_result *places)
{
	struct lvm_config *memory = &change->group->private->memory;
	struct volume_segment *segment = lvm_config_alloc(memory, sizeof(*segment));
	struct lvm_raid *raid = lvm_config_alloc(memory, sizeof(*raid));

	if (!segment || !raid)
		return -ENOMEM;
	*raid = wish->raid;
	if (!raid->kind->level)
		raid->region = 0;
	*segment = (struct volume_segment){
		.extent_count = wish->extents,
		.type = (char *)raid->kind->name,
		.stripe_size = wish->stripe_size,
		.area_count = wish->images,
		.areas = lvm_config_alloc(memory, wish->images * sizeof(*segment->areas)),
		.metas = wish->meta_extents
				 ? lvm_config_alloc(memory, wish->images * sizeof(*segment->metas))
				 : NULL,
		.private = lvm_config_alloc(memory, sizeof(*segment->private)),
	};
	if (!segment->areas || !segment->private || (wish->meta_extents && !segment->metas))
		return -ENOMEM;
	segment->private->type = &lvm_segment_raid;
	segment->private->raid = raid;
	lv->segments = segment;
	lv->segment_count = 1;
	lv->extent_count = wish->extents;
	lv->size = lv->extent_count * change->group->extent_size;
	return add_parts(change, lv, wish, places, segment);
}

/* ---- The whole ---- */

static int wanted_extents(const struct volume_group *group, const char *name,
			  const struct volume_lv_options *options, const struct raid_wish *wish,
			  uint32_t *extents, struct error *error)
{
	uint64_t size = options->extents ? options->extents * group->extent_size : options->size;
	unsigned data = lvm_raid_data_images(&wish->raid, wish->images);

	/* A part of what is free is meant with all copies and parity, as lvm2 does. */
	if (options->less)
		size = MAX(size / wish->images / group->extent_size, 1) * group->extent_size * data;
	return change_wanted_extents(group, name, size, data, extents, error);
}

int lvm_raid_plan(struct change *change, const char *name, const struct volume_lv_options *options,
		  struct volume_lv **out, struct error *error)
{
	static const char *const status[] = { "READ", "WRITE", "VISIBLE", "NOTSYNCED" };
	static const char *const read_only[] = { "READ", "VISIBLE", "NOTSYNCED" };
	struct volume_group *group = change->group;
	char full[2 * VOLUME_NAME_LENGTH + 2];
	struct raid_wish wish = { .name = full };
	struct allocate_result places;
	struct volume_lv *lv;
	uint32_t extents = 0;
	int rc;

	snprintf(full, sizeof(full), "%s/%s", group->name, name);
	rc = check_type(options, &wish, error);
	if (!rc)
		rc = check_sizes(group, options, &wish, error);
	if (!rc)
		rc = lvm_raid_check_part_names(group, name, NULL, wish.images, error);
	if (!rc)
		rc = wanted_extents(group, name, options, &wish, &extents, error);
	if (rc)
		return rc;
	set_extents(group, &wish, extents);
	rc = place_wish(group, options, &wish, &places);
	if (rc)
		return rc == -ENOSPC ? fail_place(group, &wish, error)
				     : change_no_memory(group, error);
	lv = change_new_lv(group, name, options);
	if (lv && options->no_sync && wish.raid.kind->level &&
	    change_set_strings(group, &lv->private->status, options->read_only ? read_only : status,
			       options->read_only ? 3 : 4)) {
		lvm_lv_free(lv);
		lv = NULL;
	}
	rc = !lv || change_add_lv(change, lv) ? -ENOMEM : add_segment(change, lv, &wish, &places);
	allocate_result_free(&places);
	if (rc)
		return change_no_memory(group, error);
	*out = lv;
	return 0;
}

int lvm_raid_clear_meta(struct volume_group *group, struct volume_lv *meta, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	/* Its extents are free by headers that must not be those of a cache (commit.h). */
	int rc = lvm_vg_settle(group, error);

	if (!rc)
		rc = lvm_active_open(group, meta, true, &block, error);
	if (rc)
		return rc;
	rc = block_write_zeroes(block, 0, MIN(block->size, (uint64_t)CLEARED_MAX), 0);
	if (!rc)
		rc = block_flush(block);
	return rc ? error_set(error, rc, "%s: clearing it: %s", block->name, error_name(rc)) : 0;
}

int lvm_raid_clear_metas(struct volume_group *group, const struct volume_lv *lv,
			 struct error *error)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);
	int rc = 0;

	for (unsigned i = 0; !rc && segment->metas && i < segment->area_count; i++)
		rc = lvm_raid_clear_meta(group, segment->metas[i].lv, error);
	return rc;
}
