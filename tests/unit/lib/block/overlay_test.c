/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: an overlay is a disk like another, and what is below it stays as it is. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/overlay.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/random.h"

#define SIZE (128u << 10)

/* Zeroes are said where there are some, and after so many changes there are. */
static void check_status(struct block *block, const char *model)
{
	static const char zeroes[SIZE];
	enum block_status status;
	uint64_t length, zero = 0;

	for (uint64_t at = 0; at < SIZE; at += length) {
		length = SIZE - at;
		CU_ASSERT_EQUAL_FATAL(block_status(block, at, &length, &status), 0);
		CU_ASSERT_FATAL(length > 0 && length <= SIZE - at);
		if (status != BLOCK_STATUS_ZERO)
			continue;
		zero += length;
		CU_ASSERT_EQUAL(memcmp(model + at, zeroes, length), 0);
	}
	CU_ASSERT(zero > 0);
}

static int random_changes(void *arg)
{
	static char model[SIZE], before[SIZE], found[SIZE];
	CLEANUP_BLOCK struct block *lower = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	struct random random = { .state = 11 };

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&lower, "disk", SIZE, NULL), 0);
	random_fill(&random, before, SIZE);
	CU_ASSERT_EQUAL(block_write(lower, 0, before, SIZE, 0), 0);
	lower->read_only = true;
	CU_ASSERT_EQUAL_FATAL(block_create_overlay(&block, lower, NULL), 0);
	CU_ASSERT_STRING_EQUAL(block->name, "disk");
	CU_ASSERT_FALSE(block->read_only);
	memcpy(model, before, SIZE);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t offset = random_below(&random, SIZE / 512) * 512;
		uint64_t length = (1 + random_below(&random, 30)) * 512;

		length = MIN(length, SIZE - offset);
		switch (random_below(&random, 6)) {
		case 0:
			CU_ASSERT_EQUAL(block_flush(block), 0);
			break;
		case 1:
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL(block_write_zeroes(block, offset, length, BLOCK_MAY_UNMAP),
					0);
			break;
		case 2:
			CU_ASSERT_EQUAL(block_read(block, offset, found, length), 0);
			CU_ASSERT_EQUAL(memcmp(found, model + offset, length), 0);
			break;
		default:
			random_fill(&random, model + offset, length);
			CU_ASSERT_EQUAL(
				block_write(block, offset, model + offset, length, BLOCK_FUA), 0);
		}
	}
	CU_ASSERT_EQUAL(block_read(block, 0, found, SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(found, model, SIZE), 0);
	CU_ASSERT(block_overlay_written(block) > SIZE);
	check_status(block, model);
	CU_ASSERT_EQUAL(block_read(lower, 0, found, SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(found, before, SIZE), 0);
	return 0;
}

static int too_much(void *arg)
{
	static char bytes[1 << 20];
	CLEANUP_BLOCK struct block *lower = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	uint64_t at = 0;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&lower, "disk", 1ull << 40, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_overlay(&block, lower, NULL), 0);
	for (; at < BLOCK_OVERLAY_MOST; at += sizeof(bytes))
		CU_ASSERT_EQUAL(block_write(block, at, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(block_write(block, at, bytes, 512, 0), -ENOSPC);
	/* Zeroes take no memory. */
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, lower->size, 0), 0);
	CU_ASSERT_EQUAL(block_overlay_written(block), BLOCK_OVERLAY_MOST + lower->size);
	return 0;
}

/* What was written is there, whether it can be read below or not. */
static int over_what_cannot_be_read(void *arg)
{
	static const struct block_fault_rule unreadable = { .requests = BLOCK_FAULT_READ,
							    .offset = 4096,
							    .length = 8192,
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO };
	CLEANUP_BLOCK struct block *disk = NULL;
	CLEANUP_BLOCK struct block *lower = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	char bytes[8192], found[8192];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&disk, "disk", SIZE, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&lower, "disk", disk, 1, NULL), 0);
	block_fault_add(lower, &unreadable);
	CU_ASSERT_EQUAL_FATAL(block_create_overlay(&block, lower, NULL), 0);
	memset(bytes, 0x5a, sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(block, 4096, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_write(block, 4608, bytes, 3584, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, found, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(found, bytes, 4096), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, found, 8192), -EIO);
	CU_ASSERT_EQUAL(block_read(block, 0, found, 8192), -EIO);
	return 0;
}

#define ON_FIBERS(name, function)                                                                  \
	static void name(void)                                                                     \
	{                                                                                          \
		fiber_run_virtual(fiber_run_first_engine(), function, NULL);                       \
	}

ON_FIBERS(test_it_reads_as_written_and_changes_nothing, random_changes)
ON_FIBERS(test_it_takes_only_so_much, too_much)
ON_FIBERS(test_what_was_written_can_be_read, over_what_cannot_be_read)

UNIT_MAIN("block overlay", UNIT(test_it_reads_as_written_and_changes_nothing),
	  UNIT(test_it_takes_only_so_much), UNIT(test_what_was_written_can_be_read))
