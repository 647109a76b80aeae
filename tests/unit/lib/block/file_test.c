/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: image files, on both engines in real time, and locks on ranges. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/range_lock.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define MIB (1ULL << 20)
#define MS  1000000ULL

static const char *folder; /* NULL: the run's own */

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : unit_directory(), name);
	return path;
}

/* Does it again on a file in memory. */
static void in_memory(fiber_fn *fn)
{
	char name[] = "/dev/shm/tenon-test-XXXXXX";

	if (!mkdtemp(name)) {
		unit_skip("no folder in /dev/shm");
		return;
	}
	folder = name;
	fn(NULL);
	unlink(path_of("image"));
	rmdir(name);
	folder = NULL;
}

static struct block *create(uint64_t size, unsigned flags)
{
	struct block *block = NULL;
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(block_open_file(&block, path_of("image"), BLOCK_OPEN_CREATE | flags,
					      size, &error),
			      0);
	return block;
}

/* Cuts [0, length) of `buffer` into `count` pieces of any length. */
static void cut(struct random *random, struct iovec *iov, unsigned count, char *buffer,
		uint64_t length)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t step = random_below(random, 2 * length / count);

		step = i + 1 == count ? length - at : MIN(step, length - at);
		iov[i] = (struct iovec){ buffer + at, step };
		at += step;
	}
}

static void random_requests(unsigned flags, uint64_t size, uint64_t seed)
{
	enum { IOVECS = 1500 };
	static struct iovec iov[IOVECS];
	CLEANUP_BLOCK struct block *block = create(size, flags);
	CLEANUP_FREE char *model = calloc(1, size), *buffer = malloc(size + 16);
	struct random random = { .state = seed };

	for (unsigned round = 0; round < 150; round++) {
		uint64_t offset = random_below(&random, size / 512) * 512;
		uint64_t length = (1 + random_below(&random, (size - offset) / 512)) * 512;
		unsigned count = round % 10 ? 1 + (unsigned)random_below(&random, 20) : IOVECS;
		char *at = buffer + random_below(&random, 16);
		unsigned fua = round % 7 ? 0 : BLOCK_FUA;

		cut(&random, iov, count, at, length);
		switch (random_below(&random, 8)) {
		case 0:
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL(block_write_zeroes(block, offset, length,
							   fua | (round % 2 ? BLOCK_MAY_UNMAP : 0)),
					0);
			break;
		case 1:
			memset(model + offset, 0, length);
			CU_ASSERT_EQUAL(block_discard(block, offset, length), 0);
			CU_ASSERT_EQUAL(block_write_zeroes(block, offset, length, 0), 0);
			break;
		case 2:
		case 3:
			random_fill(&random, at, length);
			memcpy(model + offset, at, length);
			CU_ASSERT_EQUAL(block_writev(block, offset, iov, count, fua), 0);
			break;
		case 4:
			CU_ASSERT_EQUAL(block_flush(block), 0);
			break;
		default:
			CU_ASSERT_EQUAL(block_readv(block, offset, iov, count), 0);
			CU_ASSERT_EQUAL_FATAL(memcmp(at, model + offset, length), 0);
		}
	}
}

static int any_memory_and_any_length(void *arg)
{
	(void)arg;
	random_requests(0, MIB, 1);
	random_requests(BLOCK_OPEN_BUFFERED, MIB, 2);
	random_requests(0, 300 * 512, 3);
	return 0;
}

static int a_file_truncated_under_us_fails(void *arg)
{
	CLEANUP_BLOCK struct block *block = create(MIB, 0);
	char bytes[8192];
	uint64_t length = MIB;
	enum block_status status;
	struct stat there;

	(void)arg;
	CU_ASSERT_EQUAL(truncate(path_of("image"), 4096), 0);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 4096), 0);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 8192), -ENXIO);
	CU_ASSERT_EQUAL(block_read(block, 65536, bytes, 512), -ENXIO);
	CU_ASSERT_EQUAL(block_status(block, 0, &length, &status), 0);
	CU_ASSERT_EQUAL(status, BLOCK_STATUS_DATA);
	/* No change makes it longer, or says that it was done. */
	CU_ASSERT_EQUAL(block_write(block, 65536, bytes, 512, 0), -ENXIO);
	CU_ASSERT_EQUAL(block_write(block, MIB - 512, bytes, 512, BLOCK_FUA), -ENXIO);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 8192, 0), -ENXIO);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), -ENXIO);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 65536, 4096, 0), -ENXIO);
	CU_ASSERT_EQUAL(block_write_zeroes(block, 65536, 4096, BLOCK_MAY_UNMAP | BLOCK_FUA),
			-ENXIO);
	CU_ASSERT_EQUAL(block_discard(block, 65536, 4096), -ENXIO);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL_FATAL(stat(path_of("image"), &there), 0);
	CU_ASSERT_EQUAL(there.st_size, 4096);
	/* On purpose. */
	CU_ASSERT_EQUAL(truncate(path_of("image"), MIB), 0);
	CU_ASSERT_EQUAL(block_write(block, 65536, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 65536, bytes, 512), 0);
	return 0;
}

