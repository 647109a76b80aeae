/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making good what a member could not give. It was computed from the others, of which one may be wrong without anybody knowing. With two
 * parities the one that it was not computed from tells: what does not fit is not written, since two would be wrong then, and
 * agree with one of the parities, so that a later repair would take the other for the wrong one.
 */
#include <stdlib.h>
#include <string.h>

#include "raid/raid5.h"
#include "util/bytes.h"

struct others {
	uint8_t *memory; /* a block for each role, and two for parity */
	uint32_t length;
};

static uint8_t *block_of(const struct others *others, uint32_t role)
{
	return others->memory + (size_t)role * others->length;
}

/* Bytes of the device. */
static uint64_t device_byte(const struct raid5_work *work, const struct raid_member *member,
			    uint32_t at)
{
	return (raid5_device_sector(work->r, member, work->sector) << MD_SECTOR_SHIFT) + at;
}

/* All but `role`; false: one of them cannot be read. */
static bool read_others(const struct raid5_work *work, uint32_t role, uint32_t at,
			const struct others *others)
{
	bool all = true;

	for (uint32_t i = 0; all && i < work->row.disks; i++) {
		struct raid_member *member = work->r->array->places[i].member;
		uint64_t sector = work->sector + (at >> MD_SECTOR_SHIFT);

		if (i == role)
			continue;
		all = raid5_readable(work->r, i, sector, others->length >> MD_SECTOR_SHIFT);
		if (!all)
			break;
		raid_member_hold(member);
		all = !block_read(member->block, device_byte(work, member, at), block_of(others, i),
				  others->length);
		raid_member_release(member);
	}
	return all;
}

/* P and Q of all data, at the end of the memory. */
static bool parities_agree(struct raid5_work *work, const struct others *others)
{
	const struct raid5_row *row = &work->row;
	struct raid_column column = raid5_column_begin(work, others->length);

	for (uint32_t i = 0; i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		column.blocks[raid5_slot(row, role)] = block_of(others, role);
	}
	column.blocks[column.slots] = block_of(others, row->disks);
	column.blocks[column.slots + 1] = block_of(others, row->disks + 1);
	raid_parity_generate(&column);
	return !memcmp(block_of(others, row->p), block_of(others, row->disks), others->length) &&
	       !memcmp(block_of(others, row->q), block_of(others, row->disks + 1), others->length);
}

/* Where too few can be read to tell, it is as good as it gets. */
static bool fits(struct raid5_work *work, uint32_t role, uint32_t at, uint32_t length)
{
	struct others others = { .length = length };
	bool fit = true;

	if (work->row.q == RAID5_NO_ROLE)
		return true;
	others.memory = aligned_alloc(RAID_PARITY_ALIGN, (size_t)(work->row.disks + 2) * length);
	if (!others.memory)
		return false;
	if (read_others(work, role, at, &others)) {
		memcpy(block_of(&others, role), raid5_block(work, role) + at, length);
		fit = parities_agree(work, &others);
	}
	free(others.memory);
	return fit;
}

static void make_unit_good(struct raid5_work *work, uint32_t role, struct raid_member *member,
			   uint32_t at, uint32_t length)
{
	struct raid_array *array = work->r->array;
	uint64_t byte = device_byte(work, member, at);

	if (fits(work, role, at, length)) {
		raid_member_make_good(member, byte - (member->sb.data_offset << MD_SECTOR_SHIFT),
				      raid5_block(work, role) + at, length);
		return;
	}
	log_warning(
		array->log,
		"%s: read error at byte %llu of %s: not written anew, since data and parity of the "
		"others differ there",
		array->block.name, (unsigned long long)byte, member->block->name);
}

void raid5_make_good(struct raid5_work *work, uint32_t role, uint32_t at, uint32_t length)
{
	const struct raid_place *place = &work->r->array->places[role];
	struct raid_member *member = place->member;
	uint8_t there[RAID_PIECE];
	uint32_t unit, end;

	if (!member || work->r->array->block.read_only)
		return;
	unit = raid_member_unit(member);
	raid_member_hold(member);
	/* By pieces, and those that cannot be read as a whole by units. */
	for (uint32_t step; length && place->member == member; at += step, length -= step) {
		step = MIN(length, RAID_PIECE - at % RAID_PIECE);
		if (!block_read(member->block, device_byte(work, member, at), there, step))
			continue;
		end = at + step;
		for (uint32_t i = at, part; i < end && place->member == member; i += part) {
			part = MIN(end - i, unit - (uint32_t)(device_byte(work, member, i) % unit));
			/* Devices write whole blocks: the rest of this one they would have to read. */
			if (part < unit)
				continue;
			if (part == step ||
			    block_read(member->block, device_byte(work, member, i), there, part))
				make_unit_good(work, role, member, i, part);
		}
	}
	raid_member_release(member);
}
