/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exploring a run; see explore.h.
 *
 * A run is recorded once, and states.c goes through its trace. What nobody wrote to since the beginning fits together, and is left
 * out of resync and comparison; each so manieth state is gone over as a whole all the same.
 */
#include "tools/lab/explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "tools/lab/run.h"
#include "tools/lab/states.h"
#include "tools/lab/store.h"
#include "util/bytes.h"

#define EPOCH 1700000000ull

struct lab_explorer {
	const struct lab_scenario *scenario;
	struct lab_explored *out;
	struct lab_trace trace;
	struct lab_oracle oracle;
	struct lab_states states;
	int base_roles[LAB_DISKS];
	bool base_fits; /* what nobody wrote to fits together */
	const struct lab_explore_options *options;

	struct raid_array *array;
	unsigned lost;
	bool failed, forced; /* of the state */
};

/* ---- Recording ---- */

static void begun(struct lab_run *run, void *arg)
{
	struct lab_explorer *explorer = arg;
	struct raid_status status;

	for (unsigned i = 0; i < run->scenario->disk_count; i++) {
		explorer->states.base[i] = run->disks[i]->store;
		run->disks[i]->store =
			lab_store_create(run->disks[i]->block.size, explorer->states.base[i]);
	}
	for (unsigned i = 0; i < LAB_DISKS; i++)
		explorer->base_roles[i] = RAID_SPARE;
	list_for_each(at, &run->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_active(member))
			explorer->base_roles[lab_disk_of(member->block)->index] = member->role;
	}
	lab_oracle_copy(&explorer->oracle, &run->oracle);
	raid_status(run->array, &status);
	explorer->base_fits = !status.degraded && status.progress.operation == RAID_IDLE &&
			      status.level != RAID_LEVEL_10;
	raid_status_free(&status);
}

/* ---- One state ---- */

/* Whether nobody has written to the page since the beginning. */
static bool is_untouched(const struct lab_explorer *explorer, uint64_t page)
{
	for (unsigned i = 0; i < explorer->scenario->disk_count; i++)
		if (lab_store_has_page(explorer->states.state[i], page) ||
		    lab_store_has_page(explorer->states.durable[i], page))
			return false;
	return true;
}

/* Whether nobody has, at all. */
static bool is_hole(const struct lab_explorer *explorer, uint64_t page)
{
	for (unsigned i = 0; i < explorer->scenario->disk_count; i++)
		if (lab_store_hole_length(explorer->states.state[i], page, 1) != 1)
			return false;
	return true;
}

/* Each member has the place that it had at the beginning; a spare that took one has not the others' data. */
static bool has_same_members(const struct lab_explorer *explorer)
{
	list_for_each(at, &explorer->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_active(member) &&
		    explorer->base_roles[lab_disk_of(member->block)->index] != member->role)
			return false;
	}
	return true;
}

static bool is_known(void *arg, uint64_t sector, uint64_t *count)
{
	struct lab_explorer *explorer = arg;
	const struct raid_member *first =
		list_entry(explorer->array->members.next, struct raid_member, node);
	uint64_t page = (first->sb.data_offset + sector) * LAB_SECTOR >> LAB_PAGE_SHIFT;
	uint64_t pages = (*count * LAB_SECTOR) >> LAB_PAGE_SHIFT, same = 0;
	bool all = has_same_members(explorer), known = false, now;

	for (; same < pages; same++) {
		now = all ? is_untouched(explorer, page + same) : is_hole(explorer, page + same);
		if (same && now != known)
			break;
		known = now;
	}
	if (!same)
		return false;
	*count = MIN(*count, same << LAB_PAGE_SHIFT >> 9);
	return known;
}

/* With two to be lost, it is neighbours. */
static bool is_lost(const struct lab_explorer *explorer, unsigned disk)
{
	uint64_t members = explorer->scenario->array.members;

	return explorer->lost != UINT32_MAX &&
	       (disk == explorer->lost ||
		(explorer->scenario->explore.lose == 2 && disk == (explorer->lost + 1) % members));
}

static void state_fails(struct lab_explorer *explorer, enum lab_failing kind, const char *what)
{
	struct lab_explored *out = explorer->out;

	explorer->failed = true;
	if (out->failures++)
		return;
	snprintf(out->what, sizeof(out->what), "%s", what);
	out->kind = kind;
	out->at_write = explorer->states.writes;
	out->state = explorer->states.states;
	out->lost_disk = explorer->lost;
	out->pending = lab_states_pending(&explorer->states, &out->keep_count, &out->pending_count);
}

static void found(void *arg, const struct lab_damage *damage)
{
	struct lab_explorer *explorer = arg;
	char text[300];

	if (explorer->failed)
		return;
	if (!explorer->out->failures)
		explorer->out->sector = damage->sector;
	if (!damage->silent)
		snprintf(text, sizeof(text), "sector %llu cannot be read",
			 (unsigned long long)damage->sector);
	else
		snprintf(text, sizeof(text),
			 "sector %llu, which nobody was writing to or which was flushed, holds "
			 "version %lld, expected %u to %u",
			 (unsigned long long)damage->sector,
			 damage->found == LAB_ANYTHING ? -1LL : (long long)damage->found,
			 damage->legal.least, damage->legal.most);
	state_fails(explorer, damage->silent ? LAB_FAILS_SILENT : LAB_FAILS_UNREADABLE, text);
}

static void look_at_data(struct lab_explorer *explorer)
{
	struct lab_check check = { .block = raid_array_block(explorer->array),
				   .oracle = &explorer->oracle,
				   .offset = explorer->scenario->workload.offset,
				   .crashed = true,
				   .only_still = explorer->forced ||
						 (explorer->lost != UINT32_MAX &&
						  explorer->scenario->array.consistency !=
							  LAB_BY_JOURNAL),
				   .damage = found,
				   .arg = explorer };

	lab_check_region(&check);
}

