/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each fault at each level: the ready scenarios fault-* are of a RAID5 with a bitmap; here they run at the other levels, too, and
 * with logs, and the array's reaction is md's: who is failed, who is kept, what a user is told, and what nobody can tell.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/library.h"
#include "tools/lab/run.h"
#include "unit.h"
#include "util/bytes.h"

/* ---- Levels ---- */

#define WITH_BITMAP "  consistency: bitmap\n  bitmap-chunk: 64K\n"

enum level { R0, R1, R10, R4, R5, R6, R5_PPL, R6_JOURNAL, LEVELS };
static const struct {
	const char *name, *array;
	bool spares; /* may it have any */
} levels[] = {
	[R0] = { "0", "  level: 0\n  members: 4\n  chunk: 16K\n", false },
	[R1] = { "1", "  level: 1\n  members: 4\n" WITH_BITMAP, true },
	[R10] = { "10", "  level: 10\n  members: 4\n  chunk: 16K\n" WITH_BITMAP, true },
	[R4] = { "4", "  level: 4\n  members: 4\n  chunk: 16K\n" WITH_BITMAP, true },
	[R5] = { "5", "  level: 5\n  members: 4\n  chunk: 16K\n" WITH_BITMAP, true },
	[R6] = { "6", "  level: 6\n  members: 4\n  chunk: 16K\n" WITH_BITMAP, true },
	[R5_PPL] = { "5 with PPL", "  level: 5\n  members: 4\n  chunk: 16K\n  consistency: ppl\n",
		     true },
	[R6_JOURNAL] = { "6 with a journal",
			 "  level: 6\n  members: 4\n  chunk: 16K\n  consistency: journal\n", true },
};
#define BIT(level)  (1u << (level))
#define EVERY       (BIT(LEVELS) - 1)
#define REDUNDANT   (EVERY & ~BIT(R0))
#define PARITY_LIKE (REDUNDANT & ~BIT(R1))

/* ---- What is expected ---- */

enum { NEVER = 0, SOME = 1, MAYBE = 2 };

/* A row that says more of a level comes after one that says less. */
static const struct row {
	const char *fault;
	unsigned levels;
	const char *expect;  /* instead of the scenario's; NULL: that */
	int failed;          /* members */
	unsigned char told;  /* requests fail */
	unsigned char good;  /* reads are made good */
	unsigned char wrong; /* members differ, or data are wrong without a word */
} rows[] = {
	{ "loss", REDUNDANT, NULL, 1, NEVER, NEVER, NEVER },
	{ "loss", BIT(R0), "  data: lost\n  state: failed\n", 0, SOME, NEVER, NEVER },
	{ "drop", REDUNDANT, NULL, 1, NEVER, NEVER, NEVER },
	{ "drop", BIT(R0), "  data: intact\n", 0, SOME, NEVER, NEVER },
	{ "hang", EVERY, NULL, 0, NEVER, NEVER, NEVER },
	{ "slow", EVERY, NULL, 0, NEVER, NEVER, NEVER },
	{ "latent", PARITY_LIKE, NULL, 0, NEVER, SOME, NEVER },
	/* Reads go to whoever is nearest; the last of them, or the check, comes by. */
	{ "latent", BIT(R1), "  data: intact\n  degraded-at-most: 0\n", 0, NEVER, MAYBE, NEVER },
	{ "latent", BIT(R0), "  data: lost\n", 0, SOME, NEVER, NEVER },
	{ "errors", REDUNDANT, NULL, 0, NEVER, NEVER, NEVER },
	{ "errors", BIT(R0), NULL, 0, SOME, NEVER, NEVER },
	{ "torn", REDUNDANT & ~BIT(R5_PPL), NULL, 0, NEVER, NEVER, NEVER },
	/* It is an entry of the log, and who cannot write that is failed (ppl_log_endio()). */
	{ "torn", BIT(R5_PPL), "  data: intact\n  state: degraded\n", 1, NEVER, NEVER, NEVER },
	{ "torn", BIT(R0), NULL, 0, SOME, NEVER, NEVER },
	{ "torn-silent", EVERY & ~BIT(R1), NULL, 0, NEVER, NEVER, SOME },
	{ "torn-silent", BIT(R1), "  parity: no\n", 0, NEVER, NEVER, SOME },
	{ "lost", EVERY, NULL, 0, NEVER, NEVER, SOME },
	{ "misdirect", EVERY, NULL, 0, NEVER, NEVER, SOME },
	/* Of a mirror the other one has it, and is the one that counts. */
	{ "reorder", BIT(R0) | BIT(R4) | BIT(R5) | BIT(R6), NULL, 0, MAYBE, NEVER, SOME },
	/* With that log data are written with FUA, which the disk honours. */
	{ "reorder", BIT(R5_PPL), "  data: intact\n", 0, MAYBE, NEVER, NEVER },
	/* The journal was told that the stripes are durable, and is past them. */
	{ "reorder", BIT(R6_JOURNAL), "  data: any\n  silent-corruption: yes\n  parity: no\n", 0,
	  MAYBE, NEVER, SOME },
	{ "reorder", BIT(R1) | BIT(R10), "  data: intact\n", 0, MAYBE, NEVER, NEVER },
	{ "rot", EVERY & ~BIT(R1), NULL, 0, NEVER, NEVER, SOME },
	{ "rot", BIT(R1), "  parity: no\n", 0, NEVER, NEVER, SOME },
	{ "full", REDUNDANT, NULL, 1, NEVER, NEVER, NEVER },
	{ "full", BIT(R0), "  data: intact\n", 0, SOME, NEVER, NEVER },
	{ "power", EVERY, NULL, 0, MAYBE, NEVER, NEVER },
	/* Two of four are too many for some. */
	{ "controller", BIT(R1) | BIT(R10) | BIT(R6), NULL, 0, NEVER, NEVER, NEVER },
	{ "controller", BIT(R0) | BIT(R4) | BIT(R5) | BIT(R5_PPL), NULL, 0, SOME, NEVER, NEVER },
	{ "controller", BIT(R6_JOURNAL), NULL, 0, NEVER, NEVER, NEVER },
};

