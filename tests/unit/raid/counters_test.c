/* SPDX-License-Identifier: BSD-2-Clause */
/* What an array counts of what happens off the beaten path. Virtual time. */
#include <errno.h>

#include "raid_rig.h"

#define DATA (1u << 20)

static const struct raid_create_options with_bitmap = {
	.name = "m",
	.level = 1,
	.now = 1000000,
	.assume_clean = true,
	.bitmap = RAID_BITMAP_INTERNAL,
	.bitmap_chunk = 65536,
};

static struct raid_counters counters_of(struct raid_rig *rig)
{
	struct raid_counters counters;
	struct raid_status status;

	raid_status(rig->array, &status);
	counters = status.counters;
	raid_status_free(&status);
	return counters;
}

static void counts(struct raid_rig *rig)
{
	struct raid_counters before, after;
	uint8_t bytes[4096];

	rig_create(rig, 2, &with_bitmap);
	rig_write(rig, 0, 65536, 1);
	before = counters_of(rig);
	CU_ASSERT(before.superblock_updates > 0);
	CU_ASSERT_EQUAL(before.bitmap_writes, 1);
	CU_ASSERT_EQUAL(before.members_failed + before.retried_reads + before.made_good +
				before.lost_reads + before.degraded_reads + before.degraded_writes +
				before.failed_writes + before.skipped_bytes,
			0);

	/* The first that is asked cannot read it, nor once more, nor any block of it; then it is written to it anew. */
	block_fault_add(rig->disk[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								  .offset = DATA,
								  .length = 4096,
								  .count = 2 + 8,
								  .action = BLOCK_FAULT_ERROR,
								  .error = -EIO });
	CU_ASSERT_EQUAL(block_read(raid_array_block(rig->array), 0, bytes, 4096), 0);
	after = counters_of(rig);
	CU_ASSERT_EQUAL(after.retried_reads, 1);
	CU_ASSERT_EQUAL(after.made_good, 1);
	CU_ASSERT_EQUAL(after.lost_reads, 0);
	CU_ASSERT_EQUAL(after.degraded_reads, 0);

	/* Degraded, and back: what did not change is left out. */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	block_fault_clear(rig->disk[0]);
	block_fault_clear(rig->disk[1]);
	rig_write(rig, 1 << 20, 4096, 2);
	CU_ASSERT(rig_holds(rig, 1 << 20, 4096, 2));
	after = counters_of(rig);
	CU_ASSERT_EQUAL(after.members_failed, 1);
	CU_ASSERT_EQUAL(after.degraded_writes, 1);
	CU_ASSERT(after.degraded_reads >= 1);
	CU_ASSERT(after.superblock_updates > before.superblock_updates);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(counters_of(rig).skipped_bytes, RIG_SIZE - DATA - 2 * 65536);

	/* Nobody can read it; nobody takes it. */
	rig_break(rig, 0, BLOCK_FAULT_ALL, DATA, 4096);
	rig_break(rig, 1, BLOCK_FAULT_ALL, DATA, 4096);
	before = counters_of(rig);
	CU_ASSERT_EQUAL(block_read(raid_array_block(rig->array), 0, bytes, 4096), -EIO);
	CU_ASSERT_EQUAL(counters_of(rig).lost_reads, before.lost_reads + 1);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 0, bytes, 4096, 0), -EIO);
	CU_ASSERT_EQUAL(counters_of(rig).failed_writes, 1);
	block_fault_clear(rig->disk[0]);
	block_fault_clear(rig->disk[1]);
	rig_wait(rig);
}

static void test_counts(void)
{
	rig_run(counts);
}

UNIT_MAIN("raid counters", UNIT(test_counts))
