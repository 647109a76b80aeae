/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/gpt and dos_table: tables that are made, enlarged, and damaged. None of it suspends. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/dos_table.h"
#include "block/gpt.h"
#include "block/gpt_format.h"
#include "util/bytes.h"
#include "util/error.h"

#define MIB (1ULL << 20)

static struct block *memory(uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "disk", size, NULL), 0);
	return block;
}

/* A disk with an ESP of 8 MiB and a root behind it. */
static struct block *disk(uint64_t size)
{
	CLEANUP_GPT struct gpt gpt = { 0 };
	struct block *block = memory(size);
	unsigned number = 0;

	CU_ASSERT_EQUAL_FATAL(gpt_init(&gpt, size, 512), 0);
	CU_ASSERT_EQUAL(gpt_add(&gpt, gpt_type_esp, "esp", 8 * MIB, &number), 0);
	CU_ASSERT_EQUAL(number, 1);
	CU_ASSERT_EQUAL(gpt_add(&gpt, gpt_type_root_x86_64, "root", 0, &number), 0);
	CU_ASSERT_EQUAL(number, 2);
	CU_ASSERT_EQUAL_FATAL(gpt_write(block, &gpt, NULL), 0);
	return block;
}

static void flip(struct block *block, uint64_t offset)
{
	uint8_t sector[512];

	CU_ASSERT_EQUAL_FATAL(block_read(block, round_down(offset, 512), sector, 512), 0);
	sector[offset % 512] ^= 1;
	CU_ASSERT_EQUAL_FATAL(block_write(block, round_down(offset, 512), sector, 512, 0), 0);
}

static void test_what_was_written_is_read(void)
{
	CLEANUP_BLOCK struct block *block = disk(64 * MIB);
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 };
	struct gpt_partition partition;
	char text[GPT_UUID];

	CU_ASSERT_EQUAL_FATAL(gpt_look(block, &look, NULL), 1);
	CU_ASSERT_EQUAL(look.primary, GPT_GOOD);
	CU_ASSERT_EQUAL(look.backup, GPT_GOOD);
	CU_ASSERT_FALSE(look.differ || look.backup_early);
	CU_ASSERT_STRING_EQUAL(look.problem, "");
	CU_ASSERT_TRUE_FATAL(gpt_partition(&look.gpt, 0, &partition));
	CU_ASSERT_STRING_EQUAL(partition.name, "esp");
	CU_ASSERT_EQUAL(partition.start, MIB);
	CU_ASSERT_EQUAL(partition.length, 8 * MIB);
	gpt_uuid(partition.type, text);
	CU_ASSERT_STRING_EQUAL(text, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
	CU_ASSERT_STRING_EQUAL(gpt_type_name(partition.type), "EFI system");
	CU_ASSERT_TRUE_FATAL(gpt_partition(&look.gpt, 1, &partition));
	CU_ASSERT_EQUAL(partition.start, 9 * MIB);
	CU_ASSERT_EQUAL(partition.length, 54 * MIB);
	CU_ASSERT_FALSE(gpt_partition(&look.gpt, 2, &partition));
	CU_ASSERT_FALSE(gpt_partition(&look.gpt, 128, &partition));
}

