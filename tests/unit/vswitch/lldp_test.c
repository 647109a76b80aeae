/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/lldp: a switch's own messages and its neighbours, on a virtual clock. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/timer.h"
#include "vswitch/internal.h"
#include "vswitch/lldp.h"

#define CHASSIS 0x020000000100ULL
#define START   (1000 * LLDP_SECOND)

struct lab {
	struct vswitch *vswitch;
	uint64_t clock;
	struct fake_port *a, *b;
};

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static void rounds(struct lab *lab)
{
	while (vswitch_round(lab->vswitch))
		;
}

static void pass(struct lab *lab, uint64_t seconds)
{
	uint64_t until = lab->clock + seconds * LLDP_SECOND;

	while (vswitch_next_timer(lab->vswitch) <= until) {
		lab->clock = vswitch_next_timer(lab->vswitch);
		rounds(lab);
	}
	lab->clock = until;
	rounds(lab);
}

static void set(struct lab *lab, const char *port, const char *word)
{
	struct error error = { 0 };

	CU_ASSERT_EQUAL(vswitch_set_lldp(lab->vswitch, CHASSIS, port, &word, 1, &error), 0);
	rounds(lab);
}

static void start(struct lab *lab)
{
	struct vswitch_options options = {
		.name = "lab", .seed = 1, .clock = test_clock, .clock_arg = &lab->clock
	};

	lab->clock = START;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab->vswitch, &options, NULL), 0);
	lab->a = fake_port_add(lab->vswitch, "a", 0);
	lab->b = fake_port_add(lab->vswitch, "b", 0);
	rounds(lab);
}

/* How many messages left by a port since the last time; the last one is decoded. */
static unsigned take_sent(struct fake_port *port, struct lldp_message *last)
{
	unsigned count = 0;

	for (unsigned i = 0; i < port->out_count; i++) {
		const struct fake_frame *frame = &port->out[i];

		if (get_be16(frame->bytes + 12) != LLDP_TYPE)
			continue;
		count++;
		CU_ASSERT_EQUAL(mac_from_bytes(frame->bytes), LLDP_GROUP);
		CU_ASSERT_TRUE(frame->length >= 60);
		CU_ASSERT_EQUAL(lldp_decode(last, frame->bytes + 14, frame->length - 14), 0);
		CU_ASSERT_EQUAL(last->tlvs_bad, 0);
	}
	fake_port_clear(port);
	return count;
}

static void put_message(struct lab *lab, struct fake_port *port, uint8_t who, uint16_t ttl)
{
	struct lldp_message message = {
		.chassis = { .kind = 7, .length = 1, .bytes = { who } },
		.port = { .kind = 7, .length = 1, .bytes = { 1 } },
		.ttl = ttl,
	};
	uint8_t frame[128] = { 0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02, 0, 0, 0, 0, 9, 0x88, 0xcc };

	CU_ASSERT_TRUE(lldp_encode(&message, frame + 14, sizeof(frame) - 14) > 0);
	fake_port_put(port, frame, 60, NULL);
	rounds(lab);
}

static unsigned neighbours(struct lab *lab)
{
	CLEANUP(cleanup_lldp_status) struct vswitch_lldp_status *status = NULL;

	CU_ASSERT_EQUAL_FATAL(vswitch_lldp_status(lab->vswitch, &status), 0);
	return status->neighbour_count;
}

static struct lldp_counters counters_of(struct lab *lab, unsigned port)
{
	CLEANUP(cleanup_lldp_status) struct vswitch_lldp_status *status = NULL;

	CU_ASSERT_EQUAL_FATAL(vswitch_lldp_status(lab->vswitch, &status), 0);
	return status->ports[port].counters;
}

static void test_off_until_it_is_said(void)
{
	struct lldp_message last;
	struct lab lab;

	start(&lab);
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	put_message(&lab, lab.a, 1, 100);
	CU_ASSERT_EQUAL(lab.a->port.counters.drops[PORT_DROP_RESERVED], 1);
	/* A setting alone has nothing said, heard or claimed. */
	set(&lab, NULL, "interval=5");
	pass(&lab, 100);
	put_message(&lab, lab.a, 1, 100);
	CU_ASSERT_EQUAL(lab.a->port.counters.drops[PORT_DROP_RESERVED], 2);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 0);
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	CU_ASSERT_EQUAL(lab.a->port.protocols, 0);
	/* Who only sends has no claim: the user's choice for others' frames holds. */
	set(&lab, "a", "mode=send");
	put_message(&lab, lab.a, 1, 100);
	CU_ASSERT_EQUAL(lab.a->port.counters.drops[PORT_DROP_RESERVED], 3);
	CU_ASSERT_EQUAL(lab.a->port.protocols, 0);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(take_sent(lab.b, &last), 0);
	vswitch_destroy(lab.vswitch);
}

