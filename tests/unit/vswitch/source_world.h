/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hosts that name sources (IGMPv3, MLDv2) to a snooping in virtual time, for tests. A source is a letter, 'a' to 'h'; there is one
 * group.
 */
#ifndef TENON_TESTS_UNIT_SOURCE_WORLD_H
#define TENON_TESTS_UNIT_SOURCE_WORLD_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group_frames.h"
#include "vswitch/snooping.h"

#define SECOND     SNOOPING_SECOND
#define G          0xef010203u /* 239.1.2.3, and ff0e::ef01:203 */
#define HOST       0x0a000009u
#define MEMBERSHIP (260 * SECOND)
#define ASKED      (2 * SECOND)
#define SENT       256

struct world {
	struct snooping *snooping;
	bool mld;
	uint64_t now;
	unsigned count; /* of queries since it was zeroed */
	struct {
		unsigned port;
		uint64_t time;
		bool suppress;
		char sources[16]; /* "ab"; "": of all the group */
	} sent[SENT];
	/* What is known of a port. */
	unsigned port;
	struct snooping_member_status members[16];
	struct snooping_source_status sources[256];
	unsigned member_count, source_count;
};

static inline uint32_t v4_of(char letter)
{
	return 0x0a000100u + (uint32_t)(letter - 'a');
}

static inline struct group_address address_of(bool mld, char letter)
{
	return mld ? (struct group_address){ 0x20010db800000000, (uint64_t)(letter - 'a' + 1) }
		   : group_address_v4(v4_of(letter));
}

static inline void sent(void *arg, unsigned port, unsigned except, uint16_t vlan,
			const uint8_t *frame, size_t length)
{
	struct world *world = arg;
	struct group_message message;

	(void)except, (void)vlan;
	if (group_message_parse(&message, frame, length) != GROUP_MESSAGE_GOOD ||
	    message.kind != GROUP_QUERY || group_address_is_zero(message.group))
		return;
	CU_ASSERT_TRUE_FATAL(world->count < SENT && message.source_count < 16);
	CU_ASSERT_EQUAL(message.response_ns, SECOND);
	world->sent[world->count].port = port;
	world->sent[world->count].time = world->now;
	world->sent[world->count].suppress = message.suppress;
	memset(world->sent[world->count].sources, 0, 16);
	for (unsigned i = 0; i < message.source_count; i++)
		for (char letter = 'a'; letter <= 'h'; letter++)
			if (group_address_same(group_source_at(message.is_mld, message.sources, i),
					       address_of(message.is_mld, letter)))
				world->sent[world->count].sources[i] = letter;
	world->count++;
}

static const struct snooping_actions actions = { sent };

/*
 * All queries since `count` was zeroed: when, in units of `unit` after the first, and the sources, or * for all of the group; in
 * brackets those that have other routers leave their timers alone.
 */
static inline const char *asked(const struct world *world, uint64_t unit)
{
	static char text[512];
	size_t length = 0;

	text[0] = 0;
	for (unsigned i = 0; i < world->count && length < sizeof(text); i++)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length, "%s%u:%s%s%s", i ? " " : "",
			(unsigned)((world->sent[i].time - world->sent[0].time) / unit),
			world->sent[i].suppress ? "(" : "",
			world->sent[i].sources[0] ? world->sent[i].sources : "*",
			world->sent[i].suppress ? ")" : "");
	return text;
}

static inline void pass(struct world *world, uint64_t time)
{
	uint64_t until = world->now + time;

	while (snooping_next(world->snooping) <= until) {
		world->now = snooping_next(world->snooping);
		snooping_run(world->snooping, world->now);
	}
	world->now = until;
}

static inline void set(struct world *world, unsigned querier, unsigned per_group, unsigned per_port,
		       unsigned all)
{
	struct snooping_settings settings = *snooping_get(world->snooping);

	settings.igmp = settings.mld = settings.drop_unknown = true;
	settings.querier = querier;
	settings.sources_per_group = per_group;
	settings.sources_per_port = per_port;
	settings.sources = all;
	snooping_change(world->snooping, &settings, world->now);
}

static inline void query(struct world *world, const char *sources, unsigned response)
{
	uint8_t igmp[12 + 4 * 8] = { 0x11, (uint8_t)(response * 10) };
	uint8_t mld[28 + 16 * 8] = { 130 };
	struct group_frame frame;
	unsigned count = sources ? (unsigned)strlen(sources) : 0;

	put_be16(mld + 4, (uint16_t)(response * 1000));
	put_be16(igmp + 10, (uint16_t)count);
	put_be16(mld + 26, (uint16_t)count);
	if (sources) {
		put_be32(igmp + 4, G);
		put_be64(mld + 8, 0xff0e000000000000);
		put_be64(mld + 16, G);
	}
	for (unsigned i = 0; i < count; i++) {
		put_be32(igmp + 12 + 4 * i, v4_of(sources[i]));
		put_be64(mld + 28 + 16 * i, address_of(true, sources[i]).high);
		put_be64(mld + 36 + 16 * i, address_of(true, sources[i]).low);
	}
	if (world->mld)
		group_frame_mld(&frame, 1, sources ? 0x0e : 2, sources ? G : 1, mld,
				28 + 16 * count);
	else
		group_frame_igmp(&frame, 0x0a000001, sources ? G : 0xe0000001, igmp,
				 12 + 4 * count);
	snooping_frame(world->snooping, 15, 0, frame.bytes, frame.length, world->now);
}

