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

int allocate_extents(struct allocate_free *free_areas, size_t count,
		     const struct allocate_wish *wish, struct allocate_result *result)
{
	uint32_t left = wish->extents / wish->stripes; /* of each stripe */
	struct allocate_free **areas = calloc(wish->stripes, sizeof(struct allocate_free *));
	bool first = true;
	int rc = 0;

	memset(result, 0, sizeof(*result));
	if (!areas)
		return -ENOMEM;
	while (!rc && left) {
		uint32_t have = 0;

		if (first && wish->after)
			have = find_after(free_areas, count, wish, areas);
		if (!have && !(wish->contiguous && wish->after)) {
			if (wish->stripes == 1)
				have = find_linear(free_areas, count, left, areas);
			else
				have = find_striped(free_areas, count, wish->stripes, areas);
		}
		have = MIN(have, left);
		if (!have || (wish->contiguous && have < left))
			rc = -ENOSPC;
		else
			rc = take(result, areas, wish->stripes, have);
		left -= have;
		first = false;
	}
	free(areas);
	if (rc)
		allocate_result_free(result);
	return rc;
}
