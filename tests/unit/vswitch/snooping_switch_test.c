/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: snooping in a switch: whose frames are taken, and where frames of groups go; and its settings in words. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "fake_port.h"
#include "group_frames.h"
#include "util/error.h"
#include "vswitch/filter_program.h"
#include "vswitch/internal.h"
#include "vswitch/snooping_protocol.h"
#include "vswitch/snooping_words.h"
#include "vswitch/stp.h"

#define SECOND 1000000000ULL
#define G      0xef010203u
#define HOST   0x0a000009u

struct lab {
	struct vswitch *vswitch;
	uint64_t clock;
	struct fake_port *ports[4];
};

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static void set(struct lab *lab, const char *port, const char *word)
{
	struct error error = { 0 };

	CU_ASSERT_EQUAL(vswitch_set_snooping(lab->vswitch, port, &word, 1, &error), 0);
}

static void rounds(struct lab *lab)
{
	while (vswitch_round(lab->vswitch))
		;
}

static void pass(struct lab *lab, uint64_t time)
{
	uint64_t until = lab->clock + time;

	while (vswitch_next_timer(lab->vswitch) <= until) {
		lab->clock = vswitch_next_timer(lab->vswitch);
		rounds(lab);
	}
	lab->clock = until;
	rounds(lab);
}

static void clear(struct lab *lab)
{
	for (unsigned i = 0; i < ARRAY_SIZE(lab->ports); i++)
		fake_port_clear(lab->ports[i]);
}

/* Four ports of a switch that is the querier, and knows by now what there is. */
static void start(struct lab *lab, unsigned threads)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = &lab->clock, .threads = threads
	};
	static const char *const names[] = { "a", "b", "c", "d" };
	const char *const words[] = { "igmp=on", "mld=on", "querier=on", "unknown=drop" };

	lab->clock = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		lab->ports[i] = fake_port_add(lab->vswitch, names[i], 0);
	rounds(lab);
	CU_ASSERT_EQUAL(vswitch_set_snooping(lab->vswitch, NULL, words, 4, NULL), 0);
	pass(lab, 200 * SECOND);
	clear(lab);
}

static void put(struct lab *lab, unsigned port, const struct group_frame *frame)
{
	fake_port_put(lab->ports[port], frame->bytes, frame->length, NULL);
	rounds(lab);
}

static void put_tagged(struct lab *lab, unsigned port, const struct group_frame *frame,
		       uint16_t vlan)
{
	struct group_frame tagged = *frame;

	memmove(tagged.bytes + 16, frame->bytes + 12, frame->length - 12);
	put_be16(tagged.bytes + 12, 0x8100);
	put_be16(tagged.bytes + 14, vlan);
	tagged.length += 4;
	put(lab, port, &tagged);
}

static void data(struct group_frame *frame)
{
	group_frame_igmp_plain(frame, HOST, G, 0x12, 0, G);
	frame->bytes[frame->ip + 9] = 17;
}

/* How many frames each port got: as digits. */
static unsigned got(struct lab *lab)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < 4; i++)
		sum = sum * 10 + lab->ports[i]->out_count;
	clear(lab);
	return sum;
}

static void test_where_frames_go(void)
{
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		struct lab lab;
		struct group_frame report, frame;

		start(&lab, threads);
		data(&frame);
		put(&lab, 0, &frame);
		CU_ASSERT_EQUAL(got(&lab), 0);
		CU_ASSERT_EQUAL(lab.ports[0]->port.counters.drops[PORT_DROP_NO_MEMBER], 1);
		group_frame_igmp_record(&report, HOST, GROUP_TO_EXCLUDE, G, 0);
		put(&lab, 1, &report);
		put(&lab, 2, &report);
		CU_ASSERT_EQUAL(got(&lab), 0);
		put(&lab, 0, &frame);
		CU_ASSERT_EQUAL(got(&lab), 110);
		put(&lab, 1, &frame); /* not back to where it came from */
		CU_ASSERT_EQUAL(got(&lab), 10);
		/* A router, which hears reports and gets all. */
		set(&lab, "d", "router=always");
		put(&lab, 1, &report);
		CU_ASSERT_EQUAL(got(&lab), 1);
		put(&lab, 0, &frame);
		CU_ASSERT_EQUAL(got(&lab), 111);
		/* Of another VLAN nothing is known, and all is flooded. */
		put_tagged(&lab, 0, &frame, 7);
		CU_ASSERT_EQUAL(got(&lab), 111);
		vswitch_destroy(lab.vswitch);
	}
}

