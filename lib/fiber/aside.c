/* SPDX-License-Identifier: BSD-2-Clause */
/* See aside.h. */
#include "fiber/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "fiber/sanitizer.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "util/thread.h"

#define THREADS_MAX   256u /* at once; what hangs keeps its thread */
#define THREAD_STACK  (256u << 10)
#define ANSWER_MAX    (16u << 20)
#define CHILD_ANSWERS 3 /* the one descriptor of the child but standard ones */
#define NS_PER_MS     1000000ull
#define TICK_NS       (2 * NS_PER_MS)
#define GATHERED      (16u << 10)
#define LOOK_NS       (20 * NS_PER_MS)
#define CROWDED       10u /* times the limit, on a crowded machine */

/* Before each answer in the pipe. */
struct header {
	uint32_t index;
	int32_t rc;
	uint32_t size;
};

/* ---- In the other process ---- */

/*
 * One thread does them one after another, and others join it as soon as that takes long: of what answers at once a
 * thread for each would cost more than all else. Answers are gathered, and written when there are many, at the next TICK, or when
 * nothing is left to begin.
 */
struct jobs {
	aside_fn *fn;
	void *arg;
	unsigned count, next, ended;
	pthread_mutex_t lock;
	pthread_cond_t all;
	struct gathered {
		char at[GATHERED];
		size_t used;
	} gathered;
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

static void write_gathered(struct gathered *gathered)
{
	write_all(CHILD_ANSWERS, gathered->at, gathered->used);
	gathered->used = 0;
}

static void gather(struct gathered *gathered, const void *at, size_t size)
{
	if (size > GATHERED - gathered->used)
		write_gathered(gathered);
	if (size > GATHERED) {
		write_all(CHILD_ANSWERS, at, size);
		return;
	}
	memcpy(gathered->at + gathered->used, at, size);
	gathered->used += size;
}

/* With the lock held. */
static void answer(struct jobs *jobs, const struct header *header, const void *data)
{
	gather(&jobs->gathered, header, sizeof(*header));
	if (header->size)
		gather(&jobs->gathered, data, header->size);
	if (jobs->next == jobs->count)
		write_gathered(&jobs->gathered);
	if (++jobs->ended == jobs->count)
		pthread_cond_signal(&jobs->all);
}

static void *work(void *arg)
{
	struct jobs *jobs = arg;

	pthread_mutex_lock(&jobs->lock);
	while (jobs->next < jobs->count) {
		struct header header = { .index = jobs->next++ };
		void *data = NULL;
		size_t size = 0;

		pthread_mutex_unlock(&jobs->lock);
		header.rc = jobs->fn(jobs->arg, header.index, &data, &size);
		if (size > ANSWER_MAX)
			header.rc = -E2BIG;
		header.size = size > ANSWER_MAX ? 0 : (uint32_t)size;
		pthread_mutex_lock(&jobs->lock);
		answer(jobs, &header, data);
		free(data);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

static void let_go_of_standard(void)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "tenon-look");
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* Nothing of the parent's may stay here with what hangs. */
static void let_go(int answers)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	let_go_of_standard();
	if (answers != CHILD_ANSWERS)
		dup2(answers, CHILD_ANSWERS);
	close_range(CHILD_ANSWERS + 1, ~0u, 0);
}

/* As many again, while there is something for them to do. */
static unsigned start_threads(struct jobs *jobs, unsigned running)
{
	unsigned most = MIN(MIN(2 * running, running + jobs->count - jobs->next), THREADS_MAX);
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	while (running < MAX(most, 1u) && !pthread_create(&thread, &attributes, work, jobs))
		running++;
	return running;
}

/* Until all are answered, or the parent has had enough. */
static void attend(struct jobs *jobs, unsigned running)
{
	unsigned before = 0;

	pthread_mutex_lock(&jobs->lock);
	while (jobs->ended < jobs->count) {
		uint64_t at = monotonic_ns() + TICK_NS;
		const struct timespec tick = { (time_t)(at / 1000000000ull),
					       (long)(at % 1000000000ull) };

		/* What is gathered came before the last one was begun. */
		if (jobs->next == jobs->count) {
			write_gathered(&jobs->gathered);
			pthread_cond_wait(&jobs->all, &jobs->lock);
			continue;
		}
		if (!pthread_cond_timedwait(&jobs->all, &jobs->lock, &tick))
			continue;
		write_gathered(&jobs->gathered);
		/* Each took longer than a tick, or hangs. */
		if (jobs->ended - before < running)
			running = start_threads(jobs, running);
		before = jobs->ended;
	}
	write_gathered(&jobs->gathered);
}

static void run_child(struct jobs *jobs, int answers)
{
	pthread_condattr_t monotonic;
	unsigned running;

	let_go(answers);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&jobs->all, &monotonic);
	pthread_mutex_init(&jobs->lock, NULL);
	/* One alone keeps nobody waiting, and needs no thread. */
	running = jobs->count > 1 ? start_threads(jobs, 0) : 0;
	if (!running)
		work(jobs);
	attend(jobs, running);
	_exit(0);
}

