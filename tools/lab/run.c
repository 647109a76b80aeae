/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of a scenario; see run.h. */
#include "tools/lab/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/store.h"
#include "util/bytes.h"

/* ---- Notes ---- */

uint64_t lab_run_now(const struct lab_run *run)
{
	return worker_now() - run->start_ns;
}

void lab_run_note(struct lab_run *run, bool fault, const char *format, ...)
{
	struct lab_result *result = run->result;
	char text[600];
	va_list args;

	if (result->note_count >= 400)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	result->notes = realloc(result->notes, (result->note_count + 1) * sizeof(*result->notes));
	if (!result->notes)
		abort();
	result->notes[result->note_count++] =
		(struct lab_note){ lab_run_now(run), fault, strdup(text) };
}

static void listen(struct log *log, enum log_level level, const char *text)
{
	struct lab_run *run = container_of(log, struct lab_run, log);

	(void)level;
	if (run->start_ns && !run->rack.off)
		lab_run_note(run, false, "%s", text);
}

/* ---- Array ---- */

unsigned lab_run_blocks(struct lab_run *run, struct block *blocks[LAB_DISKS])
{
	unsigned count = 0;

	for (unsigned i = 0; i < run->scenario->disk_count; i++)
		if (!run->disks[i]->gone)
			blocks[count++] = &run->disks[i]->block;
	return count;
}

unsigned lab_run_members(struct lab_run *run, struct block *blocks[LAB_DISKS])
{
	unsigned count = lab_run_blocks(run, blocks), found = 0;
	struct raid_info info;

	for (unsigned i = 0; i < count; i++)
		if (raid_probe(blocks[i], &info, NULL) != 0)
			blocks[found++] = blocks[i];
	return found;
}

static void make_disk(struct lab_run *run, unsigned index)
{
	const struct lab_disk_model *model = &run->scenario->models[index];
	char name[16];

	snprintf(name, sizeof(name), "disk%u", index);
	run->disks[index] =
		lab_disk_create(&run->rack, index, name, lab_store_create(model->size, NULL), model,
				random_next(&run->random));
}

void lab_run_new_disk(struct lab_run *run, unsigned index)
{
	block_unref(&run->disks[index]->block);
	make_disk(run, index);
	run->disks[index]->cached = true;
}

static bool keep_none(void *arg, uint64_t number)
{
	(void)arg, (void)number;
	return false;
}

void lab_run_renew_disk(struct lab_run *run, unsigned index)
{
	struct lab_disk *disk = run->disks[index];

	for (unsigned fault = LAB_FAULT_GONE; fault <= LAB_FAULT_FULL; fault++)
		lab_disk_disarm(disk, fault);
	lab_disk_settle(disk, keep_none, NULL);
	lab_store_free(disk->store);
	disk->store = lab_store_create(disk->block.size, NULL);
	disk->gone = false;
}

/* ---- Region ---- */

static int make_region(struct lab_run *run, struct error *error)
{
	const struct lab_workload_plan *plan = &run->scenario->workload;
	uint64_t size = run->block->size;
	uint64_t length = plan->length ? plan->length : MIN(size - plan->offset, 64ull << 20);

	if (plan->offset >= size || !range_within(plan->offset, length, size) ||
	    length < plan->block)
		return error_set(error, -EINVAL,
				 "workload: %llu bytes at %llu: expected a part of the array of "
				 "%llu bytes",
				 (unsigned long long)length, (unsigned long long)plan->offset,
				 (unsigned long long)size);
	lab_oracle_begin(&run->oracle, length / LAB_SECTOR, run->seed);
	return plan->fill ? lab_workload_fill(run, error) : 0;
}

/* Only where the power may go, or somebody records, does it matter what is in the caches. */
static void set_caches(struct lab_run *run)
{
	bool cached = run->trace != NULL;

	for (unsigned i = 0; i < run->scenario->events.count; i++)
		cached = cached || lab_scenario_event(run->scenario, i)->action == LAB_DO_POWER;
	for (unsigned i = 0; i < run->scenario->disk_count; i++)
		run->disks[i]->cached = cached;
}

/* ---- The run ---- */

static int begin(struct lab_run *run, struct error *error)
{
	const struct lab_scenario *scenario = run->scenario;
	int rc;

	for (unsigned i = 0; i < scenario->disk_count; i++)
		make_disk(run, i);
	rc = run->target->begin ? run->target->begin(run, error) : 0;
	if (!rc)
		rc = run->target->create(run, error);
	if (!rc)
		rc = make_region(run, error);
	if (rc)
		return rc;
	run->trace = run->options->trace;
	set_caches(run);
	run->rack.writes = run->rack.flushes = 0;
	run->rack.trace = run->trace;
	run->start_ns = worker_now();
	run->tick_ns = run->target->tick_ns;
	if (run->options->begun)
		run->options->begun(run, run->options->arg);
	return 0;
}

