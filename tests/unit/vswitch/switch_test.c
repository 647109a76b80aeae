/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: forwarding between fake ports under a virtual clock. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define C         0x0200000000c1ULL
#define BROADCAST 0xffffffffffffULL
#define SECOND    1000000000ULL

static uint64_t clock_value;

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

/* A switch with three ports that take no offloads. */
struct lab {
	struct vswitch *vswitch;
	struct fake_port *a, *b, *c;
};

static struct lab make_lab(uint64_t features)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = &clock_value, .table_per_port = 3
	};
	struct lab lab;

	clock_value = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	lab.a = fake_port_add(lab.vswitch, "a", features);
	lab.b = fake_port_add(lab.vswitch, "b", features);
	lab.c = fake_port_add(lab.vswitch, "c", features);
	return lab;
}

static uint64_t drops(const struct fake_port *fake, enum port_drop why)
{
	return fake->port.counters.drops[why];
}

static uint64_t all_drops(const struct fake_port *fake)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		sum += fake->port.counters.drops[i];
	return sum;
}

static void test_unknown_is_flooded_and_known_is_not(void)
{
	struct lab lab = make_lab(0);

	fake_port_put_frame(lab.a, B, A, 0);
	CU_ASSERT_EQUAL(vswitch_round(lab.vswitch), 1);
	CU_ASSERT_EQUAL(lab.a->out_count, 0);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	CU_ASSERT_EQUAL(lab.c->out_count, 1);
	CU_ASSERT_EQUAL(lab.a->port.counters.flooded, 1);
	fake_port_put_frame(lab.b, A, B, 100);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.a->out_count, 1);
	CU_ASSERT_EQUAL(lab.c->out_count, 1);
	CU_ASSERT_EQUAL(lab.b->port.counters.rx_bytes, 100);
	CU_ASSERT_EQUAL(lab.a->port.counters.tx_bytes, 100);
	fake_port_put_frame(lab.a, BROADCAST, A, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 2);
	CU_ASSERT_EQUAL(lab.c->out_count, 2);
	CU_ASSERT_EQUAL(lab.a->released, 2);
	CU_ASSERT_EQUAL(all_drops(lab.a) + all_drops(lab.b) + all_drops(lab.c), 0);
	vswitch_destroy(lab.vswitch);
}

/* Learning is frame by frame: an address first seen in a burst is known to the next frame of it. */
static void test_order_within_a_burst(void)
{
	struct lab lab = make_lab(0);

	for (size_t i = 0; i < 100; i++)
		fake_port_put_frame(lab.a, B, A, 100 + i);
	fake_port_put_frame(lab.b, A, B, 0);
	while (vswitch_round(lab.vswitch))
		;
	CU_ASSERT_EQUAL(lab.b->out_count, 100);
	for (size_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(lab.b->out[i].length, 100 + i);
	/* The first burst of `a` was flooded; after it, `b` had spoken. */
	CU_ASSERT_EQUAL(lab.c->out_count, PORT_BURST);
	vswitch_destroy(lab.vswitch);
}

static void test_what_is_not_forwarded(void)
{
	struct lab lab = make_lab(0);

	fake_port_put_frame(lab.a, 0x0180c2000000, A, 0);
	fake_port_put_frame(lab.a, 0x0180c200000f, A, 0);
	fake_port_put_frame(lab.a, A, C, 0); /* A is at this very port */
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_RESERVED), 2);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_SAME_PORT), 1);
	CU_ASSERT_EQUAL(lab.b->out_count + lab.c->out_count, 0);
	fake_port_put_frame(lab.a, 0x0180c2000010, A, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	/* Nobody else is up. */
	port_set_up(&lab.b->port, false);
	port_set_up(&lab.c->port, false);
	fake_port_put_frame(lab.a, BROADCAST, A, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_NO_PORT), 1);
	vswitch_destroy(lab.vswitch);
}

/* Neither learned nor passed on, as Linux's bridge does. */
static void test_group_and_zero_sources_are_dropped(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct lab lab = make_lab(0);

	fake_port_put_frame(lab.a, BROADCAST, 0, 0);
	fake_port_put_frame(lab.a, BROADCAST, BROADCAST, 0);
	fake_port_put_frame(lab.a, BROADCAST, 0x01005e000001, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	CU_ASSERT_EQUAL(lab.a->port.counters.rx_frames, 3);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_BAD_SOURCE), 3);
	CU_ASSERT_EQUAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->address_count, 0);
	vswitch_destroy(lab.vswitch);
}

