/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-net headers: checking what a sender asks for, and deciding what a receiver can be handed. */
#include "virtio/virtio_net.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "util/bytes.h"

#define TCP_CHECKSUM_OFFSET 16
#define UDP_CHECKSUM_OFFSET 6
#define IPV6_EXTENSIONS_MAX 8
#define ETHERTYPE_QINQ      0x88a8

/* What the headers of a packet say, as far as segmentation needs it. */
struct packet {
	bool ipv6;
	uint8_t protocol;
	size_t network, transport;
};

/* Finds the IP header behind at most two tags. Returns its EtherType, or 0 when the head ends before. */
static uint16_t find_network(const uint8_t *head, size_t length, size_t *network)
{
	size_t at = 12;

	for (unsigned tags = 0; tags < 3; tags++, at += 4) {
		uint16_t type;

		if (!range_within(at, 2, length))
			return 0;
		type = get_be16(head + at);
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ) {
			*network = at + 2;
			return type;
		}
	}
	return 0;
}

static bool parse_ipv4(const uint8_t *head, size_t length, struct packet *packet)
{
	const uint8_t *ip = head + packet->network;
	size_t size;

	if (!range_within(packet->network, 20, length) || ip[0] >> 4 != 4)
		return false;
	size = (size_t)(ip[0] & 15) * 4;
	if (size < 20 || !range_within(packet->network, size, length))
		return false;
	if (get_be16(ip + 6) & 0x3fff) /* more fragments, or a later one */
		return false;
	packet->protocol = ip[9];
	packet->transport = packet->network + size;
	return true;
}

/* Walks the extension headers that may stand before TCP or UDP. A fragment header may not, nor a routing
 * header, behind which the pseudo header's destination is another. */
static bool parse_ipv6(const uint8_t *head, size_t length, struct packet *packet)
{
	const uint8_t *ip = head + packet->network;
	size_t at = packet->network + 40;
	uint8_t next;

	if (!range_within(packet->network, 40, length) || ip[0] >> 4 != 6)
		return false;
	next = ip[6];
	for (unsigned i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS) {
			packet->protocol = next;
			packet->transport = at;
			return true;
		}
		if (!range_within(at, 8, length))
			return false;
		next = head[at];
		at += ((size_t)head[at + 1] + 1) * 8;
	}
	return false;
}

static bool parse(const uint8_t *head, size_t length, struct packet *packet)
{
	uint16_t type = find_network(head, length, &packet->network);

	packet->ipv6 = type == ETHERTYPE_IPV6;
	if (type == ETHERTYPE_IP)
		return parse_ipv4(head, length, packet);
	return type == ETHERTYPE_IPV6 && parse_ipv6(head, length, packet);
}

