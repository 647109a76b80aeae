/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop.
 *
 * How long to poll before sleeping is learned (util/poll_window.h): a worker that gets work every few
 * microseconds does not sleep, and one that waits for a disk, a timer or a person does not poll. What a
 * disk will tell wakes the thread on its own processor, which costs less than being woken by a guest on another: it is
 * worth less polling.
 */
#include <errno.h>

#include "fiber/sanitizer.h"
#include "fiber/worker_private.h"
#include "util/event_guard.h"
#include "util/thread.h"

#define POLL_NS_DISK 15000 /* what a sleep and a wake cost in processor time, roughly */

#define RUN_BUDGET 64 /* fibers resumed before the loop looks at the ring and pollers again */

/* When nothing is left to run and the worker does not poll, what is queued may go with the system
 * call that sleeps, if the next round finds nothing: one call instead of two. */
static bool submits_now(struct worker *worker, bool worked)
{
	bool now = poll_window_now(&worker->polling) || worker->virtual_clock ||
		   !list_empty(&worker->ready) || (worked && worker->held_back);

	worker->held_back = !now && (worked || worker->held_back);
	return now;
}

static unsigned run_ready(struct worker *worker, unsigned most)
{
	unsigned done = 0;

	while (done < most && !list_empty(&worker->ready)) {
		fiber_resume(list_entry(list_pop(&worker->ready), struct fiber, node));
		done++;
	}
	return done;
}

static unsigned count_ready(struct worker *worker)
{
	unsigned count = 0;

	list_for_each(at, &worker->ready)
		count++;
	return count;
}

/*
 * Before time limits, what I/O has: a worker that was stopped, or had no processor, finds limits that are over together with what came within
 * them, and whoever reads that wakes those who wait for it. Virtual time goes on for nobody who is stopped.
 */
static unsigned expire(struct worker *worker)
{
	uint64_t now = worker_clock(worker);
	unsigned done = 0;

	if (!worker->virtual_clock && timer_next(&worker->timers) <= now) {
		done += worker->engine->reap(worker, false);
		/* Whoever reads may be behind many that became ready before. */
		done += run_ready(worker, count_ready(worker));
	}
	return done + timer_expire(&worker->timers, now);
}

/* One round. Returns whether there was anything to do. */
static bool run_round(struct worker *worker)
{
	unsigned done;

	worker->round++;
	done = worker_receive(worker);
	if (worker->timers.count)
		done += expire(worker);
	done += poller_poll_all(worker);
	done += run_ready(worker, RUN_BUDGET);
	done += worker->engine->reap(worker, submits_now(worker, done));
	return done;
}

/* With nothing to run and no I/O in flight, virtual time jumps to the next timer. */
static bool jump(struct worker *worker)
{
	uint64_t next = timer_next(&worker->timers);

	if (worker->in_flight || worker->calls || next == FIBER_FOREVER)
		return false;
	if (poller_arm_all(worker)) {
		poller_disarm_all(worker);
		worker->virtual_now = MAX(worker->virtual_now, next);
	}
	return true;
}

static void sleep_in_kernel(struct worker *worker)
{
	uint64_t next = timer_next(&worker->timers), timeout = FIBER_FOREVER;
	unsigned woken = worker->woken;

	if (!poller_arm_all(worker))
		return;
	watch_arm(worker->wake);
	atomic_store(&worker->sleeping, true);
	/* A ring that is full while pollers are armed gives completions, and so maybe fibers to run, or pollers that are armed
	 * no more. */
	if (!atomic_load(&worker->inbox) && list_empty(&worker->ready) && worker->woken == woken) {
		if (next != FIBER_FOREVER && !worker->virtual_clock) {
			uint64_t now = monotonic_ns();

			timeout = next > now ? next - now : 0;
		}
		worker->counters.sleeps++;
		worker->engine->wait(worker, timeout);
		worker->held_back = false;
	}
	atomic_store(&worker->sleeping, false);
	poller_disarm_all(worker);
}

/* Nothing to do: polls on for a while, then sleeps. */
static void idle(struct worker *worker)
{
	uint64_t worth = worker->in_flight ? POLL_NS_DISK : UINT64_MAX;
	uint64_t began, now, window;

	if (worker->virtual_clock && jump(worker))
		return;
	began = now = monotonic_ns();
	window = MIN(poll_window_now(&worker->polling), worth);
	while (now - began < window) {
		cpu_relax();
		if (run_round(worker)) {
			poll_window_learn(&worker->polling, now - began, worth);
			return;
		}
		now = monotonic_ns();
	}
	sleep_in_kernel(worker);
	poll_window_learn(&worker->polling, monotonic_ns() - began, worth);
}

int worker_run(struct worker *worker, fiber_fn *fn, void *arg)
{
	struct event_guard guard;
	struct fiber *first;
	int result;

	if (worker_self || worker->running)
		return -EBUSY;
	result = worker->engine->start(worker);
	if (result)
		return result;
	if (single_processor())
		worker->polling = (struct poll_window){ .most = 0 };
	event_guard_begin(&guard);
	worker_self = worker;
	worker->running = true;
	worker->tsan = fiber_tsan_self();
	first = fiber_create(worker, fn, arg, true);
	while (worker->fibers || atomic_load(&worker->inbox))
		if (!run_round(worker))
			idle(worker);
	result = first->result;
	stack_put(&worker->stacks, first->stack);
	worker->engine->stop(worker);
	worker->running = false;
	worker_self = NULL;
	event_guard_end(&guard);
	return result;
}
