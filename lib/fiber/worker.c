/*
 * Workers: creation, and the loop.
 *
 * How long to poll before sleeping is learned as KVM learns it for halted processors (halt_poll_ns,
 * virt/kvm/kvm_main.c): the window grows when the worker slept for a time so short that polling
 * would have bridged it, and shrinks when the pause was longer than it would ever poll. So a worker
 * that gets work every few microseconds does not sleep, and one that waits for a disk, a timer or
 * a person does not poll.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fiber/worker_private.h"
#include "util/error.h"

#define POLL_NS_DEFAULT                                                                            \
	100000 /* three times what the wake of an idle thread costs: less than two
				* do not pay back a wake on each side and the work between them */
#define POLL_NS_FIRST 8000
#define RUN_BUDGET    64 /* fibers resumed before the loop looks at the ring and pollers again */

_Thread_local struct worker *worker_self;

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t worker_clock(const struct worker *worker)
{
	return worker->virtual_clock ? worker->virtual_now : monotonic();
}

static int create_engine(struct worker *worker, enum worker_engine choice, struct error *error)
{
	const char *name = choice == WORKER_ENGINE_AUTO ? getenv("TENON_ENGINE") : NULL;
	int failed = 0, refused;

	if (name && !strcmp(name, "uring"))
		choice = WORKER_ENGINE_URING;
	else if (name && !strcmp(name, "aio"))
		choice = WORKER_ENGINE_AIO;
	else if (name && *name)
		return error_set(error, -EINVAL,
				 "environment: TENON_ENGINE is '%s', expected 'uring' or 'aio'",
				 name);
	if (choice != WORKER_ENGINE_AIO) {
		worker->engine = &engine_uring;
		failed = worker->engine->create(worker, error);
		if (!failed)
			return 0;
		if (choice == WORKER_ENGINE_URING) {
			error_advise(error, "TENON_ENGINE=aio works without io_uring");
			return failed;
		}
	}
	worker->engine = &engine_aio;
	if (choice == WORKER_ENGINE_AIO)
		return worker->engine->create(worker, error);
	refused = failed;
	failed = worker->engine->create(worker, error);
	if (failed)
		error_prefix(error, "io_uring: %s; and", error_name(refused));
	return failed;
}

int worker_create(struct worker **out, const struct worker_options *options, struct error *error)
{
	static const struct worker_options defaults;
	struct worker *worker = aligned_alloc(64, round_up(sizeof(*worker), 64));
	int failed;

	if (!worker)
		return error_set(error, -ENOMEM, "worker: no memory");
	if (!options)
		options = &defaults;
	memset(worker, 0, sizeof(*worker));
	list_init(&worker->ready);
	list_init(&worker->pollers);
	list_init(&worker->watches);
	stack_pool_init(&worker->stacks);
	worker->virtual_clock = options->virtual_clock;
	worker->virtual_now = NS_PER_SECOND;
	worker->random.state = options->seed ? options->seed : random_seed_from_system();
	worker->poll_max = options->poll_ns ? options->poll_ns : POLL_NS_DEFAULT;
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wake_fd < 0) {
		failed = error_set(error, -errno, "worker: eventfd(): %s", error_name(errno));
		free(worker);
		return failed;
	}
	failed = create_engine(worker, options->engine, error);
	if (failed) {
		close(worker->wake_fd);
		free(worker);
		return failed;
	}
	worker->wake = watch_create(worker, worker->wake_fd);
	*out = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	while (atomic_load(&worker->senders))
		sched_yield();
	worker->engine->destroy(worker);
	watch_ring_ended(worker, true);
	worker_drop_messages(worker);
	stack_pool_destroy(&worker->stacks);
	free(worker->timers.timers);
	close(worker->wake_fd);
	free(worker);
}

struct worker *worker_current(void)
{
	return worker_self;
}

const char *worker_engine_name(const struct worker *worker)
{
	return worker->engine->name;
}

uint64_t worker_now(void)
{
	return worker_clock(worker_self);
}

uint64_t worker_random(void)
{
	return random_next(&worker_self->random);
}

void worker_counters(const struct worker *worker, struct worker_counters *out)
{
	*out = worker->counters;
}

