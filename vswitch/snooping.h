/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who wants what group: IGMP and MLD snooping, and a querier, as RFC 4541 has them. Pure: messages and time come in, queries
 * and frames to pass on go out by functions of the owner, and group_set.h has what forwarding looks at.
 *
 * Of a VLAN is known, for IPv4 and IPv6 apart:
 *	a querier	another's, while it is heard; else ours, if there is to be one. General queries of lower addresses win; 0.0.0.0 wins
 *			over nobody. No querier: memberships mean nothing, and all groups are flooded.
 *	router ports	where queries, PIM hellos or router advertisements came from, for 255 s; and those of a user.
 *			They get all groups, and alone get what hosts report. A query from 0.0.0.0 counts, too: it is a switch's,
 *			which must hear of members here (as Linux's bridge does, and as RFC 4541 would not).
 *	groups		with the ports that reported them. A port's membership ends if it is not reported again for the group membership
 *			interval (260 s), or after a leave, when two queries a second apart had no answer from that port; at
 *			once where the user said so (fast leave).
 *
 * Sources. A port wants of a group what the hosts behind it said by IGMPv3 or MLDv2: some sources (INCLUDE), or all but some
 * (EXCLUDE), with the timers, transitions and queries of RFC 3376, 6 and RFC 3810, 7. A source that was blocked is asked for at that
 * port (by our queries only) before it ends, but with fast leave. While a host of an older version is heard
 * at a port, what only newer ones say does not take from it: BLOCK, and lists of what is excluded, are not heeded (RFC 3376, 7.3.2).
 *
 * A port that names more sources of a group, or of all, than it may, or than there is room for, gets all of that group for the group
 * membership interval: only it has the cost. So it is, too, where sources are not kept at all: none may be named (sources_per_group is
 * 0), or our own queries are of a version that cannot ask for sources. Who wants some makes a member of all then, TO_IN without
 * sources is a leave, and BLOCK has the group asked for, but never ends it at once, since the host may want other sources.
 *
 * A port that reports more groups than it may, or than there is room for, gets all groups until it has not done so for
 * 260 s: only it has the cost.
 *
 * After a topology change, and when a querier is new, groups are flooded until hosts have had their time to answer.
 *
 * Time is an argument, in nanoseconds of any clock.
 */
#ifndef TENON_VSWITCH_SNOOPING_H
#define TENON_VSWITCH_SNOOPING_H

#include "util/timer.h"
#include "vswitch/group_message.h"
#include "vswitch/group_set.h"

struct error;
struct snooping;

#define SNOOPING_PORTS  GROUP_SET_PORTS
#define SNOOPING_VLANS  256 /* at a time, that are looked after; what is in others is flooded */
#define SNOOPING_SECOND 1000000000ULL

/* Times and counts of RFC 3376, 8 and RFC 3810, 9. */
struct snooping_settings {
	bool igmp, mld;    /* which is snooped */
	bool querier;      /* whether we are one where there is none */
	bool drop_unknown; /* groups that nobody reported go to router ports only, not everywhere */
	uint8_t igmp_version, mld_version; /* of our queries */
	uint8_t robustness;
	uint64_t query_interval, response_interval, last_member_interval; /* ns */
	uint32_t address;                                                 /* of our IGMP queries */
	struct group_address mld_address; /* of our MLD queries; zero: made of the MAC */
	unsigned groups, groups_per_port;
	unsigned sources, sources_per_port; /* of all groups */
	unsigned sources_per_group;         /* of a port in one group; 0: none is kept */
};

/* What is usual. */
void snooping_settings_init(struct snooping_settings *settings);

/* "Never" is a guard, too: what only routers say is dropped there. */
enum snooping_router { SNOOPING_ROUTER_AUTO, SNOOPING_ROUTER_ALWAYS, SNOOPING_ROUTER_NEVER };

struct snooping_port_settings {
	uint8_t router; /* enum snooping_router */
	bool fast_leave;
	unsigned groups; /* 0: what each may */
};

/* What the owner does. */
struct snooping_actions {
	/* Sends a frame to a port, or (SNOOPING_PORTS) to all of the VLAN but `except` (SNOOPING_PORTS: none). */
	void (*send)(void *arg, unsigned port, unsigned except, uint16_t vlan, const uint8_t *frame,
		     size_t length);
	/* Whether what comes from `port` goes to all others of the VLAN: a query that does not counts for nobody. NULL: it does. */
	bool (*all_hear)(void *arg, unsigned port, uint16_t vlan);
};

struct snooping_counters {
	uint64_t queries[2], reports[2], leaves[2], routers[2]; /* that came: IGMP, MLD */
	uint64_t sent[2];                                       /* queries of ours */
	uint64_t bad;     /* messages that were broken, and dropped */
	uint64_t guarded; /* of routers, from ports that have none, and dropped */
	uint64_t refused; /* memberships beyond what there is room for */
	uint64_t
		sources_refused; /* lists of sources for which there was none: all were forwarded */
	uint64_t vlans_refused;
	uint64_t expired; /* memberships that were not reported again */
};

struct snooping_options {
	uint64_t mac; /* of our queries */
	uint64_t seed;
	const struct snooping_actions *actions;
	void *arg;
};

/* -ENOMEM. */
int snooping_create(struct snooping **out, const struct snooping_options *options);
void snooping_destroy(struct snooping *snooping);

/* What forwarding looks at; for as long as the object lives. */
const struct group_set *snooping_set(const struct snooping *snooping);

const struct snooping_settings *snooping_get(const struct snooping *snooping);
/* What was learned stays, but for what is not snooped any more. */
void snooping_change(struct snooping *snooping, const struct snooping_settings *settings,
		     uint64_t now);
const struct snooping_port_settings *snooping_get_port(const struct snooping *snooping,
						       unsigned port);
void snooping_change_port(struct snooping *snooping, unsigned port,
			  const struct snooping_port_settings *settings, uint64_t now);

/* There are hosts in the VLAN: it is looked after even if nothing is heard. The first begins the list of these anew. */
void snooping_begin_vlans(struct snooping *snooping);
void snooping_add_vlan(struct snooping *snooping, uint16_t vlan, uint64_t now);
/* What is behind the port is new: it is asked, and gets all groups until it had time to answer. */
void snooping_port_up(struct snooping *snooping, unsigned port, uint64_t now);
/* Forgets all that was known of a port, but its settings. */
void snooping_port_down(struct snooping *snooping, unsigned port, uint64_t now);
/* It was removed: its settings, too. */
void snooping_port_gone(struct snooping *snooping, unsigned port, uint64_t now);
/* Hosts may be elsewhere now: all are asked, and all groups flooded meanwhile. */
void snooping_topology_changed(struct snooping *snooping, uint64_t now);

/* A frame that group_message_may_be() of: passes it on to whom it is for, but if it is broken. */
void snooping_frame(struct snooping *snooping, unsigned port, uint16_t vlan, const uint8_t *frame,
		    size_t length, uint64_t now);

/* Does what is due; returns when there is more (TIMER_NEVER: never). */
uint64_t snooping_run(struct snooping *snooping, uint64_t now);
uint64_t snooping_next(const struct snooping *snooping);

/* ---- Looking ---- */

const struct snooping_counters *snooping_counters(const struct snooping *snooping);

struct snooping_vlan_status {
	uint16_t vlan;
	bool is_mld;
	bool trusted; /* memberships count; else all groups are flooded */
	bool ours;    /* we are the querier */
	bool other;   /* or another one is */
	struct group_address querier;
	unsigned querier_port; /* of another one */
	uint64_t querier_until;
};

/* Calls `each` for VLAN after VLAN. */
void snooping_each_vlan(const struct snooping *snooping,
			void (*each)(void *arg, const struct snooping_vlan_status *status),
			void *arg);

struct snooping_router_status {
	uint16_t vlan;
	bool is_mld;
	unsigned port;
	uint64_t until; /* TIMER_NEVER: a user said so */
	bool overflow;  /* it is none: it has too many groups, and gets all */
};

void snooping_each_router(const struct snooping *snooping,
			  void (*each)(void *arg, const struct snooping_router_status *status),
			  void *arg);

struct snooping_member_status {
	uint16_t vlan;
	struct group_address group;
	unsigned port;
	uint64_t until;
	bool leaving; /* it is asked whether it is one still, or wants a source still, and has not answered */
	uint8_t version; /* the oldest that was heard of lately */
	bool exclude; /* the mode: all sources but those that are blocked; else those that are named */
	bool wide;    /* it named too many sources, and gets all */
	unsigned sources;
};

void snooping_each_member(const struct snooping *snooping,
			  void (*each)(void *arg, const struct snooping_member_status *status),
			  void *arg);

struct snooping_source_status {
	struct group_address source;
	bool blocked;
	uint64_t until; /* TIMER_NEVER: it is blocked */
};

/* All that members named, in the order of snooping_each_member(): as many of each as its status says. */
void snooping_each_source(const struct snooping *snooping,
			  void (*each)(void *arg, const struct snooping_source_status *status),
			  void *arg);

#endif
