/* SPDX-License-Identifier: BSD-2-Clause */
/* Failures become the shortest scenarios that still fail, the same each time; scenarios are what they are when they were written down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/library.h"
#include "tools/lab/run.h"
#include "tools/lab/shrink.h"
#include "unit.h"
#include "util/bytes.h"

static void load(struct lab_scenario *scenario, const char *text)
{
	struct error error = { 0 };
	int rc = lab_scenario_parse(scenario, "test", text, strlen(text), &error);

	if (rc)
		printf("  %s\n%s", error.text, text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

/* Written and read, each ready scenario is the same. */
static void test_scenarios_are_written_as_they_are_read(void)
{
	for (unsigned i = 0; i < lab_library_count(); i++) {
		CLEANUP_FREE char *first = NULL, *second = NULL;
		struct lab_scenario scenario, again;

		load(&scenario, lab_library_text(i));
		first = lab_scenario_text(&scenario);
		load(&again, first);
		second = lab_scenario_text(&again);
		CU_ASSERT_STRING_EQUAL(first, second);
		CU_ASSERT_EQUAL(again.events.count, scenario.events.count);
		CU_ASSERT_EQUAL(again.disk_count, scenario.disk_count);
		CU_ASSERT_EQUAL(again.workload.kind, scenario.workload.kind);
		CU_ASSERT_EQUAL(memcmp(again.models, scenario.models, sizeof(again.models)), 0);
		lab_scenario_free(&scenario);
		lab_scenario_free(&again);
	}
}

/* Also with all that needs quotes, ranges, lists and nothing. */
static void test_odd_values_are_written(void)
{
	static const char text[] =
		"name: odd\nabout: \"a \\\"quote\\\", a: colon # and\\ttab\"\nseed: "
		"18446744073709551\n"
		"array: {level: 6, members: 5, layout: left-symmetric-6, consistency: journal}\n"
		"disks: {size: 9M, model: hdd, seek-most: 1.5ms, each: [{disk: 2, model: smr}]}\n"
		"workload: {kind: script, length: 64K, ops: [write 0 8, fua 8 1, flush, wait "
		"1500us, read 3 4]}\n"
		"events:\n"
		"  - {at: 1s..2500ms, do: drop, disks: [1, 2], for: 90min}\n"
		"  - {at: 33.5%, do: latent, disk: 1, sector: 77, after: 1ns}\n"
		"  - {at: write 3..9, do: power, keep: [], lose: [0, 4]}\n"
		"  - {at: degraded, do: replace, disk: 1, with: 6}\n"
		"expect: {parity: no, lost: ['0 8', '16 1'], exposed-at-most: 0s}\n"
		"explore: {lose: 2, full: 0}\n";
	CLEANUP_FREE char *first = NULL, *second = NULL;
	struct lab_scenario scenario, again;

	load(&scenario, text);
	first = lab_scenario_text(&scenario);
	load(&again, first);
	second = lab_scenario_text(&again);
	CU_ASSERT_STRING_EQUAL(first, second);
	CU_ASSERT_STRING_EQUAL(again.about, scenario.about);
	CU_ASSERT_EQUAL(again.workload.script[3].count, 1500000);
	CU_ASSERT_EQUAL(again.expect.parity, false);
	CU_ASSERT_EQUAL(again.expect.exposed_ns, 0);
	CU_ASSERT_TRUE(lab_scenario_event(&again, 2)->keep_said);
	CU_ASSERT_EQUAL(lab_scenario_event(&again, 2)->lose.values[1], 4);
	CU_ASSERT_EQUAL(lab_scenario_event(&again, 1)->at.least, 33500);
	CU_ASSERT_EQUAL(lab_scenario_event(&again, 0)->at.most, 2500000000ull);
	lab_scenario_free(&scenario);
	lab_scenario_free(&again);
}

static bool replays(const char *text)
{
	struct lab_scenario scenario;
	struct lab_run_options options;
	struct lab_result result;
	struct error error = { 0 };
	bool silent;

	load(&scenario, text);
	options = (struct lab_run_options){ .seed = scenario.seed };
	CU_ASSERT_EQUAL(lab_run_scenario(&scenario, &options, &result, &error), 0);
	silent = !result.met && result.silent;
	lab_result_end(&result);
	lab_scenario_free(&scenario);
	return silent;
}

