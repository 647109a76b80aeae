/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of snooping share.
 *
 *	snooping.c		the object, settings, frames		snooping_vlan.c	queriers, router ports
 *	snooping_member.c	groups and their members		snooping_look.c	looking
 *	snooping_source.c	what a member wants, and its end	snooping_ask.c	what is asked for
 */
#ifndef TENON_VSWITCH_SNOOPING_INTERNAL_H
#define TENON_VSWITCH_SNOOPING_INTERNAL_H

#include "util/list.h"
#include "vswitch/snooping.h"

/* A port that gets all groups of a VLAN for some time. */
struct snooping_open_port {
	struct list node; /* in snooping_vlan.open_ports */
	struct timer expire;
	struct snooping_vlan *vlan;
	unsigned port;
	bool is_router; /* else it has too many groups, or is new */
};

/* Of a VLAN and family. */
struct snooping_vlan {
	struct group_policy policy;
	struct snooping *snooping;
	uint16_t vlan;
	bool is_mld;
	bool wanted; /* there are hosts: it stays, even if nothing is heard */

	/*
	 * The querier. `other` is armed while another one is heard, and then these are its address, port and variables. Else it is
	 * ours, if the settings say so, and `query` is armed for its next general query.
	 */
	struct timer other, query;
	struct group_address querier;
	unsigned querier_port;
	unsigned startup_left; /* queries of ours at the shorter interval */
	uint8_t robustness;    /* 0: as we have it */
	uint64_t query_interval, response_interval;

	struct timer trust; /* armed while memberships do not count yet */
	struct timer idle;  /* when it may go, if it is not wanted */
	struct list open_ports;
	unsigned group_count;
};

struct snooping_group {
	struct group_entry entry; /* first */
	struct snooping_vlan *vlan;
	struct list members;
};

/*
 * What a port wants of a group: RFC 3376, 6.2; RFC 3810, 7.2. In mode INCLUDE the sources in its list; in EXCLUDE all but those in
 * the list whose timers are not armed. It ends when INCLUDE has no source.
 */
struct snooping_member {
	struct list node; /* in snooping_group.members */
	bool exclude;
	struct timer expire; /* of EXCLUDE: then it is INCLUDE */
	struct timer query;  /* armed while it, or a source, is asked for */
	struct snooping_group *group;
	unsigned port, queries_left; /* for all of the group */
	bool ask;                    /* one of them is to go out now */
	struct list sources;
	unsigned source_count;
	uint64_t wide_until;         /* it named too many sources, and gets all */
	uint64_t v1_until, v2_until; /* a host of that version is there (MLD 1 is as IGMP 2) */
};

/* One that a member named. */
struct snooping_source {
	struct list node;    /* in snooping_member.sources */
	struct timer expire; /* not armed: it is blocked */
	struct snooping_member *member;
	struct group_source *at;
	unsigned queries_left;
	bool named; /* by the record that is looked at */
	bool ask;   /* it is to be in a query now */
};

struct snooping {
	struct group_set set; /* its `policies` are those of `vlans` */
	struct snooping_settings settings;
	struct snooping_port_settings ports[SNOOPING_PORTS];
	struct snooping_options options;
	struct snooping_counters counters;
	struct timer_heap timers;
	uint64_t now; /* while something is done */
	struct snooping_vlan *vlans[2][GROUP_SET_VLANS];
	unsigned vlan_count;
	unsigned port_groups[SNOOPING_PORTS];
	unsigned source_count, port_sources[SNOOPING_PORTS];
	uint64_t record_next
		[SNOOPING_PORTS]; /* when the next record would come if all came evenly */
};

/* VLAN and family, one after another: `vlan` is each that there is. It may be freed in the body. */
#define SNOOPING_EACH_VLAN(snooping, vlan)                                                         \
	for (unsigned at_ = 0; at_ < 2 * GROUP_SET_VLANS; at_++)                                   \
		if (!((vlan) = (snooping)->vlans[at_ / GROUP_SET_VLANS][at_ % GROUP_SET_VLANS])) { \
		} else

/* ---- snooping_vlan.c ---- */

/* NULL: it is not looked after, and there is no room for it, or no memory; counted. */
struct snooping_vlan *snooping_vlan_get(struct snooping *snooping, uint16_t vlan, bool is_mld);
/* It has no groups any more. */
void snooping_vlan_free(struct snooping_vlan *vlan);
/* Something was heard in it. */
void snooping_vlan_touch(struct snooping_vlan *vlan);

