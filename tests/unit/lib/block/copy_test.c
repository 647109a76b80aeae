/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: copying, in virtual time over memory with latency. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/copy.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define MIB         (1ULL << 20)
#define MILLISECOND 1000000ULL

static struct block *memory(const char *name, uint64_t size)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, name, size, NULL), 0);
	return block;
}

/* Over `lower`, whose reference it takes; every request takes a millisecond. */
static struct block *slow(struct block *lower)
{
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&block, lower->name, lower, 1, NULL), 0);
	block_unref(lower);
	block_fault_add(block, &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							   .action = BLOCK_FAULT_LATENCY,
							   .latency_ns = MILLISECOND });
	return block;
}

static void fill(struct block *block, uint64_t offset, uint64_t length, uint64_t seed)
{
	struct random random = { .state = seed };
	char *bytes = malloc(length);

	random_fill(&random, bytes, length);
	CU_ASSERT_EQUAL(block_write(block, offset, bytes, length, 0), 0);
	free(bytes);
}

static void check_equal(struct block *a, struct block *b, uint64_t length)
{
	char *x = malloc(length), *y = malloc(length);

	CU_ASSERT_EQUAL(block_read(a, 0, x, length), 0);
	CU_ASSERT_EQUAL(block_read(b, 0, y, length), 0);
	CU_ASSERT_EQUAL(memcmp(x, y, length), 0);
	free(x);
	free(y);
}

struct seen {
	unsigned calls, during;
	uint64_t last, total, first_at;
	bool backwards;
};

static void see(void *arg, uint64_t done, uint64_t total)
{
	struct seen *seen = arg;

	seen->backwards |= done < seen->last;
	seen->calls++;
	seen->last = done;
	seen->total = total;
}

static int zeroes_are_left_out(void *arg)
{
	CLEANUP_BLOCK struct block *source = memory("source", 64 * MIB);
	CLEANUP_BLOCK struct block *destination = slow(memory("destination", 80 * MIB));
	struct block_copy_result result;
	struct block_fault_counts counts;
	struct error error = { 0 };
	struct seen seen = { 0 };

	(void)arg;
	fill(source, 3 * MIB + 512, 5 * MIB, 1);
	fill(source, 63 * MIB, MIB, 2);
	CU_ASSERT_EQUAL(block_write_zeroes(source, 4 * MIB, 256 << 10, 0), 0);
	CU_ASSERT_EQUAL(block_copy(source, destination,
				   &(struct block_copy_options){ .destination_is_zero = true,
								 .progress = see,
								 .arg = &seen },
				   &result, &error),
			0);
	check_equal(source, destination, 64 * MIB);
	CU_ASSERT_EQUAL(result.copied + result.zeroes, 64 * MIB);
	CU_ASSERT_TRUE(result.copied <= 6 * MIB);
	block_fault_counts(destination, &counts);
	CU_ASSERT_EQUAL(counts.write_zeroes, 0);
	CU_ASSERT_EQUAL(counts.flushes, 1);
	CU_ASSERT_EQUAL(seen.last, 64 * MIB);
	CU_ASSERT_EQUAL(seen.total, 64 * MIB);
	CU_ASSERT_FALSE(seen.backwards);
	return 0;
}

