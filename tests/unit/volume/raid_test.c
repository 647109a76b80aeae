/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: RAID volumes: made, opened, degraded, repaired and grown while they are used, and cuts of power. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/fault.h"
#include "block/block.h"
#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static int make(struct fixture *f, const char *name, const char *type, uint32_t extents)
{
	struct volume_lv_options options = { .type = type, .extents = extents, .stripes = 0 };

	return volume_lv_create(f->group, name, &options, NULL, &f->error);
}

static struct block *open_lv(struct fixture *f, const char *name, bool writable)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, name, writable, &block, &f->error), 0);
	return block;
}

static void wait_in_sync(struct fixture *f, const char *name)
{
	struct raid_array *array = volume_lv_array(volume_group_get_lv(f->group, name));

	CU_ASSERT_PTR_NOT_NULL_FATAL(array);
	CU_ASSERT_EQUAL(raid_rebuild_wait(array, NULL, NULL, 1000000000, &f->error), 0);
}

/* One of which all is filled and in sync. */
static void make_filled(struct fixture *f, const char *name, const char *type, uint32_t extents)
{
	struct block *block;

	CU_ASSERT_EQUAL_FATAL(make(f, name, type, extents), 0);
	block = open_lv(f, name, true);
	wait_in_sync(f, name);
	fixture_fill(block, 7);
	block_unref(block);
}

static bool is_filled(struct fixture *f, const char *name)
{
	struct block *block = open_lv(f, name, false);
	bool filled = fixture_filled(block, 7);

	block_unref(block);
	return filled;
}

/* ---- What is asked for ---- */

static void what_cannot_be_is_refused(struct fixture *f)
{
	struct volume_lv_options options = { .type = "raid7", .extents = 1 };

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -EINVAL);
	options.type = "raid6"; /* five images, four PVs */
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -ENOSPC);
	options.type = "raid5";
	options.mirrors = 1;
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -EINVAL);
	options.mirrors = 0;
	options.stripe_size = 5000;
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
	CU_ASSERT_EQUAL(make(f, "a", "raid5", 3), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 7);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "a")->extent_count, 4);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "b_rimage_2"));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "b", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 0);
}

static void test_what_cannot_be_is_refused(void)
{
	fixture_run(what_cannot_be_is_refused, 4, 8 * MIB);
}

/* ---- In use ---- */

static void who_reads_writes_nothing(struct fixture *f)
{
	struct block *reader, *writer;
	struct raid_status status;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid5", 4);
	reader = open_lv(f, "a", false);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "a")), &status);
	CU_ASSERT_TRUE(status.read_only);
	raid_status_free(&status);
	/* The first who writes has it assembled anew, under the reader. */
	writer = open_lv(f, "a", true);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "a")), &status);
	CU_ASSERT_FALSE(status.read_only);
	raid_status_free(&status);
	CU_ASSERT_TRUE(fixture_filled(reader, 7));
	fixture_fill(writer, 9);
	CU_ASSERT_TRUE(fixture_filled(reader, 9));
	block_unref(reader);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), -EBUSY);
	block_unref(writer);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
}

static void test_who_reads_writes_nothing(void)
{
	fixture_run(who_reads_writes_nothing, 4, 8 * MIB);
}

static void it_grows_while_it_is_open(struct fixture *f)
{
	struct block *block;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid5", 4);
	block = open_lv(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 6 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(block->size, 6 * MIB);
	wait_in_sync(f, "a");
	fixture_fill(block, 7);
	block_unref(block);
	f->count = 2; /* what is new has parity, too */
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(is_filled(f, "a"));
	f->count = 3;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 2 * MIB, NULL, &f->error), 0);
	block = open_lv(f, "a", true);
	CU_ASSERT_EQUAL(block->size, 2 * MIB);
	block_unref(block);
}

static void test_it_grows_while_it_is_open(void)
{
	fixture_run(it_grows_while_it_is_open, 3, 8 * MIB);
}

/* ---- Lost PVs ---- */

