/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays of the kernel's md, in a guest of User Mode Linux, over the laboratory's disks, as a target of scenarios; see
 * tools/lab/target.h and uml.h. What an administrator does, mdadm does; what is seen is in /sys.
 *
 * What md is to do is held up by its sync_max, at its beginning and where a moment is ("40%"), until it has been looked at: none
 * is missed, however quick the guest is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "raid/raid.h"
#include "tools/lab/run.h"
#include "tools/lab/store.h"
#include "tools/raid_test.h"
#include "tools/raid_test_md.h"
#include "tools/uml.h"
#include "util/bytes.h"

#define STILL_NS  (60 * MD_SECOND_NS)
#define UNLIMITED UINT64_MAX

/* ---- Names ---- */

static const char *device(unsigned disk, char text[24])
{
	char name[16];

	snprintf(text, 24, "/dev/%s", uml_disk_name(disk, name));
	return text;
}

static void add_device(char *text, size_t size, unsigned disk)
{
	char name[24];

	snprintf(text + strlen(text), size - strlen(text), " %s", device(disk, name));
}

/* ---- What it cannot have ---- */

static int md_check(const struct lab_scenario *scenario, struct error *error)
{
	for (unsigned i = 0; i < scenario->events.count; i++) {
		const struct lab_event *event = lab_scenario_event(scenario, i);

		if (event->keep_said)
			return error_set(error, -EOPNOTSUPP,
					 "events: the %u. (power): keep names writes of tenon's "
					 "array; md makes others",
					 i + 1);
	}
	if (scenario->disk_count > UML_DISKS)
		return error_set(error, -EOPNOTSUPP, "array: %u disks, md's guest has at most %u",
				 scenario->disk_count, UML_DISKS);
	return 0;
}

/* ---- Making ---- */

static void leave_line(void *arg, const char *text)
{
	(void)arg, (void)text;
}

static int open_array(struct lab_run *run, struct error *error)
{
	const struct uml_call call = { .kind = UML_LOOK };
	struct md *md = run->machine;
	CLEANUP_FREE char *text = calloc(1, UML_TEXT + 1);
	uint64_t size;
	int rc = text ? uml_ask(md->uml, &call, "/sys/block/md0/size\n" MD "layout", text, NULL)
		      : -ENOMEM;

	if (rc)
		return error_set(error, rc, "md0: %s", error_name(rc));
	size = strtoull(text, NULL, 10) * LAB_SECTOR;
	md->layout = (uint32_t)strtoul(text + strlen(text) + 1, NULL, 10);
	if (!size)
		return error_set(error, -EIO, "md0: it is not active");
	md->sync_max = MD_NOT_KNOWN;
	md->idle = md->gone = false;
	md->left_ns = 0;
	return uml_block_create(md->uml, "/dev/md0", size, &run->block, error);
}

static int set_speed(struct lab_run *run)
{
	const struct lab_array_plan *plan = &run->scenario->array;
	struct md *md = run->machine;
	char text[32];
	int rc = 0;

	if (plan->rebuild_max) {
		snprintf(text, sizeof(text), "%" PRIu64, MAX(plan->rebuild_max >> 10, 1));
		rc = uml_put(md->uml, MD "sync_speed_max", text);
	}
	/* No less than a kilobyte a second can be said. */
	if (!rc && plan->rebuild_min != LAB_NO_LIMIT) {
		snprintf(text, sizeof(text), "%" PRIu64, MAX(plan->rebuild_min >> 10, 1));
		rc = uml_put(md->uml, MD "sync_speed_min", text);
	}
	return rc;
}

