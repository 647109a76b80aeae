/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch: what went wrong with checksums and large frames in other switches and monitors, and where it is tested here.
 *
 *	seen in others							here
 *	an IP header's checksum repaired or spoilt on the way		test_ip_headers (this file)
 *	the same done to IPv6, which has none				test_ip_headers
 *	IPv4 headers whose checksum the guest left out, cut		test_ip_headers
 *	a guest's own tunnel: the inner checksum lost or misplaced	test_a_guests_tunnel; virtio_net_place_test: every place
 *	large frames of tunnels, of kinds that were not offered	test_kinds_that_are_not_offered; virtio_net_test
 *	UDP fragmentation (UFO) taken for UDP segments (USO)		test_kinds_that_are_not_offered
 *	UDP segments dropped as unknown; lengths of all but the last	test_udp_segments; virtio_net_test test_segments
 *	a UDP checksum that comes out as zero sent so (IPv6: dropped)	virtio_net_test test_a_sum_of_zero_is_sent_as_ones
 *	ECN: CWR in each segment, or handed to who has not asked	test_congestion_is_told_once
 *	no size of segments, too many of them, no open checksum	test_kinds_that_are_not_offered; virtio_net_test
 *	hdr_len believed						test_the_header_length_is_a_hint
 *	a checksum's place behind the frame, or in what is decided by	virtio_net_test, virtio_net_place_test
 *	a tag put in or taken off, the checksum's place not moved	test_tags; vlan_test, capture_test
 *	a flooded frame finished for one receiver and so for the next	test_one_finished_for_each
 *	a frame damaged on a link passed with "checksum is good"	test_a_damaged_frame_is_not_vouched_for
 *	"checksum is good" told to who has not asked, or by a guest	port_vhost_user_test test_offloads_done_in_software,
 *									test_a_finished_segment_is_cut
 *	open checksums in captures, or to protocols of the switch	capture_test; snooping_switch_test
 *	offloads and a header's size left on a TAP by another program	interop/switch_tap_state_test
 *	a kernel as the receiver of all that				interop/switch_tap_test (plain), switch_tunnel_test,
 *									guest/vhost_user_net_test
 */
#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"

#define ROOM 9000

static uint64_t now;

static uint64_t test_clock(void *arg)
{
	(void)arg;
	return now;
}

/* One that sends, and one that takes all, one that takes open checksums, one that takes nothing: the last first. */
struct lab {
	struct vswitch *vswitch;
	struct fake_port *from, *none, *sums, *all;
};

static struct lab make_lab(void)
{
	struct vswitch_options options = { .seed = 1, .clock = test_clock };
	struct lab lab;

	now = 1000000000;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	lab.from = fake_port_add(lab.vswitch, "from", 0);
	lab.none = fake_port_add(lab.vswitch, "none", 0);
	lab.sums = fake_port_add(lab.vswitch, "sums", VIRTIO_NET_BIT(GUEST_CSUM));
	lab.all = fake_port_add(lab.vswitch, "all", VIRTIO_NET_GUEST_OFFLOADS);
	return lab;
}

struct packet {
	uint8_t bytes[ROOM];
	size_t network, transport, headers, length;
	bool ipv6, tcp;
	struct virtio_net_header header;
};

static uint16_t sum_of(const uint8_t *bytes, size_t length)
{
	return virtio_net_fold(virtio_net_sum(0, bytes, length));
}

static uint64_t pseudo(const uint8_t *ip, bool ipv6, bool tcp, size_t length)
{
	uint8_t tail[8] = { 0 };

	put_be32(tail, (uint32_t)length);
	tail[7] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	return virtio_net_sum(virtio_net_sum(0, ip + (ipv6 ? 8 : 12), ipv6 ? 32 : 8), tail, 8);
}

