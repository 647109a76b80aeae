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
	uint64_t bytes;
};

static void push(struct link_queue *queue, struct model *model, uint64_t due, uint32_t number)
{
	size_t length = 64 + number % 7;
	struct link_frame *frame = link_frame_create(queue, length);

	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	put_be32(frame->bytes, number);
	CU_ASSERT_TRUE_FATAL(link_queue_push(
		queue, 1,
		&(struct link_turn){ .delay = due, .frame = frame, .length = (uint32_t)length }));
	model->waiting[model->count].due = due;
	model->waiting[model->count++].number = number;
	model->bytes += length;
}

static unsigned first_of(const struct model *model)
{
	unsigned first = 0;

	for (unsigned i = 1; i < model->count; i++)
		if (model->waiting[i].due < model->waiting[first].due)
			first = i;
	return first;
}

/* Takes out one, and says whether it was the right one. */
static bool pop(struct link_queue *queue, struct model *model)
{
	unsigned first = first_of(model);
	uint64_t due = model->waiting[first].due;
	struct link_frame *frame;
	bool right;

	if (link_queue_due(queue) != due || link_queue_pop(queue, due - 1))
		return false;
	frame = link_queue_pop(queue, due);
	if (!frame)
		return false;
	right = frame->due == due && get_be32(frame->bytes) == model->waiting[first].number;
	model->bytes -= frame->frame.length;
	right = right && queue->bytes == model->bytes && queue->count == model->count - 1;
	free(frame);
	memmove(&model->waiting[first], &model->waiting[first + 1],
		(--model->count - first) * sizeof(model->waiting[0]));
	return right;
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

UNIT_MAIN("link_queue", UNIT(test_order), UNIT(test_straight_and_reverse))
