/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another level without moving data, as md's *_takeover() (drivers/md of Linux 6.1) do it: 4 and 5 with parity last, 1 and 5 with two
 * disks, 5 and 6 with the layouts in which Q has a disk of its own, the last; 0 and, with parity last, 4 and 5.
 *
 * Why no crash loses data. What is said anew is said by one update of superblocks, and where data and P are does not change by it.
 * So a member that missed the update has what the others think that it has (raid_takeover_same(), by which assembly judges it). The
 * disk of Q is new, empty and to be recovered; or it becomes a spare, written after all that keep data (super.c). Level 0 uses all of each
 * member that its superblock gives it: so all give the same before the level is 0, by an update of its own. It has no spares, and its
 * members have no more to lose: who had parity, and spares, are let go, and their superblocks, which are of another level, erased at the end.
 */
#include "raid/takeover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "raid/grow.h"
#include "raid/raid5_geometry.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

#define LAYOUT_SYMMETRIC   2u
#define LAYOUT_PARITY_LAST 5u
#define LAYOUT_Q_LAST      16u /* added to those of level 5, but for parity last, which is the same */
#define CHUNK_MOST         128u /* sectors, of a mirror that becomes level 5 */
#define CHUNK_LEAST        8u

/* The same data and P at level 5. False: there are none. */
static bool as_level_5(const struct raid_geometry *g, struct raid_geometry *five)
{
	*five = *g;
	five->level = RAID_LEVEL_5;
	switch (g->level) {
	case RAID_LEVEL_0:
		five->disks++;
		five->layout = LAYOUT_PARITY_LAST;
		return true;
	case RAID_LEVEL_4:
		five->layout = LAYOUT_PARITY_LAST;
		return true;
	case RAID_LEVEL_5:
		return true;
	case RAID_LEVEL_6:
		five->disks--;
		if (g->layout == LAYOUT_PARITY_LAST)
			return true;
		five->layout -= LAYOUT_Q_LAST;
		return g->layout >= LAYOUT_Q_LAST;
	default:
		return false;
	}
}

static bool is_mirror_pair(const struct raid_geometry *a, const struct raid_geometry *b)
{
	return a->level == RAID_LEVEL_1 && b->level == RAID_LEVEL_5 && a->disks == 2 &&
	       b->disks == 2;
}

bool raid_takeover_same(const struct raid_geometry *a, const struct raid_geometry *b)
{
	struct raid_geometry x, y;

	if (is_mirror_pair(a, b) || is_mirror_pair(b, a))
		return true;
	return as_level_5(a, &x) && as_level_5(b, &y) && x.layout == y.layout &&
	       x.chunk_sectors == y.chunk_sectors && x.disks == y.disks;
}

/* ---- What is to be ---- */

static int refuse(const struct raid_array *array, int level, struct error *error)
{
	char from[16], to[16];

	return error_set(error, -EOPNOTSUPP,
			 "%s: its level is %s with %u members, which does not become %s: expected "
			 "0 and 4 or 5, 4 and 5, 1 and 5 with two members, or 5 and 6",
			 array->block.name, raid_level_name(array->now.level, from),
			 array->now.disks, raid_level_name(level, to));
}

static int refuse_layout(const struct raid_array *array, const char *expected, struct error *error)
{
	char buffer[32];

	error_set(error, -EINVAL, "%s: its layout is %s, expected %s: data would have to move",
		  array->block.name,
		  raid_geometry_layout_name(array->now.level, array->now.layout, buffer), expected);
	return error_advise(error,
			    "`tenon raid grow %s --layout NAME` moves them to such a layout first",
			    array->name);
}

static int mirror_to_5(const struct raid_array *array, struct raid_geometry *g, struct error *error)
{
	g->layout = LAYOUT_SYMMETRIC;
	g->chunk_sectors = CHUNK_MOST;
	while (g->chunk_sectors > CHUNK_LEAST && g->member_sectors % g->chunk_sectors)
		g->chunk_sectors /= 2;
	if (g->member_sectors % g->chunk_sectors)
		return error_set(error, -EINVAL,
				 "%s uses %llu sectors of each member, expected a multiple of %u, "
				 "the smallest chunk",
				 array->block.name, (unsigned long long)g->member_sectors,
				 CHUNK_LEAST);
	return 0;
}