/* An Ethernet frame with IP and TCP or UDP from byte `at` of `packet`, its checksum the pseudo header's. */
static void lay(struct packet *packet, size_t at, bool ipv6, bool tcp, size_t payload)
{
	uint8_t *bytes = packet->bytes + at, *ip = bytes + 14;
	size_t network = ipv6 ? 40 : 20, transport = tcp ? 20 : 8;
	uint16_t sum;

	memset(bytes, 0xff, 6);
	put_be16(bytes + 6, 0x0200);
	put_be32(bytes + 8, 0xa1);
	put_be16(bytes + 12, ipv6 ? 0x86dd : 0x0800);
	if (ipv6) {
		ip[0] = 0x60;
		put_be16(ip + 4, (uint16_t)(transport + payload));
		ip[6] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		memset(ip + 8, 0x1d, 32);
	} else {
		ip[0] = 0x45;
		put_be16(ip + 2, (uint16_t)(network + transport + payload));
		ip[9] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		put_be32(ip + 12, 0x0a000001);
		put_be32(ip + 16, 0x0a000002);
		put_be16(ip + 10, 0);
		sum = ~sum_of(ip, 20);
		memcpy(ip + 10, &sum, 2);
	}
	packet->ipv6 = ipv6;
	packet->tcp = tcp;
	packet->network = at + 14;
	packet->transport = packet->network + network;
	packet->headers = packet->transport + transport;
	packet->length = packet->headers + payload;
	if (tcp)
		ip[network + 12] = 0x50;
	else
		put_be16(ip + network + 4, (uint16_t)(transport + payload));
	for (size_t i = 0; i < payload; i++)
		packet->bytes[packet->headers + i] = (uint8_t)(i * 5 + i / 253);
	sum = virtio_net_fold(pseudo(ip, ipv6, tcp, transport + payload));
	memcpy(ip + network + (tcp ? 16 : 6), &sum, 2);
	packet->header = (struct virtio_net_header){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = htole16((uint16_t)packet->transport),
		.csum_offset = htole16(tcp ? 16 : 6),
	};
}

static struct packet make(bool ipv6, bool tcp, size_t payload, unsigned gso_size)
{
	struct packet packet = { 0 };

	lay(&packet, 0, ipv6, tcp, payload);
	packet.header.gso_size = htole16((uint16_t)gso_size);
	if (gso_size)
		packet.header.gso_type = !tcp   ? VIRTIO_NET_HDR_GSO_UDP_L4
					 : ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
						: VIRTIO_NET_HDR_GSO_TCPV4;
	return packet;
}

static void pass(struct lab *lab, const struct packet *packet)
{
	fake_port_put(lab->from, packet->bytes, packet->length, &packet->header);
	vswitch_round(lab->vswitch);
}

/* A finished TCP or UDP packet whose IP header begins at `network`. */
static bool is_finished(const struct fake_frame *frame, size_t network, bool ipv6, bool tcp)
{
	const uint8_t *ip = frame->bytes + network;
	size_t transport = network + (ipv6 ? 40 : 20), length = frame->length - transport;
	uint64_t sum = pseudo(ip, ipv6, tcp, length);

	return !frame->offload.needs_checksum && !frame->offload.gso &&
	       virtio_net_fold(virtio_net_sum(sum, frame->bytes + transport, length)) == 0xffff;
}

static bool is_same(const struct fake_frame *frame, const struct packet *packet)
{
	return frame->length == packet->length &&
	       !memcmp(frame->bytes, packet->bytes, packet->length);
}

/*
 * A header's checksum is its sender's. A damaged one is not made good in passing, nor by a checksum that is finished behind it; each
 * segment has a header of its own, and so a checksum. (Windows leaves it out of large frames; a receiver's kernel drops these
 * uncut, which is what it is to do with damage, too.)
 */
static void test_ip_headers(void)
{
	struct packet packet = make(false, true, 900, 0);
	struct lab lab = make_lab();

	put_be16(packet.bytes + packet.network + 10, 0x1234);
	pass(&lab, &packet);
	CU_ASSERT_TRUE(is_same(&lab.all->out[0], &packet));
	CU_ASSERT_TRUE(is_finished(&lab.none->out[0], 14, false, true));
	CU_ASSERT_EQUAL(get_be16(lab.none->out[0].bytes + 24), 0x1234);

	packet = make(false, true, 3000, 1000);
	put_be16(packet.bytes + packet.network + 10, 0);
	pass(&lab, &packet);
	CU_ASSERT_TRUE(is_same(&lab.all->out[1], &packet));
	CU_ASSERT_EQUAL_FATAL(lab.none->out_count, 4);
	for (unsigned i = 1; i < 4; i++) {
		CU_ASSERT_EQUAL(sum_of(lab.none->out[i].bytes + 14, 20), 0xffff);
		CU_ASSERT_TRUE(is_finished(&lab.none->out[i], 14, false, true));
	}

	/* All that changes of an IPv6 header is its length. */
	packet = make(true, true, 3000, 1000);
	pass(&lab, &packet);
	CU_ASSERT_EQUAL_FATAL(lab.none->out_count, 7);
	for (unsigned i = 4; i < 7; i++) {
		put_be16(packet.bytes + 18, get_be16(lab.none->out[i].bytes + 18));
		CU_ASSERT_EQUAL(memcmp(lab.none->out[i].bytes, packet.bytes, 54), 0);
		CU_ASSERT_TRUE(is_finished(&lab.none->out[i], 14, true, true));
	}
	vswitch_destroy(lab.vswitch);
}

