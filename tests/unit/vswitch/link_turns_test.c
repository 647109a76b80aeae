/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: who waits for a link's wire, as by looking at all. */
#include "unit.h"

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/link_turns.h"

#define COUNT 5000

static void test_as_by_looking_at_all(void)
{
	struct link_turns turns = { 0 };
	struct random random = { 7 };
	uint64_t sent[COUNT], now = 1000, last = 0;

	for (unsigned i = 0; i < COUNT; i++) {
		unsigned waiting = 0;

		now += random_below(&random, i / 1000 % 2 ? 20 : 5);
		last = MAX(last, now) + random_below(&random, 10);
		if (i % 997 == 996) {
			last = now;
			link_turns_restart(&turns);
			for (unsigned k = 0; k < i; k++)
				sent[k] = now;
		}
		sent[i] = last;
		link_turns_add(&turns, now, last);
		for (unsigned k = 0; k <= i; k++)
			waiting += sent[k] > now;
		CU_ASSERT_EQUAL_FATAL(link_turns_waiting(&turns, now), waiting);
	}
	CU_ASSERT_EQUAL(link_turns_waiting(&turns, last - 1), 1);
	CU_ASSERT_EQUAL(link_turns_waiting(&turns, last), 0);
	link_turns_clear(&turns);
}

UNIT_MAIN("link turns", UNIT(test_as_by_looking_at_all))
