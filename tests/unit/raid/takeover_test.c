/* SPDX-License-Identifier: BSD-2-Clause */
/* Another level whose data are in the same places: nothing moves, nothing is lost, at no power cut either. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"
#include "worn_disk.h"

#define SIZE (4u << 20)
#define MOST 5u

struct way {
	struct raid_create_options from;
	unsigned count, add; /* of disks */
	const char *level;
	uint32_t layout; /* that the array has then */
};

#define FROM(l, name_)                                                                             \
	{                                                                                          \
		.name = "x", .level = l, .layout = name_, .size = (l) ? 1 << 20 : 0,               \
		.chunk = (l) == 1 ? 0 : 65536,                                                     \
	}

static const struct way ways[] = {
	{ FROM(4, NULL), 3, 0, "5", 5 },
	{ FROM(5, "parity-last"), 3, 0, "4", 0 },
	{ FROM(1, NULL), 2, 0, "5", 2 },
	{ FROM(5, NULL), 2, 0, "1", 0 },
	{ FROM(5, NULL), 3, 1, "6", 18 },
	{ FROM(5, "parity-last"), 4, 1, "6", 5 },
	{ FROM(6, "left-symmetric-6"), 4, 0, "5", 2 },
	{ FROM(6, "right-asymmetric-6"), 5, 0, "5", 1 },
	{ FROM(0, NULL), 2, 1, "5", 5 },
	{ FROM(0, NULL), 3, 1, "4", 0 },
	{ FROM(5, "parity-last"), 4, 0, "0", 0 },
	{ FROM(4, NULL), 3, 0, "0", 0 },
};

struct scene {
	struct worn_power power;
	struct block *disks[MOST];
	struct raid_array *array;
	const struct way *way;
	struct error error;
};

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

static unsigned count_wrong(struct raid_array *array, const uint8_t *expected, uint64_t size)
{
	uint8_t *bytes = malloc(size);
	int rc = block_read(raid_array_block(array), 0, bytes, size);

	rc = rc || memcmp(bytes, expected, size) != 0;
	free(bytes);
	return rc ? 1 : 0;
}

static unsigned level_of(struct raid_array *array, uint32_t *layout)
{
	struct raid_status status;
	int level;

	raid_status(array, &status);
	level = status.level;
	*layout = status.layout;
	raid_status_free(&status);
	return (unsigned)level;
}

static bool is_degraded(struct raid_array *array)
{
	struct raid_status status;
	bool degraded;

	raid_status(array, &status);
	degraded = status.degraded;
	raid_status_free(&status);
	return degraded;
}

