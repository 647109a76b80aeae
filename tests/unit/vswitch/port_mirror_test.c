/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: mirrors, and marks of rules. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL

/* So many ports send, each a burst: more than an egress_entry queue holds. */
#define CROSSED (EGRESS_ROOM / PORT_BURST + 2)

struct bed {
	struct vswitch *vswitch;
	struct fake_port *a, *b, *m;
};

static void bed_make(struct bed *bed)
{
	struct vswitch_options options = { .seed = 1 };

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&bed->vswitch, &options, NULL), 0);
	bed->a = fake_port_add(bed->vswitch, "a", 0);
	bed->b = fake_port_add(bed->vswitch, "b", 0);
	bed->m = fake_port_add(bed->vswitch, "m", 0);
}

static void bed_run(struct bed *bed)
{
	while (vswitch_round(bed->vswitch))
		;
}

static void set_words(struct bed *bed, const char *port, const char *words)
{
	struct port_config config = { 0 };
	char copy[64], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(bed->vswitch, port, &config, NULL), 0);
}

static int mirror(struct bed *bed, const char *name, const char *to, const char *source,
		  unsigned ways, struct error *error)
{
	struct port_mirror_options options = { .source_count = 1, .sources[0].ways = ways };

	strcpy(options.name, name);
	strcpy(options.to, to);
	strcpy(options.sources[0].port, source);
	return vswitch_add_mirror(bed->vswitch, &options, error);
}

static void test_in_and_out(void)
{
	struct vswitch_mirror_status *list;
	unsigned count;
	struct bed bed;

	bed_make(&bed);
	CU_ASSERT_EQUAL(mirror(&bed, "x", "m", "a", PORT_BOTH_WAYS, NULL), 0);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.b->out_count, 1);
	CU_ASSERT_EQUAL(bed.m->out_count, 1); /* the copy, and not the flooded one */
	fake_port_put_frame(bed.b, A, B, 200);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.a->out_count, 1);
	CU_ASSERT_EQUAL(bed.m->out_count, 2);
	CU_ASSERT_EQUAL(bed.m->out[1].length, 200);
	/* What it sends goes nowhere, and teaches nothing. */
	fake_port_put_frame(bed.m, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.m->port.counters.drops[PORT_DROP_MIRROR], 1);
	CU_ASSERT_EQUAL(bed.b->out_count, 1);
	fake_port_put_frame(bed.b, A, B, 200);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.a->out_count, 2);
	CU_ASSERT_EQUAL(vswitch_list_mirrors(bed.vswitch, &list, &count), 0);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(list[0].copies, 3);
	free(list);
	/* Removed, it is a port like others. */
	CU_ASSERT_EQUAL(vswitch_remove_mirror(bed.vswitch, "x", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_remove_mirror(bed.vswitch, "x", NULL), -ENOENT);
	fake_port_clear(bed.m);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.m->out_count, 1);
	vswitch_destroy(bed.vswitch);
}

static void test_no_loops(void)
{
	struct error error = { 0 };
	struct bed bed;

	bed_make(&bed);
	CU_ASSERT_EQUAL(mirror(&bed, "x", "a", "a", PORT_BOTH_WAYS, &error), -EINVAL);
	CU_ASSERT_EQUAL(mirror(&bed, "x", "m", "a", PORT_BOTH_WAYS, &error), 0);
	CU_ASSERT_EQUAL(mirror(&bed, "x", "m", "b", PORT_BOTH_WAYS, &error), -EEXIST);
	CU_ASSERT_EQUAL(mirror(&bed, "y", "b", "m", PORT_BOTH_WAYS, &error), -EINVAL);
	CU_ASSERT_EQUAL(mirror(&bed, "y", "a", "b", PORT_BOTH_WAYS, &error), -EINVAL);
	CU_ASSERT_EQUAL(mirror(&bed, "y", "z", "b", PORT_BOTH_WAYS, &error), -ENOENT);
	CU_ASSERT_EQUAL(mirror(&bed, "y", "m", "b", PORT_BOTH_WAYS, &error), 0);
	vswitch_destroy(bed.vswitch);
}

static void test_one_place(void)
{
	struct port_mirror_options options = { .name = "m", .to = "b", .to_vlan = 5 };
	struct error error = { 0 };
	struct bed bed;

	bed_make(&bed);
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "not to both (b, 5)"));
	CU_ASSERT_FALSE(bed.b->port.mirror_only);
	vswitch_destroy(bed.vswitch);
}

