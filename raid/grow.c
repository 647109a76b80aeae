/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More of each member, or more mirrors: what changes at once, with the array held still (still.h).
 *
 * Why no crash loses data. Where the data are does not change. What is new is beyond what was there: it counts as not in sync from the
 * same update of superblocks on that speaks of it, and nobody is told of it before that is durable. A bitmap of the new size is
 * written before; should the superblocks not follow it does not fit them, and counts as all set (intent_load.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "raid/grow.h"
#include "raid/intent.h"
#include "raid/members.h"
#include "raid/raid5_geometry.h"
#include "raid/rebuild.h"
#include "raid/still.h"
#include "raid/takeover.h"
#include "util/bytes.h"
#include "util/size.h"

static int refuse_busy(const struct raid_array *array, struct error *error)
{
	const struct raid_rebuild *rebuild = &array->rebuild;

	if (rebuild->frozen)
		return error_set(error, -EBUSY, "%s is held still", array->block.name);
	if (array->reshaping)
		error_set(error, -EBUSY, "%s is being reshaped", array->block.name);
	else if (rebuild->operation != RAID_IDLE)
		error_set(error, -EBUSY, "%s: %s is running", array->block.name,
			  raid_operation_name(rebuild->operation));
	else if (array->replacements)
		error_set(error, -EBUSY, "%s: a member is being replaced", array->block.name);
	else if (raid_array_in_sync_below(array) != MD_RESYNC_DONE &&
		 !raid_is_level_0_on_its_way(array)) /* which is to have no parity */
		error_set(error, -EBUSY, "%s is not in sync", array->block.name);
	else
		return 0;
	return error_advise(error, "`tenon raid rebuild %s` brings it to its end", array->name);
}

/* Level 0 is reshaped as level 4 without parity, as mdadm does it. */
static bool is_reshape_of_0(const struct raid_array *array, const struct raid_grow *grow)
{
	return array->now.level == RAID_LEVEL_0 && !grow->level && !grow->size && !grow->layout &&
	       (grow->devices || grow->chunk);
}

static int check_any(const struct raid_array *array, const struct raid_grow *grow,
		     struct error *error)
{
	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	if (array->features & MD_FEATURE_JOURNAL)
		return error_set(error, -EOPNOTSUPP, "%s has a journal: as md, it does not grow",
				 array->block.name);
	if (grow->level || is_reshape_of_0(array, grow))
		return refuse_busy(array, error);
	if (raid_level_maps(array->level) || !array->level->resize)
		return error_set(error, -EOPNOTSUPP,
				 "%s keeps its data once, and uses all of each member: it does not "
				 "grow in place",
				 array->block.name);
	/* A resync of what is new would be due, and without a member none can be told from what a crash leaves. */
	if (array->now.chunk_sectors && raid_array_degraded(array) &&
	    !raid_is_parity_only_missing(array)) {
		error_set(error, -EBUSY, "%s is degraded", array->block.name);
		return error_advise(error, "let it be rebuilt first");
	}
	return refuse_busy(array, error);
}

/* ---- More of each member ---- */

static const struct raid_member *smallest(const struct raid_array *array)
{
	const struct raid_member *least = NULL;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_writable(member) &&
		    (!least || raid_member_usable(member) < raid_member_usable(least)))
			least = member;
	}
	return least;
}

static uint64_t unit_of(const struct raid_array *array)
{
	uint64_t block = MAX(array->block.logical_block_size >> MD_SECTOR_SHIFT, 1u);

	return MAX(array->now.chunk_sectors, block);
}

/* What member_sectors are to be. */
static int plan_size(const struct raid_array *array, uint64_t wanted, uint64_t *sectors,
		     struct error *error)
{
	const struct raid_member *least = smallest(array);
	uint64_t most = round_down(least ? raid_member_usable(least) : 0, unit_of(array));
	char has[SIZE_TEXT], now[SIZE_TEXT];

	*sectors = wanted == RAID_GROW_MAX ? MAX(most, array->now.member_sectors)
					   : round_down(wanted >> MD_SECTOR_SHIFT, unit_of(array));
	if (*sectors < array->now.member_sectors) {
		error_set(
			error, -EINVAL,
			"%s uses %s of each member, %s would be less: what is beyond would be lost",
			array->block.name,
			size_format(array->now.member_sectors << MD_SECTOR_SHIFT, now),
			size_format(*sectors << MD_SECTOR_SHIFT, has));
		return -EINVAL;
	}
	if (*sectors > most && *sectors > array->now.member_sectors)
		return error_set(error, -ENOSPC, "%s has %s (%llu bytes) for data, expected %llu",
				 least ? least->block->name : array->block.name,
				 size_format(most << MD_SECTOR_SHIFT, has),
				 (unsigned long long)most << MD_SECTOR_SHIFT,
				 (unsigned long long)*sectors << MD_SECTOR_SHIFT);
	if (*sectors > array->now.member_sectors && array->now.level == RAID_LEVEL_10 &&
	    raid10_far_copies(array->now.layout) > 1 && !(array->now.layout & RAID10_LAYOUT_OFFSET))
		return error_set(
			error, -EOPNOTSUPP,
			"%s has far copies, which lie behind the first: they would have to "
			"move",
			array->block.name);
	return 0;
}

