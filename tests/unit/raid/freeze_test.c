/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A recovery or resync that is held still, and goes on before it has come to its end: what was not gone over is not taken for done.
 * Virtual time.
 */
#include <string.h>

#include "raid_rig.h"

#define MS 1000000ull

/* Requests of one window take longer than those of another, so that only one of them may see it held still. */
static void slow_down(struct raid_rig *rig)
{
	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		struct block_fault_rule slow = { .requests = BLOCK_FAULT_ALL,
						 .action = BLOCK_FAULT_LATENCY,
						 .latency_ns = 2 * MS };

		block_fault_add(rig->disk[i], &slow);
		slow.chance = 500000;
		slow.latency_ns = 5 * MS;
		block_fault_add(rig->disk[i], &slow);
	}
}

static void fill(struct raid_rig *rig, uint8_t seed)
{
	for (uint64_t at = 0; at < rig_array_size(rig); at += 65536)
		rig_write(rig, at, MIN(65536u, rig_array_size(rig) - at), seed);
}

/* For a while, now and then. */
static void hold_and_let_go(struct raid_rig *rig, uint64_t ns)
{
	for (unsigned i = 0; i < 4; i++) {
		fiber_sleep(7 * MS / 2);
		raid_rebuild_freeze(rig->array, true);
		fiber_sleep(ns);
		raid_rebuild_freeze(rig->array, false);
	}
	for (unsigned i = 0; i < RIG_MEMBERS; i++)
		block_fault_clear(rig->disk[i]);
	rig_wait(rig);
}

static struct {
	int level;
	unsigned members;
	uint64_t ns;
} play;

static uint64_t mismatches(struct raid_rig *rig)
{
	struct raid_status status;
	uint64_t count;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	count = status.progress.mismatches;
	raid_status_free(&status);
	return count;
}

static void recovery_is_whole(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "f",
						     .level = play.level,
						     .chunk = play.level == 1 ? 0 : 65536,
						     .assume_clean = true };

	rig_create(rig, play.members, &options);
	fill(rig, 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	slow_down(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[play.members], &rig->error), 0);
	hold_and_let_go(rig, play.ns);
	CU_ASSERT_EQUAL(rig_state(rig, play.members), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	rig_stop(rig);
}

static void resync_is_whole(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "f",
						     .level = play.level,
						     .chunk = play.level == 1 ? 0 : 65536,
						     .rebuild_rate = 65536 };
	uint8_t bytes[4096];

	memset(bytes, 0x5a, sizeof(bytes));
	for (uint64_t at = 0; at < RIG_SIZE; at += sizeof(bytes))
		CU_ASSERT_EQUAL(block_write(rig->disk[1], at, bytes, sizeof(bytes), 0), 0);
	rig_create(rig, play.members, &options);
	slow_down(rig);
	raid_rebuild_set_rate(rig->array, 100u << 20);
	hold_and_let_go(rig, play.ns);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	rig_stop(rig);
}

static void each(void (*body)(struct raid_rig *rig))
{
	static const int levels[] = { 1, 5, 6, 10 };

	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		play.level = levels[i];
		play.members = levels[i] == 1 ? 2 : 4;
		for (play.ns = MS / 2; play.ns < 9 * MS; play.ns += MS / 2)
			rig_run(body);
	}
}

static void test_recovery(void)
{
	each(recovery_is_whole);
}

static void test_resync(void)
{
	each(resync_is_whole);
}

UNIT_MAIN("raid held still", UNIT(test_recovery), UNIT(test_resync))
