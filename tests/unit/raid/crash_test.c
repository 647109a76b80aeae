/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts. The members are slices of one disk with a volatile cache, which loses power at any request,
 * so that they all stop in the same moment; now and then one of them died before. What was flushed must
 * be there afterwards, from every member that is used, and a resync must make the mirrors equal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/volatile.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define MEMBERS 3
#define SIZE    ((1u << 20) + 262144u) /* 256 KiB of data */
#define DATA    (1u << 20)
#define UNITS   64u /* of 4 KiB */
#define UNIT_   4096u
#define WRITERS 2u
#define ROUNDS  150u

/* The model: of each unit the last value that a flush made durable, and those written since. */
struct model {
	uint32_t durable[UNITS];
	uint32_t latest[UNITS];
};

struct kind {
	const char *layout; /* of RAID10; NULL: RAID1 */
	uint64_t chunk;
	bool bitmap;
};

struct scene {
	const struct kind *kind;
	struct block *memory, *power;                 /* all of it */
	struct block *slice[MEMBERS], *disk[MEMBERS]; /* members, and with faults above */
	struct raid_array *array;
	struct model model;
	struct random random;
	uint32_t value;
	struct error error;
};

static void fill_unit(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < UNIT_; i += 4)
		put_le32(bytes + i, value);
}

struct writer {
	struct scene *scene;
	unsigned index;
};

/* Each of the writers has units of its own: of two writes at the same time to one place nobody could say
 * which is the later. */
static int write_some(void *arg)
{
	const struct writer *writer = arg;
	struct scene *scene = writer->scene;
	struct block *block = raid_array_block(scene->array);
	uint8_t bytes[UNIT_];

	for (unsigned i = 0; i < 20 && !block_volatile_is_off(scene->power); i++) {
		uint64_t unit =
			WRITERS * random_below(&scene->random, UNITS / WRITERS) + writer->index;
		uint32_t value = ++scene->value;

		fill_unit(bytes, value);
		scene->model.latest[unit] = value;
		if (block_write(block, unit * UNIT_, bytes, UNIT_, 0))
			return -EIO;
		if (random_below(&scene->random, 8) == 0)
			fiber_sleep(random_below(&scene->random, 8000000000ull));
	}
	return 0;
}

/* Rounds of concurrent writes to units of their own, with a flush after each round. */
static void work(struct scene *scene)
{
	for (unsigned round = 0; round < 4 && !block_volatile_is_off(scene->power); round++) {
		struct writer writers[WRITERS] = { { scene, 0 }, { scene, 1 } };
		struct fiber *fiber = fiber_spawn(write_some, &writers[1]);
		int rc = write_some(&writers[0]);

		rc = fiber_join(fiber) || rc;
		if (!rc && !block_flush(raid_array_block(scene->array)) &&
		    !block_volatile_is_off(scene->power))
			memcpy(scene->model.durable, scene->model.latest,
			       sizeof(scene->model.durable));
	}
}

/* A sector holds what was durable, or something that was written since. */
static bool unit_is_legal(const struct scene *scene, unsigned unit, const uint8_t *bytes)
{
	uint32_t durable = scene->model.durable[unit], latest = scene->model.latest[unit];

	for (unsigned sector = 0; sector < UNIT_; sector += 512) {
		uint32_t value = get_le32(bytes + sector);

		for (unsigned i = 4; i < 512; i += 4) {
			if (get_le32(bytes + sector + i) != value)
				return false;
		}
		/* Values rise, so those written to it since lie between the two. */
		if (value < durable || value > latest)
			return false;
	}
	return true;
}