/* What tenon's array has: a sector of a scenario is to be the same for both. It is made of disks that are thrown away. */
static int find_offset(struct lab_run *run, uint64_t *offset, struct error *error)
{
	struct lab_run like = { .scenario = run->scenario, .target = &lab_target_tenon };
	struct lab_disk_model model = { .kind = LAB_MODEL_INSTANT };
	struct raid_status status;
	int rc;

	list_init(&like.busy);
	fiber_queue_init(&like.workload_queue);
	lab_disk_model_complete(&model);
	for (unsigned i = 0; i < run->scenario->disk_count; i++) {
		model.size = run->scenario->models[i].size;
		like.disks[i] = lab_disk_create(&like.rack, i, run->disks[i]->block.name,
						lab_store_create(model.size, NULL), &model, i);
	}
	rc = lab_target_tenon.create(&like, error);
	if (!rc) {
		raid_status(like.array, &status);
		*offset = status.member_count ? status.members[0].data_offset : 0;
		raid_status_free(&status);
		lab_target_tenon.stop(&like, NULL);
	}
	for (unsigned i = 0; i < run->scenario->disk_count; i++)
		block_unref(&like.disks[i]->block);
	return rc;
}

/* mdadm's word for it: "n2" is ours, too. */
static void say_layout(const struct lab_array_plan *plan, char *text, size_t size)
{
	const char *equals = plan->layout ? strchr(plan->layout, '=') : NULL;

	if (!plan->layout)
		return;
	if (equals)
		snprintf(text + strlen(text), size - strlen(text), " --layout=%c%s",
			 plan->layout[0], equals + 1);
	else
		snprintf(text + strlen(text), size - strlen(text), " --layout=%s", plan->layout);
}

static void say_consistency(const struct lab_scenario *scenario, char *text, size_t size)
{
	const struct lab_array_plan *plan = &scenario->array;
	size_t at = strlen(text);

	if (plan->consistency == LAB_BY_BITMAP && plan->bitmap_chunk)
		snprintf(text + at, size - at, " --bitmap=internal --bitmap-chunk=%" PRIu64,
			 plan->bitmap_chunk >> 10);
	else if (plan->consistency == LAB_BY_BITMAP)
		snprintf(text + at, size - at, " --bitmap=internal");
	else if (plan->consistency == LAB_BY_PPL)
		snprintf(text + at, size - at, " --consistency-policy=ppl");
	else if (plan->consistency == LAB_BY_JOURNAL) {
		snprintf(text + at, size - at, " --write-journal");
		add_device(text, size, (unsigned)(plan->members + plan->spares));
	} else if (lab_level_has_redundancy(plan->level))
		snprintf(text + at, size - at, " --bitmap=none");
}

static int md_create(struct lab_run *run, struct error *error)
{
	const struct lab_array_plan *plan = &run->scenario->array;
	struct md *md = run->machine;
	char text[2048] = "";
	int rc = find_offset(run, &md->data_offset, error);

	if (rc)
		return rc;
	if (plan->chunk)
		snprintf(text, sizeof(text), " --chunk=%" PRIu64, plan->chunk >> 10);
	say_layout(plan, text, sizeof(text));
	say_consistency(run->scenario, text, sizeof(text));
	if (plan->size)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " --size=%" PRIu64,
			 plan->size >> 10);
	/* It is for md to say where the data of 1.0 begin: at once. */
	if (!plan->metadata || strcmp(plan->metadata, "1.0") != 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 " --data-offset=%" PRIu64 "K", md->data_offset >> 10);
	if (plan->assume_clean && lab_level_has_redundancy(plan->level))
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " --assume-clean");
	snprintf(text + strlen(text), sizeof(text) - strlen(text), " --raid-devices=%" PRIu64,
		 plan->members);
	if (plan->spares)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 " --spare-devices=%" PRIu64, plan->spares);
	for (unsigned i = 0; i < plan->members + plan->spares; i++)
		add_device(text, sizeof(text), i);
	rc = uml_run(md->uml, error,
		     "mdadm --create /dev/md0 --run --force --homehost=lab --name=lab --level=%s "
		     "--metadata=%s%s",
		     plan->level_text, plan->metadata ? plan->metadata : "1.2", text);
	uml_console(md->uml, "md", leave_line, NULL);
	if (!rc)
		rc = open_array(run, error);
	return rc ? rc : set_speed(run);
}

