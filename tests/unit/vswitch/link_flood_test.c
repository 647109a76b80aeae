/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: a bad link on which much waits, and what that costs the others of its thread. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "vswitch/internal.h"
#include "vswitch/link_queue.h"
#include "vswitch/port_link.h"

#define A     0x0200000000a1ULL
#define B     0x0200000000b1ULL
#define MS    1000000ULL
#define MANY  20000u
#define STEPS 2000u /* in a round */

/* Of all links: enough for MANY on one way. */
#define MEMORY (16u << 20)
#define LENGTH 1500u
#define EACH   (LENGTH + LINK_QUEUE_FRAME)

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

struct lab {
	uint64_t clock;
	struct vswitch *vswitch;
	struct fake_port *a, *b;
};

static void start(struct lab *lab)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = &lab->clock, .link_memory = MEMORY
	};

	lab->clock = 1000 * MS;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	lab->a = fake_port_add(lab->vswitch, "a", 0);
	lab->b = fake_port_add(lab->vswitch, "b", 0);
}

static void bad(struct lab *lab, const char *port, unsigned ways, const char *words)
{
	struct link_model model = { 0 };
	char copy[128], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")) && *word)
		CU_ASSERT_EQUAL_FATAL(link_model_set(&model, word, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(lab->vswitch, port, ways, &model, NULL), 0);
}

static const struct link_counters *counters_of(const struct lab *lab, const char *port,
					       enum link_direction way)
{
	return &port_link_way(vswitch_find_port(lab->vswitch, port), way)->counters;
}

/* All is due at once, and goes in steps, between which others have their turns. */
static void test_what_is_due_at_once_goes_in_steps(void)
{
	static const char *const ways[] = { "delay=10ms", "delay=10ms jitter=5ms,normal",
					    "rate=1 queue=1000000p",
					    "rate=1k queue=1000000p jitter=1ms" };

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct link_counters *counters;
		uint64_t before = 0, most = 0;
		struct lab lab;

		start(&lab);
		bad(&lab, "b", LINK_OUT, ways[i]);
		for (unsigned k = 0; k < MANY;) {
			for (unsigned n = 0; n < FAKE_PORT_FRAMES && k < MANY; n++, k++)
				fake_port_put_frame(lab.a, B, A, 60);
			while (lab.a->in_next < lab.a->in_count)
				vswitch_round(lab.vswitch);
		}
		counters = counters_of(&lab, "b", LINK_OUT);
		CU_ASSERT_EQUAL(counters->offered, MANY);
		CU_ASSERT_EQUAL(counters->queue_full, 0);
		before = counters->delivered;
		bad(&lab, "b", LINK_OUT, "");
		lab.clock += 1000 * MS;
		while (vswitch_round(lab.vswitch)) {
			most = MAX(most, counters->delivered - before);
			before = counters->delivered;
			fake_port_clear(lab.b);
		}
		CU_ASSERT_EQUAL(counters->delivered, MANY);
		CU_ASSERT_TRUE(most <= STEPS);
		vswitch_destroy(lab.vswitch);
	}
}

#define SENDERS 16u

