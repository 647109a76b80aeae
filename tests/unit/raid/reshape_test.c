/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays that go to another shape: data are the same before, in the middle and after, also without a member, under writes, when
 * stopped, and whenever the power goes. Virtual time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/raid5.h"
#include "raid_rig.h"
#include "reshape_scene.h"
#include "util/bytes.h"

static const struct reshape_kind kinds[] = {
	{ { .level = 5, .chunk = 65536 }, 3, { .devices = 4 } },
	{ { .level = 5, .chunk = 65536, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 65536 },
	  3,
	  { .devices = 5, .chunk = 32768 } },
	{ { .level = 4, .chunk = 32768 }, 3, { .devices = 4 } },
	{ { .level = 6, .chunk = 65536 }, 4, { .devices = 5 } },
	{ { .level = 6, .chunk = 65536 }, 5, { .layout = "ddf-N-continue" } },
	{ { .level = 5, .chunk = 65536 }, 4, { .chunk = 131072 } },
	{ { .level = 5, .chunk = 131072 }, 4, { .chunk = 16384, .layout = "right-asymmetric" } },
	{ { .level = 5, .chunk = 65536 }, 2, { .devices = 3 } },
	{ { .level = 5, .chunk = 65536 }, 4, { .devices = 3, .array_size = 1 } },
	{ { .level = 6, .chunk = 65536, .size = 1 << 19 },
	  6,
	  { .devices = 4, .array_size = 1, .chunk = 32768 } },
	{ { .level = 5, .chunk = 65536, .size = 1 << 19, .metadata = RAID_METADATA_1_0 },
	  4,
	  { .chunk = 131072, .layout = "parity-first" } },
	{ { .level = 5, .chunk = 65536 }, 3, { .level = "6", .layout = "left-symmetric" } },
	{ { .level = 5, .chunk = 65536, .layout = "parity-last", .size = 1 << 19 },
	  4,
	  { .level = "6", .layout = "ddf-zero-restart" } },
	{ { .level = 10, .chunk = 65536 }, 4, { .devices = 6 } },
	{ { .level = 10, .chunk = 65536 }, 3, { .devices = 4, .chunk = 16384 } },
	{ { .level = 10, .chunk = 65536 }, 4, { .layout = "o2", .chunk = 32768 } },
	{ { .level = 10, .chunk = 16384, .layout = "o2" }, 3, { .layout = "n2", .chunk = 65536 } },
	{ { .level = 10, .chunk = 32768, .bitmap = RAID_BITMAP_INTERNAL, .bitmap_chunk = 65536 },
	  4,
	  { .chunk = 65536 } },
	{ { .level = 10, .chunk = 32768, .layout = "o2", .size = 1 << 20 },
	  6,
	  { .devices = 3, .array_size = 1, .chunk = 65536 } },
	{ { .level = 10, .chunk = 65536, .size = 1 << 20, .metadata = RAID_METADATA_1_0 },
	  3,
	  { .chunk = 131072 } },
	/* These with TORTURE only. */
	{ { .level = 10, .chunk = 32768, .layout = "n3" }, 4, { .devices = 5, .layout = "o3" } },
	{ { .level = 10, .chunk = 65536 }, 5, { .devices = 4, .array_size = 1 } },
};

/* Another level on its way: 0 as 4, without anybody who can be missing, and 6 to 5. Only power cuts; see reshape_level_test.c. */
static const struct reshape_kind level_kinds[] = {
	{ { .level = 0, .chunk = 65536 }, 2, { .devices = 3 } },
	{ { .level = 0, .chunk = 32768 }, 2, { .devices = 4, .chunk = 65536 } },
	{ { .level = 0, .chunk = 65536 }, 3, { .devices = 2, .array_size = 1 } },
	{ { .level = 6, .chunk = 65536 }, 5, { .level = "5" } },
	{ { .level = 6, .chunk = 65536, .layout = "ddf-N-continue" },
	  4,
	  { .level = "5", .layout = "right-asymmetric" } },
};

#define MORE_KINDS 2u

static const struct reshape_kind *kind;