/* VXLAN or Geneve that a guest makes itself, of 14 + 20 + 8 + 8 bytes, with an open checksum inside; the outer one is right for
 * when that is finished, as Linux computes it ("local checksum offload"). */
static struct packet make_tunnel(bool ipv6, bool tcp)
{
	struct packet packet = { 0 }, outer = { 0 };
	uint8_t *udp = packet.bytes + 34;
	uint16_t sum;
	uint64_t all;

	lay(&packet, 50, ipv6, tcp, 700);
	lay(&outer, 0, false, false, packet.length - 42);
	memcpy(packet.bytes, outer.bytes, 42);
	put_be16(udp + 2, tcp ? 4789 : 6081);
	packet.bytes[42] = tcp ? 0x08 : 0;
	put_be16(udp + 6, 0);
	/* From the inner transport on it will come to the inverse of the inner pseudo header's sum. */
	sum = ~virtio_net_fold(
		pseudo(packet.bytes + packet.network, ipv6, tcp, packet.length - packet.transport));
	all = pseudo(packet.bytes + 14, false, false, packet.length - 34);
	all = virtio_net_sum(all, udp, packet.transport - 34);
	all = virtio_net_sum(all, &sum, 2);
	sum = ~virtio_net_fold(all);
	memcpy(udp + 6, &sum, 2);
	return packet;
}

static void test_a_guests_tunnel(void)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet packet = make_tunnel(kind & 1, kind & 2);
		struct lab lab = make_lab();

		pass(&lab, &packet);
		CU_ASSERT_EQUAL_FATAL(lab.all->out_count, 1);
		CU_ASSERT_TRUE(is_same(&lab.all->out[0], &packet));
		CU_ASSERT_EQUAL(lab.all->out[0].offload.checksum_start, packet.transport);
		CU_ASSERT_TRUE(is_finished(&lab.none->out[0], packet.network, kind & 1, kind & 2));
		/* And the outer packet, of which nothing was looked at. */
		CU_ASSERT_TRUE(is_finished(&lab.none->out[0], 14, false, false));
		CU_ASSERT_EQUAL(memcmp(lab.none->out[0].bytes, packet.bytes, packet.transport), 0);
		vswitch_destroy(lab.vswitch);
	}
}

/* What nobody was offered is refused, and named, and not taken for the nearest that is known. */
static void test_kinds_that_are_not_offered(void)
{
	static const struct {
		uint8_t type;
		bool tcp;
	} kinds[] = {
		{ VIRTIO_NET_HDR_GSO_UDP, false },         /* UFO */
		{ 0x20 | VIRTIO_NET_HDR_GSO_TCPV4, true }, /* in a tunnel over IPv4, over IPv6 */
		{ 0x40 | VIRTIO_NET_HDR_GSO_TCPV4, true },
		{ 0x60 | VIRTIO_NET_HDR_GSO_UDP_L4, false },
		{ 2, true },
		{ 0x7f, true },
	};
	struct virtio_net_offload offload;
	struct packet packet;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		packet = make(false, kinds[i].tcp, 3000, 1000);
		packet.header.gso_type = kinds[i].type;
		CU_ASSERT_EQUAL(virtio_net_decode(&packet.header, packet.bytes, VIRTIO_NET_HEAD_MAX,
						  packet.length, &offload),
				VIRTIO_NET_FAULT_GSO);
		CU_ASSERT_TRUE(virtio_net_asks_nothing(&offload));
	}
	/* A size without a kind asks for nothing. */
	packet = make(false, true, 3000, 1000);
	packet.header.gso_type = 0;
	CU_ASSERT_EQUAL(virtio_net_decode(&packet.header, packet.bytes, VIRTIO_NET_HEAD_MAX,
					  packet.length, &offload),
			VIRTIO_NET_FAULT_NONE);
	CU_ASSERT_EQUAL(offload.gso, 0);
	CU_ASSERT_EQUAL(virtio_net_wire_frames(&offload, packet.length), 1);
}

