/* SPDX-License-Identifier: BSD-2-Clause */
/* See tunnel_format.h. */
#include "vswitch/tunnel_format.h"

#include <netinet/in.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/link_ecn.h"

#define VXLAN_HAS_VNI     0x08
#define GENEVE_VERSION(b) ((b) >> 6)
#define GENEVE_OPTIONS(b) (((b)&0x3fu) * 4)
#define GENEVE_CONTROL    0x80
#define GENEVE_CRITICAL   0x40
#define GENEVE_ETHERNET   0x6558

#define TYPE_IPV4  0x0800
#define TYPE_IPV6  0x86dd
#define TYPE_CTAG  0x8100
#define TYPE_STAG  0x88a8
#define FRAGMENTED 0x3fff /* of IPv4: more to come, or a later one */

/* ---- What comes before a frame ---- */

static enum tunnel_fault decode_vxlan(const uint8_t *bytes, size_t *inner)
{
	*inner = TUNNEL_HEADER;
	return bytes[0] & VXLAN_HAS_VNI ? TUNNEL_FAULT_NONE : TUNNEL_FAULT_HEADER;
}

static enum tunnel_fault decode_geneve(const uint8_t *bytes, size_t length, size_t *inner)
{
	*inner = TUNNEL_HEADER + GENEVE_OPTIONS(bytes[0]);
	if (GENEVE_VERSION(bytes[0]) || *inner > length || bytes[1] & GENEVE_CONTROL ||
	    get_be16(bytes + 2) != GENEVE_ETHERNET)
		return TUNNEL_FAULT_HEADER;
	/* We know none of them, so need not look for which one it is. */
	return bytes[1] & GENEVE_CRITICAL ? TUNNEL_FAULT_OPTION : TUNNEL_FAULT_NONE;
}

enum tunnel_fault tunnel_decode(enum tunnel_kind kind, uint32_t vni, const uint8_t *bytes,
				size_t length, size_t *inner)
{
	enum tunnel_fault fault;

	if (length < TUNNEL_HEADER)
		return TUNNEL_FAULT_HEADER;
	fault = kind == TUNNEL_VXLAN ? decode_vxlan(bytes, inner)
				     : decode_geneve(bytes, length, inner);
	if (!fault && get_be32(bytes + 4) >> 8 != vni)
		fault = TUNNEL_FAULT_VNI;
	return fault;
}

void tunnel_encode(enum tunnel_kind kind, uint32_t vni, uint8_t header[TUNNEL_HEADER])
{
	memset(header, 0, TUNNEL_HEADER);
	if (kind == TUNNEL_VXLAN)
		header[0] = VXLAN_HAS_VNI;
	else
		put_be16(header + 2, GENEVE_ETHERNET);
	put_be32(header + 4, vni << 8);
}

/* ---- What is in it ---- */

struct inner_packet {
	bool ipv6;
	uint8_t protocol;
	size_t network, transport, end; /* of the IP packet */
};

/* An IP packet that is no fragment, behind at most two tags, and of IPv6 without extension headers. Of the frame's `length` bytes
 * the first `there` can be read. */
static bool parse_inner(const uint8_t *frame, size_t there, size_t length,
			struct inner_packet *packet)
{
	size_t at = 12;
	uint16_t type = 0;

	for (unsigned tags = 0; tags < 3 && range_within(at, 2, there); tags++, at += 4) {
		type = get_be16(frame + at);
		if (type != TYPE_CTAG && type != TYPE_STAG)
			break;
	}
	at += 2;
	packet->network = at;
	packet->ipv6 = type == TYPE_IPV6;
	if (type == TYPE_IPV4 && range_within(at, 20, there)) {
		size_t size = (frame[at] & 15u) * 4;

		packet->protocol = frame[at + 9];
		packet->transport = at + size;
		packet->end = at + get_be16(frame + at + 2);
		return frame[at] >> 4 == 4 && size >= 20 &&
		       !(get_be16(frame + at + 6) & FRAGMENTED) &&
		       packet->transport <= packet->end && packet->end <= length;
	}
	if (type != TYPE_IPV6 || !range_within(at, 40, there))
		return false;
	packet->protocol = frame[at + 6];
	packet->transport = at + 40;
	packet->end = packet->transport + get_be16(frame + at + 4);
	return frame[at] >> 4 == 6 && packet->end <= length;
}

/* Of the pseudo header. */
static uint64_t pseudo_sum(const uint8_t *frame, const struct inner_packet *packet)
{
	const uint8_t *ip = frame + packet->network;
	uint8_t rest[4] = { 0, packet->protocol };
	uint64_t sum = packet->ipv6 ? virtio_net_sum(0, ip + 8, 32) : virtio_net_sum(0, ip + 12, 8);

	put_be16(rest + 2, (uint16_t)(packet->end - packet->transport));
	return virtio_net_sum(sum, rest, sizeof(rest));
}

/* Whether its checksum is the pseudo header's, and not right. */
static bool is_unfinished(const uint8_t *frame, const struct inner_packet *packet, size_t offset)
{
	uint64_t pseudo = pseudo_sum(frame, packet);
	uint16_t field;

	memcpy(&field, frame + packet->transport + offset, sizeof(field));
	if (!field || field != virtio_net_fold(pseudo))
		return false;
	return virtio_net_fold(virtio_net_sum(pseudo, frame + packet->transport,
					      packet->end - packet->transport)) != 0xffff;
}

