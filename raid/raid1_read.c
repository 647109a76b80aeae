/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a mirror: which member, and what to do when it fails.
 *
 * The member with the fewest reads in flight, then the one that goes on where it stopped, then the
 * nearest. Members marked write-mostly come last, known bad blocks are left out. A read that fails is
 * done again in small pieces, each from any member that has it; what another could not read is written
 * to it anew and read back, and a member where that fails is faulty; or bad there, when it alone has other data.
 */
#include <errno.h>
#include <string.h>

#include "block/iov.h"
#include "raid/raid1.h"
#include "util/bytes.h"

static bool was_tried(const struct raid1_places *tried, uint32_t place)
{
	return tried && (tried->bits[place / 64] >> (place % 64) & 1);
}

static void set_tried(struct raid1_places *tried, uint32_t place)
{
	tried->bits[place / 64] |= 1ull << (place % 64);
}

/* How much of the range the member can give, from its start. */
static uint64_t readable(const struct raid_member *member, uint64_t offset, uint64_t length)
{
	uint64_t sector = offset >> MD_SECTOR_SHIFT, count = length >> MD_SECTOR_SHIFT;
	const struct md_bad_range *bad;

	if (member->state == RAID_MEMBER_REBUILDING) {
		if (raid_array_in_sync_below(member->array) != MD_RESYNC_DONE ||
		    sector >= member->recovered)
			return 0;
		count = MIN(count, member->recovered - sector);
	}
	sector = raid_member_sector(member, sector);
	bad = md_badblocks_find(&member->bad, sector, count);
	if (bad)
		count = bad->sector > sector ? bad->sector - sector : 0;
	count = round_down(count << MD_SECTOR_SHIFT, member->array->block.logical_block_size);
	return MIN(count, length);
}

struct candidate {
	struct raid_member *member;
	uint64_t length;
	bool rebuilding, reluctant;
	unsigned reads;
	uint64_t distance;
};

/* Whether `a` is better than `b`. `ordered`: the first place is as good as any other. */
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

struct raid_member *raid1_choose(struct raid_array *array, uint64_t offset, uint64_t *length,
				 const struct raid1_places *tried)
{
	bool ordered = (offset + *length) >> MD_SECTOR_SHIFT > raid_array_in_sync_below(array);
	struct candidate best = { 0 };

	for (uint32_t i = 0; i < array->raid_disks; i++) {
		struct raid_member *member = array->places[i];
		struct candidate candidate = { .member = member };

		if (!member || was_tried(tried, i))
			continue;
		candidate.length = readable(member, offset, *length);
		if (!candidate.length)
			continue;
		candidate.rebuilding = member->state == RAID_MEMBER_REBUILDING;
		candidate.reluctant = member->sb.devflags & MD_DEVICE_WRITE_MOSTLY;
		candidate.reads = member->reads;
		candidate.distance = offset > member->next_read ? offset - member->next_read
								: member->next_read - offset;
		if (!best.member || is_better(&candidate, &best, ordered))
			best = candidate;
	}
	if (best.member)
		*length = best.length;
	return best.member;
}

static int member_readv(struct raid_member *member, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	int rc;

	raid_member_hold(member);
	member->reads++;
	member->next_read = offset + length;
	rc = block_readv(member->block, raid1_data_start(member) + offset, iov, count);
	member->reads--;
	raid_member_release(member);
	return rc;
}

static int member_read(struct raid_member *member, uint64_t offset, uint8_t *to, uint64_t length)
{
	return member_readv(member, offset, length, &(struct iovec){ to, length }, 1);
}

/* ---- After an error ---- */

int raid1_write_anew(struct raid_member *member, uint64_t offset, const uint8_t *data,
		     uint64_t length)
{
	uint64_t at = raid1_data_start(member) + offset;
	uint8_t back[RAID1_PIECE];
	int rc;

	raid_member_hold(member);
	rc = block_write(member->block, at, data, length, 0);
	if (!rc)
		rc = block_read(member->block, at, back, length);
	raid_member_release(member);
	if (!rc && memcmp(back, data, length) != 0)
		rc = -EIO;
	return rc;
}

void raid1_make_good(struct raid_member *member, uint64_t offset, const uint8_t *data,
		     uint64_t length)
{
	int rc;

	if (member->array->block.read_only)
		return;
	if ((member->sb.devflags & MD_DEVICE_FAILFAST) &&
	    !raid1_note_instead(member, offset, length, -EIO) &&
	    raid_member_fail(member, "read error at byte %llu", (unsigned long long)offset))
		return;
	rc = raid1_write_anew(member, offset, data, length);
	if (rc && raid1_note_instead(member, offset, length, rc))
		return;
	if (rc) {
		raid_member_fail(member, "read error at byte %llu, and writing it anew: %s",
				 (unsigned long long)offset, raid_member_trouble(member, rc));
		return;
	}
	member->array->counters.made_good++;
	member->sb.corrected_reads += (uint32_t)(length >> MD_SECTOR_SHIFT);
	log_warning(member->array->log, "%s: read error at byte %llu of %s made good",
		    member->array->block.name, (unsigned long long)offset, member->block->name);
}

