/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several frames to or from a TAP in one system call, through io_uring. A TAP takes and gives one frame
 * for each read or write; the entry into the kernel is a good part of what a small frame costs.
 *
 * No operation waits, so each ends at once, and in the order given. io_uring waits even on an fd in
 * non-blocking mode where the file can be polled, unless the operation itself says RWF_NOWAIT. Linux 6.1
 * refuses that flag for a TAP (and waits without it): there is no batching there.
 */
#ifndef TENON_NETDEV_TAP_BATCH_H
#define TENON_NETDEV_TAP_BATCH_H

#include <sys/uio.h>

#include "util/cleanup.h"

#define TAP_BATCH_MAX 32

struct tap;
struct tap_batch;

/* For the queues of `tap`, which stays the caller's. -EOPNOTSUPP where its driver does not
 * know RWF_NOWAIT, -ENOSYS, -EPERM or another negative errno where io_uring cannot be had: read() and
 * write() then. */
int tap_batch_create(struct tap_batch **out, const struct tap *tap);
/* NULL is fine. */
void tap_batch_destroy(struct tap_batch *batch);

/* The pieces of one frame. */
struct tap_batch_frame {
	struct iovec *pieces;
	unsigned count;
	unsigned queue; /* of the TAP, from 0 on */
	int result;     /* bytes, or a negative errno; set by the calls below */
};

/* Reads into, or writes from, each of `count` (at most TAP_BATCH_MAX) frames. One thread at a time. */
void tap_batch_read(struct tap_batch *batch, struct tap_batch_frame *frames, unsigned count);
void tap_batch_write(struct tap_batch *batch, struct tap_batch_frame *frames, unsigned count);

#endif
