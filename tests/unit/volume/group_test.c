/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: groups on disks in memory: create, scan, change, open; what is refused. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "util/bytes.h"
#include "volume/lvm_metadata_area.h"
#include "volume/volume_raid.h"
#include "volume_fixture.h"

static const struct volume_lv_options one_extent = { .extents = 1 };

/* ---- Create and scan ---- */

static void create_and_scan(struct fixture *f)
{
	fixture_create(f, NULL);
	CU_ASSERT_STRING_EQUAL(f->group->name, "vg0");
	CU_ASSERT_EQUAL(f->group->seqno, 1);
	CU_ASSERT_EQUAL(f->group->pv_count, 2);
	CU_ASSERT_EQUAL(f->group->extent_count, 30);
	CU_ASSERT_EQUAL(f->group->free_extents, 30);
	CU_ASSERT_EQUAL(f->group->pvs[0]->pe_start, MIB);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_STRING_EQUAL(f->group->description, "Write from unit test.");
	CU_ASSERT_STRING_EQUAL(f->group->creation_host, "testhost");
	CU_ASSERT(f->scan->devices[0].info.used);
	CU_ASSERT_STRING_EQUAL(f->scan->devices[1].info.vg_name, "vg0");
}

static void test_create_and_scan(void)
{
	fixture_run(create_and_scan, 2, 16 * MIB);
}

static void probe_names_the_group(struct fixture *f)
{
	struct volume_pv_info info;

	CU_ASSERT_EQUAL(volume_pv_probe(f->disks[0], &info, NULL), 0);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_pv_probe(f->disks[0], &info, NULL), 1);
	CU_ASSERT_STRING_EQUAL(info.vg_name, "vg0");
	CU_ASSERT_STRING_EQUAL(info.uuid, f->group->pvs[0]->uuid);
	CU_ASSERT_EQUAL(info.metadata_areas_used, 1);
	CU_ASSERT_EQUAL(info.device_size, 16 * MIB);
}

static void test_probe_names_the_group(void)
{
	fixture_run(probe_names_the_group, 1, 16 * MIB);
}

/* Of an array that has its superblock at the end, a member looks like the PV that is on the array. */
static void what_is_an_arrays_is_hidden(struct fixture *f)
{
	/* md 0.90 of either byte order, 1.0, and Intel's; nothing but the magic. */
	static const struct {
		const char *magic;
		unsigned length, from_end;
	} magics[] = { { "\xfc\x4e\x2b\xa9", 4, 65536 },         { "\xa9\x2b\x4e\xfc", 4, 65536 },
		       { "\xfc\x4e\x2b\xa9", 4, 8192 },          { "\xa9\x2b\x4e\xfc", 4, 8192 },
		       { "Intel Raid ISM Cfg Sig. ", 24, 1024 }, { "\xde\x11\xde\x11", 4, 512 } };
	struct volume_group_options force = { .force = true };
	struct error error = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		struct volume_group *group = NULL;
		char sector[512] = { 0 };

		fixture_create(f, &force);
		CU_ASSERT_EQUAL(fixture_scan(f), 0);
		memcpy(sector, magics[i].magic, magics[i].length);
		CU_ASSERT_EQUAL(block_write(f->disks[0], f->disks[0]->size - magics[i].from_end,
					    sector, sizeof(sector), 0),
				0);
		CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
		CU_ASSERT_FALSE(f->scan->devices[0].is_pv);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f->scan->devices[0].problem);
		CU_ASSERT_PTR_NOT_NULL(strstr(f->scan->devices[0].problem, "array"));
		CU_ASSERT(volume_group_create(&group, "vg1", f->disks, 1, NULL, &f->context,
					      &error) < 0);
	}
}

static void test_what_is_an_arrays_is_hidden(void)
{
	fixture_run(what_is_an_arrays_is_hidden, 1, 16 * MIB);
}

/* Nobody can read the end, where an array's superblock would be. */
static void break_end(struct fixture *f)
{
	fixture_put_faults(f);
	block_fault_add(f->disks[0],
			&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
						    .offset = f->disks[0]->size - 131072,
						    .length = 131072,
						    .action = BLOCK_FAULT_ERROR,
						    .error = -EIO });
}

