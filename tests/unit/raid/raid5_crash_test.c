/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power goes in the middle of writes to levels 5 and 6. Every sector then has what was flushed, or something that was written
 * since; a resync makes parity fit and changes no data. With a partial parity log the same holds without any one member, but for
 * sectors that were being written; with a journal also for those, and for two members at level 6. The same is read by who may not write.
 *
 * The same of whole stripes to members that lend what they got, of which parity is made, while the memory that is written from changes.
 * Virtual time. TORTURE=1 has more crashes; SEED=n others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "fiber/fiber.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "worn_disk.h"

#define DISKS   4u
#define SIZE    (5u << 20)
#define SECTORS 1536u /* of the array, that are looked at */
#define WRITERS 3u
#define CHUNK   16384u

struct scene {
	int level;
	enum raid_bitmap_choice bitmap;
	bool filling; /* a member is being filled when the power goes */
	bool lends;   /* members do; what is written is whole stripes */
	struct worn_power power;
	struct block *disks[DISKS + 1]; /* the last one is the journal */
	unsigned count;
	struct raid_array *array;
	struct random random;
	struct error error;
	/* Versions: at least, at most, and the first since the last flush. Of writes at the same time any may be the last. */
	uint32_t durable[SECTORS], latest[SECTORS], first[SECTORS];
	uint32_t version;
	bool failed;
};

static void fill(uint8_t *sector, uint32_t number, uint32_t version)
{
	struct random random = { ((uint64_t)number << 32 | version) + 1 };

	memset(sector, 0, 512);
	if (!version)
		return;
	put_le32(sector, number);
	put_le32(sector + 4, version);
	random_fill(&random, sector + 8, 504);
}

/* Sectors that are written: any, or whole stripes. */
static uint32_t choose(struct scene *scene, uint32_t *count)
{
	uint32_t stripe = (DISKS - (scene->level == 6 ? 2 : 1)) * CHUNK / 512;
	uint32_t at;

	if (!scene->lends) {
		at = (uint32_t)random_below(&scene->random, SECTORS);
		*count = 1 + (uint32_t)random_below(&scene->random, MIN(SECTORS - at, 100));
		return at;
	}
	at = (uint32_t)random_below(&scene->random, SECTORS / stripe);
	*count = stripe *
		 (1 + (uint32_t)random_below(&scene->random, MIN(SECTORS / stripe - at, 3)));
	return at * stripe;
}

/* Of sectors that are being written: in memory they become those of another version. */
struct rewrite {
	struct scene *scene;
	uint8_t *bytes;
	uint32_t at, count, version;
};

static int rewrite(void *arg)
{
	struct rewrite *later = arg;

	fiber_sleep(random_below(&later->scene->random, 5) * 1000000);
	for (uint32_t i = 0; i < later->count; i++) {
		fill(later->bytes + (size_t)i * 512, later->at + i, later->version);
		fiber_yield();
	}
	return 0;
}

static void write_some(struct scene *scene)
{
	struct rewrite later = { scene };
	uint32_t at = choose(scene, &later.count), count = later.count;
	uint8_t *bytes = malloc((size_t)count * 512);
	uint32_t version = ++scene->version;
	struct fiber *fiber = NULL;

	for (uint32_t i = 0; i < count; i++) {
		fill(bytes + (size_t)i * 512, at + i, version);
		scene->latest[at + i] = version + scene->lends;
		if (!scene->first[at + i])
			scene->first[at + i] = version;
	}
	if (scene->lends) {
		later.bytes = bytes;
		later.at = at;
		later.version = ++scene->version;
		fiber = fiber_spawn(rewrite, &later);
	}
	if (block_write(raid_array_block(scene->array), at * 512ull, bytes, count * 512ull, 0))
		scene->failed = true;
	if (fiber)
		fiber_join(fiber);
	free(bytes);
}

