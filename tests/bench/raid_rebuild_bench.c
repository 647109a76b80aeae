/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a RAID1 member is rebuilt over memory devices, beside a plain memcpy of the same bytes in the same
 * run: the ratio says what the array adds. Usage: raid_rebuild_bench [MIB [ROUNDS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "util/standard.h"

#define PIECE (1u << 20)

struct bench {
	uint64_t bytes;
	unsigned rounds;
};

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill(struct block *block)
{
	CLEANUP_FREE unsigned char *piece = malloc(PIECE);
	struct random random = { 1 };

	random_fill(&random, piece, PIECE);
	for (uint64_t at = 0; at < block->size; at += PIECE)
		block_write(block, at, piece, MIN(PIECE, block->size - at), 0);
}

/* CPU seconds to copy `bytes` that are in no cache, from one mapping to another. */
static double copy_plain(uint64_t bytes)
{
	unsigned char *from = malloc(bytes), *to = malloc(bytes);
	double start, took;

	memset(from, 1, bytes);
	memset(to, 2, bytes);
	/* The compiler must not think that nobody looks at what memset() wrote. */
	__asm__ volatile("" : : "r"(from), "r"(to) : "memory");
	start = seconds();
	for (uint64_t at = 0; at < bytes; at += PIECE)
		memcpy(to + at, from + at, MIN(PIECE, bytes - at));
	__asm__ volatile("" : : "r"(to) : "memory");
	took = seconds() - start;
	free(from);
	free(to);
	return took;
}

/* CPU seconds to rebuild the second member. Its memory has been written before, as memcpy's target has. */
static double rebuild(uint64_t bytes, struct error *error)
{
	struct raid_create_options options = { .name = "bench",
					       .level = 1,
					       .bitmap = RAID_BITMAP_NONE };
	struct raid_new_member members[2] = { 0 };
	struct block *target = NULL;
	struct raid_array *array;
	double start, took = -1;

	if (block_create_memory(&members[0].block, "a", bytes, error) ||
	    block_create_memory(&target, "b", bytes, error))
		return -1;
	fill(target);
	block_write_zeroes(target, 0, PIECE, 0);
	if (raid_create(&array, members, 2, &options, error))
		return -1;
	fill(raid_array_block(array));
	start = seconds();
	if (!raid_add(array, target, error) &&
	    !raid_rebuild_wait(array, NULL, NULL, FIBER_FOREVER, error))
		took = seconds() - start;
	raid_stop(array, NULL);
	block_unref(members[0].block);
	block_unref(target);
	return took;
}

static int run(void *arg)
{
	struct bench *bench = arg;
	double plain = 0, rebuilt = 0;

	for (unsigned i = 0; i < bench->rounds; i++) {
		struct error error = { 0 };
		double took = rebuild(bench->bytes, &error), copied = copy_plain(bench->bytes);

		if (took < 0) {
			fprintf(stderr, "%s\n", error.text);
			return 1;
		}
		printf("round %u: rebuild %.2f GB, memcpy %.2f GB per CPU-second\n", i + 1,
		       (double)bench->bytes / took / 1e9, (double)bench->bytes / copied / 1e9);
		rebuilt += took;
		plain += copied;
	}
	printf("raid1 rebuild over memory: %.2f of memcpy's rate\n", plain / rebuilt);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench bench = { .bytes = 256ull << 20, .rounds = 5 };
	struct worker *worker;
	int rc;

	if (standard_open())
		return 1;
	if (argc > 1)
		bench.bytes = strtoull(argv[1], NULL, 10) << 20;
	if (argc > 2)
		bench.rounds = (unsigned)strtoul(argv[2], NULL, 10);
	if (bench.bytes < 16u << 20 || !bench.rounds || worker_create(&worker, NULL, NULL))
		return 2;
	rc = worker_run(worker, run, &bench);
	worker_destroy(worker);
	return rc;
}
