/* SPDX-License-Identifier: BSD-2-Clause */
/* Disk I/O, poll and sockets on fibers, on both engines. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "fiber/pinned.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/process.h"

#define SECOND 1000000000ULL
#define BLOCK  4096

/* A new file in this run's directory, unlinked. */
static int temporary_file(int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", unit_directory());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int file_round_trip(void *arg)
{
	CLEANUP_CLOSE int fd = temporary_file(*(int *)arg);
	CLEANUP_FREE char *data = aligned_alloc(BLOCK, 4 * BLOCK);
	CLEANUP_FREE char *back = aligned_alloc(BLOCK, 4 * BLOCK);
	struct iovec out[3] = { { data, BLOCK }, { data + BLOCK, 2 * BLOCK }, { data, BLOCK } };
	struct iovec in[2] = { { back, 3 * BLOCK }, { back + 3 * BLOCK, BLOCK } };

	if (fd < 0) {
		unit_skip("open with flags %#x: %s", *(int *)arg, strerror(errno));
		return 0;
	}
	for (unsigned i = 0; i < 4 * BLOCK; i++)
		data[i] = (char)(i * 7 + i / 512);
	CU_ASSERT_EQUAL(fiber_pwritev(fd, out, 3, BLOCK, 0), 4 * BLOCK);
	CU_ASSERT_EQUAL(fiber_pwritev(fd, out, 1, 5 * BLOCK, RWF_DSYNC), BLOCK);
	CU_ASSERT_EQUAL(fiber_fdatasync(fd), 0);
	CU_ASSERT_EQUAL(fiber_preadv(fd, in, 2, BLOCK), 4 * BLOCK);
	CU_ASSERT_EQUAL(memcmp(back, data, 3 * BLOCK), 0);
	CU_ASSERT_EQUAL(memcmp(back + 3 * BLOCK, data, BLOCK), 0);
	/* A hole, the end, and beyond the end. */
	CU_ASSERT_EQUAL(fiber_preadv(fd, in, 1, 0), 3 * BLOCK);
	CU_ASSERT_TRUE(bytes_all_zero(back, BLOCK));
	CU_ASSERT_EQUAL(memcmp(back + BLOCK, data, 2 * BLOCK), 0);
	CU_ASSERT_EQUAL(fiber_preadv(fd, in, 2, 4 * BLOCK), 2 * BLOCK);
	CU_ASSERT_EQUAL(fiber_preadv(fd, in, 1, 6 * BLOCK), 0);
	return 0;
}

static void test_files_are_read_and_written(void)
{
	int buffered = 0, direct = O_DIRECT;

	fiber_run_each(file_round_trip, &buffered);
	fiber_run_each(file_round_trip, &direct);
}

static int fallocate_file(void *arg)
{
	CLEANUP_CLOSE int fd = temporary_file(0);
	char data[BLOCK], back[BLOCK];
	struct iovec out = { data, BLOCK }, in = { back, BLOCK };
	struct stat status;
	int punched;

	(void)arg;
	memset(data, 7, sizeof(data));
	CU_ASSERT_EQUAL(fiber_pwritev(fd, &out, 1, 0, 0), BLOCK);
	CU_ASSERT_EQUAL(fiber_fallocate(fd, FALLOC_FL_KEEP_SIZE, BLOCK, 15 * BLOCK), 0);
	fstat(fd, &status);
	CU_ASSERT_EQUAL(status.st_size, BLOCK);
	CU_ASSERT(status.st_blocks >= 16 * BLOCK / 512);
	CU_ASSERT_EQUAL(fiber_fallocate(fd, 0, 0, 16 * BLOCK), 0);
	fstat(fd, &status);
	CU_ASSERT_EQUAL(status.st_size, 16 * BLOCK);
	punched = fiber_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK);
	CU_ASSERT(!punched || punched == -EOPNOTSUPP);
	CU_ASSERT_EQUAL(fiber_preadv(fd, &in, 1, 0), BLOCK);
	CU_ASSERT_EQUAL(bytes_all_zero(back, BLOCK), !punched);
	CU_ASSERT_EQUAL(fiber_fallocate(fd, 0, 0, 0), -EINVAL);
	return 0;
}

static void test_fallocate(void)
{
	fiber_run_each(fallocate_file, NULL);
}

