/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading mirrors: which copy, and what to do when that fails.
 *
 * The member with the fewest reads in flight, then the one that goes on where it stopped, then the
 * nearest. Members marked write-mostly come last, known bad blocks are left out. A read that fails is
 * done again in small pieces, each from any copy that has it; what another could not read is written
 * to it anew and read back, and a member where that fails is faulty; or bad there, when it alone has other data.
 */
#include <errno.h>
#include <string.h>

#include "raid/legs.h"
#include "raid/mirror_group.h"
#include "util/bytes.h"

static bool was_tried(const struct raid_set *tried, unsigned index)
{
	return tried && raid_set_has(tried, index);
}

/* How much of the range the copy can give, from its start. */
static uint64_t readable(const struct mirror_copy *copy, uint64_t length)
{
	const struct raid_member *member = copy->member;
	uint64_t sector = raid_member_sector_of(copy->offset), count = length >> MD_SECTOR_SHIFT;
	const struct md_bad_range *bad;

	if (member->state == RAID_MEMBER_IN_SYNC && !member->bad.count)
		return round_down(length, member->array->block.logical_block_size);
	if (member->state == RAID_MEMBER_REBUILDING) {
		if (raid_array_in_sync_below(member->array) != MD_RESYNC_DONE ||
		    sector >= member->recovered)
			return 0;
		count = MIN(count, member->recovered - sector);
	}
	sector = mirror_sector(copy);
	bad = md_badblocks_find(&member->bad, sector, count);
	if (bad)
		count = bad->sector > sector ? bad->sector - sector : 0;
	count = round_down(count << MD_SECTOR_SHIFT, member->array->block.logical_block_size);
	return MIN(count, length);
}

struct candidate {
	struct mirror_copy copy;
	uint64_t length;
	bool rebuilding, reluctant;
	unsigned reads;
	uint64_t distance;
};

/* Whether `a` is better than `b`. `ordered`: the first copy is as good as any other. */
static bool is_better(const struct candidate *a, const struct candidate *b, bool ordered)
{
	if (a->rebuilding != b->rebuilding)
		return b->rebuilding;
	if (a->reluctant != b->reluctant)
		return b->reluctant;
	if (ordered)
		return false;
	if (a->length != b->length)
		return a->length > b->length;
	if (a->reads != b->reads)
		return a->reads < b->reads;
	return a->distance < b->distance;
}

struct mirror_copy mirror_choose(const struct mirror_span *span, uint64_t *length,
				 const struct raid_set *tried)
{
	bool ordered =
		(span->offset + *length) >> MD_SECTOR_SHIFT > raid_array_in_sync_below(span->array);
	/* The best and the next one to look at, in turn. */
	struct candidate candidates[2], *best = NULL, *next = candidates;

	for (unsigned i = 0; i < span->copies; i++) {
		const struct raid_member *member;
		uint64_t offset;

		next->copy = mirror_copy(span, i);
		member = next->copy.member;
		offset = next->copy.offset;
		if (!member || was_tried(tried, i))
			continue;
		next->length = readable(&next->copy, *length);
		if (!next->length)
			continue;
		next->rebuilding = member->state == RAID_MEMBER_REBUILDING;
		next->reluctant = member->sb.devflags & MD_DEVICE_WRITE_MOSTLY;
		next->reads = member->reads;
		next->distance = offset > member->next_read ? offset - member->next_read
							    : member->next_read - offset;
		if (best && !is_better(next, best, ordered))
			continue;
		best = next;
		next = best == candidates ? candidates + 1 : candidates;
	}
	if (!best)
		return (struct mirror_copy){ .member = NULL };
	*length = best->length;
	return best->copy;
}

static int member_readv(struct raid_member *member, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	int rc;

	raid_member_hold(member);
	member->reads++;
	member->next_read = offset + length;
	rc = block_readv(member->block, mirror_data_start(member) + offset, iov, count);
	member->reads--;
	raid_member_release(member);
	return rc;
}

static int member_read(struct raid_member *member, uint64_t offset, uint8_t *to, uint64_t length)
{
	return member_readv(member, offset, length, &(struct iovec){ to, length }, 1);
}

/* ---- After an error ---- */

/* The suspect, while somebody has its place and it was not tried, or whom mirror_choose() says. */
static struct mirror_copy choose_for_piece(const struct mirror_span *span, int suspect,
					   uint64_t *length, const struct raid_set *tried)
{
	if (suspect >= 0 && !was_tried(tried, (unsigned)suspect)) {
		struct mirror_copy copy = mirror_copy(span, (unsigned)suspect);

		*length = copy.member ? readable(&copy, span->length) : 0;
		if (*length)
			return copy;
	}
	*length = span->length;
	return mirror_choose(span, length, tried);
}

