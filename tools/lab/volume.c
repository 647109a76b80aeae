/* SPDX-License-Identifier: BSD-2-Clause */
/* Volume groups as a subject of exploration; see volume.h. */
#include "tools/lab/volume.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "tools/lab/disk_fault.h"
#include "tools/lab/store.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/volume_move.h"

#define EPOCH         1700000000
#define PIECE_SECTORS 128u
#define AFTERWARDS    4u /* each so manieth state takes another change */

/* ---- Recording ---- */

static void add_event(struct lab_volume *volume, enum lab_trace_kind kind, uint64_t number)
{
	lab_trace_add(&volume->trace, &(struct lab_trace_event){ .kind = kind, .number = number });
}

static int take_snapshot(struct lab_volume *volume, struct lab_volume_snapshot *snapshot,
			 struct error *error)
{
	for (unsigned i = 0; i < volume->lv_count; i++) {
		snapshot->lvs[i] = volume->lvs[i];
		snapshot->lvs[i].name = strdup(volume->lvs[i].name);
	}
	snapshot->lv_count = volume->lv_count;
	return volume_group_text(volume->group, &snapshot->text, error);
}

static void make_disks(struct lab_volume *volume)
{
	struct lab_disk_model model = { .kind = LAB_MODEL_INSTANT };

	lab_disk_model_complete(&model);
	for (unsigned i = 0; i < volume->scenario->disk_count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		model.size = volume->scenario->models[i].size;
		volume->disks[i] = lab_disk_create(&volume->rack, i, name,
						   lab_store_create(model.size, NULL), &model, i);
	}
}

/* What the disks hold now is the beginning. */
static void begin_trace(struct lab_volume *volume)
{
	const struct lab_scenario *scenario = volume->scenario;

	for (unsigned i = 0; i < scenario->disk_count; i++) {
		struct lab_disk *disk = volume->disks[i];

		volume->states.base[i] = disk->store;
		disk->store = lab_store_create(disk->block.size, disk->store);
		disk->cached = true;
	}
	for (unsigned i = 0; i < scenario->events.count; i++) {
		const struct lab_numbers *disks = &lab_scenario_event(scenario, i)->disks;

		for (unsigned k = 0; k < disks->count; k++)
			lab_disk_arm(volume->disks[disks->values[k]],
				     &(struct lab_rule){ .fault = LAB_FAULT_NO_FLUSH });
	}
	volume->rack.writes = 0;
	volume->rack.trace = &volume->trace;
}

static int record(struct lab_volume *volume, struct error *error)
{
	const struct lab_volume_plan *plan = &volume->scenario->volume;
	const struct volume_group_options options = { .extent_size = plan->extent };
	struct block *blocks[LAB_DISKS];
	int rc;

	make_disks(volume);
	for (unsigned i = 0; i < plan->pvs; i++)
		blocks[i] = &volume->disks[i]->block;
	rc = volume_group_create(&volume->group, "lab", blocks, (unsigned)plan->pvs, &options,
				 &volume->context, error);
	if (!rc)
		rc = take_snapshot(volume, &volume->snapshots[0], error);
	if (rc)
		return rc;
	begin_trace(volume);
	for (unsigned i = 0; i < plan->ops.count; i++) {
		add_event(volume, LAB_TRACE_BEGIN, i);
		rc = lab_volume_op_run(volume, &plan->parsed[i], error);
		if (!rc)
			rc = take_snapshot(volume, &volume->snapshots[i + 1], error);
		if (rc) {
			error_prefix(error, "ops: the %u. (%s)", i + 1, plan->ops.texts[i]);
			return rc;
		}
		add_event(volume, LAB_TRACE_END, i);
	}
	return 0;
}

static void end_record(struct lab_volume *volume)
{
	volume->rack.trace = NULL;
	volume_group_unref(volume->group);
	for (unsigned i = 0; i < volume->scenario->disk_count; i++)
		if (volume->disks[i])
			block_unref(&volume->disks[i]->block);
}

/* ---- A state ---- */

static void __attribute__((format(printf, 3, 4)))
group_fails(struct lab_volume *volume, enum lab_failing kind, const char *format, ...)
{
	struct lab_explored *out = volume->out;
	va_list args;

	if (volume->failed)
		return;
	volume->failed = true;
	if (out->failures++)
		return;
	va_start(args, format);
	vsnprintf(out->what, sizeof(out->what), format, args);
	va_end(args);
	out->kind = kind;
	out->at_write = volume->states.writes;
	out->state = volume->states.states;
	out->pending = lab_states_pending(&volume->states, &out->keep_count, &out->pending_count);
}

static int scan(struct lab_volume *volume, struct volume_scan **found, struct error *error)
{
	struct block *blocks[LAB_DISKS];

	for (unsigned i = 0; i < volume->scenario->disk_count; i++)
		blocks[i] = &volume->states.disks[i]->block;
	return volume_groups_scan(blocks, volume->scenario->disk_count, &volume->context, found,
				  error);
}

