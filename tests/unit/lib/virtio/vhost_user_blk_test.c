/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user-blk server and our client of it, on two workers in real time. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fault.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/vhost_user_blk.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user_blk_client.h"

#define DISK (16u << 20)
#define MS   1000000ULL

/* A server on a worker of its own. */
struct host {
	struct worker *worker;
	struct block *disk, *fault;
	struct vhost_user_blk_server *server;
	struct fiber_queue stop;
	bool stopped;
	char path[200];
	bool read_only;
	uint64_t latency_ns, first_write_ns;
	bool shared;
	struct error error;
	struct vhost_user_blk_status status;
};

static int host_run(void *arg)
{
	struct host *host = arg;

	while (!host->stopped)
		fiber_queue_wait_always(&host->stop);
	return 0;
}

/* Fibers of the host's worker, by worker_call(). */
static int host_open(void *arg)
{
	struct host *host = arg;
	struct vhost_user_blk_options options = { .serial = "test",
						  .queue_count = 2,
						  .shared = host->shared };

	if (block_create_memory(&host->disk, "disk", DISK, &host->error) < 0 ||
	    block_create_fault(&host->fault, "fault", host->disk, 1, &host->error) < 0)
		return -ENOMEM;
	host->fault->read_only = host->read_only;
	if (host->latency_ns)
		block_fault_add(host->fault,
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = host->latency_ns });
	return vhost_user_blk_server_start(&host->server, host->fault, host->path, &options,
					   &host->error);
}

static int host_stop(void *arg)
{
	struct host *host = arg;

	vhost_user_blk_server_stop(host->server);
	host->server = NULL;
	return 0;
}

static int host_status(void *arg)
{
	struct host *host = arg;

	vhost_user_blk_server_status(host->server, &host->status);
	return 0;
}

static int host_close(void *arg)
{
	struct host *host = arg;

	host_stop(host);
	CU_ASSERT_EQUAL(host->fault->references, 1);
	CU_ASSERT_EQUAL(host->fault->gate.inside, 0);
	block_unref(host->fault);
	block_unref(host->disk);
	host->stopped = true;
	fiber_queue_wake_all(&host->stop);
	return 0;
}

static void host_begin(struct host *host)
{
	snprintf(host->path, sizeof(host->path), "%s/disk.sock", unit_directory());
	fiber_queue_init(&host->stop);
	CU_ASSERT_EQUAL_FATAL(worker_create(&host->worker, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(worker_start(host->worker, "host", host_run, host), 0);
	if (worker_call(host->worker, host_open, host) < 0) {
		printf("  %s\n", host->error.text);
		CU_FAIL_FATAL("no server");
	}
}

static void host_end(struct host *host)
{
	worker_call(host->worker, host_close, host);
	worker_join(host->worker);
	worker_destroy(host->worker);
	CU_ASSERT_EQUAL(access(host->path, F_OK), -1);
}

static struct block *open_client(const struct host *host)
{
	struct error error = { 0 };
	struct block *block = NULL;

	if (vhost_user_blk_client_open(&block, host->path, NULL, &error) < 0) {
		printf("  %s\n", error.text);
		CU_FAIL("no client");
	}
	return block;
}

/* Waits until so many clients are connected. */
static void await_clients(struct host *host, unsigned count)
{
	for (int i = 0; i < 30000; i++) {
		worker_call(host->worker, host_status, host);
		if (host->status.clients == count)
			return;
		fiber_sleep(2 * MS);
	}
	CU_FAIL("clients do not come or go");
}

struct job {
	struct block *block;
	unsigned number;
};

/* Writes, reads and checks a stripe of its own. */
static int churn(void *arg)
{
	struct job *job = arg;
	uint64_t where = job->number * 65536;
	uint8_t out[4096], in[4096];

	for (unsigned i = 0; i < 16; i++) {
		memset(out, (int)(job->number * 16 + i), sizeof(out));
		if (block_write(job->block, where + i * 4096, out, sizeof(out), 0) < 0 ||
		    block_read(job->block, where + i * 4096, in, sizeof(in)) < 0 ||
		    memcmp(in, out, sizeof(in)) != 0)
			return -EIO;
	}
	return 0;
}

static int use_disk(void *arg)
{
	struct host *host = arg;
	struct block *block = open_client(host);
	struct fiber *fibers[100];
	struct job jobs[100];
	uint8_t *out, *in;

	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	CU_ASSERT_EQUAL(block->size, DISK);
	CU_ASSERT_FALSE(block->read_only);
	CU_ASSERT_TRUE(block->discard_granularity > 0);

	/* More than a slot holds, from memory at an odd place. */
	out = malloc(3u << 20);
	in = malloc(3u << 20);
	for (unsigned i = 0; i < 3u << 20; i++)
		out[i] = (uint8_t)(i * 31 + i / 4096);
	CU_ASSERT_EQUAL(block_write(block, 8u << 20, out + 512, (3u << 20) - 512, BLOCK_FUA), 0);
	CU_ASSERT_EQUAL(block_read(block, 8u << 20, in + 512, (3u << 20) - 512), 0);
	CU_ASSERT_EQUAL(memcmp(in + 512, out + 512, (3u << 20) - 512), 0);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 9u << 20, 1u << 20, BLOCK_MAY_UNMAP | BLOCK_FUA),
			0);
	CU_ASSERT_EQUAL(block_discard(block, 8u << 20, 1u << 20), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(block_read(block, 9u << 20, in, 1u << 20), 0);
	CU_ASSERT_TRUE(bytes_all_zero(in, 1u << 20));
	CU_ASSERT_EQUAL(block_read(block, DISK, in, 512), -EINVAL);
	free(out);
	free(in);

	/* More fibers than slots. */
	for (unsigned i = 0; i < 100; i++) {
		jobs[i] = (struct job){ block, i };
		fibers[i] = fiber_spawn(churn, &jobs[i]);
	}
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	worker_call(host->worker, host_status, host);
	CU_ASSERT_EQUAL(host->status.requests.failed, 0);
	CU_ASSERT_TRUE(host->status.requests.writes >= 1603);
	CU_ASSERT_EQUAL(host->status.requests.discards, 1);
	CU_ASSERT_EQUAL(host->status.requests.zeroes, 1);
	block_unref(block);
	await_clients(host, 0);
	CU_ASSERT_TRUE(host->status.requests.writes >= 1603);
	return 0;
}

static void test_a_disk_is_used_through_the_socket(void)
{
	struct host host = { .read_only = false };

	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AUTO, use_disk, &host);
	host_end(&host);
}

