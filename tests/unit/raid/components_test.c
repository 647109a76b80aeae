/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of dm-raid's, of components: new ones, some that are filled, and superblocks that do not fit. Virtual time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "raid/dm_raid.h"
#include "raid/md_bitmap.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"

#define PLACES 4u /* at most */
#define SIZE   (1u << 20)

struct scene {
	struct raid_component components[PLACES];
	unsigned places; /* 3 */
	struct raid_shape shape;
	struct raid_assemble_options options;
	struct raid_array *array;
	struct log log;
	char said[256];  /* the last warning */
	unsigned unread; /* warnings of superblocks that cannot be read */
	struct error error;
	void (*play)(struct scene *scene);
};

static void note(struct log *log, enum log_level level, const char *text)
{
	struct scene *scene = container_of(log, struct scene, log);

	if (level == LOG_LEVEL_WARNING)
		snprintf(scene->said, sizeof(scene->said), "%s", text);
	scene->unread +=
		level == LOG_LEVEL_WARNING && strstr(text, "its superblock cannot be read");
}

static void make(struct scene *scene)
{
	scene->log = (struct log){ .level = LOG_LEVEL_WARNING, .write = note };
	scene->options.log = &scene->log;
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
	scene->places = 3;
	scene->shape = (struct raid_shape){ .name = "x", .level = 5, .layout = 2, .chunk = 16384 };
}

static int assemble(struct scene *scene)
{
	memset(&scene->error, 0, sizeof(scene->error));
	return raid_assemble_components(&scene->array, &scene->shape, scene->components,
					scene->places, &scene->options, &scene->error);
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

static void set_failed(struct dm_raid_superblock *superblock)
{
	superblock->failed[0] = 2;
	superblock->layout = 4;
}

static void set_features(struct dm_raid_superblock *superblock)
{
	superblock->incompatible = 1;
}

struct seen {
	char level[16], role[16], places[16], dirty[16];
};

static void see(const struct raid_field *field, void *arg)
{
	struct seen *seen = arg;
	char *to = !strcmp(field->key, "level")          ? seen->level
		   : !strcmp(field->key, "role")         ? seen->role
		   : !strcmp(field->key, "places")       ? seen->places
		   : !strcmp(field->key, "bitmap_dirty") ? seen->dirty
							 : NULL;

	if (to)
		snprintf(to, sizeof(seen->level), "%s", field->text);
}

/* What is on a metadata volume is told as of a member of md's. */
static void play_examined(struct scene *scene)
{
	static const uint8_t other[512] = "something else";
	struct seen seen = { 0 };

	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	CU_ASSERT_EQUAL(raid_examine(scene->components[1].meta, see, &seen, &scene->error), 0);
	CU_ASSERT_STRING_EQUAL(seen.level, "raid5");
	CU_ASSERT_STRING_EQUAL(seen.role, "1");
	CU_ASSERT_STRING_EQUAL(seen.places, "AAA");
	CU_ASSERT_STRING_EQUAL(seen.dirty, "0");
	change(scene, 1, set_failed);
	CU_ASSERT_EQUAL(raid_examine(scene->components[1].meta, see, &seen, &scene->error), 0);
	CU_ASSERT_STRING_EQUAL(seen.level, "raid4");
	CU_ASSERT_STRING_EQUAL(seen.places, "A.A");
	change(scene, 1, set_features);
	CU_ASSERT_EQUAL(raid_examine(scene->components[1].meta, see, &seen, &scene->error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "meta1: the dm-raid superblock has"));
	CU_ASSERT_EQUAL(block_write(scene->components[1].meta, 0, other, sizeof(other), 0), 0);
	CU_ASSERT_EQUAL(raid_examine(scene->components[1].meta, see, &seen, &scene->error),
			-ENOENT);
}

static struct dm_raid_superblock superblock_of(struct scene *scene, unsigned place)
{
	struct dm_raid_superblock superblock = { 0 };
	uint8_t page[4096];

	CU_ASSERT_EQUAL(block_read(scene->components[place].meta, 0, page, sizeof(page)), 0);
	CU_ASSERT_EQUAL(dm_raid_decode(page, &superblock, NULL), 0);
	return superblock;
}

/* Metadata for data that are there: the first two agree, the third is filled from them. */
static void play_created(struct scene *scene)
{
	struct block *metas[PLACES];
	const bool filled[PLACES] = { true, true, false };
	struct raid_status status;

	for (unsigned i = 0; i < scene->places; i++)
		metas[i] = scene->components[i].meta;
	scene->shape.region = 5000;
	CU_ASSERT_EQUAL(raid_create_components(&scene->shape, metas, filled, scene->places, SIZE,
					       &scene->error),
			-EINVAL);
	scene->shape.region = 1ull << 32;
	CU_ASSERT_EQUAL(raid_create_components(&scene->shape, metas, filled, scene->places, SIZE,
					       &scene->error),
			-EINVAL);
	scene->shape.region = 65536;
	CU_ASSERT_EQUAL_FATAL(raid_create_components(&scene->shape, metas, filled, scene->places,
						     SIZE, &scene->error),
			      0);
	scene->options.no_resync = true;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	raid_status(scene->array, &status);
	CU_ASSERT_TRUE(status.agree && status.degraded);
	CU_ASSERT_EQUAL(status.members[2].state, RAID_MEMBER_REBUILDING);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	scene->options.no_resync = false;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	CU_ASSERT_EQUAL(superblock_of(scene, 2).recovered, DM_RAID_DONE);
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
	CU_ASSERT_EQUAL(assemble(scene), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "flags 1, expected 0"));
	change(scene, 1, set_level);
	CU_ASSERT_EQUAL(assemble(scene), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "level 6, expected 5"));
	CU_ASSERT_EQUAL(block_write(scene->components[1].meta, 0, other, sizeof(other), 0), 0);
	CU_ASSERT_EQUAL(assemble(scene), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "no dm-raid superblock"));
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.advice, "leave its physical volume out"));
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

