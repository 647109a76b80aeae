/* SPDX-License-Identifier: BSD-2-Clause */
/* Which superblock is believed, who may start without whom, and halves that ran apart. */
#include <errno.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid_rig.h"

static const struct raid_create_options plain = { .name = "m", .level = 1, .now = 1000000 };
static const struct raid_create_options with_bitmap = {
	.name = "m",
	.level = 1,
	.now = 1000000,
	.bitmap = RAID_BITMAP_INTERNAL,
	.bitmap_chunk = 65536,
};
static const struct raid_assemble_options complete = { .refuse_degraded = true };

static struct md_superblock superblock(struct raid_rig *rig, unsigned disk)
{
	struct md_superblock sb;
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[disk], &sb, &found, &rig->error), 0);
	return sb;
}

static void put_superblock(struct raid_rig *rig, unsigned disk, const struct md_superblock *sb)
{
	CU_ASSERT_EQUAL(md_superblock_write(rig->memory[disk], sb), 0);
}

/* `count` disks from `first` on, in the order given or the other way round. */
static int assemble(struct raid_rig *rig, unsigned first, unsigned count, bool reverse,
		    const struct raid_assemble_options *options)
{
	struct block *blocks[RIG_MEMBERS];

	for (unsigned i = 0; i < count; i++)
		blocks[reverse ? count - 1 - i : i] = rig->disk[first + i];
	rig->error = (struct error){ 0 };
	return raid_assemble(&rig->array, blocks, count, options, &rig->error);
}

static void create(struct raid_rig *rig, unsigned count, const struct raid_create_options *options)
{
	rig_create(rig, count, options);
	rig_wait(rig);
	rig_write(rig, 0, 4096, 1);
	rig_stop(rig);
}

/* ---- Starting without a member ---- */

static void whole_when_last_written(struct raid_rig *rig)
{
	struct raid_status status;

	create(rig, 2, &plain);
	CU_ASSERT_EQUAL(assemble(rig, 0, 1, false, &complete), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "1 of the 2 members"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "place 1"));
	/* Nothing came of it. */
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 2, false, &complete), 0);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.working, 2);
	CU_ASSERT_EQUAL(status.missing, 0);
	raid_status_free(&status);
	rig_stop(rig);
	/* Who only looks may, and is told. */
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 1, 1, false,
				       &(struct raid_assemble_options){ .read_only = true }),
			      0);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.missing, 1);
	CU_ASSERT_TRUE(status.degraded);
	raid_status_free(&status);
	rig_stop(rig);
}

static void test_whole_when_last_written(void)
{
	rig_run(whole_when_last_written);
}

/* Told to, it starts; and from then on it is an array that is degraded, which starts as it is. */
static void degraded_when_told(struct raid_rig *rig)
{
	create(rig, 2, &plain);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 1, false, NULL), 0);
	rig_write(rig, 8192, 4096, 2);
	rig_stop(rig);
	CU_ASSERT(superblock(rig, 0).events >= superblock(rig, 1).events + 2);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 1, false, &complete), 0);
	rig_stop(rig);
	for (unsigned reverse = 0; reverse < 2; reverse++) {
		CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 2, reverse, &complete), 0);
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
		CU_ASSERT(rig_holds(rig, 8192, 4096, 2));
		rig_stop(rig);
	}
}

static void test_degraded_when_told(void)
{
	rig_run(degraded_when_told);
}

/* ---- Halves that ran apart ---- */

static void run_apart(struct raid_rig *rig, const struct raid_create_options *options)
{
	create(rig, 2, options);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(assemble(rig, i, 1, false, NULL), 0);
		rig_write(rig, i * (1 << 20), 65536, (uint8_t)(10 + i));
		rig_stop(rig);
	}
}

static void expect_apart(struct raid_rig *rig)
{
	for (unsigned i = 0; i < 4; i++) {
		const struct raid_assemble_options options = { .read_only = i & 2 };

		CU_ASSERT_EQUAL(assemble(rig, 0, 2, i & 1, &options), -ESTALE);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "disk0"));
		CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "disk1"));
	}
}

static void halves_are_refused(struct raid_rig *rig)
{
	run_apart(rig, &plain);
	CU_ASSERT_EQUAL(superblock(rig, 0).events, superblock(rig, 1).events);
	expect_apart(rig);
	/* One ran longer than the other: that makes it no better. */
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 1, 1, false, &complete), 0);
	rig_write(rig, 0, 4096, 3);
	rig_stop(rig);
	CU_ASSERT(superblock(rig, 0).events < superblock(rig, 1).events);
	expect_apart(rig);
}

static void test_halves_are_refused(void)
{
	rig_run(halves_are_refused);
}

/* The bitmap of one half says nothing of what the other has written: all is copied, and only with force. */
static void half_over_half(struct raid_rig *rig)
{
	run_apart(rig, &with_bitmap);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 1, false, &complete), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "disk1"));
	CU_ASSERT_EQUAL(raid_add_over(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 1));
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 2, false, &complete), 0);
	CU_ASSERT(rig_holds(rig, 0, 65536, 10));
}