/* As much as there is room for, on a disk of that size whose end cannot be read. */
static bool is_pv_on(struct fixture *f, const uint8_t *bytes, uint64_t had, uint64_t size)
{
	block_unref(f->disks[0]);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&f->disks[0], "copy", size, &f->error), 0);
	CU_ASSERT_EQUAL(block_write(f->disks[0], 0, bytes, MIN(had, size), 0), 0);
	break_end(f);
	CU_ASSERT_EQUAL(fixture_scan(f), f->scan->devices[0].is_pv ? 0 : -ENOENT);
	return f->scan->devices[0].is_pv;
}

/* Within the PV it is data; behind it, an array's perhaps that the PV is on. So may it be where the PV is larger than the device. */
static void loses_no_pv_for_a_sector(struct fixture *f)
{
	uint64_t size = f->disks[0]->size;
	uint8_t *bytes = malloc(size);

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(block_read(f->disks[0], 0, bytes, size), 0);
	CU_ASSERT(is_pv_on(f, bytes, size, size));
	CU_ASSERT_FALSE(is_pv_on(f, bytes, size, size + MIB));
	CU_ASSERT_FALSE(is_pv_on(f, bytes, size, size - MIB));
	free(bytes);
}

static void test_loses_no_pv_for_a_sector(void)
{
	fixture_run(loses_no_pv_for_a_sector, 1, 16 * MIB);
}

/* One device that was copied to another. */
static void copies_of_a_pv(struct fixture *f)
{
	CLEANUP_FREE char *all = malloc(16 * MIB);
	struct volume_group *group = NULL;
	struct error error = { 0 };

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_group_remove(f->group, NULL), 0);
	CU_ASSERT_EQUAL(block_read(f->disks[0], 0, all, 16 * MIB), 0);
	CU_ASSERT_EQUAL(block_write(f->disks[1], 0, all, 16 * MIB, 0), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(f->scan->devices[i].is_pv);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f->scan->devices[i].problem);
		CU_ASSERT_PTR_NOT_NULL(strstr(f->scan->devices[i].problem, f->disks[!i]->name));
	}
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg1", f->disks, 2, NULL, &f->context, &error),
			-EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, f->disks[0]->name));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, f->disks[1]->name));
}

static void test_copies_of_a_pv(void)
{
	fixture_run(copies_of_a_pv, 2, 16 * MIB);
}

static void layouts(struct fixture *f)
{
	static const unsigned sectors[] = { 0, 2, 3 };

	for (unsigned i = 0; i < 3; i++) {
		struct volume_group_options options = { .extent_size = 128 << 10,
							.data_alignment = 256 << 10,
							.metadata_size = 64 << 10,
							.metadata_copies = 2,
							.label_sector = &sectors[i],
							.force = true };

		fixture_create(f, &options);
		CU_ASSERT_EQUAL(f->scan->devices[0].info.label_sector, sectors[i]);
		CU_ASSERT_EQUAL(f->group->pvs[0]->pe_start, 256 << 10);
		CU_ASSERT_EQUAL(f->group->pvs[0]->metadata_areas_used, 2);
		/* 16 MiB less 256 KiB at each end */
		CU_ASSERT_EQUAL(f->group->extent_count, 124);
		CU_ASSERT_EQUAL(fixture_lv(f, "a", 124), 0);
	}
}

static void test_layouts(void)
{
	fixture_run(layouts, 1, 16 * MIB);
}

static void create_is_refused(struct fixture *f)
{
	struct volume_group_options options = { .extent_size = 3000 };
	struct volume_group *group;
	struct error error = { 0 };
	struct block *twice[2] = { f->disks[0], f->disks[0] };

	CU_ASSERT_EQUAL(volume_group_create(&group, "vg/0", f->disks, 1, NULL, NULL, &error),
			-EINVAL);
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 0, NULL, NULL, &error),
			-EINVAL);
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 1, &options, NULL, &error),
			-EINVAL);
	options.extent_size = 64 * MIB;
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 1, &options, NULL, &error),
			-ENOSPC);
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", twice, 2, NULL, NULL, &error), -EINVAL);
	f->disks[0]->read_only = true;
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 1, NULL, NULL, &error),
			-EROFS);
	f->disks[0]->read_only = false;
	/* nothing of it touched the disk */
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	CU_ASSERT_FALSE(f->scan->devices[0].is_pv);
}

