/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows, roles and slots of levels 4, 5 and 6: that they fit together. That they are md's is shown by
 * tests/guest/raid_parity_layout_test.sh. */
#include <errno.h>
#include <string.h>

#include "raid/geometry.h"
#include "raid/raid5_geometry.h"
#include "unit.h"
#include "util/bytes.h"

static const uint32_t layouts_5[] = { 0, 1, 2, 3, 4, 5 };
static const uint32_t layouts_6[] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 19, 20 };

/* Each role is P, Q or one index, and each slot is one role's. */
static void check_row(const struct raid_geometry *g, uint64_t number)
{
	struct raid5_row row = raid5_row(g, number);
	bool roles[32] = { false }, slots[32] = { false };

	CU_ASSERT_FATAL(row.p < g->disks);
	CU_ASSERT_EQUAL(row.q != RAID5_NO_ROLE, g->level == 6);
	roles[row.p] = true;
	if (g->level == 6) {
		CU_ASSERT_FATAL(row.q < g->disks && row.q != row.p);
		roles[row.q] = true;
		CU_ASSERT_EQUAL(raid5_index(&row, row.q), RAID5_NO_ROLE);
	}
	CU_ASSERT_EQUAL(raid5_index(&row, row.p), RAID5_NO_ROLE);
	for (uint32_t i = 0; i < row.data; i++) {
		uint32_t role = raid5_role(&row, i), slot = raid5_slot(&row, role);

		CU_ASSERT_FATAL(role < g->disks && slot < raid5_slots(&row));
		CU_ASSERT_FALSE(roles[role]);
		CU_ASSERT_FALSE(slots[slot]);
		CU_ASSERT_EQUAL(raid5_index(&row, role), i);
		roles[role] = slots[slot] = true;
	}
}

static void check_map(const struct raid_geometry *g)
{
	for (uint64_t at = 0; at < 64ull * g->chunk_sectors; at += 5) {
		struct raid5_place place = raid5_map(g, at);
		struct raid5_row row = raid5_row(g, place.row);

		CU_ASSERT_EQUAL(raid5_role(&row, place.index), place.role);
		CU_ASSERT_EQUAL(place.sector / g->chunk_sectors, place.row);
		CU_ASSERT_EQUAL(raid5_unmap(g, place.index, place.sector), at);
	}
}

static void check_level(int level, const uint32_t *layouts, unsigned count, uint32_t least)
{
	for (unsigned i = 0; i < count; i++) {
		for (uint32_t disks = least; disks < 12; disks++) {
			struct raid_geometry g = { level, layouts[i], 8, disks, 4096 };

			for (uint64_t number = 0; number < 3ull * disks; number++)
				check_row(&g, number);
			check_row(&g, UINT64_MAX / 4096);
			check_map(&g);
		}
	}
}

static void test_rows_fit_together(void)
{
	check_level(4, layouts_5, 1, 2);
	check_level(5, layouts_5, ARRAY_SIZE(layouts_5), 2);
	check_level(6, layouts_6, ARRAY_SIZE(layouts_6), 4);
}

/* mdadm gives level 4 the layout 0, others may stand there: the kernel looks at none. */
static void test_level_4_ignores_its_layout(void)
{
	struct raid_geometry g = { 4, 2, 8, 4, 4096 };

	for (uint64_t number = 0; number < 9; number++)
		CU_ASSERT_EQUAL(raid5_row(&g, number).p, 3);
}

/* Seen before any device is, and by who wants to grow. */
static void test_level_6_has_as_many_members_as_q_tells_apart(void)
{
	CU_ASSERT_EQUAL(raid_geometry_check(6, 2, 8, 255, NULL), 0);
	CU_ASSERT_EQUAL(raid_geometry_check(6, 2, 8, 256, NULL), -EINVAL);
	CU_ASSERT_EQUAL(raid_geometry_check(5, 2, 8, 256, NULL), 0);
}

UNIT_MAIN("raid5 geometry", UNIT(test_rows_fit_together), UNIT(test_level_4_ignores_its_layout),
	  UNIT(test_level_6_has_as_many_members_as_q_tells_apart))
