/* SPDX-License-Identifier: BSD-2-Clause */
/* See thread.h. */
#include "util/thread.h"

#include <sched.h>
#include <signal.h>

int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg)
{
	sigset_t mask, before;
	int rc;

	sigfillset(&mask);
	sigdelset(&mask, SIGBUS);
	sigdelset(&mask, SIGSEGV);
	/* It inherits the mask: no moment with another one. */
	pthread_sigmask(SIG_SETMASK, &mask, &before);
	rc = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc)
		pthread_setname_np(*thread, name);
	return -rc;
}

bool single_processor(void)
{
	cpu_set_t set;

	return (!sched_getaffinity(1, sizeof(set), &set) ||
		!sched_getaffinity(0, sizeof(set), &set)) &&
	       CPU_COUNT(&set) == 1;
}
