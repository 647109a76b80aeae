/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where levels 4, 5 and 6 keep what: pure arithmetic, over a geometry that raid_geometry_check() accepts.
 *
 * A row is one chunk of each member, at the same place on all of them. Its chunks are data, P and, at level 6, Q; which
 * place ("role") has which is the layout's. Data chunks are numbered in the order of the array ("index") and
 * have a slot in the sum that Q is ("slot", see parity.h):
 *
 *	layouts of md	slots go round from the disk after Q, and leave out P and Q
 *	DDF's	the slot is the role: P and Q leave gaps
 *
 * Sources: raid5_compute_sector(), raid6_d0(), raid6_idx_to_slot() in drivers/md/raid5.c of Linux 6.1, and
 * arrays that it made (tests/guest/raid_parity_layout_test.sh).
 */
#ifndef TENON_RAID_RAID5_GEOMETRY_H
#define TENON_RAID_RAID5_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/geometry.h"

#define RAID5_NO_ROLE UINT32_MAX

/* Layouts, as superblocks number them. */
enum raid5_layout {
	RAID5_LEFT_ASYMMETRIC = 0,
	RAID5_RIGHT_ASYMMETRIC = 1,
	RAID5_LEFT_SYMMETRIC = 2,
	RAID5_RIGHT_SYMMETRIC = 3,
	RAID5_PARITY_FIRST = 4,
	RAID5_PARITY_LAST = 5,
	RAID6_DDF_ZERO_RESTART = 8,
	RAID6_DDF_N_RESTART = 9,
	RAID6_DDF_N_CONTINUE = 10,
	RAID6_LEFT_ASYMMETRIC_6 = 16, /* level 5's layout, and Q on the last disk */
	RAID6_RIGHT_ASYMMETRIC_6 = 17,
	RAID6_LEFT_SYMMETRIC_6 = 18,
	RAID6_RIGHT_SYMMETRIC_6 = 19,
	RAID6_PARITY_FIRST_6 = 20,
};

/* The roles of one row. */
struct raid5_row {
	uint32_t disks, data;
	uint32_t p, q; /* roles; q is RAID5_NO_ROLE at levels 4 and 5 */
	uint32_t
		first; /* asymmetric: RAID5_NO_ROLE; else the role of index 0, from which it goes round */
	uint32_t round; /* how many roles it goes round */
	bool ddf;       /* slots are roles */
};

static inline uint32_t raid5_parities(const struct raid_geometry *g)
{
	return g->level == 6 ? 2 : 1;
}

static inline uint32_t raid5_data_disks(const struct raid_geometry *g)
{
	return g->disks - raid5_parities(g);
}

/* Slots that Q's sum has, gaps included. */
static inline uint32_t raid5_slots(const struct raid5_row *row)
{
	return row->ddf ? row->disks : row->data;
}

/* Sectors of the array that are whole rows of both shapes, and so a step of a reshape in place; and of how many at once a backup is made. */
uint64_t raid5_backup_step(const struct raid_geometry *from, const struct raid_geometry *to);
uint64_t raid5_backup_area(const struct raid_geometry *from, const struct raid_geometry *to);

struct raid5_row raid5_row(const struct raid_geometry *g, uint64_t number);

/* The role of data chunk `index`, and back; RAID5_NO_ROLE for P's and Q's roles. */
uint32_t raid5_role(const struct raid5_row *row, uint32_t index);
uint32_t raid5_index(const struct raid5_row *row, uint32_t role);

/* The slot of a role that is neither P's nor Q's. */
uint32_t raid5_slot(const struct raid5_row *row, uint32_t role);

/* Where a sector of the array is. */
struct raid5_place {
	uint64_t row;
	uint32_t index, role;
	uint64_t sector; /* of the member's data */
};

struct raid5_place raid5_map(const struct raid_geometry *g, uint64_t array_sector);

/* The array's sector of a member's sector in data chunk `index` of its row. */
uint64_t raid5_unmap(const struct raid_geometry *g, uint32_t index, uint64_t sector);

#endif
