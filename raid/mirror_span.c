/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirrors: spans and their copies, and who has what alone; see mirror.h. */
#include "raid/mirror.h"
#include "raid/raid10.h"
#include "util/bytes.h"

/* NULL at RAID1. */
static const struct raid10_shape *shape_of(const struct raid_array *array)
{
	const struct raid10 *r = raid10_of(array);

	return r ? &r->shape : NULL;
}

/* In a reshape it ends at the border of the two shapes. */
static void choose_shape(struct mirror_span *span, const struct raid10 *r)
{
	bool below = span->offset < r->border;

	if (below)
		span->length = MIN(span->length, r->border - span->offset);
	span->moved = below != r->backwards;
	span->shape = span->moved ? &r->shape : &r->old;
}

struct mirror_span mirror_span(const struct raid_array *array, uint64_t offset, uint64_t length)
{
	const struct raid10 *r = raid10_of(array);
	struct mirror_span span = {
		(struct raid_array *)array, NULL, false, offset, length, array->now.disks
	};
	uint64_t chunk;

	if (!r)
		return span;
	span.shape = &r->shape;
	if (r->moves)
		choose_shape(&span, r);
	chunk = (uint64_t)span.shape->chunk << MD_SECTOR_SHIFT;
	span.length = MIN(span.length, chunk - offset % chunk);
	span.copies = span.shape->near * span.shape->far;
	return span;
}

struct mirror_copy mirror_copy(const struct mirror_span *span, unsigned index)
{
	struct mirror_copy copy = { .index = index, .offset = span->offset };
	uint32_t role = index;

	if (span->shape)
		copy.offset =
			(raid10_place(span->shape, span->offset >> MD_SECTOR_SHIFT, index, &role)
			 << MD_SECTOR_SHIFT) +
			span->offset % MD_SECTOR_SIZE;
	copy.member = span->array->places[role].member;
	copy.replacement = span->array->places[role].replacement;
	if (span->moved && copy.member)
		copy.offset += (uint64_t)(int64_t)copy.member->sb.new_offset << MD_SECTOR_SHIFT;
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
	uint64_t sector = mirror_sector(copy);
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

/* Sectors of a member's data in one shape, which array sectors they hold. */
struct view {
	const struct raid10_shape *shape; /* NULL at RAID1 */
	bool moved;
};

/* The same in the array sectors that a bad range of another member stands for. */
static bool alone_in(const struct raid_array *array, const struct view *view,
		     const struct raid_member *member, const struct raid_member *other,
		     const struct md_bad_range *range, uint64_t *sector, uint64_t *count)
{
	const struct raid10_shape *shape = view->shape;
	uint64_t start =
		other->sb.data_offset + (uint64_t)(int64_t)(view->moved ? other->sb.new_offset : 0);
	uint64_t at = MAX(range->sector, start) - start, end = range->sector + range->count;

	if (end <= start || (shape && (uint32_t)other->role >= shape->disks))
		return false;
	end -= start;
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
		if (span.shape == shape && alone_at(&span, member, &length)) {
			*sector = found;
			*count = length >> MD_SECTOR_SHIFT;
			return true;
		}
		at += (span.shape == shape ? length : span.length) >> MD_SECTOR_SHIFT;
	}
	return false;
}

static bool alone_in_view(const struct raid_array *array, const struct view *view,
			  const struct raid_member *member, uint64_t *sector, uint64_t *count)
{
	for (uint32_t i = 0; i < raid_array_places(array); i++) {
		const struct raid_member *other = array->places[i].member;

		if (!other || other == member || other->state != RAID_MEMBER_IN_SYNC)
			continue;
		for (unsigned k = 0; k < other->bad.count; k++) {
			if (alone_in(array, view, member, other, &other->bad.ranges[k], sector,
				     count))
				return true;
		}
	}
	return false;
}

bool mirror_holds_alone(const struct raid_array *array, const struct raid_member *member,
			uint64_t *sector, uint64_t *count)
{
	const struct raid10 *r = raid10_of(array);

	if (member->state != RAID_MEMBER_IN_SYNC)
		return false;
	return alone_in_view(array, &(struct view){ shape_of(array), r && r->moves }, member,
			     sector, count) ||
	       (r && r->moves &&
		alone_in_view(array, &(struct view){ &r->old, false }, member, sector, count));
}
