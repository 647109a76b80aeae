/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks in memory and groups on them; see volume_fixture.h. */
#include "volume_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/fault.h"
#include "block/volatile.h"
#include "fiber_run.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "volume/lvm_io.h"
#include "volume/lvm_metadata_area.h"
#include "volume/volume_raid.h"

struct run {
	void (*test)(struct fixture *fixture);
	unsigned count;
	uint64_t size;
};

static void drop_scan(struct fixture *fixture)
{
	if (fixture->scan)
		volume_scan_free(fixture->scan);
	fixture->scan = NULL;
	fixture->group = NULL;
}

static int on_fiber(void *arg)
{
	struct run *run = arg;
	struct fixture fixture = { .random = { .state = 1 } };

	fixture.context = (struct volume_context){ .host = "testhost",
						   .system = "Linux testhost",
						   .command = "unit test",
						   .time = 1000000000,
						   .random = &fixture.random };
	for (unsigned i = 0; i < run->count; i++) {
		char name[] = { 'd', (char)('0' + i), '\0' };

		CU_ASSERT_EQUAL_FATAL(block_create_memory(&fixture.disks[i], name, run->size, NULL),
				      0);
		fixture.count++;
	}
	run->test(&fixture);
	drop_scan(&fixture);
	for (unsigned i = 0; i < fixture.count; i++) {
		CU_ASSERT_EQUAL(fixture.disks[i]->references, 1);
		block_unref(fixture.disks[i]);
	}
	return 0;
}

void fixture_run(void (*test)(struct fixture *fixture), unsigned count, uint64_t size)
{
	struct run run = { .test = test, .count = count, .size = size };

	fiber_run_virtual(fiber_run_first_engine(), on_fiber, &run);
}

void fixture_run_real(void (*test)(struct fixture *fixture), unsigned count, uint64_t size)
{
	struct run run = { .test = test, .count = count, .size = size };

	fiber_run_real(fiber_run_first_engine(), on_fiber, &run);
}

int fixture_scan(struct fixture *fixture)
{
	int r;

	drop_scan(fixture);
	r = volume_groups_scan(fixture->disks, fixture->count, &fixture->context, &fixture->scan,
			       &fixture->error);
	if (!r)
		r = volume_scan_find(fixture->scan, "vg0", &fixture->group, &fixture->error);
	return r;
}

void fixture_put_files(struct fixture *fixture, const char *folder)
{
	for (unsigned i = 0; i < fixture->count; i++) {
		struct block *disk = fixture->disks[i];
		char path[128];

		snprintf(path, sizeof(path), "%s/disk%u", folder, i);
		CU_ASSERT_EQUAL_FATAL(block_open_file(&fixture->disks[i], path,
						      BLOCK_OPEN_CREATE | BLOCK_OPEN_FORCE,
						      disk->size, NULL),
				      0);
		unlink(path);
		block_unref(disk);
	}
}

void fixture_put_faults(struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->count; i++) {
		struct block *disk = fixture->disks[i];

		CU_ASSERT_EQUAL_FATAL(
			block_create_fault(&fixture->disks[i], disk->name, disk, 1, NULL), 0);
		block_unref(disk);
	}
}

void fixture_make_volatile(struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->count; i++) {
		struct block *disk = fixture->disks[i];

		CU_ASSERT_EQUAL_FATAL(block_create_volatile(&fixture->disks[i], "v", disk, NULL),
				      0);
		block_unref(disk);
	}
}

void fixture_cut_power(struct fixture *fixture, unsigned count, uint64_t seed)
{
	for (unsigned i = 0; i < count; i++) {
		struct block *disk = fixture->disks[i];

		block_volatile_cut_after(disk, UINT64_MAX, 0);
		if (!block_volatile_is_off(disk))
			CU_ASSERT_EQUAL(block_volatile_power_cut(disk, seed + i), 0);
		block_volatile_power_on(disk);
	}
}

void fixture_create(struct fixture *fixture, const struct volume_group_options *options)
{
	struct volume_group_options ours = { .extent_size = MIB };
	struct volume_group *group = NULL;
	struct error error = { 0 };
	int r = volume_group_create(&group, "vg0", fixture->disks, fixture->count,
				    options ? options : &ours, &fixture->context, &error);

	CU_ASSERT_EQUAL_FATAL(r, 0);
	volume_group_unref(group);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(fixture), 0);
}

int fixture_lv(struct fixture *fixture, const char *name, uint32_t extents)
{
	return volume_lv_create(fixture->group, name,
				&(struct volume_lv_options){ .extents = extents }, NULL,
				&fixture->error);
}

