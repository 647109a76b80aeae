/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/allocate: choosing extents, pure functions. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "volume/allocate.h"

static void test_linear_takes_the_first_that_fits(void)
{
	struct allocate_free areas[] = { { 0, 10, 5 }, { 0, 100, 20 }, { 1, 0, 50 } };
	struct allocate_wish wish = { .extents = 20, .stripes = 1 };
	struct allocate_result result;

	CU_ASSERT_EQUAL_FATAL(allocate_extents(areas, 3, &wish, &result), 0);
	CU_ASSERT_EQUAL(result.count, 1);
	CU_ASSERT(result.places[0].pv == 0 && result.places[0].extent == 100);
	CU_ASSERT_EQUAL(areas[1].count, 0);
	allocate_result_free(&result);
}

static void test_linear_takes_large_areas_first(void)
{
	struct allocate_free areas[] = { { 0, 10, 5 }, { 0, 100, 20 }, { 1, 0, 50 } };
	struct allocate_wish wish = { .extents = 73, .stripes = 1 };
	struct allocate_result result;

	CU_ASSERT_EQUAL_FATAL(allocate_extents(areas, 3, &wish, &result), 0);
	CU_ASSERT_EQUAL_FATAL(result.count, 3);
	CU_ASSERT_EQUAL(result.lengths[0], 50);
	CU_ASSERT_EQUAL(result.lengths[1], 20);
	CU_ASSERT_EQUAL(result.lengths[2], 3);
	CU_ASSERT_EQUAL(areas[0].count, 2);
	allocate_result_free(&result);
}

static void test_growing_goes_on_behind_the_end(void)
{
	struct allocate_free areas[] = { { 0, 10, 5 }, { 1, 0, 50 } };
	struct allocate_place after = { .pv = 0, .extent = 10 };
	struct allocate_wish wish = { .extents = 8, .stripes = 1, .after = &after };
	struct allocate_result result;

	CU_ASSERT_EQUAL_FATAL(allocate_extents(areas, 2, &wish, &result), 0);
	CU_ASSERT_EQUAL_FATAL(result.count, 2);
	CU_ASSERT(result.places[0].pv == 0 && result.lengths[0] == 5);
	CU_ASSERT(result.places[1].pv == 1 && result.lengths[1] == 3);
	allocate_result_free(&result);
}

/* PVs 0, 1 and 4 are alike, and 2 and 3; the volume is on 0, its second stripe on 2. */
static bool alike(const struct allocate_tags *tags, unsigned pv, unsigned other)
{
	static const char group[] = { 'a', 'a', 'b', 'b', 'a', '-' };

	(void)tags;
	return group[pv] == group[other] && group[pv] != '-';
}

static bool near(const struct allocate_tags *tags, unsigned stripe, unsigned pv)
{
	return alike(tags, stripe ? 2 : 0, pv);
}

static void test_growing_goes_on_where_it_is_alike(void)
{
	const struct allocate_tags tags = { alike, near };
	const struct allocate_free areas[] = {
		{ 1, 0, 4 }, { 2, 0, 50 }, { 3, 5, 9 }, { 4, 7, 9 }
	};
	struct allocate_free left[ARRAY_SIZE(areas)];
	const struct allocate_place after[] = { { 0, 10 }, { 2, 0 } };
	struct allocate_wish wish = { .extents = 13, .stripes = 1, .after = after, .tags = &tags };
	struct allocate_result result;

	memcpy(left, areas, sizeof(areas));
	wish.policy = ALLOCATE_CLING;
	CU_ASSERT_EQUAL_FATAL(allocate_extents(left, 4, &wish, &result), 0);
	CU_ASSERT(result.count == 2 && result.places[0].pv == 1 && result.places[1].pv == 4);
	allocate_result_free(&result);
	memcpy(left, areas, sizeof(areas));
	wish.extents = 14;
	CU_ASSERT_EQUAL(allocate_extents(left, 4, &wish, &result), -ENOSPC);
	/* Who need not goes elsewhere then. */
	memcpy(left, areas, sizeof(areas));
	wish.policy = ALLOCATE_NORMAL;
	CU_ASSERT_EQUAL_FATAL(allocate_extents(left, 4, &wish, &result), 0);
	CU_ASSERT(result.count == 3 && result.places[2].pv == 2 && result.lengths[2] == 1);
	allocate_result_free(&result);
	/* Each stripe where it is at home. */
	memcpy(left, areas, sizeof(areas));
	wish = (struct allocate_wish){
		.extents = 12, .stripes = 2, .policy = ALLOCATE_CLING, .after = after, .tags = &tags
	};
	CU_ASSERT_EQUAL_FATAL(allocate_extents(left, 4, &wish, &result), 0);
	CU_ASSERT(result.count == 2 && result.lengths[0] == 4);
	CU_ASSERT(result.places[0].pv == 1 && result.places[1].pv == 2);
	CU_ASSERT(result.places[2].pv == 4 && result.places[3].pv == 2);
	allocate_result_free(&result);
}