/* A mirror whose port comes next takes none that is there, not even until that is seen. */
static void test_its_own_port(void)
{
	struct port_mirror_options options = { .name = "b",
					       .to = "b",
					       .makes = true,
					       .source_count = 1,
					       .sources[0] = { .port = "a",
							       .ways = PORT_BOTH_WAYS } };
	struct error error = { 0 };
	struct bed bed;

	bed_make(&bed);
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, &error), -EEXIST);
	CU_ASSERT_STRING_EQUAL(
		error.text, "switch switch: mirror b: port b: there is one of that name already");
	CU_ASSERT_FALSE(bed.b->port.mirror_only);
	CU_ASSERT_EQUAL(vswitch_remove_port(bed.vswitch, "b", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, &error), 0);
	CU_ASSERT_TRUE(fake_port_add(bed.vswitch, "b", 0)->port.mirror_only);
	vswitch_destroy(bed.vswitch);
}

/* More copies than a round's room, of a source after the mirror's turn and before it; a slow one drops only its own. */
static void test_many(void)
{
	struct bed bed;

	bed_make(&bed);
	CU_ASSERT_EQUAL(mirror(&bed, "x", "m", "a", PORT_BOTH_WAYS, NULL), 0);
	CU_ASSERT_EQUAL(mirror(&bed, "y", "m", "b", PORT_WAY(PORT_OUT), NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		fake_port_put_frame(bed.a, BROADCAST, A, 100);
		fake_port_put_frame(bed.b, BROADCAST, B, 1514);
	}
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.a->out_count, 100);
	CU_ASSERT_EQUAL(bed.b->out_count, 100);
	CU_ASSERT_EQUAL(bed.m->out_count, 300);
	CU_ASSERT_EQUAL(vswitch_remove_port(bed.vswitch, "m", NULL), 0);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.b->out_count, 101);
	bed.m = fake_port_add(bed.vswitch, "m", 0);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.m->out_count, 2);
	vswitch_destroy(bed.vswitch);
}

/* Into a VLAN, of VLANs; and over a link that is bad. */
static void test_vlans(void)
{
	struct port_mirror_options options = { .name = "x", .to_vlan = 99, .some_vlans = true };
	struct link_model model = { .duplicate = LINK_ALWAYS };
	struct bed bed;

	bed_make(&bed);
	set_words(&bed, "m", "trunk=99");
	set_words(&bed, "a", "vlan=10");
	set_words(&bed, "b", "trunk=10+20");
	options.vlans[0] = 1ULL << 10;
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, NULL), 0);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL_FATAL(bed.m->out_count, 1);
	CU_ASSERT_EQUAL(bed.m->out[0].length, 104);
	CU_ASSERT_EQUAL(memcmp(bed.m->out[0].bytes + 12, "\x81\x00\x00\x63", 4), 0);
	/* b's are tagged: the tag is replaced. */
	fake_port_put(bed.b, bed.b->out[0].bytes, bed.b->out[0].length, NULL);
	bed_run(&bed);
	CU_ASSERT_EQUAL_FATAL(bed.m->out_count, 2);
	CU_ASSERT_EQUAL(bed.m->out[1].length, 104);
	CU_ASSERT_EQUAL(memcmp(bed.m->out[1].bytes + 12, "\x81\x00\x00\x63", 4), 0);
	set_words(&bed, "a", "vlan=20");
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.m->out_count, 2);
	CU_ASSERT_EQUAL(vswitch_remove_mirror(bed.vswitch, "x", NULL), 0);
	set_words(&bed, "m", "vlan=none");
	CU_ASSERT_EQUAL(mirror(&bed, "x", "m", "a", PORT_WAY(PORT_IN), NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_link(bed.vswitch, "m", LINK_OUT, &model, NULL), 0);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.m->out_count, 4);
	vswitch_destroy(bed.vswitch);
}

/* What is in the VLAN of the copies already is another switch's copy: it would go in circles between two such. */
static void test_copies_of_others(void)
{
	struct port_mirror_options options = { .name = "x", .to_vlan = 99 };
	uint8_t tagged[64] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xa1\x81\0\0\x63\x88\xb5";
	struct bed bed;

	bed_make(&bed);
	set_words(&bed, "a", "trunk=10+99");
	set_words(&bed, "b", "trunk=10+99");
	set_words(&bed, "m", "trunk=99");
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, NULL), 0);
	fake_port_put(bed.a, tagged, sizeof(tagged), NULL);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.b->out_count, 1);
	CU_ASSERT_EQUAL(bed.m->out_count, 1);
	tagged[15] = 10;
	fake_port_put(bed.a, tagged, sizeof(tagged), NULL);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.b->out_count, 3);
	CU_ASSERT_EQUAL(bed.m->out_count, 2);
	vswitch_destroy(bed.vswitch);
}

