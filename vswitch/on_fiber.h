/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A switch whose rounds are run by a fiber, on the clock of its worker: with a virtual one a network of any number of switches
 * and the fibers that use it passes its hours in no time, and the same way each time from the same seeds. The switch has no thread
 * of its own then, and does not look at descriptors: its ports are others' in memory.
 */
#ifndef TENON_VSWITCH_ON_FIBER_H
#define TENON_VSWITCH_ON_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"

struct vswitch;

/* For vswitch_options.clock; `arg` is not used. On fibers. */
uint64_t vswitch_worker_clock(void *arg);

struct vswitch_on_fiber {
	struct vswitch *vswitch;
	struct fiber_queue queue;
	struct fiber *fiber;
	bool woken, ending;
};

/* Starts the fiber. The switch was made with that clock, and outlives it. */
void vswitch_on_fiber_start(struct vswitch_on_fiber *runner, struct vswitch *vswitch);
/* There are frames at a port: to be called by who put them there, on the same worker. */
void vswitch_on_fiber_wake(struct vswitch_on_fiber *runner);
/* Waits for the fiber's end, which is at once. */
void vswitch_on_fiber_stop(struct vswitch_on_fiber *runner);

#endif
