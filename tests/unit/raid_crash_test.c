/*
 * Power cuts. Members with a volatile cache lose power together, at any request; what was flushed must
 * be there afterwards, from every member that is used, and a resync must make the mirrors equal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
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

/* The model: of each unit the last value that a flush made durable, and those written since. */
struct model {
	uint32_t durable[UNITS];
	uint32_t latest[UNITS];
};

struct scene {
	struct block *memory[MEMBERS], *disk[MEMBERS];
	struct raid_array *array;
	struct model model;
	struct random random;
	uint32_t value;
	bool bitmap;
	struct error error;
};

static void fill_unit(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < UNIT_; i += 4)
		put_le32(bytes + i, value);
}

static bool is_off(const struct scene *scene)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		if (block_volatile_is_off(scene->disk[i]))
			return true;
	}
	return false;
}

static int write_some(void *arg)
{
	struct scene *scene = arg;
	struct block *block = raid_array_block(scene->array);
	uint8_t bytes[UNIT_];

	for (unsigned i = 0; i < 20 && !is_off(scene); i++) {
		uint64_t unit = random_below(&scene->random, UNITS);
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
	for (unsigned round = 0; round < 4 && !is_off(scene); round++) {
		struct model before = scene->model;
		struct fiber *fiber = fiber_spawn(write_some, scene);
		int rc = write_some(scene);

		rc = fiber_join(fiber) || rc;
		(void)before;
		if (!rc && !block_flush(raid_array_block(scene->array)) && !is_off(scene))
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

/* What is on the array now is what later rounds start from. */
static void take_over(struct scene *scene)
{
	uint8_t bytes[UNIT_];

	for (unsigned unit = 0; unit < UNITS; unit++) {
		uint32_t lowest = UINT32_MAX;

		block_read(raid_array_block(scene->array), unit * (uint64_t)UNIT_, bytes, UNIT_);
		for (unsigned sector = 0; sector < UNIT_; sector += 512)
			lowest = MIN(lowest, get_le32(bytes + sector));
		scene->model.durable[unit] = lowest;
	}
}

/* Powers on, assembles, checks the array and, after the resync, each member in sync. */
static void recover(struct scene *scene)
{
	struct raid_status status;
	int rc;

	for (unsigned i = 0; i < MEMBERS; i++)
		block_volatile_power_on(scene->disk[i]);
	rc = raid_assemble(&scene->array, scene->disk, MEMBERS, NULL, &scene->error);
	if (rc)
		printf("%s\n", scene->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	check_contents(scene, raid_array_block(scene->array), 0, "array");
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	check_contents(scene, raid_array_block(scene->array), 0, "array after resync");
	raid_status(scene->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (status.members[i].state == RAID_MEMBER_IN_SYNC)
			check_contents(scene, scene->disk[i], DATA, status.members[i].device);
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
static void add_missing(struct scene *scene)
{
	struct raid_status status;

	raid_status(scene->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (status.members[i].state != RAID_MEMBER_STALE)
			continue;
		for (unsigned j = 0; j < MEMBERS; j++) {
			if (!strcmp(scene->disk[j]->name, status.members[i].device))
				CU_ASSERT_EQUAL(
					raid_add(scene->array, scene->disk[j], &scene->error), 0);
		}
	}
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
}

static void cut_and_recover(struct scene *scene, uint64_t seed)
{
	struct random random = { seed };
	bool together = random_below(&random, 4) != 0;

	/* Mostly the whole machine goes off; sometimes one disk. */
	for (unsigned i = 0; i < MEMBERS; i++) {
		if (together || i == seed % MEMBERS)
			block_volatile_cut_after(scene->disk[i], random_below(&random, 100),
						 random_next(&random));
	}
	work(scene);
	for (unsigned i = 0; together && i < MEMBERS; i++) {
		if (!block_volatile_is_off(scene->disk[i]))
			block_volatile_power_cut(scene->disk[i], random_next(&random));
	}
	if (!together)
		block_volatile_cut_after(scene->disk[seed % MEMBERS], UINT64_MAX, 0);
	raid_stop(scene->array, NULL);
	scene->array = NULL;
	recover(scene);
	add_missing(scene);
}

static int run(void *arg)
{
	static struct scene scene;
	struct raid_new_member members[MEMBERS] = { 0 };
	struct raid_create_options options = { .name = "m", .level = 1, .now = 1000000 };

	memset(&scene, 0, sizeof(scene));
	scene.bitmap = *(bool *)arg;
	scene.random.state = 42;
	options.bitmap = scene.bitmap ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE;
	options.bitmap_chunk = scene.bitmap ? UNIT_ : 0;
	for (unsigned i = 0; i < MEMBERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		CU_ASSERT_EQUAL_FATAL(
			block_create_memory(&scene.memory[i], name, SIZE, &scene.error), 0);
		CU_ASSERT_EQUAL_FATAL(block_create_volatile(&scene.disk[i], name, scene.memory[i],
							    &scene.error),
				      0);
		members[i].block = scene.disk[i];
	}
	CU_ASSERT_EQUAL_FATAL(raid_create(&scene.array, members, MEMBERS, &options, &scene.error),
			      0);
	for (uint64_t seed = 1; seed <= 60 && CU_get_number_of_failures() == 0; seed++)
		cut_and_recover(&scene, seed);
	CU_ASSERT_EQUAL(raid_stop(scene.array, &scene.error), 0);
	for (unsigned i = 0; i < MEMBERS; i++) {
		block_unref(scene.disk[i]);
		block_unref(scene.memory[i]);
	}
	return 0;
}

static void run_on_worker(bool bitmap)
{
	struct worker_options options = { .virtual_clock = true, .seed = 3 };
	struct worker *worker;
	struct error error = { 0 };

	if (worker_create(&worker, &options, &error)) {
		CU_FAIL(error.text);
		return;
	}
	worker_run(worker, run, &bitmap);
	worker_destroy(worker);
}

static void test_power_cuts(void)
{
	run_on_worker(false);
}

static void test_power_cuts_with_a_bitmap(void)
{
	run_on_worker(true);
}

UNIT_MAIN("raid crash", UNIT(test_power_cuts), UNIT(test_power_cuts_with_a_bitmap))
