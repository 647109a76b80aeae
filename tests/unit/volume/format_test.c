/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/lvm_label and lvm_metadata_area: decoding what is whole and what is not; the ring. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "volume/lvm_io.h"
#include "volume/lvm_metadata_area.h"

#define UUID "teYCEr-c97o-YeQw-FRfT-ySpZ-OQlO-t0tRG3"
#define MIB  (1ULL << 20)

/* The label of tests' PV, as real pvcreate wrote it on a disk of 64 MiB. */
static const struct lvm_label sample = {
	.sector = 1,
	.uuid = UUID,
	.device_size = 64 * MIB,
	.data_count = 1,
	.data = { { .offset = MIB } },
	.metadata_count = 1,
	.metadata = { { .offset = 4096, .size = MIB - 4096 } },
	.extension_version = 2,
	.extension_flags = LVM_EXTENSION_USED,
};

static void make_head(uint8_t head[LVM_LABEL_SCAN_SIZE], const struct lvm_label *label)
{
	memset(head, 0, LVM_LABEL_SCAN_SIZE);
	lvm_label_encode(label, head + label->sector * LVM_SECTOR_SIZE);
}

static int decode(const uint8_t head[LVM_LABEL_SCAN_SIZE], struct lvm_label *label,
		  struct error *error)
{
	return lvm_label_decode(head, LVM_LABEL_SCAN_SIZE, "disk", label, error);
}

/* The CRC and bytes of the label that pvcreate of lvm2 2.03.16 made for exactly this PV. */
static void test_the_label_is_that_of_pvcreate(void)
{
	uint8_t sector[LVM_SECTOR_SIZE];

	lvm_label_encode(&sample, sector);
	CU_ASSERT_EQUAL(get_le32(sector + 16), 0x8ed1b734);
	CU_ASSERT_EQUAL(memcmp(sector + 24, "LVM2 001teYCErc97oYeQwFRfTySpZOQlOt0tRG3", 40), 0);
}

static void test_a_label_in_each_sector(void)
{
	for (unsigned i = 0; i < LVM_LABEL_SCAN_SECTORS; i++) {
		struct lvm_label in = sample, out;
		uint8_t head[LVM_LABEL_SCAN_SIZE];

		in.sector = i;
		make_head(head, &in);
		CU_ASSERT_EQUAL(decode(head, &out, NULL), 1);
		CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
	}
}

static void test_no_label(void)
{
	uint8_t head[LVM_LABEL_SCAN_SIZE] = { 0 };
	struct lvm_label out;

	CU_ASSERT_EQUAL(decode(head, &out, NULL), 0);
	make_head(head, &sample);
	memcpy(head + 512 + 24, "LVM1 001", 8); /* a label, of something else */
	CU_ASSERT_EQUAL(decode(head, &out, NULL), 0);
	make_head(head, &sample);
	CU_ASSERT_EQUAL(lvm_label_decode(head, 1023, "disk", &out, NULL), 0);
}

