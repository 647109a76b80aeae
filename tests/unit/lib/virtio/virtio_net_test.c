/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/virtio/virtio_net: hostile headers, checksums, segmentation, what a receiver is handed. */
#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "virtio/virtio_net.h"

/* A frame under construction and the header that goes with it. */
struct sample {
	struct virtio_net_header header;
	struct virtio_net_offload offload;
	size_t network, transport, headers, length;
	bool ipv6, tcp;
	uint8_t bytes[VIRTIO_NET_FRAME_MAX + 64];
};

/* The checksum by the book, one 16-bit word at a time: what the fast code is compared with. */
static uint16_t plain_sum(uint32_t sum, const uint8_t *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t pseudo_sum(const uint8_t *frame, const struct sample *s, size_t length)
{
	const uint8_t *ip = frame + s->network;
	uint32_t sum = s->tcp ? IPPROTO_TCP : IPPROTO_UDP;

	sum += (uint32_t)length;
	return s->ipv6 ? plain_sum(sum, ip + 8, 32) : plain_sum(sum, ip + 12, 8);
}

/* Whether the transport checksum of a finished frame is right. */
static bool checksum_good(const uint8_t *frame, const struct sample *s, size_t length)
{
	size_t size = length - s->transport;

	return plain_sum(pseudo_sum(frame, s, size), frame + s->transport, size) == 0xffff;
}

static void put_network(struct sample *s, size_t tags, size_t options)
{
	uint8_t *ip;

	for (size_t i = 0; i < tags; i++) {
		put_be16(s->bytes + 12 + 4 * i, i + 1 < tags ? 0x88a8 : 0x8100);
		put_be16(s->bytes + 14 + 4 * i, (uint16_t)(100 + i));
	}
	s->network = 14 + 4 * tags;
	put_be16(s->bytes + s->network - 2, s->ipv6 ? 0x86dd : 0x0800);
	ip = s->bytes + s->network;
	s->transport = s->network + (s->ipv6 ? 40 : 20) + options;
	if (s->ipv6) {
		ip[0] = 0x60;
		ip[6] = options ? IPPROTO_HOPOPTS : (s->tcp ? IPPROTO_TCP : IPPROTO_UDP);
		if (options) {
			ip[40] = s->tcp ? IPPROTO_TCP : IPPROTO_UDP;
			ip[41] = (uint8_t)(options / 8 - 1);
		}
		put_be16(ip + 4, (uint16_t)(s->length - s->network - 40));
	} else {
		ip[0] = (uint8_t)(0x45 + options / 4);
		put_be16(ip + 2, (uint16_t)(s->length - s->network));
		put_be16(ip + 4, 0xfffe);
		put_be16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = s->tcp ? IPPROTO_TCP : IPPROTO_UDP;
		put_be16(ip + 10, 0);
		put_be16(ip + 10, (uint16_t)~plain_sum(0, ip, 20 + options));
	}
}

/* A whole frame with its checksum left to the receiver; gso_size 0: not a large one. */
static void make_sample(struct sample *s, bool ipv6, bool tcp, size_t payload, unsigned gso_size,
			size_t tags, size_t options)
{
	struct random random = { payload + gso_size };
	size_t header = tcp ? 32 : 8;
	uint8_t *transport;

	memset(s, 0, sizeof(*s));
	s->ipv6 = ipv6;
	s->tcp = tcp;
	s->headers = 14 + 4 * tags + (ipv6 ? 40 : 20) + options + header;
	s->length = s->headers + payload;
	random_fill(&random, s->bytes, s->length);
	put_network(s, tags, options);
	transport = s->bytes + s->transport;
	if (tcp) {
		put_be32(transport + 4, 0xfffffff0);
		transport[12] = 0x80;
		transport[13] = 0x80 | 0x10 | 0x08 | 0x01; /* CWR, ACK, PSH, FIN */
	} else {
		put_be16(transport + 4, (uint16_t)(s->length - s->transport));
	}
	put_be16(transport + (tcp ? 16 : 6), pseudo_sum(s->bytes, s, s->length - s->transport));
	s->header = (struct virtio_net_header){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = htole16((uint16_t)s->transport),
		.csum_offset = htole16(tcp ? 16 : 6),
		.hdr_len = htole16(3), /* a wrong hint */
	};
	if (gso_size) {
		s->header.gso_size = htole16((uint16_t)gso_size);
		s->header.gso_type = !tcp   ? VIRTIO_NET_HDR_GSO_UDP_L4
				     : ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
					    : VIRTIO_NET_HDR_GSO_TCPV4;
	}
}

static enum virtio_net_fault decode(struct sample *s)
{
	return virtio_net_decode(&s->header, s->bytes, MIN(s->length, VIRTIO_NET_HEAD_MAX),
				 s->length, &s->offload);
}

static void test_plain_frames_ask_for_nothing(void)
{
	struct sample s = { .length = 60 };
	static const struct virtio_net_offload none;

	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_EQUAL(memcmp(&s.offload, &none, sizeof(none)), 0);
	CU_ASSERT_EQUAL(virtio_net_action(&s.offload, 0), VIRTIO_NET_PASS);
	s.header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_TRUE(s.offload.checksum_valid);
	/* An unknown flag bit is ignored, as the specification has it. */
	s.header.flags = 0x80;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
}

static void test_lengths(void)
{
	struct sample s = { .length = 13 };

	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_LENGTH);
	s.length = 14;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	s.length = VIRTIO_NET_FRAME_MAX;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	s.length++;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_LENGTH);
}

