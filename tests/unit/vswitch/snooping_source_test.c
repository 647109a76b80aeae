/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch: the sources of IGMPv3 and MLDv2 in virtual time: each row of the tables of RFC 3376, 6.4 (RFC 3810, 7.4 has the same),
 * and when what was said ends.
 */
#include "source_world.h"

/* ---- The tables ---- */

/*
 * Of a to e one after another: '.' there is none; '!' blocked; wanted, for as long as it was (k), for the group membership interval (M),
 * until those who were asked had time (L), for as long as the group (g). `group`: its timer, '-' in INCLUDE.
 */
struct state {
	const char *sources;
	char group;
};

static const struct row {
	uint8_t type;
	struct state ours, theirs; /* with and without the right to ask */
	const char *asked;         /* NULL: not at all */
	bool asks_group;
} include[] = {
	/* INCLUDE (a b), and a record of (b c) */
	{ GROUP_IS_INCLUDE, { "kMM..", '-' }, { "kMM..", '-' }, NULL, false },
	{ GROUP_IS_EXCLUDE, { ".k!..", 'M' }, { ".k!..", 'M' }, NULL, false },
	{ GROUP_ALLOW, { "kMM..", '-' }, { "kMM..", '-' }, NULL, false },
	{ GROUP_BLOCK, { "kL...", '-' }, { "kk...", '-' }, "b", false },
	{ GROUP_TO_EXCLUDE, { ".L!..", 'M' }, { ".k!..", 'M' }, "b", false },
	{ GROUP_TO_INCLUDE, { "LMM..", '-' }, { "kMM..", '-' }, "a", false },
}, exclude[] = {
	/* EXCLUDE (a b, c d), and a record of (b d e) */
	{ GROUP_IS_INCLUDE, { "kM!MM", 'k' }, { "kM!MM", 'k' }, NULL, false },
	{ GROUP_IS_EXCLUDE, { ".k.!M", 'M' }, { ".k.!M", 'M' }, NULL, false },
	{ GROUP_ALLOW, { "kM!MM", 'k' }, { "kM!MM", 'k' }, NULL, false },
	{ GROUP_BLOCK, { "kL!!L", 'k' }, { "kk!!g", 'k' }, "be", false },
	{ GROUP_TO_EXCLUDE, { ".L.!L", 'M' }, { ".k.!g", 'M' }, "be", false },
	{ GROUP_TO_INCLUDE, { "LM!MM", 'L' }, { "kM!MM", 'k' }, "a", true },
};

static char time_of(const struct world *world, uint64_t until, uint64_t kept, uint64_t group)
{
	return until == world->now + MEMBERSHIP ? 'M'
	       : until == world->now + ASKED    ? 'L'
	       : until == kept                  ? 'k'
	       : until == group                 ? 'g'
						: '?';
}

static void check_row(bool mld, bool ours, bool excluding, const struct row *row)
{
	struct world *world = start(mld, ours);
	const struct state *expected = ours ? &row->ours : &row->theirs;
	const struct snooping_member_status *member;
	uint64_t kept, group = 0;
	char found[6] = ".....", want[9] = "", queries[32] = "", asked[32];
	unsigned first;

	if (excluding) {
		say(world, 1, GROUP_TO_EXCLUDE, "cd");
		group = world->now + MEMBERSHIP;
		pass(world, 7 * SECOND);
	}
	say(world, 1, GROUP_ALLOW, "ab");
	kept = world->now + MEMBERSHIP;
	pass(world, 20 * SECOND);
	world->count = 0;
	say(world, 1, row->type, excluding ? "bde" : "bc");
	member = look(world, 1, &first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(member);
	CU_ASSERT_EQUAL(member->exclude, expected->group != '-');
	if (member->exclude)
		CU_ASSERT_EQUAL(time_of(world, member->until, group, 0), expected->group);
	for (unsigned i = first; i < first + member->sources; i++)
		for (char letter = 'a'; letter <= 'e'; letter++)
			if (group_address_same(world->sources[i].source, address_of(mld, letter)))
				found[letter - 'a'] =
					world->sources[i].blocked
						? '!'
						: time_of(world, world->sources[i].until, kept,
							  group);
	CU_ASSERT_STRING_EQUAL(found, expected->sources);
	/* Where frames go follows from that; of f nothing is known. */
	for (char letter = 'a'; letter <= 'h'; letter++) {
		char state = letter > 'e' ? '.' : expected->sources[letter - 'a'];

		if (state == '.' ? member->exclude : state != '!')
			strncat(want, &letter, 1);
	}
	CU_ASSERT_STRING_EQUAL(gets(world, 1), want);
	CU_ASSERT_STRING_EQUAL(gets(world, 2), "");
	/* Queries go there, twice, a second apart. */
	pass(world, ASKED);
	for (unsigned i = 0; i < world->count; i++) {
		CU_ASSERT_EQUAL(world->sent[i].port, 1);
		snprintf(queries + strlen(queries), sizeof(queries) - strlen(queries), "%s/",
			 world->sent[i].sources);
	}
	snprintf(asked, sizeof(asked), "%s%s%s", row->asked ? row->asked : "",
		 row->asked ? "/" : "", row->asks_group ? "/" : "");
	snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%s%s%s",
		 row->asked ? row->asked : "", row->asked ? "/" : "", row->asks_group ? "/" : "");
	CU_ASSERT_STRING_EQUAL(queries, ours ? asked : "");
	end(world);
}

