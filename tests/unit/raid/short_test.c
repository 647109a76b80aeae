/* SPDX-License-Identifier: BSD-2-Clause */
/* Members that become shorter while they are in use, and what a check has to say. */
#include <errno.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid_rig.h"

#define DATA (1u << 20) /* data_offset of so small a device */

static const struct raid_create_options plain = {
	.name = "m", .level = 1, .now = 1000000, .assume_clean = true
};
static const struct raid_create_options with_bitmap = {
	.name = "m",
	.level = 1,
	.now = 1000000,
	.bitmap = RAID_BITMAP_INTERNAL,
	.bitmap_chunk = 65536,
	.assume_clean = true,
};

/* As a file answers that was truncated to `size`: see block.h. */
static void cut_short(struct raid_rig *rig, unsigned disk, uint64_t size)
{
	block_fault_add(rig->disk[disk], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								     .offset = size,
								     .length = RIG_SIZE - size,
								     .action = BLOCK_FAULT_ERROR,
								     .error = -ENXIO });
	block_fault_add(rig->disk[disk],
			&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
						    .action = BLOCK_FAULT_ERROR,
						    .error = -ENXIO });
}

static void expect_reason(struct raid_rig *rig, unsigned disk, const char *words)
{
	struct raid_status status;

	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.members[disk].state, RAID_MEMBER_FAULTY);
	CU_ASSERT_PTR_NOT_NULL(strstr(status.members[disk].reason, words));
	raid_status_free(&status);
}

static void found_by_a_read(struct raid_rig *rig)
{
	rig_create(rig, 2, &plain);
	rig_write(rig, 0, 3 << 20, 1);
	for (unsigned i = 0; i < 2; i++) {
		cut_short(rig, i, DATA + (1 << 20));
		for (uint64_t at = 1 << 20; at < 3 << 20; at += 65536)
			CU_ASSERT(rig_holds(rig, at, 65536, 1));
		if (rig_state(rig, i) == RAID_MEMBER_FAULTY)
			break;
		block_fault_clear(rig->disk[i]);
	}
	expect_reason(rig, rig_state(rig, 0) == RAID_MEMBER_FAULTY ? 0 : 1,
		      "must have 4194304 bytes again");
}

static void test_found_by_a_read(void)
{
	rig_run(found_by_a_read);
}

static void found_by_a_write(struct raid_rig *rig)
{
	rig_create(rig, 2, &plain);
	cut_short(rig, 1, DATA + (1 << 20));
	rig_write(rig, 0, 4096, 1);
	expect_reason(rig, 1, "must have 4194304 bytes again");
	/* The last one is not failed, and its error is no other layer's concern. */
	cut_short(rig, 0, DATA + (1 << 20));
	CU_ASSERT_EQUAL(block_write_zeroes(raid_array_block(rig->array), 0, 4096, 0), -EIO);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	block_fault_clear(rig->disk[0]);
}

static void test_found_by_a_write(void)
{
	rig_run(found_by_a_write);
}

/* Grown back it holds zeroes where data were, of which no bitmap knows. */
static void grown_back_is_copied_whole(struct raid_rig *rig)
{
	static const uint8_t zeroes[1 << 20];

	rig_create(rig, 2, &with_bitmap);
	rig_write(rig, 0, 3 << 20, 1);
	rig_stop(rig);
	for (unsigned again = 0; again < 2; again++) {
		rig_assemble(rig, 2, NULL);
		rig_wait(rig);
		cut_short(rig, 1, DATA + (2 << 20));
		rig_write(rig, 0, 4096, (uint8_t)(2 + again));
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
		block_fault_clear(rig->disk[1]);
		block_write(rig->memory[1], DATA + (2 << 20), zeroes, sizeof(zeroes), 0);
		/* In the same process, or in another. */
		if (again) {
			rig_stop(rig);
			rig_assemble(rig, 2, NULL);
		} else {
			CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
		}
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
		rig_wait(rig);
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
		rig_stop(rig);
		CU_ASSERT(rig_equal(rig, 0, 1));
	}
}

static void test_grown_back_is_copied_whole(void)
{
	rig_run(grown_back_is_copied_whole);
}

/* ---- A member that does not answer ---- */

#define SECOND 1000000000ull

static int write_there(void *arg)
{
	rig_write(arg, 65536, 4096, 7);
	return 0;
}

static int flush_there(void *arg)
{
	struct raid_rig *rig = arg;

	return block_flush(raid_array_block(rig->array));
}

