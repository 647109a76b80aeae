/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a guest waits for its reads while its volume moves (volume/move_copy.c), in virtual time on simulated disks (tools/lab/disk_time.h),
 * so that nothing else on the machine counts. Prints figures as keep.py takes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "tools/lab/disk.h"
#include "tools/lab/store.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/volume_move.h"

#define MIB      (1ull << 20)
#define DISKS    2u
#define SIZE     (1024 * MIB)
#define VOLUME   (512 * MIB)
#define READERS  4u
#define PAUSE_NS 1000000ull
#define ALONE_NS 5000000000ull
#define READS    (1u << 18)

struct guest {
	struct block *block;
	struct random random;
	uint64_t *took; /* READS */
	unsigned count;
	bool stop;
};

struct bench {
	enum lab_model_kind kind;
	uint64_t rate; /* of the move; 0: none */
	struct lab_rack rack;
	struct block *disks[DISKS];
	struct volume_scan *scan;
	struct volume_group *group;
	struct guest guest;
	struct fiber *readers[READERS];
};

static void check(int rc, const struct error *error)
{
	if (!rc)
		return;
	fprintf(stderr, "move_bench: %s\n", error->text);
	exit(1);
}

/* ---- The guest ---- */

static int read_on(void *arg)
{
	struct guest *guest = arg;
	char bytes[4096];

	while (!guest->stop) {
		uint64_t began = worker_now();
		uint64_t at = random_below(&guest->random, VOLUME / sizeof(bytes)) * sizeof(bytes);

		if (block_read(guest->block, at, bytes, sizeof(bytes)))
			exit(1);
		if (guest->count < READS)
			guest->took[guest->count++] = worker_now() - began;
		fiber_sleep(PAUSE_NS);
	}
	return 0;
}

static void begin_reads(struct bench *bench)
{
	bench->guest.stop = false;
	bench->guest.count = 0;
	for (unsigned i = 0; i < READERS; i++)
		bench->readers[i] = fiber_spawn(read_on, &bench->guest);
}

static int compare(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

static void end_reads(struct bench *bench, const char *when)
{
	struct guest *guest = &bench->guest;

	guest->stop = true;
	for (unsigned i = 0; i < READERS; i++)
		fiber_join(bench->readers[i]);
	qsort(guest->took, guest->count, sizeof(*guest->took), compare);
	printf("%s p50 %.2f p99 %.2f most %.2f", when, (double)guest->took[guest->count / 2] / 1e6,
	       (double)guest->took[guest->count * 99 / 100] / 1e6,
	       (double)guest->took[guest->count - 1] / 1e6);
}

/* ---- The volume ---- */

static void make(struct bench *bench)
{
	struct lab_disk_model model = { .kind = bench->kind, .size = SIZE };
	struct volume_context context = { .host = "bench",
					  .system = "bench",
					  .command = "move_bench",
					  .random = &bench->guest.random };
	struct volume_lv_options options = { .size = VOLUME, .pv_count = 1 };
	struct volume_group *group;
	struct error error = { 0 };
	char name[8];

	lab_disk_model_complete(&model);
	for (unsigned i = 0; i < DISKS; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		bench->disks[i] = &lab_disk_create(&bench->rack, i, name,
						   lab_store_create(SIZE, NULL), &model, i + 1)
					   ->block;
	}
	check(volume_group_create(&group, "vg", bench->disks, DISKS, NULL, &context, &error),
	      &error);
	volume_group_unref(group);
	check(volume_groups_scan(bench->disks, DISKS, &context, &bench->scan, &error), &error);
	check(volume_scan_find(bench->scan, "vg", &bench->group, &error), &error);
	options.pvs = &bench->group->pvs[0];
	check(volume_lv_create(bench->group, "l", &options, NULL, &error), &error);
	check(volume_open_lv(bench->group, "l", true, &bench->guest.block, &error), &error);
}

/* How many bytes a second it had. */
static double move(struct bench *bench)
{
	const struct volume_move_options options = { .from = bench->group->pvs[0] };
	struct error error = { 0 };
	uint64_t began = worker_now();
	uint32_t extents;

	check(volume_move_begin(bench->group, &options, &extents, &error), &error);
	check(volume_move_start(bench->group, &(struct volume_move_run){ .rate = bench->rate },
				&error),
	      &error);
	check(volume_move_wait(bench->group, NULL, NULL, 1000000000, &error), &error);
	volume_move_stop(bench->group);
	return (double)VOLUME / ((double)(worker_now() - began) / 1e9);
}

static int run(void *arg)
{
	struct bench *bench = arg;

	make(bench);
	printf("%s%s: ", lab_model_names[bench->kind], bench->rate ? ", --rate 20M" : "");
	if (!bench->rate) {
		struct bench quiet = { .kind = bench->kind };

		make(&quiet);
		printf("%.0f MB/s without a guest; ", move(&quiet) / 1e6);
		block_unref(quiet.guest.block);
		volume_scan_free(quiet.scan);
		for (unsigned i = 0; i < DISKS; i++)
			block_unref(quiet.disks[i]);
	}
	begin_reads(bench);
	fiber_sleep(ALONE_NS);
	end_reads(bench, "reads alone ms");
	begin_reads(bench);
	fiber_sleep(100 * PAUSE_NS);
	printf("; %.0f MB/s beside it; ", move(bench) / 1e6);
	end_reads(bench, "reads beside ms");
	printf("\n");
	block_unref(bench->guest.block);
	volume_scan_free(bench->scan);
	for (unsigned i = 0; i < DISKS; i++)
		block_unref(bench->disks[i]);
	return 0;
}

int main(void)
{
	static const enum lab_model_kind kinds[] = { LAB_MODEL_NVME, LAB_MODEL_SSD, LAB_MODEL_HDD };
	static uint64_t took[READS];

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		for (unsigned limited = 0; limited < 2; limited++) {
			struct bench bench = { .kind = kinds[i],
					       .rate = limited ? 20 * MIB : 0,
					       .rack.random.state = 1,
					       .guest = { .random.state = 1, .took = took } };
			struct worker *worker;
			struct error error = { 0 };

			check(worker_create(&worker,
					    &(struct worker_options){ .virtual_clock = true,
								      .seed = 1 },
					    &error),
			      &error);
			worker_run(worker, run, &bench);
			worker_destroy(worker);
		}
	return 0;
}