/* Three write in turn to places of their own choice; what all have written is flushed. */
static int writer(void *arg)
{
	struct scene *scene = arg;

	for (unsigned i = 0; i < 4 && !scene->failed; i++)
		write_some(scene);
	return 0;
}

static void take_flushed(struct scene *scene)
{
	for (uint32_t i = 0; i < SECTORS; i++) {
		if (scene->first[i])
			scene->durable[i] = scene->first[i];
		scene->first[i] = 0;
	}
}

/* Whether all went well, and is durable. */
static bool write_at_once(struct scene *scene)
{
	struct fiber *fibers[WRITERS];

	for (unsigned i = 0; i < WRITERS; i++)
		fibers[i] = fiber_spawn(writer, scene);
	for (unsigned i = 0; i < WRITERS; i++)
		fiber_join(fibers[i]);
	if (scene->failed || block_flush(raid_array_block(scene->array)))
		return false;
	take_flushed(scene);
	return true;
}

/* Several fibers may have written one sector; any version since the flush will do. `lost`: a member is missing, and what
 * was being written may be anything. */
static void check_sectors(struct scene *scene, bool lost)
{
	uint8_t found[512], expected[512];

	for (uint32_t i = 0; i < SECTORS; i++) {
		uint32_t version;

		if (lost && scene->durable[i] != scene->latest[i])
			continue;
		CU_ASSERT_EQUAL_FATAL(
			block_read(raid_array_block(scene->array), i * 512ull, found, 512), 0);
		version = get_le32(found + 4);
		fill(expected, i, version);
		if (memcmp(found, expected, 512) != 0 || version < scene->durable[i] ||
		    version > scene->latest[i]) {
			printf("level %d, sector %u: version %u, expected %u to %u\n", scene->level,
			       i, version, scene->durable[i], scene->latest[i]);
			CU_FAIL_FATAL("a sector is damaged");
		}
	}
}

static uint64_t mismatches(struct scene *scene)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_scrub_start(scene->array, false, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	raid_status(scene->array, &status);
	bytes = status.progress.mismatches + status.progress.skipped;
	raid_status_free(&status);
	return bytes;
}

static void assemble(struct scene *scene, struct block *const *disks, unsigned count, int expected)
{
	int rc = raid_assemble(&scene->array, disks, count, NULL, &scene->error);

	if (rc != expected)
		printf("assemble: %d %s\n", rc, scene->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, expected);
}

/* Who only looks reads what a log has, too, and nothing is written. */
static void look(struct scene *scene, struct block *const *disks, unsigned count, bool lost)
{
	const struct raid_assemble_options options = { .read_only = true };

	if (scene->bitmap != RAID_BITMAP_PPL && scene->bitmap != RAID_BITMAP_JOURNAL)
		return;
	for (unsigned i = 0; i < count; i++)
		disks[i]->read_only = true;
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&scene->array, disks, count, &options, &scene->error),
			      0);
	check_sectors(scene, lost);
	CU_ASSERT_EQUAL(raid_stop(scene->array, NULL), 0);
	for (unsigned i = 0; i < count; i++)
		disks[i]->read_only = false;
}

/* Of the members; they begin at the same place. */
static uint64_t data_offset(struct scene *scene)
{
	struct md_superblock sb;
	bool found;

	CU_ASSERT_EQUAL_FATAL(md_superblock_find(scene->disks[0], &sb, &found, &scene->error), 0);
	return sb.data_offset * 512;
}

/* The same where the data of one member cannot be read: a log has what is computed from the others then made right. */
static void look_past_errors(struct scene *scene)
{
	struct block *disk = scene->disks[scene->version % DISKS];
	struct block_fault_rule unreadable = { .requests = BLOCK_FAULT_READ,
					       .offset = data_offset(scene),
					       .length = SECTORS * 512,
					       .action = BLOCK_FAULT_ERROR,
					       .error = -EIO };
	int rule = block_fault_add(disk, &unreadable);

	look(scene, scene->disks, scene->count, scene->bitmap != RAID_BITMAP_JOURNAL);
	block_fault_remove(disk, rule);
}

