/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: rounds of queries for groups and sources, in virtual time: RFC 3376, 6.6.3 and RFC 3810, 7.6.3. */
#include "source_world.h"

static void change(struct world *world, void (*by)(struct snooping_settings *settings))
{
	struct snooping_settings settings = *snooping_get(world->snooping);

	by(&settings);
	snooping_change(world->snooping, &settings, world->now);
}

static void ask_four_times(struct snooping_settings *settings)
{
	settings->robustness = 4;
}

static void ask_as_of_old(struct snooping_settings *settings)
{
	settings->robustness = 4;
	settings->igmp_version = 2;
	settings->mld_version = 1;
}

static void ask_nobody(struct snooping_settings *settings)
{
	settings->querier = false;
}

/*
 * What a port wants, what has it asked, what answers that half a second later, and each second's queries: those for what was answered
 * have the bit by which routers leave their timers alone, and go out as often as the others; of a group first, then the rest.
 */
static void test_rounds(void)
{
	static const struct {
		uint8_t has;
		const char *wants;
		uint8_t type;
		const char *leaves;
		uint8_t answer; /* 0: none */
		const char *answers, *queries, *gets;
	} cases[] = {
		{ GROUP_ALLOW, "abc", GROUP_BLOCK, "ab", 0, "", "0:ab 1:ab 2:ab 3:ab", "c" },
		{ GROUP_ALLOW, "abc", GROUP_BLOCK, "ab", GROUP_IS_INCLUDE, "a",
		  "0:ab 1:(a) 1:b 2:(a) 2:b 3:(a) 3:b", "ac" },
		{ GROUP_ALLOW, "abc", GROUP_TO_INCLUDE, "", GROUP_IS_INCLUDE, "abc",
		  "0:abc 1:(abc) 2:(abc) 3:(abc)", "abc" },
		{ GROUP_ALLOW, "abc", GROUP_TO_EXCLUDE, "ad", GROUP_ALLOW, "a",
		  "0:a 1:(a) 2:(a) 3:(a)", "abcefgh" },
		{ GROUP_TO_EXCLUDE, "", GROUP_TO_INCLUDE, "", 0, "", "0:* 1:* 2:* 3:*", "" },
		{ GROUP_TO_EXCLUDE, "", GROUP_TO_INCLUDE, "", GROUP_IS_EXCLUDE, "",
		  "0:* 1:(*) 2:(*) 3:(*)", "abcdefgh" },
		{ GROUP_TO_EXCLUDE, "", GROUP_TO_INCLUDE, "a", GROUP_IS_EXCLUDE, "b",
		  "0:* 1:(*) 2:(*) 3:(*)", "abcdefgh" },
		{ GROUP_TO_EXCLUDE, "b", GROUP_BLOCK, "ab", 0, "", "0:a 1:a 2:a 3:a", "cdefgh" },
		{ GROUP_TO_EXCLUDE, "b", GROUP_BLOCK, "abc", GROUP_IS_EXCLUDE, "ab",
		  "0:ac 1:a 2:a 3:a", "cdefgh" },
	};

	for (unsigned mld = 0; mld < 2; mld++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct world *world = start(mld, true);

			change(world, ask_four_times);
			say(world, 1, cases[i].has, cases[i].wants);
			pass(world, 20 * SECOND);
			world->count = 0;
			say(world, 1, cases[i].type, cases[i].leaves);
			pass(world, SECOND / 2);
			if (cases[i].answer)
				say(world, 1, cases[i].answer, cases[i].answers);
			pass(world, 20 * SECOND);
			CU_ASSERT_STRING_EQUAL(asked(world, SECOND), cases[i].queries);
			CU_ASSERT_STRING_EQUAL(gets(world, 1), cases[i].gets);
			end(world);
		}
}

/* What was answered for and is left again has a round of its own, from its beginning: RFC 3376, 6.6.3.2. */
static void test_a_round_in_a_round(void)
{
	for (unsigned mld = 0; mld < 2; mld++) {
		struct world *world = start(mld, true);

		change(world, ask_four_times);
		say(world, 1, GROUP_ALLOW, "ab");
		pass(world, 20 * SECOND);
		world->count = 0;
		say(world, 1, GROUP_BLOCK, "a");
		pass(world, SECOND / 2);
		say(world, 1, GROUP_ALLOW, "a");
		pass(world, 2 * SECOND);
		say(world, 1, GROUP_BLOCK, "a");
		pass(world, 4 * SECOND - 1);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "ab");
		pass(world, 1);
		CU_ASSERT_STRING_EQUAL(gets(world, 1), "b");
		/* In halves of a second. */
		CU_ASSERT_STRING_EQUAL(asked(world, SECOND / 2),
				       "0:a 2:(a) 4:(a) 5:a 6:a 8:a 10:a");
		/* And of all the group. */
		say(world, 2, GROUP_TO_EXCLUDE, "");
		pass(world, 20 * SECOND);
		world->count = 0;
		say(world, 2, GROUP_TO_INCLUDE, "");
		pass(world, SECOND / 2);
		say(world, 2, GROUP_IS_EXCLUDE, "");
		pass(world, 2 * SECOND);
		say(world, 2, GROUP_TO_INCLUDE, "");
		pass(world, 20 * SECOND);
		CU_ASSERT_STRING_EQUAL(asked(world, SECOND / 2),
				       "0:* 2:(*) 4:(*) 5:* 6:* 8:* 10:*");
		CU_ASSERT_STRING_EQUAL(gets(world, 2), "");
		end(world);
	}
}

