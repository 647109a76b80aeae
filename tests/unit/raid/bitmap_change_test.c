/* SPDX-License-Identifier: BSD-2-Clause */
/* A bitmap is given to an array that runs, and taken from it. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid_rig.h"

#define DATA   (1u << 20)
#define CHUNK  65536
#define SECOND 1000000000ull

static const struct shape {
	int level;
	unsigned disks;
	enum raid_metadata metadata;
} shapes[] = { { 1, 2, RAID_METADATA_1_2 },  { 1, 2, RAID_METADATA_1_1 },
	       { 1, 2, RAID_METADATA_1_0 },  { 5, 3, RAID_METADATA_1_2 },
	       { 10, 4, RAID_METADATA_1_0 }, { 6, 4, RAID_METADATA_1_2 } };
static struct shape shape;

static void create(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "b",
						     .level = shape.level,
						     .metadata = shape.metadata,
						     .chunk = shape.level == 1 ? 0 : CHUNK,
						     .assume_clean = true };

	rig_create(rig, shape.disks, &options);
	rig_write(rig, 0, 1 << 20, 1);
	fiber_sleep(SECOND);
}

static struct raid_status status_of(struct raid_rig *rig)
{
	struct raid_status status, copy;

	raid_status(rig->array, &status);
	copy = status;
	raid_status_free(&status);
	copy.members = NULL;
	return copy;
}

static void add(struct raid_rig *rig)
{
	CU_ASSERT_EQUAL_FATAL(raid_bitmap_add(rig->array, CHUNK, &rig->error), 0);
	CU_ASSERT(status_of(rig).bitmap.present);
	CU_ASSERT_EQUAL(status_of(rig).bitmap.chunk, CHUNK);
}

/* The disks as they are now, after the power is gone. */
static void crash(struct raid_rig *rig)
{
	uint8_t *image[RIG_MEMBERS];

	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		image[i] = malloc(RIG_SIZE);
		block_read(rig->memory[i], 0, image[i], RIG_SIZE);
	}
	rig_stop(rig);
	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		block_write(rig->memory[i], 0, image[i], RIG_SIZE, 0);
		free(image[i]);
	}
}

/* After a crash only what was written is gone over; a member that was away gets only that; and without it all. */
static void is_used(struct raid_rig *rig)
{
	create(rig);
	CU_ASSERT_EQUAL(raid_bitmap_remove(rig->array, &rig->error), -ENOENT);
	add(rig);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, CHUNK, &rig->error), -EEXIST);
	CU_ASSERT_EQUAL(status_of(rig).bitmap.dirty, 0);
	rig_write(rig, 0, 4096, 2);
	CU_ASSERT_EQUAL(status_of(rig).bitmap.dirty, 1);
	crash(rig);
	rig_assemble(rig, shape.disks, NULL);
	CU_ASSERT(status_of(rig).bitmap.present);
	rig_wait(rig);
	CU_ASSERT(status_of(rig).counters.skipped_bytes > 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	rig_write(rig, 0, 4096, 3);
	CU_ASSERT_EQUAL(raid_add_back(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);

	CU_ASSERT_EQUAL(raid_bitmap_remove(rig->array, &rig->error), 0);
	CU_ASSERT_FALSE(status_of(rig).bitmap.present);
	rig_write(rig, 0, 4096, 4);
	crash(rig);
	rig_assemble(rig, shape.disks, NULL);
	CU_ASSERT_FALSE(status_of(rig).bitmap.present);
	rig_wait(rig);
	CU_ASSERT_EQUAL(status_of(rig).counters.skipped_bytes, 0);
	CU_ASSERT(rig_holds(rig, 0, 4096, 4));
	CU_ASSERT(rig_holds(rig, 4096, 0, 1));
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add_back(rig->array, rig->disk[1], &rig->error), -ESTALE);
}

static void test_is_used(void)
{
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		shape = shapes[i];
		rig_run(is_used);
	}
}

static bool writing;

static int writer(void *arg)
{
	struct raid_rig *rig = arg;
	uint8_t bytes[4096];

	for (unsigned n = 0; writing; n++) {
		memset(bytes, (int)n, sizeof(bytes));
		CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), n % 64 * 8192, bytes,
					    sizeof(bytes), 0),
				0);
		if (n % 3 == 0)
			fiber_sleep(SECOND / 1000);
	}
	return 0;
}

