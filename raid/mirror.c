/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors: spans and their copies, writing; see mirror.h.
 *
 * A write goes to all copies on members in sync, and to those that are being rebuilt, wherever the rebuild is:
 * the range lock keeps the two apart, and what is written is then right on both sides of its position. A
 * read goes to one copy; mirror_read.c says to which, and what happens when that fails.
 */
#include "raid/mirror.h"

#include <errno.h>
#include <stdlib.h>

#include "block/iov.h"
#include "raid/legs.h"
#include "raid/mirror_group.h"
#include "util/bytes.h"

/* ---- Spans ---- */

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

/* ---- Writing ---- */

/*
 * Looks at what became of a span, legs `first` to `end`: who did not take it is bad there, or failed (write_error.c). 0 when one that is in
 * sync has it. When nobody has it the error
 * goes up and no member is failed, for none is the better copy (two images on a full host file system,
 * perhaps); but they may differ there now, so a resync is due.
 */
int mirror_judge(const struct mirror_span *span, const struct raid_legs *legs, unsigned first,
		 unsigned end)
{
	int rc = -EIO;

	for (unsigned i = first; i < end; i++) {
		int result = legs->ios[i].result;

		if (!result && legs->members[i]->state == RAID_MEMBER_IN_SYNC)
			rc = 0;
		else if (rc == -EIO && result == -ENOSPC)
			rc = -ENOSPC;
	}
	for (unsigned i = first; i < end; i++) {
		struct raid_member *member = legs->members[i];
		uint64_t offset = legs->ios[i].offset - mirror_data_start(member);
		int result = legs->ios[i].result;

		if (!result && legs->ios[i].kind != BLOCK_DISCARD)
			raid_member_written(member, legs->ios[i].offset, span->length);
		if (!result || (!rc && raid_member_write_again(member, &legs->ios[i])))
			continue;
		if (!rc || member->state != RAID_MEMBER_IN_SYNC)
			raid_member_fail(member, "write of %llu bytes at byte %llu: %s",
					 (unsigned long long)span->length,
					 (unsigned long long)offset,
					 raid_member_trouble(member, result));
	}
	if (rc && end - first > 1)
		raid_array_resync_from(span->array, span->offset >> MD_SECTOR_SHIFT);
	return rc;
}

/* Several spans, with the bracket open. */
static int write_group(struct mirror_group *group, const struct raid_write *write)
{
	static const enum block_kind kinds[] = {
		[RAID_WRITE_DATA] = BLOCK_WRITE,
		[RAID_WRITE_ZEROES] = BLOCK_WRITE_ZEROES,
		[RAID_WRITE_DISCARD] = BLOCK_DISCARD,
	};
	CLEANUP_RAID_LEGS struct raid_legs legs;
	unsigned ends[MIRROR_GROUP];
	unsigned both = group->spans[0].array->replacements ? 2 : 1;
	int rc = raid_legs_begin(&legs, group->count * group->spans[0].copies * both), failed;

	if (rc)
		return rc;
	for (unsigned i = 0; i < group->count; i++) {
		const struct mirror_span *span = &group->spans[i];

		for (unsigned k = 0; k < span->copies; k++) {
			struct mirror_copy copy = mirror_copy(span, k);
			const struct block_io io = { .kind = kinds[write->kind],
						     .flags = write->flags,
						     .offset = copy.offset,
						     .length = span->length,
						     .iov = group->data[i].iov,
						     .count = group->data[i].count };

			if (copy.member)
				raid_legs_add(&legs, copy.member, &io);
			if (copy.replacement)
				raid_legs_add(&legs, copy.replacement, &io);
		}
		ends[i] = legs.count;
	}
	raid_legs_run(&legs);
	for (unsigned i = 0; i < group->count; i++) {
		failed = mirror_judge(&group->spans[i], &legs, i ? ends[i - 1] : 0, ends[i]);
		rc = rc ? rc : failed;
	}
	return rc;
}

int mirror_write(struct raid_array *array, const struct raid_write *write)
{
	struct raid_span span = { write->offset >> MD_SECTOR_SHIFT,
				  write->length >> MD_SECTOR_SHIFT };
	struct mirror_groups groups;
	struct raid_bracket bracket;
	int rc = raid_bracket_begin(array, &bracket, span, span);

	if (rc)
		return rc;
	mirror_groups_begin(&groups, array, write->offset, write->length, write->iov, write->count);
	while (!rc && mirror_groups_next(&groups, &rc))
		rc = write_group(&groups.group, write);
	mirror_groups_end(&groups);
	return raid_bracket_end(&bracket, rc);
}

int mirror_status(struct raid_array *array, uint64_t offset, uint64_t *length,
		  enum block_status *status)
{
	struct mirror_span span = mirror_span(array, offset, *length);
	struct mirror_copy copy;
	int rc;

	*length = span.length;
	copy = mirror_choose(&span, length, NULL);
	*status = BLOCK_STATUS_DATA;
	if (!copy.member) {
		*length = array->block.logical_block_size;
		return 0;
	}
	raid_member_hold(copy.member);
	rc = block_status(copy.member->block, mirror_data_start(copy.member) + copy.offset, length,
			  status);
	raid_member_release(copy.member);
	return rc;
}
