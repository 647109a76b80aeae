/* SPDX-License-Identifier: BSD-2-Clause */
/* What a member cannot read, or its log calls bad, beside what is silently wrong: nothing good is written over, and what can be had is. Virtual time. */
#include <errno.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid_rig.h"

#define DATA (1u << 20)
#define PAGE (DATA + 65536 + 8192) /* of a device: behind the first chunk */

static struct raid_progress scrub(struct raid_rig *rig, bool repair)
{
	struct raid_status status;
	struct raid_progress progress;

	CU_ASSERT_EQUAL_FATAL(raid_scrub_start(rig->array, repair, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	progress = status.progress;
	raid_status_free(&status);
	return progress;
}

static void create(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "s",
						     .level = rig->level,
						     .chunk = rig->level == 1 ? 0 : 65536,
						     .assume_clean = true };

	rig_create(rig, rig->disks, &options);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 1);
}

static bool holds_all(struct raid_rig *rig)
{
	return rig_holds(rig, 0, raid_array_block(rig->array)->size, 1);
}

static void read_sector(struct raid_rig *rig, unsigned disk, uint64_t at, uint8_t *sector)
{
	CU_ASSERT_EQUAL(block_read(rig->memory[disk], at, sector, 512), 0);
}

/* A member's log calls a sector bad: it could neither be read nor written anew. */
static void call_bad(struct raid_rig *rig, unsigned disk, uint64_t at)
{
	int rule = rig_break(rig, disk, BLOCK_FAULT_READ | BLOCK_FAULT_WRITE, at, 512);

	scrub(rig, false);
	CU_ASSERT_EQUAL(scrub(rig, false).skipped, 512);
	block_fault_remove(rig->disk[disk], rule);
}

/* One cannot be read, and at the same place another is wrong: a third would say so, or the second parity. What is computed or copied from the
 * wrong one is not written, for then two would be wrong, and be the most. */
static void copies_no_wrong_one(struct raid_rig *rig)
{
	uint8_t before[512], after[512];
	int rule;

	create(rig);
	read_sector(rig, 1, PAGE, before);
	block_fault_rot(rig->disk[0], PAGE, 512, 40);
	rule = rig_break(rig, 1, BLOCK_FAULT_READ, PAGE, 512);
	CU_ASSERT_EQUAL(scrub(rig, false).mismatches, 512);
	CU_ASSERT_EQUAL(scrub(rig, true).unresolved, 512);
	holds_all(rig); /* a read is no better */
	block_fault_remove(rig->disk[1], rule);
	read_sector(rig, 1, PAGE, after);
	CU_ASSERT_EQUAL(memcmp(before, after, 512), 0);
	CU_ASSERT_EQUAL(scrub(rig, true).mismatches, 512);
	CU_ASSERT_EQUAL(scrub(rig, false).mismatches, 0);
	CU_ASSERT(holds_all(rig));
}

static void test_copies_no_wrong_one(void)
{
	rig_run_level(1, 3, copies_no_wrong_one);
	rig_run_level(6, 5, copies_no_wrong_one);
}

/* Of a page with one bad sector the others are not written: they can be read, and what others say may be wrong there. */
static void leaves_what_can_be_read(struct raid_rig *rig)
{
	uint8_t before[512], after[512];

	create(rig);
	read_sector(rig, 1, PAGE, before);
	block_fault_rot(rig->disk[0], PAGE, 512, 40);
	rig_break(rig, 1, BLOCK_FAULT_READ, PAGE + 1024, 512);
	for (unsigned repair = 0; repair < 2; repair++)
		CU_ASSERT_EQUAL(scrub(rig, repair).mismatches, 512);
	holds_all(rig);
	read_sector(rig, 1, PAGE, after);
	CU_ASSERT_EQUAL(memcmp(before, after, 512), 0);
}

static void test_leaves_what_can_be_read(void)
{
	rig_run_level(1, 2, leaves_what_can_be_read);
	rig_run_level(5, 4, leaves_what_can_be_read);
}

static void set_physical(struct raid_rig *rig, unsigned disk, uint32_t bytes)
{
	rig->memory[disk]->physical_block_size = rig->disk[disk]->physical_block_size = bytes;
}

/* A block of 4096 bytes is written as a whole or not at all: who has emulated sectors would have to read what it cannot. */
static void writes_no_part_of_a_block(struct raid_rig *rig)
{
	uint8_t before[512], after[512];

	set_physical(rig, 1, 4096);
	create(rig);
	block_fault_rot(rig->disk[1], PAGE + 1024, 512, 40);
	read_sector(rig, 1, PAGE + 1024, before);
	block_fault_rot(rig->disk[0], PAGE, 512, 40);
	rig_break(rig, 1, BLOCK_FAULT_READ, PAGE, 4096);
	for (unsigned repair = 0; repair < 2; repair++)
		CU_ASSERT_EQUAL(scrub(rig, repair).mismatches, 512);
	read_sector(rig, 1, PAGE + 1024, after);
	CU_ASSERT_EQUAL(memcmp(before, after, 512), 0);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
}

