/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: what comes before a frame in a tunnel, and what is left to be done with it. */
#include "unit.h"

#include <netinet/in.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/link_ecn.h"
#include "vswitch/tunnel_format.h"

static void test_vxlan(void)
{
	uint8_t bytes[20];
	size_t inner = 0;

	/* RFC 7348, figure 1 */
	tunnel_encode(TUNNEL_VXLAN, 0x123456, bytes);
	CU_ASSERT_EQUAL(memcmp(bytes, "\x08\0\0\0\x12\x34\x56\0", 8), 0);
	CU_ASSERT_EQUAL(tunnel_decode(TUNNEL_VXLAN, 0x123456, bytes, 8, &inner), TUNNEL_FAULT_NONE);
	CU_ASSERT_EQUAL(inner, 8);
	CU_ASSERT_EQUAL(tunnel_decode(TUNNEL_VXLAN, 0x123457, bytes, 8, &inner), TUNNEL_FAULT_VNI);
	CU_ASSERT_EQUAL(tunnel_decode(TUNNEL_VXLAN, 0x123456, bytes, 7, &inner),
			TUNNEL_FAULT_HEADER);
	/* Reserved bits are not looked at. */
	bytes[0] = 0xff;
	bytes[1] = bytes[2] = bytes[3] = bytes[7] = 0xff;
	CU_ASSERT_EQUAL(tunnel_decode(TUNNEL_VXLAN, 0x123456, bytes, 8, &inner), TUNNEL_FAULT_NONE);
	bytes[0] = 0xf7;
	CU_ASSERT_EQUAL(tunnel_decode(TUNNEL_VXLAN, 0x123456, bytes, 8, &inner),
			TUNNEL_FAULT_HEADER);
}

static enum tunnel_fault geneve(const char *bytes, size_t length, size_t *inner)
{
	return tunnel_decode(TUNNEL_GENEVE, 7, (const uint8_t *)bytes, length, inner);
}

static void test_geneve(void)
{
	uint8_t bytes[8];
	size_t inner = 0;

	/* RFC 8926, figure 3 */
	tunnel_encode(TUNNEL_GENEVE, 7, bytes);
	CU_ASSERT_EQUAL(memcmp(bytes, "\0\0\x65\x58\0\0\x07\0", 8), 0);
	CU_ASSERT_EQUAL(geneve((char *)bytes, 8, &inner), TUNNEL_FAULT_NONE);
	CU_ASSERT_EQUAL(inner, 8);
	CU_ASSERT_EQUAL(geneve("\x02\0\x65\x58\0\0\x07\0oooooooo", 16, &inner), TUNNEL_FAULT_NONE);
	CU_ASSERT_EQUAL(inner, 16);
	CU_ASSERT_EQUAL(geneve("\x02\0\x65\x58\0\0\x07\0ooooooo", 15, &inner), TUNNEL_FAULT_HEADER);
	CU_ASSERT_EQUAL(geneve("\x01\x40\x65\x58\0\0\x07\0oooo", 12, &inner), TUNNEL_FAULT_OPTION);
	CU_ASSERT_EQUAL(geneve("\x40\0\x65\x58\0\0\x07\0", 8, &inner), TUNNEL_FAULT_HEADER);
	CU_ASSERT_EQUAL(geneve("\0\x80\x65\x58\0\0\x07\0", 8, &inner), TUNNEL_FAULT_HEADER);
	CU_ASSERT_EQUAL(geneve("\0\0\x08\0\0\0\x07\0", 8, &inner), TUNNEL_FAULT_HEADER);
	CU_ASSERT_EQUAL(geneve("\0\0\x65\x58\0\x01\x07\0", 8, &inner), TUNNEL_FAULT_VNI);
}

/* A TCP packet of `payload` bytes; its checksum is right, or its pseudo header's. */
static size_t make_tcp(uint8_t *frame, size_t payload, bool unfinished)
{
	uint8_t *ip = frame + 14, *tcp = ip + 20;
	uint8_t pseudo[12] = { 10, 0, 0, 1, 10, 0, 0, 2, 0, IPPROTO_TCP };
	size_t length = 54 + payload;
	uint64_t sum;
	uint16_t folded;

	memset(frame, 0, 54);
	memcpy(frame, "\2\0\0\0\0\2\2\0\0\0\0\1\x08", 13);
	memset(tcp + 20, 'x', payload);
	ip[0] = 0x45;
	ip[9] = IPPROTO_TCP;
	put_be16(ip + 2, (uint16_t)(40 + payload));
	memcpy(ip + 12, pseudo, 8);
	tcp[12] = 0x50;
	put_be16(pseudo + 10, (uint16_t)(20 + payload));
	sum = virtio_net_sum(0, pseudo, sizeof(pseudo));
	folded = virtio_net_fold(sum);
	if (!unfinished)
		folded = (uint16_t)~virtio_net_fold(virtio_net_sum(sum, tcp, 20 + payload));
	memcpy(tcp + 16, &folded, 2);
	return length;
}

