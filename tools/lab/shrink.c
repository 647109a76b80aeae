/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shrinking; see shrink.h.
 *
 * `plan` is the shortest so far, always one that was tried and fails. A step changes a copy of it, which takes its place if it
 * fails, too. Steps that leave out halves come before steps that leave out single things, and all of them are taken again until
 * none helps.
 */
#include "tools/lab/shrink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid.h"
#include "tools/lab/explore.h"
#include "tools/lab/run.h"
#include "util/bytes.h"
#include "util/error.h"

#define TRIES_MOST 3000u
#define OPS_MOST   20000u /* a longer workload stays what it is, and is cut short */
#define ROUNDS     4u

struct shrinker {
	struct lab_scenario plan;
	uint64_t seed;
	/* Whether a scenario fails in the way that is to be kept. */
	bool (*fails)(struct shrinker *shrinker, const struct lab_scenario *candidate);
	struct lab_shrunk *out;
	struct lab_pool pool;

	enum lab_failing kind; /* of an exploration */
	char unmet[64];        /* of a run: what comes before the colon */
	uint64_t sector;       /* of a power loss: what it damages */
	bool had_events;
};

/* ---- Trying ---- */

/* Something has to go wrong: what is expected of a rebuild is not met where there is none, either. */
static bool is_about_something(const struct shrinker *shrinker,
			       const struct lab_scenario *candidate)
{
	return candidate->events.count || !shrinker->had_events;
}

/* Takes the candidate if it fails, as it is when it was written and read. */
static bool take(struct shrinker *shrinker, const struct lab_scenario *candidate)
{
	CLEANUP_FREE char *text = lab_scenario_text(candidate);
	struct lab_scenario read;
	struct error error = { 0 };
	bool fails;

	if (shrinker->out->tries >= TRIES_MOST || !is_about_something(shrinker, candidate))
		return false;
	shrinker->out->tries++;
	fails = !lab_scenario_parse(&read, "shrunk", text, strlen(text), &error) &&
		shrinker->fails(shrinker, &read);
	if (fails) {
		lab_scenario_free(&shrinker->plan);
		shrinker->plan = read;
	} else {
		lab_scenario_free(&read);
	}
	return fails;
}

/* Leaves out what it can of `count` things: `without` is a plan without those from `first` on. Returns how many are left. */
static unsigned leave_out(struct shrinker *shrinker, unsigned count,
			  void (*without)(struct shrinker *shrinker, struct lab_scenario *candidate,
					  unsigned first, unsigned few))
{
	for (unsigned few = count; few; few = few == 1 ? 0 : (few + 1) / 2) {
		for (unsigned first = 0; first < count;) {
			struct lab_scenario candidate = shrinker->plan;
			unsigned some = MIN(few, count - first);

			without(shrinker, &candidate, first, some);
			if (take(shrinker, &candidate))
				count -= some;
			else
				first += some;
		}
	}
	return count;
}

/* ---- What can be left out ---- */

static void without_ops(struct shrinker *shrinker, struct lab_scenario *candidate, unsigned first,
			unsigned few)
{
	struct lab_texts *ops = &candidate->workload.ops, all = *ops;
	struct lab_workload_plan *plan = &candidate->workload;

	ops->count = all.count - few;
	ops->texts = lab_pool_alloc(&shrinker->pool, (ops->count + 1) * sizeof(char *));
	memcpy(ops->texts, all.texts, first * sizeof(char *));
	memcpy(ops->texts + first, all.texts + first + few, (ops->count - first) * sizeof(char *));
	if (!ops->count)
		plan->kind = LAB_WORKLOAD_NONE;
}

static void without_events(struct shrinker *shrinker, struct lab_scenario *candidate,
			   unsigned first, unsigned few)
{
	struct lab_maps *events = &candidate->events, all = *events;
	struct lab_event *kept;

	events->count = all.count - few;
	kept = lab_pool_alloc(&shrinker->pool, (events->count + 1) * sizeof(*kept));
	memcpy(kept, all.items, first * sizeof(*kept));
	memcpy(kept + first, (struct lab_event *)all.items + first + few,
	       (events->count - first) * sizeof(*kept));
	events->items = kept;
}