/* Old or new, where an operation is on its way; NULL: neither. */
static const struct lab_volume_snapshot *snapshot_of(const struct lab_volume *volume,
						     const struct volume_group *group)
{
	CLEANUP_FREE char *text = NULL;

	if (volume_group_text(group, &text, NULL))
		return NULL;
	for (unsigned i = volume->done; i <= volume->begun; i++)
		if (!strcmp(text, volume->snapshots[i].text))
			return &volume->snapshots[i];
	/* Between the commits of one operation there are volumes as before it. */
	if (volume->begun > volume->done &&
	    lab_volume_op_has_steps(&volume->scenario->volume.parsed[volume->done]))
		return &volume->snapshots[volume->done];
	return NULL;
}

static bool is_right(const struct lab_oracle *oracle, uint64_t sector, const char *bytes)
{
	struct lab_legal legal = lab_oracle_legal(oracle, sector, true);
	uint32_t version;

	/* Nothing was flushed there yet: what was on the disks before may be there. */
	if (!legal.least || legal.most == LAB_ANYTHING)
		return true;
	version = lab_oracle_version(oracle, sector, bytes);
	return version >= legal.least && version <= legal.most;
}

static void look_at_lv(struct lab_volume *volume, struct volume_group *group,
		       const struct lab_volume_expected *lv)
{
	const struct lab_oracle *oracle = &volume->expected[lv->slot];
	char bytes[PIECE_SECTORS * LAB_SECTOR];
	struct error error = { 0 };
	CLEANUP_BLOCK struct block *block = NULL;
	uint64_t sectors;

	if (volume_open_lv(group, lv->name, false, &block, &error)) {
		group_fails(volume, LAB_FAILS_REFUSED, "%s: %s", lv->name, error.text);
		return;
	}
	sectors = MIN(block->size / LAB_SECTOR, LAB_SLOT_SECTORS);
	for (uint64_t at = 0, count; at < sectors && !volume->failed; at += count) {
		count = MIN(PIECE_SECTORS, sectors - at);
		if (block_read(block, at * LAB_SECTOR, bytes, count * LAB_SECTOR))
			group_fails(volume, LAB_FAILS_UNREADABLE, "%s: sector %llu cannot be read",
				    lv->name, (unsigned long long)at);
		for (uint64_t i = 0; i < count && !volume->failed; i++)
			if (!is_right(oracle, at + i, bytes + i * LAB_SECTOR))
				group_fails(volume, LAB_FAILS_SILENT,
					    "%s: sector %llu does not hold what was flushed",
					    lv->name, (unsigned long long)(at + i));
	}
}

/* What is half done of a move goes on, or back; then it is as it should be all the same. */
static int end_move(struct lab_volume *volume, struct volume_group *group, struct error *error)
{
	struct volume_move_status status;
	int rc;

	volume_move_status(group, &status);
	if (!status.half_done)
		return 0;
	if (volume->states.states % 2)
		return volume_move_abort(group, error);
	rc = volume_move_start(group, NULL, error);
	return rc ? rc : volume_move_wait(group, NULL, NULL, 1000000000, error);
}

static void look_afterwards(struct lab_volume *volume, struct volume_group *group,
			    const struct lab_volume_snapshot *snapshot)
{
	const struct volume_lv_options options = { .extents = 1 };
	struct error error = { 0 };
	struct volume_group *again;
	struct volume_scan *found;
	int rc = end_move(volume, group, &error);

	if (!rc && volume->states.states % AFTERWARDS == 0)
		rc = volume_lv_create(group, "afterwards", &options, NULL, &error);
	/* That there is no room for it is no failure. */
	if (rc && rc != -ENOSPC) {
		group_fails(volume, LAB_FAILS_REFUSED, "it cannot be changed any more: %s",
			    error.text);
		return;
	}
	if (scan(volume, &found, &error)) {
		group_fails(volume, LAB_FAILS_REFUSED, "after a change: %s", error.text);
		return;
	}
	again = found->group_count == 1 ? found->groups[0] : NULL;
	if (!again || again->seqno < group->seqno)
		group_fails(volume, LAB_FAILS_REFUSED, "after a change it is not found as it is");
	for (unsigned i = 0; i < snapshot->lv_count && !volume->failed; i++)
		look_at_lv(volume, again, &snapshot->lvs[i]);
	volume_scan_free(found);
}

static void look_at_group(struct lab_volume *volume, struct volume_group *group)
{
	const struct lab_volume_snapshot *snapshot = snapshot_of(volume, group);

	if (!snapshot) {
		group_fails(volume, LAB_FAILS_MISFIT,
			    "the metadata (number %u) is neither what it was before the %u. "
			    "operation (%s) nor after it",
			    group->seqno, volume->begun,
			    volume->begun ? volume->scenario->volume.ops.texts[volume->begun - 1]
					  : "none");
		return;
	}
	if (group->partial || group->locked_reason) {
		group_fails(volume, LAB_FAILS_REFUSED, "the group is not whole: %s",
			    group->locked_reason ? group->locked_reason : "partial");
		return;
	}
	for (unsigned i = 0; i < snapshot->lv_count && !volume->failed; i++)
		look_at_lv(volume, group, &snapshot->lvs[i]);
	if (!volume->failed)
		look_afterwards(volume, group, snapshot);
}

