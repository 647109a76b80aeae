/* SPDX-License-Identifier: BSD-2-Clause */
/* See on_fiber.h. */
#include "vswitch/on_fiber.h"

#include "vswitch/switch.h"

uint64_t vswitch_worker_clock(void *arg)
{
	(void)arg;
	return worker_now();
}

static int go_round(void *arg)
{
	struct vswitch_on_fiber *runner = arg;

	while (!runner->ending) {
		uint64_t next, now;

		runner->woken = false;
		while (!runner->ending && vswitch_round(runner->vswitch))
			fiber_yield();
		next = vswitch_next_timer(runner->vswitch);
		now = worker_now();
		if (next == UINT64_MAX)
			now = 0;
		if (!runner->woken && !runner->ending && next > now)
			fiber_queue_wait(&runner->queue, next - now);
	}
	return 0;
}

void vswitch_on_fiber_start(struct vswitch_on_fiber *runner, struct vswitch *vswitch)
{
	*runner = (struct vswitch_on_fiber){ .vswitch = vswitch };
	fiber_queue_init(&runner->queue);
	runner->fiber = fiber_spawn(go_round, runner);
}

void vswitch_on_fiber_wake(struct vswitch_on_fiber *runner)
{
	runner->woken = true;
	fiber_queue_wake_one(&runner->queue);
}

void vswitch_on_fiber_stop(struct vswitch_on_fiber *runner)
{
	runner->ending = true;
	fiber_queue_wake_one(&runner->queue);
	fiber_join(runner->fiber);
}
