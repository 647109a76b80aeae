/* SPDX-License-Identifier: BSD-2-Clause */
/* The language of scenarios as tables, and what must fit together; see scenario.h. */
#include "tools/lab/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/geometry.h"
#include "raid/raid.h"
#include "tools/lab/encode.h"
#include "tools/lab/oracle.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"
#include "util/error.h"

#define SECOND_NS 1000000000ull

const char *const lab_action_names[] = {
	"loss",   "drop",      "hang",    "slow",  "latent", "errors",  "torn",
	"lost",   "misdirect", "reorder", "rot",   "full",   "power",   "fail",
	"remove", "add",       "replace", "check", "repair", "restart", NULL,
};
const char *const lab_consistency_names[] = { "resync", "bitmap", "ppl", "journal", NULL };
const char *const lab_data_names[] = { "intact", "lost", "any", NULL };
const char *const lab_end_names[] = { "whole", "degraded", "failed", "any", NULL };
static const char *const workload_names[] = { "none",   "sequential", "random", "database",
					      "replay", "script",     NULL };

/* ---- Keys ---- */

#define ARRAY_AT(field) offsetof(struct lab_array_plan, field)
static const struct lab_key array_keys[] = {
	{ "level", LAB_TEXT, ARRAY_AT(level_text), .needed = true },
	{ "members", LAB_NUMBER, ARRAY_AT(members), .needed = true, .least = 1, .most = 24 },
	{ "layout", LAB_TEXT, ARRAY_AT(layout) },
	{ "chunk", LAB_SIZE, ARRAY_AT(chunk), .least = 4096, .most = 1 << 30 },
	{ "spares", LAB_NUMBER, ARRAY_AT(spares), .most = 7 },
	{ "metadata", LAB_TEXT, ARRAY_AT(metadata) },
	{ "consistency", LAB_CHOICE, ARRAY_AT(consistency), .choices = lab_consistency_names },
	{ "bitmap-chunk", LAB_SIZE, ARRAY_AT(bitmap_chunk), .least = 4096, .most = 1 << 30 },
	{ "size", LAB_SIZE, ARRAY_AT(size), .least = 4096, .most = 1ull << 50 },
	{ "assume-clean", LAB_BOOL, ARRAY_AT(assume_clean) },
	{ "rebuild-max", LAB_SIZE, ARRAY_AT(rebuild_max), .least = 1024, .most = 1ull << 40 },
	{ "rebuild-min", LAB_SIZE, ARRAY_AT(rebuild_min), .least = 0, .most = 1ull << 40 },
	{ 0 },
};

#define HOUR_NS (3600 * SECOND_NS)
#define MODEL_KEYS(at)                                                                             \
	{ "model", LAB_CHOICE, at(kind), .choices = lab_model_names },                             \
		{ "size", LAB_SIZE, at(size), .least = 1 << 20, .most = 1ull << 46 },              \
		{ "seek-least", LAB_DURATION, at(seek_least_ns), .least = 1, .most = SECOND_NS },  \
		{ "seek-most", LAB_DURATION, at(seek_most_ns), .least = 1, .most = SECOND_NS },    \
		{ "rotation", LAB_DURATION, at(rotation_ns), .least = 1, .most = SECOND_NS },      \
		{ "rate", LAB_SIZE, at(rate), .least = 1024, .most = 1ull << 40 },                 \
		{ "rate-inner", LAB_SIZE, at(rate_inner), .least = 1024, .most = 1ull << 40 },     \
		{ "latency", LAB_DURATION, at(latency_ns), .least = 1, .most = HOUR_NS },          \
		{ "channels", LAB_NUMBER, at(channels), .least = 1, .most = LAB_CHANNELS },        \
		{ "flush", LAB_DURATION, at(flush_ns), .least = 1, .most = HOUR_NS },              \
		{ "cache", LAB_SIZE, at(cache), .least = 4096, .most = 1ull << 32 },               \
		{ "media-cache", LAB_SIZE, at(media_cache), .least = 4096, .most = 1ull << 46 },   \
		{ "clean-rate", LAB_SIZE, at(clean_rate), .least = 1024, .most = 1ull << 40 },     \
		{ "read-errors", LAB_NUMBER, at(read_errors), .most = 1ull << 40 },                \
		{ "link-errors", LAB_NUMBER, at(link_errors), .most = 1000000 },                   \
	{                                                                                          \
		"retry", LAB_DURATION, at(retry_ns), .least = 1, .most = HOUR_NS                   \
	}