/* Under writers it comes and goes, and no bit is missing at the end. */
static void under_load(struct raid_rig *rig)
{
	struct fiber *fibers[4];

	create(rig);
	for (unsigned i = 0; i < shape.disks; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							    .chance = 300000,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = SECOND / 500 });
	writing = true;
	for (unsigned i = 0; i < 4; i++)
		fibers[i] = fiber_spawn(writer, rig);
	for (unsigned i = 0; i < 20; i++) {
		fiber_sleep(SECOND / 50);
		CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, CHUNK, &rig->error), 0);
		fiber_sleep(SECOND / 50);
		if (i < 19)
			CU_ASSERT_EQUAL(raid_bitmap_remove(rig->array, &rig->error), 0);
	}
	writing = false;
	for (unsigned i = 0; i < 4; i++)
		fiber_join(fibers[i]);
	CU_ASSERT_NOT_EQUAL(status_of(rig).bitmap.dirty, 0);
	crash(rig);
	rig_assemble(rig, shape.disks, NULL);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(status_of(rig).progress.mismatches, 0);
}

static void test_under_load(void)
{
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		shape = shapes[i];
		rig_run(under_load);
	}
}

/* The power goes when some superblocks speak of the new bitmap, and one does not: it is taken, with its bitmap. */
static void cut_off(struct raid_rig *rig)
{
	struct md_superblock *sb = malloc(sizeof(*sb));
	uint64_t events;
	bool found;

	create(rig);
	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[1], sb, &found, NULL), 0);
	events = sb->events;
	add(rig);
	crash(rig);
	CU_ASSERT_EQUAL(md_superblock_write(rig->memory[1], sb), 0);
	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[0], sb, &found, NULL), 0);
	CU_ASSERT_EQUAL(sb->events, events + 1);
	rig_assemble(rig, shape.disks, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(status_of(rig).bitmap.present);
	rig_write(rig, 0, 4096, 2);
	rig_stop(rig);
	rig_assemble(rig, shape.disks, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	rig_stop(rig);

	/* And when some do not any more. */
	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[1], sb, &found, NULL), 0);
	rig_assemble(rig, shape.disks, NULL);
	CU_ASSERT_EQUAL(raid_bitmap_remove(rig->array, &rig->error), 0);
	crash(rig);
	CU_ASSERT_EQUAL(md_superblock_write(rig->memory[1], sb), 0);
	rig_assemble(rig, shape.disks, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_FALSE(status_of(rig).bitmap.present);
	CU_ASSERT(rig_holds(rig, 0, 4096, 2));
	free(sb);
}

static void test_cut_off(void)
{
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		shape = shapes[i];
		rig_run(cut_off);
	}
}

static void refused(struct raid_rig *rig)
{
	const struct raid_create_options ppl = {
		.name = "p", .level = 5, .assume_clean = true, .bitmap = RAID_BITMAP_PPL
	};
	const struct raid_create_options map = { .name = "z", .level = 0 };

	rig_create(rig, 3, &map);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, 0, &rig->error), -EOPNOTSUPP);
	rig_stop(rig);
	rig_create(rig, 3, &ppl);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, 0, &rig->error), -EINVAL);
	rig_stop(rig);
	shape = shapes[0];
	create(rig);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, 5000, &rig->error), -EINVAL);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, 0, &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(status_of(rig).progress.operation, RAID_CHECK);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	/* Without a member its bits are kept for who may come back; with one that cannot be written it is failed. */
	rig_break(rig, 1, BLOCK_FAULT_CHANGES, 0, DATA);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, 0, &rig->error), 0);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	/* The last one cannot be, and nothing has changed. */
	CU_ASSERT_EQUAL(raid_bitmap_remove(rig->array, &rig->error), 0);
	rig_break(rig, 0, BLOCK_FAULT_CHANGES, 0, DATA);
	CU_ASSERT_NOT_EQUAL(raid_bitmap_add(rig->array, 0, &rig->error), 0);
	CU_ASSERT_FALSE(status_of(rig).bitmap.present);
	block_fault_clear(rig->disk[0]);
	rig_write(rig, 0, 4096, 5);
	CU_ASSERT(rig_holds(rig, 0, 4096, 5));
}

static void test_refused(void)
{
	rig_run(refused);
}

UNIT_MAIN("raid bitmap change", UNIT(test_is_used), UNIT(test_under_load), UNIT(test_cut_off),
	  UNIT(test_refused))