/* All members of level 0 have as much: one zone. */
static int from_0(const struct raid_array *array, struct raid_geometry *g, struct error *error)
{
	if (!is_power_of_two(g->chunk_sectors))
		return error_set(error, -EINVAL,
				 "%s: its chunk is %u sectors, expected a power of two: level %s "
				 "has no other",
				 array->block.name, g->chunk_sectors,
				 g->level == RAID_LEVEL_4 ? "4" : "5");
	g->member_sectors = 0;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_member *member = array->places[i].member;
		uint64_t sectors = round_down(member->sb.data_size, (uint64_t)g->chunk_sectors);

		if (i && sectors != g->member_sectors)
			return error_set(error, -EINVAL,
					 "%s: %s has %llu sectors for data, expected %llu as the "
					 "others: parity would not cover what is beyond",
					 array->block.name, member->block->name,
					 (unsigned long long)sectors,
					 (unsigned long long)g->member_sectors);
		g->member_sectors = sectors;
	}
	g->disks++;
	g->layout = g->level == RAID_LEVEL_5 ? LAYOUT_PARITY_LAST : 0;
	return 0;
}

static int to_0(const struct raid_array *array, struct raid_geometry *g, struct error *error)
{
	if (array->now.level == RAID_LEVEL_5 && array->now.layout != LAYOUT_PARITY_LAST)
		return refuse_layout(array, "parity-last", error);
	if (array->intent) {
		error_set(error, -EINVAL, "%s has a bitmap, expected none at level 0",
			  array->block.name);
		return error_advise(error, "`tenon raid bitmap %s remove` takes it away",
				    array->name);
	}
	for (uint32_t i = 0; i + 1 < array->now.disks; i++) {
		const struct raid_member *member = array->places[i].member;

		if (member->bad.count)
			return error_set(error, -EINVAL,
					 "%s has %u ranges that are known to be bad: without "
					 "parity what they had is lost",
					 member->block->name, member->bad.count);
	}
	g->disks--;
	g->layout = 0;
	g->member_sectors = 0;
	return 0;
}

/* From 5, or to it. */
static int choose(const struct raid_array *array, int level, struct raid_geometry *g,
		  struct error *error)
{
	const struct raid_geometry *now = &array->now;

	*g = *now;
	g->level = level;
	if (is_mirror_pair(now, g))
		return mirror_to_5(array, g, error);
	if (is_mirror_pair(g, now)) {
		g->member_sectors = round_down(now->member_sectors, now->chunk_sectors);
		g->layout = g->chunk_sectors = 0;
		return 0;
	}
	if (now->level == RAID_LEVEL_0 && (level == RAID_LEVEL_4 || level == RAID_LEVEL_5))
		return from_0(array, g, error);
	if (level == RAID_LEVEL_0 && (now->level == RAID_LEVEL_4 || now->level == RAID_LEVEL_5))
		return to_0(array, g, error);
	if (now->level == RAID_LEVEL_4 && level == RAID_LEVEL_5) {
		g->layout = LAYOUT_PARITY_LAST;
		return 0;
	}
	if (now->level == RAID_LEVEL_5 && level == RAID_LEVEL_4) {
		g->layout = 0;
		return now->layout == LAYOUT_PARITY_LAST
			       ? 0
			       : refuse_layout(array, "parity-last", error);
	}
	if (now->level == RAID_LEVEL_5 && level == RAID_LEVEL_6) {
		g->disks++;
		g->layout += now->layout == LAYOUT_PARITY_LAST ? 0 : LAYOUT_Q_LAST;
		return 0;
	}
	if (now->level != RAID_LEVEL_6 || level != RAID_LEVEL_5)
		return refuse(array, level, error);
	return as_level_5(now, g) ? 0 : refuse_layout(array, "left-symmetric-6 or the like", error);
}

static bool has_spare(const struct raid_array *array)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_SPARE &&
		    member->sb.data_size >= array->now.member_sectors)
			return true;
	}
	return false;
}

static int check_array(const struct raid_array *array, const struct raid_grow *grow, int level,
		       struct error *error)
{
	bool to_6 = array->now.level == RAID_LEVEL_5 && level == RAID_LEVEL_6;

