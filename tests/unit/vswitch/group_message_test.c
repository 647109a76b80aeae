/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: messages of IGMP and MLD, whole and broken. */
#include "unit.h"

#include <string.h>

#include "group_frames.h"
#include "vswitch/group_message.h"

#define MS     1000000ULL
#define G      0xef010203u /* 239.1.2.3 */
#define ALL    0xe0000001u
#define ROUTER 0x0a000001u
#define HOST   0x0a000009u

static enum group_message_found parse(struct group_message *out, const struct group_frame *frame)
{
	return group_message_parse(out, frame->bytes, frame->length);
}

static void test_igmp_of_three_versions(void)
{
	static const uint8_t query_3[16] = { 0x11, 0x8f, 0,    0, 239, 1, 2, 3,
					     0x0b, 0xa0, 0x00, 1, 10,  0, 0, 5 };
	struct group_frame frame;
	struct group_message message;

	group_frame_igmp_plain(&frame, ROUTER, ALL, 0x11, 0, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_QUERY);
	CU_ASSERT_EQUAL(message.version, 1);
	CU_ASSERT_EQUAL(message.response_ns, 10000 * MS);
	group_frame_igmp_plain(&frame, ROUTER, ALL, 0x11, 100, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.version, 2);
	CU_ASSERT_EQUAL(message.response_ns, 10000 * MS);
	CU_ASSERT_TRUE(group_address_same(message.source, group_address_v4(ROUTER)));
	/* 0x8f: (15 | 16) << 3 tenths; S, QRV 3, QQIC 0xa0: 16 << 5 seconds. */
	group_frame_igmp(&frame, ROUTER, G, query_3, sizeof(query_3));
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.version, 3);
	CU_ASSERT_EQUAL(message.response_ns, 248 * 100 * MS);
	CU_ASSERT_TRUE(message.suppress);
	CU_ASSERT_EQUAL(message.robustness, 3);
	CU_ASSERT_EQUAL(message.interval_ns, 512 * 1000 * MS);
	CU_ASSERT_EQUAL(message.source_count, 1);
	CU_ASSERT_TRUE(group_address_same(group_source_at(false, message.sources, 0),
					  group_address_v4(0x0a000005)));
	CU_ASSERT_TRUE(group_address_same(message.group, group_address_v4(G)));
	for (unsigned version = 1; version <= 2; version++) {
		group_frame_igmp_plain(&frame, HOST, G, version == 1 ? 0x12 : 0x16, 0, G);
		CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
		CU_ASSERT_EQUAL(message.kind, GROUP_REPORT);
		CU_ASSERT_EQUAL(message.version, version);
		CU_ASSERT_PTR_NULL(message.records);
	}
	group_frame_igmp_plain(&frame, HOST, 0xe0000002, 0x17, 0, G);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_LEAVE);
}

/* Two records, one with sources and auxiliary data, then another. */
static void test_records(void)
{
	uint8_t report[8 + 8 + 8 + 4 + 8] = { 0x22, [7] = 2 };
	const uint8_t *at;
	struct group_frame frame;
	struct group_message message;
	struct group_record record;

	report[8] = GROUP_ALLOW;
	report[9] = 1; /* 4 bytes of auxiliary data */
	put_be16(report + 10, 2);
	put_be32(report + 12, G);
	put_be32(report + 16, HOST);
	put_be32(report + 20, HOST + 1);
	report[28] = GROUP_TO_EXCLUDE;
	put_be32(report + 32, G + 1);
	group_frame_igmp(&frame, HOST, 0xe0000016, report, sizeof(report));
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.record_count, 2);
	at = message.records;
	group_record_next(&message, &at, &record);
	CU_ASSERT_EQUAL(record.type, GROUP_ALLOW);
	CU_ASSERT_EQUAL(record.source_count, 2);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_TRUE(group_address_same(group_source_at(false, record.sources, i),
						  group_address_v4(HOST + i)));
	group_record_next(&message, &at, &record);
	CU_ASSERT_EQUAL(record.type, GROUP_TO_EXCLUDE);
	CU_ASSERT_TRUE(group_address_same(record.group, group_address_v4(G + 1)));
	CU_ASSERT_PTR_EQUAL(at, frame.bytes + frame.length);
	/* Each record must be there whole. */
	for (size_t cut = 1; cut <= 8; cut++) {
		group_frame_igmp(&frame, HOST, 0xe0000016, report, sizeof(report) - cut);
		CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	}
	report[7] = 3;
	group_frame_igmp(&frame, HOST, 0xe0000016, report, sizeof(report));
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	group_frame_igmp_record(&frame, HOST, GROUP_IS_EXCLUDE, 0x0a000001, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
}

