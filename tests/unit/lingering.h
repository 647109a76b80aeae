/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that has whoever closes it wait, as a peer may send one. */
#ifndef TENON_TESTS_UNIT_LINGERING_H
#define TENON_TESTS_UNIT_LINGERING_H

struct lingering {
	int fd;    /* the one: a connection that has not sent all yet, and is to (SO_LINGER). */
	int other; /* its other end; when that is closed, nobody waits any more */
};

void lingering_make(struct lingering *lingering);
/* Sends a byte to `to`, or what `bytes` has, with the file `count` times, and has it no more. `flags` are sendmsg()'s. */
void lingering_send(struct lingering *lingering, int to, const void *bytes, unsigned length,
		    unsigned count, int flags);
void lingering_end(struct lingering *lingering);

#endif
