/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One member for another while both are there: redundancy is there all the time, also when either fails, or the power does.
 * Virtual time. TORTURE=1 cuts the power more often; SEED=n elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"
#include "worn_disk.h"

#define COUNT 4u /* members of the array; the next disk is the new one */
#define OLD   1u
#define NEW   4u

static struct raid_create_options options;

static bool is_degraded(struct raid_array *array)
{
	struct raid_status status;
	bool degraded;

	raid_status(array, &status);
	degraded = status.degraded;
	raid_status_free(&status);
	return degraded;
}

static uint64_t differs(struct raid_rig *rig)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	bytes = status.progress.mismatches + status.progress.skipped;
	raid_status_free(&status);
	return bytes;
}

static uint64_t size_of(struct raid_rig *rig)
{
	return raid_array_block(rig->array)->size;
}

static uint64_t recovered(struct raid_rig *rig)
{
	struct raid_status status;
	uint64_t bytes = 0;

	raid_status(rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		if (!strcmp(status.members[i].device, "disk4"))
			bytes = status.members[i].recovered;
	raid_status_free(&status);
	return bytes;
}

/* An array with data, in the middle of a replacement. */
static void begin(struct raid_rig *rig)
{
	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	rig_write(rig, 0, size_of(rig), 1);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_replace_with(rig->array, "disk1", rig->disk[NEW], false, &rig->error),
			0);
	fiber_sleep(1200000000);
	CU_ASSERT_EQUAL(rig_state(rig, NEW), RAID_MEMBER_REBUILDING);
	CU_ASSERT_FALSE(is_degraded(rig->array));
	CU_ASSERT(recovered(rig) > 0);
}

static void each_kind(void (*body)(struct raid_rig *rig))
{
	static const struct raid_create_options kinds[] = {
		{ .level = 1 },
		{ .level = 1, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 65536 },
		{ .level = 4 },
		{ .level = 5 },
		{ .level = 5, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 65536 },
		{ .level = 5, .bitmap = RAID_BITMAP_PPL },
		{ .level = 6 },
		{ .level = 10 },
		{ .level = 10, .layout = "f2", .bitmap = RAID_BITMAP_INTERNAL },
		{ .level = 10, .layout = "o2" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		options = kinds[i];
		options.name = "x";
		if (options.level != 1)
			options.chunk = 65536;
		rig_run(body);
	}
}

/* Writes go to both on either side of the position; then any one can be lost. */
static void replaces(struct raid_rig *rig)
{
	struct block *old;

	begin(rig);
	rig_write(rig, 0, size_of(rig) / 2 + 4096, 2);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, NEW), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, OLD), RAID_MEMBER_FAULTY);
	CU_ASSERT_FALSE(is_degraded(rig->array));
	CU_ASSERT(rig_equal(rig, OLD, NEW));
	CU_ASSERT_EQUAL(differs(rig), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	rig_stop(rig);
	/* Without another one, too. */
	old = rig->disk[OLD];
	rig->disk[OLD] = rig->disk[NEW];
	CU_ASSERT_EQUAL_FATAL(
		raid_assemble(&rig->array, rig->disk + 1, COUNT - 1, NULL, &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, size_of(rig) / 2 + 4096, 2));
	CU_ASSERT(rig_holds(rig, size_of(rig) / 2 + 4096, size_of(rig) / 2 - 4096, 1));
	rig_stop(rig);
	rig->disk[OLD] = old;
}

static void test_replaces(void)
{
	each_kind(replaces);
}

/* It is stopped, and goes on where it was; the same with what a check has not seen. */
static void goes_on(struct raid_rig *rig)
{
	uint64_t before;

	begin(rig);
	before = recovered(rig);
	rig_stop(rig);
	rig_assemble(rig, NEW + 1, &(struct raid_assemble_options){ .no_resync = true });
	CU_ASSERT(recovered(rig) >= before);
	CU_ASSERT_FALSE(is_degraded(rig->array));
	CU_ASSERT(rig_holds(rig, 0, size_of(rig), 1));
	rig_stop(rig);
	rig_assemble(rig, NEW + 1, NULL);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, NEW), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(rig_state(rig, OLD), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_equal(rig, OLD, NEW));
	CU_ASSERT_EQUAL(differs(rig), 0);
}

static void test_goes_on(void)
{
	each_kind(goes_on);
}

/* The member fails: the new one has its place, and what it has already. */
static void member_fails(struct raid_rig *rig)
{
	begin(rig);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT(is_degraded(rig->array));
	CU_ASSERT(rig_holds(rig, 0, size_of(rig), 1));
	rig_write(rig, 0, size_of(rig) / 2, 3);
	CU_ASSERT(recovered(rig) > 0);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, NEW), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_FALSE(is_degraded(rig->array));
	CU_ASSERT(rig_holds(rig, 0, size_of(rig) / 2, 3));
	CU_ASSERT_EQUAL(differs(rig), 0);
}

static void test_member_fails(void)
{
	each_kind(member_fails);
}

