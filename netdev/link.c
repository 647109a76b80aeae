/* SPDX-License-Identifier: BSD-2-Clause */
/* Interfaces through libnl-3; see link.h. */
#include "netdev/link.h"

#include <ctype.h>
#include <errno.h>
#include <linux/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "netdev/link_route.h"
#include "netdev/netlink_library.h"
#include "netdev/netns.h"
#include "util/cleanup.h"
#include "util/error.h"

#define IPV6_MTU_LEAST 1280u /* RFC 8200, 5 */

DEFINE_CLEANUP(cleanup_socket, struct nl_sock, libnl.nl_socket_free)
DEFINE_CLEANUP(cleanup_link, struct rtnl_link, libnl.rtnl_link_put)
DEFINE_CLEANUP(cleanup_address, struct rtnl_addr, libnl.rtnl_addr_put)
DEFINE_CLEANUP(cleanup_nl_addr, struct nl_addr, libnl.nl_addr_put)

/* libnl's error codes are its own; these are the ones a user can meet. */
static int code_of(int nl)
{
	switch (-nl) {
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENODEV;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_RANGE:
		return -ERANGE;
	default:
		return -EINVAL;
	}
}

int link_fail(struct error *error, const char *name, const char *what, int nl)
{
	int rc = code_of(nl);

	error_set(error, rc, "interface %s: cannot %s: %s", name, what, libnl.nl_geterror(nl));
	if (rc == -EPERM)
		error_advise(error,
			     "changing interfaces needs CAP_NET_ADMIN: run as root, or in a user "
			     "and network namespace of your own (unshare -rn), or have root give "
			     "it to the program: setcap cap_net_admin+ep FILE");
	return rc;
}

struct link_open_call {
	struct nl_sock *sock;
	int nl;
};

static int connect_route(void *arg)
{
	struct link_open_call *call = arg;

	call->nl = libnl.nl_connect(call->sock, NETLINK_ROUTE);
	return 0;
}

int link_open_route(int netns, struct nl_sock **out, struct error *error)
{
	CLEANUP(cleanup_socket) struct nl_sock *sock = NULL;
	struct link_open_call call = { 0 };
	int rc = libnl_load(error);

	if (rc)
		return rc;
	call.sock = sock = libnl.nl_socket_alloc();
	if (!sock)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	rc = netns_call(netns, connect_route, &call, error);
	if (rc)
		return rc;
	if (call.nl)
		return error_set(error, code_of(call.nl), "netlink: cannot connect: %s",
				 libnl.nl_geterror(call.nl));
	*out = steal_pointer(&sock);
	return 0;
}

/* Of a percent sign the kernel makes a number: the interface would have another name. */
int link_check_name(const char *name, struct error *error)
{
	bool good = name[0] && strcmp(name, ".") && strcmp(name, "..");

	for (const char *at = name; *at; at++)
		good &= !strchr("/:%", *at) && !isspace((unsigned char)*at);
	if (!good)
		return error_set(error, -EINVAL,
				 "interface name \"%.32s\": empty, or contains a slash, a "
				 "colon, a percent sign or a space",
				 name);
	if (strlen(name) >= IFNAMSIZ)
		return error_set(error, -EINVAL,
				 "interface name \"%.32s\": %zu bytes long, at most %d fit", name,
				 strlen(name), IFNAMSIZ - 1);
	return 0;
}

int link_missing(const char *name, struct error *error)
{
	error_set(error, -ENODEV, "interface %.40s: there is none of that name", name);
	error_advise(error, "`tenon nic list` shows those there are; with --netns NS those of "
			    "another network namespace");
	return -ENODEV;
}

int link_find(struct nl_sock *sock, const char *name, struct rtnl_link **out, struct error *error)
{
	int nl, rc = link_check_name(name, error);

	if (rc)
		return rc;
	nl = libnl.rtnl_link_get_kernel(sock, 0, name, out);
	if (nl == -NLE_OBJ_NOTFOUND || nl == -NLE_NODEV)
		return link_missing(name, error);
	return nl ? link_fail(error, name, "look it up", nl) : 0;
}