/* Whether those that were not tried have what is to be written to others: of more than two copies most would say what is wrong, if it is. */
static bool others_agree(const struct mirror_span *span, const struct raid_set *tried,
			 const uint8_t *data)
{
	uint8_t other[RAID_PIECE];
	bool agree = true;

	for (unsigned i = 0; agree && i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);

		if (!copy.member || copy.member->state != RAID_MEMBER_IN_SYNC ||
		    was_tried(tried, i) || readable(&copy, span->length) < span->length)
			continue;
		agree = member_read(copy.member, copy.offset, other, span->length) ||
			!memcmp(other, data, span->length);
	}
	return agree;
}

static struct mirror_span part_of(const struct mirror_span *span, uint64_t at, uint64_t length)
{
	return mirror_span(span->array, span->offset + at, length);
}

/* Of the copy `index`, which could not be read. Where others differ somewhere in it, each unit by itself. */
static void make_good(const struct mirror_span *span, const struct raid_set *tried, unsigned index,
		      const uint8_t *data)
{
	struct raid_array *array = span->array;
	bool agree = others_agree(span, tried, data);
	struct mirror_copy copy = mirror_copy(span, index);
	uint32_t unit = copy.member ? raid_member_unit(copy.member) : 0;
	uint8_t there[RAID_PIECE];

	if (copy.member && agree)
		raid_member_make_good(copy.member, copy.offset, data, span->length);
	else if (copy.member && span->length <= unit)
		log_warning(array->log,
			    "%s: read error at byte %llu of %s: not written anew, since the others "
			    "differ there",
			    array->block.name, raid_member_byte(copy.member, copy.offset),
			    copy.member->block->name);
	if (agree || span->length <= unit)
		return;
	for (uint64_t at = 0; copy.member && at < span->length; at += unit) {
		struct mirror_span part = part_of(span, at, MIN(unit, span->length - at));

		copy = mirror_copy(&part, index);
		if (copy.member && member_read(copy.member, copy.offset, there, part.length))
			make_good(&part, tried, index, data + at);
	}
}

/* A span of at most RAID_PIECE bytes; the range is locked. */
static int read_piece(const struct mirror_span *span, int suspect, uint8_t *to)
{
	struct raid_set tried = { 0 }, failed = { 0 };

	for (;;) {
		uint64_t part;
		struct mirror_copy copy = choose_for_piece(span, suspect, &part, &tried);
		int rc;

		if (!copy.member)
			return -EIO;
		raid_set_add(&tried, copy.index);
		/* One that has only part of it is no help here; the caller asks for less. */
		if (part < span->length)
			continue;
		rc = member_read(copy.member, copy.offset, to, span->length);
		if (!rc)
			break;
		/* One that became shorter is not written to. */
		if (rc != -ENXIO)
			raid_set_add(&failed, copy.index);
		else
			raid_member_fail(copy.member, "read of %llu bytes at byte %llu: %s",
					 (unsigned long long)span->length,
					 raid_member_byte(copy.member, copy.offset),
					 raid_member_trouble(copy.member, rc));
	}
	for (unsigned i = 0; i < span->copies; i++) {
		if (raid_set_has(&failed, i))
			make_good(span, &tried, i, to);
	}
	return 0;
}

/* Block by block, where no one has all of a piece. */
static int read_blocks(const struct mirror_span *span, int suspect, uint8_t *to)
{
	uint32_t size = span->array->block.logical_block_size;
	int rc = span->length > size ? 0 : -EIO;

	for (uint64_t at = 0; !rc && at < span->length; at += size) {
		struct mirror_span part = part_of(span, at, size);

		rc = read_piece(&part, suspect, to + at);
	}
	return rc;
}

int mirror_read_carefully(const struct mirror_span *span, int suspect, uint8_t *to)
{
	int rc = 0;

	for (uint64_t at = 0, piece; !rc && at < span->length; at += piece) {
		struct mirror_span part;

		piece = MIN(span->length - at, RAID_PIECE - (span->offset + at) % RAID_PIECE);
		part = part_of(span, at, piece);
		rc = read_piece(&part, suspect, to + at);
		if (rc)
			rc = read_blocks(&part, suspect, to + at);
	}
	return rc;
}

static void tell_unreadable(const struct mirror_span *span)
{
	struct raid_array *array = span->array;

	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);
		const struct raid_member *member = copy.member;
		const struct md_bad_range *bad;
		uint64_t start, sector;

		if (!member || member->state != RAID_MEMBER_IN_SYNC)
			continue;
		sector = mirror_sector(&copy);
		bad = md_badblocks_find(&member->bad, sector, span->length >> MD_SECTOR_SHIFT);
		if (!bad)
			continue;
		start = span->offset + ((MAX(bad->sector, sector) - sector) << MD_SECTOR_SHIFT);
		log_warning(
			array->log,
			"%s: bytes %llu to %llu cannot be read: the bad-block log of %s says "
			"that they are bad, and no other member has them",
			array->block.name, (unsigned long long)start,
			(unsigned long long)(start +
					     ((bad->sector + bad->count - MAX(bad->sector, sector))
					      << MD_SECTOR_SHIFT) -
					     1),
			member->block->name);
		return;
	}
	log_warning(array->log, "%s: %llu bytes at byte %llu cannot be read from any member",
		    array->block.name, (unsigned long long)span->length,
		    (unsigned long long)span->offset);
}