static int failing_requests(void *arg)
{
	CLEANUP_CLOSE int reader = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char data[16];
	struct iovec iov = { data, sizeof(data) };

	(void)arg;
	CU_ASSERT_EQUAL(fiber_preadv(-1, &iov, 1, 0), -EBADF);
	CU_ASSERT_EQUAL(fiber_pwritev(reader, &iov, 1, 0, 0), -EBADF);
	CU_ASSERT_EQUAL(fiber_fdatasync(-1), -EBADF);
	CU_ASSERT_EQUAL(fiber_fallocate(-1, 0, 0, 1), -EBADF);
	CU_ASSERT_EQUAL(fiber_poll(-1, POLLIN, FIBER_FOREVER), -EBADF);
	return 0;
}

static void test_errors_come_back(void)
{
	fiber_run_each(failing_requests, NULL);
}

struct many_reads {
	int fd;
	unsigned done;
};

static int read_one(void *arg)
{
	struct many_reads *reads = arg;
	uint64_t at = worker_random() % 1024, got = 0;
	struct iovec iov = { &got, sizeof(got) };

	CU_ASSERT_EQUAL(fiber_preadv(reads->fd, &iov, 1, at * sizeof(got)), sizeof(got));
	CU_ASSERT_EQUAL(got, at);
	reads->done++;
	return 0;
}

/* More than the submission ring takes at once, and more than a libaio context holds. */
static int read_many(void *arg)
{
	struct many_reads reads = { .fd = temporary_file(0) };
	CLEANUP_CLOSE int fd = reads.fd;
	static struct fiber *fibers[6000];
	uint64_t numbers[1024];
	struct iovec iov = { numbers, sizeof(numbers) };

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		numbers[i] = i;
	CU_ASSERT_EQUAL(fiber_pwritev(fd, &iov, 1, 0, 0), sizeof(numbers));
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++)
		fibers[i] = fiber_spawn(read_one, &reads);
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++)
		fiber_join(fibers[i]);
	CU_ASSERT_EQUAL(reads.done, ARRAY_SIZE(fibers));
	return 0;
}

static void test_more_requests_than_the_ring_holds(void)
{
	fiber_run_each(read_many, NULL);
}

static int virtual_time_of_io(void *arg)
{
	CLEANUP_CLOSE int fd = temporary_file(O_DSYNC);
	char data[BLOCK] = { 0 };
	struct iovec iov = { data, BLOCK };
	uint64_t began = worker_now();

	(void)arg;
	for (unsigned i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(fiber_pwritev(fd, &iov, 1, i * BLOCK, 0), BLOCK);
		CU_ASSERT_EQUAL(fiber_fdatasync(fd), 0);
	}
	CU_ASSERT_EQUAL(worker_now(), began);
	return 0;
}

static int sleep_a_microsecond(void *arg)
{
	(void)arg;
	return fiber_sleep(1000);
}

static int time_stands_still_for_disks(void *arg)
{
	/* A timer that could fire stands beside. */
	struct fiber *sleeper = fiber_spawn(sleep_a_microsecond, NULL);

	CU_ASSERT_EQUAL(fiber_join(fiber_spawn(virtual_time_of_io, arg)), 0);
	return fiber_join(sleeper);
}

static void test_virtual_time_stands_still_while_disks_work(void)
{
	fiber_run_each(time_stands_still_for_disks, NULL);
}

struct pair {
	int fd[2];
};

static void make_pair(struct pair *pair)
{
	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fd), 0);
}

static void close_pair(struct pair *pair)
{
	close(pair->fd[0]);
	close(pair->fd[1]);
}

static int poll_in_a_minute(void *arg)
{
	return fiber_poll(*(int *)arg, POLLIN, 60 * SECOND);
}

static int write_in_half_a_minute(void *arg)
{
	fiber_sleep(30 * SECOND);
	return fiber_write(*(int *)arg, "x", 1);
}

