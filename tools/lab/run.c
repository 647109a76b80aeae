/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of a scenario; see run.h. */
#include "tools/lab/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "tools/lab/store.h"
#include "util/bytes.h"

#define EPOCH                                                                                      \
	1700000000ull /* what superblocks say of the time: no run differs from another by its day */

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

static void take_array(struct lab_run *run)
{
	const struct lab_array_plan *plan = &run->scenario->array;

	raid_rebuild_know(run->array, lab_run_leap, run);
	if (plan->rebuild_min != LAB_NO_LIMIT)
		raid_sync_set_speed(run->array,
				    (struct raid_speed){ plan->rebuild_min, plan->rebuild_max });
}

int lab_run_assemble(struct lab_run *run, bool force)
{
	struct raid_assemble_options options = { .force = force,
						 .rebuild_rate = run->scenario->array.rebuild_max,
						 .now = EPOCH + lab_run_now(run) / 1000000000,
						 .log = &run->log };
	struct block *blocks[LAB_DISKS], *members[LAB_DISKS];
	unsigned count = lab_run_blocks(run, blocks), found = 0;
	struct raid_info info;
	int rc;

	/* A disk that was never added is none of its. */
	for (unsigned i = 0; i < count; i++)
		if (raid_probe(blocks[i], &info, NULL) != 0)
			members[found++] = blocks[i];
	rc = raid_assemble(&run->array, members, found, &options, &run->error);
	if (rc)
		run->array = NULL;
	else
		take_array(run);
	return rc;
}

static enum raid_metadata metadata_of(const char *text)
{
	static const char *const names[] = { "1.0", "1.1", "1.2" };

	for (unsigned i = 0; text && i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			return (enum raid_metadata)(RAID_METADATA_1_0 + i);
	return RAID_METADATA_DEFAULT;
}

static int create_array(struct lab_run *run, struct error *error)
{
	static const enum raid_bitmap_choice bitmaps[] = {
		[LAB_BY_RESYNC] = RAID_BITMAP_NONE,
		[LAB_BY_BITMAP] = RAID_BITMAP_INTERNAL,
		[LAB_BY_PPL] = RAID_BITMAP_PPL,
		[LAB_BY_JOURNAL] = RAID_BITMAP_JOURNAL,
	};
	const struct lab_array_plan *plan = &run->scenario->array;
	const struct raid_create_options options = {
		.name = "lab",
		.level = plan->level,
		.layout = plan->layout,
		.chunk = plan->chunk,
		.metadata = metadata_of(plan->metadata),
		.bitmap = bitmaps[plan->consistency],
		.bitmap_chunk = plan->consistency == LAB_BY_BITMAP ? plan->bitmap_chunk : 0,
		.size = plan->size,
		.assume_clean = plan->assume_clean,
		.rebuild_rate = plan->rebuild_max,
		.now = EPOCH,
		.log = &run->log,
	};
	struct raid_new_member members[LAB_DISKS] = { 0 };
	unsigned count = (unsigned)(plan->members + plan->spares);

	for (unsigned i = 0; i < count; i++) {
		members[i].block = &run->disks[i]->block;
		members[i].spare = i >= plan->members;
	}
	if (plan->consistency == LAB_BY_JOURNAL) {
		members[count].block = &run->disks[count]->block;
		members[count++].journal = true;
	}
	return raid_create(&run->array, members, count, &options, error);
}

/* ---- Region ---- */

static int make_region(struct lab_run *run, struct error *error)
{
	const struct lab_workload_plan *plan = &run->scenario->workload;
	uint64_t size = raid_array_block(run->array)->size;
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

	for (unsigned i = 0; i < scenario->disk_count; i++) {
		struct lab_store *store = lab_store_create(scenario->models[i].size, NULL);
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		run->disks[i] = lab_disk_create(&run->rack, i, name, store, &scenario->models[i],
						random_next(&run->random));
	}
	rc = create_array(run, error);
	if (rc)
		return rc;
	take_array(run);
	rc = make_region(run, error);
	if (rc)
		return rc;
	run->trace = run->options->trace;
	set_caches(run);
	run->rack.writes = run->rack.flushes = 0;
	run->rack.trace = run->trace;
	run->start_ns = worker_now();
	run->tick_ns = 1000000;
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

	raid_status(run->array, &status);
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
	const struct raid_level_ops *level;

	result->assembled = run->array != NULL;
	result->failed = !run->array;
	if (!run->array)
		return;
	level = run->array->level;
	lab_run_check(run, false);
	count_members(run);
	if (!result->degraded && !result->failed && !raid_level_maps(level) &&
	    lab_scrub(run->array, &result->mismatches, &run->error))
		lab_run_note(run, false, "the members cannot be compared: %s", run->error.text);
	if (raid_stop(steal_pointer(&run->array), &run->error))
		lab_run_note(run, false, "it does not end well: %s", run->error.text);
	if (result->failed)
		return;
	if (lab_run_assemble(run, false)) {
		lab_run_note(run, false, "it does not assemble again: %s", run->error.text);
		result->assembled = false;
		result->failed = true;
		return;
	}
	lab_run_check(run, false);
	raid_stop(steal_pointer(&run->array), NULL);
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
	if (run->array)
		raid_stop(run->array, NULL);
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
	struct worker_options worker_options = { .virtual_clock = true, .seed = options->seed + 1 };
	CLEANUP_FREE struct lab_run *run = calloc(1, sizeof(*run));
	struct worker *worker;
	int rc;

	*result = (struct lab_result){ .seed = options->seed };
	result->samples = calloc(LAB_SAMPLES, sizeof(*result->samples));
	if (!run || !result->samples)
		return error_set(error, -ENOMEM, "out of memory");
	run->scenario = scenario;
	run->options = options;
	run->result = result;
	run->seed = options->seed;
	run->random.state = options->seed;
	run->rack.random.state = options->seed ^ 0x5eed;
	run->log = (struct log){ .level = LOG_LEVEL_INFO, .write = listen };
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
	free(result->damages);
	*result = (struct lab_result){ 0 };
}
