/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snooping in a switch: protocol "igmp", which takes the frames of IGMP, MLD and of routers that show themselves, and tells
 * forwarding where frames of groups go (vswitch.groups). It is there from the first setting on.
 */
#ifndef TENON_VSWITCH_SNOOPING_PROTOCOL_H
#define TENON_VSWITCH_SNOOPING_PROTOCOL_H

#include "util/cleanup.h"
#include "vswitch/port.h"
#include "vswitch/snooping.h"

struct error;
struct vswitch;

/* Changes the settings of the switch, or (`port`) of a port, by words (snooping_words.h): all, or none. -ENOENT, -EINVAL, -ENOMEM. */
int vswitch_set_snooping(struct vswitch *vswitch, const char *port, const char *const *words,
			 unsigned count, struct error *error);

/* Hosts may be elsewhere now; in calls. */
void snooping_topology_change(struct vswitch *vswitch);

struct vswitch_snooping_status {
	struct snooping_settings settings;
	struct snooping_counters counters;
	uint64_t now;
	struct vswitch_snooping_port {
		char name[PORT_NAME_MAX]; /* "": there is none in the slot */
		struct snooping_port_settings settings;
	} ports[SNOOPING_PORTS]; /* by slot, as in what follows */
	unsigned vlan_count, router_count, member_count, source_count, group_count;
	struct snooping_vlan_status *vlans;
	struct snooping_router_status *routers;
	struct snooping_member_status *members;
	struct snooping_source_status *sources; /* of one member after another */
};

/* -ENOMEM. The caller frees it. Where nothing was ever set all is as it would be. */
int vswitch_snooping_status(struct vswitch *vswitch, struct vswitch_snooping_status **out);
void vswitch_snooping_status_free(struct vswitch_snooping_status *status);
DEFINE_CLEANUP(cleanup_snooping_status, struct vswitch_snooping_status,
	       vswitch_snooping_status_free)

#endif