static bool fits(unsigned char wanted, uint64_t count)
{
	return wanted == MAYBE || (wanted == SOME) == (count != 0);
}

/* ---- Running ---- */

/* `text` with what stands from `from` up to `to` (or the end) replaced. */
static char *replace(char *text, const char *from, const char *to, const char *with)
{
	char *begin = strstr(text, from), *end = begin && to ? strstr(begin, to) : NULL, *made;

	if (!begin)
		return text;
	begin += strlen(from);
	if (!end)
		end = text + strlen(text);
	if (asprintf(&made, "%.*s%s%s", (int)(begin - text), text, with, end) < 0)
		abort();
	free(text);
	return made;
}

static char *text_of(const struct row *row, enum level level)
{
	char name[64], array[300];
	const char *found;
	char *text;
	bool spare;

	snprintf(name, sizeof(name), "fault-%s", row->fault);
	found = lab_library_find(name);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	spare = strstr(found, "spares: 1") && levels[level].spares;
	snprintf(array, sizeof(array), "%s%s", levels[level].array, spare ? "  spares: 1\n" : "");
	found = row->expect ? row->expect : strstr(found, "expect:\n") + strlen("expect:\n");
	text = replace(replace(strdup(lab_library_find(name)), "array:\n", "disks:", array),
		       "expect:\n", NULL, found);
	/* Data begin where others do not: behind the log of partial parity. */
	return level == R5_PPL ? replace(text, "sector: ", "\n", "4096") : text;
}

static void run_cell(const struct row *row, enum level level)
{
	CLEANUP_FREE char *text = text_of(row, level);
	struct lab_run_options options = { .seed = 1 };
	struct lab_scenario scenario;
	struct lab_result result = { 0 };
	struct error error = { 0 };
	int rc = lab_scenario_parse(&scenario, row->fault, text, strlen(text), &error);
	bool fine;

	if (!rc)
		rc = lab_run_scenario(&scenario, &options, &result, &error);
	fine = !rc && result.met && fits(row->told, result.work.errors) &&
	       fits(row->good, result.made_good) &&
	       fits(row->wrong, result.silent + result.mismatches) &&
	       (!strcmp(row->fault, "controller") ||
		result.members_failed == (unsigned)row->failed);
	if (!fine)
		printf("  %s at level %s: %s; %llu members failed, %llu errors, %llu made good, "
		       "%llu "
		       "sectors wrong, %llu bytes differ\n",
		       row->fault, levels[level].name,
		       rc           ? error.text
		       : result.met ? "otherwise than expected"
				    : result.failures[0],
		       (unsigned long long)result.members_failed,
		       (unsigned long long)result.work.errors, (unsigned long long)result.made_good,
		       (unsigned long long)result.silent, (unsigned long long)result.mismatches);
	CU_ASSERT_TRUE(fine);
	lab_result_end(&result);
	lab_scenario_free(&scenario);
}

static void test_each_fault_at_each_level(void)
{
	unsigned cells = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned level = 0; level < LEVELS; level++)
			if (rows[i].levels & BIT(level)) {
				run_cell(&rows[i], (enum level)level);
				cells++;
			}
	CU_ASSERT_EQUAL(cells, 15 * LEVELS);
}

/* No ready scenario of a fault is left out, and each of the language's faults has one. */
static void test_each_fault_has_a_scenario(void)
{
	for (unsigned i = 0; i < lab_library_count(); i++) {
		const char *name = lab_library_name(i);
		bool found = strncmp(name, "fault-", 6) != 0;

		for (unsigned k = 0; k < ARRAY_SIZE(rows) && !found; k++)
			found = !strcmp(name + 6, rows[k].fault);
		if (!found)
			printf("  %s is in no row\n", name);
		CU_ASSERT_TRUE(found);
	}
	for (unsigned action = 0; action <= LAB_DO_POWER; action++) {
		char name[64];

		snprintf(name, sizeof(name), "fault-%s", lab_action_names[action]);
		if (!lab_library_find(name))
			printf("  there is no %s\n", name);
		CU_ASSERT_PTR_NOT_NULL(lab_library_find(name));
	}
}

UNIT_MAIN("lab faults", UNIT(test_each_fault_at_each_level), UNIT(test_each_fault_has_a_scenario))
