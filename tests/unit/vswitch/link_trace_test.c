/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: recorded rates. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/link_model.h"

#define MS 1000000ULL

static struct link_trace *read_trace(const char *text)
{
	struct link_trace *trace = NULL;
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(link_trace_read(&trace, "recorded", text, &error), 0);
	return trace;
}

static uint64_t send_at(const struct link_trace *trace, struct link_trace_place *place,
			uint64_t now, size_t length)
{
	uint64_t sent = 0;

	CU_ASSERT_TRUE(link_trace_send(trace, place, now, length, UINT64_MAX, &sent));
	return sent;
}

/* At 10, 10 and 25 ms, and again after 25: each has room for 1500 bytes. */
static void test_opportunities(void)
{
	struct link_trace *trace = read_trace("10\n10\r\n25\n");
	struct link_trace_place place = { 0 };
	uint64_t began = 777;

	CU_ASSERT_EQUAL(send_at(trace, &place, began, 1000), began + 10 * MS);
	/* 500 of the first, 1000 of the second; then what is left of that, to its last byte. */
	CU_ASSERT_EQUAL(send_at(trace, &place, began, 1500), began + 10 * MS);
	CU_ASSERT_EQUAL(send_at(trace, &place, began, 500), began + 10 * MS);
	CU_ASSERT_EQUAL(send_at(trace, &place, began, 1), began + 25 * MS);
	/* Over the end of the pass: 1499 at 25, 1500 twice at 35, one byte at 50. */
	CU_ASSERT_EQUAL(send_at(trace, &place, began + MS, 4500), began + 50 * MS);
	/* What nobody took is lost: the one of 50 is over, and both of 60 are. */
	CU_ASSERT_EQUAL(send_at(trace, &place, began + 60 * MS + 1, 1500), began + 75 * MS);
	CU_ASSERT_EQUAL(send_at(trace, &place, began + 75 * MS, 1), began + 85 * MS);
	/* In the moment of one, and much later, at the end of a pass. */
	CU_ASSERT_EQUAL(send_at(trace, &place, began + 2510 * MS, 3000), began + 2510 * MS);
	CU_ASSERT_EQUAL(send_at(trace, &place, began + 5000 * MS, 100), began + 5000 * MS);
	link_trace_drop(trace);
}

/* What would wait for longer than it may takes nothing. */
static void test_too_long_a_wait(void)
{
	struct link_trace *trace = read_trace("10\n200\n");
	struct link_trace_place place = { 0 };
	uint64_t sent;

	CU_ASSERT_FALSE(link_trace_send(trace, &place, 0, 1501, 199 * MS, &sent));
	CU_ASSERT_TRUE(link_trace_send(trace, &place, 0, 1500, 199 * MS, &sent));
	CU_ASSERT_EQUAL(sent, 10 * MS);
	CU_ASSERT_TRUE(link_trace_send(trace, &place, MS, 1, 199 * MS, &sent));
	CU_ASSERT_EQUAL(sent, 200 * MS);
	link_trace_drop(trace);
}

/* 12 Mbit/s recorded are 12 Mbit/s, over many passes, with packets that fit into no opportunity evenly. */
static void test_rate(void)
{
	struct link_trace *trace = read_trace("1\n2\n3\n4\n5\n6\n7\n");
	struct link_trace_place place = { 0 };
	uint64_t last = 0;

	for (unsigned i = 0; i < 100000; i++)
		last = send_at(trace, &place, 0, 700);
	/* 70,000,000 bytes are 46666.7 opportunities. */
	CU_ASSERT_EQUAL(last, 46667 * MS);
	link_trace_drop(trace);
}

