/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes an image file or a block device through lib/block, for test scripts.
 *
 *	block_io [OPTION]... PATH COMMAND...
 *
 *	PATH may be vhost-user:SOCKET, a disk that a server exports (without options and "info")
 *
 *	-r  read-only        -b  never O_DIRECT     -l  take the lock
 *	-c SIZE  create it   -s  as the slice that leaves out the first and the last 64 KiB
 *	-R LOG  record what is written in LOG, an image of 64 MiB that is made for it
 *
 *	info                     prints sizes and how it is opened
 *	write OFFSET LENGTH SEED verify OFFSET LENGTH SEED     bytes that depend on seed and place
 *	fill OFFSET LENGTH BYTE  expect OFFSET LENGTH BYTE     one byte all over
 *	fua OFFSET LENGTH SEED   zero OFFSET LENGTH   unmap OFFSET LENGTH   discard OFFSET LENGTH
 *	broken OFFSET LENGTH SEED                              a write that is to fail
 *	flush                    map (prints data and zero extents)
 *	storm SEED ROUNDS        concurrent unaligned writes by 8 fibers, each in its own sectors, checked
 *	mark TEXT                in the log of -R
 *	replay LOG TEXT          replays LOG on PATH to the mark TEXT, or to the end
 *	hold                     prints "holding" and waits for the end of its input
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/file.h"
#include "block/record.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"
#include "util/size.h"
#include "util/standard.h"
#include "virtio/vhost_user_blk_client.h"

#define PIECE (1u << 20)

struct run {
	unsigned flags;
	bool slice;
	const char *log;
	uint64_t size;
	const char *path;
	char **commands;
	struct block *block;
};

static uint64_t number(const char *text)
{
	uint64_t value;
	struct error error;

	if (text && !strncmp(text, "0x", 2))
		return strtoull(text, NULL, 16);
	if (!text || size_parse(text, &value, &error)) {
		fprintf(stderr, "block_io: a number was expected\n");
		exit(2);
	}
	return value;
}

/* At an odd address, so that direct I/O has to bounce, for every other piece. */
static void pattern(char *at, uint64_t offset, uint64_t length, uint64_t seed)
{
	for (uint64_t i = 0; i < length; i += 8)
		put_le64(at + i, random_mix(seed ^ (offset + i)));
}

static int compare(const char *found, const char *expected, uint64_t offset, uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		if (found[i] != expected[i]) {
			fprintf(stderr, "block_io: byte %llu is 0x%02x, expected 0x%02x\n",
				(unsigned long long)(offset + i), (unsigned char)found[i],
				(unsigned char)expected[i]);
			return -EILSEQ;
		}
	return 0;
}

static int transfer(struct block *block, const char *what, uint64_t offset, uint64_t length,
		    uint64_t seed)
{
	bool byte = !strcmp(what, "fill") || !strcmp(what, "expect");
	bool reading = !strcmp(what, "verify") || !strcmp(what, "expect");
	CLEANUP_FREE char *expected = malloc(PIECE + 16);
	CLEANUP_FREE char *found = aligned_alloc(4096, PIECE + 4096);
	int status = 0;

	for (uint64_t done = 0, step; !status && done < length; done += step) {
		char *at = found + (done / PIECE % 2 ? 1 : 0);

		step = MIN(length - done, (uint64_t)PIECE);
		if (byte)
			memset(expected, (int)seed, step);
		else
			pattern(expected, offset + done, step, seed);
		if (reading) {
			status = block_read(block, offset + done, at, step);
			if (!status)
				status = compare(at, expected, offset + done, step);
		} else {
			memcpy(at, expected, step);
			status = block_write(block, offset + done, at, step,
					     strcmp(what, "fua") ? 0 : BLOCK_FUA);
		}
	}
	return status;
}

static int print_map(struct block *block)
{
	for (uint64_t offset = 0, length; offset < block->size; offset += length) {
		enum block_status kind;
		int status;

		length = block->size - offset;
		status = block_status(block, offset, &length, &kind);
		if (status < 0)
			return status;
		printf("%llu %llu %s\n", (unsigned long long)offset, (unsigned long long)length,
		       kind == BLOCK_STATUS_ZERO ? "zero" : "data");
	}
	return 0;
}