#define EACH_AT(field)  offsetof(struct lab_each_disk, model.field)
#define DISKS_AT(field) offsetof(struct lab_disks_plan, model.field)
static const struct lab_key each_keys[] = {
	{ "disk", LAB_NUMBER, offsetof(struct lab_each_disk, disk), .needed = true, .most = 31 },
	MODEL_KEYS(EACH_AT),
	{ 0 },
};
static const struct lab_key disks_keys[] = {
	MODEL_KEYS(DISKS_AT),
	{ "each", LAB_MAPS, offsetof(struct lab_disks_plan, each), .keys = each_keys,
	  .size = sizeof(struct lab_each_disk) },
	{ 0 },
};

#define WORK_AT(field) offsetof(struct lab_workload_plan, field)
static const struct lab_key workload_keys[] = {
	{ "kind", LAB_CHOICE, WORK_AT(kind), .needed = true, .choices = workload_names },
	{ "offset", LAB_SIZE, WORK_AT(offset), .most = 1ull << 50 },
	{ "length", LAB_SIZE, WORK_AT(length), .least = 4096, .most = 1ull << 32 },
	{ "block", LAB_SIZE, WORK_AT(block), .least = 512, .most = 4 << 20 },
	{ "depth", LAB_NUMBER, WORK_AT(depth), .least = 1, .most = 64 },
	{ "reads", LAB_NUMBER, WORK_AT(reads), .most = 100 },
	{ "flush-every", LAB_NUMBER, WORK_AT(flush_every), .most = 1u << 30 },
	{ "count", LAB_NUMBER, WORK_AT(count), .least = 1, .most = 1u << 30 },
	{ "rate", LAB_NUMBER, WORK_AT(rate), .least = 1, .most = 1000000 },
	{ "time", LAB_DURATION, WORK_AT(time_ns), .least = 1, .most = 10000 * HOUR_NS },
	{ "fill", LAB_BOOL, WORK_AT(fill) },
	{ "log", LAB_TEXT, WORK_AT(log) },
	{ "ops", LAB_TEXTS, WORK_AT(ops) },
	{ 0 },
};

static char *format_moment(const void *at, char *text)
{
	return lab_moment_format(at, text);
}

#define EVENT_AT(field) offsetof(struct lab_event, field)
static const struct lab_key event_keys[] = {
	{ "at", LAB_OTHER, EVENT_AT(at), .needed = true, .parse = lab_moment_parse,
	  .format = format_moment },
	{ "do", LAB_CHOICE, EVENT_AT(action), .needed = true, .choices = lab_action_names },
	{ "after", LAB_DURATION, EVENT_AT(after_ns), .least = 0, .most = 10000 * HOUR_NS },
	{ "disk", LAB_NUMBERS, EVENT_AT(disks), .most = LAB_DISKS - 1 },
	{ "disks", LAB_NUMBERS, EVENT_AT(disks), .most = LAB_DISKS - 1 },
	{ "for", LAB_DURATION, EVENT_AT(for_ns), .least = 1, .most = 10000 * HOUR_NS },
	{ "sector", LAB_NUMBER, EVENT_AT(sector) },
	{ "sectors", LAB_NUMBER, EVENT_AT(sectors), .least = 0, .most = 1u << 30 },
	{ "count", LAB_NUMBER, EVENT_AT(count), .least = 1, .most = 1u << 30 },
	{ "factor", LAB_NUMBER, EVENT_AT(factor), .least = 1, .most = 100000 },
	{ "latency", LAB_DURATION, EVENT_AT(latency_ns), .least = 0, .most = HOUR_NS },
	{ "shift", LAB_NUMBER, EVENT_AT(shift), .least = 1, .most = 1u << 30 },
	{ "bits", LAB_NUMBER, EVENT_AT(bits), .least = 1, .most = 1u << 20 },
	{ "fails", LAB_BOOL, EVENT_AT(fails) },
	{ "reads", LAB_BOOL, EVENT_AT(reads) },
	{ "force", LAB_BOOL, EVENT_AT(force) },
	{ "keep", LAB_NUMBERS, EVENT_AT(keep) },
	{ "lose", LAB_NUMBERS, EVENT_AT(lose), .most = LAB_DISKS - 1 },
	{ "with", LAB_NUMBER, EVENT_AT(with), .most = LAB_DISKS - 1 },
	{ 0 },
};