static void test_wrong_files(void)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "", "nothing in it" },
		{ "0\n0\n", "line 2: expected a time after 0" },
		{ "5\n4\n", "line 2: expected no time before" },
		{ "1\n\n2\n", "line 2: expected a whole number" },
		{ "1\n2 \n", "line 2: expected a whole number" },
		{ "-1\n", "line 1" },
		{ "1.5\n", "line 1" },
		{ "1\n86400001\n", "line 2" },
		{ "1\n99999999999999999999999999\n", "line 2" },
		{ "1\n0x2\n", "line 2" },
		{ "1\rr\n", "line 1" },
	};
	struct error error = { 0 };
	struct link_trace *trace = NULL;
	char *large;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CU_ASSERT_EQUAL(link_trace_read(&trace, "a/b c\033", wrong[i].text, &error),
				-EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, wrong[i].says));
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "trace b_c_: "));
	}
	large = malloc(LINK_TRACE_BYTES + 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(large);
	for (size_t i = 0; i < LINK_TRACE_BYTES + 1; i++)
		large[i] = i % 2 ? '\n' : '7';
	large[LINK_TRACE_BYTES + 1] = '\0';
	CU_ASSERT_EQUAL(link_trace_read(&trace, "x", large, &error), -EFBIG);
	large[LINK_TRACE_BYTES] = '\0';
	CU_ASSERT_EQUAL_FATAL(link_trace_read(&trace, "x", large, &error), 0);
	CU_ASSERT_EQUAL(trace->count, LINK_TRACE_BYTES / 2);
	link_trace_drop(trace);
	free(large);
	trace = read_trace("1\n86400000");
	CU_ASSERT_EQUAL(trace->count, 2);
	link_trace_drop(trace);
}

/* In a model: it is bad, its queue is full where that says so, and it is described. */
static void test_model(void)
{
	struct link_trace *trace = read_trace("10\n200\n");
	struct link_model model = { .trace = trace, .seed = 1 };
	struct error error = { 0 };
	struct link_fate fate;
	struct link_way way;
	char text[128];

	CU_ASSERT_TRUE(link_model_is_bad(&model));
	link_model_describe(&model, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "trace=recorded seed=1");
	link_way_start(&way, &model, "p", true);
	link_way_decide(&way, 0, 1500, 0, false, &fate);
	CU_ASSERT_EQUAL(fate.copies, 1);
	CU_ASSERT_EQUAL(fate.due[0], 10 * MS);
	/* Longer than the 100 ms that are the queue where nothing is said. */
	link_way_decide(&way, 0, 1500, 1, false, &fate);
	CU_ASSERT_EQUAL(fate.copies, 0);
	CU_ASSERT_EQUAL(way.counters.queue_full, 1);
	CU_ASSERT_EQUAL(link_model_set(&way.model, "queue=1s", &error), 0);
	CU_ASSERT_EQUAL(link_model_set(&way.model, "delay=5ms", &error), 0);
	CU_ASSERT_EQUAL(link_model_check(&way.model, &error), 0);
	link_way_decide(&way, 0, 1500, 1, false, &fate);
	CU_ASSERT_EQUAL(fate.due[0], 205 * MS);
	CU_ASSERT_EQUAL(link_model_set(&way.model, "queue=2p", &error), 0);
	link_way_decide(&way, 0, 1500, 2, false, &fate);
	CU_ASSERT_EQUAL(fate.copies, 0);
	link_way_decide(&way, 0, 1500, 1, false, &fate);
	CU_ASSERT_EQUAL(fate.due[0], 215 * MS);
	CU_ASSERT_EQUAL(link_model_set(&way.model, "rate=5M", &error), 0);
	CU_ASSERT_EQUAL(link_model_check(&way.model, &error), -EINVAL);
	CU_ASSERT_EQUAL(link_model_set(&way.model, "trace=file", &error), -EINVAL);
	CU_ASSERT_PTR_EQUAL(way.model.trace, trace);
	CU_ASSERT_EQUAL(link_model_set(&way.model, "trace=none", &error), 0);
	CU_ASSERT_PTR_NULL(way.model.trace);
	link_trace_drop(trace);
}

UNIT_MAIN("link_trace", UNIT(test_opportunities), UNIT(test_too_long_a_wait), UNIT(test_rate),
	  UNIT(test_wrong_files), UNIT(test_model))
