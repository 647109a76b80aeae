/* SPDX-License-Identifier: BSD-2-Clause */
/* Partial parity logs that are not as they should be: of another time, or not to be read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_ppl.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"

#define COUNT 4u
#define SPARE 4u

static struct raid_create_options options = {
	.name = "x", .level = 5, .chunk = 65536, .bitmap = RAID_BITMAP_PPL
};

/* Where the log of a disk begins. */
static uint64_t log_of(struct raid_rig *rig, unsigned disk)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	uint64_t byte;
	bool found;

	CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->memory[disk], sb, &found, &rig->error), 0);
	byte = md_superblock_byte(sb, sb->ppl_offset);
	free(sb);
	return byte;
}

/* As a spare that md added has it which was a member before: newer than anything that the array writes from here on. */
static void put_old_log(struct raid_rig *rig)
{
	uint8_t page[MD_PPL_HEADER_BYTES];
	struct md_ppl_header header;

	CU_ASSERT_EQUAL_FATAL(block_read(rig->memory[0], log_of(rig, 0), page, sizeof(page)), 0);
	CU_ASSERT_EQUAL_FATAL(md_ppl_decode(page, &header, &rig->error), 0);
	header.generation = 1 << 20;
	md_ppl_encode(&header, page);
	CU_ASSERT_EQUAL_FATAL(
		block_write(rig->memory[SPARE], log_of(rig, SPARE), page, sizeof(page), 0), 0);
}

static void has_no_old_log(struct raid_rig *rig)
{
	uint8_t page[MD_PPL_HEADER_BYTES];
	struct md_ppl_header header;

	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, SPARE), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL_FATAL(
		block_read(rig->memory[SPARE], log_of(rig, SPARE), page, sizeof(page)), 0);
	CU_ASSERT_EQUAL(md_ppl_decode(page, &header, &rig->error), 0);
	CU_ASSERT_EQUAL(header.generation, 0);
}

static void with_spare(struct raid_rig *rig)
{
	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[SPARE], &rig->error), 0);
	put_old_log(rig);
}

static void takes_a_place(struct raid_rig *rig)
{
	with_spare(rig);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	has_no_old_log(rig);
}

static void replaces(struct raid_rig *rig)
{
	with_spare(rig);
	CU_ASSERT_EQUAL(raid_replace(rig->array, "disk1", NULL, &rig->error), 0);
	has_no_old_log(rig);
}

static void test_old_log_of_a_spare(void)
{
	rig_run(takes_a_place);
	rig_run(replaces);
	/* Behind the data, and before the superblock. */
	options.metadata = RAID_METADATA_1_0;
	rig_run(takes_a_place);
	rig_run(replaces);
	options.metadata = RAID_METADATA_DEFAULT;
}

/* ---- Not to be read ---- */

/* The disks as a crash leaves them: dirty, with a log each. */
static void crash(struct raid_rig *rig, struct block *copies[COUNT])
{
	uint8_t *bytes = malloc(RIG_SIZE);

	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	rig_write(rig, 0, rig_array_size(rig), 1);
	rig_write(rig, 4096, 8192, 2);
	for (unsigned i = 0; i < COUNT; i++) {
		struct block *copy;
		char name[] = "copy0";

		name[4] = (char)('0' + i);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&copy, name, RIG_SIZE, &rig->error), 0);
		block_read(rig->memory[i], 0, bytes, RIG_SIZE);
		block_write(copy, 0, bytes, RIG_SIZE, 0);
		CU_ASSERT_EQUAL_FATAL(block_create_fault(&copies[i], name, copy, 1, &rig->error),
				      0);
		block_unref(copy);
		block_fault_add(copies[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .offset = log_of(rig, i),
							    .length = MD_PPL_HEADER_BYTES,
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO });
	}
	free(bytes);
	rig_stop(rig);
}

static void cannot_be_read(struct raid_rig *rig)
{
	struct block *copies[COUNT];
	struct raid_status status;

	crash(rig, copies);
	/* What is missing would be computed from parity that nobody vouches for. */
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, copies + 1, COUNT - 1, NULL, &rig->error), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "partial parity log cannot be carried out"));
	/* With all of them it is made anew. */
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, copies, COUNT, NULL, &rig->error), 0);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.operation == RAID_RESYNC || !status.clean, true);
	raid_status_free(&status);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	CU_ASSERT(rig_holds(rig, 4096, 8192, 2));
	rig_stop(rig);
	for (unsigned i = 0; i < COUNT; i++)
		block_unref(copies[i]);
}

static void test_logs_that_cannot_be_read(void)
{
	rig_run(cannot_be_read);
}

/* ---- Small areas ---- */

/* As `mdadm --grow --consistency-policy=ppl` gives a log to an array: what there is between superblock and log of bad blocks. */
static void small_area(struct raid_rig *rig, unsigned sectors)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	bool found;

	rig_create(rig, COUNT, &options);
	rig_stop(rig);
	for (unsigned i = 0; i < COUNT; i++) {
		CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->memory[i], sb, &found, &rig->error),
				      0);
		sb->ppl_size = (uint16_t)sectors;
		sb->bitmap_offset = (int32_t)(sectors << 16 | (uint16_t)sb->ppl_offset);
		CU_ASSERT_EQUAL_FATAL(md_superblock_write(rig->memory[i], sb), 0);
	}
	free(sb);
}