/* The array as it is found later: its level one of the two, and whole; then written to, and whole without a member. */
static void judge(struct scene *scene, uint8_t *expected, uint64_t size, bool must)
{
	unsigned all = scene->way->count + scene->way->add;
	unsigned to = (unsigned)atoi(scene->way->level), level;
	uint32_t layout;

	/* Power can go before it is a member. */
	if (!must && !scene->way->from.level)
		all = scene->way->count;
	if (must && !to)
		all--;
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&scene->array, scene->disks, all, NULL, &scene->error),
			      0);
	level = level_of(scene->array, &layout);
	CU_ASSERT(level == to || (!must && level == (unsigned)scene->way->from.level));
	if (level == to)
		CU_ASSERT_EQUAL(layout, scene->way->layout);
	CU_ASSERT_EQUAL(raid_array_block(scene->array)->size, size);
	CU_ASSERT_EQUAL(count_wrong(scene->array, expected, size), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL), 0);
	if (level && !is_degraded(scene->array))
		CU_ASSERT_EQUAL(differs(scene->array), 0);
	memset(expected + 8192, 0xa5, 12288);
	CU_ASSERT_EQUAL(
		block_write(raid_array_block(scene->array), 8192, expected + 8192, 12288, 0), 0);
	CU_ASSERT(!must || scene->way->from.level || !is_degraded(scene->array));
	if (level && !is_degraded(scene->array))
		CU_ASSERT_EQUAL(raid_fail(scene->array, "disk1", &scene->error), 0);
	CU_ASSERT_EQUAL(count_wrong(scene->array, expected, size), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

static bool take_over_once(struct scene *scene, uint64_t cut)
{
	const struct way *way = scene->way;
	const struct raid_grow grow = { .level = way->level };
	struct raid_new_member members[MOST] = { 0 };
	struct random random = { cut };
	uint8_t *expected, *zeroes = calloc(1, SIZE);
	uint64_t size;
	bool was_cut;
	int rc;

	for (unsigned i = 0; i < MOST; i++) {
		members[i].block = scene->disks[i];
		CU_ASSERT_EQUAL(block_write(scene->disks[i], 0, zeroes, SIZE, 0), 0);
	}
	free(zeroes);
	CU_ASSERT_EQUAL_FATAL(
		raid_create(&scene->array, members, way->count, &way->from, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL), 0);
	size = raid_array_block(scene->array)->size;
	expected = malloc(size);
	random_fill(&random, expected, size);
	CU_ASSERT_EQUAL(block_write(raid_array_block(scene->array), 0, expected, size, 0), 0);
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	if (way->add && !raid_grow_adds_later(scene->array)) {
		CU_ASSERT_EQUAL(raid_grow(scene->array, &grow, &scene->error), -ENODEV);
		CU_ASSERT_EQUAL(raid_add(scene->array, scene->disks[way->count], &scene->error), 0);
	}
	worn_power_cut_after(&scene->power, cut);
	rc = raid_grow(scene->array, &grow, &scene->error);
	if (!rc)
		CU_ASSERT_EQUAL(raid_array_block(scene->array)->size, size);
	if (!rc && way->add && !way->from.level) {
		CU_ASSERT_EQUAL(count_wrong(scene->array, expected, size), 0);
		rc = raid_add(scene->array, scene->disks[way->count], &scene->error);
	}
	raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL);
	raid_stop(scene->array, NULL);
	was_cut = scene->power.off;
	CU_ASSERT(was_cut || !rc);
	worn_power_cycle(&scene->power);
	judge(scene, expected, size, !rc);
	free(expected);
	return was_cut;
}

static int play(void *arg)
{
	struct scene *scene = arg;
	unsigned step = getenv("TORTURE") ? 1 : 3;

	for (unsigned i = 0; i < MOST; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		scene->disks[i] = worn_disk_create(&scene->power, name, SIZE);
	}
	for (uint64_t cut = 1; take_over_once(scene, cut) && cut < 400; cut += step)
		;
	for (unsigned i = 0; i < MOST; i++)
		block_unref(scene->disks[i]);
	return 0;
}

static void test_power(void)
{
	struct worker_options worker_options = { .virtual_clock = true, .seed = 3 };

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		struct scene *scene = calloc(1, sizeof(*scene));
		struct worker *worker;

		scene->way = &ways[i];
		scene->power.random = (struct random){ i + 100 };
		CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &worker_options, &scene->error), 0);
		worker_run(worker, play, scene);
		worker_destroy(worker);
		free(scene);
	}
}

static struct raid_create_options options;

static int to_level(struct raid_rig *rig, const char *level)
{
	return raid_grow(rig->array, &(struct raid_grow){ .level = level }, &rig->error);
}

static void refuses(struct raid_rig *rig)
{
	rig_create(rig, options.level == 1 ? 3 : 4, &options);
	rig_wait(rig);
	CU_ASSERT_EQUAL(to_level(rig, "0"), options.level == 5 ? -EINVAL : -EOPNOTSUPP);
	CU_ASSERT_EQUAL(to_level(rig, "10"), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(to_level(rig, "7"), -EINVAL);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &(struct raid_grow){ .level = "4", .devices = 9 },
				  &rig->error),
			-EINVAL);
	/* Three mirrors; and layouts that are not so. */
	CU_ASSERT_EQUAL(to_level(rig, "4"), options.level == 5 ? -EINVAL : -EOPNOTSUPP);
	if (options.level == 1)
		CU_ASSERT_EQUAL(to_level(rig, "5"), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(to_level(rig, options.level == 5 ? "6" : "5"), -EBUSY);
}

