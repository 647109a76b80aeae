/* SPDX-License-Identifier: BSD-2-Clause */
/* Fibers, timers, queues and mutexes on one worker, in virtual time, on both engines. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"

#define SECOND 1000000000ULL

static char trace[256];

static void note(char c)
{
	size_t length = strlen(trace);

	if (length + 1 < sizeof(trace)) {
		trace[length] = c;
		trace[length + 1] = 0;
	}
}

static int yielder(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(const char *)arg);
		fiber_yield();
	}
	return *(const char *)arg;
}

static int spawn_and_join(void *arg)
{
	struct fiber *a = fiber_spawn(yielder, "a"), *b = fiber_spawn(yielder, "b");

	(void)arg;
	note('-');
	CU_ASSERT_EQUAL(fiber_join(b), 'b');
	CU_ASSERT_EQUAL(fiber_join(a), 'a');
	note('.');
	return 42;
}

static void test_spawn_runs_later_and_yields_take_turns(void)
{
	trace[0] = 0;
	CU_ASSERT_EQUAL(fiber_run_each(spawn_and_join, NULL), 42);
	CU_ASSERT_STRING_EQUAL(trace, "-ababab.-ababab.");
}

static int last(void *arg)
{
	fiber_yield();
	fiber_yield();
	note(*(const char *)arg);
	return 0;
}

static int leave_one_behind(void *arg)
{
	(void)arg;
	fiber_start(last, "z");
	return 7;
}

static void test_run_waits_for_all_fibers(void)
{
	trace[0] = 0;
	CU_ASSERT_EQUAL(fiber_run_virtual(WORKER_ENGINE_AUTO, leave_one_behind, NULL), 7);
	CU_ASSERT_STRING_EQUAL(trace, "z");
}

static int sleeper(void *arg)
{
	uint64_t seconds = (uint64_t)(uintptr_t)arg;

	CU_ASSERT_EQUAL(fiber_sleep(seconds * SECOND), 0);
	note((char)('0' + seconds % 10));
	return 0;
}

static int sleep_sort(void *arg)
{
	static const unsigned seconds[] = { 3603, 3601, 3605, 3602, 3604, 3602 };
	struct fiber *fibers[ARRAY_SIZE(seconds)];
	uint64_t began = worker_now();

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++)
		fibers[i] = fiber_spawn(sleeper, (void *)(uintptr_t)seconds[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++)
		fiber_join(fibers[i]);
	CU_ASSERT_EQUAL(worker_now() - began, 3605 * SECOND);
	return 0;
}

static void test_an_hour_passes_at_once_and_in_order(void)
{
	trace[0] = 0;
	fiber_run_each(sleep_sort, NULL);
	CU_ASSERT_STRING_EQUAL(trace, "122345122345");
}

static int sleeper_that_may_be_cancelled(void *arg)
{
	return fiber_sleep((uint64_t)(uintptr_t)arg);
}

static int heap_order(void *arg)
{
	struct fiber *fibers[500];
	uint64_t when[ARRAY_SIZE(fibers)];
	uint64_t began = worker_now();

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++) {
		when[i] = worker_random() % 1000000;
		fibers[i] = fiber_spawn(sleeper_that_may_be_cancelled, (void *)(uintptr_t)when[i]);
	}
	fiber_yield();
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i += 3)
		fiber_cancel(fibers[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++) {
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), i % 3 ? 0 : -ECANCELED);
		if (i % 3)
			CU_ASSERT(worker_now() - began >= when[i]);
	}
	CU_ASSERT(worker_now() - began < 1000000);
	return 0;
}

static void test_timers_survive_cancels_in_the_middle_of_the_heap(void)
{
	fiber_run_each(heap_order, NULL);
}

static struct fiber_queue queue;

static int waiter(void *arg)
{
	int result = fiber_queue_wait(&queue, FIBER_FOREVER);

	note(*(const char *)arg);
	return result;
}

static int wake_in_order(void *arg)
{
	struct fiber *a, *b, *c;

	(void)arg;
	fiber_queue_init(&queue);
	CU_ASSERT_FALSE(fiber_queue_wake_one(&queue));
	a = fiber_spawn(waiter, "a");
	b = fiber_spawn(waiter, "b");
	c = fiber_spawn(waiter, "c");
	fiber_yield();
	CU_ASSERT_TRUE(fiber_queue_wake_one(&queue));
	fiber_cancel(b);
	fiber_queue_wake_all(&queue);
	CU_ASSERT_EQUAL(fiber_join(a), 0);
	CU_ASSERT_EQUAL(fiber_join(b), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_join(c), 0);
	return 0;
}

static void test_queue_wakes_first_come_first(void)
{
	trace[0] = 0;
	fiber_run_each(wake_in_order, NULL);
	CU_ASSERT_STRING_EQUAL(trace, "abcabc");
}

static int wake_after(void *arg)
{
	fiber_sleep((uint64_t)(uintptr_t)arg * SECOND);
	fiber_queue_wake_one(&queue);
	return 0;
}

static int timeouts(void *arg)
{
	uint64_t began = worker_now();

	(void)arg;
	fiber_queue_init(&queue);
	CU_ASSERT_EQUAL(fiber_queue_wait(&queue, 60 * SECOND), -ETIMEDOUT);
	CU_ASSERT_EQUAL(worker_now() - began, 60 * SECOND);
	CU_ASSERT_FALSE(fiber_queue_wake_one(&queue));
	fiber_start(wake_after, (void *)(uintptr_t)5);
	CU_ASSERT_EQUAL(fiber_queue_wait(&queue, 60 * SECOND), 0);
	CU_ASSERT_EQUAL(worker_now() - began, 65 * SECOND);
	CU_ASSERT_EQUAL(fiber_queue_wait(&queue, 0), -ETIMEDOUT);
	/* The timer of the wait that was woken is gone. */
	CU_ASSERT_EQUAL(fiber_sleep(3600 * SECOND), 0);
	CU_ASSERT_EQUAL(worker_now() - began, 3665 * SECOND);
	return 0;
}

