/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: what may be changed of a group whose PVs are missing, as lvm2 has it: removed, tagged and set is, nothing is given room. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "volume/lvm_vg.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static void create_on(struct fixture *f, const char *name, unsigned disk)
{
	struct volume_pv *pv = f->group->pvs[disk];
	const struct volume_lv_options options = { .extents = 1, .pvs = &pv, .pv_count = 1 };

	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, name, &options, NULL, &f->error), 0);
}

static void lose_the_first(struct fixture *f)
{
	struct block *lost = f->disks[0];

	volume_scan_free(f->scan);
	f->scan = NULL;
	f->disks[0] = f->disks[2];
	f->disks[2] = lost;
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(f->group->locked_reason);
}

static void check_refused(struct fixture *f)
{
	const struct volume_lv_options options = { .extents = 1 };

	CU_ASSERT_EQUAL(volume_lv_create(f->group, "new", &options, NULL, &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "here", "other", &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "here", 8 * MIB, NULL, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "`tenon lv remove`"));
}

static void removed(struct fixture *f)
{
	const char *const tags[] = { "blue" };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };
	static const char *const gone[] = { "away", "here", "stay_rimage_0" };
	struct block *block;

	fixture_create(f, NULL);
	create_on(f, "away", 0);
	create_on(f, "here", 1);
	create_on(f, "kept", 1);
	create_on(f, "old", 0);
	CU_ASSERT_EQUAL_FATAL(fixture_raid(f, "both", "raid1", 1), 0);
	fixture_filled_raid(f, "stay", "raid1", 1);
	lose_the_first(f);
	check_refused(f);
	CU_ASSERT_EQUAL(volume_lv_set(f->group, "kept", &settings, &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "here", &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "both", &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "away", &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "stay_rimage_0", &f->error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(f->group->locked_reason);
	/* It comes back: old, and marked so, until it is taken back. */
	f->count = 3;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, gone[i]));
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "both_rimage_1"));
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "kept")->tag_count, 1);
	CU_ASSERT_PTR_NOT_NULL(f->group->locked_reason);
	CU_ASSERT_TRUE(fixture_is_filled(f, "stay", 7));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "old", false, &block, &f->error), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "vg repair vg0 --restore-missing"));
	CU_ASSERT_EQUAL(volume_group_repair(f->group, true, &f->error), 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	create_on(f, "new", 0);
	CU_ASSERT_TRUE(fixture_is_filled(f, "stay", 7));
}

static void test_removed(void)
{
	fixture_run(removed, 3, 32 * MIB);
}

/* Whoever has it open keeps it. */
static void in_use(struct fixture *f)
{
	struct block *block;

	fixture_create(f, NULL);
	create_on(f, "here", 1);
	lose_the_first(f);
	block = fixture_open(f, "here", true);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "here", &f->error), -EBUSY);
	block_unref(block);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "here", &f->error), 0);
	f->count = 3;
}

static void test_in_use(void)
{
	fixture_run(in_use, 3, 32 * MIB);
}

/* A PV that is there twice is another matter: nobody knows which of the two is written to. */
static void there_twice(struct fixture *f)
{
	struct block *lost;
	uint8_t *bytes = malloc(32 * MIB);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	f->count = 2;
	fixture_create(f, NULL);
	create_on(f, "here", 1);
	CU_ASSERT_EQUAL_FATAL(block_read(f->disks[1], 0, bytes, 32 * MIB), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(f->disks[2], 0, bytes, 32 * MIB, 0), 0);
	free(bytes);
	volume_scan_free(f->scan);
	f->scan = NULL;
	lost = f->disks[0];
	f->disks[0] = f->disks[2];
	f->disks[2] = lost;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "here", &f->error), -ENOTUNIQ);
	CU_ASSERT_EQUAL(volume_group_check_planned(f->group, true, &f->error), -ENOTUNIQ);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "copies"));
	f->count = 3;
}

static void test_there_twice(void)
{
	fixture_run(there_twice, 3, 32 * MIB);
}

/* Who is refused for one reason is told that, not another that is graver and does not matter to him. */
static void exported_too(struct fixture *f)
{
	struct block *block;

	fixture_create(f, NULL);
	create_on(f, "here", 1);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, true, &f->error), 0);
	lose_the_first(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->group->locked_reason, "missing"));
	CU_ASSERT_EQUAL(volume_group_check_planned(f->group, true, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "exported"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "vg import"));
	CU_ASSERT_EQUAL(volume_group_check_planned(f->group, false, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "missing"));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "here", true, &block, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "exported"));
	f->count = 3;
}

static void test_exported_too(void)
{
	fixture_run(exported_too, 3, 32 * MIB);
}

UNIT_MAIN("volume groups without PVs", UNIT(test_removed), UNIT(test_in_use),
	  UNIT(test_there_twice), UNIT(test_exported_too))
