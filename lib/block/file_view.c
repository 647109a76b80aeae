/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views of files (view.h). The descriptor is shared, and so is what was found out when it was opened; buffers, and what was
 * done in the present round, are each view's own.
 *
 * At home is done what needs one place for all: flushes, which remember a lost write, writes that are to be durable
 * where that takes a flush, changes by fallocate(), and all changes of a file whose units of direct I/O are larger
 * than the device's blocks, for which there are locks.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/file.h"
#include "block/lease.h"
#include "block/view.h"

bool file_has_views(const struct block *block)
{
	(void)block;
	return true;
}

static bool writes_at_home(const struct file *file, unsigned flags)
{
	return file->direct_unit > file->block.logical_block_size ||
	       (flags & BLOCK_FUA && file_is_cached(file));
}

static bool file_view_start(struct block *block, struct block_work *work)
{
	if (work->kind > BLOCK_WRITE ||
	    (work->kind == BLOCK_WRITE && writes_at_home(file_of(block), work->flags)))
		return false;
	return file_start(block, work);
}

static int file_view_writev(struct block *block, uint64_t offset, uint64_t length,
			    const struct iovec *iov, unsigned count, unsigned flags)
{
	if (writes_at_home(file_of(block), flags))
		return block_view_writev(block, offset, length, iov, count, flags);
	return file_writev(block, offset, length, iov, count, flags);
}

static void file_view_close(struct block *block)
{
	file_free_bounce(file_of(block));
	free(file_of(block));
}

static const struct block_ops view_ops = {
	.type = "file view",
	.start = file_view_start,
	.readv = file_readv,
	.writev = file_view_writev,
	.discard = block_view_discard,
	.write_zeroes = block_view_write_zeroes,
	.status = file_status,
	.flush = block_view_flush,
	.close = file_view_close,
};

struct block *file_view(struct block *block)
{
	const struct file *file = file_of(block);
	struct file *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	block_init(&view->block, &view_ops, block->name);
	view->fd = file->fd;
	view->tail_fd = file->tail_fd;
	view->is_device = file->is_device;
	view->in_memory = file->in_memory;
	view->direct = file->direct;
	view->direct_unit = file->direct_unit;
	view->direct_memory = file->direct_memory;
	view->direct_end = file->direct_end;
	view->odd_end = file->odd_end;
	range_lock_init(&view->writes, 20);
	file_flushes_init(&view->flushes);
	return &view->block;
}

/* ---- Leases ---- */

int file_lease(const struct block *block, uint64_t end, struct lease_file *out)
{
	const struct file *file = file_of((struct block *)block);

	if (block->gone || file->odd_end ||
	    (file->direct &&
	     (file->direct_unit > block->logical_block_size || end > file->direct_end)))
		return -EOPNOTSUPP;
	out->least = block->size;
	out->unit = file->direct ? file->direct_unit : 1;
	out->memory = file->direct ? file->direct_memory : 1;
	return file->fd;
}
