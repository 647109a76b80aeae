/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A way to the outside without root: a router with address translation, DHCP and DNS, by libslirp, which makes the connections of
 * guests as sockets of this process. It is for a process of its own, for it reads what guests send: on `fd`, a stream
 * socket, each frame has its length before it (QEMU's `-netdev stream`).
 *
 * The network is QEMU's: 10.0.2.0/24, the router at .2, the name server at .3, DHCP from .15 on. IPv4 only.
 *
 * Fragments are put together before the library sees them.
 *
 * What guests cannot reach, unless `loopback` is given: 127.0.0.0/8 and 0.0.0.0/8 of the host, by whatever address. At the name
 * server's address only port 53 is reached, for behind it is the host's resolver, often at 127.0.0.1.
 */
#ifndef TENON_NETDEV_USER_NETWORK_H
#define TENON_NETDEV_USER_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define USER_NETWORK_FORWARDS 32

/* Connections to `host` go on to `guest`. */
struct user_network_forward {
	bool udp;
	struct in_addr host, guest;
	uint16_t host_port, guest_port;
};

struct user_network_options {
	struct user_network_forward forwards[USER_NETWORK_FORWARDS];
	unsigned count;
	bool loopback; /* guests reach the host's 127.0.0.1 at 10.0.2.2 */
	bool no_dhcp;  /* somebody else gives addresses */
};

/*
 * "tcp:127.0.0.1:2222-:22", as QEMU has it: without a host's address 127.0.0.1, without a guest's 10.0.2.15. -EINVAL, -ENOSPC, with
 * `error` set.
 */
int user_network_parse_forward(struct user_network_options *options, const char *text,
			       struct error *error);

/*
 * Runs until `fd` is closed by the other end: 0. `control` is a socket of SOCK_SEQPACKET, or -1: "7 +tcp:127.0.0.1:2222-:22" begins to
 * forward, "-" in place of "+" ends it (connections stay), and "--" is done where there is none, too. What is forwarded so already is done.
 * The answer is "7 done", or "7 " and why not. When all is set up it calls ready(arg), once. -ENOPKG (libslirp is not installed),
 * -EADDRINUSE and others of a forward, with `error` set.
 */
int user_network_run(int fd, int control, const struct user_network_options *options,
		     void (*ready)(void *arg), void *arg, struct error *error);

/* Whether a guest's frame may go to the router; a fragment never (ip_fragments.h). */
bool user_network_may_pass(const uint8_t *frame, size_t length, bool loopback);

#endif