static void one_that_is_back_gets_what_it_missed(struct fixture *f)
{
	struct block *block;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid5", 4);
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(volume_lv_degraded(volume_group_get_lv(f->group, "a")));
	CU_ASSERT_TRUE(is_filled(f, "a"));
	block = open_lv(f, "a", true);
	fixture_fill(block, 7);
	block_unref(block);
	f->count = 3;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
	block_unref(block);
	/* Now another one goes. */
	block = f->disks[0];
	f->disks[0] = f->disks[2];
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(is_filled(f, "a"));
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
	make_filled(f, "a", "raid1", 2);
	block = f->disks[0]; /* images are on the first two: take the first away */
	f->disks[0] = f->disks[2];
	f->disks[2] = block;
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open ? open_lv(f, "a", true) : NULL;
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "a")->partial);
	if (!block)
		block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	/* The new image by itself. */
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(is_filled(f, "a"));
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
	make_filled(f, "a", "raid1", 2);
	hide(f, 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open ? open_lv(f, "a", true) : NULL;
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
		block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
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

/* All PVs have images, and one is lost: another one comes to the group, and gets a new image, as lvm2 has it. */
static void a_disk_comes_for_a_lost_one(struct fixture *f)
{
	struct block *lost, *spare = f->disks[2];
	unsigned replaced;

	f->count = 2;
	fixture_create(f, NULL);
	make_filled(f, "a", "raid1", 2);
	volume_scan_free(steal_pointer(&f->scan));
	lost = f->disks[0];
	f->disks[0] = f->disks[1];
	f->disks[1] = spare;
	f->disks[2] = lost;
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -ENOSPC);
	CU_ASSERT_EQUAL(volume_group_reduce(f->group, f->group->pvs[1], &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "`tenon vg extend`"));
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
	CU_ASSERT_TRUE(is_filled(f, "a"));
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
	CU_ASSERT_TRUE(is_filled(f, "a"));
}

/* What can be read has not all data: a mirror's other image is being filled, or both copies of what a level 10 has are not to be read. */
static void a_mirror_that_is_filled(struct fixture *f)
{
	unsigned replaced;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	make_filled(f, "a", "raid1", 4);
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
	make_filled(f, "a", "raid10", 4);
	hide(f, 2);
	hide(f, 3);
	open_fails(f);
	hide(f, 1);
	hide(f, 2);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(is_filled(f, "a"));
}

static void test_what_can_be_read_has_not_all(void)
{
	fixture_run(a_mirror_that_is_filled, 4, 16 * MIB);
	fixture_run(both_copies, 5, 16 * MIB);
}

/* That another piece of an image is missing is worse, and does not hide that it was cut. */
static void check_cut_and_missing(struct fixture *f)
{
	const struct volume_segment *raid = volume_group_get_lv(f->group, "a")->segments;
	struct volume_segment pieces[2];
	struct volume_lv *image = NULL, was;
	struct volume_area gone;

	for (unsigned i = 0; i < raid->area_count; i++)
		if (volume_lv_cut(raid->areas[i].lv))
			image = raid->areas[i].lv;
	CU_ASSERT_PTR_NOT_NULL_FATAL(image);
	CU_ASSERT_TRUE(image->private->has_cut);
	pieces[0] = pieces[1] = image->segments[0];
	gone = image->segments->areas[0];
	for (unsigned i = 0; i < f->group->pv_count; i++)
		if (f->group->pvs[i] != image->segments->areas->pv)
			gone.pv = f->group->pvs[i];
	pieces[1].areas = &gone;
	gone.pv->marked_missing = true;
	was = *image;
	image->segments = pieces;
	image->segment_count = 2;
	lvm_vg_judge_partial(f->group);
	CU_ASSERT_FALSE(volume_lv_cut(image));
	CU_ASSERT_TRUE(image->private->has_cut);
	*image = was;
	gone.pv->marked_missing = false;
	lvm_vg_judge_partial(f->group);
}

/* A disk became shorter than an image of raid5 on it reaches: the volume is used without that image, which has what it missed when the disk is as long
 * as it was. Volumes that have all of theirs there are read only, or, where they are arrays, used. */
static void a_disk_became_shorter(struct fixture *f)
{
	struct block *whole, *block, *other;
	struct raid_status status;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "low", 1), 0);
	make_filled(f, "b", "raid1", 1);
	make_filled(f, "a", "raid5", 4);
	whole = f->disks[0];
	CU_ASSERT_EQUAL_FATAL(
		block_create_slice(&f->disks[0], "short", whole, 0, 5 * MIB, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(volume_lv_cut(volume_group_get_lv(f->group, "a")));
	CU_ASSERT_TRUE(volume_lv_degraded(volume_group_get_lv(f->group, "a")));
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "b")->partial);
	CU_ASSERT_FALSE(volume_lv_reads_only(volume_group_get_lv(f->group, "b")));
	CU_ASSERT_TRUE(volume_lv_reads_only(volume_group_get_lv(f->group, "low")));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "low", true, &other, &f->error), -EROFS);
	check_cut_and_missing(f);
	CU_ASSERT_TRUE(is_filled(f, "a"));
	block = open_lv(f, "a", true);
	fixture_fill(block, 9);
	block_unref(block);
	block = open_lv(f, "b", true);
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "b")), &status);
	CU_ASSERT_FALSE(status.degraded);
	raid_status_free(&status);
	block_unref(block);
	block_unref(f->disks[0]);
	f->disks[0] = whole;
	CU_ASSERT_EQUAL(block_write_zeroes(whole, 5 * MIB, 3 * MIB, 0), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "a")->partial);
	block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
	f->count = 2; /* what it has by now counts */
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open_lv(f, "a", false);
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
	f->count = 3;
}

