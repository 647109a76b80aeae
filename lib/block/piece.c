/*
 * The way of a request down to the layers that work, and the work itself.
 *
 * piece_carry_out() takes a piece down through resolve() until it stands on a layer that works. Mostly the
 * whole piece arrives there, on the caller's fiber and with the caller's own iovecs; where a layer
 * splits it, the parts are worked on at the same time.
 */
#include "block/piece.h"

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
		int status;

		for (uint64_t at = 0; at < step; at += ZEROES_SIZE)
			iov[count++] = (struct iovec){ .iov_base = (void *)zeroes,
						       .iov_len = MIN(ZEROES_SIZE, step - at) };
		status = block->ops->writev(block, offset, step, iov, count, flags);
		if (status < 0)
			return status;
		offset += step;
		left -= step;
	}
	return 0;
}

static int transfer(struct block *block, const struct piece *piece, const struct iovec *iov,
		    unsigned count)
{
	if (piece->kind == PIECE_READ)
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

static bool iov_is_exact(const struct piece *piece)
{
	uint64_t length;

	return !piece->data.skip && !iov_length(piece->data.iov, piece->data.count, &length) &&
	       length == piece->length;
}

static int work(const struct piece *piece)
{
	struct block *block = piece->block;
	const struct block_ops *ops = block->ops;
	int status = 0;

	block->in_flight++;
	switch (piece->kind) {
	case PIECE_READ:
	case PIECE_WRITE:
		status = iov_is_exact(piece)
				 ? transfer(block, piece, piece->data.iov, piece->data.count)
				 : transfer_exactly(block, piece);
		break;
	case PIECE_DISCARD:
		if (ops->discard)
			status = ops->discard(block, piece->offset, piece->length);
		break;
	case PIECE_WRITE_ZEROES:
		if (ops->write_zeroes)
			status = ops->write_zeroes(block, piece->offset, piece->length,
						   piece->flags);
		else
			status = block_write_zero_buffers(block, piece->offset, piece->length,
							  piece->flags & BLOCK_FUA);
		break;
	}
	block->in_flight--;
	return status < 0 ? status : 0;
}

/* ---- The way down ---- */

int block_check_range(const struct block *block, uint64_t offset, uint64_t length)
{
	if (!range_within(offset, length, block->size) ||
	    (offset | length) & (block->logical_block_size - 1))
		return -EINVAL;
	return 0;
}

int block_resolve(struct block *block, uint64_t offset, uint64_t length,
		  struct block_extent *extent)
{
	int status = block->ops->resolve(block, offset, length, extent);

	if (status < 0)
		return status;
	if (!extent->length || extent->length > length)
		return -EIO;
	return block_check_range(extent->lower, extent->offset, extent->length);
}

/* Steps down one layer. 1: the whole piece, 0: only *first of it, and `piece` is what is left. */
static int step_down(struct piece *piece, struct piece *first)
{
	struct block_extent extent;
	int status = block_resolve(piece->block, piece->offset, piece->length, &extent);

	if (status < 0)
		return status;
	if (extent.length == piece->length) {
		piece->block = extent.lower;
		piece->offset = extent.offset;
		return 1;
	}
	*first = *piece;
	first->block = extent.lower;
	first->offset = extent.offset;
	first->length = extent.length;
	piece->offset += extent.length;
	piece->length -= extent.length;
	iov_advance(&piece->data, extent.length);
	return 0;
}

/* ---- Parts of a split request ---- */

#define BATCH_SIZE 16

struct batch {
	struct piece pieces[BATCH_SIZE];
	unsigned count;
};

static int work_fiber(void *arg)
{
	return work(arg);
}

/* Works on all of them at once, where the caller is on a fiber. */
static int batch_run(struct batch *batch)
{
	struct fiber *fibers[BATCH_SIZE];
	bool parallel = fiber_current();
	int result = 0;

	for (unsigned i = 1; parallel && i < batch->count; i++)
		fibers[i] = fiber_spawn(work_fiber, &batch->pieces[i]);
	for (unsigned i = 0; i < batch->count; i++) {
		int status = i && parallel ? fiber_join(fibers[i]) : work(&batch->pieces[i]);

		if (status < 0 && !result)
			result = status;
	}
	batch->count = 0;
	return result;
}

/* A discard of many stripes comes together again on each disk. */
static bool batch_merge(struct batch *batch, const struct piece *piece)
{
	if (piece->kind == PIECE_READ || piece->kind == PIECE_WRITE)
		return false;
	for (unsigned i = 0; i < batch->count; i++) {
		struct piece *other = &batch->pieces[i];

		if (other->block == piece->block &&
		    other->offset + other->length == piece->offset) {
			other->length += piece->length;
			return true;
		}
	}
	return false;
}

/* Takes the parts of `piece` down to where they are worked on, and runs the batch when it is full. */
static int gather(struct batch *batch, struct piece piece)
{
	struct piece first;
	int status;

	while (piece.block->ops->resolve) {
		status = step_down(&piece, &first);
		if (!status)
			status = gather(batch, first);
		if (status < 0)
			return status;
	}
	if (batch_merge(batch, &piece))
		return 0;
	status = batch->count == BATCH_SIZE ? batch_run(batch) : 0;
	if (!status)
		batch->pieces[batch->count++] = piece;
	return status;
}

static int carry_out_split(const struct piece *first, const struct piece *rest)
{
	struct batch batch = { .count = 0 };
	int status = gather(&batch, *first);

	if (!status)
		status = gather(&batch, *rest);
	/* What is left of a request that has failed need not be done. */
	return status < 0 ? status : batch_run(&batch);
}

int piece_carry_out(struct piece piece)
{
	struct piece first;

	while (piece.block->ops->resolve) {
		int status = step_down(&piece, &first);

		if (status < 0)
			return status;
		if (!status)
			return carry_out_split(&first, &piece);
	}
	return work(&piece);
}