	if (grow->size || grow->devices || grow->chunk || (grow->layout && !to_6))
		return error_set(error, -EINVAL,
				 "%s: another level, and another size or shape at once, expected "
				 "one of them, or level 6 and a layout of it",
				 array->block.name);
	if (level == RAID_LEVEL_0 && grow->adding)
		return error_set(error, -EINVAL,
				 "%s: a device is added, expected none: level 0 "
				 "has no spares",
				 array->block.name);
	if (array->metadata == &raid_metadata_dm)
		return error_set(error, -EOPNOTSUPP, "%s is a volume of LVM's, which has its level",
				 array->block.name);
	if (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL)) {
		error_set(error, -EOPNOTSUPP, "%s has a log, expected none: it is of its level",
			  array->block.name);
		error_advise(error, "`tenon raid grow %s --consistency resync` takes it away first",
			     array->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* At level 0 there is no parity to miss. */
static int check_degraded(const struct raid_array *array, int level, struct error *error)
{
	const struct raid_geometry *now = &array->now;
	const struct raid_member *last = array->places[now->disks - 1].member;
	unsigned needed = now->disks -
			  (level == RAID_LEVEL_0 && (!last || last->state != RAID_MEMBER_IN_SYNC));

	if (raid_array_working(array) >= needed)
		return 0;
	error_set(error, -EBUSY, "%s is degraded", array->block.name);
	return error_advise(error, "let it be rebuilt first");
}

int raid_takeover_plan(const struct raid_array *array, const struct raid_grow *grow,
		       struct raid_geometry *g, struct error *error)
{
	int level, rc = raid_level_parse(grow->level, &level, error);

	*g = array->now;
	if (rc || level == array->now.level)
		return rc;
	rc = check_array(array, grow, level, error);
	if (!rc)
		rc = check_degraded(array, level, error);
	if (!rc)
		rc = choose(array, level, g, error);
	if (!rc)
		rc = raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);
	if (!rc && g->disks > array->metadata->most_devices)
		rc = error_set(error, -EINVAL, "%s: %u members, expected at most %u",
			       array->block.name, g->disks, array->metadata->most_devices);
	if (!rc && array->now.level && g->disks > array->now.disks && !grow->adding &&
	    !has_spare(array)) {
		error_set(error, -ENODEV, "%s has no spare, expected one for the second parity",
			  array->block.name);
		rc = error_advise(error, "name a device with --add");
	}
	return rc;
}

/* ---- Doing it ---- */

/* What a level is to an array: all that its start() sets. */
struct level {
	const struct raid_level_ops *ops;
	void *state;
	struct raid_geometry g;
	struct raid_place *places;
	uint64_t sectors, sync_sectors;
};

static struct level level_now(const struct raid_array *array)
{
	return (struct level){ array->level,  array->level_state, array->now,
			       array->places, array->sectors,     array->sync_sectors };
}

static void set_level(struct raid_array *array, const struct level *level)
{
	array->level = level->ops;
	array->level_state = level->state;
	array->now = level->g;
	array->places = level->places;
	array->sectors = level->sectors;
	array->sync_sectors = level->sync_sectors;
}

/* The state of one that the array does not have any more. */
static void stop_level(struct raid_array *array, const struct level *old)
{
	const struct level now = level_now(array);

	set_level(array, old);
	if (array->level->stop)
		array->level->stop(array);
	set_level(array, &now);
}

/* The disk of Q has nothing that counts any more. */
static void becomes_spare(struct raid_member *member)
{
	member->recovered = member->checkpoint = member->full_from = 0;
	member->wants_replacement = false;
	raid_member_place(member, RAID_SPARE, RAID_MEMBER_SPARE);
}

static bool is_kept(const struct raid_array *array, const struct raid_member *member)
{
	return raid_member_active(member) && (uint32_t)member->role < array->now.disks;
}

/* Level 0 has members with data, and no others: nothing is written to these. */
static void leave_out_others(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (is_kept(array, member))
			continue;
		if (member->state == RAID_MEMBER_STALE)
			continue; /* since the array was started: it may hold what nobody else does */
		member->let_go = member->state != RAID_MEMBER_FAULTY;
		member->marked_faulty |= !member->let_go;
		raid_member_place(member, RAID_SPARE, RAID_MEMBER_STALE);
		snprintf(member->reason, sizeof(member->reason), "level 0 has no use for it");
	}
}

