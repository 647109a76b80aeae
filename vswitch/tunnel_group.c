/* SPDX-License-Identifier: BSD-2-Clause */
/* See tunnel_group.h. */
#include "vswitch/tunnel_group.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/in6.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/mac_table.h"
#include "vswitch/tunnel_send.h"

static bool is_ipv6(const struct tunnel_group *group)
{
	return group->address.address.any.sa_family == AF_INET6;
}

int tunnel_group_check(const struct tunnel_group *group, struct error *error)
{
	const struct endpoint *address = &group->address;
	bool multicast = is_ipv6(group) ? IN6_IS_ADDR_MULTICAST(&address->address.in6.sin6_addr)
					: IN_MULTICAST(ntohl(address->address.in.sin_addr.s_addr));

	if (!multicast)
		return error_set(error, -EINVAL,
				 "group %s: expected a multicast address, as 239.1.1.1; one host "
				 "is remote=",
				 address->text);
	if (is_ipv6(group) && IN6_IS_ADDR_MC_LINKLOCAL(&address->address.in6.sin6_addr) &&
	    !*group->interface)
		return error_set(error, -EINVAL,
				 "group %s: it is each link's own; say of which one (dev=)",
				 address->text);
	return 0;
}

/* Joins it at the interface of that index, or leaves it there. */
static int set_membership(const struct tunnel_group *group, unsigned index, bool join)
{
	struct ip_mreqn ipv4 = { .imr_multiaddr = group->address.address.in.sin_addr,
				 .imr_ifindex = (int)index };
	struct ipv6_mreq ipv6 = { .ipv6mr_multiaddr = group->address.address.in6.sin6_addr,
				  .ipv6mr_interface = index };
	int rc = is_ipv6(group) ? setsockopt(group->receiver, IPPROTO_IPV6,
					     join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &ipv6,
					     sizeof(ipv6))
				: setsockopt(group->receiver, IPPROTO_IP,
					     join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &ipv4,
					     sizeof(ipv4));

	return rc && errno != EADDRINUSE ? -errno : 0;
}

static unsigned find_interface(const struct tunnel_group *group)
{
	return *group->interface ? if_nametoindex(group->interface) : 0;
}

static void take_interface(struct tunnel_group *group, unsigned index)
{
	group->index = index;
	if (is_ipv6(group))
		group->address.address.in6.sin6_scope_id = index;
}

int tunnel_group_join(struct tunnel_group *group, int receiver, struct error *error)
{
	int none = 0, rc;

	group->receiver = receiver;
	take_interface(group, find_interface(group));
	if (*group->interface && !group->index)
		return error_set(error, -ENODEV, "dev=%s: there is no such interface",
				 group->interface);
	/* Without this a socket hears what any other one of this host has joined. */
	if (is_ipv6(group))
		setsockopt(receiver, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &none, sizeof(none));
	else
		setsockopt(receiver, IPPROTO_IP, IP_MULTICAST_ALL, &none, sizeof(none));
	rc = set_membership(group, group->index, true);
	if (rc && !*group->interface)
		return error_set(error, rc,
				 "group %s: cannot join it: %s; without a route to it, say by "
				 "which interface (dev=)",
				 group->address.text, error_name(rc));
	if (rc)
		return error_set(error, rc, "group %s: cannot join it at %s: %s",
				 group->address.text, group->interface, error_name(rc));
	return 0;
}

void tunnel_group_aim(const struct tunnel_group *group, int fd)
{
	struct ip_mreqn by = { .imr_ifindex = (int)group->index };
	int ttl = (int)group->ttl, no = 0, index = (int)group->index;

	if (is_ipv6(group)) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &ttl, sizeof(ttl));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &no, sizeof(no));
		return;
	}
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by));
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &no, sizeof(no));
}

bool tunnel_group_follow(struct tunnel_group *group)
{
	unsigned before = group->index, index = find_interface(group);

	/* One that is gone is not made up for by the route's: what is for its network is for no other one. */
	if (*group->interface && !index)
		return false;
	/* A socket may have 20 memberships, and those at interfaces that are gone count. */
	if (index != before)
		set_membership(group, before, false);
	/* Also where it is the one that it was: what was joined by a route may have gone with its interface. */
	if (set_membership(group, index, true) || index == before)
		return false;
	take_interface(group, index);
	return true;
}

/* The place of the host that has said nothing for longest. */
static unsigned longest_unheard(const struct tunnel_group *group)
{
	unsigned place = 0;

	for (unsigned i = 1; i < TUNNEL_HEARD_MAX; i++)
		if (group->heard[i] < group->heard[place])
			place = i;
	return place;
}

static void put_remote(const struct tunnel_group *group, struct tunnel_send *send, unsigned remote,
		       const struct sockaddr_in6 *from)
{
	struct tunnel_remote *at = &send->remotes[remote];

	*at = (struct tunnel_remote){ .endpoint.length = group->address.length };
	if (is_ipv6(group)) {
		at->endpoint.address.in6 = *from;
		at->endpoint.address.in6.sin6_flowinfo = 0;
		at->endpoint.address.in6.sin6_port = group->address.address.in6.sin6_port;
	} else {
		memcpy(&at->endpoint.address.in, from, sizeof(at->endpoint.address.in));
		at->endpoint.address.in.sin_port = group->address.address.in.sin_port;
	}
}

/* Who claims to have no address yet would be this host itself, and what goes to him comes back. */
static bool can_be_sent_to(const struct tunnel_group *group, const struct sockaddr_in6 *from)
{
	struct sockaddr_in ipv4;

	if (from->sin6_family != group->address.address.any.sa_family)
		return false;
	if (is_ipv6(group))
		return !IN6_IS_ADDR_V4MAPPED(&from->sin6_addr) &&
		       !IN6_IS_ADDR_UNSPECIFIED(&from->sin6_addr);
	memcpy(&ipv4, from, sizeof(ipv4));
	return ipv4.sin_addr.s_addr != INADDR_ANY;
}

/* A link's own address is one of an interface, and that was made anew. */
static bool has_come_with_interface(const struct tunnel_group *group,
				    const struct tunnel_remote *remote,
				    const struct sockaddr_in6 *from)
{
	return is_ipv6(group) && from->sin6_scope_id && from->sin6_scope_id == group->index &&
	       remote->endpoint.address.in6.sin6_scope_id != group->index;
}

int tunnel_group_heard(struct tunnel_group *group, struct tunnel_send *send, struct port *port,
		       struct mac_table *table, int remote, const struct sockaddr_in6 *from)
{
	unsigned place = send->count - group->first;
	uint64_t now = port_now(port);

	if (remote < 0) {
		if (!can_be_sent_to(group, from))
			return -1;
		if (place == TUNNEL_HEARD_MAX) {
			place = longest_unheard(group);
			if (now - group->heard[place] < TUNNEL_HEARD_NS)
				return 0; /* the group */
		}
		/* Who sends by this port reads the remotes. */
		vswitch_lock_if_shared(port->vswitch, &port->out_lock);
		if (group->first + place < send->count)
			mac_table_flush_port(table, (uint16_t)(group->first + place));
		else
			send->count++;
		put_remote(group, send, group->first + place, from);
		vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
		remote = (int)(group->first + place);
	}
	if (has_come_with_interface(group, &send->remotes[remote], from)) {
		vswitch_lock_if_shared(port->vswitch, &port->out_lock);
		send->remotes[remote].endpoint.address.in6.sin6_scope_id = group->index;
		vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
	}
	if ((unsigned)remote >= group->first)
		group->heard[(unsigned)remote - group->first] = now;
	return remote;
}