void fixture_put_text(struct fixture *fixture, unsigned disk, const char *text)
{
	struct block *block = fixture->disks[disk];
	struct lvm_metadata_area area;
	struct lvm_label label;
	uint64_t size = strlen(text) + 1, offset;

	CU_ASSERT_EQUAL_FATAL(lvm_label_read(block, &label, NULL), 1);
	CU_ASSERT_EQUAL_FATAL(lvm_metadata_area_read(block, &label.metadata[0], &area, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lvm_metadata_place(&area, size, "d", &offset, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lvm_metadata_text_write(block, &area, offset, text, size, NULL), 0);
	area.committed = (struct lvm_slot){ offset, size, lvm_crc(LVM_CRC_INITIAL, text, size) };
	CU_ASSERT_EQUAL_FATAL(lvm_metadata_area_write(block, &area, NULL), 0);
}

void fixture_ignore_area(struct fixture *fixture, unsigned disk)
{
	struct block *block = fixture->disks[disk];
	struct lvm_metadata_area area;
	struct lvm_label label;

	CU_ASSERT_EQUAL_FATAL(lvm_label_read(block, &label, NULL), 1);
	CU_ASSERT_EQUAL_FATAL(lvm_metadata_area_read(block, &label.metadata[0], &area, NULL), 0);
	area = (struct lvm_metadata_area){ .start = area.start,
					   .size = area.size,
					   .ignored = true };
	CU_ASSERT_EQUAL_FATAL(lvm_metadata_area_write(block, &area, NULL), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

char *fixture_replace(const char *text, const char *from, const char *to)
{
	size_t size = strlen(text) + 1, found = 0;
	const char *at;
	char *out, *end;

	for (at = text; (at = strstr(at, from)); at += strlen(from))
		found++;
	CU_ASSERT(found > 0);
	out = end = malloc(size + found * strlen(to));
	for (; (at = strstr(text, from)); text = at + strlen(from)) {
		end = mempcpy(end, text, (size_t)(at - text));
		end = stpcpy(end, to);
	}
	strcpy(end, text);
	return out;
}

static void pattern(char *at, size_t length, uint64_t seed, uint64_t offset)
{
	for (size_t i = 0; i < length; i += 8)
		put_le64(at + i, random_mix(seed + offset + i));
}

void fixture_fill(struct block *block, uint64_t seed)
{
	char buffer[4096];

	for (uint64_t at = 0; at < block->size; at += sizeof(buffer)) {
		pattern(buffer, sizeof(buffer), seed, at);
		CU_ASSERT_EQUAL_FATAL(block_write(block, at, buffer, sizeof(buffer), 0), 0);
	}
}

bool fixture_filled(struct block *block, uint64_t seed)
{
	char buffer[4096], expected[4096];

	for (uint64_t at = 0; at < block->size; at += sizeof(buffer)) {
		pattern(expected, sizeof(expected), seed, at);
		if (block_read(block, at, buffer, sizeof(buffer)) ||
		    memcmp(buffer, expected, sizeof(buffer)))
			return false;
	}
	return true;
}

int fixture_raid(struct fixture *fixture, const char *name, const char *type, uint32_t extents)
{
	struct volume_lv_options options = { .type = type, .extents = extents };

	return volume_lv_create(fixture->group, name, &options, NULL, &fixture->error);
}

struct block *fixture_open(struct fixture *fixture, const char *name, bool writable)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(
		volume_open_lv(fixture->group, name, writable, &block, &fixture->error), 0);
	return block;
}

void fixture_wait_in_sync(struct fixture *fixture, const char *name)
{
	struct raid_array *array = volume_lv_array(volume_group_get_lv(fixture->group, name));

	CU_ASSERT_PTR_NOT_NULL_FATAL(array);
	CU_ASSERT_EQUAL(raid_rebuild_wait(array, NULL, NULL, 1000000000, &fixture->error), 0);
}

void fixture_filled_raid(struct fixture *fixture, const char *name, const char *type,
			 uint32_t extents)
{
	struct block *block;

	CU_ASSERT_EQUAL_FATAL(fixture_raid(fixture, name, type, extents), 0);
	block = fixture_open(fixture, name, true);
	fixture_wait_in_sync(fixture, name);
	fixture_fill(block, 7);
	block_unref(block);
}

bool fixture_is_filled(struct fixture *fixture, const char *name, uint64_t seed)
{
	struct block *block = fixture_open(fixture, name, false);
	bool filled = fixture_filled(block, seed);

	block_unref(block);
	return filled;
}
