/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/link_change: a link becomes another while packets are on their way: none is lost, none passes by where order was promised, and all
 * are counted. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "vswitch/link_change.h"
#include "vswitch/link_enter.h"

#define MS      1000000ULL
#define PACKETS 4000u

/* One way of a link, and what came out of it. */
struct lab {
	struct link_way way;
	struct link_queue queue;
	uint64_t now;
	uint32_t entered, arrived;
	uint32_t numbers[2 * PACKETS];
	uint64_t times[2 * PACKETS];
};

static struct link_trace *trace; /* 1500 bytes after two and after five milliseconds of five */

static void become(struct lab *lab, const char *words)
{
	struct link_model model = { 0 };
	char copy[256], *rest = copy, *word;
	struct error error = { 0 };

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")) && *word) {
		if (!strcmp(word, "trace")) {
			model.trace = trace;
		} else {
			CU_ASSERT_EQUAL_FATAL(link_model_set(&model, word, &error), 0);
		}
	}
	CU_ASSERT_EQUAL_FATAL(link_model_check(&model, &error), 0);
	link_change(&lab->way, &lab->queue, &model, "p", true, lab->now);
}

static struct lab *start(const char *words)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	CU_ASSERT_PTR_NOT_NULL_FATAL(lab);
	CU_ASSERT_EQUAL_FATAL(link_trace_read(&trace, "t", "2\n5\n", NULL), 0);
	become(lab, words);
	return lab;
}

static void end(struct lab *lab)
{
	become(lab, "");
	link_queue_clear(&lab->queue);
	CU_ASSERT_EQUAL(trace->references, 1);
	link_trace_drop(trace);
	free(lab);
}

static void put(struct lab *lab, size_t length)
{
	struct link_entrance entrance = { &lab->way, &lab->queue, lab->now, NULL };
	uint8_t bytes[1500] = { 2 };
	struct iovec piece = { bytes, length };
	struct frame frame = { .pieces = &piece, .count = 1, .length = (uint32_t)length };

	put_be32(bytes + 14, lab->entered++);
	link_enter(&entrance, &frame, 0);
}

static void run_until(struct lab *lab, uint64_t until)
{
	for (struct link_frame *frame; link_queue_due(&lab->queue) <= until; free(frame)) {
		lab->now = MAX(lab->now, link_queue_due(&lab->queue));
		frame = link_queue_pop(&lab->queue, lab->now);
		if (!frame)
			continue;
		link_way_delivered(&lab->way, frame->due, lab->now);
		CU_ASSERT_EQUAL(frame->due, lab->now);
		lab->numbers[lab->arrived] = get_be32(frame->bytes + 14);
		lab->times[lab->arrived++] = lab->now;
	}
	lab->now = MAX(lab->now, until);
}

/* All that came is one of these things, and nothing is left. */
static void check_counts(struct lab *lab)
{
	const struct link_counters *counters = &lab->way.counters;

	CU_ASSERT_EQUAL(counters->offered, lab->entered);
	CU_ASSERT_EQUAL(counters->delivered, lab->arrived);
	CU_ASSERT_EQUAL(counters->offered + counters->duplicated, counters->lost + counters->down +
									  counters->queue_full +
									  counters->delivered);
	CU_ASSERT_EQUAL(lab->queue.count, 0);
	CU_ASSERT_EQUAL(lab->queue.bytes, 0);
	CU_ASSERT_EQUAL(link_queue_waiting(&lab->queue, lab->now), 0);
}

/* When packets arrive of which ten of 1000 bytes came at once at 8 Mbit/s, 1.5 ms before the link became `words`. */
static struct lab *after_change(const char *words)
{
	struct lab *lab = start("rate=8M queue=1000p delay=10us");

	for (unsigned i = 0; i < 10; i++)
		put(lab, 1000);
	run_until(lab, 1500000);
	become(lab, words);
	return lab;
}

static void check_times(struct lab *lab, const uint64_t *us, unsigned count)
{
	run_until(lab, 1000000 * MS);
	CU_ASSERT_EQUAL_FATAL(lab->arrived, count);
	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(lab->numbers[i], i);
		CU_ASSERT_EQUAL(lab->times[i], us[i] * 1000);
	}
	check_counts(lab);
	end(lab);
}

#define CHECK_TIMES(lab, ...)                                                                      \
	do {                                                                                       \
		const uint64_t us[] = { __VA_ARGS__ };                                             \
		check_times(lab, us, ARRAY_SIZE(us));                                              \
	} while (0)

/* Those that wait go as the new wire can, with the delay that they have; the one on the wire by the faster of the two. */
static void test_who_waits_takes_its_turn_anew(void)
{
	struct lab *lab = after_change("rate=80M queue=1000p");

	put(lab, 1000);
	CHECK_TIMES(lab, 1010, 1610, 1710, 1810, 1910, 2010, 2110, 2210, 2310, 2410, 2500);
	lab = after_change("rate=800k queue=1000p");
	CHECK_TIMES(lab, 1010, 2010, 12010, 22010, 32010, 42010, 52010, 62010, 72010, 82010);
	lab = after_change("delay=10us");
	put(lab, 1000);
	CHECK_TIMES(lab, 1010, 1510, 1510, 1510, 1510, 1510, 1510, 1510, 1510, 1510, 1510);
}

