/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raid/parity.c beside raw ISA-L, and levels 5 and 6 over memory devices beside memcpy of the same bytes, all in the same run.
 * Usage: parity_bench [ROUNDS]
 */
#include <isa-l/erasure_code.h>
#include <isa-l/raid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "raid/parity.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/random.h"
#include "util/standard.h"

#define MOST        24u
#define STRIPE      65536u
#define MIB         (1u << 20)
#define ROUNDS_MOST 100u

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Parity ---- */

struct parity {
	void *blocks[MOST + 2];
	struct raid_column column;
	uint8_t tables[2 * 32 * MOST];
	struct raid_parity_recipes recipes; /* as an array keeps them */
};

typedef void parity_fn(struct parity *parity);

static void ours_generate(struct parity *parity)
{
	raid_parity_generate(&parity->column);
}

static void raw_generate(struct parity *parity)
{
	const struct raid_column *column = &parity->column;

	if (column->has_q)
		pq_gen((int)column->slots + 2, (int)column->length, column->blocks);
	else
		xor_gen((int)column->slots + 1, (int)column->length, column->blocks);
}

static void ours_recover_two(struct parity *parity)
{
	raid_parity_recover(&parity->column, (int[]){ 0, 1 }, 2);
}

/* The same amount of the same work, with tables that are there already: two rows over all that is left. */
static void raw_recover_two(struct parity *parity)
{
	const struct raid_column *column = &parity->column;
	uint8_t *sources[MOST], *outputs[2] = { column->blocks[0], column->blocks[1] };
	unsigned count = 0;

	for (unsigned i = 2; i < column->slots + 2; i++)
		sources[count++] = column->blocks[i];
	ec_encode_data((int)column->length, (int)count, 2, parity->tables, sources, outputs);
}

/* Bytes of data a second, the best of the rounds; the two take turns. */
static void compare(const char *what, struct parity *parity, parity_fn *ours, parity_fn *raw,
		    unsigned rounds)
{
	double best[2] = { 1e9, 1e9 };
	unsigned times = (unsigned)(64u * MIB / (parity->column.length * parity->column.slots));
	double bytes = (double)times * (double)parity->column.length * parity->column.slots;

	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned who = 0; who < 2; who++) {
			double start = seconds();

			for (unsigned i = 0; i < times; i++)
				(who ? raw : ours)(parity);
			best[who] = MIN(best[who], seconds() - start);
		}
	}
	printf("%-24s %2u disks, %6zu bytes: %6.2f GB/s, ISA-L %6.2f GB/s: %3.0f %%\n", what,
	       parity->column.slots + 1 + parity->column.has_q, parity->column.length,
	       bytes / best[0] / 1e9, bytes / best[1] / 1e9, 100 * best[1] / best[0]);
}

static void bench_parity(unsigned slots, size_t length, unsigned rounds)
{
	CLEANUP_FREE uint8_t *memory = aligned_alloc(4096, (slots + 2) * length);
	struct parity parity = { .column = { parity.blocks, slots, false, length } };
	struct random random = { 1 };
	uint8_t factors[2 * MOST];

	random_fill(&random, memory, (slots + 2) * length);
	random_fill(&random, factors, sizeof(factors));
	for (unsigned i = 0; i < slots + 2; i++)
		parity.blocks[i] = memory + i * length;
	ec_init_tables((int)slots, 2, factors, parity.tables);
	compare("P", &parity, ours_generate, raw_generate, rounds);
	parity.column.has_q = true;
	compare("P and Q", &parity, ours_generate, raw_generate, rounds);
	parity.column.recipes = &parity.recipes;
	compare("two data disks", &parity, ours_recover_two, raw_recover_two, rounds);
	raid_parity_recipes_free(&parity.recipes);
}

/* ---- Arrays ---- */

struct arrays {
	int level;
	unsigned disks, rounds;
};

static double copy_time(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
	double start = seconds();

	for (uint64_t at = 0; at < bytes; at += MIB)
		memcpy(to + at, from + at, MIB);
	return seconds() - start;
}

/* Of data that nobody changes meanwhile, of data that a guest may change, and reads. */
enum { WRITE_STABLE, WRITE, READ, WAYS };

