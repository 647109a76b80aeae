/*
 * What every block device has in common: lifetime, and the checks before a request goes its way down
 * (piece.c). See block.h for the contract.
 */
#include "block/block.h"

#include <errno.h>
#include <string.h>

#include "block/iov.h"
#include "block/piece.h"

/* ---- Lifetime ---- */

void block_init(struct block *block, const struct block_ops *ops, const char *name)
{
	*block = (struct block){
		.ops = ops,
		.name = strdup(name),
		.logical_block_size = 512,
		.physical_block_size = 512,
		.references = 1,
	};
	if (!block->name)
		abort();
}

void block_copy_limits(struct block *block, const struct block *lower)
{
	block->size = lower->size;
	block->logical_block_size = lower->logical_block_size;
	block->physical_block_size = lower->physical_block_size;
	block->preferred_io_size = lower->preferred_io_size;
	block->discard_granularity = lower->discard_granularity;
	block->read_only = lower->read_only;
}

struct block *block_ref(struct block *block)
{
	block->references++;
	return block;
}

void block_unref(struct block *block)
{
	char *name;

	if (!block || --block->references)
		return;
	name = block->name;
	block->ops->close(block); /* frees what `block` is in */
	free(name);
}

static int request(struct block *block, const struct piece *piece, unsigned allowed_flags)
{
	int status = block_check_range(block, piece->offset, piece->length);

	if (status < 0)
		return status;
	if (piece->flags & ~allowed_flags)
		return -EINVAL;
	if (piece->kind != PIECE_READ && block->read_only)
		return -EROFS;
	return piece->length ? piece_carry_out(*piece) : 0;
}

/* ---- Requests ---- */

int block_readv(struct block *block, uint64_t offset, const struct iovec *iov, unsigned count)
{
	struct piece piece = { .kind = PIECE_READ,
			       .block = block,
			       .offset = offset,
			       .data = iov_range_of(iov, count) };
	int status = iov_length(iov, count, &piece.length);

	return status < 0 ? status : request(block, &piece, 0);
}

int block_writev(struct block *block, uint64_t offset, const struct iovec *iov, unsigned count,
		 unsigned flags)
{
	struct piece piece = { .kind = PIECE_WRITE,
			       .flags = flags,
			       .block = block,
			       .offset = offset,
			       .data = iov_range_of(iov, count) };
	int status = iov_length(iov, count, &piece.length);

	return status < 0 ? status : request(block, &piece, BLOCK_FUA);
}

int block_read(struct block *block, uint64_t offset, void *at, uint64_t length)
{
	return block_readv(block, offset, &(struct iovec){ at, length }, 1);
}

int block_write(struct block *block, uint64_t offset, const void *at, uint64_t length,
		unsigned flags)
{
	return block_writev(block, offset, &(struct iovec){ (void *)at, length }, 1, flags);
}

int block_discard(struct block *block, uint64_t offset, uint64_t length)
{
	return request(
		block,
		&(struct piece){
			.kind = PIECE_DISCARD, .block = block, .offset = offset, .length = length },
		0);
}

int block_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	return request(block,
		       &(struct piece){ .kind = PIECE_WRITE_ZEROES,
					.flags = flags,
					.block = block,
					.offset = offset,
					.length = length },
		       BLOCK_FUA | BLOCK_MAY_UNMAP);
}

int block_flush(struct block *block)
{
	int status;

	block->in_flight++;
	status = block->ops->flush(block);
	block->in_flight--;
	return status < 0 ? status : 0;
}

int block_status(struct block *block, uint64_t offset, uint64_t *length, enum block_status *status)
{
	uint32_t unit = block->logical_block_size;
	int result = block_check_range(block, offset, *length);

	*status = BLOCK_STATUS_DATA;
	if (result < 0 || !*length)
		return result;
	while (block->ops->resolve) {
		struct block_extent extent;

		result = block_resolve(block, offset, *length, &extent);
		if (result < 0)
			return result;
		block = extent.lower;
		offset = extent.offset;
		*length = extent.length;
	}
	if (block->ops->status) {
		block->in_flight++;
		result = block->ops->status(block, offset, length, status);
		block->in_flight--;
		if (result < 0)
			return result;
	}
	/* A lower layer's blocks may be smaller than those that the caller counts in. */
	*length -= *length % unit;
	if (!*length) {
		*length = unit;
		*status = BLOCK_STATUS_DATA;
	}
	return 0;
}
