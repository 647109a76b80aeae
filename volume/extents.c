/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving extents to logical volumes: free areas of the group, places in them, segments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/allocate.h"
#include "volume/change.h"
#include "volume/cling.h"
#include "volume/segment.h"

int change_no_memory(const struct volume_group *group, struct error *error)
{
	return error_set(error, -ENOMEM, "volume group %s: no memory to change it", group->name);
}

static void *allocate(struct volume_group *group, size_t size)
{
	return lvm_config_alloc(&group->private->memory, size);
}

int change_wanted_extents(const struct volume_group *group, const char *name, uint64_t size,
			  unsigned stripes, uint32_t *out, struct error *error)
{
	uint64_t extents = size / group->extent_size + !!(size % group->extent_size);
	uint64_t rest = extents % stripes;

	if (rest)
		extents += stripes - rest;
	if (!extents)
		return error_set(error, -EINVAL, "%s/%s: size is 0", group->name, name);
	if (extents > UINT32_MAX)
		return error_set(error, -ENOSPC,
				 "%s/%s: %llu extents are needed, a volume has fewer than 2^32",
				 group->name, name, (unsigned long long)extents);
	*out = (uint32_t)extents;
	return 0;
}

/* ---- Block sizes ---- */

/* What lvm2 allows with devices/allow_mixed_block_sizes, and made before it knew better. */
static bool mixed_block_sizes(const struct volume_group *group)
{
	uint32_t first = change_next_block_size(group, 0);

	return change_next_block_size(group, first);
}

/* What a volume has; 0 for a new one. */
static uint32_t block_size_of(const struct volume_lv *lv)
{
	uint32_t size = 0;

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			size = MAX(size, lv->segments[i].areas[k].pv->block->logical_block_size);
	return size;
}

/* The next larger block size among the group's PVs, or 0. */
uint32_t change_next_block_size(const struct volume_group *group, uint32_t after)
{
	uint32_t next = 0;

	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct block *block = group->pvs[i]->block;
		uint32_t size = block ? block->logical_block_size : 0;

		if (size > after && (!next || size < next))
			next = size;
	}
	return next;
}

/* ---- Free extents ---- */

/* Where a volume may get extents: on PVs of one logical block size, so that its own never changes. */
struct place_rules {
	const struct volume_lv_options *options; /* or NULL */
	uint32_t block_size;                     /* 0: any */
};

static bool allowed(const struct volume_pv *pv, const struct place_rules *rules)
{
	const struct volume_lv_options *options = rules->options;

	if (!pv->allocatable || !pv->block || pv->private->is_short ||
	    (rules->block_size && pv->block->logical_block_size != rules->block_size))
		return false;
	if (!options || !options->pvs)
		return true;
	for (unsigned i = 0; i < options->pv_count; i++)
		if (options->pvs[i] == pv)
			return true;
	return false;
}

/* The gaps between what is used, on PVs that may be allocated from. */
static int find_gaps(const struct volume_group *group, const struct place_rules *rules,
		     struct allocate_free **out, size_t *count)
{
	CLEANUP_FREE struct lvm_used *used = NULL;
	size_t used_count, at = 0;
	struct allocate_free *gaps;

	if (lvm_vg_used(group, &used, &used_count))
		return -ENOMEM;
	gaps = calloc(used_count + group->pv_count + 1, sizeof(*gaps));
	if (!gaps)
		return -ENOMEM;
	*count = 0;
	for (unsigned pv = 0; pv < group->pv_count; pv++) {
		bool take = allowed(group->pvs[pv], rules);
		uint64_t end = 0;

		for (; at < used_count && used[at].pv == pv; at++) {
			if (take && used[at].start > end)
				gaps[(*count)++] = (struct allocate_free){
					.pv = pv,
					.start = (uint32_t)end,
					.count = (uint32_t)(used[at].start - end)
				};
			end = MAX(end, (uint64_t)used[at].start + used[at].count);
		}
		if (take && group->pvs[pv]->extent_count > end)
			gaps[(*count)++] = (struct allocate_free){
				.pv = pv,
				.start = (uint32_t)end,
				.count = (uint32_t)(group->pvs[pv]->extent_count - end)
			};
	}
	*out = gaps;
	return 0;
}

static int find_free(const struct volume_group *group, const struct place_rules *rules,
		     struct allocate_free **out, size_t *count)
{
	const struct volume_lv_options *options = rules->options;
	int rc = find_gaps(group, rules, out, count);

	if (!rc && options && options->range_count)
		rc = change_cut_free(options->ranges, options->range_count, false, out, count);
	return rc;
}