static void test_when_it_sends(void)
{
	struct lldp_message last;
	struct lab lab;

	start(&lab);
	set(&lab, NULL, "mode=both");
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(last.ttl, 121);
	CU_ASSERT_EQUAL(last.chassis.kind, LLDP_CHASSIS_MAC);
	CU_ASSERT_EQUAL(mac_from_bytes(last.chassis.bytes), CHASSIS);
	CU_ASSERT_EQUAL(last.port.kind, LLDP_PORT_INTERFACE);
	CU_ASSERT_EQUAL(memcmp(last.port.bytes, "a", 2), 0);
	CU_ASSERT_EQUAL(memcmp(last.system_name.bytes, "lab", 4), 0);
	CU_ASSERT_EQUAL(memcmp(last.port_description.bytes, "a", 2), 0);
	CU_ASSERT_EQUAL(last.enabled, LLDP_CAPABILITY_BRIDGE);
	CU_ASSERT_FALSE(last.has_vlan);
	pass(&lab, 1);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	pass(&lab, 2);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 2);
	pass(&lab, 29);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 0);
	pass(&lab, 1);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	pass(&lab, 300);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 10);
	/* The other port had the same. */
	CU_ASSERT_EQUAL(take_sent(lab.b, &last), 15);
	CU_ASSERT_EQUAL(memcmp(last.port.bytes, "b", 2), 0);
	CU_ASSERT_EQUAL(counters_of(&lab, 1).sent, 15);
	/* A link that comes anew. */
	port_set_up(&lab.a->port, false);
	pass(&lab, 100);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 0);
	port_set_up(&lab.a->port, true);
	rounds(&lab);
	pass(&lab, 4);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 4);
	/* One that flaps, or a user who sets much, has no more than one a second sent. */
	for (unsigned i = 0; i < 20; i++) {
		port_set_up(&lab.a->port, false);
		rounds(&lab);
		port_set_up(&lab.a->port, true);
		rounds(&lab);
		set(&lab, NULL, "name=other");
	}
	CU_ASSERT_TRUE(take_sent(lab.a, &last) <= 1);
	pass(&lab, 1);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(memcmp(last.system_name.bytes, "other", 6), 0);
	vswitch_destroy(lab.vswitch);
}

static void test_what_is_told(void)
{
	const char *const words[] = { "mode=send",
				      "hold=100",
				      "interval=3600",
				      "management=fe80::1",
				      "name=",
				      "description=the lab's",
				      "chassis=02:aa:00:00:00:01" };
	struct lldp_message last;
	struct port_config config;
	struct error error = { 0 };
	struct lab lab;

	start(&lab);
	CU_ASSERT_EQUAL(vswitch_set_lldp(lab.vswitch, CHASSIS, NULL, words, 7, &error), 0);
	set(&lab, "a", "description=desk 7");
	config = lab.a->port.config;
	CU_ASSERT_EQUAL(port_config_set(&config, "vlan=10", &error), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(lab.vswitch, "a", &config, &error), 0);
	pass(&lab, 4);
	CU_ASSERT_TRUE(take_sent(lab.a, &last) >= 4);
	CU_ASSERT_EQUAL(last.ttl, 65535);
	CU_ASSERT_EQUAL(mac_from_bytes(last.chassis.bytes), 0x02aa00000001);
	CU_ASSERT_FALSE(last.system_name.there);
	CU_ASSERT_EQUAL(memcmp(last.system_description.bytes, "the lab's", 10), 0);
	CU_ASSERT_EQUAL(memcmp(last.port_description.bytes, "desk 7", 7), 0);
	CU_ASSERT_EQUAL(last.management.kind, LLDP_ADDRESS_IPV6);
	CU_ASSERT_TRUE(last.has_vlan);
	CU_ASSERT_EQUAL(last.vlan, 10);
	/* Another name of the switch: the old one is taken back first. */
	set(&lab, NULL, "chassis=02:aa:00:00:00:02");
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(last.ttl, 0);
	CU_ASSERT_EQUAL(mac_from_bytes(last.chassis.bytes), 0x02aa00000001);
	pass(&lab, 2);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(mac_from_bytes(last.chassis.bytes), 0x02aa00000002);
	vswitch_destroy(lab.vswitch);
}

