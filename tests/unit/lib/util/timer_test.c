/* SPDX-License-Identifier: BSD-2-Clause */
/* util/timer: order, moving, taking out; against a plain array. */
#include "unit.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/random.h"
#include "util/timer.h"

#define TIMERS 300

struct alarm {
	struct timer timer;
	struct lab *lab;
	unsigned number;
};

struct lab {
	struct timer_heap heap;
	struct alarm alarms[TIMERS];
	unsigned rung[4 * TIMERS], count;
	bool again; /* each one arms itself once more, 5 later */
};

static void rings(struct timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);
	struct lab *lab = alarm->lab;

	lab->rung[lab->count++] = alarm->number;
	if (lab->again)
		timer_arm(&lab->heap, timer, timer->when + 5);
}

static struct lab *make_lab(void)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	for (unsigned i = 0; i < TIMERS; i++)
		lab->alarms[i] = (struct alarm){ .timer.expire = rings, .lab = lab, .number = i };
	return lab;
}

static void end_lab(struct lab *lab)
{
	timer_heap_destroy(&lab->heap);
	free(lab);
}

static void test_equal_times_in_the_order_of_arming(void)
{
	struct lab *lab = make_lab();

	CU_ASSERT_EQUAL(timer_next(&lab->heap), TIMER_NEVER);
	for (unsigned i = 0; i < 100; i++)
		timer_arm(&lab->heap, &lab->alarms[99 - i].timer, 7);
	timer_arm(&lab->heap, &lab->alarms[100].timer, 6);
	CU_ASSERT_EQUAL(timer_next(&lab->heap), 6);
	CU_ASSERT_EQUAL(timer_expire(&lab->heap, 5), 0);
	CU_ASSERT_EQUAL(timer_expire(&lab->heap, 7), 101);
	CU_ASSERT_EQUAL(lab->rung[0], 100);
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(lab->rung[1 + i], 99 - i);
	end_lab(lab);
}

/* One that is armed moves, and is there once. */
static void test_arming_again_moves(void)
{
	struct lab *lab = make_lab();

	timer_arm(&lab->heap, &lab->alarms[0].timer, 10);
	timer_arm(&lab->heap, &lab->alarms[1].timer, 11);
	timer_arm(&lab->heap, &lab->alarms[0].timer, 12);
	timer_disarm(&lab->heap, &lab->alarms[2].timer);
	CU_ASSERT_EQUAL(timer_expire(&lab->heap, 100), 2);
	CU_ASSERT_EQUAL(lab->rung[0], 1);
	CU_ASSERT_EQUAL(lab->rung[1], 0);
	end_lab(lab);
}

/* What arms itself while it expires comes again when it is due, and not before. */
static void test_arming_where_it_expires(void)
{
	struct lab *lab = make_lab();

	lab->again = true;
	timer_arm(&lab->heap, &lab->alarms[0].timer, 10);
	CU_ASSERT_EQUAL(timer_expire(&lab->heap, 14), 1);
	CU_ASSERT_EQUAL(timer_next(&lab->heap), 15);
	CU_ASSERT_EQUAL(timer_expire(&lab->heap, 20), 2);
	end_lab(lab);
}

static void test_against_an_array(void)
{
	struct lab *lab = make_lab();
	uint64_t due[TIMERS], now = 0;
	struct random random = { 9 };

	for (unsigned i = 0; i < TIMERS; i++)
		due[i] = TIMER_NEVER;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned at = (unsigned)random_below(&random, TIMERS), expected = 0;
		uint64_t next = TIMER_NEVER;

		if (random_below(&random, 3)) {
			due[at] = now + random_below(&random, 1000);
			timer_arm(&lab->heap, &lab->alarms[at].timer, due[at]);
		} else {
			due[at] = TIMER_NEVER;
			timer_disarm(&lab->heap, &lab->alarms[at].timer);
		}
		now += random_below(&random, 5);
		lab->count = 0;
		for (unsigned i = 0; i < TIMERS; i++) {
			expected += due[i] <= now;
			if (due[i] > now)
				next = MIN(next, due[i]);
		}
		CU_ASSERT_EQUAL_FATAL(timer_expire(&lab->heap, now), expected);
		for (unsigned i = 0; i < lab->count; i++) {
			CU_ASSERT_TRUE_FATAL(due[lab->rung[i]] <= now);
			CU_ASSERT_TRUE_FATAL(!i || due[lab->rung[i - 1]] <= due[lab->rung[i]]);
		}
		for (unsigned i = 0; i < lab->count; i++)
			due[lab->rung[i]] = TIMER_NEVER;
		CU_ASSERT_EQUAL_FATAL(timer_next(&lab->heap), next);
	}
	end_lab(lab);
}

UNIT_MAIN("timer", UNIT(test_equal_times_in_the_order_of_arming), UNIT(test_arming_again_moves),
	  UNIT(test_arming_where_it_expires), UNIT(test_against_an_array))