/* ---- What it is given is not synchronized ---- */

static bool agrees(struct fixture *f, const char *name)
{
	struct raid_status status;
	struct block *block = open_lv(f, name, false);
	bool agree;

	raid_status(volume_lv_array(volume_group_get_lv(f->group, name)), &status);
	agree = status.agree;
	raid_status_free(&status);
	block_unref(block);
	return agree;
}

/* All disks from there on have bytes of their own. */
static void put_garbage(struct fixture *f, uint64_t from)
{
	for (unsigned i = 0; i < f->count; i++) {
		uint8_t bytes[65536];

		memset(bytes, 0x40 + (int)i, sizeof(bytes));
		for (uint64_t at = from; at + sizeof(bytes) <= 20 * MIB; at += sizeof(bytes))
			CU_ASSERT_EQUAL(block_write(f->disks[i], at, bytes, sizeof(bytes), 0), 0);
	}
}

/* Whether the end of each image is what put_garbage() put there. */
static bool differ(struct fixture *f, const char *name)
{
	const struct volume_segment *raid = volume_group_get_lv(f->group, name)->segments;
	bool all = true;

	for (unsigned i = 0; i < raid->area_count; i++) {
		const struct volume_lv *image = raid->areas[i].lv;
		const struct volume_segment *last = &image->segments[image->segment_count - 1];
		const struct volume_pv *pv = last->areas->pv;
		uint64_t end = pv->pe_start + (uint64_t)(last->areas->extent + last->extent_count) *
						      f->group->extent_size;
		uint8_t bytes[4096];

		CU_ASSERT_EQUAL(block_read(pv->block, end - 4096, bytes, 4096), 0);
		all &= bytes[0] == 0x40 + pv->private->index && bytes[4095] == bytes[0];
	}
	return all;
}

static void grow_without_sync(struct fixture *f, const char *type)
{
	const struct volume_lv_options no_sync = { .no_sync = true };
	struct block *block;

	fixture_create(f, NULL);
	make_filled(f, "a", type, 2);
	block = open_lv(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 6 * MIB, &no_sync, &f->error), -EBUSY);
	block_unref(block);
	CU_ASSERT_TRUE(agrees(f, "a"));
	put_garbage(f, 4 * MIB);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 6 * MIB, &no_sync, &f->error), 0);
	CU_ASSERT_TRUE(differ(f, "a"));
	CU_ASSERT_TRUE(agrees(f, "a"));
	CU_ASSERT_TRUE(lvm_strings_contain(&volume_group_get_lv(f->group, "a")->private->status,
					   "NOTSYNCED"));
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(agrees(f, "a"));
	block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(differ(f, "a"));
	CU_ASSERT_EQUAL(block->size, 6 * MIB);
	fixture_fill(block, 5);
	block_unref(block);
	CU_ASSERT_TRUE(agrees(f, "a"));
	/* what comes without that is synchronized, as ever */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 8 * MIB, NULL, &f->error), 0);
	CU_ASSERT_FALSE(agrees(f, "a"));
	CU_ASSERT_TRUE(differ(f, "a"));
	block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
	block_unref(block);
	CU_ASSERT_TRUE(agrees(f, "a") && !differ(f, "a"));
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 4 * MIB, &no_sync, &f->error), -EINVAL);
}

static void one_grows_without_sync(struct fixture *f)
{
	grow_without_sync(f, "raid1");
}

static void five_grows_without_sync(struct fixture *f)
{
	grow_without_sync(f, "raid5");
}

static void others_do_not(struct fixture *f)
{
	const struct volume_lv_options no_sync = { .no_sync = true };

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "l", 1), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "l", 2 * MIB, &no_sync, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "l")->size, MIB);
	make_filled(f, "s", "raid6", 3);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "s", 6 * MIB, &no_sync, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "s")->size, 3 * MIB);
}