static int md_begin(struct lab_run *run, struct error *error)
{
	struct md *md = calloc(1, sizeof(*md));
	int rc = md ? uml_create(&md->uml, error) : -ENOMEM;

	run->machine = md;
	for (unsigned i = 0; i < run->scenario->disk_count && !rc; i++)
		rc = uml_add_disk(md->uml, &run->disks[i]->block, error);
	return rc ? rc : uml_start(md->uml, error);
}

static void md_end(struct lab_run *run)
{
	struct md *md = run->machine;

	if (md)
		uml_destroy(md->uml);
	free(md);
	run->machine = NULL;
}

/* ---- Assembling and ending ---- */

static int md_assemble(struct lab_run *run, bool force, struct error *error)
{
	struct md *md = run->machine;
	struct block *members[LAB_DISKS];
	unsigned count = lab_run_members(run, members);
	char text[1024] = "";
	int rc = 0;

	if (!md->uml->up)
		rc = uml_start(md->uml, error);
	for (unsigned i = 0; i < count; i++)
		add_device(text, sizeof(text), lab_disk_of(members[i])->index);
	if (!rc)
		rc = uml_run(md->uml, error, "mdadm --assemble /dev/md0 --run%s%s",
			     force ? " --force" : "", text);
	if (!rc)
		rc = open_array(run, error);
	else if (md->uml->up)
		uml_run(md->uml, NULL, "mdadm --stop /dev/md0");
	return rc ? rc : set_speed(run);
}

/* Nobody uses it any more, and those who did are through. */
static void close_array(struct block *block)
{
	block_quiesce(block);
	block_unref(block);
}

static int md_stop(struct lab_run *run, struct error *error)
{
	const struct uml_call call = { .kind = UML_CLOSE };
	struct md *md = run->machine;

	close_array(steal_pointer(&run->block));
	uml_ask(md->uml, &call, NULL, NULL, NULL);
	raid_test_md_listen(run);
	return uml_run(md->uml, error, "mdadm --stop /dev/md0");
}

static void md_power_lost(struct lab_run *run)
{
	struct block *block = steal_pointer(&run->block);
	struct md *md = run->machine;

	uml_kill(md->uml);
	close_array(block);
}

/* ---- Waiting ---- */

static bool md_is_idle(struct lab_run *run)
{
	return ((struct md *)run->machine)->idle;
}

static uint64_t md_latency(struct lab_run *run, uint64_t offset)
{
	return uml_latency(((struct md *)run->machine)->uml, offset);
}

static void md_pace(struct lab_run *run, uint64_t most)
{
	struct md *md = run->machine;
	char text[32] = "max";
	uint64_t step = MAX(run->scenario->array.chunk, 1 << 20) / LAB_SECTOR;

	/* What has not begun, though it says that it runs, is still held at its beginning, and has no length. */
	if (most == md->sync_max || (most && most != UNLIMITED && !md->sync_total))
		return;
	/* Up to a whole chunk, and no further than the end. */
	if (most != UNLIMITED)
		snprintf(text, sizeof(text), "%" PRIu64,
			 ((uint64_t)((double)md->sync_total * (double)most / 100000) / step + 1) *
				 step * (most != 0));
	if (!uml_put(md->uml, MD "sync_max", text))
		md->sync_max = most;
}

