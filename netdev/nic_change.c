/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and changing interfaces; see nic.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "netdev/link_route.h"
#include "netdev/netlink_library.h"
#include "netdev/netns.h"
#include "netdev/nic.h"
#include "netdev/tap.h"
#include "netdev/tap_users.h"
#include "util/error.h"
#include "virtio/virtio_net.h"

DEFINE_CLEANUP(cleanup_change_socket, struct nl_sock, libnl.nl_socket_free)
DEFINE_CLEANUP(cleanup_change_link, struct rtnl_link, libnl.rtnl_link_put)
DEFINE_CLEANUP(cleanup_change_address, struct rtnl_addr, libnl.rtnl_addr_put)
DEFINE_CLEANUP(cleanup_change_addr, struct nl_addr, libnl.nl_addr_put)

/* ---- TAPs ---- */

struct tap_call {
	const char *name;
	short flags;
	bool make, set_owner, set_group;
	uid_t owner;
	gid_t group;
	struct nic_tap_found found;
	struct error *error;
};

static int tap_fail(const struct tap_call *call, const char *what)
{
	char who[PROCESS_TEXT];
	int rc = -errno;

	error_set(call->error, rc, "interface %s: cannot %s: %s", call->name, what, error_name(rc));
	if (rc == -EPERM)
		error_advise(call->error,
			     "changing interfaces needs CAP_NET_ADMIN: run as root, or in a user "
			     "and network namespace of your own (unshare -rn), or have root give "
			     "it to the program: setcap cap_net_admin+ep FILE");
	else if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		error_advise(call->error,
			     "the kernel's TUN/TAP driver is missing: `modprobe tun`, or give "
			     "the container the device /dev/net/tun");
	else if (rc == -EBUSY)
		error_advise(call->error, "%s has it attached: end that first",
			     tap_user(call->name, false, who));
	else if (rc == -EINVAL && !strncmp(what, "set its ", 8))
		error_advise(call->error,
			     "a user namespace (unshare -rn) has only the users and groups that "
			     "are mapped into it: name one of those, or make it outside as root");
	return rc;
}

static void probe(struct tap_call *call, int fd)
{
	int size = sizeof(struct virtio_net_header);

	call->found.header12 = !ioctl(fd, TUNSETVNETHDRSZ, &size);
	call->found.offloads = tap_set_offloads(fd);
}

/* In the namespace. What was made is gone with the descriptor if it cannot be made as it was wanted. */
static int attach_tap(void *arg)
{
	struct tap_call *call = arg;
	struct ifreq request = { .ifr_flags = call->flags };
	CLEANUP_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return tap_fail(call, "open /dev/net/tun");
	memcpy(request.ifr_name, call->name, strlen(call->name));
	if (ioctl(fd, TUNSETIFF, &request))
		return tap_fail(call, call->make ? "make it" : "attach to it");
	if (call->set_owner && ioctl(fd, TUNSETOWNER, (unsigned long)call->owner))
		return tap_fail(call, "set its owner");
	if (call->set_group && ioctl(fd, TUNSETGROUP, (unsigned long)call->group))
		return tap_fail(call, "set its group");
	if (!call->make)
		return 0;
	probe(call, fd);
	return ioctl(fd, TUNSETPERSIST, 1UL) ? tap_fail(call, "have it stay") : 0;
}

static int create_tap(const struct nic_creation *creation, int netns, struct nic_tap_found *found,
		      struct error *error)
{
	struct tap_call call = {
		.name = creation->name,
		.flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
				 (creation->multi_queue ? IFF_MULTI_QUEUE : 0)),
		.make = true,
		.set_owner = creation->has_owner,
		.set_group = creation->has_group,
		.owner = creation->owner,
		.group = creation->group,
		.error = error,
	};
	int rc = netns_call(netns, attach_tap, &call, error);

	if (!rc && found)
		*found = call.found;
	return rc;
}

static int own_tap(const struct nic *nic, int netns, const struct nic_change *change,
		   struct error *error)
{
	struct tap_call call = {
		.name = nic->link.name,
		.flags = (short)(IFF_TAP | IFF_NO_PI | (nic->tap.header ? IFF_VNET_HDR : 0) |
				 (nic->tap.multi_queue ? IFF_MULTI_QUEUE : 0)),
		.set_owner = change->set_owner,
		.set_group = change->set_group,
		.owner = change->owner,
		.group = change->group,
		.error = error,
	};

	if (!nic->tap.is_tap)
		return error_set(
			error, -EINVAL,
			"interface %s: only TAP interfaces have an owner and a group, it is "
			"a %s",
			nic->link.name, nic->kind);
	if (nic->tap.queues) {
		error_set(error, -EBUSY, "interface %s: it is attached to by a process",
			  nic->link.name);
		error_advise(error, "end that first: its owner and group are set while nobody has "
				    "it");
		return -EBUSY;
	}
	return netns_call(netns, attach_tap, &call, error);
}

/* ---- Making ---- */

static int create_bridge(const struct nic_creation *creation, int netns, struct error *error)
{
	CLEANUP(cleanup_change_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_change_link) struct rtnl_link *link = NULL;
	int nl, rc = link_open_route(netns, &sock, error);

	if (rc)
		return rc;
	link = libnl.rtnl_link_bridge_alloc();
	if (!link)
		return error_set(error, -ENOMEM, "netlink: out of memory");
	libnl.rtnl_link_set_name(link, creation->name);
	nl = libnl.rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
	return nl ? link_fail(error, creation->name, "make a bridge", nl) : 0;
}

