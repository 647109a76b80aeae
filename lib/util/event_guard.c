/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See event_guard.h.
 *
 * The owner counts each event in `gives` and sets `giving` around the write. The other thread looks each TICK_MS: one
 * and the same event at two looks is held. After some looks without events it sets `asleep` and then looks at `gives` again;
 * the owner counts and then looks at `asleep`: one of them sees the other.
 */
#include "util/event_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/peer_file.h"
#include "util/thread.h"

#define TICK_MS    100
#define IDLE_TICKS 10

static _Thread_local struct event_guard *own;

static void on_signal(int signal)
{
	(void)signal;
}

/* ---- The thread that watches ---- */

static void *watch(void *arg)
{
	struct event_guard *guard = arg;
	unsigned last = atomic_load(&guard->gives), idle = 0;

	while (!atomic_load(&guard->ending)) {
		struct pollfd wake = { guard->wake_fd, POLLIN, 0 };
		unsigned gives;

		poll(&wake, 1, atomic_load(&guard->asleep) ? -1 : TICK_MS);
		if (wake.revents) {
			uint64_t count;
			ssize_t unused = read(guard->wake_fd, &count, sizeof(count));

			(void)unused;
			atomic_store(&guard->asleep, false);
			idle = 0;
			continue;
		}
		gives = atomic_load(&guard->gives);
		idle = gives == last ? idle + 1 : 0;
		if (gives == last && atomic_load(&guard->giving))
			pthread_kill(guard->owner, SIGURG);
		else if (idle > IDLE_TICKS)
			atomic_store(&guard->asleep, atomic_load(&guard->gives) == gives);
		/* What was counted before it was set has been seen; what comes after it wakes. */
		if (atomic_load(&guard->asleep) && atomic_load(&guard->gives) != gives)
			atomic_store(&guard->asleep, false);
		last = gives;
	}
	return NULL;
}

static void start_watching(struct event_guard *guard)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t set;

	/* Without SA_RESTART: a write that it interrupts ends. */
	guard->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guard->wake_fd < 0 || sigaction(SIGURG, &action, NULL) ||
	    thread_start(&guard->thread, "tenon-events", watch, guard)) {
		cleanup_close(&guard->wake_fd);
		guard->refused = true;
		return;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- The owner ---- */

void event_guard_begin(struct event_guard *guard)
{
	*guard = (struct event_guard){ .owner = pthread_self(), .wake_fd = -1 };
	own = guard;
}

void event_guard_end(struct event_guard *guard)
{
	own = NULL;
	if (guard->wake_fd < 0)
		return;
	atomic_store(&guard->ending, true);
	eventfd_write(guard->wake_fd, 1);
	pthread_join(guard->thread, NULL);
	cleanup_close(&guard->wake_fd);
}

static int give(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) >= 0 || errno == EAGAIN)
		return 0;
	return -errno;
}

int event_give(int fd)
{
	struct event_guard *guard = own;
	int rc;

	if (guard && guard->wake_fd < 0 && !guard->refused)
		start_watching(guard);
	if (!guard || guard->refused)
		return give(fd);
	atomic_store_explicit(&guard->giving, true, memory_order_relaxed);
	atomic_fetch_add(&guard->gives, 1);
	if (atomic_load(&guard->asleep))
		eventfd_write(guard->wake_fd, 1);
	rc = give(fd);
	atomic_store_explicit(&guard->giving, false, memory_order_release);
	return rc;
}

/* By what is known without asking a file system that may not answer. */
static bool is_pipe(int fd, bool or_socket)
{
	struct statx status;

	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) &&
	       (S_ISFIFO(status.stx_mode) || (or_socket && S_ISSOCK(status.stx_mode))) &&
	       peer_file_is_prompt(fd);
}

static bool is_eventfd(int fd)
{
	static const char expected[] = "anon_inode:[eventfd]";
	char path[32], text[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, text, sizeof(text));
	return length == (ssize_t)strlen(expected) && !memcmp(text, expected, strlen(expected));
}

bool event_can_be_given(int fd)
{
	return is_eventfd(fd) || is_pipe(fd, true);
}

bool event_can_be_taken(int fd)
{
	return is_eventfd(fd) || is_pipe(fd, false);
}
