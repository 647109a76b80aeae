/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/protocol: frames claimed by a protocol of the switch, its ports, timers and sending; reserved addresses. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/protocol.h"
#include "vswitch/reserved.h"

#define A      0x0200000000a1ULL
#define B      0x0200000000b1ULL
#define STP    0x0180c2000000ULL
#define GROUP  0x01005e000102ULL
#define SECOND 1000000000ULL

static uint64_t clock_value;

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

/* A protocol that writes down what it is told. */
struct listener {
	struct protocol protocol;
	struct timer timer;
	char told[256];
	unsigned frames, expired;
	int sent_last; /* what protocol_send() said when the port was removed */
	size_t length;
	uint16_t vlan;
	unsigned slot;
	uint8_t bytes[PROTOCOL_FRAME_MAX];
};

static unsigned destroyed;

static struct listener *listener_of(struct protocol *protocol)
{
	return container_of(protocol, struct listener, protocol);
}

static void on_frame(struct protocol *protocol, const struct protocol_frame *frame)
{
	struct listener *listener = listener_of(protocol);

	listener->frames++;
	listener->length = frame->length;
	listener->vlan = frame->vlan;
	listener->slot = frame->slot;
	memcpy(listener->bytes, frame->bytes, frame->length);
}

static void on_port(struct protocol *protocol, unsigned slot, enum protocol_port_event event)
{
	static const char letters[] = "+-udcl";
	struct listener *listener = listener_of(protocol);
	size_t used = strlen(listener->told);

	CU_ASSERT_TRUE_FATAL(used + 3 < sizeof(listener->told));
	listener->told[used] = letters[event];
	listener->told[used + 1] = (char)('0' + slot);
	listener->told[used + 2] = '\0';
	if (event == PROTOCOL_PORT_ADDED)
		protocol_enable(protocol, slot, true);
	if (event == PROTOCOL_PORT_REMOVED)
		listener->sent_last = protocol_send(protocol, slot, 0, listener->bytes, 60);
}

static void on_leave(struct protocol *protocol)
{
	protocol_timer_disarm(protocol, &listener_of(protocol)->timer);
}

static void on_destroy(struct protocol *protocol)
{
	destroyed++;
	free(listener_of(protocol));
}

/* The first byte of the payload says what becomes of it. */
static enum protocol_verdict by_first_byte(const struct protocol *protocol, const struct port *port,
					   const uint8_t *payload, size_t length)
{
	(void)protocol, (void)port;
	return length && payload[0] < 3 ? payload[0] : PROTOCOL_IGNORE;
}

static const struct protocol_claim all_claims[] = {
	{ .address = STP, .mask = ~0ULL, .type = 0 },
	{ .address = 0x01005e000000,
	  .mask = 0xffffff800000,
	  .type = 0x0800,
	  .wants = by_first_byte },
};

static const struct protocol_ops listener_ops = { .name = "listener",
						  .claims = all_claims,
						  .claim_count = ARRAY_SIZE(all_claims),
						  .frame = on_frame,
						  .port = on_port,
						  .leave = on_leave,
						  .destroy = on_destroy };

static void on_expire(struct timer *timer)
{
	container_of(timer, struct listener, timer)->expired++;
}

struct lab {
	struct vswitch *vswitch;
	struct fake_port *a, *b;
	struct listener *listener;
};

static struct listener *add_listener(struct vswitch *vswitch)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	CU_ASSERT_PTR_NOT_NULL_FATAL(listener);
	listener->protocol.ops = &listener_ops;
	listener->timer.expire = on_expire;
	CU_ASSERT_EQUAL_FATAL(vswitch_add_protocol(vswitch, &listener->protocol, NULL), 0);
	return listener;
}

static struct lab make_lab(unsigned threads)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = &clock_value, .threads = threads
	};
	struct lab lab;

	clock_value = 1000 * SECOND;
	destroyed = 0;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	lab.a = fake_port_add(lab.vswitch, "a", 0);
	lab.listener = add_listener(lab.vswitch);
	lab.b = fake_port_add(lab.vswitch, "b", 0);
	return lab;
}

static uint64_t drops(const struct fake_port *fake, enum port_drop why)
{
	return fake->port.counters.drops[why];
}