static int polls(void *arg)
{
	uint64_t began = worker_now();
	struct fiber *a, *b;
	struct pair pair;

	(void)arg;
	make_pair(&pair);
	CU_ASSERT_EQUAL(fiber_poll(pair.fd[0], POLLIN | POLLOUT, FIBER_FOREVER), POLLOUT);
	CU_ASSERT_EQUAL(fiber_poll(pair.fd[0], POLLIN, 0), -ETIMEDOUT);
	CU_ASSERT_EQUAL(worker_now(), began);
	CU_ASSERT_EQUAL(fiber_poll(pair.fd[0], POLLIN, 60 * SECOND), -ETIMEDOUT);
	CU_ASSERT_EQUAL(worker_now() - began, 60 * SECOND);
	/* Two fibers on one descriptor, both woken by data. */
	a = fiber_spawn(poll_in_a_minute, &pair.fd[0]);
	b = fiber_spawn(poll_in_a_minute, &pair.fd[0]);
	CU_ASSERT_EQUAL(fiber_join(fiber_spawn(write_in_half_a_minute, &pair.fd[1])), 0);
	CU_ASSERT_EQUAL(fiber_join(a), POLLIN);
	CU_ASSERT_EQUAL(fiber_join(b), POLLIN);
	CU_ASSERT_EQUAL(worker_now() - began, 90 * SECOND);
	CU_ASSERT_EQUAL(fiber_poll(pair.fd[0], POLLIN, 0), POLLIN);
	/* Cancelled in the ring, and before it came there. */
	a = fiber_spawn(poll_in_a_minute, &pair.fd[1]);
	fiber_sleep(SECOND);
	b = fiber_spawn(poll_in_a_minute, &pair.fd[1]);
	fiber_yield();
	fiber_cancel(a);
	fiber_cancel(b);
	CU_ASSERT_EQUAL(fiber_join(a), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_join(b), -ECANCELED);
	CU_ASSERT_EQUAL(worker_now() - began, 91 * SECOND);
	close(pair.fd[1]);
	CU_ASSERT(fiber_poll(pair.fd[0], POLLIN, FIBER_FOREVER) & POLLHUP);
	close(pair.fd[0]);
	return 0;
}

static void test_poll(void)
{
	fiber_run_each(polls, NULL);
}

struct race {
	struct pair pair;
	unsigned rounds, got, timeouts;
};

static int race_poll(void *arg)
{
	struct race *race = arg;
	char byte;

	while (race->got < race->rounds) {
		int events = fiber_poll(race->pair.fd[0], POLLIN, 1 + worker_random() % 60000);

		race->timeouts += events == -ETIMEDOUT;
		if (events == POLLIN)
			race->got += (unsigned)read(race->pair.fd[0], &byte, 1);
		else if (events != -ETIMEDOUT)
			return events;
	}
	return 0;
}

static int race_write(void *arg)
{
	struct race *race = arg;

	for (unsigned i = 0; i < race->rounds; i++) {
		fiber_sleep(worker_random() % 60000);
		if (fiber_write(race->pair.fd[1], "r", 1))
			return -EIO;
	}
	return 0;
}