static unsigned kind_count(void)
{
	return ARRAY_SIZE(kinds) - (getenv("TORTURE") ? 0 : MORE_KINDS);
}

static uint64_t size_of(struct raid_rig *rig)
{
	return raid_array_block(rig->array)->size;
}

static unsigned after(void)
{
	return reshape_after(kind);
}

static bool is_fewer(void)
{
	return reshape_is_fewer(kind);
}

static bool is_more(void)
{
	return kind->grow.devices > kind->count;
}

/* Of those that are members in the end. */
static unsigned in_the_end(void)
{
	return is_fewer() ? kind->grow.devices : after();
}

static void begin(struct raid_rig *rig)
{
	struct raid_create_options options = kind->options;

	options.name = "x";
	rig_create(rig, kind->count, &options);
	rig_wait(rig);
	rig_write(rig, 0, size_of(rig), 1);
	fiber_sleep(20000000000);
	for (unsigned i = kind->count; i < after(); i++)
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	if (raid_grow(rig->array, &kind->grow, &rig->error)) {
		printf("grow: %s\n", rig->error.text);
		CU_FAIL_FATAL("it is not reshaped");
	}
}

static enum raid_operation running(struct raid_rig *rig)
{
	struct raid_status status;

	enum raid_operation operation;

	raid_status(rig->array, &status);
	operation = status.progress.operation;
	raid_status_free(&status);
	return operation;
}

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

static void each_kind(void (*body)(struct raid_rig *rig))
{
	for (unsigned i = 0; i < kind_count(); i++) {
		kind = &kinds[i];
		rig_run(body);
	}
}

/* Writes on either side of the position and across it. */
static void goes_to_its_end(struct raid_rig *rig)
{
	uint64_t size, step = 300 << 10;
	uint32_t preferred;

	begin(rig);
	size = size_of(rig);
	for (uint64_t at = 0; at < size; at += step) {
		CU_ASSERT(rig_holds(rig, at, MIN(step, size - at), 1));
		rig_write(rig, at, MIN(step, size - at), 2);
		CU_ASSERT(rig_holds(rig, 0, at + MIN(step, size - at), 2));
		fiber_sleep(100000000);
	}
	CU_ASSERT_EQUAL(running(rig), RAID_RESHAPE);
	raid_rebuild_set_rate(rig->array, 0);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, size, 2));
	CU_ASSERT(is_more() ? size_of(rig) > size : size_of(rig) == size);
	rig_write(rig, size_of(rig) - 65536, 65536, 3);
	CU_ASSERT_EQUAL(differs(rig->array), 0);
	preferred = raid_array_block(rig->array)->preferred_io_size;
	rig_stop(rig);
	CU_ASSERT_EQUAL_FATAL(
		raid_assemble(&rig->array, rig->disk + 1, in_the_end() - 1, NULL, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_array_block(rig->array)->preferred_io_size, preferred);
	CU_ASSERT(rig_holds(rig, 0, size - 65536, 2));
	CU_ASSERT(rig_holds(rig, size_of(rig) - 65536, 65536, 3));
}

static void test_goes_to_its_end(void)
{
	each_kind(goes_to_its_end);
}

/* A member fails in the middle; stopped, assembled without it, and on to the end; then it is rebuilt. */
static void goes_on_degraded(struct raid_rig *rig)
{
	uint64_t size;
	struct raid_status status;

	begin(rig);
	size = size_of(rig);
	fiber_sleep(800000000);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_write(rig, size / 2 - 100 * 1024, 200 * 1024, 1);
	rig_write(rig, 4096, 8192, 1);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(running(rig), RAID_RESHAPE);
	rig_stop(rig);
	rig_assemble(rig, after(), &(struct raid_assemble_options){ .no_resync = true });
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_STALE);
	rig_stop(rig);
	rig_assemble(rig, after(), NULL);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_FALSE(status.degraded);
	raid_status_free(&status);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(differs(rig->array), 0);
}

static void test_goes_on_degraded(void)
{
	each_kind(goes_on_degraded);
}

