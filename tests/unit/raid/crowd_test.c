/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members as they come in large and old rooms: many of them, of different logical blocks, that become shorter, and that are one and the same. Virtual
 * time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"

#define DATA (1u << 20) /* data_offset of so small a device */

static enum raid_metadata const versions[] = { RAID_METADATA_1_0, RAID_METADATA_1_1,
					       RAID_METADATA_1_2 };

static struct raid_progress scrub(struct raid_rig *rig, bool repair, bool force)
{
	struct raid_progress progress;
	struct raid_status status;

	CU_ASSERT_EQUAL_FATAL(force ? raid_repair_anyway(rig->array, &rig->error)
				    : raid_scrub_start(rig->array, repair, &rig->error),
			      0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	progress = status.progress;
	raid_status_free(&status);
	return progress;
}

/* Nobody is failed, or has a bad block. */
static bool all_are_good(struct raid_rig *rig)
{
	struct raid_status status;
	bool good;

	raid_status(rig->array, &status);
	good = status.working == status.raid_disks;
	for (unsigned i = 0; i < status.member_count; i++)
		good = good && !status.members[i].bad_blocks;
	raid_status_free(&status);
	return good;
}

/* ---- Logical blocks of 512 and of 4096 ---- */

static void set_blocks(struct raid_rig *rig, unsigned disk, uint32_t bytes)
{
	rig->memory[disk]->logical_block_size = rig->memory[disk]->physical_block_size = bytes;
	rig->disk[disk]->logical_block_size = rig->disk[disk]->physical_block_size = bytes;
}

static const struct {
	int level;
	const char *layout;
	unsigned disks;
} mixed[] = { { 1, NULL, 3 }, { 1, NULL, 2 },  { 4, NULL, 3 }, { 5, NULL, 3 },
	      { 6, NULL, 5 }, { 10, NULL, 4 }, { 10, "f2", 3 } };

/* What is wrong is a sector, and what can be written is a block. */
static void mixes_blocks(struct raid_rig *rig, unsigned kind, enum raid_metadata version)
{
	const struct raid_create_options options = { .name = "x",
						     .level = mixed[kind].level,
						     .layout = mixed[kind].layout,
						     .chunk = mixed[kind].level == 1 ? 0 : 16384,
						     .metadata = version,
						     .bitmap = RAID_BITMAP_INTERNAL,
						     .bitmap_chunk = 65536 };
	unsigned disks = mixed[kind].disks;
	uint8_t small[512] = { 0 };
	struct raid_progress progress;
	struct raid_info info;
	uint64_t size;

	for (unsigned i = 1; i < disks; i++)
		set_blocks(rig, i, 4096);
	rig_create(rig, disks, &options);
	rig_wait(rig);
	CU_ASSERT_EQUAL(raid_array_block(rig->array)->logical_block_size, 4096);
	size = rig_array_size(rig);
	CU_ASSERT_EQUAL(size % 4096, 0);
	CU_ASSERT_EQUAL(block_write(raid_array_block(rig->array), 512, small, 512, 0), -EINVAL);
	rig_write(rig, 0, size, 1);
	CU_ASSERT_EQUAL_FATAL(raid_probe(rig->memory[1], &info, &rig->error), 1);
	block_fault_rot(rig->disk[1], info.data_offset + 8704, 512, 5);
	progress = scrub(rig, false, false);
	CU_ASSERT_EQUAL(progress.mismatches, 512);
	progress = scrub(rig, true, false);
	progress = scrub(rig, true, true);
	progress = scrub(rig, false, false);
	CU_ASSERT_EQUAL(progress.mismatches, 0);
	CU_ASSERT(all_are_good(rig));
	rig_write(rig, 0, size, 2);
	/* It cannot be read, and is made good; then it is filled anew. */
	rig_break(rig, disks - 1, BLOCK_FAULT_READ, info.data_offset + 4096, 512);
	CU_ASSERT(rig_holds(rig, 0, size, 2));
	block_fault_clear(rig->disk[disks - 1]);
	CU_ASSERT_EQUAL(raid_fail(rig->array, rig->disk[1]->name, &rig->error), 0);
	rig_write(rig, 4096, 8192, 3);
	CU_ASSERT_EQUAL(raid_remove(rig->array, rig->disk[1]->name, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 0);
	rig_stop(rig);
	rig_assemble(rig, disks, NULL);
	CU_ASSERT(rig_holds(rig, 4096, 8192, 3));
	CU_ASSERT(rig_holds(rig, 12288, size - 12288, 2));
}

/* One of larger blocks than the array has cannot come later: who uses the array knows it by these. */
static void keeps_its_blocks(struct raid_rig *rig)
{
	rig_create(rig, 3,
		   &(struct raid_create_options){ .name = "x", .level = 5, .assume_clean = true });
	set_blocks(rig, 3, 4096);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), -EINVAL);
	CU_ASSERT_EQUAL(raid_array_block(rig->array)->logical_block_size, 512);
}

