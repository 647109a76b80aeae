/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers: one way of waiting.
 *
 * A worker is a thread with one ring (io_uring, or libaio where io_uring is refused) and one loop. A
 * fiber is a stackful coroutine of one worker. Code on a fiber is straight-line code: fiber_preadv()
 * submits to the worker's ring and suspends the fiber; the loop resumes it when the kernel is done.
 * Fibers of one worker never run at the same time and are switched only at the calls marked
 * "suspends" here, so state that belongs to one worker needs no lock, only care across those calls.
 *
 * Clock and randomness come only through the worker: with `virtual_clock` time stands still while any
 * fiber can run, disk I/O is in flight or another worker is called, then jumps to the next timer, so
 * that tests of rebuilds and timeouts run at once and repeatably from a seed. A wait for a descriptor
 * (fiber_poll(), fiber_read(), a poller) does not hold the time: who waits for another thread or
 * process that way, with a timeout, wants the real clock.
 *
 * The loop, each round: runs ready fibers; polls the pollers; submits and reaps the ring. With nothing
 * to do it polls on for a short, adaptive while (waking an idle thread costs 25 to 30 microseconds on
 * a virtual machine, a polled ring 3), then arms the pollers and sleeps in the kernel. An idle worker
 * uses no CPU.
 *
 * Every fiber_*() call must be made on a fiber; worker_*() calls say where they may be made.
 */
#ifndef TENON_FIBER_FIBER_H
#define TENON_FIBER_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/list.h"

struct error;
struct fiber;
struct worker;

typedef int fiber_fn(void *arg);

#define FIBER_FOREVER UINT64_MAX /* a timeout that never comes */

/* ---- Workers ---- */

enum worker_engine {
	WORKER_ENGINE_AUTO, /* io_uring, or libaio where it is refused; TENON_ENGINE overrides */
	WORKER_ENGINE_URING,
	WORKER_ENGINE_AIO,
};

struct worker_options {
	enum worker_engine engine;
	bool virtual_clock;
	uint64_t seed;    /* of worker_random(); 0: one from the system */
	uint64_t poll_ns; /* the longest it polls before it sleeps; 0: the default */
};

/* Creates a worker; nothing runs yet. `options` may be NULL. -ENOSYS or -EPERM with `error` set where
 * the engine asked for cannot be had. The caller destroys it, when it does not run. */
int worker_create(struct worker **out, const struct worker_options *options, struct error *error);
void worker_destroy(struct worker *worker);

/* Runs the loop on the calling thread with `fn(arg)` as its first fiber, until that fiber and all
 * others have returned. Returns what `fn` returned. */
int worker_run(struct worker *worker, fiber_fn *fn, void *arg);

/* The same on a new thread named `name` (at most 15 characters); worker_join() waits for its end and
 * returns what `fn` returned. 0 or a negative errno. */
int worker_start(struct worker *worker, const char *name, fiber_fn *fn, void *arg);
int worker_join(struct worker *worker);

/* The worker of the calling thread, or NULL. */
struct worker *worker_current(void);

/* "io_uring" or "libaio". */
const char *worker_engine_name(const struct worker *worker);

/* Has `worker` call `fn(arg)` in its loop, soon, in the order of posting. From any thread. `fn` is
 * not on a fiber: it may start fibers and wake waiters, and must not suspend. */
void worker_post(struct worker *worker, void (*fn)(void *arg), void *arg);

/* Runs `fn(arg)` on a new fiber of `worker` and returns what it returned. On a fiber of another
 * worker (or of the same) it suspends; on a plain thread it blocks. Calls from one thread to another's worker begin
 * in the order in which they are made. */
int worker_call(struct worker *worker, fiber_fn *fn, void *arg);

/* Nanoseconds of the current worker's clock (CLOCK_MONOTONIC, or virtual), and its random source. */
uint64_t worker_now(void);
uint64_t worker_random(void);

/*
 * A poller watches a ring in memory (a virtqueue) that an eventfd announces.
 *
 * poll() does a burst of work and returns how much it found; the loop calls it in every round while
 * it is busy. When it has been idle for a while, or the worker is to sleep, comes arm(): ask the other side
 * for events from now on, then look once more; true says that work came meanwhile, and the worker goes
 * on polling it. Else it is left alone until `fd` says that there is work; then comes disarm() (may be
 * NULL): events are not needed for now. None of them may suspend; they start fibers for what has to
 * wait. `fd` is read (drained) by the loop when it woke the worker; a peer's may
 * be in blocking mode, for which nobody waits.
 */
struct worker_poller {
	int fd; /* an eventfd, or -1 */
	unsigned (*poll)(struct worker_poller *poller);
	bool (*arm)(struct worker_poller *poller);
	void (*disarm)(struct worker_poller *poller);
	bool again; /* arm() may set it: poll when the worker wakes, whatever woke it */

	/* the loop's */
	struct list node;
	void *watch;
	unsigned idle; /* rounds without work */
};