/* As it is while something is written. */
static void make_dirty(struct block *meta, uint8_t page[4096])
{
	struct md_bitmap bitmap;

	CU_ASSERT_EQUAL(block_read(meta, DM_RAID_BITMAP_BYTE, page, 4096), 0);
	CU_ASSERT_EQUAL(md_bitmap_decode(page, 4096, &bitmap, NULL), 0);
	CU_ASSERT(bitmap.events > DM_RAID_CLEAN_EVENTS);
	bitmap.events -= DM_RAID_CLEAN_EVENTS;
	md_bitmap_encode(&bitmap, page);
}

/* As power failed when the first bytes of place 0 had been written, and parity had not: the bit of that region is on all. */
static void cut_while_writing(struct scene *scene)
{
	uint8_t page[4096];

	for (unsigned i = 0; i < scene->places; i++) {
		struct block *meta = scene->components[i].meta;

		make_dirty(meta, page);
		md_bitmap_put(page, 0, true);
		CU_ASSERT_EQUAL(block_write(meta, DM_RAID_BITMAP_BYTE, page, sizeof(page), 0), 0);
	}
	memset(page, 9, sizeof(page));
	CU_ASSERT_EQUAL(block_write(scene->components[0].data, 0, page, sizeof(page), 0), 0);
}

/* Whether parity says of place 0 what is on its member. */
static bool parity_holds(struct scene *scene)
{
	struct raid_component first = scene->components[0];
	bool holds;

	scene->components[0] = (struct raid_component){ 0 };
	scene->options.read_only = true;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	holds = has_byte(scene, 0, 9);
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	scene->options.read_only = false;
	scene->components[0] = first;
	return holds;
}

/* What was being written is known by the bitmap alone. It stays there until it is made good, however often the array is stopped
 * before, and superblocks never say that nothing is in sync: one that lacks a member then would start nowhere any more. */
static void play_cut(struct scene *scene)
{
	struct raid_status status;

	scene->shape.region = 65536;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	cut_while_writing(scene);
	CU_ASSERT_FALSE(parity_holds(scene));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene->said, "1 of its members are missing since: in 1 regions of 65536"));
	for (unsigned i = 0; i < 3; i++) {
		scene->options.no_resync = true;
		CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
		fiber_sleep(60 * 1000000000ull);
		raid_status(scene->array, &status);
		CU_ASSERT_EQUAL(status.synced, status.sync_size - (i ? 2 : 1) * 65536);
		raid_status_free(&status);
		write_byte(scene, 200 * 4096, 1);
		CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
		CU_ASSERT_EQUAL(superblock_of(scene, 1).resynced, DM_RAID_DONE);
	}
	CU_ASSERT_FALSE(parity_holds(scene));
	scene->options.no_resync = false;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL);
	raid_status(scene->array, &status);
	CU_ASSERT_EQUAL(status.synced, status.sync_size);
	raid_status_free(&status);
	settle(scene);
	CU_ASSERT_EQUAL(superblock_of(scene, 1).resynced, DM_RAID_DONE);
	CU_ASSERT_TRUE(parity_holds(scene));
}

/* Whether anything is gone over when it is opened. Then it is stopped, or cut off: what is on its metadata now is there again. */
static bool resyncs(struct scene *scene, bool cut)
{
	static uint8_t metas[PLACES][65536];
	enum raid_operation last;
	struct raid_status status;

	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	raid_rebuild_wait(scene->array, NULL, NULL, 1000000000, NULL);
	raid_status(scene->array, &status);
	last = status.progress.last;
	raid_status_free(&status);
	write_byte(scene, 0, 3);
	for (unsigned i = 1; i < scene->places; i++)
		block_read(scene->components[i].meta, 0, metas[i], sizeof(metas[i]));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	for (unsigned i = 1; cut && i < scene->places; i++)
		block_write(scene->components[i].meta, 0, metas[i], sizeof(metas[i]), 0);
	return last == RAID_RESYNC;
}

