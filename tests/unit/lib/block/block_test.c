/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: requests, splitting, fallbacks, the memory and the slice layer. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/iov.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define MIB (1ULL << 20)

static struct block *memory(uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "m", size, NULL), 0);
	return block;
}

/* A layer that deals its blocks in turn to two lower ones, and can be told to misbehave. */
struct stripes {
	struct block block;
	struct block *lower[2];
	uint32_t unit;
	bool wrong_length, wrong_place;
	unsigned flushes;
};

static int stripes_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		       struct block_extent *extent)
{
	struct stripes *stripes = container_of(block, struct stripes, block);
	uint64_t stripe = offset / stripes->unit, within = offset % stripes->unit;

	(void)kind;
	extent->lower = stripes->lower[stripe % 2];
	extent->offset = stripe / 2 * stripes->unit + within;
	extent->length = MIN(length, stripes->unit - within);
	if (stripes->wrong_length)
		extent->length = length + stripes->unit;
	if (stripes->wrong_place)
		extent->offset = extent->lower->size;
	return 0;
}

static int stripes_flush(struct block *block)
{
	container_of(block, struct stripes, block)->flushes++;
	return 0;
}

static void stripes_close(struct block *block)
{
	struct stripes *stripes = container_of(block, struct stripes, block);

	block_unref(stripes->lower[0]);
	block_unref(stripes->lower[1]);
}

static const struct block_ops stripes_ops = {
	.type = "stripes",
	.map = stripes_map,
	.flush = stripes_flush,
	.close = stripes_close,
};

static void stripes_init(struct stripes *stripes, uint32_t unit, uint64_t size)
{
	memset(stripes, 0, sizeof(*stripes));
	block_init(&stripes->block, &stripes_ops, "stripes");
	stripes->lower[0] = memory(size / 2);
	stripes->lower[1] = memory(size / 2);
	stripes->block.size = size;
	stripes->unit = unit;
}

/* A layer that only reads and writes, and keeps count. */
struct plain {
	struct block block;
	struct block *lower;
	unsigned writes, most_in_flight;
	uint64_t longest;
	unsigned flags;
};

static int plain_readv(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	uint64_t sum;

	CU_ASSERT_EQUAL(iov_length(iov, count, &sum), 0);
	CU_ASSERT_EQUAL(sum, length);
	return block_readv(container_of(block, struct plain, block)->lower, offset, iov, count);
}

static int plain_writev(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count, unsigned flags)
{
	struct plain *plain = container_of(block, struct plain, block);
	uint64_t sum;

	CU_ASSERT_EQUAL(iov_length(iov, count, &sum), 0);
	CU_ASSERT_EQUAL(sum, length);
	plain->writes++;
	plain->longest = MAX(plain->longest, length);
	plain->most_in_flight = MAX(plain->most_in_flight, block->gate.inside);
	plain->flags = flags;
	return block_writev(plain->lower, offset, iov, count, flags);
}

static int plain_flush(struct block *block)
{
	return block_flush(container_of(block, struct plain, block)->lower);
}

static void plain_close(struct block *block)
{
	block_unref(container_of(block, struct plain, block)->lower);
}

static const struct block_ops plain_ops = {
	.type = "plain",
	.readv = plain_readv,
	.writev = plain_writev,
	.flush = plain_flush,
	.close = plain_close,
};

static void plain_init(struct plain *plain, struct block *lower)
{
	memset(plain, 0, sizeof(*plain));
	block_init(&plain->block, &plain_ops, "plain");
	plain->lower = lower;
	plain->block.size = lower->size;
}

static void test_requests_outside_or_misaligned_are_refused(void)
{
	CLEANUP_BLOCK struct block *block = memory(MIB);
	enum block_status status;
	char bytes[1024] = { 0 };
	uint64_t length = 512;

	CU_ASSERT_EQUAL(block_read(block, MIB - 512, bytes, 512), 0);
	CU_ASSERT_EQUAL(block_read(block, MIB, bytes, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, MIB - 512, bytes, 1024), -EINVAL);
	CU_ASSERT_EQUAL(block_read(block, UINT64_MAX - 511, bytes, 1024), -EINVAL);
	CU_ASSERT_EQUAL(block_read(block, 1, bytes, 512), -EINVAL);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 511, 0), -EINVAL);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, BLOCK_MAY_UNMAP), -EINVAL);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, 512, 1u << 9), -EINVAL);
	CU_ASSERT_EQUAL(block_discard(block, 512, MIB), -EINVAL);
	CU_ASSERT_EQUAL(block_status(block, MIB, &length, &status), -EINVAL);
	block->logical_block_size = 4096;
	CU_ASSERT_EQUAL(block_read(block, 512, bytes, 512), -EINVAL);
	block->read_only = true;
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 0, 0), -EROFS);
	CU_ASSERT_EQUAL(block_discard(block, 0, 4096), -EROFS);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, 4096, 0), -EROFS);
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

