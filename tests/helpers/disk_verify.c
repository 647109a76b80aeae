/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to a disk at random and reads back what it wrote, for some seconds: for tests that take servers away
 * meanwhile.
 *
 *	disk_verify DEVICE SECONDS THREADS
 *
 * Each thread has a part of the disk to itself and one request at a time; each block of 4 KiB tells which it is
 * and how often it was written. All of it is read at the end. Prints the number of requests and the longest
 * one; the exit status is 1 after a wrong block or a failed request.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/random.h"

#define BLOCK   4096u
#define THREADS 64
#define MOST    4096u /* blocks of each thread, so that they are written often */

static struct {
	int fd;
	double end;
	atomic_bool failed;
} run;

struct part {
	pthread_t thread;
	uint64_t first;
	unsigned count;
	unsigned writes[MOST];
	uint64_t requests;
	double longest;
	uint64_t bytes[BLOCK / 8] __attribute__((aligned(4096)));
};

static struct part parts[THREADS];

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const char *what, uint64_t block, const char *why)
{
	printf("%s of block %llu: %s\n", what, (unsigned long long)block, why);
	atomic_store(&run.failed, true);
}

static void write_block(struct part *part, unsigned index)
{
	uint64_t block = part->first + index;

	part->writes[index]++;
	for (unsigned i = 0; i < BLOCK / 8; i++)
		part->bytes[i] = random_mix(block * 1000003 + part->writes[index]) + i;
	if (pwrite(run.fd, part->bytes, BLOCK, (off_t)(block * BLOCK)) != BLOCK)
		fail("write", block, strerror(errno));
}

static void read_block(struct part *part, unsigned index)
{
	uint64_t block = part->first + index;

	if (pread(run.fd, part->bytes, BLOCK, (off_t)(block * BLOCK)) != BLOCK) {
		fail("read", block, strerror(errno));
		return;
	}
	if (!part->writes[index])
		return;
	for (unsigned i = 0; i < BLOCK / 8; i++)
		if (part->bytes[i] != random_mix(block * 1000003 + part->writes[index]) + i) {
			fail("read", block, "it holds something else than was written last");
			return;
		}
}

static void *work(void *arg)
{
	struct part *part = arg;
	struct random random = { part->first + 1 };

	while (now() < run.end && !atomic_load(&run.failed)) {
		unsigned index = (unsigned)random_below(&random, part->count);
		uint64_t what = random_below(&random, 64);
		double began = now();

		if (what == 0 && fdatasync(run.fd) < 0)
			fail("flush", 0, strerror(errno));
		else if (what < 32)
			write_block(part, index);
		else
			read_block(part, index);
		part->requests++;
		if (now() - began > part->longest)
			part->longest = now() - began;
	}
	for (unsigned i = 0; i < part->count && !atomic_load(&run.failed); i++)
		if (part->writes[i])
			read_block(part, i);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned threads = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	uint64_t blocks, requests = 0;
	double longest = 0;

	if (!threads || threads > THREADS) {
		fprintf(stderr, "usage: disk_verify DEVICE SECONDS THREADS\n");
		return 2;
	}
	run.fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (run.fd < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	blocks = (uint64_t)lseek(run.fd, 0, SEEK_END) / BLOCK;
	run.end = now() + atof(argv[2]);
	printf("begins\n");
	fflush(stdout);
	for (unsigned i = 0; i < threads; i++) {
		parts[i].first = blocks / threads * i;
		parts[i].count = (unsigned)(blocks / threads < MOST ? blocks / threads : MOST);
		pthread_create(&parts[i].thread, NULL, work, &parts[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(parts[i].thread, NULL);
		requests += parts[i].requests;
		if (parts[i].longest > longest)
			longest = parts[i].longest;
	}
	printf("%llu requests, the longest took %.3f s\n", (unsigned long long)requests, longest);
	return atomic_load(&run.failed);
}
