/* SPDX-License-Identifier: BSD-2-Clause */
/* Changing the tags of frames; see vlan.h. */
#include "vswitch/vlan.h"

#include "vswitch/thread.h"

#define NETWORK_MOST (VIRTIO_NET_FRAME_MIN + 2 * VLAN_TAG_SIZE)

bool vlan_is_for_customer(const struct vlan_port *port, const uint8_t *head, size_t length,
			  size_t at)
{
	uint16_t type = get_be16(head + at), id = 0;

	if (type == VLAN_TYPE || type == VLAN_TYPE_S || type == VLAN_TYPE_OLD_S) {
		if (length < at + 2 + VLAN_TAG_SIZE) /* no room for a type behind it */
			return false;
		id = get_be16(head + at + 2) & VLAN_ID;
	}
	return vlan_in_list(port->members, id);
}

struct vlan_change vlan_change_for(const struct vlan_port *port, uint16_t vlan, uint8_t tag,
				   uint16_t type)
{
	struct vlan_change change = { VLAN_KEEP, vlan, vlan_tag_type(port) };
	bool tagged = vlan && (port->kind == VLAN_PORT_ANY || vlan != port->untagged);

	/* Between ports of the first kind all stays as it is. */
	if (!vlan)
		return change;
	if (tagged && tag == FRAME_UNTAGGED)
		change.kind = VLAN_INSERT;
	else if (tagged && (tag == FRAME_PRIORITY_TAGGED || type != change.type))
		change.kind = VLAN_REWRITE;
	else if (!tagged && tag != FRAME_UNTAGGED)
		change.kind = VLAN_STRIP;
	return change;
}

void vlan_copy_head(const struct vlan_change *change, uint8_t *to, const uint8_t *head,
		    size_t length)
{
	size_t skip = change->kind == VLAN_STRIP ? VLAN_TAG_SIZE : 0;
	size_t room = change->kind == VLAN_INSERT ? VLAN_TAG_SIZE : 0;
	uint16_t priority = 0;

	memcpy(to, head, VLAN_AT);
	memcpy(to + VLAN_AT + room, head + VLAN_AT + skip, length - VLAN_AT - skip);
	if (change->kind == VLAN_REWRITE)
		priority = get_be16(head + VLAN_AT + 2) & (uint16_t)~VLAN_ID;
	if (change->kind == VLAN_INSERT || change->kind == VLAN_REWRITE) {
		put_be16(to + VLAN_AT, change->type);
		put_be16(to + VLAN_AT + 2, priority | change->vlan);
	}
}

void vlan_move_offload(const struct vlan_change *change, struct virtio_net_offload *offload)
{
	uint16_t growth = (uint16_t)vlan_growth(change);

	if (offload->needs_checksum)
		offload->checksum_start += growth;
	if (offload->gso) {
		offload->network += growth;
		offload->headers += growth;
	}
}

bool vlan_offload_fits(const struct vlan_change *change, const struct virtio_net_offload *offload)
{
	int growth = vlan_growth(change);

	if (!offload->needs_checksum)
		return true;
	/* A tag is taken off before what has to be summed, and put before what still lies in the head; behind more than two
	 * tags nobody looks for a large frame's headers. */
	return offload->checksum_start + growth >= VIRTIO_NET_FRAME_MIN &&
	       offload->checksum_start + offload->checksum_offset + 2 + growth <=
		       VIRTIO_NET_HEAD_MAX &&
	       (!offload->gso || (offload->headers + growth <= VIRTIO_NET_HEAD_MAX &&
				  offload->network + growth <= NETWORK_MOST));
}
