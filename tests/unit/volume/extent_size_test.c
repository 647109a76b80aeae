/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volume/: a group is counted in extents of another size, with the power cut, or a disk failing, at every write of that. It is counted
 * in these or those then, and a volume of two segments has its bytes where they were.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume_cuts.h"

#define EXTENT (64u << 10)
#define NEW    (16u << 10)
#define SIZE   (2u << 20)
#define DISKS  3u

static const struct volume_group_options group_options = { .extent_size = EXTENT };

enum { OLD_SIZE, NEW_SIZE };

static int change(struct volume_group *group, uint64_t size, struct error *error)
{
	const struct volume_settings settings = { .extent_size = &size };

	return volume_group_set(group, &settings, error);
}

/* Of what is there now, in memory or on disks: all of it in extents of `size`. */
static void check(struct fixture *f, struct volume_group *group, uint64_t size)
{
	const struct volume_lv *lv = volume_group_get_lv(group, "a");
	CLEANUP_BLOCK struct block *block = NULL;
	unsigned factor = (unsigned)(EXTENT / size);
	uint64_t extents = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(lv);
	CU_ASSERT_EQUAL(group->extent_size, size);
	for (unsigned i = 0; i < group->pv_count; i++)
		extents += group->pvs[i]->extent_count;
	CU_ASSERT_EQUAL(group->extent_count, extents);
	CU_ASSERT_EQUAL(extents % factor, 0);
	CU_ASSERT_EQUAL(group->free_extents, extents - 8 * factor);
	CU_ASSERT_EQUAL(lv->extent_count, 5 * factor);
	CU_ASSERT_EQUAL(lv->size, 5 * EXTENT);
	CU_ASSERT_EQUAL(lv->segment_count, 2);
	CU_ASSERT_EQUAL(lv->segments[1].start_extent, 3 * factor);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(group, "a", false, &block, &f->error), 0);
	CU_ASSERT(fixture_filled(block, 7));
}

static void make(struct fixture *f)
{
	struct block *block;

	fixture_create(f, &group_options);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 3), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "between", 3), 0);
	CU_ASSERT_EQUAL_FATAL(volume_lv_resize(f->group, "a", 5 * EXTENT, NULL, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
}

static void attempt_one(struct fixture *f, struct cuts *cuts)
{
	uint64_t size;
	int rc;

	make(f);
	cuts_begin(f, cuts);
	rc = change(f->group, NEW, &f->error);
	cuts_mend(cuts);
	worn_power_cycle(&cuts->power);
	check(f, f->group, rc ? EXTENT : NEW);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	size = f->group->extent_size;
	CU_ASSERT(size == NEW || (rc && size == EXTENT));
	cuts->counts[size == NEW ? NEW_SIZE : OLD_SIZE]++;
	check(f, f->group, size);
	CU_ASSERT_EQUAL(change(f->group, NEW, &f->error), 0);
	check(f, f->group, NEW);
}

static void attempt_all(bool fails)
{
	struct cuts sum;

	cuts_run(attempt_one, DISKS, SIZE, fails, 2, &sum);
	CU_ASSERT(sum.changes > 10);
	CU_ASSERT(sum.counts[NEW_SIZE] > 0);
	CU_ASSERT(sum.counts[OLD_SIZE] > 0);
}

static void test_is_cut_off(void)
{
	attempt_all(false);
}

static void test_fails(void)
{
	attempt_all(true);
}

/* A RAID volume keeps its bytes, and where its images lie. */
static void with_raid(struct fixture *f)
{
	const struct volume_lv_options options = {
		.type = "raid5", .stripes = 2, .stripe_size = 8192, .extents = 4, .no_sync = true
	};
	CLEANUP_BLOCK struct block *block = NULL;
	const struct volume_lv *image;

	make(f);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "r", &options, NULL, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "r", true, &block, &f->error), 0);
	fixture_fill(block, 11);
	CU_ASSERT_EQUAL(change(f->group, NEW, &f->error), -EBUSY);
	block_unref(steal_pointer(&block));
	CU_ASSERT_EQUAL(change(f->group, 4096, &f->error), -EINVAL); /* stripes are larger */
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(change(f->group, i ? EXTENT : NEW, &f->error), 0);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		image = volume_group_get_lv(f->group, "r_rimage_0");
		CU_ASSERT_EQUAL(image->size, 2 * EXTENT);
		CU_ASSERT_EQUAL(image->extent_count, i ? 2 : 2 * EXTENT / NEW);
		CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "r", false, &block, &f->error), 0);
		CU_ASSERT(fixture_filled(block, 11));
		block_unref(steal_pointer(&block));
	}
}

static void test_with_raid(void)
{
	fixture_run(with_raid, DISKS, SIZE);
}

static void what_does_not_fit(struct fixture *f)
{
	struct block *block;

	make(f);
	/* 5 extents are no whole number of twice as large ones; nor are 3 KiB a size. */
	CU_ASSERT_EQUAL(change(f->group, 2 * EXTENT, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(change(f->group, 3072, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(change(f->group, 0, &f->error), -EINVAL);
	check(f, f->group, EXTENT);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "between", false, &block, &f->error), 0);
	CU_ASSERT_EQUAL(change(f->group, NEW, &f->error), -EBUSY);
	block_unref(block);
	check(f, f->group, EXTENT);
	CU_ASSERT_EQUAL(change(f->group, NEW, &f->error), 0);
	check(f, f->group, NEW);
	CU_ASSERT_EQUAL(change(f->group, EXTENT, &f->error), 0);
	check(f, f->group, EXTENT);
}

static void test_what_does_not_fit(void)
{
	fixture_run(what_does_not_fit, DISKS, SIZE);
}

UNIT_MAIN("sizes of extents", UNIT(test_is_cut_off), UNIT(test_fails), UNIT(test_what_does_not_fit),
	  UNIT(test_with_raid))
