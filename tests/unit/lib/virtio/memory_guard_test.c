/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer that shortens a file which it shares: it loses its connection, and nobody else anything. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "block/block.h"
#include "crew.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/guest_memory.h"
#include "virtio/memory_guard.h"
#include "virtio/vhost_user_blk.h"
#include "virtio/vhost_user_blk_client.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtqueue_driver.h"

#define PAGE  4096u
#define PAGES 16u
#define DISK  (1u << 20)

/* A file of PAGES pages full of 0x77 that cannot be sealed. */
static int make_file(void)
{
	char path[200];
	uint8_t bytes[PAGE];
	int fd;

	snprintf(path, sizeof(path), "%s/memory", unit_directory());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	unlink(path);
	memset(bytes, 0x77, sizeof(bytes));
	for (unsigned i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	return fd;
}

static uint8_t *map(int fd)
{
	uint8_t *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(at, MAP_FAILED);
	return at;
}

static void *read_all(void *arg)
{
	volatile uint8_t *at = arg;
	uintptr_t sum = 0;

	for (unsigned i = 0; i < PAGES * PAGE; i++)
		sum += at[i] & 0x88; /* zeroes or what was there, nothing else */
	at[PAGES * PAGE - 1] = 0;
	return (void *)sum;
}

static void test_a_shortened_file_hangs_up_on_its_peer(void)
{
	struct memory_guard *guard, *other;
	pthread_t threads[4];
	int fd = make_file(), fds[2], whole = make_file();
	uint8_t *at = map(fd), *others = map(whole);
	void *sum;
	char byte;

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	CU_ASSERT_EQUAL(memory_guard_add(&other, others, PAGES * PAGE, -1), 0);
	CU_ASSERT_EQUAL(memory_guard_add(&guard, at, PAGES * PAGE, fds[0]), 0);
	CU_ASSERT_EQUAL(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
	CU_ASSERT_EQUAL(ftruncate(fd, 2 * PAGE), 0);
	CU_ASSERT_EQUAL(at[PAGE], 0x77);
	CU_ASSERT_FALSE(memory_guard_torn(guard));
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, read_all, at);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &sum);
		CU_ASSERT_PTR_NULL(sum);
	}
	CU_ASSERT_TRUE(memory_guard_torn(guard));
	CU_ASSERT_FALSE(memory_guard_torn(other));
	CU_ASSERT_EQUAL(others[5 * PAGE], 0x77);
	CU_ASSERT_EQUAL(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
	memory_guard_remove(guard);
	memory_guard_remove(other);
	munmap(at, PAGES * PAGE);
	munmap(others, PAGES * PAGE);
	close(fd);
	close(whole);
	close(fds[0]);
	close(fds[1]);
}

static void test_many_guards_come_and_go(void)
{
	static struct memory_guard *guards[1000];
	static uint8_t bytes[1000];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(guards); i++)
			CU_ASSERT_EQUAL(memory_guard_add(&guards[i], bytes + i, 1, -1), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(guards); i++)
			memory_guard_remove(guards[(i * 7) % ARRAY_SIZE(guards)]);
	}
}

