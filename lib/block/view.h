/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views: one device used by several workers.
 *
 * A device belongs to its home worker. A view of it is a block device whose home is another worker; what is read and
 * written by the view is read and written of the device. Reads and writes take no turn at the home where nothing
 * is shared for them but a descriptor: files, and layers that translate to such (slices, linear and striped volumes).
 * Everything else is called home, one by one: flushes, zeroing, discards, all of a device that keeps state (an array).
 *
 * Why a flush means the same. It is carried out at home, for all workers: what was acknowledged to anybody before it
 * began has reached the kernel, and one flush of a file runs at a time, so an error that the kernel tells but once
 * is seen by the one place that remembers it (file_async.c).
 *
 * Changes. block_quiesce() closes the views' gates first, then the device's own: what a view calls home still gets
 * through, and then nobody is inside anywhere. A view of a layer that translates asks that layer's own map(), whose table
 * is only replaced then; it remembers views of the layers below, and forgets them when its gate is closed, so that
 * nothing keeps a device which the new table has not. What it does not remember goes home.
 *
 * States of a view, changed at home under the device's `views.lock` only:
 *
 *	none --block_view()--> used by 1 --block_view()--> used by n --block_view_put()--> ... used by 0: gone
 */
#ifndef TENON_BLOCK_VIEW_H
#define TENON_BLOCK_VIEW_H

#include "block/block.h"

/* Whether views of it do reads and writes themselves. On its home. */
bool block_has_views(const struct block *block);

/*
 * The view of `block` for the calling worker, which is another than its home; all on one worker who ask get the same
 * one. Give it back with block_view_put() on this worker, once no request is in it; it is not counted by block_ref(). 0,
 * -EOPNOTSUPP where block_has_views() says no, or -ENOMEM. Suspends. The home runs until then.
 */
int block_view(struct block **out, struct block *block);
void block_view_put(struct block *view); /* NULL is fine */

/* ---- For change.c ---- */

/* Closes the gates of all views, and then the device's own, in which requests may still be. Suspends. */
void block_views_close(struct block *block);
/* Opens the device's and theirs again. No view comes between two of them, which would find one closed and another not. */
void block_views_open(struct block *block);
/* Tells them of the device's size and whether it is read-only or gone. `wait`: suspends until all know, if there are any. */
void block_views_tell(struct block *block, bool wait);

/* ---- For layers that have views of their own kind ---- */

/* These do it at home, on the device itself. */
int block_view_readv(struct block *view, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count);
int block_view_writev(struct block *view, uint64_t offset, uint64_t length, const struct iovec *iov,
		      unsigned count, unsigned flags);
int block_view_discard(struct block *view, uint64_t offset, uint64_t length);
int block_view_write_zeroes(struct block *view, uint64_t offset, uint64_t length, unsigned flags);
int block_view_flush(struct block *view);

#endif