static void test_growth_without_sync(void)
{
	fixture_run(one_grows_without_sync, 3, 24 * MIB);
	fixture_run(five_grows_without_sync, 3, 24 * MIB);
	fixture_run(others_do_not, 5, 24 * MIB);
}

static void make_shorter(struct fixture *f, uint64_t size)
{
	struct block *whole = f->disks[0];

	CU_ASSERT_EQUAL_FATAL(block_create_slice(&f->disks[0], "short", whole, 0, size, &f->error),
			      0);
	block_unref(whole);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

/* It stays so: its images are made anew on others, what is lost is removed, and the group takes it as it is. */
static void a_short_disk_is_taken_as_it_is(struct fixture *f)
{
	struct volume_pv *pv;
	struct block *block;
	unsigned replaced;

	f->count = 3;
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "low", 1), 0);
	make_filled(f, "a", "raid5", 4);
	CU_ASSERT_EQUAL(fixture_lv(f, "high", 1), 0);
	make_shorter(f, 4 * MIB);
	CU_ASSERT_TRUE(volume_group_is_short(f->group));
	CU_ASSERT_TRUE(volume_lv_cut(volume_group_get_lv(f->group, "high")));
	pv = f->group->pvs[0];
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "low", "lower", &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, pv, 0, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_group_reduce(f->group, pv, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -ENOSPC);
	CU_ASSERT_EQUAL(volume_group_extend(f->group, &f->disks[3], 1, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, pv, 0, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "high", &f->error), 0);
	CU_ASSERT_TRUE(volume_group_is_short(f->group));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "low", true, &block, &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, pv, 0, &f->error), 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_EQUAL(pv->extent_count, 3);
	CU_ASSERT_FALSE(volume_lv_reads_only(volume_group_get_lv(f->group, "low")));
	f->count = 4;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
	block = open_lv(f, "a", true);
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
}

/* Of all the disks one is too short and one is gone: what is missing leaves, and with it nothing that is only cut. */
static void short_and_missing(struct fixture *f)
{
	struct volume_lv_options options = { .size = MIB };

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "high", 6), 0);
	options.pvs = &f->group->pvs[1];
	options.pv_count = 1;
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "gone", &options, NULL, &f->error), 0);
	f->count = 1;
	make_shorter(f, 4 * MIB);
	CU_ASSERT_FALSE(volume_group_is_short(f->group));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "high", &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, true, &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 1);
	CU_ASSERT_TRUE(volume_group_is_short(f->group));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "high", &f->error), 0);
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, f->group->pvs[0], 0, &f->error), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
	f->count = 2;
}

static void test_a_short_disk_is_given_up(void)
{
	fixture_run(a_short_disk_is_taken_as_it_is, 4, 8 * MIB);
	fixture_run(short_and_missing, 2, 8 * MIB);
}

static void test_a_disk_became_shorter(void)
{
	fixture_run(a_disk_became_shorter, 3, 8 * MIB);
}

/* lvm2 lets parts keep their names where it has places change, as of raid0 that becomes raid10, and then cannot repair it: all are called by their
 * places after that. */
static void swap_names(struct volume_area *one, struct volume_area *other)
{
	char *name = one->lv->name;

	one->lv_name = one->lv->name = other->lv->name;
	other->lv_name = other->lv->name = name;
}

static void check_names(struct fixture *f)
{
	const struct volume_segment *segment = volume_group_get_lv(f->group, "a")->segments;
	char name[64];

	for (unsigned i = 0; i < segment->area_count; i++) {
		snprintf(name, sizeof(name), "a_rimage_%u", i);
		CU_ASSERT_STRING_EQUAL(segment->areas[i].lv->name, name);
		snprintf(name, sizeof(name), "a_rmeta_%u", i);
		CU_ASSERT_STRING_EQUAL(segment->metas[i].lv->name, name);
	}
}

static void parts_called_otherwise(struct fixture *f)
{
	struct volume_segment *segment;
	struct block *block;
	unsigned replaced;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid10", 4);
	segment = volume_group_get_lv(f->group, "a")->segments;
	swap_names(&segment->areas[2], &segment->areas[1]);
	swap_names(&segment->metas[2], &segment->metas[1]);
	block = open_lv(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "a", &f->group->pvs[1], 1, NULL, &replaced,
					  &f->error),
			0);
	check_names(f);
	wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 9);
	check_names(f);
	CU_ASSERT_TRUE(is_filled(f, "a"));
}

