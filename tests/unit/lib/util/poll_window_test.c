/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/poll_window: what pauses teach about polling. */
#include "unit.h"

#include "util/poll_window.h"

#define US 1000u

static void learn(struct poll_window *polling, unsigned times, uint64_t pause, uint64_t worth)
{
	while (times--)
		poll_window_learn(polling, pause, worth);
}

static void test_short_pauses_are_polled_for(void)
{
	struct poll_window polling = { .most = 100 * US };

	CU_ASSERT_EQUAL(poll_window_now(&polling), 0);
	learn(&polling, 1, 30 * US, UINT64_MAX);
	CU_ASSERT_EQUAL(poll_window_now(&polling), POLL_WINDOW_FIRST);
	learn(&polling, 3, 30 * US, UINT64_MAX);
	CU_ASSERT(poll_window_now(&polling) >= 30 * US);
	learn(&polling, 100, 99 * US, UINT64_MAX);
	CU_ASSERT_EQUAL(poll_window_now(&polling), 100 * US);
	learn(&polling, 20, 1000 * US, UINT64_MAX);
	CU_ASSERT_EQUAL(poll_window_now(&polling), 0);
}

/* One pause of many is long when a guest thinks for a moment: it goes on being polled. */
static void test_one_long_pause_is_forgiven(void)
{
	struct poll_window polling = { .most = 100 * US };

	learn(&polling, 100, 90 * US, UINT64_MAX);
	learn(&polling, 1, 1000 * US, UINT64_MAX);
	learn(&polling, 2, 10 * US, UINT64_MAX);
	CU_ASSERT(poll_window_now(&polling) > 0);
}

/* The guest answers soon, and then waits for a disk: half of the pauses are not bridged. */
static void test_a_disk_between_short_pauses_is_not_polled_for(void)
{
	struct poll_window polling = { .most = 100 * US };
	unsigned polled = 0;

	for (unsigned i = 0; i < 1000; i++) {
		learn(&polling, 1, 40 * US, UINT64_MAX);
		polled += poll_window_now(&polling) > 0;
		learn(&polling, 1, 400 * US, UINT64_MAX);
		polled += poll_window_now(&polling) > 0;
	}
	CU_ASSERT(polled < 10);
	/* The same where the disk is quicker than one would poll for a guest, but polling for it does not pay. */
	polling = (struct poll_window){ .most = 100 * US };
	polled = 0;
	for (unsigned i = 0; i < 1000; i++) {
		learn(&polling, 1, 40 * US, UINT64_MAX);
		polled += poll_window_now(&polling) > 0;
		learn(&polling, 1, 60 * US, 15 * US);
		polled += poll_window_now(&polling) > 0;
	}
	CU_ASSERT(polled < 10);
	/* And it comes back when that ends. */
	learn(&polling, 20, 40 * US, UINT64_MAX);
	CU_ASSERT(poll_window_now(&polling) >= 40 * US);
}

static void test_zero_never_polls(void)
{
	struct poll_window polling = { .most = 0 };

	learn(&polling, 100, 1, UINT64_MAX);
	CU_ASSERT_EQUAL(poll_window_now(&polling), 0);
	learn(&polling, 100, 0, UINT64_MAX);
	CU_ASSERT_EQUAL(poll_window_now(&polling), 0);
}

UNIT_MAIN("poll window", UNIT(test_short_pauses_are_polled_for),
	  UNIT(test_one_long_pause_is_forgiven),
	  UNIT(test_a_disk_between_short_pauses_is_not_polled_for), UNIT(test_zero_never_polls))