static void test_vlans_isolation_and_ports(void)
{
	struct port_config access = { .vlan = { .kind = VLAN_PORT_ACCESS, .untagged = 7 } };
	struct port_config apart = { .isolation = 3 };
	struct lab lab;
	struct group_frame report, frame;

	start(&lab, 1);
	data(&frame);
	group_frame_igmp_record(&report, HOST, GROUP_TO_EXCLUDE, G, 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "b", &access, NULL), 0);
	pass(&lab, 200 * SECOND);
	clear(&lab);
	/* The query in that VLAN went to the access port without its tag, and tagged to the others; so does what is sent. */
	put(&lab, 1, &report);
	put_tagged(&lab, 0, &report, 7);
	put_tagged(&lab, 2, &frame, 7);
	CU_ASSERT_EQUAL_FATAL(lab.ports[0]->out_count, 1);
	CU_ASSERT_EQUAL_FATAL(lab.ports[1]->out_count, 1);
	CU_ASSERT_EQUAL(get_be32(lab.ports[0]->out[0].bytes + 12), 0x81000007);
	CU_ASSERT_EQUAL(get_be16(lab.ports[1]->out[0].bytes + 12), 0x0800);
	clear(&lab);
	/* The group has a member in that VLAN, none without one. */
	put(&lab, 2, &frame);
	CU_ASSERT_EQUAL(got(&lab), 0);
	put(&lab, 0, &report);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &apart, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "c", &apart, NULL), 0);
	put(&lab, 0, &report);
	pass(&lab, 20 * SECOND);
	clear(&lab);
	put(&lab, 2, &frame);
	put(&lab, 3, &frame);
	CU_ASSERT_EQUAL(got(&lab), 1000);
	/* A member that goes is none, and another in its slot neither. */
	port_set_up(&lab.ports[0]->port, false);
	rounds(&lab);
	port_set_up(&lab.ports[0]->port, true);
	rounds(&lab);
	CU_ASSERT_EQUAL(got(&lab), 4000); /* asked, by IPv4 and IPv6, in two VLANs */
	pass(&lab, 20 * SECOND);
	clear(&lab);
	put(&lab, 3, &frame);
	CU_ASSERT_EQUAL(got(&lab), 0);
	put(&lab, 0, &report);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "a", NULL), 0);
	lab.ports[0] = fake_port_add(lab.vswitch, "e", 0);
	rounds(&lab);
	pass(&lab, 20 * SECOND);
	clear(&lab);
	put(&lab, 3, &frame);
	CU_ASSERT_EQUAL(got(&lab), 0);
	/* A topology that changed. */
	put(&lab, 2, &report);
	snooping_topology_change(lab.vswitch);
	clear(&lab);
	put(&lab, 3, &frame);
	CU_ASSERT_EQUAL(got(&lab), 1010);
	/* Off again: as if it had never been. */
	set(&lab, NULL, "igmp=off");
	set(&lab, NULL, "mld=off");
	CU_ASSERT_PTR_NULL(lab.vswitch->groups);
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), TIMER_NEVER);
	put(&lab, 3, &report);
	CU_ASSERT_EQUAL(got(&lab), 1010);
	vswitch_destroy(lab.vswitch);
}

