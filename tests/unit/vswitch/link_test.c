/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: bad links over ports, in virtual time; a network of switches and fibers on one clock. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"

#define A     0x0200000000a1ULL
#define B     0x0200000000b1ULL
#define MS    1000000ULL
#define EPOCH 1700000000000000000ULL /* of captures */

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
	struct vswitch_options options = { .seed = 1,
					   .clock = test_clock,
					   .clock_arg = &lab->clock,
					   .threads = threads,
					   .epoch_ns = EPOCH };

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

static struct port_ops late_ops;
static unsigned (*early_receive)(struct port *port, struct frame **frames, unsigned max);
static uint64_t *late_clock;

/* The thread is not run for a while after it has looked at the clock, and the frame comes then. */
static unsigned late_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct fake_port *fake = container_of(port, struct fake_port, port);

	if (*late_clock == 1000 * MS) {
		*late_clock = 1025 * MS;
		fake_port_put_frame(fake, B, A, 100);
	}
	return early_receive(port, frames, max);
}

static void test_a_delay_begins_when_the_frame_came(void)
{
	struct lab lab;

	start(&lab, 1);
	late_ops = *lab.a->port.ops;
	early_receive = late_ops.receive;
	late_ops.receive = late_receive;
	late_clock = &lab.clock;
	lab.a->port.ops = &late_ops;
	bad(&lab, "a", LINK_IN, "delay=20ms");
	run_until(&lab, 1045 * MS - 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	run_until(&lab, 1045 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
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

/* Twice the same, to the nanosecond and the byte, by however many threads. */
static uint64_t history(unsigned threads, uint64_t seed)
{
	uint64_t sum = 0;
	struct lab lab;
	char words[128];

	start(&lab, threads);
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
	uint64_t first = history(1, 4);

	CU_ASSERT_EQUAL(history(1, 4), first);
	CU_ASSERT_EQUAL(history(2, 4), first);
	CU_ASSERT_EQUAL(history(4, 4), first);
	CU_ASSERT_NOT_EQUAL(history(1, 5), first);
	CU_ASSERT_NOT_EQUAL(history(4, 5), first);
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

/* A recorded rate through a switch; who keeps it counts it, and the last one frees it. */
static void test_a_recorded_rate(void)
{
	struct vswitch_status *status = NULL;
	struct link_trace *trace = NULL;
	struct link_model model = { 0 };
	struct lab lab;

	start(&lab, 1);
	CU_ASSERT_EQUAL_FATAL(link_trace_read(&trace, "t", "10\n30\n", NULL), 0);
	model.trace = trace;
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "b", LINK_OUT, &model, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "b", LINK_IN, &model, NULL), 0);
	CU_ASSERT_EQUAL(trace->references, 3);
	for (unsigned i = 0; i < 4; i++)
		fake_port_put_frame(lab.a, B, A, 1000);
	run_until(&lab, 1030 * MS - 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	/* What is decided, and where it is in the trace, does not change with another word. */
	model.delay_ns = 5 * MS;
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "b", LINK_OUT, &model, NULL), 0);
	CU_ASSERT_EQUAL(trace->references, 3);
	run_until(&lab, 1040 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 4);
	fake_port_put_frame(lab.a, B, A, 1000);
	run_until(&lab, 1065 * MS - 1);
	CU_ASSERT_EQUAL(lab.b->out_count, 4);
	run_until(&lab, 1065 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 5);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(trace->references, 5);
	bad(&lab, "b", LINK_OUT, "");
	CU_ASSERT_EQUAL(trace->references, 4);
	CU_ASSERT_PTR_EQUAL(status->ports[1].link_out.model.trace, trace);
	vswitch_status_free(status);
	CU_ASSERT_EQUAL(trace->references, 2);
	vswitch_destroy(lab.vswitch);
	CU_ASSERT_EQUAL(trace->references, 1);
	link_trace_drop(trace);
}

/* ---- Captures ---- */

/* A record of a pcapng file. */
struct recorded {
	unsigned interface;
	bool out;
	uint64_t time_ns, id;
	unsigned length;
	char dropped[40]; /* its comment */
	bool verdict;
};

static void read_options(const uint8_t *at, struct recorded *to)
{
	for (; get_le16(at); at += 4 + round_up((size_t)get_le16(at + 2), 4)) {
		size_t length = get_le16(at + 2);

		switch (get_le16(at)) {
		case 1:
			snprintf(to->dropped, sizeof(to->dropped), "%.*s", (int)length, at + 4);
			break;
		case 2:
			to->out = (get_le32(at + 4) & 3) == 2;
			break;
		case 5:
			to->id = get_le64(at + 4);
			break;
		case 7:
			to->verdict = true;
			break;
		default:
			break;
		}
	}
}

static unsigned read_records(const char *path, struct recorded *to, unsigned most)
{
	static uint8_t file[65536];
	FILE *in = fopen(path, "re");
	size_t length, at = 0;
	unsigned count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	length = fread(file, 1, sizeof(file), in);
	fclose(in);
	for (; at + 12 <= length; at += get_le32(file + at + 4)) {
		unsigned captured = get_le32(file + at + 20);

		if (get_le32(file + at) != 6 || count == most)
			continue;
		to[count] = (struct recorded){
			.interface = get_le32(file + at + 8),
			.time_ns =
				(uint64_t)get_le32(file + at + 12) << 32 | get_le32(file + at + 16),
			.length = captured,
		};
		read_options(file + at + 28 + round_up((size_t)captured, 4), &to[count++]);
	}
	return count;
}

static void capture(struct lab *lab, char path[128], const char *name)
{
	struct vswitch_capture_options options = { .path = path, .force = true };

	snprintf(path, 128, "%s/%s.pcapng", unit_directory(), name);
	CU_ASSERT_EQUAL_FATAL(vswitch_start_capture(lab->vswitch, &options, NULL, NULL), 0);
}

static void check_record(const struct recorded *record, unsigned interface, bool out,
			 uint64_t time_ns, const char *dropped)
{
	CU_ASSERT_EQUAL(record->interface, interface);
	CU_ASSERT_EQUAL(record->out, out);
	CU_ASSERT_EQUAL(record->time_ns, EPOCH + time_ns);
	CU_ASSERT_STRING_EQUAL(record->dropped, dropped);
	CU_ASSERT_EQUAL(record->verdict, dropped[0] != 0);
}

/* What goes out is recorded when it goes, with the number that it came with; what is lost when it is, with the reason. */
static void check_captured_out(unsigned threads)
{
	struct recorded records[9];
	struct lab lab;
	char path[128];

	start(&lab, threads);
	bad(&lab, "b", LINK_OUT, "delay=20ms loss=list,2 duplicate=100%");
	capture(&lab, path, "out");
	fake_port_put_frame(lab.a, B, A, 100);
	fake_port_put_frame(lab.a, B, A, 200);
	run_until(&lab, 1100 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 2);
	CU_ASSERT_EQUAL(vswitch_stop_captures(lab.vswitch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(read_records(path, records, 9), 5);
	check_record(&records[0], 0, false, 1000 * MS, "");
	check_record(&records[1], 0, false, 1000 * MS, "");
	check_record(&records[2], 1, true, 1000 * MS, "dropped: link_lost");
	check_record(&records[3], 1, true, 1020 * MS, "");
	check_record(&records[4], 1, true, 1020 * MS, "");
	CU_ASSERT_NOT_EQUAL(records[0].id, records[1].id);
	CU_ASSERT_NOT_EQUAL(records[0].id, 0);
	CU_ASSERT_EQUAL(records[2].id, records[1].id);
	CU_ASSERT_EQUAL(records[3].id, records[0].id);
	CU_ASSERT_EQUAL(records[4].id, records[0].id);
	CU_ASSERT_EQUAL(records[2].length, 200);
	CU_ASSERT_EQUAL(records[3].length, 100);
	vswitch_destroy(lab.vswitch);
}

static void test_captured_on_the_way_out(void)
{
	check_captured_out(1);
	check_captured_out(2);
}

/* What comes in is recorded when it comes, as it came; and once more if the switch drops it. */
static void test_captured_on_the_way_in(void)
{
	struct recorded records[9];
	struct lab lab;
	char path[128];

	start(&lab, 1);
	bad(&lab, "b", LINK_IN, "delay=20ms corrupt=100% loss=list,2");
	capture(&lab, path, "in");
	fake_port_put_frame(lab.b, A, B, 1000);
	fake_port_put_frame(lab.b, A, B, 200);
	run_until(&lab, 1100 * MS);
	port_set_up(&lab.a->port, false);
	bad(&lab, "b", LINK_IN, "delay=20ms");
	fake_port_put_frame(lab.b, A, B, 300);
	run_until(&lab, 1200 * MS);
	CU_ASSERT_EQUAL(vswitch_stop_captures(lab.vswitch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(read_records(path, records, 9), 5);
	check_record(&records[0], 1, false, 1000 * MS, "");
	check_record(&records[1], 1, false, 1000 * MS, "dropped: link_lost");
	check_record(&records[2], 0, true, 1020 * MS, "");
	check_record(&records[3], 1, false, 1100 * MS, "");
	check_record(&records[4], 1, false, 1120 * MS, "dropped: no_port");
	CU_ASSERT_EQUAL(records[0].length, 1000);
	CU_ASSERT_EQUAL(records[2].id, records[0].id);
	CU_ASSERT_EQUAL(records[4].id, records[3].id);
	CU_ASSERT_NOT_EQUAL(records[1].id, records[0].id);
	vswitch_destroy(lab.vswitch);
}

static unsigned take_nothing(struct port *port, struct frame *const *frames, unsigned count)
{
	(void)port, (void)frames, (void)count;
	return 0;
}

/* A queue without room, and a port below that takes nothing: each by its name. What was on its way as a capture began leaves
 * with no number. */
static void test_captured_drops_have_names(void)
{
	struct recorded records[9];
	struct port_ops full;
	struct lab lab;
	char path[128];

	start(&lab, 1);
	bad(&lab, "b", LINK_OUT, "delay=20ms queue=2p");
	fake_port_put_frame(lab.a, B, A, 100);
	run_until(&lab, lab.clock + MS);
	capture(&lab, path, "names");
	fake_port_put_frame(lab.a, B, A, 200);
	fake_port_put_frame(lab.a, B, A, 300);
	run_until(&lab, 1020 * MS);
	full = *lab.b->port.ops;
	full.transmit = take_nothing;
	lab.b->port.ops = &full;
	run_until(&lab, 1100 * MS);
	CU_ASSERT_EQUAL(vswitch_stop_captures(lab.vswitch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(read_records(path, records, 9), 5);
	check_record(&records[2], 1, true, 1001 * MS, "dropped: link_queue_full");
	CU_ASSERT_EQUAL(records[2].id, records[1].id);
	check_record(&records[3], 1, true, 1020 * MS, "");
	CU_ASSERT_EQUAL(records[3].id, 0);
	check_record(&records[4], 1, true, 1021 * MS, "dropped: no_buffer");
	CU_ASSERT_EQUAL(records[4].id, records[0].id);
	vswitch_destroy(lab.vswitch);
}

/* When the `count` frames that b got came, one a frame; in the order of their lengths. */
static void check_order(const struct lab *lab, unsigned count)
{
	CU_ASSERT_EQUAL_FATAL(lab->b->out_count, count);
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_EQUAL(lab->b->out[i].length, 1000 + i);
}

/* What is changed in the middle: nothing passes those that wait for the wire, whatever is changed; and none of them waits for a rate that is no more. */
static void test_changes_with_packets_on_the_way(void)
{
	static const char *const changes[] = { "rate=8M seed=9",
					       "rate=80M",
					       "rate=4M loss=list,99",
					       "rate=8M queue=1s",
					       "rate=8M burst=8k",
					       "rate=8M burst=80k",
					       "delay=1us",
					       "" };
	static const char *const useless[][2] = { { "rate=1", "rate=8M" },
						  { "rate=1 keep-order=yes",
						    "rate=8M keep-order=yes" },
						  { "rate=1 burst=4k", "rate=8M" },
						  { "rate=1 queue=9p", "rate=8M queue=9p" },
						  { "rate=1", "" } };
	struct lab lab;

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		start(&lab, 1);
		bad(&lab, "b", LINK_OUT, "rate=8M");
		for (unsigned k = 0; k < 10; k++)
			fake_port_put_frame(lab.a, B, A, 1000 + k);
		run_until(&lab, 1001 * MS);
		bad(&lab, "b", LINK_OUT, changes[i]);
		for (unsigned k = 10; k < 14; k++)
			fake_port_put_frame(lab.a, B, A, 1000 + k);
		run_until(&lab, 1200 * MS);
		check_order(&lab, 14);
		vswitch_destroy(lab.vswitch);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(useless); i++) {
		start(&lab, 1);
		bad(&lab, "b", LINK_OUT, useless[i][0]);
		fake_port_put_frame(lab.a, B, A, 1000); /* two hours */
		run_until(&lab, 1001 * MS);
		CU_ASSERT_EQUAL(lab.b->out_count, 0);
		bad(&lab, "b", LINK_OUT, useless[i][1]);
		for (unsigned k = 1; k < 4; k++)
			fake_port_put_frame(lab.a, B, A, 1000 + k);
		run_until(&lab, 1006 * MS);
		check_order(&lab, 4);
		vswitch_destroy(lab.vswitch);
	}
}

/* A flood keeps a queue full: what comes after a change does not pass the last that had room. */
static void test_changes_of_a_full_queue(void)
{
	static const char *const cases[][2] = {
		{ "rate=8M queue=4500us", "rate=80M queue=4500us" },
		{ "rate=8M queue=4500us", "" },
		{ "rate=8M queue=4500us delay=50ms jitter=20ms keep-order=yes",
		  "rate=80M queue=4500us delay=50ms jitter=20ms keep-order=yes" },
	};
	struct lab lab;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned sent = 0;

		start(&lab, 1);
		bad(&lab, "b", LINK_OUT, cases[i][0]);
		for (; sent < 5; sent++)
			fake_port_put_frame(lab.a, B, A, 1000 + sent);
		run_until(&lab, 1000 * MS);
		bad(&lab, "b", LINK_OUT, cases[i][1]);
		for (; sent < 9; sent++) {
			fake_port_put_frame(lab.a, B, A, 1000 + sent);
			run_until(&lab, lab.clock + MS);
		}
		run_until(&lab, 1200 * MS);
		check_order(&lab, sent);
		vswitch_destroy(lab.vswitch);
	}
}

/* A queue of packets is of those that wait for the wire: a delay ten times as long lets the rate as it is; without a rate they are those on the link. */
static void test_a_delay_takes_nothing_of_a_rate(void)
{
	struct lab lab;
	unsigned sent = 0;

	start(&lab, 1);
	bad(&lab, "b", LINK_OUT, "rate=8M delay=200ms queue=20p");
	for (; sent < 400; sent++) {
		fake_port_put_frame(lab.a, B, A, 1000);
		run_until(&lab, lab.clock + MS / 2);
	}
	/* one in a millisecond, and those that wait at the end */
	run_until(&lab, lab.clock + 200 * MS + 20 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 199 + 20);
	/* the wire is another: those that waited go at its rate */
	bad(&lab, "b", LINK_OUT, "rate=1 queue=3p");
	for (unsigned k = 0; k < 5; k++)
		fake_port_put_frame(lab.a, B, A, 1000);
	run_until(&lab, lab.clock + MS);
	bad(&lab, "b", LINK_OUT, "rate=8M queue=3p");
	run_until(&lab, lab.clock + 100 * MS);
	for (unsigned k = 0; k < 5; k++)
		fake_port_put_frame(lab.a, B, A, 1000);
	run_until(&lab, lab.clock + 10 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 219 + 3 + 3);
	bad(&lab, "b", LINK_OUT, "delay=100ms queue=2p");
	for (unsigned k = 0; k < 5; k++)
		fake_port_put_frame(lab.a, B, A, 1000);
	run_until(&lab, lab.clock + 110 * MS);
	CU_ASSERT_EQUAL(lab.b->out_count, 225 + 2);
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("link", UNIT(test_delay_is_exact), UNIT(test_a_delay_takes_nothing_of_a_rate),
	  UNIT(test_changes_with_packets_on_the_way), UNIT(test_changes_of_a_full_queue),
	  UNIT(test_a_delay_begins_when_the_frame_came), UNIT(test_delay_costs_no_throughput),
	  UNIT(test_copies_and_bits), UNIT(test_large_frames_are_packets), UNIT(test_good_again),
	  UNIT(test_ports_below_come_and_go), UNIT(test_a_seed_repeats_itself),
	  UNIT(test_marks_instead_of_losses), UNIT(test_a_recorded_rate),
	  UNIT(test_captured_on_the_way_out), UNIT(test_captured_on_the_way_in),
	  UNIT(test_captured_drops_have_names))