static void test_the_client_works_on_libaio_too(void)
{
	struct host host = { .read_only = false };

	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AIO, use_disk, &host);
	host_end(&host);
}

static int one_at_a_time(void *arg)
{
	struct host *host = arg;
	struct block *first = open_client(host), *second = NULL;
	struct error error = { 0 };
	uint8_t at[512];

	CU_ASSERT_EQUAL(vhost_user_blk_client_open(&second, host->path, NULL, &error), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "hung up"));
	CU_ASSERT_EQUAL(block_read(first, 0, at, 512), 0);
	block_unref(first);
	/* The next one comes in, however soon after the first one left. */
	second = open_client(host);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	CU_ASSERT_EQUAL(block_read(second, 0, at, 512), 0);
	block_unref(second);
	return 0;
}

static void test_a_writable_disk_has_one_client_at_a_time(void)
{
	struct host host = { .read_only = false };

	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AUTO, one_at_a_time, &host);
	host_end(&host);
}

static int several_readers(void *arg)
{
	struct host *host = arg;
	struct block *blocks[3];
	uint8_t at[512];

	for (int i = 0; i < 3; i++) {
		blocks[i] = open_client(host);
		CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i]);
		CU_ASSERT_TRUE(blocks[i]->read_only);
	}
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(block_read(blocks[i], 0, at, 512), 0);
		CU_ASSERT_EQUAL(block_write(blocks[i], 0, at, 512, 0), -EROFS);
		block_unref(blocks[i]);
	}
	return 0;
}

static int too_many_readers(void *arg)
{
	enum { MOST = 256 };
	struct host *host = arg;
	static int clients[MOST];
	char byte;
	int last;

	for (unsigned i = 0; i < MOST; i++) {
		clients[i] = fiber_connect_unix(host->path);
		CU_ASSERT_TRUE(clients[i] >= 0);
	}
	await_clients(host, MOST);
	/* It is turned away after a moment, in which another may leave. */
	last = fiber_connect_unix(host->path);
	CU_ASSERT_TRUE(fiber_poll(last, POLLIN, 60000 * MS) > 0);
	CU_ASSERT_EQUAL(read(last, &byte, 1), 0);
	close(last);
	close(clients[0]);
	await_clients(host, MOST - 1);
	clients[0] = fiber_connect_unix(host->path);
	await_clients(host, MOST);
	for (unsigned i = 0; i < MOST; i++)
		close(clients[i]);
	await_clients(host, 0);
	return 0;
}

static void test_a_read_only_disk_has_not_any_number(void)
{
	struct host host = { .read_only = true };

	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AUTO, too_many_readers, &host);
	host_end(&host);
}

