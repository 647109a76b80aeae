/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port between two datagram sockets, as QEMU's `-netdev dgram` speaks it: each datagram is a frame.
 *
 * It receives at `local` and sends to `remote`. With UDP that is one socket, which takes datagrams from `remote` only. With
 * Unix sockets it is two: the one that is sent from is connected, and connected anew when the peer has gone and another has
 * come to its path, while whoever may write to the file of `local` is heard at any time.
 *
 * Source: QEMU 7.2, net/dgram.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netdev/endpoint.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "vswitch/datagrams.h"
#include "vswitch/port_accept.h"
#include "vswitch/port_datagram.h"
#include "vswitch/switch.h"

struct port_datagram {
	struct port port;
	struct endpoint local, remote;
	struct datagrams datagrams;
	struct port_watch watch;
	int in, out;
	bool connected;              /* `out`, to who was last at `remote` */
	struct unix_listener socket; /* a path's */
};

static struct port_datagram *datagram_of(struct port *port)
{
	return container_of(port, struct port_datagram, port);
}

static void datagram_ready(struct port_watch *watch)
{
	datagram_of(watch->port)->datagrams.readable = true;
}

static unsigned datagram_receive(struct port *port, struct frame **frames, unsigned max)
{
	return datagrams_receive(&datagram_of(port)->datagrams, port, frames, max);
}

static void datagram_release(struct port *port)
{
	(void)port;
}

static bool connect_out(struct port_datagram *datagram)
{
	const struct endpoint *remote = &datagram->remote;

	datagram->connected = !connect(datagram->out, &remote->address.any, remote->length);
	return datagram->connected;
}

static unsigned datagram_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_datagram *datagram = datagram_of(port);
	uint64_t down = port->counters.drops[PORT_DROP_DOWN];
	unsigned done;

	if (!datagram->connected && !connect_out(datagram)) {
		port->counters.drops[PORT_DROP_DOWN] += count;
		return count;
	}
	done = datagrams_transmit(&datagram->datagrams, port, frames, count);
	/* Of a Unix socket: nobody has it any more. */
	if (port->counters.drops[PORT_DROP_DOWN] != down && endpoint_is_local(&datagram->remote))
		datagram->connected = false;
	return done;
}

static int datagram_attach(struct port *port, struct error *error)
{
	struct port_datagram *datagram = datagram_of(port);
	int rc = port_watch(port, &datagram->watch, datagram->in, datagram_ready);

	return rc ? error_set(error, rc, "port %s: cannot watch its socket: %s", port->name,
			      error_name(rc))
		  : 0;
}

static void datagram_describe(struct port *port, char where[PORT_TEXT_MAX],
			      char state[PORT_TEXT_MAX], char text[PORT_TEXT_MAX])
{
	const struct port_datagram *datagram = datagram_of(port);
	int room = (PORT_TEXT_MAX - 5) / 2;

	snprintf(where, PORT_TEXT_MAX, "%.*s to %.*s", room, datagram->local.text, room,
		 datagram->remote.text);
	snprintf(state, PORT_TEXT_MAX, "%s",
		 port_waiting(&datagram->socket,
			      datagram->connected ? "up" : "up, nobody at the other end yet"));
	text[0] = '\0';
}

static void datagram_destroy(struct port *port)
{
	struct port_datagram *datagram = datagram_of(port);

	port_unwatch(&datagram->watch);
	if (datagram->out != datagram->in)
		cleanup_close(&datagram->out);
	if (datagram->socket.fd < 0)
		cleanup_close(&datagram->in);
	unix_listener_close(&datagram->socket);
	datagrams_destroy(&datagram->datagrams);
	free(datagram);
}

static const struct port_ops ops = {
	.type = "qemu-dgram",
	.attach = datagram_attach,
	.receive = datagram_receive,
	.release = datagram_release,
	.transmit = datagram_transmit,
	.describe = datagram_describe,
	.destroy = datagram_destroy,
};

/* ---- Making it ---- */

static int bind_local(struct port_datagram *datagram, const struct unix_socket_access *access,
		      struct error *error)
{
	const char *path = datagram->local.address.local.sun_path;
	int rc = unix_bind_datagram(&datagram->socket, path, access, error);

	if (rc)
		return rc;
	datagram->in = datagram->socket.fd;
	datagram->datagrams.peers = true;
	datagram->out = endpoint_socket(&datagram->local, SOCK_DGRAM);
	return datagram->out < 0 ? error_set(error, datagram->out, "%s: cannot make a socket: %s",
					     path, error_name(datagram->out))
				 : 0;
}

static int make_sockets(struct port_datagram *datagram, const struct unix_socket_access *access,
			struct error *error)
{
	if (endpoint_is_local(&datagram->local) != endpoint_is_local(&datagram->remote) ||
	    datagram->local.address.any.sa_family != datagram->remote.address.any.sa_family)
		return error_set(error, -EINVAL,
				 "addresses %s and %s: expected both of one kind, paths or UDP",
				 datagram->local.text, datagram->remote.text);
	if (endpoint_is_local(&datagram->local))
		return bind_local(datagram, access, error);
	datagram->in = datagram->out = endpoint_listen(&datagram->local, SOCK_DGRAM, error);
	if (datagram->in < 0)
		return datagram->in;
	/* At once: until then it would take datagrams from anybody. */
	if (!connect_out(datagram))
		return error_set(error, -errno, "address %s: cannot send there: %s",
				 datagram->remote.text, error_name(errno));
	return 0;
}

int vswitch_add_port_datagram(struct vswitch *vswitch, const char *name,
			      const struct vswitch_datagram_options *options, struct error *error)
{
	struct port_datagram *datagram = calloc(1, sizeof(*datagram));
	int rc;

	if (!datagram)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	datagram->port.ops = &ops;
	datagram->watch.fd = datagram->in = datagram->out = datagram->socket.fd = -1;
	datagram->local = *options->local;
	datagram->remote = *options->remote;
	rc = datagrams_create(&datagram->datagrams);
	if (rc)
		error_set(error, rc, "out of memory");
	else
		rc = make_sockets(datagram, options->access, error);
	if (rc < 0) {
		datagram_destroy(&datagram->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	datagram->datagrams.in = datagram->in;
	datagram->datagrams.out = datagram->out;
	datagram->datagrams.readable = true;
	datagram->port.up = true;
	return vswitch_add_port_as(vswitch, &datagram->port, name, options->config, error);
}
