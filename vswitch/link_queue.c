/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_queue.h. */
#include "vswitch/link_queue.h"

#include <stdlib.h>

void link_queue_clear(struct link_queue *queue)
{
	for (unsigned i = 1; i <= queue->count; i++)
		free(queue->frames[i]);
	free(queue->frames);
	*queue = (struct link_queue){ 0 };
}

struct link_frame *link_frame_create(const struct link_queue *queue, size_t length)
{
	struct link_frame *frame;

	if (queue->count >= LINK_QUEUE_FRAMES || queue->bytes + length > LINK_QUEUE_BYTES)
		return NULL;
	frame = malloc(sizeof(*frame) + length);
	if (!frame)
		return NULL;
	frame->piece = (struct iovec){ frame->bytes, length };
	frame->frame =
		(struct frame){ .pieces = &frame->piece, .count = 1, .length = (uint32_t)length };
	return frame;
}

static bool is_before(const struct link_frame *a, const struct link_frame *b)
{
	return a->due != b->due ? a->due < b->due : a->sequence < b->sequence;
}

/* Puts `frame` where it belongs, from a hole at `place` on. */
static void sift(struct link_queue *queue, unsigned place, struct link_frame *frame)
{
	struct link_frame **frames = queue->frames;

	for (; place > 1 && is_before(frame, frames[place / 2]); place /= 2)
		frames[place] = frames[place / 2];
	for (unsigned child; (child = 2 * place) <= queue->count; place = child) {
		if (child < queue->count && is_before(frames[child + 1], frames[child]))
			child++;
		if (!is_before(frames[child], frame))
			break;
		frames[place] = frames[child];
	}
	frames[place] = frame;
}

static bool grow(struct link_queue *queue)
{
	unsigned room = queue->room ? 2 * queue->room : 64;
	struct link_frame **frames = realloc(queue->frames, room * sizeof(*frames));

	if (!frames)
		return false;
	queue->frames = frames;
	queue->room = room;
	return true;
}

bool link_queue_push(struct link_queue *queue, struct link_frame *frame, uint64_t due)
{
	if (queue->count + 1 >= queue->room && !grow(queue)) {
		free(frame);
		return false;
	}
	frame->due = due;
	frame->sequence = queue->sequence++;
	queue->bytes += frame->frame.length;
	sift(queue, ++queue->count, frame);
	return true;
}

struct link_frame *link_queue_pop(struct link_queue *queue, uint64_t now)
{
	struct link_frame *first, *last;

	if (!queue->count || queue->frames[1]->due > now)
		return NULL;
	first = queue->frames[1];
	last = queue->frames[queue->count--];
	queue->bytes -= first->frame.length;
	if (queue->count)
		sift(queue, 1, last);
	return first;
}
