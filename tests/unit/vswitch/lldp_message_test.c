/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/lldp_message: vectors written from IEEE 802.1AB-2016, clause 8, and from 802.1Q-2022, D.2.1; and what must not be believed. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "util/timer.h"
#include "vswitch/lldp_neighbours.h"

/* Chassis 02:00:00:00:00:01, port "p1", 121 seconds. */
#define HEAD                                                                                       \
	0x02, 0x07, 0x04, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x04, 0x03, 0x05, 'p', '1', 0x06,    \
		0x02, 0x00, 0x79
#define END 0x00, 0x00

static const uint8_t whole[] = { HEAD, 0x08, 0x04, 'd', 'e', 's', 'k', 0x0a, 0x03, 'l', 'a', 'b',
				 0x0c, 0x02, 'v', '1',
				 /* A bridge that bridges, and no router. */
				 0x0e, 0x04, 0x00, 0x14, 0x00, 0x04,
				 /* 10.0.0.1, behind an interface of unknown number. */
				 0x10, 0x0c, 0x05, 0x01, 10, 0, 0, 1, 0x01, 0, 0, 0, 0, 0,
				 /* VLAN 10. */
				 0xfe, 0x06, 0x00, 0x80, 0xc2, 0x01, 0x00, 0x0a, END };

static void put_name(struct lldp_text *text, const char *from)
{
	text->there = true;
	text->length = (uint8_t)strlen(from);
	memcpy(text->bytes, from, text->length);
}

static void make(struct lldp_message *message)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 1 }, address[] = { 10, 0, 0, 1 };

	*message = (struct lldp_message){
		.chassis = { .kind = LLDP_CHASSIS_MAC, .length = 6 },
		.port = { .kind = LLDP_PORT_INTERFACE, .length = 2, .bytes = "p1" },
		.ttl = 121,
		.has_capabilities = true,
		.capabilities = LLDP_CAPABILITY_BRIDGE | 1 << 4,
		.enabled = LLDP_CAPABILITY_BRIDGE,
		.has_vlan = true,
		.vlan = 10,
		.management = { .kind = LLDP_ADDRESS_IPV4, .length = 4 },
	};
	memcpy(message->chassis.bytes, mac, sizeof(mac));
	memcpy(message->management.bytes, address, sizeof(address));
	put_name(&message->port_description, "desk");
	put_name(&message->system_name, "lab");
	put_name(&message->system_description, "v1");
}

/* A link of a bond says so in 802.1's words and in 802.3's of before, and is heard by either. */
static void test_aggregation(void)
{
	static const uint8_t both[] = { 0xfe, 0x09, 0x00, 0x80, 0xc2, 0x07, 0x03, 0x00,
					0x00, 0x01, 0x02, 0xfe, 0x09, 0x00, 0x12, 0x0f,
					0x03, 0x03, 0x00, 0x00, 0x01, 0x02 };
	const size_t one = sizeof(both) / 2, end = sizeof(whole) - 2;
	uint8_t bytes[LLDP_MESSAGE_MAX], heard[LLDP_MESSAGE_MAX];
	struct lldp_message message;

	make(&message);
	message.has_aggregation = true;
	message.aggregation = LLDP_AGGREGATION_CAPABLE | LLDP_AGGREGATION_ENABLED;
	message.aggregated_port = 0x102;
	CU_ASSERT_EQUAL_FATAL(lldp_encode(&message, bytes, sizeof(bytes)),
			      (int)(sizeof(whole) + sizeof(both)));
	CU_ASSERT_EQUAL(memcmp(bytes + end, both, sizeof(both)), 0);
	memcpy(heard, whole, end);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(heard + end, both + i * one, one);
		CU_ASSERT_EQUAL(lldp_decode(&message, heard, end + one), 0);
		CU_ASSERT_TRUE(message.has_aggregation);
		CU_ASSERT_EQUAL(message.aggregation, 3);
		CU_ASSERT_EQUAL(message.aggregated_port, 0x102);
		CU_ASSERT_EQUAL(message.tlvs_bad + message.tlvs_unknown, 0);
	}
	/* Cut: left out. */
	heard[end + 1]--;
	CU_ASSERT_EQUAL(lldp_decode(&message, heard, end + one - 1), 0);
	CU_ASSERT_FALSE(message.has_aggregation);
	CU_ASSERT_EQUAL(message.tlvs_bad, 1);
}