/* A frame for a group, with a tag (0: none), whose payload begins with `first`. */
static void put_group(struct fake_port *port, uint64_t group, uint16_t type, int vlan,
		      uint8_t first)
{
	uint8_t bytes[100] = { 0 };
	size_t at = 12;

	put_be16(bytes, (uint16_t)(group >> 32));
	put_be32(bytes + 2, (uint32_t)group);
	bytes[6] = 2;
	bytes[11] = 0xa1;
	if (vlan >= 0) {
		put_be16(bytes + at, 0x8100);
		put_be16(bytes + at + 2, (uint16_t)vlan);
		at += 4;
	}
	put_be16(bytes + at, type);
	bytes[at + 2] = first;
	bytes[at + 3] = 0x77;
	fake_port_put(port, bytes, sizeof(bytes), NULL);
}

static void rounds(struct lab *lab)
{
	while (vswitch_round(lab->vswitch))
		;
}

static void test_a_reserved_address_comes_to_its_protocol(void)
{
	struct lab lab = make_lab(1);

	put_group(lab.b, STP, 0x26, -1, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 1);
	CU_ASSERT_EQUAL(lab.listener->length, 100);
	CU_ASSERT_EQUAL(lab.listener->slot, 1);
	CU_ASSERT_EQUAL(lab.listener->bytes[15], 0x77);
	CU_ASSERT_EQUAL(lab.a->out_count, 0);
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_RESERVED), 0);
	/* A priority tag is taken off; what is in a VLAN is no link's own. */
	put_group(lab.a, STP, 0x26, 0, 0x42);
	put_group(lab.a, STP, 0x26, 5, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 2);
	CU_ASSERT_EQUAL(lab.listener->length, 96);
	CU_ASSERT_EQUAL(lab.listener->bytes[15], 0x77);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_RESERVED), 1);
	/* Nobody claims this address. */
	put_group(lab.a, STP + 3, 0x888e, -1, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 2);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_RESERVED), 2);
	vswitch_destroy(lab.vswitch);
	CU_ASSERT_EQUAL(destroyed, 1);
}

/* On a trunk without a native VLAN, and at a port that forwards nothing. */
static void test_it_comes_whatever_the_port_does(void)
{
	struct lab lab = make_lab(1);
	struct port_config config = { 0 };

	CU_ASSERT_EQUAL(port_config_set(&config, "trunk=5", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &config, NULL), 0);
	protocol_hold(&lab.listener->protocol, 0, PORT_HOLD_FORWARDING | PORT_HOLD_LEARNING);
	put_group(lab.a, STP, 0x26, -1, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 1);
	CU_ASSERT_EQUAL(protocol_send(&lab.listener->protocol, 0, 0, lab.listener->bytes, 20), 0);
	CU_ASSERT_EQUAL_FATAL(lab.a->out_count, 1);
	CU_ASSERT_EQUAL(lab.a->out[0].length, 60);
	CU_ASSERT_EQUAL(lab.a->out[0].bytes[15], 0x77);
	/* Of a VLAN it is tagged. */
	CU_ASSERT_EQUAL(protocol_send(&lab.listener->protocol, 0, 5, lab.listener->bytes, 60), 0);
	CU_ASSERT_EQUAL_FATAL(lab.a->out_count, 2);
	CU_ASSERT_EQUAL(get_be16(lab.a->out[1].bytes + 14), 5);
	CU_ASSERT_EQUAL(protocol_send(&lab.listener->protocol, 0, 6, lab.listener->bytes, 60),
			-EINVAL);
	CU_ASSERT_EQUAL(protocol_send(&lab.listener->protocol, 7, 0, lab.listener->bytes, 60),
			-EINVAL);
	/* A customer's port that is not for what has no tag. */
	CU_ASSERT_EQUAL(port_config_set(&config, "dot1q-tunnel=5", NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(port_config_set(&config, i ? "cvlans=0+7" : "cvlans=7", NULL), 0);
		CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &config, NULL), 0);
		CU_ASSERT_EQUAL(protocol_send(&lab.listener->protocol, 0, 5, lab.listener->bytes,
					      60),
				i ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(vswitch_send(lab.vswitch, "a", 5, lab.listener->bytes, 60, NULL),
				i ? 0 : -ENETDOWN);
		CU_ASSERT_EQUAL(
			protocol_send(&lab.listener->protocol, 0, 0, lab.listener->bytes, 60), 0);
	}
	vswitch_destroy(lab.vswitch);
}

