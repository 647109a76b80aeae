/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast the rebuild laboratory is: states explored, a rebuild of large disks, many seeds of a long scenario. Prints figures as
 * keep.py takes them. Argument: how many seeds (default 1000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tools/lab/explore.h"
#include "tools/lab/library.h"
#include "tools/lab/many.h"
#include "tools/lab/run.h"
#include "util/error.h"

struct clocks {
	double wall, cpu;
};

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static struct clocks now(void)
{
	struct timespec time;
	struct rusage usage;

	clock_gettime(CLOCK_MONOTONIC, &time);
	getrusage(RUSAGE_SELF, &usage);
	return (struct clocks){ (double)time.tv_sec + (double)time.tv_nsec / 1e9,
				seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime) };
}

static struct clocks since(struct clocks start)
{
	struct clocks end = now();

	return (struct clocks){ end.wall - start.wall, end.cpu - start.cpu };
}

static void check(int rc, const struct error *error)
{
	if (!rc)
		return;
	fprintf(stderr, "lab_bench: %s\n", error->text);
	exit(1);
}

static void load(struct lab_scenario *scenario, const char *text)
{
	struct error error = { 0 };

	check(lab_scenario_parse(scenario, "bench", text, strlen(text), &error), &error);
}

/* Four members of 16 MiB, all of which come back. */
static void bench_states(const char *level, const char *consistency)
{
	const struct lab_explore_options options = { .seed = 1 };
	struct lab_explored explored;
	struct lab_scenario scenario;
	struct error error = { 0 };
	struct clocks start, took;
	char text[600];

	snprintf(text, sizeof(text),
		 "name: bench\n"
		 "array: {level: %s, members: 4, %s consistency: %s}\n"
		 "disks: {model: instant, size: 16M}\n"
		 "workload: {kind: random, block: 4K, length: 192K, fill: yes, flush-every: 3, "
		 "count: 150}\n",
		 level, strcmp(level, "1") != 0 ? "chunk: 16K," : "", consistency);
	load(&scenario, text);
	start = now();
	check(lab_explore_run(&scenario, &options, &explored, &error), &error);
	took = since(start);
	if (explored.failures)
		printf("note: %s\n", explored.what);
	printf("explore, level %s with %s, 4 x 16 MiB: %.0f states/s of processor time; %.0f "
	       "states/s of "
	       "time; states %llu\n",
	       level, consistency, (double)explored.states / took.cpu,
	       (double)explored.states / took.wall, (unsigned long long)explored.states);
	free(explored.pending);
	lab_scenario_free(&scenario);
}

static void bench_rebuild(int level)
{
	struct lab_run_options options = { .seed = 1 };
	struct lab_scenario scenario;
	struct lab_result result;
	struct error error = { 0 };
	struct clocks start, took;
	char text[600];

	snprintf(text, sizeof(text),
		 "name: bench\n"
		 "until: 2000h\n"
		 "array: {level: %d, members: 6, spares: 1, chunk: 512K, consistency: bitmap}\n"
		 "disks: {model: hdd, size: 18000000000000}\n"
		 "workload: {kind: random, length: 64M, fill: yes, rate: 10, time: 10s}\n"
		 "events: [{at: 5s, do: loss, disk: 2}]\n",
		 level);
	load(&scenario, text);
	start = now();
	check(lab_run_scenario(&scenario, &options, &result, &error), &error);
	took = since(start);
	if (!result.met)
		printf("note: %s\n", result.failures[0]);
	printf("rebuild, level %d, 6 x 18 TB: %.2f s; %.2f s of processor time; %.1f h simulated\n",
	       level, took.wall, took.cpu, (double)result.rebuild_ns / 3600e9);
	lab_result_end(&result);
	lab_scenario_free(&scenario);
}

static void bench_seeds(const char *name, uint64_t runs)
{
	struct lab_scenario scenario;
	struct lab_many many;
	struct error error = { 0 };
	struct clocks start, took;

	load(&scenario, lab_library_find(name));
	start = now();
	check(lab_many_run(&scenario, 1, runs, &many, &error), &error);
	took = since(start);
	printf("%s, %llu seeds: %.1f s; %.1f s of processor time; %.1f ms for each of processor "
	       "time\n",
	       name, (unsigned long long)runs, took.wall, took.cpu, 1000 * took.cpu / (double)runs);
	lab_scenario_free(&scenario);
}

int main(int argc, char **argv)
{
	uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;

	setvbuf(stdout, NULL, _IOLBF, 0);
	bench_states("1", "bitmap");
	bench_states("5", "bitmap");
	bench_states("5", "ppl");
	bench_states("6", "resync");
	bench_states("6", "journal");
	bench_rebuild(5);
	bench_rebuild(6);
	bench_seeds("raid5-ten-minutes", runs ? runs : 1);
	return 0;
}
