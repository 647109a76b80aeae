/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: the fault layer and the volatile cache with its power cuts. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/volatile.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/random.h"

#define SIZE (256u << 10)

static struct block *memory(void)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "m", SIZE, NULL), 0);
	return block;
}

static struct block *faulty(struct block *lower, uint64_t seed)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&block, "f", lower, seed, NULL), 0);
	return block;
}

/* ---- Faults ---- */

static int errors_by_range_and_number(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = faulty(lower, 1);
	struct block_fault_counts counts;
	char bytes[4096] = { 1 };
	int rule, flush;

	(void)arg;
	rule = block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								  .offset = 4096,
								  .length = 512,
								  .after = 1,
								  .count = 2,
								  .action = BLOCK_FAULT_ERROR,
								  .error = -EIO });
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 4096), 0); /* ends where the range begins */
	CU_ASSERT_EQUAL(block_read(block, 4608, bytes, 512), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, bytes, 512), 0); /* the first is left alone */
	CU_ASSERT_EQUAL(block_read(block, 4096, bytes, 512), -EIO);
	CU_ASSERT_EQUAL(block_write(block, 4096, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 3584, bytes, 4096), -EIO);
	CU_ASSERT_EQUAL(block_read(block, 4096, bytes, 512), 0); /* after two it is over */
	CU_ASSERT_EQUAL(block_fault_hits(block, rule), 2);
	flush = block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								   .offset = 8192,
								   .length = 512,
								   .action = BLOCK_FAULT_ERROR,
								   .error = -EIO });
	CU_ASSERT_EQUAL(block_flush(block), -EIO);
	block_fault_remove(block, flush);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_fault_counts(block, &counts);
	CU_ASSERT_EQUAL(counts.reads, 6);
	CU_ASSERT_EQUAL(counts.writes, 1);
	CU_ASSERT_EQUAL(counts.flushes, 2);
	return 0;
}

static int torn_lost_and_rotten(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = faulty(lower, 1);
	char ones[4096], bytes[4096];
	unsigned wrong = 0;

	(void)arg;
	memset(ones, 1, sizeof(ones));
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							   .count = 1,
							   .action = BLOCK_FAULT_TORN,
							   .torn_sectors = 3,
							   .error = -EIO });
	CU_ASSERT_EQUAL(block_write(block, 0, ones, 4096, 0), -EIO);
	CU_ASSERT_EQUAL(block_read(lower, 0, bytes, 4096), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, ones, 1536), 0);
	CU_ASSERT_TRUE(bytes_all_zero(bytes + 1536, 4096 - 1536));

	block_fault_clear(block);
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							   .action = BLOCK_FAULT_LOST });
	CU_ASSERT_EQUAL(block_write(block, 8192, ones, 4096, BLOCK_FUA), 0);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, 512, 0), 0);
	CU_ASSERT_EQUAL(block_discard(block, 0, 512), 0);
	CU_ASSERT_EQUAL(block_read(block, 8192, bytes, 4096), 0);
	CU_ASSERT_TRUE(bytes_all_zero(bytes, 4096));
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 512), 0);
	CU_ASSERT_EQUAL(bytes[0], 1);

	block_fault_clear(block);
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							   .offset = 16384 + 512,
							   .length = 512,
							   .action = BLOCK_FAULT_ROT_WRITE });
	CU_ASSERT_EQUAL(block_write(block, 16384, ones, 4096, 0), 0);
	CU_ASSERT_EQUAL(ones[512], 1); /* the caller's memory is left alone */
	CU_ASSERT_EQUAL(block_read(lower, 16384, bytes, 4096), 0);
	for (unsigned i = 0; i < 4096; i++)
		if (bytes[i] != 1) {
			CU_ASSERT_TRUE(i >= 512 && i < 1024);
			CU_ASSERT_EQUAL(__builtin_popcount((unsigned char)(bytes[i] ^ 1)), 1);
			wrong++;
		}
	CU_ASSERT_EQUAL(wrong, 1);

	block_fault_clear(block);
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							   .action = BLOCK_FAULT_ROT_READ });
	CU_ASSERT_EQUAL(block_read(block, 32768, bytes, 4096), 0);
	CU_ASSERT_FALSE(bytes_all_zero(bytes, 4096));
	block_fault_clear(block);
	CU_ASSERT_EQUAL(block_read(block, 32768, bytes, 4096), 0);
	CU_ASSERT_TRUE(bytes_all_zero(bytes, 4096));
	CU_ASSERT_EQUAL(block_fault_rot(block, 32768 + 600, 10, 1), 0);
	CU_ASSERT_EQUAL(block_read(block, 32768, bytes, 4096), 0);
	CU_ASSERT_FALSE(bytes_all_zero(bytes + 600, 10));
	memset(bytes + 600, 0, 10);
	CU_ASSERT_TRUE(bytes_all_zero(bytes, 4096));
	return 0;
}