/* Any byte that is changed is found, and the other copy is used. */
static void test_either_copy_may_be_damaged(void)
{
	static const struct {
		int64_t at; /* from the end, if negative */
		bool primary;
		const char *problem;
	} cases[] = {
		{ 512 + GPT_FIRST_USABLE, true, "checksum of its header" },
		{ 512 + 4, true, "the primary is gone" },
		{ 1024 + GPT_FIRST, true, "checksum of its list" },
		{ -512 + GPT_LAST_USABLE, false,
		  "the backup is damaged (the checksum of its header" },
		{ -512 + 4, false, "the backup is gone" },
		{ -512 - 32 * 512 + GPT_FIRST, false, "checksum of its list" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_BLOCK struct block *block = disk(64 * MIB);
		CLEANUP_GPT_LOOK struct gpt_look look = { 0 };
		struct gpt_partition partition;

		flip(block,
		     cases[i].at < 0 ? block->size + (uint64_t)cases[i].at : (uint64_t)cases[i].at);
		CU_ASSERT_EQUAL_FATAL(gpt_look(block, &look, NULL), 1);
		CU_ASSERT_EQUAL(look.primary == GPT_GOOD, !cases[i].primary);
		CU_ASSERT_EQUAL(look.backup == GPT_GOOD, cases[i].primary);
		CU_ASSERT_PTR_NOT_NULL(strstr(look.problem, cases[i].problem));
		CU_ASSERT_TRUE(gpt_partition(&look.gpt, 1, &partition));
		CU_ASSERT_EQUAL(partition.length, 54 * MIB);
		/* What is written again is whole. */
		CU_ASSERT_EQUAL(gpt_write(block, &look.gpt, NULL), 0);
		gpt_look_free(&look);
		CU_ASSERT_EQUAL(gpt_look(block, &look, NULL), 1);
		CU_ASSERT_STRING_EQUAL(look.problem, "");
	}
}

static void test_both_damaged_is_no_table(void)
{
	CLEANUP_BLOCK struct block *block = disk(64 * MIB);
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 };

	flip(block, 512 + GPT_COUNT);
	flip(block, block->size - 512 + GPT_COUNT);
	CU_ASSERT_EQUAL(gpt_look(block, &look, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(look.problem, "checksum"));
}

static void copy_start(struct block *to, struct block *from)
{
	CLEANUP_FREE char *at = malloc(from->size);

	CU_ASSERT_EQUAL_FATAL(block_read(from, 0, at, from->size), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(to, 0, at, MIN(from->size, to->size), 0), 0);
}

static void test_a_longer_disk_is_used_to_its_end(void)
{
	CLEANUP_BLOCK struct block *small = disk(64 * MIB), *block = memory(100 * MIB + 512);
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 };
	struct gpt_partition partition;
	uint64_t length;
	unsigned number;

	copy_start(block, small);
	CU_ASSERT_EQUAL_FATAL(gpt_look(block, &look, NULL), 1);
	CU_ASSERT_TRUE(look.backup_early);
	CU_ASSERT_EQUAL(gpt_fit(&look.gpt, 62 * MIB), -ENOSPC);
	CU_ASSERT_EQUAL(gpt_fit(&look.gpt, block->size), 0);
	gpt_grow_last(&look.gpt, &number, &length);
	CU_ASSERT_EQUAL(number, 2);
	CU_ASSERT_EQUAL(length, 90 * MIB);
	CU_ASSERT_EQUAL(gpt_write(block, &look.gpt, NULL), 0);
	gpt_look_free(&look);
	CU_ASSERT_EQUAL_FATAL(gpt_look(block, &look, NULL), 1);
	CU_ASSERT_STRING_EQUAL(look.problem, "");
	CU_ASSERT_TRUE(gpt_partition(&look.gpt, 1, &partition));
	CU_ASSERT_EQUAL(partition.length, 90 * MIB);
}

/* Its end is rounded down to whole MiB, of which it has none. */
static void test_a_disk_below_1_mib_does_not_grow_to_nowhere(void)
{
	uint8_t entry[GPT_ENTRIES * 128] = { 1 };
	struct gpt gpt = {
		.sector_size = 512,
		.first_usable = 34,
		.last_usable = 478,
		.count = GPT_ENTRIES,
		.entry_size = 128,
		.entries = entry,
		.entries_at = 2,
	};
	uint64_t length;
	unsigned number;

	put_le64(entry + 32, 40);
	put_le64(entry + 40, 47);
	gpt_grow_last(&gpt, &number, &length);
	CU_ASSERT_EQUAL(number, 1);
	CU_ASSERT_EQUAL(length, 8 * 512);
}

static void test_a_disk_that_was_cut_is_no_table(void)
{
	CLEANUP_BLOCK struct block *whole = disk(64 * MIB), *block = memory(32 * MIB);
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 };

	copy_start(block, whole);
	CU_ASSERT_EQUAL(gpt_look(block, &look, NULL), 0);
	CU_ASSERT_STRING_EQUAL(look.problem, "the disk was longer");
}