static void test_queue_timeouts(void)
{
	fiber_run_each(timeouts, NULL);
}

static int always(void *arg)
{
	(void)arg;
	fiber_queue_wait_always(&queue);
	CU_ASSERT_TRUE(fiber_cancelled());
	note('w');
	return fiber_queue_wait(&queue, FIBER_FOREVER);
}

static int cancel_always(void *arg)
{
	struct fiber *fiber;

	(void)arg;
	fiber_queue_init(&queue);
	fiber = fiber_spawn(always, NULL);
	fiber_yield();
	fiber_cancel(fiber);
	fiber_yield();
	note('-');
	fiber_queue_wake_one(&queue);
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	return 0;
}

static void test_wait_always_ignores_cancel_which_the_next_wait_sees(void)
{
	trace[0] = 0;
	fiber_run_virtual(WORKER_ENGINE_AUTO, cancel_always, NULL);
	CU_ASSERT_STRING_EQUAL(trace, "-w");
}

static int sleeper_always(void *arg)
{
	(void)arg;
	fiber_sleep_always(SECOND);
	note('s');
	/* Also where it was cancelled before. */
	fiber_sleep_always(SECOND);
	note('S');
	return fiber_sleep(SECOND);
}

static int cancel_sleeper(void *arg)
{
	uint64_t began = worker_now();
	struct fiber *fiber = fiber_spawn(sleeper_always, NULL);

	(void)arg;
	fiber_yield();
	fiber_cancel(fiber);
	note('-');
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	CU_ASSERT_EQUAL(worker_now() - began, 2 * SECOND);
	return 0;
}

static void test_sleep_always_ignores_cancel(void)
{
	trace[0] = 0;
	fiber_run_virtual(WORKER_ENGINE_AUTO, cancel_sleeper, NULL);
	CU_ASSERT_STRING_EQUAL(trace, "-sS");
}

static struct fiber_mutex mutex;

static int locker(void *arg)
{
	fiber_mutex_lock(&mutex);
	note(*(const char *)arg);
	fiber_sleep(SECOND);
	note(*(const char *)arg);
	fiber_mutex_unlock(&mutex);
	/* Not before those who wait. */
	fiber_mutex_lock(&mutex);
	note((char)(*(const char *)arg - 32));
	fiber_mutex_unlock(&mutex);
	return 0;
}

static int lock_in_order(void *arg)
{
	struct fiber *a, *b, *c;

	(void)arg;
	fiber_mutex_init(&mutex);
	a = fiber_spawn(locker, "a");
	b = fiber_spawn(locker, "b");
	c = fiber_spawn(locker, "c");
	fiber_yield();
	fiber_cancel(b); /* its lock comes all the same; its sleep ends at once */
	fiber_join(a);
	fiber_join(b);
	fiber_join(c);
	CU_ASSERT_PTR_NULL(mutex.owner);
	return 0;
}

static void test_mutex_is_fair(void)
{
	trace[0] = 0;
	fiber_run_each(lock_in_order, NULL);
	CU_ASSERT_STRING_EQUAL(trace, "aabbccABCaabbccABC");
}

static int cancelled_before(void *arg)
{
	char byte;

	(void)arg;
	CU_ASSERT_TRUE(fiber_cancelled());
	CU_ASSERT_EQUAL(fiber_sleep(1), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_queue_wait(&queue, 1), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_poll(0, 1, 1), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_read(0, &byte, 1), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_write(0, &byte, 1), -ECANCELED);
	CU_ASSERT_EQUAL(fiber_accept(0), -ECANCELED);
	fiber_yield();
	return 5;
}

