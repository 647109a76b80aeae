/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker is asked; create.c makes them, loop.c runs them. */
#include "fiber/worker_private.h"

_Thread_local struct worker *worker_self;

uint64_t worker_clock(const struct worker *worker)
{
	return worker->virtual_clock ? worker->virtual_now : monotonic_ns();
}

struct worker *worker_current(void)
{
	return worker_self;
}

const char *worker_engine_name(const struct worker *worker)
{
	return worker->engine->name;
}

uint64_t worker_now(void)
{
	return worker_clock(worker_self);
}

uint64_t worker_random(void)
{
	return random_next(&worker_self->random);
}

unsigned worker_fibers(void)
{
	return worker_self->fibers;
}

unsigned worker_requests(void)
{
	return worker_self->in_flight;
}

void worker_counters(const struct worker *worker, struct worker_counters *out)
{
	*out = worker->counters;
}