/* What people mean by an ageing time of 0. */
static void test_a_hub_learns_nothing(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct vswitch_options options = { .hub = true };
	struct vswitch *vswitch;
	struct fake_port *a, *b, *c;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	b = fake_port_add(vswitch, "b", 0);
	c = fake_port_add(vswitch, "c", 0);
	fake_port_put_frame(a, B, A, 0);
	fake_port_put_frame(b, A, B, 0);
	fake_port_put_frame(a, B, A, 0);
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL(a->out_count, 1);
	CU_ASSERT_EQUAL(b->out_count, 2);
	CU_ASSERT_EQUAL(c->out_count, 3);
	CU_ASSERT_EQUAL(vswitch_status(vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->address_count, 0);
	CU_ASSERT_EQUAL(status->ageing_ns, 0);
	vswitch_destroy(vswitch);
}

static void test_ageing_and_moving(void)
{
	struct lab lab = make_lab(0);

	fake_port_put_frame(lab.a, BROADCAST, A, 0);
	vswitch_round(lab.vswitch);
	clock_value += 299 * SECOND;
	fake_port_put_frame(lab.b, A, B, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.c->out_count, 1); /* only the broadcast */
	clock_value += 1 * SECOND;
	fake_port_put_frame(lab.b, A, B, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.c->out_count, 2); /* flooded: too old */
	/* A is at c now. */
	fake_port_put_frame(lab.c, B, A, 0);
	vswitch_round(lab.vswitch);
	fake_port_clear(lab.a);
	fake_port_put_frame(lab.b, A, B, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.a->out_count, 0);
	CU_ASSERT_EQUAL(lab.c->out_count, 3);
	vswitch_destroy(lab.vswitch);
}

static void test_a_port_that_goes_down_is_forgotten(void)
{
	struct lab lab = make_lab(0);

	fake_port_put_frame(lab.b, BROADCAST, B, 0);
	vswitch_round(lab.vswitch);
	port_set_up(&lab.b->port, false);
	fake_port_put_frame(lab.a, B, A, 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	CU_ASSERT_EQUAL(lab.c->out_count, 2);
	vswitch_destroy(lab.vswitch);
}

/* One port invents addresses; the others' stay known. */
static void test_one_port_cannot_fill_the_table(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct lab lab = make_lab(0);

	fake_port_put_frame(lab.b, BROADCAST, B, 0);
	for (uint64_t i = 0; i < 200; i++)
		fake_port_put_frame(lab.a, BROADCAST, 0x020000010000 + i, 0);
	while (vswitch_round(lab.vswitch))
		;
	CU_ASSERT_EQUAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->address_count, 4);
	CU_ASSERT_EQUAL(status->table.refused, 197);
	vswitch_destroy(lab.vswitch);
}

static void test_frames_that_are_too_long(void)
{
	struct lab lab = make_lab(0);

	lab.b->port.frame_max = 1514;
	fake_port_put_frame(lab.a, BROADCAST, A, 1514);
	fake_port_put_frame(lab.a, BROADCAST, A, 1515);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	CU_ASSERT_EQUAL(lab.c->out_count, 2);
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_TOO_LONG), 1);
	vswitch_destroy(lab.vswitch);
}

/* A TCP frame from A to the broadcast address, its checksum left open; see virtio_net_test.c for the
 * segmenter itself. */
static size_t make_tcp(uint8_t *bytes, size_t payload, unsigned gso_size,
		       struct virtio_net_header *header)
{
	size_t length = 54 + payload;

	memset(bytes, 0xff, 6);
	put_be16(bytes + 6, 0x0200);
	put_be32(bytes + 8, 0xa1);
	put_be16(bytes + 12, 0x0800);
	memset(bytes + 14, 0, 40);
	bytes[14] = 0x45;
	put_be16(bytes + 16, (uint16_t)(length - 14));
	bytes[23] = IPPROTO_TCP;
	put_be32(bytes + 26, 0x0a000001);
	put_be32(bytes + 30, 0x0a000002);
	bytes[46] = 0x50;
	for (size_t i = 0; i < payload; i++)
		bytes[54 + i] = (uint8_t)(i * 7 + i / 251);
	length -= 34;
	put_be16(bytes + 50, (uint16_t)((0x1403 + IPPROTO_TCP + length) % 0xffff));
	*header = (struct virtio_net_header){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_size ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
		.gso_size = htole16((uint16_t)gso_size),
		.csum_start = htole16(34),
		.csum_offset = htole16(16),
	};
	return length + 34;
}