/* Until nothing runs; not for what stands still. */
static int wait_idle(struct lab_run *run, struct raid_status *status, struct error *error)
{
	struct md *md = run->machine;
	unsigned quiet = 0;
	uint64_t position = 0, moved_ns = lab_run_now(run);

	md_pace(run, UNLIMITED);
	while (quiet < 5) {
		fiber_sleep(MD_SECOND_NS / 20);
		if (!md->uml->up)
			return error_set(error, -EIO, "the guest is no more");
		raid_test_md_status(run, status);
		quiet = md->idle ? quiet + 1 : 0;
		if (md->idle || status->progress.position != position)
			moved_ns = lab_run_now(run);
		position = status->progress.position;
		if (quiet < 5)
			raid_status_free(status);
		if (lab_run_now(run) - moved_ns > STILL_NS)
			return error_set(error, -ETIMEDOUT,
					 "md0 has stood at byte %" PRIu64 " of a %s for a minute",
					 position, raid_operation_name(status->progress.operation));
	}
	return 0;
}

static int md_scrub(struct lab_run *run, uint64_t *mismatches, struct error *error)
{
	struct md *md = run->machine;
	struct raid_status status;
	int rc = wait_idle(run, &status, error);

	if (rc)
		return rc;
	raid_status_free(&status);
	rc = uml_put(md->uml, MD "sync_action", "check");
	if (rc)
		return error_set(error, rc, "check: %s", error_name(rc));
	rc = wait_idle(run, &status, error);
	if (rc)
		return rc;
	*mismatches = status.progress.mismatches;
	raid_status_free(&status);
	return 0;
}

/* ---- What an administrator does ---- */

static int add(struct lab_run *run, unsigned disk, struct error *error)
{
	struct md *md = run->machine;
	char name[24];

	device(disk, name);
	if (run->disks[disk]->gone) {
		uml_run(md->uml, NULL, "mdadm /dev/md0 --remove %s", name);
		lab_run_renew_disk(run, disk);
	}
	return uml_run(md->uml, error, "mdadm /dev/md0 --add %s", name);
}

static int replace(struct md *md, const char *old, const char *new, struct error *error)
{
	uml_run(md->uml, NULL, "mdadm /dev/md0 --add %s", new);
	return uml_run(md->uml, error, "mdadm /dev/md0 --replace %s --with %s", old, new);
}

static int restart(struct lab_run *run, bool force, struct error *error)
{
	int rc = md_stop(run, error);

	if (!rc)
		rc = md_assemble(run, force, error);
	fiber_queue_wake_all(&run->workload_queue);
	return rc;
}

static int md_administrate(struct lab_run *run, const struct lab_event *event, struct error *error)
{
	unsigned disk = event->disks.count ? (unsigned)event->disks.values[0] : 0;
	struct md *md = run->machine;
	char name[24], with[24];
	int rc;

	device(disk, name);
	switch (event->action) {
	case LAB_DO_FAIL:
		return uml_run(md->uml, error, "mdadm /dev/md0 --fail %s", name);
	case LAB_DO_REMOVE:
		return uml_run(md->uml, error, "mdadm /dev/md0 --remove %s", name);
	case LAB_DO_ADD:
		return add(run, disk, error);
	case LAB_DO_REPLACE:
		return replace(md, name, device((unsigned)event->with, with), error);
	case LAB_DO_CHECK:
	case LAB_DO_REPAIR:
		rc = uml_put(md->uml, MD "sync_action",
			     event->action == LAB_DO_CHECK ? "check" : "repair");
		return rc ? error_set(error, rc, "md0: %s", error_name(rc)) : 0;
	default:
		return restart(run, event->force, error);
	}
}

const struct lab_target raid_test_md = {
	.name = "md",
	.real_time = true,
	.tick_ns = MD_SECOND_NS / 100,
	.quiet_ns = 2 * MD_SECOND_NS,
	.check = md_check,
	.begin = md_begin,
	.end = md_end,
	.create = md_create,
	.assemble = md_assemble,
	.stop = md_stop,
	.power_lost = md_power_lost,
	.status = raid_test_md_status,
	.is_idle = md_is_idle,
	.administrate = md_administrate,
	.scrub = md_scrub,
	.pace = md_pace,
	.latency = md_latency,
};
