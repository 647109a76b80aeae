/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/compare: two devices, byte by byte. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/compare.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define MIB  (1ULL << 20)
#define SIZE (16 * MIB)

static struct block *memory(const char *name, uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, name, size, NULL), 0);
	return block;
}

static void put(struct block *block, uint64_t offset, char value)
{
	uint64_t sector = round_down(offset, 512);
	char bytes[512];

	CU_ASSERT_EQUAL(block_read(block, sector, bytes, 512), 0);
	bytes[offset - sector] = value;
	CU_ASSERT_EQUAL(block_write(block, sector, bytes, 512, 0), 0);
}

static void fill_both(struct block *one, struct block *other, uint64_t offset, uint64_t length)
{
	struct random random = { .state = offset };
	char *bytes = malloc(length);

	random_fill(&random, bytes, length);
	CU_ASSERT_EQUAL(block_write(one, offset, bytes, length, 0), 0);
	CU_ASSERT_EQUAL(block_write(other, offset, bytes, length, 0), 0);
	free(bytes);
}

static int the_first_difference(void *arg)
{
	static const uint64_t places[] = { 0,           1,       511,          4095,
					   3 * MIB - 1, 3 * MIB, 9 * MIB + 77, SIZE - 1 };
	CLEANUP_BLOCK struct block *one = memory("one", SIZE), *other = memory("other", 2 * SIZE);
	uint64_t differs = 0;

	(void)arg;
	fill_both(one, other, 512, 140 * 512);
	fill_both(one, other, 3 * MIB, 5 * MIB);
	CU_ASSERT_EQUAL(block_compare(one, other, SIZE, NULL, &differs, NULL), 0);
	for (size_t i = ARRAY_SIZE(places); i-- > 0;) {
		char was;
		char sector[512];
		uint64_t at = round_down(places[i], 512);

		CU_ASSERT_EQUAL(block_read(one, at, sector, 512), 0);
		was = sector[places[i] - at];
		/* Later ones, of the steps before, are there too. */
		put(i % 2 ? one : other, places[i], (char)(was + 1));
		CU_ASSERT_EQUAL(block_compare(one, other, SIZE, NULL, &differs, NULL), 1);
		CU_ASSERT_EQUAL(differs, places[i]);
	}
	return 0;
}

static void test_the_first_difference(void)
{
	fiber_run_virtual(fiber_run_first_engine(), the_first_difference, NULL);
}

static int no_more_than_the_length(void *arg)
{
	CLEANUP_BLOCK struct block *one = memory("one", SIZE), *other = memory("other", SIZE);
	uint64_t differs = 0;
	struct error error = { 0 };

	(void)arg;
	fill_both(one, other, 0, 12345ULL * 512);
	put(one, 5000, 'x');
	put(other, 5000, 'y');
	CU_ASSERT_EQUAL(block_compare(one, other, 5000, NULL, &differs, NULL), 0);
	CU_ASSERT_EQUAL(block_compare(one, other, 5001, NULL, &differs, NULL), 1);
	CU_ASSERT_EQUAL(differs, 5000);
	CU_ASSERT_EQUAL(block_compare(one, other, 0, NULL, &differs, NULL), 0);
	CU_ASSERT_EQUAL(block_compare(one, other, SIZE + 1, NULL, &differs, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "one: has 16777216 bytes"));
	return 0;
}

static void test_no_more_than_the_length(void)
{
	fiber_run_virtual(fiber_run_first_engine(), no_more_than_the_length, NULL);
}

static int what_cannot_be_read(void *arg)
{
	CLEANUP_BLOCK struct block *one = memory("one", SIZE), *plain = memory("other", SIZE);
	CLEANUP_BLOCK struct block *other = NULL;
	struct error error = { 0 };
	uint64_t differs = 0;

	(void)arg;
	fill_both(one, plain, 0, SIZE);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&other, "other", plain, 1, NULL), 0);
	block_fault_add(other, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							   .action = BLOCK_FAULT_ERROR,
							   .error = -EIO,
							   .offset = 4 * MIB,
							   .length = 512 });
	CU_ASSERT_EQUAL(block_compare(one, other, SIZE, NULL, &differs, &error), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "other: reading it again at byte 4194304"));
	return 0;
}

static void test_what_cannot_be_read(void)
{
	fiber_run_virtual(fiber_run_first_engine(), what_cannot_be_read, NULL);
}

UNIT_MAIN("compare", UNIT(test_the_first_difference), UNIT(test_no_more_than_the_length),
	  UNIT(test_what_cannot_be_read))
