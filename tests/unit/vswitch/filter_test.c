/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/filter, police, checkpoint: rules of ports, in virtual time; where each frame ended is counted. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL
#define SECOND    1000000000ULL

static uint64_t clock_value;

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

struct lab {
	struct vswitch *vswitch;
	struct fake_port *a, *b, *c;
};

static struct lab make_lab(void)
{
	struct vswitch_options options = { .seed = 1,
					   .clock = test_clock,
					   .clock_arg = &clock_value };
	struct lab lab;

	clock_value = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	lab.a = fake_port_add(lab.vswitch, "a", 0);
	lab.b = fake_port_add(lab.vswitch, "b", 0);
	lab.c = fake_port_add(lab.vswitch, "c", 0);
	return lab;
}

static uint64_t drops(const struct fake_port *fake, enum port_drop why)
{
	return fake->port.counters.drops[why];
}

static int add_rule(struct lab *lab, const char *port, enum port_way way, unsigned position,
		    const char *expression, const char *action)
{
	struct filter_program *program = NULL;
	struct error error = { 0 };
	int rc = filter_program_compile(&program, expression, &error);

	return rc ? rc
		  : vswitch_add_rule(lab->vswitch, port, way, position, program, action, &error);
}

/* A UDP datagram from A to everybody, with so many bytes of options in its IP header. */
static void put_udp(struct fake_port *fake, unsigned options, uint16_t port, size_t length)
{
	uint8_t bytes[2048] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xa1, 8, 0 };
	size_t header = 20 + options;

	bytes[14] = (uint8_t)(0x40 | header / 4);
	put_be16(bytes + 16, (uint16_t)(length - 14));
	bytes[23] = 17;
	put_be16(bytes + 14 + header + 2, port);
	fake_port_put(fake, bytes, length, NULL);
}

static void test_the_first_match_decides(void)
{
	struct vswitch_rule_status *rules;
	struct lab lab = make_lab();
	unsigned count;

	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "udp", "drop"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 1, "udp port 53", "allow"), 0);
	put_udp(lab.a, 0, 53, 60);
	put_udp(lab.a, 0, 54, 60);
	fake_port_put_frame(lab.a, BROADCAST, A, 60);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 2);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_FILTERED), 1);
	CU_ASSERT_EQUAL(vswitch_list_rules(lab.vswitch, &rules, &count), 0);
	CU_ASSERT_EQUAL_FATAL(count, 2);
	CU_ASSERT_STRING_EQUAL(rules[0].expression, "udp port 53");
	CU_ASSERT_EQUAL(rules[0].frames, 1);
	CU_ASSERT_EQUAL(rules[0].dropped, 0);
	CU_ASSERT_EQUAL(rules[1].frames, 1);
	CU_ASSERT_EQUAL(rules[1].dropped, 1);
	free(rules);
	CU_ASSERT_EQUAL(vswitch_remove_rule(lab.vswitch, "a", PORT_IN, 2, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_remove_rule(lab.vswitch, "a", PORT_IN, 2, NULL), -ENOENT);
	put_udp(lab.a, 0, 54, 60);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 3);
	vswitch_destroy(lab.vswitch);
}

/* A rule of one port of a flood leaves the others alone; an address that is dropped is not learned. */
static void test_out_and_in(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct lab lab = make_lab();

	CU_ASSERT_EQUAL(add_rule(&lab, "b", PORT_OUT, 0, "ether proto 0x88b5", "drop"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "c", PORT_IN, 0, "", "drop"), 0);
	for (unsigned i = 0; i < 40; i++)
		fake_port_put_frame(lab.a, BROADCAST, A, 60);
	fake_port_put_frame(lab.c, BROADCAST, B, 60);
	while (vswitch_round(lab.vswitch))
		;
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	CU_ASSERT_EQUAL(lab.c->out_count, 40);
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_FILTERED_OUT), 40);
	CU_ASSERT_EQUAL(drops(lab.c, PORT_DROP_FILTERED), 1);
	CU_ASSERT_EQUAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->address_count, 1);
	vswitch_destroy(lab.vswitch);
}

