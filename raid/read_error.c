/* SPDX-License-Identifier: BSD-2-Clause */
/* A member could not read what others have, or what can be computed from them: it is written anew and read back. */
#include <errno.h>
#include <string.h>

#include "raid/array.h"
#include "util/bytes.h"

int raid_member_write_anew(struct raid_member *member, uint64_t offset, const uint8_t *data,
			   uint64_t length)
{
	uint64_t at = (member->sb.data_offset << MD_SECTOR_SHIFT) + offset;
	uint8_t back[RAID_PIECE];
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

/* Writes what is bad. True: go on. */
static bool make_good(struct raid_member *member, uint64_t offset, const uint8_t *data,
		      uint64_t length)
{
	int rc;

	rc = raid_member_write_anew(member, offset, data, length);
	if (rc && raid_member_note_instead(member, offset, length, rc))
		return true;
	if (rc) {
		raid_member_fail(member, "read error at byte %llu, and writing it anew: %s",
				 raid_member_byte(member, offset), raid_member_trouble(member, rc));
		return false;
	}
	member->array->counters.made_good++;
	member->sb.corrected_reads += (uint32_t)(length >> MD_SECTOR_SHIFT);
	log_warning(member->array->log, "%s: read error at byte %llu of %s made good",
		    member->array->block.name, raid_member_byte(member, offset),
		    member->block->name);
	return true;
}

uint32_t raid_member_unit(const struct raid_member *member)
{
	uint32_t logical = member->array->block.logical_block_size;
	uint32_t unit = MIN(MAX(logical, member->block->physical_block_size), RAID_PIECE);

	/* Where data begin within a physical block, no block of the array is one of the device's. */
	return (member->sb.data_offset << MD_SECTOR_SHIFT) % unit ? logical : unit;
}

void raid_member_make_good(struct raid_member *member, uint64_t offset, const uint8_t *data,
			   uint64_t length)
{
	uint64_t start = member->sb.data_offset << MD_SECTOR_SHIFT, bad = 0;
	uint32_t unit = raid_member_unit(member);
	uint8_t back[RAID_PIECE];
	bool goes_on = true;

	if (member->array->block.read_only)
		return;
	if ((member->sb.devflags & MD_DEVICE_FAILFAST) &&
	    !raid_member_note_instead(member, offset, length, -EIO) &&
	    raid_member_fail(member, "read error at byte %llu", raid_member_byte(member, offset)))
		return;
	raid_member_hold(member);
	for (uint64_t at = 0, step; goes_on && at < length; at += step) {
		step = MIN(length - at, unit - (start + offset + at) % unit);
		/* Devices write whole blocks: the rest of one they would have to read. One is known to be bad: it is what the caller could not read. */
		if (step == unit &&
		    (step == length || block_read(member->block, start + offset + at, back, step)))
			continue;
		if (bad < at)
			goes_on = make_good(member, offset + bad, data + bad, at - bad);
		bad = at + step;
	}
	if (goes_on && bad < length)
		make_good(member, offset + bad, data + bad, length - bad);
	raid_member_release(member);
}
