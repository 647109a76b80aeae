/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/ends: what is read at once is what is there, of devices of all sizes, and of one that cannot be read. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/ends.h"
#include "fiber_run.h"
#include "util/bytes.h"

#define DEVICES 40u
#define STEP    4096u

/* Each block of 512 says where it is; every other page is zeroes. */
static void fill(struct block *block)
{
	uint64_t sector[64];

	for (uint64_t at = 0; at < block->size; at += sizeof(sector)) {
		for (unsigned i = 0; i < ARRAY_SIZE(sector); i++)
			sector[i] = at % (2 * STEP) ? block->size + at : 0;
		CU_ASSERT_EQUAL_FATAL(block_write(block, at, sector, sizeof(sector), 0), 0);
	}
}

static uint64_t size_of(unsigned index)
{
	return 512 * (1 + index * 37ull) + (index > DEVICES / 2 ? 300000 - 300000 % 512 : 0);
}

static void check_same(struct block *ends, struct block *block, unsigned length)
{
	static char is[STEP], expected[STEP];

	CU_ASSERT_EQUAL(ends->size, block->size);
	CU_ASSERT_STRING_EQUAL(ends->name, block->name);
	for (uint64_t at = 0; at + length <= block->size; at += 512) {
		CU_ASSERT_EQUAL_FATAL(block_read(ends, at, is, length), 0);
		CU_ASSERT_EQUAL_FATAL(block_read(block, at, expected, length), 0);
		CU_ASSERT_EQUAL_FATAL(memcmp(is, expected, length), 0);
	}
}

static int all_sizes(void *arg)
{
	struct block *blocks[DEVICES + 1], *ends[DEVICES + 1];

	(void)arg;
	for (unsigned i = 0; i < DEVICES; i++) {
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&blocks[i], "disk", size_of(i), NULL), 0);
		fill(blocks[i]);
	}
	blocks[DEVICES] = NULL;
	CU_ASSERT_EQUAL_FATAL(block_create_ends(ends, blocks, DEVICES + 1), 0);
	CU_ASSERT_PTR_NULL(ends[DEVICES]);
	for (unsigned i = 0; i < DEVICES; i++) {
		check_same(ends[i], blocks[i], 512);
		check_same(ends[i], blocks[i], STEP);
		CU_ASSERT_TRUE(ends[i]->read_only);
		block_unref(ends[i]);
		block_unref(blocks[i]);
	}
	return 0;
}

static void test_all_sizes(void)
{
	fiber_run_real(fiber_run_first_engine(), all_sizes, NULL);
}

/* It is as it was; what lies between is as it is. */
static int later(void *arg)
{
	struct block *block, *ends;
	char text[512] = "later", found[512];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "disk", 1 << 20, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_ends(&ends, &block, 1), 0);
	CU_ASSERT_EQUAL(block_write(block, 4096, text, sizeof(text), 0), 0);
	CU_ASSERT_EQUAL(block_write(block, 64 << 10, text, sizeof(text), 0), 0);
	CU_ASSERT_EQUAL(block_read(ends, 4096, found, sizeof(found)), 0);
	CU_ASSERT_TRUE(bytes_all_zero(found, sizeof(found)));
	CU_ASSERT_EQUAL(block_read(ends, 64 << 10, found, sizeof(found)), 0);
	CU_ASSERT_STRING_EQUAL(found, "later");
	CU_ASSERT_EQUAL(block_write(ends, 64 << 10, text, sizeof(text), 0), -EROFS);
	block_unref(ends);
	block_unref(block);
	return 0;
}

static void test_later(void)
{
	fiber_run_real(fiber_run_first_engine(), later, NULL);
}

UNIT_MAIN("ends", UNIT(test_all_sizes), UNIT(test_later))