static int say_not_written(const struct raid_array *array, int rc, struct error *error)
{
	return error_set(error, rc, "%s: superblocks cannot be written: %s", array->block.name,
			 error_name(rc));
}

/* Should members not take it the array keeps its size, and what they have of the new one is written over. */
static int write_larger_bitmap(struct raid_array *array, uint64_t from, struct error *error)
{
	int rc = raid_intent_resize(array, from, error);

	if (rc)
		return rc;
	rc = raid_bitmap_write(array, error);
	if (!rc)
		return 0;
	raid_intent_bring_back(array);
	raid_bitmap_write(array, NULL);
	array->super_wanted++;
	return rc;
}

static int take_size(struct raid_array *array, uint64_t sectors, struct error *error)
{
	struct raid_geometry before = array->now;
	uint64_t from = array->sync_sectors;
	int rc = raid_array_mark_clean(array);

	if (rc)
		return say_not_written(array, rc, error);
	array->now.member_sectors = sectors;
	rc = array->level->resize(array, error);
	if (!rc && array->intent)
		rc = write_larger_bitmap(array, from, error);
	if (rc) {
		array->now = before;
		array->level->resize(array, NULL);
		return rc;
	}
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_writable(member))
			member->sb.data_size = raid_member_usable(member);
	}
	raid_array_resync_from(array, from);
	rc = raid_super_update(array);
	if (rc) {
		say_not_written(array, rc, error);
		return error_advise(error, "some may say its new size: it is used from the next "
					   "assembly on if they do");
	}
	array->block.size =
		round_down(array->sectors << MD_SECTOR_SHIFT, array->block.logical_block_size);
	return 0;
}

/* ---- More mirrors, or fewer ---- */

static int check_devices(const struct raid_array *array, unsigned devices, struct error *error)
{
	unsigned taken = 0;

	if (!devices || devices > array->metadata->most_devices)
		return error_set(error, -EINVAL, "%u members, expected 1 to %u", devices,
				 array->metadata->most_devices);
	for (uint32_t i = 0; i < array->now.disks; i++)
		taken += array->places[i].member != NULL;
	if (taken <= devices)
		return 0;
	error_set(error, -EBUSY, "%s has %u members in %u places, expected at most %u",
		  array->block.name, taken, array->now.disks, devices);
	return error_advise(error, "fail and remove members first");
}

/* All copies are alike, so that a member may have any place. */
static int take_devices(struct raid_array *array, unsigned devices, struct error *error)
{
	struct raid_place *places = calloc(devices, sizeof(*places)), *old = array->places;
	unsigned place = 0;
	int rc;

	if (!places)
		return error_set(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (devices >= array->now.disks)
			place = i;
		if (!old[i].member)
			continue;
		places[place] = old[i];
		old[i].member->role = (int)place++;
	}
	array->places = places;
	array->now.disks = devices;
	free(old);
	rc = array->level->resize(array, error);
	if (!rc)
		rc = raid_super_update(array);
	return rc ? say_not_written(array, rc, error) : 0;
}

/* ---- The whole ---- */

/* What is to be done, of which the first may be several. */
struct grow_plan {
	uint64_t sectors;             /* of each member */
	bool takes_over;              /* to another level, where data are in the same places: */
	struct raid_geometry level_g; /* this */
	bool moves;                   /* then, or only, to another shape: */
	struct raid_geometry g;       /* this */
	bool adds;                    /* in between devices are added */
	const char *next_level;       /* and to this when data have been moved; NULL: none */
};

/* To level 4, to another shape there, and back. Devices have no place before the first. */
static int plan_reshape_of_0(const struct raid_array *array, const struct raid_grow *grow,
			     struct grow_plan *plan, struct error *error)
{
	struct raid_grow as_4 = *grow, only_level = { .level = "4" };
	int rc = raid_takeover_plan(array, &only_level, &plan->level_g, error);