/* ---- Here ---- */

/*
 * How long the other process is waited for. What hangs is known by looks that find nobody in it who would run: the time for which it had no
 * processor, or we had none, is not what it lies on that takes.
 */
struct patience {
	uint64_t looks; /* that may find it so */
	uint64_t end;   /* however it is found */
};

static struct patience patience_for(uint64_t limit_ns)
{
	return (struct patience){ limit_ns / LOOK_NS, monotonic_ns() + CROWDED * limit_ns };
}

/* One that has ended does not: what it said comes when the thread that waits for it has a processor. */
static bool hangs(pid_t child)
{
	return !process_has_runnable(child) && (child < 0 || !process_is_gone(child));
}

/* Until something can be read: 0, -ETIMEDOUT where it hangs, -ECANCELED where whoever waits is told to end. `child` 0: it is not there yet. */
static int wait_readable(int fd, const _Atomic pid_t *child, struct patience *patience)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	for (;;) {
		int rc = fiber_current() ? fiber_poll(fd, POLLIN, LOOK_NS)
					 : poll(&poll_fd, 1, (int)(LOOK_NS / NS_PER_MS));
		pid_t pid = atomic_load(child);

		if (rc > 0 || rc == -ECANCELED)
			return MIN(rc, 0);
		if (pid && hangs(pid) && (!patience->looks || !--patience->looks))
			return -ETIMEDOUT;
		if (monotonic_ns() >= patience->end)
			return -ETIMEDOUT;
	}
}

/* What was read of the pipe and is not looked at yet. */
struct incoming {
	int fd;
	_Atomic pid_t child;
	struct patience patience;
	size_t from, to;
	char at[GATHERED];
};

static size_t take(struct incoming *incoming, void *at, size_t size)
{
	size_t some = MIN(size, incoming->to - incoming->from);

	memcpy(at, incoming->at + incoming->from, some);
	incoming->from += some;
	return some;
}

static int fill(struct incoming *incoming)
{
	for (;;) {
		ssize_t got = read(incoming->fd, incoming->at, sizeof(incoming->at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN) {
			int rc = wait_readable(incoming->fd, &incoming->child, &incoming->patience);

			if (rc)
				return rc;
			continue;
		}
		if (got <= 0)
			return -EPIPE;
		incoming->from = 0;
		incoming->to = (size_t)got;
		return 0;
	}
}

static int read_all(struct incoming *incoming, void *at, size_t size)
{
	size_t done = take(incoming, at, size);
	int rc = 0;

	while (!rc && done < size) {
		rc = fill(incoming);
		done += rc ? 0 : take(incoming, (char *)at + done, size - done);
	}
	return rc;
}

static int read_answer(struct incoming *incoming, struct aside_answer *answers, unsigned count)
{
	struct aside_answer *answer;
	struct header header;
	int rc = read_all(incoming, &header, sizeof(header));

	if (rc)
		return rc;
	if (header.index >= count || header.size > ANSWER_MAX)
		return -EPROTO;
	answer = &answers[header.index];
	if (header.size) {
		answer->data = malloc(header.size);
		if (!answer->data)
			return -ENOMEM;
		rc = read_all(incoming, answer->data, header.size);
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
	struct incoming *incoming;
	int ends[2], rc = 0;
	pid_t child;

	for (unsigned i = 0; i < count; i++)
		answers[i] = (struct aside_answer){ .silent = true, .rc = -ETIMEDOUT };
	if (!count)
		return 0;
	incoming = malloc(sizeof(*incoming));
	if (!incoming)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC)) {
		free(incoming);
		run_here(fn, arg, count, answers);
		return 0;
	}
	incoming->fd = ends[0];
	incoming->patience = patience_for(limit_ns);
	incoming->from = incoming->to = 0;
	child = fork();
	if (!child)
		run_child(&jobs, ends[1]);
	atomic_init(&incoming->child, child);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; child > 0 && !rc && i < count; i++)
		rc = read_answer(incoming, answers, count);
	close(ends[0]);
	free(incoming);
	if (child > 0)
		end_child(child);
	if (rc == -ENOMEM || rc == -ECANCELED) {
		aside_free(answers, count);
		return rc;
	}
	/* It could not be made, or it ended by itself. */
	if (child < 0 || (rc && rc != -ETIMEDOUT))
		run_here(fn, arg, count, answers);
	return 0;
}