/* Events, timeouts and their cancels meet in every order; none is lost. */
static int race_both(void *arg)
{
	struct race races[8];
	struct fiber *pollers[ARRAY_SIZE(races)], *writers[ARRAY_SIZE(races)];
	unsigned timeouts = 0;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(races); i++) {
		races[i] = (struct race){ .rounds = 300 };
		make_pair(&races[i].pair);
		pollers[i] = fiber_spawn(race_poll, &races[i]);
		writers[i] = fiber_spawn(race_write, &races[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(races); i++) {
		CU_ASSERT_EQUAL(fiber_join(writers[i]), 0);
		CU_ASSERT_EQUAL(fiber_join(pollers[i]), 0);
		CU_ASSERT_EQUAL(races[i].got, races[i].rounds);
		timeouts += races[i].timeouts;
		close_pair(&races[i].pair);
	}
	CU_ASSERT(timeouts > 0);
	return 0;
}

static void test_events_race_timeouts(void)
{
	fiber_run_each(race_both, NULL);
	fiber_run_real(fiber_run_first_engine(), race_both, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, race_both, NULL);
}

#define STREAM 3000000

static int send_stream(void *arg)
{
	struct pair *pair = arg;
	CLEANUP_FREE char *data = malloc(STREAM);
	int result;

	for (unsigned i = 0; i < STREAM; i++)
		data[i] = (char)(i % 251);
	result = fiber_write(pair->fd[1], data, STREAM);
	shutdown(pair->fd[1], SHUT_WR);
	return result;
}

static int receive_stream(void *arg)
{
	struct fiber *sender;
	char piece[10007];
	unsigned at = 0;
	struct pair pair;
	ssize_t got;

	(void)arg;
	make_pair(&pair);
	sender = fiber_spawn(send_stream, &pair);
	while ((got = fiber_read(pair.fd[0], piece, sizeof(piece))) > 0)
		for (ssize_t i = 0; i < got; i++, at++)
			if (piece[i] != (char)(at % 251))
				CU_FAIL_FATAL("the stream is broken");
	CU_ASSERT_EQUAL(got, 0);
	CU_ASSERT_EQUAL(at, STREAM);
	CU_ASSERT_EQUAL(fiber_join(sender), 0);
	close(pair.fd[0]);
	CU_ASSERT_EQUAL(fiber_write(pair.fd[1], "x", 1), -EPIPE); /* and no SIGPIPE */
	close(pair.fd[1]);
	return 0;
}

static void test_streams(void)
{
	fiber_run_each(receive_stream, NULL);
}

static int read_byte(void *arg)
{
	char byte = 0;
	ssize_t got = fiber_read(*(int *)arg, &byte, 1);

	return got == 1 ? byte : (int)got;
}

static int pipes(void *arg)
{
	struct fiber *reader;
	struct pair pair;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(pipe2(pair.fd, O_NONBLOCK | O_CLOEXEC), 0);
	reader = fiber_spawn(read_byte, &pair.fd[0]);
	fiber_sleep(SECOND);
	CU_ASSERT_EQUAL(fiber_write(pair.fd[1], "q", 1), 0);
	CU_ASSERT_EQUAL(fiber_join(reader), 'q');
	reader = fiber_spawn(read_byte, &pair.fd[0]);
	fiber_sleep(SECOND);
	fiber_cancel(reader);
	CU_ASSERT_EQUAL(fiber_join(reader), -ECANCELED);
	close_pair(&pair);
	return 0;
}

static void test_pipes_and_a_cancelled_read(void)
{
	fiber_run_each(pipes, NULL);
}

static int accept_one(void *arg)
{
	return fiber_accept(*(int *)arg);
}

static int connect_to(void *arg)
{
	return fiber_connect_unix(arg);
}

static int connections(void *arg)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct fiber *server, *clients[4];
	char too_long[200];
	int fd;

	(void)arg;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", unit_directory());
	CU_ASSERT_EQUAL(fiber_connect_unix(address.sun_path), -ENOENT);
	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = 0;
	CU_ASSERT_EQUAL(fiber_connect_unix(too_long), -ENAMETOOLONG);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(fiber_connect_unix(address.sun_path), -ECONNREFUSED);
	listen(listener, 0);
	server = fiber_spawn(accept_one, &listener);
	fiber_sleep(SECOND);
	fiber_cancel(server);
	CU_ASSERT_EQUAL(fiber_join(server), -ECANCELED);
	/* With a backlog of one, some must wait for a place. */
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = fiber_spawn(connect_to, address.sun_path);
	fiber_sleep(SECOND);
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
		fd = fiber_accept(listener);
		CU_ASSERT(fd >= 0);
		CU_ASSERT(fcntl(fd, F_GETFL) & O_NONBLOCK);
		CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
		fd = fiber_join(clients[i]);
		CU_ASSERT(fd >= 0);
		CU_ASSERT_EQUAL(read_byte(&fd), 0);
		close(fd);
	}
	unlink(address.sun_path);
	return 0;
}

static void test_accept_and_connect(void)
{
	fiber_run_each(connections, NULL);
}

/* ---- Pinned memory ---- */

#define STEP (64u << 20) /* that pinned.c cuts it into */

/* From and to `at`, by a request each. */
static void there_and_back(int fd, uint8_t *at)
{
	struct iovec iov = { at, 3 * BLOCK };
	uint8_t copy[3 * BLOCK];

	for (unsigned i = 0; i < sizeof(copy); i++)
		at[i] = copy[i] = (uint8_t)(i * 7 + i / 512);
	CU_ASSERT_EQUAL(fiber_pwritev(fd, &iov, 1, 0, 0), 3 * BLOCK);
	memset(at, 0, sizeof(copy));
	CU_ASSERT_EQUAL(fiber_preadv(fd, &iov, 1, 0), 3 * BLOCK);
	CU_ASSERT_EQUAL(memcmp(at, copy, sizeof(copy)), 0);
}