/* Frames that are made on the way, and then dropped, do not use up the room for those. */
static void test_many_made_frames_are_dropped(void)
{
	struct port_config access = { .vlan = { .kind = VLAN_PORT_ACCESS, .untagged = 7 } };
	struct lab lab = make_lab();

	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &access, NULL), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "b", PORT_OUT, 0, "vlan 7", "drop"), 0);
	for (unsigned i = 0; i < 500; i++)
		fake_port_put_frame(lab.a, BROADCAST, A, 60);
	while (vswitch_round(lab.vswitch))
		;
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_FILTERED_OUT), 500);
	CU_ASSERT_EQUAL(lab.c->out_count, 500);
	vswitch_destroy(lab.vswitch);
}

/* What a rule reads behind the head, in pieces, is there; and is what goes on. */
static void test_reading_far_into_a_frame(void)
{
	struct lab lab = make_lab();

	lab.a->small_pieces = true;
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "udp dst port 53", "drop"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "ether[600:2] = 0", "allow"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "greater 1000", "drop"), 0);
	put_udp(lab.a, 40, 53, 1000);
	put_udp(lab.a, 40, 54, 999);
	put_udp(lab.a, 40, 54, 200);
	put_udp(lab.a, 40, 53, 1200);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_FILTERED), 2);
	CU_ASSERT_EQUAL_FATAL(lab.b->out_count, 2);
	CU_ASSERT_EQUAL(lab.b->out[0].length, 999);
	CU_ASSERT_EQUAL(lab.b->out[0].bytes[14], 0x4f);
	CU_ASSERT_EQUAL(get_be16(lab.b->out[0].bytes + 76), 54);
	vswitch_destroy(lab.vswitch);
}

/* So many packets, to the last one: a burst at once, then one at each moment that the rate says, and none before it. */
static void test_a_policer_in_packets(void)
{
	struct lab lab = make_lab();

	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "", "rate=1000p/10p"), 0);
	for (unsigned i = 0; i < 100; i++)
		fake_port_put_frame(lab.a, BROADCAST, A, 60);
	while (vswitch_round(lab.vswitch))
		;
	CU_ASSERT_EQUAL(lab.b->out_count, 10);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_POLICED), 90);
	clock_value += SECOND / 1000 - 1;
	fake_port_put_frame(lab.a, BROADCAST, A, 60);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 10);
	clock_value += 1;
	fake_port_put_frame(lab.a, BROADCAST, A, 60);
	fake_port_put_frame(lab.a, BROADCAST, A, 60);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 11);
	vswitch_destroy(lab.vswitch);
}

static void test_a_policer_by_itself(void)
{
	struct police police = { 0 };
	struct error error = { 0 };
	uint64_t passed = 0, now = 5;

	CU_ASSERT_EQUAL(police_parse(&police, "8M/100K", &error), 0);
	CU_ASSERT_EQUAL(police.rate, 8000000);
	CU_ASSERT_EQUAL(police.burst, 100000);
	police.filled = now;
	/* A millisecond is 8000 bits: ten seconds of 12000-bit packets, offered at twice the rate. */
	for (unsigned i = 0; i < 13334; i++, now += 750000)
		passed += police_allows(&police, now, 1, 12000);
	CU_ASSERT_EQUAL(passed, (8000000ull * 13333 * 750 / 1000000 + 100000) / 12000);
	/* What is larger than the burst goes when the bucket is full, and is paid for. */
	now += SECOND;
	CU_ASSERT_TRUE(police_allows(&police, now, 45, 520000));
	now += 52500000 - 1; /* 420000 bits */
	CU_ASSERT_FALSE(police_allows(&police, now, 1, 1));
	/* A clock that has stood still for ages overflows nothing. */
	CU_ASSERT_TRUE(police_allows(&police, UINT64_MAX, 1, 100000));
	CU_ASSERT_FALSE(police_allows(&police, UINT64_MAX, 1, 1));
	CU_ASSERT_EQUAL(police_parse(&police, "20p", &error), 0);
	CU_ASSERT_EQUAL(police.burst, 2);
}

