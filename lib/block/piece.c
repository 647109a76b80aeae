/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a piece down to the layer that works, and the work itself. It mostly arrives whole, on the
 * caller's fiber and with the caller's own iovecs; where a layer splits it, batch.c takes over.
 */
#include "block/piece.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "block/layer.h"
#include "fiber/fiber.h"
#include "util/bytes.h"

/* ---- On the layer that does the work ---- */

#define ZEROES_SIZE  (64u << 10)
#define ZEROES_COUNT 16u

int block_write_zero_buffers(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	static const char zeroes[ZEROES_SIZE] __attribute__((aligned(4096)));
	struct iovec iov[ZEROES_COUNT];
	uint64_t left = length;

	while (left) {
		uint64_t step = MIN(left, (uint64_t)ZEROES_SIZE * ZEROES_COUNT);
		unsigned count = 0;
		int rc;

		for (uint64_t at = 0; at < step; at += ZEROES_SIZE)
			iov[count++] = (struct iovec){ .iov_base = (void *)zeroes,
						       .iov_len = MIN(ZEROES_SIZE, step - at) };
		rc = block->ops->writev(block, offset, step, iov, count, flags);
		if (rc < 0)
			return rc;
		offset += step;
		left -= step;
	}
	return 0;
}

static int transfer(struct block *block, const struct piece *piece, const struct iovec *iov,
		    unsigned count)
{
	if (piece->kind == BLOCK_READ)
		return block->ops->readv(block, piece->offset, piece->length, iov, count);
	return block->ops->writev(block, piece->offset, piece->length, iov, count, piece->flags);
}

/* Gives the layer an iovec array that is exactly `length` long. */
static int transfer_exactly(struct block *block, const struct piece *piece)
{
	struct iov_range data = piece->data;
	struct iovec few[32];
	CLEANUP_FREE struct iovec *many = NULL;
	struct iovec *iov = few;
	unsigned count;

	iov_advance(&data, 0); /* over empty ones */
	count = iov_count(data, piece->length);
	if (count > ARRAY_SIZE(few)) {
		iov = many = malloc(count * sizeof(*many));
		if (!many)
			return -ENOMEM;
	}
	iov_take(&data, piece->length, iov, count, &count);
	return transfer(block, piece, iov, count);
}

int piece_work_here(struct piece *piece)
{
	struct block *block = piece->block;
	const struct block_ops *ops = block->ops;

	switch (piece->kind) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return piece->exact ? transfer(block, piece, piece->data.iov, piece->data.count)
				    : transfer_exactly(block, piece);
	case BLOCK_DISCARD:
		return ops->discard ? ops->discard(block, piece->offset, piece->length) : 0;
	case BLOCK_WRITE_ZEROES:
		if (ops->write_zeroes)
			return ops->write_zeroes(block, piece->offset, piece->length, piece->flags);
		return block_write_zero_buffers(block, piece->offset, piece->length,
						piece->flags & BLOCK_FUA);
	case BLOCK_FLUSH:
		return ops->flush(block);
	}
	return -EINVAL;
}

static int do_work(struct block_work *work)
{
	struct piece piece = { .kind = work->kind,
			       .flags = work->flags,
			       .block = work->block,
			       .offset = work->offset,
			       .length = work->length,
			       .data = iov_range_of(work->iov, work->count),
			       .exact = true };
	int rc = piece_work_here(&piece);

	work->done(work, MIN(rc, 0));
	return 0;
}

bool block_start_at_once(struct block *block, struct block_work *work)
{
	(void)block;
	do_work(work);
	return true;
}

static int work_fiber(void *arg)
{
	return do_work(arg);
}

bool block_start_on_fiber(struct block *block, struct block_work *work)
{
	(void)block;
	fiber_start(work_fiber, work);
	return true;
}

bool piece_start(const struct piece *piece, struct block_work *work, struct iovec *iov,
		 unsigned few)
{
	struct block *block = piece->block;

	if (!block->ops->start || piece_is_deep(piece))
		return false;
	work->block = block;
	work->kind = piece->kind;
	work->flags = piece->flags;
	work->offset = piece->offset;
	work->length = piece->length;
	work->iov = piece->data.iov;
	work->count = piece->data.count;
	if (piece->kind <= BLOCK_WRITE && !piece->exact) {
		struct iov_range data = piece->data;

		if (iov_take(&data, piece->length, iov, few, &work->count) < piece->length)
			return false;
		work->iov = iov;
	}
	return block->ops->start(block, work);
}

