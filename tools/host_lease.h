/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A served disk that this process reads and writes itself, by a lease of the server's (block/lease.h): part of host_disk.h.
 *
 *	none	host_lease_want() starts a fiber that asks for one, at most once in HOST_LEASE_RETRY_NS
 *	held	host_lease_transfer() does what it can, on any thread; the fiber waits for the connection's end
 *	over	nobody comes in any more; when those inside are out, descriptors and connection are closed: none
 *
 * A write of parts of blocks is the server's, and is made of a read and a write: while there is one, writes go by the server too,
 * where ranges are locked.
 */
#ifndef TENON_TOOLS_HOST_LEASE_H
#define TENON_TOOLS_HOST_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fiber;
struct lease_use;

#define HOST_LEASE_RETRY_NS 1000000000ull

struct host_lease {
	/* On all threads. */
	_Atomic(struct lease_use *) use;
	atomic_uint inside;  /* of what `use` was seen as */
	atomic_uint writing; /* of these, who may write */
	atomic_uint held_up; /* by how many writes of parts of blocks */

	/* At home. */
	bool wanted;           /* by who opened the disk */
	char *path;            /* of the server's socket for them; NULL: it gives none */
	const char *name, *id; /* of the disk */
	struct fiber *fiber;
	bool ended; /* the fiber is */
	uint64_t asked_ns;
};

/* 0, or -EAGAIN: ask the server. From any thread, which waits. */
int host_lease_transfer(struct host_lease *lease, bool write, uint64_t offset, void *at,
			uint64_t length);

/* At home, all of them. */
void host_lease_want(struct host_lease *lease);
/* The server that is to be connected has its socket there: stolen, or NULL. Suspends. */
void host_lease_set_path(struct host_lease *lease, char *path);
/* Writes are the server's from the one to the other; the first suspends. */
void host_lease_hold_up(struct host_lease *lease);
void host_lease_go_on(struct host_lease *lease);
/* Nobody reads or writes by it any more when this returns. Suspends. */
void host_lease_let_go(struct host_lease *lease);
void host_lease_end(struct host_lease *lease);

#endif
