/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirrors: spans and their copies, and who has what alone; see mirror.h. */
#include "raid/mirror.h"
#include "util/bytes.h"

/* NULL at RAID1. */
static const struct raid10_shape *shape_of(const struct raid_array *array)
{
	return array->level_state;
}

struct mirror_span mirror_span(const struct raid_array *array, uint64_t offset, uint64_t length)
{
	const struct raid10_shape *shape = shape_of(array);
	struct mirror_span span = { (struct raid_array *)array, offset, length, array->now.disks };
	uint64_t chunk;

	if (!shape)
		return span;
	chunk = (uint64_t)shape->chunk << MD_SECTOR_SHIFT;
	span.length = MIN(length, chunk - offset % chunk);
	span.copies = shape->near * shape->far;
	return span;
}

struct mirror_copy mirror_copy(const struct mirror_span *span, unsigned index)
{
	const struct raid10_shape *shape = shape_of(span->array);
	struct mirror_copy copy = { .index = index, .offset = span->offset };
	uint32_t role = index;

	if (shape)
		copy.offset = (raid10_place(shape, span->offset >> MD_SECTOR_SHIFT, index, &role)
			       << MD_SECTOR_SHIFT) +
			      span->offset % MD_SECTOR_SIZE;
	copy.member = span->array->places[role].member;
	copy.replacement = span->array->places[role].replacement;
	return copy;
}

/* Spans that differ in who has their copies: their offsets, one chunk each. All are as one of these. */
static unsigned patterns(const struct raid_array *array)
{
	return shape_of(array) ? array->now.disks : 1;
}

static struct mirror_span pattern(const struct raid_array *array, unsigned number)
{
	const struct raid10_shape *shape = shape_of(array);
	uint64_t chunk = shape ? (uint64_t)shape->chunk << MD_SECTOR_SHIFT : MD_SECTOR_SIZE;

	return mirror_span(array, number * chunk, chunk);
}

bool mirror_agrees(const struct raid_array *array)
{
	for (unsigned i = 0; i < patterns(array); i++) {
		struct mirror_span span = pattern(array, i);
		unsigned in_sync = 0;

		for (unsigned k = 0; k < span.copies; k++) {
			const struct raid_member *member = mirror_copy(&span, k).member;

			in_sync += member && member->state == RAID_MEMBER_IN_SYNC;
		}
		if (in_sync > 1)
			return false;
	}
	return true;
}

unsigned mirror_sync_buffers(const struct raid_array *array)
{
	(void)array;
	return 2;
}

/* ---- Who has what alone ---- */

/* How far from its start a copy is bad (*bad), or good. */
static uint64_t same_state(const struct mirror_copy *copy, uint64_t length, bool *bad)
{
	uint64_t sector = raid_member_sector(copy->member, copy->offset >> MD_SECTOR_SHIFT);
	const struct md_bad_range *range =
		md_badblocks_find(&copy->member->bad, sector, length >> MD_SECTOR_SHIFT);

	*bad = range && range->sector <= sector;
	if (!range)
		return length;
	return *bad ? MIN(length, (range->sector + range->count - sector) << MD_SECTOR_SHIFT)
		    : (range->sector - sector) << MD_SECTOR_SHIFT;
}

/* Whether at the start of a span only this member is in sync and not bad; shortens *length to how far that goes
 * on, or does not. */
static bool alone_at(const struct mirror_span *span, const struct raid_member *member,
		     uint64_t *length)
{
	bool has = false, others = false;

	*length = span->length;
	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);
		uint64_t same;
		bool bad;

		if (!copy.member || copy.member->state != RAID_MEMBER_IN_SYNC)
			continue;
		same = same_state(&copy, span->length, &bad);
		*length = MIN(*length, same);
		if (copy.member == member)
			has = has || !bad;
		else
			others = others || !bad;
	}
	return has && !others;
}

/* The same in the array sectors that a bad range of another member stands for. */
static bool alone_in(const struct raid_array *array, const struct raid_member *member,
		     const struct raid_member *other, const struct md_bad_range *range,
		     uint64_t *sector, uint64_t *count)
{
	const struct raid10_shape *shape = shape_of(array);
	uint64_t at = MAX(range->sector, other->sb.data_offset) - other->sb.data_offset;
	uint64_t end = range->sector + range->count;

	if (end <= other->sb.data_offset)
		return false;
	end -= other->sb.data_offset;
	while (at < end) {
		uint64_t found = shape ? raid10_find(shape, (uint32_t)other->role, at) : at;
		struct mirror_span span;
		uint64_t length;

		if (found >= array->sectors) {
			if (!shape)
				break;
			at = round_down(at + shape->chunk, shape->chunk);
			continue;
		}
		span = mirror_span(array, found << MD_SECTOR_SHIFT, (end - at) << MD_SECTOR_SHIFT);
		if (alone_at(&span, member, &length)) {
			*sector = found;
			*count = length >> MD_SECTOR_SHIFT;
			return true;
		}
		at += length >> MD_SECTOR_SHIFT;
	}
	return false;
}

bool mirror_holds_alone(const struct raid_array *array, const struct raid_member *member,
			uint64_t *sector, uint64_t *count)
{
	if (member->state != RAID_MEMBER_IN_SYNC)
		return false;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_member *other = array->places[i].member;

		if (!other || other == member || other->state != RAID_MEMBER_IN_SYNC)
			continue;
		for (unsigned k = 0; k < other->bad.count; k++) {
			if (alone_in(array, member, other, &other->bad.ranges[k], sector, count))
				return true;
		}
	}
	return false;
}
