/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal's format, 0.90 superblocks and dm-raid's: what is encoded is decoded, and damage is refused. That
 * they are md's is shown by tests/guest/raid_formats_test.sh. */
#include <errno.h>
#include <string.h>

#include "raid/dm_raid.h"
#include "raid/md_journal.h"
#include "raid/md_superblock_90.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"

static const uint8_t uuid[16] = "0123456789abcde";

static void make_block(uint8_t *block)
{
	uint8_t stripes[16];

	put_le64(stripes, 800);
	put_le64(stripes + 8, 808);
	md_journal_begin(block, 5, 160);
	CU_ASSERT_EQUAL(md_journal_add(block, &(struct md_journal_payload){ .type = MD_JOURNAL_DATA,
									    .blocks = 1,
									    .location = 4096,
									    .checksums = { 7 } }),
			0);
	CU_ASSERT_EQUAL(md_journal_add(block,
				       &(struct md_journal_payload){ .type = MD_JOURNAL_PARITY,
								     .blocks = 2,
								     .location = 1000,
								     .checksums = { 8, 9 } }),
			0);
	CU_ASSERT_EQUAL(md_journal_add(block,
				       &(struct md_journal_payload){ .type = MD_JOURNAL_FLUSH,
								     .stripes = stripes,
								     .stripe_count = 2 }),
			0);
	md_journal_seal(block, uuid);
}

static void test_journal_round_trip(void)
{
	struct md_journal_payload payload;
	uint8_t block[MD_JOURNAL_BLOCK];
	uint32_t at = MD_JOURNAL_HEADER;
	struct md_journal_meta meta;
	struct error error;

	make_block(block);
	CU_ASSERT_EQUAL(md_journal_decode(block, uuid, &meta, &error), 0);
	CU_ASSERT_TRUE(meta.sequence == 5 && meta.position == 160);
	CU_ASSERT_EQUAL(meta.bytes, 32 + 20 + 24 + 24);
	CU_ASSERT_EQUAL(md_journal_next(block, &meta, &at, &payload, &error), 1);
	CU_ASSERT_TRUE(payload.type == MD_JOURNAL_DATA && payload.location == 4096);
	CU_ASSERT_TRUE(payload.blocks == 1 && payload.checksums[0] == 7);
	CU_ASSERT_EQUAL(md_journal_next(block, &meta, &at, &payload, &error), 1);
	CU_ASSERT_TRUE(payload.type == MD_JOURNAL_PARITY && payload.checksums[1] == 9);
	CU_ASSERT_EQUAL(md_journal_next(block, &meta, &at, &payload, &error), 1);
	CU_ASSERT_EQUAL(payload.stripe_count, 2);
	CU_ASSERT_EQUAL(get_le64(payload.stripes + 8), 808);
	CU_ASSERT_EQUAL(md_journal_next(block, &meta, &at, &payload, &error), 0);
}

static void test_journal_damage(void)
{
	struct md_journal_payload payload;
	uint8_t block[MD_JOURNAL_BLOCK];
	uint32_t at = MD_JOURNAL_HEADER;
	struct md_journal_meta meta;
	struct error error;

	make_block(block);
	for (unsigned i = 4; i < sizeof(block); i += 37) {
		block[i] ^= 4;
		CU_ASSERT_EQUAL(md_journal_decode(block, uuid, &meta, &error), -EINVAL);
		block[i] ^= 4;
	}
	put_le32(block + 12, MD_JOURNAL_BLOCK + 1);
	md_journal_seal(block, uuid);
	CU_ASSERT_EQUAL(md_journal_decode(block, uuid, &meta, &error), -EINVAL);
	make_block(block);
	put_le32(block + 36, 24); /* three blocks of data */
	md_journal_seal(block, uuid);
	CU_ASSERT_EQUAL(md_journal_decode(block, uuid, &meta, &error), 0);
	CU_ASSERT_EQUAL(md_journal_next(block, &meta, &at, &payload, &error), -EINVAL);
	block[0] ^= 1;
	CU_ASSERT_EQUAL(md_journal_decode(block, uuid, &meta, &error), -ENOENT);
}

