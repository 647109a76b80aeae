/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who comes to a listening socket: one fiber accepts, and each client has a fiber of its own until it is done with. All on one worker.
 *
 *	struct visitor { struct accepted accepted; ... };	what is kept of a client; all else is zero when it begins
 *
 * Where descriptors or memory are lacking, those who come wait until others have given some back.
 */
#ifndef TENON_FIBER_ACCEPTOR_H
#define TENON_FIBER_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "util/list.h"

struct fiber;
struct acceptor;

/* A client. */
struct accepted {
	struct list node;
	struct fiber *fiber;
	struct acceptor *acceptor;
	int fd; /* closed when run() has returned; files may come by it (util/peer_file.h) */
	bool ended;
};

struct acceptor {
	/* The caller's, before it begins. */
	int fd;        /* that listens; stays the caller's */
	unsigned most; /* clients at a time */
	size_t size;   /* of what begins with a struct accepted */
	void (*run)(struct accepted *client);
	/* or NULL: somebody is turned away, who can be told why; it does not close `fd`, nor wait */
	void (*full)(struct acceptor *acceptor, int fd);

	struct list clients;
	unsigned count;
	struct fiber *fiber;
};

void acceptor_begin(struct acceptor *acceptor);
/* Nobody comes in any more. */
void acceptor_close(struct acceptor *acceptor);
/* After that: cancels those who are there, and waits until they have ended. */
void acceptor_end(struct acceptor *acceptor);

#endif
