/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fibers cost: nanoseconds per switch, per fiber, per posted function, per call to another worker,
 * and per 4 KiB read of a file at depth 1 and 32, on each engine.
 *
 *	fiber_bench [FILE]	FILE is read with O_DIRECT; without it a file is made in the current folder
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/standard.h"

#define SWITCHES   4000000
#define SPAWNS     2000000
#define POSTS      1000000
#define CALLS      20000
#define READS      100000
#define DEPTH      32
#define FILE_SIZE  (64 << 20)
#define BLOCK_SIZE 4096

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void report(const char *what, uint64_t began, unsigned count)
{
	double ns = (double)(now() - began) / count;

	if (ns < 1000)
		printf("  %-44s %8.1f ns\n", what, ns);
	else
		printf("  %-44s %8.2f us\n", what, ns / 1000);
}

static int yield_often(void *arg)
{
	for (unsigned i = 0; i < *(unsigned *)arg; i++)
		fiber_yield();
	return 0;
}

static void bench_switch(unsigned fibers, const char *what)
{
	struct fiber *fiber[1000];
	unsigned times = SWITCHES / fibers;
	uint64_t began;

	for (unsigned i = 0; i < fibers; i++)
		fiber[i] = fiber_spawn(yield_often, &times);
	fiber_yield();
	began = now();
	for (unsigned i = 0; i < fibers; i++)
		fiber_join(fiber[i]);
	report(what, began, SWITCHES);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void bench_fibers(void)
{
	uint64_t began = now();

	for (unsigned i = 0; i < SPAWNS; i++)
		fiber_join(fiber_spawn(nothing, NULL));
	report("start, run and join a fiber", began, SPAWNS);
	began = now();
	for (unsigned i = 0; i < SPAWNS / 32; i++) {
		for (unsigned j = 0; j < 32; j++)
			fiber_start(nothing, NULL);
		fiber_yield();
	}
	report("start and run a fiber, 32 at once", began, SPAWNS);
}

static void arrive(void *arg)
{
	++*(unsigned *)arg;
}

static void bench_posts(struct worker *to, const char *what, unsigned *arrived)
{
	uint64_t began = now();

	for (unsigned i = 0; i < POSTS; i++)
		worker_post(to, arrive, arrived);
	report(what, began, POSTS);
}

static int wait_for_end(void *arg)
{
	return fiber_queue_wait(arg, FIBER_FOREVER);
}

static void end_wait(void *arg)
{
	fiber_queue_wake_all(arg);
}

static void bench_workers(const struct worker_options *options)
{
	struct fiber_queue queue;
	struct worker *other;
	unsigned arrived = 0;
	uint64_t began;

	fiber_queue_init(&queue);
	if (worker_create(&other, options, NULL) ||
	    worker_start(other, "other", wait_for_end, &queue))
		return;
	bench_posts(other, "worker_post() to another worker", &arrived);
	began = now();
	for (unsigned i = 0; i < CALLS; i++)
		worker_call(other, nothing, NULL);
	report("worker_call() to another worker, there and back", began, CALLS);
	worker_post(other, end_wait, &queue);
	worker_join(other);
	worker_destroy(other);
}

struct reads {
	int fd;
	unsigned left;
	uint64_t blocks;
};

static int reader(void *arg)
{
	struct reads *reads = arg;
	CLEANUP_FREE void *buffer = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
	struct iovec iov = { .iov_base = buffer, .iov_len = BLOCK_SIZE };

	while (reads->left) {
		uint64_t block = worker_random() % reads->blocks;
		ssize_t got;

		reads->left--;
		got = fiber_preadv(reads->fd, &iov, 1, block * BLOCK_SIZE);
		if (got != BLOCK_SIZE) {
			printf("  read: %s\n", got < 0 ? error_name((int)got) : "short");
			return -EIO;
		}
	}
	return 0;
}

static void bench_reads(int fd, uint64_t size, unsigned depth, unsigned count)
{
	struct reads reads = { .fd = fd, .left = count, .blocks = size / BLOCK_SIZE };
	struct worker_counters before, after;
	struct fiber *fiber[DEPTH];
	uint64_t began = now();
	char what[64];

	worker_counters(worker_current(), &before);
	for (unsigned i = 0; i < depth; i++)
		fiber[i] = fiber_spawn(reader, &reads);
	for (unsigned i = 0; i < depth; i++)
		fiber_join(fiber[i]);
	worker_counters(worker_current(), &after);
	snprintf(what, sizeof(what), "4 KiB random read, depth %u", depth);
	report(what, began, count);
	printf("  %-44s %8.2f\n", "  system calls for each",
	       (double)(after.enters - before.enters) / count);
}

struct bench {
	struct worker_options options;
	int fd;
	uint64_t size;
};

static int bench(void *arg)
{
	const struct bench *all = arg;
	unsigned arrived = 0;

	bench_switch(1, "switch, 1 fiber");
	bench_switch(32, "switch, 32 fibers");
	bench_switch(1000, "switch, 1000 fibers");
	bench_fibers();
	bench_posts(worker_current(), "worker_post() to itself", &arrived);
	bench_workers(&all->options);
	bench_reads(all->fd, all->size, 1, READS / 10);
	bench_reads(all->fd, all->size, DEPTH, READS);
	return 0;
}

static int make_file(char *path)
{
	CLEANUP_FREE char *zero = calloc(1, 1 << 20);
	int fd = mkstemp(path);

	for (unsigned i = 0; fd >= 0 && i < FILE_SIZE >> 20; i++)
		if (write(fd, zero, 1 << 20) != 1 << 20)
			return -1;
	if (fd >= 0)
		fsync(fd);
	return fd;
}

int main(int argc, char **argv)
{
	static const enum worker_engine engines[] = { WORKER_ENGINE_URING, WORKER_ENGINE_AIO };
	int standard = standard_open();
	char path[] = "fiber_bench.XXXXXX";
	CLEANUP_CLOSE int made = argc > 1 ? -1 : make_file(path);
	CLEANUP_CLOSE int fd = open(argc > 1 ? argv[1] : path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (argc < 2)
		unlink(path);
	if (standard || fd < 0) {
		perror("fiber_bench: file");
		return 1;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
		struct bench all = { .options = { .engine = engines[i], .seed = 1 }, .fd = fd };
		struct error error = { 0 };
		struct worker *worker;

		all.size = (uint64_t)lseek(fd, 0, SEEK_END);
		if (worker_create(&worker, &all.options, &error)) {
			printf("%s\n", error.text);
			continue;
		}
		printf("%s\n", worker_engine_name(worker));
		worker_run(worker, bench, &all);
		worker_destroy(worker);
	}
	return 0;
}
