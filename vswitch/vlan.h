/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLANs of ports, and the tags of frames: IEEE 802.1Q-2022, clauses 6.9 (what a received frame is in) and 9 (tags).
 *
 * A port is one of four kinds.
 *	any	the kind of a port of which nothing was said: carries all VLANs by their tags, and what has no tag, in a
 *		VLAN of its own ("0"). Between such ports nothing is changed, also not a priority tag.
 *	access	in one VLAN, without tags. A priority tag (VLAN 0) is taken off; a frame with another tag
 *		is dropped ("admit only untagged and priority-tagged frames").
 *	trunk	carries the VLANs of a list by their tags, and what has no tag in its native VLAN, if it has one; else that
 *		is dropped ("admit only VLAN-tagged frames").
 *	tunnel	a customer's port (802.1ad; "dot1q-tunnel"): all that comes is in one VLAN, whatever tags it has, which are
 *		carried as they are; it leaves without that VLAN's tag. Where a list says which of the customer's VLANs it is for
 *		("cvlans"), other frames neither come nor go; 0 is what has no tag of his, or VLAN 0 in it
 *
 * The tags that are VLANs at a port are those of its type: C-tags (0x8100), or S-tags (0x88a8, or 0x9100 of old devices)
 * where it was said. Tags of another type are the guests' own business: what begins with one has none.
 */
#ifndef TENON_VSWITCH_VLAN_H
#define TENON_VSWITCH_VLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtio_net.h"

#define VLAN_TAG_SIZE   4
#define VLAN_TYPE       0x8100 /* of C-tags */
#define VLAN_TYPE_S     0x88a8
#define VLAN_TYPE_OLD_S 0x9100 /* of S-tags before there was a standard */
#define VLAN_ID         0x0fff
#define VLAN_ID_MAX     4094 /* 4095 is reserved */
#define VLAN_AT         12   /* where a tag is in a frame */

enum vlan_kind { VLAN_PORT_ANY, VLAN_PORT_ACCESS, VLAN_PORT_TRUNK, VLAN_PORT_TUNNEL };

struct vlan_port {
	uint8_t kind;         /* enum vlan_kind */
	uint16_t untagged;    /* the VLAN of what has no tag; 0: none */
	uint16_t tag_type;    /* of its tags; 0: VLAN_TYPE */
	bool listed;          /* of a tunnel: `members` are the customer's VLANs it is for */
	uint64_t members[64]; /* of a trunk: a bit for each VLAN; its native one needs none */
};

static inline bool vlan_port_same(const struct vlan_port *a, const struct vlan_port *b)
{
	return a->kind == b->kind && a->untagged == b->untagged && a->tag_type == b->tag_type &&
	       a->listed == b->listed && !memcmp(a->members, b->members, sizeof(a->members));
}

static inline bool vlan_in_list(const uint64_t members[64], uint16_t vlan)
{
	return members[vlan / 64] >> vlan % 64 & 1;
}

/* Whether the port carries the VLAN. */
static inline bool vlan_has(const struct vlan_port *port, uint16_t vlan)
{
	switch (port->kind) {
	case VLAN_PORT_ACCESS:
	case VLAN_PORT_TUNNEL:
		return vlan == port->untagged;
	case VLAN_PORT_TRUNK:
		return vlan_in_list(port->members, vlan) || (vlan && vlan == port->untagged);
	default:
		return true;
	}
}

/* Of a port with a list: whether it is for a frame whose customer's tag, if it has one, is at `at` of its head. */
bool vlan_is_for_customer(const struct vlan_port *port, const uint8_t *head, size_t length,
			  size_t at);

/* Whether it carries a frame of the VLAN, behind whose tag, if it has one, is `at`. */
static inline bool vlan_carries(const struct vlan_port *port, uint16_t vlan, const uint8_t *head,
				size_t length, size_t at)
{
	return vlan_has(port, vlan) &&
	       (!port->listed || vlan_is_for_customer(port, head, length, at));
}

static inline uint16_t vlan_tag_type(const struct vlan_port *port)
{
	return port->tag_type ? port->tag_type : VLAN_TYPE;
}

/* Whether its VLANs are a provider's (802.1ad): a customer's port, or one of S-tags. */
static inline bool vlan_is_service(const struct vlan_port *port)
{
	return port->kind == VLAN_PORT_TUNNEL || port->tag_type == VLAN_TYPE_S;
}

/* What has to be done with a frame's tag. */
enum vlan_change_kind { VLAN_KEEP, VLAN_INSERT, VLAN_REWRITE, VLAN_STRIP };

struct vlan_change {
	uint8_t kind; /* enum vlan_change_kind */
	uint16_t vlan, type;
};

/* Of a frame in `vlan` that leaves by `port`; `tag` is an enum frame_tag (thread.h), and `type` that of the tag, if it has one. */
struct vlan_change vlan_change_for(const struct vlan_port *port, uint16_t vlan, uint8_t tag,
				   uint16_t type);

/* By how many bytes the frame grows. */
static inline int vlan_growth(const struct vlan_change *change)
{
	return change->kind == VLAN_INSERT  ? VLAN_TAG_SIZE
	       : change->kind == VLAN_STRIP ? -VLAN_TAG_SIZE
					    : 0;
}

/* Copies a frame's head of `length` bytes, with the change; `to` has room for VLAN_TAG_SIZE more. */
void vlan_copy_head(const struct vlan_change *change, uint8_t *to, const uint8_t *head,
		    size_t length);

/* What the frame asks for is as much further on. */
void vlan_move_offload(const struct vlan_change *change, struct virtio_net_offload *offload);

/* Whether its headers are still where they must be, then. */
bool vlan_offload_fits(const struct vlan_change *change, const struct virtio_net_offload *offload);

#endif
