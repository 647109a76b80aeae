/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: the order of frames on a link. */
#include "unit.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/link_queue.h"

#define MOST 3000u

/* What is in the queue, in the order of coming: the one to come out is found by looking at all. */
struct model {
	struct {
		uint64_t due;
		uint32_t number;
	} waiting[MOST];
	unsigned count;
	uint64_t bytes, last_due;
};

static void push_turn(struct link_queue *queue, struct model *model, uint64_t now,
		      struct link_turn turn, uint32_t number)
{
	uint64_t due = turn.sent + turn.delay;

	due = turn.in_order ? MAX(due, model->last_due) : due;
	model->last_due = MAX(due, model->last_due);
	turn.length = 64 + number % 7;
	turn.frame = link_frame_create(queue, turn.length);
	CU_ASSERT_PTR_NOT_NULL_FATAL(turn.frame);
	put_be32(turn.frame->bytes, number);
	CU_ASSERT_TRUE_FATAL(link_queue_push(queue, now, &turn));
	model->waiting[model->count].due = due;
	model->waiting[model->count++].number = number;
	model->bytes += turn.length;
}

static void push(struct link_queue *queue, struct model *model, uint64_t due, uint32_t number)
{
	push_turn(queue, model, 1, (struct link_turn){ .delay = due }, number);
}

static unsigned first_of(const struct model *model)
{
	unsigned first = 0;

	for (unsigned i = 1; i < model->count; i++)
		if (model->waiting[i].due < model->waiting[first].due)
			first = i;
	return first;
}

/* It has been taken out: whether it was the right one. It is freed. */
static bool is_right(const struct link_queue *queue, struct model *model, struct link_frame *frame)
{
	unsigned first = first_of(model);
	bool right = model->count && frame->due == model->waiting[first].due &&
		     get_be32(frame->bytes) == model->waiting[first].number;

	model->bytes -= frame->frame.length;
	right = right && queue->bytes == model->bytes && queue->count == model->count - 1;
	free(frame);
	if (right)
		memmove(&model->waiting[first], &model->waiting[first + 1],
			(--model->count - first) * sizeof(model->waiting[0]));
	return right;
}

/* Takes out one, and says whether it was the right one. */
static bool pop(struct link_queue *queue, struct model *model)
{
	uint64_t due = model->waiting[first_of(model)].due;
	struct link_frame *frame;

	if (link_queue_due(queue) != due || link_queue_pop(queue, due - 1))
		return false;
	frame = link_queue_pop(queue, due);
	return frame && is_right(queue, model, frame);
}

/* Times in no order, many of them the same, with what is taken out in between; at times all of it is. */
static void test_order(void)
{
	static struct model model;
	struct link_queue queue = { 0 };
	struct random random = { .state = 11 };
	uint32_t number = 0;
	uint64_t now = 1000;
	unsigned wrong = 0;

	CU_ASSERT_EQUAL(link_queue_due(&queue), UINT64_MAX);
	CU_ASSERT_PTR_NULL(link_queue_pop(&queue, UINT64_MAX));
	for (unsigned i = 0; i < 30000; i++) {
		bool drain = i / 1000 % 3 == 2;
		unsigned spread = 1 + (unsigned)(i / 500 % 4) * 60;

		now += random_below(&random, 3);
		if (model.count && (model.count == MOST || random_below(&random, drain ? 4 : 2)))
			wrong += !pop(&queue, &model);
		else
			push(&queue, &model, now + random_below(&random, spread), number++);
	}
	CU_ASSERT_TRUE(number > 10000);
	while (model.count)
		wrong += !pop(&queue, &model);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(link_queue_due(&queue), UINT64_MAX);
	link_queue_clear(&queue);
}

/* In order, and in the reverse of it, with more than a queue begins with; what is left is freed with it. */
static void test_straight_and_reverse(void)
{
	static struct model model;
	struct link_queue queue = { 0 };
	unsigned wrong = 0;

	for (uint32_t i = 0; i < 1000; i++)
		push(&queue, &model, 5000 + i, i);
	for (uint32_t i = 0; i < 1000; i++)
		push(&queue, &model, 5000 - i, 1000 + i);
	for (unsigned i = 0; i < 1500; i++)
		wrong += !pop(&queue, &model);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(queue.count, 500);
	link_queue_clear(&queue);
	CU_ASSERT_EQUAL(queue.count, 0);
}

/* Takes out all that is due. False: one of them was the wrong one, or there is no end to it, or one is still there. */
static bool drain(struct link_queue *queue, struct model *model, uint64_t now)
{
	for (unsigned tries = 0; link_queue_due(queue) <= now; tries++) {
		struct link_frame *frame = link_queue_pop(queue, now);

		if (tries > 2 * MOST || (frame && !is_right(queue, model, frame)))
			return false;
	}
	return !model->count || model->waiting[first_of(model)].due > now;
}

/* What is sent one after another, some at once, each with a delay of its own; at times hundreds have been sent before anybody looks. */
static void test_wire(void)
{
	static struct model model;
	struct link_queue queue = { 0 };
	struct random random = { .state = 12 };
	uint64_t now = 1000, sent = 1000;
	unsigned wrong = 0, most = 0;
	uint32_t number = 0;

	for (unsigned i = 0; i < 400; i++) {
		unsigned count = random_below(&random, 1200), left;
		unsigned spread = 1 + i / 10 % 5 * 100, steps = i % 3 ? 1 : 50;

		for (unsigned k = 0; k < count && model.count < MOST; k++) {
			sent = MAX(sent + random_below(&random, 3), now);
			push_turn(&queue, &model, now,
				  (struct link_turn){ .sent = sent,
						      .delay = random_below(&random, spread),
						      .in_order = i / 50 % 2 },
				  number++);
		}
		left = model.count;
		for (unsigned k = 0; k < steps; k++) {
			now += random_below(&random, 1200 / steps);
			wrong += !drain(&queue, &model, now);
		}
		most = steps == 1 ? MAX(most, left - model.count) : most;
	}
	CU_ASSERT_TRUE(number > 100000 && most > 512);
	wrong += !drain(&queue, &model, UINT64_MAX - 1);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(queue.count + queue.bytes + model.count, 0);
	/* What was for so many is given back. */
	CU_ASSERT_TRUE(queue.line_room + queue.heap_room + queue.turns.room <= 3 * 1024);
	link_queue_clear(&queue);
}

/* An empty queue keeps no memory of a full one, in any of its parts, and goes on. */
static void test_memory_is_given_back(void)
{
	static struct model model;
	struct link_queue queue = { 0 };
	unsigned wrong = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MOST; i++)
			push_turn(&queue, &model, 1,
				  (struct link_turn){ .sent = round == 2 ? 2 : 1,
						      .delay = round ? MOST - i : 1 + i },
				  i);
		CU_ASSERT_TRUE(queue.line_room + queue.heap_room + queue.turns.room >= MOST);
		wrong += !drain(&queue, &model, 2 * MOST);
		CU_ASSERT_TRUE(queue.line_room + queue.heap_room + queue.turns.room <= 3 * 1024);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	link_queue_clear(&queue);
}

UNIT_MAIN("link_queue", UNIT(test_order), UNIT(test_straight_and_reverse), UNIT(test_wire),
	  UNIT(test_memory_is_given_back))