/* Superblocks do not know them any more. Their own would be found, and be of another array of the same UUID. */
static void erase_others(struct raid_array *array)
{
	list_for_each_safe(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);
		struct error error = { 0 };
		struct block *block;

		if (!member->let_go)
			continue;
		block = block_ref(member->block);
		raid_member_drop(member);
		if (raid_erase(block, &error))
			log_warning(array->log, "%s: %s", array->block.name, error.text);
		else
			log_info(array->log, "%s: %s is no part of it any more, and erased",
				 array->block.name, block->name);
		block_unref(block);
	}
}

/* Who had a place that there is no more; the first ones keep theirs. */
static void leave_places(struct raid_array *array, const struct raid_place *before, uint32_t count)
{
	for (uint32_t i = array->now.disks; i < count; i++) {
		if (before[i].member)
			becomes_spare(before[i].member);
	}
	if (raid_level_maps(array->level))
		leave_out_others(array);
}

/* Requests find another way from now on. */
static void take_ways(struct raid_array *array)
{
	array->block.ops = raid_array_block_ops(array);
	if (!raid_level_maps(array->level)) {
		array->features &= ~MD_FEATURE_RAID0_LAYOUT;
		/* Nobody would wait for one that begins while the array is stopped. */
		if (!array->rebuild.fiber && !array->stopping)
			raid_rebuild_start(array);
	} else {
		array->resync_position = array->resync_checkpoint = MD_RESYNC_DONE;
		array->resync_from = MD_RESYNC_DONE;
	}
	if (array->level->limits)
		array->level->limits(array);
}

static int take_level(struct raid_array *array, const struct raid_geometry *g, struct error *error)
{
	const struct level old = level_now(array);
	struct level new = { .ops = raid_level_ops_find(g->level), .g = *g };
	int rc;

	new.places = calloc(g->disks, sizeof(*new.places));
	if (!new.places)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	for (uint32_t i = 0; i < MIN(g->disks, old.g.disks); i++)
		new.places[i] = old.places[i];
	set_level(array, &new);
	rc = raid_array_start_level(array, error);
	if (!rc) {
		stop_level(array, &old);
		leave_places(array, old.places, old.g.disks);
		free(old.places);
		take_ways(array);
		return 0;
	}
	/* The old one was never stopped, so that nothing can fail on the way back. */
	if (array->level_state)
		array->level->stop(array);
	set_level(array, &old);
	free(new.places);
	return rc;
}

static int say_not_written(const struct raid_array *array, int rc, struct error *error)
{
	return error_set(error, rc, "%s: superblocks cannot be written: %s", array->block.name,
			 error_name(rc));
}

/* Members give no more than the others, durably. */
static int level_sizes(struct raid_array *array, uint64_t sectors)
{
	bool any = false;

	for (uint32_t i = 0; i < array->now.disks; i++) {
		struct raid_member *member = array->places[i].member;

		if (!member || member->sb.data_size == sectors)
			continue;
		member->sb.data_size = sectors;
		any = true;
	}
	return any ? raid_super_update(array) : 0;
}

int raid_takeover(struct raid_array *array, const struct raid_geometry *g, struct error *error)
{
	int rc = raid_level_maps(array->level) ? 0 : raid_array_mark_clean(array);

	if (!rc && g->level == RAID_LEVEL_0)
		rc = level_sizes(array,
				 round_down(array->now.member_sectors, array->now.chunk_sectors));
	if (rc)
		return say_not_written(array, rc, error);
	/* One may have been lost since the plan, with what was just written. */
	if (g->level == RAID_LEVEL_0)
		rc = check_degraded(array, g->level, error);
	if (rc)
		return rc;
	if (g->disks > array->now.disks)
		rc = raid_reshape_prepare(array, g->disks - array->now.disks, error);
	if (!rc)
		rc = take_level(array, g, error);
	if (rc)
		return rc;
	rc = raid_super_update(array);
	if (!rc && raid_level_maps(array->level))
		erase_others(array);
	if (!rc)
		return 0;
	/* Some may have it. Nothing is written to the array before all have. */
	say_not_written(array, rc, error);
	if (raid_level_maps(array->level)) {
		/* Nobody is asked about its writes from now on. */
		block_set_read_only(&array->block, true);
		return error_advise(error,
				    "some may say its new level, so it takes no writes: stop "
				    "it, and start it again");
	}
	return error_advise(error, "some may say its new level: it takes no writes until all can "
				   "be written, and has its new level then");
}
