/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for signals on a fiber.
 *
 * A thread waits in poll(2) for a signalfd and posts. The ring cannot be given the signalfd itself: when
 * libaio polls one, the kernel looks at it once more from a worker thread of its own, whose signals it
 * then sees instead of ours (fs/aio.c aio_poll_complete_work(), fs/signalfd.c signalfd_poll(), Linux 6.1).
 */
#include "fiber/signal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "util/cleanup.h"

struct signal_wait {
	struct worker *worker;
	int signals, stop; /* a signalfd and an eventfd */
	int result;        /* the signal, or a negative errno */
	bool done;
	struct fiber_queue waiter;
};

static void wake(void *arg)
{
	struct signal_wait *wait = arg;

	wait->done = true;
	fiber_queue_wake_all(&wait->waiter);
}

static void *wait_on_thread(void *arg)
{
	struct signal_wait *wait = arg;
	struct pollfd fds[2] = { { wait->signals, POLLIN, 0 }, { wait->stop, POLLIN, 0 } };
	struct signalfd_siginfo info;

	wait->result = -ECANCELED;
	while (poll(fds, 2, -1) < 0)
		;
	if (fds[0].revents && read(wait->signals, &info, sizeof(info)) == sizeof(info))
		wait->result = (int)info.ssi_signo;
	worker_post(wait->worker, wake, wait);
	return NULL;
}

int fiber_wait_signal(const sigset_t *set)
{
	CLEANUP_CLOSE int signals = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	CLEANUP_CLOSE int stop = eventfd(0, EFD_CLOEXEC);
	struct signal_wait wait = { worker_current(), signals, stop, .result = 0 };
	uint64_t one = 1;
	pthread_t thread;
	int rc;

	if (signals < 0 || stop < 0)
		return -errno;
	fiber_queue_init(&wait.waiter);
	rc = pthread_create(&thread, NULL, wait_on_thread, &wait);
	if (rc)
		return -rc;
	while (!wait.done && fiber_queue_wait(&wait.waiter, FIBER_FOREVER) == 0)
		;
	/* Cancelled: the thread posts all the same, and `wait` must be there until then. */
	if (!wait.done && write(stop, &one, sizeof(one)) < 0)
		wait.result = -errno;
	while (!wait.done)
		fiber_queue_wait_always(&wait.waiter);
	pthread_join(thread, NULL);
	return wait.result;
}
