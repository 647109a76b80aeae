/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of workers and fibers, shared by the files of this folder only.
 *
 *	context*  the switch between stacks		message.c  post, call
 *	stack.c   pooled stacks				watch.c    descriptors that wake a worker
 *	fiber.c   life of a fiber			poller.c   pollers, hot and cold
 *	sync.c    sleep, queues, mutexes		io.c       disk I/O and poll on fibers
 *	request.c requests to the ring			socket.c   sockets and pipes on fibers
 *	loop.c    the loop				engine_*.c the rings
 *	worker.c  what a worker is asked		create.c   creation
 *	thread.c  workers on threads of their own	pinned.c   memory that the ring keeps
 *
 * Rule for everything that the loop calls back (request done(), timer expire()): it makes fibers
 * ready or takes notes, and neither suspends nor submits a request. Cancelling one is allowed.
 */
#ifndef TENON_FIBER_WORKER_PRIVATE_H
#define TENON_FIBER_WORKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fiber/context.h"
#include "fiber/fiber.h"
#include "fiber/request.h"
#include "fiber/stack.h"
#include "util/clock.h"
#include "util/poll_window.h"
#include "util/random.h"
#include "util/timer.h"

#define NS_PER_SECOND 1000000000ULL

/* ---- Rings ---- */

struct engine {
	const char *name;
	/* Checks that the kernel lets us have it. 0, or a negative errno with `error` set. */
	int (*create)(struct worker *worker, struct error *error);
	void (*destroy)(struct worker *worker);
	/* Before and after the loop, on its thread. */
	int (*start)(struct worker *worker);
	void (*stop)(struct worker *worker);
	/* Queues a request; it reaches the kernel with the next reap() or wait(). */
	void (*submit)(struct worker *worker, struct worker_request *request);
	/* Hastens the end of a poll request; its done() still comes, with -ECANCELED or events. */
	void (*cancel)(struct worker *worker, struct worker_request *request);
	/* Takes what is complete and, if `submit`, first gives the kernel what is queued. Without a
	 * system call where nothing is to do. Returns the number of requests completed. */
	unsigned (*reap)(struct worker *worker, bool submit);
	/* Has the kernel keep memory for buffer number `slot`, or drop it again; NULL: there is no such thing. */
	int (*pin)(struct worker *worker, unsigned slot, void *at, size_t length);
	void (*unpin)(struct worker *worker, unsigned slot);
	/* Submits, and sleeps until something is complete or `timeout_ns` is over. */
	void (*wait)(struct worker *worker, uint64_t timeout_ns);
};

_Static_assert(TIMER_NEVER == FIBER_FOREVER, "no timer: no end of waiting");

extern const struct engine engine_uring, engine_aio;

/* ---- Pinned memory (pinned.c) ---- */

#define WORKER_PIN_SLOTS 1024u

struct worker_pinned;

struct worker_pins {
	struct worker_pinned **regions; /* by address */
	unsigned count;
	uint8_t used[WORKER_PIN_SLOTS];
};

/* The slot that [at, at + length) lies in, or -1. */
int worker_pinned_slot(const struct worker_pins *pins, const void *at, size_t length);

/* ---- Fibers ---- */

struct fiber {
	struct list node; /* in the ready list or in a queue's waiters */
	struct context context;
	struct worker *worker;
	fiber_fn *fn;
	void *arg;
	int result;      /* of fn */
	int wait_result; /* of the present wait, set by who wakes it */
	bool joinable, finished, cancelled;
	/* Ends the present wait early; NULL while the fiber runs or waits for what cannot be ended. */
	void (*cancel_wait)(struct fiber *fiber);
	struct worker_request *request; /* that cancel_poll() and the timer of a poll end */
	struct fiber *joiner;
	struct timer timer;
	struct fiber_stack *stack;
	void *asan_save, *tsan;
};

/* Creates one and makes it ready; `joinable` as for fiber_spawn(). */
struct fiber *fiber_create(struct worker *worker, fiber_fn *fn, void *arg, bool joinable);
/* Runs it until it suspends or ends; in the loop only. */
void fiber_resume(struct fiber *fiber);
/* Back to the loop until fiber_wake(); returns the result given there. */
int fiber_suspend(struct fiber *fiber);
void fiber_wake(struct fiber *fiber, int result);

/* ---- Workers ---- */

struct message {
	struct message *next;
	void (*fn)(void *arg);
	void *arg;
};

/* A descriptor that wakes the worker when it becomes readable: a poll request with a memory. */
struct watch {
	struct worker_request request;
	struct list node;
	struct worker *worker;
	int fd;
	bool armed;   /* the request is in the ring */
	bool removed; /* free it when the request is done */
	bool useless; /* its file ended, or is no eventfd: it would wake the worker for ever */
	void (*ready)(struct watch *watch); /* tells of it, or NULL */
	struct worker_poller *poller;       /* that it is for, or NULL */
};

struct worker {
	/* Touched by other threads */
	_Atomic(struct message *) inbox; /* newest first */
	atomic_bool sleeping;
	atomic_uint senders; /* in worker_send(): they may be the last to touch the worker */

	/* The loop's */
	struct fiber *current __attribute__((aligned(64)));
	struct list ready;
	unsigned fibers; /* that have not returned */
	unsigned in_flight,
		calls; /* disk requests, and calls to other workers: they hold virtual time */
	struct context loop;
	struct stack_pool stacks;
	struct timer_heap timers;
	struct list pollers, cold; /* see poller.c */
	struct list watches;
	struct list *poller_next;     /* where poll_all() goes on */
	struct worker_poller *polled; /* whom it asks now; NULL when that one was removed */
	unsigned woken;               /* how often a poller was, by its watch */
	struct watch *wake;
	int wake_fd;

	const struct engine *engine;
	void *ring; /* the engine's */

	bool virtual_clock, running;
	uint64_t round;
	bool held_back; /* rounds left what is queued to the sleep that may follow */
	uint64_t virtual_now;
	struct random random;
	struct poll_window polling;
	struct worker_pins pins;
	struct worker_counters counters;

	/* What the sanitizers want to know of the loop's stack */
	const void *loop_low;
	size_t loop_size;
	void *asan_save, *tsan;

	/* worker_start()'s */
	pthread_t thread;
	fiber_fn *thread_fn;
	void *thread_arg;
	int thread_result;
};

extern _Thread_local struct worker *worker_self;

uint64_t worker_clock(const struct worker *worker); /* as worker_now() */

/* Of a poll; may be called again. Until its done() virtual time stands still. */
void worker_cancel(struct worker *worker, struct worker_request *request);
/* What an engine calls for each completion. */
void worker_complete(struct worker *worker, struct worker_request *request, int result);

void worker_send(struct worker *worker, struct message *message);
/* Runs what was posted; returns how much. */
unsigned worker_receive(struct worker *worker);
void worker_drop_messages(struct worker *worker);

struct watch *watch_create(struct worker *worker, int fd);
void watch_arm(struct watch *watch);
void watch_destroy(struct watch *watch);
/* After the ring's end: none is armed; frees those that waited for it, or all. */
void watch_ring_ended(struct worker *worker, bool all);

unsigned poller_poll_all(struct worker *worker);
/* Before the worker sleeps. False when one of them found work. */
bool poller_arm_all(struct worker *worker);
/* After it slept. */
void poller_disarm_all(struct worker *worker);

#endif