static void test_mld_of_two_versions(void)
{
	uint8_t query_2[28] = { 130, 0, 0, 0, 0x90, 0x01, [24] = 0x02, [25] = 125 };
	struct group_frame frame;
	struct group_message message;

	group_frame_mld_plain(&frame, 1, 130, 10000, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_TRUE(message.is_mld);
	CU_ASSERT_EQUAL(message.version, 1);
	CU_ASSERT_EQUAL(message.response_ns, 10000 * MS);
	CU_ASSERT_TRUE(group_address_is_zero(message.group));
	/* 0x9001: (1 | 0x1000) << 4 milliseconds. */
	group_frame_mld(&frame, 1, 2, 1, query_2, sizeof(query_2));
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.version, 2);
	CU_ASSERT_EQUAL(message.response_ns, 0x10010 * MS);
	CU_ASSERT_EQUAL(message.interval_ns, 125000 * MS);
	group_frame_mld_plain(&frame, 9, 131, 0, 5);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_REPORT);
	CU_ASSERT_EQUAL(message.group.low, 5);
	group_frame_mld_plain(&frame, 9, 132, 0, 5);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_LEAVE);
	/* From a host that has no address yet; but a query must have one. */
	group_frame_mld_record(&frame, 0, GROUP_IS_EXCLUDE, 5, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.record_count, 1);
	group_frame_mld_plain(&frame, 0, 130, 10000, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	/* Neighbour discovery with the same header before it is no message. */
	group_frame_mld_plain(&frame, 9, 135, 0, 5);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_NONE);
}

static void test_what_is_broken(void)
{
	struct group_frame good, frame;
	struct group_message message;

	group_frame_igmp_plain(&good, HOST, G, 0x16, 0, G);
	/* Any one bit of the message; of the header all that matters. */
	for (size_t bit = 0; bit < 8 * 8; bit++) {
		frame = good;
		frame.bytes[frame.message + bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	}
	frame = good;
	frame.bytes[frame.ip + 14]++;
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = { { 0, 0x44 }, { 0, 0x4f }, { 3, 20 }, { 3, 255 },
			{ 6, 0x20 }, { 7, 1 },    { 8, 2 },  { 12, 0xe1 } };
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		frame = good;
		frame.bytes[frame.ip + changes[i].at] = changes[i].value;
		if (changes[i].value != 0x4f) /* a header that is longer than the packet */
			group_frame_finish(&frame);
		CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	}
	/* Of 9 to 11 bytes, RFC 3376, 7.1. */
	for (size_t length = 9; length < 12; length++) {
		uint8_t query[12] = { 0x11, 100 };

		group_frame_igmp(&frame, ROUTER, ALL, query, length);
		CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	}
	/* A general query to another group's address. */
	group_frame_igmp_plain(&frame, ROUTER, G, 0x11, 100, 0);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	group_frame_mld_plain(&good, 9, 131, 0, 5);
	static const struct {
		size_t at;
		uint8_t value;
	} changes_6[] = { { 0, 0x50 }, { 4, 1 }, { 5, 8 }, { 7, 255 }, { 8, 0x20 } };
	for (size_t i = 0; i < ARRAY_SIZE(changes_6); i++) {
		frame = good;
		frame.bytes[frame.ip + changes_6[i].at] = changes_6[i].value;
		if (changes_6[i].at == 8)
			group_frame_finish(&frame);
		CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_BAD);
	}
	/* Cut anywhere, they are never good. */
	for (size_t length = 0; length < good.length; length++)
		CU_ASSERT_NOT_EQUAL(group_message_parse(&message, good.bytes, length),
				    GROUP_MESSAGE_GOOD);
}