/* A recorded rate begins with the change; a bucket is empty when something waits. */
static void test_other_wires(void)
{
	struct lab *lab = after_change("trace");

	CHECK_TIMES(lab, 1010, 2010, 6510, 6510, 8510, 11510, 11510, 13510, 16510, 16510);
	lab = after_change("rate=80M burst=80k");
	put(lab, 1000);
	CHECK_TIMES(lab, 1010, 1610, 1710, 1810, 1910, 2010, 2110, 2210, 2310, 2410, 2500);
}

/* What a bucket lacks it lacks by the new rate too, and no more than it can. */
static void test_a_bucket_keeps_what_it_has(void)
{
	static const struct {
		const char *words;
		uint64_t at_us;
	} cases[] = { { "rate=80M burst=80k", 100 },
		      { "rate=80M burst=160k", 0 },
		      { "rate=8M burst=8k", 1000 },
		      { "rate=8M", 1000 },
		      { "", 0 } };

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lab *lab = start("rate=8M burst=80k");

		for (unsigned k = 0; k < 10; k++)
			put(lab, 1000);
		become(lab, cases[i].words);
		put(lab, 1000);
		run_until(lab, 1000 * MS);
		CU_ASSERT_EQUAL(lab->arrived, 11);
		CU_ASSERT_EQUAL(lab->times[9], 0);
		CU_ASSERT_EQUAL(lab->times[10], cases[i].at_us * 1000);
		check_counts(lab);
		end(lab);
	}
}

static double processor_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Nobody waits for a change while a million packets are put into another order: what it takes is nothing beside what they took to come. */
static void test_a_change_takes_no_time(void)
{
	static const char *const changes[] = { "rate=20M queue=1h delay=100ms jitter=50ms",
					       "rate=1k queue=1h", "trace queue=1h", "" };
	const unsigned many = 1000000;

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct lab *lab = start("rate=10M queue=1h delay=100ms jitter=50ms");
		double from = processor_ms(), coming;

		for (unsigned k = 0; k < many; k++)
			put(lab, 100);
		coming = processor_ms() - from;
		lab->now += MS;
		from = processor_ms();
		become(lab, changes[i]);
		CU_ASSERT_TRUE(processor_ms() - from < coming / 10);
		CU_ASSERT_EQUAL(lab->queue.count, many);
		end(lab);
	}
}

/* What comes back to a wire that has much to send finds it as it will be: the last packet is sent after all that wait, to the nanosecond. */
static void test_what_comes_after_a_change_is_sent_last(void)
{
	static const char *const changes[] = { "rate=7M queue=2000p",
					       "rate=13M burst=100k queue=2000p",
					       "rate=3 queue=2000p", "trace queue=2000p" };

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		struct lab *lab = start("rate=10M queue=1h");
		uint64_t last, bytes = 0;

		for (unsigned k = 0; k < 1000; k++) {
			put(lab, 60 + k);
			bytes += k >= 500 ? 60 + k : 0;
		}
		/* Until the 500th is on the wire; it stays there for less than by any of the others. */
		while (lab->arrived < 499)
			run_until(lab, link_queue_due(&lab->queue));
		become(lab, changes[i]);
		last = lab->way.last_sent;
		put(lab, 60);
		CU_ASSERT_TRUE(lab->way.last_sent > last || lab->way.model.trace);
		run_until(lab, UINT64_MAX - 1);
		CU_ASSERT_EQUAL(lab->arrived, 1001);
		CU_ASSERT_EQUAL(lab->numbers[1000], 1000);
		CU_ASSERT_EQUAL(lab->times[999], last);
		CU_ASSERT_EQUAL(lab->times[1000], lab->way.last_sent);
		if (lab->way.model.rate)
			CU_ASSERT_EQUAL(lab->times[999] - lab->times[499],
					(uint64_t)((unsigned __int128)bytes * 8 * 1000000000 /
						   lab->way.model.rate));
		check_counts(lab);
		end(lab);
	}
}

