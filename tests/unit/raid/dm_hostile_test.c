/* SPDX-License-Identifier: BSD-2-Clause */
/* dm-raid's superblocks in the middle of a reshape, with fields that nobody would have written: refused, or the array is read. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/dm_raid.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define PLACES 4u
#define ROOM   65536u
#define SIZE   (1u << 20)

struct scene {
	struct raid_component components[PLACES];
	struct raid_shape shape;
	struct dm_raid_superblock sound;
	struct raid_array *array;
	struct error error;
	struct random random;
};

static void put(struct scene *scene, unsigned place, const struct dm_raid_superblock *superblock)
{
	uint8_t page[4096] = { 0 };

	dm_raid_encode(superblock, page);
	CU_ASSERT_EQUAL(block_write(scene->components[place].meta, 0, page, sizeof(page), 0), 0);
}

static void put_all(struct scene *scene)
{
	for (unsigned i = 0; i < PLACES; i++) {
		scene->sound.position = i;
		put(scene, i, &scene->sound);
	}
}

static int assemble(struct scene *scene, bool look)
{
	memset(&scene->error, 0, sizeof(scene->error));
	return raid_assemble_components(&scene->array, &scene->shape, scene->components, PLACES,
					&(struct raid_assemble_options){ .read_only = look },
					&scene->error);
}

/* From three members to four, a third of the way. */
static void make(struct scene *scene)
{
	for (unsigned i = 0; i < PLACES; i++) {
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&scene->components[i].data, "data", SIZE,
							  &scene->error),
				      0);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&scene->components[i].meta, "meta", 65536,
							  &scene->error),
				      0);
	}
	scene->shape = (struct raid_shape){
		.name = "x", .level = 5, .layout = 2, .chunk = 16384, .room = ROOM
	};
	scene->sound = (struct dm_raid_superblock){
		.compatible = DM_RAID_V190,
		.devices = PLACES,
		.events = 10,
		.recovered = DM_RAID_DONE,
		.resynced = DM_RAID_DONE,
		.level = 5,
		.layout = 2,
		.stripe_sectors = 32,
		.flags = DM_RAID_RESHAPE_ACTIVE,
		.reshape_position = 960,
		.new_level = 5,
		.new_layout = 2,
		.new_stripe_sectors = 32,
		.delta_disks = 1,
		.array_sectors = 3840,
		.data_offset = ROOM / 512,
		.sectors = (SIZE - ROOM) / 512,
	};
}

static uint64_t odd_number(struct scene *scene)
{
	static const uint64_t odd[] = { 0,
					1,
					2,
					3,
					4,
					5,
					6,
					8,
					31,
					127,
					128,
					252,
					253,
					254,
					0x102,
					0x10102,
					1920,
					1919,
					3840,
					INT32_MAX,
					1ull << 31,
					UINT32_MAX,
					1ull << 62,
					INT64_MAX,
					1ull << 63,
					UINT64_MAX,
					UINT64_MAX - 1,
					UINT32_MAX - 3,
					UINT64_MAX / 512 };

	return odd[random_below(&scene->random, ARRAY_SIZE(odd))];
}

static void mutate(struct scene *scene, struct dm_raid_superblock *sb)
{
	uint64_t odd = odd_number(scene);

	switch (random_below(&scene->random, 18)) {
	case 0:
		sb->compatible = odd & 1;
		break;
	case 1:
		sb->devices = (uint32_t)odd;
		break;
	case 2:
		sb->position = (uint32_t)odd;
		break;
	case 3:
		sb->events = random_below(&scene->random, 3) ? 9 + odd % 3 : odd;
		break;
	case 4:
		sb->failed[0] = odd;
		break;
	case 5:
		sb->recovered = odd;
		break;
	case 6:
		sb->resynced = odd;
		break;
	case 7:
		sb->level = (int32_t)odd;
		break;
	case 8:
		sb->layout = (uint32_t)odd;
		break;
	case 9:
		sb->stripe_sectors = (uint32_t)odd;
		break;
	case 10:
		sb->flags = odd & 3;
		break;
	case 11:
		sb->reshape_position = odd;
		break;
	case 12:
		sb->new_stripe_sectors = (uint32_t)odd;
		break;
	case 13:
		sb->delta_disks = (int32_t)odd;
		break;
	case 14:
		sb->array_sectors = odd;
		break;
	case 15:
		sb->data_offset = odd;
		break;
	case 16:
		sb->new_data_offset = odd;
		break;
	default:
		sb->sectors = odd;
		break;
	}
}

