/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: volumes of groups on disks in memory: made, opened, written to; what is refused. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "util/bytes.h"
#include "volume_fixture.h"

static const struct volume_lv_options one_extent = { .extents = 1 };

static void volumes_keep_their_data(struct fixture *f)
{
	struct block *a, *b;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 10), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 8), 0); /* 5 do not suffice on d0: all on d1 */
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &a, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "b", true, &b, NULL), 0);
	CU_ASSERT_EQUAL(a->size, 10 * MIB);
	CU_ASSERT_STRING_EQUAL(a->name, "vg0/a");
	fixture_fill(a, 1);
	fixture_fill(b, 2);
	CU_ASSERT_EQUAL(block_flush(a), 0);
	/* an open volume grows, over what is free on both */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 22 * MIB - 5, NULL, NULL), 0);
	CU_ASSERT_EQUAL(a->size, 22 * MIB);
	CU_ASSERT_EQUAL(f->group->free_extents, 0);
	fixture_fill(a, 3);
	CU_ASSERT(fixture_filled(b, 2));
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", NULL), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", MIB, NULL, NULL), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "c", NULL), 0);
	block_unref(a);
	block_unref(b);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "c", false, &a, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "b", false, &b, NULL), 0);
	CU_ASSERT(fixture_filled(a, 3));
	CU_ASSERT(fixture_filled(b, 2));
	CU_ASSERT_EQUAL(block_write(a, 0, "", 512, 0), -EROFS);
	block_unref(a);
	block_unref(b);
}

static void test_volumes_keep_their_data(void)
{
	fixture_run(volumes_keep_their_data, 2, 16 * MIB);
}

static void striped_data_lies_where_dm_has_it(struct fixture *f)
{
	struct volume_lv_options options = { .size = 5 * MIB, .stripes = 3, .stripe_size = 8192 };
	struct block *lv;
	char in[8192], out[8192];

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "s", &options, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "s", true, &lv, NULL), 0);
	CU_ASSERT_EQUAL(lv->size, 6 * MIB); /* whole extents of each */
	CU_ASSERT_EQUAL(lv->preferred_io_size, 3 * 8192);
	fixture_fill(lv, 7);
	for (unsigned chunk = 0; chunk < 6 * 128; chunk++) {
		CU_ASSERT_EQUAL(block_read(lv, chunk * 8192ULL, in, 8192), 0);
		CU_ASSERT_EQUAL(
			block_read(f->disks[chunk % 3], MIB + chunk / 3 * 8192ULL, out, 8192), 0);
		CU_ASSERT_EQUAL(memcmp(in, out, 8192), 0);
	}
	CU_ASSERT(fixture_filled(lv, 7));
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "s", 7 * MIB, NULL, NULL), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "s")->size, 9 * MIB);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "s")->segment_count, 1);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "s", 4 * MIB, NULL, NULL), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "s")->size, 6 * MIB);
	CU_ASSERT_STRING_EQUAL(volume_lv_type(volume_group_get_lv(f->group, "s")), "striped");
	options.stripes = 4;
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "t", &options, NULL, NULL), -EINVAL);
}

static void test_striped_data_lies_where_dm_has_it(void)
{
	fixture_run(striped_data_lies_where_dm_has_it, 3, 8 * MIB);
}

static void fragments(struct fixture *f)
{
	struct block *lv;
	char name[8];

	fixture_create(f, NULL);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		CU_ASSERT_EQUAL(fixture_lv(f, name, 1), 0);
	}
	for (int i = 0; i < 30; i += 2) {
		snprintf(name, sizeof(name), "t%d", i);
		CU_ASSERT_EQUAL(volume_lv_remove(f->group, name, NULL), 0);
	}
	CU_ASSERT_EQUAL(fixture_lv(f, "big", 16), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "(15)"));
	CU_ASSERT_EQUAL(
		volume_lv_create(f->group, "piece",
				 &(struct volume_lv_options){
					 .extents = 2, .allocation = VOLUME_ALLOCATE_CONTIGUOUS },
				 NULL, NULL),
		-ENOSPC);
	CU_ASSERT_EQUAL(fixture_lv(f, "big", 15), 0);
	CU_ASSERT_EQUAL(f->group->free_extents, 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "big")->segment_count, 15);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "big", true, &lv, NULL), 0);
	fixture_fill(lv, 5);
	CU_ASSERT(fixture_filled(lv, 5));
	block_unref(lv);
}

static void test_fragments(void)
{
	fixture_run(fragments, 2, 16 * MIB);
}

static void a_new_volume_has_no_old_signature(struct fixture *f)
{
	char sector[512] = { 0 };
	struct block *lv;

	fixture_create(f, NULL);
	memcpy(sector + 502, "SWAPSPACE2", 10);
	CU_ASSERT_EQUAL(block_write(f->disks[0], MIB + 3584, sector, 512, 0), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &lv, NULL), 0);
	CU_ASSERT_EQUAL(block_read(lv, 3584, sector, 512), 0);
	CU_ASSERT(bytes_all_zero(sector, 512));
	block_unref(lv);
}