static void test_encode(void)
{
	static const uint8_t shutdown[] = { 0x02, 0x07, 0x04, 0x02, 0x00, 0x00, 0x00,
					    0x00, 0x01, 0x04, 0x03, 0x05, 'p',  '1',
					    0x06, 0x02, 0x00, 0x00, END };
	struct lldp_message message;
	uint8_t bytes[LLDP_MESSAGE_MAX];

	make(&message);
	CU_ASSERT_EQUAL_FATAL(lldp_encode(&message, bytes, sizeof(bytes)), (int)sizeof(whole));
	CU_ASSERT_EQUAL(memcmp(bytes, whole, sizeof(whole)), 0);
	for (size_t size = 0; size < sizeof(whole); size++)
		CU_ASSERT_EQUAL(lldp_encode(&message, bytes, size), -EMSGSIZE);
	message.ttl = 0;
	CU_ASSERT_EQUAL_FATAL(lldp_encode(&message, bytes, sizeof(bytes)), (int)sizeof(shutdown));
	CU_ASSERT_EQUAL(memcmp(bytes, shutdown, sizeof(shutdown)), 0);
	message.port.length = 0;
	CU_ASSERT_EQUAL(lldp_encode(&message, bytes, sizeof(bytes)), -EINVAL);
}

/* What was understood is what it was made of: said again, it is the same. */
static void check_whole(const struct lldp_message *message)
{
	uint8_t bytes[LLDP_MESSAGE_MAX];

	CU_ASSERT_EQUAL(message->ttl, 121);
	CU_ASSERT_EQUAL(message->capabilities, 0x14);
	CU_ASSERT_EQUAL(message->vlan, 10);
	CU_ASSERT_EQUAL(message->tlvs_bad + message->tlvs_unknown, 0);
	CU_ASSERT_EQUAL(lldp_encode(message, bytes, sizeof(bytes)), (int)sizeof(whole));
	CU_ASSERT_EQUAL(memcmp(bytes, whole, sizeof(whole)), 0);
}

static void test_decode(void)
{
	struct lldp_message message;

	CU_ASSERT_EQUAL(lldp_decode(&message, whole, sizeof(whole)), 0);
	check_whole(&message);
	/* The end may be the frame's; what is behind an end is padding. */
	CU_ASSERT_EQUAL(lldp_decode(&message, whole, sizeof(whole) - 2), 0);
	check_whole(&message);
	{
		uint8_t padded[] = { HEAD, END, 0x02, 0x07, 0xff };

		CU_ASSERT_EQUAL(lldp_decode(&message, padded, sizeof(padded)), 0);
		CU_ASSERT_EQUAL(message.tlvs_bad, 0);
		CU_ASSERT_EQUAL(message.ttl, 121);
		CU_ASSERT_FALSE(message.system_name.there);
	}
}

struct vector {
	const char *what;
	uint8_t bytes[64];
	size_t length;
};

#define VECTOR(what, ...)                                                                          \
	{                                                                                          \
		what, { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })                          \
	}

static void test_what_is_no_message(void)
{
	static const struct vector vectors[] = {
		VECTOR("nothing but an end", END),
		VECTOR("half a head", 0x02),
		VECTOR("the port first", 0x04, 0x03, 0x05, 'p', '1', 0x02, 0x02, 0x04, 1, 0x06, 2,
		       0, 9, END),
		VECTOR("an end for the port", 0x02, 0x02, 0x04, 1, END, 0x06, 2, 0, 9, END),
		VECTOR("a description for the TTL", 0x02, 0x02, 0x07, 'c', 0x04, 0x02, 0x05, 'p',
		       0x08, 0x02, 0, 9, END),
		VECTOR("a chassis of no bytes", 0x02, 0x01, 0x04, 0x04, 0x02, 0x05, 'p', 0x06, 2, 0,
		       9, END),
		VECTOR("a port of no kind", 0x02, 0x02, 0x07, 'c', 0x04, 0x00, 0x06, 2, 0, 9, END),
		VECTOR("a TTL of one byte", 0x02, 0x02, 0x07, 'c', 0x04, 0x02, 0x05, 'p', 0x06, 1,
		       9, END),
		VECTOR("a chassis longer than the frame", 0x02, 0x09, 0x04, 1, 2, 3),
		VECTOR("a chassis of 257 bytes", 0x03, 0x02, 0x04),
		VECTOR("a second chassis", HEAD, 0x02, 0x02, 0x07, 'c', END),
		VECTOR("a second port", HEAD, 0x04, 0x02, 0x05, 'q', END),
		VECTOR("a second TTL", HEAD, 0x06, 0x02, 0, 0, END),
	};
	struct lldp_message message;
	uint8_t longest[2 + 258 + 16] = { 0x03, 0x01, 0x07 };

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		if (lldp_decode(&message, vectors[i].bytes, vectors[i].length) != -EBADMSG)
			CU_FAIL(vectors[i].what);
	/* 257 bytes with its kind, all of them there: one too many; 256 are good. */
	memcpy(longest + 2 + 257, (uint8_t[]){ 0x04, 0x02, 0x05, 'p', 0x06, 2, 0, 9 }, 8);
	CU_ASSERT_EQUAL(lldp_decode(&message, longest, sizeof(longest)), -EBADMSG);
	longest[1] = 0x00;
	memcpy(longest + 2 + 256, (uint8_t[]){ 0x04, 0x02, 0x05, 'p', 0x06, 2, 0, 9 }, 8);
	CU_ASSERT_EQUAL(lldp_decode(&message, longest, 2 + 256 + 8), 0);
	CU_ASSERT_EQUAL(message.chassis.length, 255);
}