static int print_info(struct run *run)
{
	struct block *block = run->block;

	printf("type=%s size=%llu logical=%u physical=%u discard=%u read_only=%d engine=%s",
	       block->ops->type, (unsigned long long)block->size, block->logical_block_size,
	       block->physical_block_size, block->discard_granularity, block->read_only,
	       worker_engine_name(worker_current()));
	if (block->ops == &file_ops) {
		struct file *file = container_of(block, struct file, block);

		printf(" direct=%d unit=%u memory=%u", file->direct, file->direct_unit,
		       file->direct_memory);
	}
	printf("\n");
	return 0;
}

/* ---- Storm: fibers that share every unit of the first 64 KiB, each with sectors of its own ---- */

enum { STORM_FIBERS = 8, STORM_SECTORS = 128 };

struct storm {
	struct block *block;
	struct random random;
	unsigned mine, rounds;
};

static int storm_fiber(void *arg)
{
	struct storm *storm = arg;
	char sectors[STORM_SECTORS][512], out[512], in[512];
	bool known[STORM_SECTORS] = { false };

	for (unsigned round = 0; round < storm->rounds; round++) {
		unsigned sector =
			(unsigned)random_below(&storm->random, STORM_SECTORS / STORM_FIBERS) *
				STORM_FIBERS +
			storm->mine;
		int status;

		if (known[sector]) {
			status = block_read(storm->block, sector * 512ULL, in, 512);
			if (!status)
				status = compare(in, sectors[sector], sector * 512ULL, 512);
			if (status < 0)
				return status;
		}
		random_fill(&storm->random, out, 512);
		if (random_below(&storm->random, 8) == 0) {
			memset(out, 0, 512);
			status = block_write_zeroes(storm->block, sector * 512ULL, 512, 0);
		} else {
			status = block_write(storm->block, sector * 512ULL, out, 512, 0);
		}
		if (status < 0)
			return status;
		memcpy(sectors[sector], out, 512);
		known[sector] = true;
	}
	return 0;
}

static int storm(struct block *block, uint64_t seed, unsigned rounds)
{
	struct storm storms[STORM_FIBERS];
	struct fiber *fibers[STORM_FIBERS];
	int result = 0;

	for (unsigned i = 0; i < STORM_FIBERS; i++) {
		storms[i] = (struct storm){ block, { seed + i }, i, rounds };
		fibers[i] = fiber_spawn(storm_fiber, &storms[i]);
	}
	for (unsigned i = 0; i < STORM_FIBERS; i++) {
		int status = fiber_join(fibers[i]);

		if (status < 0)
			result = status;
	}
	return result;
}

static int replay(struct block *block, const char *path, const char *mark)
{
	CLEANUP_BLOCK struct block *log = NULL;
	struct error error = { 0 };
	struct block_log at;
	int status = block_open_file(&log, path, 0, 0, &error);

	if (!status)
		status = block_log_open(&at, log, &error);
	if (!status)
		status = block_log_replay(&at, block, 0, mark, NULL, &error);
	if (status < 0)
		fprintf(stderr, "block_io: %s\n", error.text);
	return MIN(status, 0);
}

/* Puts the recording layer over run->block. */
static int record(struct run *run, struct error *error)
{
	CLEANUP_BLOCK struct block *log = NULL;
	struct block *top;
	int status = block_open_file(&log, run->log, BLOCK_OPEN_CREATE, 64 << 20, error);

	if (!status)
		status = block_create_record(&top, "record", run->block, log, error);
	if (status < 0)
		return status;
	block_unref(run->block);
	run->block = top;
	return 0;
}

static int hold(void)
{
	char byte;

	printf("holding\n");
	fflush(stdout);
	for (;;) {
		fiber_poll(STDIN_FILENO, POLLIN, FIBER_FOREVER);
		if (read(STDIN_FILENO, &byte, 1) <= 0)
			return 0;
	}
}