static int assemble(struct lab_explorer *explorer, bool force, struct error *error)
{
	const struct raid_assemble_options options = { .force = force,
						       .no_resync = true,
						       .now = EPOCH };
	struct block *blocks[LAB_DISKS];
	unsigned count = 0;
	struct raid_info info;

	for (unsigned i = 0; i < explorer->scenario->disk_count; i++)
		if (!is_lost(explorer, i) &&
		    raid_probe(&explorer->states.disks[i]->block, &info, NULL) != 0)
			blocks[count++] = &explorer->states.disks[i]->block;
	return raid_assemble(&explorer->array, blocks, count, &options, error);
}

/* The array comes up, has what it must have, before and after the resync, and its members fit together then. */
static void look_at_array(struct lab_explorer *explorer)
{
	struct error error = { 0 };
	uint64_t mismatches = 0;
	int rc = assemble(explorer, false, &error);

	/* With a log it is known what was being written: nobody has to insist then. */
	explorer->forced = rc == -EBUSY &&
			   (explorer->lost != UINT32_MAX || explorer->scenario->events.count) &&
			   explorer->scenario->array.consistency < LAB_BY_PPL;
	if (explorer->forced) {
		explorer->out->refused++;
		rc = assemble(explorer, true, &error);
	}
	if (rc) {
		state_fails(explorer, LAB_FAILS_REFUSED, error.text);
		return;
	}
	if (explorer->base_fits && (!explorer->scenario->explore.full ||
				    explorer->states.states % explorer->scenario->explore.full))
		raid_rebuild_know(explorer->array, is_known, explorer);
	look_at_data(explorer);
	raid_sync_resume(explorer->array);
	if (!explorer->failed && explorer->lost == UINT32_MAX &&
	    !raid_level_maps(explorer->array->level)) {
		rc = lab_scrub(explorer->array, &mismatches, &error);
		if (rc)
			state_fails(explorer, LAB_FAILS_MISFIT, error.text);
		else if (mismatches)
			state_fails(explorer, LAB_FAILS_MISFIT,
				    "members do not fit together after the resync");
		if (!explorer->failed)
			look_at_data(explorer);
	}
	raid_stop(steal_pointer(&explorer->array), NULL);
}

static void look_at_state(void *arg)
{
	struct lab_explorer *explorer = arg;
	uint64_t members = explorer->scenario->array.members;

	explorer->failed = false;
	explorer->lost = explorer->scenario->explore.lose
				 ? (unsigned)(explorer->states.states % members)
				 : UINT32_MAX;
	look_at_array(explorer);
}

static bool is_enough(void *arg)
{
	struct lab_explorer *explorer = arg;

	return explorer->options->first && explorer->out->failures;
}

static bool user_event(void *arg, const struct lab_trace_event *event)
{
	struct lab_oracle *oracle = &((struct lab_explorer *)arg)->oracle;

	switch (event->kind) {
	case LAB_TRACE_ISSUE:
		lab_oracle_issue(oracle, event->offset, event->length);
		return false;
	case LAB_TRACE_ACK:
		lab_oracle_ack(oracle, event->offset, event->length, (uint32_t)event->number,
			       event->flag);
		return event->flag;
	case LAB_TRACE_FLUSHED:
		lab_oracle_flushed(oracle, event->number);
		return true;
	default:
		return false;
	}
}

static int explore_fiber(void *arg)
{
	struct lab_explorer *explorer = arg;
	struct lab_states *states = &explorer->states;

	states->plan = &explorer->scenario->explore;
	states->trace = &explorer->trace;
	states->disk_count = explorer->scenario->disk_count;
	states->seed = explorer->options->seed;
	states->event = user_event;
	states->look = look_at_state;
	states->is_enough = is_enough;
	states->arg = explorer;
	lab_states_run(states);
	explorer->out->states = states->states;
	explorer->out->writes = states->writes;
	explorer->out->moments = states->moments;
	return 0;
}

static int run_explorer(struct lab_explorer *explorer, struct error *error)
{
	struct lab_run_options options = { .seed = explorer->options->seed,
					   .trace = &explorer->trace,
					   .begun = begun,
					   .arg = explorer };
	struct worker_options worker_options = { .virtual_clock = true,
						 .seed = explorer->options->seed + 1 };
	struct lab_result result;
	struct worker *worker;
	int rc = lab_run_scenario(explorer->scenario, &options, &result, error);

	lab_result_end(&result);
	if (!rc)
		rc = worker_create(&worker, &worker_options, error);
	if (rc)
		return rc;
	worker_run(worker, explore_fiber, explorer);
	worker_destroy(worker);
	return 0;
}

int lab_explore_run(const struct lab_scenario *scenario, const struct lab_explore_options *options,
		    struct lab_explored *explored, struct error *error)
{
	struct lab_explorer *explorer = calloc(1, sizeof(*explorer));
	int rc;

	if (!explorer)
		return error_set(error, -ENOMEM, "out of memory");
	*explored = (struct lab_explored){ .lost_disk = UINT32_MAX };
	explorer->scenario = scenario;
	explorer->out = explored;
	explorer->options = options;
	rc = run_explorer(explorer, error);
	for (unsigned i = 0; i < scenario->disk_count; i++)
		lab_store_free(explorer->states.base[i]);
	lab_trace_free(&explorer->trace);
	lab_oracle_end(&explorer->oracle);
	free(explorer);
	return rc;
}
