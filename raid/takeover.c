/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another level without moving data, as md's *_takeover() (drivers/md of Linux 6.1) do it: 4 and 5 with parity last, 1 and 5 with two
 * disks, 5 and 6 with the layouts in which Q has a disk of its own, the last.
 *
 * Why no crash loses data. What is said anew is said by one update of superblocks, and where data and P are does not change by it.
 * So a member that missed the update has what the others think that it has (raid_takeover_same(), by which assembly judges it). The
 * disk of Q is new, empty and to be recovered; or it becomes a spare, written after all that keep data (super.c).
 */
#include "raid/takeover.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/raid5_geometry.h"
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
			 "4 and 5, 1 and 5 with two members, or 5 and 6",
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

static int check_array(const struct raid_array *array, const struct raid_grow *grow,
		       struct error *error)
{
	if (grow->size || grow->devices || grow->chunk || grow->layout)
		return error_set(error, -EINVAL,
				 "%s: another level, and another size or shape at once, expected "
				 "one of them",
				 array->block.name);
	if (array->metadata == &raid_metadata_dm)
		return error_set(error, -EOPNOTSUPP, "%s is a volume of LVM's, which has its level",
				 array->block.name);
	if (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL))
		return error_set(error, -EOPNOTSUPP,
				 "%s has a log, expected none: it is of its level",
				 array->block.name);
	if (raid_array_degraded(array)) {
		error_set(error, -EBUSY, "%s is degraded", array->block.name);
		return error_advise(error, "let it be rebuilt first");
	}
	return 0;
}

int raid_takeover_plan(const struct raid_array *array, const struct raid_grow *grow,
		       struct raid_geometry *g, struct error *error)
{
	int level, rc = raid_level_parse(grow->level, &level, error);

	*g = array->now;
	if (rc || level == array->now.level)
		return rc;
	rc = check_array(array, grow, error);
	if (!rc)
		rc = choose(array, level, g, error);
	if (!rc)
		rc = raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);
	if (!rc && g->disks > array->metadata->most_devices)
		rc = error_set(error, -EINVAL, "%s: %u members, expected at most %u",
			       array->block.name, g->disks, array->metadata->most_devices);
	if (!rc && g->disks > array->now.disks && !grow->adding && !has_spare(array)) {
		error_set(error, -ENODEV, "%s has no spare, expected one for the second parity",
			  array->block.name);
		rc = error_advise(error, "name a device with --add");
	}
	return rc;
}

/* ---- Doing it ---- */

static int start_level(struct raid_array *array, struct error *error)
{
	array->level = raid_level_ops_find(array->now.level);
	return raid_array_start_level(array, error);
}

static void stop_level(struct raid_array *array)
{
	if (array->level->stop)
		array->level->stop(array);
}

/* The disk of Q has nothing that counts any more. */
static void let_last_go(struct raid_array *array, uint32_t disks)
{
	for (uint32_t i = disks; i < array->now.disks; i++) {
		struct raid_member *member = array->places[i].member;

		if (!member)
			continue;
		array->places[i].member = NULL;
		member->recovered = member->checkpoint = member->full_from = 0;
		raid_member_place(member, RAID_SPARE, RAID_MEMBER_SPARE);
	}
}

static int take_level(struct raid_array *array, const struct raid_geometry *g, struct error *error)
{
	const struct raid_geometry old = array->now;
	uint32_t kept = MIN(g->disks, old.disks);
	struct raid_place *places = calloc(g->disks, sizeof(*places)), *before = array->places;
	int rc;

	if (!places)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	for (uint32_t i = 0; i < kept; i++)
		places[i] = before[i];
	stop_level(array);
	array->places = places;
	array->now = *g;
	rc = start_level(array, error);
	if (!rc) {
		array->places = before;
		array->now.disks = old.disks;
		let_last_go(array, g->disks);
		array->now.disks = g->disks;
		array->places = places;
		free(before);
		return 0;
	}
	stop_level(array);
	array->places = before;
	array->now = old;
	free(places);
	/* As it was; only memory can be short. */
	start_level(array, NULL);
	return rc;
}

int raid_takeover(struct raid_array *array, const struct raid_geometry *g, struct error *error)
{
	int rc = raid_array_mark_clean(array);

	if (rc)
		return error_set(error, rc, "%s: superblocks cannot be written: %s",
				 array->block.name, error_name(rc));
	rc = take_level(array, g, error);
	if (rc)
		return rc;
	if (array->level->limits)
		array->level->limits(array);
	rc = raid_super_update(array);
	if (!rc)
		return 0;
	/* Some may have it. Nothing is written to the array before all have. */
	error_set(error, rc, "%s: superblocks cannot be written: %s; some may say its new level",
		  array->block.name, error_name(rc));
	return error_advise(error, "it takes no writes until they can be, and has its new level "
				   "then; data are the same at both");
}
