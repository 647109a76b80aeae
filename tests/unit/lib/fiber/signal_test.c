/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals that wake a fiber, on both engines. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "fiber/signal.h"
#include "fiber_run.h"

#define MS 1000000ULL

static int wait_for_usr2(void *arg)
{
	return fiber_wait_signal(arg);
}

static int signals(void *arg)
{
	struct fiber *fiber;
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* One that comes while the worker sleeps; one that is pending already. */
	fiber = fiber_spawn(wait_for_usr2, &set);
	fiber_sleep(20 * MS);
	kill(getpid(), SIGUSR2);
	CU_ASSERT_EQUAL(fiber_join(fiber), SIGUSR2);
	kill(getpid(), SIGUSR2);
	CU_ASSERT_EQUAL(fiber_wait_signal(&set), SIGUSR2);

	fiber = fiber_spawn(wait_for_usr2, &set);
	fiber_sleep(MS);
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), -ECANCELED);
	return 0;
}

static void test_a_fiber_waits_for_signals(void)
{
	CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), signals, NULL), 0);
	CU_ASSERT_EQUAL(fiber_run_real(WORKER_ENGINE_AIO, signals, NULL), 0);
}

UNIT_MAIN("fiber signals", UNIT(test_a_fiber_waits_for_signals))
