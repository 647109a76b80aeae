/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making mirrors agree, for rebuild.c: resync copies from the member that reads go to, recovery fills
 * the members that are being rebuilt, check compares and repair compares and makes equal.
 */
#include <errno.h>
#include <string.h>

#include "raid/legs.h"
#include "raid/raid1.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

static uint64_t offset_of(const struct raid_sync *sync)
{
	return sync->sector << MD_SECTOR_SHIFT;
}

static uint64_t length_of(const struct raid_sync *sync)
{
	return sync->count << MD_SECTOR_SHIFT;
}

/* Whether an operation writes to this member. */
static bool is_target(const struct raid_member *member, enum raid_operation operation)
{
	return member && (member->state == RAID_MEMBER_REBUILDING ||
			  (operation == RAID_RESYNC && member->state == RAID_MEMBER_IN_SYNC));
}

static void fail_target(struct raid_member *member, const struct raid_sync *sync, int rc)
{
	raid_member_fail(member, "%s of %llu bytes at byte %llu: %s",
			 raid_operation_name(sync->operation), (unsigned long long)length_of(sync),
			 (unsigned long long)offset_of(sync), raid_member_trouble(member, rc));
}

/* A write of it ended: what could be written is good again, and who could not take it is faulty. */
static void target_written(struct raid_member *member, const struct raid_sync *sync,
			   uint64_t offset, uint64_t length, int rc)
{
	if (rc && member->state == RAID_MEMBER_IN_SYNC &&
	    raid1_note_instead(member, offset, length, rc))
		return;
	if (rc)
		fail_target(member, sync, rc);
	else if (member->bad.count)
		md_badblocks_clear(&member->bad,
				   raid_member_sector(member, offset >> MD_SECTOR_SHIFT),
				   length >> MD_SECTOR_SHIFT);
}

static void write_target(struct raid_member *member, const struct raid_sync *sync, uint64_t offset,
			 const uint8_t *data, uint64_t length)
{
	int rc;

	raid_member_hold(member);
	rc = block_write(member->block, raid1_data_start(member) + offset, data, length, 0);
	raid_member_release(member);
	target_written(member, sync, offset, length, rc);
}

/* Writes [offset, offset + length) to all targets but `source`, `data` NULL: zeroes. Those that fail are faulty
 * then. 0 or -ENOMEM. */
static int write_targets(struct raid_array *array, const struct raid_sync *sync,
			 const struct raid_member *source, uint64_t offset, const uint8_t *data,
			 uint64_t length)
{
	const struct iovec iov = { (void *)data, length };
	const struct block_io io = { .kind = data ? BLOCK_WRITE : BLOCK_WRITE_ZEROES,
				     .flags = data ? 0 : BLOCK_MAY_UNMAP,
				     .offset = offset,
				     .length = length,
				     .iov = &iov,
				     .count = data ? 1 : 0 };
	CLEANUP_RAID_LEGS struct raid_legs legs;
	int rc = raid_legs_begin(&legs, array);

	for (uint32_t i = 0; !rc && i < array->raid_disks; i++) {
		struct raid_member *member = array->places[i];

		if (member != source && is_target(member, sync->operation))
			raid_legs_add(&legs, member, &io);
	}
	raid_legs_run(&legs);
	for (unsigned i = 0; i < legs.count; i++)
		target_written(legs.members[i], sync, offset, length, legs.ios[i].result);
	return rc;
}

/* What no member can give is bad on the targets, too: the log keeps it from being read. */
static int note_bad(struct raid_array *array, uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		struct raid_member *member = array->places[i];

		if (!member || member->state != RAID_MEMBER_REBUILDING)
			continue;
		if (raid_member_note_bad(member, offset >> MD_SECTOR_SHIFT,
					 length >> MD_SECTOR_SHIFT))
			return -EIO;
		log_warning(array->log,
			    "%s: byte %llu cannot be read from any member: noted as bad on %s",
			    array->block.name, (unsigned long long)offset, member->block->name);
	}
	return 0;
}

static int copy_piecewise(struct raid_array *array, int suspect, struct raid_sync *sync)
{
	uint64_t end = offset_of(sync) + length_of(sync);

	for (uint64_t at = offset_of(sync); at < end;) {
		uint64_t piece = MIN(RAID1_PIECE - at % RAID1_PIECE, end - at);
		int rc = raid1_read_carefully(array, suspect, at, sync->buffer, piece);

		if (!rc)
			rc = write_targets(array, sync, NULL, at, sync->buffer, piece);
		else if (sync->operation == RAID_RECOVER)
			rc = note_bad(array, at, piece);
		else
			rc = 0; /* a resync cannot make it better */
		if (rc)
			return rc;
		at += piece;
	}
	return 0;
}