static void test_stripes_are_kept_apart_by_tags(void)
{
	const struct allocate_tags tags = { .alike = alike };
	const struct allocate_free areas[] = { { 0, 0, 9 }, { 1, 0, 9 }, { 2, 0, 8 }, { 5, 0, 3 } };
	struct allocate_free left[ARRAY_SIZE(areas)];
	struct allocate_wish wish = { .extents = 16, .stripes = 2, .tags = &tags };
	struct allocate_result result;

	for (unsigned policy = ALLOCATE_NORMAL; policy <= ALLOCATE_ANYWHERE; policy++) {
		memcpy(left, areas, sizeof(areas));
		wish.policy = policy;
		CU_ASSERT_EQUAL_FATAL(allocate_extents(left, 4, &wish, &result), 0);
		CU_ASSERT(result.count == 1 && result.places[0].pv == 0 &&
			  result.places[1].pv == 2);
		allocate_result_free(&result);
	}
	/* Where the one has no room only who may does without. */
	wish.extents = 18;
	for (unsigned policy = ALLOCATE_NORMAL; policy <= ALLOCATE_ANYWHERE; policy++) {
		bool may = policy == ALLOCATE_NORMAL || policy == ALLOCATE_ANYWHERE;

		memcpy(left, areas, sizeof(areas));
		wish.policy = policy;
		CU_ASSERT_EQUAL(allocate_extents(left, 4, &wish, &result), may ? 0 : -ENOSPC);
		CU_ASSERT(!may || result.places[1].pv == 1);
		allocate_result_free(&result);
	}
}

static void test_contiguous_or_nothing(void)
{
	struct allocate_free areas[] = { { 0, 10, 5 }, { 1, 0, 50 } };
	struct allocate_place after = { .pv = 0, .extent = 10 };
	struct allocate_wish wish = { .extents = 51, .stripes = 1, .policy = ALLOCATE_CONTIGUOUS };
	struct allocate_result result;

	CU_ASSERT_EQUAL(allocate_extents(areas, 2, &wish, &result), -ENOSPC);
	wish.extents = 6;
	wish.after = &after;
	CU_ASSERT_EQUAL(allocate_extents(areas, 2, &wish, &result), -ENOSPC);
	wish.extents = 5;
	CU_ASSERT_EQUAL(allocate_extents(areas, 2, &wish, &result), 0);
	CU_ASSERT_EQUAL(result.count, 1);
	allocate_result_free(&result);
}

static void test_stripes_are_on_pvs_of_their_own(void)
{
	struct allocate_free areas[] = {
		{ 0, 0, 4 }, { 0, 20, 10 }, { 1, 0, 3 }, { 2, 5, 6 }, { 3, 0, 8 }
	};
	struct allocate_wish wish = { .extents = 24, .stripes = 3 };
	struct allocate_result result;

	CU_ASSERT_EQUAL_FATAL(allocate_extents(areas, 5, &wish, &result), 0);
	CU_ASSERT_EQUAL_FATAL(result.count, 2);
	CU_ASSERT(result.lengths[0] == 6 && result.lengths[1] == 2);
	/* PV 1 has least, and takes part only when PV 2 is full */
	CU_ASSERT(result.places[0].pv == 0 && result.places[0].extent == 20);
	CU_ASSERT(result.places[1].pv == 2 && result.places[2].pv == 3);
	CU_ASSERT(result.places[3].pv == 0 && result.places[4].pv == 1 && result.places[5].pv == 3);
	allocate_result_free(&result);
	wish.extents = 15;
	CU_ASSERT_EQUAL(allocate_extents(areas, 5, &wish, &result), -ENOSPC);
}

