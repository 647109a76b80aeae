/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: power is cut at each request in turn while a RAID volume is made, or repaired: it is there or it is not, and has all data. Virtual
 * time. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "block/volatile.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static const char *the_type;
static unsigned was_old, was_new;

static struct block *open_lv(struct fixture *f)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	return block;
}

static void wait_in_sync(struct fixture *f)
{
	struct raid_array *array = volume_lv_array(volume_group_get_lv(f->group, "a"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(array);
	CU_ASSERT_EQUAL(raid_rebuild_wait(array, NULL, NULL, 1000000000, &f->error), 0);
}

static int make(struct fixture *f)
{
	struct volume_lv_options options = { .type = the_type, .extents = 4 };

	return volume_lv_create(f->group, "a", &options, NULL, &f->error);
}

static void cut_all(struct fixture *f, unsigned count, uint64_t seed)
{
	volume_scan_free(steal_pointer(&f->scan));
	fixture_cut_power(f, count, seed);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_validate(f->group, &f->error), 0);
}

static void begin(struct fixture *f)
{
	fixture_create(f, &(struct volume_group_options){ .extent_size = MIB, .force = true });
}

/* What is written to one that is there is there with any PV missing. */
static void check_redundant(struct fixture *f)
{
	struct block *block = open_lv(f), *last;

	wait_in_sync(f);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
	for (unsigned gone = 0; gone < f->count; gone++) {
		last = f->disks[f->count - 1];
		f->disks[f->count - 1] = f->disks[gone];
		f->disks[gone] = last;
		f->count--;
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &block, &f->error), 0);
		CU_ASSERT_TRUE(fixture_filled(block, 7));
		block_unref(block);
		volume_scan_free(steal_pointer(&f->scan));
		f->count++;
		last = f->disks[f->count - 1];
		f->disks[f->count - 1] = f->disks[gone];
		f->disks[gone] = last;
	}
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

/* ---- Made ---- */

static bool create_with_cut(struct fixture *f, uint64_t after)
{
	struct block *disk = f->disks[after % f->count];
	uint32_t free_extents;
	bool cut;

	begin(f);
	free_extents = f->group->free_extents;
	block_volatile_cut_after(disk, after / f->count, after + 1);
	make(f);
	cut = block_volatile_is_off(disk);
	cut_all(f, f->count, after + 1);
	if (volume_group_get_lv(f->group, "a")) {
		was_new++;
		check_redundant(f);
	} else {
		was_old++;
		CU_ASSERT_EQUAL(f->group->lv_count, 0);
		CU_ASSERT_EQUAL(f->group->free_extents, free_extents);
		CU_ASSERT_EQUAL(make(f), 0);
	}
	volume_scan_free(steal_pointer(&f->scan));
	return cut;
}

/* ---- Repaired ---- */

/* The disk of the first image is lost, and the last one has room. */
static bool repair_with_cut(struct fixture *f, uint64_t after)
{
	unsigned all = f->count, left = all - 1, replaced;
	struct block *lost = f->disks[0], *block, *disk;
	bool cut;

	begin(f);
	CU_ASSERT_EQUAL_FATAL(make(f), 0);
	block = open_lv(f);
	wait_in_sync(f);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
	volume_scan_free(steal_pointer(&f->scan));
	f->disks[0] = f->disks[left];
	f->disks[left] = lost;
	f->count = left;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	disk = f->disks[after % left];
	block_volatile_cut_after(disk, after / left, after + 1);
	volume_lv_repair(f->group, "a", NULL, &replaced, &f->error);
	cut = block_volatile_is_off(disk);
	cut_all(f, left, after + 1);
	*(volume_group_get_lv(f->group, "a")->partial ? &was_old : &was_new) += 1;
	block = open_lv(f);
	CU_ASSERT_TRUE(fixture_filled(block, 7));
	block_unref(block);
	/* It goes on from there. */
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), 0);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "a")->partial);
	CU_ASSERT_EQUAL(f->group->lv_count,
			volume_lv_is_raid(volume_group_get_lv(f->group, "a"))
				? 1 + 2 * volume_group_get_lv(f->group, "a")->segments->area_count
				: 0);
	check_redundant(f);
	volume_scan_free(steal_pointer(&f->scan));
	f->count = all;
	lost = f->disks[left];
	f->disks[left] = f->disks[0];
	f->disks[0] = lost;
	return cut;
}

/* ---- At each request ---- */

static void at_each(struct fixture *f, bool (*cut)(struct fixture *f, uint64_t after))
{
	unsigned whole = 0;

	fixture_make_volatile(f);
	was_old = was_new = 0;
	/* Until no disk has so many. */
	for (uint64_t after = 0; whole < f->count; after++)
		whole = cut(f, after) ? 0 : whole + 1;
	CU_ASSERT(was_old > 5 && was_new > 5);
	if (getenv("TORTURE"))
		printf("%s: %u old, %u new\n", the_type, was_old, was_new);
}

static void create_at_each(struct fixture *f)
{
	at_each(f, create_with_cut);
}

static void repair_at_each(struct fixture *f)
{
	at_each(f, repair_with_cut);
}

static const char *const types[] = { "raid1", "raid5", "raid4" };

static void all_types(void (*test)(struct fixture *f))
{
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		the_type = types[i];
		if (i == 0 || getenv("TORTURE"))
			fixture_run(test, 4, 16 * MIB);
	}
}

static void test_create(void)
{
	all_types(create_at_each);
}

static void test_repair(void)
{
	all_types(repair_at_each);
}

UNIT_MAIN("volume raid cut", UNIT(test_create), UNIT(test_repair))