/* Many ports send more in each round than goes at once where nothing comes: what waits becomes less all the same, and ends. */
static void test_as_many_as_come_always_go(void)
{
	const struct link_counters *counters;
	struct fake_port *from[SENDERS];
	unsigned rounds = 0;
	struct lab lab;
	uint64_t before;

	start(&lab);
	for (unsigned i = 0; i < SENDERS; i++) {
		char name[] = { 'f', (char)('a' + i), 0 };

		from[i] = fake_port_add(lab.vswitch, name, 0);
	}
	fake_port_put_frame(lab.b, A, B, 60);
	vswitch_round(lab.vswitch);
	bad(&lab, "b", LINK_OUT, "delay=1s");
	counters = counters_of(&lab, "b", LINK_OUT);
	for (unsigned i = 0; i < MANY / PORT_BURST; i++) {
		for (unsigned k = 0; k < PORT_BURST; k++)
			fake_port_put_frame(lab.a, B, A, 60);
		while (lab.a->in_next < lab.a->in_count)
			vswitch_round(lab.vswitch);
	}
	before = counters->offered;
	bad(&lab, "b", LINK_OUT, "");
	lab.clock += 1000 * MS;
	while (counters->delivered < counters->offered && rounds++ < 100) {
		for (unsigned i = 0; i < SENDERS; i++)
			for (unsigned k = from[i]->in_count - from[i]->in_next; k < PORT_BURST; k++)
				fake_port_put_frame(from[i], B, A + 0x100 + i, 60);
		vswitch_round(lab.vswitch);
		fake_port_clear(lab.b);
	}
	CU_ASSERT_TRUE(counters->offered - before > 256 * rounds);
	CU_ASSERT_EQUAL(counters->delivered, counters->offered);
	CU_ASSERT_EQUAL(counters->queue_full, 0);
	vswitch_destroy(lab.vswitch);
}

static void flood(struct lab *lab, struct fake_port *from, unsigned count)
{
	while (count) {
		for (unsigned n = 0; n < FAKE_PORT_FRAMES && count; n++, count--)
			fake_port_put_frame(from, B, A, LENGTH);
		while (from->in_next < from->in_count)
			vswitch_round(lab->vswitch);
	}
}

/* One way is full, and the others have as much room as before: theirs is theirs. */
static void test_what_a_link_holds_costs_no_other(void)
{
	const unsigned fit = MEMORY / 2 / EACH; /* two ways */
	struct lab lab;

	start(&lab);
	bad(&lab, "a", LINK_IN, "delay=10s");
	bad(&lab, "b", LINK_IN, "delay=10s");
	flood(&lab, lab.a, 2 * fit);
	CU_ASSERT_EQUAL(counters_of(&lab, "a", LINK_IN)->offered, 2 * fit);
	CU_ASSERT_TRUE(counters_of(&lab, "a", LINK_IN)->queue_full - fit <= 1);
	flood(&lab, lab.b, fit - 1);
	CU_ASSERT_EQUAL(counters_of(&lab, "b", LINK_IN)->queue_full, 0);
	/* It is the other's when it is gone. */
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "a", NULL), 0);
	flood(&lab, lab.b, fit - 1);
	CU_ASSERT_EQUAL(counters_of(&lab, "b", LINK_IN)->queue_full, 0);
	flood(&lab, lab.b, fit);
	CU_ASSERT_TRUE(counters_of(&lab, "b", LINK_IN)->queue_full > 0);
	vswitch_destroy(lab.vswitch);
}

/* The ways that are perfect, and hold nothing, have no part. */
static void test_what_is_perfect_takes_no_room(void)
{
	const unsigned fit = MEMORY / EACH;
	struct lab lab;

	start(&lab);
	bad(&lab, "a", LINK_IN | LINK_OUT, "delay=10s");
	bad(&lab, "a", LINK_IN | LINK_OUT, "");
	bad(&lab, "b", LINK_IN, "delay=10s");
	flood(&lab, lab.b, fit - 1);
	CU_ASSERT_EQUAL(counters_of(&lab, "b", LINK_IN)->queue_full, 0);
	flood(&lab, lab.b, 2);
	CU_ASSERT_TRUE(counters_of(&lab, "b", LINK_IN)->queue_full > 0);
	/* Perfect or not, it still holds all that. */
	bad(&lab, "b", LINK_IN, "");
	bad(&lab, "a", LINK_IN, "delay=10s");
	flood(&lab, lab.a, fit);
	CU_ASSERT_TRUE(counters_of(&lab, "a", LINK_IN)->queue_full >= fit / 2);
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("floods of links", UNIT(test_what_is_due_at_once_goes_in_steps),
	  UNIT(test_as_many_as_come_always_go), UNIT(test_what_a_link_holds_costs_no_other),
	  UNIT(test_what_is_perfect_takes_no_room))