static int pinned_memory(void *arg)
{
	const size_t length = STEP + 8 * BLOCK;
	CLEANUP_CLOSE int fd = temporary_file(*(int *)arg);
	struct worker_pinned *pinned = NULL, *other = NULL;
	uint8_t *at = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t small[4 * BLOCK] __attribute__((aligned(BLOCK)));
	bool ring = !strcmp(worker_engine_name(worker_current()), "io_uring");
	int rc;

	CU_ASSERT_FATAL(at != MAP_FAILED);
	if (fd < 0)
		return munmap(at, length);
	rc = worker_pin(&pinned, at, length);
	if (!ring)
		CU_ASSERT_EQUAL(rc, -EOPNOTSUPP)
	else if (rc)
		printf("  %zu bytes are not pinned here: %s\n", length, strerror(-rc));
	if (ring && rc != -EOPNOTSUPP)
		CU_ASSERT_EQUAL(worker_pin(&other, at, 65ULL << 30), -ENOSPC);
	CU_ASSERT_EQUAL(worker_pin(&other, small, 0) < 0, true);
	if (!rc)
		CU_ASSERT_EQUAL(worker_pin(&other, small, sizeof(small)), 0);
	there_and_back(fd, at);
	there_and_back(fd, at + STEP - BLOCK); /* across two steps */
	there_and_back(fd, at + STEP);
	there_and_back(fd, at + length - 3 * BLOCK);
	there_and_back(fd, small);
	worker_unpin(pinned);
	there_and_back(fd, at);
	there_and_back(fd, small);
	worker_unpin(other);
	there_and_back(fd, small);
	/* Places are free again. */
	for (unsigned i = 0; !rc && i < 20; i++) {
		CU_ASSERT_EQUAL(worker_pin(&pinned, at, length), 0);
		worker_unpin(pinned);
	}
	munmap(at, length);
	return 0;
}

static void test_pinned_memory(void)
{
	int buffered = 0, direct = O_DIRECT;

	fiber_run_each(pinned_memory, &buffered);
	fiber_run_each(pinned_memory, &direct);
}

static void write_event(void *arg)
{
	eventfd_write(*(int *)arg, 1);
}

struct crowd {
	int never; /* an eventfd that nobody writes to */
	unsigned count;
};

static int hog_poll(void *arg)
{
	struct crowd *crowd = arg;

	crowd->count++;
	CU_ASSERT_EQUAL(fiber_poll(crowd->never, POLLIN, FIBER_FOREVER), -ECANCELED);
	return 0;
}