static void test_parts_called_otherwise(void)
{
	fixture_run(parts_called_otherwise, 5, 8 * MIB);
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
	make_filled(f, "a", "raid5", 4);
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
	block = open_lv(f, "a", true);
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
	wait_in_sync(f, "a");
	fixture_fill(block, 7);
	block_unref(block);
	/* It was filled: the old one and another are away. */
	away = f->disks[gone];
	f->disks[gone] = f->disks[f->count - 1];
	f->disks[f->count - 1] = away;
	f->count--;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(is_filled(f, "a"));
	away = f->disks[0] == f->disks[unused] ? f->disks[1] : f->disks[0];
	if (away == f->disks[1])
		f->disks[1] = f->disks[2];
	else
		f->disks[0] = f->disks[2];
	f->disks[2] = away;
	f->count--;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(is_filled(f, "a"));
	f->count = 4;
}

static void test_an_image_leaves_a_disk_that_is_here(void)
{
	fixture_run(an_image_leaves_a_disk_that_is_here, 4, 8 * MIB);
}

/* ---- Cuts of power ---- */

/* Something is written and flushed; then the power of all goes at some request of what is done next. */
static bool write_with_cut(struct fixture *f, uint64_t after, uint64_t seed)
{
	uint8_t sector[4096];
	struct block *block;
	bool cut;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open_lv(f, "a", true);
	memset(sector, (int)seed, sizeof(sector));
	CU_ASSERT_EQUAL(block_write(block, MIB / 2, sector, sizeof(sector), 0), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_volatile_cut_after(f->disks[after % f->count], after / f->count, seed);
	block_write(block, MIB, sector, sizeof(sector), 0);
	block_flush(block);
	block_unref(block);
	cut = block_volatile_is_off(f->disks[after % f->count]);
	fixture_cut_power(f, f->count, seed);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = open_lv(f, "a", true);
	memset(sector, 0, sizeof(sector));
	CU_ASSERT_EQUAL(block_read(block, MIB / 2, sector, sizeof(sector)), 0);
	CU_ASSERT_TRUE(sector[0] == (uint8_t)seed && sector[4095] == (uint8_t)seed);
	wait_in_sync(f, "a");
	block_unref(block);
	return cut;
}

static void what_was_flushed_survives(struct fixture *f)
{
	unsigned cuts = 0;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid5", 4);
	volume_scan_free(steal_pointer(&f->scan));
	fixture_make_volatile(f);
	for (uint64_t after = 0; after < 24; after++)
		cuts += write_with_cut(f, after, after + 1);
	CU_ASSERT(cuts > 8);
}

static void test_what_was_flushed_survives(void)
{
	fixture_run(what_was_flushed_survives, 3, 8 * MIB);
}

/* ---- Rates ---- */

static void put_rates(struct fixture *f, const char *text, const char *rates)
{
	char *more = fixture_replace(text, "\nregion_size = ", rates);

	for (unsigned i = 0; i < f->count; i++)
		fixture_put_text(f, i, more);
	free(more);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static struct raid_speed speed_of(struct fixture *f, const char *text, const char *rates)
{
	struct raid_status status;
	struct raid_speed speed;
	struct block *block;

	put_rates(f, text, rates);
	block = open_lv(f, "a", true);
	raid_status(volume_lv_array(volume_group_get_lv(f->group, "a")), &status);
	speed = status.speed;
	raid_status_free(&status);
	block_unref(block);
	return speed;
}

/* lvm2's --minrecoveryrate and --maxrecoveryrate, which count in KiB. */
static void rates_of_the_metadata_are_kept(struct fixture *f)
{
	struct raid_speed speed;
	char *text, *after;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(make(f, "a", "raid1", 4), 0);
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &text, NULL), 0);
	speed = speed_of(f, text, "\nregion_size = ");
	CU_ASSERT_EQUAL(speed.least, RAID_SPEED_LEAST);
	CU_ASSERT_EQUAL(speed.most, 0);
	speed = speed_of(f, text, "\nmax_recovery_rate = 128\nregion_size = ");
	CU_ASSERT_EQUAL(speed.least, 128 << 10);
	CU_ASSERT_EQUAL(speed.most, 128 << 10);
	speed = speed_of(f, text,
			 "\nmin_recovery_rate = 2048\nmax_recovery_rate = 8192\nregion_size = ");
	CU_ASSERT_EQUAL(speed.least, 2 * MIB);
	CU_ASSERT_EQUAL(speed.most, 8 * MIB);
	free(text);

	/* A change of the group leaves them there. */
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_pv_dump_metadata(f->disks[0], &after, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(after, "min_recovery_rate = 2048"));
	CU_ASSERT_PTR_NOT_NULL(strstr(after, "max_recovery_rate = 8192"));
	free(after);
}

