/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at interfaces; see nic.h. */
#include "netdev/nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "netdev/link_route.h"
#include "netdev/netlink_library.h"
#include "netdev/netns.h"
#include "util/bytes.h"
#include "util/error.h"

DEFINE_CLEANUP(cleanup_nic_socket, struct nl_sock, libnl.nl_socket_free)

struct nic_look {
	struct nic_list list;
	int *masters, *peers; /* indexes of interfaces, beside the list */
	bool out_of_memory;
};

/* ---- Links ---- */

static void take_tap(struct nic *nic, struct nlattr *data)
{
	struct nlattr *tun[IFLA_TUN_MAX + 1];
	struct nic_tap *tap = &nic->tap;

	if (libnl.nla_parse_nested(tun, IFLA_TUN_MAX, data, NULL))
		return;
	if (tun[IFLA_TUN_TYPE] && libnl.nla_get_u8(tun[IFLA_TUN_TYPE]) != IFF_TAP)
		return;
	strcpy(nic->kind, "tap");
	tap->is_tap = true;
	tap->persistent = tun[IFLA_TUN_PERSIST] && libnl.nla_get_u8(tun[IFLA_TUN_PERSIST]);
	tap->multi_queue = tun[IFLA_TUN_MULTI_QUEUE] && libnl.nla_get_u8(tun[IFLA_TUN_MULTI_QUEUE]);
	tap->header = tun[IFLA_TUN_VNET_HDR] && libnl.nla_get_u8(tun[IFLA_TUN_VNET_HDR]);
	tap->has_owner = tun[IFLA_TUN_OWNER] != NULL;
	tap->owner = tap->has_owner ? libnl.nla_get_u32(tun[IFLA_TUN_OWNER]) : 0;
	tap->has_group = tun[IFLA_TUN_GROUP] != NULL;
	tap->group = tap->has_group ? libnl.nla_get_u32(tun[IFLA_TUN_GROUP]) : 0;
	tap->has_queues = tun[IFLA_TUN_NUM_QUEUES] != NULL;
	if (tap->has_queues)
		tap->queues = libnl.nla_get_u32(tun[IFLA_TUN_NUM_QUEUES]);
	if (tun[IFLA_TUN_NUM_DISABLED_QUEUES])
		tap->queues += libnl.nla_get_u32(tun[IFLA_TUN_NUM_DISABLED_QUEUES]);
}

static void take_kind(struct nic *nic, struct nlattr *linkinfo, unsigned type)
{
	struct nlattr *info[IFLA_INFO_MAX + 1];

	snprintf(nic->kind, sizeof(nic->kind), "%s",
		 type == ARPHRD_LOOPBACK ? "loopback"
		 : type == ARPHRD_ETHER  ? "ethernet"
					 : "other");
	if (!linkinfo || libnl.nla_parse_nested(info, IFLA_INFO_MAX, linkinfo, NULL) ||
	    !info[IFLA_INFO_KIND])
		return;
	libnl.nla_strlcpy(nic->kind, info[IFLA_INFO_KIND], sizeof(nic->kind));
	if (!strcmp(nic->kind, "tun") && info[IFLA_INFO_DATA])
		take_tap(nic, info[IFLA_INFO_DATA]);
}

static void take_counters(struct nic_counters *counters, struct nlattr *attribute)
{
	struct rtnl_link_stats64 stats = { 0 };

	if (!attribute)
		return;
	memcpy(&stats, libnl.nla_data(attribute),
	       MIN((size_t)libnl.nla_len(attribute), sizeof(stats)));
	*counters = (struct nic_counters){ stats.rx_packets, stats.rx_bytes,   stats.rx_errors,
					   stats.rx_dropped, stats.tx_packets, stats.tx_bytes,
					   stats.tx_errors,  stats.tx_dropped };
}

static bool grow(struct nic_look *look)
{
	size_t count = look->list.count + 1;
	struct nic *nics = realloc(look->list.nics, count * sizeof(*nics));
	int *masters, *peers;

	if (nics)
		look->list.nics = nics;
	masters = realloc(look->masters, count * sizeof(*masters));
	if (masters)
		look->masters = masters;
	peers = realloc(look->peers, count * sizeof(*peers));
	if (peers)
		look->peers = peers;
	look->out_of_memory |= !nics || !masters || !peers;
	return nics && masters && peers;
}

static int take_link(struct nl_msg *message, void *arg)
{
	struct ifinfomsg *head = libnl.nlmsg_data(libnl.nlmsg_hdr(message));
	struct nlattr *link[IFLA_MAX + 1];
	struct nic_look *look = arg;
	struct nic *nic;
	unsigned at = look->list.count;

	if (libnl.nlmsg_parse(libnl.nlmsg_hdr(message), sizeof(*head), link, IFLA_MAX, NULL) ||
	    !link[IFLA_IFNAME] || !grow(look))
		return NL_OK;
	nic = &look->list.nics[at];
	*nic = (struct nic){ .link = { .index = head->ifi_index,
				       .up = head->ifi_flags & IFF_UP,
				       .carrier = head->ifi_flags & IFF_LOWER_UP } };
	libnl.nla_strlcpy(nic->link.name, link[IFLA_IFNAME], sizeof(nic->link.name));
	if (link[IFLA_MTU])
		nic->link.mtu = libnl.nla_get_u32(link[IFLA_MTU]);
	if (link[IFLA_ADDRESS] && libnl.nla_len(link[IFLA_ADDRESS]) == 6 &&
	    head->ifi_type == ARPHRD_ETHER) {
		memcpy(nic->link.mac, libnl.nla_data(link[IFLA_ADDRESS]), 6);
		nic->link.has_mac = true;
	}
	take_kind(nic, link[IFLA_LINKINFO], head->ifi_type);
	take_counters(&nic->counters, link[IFLA_STATS64]);
	look->masters[at] = link[IFLA_MASTER] ? (int)libnl.nla_get_u32(link[IFLA_MASTER]) : 0;
	/* An index of another namespace says nothing here. */
	look->peers[at] = link[IFLA_LINK] && !link[IFLA_LINK_NETNSID] && !strcmp(nic->kind, "veth")
				  ? (int)libnl.nla_get_u32(link[IFLA_LINK])
				  : 0;
	look->list.count++;
	return NL_OK;
}