static int cancel_before(void *arg)
{
	struct fiber *fiber = fiber_spawn(cancelled_before, NULL);

	(void)arg;
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), 5);
	CU_ASSERT_FALSE(fiber_cancelled());
	return 0;
}

static void test_every_wait_of_a_cancelled_fiber_ends_at_once(void)
{
	fiber_run_each(cancel_before, NULL);
}

static int deep(unsigned levels)
{
	volatile char fill[1024];

	memset((char *)fill, (int)levels, sizeof(fill));
	if (levels)
		deep(levels - 1);
	fiber_yield();
	return fill[77] == (char)levels ? 0 : -1;
}

static int count_up(void *arg)
{
	fiber_yield();
	CU_ASSERT_EQUAL(deep(8), 0);
	++*(unsigned *)arg;
	return 0;
}

static int many(void *arg)
{
	static struct fiber *fibers[10000];
	unsigned count = 0;

	(void)arg;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++)
			fibers[i] = fiber_spawn(count_up, &count);
		for (unsigned i = 0; i < ARRAY_SIZE(fibers); i++)
			fiber_join(fibers[i]);
	}
	CU_ASSERT_EQUAL(count, 2 * ARRAY_SIZE(fibers));
	return 0;
}

static void test_ten_thousand_fibers(void)
{
	fiber_run_virtual(WORKER_ENGINE_AUTO, many, NULL);
}

static int floating(void *arg)
{
	double sum = 0;

	for (int i = 1; i < 20; i++) {
		sum += 1.0 / (i * *(const double *)arg);
		fiber_yield();
	}
	return (int)(sum * 1e6);
}

static int float_both(void *arg)
{
	double x = 1.0, y = 2.0;
	struct fiber *a = fiber_spawn(floating, &x), *b = fiber_spawn(floating, &y);

	(void)arg;
	CU_ASSERT_EQUAL(fiber_join(a), 3547739);
	CU_ASSERT_EQUAL(fiber_join(b), 1773869);
	return 0;
}

static void test_registers_survive_switches(void)
{
	fiber_run_each(float_both, NULL);
}

static int draw(void *arg)
{
	*(uint64_t *)arg = worker_random();
	return 0;
}

static void test_random_is_repeatable_from_the_seed(void)
{
	uint64_t drawn[4] = { 0 };
	static const uint64_t seeds[4] = { 1, 1, 2, 0 };

	for (unsigned i = 0; i < 4; i++) {
		struct worker *worker = NULL;

		CU_ASSERT_EQUAL_FATAL(
			worker_create(&worker, &(struct worker_options){ .seed = seeds[i] }, NULL),
			0);
		worker_run(worker, draw, &drawn[i]);
		worker_destroy(worker);
	}
	CU_ASSERT_EQUAL(drawn[0], drawn[1]);
	CU_ASSERT_NOT_EQUAL(drawn[0], drawn[2]);
	CU_ASSERT_NOT_EQUAL(drawn[0], drawn[3]);
}

static int overflow(void *arg)
{
	volatile char page[4096];

	page[0] = *(volatile char *)arg;
	return page[0] == 'x' ? overflow((void *)page) + page[0] : 0;
}

static void test_a_stack_overflow_hits_the_guard(void)
{
	static const struct rlimit none;
	int status = 0;
	pid_t child = fork();

	if (!child) {
		setrlimit(RLIMIT_CORE, &none);
		dup2(open("/dev/null", O_WRONLY), 2); /* for ASan, which explains it */
		fiber_run_real(WORKER_ENGINE_AUTO, overflow, "x");
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) == 1);
}

UNIT_MAIN("fiber", UNIT(test_spawn_runs_later_and_yields_take_turns),
	  UNIT(test_run_waits_for_all_fibers), UNIT(test_an_hour_passes_at_once_and_in_order),
	  UNIT(test_timers_survive_cancels_in_the_middle_of_the_heap),
	  UNIT(test_queue_wakes_first_come_first), UNIT(test_queue_timeouts),
	  UNIT(test_wait_always_ignores_cancel_which_the_next_wait_sees),
	  UNIT(test_sleep_always_ignores_cancel), UNIT(test_mutex_is_fair),
	  UNIT(test_every_wait_of_a_cancelled_fiber_ends_at_once), UNIT(test_ten_thousand_fibers),
	  UNIT(test_registers_survive_switches), UNIT(test_a_stack_overflow_hits_the_guard),
	  UNIT(test_random_is_repeatable_from_the_seed))
