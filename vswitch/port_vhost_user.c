/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port for a vhost-user front-end: QEMU, our own monitor, DPDK, user-mode Linux. The switch is the
 * back-end; it listens on a socket and serves one front-end at a time, connects to one that listens, or serves the one at the other
 * end of a socket it was given:
 *
 *	port_vhost_user.c		connections
 *	port_vhost_user_device.c	what it offers, and the queues that run
 *	port_vhost_user_queues.c	which of them a frame is for
 *	port_vhost_user_ring.c		frames from them
 *	port_vhost_user_send.c		and to them
 *	port_vhost_user_describe.c	how it is shown
 */
#include "vswitch/port_vhost_user.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/event.h"
#include "util/log.h"
#include "util/peer_file.h"
#include "virtio/vhost_user_backend.h"
#include "vswitch/internal.h"
#include "vswitch/port_accept.h"

#define RETRY_NS 1000000000ULL /* between two tries to connect */

/* Others send to the port by a lock that is held meanwhile. */
#define MESSAGES 4
/* Rounds of them that are looked at before another front-end is refused. */
#define LAST_ROUNDS 16

/* ---- Connections ---- */

static void disconnect(struct port_vhost_user *vhost)
{
	port_unwatch(&vhost->control);
	vhost_user_backend_close(vhost->backend);
	vhost->backend = NULL;
	vhost->port.peer = 0;
	port_vhost_user_device.reset(vhost);
	port_set_up(&vhost->port, false);
}

static void look_again_later(struct port_vhost_user *vhost)
{
	port_timer_arm(&vhost->port, &vhost->retry, port_now(&vhost->port) + RETRY_NS);
}

static void handle_messages(struct port_vhost_user *vhost)
{
	struct error error = { 0 };
	int rc = vhost_user_backend_input(vhost->backend, &error);

	if (!rc)
		return;
	if (rc == -ENOTCONN)
		log_info(vhost->port.log, "port %s: the front-end left", vhost->port.name);
	else
		log_warning(vhost->port.log, "port %s: connection closed: %s", vhost->port.name,
			    error.text);
	disconnect(vhost);
	if (vhost->client)
		look_again_later(vhost);
}

static void control_ready(struct port_watch *watch)
{
	struct port_vhost_user *vhost = vhost_user_of(watch->port);
	uint64_t began = control_share_clock();

	handle_messages(vhost);
	port_listener_used(&vhost->listener, began);
}

/* While it rests, the end of that does it. */
static int watch_control(struct port_vhost_user *vhost)
{
	return port_listener_rests(&vhost->listener)
		       ? 0
		       : port_watch(&vhost->port, &vhost->control,
				    vhost_user_backend_fd(vhost->backend), control_ready);
}

/* Who is connected is left alone as long as those who would like to be. */
static int front_end_rest_changed(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);

	if (port_listener_rests(&vhost->listener)) {
		port_unwatch(&vhost->control);
		return 0;
	}
	return vhost->backend ? watch_control(vhost) : 0;
}

/* Takes `fd` over. */
static int connect_front_end(struct port_vhost_user *vhost, int fd, struct error *error)
{
	struct vhost_user_backend_options options = { .name = vhost->port.name,
						      .log = vhost->port.log,
						      .messages = MESSAGES };
	int rc = vhost_user_backend_create(&vhost->backend, fd, &port_vhost_user_device, vhost,
					   &options, error);

	if (rc)
		return rc;
	rc = watch_control(vhost);
	if (rc) {
		disconnect(vhost);
		return error_set(error, rc, "port %s: cannot watch its connection: %s",
				 vhost->port.name, error_name(rc));
	}
	vhost->port.counters.connections++;
	vhost->port.peer = unix_socket_peer(vhost_user_backend_fd(vhost->backend));
	port_set_up(&vhost->port, true);
	log_info(vhost->port.log, "port %s: a front-end connected", vhost->port.name);
	return 0;
}

static void take_front_end(struct port_vhost_user *vhost, int fd)
{
	struct error error = { 0 };

	/* One that comes back may be here before we have seen it go. */
	for (unsigned i = 0; vhost->backend && i < LAST_ROUNDS; i++)
		handle_messages(vhost);
	if (vhost->backend) {
		log_warning(vhost->port.log, "port %s: a second front-end was refused",
			    vhost->port.name);
		peer_socket_close(fd);
	} else if (connect_front_end(vhost, fd, &error)) {
		log_warning(vhost->port.log, "port %s: %s", vhost->port.name, error.text);
	}
}

static void front_end_comes(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	int fd = port_accept(port, vhost->listener.fd, &vhost->spare_fd);

	if (fd >= 0)
		take_front_end(vhost, fd);
}

/* ---- Front-ends that listen ---- */