/* On the worker's own thread. Removing also ends the watch on `fd`; the fd stays the caller's, who may
 * close it at once. Both may be called from within poll(). */
int worker_add_poller(struct worker_poller *poller);
void worker_remove_poller(struct worker_poller *poller);

/* Counts since the start, for `show` commands and the benchmarks. */
struct worker_counters {
	uint64_t switches;  /* into fibers */
	uint64_t enters;    /* io_uring_enter() or io_submit() and io_getevents() calls */
	uint64_t sleeps;    /* times the worker slept in the kernel */
	uint64_t submitted; /* requests given to the ring */
	uint64_t polls;     /* calls of pollers' poll() */
};
void worker_counters(const struct worker *worker, struct worker_counters *out);

/* ---- Fibers ---- */

/* Starts a fiber that runs `fn(arg)` soon; the caller of fiber_spawn() must fiber_join() it, that of
 * fiber_start() cannot. Both may also be called in worker_post() functions and pollers. They do not
 * fail: stacks come from a pool of mappings with guard pages, and without memory the process ends. */
struct fiber *fiber_spawn(fiber_fn *fn, void *arg);
void fiber_start(fiber_fn *fn, void *arg);

/* Suspends until `fiber` has returned; returns what it returned, and frees it. */
int fiber_join(struct fiber *fiber);

/* Asks a fiber to end: its present or next cancellable wait (all waits but those of disk I/O, mutexes
 * and joins) returns -ECANCELED, and so does each one after. */
void fiber_cancel(struct fiber *fiber);
bool fiber_cancelled(void);

struct fiber *fiber_current(void); /* NULL off fibers */

/* How many the calling thread's worker has. Each takes a stack, and a process may have no more than some 30,000 of those on
 * Linux before 6.13 (vm.max_map_count): whoever starts one for each of a stranger's wishes looks here first. */
unsigned worker_fibers(void);
/* How many requests to disks it has on their way, those of its fibers and those that need none; each takes some memory. */
unsigned worker_requests(void);

void fiber_yield(void);       /* suspends; others run first */
int fiber_sleep(uint64_t ns); /* suspends; 0 or -ECANCELED */
/* The same, whether cancelled or not. */
void fiber_sleep_always(uint64_t ns);

/* A queue of waiting fibers: the building block of conditions. Same worker only. */
struct fiber_queue {
	struct list waiters;
};

void fiber_queue_init(struct fiber_queue *queue);
/* Suspends until woken. 0, -ETIMEDOUT after `timeout_ns`, or -ECANCELED. */
int fiber_queue_wait(struct fiber_queue *queue, uint64_t timeout_ns);
/* Suspends until woken, whether cancelled or not. */
void fiber_queue_wait_always(struct fiber_queue *queue);
/* May be called on fibers, in pollers and in posted functions; never suspends. */
bool fiber_queue_wake_one(struct fiber_queue *queue);
void fiber_queue_wake_all(struct fiber_queue *queue);

/* Locks held across suspensions; first come, first served. */
struct fiber_mutex {
	struct fiber *owner;
	struct fiber_queue queue;
};

void fiber_mutex_init(struct fiber_mutex *mutex);
void fiber_mutex_lock(struct fiber_mutex *mutex); /* suspends */
void fiber_mutex_unlock(struct fiber_mutex *mutex);

/* ---- I/O on fibers; all suspend ---- */

/* As the system calls of these names at an offset: bytes or a negative errno. They may be short. */
ssize_t fiber_preadv(int fd, const struct iovec *iov, unsigned count, uint64_t offset);
ssize_t fiber_pwritev(int fd, const struct iovec *iov, unsigned count, uint64_t offset,
		      int rwf_flags);
int fiber_fdatasync(int fd);
/* Where the engine cannot do it asynchronously, it is done on the calling thread. */
int fiber_fallocate(int fd, int mode, uint64_t offset, uint64_t length);

/* Waits for poll(2) events on `fd` (which should be non-blocking): the events seen (> 0), -ETIMEDOUT
 * or -ECANCELED. What is there is seen also by who comes too late to wait for it. */
int fiber_poll(int fd, short events, uint64_t timeout_ns);
/* The same until a time of worker_now(), or FIBER_FOREVER. When that has passed it still looks once: what is there was in time, however long this
 * process got no processor to take it. So a peer that always has more is to be bounded by something else as well. */
int fiber_poll_until(int fd, short events, uint64_t until);

/* Sockets and pipes in non-blocking mode. Read: bytes, 0 at the end of the stream. Write: all of it,
 * or a negative errno. Accept: a new fd (non-blocking, close-on-exec). */
ssize_t fiber_read(int fd, void *at, size_t length);
int fiber_write(int fd, const void *at, size_t length);
int fiber_accept(int fd);
int fiber_connect_unix(const char *path); /* a connected fd, or a negative errno */

#endif