/* One that is the querier, or has heard another one at port 15; 20 s later. */
static inline struct world *start(bool mld, bool ours)
{
	struct world *world = calloc(1, sizeof(*world));
	struct snooping_options options = { 0x0200005e1001, 1, &actions, world };

	CU_ASSERT_PTR_NOT_NULL_FATAL(world);
	world->mld = mld;
	world->now = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(snooping_create(&world->snooping, &options), 0);
	set(world, ours, 64, 1024, 8192);
	snooping_add_vlan(world->snooping, 0, world->now);
	if (!ours)
		query(world, NULL, 10);
	pass(world, 20 * SECOND);
	return world;
}

static inline void end(struct world *world)
{
	snooping_destroy(world->snooping);
	free(world);
}

/* A record of that type with the sources, from a host at the port. */
static inline void say(struct world *world, unsigned port, uint8_t type, const char *sources)
{
	uint8_t igmp[16 + 4 * 16] = { 0x22, [7] = 1, [8] = type };
	uint8_t mld[28 + 16 * 16] = { 143, [7] = 1, [8] = type };
	unsigned count = (unsigned)strlen(sources);
	struct group_frame frame;

	put_be16(igmp + 10, (uint16_t)count);
	put_be16(mld + 10, (uint16_t)count);
	put_be32(igmp + 12, G);
	put_be64(mld + 12, 0xff0e000000000000);
	put_be64(mld + 20, G);
	for (unsigned i = 0; i < count; i++) {
		put_be32(igmp + 16 + 4 * i, v4_of(sources[i]));
		put_be64(mld + 28 + 16 * i, address_of(true, sources[i]).high);
		put_be64(mld + 36 + 16 * i, address_of(true, sources[i]).low);
	}
	if (world->mld)
		group_frame_mld(&frame, 9, 2, 0x16, mld, 28 + 16 * count);
	else
		group_frame_igmp(&frame, HOST, 0xe0000016, igmp, 16 + 4 * count);
	snooping_frame(world->snooping, port, 0, frame.bytes, frame.length, world->now);
}

/* What a host of an older version says: a report, or a leave. */
static inline void say_old(struct world *world, unsigned port, unsigned version, bool leaves)
{
	struct group_frame frame;

	if (world->mld)
		group_frame_mld_plain(&frame, 9, leaves ? 132 : 131, 0, G);
	else
		group_frame_igmp_plain(&frame, HOST, leaves ? 0xe0000002 : G,
				       leaves         ? 0x17
				       : version == 1 ? 0x12
						      : 0x16,
				       0, G);
	snooping_frame(world->snooping, port, 0, frame.bytes, frame.length, world->now);
}

/* Whether a frame of that source to the group goes to the port. */
static inline bool goes(const struct world *world, unsigned port, char letter)
{
	static const uint8_t bytes[8] = { 0 };
	struct group_frame data;
	struct port_set ports;

	if (world->mld) {
		struct group_address from = address_of(true, letter);

		group_frame_mld(&data, 9, 0x0e, G, bytes, sizeof(bytes));
		put_be64(data.bytes + data.ip + 8, from.high);
		put_be64(data.bytes + data.ip + 16, from.low);
		data.bytes[data.ip + 6] = 17;
	} else {
		group_frame_igmp(&data, v4_of(letter), G, bytes, sizeof(bytes));
		data.bytes[data.ip + 9] = 17;
	}
	CU_ASSERT_TRUE_FATAL(group_set_look(snooping_set(world->snooping), 0, data.bytes, 12,
					    data.length, &ports));
	return port_set_has(&ports, port);
}

/* The sources whose frames go to the port, of 'a' to 'h'. */
static inline const char *gets(const struct world *world, unsigned port)
{
	static char text[16];
	unsigned count = 0;

	for (char letter = 'a'; letter <= 'h'; letter++)
		if (goes(world, port, letter))
			text[count++] = letter;
	text[count] = 0;
	return text;
}

static inline void note_member(void *arg, const struct snooping_member_status *status)
{
	struct world *world = arg;

	CU_ASSERT_TRUE_FATAL(world->member_count < 16);
	world->members[world->member_count++] = *status;
}

static inline void note_source(void *arg, const struct snooping_source_status *status)
{
	struct world *world = arg;

	CU_ASSERT_TRUE_FATAL(world->source_count < 256);
	world->sources[world->source_count++] = *status;
}

/* NULL: it is no member. Its sources begin at *first. */
static inline const struct snooping_member_status *look(struct world *world, unsigned port,
							unsigned *first)
{
	world->member_count = world->source_count = *first = 0;
	snooping_each_member(world->snooping, note_member, world);
	snooping_each_source(world->snooping, note_source, world);
	for (unsigned i = 0; i < world->member_count; i++) {
		if (world->members[i].port == port)
			return &world->members[i];
		*first += world->members[i].sources;
	}
	return NULL;
}

#endif
