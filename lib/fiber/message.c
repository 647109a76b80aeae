/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From thread to thread: posted functions and calls.
 *
 * Messages are pushed onto a lock-free stack, which the loop takes whole and turns round. The
 * loop says that it sleeps before it looks at the stack for the last time, the sender looks whether
 * it sleeps after pushing, both with sequentially consistent order: so one of them sees the other.
 */
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "fiber/worker_private.h"

void worker_send(struct worker *worker, struct message *message)
{
	struct message *head = atomic_load_explicit(&worker->inbox, memory_order_relaxed);

	/* What is sent may be the last that the worker waited for: its end waits for us. */
	atomic_fetch_add(&worker->senders, 1);
	do
		message->next = head;
	while (!atomic_compare_exchange_weak(&worker->inbox, &head, message));
	if (atomic_load(&worker->sleeping) && atomic_exchange(&worker->sleeping, false))
		eventfd_write(worker->wake_fd, 1);
	atomic_fetch_sub(&worker->senders, 1);
}

static struct message *take_all(struct worker *worker)
{
	struct message *newest = atomic_exchange(&worker->inbox, NULL), *oldest = NULL;

	while (newest) {
		struct message *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

unsigned worker_receive(struct worker *worker)
{
	struct message *message;
	unsigned count = 0;

	if (!atomic_load_explicit(&worker->inbox, memory_order_relaxed))
		return 0;
	message = take_all(worker);
	while (message) {
		struct message *next = message->next;

		/* This may be the end of the message. */
		message->fn(message->arg);
		message = next;
		count++;
	}
	return count;
}

struct post {
	struct message message;
	void (*fn)(void *arg);
	void *arg;
};

static void post_arrived(void *arg)
{
	struct post post = *(struct post *)arg;

	free(arg);
	post.fn(post.arg);
}

void worker_post(struct worker *worker, void (*fn)(void *arg), void *arg)
{
	struct post *post = malloc(sizeof(*post));

	if (!post)
		abort();
	*post = (struct post){ .message = { .fn = post_arrived, .arg = post },
			       .fn = fn,
			       .arg = arg };
	worker_send(worker, &post->message);
}

/* Of a worker at its end. Only posts can be left: a call has a waiter, who keeps the worker. */
void worker_drop_messages(struct worker *worker)
{
	struct message *message = take_all(worker);

	while (message) {
		struct message *next = message->next;

		if (message->fn == post_arrived)
			free(message->arg);
		message = next;
	}
}

/* On the caller's stack, who waits. */
struct worker_call {
	struct message message; /* there, and back */
	fiber_fn *fn;
	void *arg;
	int result;
	struct worker *target, *origin; /* origin NULL: a plain thread waits at `done` */
	struct fiber *fiber;
	sem_t done;
};

static void call_returned(void *arg)
{
	struct worker_call *call = arg;

	call->origin->calls--;
	fiber_wake(call->fiber, 0);
}

static int call_run(void *arg)
{
	struct worker_call *call = arg;

	call->result = call->fn(call->arg);
	if (call->origin) {
		call->message = (struct message){ .fn = call_returned, .arg = call };
		worker_send(call->origin, &call->message);
	} else {
		sem_post(&call->done);
	}
	return 0;
}

static void call_arrived(void *arg)
{
	struct worker_call *call = arg;

	fiber_create(call->target, call_run, call, false);
}

int worker_call(struct worker *worker, fiber_fn *fn, void *arg)
{
	struct worker_call call = {
		.fn = fn, .arg = arg, .target = worker, .fiber = fiber_current()
	};

	call.message = (struct message){ .fn = call_arrived, .arg = &call };
	if (!call.fiber) {
		sem_init(&call.done, 0, 0);
		worker_send(worker, &call.message);
		while (sem_wait(&call.done))
			;
		sem_destroy(&call.done);
		return call.result;
	}
	if (call.fiber->worker == worker)
		return fiber_join(fiber_spawn(fn, arg));
	call.origin = call.fiber->worker;
	call.origin->calls++;
	worker_send(worker, &call.message);
	fiber_suspend(call.fiber);
	return call.result;
}