void worker_submit(struct worker *worker, struct worker_request *request)
{
	worker->counters.submitted++;
	worker->in_flight += request->type != WORKER_POLL;
	worker->engine->submit(worker, request);
}

void worker_cancel(struct worker *worker, struct worker_request *request)
{
	if (request->ending)
		return;
	request->ending = true;
	worker->in_flight++;
	worker->engine->cancel(worker, request);
}

void worker_complete(struct worker *worker, struct worker_request *request, int result)
{
	worker->in_flight -= request->type != WORKER_POLL || request->ending;
	request->done(request, result);
}

/* When nothing is left to run and the worker does not poll, what is queued may go with the system
 * call that sleeps, if the next round finds nothing: one call instead of two. */
static bool submits_now(struct worker *worker, bool worked)
{
	bool now = worker->poll_window || worker->virtual_clock || !list_empty(&worker->ready) ||
		   (worked && worker->held_back);

	worker->held_back = !now && (worked || worker->held_back);
	return now;
}

/* One round. Returns whether there was anything to do. */
static bool run_round(struct worker *worker)
{
	unsigned done = worker_receive(worker);

	if (worker->timers.count)
		done += timer_expire(&worker->timers, worker_clock(worker));
	done += poller_poll_all(worker);
	for (unsigned i = 0; i < RUN_BUDGET && !list_empty(&worker->ready); i++) {
		fiber_resume(list_entry(list_pop(&worker->ready), struct fiber, node));
		done++;
	}
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

	if (!poller_arm_all(worker))
		return;
	watch_arm(worker->wake);
	atomic_store(&worker->sleeping, true);
	/* A ring that is full while pollers are armed gives completions, and so maybe fibers to run. */
	if (!atomic_load(&worker->inbox) && list_empty(&worker->ready)) {
		if (next != FIBER_FOREVER && !worker->virtual_clock) {
			uint64_t now = monotonic();

			timeout = next > now ? next - now : 0;
		}
		worker->counters.sleeps++;
		worker->engine->wait(worker, timeout);
		worker->held_back = false;
	}
	atomic_store(&worker->sleeping, false);
	poller_disarm_all(worker);
}

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void learn(struct worker *worker, uint64_t pause)
{
	if (pause <= worker->poll_window)
		return; /* polling bridged it */
	if (pause > worker->poll_max)
		worker->poll_window =
			worker->poll_window > POLL_NS_FIRST ? worker->poll_window / 2 : 0;
	else
		worker->poll_window = MIN(MAX(worker->poll_window * 2, (uint64_t)POLL_NS_FIRST),
					  worker->poll_max);
}

/* Nothing to do: polls on for a while, then sleeps. */
static void idle(struct worker *worker)
{
	uint64_t began, now;

	if (worker->virtual_clock && jump(worker))
		return;
	began = now = monotonic();
	while (now - began < worker->poll_window) {
		relax();
		if (run_round(worker))
			return;
		now = monotonic();
	}
	sleep_in_kernel(worker);
	if (worker->poll_max)
		learn(worker, monotonic() - began);
}

/*
 * On one processor, polling would only keep those from running whom it waits for. What counts is what
 * all processes here may run on, which is what init has: a container may have but one. A worker that is
 * bound to one of several polls; it was given that one, and its peers run on the others.
 */
static bool single_processor(void)
{
	cpu_set_t set;

	return (!sched_getaffinity(1, sizeof(set), &set) ||
		!sched_getaffinity(0, sizeof(set), &set)) &&
	       CPU_COUNT(&set) == 1;
}

int worker_run(struct worker *worker, fiber_fn *fn, void *arg)
{
	struct fiber *first;
	int result;

	if (worker_self || worker->running)
		return -EBUSY;
	result = worker->engine->start(worker);
	if (result)
		return result;
	if (single_processor())
		worker->poll_max = worker->poll_window = 0;
	worker_self = worker;
	worker->running = true;
	first = fiber_create(worker, fn, arg, true);
	while (worker->fibers || atomic_load(&worker->inbox))
		if (!run_round(worker))
			idle(worker);
	result = first->result;
	stack_put(&worker->stacks, first->stack);
	worker->engine->stop(worker);
	worker->running = false;
	worker_self = NULL;
	return result;
}
