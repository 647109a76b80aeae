/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking who connects to a port's socket, also when the process has no descriptors left. */
#ifndef TENON_VSWITCH_PORT_ACCEPT_H
#define TENON_VSWITCH_PORT_ACCEPT_H

struct port;
struct unix_listener;

/* What a port keeps for when there are none left; -1: not even that was there. The port closes it. */
int port_spare_fd(void);

/*
 * Who waits at `listen_fd`, non-blocking, or -1: nobody. Out of descriptors, *spare_fd is given up for a moment, so that he can be
 * hung up on, which is logged: he would else be there for ever, and the thread busy with him. To be closed by peer_socket_close().
 */
int port_accept(const struct port *port, int listen_fd, int *spare_fd);

/* `state`, of a port that waits; or, where nobody finds its socket any more, for its file is gone, that. */
const char *port_waiting(const struct unix_listener *socket, const char *state);

#endif