static bool tcp_checksum_good(const struct fake_frame *frame)
{
	uint8_t pseudo[12];
	uint64_t sum;

	memcpy(pseudo, frame->bytes + 26, 8);
	put_be16(pseudo + 8, IPPROTO_TCP);
	put_be16(pseudo + 10, (uint16_t)(frame->length - 34));
	sum = virtio_net_sum(0, pseudo, sizeof(pseudo));
	return virtio_net_fold(virtio_net_sum(sum, frame->bytes + 34, frame->length - 34)) ==
	       0xffff;
}

/* The same frame to a port that takes offloads and to one that does not. */
static void test_offloads_by_what_the_destination_takes(void)
{
	struct virtio_net_header header;
	struct lab lab = make_lab(0);
	uint8_t bytes[20000];
	size_t length;

	lab.b->port.features = VIRTIO_NET_GUEST_OFFLOADS;
	lab.a->small_pieces = true;
	length = make_tcp(bytes, 1000, 0, &header);
	fake_port_put(lab.a, bytes, length, &header);
	vswitch_round(lab.vswitch);
	CU_ASSERT_TRUE(lab.b->out[0].offload.needs_checksum);
	CU_ASSERT_EQUAL(memcmp(lab.b->out[0].bytes, bytes, length), 0);
	CU_ASSERT_FALSE(lab.c->out[0].offload.needs_checksum);
	CU_ASSERT_TRUE(tcp_checksum_good(&lab.c->out[0]));
	CU_ASSERT_EQUAL(lab.c->port.counters.checksummed, 1);

	length = make_tcp(bytes, 10001, 1000, &header);
	fake_port_put(lab.a, bytes, length, &header);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 2);
	CU_ASSERT_EQUAL(lab.b->out[1].offload.gso_size, 1000);
	CU_ASSERT_EQUAL(memcmp(lab.b->out[1].bytes, bytes, length), 0);
	CU_ASSERT_EQUAL_FATAL(lab.c->out_count, 1 + 11);
	for (unsigned i = 1; i < 12; i++) {
		size_t payload = i < 11 ? 1000 : 1;

		CU_ASSERT_EQUAL(lab.c->out[i].length, 54 + payload);
		CU_ASSERT_EQUAL(lab.c->out[i].offload.gso, 0);
		CU_ASSERT_TRUE(tcp_checksum_good(&lab.c->out[i]));
		CU_ASSERT_EQUAL(
			memcmp(lab.c->out[i].bytes + 54, bytes + 54 + 1000 * (i - 1), payload), 0);
	}
	CU_ASSERT_EQUAL(lab.c->port.counters.segmented, 1);
	vswitch_destroy(lab.vswitch);
}

/* More segments than a burst holds, between frames that pass: the order stays. */
static void test_many_segments_keep_their_order(void)
{
	struct virtio_net_header header;
	struct lab lab = make_lab(0);
	uint8_t bytes[60000];
	size_t length = make_tcp(bytes, 10000, 100, &header);

	lab.a->small_pieces = true;
	fake_port_put_frame(lab.a, BROADCAST, A, 61);
	fake_port_put(lab.a, bytes, length, &header);
	fake_port_put_frame(lab.a, BROADCAST, A, 62);
	fake_port_put(lab.a, bytes, length, &header);
	fake_port_put_frame(lab.a, BROADCAST, A, 63);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL_FATAL(lab.c->out_count, 203);
	CU_ASSERT_EQUAL(lab.c->out[0].length, 61);
	CU_ASSERT_EQUAL(lab.c->out[101].length, 62);
	CU_ASSERT_EQUAL(lab.c->out[202].length, 63);
	for (unsigned i = 1; i <= 100; i++)
		CU_ASSERT_EQUAL(get_be32(lab.c->out[i].bytes + 38), (i - 1) * 100);
	vswitch_destroy(lab.vswitch);
}