#define EXPECT_AT(field) offsetof(struct lab_expect, field)
static const struct lab_key expect_keys[] = {
	{ "data", LAB_CHOICE, EXPECT_AT(data), .choices = lab_data_names },
	{ "lost", LAB_TEXTS, EXPECT_AT(lost) },
	{ "state", LAB_CHOICE, EXPECT_AT(state), .choices = lab_end_names },
	{ "silent-corruption", LAB_BOOL, EXPECT_AT(silent) },
	{ "parity", LAB_BOOL, EXPECT_AT(parity) },
	{ "rebuilt-before", LAB_DURATION, EXPECT_AT(rebuilt_before_ns), .least = 1,
	  .most = INT64_MAX },
	{ "exposed-at-most", LAB_DURATION, EXPECT_AT(exposed_ns), .least = 0, .most = INT64_MAX },
	{ "degraded-at-most", LAB_DURATION, EXPECT_AT(degraded_ns), .least = 0, .most = INT64_MAX },
	{ "corrected-at-least", LAB_NUMBER, EXPECT_AT(corrected) },
	{ "latency-at-most", LAB_DURATION, EXPECT_AT(latency_ns), .least = 1, .most = INT64_MAX },
	{ 0 },
};

#define EXPLORE_AT(field) offsetof(struct lab_explore, field)
static const struct lab_key explore_keys[] = {
	{ "subsets", LAB_NUMBER, EXPLORE_AT(subsets), .most = 16 },
	{ "samples", LAB_NUMBER, EXPLORE_AT(samples), .most = 100000 },
	{ "lose", LAB_NUMBER, EXPLORE_AT(lose), .most = 2 },
	{ "full", LAB_NUMBER, EXPLORE_AT(full), .most = 1u << 30 },
	{ "states", LAB_NUMBER, EXPLORE_AT(states), .least = 1, .most = 1ull << 40 },
	{ 0 },
};

#define VOLUME_AT(field) offsetof(struct lab_volume_plan, field)
static const struct lab_key volume_keys[] = {
	{ "pvs", LAB_NUMBER, VOLUME_AT(pvs), .least = 1, .most = 8 },
	{ "extent", LAB_SIZE, VOLUME_AT(extent), .least = 4096, .most = 1 << 20 },
	{ "ops", LAB_TEXTS, VOLUME_AT(ops) },
	{ 0 },
};

#define SCENARIO_AT(field) offsetof(struct lab_scenario, field)
static const struct lab_key scenario_keys[] = {
	{ "name", LAB_TEXT, SCENARIO_AT(name), .needed = true },
	{ "about", LAB_TEXT, SCENARIO_AT(about) },
	{ "source", LAB_TEXT, SCENARIO_AT(source) },
	{ "seed", LAB_NUMBER, SCENARIO_AT(seed) },
	{ "until", LAB_DURATION, SCENARIO_AT(until_ns), .least = 1, .most = 100000 * HOUR_NS },
	{ "array", LAB_MAP, SCENARIO_AT(array), .keys = array_keys },
	{ "volume", LAB_MAP, SCENARIO_AT(volume), .keys = volume_keys },
	{ "disks", LAB_MAP, SCENARIO_AT(disks), .needed = true, .keys = disks_keys },
	{ "workload", LAB_MAP, SCENARIO_AT(workload), .keys = workload_keys },
	{ "events", LAB_MAPS, SCENARIO_AT(events), .keys = event_keys,
	  .size = sizeof(struct lab_event) },
	{ "expect", LAB_MAP, SCENARIO_AT(expect), .keys = expect_keys },
	{ "explore", LAB_MAP, SCENARIO_AT(explore), .keys = explore_keys },
	{ 0 },
};

