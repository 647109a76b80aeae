/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exploring a run; see explore.h.
 *
 * A run is recorded once. Then its trace is gone through: `durable` is over the disks as they were at the beginning and has what became
 * durable so far; `state` is over that, and has one subset of what is not, and what the array does to it. So no image
 * is ever copied. What nobody wrote to since the beginning fits together, and is left out of resync and comparison; each
 * so manieth state is gone over as a whole all the same.
 *
 * A subset is looked at when its newest write is issued, and again, a few of them, when the user was told that a flush is done: then
 * the same disks must hold more.
 */
#include "tools/lab/explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "tools/lab/run.h"
#include "tools/lab/store.h"
#include "util/bytes.h"

#define PENDING_MOST 4096u
#define EPOCH        1700000000ull

struct lab_explorer {
	const struct lab_scenario *scenario;
	struct lab_explored *out;
	struct lab_trace trace;
	struct lab_oracle oracle;
	struct lab_store *base[LAB_DISKS], *durable[LAB_DISKS];
	struct lab_disk *disks[LAB_DISKS];
	struct lab_store *state[LAB_DISKS]; /* the disks' */
	struct lab_rack rack;
	struct random random;
	int base_roles[LAB_DISKS];
	bool base_fits; /* what nobody wrote to fits together */
	const struct lab_explore_options *options;

	/* Writes that are not durable, as places in the trace, and which of them are kept. */
	uint64_t pending[PENDING_MOST];
	bool kept[PENDING_MOST];
	unsigned pending_count;

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
		explorer->base[i] = run->disks[i]->store;
		run->disks[i]->store =
			lab_store_create(run->disks[i]->block.size, explorer->base[i]);
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
		if (lab_store_has_page(explorer->state[i], page) ||
		    lab_store_has_page(explorer->durable[i], page))
			return false;
	return true;
}

/* Whether nobody has, at all. */
static bool is_hole(const struct lab_explorer *explorer, uint64_t page)
{
	for (unsigned i = 0; i < explorer->scenario->disk_count; i++)
		if (lab_store_hole_length(explorer->state[i], page, 1) != 1)
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
	unsigned left;

	explorer->failed = true;
	if (out->failures++)
		return;
	snprintf(out->what, sizeof(out->what), "%s", what);
	out->kind = kind;
	out->at_write = out->writes;
	out->state = out->states;
	out->lost_disk = explorer->lost;
	out->pending = calloc(explorer->pending_count + 1, sizeof(*out->pending));
	if (!out->pending)
		abort();
	for (unsigned i = 0; i < explorer->pending_count; i++)
		out->keep_count += explorer->kept[i];
	left = out->keep_count;
	for (unsigned i = 0, kept = 0; i < explorer->pending_count; i++)
		out->pending[explorer->kept[i] ? kept++ : left++] =
			explorer->trace.events[explorer->pending[i]].number;
	out->pending_count = explorer->pending_count;
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
		    raid_probe(&explorer->disks[i]->block, &info, NULL) != 0)
			blocks[count++] = &explorer->disks[i]->block;
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
				    explorer->out->states % explorer->scenario->explore.full))
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

/* Bytes of an event; NULL: zeroes. */
static void write_event(struct lab_store *store, const struct lab_trace_event *event)
{
	if (event->data)
		lab_store_write(store, event->offset, event->data, event->length);
	else
		lab_store_zero(store, event->offset, event->length);
}

static bool is_enough(const struct lab_explorer *explorer)
{
	return explorer->out->states >= explorer->scenario->explore.states ||
	       (explorer->options->first && explorer->out->failures);
}

static void look_at_state(struct lab_explorer *explorer)
{
	const struct lab_explore *plan = &explorer->scenario->explore;
	unsigned members = (unsigned)explorer->scenario->array.members;

	if (is_enough(explorer))
		return;
	explorer->failed = false;
	explorer->lost = plan->lose ? (unsigned)(explorer->out->states % members) : UINT32_MAX;
	for (unsigned i = 0; i < explorer->scenario->disk_count; i++)
		lab_store_reset(explorer->state[i]);
	for (unsigned i = 0; i < explorer->pending_count; i++) {
		const struct lab_trace_event *event = &explorer->trace.events[explorer->pending[i]];

		if (!explorer->kept[i])
			continue;
		write_event(explorer->state[event->disk], event);
	}
	look_at_array(explorer);
	explorer->out->states++;
}

/* ---- Subsets ---- */

static void keep_all(struct lab_explorer *explorer, bool keep)
{
	for (unsigned i = 0; i < explorer->pending_count; i++)
		explorer->kept[i] = keep;
}

