/* Workers on threads of their own. */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "fiber/worker_private.h"

static void *thread_main(void *arg)
{
	struct worker *worker = arg;

	pthread_setname_np(pthread_self(), worker->thread_name);
	worker->thread_result = worker_run(worker, worker->thread_fn, worker->thread_arg);
	return NULL;
}

int worker_start(struct worker *worker, const char *name, fiber_fn *fn, void *arg)
{
	sigset_t all, before;
	int failed;

	worker->thread_fn = fn;
	worker->thread_arg = arg;
	strncpy(worker->thread_name, name, sizeof(worker->thread_name) - 1);
	/* Signals are for the thread that made this one. */
	sigfillset(&all);
	/* A fault that is blocked ends the process, whatever handler there is: virtio/memory_guard.h. */
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&worker->thread, NULL, thread_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -failed;
}

int worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	return worker->thread_result;
}