/* ---- The way down ---- */

int block_check_range(const struct block *block, uint64_t offset, uint64_t length)
{
	if (!range_within(offset, length, block->size) ||
	    (offset | length) & (block->logical_block_size - 1))
		return -EINVAL;
	return 0;
}

int piece_check(const struct piece *piece)
{
	static const unsigned allowed[] = {
		[BLOCK_READ] = 0,
		[BLOCK_WRITE] = BLOCK_FUA | BLOCK_STABLE,
		[BLOCK_WRITE_ZEROES] = BLOCK_FUA | BLOCK_MAY_UNMAP,
		[BLOCK_DISCARD] = 0,
		[BLOCK_FLUSH] = 0,
	};
	int rc = block_check_range(piece->block, piece->offset, piece->length);

	/* Two workers in one device would harm what is on it. */
	assert(!piece->block->home || piece->block->home == worker_current());
	if (rc)
		return rc;
	if (piece->flags & ~allowed[piece->kind])
		return -EINVAL;
	if (piece->kind != BLOCK_READ && piece->kind != BLOCK_FLUSH && piece->block->read_only)
		return -EROFS;
	return 0;
}

int block_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
	      struct block_extent *extent)
{
	int rc;

	extent->place = BLOCK_BELOW;
	rc = block->ops->map(block, kind, offset, length, extent);
	if (rc < 0)
		return rc;
	if (!extent->length || extent->length > length ||
	    (extent->place == BLOCK_ZEROES && kind == BLOCK_WRITE))
		return -EIO;
	if (extent->place == BLOCK_BELOW)
		return block_check_range(extent->lower, extent->offset, extent->length);
	return extent->length & (block->logical_block_size - 1) ? -EIO : 0;
}

void piece_leave(struct piece *piece)
{
	while (piece->depth)
		block_gate_leave(&piece->layers[--piece->depth]->gate);
}

/* A layer is entered once: what is left of a piece that it has split is in it already. */
static bool enter(struct piece *piece, bool wait)
{
	struct block_gate *gate = &piece->block->gate;

	if (piece->depth && piece->layers[piece->depth - 1] == piece->block)
		return true;
	if (gate->closed && !wait)
		return false;
	block_gate_enter(gate);
	piece->layers[piece->depth++] = piece->block;
	return true;
}

/* Takes `length` bytes off the front of a piece; the part is a request of its own to the gates. */
static void split(struct piece *piece, uint64_t length, struct piece *first)
{
	*first = *piece;
	first->length = length;
	first->exact = piece->exact = false;
	for (unsigned i = 0; i < piece->depth; i++)
		piece->layers[i]->gate.inside++;
	piece->offset += length;
	piece->length -= length;
	iov_advance(&piece->data, length);
}

/* What a layer's answer means for a piece, or for the first part of it. */
static enum piece_step arrive(struct piece *piece, const struct block_extent *extent)
{
	if (extent->place == BLOCK_BELOW) {
		piece->block = extent->lower;
		piece->offset = extent->offset;
		return PIECE_BELOW;
	}
	if (extent->place == BLOCK_HERE)
		return PIECE_STANDS;
	if (piece->kind == BLOCK_READ) {
		struct iov_range data = piece->data;

		iov_fill(&data, 0, piece->length);
	}
	piece_leave(piece);
	piece->length = 0;
	return PIECE_NOTHING;
}

int piece_descend(struct piece *piece, struct piece *first, bool wait)
{
	while (!piece_is_deep(piece)) {
		struct block_extent extent;
		enum piece_step step;
		int rc;

		if (!enter(piece, wait))
			return PIECE_CLOSED;
		if (!piece->block->ops->map || piece->kind == BLOCK_FLUSH)
			break;
		rc = block_map(piece->block, piece->kind, piece->offset, piece->length, &extent);
		if (rc < 0) {
			piece_leave(piece);
			return rc;
		}
		if (extent.length != piece->length) {
			split(piece, extent.length, first);
			arrive(first, &extent);
			return PIECE_SPLIT;
		}
		step = arrive(piece, &extent);
		if (step != PIECE_BELOW)
			return step;
	}
	return PIECE_STANDS;
}