static void test_it_says_goodbye(void)
{
	static const struct {
		const char *port, *word;
	} ends[] = { { NULL, "mode=off" }, { NULL, "mode=receive" }, { "a", "mode=off" } };
	struct lldp_message last;
	struct lab lab;

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		start(&lab);
		set(&lab, NULL, "mode=both");
		pass(&lab, 10);
		take_sent(lab.a, &last);
		set(&lab, ends[i].port, ends[i].word);
		CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
		CU_ASSERT_EQUAL(last.ttl, 0);
		pass(&lab, 100);
		CU_ASSERT_EQUAL(take_sent(lab.a, &last), 0);
		/* And back, not at once. */
		set(&lab, NULL, "mode=both");
		set(&lab, "a", "mode=default");
		CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
		CU_ASSERT_EQUAL(last.ttl, 121);
		vswitch_destroy(lab.vswitch);
	}
	/* The protocol itself goes. */
	start(&lab);
	set(&lab, NULL, "mode=both");
	take_sent(lab.a, &last);
	CU_ASSERT_EQUAL(vswitch_remove_protocol(lab.vswitch, LLDP_PROTOCOL, NULL), 0);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(last.ttl, 0);
	vswitch_destroy(lab.vswitch);
}

/* What a port that is taken out sent last: its frames are gone with it, so they are seen where they are sent. */
struct witness {
	unsigned (*transmit)(struct port *port, struct frame *const *frames, unsigned count);
	void (*release)(struct port *port);
	struct port_ops ops;
	unsigned shutdowns;
};

static struct witness witness;

static unsigned watch_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct lldp_message message;
		uint8_t bytes[256];
		size_t length = MIN(frames[i]->length, (uint32_t)sizeof(bytes));

		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, bytes, length);
		witness.shutdowns +=
			!lldp_decode(&message, bytes + 14, length - 14) && !message.ttl;
	}
	return witness.transmit(port, frames, count);
}

static void watch(struct port *port)
{
	witness = (struct witness){ .transmit = port->ops->transmit,
				    .release = port->ops->release,
				    .ops = *port->ops };
	witness.ops.transmit = watch_transmit;
	port->ops = &witness.ops;
}

static void test_a_port_that_goes(void)
{
	struct lldp_message last;
	struct lab lab;

	for (unsigned whole = 0; whole < 2; whole++) {
		start(&lab);
		set(&lab, NULL, "mode=both");
		set(&lab, "a", "description=gone");
		put_message(&lab, lab.a, 1, 100);
		CU_ASSERT_EQUAL(neighbours(&lab), 1);
		watch(&lab.a->port);
		if (!whole) {
			CU_ASSERT_EQUAL(vswitch_remove_port(lab.vswitch, "a", NULL), 0);
			CU_ASSERT_EQUAL(witness.shutdowns, 1);
			/* Who gets its slot has nothing of it. */
			CU_ASSERT_EQUAL(neighbours(&lab), 0);
			lab.a = fake_port_add(lab.vswitch, "c", 0);
			rounds(&lab);
			CU_ASSERT_EQUAL(neighbours(&lab), 0);
			CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
			CU_ASSERT_EQUAL(memcmp(last.port_description.bytes, "c", 2), 0);
		}
		vswitch_destroy(lab.vswitch);
		CU_ASSERT_EQUAL(witness.shutdowns, 1);
	}
}

static void test_neighbours_of_ports(void)
{
	struct lldp_message last;
	struct lab lab;

	start(&lab);
	set(&lab, NULL, "mode=both");
	pass(&lab, 10);
	take_sent(lab.a, &last);
	put_message(&lab, lab.a, 1, 20);
	CU_ASSERT_EQUAL(neighbours(&lab), 1);
	CU_ASSERT_EQUAL(lab.a->port.counters.drops[PORT_DROP_RESERVED], 0);
	CU_ASSERT_EQUAL(lab.b->out_count, 5 - 1); /* its own; nothing goes on */
	/* It is greeted: four frames, a second apart, and no more however many come. */
	for (uint8_t i = 2; i < 20; i++)
		put_message(&lab, lab.a, i, 5);
	CU_ASSERT_EQUAL(take_sent(lab.a, &last), 1);
	CU_ASSERT_EQUAL(neighbours(&lab), LLDP_NEIGHBOURS);
	CU_ASSERT_EQUAL(counters_of(&lab, 0).refused, 19 - LLDP_NEIGHBOURS);
	CU_ASSERT_EQUAL(counters_of(&lab, 0).received, 19);
	pass(&lab, 4);
	CU_ASSERT_TRUE(take_sent(lab.a, &last) <= 4);
	CU_ASSERT_EQUAL(neighbours(&lab), LLDP_NEIGHBOURS);
	pass(&lab, 1);
	CU_ASSERT_EQUAL(neighbours(&lab), 1);
	CU_ASSERT_EQUAL(counters_of(&lab, 0).aged, LLDP_NEIGHBOURS - 1);
	pass(&lab, 15);
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	/* A farewell, a link that goes, a mode that hears nothing. */
	put_message(&lab, lab.b, 1, 1000);
	put_message(&lab, lab.b, 1, 0);
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	put_message(&lab, lab.b, 1, 1000);
	port_set_up(&lab.b->port, false);
	rounds(&lab);
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	port_set_up(&lab.b->port, true);
	rounds(&lab);
	put_message(&lab, lab.b, 1, 1000);
	CU_ASSERT_EQUAL(neighbours(&lab), 1);
	set(&lab, "b", "mode=send");
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	vswitch_destroy(lab.vswitch);
}

