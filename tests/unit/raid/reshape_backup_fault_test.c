/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reshapes in place whose backup, members or superblocks cannot be written for a while: they stand, nobody who has nothing to do with it
 * waits, and they go on. Virtual time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid_rig.h"
#include "reshape_held.h"
#include "util/bytes.h"
#include "version_90.h"

static void does_not_begin(struct raid_rig *rig)
{
	struct block *small;
	struct held held;
	uint64_t bytes = 0;
	struct raid_grow grow = { .chunk = 32768 };

	make_backup_file(&held);
	block_fault_add(held.faulty, &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
								 .error = -EIO });
	CU_ASSERT_EQUAL(begin(rig, &held, &grow), -EIO);
	CU_ASSERT_FALSE(rig->array->reshaping);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), -ENOSPC);
	CU_ASSERT(strstr(rig->error.advice, "--backup-file") != NULL);
	grow.backup = rig->disk[1];
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), -EINVAL);
	CU_ASSERT_EQUAL(block_create_memory(&small, "small", 65536, NULL), 0);
	grow.backup = small;
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), -ENOSPC);
	block_unref(small);
	grow = (struct raid_grow){
		.chunk = 32768, .backup_comes = true, .only_check = true, .backup_bytes = &bytes
	};
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), 0);
	CU_ASSERT(bytes > 65536 && bytes <= BACKUP);
	CU_ASSERT_FALSE(rig->array->reshaping);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	/* Nobody moves anything without it; once it can be written it goes on. */
	block_fault_clear(held.faulty);
	grow = (struct raid_grow){ .chunk = 32768, .backup = held.faulty };
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL(raid_grow(rig->array, &grow, &rig->error), 0);
	hold(rig);
	block_fault_add(held.faulty, &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
								 .error = -EIO });
	raid_rebuild_freeze(rig->array, false);
	raid_rebuild_set_rate(rig->array, 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(rig->array, NULL, NULL, 1000000, &rig->error), -EIO);
	CU_ASSERT(rig->array->reshaping);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	block_fault_clear(held.faulty);
	raid_sync_resume(rig->array);
	rig_wait(rig);
	CU_ASSERT_FALSE(rig->array->reshaping);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* ---- What is not written ---- */

static int write_at(struct raid_rig *rig, uint64_t at)
{
	uint8_t bytes[4096] = { 0 };

	return block_write(raid_array_block(rig->array), at, bytes, sizeof(bytes), 0);
}

/* A backup that is written, or cannot be written, concerns those who write to what it has, and nobody else. */
static void leaves_others_alone(struct raid_rig *rig)
{
	struct held held;
	struct md_backup found;
	uint64_t size, next;
	unsigned looks = 0;

	make_backup_file(&held);
	block_fault_add(held.faulty, &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
								 .action = BLOCK_FAULT_LATENCY,
								 .latency_ns = 20000000 });
	CU_ASSERT_EQUAL_FATAL(begin(rig, &held, &(struct raid_grow){ .chunk = 32768 }), 0);
	size = rig_array_size(rig);
	/* Every part that is moved has its backup. */
	while (rig->array->reshape_position < size / 1024 && looks++ < 100000) {
		CU_ASSERT_EQUAL(write_at(rig, size - 4096), 0);
		found = header_of(&held);
		CU_ASSERT_FATAL(found.piece[0].count || found.piece[1].count);
		fiber_sleep(3000000);
	}
	CU_ASSERT(looks > 20);
	hold(rig);
	block_fault_clear(held.faulty);
	block_fault_add(held.faulty, &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
								 .error = -EIO });
	next = rig->array->reshape_position << MD_SECTOR_SHIFT;
	CU_ASSERT_EQUAL(write_at(rig, next), -EIO);
	CU_ASSERT_EQUAL(write_at(rig, next), -EIO);
	CU_ASSERT_EQUAL(write_at(rig, next - 4096), 0);
	CU_ASSERT_EQUAL(write_at(rig, size - 4096), 0);
	block_fault_clear(held.faulty);
	CU_ASSERT_EQUAL(write_at(rig, next), 0);
	CU_ASSERT(rig_holds(rig, 0, next - 4096, 1));
	rig_stop(rig);
	drop_backup_file(&held);
}

/* Members that take no more from some write on, until they do again: what was written over half is in the backup. Whether any was hit. */
static bool hit(struct raid_rig *rig, const struct raid_create_options *options, unsigned count,
		struct raid_grow grow, uint64_t after)
{
	struct held held;
	struct raid_assemble_options with = { .backup_count = 1, .force = true };
	uint64_t size = grow.array_size;
	int rc;