static void test_memory_is_sparse_and_keeps_what_is_written(void)
{
	CLEANUP_BLOCK struct block *block = memory(1ULL << 40);
	char out[1024], in[1024];
	enum block_status status;
	uint64_t length = 1ULL << 40;

	CU_ASSERT_EQUAL(block_status(block, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_ZERO);
	CU_ASSERT_EQUAL(length, 1ULL << 40);
	memset(out, 0x5a, sizeof(out));
	CU_ASSERT_EQUAL(block_write(block, 1ULL << 39, out, sizeof(out), BLOCK_FUA), 0);
	CU_ASSERT_EQUAL(block_read(block, 1ULL << 39, in, sizeof(in)), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, sizeof(in)), 0);
	CU_ASSERT_EQUAL(block_status(block, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_ZERO);
	CU_ASSERT_EQUAL(length, 1ULL << 39);
	length = MIB;
	CU_ASSERT_EQUAL(block_status(block, 1ULL << 39, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_DATA);
	CU_ASSERT_TRUE(length >= 1024 && length < MIB);
	CU_ASSERT_EQUAL(block_write_zeroes(block, (1ULL << 39) + 512, 512, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 1ULL << 39, in, sizeof(in)), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, 512), 0);
	CU_ASSERT_TRUE(bytes_all_zero(in + 512, 512));
	CU_ASSERT_EQUAL(memcmp(block_lend(block, 1ULL << 39, 512), out, 512), 0);
	CU_ASSERT_PTR_NULL(block_lend(block, 1ULL << 40, 512));
	CU_ASSERT_PTR_NULL(block_lend(block, 1, 512));
	CU_ASSERT_EQUAL(block_discard(block, 0, 1ULL << 40), 0);
	length = 1ULL << 40;
	CU_ASSERT_EQUAL(block_status(block, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_ZERO);
	CU_ASSERT_EQUAL(length, 1ULL << 40);
}

static void test_a_memory_device_of_no_blocks_is_refused(void)
{
	struct block *block;
	struct error error = { 0 };

	CU_ASSERT_EQUAL(block_create_memory(&block, "m", 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(block_create_memory(&block, "m", 1000, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "1000"));
}

static void test_a_slice_is_a_part(void)
{
	CLEANUP_BLOCK struct block *lower = memory(MIB);
	CLEANUP_BLOCK struct block *slice = NULL, *inner = NULL;
	struct error error = { 0 };
	char bytes[512], found[512];
	uint64_t length;
	enum block_status status;

	CU_ASSERT_EQUAL(block_create_slice(&slice, "s", lower, MIB, 512, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "1048576"));
	CU_ASSERT_EQUAL(block_create_slice(&slice, "s", lower, 100, 512, &error), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", lower, 4096, 65536, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&inner, "i", slice, 512, 1024, NULL), 0);
	CU_ASSERT_EQUAL(inner->size, 1024);
	memset(bytes, 7, sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(inner, 512, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_write(inner, 1024, bytes, 512, 0), -EINVAL);
	CU_ASSERT_EQUAL(block_read(lower, 4096 + 1024, found, 512), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, found, 512), 0);
	length = 1024;
	CU_ASSERT_EQUAL(block_status(inner, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_DATA);
	CU_ASSERT_EQUAL(length, 1024);
	CU_ASSERT_EQUAL(block_flush(inner), 0);
	CU_ASSERT_EQUAL(lower->references, 2);
	CU_ASSERT_EQUAL(slice->references, 2);
}

/* Random vectored requests through stripes against a plain array of bytes. */
static void test_split_requests_carry_the_right_bytes(void)
{
	enum { SIZE = 64 << 10, ROUNDS = 2000 };
	static char model[SIZE], buffer[SIZE];
	struct random random = { .state = 42 };
	struct stripes stripes;
	CLEANUP_BLOCK struct block *top = NULL;

	stripes_init(&stripes, 1536, SIZE / 3072 * 3072);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&top, "top", &stripes.block, 512,
						 stripes.block.size - 1024, NULL),
			      0);
	block_unref(&stripes.block);
	memset(model, 0, sizeof(model));
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t offset = random_below(&random, top->size / 512) * 512;
		uint64_t length = (random_below(&random, (top->size - offset) / 512) + 1) * 512;
		struct iovec iov[100];
		unsigned count = 0;

		for (uint64_t at = 0; at < length; count++) {
			uint64_t step = random_below(&random, count % 7 ? 3000 : 2);

			step = count == 99 ? length - at : MIN(step, length - at);
			iov[count] = (struct iovec){ buffer + at, step };
			at += step;
		}
		if (random_below(&random, 2)) {
			random_fill(&random, buffer, length);
			memcpy(model + offset, buffer, length);
			CU_ASSERT_EQUAL_FATAL(block_writev(top, offset, iov, count, 0), 0);
		} else if (random_below(&random, 4) == 0) {
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL_FATAL(block_write_zeroes(top, offset, length, 0), 0);
		} else {
			CU_ASSERT_EQUAL_FATAL(block_readv(top, offset, iov, count), 0);
			CU_ASSERT_EQUAL_FATAL(memcmp(buffer, model + offset, length), 0);
		}
	}
	CU_ASSERT_EQUAL(block_flush(top), 0);
	CU_ASSERT_EQUAL(stripes.flushes, 1);
}

static void test_a_wrong_translation_does_no_harm(void)
{
	struct stripes stripes;
	char bytes[4096] = { 0 };

	stripes_init(&stripes, 1024, 64 << 10);
	stripes.wrong_length = true;
	CU_ASSERT_EQUAL(block_write(&stripes.block, 0, bytes, 4096, 0), -EIO);
	stripes.wrong_length = false;
	stripes.wrong_place = true;
	CU_ASSERT_EQUAL(block_write(&stripes.block, 0, bytes, 4096, 0), -EINVAL);
	block_unref(&stripes.block);
}

static void test_what_a_layer_lacks_is_done_for_it(void)
{
	struct plain plain;
	static char bytes[3 * MIB];
	enum block_status status;
	uint64_t length = 3 * MIB;

	plain_init(&plain, memory(4 * MIB));
	memset(bytes, 1, sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(&plain.block, 512, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(plain.writes, 1);
	CU_ASSERT_EQUAL(plain.most_in_flight, 1);
	CU_ASSERT_EQUAL(plain.block.gate.inside, 0);
	CU_ASSERT_EQUAL(block_discard(&plain.block, 512, 1024), 0);
	CU_ASSERT_EQUAL(block_read(&plain.block, 512, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(bytes[0], 1); /* a hint, not taken */
	CU_ASSERT_EQUAL(block_status(&plain.block, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_DATA);
	CU_ASSERT_EQUAL(length, 3 * MIB);
	plain.longest = 0;
	CU_ASSERT_EQUAL(block_write_zeroes(&plain.block, 1024, sizeof(bytes) - 1024,
					   BLOCK_FUA | BLOCK_MAY_UNMAP),
			0);
	CU_ASSERT_TRUE(plain.longest <= MIB);
	CU_ASSERT_EQUAL(plain.flags, BLOCK_FUA);
	CU_ASSERT_EQUAL(block_read(&plain.block, 512, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(bytes[511], 1);
	CU_ASSERT_TRUE(bytes_all_zero(bytes + 512, sizeof(bytes) - 1024));
	CU_ASSERT_EQUAL(bytes[sizeof(bytes) - 1], 1);
	block_unref(&plain.block);
}

static void test_status_counts_in_the_callers_blocks(void)
{
	CLEANUP_BLOCK struct block *lower = memory(MIB);
	CLEANUP_BLOCK struct block *slice = NULL;
	uint64_t length = 65536;
	enum block_status status;

	CU_ASSERT_EQUAL(block_write(lower, 0, "", 0, 0), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", lower, 65536 - 512, 65536, NULL), 0);
	slice->logical_block_size = 4096;
	CU_ASSERT_EQUAL(block_write_zeroes(slice, 0, 4096, 0), 0);
	CU_ASSERT_EQUAL(block_write(lower, 0, &(char[512]){ 1 }, 512, 0), 0);
	/* The 512 bytes up to the chunk's end are data, less than one of the slice's blocks. */
	CU_ASSERT_EQUAL(block_status(slice, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_DATA);
	CU_ASSERT_EQUAL(length, 4096);
}

#define MILLISECOND 1000000ULL

/* More stripes on a disk than are put together: they arrive all the same. */
static void test_many_stripes_come_together(void)
{
	static char bytes[MIB], back[MIB];
	struct plain plain[2];
	struct stripes stripes;
	struct random random = { .state = 5 };

	stripes_init(&stripes, 512, 2 * MIB);
	for (unsigned i = 0; i < 2; i++) {
		plain_init(&plain[i], stripes.lower[i]);
		stripes.lower[i] = &plain[i].block;
	}
	random_fill(&random, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(&stripes.block, 512, bytes, sizeof(bytes), 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(plain[i].writes, 4);
		CU_ASSERT_EQUAL(plain[i].longest, 256 * 512);
		CU_ASSERT_EQUAL(plain[i].block.gate.inside, 0);
	}
	CU_ASSERT_EQUAL(block_read(&stripes.block, 512, back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(memcmp(back, bytes, sizeof(back)), 0);
	CU_ASSERT_EQUAL(stripes.block.gate.inside, 0);
	block_unref(&stripes.block);
}

/* Eight stripes over two slow disks take as long as one, and are one request for each disk. */
static int parts_go_at_once(void *arg)
{
	struct stripes stripes;
	struct block_fault_counts counts;
	char bytes[8192] = { 0 };
	uint64_t before;

	(void)arg;
	stripes_init(&stripes, 1024, 64 << 10);
	for (unsigned i = 0; i < 2; i++) {
		struct block *disk = stripes.lower[i];

		CU_ASSERT_EQUAL_FATAL(block_create_fault(&stripes.lower[i], "slow", disk, 1, NULL),
				      0);
		block_unref(disk);
		block_fault_add(stripes.lower[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = MILLISECOND });
	}
	before = worker_now();
	CU_ASSERT_EQUAL(block_write(&stripes.block, 512, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(worker_now() - before, MILLISECOND);
	CU_ASSERT_EQUAL(block_read(&stripes.block, 512, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(worker_now() - before, 2 * MILLISECOND);
	CU_ASSERT_EQUAL(block_discard(&stripes.block, 0, 64 << 10), 0);
	for (unsigned i = 0; i < 2; i++) {
		block_fault_counts(stripes.lower[i], &counts);
		CU_ASSERT_EQUAL(counts.discards, 1);
		CU_ASSERT_EQUAL(counts.reads, 1);
		CU_ASSERT_EQUAL(counts.writes, 1);
	}
	block_fault_add(stripes.lower[1], &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
								      .offset = 1024,
								      .length = 512,
								      .action = BLOCK_FAULT_ERROR,
								      .error = -EIO });
	CU_ASSERT_EQUAL(block_write(&stripes.block, 0, bytes, sizeof(bytes), 0), -EIO);
	block_unref(&stripes.block);
	return 0;
}

static void test_parts_of_a_request_go_at_once(void)
{
	fiber_run_virtual(fiber_run_first_engine(), parts_go_at_once, NULL);
}

UNIT_MAIN("block", UNIT(test_requests_outside_or_misaligned_are_refused),
	  UNIT(test_memory_is_sparse_and_keeps_what_is_written),
	  UNIT(test_a_memory_device_of_no_blocks_is_refused), UNIT(test_a_slice_is_a_part),
	  UNIT(test_split_requests_carry_the_right_bytes),
	  UNIT(test_a_wrong_translation_does_no_harm), UNIT(test_what_a_layer_lacks_is_done_for_it),
	  UNIT(test_status_counts_in_the_callers_blocks), UNIT(test_many_stripes_come_together),
	  UNIT(test_parts_of_a_request_go_at_once))
