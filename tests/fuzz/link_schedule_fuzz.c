/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A script of links (vswitch/link_schedule.h) from anywhere. What is taken is gone through by each of its ports: time does not go back, no
 * script does more at one moment than it has steps for each millisecond's pass of its repeats, and all of them are the same from the same seed.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/link_schedule.h"

#define STEPS 3000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What happened, as a number. */
static uint64_t go_through(struct link_schedule *schedule, unsigned port)
{
	uint64_t now = schedule->began, trail = port;
	struct link_run run = { 0 };
	unsigned at_once = 0;

	link_run_start(&run, link_schedule_take(schedule), port);
	for (unsigned i = 0; i < STEPS; i++) {
		const struct link_step *step = link_run_next(&run, now);
		uint64_t due = link_run_due(&run);

		if (step) {
			if (!(step->ports >> port & 1) && step->kind != LINK_STEP_SIDE &&
			    step->kind != LINK_STEP_FINISH)
				abort();
			/* In one millisecond: itself and a pass of each repeat there is. */
			if (++at_once > LINK_SCHEDULE_STEPS * (LINK_SCHEDULE_DEPTH + 1))
				abort();
			trail = trail * 31 + step->kind + step->line + now;
			continue;
		}
		if (due == UINT64_MAX)
			break;
		if (due <= now)
			abort();
		if (due - now >= LINK_SCHEDULE_PASS_NS)
			at_once = 0;
		now = due;
	}
	link_schedule_drop(run.schedule);
	return trail;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_schedule_files files = { 1, { { "t", "1\n5\n" } } };
	struct link_schedule *schedule = NULL;
	struct error error = { 0 };
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (link_schedule_read(&schedule, "script", text, "p0", &files, &error)) {
		if (!error.text[0] || schedule)
			abort();
	} else {
		if (schedule->port_count > LINK_SCHEDULE_PORTS ||
		    schedule->step_count > LINK_SCHEDULE_STEPS + 1)
			abort();
		schedule->began = 1000;
		for (unsigned port = 0; port < MIN(schedule->port_count, 3u); port++)
			if (go_through(schedule, port) != go_through(schedule, port))
				abort();
		link_schedule_drop(schedule);
	}
	free(text);
	return 0;
}
