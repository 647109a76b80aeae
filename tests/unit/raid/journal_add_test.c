/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write journals that are given to arrays: to one that runs, to one that has lost its own; with the power going at each write of it, and
 * of the start after it. Virtual time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "worn_disk.h"

#define DISKS   3u
#define JOURNAL DISKS       /* of the disks, a journal */
#define OTHER   (DISKS + 1) /* and another */
#define ALL     (DISKS + 2)
#define SIZE    (3u << 20)

struct scene {
	struct worn_power power;
	struct block *disks[ALL];
	struct raid_array *array;
	struct error error;
	uint64_t cut,
		again; /* after so many writes; the first of the journal's, the second of the start */
	bool reached; /* the power went before it was done */
	void (*play)(struct scene *scene);
};

static void make(struct scene *scene, enum raid_bitmap_choice consistency, int level)
{
	const struct raid_create_options options = { .name = "x",
						     .level = level,
						     .chunk = level == 1 ? 0 : 16384,
						     .bitmap = consistency,
						     .assume_clean = true };
	struct raid_new_member members[DISKS + 1] = { 0 };
	unsigned count = DISKS + (consistency == RAID_BITMAP_JOURNAL);

	for (unsigned i = 0; i < count; i++) {
		members[i].block = scene->disks[i];
		members[i].journal = i == JOURNAL;
	}
	CU_ASSERT_EQUAL_FATAL(raid_create(&scene->array, members, count, &options, &scene->error),
			      0);
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

/* Of those disks what has a superblock. */
static int assemble(struct scene *scene, unsigned count,
		    const struct raid_assemble_options *options)
{
	struct block *members[ALL];
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++) {
		struct raid_info info;

		if (raid_probe(scene->disks[i], &info, NULL) == 1)
			members[found++] = scene->disks[i];
	}
	memset(&scene->error, 0, sizeof(scene->error));
	return raid_assemble(&scene->array, members, found, options, &scene->error);
}

static void stop(struct scene *scene)
{
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	scene->array = NULL;
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

/* Whether it has a journal that works. */
static bool has_journal(struct scene *scene, const char *device)
{
	struct raid_status status;
	bool found = false;

	raid_status(scene->array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		found = found || (!strcmp(status.members[i].device, device) &&
				  status.members[i].state == RAID_MEMBER_JOURNAL);
	found = found && status.journal && !status.degraded;
	raid_status_free(&status);
	return found;
}

static int add(struct scene *scene, unsigned disk, bool over)
{
	memset(&scene->error, 0, sizeof(scene->error));
	return raid_add_journal(scene->array, scene->disks[disk], over, &scene->error);
}

static bool said(const struct scene *scene, const char *text)
{
	return strstr(scene->error.text, text) || strstr(scene->error.advice, text);
}

/* ---- To one that runs ---- */

struct load {
	struct scene *scene;
	bool stop, ended;
	unsigned written;
};

static int load_fiber(void *arg)
{
	struct load *load = arg;

	for (unsigned i = 0; !load->stop; i++) {
		CU_ASSERT_EQUAL(write_byte(load->scene, 8192 + i % 20 * 20480ull, (uint8_t)i), 0);
		load->written++;
		fiber_yield();
	}
	load->ended = true;
	return 0;
}

static void play_under_load(struct scene *scene)
{
	struct load load = { .scene = scene };

	make(scene, RAID_BITMAP_NONE, 5);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	fiber_start(load_fiber, &load);
	while (load.written < 10)
		fiber_yield();
	CU_ASSERT_EQUAL(add(scene, JOURNAL, false), 0);
	CU_ASSERT_TRUE(has_journal(scene, "disk3"));
	load.written = 0;
	while (load.written < 30)
		fiber_yield();
	load.stop = true;
	while (!load.ended)
		fiber_yield();
	/* What is flushed is so by the journal alone. */
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), 0);
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	worn_power_cut_after(&scene->power, 0);
	write_byte(scene, 512, 5);
	raid_stop(scene->array, NULL);
	worn_power_cycle(&scene->power);
	CU_ASSERT_EQUAL(assemble(scene, DISKS, NULL), -ENODEV);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, NULL), 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 4));
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	stop(scene);
}

struct adder {
	struct scene *scene;
	struct block *device;
	bool ended;
	int rc;
};

static int add_fiber(void *arg)
{
	struct adder *adder = arg;

	adder->rc =
		raid_add_journal(adder->scene->array, adder->device, false, &adder->scene->error);
	adder->ended = true;
	return 0;
}

