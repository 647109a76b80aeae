/* SPDX-License-Identifier: BSD-2-Clause */
/* See overlay.h. A tree of what was written, in extents that do not overlap; a read takes what lies below and lays them over it. */
#include "block/overlay.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "util/bytes.h"
#include "util/error.h"

struct extent {
	uint64_t start, end; /* bytes; these may shrink */
	char *data;          /* NULL: zeroes; else what it had when it was made */
	uint64_t data_start, data_length;
};

struct overlay {
	struct block block;
	struct block *lower;
	void *tree;             /* of extents, for tsearch() */
	uint64_t written, kept; /* bytes */
	bool broken;            /* there was no memory in the middle of a change */
};

static struct overlay *overlay_of(const struct block *block)
{
	return container_of((struct block *)block, struct overlay, block);
}

/* ---- Extents ---- */

/* Those that overlap are the same, so a range finds one that is in it. */
static int compare_extents(const void *a, const void *b)
{
	const struct extent *left = a, *right = b;

	return left->end <= right->start ? -1 : left->start >= right->end;
}

static struct extent *find_written(const struct overlay *overlay, uint64_t start, uint64_t end)
{
	const struct extent key = { .start = start, .end = end };
	struct extent *const *found = tfind(&key, &overlay->tree, compare_extents);

	return found ? *found : NULL;
}

static void extent_free(void *arg)
{
	struct extent *extent = arg;

	free(extent->data);
	free(extent);
}

/* Of zeroes where `from` is NULL. */
static struct extent *extent_new(uint64_t start, uint64_t length, struct iov_range *from)
{
	struct extent *extent = calloc(1, sizeof(*extent));

	if (!extent)
		return NULL;
	extent->start = extent->data_start = start;
	extent->end = start + length;
	if (!from)
		return extent;
	extent->data_length = length;
	extent->data = malloc(length);
	if (!extent->data) {
		free(extent);
		return NULL;
	}
	iov_copy_out(from, extent->data, length);
	return extent;
}

/* The part of an extent that begins at `start`. */
static struct extent *extent_rest(const struct extent *extent, uint64_t start)
{
	struct iovec iov = { extent->data + (start - extent->data_start), extent->end - start };
	struct iov_range from = iov_range_of(&iov, 1);

	return extent_new(start, extent->end - start, extent->data ? &from : NULL);
}

static int insert(struct overlay *overlay, struct extent *extent)
{
	if (!tsearch(extent, &overlay->tree, compare_extents)) {
		extent_free(extent);
		overlay->broken = true;
		return -ENOMEM;
	}
	overlay->kept += extent->data_length;
	return 0;
}

/* Nothing of what was written is in [start, end) any more. */
static int clear_range(struct overlay *overlay, uint64_t start, uint64_t end)
{
	struct extent *old;

	while ((old = find_written(overlay, start, end))) {
		if (old->start < start && old->end > end) {
			struct extent *rest = extent_rest(old, end);

			if (!rest)
				return -ENOMEM;
			old->end = start;
			return insert(overlay, rest);
		}
		if (old->start < start) {
			old->end = start;
		} else if (old->end > end) {
			old->start = end;
		} else {
			tdelete(old, &overlay->tree, compare_extents);
			overlay->kept -= old->data_length;
			extent_free(old);
		}
	}
	return 0;
}

static int add_change(struct overlay *overlay, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct iov_range from = iov_range_of(iov, count);
	struct extent *extent;
	int rc;

	if (iov && length > BLOCK_OVERLAY_MOST - MIN(overlay->kept, BLOCK_OVERLAY_MOST))
		return -ENOSPC;
	extent = extent_new(offset, length, iov ? &from : NULL);
	rc = extent ? clear_range(overlay, offset, offset + length) : -ENOMEM;
	if (rc) {
		if (extent)
			extent_free(extent);
		return rc;
	}
	overlay->written += length;
	return insert(overlay, extent);
}

/* Whether all of [start, end) was. */
static bool is_written(const struct overlay *overlay, uint64_t start, uint64_t end)
{
	const struct extent *extent;

	while (start < end && (extent = find_written(overlay, start, start + 1)))
		start = extent->end;
	return start >= end;
}

/* Lays what was written in [start, end) over what was read from `offset` on. */
static void lay_extents_over(const struct overlay *overlay, uint64_t start, uint64_t end,
			     uint64_t offset, const struct iovec *iov, unsigned count)
{
	const struct extent *extent = start < end ? find_written(overlay, start, end) : NULL;
	struct iov_range to = iov_range_of(iov, count);
	uint64_t from, until;

	if (!extent)
		return;
	from = MAX(start, extent->start);
	until = MIN(end, extent->end);
	iov_advance(&to, from - offset);
	if (extent->data)
		iov_copy_in(&to, extent->data + (from - extent->data_start), until - from);
	else
		iov_fill(&to, 0, until - from);
	lay_extents_over(overlay, start, from, offset, iov, count);
	lay_extents_over(overlay, until, end, offset, iov, count);
}

/* ---- The layer ---- */

static int overlay_readv(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count)
{
	struct overlay *overlay = overlay_of(block);
	/* Whether it can be read below does not matter then. */
	int rc = is_written(overlay, offset, offset + length)
			 ? 0
			 : block_readv(overlay->lower, offset, iov, count);

	if (rc < 0)
		return rc;
	if (overlay->broken)
		return -ENOMEM;
	lay_extents_over(overlay, offset, offset + length, offset, iov, count);
	return 0;
}

static int overlay_writev(struct block *block, uint64_t offset, uint64_t length,
			  const struct iovec *iov, unsigned count, unsigned flags)
{
	(void)flags;
	return add_change(overlay_of(block), offset, length, iov, count);
}

static int overlay_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
				unsigned flags)
{
	(void)flags;
	return add_change(overlay_of(block), offset, length, NULL, 0);
}

static int overlay_status(struct block *block, uint64_t offset, uint64_t *length,
			  enum block_status *status)
{
	struct overlay *overlay = overlay_of(block);
	const struct extent *extent;

	while ((extent = find_written(overlay, offset, offset + *length)) && extent->start > offset)
		*length = extent->start - offset;
	if (!extent)
		return block_status(overlay->lower, offset, length, status);
	*length = MIN(*length, extent->end - offset);
	*status = extent->data ? BLOCK_STATUS_DATA : BLOCK_STATUS_ZERO;
	return 0;
}

static int overlay_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void overlay_close(struct block *block)
{
	struct overlay *overlay = overlay_of(block);

	tdestroy(overlay->tree, extent_free);
	block_unref(overlay->lower);
	free(overlay);
}

static const struct block_ops overlay_ops = {
	.type = "overlay",
	.start = block_start_on_fiber,
	.readv = overlay_readv,
	.writev = overlay_writev,
	.write_zeroes = overlay_write_zeroes,
	.status = overlay_status,
	.flush = overlay_flush,
	.close = overlay_close,
};

int block_create_overlay(struct block **out, struct block *lower, struct error *error)
{
	struct overlay *overlay = calloc(1, sizeof(*overlay));

	if (!overlay)
		return error_set(error, -ENOMEM, "%s: no memory", lower->name);
	block_init(&overlay->block, &overlay_ops, lower->name);
	block_copy_limits(&overlay->block, lower);
	overlay->block.read_only = false;
	overlay->lower = block_ref(lower);
	*out = &overlay->block;
	return 0;
}

uint64_t block_overlay_written(const struct block *block)
{
	return overlay_of(block)->written;
}