static void test_what_does_not_fit_is_refused(void)
{
	CLEANUP_GPT struct gpt gpt = { 0 };
	unsigned number;

	CU_ASSERT_EQUAL(gpt_init(&gpt, 16 * 1024, 512), -ENOSPC);
	CU_ASSERT_EQUAL_FATAL(gpt_init(&gpt, 16 * MIB, 4096), 0);
	CU_ASSERT_EQUAL(gpt_add(&gpt, gpt_type_linux, "a", 16 * MIB, &number), -ENOSPC);
	CU_ASSERT_EQUAL(gpt_add(&gpt, gpt_type_linux, "a", 14 * MIB, &number), 0);
	CU_ASSERT_EQUAL(gpt_add(&gpt, gpt_type_linux, "b", 0, &number), 0);
	CU_ASSERT_EQUAL(gpt_add(&gpt, gpt_type_linux, "c", 0, &number), -ENOSPC);
}

/* ---- DOS ---- */

static void put_entry(struct block *block, uint64_t at, unsigned index, uint8_t type,
		      uint32_t start, uint32_t length)
{
	uint8_t sector[512];

	CU_ASSERT_EQUAL_FATAL(block_read(block, at * 512, sector, 512), 0);
	sector[446 + 16 * index + 4] = type;
	put_le32(sector + 446 + 16 * index + 8, start);
	put_le32(sector + 446 + 16 * index + 12, length);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	CU_ASSERT_EQUAL_FATAL(block_write(block, at * 512, sector, 512, 0), 0);
}

static void test_logical_partitions_are_followed(void)
{
	CLEANUP_BLOCK struct block *block = memory(16 * MIB);
	struct dos_table table;

	put_entry(block, 0, 0, 0x83, 2048, 2048);
	put_entry(block, 0, 1, 0x05, 8192, 16384);
	put_entry(block, 8192, 0, 0x83, 64, 1000);
	put_entry(block, 8192, 1, 0x05, 4096, 4096);
	put_entry(block, 8192 + 4096, 0, 0x82, 64, 100);
	put_entry(block, 8192 + 4096, 1, 0x05, 0, 4096); /* back to the first */
	CU_ASSERT_EQUAL(dos_table_read(block, &table, NULL), 1);
	CU_ASSERT_EQUAL_FATAL(table.count, 4);
	CU_ASSERT_TRUE(table.partitions[1].extended);
	CU_ASSERT_EQUAL(table.partitions[2].number, 5);
	CU_ASSERT_EQUAL(table.partitions[2].start, (8192 + 64) * 512);
	CU_ASSERT_EQUAL(table.partitions[3].start, (8192 + 4096 + 64) * 512);
	CU_ASSERT_EQUAL(dos_table_resize(block, &table, 2, MIB, NULL), -EINVAL);
	CU_ASSERT_EQUAL(dos_table_resize(block, &table, 1, 16 * MIB, NULL), -EINVAL);
	CU_ASSERT_EQUAL(dos_table_resize(block, &table, 1, 2 * MIB, NULL), 0);
	CU_ASSERT_EQUAL(dos_table_read(block, &table, NULL), 1);
	CU_ASSERT_EQUAL(table.partitions[0].length, 2 * MIB);
}

static void test_boot_code_is_no_table(void)
{
	CLEANUP_BLOCK struct block *block = memory(MIB);
	struct dos_table table;
	uint8_t sector[512] = { 0 };

	CU_ASSERT_EQUAL(dos_table_read(block, &table, NULL), 0);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	memset(sector + 446, 'x', 64);
	CU_ASSERT_EQUAL(block_write(block, 0, sector, 512, 0), 0);
	CU_ASSERT_EQUAL(dos_table_read(block, &table, NULL), 0);
}

UNIT_MAIN("partition tables", UNIT(test_what_was_written_is_read),
	  UNIT(test_either_copy_may_be_damaged), UNIT(test_both_damaged_is_no_table),
	  UNIT(test_a_disk_below_1_mib_does_not_grow_to_nowhere),
	  UNIT(test_a_longer_disk_is_used_to_its_end), UNIT(test_a_disk_that_was_cut_is_no_table),
	  UNIT(test_what_does_not_fit_is_refused), UNIT(test_logical_partitions_are_followed),
	  UNIT(test_boot_code_is_no_table))