/* What snooping passes on and sends keeps out where forwarding does: of the other side of a partition, of a mirror's port. */
static void test_partitions_and_mirrors(void)
{
	struct port_mirror_options mirror = { .name = "m", .to = "d", .source_count = 1 };
	struct group_frame report;
	struct lab lab;

	start(&lab, 1);
	set(&lab, "b", "router=always");
	set(&lab, "c", "router=always");
	group_frame_igmp_record(&report, HOST, GROUP_TO_EXCLUDE, G, 0);
	put(&lab, 0, &report);
	CU_ASSERT_EQUAL(got(&lab), 110);
	CU_ASSERT_EQUAL_FATAL(vswitch_start_schedule(lab.vswitch, "a", "s",
						     "at 0s\npartition a,b c\n", NULL, false, NULL),
			      0);
	pass(&lab, SECOND);
	put(&lab, 0, &report);
	CU_ASSERT_EQUAL(got(&lab), 100);
	CU_ASSERT_EQUAL(vswitch_end_schedule(lab.vswitch, "a", NULL), 0);
	/* Our own queries go to all but it, and router or not, it hears no reports. */
	strcpy(mirror.sources[0].port, "b");
	mirror.sources[0].ways = PORT_WAY(PORT_IN);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_mirror(lab.vswitch, &mirror, NULL), 0);
	set(&lab, "d", "router=always");
	clear(&lab);
	snooping_topology_change(lab.vswitch);
	CU_ASSERT_EQUAL(got(&lab), 2220);
	put(&lab, 0, &report);
	CU_ASSERT_EQUAL(got(&lab), 110);
	vswitch_destroy(lab.vswitch);
}

/* Queries of a port that others are kept from: it asks them in nobody's place, and their memberships go on. */
static void test_queries_that_not_all_hear(void)
{
	static const uint32_t asked[] = { 0, G };
	struct port_config apart = { .isolation = 3 };
	struct group_frame report, frame, query;
	struct lab lab;

	start(&lab, 1);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &apart, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "b", &apart, NULL), 0);
	data(&frame);
	group_frame_igmp_record(&report, HOST, GROUP_TO_EXCLUDE, G, 0);
	put(&lab, 0, &report);
	for (unsigned i = 0; i < ARRAY_SIZE(asked); i++) {
		group_frame_igmp_plain(&query, 1, asked[i] ? G : 0xe0000001, 0x11, 1, asked[i]);
		put(&lab, 1, &query);
	}
	clear(&lab);
	pass(&lab, 30 * SECOND);
	put(&lab, 3, &frame);
	/* To the host, and to who may have groups behind it as it asks. */
	CU_ASSERT_EQUAL(got(&lab), 1100);
	/* Ours go on. */
	pass(&lab, 120 * SECOND);
	CU_ASSERT_TRUE(got(&lab) >= 1000);
	vswitch_destroy(lab.vswitch);
}