static void test_create_is_refused(void)
{
	fixture_run(create_is_refused, 1, 16 * MIB);
}

static void what_is_there_is_kept(struct fixture *f)
{
	struct volume_group_options force = { .force = true };
	struct volume_group *group;
	struct error error = { 0 };
	char sector[512] = { 0 };

	/* swap space, as mkswap leaves it */
	memcpy(sector, "\1\0\0\0\377\0\0\0", 8);
	CU_ASSERT_EQUAL(block_write(f->disks[0], 1024, sector, 512, 0), 0);
	memset(sector, 0, sizeof(sector));
	memcpy(sector + 502, "SWAPSPACE2", 10);
	CU_ASSERT_EQUAL(block_write(f->disks[0], 3584, sector, 512, 0), 0);
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 1, NULL, NULL, &error),
			-EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "d0: holds a swap"));
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 1, &force, NULL, &error), 0);
	volume_group_unref(group);
	/* now it belongs to a group */
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg1", f->disks, 1, NULL, NULL, &error),
			-EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "d0: is a physical volume of volume group vg0"));
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg1", f->disks, 1, &force, NULL, &error), 0);
	volume_group_unref(group);
}

static void test_what_is_there_is_kept(void)
{
	fixture_run(what_is_there_is_kept, 1, 16 * MIB);
}

static void removed_groups_leave_orphans(struct fixture *f)
{
	char uuid[VOLUME_UUID_TEXT];

	fixture_create(f, NULL);
	strcpy(uuid, f->group->pvs[0]->uuid);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(volume_group_remove(f->group, NULL), -EBUSY);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", NULL), 0);
	CU_ASSERT_EQUAL(volume_group_remove(f->group, NULL), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), -EROFS);
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	CU_ASSERT(f->scan->devices[0].is_pv);
	CU_ASSERT_FALSE(f->scan->devices[0].info.used);
	/* their uuid and layout stay with a new group */
	fixture_create(f, NULL);
	CU_ASSERT_STRING_EQUAL(f->group->pvs[0]->uuid, uuid);
}

static void test_removed_groups_leave_orphans(void)
{
	fixture_run(removed_groups_leave_orphans, 1, 16 * MIB);
}

/* ---- Volumes ---- */

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

/* A PV that is missing hides no other reason: what is changed all the same, is not where the group is exported. */
static void one_is_missing(struct fixture *f)
{
	struct volume_lv_options mirror = { .extents = 1, .type = "raid1" };
	unsigned replaced;

	f->count = 2;
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &mirror, NULL, &f->error), 0);
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	f->disks[0]->read_only = true;
	CU_ASSERT_EQUAL(volume_group_extend(f->group, &f->disks[2], 1, NULL, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "is open for reading only"));
	f->disks[0]->read_only = false;
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, true, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "`tenon vg reduce vg0 --remove-missing`"));
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL_FATAL(volume_group_set_exported(f->group, true, &f->error), 0);
	f->count = 1;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_extend(f->group, &f->disks[2], 1, NULL, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "it is exported"));
	CU_ASSERT_EQUAL(volume_lv_repair(f->group, "a", NULL, &replaced, &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, true, &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "`tenon vg show vg0` names them"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--force"));
	f->count = 2;
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), 0);
	CU_ASSERT_EQUAL(f->group->pv_count, 2);
	f->count = 3;
}

static void test_one_is_missing(void)
{
	fixture_run(one_is_missing, 3, 16 * MIB);
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

UNIT_MAIN("volume groups", UNIT(test_create_and_scan), UNIT(test_what_is_an_arrays_is_hidden),
	  UNIT(test_loses_no_pv_for_a_sector), UNIT(test_copies_of_a_pv),
	  UNIT(test_probe_names_the_group), UNIT(test_layouts), UNIT(test_create_is_refused),
	  UNIT(test_what_is_there_is_kept), UNIT(test_removed_groups_leave_orphans),
	  UNIT(test_volumes_keep_their_data), UNIT(test_striped_data_lies_where_dm_has_it),
	  UNIT(test_fragments), UNIT(test_a_new_volume_has_no_old_signature),
	  UNIT(test_names_are_those_of_lvm2), UNIT(test_permission),
	  UNIT(test_devices_with_4k_sectors), UNIT(test_one_is_missing),
	  UNIT(test_changes_at_the_same_time))
