/* SPDX-License-Identifier: BSD-2-Clause */
/* A port that is a tunnel to other hosts, of VXLAN or Geneve, over ordinary UDP sockets. */
#ifndef TENON_VSWITCH_PORT_TUNNEL_H
#define TENON_VSWITCH_PORT_TUNNEL_H

#include "netdev/endpoint.h"
#include "vswitch/tunnel_format.h"
#include "vswitch/tunnel_group.h"

struct error;
struct port_config;
struct vswitch;

#define TUNNEL_REMOTES_MAX  64
#define TUNNEL_STATIONS_MAX 64

/* An address that is behind a remote for good. */
struct tunnel_station {
	uint64_t mac;
	struct endpoint remote;
};

struct vswitch_tunnel_options {
	enum tunnel_kind kind;
	uint32_t vni;
	struct endpoint
		local; /* length 0: all addresses, of the remotes' kind, and the usual port */
	unsigned remote_count, station_count;
	struct endpoint remotes[TUNNEL_REMOTES_MAX]; /* that are flooded to */
	struct tunnel_station stations[TUNNEL_STATIONS_MAX];
	struct tunnel_group group; /* that is flooded to, in place of them; or without address */
	unsigned mtu;              /* of packets on the way there; 0: as the routes say */
	struct tunnel_outer_rule outer;
	bool fragment;                    /* what does not fit goes in fragments */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* Whether the options can be, before anything is opened. -EINVAL with `error` set. */
int vswitch_tunnel_check(const struct vswitch_tunnel_options *options, struct error *error);

/* Also -EADDRINUSE, -EADDRNOTAVAIL, ... */
int vswitch_add_port_tunnel(struct vswitch *vswitch, const char *name,
			    const struct vswitch_tunnel_options *options, struct error *error);

#endif
