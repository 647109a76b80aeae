/* SPDX-License-Identifier: BSD-2-Clause */
/* Write journals: who may start without one, what happens when it fails or does not answer, and damage where it begins. Virtual time. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"

#define DISKS 3u
#define SIZE  (4u << 20)

struct scene {
	struct block *disks[DISKS + 1], *fault; /* the last one is the journal */
	struct raid_array *array;
	struct error error;
	void (*play)(struct scene *scene);
};

static void make(struct scene *scene)
{
	const struct raid_create_options options = { .name = "x",
						     .level = 5,
						     .chunk = 16384,
						     .bitmap = RAID_BITMAP_JOURNAL,
						     .assume_clean = true };
	struct raid_new_member members[DISKS + 1] = { 0 };
	struct block *lower;

	for (unsigned i = 0; i <= DISKS; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&lower, name, SIZE, &scene->error), 0);
		CU_ASSERT_EQUAL_FATAL(
			block_create_fault(&scene->disks[i], name, lower, 1, &scene->error), 0);
		block_unref(lower);
		members[i].block = scene->disks[i];
		members[i].journal = i == DISKS;
	}
	CU_ASSERT_EQUAL_FATAL(
		raid_create(&scene->array, members, DISKS + 1, &options, &scene->error), 0);
}

static int write_byte(struct scene *scene, uint64_t at, uint8_t byte)
{
	uint8_t bytes[1536];

	memset(bytes, byte, sizeof(bytes));
	return block_write(raid_array_block(scene->array), at, bytes, sizeof(bytes), 0);
}

static bool has_byte(struct scene *scene, uint64_t at, uint8_t byte)
{
	uint8_t bytes[1536] = { 0 };
	bool same = !block_read(raid_array_block(scene->array), at, bytes, sizeof(bytes));

	for (size_t i = 0; i < sizeof(bytes); i++)
		same = same && bytes[i] == byte;
	return same;
}

static int assemble(struct scene *scene, unsigned count, bool force, bool read_only)
{
	const struct raid_assemble_options options = { .force = force, .read_only = read_only };

	memset(&scene->error, 0, sizeof(scene->error));
	return raid_assemble(&scene->array, scene->disks, count, &options, &scene->error);
}

static uint64_t mismatches(struct scene *scene)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_scrub_start(scene->array, false, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	raid_status(scene->array, &status);
	bytes = status.progress.mismatches + status.progress.skipped;
	raid_status_free(&status);
	return bytes;
}

/* Not for writing, for reading only if told so, and with force for good. */
static void play_missing(struct scene *scene)
{
	make(scene);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 7), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	CU_ASSERT_EQUAL(assemble(scene, DISKS, false, false), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "journal"));
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS, false, true), 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 7));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS, true, false), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 40960, 8), 0);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	/* The old journal does not come back, and what it had is not written over what came later. */
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, false, false), 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 7) && has_byte(scene, 40960, 8));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

/* One that missed updates: what was flushed since it lacks. */
static void play_stale(struct scene *scene)
{
	static uint8_t before[SIZE];

	make(scene);
	CU_ASSERT_EQUAL(write_byte(scene, 0, 1), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	CU_ASSERT_EQUAL(block_read(scene->disks[DISKS], 0, before, SIZE), 0);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, false, false), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 0, 2), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	CU_ASSERT_EQUAL(block_write(scene->disks[DISKS], 0, before, SIZE, 0), 0);
	CU_ASSERT_EQUAL(assemble(scene, DISKS + 1, false, false), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "events"));
}

/* Nothing is written any more when it fails, and what was acknowledged stays. */
static void play_failing(struct scene *scene)
{
	int rule;

	make(scene);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	rule = block_fault_add(scene->disks[DISKS],
			       &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							   .error = -EIO });
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), -EIO);
	CU_ASSERT_EQUAL(write_byte(scene, 90000 / 512 * 512, 4), -EIO);
	CU_ASSERT_TRUE(has_byte(scene, 512, 3));
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	block_fault_remove(scene->disks[DISKS], rule);
	CU_ASSERT_EQUAL(assemble(scene, DISKS + 1, false, false), -ENODEV);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, true, false), 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 3));
	CU_ASSERT_EQUAL(write_byte(scene, 512, 5), 0);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

/* Where the journal begins there is none: parity is made anew, and without a member nobody relies on it. */
static void play_damaged(struct scene *scene)
{
	static const uint8_t zeroes[1 << 20];

	make(scene);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	for (uint64_t at = 1 << 20; at < SIZE; at += sizeof(zeroes))
		CU_ASSERT_EQUAL(block_write(scene->disks[DISKS], at, zeroes, sizeof(zeroes), 0), 0);
	CU_ASSERT_EQUAL(raid_assemble(&scene->array, scene->disks + 1, DISKS, NULL, &scene->error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.advice, "`tenon raid assemble x --force`"));
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, false, false), 0);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 3));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

/* Copies of the disks as they are now, in their place: as after a crash. */
static void crash(struct scene *scene)
{
	static uint8_t bytes[SIZE];
	struct block *copies[DISKS + 1];

	for (unsigned i = 0; i <= DISKS; i++) {
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&copies[i], scene->disks[i]->name, SIZE,
							  &scene->error),
				      0);
		CU_ASSERT_EQUAL(block_read(scene->disks[i], 0, bytes, SIZE), 0);
		CU_ASSERT_EQUAL(block_write(copies[i], 0, bytes, SIZE, 0), 0);
	}
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	for (unsigned i = 0; i <= DISKS; i++) {
		block_unref(scene->disks[i]);
		scene->disks[i] = copies[i];
	}
}