/* A customer's port in the VLAN of copies that is for some of his VLANs gets what is in them. */
static void test_some_customers_vlans(void)
{
	struct port_mirror_options options = { .name = "x", .to_vlan = 99 };
	uint8_t frame[64] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xa1\x81\0\0\x07\x88\xb5";
	struct bed bed;

	bed_make(&bed);
	set_words(&bed, "a", "dot1q-tunnel=10");
	set_words(&bed, "b", "tag-type=802.1ad,trunk=10");
	set_words(&bed, "m", "dot1q-tunnel=99,cvlans=7");
	options.source_count = 1;
	strcpy(options.sources[0].port, "a");
	options.sources[0].ways = PORT_WAY(PORT_IN);
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, NULL), 0);
	for (unsigned vlan = 7; vlan <= 8; vlan++) {
		frame[15] = (uint8_t)vlan;
		fake_port_put(bed.a, frame, sizeof(frame), NULL);
		bed_run(&bed);
		CU_ASSERT_EQUAL(bed.b->out_count, vlan - 6);
		CU_ASSERT_EQUAL(bed.m->out_count, 1);
	}
	/* What has a tag of the switch's, too. */
	CU_ASSERT_EQUAL(vswitch_remove_mirror(bed.vswitch, "x", NULL), 0);
	strcpy(options.sources[0].port, "b");
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		fake_port_put(bed.b, bed.b->out[i].bytes, bed.b->out[i].length, NULL);
		bed_run(&bed);
		CU_ASSERT_EQUAL(bed.a->out_count, i + 1);
		CU_ASSERT_EQUAL(bed.m->out_count, 2);
	}
	CU_ASSERT_EQUAL(memcmp(bed.m->out[1].bytes, bed.a->out[0].bytes, 64), 0);
	vswitch_destroy(bed.vswitch);
}

static uint64_t handed_to(const struct fake_port *fake)
{
	return fake->port.counters.tx_frames + fake->port.counters.drops[PORT_DROP_NO_BUFFER];
}

/* Two ports that look at each other's copies, by a VLAN that both carry, and more frames in a round than fit. */
static void test_crossed_vlans(void)
{
	struct port_mirror_options options = { .name = "x", .to_vlan = 99, .source_count = 2 };
	char name[PORT_NAME_MAX];
	struct bed bed;

	bed_make(&bed);
	set_words(&bed, "a", "trunk=10+99");
	set_words(&bed, "b", "trunk=10+99");
	for (unsigned i = 0; i < 2; i++) {
		strcpy(options.sources[i].port, i ? "b" : "a");
		options.sources[i].ways = PORT_WAY(PORT_OUT);
	}
	CU_ASSERT_EQUAL(vswitch_add_mirror(bed.vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < CROSSED; i++) {
		struct fake_port *port;

		snprintf(name, sizeof(name), "s%u", i);
		port = fake_port_add(bed.vswitch, name, 0);
		set_words(&bed, name, "vlan=10");
		for (unsigned k = 0; k < PORT_BURST; k++)
			fake_port_put_frame(port, BROADCAST, A + i, 100);
	}
	bed_run(&bed);
	/* Not all of them fit into what the port keeps. */
	CU_ASSERT_EQUAL(handed_to(bed.a), 2 * CROSSED * PORT_BURST);
	CU_ASSERT_EQUAL(handed_to(bed.b), 2 * CROSSED * PORT_BURST);
	vswitch_destroy(bed.vswitch);
}

static int add_rule(struct bed *bed, const char *port, enum port_way way, const char *expression,
		    const char *action, struct error *error)
{
	struct filter_program *program;

	CU_ASSERT_EQUAL_FATAL(filter_program_compile(&program, expression, error), 0);
	return vswitch_add_rule(bed->vswitch, port, way, 0, program, action, error);
}

static bool header_is_right(const uint8_t *ip)
{
	return virtio_net_fold(virtio_net_sum(0, ip, 20)) == 0xffff;
}

static void test_rules(void)
{
	uint8_t ip[60] =
		"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xa1\x08\0\x45\x01\0\x2e\0\0\0\0\x40\x11";
	uint8_t ip6[74] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xa1\x86\xdd\x60\x1a\xbc\xde";
	uint8_t tagged[64] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xa1\x81\0\x00\x0a\x88\xb5";
	struct error error = { 0 };
	uint16_t sum;
	struct bed bed;

	memcpy(ip + 26, "\x0a\0\0\1\x0a\0\0\2", 8);
	sum = (uint16_t)~virtio_net_fold(virtio_net_sum(0, ip + 14, 20));
	memcpy(ip + 24, &sum, 2);
	bed_make(&bed);
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "ip", "mark=dscp:46,rate=1000p", &error), 0);
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "ip6", "mark=dscp:46,mirror=m", &error), 0);
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "vlan 10", "mark=pcp:5", &error), 0);
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "", "drop,mirror=m", &error), 0);
	fake_port_put(bed.a, ip, sizeof(ip), NULL);
	fake_port_put(bed.a, ip6, sizeof(ip6), NULL);
	fake_port_put(bed.a, tagged, sizeof(tagged), NULL);
	fake_port_put_frame(bed.a, B, A, 77);
	bed_run(&bed);
	CU_ASSERT_EQUAL_FATAL(bed.b->out_count, 3);
	/* Explicit congestion notification stays. */
	CU_ASSERT_EQUAL(bed.b->out[0].bytes[15], 46 << 2 | 1);
	CU_ASSERT_TRUE(header_is_right(bed.b->out[0].bytes + 14));
	CU_ASSERT_EQUAL(memcmp(bed.b->out[1].bytes + 14, "\x6b\x9a\xbc\xde", 4), 0);
	CU_ASSERT_EQUAL(memcmp(bed.b->out[2].bytes + 12, "\x81\0\xa0\x0a", 4), 0);
	/* m got all of those, and two copies as they came. */
	CU_ASSERT_EQUAL(bed.m->out_count, 5);
	CU_ASSERT_EQUAL(bed.a->port.counters.drops[PORT_DROP_FILTERED], 1);
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_OUT, "", "mark=pcp:1", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(error.text, "port a: action \"mark=pcp:1\": mark= is for what comes in"));
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_OUT, "", "drop,mirror=m", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		error.text, "port a: action \"drop,mirror=m\": mirror= is for what comes in"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "switch mirror"));
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "", "mirror=a", &error), -EINVAL);
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "", "mirror=z", &error), -ENOENT);
	/* Who gets the copies goes. */
	CU_ASSERT_EQUAL(vswitch_remove_port(bed.vswitch, "m", NULL), 0);
	fake_port_put(bed.a, ip6, sizeof(ip6), NULL);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.b->out_count, 4);
	vswitch_destroy(bed.vswitch);
}