static int a_file_in_memory_truncated_under_us_fails(void *arg)
{
	(void)arg;
	in_memory(a_file_truncated_under_us_fails);
	return 0;
}

static int any_memory_and_any_length_in_memory(void *arg)
{
	(void)arg;
	in_memory(any_memory_and_any_length);
	return 0;
}

struct meanwhile {
	bool ended;
	unsigned turns;
};

static int count_turns(void *arg)
{
	struct meanwhile *meanwhile = arg;

	while (!meanwhile->ended) {
		meanwhile->turns++;
		fiber_yield();
	}
	return 0;
}

/* What is small is done without the ring, and what is much keeps nobody from his turn. */
static int write_much(void *arg)
{
	static char data[64 << 10];
	CLEANUP_BLOCK struct block *block = create(4 * MIB, 0);
	struct worker_counters before, after;
	struct meanwhile meanwhile = { .turns = 0 };
	struct fiber *other;

	(void)arg;
	fiber_yield();
	worker_counters(worker_current(), &before);
	CU_ASSERT_EQUAL(block_write(block, 4096, data, 4096, 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, data, 4096), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	worker_counters(worker_current(), &after);
	CU_ASSERT_EQUAL(after.submitted, before.submitted);
	CU_ASSERT_EQUAL(after.switches, before.switches);
	other = fiber_spawn(count_turns, &meanwhile);
	for (unsigned i = 0; i < 640; i++)
		CU_ASSERT_EQUAL(block_write(block, i % 64 * sizeof(data), data, sizeof(data), 0),
				0);
	meanwhile.ended = true;
	fiber_join(other);
	CU_ASSERT(meanwhile.turns >= 100);
	return 0;
}

static int much_in_memory_lets_others_run(void *arg)
{
	(void)arg;
	in_memory(write_much);
	return 0;
}

static int create_truncates_only_what_is_not_locked(void *arg)
{
	CLEANUP_BLOCK struct block *block = create(MIB, BLOCK_OPEN_LOCK);
	struct block *other = NULL;
	struct error error = { 0 };
	char bytes[512] = { 1 };

	(void)arg;
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), 0);
	CU_ASSERT_EQUAL(block_open_file(&other, path_of("image"),
					BLOCK_OPEN_CREATE | BLOCK_OPEN_LOCK, 8192, &error),
			-EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "in use"));
	CU_ASSERT_NOT_EQUAL(error.advice[0], '\0');
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 512), 0);
	CU_ASSERT_EQUAL(bytes[0], 1);
	block_unref(steal_pointer(&block));
	CU_ASSERT_EQUAL_FATAL(block_open_file(&other, path_of("image"),
					      BLOCK_OPEN_CREATE | BLOCK_OPEN_LOCK, 8192, &error),
			      0);
	CU_ASSERT_EQUAL(other->size, 8192);
	CU_ASSERT_EQUAL(block_read(other, 0, bytes, 512), 0);
	CU_ASSERT_EQUAL(bytes[0], 0);
	block_unref(other);
	return 0;
}

/* ---- Who waits for a lock ---- */

/* The whole of the image locked, as a writer has it. */
static int lock_image(void)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	block_unref(create(MIB, 0));
	fd = open(path_of("image"), O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_OFD_SETLK, &all), 0);
	return fd;
}