/* What a member did not take is in the journal: who only reads has it from there, though the member's log calls it bad. */
static void play_bad_block(struct scene *scene)
{
	struct block *second;

	make(scene);
	CU_ASSERT_EQUAL(write_byte(scene, 0, 3), 0);
	block_fault_add(scene->disks[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								     .offset = 1 << 20,
								     .length = 16384,
								     .error = -EIO });
	CU_ASSERT_EQUAL(write_byte(scene, 0, 4), 0);
	crash(scene);
	/* Without another, from which it would be computed. */
	second = scene->disks[1];
	scene->disks[1] = scene->disks[DISKS];
	for (unsigned i = 0; i < DISKS; i++)
		scene->disks[i]->read_only = true;
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS, false, true), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 4));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	for (unsigned i = 0; i < DISKS; i++)
		scene->disks[i]->read_only = false;
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS, false, false), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 4));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	scene->disks[1] = second;
}

struct writer {
	struct scene *scene;
	uint64_t at;
	bool ended;
	int rc;
};

static int writer_fiber(void *arg)
{
	struct writer *writer = arg;

	writer->rc = write_byte(writer->scene, writer->at, 9);
	writer->ended = true;
	return 0;
}

static void start_writers(struct scene *scene, struct writer *writers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		writers[i] = (struct writer){ .scene = scene, .at = 512 + i * 98304ull };
		fiber_start(writer_fiber, &writers[i]);
	}
}

static void check_writers(const struct writer *writers, unsigned count, bool ended, int rc)
{
	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(writers[i].ended, ended);
		CU_ASSERT_EQUAL(writers[i].rc, rc);
	}
}

/* A device that does not answer holds nobody once it is failed: those who wait for it, and those who come while they do. */
static void play_hung(struct scene *scene)
{
	const struct block_fault_rule hangs = { .requests = BLOCK_FAULT_WRITE,
						.action = BLOCK_FAULT_LATENCY,
						.latency_ns = 3600000000000ull };
	struct writer writers[12];
	uint64_t began;

	make(scene);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	block_fault_add(scene->disks[DISKS], &hangs);
	start_writers(scene, writers, 8);
	CU_ASSERT_EQUAL(fiber_sleep(1000000000), 0);
	start_writers(scene, writers + 8, 4);
	CU_ASSERT_EQUAL(fiber_sleep(60000000000ull), 0);
	check_writers(writers, 12, false, 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 3));
	began = worker_now();
	CU_ASSERT_EQUAL(raid_fail(scene->array, "disk3", &scene->error), 0);
	CU_ASSERT_EQUAL(fiber_sleep(1000000000), 0);
	check_writers(writers, 12, true, -EIO);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), -EIO);
	CU_ASSERT_TRUE(has_byte(scene, 512, 3));
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	CU_ASSERT_EQUAL(raid_remove(scene->array, "disk3", &scene->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "does not answer"));
	CU_ASSERT_TRUE(worker_now() - began < 60000000000ull);
	/* It comes back, and what it had of memory goes. */
	CU_ASSERT_EQUAL(fiber_sleep(7200000000000ull), 0);
	CU_ASSERT_EQUAL(raid_remove(scene->array, "disk3", &scene->error), 0);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

/* It is failed while its superblock is written, and the array ended while it still does not answer. */
static void play_hung_superblock(struct scene *scene)
{
	const struct block_fault_rule hangs = { .requests = BLOCK_FAULT_ALL,
						.action = BLOCK_FAULT_LATENCY,
						.latency_ns = 3600000000000ull };
	struct writer writers[2];

	make(scene);
	block_fault_add(scene->disks[DISKS], &hangs);
	start_writers(scene, writers, 2);
	CU_ASSERT_EQUAL(fiber_sleep(60000000000ull), 0);
	check_writers(writers, 2, false, 0);
	CU_ASSERT_EQUAL(raid_fail(scene->array, "disk3", &scene->error), 0);
	CU_ASSERT_EQUAL(fiber_sleep(1000000000), 0);
	check_writers(writers, 2, true, -EIO);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

static int on_fiber(void *arg)
{
	struct scene *scene = arg;

	scene->play(scene);
	for (unsigned i = 0; i <= DISKS; i++)
		block_unref(scene->disks[i]);
	return 0;
}

static void run(void (*play)(struct scene *scene))
{
	const struct worker_options options = { .virtual_clock = true, .seed = 1 };
	struct scene scene = { .play = play };
	struct worker *worker;

	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, &scene.error), 0);
	worker_run(worker, on_fiber, &scene);
	worker_destroy(worker);
}

static void test_missing(void)
{
	run(play_missing);
}

static void test_stale(void)
{
	run(play_stale);
}

static void test_failing(void)
{
	run(play_failing);
}

static void test_damaged(void)
{
	run(play_damaged);
}

static void test_bad_block(void)
{
	run(play_bad_block);
}

static void test_hung(void)
{
	run(play_hung);
}

static void test_hung_superblock(void)
{
	run(play_hung_superblock);
}

UNIT_MAIN("raid journals", UNIT(test_missing), UNIT(test_stale), UNIT(test_failing),
	  UNIT(test_damaged), UNIT(test_bad_block), UNIT(test_hung), UNIT(test_hung_superblock))