static unsigned least_members(int level)
{
	return level == RAID_LEVEL_6 ? 4 : level == RAID_LEVEL_5 || level == RAID_LEVEL_4 ? 3 : 2;
}

/* Each number that may be smaller: the first that will do. */
static void smaller_numbers(struct shrinker *shrinker)
{
	static const uint64_t sizes[] = { 2 << 20, 3 << 20,  4 << 20, 6 << 20,
					  8 << 20, 16 << 20, 32 << 20 };
	unsigned least = least_members(shrinker->plan.array.level);

	for (unsigned count = least; count < shrinker->plan.array.members; count++) {
		struct lab_scenario candidate = shrinker->plan;

		candidate.array.members = count;
		if (take(shrinker, &candidate))
			break;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct lab_scenario candidate = shrinker->plan;

		if (sizes[i] >= candidate.disks.model.size)
			break;
		candidate.disks.model.size = sizes[i];
		if (take(shrinker, &candidate))
			break;
	}
	for (uint64_t length = 4096; length < shrinker->plan.workload.length; length *= 2) {
		struct lab_scenario candidate = shrinker->plan;

		candidate.workload.length = length;
		if (take(shrinker, &candidate))
			break;
	}
}

/* What is said and need not be: as it is where nothing is said. */
static void plainer(struct shrinker *shrinker)
{
	struct lab_scenario candidate = shrinker->plan;

#define TRY(field, value)                                                                          \
	do {                                                                                       \
		candidate = shrinker->plan;                                                        \
		candidate.field = (value);                                                         \
		if (memcmp(&candidate.field, &shrinker->plan.field, sizeof(candidate.field)) != 0) \
			take(shrinker, &candidate);                                                \
	} while (0)
	TRY(array.spares, 0);
	TRY(array.layout, NULL);
	TRY(array.metadata, NULL);
	TRY(array.size, 0);
	TRY(array.rebuild_max, 0);
	TRY(array.rebuild_min, LAB_NO_LIMIT);
	TRY(array.consistency, LAB_BY_RESYNC);
	TRY(array.bitmap_chunk, 0);
	TRY(array.assume_clean, true);
	TRY(array.chunk, 4096);
	TRY(disks.each.count, 0);
	TRY(disks.model.kind, LAB_MODEL_INSTANT);
	TRY(workload.fill, false);
	TRY(workload.offset, 0);
	TRY(workload.depth, 1);
	TRY(workload.rate, 0);
	TRY(workload.time_ns, 0);
	TRY(explore.lose, 0);
	TRY(explore.lose, MIN(shrinker->plan.explore.lose, 1));
#undef TRY
}

/* A workload that cannot be written down as single requests is made shorter. */
static void shorter_workload(struct shrinker *shrinker)
{
	for (unsigned i = 0; i < 40; i++) {
		struct lab_scenario candidate = shrinker->plan;

		candidate.workload.count /= 2;
		candidate.workload.time_ns /= 2;
		if (candidate.workload.kind == LAB_WORKLOAD_SCRIPT ||
		    (!candidate.workload.count && !candidate.workload.time_ns) ||
		    !take(shrinker, &candidate))
			break;
	}
}

static void shorter_op(struct shrinker *shrinker, unsigned index, const struct lab_op *op)
{
	struct lab_scenario candidate = shrinker->plan;
	struct lab_texts *ops = &candidate.workload.ops;
	char text[LAB_OP_TEXT];

	ops->texts = lab_pool_alloc(&shrinker->pool, ops->count * sizeof(char *));
	memcpy(ops->texts, shrinker->plan.workload.ops.texts, ops->count * sizeof(char *));
	ops->texts[index] = lab_pool_text(&shrinker->pool, lab_op_format(op, text));
	take(shrinker, &candidate);
}

