/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: recording to a dm-log-writes log, byte by byte, and replaying it. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/record.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define SIZE        (128u << 10)
#define MIB         (1ULL << 20)
#define MILLISECOND 1000000ULL

static struct block *memory(const char *name, uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, name, size, NULL), 0);
	return block;
}

static struct block *recording(struct block *lower, struct block *log)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_record(&block, "record", lower, log, NULL), 0);
	return block;
}

static int the_log_byte_by_byte(void *arg)
{
	static const unsigned char super[32] = {
		0x72, 0x68, 0x73, 0x77, 0x66, 0x73, 0x6a, 0, /* magic 0x6a736677736872 */
		1,    0,    0,    0,    0,    0,    0,    0, /* version */
		5,    0,    0,    0,    0,    0,    0,    0, /* entries */
		0,    2,    0,    0,                         /* sector size */
	};
	/* sector, number of sectors, flags, length of data */
	static const unsigned char entries[5][40] = {
		{ 0x08, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0 },
		{ 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 4 },
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 },
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0,   8,   0,
		  0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 'h', 'e', 'r', 'e' },
	};
	static const unsigned places[5] = { 1, 4, 5, 6, 8 };
	CLEANUP_BLOCK struct block *lower = memory("disk", MIB);
	CLEANUP_BLOCK struct block *log = memory("log", 16 * 512);
	CLEANUP_BLOCK struct block *block = recording(lower, log);
	unsigned char bytes[16 * 512], data[1024];

	(void)arg;
	memset(data, 0xab, sizeof(data));
	CU_ASSERT_EQUAL(block_write(block, 4096, data, 1024, 0), 0);
	CU_ASSERT_EQUAL(block_discard(block, 65536, 65536), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(block_write(block, 512, data, 512, BLOCK_FUA), 0);
	CU_ASSERT_EQUAL(block_record_mark(block, "here"), 0);
	CU_ASSERT_EQUAL(block_read(log, 0, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, super, sizeof(super)), 0);
	CU_ASSERT_TRUE(bytes_all_zero(bytes + 32, 480));
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(memcmp(bytes + places[i] * 512, entries[i], 40), 0);
		CU_ASSERT_TRUE(bytes_all_zero(bytes + places[i] * 512 + 40, 472));
	}
	CU_ASSERT_EQUAL(memcmp(bytes + 2 * 512, data, 1024), 0);
	CU_ASSERT_EQUAL(memcmp(bytes + 7 * 512, data, 512), 0);
	CU_ASSERT_TRUE(bytes_all_zero(bytes + 9 * 512, sizeof(bytes) - 9 * 512));
	return 0;
}