static void check_tables(bool ours)
{
	for (unsigned mld = 0; mld < 2; mld++)
		for (unsigned i = 0; i < 6; i++) {
			check_row(mld, ours, false, &include[i]);
			check_row(mld, ours, true, &exclude[i]);
		}
}

static void test_tables_of_the_querier(void)
{
	check_tables(true);
}

static void test_tables_of_who_is_none(void)
{
	check_tables(false);
}

/* The first record of a port, for which the state is INCLUDE (). */
static void test_the_first_record(void)
{
	static const struct {
		uint8_t type;
		const char *sources, *gets;
	} cases[] = {
		{ GROUP_IS_INCLUDE, "", "" },
		{ GROUP_IS_INCLUDE, "ab", "ab" },
		{ GROUP_TO_INCLUDE, "", "" },
		{ GROUP_TO_INCLUDE, "ab", "ab" },
		{ GROUP_IS_EXCLUDE, "", "abcdefgh" },
		{ GROUP_IS_EXCLUDE, "ab", "cdefgh" },
		{ GROUP_TO_EXCLUDE, "", "abcdefgh" },
		{ GROUP_TO_EXCLUDE, "abh", "cdefg" },
		{ GROUP_ALLOW, "", "" },
		{ GROUP_ALLOW, "ca", "ac" },
		{ GROUP_ALLOW, "aaaa", "a" },
		{ GROUP_BLOCK, "", "" },
		{ GROUP_BLOCK, "ab", "" },
		{ 0, "a", "" },
		{ 7, "a", "" },
		{ 255, "", "" },
	};

	for (unsigned mld = 0; mld < 2; mld++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct world *world = start(mld, true);

			say(world, 1, cases[i].type, cases[i].sources);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), cases[i].gets);
			CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, !!cases[i].gets[0]);
			end(world);
		}
}

/* ---- Time ---- */

/* RFC 3376, 6.2.2, 6.3, 6.5: EXCLUDE becomes INCLUDE of what is wanted still, and that ends. */
static void test_what_is_not_said_again_ends(void)
{
	struct world *world = start(false, true);

	say(world, 1, GROUP_TO_EXCLUDE, "cd");
	pass(world, 100 * SECOND);
	say(world, 1, GROUP_ALLOW, "ad");
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "abdefgh");
	pass(world, 160 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "abdefgh");
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "ad");
	pass(world, 50 * SECOND);
	say(world, 1, GROUP_IS_INCLUDE, "d");
	pass(world, 50 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "ad");
	pass(world, 1);
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "d");
	pass(world, 210 * SECOND - 1);
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "d");
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->expired, 0);
	pass(world, 1);
	CU_ASSERT_EQUAL(snooping_counters(world->snooping)->expired, 1);
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 0);
	/* In EXCLUDE a source that nobody asked for again is blocked. */
	say(world, 1, GROUP_TO_EXCLUDE, "");
	say(world, 1, GROUP_ALLOW, "a");
	pass(world, 5 * SECOND);
	say(world, 1, GROUP_BLOCK, "e"); /* twice asked for, and not answered */
	pass(world, ASKED);
	CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdfgh");
	/* The group's timer at the same moment as the source's: nothing stays. */
	pass(world, MEMBERSHIP);
	CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 0);
	end(world);
}

UNIT_MAIN("snooping_source", UNIT(test_tables_of_the_querier), UNIT(test_tables_of_who_is_none),
	  UNIT(test_the_first_record), UNIT(test_what_is_not_said_again_ends))
