/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serves a disk over vhost-user-blk until SIGTERM or SIGINT: for tests and benchmarks of the server
 * without a volume group.
 *
 *	blk_server SOCKET null|memory SIZE
 *	blk_server SOCKET file PATH [read-only | bad RANGE...]
 *	blk_server SOCKET mirror PATH PATH	makes an array of them, without a bitmap; what they hold is lost
 *
 * RANGE is OFFSET+LENGTH in bytes: reads of any of it fail.
 *
 * Prints "ready" when it listens, and its counters at the end.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber/fiber.h"
#include "raid/raid.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"
#include "util/standard.h"
#include "virtio/vhost_user_blk.h"

struct arguments {
	const char *socket, *kind, *what, *other;
	bool read_only;
	char **bad;
	int bad_count;
	struct fiber_queue end;
	bool ended;
	struct raid_array *array; /* of a mirror */
};

static int open_mirror(struct block **out, struct arguments *arguments, struct error *error)
{
	const struct raid_create_options options = {
		.name = "bench", .level = 1, .bitmap = RAID_BITMAP_NONE, .assume_clean = true
	};
	CLEANUP_BLOCK struct block *a = NULL, *b = NULL;
	int rc = arguments->other ? 0 : error_set(error, -EINVAL, "a mirror needs two files");

	if (!rc)
		rc = block_open_file(&a, arguments->what, BLOCK_OPEN_WRITE, 0, error);
	if (!rc)
		rc = block_open_file(&b, arguments->other, BLOCK_OPEN_WRITE, 0, error);
	if (!rc) {
		struct raid_new_member members[2] = { { .block = a }, { .block = b } };

		rc = raid_create(&arguments->array, members, 2, &options, error);
	}
	if (!rc)
		*out = block_ref(raid_array_block(arguments->array));
	return rc;
}

static int open_block(struct block **out, struct arguments *arguments, struct error *error)
{
	unsigned flags = arguments->read_only ? 0 : BLOCK_OPEN_WRITE;
	uint64_t size;
	int result;

	if (!strcmp(arguments->kind, "file"))
		return block_open_file(out, arguments->what, flags, 0, error);
	if (!strcmp(arguments->kind, "mirror"))
		return open_mirror(out, arguments, error);
	result = size_parse(arguments->what, &size, error);
	if (result < 0)
		return result;
	if (!strcmp(arguments->kind, "null"))
		return block_create_null(out, "null", size, error);
	return block_create_memory(out, "memory", size, error);
}

/* A medium with errors. */
static int add_faults(struct block **block, const struct arguments *arguments, struct error *error)
{
	struct block *lower = *block;
	int result;

	if (!arguments->bad_count)
		return 0;
	result = block_create_fault(block, lower->name, lower, 1, error);
	block_unref(lower);
	for (int i = 0; !result && i < arguments->bad_count; i++) {
		struct block_fault_rule rule = { .requests = BLOCK_FAULT_READ,
						 .action = BLOCK_FAULT_ERROR,
						 .error = -EIO };
		unsigned long long offset = 0, length = 0;

		if (sscanf(arguments->bad[i], "%llu+%llu", &offset, &length) != 2)
			return error_set(error, -EINVAL, "%s: expected OFFSET+LENGTH",
					 arguments->bad[i]);
		rule.offset = offset;
		rule.length = length;
		block_fault_add(*block, &rule);
	}
	return result;
}

static void print_counters(const struct vhost_user_blk_server *server)
{
	struct vhost_user_blk_status status;
	struct worker_counters worker;

	vhost_user_blk_server_status(server, &status);
	worker_counters(worker_current(), &worker);
	printf("reads %lu writes %lu flushes %lu discards %lu zeroes %lu others %lu failed %lu "
	       "unsupported %lu\n",
	       status.requests.reads, status.requests.writes, status.requests.flushes,
	       status.requests.discards, status.requests.zeroes, status.requests.others,
	       status.requests.failed, status.requests.unsupported);
	printf("kicks %lu chains %lu signals %lu suppressed %lu; switches %lu enters %lu sleeps "
	       "%lu\n",
	       status.queues.kicks, status.queues.chains, status.queues.signals,
	       status.queues.suppressed, worker.switches, worker.enters, worker.sleeps);
}

static int serve(void *arg)
{
	struct arguments *arguments = arg;
	struct vhost_user_blk_server *server;
	CLEANUP_BLOCK struct block *block = NULL;
	struct error error = { 0 };
	struct log log;
	struct vhost_user_blk_options options = { .log = &log };

	log_to_stderr(&log, LOG_LEVEL_DEBUG);
	if (open_block(&block, arguments, &error) < 0 ||
	    add_faults(&block, arguments, &error) < 0 ||
	    vhost_user_blk_server_start(&server, block, arguments->socket, &options, &error) < 0) {
		fprintf(stderr, "blk_server: %s\n%s\n", error.text, error.advice);
		kill(getpid(), SIGUSR1); /* main() waits for a signal */
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (!arguments->ended)
		fiber_queue_wait_always(&arguments->end);
	print_counters(server);
	vhost_user_blk_server_stop(server);
	block_unref(steal_pointer(&block));
	raid_stop(arguments->array, NULL);
	return 0;
}

static void end(void *arg)
{
	struct arguments *arguments = arg;

	arguments->ended = true;
	fiber_queue_wake_all(&arguments->end);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct worker *worker;
	struct error error;
	int result, signal;
	sigset_t set;

	if (standard_open())
		return 1;
	if (argc < 4) {
		fprintf(stderr, "usage: blk_server SOCKET null|memory SIZE | SOCKET file PATH "
				"[read-only | bad OFFSET+LENGTH...] | SOCKET mirror PATH PATH\n");
		return 2;
	}
	arguments.socket = argv[1];
	arguments.kind = argv[2];
	arguments.what = argv[3];
	arguments.other = argc > 4 ? argv[4] : NULL;
	arguments.read_only = argc > 4 && !strcmp(argv[4], "read-only");
	if (argc > 5 && !strcmp(argv[4], "bad")) {
		arguments.bad = argv + 5;
		arguments.bad_count = argc - 5;
	}
	fiber_queue_init(&arguments.end);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (worker_create(&worker, NULL, &error) < 0 ||
	    worker_start(worker, "blk", serve, &arguments) < 0) {
		fprintf(stderr, "blk_server: %s\n", error.text);
		return 1;
	}
	/* libaio cannot poll a signalfd (the kernel looks at its own worker's signals), so this thread
	 * waits for them. */
	sigwait(&set, &signal);
	worker_post(worker, end, &arguments);
	result = worker_join(worker);
	worker_destroy(worker);
	return result;
}
