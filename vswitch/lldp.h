/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LLDP in a switch: protocol "lldp" (protocol.h), an agent of the group "nearest bridge" at each port (IEEE 802.1AB-2016). It is
 * there from the first setting on; what is said to a port, and heard there, is as its mode says.
 *
 *	sends	at once and then `fast` in all, a second apart: the port came up, a neighbour came, a setting changed
 *		every `interval` after that; never two within a second
 *		a last one with TTL 0 (shutdown): the port or the switch goes, or is to send no longer
 *	hears	what its TTL covers; a port that goes down forgets its neighbours, as who was behind it is gone
 */
#ifndef TENON_VSWITCH_LLDP_H
#define TENON_VSWITCH_LLDP_H

#include "util/cleanup.h"
#include "vswitch/lldp_neighbours.h"
#include "vswitch/lldp_settings.h"
#include "vswitch/port.h"

struct error;
struct vswitch;

#define LLDP_PROTOCOL "lldp"

/*
 * Changes the settings of the switch, or (`port`) of a port, by words (lldp_settings.h): all, or none. `chassis` is who the
 * switch is until that is set; 0: a random address. -ENOENT, -EINVAL, -ENOMEM.
 */
int vswitch_set_lldp(struct vswitch *vswitch, uint64_t chassis, const char *port,
		     const char *const *words, unsigned count, struct error *error);

struct vswitch_lldp_port {
	char name[PORT_NAME_MAX];
	struct lldp_port_settings settings;
	bool sends, receives;
	struct lldp_counters counters;
	unsigned neighbours;
};

struct vswitch_lldp_neighbour {
	unsigned port; /* in `ports` */
	uint64_t left; /* nanoseconds until it ages out */
	struct lldp_message message;
};

struct vswitch_lldp_status {
	struct lldp_settings settings;
	unsigned port_count, neighbour_count;
	struct vswitch_lldp_port *ports;
	struct vswitch_lldp_neighbour *neighbours;
};

/* -ENOMEM. The caller frees it. Where nothing was ever set all is as it would be. */
int vswitch_lldp_status(struct vswitch *vswitch, struct vswitch_lldp_status **out);
void vswitch_lldp_status_free(struct vswitch_lldp_status *status);
DEFINE_CLEANUP(cleanup_lldp_status, struct vswitch_lldp_status, vswitch_lldp_status_free)

#endif
