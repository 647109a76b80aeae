/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moments and what happens then.
 *
 * An event is *fired* where its moment is seen, by a request at a disk, a sample or a timer. What is wrong with a disk is so at
 * once; power, and what an administrator does, which takes time, is done by one fiber, in order. The power is off from the moment
 * on; that fiber lets the array end, decides what the disks have kept, and assembles again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/run.h"
#include "util/bytes.h"

#define SECOND_NS 1000000000ull

/* ---- Disks ---- */

static void arm(struct lab_run *run, const struct lab_event *event, struct lab_disk *disk,
		enum lab_fault fault)
{
	struct lab_rule rule = { .fault = fault,
				 .offset = event->sector * LAB_SECTOR,
				 .length = event->sectors * LAB_SECTOR,
				 .until_ns = event->for_ns ? worker_now() + event->for_ns : 0,
				 .count = event->count,
				 .factor = event->factor,
				 .latency_ns = event->latency_ns,
				 .shift = (int64_t)(event->shift * LAB_SECTOR),
				 .fails = event->fails,
				 .reads = event->reads };

	(void)run;
	if (fault == LAB_FAULT_TORN) {
		rule.sectors = event->sectors;
		rule.length = 0;
	}
	lab_disk_arm(disk, &rule);
}

static void break_disk(struct lab_run *run, const struct lab_event *event, struct lab_disk *disk)
{
	static const enum lab_fault faults[] = {
		[LAB_DO_LOSS] = LAB_FAULT_GONE,
		[LAB_DO_DROP] = LAB_FAULT_GONE,
		[LAB_DO_HANG] = LAB_FAULT_HANG,
		[LAB_DO_SLOW] = LAB_FAULT_SLOW,
		[LAB_DO_LATENT] = LAB_FAULT_LATENT,
		[LAB_DO_ERRORS] = LAB_FAULT_ERROR,
		[LAB_DO_TORN] = LAB_FAULT_TORN,
		[LAB_DO_LOST] = LAB_FAULT_LOST,
		[LAB_DO_MISDIRECT] = LAB_FAULT_MISDIRECTED,
		[LAB_DO_REORDER] = LAB_FAULT_NO_FLUSH,
		[LAB_DO_ROT] = LAB_FAULT_ROT,
		[LAB_DO_FULL] = LAB_FAULT_FULL,
	};

	if (event->action == LAB_DO_ROT && !event->count && !event->reads)
		lab_disk_rot(disk, event->sector * LAB_SECTOR, event->sectors * LAB_SECTOR,
			     event->bits);
	else
		arm(run, event, disk, faults[event->action]);
	if (event->action == LAB_DO_LOSS)
		disk->gone = true;
}

/* ---- Firing ---- */

static void fire(struct lab_run *run, struct lab_fired *fired)
{
	const struct lab_event *event = fired->event;
	char moment[LAB_MOMENT_TEXT], which[80] = "";

	fired->fired = true;
	for (unsigned i = 0; i < event->disks.count; i++)
		snprintf(which + strlen(which), sizeof(which) - strlen(which), "%s disk%llu",
			 i ? "," : "", (unsigned long long)event->disks.values[i]);
	lab_run_note(run, true, "%s%s (at %s)", lab_action_names[event->action], which,
		     lab_moment_format(&event->at, moment));
	for (unsigned i = 0; event->action <= LAB_DO_FULL && i < event->disks.count; i++)
		break_disk(run, event, run->disks[event->disks.values[i]]);
	if (event->action <= LAB_DO_FULL)
		return;
	if (event->action == LAB_DO_POWER)
		lab_rack_cut(&run->rack);
	run->due[run->due_count++] = fired;
	fiber_queue_wake_all(&run->operator_queue);
}

struct lab_later {
	struct lab_run *run;
	struct lab_fired *fired;
	uint64_t ns;
};

static int later_fiber(void *arg)
{
	struct lab_later *later = arg;
	uint64_t end = worker_now() + later->ns;

	/* In steps, so that the end of the run is not put off by what never comes. */
	while (worker_now() < end && !later->run->ending)
		fiber_sleep(MIN(end - worker_now(), MAX(later->ns / 64, 1000000)));
	if (!later->run->ending)
		fire(later->run, later->fired);
	later->run->operating--;
	free(later);
	return 0;
}

