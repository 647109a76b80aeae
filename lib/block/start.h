/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request without a fiber: it is taken down to the layer that works, and begun there, where none of that has to
 * wait. For who has many requests on their way and a callback for each; all others use the calls of block.h.
 */
#ifndef TENON_BLOCK_START_H
#define TENON_BLOCK_START_H

#include "block/piece.h"

struct block_request {
	struct block *block;
	enum block_kind kind;
	unsigned flags;
	uint64_t offset, length; /* of a flush: 0 */
	const struct iovec *iov; /* read, write: `count` of them that sum up to exactly `length` */
	unsigned count;
	void (*done)(struct block_request *request, int rc);

	/* the request's own, until then */
	struct piece piece;
	struct block_work work;
};

/*
 * Begins it and returns true; done() is then called, perhaps before the return, with 0, a negative errno, or
 * -EAGAIN: do it by the calls of block.h. False: nothing was done, and it is to go by those; one that is not valid
 * gets its error there.
 *
 * done() is called in the loop or on a fiber, and neither suspends nor starts requests; it may start fibers.
 */
bool block_start(struct block_request *request);

#endif