static int connect_to_server(struct port_vhost_user *vhost, struct error *error)
{
	const struct sockaddr_un *server = &vhost->server;
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* Of a path this is at once, or (its queue is full, -EAGAIN) not at all. */
	if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof(*server)))
		return error_set(error, -errno, "cannot connect to %s: %s", server->sun_path,
				 error_name(errno));
	return connect_front_end(vhost, steal_fd(&fd), error);
}

static void look_for_server(struct port_vhost_user *vhost)
{
	int before = vhost->last.code, rc = connect_to_server(vhost, &vhost->last);

	vhost->last.code = rc;
	if (!rc)
		return;
	if (before != rc)
		log_info(vhost->port.log, "port %s: %s", vhost->port.name, vhost->last.text);
	look_again_later(vhost);
}

static void look_again(struct timer *timer)
{
	struct port_vhost_user *vhost = container_of(timer, struct port_vhost_user, retry);
	struct port *port = &vhost->port;

	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	look_for_server(vhost);
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
}

static void vhost_user_detach(struct port *port)
{
	port_timer_disarm(port, &vhost_user_of(port)->retry);
	port_listener_stop(&vhost_user_of(port)->listener);
}

/* ---- The port ---- */

/* While the port is being added, the fd to begin with waits in the watch that it is meant for. */
static int vhost_user_attach(struct port *port, struct error *error)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	int rc = port_listener_begin(&vhost->listener, port);

	if (rc)
		return error_set(error, rc, "port %s: cannot watch its socket: %s", port->name,
				 error_name(rc));
	if (vhost->client)
		look_for_server(vhost);
	else if (vhost->control.fd >= 0)
		return connect_front_end(vhost, steal_fd(&vhost->control.fd), error);
	return 0;
}

static void vhost_user_destroy(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	int given = vhost->backend ? -1 : vhost->control.fd;

	if (vhost->backend)
		disconnect(vhost);
	if (given >= 0)
		close(given);
	unix_listener_close(&vhost->socket);
	cleanup_close(&vhost->spare_fd);
	free(vhost->pairs);
	free(vhost);
}

static const struct port_ops ops = {
	.type = "vhost-user",
	.polled = true,
	.attach = vhost_user_attach,
	.detach = vhost_user_detach,
	.receive = port_vhost_user_receive,
	.release = port_vhost_user_release,
	.transmit = port_vhost_user_transmit,
	.room = port_vhost_user_room,
	.arm = port_vhost_user_arm,
	.disarm = port_vhost_user_disarm,
	.describe = port_vhost_user_describe,
	.destroy = vhost_user_destroy,
};

static struct port_vhost_user *vhost_user_create(unsigned pairs)
{
	struct port_vhost_user *vhost =
		aligned_alloc(_Alignof(struct port_vhost_user), sizeof(struct port_vhost_user));

	if (!vhost)
		return NULL;
	memset(vhost, 0, sizeof(*vhost));
	vhost->pairs = calloc(pairs, sizeof(vhost->pairs[0]));
	if (!vhost->pairs) {
		free(vhost);
		return NULL;
	}
	vhost->pair_count = pairs;
	for (unsigned i = 0; i < pairs; i++)
		vhost->pairs[i].kick.fd = -1;
	vhost->port.ops = &ops;
	vhost->listener.fd = vhost->listener.watch.fd = vhost->control.fd = vhost->socket.fd = -1;
	vhost->listener.ready = front_end_comes;
	vhost->listener.changed = front_end_rest_changed;
	vhost->spare_fd = port_spare_fd();
	vhost->retry.expire = look_again;
	vhost->header_size = PORT_VHOST_USER_HEADER_SHORT;
	return vhost;
}

int vswitch_add_port_vhost_user(struct vswitch *vswitch, const char *name, const char *path,
				const struct vswitch_vhost_user_options *options,
				struct error *error)
{
	unsigned pairs = options && options->pairs ? options->pairs : 1;
	struct port_vhost_user *vhost;
	int rc;

	if (pairs > VSWITCH_VHOST_USER_PAIRS_MAX)
		return error_set(error, -EINVAL, "port %s: %u queue pairs, expected at most %d",
				 name, pairs, VSWITCH_VHOST_USER_PAIRS_MAX);
	vhost = vhost_user_create(pairs);
	if (!vhost)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	vhost->client = options && options->client;
	rc = vhost->client ? unix_socket_address(&vhost->server, path, error)
			   : unix_listen_for(&vhost->socket, path, options ? options->access : NULL,
					     error);
	if (rc < 0) {
		vhost_user_destroy(&vhost->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	vhost->listener.fd = vhost->socket.fd;
	return vswitch_add_port_as(vswitch, &vhost->port, name, options ? options->config : NULL,
				   error);
}

int vswitch_add_port_vhost_user_fd(struct vswitch *vswitch, const char *name, int fd,
				   struct error *error)
{
	struct port_vhost_user *vhost = vhost_user_create(1);

	if (!vhost) {
		close(fd);
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	}
	vhost->control.fd = fd;
	return vswitch_add_port(vswitch, &vhost->port, name, error);
}