/* The new one fails, by itself: nothing has happened. */
static void replacement_fails(struct raid_rig *rig)
{
	begin(rig);
	rig_break(rig, NEW, BLOCK_FAULT_WRITE | BLOCK_FAULT_WRITE_ZEROES, 0, 0);
	rig_write(rig, 0, size_of(rig), 3);
	CU_ASSERT_EQUAL(rig_state(rig, NEW), RAID_MEMBER_FAULTY);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, OLD), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_FALSE(is_degraded(rig->array));
	CU_ASSERT(rig_holds(rig, 0, size_of(rig), 3));
	CU_ASSERT_EQUAL(differs(rig), 0);
	block_fault_clear(rig->disk[NEW]);
}

static void test_replacement_fails(void)
{
	each_kind(replacement_fails);
}

/* What the member cannot give comes from the others. */
static void reads_others(struct raid_rig *rig)
{
	struct raid_info info;

	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	rig_write(rig, 0, size_of(rig), 1);
	CU_ASSERT_EQUAL(raid_probe(rig->memory[OLD], &info, NULL), 1);
	rig_break(rig, OLD, BLOCK_FAULT_READ | BLOCK_FAULT_WRITE | BLOCK_FAULT_WRITE_ZEROES,
		  info.data_offset + 8192, 4096);
	CU_ASSERT_EQUAL(raid_replace_with(rig->array, "disk1", rig->disk[NEW], false, &rig->error),
			0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, NEW), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_FALSE(is_degraded(rig->array));
	CU_ASSERT(rig_holds(rig, 0, size_of(rig), 1));
	CU_ASSERT_EQUAL(differs(rig), 0);
	block_fault_clear(rig->disk[OLD]);
}

static void test_reads_others(void)
{
	each_kind(reads_others);
}

static void refuses(struct raid_rig *rig)
{
	rig_create(rig, COUNT, &options);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_replace(rig->array, "disk9", NULL, &rig->error), -ENOENT);
	CU_ASSERT_EQUAL(raid_replace(rig->array, "disk1", NULL, &rig->error), -ENODEV);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_replace_with(rig->array, "disk1", rig->disk[NEW], false, &rig->error),
			-EBUSY);
	CU_ASSERT_EQUAL(raid_replace(rig->array, "disk0", NULL, &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(rig_writes(rig, NEW), 0);
}

static void test_refuses(void)
{
	options = (struct raid_create_options){ .name = "x", .level = 5, .chunk = 65536 };
	rig_run(refuses);
}

/* ---- Power ---- */

#define SIZE (3u << 20)

struct scene {
	struct worn_power power;
	struct block *disks[COUNT + 2];
	struct raid_array *array;
	struct random random;
	struct error error;
	uint64_t size;
	uint8_t *durable;
	unsigned finished, resumed;
};

static void assemble(struct scene *scene, struct block *const *disks, unsigned count)
{
	const struct raid_assemble_options assemble_options = { .no_resync = true };
	int rc = raid_assemble(&scene->array, disks, count, &assemble_options, &scene->error);

	if (rc)
		printf("assemble: %s\n", scene->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void check_bytes(struct scene *scene)
{
	uint8_t *bytes = malloc(scene->size);

	CU_ASSERT_EQUAL_FATAL(block_read(raid_array_block(scene->array), 0, bytes, scene->size), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, scene->durable, scene->size), 0);
	free(bytes);
}

static unsigned find(struct raid_array *array, enum raid_member_state state)
{
	struct raid_status status;
	unsigned found = UINT32_MAX;

	raid_status(array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		if (status.members[i].state == state)
			found = (unsigned)(status.members[i].device[4] - '0');
	raid_status_free(&status);
	return found;
}

/* Whoever is in sync is replaced by whoever is not a member, and the power goes at some moment of it. */
static void replace_once(struct scene *scene)
{
	unsigned spare = find(scene->array, RAID_MEMBER_SPARE), old;
	char name[] = "disk0";
	int rc = 0;

	if (find(scene->array, RAID_MEMBER_REBUILDING) == UINT32_MAX) {
		do {
			old = (unsigned)random_below(&scene->random, COUNT + 1);
		} while (old == spare);
		name[4] = (char)('0' + old);
		rc = raid_replace(scene->array, name, NULL, &scene->error);
	} else {
		scene->resumed++;
	}
	raid_rebuild_freeze(scene->array, false);
	if (!rc)
		rc = raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error);
	if (rc || scene->power.off)
		return;
	scene->finished++;
	old = find(scene->array, RAID_MEMBER_FAULTY);
	CU_ASSERT_NOT_EQUAL_FATAL(old, UINT32_MAX);
	name[4] = (char)('0' + old);
	rc = raid_remove(scene->array, name, &scene->error);
	if (!rc)
		rc = raid_add(scene->array, scene->disks[old], &scene->error);
	CU_ASSERT(!rc || scene->power.off);
}

/* Without any one that is not the new one, and without the power's end having changed a byte. */
static void without_one(struct scene *scene)
{
	struct block *disks[COUNT + 1];
	unsigned left_out = (unsigned)random_below(&scene->random, COUNT + 1), count = 0;
	const struct raid_assemble_options look = { .read_only = true };

	for (unsigned i = 0; i <= COUNT; i++)
		if (i != left_out)
			disks[count++] = scene->disks[i];
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&scene->array, disks, count, &look, &scene->error), 0);
	check_bytes(scene);
	raid_stop(scene->array, NULL);
}