static void test_what_a_held_port_does_not(void)
{
	struct lab lab = make_lab(1);
	struct protocol *protocol = &lab.listener->protocol;

	protocol_hold(protocol, 0, PORT_HOLD_FORWARDING | PORT_HOLD_LEARNING);
	fake_port_put_frame(lab.a, B, A, 0);
	fake_port_put_frame(lab.b, A, B, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.a->out_count + lab.b->out_count, 0);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_BLOCKED), 1);
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_NO_PORT),
			1); /* A is not known, and there is no other */
	/* Learning alone: a frame for it ends at the port that it came from. */
	protocol_hold(protocol, 0, PORT_HOLD_FORWARDING);
	fake_port_put_frame(lab.a, B, A, 0);
	rounds(&lab);
	fake_port_put_frame(lab.b, A, B, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.a->out_count, 0);
	CU_ASSERT_EQUAL(drops(lab.b, PORT_DROP_TO_BLOCKED), 1);
	protocol_hold(protocol, 0, 0);
	fake_port_put_frame(lab.b, A, B, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.a->out_count, 1);
	/* What a protocol held is let go with it. */
	protocol_hold(protocol, 0, PORT_HOLD_FORWARDING);
	CU_ASSERT_EQUAL(vswitch_remove_protocol(lab.vswitch, "listener", NULL), 0);
	CU_ASSERT_EQUAL(destroyed, 1);
	CU_ASSERT_EQUAL(vswitch_remove_protocol(lab.vswitch, "listener", NULL), -ENOENT);
	fake_port_put_frame(lab.b, A, B, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.a->out_count, 2);
	vswitch_destroy(lab.vswitch);
}

static void test_other_groups_are_taken_copied_or_left(void)
{
	struct lab lab = make_lab(1);

	put_group(lab.a, GROUP, 0x0800, 9, PROTOCOL_COPY);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 1);
	CU_ASSERT_EQUAL(lab.listener->vlan, 9);
	CU_ASSERT_EQUAL(lab.listener->length, 96);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	put_group(lab.a, GROUP, 0x0800, 9, PROTOCOL_TAKE);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 2);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	put_group(lab.a, GROUP, 0x0800, 9, PROTOCOL_IGNORE);
	put_group(lab.a, GROUP, 0x0801, 9, PROTOCOL_TAKE);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 2);
	CU_ASSERT_EQUAL(lab.b->out_count, 3);
	/* Where it does not run nobody looks. */
	protocol_enable(&lab.listener->protocol, 0, false);
	put_group(lab.a, GROUP, 0x0800, 9, PROTOCOL_TAKE);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 2);
	CU_ASSERT_EQUAL(lab.b->out_count, 4);
	vswitch_destroy(lab.vswitch);
}

/* What a protocol takes does not go on because it is padded to more than any protocol reads: a guard would be passed so. */
static void test_too_long_to_be_taken(void)
{
	static uint8_t bytes[PROTOCOL_FRAME_MAX + 1];
	struct lab lab = make_lab(1);

	put_be16(bytes, GROUP >> 32);
	put_be32(bytes + 2, (uint32_t)GROUP);
	bytes[6] = 2;
	put_be16(bytes + 12, 0x0800);
	bytes[14] = PROTOCOL_TAKE;
	fake_port_put(lab.a, bytes, sizeof(bytes), NULL);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_CONTROL_OVERRUN), 1);
	bytes[14] = PROTOCOL_COPY;
	fake_port_put(lab.a, bytes, sizeof(bytes), NULL);
	bytes[14] = PROTOCOL_TAKE;
	fake_port_put(lab.a, bytes, PROTOCOL_FRAME_MAX, NULL);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_CONTROL_OVERRUN), 2);
	CU_ASSERT_EQUAL(lab.listener->frames, 1);
	CU_ASSERT_EQUAL(lab.listener->length, PROTOCOL_FRAME_MAX);
	vswitch_destroy(lab.vswitch);
}