static void test_rates_of_the_metadata_are_kept(void)
{
	fixture_run(rates_of_the_metadata_are_kept, 3, 16 * MIB);
}

/* One has failed under who uses it, and the PV of another is gone: with new images in the places of both nothing would be left of what they have. */
static void more_images_fail_than_it_can_do_without(struct fixture *f)
{
	struct block_fault_rule rule = { .requests = BLOCK_FAULT_WRITE,
					 .action = BLOCK_FAULT_ERROR,
					 .error = -EIO };
	struct block *block;
	unsigned replaced = 9;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	make_filled(f, "a", "raid5", 4);
	block = open_lv(f, "a", true);
	block_fault_add(f->disks[0], &rule);
	fixture_fill(block, 9);
	block_fault_clear(f->disks[0]);
	f->group->pvs[1]->marked_missing = true;
	lvm_vg_judge_partial(f->group);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(replaced, 0);
	f->group->pvs[1]->marked_missing = false;
	lvm_vg_judge_partial(f->group);
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
}

static void test_more_images_fail_than_it_can_do_without(void)
{
	fixture_run(more_images_fail_than_it_can_do_without, 6, 16 * MIB);
}

/* ---- Names that change ---- */

/* All of its images are here and have their data: there is nothing to replace. */
static void check_nothing_is_lost(struct fixture *f, const char *name)
{
	unsigned replaced = 1;

	CU_ASSERT_EQUAL(volume_lv_repair(f->group, name, NULL, &replaced, &f->error), 0);
	CU_ASSERT_EQUAL(replaced, 0);
}

static void it_is_renamed_while_it_is_open(struct fixture *f)
{
	struct block *block;
	unsigned replaced;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid1", 4);
	block = open_lv(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "b", &f->error), 0);
	check_nothing_is_lost(f, "b");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	CU_ASSERT_EQUAL(volume_lv_replace(f->group, "b", &f->group->pvs[0], 1, NULL, &replaced,
					  &f->error),
			0);
	CU_ASSERT_EQUAL(replaced, 1);
	wait_in_sync(f, "b");
	block_unref(block);
	CU_ASSERT_TRUE(is_filled(f, "b"));
}

/* Those behind it are called by the places that they have then. */
static void an_image_leaves_while_it_is_open(struct fixture *f)
{
	struct volume_convert wish = { .mirrors = 2 };
	struct block *block;

	fixture_create(f, NULL);
	make_filled(f, "a", "raid1", 4);
	block = open_lv(f, "a", true);
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	wait_in_sync(f, "a");
	wish = (struct volume_convert){ .mirrors = 1, .pvs = &f->group->pvs[0], .pv_count = 1 };
	CU_ASSERT_EQUAL(volume_lv_convert(f->group, "a", &wish, &f->error), 0);
	check_nothing_is_lost(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	CU_ASSERT_TRUE(is_filled(f, "a"));
}

static void test_names_change_while_it_is_open(void)
{
	fixture_run(it_is_renamed_while_it_is_open, 4, 16 * MIB);
	fixture_run(an_image_leaves_while_it_is_open, 4, 16 * MIB);
}

UNIT_MAIN("volume raid", UNIT(test_names_change_while_it_is_open),
	  UNIT(test_what_can_be_read_has_not_all),
	  UNIT(test_more_images_fail_than_it_can_do_without),
	  UNIT(test_rates_of_the_metadata_are_kept), UNIT(test_what_cannot_be_is_refused),
	  UNIT(test_who_reads_writes_nothing), UNIT(test_it_grows_while_it_is_open),
	  UNIT(test_one_that_is_back_gets_what_it_missed), UNIT(test_a_lost_image_is_replaced),
	  UNIT(test_a_disk_comes_for_a_lost_one), UNIT(test_an_unreadable_image),
	  UNIT(test_a_disk_became_shorter), UNIT(test_a_short_disk_is_given_up),
	  UNIT(test_growth_without_sync), UNIT(test_parts_called_otherwise),
	  UNIT(test_an_image_leaves_a_disk_that_is_here), UNIT(test_what_was_flushed_survives))