/* Copies of the disks without one of them. */
static void without_one(struct scene *scene)
{
	unsigned missing = (unsigned)random_below(&scene->random, DISKS), count = 0;
	bool journal = scene->bitmap == RAID_BITMAP_JOURNAL;
	unsigned other = journal && scene->level == 6 ? (missing + 1) % DISKS : missing;
	struct block *copies[DISKS + 1];
	uint8_t *bytes = malloc(SIZE);
	int rc;

	for (unsigned i = 0; i < scene->count; i++) {
		if (i == missing || i == other)
			continue;
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&copies[count], "copy",
							  scene->disks[i]->size, &scene->error),
				      0);
		copies[count]->name[3] = (char)('0' + i);
		block_read(scene->disks[i], 0, bytes, copies[count]->size);
		block_write(copies[count], 0, bytes, copies[count]->size, 0);
		count++;
	}
	free(bytes);
	look(scene, copies, count, !journal);
	/* The power may have gone before the array was marked dirty. */
	rc = raid_assemble(&scene->array, copies, count, NULL, &scene->error);
	CU_ASSERT_TRUE(!rc || (rc == -EBUSY && scene->bitmap != RAID_BITMAP_PPL && !journal));
	if (!rc) {
		check_sectors(scene, !journal);
		raid_stop(scene->array, NULL);
	}
	for (unsigned i = 0; i < count; i++)
		block_unref(copies[i]);
}

/* A member leaves, comes back empty, and is filled slowly. */
static void begin_to_fill(struct scene *scene)
{
	struct block *disk = scene->disks[random_below(&scene->random, DISKS)];
	uint8_t *garbage = malloc(SIZE);

	CU_ASSERT_EQUAL_FATAL(raid_fail(scene->array, disk->name, &scene->error), 0);
	CU_ASSERT_EQUAL_FATAL(raid_remove(scene->array, disk->name, &scene->error), 0);
	random_fill(&scene->random, garbage, SIZE);
	CU_ASSERT_EQUAL_FATAL(block_write(disk, 0, garbage, SIZE, 0), 0);
	free(garbage);
	raid_sync_set_speed(scene->array, (struct raid_speed){ 0, 20u << 20 });
	CU_ASSERT_EQUAL_FATAL(raid_add(scene->array, disk, &scene->error), 0);
	fiber_sleep(random_below(&scene->random, 200) * 1000000);
}

static void crash_once(struct scene *scene)
{
	bool lost = scene->filling && scene->bitmap == RAID_BITMAP_PPL;

	scene->failed = false;
	if (scene->filling)
		begin_to_fill(scene);
	/* A resync would mend what is wrong before any crash. */
	if (scene->lends) {
		CU_ASSERT_FATAL(write_at_once(scene));
		CU_ASSERT_EQUAL(mismatches(scene), 0);
		fiber_sleep(random_below(&scene->random, 2) * 10000000000);
	}
	worn_power_cut_after(&scene->power, 5 + random_below(&scene->random, 120));
	while (!scene->failed)
		write_at_once(scene);
	raid_stop(scene->array, NULL);
	worn_power_cycle(&scene->power);
	if (!scene->filling)
		without_one(scene);
	look(scene, scene->disks, scene->count, lost);
	if (!scene->filling)
		look_past_errors(scene);
	assemble(scene, scene->disks, scene->count, 0);
	check_sectors(scene, lost);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	check_sectors(scene, lost);
	CU_ASSERT_EQUAL(mismatches(scene), 0);
	/* What is there now is what counts from here on. */
	for (uint32_t i = 0; i < SECTORS; i++) {
		uint8_t found[512];

		if (lost && scene->durable[i] != scene->latest[i]) {
			fill(found, i, ++scene->version);
			block_write(raid_array_block(scene->array), i * 512ull, found, 512,
				    BLOCK_FUA);
		}
		block_read(raid_array_block(scene->array), i * 512ull, found, 512);
		scene->durable[i] = scene->latest[i] = get_le32(found + 4);
		scene->first[i] = 0;
	}
}

