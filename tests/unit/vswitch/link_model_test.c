/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/link_model: each impairment against its formula, from seeds; and that draws do not disturb each other. */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/link_model.h"

#define MS      1000000ULL
#define PACKETS 200000u

static struct link_model model_of(const char *words)
{
	struct link_model model = { 0 };
	char copy[256], *rest = copy, *word;
	struct error error = { 0 };

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")))
		CU_ASSERT_EQUAL_FATAL(link_model_set(&model, word, &error), 0);
	CU_ASSERT_EQUAL_FATAL(link_model_check(&model, &error), 0);
	return model;
}

static struct link_way way_of(const char *words)
{
	struct link_model model = model_of(words);
	struct link_way way;

	link_way_start(&way, &model, "p", true);
	return way;
}

/* With so many packets the share that is met is within four standard deviations of `p`: wrong by chance once in 16,000 seeds, and
 * the seed is fixed. */
static bool is_share(uint64_t count, double p)
{
	return fabs((double)count / PACKETS - p) <= 4 * sqrt(p * (1 - p) / PACKETS);
}

static void run(struct link_way *way)
{
	struct link_fate fate;

	for (unsigned i = 0; i < PACKETS; i++)
		link_way_decide(way, i * MS, 1000, 0, false, &fate);
}

static void test_shares(void)
{
	struct link_way way =
		way_of("loss=0.5% duplicate=2% corrupt=0.01 reorder=25% delay=10ms seed=7");

	run(&way);
	CU_ASSERT_TRUE(is_share(way.counters.lost, 0.005));
	CU_ASSERT_TRUE(is_share(way.counters.duplicated, 0.995 * 0.02));
	CU_ASSERT_TRUE(is_share(way.counters.corrupted, 0.995 * 0.01));
	CU_ASSERT_TRUE(is_share(way.counters.reordered, 0.995 * 0.25));
	CU_ASSERT_EQUAL(way.counters.offered, PACKETS);
	way = way_of("loss=100% seed=7");
	run(&way);
	CU_ASSERT_EQUAL(way.counters.lost, PACKETS);
	way = way_of("loss=0% delay=1ms seed=7");
	run(&way);
	CU_ASSERT_EQUAL(way.counters.lost, 0);
}

/* Loss, and how long it lasts: runs in the bad state are geometric with mean 1/R. */
static void test_two_states(void)
{
	const double p = 0.01, r = 0.2, h = 0.1, k = 0.999;
	double bad = p / (p + r), loss = bad * (1 - h) + (1 - bad) * (1 - k);
	struct link_way way = way_of("loss=gemodel,1%,20%,10%,99.9% seed=3");
	unsigned in_bad = 0, runs = 0;
	struct link_fate fate;
	bool before = false;

	for (unsigned i = 0; i < PACKETS; i++) {
		link_way_decide(&way, 0, 100, 0, false, &fate);
		in_bad += way.bad;
		runs += way.bad && !before;
		before = way.bad;
	}
	/* Packets of one run are not independent: the deviation of the share is wider by (2 - p - r) / (p + r). */
	CU_ASSERT_TRUE(fabs((double)way.counters.lost / PACKETS - loss) <
		       4 * sqrt(loss * (1 - loss) / PACKETS * (2 - p - r) / (p + r)));
	CU_ASSERT_TRUE(fabs((double)in_bad / runs * r - 1) < 4 / sqrt(runs));
	CU_ASSERT_TRUE(fabs((double)runs / PACKETS / ((1 - bad) * p) - 1) < 4 / sqrt(runs));
}

static void test_loss_of_a_list(void)
{
	struct link_way way = way_of("loss=list,3,7-9,20");
	struct link_fate fate;
	char got[32] = "";

	for (unsigned i = 1; i <= 25; i++) {
		link_way_decide(&way, 0, 100, 0, false, &fate);
		strcat(got, fate.copies ? "." : "x");
	}
	CU_ASSERT_STRING_EQUAL(got, "..x...xxx..........x.....");
}

