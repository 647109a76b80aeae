/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user-blk server with queues on several workers. */
#include "unit.h"

#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block/block.h"
#include "block/view.h"
#include "crew.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/random.h"
#include "virtio/vhost_user_blk.h"
#include "virtio/vhost_user_blk_client.h"

#define DISK   (8u << 20)
#define QUEUES 4u
#define JOBS   16u
#define PART   (DISK / 2 / JOBS)

/* A server whose disk is a slice of a file, at home on the first of the crew; all of them take queues. */
struct server {
	struct crew crew;
	struct block *file, *slice;
	struct vhost_user_blk_server *server;
	struct vhost_user_blk_status status;
	char image[200], path[200];
	unsigned views;    /* of the disk, while a client is there */
	bool pin, no_room; /* no_room: for what is to be pinned */
	struct log log;
	atomic_uint told; /* that it is not */
};

static void count_warning(struct log *log, enum log_level level, const char *text)
{
	struct server *server = container_of(log, struct server, log);

	if (level == LOG_LEVEL_WARNING && strstr(text, "not all of the client's memory is pinned"))
		server->told++;
}

static int server_open(void *arg)
{
	struct server *server = arg;
	const struct vhost_user_blk_options options = { .queue_count = QUEUES,
							.pin_memory = server->pin,
							.log = &server->log,
							.workers = server->crew.workers,
							.worker_count = CREW_WORKERS };
	int rc = block_open_file(&server->file, server->image, BLOCK_OPEN_CREATE, DISK, NULL);

	if (!rc)
		rc = block_create_slice(&server->slice, "slice", server->file, 4096, DISK / 2,
					NULL);
	return rc ? rc
		  : vhost_user_blk_server_start(&server->server, server->slice, server->path,
						&options, NULL);
}

static int server_look(void *arg)
{
	struct server *server = arg;

	vhost_user_blk_server_status(server->server, &server->status);
	server->views = 0;
	list_for_each(at, &server->slice->views.all)
		server->views++;
	return 0;
}

/* Nobody gets at the disk meanwhile, by whatever queue. */
static int server_pause(void *arg)
{
	struct server *server = arg;

	block_quiesce(server->slice);
	CU_ASSERT_EQUAL(server->slice->gate.inside, 0);
	CU_ASSERT_EQUAL(server->file->gate.inside, 0);
	block_resume(server->slice);
	return 0;
}

static int server_stop(void *arg)
{
	struct server *server = arg;

	server_look(server);
	vhost_user_blk_server_stop(server->server);
	return 0;
}

static int server_close(void *arg)
{
	struct server *server = arg;

	CU_ASSERT_TRUE(list_empty(&server->slice->views.all));
	CU_ASSERT_EQUAL(server->slice->references, 1);
	CU_ASSERT_EQUAL(server->slice->gate.inside, 0);
	block_unref(server->slice);
	CU_ASSERT_TRUE(list_empty(&server->file->views.all));
	CU_ASSERT_EQUAL(server->file->references, 1);
	block_unref(server->file);
	return 0;
}

static void server_begin(struct server *server)
{
	server->log = (struct log){ .level = LOG_LEVEL_WARNING, .write = count_warning };
	snprintf(server->image, sizeof(server->image), "%s/image", unit_directory());
	snprintf(server->path, sizeof(server->path), "%s/disk.sock", unit_directory());
	crew_begin(&server->crew);
	CU_ASSERT_EQUAL_FATAL(worker_call(server->crew.workers[0], server_open, server), 0);
}

static void server_end(struct server *server)
{
	worker_call(server->crew.workers[0], server_close, server);
	crew_end(&server->crew);
	unlink(server->image);
}

static struct block *connect_client(const struct server *server)
{
	const struct vhost_user_blk_client_options options = { .queues = QUEUES };
	struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(vhost_user_blk_client_open(&block, server->path, &options, NULL), 0);
	return block;
}

/* ---- Many requests, each by the next queue ---- */

struct job {
	struct block *block;
	unsigned number, rounds;
};

static int job_run(void *arg)
{
	struct job *job = arg;
	struct random random = { .state = 3 + job->number };
	uint64_t start = (uint64_t)job->number * PART;
	uint8_t *model = calloc(1, PART), *buffer = malloc(PART);
	int rc = 0;

	for (unsigned i = 0; !rc && i < job->rounds; i++) {
		uint64_t at = random_below(&random, PART / 512) * 512;
		uint64_t length = (1 + random_below(&random, (PART - at) / 512)) * 512;

		switch (random_below(&random, 8)) {
		case 0:
			memset(model + at, 0, length);
			rc = block_write_zeroes(job->block, start + at, length, 0);
			break;
		case 1:
			rc = block_flush(job->block);
			break;
		case 2:
		case 3:
		case 4:
			for (uint64_t k = 0; k < length; k += 8)
				put_le64(model + at + k, random_next(&random));
			rc = block_write(job->block, start + at, model + at, length, 0);
			break;
		default:
			rc = block_read(job->block, start + at, buffer, length);
			if (!rc && memcmp(buffer, model + at, length))
				rc = -1;
		}
	}
	free(model);
	free(buffer);
	return rc;
}

