/* SPDX-License-Identifier: BSD-2-Clause */
/* Volume groups as a subject of exploration: a run of operations is recorded, and gone through; see volume.h. */
#include "tools/lab/volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "tools/lab/disk_fault.h"
#include "tools/lab/store.h"
#include "util/bytes.h"
#include "util/error.h"

#define EPOCH 1700000000

/* ---- Looking at disks ---- */

int lab_volume_scan(struct lab_volume_stage *stage, struct volume_scan **found, struct error *error)
{
	struct block *blocks[LAB_DISKS];
	unsigned count = 0;

	for (unsigned i = 0; i < stage->volume->scenario->disk_count; i++)
		if (!(stage->here.gone >> i & 1))
			blocks[count++] = &stage->disks[i]->block;
	return volume_groups_scan(blocks, count, &stage->volume->context, found, error);
}

void lab_volume_stage_end(struct lab_volume_stage *stage)
{
	if (stage->scan)
		volume_scan_free(steal_pointer(&stage->scan));
}

/* ---- Recording ---- */

static void add_event(struct lab_volume *volume, enum lab_trace_kind kind, uint64_t number)
{
	lab_trace_add(&volume->trace, &(struct lab_trace_event){ .kind = kind, .number = number });
}

static int take_snapshot(struct lab_volume *volume, struct lab_volume_snapshot *snapshot,
			 struct error *error)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL;
	int rc = lab_volume_scan(&volume->stage, &found, error);

	if (rc)
		return rc;
	snapshot->here = volume->stage.here;
	snapshot->text = lab_volume_text(found);
	snapshot->devices = lab_volume_devices(found);
	return 0;
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
	CLEANUP_VOLUME_GROUP struct volume_group *group = NULL;
	struct block *blocks[LAB_DISKS];
	int rc;

	make_disks(volume);
	volume->stage = (struct lab_volume_stage){
		.volume = volume, .disks = volume->disks, .here.group = "lab", .recorded = true
	};
	for (unsigned i = 0; i < plan->pvs; i++)
		blocks[i] = &volume->disks[i]->block;
	rc = volume_group_create(&group, "lab", blocks, (unsigned)plan->pvs, &options,
				 &volume->context, error);
	if (!rc)
		rc = take_snapshot(volume, &volume->snapshots[0], error);
	if (rc)
		return rc;
	begin_trace(volume);
	for (unsigned i = 0; i < plan->ops.count; i++) {
		add_event(volume, LAB_TRACE_BEGIN, i);
		rc = lab_volume_op_run(&volume->stage, &plan->parsed[i], error);
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
	lab_volume_stage_end(&volume->stage);
	for (unsigned i = 0; i < volume->scenario->disk_count; i++)
		if (volume->disks[i])
			block_unref(&volume->disks[i]->block);
}

/* ---- Exploring ---- */

static void look(void *arg)
{
	struct lab_volume *volume = arg;
	const struct lab_explore_options *options = volume->options;

	if (options->show)
		options->show(options->show_arg, &volume->states,
			      volume->snapshots[volume->done].here.gone);
	lab_volume_look(volume);
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
		if (!is_enough(volume) && !volume->options->show)
			lab_volume_try_failing(volume, (unsigned)event->number);
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
	volume->context = (struct volume_context){ .quick = true,
						   .host = "lab",
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
		free(volume->snapshots[i].text);
		free(volume->snapshots[i].devices);
	}
	for (unsigned i = 0; i < LAB_SLOTS; i++) {
		lab_oracle_end(&volume->written[i]);
		lab_oracle_end(&volume->expected[i]);
		free(volume->kept[i]);
	}
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
