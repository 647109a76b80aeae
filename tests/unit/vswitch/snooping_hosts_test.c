/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: several hosts that name sources, of several versions, and more of them than there is room for. */
#include "source_world.h"

static void test_several_hosts_at_a_port(void)
{
	for (unsigned mld = 0; mld < 2; mld++) {
		struct world *world = start(mld, true);

		say(world, 1, GROUP_ALLOW, "ab"); /* one */
		say(world, 1, GROUP_ALLOW, "bc"); /* two */
		say(world, 2, GROUP_ALLOW, "c");  /* at another port */
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abc");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "c");
		/* One leaves; two answers for b, within the second after the first query. */
		world->count = 0;
		say(world, 1, GROUP_TO_INCLUDE, "");
		pass(world, SECOND / 2);
		say(world, 1, GROUP_IS_INCLUDE, "bc");
		pass(world, 20 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "bc");
		CU_ASSERT_STRING_EQUAL(asked(world, SECOND), "0:abc 1:(bc) 1:a");
		/* One wants all but c, two c: the port gets all, as long as two says so. */
		say(world, 1, GROUP_TO_EXCLUDE, "c");
		pass(world, SECOND / 4);
		say(world, 1, GROUP_IS_INCLUDE, "bc");
		pass(world, 20 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
		world->count = 0;
		say(world, 1, GROUP_BLOCK, "bc");
		pass(world, SECOND / 4);
		say(world, 1, GROUP_IS_EXCLUDE, "c"); /* one answers */
		pass(world, 20 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abdefgh");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "c");
		/* Who repeats a leave is not asked again before its time. */
		world->count = 0;
		for (unsigned i = 0; i < 10; i++)
			say(world, 2, GROUP_BLOCK, "c");
		CU_ASSERT_EQUAL(world->count, 1);
		pass(world, ASKED);
		CU_ASSERT_EQUAL(world->count, 2);
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "");
		end(world);
	}
}

/* With fast leave what a host says is what the port wants, at once. */
static void test_fast_leave(void)
{
	static const struct snooping_port_settings fast = { .fast_leave = true };
	struct world *world = start(false, true);

	snooping_change_port(world->snooping, 1, &fast, world->now);
	world->count = 0;
	say(world, 1, GROUP_ALLOW, "abc");
	say(world, 1, GROUP_BLOCK, "a");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "bc");
	say(world, 1, GROUP_TO_INCLUDE, "cd");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "cd");
	say(world, 1, GROUP_TO_EXCLUDE, "de");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcfgh");
	say(world, 1, GROUP_BLOCK, "a");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "bcfgh");
	say(world, 1, GROUP_TO_INCLUDE, "a");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "a");
	say(world, 1, GROUP_BLOCK, "a");
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 0);
	CU_ASSERT_EQUAL(world->count, 0);
	end(world);
}

/* RFC 3376, 6.6.1: another querier asks for sources; who does not answer in time does not want them. */
static void test_another_querier_asks_for_sources(void)
{
	for (unsigned mld = 0; mld < 2; mld++) {
		struct world *world = start(mld, false);

		say(world, 1, GROUP_ALLOW, "abc");
		say(world, 2, GROUP_TO_EXCLUDE, "h");
		say(world, 2, GROUP_ALLOW, "b");
		say(world, 3, GROUP_ALLOW, "b");
		say_old(world, 4, 2, false);
		query(world, "bg", 1);
		say(world, 3, GROUP_IS_INCLUDE, "b");
		pass(world, ASKED - 1);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abc");
		pass(world, 1);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "ac");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "acdefg");
		CU_ASSERT_STRING_EQUAL(gets(world, 3), "b");
		CU_ASSERT_STRING_EQUAL(gets(world, 4), "abcdefgh");
		/* One for all of the group is not about who wants some sources only. */
		query(world, "", 1);
		pass(world, ASKED);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "ac");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "");
		end(world);
	}
}

/* RFC 3376, 7.3.2; RFC 3810, 8.3.2. */
static void test_hosts_of_older_versions(void)
{
	for (unsigned mld = 0; mld < 2; mld++)
		for (unsigned version = 1 + mld; version <= 2; version++) {
			struct world *world = start(mld, true);

			say(world, 1, GROUP_TO_EXCLUDE, "ab");
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "cdefgh");
			say_old(world, 1, version, false);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
			world->count = 0;
			say(world, 1, GROUP_BLOCK, "a");
			say(world, 1, GROUP_TO_EXCLUDE, "b");
			say(world, 1, GROUP_IS_EXCLUDE, "c");
			pass(world, 10 * SECOND);
			CU_ASSERT_EQUAL(world->count, 0);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
			/* What wants something is heard; and a leave, but not where a host of IGMP 1 is. */
			say(world, 1, GROUP_TO_INCLUDE, "a");
			pass(world, 10 * SECOND);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), version == 1 ? "abcdefgh" : "a");
			/* Nobody of an older version for 260 s. */
			pass(world, 250 * SECOND);
			say(world, 1, GROUP_TO_EXCLUDE, "ab");
			pass(world, 10 * SECOND);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "cdefgh");
			/* A leave of an older host is one. */
			say_old(world, 1, 2, true);
			pass(world, 10 * SECOND);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "");
			end(world);
		}
}

