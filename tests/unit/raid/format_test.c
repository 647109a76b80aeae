/* SPDX-License-Identifier: BSD-2-Clause */
/* md's formats: superblock, bitmap super, bad-block log, and where they go. No I/O. */
#include <errno.h>
#include <string.h>

#include "raid/geometry.h"
#include "raid/md_badblocks.h"
#include "raid/md_bitmap.h"
#include "raid/md_layout.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"

#define DEVICE_SECTORS 65536u

/* A superblock as mdadm makes it for a 32 MiB device. */
static struct md_superblock sample(void)
{
	struct md_layout layout = { .minor_version = 2 };
	struct md_superblock sb = { .level = 1, .raid_disks = 2, .max_dev = 128 };

	layout.size = md_layout_data(2, DEVICE_SECTORS, 0, &layout.data_offset);
	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS, &sb), 0);
	memset(sb.set_uuid, 0x5a, sizeof(sb.set_uuid));
	strcpy(sb.set_name, "host:name");
	sb.events = 17;
	sb.resync_offset = MD_RESYNC_DONE;
	for (unsigned i = 0; i < MD_MAX_DEVICES; i++)
		sb.roles[i] = i < 2 ? (uint16_t)i : MD_ROLE_SPARE;
	return sb;
}

static void test_superblock_round_trip(void)
{
	struct md_superblock sb = sample(), back;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct error error;

	md_superblock_encode(&sb, page);
	CU_ASSERT_EQUAL(get_le32(page), MD_MAGIC);
	CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), 0);
	CU_ASSERT_EQUAL(back.checksum, back.checksum_expected);
	sb.checksum = back.checksum;
	sb.checksum_expected = back.checksum_expected;
	CU_ASSERT_EQUAL(memcmp(&sb, &back, sizeof(sb)), 0);
	CU_ASSERT_EQUAL(md_superblock_validate(&back, DEVICE_SECTORS, &error), 0);
	CU_ASSERT_STRING_EQUAL(md_superblock_short_name(&back), "name");
}

static void test_superblock_checksum_covers_the_roles_only(void)
{
	struct md_superblock sb = sample(), back;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct error error;

	md_superblock_encode(&sb, page);
	page[600] ^= 1; /* beyond 256 + 2 * 128 */
	CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), 0);
	page[300] ^= 1;
	CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "checksum"));
}

/* Alters one field, and expects the validator to name what it found. */
#define REFUSED(change, words)                                                                     \
	do {                                                                                       \
		struct md_superblock sb = sample();                                                \
		struct error error = { 0 };                                                        \
		change;                                                                            \
		CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), -EINVAL);     \
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));                                 \
	} while (0)

static void test_superblock_refusals(void)
{
	REFUSED(sb.super_offset = 16, "super_offset");
	REFUSED(sb.minor_version = 1, "super_offset");
	REFUSED(sb.features = 0x2000, "feature map");
	REFUSED(sb.padding_dirty = true, "padding");
	REFUSED(sb.raid_disks = 0, "raid_disks");
	REFUSED(sb.raid_disks = 1921, "raid_disks");
	REFUSED(sb.data_size = 9; sb.size = 8, "data_size");
	REFUSED(sb.data_offset = UINT64_MAX - 10, "the data");
	REFUSED(sb.size = sb.data_size + 1, "size");
	REFUSED(sb.data_offset = 8, "overlaps");
	REFUSED(sb.bblog_offset = 2040, "overlaps");
	REFUSED(sb.bblog_offset = -9, "bad-block log");
	REFUSED(sb.features = MD_FEATURE_BITMAP; sb.bitmap_offset = 0, "overlaps");
	REFUSED(sb.features = MD_FEATURE_BITMAP; sb.bitmap_offset = INT32_MAX, "bitmap");
	REFUSED(sb.features = MD_FEATURE_BAD_BLOCKS; sb.bblog_offset = 0, "BAD_BLOCKS");
	REFUSED(sb.level = 7, "level");
	REFUSED(sb.level = 5; sb.chunk_sectors = 12, "chunk");
	REFUSED(sb.level = 10; sb.chunk_sectors = 128; sb.layout = 0x101, "layout");
}

static void test_a_device_too_short_is_told_apart(void)
{
	struct md_superblock sb = sample();
	struct error error = { 0 };
	uint64_t end = sb.data_offset + sb.data_size;
	char text[32];

	CU_ASSERT_EQUAL(md_superblock_validate(&sb, end, &error), 0);
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, end - 8, &error), -ENXIO);
	snprintf(text, sizeof(text), "must have %llu", (unsigned long long)end * 512);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, text));
}

