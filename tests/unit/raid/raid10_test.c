/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID10: where it keeps its copies, and that nothing is lost with a member. Virtual time. TORTURE=1 plays more; SEED=n
 * begins elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid/raid10_geometry.h"
#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"

#define MIB (1u << 20)

/* ---- Where RAID10 keeps its copies ---- */

#define SLOTS (8 * 64)

/* Every place of every member is that of one chunk at most, and the way back leads there. */
static void check_shape(const struct raid_geometry *g)
{
	struct raid10_shape shape = raid10_shape(g);
	uint64_t taken[SLOTS];

	memset(taken, 0xff, sizeof(taken));
	CU_ASSERT(shape.member_sectors <= g->member_sectors);
	for (uint64_t sector = 0; sector < shape.sectors; sector += shape.chunk) {
		for (unsigned copy = 0; copy < shape.near * shape.far; copy++) {
			uint32_t role;
			uint64_t at = raid10_place(&shape, sector, copy, &role), slot;

			CU_ASSERT_FATAL(role < g->disks &&
					at + shape.chunk <= shape.member_sectors);
			slot = role * 64 + at / shape.chunk;
			CU_ASSERT_EQUAL_FATAL(taken[slot], UINT64_MAX);
			taken[slot] = sector;
			CU_ASSERT_EQUAL(raid10_find(&shape, role, at + 3), sector + 3);
		}
	}
	for (uint64_t slot = 0; slot < SLOTS; slot++) {
		uint64_t at = slot % 64 * shape.chunk;

		if (slot / 64 < g->disks && at < shape.member_sectors && taken[slot] == UINT64_MAX)
			CU_ASSERT(raid10_find(&shape, (uint32_t)(slot / 64), at) >= shape.sectors);
	}
}

static void test_raid10_places(void)
{
	static const uint32_t kinds[] = { 0, RAID10_LAYOUT_OFFSET, RAID10_LAYOUT_FAR_SETS,
					  RAID10_LAYOUT_OFFSET | RAID10_LAYOUT_FAR_SETS,
					  RAID10_LAYOUT_FAR_SETS_OLD };
	unsigned checked = 0;

	for (uint32_t disks = 2; disks <= 8; disks++) {
		for (uint32_t n = 0; n < 4 * 4 * 5 * 40; n++) {
			uint32_t near = n % 4 + 1, far = n / 4 % 4 + 1;
			struct raid_geometry g = { 10, near | far << 8 | kinds[n / 16 % 5], 8,
						   disks, 8 * (n / 80 + 4) };

			if (raid_geometry_check(10, g.layout, 8, disks, NULL))
				continue;
			check_shape(&g);
			checked++;
		}
	}
	CU_ASSERT(checked > 1000);
}

/* What the kernel would mix up is refused. */
static void test_raid10_refused(void)
{
	CU_ASSERT_EQUAL(raid_geometry_check(10, 0x40202, 8, 9, NULL), -EINVAL);
	CU_ASSERT_EQUAL(raid_geometry_check(10, 0x40202, 8, 8, NULL), 0);
	CU_ASSERT_EQUAL(raid_geometry_check(10, 0x60201, 8, 4, NULL), -EINVAL);
	CU_ASSERT_EQUAL(raid_geometry_check(10, 0x101, 8, 4, NULL), -EINVAL);
	CU_ASSERT_EQUAL(raid_geometry_check(10, 0x104, 8, 3, NULL), -EINVAL);
}

/* ---- With members lost ---- */

static uint64_t mismatches(struct raid_rig *rig)
{
	struct raid_status status;
	uint64_t bytes;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.progress.skipped, 0);
	bytes = status.progress.mismatches;
	raid_status_free(&status);
	return bytes;
}

/* Each member in turn goes, and comes back empty. */
static void lose_each(struct raid_rig *rig, unsigned count)
{
	uint64_t size = rig_array_size(rig);

	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(raid_fail(rig->array, rig->disk[i]->name, &rig->error), 0);
		CU_ASSERT_EQUAL(raid_remove(rig->array, rig->disk[i]->name, &rig->error), 0);
		CU_ASSERT(rig_holds(rig, 0, size, (uint8_t)i));
		rig_write(rig, 0, size, (uint8_t)(i + 1));
		CU_ASSERT(rig_holds(rig, 0, size, (uint8_t)(i + 1)));
		CU_ASSERT_EQUAL(block_write_zeroes(rig->memory[i], 0, RIG_SIZE, 0), 0);
		CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[i], &rig->error), 0);
		rig_wait(rig);
		CU_ASSERT_EQUAL(rig_state(rig, i), RAID_MEMBER_IN_SYNC);
		CU_ASSERT(rig_holds(rig, 0, size, (uint8_t)(i + 1)));
		CU_ASSERT_EQUAL(mismatches(rig), 0);
	}
}

