/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers on threads of their own. */
#include <pthread.h>

#include "fiber/worker_private.h"
#include "util/thread.h"

static void *thread_main(void *arg)
{
	struct worker *worker = arg;

	worker->thread_result = worker_run(worker, worker->thread_fn, worker->thread_arg);
	return NULL;
}

int worker_start(struct worker *worker, const char *name, fiber_fn *fn, void *arg)
{
	worker->thread_fn = fn;
	worker->thread_arg = arg;
	return thread_start(&worker->thread, name, thread_main, worker);
}

int worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	return worker->thread_result;
}
