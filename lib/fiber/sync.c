/* SPDX-License-Identifier: BSD-2-Clause */
/* Sleeping, queues of fibers and mutexes. */
#include <errno.h>

#include "fiber/worker_private.h"

/* Of a sleep or a wait in a queue: the timer, the waker or fiber_cancel(), whoever comes first,
 * takes the fiber out of the queue and of the heap, so that the others find nothing. */
static void end_wait(struct fiber *fiber, int result)
{
	timer_disarm(&fiber->worker->timers, &fiber->timer);
	list_remove(&fiber->node);
	fiber->cancel_wait = NULL;
	fiber_wake(fiber, result);
}

static void wait_expired(struct timer *timer)
{
	end_wait(container_of(timer, struct fiber, timer), -ETIMEDOUT);
}

static void wait_cancelled(struct fiber *fiber)
{
	end_wait(fiber, -ECANCELED);
}

static void arm(struct fiber *fiber, uint64_t timeout_ns)
{
	uint64_t when;

	if (timeout_ns == FIBER_FOREVER ||
	    __builtin_add_overflow(worker_clock(fiber->worker), timeout_ns, &when))
		return;
	fiber->timer.expire = wait_expired;
	timer_arm(&fiber->worker->timers, &fiber->timer, when);
}

int fiber_sleep(uint64_t ns)
{
	struct fiber *fiber = fiber_current();
	int result;

	if (fiber->cancelled)
		return -ECANCELED;
	list_init(&fiber->node);
	arm(fiber, ns);
	fiber->cancel_wait = wait_cancelled;
	result = fiber_suspend(fiber);
	return result == -ETIMEDOUT ? 0 : result;
}

void fiber_sleep_always(uint64_t ns)
{
	struct fiber *fiber = fiber_current();

	list_init(&fiber->node);
	arm(fiber, ns);
	fiber_suspend(fiber);
}

void fiber_queue_init(struct fiber_queue *queue)
{
	list_init(&queue->waiters);
}

int fiber_queue_wait(struct fiber_queue *queue, uint64_t timeout_ns)
{
	struct fiber *fiber = fiber_current();

	if (fiber->cancelled)
		return -ECANCELED;
	list_add_tail(&queue->waiters, &fiber->node);
	arm(fiber, timeout_ns);
	fiber->cancel_wait = wait_cancelled;
	return fiber_suspend(fiber);
}

void fiber_queue_wait_always(struct fiber_queue *queue)
{
	struct fiber *fiber = fiber_current();

	list_add_tail(&queue->waiters, &fiber->node);
	fiber_suspend(fiber);
}

static struct fiber *wake_first(struct fiber_queue *queue)
{
	struct fiber *fiber;

	if (list_empty(&queue->waiters))
		return NULL;
	fiber = list_entry(queue->waiters.next, struct fiber, node);
	end_wait(fiber, 0);
	return fiber;
}

bool fiber_queue_wake_one(struct fiber_queue *queue)
{
	return wake_first(queue) != NULL;
}

void fiber_queue_wake_all(struct fiber_queue *queue)
{
	while (wake_first(queue))
		;
}

void fiber_mutex_init(struct fiber_mutex *mutex)
{
	mutex->owner = NULL;
	fiber_queue_init(&mutex->queue);
}

void fiber_mutex_lock(struct fiber_mutex *mutex)
{
	if (!mutex->owner)
		mutex->owner = fiber_current();
	else
		fiber_queue_wait_always(&mutex->queue);
}

/* Hands the lock to the first waiter: nobody can take it in between. */
void fiber_mutex_unlock(struct fiber_mutex *mutex)
{
	mutex->owner = wake_first(&mutex->queue);
}
