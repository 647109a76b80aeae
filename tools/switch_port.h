/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What --port says, in pieces: PORT=TYPE[:ARGUMENT][,OPTION]..., and the settings of port_config.h among the options.
 *
 *	switch_port.c		taking it apart, and what is the same for all types
 *	switch_port_types.c	the types
 *	switch_port_tunnel.c	those that are tunnels
 *	switch_port_dhcp.c	a segment's DHCP and DNS
 */
#ifndef TENON_TOOLS_SWITCH_PORT_H
#define TENON_TOOLS_SWITCH_PORT_H

#include <stdbool.h>

#include "netdev/endpoint.h"
#include "netdev/user_network.h"
#include "vswitch/port_config.h"
#include "vswitch/replay.h"

struct dnsmasq;
struct error;
struct port_type;
struct socket_options;
struct vswitch;
struct vswitch_tunnel_options;

struct port_spec {
	char *copy; /* of the whole, cut into pieces */
	const char *name;
	const struct port_type *type;
	const char *argument; /* NULL: none */
	/* What no other port may have, too: an interface, an address; or NULL. */
	const char *owns;
	struct port_config config;
	const char *shapes[2]; /* in, out: as they were said; NULL: not */

	const char *netns;                /* tap, packet */
	bool plain;                       /* tap, packet */
	bool client;                      /* qemu-stream, vhost-user */
	unsigned queues;                  /* tap, vhost-user (pairs of them); 0: one */
	struct endpoint endpoint;         /* qemu-stream, and the local one of qemu-dgram */
	struct endpoint remote;           /* qemu-dgram */
	struct replay_timing timing;      /* pcap */
	const char *record;               /* pcap */
	struct user_network_options user; /* user: forwards, as they were said */
	const char *forwards[USER_NETWORK_FORWARDS];
	bool force;                            /* pcap */
	struct vswitch_tunnel_options *tunnel; /* vxlan, geneve */
	struct dnsmasq *dhcp;                  /* dhcp */
	char **dhcp_words;                     /* what it was made of, NULL at the end */
	const char *leases;                    /* dhcp: a file; NULL: the usual one */
};

struct port_type {
	const char *name;
	const char *form;    /* as errors say it: "tap:IFNAME" */
	const char *options; /* "\"plain\", ": its own, with what is to follow; or "" */
	bool own_socket;     /* without an argument, DIR/PORT.sock is its own */
	/* Looks at the argument. -EINVAL or another, with `error` set; -ENOTSUP: it is not of this form. */
	int (*parse)(struct port_spec *spec, struct error *error);
	/* Takes an option; -ENOTSUP: there is none such. NULL: it has none. */
	int (*option)(struct port_spec *spec, char *option, struct error *error);
	/* After the last of them. Optional. */
	int (*check)(struct port_spec *spec, struct error *error);
	/* `path`: the socket's, of one that has its own; else NULL. */
	int (*add)(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		   const struct socket_options *sockets, struct error *error);
};

#define PORT_TUNNEL_OPTIONS "vni=, remote=, local=, station=, mtu=, tos=, ttl=, \"fragment\", "

/* vxlan, geneve: see struct port_type. */
int port_tunnel_parse(struct port_spec *spec, struct error *error);
int port_tunnel_option(struct port_spec *spec, char *option, struct error *error);
int port_tunnel_check(struct port_spec *spec, struct error *error);
int port_tunnel_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		    const struct socket_options *sockets, struct error *error);

#define PORT_DHCP_OPTIONS                                                                          \
	"range=, lease=, host=, router=, dns=, domain=, name=, upstream=, option=, ipv6=, "        \
	"range6=, "                                                                                \
	"leases=, "

/* dhcp: see struct port_type. */
int port_dhcp_parse(struct port_spec *spec, struct error *error);
int port_dhcp_option(struct port_spec *spec, char *option, struct error *error);
int port_dhcp_check(struct port_spec *spec, struct error *error);
int port_dhcp_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		  const struct socket_options *sockets, struct error *error);
void port_dhcp_free(struct port_spec *spec);
/* Has its server be started again as `after` says, and waits until it is, on a fiber, to monotonic_ns() `until`. Where it cannot be, it is again as
 * before; when that is over already, nothing is begun (-EBUSY). */
int port_dhcp_restart(struct vswitch *vswitch, const struct port_spec *before,
		      const struct port_spec *after, uint64_t until, struct error *error);
/* Where the leases of a port are written down; the caller frees it. NULL: out of memory, or there is no place (`error`). */
char *port_dhcp_leases(const struct port_spec *spec, const char *switch_name, struct error *error);

/* user: tells its process of a change; `spec` is how it is then. */
int port_user_tell(struct vswitch *vswitch, const struct port_spec *spec, const char *text,
		   struct error *error);

/* Takes it apart; port_spec_free() in any case. -EINVAL or another, with `error` set. */
int port_spec_parse(struct port_spec *out, const char *spec, struct error *error);
void port_spec_free(struct port_spec *spec);

/* Ends with one whose name is NULL. */
extern const struct port_type port_types[];

#endif
