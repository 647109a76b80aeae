/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking who connects to a port's socket, also when the process has no descriptors left, and (control_share.h) without end: who comes and goes in a
 * loop gets a share of the thread's time, after which nobody looks at the socket for a while, so that he waits there.
 */
#ifndef TENON_VSWITCH_PORT_ACCEPT_H
#define TENON_VSWITCH_PORT_ACCEPT_H

#include "util/control_share.h"
#include "util/timer.h"
#include "vswitch/port.h"

struct unix_listener;

/* What a port keeps for when there are none left; -1: not even that was there. The port closes it. */
int port_spare_fd(void);

/*
 * Who waits at `listen_fd`, non-blocking, or -1: nobody. Out of descriptors, *spare_fd is given up for a moment, so that he can be
 * hung up on, which is logged: he would else be there for ever, and the thread busy with him. To be closed by peer_socket_close().
 */
int port_accept(const struct port *port, int listen_fd, int *spare_fd);

/* What a port listens with. */
struct port_listener {
	struct port *port;
	int fd; /* the port's; -1: nobody comes by himself, and only the share of time is kept */
	void (*ready)(struct port *port);
	/* Begins or ends to rest. A negative errno: the end failed, and is tried again. Or NULL. */
	int (*changed)(struct port *port);
	struct port_watch watch;
	struct control_share share;
	struct timer rest;
};

/* Has ready(port) called, as a watch is, when somebody waits at listener->fd. What is not said here is set, or 0. From attach(); 0, or a negative errno. */
int port_listener_begin(struct port_listener *listener, struct port *port);
/* From detach(). */
void port_listener_stop(struct port_listener *listener);
/* What was done since `began`, by control_share_clock(), counts as well: for who came, and went. */
void port_listener_used(struct port_listener *listener, uint64_t began);
/* Nobody looks for so long. */
void port_listener_rest(struct port_listener *listener, uint64_t ns);

static inline bool port_listener_rests(const struct port_listener *listener)
{
	return listener->rest.place;
}

/* `state`, of a port that waits; or, where nobody finds its socket any more, for its file is gone, that. */
const char *port_waiting(const struct unix_listener *socket, const char *state);

#endif