/* All subsets, or none, all, all but one or two by chance, and samples; each with the newest, if there is a new one. */
static void look_at_subsets(struct lab_explorer *explorer, bool newest)
{
	const struct lab_explore *plan = &explorer->scenario->explore;
	unsigned count = explorer->pending_count - newest;

	explorer->out->moments++;
	if (count <= plan->subsets) {
		for (uint64_t set = 0; set < 1ull << count; set++) {
			for (unsigned i = 0; i < explorer->pending_count; i++)
				explorer->kept[i] = i >= count || set >> i & 1;
			look_at_state(explorer);
		}
		return;
	}
	for (uint64_t sample = 0; sample < plan->samples; sample++) {
		uint64_t chance = random_below(&explorer->random, 101);

		keep_all(explorer, sample == 1);
		for (unsigned i = 0; sample > 1 && i < count; i++)
			explorer->kept[i] = random_below(&explorer->random, 100) < chance;
		if (newest)
			explorer->kept[count] = true;
		look_at_state(explorer);
	}
}

/* ---- The trace ---- */

/* What is in a cache is never written over something newer that went past it: it has that from now on. */
static void supersede(struct lab_trace_event *old, const struct lab_trace_event *newer)
{
	uint64_t start = MAX(old->offset, newer->offset);
	uint64_t end = MIN(old->offset + old->length, newer->offset + newer->length);

	if (old->disk != newer->disk || start >= end)
		return;
	if (!old->data)
		old->data = calloc(1, old->length);
	if (!old->data)
		abort();
	if (newer->data)
		memcpy((char *)old->data + (start - old->offset),
		       (const char *)newer->data + (start - newer->offset), end - start);
	else
		memset((char *)old->data + (start - old->offset), 0, end - start);
}

static void becomes_durable(struct lab_explorer *explorer, uint64_t number)
{
	struct lab_trace_event *events = explorer->trace.events;
	unsigned at = 0;

	while (at < explorer->pending_count && events[explorer->pending[at]].number != number)
		at++;
	if (at == explorer->pending_count)
		return;
	write_event(explorer->durable[events[explorer->pending[at]].disk],
		    &events[explorer->pending[at]]);
	for (unsigned i = 0; i < at; i++)
		supersede(&events[explorer->pending[i]], &events[explorer->pending[at]]);
	explorer->pending_count--;
	memmove(&explorer->pending[at], &explorer->pending[at + 1],
		(explorer->pending_count - at) * sizeof(explorer->pending[0]));
}

static void go_on(struct lab_explorer *explorer, uint64_t at)
{
	const struct lab_trace_event *event = &explorer->trace.events[at];

	switch (event->kind) {
	case LAB_TRACE_WRITE:
		/* The caches make room. */
		if (explorer->pending_count == PENDING_MOST)
			becomes_durable(explorer,
					explorer->trace.events[explorer->pending[0]].number);
		explorer->out->writes = event->number;
		explorer->pending[explorer->pending_count++] = at;
		look_at_subsets(explorer, true);
		break;
	case LAB_TRACE_DURABLE:
		becomes_durable(explorer, event->number);
		break;
	case LAB_TRACE_ISSUE:
		lab_oracle_issue(&explorer->oracle, event->offset, event->length);
		break;
	case LAB_TRACE_ACK:
		lab_oracle_ack(&explorer->oracle, event->offset, event->length,
			       (uint32_t)event->number, event->flag);
		if (event->flag)
			look_at_subsets(explorer, false);
		break;
	case LAB_TRACE_FLUSH:
		break;
	case LAB_TRACE_FLUSHED:
		lab_oracle_flushed(&explorer->oracle, event->number);
		look_at_subsets(explorer, false);
		break;
	}
}

static int explore_fiber(void *arg)
{
	struct lab_explorer *explorer = arg;
	struct lab_disk_model model = { .kind = LAB_MODEL_INSTANT };

	lab_disk_model_complete(&model);
	for (unsigned i = 0; i < explorer->scenario->disk_count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		model.size = explorer->scenario->models[i].size;
		explorer->durable[i] = lab_store_create(model.size, explorer->base[i]);
		explorer->state[i] = lab_store_create(model.size, explorer->durable[i]);
		explorer->disks[i] =
			lab_disk_create(&explorer->rack, i, name, explorer->state[i], &model, i);
	}
	for (uint64_t at = 0; at < explorer->trace.count && !is_enough(explorer); at++)
		go_on(explorer, at);
	for (unsigned i = 0; i < explorer->scenario->disk_count; i++) {
		block_unref(&explorer->disks[i]->block);
		lab_store_free(explorer->durable[i]);
	}
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
	explorer->random.state = options->seed;
	rc = run_explorer(explorer, error);
	for (unsigned i = 0; i < scenario->disk_count; i++)
		lab_store_free(explorer->base[i]);
	lab_trace_free(&explorer->trace);
	lab_oracle_end(&explorer->oracle);
	free(explorer);
	return rc;
}
