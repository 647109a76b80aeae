/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every block device has in common: lifetime, and the checks before a request goes its way down
 * (piece.c). See block.h for the contract.
 */
#include "block/block.h"

#include <errno.h>
#include <string.h>

#include "block/iov.h"
#include "block/lease.h"
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
		.home = worker_current(),
	};
	block_gate_init(&block->gate);
	list_init(&block->watches);
	list_init(&block->leases.ties);
	list_init(&block->views.all);
	fiber_mutex_init(&block->views.lock);
	list_init(&block->view.node);
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

void block_move(struct block *block)
{
	block->home = worker_current();
}

void block_unref(struct block *block)
{
	char *name;

	if (!block)
		return;
	/* Before the last one goes, so that whoever takes one meanwhile has it. */
	if (block->references == 1)
		block_leases_wait(block);
	if (--block->references)
		return;
	name = block->name;
	block->ops->close(block); /* frees what `block` is in */
	free(name);
}

/* ---- Requests ---- */

static int request(struct piece *piece)
{
	int rc = piece_check(piece);

	if (rc)
		return rc;
	return piece->length || piece->kind == BLOCK_FLUSH ? piece_carry_out(piece) : 0;
}

static int request_with_data(enum block_kind kind, struct block *block, uint64_t offset,
			     const struct iovec *iov, unsigned count, unsigned flags)
{
	struct piece piece;
	int rc = iov_length(iov, count, &piece.length);

	if (rc < 0)
		return rc;
	piece.kind = kind;
	piece.flags = flags;
	piece.block = block;
	piece.offset = offset;
	piece.data = iov_range_of(iov, count);
	piece.exact = true;
	piece.depth = 0;
	return request(&piece);
}

static int request_without_data(enum block_kind kind, struct block *block, uint64_t offset,
				uint64_t length, unsigned flags)
{
	return request(&(struct piece){
		.kind = kind, .flags = flags, .block = block, .offset = offset, .length = length });
}

int block_readv(struct block *block, uint64_t offset, const struct iovec *iov, unsigned count)
{
	return request_with_data(BLOCK_READ, block, offset, iov, count, 0);
}

int block_writev(struct block *block, uint64_t offset, const struct iovec *iov, unsigned count,
		 unsigned flags)
{
	return request_with_data(BLOCK_WRITE, block, offset, iov, count, flags);
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
	return request_without_data(BLOCK_DISCARD, block, offset, length, 0);
}

int block_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	return request_without_data(BLOCK_WRITE_ZEROES, block, offset, length, flags);
}

int block_flush(struct block *block)
{
	return request_without_data(BLOCK_FLUSH, block, 0, 0, 0);
}

static int status_of(struct block *block, uint64_t offset, uint64_t *length,
		     enum block_status *status)
{
	struct block_extent extent = { .place = BLOCK_HERE, .length = *length };
	int rc = 0;

	block_gate_enter(&block->gate);
	if (block->ops->map)
		rc = block_map(block, BLOCK_READ, offset, *length, &extent);
	if (!rc) {
		*length = extent.length;
		if (extent.place == BLOCK_BELOW)
			rc = status_of(extent.lower, extent.offset, length, status);
		else if (extent.place == BLOCK_ZEROES)
			*status = BLOCK_STATUS_ZERO;
		else if (block->ops->status)
			rc = block->ops->status(block, offset, length, status);
	}
	block_gate_leave(&block->gate);
	return rc;
}

const void *block_lend(struct block *block, uint64_t offset, uint64_t length)
{
	if (!block->ops->lend || block->gone || block_check_range(block, offset, length))
		return NULL;
	return block->ops->lend(block, offset);
}

int block_status(struct block *block, uint64_t offset, uint64_t *length, enum block_status *status)
{
	uint32_t unit = block->logical_block_size;
	int rc = block_check_range(block, offset, *length);

	*status = BLOCK_STATUS_DATA;
	if (!rc && *length)
		rc = status_of(block, offset, length, status);
	if (rc < 0 || !*length)
		return rc;
	/* A lower layer's blocks may be smaller than those that the caller counts in. */
	*length -= *length % unit;
	if (!*length) {
		*length = unit;
		*status = BLOCK_STATUS_DATA;
	}
	return 0;
}