static void open_locked(void)
{
	struct block *block = NULL;
	struct error error = { 0 };

	if (block_open_file(&block, path_of("image"), BLOCK_OPEN_LOCK | BLOCK_OPEN_WRITE, 0,
			    &error))
		printf("%s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL(block);
	block_unref(block);
}

static void send_file(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CU_ASSERT_EQUAL_FATAL(sendmsg(socket, &message, 0), 1);
}

static int close_later(void *arg)
{
	const int *ends = arg;

	fiber_sleep(1000 * MS);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* As of a process that was killed, whose files the kernel has not closed yet: nobody is seen to have it. Here it is on its way through a socket. */
static int a_lock_of_nobody_is_waited_for(void *arg)
{
	int fd = lock_image(), ends[2];
	struct fiber *fiber;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	send_file(ends[0], fd);
	close(fd);
	fiber = fiber_spawn(close_later, ends);
	open_locked();
	fiber_join(fiber);
	return 0;
}

static int end_one_after_the_other(void *arg)
{
	const pid_t *children = arg;

	for (unsigned i = 0; i < 2; i++) {
		fiber_sleep(250 * MS);
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	return 0;
}

static pid_t start_holder(bool busy)
{
	pid_t parent = getpid(), child = fork();

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		if (!busy)
			pause();
	_exit(0);
}

/* Each has it for less time than one is waited for. The first in /proc is taken for its holder, so that goes first. */
static int another_holder_is_waited_for_anew(void *arg)
{
	int fd = lock_image();
	pid_t one = start_holder(false), other = start_holder(false);
	pid_t children[] = { MIN(one, other), MAX(one, other) };
	struct fiber *fiber;

	(void)arg;
	close(fd);
	CU_ASSERT_FATAL(one > 0 && other > 0);
	fiber = fiber_spawn(end_one_after_the_other, children);
	open_locked();
	fiber_join(fiber);
	return 0;
}

static int end_late(void *arg)
{
	const pid_t *child = arg;

	fiber_sleep(1500 * MS);
	kill(*child, SIGKILL);
	waitpid(*child, NULL, 0);
	return 0;
}

/* A command that has much to do, or no processor to do it with. */
static int a_busy_holder_is_waited_for(void *arg)
{
	int fd = lock_image();
	pid_t child = start_holder(true);
	struct fiber *fiber;

	(void)arg;
	close(fd);
	CU_ASSERT_FATAL(child > 0);
	fiber = fiber_spawn(end_late, &child);
	open_locked();
	fiber_join(fiber);
	return 0;
}

static int read_only_is_kept(void *arg)
{
	struct block *block = NULL;
	char bytes[512] = { 1 };

	(void)arg;
	block_unref(create(MIB, 0));
	CU_ASSERT_EQUAL_FATAL(block_open_file(&block, path_of("image"), 0, 0, NULL), 0);
	CU_ASSERT_TRUE(block->read_only);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, 512, 0), -EROFS);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, 512), 0);
	block_unref(block);
	return 0;
}