static void test_clinging_stays_on_its_pvs(void)
{
	struct allocate_free areas[] = { { 0, 0, 4 }, { 0, 20, 6 }, { 1, 0, 3 }, { 1, 9, 9 } };
	struct allocate_free again[ARRAY_SIZE(areas)];
	struct allocate_place after = { .pv = 0, .extent = 10 };
	struct allocate_wish wish = { .extents = 11, .stripes = 1, .policy = ALLOCATE_CLING };
	struct allocate_result result;

	memcpy(again, areas, sizeof(areas));
	/* a new one: on one PV that has room for all of it */
	CU_ASSERT_EQUAL_FATAL(allocate_extents(again, 4, &wish, &result), 0);
	CU_ASSERT_EQUAL_FATAL(result.count, 2);
	CU_ASSERT(result.places[0].pv == 1 && result.places[1].pv == 1);
	allocate_result_free(&result);
	/* one that grows: on the PV where it ends */
	wish.after = &after;
	wish.extents = 10;
	memcpy(again, areas, sizeof(areas));
	CU_ASSERT_EQUAL_FATAL(allocate_extents(again, 4, &wish, &result), 0);
	CU_ASSERT(result.places[0].pv == 0 && result.places[1].pv == 0);
	allocate_result_free(&result);
	wish.extents = 11;
	CU_ASSERT_EQUAL(allocate_extents(areas, 4, &wish, &result), -ENOSPC);
}

static void test_anywhere_stripes_share_a_pv(void)
{
	struct allocate_free areas[] = { { 0, 0, 4 }, { 0, 20, 10 } };
	struct allocate_wish wish = { .extents = 12, .stripes = 2 };
	struct allocate_result result;

	CU_ASSERT_EQUAL(allocate_extents(areas, 2, &wish, &result), -ENOSPC);
	wish.policy = ALLOCATE_ANYWHERE;
	CU_ASSERT_EQUAL_FATAL(allocate_extents(areas, 2, &wish, &result), 0);
	CU_ASSERT_EQUAL_FATAL(result.count, 2);
	CU_ASSERT(result.lengths[0] == 5 && result.lengths[1] == 1);
	CU_ASSERT(result.places[0].extent == 20 && result.places[1].extent == 25);
	allocate_result_free(&result);
}

/* Whatever is free and asked for: what comes out was free, is not given twice, and adds up. */
static void test_random_wishes(void)
{
	struct random random = { .state = 99 };

	for (int round = 0; round < 2000; round++) {
		struct allocate_free areas[16];
		uint8_t state[4][256] = { 0 }; /* 1: free, 2: given */
		struct allocate_wish wish = { .stripes = 1 + (unsigned)random_below(&random, 4) };
		struct allocate_result result;
		uint64_t sum = 0, total = 0;
		size_t count = 0;
		int r;

		for (unsigned pv = 0; pv < 4; pv++)
			for (uint32_t at = 0; at < 200 && count < 16; at += 60) {
				uint32_t length = (uint32_t)random_below(&random, 50);

				areas[count++] = (struct allocate_free){ pv, at, length };
				memset(&state[pv][at], 1, length);
				total += length;
			}
		wish.extents = (uint32_t)(1 + random_below(&random, 100)) * wish.stripes;
		wish.policy = (enum allocate_policy)random_below(&random, 4);
		r = allocate_extents(areas, count, &wish, &result);
		CU_ASSERT(r == 0 || r == -ENOSPC);
		if (wish.stripes == 1 &&
		    (wish.policy == ALLOCATE_NORMAL || wish.policy == ALLOCATE_ANYWHERE))
			CU_ASSERT_EQUAL(r == 0, wish.extents <= total);
		for (size_t i = 0; i < result.count; i++)
			for (unsigned k = 0; k < wish.stripes; k++)
				for (uint32_t e = 0; e < result.lengths[i]; e++) {
					struct allocate_place *place =
						&result.places[i * wish.stripes + k];

					CU_ASSERT_EQUAL(state[place->pv][place->extent + e], 1);
					state[place->pv][place->extent + e] = 2;
					sum++;
				}
		CU_ASSERT_EQUAL(sum, r ? 0 : wish.extents);
		allocate_result_free(&result);
	}
}

UNIT_MAIN("allocation", UNIT(test_growing_goes_on_where_it_is_alike),
	  UNIT(test_stripes_are_kept_apart_by_tags), UNIT(test_linear_takes_the_first_that_fits),
	  UNIT(test_linear_takes_large_areas_first), UNIT(test_growing_goes_on_behind_the_end),
	  UNIT(test_contiguous_or_nothing), UNIT(test_stripes_are_on_pvs_of_their_own),
	  UNIT(test_clinging_stays_on_its_pvs), UNIT(test_anywhere_stripes_share_a_pv),
	  UNIT(test_random_wishes))
