/* SPDX-License-Identifier: BSD-2-Clause */
/* A member's bad-block log: a sorted array of ranges, since there are at most 512 and usually none. */
#include "raid/md_badblocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_format.h"
#include "util/bytes.h"
#include "util/error.h"

void md_badblocks_free(struct md_badblocks *list)
{
	free(list->ranges);
	memset(list, 0, sizeof(*list));
}

static int reserve(struct md_badblocks *list, unsigned more)
{
	unsigned capacity = list->count + more;
	struct md_bad_range *ranges;

	if (capacity <= list->capacity)
		return 0;
	capacity = MAX(capacity, 2 * list->capacity);
	ranges = realloc(list->ranges, capacity * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	list->ranges = ranges;
	list->capacity = capacity;
	return 0;
}

static void remove_at(struct md_badblocks *list, unsigned at)
{
	list->count--;
	memmove(&list->ranges[at], &list->ranges[at + 1],
		(list->count - at) * sizeof(list->ranges[0]));
}

static void insert_at(struct md_badblocks *list, unsigned at, uint64_t sector, uint64_t count)
{
	memmove(&list->ranges[at + 1], &list->ranges[at],
		(list->count - at) * sizeof(list->ranges[0]));
	list->ranges[at] = (struct md_bad_range){ sector, count };
	list->count++;
}

int md_badblocks_set(struct md_badblocks *list, uint64_t sector, uint64_t count)
{
	uint64_t end = sector + count;
	unsigned at = 0;

	if (reserve(list, 1))
		return -ENOMEM;
	while (at < list->count && list->ranges[at].sector + list->ranges[at].count < sector)
		at++;
	/* What touches it becomes part of it. */
	while (at < list->count && list->ranges[at].sector <= end) {
		sector = MIN(sector, list->ranges[at].sector);
		end = MAX(end, list->ranges[at].sector + list->ranges[at].count);
		remove_at(list, at);
	}
	insert_at(list, at, sector, end - sector);
	list->changed = true;
	return 0;
}

int md_badblocks_clear(struct md_badblocks *list, uint64_t sector, uint64_t count)
{
	uint64_t end = sector + count;

	if (!md_badblocks_find(list, sector, count))
		return 0;
	if (reserve(list, 1))
		return -ENOMEM;
	for (unsigned i = 0; i < list->count;) {
		uint64_t from = list->ranges[i].sector, to = from + list->ranges[i].count;

		if (to <= sector || from >= end) {
			i++;
			continue;
		}
		remove_at(list, i);
		if (from < sector)
			insert_at(list, i++, from, sector - from);
		if (to > end)
			insert_at(list, i++, end, to - end);
	}
	list->changed = true;
	return 0;
}

const struct md_bad_range *md_badblocks_find(const struct md_badblocks *list, uint64_t sector,
					     uint64_t count)
{
	for (unsigned i = 0; i < list->count; i++) {
		const struct md_bad_range *range = &list->ranges[i];

		if (range->sector < sector + count && sector < range->sector + range->count)
			return range;
	}
	return NULL;
}

int md_badblocks_decode(struct md_badblocks *list, const void *log, size_t size, unsigned shift,
			struct error *error)
{
	for (size_t at = 0; at + 8 <= size; at += 8) {
		uint64_t entry = get_le64((const uint8_t *)log + at);
		uint64_t sector = entry >> MD_BBLOG_SHIFT, count = entry & MD_BBLOG_COUNT_MASK;

		if (entry == MD_BBLOG_END)
			break;
		if (count == 0)
			continue;
		if (shift > 32 || sector > (UINT64_MAX >> 1 >> shift))
			return error_set(
				error, -EINVAL,
				"the bad-block log's entry %zu is 0x%016llx with shift %u, "
				"expected a sector within 63 bits",
				at / 8, (unsigned long long)entry, shift);
		if (md_badblocks_set(list, sector << shift, count << shift))
			return -ENOMEM;
	}
	list->changed = false;
	return 0;
}

int md_badblocks_encode(const struct md_badblocks *list, void *log, size_t size)
{
	size_t at = 0;

	memset(log, 0xff, size);
	for (unsigned i = 0; i < list->count; i++) {
		uint64_t sector = list->ranges[i].sector, left = list->ranges[i].count;

		while (left) {
			/* The kernel keeps at most 512 sectors in an entry (BB_MAX_LEN). */
			uint64_t count = MIN(left, 512);

			if (at + 8 > size)
				return -ENOSPC;
			put_le64((uint8_t *)log + at, sector << MD_BBLOG_SHIFT | count);
			at += 8;
			sector += count;
			left -= count;
		}
	}
	return 0;
}
