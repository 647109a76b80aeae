/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cutting large TCP and UDP frames into segments in software, for receivers that take none.
 *
 * Every segment is a copy of the headers with its own lengths, IPv4 identification, TCP sequence number
 * and flags, and with finished checksums. Sources: RFC 791, 8200, 9293; for the flags, RFC 3168 section
 * 6.1.2 (CWR only on the first), FIN and PSH only on the last.
 */
#include "virtio/virtio_net.h"

#include <netinet/in.h>
#include <string.h>

#include "util/bytes.h"

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

void virtio_net_segmenter_start(struct virtio_net_segmenter *segmenter,
				const struct virtio_net_offload *offload,
				const struct iovec *pieces, size_t count, size_t length)
{
	*segmenter = (struct virtio_net_segmenter){
		.pieces = pieces,
		.count = count,
		.length = length,
		.offload = *offload,
		.total = virtio_net_wire_frames(offload, length),
	};
}

/* Sets length, identification and header checksum of segment `index`. */
static void finish_ipv4(uint8_t *ip, size_t header, size_t length, unsigned index)
{
	uint16_t sum;

	put_be16(ip + 2, (uint16_t)length);
	put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + index));
	put_be16(ip + 10, 0);
	sum = ~virtio_net_fold(virtio_net_sum(0, ip, header));
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* The pseudo header's sum. It is not taken from the checksum field, where some senders leave the large
 * frame's length in it and some do not. */
static uint64_t pseudo_header(const uint8_t *ip, bool ipv6, uint8_t protocol, size_t length)
{
	uint8_t tail[8] = { 0 };
	uint64_t sum;

	sum = ipv6 ? virtio_net_sum(0, ip + 8, 32) : virtio_net_sum(0, ip + 12, 8);
	put_be32(tail, (uint32_t)length);
	tail[7] = protocol;
	return virtio_net_sum(sum, tail, sizeof(tail));
}

static void finish_transport(const struct virtio_net_segmenter *segmenter,
			     struct virtio_net_segment *segment, unsigned index)
{
	const struct virtio_net_offload *offload = &segmenter->offload;
	bool tcp = offload->gso != VIRTIO_NET_HDR_GSO_UDP_L4;
	uint8_t *transport = segment->head + offload->checksum_start;
	size_t length = segment->headers - offload->checksum_start + segment->payload_length;
	uint8_t *field = transport + offload->checksum_offset;
	uint64_t sum;
	uint16_t folded;

	if (tcp) {
		put_be32(transport + 4, get_be32(transport + 4) + index * offload->gso_size);
		if (index)
			transport[13] &= (uint8_t)~TCP_CWR;
		if (index + 1 < segmenter->total)
			transport[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	} else {
		put_be16(transport + 4, (uint16_t)length);
	}
	put_be16(field, 0);
	sum = pseudo_header(segment->head + offload->network, offload->ipv6,
			    tcp ? IPPROTO_TCP : IPPROTO_UDP, length);
	sum = virtio_net_sum_pieces(sum, segmenter->pieces, segmenter->count,
				    segment->payload_offset, segment->payload_length);
	/* The transport header is of even length, so it may come last. */
	sum = virtio_net_sum(sum, transport, segment->headers - offload->checksum_start);
	folded = ~virtio_net_fold(sum);
	if (!folded)
		folded = 0xffff;
	memcpy(field, &folded, sizeof(folded));
}

bool virtio_net_segmenter_next(struct virtio_net_segmenter *segmenter,
			       struct virtio_net_segment *segment)
{
	const struct virtio_net_offload *offload = &segmenter->offload;
	unsigned index = segmenter->next;
	size_t length;
	uint8_t *ip;

	if (index >= segmenter->total)
		return false;
	segmenter->next++;
	segment->headers = offload->headers;
	segment->payload_offset = offload->headers + (size_t)index * offload->gso_size;
	segment->payload_length =
		MIN(offload->gso_size, segmenter->length - segment->payload_offset);
	memcpy(segment->head, segmenter->pieces[0].iov_base, segment->headers);
	ip = segment->head + offload->network;
	length = segment->headers - offload->network + segment->payload_length;
	if (offload->ipv6)
		put_be16(ip + 4, (uint16_t)(length - 40));
	else
		finish_ipv4(ip, (size_t)(ip[0] & 15) * 4, length, index);
	finish_transport(segmenter, segment, index);
	return true;
}
