/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forwarding thread: rounds of bursts, polling, sleeping, and calls from other threads.
 *
 * How long to poll before sleeping is learned (util/poll_window.h), as the workers of a server do. Ports whose
 * frames cost a system call to look for (TAP) are not polled: their fd in the epoll set says when to read.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/event_guard.h"
#include "util/poll_window.h"
#include "util/thread.h"
#include "vswitch/internal.h"

#define POLL_MAX_DEFAULT 50000 /* ns */
#define EVENTS           64
#define BUSY_ROUNDS      16 /* after so many rounds with work, look at the fds in between */

struct vswitch_call {
	struct list node;
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool done;
};

int vswitch_loop_init(struct vswitch *vswitch, struct error *error)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	list_init(&vswitch->calls);
	pthread_mutex_init(&vswitch->lock, NULL);
	pthread_cond_init(&vswitch->called, NULL);
	vswitch->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vswitch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (vswitch->wake_fd < 0 || vswitch->epoll_fd < 0 ||
	    epoll_ctl(vswitch->epoll_fd, EPOLL_CTL_ADD, vswitch->wake_fd, &event)) {
		int rc = -errno;

		return error_set(error, rc, "switch %s: cannot make its event descriptors: %s",
				 vswitch->name, error_name(rc));
	}
	if (!vswitch->polling.most)
		vswitch->polling.most = POLL_MAX_DEFAULT;
	if (single_processor())
		vswitch->polling.most = 0;
	return 0;
}

void vswitch_loop_destroy(struct vswitch *vswitch)
{
	if (vswitch->wake_fd >= 0)
		close(vswitch->wake_fd);
	if (vswitch->epoll_fd >= 0)
		close(vswitch->epoll_fd);
	pthread_cond_destroy(&vswitch->called);
	pthread_mutex_destroy(&vswitch->lock);
}

static void wake(struct vswitch *vswitch)
{
	uint64_t one = 1;
	ssize_t unused = write(vswitch->wake_fd, &one, sizeof(one));

	(void)unused; /* it is non-blocking; when full, the thread is awake already */
}

/* ---- Calls from other threads ---- */

static void run_calls(struct vswitch *vswitch)
{
	uint64_t count;
	ssize_t unused = read(vswitch->wake_fd, &count, sizeof(count));

	(void)unused;
	pthread_mutex_lock(&vswitch->lock);
	while (!list_empty(&vswitch->calls)) {
		struct vswitch_call *call =
			list_entry(list_pop(&vswitch->calls), struct vswitch_call, node);

		pthread_mutex_unlock(&vswitch->lock);
		call->rc = call->fn(call->arg);
		pthread_mutex_lock(&vswitch->lock);
		call->done = true;
		pthread_cond_broadcast(&vswitch->called);
	}
	pthread_mutex_unlock(&vswitch->lock);
}

int vswitch_call(struct vswitch *vswitch, int (*fn)(void *arg), void *arg)
{
	struct vswitch_call call = { .fn = fn, .arg = arg };

	pthread_mutex_lock(&vswitch->lock);
	if (!vswitch->running) {
		pthread_mutex_unlock(&vswitch->lock);
		vswitch->now = vswitch->clock(vswitch->clock_arg);
		return fn(arg);
	}
	list_add_tail(&vswitch->calls, &call.node);
	wake(vswitch);
	while (!call.done)
		pthread_cond_wait(&vswitch->called, &vswitch->lock);
	pthread_mutex_unlock(&vswitch->lock);
	return call.rc;
}

/* ---- Rounds ---- */

unsigned vswitch_dispatch(struct vswitch *vswitch, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(vswitch->epoll_fd, events, EVENTS, timeout_ms);
	bool called = false;

	for (int i = 0; i < count; i++) {
		struct port_watch *watch = events[i].data.ptr;

		if (!watch)
			called = true;
		else if (watch->fd >= 0) /* an earlier one may have ended it */
			watch->ready(watch);
	}
	if (called)
		run_calls(vswitch);
	return count > 0 ? (unsigned)count : 0;
}

unsigned vswitch_round(struct vswitch *vswitch)
{
	unsigned work = 0;

	vswitch->now = vswitch->clock(vswitch->clock_arg);
	vswitch->rounds++;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		work += forward_burst(vswitch, vswitch->ports[i]);
	if (work && vswitch->capture)
		capture_flush(vswitch->capture);
	return work;
}

static void sleep_until_woken(struct vswitch *vswitch)
{
	bool came = false;

	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (vswitch->ports[i]->ops->arm)
			came |= vswitch->ports[i]->ops->arm(vswitch->ports[i]);
	vswitch->sleeps += !came;
	vswitch_dispatch(vswitch, came ? 0 : -1);
	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (vswitch->ports[i]->ops->disarm)
			vswitch->ports[i]->ops->disarm(vswitch->ports[i]);
}

/* Goes on looking until `window` ns after `began`; true if there is work. */
static bool poll_a_while(struct vswitch *vswitch, uint64_t began, uint64_t window)
{
	while (monotonic_ns() - began < window) {
		for (unsigned i = 0; i < 16; i++) {
			if (vswitch_round(vswitch))
				return true;
			cpu_relax();
		}
		if (vswitch_dispatch(vswitch, 0))
			return true;
	}
	return false;
}

/* Nothing to do: polls on for a while, then sleeps. */
static void idle(struct vswitch *vswitch)
{
	uint64_t began = monotonic_ns();

	if (!vswitch->polled_count) {
		sleep_until_woken(vswitch);
		return;
	}
	if (!poll_a_while(vswitch, began, poll_window_now(&vswitch->polling)))
		sleep_until_woken(vswitch);
	poll_window_learn(&vswitch->polling, monotonic_ns() - began, UINT64_MAX);
}

static void *run(void *arg)
{
	struct vswitch *vswitch = arg;
	struct event_guard guard;
	unsigned busy = 0;

	event_guard_begin(&guard);
	while (!__atomic_load_n(&vswitch->stopping, __ATOMIC_ACQUIRE)) {
		if (vswitch_round(vswitch)) {
			if (++busy % BUSY_ROUNDS == 0)
				vswitch_dispatch(vswitch, 0);
			continue;
		}
		idle(vswitch);
	}
	event_guard_end(&guard);
	return NULL;
}

int vswitch_start(struct vswitch *vswitch, struct error *error)
{
	int rc;

	if (vswitch->running)
		return 0;
	vswitch->stopping = false;
	vswitch->running = true;
	rc = thread_start(&vswitch->thread, "tenon-switch", run, vswitch);
	if (rc) {
		vswitch->running = false;
		return error_set(error, rc, "switch %s: cannot start its thread: %s", vswitch->name,
				 error_name(rc));
	}
	return 0;
}

void vswitch_stop(struct vswitch *vswitch)
{
	if (!vswitch->running)
		return;
	__atomic_store_n(&vswitch->stopping, true, __ATOMIC_RELEASE);
	wake(vswitch);
	pthread_join(vswitch->thread, NULL);
	pthread_mutex_lock(&vswitch->lock);
	vswitch->running = false;
	pthread_mutex_unlock(&vswitch->lock);
	run_calls(vswitch); /* those that came too late for the thread */
}