int link_get(const char *name, int netns, struct link_info *out, struct error *error)
{
	CLEANUP(cleanup_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *link = NULL;
	struct nl_addr *mac;
	int rc = link_open_route(netns, &sock, error);

	if (rc)
		return rc;
	rc = link_find(sock, name, &link, error);
	if (rc)
		return rc;
	memset(out, 0, sizeof(*out));
	strncpy(out->name, libnl.rtnl_link_get_name(link), sizeof(out->name) - 1);
	out->index = libnl.rtnl_link_get_ifindex(link);
	out->mtu = libnl.rtnl_link_get_mtu(link);
	out->up = libnl.rtnl_link_get_flags(link) & IFF_UP;
	out->carrier = libnl.rtnl_link_get_flags(link) & IFF_LOWER_UP;
	mac = libnl.rtnl_link_get_addr(link);
	if (mac && libnl.nl_addr_get_len(mac) == sizeof(out->mac)) {
		memcpy(out->mac, libnl.nl_addr_get_binary_addr(mac), sizeof(out->mac));
		out->has_mac = true;
	}
	return 0;
}

/* Sends one change of flags, MTU, MAC or namespace. */
static int change(struct nl_sock *sock, struct rtnl_link *link, struct rtnl_link *changes,
		  const char *what, struct error *error)
{
	int nl = libnl.rtnl_link_change(sock, link, changes, 0);

	return nl ? link_fail(error, libnl.rtnl_link_get_name(link), what, nl) : 0;
}

static int change_flags(struct nl_sock *sock, struct rtnl_link *link, bool up, struct error *error)
{
	CLEANUP(cleanup_link) struct rtnl_link *changes = libnl.rtnl_link_alloc();

	if (!changes)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	if (up)
		libnl.rtnl_link_set_flags(changes, IFF_UP);
	else
		libnl.rtnl_link_unset_flags(changes, IFF_UP);
	return change(sock, link, changes, up ? "bring it up" : "bring it down", error);
}

static int change_fields(struct nl_sock *sock, struct rtnl_link *link,
			 const struct link_settings *settings, struct error *error)
{
	CLEANUP(cleanup_link) struct rtnl_link *changes = libnl.rtnl_link_alloc();
	CLEANUP(cleanup_nl_addr) struct nl_addr *mac = NULL;

	if (!changes)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	if (settings->mac) {
		mac = libnl.nl_addr_build(AF_LLC, settings->mac, 6);
		if (!mac)
			return error_set(error, -ENOMEM, "netlink: out of memory");
		libnl.rtnl_link_set_addr(changes, mac);
	}
	if (settings->mtu)
		libnl.rtnl_link_set_mtu(changes, settings->mtu);
	return change(sock, link, changes, "set its MTU and MAC address", error);
}

static int add_address(struct nl_sock *sock, struct rtnl_link *link, const char *text,
		       struct error *error)
{
	CLEANUP(cleanup_address) struct rtnl_addr *address = libnl.rtnl_addr_alloc();
	CLEANUP(cleanup_nl_addr) struct nl_addr *local = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *now = NULL;
	const char *name = libnl.rtnl_link_get_name(link);
	int nl, rc;

	if (!address)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	if (libnl.nl_addr_parse(text, AF_UNSPEC, &local) ||
	    (libnl.nl_addr_get_family(local) != AF_INET &&
	     libnl.nl_addr_get_family(local) != AF_INET6) ||
	    libnl.nl_addr_get_prefixlen(local) > libnl.nl_addr_get_len(local) * 8)
		return error_set(error, -EINVAL,
				 "interface %s: address \"%.64s\": expected an IPv4 or "
				 "IPv6 address with its prefix length, as in 10.0.0.1/24",
				 name, text);
	libnl.rtnl_addr_set_ifindex(address, libnl.rtnl_link_get_ifindex(link));
	nl = libnl.rtnl_addr_set_local(address, local);
	if (!nl)
		nl = libnl.rtnl_addr_add(sock, address, 0);
	if (!nl || nl == -NLE_EXIST)
		return 0;
	rc = link_fail(error, name, "add an address", nl);
	if (libnl.nl_addr_get_family(local) == AF_INET6 && !link_find(sock, name, &now, NULL) &&
	    libnl.rtnl_link_get_mtu(now) < IPV6_MTU_LEAST)
		error_advise(error, "IPv6 needs an MTU of %u or more, and it has %u",
			     IPV6_MTU_LEAST, libnl.rtnl_link_get_mtu(now));
	return rc;
}

static int move(struct nl_sock *sock, struct rtnl_link *link, int netns, struct error *error)
{
	CLEANUP(cleanup_link) struct rtnl_link *changes = libnl.rtnl_link_alloc();

	if (!changes)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	libnl.rtnl_link_set_ns_fd(changes, netns);
	return change(sock, link, changes, "move it to another network namespace", error);
}

int link_configure(const char *name, int netns, const struct link_settings *settings,
		   struct error *error)
{
	CLEANUP(cleanup_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *link = NULL;
	int rc = link_open_route(netns, &sock, error);

	if (!rc)
		rc = link_find(sock, name, &link, error);
	if (!rc && settings->down)
		rc = change_flags(sock, link, false, error);
	if (!rc && (settings->mac || settings->mtu))
		rc = change_fields(sock, link, settings, error);
	if (!rc && settings->up)
		rc = change_flags(sock, link, true, error);
	if (!rc && settings->address)
		rc = add_address(sock, link, settings->address, error);
	if (!rc && settings->move_to_netns > 0)
		rc = move(sock, link, settings->move_to_netns, error);
	return rc;
}

int link_create_veth(const char *name, const char *peer, int netns, struct error *error)
{
	CLEANUP(cleanup_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *link = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *other = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *found = NULL;
	int nl, rc = link_check_name(name, error);

	if (!rc)
		rc = link_check_name(peer, error);
	if (!rc)
		rc = link_open_route(netns, &sock, error);
	if (rc)
		return rc;
	link = libnl.rtnl_link_veth_alloc();
	if (!link)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	libnl.rtnl_link_set_name(link, name);
	other = libnl.rtnl_link_veth_get_peer(link);
	libnl.rtnl_link_set_name(other, peer);
	nl = libnl.rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
	/* Which of the two is there? */
	if (nl == -NLE_EXIST && !link_find(sock, peer, &found, NULL))
		return link_fail(error, peer, "make a veth pair with it", nl);
	return nl ? link_fail(error, name, "make a veth pair", nl) : 0;
}

int link_delete(const char *name, int netns, struct error *error)
{
	CLEANUP(cleanup_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_link) struct rtnl_link *link = NULL;
	int nl, rc = link_open_route(netns, &sock, error);

	if (!rc)
		rc = link_find(sock, name, &link, error);
	if (rc)
		return rc;
	nl = libnl.rtnl_link_delete(sock, link);
	return nl ? link_fail(error, name, "delete it", nl) : 0;
}

bool link_place_set(struct link_place *place, int netns, const char *name)
{
	CLEANUP_CLOSE int fd = netns;
	struct stat status;

	*place = (struct link_place){ 0 };
	memcpy(place->name, name, strnlen(name, IFNAMSIZ - 1));
	if (fd < 0 || fstat(fd, &status))
		return false;
	place->device = status.st_dev;
	place->netns = status.st_ino;
	return true;
}
