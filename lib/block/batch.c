/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several requests, or parts of one, at the same time, and one wait for all.
 *
 * Pieces are taken down one after another and gathered; a full batch is run before it takes more. What a
 * layer can start by itself goes to the worker's ring at once and costs no fiber; the others get one each,
 * but for one that the caller's own fiber does.
 *
 * Parts of one request that follow each other on a device are one piece there, as those of a striped volume are; its memory
 * is then gathered in an array of the slot's own.
 *
 * Nothing waits at a closed gate while gathered pieces stand in others that somebody may be closing: the
 * batch is run first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/piece.h"
#include "fiber/fiber.h"
#include "util/bytes.h"

#define BATCH_SIZE 16u
#define BATCH_MOST 64u /* where more are wanted together, as by an array of many disks */
#define SLOT_IOVS  4u
#define MERGE_IOVS 256u /* of a piece that was put together */

struct block_batch;

struct block_slot {
	struct piece piece;
	struct block_io *io; /* that it is part of */
	struct block_batch *batch;
	struct block_work work;
	struct iovec iov[SLOT_IOVS]; /* of `work`, where the piece's own is longer than the piece */
	struct iovec *merged; /* the piece's, where it was put together of several; else NULL */
	unsigned merged_room;
	bool again;
};

struct block_batch {
	unsigned count, begun, pending, room;
	struct fiber_queue done;
	struct block_slot *own; /* begun, and left to the caller's fiber */
	struct block_slot *slots;
	struct block_slot few[BATCH_SIZE];
};

static void batch_init(struct block_batch *batch)
{
	batch->count = batch->begun = batch->pending = 0;
	batch->own = NULL;
	batch->slots = batch->few;
	batch->room = BATCH_SIZE;
	fiber_queue_init(&batch->done);
}

/* For `count` requests, so that the last do not wait for the first; without memory they do. */
static void batch_init_for(struct block_batch *batch, unsigned count)
{
	batch_init(batch);
	if (count <= BATCH_SIZE)
		return;
	count = MIN(count, BATCH_MOST);
	batch->slots = malloc(count * sizeof(*batch->slots));
	if (batch->slots)
		batch->room = count;
	else
		batch->slots = batch->few;
}

static void batch_end(struct block_batch *batch)
{
	if (batch->slots != batch->few)
		free(batch->slots);
}

static void note(struct block_io *io, int rc)
{
	if (rc < 0 && !io->result)
		io->result = rc;
}

/* ---- Running ---- */

int piece_work(struct piece *piece)
{
	struct piece deeper;
	int rc;

	if (!piece_is_deep(piece)) {
		rc = piece_work_here(piece);
		return MIN(rc, 0);
	}
	deeper = *piece;
	deeper.depth = 0;
	return piece_carry_out(&deeper);
}

static void slot_end(struct block_slot *slot, int rc)
{
	piece_leave(&slot->piece);
	note(slot->io, rc);
}

static void slot_finished(struct block_slot *slot)
{
	if (!--slot->batch->pending)
		fiber_queue_wake_all(&slot->batch->done);
}

static void slot_work_done(struct block_work *work, int rc)
{
	struct block_slot *slot = container_of(work, struct block_slot, work);

	slot->again = rc == -EAGAIN;
	if (!slot->again)
		slot_end(slot, rc);
	slot_finished(slot);
}

static int slot_fiber(void *arg)
{
	struct block_slot *slot = arg;

	slot_end(slot, piece_work(&slot->piece));
	slot_finished(slot);
	return 0;
}

/* Hands it to the layer, if that can do it without a fiber. */
static bool slot_start(struct block_slot *slot)
{
	slot->work.done = slot_work_done;
	slot->batch->pending++;
	if (piece_start(&slot->piece, &slot->work, slot->iov, SLOT_IOVS))
		return true;
	slot->batch->pending--;
	return false;
}

static void run_here(struct block_slot *slot)
{
	slot_end(slot, piece_work(&slot->piece));
}

