/*
 * Serves a disk over vhost-user-blk until SIGTERM or SIGINT: for tests and benchmarks of the server
 * without a volume group.
 *
 *	blk_server SOCKET null|memory SIZE
 *	blk_server SOCKET file PATH [read-only]
 *
 * Prints "ready" when it listens, and its counters at the end.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"
#include "virtio/vhost_user_blk.h"

struct arguments {
	const char *socket, *kind, *what;
	bool read_only;
	int signals;
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
	const struct arguments *arguments = arg;
	struct vhost_user_blk_server *server;
	CLEANUP_BLOCK struct block *block = NULL;
	struct error error = { 0 };
	struct log log;
	struct vhost_user_blk_options options = { .log = &log };

	log_to_stderr(&log, LOG_LEVEL_DEBUG);
	if (open_block(&block, arguments, &error) < 0 ||
	    vhost_user_blk_server_start(&server, block, arguments->socket, &options, &error) < 0) {
		fprintf(stderr, "blk_server: %s\n%s\n", error.text, error.advice);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	fiber_poll(arguments->signals, POLLIN, FIBER_FOREVER);
	print_counters(server);
	vhost_user_blk_server_stop(server);
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct worker *worker;
	struct error error;
	sigset_t set;
	int result;

	if (argc < 4) {
		fprintf(stderr, "usage: blk_server SOCKET null|memory SIZE | SOCKET file PATH "
				"[read-only]\n");
		return 2;
	}
	arguments.socket = argv[1];
	arguments.kind = argv[2];
	arguments.what = argv[3];
	arguments.read_only = argc > 4;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	arguments.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (worker_create(&worker, NULL, &error) < 0) {
		fprintf(stderr, "blk_server: %s\n", error.text);
		return 1;
	}
	result = worker_run(worker, serve, &arguments);
	worker_destroy(worker);
	close(arguments.signals);
	return result;
}