/* Resync and recovery. */
static int copy(struct raid_array *array, struct raid_sync *sync)
{
	uint64_t offset = offset_of(sync), length = length_of(sync);
	struct raid_member *source = raid1_choose(array, offset, &length, NULL);
	enum block_status status;
	int rc, place;

	if (!source || length != length_of(sync) || source->state != RAID_MEMBER_IN_SYNC)
		return copy_piecewise(array, -1, sync);
	place = source->role;
	raid_member_hold(source);
	source->next_read = offset + length;
	rc = block_status(source->block, raid1_data_start(source) + offset, &length, &status);
	if (!rc && status == BLOCK_STATUS_ZERO && length == length_of(sync)) {
		rc = write_targets(array, sync, source, offset, NULL, length);
		raid_member_release(source);
		return rc;
	}
	length = length_of(sync);
	rc = block_read(source->block, raid1_data_start(source) + offset, sync->buffer, length);
	raid_member_release(source);
	if (rc)
		return copy_piecewise(array, place, sync);
	return write_targets(array, sync, source, offset, sync->buffer, length);
}

/* ---- Check and repair ---- */

/* Notes where the two differ; returns how many bytes. */
static uint64_t differing(struct raid_sync *sync, uint64_t offset, const uint8_t *a,
			  const uint8_t *b, uint64_t length)
{
	uint64_t bytes = 0;

	if (memcmp(a, b, length) == 0)
		return 0;
	for (uint64_t at = 0; at < length; at += MD_SECTOR_SIZE) {
		if (memcmp(a + at, b + at, MD_SECTOR_SIZE) == 0)
			continue;
		bytes += MD_SECTOR_SIZE;
		raid_rebuild_found(sync->array, offset + at, MD_SECTOR_SIZE);
	}
	return bytes;
}

/* Reads in pieces a member's own copy, which could not be read as a whole; what it cannot read is made good from
 * `data`, when there is one. */
static int read_pieces(struct raid_member *member, uint64_t offset, uint8_t *to, uint64_t length,
		       const uint8_t *data)
{
	uint64_t start = raid1_data_start(member) + offset;
	int rc = 0;

	raid_member_hold(member);
	for (uint64_t at = 0; !rc && at < length; at += RAID1_PIECE) {
		uint64_t piece = MIN(RAID1_PIECE, length - at);

		rc = block_read(member->block, start + at, to + at, piece);
		if (rc && data && member->state == RAID_MEMBER_IN_SYNC) {
			raid1_make_good(member, offset + at, data + at, piece);
			memcpy(to + at, data + at, piece);
			rc = 0;
		}
	}
	raid_member_release(member);
	return rc;
}

static bool is_bad(const struct raid_member *member, uint64_t offset, uint64_t length)
{
	return md_badblocks_find(&member->bad,
				 raid_member_sector(member, offset >> MD_SECTOR_SHIFT),
				 length >> MD_SECTOR_SHIFT) != NULL;
}

/* Whom `first` is compared with next, from `place` on. */
static struct raid_member *next_other(const struct raid_array *array, uint32_t place,
				      const struct raid_member *first, uint64_t offset,
				      uint64_t length)
{
	for (; place < array->raid_disks; place++) {
		struct raid_member *member = array->places[place];

		if (member && member != first && member->state == RAID_MEMBER_IN_SYNC &&
		    !is_bad(member, offset, length))
			return member;
	}
	return NULL;
}

/* Reads from one or two members at the same time, to `buffer` and to `compare`. */
static int read_both(struct raid_array *array, struct raid_sync *sync,
		     struct raid_member *const members[2], uint64_t offset, uint64_t length,
		     int results[2])
{
	uint8_t *const to[2] = { sync->buffer, sync->compare };
	struct iovec iov[2];
	CLEANUP_RAID_LEGS struct raid_legs legs;
	int rc = raid_legs_begin(&legs, array);

	if (rc)
		return rc;
	for (unsigned i = 0; i < 2; i++) {
		if (!members[i])
			continue;
		iov[i] = (struct iovec){ to[i], length };
		raid_legs_add(&legs, members[i],
			      &(struct block_io){ .kind = BLOCK_READ,
						  .offset = offset,
						  .length = length,
						  .iov = &iov[i],
						  .count = 1 });
	}
	raid_legs_run(&legs);
	for (unsigned i = 0, leg = 0; i < 2; i++)
		results[i] = members[i] ? legs.ios[leg++].result : 0;
	return 0;
}

/* Compares what `member` has, which is in `compare` if it could be read (`rc`), with `buffer`. False where that
 * cannot be done. */