static void check_contents(struct scene *scene, struct block *block, uint64_t offset,
			   const char *which)
{
	uint8_t bytes[UNIT_];

	for (unsigned unit = 0; unit < UNITS; unit++) {
		CU_ASSERT_EQUAL(block_read(block, offset + unit * (uint64_t)UNIT_, bytes, UNIT_),
				0);
		if (!unit_is_legal(scene, unit, bytes)) {
			char text[128];

			snprintf(text, sizeof(text), "%s: unit %u holds %u, durable %u, latest %u",
				 which, unit, get_le32(bytes), scene->model.durable[unit],
				 scene->model.latest[unit]);
			CU_FAIL(text);
			printf("%s\n", text);
			return;
		}
	}
}

/* What is on the array now is what later rounds start from; torn units are made whole. */
static void take_over(struct scene *scene)
{
	struct block *block = raid_array_block(scene->array);
	uint8_t bytes[UNIT_];

	for (unsigned unit = 0; unit < UNITS; unit++) {
		bool torn = false;

		CU_ASSERT_EQUAL(block_read(block, unit * (uint64_t)UNIT_, bytes, UNIT_), 0);
		for (unsigned sector = 512; sector < UNIT_; sector += 512)
			torn = torn || get_le32(bytes + sector) != get_le32(bytes);
		scene->model.latest[unit] = get_le32(bytes);
		if (torn) {
			scene->model.latest[unit] = ++scene->value;
			fill_unit(bytes, scene->value);
			CU_ASSERT_EQUAL(block_write(block, unit * (uint64_t)UNIT_, bytes, UNIT_, 0),
					0);
		}
		scene->model.durable[unit] = scene->model.latest[unit];
	}
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

static struct block *disk_called(struct scene *scene, const char *name)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		if (strcmp(scene->disk[i]->name, name) == 0)
			return scene->disk[i];
	}
	return NULL;
}

/* Powers on, assembles, checks the array and, after the resync, each member in sync. */
static void recover(struct scene *scene)
{
	struct raid_status status;
	int rc;

	block_volatile_power_on(scene->power);
	rc = raid_assemble(&scene->array, scene->disk, MEMBERS, NULL, &scene->error);
	if (rc)
		printf("%s\n", scene->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	check_contents(scene, raid_array_block(scene->array), 0, "array");
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	check_contents(scene, raid_array_block(scene->array), 0, "array after resync");
	raid_status(scene->array, &status);
	for (unsigned i = 0; !scene->kind->layout && i < status.member_count; i++) {
		if (status.members[i].state == RAID_MEMBER_IN_SYNC)
			check_contents(scene, disk_called(scene, status.members[i].device), DATA,
				       status.members[i].device);
	}
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_scrub_start(scene->array, false, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	raid_status(scene->array, &status);
	CU_ASSERT_EQUAL(status.progress.mismatches, 0);
	raid_status_free(&status);
	take_over(scene);
}

/* Members that were left out come back, so that the next cut finds a full array. */
static void add_missing(struct scene *scene, bool must)
{
	struct raid_status status;
	int rc = 0;

	raid_status(scene->array, &status);
	for (unsigned i = 0; !rc && i < status.member_count; i++) {
		if (status.members[i].state == RAID_MEMBER_STALE)
			rc = raid_add(scene->array, disk_called(scene, status.members[i].device),
				      &scene->error);
	}
	raid_status_free(&status);
	rc = raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error) || rc;
	if (must)
		CU_ASSERT_EQUAL(rc, 0);
}

/* Power goes off again while it recovers. */
static void recover_and_cut(struct scene *scene, struct random *random)
{
	block_volatile_power_on(scene->power);
	block_volatile_cut_after(scene->power, random_below(random, 80), random_next(random));
	if (!raid_assemble(&scene->array, scene->disk, MEMBERS, NULL, &scene->error)) {
		raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error);
		add_missing(scene, false);
		raid_stop(scene->array, NULL);
	}
	if (!block_volatile_is_off(scene->power))
		block_volatile_power_cut(scene->power, random_next(random));
}