/* ---- What must fit together ---- */

static int check_array(struct lab_scenario *scenario, struct error *error)
{
	struct lab_array_plan *array = &scenario->array;
	int rc = raid_level_parse(array->level_text, &array->level, error);
	uint32_t layout;

	if (!rc && array->layout)
		rc = raid_geometry_layout_parse(array->level, array->layout, &layout, error);
	if (rc) {
		error_prefix(error, "array");
		return rc;
	}
	if (array->metadata && strcmp(array->metadata, "1.0") != 0 &&
	    strcmp(array->metadata, "1.1") != 0 && strcmp(array->metadata, "1.2") != 0)
		return error_set(error, -EINVAL, "array: metadata '%s': expected 1.0, 1.1 or 1.2",
				 array->metadata);
	scenario->disk_count =
		(unsigned)(array->members + array->spares) + (array->consistency == LAB_BY_JOURNAL);
	if (scenario->disk_count > LAB_DISKS)
		return error_set(error, -EINVAL, "array: %u disks, expected at most %u",
				 scenario->disk_count, LAB_DISKS);
	return 0;
}

static int check_volume(struct lab_scenario *scenario, struct error *error)
{
	struct lab_volume_plan *plan = &scenario->volume;
	struct error inner = { 0 };

	if (scenario->array.level_text)
		return error_set(error, -EINVAL, "expected an array or a volume, not both");
	for (unsigned i = 0; i < scenario->events.count; i++)
		if (lab_scenario_event(scenario, i)->action != LAB_DO_REORDER)
			return error_set(error, -EINVAL,
					 "events: the %u.: of a volume's only reorder can be had, "
					 "which is there from the beginning",
					 i + 1);
	if (!plan->pvs || !plan->ops.count)
		return error_set(error, -EINVAL, "volume: %s is missing",
				 plan->pvs ? "ops" : "pvs");
	plan->extent = plan->extent ? plan->extent : 64 << 10;
	plan->parsed = lab_pool_alloc(&scenario->pool, plan->ops.count * sizeof(*plan->parsed));
	for (unsigned i = 0; i < plan->ops.count; i++)
		if (lab_volume_op_parse(plan->ops.texts[i], &plan->parsed[i], &inner))
			return error_set(error, -EINVAL, "%u: ops: %s", plan->ops.lines[i],
					 inner.text);
	scenario->disk_count = (unsigned)plan->pvs;
	/* A disk that an operation names is there. */
	for (unsigned i = 0; i < plan->ops.count; i++)
		for (unsigned k = 0; k < plan->parsed[i].count; k++) {
			unsigned disk;

			if (sscanf(plan->parsed[i].words[k], "disk%u", &disk) == 1 && disk < 16)
				scenario->disk_count = MAX(scenario->disk_count, disk + 1);
		}
	return 0;
}

bool lab_scenario_is_volume(const struct lab_scenario *scenario)
{
	return scenario->volume.pvs || scenario->volume.ops.count;
}

/* It names files of reports, and stands in them. */
static int check_name(const char *name, struct error *error)
{
	bool fine = *name && *name != '.' && *name != '-' && strlen(name) <= 100;

	for (const char *at = name; *at && fine; at++)
		fine = *at > ' ' && *at < 0x7f && *at != '/';
	return fine ? 0
		    : error_set(error, -EINVAL,
				"name '%.100s': expected up to 100 letters, digits, dashes and "
				"the like, as of a file",
				name);
}

