/* SPDX-License-Identifier: BSD-2-Clause */
/* A reshape during which the power goes, again and again, while somebody writes: for the tests of reshapes. */
#ifndef TENON_TESTS_RESHAPE_SCENE_H
#define TENON_TESTS_RESHAPE_SCENE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "raid/array.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/random.h"
#include "version_90.h"
#include "worn_disk.h"

#define RESHAPE_MOST 6u

struct reshape_kind {
	struct raid_create_options options;
	unsigned count; /* members before */
	struct raid_grow grow;
	bool in_place; /* with a backup file */
	bool version_90;

	/* Of dm-raid's components, as a volume group has them; of `options` and `grow` only the shape counts, by numbers. */
	bool components;
	uint32_t layout, new_layout;
};

/* Members that there are in all; whether there are fewer in the end. */
static unsigned reshape_after(const struct reshape_kind *kind)
{
	bool to_6 = kind->grow.level && kind->grow.level[0] == '6';

	return MAX(kind->count + to_6, kind->grow.devices);
}

/* The level that it has in the end. */
static int reshape_level(const struct reshape_kind *kind)
{
	return kind->grow.level ? kind->grow.level[0] - '0' : kind->options.level;
}

static bool reshape_is_fewer(const struct reshape_kind *kind)
{
	return kind->grow.devices && kind->grow.devices < kind->count;
}

static uint64_t reshape_differs(struct raid_array *array)
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

#define SIZE  (2u << 20)
#define BLOCK 4096u
#define TOTAL 2048u

struct scene {
	const struct reshape_kind *kind;
	struct worn_power power;
	struct block *backup;
	struct block *disks[RESHAPE_MOST], *metas[RESHAPE_MOST];
	bool begun, told; /* of components: it is to begin, by the volume group; it has */
	struct raid_array *array;
	struct random random;
	struct error error;
	unsigned blocks;
	uint32_t layout; /* that it began with */
	/* Versions of blocks: what is durable, and what was written last. */
	uint32_t durable[TOTAL], latest[TOTAL], version;
	bool over;
};

/* Each sector says by itself what it is. */
static void fill_sector(uint8_t *bytes, uint32_t number, uint32_t at, uint32_t version)
{
	struct random random = { ((uint64_t)(number * 8 + at / 512) << 32 | version) + 1 };

	for (uint32_t i = 0; i < 512; i += 8)
		put_le64(bytes + i, random_next(&random));
	put_le32(bytes, version);
}

static void fill(uint8_t *bytes, uint32_t number, uint32_t version)
{
	for (uint32_t at = 0; at < BLOCK; at += 512)
		fill_sector(bytes + at, number, at, version);
}

static int write_some(struct scene *scene)
{
	uint32_t at = (uint32_t)random_below(&scene->random, scene->blocks);
	uint32_t count = 1 + (uint32_t)random_below(&scene->random, MIN(scene->blocks - at, 40u));
	uint8_t *bytes = malloc((size_t)count * BLOCK);
	uint32_t version = ++scene->version;
	int rc;

	for (uint32_t i = 0; i < count; i++) {
		fill(bytes + (size_t)i * BLOCK, at + i, version);
		scene->latest[at + i] = version;
	}
	rc = block_write(raid_array_block(scene->array), (uint64_t)at * BLOCK, bytes,
			 (uint64_t)count * BLOCK, 0);
	if (!rc)
		rc = block_flush(raid_array_block(scene->array));
	for (uint32_t i = 0; !rc && i < count; i++)
		scene->durable[at + i] = version;
	free(bytes);
	return rc;
}

static int writer(void *arg)
{
	struct scene *scene = arg;

	while (!scene->over && scene->array && !write_some(scene))
		fiber_sleep(25000000); /* a reshape yields to who is busy */
	return 0;
}

