/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port for a client of VDE; see port_vde.h.
 *
 * The client connects to the stream socket "ctl" and says where its datagram socket is; it is told where ours is, and then each
 * datagram is a frame. The client is there for as long as the stream is.
 *
 * Several ports may have one directory (vde_folder.h), as those of a vde_switch have: who comes gets the first that is free.
 *
 * States: without a client, asked (connected, but has not said all yet, for which it has some seconds), and plugged, the only one
 * in which the port is up. The port's thread changes them, with `out_lock`.
 *
 * The path that a client gives is one that this process then sends to: it must be a socket of the client's own user, or the
 * client could have us write where it may not. It is held by a descriptor while that is looked at and connected to, for the
 * client may put another file there at any time.
 *
 * Source: vdeplug4, libvdeplug4/libvdeplug_vde.c, of which the structure and the order of steps are.
 */
#include "vswitch/port_vde.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"
#include "vswitch/datagrams.h"
#include "vswitch/internal.h"
#include "vswitch/port_accept.h"
#include "vswitch/port_link.h"
#include "vswitch/vde_folder.h"

#define VDE_MAGIC       0xfeedfaceu
#define VDE_VERSION     3
#define VDE_DESCRIPTION 128
#define PATIENCE_NS     5000000000ULL /* to say what it wants */
#define LATER_NS        50000000ULL   /* to ask again for a port that rests */

/* In the byte order of the machine. */
struct vde_request {
	uint32_t magic;
	uint32_t version;
	uint32_t type; /* which port it wants, which is ours to say, and of no meaning with one */
	struct sockaddr_un socket;
	char description[VDE_DESCRIPTION]; /* as long as it is */
} __attribute__((packed));

#define REQUEST_LEAST offsetof(struct vde_request, description)

_Static_assert(REQUEST_LEAST == 122, "as vdeplug has it");

struct port_vde {
	struct port port;
	struct vde_folder *folder;
	unsigned number;               /* in it */
	struct sockaddr_un data;       /* where our datagram socket is, while there is one */
	int spare_fd;                  /* see port_accept() */
	int ctl_fd, data_fd;           /* of the client; -1: none */
	struct port_listener listener; /* of a copy of the folder's socket */
	struct port_watch ctl, watch;
	struct timer patience;
	struct vde_request request;
	size_t got;                /* of the request */
	struct sockaddr_un client; /* that it named */
	struct datagrams datagrams;
};

static struct port_vde *vde_of(struct port *port)
{
	return container_of(port, struct port_vde, port);
}

/* ---- Clients ---- */

/* One that rests is none that others leave a client to. */
static void tell_folder(struct port *port)
{
	const struct port_vde *vde = vde_of(port);

	vde_folder_set(vde->folder, vde->number,
		       vde->ctl_fd >= 0                      ? VDE_PLACE_TAKEN
		       : port_listener_rests(&vde->listener) ? VDE_PLACE_LATER
							     : VDE_PLACE_FREE);
}

static int rest_changed(struct port *port)
{
	tell_folder(port);
	return 0;
}

static void vde_close(struct port_vde *vde)
{
	bool was_taken = vde->ctl_fd >= 0;

	port_timer_disarm(&vde->port, &vde->patience);
	port_unwatch(&vde->ctl);
	port_unwatch(&vde->watch);
	peer_socket_close(steal_fd(&vde->ctl_fd));
	if (was_taken && vde->folder)
		tell_folder(&vde->port);
	if (vde->data_fd >= 0)
		unlink(vde->data.sun_path);
	peer_socket_close(steal_fd(&vde->data_fd));
	vde->datagrams.in = vde->datagrams.out = -1;
	vde->datagrams.readable = false;
	vde->port.peer = 0;
	vde->got = 0;
}

static void unplug(struct port_vde *vde)
{
	if (vde->port.up)
		log_info(vde->port.log, "port %s: the client left", vde->port.name);
	vde_close(vde);
	port_set_up(&vde->port, false);
}