static unsigned kind_now;
static enum raid_metadata version_now;

static void mixes(struct raid_rig *rig)
{
	mixes_blocks(rig, kind_now, version_now);
}

static void test_mixed_blocks(void)
{
	for (kind_now = 0; kind_now < ARRAY_SIZE(mixed); kind_now++) {
		for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
			version_now = versions[i];
			rig_run(mixes);
		}
	}
	rig_run(keeps_its_blocks);
}

/* ---- Members that become shorter ---- */

/* As a file answers that was truncated to `size`: see block.h. */
static void cut_short(struct raid_rig *rig, unsigned disk, uint64_t size)
{
	block_fault_add(rig->disk[disk], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								     .offset = size,
								     .length = RIG_SIZE - size,
								     .action = BLOCK_FAULT_ERROR,
								     .error = -ENXIO });
	block_fault_add(rig->disk[disk],
			&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
						    .action = BLOCK_FAULT_ERROR,
						    .error = -ENXIO });
}

/* In use: it is failed, and nothing is lost. Between two openings: it is left out, and none is filled by what it has not. */
static void shortens(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x",
						     .level = mixed[kind_now].level,
						     .layout = mixed[kind_now].layout,
						     .chunk =
							     mixed[kind_now].level == 1 ? 0 : 16384,
						     .assume_clean = true };
	unsigned disks = mixed[kind_now].disks;
	uint64_t size;

	rig_create(rig, disks, &options);
	size = rig_array_size(rig);
	rig_write(rig, 0, size, 1);
	cut_short(rig, 1, DATA + 65536);
	rig_write(rig, 0, size / 2, 2);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_FAULTY);
	CU_ASSERT(rig_holds(rig, 0, size / 2, 2));
	CU_ASSERT(rig_holds(rig, size / 2, size / 2, 1));
	rig_stop(rig);
	block_fault_clear(rig->disk[1]);
	rig_assemble(rig, disks, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
	CU_ASSERT_EQUAL(raid_add_over(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(scrub(rig, false, false).mismatches, 0);
	rig_stop(rig);
	rig->disk[1]->size -= 65536;
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, disks,
				      &(struct raid_assemble_options){ .refuse_degraded = true },
				      &rig->error),
			-ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "it was made shorter"));
	rig_assemble(rig, disks, NULL);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_STALE);
	CU_ASSERT(rig_holds(rig, 0, size / 2, 2));
	CU_ASSERT(rig_holds(rig, size / 2, size / 2, 1));
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), -ENOSPC);
	rig_stop(rig);
	rig->disk[1]->size += 65536;
}

static void test_shorter(void)
{
	for (kind_now = 0; kind_now < ARRAY_SIZE(mixed); kind_now++)
		rig_run(shortens);
}

/* ---- One device twice ---- */

static void comes_twice(struct raid_rig *rig)
{
	struct block *twice[3] = { rig->disk[0], rig->disk[1], rig->disk[0] };
	struct raid_new_member members[3] = { { .block = rig->disk[0] },
					      { .block = rig->disk[1] },
					      { .block = rig->disk[0] } };
	struct raid_create_options options = { .name = "x", .level = 5, .assume_clean = true };
	static uint8_t bytes[RIG_SIZE];

	CU_ASSERT_EQUAL(raid_create(&rig->array, members, 3, &options, &rig->error), -EINVAL);
	CU_ASSERT_EQUAL(rig_writes(rig, 0), 0);
	rig->array = NULL;
	rig_create(rig, 3, &options);
	rig_write(rig, 0, 65536, 1);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), -EBUSY);
	rig_stop(rig);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, twice, 3, NULL, &rig->error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "given twice"));
	/* Another name for it, and a copy of it, look the same. */
	block_read(rig->memory[0], 0, bytes, RIG_SIZE);
	block_write(rig->memory[3], 0, bytes, RIG_SIZE, 0);
	twice[2] = rig->disk[3];
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, twice, 3, NULL, &rig->error), -EEXIST);
	rig->array = NULL;
}

