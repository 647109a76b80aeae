/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A multicast group that a tunnel floods to (RFC 7348, section 4.2): joining it, sending to it, and the hosts that were heard in it, which
 * are remotes of the tunnel from then on. Who sends to the group is in the segment, so nobody is a stranger here.
 */
#ifndef TENON_VSWITCH_TUNNEL_GROUP_H
#define TENON_VSWITCH_TUNNEL_GROUP_H

#include <net/if.h>

#include "netdev/endpoint.h"

struct error;
struct mac_table;
struct port;
struct tunnel_send;

/* Hosts that are remembered. Then the one unheard for longest makes room, if it was not heard for so long (ns): strangers push out nobody who
 * speaks, and few others. */
#define TUNNEL_HEARD_MAX 256
#define TUNNEL_HEARD_NS  1000000000ULL
#define TUNNEL_TTL       1 /* of what goes to the group, as Linux has it: it stays on its network */

struct tunnel_group {
	struct endpoint address;     /* length 0: there is no group */
	char interface[IF_NAMESIZE]; /* empty: the one of the route to it */
	unsigned ttl;                /* of what goes there */
	/* Of a group that was joined. */
	int receiver;   /* which hears it; not ours */
	unsigned index; /* of the interface */
	unsigned first; /* of the remotes that were heard */
	uint64_t heard[TUNNEL_HEARD_MAX];
};

/* What can be wrong with one before it is joined. -EINVAL with `error` set. */
int tunnel_group_check(const struct tunnel_group *group, struct error *error);

/* `receiver`, a socket at all addresses, hears the group from now on, and no other one. With `error` set: -ENODEV, ... */
int tunnel_group_join(struct tunnel_group *group, int receiver, struct error *error);

/* What goes to the group by this socket leaves by its interface, and does not come back to this host. */
void tunnel_group_aim(const struct tunnel_group *group, int fd);

/* An interface that was made anew is another one: joins there. True: it did, and sockets are to be aimed again. While there is none of the name,
 * nothing goes to the group. */
bool tunnel_group_follow(struct tunnel_group *group);

/*
 * The number of a host that sent a frame of the segment, one of the remotes or not yet, and notes that it is there; that of the group where
 * there is no room for one more; -1: it cannot be sent to. One that takes another's place has nothing of what `table` knew of that. Of the
 * port's thread, which does not hold its `out_lock`.
 */
int tunnel_group_heard(struct tunnel_group *group, struct tunnel_send *send, struct port *port,
		       struct mac_table *table, int remote, const struct sockaddr_in6 *from);

#endif
