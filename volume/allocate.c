/* SPDX-License-Identifier: BSD-2-Clause */
/* Choosing extents; see allocate.h. */
#include "volume/allocate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

void allocate_result_free(struct allocate_result *result)
{
	free(result->lengths);
	free(result->places);
	memset(result, 0, sizeof(*result));
}

/* Appends a piece of `length` extents per stripe and takes them from the heads of `areas`. */
static int take(struct allocate_result *result, struct allocate_free *const *areas,
		unsigned stripes, uint32_t length)
{
	size_t count = result->count;
	uint32_t *lengths = realloc(result->lengths, (count + 1) * sizeof(*lengths));
	struct allocate_place *places;

	if (!lengths)
		return -ENOMEM;
	result->lengths = lengths;
	places = realloc(result->places, (count + 1) * stripes * sizeof(*places));
	if (!places)
		return -ENOMEM;
	result->places = places;
	lengths[count] = length;
	for (unsigned i = 0; i < stripes; i++) {
		places[count * stripes + i] =
			(struct allocate_place){ .pv = areas[i]->pv, .extent = areas[i]->start };
		areas[i]->start += length;
		areas[i]->count -= length;
	}
	result->count++;
	return 0;
}

/* The free areas right behind the present end, one for each stripe: the extents they have in common. */
static uint32_t find_after(struct allocate_free *free, size_t count,
			   const struct allocate_wish *wish, struct allocate_free **areas)
{
	uint32_t common = UINT32_MAX;

	for (unsigned i = 0; i < wish->stripes; i++) {
		areas[i] = NULL;
		for (size_t k = 0; k < count && !areas[i]; k++)
			if (free[k].pv == wish->after[i].pv && free[k].count &&
			    free[k].start == wish->after[i].extent)
				areas[i] = &free[k];
		if (!areas[i])
			return 0;
		common = MIN(common, areas[i]->count);
	}
	return common;
}

/* Linear: the first area that has `wanted` extents, or the largest. */
static uint32_t find_linear(struct allocate_free *free, size_t count, uint32_t wanted,
			    struct allocate_free **area)
{
	*area = NULL;
	for (size_t i = 0; i < count; i++) {
		if (free[i].count >= wanted) {
			*area = &free[i];
			return wanted;
		}
		if (free[i].count && (!*area || free[i].count > (*area)->count))
			*area = &free[i];
	}
	return *area ? (*area)->count : 0;
}

/* Striped: the largest area of each PV, and of these the `stripes` largest, in the order of PVs. */
static uint32_t find_striped(struct allocate_free *free, size_t count, unsigned stripes,
			     struct allocate_free **areas)
{
	unsigned found = 0;
	uint32_t common;

	for (size_t i = 0; i < count;) {
		struct allocate_free *largest = &free[i];
		unsigned smallest = 0;

		for (; i < count && free[i].pv == largest->pv; i++)
			if (free[i].count > largest->count)
				largest = &free[i];
		if (!largest->count)
			continue;
		if (found < stripes) {
			areas[found++] = largest;
			continue;
		}
		for (unsigned k = 1; k < stripes; k++)
			if (areas[k]->count < areas[smallest]->count)
				smallest = k;
		if (largest->count > areas[smallest]->count) {
			memmove(&areas[smallest], &areas[smallest + 1],
				(stripes - smallest - 1) * sizeof(*areas));
			areas[stripes - 1] = largest;
		}
	}
	if (found < stripes)
		return 0;
	common = areas[0]->count;
	for (unsigned k = 1; k < stripes; k++)
		common = MIN(common, areas[k]->count);
	return common;
}

/* What stays on PVs: the largest area of each one's. */
static uint32_t find_clinging(struct allocate_free *free, size_t count, const unsigned *pvs,
			      unsigned stripes, struct allocate_free **areas)
{
	uint32_t common = UINT32_MAX;

	for (unsigned i = 0; i < stripes; i++) {
		areas[i] = NULL;
		for (size_t k = 0; k < count; k++)
			if (free[k].pv == pvs[i] && free[k].count &&
			    (!areas[i] || free[k].count > areas[i]->count))
				areas[i] = &free[k];
		if (!areas[i])
			return 0;
		common = MIN(common, areas[i]->count);
	}
	return common;
}

static bool is_taken(struct allocate_free *const *areas, unsigned count, unsigned pv)
{
	for (unsigned i = 0; i < count; i++)
		if (areas[i]->pv == pv)
			return true;
	return false;
}

/* What goes on on PVs that are alike: the largest area of each stripe's first. */
static uint32_t find_near(struct allocate_free *free, size_t count,
			  const struct allocate_wish *wish, struct allocate_free **areas)
{
	uint32_t common = UINT32_MAX;

	for (unsigned i = 0; i < wish->stripes; i++) {
		areas[i] = NULL;
		for (size_t k = 0; k < count; k++) {
			if (!free[k].count || (areas[i] && areas[i]->pv != free[k].pv) ||
			    is_taken(areas, i, free[k].pv) ||
			    !wish->tags->near(wish->tags, i, free[k].pv))
				continue;
			if (!areas[i] || free[k].count > areas[i]->count)
				areas[i] = &free[k];
		}
		if (!areas[i])
			return 0;
		common = MIN(common, areas[i]->count);
	}
	return common;
}

static bool is_alike(const struct allocate_tags *tags, const unsigned *pvs, unsigned count,
		     unsigned pv)
{
	for (unsigned i = 0; tags && i < count; i++)
		if (tags->alike(tags, pvs[i], pv))
			return true;
	return false;
}