/* Without one of its members the bitmap keeps what that missed, in which the others agree: parity that is left, or copies, are made anew only after a
 * crash, and once. */
static void play_degraded(struct scene *scene)
{
	struct raid_component first;

	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	first = scene->components[0];
	scene->components[0] = (struct raid_component){ 0 };
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_FALSE(resyncs(scene, false));
	CU_ASSERT_FALSE(resyncs(scene, true));
	CU_ASSERT_TRUE(resyncs(scene, false));
	CU_ASSERT_FALSE(resyncs(scene, false));
	scene->components[0] = first;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	CU_ASSERT_FALSE(resyncs(scene, false));
}

static void set_later(struct dm_raid_superblock *superblock)
{
	superblock->events += 10;
}

/* Superblocks went on without the bitmap, which says that nothing was being written as it was last current: it says nothing of later. */
static void play_old_bitmap(struct scene *scene)
{
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	settle(scene);
	CU_ASSERT_FALSE(resyncs(scene, false));
	for (unsigned i = 0; i < scene->places; i++)
		change(scene, i, set_later);
	scene->said[0] = '\0';
	CU_ASSERT_TRUE(resyncs(scene, false));
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->said, "the bitmap is out of date (events "));
	CU_ASSERT_FALSE(resyncs(scene, false));
}

static void make_unreadable(struct scene *scene, unsigned place)
{
	const struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
					       .action = BLOCK_FAULT_ERROR,
					       .error = -EIO };
	struct block *faulty;

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&faulty, "faulty", scene->components[place].meta,
						 1, &scene->error),
			      0);
	block_fault_add(faulty, &rule);
	block_unref(scene->components[place].meta);
	scene->components[place].meta = faulty;
}

/* One whose superblock cannot be read is as one that is missing, and is filled with what it missed once it can be. */
static void play_unreadable(struct scene *scene)
{
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	write_byte(scene, 0, 1);
	settle(scene);
	make_unreadable(scene, 0);
	scene->options.read_only = true;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_EQUAL(scene->unread, 1);
	CU_ASSERT_TRUE(has_byte(scene, 0, 1));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	scene->options.read_only = false;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	write_byte(scene, 0, 2);
	settle(scene);
	block_fault_clear(scene->components[0].meta);
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 2));
	settle(scene);
	make_unreadable(scene, 1);
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 2));
	CU_ASSERT_EQUAL(raid_stop(scene->array, &scene->error), 0);
	make_unreadable(scene, 2);
	CU_ASSERT_EQUAL(assemble(scene), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.advice, "superblock cannot be read"));
}

/* With one copy of the data it is an error; and where the others are new nobody knows what it has: nothing is made of them. */
static void play_unreadable_alone(struct scene *scene)
{
	scene->shape.level = 1;
	scene->shape.layout = 0;
	scene->shape.chunk = 0;
	scene->places = 2;
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	write_byte(scene, 0, 1);
	settle(scene);
	make_unreadable(scene, 0);
	zero_meta(scene, 1);
	CU_ASSERT_EQUAL(assemble(scene), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "no other image has a superblock"));
	CU_ASSERT_STRING_EQUAL(scene->error.advice, "");
	block_fault_clear(scene->components[0].meta);
	CU_ASSERT_EQUAL_FATAL(assemble(scene), 0);
	CU_ASSERT_TRUE(has_byte(scene, 0, 1));
	settle(scene);
	make_unreadable(scene, 0);
	scene->components[1].rebuild = true;
	CU_ASSERT_EQUAL(assemble(scene), -EIO);
	scene->shape.level = 0;
	scene->shape.chunk = 16384;
	CU_ASSERT_EQUAL(assemble(scene), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->error.text, "superblock cannot be read"));
}

static void play_degraded_6(struct scene *scene)
{
	scene->places = 4;
	scene->shape.level = 6;
	scene->shape.layout = 8;
	play_degraded(scene);
}

static void play_degraded_1(struct scene *scene)
{
	scene->shape.level = 1;
	scene->shape.layout = 0;
	scene->shape.chunk = 0;
	play_degraded(scene);
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

static void test_unreadable(void)
{
	run(play_unreadable);
	run(play_unreadable_alone);
}

static void test_low_counts(void)
{
	run(play_low_counts);
}

static void test_created(void)
{
	run(play_created);
}

static void test_examined(void)
{
	run(play_examined);
}

static void test_cut(void)
{
	run(play_cut);
}

static void test_degraded(void)
{
	run(play_degraded_6);
	run(play_degraded_1);
}

static void test_old_bitmap(void)
{
	run(play_old_bitmap);
}

UNIT_MAIN("raid components", UNIT(test_degraded), UNIT(test_old_bitmap), UNIT(test_new),
	  UNIT(test_damaged), UNIT(test_unreadable), UNIT(test_low_counts), UNIT(test_cut),
	  UNIT(test_examined), UNIT(test_created))