static void bring_back_lost(struct scene *scene)
{
	struct raid_status status;
	unsigned lost = UINT32_MAX;

	raid_status(scene->array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		if (status.members[i].state == RAID_MEMBER_STALE)
			lost = (unsigned)(status.members[i].device[4] - '0');
	raid_status_free(&status);
	if (lost != UINT32_MAX)
		CU_ASSERT_EQUAL(raid_add_over(scene->array, scene->disks[lost], &scene->error), 0);
}

static int play(void *arg)
{
	struct scene *scene = arg;
	struct raid_new_member members[COUNT + 1] = { 0 };
	unsigned rounds = getenv("TORTURE") ? 1000 : 40;

	for (unsigned i = 0; i <= COUNT; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		scene->disks[i] = worn_disk_create(&scene->power, name, SIZE);
		members[i].block = scene->disks[i];
		members[i].spare = i == COUNT;
	}
	options.assume_clean = options.no_resync = true;
	CU_ASSERT_EQUAL_FATAL(
		raid_create(&scene->array, members, COUNT + 1, &options, &scene->error), 0);
	scene->size = raid_array_block(scene->array)->size;
	scene->durable = malloc(scene->size);
	random_fill(&scene->random, scene->durable, scene->size);
	CU_ASSERT_EQUAL(
		block_write(raid_array_block(scene->array), 0, scene->durable, scene->size, 0), 0);
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	fiber_sleep(10000000000);
	for (unsigned round = 0; round < rounds; round++) {
		worn_power_cut_after(&scene->power, 1 + random_below(&scene->random, 120));
		replace_once(scene);
		raid_stop(scene->array, NULL);
		worn_power_cycle(&scene->power);
		without_one(scene);
		assemble(scene, scene->disks, COUNT + 1);
		CU_ASSERT_FALSE(is_degraded(scene->array));
		check_bytes(scene);
		bring_back_lost(scene);
	}
	/* Of these seeds; another one may have few. */
	CU_ASSERT(getenv("SEED") || (scene->finished > 2 && scene->resumed > 2));
	raid_stop(scene->array, NULL);
	for (unsigned i = 0; i <= COUNT; i++)
		block_unref(scene->disks[i]);
	free(scene->durable);
	return 0;
}

static void test_power(void)
{
	static const struct raid_create_options kinds[] = {
		{ .level = 1 },
		{ .level = 5 },
		{ .level = 6, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 65536 },
		{ .level = 10 },
	};
	struct worker_options worker_options = { .virtual_clock = true, .seed = 3 };
	const char *first = getenv("SEED");
	uint64_t seed = first ? strtoull(first, NULL, 10) * 1000 : 0;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct scene *scene = calloc(1, sizeof(*scene));
		struct worker *worker;

		options = kinds[i];
		options.name = "x";
		if (options.level != 1)
			options.chunk = 65536;
		scene->random = (struct random){ seed + i + 1 };
		scene->power.random = (struct random){ seed + i + 100 };
		CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &worker_options, &scene->error), 0);
		worker_run(worker, play, scene);
		worker_destroy(worker);
		free(scene);
	}
}

/* A spare goes to another array only while its own has no use for it; and comes back. */
static void is_taken(struct raid_rig *rig)
{
	static const struct raid_create_options own = {
		.name = "x", .level = 1, .assume_clean = true, .no_resync = true
	};
	struct block *block = NULL;

	rig_create(rig, 2, &own);
	CU_ASSERT_EQUAL(raid_take_spare(rig->array, "disk2", &block, &rig->error), -ENOENT);
	CU_ASSERT_EQUAL(raid_take_spare(rig->array, "disk1", &block, &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	CU_ASSERT_EQUAL(raid_take_spare(rig->array, "disk2", &block, &rig->error), 0);
	CU_ASSERT_PTR_EQUAL(block, rig->disk[2]);
	CU_ASSERT_EQUAL(raid_add_over(rig->array, block, &rig->error), 0);
	block_unref(block);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_SPARE);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_take_spare(rig->array, "disk2", &block, &rig->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "needs its spares itself"));
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_SPARE);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_take_spare(rig->array, "disk2", &block, &rig->error), -EBUSY);
}

static void test_taken(void)
{
	rig_run(is_taken);
}

UNIT_MAIN("raid replace", UNIT(test_replaces), UNIT(test_goes_on), UNIT(test_member_fails),
	  UNIT(test_replacement_fails), UNIT(test_reads_others), UNIT(test_refuses),
	  UNIT(test_taken), UNIT(test_power))