/* What is written of a log ends before what is behind it. */
static void keeps_within(struct raid_rig *rig)
{
	uint8_t mark[512], found[512];

	small_area(rig, 128);
	memset(mark, 0x5a, sizeof(mark));
	for (unsigned i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(block_write(rig->memory[i], log_of(rig, i) + 65536, mark,
					    sizeof(mark), 0),
				0);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk, COUNT, NULL, &rig->error), 0);
	rig_write(rig, 0, rig_array_size(rig), 1);
	rig_write(rig, 4096, 65536, 2);
	rig_write(rig, 100 * 1024, 4096, 3);
	for (unsigned i = 0; i < COUNT; i++) {
		CU_ASSERT_EQUAL(block_read(rig->memory[i], log_of(rig, i) + 65536, found,
					   sizeof(found)),
				0);
		CU_ASSERT_EQUAL(memcmp(found, mark, sizeof(mark)), 0);
	}
	rig_stop(rig);
	CU_ASSERT_EQUAL_FATAL(
		raid_assemble(&rig->array, rig->disk + 1, COUNT - 1, NULL, &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	CU_ASSERT(rig_holds(rig, 4096, 65536, 2));
	CU_ASSERT(rig_holds(rig, 100 * 1024, 4096, 3));
}

static void too_small(struct raid_rig *rig)
{
	small_area(rig, 8);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, COUNT, NULL, &rig->error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "has 4096 bytes, expected 8192 or more"));
	rig->array = NULL;
}

/* A spare has a smaller one than the members have. */
static void smaller_on_a_spare(struct raid_rig *rig)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	uint8_t mark[512], found[512];
	bool there;

	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[SPARE], &rig->error), 0);
	rig_stop(rig);
	CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->memory[SPARE], sb, &there, NULL), 0);
	sb->ppl_size = 16;
	sb->bitmap_offset = 16 << 16 | (uint16_t)sb->ppl_offset;
	CU_ASSERT_EQUAL_FATAL(md_superblock_write(rig->memory[SPARE], sb), 0);
	free(sb);
	memset(mark, 0x5a, sizeof(mark));
	block_write(rig->memory[SPARE], log_of(rig, SPARE) + 8192, mark, sizeof(mark), 0);
	rig_assemble(rig, COUNT + 1, NULL);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, SPARE), RAID_MEMBER_IN_SYNC);
	rig_write(rig, 0, rig_array_size(rig), 1);
	/* Of the row whose P it has. */
	rig_write(rig, 6 * 65536, 65536, 2);
	block_read(rig->memory[SPARE], log_of(rig, SPARE) + 8192, found, sizeof(found));
	CU_ASSERT_EQUAL(memcmp(found, mark, sizeof(mark)), 0);
	CU_ASSERT(rig_holds(rig, 6 * 65536, 65536, 2));
}

static void test_small_areas(void)
{
	rig_run(keeps_within);
	rig_run(too_small);
	rig_run(smaller_on_a_spare);
}

/* ---- A resync that has not begun ---- */

/* The array is gone, and the disks are as they were then. */
static void cut_off(struct raid_rig *rig)
{
	uint8_t *bytes = malloc((size_t)COUNT * RIG_SIZE);

	for (unsigned i = 0; i < COUNT; i++)
		block_read(rig->memory[i], 0, bytes + (size_t)i * RIG_SIZE, RIG_SIZE);
	rig_stop(rig);
	for (unsigned i = 0; i < COUNT; i++)
		block_write(rig->memory[i], 0, bytes + (size_t)i * RIG_SIZE, RIG_SIZE, 0);
	free(bytes);
}

/* Superblocks that say 0 say of an array with something in its logs that no resync was due. While it is dirty they say the first page: that is
 * a whole chunk here. */
static void keeps_resync(struct raid_rig *rig, void (*end)(struct raid_rig *rig))
{
	struct raid_create_options later = options;
	struct raid_status status;
	uint8_t *junk = malloc(RIG_SIZE);

	for (unsigned i = 0; i < COUNT; i++) {
		memset(junk, 0x11 << i, RIG_SIZE);
		block_write(rig->memory[i], 0, junk, RIG_SIZE, 0);
	}
	free(junk);
	later.no_resync = true;
	later.chunk = 4096;
	rig_create(rig, COUNT, &later);
	rig_write(rig, 16384, 4096, 2);
	end(rig);
	rig_assemble(rig, COUNT, NULL);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 16384, 4096, 2));
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.mismatches, 0);
	raid_status_free(&status);
}

static void keeps_over_stop(struct raid_rig *rig)
{
	keeps_resync(rig, rig_stop);
}

static void keeps_over_crash(struct raid_rig *rig)
{
	keeps_resync(rig, cut_off);
}

static void test_keeps_its_resync(void)
{
	rig_run(keeps_over_stop);
	rig_run(keeps_over_crash);
}

UNIT_MAIN("ppl replay", UNIT(test_old_log_of_a_spare), UNIT(test_logs_that_cannot_be_read),
	  UNIT(test_small_areas), UNIT(test_keeps_its_resync))