/* Storm control holds what a protocol takes of a group, which may go to all ports by it; but no reserved address. */
static void test_storm_control_holds_what_is_taken(void)
{
	struct lab lab = make_lab(1);
	struct port_config config = { 0 };

	CU_ASSERT_EQUAL_FATAL(port_config_set(&config, "multicast=100", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &config, NULL), 0);
	for (unsigned i = 0; i < 20; i++)
		put_group(lab.a, GROUP, 0x0800, -1, PROTOCOL_TAKE);
	rounds(&lab);
	for (unsigned i = 0; i < 40; i++)
		put_group(lab.a, GROUP, 0x0800, -1, PROTOCOL_TAKE);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 32);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_STORM_MULTICAST), 28);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_CONTROL_OVERRUN), 0);
	/* What is copied, too, is no more than others; what is not claimed is counted once. */
	put_group(lab.a, GROUP, 0x0800, -1, PROTOCOL_COPY);
	put_group(lab.a, STP, 0x26, -1, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 34);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_STORM_MULTICAST), 29);
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	clock_value += SECOND / 100;
	put_group(lab.a, GROUP, 0x0800, -1, PROTOCOL_COPY);
	put_group(lab.a, GROUP, 0x0800, -1, PROTOCOL_TAKE);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_STORM_MULTICAST), 30);
	vswitch_destroy(lab.vswitch);
}

/* One port's flood takes nothing of another's share. */
static void test_a_flood_is_bounded_by_port(void)
{
	struct lab lab = make_lab(2); /* a, b: one each */

	for (unsigned i = 0; i < 400; i++)
		put_group(lab.a, STP, 0x26, -1, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, PROTOCOL_SHARE + 1);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_CONTROL_OVERRUN), 400 - PROTOCOL_SHARE - 1);
	put_group(lab.b, STP, 0x26, -1, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, PROTOCOL_SHARE + 2);
	/* And it is a rate. */
	clock_value += SECOND / PROTOCOL_RATE * 10;
	for (unsigned i = 0; i < 20; i++)
		put_group(lab.a, STP, 0x26, -1, 0x42);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, PROTOCOL_SHARE + 12);
	vswitch_destroy(lab.vswitch);
}

static void test_ports_are_told_of(void)
{
	struct lab lab = make_lab(1);
	struct port_config config = { 0 };

	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(lab.listener->told, "+0+1u0u1");
	lab.listener->told[0] = '\0';
	/* Down and up again before anybody looked. */
	port_set_up(&lab.a->port, false);
	port_set_up(&lab.a->port, true);
	port_set_up(&lab.b->port, false);
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), 0);
	vswitch_round(lab.vswitch);
	CU_ASSERT_STRING_EQUAL(lab.listener->told, "d0u0d1");
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), TIMER_NEVER);
	lab.listener->told[0] = '\0';
	CU_ASSERT_EQUAL(protocol_send(&lab.listener->protocol, 1, 0, lab.listener->bytes, 60),
			-ENETDOWN);
	vswitch_set_port(lab.vswitch, "b", &config, NULL);
	/* What waits of a port goes with it. */
	put_group(lab.a, STP, 0x26, -1, 0x42);
	vswitch_remove_port(lab.vswitch, "a", NULL);
	rounds(&lab);
	CU_ASSERT_STRING_EQUAL(lab.listener->told, "c1l0-0");
	CU_ASSERT_EQUAL(lab.listener->frames, 0);
	/* It has let go of what it sends by. */
	CU_ASSERT_EQUAL(lab.listener->sent_last, -ENETDOWN);
	vswitch_destroy(lab.vswitch);
}