/* Sectors of a block may each have what is durable or anything that was written since. */
static void check_blocks(struct scene *scene)
{
	uint8_t found[BLOCK], expected[512];

	for (uint32_t i = 0; i < scene->blocks; i++) {
		CU_ASSERT_EQUAL_FATAL(block_read(raid_array_block(scene->array),
						 (uint64_t)i * BLOCK, found, BLOCK),
				      0);
		for (uint32_t at = 0; at < BLOCK; at += 512) {
			uint32_t version = get_le32(found + at);

			fill_sector(expected, i, at, version);
			if (version < scene->durable[i] || version > scene->latest[i] ||
			    memcmp(found + at, expected, 512) != 0) {
				printf("block %u at %u: version %u, expected %u to %u\n", i, at,
				       version, scene->durable[i], scene->latest[i]);
				CU_FAIL_FATAL("a block is damaged");
			}
		}
	}
}

/* What is there now is what counts. */
static void write_all(struct scene *scene)
{
	uint8_t *bytes = malloc(BLOCK);

	for (uint32_t i = 0; i < scene->blocks; i++) {
		scene->durable[i] = scene->latest[i] = ++scene->version;
		fill(bytes, i, scene->version);
		CU_ASSERT_EQUAL(block_write(raid_array_block(scene->array), (uint64_t)i * BLOCK,
					    bytes, BLOCK, 0),
				0);
	}
	CU_ASSERT_EQUAL(block_flush(raid_array_block(scene->array)), 0);
	free(bytes);
}

static bool has_superblock(struct block *disk)
{
	struct md_superblock sb;
	bool found;

	return md_superblock_find(disk, &sb, &found, NULL) != -ENOENT;
}

/* ---- Of dm-raid's components ---- */

#define ROOM  (64u << 10)
#define IMAGE (SIZE / 4)

/* With more members the room is before the data from the commit on that begins it: as another order of an image's extents. Before it is not
 * there. */
static int assemble_components(struct scene *scene, unsigned without, bool look)
{
	const struct reshape_kind *kind = scene->kind;
	bool more = kind->grow.devices > kind->count, fewer = reshape_is_fewer(kind);
	unsigned count = scene->begun ? reshape_after(kind) : kind->count;
	struct raid_component components[RESHAPE_MOST] = { 0 };
	struct block *slices[RESHAPE_MOST] = { NULL };
	struct raid_shape shape = {
		.name = "x",
		.level = kind->options.level,
		.layout = scene->begun ? kind->new_layout : kind->layout,
		.chunk = scene->begun && kind->grow.chunk ? kind->grow.chunk : kind->options.chunk,
		.room = more && !scene->begun ? 0 : ROOM,
		.begins = scene->begun && !scene->told,
		.begins_at = ROOM,
	};
	int rc = 0;

	for (unsigned i = 0; !rc && i < count; i++) {
		components[i].added = more && i >= kind->count && shape.begins;
		components[i].removed = fewer && scene->begun && i >= kind->grow.devices;
		if (i == without)
			continue;
		rc = more && !scene->begun
			     ? block_create_slice(&slices[i], "slice", scene->disks[i], ROOM,
						  IMAGE - ROOM, &scene->error)
			     : block_create_slice(&slices[i], "slice", scene->disks[i], 0, IMAGE,
						  &scene->error);
		components[i].data = slices[i];
		components[i].meta = scene->metas[i];
	}
	scene->array = NULL;
	if (!rc)
		rc = raid_assemble_components(&scene->array, &shape, components, count,
					      &(struct raid_assemble_options){ .read_only = look },
					      &scene->error);
	for (unsigned i = 0; i < RESHAPE_MOST; i++)
		block_unref(slices[i]);
	scene->told = scene->told || (!rc && !look && scene->begun);
	return rc;
}

static void create_components(struct scene *scene)
{
	scene->begun = scene->told = false;
	for (unsigned i = 0; i < reshape_after(scene->kind); i++) {
		CU_ASSERT_EQUAL(block_write_zeroes(scene->disks[i], 0, SIZE, 0), 0);
		CU_ASSERT_EQUAL(block_write_zeroes(scene->metas[i], 0, scene->metas[i]->size,
						   BLOCK_FUA),
				0);
	}
	CU_ASSERT_EQUAL_FATAL(assemble_components(scene, UINT32_MAX, false), 0);
}

