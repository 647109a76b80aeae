/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of all kinds of metadata, as they were stopped, or as they were in the middle: what mutation_test.c changes words of. */
#ifndef TENON_TESTS_MUTATION_IMAGES_H
#define TENON_TESTS_MUTATION_IMAGES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/error.h"
#include "util/standard.h"
#include "version_90.h"

#define MOST    6u
#define SIZE    (4608u << 10)
#define USED    (256u << 10) /* of each member */
#define MOVED   (3u << 20)   /* the same where it is reshaped, which moves 2 MiB at a time */
#define META    65536u       /* of dm-raid, beside each member */
#define ROOM    65536u       /* and its room for a reshape */
#define SECONDS 1000000000ull

struct kind {
	const char *name;
	struct raid_create_options options;
	unsigned count; /* members before a reshape, and the journal's device */
	bool version_90;
	bool dm;      /* of dm-raid's components */
	bool crashed; /* as it was in the middle */
	struct raid_grow grow;
};

static const struct kind kinds[] = {
	{ "1.2, level 5, bitmap",
	  { .level = 5, .chunk = 16384, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 16384 },
	  3 },
	{ "1.0, level 6", { .level = 6, .chunk = 16384, .metadata = RAID_METADATA_1_0 }, 4 },
	{ "1.2, level 10, bitmap, crashed",
	  { .level = 10, .chunk = 16384, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 16384 },
	  3,
	  .crashed = true },
	{ "0.90, level 5", { .level = 5 }, 3, .version_90 = true },
	{ "partial parity log",
	  { .level = 5, .chunk = 16384, .bitmap = RAID_BITMAP_PPL },
	  3,
	  .crashed = true },
	{ "journal",
	  { .level = 6, .chunk = 16384, .bitmap = RAID_BITMAP_JOURNAL },
	  5,
	  .crashed = true },
	{ "more devices",
	  { .level = 5, .chunk = 16384 },
	  3,
	  .crashed = true,
	  .grow = { .devices = 4 } },
	{ "another chunk",
	  { .level = 6, .chunk = 16384, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 16384 },
	  4,
	  .crashed = true,
	  .grow = { .chunk = 32768 } },
	{ "fewer devices",
	  { .level = 5, .chunk = 16384 },
	  4,
	  .crashed = true,
	  .grow = { .devices = 3, .array_size = 1 } },
	{ "level 10, more devices",
	  { .level = 10, .chunk = 16384 },
	  3,
	  .crashed = true,
	  .grow = { .devices = 4 } },
	{ "level 10, another chunk and layout",
	  { .level = 10, .chunk = 16384, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 16384 },
	  4,
	  .crashed = true,
	  .grow = { .chunk = 32768, .layout = "o2" } },
	{ "level 0, more devices",
	  { .level = 0, .chunk = 16384 },
	  2,
	  .crashed = true,
	  .grow = { .devices = 3 } },
	{ "0.90, more devices",
	  { .level = 5, .chunk = 16384 },
	  3,
	  .version_90 = true,
	  .crashed = true,
	  .grow = { .devices = 4 } },
	{ "dm-raid, level 5", { .level = 5, .chunk = 16384 }, 3, .dm = true },
	{ "dm-raid, another chunk",
	  { .level = 5, .chunk = 16384 },
	  3,
	  .dm = true,
	  .crashed = true,
	  .grow = { .chunk = 32768 } },
	{ "level 6 to 5",
	  { .level = 6, .chunk = 16384 },
	  4,
	  .crashed = true,
	  .grow = { .level = "5" } },
};

static bool is_moved(const struct kind *kind)
{
	return kind->grow.devices || kind->grow.chunk || kind->grow.level;
}

struct images {
	const struct kind *kind;
	unsigned count; /* of devices */
	uint8_t *bytes[MOST];
	struct block *base[MOST]; /* nobody writes to them once they are made */
	struct md_superblock sb[MOST];
	uint8_t meta_bytes[MOST][META];
	struct block *meta[MOST]; /* of dm-raid: likewise */
	bool begun;               /* of dm-raid: a reshape */
	uint8_t *data;
	uint64_t data_size;
};

/* Of dm-raid's components. */
static int assemble_dm(const struct images *images, struct block *const *blocks,
		       struct block *const *metas, unsigned without, bool begins,
		       const struct raid_assemble_options *options, struct raid_array **array,
		       struct error *error)
{
	const struct kind *kind = images->kind;
	struct raid_shape shape = { .name = "x",
				    .level = kind->options.level,
				    .layout = 2,
				    .chunk = images->begun ? kind->grow.chunk : kind->options.chunk,
				    .room = is_moved(kind) ? ROOM : 0,
				    .in_sync = true,
				    .begins = begins,
				    .begins_at = ROOM };
	struct raid_component components[MOST] = { 0 };

	for (unsigned i = 0; i < images->count; i++)
		if (i != without)
			components[i] =
				(struct raid_component){ .data = blocks[i], .meta = metas[i] };
	return raid_assemble_components(array, &shape, components, images->count, options, error);
}

