/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch: how frames end. Random frames between ports that differ in all that can be set, one at a time and in bursts: each that comes in is taken by
 * a protocol, ends by one name, or goes to one port or more, where it leaves or ends by one name again; never two of these, never none.
 */
#include "unit.h"

#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "vswitch/internal.h"
#include "vswitch/lldp.h"

#define SECOND 1000000000ULL
#define PORTS  10
#define FRAMES 30000
#define LONG   9014

static const char *const settings[PORTS] = {
	"",
	"vlan=10,isolate=1",
	"trunk=10+20,native=10,unknown=50",
	"dot1q-tunnel=20",
	"isolate=1,broadcast=40",
	"vlan=20,police-in=200p/5p",
	"police-out=300p/5p,multicast=30",
	"trunk=all,tag-type=802.1ad",
	"reserved=all:flood",
	"addresses=1",
};

struct lab {
	uint64_t clock;
	struct random random;
	struct vswitch *vswitch;
	struct fake_port *ports[PORTS];
};

/* What became of frames until now. */
struct ends {
	uint64_t came, taken, dropped_in;
	uint64_t out
		[PORTS]; /* that left by a port, or ended there: segments of large ones for themselves */
};

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static void add_rule(struct lab *lab, const char *port, enum port_way way, const char *expression,
		     const char *action)
{
	struct filter_program *program = NULL;
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(filter_program_compile(&program, expression, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_rule(lab->vswitch, port, way, 0, program, action, &error),
			      0);
}

static void start(struct lab *lab)
{
	struct vswitch_options options = { .seed = 1,
					   .clock = test_clock,
					   .clock_arg = &lab->clock };
	const char *word = "mode=receive";

	memset(lab, 0, sizeof(*lab));
	lab->random.state = 7;
	lab->clock = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < PORTS; i++) {
		char name[8], copy[128], *rest = copy, *each;
		struct port_config config = { 0 };

		snprintf(name, sizeof(name), "p%u", i);
		snprintf(copy, sizeof(copy), "%s", settings[i]);
		while ((each = strsep(&rest, ",")) && *each)
			CU_ASSERT_EQUAL_FATAL(port_config_set(&config, each, NULL), 0);
		lab->ports[i] = fake_port_add(lab->vswitch, name,
					      i & 1 ? 0
						    : 1ULL << VIRTIO_NET_F_GUEST_CSUM |
							      1ULL << VIRTIO_NET_F_GUEST_TSO4);
		CU_ASSERT_EQUAL_FATAL(vswitch_set_port(lab->vswitch, name, &config, NULL), 0);
	}
	lab->ports[2]->port.frame_max = 1000;
	add_rule(lab, "p0", PORT_IN, "less 64", "drop");
	add_rule(lab, "p0", PORT_IN, "ip", "rate=400p/10p");
	add_rule(lab, "p7", PORT_OUT, "greater 1400", "drop");
	add_rule(lab, "p9", PORT_OUT, "", "rate=500p/20p");
	CU_ASSERT_EQUAL_FATAL(vswitch_set_lldp(lab->vswitch, 0x0200000000f0, NULL, &word, 1, NULL),
			      0);
	while (vswitch_round(lab->vswitch))
		;
}

static struct ends ends_of(const struct lab *lab)
{
	struct ends ends = { 0 };

	for (unsigned i = 0; i < PORTS; i++) {
		const struct port_counters *counters = &lab->ports[i]->port.counters;

		ends.came += counters->rx_frames;
		ends.taken += counters->taken;
		ends.out[i] = counters->tx_frames;
		for (unsigned k = 0; k < PORT_DROP_COUNT; k++)
			*(k < PORT_DROP_FILTERED_OUT ? &ends.dropped_in : &ends.out[i]) +=
				counters->drops[k];
	}
	return ends;
}

static uint64_t station(unsigned number)
{
	return 0x020000000000 + number;
}

static uint64_t any_destination(struct lab *lab)
{
	switch (random_below(&lab->random, 8)) {
	case 0:
		return 0xffffffffffff;
	case 1:
		return 0x01005e000000 + random_below(&lab->random, 3);
	case 2:
		return random_below(&lab->random, 2)
			       ? 0x0180c200000e
			       : 0x0180c2000000 + random_below(&lab->random, 16);
	case 3:
		return station(1000 + (unsigned)random_below(&lab->random, 3));
	default:
		return station((unsigned)random_below(&lab->random, PORTS));
	}
}

static void put_address(uint8_t *at, uint64_t address)
{
	mac_to_bytes(address, at);
}