static const char *layout;
static unsigned members;

static void survives_each_loss(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "x", .level = 10, .layout = layout, .chunk = 65536
	};

	rig_create(rig, members, &options);
	rig_wait(rig);
	rig_write(rig, 0, rig_array_size(rig), 0);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	lose_each(rig, members);
	rig_stop(rig);
	rig_assemble(rig, members, NULL);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), (uint8_t)members));
}

static void test_raid10_survives_each_loss(void)
{
	static const char *const layouts[] = { "n2",      "f2",      "o2",     "n3",
					       "0x40201", "0x50201", "0x20201" };

	/* Of the old far sets, three members have one each: no second copy elsewhere. */
	for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		for (members = strcmp(layouts[i], "0x20201") ? 3 : 4; members <= 4; members++) {
			layout = layouts[i];
			rig_run(survives_each_loss);
		}
	}
}

/* Which losses are one too many depends on who they are. */
static void knows_what_is_too_many(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x", .level = 10, .chunk = 65536 };
	struct block *pair[2] = { rig->disk[0], rig->disk[3] };
	struct raid_status status;

	rig_create(rig, 4, &options);
	rig_wait(rig);
	rig_write(rig, 0, rig_array_size(rig), 5);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.working, 2);
	CU_ASSERT(!status.failed && status.degraded);
	raid_status_free(&status);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 5));
	rig_stop(rig);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 1, NULL, &rig->error), -ENODEV);
	rig->array = NULL;
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "place 1"));
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, pair, 2, NULL, &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 5));
}

static void test_raid10_knows_what_is_too_many(void)
{
	rig_run(knows_what_is_too_many);
}

/* Disks 0 and 1 have the same chunks; both miss what was written last, disk0 more of it. */
static void is_forced(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "x", .level = 10, .chunk = 65536, .assume_clean = true
	};
	const struct raid_assemble_options force = { .force = true };
	struct raid_status status;
	uint8_t *kept;

	rig_create(rig, 4, &options);
	rig_write(rig, 0, 2 * MIB, 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	rig_write(rig, 0, 2 * MIB, 2);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	rig_write(rig, 0, 2 * MIB, 3);
	rig_stop(rig);
	/* What disk1 was at event so and so, as if its cable had come off then. */
	kept = malloc(RIG_SIZE);
	block_read(rig->memory[1], 0, kept, RIG_SIZE);
	rig_assemble(rig, 4, NULL);
	rig_write(rig, 0, 65536, 4);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), 0);
	rig_wait(rig);
	rig_stop(rig);
	block_write(rig->memory[1], 0, kept, RIG_SIZE, 0);
	block_write_zeroes(rig->memory[0], 0, 2 * MIB, 0);
	free(kept);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk + 1, 3, NULL, &rig->error), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.advice, "--force` takes disk1 as it is"));
	rig->array = NULL;
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk + 1, 3, &force, &rig->error), 0);
	raid_status(rig->array, &status);
	CU_ASSERT(!status.failed);
	CU_ASSERT_EQUAL(status.working, 2);
	raid_status_free(&status);
	/* disk2's place is disk3's, too: it is not taken. */
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_STALE);
	CU_ASSERT(rig_holds(rig, 65536, 2 * MIB - 65536, 3));
	rig_stop(rig);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk + 1, 3, NULL, &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 65536, 2 * MIB - 65536, 3));
}

static void test_raid10_is_forced(void)
{
	rig_run(is_forced);
}

/* The first copy is the one that is wrong; the two others say so. */
static void two_of_three_are_right(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x",
						     .level = members == 3 ? 1 : 10,
						     .layout = members == 3 ? NULL : "n3",
						     .chunk = members == 3 ? 0 : 65536,
						     .assume_clean = true };
	uint64_t size;

	rig_create(rig, members, &options);
	size = rig_array_size(rig);
	rig_write(rig, 0, size, 1);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(block_fault_rot(rig->disk[i], MIB + 65536 * (i + 1), 4096, 40), 0);
	CU_ASSERT_NOT_EQUAL(mismatches(rig), 0);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
}