/* What is passed on has the priority that its tag had, drop eligible or not, and what a rule marks; a tag of no VLAN stays, too. */
static void test_priorities(void)
{
	static const struct {
		uint16_t in, out;
	} tags[] = { { 0xb007, 0xb007 }, { 0x6000, 0x6000 }, { 0x0007, 0x0007 } };
	struct group_frame report, query;
	struct filter_program *all;
	struct lab lab;

	start(&lab, 1);
	set(&lab, "b", "router=always");
	group_frame_igmp_record(&report, HOST, GROUP_TO_EXCLUDE, G, 0);
	put_tagged(&lab, 0, &report, 7); /* the switch asks in that VLAN from now on */
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		clear(&lab);
		put_tagged(&lab, 0, &report, tags[i].in);
		CU_ASSERT_EQUAL_FATAL(lab.ports[1]->out_count, 1);
		CU_ASSERT_EQUAL(get_be32(lab.ports[1]->out[0].bytes + 12),
				0x81000000 | tags[i].out);
		CU_ASSERT_EQUAL(lab.ports[1]->out[0].length, MAX(report.length + 4, (size_t)60));
		CU_ASSERT_EQUAL(memcmp(lab.ports[1]->out[0].bytes + 16, report.bytes + 12,
				       report.length - 12),
				0);
	}
	group_frame_igmp_plain(&query, 0x0a000001, 0xe0000001, 0x11, 100, 0);
	clear(&lab);
	put_tagged(&lab, 3, &query, 0xe007);
	CU_ASSERT_EQUAL_FATAL(lab.ports[2]->out_count, 1);
	CU_ASSERT_EQUAL(get_be32(lab.ports[2]->out[0].bytes + 12), 0x8100e007);
	CU_ASSERT_EQUAL_FATAL(filter_program_compile(&all, "", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(
		vswitch_add_rule(lab.vswitch, "a", PORT_IN, 0, all, "mark=pcp:3", NULL), 0);
	clear(&lab);
	put_tagged(&lab, 0, &report, 0xe007);
	CU_ASSERT_EQUAL_FATAL(lab.ports[1]->out_count, 1);
	CU_ASSERT_EQUAL(get_be32(lab.ports[1]->out[0].bytes + 12), 0x81006007);
	vswitch_destroy(lab.vswitch);
}

/* A checksum that the sender left open is finished before it is looked at. */
static void test_an_open_checksum(void)
{
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .csum_start = 62,
					    .csum_offset = 2 };
	CLEANUP(cleanup_snooping_status) struct vswitch_snooping_status *status = NULL;
	struct group_frame report;
	struct lab lab;
	uint16_t sum;

	start(&lab, 1);
	group_frame_mld_record(&report, 9, GROUP_TO_EXCLUDE, 5, 0);
	/* What a driver leaves there: the sum of the pseudo header. */
	sum = (uint16_t)~group_frame_sum(58 + (uint32_t)(report.length - 62), report.bytes + 22,
					 32);
	put_be16(report.bytes + 64, sum);
	fake_port_put(lab.ports[1], report.bytes, report.length, &header);
	rounds(&lab);
	CU_ASSERT_EQUAL_FATAL(vswitch_snooping_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->counters.bad, 0);
	CU_ASSERT_EQUAL_FATAL(status->member_count, 1);
	CU_ASSERT_EQUAL(status->members[0].port, 1);
	vswitch_destroy(lab.vswitch);
}

static void test_words(void)
{
	static const char *const good[] = { "igmp=on",
					    "mld=off",
					    "unknown=drop",
					    "robustness=7",
					    "query-interval=31744",
					    "last-member-interval=1",
					    "address=10.0.0.1",
					    "address=0.0.0.0",
					    "mld-address=fe80::1",
					    "mld-address=none",
					    "groups=65536",
					    "igmp-version=2",
					    "mld-version=1" };
	static const char *const bad[] = { "",
					   "igmp",
					   "igmp=",
					   "igmp=yes",
					   "robustness=0",
					   "robustness=8",
					   "query-interval=0",
					   "query-interval=31745",
					   "address=224.0.0.1",
					   "address=1.2.3",
					   "address=255.255.255.255",
					   "mld-address=ff02::1",
					   "groups=0",
					   "groups=65537",
					   "igmp-version=1",
					   "mld-version=3",
					   "what=1" };
	static const char *const good_port[] = { "router=auto",   "router=always", "router=never",
						 "fast-leave=on", "groups=none",   "groups=5" };
	static const char *const bad_port[] = { "router=yes", "fast-leave=1", "groups=0",
						"igmp=on" };
	struct snooping_port_settings port = { 0 };
	struct snooping_settings settings;
	const char *const half[] = { "robustness=3", "what=1" };
	struct error error = { 0 };
	struct lab lab;

	snooping_settings_init(&settings);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CU_ASSERT_EQUAL(snooping_settings_set(&settings, good[i], &error), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(snooping_settings_set(&settings, bad[i], &error), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(good_port); i++)
		CU_ASSERT_EQUAL(snooping_port_settings_set(&port, good_port[i], &error), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad_port); i++)
		CU_ASSERT_EQUAL(snooping_port_settings_set(&port, bad_port[i], &error), -EINVAL);
	CU_ASSERT_EQUAL(settings.robustness, 7);
	CU_ASSERT_EQUAL(settings.query_interval, 31744 * SECOND);
	CU_ASSERT_EQUAL(port.groups, 5);
	/* All or none. */
	start(&lab, 1);
	CU_ASSERT_EQUAL(vswitch_set_snooping(lab.vswitch, NULL, half, 2, &error), -EINVAL);
	CU_ASSERT_EQUAL(vswitch_set_snooping(lab.vswitch, "z", half, 1, &error), -ENOENT);
	{
		CLEANUP(cleanup_snooping_status) struct vswitch_snooping_status *status = NULL;

		CU_ASSERT_EQUAL_FATAL(vswitch_snooping_status(lab.vswitch, &status), 0);
		CU_ASSERT_EQUAL(status->settings.robustness, 2);
		CU_ASSERT_TRUE(status->settings.igmp);
	}
	vswitch_destroy(lab.vswitch);
}

