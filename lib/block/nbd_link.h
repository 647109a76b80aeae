/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the NBD layer, from the top: nbd.c (requests), nbd_link.c (the connection), nbd_uri.c, nbd_library.c. */
#ifndef TENON_BLOCK_NBD_LINK_H
#define TENON_BLOCK_NBD_LINK_H

#include "block/block.h"
#include "block/nbd.h"
#include "block/nbd_library.h"
#include "fiber/fiber.h"

struct nbd {
	struct block block;
	struct nbd_library library;
	struct nbd_handle *handle; /* NULL: away */
	struct fiber *reader;
	char *uri; /* or the name of what is at the other end of `given` */
	int given; /* a socket that is to be used, once; else -1 */
	bool no_uri;
	bool writable, lost, ended; /* ended: the reader has seen the end of the connection */
	bool given_up;              /* the connection was: the server did not answer in time */
	uint64_t tried_ns;          /* when it was last connected, or that was tried */
	uint64_t written, flushed;  /* writes that were acknowledged; of these, flushed */
	uint32_t most;              /* bytes in a request */
	uint32_t rest;              /* bytes at its end that make no whole block */
	bool can_flush, can_fua, can_trim, can_zero, can_status;
	unsigned users; /* requests with this handle */
	struct fiber_mutex sending, connecting;
	struct fiber_queue idle;
};

/* Connects, and takes what the disk is; `again`: it must be the one that it was. On a fiber. */
int nbd_link_connect(struct nbd *nbd, bool again, struct error *error);
/* Of a connection: whether it has ended. */
bool nbd_link_is_over(const struct nbd *nbd);
/* Ends it for all: the reader hears of it. */
void nbd_link_hang_up(const struct nbd *nbd);
/* Nobody has a request with it. */
void nbd_link_drop(struct nbd *nbd);

#endif