static void test_the_checksums_place_lies_in_the_frame(void)
{
	struct sample s;

	make_sample(&s, false, false, 0, 0, 0, 0); /* 42 bytes; the checksum is the last two */
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	s.header.csum_offset = htole16(7);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_CHECKSUM);
	s.header.csum_offset = htole16(0xffff);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_CHECKSUM);
	CU_ASSERT_FALSE(s.offload.needs_checksum);
	s.header.csum_offset = 0;
	s.header.csum_start = htole16(0xffff);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_CHECKSUM);
	s.header.csum_start = htole16(13);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_CHECKSUM);
	/* Inside the frame, but not inside what was copied of it. */
	make_sample(&s, false, false, 1000, 0, 0, 0);
	s.header.csum_start = htole16(VIRTIO_NET_HEAD_MAX - 7);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_CHECKSUM);
	s.header.csum_start = htole16(VIRTIO_NET_HEAD_MAX - 8);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
}

static void test_large_frames_are_what_they_say(void)
{
	struct sample s;

	make_sample(&s, false, true, 4000, 1448, 0, 0);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_EQUAL(s.offload.headers, 66);
	CU_ASSERT_EQUAL(s.offload.network, 14);
	CU_ASSERT_EQUAL(virtio_net_wire_frames(&s.offload, s.length), 3);
	CU_ASSERT_EQUAL(virtio_net_wire_length(&s.offload, s.length), 66 + 1448);

#define BAD(change, fault)                                                                         \
	do {                                                                                       \
		make_sample(&s, false, true, 4000, 1448, 0, 0);                                    \
		change;                                                                            \
		CU_ASSERT_EQUAL(decode(&s), fault);                                                \
		CU_ASSERT_EQUAL(s.offload.gso, 0);                                                 \
	} while (0)
	BAD(s.header.flags = 0, VIRTIO_NET_FAULT_GSO);
	BAD(s.header.gso_size = 0, VIRTIO_NET_FAULT_GSO);
	BAD(s.header.gso_type = VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_FAULT_GSO);
	BAD(s.header.gso_type = 2, VIRTIO_NET_FAULT_GSO);
	BAD(s.header.gso_type = VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_FAULT_GSO);
	BAD(s.header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4 | VIRTIO_NET_HDR_GSO_ECN,
	    VIRTIO_NET_FAULT_GSO);
	BAD(s.header.gso_type = VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_FAULT_PACKET);
	BAD(s.header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_FAULT_PACKET);
	BAD(s.header.csum_start = htole16(38), VIRTIO_NET_FAULT_PACKET);
	BAD(s.header.csum_offset = htole16(6), VIRTIO_NET_FAULT_PACKET);
	BAD(s.bytes[14] = 0x44, VIRTIO_NET_FAULT_PACKET); /* header of 16 bytes */
	BAD(s.bytes[14] = 0x65, VIRTIO_NET_FAULT_PACKET); /* version 6 under type IPv4 */
	BAD(s.bytes[20] = 0x20, VIRTIO_NET_FAULT_PACKET); /* more fragments */
	BAD(s.bytes[21] = 1, VIRTIO_NET_FAULT_PACKET);    /* a later fragment */
	BAD(s.bytes[23] = IPPROTO_UDP, VIRTIO_NET_FAULT_PACKET);
	BAD(s.bytes[34 + 12] = 0x40, VIRTIO_NET_FAULT_PACKET); /* TCP header of 16 bytes */
	BAD(s.bytes[12] = 0x12, VIRTIO_NET_FAULT_PACKET);      /* not IP at all */
	BAD(s.length = s.headers, VIRTIO_NET_FAULT_PACKET);    /* no payload */
	BAD(s.length = s.headers - 1, VIRTIO_NET_FAULT_PACKET);
	BAD(s.length = 30, VIRTIO_NET_FAULT_CHECKSUM);
#undef BAD
	make_sample(&s, false, true, 60000, 7, 0, 0); /* 8572 segments */
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_GSO);
	make_sample(&s, false, true, 57344, 7, 0, 0); /* 8192 */
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
}