/* A tag is no part of what a port takes, in a copy either. */
static void test_full_size(void)
{
	uint8_t tagged[1518] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xa1\x81\0\x00\x0a\x88\xb5";
	struct bed bed;

	bed_make(&bed);
	set_words(&bed, "b", "vlan=20");
	bed.m->port.frame_max = 1514;
	CU_ASSERT_EQUAL(add_rule(&bed, "a", PORT_IN, "", "drop,mirror=m", NULL), 0);
	fake_port_put(bed.a, tagged, sizeof(tagged), NULL);
	fake_port_put_frame(bed.a, BROADCAST, A, 1515);
	bed_run(&bed);
	CU_ASSERT_EQUAL_FATAL(bed.m->out_count, 1);
	CU_ASSERT_EQUAL(bed.m->out[0].length, 1518);
	CU_ASSERT_EQUAL(bed.m->port.counters.drops[PORT_DROP_TOO_LONG], 1);
	vswitch_destroy(bed.vswitch);
}

static void test_words(void)
{
	static const char *const bad[] = { "mark=",         "mark=dscp:64", "mark=pcp:8",
					   "mark=5",        "mirror=",      "drop,allow",
					   "drop,rate=1M",  "allow,",       "rate=10",
					   "rate=1000/50p", "rate=1M/100",  "drop,mark=pcp:1" };
	struct filter_action action;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(filter_action_parse(&action, bad[i], NULL), -EINVAL);
	CU_ASSERT_EQUAL(filter_action_parse(&action, "rate=500bit/2Kbit", NULL), 0);
	CU_ASSERT_EQUAL(action.police.rate, 500);
	CU_ASSERT_EQUAL(action.police.burst, 2000);
	CU_ASSERT_FALSE(action.police.packets);
	CU_ASSERT_EQUAL(filter_action_parse(&action, "allow,mirror=m", NULL), 0);
}

UNIT_MAIN("mirrors", UNIT(test_in_and_out), UNIT(test_no_loops), UNIT(test_one_place),
	  UNIT(test_its_own_port), UNIT(test_many), UNIT(test_vlans), UNIT(test_copies_of_others),
	  UNIT(test_some_customers_vlans), UNIT(test_crossed_vlans), UNIT(test_rules),
	  UNIT(test_full_size), UNIT(test_words))