/* Packets that would pass others wait for them, and none waits longer than that. */
static void test_order_can_be_kept(void)
{
	static const char *const words[] = { "delay=20ms jitter=10ms seed=1",
					     "delay=20ms jitter=10ms keep-order=yes seed=1" };
	static uint64_t due[1000];
	unsigned behind = 0;

	for (unsigned kept = 0; kept < 2; kept++) {
		struct lab *lab = start(words[kept]);
		uint64_t last = 0;

		for (unsigned i = 0; i < 1000; i++) {
			put(lab, 100);
			run_until(lab, lab->now + MS);
		}
		run_until(lab, 2000 * MS);
		for (unsigned i = 0; i < 1000 && !kept; i++)
			due[lab->numbers[i]] = lab->times[i];
		for (unsigned i = 0; i < 1000 && kept; i++) {
			behind += due[i] < last;
			last = MAX(last, due[i]);
			CU_ASSERT_EQUAL(lab->numbers[i], i);
			CU_ASSERT_EQUAL(lab->times[i], last);
		}
		end(lab);
	}
	CU_ASSERT_TRUE(behind > 100);
}

/* A rate that changes all the time lets what is on the wire be sent. */
static void test_changes_without_end(void)
{
	struct lab *lab = start("rate=8M queue=9p");

	for (unsigned i = 0; i < 5; i++)
		put(lab, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		run_until(lab, lab->now + MS / 10);
		become(lab, i % 2 ? "rate=8M queue=9p" : "rate=4M queue=9p");
	}
	CU_ASSERT_EQUAL(lab->arrived, 5);
	end(lab);
}

/* What is dropped because all memory is taken leaves the wire as it is. */
static void test_full_memory_takes_no_time_of_the_wire(void)
{
	struct lab *lab = start("rate=100M queue=1h");
	uint64_t fit = LINK_QUEUE_BYTES / (1500 + LINK_QUEUE_FRAME) - 1;

	for (unsigned i = 0; i < fit + 1000; i++)
		put(lab, 1500);
	CU_ASSERT_EQUAL(lab->queue.count, fit);
	CU_ASSERT_EQUAL(lab->way.counters.queue_full, 1000);
	CU_ASSERT_EQUAL(lab->way.busy_until, fit * 120000);
	end(lab);
}

/* Traffic with a change by chance after about every tenth packet. */
static void run_changes(const char *const *models, unsigned count, uint64_t seed, bool ordered)
{
	struct random random = { seed };
	struct lab *lab = start(models[0]);
	uint64_t lost;

	for (unsigned i = 0; i < PACKETS; i++) {
		put(lab, 60 + random_below(&random, 1440));
		run_until(lab, lab->now + random_below(&random, 2 * MS));
		if (!random_below(&random, 10))
			become(lab, models[random_below(&random, count)]);
	}
	become(lab, models[0]);
	run_until(lab, UINT64_MAX - 1);
	check_counts(lab);
	lost = lab->way.counters.lost + lab->way.counters.queue_full;
	CU_ASSERT_TRUE(lab->arrived > PACKETS / 4 && (lost || ordered));
	for (unsigned i = 1; ordered && i < lab->arrived; i++)
		CU_ASSERT_TRUE(lab->numbers[i] > lab->numbers[i - 1]);
	end(lab);
}

static void test_any_changes(void)
{
	static const char *const in_order[] = { "rate=10M",
						"rate=1M queue=50p",
						"",
						"rate=100k",
						"rate=5M burst=100k queue=1000p",
						"trace queue=2s",
						"rate=1G",
						"rate=5M burst=1M",
						"trace queue=100p",
						"queue=10p",
						"rate=1 queue=30p" },
				 *const kept[] = {
					 "keep-order=yes delay=1ms",
					 "keep-order=yes delay=50ms jitter=20ms",
					 "keep-order=yes rate=3M delay=20ms jitter=30ms,pareto",
					 "keep-order=yes rate=30M queue=40p",
					 "keep-order=yes trace delay=1ms seed=8",
					 "keep-order=yes delay=100ms seed=9 queue=100p",
					 "keep-order=yes rate=3M burst=100k jitter=9ms,normal",
				 },
				 *const any[] = {
					 "rate=3M delay=20ms jitter=30ms,pareto",
					 "delay=50ms jitter=40ms duplicate=50%",
					 "loss=20% seed=4",
					 "loss=gemodel,1%,20% rate=10M queue=20p",
					 "delay=5ms reorder=50% rate=5M",
					 "trace delay=20ms corrupt=10%",
					 "keep-order=yes rate=8M duplicate=10% jitter=3ms",
					 "delay=100ms queue=20p duplicate=20%",
				 };

	for (uint64_t seed = 1; seed <= 20; seed++) {
		run_changes(in_order, ARRAY_SIZE(in_order), seed, true);
		run_changes(kept, ARRAY_SIZE(kept), seed, true);
		run_changes(any, ARRAY_SIZE(any), seed, false);
	}
}

UNIT_MAIN("link changes", UNIT(test_who_waits_takes_its_turn_anew), UNIT(test_other_wires),
	  UNIT(test_a_bucket_keeps_what_it_has), UNIT(test_a_change_takes_no_time),
	  UNIT(test_what_comes_after_a_change_is_sent_last), UNIT(test_order_can_be_kept),
	  UNIT(test_changes_without_end), UNIT(test_full_memory_takes_no_time_of_the_wire),
	  UNIT(test_any_changes))