static void test_ipv6_extension_headers(void)
{
	struct sample s;
	uint8_t *extension;

	make_sample(&s, true, true, 4000, 1428, 0, 16);
	extension = s.bytes + 54;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_EQUAL(s.offload.headers, 14 + 40 + 16 + 32);
	CU_ASSERT_TRUE(s.offload.ipv6);
	s.bytes[20] = IPPROTO_ROUTING;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_PACKET);
	s.bytes[20] = IPPROTO_FRAGMENT;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_PACKET);
	s.bytes[20] = IPPROTO_DSTOPTS;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	extension[1] = 255; /* past the head */
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_PACKET);
	/* More extension headers than anyone sends: each of 8 bytes, each naming another. */
	make_sample(&s, true, true, 4000, 1428, 0, 80);
	for (unsigned i = 0; i < 10; i++) {
		s.bytes[54 + 8 * i] = IPPROTO_DSTOPTS;
		s.bytes[54 + 8 * i + 1] = 0;
	}
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_PACKET);
}

static void test_tags_are_skipped(void)
{
	struct sample s;

	for (size_t tags = 0; tags <= 2; tags++) {
		make_sample(&s, false, false, 4000, 1472, tags, 8);
		CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
		CU_ASSERT_EQUAL(s.offload.headers, s.headers);
	}
	make_sample(&s, false, false, 4000, 1472, 3, 8);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_PACKET);
}

static void test_encode_gives_back_what_was_decoded(void)
{
	struct virtio_net_offload again;
	struct virtio_net_header header;
	struct sample s;

	make_sample(&s, false, true, 4000, 1448, 1, 0);
	s.header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	virtio_net_encode(&s.offload, &header);
	CU_ASSERT_EQUAL(le16toh(header.hdr_len), s.headers); /* the hint is right now */
	CU_ASSERT_EQUAL(le16toh(header.num_buffers), 1);
	CU_ASSERT_EQUAL(virtio_net_decode(&header, s.bytes, s.length, s.length, &again),
			VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_EQUAL(memcmp(&again, &s.offload, sizeof(again)), 0);

	memset(&again, 0, sizeof(again));
	again.checksum_valid = true;
	virtio_net_encode(&again, &header);
	CU_ASSERT_EQUAL(header.flags, VIRTIO_NET_HDR_F_DATA_VALID);
	CU_ASSERT_EQUAL(header.gso_type, 0);
}

static void test_action_follows_the_receivers_features(void)
{
	static const struct {
		bool ipv6, tcp, ecn;
		uint64_t needs;
	} kinds[] = {
		{ false, true, false, VIRTIO_NET_BIT(GUEST_TSO4) },
		{ true, true, false, VIRTIO_NET_BIT(GUEST_TSO6) },
		{ false, true, true, VIRTIO_NET_BIT(GUEST_TSO4) | VIRTIO_NET_BIT(GUEST_ECN) },
		{ false, false, false, VIRTIO_NET_BIT(GUEST_USO4) },
		{ true, false, false, VIRTIO_NET_BIT(GUEST_USO6) },
	};
	struct sample s;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t needs = kinds[i].needs | VIRTIO_NET_BIT(GUEST_CSUM);

		make_sample(&s, kinds[i].ipv6, kinds[i].tcp, 4000, 1000, 0, 0);
		s.header.gso_type |= kinds[i].ecn ? VIRTIO_NET_HDR_GSO_ECN : 0;
		CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
		CU_ASSERT_EQUAL(virtio_net_action(&s.offload, needs), VIRTIO_NET_PASS);
		CU_ASSERT_EQUAL(virtio_net_action(&s.offload, VIRTIO_NET_GUEST_OFFLOADS),
				VIRTIO_NET_PASS);
		for (unsigned bit = 0; bit < 64; bit++)
			if (needs >> bit & 1)
				CU_ASSERT_EQUAL(virtio_net_action(&s.offload, ~(1ULL << bit)),
						VIRTIO_NET_SEGMENT);
	}
	make_sample(&s, false, true, 100, 0, 0, 0);
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_EQUAL(virtio_net_action(&s.offload, 0), VIRTIO_NET_CHECKSUM);
	CU_ASSERT_EQUAL(virtio_net_action(&s.offload, VIRTIO_NET_BIT(GUEST_CSUM)), VIRTIO_NET_PASS);
}

