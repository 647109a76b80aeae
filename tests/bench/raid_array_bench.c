/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays over memory, and over files with a rebuild beside requests.
 *
 *	raid_array_bench rebuild LEVEL DISKS MIB	a member is filled; beside a memcpy that reads and writes as much in all
 *	raid_array_bench write|read LEVEL DISKS DEPTH REQUESTS	of 4 KiB at random places: what each costs
 *	raid_array_bench files LEVEL FOLDER write|check|fill	an array on FOLDER/0.img to 3.img: processor seconds of it; 4.img is filled
 *	raid_array_bench guest LEVEL FOLDER SECONDS	how long requests of a guest take, without and beside a rebuild; FOLDER -: in virtual
 *	time, over members in memory that do as much in a time as a disk, so that what else the machine does is not in it
 *
 * Prints "NAME NUMBER" pairs. raid.sh runs it for many shapes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/limit.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "util/standard.h"

/* What was done before is not counted: how often superblocks are written meanwhile hangs on how long it takes. */
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define COUNT_FROM_HERE CALLGRIND_ZERO_STATS
#else
#define COUNT_FROM_HERE
#endif

#define MOST_DISKS 24u
#define MOST_DEPTH 128u
#define UNIT       4096u
#define PIECE      (1u << 20)
#define SPACE                                                                                      \
	(8ull                                                                                      \
	 << 20) /* of each member, for requests: they and their parity are in memory, not in a cache */