static double pass(struct block *block, int way, uint8_t *memory, uint64_t bytes, uint64_t step)
{
	double start = seconds();

	for (uint64_t at = 0; at < bytes; at += step) {
		if (way == READ)
			block_read(block, at, memory + at, step);
		else
			block_write(block, at, memory + at, step,
				    way == WRITE_STABLE ? BLOCK_STABLE : 0);
	}
	return seconds() - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* All ways and a copy of data and parity take turns; the medians of each round's ratio. */
static void compare_array(const struct arrays *arrays, struct block *block, uint64_t bytes,
			  uint64_t step, uint64_t all, const char *which)
{
	static const char *const names[] = { "stripes written", "by a guest", "read" };
	CLEANUP_FREE uint8_t *from = aligned_alloc(4096, all), *to = aligned_alloc(4096, all);
	double took[WAYS][ROUNDS_MOST], ratios[WAYS][ROUNDS_MOST];
	unsigned rounds = MIN(arrays->rounds, ROUNDS_MOST);

	memset(from, 0x5a, all);
	memset(to, 1, all);
	for (unsigned round = 0; round < rounds; round++) {
		double copy = copy_time(to, from, all);

		for (int way = 0; way < WAYS; way++) {
			took[way][round] = pass(block, way, way == READ ? to : from, bytes, step);
			ratios[way][round] = copy / took[way][round];
		}
	}
	printf("level %d, %2u disks%s:", arrays->level, arrays->disks, which);
	for (int way = 0; way < WAYS; way++) {
		qsort(took[way], rounds, sizeof(double), by_value);
		qsort(ratios[way], rounds, sizeof(double), by_value);
		printf("%s %s %5.2f GB/s, %3.0f %% of memcpy", way ? ";" : "", names[way],
		       (double)bytes / took[way][rounds / 2] / 1e9, 100 * ratios[way][rounds / 2]);
	}
	printf("\n");
}

/* Its memory is there when it is measured. */
static void touch(struct block *block, uint64_t bytes)
{
	CLEANUP_FREE uint8_t *piece = malloc(MIB);

	memset(piece, 0x5a, MIB);
	for (uint64_t at = 0; at < bytes; at += MIB)
		block_write(block, at, piece, MIN(MIB, bytes - at), 0);
}

/* Slices do not lend what is below them: as with files, data of a guest are copied first. */
static void make_member(struct block **out, unsigned i, uint64_t bytes, bool lends)
{
	const char name[] = { 'd', (char)('a' + i), 0 };
	struct block *memory;
	struct error error;

	if (block_create_memory(&memory, name, bytes, &error))
		exit(1);
	if (lends)
		*out = memory;
	else if (block_create_slice(out, name, memory, 0, bytes, &error))
		exit(1);
	else
		block_unref(memory);
}

enum { WHOLE, FAILED, NOT_LENT, STATES };

/* Bytes are those of data; the copy is of data and parity. */
static void bench_array(const struct arrays *arrays, int state)
{
	static const char *const which[] = { "", ", one missing", ", members that do not lend" };
	struct raid_create_options options = { .name = "x",
					       .level = arrays->level,
					       .chunk = STRIPE,
					       .bitmap = RAID_BITMAP_NONE,
					       .assume_clean = true,
					       .no_resync = true };
	unsigned data = arrays->disks - (arrays->level == 6 ? 2 : 1);
	uint64_t step = (uint64_t)data * STRIPE, bytes = 128ull * MIB / step * step;
	uint64_t all = round_up(bytes / data * arrays->disks, MIB);
	struct raid_new_member members[MOST] = { 0 };
	struct raid_array *array;
	struct error error = { 0 };

	for (unsigned i = 0; i < arrays->disks; i++)
		make_member(&members[i].block, i, bytes / data + 4 * MIB, state != NOT_LENT);
	if (raid_create(&array, members, arrays->disks, &options, &error)) {
		printf("%s\n", error.text);
		return;
	}
	touch(raid_array_block(array), bytes);
	if (state == FAILED)
		raid_fail(array, "da", &error);
	compare_array(arrays, raid_array_block(array), bytes, step, all, which[state]);
	raid_stop(array, NULL);
	for (unsigned i = 0; i < arrays->disks; i++)
		block_unref(members[i].block);
}

static int run(void *arg)
{
	const struct arrays *arrays = arg;

	for (int state = 0; state < STATES; state++)
		bench_array(arrays, state);
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned disks[] = { 4, 8, 24 };
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
	struct error error;

	if (standard_open())
		return 1;
	for (unsigned i = 0; i < ARRAY_SIZE(disks); i++) {
		bench_parity(disks[i] - 2, 4096, rounds);
		bench_parity(disks[i] - 2, STRIPE, rounds);
	}
	for (int level = 5; level <= 6; level++) {
		for (unsigned i = 0; i < ARRAY_SIZE(disks); i++) {
			struct arrays arrays = { level, disks[i], rounds };
			struct worker *worker;

			if (worker_create(&worker, NULL, &error))
				return 1;
			worker_run(worker, run, &arrays);
			worker_destroy(worker);
		}
	}
	return 0;
}