static void test_a_read_only_disk_has_many(void)
{
	struct host host = { .read_only = true };

	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AUTO, several_readers, &host);
	host_end(&host);
}

static int slow_read(void *arg)
{
	uint8_t at[4096];

	return block_read(arg, 0, at, sizeof(at));
}

/* The server stops with requests in flight: they are done or fail, later ones fail. */
static int server_goes(void *arg)
{
	struct host *host = arg;
	struct block *block = open_client(host);
	struct fiber *fibers[20];
	int result;

	for (int i = 0; i < 20; i++)
		fibers[i] = fiber_spawn(slow_read, block);
	fiber_sleep(20 * MS);
	worker_call(host->worker, host_stop, host);
	CU_ASSERT_EQUAL(access(host->path, F_OK), -1);
	CU_ASSERT_EQUAL(host->fault->gate.inside, 0);
	for (int i = 0; i < 20; i++) {
		result = fiber_join(fibers[i]);
		CU_ASSERT_TRUE(result == 0 || result == -ENOTCONN);
	}
	fiber_sleep(5 * MS);
	CU_ASSERT_EQUAL(slow_read(block), -ENOTCONN);
	CU_ASSERT_EQUAL(block_flush(block), -ENOTCONN);
	block_unref(block);
	return 0;
}

static void test_a_server_stops_with_requests_in_flight(void)
{
	struct host host = { .latency_ns = 100 * MS };

	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AUTO, server_goes, &host);
	host_end(&host);
}

/* A client process dies with requests in flight: a child, which is killed. */
#define DOOMED 20u

static int read_until_killed(void *arg)
{
	struct block *block = open_client(arg);

	for (unsigned i = 0; i < DOOMED; i++)
		fiber_spawn(slow_read, block);
	fiber_sleep_always(FIBER_FOREVER);
	return 0;
}

struct doomed {
	struct host *host;
	pid_t pid;
};

static int kill_it(void *arg)
{
	struct doomed *doomed = arg;
	struct host *host = doomed->host;
	struct block *block;
	uint8_t at[512];

	/* Once all its requests are the server's. */
	for (unsigned i = 0; i < 60000 && host->status.requests.reads < DOOMED; i++) {
		fiber_sleep(MS);
		worker_call(host->worker, host_status, host);
	}
	kill(doomed->pid, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(doomed->pid, NULL, 0), doomed->pid);
	await_clients(host, 0);
	CU_ASSERT_EQUAL(host->status.requests.reads, DOOMED);
	CU_ASSERT_EQUAL(host->status.in_flight, 0);
	CU_ASSERT_EQUAL(host->fault->gate.inside, 0);
	block = open_client(host);
	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	CU_ASSERT_EQUAL(block_read(block, 0, at, 512), 0);
	block_unref(block);
	return 0;
}

static void test_a_client_dies_with_requests_in_flight(void)
{
	struct host host = { .latency_ns = 500 * MS };
	struct doomed doomed = { .host = &host };

	host_begin(&host);
	doomed.pid = fork();
	if (doomed.pid == 0) {
		fiber_run_real(WORKER_ENGINE_AUTO, read_until_killed, &host);
		_exit(1);
	}
	fiber_run_real(WORKER_ENGINE_AUTO, kill_it, &doomed);
	host_end(&host);
}

/* ---- Writes that were given up ---- */

struct writer {
	struct block *block;
	bool ended;
};

static int write_old(void *arg)
{
	struct writer *writer = arg;
	uint8_t old[512];
	int rc;

	memset(old, 'o', sizeof(old));
	rc = block_write(writer->block, 0, old, sizeof(old), 0);
	writer->ended = true;
	return rc;
}

/* By worker_call(): the next write takes its time. */
static int slow_down(void *arg)
{
	struct host *host = arg;

	block_fault_clear(host->fault);
	return block_fault_add(host->fault,
			       &(struct block_fault_rule){ .requests = BLOCK_FAULT_WRITE,
							   .count = 1,
							   .action = BLOCK_FAULT_LATENCY,
							   .latency_ns = host->first_write_ns });
}

/* Lets go of a write that the server has and has not answered: where the processor is taken away it may have been by the time that we look. */
static void give_up_a_write(struct host *host, struct block *block)
{
	struct writer writer = { .block = block };
	struct fiber *fiber;

	do {
		worker_call(host->worker, slow_down, host);
		writer.ended = false;
		fiber = fiber_spawn(write_old, &writer);
		do {
			fiber_sleep(MS);
			worker_call(host->worker, host_status, host);
		} while (!host->status.in_flight && !writer.ended);
		fiber_cancel(fiber);
	} while (fiber_join(fiber) != -ECANCELED);
}