/* Random changes; at each flush the model is kept, and the replay must pass through each of them. */
static int replay_to_every_flush(void *arg)
{
	enum { FLUSHES = 30 };
	static char model[SIZE], kept[FLUSHES][SIZE], found[SIZE];
	CLEANUP_BLOCK struct block *lower = memory("disk", SIZE);
	CLEANUP_BLOCK struct block *log = memory("log", 64 * MIB);
	CLEANUP_BLOCK struct block *target = memory("target", SIZE);
	struct block *block = recording(lower, log);
	struct random random = { .state = 9 };
	struct block_log at;
	struct block_log_entry entry;
	unsigned flushes = 0;

	(void)arg;
	memset(model, 0, sizeof(model));
	while (flushes < FLUSHES) {
		uint64_t offset = random_below(&random, SIZE / 512) * 512;
		uint64_t length = (1 + random_below(&random, 30)) * 512;

		length = MIN(length, SIZE - offset);
		switch (random_below(&random, 8)) {
		case 0:
			CU_ASSERT_EQUAL(block_flush(block), 0);
			memcpy(kept[flushes++], model, SIZE);
			break;
		case 1:
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL(block_write_zeroes(block, offset, length, 0), 0);
			break;
		case 2:
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL(block_discard(block, offset, length), 0);
			break;
		default:
			random_fill(&random, model + offset, length);
			CU_ASSERT_EQUAL(block_write(block, offset, model + offset, length, 0), 0);
		}
	}
	random_fill(&random, model, 4096);
	CU_ASSERT_EQUAL(block_write(block, 0, model, 4096, 0), 0);
	block_unref(block);
	CU_ASSERT_EQUAL_FATAL(block_log_open(&at, log, NULL), 0);
	for (unsigned i = 0; i < FLUSHES; i++) {
		CU_ASSERT_EQUAL(block_log_replay(&at, target, BLOCK_LOG_FLUSH, NULL, &entry, NULL),
				1);
		CU_ASSERT_TRUE(entry.flags & BLOCK_LOG_FLUSH);
		CU_ASSERT_EQUAL(block_read(target, 0, found, SIZE), 0);
		CU_ASSERT_EQUAL(memcmp(found, kept[i], SIZE), 0);
	}
	CU_ASSERT_EQUAL(block_log_replay(&at, target, BLOCK_LOG_FLUSH, NULL, NULL, NULL), 0);
	CU_ASSERT_EQUAL(at.index, at.entries);
	CU_ASSERT_EQUAL(block_read(target, 0, found, SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(found, model, SIZE), 0);
	return 0;
}

static int write_during_flush(void *arg)
{
	static const char two[512] = { 2 };

	fiber_sleep(MILLISECOND / 2);
	return block_write(arg, 512, two, 512, 0);
}

/* A write that completes while a flush is on its way is not durable by that flush. */
static int a_flush_covers_what_was_complete(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory("disk", MIB);
	CLEANUP_BLOCK struct block *log = memory("log", MIB);
	CLEANUP_BLOCK struct block *target = memory("target", MIB);
	struct block *slow = NULL, *block;
	struct block_log at;
	char bytes[1024] = { 1 };
	struct fiber *other;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&slow, "slow", lower, 1, NULL), 0);
	block_fault_add(slow, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
							  .action = BLOCK_FAULT_LATENCY,
							  .latency_ns = MILLISECOND });
	block = recording(slow, log);
	block_unref(slow);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), 0);
	other = fiber_spawn(write_during_flush, block);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(fiber_join(other), 0);
	CU_ASSERT_EQUAL(block_record_mark(block, "between"), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(block_record_finish(block, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_log_open(&at, log, NULL), 0);
	CU_ASSERT_EQUAL(at.entries, 5);
	CU_ASSERT_EQUAL(block_log_replay(&at, target, 0, "between", NULL, NULL), 1);
	CU_ASSERT_EQUAL(block_read(target, 0, bytes, 1024), 0);
	CU_ASSERT_EQUAL(bytes[0], 1);
	CU_ASSERT_EQUAL(bytes[512], 0);
	CU_ASSERT_EQUAL(block_log_replay(&at, target, 0, NULL, NULL, NULL), 0);
	CU_ASSERT_EQUAL(block_read(target, 0, bytes, 1024), 0);
	CU_ASSERT_EQUAL(bytes[512], 2);
	block_unref(block);
	return 0;
}

static int a_failed_write_is_not_logged(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory("disk", MIB);
	CLEANUP_BLOCK struct block *log = memory("log", MIB);
	struct block *bad = NULL, *block;
	struct block_log at;
	char bytes[512] = { 1 };

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&bad, "bad", lower, 1, NULL), 0);
	block_fault_add(bad, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE |
								     BLOCK_FAULT_FLUSH,
							 .count = 2,
							 .action = BLOCK_FAULT_ERROR,
							 .error = -EIO });
	block = recording(bad, log);
	block_unref(bad);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, BLOCK_FUA), -EIO);
	CU_ASSERT_EQUAL(block_flush(block), -EIO);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
	CU_ASSERT_EQUAL_FATAL(block_log_open(&at, log, NULL), 0);
	CU_ASSERT_EQUAL(at.entries, 2);
	return 0;
}

