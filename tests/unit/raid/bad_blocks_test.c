/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad-block logs at work: whose data are the only ones is kept, and made good elsewhere. Virtual time. */
#include <errno.h>
#include <string.h>

#include "block/volatile.h"
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

/* ---- A range that is made good while an update flushes ---- */

#define SECOND 1000000000ull

/* A cache below disk1's faults, which a cut of power empties. */
static struct block *put_cache_below(struct raid_rig *rig, unsigned disk)
{
	struct block *cache;

	block_unref(rig->disk[disk]);
	CU_ASSERT_EQUAL_FATAL(
		block_create_volatile(&cache, "cache", rig->memory[disk], &rig->error), 0);
	CU_ASSERT_EQUAL_FATAL(
		block_create_fault(&rig->disk[disk], "disk1", cache, disk, &rig->error), 0);
	return cache;
}

static void slow_flush(struct raid_rig *rig, unsigned disk, uint64_t after)
{
	block_fault_add(rig->disk[disk], &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								     .after = after,
								     .action = BLOCK_FAULT_LATENCY,
								     .latency_ns = SECOND });
}

static int make_good(void *arg)
{
	struct raid_rig *rig = arg;
	uint8_t bytes[4096];

	memset(bytes, 0xa5, sizeof(bytes));
	return block_write(raid_array_block(rig->array), 8192, bytes, sizeof(bytes), 0);
}

static int add_spare(void *arg)
{
	struct raid_rig *rig = arg;

	return raid_add(rig->array, rig->disk[2], &rig->error);
}

/* What disk1's superblock calls good is what was written to it last, whatever a cut of power left. */
static void expect_bad_or_new(struct raid_rig *rig)
{
	uint8_t bytes[4096], expected[4096];
	struct raid_array *array;

	memset(expected, 0xa5, sizeof(expected));
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&array, &rig->memory[1], 1,
					    &(struct raid_assemble_options){ .read_only = true },
					    &rig->error),
			      0);
	if (!block_read(raid_array_block(array), 8192, bytes, sizeof(bytes)))
		CU_ASSERT_EQUAL(memcmp(bytes, expected, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(raid_stop(array, &rig->error), 0);
}

/*
 * An update has flushed disk1 and waits for disk0's flush. Meanwhile a write makes disk1's bad range good, in
 * its cache; the update goes on, and the power goes before the next flush.
 */
static void cut_with_seed(struct raid_rig *rig, uint64_t seed)
{
	struct block *cache = put_cache_below(rig, 1);
	struct fiber *adding, *writing;

	block_fault_remove(rig->disk[0], fill_from_a_bad_source(rig));
	rig_write(rig, 32768, 4096, 2);
	slow_flush(rig, 0, 0);
	slow_flush(rig, 1, 1);
	adding = fiber_spawn(add_spare, rig);
	fiber_sleep(SECOND / 2);
	writing = fiber_spawn(make_good, rig);
	fiber_sleep(SECOND);
	CU_ASSERT_NOT_EQUAL(block_volatile_unflushed(cache), 0);
	block_volatile_power_cut(cache, seed);
	CU_ASSERT_EQUAL(fiber_join(writing), 0);
	CU_ASSERT_EQUAL(fiber_join(adding), 0);
	expect_bad_or_new(rig);
	block_unref(cache);
}

static void made_good_while_an_update_flushes(struct raid_rig *rig)
{
	static uint64_t seed;

	cut_with_seed(rig, ++seed);
}

static void test_made_good_while_an_update_flushes(void)
{
	for (unsigned i = 0; i < 16; i++)
		rig_run(made_good_while_an_update_flushes);
}

/* What a member alone has stays in a reshape, too: where data still are in the old shape, and where they are in the new. */
static void reshape_keeps_who_is_alone(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "m", .level = 5, .chunk = 65536, .assume_clean = true
	};
	int rule;

	rig_create(rig, 4, &options);
	rig_write(rig, 0, rig_array_size(rig), 1);
	/* Of row 24 disk0 to disk2 have data. */
	rule = rig_break(rig, 1, BLOCK_FAULT_WRITE, DATA + 24 * 65536 + 8192, 4096);
	rig_write(rig, 24 * 196608 + 65536, 65536, 2);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 1);
	CU_ASSERT_EQUAL(raid_fail_check(rig->array, "disk2", false, &rig->error), -EBUSY);

	raid_rebuild_set_rate(rig->array, 65536);
	CU_ASSERT_EQUAL_FATAL(
		raid_grow(rig->array, &(struct raid_grow){ .chunk = 32768 }, &rig->error), 0);
	fiber_sleep(20000000000ull);
	CU_ASSERT_EQUAL(raid_fail_check(rig->array, "disk2", false, &rig->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "4096 bytes at byte 4857856"));
	CU_ASSERT_EQUAL(raid_fail_check(rig->array, "disk1", false, &rig->error), 0);
	block_fault_remove(rig->disk[1], rule);

	/* Whatever place these have: it is before the position. */
	rule = rig_break(rig, 2, BLOCK_FAULT_WRITE, DATA / 2, DATA / 2 + 131072);
	rig_write(rig, 0, 196608, 3);
	block_fault_remove(rig->disk[2], rule);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(bad_ranges(rig, 2), 1);
	CU_ASSERT_EQUAL(raid_fail_check(rig->array, "disk1", false, &rig->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "32768 bytes at byte 32768"));

	/* It moves what it can make; what was written is still bad. */
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(bad_ranges(rig, 1), 0);
	CU_ASSERT_EQUAL(raid_fail_check(rig->array, "disk2", false, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail_check(rig->array, "disk0", false, &rig->error), -EBUSY);
	rig_stop(rig);
}

static void test_reshape_keeps_who_is_alone(void)
{
	rig_run(reshape_keeps_who_is_alone);
}

UNIT_MAIN("raid bad blocks", UNIT(test_it_is_failed_when_insisted),
	  UNIT(test_made_good_while_an_update_flushes), UNIT(test_repair_makes_bad_blocks_good),
	  UNIT(test_read_error_keeps_the_only_copy), UNIT(test_write_error_keeps_the_only_copy),
	  UNIT(test_a_dead_member_is_failed), UNIT(test_reshape_keeps_who_is_alone))
