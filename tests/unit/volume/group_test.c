/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: groups on disks in memory: create, scan, change; what is refused. */
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

UNIT_MAIN("volume groups", UNIT(test_create_and_scan), UNIT(test_what_is_an_arrays_is_hidden),
	  UNIT(test_loses_no_pv_for_a_sector), UNIT(test_copies_of_a_pv),
	  UNIT(test_probe_names_the_group), UNIT(test_layouts), UNIT(test_create_is_refused),
	  UNIT(test_what_is_there_is_kept), UNIT(test_removed_groups_leave_orphans),
	  UNIT(test_one_is_missing))