/* Runs the command at *at and steps over it. */
static int command(struct run *run, char ***at)
{
	const char *name = *(*at)++;
	struct block *block = run->block;
	uint64_t offset, length;

	if (!strcmp(name, "info"))
		return print_info(run);
	if (!strcmp(name, "flush"))
		return block_flush(block);
	if (!strcmp(name, "map"))
		return print_map(block);
	if (!strcmp(name, "hold"))
		return hold();
	if (!strcmp(name, "mark"))
		return block_record_mark(block, *(*at)++);
	if (!strcmp(name, "replay")) {
		const char *log = *(*at)++;

		return replay(block, log, *(*at)++);
	}
	offset = number(*(*at)++);
	length = number(*(*at)++);
	if (!strcmp(name, "storm"))
		return storm(block, offset, (unsigned)length);
	if (!strcmp(name, "zero"))
		return block_write_zeroes(block, offset, length, 0);
	if (!strcmp(name, "unmap"))
		return block_write_zeroes(block, offset, length, BLOCK_MAY_UNMAP | BLOCK_FUA);
	if (!strcmp(name, "discard"))
		return block_discard(block, offset, length);
	if (!strcmp(name, "broken"))
		return transfer(block, "write", offset, length, number(*(*at)++)) ? 0 : -EEXIST;
	return transfer(block, name, offset, length, number(*(*at)++));
}

static int first_fiber(void *arg)
{
	struct run *run = arg;
	struct error error = { 0 };
	int status;

	if (!strncmp(run->path, "vhost-user:", 11))
		status = vhost_user_blk_client_open(&run->block, run->path + 11, NULL, &error);
	else
		status = block_open_file(&run->block, run->path, run->flags, run->size, &error);
	if (status < 0) {
		fprintf(stderr, "block_io: %s\n%s\n", error.text, error.advice);
		return 1;
	}
	if (run->slice) {
		struct block *slice;

		status = block_create_slice(&slice, "slice", run->block, 65536,
					    run->block->size - 131072, &error);
		block_unref(run->block);
		if (status < 0) {
			fprintf(stderr, "block_io: %s\n", error.text);
			return 1;
		}
		run->block = slice;
	}
	if (run->log && record(run, &error) < 0) {
		fprintf(stderr, "block_io: %s\n", error.text);
		block_unref(run->block);
		return 1;
	}
	for (char **at = run->commands; *at && !status;) {
		const char *name = *at;

		status = command(run, &at);
		if (status < 0)
			fprintf(stderr, "block_io: %s: %s\n", name, error_name(status));
	}
	if (!status && run->log && block_record_finish(run->block, &error) < 0) {
		fprintf(stderr, "block_io: %s\n", error.text);
		status = -EIO;
	}
	block_unref(run->block);
	return status < 0;
}

int main(int argc, char **argv)
{
	struct run run = { .flags = BLOCK_OPEN_WRITE };
	struct error error = { 0 };
	struct worker *worker;
	int option, status;

	if (standard_open())
		return 1;
	while ((option = getopt(argc, argv, "+rblsc:R:")) != -1) {
		if (option == 'r')
			run.flags &= ~BLOCK_OPEN_WRITE;
		else if (option == 'b')
			run.flags |= BLOCK_OPEN_BUFFERED;
		else if (option == 'l')
			run.flags |= BLOCK_OPEN_LOCK;
		else if (option == 's')
			run.slice = true;
		else if (option == 'R')
			run.log = optarg;
		else if (option == 'c') {
			run.flags |= BLOCK_OPEN_CREATE;
			run.size = number(optarg);
		} else
			return 2;
	}
	if (optind >= argc)
		return 2;
	run.path = argv[optind];
	run.commands = argv + optind + 1;
	if (worker_create(&worker, NULL, &error)) {
		fprintf(stderr, "block_io: %s\n", error.text);
		return 1;
	}
	status = worker_run(worker, first_fiber, &run);
	worker_destroy(worker);
	return status;
}