static uint64_t failures_of_1000(uint64_t seed)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = faulty(lower, seed);
	uint64_t pattern = 0, failed = 0;
	char bytes[512];

	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							   .chance = 100000,
							   .action = BLOCK_FAULT_ERROR,
							   .error = -EIO });
	for (unsigned i = 0; i < 1000; i++)
		if (block_read(block, 0, bytes, 512)) {
			pattern = random_mix(pattern + i);
			failed++;
		}
	CU_ASSERT_TRUE(failed > 50 && failed < 150);
	return pattern;
}

static int chance_repeats(void *arg)
{
	(void)arg;
	CU_ASSERT_EQUAL(failures_of_1000(5), failures_of_1000(5));
	CU_ASSERT_NOT_EQUAL(failures_of_1000(5), failures_of_1000(6));
	return 0;
}

static int latency_is_of_the_workers_clock(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = faulty(lower, 1);
	uint64_t before = worker_now();
	char bytes[512] = { 0 };

	(void)arg;
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							   .action = BLOCK_FAULT_LATENCY,
							   .latency_ns = 3600000000000 });
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(worker_now() - before, 3600000000000);
	return 0;
}

/* What is lent is what a read would answer, after a write that was torn as well; where a rule has to be asked, nothing is. */
static int lent_unless_reads_have_rules(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *block = faulty(lower, 1);
	CLEANUP_BLOCK struct block *cached = NULL, *over = NULL;
	char ones[1024], bytes[1024];
	int rule;

	(void)arg;
	memset(ones, 1, sizeof(ones));
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
							   .action = BLOCK_FAULT_TORN,
							   .torn_sectors = 1 });
	CU_ASSERT_EQUAL(block_write(block, 4096, ones, 1024, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, bytes, 1024), 0);
	CU_ASSERT_EQUAL(bytes[511], 1);
	CU_ASSERT_EQUAL(bytes[512], 0);
	CU_ASSERT_PTR_EQUAL(block_lend(block, 4096, 1024), block_lend(lower, 4096, 1024));
	CU_ASSERT_EQUAL_FATAL(memcmp(block_lend(block, 4096, 1024), bytes, 1024), 0);
	CU_ASSERT_PTR_NULL(block_lend(block, SIZE - 512, 1024));
	rule = block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								  .action = BLOCK_FAULT_ROT_READ });
	CU_ASSERT_PTR_NULL(block_lend(block, 4096, 1024));
	block_fault_remove(block, rule);
	CU_ASSERT_PTR_NOT_NULL(block_lend(block, 4096, 1024));
	CU_ASSERT_EQUAL_FATAL(block_create_volatile(&cached, "v", lower, NULL), 0);
	over = faulty(cached, 1);
	CU_ASSERT_PTR_NULL(block_lend(over, 4096, 1024)); /* what is below does not lend */
	return 0;
}

/* ---- The volatile cache ---- */

static struct block *caching(struct block *lower)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_volatile(&block, "v", lower, NULL), 0);
	return block;
}