/* A file that is longer than there are addresses costs its peer nothing. */
static void test_addresses_are_dealt_out(void)
{
	const size_t half = MEMORY_GUARD_PEER_MOST / 2 + PAGE;
	struct memory_guard *guard = NULL, *other = NULL, *none = NULL;
	size_t long_one = MEMORY_GUARD_PEER_MOST + PAGE, longest = SIZE_MAX - PAGE + 1;
	size_t halfs = half, page = PAGE;
	void *at, *others;
	int fd = make_file(), rc;

	CU_ASSERT_EQUAL(memory_guard_map(&none, &at, &long_one, fd, 100), -E2BIG);
	CU_ASSERT_EQUAL(memory_guard_map(&none, &at, &longest, fd, 100), -E2BIG);
#ifdef __SANITIZE_THREAD__
	rc = -ENOMEM; /* it has no place for such */
#else
	rc = memory_guard_map(&guard, &at, &halfs, fd, 100);
#endif
	CU_ASSERT_TRUE(rc == 0 || rc == -ENOMEM);
	if (!rc) {
		CU_ASSERT_EQUAL(*(uint8_t *)at, 0x77);
		CU_ASSERT_EQUAL(memory_guard_map(&none, &others, &halfs, fd, 100), -E2BIG);
		CU_ASSERT_EQUAL(memory_guard_map(&other, &others, &page, fd, 100), 0);
		memory_guard_remove(other);
		munmap(others, PAGE);
		CU_ASSERT_EQUAL(memory_guard_map(&other, &others, &page, fd, 101), 0);
		memory_guard_remove(other);
		munmap(others, PAGE);
		memory_guard_remove(guard);
		munmap(at, half);
		CU_ASSERT_EQUAL(memory_guard_map(&guard, &at, &halfs, fd, 100), 0);
		memory_guard_remove(guard);
		munmap(at, half);
	}
	CU_ASSERT_EQUAL(halfs, half);
	CU_ASSERT_EQUAL(page, PAGE);
	close(fd);
}

/* A fault that is nobody's, or whose guard is gone, does what it did before there were guards. */
static void test_other_faults_end_the_process(void)
{
	for (int kind = 0; kind < 3; kind++) {
		int fd = make_file(), status = 0;
		pid_t child = fork();

		if (!child) {
			struct memory_guard *guard;
			volatile uint8_t *at = map(fd);

			signal(SIGBUS, SIG_DFL); /* also the sanitizers' */
			if (memory_guard_add(&guard, (void *)(uintptr_t)at, PAGE, -1) < 0)
				_exit(1);
			if (kind == 1)
				memory_guard_remove(guard);
			if (kind == 2)
				raise(SIGBUS);
			if (ftruncate(fd, 0) < 0)
				_exit(1);
			_exit(at[kind ? 0 : PAGE]);
		}
		waitpid(child, &status, 0);
		CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
		close(fd);
	}
}

/* ---- A server with two clients ---- */

struct host {
	struct worker *worker;
	struct crew crew;
	struct worker *workers[1 + CREW_WORKERS]; /* the queues' */
	struct block *disk;
	struct vhost_user_blk_server *server;
	struct fiber_queue stop;
	bool stopped;
	char path[200];
	struct vhost_user_blk_status status;
};

static int host_run(void *arg)
{
	struct host *host = arg;

	while (!host->stopped)
		fiber_queue_wait_always(&host->stop);
	return 0;
}

static int host_open(void *arg)
{
	struct host *host = arg;
	const struct vhost_user_blk_options options = { .queue_count = 1 + CREW_WORKERS,
							.workers = host->workers,
							.worker_count = 1 + CREW_WORKERS };
	CLEANUP_BLOCK struct block *memory = NULL;

	if (block_create_memory(&memory, "disk", DISK, NULL) < 0)
		return -ENOMEM;
	memory->read_only = true; /* so that it takes several */
	host->disk = crew_share(memory);
	return vhost_user_blk_server_start(&host->server, host->disk, host->path, &options, NULL);
}

static int host_close(void *arg)
{
	struct host *host = arg;

	vhost_user_blk_server_status(host->server, &host->status);
	vhost_user_blk_server_stop(host->server);
	block_unref(host->disk);
	host->stopped = true;
	fiber_queue_wake_all(&host->stop);
	return 0;
}

