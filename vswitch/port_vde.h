/* SPDX-License-Identifier: BSD-2-Clause */
/* A port for a client of Virtual Distributed Ethernet: whatever plugs into a vde_switch by libvdeplug. */
#ifndef TENON_VSWITCH_PORT_VDE_H
#define TENON_VSWITCH_PORT_VDE_H

struct error;
struct port_config;
struct unix_socket_access;
struct vswitch;

struct vswitch_vde_options {
	/* Made if it is missing, and removed again with its last port. Other ports of the switch may have it, too. */
	const char *directory;
	const struct unix_socket_access *access; /* who may plug in; NULL: this user */
	const struct port_config *config;        /* NULL: nothing was decided */
};

/* Listens at `directory`/ctl, for one client at a time. mkdir()'s errors, or those of unix_listen(). */
int vswitch_add_port_vde(struct vswitch *vswitch, const char *name,
			 const struct vswitch_vde_options *options, struct error *error);

#endif
