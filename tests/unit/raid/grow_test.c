/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays that use more of each member, or get more mirrors: nothing is lost, at no power cut either. Virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"
#include "worn_disk.h"

#define COUNT 4u

static struct raid_create_options options;

static uint64_t size_of(struct raid_rig *rig)
{
	return raid_array_block(rig->array)->size;
}

static uint64_t differs(struct raid_array *array)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_scrub_start(array, false, NULL), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(array, NULL, NULL, 1000000000, NULL), 0);
	raid_status(array, &status);
	bytes = status.progress.mismatches + status.progress.skipped;
	raid_status_free(&status);
	return bytes;
}

static void soil(struct block *disk, uint64_t size, uint64_t seed)
{
	struct random random = { seed };
	uint8_t *bytes = malloc(size);

	random_fill(&random, bytes, size);
	memset(bytes, 0, 65536);
	CU_ASSERT_EQUAL(block_write(disk, 0, bytes, size, 0), 0);
	free(bytes);
}

static const struct raid_create_options kinds[] = {
	{ .level = 1 },
	{ .level = 1, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 4096 },
	{ .level = 1, .metadata = RAID_METADATA_1_0 },
	{ .level = 4 },
	{ .level = 5, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 4096 },
	{ .level = 5, .bitmap = RAID_BITMAP_PPL },
	{ .level = 6 },
	{ .level = 10, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 4096 },
	{ .level = 10, .layout = "o2" },
};

static void each_kind(void (*body)(struct raid_rig *rig))
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		options = kinds[i];
		options.name = "x";
		options.size = 1 << 20;
		if (options.level != 1)
			options.chunk = 65536;
		rig_run(body);
	}
}

static int grow_to(struct raid_rig *rig, uint64_t size)
{
	return raid_grow(rig->array, &(struct raid_grow){ .size = size }, &rig->error);
}

static void grows(struct raid_rig *rig)
{
	uint64_t before, after;

	for (unsigned i = 0; i < COUNT; i++)
		soil(rig->memory[i], RIG_SIZE, i + 1);
	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	before = size_of(rig);
	rig_write(rig, 0, before, 1);
	fiber_sleep(19660800000);
	CU_ASSERT_EQUAL(grow_to(rig, 1 << 19), -EINVAL);
	CU_ASSERT_EQUAL(grow_to(rig, 64 << 20), -ENOSPC);
	CU_ASSERT_EQUAL(size_of(rig), before);
	CU_ASSERT_EQUAL(grow_to(rig, RAID_GROW_MAX), 0);
	after = size_of(rig);
	CU_ASSERT(2 * after > 3 * before);
	rig_write(rig, before - 4096, 196608, 2);
	rig_write(rig, after - 65536, 65536, 3);
	rig_wait(rig);
	CU_ASSERT_EQUAL(differs(rig->array), 0);
	CU_ASSERT(rig_holds(rig, 0, before - 4096, 1));
	CU_ASSERT(rig_holds(rig, before - 4096, 196608, 2));
	rig_stop(rig);
	rig_assemble(rig, COUNT, NULL);
	CU_ASSERT_EQUAL(size_of(rig), after);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, before - 4096, 1));
	CU_ASSERT(rig_holds(rig, before - 4096, 196608, 2));
	CU_ASSERT(rig_holds(rig, after - 65536, 65536, 3));
}

static void test_grows(void)
{
	each_kind(grows);
}

static void refuses(struct raid_rig *rig)
{
	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	CU_ASSERT_EQUAL(grow_to(rig, RAID_GROW_MAX), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &(struct raid_grow){ .devices = 5 }, &rig->error),
			options.level ? -EOPNOTSUPP : -ENODEV);
}

static void test_refuses(void)
{
	options = (struct raid_create_options){
		.name = "x", .level = 10, .layout = "f2", .size = 1 << 20, .chunk = 65536
	};
	rig_run(refuses);
	options = (struct raid_create_options){ .name = "x", .level = 0, .chunk = 65536 };
	rig_run(refuses);
}

static int give_places(struct raid_rig *rig, unsigned devices)
{
	return raid_grow(rig->array, &(struct raid_grow){ .devices = devices }, &rig->error);
}

/* A mirror gets a third copy, and loses the first. */
static void mirrors(struct raid_rig *rig)
{
	struct raid_status status;

	rig_create(rig, 2, &options);
	rig_wait(rig);
	rig_write(rig, 0, size_of(rig), 1);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	CU_ASSERT_EQUAL(give_places(rig, 3), 0);
	rig_write(rig, 0, 65536, 2);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(differs(rig->array), 0);
	CU_ASSERT_EQUAL(give_places(rig, 2), -EBUSY);
	rig_stop(rig);
	rig_assemble(rig, 3, NULL);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(give_places(rig, 2), 0);
	raid_status(rig->array, &status);
	CU_ASSERT_FALSE(status.degraded);
	CU_ASSERT_EQUAL(status.raid_disks, 2);
	raid_status_free(&status);
	rig_write(rig, 65536, 65536, 3);
	rig_stop(rig);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk + 1, 2, NULL, &rig->error), 0);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(rig_holds(rig, 0, 65536, 2));
	CU_ASSERT(rig_holds(rig, 65536, 65536, 3));
	CU_ASSERT(rig_holds(rig, 131072, size_of(rig) - 131072, 1));
	CU_ASSERT_EQUAL(differs(rig->array), 0);
}

static void test_mirrors(void)
{
	for (unsigned i = 0; i < 3; i++) {
		options = kinds[i];
		options.name = "x";
		rig_run(mirrors);
	}
}

