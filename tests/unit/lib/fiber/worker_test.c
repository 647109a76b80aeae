/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers: messages between threads, pollers, sleep, and the choice of an engine. */
#include "unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/error.h"

#define MILLISECOND 1000000ULL
#define SECOND      1000000000ULL

/* ---- A worker on a thread that lives until it is told to end ---- */

struct server {
	struct worker *worker;
	struct fiber_queue end;
	struct worker_counters counters; /* at its end */
};

static int serve(void *arg)
{
	struct server *server = arg;

	fiber_queue_wait(&server->end, FIBER_FOREVER);
	worker_counters(server->worker, &server->counters);
	return 11;
}

static void end_server(void *arg)
{
	fiber_queue_wake_all(&((struct server *)arg)->end);
}

static void start_server(struct server *server, enum worker_engine engine)
{
	*server = (struct server){ 0 };
	fiber_queue_init(&server->end);
	CU_ASSERT_EQUAL_FATAL(worker_create(&server->worker,
					    &(struct worker_options){ .engine = engine }, NULL),
			      0);
	CU_ASSERT_EQUAL_FATAL(
		worker_start(server->worker, "a long name of a server", serve, server), 0);
}

static void stop_server(struct server *server)
{
	worker_post(server->worker, end_server, server);
	CU_ASSERT_EQUAL(worker_join(server->worker), 11);
	worker_destroy(server->worker);
}

/* ---- Messages ---- */

struct numbers {
	struct worker *worker;
	unsigned next, misplaced, posts;
};

struct number {
	struct numbers *numbers;
	unsigned value;
};

static void number_arrives(void *arg)
{
	struct number *number = arg;

	number->numbers->misplaced += number->value != number->numbers->next++;
	free(number);
}

static void *post_numbers(void *arg)
{
	struct numbers *numbers = arg;

	for (unsigned i = 0; i < numbers->posts; i++) {
		struct number *number = malloc(sizeof(*number));

		*number = (struct number){ .numbers = numbers, .value = i };
		worker_post(numbers->worker, number_arrives, number);
	}
	return NULL;
}

static int increment(void *arg)
{
	unsigned *count = arg, was = *count;

	if (was % 3 == 0)
		fiber_yield();
	if (was % 101 == 0)
		fiber_sleep(1000);
	return (int)was + 1;
}

static void *call_often(void *arg)
{
	struct worker *worker = arg;
	uintptr_t wrong = 0;

	for (unsigned i = 0; i < 600; i++)
		wrong += worker_call(worker, increment, &i) != (int)i + 1;
	return (void *)wrong;
}

static int call_often_on_a_fiber(void *arg)
{
	return (int)(uintptr_t)call_often(arg);
}

static int set_one(void *arg)
{
	*(int *)arg = 1;
	return 0;
}

static void messages_under_load(enum worker_engine engine)
{
	struct numbers numbers[2] = { 0 };
	struct server a, b;
	struct fiber *none = fiber_current();
	pthread_t poster[2], caller;
	void *wrong = NULL;
	int seen = 0;

	CU_ASSERT_PTR_NULL(none);
	start_server(&a, engine);
	start_server(&b, engine);
	for (unsigned i = 0; i < 2; i++) {
		numbers[i] = (struct numbers){ .worker = a.worker, .posts = 20000 };
		pthread_create(&poster[i], NULL, post_numbers, &numbers[i]);
	}
	pthread_create(&caller, NULL, call_often, a.worker);
	/* A fiber of b calls a, while one of a calls b. */
	CU_ASSERT_EQUAL(worker_call(b.worker, call_often_on_a_fiber, a.worker), 0);
	CU_ASSERT_EQUAL(worker_call(a.worker, call_often_on_a_fiber, b.worker), 0);
	CU_ASSERT_EQUAL(worker_call(a.worker, call_often_on_a_fiber, a.worker), 0);
	pthread_join(caller, &wrong);
	CU_ASSERT_PTR_NULL(wrong);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(poster[i], NULL);
	worker_call(a.worker, set_one, &seen); /* comes after all that was posted */
	CU_ASSERT_EQUAL(seen, 1);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(numbers[i].next, numbers[i].posts);
		CU_ASSERT_EQUAL(numbers[i].misplaced, 0);
	}
	stop_server(&b);
	stop_server(&a);
}

static void test_messages_under_load(void)
{
	messages_under_load(fiber_run_first_engine());
	messages_under_load(WORKER_ENGINE_AIO);
}

/* Calls of several fibers of one worker, the odd ones of which suspend once they have begun. */
struct turn {
	struct worker *worker;
	unsigned index, *next, *misplaced;
};