int change_free_extents(const struct volume_group *group, struct allocate_free **out, size_t *count)
{
	return find_free(group, &(struct place_rules){ 0 }, out, count);
}

int change_find_free(const struct volume_group *group, const struct volume_lv_options *options,
		     uint32_t block_size, struct allocate_free **out, size_t *count)
{
	const struct place_rules rules = { options, block_size };

	return find_free(group, &rules, out, count);
}

static int fail_space(const struct volume_group *group, const struct allocate_wish *wish,
		      const struct place_rules *rules, struct error *error)
{
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	static const char *const wishes[] = {
		[ALLOCATE_NORMAL] = "in stripes on PVs of their own",
		[ALLOCATE_CONTIGUOUS] = "in one piece",
		[ALLOCATE_CLING] = "on the same PVs",
		[ALLOCATE_ANYWHERE] = "anywhere",
	};
	char sizes[2][SIZE_TEXT];
	uint64_t left = 0, largest = 0;
	size_t count = 0;

	if (find_free(group, rules, &gaps, &count))
		return change_no_memory(group, error);
	for (size_t i = 0; i < count; i++) {
		left += gaps[i].count;
		largest = MAX(largest, (uint64_t)gaps[i].count);
	}
	if (wish->policy != ALLOCATE_NORMAL || wish->stripes > 1)
		error_set(error, -ENOSPC,
			  "volume group %s: %u extents %s do not fit; %llu are free, the largest "
			  "area has %llu",
			  group->name, wish->extents, wishes[wish->policy],
			  (unsigned long long)left, (unsigned long long)largest);
	else
		error_set(error, -ENOSPC,
			  "volume group %s: %s are needed (%u extents), %s are free (%llu)",
			  group->name, size_format(wish->extents * group->extent_size, sizes[0]),
			  wish->extents, size_format(left * group->extent_size, sizes[1]),
			  (unsigned long long)left);
	if (rules->options && rules->options->pvs)
		error_advise(error,
			     "only what is free on the devices, and in the extents, that were "
			     "named is counted: name others, or ask for less");
	else
		error_advise(error,
			     "ask for less, or remove or shrink another volume of the group");
	if (mixed_block_sizes(group))
		error_advise(error, "only PVs with logical blocks of %u bytes were looked at",
			     rules->block_size);
	return -ENOSPC;
}

/* ---- Segments from places ---- */

/* Whether `segment` goes on at `places` without a new segment. */
static bool continues(const struct volume_segment *segment, const struct volume_group *group,
		      const struct allocate_place *places, unsigned stripes, uint32_t stripe_size)
{
	if (segment->private->node || segment->area_count != stripes ||
	    (stripes > 1 && segment->stripe_size != stripe_size))
		return false;
	for (unsigned i = 0; i < stripes; i++)
		if (segment->areas[i].pv != group->pvs[places[i].pv] ||
		    segment->areas[i].extent + lvm_segment_area_extents(segment) !=
			    places[i].extent)
			return false;
	return true;
}

static int new_segment(struct volume_group *group, struct volume_segment *segment,
		       const struct allocate_place *places, unsigned stripes, uint32_t stripe_size,
		       uint32_t start, uint32_t extents)
{
	*segment = (struct volume_segment){
		.start_extent = start,
		.extent_count = extents,
		.type = (char *)"striped",
		.stripe_size = stripes > 1 ? stripe_size : 0,
		.area_count = stripes,
		.areas = allocate(group, stripes * sizeof(*segment->areas)),
		.private = allocate(group, sizeof(*segment->private)),
	};
	if (!segment->areas || !segment->private)
		return -ENOMEM;
	segment->private->type = &lvm_segment_striped;
	for (unsigned i = 0; i < stripes; i++)
		segment->areas[i] = (struct volume_area){ .pv = group->pvs[places[i].pv],
							  .extent = places[i].extent };
	return 0;
}

/* Adds the pieces behind the volume's end, in a new array of segments: the old one stays as it was. */
int change_append(struct volume_group *group, struct volume_lv *lv,
		  const struct allocate_result *pieces, unsigned stripes, uint32_t stripe_size)
{
	struct volume_segment *segments = allocate(group, (lv->segment_count + pieces->count) *
								  sizeof(struct volume_segment));

	if (!segments)
		return -ENOMEM;
	if (lv->segment_count)
		memcpy(segments, lv->segments, lv->segment_count * sizeof(*segments));
	lv->segments = segments;
	for (size_t i = 0; i < pieces->count; i++) {
		const struct allocate_place *places = &pieces->places[i * stripes];
		uint32_t extents = pieces->lengths[i] * stripes;
		struct volume_segment *last =
			lv->segment_count ? &segments[lv->segment_count - 1] : NULL;

		if (last && continues(last, group, places, stripes, stripe_size))
			last->extent_count += extents;
		else if (new_segment(group, &segments[lv->segment_count], places, stripes,
				     stripe_size, lv->extent_count, extents))
			return -ENOMEM;
		else
			lv->segment_count++;
		lv->extent_count += extents;
	}
	lv->size = lv->extent_count * group->extent_size;
	return 0;
}