bool snooping_vlan_is_ours(const struct snooping_vlan *vlan);
/* Which our queries have. */
struct group_address snooping_our_address(const struct snooping_vlan *vlan);
/* Begins or ends to be the querier as the settings have it. */
void snooping_vlan_settle(struct snooping_vlan *vlan);
/* Another one's query. */
void snooping_vlan_heard_query(struct snooping_vlan *vlan, unsigned port,
			       const struct group_message *message);
/* Whether `message` is by who is the querier. */
bool snooping_vlan_is_by_querier(const struct snooping_vlan *vlan,
				 const struct group_message *message);
/* Floods until `until`. */
void snooping_vlan_distrust(struct snooping_vlan *vlan, uint64_t until);
void snooping_vlan_topology_changed(struct snooping_vlan *vlan);
void snooping_vlan_port_up(struct snooping_vlan *vlan, unsigned port);
void snooping_vlan_port_down(struct snooping_vlan *vlan, unsigned port);
/* There is none any more: nor is the querier behind it. */
void snooping_vlan_port_gone(struct snooping_vlan *vlan, unsigned port);

/* The port gets all groups until then: it is a router's, or one that is not served by memberships. */
void snooping_vlan_open(struct snooping_vlan *vlan, unsigned port, bool is_router, uint64_t until);
void snooping_vlan_close_router(struct snooping_vlan *vlan, unsigned port);
/* Puts `policy` together anew. */
void snooping_vlan_refresh(struct snooping_vlan *vlan);
/* The ports that reports go to. */
void snooping_vlan_routers(const struct snooping_vlan *vlan, struct port_set *out);

/* Whether our queries are of the version that has sources, and the bit that other routers leave their timers alone by. */
bool snooping_vlan_asks_newly(const struct snooping_vlan *vlan);
/* A query of ours for a group to a port: for at most GROUP_QUERY_SOURCES of its sources, or (`count` is 0) all of it. `suppress`: that bit. */
void snooping_vlan_query(struct snooping_vlan *vlan, unsigned port, struct group_address group,
			 const struct group_address *sources, unsigned count, bool suppress);

/* The querier's variables, or ours. */
uint64_t snooping_vlan_robustness(const struct snooping_vlan *vlan);
uint64_t snooping_vlan_membership(const struct snooping_vlan *vlan);
uint64_t snooping_vlan_response(const struct snooping_vlan *vlan);

/* ---- snooping_member.c ---- */

/* A report or leave. */
void snooping_heard_members(struct snooping_vlan *vlan, unsigned port,
			    const struct group_message *message);
/* The querier at that port asks for one group, or sources of it: who does not answer has left. */
void snooping_lower_members(struct snooping_vlan *vlan, unsigned port,
			    const struct group_message *message);
/* Ends those at a port, or (SNOOPING_PORTS) all, of the VLAN. */
void snooping_forget_members(struct snooping_vlan *vlan, unsigned port);

/* ---- snooping_source.c ---- */

/* Whether sources are kept in the VLAN: not if the settings have none, nor where our own queries could not ask for them. */
bool snooping_keeps_sources(const struct snooping_vlan *vlan);
/* A new member: INCLUDE, with nothing. */
void snooping_begin_sources(struct snooping_member *member);
/* And its group, if it was the last. */
void snooping_end_member(struct snooping_member *member);
/* What a record of one of the six types changes. The member may end. */
void snooping_change_member(struct snooping_member *member, const struct group_record *record);
/* It gets all sources until it has not named too many for some time. */
void snooping_widen(struct snooping_member *member);

/* ---- snooping_ask.c ---- */

static inline struct snooping *snooping_of(const struct snooping_member *member)
{
	return member->group->vlan->snooping;
}

static inline struct snooping_source *snooping_source_of(struct list *node)
{
	return list_entry(node, struct snooping_source, node);
}

/* Else it is blocked. */
static inline bool snooping_is_wanted(const struct snooping_source *source)
{
	return source->expire.place != 0;
}

/* The last member query time from now on: RFC 3376, 8.8 to 8.10. What ends later is not asked for, or was answered for. */
uint64_t snooping_until_asked(const struct snooping *snooping);
void snooping_begin_asking(struct snooping_member *member);
/* Has the port asked whether anybody wants all of the group, or a source that is wanted; who answers makes it so again. If we are who asks. */
void snooping_ask_group(struct snooping_member *member);
void snooping_ask_source(struct snooping_source *source);
/* Sends what these left to be sent. */
void snooping_ask_now(struct snooping_member *member);
/* Somebody wants all of the group. */
void snooping_was_answered(struct snooping_member *member);
/* Another querier asks for some sources of the group. */
void snooping_lower_sources(struct snooping_group *group, const struct group_message *message,
			    uint64_t until);

#endif