static bool compare_member(struct raid_member *member, struct raid_sync *sync, uint64_t offset,
			   uint64_t length, int rc)
{
	uint64_t bytes;

	if (rc)
		rc = read_pieces(member, offset, sync->compare, length, sync->buffer);
	if (rc || member->state != RAID_MEMBER_IN_SYNC)
		return false;
	bytes = differing(sync, offset, sync->buffer, sync->compare, length);
	sync->mismatches += bytes;
	if (bytes && sync->operation == RAID_REPAIR)
		write_target(member, sync, offset, sync->buffer, length);
	return true;
}

/* Reads what `first` has to `buffer`, from others where it cannot give it, and what `other` has, if there is one,
 * to `compare`: *other_rc. 1; 0 where no member can give it; or a negative errno. */
static int read_first(struct raid_array *array, struct raid_sync *sync, struct raid_member *first,
		      struct raid_member *other, uint64_t offset, uint64_t length, int *other_rc)
{
	int rc, results[2];

	if (other)
		raid_member_hold(other);
	rc = read_both(array, sync, (struct raid_member *[2]){ first, other }, offset, length,
		       results);
	*other_rc = rc ? rc : results[1];
	if (!rc)
		rc = !results[0] || !read_pieces(first, offset, sync->buffer, length, NULL) ||
		     !raid1_read_carefully(array, first->role, offset, sync->buffer, length);
	if (other)
		raid_member_release(other);
	return rc;
}

/* 1; 0 where no member can give it, so that smaller parts are worth a try; or a negative errno. */
static int compare_part(struct raid_array *array, struct raid_sync *sync, uint64_t offset,
			uint64_t length)
{
	uint64_t part = length;
	struct raid_member *first = raid1_choose(array, offset, &part, NULL), *other;
	unsigned compared = 1;
	int rc, other_rc;

	if (!first || part != length || first->state != RAID_MEMBER_IN_SYNC)
		return 0;
	other = next_other(array, 0, first, offset, length);
	rc = read_first(array, sync, first, other, offset, length, &other_rc);
	if (rc != 1)
		return rc;
	while (other) {
		uint32_t next = (uint32_t)other->role + 1;
		int results[2] = { 0 };

		compared += compare_member(other, sync, offset, length, other_rc);
		other = next_other(array, next, first, offset, length);
		rc = other ? read_both(array, sync, (struct raid_member *[2]){ NULL, other },
				       offset, length, results)
			   : 0;
		if (rc)
			return rc;
		other_rc = results[1];
	}
	if (compared < array->raid_disks)
		sync->skipped += length;
	return 1;
}

static bool any_bad(const struct raid_array *array, uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		if (array->places[i] && is_bad(array->places[i], offset, length))
			return true;
	}
	return false;
}

/* Repair writes what is in `buffer` to members that are bad there, as the kernel's does. */
static void heal(struct raid_array *array, struct raid_sync *sync, uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		struct raid_member *member = array->places[i];

		if (!member || member->state != RAID_MEMBER_IN_SYNC ||
		    !is_bad(member, offset, length))
			continue;
		/* Where it stays bad it is no worse than before. */
		if (raid1_write_anew(member, offset, sync->buffer, length))
			continue;
		md_badblocks_clear(&member->bad,
				   raid_member_sector(member, offset >> MD_SECTOR_SHIFT),
				   length >> MD_SECTOR_SHIFT);
		array->counters.made_good++;
		log_info(array->log, "%s: %llu bytes at byte %llu that were bad on %s made good",
			 array->block.name, (unsigned long long)length, (unsigned long long)offset,
			 member->block->name);
	}
}

/* Around what is bad somewhere in pieces, so that the rest is compared all the same. */
static int compare(struct raid_array *array, struct raid_sync *sync)
{
	uint64_t offset = offset_of(sync), end = offset + length_of(sync);

	int rc = 0;

	if (!any_bad(array, offset, end - offset))
		rc = compare_part(array, sync, offset, end - offset);
	if (rc)
		return MIN(rc, 0);
	for (uint64_t at = offset; at < end;) {
		uint64_t piece = MIN(RAID1_PIECE - at % RAID1_PIECE, end - at);

		rc = compare_part(array, sync, at, piece);
		if (rc < 0)
			return rc;
		if (!rc)
			sync->skipped += piece;
		else if (sync->operation == RAID_REPAIR)
			heal(array, sync, at, piece);
		at += piece;
	}
	return raid_array_working(array) ? 0 : -EIO;
}

int raid1_sync(struct raid_array *array, struct raid_sync *sync)
{
	switch (sync->operation) {
	case RAID_RESYNC:
	case RAID_RECOVER:
		return copy(array, sync);
	case RAID_CHECK:
	case RAID_REPAIR:
		return compare(array, sync);
	default:
		return -EINVAL;
	}
}