static int what_was_there_is_overwritten(void *arg)
{
	CLEANUP_BLOCK struct block *source = memory("source", 8 * MIB);
	CLEANUP_BLOCK struct block *destination = memory("destination", 8 * MIB);
	enum block_status status;
	uint64_t length = 8 * MIB;

	(void)arg;
	fill(source, 4 * MIB, 1000 * 512, 1);
	fill(destination, 0, 8 * MIB, 2);
	CU_ASSERT_EQUAL(block_copy(source, destination,
				   &(struct block_copy_options){ .may_unmap = true }, NULL, NULL),
			0);
	check_equal(source, destination, 8 * MIB);
	CU_ASSERT_EQUAL(block_status(destination, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_ZERO);
	CU_ASSERT_EQUAL(length, 4 * MIB);
	return 0;
}

static int requests_are_in_flight_at_once(void *arg)
{
	CLEANUP_BLOCK struct block *source = slow(memory("source", 64 * MIB));
	CLEANUP_BLOCK struct block *destination = slow(memory("destination", 64 * MIB));
	uint64_t before;

	(void)arg;
	for (unsigned i = 0; i < 64; i++)
		fill(source, i * MIB, MIB, i);
	before = worker_now();
	CU_ASSERT_EQUAL(block_copy(source, destination, NULL, NULL, NULL), 0);
	/* 64 pieces by 8 requests of 2 ms, and the flush */
	CU_ASSERT_EQUAL(worker_now() - before, 17 * MILLISECOND);
	check_equal(source, destination, 64 * MIB);
	return 0;
}

static int progress_is_no_flood(void *arg)
{
	CLEANUP_BLOCK struct block *source = memory("source", 32 * MIB);
	CLEANUP_BLOCK struct block *destination = memory("destination", 32 * MIB);
	struct seen seen = { 0 };
	uint64_t before = worker_now(), took;

	(void)arg;
	fill(source, 0, 32 * MIB, 7);
	CU_ASSERT_EQUAL(block_copy(source, destination,
				   &(struct block_copy_options){ .piece_size = 64 << 10,
								 .bytes_per_second = 8 * MIB,
								 .progress = see,
								 .arg = &seen },
				   NULL, NULL),
			0);
	took = worker_now() - before;
	CU_ASSERT_TRUE(took > 3900 * MILLISECOND && took <= 4000 * MILLISECOND);
	CU_ASSERT_TRUE(seen.calls > 30 && seen.calls <= 42);
	check_equal(source, destination, 32 * MIB);
	return 0;
}

static int parts_and_larger_blocks(void *arg)
{
	struct random random = { .state = 11 };

	(void)arg;
	for (unsigned round = 0; round < 60; round++) {
		CLEANUP_BLOCK struct block *source = memory("source", 512 * 1999);
		CLEANUP_BLOCK struct block *destination = memory("destination", 2 * MIB);
		struct block_copy_options options = { .piece_size = 8192,
						      .destination_is_zero = round % 2 };
		static char a[512 * 1999], b[2 * MIB];
		uint64_t length;

		destination->logical_block_size = 4096;
		for (unsigned i = 0; i < 5; i++) {
			uint64_t from = random_below(&random, 1900);

			fill(source, from * 512, (1 + random_below(&random, 99)) * 512, i);
		}
		options.source_offset = random_below(&random, 1000) * 512;
		options.destination_offset = random_below(&random, 200) * 4096;
		options.length = random_below(&random, 900) * 512;
		length = options.length ? options.length : source->size - options.source_offset;
		if (!options.destination_is_zero)
			fill(destination, 0, 2 * MIB, 3);
		CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, NULL), 0);
		CU_ASSERT_EQUAL(block_read(source, 0, a, sizeof(a)), 0);
		CU_ASSERT_EQUAL(block_read(destination, 0, b, sizeof(b)), 0);
		CU_ASSERT_EQUAL(memcmp(a + options.source_offset, b + options.destination_offset,
				       length),
				0);
		CU_ASSERT_TRUE(bytes_all_zero(b + options.destination_offset + length,
					      round_up(length, 4096) - length));
	}
	return 0;
}

static int trouble_is_told(void *arg)
{
	CLEANUP_BLOCK struct block *source = slow(memory("source", 8 * MIB));
	CLEANUP_BLOCK struct block *small = memory("small", MIB);
	CLEANUP_BLOCK struct block *destination = memory("destination", 8 * MIB);
	struct error error = { 0 };

	(void)arg;
	fill(source, 0, 8 * MIB, 1);
	CU_ASSERT_EQUAL(block_copy(source, small, NULL, NULL, &error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "small: 8388608 bytes"));
	CU_ASSERT_EQUAL(
		block_copy(source, destination,
			   &(struct block_copy_options){ .source_offset = 9 * MIB, .length = 512 },
			   NULL, NULL),
		-EINVAL);
	block_fault_add(source, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .offset = 5 * MIB,
							    .length = 512,
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO });
	CU_ASSERT_EQUAL(block_copy(source, destination, NULL, NULL, &error), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "source: reading 1048576 bytes at byte 5242880"));
	return 0;
}

struct cancelled {
	struct block *source, *destination;
};

static int copy_slowly(void *arg)
{
	struct cancelled *blocks = arg;

	return block_copy(blocks->source, blocks->destination,
			  &(struct block_copy_options){ .bytes_per_second = MIB, .requests = 2 },
			  NULL, NULL);
}

static int cancelling_ends_it(void *arg)
{
	CLEANUP_BLOCK struct block *source = memory("source", 64 * MIB);
	CLEANUP_BLOCK struct block *destination = memory("destination", 64 * MIB);
	struct cancelled blocks = { source, destination };
	struct fiber *fiber = fiber_spawn(copy_slowly, &blocks);
	uint64_t before = worker_now();

	(void)arg;
	fill(source, 0, 64 * MIB, 1);
	fiber_sleep(3500 * MILLISECOND);
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	CU_ASSERT_TRUE(worker_now() - before < 6000 * MILLISECOND);
	return 0;
}

