/* SPDX-License-Identifier: BSD-2-Clause */
/* See port_accept.h. */
#include "vswitch/port_accept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"
#include "vswitch/internal.h"

int port_spare_fd(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int port_accept(const struct port *port, int listen_fd, int *spare_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		peer_socket_begin(fd);
	if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
		return fd;
	log_warning(port->log, "port %s: a peer was turned away: %s", port->name,
		    error_name(errno));
	cleanup_close(spare_fd);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	peer_socket_close(fd);
	*spare_fd = port_spare_fd();
	return -1;
}

/* ---- Its share of time ---- */

#define RETRY_NS 1000000000ULL /* to watch it, where that failed */

static int listener_changed(struct port_listener *listener)
{
	return listener->changed ? listener->changed(listener->port) : 0;
}

void port_listener_rest(struct port_listener *listener, uint64_t ns)
{
	if (port_listener_rests(listener))
		return;
	port_unwatch(&listener->watch);
	port_timer_arm(listener->port, &listener->rest, port_now(listener->port) + ns);
	(void)listener_changed(listener); /* nothing is to be had for that */
}

void port_listener_used(struct port_listener *listener, uint64_t began)
{
	uint64_t rest = control_share_use(&listener->share, port_now(listener->port),
					  control_share_clock() - began);

	if (rest)
		port_listener_rest(listener, rest);
}

static void somebody_waits(struct port_watch *watch)
{
	struct port_listener *listener = container_of(watch, struct port_listener, watch);
	uint64_t began = control_share_clock();

	listener->ready(listener->port);
	port_listener_used(listener, began);
}

static int watch_it(struct port_listener *listener)
{
	return listener->fd < 0
		       ? 0
		       : port_watch(listener->port, &listener->watch, listener->fd, somebody_waits);
}

static void listener_rested(struct timer *timer)
{
	struct port_listener *listener = container_of(timer, struct port_listener, rest);
	struct port *port = listener->port;
	int rc;

	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	rc = watch_it(listener);
	if (!rc)
		rc = listener_changed(listener);
	if (rc) {
		log_warning(port->log, "port %s: its socket cannot be watched: %s", port->name,
			    error_name(rc));
		port_unwatch(&listener->watch);
		port_timer_arm(port, timer, port_now(port) + RETRY_NS);
	}
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
}

int port_listener_begin(struct port_listener *listener, struct port *port)
{
	listener->port = port;
	listener->rest.expire = listener_rested;
	return watch_it(listener);
}

void port_listener_stop(struct port_listener *listener)
{
	if (listener->port)
		port_timer_disarm(listener->port, &listener->rest);
}

const char *port_waiting(const struct unix_listener *socket, const char *state)
{
	return unix_listener_is_there(socket)
		       ? state
		       : "its socket file is gone: remove the port and add it again";
}
