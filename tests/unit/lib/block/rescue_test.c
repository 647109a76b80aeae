/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/rescue: which bytes of a medium with errors are lost, and the list of them. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/copy.h"
#include "block/fault.h"
#include "block/rescue.h"
#include "fiber_run.h"
#include "util/bytes.h"

#define MIB (1ULL << 20)

static void check_ranges(const struct rescue_map *map, const struct rescue_range *expected,
			 unsigned count)
{
	uint64_t bytes = 0;

	CU_ASSERT_EQUAL_FATAL(map->count, count);
	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(map->ranges[i].offset, expected[i].offset);
		CU_ASSERT_EQUAL(map->ranges[i].length, expected[i].length);
		bytes += expected[i].length;
	}
	CU_ASSERT_EQUAL(map->bytes, bytes);
}

static void test_ranges_are_in_order_and_merge(void)
{
	CLEANUP(rescue_map_free) struct rescue_map map = { 0 };

	CU_ASSERT_EQUAL(rescue_map_add(&map, 4096, 512), 0);
	CU_ASSERT_EQUAL(rescue_map_add(&map, 512, 512), 0);
	CU_ASSERT_EQUAL(rescue_map_add(&map, 8192, 512), 0);
	check_ranges(&map, (struct rescue_range[]){ { 512, 512 }, { 4096, 512 }, { 8192, 512 } },
		     3);
	CU_ASSERT_EQUAL(rescue_map_add(&map, 0, 512), 0);
	CU_ASSERT_EQUAL(rescue_map_add(&map, 4608, 3584), 0);
	check_ranges(&map, (struct rescue_range[]){ { 0, 1024 }, { 4096, 4608 } }, 2);
	for (uint64_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(rescue_map_add(&map, 65536 + (99 - i) * 1024, 512), 0);
	CU_ASSERT_EQUAL(map.count, 102);
}

static struct block *medium(uint64_t size, struct block **memory)
{
	struct block *faulty = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(memory, "disk", size, NULL), 0);
	for (uint64_t at = 0; at < size; at += 65536) {
		static char bytes[65536];

		memset(bytes, 1 + (int)(at / 65536 % 200), sizeof(bytes));
		CU_ASSERT_EQUAL(block_write(*memory, at, bytes, sizeof(bytes), 0), 0);
	}
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&faulty, "bad", *memory, 1, NULL), 0);
	return faulty;
}

static void spoil(struct block *block, uint64_t offset, uint64_t length, int error)
{
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							   .offset = offset,
							   .length = length,
							   .action = BLOCK_FAULT_ERROR,
							   .error = error });
}

/* Pieces are read in any order by several fibers. */
static int only_what_is_bad_is_lost(void *arg)
{
	CLEANUP_BLOCK struct block *memory = NULL, *copy = NULL;
	CLEANUP_BLOCK struct block *bad = medium(8 * MIB, &memory);
	CLEANUP(rescue_map_free) struct rescue_map map = { 0 };
	const struct block_copy_options options = { .unreadable = &map };
	static char expected[8 * MIB], found[8 * MIB];

	(void)arg;
	spoil(bad, 0, 1, -EIO);
	spoil(bad, 2 * MIB - 700, 1400, -ENODATA);
	spoil(bad, 8 * MIB - 1, 1, -EIO);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&copy, "copy", 8 * MIB, NULL), 0);
	CU_ASSERT_EQUAL(block_copy(bad, copy, &options, NULL, NULL), 0);
	check_ranges(&map,
		     (struct rescue_range[]){
			     { 0, 512 }, { 2 * MIB - 1024, 2048 }, { 8 * MIB - 512, 512 } },
		     3);
	CU_ASSERT_EQUAL(block_read(memory, 0, expected, sizeof(expected)), 0);
	CU_ASSERT_EQUAL(block_read(copy, 0, found, sizeof(found)), 0);
	for (unsigned i = 0; i < map.count; i++)
		memset(expected + map.ranges[i].offset, 0, map.ranges[i].length);
	CU_ASSERT_EQUAL(memcmp(expected, found, sizeof(expected)), 0);
	return 0;
}

static void test_only_what_is_bad_is_lost(void)
{
	fiber_run_each(only_what_is_bad_is_lost, NULL);
}

/* A device that is gone is not searched sector by sector. */
static int a_device_that_is_gone_ends_it(void *arg)
{
	CLEANUP_BLOCK struct block *memory = NULL, *copy = NULL;
	CLEANUP_BLOCK struct block *bad = medium(1 * MIB, &memory);
	CLEANUP(rescue_map_free) struct rescue_map map = { 0 };
	const struct block_copy_options options = { .unreadable = &map };

	(void)arg;
	spoil(bad, 0, 0, -ENODEV);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&copy, "copy", 1 * MIB, NULL), 0);
	CU_ASSERT_EQUAL(block_copy(bad, copy, &options, NULL, NULL), -ENODEV);
	CU_ASSERT_EQUAL(map.count, 0);
	return 0;
}

static void test_a_device_that_is_gone_ends_it(void)
{
	fiber_run_each(a_device_that_is_gone_ends_it, NULL);
}

/* The lines of ddrescue: contiguous from 0 to the end, also of a source of odd size. */
static void test_the_map_file(void)
{
	CLEANUP(rescue_map_free) struct rescue_map map = { 0 };
	CLEANUP_FREE char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	CU_ASSERT_EQUAL(rescue_map_add(&map, 0, 512), 0);
	CU_ASSERT_EQUAL(rescue_map_add(&map, 1536, 512), 0);
	rescue_map_print(&map, 2000, to);
	fclose(to);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n0x00000000  0x00000200  -\n"
					    "0x00000200  0x00000400  +\n"
					    "0x00000600  0x000001D0  -\n"));
	CU_ASSERT_EQUAL(strlen(strstr(text, "0x000001D0")), strlen("0x000001D0  -\n"));
}

UNIT_MAIN("rescue", UNIT(test_ranges_are_in_order_and_merge), UNIT(test_only_what_is_bad_is_lost),
	  UNIT(test_a_device_that_is_gone_ends_it), UNIT(test_the_map_file))