static void set_bytes(struct group_frame *frame, size_t at, const uint8_t *bytes, size_t count)
{
	memcpy(frame->bytes + at, bytes, count);
	group_frame_finish(frame);
}

/*
 * Queries whose lengths and checksums are right, but that hosts do not take: RFC 3376, 4.1.9 and 4.1.12; RFC 3810, 5.1.10, 5.1.15 and 6.2; RFC 1122,
 * 3.2.1.3. tests/interop/switch_forged_test.sh asks Linux.
 */
static void test_queries_that_hosts_do_not_take(void)
{
	static const struct {
		const char *what;
		uint32_t source, destination, group;
		uint8_t sources;
		uint32_t mac; /* 0: that of the destination */
		uint8_t options[4];
		bool good;
	} cases[] = {
		{ "general", ROUTER, ALL, 0, 0, 0, { 0x94, 4 }, true },
		{ "of nobody", 0, ALL, 0, 0, 0, { 0x94, 4 }, true },
		{ "specific", ROUTER, G, G, 0, 0, { 0x94, 4 }, true },
		{ "specific, to all", ROUTER, ALL, G, 0, 0, { 0x94, 4 }, true },
		{ "of sources", ROUTER, G, G, 2, 0, { 0x94, 4 }, true },
		{ "padding", ROUTER, ALL, 0, 0, 0, { 1, 1, 1, 0 }, true },
		{ "to all by the MAC", ROUTER, ALL, 0, 0, UINT32_MAX, { 0x94, 4 }, true },
		{ "specific, so", ROUTER, G, G, 0, UINT32_MAX, { 0x94, 4 }, true },
		{ "general, of sources", ROUTER, ALL, 0, 1, 0, { 0x94, 4 }, false },
		{ "to another group", ROUTER, G + 1, G, 0, 0, { 0x94, 4 }, false },
		{ "to a host", ROUTER, HOST, G, 0, 0, { 0x94, 4 }, false },
		{ "to another MAC", ROUTER, ALL, 0, 0, 0x5e000002, { 0x94, 4 }, false },
		{ "specific, to that", ROUTER, G, G, 0, 0x5e010204, { 0x94, 4 }, false },
		{ "MAC of no group", ROUTER, G, G, 0, 0x5f010203, { 0x94, 4 }, false },
		{ "of loopback", 0x7f000001, ALL, 0, 0, 0, { 0x94, 4 }, false },
		{ "of all", 0xffffffff, ALL, 0, 0, 0, { 0x94, 4 }, false },
		{ "source route", ROUTER, ALL, 0, 0, 0, { 0x83, 3, 4 }, false },
		{ "an option of nothing", ROUTER, ALL, 0, 0, 0, { 0x94, 0 }, false },
		{ "one that is cut off", ROUTER, ALL, 0, 0, 0, { 1, 0x94, 4 }, false },
	};
	struct group_message message;
	struct group_frame frame;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t query[20] = { 0x11, 10, [8] = 2, [9] = 125, [11] = cases[i].sources };

		put_be32(query + 4, cases[i].group);
		put_be32(query + 12, HOST);
		group_frame_igmp(&frame, cases[i].source, cases[i].destination, query,
				 12 + 4u * cases[i].sources);
		if (cases[i].mac)
			put_be32(frame.bytes + 2, cases[i].mac);
		if (cases[i].mac == UINT32_MAX)
			put_be16(frame.bytes, UINT16_MAX);
		set_bytes(&frame, frame.ip + 20, cases[i].options, 4);
		CU_assertImplementation((parse(&message, &frame) == GROUP_MESSAGE_GOOD) ==
						cases[i].good,
					__LINE__, cases[i].what, __FILE__, "", CU_FALSE);
	}
}