static void cut_and_recover(struct scene *scene, uint64_t seed)
{
	struct random random = { seed };
	struct block *victim = scene->disk[random_below(&random, MEMBERS)];

	if (random_below(&random, 3) == 0)
		block_fault_add(victim,
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							    .after = random_below(&random, 60),
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO });
	block_volatile_cut_after(scene->power, random_below(&random, 200), random_next(&random));
	work(scene);
	if (!block_volatile_is_off(scene->power))
		block_volatile_power_cut(scene->power, random_next(&random));
	raid_stop(scene->array, NULL);
	scene->array = NULL;
	block_fault_clear(victim);
	while (random_below(&random, 2))
		recover_and_cut(scene, &random);
	recover(scene);
	add_missing(scene, true);
}

static void make_disks(struct scene *scene)
{
	struct error *error = &scene->error;
	uint64_t size = MEMBERS * (uint64_t)SIZE;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&scene->memory, "memory", size, error), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_volatile(&scene->power, "power", scene->memory, error),
			      0);
	for (unsigned i = 0; i < MEMBERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		CU_ASSERT_EQUAL_FATAL(block_create_slice(&scene->slice[i], name, scene->power,
							 i * (uint64_t)SIZE, SIZE, error),
				      0);
		CU_ASSERT_EQUAL_FATAL(
			block_create_fault(&scene->disk[i], name, scene->slice[i], i, error), 0);
	}
}

static int run(void *arg)
{
	static struct scene scene;
	struct raid_new_member members[MEMBERS] = { 0 };
	const struct kind *kind = arg;
	unsigned rounds = getenv("TORTURE") ? 20 * ROUNDS : ROUNDS;
	struct raid_create_options options = { .name = "m",
					       .level = kind->layout ? 10 : 1,
					       .layout = kind->layout,
					       .chunk = kind->chunk,
					       .now = 1000000 };

	memset(&scene, 0, sizeof(scene));
	scene.kind = kind;
	scene.random.state = 42;
	options.bitmap = kind->bitmap ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE;
	options.bitmap_chunk = kind->bitmap ? UNIT_ : 0;
	make_disks(&scene);
	for (unsigned i = 0; i < MEMBERS; i++)
		members[i].block = scene.disk[i];
	CU_ASSERT_EQUAL_FATAL(raid_create(&scene.array, members, MEMBERS, &options, &scene.error),
			      0);
	for (uint64_t seed = 1; seed <= rounds && CU_get_number_of_failures() == 0; seed++)
		cut_and_recover(&scene, seed);
	CU_ASSERT_EQUAL(raid_stop(scene.array, &scene.error), 0);
	for (unsigned i = 0; i < MEMBERS; i++) {
		block_unref(scene.disk[i]);
		block_unref(scene.slice[i]);
	}
	block_unref(scene.power);
	block_unref(scene.memory);
	return 0;
}

static void run_on_worker(const struct kind *kind)
{
	struct worker_options options = { .virtual_clock = true, .seed = 3 };
	struct worker *worker;
	struct error error = { 0 };

	if (worker_create(&worker, &options, &error)) {
		CU_FAIL(error.text);
		return;
	}
	worker_run(worker, run, (void *)kind);
	worker_destroy(worker);
}

static void test_power_cuts(void)
{
	run_on_worker(&(struct kind){ .bitmap = false });
}

static void test_power_cuts_with_a_bitmap(void)
{
	run_on_worker(&(struct kind){ .bitmap = true });
}

static void test_power_cuts_of_raid10(void)
{
	run_on_worker(&(struct kind){ "n2", 8192, false });
	run_on_worker(&(struct kind){ "f2", 4096, false });
}

static void test_power_cuts_of_raid10_with_a_bitmap(void)
{
	run_on_worker(&(struct kind){ "n2", 4096, true });
	run_on_worker(&(struct kind){ "o2", 4096, true });
}

UNIT_MAIN("raid crash", UNIT(test_power_cuts), UNIT(test_power_cuts_with_a_bitmap),
	  UNIT(test_power_cuts_of_raid10), UNIT(test_power_cuts_of_raid10_with_a_bitmap))
