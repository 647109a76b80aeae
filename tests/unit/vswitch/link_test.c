/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: bad links over ports, in virtual time; a network of switches and fibers on one clock. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"

#define A  0x0200000000a1ULL
#define B  0x0200000000b1ULL
#define MS 1000000ULL

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

struct lab {
	uint64_t clock;
	struct vswitch *vswitch;
	struct fake_port *a, *b;
};

static void start(struct lab *lab, unsigned threads)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = &lab->clock, .threads = threads
	};

	lab->clock = 1000 * MS;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	lab->a = fake_port_add(lab->vswitch, "a", VIRTIO_NET_GUEST_OFFLOADS);
	lab->b = fake_port_add(lab->vswitch, "b", VIRTIO_NET_GUEST_OFFLOADS);
}

static void bad(struct lab *lab, const char *port, unsigned directions, const char *words)
{
	struct link_model model = { 0 };
	char copy[128], *rest = copy, *word;
	struct error error = { 0 };

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")) && *word)
		CU_ASSERT_EQUAL_FATAL(link_model_set(&model, word, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(lab->vswitch, port, directions, &model, &error), 0);
}

/* Until nothing moves any more, time goes on to `end`. */
static void run_until(struct lab *lab, uint64_t end)
{
	for (;;) {
		while (vswitch_round(lab->vswitch))
			;
		if (vswitch_next_timer(lab->vswitch) > end)
			break;
		lab->clock = vswitch_next_timer(lab->vswitch);
	}
	lab->clock = end;
}

/* There and back over two ways of 20 ms, to the nanosecond; before that, nothing. */
static void test_delay_is_exact(void)
{
	struct lab lab;

	start(&lab, 1);
	bad(&lab, "b", LINK_IN | LINK_OUT, "delay=20ms");
	fake_port_put_frame(lab.a, B, A, 100);
	run_until(&lab, 1020 * MS - 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	run_until(&lab, 1020 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	fake_port_put_frame(lab.b, A, B, 200);
	run_until(&lab, 1040 * MS - 1);
	CU_ASSERT_EQUAL(lab.a->out_count, 0);
	run_until(&lab, 1040 * MS);
	CU_ASSERT_EQUAL(lab.a->out_count, 1);
	CU_ASSERT_EQUAL(lab.a->out[0].length, 200);
	vswitch_destroy(lab.vswitch);
}

/* A thousand frames in a hundred milliseconds, all of them on their way at once: a delay is no sleep. */
static void test_delay_costs_no_throughput(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	uint64_t got = 0;
	struct lab lab;

	start(&lab, 1);
	bad(&lab, "b", LINK_OUT, "delay=100050us");
	for (unsigned i = 0; i < 1000; i++) {
		fake_port_put_frame(lab.a, B, A, 100 + i % 100);
		run_until(&lab, lab.clock + MS / 10);
	}
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	for (unsigned i = 0; i < 1000; i++) {
		run_until(&lab, lab.clock + MS / 10);
		if (lab.b->out_count) {
			CU_ASSERT_EQUAL(lab.b->out[0].length, 100 + got % 100);
			got += lab.b->out_count;
			fake_port_clear(lab.b);
		}
	}
	CU_ASSERT_EQUAL(got, 1000);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_TRUE(status->ports[1].has_link);
	CU_ASSERT_STRING_EQUAL(status->ports[1].type, "fake");
	CU_ASSERT_EQUAL(status->ports[1].link_out.counters.delivered, 1000);
	CU_ASSERT_EQUAL(status->ports[1].link_out.counters.late_max_ns, 0);
	CU_ASSERT_EQUAL(status->ports[1].counters.tx_frames, 1000);
	vswitch_destroy(lab.vswitch);
}

/* Each frame once more, or one bit of it wrong. */
static void test_copies_and_bits(void)
{
	unsigned wrong = 0;
	struct lab lab;

	start(&lab, 1);
	bad(&lab, "b", LINK_OUT, "duplicate=100%");
	fake_port_put_frame(lab.a, B, A, 90);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL(lab.b->out_count, 2);
	CU_ASSERT_EQUAL(memcmp(lab.b->out[0].bytes, lab.b->out[1].bytes, 90), 0);
	bad(&lab, "b", LINK_OUT, "corrupt=100%");
	fake_port_put_frame(lab.a, B, A, 90);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL_FATAL(lab.b->out_count, 3);
	for (unsigned i = 0; i < 90; i++)
		wrong += (unsigned)__builtin_popcount(
			(unsigned)(lab.b->out[0].bytes[i] ^ lab.b->out[2].bytes[i]));
	CU_ASSERT_EQUAL(wrong, 1);
	vswitch_destroy(lab.vswitch);
}

/* A large frame is as many packets as a wire would have, in either way, with checksums of their own. */
static void test_large_frames_are_packets(void)
{
	static uint8_t bytes[54 + 10000];
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .gso_size = htole16(1000),
					    .csum_start = htole16(34),
					    .csum_offset = htole16(16) };
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct lab lab;

	start(&lab, 1);
	memset(bytes, 0xff, 6);
	bytes[6] = 2;
	put_be16(bytes + 12, 0x0800);
	bytes[14] = 0x45;
	put_be16(bytes + 16, 10040);
	bytes[23] = IPPROTO_TCP;
	bytes[46] = 0x50;
	bad(&lab, "a", LINK_IN, "loss=list,2");
	bad(&lab, "b", LINK_OUT, "loss=list,1,9");
	lab.a->small_pieces = true;
	fake_port_put(lab.a, bytes, sizeof(bytes), &header);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL_FATAL(lab.b->out_count, 7);
	for (unsigned i = 0; i < 7; i++) {
		CU_ASSERT_EQUAL(lab.b->out[i].length, 1054);
		CU_ASSERT_FALSE(lab.b->out[i].offload.needs_checksum);
		CU_ASSERT_EQUAL(lab.b->out[i].offload.gso, 0);
	}
	CU_ASSERT_EQUAL(get_be32(lab.b->out[0].bytes + 38), 2000);
	CU_ASSERT_EQUAL(get_be32(lab.b->out[6].bytes + 38), 8000);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->ports[0].link_in.counters.offered, 10);
	CU_ASSERT_EQUAL(status->ports[1].link_out.counters.lost, 2);
	vswitch_destroy(lab.vswitch);
}

/* What is on its way when the link is good again arrives as was decided; then frames pass whole. */
static void test_good_again(void)
{
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .csum_start = htole16(20) };
	uint8_t bytes[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };
	struct lab lab;

	start(&lab, 1);
	bad(&lab, "b", LINK_OUT, "delay=50ms");
	fake_port_put(lab.a, bytes, sizeof(bytes), &header);
	run_until(&lab, lab.clock + MS);
	bad(&lab, "b", LINK_OUT, "");
	run_until(&lab, 1050 * MS - 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	run_until(&lab, 1050 * MS);
	CU_ASSERT_EQUAL_FATAL(lab.b->out_count, 1);
	CU_ASSERT_FALSE(lab.b->out[0].offload.needs_checksum);
	fake_port_put(lab.a, bytes, sizeof(bytes), &header);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL_FATAL(lab.b->out_count, 2);
	CU_ASSERT_TRUE(lab.b->out[1].offload.needs_checksum);
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), UINT64_MAX);
	vswitch_destroy(lab.vswitch);
}

