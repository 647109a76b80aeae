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
#include "vswitch/port.h"

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

const char *port_waiting(const struct unix_listener *socket, const char *state)
{
	return unix_listener_is_there(socket)
		       ? state
		       : "its socket file is gone: remove the port and add it again";
}