static void run_jobs(struct block *block, unsigned rounds, struct fiber **fibers, struct job *jobs)
{
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){ .block = block, .number = i, .rounds = rounds };
		fibers[i] = fiber_spawn(job_run, &jobs[i]);
	}
}

struct pinning {
	bool no_room;
};

static int use_all_queues(void *arg)
{
	const struct pinning *pinning = arg;
	struct server server = { .pin = pinning, .no_room = pinning && pinning->no_room };
	struct fiber *fibers[JOBS];
	struct job jobs[JOBS];
	struct block *block;

	server_begin(&server);
	block = connect_client(&server);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 0, block->size, 0), 0);
	worker_call(server.crew.workers[0], server_look, &server);
	CU_ASSERT_EQUAL(server.views, CREW_WORKERS - 1);
	run_jobs(block, 200, fibers, jobs);
	for (unsigned i = 0; i < 50; i++)
		worker_call(server.crew.workers[0], server_pause, &server);
	for (unsigned i = 0; i < JOBS; i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	worker_call(server.crew.workers[0], server_look, &server);
	CU_ASSERT_EQUAL(server.status.clients, 1);
	CU_ASSERT_TRUE(server.status.requests.reads + server.status.requests.writes > JOBS * 100);
	CU_ASSERT_EQUAL(server.status.requests.failed, 0);
	if (server.pin && !server.no_room &&
	    !strcmp(worker_engine_name(server.crew.workers[0]), "io_uring")) {
		/* What an ordinary user may pin is shared by all of his processes: it may be used up. */
		if (geteuid() == 0)
			CU_ASSERT_TRUE(server.status.pinned_bytes > 0);
	} else {
		CU_ASSERT_EQUAL(server.status.pinned_bytes, 0);
		/* By each of the workers. */
		CU_ASSERT_EQUAL(server.told, server.pin ? CREW_WORKERS : 0);
	}
	block_unref(block);
	worker_call(server.crew.workers[0], server_stop, &server);
	server_end(&server);
	return 0;
}

static void test_requests_of_all_queues_are_right(void)
{
	fiber_run_real(fiber_run_first_engine(), use_all_queues, NULL);
}

static void test_memory_of_a_client_is_pinned(void)
{
	struct pinning pinning = { .no_room = false };

	fiber_run_real(fiber_run_first_engine(), use_all_queues, &pinning);
}

/* Whether this thread, and those that it starts, may lock memory beyond the limit. */
static void set_may_lock(bool may)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint32_t bit = CAP_TO_MASK(CAP_IPC_LOCK);

	CU_ASSERT_EQUAL(syscall(SYS_capget, &header, data), 0);
	if (may && data[0].permitted & bit)
		data[0].effective |= bit;
	else
		data[0].effective &= ~bit;
	CU_ASSERT_EQUAL(syscall(SYS_capset, &header, data), 0);
}

/* Who may lock no memory is served without that, and told that it is not pinned. */
static void test_memory_that_cannot_be_pinned_is_used_as_it_is(void)
{
	struct pinning pinning = { .no_room = true };
	struct rlimit old, none;

	getrlimit(RLIMIT_MEMLOCK, &old);
	none = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_MEMLOCK, &none);
	set_may_lock(false);
	fiber_run_real(fiber_run_first_engine(), use_all_queues, &pinning);
	set_may_lock(true);
	setrlimit(RLIMIT_MEMLOCK, &old);
}

/* ---- An end in the middle ---- */

static int stop_under_load(void *arg)
{
	struct server server = { .pin = true };
	struct fiber *fibers[JOBS];
	struct job jobs[JOBS];
	struct block *block;

	(void)arg;
	server_begin(&server);
	block = connect_client(&server);
	run_jobs(block, 1000000, fibers, jobs);
	do
		worker_call(server.crew.workers[0], server_look, &server);
	while (server.status.requests.writes < 200);
	worker_call(server.crew.workers[0], server_stop, &server);
	for (unsigned i = 0; i < JOBS; i++)
		CU_ASSERT_NOT_EQUAL(fiber_join(fibers[i]), 0);
	block_unref(block);
	server_end(&server);
	return 0;
}

static void test_a_server_ends_under_load(void)
{
	for (unsigned i = 0; i < 10; i++)
		fiber_run_real(fiber_run_first_engine(), stop_under_load, NULL);
}

UNIT_MAIN("vhost-user-blk queues", UNIT(test_requests_of_all_queues_are_right),
	  UNIT(test_memory_of_a_client_is_pinned),
	  UNIT(test_memory_that_cannot_be_pinned_is_used_as_it_is),
	  UNIT(test_a_server_ends_under_load))
