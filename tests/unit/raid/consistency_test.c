/* SPDX-License-Identifier: BSD-2-Clause */
/* A partial parity log is given to an array that runs, and taken from it; a lost journal is given up. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"

#define COUNT  3u
#define CHUNK  65536
#define SECOND 1000000000ull
#define PPL    (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)

static enum raid_metadata metadata;

/* One that has room for a log, since it had one. */
static void create(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "c",
						     .level = 5,
						     .metadata = metadata,
						     .chunk = CHUNK,
						     .bitmap = RAID_BITMAP_PPL,
						     .assume_clean = true };

	rig_create(rig, COUNT, &options);
	rig_write(rig, 0, rig_array_size(rig), 1);
	fiber_sleep(SECOND);
}

static int set(struct raid_rig *rig, enum raid_bitmap_choice wanted)
{
	return raid_set_consistency(rig->array, wanted, &rig->error);
}

/* As it is on a disk. */
static bool has_ppl(struct raid_rig *rig, unsigned disk)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	bool found, has;

	CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->memory[disk], sb, &found, &rig->error), 0);
	has = sb->features & PPL;
	free(sb);
	return has;
}

/* The disks as they are now, after the power is gone. */
static void crash(struct raid_rig *rig)
{
	uint8_t *image[RIG_MEMBERS];

	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		image[i] = malloc(RIG_SIZE);
		block_read(rig->memory[i], 0, image[i], RIG_SIZE);
	}
	rig_stop(rig);
	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		block_write(rig->memory[i], 0, image[i], RIG_SIZE, 0);
		free(image[i]);
	}
}

/* Dirty and without a member: with a log it starts, and has all; without one it is refused. */
static void expect_degraded(struct raid_rig *rig, bool log)
{
	rig_write(rig, 8192, 12288, 2);
	crash(rig);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk + 1, COUNT - 1, NULL,
					    &rig->error),
			      log ? 0 : -EBUSY);
	if (log) {
		CU_ASSERT(rig_holds(rig, 0, 8192, 1));
		CU_ASSERT(rig_holds(rig, 8192, 12288, 2));
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), 0);
		rig_wait(rig);
	} else {
		rig_assemble(rig, COUNT, NULL);
		rig_wait(rig);
	}
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
	fiber_sleep(SECOND);
}

static void back_and_forth(struct raid_rig *rig)
{
	create(rig);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), -EEXIST);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_INTERNAL), -EINVAL);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &(struct raid_grow){ .chunk = 32768 }, &rig->error),
			-EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "--consistency resync"));
	CU_ASSERT_EQUAL(raid_grow(rig->array, &(struct raid_grow){ .level = "4" }, &rig->error),
			-EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "--consistency resync"));
	for (unsigned time = 0; time < 2; time++) {
		CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
		CU_ASSERT_FALSE(has_ppl(rig, 0));
		CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), -EEXIST);
		expect_degraded(rig, false);
		CU_ASSERT_EQUAL_FATAL(set(rig, RAID_BITMAP_PPL), 0);
		CU_ASSERT(has_ppl(rig, 0));
		expect_degraded(rig, true);
	}
	/* And a bitmap in its place. */
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_INTERNAL), 0);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "--consistency resync"));
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), 0);
	CU_ASSERT(rig_holds(rig, 8192, 12288, 2));
}

static void test_back_and_forth(void)
{
	metadata = RAID_METADATA_1_2;
	rig_run(back_and_forth);
	metadata = RAID_METADATA_1_0;
	rig_run(back_and_forth);
}

/* The power goes when all disks but one have been told: that one is taken, and told. */
static void cut_off(struct raid_rig *rig)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	bool found;

	create(rig);
	for (unsigned log = 0; log < 2; log++) {
		CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->memory[1], sb, &found, NULL), 0);
		CU_ASSERT_EQUAL(set(rig, log ? RAID_BITMAP_PPL : RAID_BITMAP_NONE), 0);
		crash(rig);
		CU_ASSERT_EQUAL(md_superblock_write(rig->memory[1], sb), 0);
		CU_ASSERT_NOT_EQUAL(has_ppl(rig, 1), has_ppl(rig, 0));
		rig_assemble(rig, COUNT, NULL);
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
		rig_wait(rig);
		CU_ASSERT_EQUAL(has_ppl(rig, 1), log != 0);
		expect_degraded(rig, log);
	}
	free(sb);
}

static void test_cut_off(void)
{
	metadata = RAID_METADATA_1_2;
	rig_run(cut_off);
	metadata = RAID_METADATA_1_0;
	rig_run(cut_off);
}

/* A spare that was not there has no log, nor a place for one by its superblock: it is none until it is added. */
static void spare_was_away(struct raid_rig *rig)
{
	create(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[COUNT], &rig->error), 0);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
	rig_stop(rig);
	rig_assemble(rig, COUNT, NULL);
	rig_write(rig, 0, 4096, 1);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), 0);
	rig_write(rig, 0, 4096, 1);
	rig_stop(rig);
	rig_assemble(rig, COUNT + 1, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, COUNT), RAID_MEMBER_STALE);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	fiber_sleep(SECOND);
	rig_write(rig, 8192, 12288, 2);
	has_ppl(rig, COUNT);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[COUNT], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, COUNT), RAID_MEMBER_IN_SYNC);
	rig_write(rig, 8192, 12288, 3);
	CU_ASSERT(has_ppl(rig, COUNT));
	CU_ASSERT(rig_holds(rig, 8192, 12288, 3));
}

