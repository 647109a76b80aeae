/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port at the other end of a stream socket on which each frame has its length before it, as QEMU's `-netdev stream` and
 * passt speak it. What is behind it may be a listener's next client, a server that is looked for again and again, or
 * whatever `connect` makes.
 */
#ifndef TENON_VSWITCH_PORT_STREAM_H
#define TENON_VSWITCH_PORT_STREAM_H

#include <stdbool.h>

#include "vswitch/port.h"

struct endpoint;
struct error;
struct port;
struct port_config;
struct unix_socket_access;
struct vswitch;

/* Where the other end comes from, when neither a socket listens nor one is connected to. */
struct port_stream_maker {
	const char *type, *where; /* as describe() says them; as long as the port */
	/* A connected, non-blocking socket, or a negative errno with `error` set. On the port's thread: it must not wait. */
	int (*make)(void *context, struct error *error);
	/* Its connection was lost, or is given up; true: as was wanted. `why` is set if the other end said so. */
	bool (*gone)(void *context, struct error *why);
	/* Why frames do not pass although it is connected, as `text`, or "up; " and what else is wrong; false: nothing is. */
	bool (*waits)(void *context, char text[PORT_TEXT_MAX]);
	void (*destroy)(void *context); /* last of all */
	void *context;
};

struct vswitch_stream_options {
	const struct endpoint *endpoint; /* of SOCK_STREAM */
	bool client; /* connect there, again whenever it was lost; else listen, for one client at a time */
	const struct unix_socket_access *access; /* who may connect to the path; NULL: this user */
	const struct port_stream_maker
		*maker; /* in place of all of these; taken over, also when it fails */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* Errors of listening. A server that is not there yet is no error. */
int vswitch_add_port_stream(struct vswitch *vswitch, const char *name,
			    const struct vswitch_stream_options *options, struct error *error);

/* What a port was made with by who makes its connections by `make`; in a call. NULL: another made it. */
void *port_stream_context(struct port *port, int (*make)(void *context, struct error *error));

#endif