static void test_journal_is_full(void)
{
	struct md_journal_payload payload = { .type = MD_JOURNAL_DATA, .blocks = 1 };
	uint8_t block[MD_JOURNAL_BLOCK];
	unsigned count = 0;

	md_journal_begin(block, 1, 0);
	while (!md_journal_add(block, &payload))
		count++;
	CU_ASSERT_EQUAL(count, (4096 - 32) / 20);
}

static void test_superblock_90(bool big)
{
	struct md90_superblock sb = { .big_endian = big,
				      .minor_version = 90,
				      .level = 5,
				      .size_kib = 1024,
				      .raid_disks = 3,
				      .events = 0x100000002,
				      .state = MD90_CLEAN,
				      .chunk_bytes = 65536 },
			       back;
	uint8_t page[MD90_BYTES];
	struct error error;

	memcpy(sb.uuid, uuid, 16);
	sb.devices[2] = (struct md90_device){ 2, 8, 33, 2, MD90_ACTIVE | MD90_SYNC };
	sb.this_device = sb.devices[2];
	md90_encode(&sb, page);
	CU_ASSERT_EQUAL(big ? get_be32(page) : get_le32(page), 0xa92b4efc);
	/* The high word of the events is the second on a little-endian machine. */
	CU_ASSERT_EQUAL(big ? get_be32(page + 156) : get_le32(page + 160), 1);
	CU_ASSERT_EQUAL(md90_decode(page, &back, &error), 0);
	CU_ASSERT_EQUAL(memcmp(&sb, &back, sizeof(sb)), 0);
	page[2000] ^= 1;
	CU_ASSERT_EQUAL(md90_decode(page, &back, &error), -EINVAL);
	sb.raid_disks = MD90_DEVICES + 1;
	md90_encode(&sb, page);
	CU_ASSERT_EQUAL(md90_decode(page, &back, &error), -EINVAL);
	page[0] = page[3] = 0;
	CU_ASSERT_EQUAL(md90_decode(page, &back, &error), -ENOENT);
}

static void test_superblocks_90(void)
{
	uint64_t sector;

	test_superblock_90(false);
	test_superblock_90(true);
	CU_ASSERT_EQUAL(md90_place(255, &sector), -ENOSPC);
	CU_ASSERT_EQUAL(md90_place(1000, &sector), 0);
	CU_ASSERT_EQUAL(sector, 896 - 128);
}

static void test_dm_raid(void)
{
	struct dm_raid_superblock sb = { .compatible = DM_RAID_V190,
					 .devices = 5,
					 .position = 3,
					 .events = 9,
					 .failed = { 4, 0, 0, 1ull << 60 },
					 .recovered = DM_RAID_DONE,
					 .resynced = 128,
					 .level = 6,
					 .layout = 8,
					 .stripe_sectors = 128,
					 .sectors = 81920 },
				  back;
	uint8_t block[DM_RAID_BYTES];
	struct error error;

	dm_raid_encode(&sb, block);
	CU_ASSERT_EQUAL(memcmp(block, "DmRd", 4), 0);
	CU_ASSERT_EQUAL(dm_raid_decode(block, &back, &error), 0);
	CU_ASSERT_EQUAL(memcmp(&sb, &back, sizeof(sb)), 0);
	CU_ASSERT_TRUE(dm_raid_failed(&back, 2) && dm_raid_failed(&back, 252));
	CU_ASSERT_FALSE(dm_raid_failed(&back, 3) || dm_raid_failed(&back, 400));
	sb.position = 5;
	dm_raid_encode(&sb, block);
	CU_ASSERT_EQUAL(dm_raid_decode(block, &back, &error), -EINVAL);
	sb.position = 4;
	sb.incompatible = 1;
	dm_raid_encode(&sb, block);
	CU_ASSERT_EQUAL(dm_raid_decode(block, &back, &error), -EINVAL);
}

UNIT_MAIN("raid formats", UNIT(test_journal_round_trip), UNIT(test_journal_damage),
	  UNIT(test_journal_is_full), UNIT(test_superblocks_90), UNIT(test_dm_raid))
