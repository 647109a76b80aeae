/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of dm-raid's, of components: new ones, some that are filled, and superblocks that do not fit. Virtual time. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/dm_raid.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/error.h"

#define PLACES 3u
#define SIZE   (1u << 20)

struct scene {
	struct raid_component components[PLACES];
	struct raid_shape shape;
	struct raid_array *array;
	struct error error;
	void (*play)(struct scene *scene);
};

static void make(struct scene *scene)
{
	for (unsigned i = 0; i < PLACES; i++) {
		char name[] = "data0", meta[] = "meta0";

		name[4] = meta[4] = (char)('0' + i);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&scene->components[i].data, name, SIZE,
							  &scene->error),
				      0);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&scene->components[i].meta, meta, 65536,
							  &scene->error),
				      0);
	}
	scene->shape = (struct raid_shape){ .name = "x", .level = 5, .layout = 2, .chunk = 16384 };
}

static int assemble(struct scene *scene)
{
	memset(&scene->error, 0, sizeof(scene->error));
	return raid_assemble_components(&scene->array, &scene->shape, scene->components, PLACES,
					NULL, &scene->error);
}

static void write_byte(struct scene *scene, uint64_t at, uint8_t byte)
{
	uint8_t bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(raid_array_block(scene->array), at, bytes, sizeof(bytes), 0),
			0);
}

static bool has_byte(struct scene *scene, uint64_t at, uint8_t byte)
{
	uint8_t bytes[4096] = { 0 };

	return !block_read(raid_array_block(scene->array), at, bytes, sizeof(bytes)) &&
	       bytes[0] == byte && bytes[4095] == byte;
}

static void settle(struct scene *scene)
{
	CU_ASSERT_EQUAL(raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, &scene->error), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
}

static void change(struct scene *scene, unsigned place,
		   void (*fn)(struct dm_raid_superblock *superblock))
{
	struct block *meta = scene->components[place].meta;
	struct dm_raid_superblock superblock;
	uint8_t page[4096];

	CU_ASSERT_EQUAL(block_read(meta, 0, page, sizeof(page)), 0);
	CU_ASSERT_EQUAL(dm_raid_decode(page, &superblock, NULL), 0);
	fn(&superblock);
	dm_raid_encode(&superblock, page);
	CU_ASSERT_EQUAL(block_write(meta, 0, page, sizeof(page), 0), 0);
}

static void zero_meta(struct scene *scene, unsigned place)
{
	static const uint8_t zeroes[65536];

	CU_ASSERT_EQUAL(block_write(scene->components[place].meta, 0, zeroes, sizeof(zeroes), 0),
			0);
}

/* All are new: parity is made. One is new later: it is filled. One stays away, is failed by that, and is filled when told. */
static void play_new(struct scene *scene)
{
	struct raid_component missing;

	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL);
	CU_ASSERT_EQUAL(raid_grow(scene->array, &(struct raid_grow){ .chunk = 8192 },
				  &scene->error),
			-EOPNOTSUPP);
	write_byte(scene, 0, 1);
	write_byte(scene, 100000 / 4096 * 4096, 2);
	settle(scene);
	zero_meta(scene, 1);
	memset(&missing, 0, sizeof(missing));
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	missing = scene->components[0];
	scene->components[0] = (struct raid_component){ 0 };
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 1) && has_byte(scene, 100000 / 4096 * 4096, 2));
	write_byte(scene, 0, 3);
	settle(scene);
	scene->components[0] = missing;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 3));
	settle(scene);
	scene->components[0].rebuild = true;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	scene->components[0].rebuild = false;
	missing = scene->components[2];
	scene->components[2] = (struct raid_component){ 0 };
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 3) && has_byte(scene, 100000 / 4096 * 4096, 2));
	settle(scene);
	scene->components[2] = missing;
}

static void set_place(struct dm_raid_superblock *superblock)
{
	superblock->position = 0;
}

static void set_reshape(struct dm_raid_superblock *superblock)
{
	superblock->position = 1;
	superblock->flags = DM_RAID_RESHAPE_ACTIVE;
}

static void set_level(struct dm_raid_superblock *superblock)
{
	superblock->flags = 0;
	superblock->level = 6;
}

static void play_damaged(struct scene *scene)
{
	static const uint8_t other[512] = "something else";

	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	change(scene, 1, set_place);
	CU_ASSERT_EQUAL(assemble(scene), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "place 0, expected 1"));
	change(scene, 1, set_reshape);
	CU_ASSERT_EQUAL(assemble(scene), -EOPNOTSUPP);
	change(scene, 1, set_level);
	CU_ASSERT_EQUAL(assemble(scene), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "level 6, expected 5"));
	CU_ASSERT_EQUAL(block_write(scene->components[1].meta, 0, other, sizeof(other), 0), 0);
	CU_ASSERT_EQUAL(assemble(scene), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "no dm-raid superblock"));
}

static void set_first_events(struct dm_raid_superblock *superblock)
{
	superblock->events = 1;
	superblock->failed[0] = 1;
}

static void set_no_events(struct dm_raid_superblock *superblock)
{
	superblock->events = 0;
}

/* Counts as low as can be, and the first place is lost or new: what the others say of parity holds. */
static void play_low_counts(struct scene *scene)
{
	struct raid_component first = scene->components[0];

	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	write_byte(scene, 0, 1);
	settle(scene);
	change(scene, 1, set_first_events);
	change(scene, 2, set_first_events);
	scene->components[0] = (struct raid_component){ 0 };
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 1));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	change(scene, 1, set_no_events);
	change(scene, 2, set_no_events);
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 1));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	scene->components[0] = first;
	zero_meta(scene, 0);
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 1));
	settle(scene);
}

static int on_fiber(void *arg)
{
	struct scene *scene = arg;

	make(scene);
	scene->play(scene);
	for (unsigned i = 0; i < PLACES; i++) {
		block_unref(scene->components[i].data);
		block_unref(scene->components[i].meta);
	}
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

static void test_new(void)
{
	run(play_new);
}

static void test_damaged(void)
{
	run(play_damaged);
}

static void test_low_counts(void)
{
	run(play_low_counts);
}

UNIT_MAIN("raid components", UNIT(test_new), UNIT(test_damaged), UNIT(test_low_counts))