int nic_create(const struct nic_creation *creation, int netns, struct nic_tap_found *found,
	       struct error *error)
{
	struct link_info there;
	struct error unused;
	int rc = link_check_name(creation->name, error);

	if (rc)
		return rc;
	/* Of TAPs, the kernel would attach to one that exists. */
	if (!link_get(creation->name, netns, &there, &unused)) {
		error_set(error, -EEXIST, "interface %s: there is one of that name already",
			  creation->name);
		error_advise(error,
			     "choose another name; `tenon nic show %s` says what that one "
			     "is, `tenon nic set` changes it, `tenon nic delete` deletes it",
			     creation->name);
		return -EEXIST;
	}
	if (!strcmp(creation->kind, "tap"))
		return create_tap(creation, netns, found, error);
	if (!strcmp(creation->kind, "veth"))
		return link_create_veth(creation->name, creation->peer, netns, error);
	return create_bridge(creation, netns, error);
}

/* ---- Changing ---- */

int nic_check_address(const char *text, struct error *error)
{
	CLEANUP(cleanup_change_addr) struct nl_addr *address = NULL;
	int rc = libnl_load(error);

	if (rc)
		return rc;
	if (strchr(text, '/') && !libnl.nl_addr_parse(text, AF_UNSPEC, &address) &&
	    (libnl.nl_addr_get_family(address) == AF_INET ||
	     libnl.nl_addr_get_family(address) == AF_INET6) &&
	    libnl.nl_addr_get_prefixlen(address) <= libnl.nl_addr_get_len(address) * 8)
		return 0;
	return error_set(error, -EINVAL,
			 "address \"%.64s\": expected an IPv4 or IPv6 address with its prefix "
			 "length, as in 10.0.0.1/24",
			 text);
}

static int set_bridge(struct nl_sock *sock, struct rtnl_link *link, const char *bridge,
		      struct error *error)
{
	CLEANUP(cleanup_change_link) struct rtnl_link *master = NULL;
	const char *name = libnl.rtnl_link_get_name(link), *type;
	int nl, rc;

	if (!bridge) {
		if (!libnl.rtnl_link_get_master(link))
			return 0;
		nl = libnl.rtnl_link_release(sock, link);
		return nl ? link_fail(error, name, "take it out of its bridge", nl) : 0;
	}
	rc = link_find(sock, bridge, &master, error);
	if (rc)
		return rc;
	type = libnl.rtnl_link_get_type(master);
	if (!type || strcmp(type, "bridge"))
		return error_set(error, -EINVAL, "interface %s: expected a bridge, found %s",
				 bridge, type ? type : "an interface of another kind");
	type = libnl.rtnl_link_get_type(link);
	if (type && !strcmp(type, "bridge")) {
		error_set(error, -EINVAL,
			  "interface %s: it is a bridge, which is no port of another (%s)", name,
			  bridge);
		return error_advise(error, "a veth pair, one end at each, joins two bridges");
	}
	nl = libnl.rtnl_link_enslave(sock, master, link);
	return nl ? link_fail(error, name, "make it a port of the bridge", nl) : 0;
}

static int remove_address(struct nl_sock *sock, struct rtnl_link *link, const char *text,
			  struct error *error)
{
	CLEANUP(cleanup_change_address) struct rtnl_addr *address = libnl.rtnl_addr_alloc();
	CLEANUP(cleanup_change_addr) struct nl_addr *local = NULL;
	int nl, rc = nic_check_address(text, error);

	if (rc)
		return rc;
	if (!address || libnl.nl_addr_parse(text, AF_UNSPEC, &local))
		return error_set(error, -ENOMEM, "netlink: out of memory");
	libnl.rtnl_addr_set_ifindex(address, libnl.rtnl_link_get_ifindex(link));
	nl = libnl.rtnl_addr_set_local(address, local);
	if (!nl)
		nl = libnl.rtnl_addr_delete(sock, address, 0);
	if (nl == -NLE_NOADDR)
		return error_set(error, -EADDRNOTAVAIL, "interface %s: it has no address %s",
				 libnl.rtnl_link_get_name(link), text);
	return nl ? link_fail(error, libnl.rtnl_link_get_name(link), "remove an address", nl) : 0;
}

int nic_change(const char *name, int netns, const struct nic_change *change, struct error *error)
{
	CLEANUP(cleanup_change_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_change_link) struct rtnl_link *link = NULL;
	int rc = link_open_route(netns, &sock, error);

	if (!rc)
		rc = link_find(sock, name, &link, error);
	if (!rc && (change->set_owner || change->set_group)) {
		struct nic_list list;
		const struct nic *nic;

		rc = nic_list(netns, &list, error);
		if (rc)
			return rc;
		nic = nic_find(&list, name);
		rc = nic ? own_tap(nic, netns, change, error) : link_missing(name, error);
		nic_list_free(&list);
	}
	if (!rc && change->set_bridge)
		rc = set_bridge(sock, link, change->bridge, error);
	if (!rc && change->remove_address)
		rc = remove_address(sock, link, change->remove_address, error);
	return rc;
}
