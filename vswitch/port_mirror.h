/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors: copies of what passes at ports, to one port, or into a VLAN (SPAN, RSPAN).
 *
 *	in	as a frame came, whatever becomes of it		out	as it is handed to the port, with its VLAN's tag,
 *									before rules of the way out
 *
 * A copy is an entry of its own at its port, of the same frame: it costs its receiver's queue, and nobody waits for it. It is dropped
 * and counted there like any frame. A copy is never copied again, and a port that copies go to is not one that is looked at, so there
 * are no loops; and what comes in the VLAN of a mirror's copies, from another switch with such a mirror, is not copied into it. A
 * port that copies go to gets nothing else, and nothing that comes from it is forwarded, unless the mirror is `shared`.
 *
 * A port that is gone, or not there yet, is found by its name when it comes. Changes are made in calls.
 */
#ifndef TENON_VSWITCH_PORT_MIRROR_H
#define TENON_VSWITCH_PORT_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/port.h"

#define MIRROR_SOURCES_MAX 32

struct port_mirror_options {
	char name[PORT_NAME_MAX];
	char to[PORT_NAME_MAX]; /* a port; "": a VLAN */
	uint16_t to_vlan;       /* 1 to VLAN_ID_MAX: the ports that were given that VLAN */
	bool shared;            /* `to` gets other frames, too */
	bool absent;            /* ports of it may come later */
	bool makes;             /* `to` comes next */
	bool some_vlans;        /* only those of `vlans` */
	uint64_t vlans[64];     /* a bit for each; 0: what has no tag */
	unsigned source_count;  /* 0: all ports, what comes in */
	struct {
		char port[PORT_NAME_MAX];
		unsigned ways; /* PORT_WAY()s */
	} sources[MIRROR_SOURCES_MAX];
};

struct port_mirror {
	struct port_mirror_options options;
	struct port *port; /* `to`, while it is there */
	uint64_t copies;   /* atomic */
};

struct port_mirrors {
	unsigned count;
	struct port_mirror list[CHECKPOINT_MIRRORS];
};

/* For checkpoint_refresh(): finds the ports of names, and says which ones get only copies. */
void port_mirrors_refresh(struct vswitch *vswitch);
/* Puts those that look at a port, one way. */
void port_mirrors_put(struct vswitch *vswitch, const struct port *port, enum port_way way,
		      struct checkpoint *checkpoint);

struct egress_entry;

/* Has copies of an entry line up at the ports of the mirrors that look at `port`. */
void port_mirror_copy(struct vswitch_thread *thread, const struct port *port, enum port_way way,
		      const struct egress_entry *entry);
/* One copy to one port, if that is up. */
void port_mirror_copy_to(struct vswitch_thread *thread, struct port *to,
			 const struct egress_entry *entry);

#endif