/* The suspect, while it has its place and was not tried, or whom raid1_choose() says. */
static struct raid_member *choose_for_piece(struct raid_array *array, int suspect, uint64_t offset,
					    uint64_t *length, const struct raid1_places *tried)
{
	if (suspect >= 0 && array->places[suspect] && !was_tried(tried, (uint32_t)suspect)) {
		*length = readable(array->places[suspect], offset, *length);
		if (*length)
			return array->places[suspect];
	}
	return raid1_choose(array, offset, length, tried);
}

/* At most RAID1_PIECE bytes; the range is locked. */
static int read_piece(struct raid_array *array, int suspect, uint64_t offset, uint8_t *to,
		      uint64_t length)
{
	struct raid1_places tried = { 0 }, failed = { 0 };

	for (;;) {
		uint64_t part = length;
		struct raid_member *member =
			choose_for_piece(array, suspect, offset, &part, &tried);
		uint32_t place;
		int rc;

		if (!member)
			return -EIO;
		place = (uint32_t)member->role;
		set_tried(&tried, place);
		/* One that has only part of it is no help here; the caller asks for less. */
		if (part < length)
			continue;
		rc = member_read(member, offset, to, length);
		if (!rc)
			break;
		/* One that became shorter is not written to. */
		if (rc != -ENXIO)
			set_tried(&failed, place);
		else
			raid_member_fail(member, "read of %llu bytes at byte %llu: %s",
					 (unsigned long long)length, (unsigned long long)offset,
					 raid_member_trouble(member, rc));
	}
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		if (was_tried(&failed, i) && array->places[i])
			raid1_make_good(array->places[i], offset, to, length);
	}
	return 0;
}

/* Block by block, where no one has all of a piece. */
static int read_blocks(struct raid_array *array, int suspect, uint64_t offset, uint8_t *to,
		       uint64_t length)
{
	uint32_t size = array->block.logical_block_size;
	int rc = length > size ? 0 : -EIO;

	for (uint64_t at = 0; !rc && at < length; at += size)
		rc = read_piece(array, suspect, offset + at, to + at, size);
	return rc;
}

int raid1_read_carefully(struct raid_array *array, int suspect, uint64_t offset, uint8_t *to,
			 uint64_t length)
{
	int rc = 0;

	while (!rc && length) {
		uint64_t piece = MIN(length, RAID1_PIECE - offset % RAID1_PIECE);

		rc = read_piece(array, suspect, offset, to, piece);
		if (rc)
			rc = read_blocks(array, suspect, offset, to, piece);
		offset += piece;
		to += piece;
		length -= piece;
	}
	return rc;
}

static void tell_unreadable(struct raid_array *array, uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		const struct raid_member *member = array->places[i];
		const struct md_bad_range *bad;
		uint64_t start;

		if (!member || member->state != RAID_MEMBER_IN_SYNC)
			continue;
		bad = md_badblocks_find(&member->bad,
					raid_member_sector(member, offset >> MD_SECTOR_SHIFT),
					length >> MD_SECTOR_SHIFT);
		if (!bad || bad->sector < member->sb.data_offset)
			continue;
		start = (bad->sector - member->sb.data_offset) << MD_SECTOR_SHIFT;
		log_warning(
			array->log,
			"%s: bytes %llu to %llu cannot be read: the bad-block log of %s says that "
			"they are bad, and no other member has them",
			array->block.name, (unsigned long long)start,
			(unsigned long long)(start + ((uint64_t)bad->count << MD_SECTOR_SHIFT) - 1),
			member->block->name);
		return;
	}
	log_warning(array->log, "%s: %llu bytes at byte %llu cannot be read from any member",
		    array->block.name, (unsigned long long)length, (unsigned long long)offset);
}

int raid1_readv(struct raid_array *array, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count)
{
	struct iov_range to = iov_range_of(iov, count);
	uint64_t part = length;
	struct raid_member *member = raid1_choose(array, offset, &part, NULL);
	int suspect = -1;

	if (member && part == length) {
		suspect = member->role;
		if (!member_readv(member, offset, length, iov, count))
			return 0;
	}
	array->counters.retried_reads++;
	while (length) {
		uint64_t piece = MIN(length, RAID1_PIECE - offset % RAID1_PIECE);
		uint64_t sector = offset >> MD_SECTOR_SHIFT;
		struct range_hold hold;
		uint8_t buffer[RAID1_PIECE];
		int rc;

		range_lock(&array->ranges, &hold, sector, sector + (piece >> MD_SECTOR_SHIFT));
		rc = raid1_read_carefully(array, suspect, offset, buffer, piece);
		range_unlock(&array->ranges, &hold);
		if (rc) {
			array->counters.lost_reads++;
			tell_unreadable(array, offset, piece);
			return rc;
		}
		iov_copy_in(&to, buffer, piece);
		offset += piece;
		length -= piece;
	}
	return 0;
}