/* The length of the transport header, or 0 where it is not whole or not what the GSO type needs. */
static size_t transport_size(const uint8_t *head, size_t length, const struct packet *packet,
			     bool tcp)
{
	size_t size;

	if (packet->protocol != (tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return 0;
	if (!tcp)
		return range_within(packet->transport, 8, length) ? 8 : 0;
	if (!range_within(packet->transport, 20, length))
		return 0;
	size = (size_t)(head[packet->transport + 12] >> 4) * 4;
	return size >= 20 && range_within(packet->transport, size, length) ? size : 0;
}

static enum virtio_net_fault decode_gso(const struct virtio_net_header *header, const uint8_t *head,
					size_t head_length, size_t length,
					struct virtio_net_offload *out)
{
	struct packet packet = { 0 };
	size_t transport;
	bool tcp;

	out->gso = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	out->ecn = header->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	out->gso_size = le16toh(header->gso_size);
	tcp = out->gso == VIRTIO_NET_HDR_GSO_TCPV4 || out->gso == VIRTIO_NET_HDR_GSO_TCPV6;
	if (!tcp && out->gso != VIRTIO_NET_HDR_GSO_UDP_L4)
		return VIRTIO_NET_FAULT_GSO;
	if (!out->gso_size || !out->needs_checksum || (out->ecn && !tcp))
		return VIRTIO_NET_FAULT_GSO;
	head_length = MIN(head_length, VIRTIO_NET_HEAD_MAX);
	if (!parse(head, head_length, &packet))
		return VIRTIO_NET_FAULT_PACKET;
	transport = transport_size(head, head_length, &packet, tcp);
	if (!transport || packet.transport != out->checksum_start ||
	    out->checksum_offset != (tcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET))
		return VIRTIO_NET_FAULT_PACKET;
	if (tcp && packet.ipv6 != (out->gso == VIRTIO_NET_HDR_GSO_TCPV6))
		return VIRTIO_NET_FAULT_PACKET;
	out->ipv6 = packet.ipv6;
	out->network = (uint16_t)packet.network;
	out->headers = (uint16_t)(packet.transport + transport);
	if (out->headers >= length)
		return VIRTIO_NET_FAULT_PACKET;
	if (virtio_net_wire_frames(out, length) > VIRTIO_NET_SEGMENTS_MAX)
		return VIRTIO_NET_FAULT_GSO;
	return VIRTIO_NET_FAULT_NONE;
}

/* The end of the IP header; of what is no IP, where its type ends. */
static size_t network_end(uint16_t type, const uint8_t *head, size_t length, size_t network)
{
	if (type == ETHERTYPE_IP && network < length)
		return network + MAX((head[network] & 15u) * 4u, 20u);
	return network + (type == ETHERTYPE_IPV6 ? 40u : 0);
}

/*
 * Whether a checksum there is one of what the frame carries. A receiver's finishing it writes two bytes that the sender chooses: none of what
 * filters, VLANs and protocols have decided by may be among them (addresses, the protocol, ports, a group).
 */
static bool checksum_place_is_good(const uint8_t *head, size_t length, size_t start, size_t offset)
{
	struct packet packet = { 0 };
	uint16_t type = find_network(head, length, &packet.network);

	if (!packet.network)
		return start >= VIRTIO_NET_FRAME_MIN + 12; /* behind three tags */
	if (start < network_end(type, head, length, packet.network))
		return false;
	packet.ipv6 = type == ETHERTYPE_IPV6;
	if ((type != ETHERTYPE_IP && !packet.ipv6) ||
	    !(packet.ipv6 ? parse_ipv6(head, length, &packet) : parse_ipv4(head, length, &packet)))
		return true;
	/* In a tunnel, behind the outer headers. */
	if (start != packet.transport)
		return start >= packet.transport + 8;
	switch (packet.protocol) {
	case IPPROTO_TCP:
		return offset == TCP_CHECKSUM_OFFSET;
	case IPPROTO_UDP:
		return offset == UDP_CHECKSUM_OFFSET;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_IGMP:
		return offset == 2;
	default:
		return true;
	}
}

static enum virtio_net_fault decode(const struct virtio_net_header *header, const uint8_t *head,
				    size_t head_length, size_t length,
				    struct virtio_net_offload *out)
{
	if (length < VIRTIO_NET_FRAME_MIN || length > VIRTIO_NET_FRAME_MAX)
		return VIRTIO_NET_FAULT_LENGTH;
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		size_t start = le16toh(header->csum_start), offset = le16toh(header->csum_offset);

		head_length = MIN(head_length, VIRTIO_NET_HEAD_MAX);
		if (start < VIRTIO_NET_FRAME_MIN || start + offset + 2 > head_length)
			return VIRTIO_NET_FAULT_CHECKSUM;
		out->needs_checksum = true;
		out->checksum_start = (uint16_t)start;
		out->checksum_offset = (uint16_t)offset;
	} else if (header->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		out->checksum_valid = true;
	}
	/* Of a large frame there is one place. */
	if (header->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return decode_gso(header, head, head_length, length, out);
	return !out->needs_checksum ||
			       checksum_place_is_good(head, head_length, out->checksum_start,
						      out->checksum_offset)
		       ? VIRTIO_NET_FAULT_NONE
		       : VIRTIO_NET_FAULT_CHECKSUM;
}

enum virtio_net_fault virtio_net_decode(const struct virtio_net_header *header, const uint8_t *head,
					size_t head_length, size_t length,
					struct virtio_net_offload *out)
{
	enum virtio_net_fault fault;

	memset(out, 0, sizeof(*out));
	fault = decode(header, head, head_length, length, out);
	if (fault != VIRTIO_NET_FAULT_NONE)
		memset(out, 0, sizeof(*out));
	return fault;
}

void virtio_net_encode(const struct virtio_net_offload *offload, struct virtio_net_header *out)
{
	memset(out, 0, sizeof(*out));
	out->num_buffers = htole16(1);
	if (offload->needs_checksum) {
		out->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		out->csum_start = htole16(offload->checksum_start);
		out->csum_offset = htole16(offload->checksum_offset);
	} else if (offload->checksum_valid) {
		out->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (offload->gso != VIRTIO_NET_HDR_GSO_NONE) {
		out->gso_type = offload->gso | (offload->ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
		out->gso_size = htole16(offload->gso_size);
		out->hdr_len = htole16(offload->headers);
	}
}

/* The features a receiver needs for a large frame of this kind. */
static uint64_t gso_features(const struct virtio_net_offload *offload)
{
	uint64_t needed = VIRTIO_NET_BIT(GUEST_CSUM);

	switch (offload->gso) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		needed |= VIRTIO_NET_BIT(GUEST_TSO4);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		needed |= VIRTIO_NET_BIT(GUEST_TSO6);
		break;
	default:
		needed |= offload->ipv6 ? VIRTIO_NET_BIT(GUEST_USO6) : VIRTIO_NET_BIT(GUEST_USO4);
	}
	return needed | (offload->ecn ? VIRTIO_NET_BIT(GUEST_ECN) : 0);
}

enum virtio_net_action virtio_net_action(const struct virtio_net_offload *offload,
					 uint64_t features)
{
	uint64_t needed;

	if (offload->gso != VIRTIO_NET_HDR_GSO_NONE) {
		needed = gso_features(offload);
		return (features & needed) == needed ? VIRTIO_NET_PASS : VIRTIO_NET_SEGMENT;
	}
	if (offload->needs_checksum && !(features & VIRTIO_NET_BIT(GUEST_CSUM)))
		return VIRTIO_NET_CHECKSUM;
	return VIRTIO_NET_PASS;
}

size_t virtio_net_wire_length(const struct virtio_net_offload *offload, size_t length)
{
	if (offload->gso == VIRTIO_NET_HDR_GSO_NONE)
		return length;
	return MIN(length, (size_t)offload->headers + offload->gso_size);
}

unsigned virtio_net_wire_frames(const struct virtio_net_offload *offload, size_t length)
{
	if (offload->gso == VIRTIO_NET_HDR_GSO_NONE)
		return 1;
	return (unsigned)((length - offload->headers + offload->gso_size - 1) / offload->gso_size);
}
