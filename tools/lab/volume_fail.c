/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that fail in the middle of an operation: each disk, in each way, from each of its requests on; see volume.h.
 *
 * What is told is what the disks say then, when the disk is well again: done; not done; or unknown, either. One that is gone for good and an
 * operation that is done all the same go together only with a word of it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/lab/disk.h"
#include "tools/lab/disk_fault.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"
#include "util/cleanup.h"

static const struct lab_failing_way {
	const char *what;
	struct lab_rule rule;
} ways[] = {
	{ "vanishes", { .fault = LAB_FAULT_GONE } },
	{ "fails one request", { .fault = LAB_FAULT_GONE, .count = 1 } },
	{ "fails three requests", { .fault = LAB_FAULT_GONE, .count = 3 } },
	{ "is full", { .fault = LAB_FAULT_FULL } },
};

struct trial {
	struct lab_volume *volume;
	struct lab_volume_stage stage;
	const struct lab_volume_op *op;
	const struct lab_failing_way *way;
	unsigned number; /* of the operation */
	struct lab_disk *disk;
	uint64_t after, seen; /* requests that change something */
	bool armed;
};

static void watch(void *arg, struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
		  uint64_t length)
{
	struct trial *trial = arg;

	(void)offset, (void)length;
	if (disk != trial->disk || touch == LAB_TOUCH_READ || trial->seen++ != trial->after)
		return;
	lab_disk_arm(disk, &trial->way->rule);
	trial->armed = true;
}

static void __attribute__((format(printf, 2, 3)))
trial_fails(struct trial *trial, const char *format, ...)
{
	char what[300];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	lab_volume_fails(trial->volume, LAB_FAILS_MISFIT,
			 "%s, disk%u %s from its %llu. request on: %s",
			 trial->volume->scenario->volume.ops.texts[trial->number],
			 trial->disk->index, trial->way->what, (unsigned long long)trial->after + 1,
			 what);
}

/* What groups told of this operation. */
static unsigned count_problems(const struct lab_volume_stage *stage)
{
	unsigned count = stage->problems;

	for (unsigned i = 0; stage->scan && i < stage->scan->group_count; i++)
		count += stage->scan->groups[i]->problem_count -
			 stage->scan->groups[i]->lasting_problems;
	return count;
}

static void judge(struct trial *trial, int rc, const struct error *told, unsigned problems)
{
	struct lab_volume *volume = trial->volume;
	const char *after = volume->snapshots[trial->number + 1].text;
	const char *before = volume->snapshots[trial->number].text;
	const struct lab_volume_operation *operation = lab_volume_operation(trial->op);
	bool unsure = strstr(told->text, "unknown") || operation->finish;
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL;
	struct error error = { 0 };
	const struct lab_volume_snapshot *snapshot =
		lab_volume_settle(&trial->stage, trial->op, false, &found, &error);
	CLEANUP_FREE char *devices = NULL;
	bool is_new;

	if (!snapshot) {
		trial_fails(trial, "told '%s', and the metadata is neither old nor new%s%s",
			    rc ? told->text : "done", error.code ? ": " : "", error.text);
		return;
	}
	is_new = lab_volume_alike(snapshot->text, after, before);
	if (!rc && !is_new && !operation->moves)
		trial_fails(trial, "told to be done, and is not");
	else if (rc && !unsure && !lab_volume_alike(snapshot->text, before, before))
		trial_fails(trial, "told '%s', and is done", told->text);
	devices = lab_volume_devices(found);
	if (!rc && !problems && strcmp(devices, volume->snapshots[trial->number + 1].devices))
		trial_fails(trial, "told to be done, and without a word disks are %s", devices);
	lab_volume_look_at_lvs(volume, found, snapshot);
	if (!volume->failed)
		lab_volume_go_on(&trial->stage, trial->op, snapshot);
}

static void try_one(struct trial *trial)
{
	struct lab_volume *volume = trial->volume;
	struct lab_rack *rack = &volume->states.rack;
	struct error error = { 0 };
	unsigned problems;
	int rc;

	lab_states_show(&volume->states);
	trial->stage = (struct lab_volume_stage){ .volume = volume,
						  .disks = volume->states.disks,
						  .here = volume->snapshots[trial->number].here };
	trial->seen = 0;
	trial->armed = false;
	rack->look = watch;
	rack->look_arg = trial;
	rc = lab_volume_op_run(&trial->stage, trial->op, &error);
	rack->look = NULL;
	lab_disk_disarm_all(trial->disk);
	if (trial->armed) {
		volume->out->trials++;
		problems = count_problems(&trial->stage);
		if (!rc && trial->way == &ways[0] && !problems)
			trial_fails(trial, "done, and nobody is told of the disk");
		trial->stage.here = volume->snapshots[trial->number].here;
		judge(trial, rc, &error, problems);
	}
	lab_volume_stage_end(&trial->stage);
}

void lab_volume_try_failing(struct lab_volume *volume, unsigned number)
{
	struct trial trial = { .volume = volume,
			       .op = &volume->scenario->volume.parsed[number],
			       .number = number };

	volume->failed = false;
	for (unsigned i = 0; i < volume->scenario->disk_count; i++)
		for (unsigned k = 0; k < ARRAY_SIZE(ways); k++) {
			trial.disk = volume->states.disks[i];
			trial.way = &ways[k];
			trial.after = 0;
			do
				try_one(&trial);
			while (trial.armed && !volume->failed && ++trial.after);
		}
}
