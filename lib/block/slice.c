/* SPDX-License-Identifier: BSD-2-Clause */
/* A contiguous part of another block device: pure translation. */
#include "block/block.h"

#include <errno.h>

#include "block/view.h"
#include "util/bytes.h"
#include "util/error.h"

struct slice {
	struct block block;
	struct block *lower;
	uint64_t offset;
};

static struct slice *slice_of(struct block *block)
{
	return container_of(block, struct slice, block);
}

static int slice_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		     struct block_extent *extent)
{
	struct slice *slice = slice_of(block);

	(void)kind;
	*extent = (struct block_extent){ .lower = slice->lower,
					 .offset = slice->offset + offset,
					 .length = length };
	return 0;
}

static bool slice_has_views(const struct block *block)
{
	return block_has_views(container_of(block, const struct slice, block)->lower);
}

static int slice_flush(struct block *block)
{
	return block_flush(slice_of(block)->lower);
}

static void slice_close(struct block *block)
{
	struct slice *slice = slice_of(block);

	block_unref(slice->lower);
	free(slice);
}

static const struct block_ops slice_ops = {
	.type = "slice",
	.map = slice_map,
	.has_views = slice_has_views,
	.flush = slice_flush,
	.close = slice_close,
};

int block_create_slice(struct block **out, const char *name, struct block *lower, uint64_t offset,
		       uint64_t length, struct error *error)
{
	struct slice *slice;

	if (!length || !range_within(offset, length, lower->size))
		return error_set(error, -EINVAL,
				 "%s: slice of %llu bytes at byte %llu lies outside %s, which has "
				 "%llu bytes",
				 name, (unsigned long long)length, (unsigned long long)offset,
				 lower->name, (unsigned long long)lower->size);
	if ((offset | length) & (lower->logical_block_size - 1))
		return error_set(error, -EINVAL,
				 "%s: slice of %llu bytes at byte %llu: expected multiples of the "
				 "%u-byte blocks of %s",
				 name, (unsigned long long)length, (unsigned long long)offset,
				 lower->logical_block_size, lower->name);
	slice = calloc(1, sizeof(*slice));
	if (!slice)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	block_init(&slice->block, &slice_ops, name);
	block_copy_limits(&slice->block, lower);
	slice->block.size = length;
	slice->lower = block_ref(lower);
	slice->offset = offset;
	*out = &slice->block;
	return 0;
}