static int a_cache_reads_what_was_written(void *arg)
{
	static char model[SIZE], bytes[SIZE];
	CLEANUP_BLOCK struct block *lower = memory();
	struct block *block = caching(lower);
	struct random random = { .state = 3 };

	(void)arg;
	memset(model, 0, sizeof(model));
	for (unsigned round = 0; round < 600; round++) {
		uint64_t offset = random_below(&random, SIZE / 512) * 512;
		uint64_t length = (1 + random_below(&random, 20)) * 512;

		length = MIN(length, SIZE - offset);
		switch (random_below(&random, 8)) {
		case 0:
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL(block_write_zeroes(block, offset, length, 0), 0);
			break;
		case 1:
			CU_ASSERT_EQUAL(block_flush(block), 0);
			CU_ASSERT_EQUAL(block_volatile_unflushed(block), 0);
			break;
		case 2:
			CU_ASSERT_EQUAL(block_read(block, offset, bytes, length), 0);
			CU_ASSERT_EQUAL(memcmp(bytes, model + offset, length), 0);
			break;
		default:
			random_fill(&random, model + offset, length);
			CU_ASSERT_EQUAL(block_write(block, offset, model + offset, length, 0), 0);
		}
	}
	block_unref(block); /* not a power cut */
	CU_ASSERT_EQUAL(block_read(lower, 0, bytes, SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, model, SIZE), 0);
	return 0;
}

/* Sector 0: flushed 1, then 2, then 3 unflushed; sector 1: 1 by FUA over an unflushed 9. */
static int a_power_cut_keeps_what_was_promised(void *arg)
{
	unsigned seen[4] = { 0 }, torn = 0;

	(void)arg;
	for (uint64_t seed = 0; seed < 200; seed++) {
		CLEANUP_BLOCK struct block *lower = memory();
		CLEANUP_BLOCK struct block *block = caching(lower);
		char fill[4][4096], bytes[4096];

		for (int i = 0; i < 4; i++)
			memset(fill[i], i, sizeof(fill[i]));
		CU_ASSERT_EQUAL(block_write(block, 0, fill[1], 512, 0), 0);
		CU_ASSERT_EQUAL(block_flush(block), 0);
		CU_ASSERT_EQUAL(block_write(block, 0, fill[2], 512, 0), 0);
		CU_ASSERT_EQUAL(block_write(block, 512, fill[2], 512, 0), 0);
		CU_ASSERT_EQUAL(block_write(block, 512, fill[1], 512, BLOCK_FUA), 0);
		CU_ASSERT_EQUAL(block_write(block, 0, fill[3], 512, 0), 0);
		CU_ASSERT_EQUAL(block_write(block, 8192, fill[1], 4096, 0), 0);
		CU_ASSERT_EQUAL(block_volatile_unflushed(block), 512 * 3 + 4096);
		CU_ASSERT_EQUAL(block_volatile_power_cut(block, seed), 0);
		CU_ASSERT_EQUAL(block_read(block, 0, bytes, 512), -EIO);
		CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), -EIO);
		CU_ASSERT_EQUAL(block_flush(block), -EIO);
		block_volatile_power_on(block);
		CU_ASSERT_EQUAL(block_read(block, 0, bytes, 1024), 0);
		CU_ASSERT_TRUE_FATAL(bytes[0] >= 1 && bytes[0] <= 3);
		seen[(int)bytes[0]]++;
		CU_ASSERT_EQUAL(bytes[511], bytes[0]);
		CU_ASSERT_EQUAL(bytes[512], 1);
		CU_ASSERT_EQUAL(block_read(block, 8192, bytes, 4096), 0);
		for (unsigned at = 512; at < 4096; at += 512)
			if (bytes[at] != bytes[at - 512]) {
				torn++;
				break;
			}
	}
	CU_ASSERT_TRUE(seen[1] > 10 && seen[2] > 10 && seen[3] > 10);
	CU_ASSERT_TRUE(torn > 10);
	return 0;
}

/* A commit of two steps, cut at every request: the second step is never seen without the first. */
static int a_cut_at_every_request(void *arg)
{
	unsigned cuts = 0;

	(void)arg;
	for (uint64_t seed = 0; seed < 20; seed++)
		for (uint64_t n = 0;; n++) {
			CLEANUP_BLOCK struct block *lower = memory();
			CLEANUP_BLOCK struct block *block = caching(lower);
			char one[4096], first[4096], second[512];

			memset(one, 1, sizeof(one));
			block_volatile_cut_after(block, n, seed);
			if (!block_write(block, 0, one, 4096, 0) && !block_flush(block) &&
			    !block_write(block, 8192, one, 512, BLOCK_FUA))
				block_flush(block);
			if (!block_volatile_is_off(block))
				break;
			cuts++;
			block_volatile_power_on(block);
			CU_ASSERT_EQUAL(block_read(block, 0, first, 4096), 0);
			CU_ASSERT_EQUAL(block_read(block, 8192, second, 512), 0);
			if (n < 2)
				CU_ASSERT_EQUAL(second[0], 0);
			if (second[0])
				CU_ASSERT_EQUAL(memcmp(first, one, 4096), 0);
			if (n == 3)
				CU_ASSERT_EQUAL(second[0], 1);
		}
	CU_ASSERT_EQUAL(cuts, 20 * 4);
	return 0;
}

