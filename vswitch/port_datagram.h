/* SPDX-License-Identifier: BSD-2-Clause */
/* A port between two datagram sockets, as QEMU's `-netdev dgram` speaks it. */
#ifndef TENON_VSWITCH_PORT_DATAGRAM_H
#define TENON_VSWITCH_PORT_DATAGRAM_H

struct endpoint;
struct error;
struct port_config;
struct unix_socket_access;
struct vswitch;

struct vswitch_datagram_options {
	const struct endpoint *local, *remote;   /* of SOCK_DGRAM, both of one kind */
	const struct unix_socket_access *access; /* who may send to a local path; NULL: this user */
	const struct port_config *config;        /* NULL: nothing was decided */
};

/* -EINVAL, or as unix_bind_datagram(). */
int vswitch_add_port_datagram(struct vswitch *vswitch, const char *name,
			      const struct vswitch_datagram_options *options, struct error *error);

#endif
