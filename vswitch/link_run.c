/* SPDX-License-Identifier: BSD-2-Clause */
/* A port's way through a schedule; see link_schedule.h. */
#include <stdlib.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/link_schedule.h"

/* Steps in one go, so that a script which has fallen far behind does not hold its thread. */
#define STEPS_AT_ONCE 256

void link_run_start(struct link_run *run, struct link_schedule *schedule, unsigned port)
{
	*run = (struct link_run){ .schedule = schedule, .port = port, .due = schedule->began };
	run->loops[0].began = schedule->began;
}

static uint64_t wait_of(struct link_run *run, const struct link_step *step)
{
	uint64_t span = step->most - step->least, bits;

	if (!span)
		return step->least;
	bits = random_mix(
		random_mix(random_mix(run->schedule->seed) + ++run->waits * 0x9e3779b97f4a7c15ULL));
	return step->least + (uint64_t)(((unsigned __int128)bits * (span + 1)) >> 64);
}

static void begin_pass(struct link_run *run)
{
	run->loops[run->depth].began = run->due;
}

/* The steps that are about time. */
static void go_on(struct link_run *run, const struct link_step *step)
{
	run->step++;
	switch (step->kind) {
	case LINK_STEP_WAIT:
		run->due += wait_of(run, step);
		break;
	case LINK_STEP_AT:
		run->due = MAX(run->due, run->loops[run->depth].began + step->least);
		break;
	case LINK_STEP_REPEAT:
		run->loops[++run->depth].passed = 0;
		begin_pass(run);
		break;
	case LINK_STEP_END:
		if (step->count && ++run->loops[run->depth].passed == step->count) {
			run->depth--;
			break;
		}
		run->step = step->start;
		begin_pass(run);
		break;
	default:
		break;
	}
}

const struct link_step *link_run_next(struct link_run *run, uint64_t now)
{
	for (unsigned i = 0; i < STEPS_AT_ONCE && run->due <= now; i++) {
		const struct link_step *step = &run->schedule->steps[run->step];

		if (step->kind == LINK_STEP_FINISH)
			return NULL;
		go_on(run, step);
		if (step->kind >= LINK_STEP_DOWN && step->ports >> run->port & 1) {
			run->changes++;
			run->last_line = step->line;
			run->last_due = run->due;
			return step;
		}
	}
	return NULL;
}

uint64_t link_run_due(const struct link_run *run)
{
	return run->schedule->steps[run->step].kind == LINK_STEP_FINISH ? UINT64_MAX : run->due;
}