static void test_half_over_half(void)
{
	rig_run(half_over_half);
}

/* As two copies of a mirror would be that were each served: as many updates, and other ones. */
static void other_content_of_the_same_event(struct raid_rig *rig)
{
	struct md_superblock sb;

	create(rig, 2, &plain);
	sb = superblock(rig, 1);
	sb.utime++;
	put_superblock(rig, 1, &sb);
	expect_apart(rig);
}

static void test_other_content_of_the_same_event(void)
{
	rig_run(other_content_of_the_same_event);
}

/* It was one update ahead when it was left out: the other went on, and has but as many events. */
static void left_out_in_its_update(struct raid_rig *rig)
{
	struct md_superblock sb[2];

	create(rig, 2, &plain);
	for (unsigned i = 0; i < 2; i++)
		sb[i] = superblock(rig, i);
	sb[0].events++;
	sb[1].events++;
	sb[1].roles[0] = MD_ROLE_SPARE;
	sb[1].utime++;
	put_superblock(rig, 0, &sb[0]);
	put_superblock(rig, 1, &sb[1]);
	for (unsigned reverse = 0; reverse < 2; reverse++) {
		CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 2, reverse, &complete), 0);
		CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_STALE);
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
		rig_stop(rig);
	}
}

static void test_left_out_in_its_update(void)
{
	rig_run(left_out_in_its_update);
}

/* One that was a member long ago is no half: others took over while all places were filled. */
static void generations_are_no_halves(struct raid_rig *rig)
{
	create(rig, 2, &plain);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 2, false, &complete), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(raid_fail(rig->array, rig->disk[i]->name, &rig->error), 0);
		CU_ASSERT_EQUAL(raid_remove(rig->array, rig->disk[i]->name, &rig->error), 0);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2 + i], &rig->error), 0);
		rig_wait(rig);
	}
	rig_write(rig, 0, 4096, 9);
	rig_stop(rig);
	for (unsigned reverse = 0; reverse < 2; reverse++) {
		CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 4, reverse, &complete), 0);
		CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_STALE);
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
		CU_ASSERT(rig_holds(rig, 0, 4096, 9));
		rig_stop(rig);
	}
}

static void test_generations_are_no_halves(void)
{
	rig_run(generations_are_no_halves);
}

/* Each half got a new member in the other's place: the two have one number, and all places are filled. */
static void halves_that_were_repaired(struct raid_rig *rig)
{
	create(rig, 2, &plain);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(assemble(rig, i, 1, false, NULL), 0);
		rig_write(rig, 0, 65536, (uint8_t)(10 + i));
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2 + i], &rig->error), 0);
		rig_wait(rig);
		rig_stop(rig);
	}
	CU_ASSERT_EQUAL(superblock(rig, 2).dev_number, superblock(rig, 3).dev_number);
	for (unsigned reverse = 0; reverse < 2; reverse++) {
		CU_ASSERT_EQUAL(assemble(rig, 0, 4, reverse, NULL), -ESTALE);
		CU_ASSERT_EQUAL(assemble(rig, 0, 2, reverse, NULL), -ESTALE);
		CU_ASSERT_EQUAL(assemble(rig, 1, 2, reverse, NULL), -ESTALE);
		CU_ASSERT_EQUAL(assemble(rig, 2, 2, reverse, NULL), -ESTALE);
	}
	/* A place is free: still none of the other half's is taken for it. */
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 1, false, NULL), 0);
	rig_write(rig, 0, 4096, 3);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), -ESTALE);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), -ESTALE);
}

static void test_halves_that_were_repaired(void)
{
	rig_run(halves_that_were_repaired);
}

/* A member was being brought up to date by one half, by a bitmap, when the other was started by force: what it
 * has got so far is no part of that one's data, and that one's bitmap does not know of it. */
static void filled_by_the_other_half(struct raid_rig *rig)
{
	const struct raid_assemble_options force = { .force = true };

	create(rig, 3, &with_bitmap);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 1, 1, false, NULL), 0);
	raid_rebuild_freeze(rig->array, true);
	rig_write(rig, 0, 1 << 20, 2);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	rig_stop(rig);
	CU_ASSERT_EQUAL(superblock(rig, 2).features & 0x82, 0x82);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 3, false, NULL), 0);
	rig_stop(rig);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array,
					    (struct block *[]){ rig->disk[0], rig->disk[2] }, 2,
					    &force, &rig->error),
			      0);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_STALE);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);
	CU_ASSERT(rig_equal(rig, 0, 2));
}

static void test_filled_by_the_other_half(void)
{
	rig_run(filled_by_the_other_half);
}

/* ---- A spare that knows more than the data ---- */

static void create_with_spare(struct raid_rig *rig)
{
	struct raid_new_member members[3] = { { .block = rig->disk[0] },
					      { .block = rig->disk[1] },
					      { .block = rig->disk[2], .spare = true } };

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, members, 3, &plain, &rig->error), 0);
	rig_wait(rig);
	rig_write(rig, 0, 4096, 1);
	rig_stop(rig);
}

