/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: IGMP and MLD snooping in virtual time, by the timings of RFC 2236, 3376, 2710, 3810 and RFC 4541. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group_frames.h"
#include "vswitch/snooping.h"

#define SECOND SNOOPING_SECOND
#define G      0xef010203u /* 239.1.2.3 */
#define H      0xef010204u
#define ALL    0xe0000001u
#define ROUTER 0x0a000001u
#define HOST   0x0a000009u
#define SENT   4096

struct sent {
	unsigned port, except;
	uint16_t vlan;
	uint64_t time;
	bool is_query;
	struct group_message message;
	uint8_t bytes[GROUP_FRAME_ROOM];
};

struct world {
	struct snooping *snooping;
	uint64_t now;
	unsigned count;
	struct sent sent[SENT];
};

static void record(void *arg, unsigned port, unsigned except, uint16_t vlan, const uint8_t *frame,
		   size_t length)
{
	struct world *world = arg;
	struct sent *sent = &world->sent[world->count++];

	CU_ASSERT_TRUE_FATAL(world->count < SENT && length <= GROUP_FRAME_ROOM);
	*sent = (struct sent){ port, except, vlan, world->now, false, { 0 }, { 0 } };
	memcpy(sent->bytes, frame, length);
	sent->is_query =
		group_message_parse(&sent->message, sent->bytes, length) == GROUP_MESSAGE_GOOD &&
		sent->message.kind == GROUP_QUERY;
}

static const struct snooping_actions actions = { record };

static void set(struct world *world, void (*change)(struct snooping_settings *settings))
{
	struct snooping_settings settings = *snooping_get(world->snooping);

	change(&settings);
	snooping_change(world->snooping, &settings, world->now);
}

static void both(struct snooping_settings *settings)
{
	settings->igmp = settings->mld = true;
}

static void ask_ourselves(struct snooping_settings *settings)
{
	settings->querier = true;
}

static struct world *start(bool querier)
{
	struct world *world = calloc(1, sizeof(*world));
	struct snooping_options options = { 0x0200005e1001, 1, &actions, world };

	CU_ASSERT_PTR_NOT_NULL_FATAL(world);
	world->now = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(snooping_create(&world->snooping, &options), 0);
	set(world, both);
	if (querier)
		set(world, ask_ourselves);
	return world;
}

static void end(struct world *world)
{
	snooping_destroy(world->snooping);
	free(world);
}

/* Time passes, and stops where something is due. */
static void pass(struct world *world, uint64_t time)
{
	uint64_t until = world->now + time;

	while (snooping_next(world->snooping) <= until) {
		world->now = snooping_next(world->snooping);
		snooping_run(world->snooping, world->now);
	}
	world->now = until;
}

static void put(struct world *world, unsigned port, const struct group_frame *frame)
{
	snooping_frame(world->snooping, port, 0, frame->bytes, frame->length, world->now);
}

static void report(struct world *world, unsigned port, uint32_t group)
{
	struct group_frame frame;

	group_frame_igmp_record(&frame, HOST, GROUP_TO_EXCLUDE, group, 0);
	put(world, port, &frame);
}

static void query(struct world *world, unsigned port, uint32_t source)
{
	struct group_frame frame;

	group_frame_igmp_plain(&frame, source, ALL, 0x11, 100, 0);
	put(world, port, &frame);
}

/* Where a frame to the group goes: "all", "none", "1 2". */
static const char *where(const struct world *world, uint16_t vlan, const struct group_frame *data)
{
	static char text[256];
	struct port_set ports;
	size_t used = 0;

	if (!group_set_look(snooping_set(world->snooping), vlan, data->bytes, 12, data->length,
			    &ports))
		return "all";
	strcpy(text, "none");
	for (unsigned port = 0; port < SNOOPING_PORTS; port++)
		if (port_set_has(&ports, port))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u",
						 used ? " " : "", port);
	return text;
}

static const char *where_v4(const struct world *world, uint32_t group)
{
	struct group_frame data;

	group_frame_igmp_plain(&data, HOST, group, 0x12, 0, group);
	data.bytes[data.ip + 9] = 17;
	return where(world, 0, &data);
}

static const char *where_v6(const struct world *world, uint8_t scope, uint64_t group)
{
	uint8_t bytes[24] = { 0 };
	struct group_frame data;

	group_frame_mld(&data, 9, scope, group, bytes, sizeof(bytes));
	data.bytes[data.ip + 6] = 17;
	return where(world, 0, &data);
}

