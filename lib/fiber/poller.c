/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pollers, hot and cold.
 *
 *	hot	polled in every round
 *	cold	armed: the other side announces work on the eventfd, which the ring watches; costs neither a
 *		round nor a sleep anything
 *
 * A hot one that finds nothing for some rounds, or when the worker goes to sleep, is armed and becomes
 * cold; if arming finds work, it stays hot. What wakes the worker makes that poller hot, and no
 * other. One without an eventfd cannot be told of anything and is always hot, and so is one whose arm() says
 * that it is to be polled `again` whatever woke the worker.
 */
#include "fiber/worker_private.h"

/* Polling an idle ring costs some nanoseconds, to be told of work some microseconds. */
#define IDLE_ROUNDS 256u

static void disarm(struct worker_poller *poller)
{
	if (poller->disarm)
		poller->disarm(poller);
}

/* What woke the worker was this one's. */
static void woken(struct watch *watch)
{
	struct worker_poller *poller = watch->poller;
	struct worker *worker = watch->worker;

	worker->woken++;
	poller->idle = 0;
	list_remove(&poller->node);
	list_add_tail(&worker->pollers, &poller->node);
	disarm(poller);
}

int worker_add_poller(struct worker_poller *poller)
{
	struct worker *worker = worker_self;

	poller->watch = NULL;
	poller->idle = 0;
	if (poller->fd >= 0) {
		struct watch *watch = watch_create(worker, poller->fd);

		watch->ready = woken;
		watch->poller = poller;
		poller->watch = watch;
	}
	list_add_tail(&worker->pollers, &poller->node);
	return 0;
}

void worker_remove_poller(struct worker_poller *poller)
{
	struct worker *worker = worker_self;
	struct watch *watch = poller->watch;

	if (worker->poller_next == &poller->node)
		worker->poller_next = poller->node.next;
	if (worker->polled == poller)
		worker->polled = NULL;
	list_remove(&poller->node);
	poller->watch = NULL;
	if (watch) {
		watch->ready = NULL;
		watch->poller = NULL;
		watch_destroy(watch);
	}
}

/* False when it found work. */
static bool cool(struct worker *worker, struct worker_poller *poller)
{
	if (poller->watch)
		watch_arm(poller->watch);
	if (poller->arm(poller)) {
		poller->idle = 0;
		disarm(poller);
		return false;
	}
	if (!poller->watch || poller->again)
		return true;
	list_remove(&poller->node);
	list_add_tail(&worker->cold, &poller->node);
	return true;
}

/* One that has been idle for long becomes cold. */
static void count_idle(struct worker *worker, struct worker_poller *poller)
{
	if (++poller->idle < IDLE_ROUNDS || !poller->watch)
		return;
	poller->idle = 0;
	if (cool(worker, poller) && poller->again)
		disarm(poller);
}

unsigned poller_poll_all(struct worker *worker)
{
	struct list *at = worker->pollers.next;
	unsigned found = 0;

	while (at != &worker->pollers) {
		struct worker_poller *poller = list_entry(at, struct worker_poller, node);
		unsigned done;

		/* Any poller may be removed meanwhile, this one too. */
		worker->poller_next = at->next;
		worker->polled = poller;
		worker->counters.polls++;
		done = poller->poll(poller);
		found += done;
		if (done && worker->polled)
			poller->idle = 0;
		else if (worker->polled)
			count_idle(worker, poller);
		at = worker->poller_next;
	}
	worker->poller_next = NULL;
	worker->polled = NULL;
	return found;
}

bool poller_arm_all(struct worker *worker)
{
	unsigned woken_before = worker->woken;

	/* A ring that is full gives completions while it takes a watch: one of them may be a poller's that is behind us. */
	list_for_each_safe(at, &worker->pollers)
		if (!cool(worker, list_entry(at, struct worker_poller, node)) ||
		    worker->woken != woken_before)
			return false;
	return true;
}

void poller_disarm_all(struct worker *worker)
{
	list_for_each(at, &worker->pollers)
		disarm(list_entry(at, struct worker_poller, node));
}