/* Its superblock is as old as that of one that was gone when others noted that. */
static void put_back(struct raid_rig *rig, unsigned disk)
{
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct md_superblock *sb = malloc(sizeof(*sb));
	bool found;

	CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->disk[disk], sb, &found, &rig->error), 0);
	sb->events -= 2;
	md_superblock_encode(sb, page);
	CU_ASSERT_EQUAL(block_write(rig->disk[disk], sb->super_offset << MD_SECTOR_SHIFT, page,
				    sizeof(page), 0),
			0);
	free(sb);
}

/* More vanish at once than can be missing, as with their cable: they are as far as the reshape is, and by force it goes on. */
static void goes_on_by_force(struct raid_rig *rig)
{
	unsigned lost = kind->options.level == 6 ? 3 : 2;
	uint64_t size;

	begin(rig);
	size = size_of(rig);
	fiber_sleep(800000000);
	rig_stop(rig);
	for (unsigned i = 0; i < lost; i++)
		put_back(rig, i);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk, after(), NULL, &rig->error),
			      -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "what was written to its place later"));
	rig_assemble(rig, after(), &(struct raid_assemble_options){ .force = true });
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_wait(rig);
	CU_ASSERT_FALSE(rig->array->reshaping);
	CU_ASSERT(rig_holds(rig, 0, MIN(size, size_of(rig)), 1));
}

/* Who is less far has its data where the array does not look for them. */
static void takes_nobody_behind(struct raid_rig *rig)
{
	const struct raid_assemble_options force = { .force = true };
	static uint8_t before[2][8192];
	uint64_t position;

	kind = &kinds[0];
	begin(rig);
	while (!rig->array->reshape_position)
		fiber_sleep(10000000);
	for (unsigned i = 0; i < 2; i++)
		block_read(rig->disk[i], 0, before[i], sizeof(before[i]));
	position = rig->array->reshape_position;
	/* By more than one update. */
	while (rig->array->reshape_position < position + 5000)
		fiber_sleep(10000000);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++)
		block_write(rig->disk[i], 0, before[i], sizeof(before[i]), 0);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, after(), &force, &rig->error),
			-ENODEV);
}

static void test_goes_on_by_force(void)
{
	each_kind(goes_on_by_force);
	rig_run(takes_nobody_behind);
}

static int grow(struct raid_rig *rig, const struct raid_grow *to)
{
	return raid_grow(rig->array, to, &rig->error);
}

static void refuses(struct raid_rig *rig)
{
	uint64_t writes;

	rig_create(rig, 4,
		   &(struct raid_create_options){ .name = "x", .level = 5, .chunk = 65536 });
	rig_wait(rig);
	fiber_sleep(20000000000);
	writes = rig_writes(rig, 0);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .devices = 5 }), -ENODEV);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .devices = 3 }), -EINVAL);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .devices = 3, .array_size = 8 << 20 }),
			-EINVAL);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .level = "6", .layout = "left-symmetric" }),
			-ENODEV);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .chunk = 3 << 15 }), -EINVAL);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .chunk = 1 << 20 }), -ENOSPC);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .layout = "n2" }), -EINVAL);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .layout = "left-symmetric" }), 0);
	CU_ASSERT_EQUAL(rig_writes(rig, 0), writes);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .chunk = 32768 }), 0);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .chunk = 65536 }), -EBUSY);
	CU_ASSERT_EQUAL(raid_replace_with(rig->array, "disk0", rig->disk[4], false, &rig->error),
			-EBUSY);
	CU_ASSERT_EQUAL(raid_bitmap_add(rig->array, 0, &rig->error), -EBUSY);
}

static void refuses_at_10(struct raid_rig *rig)
{
	uint64_t writes;

	rig_create(rig, 4,
		   &(struct raid_create_options){ .name = "x",
						  .level = 10,
						  .chunk = 65536,
						  .bitmap = RAID_BITMAP_INTERNAL,
						  .size = 960 << 10 });
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	fiber_sleep(20000000000);
	writes = rig_writes(rig, 0);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .layout = "f2" }), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .layout = "n3" }), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .layout = "o5" }), -EINVAL);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .devices = 5 }), -EINVAL); /* bitmap */
	/* 15 chunks of each member, and rows of two. */
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .layout = "o2" }), -EINVAL);
	CU_ASSERT_EQUAL(rig_writes(rig, 0), writes);
	CU_ASSERT_EQUAL(raid_bitmap_remove(rig->array, &rig->error), 0);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .devices = 5 }), 0);
}

