/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces of a network namespace as `tenon nic` shows, makes and changes them: through libnl-3, as link.h, which has the single
 * steps. `netns` is an fd, or -1 for the caller's own.
 *
 * Source: rtnetlink(7); Linux include/uapi/linux/{if_link,if_tun,ethtool}.h.
 */
#ifndef TENON_NETDEV_NIC_H
#define TENON_NETDEV_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "netdev/link.h"
#include "util/cleanup.h"

#define NIC_ADDRESS_TEXT 64

/* What the host's stack may leave to the interface. */
enum nic_offload {
	NIC_OFFLOAD_RX_CHECKSUM = 1,
	NIC_OFFLOAD_TX_CHECKSUM = 2,
	NIC_OFFLOAD_TSO = 4,
	NIC_OFFLOAD_GSO = 8,
	NIC_OFFLOAD_GRO = 16,
};

struct nic_tap {
	bool is_tap; /* else the rest has no meaning */
	bool persistent, multi_queue;
	bool header; /* frames have a virtio-net header */
	bool has_owner, has_group;
	uid_t owner;
	gid_t group;
	bool has_queues; /* of one with several: */
	unsigned queues; /* that are attached */
};

struct nic_counters {
	uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped;
	uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
};

struct nic {
	struct link_info link;
	char kind
		[16]; /* "tap", "veth", "bridge", ... as the kernel calls it; "ethernet", "loopback" */
	char bridge[IFNAMSIZ]; /* it is a port of; or "" */
	char peer[IFNAMSIZ];   /* of a veth, if that is in the same namespace; or "" */
	struct nic_tap tap;
	struct nic_counters counters;
	unsigned offloads;                   /* enum nic_offload */
	char (*addresses)[NIC_ADDRESS_TEXT]; /* "10.0.0.1/24" */
	unsigned address_count;
};

struct nic_list {
	struct nic *nics; /* by index */
	unsigned count;
};

/* All of the namespace. The caller frees the list with nic_list_free(). */
int nic_list(int netns, struct nic_list *out, struct error *error);
void nic_list_free(struct nic_list *list);

/* The one of that name, or NULL. */
const struct nic *nic_find(const struct nic_list *list, const char *name);

struct nic_creation {
	const char *name;
	const char *kind; /* "tap", "veth" or "bridge" */
	const char *peer; /* of a veth */
	bool multi_queue; /* of a TAP, as the next */
	bool has_owner, has_group;
	uid_t owner;
	gid_t group;
};

/* What this kernel's TAPs can, as was found when one was made. */
struct nic_tap_found {
	bool header12;     /* a virtio-net header of 12 bytes */
	unsigned offloads; /* TUN_F_* */
};

/* Makes an interface; a TAP stays when this process ends. `found`: of a TAP; may be NULL. -EEXIST, -EPERM with what to do, -ENOENT
 * (no /dev/net/tun), with `error` set, and nothing made. */
int nic_create(const struct nic_creation *creation, int netns, struct nic_tap_found *found,
	       struct error *error);

/* What can be changed besides link_configure()'s. */
struct nic_change {
	bool set_bridge;
	const char *bridge;         /* to be a port of; NULL: of none */
	const char *remove_address; /* that it has */
	bool set_owner, set_group;  /* of a TAP that nobody has attached */
	uid_t owner;
	gid_t group;
};

/* -ENODEV, -EBUSY (a TAP that is attached), -EADDRNOTAVAIL, ... with `error` set. */
int nic_change(const char *name, int netns, const struct nic_change *change, struct error *error);

/* Whether a text is an address with its prefix length. -EINVAL with `error` set. */
int nic_check_address(const char *text, struct error *error);

#endif