static void test_two_of_three_are_right(void)
{
	for (members = 3; members <= 4; members++)
		rig_run(two_of_three_are_right);
}

/* Each pair's other half is enough to run on, too. */
static void halves_ran_apart(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "x", .level = 10, .chunk = 65536, .assume_clean = true
	};
	struct block *halves[2][2] = { { rig->disk[0], rig->disk[2] },
				       { rig->disk[1], rig->disk[3] } };

	rig_create(rig, 4, &options);
	rig_write(rig, 0, 2 * MIB, 1);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, halves[i], 2, NULL, &rig->error),
				      0);
		CU_ASSERT(rig_holds(rig, 0, 2 * MIB, 1));
		rig_write(rig, 0, 2 * MIB, (uint8_t)(2 + i));
		rig_stop(rig);
	}
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 4, NULL, &rig->error), -ESTALE);
	/* One of them is chosen, and the other added over. */
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, halves[1], 2, NULL, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[0], &rig->error), -ESTALE);
	for (unsigned i = 0; i < 4; i += 2)
		CU_ASSERT_EQUAL(raid_add_over(rig->array, rig->disk[i], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT(rig_holds(rig, 0, 2 * MIB, 3));
	CU_ASSERT_EQUAL(mismatches(rig), 0);
}

static void test_raid10_halves_ran_apart(void)
{
	rig_run(halves_ran_apart);
}

/* A read error is made good from the copy, at its own place there. */
static void makes_read_errors_good(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "x", .level = 10, .layout = "f2", .chunk = 65536, .assume_clean = true
	};
	struct raid_status status;
	int rule;

	rig_create(rig, 3, &options);
	rig_write(rig, 0, rig_array_size(rig), 1);
	rule = block_fault_add(rig->disk[0],
			       &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							   .offset = MIB + 8192,
							   .length = 4096,
							   .count = 2 + 8,
							   .action = BLOCK_FAULT_ERROR,
							   .error = -EIO });
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(rig_holds(rig, 0, rig_array_size(rig), 1));
	CU_ASSERT_EQUAL(block_fault_hits(rig->disk[0], rule), 2 + 8);
	raid_status(rig->array, &status);
	CU_ASSERT_EQUAL(status.counters.made_good, 1);
	CU_ASSERT_EQUAL(status.working, 3);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
}

static void test_raid10_makes_read_errors_good(void)
{
	rig_run(makes_read_errors_good);
}

/* Taken back by the bitmap, only what changed is copied. */
static void comes_back_by_bitmap(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x",
						     .level = 10,
						     .layout = layout,
						     .chunk = 4096,
						     .bitmap = RAID_BITMAP_INTERNAL,
						     .bitmap_chunk = 65536,
						     .assume_clean = true };
	struct raid_status status;
	uint64_t at;

	rig_create(rig, 4, &options);
	at = rig_array_size(rig) / 2 / 4096 * 4096;
	rig_write(rig, 0, rig_array_size(rig), 1);
	fiber_sleep(60000000000ull); /* bits are cleared */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk2", &rig->error), 0);
	rig_write(rig, at, 65536, 2);
	CU_ASSERT_EQUAL(raid_add_back(rig->array, rig->disk[2], &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	CU_ASSERT(status.counters.skipped_bytes > MIB);
	CU_ASSERT_EQUAL(status.working, 4);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
	CU_ASSERT(rig_holds(rig, at, 65536, 2));
}

static void test_raid10_comes_back_by_bitmap(void)
{
	static const char *const layouts[] = { "n2", "f2", "o2" };

	for (unsigned i = 0; i < 3; i++) {
		layout = layouts[i];
		rig_run(comes_back_by_bitmap);
	}
}

static unsigned bad_ranges(struct raid_rig *rig, unsigned disk)
{
	struct raid_status status;
	unsigned count = 0;

	raid_status(rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (!strcmp(status.members[i].device, rig->disk[disk]->name))
			count = status.members[i].bad_blocks;
	}
	raid_status_free(&status);
	return count;
}

/* disk2 was filled while disk0 could not read chunk 2's far copy, half a member below its data's start: disk0 alone has
 * it, at another place than disk2 would. */
static void keeps_the_only_copy(struct raid_rig *rig)
{
	const struct raid_create_options options = {
		.name = "x", .level = 10, .layout = "f2", .chunk = 65536, .assume_clean = true
	};
	struct raid_new_member two[3] = { { .block = rig->disk[0] }, { .block = rig->disk[1] } };
	uint64_t size, bad = 2 * 65536 + 8192;
	int rule;

	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, two, 3, &options, &rig->error), 0);
	size = rig_array_size(rig);
	rig_write(rig, 0, size, 1);
	rule = rig_break(rig, 0, BLOCK_FAULT_READ, MIB + MIB * 3 / 2 + 8192, 4096);
	CU_ASSERT(!rig_holds(rig, bad, 4096, 1));
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[2], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 2), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(bad_ranges(rig, 2), 1);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "4096 bytes at byte 139264"));
	/* The others may go. */
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	/* Once it can be read again, it is read from there, and a repair fills the other copy. */
	block_fault_remove(rig->disk[0], rule);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(bad_ranges(rig, 2), 0);
	rig_stop(rig);
	rig_assemble(rig, 3, NULL);
	CU_ASSERT_EQUAL(bad_ranges(rig, 2), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk0", &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, size, 1));
}