/* RFC 1071, section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2. */
static void test_the_rfcs_example(void)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	uint16_t sum = virtio_net_fold(virtio_net_sum(0, bytes, sizeof(bytes)));

	CU_ASSERT_EQUAL(be16toh(sum), 0xddf2);
}

static void test_sums_at_any_length_and_cut(void)
{
	struct random random = { 1 };
	uint8_t bytes[300];

	for (unsigned round = 0; round < 2000; round++) {
		size_t length = random_below(&random, sizeof(bytes) + 1), at = 0;
		size_t skip = length ? random_below(&random, length + 1) : 0;
		struct iovec pieces[8];
		uint16_t sum;

		random_fill(&random, bytes, length);
		if (round % 3 == 0)
			memset(bytes, 0xff, length); /* carries all the way */
		sum = virtio_net_fold(virtio_net_sum(0, bytes, length));
		CU_ASSERT_EQUAL_FATAL(be16toh(sum), plain_sum(0, bytes, length));
		for (size_t i = 0; i < 8; i++) {
			size_t take = i < 7 ? random_below(&random, length - at + 1) : length - at;

			pieces[i] = (struct iovec){ bytes + at, take };
			at += take;
		}
		sum = virtio_net_fold(virtio_net_sum_pieces(0, pieces, 8, skip, length - skip));
		CU_ASSERT_EQUAL_FATAL(be16toh(sum), plain_sum(0, bytes + skip, length - skip));
	}
}

static void test_checksum_is_completed(void)
{
	static struct sample s;

	for (unsigned kind = 0; kind < 4; kind++)
		for (size_t payload = 0; payload < 40; payload++) {
			struct iovec pieces[2];

			make_sample(&s, kind & 1, kind & 2, payload, 0, 1, 0);
			CU_ASSERT_EQUAL_FATAL(decode(&s), VIRTIO_NET_FAULT_NONE);
			CU_ASSERT_FALSE(checksum_good(s.bytes, &s, s.length));
			pieces[0] = (struct iovec){ s.bytes, s.headers + payload / 2 };
			pieces[1] = (struct iovec){ s.bytes + s.headers + payload / 2,
						    payload - payload / 2 };
			virtio_net_complete_checksum(&s.offload, pieces, 2, s.length);
			CU_ASSERT_TRUE(checksum_good(s.bytes, &s, s.length));
			CU_ASSERT_FALSE(s.offload.needs_checksum);
		}
}

static void test_a_sum_of_zero_is_sent_as_ones(void)
{
	struct sample s;
	struct iovec piece = { s.bytes, 0 };

	/* The payload is chosen so that the finished checksum comes out as 0. */
	make_sample(&s, false, false, 2, 0, 0, 0);
	put_be16(s.bytes + 42, 0);
	piece.iov_len = s.length;
	put_be16(s.bytes + 42,
		 (uint16_t)~plain_sum(0, s.bytes + s.transport, s.length - s.transport));
	CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
	virtio_net_complete_checksum(&s.offload, &piece, 1, s.length);
	CU_ASSERT_EQUAL(get_be16(s.bytes + 40), 0xffff);
	CU_ASSERT_TRUE(checksum_good(s.bytes, &s, s.length));
}

static void check_segment(const struct sample *s, const struct virtio_net_segment *segment,
			  unsigned index, unsigned total, unsigned gso_size)
{
	static uint8_t frame[VIRTIO_NET_FRAME_MAX];
	size_t length = segment->headers + segment->payload_length;
	const uint8_t *ip = frame + s->network, *transport = frame + s->transport;
	bool last = index + 1 == total;

	memcpy(frame, segment->head, segment->headers);
	memcpy(frame + segment->headers, s->bytes + segment->payload_offset,
	       segment->payload_length);
	CU_ASSERT_EQUAL(segment->payload_offset, s->headers + (size_t)index * gso_size);
	CU_ASSERT_TRUE(checksum_good(frame, s, length));
	CU_ASSERT_EQUAL(memcmp(frame, s->bytes, s->network), 0); /* addresses and tags */
	if (s->ipv6) {
		CU_ASSERT_EQUAL(get_be16(ip + 4), length - s->network - 40);
	} else {
		CU_ASSERT_EQUAL(get_be16(ip + 2), length - s->network);
		CU_ASSERT_EQUAL(get_be16(ip + 4), (uint16_t)(0xfffe + index));
		CU_ASSERT_EQUAL(plain_sum(0, ip, s->transport - s->network), 0xffff);
	}
	if (s->tcp) {
		CU_ASSERT_EQUAL(get_be32(transport + 4), 0xfffffff0u + index * gso_size);
		CU_ASSERT_EQUAL(transport[13],
				0x10 | (index ? 0 : 0x80) | (last ? 0x08 | 0x01 : 0));
	} else {
		CU_ASSERT_EQUAL(get_be16(transport + 4), length - s->transport);
	}
}