/* As mdadm 4.2 writes it with --metadata=1.0 --data-offset: the offset is not taken from data_size, which md takes. */
static void test_data_that_begin_later_end_before_a_superblock_at_the_end(void)
{
	struct md_layout layout = { .minor_version = 0, .size = 20000 };
	struct md_superblock sb = {
		.level = 5, .raid_disks = 3, .chunk_sectors = 128, .max_dev = 128
	};
	struct error error = { 0 };
	uint64_t written, end;

	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS, &sb), 0);
	written = sb.data_size;
	sb.data_offset = 512;
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), 0);
	end = sb.super_offset - MD_BBLOG_SECTORS - 512;
	sb.size = end;
	sb.data_size = written = sb.super_offset;
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), 0);
	/* What the array uses may not lie on the log of bad blocks. */
	sb.size++;
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), -EINVAL);
	sb.size--;
	md_superblock_trim(&sb);
	CU_ASSERT_EQUAL(sb.data_size, end);
	md_superblock_trim(&sb);
	CU_ASSERT_EQUAL(sb.data_size, end);
	/* A journal, and a member of level 0, have data everywhere. */
	sb.data_size = written;
	sb.roles[sb.dev_number] = MD_ROLE_JOURNAL;
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), -EINVAL);
	md_superblock_trim(&sb);
	CU_ASSERT_EQUAL(sb.data_size, written);
	sb.roles[sb.dev_number] = 0;
	sb.level = 0;
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), -EINVAL);
}

static void test_padding_is_found(void)
{
	struct md_superblock sb = sample(), back;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct error error;

	md_superblock_encode(&sb, page);
	page[228] = 1;
	put_le32(page + 216, md_superblock_checksum(page, sb.max_dev));
	CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), 0);
	CU_ASSERT_EQUAL(md_superblock_validate(&back, DEVICE_SECTORS, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "228"));
}

/* Kernels from 6.19 on write it into the first word of what was padding. */
static void test_a_recorded_block_size_is_kept(void)
{
	struct md_superblock sb = sample(), back;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct error error;

	sb.logical_block_size = 4096;
	md_superblock_encode(&sb, page);
	CU_ASSERT_EQUAL(get_le32(page + 224), 4096);
	CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), 0);
	CU_ASSERT_EQUAL(md_superblock_validate(&back, DEVICE_SECTORS, &error), 0);
	CU_ASSERT_EQUAL(back.logical_block_size, 4096);
	back.logical_block_size = 1000;
	CU_ASSERT_EQUAL(md_superblock_validate(&back, DEVICE_SECTORS, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "224"));
}

/* In what md takes for no part of the time. */
static void test_a_level_to_come_is_kept(void)
{
	struct md_superblock sb = sample(), back;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct error error;

	sb.utime = 1700000000;
	for (uint8_t next = MD_NEXT_NONE; next <= MD_NEXT_LEVEL_5; next++) {
		sb.next = next;
		md_superblock_encode(&sb, page);
		CU_ASSERT_EQUAL(get_le32(page + 192), 1700000000);
		CU_ASSERT_EQUAL(get_le32(page + 196), next ? 0xf7e00000u + (next << 8) : 0);
		CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), 0);
		CU_ASSERT_EQUAL(back.next, next);
		CU_ASSERT_EQUAL(back.utime, 1700000000);
	}
	/* Microseconds, and a level of nobody's. */
	for (uint32_t high = 999999u << 8;; high = 0xf7e00300u) {
		put_le32(page + 196, high);
		put_le32(page + 216, md_superblock_checksum(page, sb.max_dev));
		CU_ASSERT_EQUAL(md_superblock_decode(page, 2, &back, &error), 0);
		CU_ASSERT_EQUAL(back.next, MD_NEXT_NONE);
		CU_ASSERT_EQUAL(back.utime, 1700000000);
		if (high == 0xf7e00300u)
			break;
	}
}

static void test_places(void)
{
	uint64_t sector;

	CU_ASSERT_EQUAL(md_superblock_place(0, 65537, &sector), 0);
	CU_ASSERT_EQUAL(sector, 65520);
	CU_ASSERT_EQUAL(md_superblock_place(1, 65537, &sector), 0);
	CU_ASSERT_EQUAL(sector, 0);
	CU_ASSERT_EQUAL(md_superblock_place(2, 65537, &sector), 0);
	CU_ASSERT_EQUAL(sector, 8);
	CU_ASSERT_EQUAL(md_superblock_place(2, 23, &sector), -ENOSPC);
	CU_ASSERT_EQUAL(md_superblock_place(3, 65537, &sector), -EINVAL);
}