/* On PVs of the block size of `rules`. */
static int place(const struct volume_group *group, const struct allocate_wish *wish,
		 const struct place_rules *rules, struct allocate_result *pieces)
{
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	size_t count;
	int rc = find_free(group, rules, &gaps, &count);

	return rc ? rc : allocate_extents(gaps, count, wish, pieces);
}

/* The wish's own policy, else the volume's, else the group's. */
static enum allocate_policy policy_of(const struct volume_group *group, const struct volume_lv *lv,
				      const struct volume_lv_options *options)
{
	enum volume_allocation allocation = options ? options->allocation : VOLUME_ALLOCATE_INHERIT;

	if (allocation == VOLUME_ALLOCATE_INHERIT)
		allocation = volume_allocation_of(group, lv);
	if (allocation == VOLUME_ALLOCATE_INHERIT)
		allocation = volume_allocation_of(group, NULL);
	switch (allocation) {
	case VOLUME_ALLOCATE_CONTIGUOUS:
		return ALLOCATE_CONTIGUOUS;
	case VOLUME_ALLOCATE_CLING:
		return ALLOCATE_CLING;
	case VOLUME_ALLOCATE_ANYWHERE:
		return ALLOCATE_ANYWHERE;
	default:
		return ALLOCATE_NORMAL;
	}
}

/* As much of the wish as fits, found by halving: what fits is no simple sum where stripes are. */
static int place_less(const struct volume_group *group, struct allocate_wish *wish,
		      const struct place_rules *rules, struct allocate_result *pieces)
{
	uint32_t low = 0, high = wish->extents / wish->stripes; /* fits; does not */
	int rc;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		wish->extents = middle * wish->stripes;
		rc = place(group, wish, rules, pieces);
		if (rc && rc != -ENOSPC)
			return rc;
		if (rc) {
			high = middle;
			continue;
		}
		allocate_result_free(pieces);
		low = middle;
	}
	if (!low)
		return -ENOSPC;
	wish->extents = low * wish->stripes;
	return place(group, wish, rules, pieces);
}

static int place_new(const struct volume_group *group, struct allocate_wish *wish,
		     struct place_rules *rules, struct allocate_result *pieces)
{
	int rc;

	rules->block_size = change_next_block_size(group, 0);
	rc = place(group, wish, rules, pieces);
	while (rc == -ENOSPC && change_next_block_size(group, rules->block_size)) {
		rules->block_size = change_next_block_size(group, rules->block_size);
		rc = place(group, wish, rules, pieces);
	}
	return rc;
}

int change_grow(struct volume_group *group, struct volume_lv *lv, uint32_t extents,
		unsigned stripes, uint32_t stripe_size, const struct volume_lv_options *options,
		struct error *error)
{
	struct allocate_wish wish = { .extents = extents,
				      .stripes = stripes,
				      .policy = policy_of(group, lv, options) };
	struct place_rules rules = { options, block_size_of(lv) };
	struct lvm_cling cling;
	struct allocate_place after[CHANGE_STRIPES_MAX];
	struct allocate_result pieces;
	int rc;

	wish.tags = lvm_cling_tags(&cling, group, lv);
	if (lv->segment_count) {
		const struct volume_segment *last = &lv->segments[lv->segment_count - 1];

		for (unsigned i = 0; i < stripes; i++)
			after[i] =
				(struct allocate_place){ .pv = last->areas[i].pv->private->index,
							 .extent = last->areas[i].extent +
								   lvm_segment_area_extents(last) };
		wish.after = after;
		rc = place(group, &wish, &rules, &pieces);
	} else {
		rc = place_new(group, &wish, &rules, &pieces);
	}
	if (rc == -ENOSPC && options && options->less)
		rc = place_less(group, &wish, &rules, &pieces);
	if (rc == -ENOSPC)
		return fail_space(group, &wish, &rules, error);
	if (rc)
		return change_no_memory(group, error);
	rc = change_append(group, lv, &pieces, stripes, stripe_size);
	allocate_result_free(&pieces);
	return rc ? change_no_memory(group, error) : 0;
}