/* Those that came since the last time. Does not suspend. */
static void batch_begin(struct block_batch *batch)
{
	for (; batch->begun < batch->count; batch->begun++) {
		struct block_slot *slot = &batch->slots[batch->begun];

		slot->again = false;
		if (slot_start(slot))
			continue;
		if (batch->own) {
			batch->pending++;
			fiber_start(slot_fiber, batch->own);
		}
		batch->own = slot;
	}
}

/* Without fibers, or with nothing that another one could do meanwhile. */
static bool runs_alone(const struct block_batch *batch)
{
	return !batch->begun && (batch->count == 1 || !fiber_current());
}

static void batch_run(struct block_batch *batch)
{
	if (runs_alone(batch)) {
		for (unsigned i = 0; i < batch->count; i++) {
			batch->slots[i].again = false;
			run_here(&batch->slots[i]);
		}
	} else {
		batch_begin(batch);
	}
	if (batch->own)
		run_here(batch->own);
	while (batch->pending)
		fiber_queue_wait_always(&batch->done);
	for (unsigned i = 0; i < batch->count; i++) {
		if (batch->slots[i].again)
			run_here(&batch->slots[i]);
		free(batch->slots[i].merged);
	}
	batch->count = batch->begun = 0;
	batch->own = NULL;
}

/* ---- Gathering ---- */

/* Makes room for `count` iovecs, to which those of the piece are moved when it gets them. */
static bool merged_reserve(struct block_slot *slot, unsigned count)
{
	unsigned room = MAX(slot->merged_room, 16u);
	struct iovec *grown;

	while (room < count)
		room *= 2;
	if (room == slot->merged_room)
		return true;
	grown = realloc(slot->merged, room * sizeof(*grown));
	if (!grown)
		return false;
	slot->merged = grown;
	slot->merged_room = room;
	return true;
}

/* Puts the memory of `piece` behind that of the slot's. False: it stays a piece of its own. */
static bool merge_data(struct block_slot *slot, struct piece *piece)
{
	struct piece *into = &slot->piece;
	bool first = !slot->merged;
	unsigned had = first ? iov_count(into->data, into->length) : into->data.count;
	unsigned more = iov_count(piece->data, piece->length);

	if (had + more > MERGE_IOVS || !merged_reserve(slot, had + more))
		return false;
	if (first)
		iov_take(&into->data, into->length, slot->merged, had, &had);
	iov_take(&piece->data, piece->length, slot->merged + had, more, &more);
	into->data = iov_range_of(slot->merged, had + more);
	into->exact = true;
	return true;
}

static bool merges(const struct block_slot *slot, const struct piece *piece,
		   const struct block_io *io)
{
	const struct piece *other = &slot->piece;

	return slot->io == io && other->block == piece->block && other->depth == piece->depth &&
	       !memcmp(other->layers, piece->layers, piece->depth * sizeof(piece->layers[0])) &&
	       other->offset + other->length == piece->offset;
}

/* What comes in many stripes comes together again on each disk. */
static bool batch_merge(struct block_batch *batch, struct piece *piece, const struct block_io *io)
{
	for (unsigned i = batch->count; i-- > batch->begun;) {
		struct block_slot *slot = &batch->slots[i];

		if (!merges(slot, piece, io))
			continue;
		/* A layer that says where things lie has its reasons for where it cuts. */
		if (piece->kind <= BLOCK_WRITE &&
		    (piece->block->ops->map || !merge_data(slot, piece)))
			return false;
		slot->piece.length += piece->length;
		piece_leave(piece);
		return true;
	}
	return false;
}

static void batch_add(struct block_batch *batch, struct piece *piece, struct block_io *io)
{
	struct block_slot *slot;

	if (batch_merge(batch, piece, io))
		return;
	if (batch->count == batch->room)
		batch_run(batch);
	slot = &batch->slots[batch->count++];
	slot->piece = *piece;
	slot->io = io;
	slot->batch = batch;
	slot->merged = NULL;
	slot->merged_room = 0;
}

static void gather(struct block_batch *batch, struct piece *piece, struct block_io *io);