static int a_full_log_says_so(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory("disk", MIB);
	CLEANUP_BLOCK struct block *log = memory("log", 8 * 512);
	CLEANUP_BLOCK struct block *target = memory("target", MIB);
	CLEANUP_BLOCK struct block *block = recording(lower, log);
	struct error error = { 0 };
	struct block_log at;
	char bytes[4096] = { 1 };

	(void)arg;
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_write(block, 4096, bytes, 4096, 0), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0); /* the disk is well */
	CU_ASSERT_EQUAL(block_record_finish(block, &error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "log of record ended after 1 entries"));
	CU_ASSERT_EQUAL_FATAL(block_log_open(&at, log, NULL), 0);
	CU_ASSERT_EQUAL(block_log_replay(&at, target, 0, NULL, NULL, NULL), 0);
	CU_ASSERT_EQUAL(at.index, 1);
	return 0;
}

static int damage_is_found(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory("disk", MIB);
	CLEANUP_BLOCK struct block *log = memory("log", 64 << 10);
	CLEANUP_BLOCK struct block *small = memory("small", 512);
	struct block *block = recording(lower, log);
	unsigned char good[2048], bytes[2048] = { 1 };
	struct error error = { 0 };
	struct block_log at;
	struct block_log_entry entry;
	static const struct {
		unsigned byte;
		unsigned char value;
		const char *text;
		bool opens;
	} damages[] = {
		{ 0, 0, "magic", false },
		{ 8, 2, "version", false },
		{ 25, 3, "sector size", false },
		{ 25, 0x20, "sector size", false },
		{ 512 + 7, 0xff, "sector", true },
		{ 512 + 15, 0x80, "number of sectors", true },
		{ 512 + 9, 1, "number of sectors", true },
		{ 512 + 16, 0x40, "flags", true },
		{ 16, 99, "", true },
	};

	(void)arg;
	CU_ASSERT_EQUAL(block_write(block, 512, bytes, 1024, 0), 0);
	block_unref(block);
	CU_ASSERT_EQUAL(block_read(log, 0, good, sizeof(good)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		int status;

		memcpy(bytes, good, sizeof(bytes));
		bytes[damages[i].byte] = damages[i].value;
		CU_ASSERT_EQUAL(block_write(log, 0, bytes, sizeof(bytes), 0), 0);
		status = block_log_open(&at, log, &error);
		CU_ASSERT_EQUAL(status, damages[i].opens ? 0 : -EINVAL);
		while (damages[i].opens && (status = block_log_next(&at, &entry, &error)) > 0)
			;
		if (damages[i].text[0]) {
			CU_ASSERT_EQUAL(status, -EINVAL);
			CU_ASSERT_PTR_NOT_NULL(strstr(error.text, damages[i].text));
		}
	}
	CU_ASSERT_EQUAL(block_write(log, 0, good, sizeof(good), 0), 0);
	CU_ASSERT_EQUAL_FATAL(block_log_open(&at, log, NULL), 0);
	CU_ASSERT_EQUAL(block_log_replay(&at, small, 0, NULL, NULL, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "entry 0, 1024 bytes at byte 512, on small"));
	return 0;
}

#define ON_FIBERS(name, function)                                                                  \
	static void name(void)                                                                     \
	{                                                                                          \
		fiber_run_virtual(fiber_run_first_engine(), function, NULL);                       \
	}

ON_FIBERS(test_the_log_byte_by_byte, the_log_byte_by_byte)
ON_FIBERS(test_replay_to_every_flush, replay_to_every_flush)
ON_FIBERS(test_a_flush_covers_what_was_complete, a_flush_covers_what_was_complete)
ON_FIBERS(test_a_failed_write_is_not_logged, a_failed_write_is_not_logged)
ON_FIBERS(test_a_full_log_says_so, a_full_log_says_so)
ON_FIBERS(test_damage_is_found, damage_is_found)

UNIT_MAIN("block record", UNIT(test_the_log_byte_by_byte), UNIT(test_replay_to_every_flush),
	  UNIT(test_a_flush_covers_what_was_complete), UNIT(test_a_failed_write_is_not_logged),
	  UNIT(test_a_full_log_says_so), UNIT(test_damage_is_found))