/* A hole is one write, of which one member has its part and another is gone: whatever the scenario was that showed it. */
static void test_write_holes_are_one_write(void)
{
	static const struct {
		const char *name;
		unsigned members;
		uint64_t seed;
	} holes[] = { { "raid5-write-hole", 3, 1 },
		      { "raid5-write-hole", 3, 9 },
		      { "raid6-write-hole", 4, 1 },
		      { "raid6-write-hole", 4, 5 } };

	for (unsigned i = 0; i < ARRAY_SIZE(holes); i++) {
		struct lab_scenario scenario;
		struct lab_shrunk first, second;
		struct error error = { 0 };

		load(&scenario, lab_library_find(holes[i].name));
		CU_ASSERT_EQUAL(lab_shrink_explored(&scenario, holes[i].seed, &first, &error), 0);
		CU_ASSERT_EQUAL(lab_shrink_explored(&scenario, holes[i].seed, &second, &error), 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(first.text);
		CU_ASSERT_STRING_EQUAL(first.text, second.text);
		CU_ASSERT_EQUAL(first.ops, 1);
		CU_ASSERT_EQUAL(first.events, 1);
		CU_ASSERT_EQUAL(first.members, holes[i].members);
		CU_ASSERT_TRUE(first.lost_writes <= 2);
		CU_ASSERT_TRUE(strlen(first.text) < 450);
		CU_ASSERT_FALSE(first.explored);
		CU_ASSERT_TRUE(replays(first.text));
		free(first.text);
		free(second.text);
		lab_scenario_free(&scenario);
	}
}

/* With a log there is nothing to shrink. */
static void test_what_does_not_fail_is_not_shrunk(void)
{
	struct lab_scenario scenario;
	struct lab_shrunk shrunk;
	struct error error = { 0 };

	load(&scenario, lab_library_find("raid5-ppl"));
	CU_ASSERT_EQUAL(lab_shrink_explored(&scenario, 1, &shrunk, &error), 0);
	CU_ASSERT_PTR_NULL(shrunk.text);
	lab_scenario_free(&scenario);
	load(&scenario, lab_library_find("raid5-loss"));
	CU_ASSERT_EQUAL(lab_shrink_run(&scenario, 1, &shrunk, &error), 0);
	CU_ASSERT_PTR_NULL(shrunk.text);
	lab_scenario_free(&scenario);
}

/* Of a run with three faults and thousands of requests the one fault that matters, and what it has to have. */
static void test_a_run_is_shrunk_to_its_fault(void)
{
	static const char text[] =
		"name: much\n"
		"array: {level: 5, members: 5, spares: 1, chunk: 64K}\n"
		"disks: {model: ssd, size: 64M}\n"
		"workload: {kind: random, length: 4M, fill: yes, depth: 4, "
		"flush-every: 9, rate: 2000, time: 1s}\n"
		"events:\n"
		"  - {at: 100ms, do: slow, disk: 0, factor: 300}\n"
		"  - {at: 200ms, do: hang, disk: 3, for: 100ms}\n"
		"  - {at: done, do: rot, disk: 1, sector: 2048, sectors: 512, bits: 40}\n"
		"  - {at: 300ms, do: check}\n";
	struct lab_scenario scenario, again;
	struct lab_shrunk shrunk;
	struct error error = { 0 };

	load(&scenario, text);
	CU_ASSERT_EQUAL(lab_shrink_run(&scenario, 1, &shrunk, &error), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shrunk.text);
	CU_ASSERT_EQUAL(shrunk.events, 1);
	CU_ASSERT_EQUAL(shrunk.ops, 0);
	CU_ASSERT_EQUAL(shrunk.members, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(shrunk.text, "do: rot"));
	load(&again, shrunk.text);
	CU_ASSERT_TRUE(again.disks.model.size <= 4 << 20);
	CU_ASSERT_TRUE(replays(shrunk.text));
	lab_scenario_free(&again);
	lab_scenario_free(&scenario);
	free(shrunk.text);
}

UNIT_MAIN("lab shrink", UNIT(test_scenarios_are_written_as_they_are_read),
	  UNIT(test_odd_values_are_written), UNIT(test_write_holes_are_one_write),
	  UNIT(test_what_does_not_fail_is_not_shrunk), UNIT(test_a_run_is_shrunk_to_its_fault))
