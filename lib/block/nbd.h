/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk behind NBD, through libnbd: where one machine is outgrown, arrays and groups stand on what nbdkit, qemu-nbd or
 * another server exports.
 *
 * A URI is as libnbd has it: nbd://HOST[:PORT]/EXPORT, nbds:// with TLS, nbd+unix:///EXPORT?socket=PATH. Names of hosts are
 * resolved aside (nbd_uri.h). libnbd is loaded when it is needed.
 *
 * A server that hangs up, breaks the protocol or does not answer for BLOCK_NBD_LIMIT_NS is an error (-EIO) of all requests that it
 * has: a member's failure, as of a disk that fails. Then
 *
 *	there	--hangs up, nothing unflushed-->	away: a later request connects again, at most once in a second
 *	there	--hangs up, writes unflushed-->		lost: for good
 *	there	--does not answer a write,
 *		  or hangs up before that-->		lost: for good
 *
 * since a server that was started anew may have lost what it had acknowledged, and would acknowledge a flush of it; and one that was stopped, or
 * whose connection alone ended, carries the write out when it goes on, over what was written by a new connection meanwhile.
 * What comes back with another size is not taken.
 *
 * Nobody can be kept from an export by locks: who else uses it is the server's to know.
 */
#ifndef TENON_BLOCK_NBD_H
#define TENON_BLOCK_NBD_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct error;

#define BLOCK_NBD_LIMIT_NS   30000000000ull
#define BLOCK_NBD_CONNECT_NS 10000000000ull

/* Whether it is such a URI. */
bool block_is_nbd(const char *name);

/* On a fiber. `writable`: -EROFS where the server does not allow it. Errors besides: libnbd's, -ETIMEDOUT, and -EPROTO for a
 * disk that cannot be one. */
int block_open_nbd(struct block **out, const char *uri, bool writable, struct error *error);

/* How many bytes the export has at its end that make no whole block, and are no part of the disk. 0 of what is no such disk. */
uint32_t block_nbd_rest(const struct block *block);

/* block_open_nbd() of a server at the other end of `fd`, a connected stream socket, which is taken over, also where it fails; `name` is
 * for messages. It is not connected again. */
int block_open_nbd_socket(struct block **out, const char *name, int fd, bool writable,
			  struct error *error);

#endif