static void fire_later(struct lab_run *run, struct lab_fired *fired, uint64_t ns)
{
	struct lab_later *later = malloc(sizeof(*later));

	if (!later)
		abort();
	*later = (struct lab_later){ run, fired, ns };
	fired->timed = true;
	run->operating++;
	fiber_start(later_fiber, later);
}

static void comes(struct lab_run *run, struct lab_fired *fired)
{
	if (fired->event->after_ns)
		fire_later(run, fired, fired->event->after_ns);
	else
		fire(run, fired);
}

/* ---- Moments ---- */

static bool holds(struct lab_run *run, enum lab_state state, const struct raid_status *status)
{
	enum raid_operation operation = status->progress.operation;

	switch (state) {
	case LAB_WHEN_CLEAN:
		return status->clean;
	case LAB_WHEN_DIRTY:
		return !status->clean;
	case LAB_WHEN_DEGRADED:
		return status->degraded;
	case LAB_WHEN_REBUILDING:
		return operation == RAID_RECOVER;
	case LAB_WHEN_RESYNCING:
		return operation == RAID_RESYNC;
	case LAB_WHEN_REBUILT:
		return operation == RAID_IDLE && !status->degraded &&
		       (run->was_degraded || run->was_syncing);
	case LAB_WHEN_IDLE:
		return operation == RAID_IDLE;
	case LAB_WHEN_DONE:
		return lab_workload_done(run);
	}
	return false;
}

void lab_events_look(struct lab_run *run, const struct raid_status *status)
{
	uint64_t percent = 0;

	if (run->looking)
		return;
	run->looking = true;
	if (status->progress.total && status->progress.operation != RAID_IDLE)
		percent = (uint64_t)((double)status->progress.position * 100000 /
				     (double)status->progress.total);
	for (unsigned i = 0; i < run->scenario->events.count; i++) {
		struct lab_fired *fired = &run->fired[i];
		const struct lab_moment *at = &fired->event->at;

		if (fired->fired || fired->timed)
			continue;
		if (at->kind == LAB_AT_PERCENT && status->progress.operation != RAID_IDLE &&
		    status->progress.total && percent >= fired->value)
			comes(run, fired);
		else if (at->kind == LAB_AT_STATE && holds(run, at->state, status))
			comes(run, fired);
	}
	run->looking = false;
}

uint64_t lab_events_pace(const struct lab_run *run, const struct raid_status *status)
{
	uint64_t most = UINT64_MAX;

	/* It is held at its beginning until it has been seen to run. */
	if (status->progress.operation == RAID_IDLE)
		return 0;
	for (unsigned i = 0; i < run->scenario->events.count; i++) {
		const struct lab_fired *fired = &run->fired[i];

		if (!fired->fired && !fired->timed && fired->event->at.kind == LAB_AT_PERCENT)
			most = MIN(most, fired->value);
	}
	return most;
}

static bool is_touched(const struct lab_run *run, const struct lab_fired *fired,
		       const struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
		       uint64_t length)
{
	uint64_t byte = fired->value * LAB_SECTOR;

	switch (fired->event->at.kind) {
	case LAB_AT_WRITE:
		return touch == LAB_TOUCH_WRITE && run->rack.writes >= fired->value;
	case LAB_AT_FLUSH:
		return touch == LAB_TOUCH_FLUSH && run->rack.flushes >= fired->value;
	case LAB_AT_SECTOR:
		return touch == LAB_TOUCH_WRITE && offset <= byte && byte < offset + length &&
		       (!fired->event->disks.count || fired->event->disks.values[0] == disk->index);
	default:
		return false;
	}
}