/* What gets only copies gets no frames of protocols, and is down to them. */
static void test_a_port_of_copies_is_down(void)
{
	struct port_mirror_options mirror = { .name = "x", .to = "b", .source_count = 1 };
	struct lab lab = make_lab(1);
	struct protocol *protocol = &lab.listener->protocol;

	strcpy(mirror.sources[0].port, "a");
	mirror.sources[0].ways = PORT_BOTH_WAYS;
	rounds(&lab);
	lab.listener->told[0] = '\0';
	CU_ASSERT_EQUAL(vswitch_add_mirror(lab.vswitch, &mirror, NULL), 0);
	CU_ASSERT_EQUAL(protocol_send(protocol, 1, 0, lab.listener->bytes, 60), -ENETDOWN);
	rounds(&lab);
	CU_ASSERT_STRING_EQUAL(lab.listener->told, "d1");
	CU_ASSERT_EQUAL(lab.b->out_count, 0);
	lab.listener->told[0] = '\0';
	CU_ASSERT_EQUAL(vswitch_remove_mirror(lab.vswitch, "x", NULL), 0);
	rounds(&lab);
	CU_ASSERT_STRING_EQUAL(lab.listener->told, "u1");
	CU_ASSERT_EQUAL(protocol_send(protocol, 1, 0, lab.listener->bytes, 60), 0);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	vswitch_destroy(lab.vswitch);
}

static void test_timers_are_the_switchs(void)
{
	struct lab lab = make_lab(1);
	struct protocol *protocol = &lab.listener->protocol;

	vswitch_round(lab.vswitch);
	protocol_timer_arm(protocol, &lab.listener->timer, clock_value + SECOND);
	CU_ASSERT_EQUAL(vswitch_next_timer(lab.vswitch), clock_value + SECOND);
	vswitch_round(lab.vswitch);
	CU_ASSERT_EQUAL(lab.listener->expired, 0);
	clock_value += SECOND;
	CU_ASSERT_EQUAL(vswitch_round(lab.vswitch), 1);
	CU_ASSERT_EQUAL(lab.listener->expired, 1);
	CU_ASSERT_EQUAL(protocol_now(protocol), clock_value);
	/* One that is armed when all ends. */
	protocol_timer_arm(protocol, &lab.listener->timer, clock_value + SECOND);
	vswitch_destroy(lab.vswitch);
}

static void set_reserved(struct vswitch *vswitch, const char *text)
{
	struct reserved_choices choices = { 0 };

	CU_ASSERT_EQUAL_FATAL(reserved_parse(&choices, text, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_reserved(vswitch, &choices, NULL), 0);
}

static void test_the_users_choice_comes_first(void)
{
	struct lab lab = make_lab(1);
	struct port_config config = { 0 };

	set_reserved(lab.vswitch, "stp=flood");
	put_group(lab.a, STP, 0x26, -1, 0x42);
	put_group(lab.a, STP, 0x26, -1, 0x41); /* of another kind, at that address */
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 1);
	CU_ASSERT_EQUAL(lab.listener->frames, 1);
	set_reserved(lab.vswitch, "00=flood,lldp=flood");
	put_group(lab.a, STP, 0x26, -1, 0x41);
	put_group(lab.a, STP + 14, 0x88cc, -1, 0);
	put_group(lab.a, STP + 14, 0x88f7, -1, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 3);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_RESERVED), 1);
	/* Of one port. */
	CU_ASSERT_EQUAL(port_config_set(&config, "reserved=lldp:drop+stp:handle", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &config, NULL), 0);
	put_group(lab.a, STP, 0x26, -1, 0x42);
	put_group(lab.a, STP + 14, 0x88cc, -1, 0);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 3);
	CU_ASSERT_EQUAL(lab.listener->frames, 2);
	CU_ASSERT_EQUAL(drops(lab.a, PORT_DROP_RESERVED), 2);
	/* The marker and the aggregation protocol are one, what else is slow is not. */
	set_reserved(lab.vswitch, "lacp=flood");
	put_group(lab.a, STP + 2, 0x8809, -1, 1);
	put_group(lab.a, STP + 2, 0x8809, 0, 2);
	put_group(lab.a, STP + 2, 0x8809, -1, 3);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 5);
	/* Behind an S-tag of no VLAN, too, where these are the port's. */
	CU_ASSERT_EQUAL(port_config_set(&config, "tag-type=802.1ad", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &config, NULL), 0);
	for (unsigned type = 0x88a8; type; type = type == 0x88a8 ? 0x9100 : 0) {
		uint8_t bytes[60] = { 1, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 0xa1 };

		put_be16(bytes + 12, (uint16_t)type);
		put_be16(bytes + 16, 0x8809);
		bytes[18] = 1;
		fake_port_put(lab.a, bytes, sizeof(bytes), NULL);
	}
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 7);
	/* As any frame of a group: not out of a port that is held. */
	protocol_hold(&lab.listener->protocol, 0, PORT_HOLD_FORWARDING);
	put_group(lab.a, STP + 2, 0x8809, -1, 1);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.b->out_count, 7);
	vswitch_destroy(lab.vswitch);
}

