/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/thread: threads that leave signals to others, but not faults. */
#include "unit.h"

#include <signal.h>
#include <string.h>

#include "util/thread.h"

struct seen {
	sigset_t mask;
};

static void *look(void *arg)
{
	struct seen *seen = arg;

	pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
	return NULL;
}

static void test_signals_are_others_and_faults_are_not(void)
{
	static const int others[] = { SIGTERM, SIGINT, SIGPIPE, SIGXFSZ, SIGHUP, SIGTTOU };
	sigset_t before, after;
	struct seen seen;
	pthread_t thread;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "looks", look, &seen), 0);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CU_ASSERT(sigismember(&seen.mask, others[i]));
	CU_ASSERT(!sigismember(&seen.mask, SIGBUS));
	CU_ASSERT(!sigismember(&seen.mask, SIGSEGV));
	/* Whoever started it keeps its own. */
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	CU_ASSERT_EQUAL(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
	CU_ASSERT_EQUAL(sigismember(&after, SIGPIPE), sigismember(&before, SIGPIPE));
}

UNIT_MAIN("thread", UNIT(test_signals_are_others_and_faults_are_not))