static void shorter_ops(struct shrinker *shrinker)
{
	for (unsigned i = 0; i < shrinker->plan.workload.ops.count; i++) {
		struct lab_op op = shrinker->plan.workload.script[i];

		if (op.kind == LAB_OP_FLUSH || op.kind == LAB_OP_WAIT || op.count <= 8)
			continue;
		op.count = 8;
		shorter_op(shrinker, i, &op);
	}
}

static void shrink(struct shrinker *shrinker)
{
	unsigned round = 0;
	bool helped;

	do {
		CLEANUP_FREE char *old = lab_scenario_text(&shrinker->plan);
		CLEANUP_FREE char *now = NULL;

		shorter_workload(shrinker);
		leave_out(shrinker, shrinker->plan.workload.ops.count, without_ops);
		leave_out(shrinker, shrinker->plan.events.count, without_events);
		smaller_numbers(shrinker);
		plainer(shrinker);
		shorter_ops(shrinker);
		now = lab_scenario_text(&shrinker->plan);
		helped = strcmp(old, now) != 0;
	} while (helped && ++round < ROUNDS);
}

/* ---- A workload as single requests ---- */

static void add_op(struct shrinker *shrinker, struct lab_texts *ops, const struct lab_op *op)
{
	char text[LAB_OP_TEXT];

	ops->texts[ops->count++] = lab_pool_text(&shrinker->pool, lab_op_format(op, text));
}

/* As the run of `plan` made them. Without a flush's end and the like: only what was asked for. */
static void make_script(struct shrinker *shrinker, const struct lab_trace *trace,
			struct lab_scenario *candidate)
{
	struct lab_texts *ops = &candidate->workload.ops;

	candidate->workload.kind = LAB_WORKLOAD_SCRIPT;
	candidate->workload.log = NULL;
	candidate->workload.count = 0;
	candidate->workload.flush_every = 0;
	candidate->workload.reads = 0;
	candidate->workload.time_ns = 0;
	*ops = (struct lab_texts){ 0 };
	ops->texts = lab_pool_alloc(&shrinker->pool, (trace->count + 1) * sizeof(char *));
	for (uint64_t i = 0; i < trace->count; i++) {
		const struct lab_trace_event *event = &trace->events[i];

		if (event->kind == LAB_TRACE_ISSUE)
			add_op(shrinker, ops,
			       &(struct lab_op){ event->flag ? LAB_OP_FUA : LAB_OP_WRITE,
						 event->offset, event->length });
		else if (event->kind == LAB_TRACE_FLUSH)
			add_op(shrinker, ops, &(struct lab_op){ LAB_OP_FLUSH, 0, 0 });
	}
}

static void write_script(struct shrinker *shrinker)
{
	struct lab_scenario candidate = shrinker->plan;
	struct lab_trace trace = { 0 };
	struct lab_run_options options = { .seed = shrinker->seed, .trace = &trace };
	struct lab_result result;
	struct error error = { 0 };

	if (candidate.workload.kind == LAB_WORKLOAD_SCRIPT ||
	    candidate.workload.kind == LAB_WORKLOAD_NONE)
		return;
	if (!lab_run_scenario(&candidate, &options, &result, &error)) {
		make_script(shrinker, &trace, &candidate);
		if (candidate.workload.ops.count && candidate.workload.ops.count <= OPS_MOST)
			take(shrinker, &candidate);
	}
	lab_result_end(&result);
	lab_trace_free(&trace);
}

/* ---- Of an exploration ---- */

static bool exploring_fails(struct shrinker *shrinker, const struct lab_scenario *candidate)
{
	const struct lab_explore_options options = { .seed = shrinker->seed, .first = true };
	struct lab_explored explored = { 0 };
	struct error error = { 0 };
	bool fails = !lab_explore_run(candidate, &options, &explored, &error) &&
		     explored.failures && explored.kind == shrinker->kind;

	if (fails)
		snprintf(shrinker->out->what, sizeof(shrinker->out->what), "%s", explored.what);
	free(explored.pending);
	return fails;
}

