/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to a worker's ring without a fiber for each: for who has several at once and waits for all of
 * them. Straight-line code uses fiber_preadv() and the like.
 */
#ifndef TENON_FIBER_REQUEST_H
#define TENON_FIBER_REQUEST_H

#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/list.h"

struct worker;

enum worker_request_type {
	WORKER_READ,
	WORKER_WRITE,
	WORKER_FDATASYNC,
	WORKER_FALLOCATE,
	WORKER_POLL
};

/*
 * Lives, with what it points to, from worker_submit() until done(), mostly on the stack of the fiber that
 * waits for it. done() gets what the system call returns, or a negative errno; it is called in the loop:
 * it may wake fibers, and neither suspends nor submits.
 */
struct worker_request {
	enum worker_request_type type;
	int fd;
	int flags;               /* of write: RWF_*; of fallocate: the mode; of poll: the events */
	unsigned count;          /* of iov */
	const struct iovec *iov; /* of read and write */
	uint64_t offset, length;
	bool ending; /* worker_cancel() was called */
	bool must;   /* a poll that the engine may not refuse for want of room */
	void (*done)(struct worker_request *request, int result);

	struct list node; /* the libaio engine's, as is the next */
	struct iocb iocb;
};

/* Queues it on the ring of `worker`, which must be the calling thread's; it reaches the kernel with the
 * next round of the loop. */
void worker_submit(struct worker *worker, struct worker_request *request);

/* The round of its loop in which `worker`, the calling thread's, is. What is queued in a round reaches the kernel
 * together, at its end, or with the sleep that follows. */
uint64_t worker_round(const struct worker *worker);

#endif