static void test_raid10_keeps_the_only_copy(void)
{
	rig_run(keeps_the_only_copy);
}

/* Its place was given to a spare meanwhile, and another is empty: what it has is of no use there. */
static void comes_back_to_another_place(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x",
						     .level = 10,
						     .chunk = 65536,
						     .bitmap = RAID_BITMAP_INTERNAL,
						     .bitmap_chunk = 65536,
						     .assume_clean = true };
	struct raid_new_member three[4] = { { .block = rig->disk[0] },
					    { .block = rig->disk[1] },
					    { .block = rig->disk[2] },
					    { .block = NULL } };
	uint8_t *bytes = malloc(3 * MIB);

	memset(bytes, 0x5a, 3 * MIB);
	CU_ASSERT_EQUAL(block_write(rig->memory[2], MIB, bytes, 3 * MIB, 0), 0);
	free(bytes);
	CU_ASSERT_EQUAL_FATAL(raid_create(&rig->array, three, 4, &options, &rig->error), 0);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_remove(rig->array, "disk1", &rig->error), 0);
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[3], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 3), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(raid_add_back(rig->array, rig->disk[1], &rig->error), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error.text, "its place in md/x, 1, has been filled"));
	CU_ASSERT_EQUAL(raid_add(rig->array, rig->disk[1], &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(rig_state(rig, 1), RAID_MEMBER_IN_SYNC);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
}

static void test_raid10_comes_back_to_another_place(void)
{
	rig_run(comes_back_to_another_place);
}

/* ---- Anything, in any order, against a plain copy of the data ---- */

#define SECTORS 512u /* of 4 KiB that are looked at */

struct model {
	struct raid_rig *rig;
	struct random random;
	uint8_t seed[SECTORS];
};

static void write_somewhere(struct model *model)
{
	unsigned at = (unsigned)random_below(&model->random, SECTORS);
	unsigned count = 1 + (unsigned)random_below(&model->random, MIN(SECTORS - at, 64));
	uint8_t seed = (uint8_t)random_next(&model->random);

	rig_write(model->rig, at * 4096ull, count * 4096ull, seed);
	memset(model->seed + at, seed, count);
}

static bool all_is_there(struct model *model)
{
	for (unsigned at = 0, end; at < SECTORS; at = end) {
		for (end = at; end < SECTORS && model->seed[end] == model->seed[at];)
			end++;
		if (!rig_holds(model->rig, at * 4096ull, (end - at) * 4096ull, model->seed[at]))
			return false;
	}
	return true;
}

static uint64_t round_seed;

/* One that has seen none of the others, who were all made anew meanwhile, might have run apart. */
static void add_back(struct raid_rig *rig, unsigned disk)
{
	int rc = raid_add(rig->array, rig->disk[disk], &rig->error);

	if (rc == -ESTALE)
		rc = raid_add_over(rig->array, rig->disk[disk], &rig->error);
	if (rc)
		printf("seed %llu: add %s: %s\n", (unsigned long long)round_seed,
		       rig->disk[disk]->name, rig->error.text);
	CU_ASSERT_EQUAL(rc, 0);
}

static bool is_degraded(struct raid_rig *rig)
{
	struct raid_status status;
	bool degraded;

	raid_status(rig->array, &status);
	degraded = status.degraded;
	raid_status_free(&status);
	return degraded;
}

static void do_something(struct model *model)
{
	struct raid_rig *rig = model->rig;
	unsigned disk = (unsigned)random_below(&model->random, members);

	switch (random_below(&model->random, 10)) {
	case 0:
		raid_fail(rig->array, rig->disk[disk]->name, &rig->error);
		break;
	case 1:
	case 2:
		if (!raid_remove(rig->array, rig->disk[disk]->name, &rig->error))
			add_back(rig, disk);
		break;
	case 3:
		rig_wait(rig);
		break;
	case 4:
		/* What only one has cannot be read from another. */
		if (is_degraded(rig))
			break;
		rig_break(rig, disk, BLOCK_FAULT_READ,
			  MIB + random_below(&model->random, 700) * 4096, 4096);
		CU_ASSERT(all_is_there(model));
		block_fault_clear(rig->disk[disk]);
		break;
	case 5:
		rig_stop(rig);
		rig_assemble(rig, members, NULL);
		break;
	default:
		for (unsigned i = 0; i < 5; i++)
			write_somewhere(model);
		fiber_sleep(random_below(&model->random, 2) ? 1000000 : 20000000000ull);
	}
}

/* What a member could not give, nor take when it was written again, is in its log: a check leaves it out, a repair writes it. */
static void check_copies(struct raid_rig *rig)
{
	struct raid_status status;
	unsigned bad = 0;

	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), 0);
	rig_wait(rig);
	raid_status(rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		bad += status.members[i].bad_blocks;
	CU_ASSERT_EQUAL(status.progress.mismatches, 0);
	CU_ASSERT_EQUAL(status.progress.skipped != 0, bad != 0);
	raid_status_free(&status);
	if (!bad)
		return;
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, true, &rig->error), 0);
	rig_wait(rig);
	CU_ASSERT_EQUAL(mismatches(rig), 0);
}