/* One that does not answer for an hour: the array is used meanwhile. */
static void play_hung(struct scene *scene)
{
	struct load load = { .scene = scene };
	struct adder adder = { .scene = scene };

	make(scene, RAID_BITMAP_NONE, 5);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&adder.device, "disk3", scene->disks[JOURNAL], 1,
						 &scene->error),
			      0);
	block_fault_add(adder.device, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								  .count = 1,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = 3600000000000 });
	fiber_start(load_fiber, &load);
	while (load.written < 10)
		fiber_yield();
	fiber_start(add_fiber, &adder);
	for (unsigned i = 0; i < 1000; i++)
		fiber_yield();
	load.written = 0;
	for (unsigned i = 0; i < 1000; i++)
		fiber_yield();
	CU_ASSERT_FALSE(adder.ended);
	CU_ASSERT_TRUE(load.written > 20);
	/* So are those who change its members. */
	CU_ASSERT_EQUAL(raid_remove(scene->array, "none", &scene->error), -ENOENT);
	CU_ASSERT_EQUAL(raid_add(scene->array, adder.device, &scene->error), -EBUSY);
	CU_ASSERT_EQUAL(add(scene, OTHER, false), -EBUSY);
	CU_ASSERT_FALSE(adder.ended);
	load.stop = true;
	while (!adder.ended || !load.ended)
		fiber_sleep(1000000000);
	CU_ASSERT_EQUAL(adder.rc, 0);
	CU_ASSERT_TRUE(has_journal(scene, "disk3"));
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	stop(scene);
	block_unref(adder.device);
}

/* Meanwhile the array gets a bitmap, which does not go together with a journal: the device has what it had. */
static void play_refused_later(struct scene *scene)
{
	struct adder adder = { .scene = scene };
	uint8_t *before = malloc(SIZE), *after = malloc(SIZE);
	uint64_t sector;

	make(scene, RAID_BITMAP_NONE, 5);
	memset(before, 0x5a, SIZE);
	for (unsigned minor = 0; minor < 3; minor++) {
		CU_ASSERT_EQUAL(md_superblock_place(minor, SIZE / 512, &sector), 0);
		put_le32(before + sector * 512, MD_MAGIC);
	}
	CU_ASSERT_EQUAL(block_write(scene->disks[JOURNAL], 0, before, SIZE, 0), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&adder.device, "disk3", scene->disks[JOURNAL], 1,
						 &scene->error),
			      0);
	block_fault_add(adder.device, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = 3600000000000 });
	fiber_start(add_fiber, &adder);
	fiber_sleep(1000000000);
	CU_ASSERT_EQUAL(raid_bitmap_add(scene->array, 0, &scene->error), 0);
	CU_ASSERT_FALSE(adder.ended);
	while (!adder.ended)
		fiber_sleep(1000000000);
	CU_ASSERT_EQUAL(adder.rc, -EINVAL);
	CU_ASSERT_TRUE(said(scene, "bitmap"));
	CU_ASSERT_EQUAL(block_read(scene->disks[JOURNAL], 0, after, SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(before, after, SIZE), 0);
	stop(scene);
	block_unref(adder.device);
	free(before);
	free(after);
}

/* Another one takes the place of what failed, and the old one does not come back. */
static void play_another(struct scene *scene)
{
	make(scene, RAID_BITMAP_JOURNAL, 5);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	CU_ASSERT_EQUAL(add(scene, OTHER, false), -EBUSY);
	CU_ASSERT_EQUAL(raid_remove(scene->array, "disk3", &scene->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_fail(scene->array, "disk3", &scene->error), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), -EIO);
	CU_ASSERT_EQUAL(add(scene, OTHER, false), -EBUSY);
	CU_ASSERT_TRUE(said(scene, "remove it first"));
	CU_ASSERT_EQUAL(raid_remove(scene->array, "disk3", &scene->error), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), -EIO);
	CU_ASSERT_EQUAL(add(scene, OTHER, false), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), 0);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	stop(scene);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
	CU_ASSERT_TRUE(has_journal(scene, "disk4") && has_byte(scene, 512, 4));
	stop(scene);
}

/* ---- To one that is started without its own ---- */

static void copy_members(struct scene *scene, uint8_t *to)
{
	for (unsigned i = 0; i < DISKS; i++)
		CU_ASSERT_EQUAL(block_read(scene->disks[i], 0, to + (size_t)i * SIZE, (size_t)SIZE),
				0);
}