/* The largest areas on PVs none of which are alike. */
static uint32_t find_distinct(struct allocate_free *free, size_t count,
			      const struct allocate_wish *wish, unsigned *pvs,
			      struct allocate_free **areas)
{
	uint32_t common = UINT32_MAX;

	for (unsigned i = 0; i < wish->stripes; i++) {
		areas[i] = NULL;
		for (size_t k = 0; k < count; k++)
			if (free[k].count && (!areas[i] || free[k].count > areas[i]->count) &&
			    !is_taken(areas, i, free[k].pv) &&
			    !is_alike(wish->tags, pvs, i, free[k].pv))
				areas[i] = &free[k];
		if (!areas[i])
			return 0;
		pvs[i] = areas[i]->pv;
		common = MIN(common, areas[i]->count);
	}
	return common;
}

/* The first PVs that have room for a whole stripe. False: there are too few. */
static bool choose_pvs(const struct allocate_free *free, size_t count, uint32_t length,
		       unsigned stripes, const struct allocate_tags *tags, unsigned *pvs)
{
	unsigned found = 0;

	for (size_t i = 0; i < count && found < stripes;) {
		unsigned pv = free[i].pv;
		uint64_t sum = 0;

		for (; i < count && free[i].pv == pv; i++)
			sum += free[i].count;
		if (sum >= length && !is_alike(tags, pvs, found, pv))
			pvs[found++] = pv;
	}
	return found == stripes;
}

/* How many pieces of `length` there are. */
static uint64_t pieces_of(const struct allocate_free *free, size_t count, uint32_t length)
{
	uint64_t pieces = 0;

	for (size_t i = 0; i < count; i++)
		pieces += free[i].count / length;
	return pieces;
}

/* The longest pieces that there are `stripes` of, at most of `wanted`. One area may give several. */
static uint32_t find_anywhere(struct allocate_free *free, size_t count, unsigned stripes,
			      uint32_t wanted, struct allocate_free **areas)
{
	uint32_t low = 0, high = wanted;
	unsigned found = 0;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2 + 1;

		if (pieces_of(free, count, middle) >= stripes)
			low = middle;
		else
			high = middle - 1;
	}
	for (size_t i = 0; low && i < count; i++)
		for (uint32_t k = free[i].count / low; k && found < stripes; k--)
			areas[found++] = &free[i];
	return low;
}

/* By the tags; 0: these say nothing, or there is no room. */
static uint32_t find_by_tags(struct allocate_free *free, size_t count,
			     const struct allocate_wish *wish, unsigned *pvs, uint32_t left,
			     struct allocate_free **areas)
{
	uint32_t have;

	if (wish->after) {
		have = find_clinging(free, count, pvs, wish->stripes, areas);
		return have ? have : find_near(free, count, wish, areas);
	}
	have = find_distinct(free, count, wish, pvs, areas);
	return have < left ? 0 : have;
}

/* The next piece: so many extents of each stripe; 0: there is none. `begun`: it is not the first. */
static uint32_t find_piece(struct allocate_free *free, size_t count,
			   const struct allocate_wish *wish, unsigned *pvs, bool begun,
			   uint32_t left, struct allocate_free **areas)
{
	bool tagged = wish->tags && (wish->after || (wish->stripes > 1 && !begun));
	uint32_t have;

	if (wish->policy == ALLOCATE_CLING && !(tagged && wish->after))
		return find_clinging(free, count, pvs, wish->stripes, areas);
	have = tagged ? find_by_tags(free, count, wish, pvs, left, areas) : 0;
	if (have || wish->policy == ALLOCATE_CLING ||
	    (tagged && wish->policy == ALLOCATE_CONTIGUOUS))
		return have;
	if (wish->stripes == 1)
		return find_linear(free, count, left, areas);
	have = find_striped(free, count, wish->stripes, areas);
	if (!have && wish->policy == ALLOCATE_ANYWHERE)
		have = find_anywhere(free, count, wish->stripes, left, areas);
	return have;
}

int allocate_extents(struct allocate_free *free_areas, size_t count,
		     const struct allocate_wish *wish, struct allocate_result *result)
{
	uint32_t left = wish->extents / wish->stripes; /* of each stripe */
	struct allocate_free **areas = calloc(wish->stripes, sizeof(struct allocate_free *));
	unsigned *pvs = calloc(wish->stripes, sizeof(*pvs));
	bool contiguous = wish->policy == ALLOCATE_CONTIGUOUS;
	bool first = true;
	int rc = areas && pvs ? 0 : -ENOMEM;

	memset(result, 0, sizeof(*result));
	for (unsigned i = 0; !rc && wish->after && i < wish->stripes; i++)
		pvs[i] = wish->after[i].pv;
	if (!rc && wish->policy == ALLOCATE_CLING && !wish->after &&
	    !choose_pvs(free_areas, count, left, wish->stripes, wish->tags, pvs))
		rc = -ENOSPC;
	while (!rc && left) {
		uint32_t have = 0;

		if (first && wish->after)
			have = find_after(free_areas, count, wish, areas);
		if (!have && !(contiguous && wish->after))
			have = find_piece(free_areas, count, wish, pvs, !first, left, areas);
		have = MIN(have, left);
		if (!have || (contiguous && have < left))
			rc = -ENOSPC;
		else
			rc = take(result, areas, wish->stripes, have);
		left -= have;
		first = false;
	}
	free(areas);
	free(pvs);
	if (rc)
		allocate_result_free(result);
	return rc;
}