static void test_twice(void)
{
	rig_run(comes_twice);
}

/* ---- Many ---- */

#define MANY 70u

struct many {
	struct block *disks[MANY];
	struct raid_array *array;
	struct error error;
};

static void fill(uint8_t *bytes, uint64_t length, uint8_t seed)
{
	for (uint64_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 ^ i >> 9 ^ i >> 17 ^ seed);
}

static bool holds(struct many *many, const uint8_t *expected, uint64_t size)
{
	uint8_t *found = calloc(1, size);
	bool same = !block_read(raid_array_block(many->array), 0, found, size) &&
		    !memcmp(found, expected, size);

	free(found);
	return same;
}

/* Of so many the last and one in the middle are missing, and are filled again by spares. */
static void play_many(struct many *many, int level, unsigned count)
{
	struct raid_create_options options = {
		.name = "x", .level = level, .chunk = level == 1 ? 0 : 16384, .assume_clean = false
	};
	struct raid_new_member members[MANY] = { 0 };
	struct block *left[MANY];
	unsigned lost = level == 6 ? 2 : 1, kept = 0;
	uint8_t *bytes;
	uint64_t size;

	for (unsigned i = 0; i < count; i++)
		members[i].block = many->disks[i];
	CU_ASSERT_EQUAL_FATAL(raid_create(&many->array, members, count, &options, &many->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(many->array, NULL, NULL, 1000000000, NULL), 0);
	size = raid_array_block(many->array)->size;
	bytes = malloc(size);
	fill(bytes, size, (uint8_t)count);
	CU_ASSERT_EQUAL(block_write(raid_array_block(many->array), 0, bytes, size, 0), 0);
	CU_ASSERT_EQUAL(raid_stop(many->array, &many->error), 0);
	for (unsigned i = 0; i < count; i++)
		if (i != count - 1 && (i != count / 2 || lost < 2))
			left[kept++] = many->disks[i];
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&many->array, left, kept, NULL, &many->error), 0);
	CU_ASSERT(holds(many, bytes, size));
	for (unsigned i = 0; i < lost; i++)
		CU_ASSERT_EQUAL(raid_add(many->array, many->disks[MANY - 1 - i], &many->error), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(many->array, NULL, NULL, 1000000000, NULL), 0);
	CU_ASSERT_EQUAL(raid_array_working(many->array), count);
	CU_ASSERT_EQUAL(raid_scrub_start(many->array, false, NULL), 0);
	CU_ASSERT_EQUAL(raid_rebuild_wait(many->array, NULL, NULL, 1000000000, NULL), 0);
	CU_ASSERT_EQUAL(many->array->rebuild.mismatches + many->array->rebuild.skipped, 0);
	CU_ASSERT(holds(many, bytes, size));
	CU_ASSERT_EQUAL(raid_stop(many->array, &many->error), 0);
	free(bytes);
}

static int on_fiber(void *arg)
{
	static const struct {
		int level;
		unsigned count;
	} kinds[] = {
		{ 1, 30 }, { 10, 25 }, { 10, 64 }, { 4, 33 }, { 5, 65 }, { 6, 26 }, { 6, 66 }
	};
	struct many *many = arg;

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned i = 0; i < MANY; i++) {
			char name[16];

			snprintf(name, sizeof(name), "disk%u", i);
			CU_ASSERT_EQUAL_FATAL(block_create_memory(&many->disks[i], name,
								  DATA + (256u << 10),
								  &many->error),
					      0);
		}
		play_many(many, kinds[k].level, kinds[k].count);
		for (unsigned i = 0; i < MANY; i++)
			block_unref(many->disks[i]);
	}
	return 0;
}

static void test_many(void)
{
	const struct worker_options options = { .virtual_clock = true, .seed = 5 };
	struct many many = { 0 };
	struct worker *worker;

	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, &many.error), 0);
	worker_run(worker, on_fiber, &many);
	worker_destroy(worker);
}

UNIT_MAIN("raid crowd", UNIT(test_mixed_blocks), UNIT(test_shorter), UNIT(test_twice),
	  UNIT(test_many))