/* A run is repeated where its seed is said again; other words leave packets their numbers. */
static void test_a_seed_begins_anew(void)
{
	static const struct {
		const char *word, *fates;
	} said[] = { { "seed=7", "..x..." },
		     { "loss=list,3", "......" },
		     { "seed=7", "..x..." },
		     { "delay=1ms", "......" } };
	struct link_way way = way_of("loss=list,3");

	for (unsigned i = 0; i < ARRAY_SIZE(said); i++) {
		struct link_model model = way.model;
		struct link_fate fate;
		char got[8] = "";

		CU_ASSERT_EQUAL_FATAL(link_model_set(&model, said[i].word, NULL), 0);
		link_way_change(&way, &model, "x", false, 0);
		while (strlen(got) < 6) {
			link_way_decide(&way, 0, 100, 0, false, &fate);
			strcat(got, fate.copies ? "." : "x");
		}
		CU_ASSERT_STRING_EQUAL(got, said[i].fates);
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double uniform_cdf(double x)
{
	return (x + 1) / 2;
}

static double normal_cdf(double x)
{
	return erfc(-x / sqrt(2)) / 2;
}

static double pareto_cdf(double x)
{
	return 1 - pow(x * sqrt(0.75) + 1.5, -3);
}

/* Kolmogorov and Smirnov: the greatest distance between what was drawn and the distribution is under 1.95/sqrt(n) for
 * 999 seeds of 1,000. */
static void test_shapes_of_jitter(void)
{
	static const struct {
		const char *words;
		double (*cdf)(double x);
	} cases[] = { { "delay=100ms jitter=10ms seed=5", uniform_cdf },
		      { "delay=100ms jitter=10ms,normal seed=5", normal_cdf },
		      { "delay=100ms jitter=10ms,pareto seed=5", pareto_cdf } };
	uint64_t *delays = calloc(PACKETS, sizeof(*delays));

	for (size_t each = 0; each < ARRAY_SIZE(cases); each++) {
		struct link_way way = way_of(cases[each].words);
		double distance = 0;

		for (unsigned i = 0; i < PACKETS; i++) {
			struct link_fate fate;

			link_way_decide(&way, i * MS, 100, 0, false, &fate);
			delays[i] = fate.due[0] - i * MS;
		}
		qsort(delays, PACKETS, sizeof(*delays), by_size);
		for (unsigned i = 0; i < PACKETS; i++) {
			double expected = cases[each].cdf(((double)delays[i] - 100e6) / 10e6);

			distance = fmax(distance, fabs(expected - (i + 0.5) / PACKETS));
		}
		CU_ASSERT_TRUE(distance < 1.95 / sqrt(PACKETS));
	}
	free(delays);
}

static void test_delay_is_exact(void)
{
	struct link_way way = way_of("delay=20ms seed=1");

	for (unsigned i = 0; i < 1000; i++) {
		struct link_fate fate;

		link_way_decide(&way, i * 7777, 100, 0, false, &fate);
		CU_ASSERT_EQUAL(fate.copies, 1);
		CU_ASSERT_EQUAL(fate.due[0], i * 7777 + 20 * MS);
	}
}

/* 1000 bytes at 8 Mbit/s are a millisecond each; 100 ms may wait. */
static void test_rate_and_queue(void)
{
	struct link_way way = way_of("rate=8M queue=100ms delay=5ms");
	struct link_fate fate;

	for (unsigned i = 0; i < 300; i++) {
		link_way_decide(&way, 0, 1000, 0, false, &fate);
		CU_ASSERT_EQUAL(fate.copies, i <= 100);
		if (fate.copies)
			CU_ASSERT_EQUAL(fate.due[0], (i + 1) * MS + 5 * MS);
	}
	CU_ASSERT_EQUAL(way.counters.queue_full, 199);
	CU_ASSERT_EQUAL(way.counters.lost, 0);
	/* When the wire is free again nothing is owed. */
	link_way_decide(&way, 1000 * MS, 500, 0, false, &fate);
	CU_ASSERT_EQUAL(fate.due[0], 1000 * MS + MS / 2 + 5 * MS);
	way = way_of("rate=8M queue=10p");
	for (unsigned i = 0; i < 30; i++)
		link_way_decide(&way, 0, 1000, i, false, &fate);
	CU_ASSERT_EQUAL(way.counters.queue_full, 20);
}

/* What one parameter draws is drawn whatever the others are; another seed, link or way draws otherwise. */
static void test_draws_are_apart(void)
{
	struct link_model model = model_of("loss=10% seed=9"), other = model_of("loss=10% seed=10");
	struct link_way plain,
		more = way_of("loss=10% seed=9 duplicate=30% corrupt=20% delay=1ms jitter=1ms"),
		link, way, seed;
	unsigned same[4] = { 0 };

	link_way_start(&plain, &model, "p", true);
	link_way_start(&link, &model, "q", true);
	link_way_start(&way, &model, "p", false);
	link_way_start(&seed, &other, "p", true);
	for (unsigned i = 0; i < 10000; i++) {
		struct link_way *ways[4] = { &more, &link, &way, &seed };
		struct link_fate fate, against;

		link_way_decide(&plain, i, 100, 0, false, &fate);
		for (unsigned k = 0; k < 4; k++) {
			link_way_decide(ways[k], i, 100, 0, false, &against);
			same[k] += !fate.copies && !against.copies;
		}
	}
	CU_ASSERT_EQUAL(same[0], plain.counters.lost);
	for (unsigned k = 1; k < 4; k++)
		CU_ASSERT_TRUE(same[k] < 200); /* 100 by chance */
	/* For ever: what a seed gives is written down in people's tests. */
	CU_ASSERT_EQUAL(plain.counters.lost, 1027);
}

static void test_bits_are_all_hit(void)
{
	struct link_way way = way_of("corrupt=100% seed=2");
	unsigned hits[64 * 8] = { 0 }, least = PACKETS;
	struct link_fate fate;

	for (unsigned i = 0; i < PACKETS; i++) {
		link_way_decide(&way, 0, 64, 0, false, &fate);
		CU_ASSERT_TRUE_FATAL(fate.corrupt_bit >= 0 && fate.corrupt_bit < 64 * 8);
		hits[fate.corrupt_bit]++;
	}
	for (unsigned i = 0; i < 64 * 8; i++)
		least = MIN(least, hits[i]);
	CU_ASSERT_TRUE(least > PACKETS / 512 - 5 * 20); /* five standard deviations */
}

static void test_words(void)
{
	static const char *const good[] = {
		"delay=20ms jitter=2ms,normal",
		"delay=1s jitter=1500us keep-order=yes",
		"loss=0.5% duplicate=1% corrupt=0.001%",
		"loss=gemodel,1%,20%,0%,100%",
		"loss=list,3,7-9",
		"delay=1ns reorder=25%",
		"loss=1.08420217e-17%",
		"rate=50000000 queue=100ms",
		"rate=1000 queue=1000p seed=18446744073709551615",
		"",
	};
	static const char *const bad[] = {
		"delay=20",       "delay=-1ms",  "delay=2h",     "delay=nan",      "delay=0x5ms",
		"jitter=1ms,odd", "loss=101%",   "loss=-1%",     "loss=gemodel,5", "loss=list,0",
		"loss=list,9-7",  "loss=list,",  "rate=0",       "rate=50X",       "queue=0p",
		"queue=5",        "seed=-1",     "seed=x",       "keep-order=1",   "colour=red",
		"delay",          "delays=1ms",  "delay=",       "loss=",          "rate=",
		"seed=",          "queue=1.5p",  "delay=0.1ns",  "jitter=1e-30s",  "loss=1e-25",
		"delay=61m",      "rate=10T",    "rate=1e14",    "rate=inf",       "burst=1e13",
		"queue=1e7p",     "queue=0.1ns", "delay=1e999ms"
	};
	struct link_model model = model_of("delay=3ms"), before = model;
	struct error error = { 0 };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(link_model_set(&model, bad[i], &error), -EINVAL);
	CU_ASSERT_EQUAL(memcmp(&model, &before, sizeof(model)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		model = good[i][0] ? model_of(good[i]) : (struct link_model){ 0 };
		link_model_describe(&model, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, good[i]);
		CU_ASSERT_EQUAL(link_model_is_bad(&model), good[i][0] != '\0');
	}
	model = model_of("delay=3ms loss=5% jitter=1ms delay=none loss=none jitter=none");
	CU_ASSERT_FALSE(link_model_is_bad(&model));
	model = (struct link_model){ .reorder = 1 };
	CU_ASSERT_EQUAL(link_model_check(&model, &error), -EINVAL);
	model = (struct link_model){ .queue_ns = 1 };
	CU_ASSERT_EQUAL(link_model_check(&model, &error), -EINVAL);
}

/* What would be lost is marked, where its ends understand that; beyond twice the queue nothing helps. */
static void test_marks(void)
{
	struct link_model model = { 0 };
	struct error error = { 0 };
	unsigned marks = 0, dropped = 0;
	struct link_fate fate;
	struct link_way way;

	CU_ASSERT_EQUAL(link_model_set(&model, "ecn=yes", &error), 0);
	CU_ASSERT_EQUAL(link_model_check(&model, &error), -EINVAL);
	CU_ASSERT_EQUAL(link_model_set(&model, "loss=list=2,5", &error), 0);
	CU_ASSERT_EQUAL(link_model_check(&model, &error), 0);
	link_way_start(&way, &model, "p", true);
	for (unsigned i = 1; i <= 6; i++) {
		link_way_decide(&way, 0, 1000, 0, i < 4, &fate);
		CU_ASSERT_EQUAL(fate.mark, i == 2);
		CU_ASSERT_EQUAL(fate.copies, i != 5);
	}
	CU_ASSERT_EQUAL(way.counters.marked, 1);
	CU_ASSERT_EQUAL(way.counters.lost, 1);
	/* 1 ms a packet, of which ten and one may wait. */
	model = (struct link_model){ .ecn = true, .rate = 8000000, .queue_ns = 10 * MS };
	link_way_start(&way, &model, "p", true);
	for (unsigned i = 0; i < 30; i++) {
		link_way_decide(&way, 0, 1000, 0, true, &fate);
		CU_ASSERT_EQUAL(fate.mark && fate.copies, i > 10 && i <= 20);
		marks += fate.mark && fate.copies;
		dropped += !fate.copies;
	}
	CU_ASSERT_EQUAL(way.counters.marked, marks);
	CU_ASSERT_EQUAL(way.counters.queue_full, dropped);
	CU_ASSERT_EQUAL(dropped, 9);
}

/* Nothing passes what waits for twice the queue, nor the last that had room, whatever the wire is then. */
static void test_changes_of_a_full_queue(void)
{
	const struct link_model old = { .ecn = true, .rate = 8000000, .queue_ns = 10 * MS };
	const struct link_model changes[] = {
		{ .rate = 80000000, .queue_ns = 10 * MS },
		{ .rate = 8000000, .burst = 80000, .queue_ns = 10 * MS },
		{ .delay_ns = 1 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct link_fate fate;
		struct link_way way;
		uint64_t last = 0;

		link_way_start(&way, &old, "p", true);
		for (unsigned k = 0; k < 30; k++) {
			link_way_decide(&way, 0, 1000, 0, true, &fate);
			last = fate.copies ? fate.due[0] : last;
		}
		CU_ASSERT_EQUAL(last, 21 * MS);
		link_way_change(&way, &changes[i], "p", true, 0);
		link_way_decide(&way, 0, 100, 0, true, &fate);
		CU_ASSERT_EQUAL(fate.copies, 1);
		CU_ASSERT_TRUE(fate.due[0] >= last);
	}
}

UNIT_MAIN("link_model", UNIT(test_shares), UNIT(test_two_states), UNIT(test_loss_of_a_list),
	  UNIT(test_a_seed_begins_anew), UNIT(test_shapes_of_jitter), UNIT(test_delay_is_exact),
	  UNIT(test_rate_and_queue), UNIT(test_draws_are_apart), UNIT(test_bits_are_all_hit),
	  UNIT(test_words), UNIT(test_marks), UNIT(test_changes_of_a_full_queue))