static int take_turn(void *arg)
{
	struct turn *turn = arg;

	*turn->misplaced += turn->index != (*turn->next)++;
	if (turn->index % 2)
		fiber_yield();
	return 0;
}

static int call_turn(void *arg)
{
	struct turn *turn = arg;

	return worker_call(turn->worker, take_turn, turn);
}

static int call_turns(void *arg)
{
	enum { COUNT = 300 };
	static struct turn turns[COUNT];
	static struct fiber *fibers[COUNT];
	unsigned next = 0, misplaced = 0;

	for (unsigned i = 0; i < COUNT; i++) {
		turns[i] = (struct turn){ arg, i, &next, &misplaced };
		fibers[i] = fiber_spawn(call_turn, &turns[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		fiber_join(fibers[i]);
	CU_ASSERT_EQUAL(next, COUNT);
	return (int)misplaced;
}

/* So what does not suspend has ended before the next call begins. */
static void test_calls_begin_in_order(void)
{
	struct server server;

	start_server(&server, WORKER_ENGINE_AUTO);
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(fiber_run_real(WORKER_ENGINE_AUTO, call_turns, server.worker), 0);
	stop_server(&server);
}

static int call_shortly(void *arg)
{
	return worker_call(arg, set_one, &(int){ 0 });
}

/* The reply is the last that the worker waits for: it is destroyed right after. */
static void test_a_worker_may_end_with_the_reply(void)
{
	struct server server;

	start_server(&server, WORKER_ENGINE_AUTO);
	for (unsigned i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(fiber_run_real(WORKER_ENGINE_AUTO, call_shortly, server.worker), 0);
	stop_server(&server);
}

static int nothing(void *arg)
{
	(void)arg;
	return 3;
}

static void test_posts_before_and_after_a_run(void)
{
	struct number *number = malloc(sizeof(*number));
	struct numbers numbers = { 0 };
	struct worker *worker;

	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, NULL, NULL), 0);
	*number = (struct number){ .numbers = &numbers };
	worker_post(worker, number_arrives, number);
	CU_ASSERT_EQUAL(worker_run(worker, nothing, NULL), 3);
	CU_ASSERT_EQUAL(numbers.next, 1);
	/* Never delivered; not leaked either. */
	worker_post(worker, number_arrives, &numbers);
	worker_destroy(worker);
	worker_destroy(NULL);
}

static int start_again(void *arg)
{
	CU_ASSERT_EQUAL(worker_run(arg, nothing, NULL), -EBUSY);
	CU_ASSERT_EQUAL(fiber_sleep(MILLISECOND), 0);
	return 4;
}

static void run_on_two_threads(enum worker_engine engine)
{
	struct worker *worker;

	CU_ASSERT_EQUAL_FATAL(
		worker_create(&worker, &(struct worker_options){ .engine = engine }, NULL), 0);
	CU_ASSERT_PTR_NULL(worker_current());
	CU_ASSERT_EQUAL(worker_run(worker, start_again, worker), 4);
	CU_ASSERT_EQUAL(worker_start(worker, "again", start_again, worker), 0);
	CU_ASSERT_EQUAL(worker_join(worker), 4);
	CU_ASSERT_EQUAL(worker_run(worker, start_again, worker), 4);
	worker_destroy(worker);
}

static void test_a_worker_runs_again_on_another_thread(void)
{
	run_on_two_threads(fiber_run_first_engine());
	run_on_two_threads(WORKER_ENGINE_AIO);
}

/* ---- Pollers ---- */

/* A "ring" that announces entries by an eventfd only while it is armed, as a virtqueue does. */
struct ring {
	struct worker_poller poller;
	atomic_uint entries; /* not yet taken */
	atomic_bool armed;
	unsigned taken, want, polls;
	bool taken_on_fiber;
	struct fiber_queue done;
};

static unsigned ring_poll(struct worker_poller *poller)
{
	struct ring *ring = container_of(poller, struct ring, poller);
	unsigned found = atomic_exchange(&ring->entries, 0);

	ring->polls++;
	ring->taken_on_fiber |= fiber_current() != NULL;
	ring->taken += found;
	if (found && ring->taken >= ring->want)
		fiber_queue_wake_all(&ring->done);
	return found;
}

static bool ring_arm(struct worker_poller *poller)
{
	struct ring *ring = container_of(poller, struct ring, poller);

	atomic_store(&ring->armed, true);
	return atomic_load(&ring->entries) > 0;
}

static void ring_disarm(struct worker_poller *poller)
{
	atomic_store(&container_of(poller, struct ring, poller)->armed, false);
}

static void ring_init(struct ring *ring, unsigned want)
{
	*ring = (struct ring){ .poller = { .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
					   .poll = ring_poll,
					   .arm = ring_arm,
					   .disarm = ring_disarm },
			       .want = want };
	fiber_queue_init(&ring->done);
}

static void *feed_ring(void *arg)
{
	struct ring *ring = arg;

	for (unsigned i = 0; i < ring->want; i++) {
		atomic_fetch_add(&ring->entries, 1);
		if (atomic_load(&ring->armed))
			eventfd_write(ring->poller.fd, 1);
		if (i % 64 == 0)
			usleep(50 + i % 500);
	}
	return NULL;
}

static int take_from_ring(void *arg)
{
	struct ring ring;
	pthread_t feeder;
	uint64_t left;

	(void)arg;
	ring_init(&ring, 10000);
	CU_ASSERT_EQUAL(worker_add_poller(&ring.poller), 0);
	fiber_sleep(MILLISECOND); /* now it sleeps, armed */
	CU_ASSERT_TRUE(atomic_load(&ring.armed) || ring.polls);
	pthread_create(&feeder, NULL, feed_ring, &ring);
	CU_ASSERT_EQUAL(fiber_queue_wait(&ring.done, 300 * SECOND), 0);
	CU_ASSERT_EQUAL(ring.taken, ring.want);
	CU_ASSERT_FALSE(ring.taken_on_fiber);
	pthread_join(feeder, NULL);
	worker_remove_poller(&ring.poller);
	(void)!read(ring.poller.fd, &left, sizeof(left));
	/* Ours again, and no longer watched. */
	eventfd_write(ring.poller.fd, 5);
	fiber_sleep(MILLISECOND);
	CU_ASSERT_EQUAL(read(ring.poller.fd, &left, sizeof(left)), sizeof(left));
	CU_ASSERT_EQUAL(left, 5);
	close(ring.poller.fd);
	return 0;
}

#define IDLE_RINGS 300u

/* Rounds and sleeps do not look at idle rings, and each of them wakes the worker all the same. */
static int take_beside_idle_rings(void *arg)
{
	struct ring *idle = calloc(IDLE_RINGS, sizeof(*idle)), busy;
	struct worker_counters before, after;
	pthread_t feeder;
	unsigned woken = 0;

	(void)arg;
	for (unsigned i = 0; i < IDLE_RINGS; i++) {
		ring_init(&idle[i], 1);
		worker_add_poller(&idle[i].poller);
	}
	ring_init(&busy, 20000);
	worker_add_poller(&busy.poller);
	fiber_sleep(MILLISECOND);
	worker_counters(worker_current(), &before);
	pthread_create(&feeder, NULL, feed_ring, &busy);
	CU_ASSERT_EQUAL(fiber_queue_wait(&busy.done, 300 * SECOND), 0);
	pthread_join(feeder, NULL);
	worker_counters(worker_current(), &after);
	CU_ASSERT_TRUE(after.polls - before.polls < busy.polls + IDLE_RINGS);
	for (unsigned i = 0; i < IDLE_RINGS; i++) {
		unsigned polls = idle[i].polls;

		fiber_sleep(i % 50 ? 0 : 2 * MILLISECOND);
		CU_ASSERT_EQUAL(idle[i].polls, polls);
		atomic_fetch_add(&idle[i].entries, 1);
		CU_ASSERT_TRUE(atomic_load(&idle[i].armed));
		eventfd_write(idle[i].poller.fd, 1);
		woken += fiber_queue_wait(&idle[i].done, 300 * SECOND) == 0;
	}
	CU_ASSERT_EQUAL(woken, IDLE_RINGS);
	for (unsigned i = 0; i < IDLE_RINGS; i++) {
		worker_remove_poller(&idle[i].poller);
		close(idle[i].poller.fd);
	}
	worker_remove_poller(&busy.poller);
	close(busy.poller.fd);
	free(idle);
	return 0;
}

static void test_idle_pollers_cost_nothing(void)
{
	fiber_run_real(fiber_run_first_engine(), take_beside_idle_rings, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, take_beside_idle_rings, NULL);
}

static void test_pollers_lose_no_entry(void)
{
	fiber_run_real(fiber_run_first_engine(), take_from_ring, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, take_from_ring, NULL);
}

/* One eventfd for two rings, in blocking mode: whichever is looked at second finds nothing to read. */
static int share_an_eventfd(void *arg)
{
	struct ring rings[2];
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		ring_init(&rings[i], 1);
		close(rings[i].poller.fd);
		rings[i].poller.fd = fd;
		worker_add_poller(&rings[i].poller);
	}
	fiber_sleep(MILLISECOND); /* now it sleeps, armed */
	eventfd_write(fd, 1);
	CU_ASSERT_EQUAL(fiber_sleep(10 * MILLISECOND), 0);
	for (unsigned i = 0; i < 2; i++)
		worker_remove_poller(&rings[i].poller);
	close(fd);
	return 0;
}

static void test_an_eventfd_of_two_pollers_blocks_nobody(void)
{
	fiber_run_real(fiber_run_first_engine(), share_an_eventfd, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, share_an_eventfd, NULL);
}

struct removing {
	struct worker_poller poller;
	struct worker_poller *victim;
	unsigned polls;
	struct fiber_queue *done;
};

static unsigned remove_victim(struct worker_poller *poller)
{
	struct removing *removing = container_of(poller, struct removing, poller);

	removing->polls++;
	if (removing->victim) {
		worker_remove_poller(removing->victim);
		if (removing->victim->fd >= 0)
			close(removing->victim->fd);
		removing->victim = NULL;
		fiber_queue_wake_all(removing->done);
	}
	return 1;
}

static bool arm_nothing(struct worker_poller *poller)
{
	(void)poller;
	return false;
}

static int remove_within_poll(void *arg)
{
	struct fiber_queue done;
	struct removing pollers[4];

	(void)arg;
	fiber_queue_init(&done);
	for (unsigned i = 0; i < 4; i++) {
		pollers[i] =
			(struct removing){ .poller = { .fd = i % 2 ? eventfd(0, EFD_NONBLOCK) : -1,
						       .poll = remove_victim,
						       .arm = arm_nothing },
					   .done = &done };
		worker_add_poller(&pollers[i].poller);
	}
	pollers[0].victim = &pollers[1].poller; /* the next one */
	fiber_queue_wait(&done, FIBER_FOREVER);
	CU_ASSERT_EQUAL(pollers[1].polls, 0);
	pollers[2].victim = &pollers[2].poller; /* itself */
	fiber_queue_wait(&done, FIBER_FOREVER);
	CU_ASSERT(pollers[2].polls > 0);
	pollers[3].victim = &pollers[0].poller; /* one before it */
	fiber_queue_wait(&done, FIBER_FOREVER);
	worker_remove_poller(&pollers[3].poller);
	close(pollers[3].poller.fd);
	return 0;
}

static void test_pollers_may_be_removed_within_poll(void)
{
	fiber_run_real(fiber_run_first_engine(), remove_within_poll, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, remove_within_poll, NULL);
}

/* ---- Idling ---- */

static int be_idle(void *arg)
{
	struct worker_counters before, after;
	uint64_t sleeps = 0;
	struct ring ring;
	unsigned polls;

	(void)arg;
	ring_init(&ring, 1);
	worker_add_poller(&ring.poller);
	/* Busy enough for the poll window to open. */
	for (unsigned i = 0; i < 50; i++)
		fiber_sleep(20000);
	/* Where the processor is somebody else's for so long, the time is over before there was anything to sleep for. */
	for (unsigned tries = 0; tries < 1000 && !sleeps; tries++) {
		worker_counters(worker_current(), &before);
		polls = ring.polls;
		fiber_sleep(50 * MILLISECOND);
		worker_counters(worker_current(), &after);
		sleeps = after.sleeps - before.sleeps;
		/* Spinning for 50 ms would poll some 100,000 times. */
		CU_ASSERT(ring.polls - polls < 5000);
		CU_ASSERT(sleeps <= 4);
		CU_ASSERT(after.enters - before.enters <= 10);
	}
	CU_ASSERT(sleeps > 0);
	worker_remove_poller(&ring.poller);
	close(ring.poller.fd);
	return 0;
}

static void test_an_idle_worker_sleeps(void)
{
	fiber_run_real(fiber_run_first_engine(), be_idle, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, be_idle, NULL);
}

static int polls_for_each_sleep(void *arg)
{
	struct worker_counters counters;
	unsigned pauses = 0;
	struct ring ring;

	(void)arg;
	ring_init(&ring, 1);
	worker_add_poller(&ring.poller);
	/* Also where a pause is often over before there is anything to sleep for. */
	do {
		fiber_sleep(20000);
		pauses++;
		worker_counters(worker_current(), &counters);
	} while (counters.sleeps < 50 && pauses < 100000);
	CU_ASSERT(counters.sleeps >= 50);
	CU_ASSERT(ring.polls <= 5 * pauses);
	worker_remove_poller(&ring.poller);
	close(ring.poller.fd);
	return 0;
}

/* As the first process of a PID namespace, which is bound to one processor. */
static int run_on_a_single_processor(void)
{
	unsigned before = CU_get_number_of_failures();
	cpu_set_t all, one;
	int cpu = 0;

	sched_getaffinity(0, sizeof(all), &all);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	fiber_run_real(fiber_run_first_engine(), polls_for_each_sleep, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, polls_for_each_sleep, NULL);
	return CU_get_number_of_failures() != before;
}

static void test_no_polling_on_a_single_processor(void)
{
	/* clone() as fork() is, into a namespace of its own. */
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	int status = -1;

	if (child < 0) {
		unit_skip("a PID namespace: %s", error_name(errno));
		return;
	}
	if (!child)
		_exit(run_on_a_single_processor());
	waitpid(child, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
}

static int call_and_look_at_the_clock(void *arg)
{
	uint64_t began = worker_now();

	worker_call(arg, increment, &(unsigned){ 303 }); /* which sleeps in real time */
	CU_ASSERT_EQUAL(worker_now(), began);
	return 0;
}

static int sleep_one(void *arg)
{
	(void)arg;
	return fiber_sleep(1);
}

static int call_beside_a_timer(void *arg)
{
	struct fiber *call = fiber_spawn(call_and_look_at_the_clock, arg);
	struct fiber *sleeper = fiber_spawn(sleep_one, NULL);

	fiber_join(sleeper);
	return fiber_join(call);
}

static void test_virtual_time_stands_still_for_calls(void)
{
	struct server server;

	start_server(&server, WORKER_ENGINE_AUTO);
	fiber_run_each(call_beside_a_timer, server.worker);
	stop_server(&server);
}

/* ---- Engines ---- */

static void test_engines_by_name(void)
{
	struct error error = { 0 };
	struct worker *worker;
	char *before = getenv("TENON_ENGINE") ? strdup(getenv("TENON_ENGINE")) : NULL;

	setenv("TENON_ENGINE", "aio", 1);
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, NULL, NULL), 0);
	CU_ASSERT_STRING_EQUAL(worker_engine_name(worker), "libaio");
	worker_destroy(worker);
	setenv("TENON_ENGINE", "posix", 1);
	CU_ASSERT_EQUAL(worker_create(&worker, NULL, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "'posix'"));
	/* An explicit choice is not overridden. */
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker,
					    &(struct worker_options){ .engine = WORKER_ENGINE_AIO },
					    NULL),
			      0);
	worker_destroy(worker);
	if (before)
		setenv("TENON_ENGINE", before, 1);
	else
		unsetenv("TENON_ENGINE");
	free(before);
}