/* A disk whose writes take their time, so that those of several stripes are on their way when the power goes. */
static struct block *make_disk(struct scene *scene, const char *name, uint64_t size)
{
	struct block *worn = worn_disk_create(&scene->power, name, size), *slow;

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&slow, name, worn, scene->level, &scene->error),
			      0);
	block_fault_add(slow, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							  .chance = 500000,
							  .action = BLOCK_FAULT_LATENCY,
							  .latency_ns = 3000000 });
	block_unref(worn);
	return slow;
}

static int play(void *arg)
{
	struct scene *scene = arg;
	const struct raid_create_options options = {
		.name = "x",
		.level = scene->level,
		.chunk = CHUNK,
		.bitmap = scene->bitmap,
		.bitmap_chunk = scene->bitmap == RAID_BITMAP_INTERNAL ? 65536 : 0,
		.assume_clean = true
	};
	struct raid_new_member members[DISKS + 1] = { 0 };
	unsigned rounds = getenv("TORTURE") ? 2000 : 25;

	scene->count = scene->bitmap == RAID_BITMAP_JOURNAL ? DISKS + 1 : DISKS;
	for (unsigned i = 0; i < scene->count; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		/* A short ring goes round often. */
		scene->disks[i] = make_disk(scene, name, i == DISKS ? SIZE / 4 : SIZE);
		members[i].block = scene->disks[i];
		members[i].journal = i == DISKS;
	}
	CU_ASSERT_EQUAL_FATAL(
		raid_create(&scene->array, members, scene->count, &options, &scene->error), 0);
	for (unsigned round = 0; round < rounds; round++)
		crash_once(scene);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	for (unsigned i = 0; i < scene->count; i++)
		block_unref(scene->disks[i]);
	return 0;
}

static void test_crashes(void)
{
	static const struct {
		int level;
		enum raid_bitmap_choice bitmap;
		bool filling, lends;
	} kinds[] = { { 5, RAID_BITMAP_NONE },
		      { 5, RAID_BITMAP_INTERNAL },
		      { 5, RAID_BITMAP_PPL },
		      { 6, RAID_BITMAP_INTERNAL },
		      { 5, RAID_BITMAP_JOURNAL },
		      { 6, RAID_BITMAP_JOURNAL },
		      { 5, RAID_BITMAP_PPL, true },
		      { 5, RAID_BITMAP_JOURNAL, true },
		      { 6, RAID_BITMAP_JOURNAL, true },
		      { 5, RAID_BITMAP_NONE, false, true },
		      { 6, RAID_BITMAP_INTERNAL, false, true },
		      { 5, RAID_BITMAP_INTERNAL, false, true },
		      { 6, RAID_BITMAP_NONE, false, true } };
	const char *first = getenv("SEED");
	uint64_t seed = first ? strtoull(first, NULL, 10) * 1000 : 0;
	struct worker_options options = { .virtual_clock = true, .seed = 3 };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct scene *scene = calloc(1, sizeof(*scene));
		struct worker *worker;

		scene->level = kinds[i].level;
		scene->bitmap = kinds[i].bitmap;
		scene->filling = kinds[i].filling;
		scene->lends = scene->power.lends = kinds[i].lends;
		scene->random = (struct random){ seed + i + 1 };
		scene->power.random = (struct random){ seed + i + 100 };
		CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, &scene->error), 0);
		worker_run(worker, play, scene);
		worker_destroy(worker);
		free(scene);
		if (!getenv("TORTURE"))
			continue;
		printf("%u of %zu kinds\n", i + 1, ARRAY_SIZE(kinds));
		fflush(stdout);
	}
}

UNIT_MAIN("raid5 crashes", UNIT(test_crashes))