/* ---- All ---- */

/* Those that were added to a level 0 only later may have none yet. */
static unsigned members_of(const struct scene *scene, unsigned without, struct block **disks)
{
	unsigned count = 0;

	for (unsigned i = 0; i < reshape_after(scene->kind); i++)
		if (i != without && (scene->kind->options.level || has_superblock(scene->disks[i])))
			disks[count++] = scene->disks[i];
	return count;
}

static int try_to_assemble(struct scene *scene)
{
	struct block *disks[RESHAPE_MOST];
	unsigned count = members_of(scene, UINT32_MAX, disks);

	if (scene->kind->components)
		return assemble_components(scene, UINT32_MAX, false);
	scene->array = NULL;
	return raid_assemble(&scene->array, disks, count,
			     &(struct raid_assemble_options){ .backups = &scene->backup,
							      .backup_count = 1 },
			     &scene->error);
}

/* As the command does it. */
static int begin_reshape(struct scene *scene)
{
	struct raid_grow grow = scene->kind->grow;
	int rc;

	if (scene->kind->components) {
		raid_stop(scene->array, NULL);
		scene->begun = true;
		return assemble_components(scene, UINT32_MAX, false);
	}
	grow.backup = scene->kind->in_place ? scene->backup : NULL;
	if (scene->kind->options.level)
		return raid_grow(scene->array, &grow, &scene->error);
	grow.adding = reshape_after(scene->kind) - scene->kind->count;
	rc = raid_grow(scene->array, &grow, &scene->error);
	for (unsigned i = scene->kind->count; !rc && i < reshape_after(scene->kind); i++)
		rc = raid_add(scene->array, scene->disks[i], &scene->error);
	return !rc && grow.adding ? raid_grow(scene->array, &scene->kind->grow, &scene->error) : rc;
}