/* The port goes with frames on their way; going down and up is seen through the link. */
static void test_ports_below_come_and_go(void)
{
	struct error error = { 0 };
	struct link_model wrong = { .reorder = 5 }, late = { .delay_ns = MS };
	struct lab lab;

	start(&lab, 2);
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "z", LINK_IN, &late, &error), -ENOENT);
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "b", LINK_IN, &wrong, &error), -EINVAL);
	bad(&lab, "b", LINK_IN | LINK_OUT, "delay=20ms");
	port_set_up(&lab.b->port, false);
	fake_port_put_frame(lab.a, B, A, 100);
	run_until(&lab, lab.clock + 100 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	CU_ASSERT_EQUAL(lab.a->port.counters.drops[PORT_DROP_NO_PORT], 1);
	port_set_up(&lab.b->port, true);
	fake_port_put_frame(lab.a, B, A, 100);
	run_until(&lab, lab.clock + 100 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	fake_port_put_frame(lab.a, B, A, 100);
	fake_port_put_frame(lab.b, A, B, 100);
	run_until(&lab, lab.clock + MS);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "b", &error), 0);
	run_until(&lab, lab.clock + 100 * MS);
	CU_ASSERT_EQUAL(lab.a->out_count, 0);
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), UINT64_MAX);
	CU_ASSERT_PTR_NOT_NULL(fake_port_add(lab.vswitch, "b", 0));
	vswitch_destroy(lab.vswitch);
}

/* Twice the same, to the nanosecond and the byte. */
static uint64_t history(uint64_t seed)
{
	uint64_t sum = 0;
	struct lab lab;
	char words[128];

	start(&lab, 1);
	snprintf(words, sizeof(words),
		 "delay=10ms jitter=5ms,normal loss=5%% duplicate=3%% corrupt=2%% seed=%llu",
		 (unsigned long long)seed);
	bad(&lab, "b", LINK_OUT, words);
	for (unsigned i = 0; i < 300; i++) {
		fake_port_put_frame(lab.a, B, A, 100 + i);
		run_until(&lab, lab.clock + MS);
		for (unsigned k = 0; k < lab.b->out_count; k++)
			for (unsigned at = 0; at < lab.b->out[k].length; at++)
				sum = sum * 31 + lab.b->out[k].bytes[at] + lab.clock;
		fake_port_clear(lab.b);
	}
	vswitch_destroy(lab.vswitch);
	return sum;
}

static void test_a_seed_repeats_itself(void)
{
	CU_ASSERT_EQUAL(history(4), history(4));
	CU_ASSERT_NOT_EQUAL(history(4), history(5));
}

/* A packet that would be lost goes on with a mark; one whose ends do not understand marks is lost. */
static void test_marks_instead_of_losses(void)
{
	uint8_t bytes[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };
	struct lab lab;

	start(&lab, 1);
	bad(&lab, "b", LINK_OUT, "loss=100% ecn=yes");
	put_be16(bytes + 12, 0x0800);
	bytes[14] = 0x45;
	bytes[15] = 2;
	put_be16(bytes + 24, (uint16_t)~0x4502);
	lab.a->small_pieces = true;
	fake_port_put(lab.a, bytes, sizeof(bytes), NULL);
	bytes[15] = 0;
	fake_port_put(lab.a, bytes, sizeof(bytes), NULL);
	run_until(&lab, lab.clock);
	CU_ASSERT_EQUAL_FATAL(lab.b->out_count, 1);
	CU_ASSERT_EQUAL(lab.b->out[0].bytes[15], 3);
	CU_ASSERT_EQUAL(get_be16(lab.b->out[0].bytes + 24), (uint16_t)~0x4503);
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("link", UNIT(test_delay_is_exact), UNIT(test_delay_costs_no_throughput),
	  UNIT(test_copies_and_bits), UNIT(test_large_frames_are_packets), UNIT(test_good_again),
	  UNIT(test_ports_below_come_and_go), UNIT(test_a_seed_repeats_itself),
	  UNIT(test_marks_instead_of_losses))