static void play_lost(struct scene *scene)
{
	const struct raid_assemble_options comes = { .journal_comes = true, .no_resync = true };
	uint8_t *before = malloc((size_t)DISKS * SIZE), *after = malloc((size_t)DISKS * SIZE);

	make(scene, RAID_BITMAP_JOURNAL, 5);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	stop(scene);
	CU_ASSERT_EQUAL(assemble(scene, DISKS, NULL), -ENODEV);
	CU_ASSERT_TRUE(said(scene, "--journal"));
	/* What is not done leaves nothing: the journal is not left behind by a try with another. */
	copy_members(scene, before);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS, &comes), 0);
	CU_ASSERT_EQUAL(add(scene, JOURNAL, false), -ESTALE);
	CU_ASSERT_TRUE(said(scene, "may hold what its members do not"));
	CU_ASSERT_EQUAL(add(scene, 0, false), -EBUSY);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), -EIO);
	CU_ASSERT_TRUE(has_byte(scene, 512, 3));
	stop(scene);
	copy_members(scene, after);
	CU_ASSERT_EQUAL(memcmp(before, after, (size_t)DISKS * SIZE), 0);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, NULL), 0);
	stop(scene);
	/* Parity is made anew. */
	CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS, &comes), 0);
	CU_ASSERT_EQUAL(add(scene, OTHER, false), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 4), 0);
	stop(scene);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
	CU_ASSERT_TRUE(has_journal(scene, "disk4") && has_byte(scene, 512, 4));
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	CU_ASSERT_EQUAL(raid_fail(scene->array, "disk4", &scene->error), 0);
	CU_ASSERT_EQUAL(raid_remove(scene->array, "disk4", &scene->error), 0);
	CU_ASSERT_EQUAL(add(scene, JOURNAL, true), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 5), 0);
	stop(scene);
	free(before);
	free(after);
}

/* A member is missing, too: then nobody knows whether parity can stand in for it. */
static void play_lost_degraded(struct scene *scene)
{
	const struct raid_assemble_options comes = { .journal_comes = true };

	make(scene, RAID_BITMAP_JOURNAL, 5);
	stop(scene);
	CU_ASSERT_EQUAL(assemble(scene, DISKS - 1, &comes), -EBUSY);
	CU_ASSERT_TRUE(said(scene, "not stopped cleanly"));
}

/* ---- What has none ---- */

static void refuses(struct scene *scene, enum raid_bitmap_choice consistency, int level, int rc,
		    const char *text)
{
	make(scene, consistency, level);
	CU_ASSERT_EQUAL(add(scene, JOURNAL, false), rc);
	CU_ASSERT_TRUE(said(scene, text));
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	stop(scene);
}

static void play_refused(struct scene *scene)
{
	struct block *small;

	refuses(scene, RAID_BITMAP_INTERNAL, 5, -EINVAL, "bitmap");
	refuses(scene, RAID_BITMAP_PPL, 5, -EINVAL, "partial parity log");
	refuses(scene, RAID_BITMAP_NONE, 1, -EOPNOTSUPP, "level 4, 5 or 6");
	make(scene, RAID_BITMAP_NONE, 5);
	CU_ASSERT_EQUAL_FATAL(
		block_create_memory(&small, "small", (1 << 20) + 40960, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_add_journal(scene->array, small, false, &scene->error), -EINVAL);
	CU_ASSERT_TRUE(said(scene, "sectors for a journal"));
	block_unref(small);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	CU_ASSERT_EQUAL(add(scene, JOURNAL, false), 0);
	stop(scene);
}

/* One that cannot be written leaves the array without it, and writable; whichever write it is. */
static void play_broken(struct scene *scene)
{
	for (uint64_t after = 0;; after++) {
		make(scene, RAID_BITMAP_NONE, 5);
		CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
		worn_disk_fail(scene->disks[JOURNAL], after, 1000);
		if (!add(scene, JOURNAL, false))
			break;
		worn_power_mend(&scene->power);
		CU_ASSERT_EQUAL(write_byte(scene, 512, 4), 0);
		stop(scene);
		CU_ASSERT_EQUAL_FATAL(assemble(scene, DISKS + 1, NULL), 0);
		CU_ASSERT_FALSE(has_journal(scene, "disk3"));
		CU_ASSERT_TRUE(has_byte(scene, 512, 4));
		stop(scene);
		CU_ASSERT_TRUE_FATAL(after < 20);
	}
	worn_power_mend(&scene->power);
	stop(scene);
}

/* ---- The power goes ---- */

/* With `lost`: it had one that failed. All that was flushed is there, and so is every member. */
/* The power goes behind a flush, whatever the array thinks that it has its data in. */
static void cut_flushed(struct scene *scene)
{
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	worn_power_cut_after(&scene->power, 0);
	raid_stop(scene->array, NULL);
	worn_power_cycle(&scene->power);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
}

static void cut(struct scene *scene, bool lost)
{
	make(scene, lost ? RAID_BITMAP_JOURNAL : RAID_BITMAP_NONE, 5);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 99840, 4), 0);
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	if (lost) {
		CU_ASSERT_EQUAL(raid_fail(scene->array, "disk3", &scene->error), 0);
		CU_ASSERT_EQUAL(raid_remove(scene->array, "disk3", &scene->error), 0);
	}
	worn_power_cut_after(&scene->power, scene->cut);
	add(scene, OTHER, false);
	scene->reached = scene->power.off;
	raid_stop(scene->array, NULL);
	worn_power_cycle(&scene->power);
	if (scene->again) {
		worn_power_cut_after(&scene->power, scene->again);
		if (!assemble(scene, ALL, NULL)) {
			write_byte(scene, 99840, 4);
			raid_stop(scene->array, NULL);
		}
		worn_power_cycle(&scene->power);
	}
	/* The old one was removed; before the first superblock that knows of the new one that is an array without. */
	if (lost && assemble(scene, ALL, NULL) == -ENODEV) {
		const struct raid_assemble_options comes = { .journal_comes = true };

		CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, &comes), 0);
		CU_ASSERT_EQUAL(add(scene, OTHER, true), 0);
	} else if (!lost) {
		CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
	}
	CU_ASSERT_TRUE(has_byte(scene, 512, 3) && has_byte(scene, 99840, 4));
	CU_ASSERT_EQUAL(write_byte(scene, 512, 5), 0);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	cut_flushed(scene);
	CU_ASSERT_TRUE(has_byte(scene, 512, 5) && has_byte(scene, 99840, 4));
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	stop(scene);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
	CU_ASSERT_TRUE(has_byte(scene, 512, 5) && has_byte(scene, 99840, 4));
	stop(scene);
}