	make_backup_file(&held);
	grow.backup = held.faulty;
	with.backups = &held.faulty;
	rig_create(rig, count, options);
	rig_wait(rig);
	rig_write(rig, 0, rig_array_size(rig), 1);
	size = size ? size : rig_array_size(rig);
	for (unsigned i = 0; i < count; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							    .after = after,
							    .error = -ENOSPC });
	rc = raid_grow(rig->array, &grow, &rig->error);
	if (!rc)
		rc = raid_rebuild_wait(rig->array, NULL, NULL, 1000000000, &rig->error);
	for (unsigned i = 0; i < count; i++)
		block_fault_clear(rig->disk[i]);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	if (after % 2) {
		rig_stop(rig);
		rig_assemble(rig, count, &with);
	} else {
		raid_sync_resume(rig->array);
	}
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_FALSE(rig->array->reshaping && !rc);
	rig_stop(rig);
	drop_backup_file(&held);
	return rc != 0;
}

static void hit_each(struct raid_rig *rig, const struct raid_create_options *options,
		     unsigned count, const struct raid_grow *grow)
{
	uint64_t after = 0, step = getenv("TORTURE") ? 1 : 37;

	while (hit(rig, options, count, *grow, after))
		after += step;
	CU_ASSERT(after > 10);
}

static void goes_on_when_written_again(struct raid_rig *rig)
{
	const struct raid_create_options full = {
		.name = "x", .level = 5, .chunk = 65536, .metadata = RAID_METADATA_1_0
	};

	hit_each(rig, &full, 3, &(struct raid_grow){ .chunk = 16384 });
	hit_each(rig, &full, 3, &(struct raid_grow){ .layout = "parity-first" });
}

static void test_leaves_others_alone(void)
{
	rig_run(leaves_others_alone);
}

static void test_goes_on_when_written_again(void)
{
	rig_run(goes_on_when_written_again);
}

/* ---- What some say, and others not ---- */

/* From some update on superblocks of two members are written, and said not to be: they say a position that the array has not come to. Then the
 * backup cannot be written either. Whether any was hit. */
static bool parts(struct raid_rig *rig, uint64_t after)
{
	struct raid_grow grow = { .devices = 3 };
	struct held held;
	uint64_t sector;
	int rc;

	make_backup_file(&held);
	put_version_90(rig->memory, 4, 5, 65536, RIG_SIZE - 131072);
	rig_assemble(rig, 4, &(struct raid_assemble_options){ 0 });
	rig_wait(rig);
	grow.array_size = rig_array_size(rig) / 3 * 2;
	grow.backup = held.faulty;
	rig_write(rig, 0, rig_array_size(rig), 1);
	raid_rebuild_set_rate(rig->array, 1 << 20);
	CU_ASSERT_EQUAL_FATAL(raid_grow(rig->array, &grow, &rig->error), 0);
	CU_ASSERT_EQUAL(md90_place(RIG_SIZE / 512, &sector), 0);
	for (unsigned i = 0; i < 2; i++)
		block_fault_add(rig->disk[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							    .offset = sector * 512,
							    .length = 4096,
							    .after = after,
							    .action = BLOCK_FAULT_TORN,
							    .torn_sectors = 8,
							    .error = -EIO });
	rc = raid_rebuild_wait(rig->array, NULL, NULL, 1000000000, &rig->error);
	if (rc && rig->array->reshaping) {
		block_fault_add(held.faulty,
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							    .error = -ENOSPC });
		raid_sync_resume(rig->array);
		raid_rebuild_wait(rig->array, NULL, NULL, 1000000000, NULL);
		block_fault_clear(held.faulty);
	}
	if (crash(rig, &held, 4)) {
		printf("after %llu: %s\n", (unsigned long long)after, rig->error.text);
		CU_FAIL_FATAL("it cannot go on");
	}
	CU_ASSERT(rig_holds(rig, 0, grow.array_size, 1));
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, grow.array_size, 1));
	rig_stop(rig);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(block_write_zeroes(rig->memory[i], 0, RIG_SIZE, 0), 0);
	drop_backup_file(&held);
	return rc != 0;
}

static void goes_on_from_where_some_say(struct raid_rig *rig)
{
	uint64_t after = 0;

	while (parts(rig, after))
		after++;
	CU_ASSERT(after > 5);
}

static void test_goes_on_from_where_some_say(void)
{
	rig_run(goes_on_from_where_some_say);
}

static void test_does_not_begin(void)
{
	rig_run(does_not_begin);
}

UNIT_MAIN("reshape with a backup that cannot be written", UNIT(test_does_not_begin),
	  UNIT(test_leaves_others_alone), UNIT(test_goes_on_when_written_again),
	  UNIT(test_goes_on_from_where_some_say))
