/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Link aggregation (IEEE 802.1AX): a bond is a port that is several others, its links.
 *
 *	decide	a frame that comes by a link is as one of the bond: it has the bond's VLANs, isolation, reserved addresses ...
 *		(of which each link has a copy), and its source is learned at the bond's slot (port.home)
 *	egress	what leaves by the bond is lined up at one of its links, by a hash of the frame (bond_hash.h)
 *
 * Links stay ports: with their own counters, rules, captures, bad links, offloads, threads. Nobody else sends to them
 * (PORT_HOLD_LINK), and protocols run at the bond, but for those of the wire itself (protocol_ops.physical): LLDP and the one of this
 * file, "bond", which decides what links carry frames:
 *
 *	link's state, LACPDU, timer -> lacp.h, or which are up -> `carriers` -> buckets -> up or down of the bond's port
 *
 * All changes are made in calls, while the forwarding threads pause; in between these read `carriers` and `buckets`, and write only
 * that a bucket is used. A link that does not carry frames takes none either, but what is for physical protocols.
 */
#ifndef TENON_VSWITCH_BOND_H
#define TENON_VSWITCH_BOND_H

#include "util/cleanup.h"
#include "vswitch/bond_config.h"
#include "vswitch/bond_hash.h"
#include "vswitch/lacp.h"
#include "vswitch/port.h"
#include "vswitch/thread.h"

struct error;
struct vswitch;

#define BOND_PROTOCOL "bond"

/* ---- Users' ---- */

/* Adds a port that is a bond, without links. Ports become links of it by their settings (bond=NAME). */
int vswitch_add_port_bond(struct vswitch *vswitch, const char *name,
			  const struct port_config *config, struct error *error);

/*
 * Whether the port is a link whose partner has to be waited for before it may become none: it is told not to send any more by it, the
 * first time that this is asked; what it sends until then is taken. Flows of this end go by the other links from then on. To be asked
 * again after a while (VSWITCH_LEAVE_PAUSE), not longer than VSWITCH_LEAVE_MOST; `leave` false: the port stays a link after all.
 */
bool vswitch_link_leaves(struct vswitch *vswitch, const char *name, bool leave);
#define VSWITCH_LEAVE_PAUSE 10000000ULL
#define VSWITCH_LEAVE_MOST  1000000000ULL /* Linux looks ten times in a second */

struct vswitch_bond_link {
	char name[PORT_NAME_MAX];
	bool up, carries;
	unsigned share;        /* of BOND_BUCKETS */
	struct lacp_link lacp; /* what it was when it was looked at */
};

struct vswitch_bond {
	char name[PORT_NAME_MAX];
	bool up;
	struct bond_config config;
	struct lacp_config lacp; /* that holds */
	bool has_partner;
	struct lacp_info partner;
	char active[PORT_NAME_MAX]; /* of active-backup; "": none */
	uint64_t failovers, announced;
	unsigned link_count;
	struct vswitch_bond_link links[BOND_LINKS_MAX];
};

struct vswitch_bond_status {
	unsigned count;
	struct vswitch_bond *bonds;
};

/* -ENOMEM. The caller frees it. */
int vswitch_bond_status(struct vswitch *vswitch, struct vswitch_bond_status **out);
void vswitch_bond_status_free(struct vswitch_bond_status *status);
DEFINE_CLEANUP(cleanup_bond_status, struct vswitch_bond_status, vswitch_bond_status_free)

/* ---- The switch's own ---- */

struct bond {
	struct port port;
	uint16_t carriers[BOND_LINKS_MAX]; /* slots of links that carry frames */
	unsigned carrier_count;
	struct bond_buckets buckets;
	uint64_t move_at, move_until; /* buckets; LACP_NEVER: none are to be moved */
	struct lacp lacp;
	uint16_t active; /* of active-backup: a slot, or BOND_NOWHERE */
	bool carried_once;
	uint64_t failovers, announced;
};

/* The link that a frame leaves by; NULL: none is up. (bond_choose.c) */
struct port *bond_choose_link(struct bond *bond, const struct egress_entry *entry);

/* In calls: whether the port, new or not, may have these settings. -EINVAL, -ENOENT, -ENOSPC, -EBUSY. */
int bond_check_port(const struct vswitch *vswitch, const struct port *port,
		    const struct port_config *config, struct error *error);
/* Where a port that has passed that will learn addresses. */
uint16_t bond_home(const struct port *port, const struct port_config *config);
/* Gives the port these settings, or its bond's, for as long as it is a link. */
void bond_configure_port(struct port *port, const struct port_config *config);
/* -EBUSY: it has links, which have to leave first. */
int bond_check_idle(const struct port *port, struct error *error);
/* A bond goes, with the switch: its links are none any more. */
void bond_port_goes(struct port *port);

/* In calls, of `what` is for ports of their own: -EINVAL, with what to do instead, if the port is a link; or if it is a bond. */
int bond_refuse_link(const struct port *port, const char *what, struct error *error);
int bond_refuse_bond(const struct port *port, const char *what, struct error *error);

static inline bool bond_is_link(const struct port *port)
{
	return port->home != port->index;
}

/* What a user said of the port: of a link only what is its own. */
void bond_own_config(const struct port *port, struct port_config *config);

/* Bits a second of all its links. */
uint64_t bond_speed(const struct port *port, uint64_t (*speed_of)(const struct port *port));

/* ---- bond_links.c, for the others; in calls, but for the first ---- */

/* The protocol, made if it is not there. -ENOMEM, -ENOSPC. */
int bond_begin(struct vswitch *vswitch, struct error *error);
/* A new bond's machines; what its settings have them do, after these changed. */
void bond_start(struct bond *bond);
void bond_settle(struct bond *bond);
/* Looks whether the port is a link, and of what bond, by its `home`. */
void bond_look_at_port(struct vswitch *vswitch, unsigned slot);
/* Says farewell to who is at the other end of a link that is to be none any more. */
void bond_drop_link(struct vswitch *vswitch, unsigned slot);

struct bond_link {
	struct lacp_link lacp;
	struct bond *bond;
	bool carries;
};

/* See vswitch_link_leaves(). */
bool bond_link_leaves(struct vswitch *vswitch, unsigned slot, bool leave);

/* NULL: it is none. */
const struct bond_link *bond_link_at(const struct vswitch *vswitch, unsigned slot);

#endif
