/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwarding threads: rounds, polling and sleeping; see thread.h.
 *
 * How long to poll before sleeping is learned (util/poll_window.h), as the workers of a server do. Ports whose
 * frames cost a system call to look for (TAP) are not polled: their fd in the epoll set says when to read.
 */
#include "vswitch/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/event_guard.h"
#include "util/thread.h"
#include "vswitch/internal.h"
#include "vswitch/turns.h"

#define POLL_MAX_DEFAULT 50000 /* ns */
#define EVENTS           64
#define BUSY_ROUNDS      16 /* after so many rounds with work, look at the fds in between */

/* ---- Making them ---- */

static int make_thread(struct vswitch_thread *thread, uint64_t poll_ns)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	thread->polling.most = single_processor() ? 0 : poll_ns ? poll_ns : POLL_MAX_DEFAULT;
	thread->scratch = egress_scratch_create();
	thread->room = malloc(VIRTIO_NET_FRAME_MAX);
	if (!thread->scratch || !thread->room)
		return -ENOMEM;
	thread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	thread->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (thread->wake_fd < 0 || thread->epoll_fd < 0 ||
	    epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, thread->wake_fd, &event))
		return -errno;
	return 0;
}

int vswitch_threads_create(struct vswitch *vswitch, unsigned count, uint64_t poll_ns,
			   struct error *error)
{
	vswitch->threads = calloc(count, sizeof(*vswitch->threads));
	if (!vswitch->threads)
		return error_set(error, -ENOMEM, "switch %s: out of memory", vswitch->name);
	vswitch->thread_count = count;
	for (unsigned i = 0; i < count; i++)
		vswitch->threads[i] = (struct vswitch_thread){ .vswitch = vswitch,
							       .index = i,
							       .last_id = (uint64_t)i << 48,
							       .next_tick = TIMER_NEVER,
							       .wake_fd = -1,
							       .epoll_fd = -1 };
	for (unsigned i = 0; i < count; i++) {
		int rc = make_thread(&vswitch->threads[i], poll_ns);

		if (rc)
			return error_set(error, rc,
					 "switch %s: cannot make its event descriptors: %s",
					 vswitch->name, error_name(rc));
	}
	return 0;
}

void vswitch_threads_destroy(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < vswitch->thread_count; i++) {
		struct vswitch_thread *thread = &vswitch->threads[i];

		if (thread->wake_fd >= 0)
			close(thread->wake_fd);
		if (thread->epoll_fd >= 0)
			close(thread->epoll_fd);
		egress_scratch_destroy(thread->scratch);
		free(thread->room);
		timer_heap_destroy(&thread->timers);
	}
	free(vswitch->threads);
}

static void wake_all(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < vswitch->thread_count; i++)
		vswitch_thread_wake(&vswitch->threads[i]);
}

/* ---- Rounds ---- */

/* Hands over what waits for protocols, if anything does. */
static unsigned run_protocols(struct vswitch *vswitch)
{
	unsigned work;

	if (!vswitch->protocols || protocols_next(vswitch) > vswitch->threads[0].now)
		return 0;
	pthread_mutex_lock(&vswitch->lock);
	vswitch_pause_others(vswitch);
	pthread_mutex_unlock(&vswitch->lock);
	work = protocols_run(vswitch);
	pthread_mutex_lock(&vswitch->lock);
	vswitch_resume_others(vswitch);
	pthread_mutex_unlock(&vswitch->lock);
	return work;
}

/* As epoll_pwait2(), which older kernels lack. */
static int wait_for_events(int fd, struct epoll_event *events, uint64_t timeout_ns)
{
	struct timespec timeout = { (time_t)(timeout_ns / 1000000000),
				    (long)(timeout_ns % 1000000000) };
	int count =
		epoll_pwait2(fd, events, EVENTS, timeout_ns == TIMER_NEVER ? NULL : &timeout, NULL);

	if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
		uint64_t ms = MIN(timeout_ns / 1000000 + 1, (uint64_t)INT32_MAX);

		if (!timeout_ns)
			ms = 0;
		count = epoll_wait(fd, events, EVENTS, timeout_ns == TIMER_NEVER ? -1 : (int)ms);
	}
	return count;
}