/* ---- */

/* RFC 3376, 8.2, 8.6, 8.7: two queries 31.25 s apart, then one each 125 s. */
static void test_our_queries_and_trust(void)
{
	static const uint64_t quarters[] = { 0, 125, 625, 1125 };
	struct world *world = start(true);

	report(world, 1, G);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	pass(world, 10 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1");
	pass(world, 280 * SECOND);
	CU_ASSERT_EQUAL_FATAL(world->count, 4);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(world->sent[i].is_query);
		CU_ASSERT_EQUAL(world->sent[i].port, SNOOPING_PORTS);
		CU_ASSERT_EQUAL(world->sent[i].message.version, 3);
		CU_ASSERT_EQUAL(world->sent[i].message.response_ns, 10 * SECOND);
		CU_ASSERT_TRUE(group_address_is_zero(world->sent[i].message.source));
		CU_ASSERT_EQUAL(world->sent[i].time, 1000 * SECOND + quarters[i] * SECOND / 4);
	}
	end(world);
}

/* RFC 3376, 8.4: 260 s after it was last said. */
static void test_membership_ends(void)
{
	struct world *world = start(true);

	report(world, 1, G);
	report(world, 2, G);
	pass(world, 100 * SECOND);
	report(world, 2, G);
	pass(world, 160 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2");
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2");
	pass(world, 100 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->expired, 2);
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 0);
	end(world);
}