/* Each beyond a good beginning: the message stays, without that. */
static void test_broken_tlvs_are_left_out(void)
{
	static const struct {
		struct vector vector;
		unsigned bad, unknown;
	} vectors[] = {
		{ VECTOR("cut off", HEAD, 0x0a, 0x05, 'l', 'a'), 1, 0 },
		{ VECTOR("one byte", HEAD, 0x0a), 1, 0 },
		{ VECTOR("a second name", HEAD, 0x0a, 1, 'a', 0x0a, 1, 'b', END), 1, 0 },
		{ VECTOR("a name of 256 bytes, cut off", HEAD, 0x0b, 0x00, 'a'), 1, 0 },
		{ VECTOR("capabilities of 3 bytes", HEAD, 0x0e, 3, 0, 4, 0, END), 1, 0 },
		{ VECTOR("an address of none", HEAD, 0x10, 0, END), 1, 0 },
		{ VECTOR("without its kind", HEAD, 0x10, 8, 1, 1, 1, 0, 0, 0, 0, 0, END), 1, 0 },
		{ VECTOR("longer than its TLV", HEAD, 0x10, 12, 31, 1, 10, 0, 0, 1, 1, 0, 0, 0, 0,
			 0, END),
		  1, 0 },
		{ VECTOR("an OID that is not there", HEAD, 0x10, 12, 5, 1, 10, 0, 0, 1, 1, 0, 0, 0,
			 0, 9, END),
		  1, 0 },
		{ VECTOR("nobody's", HEAD, 0xfe, 3, 0, 0x80, 0xc2, END), 1, 0 },
		{ VECTOR("a VLAN of one byte", HEAD, 0xfe, 5, 0, 0x80, 0xc2, 1, 9, END), 1, 0 },
		{ VECTOR("VLAN 4095", HEAD, 0xfe, 6, 0, 0x80, 0xc2, 1, 0x0f, 0xff, END), 1, 0 },
		{ VECTOR("802.3's", HEAD, 0xfe, 5, 0, 0x12, 0x0f, 1, 9, END), 0, 1 },
		{ VECTOR("a reserved one", HEAD, 0x12, 1, 9, END), 0, 1 },
	};
	struct lldp_message message;

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *vector = &vectors[i].vector;

		if (lldp_decode(&message, vector->bytes, vector->length) ||
		    message.tlvs_bad != vectors[i].bad ||
		    message.tlvs_unknown != vectors[i].unknown || message.ttl != 121 ||
		    message.has_vlan || message.has_capabilities || message.management.length)
			CU_FAIL(vector->what);
	}
}

/* ---- Neighbours ---- */

static enum lldp_news hear(struct lldp_neighbours *neighbours, uint8_t who, uint16_t ttl,
			   uint64_t now)
{
	struct lldp_message message = {
		.chassis = { .kind = 7, .length = 1, .bytes = { who } },
		.port = { .kind = 7, .length = 1, .bytes = { 0 } },
		.ttl = ttl,
	};
	uint8_t bytes[64];
	int length = lldp_encode(&message, bytes, sizeof(bytes));

	return lldp_neighbours_hear(neighbours, bytes, (size_t)length, now);
}