/* A writer that is let go of while the server has its write: a newer one comes after it, whoever writes it. */
static int give_up_a_taken_write(void *arg)
{
	struct host *host = arg;
	struct block *block = open_client(host), *other = NULL;
	uint8_t at[512] = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	give_up_a_write(host, block);
	/* The device is not closed yet: others may use it. */
	other = open_client(host);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	memset(at, 'n', sizeof(at));
	CU_ASSERT_EQUAL(block_write(other, 0, at, sizeof(at), 0), 0);
	block_unref(block);
	await_clients(host, 1);
	fiber_sleep(host->first_write_ns);
	CU_ASSERT_EQUAL(block_read(other, 0, at, sizeof(at)), 0);
	CU_ASSERT_EQUAL(at[0], 'n');
	block_unref(other);
	return 0;
}

/* One who has the disk alone, too, and longer than others wait for one that goes on. */
static void test_who_comes_waits_for_writes_of_who_left(void)
{
	struct host hosts[] = { { .shared = true, .first_write_ns = 500 * MS },
				{ .first_write_ns = 2500 * MS } };

	for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
		host_begin(&hosts[i]);
		fiber_run_real(WORKER_ENGINE_AUTO, give_up_a_taken_write, &hosts[i]);
		host_end(&hosts[i]);
	}
}

struct stand {
	struct host *host;
	int ends[2];
	atomic_bool begun;
};

/* The server's worker does nothing until somebody writes to the pipe, as if its process were stopped. */
static int stand_still(void *arg)
{
	struct stand *stand = arg;
	char byte;

	atomic_store(&stand->begun, true);
	return (int)read(stand->ends[0], &byte, 1);
}

static void *have_it_stand(void *arg)
{
	struct stand *stand = arg;

	worker_call(stand->host->worker, stand_still, stand);
	return NULL;
}

static int give_up_a_write_in_the_ring(void *arg)
{
	struct stand *stand = arg;
	struct host *host = stand->host;
	struct block *block = open_client(host);
	struct block_fault_counts counts;
	struct writer writer = { .block = block };
	struct fiber *fiber;
	pthread_t thread;

	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, have_it_stand, stand), 0);
	while (!atomic_load(&stand->begun))
		fiber_sleep(MS);
	fiber = fiber_spawn(write_old, &writer);
	fiber_sleep(100 * MS);
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	CU_ASSERT_EQUAL(write(stand->ends[1], "", 1), 1);
	pthread_join(thread, NULL);
	await_clients(host, 0);
	block_fault_counts(host->fault, &counts);
	CU_ASSERT_EQUAL(counts.writes, 0);
	block_unref(block);
	return 0;
}

static void test_a_write_that_nobody_took_is_not_done_later(void)
{
	struct host host = { .read_only = false };
	struct stand stand = { .host = &host };

	CU_ASSERT_EQUAL_FATAL(pipe(stand.ends), 0);
	host_begin(&host);
	fiber_run_real(WORKER_ENGINE_AUTO, give_up_a_write_in_the_ring, &stand);
	host_end(&host);
	close(stand.ends[0]);
	close(stand.ends[1]);
}

/* ---- The socket file ---- */

static int start_at(const char *path, struct error *error)
{
	struct vhost_user_blk_server *server;
	struct block *disk;
	struct stat status;
	int result;

	CU_ASSERT_EQUAL(block_create_null(&disk, "null", 1 << 20, error), 0);
	result = vhost_user_blk_server_start(&server, disk, path, NULL, error);
	block_unref(disk);
	if (result < 0)
		return result;
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	vhost_user_blk_server_stop(server);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	return 0;
}