void tunnel_find_offload(const uint8_t *frame, size_t length, size_t limit,
			 struct virtio_net_offload *out)
{
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	struct inner_packet packet = { 0 };
	size_t offset, headers;
	bool tcp;

	memset(out, 0, sizeof(*out));
	if (!parse_inner(frame, length, length, &packet) ||
	    !bytes_all_zero(frame + packet.end, length - packet.end))
		return;
	tcp = packet.protocol == IPPROTO_TCP;
	offset = tcp ? 16 : 6;
	if ((!tcp && packet.protocol != IPPROTO_UDP) ||
	    packet.end - packet.transport < (tcp ? 20u : 8u) ||
	    !is_unfinished(frame, &packet, offset))
		return;
	header.csum_start = htole16((uint16_t)packet.transport);
	header.csum_offset = htole16((uint16_t)offset);
	if (tcp && length > limit) {
		headers = packet.transport + (frame[packet.transport + 12] >> 4) * 4u;
		if (headers < limit) {
			header.gso_type =
				packet.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
			header.gso_size = htole16((uint16_t)(limit - headers));
		}
	}
	/* What else is wrong with it is its receiver's to see. */
	(void)virtio_net_decode(&header, frame, length, length, out);
}

static bool is_tcp_gso(const struct virtio_net_offload *offload)
{
	return offload->gso == VIRTIO_NET_HDR_GSO_TCPV4 || offload->gso == VIRTIO_NET_HDR_GSO_TCPV6;
}

/* Makes one that is not large a large one; its head is as long as it has to be. */
static bool make_large(const struct frame *frame, const struct inner_packet *packet,
		       struct virtio_net_offload *offload)
{
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = packet->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
								     : VIRTIO_NET_HDR_GSO_TCPV4,
					    .gso_size = htole16(1024),
					    .csum_start = htole16((uint16_t)packet->transport),
					    .csum_offset = htole16(16) };
	const uint8_t *head = frame->pieces[0].iov_base;
	uint64_t sum;

	if (!frame->offload.needs_checksum) {
		sum = virtio_net_sum_pieces(pseudo_sum(head, packet), frame->pieces, frame->count,
					    packet->transport, packet->end - packet->transport);
		if (virtio_net_fold(sum) != 0xffff)
			return false;
	}
	return !virtio_net_decode(&header, head, frame->pieces[0].iov_len, frame->length, offload);
}

bool tunnel_fit(struct frame *frame, size_t limit)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	struct virtio_net_offload offload = frame->offload;
	struct inner_packet packet = { 0 };

	if (virtio_net_wire_length(&offload, frame->length) <= limit)
		return false;
	if (!offload.gso && (!parse_inner(head, frame->pieces[0].iov_len, frame->length, &packet) ||
			     packet.protocol != IPPROTO_TCP || packet.end != frame->length ||
			     !make_large(frame, &packet, &offload)))
		return false;
	if (!is_tcp_gso(&offload) || offload.headers >= limit)
		return false;
	offload.gso_size = (uint16_t)MIN(limit - offload.headers, (size_t)UINT16_MAX);
	if (virtio_net_wire_frames(&offload, frame->length) > VIRTIO_NET_SEGMENTS_MAX)
		return false;
	frame->offload = offload;
	return true;
}

struct tunnel_outer tunnel_outer_of(const struct tunnel_outer_rule *rule, const uint8_t *head,
				    size_t length)
{
	struct tunnel_outer outer = { .tos = rule->inherit_tos ? 0 : rule->tos };
	uint8_t traffic_class, hops;

	if (!link_ecn_header(head, length, &traffic_class, &hops))
		return outer;
	outer.tos |= rule->inherit_tos ? traffic_class : traffic_class & LINK_ECN_CE;
	outer.ttl = rule->inherit_ttl ? hops : 0;
	return outer;
}

/* RFC 6040, figure 4. */
bool tunnel_ecn_in(uint8_t *frame, size_t length, unsigned outer)
{
	int inner = link_ecn_field(frame, length);

	if (inner < 0)
		return true;
	if (inner == 0)
		return outer != LINK_ECN_CE;
	if (outer == LINK_ECN_CE || (outer == LINK_ECN_ECT1 && inner == LINK_ECN_ECT0))
		link_ecn_set(frame, length, outer);
	return true;
}

uint32_t tunnel_flow_hash(const uint8_t *head, size_t length)
{
	uint8_t key[48] = { 0 };
	struct inner_packet packet = { 0 };
	uint64_t hash = 0, word;
	size_t addresses, size;

	memcpy(key, head, MIN(length, (size_t)12));
	/* Only the head is there, so the length that the packet says is not looked at. */
	if (parse_inner(head, length, SIZE_MAX, &packet)) {
		addresses = packet.network + (packet.ipv6 ? 8 : 12);
		size = packet.ipv6 ? 32 : 8;
		if (range_within(addresses, size, length))
			memcpy(key + 12, head + addresses, size);
		if ((packet.protocol == IPPROTO_TCP || packet.protocol == IPPROTO_UDP) &&
		    range_within(packet.transport, 4, length))
			memcpy(key + 44, head + packet.transport, 4);
	}
	for (size_t i = 0; i < sizeof(key); i += 8) {
		memcpy(&word, key + i, 8);
		hash = random_mix(hash ^ word);
	}
	return (uint32_t)(hash >> 32);
}