/* The socket at `path`, of that user, whatever is there later: a descriptor for held_path(). */
static int hold_socket(const char *path, uid_t owner, struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return error_set(error, -errno, "socket %s: %s", path, error_name(errno));
	if (!S_ISSOCK(status.st_mode) || status.st_uid != owner)
		return error_set(error, -EPERM, "%s: expected a socket of its own user, %u", path,
				 owner);
	return steal_fd(&fd);
}

static const char *held_path(int fd, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return path;
}

/* Holds the client's socket, if the client may have us send there. */
static int hold_client(const struct port_vde *vde, struct error *error)
{
	const struct sockaddr_un *client = &vde->client;
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);

	if (getsockopt(vde->ctl_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return error_set(error, -errno, "the client's user is not known: %s",
				 error_name(errno));
	if (client->sun_family != AF_UNIX || client->sun_path[0] != '/' ||
	    strnlen(client->sun_path, sizeof(client->sun_path)) == sizeof(client->sun_path))
		return error_set(error, -EINVAL, "its socket has no absolute path");
	return hold_socket(client->sun_path, peer.uid, error);
}

/* Who listens at "ctl" is alone here: what is at the path is a killed one's. */
static int bind_data(struct port_vde *vde, struct error *error)
{
	const struct vde_folder *folder = vde->folder;
	const char *path = vde->data.sun_path;
	CLEANUP_CLOSE int held = -1;
	char text[32];
	int rc;

	unlink(path);
	if (fchmod(vde->data_fd, 0600) ||
	    bind(vde->data_fd, (struct sockaddr *)&vde->data, sizeof(vde->data)))
		return error_set(error, -errno, "cannot make the socket %s: %s", path,
				 error_name(errno));
	held = hold_socket(path, geteuid(), error);
	if (held < 0)
		return held;
	rc = vde_give_access(held_path(held, text), folder->has_access ? &folder->access : NULL,
			     folder->has_access ? folder->access.mode : 0600);
	return rc ? error_set(error, rc, "cannot give the socket %s its mode: %s", path,
			      error_name(rc))
		  : 0;
}

static int make_data(struct port_vde *vde, struct error *error)
{
	struct sockaddr_un client = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int held = hold_client(vde, error);
	int rc;

	if (held < 0)
		return held;
	vde->data_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (vde->data_fd < 0)
		return error_set(error, -errno, "cannot make a socket: %s", error_name(errno));
	rc = bind_data(vde, error);
	if (rc)
		return rc;
	held_path(held, client.sun_path);
	if (connect(vde->data_fd, (struct sockaddr *)&client, sizeof(client)))
		return error_set(error, -errno, "cannot connect %s and %s: %s", vde->data.sun_path,
				 vde->client.sun_path, error_name(errno));
	return 0;
}

static void data_ready(struct port_watch *watch)
{
	vde_of(watch->port)->datagrams.readable = true;
}

/* The request is there. */
static int plug(struct port_vde *vde, struct error *error)
{
	const struct vde_request *request = &vde->request;
	int rc;

	if (request->magic != VDE_MAGIC || request->version != VDE_VERSION)
		return error_set(error, -EPROTO,
				 "its request has magic 0x%08x and version %u, expected 0x%08x and "
				 "%u",
				 request->magic, request->version, VDE_MAGIC, VDE_VERSION);
	memcpy(&vde->client, &request->socket, sizeof(vde->client));
	rc = make_data(vde, error);
	if (rc)
		return rc;
	rc = port_watch(&vde->port, &vde->watch, vde->data_fd, data_ready);
	if (!rc && send(vde->ctl_fd, &vde->data, sizeof(vde->data), MSG_NOSIGNAL | MSG_DONTWAIT) !=
			   sizeof(vde->data))
		rc = -EPIPE;
	if (rc)
		return error_set(error, rc, "it cannot be answered: %s", error_name(rc));
	port_timer_disarm(&vde->port, &vde->patience);
	vde->datagrams.in = vde->datagrams.out = vde->data_fd;
	vde->datagrams.readable = true;
	vde->port.peer = unix_socket_peer(vde->ctl_fd);
	vde->port.counters.connections++;
	port_set_up(&vde->port, true);
	log_info(vde->port.log, "port %s: a client plugged in", vde->port.name);
	return 0;
}

static void hear_client(struct port_vde *vde)
{
	struct error error = { 0 };
	char unused[256];
	ssize_t got;

	if (vde->port.up)
		got = peer_receive_bytes(vde->ctl_fd, unused, sizeof(unused));
	else
		got = peer_receive_bytes(vde->ctl_fd, (char *)&vde->request + vde->got,
					 sizeof(vde->request) - vde->got);
	if (got == -EMFILE)
		log_warning(vde->port.log, "port %s: a client was refused: %s", vde->port.name,
			    peer_error_name(-EMFILE));
	if (!got || (got < 0 && got != -EAGAIN && got != -EINTR)) {
		unplug(vde);
		return;
	}
	if (vde->port.up || got < 0)
		return;
	vde->got += (size_t)got;
	if (vde->got >= REQUEST_LEAST && plug(vde, &error)) {
		log_warning(vde->port.log, "port %s: a client was refused: %s", vde->port.name,
			    error.text);
		unplug(vde);
	}
}

/* What it says costs time, and so does that it leaves. */
static void ctl_ready(struct port_watch *watch)
{
	struct port_vde *vde = vde_of(watch->port);
	uint64_t began = control_share_clock();

	hear_client(vde);
	port_listener_used(&vde->listener, began);
}

static void patience_ended(struct timer *timer)
{
	struct port_vde *vde = container_of(timer, struct port_vde, patience);
	struct port *port = &vde->port;

	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	log_warning(port->log, "port %s: a client was refused: it said nothing for %llu s",
		    port->name, PATIENCE_NS / 1000000000);
	unplug(vde);
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
}

/* The first port that is free takes who comes; if none is, whoever asks first sends him away. */
static void client_comes(struct port *port)
{
	struct port_vde *vde = vde_of(port);
	unsigned first;
	char byte;
	int fd;

	/* One that comes back may be here before we have seen it go. */
	if (vde->ctl_fd >= 0 && recv(vde->ctl_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		unplug(vde);
	first = vde_folder_first_free(vde->folder);
	if (first == VDE_FOLDER_LATER)
		port_listener_rest(&vde->listener, LATER_NS);
	if (first != vde->number && first != VDE_FOLDER_FULL)
		return;
	fd = port_accept(port, vde->listener.fd, &vde->spare_fd);
	if (fd < 0)
		return;
	if (vde->ctl_fd >= 0) {
		log_warning(vde->port.log,
			    "port %s: a client was refused: each port at %s has one; `tenon switch "
			    "port add` makes another",
			    vde->port.name, vde->folder->directory);
		peer_socket_close(fd);
		return;
	}
	if (port_watch(&vde->port, &vde->ctl, fd, ctl_ready)) {
		peer_socket_close(fd);
		return;
	}
	vde->ctl_fd = fd;
	tell_folder(port);
	port_timer_arm(&vde->port, &vde->patience, port_now(&vde->port) + PATIENCE_NS);
}

/* ---- The port ---- */

static unsigned vde_receive(struct port *port, struct frame **frames, unsigned max)
{
	return datagrams_receive(&vde_of(port)->datagrams, port, frames, max);
}

static void vde_release(struct port *port)
{
	(void)port;
}

static unsigned vde_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	return datagrams_transmit(&vde_of(port)->datagrams, port, frames, count);
}

static int vde_attach(struct port *port, struct error *error)
{
	struct port_vde *vde = vde_of(port);
	int rc = port_listener_begin(&vde->listener, port);

	if (rc)
		return error_set(error, rc, "port %s: cannot watch its socket: %s", port->name,
				 error_name(rc));
	tell_folder(port);
	return 0;
}

/* Who comes is for others now. */
static void vde_detach(struct port *port)
{
	struct port_vde *vde = vde_of(port);

	port_timer_disarm(port, &vde->patience);
	port_listener_stop(&vde->listener);
	vde_folder_set(vde->folder, vde->number, VDE_PLACE_TAKEN);
}

static void vde_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			 char text[PORT_TEXT_MAX])
{
	const struct port_vde *vde = vde_of(port);

	snprintf(where, PORT_TEXT_MAX, "%s", vde->folder->directory);
	snprintf(state, PORT_TEXT_MAX, "%s",
		 port->up ? "up" : port_waiting(&vde->folder->socket, "waiting for a client"));
	text[0] = '\0';
}

static void vde_destroy(struct port *port)
{
	struct port_vde *vde = vde_of(port);
	struct vde_folder *folder = vde->folder;

	port->thread = NULL; /* its timers have ended; others' run */
	vde->folder = NULL;
	vde_close(vde);
	port_unwatch(&vde->listener.watch);
	cleanup_close(&vde->listener.fd);
	cleanup_close(&vde->spare_fd);
	vde_folder_leave(folder, vde->number);
	datagrams_destroy(&vde->datagrams);
	free(vde);
}

static const struct port_ops ops = {
	.type = "vde",
	.attach = vde_attach,
	.detach = vde_detach,
	.receive = vde_receive,
	.release = vde_release,
	.transmit = vde_transmit,
	.describe = vde_describe,
	.destroy = vde_destroy,
};

/* ---- Making it ---- */

struct folder_call {
	struct vswitch *vswitch;
	const char *directory;
	struct vde_folder *found;
};

/* Another port's. */
static int find_folder(void *arg)
{
	struct folder_call *call = arg;

	for (unsigned i = 0; i < call->vswitch->port_count; i++) {
		struct port *port = call->vswitch->list[i], *lower = port_link_lower(port);
		const struct port_vde *vde = vde_of(lower ? lower : port);

		if (vde->port.ops == &ops && vde_folder_is_at(vde->folder, call->directory))
			call->found = vde->folder;
	}
	return 0;
}

/* An absolute one. */
static char *whole_path(const char *path)
{
	CLEANUP_FREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	char *whole = NULL;

	if (path[0] == '/')
		return strdup(path);
	return here && asprintf(&whole, "%s/%s", here, path) >= 0 ? whole : NULL;
}

static int join_folder(struct port_vde *vde, struct vswitch *vswitch,
		       const struct vswitch_vde_options *options, struct error *error)
{
	CLEANUP_FREE char *directory = whole_path(options->directory), *data = NULL;
	struct folder_call call = { .vswitch = vswitch, .directory = directory };
	int rc;

	if (!directory)
		return error_set(error, -ENOMEM, "out of memory");
	vswitch_call(vswitch, find_folder, &call);
	vde->folder = call.found;
	rc = vde_folder_join(&vde->folder, directory, options->access, &vde->number, error);
	if (rc) {
		vde->folder = NULL;
		return rc;
	}
	/* The client is told the path, wherever it runs. */
	if ((vde->number ? asprintf(&data, "%s/ctl.data%u", vde->folder->directory, vde->number)
			 : asprintf(&data, "%s/ctl.data", vde->folder->directory)) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	vde->listener.fd = fcntl(vde->folder->socket.fd, F_DUPFD_CLOEXEC, 0);
	if (vde->listener.fd < 0)
		return error_set(error, -errno, "cannot make a socket: %s", error_name(errno));
	return unix_socket_address(&vde->data, data, error);
}

int vswitch_add_port_vde(struct vswitch *vswitch, const char *name,
			 const struct vswitch_vde_options *options, struct error *error)
{
	struct port_vde *vde = calloc(1, sizeof(*vde));
	int rc = -ENOMEM;

	if (!vde)
		return error_set(error, rc, "port %s: out of memory", name);
	vde->port.ops = &ops;
	vde->ctl_fd = vde->data_fd = vde->listener.fd = -1;
	vde->listener.watch.fd = vde->ctl.fd = vde->watch.fd = -1;
	vde->listener.ready = client_comes;
	vde->listener.changed = rest_changed;
	vde->spare_fd = port_spare_fd();
	vde->patience.expire = patience_ended;
	vde->datagrams.peers = true;
	if (datagrams_create(&vde->datagrams))
		error_set(error, rc, "out of memory");
	else
		rc = join_folder(vde, vswitch, options, error);
	if (rc < 0) {
		vde_destroy(&vde->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	return vswitch_add_port_as(vswitch, &vde->port, name, options->config, error);
}
