/* SPDX-License-Identifier: BSD-2-Clause */
/* Layouts by name, levels without redundancy, and arrays that cannot be. Virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/geometry.h"
#include "raid/md_superblock.h"
#include "raid_rig.h"
#include "util/bytes.h"

#define MIB (1u << 20)

static void test_layout_names(void)
{
	static const struct {
		int level;
		const char *text;
		uint32_t layout;
	} good[] = { { 10, "n2", 0x102 },        { 10, "far=2", 0x201 }, { 10, "o3", 0x10301 },
		     { 10, "0x40201", 0x40201 }, { 10, NULL, 0x102 },    { 5, "ls", 2 },
		     { 6, "ddf-N-restart", 9 },  { 5, NULL, 2 },         { 0, "alternate", 2 },
		     { 5, "parity-first", 4 },   { 1, NULL, 0 } };
	static const struct {
		int level;
		const char *text;
	} bad[] = { { 10, "n1" },
		    { 10, "x2" },
		    { 10, "n2x" },
		    { 5, "left-symmetric-6" },
		    { 1, "n2" },
		    { 0, "0x" },
		    { RAID_LEVEL_LINEAR, "1" },
		    { 10, "n256" } };
	uint32_t layout;

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(
			raid_geometry_layout_parse(good[i].level, good[i].text, &layout, NULL), 0);
		CU_ASSERT_EQUAL(layout, good[i].layout);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(raid_geometry_layout_parse(bad[i].level, bad[i].text, &layout,
							   NULL),
				-EINVAL);
}

/* ---- RAID0 and linear ---- */

/* Members of 4, 3, 3 and 2 MiB. */
static const uint64_t sizes[] = { 4 * MIB, 3 * MIB, 3 * MIB, 2 * MIB };

static void cut_disks(struct raid_rig *rig)
{
	for (unsigned i = 0; i < 4; i++) {
		struct block *slice;

		CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, rig->disk[i]->name, rig->disk[i],
							 0, sizes[i], &rig->error),
				      0);
		block_unref(rig->disk[i]);
		rig->disk[i] = slice;
	}
}

static void maps(struct raid_rig *rig, int level, const char *name)
{
	const struct raid_create_options options = {
		.name = "x", .level = level, .layout = name, .chunk = level ? 0 : 65536
	};
	struct block *order[4];
	struct raid_status status;

	cut_disks(rig);
	rig_create(rig, 4, &options);
	CU_ASSERT_EQUAL(rig_array_size(rig), 8 * MIB);
	rig_write(rig, 0, 8 * MIB, 9);
	CU_ASSERT_EQUAL(block_flush(raid_array_block(rig->array)), 0);
	raid_status(rig->array, &status);
	CU_ASSERT(status.clean && !status.degraded && !status.failed);
	/* Nothing was ever dirty. */
	CU_ASSERT_EQUAL(status.counters.superblock_updates, 1);
	raid_status_free(&status);
	CU_ASSERT_EQUAL(raid_fail(rig->array, "disk2", &rig->error), -EBUSY);
	CU_ASSERT_EQUAL(raid_scrub_start(rig->array, false, &rig->error), -EOPNOTSUPP);
	rig_stop(rig);
	CU_ASSERT_EQUAL(raid_assemble(&rig->array, rig->disk, 3, NULL, &rig->error), -ENODEV);
	for (unsigned i = 0; i < 4; i++)
		order[i] = rig->disk[3 - i];
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, order, 4, NULL, &rig->error), 0);
	CU_ASSERT(rig_holds(rig, 0, 8 * MIB, 9));
}

/* What disk `disk` has at a byte of its data, as a byte of the array. */
static void expect_at(struct raid_rig *rig, unsigned disk, uint64_t at, uint64_t array_at)
{
	uint8_t found[512], expected[512];

	CU_ASSERT_EQUAL(block_read(rig->disk[disk], MIB + at, found, 512), 0);
	CU_ASSERT_EQUAL(block_read(raid_array_block(rig->array), array_at, expected, 512), 0);
	CU_ASSERT_EQUAL(memcmp(found, expected, 512), 0);
}

/* The first zone has 4 MiB, 64 chunks, in 16 rows of four members; the second 48, of three: chunk 64 is the first
 * of the zone, and the 65th of the array, which leaves 1 by three. */
