/* SPDX-License-Identifier: BSD-2-Clause */
/* See fiber_run.h. */
#include "fiber_run.h"

#include <errno.h>
#include <stdio.h>

#include "unit.h"
#include "util/error.h"

static int run(const struct worker_options *options, fiber_fn *fn, void *arg)
{
	struct error error = { 0 };
	struct worker *worker;
	int result;

	if (worker_create(&worker, options, &error)) {
		printf("  %s\n", error.text);
		CU_FAIL("no worker");
		return -ENOSYS;
	}
	result = worker_run(worker, fn, arg);
	worker_destroy(worker);
	return result;
}

int fiber_run_virtual(enum worker_engine engine, fiber_fn *fn, void *arg)
{
	return run(&(struct worker_options){ .engine = engine, .virtual_clock = true, .seed = 1 },
		   fn, arg);
}

int fiber_run_real(enum worker_engine engine, fiber_fn *fn, void *arg)
{
	return run(&(struct worker_options){ .engine = engine, .seed = 1 }, fn, arg);
}

enum worker_engine fiber_run_first_engine(void)
{
	struct worker *worker = NULL;
	int failed = worker_create(&worker,
				   &(struct worker_options){ .engine = WORKER_ENGINE_URING }, NULL);

	if (failed)
		return WORKER_ENGINE_AIO;
	worker_destroy(worker);
	return WORKER_ENGINE_URING;
}

int fiber_run_each(fiber_fn *fn, void *arg)
{
	fiber_run_virtual(fiber_run_first_engine(), fn, arg);
	return fiber_run_virtual(WORKER_ENGINE_AIO, fn, arg);
}