static void test_queries_that_hosts_do_not_take_6(void)
{
	static const struct {
		const char *what;
		uint8_t scope;
		uint64_t destination, group;
		uint8_t sources;
		uint32_t mac; /* 0: that of the destination */
		uint8_t options[6];
		bool good;
	} cases[] = {
		{ "general", 2, 1, 0, 0, 0, { 5, 2, 0, 0, 1, 0 }, true },
		{ "padding first", 2, 1, 0, 0, 0, { 0, 0, 5, 2, 0, 0 }, true },
		{ "specific", 0x0e, 7, 7, 0, 0, { 5, 2, 0, 0, 1, 0 }, true },
		{ "specific, to all", 2, 1, 7, 0, 0, { 5, 2, 0, 0, 1, 0 }, true },
		{ "to all by the MAC", 2, 1, 0, 0, UINT32_MAX, { 5, 2, 0, 0, 1, 0 }, true },
		{ "general, of sources", 2, 1, 0, 1, 0, { 5, 2, 0, 0, 1, 0 }, false },
		{ "general, to another group", 2, 0x16, 0, 0, 0, { 5, 2, 0, 0, 1, 0 }, false },
		{ "to another group", 0x0e, 8, 7, 0, 0, { 5, 2, 0, 0, 1, 0 }, false },
		{ "to another MAC", 2, 1, 0, 0, 2, { 5, 2, 0, 0, 1, 0 }, false },
		{ "no alert", 2, 1, 0, 0, 0, { 1, 4, 0, 0, 0, 0 }, false },
		{ "an alert for RSVP", 2, 1, 0, 0, 0, { 5, 2, 0, 1, 1, 0 }, false },
		{ "padding that is none", 2, 1, 0, 0, 0, { 5, 2, 0, 0, 1, 9 }, false },
		{ "an unknown option", 2, 1, 0, 0, 0, { 5, 2, 0, 0, 0xfe, 0 }, false },
		{ "one that is cut off", 2, 1, 0, 0, 0, { 5, 2, 0, 0, 0, 1 }, false },
	};
	struct group_message message;
	struct group_frame frame;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t query[44] = { 130, [4] = 1, [24] = 2, [25] = 125 };

		query[27] = cases[i].sources;
		if (cases[i].group)
			put_be16(query + 8, 0xff0e);
		query[23] = (uint8_t)cases[i].group;
		query[28] = 0x20;
		group_frame_mld(&frame, 1, cases[i].scope, cases[i].destination, query,
				28 + 16u * cases[i].sources);
		if (cases[i].mac)
			put_be32(frame.bytes + 2, cases[i].mac);
		if (cases[i].mac == UINT32_MAX)
			put_be16(frame.bytes, UINT16_MAX);
		set_bytes(&frame, frame.ip + 42, cases[i].options, 6);
		CU_assertImplementation((parse(&message, &frame) == GROUP_MESSAGE_GOOD) ==
						cases[i].good,
					__LINE__, cases[i].what, __FILE__, "", CU_FALSE);
	}
}

static void test_routers(void)
{
	uint8_t hello[8] = { 0x20 };
	uint8_t advertisement[8] = { 0x30, 20 };
	struct group_frame frame;
	struct group_message message;

	group_frame_igmp(&frame, ROUTER, 0xe000000d, hello, sizeof(hello));
	frame.bytes[frame.ip + 9] = 103;
	group_frame_finish(&frame);
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_ROUTER);
	CU_ASSERT_TRUE(group_message_may_be(false, frame.bytes + 14, frame.length - 14));
	frame.bytes[frame.message] = 0x23; /* join/prune */
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_NONE);
	group_frame_igmp(&frame, ROUTER, 0xe000006a, advertisement, sizeof(advertisement));
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_ROUTER);
	advertisement[0] = 0x32;
	group_frame_igmp(&frame, ROUTER, 0xe000006a, advertisement, sizeof(advertisement));
	CU_ASSERT_EQUAL(parse(&message, &frame), GROUP_MESSAGE_GOOD);
	CU_ASSERT_EQUAL(message.kind, GROUP_ROUTER_GONE);
}