static void test_udp_segments(void)
{
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet packet = make(ipv6, false, 2500, 1000);
		struct lab lab = make_lab();
		size_t at = 0;

		pass(&lab, &packet);
		CU_ASSERT_TRUE(is_same(&lab.all->out[0], &packet));
		CU_ASSERT_EQUAL(lab.sums->out_count, 3); /* a checksum alone is not enough */
		CU_ASSERT_EQUAL_FATAL(lab.none->out_count, 3);
		for (unsigned i = 0; i < 3; i++) {
			const struct fake_frame *frame = &lab.none->out[i];
			size_t payload = i < 2 ? 1000 : 500;

			CU_ASSERT_EQUAL(frame->length, packet.headers + payload);
			CU_ASSERT_EQUAL(get_be16(frame->bytes + packet.transport + 4), 8 + payload);
			CU_ASSERT_TRUE(is_finished(frame, 14, ipv6, false));
			CU_ASSERT_EQUAL(memcmp(frame->bytes + packet.headers,
					       packet.bytes + packet.headers + at, payload),
					0);
			at += payload;
		}
		vswitch_destroy(lab.vswitch);
	}
}

/* CWR is on one segment, and a frame that says so goes uncut only to who takes that. */
static void test_congestion_is_told_once(void)
{
	struct packet packet = make(false, true, 3000, 1000);
	struct lab lab = make_lab();
	struct fake_port *plain = fake_port_add(
		lab.vswitch, "plain", VIRTIO_NET_GUEST_OFFLOADS & ~VIRTIO_NET_BIT(GUEST_ECN));

	packet.header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	packet.bytes[packet.transport + 13] = 0x90; /* CWR, ACK */
	pass(&lab, &packet);
	CU_ASSERT_TRUE(is_same(&lab.all->out[0], &packet));
	CU_ASSERT_TRUE(lab.all->out[0].offload.ecn);
	CU_ASSERT_EQUAL_FATAL(plain->out_count, 3);
	CU_ASSERT_EQUAL_FATAL(lab.none->out_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(plain->out[i].bytes[47], i ? 0x10 : 0x90);
		CU_ASSERT_EQUAL(lab.none->out[i].bytes[47], i ? 0x10 : 0x90);
		CU_ASSERT_TRUE(is_finished(&plain->out[i], 14, false, true));
	}
	vswitch_destroy(lab.vswitch);
}

static void test_the_header_length_is_a_hint(void)
{
	static const uint16_t lies[] = { 0, 1, 53, 54, 55, 255, 3000, 0xffff };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct packet packet = make(false, true, 3000, 1000);
		struct virtio_net_header told;
		struct lab lab = make_lab();

		packet.header.hdr_len = htole16(lies[i]);
		pass(&lab, &packet);
		CU_ASSERT_EQUAL_FATAL(lab.none->out_count, 3);
		for (unsigned k = 0; k < 3; k++) {
			CU_ASSERT_EQUAL(lab.none->out[k].length, 1054);
			CU_ASSERT_TRUE(is_finished(&lab.none->out[k], 14, false, true));
		}
		/* And is right when it is passed on: others believe it. */
		virtio_net_encode(&lab.all->out[0].offload, &told);
		CU_ASSERT_EQUAL(le16toh(told.hdr_len), 54);
		vswitch_destroy(lab.vswitch);
	}
}

static void set_word(struct lab *lab, const char *port, const char *word)
{
	struct port_config config = { 0 };

	CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab->vswitch, port, &config, NULL), 0);
}