/* Each disk's model: what is said of it, then of all, then what its kind usually has. */
static int complete_disks(struct lab_scenario *scenario, struct error *error)
{
	struct lab_each_disk *each = scenario->disks.each.items;

	if (!scenario->disks.model.size)
		return error_set(error, -EINVAL, "disks: size is missing");
	for (unsigned i = 0; i < LAB_DISKS; i++)
		scenario->models[i] = scenario->disks.model;
	for (unsigned i = 0; i < scenario->disks.each.count; i++) {
		if (each[i].disk >= LAB_DISKS)
			return error_set(error, -EINVAL, "disks: each: there is no disk %llu",
					 (unsigned long long)each[i].disk);
		if (!each[i].model.size)
			each[i].model.size = scenario->disks.model.size;
		if (!each[i].model.kind)
			each[i].model.kind = scenario->disks.model.kind;
		scenario->models[each[i].disk] = each[i].model;
	}
	for (unsigned i = 0; i < LAB_DISKS; i++) {
		scenario->models[i].size = round_down(scenario->models[i].size, 4096);
		lab_disk_model_complete(&scenario->models[i]);
	}
	return 0;
}

static bool needs_disk(unsigned action)
{
	return action != LAB_DO_POWER && action != LAB_DO_CHECK && action != LAB_DO_REPAIR &&
	       action != LAB_DO_RESTART;
}

/* Rot changes sectors, which must be there; all other faults only compare theirs with what is asked of the disk. */
static int check_rot(const struct lab_scenario *scenario, const struct lab_event *event,
		     unsigned number, struct error *error)
{
	for (unsigned i = 0; event->action == LAB_DO_ROT && i < event->disks.count; i++) {
		uint64_t disk = event->disks.values[i];
		uint64_t sectors = scenario->models[disk].size / LAB_SECTOR;

		if (!range_within(event->sector, event->sectors, sectors))
			return error_set(error, -EINVAL,
					 "events: the %u. (rot): disk %llu has %llu sectors",
					 number, (unsigned long long)disk,
					 (unsigned long long)sectors);
	}
	return 0;
}

static int check_event(struct lab_scenario *scenario, struct lab_event *event, unsigned number,
		       struct error *error)
{
	const char *name = lab_action_names[event->action];

	if (needs_disk(event->action) != !!event->disks.count)
		return error_set(error, -EINVAL, "events: the %u. (%s) %s", number, name,
				 event->disks.count ? "is about no disk" : "needs a disk");
	for (unsigned i = 0; i < event->disks.count; i++)
		scenario->disk_count =
			MAX(scenario->disk_count, (unsigned)event->disks.values[i] + 1);
	if (event->action == LAB_DO_REPLACE)
		scenario->disk_count = MAX(scenario->disk_count, (unsigned)event->with + 1);
	for (unsigned i = 0; i < event->lose.count; i++)
		if (event->lose.values[i] >= scenario->disk_count)
			return error_set(error, -EINVAL,
					 "events: the %u. (%s): there is no disk %llu", number,
					 name, (unsigned long long)event->lose.values[i]);
	if (event->action == LAB_DO_HANG || event->action == LAB_DO_DROP)
		event->for_ns = event->for_ns ? event->for_ns : 10 * SECOND_NS;
	if ((event->action == LAB_DO_LATENT || event->action == LAB_DO_ROT) && !event->sectors)
		event->sectors = 1;
	if (event->action == LAB_DO_ROT && !event->bits)
		event->bits = 1;
	if (event->action == LAB_DO_MISDIRECT && !event->shift)
		event->shift = 8;
	if (event->action == LAB_DO_SLOW && !event->factor)
		event->factor = 1000;
	if ((event->action == LAB_DO_TORN || event->action == LAB_DO_LOST ||
	     event->action == LAB_DO_MISDIRECT) &&
	    !event->count)
		event->count = 1;
	event->keep_said = event->keep.values != NULL;
	return check_rot(scenario, event, number, error);
}

