/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: the share of a thread's time that the messages of a peer get. */
#include "unit.h"

#include "util/bytes.h"
#include "util/random.h"
#include "util/control_share.h"

#define MS 1000000ull

static void test_a_credit_at_once_and_a_rest_after_it(void)
{
	struct control_share share = { 0 };
	uint64_t now = 1000 * MS;

	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(control_share_use(&share, now, MS), 0);
	CU_ASSERT_EQUAL(control_share_use(&share, now, MS), 120 * MS);
	/* It may go on with half of the credit. */
	now += 120 * MS;
	CU_ASSERT_EQUAL(control_share_use(&share, now, 5 * MS), 0);
	CU_ASSERT_NOT_EQUAL(control_share_use(&share, now, 1), 0);
	/* Time makes up for all, and for no more. */
	now += 10000 * MS;
	CU_ASSERT_EQUAL(control_share_use(&share, now, 10 * MS), 0);
	CU_ASSERT_NOT_EQUAL(control_share_use(&share, now, 1), 0);
}

static void test_what_takes_long_is_not_paid_for_without_end(void)
{
	struct control_share share = { 0 };

	CU_ASSERT_EQUAL(control_share_use(&share, 5000 * MS, 60000 * MS), 300 * MS);
	CU_ASSERT_EQUAL(control_share_use(&share, 5300 * MS, 4 * MS), 0);
}

/* Whoever sends without end gets his part, and no more. */
static void test_in_the_long_run(void)
{
	struct random random = { 7 };
	struct control_share share = { 0 };
	const uint64_t began = 77 * MS;
	uint64_t now = began, used = 0;

	while (now < 100000 * MS) {
		uint64_t took = random_below(&random, MS), rest;

		used += took;
		now += took;
		rest = control_share_use(&share, now, took);
		now += rest;
	}
	CU_ASSERT_TRUE(used < (now - began) / CONTROL_SHARE_PARTS + 2 * CONTROL_SHARE_CREDIT);
	CU_ASSERT_TRUE(used > (now - began) / CONTROL_SHARE_PARTS / 2);
}

UNIT_MAIN("control_share", UNIT(test_a_credit_at_once_and_a_rest_after_it),
	  UNIT(test_what_takes_long_is_not_paid_for_without_end), UNIT(test_in_the_long_run))
