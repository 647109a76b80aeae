/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: RAID volumes that lost PVs, or whose images leave one: degraded, repaired, replaced. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/fault.h"
#include "block/block.h"
#include "util/bytes.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

/* ---- Lost PVs ---- */

static void one_that_is_back_gets_what_it_missed(struct fixture *f)
{
	struct block *block;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid5", 4);
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(volume_lv_degraded(volume_group_get_lv(f->group, "a")));
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	block = fixture_open(f, "a", true);
	fixture_fill(block, 7);
	block_unref(block);
	f->count = 3;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
	block_unref(block);
	/* Now another one goes. */
	block = f->disks[0];
	f->disks[0] = f->disks[2];
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	volume_scan_free(steal_pointer(&f->scan));
	f->disks[0] = block;
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(volume_lv_degraded(volume_group_get_lv(f->group, "a")));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &block, &f->error), -ENODEV);
	f->count = 3;
}

static void test_one_that_is_back_gets_what_it_missed(void)
{
	fixture_run(one_that_is_back_gets_what_it_missed, 3, 8 * MIB);
}

/* Its last PV is lost; it is repaired onto another, while it is open or not. */
static void repair(struct fixture *f, bool open)
{
	struct block *block = NULL;
	unsigned replaced;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 2);
	block = f->disks[0]; /* images are on the first two: take the first away */
	f->disks[0] = f->disks[2];
	f->disks[2] = block;
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open ? fixture_open(f, "a", true) : NULL;
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "a")->partial);
	if (!block)
		block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	/* The new image by itself. */
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	f->count = 3;
}

static void repair_closed(struct fixture *f)
{
	repair(f, false);
}

static void repair_open(struct fixture *f)
{
	repair(f, true);
}

static void test_a_lost_image_is_replaced(void)
{
	fixture_run(repair_closed, 3, 8 * MIB);
	fixture_run(repair_open, 3, 8 * MIB);
}

/* The superblock of an image cannot be read. */
static void hide(struct fixture *f, unsigned place)
{
	struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
					 .length = MIB,
					 .action = BLOCK_FAULT_ERROR,
					 .error = -EIO };
	const struct volume_area *meta =
		volume_group_get_lv(f->group, "a")->segments->metas[place].lv->segments->areas;

	rule.offset = meta->pv->pe_start + meta->extent * MIB;
	block_fault_add(meta->pv->block, &rule);
}

/* One whose superblock cannot be read is as one that is lost, while its disk is here: the volume is used, and it is replaced. */
static void replace_unreadable(struct fixture *f, bool open)
{
	struct block *block;
	unsigned replaced;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 2);
	hide(f, 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open ? fixture_open(f, "a", true) : NULL;
	CU_ASSERT_EQUAL_FATAL(f->group->problem_count, open);
	if (open)
		CU_ASSERT_PTR_NOT_NULL(
			strstr(f->group->problems[0], "without its image a_rimage_0"));
	CU_ASSERT_TRUE(!open || fixture_filled(block, 7));
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_PTR_EQUAL(volume_group_get_lv(f->group, "a_rimage_0")->segments->areas->pv->block,
			    f->disks[2]);
	if (!block)
		block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 0);
	block_unref(block);
}

static void unreadable_closed(struct fixture *f)
{
	replace_unreadable(f, false);
}

static void unreadable_open(struct fixture *f)
{
	replace_unreadable(f, true);
}

/* A repair that was cut short goes on while a PV is away that has nothing of the volume: it is marked as missing by that, too. */
static void the_rest_of_a_repair(struct fixture *f)
{
	static const char *rebuild[] = { "READ", "WRITE", "REBUILD" };
	struct volume_lv *image;
	unsigned replaced;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 2);
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	image = volume_group_get_lv(f->group, "a_rimage_1");
	image->private->status = (struct lvm_strings){ rebuild, 3 };
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 0);
	f->count = 3;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(f->group->pvs[0]->marked_missing);
	CU_ASSERT_TRUE(f->group->pvs[2]->marked_missing);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

static void test_the_rest_of_a_repair(void)
{
	fixture_run(the_rest_of_a_repair, 3, 8 * MIB);
}

/* All PVs have images, and one is lost: another one comes to the group, and gets a new image, as lvm2 has it. */
static void a_disk_comes_for_a_lost_one(struct fixture *f)
{
	struct block *lost, *spare = f->disks[2];
	unsigned replaced;

	f->count = 2;
	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 2);
	volume_scan_free(steal_pointer(&f->scan));
	lost = f->disks[0];
	f->disks[0] = f->disks[1];
	f->disks[1] = spare;
	f->disks[2] = lost;
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -ENOSPC);
	CU_ASSERT_EQUAL(volume_group_reduce(f->group, f->group->pvs[1], &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "`vg extend`"));
	CU_ASSERT_EQUAL_FATAL(volume_group_extend(f->group, &spare, 1, NULL, &f->error), 0);
	CU_ASSERT_TRUE(f->group->pvs[0]->marked_missing || f->group->pvs[1]->marked_missing);
	CU_ASSERT_PTR_NOT_NULL(f->group->locked_reason);
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->pv_count, 3);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, false, &f->error), 0);
	CU_ASSERT_EQUAL(f->group->pv_count, 2);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	f->count = 3;
}

