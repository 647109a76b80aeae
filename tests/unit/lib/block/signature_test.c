/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/signature: what libblkid finds on a struct block, and wiping it. None of it suspends. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "util/bytes.h"
#include "util/error.h"

#define MIB (1ULL << 20)

static struct block *memory(uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "disk", size, NULL), 0);
	return block;
}

static void put(struct block *block, uint64_t offset, const void *bytes, size_t length)
{
	char sector[8192];
	uint64_t start = round_down(offset, 512);

	CU_ASSERT_EQUAL_FATAL(block_read(block, start, sector, sizeof(sector)), 0);
	memcpy(sector + (offset - start), bytes, length);
	CU_ASSERT_EQUAL_FATAL(block_write(block, start, sector, sizeof(sector), 0), 0);
}

/* As mkswap leaves it: version 1, last page 255. */
static void put_swap(struct block *block)
{
	put(block, 1024, "\1\0\0\0\377\0\0\0", 8);
	put(block, 4086, "SWAPSPACE2", 10);
}

/* A 0.90 superblock of md lies in the last 64 KiB. */
static uint64_t put_md_at_end(struct block *block)
{
	uint64_t at = round_down(block->size, 65536) - 65536;
	char superblock[4096] = { 0 };
	uint64_t sum = 0;

	put_le32(superblock, 0xa92b4efc);
	put_le32(superblock + 8, 90);
	put_le32(superblock + 4 * 7, 1); /* level */
	for (size_t i = 0; i < sizeof(superblock); i += 4)
		sum += get_le32(superblock + i);
	put_le32(superblock + 4 * 38, (uint32_t)(sum + (sum >> 32)));
	put(block, at, superblock, sizeof(superblock));
	return at;
}

/* What libblkid does not take for a superblock. */
static void test_the_magic_of_an_array_is_enough(void)
{
	static const uint64_t from_end[] = { 65536, 8192 };

	for (size_t i = 0; i < ARRAY_SIZE(from_end); i++) {
		CLEANUP_BLOCK struct block *block = memory(8 * MIB);
		uint64_t at = block->size - from_end[i];
		struct block_signature found = { 0 };

		put(block, at, "\xfc\x4e\x2b\xa9\xff\xff\xff\xff", 8);
		CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 1);
		CU_ASSERT_STRING_EQUAL(found.type, "linux_raid_member");
		CU_ASSERT_EQUAL(found.offset, at);
		CU_ASSERT_EQUAL(block_signature_check(block, NULL), -EEXIST);
		CU_ASSERT_EQUAL(block_signature_wipe(block, NULL), 0);
		CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 0);
	}
}

static void test_an_empty_device_has_none(void)
{
	CLEANUP_BLOCK struct block *block = memory(8 * MIB);
	struct block_signature found;

	CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 0);
	CU_ASSERT_EQUAL(block_signature_check(block, NULL), 0);
	CU_ASSERT_EQUAL(block_signature_wipe(block, NULL), 0);
}

static void test_a_device_smaller_than_the_window(void)
{
	CLEANUP_BLOCK struct block *block = memory(64 * 1024);
	struct block_signature found;

	put_swap(block);
	CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 1);
	CU_ASSERT_STRING_EQUAL(found.type, "swap");
}

static void test_the_refusal_names_what_is_there(void)
{
	CLEANUP_BLOCK struct block *block = memory(8 * MIB);
	struct error error = { 0 };

	put_swap(block);
	CU_ASSERT_EQUAL(block_signature_check(block, &error), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "disk: holds a swap"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "4086"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "--force"));
}

static void test_one_at_the_end_is_found(void)
{
	CLEANUP_BLOCK struct block *block = memory(9 * MIB + 512);
	struct block_signature found = { .offset = 1 };
	uint64_t at = put_md_at_end(block);

	CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 1);
	CU_ASSERT_STRING_EQUAL(found.type, "linux_raid_member");
	CU_ASSERT_EQUAL(found.offset, at);
}

static void test_wiping_clears_all_of_them_and_nothing_else(void)
{
	CLEANUP_BLOCK struct block *block = memory(8 * MIB);
	char sector[512], other[512];
	struct block_signature found;

	memset(other, 'x', sizeof(other));
	put(block, 2 * MIB, other, sizeof(other));
	put_swap(block);
	put_md_at_end(block);
	CU_ASSERT_EQUAL(block_signature_wipe(block, NULL), 0);
	CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 0);
	CU_ASSERT_EQUAL(block_read(block, 1024, sector, sizeof(sector)), 0);
	CU_ASSERT_EQUAL(sector[4], (char)255); /* beside the magic of swap */
	CU_ASSERT_EQUAL(block_read(block, 2 * MIB, sector, sizeof(sector)), 0);
	CU_ASSERT_EQUAL(memcmp(sector, other, sizeof(other)), 0);
}

/* What libblkid does not know: named, and no more there after a wipe. */
static void test_formats_that_hold_a_disk(void)
{
	static const struct {
		uint64_t offset;
		const char *bytes, *type;
		size_t length;
	} formats[] = { { 0, "QFI\xfb\0\0\0\3", "qcow2", 8 },
			{ 64, "\x7f\x10\xda\xbe", "vdi", 4 },
			{ 8 * MIB - 512, "conectix", "vhd", 8 },
			{ 0, "\x28\xb5\x2f\xfd", "zstd", 4 } };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		CLEANUP_BLOCK struct block *block = memory(8 * MIB);
		struct block_signature found;
		char sector[512] = { 0 };

		memcpy(sector + formats[i].offset % 512, formats[i].bytes, formats[i].length);
		CU_ASSERT_EQUAL(
			block_write(block, round_down(formats[i].offset, 512), sector, 512, 0), 0);
		CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 1);
		CU_ASSERT_STRING_EQUAL(found.type, formats[i].type);
		CU_ASSERT_EQUAL(block_signature_wipe(block, NULL), 0);
		CU_ASSERT_EQUAL(block_signature_find(block, &found, NULL), 0);
	}
}

UNIT_MAIN("signature", UNIT(test_an_empty_device_has_none),
	  UNIT(test_the_magic_of_an_array_is_enough), UNIT(test_a_device_smaller_than_the_window),
	  UNIT(test_the_refusal_names_what_is_there), UNIT(test_one_at_the_end_is_found),
	  UNIT(test_wiping_clears_all_of_them_and_nothing_else),
	  UNIT(test_formats_that_hold_a_disk))