static void test_a_new_volume_has_no_old_signature(void)
{
	fixture_run(a_new_volume_has_no_old_signature, 1, 16 * MIB);
}

static void names_are_those_of_lvm2(struct fixture *f)
{
	static const char *const bad[] = { "",
					   "-a",
					   ".",
					   "..",
					   "a b",
					   "a/b",
					   "\xc3\xa9",
					   "snapshot1",
					   "pvmove0",
					   "x_rimage_0",
					   "x_mlog",
					   "a_tdata",
					   "lvol0_pmspare" };
	static const char *const good[] = { "a", "A-b.c_d+1", "0", "...", "xsnapshot", "rimage" };
	char too_long[130];

	fixture_create(f, NULL);
	memset(too_long, 'x', sizeof(too_long));
	too_long[128] = '\0';
	CU_ASSERT_EQUAL(fixture_lv(f, too_long, 1), -EINVAL);
	too_long[122] = '\0'; /* 125 with "vg0" */
	CU_ASSERT_EQUAL(fixture_lv(f, too_long, 1), -EINVAL);
	too_long[121] = '\0';
	CU_ASSERT_EQUAL(fixture_lv(f, too_long, 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(fixture_lv(f, bad[i], 1), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CU_ASSERT_EQUAL(fixture_lv(f, good[i], 1), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), -EEXIST);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "0", NULL), -EEXIST);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "x_cvol", NULL), -EINVAL);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "none", "b", NULL), -ENOENT);
}

static void test_names_are_those_of_lvm2(void)
{
	fixture_run(names_are_those_of_lvm2, 1, 16 * MIB);
}

static void permission(struct fixture *f)
{
	struct block *lv;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(volume_lv_set_writable(f->group, "a", false, NULL), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "a")->writable);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &lv, NULL), -EROFS);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &lv, NULL), 0);
	CU_ASSERT_EQUAL(volume_lv_set_writable(f->group, "a", true, NULL), -EBUSY);
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_lv_set_writable(f->group, "a", true, NULL), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &lv, NULL), 0);
	block_unref(lv);
	/* a device that is open for reading only allows no change, and no writing */
	f->disks[0]->read_only = true;
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &lv, NULL), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "b", &one_extent, NULL, NULL), -EROFS);
	f->disks[0]->read_only = false;
}

static void test_permission(void)
{
	fixture_run(permission, 1, 16 * MIB);
}

/* Labels and headers are in units of 512 bytes on such devices, too. */
static void devices_with_4k_sectors(struct fixture *f)
{
	struct volume_group_options small = { .extent_size = 1024, .force = true };
	struct volume_group *group;
	struct block *lv;

	f->disks[0]->logical_block_size = f->disks[1]->logical_block_size = 4096;
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(f->scan->devices[0].info.label_sector, 1);
	for (int i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(fixture_lv(f, "a", 20), 0);
		CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", NULL), 0);
	}
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 20), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &lv, NULL), 0);
	CU_ASSERT_EQUAL(lv->logical_block_size, 4096);
	fixture_fill(lv, 1);
	CU_ASSERT(fixture_filled(lv, 1));
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg1", f->disks, 1, &small, NULL, NULL),
			-EINVAL);
}

static void test_devices_with_4k_sectors(void)
{
	fixture_run(devices_with_4k_sectors, 2, 16 * MIB);
}

static int create_one(void *arg)
{
	struct fixture *f = arg;
	char name[16];

	snprintf(name, sizeof(name), "lv%llu", (unsigned long long)random_next(&f->random) % 10000);
	return volume_lv_create(f->group, name, &one_extent, NULL, NULL);
}

/* Changes that begin while another one waits for the disk come one after the other. */
static void changes_at_the_same_time(struct fixture *f)
{
	struct fiber *fibers[8];
	struct block *disk = f->disks[0];

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&f->disks[0], "slow", disk, 1, NULL), 0);
	block_unref(disk);
	block_fault_add(f->disks[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
								 .action = BLOCK_FAULT_LATENCY,
								 .latency_ns = 1000000 });
	fixture_create(f, NULL);
	for (unsigned i = 0; i < 8; i++)
		fibers[i] = fiber_spawn(create_one, f);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 9);
	CU_ASSERT_EQUAL(f->group->lv_count, 8);
}

static void test_changes_at_the_same_time(void)
{
	fixture_run(changes_at_the_same_time, 1, 16 * MIB);
}

UNIT_MAIN("volumes", UNIT(test_volumes_keep_their_data),
	  UNIT(test_striped_data_lies_where_dm_has_it), UNIT(test_fragments),
	  UNIT(test_a_new_volume_has_no_old_signature), UNIT(test_names_are_those_of_lvm2),
	  UNIT(test_permission), UNIT(test_devices_with_4k_sectors),
	  UNIT(test_changes_at_the_same_time))