static bool has_damage(const struct lab_result *result, uint64_t sector, bool silent)
{
	for (unsigned i = 0; i < result->damage_count; i++) {
		const struct lab_damage *damage = &result->damages[i];

		if (damage->silent == silent && sector >= damage->sector &&
		    sector < damage->sector + damage->count)
			return true;
	}
	return false;
}

static bool replay_fails(struct shrinker *shrinker, const struct lab_scenario *candidate)
{
	struct lab_run_options options = { .seed = shrinker->seed };
	struct lab_result result;
	struct error error = { 0 };
	bool fails = !lab_run_scenario(candidate, &options, &result, &error) && !result.met;

	switch (shrinker->kind) {
	case LAB_FAILS_SILENT:
	case LAB_FAILS_UNREADABLE:
		fails = fails &&
			has_damage(&result, shrinker->sector, shrinker->kind == LAB_FAILS_SILENT);
		break;
	case LAB_FAILS_REFUSED:
		fails = fails && !result.assembled;
		break;
	case LAB_FAILS_MISFIT:
		fails = fails && result.mismatches;
		break;
	}
	lab_result_end(&result);
	return fails;
}

static struct lab_event power_of(struct shrinker *shrinker, const struct lab_explored *explored)
{
	uint64_t *lose = lab_pool_alloc(&shrinker->pool, 2 * sizeof(*lose));
	struct lab_event event = {
		.at = { .said = true,
			.kind = LAB_AT_WRITE,
			.least = explored->at_write,
			.most = explored->at_write },
		.action = LAB_DO_POWER,
		.keep = { explored->pending, explored->keep_count },
		.keep_said = true,
	};

	if (explored->lost_disk == UINT32_MAX)
		return event;
	lose[0] = explored->lost_disk;
	lose[1] = (explored->lost_disk + 1ull) % shrinker->plan.array.members;
	event.lose = (struct lab_numbers){ lose, (unsigned)shrinker->plan.explore.lose };
	event.force = true;
	return event;
}

/* One more write is kept, until none can be: the fewest that have to be lost. */
static void keep_more(struct shrinker *shrinker, const struct lab_explored *explored)
{
	unsigned last = shrinker->plan.events.count - 1, lost = 0;

	for (unsigned i = explored->keep_count; i < explored->pending_count; i++) {
		struct lab_scenario candidate = shrinker->plan;
		struct lab_event *events =
			lab_pool_alloc(&shrinker->pool, (last + 1) * sizeof(*events));
		struct lab_numbers *keep = &events[last].keep, now;

		memcpy(events, candidate.events.items, (last + 1) * sizeof(*events));
		now = *keep;
		keep->values = lab_pool_alloc(&shrinker->pool, (now.count + 1) * sizeof(uint64_t));
		memcpy(keep->values, now.values, now.count * sizeof(uint64_t));
		keep->values[keep->count++] = explored->pending[i];
		candidate.events.items = events;
		lost += !take(shrinker, &candidate);
	}
	shrinker->out->lost_writes = lost;
}

/* The power loss that was found, as an event. */
static void add_power(struct shrinker *shrinker, const struct lab_explored *explored)
{
	struct lab_scenario candidate = shrinker->plan;
	struct lab_event *events =
		lab_pool_alloc(&shrinker->pool, (candidate.events.count + 1) * sizeof(*events));

	if (candidate.events.count)
		memcpy(events, candidate.events.items, candidate.events.count * sizeof(*events));
	events[candidate.events.count++] = power_of(shrinker, explored);
	candidate.events.items = events;
	lab_scenario_usual_explore(&candidate.explore);
	if (explored->lost_disk != UINT32_MAX)
		candidate.expect.state = LAB_END_ANY;
	shrinker->fails = replay_fails;
	shrinker->sector = explored->sector;
	if (take(shrinker, &candidate))
		keep_more(shrinker, explored);
	else
		shrinker->out->explored = true;
}

/* ---- Of a run ---- */