/* No member takes the larger bitmap: the array keeps its size, and its bitmap; and grows once they do. */
static void bitmap_fails(struct raid_rig *rig)
{
	struct raid_create_options with = options;
	uint64_t before;

	with.bitmap = RAID_BITMAP_INTERNAL;
	with.bitmap_chunk = 4096;
	rig_create(rig, COUNT, &with);
	rig_wait(rig);
	before = size_of(rig);
	rig_write(rig, 0, before, 1);
	fiber_sleep(20000000000);
	/* Behind the superblock; its first page is not written. */
	for (unsigned i = 0; i < COUNT; i++)
		rig_break(rig, i, BLOCK_FAULT_CHANGES, 8192, 4096);
	CU_ASSERT_EQUAL(grow_to(rig, RAID_GROW_MAX), -EIO);
	CU_ASSERT_EQUAL(size_of(rig), before);
	for (unsigned i = 0; i < COUNT; i++)
		block_fault_clear(rig->disk[i]);
	rig_write(rig, before - 65536, 65536, 2);
	rig_stop(rig);
	rig_assemble(rig, COUNT, NULL);
	rig_wait(rig);
	CU_ASSERT_EQUAL(size_of(rig), before);
	CU_ASSERT(rig_holds(rig, 0, before - 65536, 1));
	CU_ASSERT(rig_holds(rig, before - 65536, 65536, 2));
}

static void test_bitmap_fails(void)
{
	options = (struct raid_create_options){ .name = "x", .level = 1, .size = 1 << 20 };
	rig_run(bitmap_fails);
	options = (struct raid_create_options){
		.name = "x", .level = 5, .size = 1 << 20, .chunk = 65536
	};
	rig_run(bitmap_fails);
}

/* ---- Power ---- */

#define SIZE (4u << 20)

struct scene {
	struct worn_power power;
	struct block *disks[COUNT];
	struct raid_array *array;
	struct random random;
	struct error error;
};

static void check_pattern(struct scene *scene, uint64_t from, uint64_t length, uint8_t seed)
{
	uint8_t *bytes = malloc(length);
	unsigned wrong = 0;

	CU_ASSERT_EQUAL(block_read(raid_array_block(scene->array), from, bytes, length), 0);
	for (uint64_t i = 0; i < length; i++)
		wrong += bytes[i] != (uint8_t)((from + i) / 512 * 7 + seed);
	CU_ASSERT_EQUAL(wrong, 0);
	free(bytes);
}

static int write_pattern(struct scene *scene, uint64_t from, uint64_t length, uint8_t seed)
{
	uint8_t *bytes = malloc(length);
	int rc;

	for (uint64_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)((from + i) / 512 * 7 + seed);
	rc = block_write(raid_array_block(scene->array), from, bytes, length, 0);
	free(bytes);
	return rc ? rc : block_flush(raid_array_block(scene->array));
}

/* Grows, and writes to what is new; the power goes at some moment. Returns whether it was cut before all was over. */
static bool grow_once(struct scene *scene, uint64_t cut)
{
	const struct raid_grow grow = { .size = RAID_GROW_MAX };
	struct raid_new_member members[COUNT] = { 0 };
	uint64_t before, written = 0;
	bool was_cut;

	for (unsigned i = 0; i < COUNT; i++) {
		soil(scene->disks[i], SIZE, random_below(&scene->random, 1000) + 1);
		members[i].block = scene->disks[i];
	}
	CU_ASSERT_EQUAL_FATAL(raid_create(&scene->array, members, COUNT, &options, &scene->error),
			      0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL), 0);
	before = raid_array_block(scene->array)->size;
	CU_ASSERT_EQUAL(write_pattern(scene, 0, before, 1), 0);
	worn_power_cut_after(&scene->power, cut);
	if (!raid_grow(scene->array, &grow, &scene->error) &&
	    !write_pattern(scene, before, 131072, 2))
		written = 131072;
	raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL);
	raid_stop(scene->array, NULL);
	was_cut = scene->power.off;
	worn_power_cycle(&scene->power);
	CU_ASSERT_EQUAL_FATAL(
		raid_assemble(&scene->array, scene->disks, COUNT, NULL, &scene->error), 0);
	CU_ASSERT(!written || raid_array_block(scene->array)->size > before);
	check_pattern(scene, 0, before, 1);
	check_pattern(scene, before, written, 2);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL), 0);
	check_pattern(scene, 0, before, 1);
	check_pattern(scene, before, written, 2);
	CU_ASSERT_EQUAL(differs(scene->array), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	return was_cut;
}

static int play(void *arg)
{
	struct scene *scene = arg;
	unsigned step = getenv("TORTURE") ? 1 : 9;

	for (unsigned i = 0; i < COUNT; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		scene->disks[i] = worn_disk_create(&scene->power, name, SIZE);
	}
	for (uint64_t cut = 1; grow_once(scene, cut) && cut < 400; cut += step)
		;
	for (unsigned i = 0; i < COUNT; i++)
		block_unref(scene->disks[i]);
	return 0;
}

static void test_power(void)
{
	struct worker_options worker_options = { .virtual_clock = true, .seed = 3 };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct scene *scene = calloc(1, sizeof(*scene));
		struct worker *worker;

		options = kinds[i];
		options.name = "x";
		options.size = 1 << 20;
		if (options.level != 1)
			options.chunk = 65536;
		scene->random = (struct random){ i + 1 };
		scene->power.random = (struct random){ i + 100 };
		CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &worker_options, &scene->error), 0);
		worker_run(worker, play, scene);
		worker_destroy(worker);
		free(scene);
	}
}

UNIT_MAIN("raid grow", UNIT(test_grows), UNIT(test_refuses), UNIT(test_mirrors),
	  UNIT(test_bitmap_fails), UNIT(test_power))
