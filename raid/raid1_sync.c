/*
 * Making mirrors agree, for rebuild.c: resync copies from the member that reads go to, recovery fills
 * the members that are being rebuilt, check compares and repair compares and makes equal.
 */
#include <errno.h>
#include <string.h>

#include "raid/raid1.h"
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

struct target {
	struct raid_member *member;
	const struct raid_sync *sync;
	const uint8_t *data; /* NULL: zeroes */
	uint64_t offset, length;
};

static int write_target(const struct target *target)
{
	struct raid_member *member = target->member;
	uint64_t at = raid1_data_start(member) + target->offset;
	int rc;

	raid_member_hold(member);
	if (target->data)
		rc = block_write(member->block, at, target->data, target->length, 0);
	else
		rc = block_write_zeroes(member->block, at, target->length, BLOCK_MAY_UNMAP);
	raid_member_release(member);
	if (rc) {
		fail_target(member, target->sync, rc);
	} else if (member->bad.count) {
		md_badblocks_clear(&member->bad,
				   raid_member_sector(member, target->offset >> MD_SECTOR_SHIFT),
				   target->length >> MD_SECTOR_SHIFT);
	}
	return rc;
}

/* Writes [offset, offset + length) to all targets but `source`; those that fail are faulty then. */
static void write_targets(struct raid_array *array, const struct raid_sync *sync,
			  const struct raid_member *source, uint64_t offset, const uint8_t *data,
			  uint64_t length)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		struct target target = { .member = array->places[i],
					 .sync = sync,
					 .data = data,
					 .offset = offset,
					 .length = length };

		if (target.member != source && is_target(target.member, sync->operation))
			write_target(&target);
	}
}

/* What no member can give is bad on the targets, too: the log keeps it from being read. */
static int note_bad(struct raid_array *array, const struct raid_sync *sync, uint64_t offset,
		    uint64_t length)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		struct raid_member *member = array->places[i];

		if (!member || member->state != RAID_MEMBER_REBUILDING)
			continue;
		if (!member->sb.bblog_size || !member->sb.bblog_offset ||
		    md_badblocks_set(&member->bad,
				     raid_member_sector(member, offset >> MD_SECTOR_SHIFT),
				     length >> MD_SECTOR_SHIFT))
			return -EIO;
		log_warning(array->log,
			    "%s: byte %llu cannot be read from any member: noted as bad on %s",
			    array->block.name, (unsigned long long)offset, member->block->name);
	}
	array->super_wanted++;
	(void)sync;
	return 0;
}

static int copy_piecewise(struct raid_array *array, int suspect, struct raid_sync *sync)
{
	uint64_t end = offset_of(sync) + length_of(sync);

	for (uint64_t at = offset_of(sync); at < end;) {
		uint64_t piece = MIN(RAID1_PIECE - at % RAID1_PIECE, end - at);
		int rc = raid1_read_carefully(array, suspect, at, sync->buffer, piece);

		if (!rc)
			write_targets(array, sync, NULL, at, sync->buffer, piece);
		else if (sync->operation == RAID_RECOVER)
			rc = note_bad(array, sync, at, piece);
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
		write_targets(array, sync, source, offset, NULL, length);
		raid_member_release(source);
		return 0;
	}
	length = length_of(sync);
	rc = block_read(source->block, raid1_data_start(source) + offset, sync->buffer, length);
	raid_member_release(source);
	if (rc)
		return copy_piecewise(array, place, sync);
	write_targets(array, sync, source, offset, sync->buffer, length);
	return 0;
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

/* Reads a member's own copy; what it cannot read is made good from `data`, when there is one. */
static int read_own(struct raid_member *member, uint64_t offset, uint8_t *to, uint64_t length,
		    const uint8_t *data)
{
	uint64_t start = raid1_data_start(member) + offset;
	int rc = 0;

	raid_member_hold(member);
	if (block_read(member->block, start, to, length)) {
		for (uint64_t at = 0; !rc && at < length; at += RAID1_PIECE) {
			uint64_t piece = MIN(RAID1_PIECE, length - at);

			rc = block_read(member->block, start + at, to + at, piece);
			if (rc && data && member->state == RAID_MEMBER_IN_SYNC) {
				raid1_make_good(member, offset + at, data + at, piece);
				memcpy(to + at, data + at, piece);
				rc = 0;
			}
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

/* Compares one member with `data`, what another has. False where it cannot be. */
static bool compare_member(struct raid_member *member, struct raid_sync *sync, uint64_t offset,
			   const uint8_t *data, uint64_t length)
{
	uint64_t bytes;

	if (is_bad(member, offset, length) ||
	    read_own(member, offset, sync->compare, length, data) ||
	    member->state != RAID_MEMBER_IN_SYNC)
		return false;
	bytes = differing(sync, offset, data, sync->compare, length);
	sync->mismatches += bytes;
	if (bytes && sync->operation == RAID_REPAIR)
		write_target(&(struct target){ member, sync, data, offset, length });
	return true;
}

/* 1; 0 where no member can give it, so that smaller parts are worth a try. */
static int compare_part(struct raid_array *array, struct raid_sync *sync, uint64_t offset,
			uint64_t length)
{
	uint64_t part = length;
	struct raid_member *first = raid1_choose(array, offset, &part, NULL);
	unsigned compared = 1;

	if (!first || part != length || first->state != RAID_MEMBER_IN_SYNC)
		return 0;
	if (read_own(first, offset, sync->buffer, length, NULL) &&
	    raid1_read_carefully(array, first->role, offset, sync->buffer, length))
		return 0;
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		struct raid_member *member = array->places[i];

		if (member && member != first && member->state == RAID_MEMBER_IN_SYNC)
			compared += compare_member(member, sync, offset, sync->buffer, length);
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

/* Around what is bad somewhere in pieces, so that the rest is compared all the same. */
static int compare(struct raid_array *array, struct raid_sync *sync)
{
	uint64_t offset = offset_of(sync), end = offset + length_of(sync);

	if (!any_bad(array, offset, end - offset) &&
	    compare_part(array, sync, offset, end - offset))
		return 0;
	for (uint64_t at = offset; at < end;) {
		uint64_t piece = MIN(RAID1_PIECE - at % RAID1_PIECE, end - at);

		if (!compare_part(array, sync, at, piece))
			sync->skipped += piece;
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
