/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID1: each member in sync has all of the data.
 *
 * A write goes to all members in sync, and to those that are being rebuilt, wherever the rebuild is: the
 * range lock keeps the two apart, and what is written is then right on both sides of its position. A
 * read goes to one member; raid1_read.c says to which, and what happens when that fails.
 */
#include "raid/raid1.h"

#include <errno.h>

#include "raid/legs.h"
#include "util/bytes.h"

static int raid1_start(struct raid_array *array, uint64_t *sectors, struct error *error)
{
	*sectors = array->member_sectors;
	if (!*sectors)
		return error_set(error, -EINVAL, "%s: its members have 0 sectors",
				 array->block.name);
	return 0;
}

static bool raid1_can_lose(const struct raid_array *array, const struct raid_member *member)
{
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		const struct raid_member *other = array->places[i];

		if (other && other != member && other->state == RAID_MEMBER_IN_SYNC)
			return true;
	}
	return false;
}

/* Where all others that are in sync are bad from *sector on, and the member is not; 0: what is to be left out
 * before one has to look again goes into *skip, or all of *count. */
static uint64_t alone_at(const struct raid_array *array, const struct raid_member *member,
			 uint64_t sector, uint64_t count, uint64_t *skip)
{
	uint64_t alone = count;

	*skip = 0;
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		const struct raid_member *other = array->places[i];
		const struct md_bad_range *bad;
		uint64_t start, end; /* of what is bad on it */

		if (!other || (other != member && other->state != RAID_MEMBER_IN_SYNC))
			continue;
		bad = md_badblocks_find(&other->bad, raid_member_sector(other, sector), count);
		start = bad ? MAX(bad->sector, raid_member_sector(other, sector)) -
					other->sb.data_offset
			    : sector + count;
		end = bad ? bad->sector + bad->count - other->sb.data_offset : start;
		if (other == member && start == sector)
			*skip = MAX(*skip, end - sector);
		else if (other == member)
			alone = MIN(alone, start - sector);
		else if (start == sector)
			alone = MIN(alone, end - sector);
		else
			*skip = MAX(*skip, start - sector);
	}
	return *skip ? 0 : alone;
}

static bool raid1_holds_alone(const struct raid_array *array, const struct raid_member *member,
			      uint64_t *sector, uint64_t *count)
{
	uint64_t at = 0, skip;

	if (member->state != RAID_MEMBER_IN_SYNC)
		return false;
	while (at < array->member_sectors) {
		*count = alone_at(array, member, at, array->member_sectors - at, &skip);
		*sector = at;
		if (*count)
			return true;
		at += skip;
	}
	return false;
}

bool raid1_note_instead(struct raid_member *member, uint64_t offset, uint64_t length, int rc)
{
	struct raid_array *array = member->array;
	uint64_t sector, count;

	if (rc == -ENXIO || array->block.read_only || !raid1_can_lose(array, member) ||
	    !raid1_holds_alone(array, member, &sector, &count) ||
	    raid_member_note_bad(member, offset >> MD_SECTOR_SHIFT, length >> MD_SECTOR_SHIFT))
		return false;
	log_warning(array->log,
		    "%s: %s: %llu bytes at byte %llu: %s: noted as bad; it is not failed, since it "
		    "alone has %llu bytes at byte %llu",
		    array->block.name, member->block->name, (unsigned long long)length,
		    (unsigned long long)offset, error_name(rc),
		    (unsigned long long)count << MD_SECTOR_SHIFT,
		    (unsigned long long)sector << MD_SECTOR_SHIFT);
	return true;
}

static void raid1_member_range(const struct raid_array *array, uint64_t offset, uint64_t length,
			       uint64_t *sector, uint64_t *count)
{
	(void)array;
	*sector = offset >> MD_SECTOR_SHIFT;
	*count = length >> MD_SECTOR_SHIFT;
}

/* ---- Writing ---- */

/* What could be written is good again. */
static void forget_bad_blocks(struct raid_member *member, const struct raid_write *write)
{
	if (!member->bad.count || write->kind == RAID_WRITE_DISCARD)
		return;
	md_badblocks_clear(&member->bad,
			   raid_member_sector(member, write->offset >> MD_SECTOR_SHIFT),
			   write->length >> MD_SECTOR_SHIFT);
	if (member->bad.changed)
		member->array->super_wanted++;
}

/*
 * Fails the members that did not take it; one that alone has other data is kept, and bad there. 0 when one that is in sync has it. When nobody has it the error
 * goes up and no member is failed, for none is the better copy (two images on a full host file system,
 * perhaps); but they may differ there now, so a resync is due.
 */
static int judge(struct raid_array *array, const struct raid_legs *legs,
		 const struct raid_write *write)
{
	int rc = -EIO;

	for (unsigned i = 0; i < legs->count; i++) {
		int result = legs->ios[i].result;

		if (!result && legs->members[i]->state == RAID_MEMBER_IN_SYNC)
			rc = 0;
		else if (rc == -EIO && result == -ENOSPC)
			rc = -ENOSPC;
	}
	for (unsigned i = 0; i < legs->count; i++) {
		struct raid_member *member = legs->members[i];
		int result = legs->ios[i].result;

		if (!result)
			forget_bad_blocks(member, write);
		else if (!rc && raid1_note_instead(member, write->offset, write->length, result))
			continue;
		else if (!rc || member->state != RAID_MEMBER_IN_SYNC)
			raid_member_fail(member, "write of %llu bytes at byte %llu: %s",
					 (unsigned long long)write->length,
					 (unsigned long long)write->offset,
					 raid_member_trouble(member, result));
	}
	if (rc && legs->count > 1)
		raid_array_resync_from(array, write->offset >> MD_SECTOR_SHIFT);
	return rc;
}

static int raid1_write(struct raid_array *array, const struct raid_write *write)
{
	static const enum block_kind kinds[] = {
		[RAID_WRITE_DATA] = BLOCK_WRITE,
		[RAID_WRITE_ZEROES] = BLOCK_WRITE_ZEROES,
		[RAID_WRITE_DISCARD] = BLOCK_DISCARD,
	};
	const struct block_io io = { .kind = kinds[write->kind],
				     .flags = write->flags,
				     .offset = write->offset,
				     .length = write->length,
				     .iov = write->iov,
				     .count = write->count };
	CLEANUP_RAID_LEGS struct raid_legs legs;
	int rc = raid_legs_begin(&legs, array);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < array->raid_disks; i++) {
		if (array->places[i])
			raid_legs_add(&legs, array->places[i], &io);
	}
	if (!legs.count)
		return -EIO;
	raid_legs_run(&legs);
	return judge(array, &legs, write);
}

static int raid1_status(struct raid_array *array, uint64_t offset, uint64_t *length,
			enum block_status *status)
{
	struct raid_member *member = raid1_choose(array, offset, length, NULL);
	int rc;

	*status = BLOCK_STATUS_DATA;
	if (!member) {
		*length = array->block.logical_block_size;
		return 0;
	}
	raid_member_hold(member);
	rc = block_status(member->block, raid1_data_start(member) + offset, length, status);
	raid_member_release(member);
	return rc;
}

const struct raid_level_ops raid1_ops = {
	.level = RAID_LEVEL_1,
	.type = "raid1",
	.start = raid1_start,
	.can_lose = raid1_can_lose,
	.holds_alone = raid1_holds_alone,
	.member_range = raid1_member_range,
	.readv = raid1_readv,
	.write = raid1_write,
	.status = raid1_status,
	.sync = raid1_sync,
};