static void test_what_is_left_to_be_done(void)
{
	static uint8_t frame[70000];
	struct virtio_net_offload offload;
	size_t length = make_tcp(frame, 100, false);

	tunnel_find_offload(frame, length, 1464, &offload);
	CU_ASSERT_FALSE(offload.needs_checksum);
	/* Damaged, which is not for us to mend. */
	frame[100]++;
	tunnel_find_offload(frame, length, 1464, &offload);
	CU_ASSERT_FALSE(offload.needs_checksum);
	length = make_tcp(frame, 100, true);
	tunnel_find_offload(frame, length, 1464, &offload);
	CU_ASSERT_TRUE(offload.needs_checksum);
	CU_ASSERT_EQUAL(offload.checksum_start, 34);
	CU_ASSERT_EQUAL(offload.gso, VIRTIO_NET_HDR_GSO_NONE);
	/* Filled up to the least length of a frame: with zeroes, or else who knows. */
	length = make_tcp(frame, 1, true);
	memset(frame + length, 0, 60 - length);
	tunnel_find_offload(frame, 60, 1464, &offload);
	CU_ASSERT_TRUE(offload.needs_checksum);
	frame[59] = 1;
	tunnel_find_offload(frame, 60, 1464, &offload);
	CU_ASSERT_FALSE(offload.needs_checksum);
	length = make_tcp(frame, 30000, true);
	tunnel_find_offload(frame, length, 1464, &offload);
	CU_ASSERT_EQUAL(offload.gso, VIRTIO_NET_HDR_GSO_TCPV4);
	CU_ASSERT_EQUAL(offload.gso_size, 1410);
	/* It says that it is longer than it is. */
	put_be16(frame + 16, 40000);
	tunnel_find_offload(frame, length, 1464, &offload);
	CU_ASSERT_FALSE(offload.needs_checksum);
}

static void test_what_fits(void)
{
	static uint8_t bytes[70000];
	struct iovec piece = { bytes, make_tcp(bytes, 1460, false) };
	struct frame frame = { .pieces = &piece, .count = 1, .length = 1514 };

	CU_ASSERT_FALSE(tunnel_fit(&frame, 1514));
	CU_ASSERT_EQUAL(frame.offload.gso, VIRTIO_NET_HDR_GSO_NONE);
	/* One packet becomes two; not if it is damaged. */
	bytes[200]++;
	CU_ASSERT_FALSE(tunnel_fit(&frame, 1464));
	bytes[200]--;
	CU_ASSERT_TRUE(tunnel_fit(&frame, 1464));
	CU_ASSERT_EQUAL(frame.offload.gso, VIRTIO_NET_HDR_GSO_TCPV4);
	CU_ASSERT_EQUAL(virtio_net_wire_length(&frame.offload, frame.length), 1464);
	CU_ASSERT_EQUAL(virtio_net_wire_frames(&frame.offload, frame.length), 2);
	/* A large one's segments become smaller, if anything but headers fits. */
	piece.iov_len = frame.length = (uint32_t)make_tcp(bytes, 60000, true);
	frame.offload.gso_size = 1460;
	CU_ASSERT_TRUE(tunnel_fit(&frame, 1464));
	CU_ASSERT_EQUAL(frame.offload.gso_size, 1410);
	CU_ASSERT_FALSE(tunnel_fit(&frame, 54));
	CU_ASSERT_FALSE(tunnel_fit(&frame, 55)); /* into 60000 */
	/* What is no TCP cannot be cut. */
	frame.offload = (struct virtio_net_offload){ 0 };
	bytes[23] = IPPROTO_UDP;
	CU_ASSERT_FALSE(tunnel_fit(&frame, 1464));
}

