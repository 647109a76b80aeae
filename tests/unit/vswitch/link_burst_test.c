/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/link_model: a rate with a burst is a token bucket that delays; against one that counts bits. */
#include "unit.h"

#include <errno.h>

#include "util/random.h"
#include "vswitch/link_model.h"

#define RATE   8000000u /* bits a second: a byte takes a microsecond */
#define BURST  80000u   /* bits: 10,000 bytes, 10 ms */
#define MS     1000000ULL
#define SECOND 1000000000ULL

static uint64_t sent_at(struct link_way *way, uint64_t now, size_t length)
{
	struct link_fate fate;

	link_way_decide(way, now, length, 0, false, &fate);
	return fate.copies ? fate.due[0] : 0;
}

static void start(struct link_way *way, uint64_t burst, uint64_t queue_ns)
{
	const struct link_model model = { .rate = RATE, .burst = burst, .queue_ns = queue_ns };

	link_way_start(way, &model, "l", true);
}

static void test_a_burst_goes_at_once(void)
{
	struct link_way way;

	start(&way, BURST, 0);
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(sent_at(&way, SECOND, 1000), SECOND);
	CU_ASSERT_EQUAL(sent_at(&way, SECOND, 1000), SECOND + 1 * MS);
	CU_ASSERT_EQUAL(sent_at(&way, SECOND, 500), SECOND + 1 * MS + MS / 2);
	/* A pause fills it as far as it goes. */
	CU_ASSERT_EQUAL(sent_at(&way, SECOND + 6 * MS, 1000), SECOND + 6 * MS);
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(sent_at(&way, 2 * SECOND, 1000), 2 * SECOND);
	CU_ASSERT_EQUAL(sent_at(&way, 2 * SECOND, 1000), 2 * SECOND + 1 * MS);
}

/* One that takes centuries to fill again is a long one, not a short one. */
static void test_a_burst_of_ages(void)
{
	const struct link_model model = { .rate = 1, .burst = 18446744074, .queue_ns = MS };
	struct link_way way;

	link_way_start(&way, &model, "l", true);
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(sent_at(&way, SECOND, 1000), SECOND);
}

/* Without one each packet takes its time, as before. */
static void test_no_burst(void)
{
	struct link_way way;

	start(&way, 0, 0);
	CU_ASSERT_EQUAL(sent_at(&way, SECOND, 1000), SECOND + 1 * MS);
	CU_ASSERT_EQUAL(sent_at(&way, SECOND, 1000), SECOND + 2 * MS);
}

/* In no window is there more than rate and burst; what waits longer than the queue is dropped. */
static void test_rate_is_kept(void)
{
	uint64_t state = 7;
	struct link_way way;
	uint64_t now = SECOND, last = 0;
	double tokens = BURST;
	uint64_t filled = SECOND;
	unsigned full = 0;

	start(&way, BURST, 20 * MS);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t draw = random_mix(state += 0x9e3779b97f4a7c15ULL);
		size_t length = 60 + draw % 1441;
		uint64_t sent;

		now += draw >> 32 & 0xfffff; /* up to 1.05 ms: half of them more than the rate */
		sent = sent_at(&way, now, length);
		if (!sent) {
			full++;
			continue;
		}
		CU_ASSERT(sent >= now && sent >= last);
		/* It waits for its turn no longer than the queue is, and is then sent. */
		CU_ASSERT(sent - now <= 20 * MS + length * 1000);
		tokens += (double)(sent - filled) * RATE / SECOND;
		tokens = tokens < BURST ? tokens : BURST;
		tokens -= (double)length * 8;
		CU_ASSERT(tokens > -1);
		filled = last = sent;
	}
	CU_ASSERT(full > 1000);
	CU_ASSERT_EQUAL(way.counters.queue_full, full);
}

static void test_words(void)
{
	struct link_model model = { 0 };
	char text[256];

	CU_ASSERT_EQUAL(link_model_set(&model, "burst=64k", NULL), 0);
	CU_ASSERT_EQUAL(link_model_check(&model, NULL), -EINVAL);
	CU_ASSERT_EQUAL(link_model_set(&model, "rate=50mbit", NULL), 0);
	CU_ASSERT_EQUAL(link_model_check(&model, NULL), 0);
	link_model_describe(&model, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "rate=50000000 burst=64000");
	CU_ASSERT_EQUAL(link_model_set(&model, "burst=0", NULL), -EINVAL);
	CU_ASSERT_EQUAL(link_model_set(&model, "burst=none", NULL), 0);
	CU_ASSERT_EQUAL(model.burst, 0);
}

UNIT_MAIN("a rate with a burst", UNIT(test_a_burst_goes_at_once), UNIT(test_a_burst_of_ages),
	  UNIT(test_no_burst), UNIT(test_rate_is_kept), UNIT(test_words))