static void test_layout_of_small_and_large_devices(void)
{
	uint64_t offset;

	CU_ASSERT_EQUAL(md_layout_data(2, 65536, 0, &offset), 63488);
	CU_ASSERT_EQUAL(offset, 2048);
	/* mdadm's well-known 264192 sectors on large disks */
	CU_ASSERT_EQUAL(md_layout_data(2, 1ull << 31, 0, &offset), (1ull << 31) - 264192);
	CU_ASSERT_EQUAL(offset, 264192);
	CU_ASSERT_EQUAL(md_layout_data(2, 2048, 0, &offset), 0);
	CU_ASSERT_EQUAL(md_layout_data(0, 65536, 0, &offset), 65536 - 32);
	CU_ASSERT_EQUAL(offset, 0);
}

static void test_layout_at_end(void)
{
	struct md_layout layout = { .minor_version = 0 };
	struct md_superblock sb = { .level = 1, .raid_disks = 2, .max_dev = 128 };
	struct error error;

	layout.size = md_layout_data(0, DEVICE_SECTORS, 0, &layout.data_offset);
	CU_ASSERT_EQUAL(md_layout_bitmap(&layout, layout.size, 0, &error), 0);
	CU_ASSERT_EQUAL(layout.bitmap_chunk, 64 << 20);
	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS, &sb), 0);
	CU_ASSERT_EQUAL(sb.bitmap_offset, -16);
	CU_ASSERT_EQUAL(sb.bblog_offset, -8);
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), 0);
	CU_ASSERT_EQUAL(md_superblock_bitmap_room(&sb, DEVICE_SECTORS), 4096);
	CU_ASSERT(md_layout_least_sectors(&layout) <= DEVICE_SECTORS);
	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS - 8, &sb), -ENOSPC);

	/* Right below the superblock, where an array without logs has it: the log goes below. */
	layout.bitmap_offset = -8;
	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS, &sb), 0);
	CU_ASSERT_EQUAL(sb.bitmap_offset, -8);
	CU_ASSERT_EQUAL(sb.bblog_offset, -16);
	CU_ASSERT_EQUAL(md_superblock_validate(&sb, DEVICE_SECTORS, &error), 0);
	layout.bitmap_offset = -4096;
	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS, &sb), -ENOSPC);
	layout.bitmap_offset = 2;
	CU_ASSERT_EQUAL(md_layout_apply(&layout, DEVICE_SECTORS, &sb), -ENOSPC);
}