void aside_free(struct aside_answer *answers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(answers[i].data);
	memset(answers, 0, count * sizeof(*answers));
}

/* ---- With shared memory ---- */

#define SHARED_STACK (64u << 10)

/* Of the caller and of a thread that waits for the process; who parts last frees it. */
struct shared {
	aside_shared_fn *fn;
	void *arg;
	void (*end)(void *arg);
	_Atomic pid_t child; /* 0: not there yet; -1: on a thread */
	int event, rc;
	bool begun;
	atomic_bool left, parted;
};

static void shared_free(struct shared *shared)
{
	close(shared->event);
	free(shared);
}

/* The child has the thread's memory, which waits, and all its signals blocked. */
static int run_in_shared(void *arg)
{
	struct shared *shared = arg;

	/* Of descriptors it begins with those below: the others are not even copied. */
	if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_UNSHARE))
		return 0;
	shared->begun = true;
	let_go_of_standard();
	shared->rc = shared->fn(shared->arg, &shared->left);
	return 0;
}

static void *wait_for_shared(void *arg)
{
	char stack[SHARED_STACK] __attribute__((aligned(16)));
	struct shared *shared = arg;
	pid_t pid;

	shared->rc = -EIO; /* of one that is killed */
	/* Without a signal at its end, so that nobody else's wait() finds it. */
	pid = fiber_shares_memory()
		      ? clone(run_in_shared, stack + SHARED_STACK,
			      CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PARENT_SETTID, shared,
			      (pid_t *)&shared->child)
		      : -1;
	while (pid > 0 && waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
		;
	if (!shared->begun) {
		atomic_store(&shared->child, -1);
		shared->rc = shared->fn(shared->arg, &shared->left);
	}
	if (!atomic_exchange(&shared->parted, true)) {
		eventfd_write(shared->event, 1);
		return NULL;
	}
	shared->end(shared->arg);
	shared_free(shared);
	return NULL;
}

int aside_run_shared(aside_shared_fn *fn, void *arg, void (*end)(void *arg), uint64_t limit_ns,
		     bool *left)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	struct patience patience = patience_for(limit_ns);
	eventfd_t event;
	pthread_t thread;
	int rc;

	*left = false;
	if (!shared)
		return -ENOMEM;
	*shared = (struct shared){ .fn = fn, .arg = arg, .end = end };
	shared->event = eventfd(0, EFD_CLOEXEC);
	if (shared->event < 0 || thread_start(&thread, "tenon-aside", wait_for_shared, shared)) {
		rc = fn(arg, &shared->left);
		shared_free(shared);
		return rc;
	}
	pthread_detach(thread);
	rc = wait_readable(shared->event, &shared->child, &patience);
	if (rc) {
		atomic_store(&shared->left, true);
		*left = !atomic_exchange(&shared->parted, true);
	}
	if (*left)
		return rc;
	/* It is there, or comes at once. */
	eventfd_read(shared->event, &event);
	rc = shared->rc;
	shared_free(shared);
	return rc;
}
