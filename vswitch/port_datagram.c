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
#include <sys/stat.h>
#include <unistd.h>

#include "netdev/endpoint.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/datagrams.h"
#include "vswitch/port_datagram.h"
#include "vswitch/switch.h"

struct port_datagram {
	struct port port;
	struct endpoint local, remote;
	struct datagrams datagrams;
	struct port_watch watch;
	int in, out;
	bool connected; /* `out`, to who was last at `remote` */
	bool made;      /* the file of `local` */
	dev_t device;
	ino_t inode;
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
		 datagram->connected ? "up" : "up, nobody at the other end yet");
	text[0] = '\0';
}

static void datagram_destroy(struct port *port)
{
	struct port_datagram *datagram = datagram_of(port);
	const char *path = datagram->local.address.local.sun_path;
	struct stat status;

	port_unwatch(&datagram->watch);
	if (datagram->made && !lstat(path, &status) && status.st_dev == datagram->device &&
	    status.st_ino == datagram->inode)
		unlink(path);
	if (datagram->out != datagram->in)
		cleanup_close(&datagram->out);
	cleanup_close(&datagram->in);
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

/* Whether somebody has the socket of that path. */
static bool is_used(const struct endpoint *endpoint)
{
	CLEANUP_CLOSE int fd = endpoint_socket(endpoint, SOCK_DGRAM);

	return fd >= 0 && (!connect(fd, &endpoint->address.any, endpoint->length) ||
			   (errno != ECONNREFUSED && errno != ENOENT));
}

/* A file that nobody receives at any more is replaced. Mode 0600 from the start: bind() makes it as the socket is. */
static int bind_local(struct port_datagram *datagram, struct error *error)
{
	const struct endpoint *local = &datagram->local;
	const char *path = local->address.local.sun_path;
	struct stat status;
	int rc = 0;

	datagram->in = endpoint_socket(local, SOCK_DGRAM);
	if (datagram->in < 0)
		rc = datagram->in;
	if (!rc && !lstat(path, &status)) {
		if (!S_ISSOCK(status.st_mode))
			return error_set(error, -EEXIST,
					 "%s: another kind of file is there, expected a socket or "
					 "none",
					 path);
		if (is_used(local))
			return error_set(error, -EADDRINUSE,
					 "%s: somebody receives at that socket already", path);
		unlink(path);
	}
	if (!rc &&
	    (fchmod(datagram->in, 0600) || bind(datagram->in, &local->address.any, local->length)))
		rc = -errno;
	if (rc)
		return error_set(error, rc, "%s: cannot make the socket: %s", path, error_name(rc));
	if (!lstat(path, &status)) {
		datagram->made = true;
		datagram->device = status.st_dev;
		datagram->inode = status.st_ino;
	}
	datagram->out = endpoint_socket(local, SOCK_DGRAM);
	return datagram->out < 0 ? error_set(error, datagram->out, "%s: cannot make a socket: %s",
					     path, error_name(datagram->out))
				 : 0;
}

static int make_sockets(struct port_datagram *datagram, struct error *error)
{
	if (endpoint_is_local(&datagram->local) != endpoint_is_local(&datagram->remote) ||
	    datagram->local.address.any.sa_family != datagram->remote.address.any.sa_family)
		return error_set(error, -EINVAL,
				 "addresses %s and %s: expected both of one kind, paths or UDP",
				 datagram->local.text, datagram->remote.text);
	if (endpoint_is_local(&datagram->local))
		return bind_local(datagram, error);
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
	datagram->watch.fd = datagram->in = datagram->out = -1;
	datagram->local = *options->local;
	datagram->remote = *options->remote;
	rc = datagrams_create(&datagram->datagrams);
	if (rc)
		error_set(error, rc, "out of memory");
	else
		rc = make_sockets(datagram, error);
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