static void test_bitmap_super(void)
{
	struct md_bitmap bitmap = { .version = 4,
				    .sync_sectors = 63488,
				    .chunk_bytes = 65536,
				    .daemon_sleep = 5,
				    .events = 17,
				    .events_cleared = 16 },
			 back;
	uint8_t super[MD_BITMAP_SUPER_BYTES];
	struct error error;

	md_bitmap_encode(&bitmap, super);
	CU_ASSERT_EQUAL(md_bitmap_decode(super, 4096, &back, &error), 0);
	CU_ASSERT_EQUAL(memcmp(&bitmap, &back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(md_bitmap_chunks(63488, 65536), 496);
	CU_ASSERT_EQUAL(md_bitmap_bytes(496), 318);
	CU_ASSERT_EQUAL(md_bitmap_decode(super, 317, &back, &error), -EINVAL);
	put_le32(super + 52, 3000);
	CU_ASSERT_EQUAL(md_bitmap_decode(super, 4096, &back, &error), -EINVAL);
	put_le32(super + 52, 512);
	put_le64(super + 40, UINT64_MAX);
	CU_ASSERT_EQUAL(md_bitmap_decode(super, UINT64_MAX, &back, &error), -EINVAL);
	put_le32(super + 4, 5);
	CU_ASSERT_EQUAL(md_bitmap_decode(super, 4096, &back, &error), -EINVAL);
	super[0] = 0;
	CU_ASSERT_EQUAL(md_bitmap_decode(super, 4096, &back, &error), -ENOENT);
}

static void test_bad_blocks(void)
{
	struct md_badblocks list = { 0 }, back = { 0 };
	const struct md_bad_range *range;
	uint8_t log[64];
	struct error error;

	CU_ASSERT_EQUAL(md_badblocks_set(&list, 100, 8), 0);
	CU_ASSERT_EQUAL(md_badblocks_set(&list, 10, 8), 0);
	CU_ASSERT_EQUAL(md_badblocks_set(&list, 108, 4), 0); /* joins the first */
	CU_ASSERT_EQUAL(list.count, 2);
	CU_ASSERT_PTR_NULL(md_badblocks_find(&list, 18, 82));
	range = md_badblocks_find(&list, 111, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(range);
	CU_ASSERT_EQUAL(range->sector, 100);
	CU_ASSERT_EQUAL(range->count, 12);

	CU_ASSERT_EQUAL(md_badblocks_encode(&list, log, sizeof(log)), 0);
	CU_ASSERT_EQUAL(md_badblocks_decode(&back, log, sizeof(log), 0, &error), 0);
	CU_ASSERT_EQUAL(back.count, 2);
	CU_ASSERT_EQUAL(back.ranges[1].sector, 100);

	CU_ASSERT_EQUAL(md_badblocks_clear(&back, 104, 4), 0); /* splits */
	CU_ASSERT_EQUAL(back.count, 3);
	CU_ASSERT_PTR_NULL(md_badblocks_find(&back, 104, 4));
	CU_ASSERT_EQUAL(md_badblocks_clear(&back, 0, 1000), 0);
	CU_ASSERT_EQUAL(back.count, 0);

	CU_ASSERT_EQUAL(md_badblocks_set(&list, 10000, 5000), 0); /* ten entries of 512 */
	CU_ASSERT_EQUAL(md_badblocks_encode(&list, log, sizeof(log)), -ENOSPC);
	put_le64(log, UINT64_MAX - 1);
	CU_ASSERT_EQUAL(md_badblocks_decode(&back, log, sizeof(log), 20, &error), -EINVAL);
	md_badblocks_free(&list);
	md_badblocks_free(&back);
}

static void test_geometry(void)
{
	char name[32];

	CU_ASSERT_EQUAL(raid_geometry_array_sectors(1, 0, 0, 3, 1000), 1000);
	CU_ASSERT_EQUAL(raid_geometry_array_sectors(5, 2, 128, 4, 1000), 3 * 896);
	CU_ASSERT_EQUAL(raid_geometry_array_sectors(6, 2, 128, 4, 1024), 2 * 1024);
	CU_ASSERT_EQUAL(raid_geometry_array_sectors(6, 2, 128, 3, 1024), 0);
	CU_ASSERT_EQUAL(raid_geometry_array_sectors(10, 0x102, 128, 4, 1024), 2 * 1024);
	CU_ASSERT_EQUAL(raid_geometry_array_sectors(10, 0x102, 128, 3, 1024), 1536);
	CU_ASSERT_STRING_EQUAL(raid_geometry_layout_name(5, 2, name), "left-symmetric");
	CU_ASSERT_STRING_EQUAL(raid_geometry_layout_name(10, 0x201, name), "far=2");
	CU_ASSERT_PTR_NULL(raid_geometry_layout_name(1, 0, name));
}

static void test_names(void)
{
	uint8_t uuid[16], same[16];
	char text[RAID_UUID_TEXT];
	struct error error;
	int level;

	CU_ASSERT_EQUAL(raid_uuid_parse("5f3668a3:259b7954:6f8deb4c:634b43ca", uuid), 0);
	CU_ASSERT_STRING_EQUAL(raid_uuid_format(uuid, text), "5f3668a3:259b7954:6f8deb4c:634b43ca");
	CU_ASSERT_EQUAL(raid_uuid_parse("5F3668a3-259b-7954-6f8d-eb4c634b43ca", same), 0);
	CU_ASSERT_EQUAL(memcmp(uuid, same, 16), 0);
	CU_ASSERT_EQUAL(raid_uuid_parse("5f3668a3", uuid), -EINVAL);
	CU_ASSERT_EQUAL(raid_uuid_parse("5f3668a3:259b7954:6f8deb4c:634b43ca0", uuid), -EINVAL);
	CU_ASSERT_EQUAL(raid_level_parse("RAID10", &level, &error), 0);
	CU_ASSERT_EQUAL(level, 10);
	CU_ASSERT_EQUAL(raid_level_parse("mirror", &level, &error), 0);
	CU_ASSERT_EQUAL(level, 1);
	CU_ASSERT_EQUAL(raid_level_parse("3", &level, &error), -EINVAL);
}

UNIT_MAIN("raid format", UNIT(test_superblock_round_trip),
	  UNIT(test_superblock_checksum_covers_the_roles_only), UNIT(test_superblock_refusals),
	  UNIT(test_a_device_too_short_is_told_apart),
	  UNIT(test_data_that_begin_later_end_before_a_superblock_at_the_end),
	  UNIT(test_padding_is_found), UNIT(test_a_recorded_block_size_is_kept),
	  UNIT(test_a_level_to_come_is_kept), UNIT(test_places),
	  UNIT(test_layout_of_small_and_large_devices), UNIT(test_layout_at_end),
	  UNIT(test_bitmap_super), UNIT(test_bad_blocks), UNIT(test_geometry), UNIT(test_names))
