/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_queue.h. */
#include "vswitch/link_queue.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/link_ring.h"

/* Of the heap: with four, it is half as deep as with two, and the four lie beside each other. */
#define WIDTH 4u

/* Places that an empty queue keeps in each: 24 to 40 bytes a place. */
#define ROOM_KEPT 1024u

void link_queue_clear(struct link_queue *queue)
{
	for (unsigned i = 0; i < queue->line_count; i++)
		free(queue->line[(queue->line_first + i) & (queue->line_room - 1)].frame);
	for (unsigned i = 0; i < queue->heap_count; i++)
		free(queue->heap[i].frame);
	for (unsigned i = 0; i < queue->turns.count; i++)
		free(queue->turns.ring[(queue->turns.first + i) & (queue->turns.room - 1)].frame);
	free(queue->line);
	free(queue->heap);
	link_turns_clear(&queue->turns);
	*queue = (struct link_queue){ 0 };
}

bool link_queue_has_room(const struct link_queue *queue, unsigned count, size_t length)
{
	uint64_t room = queue->room ? queue->room : LINK_QUEUE_BYTES;

	return queue->bytes + count * length +
		       ((uint64_t)queue->count + count) * LINK_QUEUE_FRAME <=
	       room;
}

struct link_frame *link_frame_create(const struct link_queue *queue, size_t length)
{
	struct link_frame *frame;

	if (!link_queue_has_room(queue, 1, length))
		return NULL;
	frame = malloc(sizeof(*frame) + length);
	if (!frame)
		return NULL;
	frame->piece = (struct iovec){ frame->bytes, length };
	frame->frame =
		(struct frame){ .pieces = &frame->piece, .count = 1, .length = (uint32_t)length };
	return frame;
}

static inline bool is_before(const struct link_entry *a, const struct link_entry *b)
{
	/* As one number, so that the compiler needs no branch that would be guessed wrong half of the time. */
	return ((unsigned __int128)a->due << 64 | a->sequence) <
	       ((unsigned __int128)b->due << 64 | b->sequence);
}

/* ---- The line: what came in order ---- */

static bool grow_line(struct link_queue *queue)
{
	struct link_entry *line =
		link_ring_grow(queue->line, sizeof(*line), &queue->line_first, &queue->line_room);

	queue->line = line ? line : queue->line;
	return line;
}

static bool line_push(struct link_queue *queue, const struct link_entry *entry)
{
	if (queue->line_count == queue->line_room && !grow_line(queue))
		return false;
	queue->line[(queue->line_first + queue->line_count++) & (queue->line_room - 1)] = *entry;
	return true;
}

static struct link_frame *line_pop(struct link_queue *queue)
{
	struct link_frame *frame = queue->line[queue->line_first].frame;

	queue->line_first = (queue->line_first + 1) & (queue->line_room - 1);
	queue->line_count--;
	return frame;
}

/* ---- The heap: the rest ---- */

static bool grow_heap(struct link_queue *queue)
{
	unsigned room = queue->heap_room ? 2 * queue->heap_room : 64;
	struct link_entry *heap = realloc(queue->heap, room * sizeof(*heap));

	if (!heap)
		return false;
	queue->heap = heap;
	queue->heap_room = room;
	return true;
}

/* Puts `entry` where it belongs, from a hole at `place` upwards. */
static void rise(struct link_queue *queue, unsigned place, const struct link_entry *entry)
{
	struct link_entry *heap = queue->heap;

	for (unsigned above; place && is_before(entry, &heap[above = (place - 1) / WIDTH]);
	     place = above)
		heap[place] = heap[above];
	heap[place] = *entry;
}

static bool heap_push(struct link_queue *queue, const struct link_entry *entry)
{
	if (queue->heap_count == queue->heap_room && !grow_heap(queue))
		return false;
	rise(queue, queue->heap_count++, entry);
	return true;
}

/* The hole that the first one leaves goes down to the end, for what fills it came from there; then that rises, seldom far. */
static struct link_frame *heap_pop(struct link_queue *queue)
{
	struct link_entry *heap = queue->heap, last = heap[--queue->heap_count];
	struct link_frame *frame = heap[0].frame;
	unsigned count = queue->heap_count, place = 0, child;

	while ((child = WIDTH * place + 1) < count) {
		unsigned end = MIN(child + WIDTH, count), least = child;

		for (unsigned i = child + 1; i < end; i++)
			least = is_before(&heap[i], &heap[least]) ? i : least;
		heap[place] = heap[least];
		place = least;
	}
	if (count)
		rise(queue, place, &last);
	return frame;
}