/* RAID0 alone has such chunks, and what is left of its members where they end is no matter then. */
static void refuses_chunk(struct raid_rig *rig)
{
	rig_create(rig, 3, &options);
	CU_ASSERT_EQUAL(to_level(rig, "5"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(rig->error.text, "its chunk is 24 sectors, expected a power of two"));
}

static void test_refuses(void)
{
	static const int levels[] = { 1, 5, 6 };

	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		options = (struct raid_create_options){ .name = "x",
							.level = levels[i],
							.size = 1 << 20 };
		if (levels[i] != 1)
			options.chunk = 65536;
		rig_run(refuses);
	}
	options = (struct raid_create_options){ .name = "x", .level = 0, .chunk = 12288 };
	rig_run(refuses_chunk);
}

/* No superblock can be written in the middle: nothing is written to the array either until they can, and its data are right. */
static void cannot_be_said(struct raid_rig *rig)
{
	uint64_t size;
	uint32_t layout;

	rig_create(rig, options.level == 6 ? 4 : 3, &options);
	rig_wait(rig);
	size = raid_array_block(rig->array)->size;
	rig_write(rig, 0, size, 1);
	if (options.level == 5)
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	fiber_sleep(20000000000);
	/* Not the spare, which is written to first. */
	for (unsigned i = 0; i < (options.level == 5 ? 3 : 4); i++)
		rig_break(rig, i, BLOCK_FAULT_CHANGES, 4096, 4096);
	CU_ASSERT_EQUAL(to_level(rig, options.level == 5 ? "6" : "5"), -EIO);
	CU_ASSERT_NOT_EQUAL(
		block_write(raid_array_block(rig->array), 0, (uint8_t[4096]){ 0 }, 4096, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		block_fault_clear(rig->disk[i]);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_write(rig, 0, 65536, 2);
	fiber_sleep(20000000000);
	rig_wait(rig);
	CU_ASSERT_EQUAL(level_of(rig->array, &layout), options.level == 5 ? 6 : 5);
	rig_stop(rig);
	rig_assemble(rig, 4, NULL);
	rig_wait(rig);
	CU_ASSERT_EQUAL(level_of(rig->array, &layout), options.level == 5 ? 6 : 5);
	CU_ASSERT(rig_holds(rig, 0, 65536, 2));
	CU_ASSERT(rig_holds(rig, 65536, size - 65536, 1));
	/* The first that could not be written was failed. */
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(differs(rig->array), 0);
}

static void test_cannot_be_said(void)
{
	options = (struct raid_create_options){
		.name = "x", .level = 5, .size = 1 << 20, .chunk = 65536
	};
	rig_run(cannot_be_said);
	options.level = 6;
	options.layout = "left-symmetric-6";
	rig_run(cannot_be_said);
}

/* At level 0 nobody asks superblocks before a write: so there are none where some may say another level. */
static void zero_cannot_be_said(struct raid_rig *rig)
{
	uint8_t bytes[4096] = { 0 };
	uint64_t size;
	uint32_t layout;

	rig_create(rig, 3, &options);
	rig_wait(rig);
	size = raid_array_block(rig->array)->size;
	rig_write(rig, 0, size, 1);
	fiber_sleep(20000000000);
	/* Not the update that makes members alike, but the next one. */
	for (unsigned i = 0; i < 3; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							    .offset = 4096,
							    .length = 4096,
							    .after = 1,
							    .error = -EIO });
	CU_ASSERT_EQUAL(to_level(rig, "0"), -EIO);
	CU_ASSERT_EQUAL(level_of(rig->array, &layout), 0);
	for (unsigned i = 0; i < 3; i++)
		block_fault_clear(rig->disk[i]);
	CU_ASSERT_NOT_EQUAL(block_write(raid_array_block(rig->array), 0, bytes, sizeof(bytes), 0),
			    0);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	raid_stop(rig->array, NULL);
	rig_assemble(rig, 3, NULL);
	rig_wait(rig);
	CU_ASSERT(level_of(rig->array, &layout) == 5 || level_of(rig->array, &layout) == 0);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_write(rig, 0, 65536, 2);
	CU_ASSERT(rig_holds(rig, 0, 65536, 2));
}

static void test_zero_cannot_be_said(void)
{
	options = (struct raid_create_options){
		.name = "x", .level = 5, .size = 1 << 20, .chunk = 65536, .layout = "parity-last"
	};
	rig_run(zero_cannot_be_said);
}

UNIT_MAIN("raid takeover", UNIT(test_power), UNIT(test_refuses), UNIT(test_cannot_be_said),
	  UNIT(test_zero_cannot_be_said))