static int check_workload(struct lab_scenario *scenario, struct error *error)
{
	struct lab_workload_plan *plan = &scenario->workload;
	struct error inner = { 0 };

	if (plan->offset % LAB_SECTOR || plan->block % LAB_SECTOR || plan->length % LAB_SECTOR)
		return error_set(error, -EINVAL,
				 "workload: offset, length and block: expected multiples of 512");
	if (plan->length && plan->block > plan->length)
		return error_set(error, -EINVAL, "workload: block is more than length");
	if (!plan->log != (plan->kind != LAB_WORKLOAD_REPLAY))
		return error_set(error, -EINVAL, "workload: log and kind replay: expected both");
	if (!plan->ops.count != (plan->kind != LAB_WORKLOAD_SCRIPT))
		return error_set(error, -EINVAL, "workload: ops and kind script: expected both");
	plan->script = lab_pool_alloc(&scenario->pool, plan->ops.count * sizeof(*plan->script));
	for (unsigned i = 0; i < plan->ops.count; i++) {
		if (!lab_op_parse(plan->ops.texts[i], &plan->script[i], &inner))
			continue;
		return error_set(error, -EINVAL, "%u: ops: %s", plan->ops.lines[i], inner.text);
	}
	if (plan->kind == LAB_WORKLOAD_SCRIPT)
		plan->count = plan->ops.count;
	if (plan->kind != LAB_WORKLOAD_NONE && !plan->count && !plan->time_ns &&
	    plan->kind != LAB_WORKLOAD_REPLAY)
		return error_set(error, -EINVAL, "workload: expected a count or a time");
	return 0;
}

static int check_lost(const struct lab_texts *lost, struct error *error)
{
	unsigned long long sector, count;
	char rest;

	for (unsigned i = 0; i < lost->count; i++)
		if (sscanf(lost->texts[i], "%llu %llu%c", &sector, &count, &rest) != 2 || !count)
			return error_set(error, -EINVAL, "%u: lost: '%s': expected SECTOR COUNT",
					 lost->lines[i], lost->texts[i]);
	return 0;
}

/* What it is where nothing is said. */
static const struct lab_scenario usual = {
	.seed = 1,
	.until_ns = 24 * HOUR_NS,
	.array.assume_clean = true,
	.array.rebuild_min = LAB_NO_LIMIT,
	.disks.model.kind = LAB_MODEL_SSD,
	.workload = { .block = 4096, .depth = 1 },
	.expect = { .parity = true, .exposed_ns = LAB_NO_LIMIT, .degraded_ns = LAB_NO_LIMIT },
	.explore = { .subsets = 6, .samples = 24, .full = 64, .states = LAB_NO_LIMIT },
};

int lab_scenario_parse(struct lab_scenario *scenario, const char *file, const char *text,
		       size_t length, struct error *error)
{
	int rc;

	*scenario = usual;
	rc = lab_decode(file, text, length, scenario_keys, scenario, &scenario->pool, error);
	if (rc)
		return rc;
	rc = check_name(scenario->name, error);
	if (!rc && lab_scenario_is_volume(scenario))
		rc = check_volume(scenario, error);
	else if (!rc && !scenario->array.level_text)
		rc = error_set(error, -EINVAL, "array is missing, or volume");
	else if (!rc)
		rc = check_array(scenario, error);
	if (!rc)
		rc = complete_disks(scenario, error);
	for (unsigned i = 0; i < scenario->events.count && !rc; i++)
		rc = check_event(scenario, lab_scenario_event(scenario, i), i + 1, error);
	if (!rc)
		rc = check_workload(scenario, error);
	if (!rc)
		rc = check_lost(&scenario->expect.lost, error);
	if (rc)
		error_prefix(error, "%s", file);
	return rc;
}

void lab_scenario_usual_explore(struct lab_explore *explore)
{
	*explore = usual.explore;
}

char *lab_scenario_text(const struct lab_scenario *scenario)
{
	struct lab_scenario said = *scenario;

	/* What was worked out of the rest. */
	if (said.workload.kind == LAB_WORKLOAD_SCRIPT)
		said.workload.count = 0;
	return lab_encode(scenario_keys, &said, &usual);
}

struct lab_event *lab_scenario_event(const struct lab_scenario *scenario, unsigned index)
{
	return (struct lab_event *)scenario->events.items + index;
}

void lab_scenario_free(struct lab_scenario *scenario)
{
	lab_pool_free(&scenario->pool);
}