/* Power went when of all superblocks only the journal's had been written: the array has no journal. */
static void play_first_alone(struct scene *scene)
{
	char superblocks[4][4096];

	make(scene, RAID_BITMAP_NONE, 5);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 3), 0);
	stop(scene);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		block_read(scene->disks[i], 4096, superblocks[i], 4096);
	CU_ASSERT_EQUAL(add(scene, OTHER, false), 0);
	stop(scene);
	for (unsigned i = 0; i < 4; i++)
		if (i != OTHER)
			block_write(scene->disks[i], 4096, superblocks[i], 4096, BLOCK_FUA);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, ALL, NULL), 0);
	CU_ASSERT_EQUAL(write_byte(scene, 512, 5), 0);
	cut_flushed(scene);
	CU_ASSERT_TRUE(has_byte(scene, 512, 5));
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	stop(scene);
}

static void play_cut(struct scene *scene)
{
	cut(scene, false);
}

static void play_cut_lost(struct scene *scene)
{
	cut(scene, true);
}

static int on_fiber(void *arg)
{
	struct scene *scene = arg;

	for (unsigned i = 0; i < ALL; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		scene->disks[i] = worn_disk_create(&scene->power, name, SIZE);
	}
	scene->play(scene);
	for (unsigned i = 0; i < ALL; i++)
		block_unref(scene->disks[i]);
	return 0;
}

/* Whether the power went before it was done. */
static bool run_cut(void (*play)(struct scene *scene), uint64_t after, uint64_t again)
{
	const struct worker_options options = { .virtual_clock = true, .seed = 1 };
	struct scene scene = { .play = play, .cut = after, .again = again };
	struct worker *worker;

	scene.power.random = (struct random){ after * 37 + again };
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, &scene.error), 0);
	worker_run(worker, on_fiber, &scene);
	worker_destroy(worker);
	return scene.reached;
}

static void run(void (*play)(struct scene *scene))
{
	run_cut(play, 0, 0);
}

static void run_cuts(void (*play)(struct scene *scene))
{
	uint64_t after = 0;

	while (run_cut(play, after, 0)) {
		for (uint64_t again = 1; again < 40; again += 1 + after % 3)
			run_cut(play, after, again);
		after++;
	}
	CU_ASSERT_TRUE(after > 8);
}

static void test_first_alone(void)
{
	run(play_first_alone);
}

static void test_under_load(void)
{
	run(play_under_load);
}

static void test_hung(void)
{
	run(play_hung);
	run(play_refused_later);
}

static void test_another(void)
{
	run(play_another);
}

static void test_lost(void)
{
	run(play_lost);
}

static void test_lost_degraded(void)
{
	run(play_lost_degraded);
}

static void test_refused(void)
{
	run(play_refused);
}

static void test_broken(void)
{
	run(play_broken);
}

static void test_cut(void)
{
	run_cuts(play_cut);
}

static void test_cut_lost(void)
{
	run_cuts(play_cut_lost);
}

UNIT_MAIN("raid journals that are added", UNIT(test_under_load), UNIT(test_first_alone),
	  UNIT(test_hung), UNIT(test_another), UNIT(test_lost), UNIT(test_lost_degraded),
	  UNIT(test_refused), UNIT(test_broken), UNIT(test_cut), UNIT(test_cut_lost))