struct bench {
	const char *mode, *folder, *what;
	int level;
	unsigned disks, depth;
	uint64_t amount; /* MiB, requests or seconds */
	struct block *members[MOST_DISKS + 1], *counted[MOST_DISKS + 1];
	struct raid_array *array;
	struct random random;
	uint64_t left;
	struct error error;
	int rc;
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct block *member(const struct bench *bench, unsigned i)
{
	return bench->counted[i] ? bench->counted[i] : bench->members[i];
}

static int create(struct bench *bench)
{
	const struct raid_create_options options = { .name = "bench",
						     .level = bench->level,
						     .chunk = bench->level == 1 ? 0 : 65536,
						     .bitmap = RAID_BITMAP_NONE,
						     .assume_clean = true };
	struct raid_new_member members[MOST_DISKS] = { 0 };

	for (unsigned i = 0; i < bench->disks; i++)
		members[i].block = member(bench, i);
	return raid_create(&bench->array, members, bench->disks, &options, &bench->error);
}

static int make_memory(struct bench *bench, uint64_t bytes, bool count)
{
	char name[16];
	int rc = 0;

	for (unsigned i = 0; !rc && i <= bench->disks; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		rc = block_create_memory(&bench->members[i], name, bytes, &bench->error);
		if (!rc && count)
			rc = block_create_fault(&bench->counted[i], name, bench->members[i], 1,
						&bench->error);
	}
	return rc;
}

static int fill(struct bench *bench)
{
	struct block *block = raid_array_block(bench->array);
	CLEANUP_FREE unsigned char *piece = malloc(PIECE);
	int rc = piece ? 0 : -ENOMEM;

	random_fill(&bench->random, piece, PIECE);
	for (uint64_t at = 0; !rc && at < block->size; at += PIECE)
		rc = block_write(block, at, piece, MIN(PIECE, block->size - at), BLOCK_STABLE);
	return rc;
}

/* ---- Rebuild ---- */

#define ROUNDS 7

/* Processor seconds to copy bytes that are in no cache. */
static double copy_plain(unsigned char *to, const unsigned char *from, uint64_t bytes)
{
	double start = cpu_seconds();

	for (uint64_t at = 0; at < bytes; at += PIECE)
		memcpy(to + at, from + at, PIECE);
	__asm__ volatile("" : : "r"(to) : "memory");
	return cpu_seconds() - start;
}

/* Of a level with parity all other members are read; of a mirror one is. */
static unsigned members_moved(const struct bench *bench)
{
	return bench->level == 1 || bench->level == 10 ? 2 : bench->disks;
}

/* The member that was filled last is given up, and another takes its place, whose memory was written before. */
static int rebuild_once(struct bench *bench, unsigned round, double *took)
{
	struct block *out = bench->members[round % 2 ? bench->disks : 0];
	struct block *in = bench->members[round % 2 ? 0 : bench->disks];
	double start;
	int rc = raid_fail(bench->array, out->name, &bench->error);

	if (!rc)
		rc = raid_remove(bench->array, out->name, &bench->error);
	if (!rc)
		rc = block_write_zeroes(in, 0, UNIT, 0) ?: block_write_zeroes(in, UNIT, UNIT, 0);
	start = cpu_seconds();
	if (!rc)
		rc = raid_add(bench->array, in, &bench->error);
	if (!rc)
		rc = raid_rebuild_wait(bench->array, NULL, NULL, FIBER_FOREVER, &bench->error);
	*took = cpu_seconds() - start;
	return rc;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* One round of it and one of memcpy in turn; the medians. */
static int rebuild(struct bench *bench)
{
	static const unsigned char zeroes[UNIT];
	uint64_t bytes = bench->amount << 20, moved = bytes / 2 * members_moved(bench);
	CLEANUP_FREE unsigned char *from = aligned_alloc(UNIT, moved),
				   *to = aligned_alloc(UNIT, moved);
	double took[ROUNDS], ratios[ROUNDS];
	int rc = from && to ? make_memory(bench, bytes, false) : -ENOMEM;

	if (!rc)
		rc = create(bench);
	if (!rc)
		rc = fill(bench);
	for (uint64_t at = 0; !rc && at < bytes; at += UNIT)
		rc = block_write(bench->members[bench->disks], at, zeroes, UNIT, 0);
	if (!rc) {
		memset(from, 1, moved);
		memset(to, 2, moved);
	}
	for (unsigned i = 0; !rc && i < ROUNDS; i++) {
		rc = rebuild_once(bench, i, &took[i]);
		ratios[i] = copy_plain(to, from, moved) / took[i];
	}
	if (rc)
		return rc;
	qsort(took, ROUNDS, sizeof(*took), by_value);
	qsort(ratios, ROUNDS, sizeof(*ratios), by_value);
	printf("gb_each_second %.2f of_memcpy %.2f\n", (double)bytes / took[ROUNDS / 2] / 1e9,
	       ratios[ROUNDS / 2]);
	return 0;
}

/* ---- What a request costs ---- */

static int requests(void *arg, bool write)
{
	struct bench *bench = arg;
	struct block *block = raid_array_block(bench->array);
	unsigned char data[UNIT] __attribute__((aligned(4096)));
	uint64_t units = block->size / UNIT;

	memset(data, 7, sizeof(data));
	while (bench->left && !bench->rc) {
		uint64_t at = random_next(&bench->random) % units * UNIT;

		bench->left--;
		bench->rc = write ? block_write(block, at, data, UNIT, 0)
				  : block_read(block, at, data, UNIT);
	}
	return 0;
}

static int writer(void *arg)
{
	return requests(arg, true);
}

static int reader(void *arg)
{
	return requests(arg, false);
}

static void run_requests(struct bench *bench, uint64_t count)
{
	fiber_fn *fn = strcmp(bench->mode, "write") ? reader : writer;
	struct fiber *fibers[MOST_DEPTH];

	bench->left = count;
	for (unsigned i = 0; i < bench->depth; i++)
		fibers[i] = fiber_spawn(fn, bench);
	for (unsigned i = 0; i < bench->depth; i++)
		fiber_join(fibers[i]);
}

static void count_members(struct bench *bench, uint64_t *reads, uint64_t *writes)
{
	*reads = *writes = 0;
	for (unsigned i = 0; i < bench->disks; i++) {
		struct block_fault_counts counts;

		block_fault_counts(bench->counted[i], &counts);
		*reads += counts.reads;
		*writes += counts.writes;
	}
}

static int costs(struct bench *bench)
{
	struct worker_counters before, after;
	uint64_t reads[2], writes[2];
	double took, count = (double)bench->amount;
	int rc = make_memory(bench, SPACE + PIECE, true);

	if (!rc)
		rc = create(bench);
	if (!rc)
		rc = fill(bench);
	if (rc)
		return rc;
	run_requests(bench, 1000);
	COUNT_FROM_HERE;
	count_members(bench, &reads[0], &writes[0]);
	worker_counters(worker_current(), &before);
	took = cpu_seconds();
	run_requests(bench, bench->amount);
	took = cpu_seconds() - took;
	worker_counters(worker_current(), &after);
	count_members(bench, &reads[1], &writes[1]);
	printf("member_reads %.2f member_writes %.2f fiber_switches %.2f ns %.0f\n",
	       (double)(reads[1] - reads[0]) / count, (double)(writes[1] - writes[0]) / count,
	       (double)(after.switches - before.switches) / count, took * 1e9 / count);
	return bench->rc;
}

/* ---- A guest beside a rebuild ---- */

#define GUESTS  4u
#define SAMPLES 400000u

struct guest {
	struct bench *bench;
	uint64_t until;
	uint64_t *samples; /* ns */
	unsigned count;
};

/* Reads and writes in turn, half a millisecond apart. */
static int guest(void *arg)
{
	struct guest *all = arg;
	struct bench *bench = all->bench;
	struct block *block = raid_array_block(bench->array);
	CLEANUP_FREE void *data = NULL;
	uint64_t units = block->size / UNIT;

	if (posix_memalign(&data, UNIT, UNIT))
		return -ENOMEM;
	memset(data, 7, UNIT);
	for (bool write = false; worker_now() < all->until && all->count < SAMPLES;
	     write = !write) {
		uint64_t at = random_next(&bench->random) % units * UNIT, began = worker_now();
		int rc = write ? block_write(block, at, data, UNIT, 0)
			       : block_read(block, at, data, UNIT);

		if (rc)
			return rc;
		all->samples[all->count++] = worker_now() - began;
		fiber_sleep(500000);
	}
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t position(struct bench *bench, bool *over)
{
	struct raid_status status;
	uint64_t at;

	raid_status(bench->array, &status);
	at = status.progress.position;
	*over = status.progress.operation == RAID_IDLE;
	raid_status_free(&status);
	return at;
}

static void measure(struct bench *bench, const char *what)
{
	struct guest all = { .bench = bench,
			     .until = worker_now() + bench->amount * 1000000000ull,
			     .samples = calloc(SAMPLES, sizeof(uint64_t)) };
	struct fiber *fibers[GUESTS];
	bool over, still = false;
	double rebuilt;
	uint64_t from = position(bench, &over);

	for (unsigned i = 0; i < GUESTS; i++)
		fibers[i] = fiber_spawn(guest, &all);
	for (unsigned i = 0; i < GUESTS; i++)
		fiber_join(fibers[i]);
	qsort(all.samples, all.count, sizeof(uint64_t), by_size);
	rebuilt = (double)(position(bench, &still) - from) / 1e6 / (double)bench->amount;
	printf("%-10s requests %u p50_us %.0f p99_us %.0f p999_us %.0f rebuilt_mb_each_second "
	       "%.1f%s\n",
	       what, all.count, (double)all.samples[all.count / 2] / 1e3,
	       (double)all.samples[all.count * 99ull / 100] / 1e3,
	       (double)all.samples[all.count * 999ull / 1000] / 1e3, over ? 0 : rebuilt,
	       !over && still ? " (it ended)" : "");
	free(all.samples);
}

#define GUEST_MEMBER (256ull << 20)

static bool is_virtual(const struct bench *bench)
{
	return bench->folder && !strcmp(bench->folder, "-");
}

static int open_member(struct bench *bench, unsigned i)
{
	struct block *memory = NULL;
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/member%u.img", bench->folder, i);
	if (!is_virtual(bench)) {
		unlink(path);
		return block_open_file(&bench->members[i], path,
				       BLOCK_OPEN_CREATE | BLOCK_OPEN_WRITE, GUEST_MEMBER,
				       &bench->error);
	}
	rc = block_create_memory(&memory, path, GUEST_MEMBER, &bench->error)
		     ?: block_create_fault(&bench->members[i], path, memory, 1, &bench->error);
	block_unref(memory);
	return rc
		       ?: block_create_limit(&bench->counted[i], path, bench->members[i], NULL,
					     &bench->error);
}

static int guests(struct bench *bench)
{
	const struct block_limits disk = { .iops = 20000, .bandwidth = 500 << 20, .burst_ns = 1 };
	const struct block_fault_rule slow = { .requests = BLOCK_FAULT_ALL,
					       .action = BLOCK_FAULT_LATENCY,
					       .latency_ns = 80000 };
	int rc = 0;

	bench->disks = bench->level == 1 ? 2 : 4;
	for (unsigned i = 0; !rc && i <= bench->disks; i++)
		rc = open_member(bench, i);
	if (!rc)
		rc = create(bench);
	if (!rc)
		rc = fill(bench);
	if (rc)
		return rc;
	for (unsigned i = 0; !rc && is_virtual(bench) && i <= bench->disks; i++) {
		block_fault_add(bench->members[i], &slow);
		rc = block_limit_set(bench->counted[i], &disk, &bench->error);
	}
	if (rc)
		return rc;
	measure(bench, "alone");
	rc = raid_fail(bench->array, member(bench, 0)->name, &bench->error);
	if (!rc)
		rc = raid_add(bench->array, member(bench, bench->disks), &bench->error);
	if (rc)
		return rc;
	fiber_sleep(10000000);
	measure(bench, "yielding");
	raid_sync_set_speed(bench->array, (struct raid_speed){ 100 << 20, 100 << 20 });
	measure(bench, "100M/s");
	return 0;
}

/* ---- Beside md, on the same files ---- */

static double process_seconds(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int on_files(struct bench *bench)
{
	char path[512];
	int rc = 0;

	bench->disks = 4;
	for (unsigned i = 0; !rc && i <= bench->disks; i++) {
		snprintf(path, sizeof(path), "%s/%u.img", bench->folder, i);
		rc = block_open_file(&bench->members[i], path, BLOCK_OPEN_WRITE, 0, &bench->error);
	}
	if (!rc)
		rc = raid_assemble(&bench->array, bench->members, bench->disks,
				   &(struct raid_assemble_options){ .force = true }, &bench->error);
	if (!rc && !strcmp(bench->what, "write"))
		rc = fill(bench);
	if (!rc && !strcmp(bench->what, "check"))
		rc = raid_scrub_start(bench->array, false, &bench->error);
	if (!rc && !strcmp(bench->what, "fill")) {
		rc = raid_fail(bench->array, bench->members[0]->name, &bench->error);
		if (!rc)
			rc = raid_add(bench->array, bench->members[4], &bench->error);
	}
	if (!rc)
		rc = raid_rebuild_wait(bench->array, NULL, NULL, FIBER_FOREVER, &bench->error);
	printf("cpu_seconds %.3f\n", process_seconds());
	return rc;
}

static int run(void *arg)
{
	struct bench *bench = arg;
	int rc;

	if (!strcmp(bench->mode, "rebuild"))
		rc = rebuild(bench);
	else if (!strcmp(bench->mode, "guest"))
		rc = guests(bench);
	else if (!strcmp(bench->mode, "files"))
		rc = on_files(bench);
	else
		rc = costs(bench);
	if (rc)
		fprintf(stderr, "%s\n", bench->error.text[0] ? bench->error.text : strerror(-rc));
	raid_stop(bench->array, NULL);
	for (unsigned i = 0; i <= bench->disks; i++) {
		block_unref(bench->counted[i]);
		block_unref(bench->members[i]);
	}
	return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct bench bench = { .random = { 1 }, .depth = 1 };
	struct worker *worker;
	int rc;

	if (standard_open() || argc < 5)
		return 2;
	bench.mode = argv[1];
	bench.level = atoi(argv[2]);
	bench.amount = strtoull(argv[argc - 1], NULL, 10);
	bench.what = argv[argc - 1];
	if (!strcmp(bench.mode, "files"))
		bench.amount = 1;
	if (!strcmp(bench.mode, "files") || !strcmp(bench.mode, "guest"))
		bench.folder = argv[3];
	else
		bench.disks = (unsigned)atoi(argv[3]);
	if (argc > 5)
		bench.depth = (unsigned)atoi(argv[4]);
	if (bench.disks > MOST_DISKS || !bench.depth || bench.depth > MOST_DEPTH || !bench.amount ||
	    worker_create(&worker, &(struct worker_options){ .virtual_clock = is_virtual(&bench) },
			  NULL))
		return 2;
	rc = worker_run(worker, run, &bench);
	worker_destroy(worker);
	return rc;
}
