/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at a run: samples for the timeline, how long it was degraded and exposed, and when it is over. Looks come closer together at
 * the beginning and take at most a five hundredth of the time so far, so that a rebuild of days has as many as one of seconds.
 */
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "tools/lab/run.h"
#include "tools/lab/store.h"
#include "util/bytes.h"

int lab_redundancy(const struct raid_status *status)
{
	unsigned away = status->raid_disks - status->working;

	if (status->failed)
		return -1;
	switch (status->level) {
	case RAID_LEVEL_1:
		return (int)status->working - 1;
	case RAID_LEVEL_6:
		return 2 - (int)away;
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
	case RAID_LEVEL_10:
		return 1 - (int)MIN(away, 1u);
	default:
		return 0;
	}
}

bool lab_level_has_redundancy(int level)
{
	return level != RAID_LEVEL_0 && level != RAID_LEVEL_LINEAR;
}

/* Half as many, each for twice the time. */
static void halve(struct lab_result *result)
{
	for (unsigned i = 0; i < LAB_SAMPLES / 2; i++) {
		struct lab_sample *to = &result->samples[i];
		const struct lab_sample a = result->samples[2 * i], b = result->samples[2 * i + 1];

		*to = b;
		to->latency = MAX(a.latency, b.latency);
		to->ops = a.ops + b.ops;
		to->rate = (a.rate + b.rate) / 2;
		to->depth = MAX(a.depth, b.depth);
		to->degraded = a.degraded || b.degraded;
		to->exposed = a.exposed || b.exposed;
		to->off = a.off || b.off;
	}
	result->sample_count = LAB_SAMPLES / 2;
}

static void add_sample(struct lab_run *run, const struct lab_sample *sample)
{
	struct lab_result *result = run->result;

	if (result->sample_count == LAB_SAMPLES)
		halve(result);
	result->samples[result->sample_count++] = *sample;
}

/* ---- Phases ---- */

const char *const lab_health_names[] = { "off", "failed", "exposed", "degraded", "whole", NULL };

static enum lab_health health_of(const struct raid_status *status, const struct lab_sample *sample)
{
	return status->failed     ? LAB_FAILED
	       : sample->exposed  ? LAB_EXPOSED
	       : sample->degraded ? LAB_DEGRADED
				  : LAB_WHOLE;
}

static void add_phase(struct lab_result *result, uint64_t ns, enum lab_health health,
		      enum raid_operation operation)
{
	const struct lab_phase *last =
		result->phase_count ? &result->phases[result->phase_count - 1] : NULL;

	if (last && last->health == health && last->operation == operation)
		return;
	/* By powers of two. */
	if ((result->phase_count & (result->phase_count - 1)) == 0)
		result->phases = realloc(result->phases, (2 * (size_t)result->phase_count + 1) *
								 sizeof(*result->phases));
	if (!result->phases)
		abort();
	result->phases[result->phase_count++] = (struct lab_phase){ ns, health, operation };
}

/* ---- Samples ---- */

static void take_status(struct lab_run *run, const struct raid_status *status,
			struct lab_sample *sample, uint64_t passed)
{
	struct lab_result *result = run->result;
	bool busy;

	sample->operation = status->progress.operation;
	sample->degraded = status->degraded;
	sample->exposed = lab_level_has_redundancy(status->level) && lab_redundancy(status) <= 0;
	busy = sample->operation == RAID_RECOVER || sample->operation == RAID_RESYNC;
	sample->rate = busy ? status->progress.rate : 0;
	add_phase(result, sample->ns, health_of(status, sample), sample->operation);
	result->rebuild_ns += busy ? passed : 0;
	result->degraded_ns += sample->degraded ? passed : 0;
	result->exposed_ns += sample->exposed ? passed : 0;
	if ((run->was_degraded || run->was_syncing) && !sample->degraded && !busy)
		result->rebuilt_at_ns = sample->ns;
	else if (sample->degraded || busy)
		result->rebuilt_at_ns = 0;
	lab_events_look(run, status);
	if (run->target->pace)
		run->target->pace(run, lab_events_pace(run, status));
	run->was_degraded = sample->degraded || (run->was_degraded && !result->rebuilt_at_ns);
	run->was_syncing = busy || (run->was_syncing && !result->rebuilt_at_ns);
}