static int create(struct images *images, struct raid_array **array, struct error *error)
{
	const struct kind *kind = images->kind;
	struct raid_create_options options = kind->options;
	struct raid_new_member members[MOST] = { 0 };

	if (kind->dm)
		return assemble_dm(images, images->base, images->meta, MOST, false,
				   &(struct raid_assemble_options){ 0 }, array, error);
	if (kind->version_90) {
		put_version_90(images->base, kind->count, 5, 16384, is_moved(kind) ? MOVED : USED);
		return raid_assemble(array, images->base, kind->count,
				     &(struct raid_assemble_options){ 0 }, error);
	}
	options.name = "x";
	options.uuid = (const uint8_t *)"sixteen bytes of";
	options.now = 1700000000;
	options.size = !options.level ? 0 : is_moved(kind) ? MOVED : USED;
	options.assume_clean = true;
	for (unsigned i = 0; i < kind->count; i++) {
		members[i].block = images->base[i];
		members[i].journal = options.bitmap == RAID_BITMAP_JOURNAL && i + 1 == kind->count;
	}
	return raid_create(array, members, kind->count, &options, error);
}

static uint8_t byte_of(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 512 * 13 + at / 65536);
}

static void begin_dm(struct images *images, struct raid_array **array, struct error *error)
{
	CU_ASSERT_EQUAL_FATAL(raid_stop(*array, error), 0);
	images->begun = true;
	CU_ASSERT_EQUAL_FATAL(assemble_dm(images, images->base, images->meta, MOST, true,
					  &(struct raid_assemble_options){ 0 }, array, error),
			      0);
	raid_rebuild_set_rate(*array, 1 << 20);
}

static void begin_md(struct images *images, struct raid_array *array, struct error *error)
{
	if (raid_grow_adds_later(array)) {
		struct raid_grow first = images->kind->grow;

		first.adding = images->count - images->kind->count;
		CU_ASSERT_EQUAL_FATAL(raid_grow(array, &first, error), 0);
	}
	for (unsigned i = images->kind->count; i < images->count; i++)
		CU_ASSERT_EQUAL_FATAL(raid_add(array, images->base[i], error), 0);
	raid_rebuild_set_rate(array, 1 << 20);
	if (raid_grow(array, &images->kind->grow, error))
		printf("%s: %s\n", images->kind->name, error->text);
}

static void begin_reshape(struct images *images, struct raid_array **array, struct error *error)
{
	struct raid_status status;
	uint64_t at, enough;
	bool runs;

	if (images->kind->dm)
		begin_dm(images, array, error);
	else
		begin_md(images, *array, error);
	do {
		fiber_sleep(SECONDS / 100);
		raid_status(*array, &status);
		at = status.progress.position;
		enough = status.progress.total / 3;
		runs = status.progress.operation == RAID_RESHAPE;
		raid_status_free(&status);
		CU_ASSERT_FATAL(runs);
	} while (images->kind->grow.array_size ? at > 2 * enough : at < enough);
}

/* Its data, then a write to a part of a stripe, flushed: that is in the log. */
static void fill(struct images *images, struct raid_array **array, struct error *error)
{
	struct block *block = raid_array_block(*array);

	images->data_size = images->kind->grow.array_size ? block->size / 3 * 2 : block->size;
	images->data = malloc(block->size);
	for (uint64_t i = 0; i < block->size; i++)
		images->data[i] = byte_of(i);
	CU_ASSERT_EQUAL_FATAL(block_write(block, 0, images->data, block->size, 0), 0);
	memset(images->data + 20480, 0x5a, 8192);
	CU_ASSERT_EQUAL_FATAL(block_flush(block), 0);
	if (is_moved(images->kind))
		begin_reshape(images, array, error);
	block = raid_array_block(*array);
	CU_ASSERT_EQUAL_FATAL(block_write(block, 20480, images->data + 20480, 8192, 0), 0);
	CU_ASSERT_EQUAL_FATAL(block_flush(block), 0);
}

static void keep(struct images *images)
{
	for (unsigned i = 0; i < images->count; i++) {
		CU_ASSERT_EQUAL_FATAL(block_read(images->base[i], 0, images->bytes[i], SIZE), 0);
		CU_ASSERT_EQUAL_FATAL(block_read(images->meta[i], 0, images->meta_bytes[i], META),
				      0);
	}
}

static void make(struct images *images)
{
	struct raid_array *array;
	struct error error = { 0 };
	bool found;

	images->count = MAX(images->kind->count, images->kind->grow.devices);
	for (unsigned i = 0; i < images->count; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		images->bytes[i] = malloc(SIZE);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&images->base[i], name, SIZE, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&images->meta[i], "meta", META, NULL), 0);
	}
	if (create(images, &array, &error)) {
		printf("%s: %s\n", images->kind->name, error.text);
		CU_FAIL_FATAL("it is not created");
	}
	fill(images, &array, &error);
	if (images->kind->crashed)
		keep(images);
	CU_ASSERT_EQUAL(raid_stop(array, &error), 0);
	if (!images->kind->crashed)
		keep(images);
	for (unsigned i = 0; i < images->count; i++) {
		CU_ASSERT_EQUAL(block_write(images->base[i], 0, images->bytes[i], SIZE, 0), 0);
		CU_ASSERT_EQUAL(block_write(images->meta[i], 0, images->meta_bytes[i], META, 0), 0);
		CU_ASSERT(images->kind->dm ||
			  !md_superblock_find(images->base[i], &images->sb[i], &found, NULL));
	}
}

static void unmake(struct images *images)
{
	for (unsigned i = 0; i < images->count; i++) {
		block_unref(images->base[i]);
		block_unref(images->meta[i]);
		free(images->bytes[i]);
	}
	free(images->data);
}

#endif
