/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block of a step that runs (move.h): reads come from the first place, writes go to both, and ranges are locked so that a
 * copy and a write do not cross. The first place decides what a request came to: of the second nothing is promised, an error
 * there only means that the step cannot end. So it is noted, and the second place is left alone from then on. From the last flush
 * before the commit of "moved" on (`strict`) both count: whoever reads that commit looks at the second place.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "block/range_lock.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/move.h"

#define LOCK_SHIFT 20

struct move_block {
	struct block block;
	struct block *from, *to;
	uint64_t from_offset, to_offset;
	struct range_lock ranges;
	int failed; /* the first error of `to` */
	/* Was data when it was asked; what became a hole since is copied as zeroes. */
	uint64_t data_from, data_to;
	bool strict; /* both count: a commit is on its way after which the second place is all there is */
};

static struct move_block *move_of(struct block *block)
{
	return container_of(block, struct move_block, block);
}

static int move_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		    struct block_extent *extent)
{
	const struct move_block *move = move_of(block);

	*extent = (struct block_extent){ .length = length };
	if (kind == BLOCK_READ) {
		extent->lower = move->from;
		extent->offset = move->from_offset + offset;
	} else {
		extent->place = BLOCK_HERE;
	}
	return 0;
}

/* What a request came to of which the first `count` were done. */
static int result_of(struct move_block *move, const struct block_io *ios, unsigned count)
{
	if (count == 2 && ios[1].result && !move->failed)
		move->failed = ios[1].result;
	return ios[0].result || !move->strict ? ios[0].result : move->failed;
}

/* The same request to both. */
static int change_both(struct move_block *move, const struct block_io *request)
{
	struct block_io ios[2] = { *request, *request };
	struct range_hold hold;
	unsigned count = move->failed ? 1 : 2;

	ios[0].block = move->from;
	ios[0].offset += move->from_offset;
	ios[1].block = move->to;
	ios[1].offset += move->to_offset;
	range_lock(&move->ranges, &hold, request->offset, request->offset + request->length);
	block_run_all(ios, count);
	range_unlock(&move->ranges, &hold);
	return result_of(move, ios, count);
}

static int move_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	return change_both(move_of(block), &(struct block_io){ .kind = BLOCK_WRITE,
							       .flags = flags,
							       .offset = offset,
							       .length = length,
							       .iov = iov,
							       .count = count });
}

static int move_discard(struct block *block, uint64_t offset, uint64_t length)
{
	return change_both(move_of(block), &(struct block_io){ .kind = BLOCK_DISCARD,
							       .offset = offset,
							       .length = length });
}

static int move_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	return change_both(move_of(block), &(struct block_io){ .kind = BLOCK_WRITE_ZEROES,
							       .flags = flags,
							       .offset = offset,
							       .length = length });
}

static int move_flush(struct block *block)
{
	struct move_block *move = move_of(block);
	struct block_io ios[2] = { { .block = move->from, .kind = BLOCK_FLUSH },
				   { .block = move->to, .kind = BLOCK_FLUSH } };
	unsigned count = move->failed || move->from == move->to ? 1 : 2;

	block_run_all(ios, count);
	return result_of(move, ios, count);
}

static void move_close(struct block *block)
{
	struct move_block *move = move_of(block);

	block_unref(move->from);
	block_unref(move->to);
	free(move);
}

static const struct block_ops move_ops = {
	.type = "move",
	.map = move_map,
	.writev = move_writev,
	.discard = move_discard,
	.write_zeroes = move_write_zeroes,
	.flush = move_flush,
	.close = move_close,
};

int lvm_move_block_create(struct block **out, const char *name, struct block *from,
			  uint64_t from_offset, struct block *to, uint64_t to_offset,
			  uint64_t length, struct error *error)
{
	struct move_block *move = calloc(1, sizeof(*move));

	if (!move)
		return error_set(error, -ENOMEM, "%s: no memory to move it", name);
	block_init(&move->block, &move_ops, name);
	block_copy_limits(&move->block, from);
	move->block.logical_block_size = MAX(from->logical_block_size, to->logical_block_size);
	move->block.physical_block_size = MAX(from->physical_block_size, to->physical_block_size);
	move->block.size = length;
	range_lock_init(&move->ranges, LOCK_SHIFT);
	move->from = block_ref(from);
	move->from_offset = from_offset;
	move->to = block_ref(to);
	move->to_offset = to_offset;
	*out = &move->block;
	return 0;
}

/* With the range locked, so that a hole stays one. Where data end a file system may have to look for page by page (tmpfs): that is asked once for them. */
static bool is_hole(struct move_block *move, uint64_t offset, uint64_t length)
{
	enum block_status status;
	uint64_t known = move->block.size - offset;

	if (offset >= move->data_from && offset + length <= move->data_to)
		return false;
	if (block_status(move->from, move->from_offset + offset, &known, &status))
		return false;
	if (status == BLOCK_STATUS_ZERO)
		return known >= length;
	move->data_from = offset;
	move->data_to = offset + known;
	return false;
}

static int copy_range(struct move_block *move, uint64_t offset, void *buffer, uint64_t length)
{
	int rc;

	if (is_hole(move, offset, length)) {
		rc = block_write_zeroes(move->to, move->to_offset + offset, length,
					BLOCK_MAY_UNMAP);
	} else {
		rc = block_read(move->from, move->from_offset + offset, buffer, length);
		if (rc)
			return rc;
		rc = block_write(move->to, move->to_offset + offset, buffer, length, BLOCK_STABLE);
	}
	if (rc && !move->failed)
		move->failed = rc;
	return rc;
}

int lvm_move_block_copy(struct block *block, uint64_t offset, void *buffer, uint64_t length)
{
	struct move_block *move = move_of(block);
	struct range_hold hold;
	int rc = move->failed;

	if (rc)
		return rc;
	range_lock(&move->ranges, &hold, offset, offset + length);
	rc = copy_range(move, offset, buffer, length);
	range_unlock(&move->ranges, &hold);
	return rc;
}

int lvm_move_block_settle(struct block *block, struct error *error)
{
	struct move_block *move = move_of(block);
	int rc;

	move->strict = !move->failed;
	rc = move->failed ? 0 : block_flush(move->to);
	if (rc && !move->failed)
		move->failed = rc;
	if (move->failed)
		move->strict = false;
	return move->failed ? error_set(error, move->failed, "%s: writing to %s: %s", block->name,
					move->to->name, error_name(move->failed))
			    : 0;
}

void lvm_move_block_relax(struct block *block)
{
	move_of(block)->strict = false;
}