static void anything(struct raid_rig *rig)
{
	const struct raid_create_options options = { .name = "x",
						     .level = 10,
						     .layout = layout,
						     .chunk = 4096u << round_seed % 5,
						     .bitmap = round_seed % 2 ? RAID_BITMAP_INTERNAL
									      : RAID_BITMAP_NONE,
						     .bitmap_chunk = 65536,
						     .rebuild_rate = 4 * MIB };
	struct model model = { .rig = rig };

	model.random.state = round_seed;
	rig_create(rig, members, &options);
	rig_write(rig, 0, SECTORS * 4096ull, 0);
	for (unsigned i = 0; i < 60; i++) {
		do_something(&model);
		if (!all_is_there(&model)) {
			printf("seed %llu, step %u\n", (unsigned long long)round_seed, i);
			CU_FAIL("data are lost");
			return;
		}
	}
	/* Whoever is out comes back, and all copies agree. */
	for (unsigned i = 0; i < members; i++) {
		if (!raid_remove(rig->array, rig->disk[i]->name, &rig->error))
			add_back(rig, i);
	}
	rig_wait(rig);
	check_copies(rig);
	CU_ASSERT(all_is_there(&model));
}

static void test_raid10_anything(void)
{
	static const char *const layouts[] = { "n2", "f2", "o2", "n3", "0x40201" };
	const char *first = getenv("SEED");
	uint64_t begin = first ? strtoull(first, NULL, 10) : 0;
	uint64_t end = begin + (getenv("TORTURE") ? 1000 : 30);

	for (round_seed = begin; round_seed < end; round_seed++) {
		layout = layouts[round_seed % 5];
		members = 3 + round_seed / 5 % 2;
		rig_run(anything);
	}
}

UNIT_MAIN("raid10", UNIT(test_raid10_places), UNIT(test_raid10_refused),
	  UNIT(test_raid10_survives_each_loss), UNIT(test_raid10_knows_what_is_too_many),
	  UNIT(test_raid10_makes_read_errors_good), UNIT(test_raid10_is_forced),
	  UNIT(test_two_of_three_are_right), UNIT(test_raid10_halves_ran_apart),
	  UNIT(test_raid10_comes_back_by_bitmap), UNIT(test_raid10_comes_back_to_another_place),
	  UNIT(test_raid10_keeps_the_only_copy), UNIT(test_raid10_anything))