	if (rc)
		return rc;
	if (!array->metadata->adding || array->metadata == &raid_metadata_dm)
		return error_set(error, -EOPNOTSUPP, "%s is a volume of LVM's, which has its shape",
				 array->block.name);
	if (as_4.devices)
		as_4.devices++;
	plan->next_level = "0";
	plan->takes_over = true;
	plan->adds = grow->devices > array->now.disks;
	return raid_reshape_plan_from(array, &plan->level_g, &as_4, &plan->g, &plan->moves, error);
}

/* Where Q has no disk of its own it gets one first. */
static int plan_6_to_5(const struct raid_array *array, const struct raid_grow *grow,
		       struct grow_plan *plan, struct error *error)
{
	struct raid_grow as_6 = *grow;
	char buffer[32], layout[48];
	uint32_t to = array->now.layout;
	int rc = 0;

	if (grow->layout)
		rc = raid_geometry_layout_parse(RAID_LEVEL_5, grow->layout, &to, error);
	if (rc)
		return error_prefix(error, "%s", array->block.name), rc;
	if (to > RAID5_PARITY_LAST) {
		error_set(error, -EINVAL, "%s: its layout is %s, which level 5 has none like",
			  array->block.name, raid_geometry_layout_name(RAID_LEVEL_6, to, buffer));
		return error_advise(error, "say with --layout which one it is to have");
	}
	snprintf(layout, sizeof(layout), "%s%s",
		 raid_geometry_layout_name(RAID_LEVEL_5, to, buffer),
		 to == RAID5_PARITY_LAST ? "" : "-6");
	as_6.level = NULL;
	as_6.layout = layout;
	plan->next_level = "5";
	return raid_reshape_plan(array, &as_6, &plan->g, &plan->moves, error);
}

static bool is_6_to_5(const struct raid_array *array, const struct raid_grow *grow)
{
	int level;

	if (array->now.level != RAID_LEVEL_6 || raid_level_parse(grow->level, &level, NULL) ||
	    level != RAID_LEVEL_5)
		return false;
	return grow->layout || (array->now.layout != RAID5_PARITY_LAST &&
				array->now.layout < RAID6_LEFT_ASYMMETRIC_6);
}

static int plan_reshape(const struct raid_array *array, const struct raid_grow *grow,
			struct grow_plan *plan, struct error *error)
{
	struct raid_grow as_4 = *grow;

	plan->next_level = array->next_level;
	/* It was said of level 0. */
	if (raid_is_level_0_on_its_way(array) && as_4.devices)
		as_4.devices++;
	return raid_reshape_plan(array, &as_4, &plan->g, &plan->moves, error);
}

static int check(const struct raid_array *array, const struct raid_grow *grow,
		 struct grow_plan *plan, struct error *error)
{
	bool mirror = array->now.level == RAID_LEVEL_1 && !grow->chunk && !grow->layout;
	int rc = check_any(array, grow, error);

	plan->sectors = array->now.member_sectors;
	plan->moves = plan->takes_over = plan->adds = false;
	plan->next_level = NULL;
	if (!rc && is_reshape_of_0(array, grow))
		return plan_reshape_of_0(array, grow, plan, error);
	if (!rc && grow->level && is_6_to_5(array, grow))
		return plan_6_to_5(array, grow, plan, error);
	if (!rc && grow->level) {
		rc = raid_takeover_plan(array, grow, &plan->level_g, error);
		plan->takes_over = plan->level_g.level != array->now.level;
		/* Parity may be wrong, and nobody has made it. */
		if (!plan->takes_over && raid_is_level_0_on_its_way(array))
			plan->next_level = array->next_level;
		return rc || !grow->layout ? rc
					   : raid_reshape_plan_after(array, &plan->level_g, grow,
								     &plan->g, &plan->moves, error);
	}
	if (!rc && grow->devices && mirror)
		rc = check_devices(array, grow->devices, error);
	if (!rc && !mirror)
		rc = plan_reshape(array, grow, plan, error);
	if (!rc && grow->size)
		rc = plan_size(array, grow->size, &plan->sectors, error);
	if (!rc && plan->moves && plan->sectors > array->now.member_sectors)
		rc = error_set(error, -EINVAL,
			       "%s: another size and another shape at once, expected one of them",
			       array->block.name);
	return rc;
}

bool raid_grow_adds_later(const struct raid_array *array)
{
	return raid_level_maps(array->level);
}

bool raid_grow_goes_on(const struct raid_array *array)
{
	return raid_is_level_0_on_its_way(array) && !array->reshaping;
}

/* ---- Another level, once data have been moved ---- */

/* Should it not be possible then, or the array be stopped before, it keeps the level that it has on its way, which is as good: it is tried again when all
 * members are in sync or the array is started again. */
