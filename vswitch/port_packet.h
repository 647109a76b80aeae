/* SPDX-License-Identifier: BSD-2-Clause */
/* A port on any Ethernet interface of the host, by a packet socket: veth, a card. */
#ifndef TENON_VSWITCH_PORT_PACKET_H
#define TENON_VSWITCH_PORT_PACKET_H

#include <stdbool.h>

struct error;
struct port_config;
struct vswitch;

struct vswitch_packet_options {
	bool plain;                       /* no header: only whole frames of at most the MTU */
	int netns;                        /* an fd; 0: the caller's own */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* -ENODEV, -EPERM (CAP_NET_RAW), -EINVAL (no Ethernet), with `error` set. `options` may be NULL. */
int vswitch_add_port_packet(struct vswitch *vswitch, const char *name, const char *ifname,
			    const struct vswitch_packet_options *options, struct error *error);

#endif