/* ---- Addresses ---- */

static struct nic *nic_of_index(const struct nic_list *list, int index)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->nics[i].link.index == index)
			return &list->nics[i];
	return NULL;
}

static int take_address(struct nl_msg *message, void *arg)
{
	struct ifaddrmsg *head = libnl.nlmsg_data(libnl.nlmsg_hdr(message));
	struct nlattr *attributes[IFA_MAX + 1], *found;
	char text[INET6_ADDRSTRLEN], (*grown)[NIC_ADDRESS_TEXT];
	struct nic_look *look = arg;
	struct nic *nic = nic_of_index(&look->list, (int)head->ifa_index);
	int length = head->ifa_family == AF_INET ? 4 : 16;

	if (!nic || (head->ifa_family != AF_INET && head->ifa_family != AF_INET6) ||
	    libnl.nlmsg_parse(libnl.nlmsg_hdr(message), sizeof(*head), attributes, IFA_MAX, NULL))
		return NL_OK;
	found = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
	if (!found || libnl.nla_len(found) != length ||
	    !inet_ntop(head->ifa_family, libnl.nla_data(found), text, sizeof(text)))
		return NL_OK;
	grown = realloc(nic->addresses, (nic->address_count + 1) * sizeof(*grown));
	if (!grown) {
		look->out_of_memory = true;
		return NL_OK;
	}
	nic->addresses = grown;
	snprintf(grown[nic->address_count++], NIC_ADDRESS_TEXT, "%s/%u", text, head->ifa_prefixlen);
	return NL_OK;
}

/* ---- Offloads ---- */

static void take_offloads(struct nic *nic, int sock)
{
	static const struct {
		uint32_t command;
		enum nic_offload offload;
	} questions[] = {
		{ ETHTOOL_GRXCSUM, NIC_OFFLOAD_RX_CHECKSUM },
		{ ETHTOOL_GTXCSUM, NIC_OFFLOAD_TX_CHECKSUM },
		{ ETHTOOL_GTSO, NIC_OFFLOAD_TSO },
		{ ETHTOOL_GGSO, NIC_OFFLOAD_GSO },
		{ ETHTOOL_GGRO, NIC_OFFLOAD_GRO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		struct ethtool_value value = { .cmd = questions[i].command };
		struct ifreq request = { 0 };

		memcpy(request.ifr_name, nic->link.name, sizeof(request.ifr_name));
		request.ifr_data = (char *)&value;
		if (!ioctl(sock, SIOCETHTOOL, &request) && value.data)
			nic->offloads |= questions[i].offload;
	}
}

/* ---- All of it ---- */

/* Has the kernel list what is of `type`. */
static int dump(struct nl_sock *sock, int type, nl_recvmsg_msg_cb_t take, struct nic_look *look)
{
	struct rtgenmsg any = { .rtgen_family = AF_UNSPEC };
	int nl = libnl.nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take, look);

	if (!nl)
		nl = libnl.nl_send_simple(sock, type, NLM_F_DUMP, &any, sizeof(any));
	return nl < 0 ? nl : libnl.nl_recvmsgs_default(sock);
}

static void name_others(struct nic_look *look)
{
	for (unsigned i = 0; i < look->list.count; i++) {
		struct nic *nic = &look->list.nics[i];
		const struct nic *master = nic_of_index(&look->list, look->masters[i]);
		const struct nic *peer = nic_of_index(&look->list, look->peers[i]);

		if (look->masters[i] && master)
			memcpy(nic->bridge, master->link.name, sizeof(nic->bridge));
		if (look->peers[i] && peer)
			memcpy(nic->peer, peer->link.name, sizeof(nic->peer));
	}
}

int nic_list(int netns, struct nic_list *out, struct error *error)
{
	CLEANUP(cleanup_nic_socket) struct nl_sock *sock = NULL;
	CLEANUP_CLOSE int inet = -1;
	struct nic_look look = { 0 };
	int nl, rc = link_open_route(netns, &sock, error);

	if (rc)
		return rc;
	nl = dump(sock, RTM_GETLINK, take_link, &look);
	if (nl >= 0)
		nl = dump(sock, RTM_GETADDR, take_address, &look);
	name_others(&look);
	free(look.masters);
	free(look.peers);
	*out = look.list;
	if (nl < 0 || look.out_of_memory) {
		nic_list_free(out);
		return error_set(error, look.out_of_memory ? -ENOMEM : -EIO,
				 "cannot list the interfaces: %s",
				 look.out_of_memory ? "out of memory" : libnl.nl_geterror(nl));
	}
	inet = netns_socket(netns, AF_INET, SOCK_DGRAM, 0, NULL);
	for (unsigned i = 0; i < out->count && inet >= 0; i++)
		take_offloads(&out->nics[i], inet);
	return 0;
}

void nic_list_free(struct nic_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->nics[i].addresses);
	free(list->nics);
	*list = (struct nic_list){ 0 };
}

const struct nic *nic_find(const struct nic_list *list, const char *name)
{
	for (unsigned i = 0; i < list->count; i++)
		if (!strcmp(list->nics[i].link.name, name))
			return &list->nics[i];
	return NULL;
}