/* The blocks of the members that a piece is in, which can be made good; where they are not all the array's, the piece. */
static struct mirror_span blocks_of(const struct mirror_span *piece)
{
	const struct block *block = &piece->array->block;
	uint32_t unit = MIN(block->physical_block_size, RAID_PIECE);
	uint64_t from = round_down(piece->offset, unit);
	uint64_t to = round_up(piece->offset + piece->length, unit);
	struct mirror_span blocks = mirror_span(piece->array, from, to - from);

	return to <= block->size && blocks.length == to - from && blocks.shape == piece->shape
		       ? blocks
		       : *piece;
}

/* A piece, out of whole blocks where these can be had. */
static int read_piece_again(const struct mirror_span *piece, int suspect, uint8_t *to)
{
	struct raid_array *array = piece->array;
	const struct mirror_span blocks = blocks_of(piece);
	uint64_t sector = blocks.offset >> MD_SECTOR_SHIFT;
	uint8_t buffer[RAID_PIECE];
	struct range_hold hold;
	int rc;

	range_lock(&array->ranges, &hold, sector, sector + (blocks.length >> MD_SECTOR_SHIFT));
	rc = mirror_read_carefully(&blocks, suspect, buffer);
	if (!rc)
		memcpy(to, buffer + (piece->offset - blocks.offset), piece->length);
	else if (blocks.length > piece->length)
		rc = mirror_read_carefully(piece, suspect, to);
	range_unlock(&array->ranges, &hold);
	return rc;
}

/* A span that could not be read at once. */
int mirror_read_again(const struct mirror_span *span, int suspect, const struct iovec *iov,
		      unsigned count)
{
	struct raid_array *array = span->array;
	struct iov_range to = iov_range_of(iov, count);

	array->counters.retried_reads++;
	for (uint64_t at = 0, piece; at < span->length; at += piece) {
		struct mirror_span part;
		uint8_t buffer[RAID_PIECE];
		int rc;

		piece = MIN(span->length - at, RAID_PIECE - (span->offset + at) % RAID_PIECE);
		part = part_of(span, at, piece);
		rc = read_piece_again(&part, suspect, buffer);
		if (rc) {
			array->counters.lost_reads++;
			tell_unreadable(&part);
			return rc;
		}
		iov_copy_in(&to, buffer, piece);
	}
	return 0;
}

static int read_span(const struct mirror_span *span, const struct iovec *iov, unsigned count)
{
	uint64_t part = span->length;
	struct mirror_copy copy = mirror_choose(span, &part, NULL);
	bool whole = copy.member && part == span->length;

	if (whole && !member_readv(copy.member, copy.offset, span->length, iov, count))
		return 0;
	return mirror_read_again(span, whole ? (int)copy.index : -1, iov, count);
}

/* Several spans at the same time; those that fail once more, each by itself. */
static int read_group(const struct mirror_group *group)
{
	CLEANUP_RAID_LEGS struct raid_legs legs;
	int leg[MIRROR_GROUP], suspect[MIRROR_GROUP];
	int rc = raid_legs_begin(&legs, group->count);

	for (unsigned i = 0; !rc && i < group->count; i++) {
		const struct mirror_span *span = &group->spans[i];
		uint64_t part = span->length;
		struct mirror_copy copy = mirror_choose(span, &part, NULL);

		leg[i] = suspect[i] = -1;
		if (!copy.member || part < span->length)
			continue;
		leg[i] = (int)legs.count;
		suspect[i] = (int)copy.index;
		copy.member->reads++;
		copy.member->next_read = copy.offset + span->length;
		raid_legs_add(&legs, copy.member,
			      &(struct block_io){ .kind = BLOCK_READ,
						  .offset = copy.offset,
						  .length = span->length,
						  .iov = group->data[i].iov,
						  .count = group->data[i].count });
	}
	raid_legs_run(&legs);
	for (unsigned i = 0; i < legs.count; i++)
		legs.members[i]->reads--;
	for (unsigned i = 0; !rc && i < group->count; i++) {
		if (leg[i] < 0 || legs.ios[leg[i]].result)
			rc = mirror_read_again(&group->spans[i], suspect[i], group->data[i].iov,
					       group->data[i].count);
	}
	return rc;
}

int mirror_readv(struct raid_array *array, uint64_t offset, uint64_t length,
		 const struct iovec *iov, unsigned count)
{
	struct mirror_span span = mirror_span(array, offset, length);
	struct mirror_groups groups;
	int rc = 0;

	if (span.length == length)
		return read_span(&span, iov, count);
	mirror_groups_begin(&groups, array, offset, length, iov, count);
	while (!rc && mirror_groups_next(&groups, &rc))
		rc = read_group(&groups.group);
	mirror_groups_end(&groups);
	return rc;
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