static int socket_files(void *arg)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[300];
	struct error error = { 0 };

	(void)arg;
	snprintf(path, sizeof(path), "%s/%0150d.sock", unit_directory(), 0);
	CU_ASSERT_EQUAL(start_at(path, &error), -ENAMETOOLONG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "a socket's may have 107"));

	snprintf(path, sizeof(path), "%s/file", unit_directory());
	close(open(path, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(start_at(path, &error), -EEXIST);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	unlink(path);

	snprintf(path, sizeof(path), "%s/none/disk.sock", unit_directory());
	CU_ASSERT_EQUAL(start_at(path, &error), -ENOENT);

	/* Somebody answers there; then nobody does any more. */
	snprintf(path, sizeof(path), "%s/other.sock", unit_directory());
	strcpy(address.sun_path, path);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL(start_at(path, &error), -EADDRINUSE);
	close(fd);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_EQUAL(start_at(path, &error), 0);
	return 0;
}

static void test_the_socket_file(void)
{
	fiber_run_real(WORKER_ENGINE_AUTO, socket_files, NULL);
}

static int shrink(void *arg)
{
	struct host *host = arg;

	block_set_size(host->fault, DISK / 2);
	return 0;
}

/* Data in memory that the server has too is not copied, whatever the pieces; beside it, it is. */
static int shared_memory(void *arg)
{
	struct host host = { .stopped = false };
	struct guest_memory memory = { .count = 0 };
	struct vhost_user_blk_client_options options = { .memory = &memory, .queues = 2 };
	static uint8_t outside[64 << 10], found[128 << 10];
	struct iovec all = { found, sizeof(found) };
	struct block *block = NULL;
	uint8_t *at;

	(void)arg;
	host_begin(&host);
	CU_ASSERT_EQUAL(guest_memory_create_region(&memory, "one", 0, 1 << 20, NULL), 0);
	CU_ASSERT_EQUAL(guest_memory_create_region(&memory, "two", 8 << 20, 1 << 20, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vhost_user_blk_client_open(&block, host.path, &options, NULL), 0);
	at = memory.regions[1].host;
	for (unsigned i = 0; i < 1 << 20; i++)
		at[i] = (uint8_t)(i * 7 + i / 4096);
	memset(outside, 0x3c, sizeof(outside));
	for (unsigned round = 0; round < 8; round++) {
		unsigned cut = 1 + round * 613;
		struct iovec pieces[] = { { at, cut },
					  { at + 70000, 40000 - cut },
					  { outside, 30000 },
					  { at + 200000, 131072 - 70000 } };
		uint8_t *expected = found;

		CU_ASSERT_EQUAL(block_writev(block, round * 131072, pieces, 4, 0), 0);
		memset(found, 0, sizeof(found));
		CU_ASSERT_EQUAL(block_readv(block, round * 131072, &all, 1), 0);
		for (unsigned i = 0; i < 4; expected += pieces[i++].iov_len)
			CU_ASSERT_EQUAL(memcmp(expected, pieces[i].iov_base, pieces[i].iov_len), 0);
		/* And back into it. */
		pieces[0].iov_base = at + 600000;
		pieces[3].iov_base = at + 800000;
		CU_ASSERT_EQUAL(block_readv(block, round * 131072, pieces, 4), 0);
		CU_ASSERT_EQUAL(memcmp(at + 600000, at, cut), 0);
		CU_ASSERT_EQUAL(memcmp(at + 800000, at + 200000, 131072 - 70000), 0);
	}
	worker_call(host.worker, host_status, &host);
	/* One request where all is shared, however it is cut. */
	for (unsigned i = 0; i < 10; i++) {
		struct iovec pieces[20];

		for (unsigned k = 0; k < 20; k++)
			pieces[k] = (struct iovec){ at + k * 10000, k < 19 ? 1000 : 1480 };
		CU_ASSERT_EQUAL(block_readv(block, 4096 * i, pieces, 20), 0);
	}
	{
		uint64_t before = host.status.queues.chains;

		worker_call(host.worker, host_status, &host);
		CU_ASSERT_EQUAL(host.status.queues.chains - before, 10);
	}
	/* A new size is seen while it is open. */
	worker_call(host.worker, shrink, &host);
	for (int i = 0; i < 30000 && block->size != DISK / 2; i++)
		fiber_sleep(2 * MS);
	CU_ASSERT_EQUAL(block->size, DISK / 2);
	block_unref(block);
	host_end(&host);
	guest_memory_clear(&memory);
	return 0;
}

static void test_the_callers_memory_is_shared(void)
{
	fiber_run_real(WORKER_ENGINE_AUTO, shared_memory, NULL);
}

UNIT_MAIN("vhost-user-blk", UNIT(test_a_disk_is_used_through_the_socket),
	  UNIT(test_the_client_works_on_libaio_too),
	  UNIT(test_a_writable_disk_has_one_client_at_a_time), UNIT(test_a_read_only_disk_has_many),
	  UNIT(test_a_read_only_disk_has_not_any_number),
	  UNIT(test_a_server_stops_with_requests_in_flight),
	  UNIT(test_a_client_dies_with_requests_in_flight),
	  UNIT(test_who_comes_waits_for_writes_of_who_left),
	  UNIT(test_a_write_that_nobody_took_is_not_done_later), UNIT(test_the_socket_file),
	  UNIT(test_the_callers_memory_is_shared))
