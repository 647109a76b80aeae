/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: RAID volumes on a device that became shorter: for a while, or for good. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

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
	fixture_filled_raid(f, "b", "raid1", 1);
	fixture_filled_raid(f, "a", "raid5", 4);
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
	CU_ASSERT_TRUE(fixture_is_filled(f, "a", 7));
	block = fixture_open(f, "a", true);
	fixture_fill(block, 9);
	block_unref(block);
	block = fixture_open(f, "b", true);
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
	block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
	f->count = 2; /* what it has by now counts */
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block = fixture_open(f, "a", false);
	CU_ASSERT_TRUE(fixture_filled(block, 9));
	block_unref(block);
	f->count = 3;
}

static bool has_problem(const struct volume_group *group, const char *text)
{
	bool found = false;

	for (unsigned i = 0; i < group->problem_count; i++)
		found |= strstr(group->problems[i], text) != NULL;
	return found;
}

/* Headers that a cache may hide are made durable before a volume is written, also of a group that is not whole. */
static void check_settles(struct fixture *f)
{
	CU_ASSERT_FALSE(f->group->pvs[0]->private->areas[0].settled);
	CU_ASSERT_EQUAL(volume_group_settle(f->group, &f->error), 0);
	CU_ASSERT_TRUE(f->group->pvs[0]->private->areas[0].settled);
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
	fixture_filled_raid(f, "a", "raid5", 4);
	CU_ASSERT_EQUAL(fixture_lv(f, "high", 1), 0);
	make_shorter(f, 4 * MIB);
	CU_ASSERT_TRUE(volume_group_is_short(f->group));
	check_settles(f);
	CU_ASSERT_TRUE(has_problem(f->group, "must have 8388608 bytes again"));
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
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL(pv->extent_count, 3);
	CU_ASSERT_FALSE(volume_lv_reads_only(volume_group_get_lv(f->group, "low")));
	f->count = 4;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
	block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
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
	check_settles(f);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "high", "higher", &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, true, &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 1);
	CU_ASSERT_TRUE(volume_group_is_short(f->group));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "high", &f->error), 0);
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, f->group->pvs[0], 0, &f->error), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
	f->count = 2;
}

/* One of its two metadata areas went with its end. No change brings it back; the group takes the device without it. */
static void an_area_behind_the_end(struct fixture *f)
{
	fixture_create(f,
		       &(struct volume_group_options){ .extent_size = MIB, .metadata_copies = 2 });
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, true, &f->error), 0);
	make_shorter(f, 4 * MIB);
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, f->group->pvs[0], 0, &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), 0);
	CU_ASSERT_TRUE(has_problem(f->group, "the device ends at 4194304"));
	CU_ASSERT_FALSE(has_problem(f->group, "the next change repairs it"));
	CU_ASSERT_EQUAL(volume_pv_resize(f->group, f->group->pvs[0], 0, &f->error), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(f->group->problem_count, 0);
		CU_ASSERT_EQUAL(f->group->pvs[0]->metadata_areas, 1);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
}

/* What a change repairs is told of no more, by the one that goes on with the group, too. */
static void a_stale_area(struct fixture *f)
{
	CLEANUP_FREE char *old = NULL;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &old, &f->error), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	fixture_put_text(f, 1, old);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_TRUE(has_problem(f->group, "the next change repairs it"));
	CU_ASSERT_EQUAL(f->group->problem_count, f->group->lasting_problems);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void test_areas(void)
{
	fixture_run(an_area_behind_the_end, 1, 8 * MIB);
	fixture_run(a_stale_area, 2, 8 * MIB);
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

UNIT_MAIN("volume raid on a short device", UNIT(test_a_short_disk_is_given_up),
	  UNIT(test_a_disk_became_shorter), UNIT(test_areas))