/* From now on io_uring_setup() fails with `code` in this process. */
static int refuse_io_uring(int code)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

/* In a child: 0 when all is well, else the line that is not. */
static int without_io_uring(int code)
{
	struct error error = { 0 };
	struct worker *worker;

	unsetenv("TENON_ENGINE");
	if (refuse_io_uring(code))
		return 77;
	if (worker_create(&worker, &(struct worker_options){ .engine = WORKER_ENGINE_URING },
			  &error) != -code)
		return 1;
	if (!strstr(error.text, "io_uring_setup") || !error.advice[0])
		return 2;
	if (worker_create(&worker, NULL, &error) ||
	    strcmp(worker_engine_name(worker), "libaio") != 0)
		return 3;
	if (worker_run(worker, start_again, worker) != 4)
		return 4;
	worker_destroy(worker);
	return 0;
}

static void test_libaio_where_io_uring_is_refused(void)
{
	static const int codes[] = { EPERM, ENOSYS };

	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		int status = -1;
		pid_t child = fork();

		if (!child)
			_exit(without_io_uring(codes[i]));
		CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			unit_skip("seccomp filters cannot be installed here");
		else
			CU_ASSERT_EQUAL(status, 0);
	}
}

UNIT_MAIN("worker", UNIT(test_messages_under_load), UNIT(test_calls_begin_in_order),
	  UNIT(test_a_worker_may_end_with_the_reply), UNIT(test_posts_before_and_after_a_run),
	  UNIT(test_a_worker_runs_again_on_another_thread), UNIT(test_idle_pollers_cost_nothing),
	  UNIT(test_pollers_lose_no_entry), UNIT(test_an_eventfd_of_two_pollers_blocks_nobody),
	  UNIT(test_pollers_may_be_removed_within_poll), UNIT(test_an_idle_worker_sleeps),
	  UNIT(test_no_polling_on_a_single_processor),
	  UNIT(test_virtual_time_stands_still_for_calls), UNIT(test_engines_by_name),
	  UNIT(test_libaio_where_io_uring_is_refused))