static void unmet_of(const struct lab_result *result, char unmet[64])
{
	snprintf(unmet, 64, "%.*s", (int)strcspn(result->failures[0], ":"), result->failures[0]);
	/* "latency-at-most 10ms" */
	unmet[strcspn(unmet, " ")] = '\0';
}

static bool run_fails(struct shrinker *shrinker, const struct lab_scenario *candidate)
{
	struct lab_run_options options = { .seed = shrinker->seed };
	struct lab_result result;
	struct error error = { 0 };
	char unmet[64] = "";
	bool fails = !lab_run_scenario(candidate, &options, &result, &error) && !result.met;

	if (fails)
		unmet_of(&result, unmet);
	if (fails && !shrinker->unmet[0])
		snprintf(shrinker->unmet, sizeof(shrinker->unmet), "%s", unmet);
	fails = fails && !strcmp(unmet, shrinker->unmet);
	if (fails)
		snprintf(shrinker->out->what, sizeof(shrinker->out->what), "%s",
			 result.failures[0]);
	lab_result_end(&result);
	return fails;
}

/* ---- Both ---- */

/* As it was read, so that steps may free it. */
static int begin(struct shrinker *shrinker, const struct lab_scenario *scenario, uint64_t seed,
		 struct lab_shrunk *shrunk, struct error *error)
{
	CLEANUP_FREE char *text = NULL;
	struct lab_scenario named = *scenario;
	char name[200];

	*shrunk = (struct lab_shrunk){ 0 };
	*shrinker = (struct shrinker){ .seed = seed, .out = shrunk };
	snprintf(name, sizeof(name), "%s-shrunk", scenario->name);
	named.name = name;
	named.seed = seed;
	named.about = NULL;
	text = lab_scenario_text(&named);
	shrinker->had_events = scenario->events.count;
	return lab_scenario_parse(&shrinker->plan, scenario->name, text, strlen(text), error);
}

static void end(struct shrinker *shrinker, bool fails)
{
	struct lab_shrunk *out = shrinker->out;

	if (fails) {
		out->text = lab_scenario_text(&shrinker->plan);
		out->ops = shrinker->plan.workload.ops.count;
		out->events = shrinker->plan.events.count;
		out->members = (unsigned)shrinker->plan.array.members;
	}
	lab_scenario_free(&shrinker->plan);
	lab_pool_free(&shrinker->pool);
}

int lab_shrink_explored(const struct lab_scenario *scenario, uint64_t seed,
			struct lab_shrunk *shrunk, struct error *error)
{
	const struct lab_explore_options options = { .seed = seed, .first = true };
	struct lab_explored explored = { 0 };
	struct shrinker shrinker;
	int rc = begin(&shrinker, scenario, seed, shrunk, error);

	if (!rc)
		rc = lab_explore_run(&shrinker.plan, &options, &explored, error);
	if (!rc && explored.failures) {
		shrinker.kind = explored.kind;
		shrinker.fails = exploring_fails;
		snprintf(shrunk->what, sizeof(shrunk->what), "%s", explored.what);
		write_script(&shrinker);
		shrink(&shrinker);
		free(steal_pointer(&explored.pending));
		rc = lab_explore_run(&shrinker.plan, &options, &explored, error);
		if (!rc && explored.failures)
			add_power(&shrinker, &explored);
	}
	free(explored.pending);
	end(&shrinker, !rc && explored.failures);
	return rc;
}

int lab_shrink_run(const struct lab_scenario *scenario, uint64_t seed, struct lab_shrunk *shrunk,
		   struct error *error)
{
	struct shrinker shrinker;
	int rc = begin(&shrinker, scenario, seed, shrunk, error);
	bool fails = false;

	if (!rc) {
		shrinker.fails = run_fails;
		fails = run_fails(&shrinker, &shrinker.plan);
	}
	if (fails) {
		shorter_workload(&shrinker);
		write_script(&shrinker);
		shrink(&shrinker);
	}
	end(&shrinker, fails);
	return rc;
}