static void test_flows(void)
{
	uint8_t a[128], b[128];
	uint32_t hash;

	make_tcp(a, 60, false);
	make_tcp(b, 10, true);
	hash = tunnel_flow_hash(a, 64);
	CU_ASSERT_EQUAL(hash, tunnel_flow_hash(b, 64));
	b[35]++;
	CU_ASSERT_NOT_EQUAL(hash, tunnel_flow_hash(b, 64));
	CU_ASSERT_NOT_EQUAL(hash, tunnel_flow_hash(a, 14));
}

/* RFC 6040, figure 4: by the inner field, then by the outer one, each Not-ECT, ECT(1), ECT(0), CE; 9: dropped. */
static void test_congestion(void)
{
	static const int wanted[4][4] = {
		{ 0, 0, 0, 9 }, { 1, 1, 1, 3 }, { 2, 1, 2, 3 }, { 3, 3, 3, 3 }
	};
	const struct tunnel_outer_rule plain = { 0 };
	uint8_t frame[128], before[128];

	for (unsigned version = 4; version <= 6; version += 2)
		for (unsigned inner = 0; inner < 4; inner++)
			for (unsigned outer = 0; outer < 4; outer++) {
				memset(frame, 0, sizeof(frame));
				put_be16(frame + 12, version == 4 ? 0x0800 : 0x86dd);
				frame[14] = version == 4 ? 0x45 : 0x60;
				link_ecn_set(frame, 60, inner);
				CU_ASSERT_EQUAL(tunnel_outer_of(&plain, frame, 60).tos, inner);
				CU_ASSERT_EQUAL(tunnel_ecn_in(frame, 60, outer),
						wanted[inner][outer] != 9);
				if (wanted[inner][outer] != 9)
					CU_ASSERT_EQUAL(link_ecn_field(frame, 60),
							wanted[inner][outer]);
			}
	/* What is no IP cannot be marked, and passes. */
	put_be16(frame + 12, 0x0806);
	memcpy(before, frame, sizeof(frame));
	CU_ASSERT_EQUAL(tunnel_outer_of(&plain, frame, 60).tos, 0);
	CU_ASSERT_TRUE(tunnel_ecn_in(frame, 60, LINK_ECN_CE));
	CU_ASSERT_EQUAL(memcmp(before, frame, sizeof(frame)), 0);
}

/* The packet's DSCP and ttl, behind tags, too; of a frame without a packet, or with less of it than a header, what is said. ECN is the packet's always. */
static void test_outer(void)
{
	const struct tunnel_outer_rule inherit = { .inherit_tos = true, .inherit_ttl = true };
	const struct tunnel_outer_rule said = { .tos = 0x48, .ttl = 9 };
	struct tunnel_outer outer;
	uint8_t frame[128];

	for (unsigned tags = 0; tags <= 3; tags++)
		for (unsigned version = 4; version <= 6; version += 2) {
			size_t at = 14 + tags * 4u;

			memset(frame, 0, sizeof(frame));
			for (unsigned i = 0; i < tags; i++)
				put_be16(frame + 12 + i * 4u, i ? 0x8100 : 0x88a8);
			put_be16(frame + at - 2, version == 4 ? 0x0800 : 0x86dd);
			put_be16(frame + at, version == 4 ? 0x45b9 : 0x6b90);
			frame[at + (version == 4 ? 8 : 7)] = 33;
			outer = tunnel_outer_of(&inherit, frame, sizeof(frame));
			CU_ASSERT_EQUAL(outer.tos, tags < 3 ? 0xb9 : 0);
			CU_ASSERT_EQUAL(outer.ttl, tags < 3 ? 33 : 0);
			outer = tunnel_outer_of(&said, frame, sizeof(frame));
			CU_ASSERT_EQUAL(outer.tos, tags < 3 ? 0x49 : 0x48);
			CU_ASSERT_EQUAL(outer.ttl, 0); /* its socket's */
			outer = tunnel_outer_of(&inherit, frame, at + (version == 4 ? 19 : 39));
			CU_ASSERT_EQUAL(outer.tos, 0);
			CU_ASSERT_EQUAL(outer.ttl, 0);
		}
}

UNIT_MAIN("frames in tunnels", UNIT(test_vxlan), UNIT(test_geneve),
	  UNIT(test_what_is_left_to_be_done), UNIT(test_what_fits), UNIT(test_flows),
	  UNIT(test_congestion), UNIT(test_outer))