/* libaio's context has places for so many: whoever comes after them looks from time to time. */
static int polls_without_room(void *arg)
{
	enum { HOGS = 2100 };
	static struct fiber *hogs[HOGS];
	struct crowd crowd = { .never = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct worker *worker = worker_current();
	uint64_t before;

	(void)arg;
	for (unsigned i = 0; i < HOGS; i++)
		hogs[i] = fiber_spawn(hog_poll, &crowd);
	while (crowd.count < HOGS)
		fiber_yield();
	before = worker_now();
	CU_ASSERT_EQUAL(fiber_poll(fd, POLLIN, SECOND), -ETIMEDOUT);
	CU_ASSERT_EQUAL(worker_now() - before, SECOND);
	worker_post(worker, write_event, &fd);
	CU_ASSERT_EQUAL(fiber_poll(fd, POLLIN, FIBER_FOREVER), POLLIN);
	for (unsigned i = 0; i < HOGS; i++)
		fiber_cancel(hogs[i]);
	for (unsigned i = 0; i < HOGS; i++)
		fiber_join(hogs[i]);
	close(fd);
	close(crowd.never);
	return 0;
}

static void test_polls_wait_where_the_ring_has_no_room(void)
{
	fiber_run_each(polls_without_room, NULL);
}

#define LIMIT (SECOND / 10)

/* Of a process that waits and the one that stops it, in memory that both have. */
struct late {
	int pipe[2];
	_Atomic uint64_t began;

	struct fiber_queue queue; /* of who waits for what another fiber reads */
	bool read;
};

static int poll_late(void *arg)
{
	struct late *late = arg;
	struct pollfd now = { .fd = late->pipe[0], .events = POLLIN };
	int rc;

	do {
		atomic_store(&late->began, worker_now());
		rc = fiber_poll(late->pipe[0], POLLIN, LIMIT);
	} while (rc == -ETIMEDOUT && !poll(&now, 1, 0)); /* it was not stopped in time */
	return rc == POLLIN ? 0 : 1;
}

static int read_late(void *arg)
{
	struct late *late = arg;
	char byte;

	late->read = fiber_read(late->pipe[0], &byte, 1) == 1;
	fiber_queue_wake_all(&late->queue);
	return 0;
}

static int queue_late(void *arg)
{
	struct late *late = arg;
	struct pollfd now = { .fd = late->pipe[0], .events = POLLIN };
	struct fiber *reader;
	int rc;

	fiber_queue_init(&late->queue);
	reader = fiber_spawn(read_late, late);
	do {
		atomic_store(&late->began, worker_now());
		rc = fiber_queue_wait(&late->queue, LIMIT);
	} while (rc == -ETIMEDOUT && !late->read && !poll(&now, 1, 0));
	fiber_join(reader);
	return rc;
}

#define MANY 1000

static int run_once(void *arg)
{
	(void)arg;
	return 0;
}

static int wait_in_queue(void *arg)
{
	struct late *late = arg;

	late->began = worker_now();
	return fiber_queue_wait(&late->queue, LIMIT);
}

/* What comes within the time of who waits, whose time is over when many others are to run before the reader. */
static int queue_behind_many(void *arg)
{
	struct late late = { .read = false };
	struct fiber *reader, *waiter;
	bool in_time;
	int rc;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(pipe2(late.pipe, O_NONBLOCK), 0);
	fiber_queue_init(&late.queue);
	reader = fiber_spawn(read_late, &late);
	fiber_sleep(SECOND / 100);
	do {
		late.began = 0;
		waiter = fiber_spawn(wait_in_queue, &late);
		while (!late.began)
			fiber_yield();
		in_time = monotonic_ns() < late.began + LIMIT;
		for (unsigned i = 0; in_time && i < MANY; i++)
			fiber_start(run_once, NULL);
		if (in_time)
			CU_ASSERT_EQUAL(write(late.pipe[1], "x", 1), 1);
		while (monotonic_ns() < late.began + 2 * LIMIT)
			;
		rc = fiber_join(waiter);
	} while (!in_time);
	CU_ASSERT_EQUAL(rc, 0);
	fiber_join(reader);
	close(late.pipe[0]);
	close(late.pipe[1]);
	return 0;
}

static void test_who_is_woken_behind_many_was_woken(void)
{
	fiber_run_real(fiber_run_first_engine(), queue_behind_many, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, queue_behind_many, NULL);
}

/* Once it stands still with time left, what it waits for comes; it goes on when that time is over. */
static void stop_late(struct late *late, pid_t child)
{
	uint64_t began = 0;
	int status;

	for (;;) {
		while (atomic_load(&late->began) == began && !process_is_gone(child))
			usleep(1000);
		usleep(20000);
		kill(child, SIGSTOP);
		CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, WUNTRACED), child);
		CU_ASSERT_FATAL(WIFSTOPPED(status));
		began = atomic_load(&late->began);
		if (monotonic_ns() < began + LIMIT)
			break;
		kill(child, SIGCONT);
	}
	CU_ASSERT_EQUAL(write(late->pipe[1], "x", 1), 1);
	while (monotonic_ns() < began + 2 * LIMIT)
		usleep(10000);
	kill(child, SIGCONT);
}

static void stop_while(fiber_fn *fn, enum worker_engine engine)
{
	struct late *late = mmap(NULL, sizeof(*late), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	CU_ASSERT_FATAL(late != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(pipe2(late->pipe, O_NONBLOCK), 0);
	fflush(NULL);
	child = fork();
	if (!child)
		_exit(fiber_run_real(engine, fn, late) ? 1 : 0);
	CU_ASSERT_FATAL(child > 0);
	stop_late(late, child);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	close(late->pipe[0]);
	close(late->pipe[1]);
	munmap(late, sizeof(*late));
}

static void test_who_comes_late_sees_what_is_there(void)
{
	stop_while(poll_late, fiber_run_first_engine());
	stop_while(poll_late, WORKER_ENGINE_AIO);
}

static void test_who_is_woken_late_was_woken(void)
{
	stop_while(queue_late, fiber_run_first_engine());
	stop_while(queue_late, WORKER_ENGINE_AIO);
}

UNIT_MAIN("fiber i/o", UNIT(test_files_are_read_and_written), UNIT(test_fallocate),
	  UNIT(test_errors_come_back), UNIT(test_more_requests_than_the_ring_holds),
	  UNIT(test_virtual_time_stands_still_while_disks_work), UNIT(test_poll),
	  UNIT(test_events_race_timeouts), UNIT(test_streams),
	  UNIT(test_pipes_and_a_cancelled_read), UNIT(test_accept_and_connect),
	  UNIT(test_pinned_memory), UNIT(test_polls_wait_where_the_ring_has_no_room),
	  UNIT(test_who_comes_late_sees_what_is_there), UNIT(test_who_is_woken_late_was_woken),
	  UNIT(test_who_is_woken_behind_many_was_woken))
