/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows, roles and slots; see raid5_geometry.h. */
#include "raid/raid5_geometry.h"

#include "util/bytes.h"

/* Asymmetric: data in the order of the roles that are left. */
static struct raid5_row in_order(uint32_t p, uint32_t q)
{
	return (struct raid5_row){ .p = p, .q = q, .first = RAID5_NO_ROLE };
}

/* Symmetric: data begin behind parity and go round `round` roles. */
static struct raid5_row behind(uint32_t p, uint32_t q, uint32_t first, uint32_t round)
{
	return (struct raid5_row){ .p = p, .q = q, .first = first % round, .round = round };
}

/* Level 5's layouts over `disks` roles; level 6 uses them with Q on a disk of its own. */
static struct raid5_row row_5(uint32_t layout, uint32_t disks, uint32_t turn)
{
	uint32_t left = disks - 1 - turn;

	switch (layout) {
	case RAID5_LEFT_ASYMMETRIC:
		return in_order(left, RAID5_NO_ROLE);
	case RAID5_RIGHT_ASYMMETRIC:
		return in_order(turn, RAID5_NO_ROLE);
	case RAID5_LEFT_SYMMETRIC:
		return behind(left, RAID5_NO_ROLE, left + 1, disks);
	case RAID5_RIGHT_SYMMETRIC:
		return behind(turn, RAID5_NO_ROLE, turn + 1, disks);
	case RAID5_PARITY_FIRST:
		return in_order(0, RAID5_NO_ROLE);
	default:
		return in_order(disks - 1, RAID5_NO_ROLE);
	}
}

static struct raid5_row row_6(uint32_t layout, uint32_t disks, uint64_t number)
{
	uint32_t turn = (uint32_t)(number % disks), left = disks - 1 - turn;
	struct raid5_row row;

	switch (layout) {
	case RAID5_LEFT_ASYMMETRIC:
		return in_order(left, (left + 1) % disks);
	case RAID5_RIGHT_ASYMMETRIC:
	case RAID6_DDF_ZERO_RESTART:
		return in_order(turn, (turn + 1) % disks);
	case RAID5_LEFT_SYMMETRIC:
		return behind(left, (left + 1) % disks, left + 2, disks);
	case RAID5_RIGHT_SYMMETRIC:
		return behind(turn, (turn + 1) % disks, turn + 2, disks);
	case RAID5_PARITY_FIRST:
		return in_order(0, 1);
	case RAID6_DDF_N_RESTART:
		left = disks - 1 - (turn + 1) % disks;
		return in_order(left, (left + 1) % disks);
	case RAID6_DDF_N_CONTINUE:
		return behind(left, (left + disks - 1) % disks, left + 1, disks);
	case RAID6_LEFT_ASYMMETRIC_6:
	case RAID6_RIGHT_ASYMMETRIC_6:
	case RAID6_LEFT_SYMMETRIC_6:
	case RAID6_RIGHT_SYMMETRIC_6:
	case RAID6_PARITY_FIRST_6:
		row = row_5(layout - RAID6_LEFT_ASYMMETRIC_6, disks - 1,
			    (uint32_t)(number % (disks - 1)));
		row.q = disks - 1;
		return row;
	default:
		return in_order(disks - 2, disks - 1);
	}
}

struct raid5_row raid5_row(const struct raid_geometry *g, uint64_t number)
{
	struct raid5_row row;

	if (g->level == 6)
		row = row_6(g->layout, g->disks, number);
	else /* level 4's parity stays where it is, whatever its superblock says */
		row = row_5(g->level == 4 ? RAID5_PARITY_LAST : g->layout, g->disks,
			    (uint32_t)(number % g->disks));
	row.disks = g->disks;
	row.data = raid5_data_disks(g);
	row.ddf = g->level == 6 && g->layout >= RAID6_DDF_ZERO_RESTART &&
		  g->layout <= RAID6_DDF_N_CONTINUE;
	return row;
}

uint32_t raid5_role(const struct raid5_row *row, uint32_t index)
{
	uint32_t low, high;

	if (row->first != RAID5_NO_ROLE)
		return (row->first + index) % row->round;
	low = row->p < row->q ? row->p : row->q;
	high = row->p < row->q ? row->q : row->p;
	index += index >= low;
	index += index >= high; /* never, where there is no Q */
	return index;
}

uint32_t raid5_index(const struct raid5_row *row, uint32_t role)
{
	if (role == row->p || role == row->q)
		return RAID5_NO_ROLE;
	if (row->first != RAID5_NO_ROLE)
		return (role + row->round - row->first) % row->round;
	return role - (role > row->p) - (row->q != RAID5_NO_ROLE && role > row->q);
}

uint32_t raid5_slot(const struct raid5_row *row, uint32_t role)
{
	uint32_t first, slot;

	if (row->ddf)
		return role;
	if (row->q == RAID5_NO_ROLE)
		return raid5_index(row, role);
	first = (row->q + 1) % row->disks;
	slot = (role + row->disks - first) % row->disks;
	/* P is left out where it comes before; Q is the last of all. */
	return slot - ((row->p + row->disks - first) % row->disks < slot);
}

struct raid5_place raid5_map(const struct raid_geometry *g, uint64_t array_sector)
{
	uint64_t chunk = array_sector / g->chunk_sectors;
	struct raid5_place place = { .row = chunk / raid5_data_disks(g),
				     .index = (uint32_t)(chunk % raid5_data_disks(g)) };
	struct raid5_row row = raid5_row(g, place.row);

	place.role = raid5_role(&row, place.index);
	place.sector = place.row * g->chunk_sectors + array_sector % g->chunk_sectors;
	return place;
}

uint64_t raid5_unmap(const struct raid_geometry *g, uint32_t index, uint64_t sector)
{
	uint64_t row = sector / g->chunk_sectors;

	return (row * raid5_data_disks(g) + index) * g->chunk_sectors + sector % g->chunk_sectors;
}

#define BACKUP_SECTORS 4096u

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint64_t raid5_backup_step(const struct raid_geometry *from, const struct raid_geometry *to)
{
	uint64_t old = (uint64_t)from->chunk_sectors * raid5_data_disks(from);
	uint64_t new = raid_geometry_reshape_height(from, to) * raid5_data_disks(to), step;

	/* Of what no device could have. */
	if (__builtin_mul_overflow(old / greatest_divisor(old, new), new, &step))
		step = INT64_MAX;
	return step;
}

uint64_t raid5_backup_area(const struct raid_geometry *from, const struct raid_geometry *to)
{
	uint64_t step = raid5_backup_step(from, to);

	/* With more members, or fewer, there is but one part that needs it. */
	if (raid5_data_disks(from) != raid5_data_disks(to))
		return step;
	return MAX(BACKUP_SECTORS / step, 1u) * step;
}