/* Our own queries are of a version that cannot ask for sources: so who wants some gets all. */
static void test_a_querier_of_an_older_version(void)
{
	struct world *world = start(false, true);
	struct snooping_settings settings = *snooping_get(world->snooping);

	say(world, 1, GROUP_ALLOW, "ab");
	settings.igmp_version = 2;
	snooping_change(world->snooping, &settings, world->now);
	say(world, 1, GROUP_IS_INCLUDE, "ab");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
	world->count = 0;
	say(world, 1, GROUP_BLOCK, "a");
	CU_ASSERT_EQUAL_FATAL(world->count, 1);
	CU_ASSERT_STRING_EQUAL(world->sent[0].sources, "");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
	end(world);
}

/* ---- Bounds ---- */

static unsigned known_of(struct world *world, unsigned port, bool *wide)
{
	unsigned first;
	const struct snooping_member_status *member = look(world, port, &first);

	*wide = member && member->wide;
	return member ? member->sources : 0;
}

/* Who names too many sources gets all of that group, for as long as it does so; others what they asked for. */
static void test_bounds(void)
{
	static const struct {
		unsigned per_group, per_port, all;
	} bounds[] = { { 3, 1024, 8192 }, { 64, 3, 8192 }, { 64, 1024, 5 }, { 0, 1024, 8192 } };
	bool wide;

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		struct world *world = start(i % 2, true);

		set(world, 1, 64, 1024, 8192);
		say(world, 2, GROUP_ALLOW, "ab");
		set(world, 1, bounds[i].per_group, bounds[i].per_port, bounds[i].all);
		if (bounds[i].per_group) {
			say(world, 1, GROUP_ALLOW, "abc");
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "abc");
			/* As many others in one record: there is room for them, without those that go. */
			say(world, 1, GROUP_IS_EXCLUDE, "def");
			CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcgh");
			CU_ASSERT_EQUAL(snooping_counters(world->snooping)->sources_refused, 0);
		}
		say(world, 1, GROUP_TO_EXCLUDE, "defg");
		CU_ASSERT_EQUAL(known_of(world, 1, &wide), 0);
		CU_ASSERT_EQUAL(wide, bounds[i].per_group != 0);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "ab");
		CU_ASSERT_EQUAL(snooping_counters(world->snooping)->sources_refused,
				bounds[i].per_group != 0);
		/* It goes on so; a leave is one still. */
		pass(world, 100 * SECOND);
		say(world, 1, GROUP_IS_INCLUDE, "a");
		say(world, 1, GROUP_BLOCK, "a");
		say(world, 1, GROUP_ALLOW, "a");
		pass(world, 10 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
		/* Later what it says is kept again, and until then it has missed nothing. */
		pass(world, 150 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
		say(world, 1, GROUP_IS_INCLUDE, "a");
		CU_ASSERT_EQUAL(known_of(world, 1, &wide), bounds[i].per_group != 0);
		CU_ASSERT_FALSE(wide);
		pass(world, 110 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), bounds[i].per_group ? "a" : "abcdefgh");
		say(world, 1, GROUP_TO_INCLUDE, "");
		pass(world, 10 * SECOND);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "");
		end(world);
	}
}

/* A port that goes takes its sources along, and has room for others again. */
static void test_a_port_goes(void)
{
	struct world *world = start(false, true);

	set(world, 1, 3, 3, 4);
	for (unsigned i = 0; i < 5; i++) {
		say(world, 1, GROUP_TO_EXCLUDE, "abc");
		say(world, 2, GROUP_ALLOW, "a");
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "defgh");
		snooping_port_down(world->snooping, 1, world->now);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "a");
	}
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->sources_refused, 0);
	end(world);
}

UNIT_MAIN("snooping_hosts", UNIT(test_several_hosts_at_a_port), UNIT(test_fast_leave),
	  UNIT(test_another_querier_asks_for_sources), UNIT(test_hosts_of_older_versions),
	  UNIT(test_a_querier_of_an_older_version), UNIT(test_bounds), UNIT(test_a_port_goes))