static void release_and_go_down(struct port *port)
{
	witness.release(port);
	port_set_up(port, false);
}

/* What it sent last waits for the protocol when the port goes down. */
static void test_a_last_word_before_the_link_goes(void)
{
	struct lab lab;

	start(&lab);
	set(&lab, NULL, "mode=both");
	watch(&lab.b->port);
	witness.ops.release = release_and_go_down;
	put_message(&lab, lab.b, 1, 1000);
	CU_ASSERT_FALSE(port_is_up(&lab.b->port));
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	witness.ops.release = witness.release;
	port_set_up(&lab.b->port, true);
	rounds(&lab);
	put_message(&lab, lab.b, 1, 1000);
	CU_ASSERT_EQUAL(neighbours(&lab), 1);
	vswitch_destroy(lab.vswitch);
}

/* The choice of the user for the reserved address goes first. */
static void test_a_reserved_choice(void)
{
	struct reserved_choices choices = { 0 };
	struct lldp_message last;
	struct lab lab;

	start(&lab);
	set(&lab, NULL, "mode=receive");
	CU_ASSERT_EQUAL(reserved_parse(&choices, "lldp=flood", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_reserved(lab.vswitch, &choices, NULL), 0);
	put_message(&lab, lab.a, 1, 100);
	CU_ASSERT_EQUAL(take_sent(lab.b, &last), 1);
	CU_ASSERT_EQUAL(neighbours(&lab), 0);
	vswitch_destroy(lab.vswitch);
}

static void test_words(void)
{
	static const char *const bad[] = {
		"mode=default",  "mode=",         "interval=0",
		"interval=3601", "hold=0",        "hold=101",
		"fast=9",        "fast=-1",       "chassis=01:00:00:00:00:00",
		"chassis=x",     "management=10", "management=::g",
		"what=1",        "mode",
	};
	const char *const half[] = { "interval=7", "hold=0" };
	const char *const bad_port = "interval=5", *const good_port = "mode=both";
	struct lldp_settings settings;
	struct error error = { 0 };
	char longest[6 + 256] = "name=";
	struct lab lab;

	lldp_settings_init(&settings, "lab", CHASSIS);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (lldp_settings_set(&settings, bad[i], &error) != -EINVAL)
			CU_FAIL(bad[i]);
	memset(longest + 5, 'x', 256);
	CU_ASSERT_EQUAL(lldp_settings_set(&settings, longest, &error), -EINVAL);
	CU_ASSERT_TRUE(settings.mode == LLDP_OFF && settings.interval == 30 && settings.hold == 4 &&
		       settings.fast == 4 && settings.chassis == CHASSIS &&
		       settings.name.length == 3 && !settings.management.length);
	longest[5 + 255] = '\0';
	CU_ASSERT_EQUAL(lldp_settings_set(&settings, longest, &error), 0);
	CU_ASSERT_EQUAL(settings.name.length, 255);
	/* All or none, and none where there is no such port. */
	start(&lab);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(vswitch_set_lldp(lab.vswitch, 0, NULL, half, 2, &error), -EINVAL);
		CU_ASSERT_EQUAL(vswitch_set_lldp(lab.vswitch, 0, "z", &good_port, 1, &error),
				-ENOENT);
		CU_ASSERT_EQUAL(vswitch_set_lldp(lab.vswitch, 0, "a", &bad_port, 1, &error),
				-EINVAL);
		CU_ASSERT_EQUAL(protocol_find(lab.vswitch, LLDP_PROTOCOL) != NULL, i);
		set(&lab, NULL, "hold=4");
	}
	{
		CLEANUP(cleanup_lldp_status) struct vswitch_lldp_status *status = NULL;

		CU_ASSERT_EQUAL_FATAL(vswitch_lldp_status(lab.vswitch, &status), 0);
		CU_ASSERT_EQUAL(status->settings.interval, 30);
	}
	vswitch_destroy(lab.vswitch);
}

UNIT_MAIN("lldp in a switch", UNIT(test_off_until_it_is_said), UNIT(test_when_it_sends),
	  UNIT(test_what_is_told), UNIT(test_it_says_goodbye), UNIT(test_a_port_that_goes),
	  UNIT(test_neighbours_of_ports), UNIT(test_a_last_word_before_the_link_goes),
	  UNIT(test_a_reserved_choice), UNIT(test_words))