#define ON_FIBERS(name, function)                                                                  \
	static void name(void)                                                                     \
	{                                                                                          \
		fiber_run_virtual(fiber_run_first_engine(), function, NULL);                       \
	}

ON_FIBERS(test_zeroes_are_left_out, zeroes_are_left_out)
ON_FIBERS(test_what_was_there_is_overwritten, what_was_there_is_overwritten)
ON_FIBERS(test_requests_are_in_flight_at_once, requests_are_in_flight_at_once)
ON_FIBERS(test_progress_is_no_flood, progress_is_no_flood)
ON_FIBERS(test_parts_and_larger_blocks, parts_and_larger_blocks)
ON_FIBERS(test_trouble_is_told, trouble_is_told)
ON_FIBERS(test_cancelling_ends_it, cancelling_ends_it)

/* ---- In order, and checkpoints ---- */

struct heard {
	struct block *source;
	uint64_t at, fail_at;
	bool wrong;
};

static int hear(void *arg, const void *at, uint64_t length, struct error *error)
{
	struct heard *heard = arg;
	char *expected = malloc(length);

	if (heard->fail_at && heard->at >= heard->fail_at) {
		free(expected);
		return error_set(error, -ENOSPC, "heard enough");
	}
	CU_ASSERT_EQUAL(block_read(heard->source, heard->at, expected, length), 0);
	heard->wrong |= at ? memcmp(expected, at, length) != 0 : !bytes_all_zero(expected, length);
	heard->at += length;
	free(expected);
	return 0;
}

/* Reads take from 1 to 8 ms, so that later ones are done before earlier ones. */
static struct block *uneven(struct block *lower)
{
	struct block *block = slow(lower);

	for (unsigned i = 0; i < 8; i++)
		block_fault_add(block,
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .action = BLOCK_FAULT_LATENCY,
							    .offset = (i * 5 % 8) * 4 * MIB,
							    .length = 4 * MIB,
							    .latency_ns = (8 - i) * MILLISECOND });
	return block;
}

static int all_is_told_in_order(void *arg)
{
	CLEANUP_BLOCK struct block *plain = memory("source", 32 * MIB);
	CLEANUP_BLOCK struct block *source = uneven(block_ref(plain));
	CLEANUP_BLOCK struct block *destination = memory("destination", 32 * MIB);
	struct heard heard = { .source = plain };
	const struct block_copy_options options = { .told = hear, .arg = &heard };

	(void)arg;
	fill(plain, 0, 9 * MIB, 1);
	fill(plain, 20 * MIB + 4096, 7 * MIB, 2);
	CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, NULL), 0);
	CU_ASSERT_EQUAL(heard.at, 32 * MIB);
	CU_ASSERT_FALSE(heard.wrong);
	check_equal(plain, destination, 32 * MIB);
	return 0;
}

static void test_all_is_told_in_order(void)
{
	fiber_run_virtual(fiber_run_first_engine(), all_is_told_in_order, NULL);
}

static int who_is_told_can_end_it(void *arg)
{
	CLEANUP_BLOCK struct block *plain = memory("source", 32 * MIB);
	CLEANUP_BLOCK struct block *source = uneven(block_ref(plain));
	CLEANUP_BLOCK struct block *destination = memory("destination", 32 * MIB);
	struct heard heard = { .source = plain, .fail_at = 5 * MIB };
	const struct block_copy_options options = { .told = hear, .arg = &heard };
	struct error error = { 0 };

	(void)arg;
	fill(plain, 0, 32 * MIB, 3);
	CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, &error), -ENOSPC);
	CU_ASSERT_STRING_EQUAL(error.text, "heard enough");
	return 0;
}

static void test_who_is_told_can_end_it(void)
{
	fiber_run_virtual(fiber_run_first_engine(), who_is_told_can_end_it, NULL);
}

struct noted {
	struct block *source, *destination;
	unsigned calls;
	uint64_t last;
	bool wrong;
};

static int take_note(void *arg, uint64_t done, struct error *error)
{
	struct noted *noted = arg;
	char *x = malloc(done + 1), *y = malloc(done + 1);

	(void)error;
	if (done) {
		CU_ASSERT_EQUAL(block_read(noted->source, 0, x, done), 0);
		CU_ASSERT_EQUAL(block_read(noted->destination, 0, y, done), 0);
		noted->wrong |= memcmp(x, y, done) != 0;
	}
	noted->wrong |= done < noted->last;
	noted->last = done;
	noted->calls++;
	free(x);
	free(y);
	return 0;
}