/* Its superblock got there, and that of the members did not, as the real md leaves it. */
static void spare_is_ahead(struct raid_rig *rig)
{
	struct md_superblock sb;

	create_with_spare(rig);
	sb = superblock(rig, 2);
	for (unsigned ahead = 1; ahead <= 3; ahead++) {
		sb.events++;
		sb.roles[1] = MD_ROLE_FAULTY;
		put_superblock(rig, 2, &sb);
		CU_ASSERT_EQUAL_FATAL(
			assemble(rig, 0, 3, ahead & 1,
				 &(struct raid_assemble_options){ .read_only = true }),
			0);
		CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_IN_SYNC);
		CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
		CU_ASSERT(rig_holds(rig, 0, 4096, 1));
		rig_stop(rig);
	}
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 3, false, &complete), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	rig_stop(rig);
	CU_ASSERT(superblock(rig, 0).events > sb.events);
}

static void test_spare_is_ahead(void)
{
	rig_run(spare_is_ahead);
}

/* It says that the array went on with another member, which is not here: its word counts, unless forced. */
static void spare_excludes_the_data(struct raid_rig *rig)
{
	const struct raid_assemble_options force = { .force = true, .no_resync = true };
	struct raid_status status;

	create_with_spare(rig);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 3, false, &complete), 0);
	raid_rebuild_freeze(rig->array, true);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	rig_write(rig, 0, 4096, 2);
	rig_stop(rig);
	CU_ASSERT_EQUAL(assemble(rig, 1, 2, false, NULL), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "disk1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "disk2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "is lost"));
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 1, 2, false, &force), 0);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.working, 1);
	raid_status_free(&status);
	rig_stop(rig);
	/* Once it was forced it is the array, and the other one is a half that ran apart. */
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 1, 2, false, &complete), 0);
	rig_stop(rig);
	CU_ASSERT_EQUAL(assemble(rig, 0, 3, false, NULL), -ESTALE);
}

static void test_spare_excludes_the_data(void)
{
	rig_run(spare_excludes_the_data);
}

/* The last good member cannot be written, and the process ends: no spare has a newer superblock. */
static void last_member_cannot_be_written(struct raid_rig *rig)
{
	create_with_spare(rig);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 3, false, &complete), 0);
	raid_rebuild_freeze(rig->array, true);
	rig_break(rig, 0, BLOCK_FAULT_WRITE, 0, 1 << 20);
	CU_ASSERT_NOT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_NOT_EQUAL(raid_stop(rig->array, &rig->error), 0);
	CU_ASSERT(superblock(rig, 2).events <= superblock(rig, 0).events);
	block_fault_clear(rig->disk[0]);
	CU_ASSERT_EQUAL_FATAL(assemble(rig, 0, 3, false, &complete), 0);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
}

static void test_last_member_cannot_be_written(void)
{
	rig_run(last_member_cannot_be_written);
}

/* ---- A member that has become shorter ---- */

static void member_cut_short(struct raid_rig *rig)
{
	struct block *slice;
	struct block *blocks[2];
	struct raid_info info;
	struct raid_status status;
	struct raid_array *array;
	char text[64];

	create(rig, 2, &plain);
	CU_ASSERT_EQUAL_FATAL(
		block_create_slice(&slice, "short", rig->disk[1], 0, RIG_SIZE / 2, &rig->error), 0);
	blocks[0] = slice;
	blocks[1] = rig->disk[0];
	CU_ASSERT_EQUAL(raid_probe(slice, &info, &rig->error), 1);
	CU_ASSERT_EQUAL(info.least_bytes, RIG_SIZE);
	CU_ASSERT_EQUAL(raid_assemble(&array, blocks, 2, &complete, &rig->error), -ENODEV);
	snprintf(text, sizeof(text), "short: it has %u bytes and must have %u again", RIG_SIZE / 2,
		 RIG_SIZE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, text));
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, blocks, 2, NULL, &rig->error), 0);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.working, 1);
	CU_ASSERT_EQUAL(status.member_count, 2);
	raid_status_free(&status);
	CU_ASSERT(rig_holds(rig, 0, 4096, 1));
	rig_stop(rig);
	block_unref(slice);
}

static void test_member_cut_short(void)
{
	rig_run(member_cut_short);
}

UNIT_MAIN("raid freshest", UNIT(test_whole_when_last_written), UNIT(test_degraded_when_told),
	  UNIT(test_halves_are_refused), UNIT(test_half_over_half),
	  UNIT(test_other_content_of_the_same_event), UNIT(test_left_out_in_its_update),
	  UNIT(test_generations_are_no_halves), UNIT(test_halves_that_were_repaired),
	  UNIT(test_filled_by_the_other_half), UNIT(test_spare_is_ahead),
	  UNIT(test_spare_excludes_the_data), UNIT(test_last_member_cannot_be_written),
	  UNIT(test_member_cut_short))