static void original(struct raid_rig *rig)
{
	maps(rig, 0, "original");
	expect_at(rig, 1, MIB, 64 * 65536);
	expect_at(rig, 2, MIB, 65 * 65536);
	expect_at(rig, 0, MIB + 65536 - 512, 67 * 65536 - 512);
	expect_at(rig, 0, 2 * MIB, 7 * MIB);
}

static void alternate(struct raid_rig *rig)
{
	maps(rig, 0, "alternate");
	expect_at(rig, 0, MIB, 64 * 65536);
	expect_at(rig, 2, MIB + 65536 - 512, 67 * 65536 - 512);
	expect_at(rig, 0, 2 * MIB, 7 * MIB);
}

static void linear(struct raid_rig *rig)
{
	maps(rig, RAID_LEVEL_LINEAR, NULL);
	expect_at(rig, 1, 0, 3 * MIB);
	expect_at(rig, 2, 2 * MIB - 512, 7 * MIB - 512);
	expect_at(rig, 3, 0, 7 * MIB);
}

static void test_raid0_zones(void)
{
	rig_run(original);
	rig_run(alternate);
}

static void test_linear(void)
{
	rig_run(linear);
}

static void refuses(struct raid_rig *rig)
{
	struct raid_new_member three[3] = { { .block = rig->disk[0] },
					    { .block = NULL },
					    { .block = rig->disk[1] } };
	struct raid_create_options options = { .name = "x", .level = 0 };

	CU_ASSERT_EQUAL(raid_create(&rig->array, three, 3, &options, &rig->error), -EINVAL);
	options.level = 10;
	options.chunk = 12345;
	CU_ASSERT_EQUAL(raid_create(&rig->array, three, 3, &options, &rig->error), -EINVAL);
	options.chunk = 65536;
	options.layout = "n4";
	CU_ASSERT_EQUAL(raid_create(&rig->array, three, 3, &options, &rig->error), -EINVAL);
	options.layout = NULL;
	three[2].block = NULL;
	CU_ASSERT_EQUAL(raid_create(&rig->array, three, 3, &options, &rig->error), -EINVAL);
	three[0].spare = true;
	three[2] = three[0];
	options.level = 0;
	CU_ASSERT_EQUAL(raid_create(&rig->array, three, 3, &options, &rig->error), -EINVAL);
	rig->array = NULL;
}

static void test_refuses(void)
{
	rig_run(refuses);
}

static void take_over(struct raid_rig *rig, uint32_t recorded)
{
	static const struct raid_create_options options = { .name = "x",
							    .level = 0,
							    .chunk = 4096 };
	struct md_superblock *sb = calloc(1, sizeof(*sb));
	bool found;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sb);
	rig_create(rig, 2, &options);
	rig_stop(rig);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(md_superblock_find(rig->disk[i], sb, &found, NULL), 0);
		sb->chunk_sectors = 12;
		sb->logical_block_size = recorded;
		CU_ASSERT_EQUAL_FATAL(md_superblock_write(rig->disk[i], sb), 0);
	}
	free(sb);
}

static void expect_refused(struct raid_rig *rig)
{
	int rc = raid_assemble(&rig->array, rig->disk, 2, NULL, &rig->error);

	CU_ASSERT_EQUAL(rc, -EINVAL);
	if (!rc)
		rig_stop(rig);
	rig->array = NULL;
	CU_ASSERT_PTR_NOT_NULL(
		strstr(rig->error.text, "chunk is 12 sectors, expected a multiple of 8"));
}

/* Chunks of 6 KiB: md starts it where blocks have 512 bytes, and refuses it where they have 4096. */
static void blocks_of_two(struct raid_rig *rig)
{
	take_over(rig, 0);
	CU_ASSERT_EQUAL_FATAL(raid_assemble(&rig->array, rig->disk, 2, NULL, &rig->error), 0);
	rig_stop(rig);
	rig->disk[1]->logical_block_size = 4096;
	expect_refused(rig);
}

/* The superblocks themselves may say so, whatever the members are. */
static void blocks_by_superblock(struct raid_rig *rig)
{
	take_over(rig, 4096);
	expect_refused(rig);
}

static void test_raid0_blocks(void)
{
	rig_run(blocks_of_two);
	rig_run(blocks_by_superblock);
}

UNIT_MAIN("raid levels", UNIT(test_layout_names), UNIT(test_raid0_zones), UNIT(test_linear),
	  UNIT(test_refuses), UNIT(test_raid0_blocks))