/* What a checkpoint says is in the destination whatever comes after it, also where a read fails at the end. */
static int checkpoints_say_what_is_there(void *arg)
{
	CLEANUP_BLOCK struct block *plain = memory("source", 32 * MIB);
	CLEANUP_BLOCK struct block *source = uneven(block_ref(plain));
	CLEANUP_BLOCK struct block *destination = memory("destination", 32 * MIB);
	struct noted noted = { .source = plain, .destination = destination };
	const struct block_copy_options options = { .checkpoint = take_note,
						    .checkpoint_ns = 2 * MILLISECOND,
						    .arg = &noted };

	(void)arg;
	fill(plain, 0, 32 * MIB, 4);
	CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, NULL), 0);
	CU_ASSERT_TRUE(noted.calls > 2);
	CU_ASSERT_FALSE(noted.wrong);

	noted = (struct noted){ .source = plain, .destination = destination };
	block_fault_add(source, &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .action = BLOCK_FAULT_ERROR,
							    .error = -EIO,
							    .offset = 17 * MIB + 4096,
							    .length = 512 });
	CU_ASSERT_EQUAL(block_write_zeroes(destination, 0, 32 * MIB, 0), 0);
	CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, NULL), -EIO);
	CU_ASSERT_FALSE(noted.wrong);
	CU_ASSERT_EQUAL(noted.last, 17 * MIB);
	return 0;
}

static void test_checkpoints_say_what_is_there(void)
{
	fiber_run_virtual(fiber_run_first_engine(), checkpoints_say_what_is_there, NULL);
}

/* What a flush failed to write may be gone although the next one succeeds. */
static int nothing_is_noted_after_a_failed_flush(void *arg)
{
	CLEANUP_BLOCK struct block *source = slow(memory("source", 32 * MIB));
	CLEANUP_BLOCK struct block *destination = slow(memory("destination", 32 * MIB));
	struct noted noted = { .source = source, .destination = destination };
	const struct block_copy_options options = { .checkpoint = take_note,
						    .checkpoint_ns = 2 * MILLISECOND,
						    .arg = &noted };

	(void)arg;
	fill(source, 0, 32 * MIB, 5);
	block_fault_add(destination, &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								 .action = BLOCK_FAULT_ERROR,
								 .error = -EIO,
								 .after = 1,
								 .count = 1 });
	CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, NULL), -EIO);
	CU_ASSERT_EQUAL(noted.calls, 1);
	return 0;
}

static void test_nothing_is_noted_after_a_failed_flush(void)
{
	fiber_run_virtual(fiber_run_first_engine(), nothing_is_noted_after_a_failed_flush, NULL);
}

/* Who waits for its turn has a piece that is not there yet. */
static int what_waits_for_its_turn_is_not_there(void *arg)
{
	CLEANUP_BLOCK struct block *source = slow(memory("source", 16 * MIB));
	CLEANUP_BLOCK struct block *destination = slow(memory("destination", 16 * MIB));
	struct noted noted = { .source = source, .destination = destination };
	const struct block_copy_options options = { .checkpoint = take_note,
						    .checkpoint_ns = 2 * MILLISECOND,
						    .bytes_per_second = 50 * MIB,
						    .arg = &noted };

	(void)arg;
	fill(source, 0, 16 * MIB, 6);
	CU_ASSERT_EQUAL(block_copy(source, destination, &options, NULL, NULL), 0);
	CU_ASSERT_TRUE(noted.calls > 2);
	CU_ASSERT_FALSE(noted.wrong);
	return 0;
}

static void test_what_waits_for_its_turn_is_not_there(void)
{
	fiber_run_virtual(fiber_run_first_engine(), what_waits_for_its_turn_is_not_there, NULL);
}

UNIT_MAIN("block copy", UNIT(test_zeroes_are_left_out), UNIT(test_what_was_there_is_overwritten),
	  UNIT(test_requests_are_in_flight_at_once), UNIT(test_progress_is_no_flood),
	  UNIT(test_parts_and_larger_blocks), UNIT(test_trouble_is_told),
	  UNIT(test_cancelling_ends_it), UNIT(test_all_is_told_in_order),
	  UNIT(test_who_is_told_can_end_it), UNIT(test_checkpoints_say_what_is_there),
	  UNIT(test_nothing_is_noted_after_a_failed_flush),
	  UNIT(test_what_waits_for_its_turn_is_not_there))