static void assemble(struct scene *scene, unsigned without, bool look)
{
	const struct raid_assemble_options options = { .read_only = look,
						       .backups = &scene->backup,
						       .backup_count = 1 };
	struct block *disks[RESHAPE_MOST];
	unsigned count = members_of(scene, without, disks);
	int rc = scene->kind->components
			 ? assemble_components(scene, without, look)
			 : raid_assemble(&scene->array, disks, count, &options, &scene->error);

	if (rc)
		printf("assemble: %s\n", scene->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void create(struct scene *scene)
{
	const struct reshape_kind *kind = scene->kind;
	struct raid_create_options options = kind->options;
	struct raid_new_member members[RESHAPE_MOST] = { 0 };
	unsigned count = reshape_after(kind);

	if (kind->components) {
		create_components(scene);
		return;
	}
	options.name = "x";
	CU_ASSERT_EQUAL(block_write_zeroes(scene->backup, 0, 4096, 0), 0);
	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(block_write_zeroes(scene->disks[i], 0, SIZE, 0), 0);
		members[i].block = scene->disks[i];
		members[i].spare = i >= kind->count;
	}
	if (kind->version_90) {
		put_version_90(scene->disks, count, options.level, options.chunk, SIZE - 131072);
		assemble(scene, UINT32_MAX, false);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(raid_create(&scene->array, members,
					  options.level ? count : kind->count, &options,
					  &scene->error),
			      0);
}

/* The power goes, again and again, until the reshape is over. Returns how often. */
static unsigned reshape_once(struct scene *scene, uint64_t cut)
{
	struct raid_create_options options = scene->kind->options;
	struct fiber *fiber;
	unsigned cuts = 0, parities = options.level == 6 ? 2 : options.level % 10 ? 1 : 0;
	unsigned kept;
	int rc;

	create(scene);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL), 0);
	scene->blocks = (unsigned)(raid_array_block(scene->array)->size / BLOCK);
	CU_ASSERT_FATAL(scene->blocks <= TOTAL);
	scene->layout = scene->array->now.layout;
	write_all(scene);
	kept = (unsigned)(raid_array_block(scene->array)->size / (scene->kind->count - parities) *
			  (scene->kind->grow.devices - parities)) -
	       131072 * scene->kind->count;
	worn_power_cut_after(&scene->power, cut);
	rc = begin_reshape(scene);
	/* What is beyond may be lost. */
	if (reshape_is_fewer(scene->kind))
		scene->blocks = MIN(scene->blocks, kept / BLOCK);
	for (;;) {
		scene->over = false;
		fiber = fiber_spawn(writer, scene);
		if (!rc || cuts)
			raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL);
		scene->over = true;
		fiber_join(fiber);
		raid_stop(scene->array, NULL);
		if (!scene->power.off)
			break;
		cuts++;
		worn_power_cycle(&scene->power);
		assemble(scene, UINT32_MAX, true);
		check_blocks(scene);
		raid_stop(scene->array, NULL);
		worn_power_cut_after(&scene->power,
				     cut + random_below(&scene->random, 60) + 20 * cuts);
		while (try_to_assemble(scene))
			worn_power_cycle(&scene->power);
	}
	worn_power_cycle(&scene->power);
	assemble(scene, UINT32_MAX, false);
	check_blocks(scene);
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL), 0);
	check_blocks(scene);
	/* Also where it had another on its way, and nobody asked again; unless all stopped before it began. */
	CU_ASSERT(scene->array->now.level == reshape_level(scene->kind) ||
		  (scene->array->now.level == options.level &&
		   scene->array->now.layout == scene->layout));
	if (!options.level) {
		raid_stop(scene->array, NULL);
		return cuts;
	}
	/* Whoever was new, too: the power took no member. */
	CU_ASSERT_EQUAL(raid_array_working(scene->array), scene->array->now.disks);
	CU_ASSERT_EQUAL(reshape_differs(scene->array), 0);
	raid_stop(scene->array, NULL);
	assemble(scene, (unsigned)random_below(&scene->random, reshape_after(scene->kind)), true);
	check_blocks(scene);
	raid_stop(scene->array, NULL);
	return cuts;
}

static int play(void *arg)
{
	struct scene *scene = arg;
	const struct reshape_kind *kind = scene->kind;
	unsigned step = getenv("TORTURE") ? 1 : 37, cuts = 0;

	for (unsigned i = 0; i < RESHAPE_MOST; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		scene->disks[i] = worn_disk_create(&scene->power, name, SIZE);
		memcpy(name, "meta", 4);
		scene->metas[i] = worn_disk_create(&scene->power, name, 64u << 10);
	}
	scene->backup = worn_disk_create(&scene->power, "backup", 2 * SIZE);
	for (uint64_t cut = 1; cut < 150; cut += step)
		cuts += reshape_once(scene, cut);
	/* Between the two updates that begin it. */
	if (kind->options.level == 10 && kind->grow.devices > kind->count)
		cuts += reshape_once(scene, 28);
	CU_ASSERT(cuts > 3);
	for (unsigned i = 0; i < RESHAPE_MOST; i++) {
		block_unref(scene->disks[i]);
		block_unref(scene->metas[i]);
	}
	block_unref(scene->backup);
	return 0;
}

/* Cuts the power at different places, on a worker of its own, and checks that nothing is lost that was flushed; at each one with TORTURE. */
static void reshape_play(const struct reshape_kind *kind, unsigned seed)
{
	struct worker_options worker_options = { .virtual_clock = true, .seed = 3 };
	struct scene *scene = calloc(1, sizeof(*scene));
	struct worker *worker;

	scene->kind = kind;
	scene->random = (struct random){ seed + 1 };
	scene->power.random = (struct random){ seed + 100 };
	/* Superblocks 0.90 have one checksum for eight sectors, and no copy. */
	scene->power.whole_pages = kind->version_90;
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &worker_options, &scene->error), 0);
	worker_run(worker, play, scene);
	worker_destroy(worker);
	free(scene);
}

#endif