/* A request for less is a reason to make the whole block good. */
static void makes_the_block_good(struct raid_rig *rig)
{
	struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
					 .offset = PAGE,
					 .length = 4096,
					 /* by the request, with others, and by itself */
					 .count = rig->level == 1 || rig->level == 10 ? 2 : 3,
					 .action = BLOCK_FAULT_ERROR,
					 .error = -EIO };
	unsigned bad = rig->level == 1 || rig->level == 10 ? 0 : 1; /* who is read from */
	uint8_t before[4096], after[4096];
	uint64_t size;

	for (unsigned i = 0; i < rig->disks; i++)
		set_physical(rig, i, 4096);
	create(rig);
	size = raid_array_block(rig->array)->size;
	CU_ASSERT_EQUAL(block_read(rig->memory[bad], PAGE, before, 4096), 0);
	block_fault_rot(rig->disk[bad], PAGE, 4096, 400);
	block_fault_add(rig->disk[bad], &rule);
	for (uint64_t at = 0; at < size; at += 4096)
		CU_ASSERT(rig_holds(rig, at, 512, 1));
	CU_ASSERT_EQUAL(block_read(rig->memory[bad], PAGE, after, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(before, after, 4096), 0);
}

/* Of a block of which the other lacks a sector nothing is written, and nobody is failed for it; what is there can be read. */
static void leaves_a_part(struct raid_rig *rig)
{
	uint8_t before[4096], after[4096];
	unsigned disk;

	set_physical(rig, 0, 4096);
	create(rig);
	rig_break(rig, 1, BLOCK_FAULT_READ, PAGE + 1024, 512);
	rig_break(rig, 0, BLOCK_FAULT_READ, PAGE, 4096);
	CU_ASSERT_EQUAL(block_read(rig->memory[0], PAGE, before, 4096), 0);
	for (disk = 0; disk < 4096; disk += 512)
		CU_ASSERT_EQUAL(rig_holds(rig, PAGE - DATA + disk, 512, 1), disk != 1024);
	CU_ASSERT_EQUAL(rig_writes(rig, 0), rig_writes(rig, 1));
	CU_ASSERT_EQUAL(block_read(rig->memory[0], PAGE, after, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(before, after, 4096), 0);
	for (disk = 0; disk < 2; disk++)
		CU_ASSERT_EQUAL(rig_state(rig, disk), RAID_MEMBER_IN_SYNC);
}

static void test_knows_blocks_of_4096(void)
{
	rig_run_level(6, 5, writes_no_part_of_a_block);
	rig_run_level(6, 5, makes_the_block_good);
	rig_run_level(5, 4, makes_the_block_good);
	rig_run_level(10, 4, makes_the_block_good);
	rig_run_level(1, 2, makes_the_block_good);
	rig_run_level(1, 2, leaves_a_part);
}

/* What others agree in is made good by a read, though they differ elsewhere in the page. */
static void makes_good_what_agrees(struct raid_rig *rig)
{
	struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
					 .offset = PAGE + 1024,
					 .length = 512,
					 .count = 3, /* as a group, as a page, and by itself */
					 .action = BLOCK_FAULT_ERROR,
					 .error = -EIO };
	uint8_t good[512], wrong[512], after[512];

	create(rig);
	read_sector(rig, 0, PAGE + 1024, good);
	block_fault_rot(rig->disk[0], PAGE, 512, 40);
	block_fault_rot(rig->disk[0], PAGE + 1024, 512, 40);
	read_sector(rig, 0, PAGE, wrong);
	block_fault_rot(rig->disk[1], PAGE + 512, 512, 40);
	block_fault_add(rig->disk[0], &rule);
	rig_holds(rig, PAGE - DATA, 4096, 1);
	read_sector(rig, 0, PAGE + 1024, after);
	CU_ASSERT_EQUAL(memcmp(good, after, 512), 0);
	read_sector(rig, 0, PAGE, after);
	CU_ASSERT_EQUAL(memcmp(wrong, after, 512), 0);
}

static void test_makes_good_what_agrees(void)
{
	rig_run_level(1, 3, makes_good_what_agrees);
}

