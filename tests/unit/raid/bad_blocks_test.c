/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad-block logs at work: whose data are the only ones is kept, and made good elsewhere. Virtual time. */
#include <errno.h>
#include <string.h>

#include "raid_rig.h"

#define DATA (1u << 20) /* data_offset of so small a device */

static const struct raid_create_options plain = { .name = "m", .level = 1 };

static unsigned bad_ranges(struct raid_rig *rig, unsigned member)
{
	struct raid_status status;
	unsigned count;

	raid_status(rig->array, &status);
	count = status.members[member].bad_blocks;
	raid_status_free(&status);
	return count;
}

/* disk1 was filled from disk0 while that could not be read at byte 8192, which has seed 1's data. Returns the
 * rule that is in disk0's way still. */
static int fill_from_a_bad_source(struct raid_rig *rig)
{
	struct raid_new_member members[2] = { { .block = rig->disk[0] }, { .block = NULL } };
	int rule;

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 2, &plain, &rig->error), 0);
	rig_write(rig, 0, 65536, 1);
	rule = rig_break(rig, 0, BLOCK_FAULT_READ, DATA + 8192, 4096);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 1);
	return rule;
}

static void repair(struct raid_rig *rig)
{
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	rig_wait(rig);
}

/* Once its source can be read again, a repair fills what is bad; until then the source stays. */
static void repair_makes_bad_blocks_good(struct raid_rig *rig)
{
	int rule = fill_from_a_bad_source(rig);

	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "4096 bytes at byte 8192"));
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	repair(rig);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 1);
	block_fault_remove(rig->disk[0], rule);
	repair(rig);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 0);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, 65536, 1));
}

static void test_repair_makes_bad_blocks_good(void)
{
	rig_run(repair_makes_bad_blocks_good);
}

/* A read error that cannot be made good is no reason to lose what nobody else has. */
static void read_error_keeps_the_only_copy(struct raid_rig *rig)
{
	int rule = fill_from_a_bad_source(rig);
	int other = rig_break(rig, 0, BLOCK_FAULT_READ, DATA + 32768, 4096);

	repair(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 1);
	block_fault_remove(rig->disk[0], rule);
	CU_ASSERT(rig_holds(rig, 0, 65536, 1));
	/* The log is on the disk. */
	rig_stop(rig);
	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 1);
	CU_ASSERT(rig_holds(rig, 0, 65536, 1));
	block_fault_remove(rig->disk[0], other);
	repair(rig);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 0);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 0);
}

static void test_read_error_keeps_the_only_copy(void)
{
	rig_run(read_error_keeps_the_only_copy);
}

/* What a write did not reach is never read from there, in this run or the next. */
static void write_error_keeps_the_only_copy(struct raid_rig *rig)
{
	int rule = fill_from_a_bad_source(rig);
	int other = rig_break(rig, 0, BLOCK_FAULT_WRITE, DATA + 32768, 4096);

	block_fault_remove(rig->disk[0], rule);
	rig_write(rig, 32768, 4096, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0), 1);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(rig_holds(rig, 0, 32768, 1));
		CU_ASSERT(rig_holds(rig, 32768, 4096, 2));
		CU_ASSERT(rig_holds(rig, 36864, 28672, 1));
		rig_stop(rig);
		rig_assemble(rig, 2, NULL);
	}
	block_fault_remove(rig->disk[0], other);
	repair(rig);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 0) + bad_ranges(rig, 1), 0);
}

static void test_write_error_keeps_the_only_copy(void)
{
	rig_run(write_error_keeps_the_only_copy);
}

/* Where not even its log can be written the array goes on without it, as without any that is dead. */
static void a_dead_member_is_failed(struct raid_rig *rig)
{
	fill_from_a_bad_source(rig);
	rig_break(rig, 0, BLOCK_FAULT_ALL, 0, 0);
	rig_write(rig, 32768, 4096, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_holds(rig, 0, 8192, 1));
	CU_ASSERT(!rig_holds(rig, 8192, 4096, 1));
	CU_ASSERT(rig_holds(rig, 32768, 4096, 2));
}

static void test_a_dead_member_is_failed(void)
{
	rig_run(a_dead_member_is_failed);
}

/* One that does not answer would hold up all else. */
static void it_is_failed_when_insisted(struct raid_rig *rig)
{
	fill_from_a_bad_source(rig);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_fail_anyway(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_FAULTY);
	CU_ASSERT_EQUAL(raid_fail_anyway(rig->array, "disk1", &rig->error), -EBUSY);
	CU_ASSERT(rig_holds(rig, 0, 8192, 1));
	CU_ASSERT(!rig_holds(rig, 8192, 4096, 1));
}

static void test_it_is_failed_when_insisted(void)
{
	rig_run(it_is_failed_when_insisted);
}

UNIT_MAIN("raid bad blocks", UNIT(test_it_is_failed_when_insisted),
	  UNIT(test_repair_makes_bad_blocks_good), UNIT(test_read_error_keeps_the_only_copy),
	  UNIT(test_write_error_keeps_the_only_copy), UNIT(test_a_dead_member_is_failed))
