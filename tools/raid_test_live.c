/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon raid test --live`: an array of tenon's in real time, over the simulated disks, served over vhost-user-blk to a guest of User
 * Mode Linux, whose kernel carries out the workload. Latencies are what the guest waited.
 *
 * A guest cannot lose its disk and have it back: where the array ends, so does the guest, and where it is assembled again, another
 * one is started.
 */
#include <errno.h>
#include <stdio.h>

#include "block/block.h"
#include "raid/array.h"
#include "tools/lab/run.h"
#include "tools/raid_test.h"
#include "tools/uml.h"
#include "util/bytes.h"
#include "util/error.h"

#define SECOND_NS 1000000000ull

static int live_check(const struct lab_scenario *scenario, struct error *error)
{
	for (unsigned i = 0; i < scenario->events.count; i++)
		if (lab_scenario_event(scenario, i)->action == LAB_DO_RESTART)
			return error_set(error, -EOPNOTSUPP,
					 "events: the %u. (restart): a live guest would lose its "
					 "disk; expected a power loss, or none",
					 i + 1);
	return 0;
}

static int live_begin(struct lab_run *run, struct error *error)
{
	struct uml *uml = NULL;
	int rc = uml_create(&uml, error);

	run->machine = uml;
	return rc;
}

static void live_end(struct lab_run *run)
{
	uml_destroy(steal_pointer(&run->machine));
}

/* The array is there; a guest is to have it. */
static int start_guest(struct lab_run *run, struct error *error)
{
	struct block *array = steal_pointer(&run->block);
	char name[16], path[24];
	int rc = uml_add_disk(run->machine, array, error);

	snprintf(path, sizeof(path), "/dev/%s", uml_disk_name(0, name));
	if (!rc)
		rc = uml_start(run->machine, error);
	if (!rc)
		rc = uml_block_create(run->machine, path, array->size, &run->block, error);
	if (!rc)
		return 0;
	uml_kill(run->machine);
	uml_drop_disks(run->machine);
	lab_target_tenon.stop(run, NULL);
	return rc;
}

static int live_create(struct lab_run *run, struct error *error)
{
	int rc = lab_target_tenon.create(run, error);

	return rc ? rc : start_guest(run, error);
}

static int live_assemble(struct lab_run *run, bool force, struct error *error)
{
	int rc = lab_target_tenon.assemble(run, force, error);

	return rc ? rc : start_guest(run, error);
}

/* Those who use the guest's disk are through when it has gone, or have been before. */
static int end_guest(struct lab_run *run, struct block *disk, struct error *error)
{
	uml_kill(run->machine);
	block_quiesce(disk);
	block_unref(disk);
	uml_drop_disks(run->machine);
	return lab_target_tenon.stop(run, error);
}

static int live_stop(struct lab_run *run, struct error *error)
{
	struct block *disk = steal_pointer(&run->block);

	while (!list_empty(&run->busy))
		fiber_queue_wait_always(&run->workload_queue);
	return end_guest(run, disk, error);
}

static void live_power_lost(struct lab_run *run)
{
	end_guest(run, steal_pointer(&run->block), NULL);
}

static void live_status(struct lab_run *run, struct raid_status *status)
{
	lab_target_tenon.status(run, status);
}

static bool live_is_idle(struct lab_run *run)
{
	return lab_target_tenon.is_idle(run);
}

static int live_administrate(struct lab_run *run, const struct lab_event *event,
			     struct error *error)
{
	return lab_target_tenon.administrate(run, event, error);
}

static int live_scrub(struct lab_run *run, uint64_t *mismatches, struct error *error)
{
	return lab_target_tenon.scrub(run, mismatches, error);
}

static uint64_t live_latency(struct lab_run *run, uint64_t offset)
{
	return uml_latency(run->machine, offset);
}

const struct lab_target raid_test_live = {
	.name = "live",
	.real_time = true,
	.prompt = true,
	.tick_ns = SECOND_NS / 200,
	.quiet_ns = SECOND_NS,
	.check = live_check,
	.begin = live_begin,
	.end = live_end,
	.create = live_create,
	.assemble = live_assemble,
	.stop = live_stop,
	.power_lost = live_power_lost,
	.status = live_status,
	.is_idle = live_is_idle,
	.administrate = live_administrate,
	.scrub = live_scrub,
	.latency = live_latency,
};