/* ---- Both ---- */

/* False: out of memory, and it is not there. */
static bool arrange(struct link_queue *queue, struct link_frame *frame, uint64_t due)
{
	const struct link_entry entry = { due, queue->sequence, frame };
	bool in_order = !queue->line_count || due >= queue->line_last;

	if (!(in_order ? line_push(queue, &entry) : heap_push(queue, &entry)))
		return false;
	if (in_order)
		queue->line_last = due;
	queue->sequence++;
	return true;
}

/* The first of both; NULL: there is none. */
static const struct link_entry *first_of(const struct link_queue *queue)
{
	const struct link_entry *line = queue->line_count ? &queue->line[queue->line_first] : NULL;

	if (!queue->heap_count)
		return line;
	return line && is_before(line, queue->heap) ? line : queue->heap;
}

/* ---- From the wire ---- */

/* So many go on from the wire at once; for one that is asked for; and when they are looked for, after the first one has left it. */
#define STEP      256u
#define STEP_POP  32u
#define LOOK_MOST 1000000ULL

/* It has left the wire. False: out of memory. */
static bool travel(struct link_queue *queue, const struct link_turn *turn)
{
	uint64_t due = turn->sent + turn->delay;

	if (turn->in_order)
		due = MAX(due, queue->last_due);
	if (!arrange(queue, turn->frame, due))
		return false;
	queue->last_due = MAX(queue->last_due, due);
	return true;
}

/* At most `most` of those that have been sent go on. */
static void move_on(struct link_queue *queue, uint64_t now, unsigned most)
{
	const struct link_turn *turn;

	while (most-- && (turn = link_turns_first(&queue->turns)) && turn->sent <= now &&
	       travel(queue, turn))
		link_turns_pop(&queue->turns);
}

unsigned link_queue_waiting(struct link_queue *queue, uint64_t now)
{
	move_on(queue, now, STEP);
	return queue->turns.count;
}

bool link_queue_push(struct link_queue *queue, uint64_t now, const struct link_turn *turn)
{
	bool waits = turn->sent > now || queue->turns.count;

	if (!(waits ? link_turns_add(&queue->turns, turn) : travel(queue, turn))) {
		free(turn->frame);
		return false;
	}
	queue->count++;
	queue->bytes += turn->length;
	return true;
}

uint64_t link_queue_due(const struct link_queue *queue)
{
	const struct link_entry *first = first_of(queue);
	const struct link_turn *turn = link_turns_first(&queue->turns);
	uint64_t due = first ? first->due : UINT64_MAX;

	/* None that is on the wire, or waits for it, is due before that; the count of those that do must not be behind for long. */
	return turn ? MIN(due, turn->sent + MIN(queue->turns.least_delay, LOOK_MOST)) : due;
}

/* It is due, and of what has been sent, and is still to go on, nothing is due before it. */
static bool is_next(const struct link_queue *queue, const struct link_entry *first, uint64_t now)
{
	const struct link_turn *turn = link_turns_first(&queue->turns);

	return first && first->due <= now &&
	       !(turn && turn->sent <= now && turn->sent + queue->turns.least_delay < first->due);
}

/* Nothing is there: what is large, and was for much, is given back. */
static void give_back(struct link_queue *queue)
{
	if (queue->line_room > ROOM_KEPT) {
		free(queue->line);
		queue->line = NULL;
		queue->line_first = queue->line_room = 0;
	}
	if (queue->heap_room > ROOM_KEPT) {
		free(queue->heap);
		queue->heap = NULL;
		queue->heap_room = 0;
	}
	if (queue->turns.room > ROOM_KEPT)
		link_turns_clear(&queue->turns);
}

struct link_frame *link_queue_pop(struct link_queue *queue, uint64_t now)
{
	const struct link_entry *first = first_of(queue);
	struct link_frame *frame;
	uint64_t due;

	if (!is_next(queue, first, now)) {
		move_on(queue, now, STEP_POP);
		first = first_of(queue);
		if (!is_next(queue, first, now))
			return NULL;
	}
	due = first->due;
	frame = first == queue->heap ? heap_pop(queue) : line_pop(queue);
	frame->due = due;
	queue->count--;
	queue->bytes -= frame->frame.length;
	if (!queue->count)
		give_back(queue);
	/* It has waited for long: it is in no cache. */
	first = first_of(queue);
	if (first)
		__builtin_prefetch(first->frame);
	return frame;
}