static int take_next_level(void *arg)
{
	struct raid_array *array = arg;
	struct raid_grow grow = { .level = array->next_level };
	struct error error = { 0 };
	int rc = -ECANCELED;

	while (!array->rebuild.idle)
		fiber_queue_wait_always(&array->rebuild.change);
	if (!array->stopping)
		rc = raid_grow(array, &grow, &error);
	if (rc && rc != -ECANCELED)
		log_warning(array->log, "%s: has its new shape, and not yet level %s: %s",
			    array->block.name, grow.level, error.text);
	array->takes_level = false;
	raid_rebuild_kick(array);
	fiber_queue_wake_all(&array->rebuild.change);
	if (--array->requests == 0)
		fiber_queue_wake_all(&array->requests_queue);
	return 0;
}

static void begin_next_level(struct raid_array *array)
{
	/* So that it is not stopped meanwhile. */
	array->requests++;
	array->takes_level = true;
	fiber_start(take_next_level, array);
}

static void array_changed(struct raid_watch *watch, enum raid_change change)
{
	struct raid_array *array = container_of(watch, struct raid_array, grow_watch);

	if ((change == RAID_CHANGED_RESHAPED || change == RAID_CHANGED_SYNCED) &&
	    array->next_level && !array->reshaping && !array->takes_level)
		begin_next_level(array);
}

static void want_next_level(struct raid_array *array, const char *level)
{
	array->next_level = level;
	if (!level || array->grow_watches)
		return;
	array->grow_watches = true;
	array->grow_watch.changed = array_changed;
	raid_array_watch(array, &array->grow_watch);
}

void raid_grow_load(struct raid_array *array, uint8_t next)
{
	if (next == MD_NEXT_LEVEL_0 &&
	    (array->now.level == RAID_LEVEL_4 || array->now.level == RAID_LEVEL_5))
		array->next_level = "0";
	else if (next == MD_NEXT_LEVEL_5 && array->now.level == RAID_LEVEL_6)
		array->next_level = "5";
}

void raid_grow_resume(struct raid_array *array)
{
	if (!array->next_level)
		return;
	want_next_level(array, array->next_level);
	if (!array->reshaping && !array->rebuild.disabled)
		begin_next_level(array);
}

int raid_grow_wait(struct raid_array *array, struct error *error)
{
	int rc = 0;

	if (!array->next_level)
		return 0;
	/* Of an array that was opened for the change alone nobody else moves the data. */
	raid_sync_resume(array);
	rc = raid_rebuild_wait(array, NULL, NULL, 1000000000, error);
	if (rc || !array->next_level)
		return rc;
	error_set(error, -EBUSY, "%s: has its new shape, and not yet level %s", array->block.name,
		  array->next_level);
	return error_advise(error, "it has that once all of its members are in sync");
}

/* With everything held still. */
static int carry_out(struct raid_array *array, const struct raid_grow *grow,
		     const struct grow_plan *plan, struct error *error)
{
	int rc = 0;

	/* Superblocks say it from the update on that has the level on its way, up to the one that has the last. */
	if (plan->next_level)
		want_next_level(array, plan->next_level);
	if (plan->takes_over)
		rc = raid_takeover(array, &plan->level_g, error);
	if (!rc)
		want_next_level(array, plan->next_level);
	if (!rc && plan->adds)
		return 0;
	if (!rc && plan->moves)
		rc = raid_reshape_begin(array, &plan->g, grow->backup, error);
	else if (!rc && grow->devices && !plan->next_level && grow->devices != array->now.disks)
		rc = take_devices(array, grow->devices, error);
	/* With nothing begun there is no end of it. */
	if (rc && !array->reshaping && !raid_is_level_0_on_its_way(array))
		array->next_level = NULL;
	if (!rc && grow->size && plan->sectors > array->now.member_sectors)
		rc = take_size(array, plan->sectors, error);
	return rc;
}

int raid_grow(struct raid_array *array, const struct raid_grow *grow, struct error *error)
{
	struct grow_plan plan;
	int rc;

	fiber_mutex_lock(&array->membership);
	rc = check(array, grow, &plan, error);
	if (rc || grow->only_check) {
		fiber_mutex_unlock(&array->membership);
		return rc;
	}
	raid_hold_still(array);
	/* As it is now. */
	array->rebuild.frozen = false;
	rc = check(array, grow, &plan, error);
	array->rebuild.frozen = true;
	if (!rc)
		rc = carry_out(array, grow, &plan, error);
	raid_go_on(array);
	fiber_mutex_unlock(&array->membership);
	return rc;
}