static void test_refuses(void)
{
	rig_run(refuses);
	rig_run(refuses_at_10);
}

/* A spare that cannot be written: the array keeps its shape, with all members. */
static void spare_is_bad(struct raid_rig *rig)
{
	struct raid_create_options options = kind->options;
	struct raid_status status;

	options.name = "x";
	rig_create(rig, kind->count, &options);
	rig_wait(rig);
	fiber_sleep(20000000000);
	for (unsigned i = kind->count; i < after(); i++)
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
	rig_break(rig, after() - 1, BLOCK_FAULT_CHANGES, 0, 0);
	CU_ASSERT_EQUAL(grow(rig, &kind->grow), -EIO);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.raid_disks, kind->count);
	CU_ASSERT(!status.degraded);
	raid_status_free(&status);
	rig_stop(rig);
}

static void test_spare_is_bad(void)
{
	for (unsigned i = 0; i < kind_count(); i++) {
		kind = &kinds[i];
		if (after() > kind->count)
			rig_run(spare_is_bad);
	}
}

/* A member is lost with the last update before the beginning, and there is a spare: nothing is moved then, and the spare has its place. */
static void lost_at_first(struct raid_rig *rig)
{
	uint64_t size;

	rig_create(rig, 4,
		   &(struct raid_create_options){ .name = "x", .level = 10, .chunk = 65536 });
	rig_wait(rig);
	size = size_of(rig);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[4], &rig->error), 0);
	rig_write(rig, 0, size, 1);
	rig_break(rig, 0, BLOCK_FAULT_CHANGES, 4096, 4096);
	CU_ASSERT_EQUAL(grow(rig, &(struct raid_grow){ .chunk = 32768 }), -EBUSY);
	CU_ASSERT_EQUAL(rig_state(rig, 0), RAID_MEMBER_FAULTY);
	CU_ASSERT_FALSE(rig->array->reshaping);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 4), RAID_MEMBER_IN_SYNC);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(differs(rig->array), 0);
}

static void test_lost_at_first(void)
{
	rig_run(lost_at_first);
}

/* No superblock can be written as it begins: it goes on once they can, with all members. */
static void cannot_be_said(struct raid_rig *rig)
{
	struct raid_create_options options = kind->options;
	struct raid_status status;
	uint64_t size;

	options.name = "x";
	rig_create(rig, kind->count, &options);
	rig_wait(rig);
	size = size_of(rig);
	rig_write(rig, 0, size, 1);
	for (unsigned i = kind->count; i < after(); i++)
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
	fiber_sleep(20000000000);
	/* Who is new can be written to. */
	for (unsigned i = 0; i < kind->count; i++)
		rig_break(rig, i, BLOCK_FAULT_CHANGES,
			  options.metadata == RAID_METADATA_1_0 ? RIG_SIZE - 8192 : 4096, 4096);
	CU_ASSERT_EQUAL(grow(rig, &kind->grow), -EIO);
	fiber_sleep(1000000000);
	size = MIN(size, size_of(rig));
	for (unsigned i = 0; i < kind->count; i++)
		block_fault_clear(rig->disk[i]);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_write(rig, 0, 65536, 2);
	rig_wait(rig);
	CU_ASSERT(is_more() ? size_of(rig) > size : size_of(rig) <= size);
	size = MIN(size, size_of(rig));
	CU_ASSERT(rig_holds(rig, 0, 65536, 2));
	CU_ASSERT(rig_holds(rig, 65536, size - 65536, 1));
	/* Those that were failed for it. */
	for (unsigned i = 0; i < kind->count; i++) {
		if (rig_state(rig, i) != RAID_MEMBER_FAULTY)
			continue;
		CU_ASSERT_EQUAL(raid_remove(rig->array, rig->disk[i]->name, &rig->error), 0);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
	}
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_FALSE(status.degraded);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(differs(rig->array), 0);
}

