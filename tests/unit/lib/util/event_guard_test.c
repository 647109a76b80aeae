/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/event_guard: peers that would hold who gives them an event. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit.h"
#include "util/cleanup.h"
#include "util/event.h"
#include "util/event_guard.h"

static const uint64_t full = UINT64_MAX - 1;

/* Full, and whoever writes to it waits. */
static int holding_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	CU_ASSERT_EQUAL(write(fd, &full, sizeof(full)), sizeof(full));
	return fd;
}

static void *give_to_all(void *arg)
{
	CLEANUP_CLOSE int plain = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CLEANUP_CLOSE int holding = holding_eventfd();
	struct event_guard guard;

	(void)arg;
	event_guard_begin(&guard);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(event_give(plain), 0);
		CU_ASSERT_EQUAL(event_take(plain), 1);
		CU_ASSERT_EQUAL(event_give(holding), -EINTR);
	}
	/* One that does not wait has been told already. */
	fcntl(holding, F_SETFL, O_NONBLOCK);
	CU_ASSERT_EQUAL(event_give(holding), 0);
	fcntl(holding, F_SETFL, 0);
	/* Longer than the watch stays awake without events. */
	while (!atomic_load(&guard.asleep))
		usleep(1000);
	CU_ASSERT_EQUAL(event_give(holding), -EINTR);
	event_guard_end(&guard);
	return NULL;
}

static void test_nobody_is_held(void)
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, give_to_all, NULL), 0);
	pthread_join(thread, NULL);
}

static void test_without_a_guard(void)
{
	CLEANUP_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	CU_ASSERT_EQUAL(event_give(fd), 0);
	CU_ASSERT_EQUAL(event_take(fd), 1);
	CU_ASSERT_EQUAL(write(fd, &full, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(event_give(fd), 0);
	CU_ASSERT_EQUAL(event_give(-1), -EBADF);
}

static void test_what_can_be_given(void)
{
	CLEANUP_CLOSE int fd = eventfd(0, EFD_CLOEXEC),
			  other = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pipes[2];

	CU_ASSERT(event_can_be_given(fd));
	CU_ASSERT(!event_can_be_given(other));
	CU_ASSERT_EQUAL(pipe(pipes), 0);
	CU_ASSERT(event_can_be_given(pipes[1]));
	close(pipes[0]);
	close(pipes[1]);
	CU_ASSERT(!event_can_be_given(-1));
}

UNIT_MAIN("event guard", UNIT(test_nobody_is_held), UNIT(test_without_a_guard),
	  UNIT(test_what_can_be_given))