static void test_words_of_reserved_addresses(void)
{
	static const char *const bad[] = { "stp",
					   "stp=",
					   "stp=yes",
					   "vtp=flood",
					   "10=flood",
					   "0g=flood",
					   "0=flood",
					   "stp=flood,",
					   "=flood",
					   "stp=drop,all=flood",
					   "all=drop+all=flood",
					   "stp=drop,stp=flood",
					   "stp=flood,lldp=drop,stp=flood",
					   "02:drop+02:flood" };
	struct reserved_choices choices = { 0 }, before;
	struct error error = { 0 };
	char text[RESERVED_TEXT];

	CU_ASSERT_EQUAL(reserved_parse(&choices, "0e:drop+stp=flood,lldp=handle", NULL), 0);
	reserved_describe(&choices, '=', ',', text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "0e=drop,stp=flood,lldp=handle");
	before = choices;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		CU_ASSERT_EQUAL(reserved_parse(&choices, bad[i], &error), -EINVAL);
		CU_ASSERT_EQUAL(memcmp(&choices, &before, sizeof(choices)), 0);
	}
	CU_ASSERT_EQUAL(reserved_parse(&choices, "all=flood,stp=drop", NULL), 0);
	reserved_describe(&choices, ':', '+', text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "all:flood+stp:drop");
	CU_ASSERT_EQUAL(reserved_parse(&choices, "none", NULL), 0);
	reserved_describe(&choices, ':', '+', text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
	/* The longest fits. */
	CU_ASSERT_EQUAL(reserved_parse(&choices,
				       "all=handle,00=none,stp=handle,lldp=handle,"
				       "lacp=handle,oam=handle,eapol=handle,"
				       "pause=handle,ptp=handle",
				       NULL),
			0);
	reserved_describe(&choices, ':', '+', text, sizeof(text));
	CU_ASSERT_TRUE(strlen(text) + 12 < sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "0f:handle+stp:handle"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ptp:handle"));
}

/* With threads that run: what comes at one's port is handed over by the first. */
static void test_threads(void)
{
	struct vswitch_options options = { .threads = 2 };
	struct lab lab;

	destroyed = 0;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	lab.a = fake_port_add(lab.vswitch, "a", 0);
	lab.b = fake_port_add(lab.vswitch, "b", 0);
	lab.listener = add_listener(lab.vswitch);
	for (unsigned i = 0; i < 50; i++) {
		put_group(lab.b, STP, 0x26, -1, 0x42);
		put_group(lab.a, STP, 0x26, -1, 0x42);
	}
	CU_ASSERT_EQUAL_FATAL(vswitch_start(lab.vswitch, NULL), 0);
	port_wake_thread(&lab.b->port);
	for (bool all = false; !all;) {
		CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;

		CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
		all = status->ports[0].counters.rx_frames + status->ports[1].counters.rx_frames ==
		      100;
	}
	vswitch_stop(lab.vswitch);
	rounds(&lab);
	CU_ASSERT_EQUAL(lab.listener->frames, 100);
	CU_ASSERT_EQUAL(vswitch_start(lab.vswitch, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_remove_protocol(lab.vswitch, "listener", NULL), 0);
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("switch protocols", UNIT(test_a_reserved_address_comes_to_its_protocol),
	  UNIT(test_it_comes_whatever_the_port_does), UNIT(test_what_a_held_port_does_not),
	  UNIT(test_other_groups_are_taken_copied_or_left), UNIT(test_a_flood_is_bounded_by_port),
	  UNIT(test_storm_control_holds_what_is_taken), UNIT(test_ports_are_told_of),
	  UNIT(test_a_port_of_copies_is_down), UNIT(test_timers_are_the_switchs),
	  UNIT(test_too_long_to_be_taken), UNIT(test_the_users_choice_comes_first),
	  UNIT(test_words_of_reserved_addresses), UNIT(test_threads))