static int write_later(void *arg)
{
	struct block *block = arg;
	static const char two[512] = { 2 };

	fiber_sleep(1000);
	return block_write(block, 0, two, 512, 0);
}

/* A write that comes while a flush writes down stays, and a cut in the middle of a flush fails it. */
static int a_flush_and_what_comes_meanwhile(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *slow = faulty(lower, 1);
	CLEANUP_BLOCK struct block *block = caching(slow);
	char bytes[512] = { 1 };
	struct fiber *other;

	(void)arg;
	block_fault_add(slow, &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							  .action = BLOCK_FAULT_LATENCY,
							  .latency_ns = 1000000 });
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), 0);
	other = fiber_spawn(write_later, block);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(fiber_join(other), 0);
	CU_ASSERT_EQUAL(block_volatile_unflushed(block), 512);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 512), 0);
	CU_ASSERT_EQUAL(bytes[0], 2);
	CU_ASSERT_EQUAL(block_read(lower, 0, bytes, 512), 0);
	CU_ASSERT_EQUAL(bytes[0], 1);
	return 0;
}

static int flush_it(void *arg)
{
	return block_flush(arg);
}

static int a_cut_during_a_flush(void *arg)
{
	CLEANUP_BLOCK struct block *lower = memory();
	CLEANUP_BLOCK struct block *slow = faulty(lower, 1);
	CLEANUP_BLOCK struct block *block = caching(slow);
	char bytes[512] = { 1 };
	struct fiber *other;

	(void)arg;
	block_fault_add(slow, &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							  .action = BLOCK_FAULT_LATENCY,
							  .latency_ns = 1000000 });
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(block_write(block, i * 512, bytes, 512, 0), 0);
	other = fiber_spawn(flush_it, block);
	fiber_sleep(3500000);
	CU_ASSERT_EQUAL(block_volatile_power_cut(block, 4), 0);
	CU_ASSERT_EQUAL(fiber_join(other), -EIO);
	CU_ASSERT_EQUAL(block_volatile_unflushed(block), 0);
	return 0;
}

#define ON_FIBERS(name, function)                                                                  \
	static void name(void)                                                                     \
	{                                                                                          \
		fiber_run_each(function, NULL);                                                    \
	}

ON_FIBERS(test_errors_by_range_and_number, errors_by_range_and_number)
ON_FIBERS(test_torn_lost_and_rotten, torn_lost_and_rotten)
ON_FIBERS(test_chance_repeats_from_a_seed, chance_repeats)
ON_FIBERS(test_latency_is_of_the_workers_clock, latency_is_of_the_workers_clock)
ON_FIBERS(test_lent_unless_reads_have_rules, lent_unless_reads_have_rules)
ON_FIBERS(test_a_cache_reads_what_was_written, a_cache_reads_what_was_written)
ON_FIBERS(test_a_power_cut_keeps_what_was_promised, a_power_cut_keeps_what_was_promised)
ON_FIBERS(test_a_cut_at_every_request, a_cut_at_every_request)
ON_FIBERS(test_a_flush_and_what_comes_meanwhile, a_flush_and_what_comes_meanwhile)
ON_FIBERS(test_a_cut_during_a_flush, a_cut_during_a_flush)

UNIT_MAIN("block faults", UNIT(test_errors_by_range_and_number), UNIT(test_torn_lost_and_rotten),
	  UNIT(test_chance_repeats_from_a_seed), UNIT(test_latency_is_of_the_workers_clock),
	  UNIT(test_lent_unless_reads_have_rules), UNIT(test_a_cache_reads_what_was_written),
	  UNIT(test_a_power_cut_keeps_what_was_promised), UNIT(test_a_cut_at_every_request),
	  UNIT(test_a_flush_and_what_comes_meanwhile), UNIT(test_a_cut_during_a_flush))
