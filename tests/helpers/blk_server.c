/*
 * Serves a disk over vhost-user-blk until SIGTERM or SIGINT: for tests and benchmarks of the server
 * without a volume group.
 *
 *	blk_server SOCKET null|memory SIZE
 *	blk_server SOCKET file PATH [read-only]
 *
 * Prints "ready" when it listens, and its counters at the end.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"
#include "util/standard.h"
#include "virtio/vhost_user_blk.h"

struct arguments {
	const char *socket, *kind, *what;
	bool read_only;
	struct fiber_queue end;
	bool ended;
};

static int open_block(struct block **out, const struct arguments *arguments, struct error *error)
{
	unsigned flags = arguments->read_only ? 0 : BLOCK_OPEN_WRITE;
	uint64_t size;
	int result;

	if (!strcmp(arguments->kind, "file"))
		return block_open_file(out, arguments->what, flags, 0, error);
	result = size_parse(arguments->what, &size, error);
	if (result < 0)
		return result;
	if (!strcmp(arguments->kind, "null"))
		return block_create_null(out, "null", size, error);
	return block_create_memory(out, "memory", size, error);
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
				"[read-only]\n");
		return 2;
	}
	arguments.socket = argv[1];
	arguments.kind = argv[2];
	arguments.what = argv[3];
	arguments.read_only = argc > 4;
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