void lab_events_touch(void *arg, struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
		      uint64_t length)
{
	struct lab_run *run = arg;
	bool states = false;

	for (unsigned i = 0; i < run->scenario->events.count; i++) {
		struct lab_fired *fired = &run->fired[i];

		if (fired->fired || fired->timed)
			continue;
		states = states || fired->event->at.kind == LAB_AT_STATE ||
			 fired->event->at.kind == LAB_AT_PERCENT;
		if (is_touched(run, fired, disk, touch, offset, length))
			comes(run, fired);
	}
	if (states && run->block && run->target->prompt && ++run->looks % 8 == 0) {
		struct raid_status status;

		run->target->status(run, &status);
		lab_events_look(run, &status);
		raid_status_free(&status);
	}
}

bool lab_events_to_come(const struct lab_run *run)
{
	return run->operating || run->due_done < run->due_count;
}

/* ---- Power ---- */

static bool is_kept(void *arg, uint64_t number)
{
	const struct lab_numbers *keep = arg;

	for (unsigned i = 0; i < keep->count; i++)
		if (keep->values[i] == number)
			return true;
	return false;
}

static void come_back(struct lab_run *run, bool force)
{
	if (run->target->assemble(run, force, &run->error)) {
		lab_run_note(run, false, "it does not assemble: %s", run->error.text);
		return;
	}
	lab_run_check(run, true);
	fiber_queue_wake_all(&run->workload_queue);
}

static void power(struct lab_run *run, const struct lab_event *event)
{
	struct lab_numbers keep = event->keep;
	uint64_t off = worker_now();

	if (!run->block) {
		lab_rack_power_on(&run->rack);
		return;
	}
	run->target->power_lost(run);
	for (unsigned i = 0; i < run->scenario->disk_count; i++)
		lab_disk_settle(run->disks[i], event->keep_said ? is_kept : NULL, &keep);
	for (unsigned i = 0; i < event->lose.count; i++)
		run->disks[event->lose.values[i]]->gone = true;
	lab_oracle_crash(&run->oracle);
	fiber_sleep(event->for_ns ? event->for_ns : SECOND_NS);
	run->result->off_ns += worker_now() - off;
	lab_rack_power_on(&run->rack);
	lab_run_note(run, true, "power is back");
	come_back(run, event->force);
}

/* ---- In order ---- */

static int operator_fiber(void *arg)
{
	struct lab_run *run = arg;

	while (!run->ending || run->due_done < run->due_count) {
		const struct lab_event *event;
		int rc = 0;

		if (run->due_done == run->due_count) {
			fiber_queue_wait_always(&run->operator_queue);
			continue;
		}
		event = run->due[run->due_done]->event;
		if (event->action == LAB_DO_POWER)
			power(run, event);
		else if (run->block)
			rc = run->target->administrate(run, event, &run->error);
		if (rc)
			lab_run_note(run, false, "%s: %s", lab_action_names[event->action],
				     run->error.text);
		run->due_done++;
	}
	run->operator_running = false;
	fiber_queue_wake_all(&run->workload_queue);
	return 0;
}

/* ---- Begin and end ---- */

void lab_events_begin(struct lab_run *run)
{
	unsigned count = run->scenario->events.count;

	run->fired = calloc(count + 1, sizeof(*run->fired));
	run->due = calloc(count + 1, sizeof(struct lab_fired *));
	if (!run->fired || !run->due)
		abort();
	fiber_queue_init(&run->operator_queue);
	for (unsigned i = 0; i < count; i++) {
		const struct lab_event *event = lab_scenario_event(run->scenario, i);
		uint64_t range = event->at.most - event->at.least;

		run->fired[i].event = event;
		run->fired[i].value =
			event->at.least + (range ? random_below(&run->random, range + 1) : 0);
		if (event->at.kind == LAB_AT_TIME)
			fire_later(run, &run->fired[i], run->fired[i].value + event->after_ns);
	}
	run->operator_running = true;
	fiber_start(operator_fiber, run);
	run->rack.look = lab_events_touch;
	run->rack.look_arg = run;
}

void lab_events_end(struct lab_run *run)
{
	run->ending = true;
	fiber_queue_wake_all(&run->operator_queue);
	while (run->operating || run->operator_running)
		fiber_queue_wait(&run->workload_queue, SECOND_NS / 100);
	run->rack.look = NULL;
	free(run->due);
	run->due = NULL;
}