static int what_is_no_image_is_refused(void *arg)
{
	struct block *block;
	struct error error = { 0 };
	int fd = open(path_of("odd"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)arg;
	CU_ASSERT_EQUAL(write(fd, "abc", 3), 3);
	close(fd);
	CU_ASSERT_EQUAL(block_open_file(&block, path_of("odd"), 0, 0, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "size of 3 bytes, expected a multiple of 512"));
	CU_ASSERT_EQUAL(block_open_file(&block, unit_directory(), BLOCK_OPEN_WRITE, 0, &error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "directory"));
	CU_ASSERT_EQUAL(block_open_file(&block, path_of("none"), 0, 0, &error), -ENOENT);
	CU_ASSERT_EQUAL(mkfifo(path_of("pipe"), 0600), 0);
	CU_ASSERT_EQUAL(block_open_file(&block, path_of("pipe"), 0, 0, &error), -EINVAL);
	CU_ASSERT_EQUAL(unlink(path_of("pipe")), 0);
	CU_ASSERT_EQUAL(block_open_file(&block, path_of("new"), BLOCK_OPEN_CREATE, 100, &error),
			-EINVAL);
	CU_ASSERT_NOT_EQUAL(access(path_of("new"), F_OK), 0);
	return 0;
}

/* ---- Locks on ranges ---- */

struct locker {
	struct range_lock *lock;
	uint64_t start, end;
	char name;
};

static char order[16];

static int lock_and_note(void *arg)
{
	struct locker *locker = arg;
	struct range_hold hold;
	size_t length;

	range_lock(locker->lock, &hold, locker->start, locker->end);
	length = strlen(order);
	order[length] = locker->name;
	order[length + 1] = '\0';
	fiber_sleep(1000);
	range_unlock(locker->lock, &hold);
	return 0;
}

/* In units of 2^shift bytes, so that ranges are of one unit or of several. */
static void first_come_first_served_in(unsigned shift)
{
	struct range_lock lock;
	struct locker lockers[] = {
		{ &lock, 0, 10, 'a' },  { &lock, 20, 30, 'b' }, { &lock, 5, 25, 'c' },
		{ &lock, 10, 12, 'd' }, { &lock, 30, 40, 'e' }, { &lock, 0, 5, 'f' },
	};
	struct fiber *fibers[ARRAY_SIZE(lockers)];

	order[0] = '\0';
	range_lock_init(&lock, shift);
	for (unsigned i = 0; i < ARRAY_SIZE(lockers); i++)
		fibers[i] = fiber_spawn(lock_and_note, &lockers[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(lockers); i++)
		fiber_join(fibers[i]);
	/* d waits behind c, which waits for a and b; f waits only for a */
	CU_ASSERT_TRUE(!strcmp(order, "abecfd") || !strcmp(order, "abefcd"));
	CU_ASSERT_TRUE(list_empty(&lock.wide));
	for (unsigned i = 0; i < RANGE_LOCK_BUCKETS; i++)
		CU_ASSERT_TRUE(list_empty(&lock.buckets[i]));
}

static int first_come_first_served(void *arg)
{
	(void)arg;
	first_come_first_served_in(0);
	first_come_first_served_in(3);
	first_come_first_served_in(20);
	return 0;
}

#define ON_FIBERS(name, run, function)                                                             \
	static void name(void)                                                                     \
	{                                                                                          \
		run(function, NULL);                                                               \
	}

static void on_both(fiber_fn *fn, void *arg)
{
	fiber_run_real(fiber_run_first_engine(), fn, arg);
	fiber_run_real(WORKER_ENGINE_AIO, fn, arg);
}

ON_FIBERS(test_any_memory_and_any_length, on_both, any_memory_and_any_length)
ON_FIBERS(test_a_file_truncated_under_us_fails, on_both, a_file_truncated_under_us_fails)
ON_FIBERS(test_a_file_in_memory_truncated_under_us_fails, on_both,
	  a_file_in_memory_truncated_under_us_fails)
ON_FIBERS(test_any_memory_and_any_length_in_memory, on_both, any_memory_and_any_length_in_memory)
ON_FIBERS(test_much_in_memory_lets_others_run, on_both, much_in_memory_lets_others_run)
ON_FIBERS(test_create_truncates_only_what_is_not_locked, on_both,
	  create_truncates_only_what_is_not_locked)
ON_FIBERS(test_a_lock_of_nobody_is_waited_for, on_both, a_lock_of_nobody_is_waited_for)
ON_FIBERS(test_another_holder_is_waited_for_anew, on_both, another_holder_is_waited_for_anew)
ON_FIBERS(test_a_busy_holder_is_waited_for, on_both, a_busy_holder_is_waited_for)
ON_FIBERS(test_read_only_is_kept, on_both, read_only_is_kept)
ON_FIBERS(test_what_is_no_image_is_refused, on_both, what_is_no_image_is_refused)
ON_FIBERS(test_range_locks_are_first_come_first_served, fiber_run_each, first_come_first_served)

UNIT_MAIN("block file", UNIT(test_any_memory_and_any_length),
	  UNIT(test_a_file_truncated_under_us_fails),
	  UNIT(test_a_file_in_memory_truncated_under_us_fails),
	  UNIT(test_any_memory_and_any_length_in_memory), UNIT(test_much_in_memory_lets_others_run),
	  UNIT(test_create_truncates_only_what_is_not_locked),
	  UNIT(test_a_lock_of_nobody_is_waited_for), UNIT(test_another_holder_is_waited_for_anew),
	  UNIT(test_a_busy_holder_is_waited_for), UNIT(test_read_only_is_kept),
	  UNIT(test_what_is_no_image_is_refused),
	  UNIT(test_range_locks_are_first_come_first_served))