unsigned vswitch_thread_dispatch(struct vswitch_thread *thread, uint64_t timeout_ns)
{
	struct epoll_event events[EVENTS];
	int count = wait_for_events(thread->epoll_fd, events, timeout_ns);
	struct vswitch *vswitch = thread->vswitch;
	bool called = false;

	/* It may have slept since the last round. */
	if (count > 0)
		thread->now = vswitch->clock(vswitch->clock_arg);
	for (int i = 0; i < count; i++) {
		struct port_watch *watch = events[i].data.ptr;
		struct port *port;

		if (!watch) {
			called = true;
			continue;
		}
		port = watch->port;
		vswitch_lock_if_shared(vswitch, &port->out_lock);
		if (watch->fd >= 0) /* an earlier one may have ended it */
			watch->ready(watch);
		vswitch_unlock_if_shared(vswitch, &port->out_lock);
		vswitch_thread_wake_port(thread, port);
	}
	/* Last, for a call may end ports and their watches. */
	if (called) {
		uint64_t unused;
		ssize_t got = read(thread->wake_fd, &unused, sizeof(unused));

		(void)got;
		if (thread->index == 0)
			vswitch_run_calls(vswitch);
	}
	return count > 0 ? (unsigned)count : 0;
}

static unsigned tick_all(struct vswitch_thread *thread)
{
	unsigned work = 0;

	thread->next_tick = TIMER_NEVER;
	for (unsigned i = 0; i < thread->port_count; i++) {
		struct port *port = thread->ports[i];
		uint64_t next;

		if (!port->ops->tick)
			continue;
		work += port->ops->tick(port, thread->now, &next);
		thread->next_tick = MIN(thread->next_tick, next);
	}
	return work;
}

/* A round begins: counts what the last one took, if it had frames; so no clock is read for that. */
static void begin_round(struct vswitch_thread *thread)
{
	uint64_t now = thread->vswitch->clock(thread->vswitch->clock_arg);

	if (thread->last_frames)
		frame_cost_add(&thread->cost, thread->last_frames, now - thread->now);
	thread->last_frames = 0;
	thread->now = now;
	thread->rounds++;
}

/* Asks the port for frames, and decides on them. True: it was in debt. */
static bool receive_of(struct vswitch_thread *thread, struct port *port, unsigned burst)
{
	struct frame *frames[PORT_BURST];
	unsigned count = turn_begin(port, burst);

	if (!count)
		return true;
	count = port->ops->receive(port, frames, count);
	if (!count)
		return false;
	port->busy_at = thread->now;
	thread->received[thread->receiver_count] = (uint8_t)count;
	thread->receivers[thread->receiver_count++] = port;
	decide_burst(thread, port, frames, count);
	thread->last_frames += count;
	return false;
}

/* Asks all ports whose turn it is, again where nobody had frames and others would have the next. */
static unsigned receive_all(struct vswitch_thread *thread)
{
	unsigned burst = turn_burst(thread);
	bool in_debt;

	thread->crowded = false;
	do {
		in_debt = false;
		for (unsigned i = 0; i < thread->awake_count; i++)
			in_debt |= receive_of(thread, thread->awake[i], burst);
		if (in_debt && !thread->last_frames)
			turns_forgive(thread);
	} while (in_debt && !thread->last_frames);
	return thread->last_frames + in_debt;
}

static void release_all(struct vswitch_thread *thread)
{
	for (unsigned i = 0; i < thread->receiver_count; i++) {
		struct port *port = thread->receivers[i];

		port->ops->release(port);
		turn_end(port, thread->received[i]);
	}
	thread->busy_count = thread->receiver_count;
	thread->receiver_count = 0;
}

unsigned vswitch_thread_round(struct vswitch_thread *thread)
{
	struct vswitch *vswitch = thread->vswitch;
	unsigned work = 0;

	begin_round(thread);
	if (thread->timers.count)
		work = timer_expire(&thread->timers, thread->now);
	work += receive_all(thread);
	egress_all(thread);
	release_all(thread);
	if (thread->ticking_count || thread->next_tick != TIMER_NEVER)
		work += tick_all(thread);
	if (!thread->index)
		work += run_protocols(vswitch);
	if (work && vswitch->captures.count)
		capture_sessions_flush(vswitch);
	return work;
}

unsigned vswitch_round(struct vswitch *vswitch)
{
	unsigned work = 0;

	for (unsigned i = 0; i < vswitch->thread_count; i++)
		work += vswitch_thread_round(&vswitch->threads[i]);
	return vswitch->thread_count > 1 ? work + run_protocols(vswitch) : work;
}

/* When there is something to do even if nothing comes. */
static uint64_t next_event(const struct vswitch_thread *thread)
{
	uint64_t next = MIN(timer_next(&thread->timers), thread->next_tick);

	return !thread->index && thread->vswitch->protocols
		       ? MIN(next, protocols_next(thread->vswitch))
		       : next;
}

uint64_t vswitch_next_timer(const struct vswitch *vswitch)
{
	uint64_t next = TIMER_NEVER;

	for (unsigned i = 0; i < vswitch->thread_count; i++)
		next = MIN(next, next_event(&vswitch->threads[i]));
	return next;
}