static void test_cannot_be_said(void)
{
	each_kind(cannot_be_said);
}

/* ---- What is said ---- */

static int update(void *arg)
{
	return raid_super_update(arg);
}

static uint64_t position_on(struct block *disk)
{
	struct md_superblock sb;
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(disk, &sb, &found, NULL), 0);
	return sb.reshape_position;
}

/* Superblocks say no position that came while what was there was being flushed: it is not durable with that. */
static void says_durable_position(struct raid_rig *rig)
{
	uint64_t position;
	struct fiber *fiber;

	begin(rig);
	fiber_sleep(100000000);
	raid_rebuild_freeze(rig->array, true);
	while (running(rig) == RAID_RESHAPE)
		fiber_sleep(1000000);
	if (!rig->array->reshaping) /* it was but one part */
		return;
	CU_ASSERT_EQUAL(raid_super_update(rig->array), 0);
	position = rig->array->reshape_checkpoint;
	CU_ASSERT_EQUAL(position_on(rig->disk[0]), position);
	block_fault_add(rig->disk[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								  .count = 1,
								  .action = BLOCK_FAULT_LATENCY,
								  .latency_ns = 1000000000 });
	fiber = fiber_spawn(update, rig->array);
	fiber_sleep(500000000);
	rig->array->reshape_checkpoint += rig->array->backwards ? -256 : 256;
	CU_ASSERT_EQUAL(fiber_join(fiber), 0);
	CU_ASSERT_EQUAL(position_on(rig->disk[0]), position);
	CU_ASSERT_EQUAL(raid_super_update(rig->array), 0);
	CU_ASSERT_EQUAL(position_on(rig->disk[0]), rig->array->reshape_checkpoint);
	rig->array->reshape_checkpoint = rig->array->reshape_position;
}

static void test_says_durable_position(void)
{
	each_kind(says_durable_position);
}

/* ---- The memory for stripes ---- */

#define ROWS 40u

static int write_row(void *arg)
{
	static unsigned next;
	uint64_t row = 3 * 65536, at = next++ % ROWS;

	rig_write(arg, at * row, row, 1);
	return 0;
}

/* Stripes of many writes are in it at once. What is kept for the next ones when an array is reshaped the new shape has to have again: of
 * an array that was reshaped twice all requests hung. */
static void has_memory_again(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x", .level = 5, .chunk = 65536 };
	struct fiber *fibers[ROWS];

	for (unsigned i = 0; i < 4; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = 1000000 });
	rig_create(rig, 4, &options);
	for (unsigned i = 0; i < 4; i++) {
		const struct raid_grow grow = { .chunk = i % 2 ? 65536 : 32768 };

		rig_wait(rig);
		for (unsigned k = 0; k < ROWS; k++)
			fibers[k] = fiber_spawn(write_row, rig);
		for (unsigned k = 0; k < ROWS; k++)
			fiber_join(fibers[k]);
		CU_ASSERT_EQUAL_FATAL(raid_grow(rig->array, &grow, &rig->error), 0);
		/* By what the reshape has begun with, at most. */
		CU_ASSERT_FATAL(raid5_of(rig->array)->memory_used <= RAID5_MEMORY_MAX / 2);
	}
	rig_wait(rig);
	CU_ASSERT_EQUAL(differs(rig->array), 0);
}

static void test_has_memory_again(void)
{
	rig_run(has_memory_again);
}

static void test_power(void)
{
	for (unsigned i = 0; i < kind_count() + ARRAY_SIZE(level_kinds); i++)
		reshape_play(i < kind_count() ? &kinds[i] : &level_kinds[i - kind_count()], i);
}

UNIT_MAIN("raid reshape", UNIT(test_goes_to_its_end), UNIT(test_goes_on_degraded),
	  UNIT(test_goes_on_by_force), UNIT(test_refuses), UNIT(test_spare_is_bad),
	  UNIT(test_lost_at_first), UNIT(test_cannot_be_said), UNIT(test_says_durable_position),
	  UNIT(test_has_memory_again), UNIT(test_power))
