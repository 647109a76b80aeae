/* SPDX-License-Identifier: BSD-2-Clause */
/* See packet.h. */
#include "netdev/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "netdev/link.h"
#include "netdev/netns.h"
#include "util/error.h"

#define RECEIVE_BUFFER (4 << 20)

/* Since Linux 5.14. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Since Linux 4.20. */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static int fail_to(struct packet_socket *packet, const char *what, struct error *error)
{
	int rc = -errno;

	packet_close(packet);
	return error_set(error, rc, "interface %s: cannot %s: %s", packet->name, what,
			 error_name(rc));
}

static int check_kind(struct packet_socket *packet, struct error *error)
{
	struct ifreq request = { 0 };

	memcpy(request.ifr_name, packet->name, sizeof(request.ifr_name));
	if (ioctl(packet->fd, SIOCGIFHWADDR, &request))
		return fail_to(packet, "look at it", error);
	if (request.ifr_hwaddr.sa_family == ARPHRD_ETHER)
		return 0;
	packet_close(packet);
	return error_set(error, -EINVAL,
			 "interface %s: expected an Ethernet interface, found type %u",
			 packet->name, request.ifr_hwaddr.sa_family);
}

/* Before it is bound, so that no frame comes in another form. */
static int set_options(struct packet_socket *packet, bool plain, struct error *error)
{
	int on = 1, size = RECEIVE_BUFFER;

	if (setsockopt(packet->fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)))
		return fail_to(packet, "have its tags told", error);
	packet->header =
		!plain && !setsockopt(packet->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
	if (setsockopt(packet->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)))
		return fail_to(packet, "leave out what this host sends there", error);
	/* As much as this user may have. */
	if (setsockopt(packet->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(packet->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return 0;
}

static int bind_to(struct packet_socket *packet, struct error *error)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = packet->index };
	struct packet_mreq promiscuous = { .mr_ifindex = packet->index,
					   .mr_type = PACKET_MR_PROMISC };

	if (setsockopt(packet->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
		       sizeof(promiscuous)))
		return fail_to(packet, "have it receive for all addresses", error);
	if (bind(packet->fd, (struct sockaddr *)&address, sizeof(address)))
		return fail_to(packet, "bind to it", error);
	return 0;
}

int packet_open(struct packet_socket *packet, const char *name,
		const struct packet_options *options, struct error *error)
{
	int netns = options && options->netns > 0 ? options->netns : -1;
	struct link_info info;
	int rc = link_get(name, netns, &info, error);

	*packet = (struct packet_socket){ .fd = -1 };
	if (rc)
		return rc;
	memcpy(packet->name, info.name, sizeof(packet->name));
	packet->index = info.index;
	/* Protocol 0: nothing comes until it is bound. */
	packet->fd = netns_socket(netns, AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0, error);
	if (packet->fd < 0) {
		rc = packet->fd;
		error_set(error, rc, "interface %s: cannot open a packet socket: %s", name,
			  error_name(rc));
		if (rc == -EPERM)
			error_advise(error,
				     "needs CAP_NET_RAW: run in a user and network namespace of "
				     "your own (unshare -rn), or have root give it to the "
				     "program: setcap cap_net_raw+ep FILE");
		return rc;
	}
	rc = check_kind(packet, error);
	if (!rc)
		rc = set_options(packet, options && options->plain, error);
	if (rc)
		return rc;
	packet->refused = packet_ring_create(&packet->ring, packet->fd, packet->header);
	return bind_to(packet, error);
}

void packet_close(struct packet_socket *packet)
{
	packet_ring_destroy(&packet->ring);
	if (packet->fd >= 0)
		close(packet->fd);
	packet->fd = -1;
}

bool packet_same(const struct packet_socket *a, const struct packet_socket *b)
{
	uint64_t one = 0, other = 0;
	socklen_t length = sizeof(one);

	if (a->index != b->index)
		return false;
	/* Numbers are of a network namespace; where that is not told, the name has to do. */
	if (getsockopt(a->fd, SOL_SOCKET, SO_NETNS_COOKIE, &one, &length) ||
	    getsockopt(b->fd, SOL_SOCKET, SO_NETNS_COOKIE, &other, &length))
		return !strcmp(a->name, b->name);
	return one == other;
}

void packet_clear_error(const struct packet_socket *packet)
{
	int rc;
	socklen_t length = sizeof(rc);

	(void)getsockopt(packet->fd, SOL_SOCKET, SO_ERROR, &rc, &length);
}

uint64_t packet_drops(struct packet_socket *packet)
{
	struct tpacket_stats stats = { 0 };
	socklen_t length = sizeof(stats);

	return getsockopt(packet->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length)
		       ? 0
		       : stats.tp_drops;
}

uint32_t packet_tag(const struct msghdr *message)
{
	struct tpacket_auxdata aux;

	for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each;
	     each = CMSG_NXTHDR((struct msghdr *)message, each)) {
		if (each->cmsg_level != SOL_PACKET || each->cmsg_type != PACKET_AUXDATA ||
		    each->cmsg_len < CMSG_LEN(sizeof(aux)))
			continue;
		memcpy(&aux, CMSG_DATA(each), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			return 0;
		return (uint32_t)(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid
									    : ETH_P_8021Q)
			       << 16 |
		       aux.tp_vlan_tci;
	}
	return 0;
}

bool packet_flags(const struct packet_socket *packet, unsigned *flags)
{
	struct ifreq request = { .ifr_ifindex = packet->index };

	/* Its name may have changed. */
	if (ioctl(packet->fd, SIOCGIFNAME, &request) || ioctl(packet->fd, SIOCGIFFLAGS, &request))
		return false;
	*flags = (unsigned short)request.ifr_flags;
	return true;
}

bool packet_place(const struct packet_socket *packet, struct link_place *place)
{
	struct ifreq request = { .ifr_ifindex = packet->index };

	memset(place, 0, sizeof(*place));
	return !ioctl(packet->fd, SIOCGIFNAME, &request) &&
	       link_place_set(place, ioctl(packet->fd, SIOCGSKNS), request.ifr_name);
}