/* Most of three copies say who is wrong in a sector, though one of them cannot be read in another sector of the page. */
static void votes_beside_what_cannot_be_read(struct raid_rig *rig)
{
	struct raid_progress progress;

	create(rig);
	block_fault_rot(rig->disk[0], PAGE, 512, 40);
	rig_break(rig, 1, BLOCK_FAULT_READ, PAGE + 1024, 512);
	progress = scrub(rig, true);
	CU_ASSERT_EQUAL(progress.mismatches, 512);
	CU_ASSERT_EQUAL(progress.unresolved, 0);
	CU_ASSERT_EQUAL(scrub(rig, false).mismatches, 0);
	CU_ASSERT(holds_all(rig));
}

static void test_votes_beside_what_cannot_be_read(void)
{
	rig_run_level(1, 3, votes_beside_what_cannot_be_read);
}

/* Two copies differ, and the log of the third calls it bad: with either of them it would be the most. */
static void heals_no_guess(struct raid_rig *rig)
{
	create(rig);
	call_bad(rig, 2, PAGE);
	block_fault_rot(rig->disk[0], PAGE, 512, 40);
	for (unsigned i = 0; i < 3; i++) {
		struct raid_progress progress = scrub(rig, true);

		CU_ASSERT_EQUAL(progress.unresolved, 512);
		CU_ASSERT_EQUAL(progress.skipped, 512);
	}
}

static void test_heals_no_guess(void)
{
	rig_run_level(1, 3, heals_no_guess);
}

/* Beside a sector that is bad somewhere all others are judged as ever, and it is made good though another of its page
 * cannot be. */
static void judges_sector_by_sector(struct raid_rig *rig)
{
	create(rig);
	call_bad(rig, 1, PAGE);
	block_fault_rot(rig->disk[0], PAGE + 512, 512, 40);
	CU_ASSERT_EQUAL(scrub(rig, true).unresolved, rig->disks > 4 ? 0 : 512);
	CU_ASSERT_EQUAL(scrub(rig, false).skipped, 0);
	CU_ASSERT(rig->disks < 5 || holds_all(rig));
}

static void test_judges_sector_by_sector(void)
{
	rig_run_level(6, 5, judges_sector_by_sector);
	rig_run_level(5, 3, judges_sector_by_sector);
	rig_run_level(1, 2, judges_sector_by_sector);
}

/* The last sectors of a device, where a superblock of another version would be, are data of this one: it loses a sector, no member. */
static void loses_no_member_for_a_sector(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "s",
						     .level = 1,
						     .assume_clean = true };

	rig_create(rig, 2, &options);
	rig_write(rig, 0, raid_array_block(rig->array)->size, 1);
	rig_stop(rig);
	for (uint64_t at = RIG_SIZE - 65536; at < RIG_SIZE; at += 4096)
		rig_break(rig, 0, BLOCK_FAULT_READ, at, 4096);
	rig_assemble(rig, 2, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(holds_all(rig));
}

/* Where the array has no data nobody knows what a place has that cannot be read. */
static void is_careful_beyond_its_data(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "s",
						     .level = 1,
						     .assume_clean = true };
	struct md_superblock sb;
	bool found;

	rig_create(rig, 2, &options);
	rig_stop(rig);
	rig_break(rig, 0, BLOCK_FAULT_READ, 4096, 4096);
	CU_ASSERT_EQUAL(md_superblock_find(rig->disk[0], &sb, &found, &rig->error), -EIO);
	CU_ASSERT_FALSE(found);
}

/* Whoever looks for superblocks waits once for a device that takes long to say that it cannot read. */
static void waits_once(struct raid_rig *rig)
{
	struct md_superblock sb;
	uint64_t began;
	bool found;

	block_fault_add(rig->disk[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = 30000000000ull });
	rig_break(rig, 0, BLOCK_FAULT_READ, 0, 0);
	began = worker_now();
	CU_ASSERT_EQUAL(md_superblock_find(rig->disk[0], &sb, &found, &rig->error), -EIO);
	CU_ASSERT(worker_now() - began < 31000000000ull);
}

static void test_loses_no_member_for_a_sector(void)
{
	rig_run(waits_once);
	rig_run(loses_no_member_for_a_sector);
	rig_run(is_careful_beyond_its_data);
}

UNIT_MAIN("raid make good", UNIT(test_copies_no_wrong_one), UNIT(test_leaves_what_can_be_read),
	  UNIT(test_knows_blocks_of_4096), UNIT(test_makes_good_what_agrees),
	  UNIT(test_votes_beside_what_cannot_be_read), UNIT(test_heals_no_guess),
	  UNIT(test_judges_sector_by_sector), UNIT(test_loses_no_member_for_a_sector))