/* Frames for snooping and a spanning tree come at ports of several threads while all of that is looked at and changed. */
static void put_many(struct fake_port *port)
{
	static const uint8_t tcn[60] = { 1, 0x80, 0xc2, 0,    0,    0, 2, 0, 0, 0,   0,
					 9, 0,    7,    0x42, 0x42, 3, 0, 0, 0, 0x80 };
	struct group_frame report, frame, leave;

	data(&frame);
	group_frame_igmp_record(&report, HOST, GROUP_TO_EXCLUDE, G, 0);
	group_frame_igmp_record(&leave, HOST, GROUP_TO_INCLUDE, G, 0);
	for (unsigned i = 0; i < 400; i++) {
		const struct group_frame *one = i % 3 == 0 ? &report : i % 3 == 1 ? &frame : &leave;

		if (i == 300)
			fake_port_put(port, tcn, sizeof(tcn), NULL);
		fake_port_put(port, one->bytes, one->length, NULL);
	}
}

static void test_threads(void)
{
	static const char *const words[] = { "igmp=on", "mld=on", "querier=on", "unknown=drop" };
	struct vswitch_options options = { .seed = 1, .threads = 3 };
	struct port_config config = { 0 };
	struct rstp_config tree = rstp_config_default();
	struct fake_port *ports[4];
	struct vswitch *vswitch;
	uint64_t reports = 0;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	CU_ASSERT_EQUAL(port_config_set(&config, "stp-edge=yes", NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		ports[i] = fake_port_add(vswitch, (char[]){ (char)('a' + i), '\0' }, 0);
		CU_ASSERT_EQUAL(vswitch_set_port(vswitch, ports[i]->port.name, &config, NULL), 0);
	}
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_snooping(vswitch, NULL, words, 4, NULL), 0);
	while (vswitch_next_timer(vswitch) == 0) /* ports are told of, and forward */
		vswitch_round(vswitch);
	for (unsigned i = 0; i < 4; i++)
		put_many(ports[i]);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned i = 0; i < 30 || !reports; i++) {
		CLEANUP(cleanup_snooping_status) struct vswitch_snooping_status *status = NULL;
		const char *const word = i % 2 ? "fast-leave=on" : "fast-leave=off";

		CU_ASSERT_EQUAL(vswitch_set_snooping(vswitch, "b", &word, 1, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(vswitch_snooping_status(vswitch, &status), 0);
		reports = status->counters.reports[0];
		if (i == 10)
			CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "d", NULL), 0);
		if (i == 20)
			CU_ASSERT_EQUAL(vswitch_stop_stp(vswitch, NULL), 0);
	}
	vswitch_stop(vswitch);
	vswitch_destroy(vswitch);
}

UNIT_MAIN("snooping in a switch", UNIT(test_where_frames_go), UNIT(test_vlans_isolation_and_ports),
	  UNIT(test_partitions_and_mirrors), UNIT(test_queries_that_not_all_hear),
	  UNIT(test_priorities), UNIT(test_an_open_checksum), UNIT(test_words), UNIT(test_threads))
