/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of several superblocks on a disk is taken: any number of them has a first, and that is found. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid/md_superblock_90.h"
#include "raid_rig.h"
#include "util/bytes.h"

#define SECTORS (RIG_SIZE / MD_SECTOR_SIZE)
#define AGES    3u

struct one {
	struct md_superblock sb;
	int rc;
};

static const unsigned versions[] = { MD_VERSION_90, 0, 1, 2 };
static const int results[] = { 0, -ENXIO, -EINVAL };

/* All kinds: place, what came of it, age, and whether its data end before the device does. */
static unsigned all_kinds(struct one *kinds)
{
	unsigned count = 0;

	for (unsigned v = 0; v < ARRAY_SIZE(versions); v++)
		for (unsigned r = 0; r < ARRAY_SIZE(results); r++)
			for (unsigned age = 0; age < AGES; age++)
				for (unsigned part = 0; part < 2; part++) {
					struct one *one = &kinds[count++];

					memset(one, 0, sizeof(*one));
					one->rc = results[r];
					one->sb.minor_version = versions[v];
					one->sb.ctime = 1000 + age;
					one->sb.data_offset = 2048;
					one->sb.data_size = SECTORS - 2048 - (part ? 64 : 0);
				}
	return count;
}

static bool is_better(const struct one *one, const struct one *other)
{
	return md_superblock_is_better(&one->sb, one->rc, &other->sb, other->rc, SECTORS);
}

static bool same_place(const struct one *one, const struct one *other)
{
	return one->sb.minor_version == other->sb.minor_version;
}

static void test_is_an_order(void)
{
	const unsigned most = ARRAY_SIZE(versions) * ARRAY_SIZE(results) * AGES * 2;
	struct one *kinds = malloc(most * sizeof(*kinds)), none = { .rc = -ENOENT };
	unsigned count = all_kinds(kinds), undecided = 0, circles = 0;

	CU_ASSERT_EQUAL_FATAL(count, most);
	for (unsigned a = 0; a < count; a++) {
		CU_ASSERT(is_better(&kinds[a], &none));
		CU_ASSERT_FALSE(is_better(&none, &kinds[a]));
		for (unsigned b = 0; b < count; b++) {
			if (same_place(&kinds[a], &kinds[b]))
				continue;
			undecided +=
				is_better(&kinds[a], &kinds[b]) == is_better(&kinds[b], &kinds[a]);
			for (unsigned c = 0; c < count; c++)
				circles += !same_place(&kinds[c], &kinds[a]) &&
					   !same_place(&kinds[c], &kinds[b]) &&
					   is_better(&kinds[a], &kinds[b]) &&
					   is_better(&kinds[b], &kinds[c]) &&
					   is_better(&kinds[c], &kinds[a]);
		}
	}
	CU_ASSERT_FALSE(is_better(&none, &none));
	CU_ASSERT_EQUAL(undecided, 0);
	CU_ASSERT_EQUAL(circles, 0);
	free(kinds);
}

/* ---- On a disk ---- */

static uint64_t place(unsigned version)
{
	uint64_t sector;

	CU_ASSERT_EQUAL_FATAL(md_superblock_place(version, SECTORS, &sector), 0);
	return sector;
}

/* A mirror's; its data go to the device's end, or to its superblock there, or `less` sectors less. */
static struct md_superblock mirror(unsigned version, uint64_t ctime, uint64_t less)
{
	bool at_end = version == 0 || version == MD_VERSION_90;
	struct md_superblock sb = { .minor_version = version,
				    .level = 1,
				    .raid_disks = 2,
				    .ctime = ctime,
				    .utime = ctime,
				    .resync_offset = MD_RESYNC_DONE,
				    .super_offset = place(version),
				    .max_dev = 2,
				    .roles = { 0, 1 } };

	sb.data_offset = at_end ? 0 : 2048;
	sb.data_size = (at_end ? sb.super_offset : SECTORS) - sb.data_offset - less;
	sb.size = round_down(sb.data_size, 128);
	memset(sb.set_uuid, (int)version + 1, sizeof(sb.set_uuid));
	memset(sb.device_uuid, (int)version + 17, sizeof(sb.device_uuid));
	return sb;
}

static void put(struct raid_rig *rig, struct md_superblock sb)
{
	CU_ASSERT_EQUAL_FATAL(md_superblock_write(rig->memory[0], &sb), 0);
}

static void put_90(struct raid_rig *rig, uint32_t ctime)
{
	const struct md90_device device = { .raid_disk = 0, .state = MD90_ACTIVE | MD90_SYNC };
	const struct md90_superblock sb = { .minor_version = 90,
					    .uuid = { 9 },
					    .ctime = ctime,
					    .utime = ctime,
					    .level = 1,
					    .size_kib = 1024,
					    .nr_disks = 2,
					    .raid_disks = 2,
					    .state = MD90_CLEAN,
					    .active_disks = 2,
					    .working_disks = 2,
					    .devices = { device },
					    .this_device = device };
	uint8_t page[MD90_BYTES];

	md90_encode(&sb, page);
	CU_ASSERT_EQUAL_FATAL(block_write(rig->memory[0], place(MD_VERSION_90) * MD_SECTOR_SIZE,
					  page, sizeof(page), 0),
			      0);
}

static unsigned found_version(struct raid_rig *rig)
{
	struct md_superblock sb = { .minor_version = 99 };
	bool found;

	CU_ASSERT_EQUAL(md_superblock_find(rig->memory[0], &sb, &found, &rig->error), 0);
	CU_ASSERT(found);
	return sb.minor_version;
}

static void clear(struct raid_rig *rig, unsigned version)
{
	CU_ASSERT_EQUAL(block_write_zeroes(rig->memory[0], place(version) * MD_SECTOR_SIZE,
					   MD_SUPERBLOCK_BYTES, 0),
			0);
}

/* Each was better than the next in a circle: one whose data end between the two places at the end was among those of the one, and younger than the other. */
static void three_on_a_disk(struct raid_rig *rig)
{
	uint64_t less = SECTORS - place(0);

	put(rig, mirror(0, 1000, 0));
	put(rig, mirror(2, 3000, less));
	CU_ASSERT_EQUAL(found_version(rig), 0);
	put_90(rig, 2000);
	CU_ASSERT_EQUAL(found_version(rig), MD_VERSION_90);
	/* Who is not taken changes nothing by going. */
	clear(rig, 0);
	CU_ASSERT_EQUAL(found_version(rig), MD_VERSION_90);
	put(rig, mirror(0, 1000, 0));
	clear(rig, 2);
	CU_ASSERT_EQUAL(found_version(rig), MD_VERSION_90);
	/* Of those that go to the end the younger array, as mdadm; and of two of one time the newer version. */
	put(rig, mirror(2, 3000, 0));
	CU_ASSERT_EQUAL(found_version(rig), 2);
	put(rig, mirror(1, 3001, 0));
	CU_ASSERT_EQUAL(found_version(rig), 1);
	put_90(rig, 3001);
	CU_ASSERT_EQUAL(found_version(rig), 1);
	put_90(rig, 3002);
	CU_ASSERT_EQUAL(found_version(rig), MD_VERSION_90);
}

static void test_three_on_a_disk(void)
{
	rig_run(three_on_a_disk);
}

UNIT_MAIN("md find", UNIT(test_is_an_order), UNIT(test_three_on_a_disk))