/* Tags, of one type or the other, cut short at times; an IPv4 header, or noise. */
static size_t make_frame(struct lab *lab, unsigned from, uint8_t *bytes)
{
	static const uint16_t types[] = { 0x0800, 0x88cc, 0x0806, 0x86dd, 0x0010 };
	static const size_t lengths[] = { 14, 15, 17, 18, 60, 64, 300, 1200, 1514, LONG };
	size_t length = lengths[random_below(&lab->random, ARRAY_SIZE(lengths))], at = 12;

	random_fill(&lab->random, bytes, length);
	put_address(bytes, any_destination(lab));
	put_address(bytes + 6,
		    random_below(&lab->random, 20) ? station(from) : any_destination(lab));
	for (unsigned tags = (unsigned)random_below(&lab->random, 3); tags && at + 6 < length;
	     tags--, at += 4)
		put_be32(bytes + at, (random_below(&lab->random, 3) ? 0x8100u : 0x88a8u) << 16 |
					     (uint32_t)random_below(&lab->random, 8) << 13 |
					     (uint32_t)random_below(&lab->random, 5) * 10);
	if (at + 2 <= length)
		put_be16(bytes + at, types[random_below(&lab->random, ARRAY_SIZE(types))]);
	if (at + 3 <= length)
		bytes[at + 2] = 0x45;
	return length;
}

/* A large TCP packet of 8 segments, asked to be cut; how many frames it is on a wire. */
static unsigned put_large(struct lab *lab, unsigned from)
{
	uint8_t bytes[54 + 8 * 100] = { 0 };
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .hdr_len = htole16(54),
					    .gso_size = htole16(100),
					    .csum_start = htole16(34),
					    .csum_offset = htole16(16) };

	put_address(bytes, any_destination(lab));
	put_address(bytes + 6, station(from));
	put_be16(bytes + 12, 0x0800);
	bytes[14] = 0x45;
	put_be16(bytes + 16, sizeof(bytes) - 14);
	bytes[23] = 6;
	bytes[46] = 0x50;
	fake_port_put(lab->ports[from], bytes, sizeof(bytes), &header);
	return 8;
}

static unsigned put_any(struct lab *lab, unsigned from)
{
	uint8_t bytes[LONG];
	size_t length;

	if (!random_below(&lab->random, 10))
		return put_large(lab, from);
	length = make_frame(lab, from, bytes);
	fake_port_put(lab->ports[from], bytes, length, NULL);
	return 1;
}

static void run(struct lab *lab)
{
	while (vswitch_round(lab->vswitch))
		;
	for (unsigned i = 0; i < PORTS; i++)
		fake_port_clear(lab->ports[i]);
}

/* Ports go down, come, and change what they carry now and then. */
static void disturb(struct lab *lab)
{
	struct port *port = &lab->ports[random_below(&lab->random, PORTS)]->port;

	if (!random_below(&lab->random, 100))
		port_set_up(port, !port->up);
	lab->clock += random_below(&lab->random, SECOND / 2000);
}

static void test_each_frame_ends_once(void)
{
	static struct lab lab;
	uint64_t seen_in[PORT_DROP_COUNT] = { 0 };
	unsigned kinds = 0;

	start(&lab);
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned from = (unsigned)random_below(&lab.random, PORTS), wire, outs = 0;
		struct ends before = ends_of(&lab), after;

		wire = put_any(&lab, from);
		run(&lab);
		after = ends_of(&lab);
		for (unsigned k = 0; k < PORTS; k++) {
			uint64_t out = after.out[k] - before.out[k];

			CU_ASSERT_TRUE(out == 0 || out == 1 || out == wire);
			CU_ASSERT_TRUE(k != from || !out);
			outs += out > 0;
		}
		CU_ASSERT_EQUAL(after.came - before.came, 1);
		CU_ASSERT_EQUAL((after.dropped_in - before.dropped_in) +
					(after.taken - before.taken) + (outs > 0),
				1);
		disturb(&lab);
	}
	/* Most of what can happen did. */
	for (unsigned i = 0; i < PORTS; i++)
		for (unsigned k = 0; k < PORT_DROP_COUNT; k++)
			seen_in[k] += lab.ports[i]->port.counters.drops[k];
	for (unsigned k = 0; k < PORT_DROP_COUNT; k++)
		kinds += seen_in[k] > 0;
	CU_ASSERT_TRUE(kinds >= 14);
	CU_ASSERT_TRUE(ends_of(&lab).taken > 20);
	vswitch_destroy(lab.vswitch);
}

/* In bursts: all that came ended, and nothing but what goes to one port or several is still open. */
static void test_bursts_add_up(void)
{
	static struct lab lab;
	struct ends ends;
	uint64_t flooded = 0, out = 0, went;

	start(&lab);
	for (unsigned i = 0; i < FRAMES / 100; i++) {
		for (unsigned from = 0; from < PORTS; from++)
			for (unsigned k = 0; k < 10; k++) {
				uint8_t bytes[LONG];
				size_t length = make_frame(&lab, from, bytes);

				fake_port_put(lab.ports[from], bytes, length, NULL);
			}
		run(&lab);
		disturb(&lab);
	}
	ends = ends_of(&lab);
	for (unsigned i = 0; i < PORTS; i++) {
		flooded += lab.ports[i]->port.counters.flooded;
		out += ends.out[i];
	}
	went = ends.came - ends.dropped_in - ends.taken;
	CU_ASSERT_EQUAL(ends.came, FRAMES / 100 * PORTS * 10);
	CU_ASSERT_TRUE(went >= flooded && out >= went && out <= went + flooded * (PORTS - 2));
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("how frames end", UNIT(test_each_frame_ends_once), UNIT(test_bursts_add_up))