/* What is to be done with a piece that came so far; true: it is to be taken on. */
static bool gather_step(struct block_batch *batch, struct piece *piece, struct piece *first,
			struct block_io *io, int rc)
{
	if (rc == PIECE_STANDS)
		batch_add(batch, piece, io);
	else if (rc < 0)
		note(io, rc);
	else if (rc == PIECE_SPLIT)
		gather(batch, first, io);
	else if (rc == PIECE_CLOSED)
		batch_run(batch);
	return rc == PIECE_SPLIT || rc == PIECE_CLOSED;
}

/* Takes the parts of `piece` down to where they are worked on. */
static void gather(struct block_batch *batch, struct piece *piece, struct block_io *io)
{
	struct piece first;
	int rc;

	do {
		if (!piece->length && piece->kind != BLOCK_FLUSH)
			return;
		/* What is left of a request that has failed need not be done. */
		if (io->result) {
			piece_leave(piece);
			return;
		}
		rc = piece_descend(piece, &first, !batch->count);
	} while (gather_step(batch, piece, &first, io, rc));
}

/* Goes on with one that piece_descend() has split. */
static int carry_out_split(struct piece *piece, struct piece *first)
{
	struct block_io io = { .result = 0 };
	struct block_batch batch;

	batch_init(&batch);
	gather(&batch, first, &io);
	gather(&batch, piece, &io);
	batch_run(&batch);
	return io.result;
}

int piece_carry_out(struct piece *piece)
{
	struct piece first;
	int rc = piece_descend(piece, &first, true);

	if (rc == PIECE_SPLIT)
		return carry_out_split(piece, &first);
	if (rc != PIECE_STANDS)
		return MIN(rc, 0);
	rc = piece_work(piece);
	piece_leave(piece);
	return rc;
}

/* ---- Several requests ---- */

/* A whole request. Most stand where they are, so it is made in its slot. */
static void batch_take(struct block_batch *batch, struct block_io *io)
{
	struct block_slot *slot;
	struct piece *piece, first;
	int rc;

	if (batch->count == batch->room)
		batch_run(batch);
	slot = &batch->slots[batch->count];
	piece = &slot->piece;
	piece->kind = io->kind;
	piece->flags = io->flags;
	piece->block = io->block;
	piece->offset = io->offset;
	piece->length = io->length;
	piece->data = iov_range_of(io->iov, io->count);
	piece->exact = true;
	piece->depth = 0;
	io->result = piece_check(piece);
	if (io->result || (!piece->length && piece->kind != BLOCK_FLUSH))
		return;
	rc = piece_descend(piece, &first, !batch->count);
	if (rc == PIECE_STANDS && (piece->kind <= BLOCK_WRITE || piece->kind == BLOCK_FLUSH)) {
		slot->io = io;
		slot->batch = batch;
		slot->merged = NULL;
		slot->merged_room = 0;
		batch->count++;
	} else {
		struct piece moved = *piece;

		if (gather_step(batch, &moved, &first, io, rc))
			gather(batch, &moved, io);
	}
}

int block_run_all(struct block_io *ios, unsigned count)
{
	return block_run_all_with(ios, count, count, NULL, NULL);
}

int block_run_all_with(struct block_io *ios, unsigned count, unsigned first,
		       void (*meanwhile)(void *arg), void *arg)
{
	struct block_batch batch;
	int rc = 0;

	batch_init_for(&batch, count);
	for (unsigned i = 0; i < count; i++) {
		if (i == first && fiber_current())
			batch_begin(&batch);
		if (i == first)
			meanwhile(arg);
		batch_take(&batch, &ios[i]);
	}
	batch_run(&batch);
	batch_end(&batch);
	for (unsigned i = 0; i < count && !rc; i++)
		rc = ios[i].result;
	return rc;
}

int block_flush_all(struct block *const *blocks, unsigned count)
{
	struct block_io ios[BATCH_SIZE];
	int rc = 0;

	for (unsigned done = 0; done < count;) {
		unsigned step = MIN(count - done, BATCH_SIZE);
		int flushed;

		for (unsigned i = 0; i < step; i++)
			ios[i] =
				(struct block_io){ .block = blocks[done + i], .kind = BLOCK_FLUSH };
		flushed = block_run_all(ios, step);
		rc = rc ? rc : flushed;
		done += step;
	}
	return rc;
}