/* Queries of the older versions have no such bit: an answer ends them (RFC 2236, 7; RFC 2710, 6). */
static void test_rounds_of_older_versions(void)
{
	for (unsigned mld = 0; mld < 2; mld++)
		for (unsigned answered = 0; answered < 2; answered++) {
			struct world *world = start(mld, true);

			change(world, ask_as_of_old);
			say_old(world, 1, 2, false);
			pass(world, 20 * SECOND);
			world->count = 0;
			say_old(world, 1, 2, true);
			pass(world, 3 * SECOND / 2);
			if (answered)
				say_old(world, 1, 2, false);
			pass(world, 20 * SECOND);
			CU_ASSERT_STRING_EQUAL(asked(world, SECOND),
					       answered ? "0:* 1:*" : "0:* 1:* 2:* 3:*");
			CU_ASSERT_STRING_EQUAL(gets(world, 1), answered ? "abcdefgh" : "");
			end(world);
		}
}

/* Nobody asks who is not the querier any more: RFC 3376, 6.6.2; nor for sources whose queries have none any more. */
static void test_who_ceases_to_ask(void)
{
	for (unsigned mld = 0; mld < 2; mld++)
		for (unsigned how = 0; how < 3; how++) {
			struct world *world = start(mld, true);

			change(world, ask_four_times);
			say(world, 1, GROUP_TO_EXCLUDE, "");
			say(world, 1, GROUP_ALLOW, "ab");
			pass(world, 20 * SECOND);
			world->count = 0;
			say(world, 1, GROUP_TO_INCLUDE, "");
			pass(world, SECOND / 2);
			if (how == 0)
				query(world, NULL, 10);
			else
				change(world, how == 1 ? ask_nobody : ask_as_of_old);
			pass(world, 10 * SECOND);
			CU_ASSERT_STRING_EQUAL(asked(world, SECOND),
					       how < 2 ? "0:ab 0:*" : "0:ab 0:* 1:* 2:* 3:*");
			/* Who did not hear of our first query was to answer the next one: it lasts. */
			CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, how < 2);
			if (how == 0)
				CU_ASSERT_STRING_EQUAL(gets(world, 1), "abcdefgh");
			pass(world, 4 * MEMBERSHIP);
			CU_ASSERT_EQUAL(snooping_set(world->snooping)->count, 0);
			end(world);
		}
}

static bool is_leaving(struct world *world)
{
	unsigned first;
	const struct snooping_member_status *member = look(world, 1, &first);

	CU_ASSERT_PTR_NOT_NULL_FATAL(member);
	return member->leaving;
}

/* What is shown as leaving has not answered yet, whatever is left of the round. */
static void test_who_answered_is_not_leaving(void)
{
	for (unsigned mld = 0; mld < 2; mld++)
		for (unsigned sources = 0; sources < 2; sources++) {
			struct world *world = start(mld, true);
			const char *wants = sources ? "ab" : "";

			change(world, ask_four_times);
			say(world, 1, sources ? GROUP_ALLOW : GROUP_TO_EXCLUDE, wants);
			pass(world, 20 * SECOND);
			CU_ASSERT_FALSE(is_leaving(world));
			say(world, 1, GROUP_TO_INCLUDE, "");
			CU_ASSERT_TRUE(is_leaving(world));
			pass(world, SECOND / 2);
			CU_ASSERT_TRUE(is_leaving(world));
			say(world, 1, sources ? GROUP_IS_INCLUDE : GROUP_IS_EXCLUDE, wants);
			CU_ASSERT_FALSE(is_leaving(world));
			pass(world, SECOND);
			CU_ASSERT_FALSE(is_leaving(world));
			end(world);
		}
}

UNIT_MAIN("snooping_ask", UNIT(test_rounds), UNIT(test_a_round_in_a_round),
	  UNIT(test_rounds_of_older_versions), UNIT(test_who_ceases_to_ask),
	  UNIT(test_who_answered_is_not_leaving))