static void test_what_cannot_be(void)
{
	static const char *const rates[] = { "rate=",
					     "rate=0",
					     "rate=x",
					     "rate=10M/",
					     "rate=1M/5p",
					     "rate=5p/1M",
					     "rate=-1",
					     "rate=2000G",
					     "rate=18446744074G", /* over 2^64 by little */
					     "rate=1M/18446744074G",
					     "rate=1Mb",
					     "mirror=no/port",
					     "",
					     "dropped",
					     "rate=99999999999999999999" };
	const struct filter_instruction endless[] = { { 0x05, 0, 0, 0xffffffff }, { 6, 0, 0, 1 } },
					outside[] = { { 0x15, 9, 9, 0 }, { 6, 0, 0, 1 } },
					divides[] = { { 0x34, 0, 0, 0 }, { 6, 0, 0, 1 } },
					open[] = { { 0x28, 0, 0, 12 } };
	struct filter_program *program;
	struct lab lab = make_lab();
	char expression[FILTER_EXPRESSION_MOST + 2];

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
		CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "", rates[i]), -EINVAL);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 2, "", "drop"), -EINVAL);
	CU_ASSERT_EQUAL(add_rule(&lab, "nobody", PORT_IN, 0, "", "drop"), -ENOENT);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "frob", "drop"), -EINVAL);
	memset(expression, ' ', sizeof(expression));
	expression[sizeof(expression) - 1] = '\0';
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, expression, "drop"), -EINVAL);
	CU_ASSERT_EQUAL(filter_program_take(&program, "x", endless, 2, NULL), -EINVAL);
	CU_ASSERT_EQUAL(filter_program_take(&program, "x", outside, 2, NULL), -EINVAL);
	CU_ASSERT_EQUAL(filter_program_take(&program, "x", divides, 2, NULL), -EINVAL);
	CU_ASSERT_EQUAL(filter_program_take(&program, "x", open, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(filter_program_take(&program, "x", open, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "ip6 protochain 6", "drop"), -EINVAL);
	CU_ASSERT_FALSE(lab.a->port.checkpoint[PORT_IN].active);
	for (unsigned i = 0; i < FILTER_RULES_MAX; i++)
		CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "tcp", "drop"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "tcp", "drop"), -ENOSPC);
	vswitch_destroy(lab.vswitch);
}

/* A link over the port leaves its rules where they are; a port that goes takes them along. */
static void test_rules_and_links(void)
{
	struct link_model model = { 0 };
	struct vswitch_rule_status *rules;
	struct lab lab = make_lab();
	unsigned count;

	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "", "drop"), 0);
	CU_ASSERT_EQUAL(vswitch_set_link(lab.vswitch, "a", LINK_IN, &model, NULL), 0);
	fake_port_put_frame(lab.a, BROADCAST, A, 60);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "a", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_list_rules(lab.vswitch, &rules, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
	free(rules);
	vswitch_destroy(lab.vswitch);
}

/* Each port is asked once in a round, whatever others send; and who does not receive costs nobody but himself. */
static void test_a_flood_takes_no_share_of_others(void)
{
	struct lab lab = make_lab();
	unsigned rounds = 0;

	fake_port_put_frame(lab.c, BROADCAST, B, 60);
	vswitch_round(lab.vswitch);
	fake_port_clear(lab.a);
	fake_port_clear(lab.b);
	for (unsigned i = 0; i < 10; i++)
		fake_port_put_frame(lab.b, B, 0x0200000000c1, 100 + i);
	for (unsigned i = 0; i < 500; i++)
		fake_port_put_frame(lab.a, B, A, 60);
	vswitch_round(lab.vswitch);
	/* All ten of the neighbour are there after the first round, behind one burst of the flood at most. */
	CU_ASSERT_EQUAL(lab.c->out_count, PORT_BURST + 10);
	while (vswitch_round(lab.vswitch))
		rounds++;
	CU_ASSERT_EQUAL(rounds, (500 - PORT_BURST + PORT_BURST - 1) / PORT_BURST);
	vswitch_destroy(lab.vswitch);
}