void lab_look(struct lab_run *run)
{
	struct lab_work_counts *work = &run->result->work;
	struct lab_sample sample = { .ns = lab_run_now(run), .off = run->rack.off };
	uint64_t passed = sample.ns - run->looked_ns,
		 ops = work->reads + work->writes + work->flushes;

	sample.depth = run->rack.in_flight;
	sample.latency = work->latency_most_now;
	work->latency_most_now = 0;
	sample.ops = ops - run->ops_seen;
	run->ops_seen = ops;
	run->looked_ns = sample.ns;
	if (run->block) {
		struct raid_status status;

		run->target->status(run, &status);
		/* The power may have gone while one asked. */
		if (run->block)
			take_status(run, &status, &sample, passed);
		raid_status_free(&status);
	}
	if (!run->block)
		add_phase(run->result, sample.ns, LAB_OFF, RAID_IDLE);
	add_sample(run, &sample);
	run->tick_ns = MAX(run->target->tick_ns, run->target->real_time ? 0 : sample.ns / 500);
}

static bool is_quiet(struct lab_run *run)
{
	if (!lab_workload_done(run) || lab_events_to_come(run))
		return false;
	return !run->block || (run->target->is_idle(run) && !run->rack.off);
}

bool lab_run_is_over(struct lab_run *run)
{
	uint64_t now = lab_run_now(run);

	if (now >= run->scenario->until_ns) {
		run->result->timed_out = !is_quiet(run);
		return true;
	}
	if (!is_quiet(run))
		run->idle_ns = 0;
	else if (!run->idle_ns)
		run->idle_ns = now;
	return run->idle_ns && now - run->idle_ns >= run->target->quiet_ns;
}

/* ---- Long stretches of nothing ---- */

/* How many sectors from `sector` on, of each member, were never written: as they are on all members, they fit together. */
static uint64_t hole_of_all(struct lab_run *run, uint64_t sector, uint64_t count)
{
	list_for_each(at, &run->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);
		uint64_t from = (member->sb.data_offset + sector) * LAB_SECTOR;
		uint64_t page = from >> LAB_PAGE_SHIFT, hole;

		if (member->role < 0 || from % LAB_PAGE)
			continue;
		hole = lab_store_hole_length(lab_disk_of(member->block)->store, page,
					     count * LAB_SECTOR >> LAB_PAGE_SHIFT);
		count = MIN(count, hole << LAB_PAGE_SHIFT >> 9);
	}
	return count;
}

bool lab_run_leap(void *arg, uint64_t sector, uint64_t *count)
{
	uint64_t least = 256ull * RAID_REBUILD_SECTORS, now = worker_now(), most, leap;
	struct lab_run *run = arg;
	struct raid_rebuild *rebuild;

	if (!run->array) /* it is ending */
		return false;
	rebuild = &run->array->rebuild;
	most = rebuild->total / 1024;
	/* Some windows are done in between, as they are; and all of them while somebody uses the array. */
	/* A resync of RAID10 goes over the array, not its members. */
	if (run->array->level->level == RAID_LEVEL_10 && rebuild->operation != RAID_RECOVER)
		return false;
	if (rebuild->total < 4096 * least || ++run->leaps % 5 ||
	    run->array->requests_begun != run->array->requests_ended)
		return false;
	leap = hole_of_all(run, sector, MIN(MIN(most, *count), rebuild->total - sector));
	if (leap < least || (run->array->intent && rebuild->operation == RAID_RESYNC))
		return false;
	*count = leap;
	list_for_each(at, &run->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);
		struct lab_disk *disk = lab_disk_of(member->block);

		if (member->role < 0)
			continue;
		lab_disk_pass(&disk->time, now, (member->sb.data_offset + sector) * LAB_SECTOR,
			      leap * LAB_SECTOR, rebuild->speed.most);
	}
	return true;
}
