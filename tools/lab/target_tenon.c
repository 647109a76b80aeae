/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of tenon's, on the run's own worker; see target.h. */
#include "tools/lab/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "tools/lab/run.h"
#include "tools/lab/store.h"
#include "util/bytes.h"

#define MS_NS     1000000ull
#define SECOND_NS 1000000000ull
#define EPOCH                                                                                      \
	1700000000ull /* what superblocks say of the time: no run differs from another by its day */

static void take_array(struct lab_run *run)
{
	const struct lab_array_plan *plan = &run->scenario->array;

	run->block = raid_array_block(run->array);
	if (!run->target->real_time)
		raid_rebuild_know(run->array, lab_run_leap, run);
	if (plan->rebuild_min != LAB_NO_LIMIT)
		raid_sync_set_speed(run->array,
				    (struct raid_speed){ plan->rebuild_min, plan->rebuild_max });
}

/* ---- Making and ending ---- */

static enum raid_metadata metadata_of(const char *text)
{
	static const char *const names[] = { "1.0", "1.1", "1.2" };

	for (unsigned i = 0; text && i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			return (enum raid_metadata)(RAID_METADATA_1_0 + i);
	return RAID_METADATA_DEFAULT;
}

static int tenon_create(struct lab_run *run, struct error *error)
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
	int rc;

	for (unsigned i = 0; i < count; i++) {
		members[i].block = &run->disks[i]->block;
		members[i].spare = i >= plan->members;
	}
	if (plan->consistency == LAB_BY_JOURNAL) {
		members[count].block = &run->disks[count]->block;
		members[count++].journal = true;
	}
	rc = raid_create(&run->array, members, count, &options, error);
	if (!rc)
		take_array(run);
	return rc;
}

static int tenon_assemble(struct lab_run *run, bool force, struct error *error)
{
	struct raid_assemble_options options = { .force = force,
						 .rebuild_rate = run->scenario->array.rebuild_max,
						 .now = EPOCH + lab_run_now(run) / SECOND_NS,
						 .log = &run->log };
	struct block *members[LAB_DISKS];
	unsigned found = lab_run_members(run, members);
	int rc = raid_assemble(&run->array, members, found, &options, error);

	if (rc)
		run->array = NULL;
	else
		take_array(run);
	return rc;
}

/* Nobody begins anything with it any more; it ends when those who use it have their answers. */
static int tenon_stop(struct lab_run *run, struct error *error)
{
	run->block = NULL;
	while (!list_empty(&run->busy))
		fiber_queue_wait_always(&run->workload_queue);
	return raid_stop(steal_pointer(&run->array), error);
}

/* It ends by itself, since no disk answers. */
static void tenon_power_lost(struct lab_run *run)
{
	tenon_stop(run, NULL);
}

/* ---- Looking ---- */

static void tenon_status(struct lab_run *run, struct raid_status *status)
{
	raid_status(run->array, status);
}

static bool tenon_is_idle(struct lab_run *run)
{
	return run->array->rebuild.idle;
}

static int tenon_scrub(struct lab_run *run, uint64_t *mismatches, struct error *error)
{
	return lab_scrub(run->array, mismatches, error);
}

/* ---- What an administrator does ---- */

static int add(struct lab_run *run, uint64_t index, struct error *error)
{
	/* One that is gone is replaced by a new one of its kind; another comes back as it is. */
	if (run->disks[index]->gone) {
		raid_remove(run->array, run->disks[index]->block.name, NULL);
		lab_run_new_disk(run, (unsigned)index);
	}
	return raid_add(run->array, &run->disks[index]->block, error);
}

static int restart(struct lab_run *run, bool force, struct error *error)
{
	int rc = tenon_stop(run, error);

	if (!rc)
		rc = tenon_assemble(run, force, error);
	fiber_queue_wake_all(&run->workload_queue);
	return rc;
}

static int tenon_administrate(struct lab_run *run, const struct lab_event *event,
			      struct error *error)
{
	uint64_t disk = event->disks.count ? event->disks.values[0] : 0;
	const char *name = run->disks[disk]->block.name;

	switch (event->action) {
	case LAB_DO_FAIL:
		return event->force ? raid_fail_anyway(run->array, name, error)
				    : raid_fail(run->array, name, error);
	case LAB_DO_REMOVE:
		return raid_remove(run->array, name, error);
	case LAB_DO_ADD:
		return add(run, disk, error);
	case LAB_DO_REPLACE:
		return raid_replace_with(run->array, name, &run->disks[event->with]->block, false,
					 error);
	case LAB_DO_CHECK:
	case LAB_DO_REPAIR:
		return event->force ? raid_repair_anyway(run->array, error)
				    : raid_scrub_start(run->array, event->action == LAB_DO_REPAIR,
						       error);
	default:
		return restart(run, event->force, error);
	}
}

const struct lab_target lab_target_tenon = {
	.name = "tenon",
	.prompt = true,
	.tick_ns = MS_NS,
	.quiet_ns = SECOND_NS / 2,
	.create = tenon_create,
	.assemble = tenon_assemble,
	.stop = tenon_stop,
	.power_lost = tenon_power_lost,
	.status = tenon_status,
	.is_idle = tenon_is_idle,
	.administrate = tenon_administrate,
	.scrub = tenon_scrub,
};