static void test_a_disk_comes_for_a_lost_one(void)
{
	fixture_run(a_disk_comes_for_a_lost_one, 3, 8 * MIB);
}

static void test_an_unreadable_image(void)
{
	fixture_run(unreadable_closed, 3, 8 * MIB);
	fixture_run(unreadable_open, 3, 8 * MIB);
}

static void open_fails(struct fixture *f)
{
	struct block *block;
	unsigned replaced = 9;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_NOT_EQUAL(volume_open_lv(f->group, "a", false, &block, &f->error), 0);
	CU_ASSERT_NOT_EQUAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	CU_ASSERT_NOT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 0);
	for (unsigned i = 0; i < f->count; i++)
		block_fault_clear(f->disks[i]);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

/* What can be read has not all data: a mirror's other image is being filled, or both copies of what a level 10 has are not to be read. */
static void a_mirror_that_is_filled(struct fixture *f)
{
	unsigned replaced;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid1", 4);
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "a", &f->group->pvs[1], 1, NULL, &replaced,
					  &f->error),
			0);
	hide(f, 0);
	open_fails(f);
}

static void both_copies(struct fixture *f)
{
	fixture_put_faults(f);
	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid10", 4);
	hide(f, 2);
	hide(f, 3);
	open_fails(f);
	hide(f, 1);
	hide(f, 2);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
}

static void test_what_can_be_read_has_not_all(void)
{
	fixture_run(a_mirror_that_is_filled, 4, 16 * MIB);
	fixture_run(both_copies, 5, 16 * MIB);
}

/* ---- Replacing ---- */

static int replace(struct fixture *f, unsigned first, unsigned count, unsigned *replaced)
{
	struct volume_pv *from[2] = { f->group->pvs[first], f->group->pvs[(first + 1) % 4] };

	memset(&f->error, 0, sizeof(f->error));
	return volume_lv_replace(f->group, "a", from, count, NULL, replaced, &f->error);
}

static void an_image_leaves_a_disk_that_is_here(struct fixture *f)
{
	const struct volume_lv *image;
	struct block *block, *away;
	unsigned replaced = 9, gone, unused = 0;

	fixture_create(f, NULL);
	fixture_filled_raid(f, "a", "raid5", 4);
	image = volume_group_get_lv(f->group, "a_rimage_1");
	gone = image->segments->areas->pv->private->index;
	while (f->group->pvs[unused]->allocated_extents)
		unused++;
	CU_ASSERT_EQUAL(replace(f, unused, 1, &replaced), -EINVAL);
	CU_ASSERT_EQUAL(replaced, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "none of its images is on"));
	CU_ASSERT_EQUAL(replace(f, (unused + 1) % 4, 2, &replaced), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "without 2 of its 3 images"));
	CU_ASSERT_STRING_EQUAL(f->error.advice, "replace one after the other");
	block = fixture_open(f, "a", true);
	CU_ASSERT_EQUAL_FATAL(replace(f, gone, 1, &replaced), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	image = volume_group_get_lv(f->group, "a_rimage_1");
	CU_ASSERT_PTR_EQUAL(image->segments->areas->pv, f->group->pvs[unused]);
	CU_ASSERT_EQUAL(f->group->pvs[gone]->allocated_extents, 0);
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	/* The new one is not filled yet, so none of the others may go. */
	CU_ASSERT_EQUAL(replace(f, (unused + 1) % 4 == gone ? (unused + 2) % 4 : (unused + 1) % 4,
				1, &replaced),
			-EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "a_rimage_1, which is to stay"));
	fixture_wait_in_sync(f, "a");
	fixture_fill(block, 7);
	block_unref(block);
	/* It was filled: the old one and another are away. */
	away = f->disks[gone];
	f->disks[gone] = f->disks[f->count - 1];
	f->disks[f->count - 1] = away;
	f->count--;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	away = f->disks[0] == f->disks[unused] ? f->disks[1] : f->disks[0];
	if (away == f->disks[1])
		f->disks[1] = f->disks[2];
	else
		f->disks[0] = f->disks[2];
	f->disks[2] = away;
	f->count--;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	f->count = 4;
}

static void test_an_image_leaves_a_disk_that_is_here(void)
{
	fixture_run(an_image_leaves_a_disk_that_is_here, 4, 8 * MIB);
}

UNIT_MAIN("volume raid with lost PVs", UNIT(test_one_that_is_back_gets_what_it_missed),
	  UNIT(test_a_lost_image_is_replaced), UNIT(test_a_disk_comes_for_a_lost_one),
	  UNIT(test_the_rest_of_a_repair), UNIT(test_an_unreadable_image),
	  UNIT(test_what_can_be_read_has_not_all), UNIT(test_an_image_leaves_a_disk_that_is_here))