/* What hangs: the superblock that says a write begins, the bitmap, a flush, the data. */
static void failed_by_hand(struct raid_rig *rig, unsigned requests, uint64_t offset,
			   uint64_t length)
{
	struct fiber *writer, *flusher;
	uint64_t began;

	rig_create(rig, 3, &with_bitmap);
	rig_write(rig, 0, 4096, 1);
	fiber_sleep(60 * SECOND);
	block_fault_add(rig->disk[1], &(struct block_fault_rule){ .requests = requests,
								  .offset = offset,
								  .length = length,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = 3600 * SECOND });
	writer = fiber_spawn(write_there, rig);
	flusher = fiber_spawn(flush_there, rig);
	fiber_sleep(SECOND);
	began = worker_now();
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(fiber_join(flusher), 0);
	/* Elsewhere, as a write of data that is on its way to it waits for its device. */
	rig_write(rig, 1 << 20, 65536, 8);
	CU_ASSERT(rig_holds(rig, 1 << 20, 65536, 8));
	CU_ASSERT_EQUAL(block_flush(raid_array_block(rig->array)), 0);
	CU_ASSERT(worker_now() - began < SECOND);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "does not answer"));
	fiber_join(writer);
	block_fault_clear(rig->disk[1]);
	fiber_sleep(7200 * SECOND);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	CU_ASSERT(rig_equal(rig, 0, 2));
}

static void hangs_in_superblocks(struct raid_rig *rig)
{
	failed_by_hand(rig, BLOCK_FAULT_WRITE, 4096, 4096);
}

static void hangs_in_the_bitmap(struct raid_rig *rig)
{
	failed_by_hand(rig, BLOCK_FAULT_WRITE, 8192, 4096);
}

static void hangs_in_flushes(struct raid_rig *rig)
{
	failed_by_hand(rig, BLOCK_FAULT_FLUSH, 0, 0);
}

static void hangs_in_data(struct raid_rig *rig)
{
	failed_by_hand(rig, BLOCK_FAULT_ALL, DATA, RIG_SIZE - DATA);
}

static void test_one_that_hangs_is_failed(void)
{
	rig_run(hangs_in_superblocks);
	rig_run(hangs_in_the_bitmap);
	rig_run(hangs_in_flushes);
	rig_run(hangs_in_data);
}

/* ---- Checks ---- */

static void check(struct raid_rig *rig, struct raid_progress *progress)
{
	struct raid_status status;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	*progress = status.progress;
	raid_status_free(&status);
}

static void check_says_where(struct raid_rig *rig)
{
	struct raid_progress progress;
	uint8_t noise[4096];

	memset(noise, 0x77, sizeof(noise));
	rig_create(rig, 2, &plain);
	check(rig, &progress);
	CU_ASSERT_EQUAL(progress.mismatches + progress.skipped + progress.found.count, 0);
	block_write(rig->memory[1], DATA + 8192, noise, 4096, 0);
	block_write(rig->memory[1], DATA + (2 << 20) + 512, noise, 512, 0);
	check(rig, &progress);
	CU_ASSERT_EQUAL(progress.mismatches, 4096 + 512);
	CU_ASSERT_EQUAL_FATAL(progress.found.count, 2);
	CU_ASSERT_EQUAL(progress.found.ranges[0].offset, 8192);
	CU_ASSERT_EQUAL(progress.found.ranges[0].length, 4096);
	CU_ASSERT_EQUAL(progress.found.ranges[1].offset, (2 << 20) + 512);
	CU_ASSERT_EQUAL(progress.found.ranges[1].length, 512);
	CU_ASSERT_EQUAL(progress.skipped, 0);
	/* Alone it has nothing to be compared with. */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	check(rig, &progress);
	CU_ASSERT_EQUAL(progress.skipped, RIG_SIZE - DATA);
}

static void test_check_says_where(void)
{
	rig_run(check_says_where);
}

/* What the one cannot read is noted as bad on the one that is rebuilt from it: around it all is compared. */
static void check_around_bad_blocks(struct raid_rig *rig)
{
	struct raid_progress progress;
	uint8_t noise[512];
	uint8_t bytes[4096];

	memset(noise, 0x77, sizeof(noise));
	rig_create(rig, 1 + 1, &plain);
	rig_write(rig, 0, 1 << 20, 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	rig_break(rig, 0, BLOCK_FAULT_READ, DATA + 65536, 4096);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(block_read(raid_array_block(rig->array), 65536, bytes, 4096), -EIO);
	block_write(rig->memory[1], DATA + 65536 + 4096, noise, 512, 0);
	check(rig, &progress);
	CU_ASSERT_EQUAL(progress.mismatches, 512);
	CU_ASSERT_EQUAL(progress.skipped, 4096);
	CU_ASSERT_EQUAL_FATAL(progress.found.count, 1);
	CU_ASSERT_EQUAL(progress.found.ranges[0].offset, 65536 + 4096);
}

static void test_check_around_bad_blocks(void)
{
	rig_run(check_around_bad_blocks);
}

UNIT_MAIN("raid short", UNIT(test_found_by_a_read), UNIT(test_found_by_a_write),
	  UNIT(test_grown_back_is_copied_whole), UNIT(test_one_that_hangs_is_failed),
	  UNIT(test_check_says_where), UNIT(test_check_around_bad_blocks))