/* Shares a file, has a read go to its end by queue number `index`, and shortens it just before. */
static void shorten(const char *path, unsigned index)
{
	uint64_t features = 1ULL << VIRTIO_F_VERSION_1;
	struct virtio_blk_outhdr header = { .type = htole32(VIRTIO_BLK_T_IN) };
	struct virtqueue_part parts[] = { { 2 * PAGE, sizeof(header) },
					  { 10 * PAGE, PAGE },
					  { 2 * PAGE + 64, 1 } };
	struct guest_memory memory = { .count = 0 };
	struct vhost_user_queue queue = { .size = 16, .call_fd = -1 };
	struct vhost_user_frontend *fe;
	struct virtqueue_driver driver;
	struct error error;
	int fd = make_file();
	uint16_t head;

	CU_ASSERT_EQUAL_FATAL(vhost_user_frontend_connect(&fe, path, &error), 0);
	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, 0, PAGES * PAGE, 0x10000, dup(fd), 0, -1,
						&error),
			0);
	CU_ASSERT_FALSE(memory.regions[0].sealed);
	virtqueue_driver_init(&driver, memory.regions[0].host, 0, 16, features);
	queue.kick_fd = driver.kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	queue.desc = driver.desc_address;
	queue.avail = driver.avail_address;
	queue.used = driver.used_address;
	CU_ASSERT_EQUAL(vhost_user_frontend_set_features(fe, features, &error), 0);
	CU_ASSERT_EQUAL(vhost_user_frontend_set_memory(fe, &memory, &error), 0);
	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(fe, index, &queue, &error), 0);
	memcpy(memory.regions[0].host + 2 * PAGE, &header, sizeof(header));
	CU_ASSERT_EQUAL(ftruncate(fd, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(virtqueue_driver_add(&driver, parts, 1, 2, &head), 0);
	virtqueue_driver_kick(&driver);
	CU_ASSERT_EQUAL(poll(&(struct pollfd){ vhost_user_frontend_fd(fe), POLLRDHUP, 0 }, 1, -1),
			1);
	vhost_user_frontend_close(fe);
	virtqueue_driver_destroy(&driver);
	guest_memory_clear(&memory);
	close(driver.kick_fd);
	close(fd);
}

static int two_clients(void *arg)
{
	struct host host = { .stopped = false };
	struct block *block = NULL;
	uint8_t bytes[512];
	struct iovec iov = { bytes, sizeof(bytes) };

	(void)arg;
	snprintf(host.path, sizeof(host.path), "%s/guard.sock", unit_directory());
	fiber_queue_init(&host.stop);
	CU_ASSERT_EQUAL_FATAL(worker_create(&host.worker, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(worker_start(host.worker, "host", host_run, &host), 0);
	crew_begin(&host.crew);
	host.workers[0] = host.worker;
	for (unsigned i = 0; i < CREW_WORKERS; i++)
		host.workers[1 + i] = host.crew.workers[i];
	CU_ASSERT_EQUAL_FATAL(worker_call(host.worker, host_open, &host), 0);
	CU_ASSERT_EQUAL(vhost_user_blk_client_open(&block, host.path, NULL, NULL), 0);
	CU_ASSERT_EQUAL(block_readv(block, 0, &iov, 1), 0);
	for (unsigned i = 0; i < 3 * (1 + CREW_WORKERS); i++) {
		shorten(host.path, i % (1 + CREW_WORKERS));
		CU_ASSERT_EQUAL(block_readv(block, 512 * i, &iov, 1), 0);
	}
	block_unref(block);
	worker_call(host.worker, host_close, &host);
	crew_end(&host.crew);
	worker_join(host.worker);
	worker_destroy(host.worker);
	CU_ASSERT_EQUAL(host.status.requests.reads, 1 + 6 * (1 + CREW_WORKERS));
	return 0;
}

static void test_the_other_client_of_a_server_goes_on(void)
{
	fiber_run_real(WORKER_ENGINE_AUTO, two_clients, NULL);
}

UNIT_MAIN("memory_guard", UNIT(test_other_faults_end_the_process),
	  UNIT(test_a_shortened_file_hangs_up_on_its_peer), UNIT(test_many_guards_come_and_go),
	  UNIT(test_addresses_are_dealt_out), UNIT(test_the_other_client_of_a_server_goes_on))
