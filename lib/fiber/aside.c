/* SPDX-License-Identifier: BSD-2-Clause */
/* See aside.h. */
#include "fiber/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/cleanup.h"

#define THREADS_MAX   256u /* at once; what hangs keeps its thread */
#define THREAD_STACK  (256u << 10)
#define ANSWER_MAX    (16u << 20)
#define CHILD_ANSWERS 3 /* the one descriptor of the child but standard ones */
#define NS_PER_MS     1000000ull

/* Before each answer in the pipe. */
struct header {
	uint32_t index;
	int32_t rc;
	uint32_t size;
};

/* ---- In the other process ---- */

struct jobs {
	aside_fn *fn;
	void *arg;
	unsigned count, next;
	pthread_mutex_t taking, writing;
};

static void write_all(int fd, const void *at, size_t size)
{
	while (size) {
		ssize_t put = write(fd, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			_exit(1); /* nobody waits any more */
		at = (const char *)at + put;
		size -= (size_t)put;
	}
}

static void *work(void *arg)
{
	struct jobs *jobs = arg;

	for (;;) {
		struct header header = { 0 };
		void *data = NULL;
		size_t size = 0;

		pthread_mutex_lock(&jobs->taking);
		header.index = jobs->next < jobs->count ? jobs->next++ : jobs->count;
		pthread_mutex_unlock(&jobs->taking);
		if (header.index == jobs->count)
			return NULL;
		header.rc = jobs->fn(jobs->arg, header.index, &data, &size);
		if (size > ANSWER_MAX)
			header.rc = -E2BIG;
		header.size = size > ANSWER_MAX ? 0 : (uint32_t)size;
		pthread_mutex_lock(&jobs->writing);
		write_all(CHILD_ANSWERS, &header, sizeof(header));
		write_all(CHILD_ANSWERS, data, header.size);
		pthread_mutex_unlock(&jobs->writing);
		free(data);
	}
}

/* Nothing of the parent's may stay here with what hangs. */
static void let_go(int answers)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "tenon-look");
	for (int fd = 0; null >= 0 && fd < CHILD_ANSWERS; fd++)
		dup2(null, fd);
	if (answers != CHILD_ANSWERS)
		dup2(answers, CHILD_ANSWERS);
	close_range(CHILD_ANSWERS + 1, ~0u, 0);
}

static void run_child(struct jobs *jobs, int answers)
{
	unsigned threads = MIN(jobs->count, THREADS_MAX), started = 0;
	pthread_t last[THREADS_MAX];
	pthread_attr_t attributes;

	let_go(answers);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	while (started < threads && !pthread_create(&last[started], &attributes, work, jobs))
		started++;
	if (!started)
		work(jobs);
	for (unsigned i = 0; i < started; i++)
		pthread_join(last[i], NULL);
	_exit(0);
}

/* ---- Here ---- */

/* Whether something can be read before `deadline`. */
static bool wait_readable(int fd, uint64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t at = monotonic_ns(), left = deadline > at ? deadline - at : 0;

	if (fiber_current())
		return fiber_poll(fd, POLLIN, left) > 0;
	return poll(&poll_fd, 1, (int)MIN(left / NS_PER_MS + 1, (uint64_t)INT32_MAX)) > 0;
}

static int read_all(int fd, void *at, size_t size, uint64_t deadline)
{
	while (size) {
		ssize_t got = read(fd, at, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN) {
			if (!wait_readable(fd, deadline))
				return -ETIMEDOUT;
			continue;
		}
		if (got <= 0)
			return -EPIPE;
		at = (char *)at + got;
		size -= (size_t)got;
	}
	return 0;
}

static int read_answer(int fd, struct aside_answer *answers, unsigned count, uint64_t deadline)
{
	struct aside_answer *answer;
	struct header header;
	int rc = read_all(fd, &header, sizeof(header), deadline);

	if (rc)
		return rc;
	if (header.index >= count || header.size > ANSWER_MAX)
		return -EPROTO;
	answer = &answers[header.index];
	if (header.size) {
		answer->data = malloc(header.size);
		if (!answer->data)
			return -ENOMEM;
		rc = read_all(fd, answer->data, header.size, deadline);
		if (rc) {
			free(answer->data);
			answer->data = NULL;
			return rc;
		}
	}
	answer->size = header.size;
	answer->rc = header.rc;
	answer->silent = false;
	return 0;
}

static void run_here(aside_fn *fn, void *arg, unsigned count, struct aside_answer *answers)
{
	for (unsigned i = 0; i < count; i++)
		if (answers[i].silent) {
			answers[i].rc = fn(arg, i, &answers[i].data, &answers[i].size);
			answers[i].silent = false;
		}
}

/* One that hangs in the kernel may stay; whoever inherits it from us waits for it. */
static void end_child(pid_t child)
{
	const struct timespec pause = { .tv_nsec = NS_PER_MS };

	kill(child, SIGKILL);
	for (unsigned i = 0; i < 20 && !waitpid(child, NULL, WNOHANG); i++)
		nanosleep(&pause, NULL);
}

int aside_run(aside_fn *fn, void *arg, unsigned count, uint64_t limit_ns,
	      struct aside_answer *answers)
{
	struct jobs jobs = { .fn = fn, .arg = arg, .count = count };
	uint64_t deadline = monotonic_ns() + limit_ns;
	int ends[2], rc = 0;
	pid_t child;

	for (unsigned i = 0; i < count; i++)
		answers[i] = (struct aside_answer){ .silent = true, .rc = -ETIMEDOUT };
	if (!count)
		return 0;
	if (pipe2(ends, O_CLOEXEC)) {
		run_here(fn, arg, count, answers);
		return 0;
	}
	pthread_mutex_init(&jobs.taking, NULL);
	pthread_mutex_init(&jobs.writing, NULL);
	child = fork();
	if (!child)
		run_child(&jobs, ends[1]);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; child > 0 && !rc && i < count; i++)
		rc = read_answer(ends[0], answers, count, deadline);
	close(ends[0]);
	if (child > 0)
		end_child(child);
	/* It could not be made, or it ended by itself. */
	if (child < 0 || (rc && rc != -ETIMEDOUT && rc != -ENOMEM))
		run_here(fn, arg, count, answers);
	return rc == -ENOMEM ? rc : 0;
}

void aside_free(struct aside_answer *answers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(answers[i].data);
	memset(answers, 0, count * sizeof(*answers));
}