/* Onto a trunk and off it again: of small frames and large ones, to who takes them and who does not. */
static void test_tags(void)
{
	for (unsigned large = 0; large < 2; large++) {
		struct packet packet = make(true, true, large ? 3000 : 900, large ? 1000 : 0);
		unsigned count = large ? 3 : 1;
		struct lab lab = make_lab();
		struct lab next = make_lab();
		struct virtio_net_header header;

		set_word(&lab, "from", "vlan=10");
		set_word(&lab, "none", "trunk=10");
		set_word(&lab, "all", "trunk=10");
		set_word(&next, "from", "trunk=10");
		set_word(&next, "none", "vlan=10");
		set_word(&next, "all", "vlan=10");
		pass(&lab, &packet);
		CU_ASSERT_EQUAL(lab.all->out[0].length, packet.length + 4);
		CU_ASSERT_EQUAL(lab.all->out[0].offload.checksum_start, packet.transport + 4);
		CU_ASSERT_EQUAL_FATAL(lab.none->out_count, count);
		for (unsigned i = 0; i < count; i++)
			CU_ASSERT_TRUE(is_finished(&lab.none->out[i], 18, true, true));
		/* What left for the one is what comes to the other. */
		virtio_net_encode(&lab.all->out[0].offload, &header);
		fake_port_put(next.from, lab.all->out[0].bytes, lab.all->out[0].length, &header);
		vswitch_round(next.vswitch);
		CU_ASSERT_EQUAL_FATAL(next.all->out_count, 1);
		CU_ASSERT_TRUE(is_same(&next.all->out[0], &packet));
		CU_ASSERT_EQUAL(next.all->out[0].offload.checksum_start, packet.transport);
		CU_ASSERT_EQUAL_FATAL(next.none->out_count, count);
		for (unsigned i = 0; i < count; i++)
			CU_ASSERT_TRUE(is_finished(&next.none->out[i], 14, true, true));
		vswitch_destroy(lab.vswitch);
		vswitch_destroy(next.vswitch);
	}
}

/* The one that takes nothing is served first; what was done for it is not seen by the others. */
static void test_one_finished_for_each(void)
{
	struct packet small = make(false, false, 100, 0), large = make(true, true, 3000, 1000);
	struct lab lab = make_lab();

	for (unsigned i = 0; i < 3; i++) {
		pass(&lab, &small);
		pass(&lab, &large);
	}
	CU_ASSERT_EQUAL_FATAL(lab.all->out_count, 6);
	CU_ASSERT_EQUAL_FATAL(lab.none->out_count, 12);
	CU_ASSERT_EQUAL_FATAL(lab.sums->out_count, 12);
	for (unsigned i = 0; i < 6; i++) {
		CU_ASSERT_TRUE(is_same(&lab.all->out[i], i & 1 ? &large : &small));
		CU_ASSERT_TRUE(lab.all->out[i].offload.needs_checksum);
	}
	for (unsigned i = 0; i < 12; i++) {
		bool tcp = i % 4;

		CU_ASSERT_TRUE(is_finished(&lab.none->out[i], 14, tcp, tcp));
		CU_ASSERT_TRUE(tcp ? is_finished(&lab.sums->out[i], 14, true, true)
				   : is_same(&lab.sums->out[i], &small));
	}
	vswitch_destroy(lab.vswitch);
}

/* A bit that a link has turned is in a frame whose checksum tells: also of one that was open, or that the kernel vouched for. */
static void test_a_damaged_frame_is_not_vouched_for(void)
{
	for (unsigned vouched = 0; vouched < 2; vouched++) {
		struct packet packet = make(false, true, 900, 0), finished;
		struct link_model model = { 0 };
		struct lab lab = make_lab();
		size_t wrong = 0;

		pass(&lab, &packet);
		finished = packet;
		memcpy(finished.bytes, lab.none->out[0].bytes, packet.length);
		if (vouched) {
			packet = finished;
			packet.header =
				(struct virtio_net_header){ .flags = VIRTIO_NET_HDR_F_DATA_VALID };
		}
		CU_ASSERT_EQUAL(link_model_set(&model, "corrupt=100%", NULL), 0);
		CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "all", LINK_OUT, &model, NULL), 0);
		fake_port_clear(lab.all);
		pass(&lab, &packet);
		while (vswitch_round(lab.vswitch))
			;
		CU_ASSERT_EQUAL_FATAL(lab.all->out_count, 1);
		CU_ASSERT_TRUE(virtio_net_asks_nothing(&lab.all->out[0].offload));
		for (size_t i = 0; i < packet.length * 8; i++)
			wrong +=
				(lab.all->out[0].bytes[i / 8] ^ finished.bytes[i / 8]) >> i % 8 & 1;
		CU_ASSERT_EQUAL(wrong, 1);
		vswitch_destroy(lab.vswitch);
	}
}

UNIT_MAIN("defects of offloads that others had", UNIT(test_ip_headers), UNIT(test_a_guests_tunnel),
	  UNIT(test_kinds_that_are_not_offered), UNIT(test_udp_segments),
	  UNIT(test_congestion_is_told_once), UNIT(test_the_header_length_is_a_hint),
	  UNIT(test_tags), UNIT(test_one_finished_for_each),
	  UNIT(test_a_damaged_frame_is_not_vouched_for))