static void test_without_a_querier_all_is_flooded(void)
{
	struct world *world = start(false);

	report(world, 1, G);
	pass(world, 100 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	CU_ASSERT_EQUAL(world->count, 0);
	query(world, 5, ROUTER);
	report(world, 2, G);
	pass(world, 10 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2 5");
	/* It falls silent: 255 s, RFC 3376, 8.5. */
	pass(world, 245 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 5");
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	end(world);
}

/* RFC 4541, 2.1.1: reports go where routers are, and there only; queries everywhere. */
static void test_who_hears_what(void)
{
	static const struct snooping_port_settings fixed = { .router = SNOOPING_ROUTER_ALWAYS };
	struct world *world = start(false);
	struct group_frame frame;

	query(world, 5, ROUTER);
	CU_ASSERT_EQUAL_FATAL(world->count, 1);
	CU_ASSERT_EQUAL(world->sent[0].port, SNOOPING_PORTS);
	CU_ASSERT_EQUAL(world->sent[0].except, 5);
	report(world, 1, G);
	CU_ASSERT_EQUAL_FATAL(world->count, 2);
	CU_ASSERT_EQUAL(world->sent[1].port, 5);
	snooping_change_port(world->snooping, 7, &fixed, world->now);
	group_frame_igmp_plain(&frame, HOST, 0xe0000002, 0x17, 0, G);
	put(world, 1, &frame);
	CU_ASSERT_EQUAL_FATAL(world->count, 4);
	CU_ASSERT_EQUAL(world->sent[2].port, 5);
	CU_ASSERT_EQUAL(world->sent[3].port, 7);
	/* A router's own report does not come back to it. */
	report(world, 5, G);
	CU_ASSERT_EQUAL_FATAL(world->count, 5);
	CU_ASSERT_EQUAL(world->sent[4].port, 7);
	/* What is not known goes everywhere, what is broken nowhere. */
	group_frame_igmp_plain(&frame, HOST, G, 0x77, 0, G);
	put(world, 1, &frame);
	CU_ASSERT_EQUAL(world->sent[5].port, SNOOPING_PORTS);
	frame.bytes[frame.message]++;
	put(world, 1, &frame);
	CU_ASSERT_EQUAL(world->count, 6);
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->bad, 1);
	/* A PIM router shows itself. */
	group_frame_igmp(&frame, ROUTER, 0xe000000d, (uint8_t[8]){ 0x20 }, 8);
	frame.bytes[frame.ip + 9] = 103;
	group_frame_finish(&frame);
	put(world, 9, &frame);
	pass(world, 10 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 5 7 9");
	end(world);
}

/* RFC 3376, 8.8 to 8.10; the queries go to that port only. */
static void test_leaving(void)
{
	struct world *world = start(true);
	struct group_frame leave;
	unsigned before;

	report(world, 1, G);
	report(world, 2, G);
	pass(world, 20 * SECOND);
	before = world->count;
	group_frame_igmp_plain(&leave, HOST, 0xe0000002, 0x17, 0, G);
	put(world, 1, &leave);
	put(world, 1, &leave); /* says nothing new */
	CU_ASSERT_EQUAL(world->count, before + 1);
	pass(world, 2 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2");
	CU_ASSERT_EQUAL_FATAL(world->count, before + 2);
	for (unsigned i = before; i < before + 2; i++) {
		CU_ASSERT_EQUAL(world->sent[i].port, 1);
		CU_ASSERT_EQUAL(world->sent[i].time, (1020 + i - before) * SECOND);
		CU_ASSERT_TRUE(
			group_address_same(world->sent[i].message.group, group_address_v4(G)));
		CU_ASSERT_EQUAL(world->sent[i].message.response_ns, SECOND);
	}
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2");
	/* Another host answers: the port stays. */
	put(world, 2, &leave);
	report(world, 2, G);
	pass(world, 5 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2");
	end(world);
}

static void test_fast_leave_and_old_hosts(void)
{
	static const struct snooping_port_settings fast = { .fast_leave = true };
	struct world *world = start(true);
	struct group_frame leave, frame;

	snooping_add_vlan(world->snooping, 0, world->now);
	pass(world, 20 * SECOND);
	for (unsigned port = 1; port <= 3; port++) {
		report(world, port, G);
		snooping_change_port(world->snooping, port, &fast, world->now);
	}
	group_frame_igmp_plain(&leave, HOST, 0xe0000002, 0x17, 0, G);
	put(world, 1, &leave);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3");
	/* Where a host of IGMP 1 is, leaves of others say nothing (RFC 2236, 4). */
	group_frame_igmp_plain(&frame, HOST, G, 0x12, 0, G);
	put(world, 2, &frame);
	put(world, 2, &leave);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3");
	/* BLOCK never ends it at once, and means nothing where a host of IGMP 2 is. */
	group_frame_igmp_record(&frame, HOST, GROUP_BLOCK, G, 2);
	put(world, 3, &frame);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3");
	group_frame_igmp_plain(&frame, HOST, G, 0x16, 0, G);
	put(world, 3, &frame);
	group_frame_igmp_record(&frame, HOST, GROUP_BLOCK, G, 2);
	put(world, 3, &frame);
	pass(world, 10 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3");
	end(world);
}

static void without_sources(struct snooping_settings *settings)
{
	settings->sources_per_group = 0;
}

/*
 * What each record does to a port that is a member, and to one that is none, 3 s later, where no sources are kept.
 * snooping_source_test.c has it with them.
 */
static void test_records(void)
{
	static const struct {
		uint8_t type;
		unsigned sources;
		bool makes, keeps;
	} cases[] = {
		{ GROUP_IS_INCLUDE, 0, false, true },
		{ GROUP_IS_INCLUDE, 1, true, true },
		{ GROUP_IS_EXCLUDE, 0, true, true },
		{ GROUP_IS_EXCLUDE, 2, true, true },
		{ GROUP_TO_INCLUDE, 0, false, false },
		{ GROUP_TO_INCLUDE, 1, true, true },
		{ GROUP_TO_EXCLUDE, 0, true, true },
		{ GROUP_TO_EXCLUDE, 3, true, true },
		{ GROUP_ALLOW, 1, true, true },
		{ GROUP_BLOCK, 1, false, false },
		{ 7, 1, false, true },
		{ 0, 0, false, true },
	};

	for (unsigned mld = 0; mld < 2; mld++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct world *world = start(true);
			struct group_frame frame;
			char expected[16];

			set(world, without_sources);
			snooping_add_vlan(world->snooping, 0, world->now);
			pass(world, 20 * SECOND);
			if (mld)
				group_frame_mld_record(&frame, 9, GROUP_TO_EXCLUDE, 5, 0);
			else
				group_frame_igmp_record(&frame, HOST, GROUP_TO_EXCLUDE, G, 0);
			put(world, 1, &frame);
			put(world, 9, &frame);
			if (mld)
				group_frame_mld_record(&frame, 9, cases[i].type, 5,
						       cases[i].sources);
			else
				group_frame_igmp_record(&frame, HOST, cases[i].type, G,
							cases[i].sources);
			put(world, 1, &frame);
			put(world, 2, &frame);
			pass(world, 3 * SECOND);
			snprintf(expected, sizeof(expected), "%s%s9", cases[i].keeps ? "1 " : "",
				 cases[i].makes ? "2 " : "");
			CU_ASSERT_STRING_EQUAL(mld ? where_v6(world, 0xe, 5) : where_v4(world, G),
					       expected);
			end(world);
		}
}

static void with_address(struct snooping_settings *settings)
{
	settings->address = 0x0a000005;
}

/* RFC 3376, 6.6.2: the lower address asks; 255 s after its last query we do again. */
static void test_election(void)
{
	struct world *world = start(true);
	unsigned before;

	set(world, with_address);
	report(world, 1, G);
	before = world->count;
	query(world, 5, 0x0a000006); /* a higher one */
	query(world, 6, 0);          /* and none at all */
	pass(world, 200 * SECOND);
	CU_ASSERT_EQUAL(world->count, before + 2 + 2);
	before = world->count;
	query(world, 5, 0x0a000004);
	pass(world, 255 * SECOND - 1);
	CU_ASSERT_EQUAL(world->count, before + 1);
	pass(world, 1);
	CU_ASSERT_EQUAL_FATAL(world->count, before + 2);
	CU_ASSERT_TRUE(world->sent[before + 1].is_query);
	CU_ASSERT_EQUAL(world->sent[before + 1].message.source.low & UINT32_MAX, 0x0a000005);
	end(world);
	/* Who has no address loses to all. */
	world = start(true);
	snooping_add_vlan(world->snooping, 0, world->now);
	before = world->count;
	query(world, 5, 0xdf000001);
	pass(world, 150 * SECOND);
	/* But MLD has one: fe80::5eff:fe.. is ours, and it goes on. */
	for (unsigned i = before + 1; i < world->count; i++)
		CU_ASSERT_TRUE(world->sent[i].message.is_mld);
	CU_ASSERT_EQUAL(world->sent[1].message.source.high, 0xfe80000000000000);
	CU_ASSERT_EQUAL(world->sent[1].message.source.low, 0x000000fffe5e1001);
	end(world);
}

/*
 * Who asks for one group only is in nobody's place: all that is not about that group would end, and nobody would have asked for it. A guest
 * asks so, and goes on.
 */
static void test_who_asks_for_one_group_only(void)
{
	for (unsigned was_general = 0; was_general < 2; was_general++) {
		struct world *world = start(true);
		struct group_frame frame;
		unsigned general = 0;

		snooping_add_vlan(world->snooping, 0, world->now);
		pass(world, 20 * SECOND);
		if (was_general)
			query(world, 5, ROUTER);
		group_frame_igmp_plain(&frame, ROUTER, G, 0x11, 100, G);
		world->count = 0;
		for (unsigned i = 0; i < 51; i++) {
			put(world, 5, &frame);
			pass(world, 10 * SECOND);
		}
		for (unsigned i = 0; i < world->count; i++)
			general += world->sent[i].is_query && world->sent[i].except != 5 &&
				   !world->sent[i].message.is_mld;
		/* The second of ours, and then each 125 s; or from the 255th second on. */
		CU_ASSERT_EQUAL(general, was_general ? 3 : 4);
		end(world);
	}
}

static void note_querier(void *arg, const struct snooping_vlan_status *status)
{
	if (!status->is_mld)
		*(struct snooping_vlan_status *)arg = *status;
}

/* A port that is removed takes the querier along that was behind it; its slot may be another's soon. */
static void test_the_queriers_port_goes(void)
{
	for (unsigned ours = 0; ours < 2; ours++) {
		struct world *world = start(ours);
		struct snooping_vlan_status status = { 0 };
		unsigned before;

		query(world, 3, ROUTER);
		pass(world, 20 * SECOND);
		report(world, 1, G);
		CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 3");
		snooping_port_gone(world->snooping, 2, world->now);
		snooping_each_vlan(world->snooping, note_querier, &status);
		CU_ASSERT_TRUE(status.other && status.querier_port == 3);
		before = world->count;
		snooping_port_gone(world->snooping, 3, world->now);
		snooping_each_vlan(world->snooping, note_querier, &status);
		CU_ASSERT_FALSE(status.other);
		CU_ASSERT_EQUAL(status.ours, ours != 0);
		/* We ask at once; or nobody does, and memberships mean nothing. */
		CU_ASSERT_EQUAL(world->count - before, ours);
		CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
		pass(world, 10 * SECOND);
		CU_ASSERT_STRING_EQUAL(where_v4(world, G), ours ? "1" : "all");
		end(world);
	}
}

/*
 * A guest asks once and says that what is answered lasts 1.1 s. When we ask again hosts have 10 s to answer: until then nobody goes without, whatever
 * others have said since.
 */
static void test_a_querier_of_a_second(void)
{
	static const uint8_t tail[4] = { 1, 1 }; /* robustness, and the interval in seconds */
	struct world *world = start(true);
	struct group_frame frame;
	uint8_t igmp[12] = { 0x11, 1 }; /* 0.1 s for an answer */

	report(world, 1, G);
	pass(world, 20 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1");
	memcpy(igmp + 8, tail, sizeof(tail));
	group_frame_igmp(&frame, ROUTER, ALL, igmp, sizeof(igmp));
	put(world, 5, &frame);
	report(world, 1, G);
	pass(world, SECOND + SECOND / 20);
	report(world, 2, G); /* of another host, in time */
	pass(world, SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	pass(world, 8 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	report(world, 1, G);
	pass(world, 2 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2");
	end(world);
}

/* RFC 2236, 3: who hears the querier ask for a group lowers its timers to twice the time for an answer. */
static void test_another_querier_asks(void)
{
	struct world *world = start(false);
	struct group_frame frame;

	query(world, 5, ROUTER);
	pass(world, 10 * SECOND);
	report(world, 1, G);
	report(world, 2, G);
	report(world, 3, H);
	group_frame_igmp_plain(&frame, 0xdf000001, G, 0x11, 10, G); /* not by the querier */
	put(world, 5, &frame);
	pass(world, 3 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2 5");
	group_frame_igmp_plain(&frame, ROUTER, G, 0x11, 10, G);
	put(world, 5, &frame);
	report(world, 2, G);
	pass(world, 2 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 5");
	CU_ASSERT_STRING_EQUAL(where_v4(world, H), "3 5");
	/* A time of nothing for the answer is not taken at its word. */
	group_frame_igmp(&frame, ROUTER, G, (uint8_t[12]){ 0x11, 0, 0, 0, 239, 1, 2, 3 }, 12);
	put(world, 5, &frame);
	pass(world, SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 5");
	/* The querier says how often it asks: RFC 3376, 4.1.6 and 8.9. */
	group_frame_igmp(&frame, ROUTER, ALL, (uint8_t[12]){ 0x11, 100, [8] = 4 }, 12);
	put(world, 5, &frame);
	report(world, 2, G);
	group_frame_igmp(&frame, ROUTER, G, (uint8_t[12]){ 0x11, 10, 0, 0, 239, 1, 2, 3, 4 }, 12);
	put(world, 5, &frame);
	pass(world, 4 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 5");
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	end(world);
}

static void few(struct snooping_settings *settings)
{
	settings->groups_per_port = 10;
	settings->groups = 15;
}

static void drop(struct snooping_settings *settings)
{
	settings->drop_unknown = true;
}

/* Only who asks for too much pays: it gets all groups, for 260 s. */
static void test_limits(void)
{
	struct world *world = start(true);
	struct snooping_port_settings more = { .groups = 12 };

	set(world, few);
	set(world, drop);
	snooping_change_port(world->snooping, 3, &more, world->now);
	for (uint32_t i = 0; i < 20; i++)
		report(world, 1, G + i);
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->refused, 10);
	for (uint32_t i = 0; i < 6; i++)
		report(world, 2, G + 0x100 + i);
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->refused, 11);
	report(world, 4, G);
	pass(world, 10 * SECOND);
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 15);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2 4");
	CU_ASSERT_STRING_EQUAL(where_v4(world, G + 19), "1 2");
	CU_ASSERT_STRING_EQUAL(where_v4(world, 0xef0a0a0a), "1 2");
	for (uint32_t i = 0; i < 13; i++)
		report(world, 3, i < 10 ? G + i : G + 0x100 + i - 10);
	CU_ASSERT_STRING_EQUAL(where_v4(world, 0xef0a0a0a), "1 2 3");
	pass(world, 260 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, 0xef0a0a0a), "none");
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 0);
	/* And of VLANs. */
	for (unsigned vlan = 0; vlan < SNOOPING_VLANS * 2 + 5; vlan++) {
		struct group_frame frame;

		group_frame_igmp_record(&frame, HOST, GROUP_TO_EXCLUDE, G, 0);
		snooping_frame(world->snooping, 1, (uint16_t)(vlan + 100), frame.bytes,
			       frame.length, world->now);
	}
	CU_ASSERT_TRUE(snooping_counters(world->snooping)->vlans_refused >= 5);
	/* Those where nothing is heard any more go. */
	world->count = 0;
	for (unsigned i = 0; i < 12; i++, world->count = 0)
		pass(world, 100 * SECOND);
	CU_ASSERT_EQUAL(snooping_next(world->snooping), TIMER_NEVER);
	end(world);
}

/* Records cost time: beyond ten thousand in a second a port has all groups instead. */
static void test_a_flood_of_records(void)
{
	uint8_t message[8 + 8 * 200] = { 0x22, [6] = 0, [7] = 200 };
	struct world *world = start(true);
	struct group_frame frame;

	snooping_add_vlan(world->snooping, 0, world->now);
	set(world, drop);
	pass(world, 10 * SECOND);
	for (unsigned i = 0; i < 200; i++) {
		message[8 + 8 * i] = GROUP_IS_EXCLUDE;
		put_be32(message + 12 + 8 * i, G);
	}
	group_frame_igmp(&frame, HOST, 0xe0000016, message, sizeof(message));
	for (unsigned i = 0; i < 50; i++)
		put(world, 1, &frame);
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->refused, 0);
	CU_ASSERT_STRING_EQUAL(where_v4(world, H), "none");
	for (unsigned i = 0; i < 10; i++)
		put(world, 1, &frame);
	CU_ASSERT_TRUE(snooping_counters(world->snooping)->refused >= 1998);
	CU_ASSERT_STRING_EQUAL(where_v4(world, H), "1");
	/* Others' are heard; and its own again, later. */
	report(world, 2, G);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2");
	pass(world, 260 * SECOND);
	report(world, 1, G);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1");
	CU_ASSERT_STRING_EQUAL(where_v4(world, H), "none");
	end(world);
}

static void test_what_is_for_everybody(void)
{
	struct world *world = start(true);
	struct group_frame frame;

	set(world, drop);
	snooping_add_vlan(world->snooping, 0, world->now);
	snooping_add_vlan(world->snooping, 10, world->now);
	report(world, 1, 0xe00000fb);
	report(world, 1, G);
	pass(world, 10 * SECOND);
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, ALL), "all");
	CU_ASSERT_STRING_EQUAL(where_v4(world, 0xe00000fb), "all");
	CU_ASSERT_STRING_EQUAL(where_v4(world, 0xe0000100), "none");
	/* It has the MAC address of 224.0.0.251. */
	CU_ASSERT_STRING_EQUAL(where_v4(world, 0xef0000fb), "none");
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1");
	/* The same MAC address, another group. */
	CU_ASSERT_STRING_EQUAL(where_v4(world, G + 0x800000), "none");
	CU_ASSERT_STRING_EQUAL(where_v6(world, 2, 1), "all");
	CU_ASSERT_STRING_EQUAL(where_v6(world, 1, 5), "all");
	CU_ASSERT_STRING_EQUAL(where_v6(world, 2, 0xfb), "none");
	CU_ASSERT_STRING_EQUAL(where_v6(world, 5, 1), "none");
	/* Addresses that do not belong together; a broadcast; another protocol; another VLAN; a stump. */
	group_frame_igmp_plain(&frame, HOST, G, 0x12, 0, G);
	CU_ASSERT_STRING_EQUAL(where(world, 0, &frame), "1");
	CU_ASSERT_STRING_EQUAL(where(world, 10, &frame), "none");
	CU_ASSERT_STRING_EQUAL(where(world, 11, &frame), "all");
	frame.length = 33;
	CU_ASSERT_STRING_EQUAL(where(world, 0, &frame), "all");
	frame.length = 60;
	frame.bytes[5]++;
	CU_ASSERT_STRING_EQUAL(where(world, 0, &frame), "all");
	memset(frame.bytes, 0xff, 6);
	CU_ASSERT_STRING_EQUAL(where(world, 0, &frame), "all");
	group_frame_igmp_plain(&frame, HOST, G, 0x12, 0, G);
	put_be16(frame.bytes + 12, 0x88b5);
	CU_ASSERT_STRING_EQUAL(where(world, 0, &frame), "all");
	end(world);
}

static void test_ports_and_topology(void)
{
	static const struct snooping_port_settings guard = { .router = SNOOPING_ROUTER_NEVER };
	struct world *world = start(true);
	unsigned before;

	report(world, 1, G);
	report(world, 2, G);
	query(world, 5, 0);
	pass(world, 20 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2 5");
	snooping_port_down(world->snooping, 1, world->now);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 5");
	/* Who comes is asked, and has all until it had time to answer. */
	before = world->count;
	snooping_port_up(world->snooping, 1, world->now);
	CU_ASSERT_EQUAL(world->count, before + 1);
	CU_ASSERT_EQUAL(world->sent[before].port, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "1 2 5");
	pass(world, 10 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 5");
	before = world->count;
	snooping_topology_changed(world->snooping, world->now);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	CU_ASSERT_EQUAL(world->count, before + 1);
	report(world, 3, G);
	pass(world, 10 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3 5");
	/* Where no router may be, none is. */
	snooping_change_port(world->snooping, 5, &guard, world->now);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3");
	before = world->count;
	query(world, 5, ROUTER);
	CU_ASSERT_EQUAL(world->count, before);
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->guarded, 1);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "2 3");
	snooping_port_gone(world->snooping, 2, world->now);
	snooping_port_gone(world->snooping, 3, world->now);
	CU_ASSERT_STRING_EQUAL(where_v4(world, G), "all");
	snooping_port_gone(world->snooping, 5, world->now);
	CU_ASSERT_EQUAL(snooping_get_port(world->snooping, 5)->router, SNOOPING_ROUTER_AUTO);
	end(world);
}

static void igmp_only(struct snooping_settings *settings)
{
	settings->mld = false;
}

static void test_mld(void)
{
	struct world *world = start(true);
	struct group_frame frame;
	unsigned before;

	group_frame_mld_plain(&frame, 9, 131, 0, 5);
	put(world, 1, &frame);
	put(world, 2, &frame);
	pass(world, 10 * SECOND);
	CU_ASSERT_STRING_EQUAL(where_v6(world, 0xe, 5), "1 2");
	before = world->count;
	group_frame_mld_plain(&frame, 9, 132, 0, 5);
	put(world, 1, &frame);
	pass(world, 2 * SECOND);
	CU_ASSERT_EQUAL_FATAL(world->count, before + 2);
	CU_ASSERT_TRUE(world->sent[before].is_query && world->sent[before].message.is_mld);
	CU_ASSERT_EQUAL(world->sent[before].message.group.low, 5);
	CU_ASSERT_STRING_EQUAL(where_v6(world, 0xe, 5), "2");
	/* A querier with a lower address. */
	group_frame_mld_plain(&frame, 1, 130, 10000, 0);
	put(world, 7, &frame);
	before = world->count;
	pass(world, 200 * SECOND);
	CU_ASSERT_EQUAL(world->count, before);
	CU_ASSERT_STRING_EQUAL(where_v6(world, 0xe, 5), "2 7");
	/* What is not snooped passes. */
	set(world, igmp_only);
	CU_ASSERT_STRING_EQUAL(where_v6(world, 0xe, 5), "all");
	group_frame_mld_plain(&frame, 9, 131, 0, 5);
	put(world, 1, &frame);
	CU_ASSERT_EQUAL(world->sent[world->count - 1].port, SNOOPING_PORTS);
	CU_ASSERT_EQUAL(world->sent[world->count - 1].except, 1);
	end(world);
}

UNIT_MAIN("snooping", UNIT(test_our_queries_and_trust), UNIT(test_membership_ends),
	  UNIT(test_without_a_querier_all_is_flooded), UNIT(test_who_hears_what),
	  UNIT(test_leaving), UNIT(test_fast_leave_and_old_hosts), UNIT(test_records),
	  UNIT(test_election), UNIT(test_who_asks_for_one_group_only),
	  UNIT(test_the_queriers_port_goes), UNIT(test_a_querier_of_a_second),
	  UNIT(test_another_querier_asks), UNIT(test_limits), UNIT(test_a_flood_of_records),
	  UNIT(test_what_is_for_everybody), UNIT(test_ports_and_topology), UNIT(test_mld))