/* in = out + each named end, at every port, whatever happens on the way. */
static void test_no_frame_is_lost_without_a_name(void)
{
	struct lab lab = make_lab();
	struct fake_port *ports[] = { lab.a, lab.b, lab.c };
	uint64_t came = 0, copies = 0, left = 0, flooded, dropped_in = 0, dropped_out = 0;

	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "less 70", "rate=100p/20p"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "b", PORT_OUT, 0, "greater 400", "drop"), 0);
	lab.c->port.frame_max = 300;
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 90; i++)
			fake_port_put_frame(lab.a, BROADCAST, i % 9 ? A : 0, 60 + 5 * i);
		for (unsigned i = 0; i < 40; i++)
			fake_port_put_frame(lab.b, i % 2 ? A : 0x0180c2000001, B, 60 + i);
		while (vswitch_round(lab.vswitch))
			;
		clock_value += SECOND / 10;
	}
	for (unsigned i = 0; i < 3; i++) {
		const struct port_counters *counters = &ports[i]->port.counters;

		came += counters->rx_frames;
		left += counters->tx_frames;
		for (unsigned k = 0; k < PORT_DROP_COUNT; k++)
			*(k < PORT_DROP_FILTERED_OUT ? &dropped_in : &dropped_out) +=
				counters->drops[k];
	}
	flooded = lab.a->port.counters.flooded + lab.b->port.counters.flooded;
	CU_ASSERT_EQUAL(came, 5 * 130);
	/* One that is flooded goes to two ports; one that is known to one. */
	copies = came - dropped_in + flooded;
	CU_ASSERT_EQUAL(copies, left + dropped_out);
	CU_ASSERT_TRUE(dropped_in > 0 && dropped_out > 0);
	vswitch_destroy(lab.vswitch);
}

static void set_port(struct lab *lab, const char *port, const char *word)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct port_config config;

	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab->vswitch, &status), 0);
	for (unsigned i = 0; i < status->port_count; i++)
		if (!strcmp(status->ports[i].name, port))
			config = status->ports[i].config;
	CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab->vswitch, port, &config, NULL), 0);
}

static void put_many(struct lab *lab, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fake_port_put_frame(lab->a, BROADCAST, A, 60);
	while (vswitch_round(lab->vswitch))
		;
}

/* A port's policers are after its rules, each way its own, live. */
static void test_ports_are_policed(void)
{
	struct lab lab = make_lab();

	set_port(&lab, "a", "police-in=100p/10p");
	put_many(&lab, 15);
	CU_ASSERT_EQUAL(lab.b->out_count, 10);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_POLICED), 5);
	clock_value += SECOND / 20;
	/* Another setting leaves the bucket as it is. */
	set_port(&lab, "a", "isolate=7");
	put_many(&lab, 15);
	CU_ASSERT_EQUAL(lab.b->out_count, 15);
	/* What a rule drops takes no tokens; what one passes does. */
	clock_value += SECOND;
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "udp", "drop"), 0);
	CU_ASSERT_EQUAL(add_rule(&lab, "a", PORT_IN, 0, "", "allow"), 0);
	for (unsigned i = 0; i < 20; i++)
		put_udp(lab.a, 0, 5, 60);
	put_many(&lab, 15);
	CU_ASSERT_EQUAL(lab.b->out_count, 25);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_FILTERED), 20);
	set_port(&lab, "a", "police-in=none");
	set_port(&lab, "b", "police-out=8Kbit/12Kbit");
	fake_port_clear(lab.b);
	fake_port_clear(lab.c);
	put_many(&lab, 60);
	/* 12,000 bits are 25 frames of 60 bytes. */
	CU_ASSERT_EQUAL(lab.b->out_count, 25);
	CU_ASSERT_EQUAL(lab.c->out_count, 60);
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_POLICED_OUT), 35);
	vswitch_destroy(lab.vswitch);
}