static void look(void *arg)
{
	struct lab_volume *volume = arg;
	struct volume_scan *found = NULL;
	struct error error = { 0 };

	volume->failed = false;
	if (scan(volume, &found, &error))
		group_fails(volume, LAB_FAILS_REFUSED, "%s", error.text);
	else if (found->group_count != 1)
		group_fails(volume, LAB_FAILS_REFUSED, "%u groups are found, expected one",
			    found->group_count);
	else
		look_at_group(volume, found->groups[0]);
	volume_scan_free(found);
}

static bool is_enough(void *arg)
{
	struct lab_volume *volume = arg;

	return volume->options->first && volume->out->failures;
}

static bool user_event(void *arg, const struct lab_trace_event *event)
{
	struct lab_volume *volume = arg;
	struct lab_oracle *oracle = &volume->expected[event->disk % LAB_SLOTS];

	switch (event->kind) {
	case LAB_TRACE_BEGIN:
		volume->begun = (unsigned)event->number + 1;
		return false;
	case LAB_TRACE_END:
		volume->done = (unsigned)event->number + 1;
		return true;
	case LAB_TRACE_ISSUE:
		lab_oracle_issue(oracle, event->offset, event->length);
		return false;
	case LAB_TRACE_ACK:
		lab_oracle_ack(oracle, event->offset, event->length, (uint32_t)event->number,
			       event->flag);
		return true;
	case LAB_TRACE_FORGET:
		for (uint64_t i = 0; i < event->length; i++)
			oracle->durable[event->offset + i] = 0;
		return false;
	default:
		return false;
	}
}

/* ---- All of it ---- */

static int explore_fiber(void *arg)
{
	struct lab_volume *volume = arg;
	struct lab_states *states = &volume->states;
	int rc = record(volume, &volume->error);

	end_record(volume);
	if (rc)
		return rc;
	states->plan = &volume->scenario->explore;
	states->trace = &volume->trace;
	states->disk_count = volume->scenario->disk_count;
	states->seed = volume->options->seed;
	states->event = user_event;
	states->look = look;
	states->is_enough = is_enough;
	states->arg = volume;
	lab_states_run(states);
	volume->out->states = states->states;
	volume->out->writes = states->writes;
	volume->out->moments = states->moments;
	return 0;
}

static void prepare(struct lab_volume *volume)
{
	volume->random.state = volume->options->seed;
	volume->context = (struct volume_context){ .host = "lab",
						   .system = "lab",
						   .command = "tenon raid test",
						   .time = EPOCH,
						   .random = &volume->random,
						   .no_resync = true };
	for (unsigned i = 0; i < LAB_SLOTS; i++) {
		lab_oracle_begin(&volume->written[i], LAB_SLOT_SECTORS, i + 1);
		lab_oracle_begin(&volume->expected[i], LAB_SLOT_SECTORS, i + 1);
	}
}

static void end(struct lab_volume *volume)
{
	for (unsigned i = 0; i <= volume->scenario->volume.ops.count && volume->snapshots; i++) {
		for (unsigned k = 0; k < volume->snapshots[i].lv_count; k++)
			free(volume->snapshots[i].lvs[k].name);
		free(volume->snapshots[i].text);
	}
	for (unsigned i = 0; i < LAB_SLOTS; i++) {
		lab_oracle_end(&volume->written[i]);
		lab_oracle_end(&volume->expected[i]);
	}
	for (unsigned i = 0; i < volume->lv_count; i++)
		free(volume->lvs[i].name);
	for (unsigned i = 0; i < volume->scenario->disk_count; i++)
		lab_store_free(volume->states.base[i]);
	lab_trace_free(&volume->trace);
	free(volume->snapshots);
	free(volume);
}

int lab_volume_explore(const struct lab_scenario *scenario,
		       const struct lab_explore_options *options, struct lab_explored *explored,
		       struct error *error)
{
	struct worker_options worker_options = { .virtual_clock = true, .seed = options->seed + 1 };
	struct lab_volume *volume = calloc(1, sizeof(*volume));
	struct worker *worker;
	int rc;

	if (!volume)
		return error_set(error, -ENOMEM, "out of memory");
	*explored = (struct lab_explored){ .lost_disk = UINT32_MAX };
	volume->scenario = scenario;
	volume->options = options;
	volume->out = explored;
	volume->snapshots = calloc(scenario->volume.ops.count + 1, sizeof(*volume->snapshots));
	prepare(volume);
	rc = volume->snapshots ? worker_create(&worker, &worker_options, error)
			       : error_set(error, -ENOMEM, "out of memory");
	if (!rc) {
		rc = worker_run(worker, explore_fiber, volume);
		worker_destroy(worker);
		if (rc)
			*error = volume->error;
	}
	end(volume);
	return rc;
}