/* What the volume group says may be odd, too. */
static void mutate_group(struct scene *scene)
{
	for (unsigned i = 0; i < PLACES; i++) {
		scene->components[i].removed = !random_below(&scene->random, 8);
		scene->components[i].added = !random_below(&scene->random, 8);
		scene->components[i].rebuild = !random_below(&scene->random, 8);
	}
	scene->shape.begins = !random_below(&scene->random, 2);
	scene->shape.begins_at = random_below(&scene->random, 2) ? ROOM : odd_number(scene);
}

static void read_all(struct scene *scene)
{
	struct block *block = raid_array_block(scene->array);
	uint8_t bytes[4096];

	CU_ASSERT(block->size <= (uint64_t)PLACES * SIZE);
	for (uint64_t at = 0; at + sizeof(bytes) <= block->size; at += sizeof(bytes))
		block_read(block, at, bytes, sizeof(bytes));
}

static void try_one(struct scene *scene, unsigned *opened)
{
	bool same = random_below(&scene->random, 2), look = random_below(&scene->random, 3);
	bool fewer = random_below(&scene->random, 2);
	struct dm_raid_superblock sound = scene->sound, sb;
	unsigned count = 1 + (unsigned)random_below(&scene->random, 3);
	bool placed;

	if (fewer) {
		scene->sound.devices = 3;
		scene->sound.delta_disks = -1;
		scene->sound.flags |= DM_RAID_RESHAPE_BACKWARDS;
		scene->sound.data_offset = 0;
		scene->sound.new_data_offset = ROOM / 512;
		scene->components[3].removed = true;
	}
	put_all(scene);
	sb = scene->sound;
	for (unsigned i = 0; i < count; i++)
		mutate(scene, &sb);
	placed = sb.position == scene->sound.position;
	for (unsigned i = 0; i < PLACES; i++) {
		if (!same && random_below(&scene->random, 2))
			continue;
		if (placed || random_below(&scene->random, 2))
			sb.position = i;
		put(scene, i, &sb);
	}
	if (!random_below(&scene->random, 2))
		mutate_group(scene);
	if (!assemble(scene, look)) {
		++*opened;
		read_all(scene);
		if (!look)
			raid_rebuild_wait(scene->array, NULL, NULL, 100000000, NULL);
		raid_stop(scene->array, NULL);
	}
	scene->sound = sound;
	for (unsigned i = 0; i < PLACES; i++)
		scene->components[i].removed = scene->components[i].added =
			scene->components[i].rebuild = false;
	scene->shape.begins = false;
}

/* Two have changed places: each would be read as the other. */
static void try_swapped(struct scene *scene)
{
	put_all(scene);
	for (unsigned i = 0; i < 2; i++) {
		scene->sound.position = 1 - i;
		put(scene, i, &scene->sound);
	}
	CU_ASSERT_EQUAL(assemble(scene, true), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "the place 1, expected 0"));
}

/* What the message "frozen" leaves of Linux 6.1: level 10's superblocks say that no reshape is under way, those of level 5 that one goes to where
 * it comes from. Nobody knows what is where. */
static void try_frozen(struct scene *scene)
{
	struct dm_raid_superblock sound = scene->sound;

	scene->sound.delta_disks = 0;
	put_all(scene);
	CU_ASSERT_EQUAL(assemble(scene, true), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "stopped in the middle"));
	scene->sound.flags = 0;
	put_all(scene);
	CU_ASSERT_EQUAL(assemble(scene, true), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "data at sectors 128 and 0"));
	/* One that came to its end. */
	scene->sound.new_data_offset = scene->sound.data_offset;
	put_all(scene);
	CU_ASSERT_EQUAL(assemble(scene, true), 0);
	CU_ASSERT_EQUAL(raid_stop(scene->array, NULL), 0);
	scene->sound = sound;
}

static int play(void *arg)
{
	struct scene *scene = arg;
	unsigned opened = 0;

	make(scene);
	put_all(scene);
	CU_ASSERT_EQUAL_FATAL(assemble(scene, true), 0);
	read_all(scene);
	CU_ASSERT_EQUAL(raid_stop(scene->array, NULL), 0);
	try_swapped(scene);
	try_frozen(scene);
	for (unsigned i = 0; i < (getenv("TORTURE") ? 20000u : 300u); i++)
		try_one(scene, &opened);
	CU_ASSERT(opened > 20);
	for (unsigned i = 0; i < PLACES; i++) {
		block_unref(scene->components[i].data);
		block_unref(scene->components[i].meta);
	}
	return 0;
}

static void test_odd_fields(void)
{
	struct worker_options options = { .virtual_clock = true, .seed = 3 };
	struct scene *scene = calloc(1, sizeof(*scene));
	struct worker *worker;

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
	scene->random = (struct random){ 7 };
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, &scene->error), 0);
	worker_run(worker, play, scene);
	worker_destroy(worker);
	free(scene);
}

UNIT_MAIN("dm-raid superblocks, hostile", UNIT(test_odd_fields))