static void test_words_of_policers(void)
{
	static const struct {
		const char *word, *as;
	} cases[] = {
		{ "police-in=10M", "police-in=10M/1M" },
		{ "police-in=10Mbit/1500K", "police-in=10M/1500K" },
		{ "police-out=1000p/50p", "police-out=1Kp/50p" },
		{ "police-out=500bit/1234bit", "police-out=500bit/1234bit" },
	};
	struct port_config config = { 0 }, again = { 0 };
	char text[PORT_CONFIG_TEXT];
	struct error error = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		config = again = (struct port_config){ 0 };
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, cases[i].word, NULL), 0);
		port_config_describe(&config, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, cases[i].as);
		CU_ASSERT_EQUAL(port_config_set(&again, text, NULL), 0);
		CU_ASSERT(!memcmp(again.police, config.police, sizeof(config.police)));
	}
	CU_ASSERT_EQUAL(port_config_set(&config, "police-in=10", NULL), -EINVAL);
	CU_ASSERT_EQUAL(port_config_set(&config, "police-in=10M/5p", NULL), -EINVAL);
	CU_ASSERT_EQUAL(port_config_set(&config, "police-out=none", NULL), 0);
	CU_ASSERT_EQUAL(config.police[1].rate, 0);
	CU_ASSERT_EQUAL(port_config_set(&config, "policer=10M", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "police-out=, shape-in=, shape-out=,"));
}

static bool take(const struct filter_instruction *code, unsigned count)
{
	struct filter_program *program = NULL;
	int rc = filter_program_take(&program, "", code, count, NULL);

	filter_program_free(program);
	return !rc;
}

/* libpcap's interpreter would end the process. */
static void test_instructions_that_there_are_not(void)
{
	struct filter_instruction code[] = { { 0x15, 0, 0, 5 }, { 0x06, 0, 0, 1 } };

	CU_ASSERT(take(code, 2));
	for (unsigned bit = 8; bit < 16; bit++) {
		code[0].code = (uint16_t)(0x15 | 1u << bit);
		CU_ASSERT_FALSE(take(code, 2));
	}
	code[0] = (struct filter_instruction){ 0x64, 0, 0, 31 }; /* A <<= 31 */
	CU_ASSERT(take(code, 2));
	code[0].operand = 32;
	CU_ASSERT_FALSE(take(code, 2));
	code[0] = (struct filter_instruction){ 0x81, 0, 0, 0 }; /* X = the length */
	CU_ASSERT(take(code, 2));
}

/* A DSCP is marked behind any number of tags, with the IPv4 header's checksum. */
static void test_marks_behind_tags(void)
{
	for (unsigned tags = 0; tags <= 3; tags++) {
		static const uint16_t types[] = { 0x88a8, 0x9100, 0x8100 };
		const struct filter_mark mark = { .dscp = 46 + 1 };
		uint8_t head[64] = { 0 }, *ip = head + 14 + 4 * tags;
		uint32_t sum = 0;

		for (unsigned i = 0; i < tags; i++)
			put_be16(head + 12 + 4 * i, types[i]);
		put_be16(ip - 2, 0x0800);
		ip[0] = 0x45;
		ip[1] = 0x03;
		put_be16(ip + 10, (uint16_t)~0x4503);
		filter_mark_apply(&mark, head, sizeof(head));
		CU_ASSERT_EQUAL(ip[1], 46 << 2 | 3);
		for (unsigned i = 0; i < 20; i += 2)
			sum += get_be16(ip + i);
		CU_ASSERT_EQUAL((sum & 0xffff) + (sum >> 16), 0xffff);
	}
}

UNIT_MAIN("filter", UNIT(test_the_first_match_decides), UNIT(test_out_and_in),
	  UNIT(test_many_made_frames_are_dropped), UNIT(test_reading_far_into_a_frame),
	  UNIT(test_a_policer_in_packets), UNIT(test_a_policer_by_itself),
	  UNIT(test_what_cannot_be), UNIT(test_rules_and_links),
	  UNIT(test_a_flood_takes_no_share_of_others), UNIT(test_no_frame_is_lost_without_a_name),
	  UNIT(test_ports_are_policed), UNIT(test_words_of_policers),
	  UNIT(test_instructions_that_there_are_not), UNIT(test_marks_behind_tags))