/* How long the thread may sleep. */
static uint64_t time_to_sleep(const struct vswitch_thread *thread)
{
	uint64_t next = next_event(thread), now;

	if (next == TIMER_NEVER)
		return TIMER_NEVER;
	now = thread->vswitch->clock(thread->vswitch->clock_arg);
	return next > now ? next - now : 0;
}

static void sleep_until_woken(struct vswitch_thread *thread)
{
	bool came = false;

	/* Those that rest are armed, and stay so. */
	for (unsigned i = 0; i < thread->awake_count; i++)
		if (thread->awake[i]->ops->arm)
			came |= thread->awake[i]->ops->arm(thread->awake[i]);
	thread->sleeps += !came;
	vswitch_thread_dispatch(thread, came ? 0 : time_to_sleep(thread));
	for (unsigned i = 0; i < thread->awake_count; i++)
		if (thread->awake[i]->ops->disarm)
			thread->awake[i]->ops->disarm(thread->awake[i]);
}

/* Goes on looking until `window` ns after `began`; true if there is work. */
static bool poll_a_while(struct vswitch_thread *thread, uint64_t began, uint64_t window)
{
	while (monotonic_ns() - began < window) {
		for (unsigned i = 0; i < 16; i++) {
			if (vswitch_thread_round(thread))
				return true;
			cpu_relax();
		}
		if (vswitch_thread_dispatch(thread, 0))
			return true;
	}
	return false;
}

/* Nothing to do: polls on for a while, then sleeps. True if it did not. */
static bool idle(struct vswitch_thread *thread)
{
	uint64_t began = monotonic_ns();
	bool came;

	if (!thread->polled_count && next_event(thread) == TIMER_NEVER) {
		sleep_until_woken(thread);
		return false;
	}
	came = poll_a_while(thread, began, poll_window_now(&thread->polling));
	if (!came)
		sleep_until_woken(thread);
	poll_window_learn(&thread->polling, monotonic_ns() - began, UINT64_MAX);
	return came;
}

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void *run(void *arg)
{
	struct vswitch_thread *thread = arg;
	struct vswitch *vswitch = thread->vswitch;
	struct event_guard guard;
	unsigned busy = 0;

	/* The kernel may let a timer wait by 50 us, which is more than a link's delay may be wrong by. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	event_guard_begin(&guard);
	while (!is_set(&vswitch->stopping)) {
		if (thread->index && is_set(&vswitch->pausing))
			vswitch_park(vswitch);
		/* What comes again and again while it polls keeps it from its fds as well. */
		if ((vswitch_thread_round(thread) || idle(thread)) && ++busy % BUSY_ROUNDS == 0) {
			vswitch_thread_dispatch(thread, 0);
			vswitch_thread_rest(thread);
		}
	}
	event_guard_end(&guard);
	/* Who waits for it to park need not wait. */
	if (thread->index) {
		pthread_mutex_lock(&vswitch->lock);
		vswitch->parked++;
		pthread_cond_broadcast(&vswitch->changed);
		pthread_mutex_unlock(&vswitch->lock);
	}
	return NULL;
}

/* Ends the first `count` threads. */
static void end_threads(struct vswitch *vswitch, unsigned count)
{
	__atomic_store_n(&vswitch->stopping, true, __ATOMIC_RELEASE);
	wake_all(vswitch);
	for (unsigned i = 0; i < count; i++)
		pthread_join(vswitch->threads[i].thread, NULL);
	pthread_mutex_lock(&vswitch->lock);
	vswitch->running = false;
	pthread_mutex_unlock(&vswitch->lock);
	vswitch_run_calls(vswitch); /* those that came too late for the thread */
}

int vswitch_start(struct vswitch *vswitch, struct error *error)
{
	if (vswitch->running)
		return 0;
	pthread_mutex_lock(&vswitch->lock);
	vswitch->stopping = false;
	vswitch->running = true;
	vswitch->parked = 0;
	pthread_mutex_unlock(&vswitch->lock);
	for (unsigned i = 0; i < vswitch->thread_count; i++) {
		struct vswitch_thread *thread = &vswitch->threads[i];
		int rc = thread_start(&thread->thread, "tenon-switch", run, thread);

		if (!rc)
			continue;
		pthread_mutex_lock(&vswitch->lock);
		vswitch->parked += vswitch->thread_count - MAX(i, 1u);
		pthread_mutex_unlock(&vswitch->lock);
		end_threads(vswitch, i);
		return error_set(error, rc, "switch %s: cannot start its thread: %s", vswitch->name,
				 error_name(rc));
	}
	return 0;
}

void vswitch_stop(struct vswitch *vswitch)
{
	if (vswitch->running)
		end_threads(vswitch, vswitch->thread_count);
}
