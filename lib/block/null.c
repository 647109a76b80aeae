/* SPDX-License-Identifier: BSD-2-Clause */
/* A block device that does nothing, for measuring the layers above it; as null-co of QEMU, it does not
 * even touch the memory of a read. */
#include "block/block.h"

#include <errno.h>
#include <stdlib.h>

#include "block/layer.h"
#include "util/error.h"

static int null_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	(void)block, (void)offset, (void)length, (void)iov, (void)count;
	return 0;
}

static int null_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	(void)block, (void)offset, (void)length, (void)iov, (void)count, (void)flags;
	return 0;
}

static int null_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	(void)block, (void)offset, (void)length, (void)flags;
	return 0;
}

static int null_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void null_close(struct block *block)
{
	free(block);
}

static const struct block_ops null_ops = {
	.type = "null",
	.start = block_start_at_once,
	.readv = null_readv,
	.writev = null_writev,
	.write_zeroes = null_write_zeroes,
	.flush = null_flush,
	.close = null_close,
};

int block_create_null(struct block **out, const char *name, uint64_t size, struct error *error)
{
	struct block *block;

	if (!size || size % 512)
		return error_set(error, -EINVAL, "%s: %llu bytes is no multiple of 512", name,
				 (unsigned long long)size);
	block = malloc(sizeof(*block));
	if (!block)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	block_init(block, &null_ops, name);
	block->size = size;
	*out = block;
	return 0;
}