static void free_hung(struct lab_run *run)
{
	for (unsigned i = 0; i < run->scenario->disk_count; i++)
		lab_disk_disarm(run->disks[i], LAB_FAULT_HANG);
}

static void count_members(struct lab_run *run)
{
	struct lab_result *result = run->result;
	struct raid_status status;

	run->target->status(run, &status);
	result->degraded = status.degraded;
	result->failed = status.failed;
	result->members_failed = status.counters.members_failed;
	result->made_good = status.counters.made_good;
	result->lost_reads = status.counters.lost_reads;
	for (unsigned i = 0; i < status.member_count; i++)
		result->corrected += status.members[i].corrected;
	raid_status_free(&status);
}

/* What it came to: all of the region, the members among each other, and once more from the disks alone. */
static void conclude(struct lab_run *run)
{
	struct lab_result *result = run->result;
	struct error *error = &run->error;

	result->assembled = run->block != NULL;
	result->failed = !run->block;
	if (!run->block)
		return;
	lab_run_check(run, false);
	count_members(run);
	if (!result->degraded && !result->failed &&
	    lab_level_has_redundancy(run->scenario->array.level) &&
	    run->target->scrub(run, &result->mismatches, error))
		lab_run_note(run, false, "the members cannot be compared: %s", error->text);
	if (run->target->stop(run, error))
		lab_run_note(run, false, "it does not end well: %s", error->text);
	if (result->failed)
		return;
	if (run->target->assemble(run, false, error)) {
		lab_run_note(run, false, "it does not assemble again: %s", error->text);
		result->assembled = false;
		result->failed = true;
		return;
	}
	lab_run_check(run, false);
	run->target->stop(run, NULL);
}

static void count_disks(struct lab_run *run)
{
	struct lab_result *result = run->result;

	for (unsigned i = 0; i < run->scenario->disk_count; i++) {
		const struct lab_disk *disk = run->disks[i];

		result->disk_reads += disk->reads;
		result->disk_writes += disk->writes;
		result->disk_flushes += disk->flushes;
		result->disk_read_bytes += disk->read_bytes;
		result->disk_written_bytes += disk->written_bytes;
	}
}

static int play(struct lab_run *run, struct error *error)
{
	int rc;

	lab_events_begin(run);
	rc = lab_workload_begin(run, error);
	while (!rc) {
		lab_look(run);
		if (lab_run_is_over(run))
			break;
		fiber_sleep(run->tick_ns);
	}
	run->result->end_ns = lab_run_now(run);
	run->rack.trace = NULL;
	run->trace = NULL;
	free_hung(run);
	lab_events_end(run);
	lab_workload_end(run);
	count_disks(run);
	if (!rc) {
		conclude(run);
		lab_verdict(run);
	}
	return rc;
}

static int run_fiber(void *arg)
{
	struct lab_run *run = arg;
	struct error *error = &run->error;
	int rc;

	fiber_queue_init(&run->workload_queue);
	list_init(&run->busy);
	rc = begin(run, error);
	if (!rc)
		rc = play(run, error);
	if (run->block)
		run->target->stop(run, NULL);
	if (run->target->end)
		run->target->end(run);
	for (unsigned i = 0; i < run->scenario->disk_count; i++)
		if (run->disks[i])
			block_unref(&run->disks[i]->block);
	lab_oracle_end(&run->oracle);
	free(run->fired);
	return rc;
}

int lab_run_scenario(const struct lab_scenario *scenario, const struct lab_run_options *options,
		     struct lab_result *result, struct error *error)
{
	const struct lab_target *target = options->target ? options->target : &lab_target_tenon;
	struct worker_options worker_options = { .virtual_clock = !target->real_time,
						 .seed = options->seed + 1 };
	CLEANUP_FREE struct lab_run *run = calloc(1, sizeof(*run));
	struct worker *worker;
	int rc;

	*result = (struct lab_result){ .target = target->name, .seed = options->seed };
	result->samples = calloc(LAB_SAMPLES, sizeof(*result->samples));
	if (!run || !result->samples)
		return error_set(error, -ENOMEM, "out of memory");
	run->scenario = scenario;
	run->options = options;
	run->target = target;
	run->result = result;
	run->seed = options->seed;
	run->random.state = options->seed;
	run->rack.random.state = options->seed ^ 0x5eed;
	run->log = (struct log){ .level = LOG_LEVEL_INFO, .write = listen };
	rc = target->check ? target->check(scenario, error) : 0;
	if (!rc)
		rc = worker_create(&worker, &worker_options, error);
	if (rc)
		return rc;
	rc = worker_run(worker, run_fiber, run);
	worker_destroy(worker);
	if (rc)
		*error = run->error;
	return rc;
}

void lab_result_end(struct lab_result *result)
{
	for (unsigned i = 0; i < result->failure_count; i++)
		free(result->failures[i]);
	for (unsigned i = 0; i < result->note_count; i++)
		free(result->notes[i].text);
	free(result->notes);
	free(result->samples);
	free(result->phases);
	free(result->damages);
	*result = (struct lab_result){ 0 };
}