static void test_neighbours_age_and_are_few(void)
{
	struct lldp_neighbours neighbours;

	lldp_neighbours_init(&neighbours);
	CU_ASSERT_EQUAL(lldp_neighbours_next(&neighbours), TIMER_NEVER);
	for (uint8_t i = 0; i < LLDP_NEIGHBOURS; i++)
		CU_ASSERT_EQUAL(hear(&neighbours, i, (uint16_t)(10 + i), 0), LLDP_CAME);
	CU_ASSERT_EQUAL(hear(&neighbours, 100, 10, 0), LLDP_NOTHING);
	CU_ASSERT_EQUAL(neighbours.counters.refused, 1);
	CU_ASSERT_EQUAL(neighbours.counters.discarded, 1);
	CU_ASSERT_EQUAL(neighbours.counters.errors, 0);
	CU_ASSERT_EQUAL(neighbours.count, LLDP_NEIGHBOURS);
	CU_ASSERT_EQUAL(lldp_neighbours_next(&neighbours), 10 * LLDP_SECOND);
	lldp_neighbours_age(&neighbours, 10 * LLDP_SECOND - 1);
	CU_ASSERT_EQUAL(neighbours.count, LLDP_NEIGHBOURS);
	/* The one that is heard again stays; the room of the one that is over is the next one's. */
	CU_ASSERT_EQUAL(hear(&neighbours, 1, 50, 9 * LLDP_SECOND), LLDP_REFRESHED);
	CU_ASSERT_EQUAL(hear(&neighbours, 100, 100, 10 * LLDP_SECOND), LLDP_CAME);
	CU_ASSERT_EQUAL(neighbours.counters.aged, 1);
	lldp_neighbours_age(&neighbours, 17 * LLDP_SECOND);
	CU_ASSERT_EQUAL(neighbours.counters.aged, LLDP_NEIGHBOURS - 1);
	CU_ASSERT_EQUAL(neighbours.count, 2);
	CU_ASSERT_EQUAL(lldp_neighbours_next(&neighbours), 59 * LLDP_SECOND);
	/* A farewell is no ageing. */
	CU_ASSERT_EQUAL(hear(&neighbours, 1, 0, 17 * LLDP_SECOND), LLDP_WENT);
	CU_ASSERT_EQUAL(hear(&neighbours, 1, 0, 17 * LLDP_SECOND), LLDP_NOTHING);
	CU_ASSERT_EQUAL(neighbours.counters.aged, LLDP_NEIGHBOURS - 1);
	CU_ASSERT_EQUAL(neighbours.count, 1);
	/* What is no message changes nothing. */
	CU_ASSERT_EQUAL(lldp_neighbours_hear(&neighbours, whole, 9, 17 * LLDP_SECOND),
			LLDP_NOTHING);
	CU_ASSERT_EQUAL(neighbours.counters.errors, 1);
	CU_ASSERT_EQUAL(neighbours.counters.discarded, 2);
	lldp_neighbours_clear(&neighbours);
	CU_ASSERT_EQUAL(neighbours.count, 0);
}

static void test_random_bytes(void)
{
	struct lldp_neighbours neighbours;
	uint64_t seed = 7;

	lldp_neighbours_init(&neighbours);
	for (unsigned i = 0; i < 100000; i++) {
		uint8_t bytes[sizeof(whole)];
		size_t length = random_mix(seed++) % (sizeof(bytes) + 1);

		memcpy(bytes, whole, sizeof(bytes));
		for (unsigned k = 0; k < 3; k++)
			bytes[random_mix(seed++) % sizeof(bytes)] ^= (uint8_t)(1 << k);
		lldp_neighbours_hear(&neighbours, bytes, length, i * (LLDP_SECOND / 100));
		if (neighbours.count > LLDP_NEIGHBOURS)
			CU_FAIL_FATAL("more neighbours than there may be");
	}
	CU_ASSERT_TRUE(neighbours.counters.received == 100000 && neighbours.counters.refused &&
		       neighbours.counters.aged && neighbours.counters.errors);
	lldp_neighbours_clear(&neighbours);
}

UNIT_MAIN("lldp messages", UNIT(test_aggregation), UNIT(test_encode), UNIT(test_decode),
	  UNIT(test_what_is_no_message), UNIT(test_broken_tlvs_are_left_out),
	  UNIT(test_neighbours_age_and_are_few), UNIT(test_random_bytes))