static void test_every_damaged_bit_is_noticed(void)
{
	uint8_t head[LVM_LABEL_SCAN_SIZE];
	struct lvm_label out;

	make_head(head, &sample);
	for (unsigned bit = 0; bit < LVM_SECTOR_SIZE * 8; bit++) {
		struct error error = { 0 };

		head[512 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT(decode(head, &out, &error) <= 0);
		head[512 + bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_a_damaged_label_says_what_is_wrong(void)
{
	uint8_t head[LVM_LABEL_SCAN_SIZE];
	struct error error = { 0 };
	struct lvm_label out;

	make_head(head, &sample);
	head[600] ^= 1;
	CU_ASSERT_EQUAL(decode(head, &out, &error), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(error.text, "disk: LVM2 label at byte 512: CRC is 0x8ed1b734"));
	make_head(head, &sample);
	memmove(head, head + 512, 512); /* the sector does not match its number */
	memset(head + 512, 0, 512);
	CU_ASSERT_EQUAL(decode(head, &out, &error), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "sector number is 1, expected 0"));
}

static void test_a_good_label_beside_a_damaged_one(void)
{
	uint8_t head[LVM_LABEL_SCAN_SIZE];
	struct lvm_label good = sample, out;
	struct error error = { 0 };

	make_head(head, &sample);
	memcpy(head, head + 512, 512);
	good.sector = 3;
	lvm_label_encode(&good, head + 3 * 512);
	memset(head + 512, 0, 512);
	CU_ASSERT_EQUAL(decode(head, &out, &error), 1);
	CU_ASSERT_EQUAL(out.sector, 3);
	CU_ASSERT_EQUAL(error.code, 0);
}

/* Damages the sector by hand and makes its CRC right again. */
static void put_and_sum(uint8_t *sector, size_t at, uint64_t value)
{
	put_le64(sector + at, value);
	put_le32(sector + 16, lvm_crc(LVM_CRC_INITIAL, sector + 20, LVM_SECTOR_SIZE - 20));
}

static void test_hostile_lists_of_areas(void)
{
	struct lvm_label full = sample, out;
	uint8_t head[LVM_LABEL_SCAN_SIZE];

	/* as many as there may be: they just fit */
	full.data_count = full.metadata_count = full.bootloader_count = LVM_LABEL_AREAS;
	for (unsigned i = 0; i < LVM_LABEL_AREAS; i++)
		full.data[i] = full.metadata[i] = full.bootloader[i] =
			(struct lvm_location){ .offset = i + 1, .size = UINT64_MAX };
	make_head(head, &full);
	CU_ASSERT_EQUAL(decode(head, &out, NULL), 1);
	CU_ASSERT_EQUAL(memcmp(&full, &out, sizeof(full)), 0);
	/* one more in the place of the end */
	put_and_sum(head + 512, 32 + 40 + LVM_LABEL_AREAS * 16, 1);
	CU_ASSERT_EQUAL(decode(head, &out, NULL), -EBADMSG);
	/* the header beyond the sector */
	make_head(head, &sample);
	put_le32(head + 512 + 20, 500);
	put_and_sum(head + 512, 256, 0);
	CU_ASSERT_EQUAL(decode(head, &out, NULL), -EBADMSG);
}

/* ---- Metadata areas ---- */

static struct lvm_metadata_area area_of(uint64_t size)
{
	return (struct lvm_metadata_area){ .start = 4096, .size = size };
}

static void test_header_both_ways_and_damage(void)
{
	struct lvm_metadata_area in = area_of(65536), out;
	struct lvm_location where = { .offset = 4096, .size = 65536 };
	uint8_t sector[LVM_METADATA_HEADER];

	in.ignored = true;
	in.committed = (struct lvm_slot){ 512, 100, 0x1234 };
	in.precommitted = (struct lvm_slot){ 1024, 200, 0x5678 };
	lvm_metadata_area_encode(&in, sector);
	CU_ASSERT_EQUAL(lvm_metadata_area_decode(sector, &where, "disk", &out, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
	for (unsigned bit = 0; bit < LVM_METADATA_HEADER * 8; bit++) {
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(lvm_metadata_area_decode(sector, &where, "disk", &out, NULL),
				-EBADMSG);
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	where.offset = 8192;
	CU_ASSERT_EQUAL(lvm_metadata_area_decode(sector, &where, "disk", &out, NULL), -EBADMSG);
}

static void test_hostile_slots(void)
{
	struct lvm_metadata_area area = area_of(65536);
	static const struct lvm_slot bad[] = {
		{ 0, 100, 0 },     { 511, 100, 0 },        { 65536, 1, 0 }, { UINT64_MAX, 100, 0 },
		{ 512, 65025, 0 }, { 512, UINT64_MAX, 0 }, { 512, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(lvm_slot_check(&area, &bad[i], "disk", NULL), -EBADMSG);
	CU_ASSERT_EQUAL(lvm_slot_check(&area, &(struct lvm_slot){ 512, 65024, 0 }, "disk", NULL),
			0);
}

/* Writes text after text of all sizes: each must read back, and leave the one before it whole. */
static void test_the_ring_keeps_the_committed_text(void)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct lvm_metadata_area area = area_of(32768);
	uint64_t most = (area.size - LVM_METADATA_HEADER) / 2 - LVM_METADATA_ALIGNMENT;
	CLEANUP_FREE char *text = malloc(most + 1);
	unsigned wrapped = 0;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "m", 65536, NULL), 0);
	for (uint64_t n = 0; n < 3000; n++) {
		uint64_t size = 2 + n * 7919 % (most - 1), offset = 0;
		CLEANUP_FREE char *before = NULL, *after = NULL;
		struct lvm_slot slot;
		size_t length;

		memset(text, 'a' + (int)(n % 26), size - 1);
		text[size - 1] = '\0';
		CU_ASSERT_EQUAL_FATAL(lvm_metadata_place(&area, size, "m", &offset, NULL), 0);
		CU_ASSERT_EQUAL(offset % 512, 0);
		slot = (struct lvm_slot){ offset, size, lvm_crc(LVM_CRC_INITIAL, text, size) };
		wrapped += offset + size > area.size;
		CU_ASSERT_EQUAL_FATAL(
			lvm_metadata_text_write(block, &area, offset, text, size, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(
			lvm_metadata_text_read(block, &area, &slot, &after, &length, NULL), 0);
		CU_ASSERT_EQUAL(length, size - 1);
		CU_ASSERT_STRING_EQUAL(after, text);
		if (area.committed.size)
			CU_ASSERT_EQUAL_FATAL(lvm_metadata_text_read(block, &area, &area.committed,
								     &before, &length, NULL),
					      0);
		area.committed = slot;
	}
	CU_ASSERT(wrapped > 300);
}

static void test_a_text_that_is_too_large(void)
{
	struct lvm_metadata_area area = area_of(32768);
	struct error error = { 0 };
	uint64_t offset;

	CU_ASSERT_EQUAL(lvm_metadata_place(&area, 15616, "disk", &offset, NULL), 0);
	CU_ASSERT_EQUAL(lvm_metadata_place(&area, 15617, "disk", &offset, &error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "has 15617 bytes, there is room for 15616"));
	area = area_of(1024);
	CU_ASSERT_EQUAL(lvm_metadata_place(&area, 1, "disk", &offset, NULL), -ENOSPC);
}

static void test_transfers_at_any_byte(void)
{
	CLEANUP_BLOCK struct block *block = NULL;
	char in[700], out[700];

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "m", 65536, NULL), 0);
	block->logical_block_size = 4096;
	memset(in, 'x', sizeof(in));
	CU_ASSERT_EQUAL(lvm_write(block, 512, in, 512, NULL), 0);
	CU_ASSERT_EQUAL(lvm_write(block, 4000, in, sizeof(in), NULL), 0);
	CU_ASSERT_EQUAL(lvm_read(block, 4000, out, sizeof(out), NULL), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, sizeof(in)), 0);
	CU_ASSERT_EQUAL(lvm_read(block, 511, out, 514, NULL), 0);
	CU_ASSERT(out[0] == 0 && out[1] == 'x' && out[512] == 'x' && out[513] == 0);
	CU_ASSERT_EQUAL(lvm_read(block, 65535, out, 2, NULL), -EINVAL);
	CU_ASSERT_EQUAL(lvm_write(block, UINT64_MAX, in, 2, NULL), -EINVAL);
}

static void test_uuids(void)
{
	struct random random = { .state = 42 };
	char text[39], again[39];
	uint8_t disk[32];

	CU_ASSERT(lvm_uuid_valid(UUID));
	CU_ASSERT_FALSE(lvm_uuid_valid("teYCEr-c97o-YeQw-FRfT-ySpZ-OQlO-t0tRG"));
	CU_ASSERT_FALSE(lvm_uuid_valid("teYCEr-c97o-YeQw-FRfT-ySpZ-OQlO-t0tRG33"));
	CU_ASSERT_FALSE(lvm_uuid_valid("teYCErc-97o-YeQw-FRfT-ySpZ-OQlO-t0tRG3"));
	CU_ASSERT_FALSE(lvm_uuid_valid("teYCEr-c97o-YeQw-FRfT-ySpZ-OQlO-t0tR/3"));
	lvm_uuid_to_disk(disk, UUID);
	CU_ASSERT_EQUAL(memcmp(disk, "teYCErc97oYeQwFRfTySpZOQlOt0tRG3", 32), 0);
	lvm_uuid_generate(text, &random);
	random.state = 42;
	lvm_uuid_generate(again, &random);
	CU_ASSERT(lvm_uuid_valid(text));
	CU_ASSERT_STRING_EQUAL(text, again);
	lvm_uuid_generate(text, NULL);
	lvm_uuid_generate(again, NULL);
	CU_ASSERT(lvm_uuid_valid(text));
	CU_ASSERT_STRING_NOT_EQUAL(text, again);
}

UNIT_MAIN("LVM2 labels and metadata areas", UNIT(test_the_label_is_that_of_pvcreate),
	  UNIT(test_a_label_in_each_sector), UNIT(test_no_label),
	  UNIT(test_every_damaged_bit_is_noticed), UNIT(test_a_damaged_label_says_what_is_wrong),
	  UNIT(test_a_good_label_beside_a_damaged_one), UNIT(test_hostile_lists_of_areas),
	  UNIT(test_header_both_ways_and_damage), UNIT(test_hostile_slots),
	  UNIT(test_the_ring_keeps_the_committed_text), UNIT(test_a_text_that_is_too_large),
	  UNIT(test_transfers_at_any_byte), UNIT(test_uuids))
