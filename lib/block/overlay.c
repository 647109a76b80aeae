/* SPDX-License-Identifier: BSD-2-Clause */
/* See overlay.h. A list of changes in their order; a read takes what lies below and lays them over it. */
#include "block/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/list.h"

struct overlay_change {
	struct list node;
	uint64_t offset, length;
	char *data; /* NULL: zeroes */
};

struct overlay {
	struct block block;
	struct block *lower;
	struct list changes;
	uint64_t written, kept; /* bytes */
};

static struct overlay *overlay_of(const struct block *block)
{
	return container_of((struct block *)block, struct overlay, block);
}

/* Of zeroes where `iov` is NULL. */
static int add_change(struct overlay *overlay, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct iov_range from = iov_range_of(iov, count);
	struct overlay_change *change;

	if (iov && length > BLOCK_OVERLAY_MOST - overlay->kept)
		return -ENOSPC;
	change = calloc(1, sizeof(*change));
	if (!change)
		return -ENOMEM;
	if (iov) {
		change->data = malloc(length);
		if (!change->data) {
			free(change);
			return -ENOMEM;
		}
		iov_copy_out(&from, change->data, length);
		overlay->kept += length;
	}
	change->offset = offset;
	change->length = length;
	overlay->written += length;
	list_add_tail(&overlay->changes, &change->node);
	return 0;
}

/* Lays the part of the change that is in [offset, offset + length) over what was read of that. */
static void lay_change_over(const struct overlay_change *change, uint64_t offset, uint64_t length,
			    const struct iovec *iov, unsigned count)
{
	uint64_t start = MAX(offset, change->offset);
	uint64_t end = MIN(offset + length, change->offset + change->length);
	struct iov_range to = iov_range_of(iov, count);

	if (start >= end)
		return;
	iov_advance(&to, start - offset);
	if (change->data)
		iov_copy_in(&to, change->data + (start - change->offset), end - start);
	else
		iov_fill(&to, 0, end - start);
}

static int overlay_readv(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count)
{
	struct overlay *overlay = overlay_of(block);
	int rc = block_readv(overlay->lower, offset, iov, count);

	if (rc < 0)
		return rc;
	list_for_each(at, &overlay->changes)
		lay_change_over(list_entry(at, struct overlay_change, node), offset, length, iov,
				count);
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

/* Nothing is known of what was written. */
static int overlay_status(struct block *block, uint64_t offset, uint64_t *length,
			  enum block_status *status)
{
	struct overlay *overlay = overlay_of(block);

	*status = BLOCK_STATUS_DATA;
	return list_empty(&overlay->changes) ? block_status(overlay->lower, offset, length, status)
					     : 0;
}

static int overlay_flush(struct block *block)
{
	(void)block;
	return 0;
}

static void overlay_close(struct block *block)
{
	struct overlay *overlay = overlay_of(block);
	struct list *at;

	while ((at = list_pop(&overlay->changes))) {
		struct overlay_change *change = list_entry(at, struct overlay_change, node);

		free(change->data);
		free(change);
	}
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
	list_init(&overlay->changes);
	*out = &overlay->block;
	return 0;
}

uint64_t block_overlay_written(const struct block *block)
{
	return overlay_of(block)->written;
}
