/* SPDX-License-Identifier: BSD-2-Clause */
/* Free extents within ranges that somebody named: "DEVICE:0-99". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/allocate.h"
#include "volume/change.h"

static int compare_ranges(const void *a, const void *b)
{
	const struct volume_range *x = a, *y = b;
	unsigned one = x->pv->private->index, other = y->pv->private->index;

	if (one != other)
		return one < other ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* The parts of one gap, at `out`; how many. `ranges` are in order; those that overlap count once. */
static size_t cut_gap(const struct allocate_free *gap, const struct volume_range *ranges,
		      unsigned range_count, bool only, struct allocate_free *out)
{
	uint64_t at = gap->start, end = at + gap->count;
	bool named = false;
	size_t parts = 0;

	for (unsigned i = 0; i < range_count; i++) {
		uint64_t from = MAX(at, (uint64_t)ranges[i].first);
		uint64_t to = MIN(end, (uint64_t)ranges[i].last + 1);

		if (ranges[i].pv->private->index != gap->pv)
			continue;
		named = true;
		if (from >= to)
			continue;
		out[parts++] = (struct allocate_free){ .pv = gap->pv,
						       .start = (uint32_t)from,
						       .count = (uint32_t)(to - from) };
		at = to;
	}
	if (!named && !only)
		out[parts++] = *gap;
	return parts;
}

int change_cut_free(const struct volume_range *ranges, unsigned range_count, bool only,
		    struct allocate_free **gaps, size_t *count)
{
	CLEANUP_FREE struct volume_range *sorted = calloc(range_count + 1, sizeof(*sorted));
	/* A gap and a range have at most one part in common, and a new part begins where one of them does. */
	struct allocate_free *out = calloc(*count + range_count + 1, sizeof(*out));
	size_t parts = 0;

	if (!sorted || !out) {
		free(out);
		free(steal_pointer(gaps));
		return -ENOMEM;
	}
	if (range_count)
		memcpy(sorted, ranges, range_count * sizeof(*sorted));
	qsort(sorted, range_count, sizeof(*sorted), compare_ranges);
	for (size_t i = 0; i < *count; i++)
		parts += cut_gap(&(*gaps)[i], sorted, range_count, only, &out[parts]);
	free(*gaps);
	*gaps = out;
	*count = parts;
	return 0;
}

int volume_free_in(const struct volume_group *group, const struct volume_range *ranges,
		   unsigned count, uint64_t *extents)
{
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	size_t gap_count;
	int rc = change_free_extents(group, &gaps, &gap_count);

	if (!rc)
		rc = change_cut_free(ranges, count, true, &gaps, &gap_count);
	*extents = 0;
	for (size_t i = 0; !rc && i < gap_count; i++)
		*extents += gaps[i].count;
	return rc;
}