/* A frame in very many pieces to a port without offloads. */
static void test_many_pieces(void)
{
	struct virtio_net_header header;
	struct lab lab = make_lab(0);
	uint8_t bytes[65000];
	size_t length = make_tcp(bytes, 64000, 0, &header);

	lab.a->small_pieces = true; /* 640 pieces each */
	for (unsigned i = 0; i < 20; i++)
		fake_port_put(lab.a, bytes, length, &header);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.c->out_count, 20);
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT_TRUE(tcp_checksum_good(&lab.c->out[i]));
	CU_ASSERT_EQUAL(all_drops(lab.c), 0);
	vswitch_destroy(lab.vswitch);
}

static void test_names(void)
{
	struct lab lab = make_lab(0);
	struct error error;

	CU_ASSERT_PTR_NULL(fake_port_add(lab.vswitch, "a", 0));
	CU_ASSERT_EQUAL(vswitch_check_port_name("", &error), -EINVAL);
	CU_ASSERT_EQUAL(vswitch_check_port_name("a/b", &error), -EINVAL);
	CU_ASSERT_EQUAL(vswitch_check_port_name("0123456789012345678901234567890", &error), 0);
	CU_ASSERT_EQUAL(vswitch_check_port_name("01234567890123456789012345678901", &error),
			-EINVAL);
	CU_ASSERT_STRING_EQUAL(port_drop_name(PORT_DROP_FAILED), "failed");
	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		CU_ASSERT_PTR_NOT_NULL(port_drop_name(i));
	vswitch_destroy(lab.vswitch);
}

/* Calls reach the running thread, and an idle switch sleeps. */
static void test_the_thread(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned i = 0; i < 50; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", i);
		CU_ASSERT_PTR_NOT_NULL(fake_port_add(vswitch, name, 0));
	}
	usleep(20000);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->port_count, 50);
	CU_ASSERT_TRUE(status->rounds < 1000);
	vswitch_stop(vswitch);
	CU_ASSERT_EQUAL(vswitch_start(vswitch, NULL), 0);
}

/* Each reading is `step` later. */
static uint64_t stepping_clock(void *arg)
{
	return clock_value += *(uint64_t *)arg;
}

/* What frames cost is the time of the rounds that had some. */
static void test_what_frames_cost(void)
{
	uint64_t step = 700;
	struct vswitch_options options = { .clock = stepping_clock, .clock_arg = &step };
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct fake_port *a;
	unsigned dear = 0, cheap = 0;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	fake_port_add(vswitch, "b", 0);
	fake_port_put_frame(a, BROADCAST, A, 60);
	fake_port_put_frame(a, BROADCAST, A, 60);
	vswitch_round(vswitch);
	vswitch_round(vswitch); /* empty */
	fake_port_put_frame(a, BROADCAST, A, 60);
	vswitch_round(vswitch);
	step = 2000000;
	vswitch_round(vswitch);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->cost.frames, 3);
	CU_ASSERT_EQUAL(status->cost.ns, 2000700);
	for (unsigned i = 0; i < FRAME_COST_BUCKETS; i++)
		if (frame_cost_bound(i) > 350 && frame_cost_bound(i) < 400)
			cheap += status->cost.buckets[i];
		else
			dear += status->cost.buckets[i];
	CU_ASSERT_EQUAL(cheap, 2);
	CU_ASSERT_EQUAL(dear, 1);
	CU_ASSERT_EQUAL(status->cost.buckets[FRAME_COST_BUCKETS - 1], 1);
}

UNIT_MAIN("switch", UNIT(test_unknown_is_flooded_and_known_is_not), UNIT(test_order_within_a_burst),
	  UNIT(test_what_is_not_forwarded), UNIT(test_group_and_zero_sources_are_dropped),
	  UNIT(test_a_hub_learns_nothing), UNIT(test_ageing_and_moving),
	  UNIT(test_a_port_that_goes_down_is_forgotten), UNIT(test_one_port_cannot_fill_the_table),
	  UNIT(test_frames_that_are_too_long), UNIT(test_offloads_by_what_the_destination_takes),
	  UNIT(test_many_segments_keep_their_order), UNIT(test_many_pieces), UNIT(test_names),
	  UNIT(test_the_thread), UNIT(test_what_frames_cost))