/* What is made is read as what it was: times that fit their units exactly. */
static void test_queries_of_ours(void)
{
	static const struct {
		bool mld;
		uint8_t version;
		uint64_t ms, read_ms;
	} cases[] = {
		{ false, 2, 100, 100 },     { false, 2, 10000, 10000 },
		{ false, 2, 60000, 25500 }, { false, 3, 10000, 10000 },
		{ false, 3, 12700, 12700 }, { false, 3, 12800, 12800 },
		{ false, 3, 60000, 57600 }, { false, 3, 9999999, 3174400 },
		{ true, 1, 10000, 10000 },  { true, 2, 10000, 10000 },
		{ true, 2, 32768, 32768 },  { true, 2, 99999999, 8387584 },
	};
	uint8_t frame[GROUP_QUERY_ROOM];
	struct group_message message;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		bool mld = cases[i / 2].mld;
		struct group_query query = { .is_mld = mld,
					     .version = cases[i / 2].version,
					     .mac = 0x020000000001,
					     .response_ns = cases[i / 2].ms * MS,
					     .robustness = 2,
					     .interval_ns = 125000 * MS };
		size_t length;

		if (mld)
			query.source = (struct group_address){ 0xfe80000000000000, 1 };
		if (i % 2)
			query.group = mld ? (struct group_address){ 0xff0e000000000000, 7 }
					  : group_address_v4(G);
		length = group_query_make(&query, frame);
		CU_ASSERT_TRUE(length >= 60 && length <= GROUP_QUERY_ROOM);
		CU_ASSERT_EQUAL_FATAL(group_message_parse(&message, frame, length),
				      GROUP_MESSAGE_GOOD);
		CU_ASSERT_EQUAL(message.kind, GROUP_QUERY);
		CU_ASSERT_EQUAL(message.is_mld, mld);
		CU_ASSERT_EQUAL(message.version, query.version);
		CU_ASSERT_TRUE(group_address_same(message.group, query.group));
		CU_ASSERT_TRUE(group_address_same(message.source, query.source));
		CU_ASSERT_EQUAL(message.response_ns, cases[i / 2].read_ms * MS);
	}
}

/* Of one group and some sources: the most that one may name is one frame, also for the smallest MTU of IPv6. */
static void test_queries_of_sources(void)
{
	struct group_address sources[GROUP_QUERY_SOURCES];
	uint8_t frame[GROUP_QUERY_ROOM];
	struct group_message message;

	for (unsigned mld = 0; mld < 2; mld++)
		for (unsigned count = 1; count <= GROUP_QUERY_SOURCES; count += 63) {
			struct group_query query = { .is_mld = mld,
						     .version = mld ? 2 : 3,
						     .sources = sources,
						     .source_count = count,
						     .response_ns = 1000 * MS,
						     .robustness = 2,
						     .interval_ns = 125000 * MS };
			size_t length;

			query.source = (struct group_address){ mld ? 0xfe80000000000000 : 0, mld };
			query.group = mld ? (struct group_address){ 0xff3e000000000000, 7 }
					  : group_address_v4(G);
			for (unsigned i = 0; i < count; i++)
				sources[i] = mld ? (struct group_address){ 0x20010db800000000, i }
						 : group_address_v4(HOST + i);
			length = group_query_make(&query, frame);
			CU_ASSERT_TRUE(length >= 60 && length <= 14 + 1280);
			CU_ASSERT_EQUAL_FATAL(group_message_parse(&message, frame, length),
					      GROUP_MESSAGE_GOOD);
			CU_ASSERT_EQUAL_FATAL(message.source_count, count);
			CU_ASSERT_FALSE(message.suppress);
			for (unsigned i = 0; i < count; i++)
				CU_ASSERT_TRUE(group_address_same(
					group_source_at(mld, message.sources, i), sources[i]));
			if (length > 60) /* without padding: cut, it is not whole */
				CU_ASSERT_EQUAL(group_message_parse(&message, frame, length - 1),
						GROUP_MESSAGE_BAD);
		}
}

UNIT_MAIN("group_message", UNIT(test_igmp_of_three_versions), UNIT(test_records),
	  UNIT(test_mld_of_two_versions), UNIT(test_what_is_broken), UNIT(test_routers),
	  UNIT(test_queries_that_hosts_do_not_take), UNIT(test_queries_that_hosts_do_not_take_6),
	  UNIT(test_queries_of_ours), UNIT(test_queries_of_sources))
