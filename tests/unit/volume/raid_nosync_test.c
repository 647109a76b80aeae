/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: RAID volumes that grow without what they are given being synchronized. Virtual time. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

/* ---- What it is given is not synchronized ---- */

static bool agrees(struct fixture *f, const char *name)
{
	struct raid_status status;
	struct block *block = fixture_open(f, name, false);
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
	fixture_filled_raid(f, "a", type, 2);
	block = fixture_open(f, "a", true);
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
	block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
	CU_ASSERT_TRUE(differ(f, "a"));
	CU_ASSERT_EQUAL(block->size, 6 * MIB);
	fixture_fill(block, 5);
	block_unref(block);
	CU_ASSERT_TRUE(agrees(f, "a"));
	/* what comes without that is synchronized, as ever */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 8 * MIB, NULL, &f->error), 0);
	CU_ASSERT_FALSE(agrees(f, "a"));
	CU_ASSERT_TRUE(differ(f, "a"));
	block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
	block_unref(block);
	CU_ASSERT_TRUE(agrees(f, "a") && !differ(f, "a"));
	/* nor does it hide what came so before, and nobody has opened since */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 10 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 12 * MIB, &no_sync, &f->error), 0);
	CU_ASSERT_TRUE(differ(f, "a"));
	CU_ASSERT_FALSE(agrees(f, "a"));
	block = fixture_open(f, "a", true);
	fixture_wait_in_sync(f, "a");
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
	fixture_filled_raid(f, "s", "raid6", 3);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "s", 6 * MIB, &no_sync, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "s")->size, 3 * MIB);
}

static void test_growth_without_sync(void)
{
	fixture_run(one_grows_without_sync, 3, 24 * MIB);
	fixture_run(five_grows_without_sync, 3, 24 * MIB);
	fixture_run(others_do_not, 5, 24 * MIB);
}

UNIT_MAIN("volume raid growth without synchronization", UNIT(test_growth_without_sync))