static void test_spare_was_away(void)
{
	metadata = RAID_METADATA_1_2;
	rig_run(spare_was_away);
	metadata = RAID_METADATA_1_0;
	rig_run(spare_was_away);
}

/* A member that left before is taken by force where the other that has its data is lost: with an empty log, also where it has a bitmap still, or none. */
static void by_force(struct raid_rig *rig)
{
	const struct raid_assemble_options force = { .force = true };

	for (unsigned log = 0; log < 3; log++) {
		create(rig);
		if (log)
			CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
		if (log == 2)
			CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_INTERNAL), 0);
		CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
		if (log == 2)
			CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
		CU_ASSERT_EQUAL_FATAL(set(rig, log ? RAID_BITMAP_PPL : RAID_BITMAP_NONE), 0);
		rig_write(rig, 8192, 12288, 2);
		crash(rig);
		CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk + 1, COUNT - 1, NULL,
					      &rig->error),
				-ENODEV);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "--force` takes disk2"));
		CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk + 1, COUNT - 1, &force,
						    &rig->error),
				      0);
		CU_ASSERT(rig_holds(rig, CHUNK, rig_array_size(rig) - CHUNK, 1));
		rig_write(rig, CHUNK, 8192, 3);
		fiber_sleep(SECOND);
		CU_ASSERT_EQUAL(has_ppl(rig, 2), log != 0);
		rig_write(rig, CHUNK + 8192, 8192, 4);
		crash(rig);
		/* From here on it is one that lacks a member, as any other. */
		CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk + 1, COUNT - 1,
						    log ? NULL : &force, &rig->error),
				      0);
		CU_ASSERT(rig_holds(rig, CHUNK, 8192, 3));
		CU_ASSERT(rig_holds(rig, CHUNK + 8192, 8192, 4));
		CU_ASSERT(rig_holds(rig, 3 * CHUNK, rig_array_size(rig) - 3 * CHUNK, 1));
		rig_stop(rig);
	}
}

static void test_by_force(void)
{
	metadata = RAID_METADATA_1_2;
	rig_run(by_force);
	metadata = RAID_METADATA_1_0;
	rig_run(by_force);
}

/* Where no superblock can be written nothing has changed. */
static void cannot_be_said(struct raid_rig *rig)
{
	for (unsigned log = 0; log < 2; log++) {
		create(rig);
		if (log)
			CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
		for (unsigned i = 0; i < COUNT; i++)
			rig_break(rig, i, BLOCK_FAULT_CHANGES, 0, 16384);
		CU_ASSERT_NOT_EQUAL(set(rig, log ? RAID_BITMAP_PPL : RAID_BITMAP_NONE), 0);
		for (unsigned i = 0; i < COUNT; i++)
			block_fault_clear(rig->disk[i]);
		rig_write(rig, 0, 4096, 1);
		rig_stop(rig);
		CU_ASSERT_EQUAL(has_ppl(rig, 0), !log);
		rig_assemble(rig, COUNT, &(struct raid_assemble_options){ .force = true });
		CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
		rig_stop(rig);
	}
}

static void test_cannot_be_said(void)
{
	metadata = RAID_METADATA_1_2;
	rig_run(cannot_be_said);
}

static void no_room(struct raid_rig *rig)
{
	struct raid_create_options options = { .name = "n", .level = 5, .assume_clean = true };

	rig_create(rig, COUNT, &options);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "takes 16 sectors or more"));
	rig_write(rig, 0, 65536, 1);
	rig_stop(rig);
	CU_ASSERT_FALSE(has_ppl(rig, 0));
	options.level = 6;
	rig_create(rig, 4, &options);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), -EOPNOTSUPP);
	rig_stop(rig);
	options.level = 1;
	rig_create(rig, 2, &options);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), -EOPNOTSUPP);
}

static void test_no_room(void)
{
	rig_run(no_room);
}

/* ---- A journal ---- */

static void gives_up(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "j", .level = 5, .chunk = CHUNK, .bitmap = RAID_BITMAP_JOURNAL
	};
	struct raid_new_member members[4] = { { .block = rig->disk[0] },
					      { .block = rig->disk[1] },
					      { .block = rig->disk[2] },
					      { .block = rig->disk[3], .journal = true } };

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 4, &options, &rig->error), 0);
	rig_wait(rig);
	rig_write(rig, 0, rig_array_size(rig), 1);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), -EBUSY);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_PPL), -EINVAL);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk3", &rig->error), 0);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), -EBUSY);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk3", &rig->error), 0);
	CU_ASSERT_EQUAL(set(rig, RAID_BITMAP_NONE), 0);
	rig_write(rig, 8192, 12288, 2);
	CU_ASSERT_EQUAL(block_flush(raid_array_block(rig->array)), 0);
	rig_stop(rig);
	rig_assemble(rig, COUNT, NULL);
	CU_ASSERT(rig_holds(rig, 0, 8192, 1));
	CU_ASSERT(rig_holds(rig, 8192, 12288, 2));
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, 8192, 1));
	CU_ASSERT(rig_holds(rig, 8192, 12288, 2));
	CU_ASSERT(rig_holds(rig, 20480, rig_array_size(rig) - 20480, 1));
}

static void test_gives_up_journal(void)
{
	rig_run(gives_up);
}

UNIT_MAIN("raid consistency", UNIT(test_back_and_forth), UNIT(test_cut_off),
	  UNIT(test_spare_was_away), UNIT(test_by_force), UNIT(test_cannot_be_said),
	  UNIT(test_no_room), UNIT(test_gives_up_journal))
