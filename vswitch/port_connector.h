/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a port on a stream socket gets its connection, when nobody comes to it: from a server that is looked for again and again, or from who
 * makes the other end, a process of its own (port_user.c). All of it is the port's thread's, with `out_lock`.
 */
#ifndef TENON_VSWITCH_PORT_CONNECTOR_H
#define TENON_VSWITCH_PORT_CONNECTOR_H

#include "util/error.h"
#include "util/timer.h"
#include "vswitch/port_stream.h"

struct port_connector {
	struct port *port;
	const struct endpoint *endpoint;
	struct port_stream_maker maker; /* `make` is NULL: there is none */
	/* Takes `fd` over; connecting: it is not connected yet. */
	int (*take)(struct port *port, int fd, bool connecting, struct error *error);
	struct timer retry;
	struct error last; /* why the last try failed, or its process said that it ends */
};

/* `maker` is copied, or NULL: connections are made to `endpoint`. */
void port_connector_init(struct port_connector *connector, struct port *port,
			 const struct endpoint *endpoint, const struct port_stream_maker *maker,
			 int (*take)(struct port *port, int fd, bool connecting,
				     struct error *error));

/* Now; where it fails, again a second later. */
void port_connector_try(struct port_connector *connector);
/* It is connected. */
void port_connector_made(struct port_connector *connector);
/* The connection is lost, or was never made: another one is got. */
void port_connector_lost(struct port_connector *connector, bool was_up);
/* And it was for that reason. */
void port_connector_refused(struct port_connector *connector, int rc);
/* No more tries; port_connector_try() begins again. */
void port_connector_stop(struct port_connector *connector);

/* See port_ops.describe(). */
void port_connector_describe(struct port_connector *connector, char where[PORT_TEXT_MAX],
			     char state[PORT_TEXT_MAX]);

/* Ends what makes connections. The port's own is closed. */
void port_connector_end(struct port_connector *connector);

#endif