static void test_segments(void)
{
	static const struct {
		size_t payload;
		unsigned gso_size, total;
	} cuts[] = { { 4000, 1448, 3 }, { 4344, 1448, 3 }, { 1, 1448, 1 },     { 1448, 1448, 1 },
		     { 1449, 1448, 2 }, { 100, 1, 100 },   { 65000, 999, 66 }, { 3001, 333, 10 } };
	static struct sample s;

	for (unsigned kind = 0; kind < 8; kind++)
		for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
			struct virtio_net_segmenter segmenter;
			struct virtio_net_segment segment;
			struct iovec pieces[3];
			size_t cut, payload = 0;
			unsigned count = 0;

			make_sample(&s, kind & 1, kind & 2, cuts[i].payload, cuts[i].gso_size,
				    kind >> 2, kind & 4 ? 8 : 0);
			CU_ASSERT_EQUAL_FATAL(decode(&s), VIRTIO_NET_FAULT_NONE);
			cut = cuts[i].payload / 3;
			pieces[0] = (struct iovec){ s.bytes, s.headers };
			pieces[1] = (struct iovec){ s.bytes + s.headers, cut };
			pieces[2] =
				(struct iovec){ s.bytes + s.headers + cut, cuts[i].payload - cut };
			virtio_net_segmenter_start(&segmenter, &s.offload, pieces, 3, s.length);
			while (virtio_net_segmenter_next(&segmenter, &segment)) {
				check_segment(&s, &segment, count, cuts[i].total, cuts[i].gso_size);
				payload += segment.payload_length;
				count++;
			}
			CU_ASSERT_EQUAL(count, cuts[i].total);
			CU_ASSERT_EQUAL(payload, cuts[i].payload);
		}
}

/* Frames that Linux 6.18 sent with its own checksums: UDP 10.0.0.1:4097 > 10.0.0.2:9 "abc", and UDP
 * fd00::1:4097 > fd00::2:9 "abcde". With the field reset to the pseudo header's sum we must come to the
 * same. */
static void test_checksums_that_the_kernel_made(void)
{
	static const char *const captured[] = {
		"02000000000202000000000108004500001fe62140004011"
		"40aa0a0000010a00000210010009000b1769616263",
		"02000000000202000000000186dd600e24d0000d1140fd000000000000000000000000000001"
		"fd00000000000000000000000000000210010009000dcbfe6162636465",
	};

	for (unsigned i = 0; i < 2; i++) {
		struct sample s = { .ipv6 = i, .network = 14, .transport = i ? 54 : 34 };
		struct iovec piece = { s.bytes, strlen(captured[i]) / 2 };
		uint16_t expected;

		s.length = piece.iov_len;
		for (size_t at = 0; at < s.length; at++) {
			char digits[3] = { captured[i][2 * at], captured[i][2 * at + 1], 0 };

			s.bytes[at] = (uint8_t)strtoul(digits, NULL, 16);
		}
		expected = get_be16(s.bytes + s.transport + 6);
		put_be16(s.bytes + s.transport + 6,
			 pseudo_sum(s.bytes, &s, s.length - s.transport));
		s.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		s.header.csum_start = htole16((uint16_t)s.transport);
		s.header.csum_offset = htole16(6);
		CU_ASSERT_EQUAL(decode(&s), VIRTIO_NET_FAULT_NONE);
		virtio_net_complete_checksum(&s.offload, &piece, 1, s.length);
		CU_ASSERT_EQUAL(get_be16(s.bytes + s.transport + 6), expected);
	}
}

UNIT_MAIN("virtio_net", UNIT(test_plain_frames_ask_for_nothing), UNIT(test_lengths),
	  UNIT(test_the_checksums_place_lies_in_the_frame),
	  UNIT(test_large_frames_are_what_they_say), UNIT(test_ipv6_extension_headers),
	  UNIT(test_tags_are_skipped), UNIT(test_encode_gives_back_what_was_decoded),
	  UNIT(test_action_follows_the_receivers_features), UNIT(test_the_rfcs_example),
	  UNIT(test_sums_at_any_length_and_cut), UNIT(test_checksum_is_completed),
	  UNIT(test_a_sum_of_zero_is_sent_as_ones), UNIT(test_segments),
	  UNIT(test_checksums_that_the_kernel_made))
