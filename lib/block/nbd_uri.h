/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NBD URIs (the NBD project's doc/uri.md), as far as the host in one is concerned: whoever connects resolves it, which may take
 * its time. The rest is libnbd's to read.
 */
#ifndef TENON_BLOCK_NBD_URI_H
#define TENON_BLOCK_NBD_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct error;

#define NBD_URI_ADDRESSES 8u
#define NBD_URI_TEXT      64u

struct nbd_uri {
	const char *host; /* in the URI, without brackets; not ended by a zero */
	size_t host_length;
	size_t before, after; /* bytes of the URI before and after the host, brackets included */
	bool is_address;      /* a number: nobody has to be asked */
	bool has_tls;
};

/* Where the host of `text` is. False: it names none (nbd+unix://, or nbd:/// for this host). */
bool nbd_uri_parse(const char *text, struct nbd_uri *uri);

/* The URI with this address in place of the host: malloc, or NULL. */
char *nbd_uri_with_address(const char *text, const struct nbd_uri *uri, const char *address);

/*
 * The addresses of the host, as numbers, asked for in a process aside (aside.h): how many, at most NBD_URI_ADDRESSES; -ETIMEDOUT where
 * no name server answers in BLOCK_NBD_CONNECT_NS, or -EHOSTUNREACH where it has none, with `error` set. On a fiber.
 */
int nbd_uri_resolve(const char *text, const struct nbd_uri *uri,
		    char addresses[NBD_URI_ADDRESSES][NBD_URI_TEXT], struct error *error);

#endif
