/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether an array can go to another shape, and how its data move then, if at all: see reshape.c. Nothing is changed here. */
#include "raid/grow.h"

#include <errno.h>

#include "raid/intent.h"
#include "raid/md_bitmap.h"
#include "raid/members.h"
#include "raid/raid5_geometry.h"
#include "raid/reshape_backup.h"
#include "raid/reshape_step.h"
#include "util/bytes.h"
#include "util/size.h"

#define ROOM_MOST 32768u /* sectors that data are moved at most */

/* Sectors between what stands before the data and them. */
static uint64_t room_below(const struct raid_member *member)
{
	const struct raid_intent *intent = member->array->intent;
	const struct md_superblock *sb = &member->sb;
	uint64_t end = sb->super_offset + MD_SUPERBLOCK_SECTORS;

	/* A superblock at the end: the data begin with the device. */
	if (!sb->minor_version || sb->minor_version == MD_VERSION_90)
		return 0;
	if (sb->bblog_size && sb->bblog_offset > 0)
		end = MAX(end, sb->super_offset + (uint64_t)sb->bblog_offset + sb->bblog_size);
	if (intent && sb->bitmap_offset > 0)
		end = MAX(end, sb->super_offset + (uint64_t)sb->bitmap_offset +
				       (round_up(md_bitmap_bytes(intent->chunks), MD_BITMAP_PAGE) >>
					MD_SECTOR_SHIFT));
	return sb->data_offset > end ? sb->data_offset - end : 0;
}

/* Sectors behind what is used of its data. */
static uint64_t room_above(const struct raid_member *member)
{
	uint64_t sectors = raid_member_usable(member);
	uint64_t used =
		raid_level_maps(member->array->level) ? sectors : member->array->now.member_sectors;

	return sectors > used ? sectors - used : 0;
}

/* The member that has least of it. */
static const struct raid_member *least_of(const struct raid_array *array,
					  uint64_t (*room)(const struct raid_member *member))
{
	const struct raid_member *least = NULL;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_writable(member) && (!least || room(member) < room(least)))
			least = member;
	}
	return least;
}

static int32_t some_of(uint64_t room, uint64_t height)
{
	return (int32_t)MAX(height, round_down(MIN(room / 2, (uint64_t)ROOM_MOST), height));
}

/* mdadm refuses more than half of a member. */
static bool is_small_enough(const struct raid_geometry *from, uint64_t area)
{
	return area < from->member_sectors / 2;
}

/* Without room for another offset. -EINVAL: it takes a backup file. */
static int choose_place(const struct raid_geometry *from, const struct raid_geometry *to,
			bool has_backup, struct raid_move *move)
{
	uint64_t area;

	if (to->level < RAID_LEVEL_4 || to->level > RAID_LEVEL_6)
		return -EOPNOTSUPP;
	area = raid5_backup_area(from, to);
	if (!is_small_enough(from, area))
		area = raid5_backup_step(from, to);
	if (!is_small_enough(from, area))
		return -ENOSPC;
	if (!has_backup && to->disks <= from->disks)
		return -EINVAL;
	move->offset = 0;
	move->area = area;
	return 0;
}

/* With fewer members there is no need for all of each: the array ends before. Else the bitmap would have to be another. */
static int choose_less(const struct raid_array *array, struct raid_move *move, uint64_t above,
		       struct error *error)
{
	move->offset = (int32_t)move->height;
	if (above >= move->height)
		return 0;
	move->sectors -= MIN(move->sectors, move->height);
	if (!move->sectors)
		return error_set(error, -ENOSPC,
				 "%s uses %llu sectors of each member, expected more",
				 array->block.name, (unsigned long long)array->now.member_sectors);
	if (!array->intent)
		return 0;
	error_set(error, -EINVAL, "%s has a bitmap, and its members no room behind their data",
		  array->block.name);
	return error_advise(error, "`tenon raid bitmap %s remove` first", array->name);
}

int raid_reshape_move(const struct raid_array *array, const struct raid_geometry *from,
		      const struct raid_geometry *to, bool has_backup, struct raid_move *move,
		      struct error *error)
{
	bool fixed = array->minor_version == MD_VERSION_90;
	int rc;

	const struct raid_member *low = least_of(array, room_below),
				 *high = least_of(array, room_above);
	uint64_t below = low ? room_below(low) : 0, above = high ? room_above(high) : 0;
	char needs[SIZE_TEXT], has[2][SIZE_TEXT];

	if (array->metadata == &raid_metadata_dm)
		return error_set(error, -EOPNOTSUPP, "%s is a volume of LVM's, which has its shape",
				 array->block.name);
	move->height = raid_geometry_reshape_height(from, to);
	move->sectors = from->member_sectors;
	move->area = 0;
	if (!fixed && to->disks < from->disks)
		return choose_less(array, move, above, error);
	/* These do not say where data move to. */
	if (fixed)
		below = above = 0;
	if (below >= move->height) {
		move->offset = -some_of(below, move->height);
		return 0;
	}
	if (above >= move->height && to->disks == from->disks) {
		move->offset = some_of(above, move->height);
		return 0;
	}
	rc = choose_place(from, to, has_backup, move);
	if (!rc)
		return 0;
	if (fixed && rc != -EINVAL)
		return error_set(error, rc,
				 "%s has superblocks of version 0.90, which do not say where data "
				 "move to, and %s",
				 array->block.name,
				 rc == -ENOSPC ? "its members are too small for a backup of rows"
					       : "level 10 is not reshaped in place, by md either");
	error_set(error, -ENOSPC,
		  "%s has %s before its data and %s has %s behind them, expected %s or more%s: "
		  "where data move to",
		  low ? low->block->name : array->block.name,
		  size_format(below << MD_SECTOR_SHIFT, has[0]),
		  high ? high->block->name : array->block.name,
		  size_format(above << MD_SECTOR_SHIFT, has[1]),
		  size_format(move->height << MD_SECTOR_SHIFT, needs),
		  to->disks > from->disks ? " before them" : "");
	if (rc != -EINVAL)
		return -ENOSPC;
	return error_advise(error, "--backup-file FILE, on another disk, does it in place");
}

/* Level 0 on its way, as level 4: nobody has the place of its parity, before and after. */
bool raid_is_parity_only_missing(const struct raid_array *array)
{
	return raid_is_level_0_on_its_way(array) && !array->places[array->now.disks - 1].member &&
	       raid_array_working(array) + 1 == array->now.disks;
}

static unsigned spares(const struct raid_array *array)
{
	unsigned count = 0;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		count += raid_reshape_takes(array, member);
	}
	return count;
}

/* Data at the end would have no place. */
static int say_no_multiple(const struct raid_array *array, uint32_t chunk_sectors,
			   struct error *error)
{
	uint64_t bytes = round_down(array->now.member_sectors, (uint64_t)array->now.chunk_sectors)
			 << MD_SECTOR_SHIFT;
	char chunk[SIZE_TEXT], most[SIZE_TEXT];

	error_set(error, -EINVAL,
		  "%s uses %llu bytes of each member, expected a multiple of the new chunk, %s",
		  array->block.name, (unsigned long long)bytes,
		  size_format((uint64_t)chunk_sectors << MD_SECTOR_SHIFT, chunk));
	return error_advise(error, "a chunk of %s or less, a power of two, leaves nothing over",
			    size_format(bytes & -bytes, most));
}

static int check_shape(const struct raid_array *array, const struct raid_geometry *now,
		       const struct raid_geometry *g, unsigned adding, struct error *error)
{
	unsigned wanted = g->disks > now->disks ? g->disks - now->disks : 0;
	int rc;

	if (!raid_level_ops_find(now->level)->begin_reshape)
		return error_set(error, -EOPNOTSUPP,
				 "%s: its level is %d, expected 0, 4, 5, 6 or 10: data are not "
				 "moved at others",
				 array->block.name, now->level);
	rc = raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);
	if (rc)
		error_prefix(error, "%s: its new shape", array->block.name);
	if (!rc && array->level->check_reshape)
		rc = array->level->check_reshape(array, g, error);
	if (rc)
		return rc;
	if (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL)) {
		error_set(error, -EOPNOTSUPP,
			  "%s has a log, with which data are not moved, by md either",
			  array->block.name);
		error_advise(error, "`tenon raid grow %s --consistency resync` takes it away first",
			     array->name);
		return -EOPNOTSUPP;
	}
	if (raid_array_degraded(array) && !raid_is_parity_only_missing(array)) {
		error_set(error, -EBUSY, "%s is degraded", array->block.name);
		return error_advise(error, "let it be rebuilt first");
	}
	if (round_down(now->member_sectors, g->chunk_sectors) !=
	    round_down(now->member_sectors, now->chunk_sectors))
		return say_no_multiple(array, g->chunk_sectors, error);
	if (spares(array) + adding < wanted) {
		error_set(error, -ENODEV, "%s has %u spares, expected %u", array->block.name,
			  spares(array) + adding, wanted);
		return error_advise(error, "name devices with --add");
	}
	return 0;
}

/* md does it only once the array was made smaller by --array-size, which superblocks do not record: here it is said with it. */
static int check_fewer(const struct raid_array *array, const struct raid_geometry *from,
		       const struct raid_grow *grow, const struct raid_geometry *g,
		       const struct raid_move *move, struct error *error)
{
	uint64_t size = raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors, g->disks,
						    move->sectors)
			<< MD_SECTOR_SHIFT;
	char text[SIZE_TEXT];

	if (g->disks >= from->disks)
		return 0;
	if (grow->array_size && grow->array_size <= size)
		return 0;
	error_set(
		error, -EINVAL,
		"%s would have %llu bytes (%s) with %u members, it has %llu: what is beyond would "
		"be lost",
		array->block.name, (unsigned long long)size, size_format(size, text), g->disks,
		(unsigned long long)array->block.size);
	return error_advise(error,
			    "make what is on it smaller (file system, volume group), and say so "
			    "with --array-size %lluB",
			    (unsigned long long)size);
}

/* Of a file, as far as one is wanted. */
static void grow_needs(const struct raid_grow *grow, const struct raid_move *move, bool backwards)
{
	if (grow->backup_bytes)
		*grow->backup_bytes =
			move->area ? raid_backup_bytes(backwards ? 1 : 2, move->area) : 0;
}

static int parse_layout(const struct raid_array *array, const char *name, struct raid_geometry *g,
			struct error *error)
{
	int rc = raid_geometry_layout_parse(g->level, name, &g->layout, error);

	if (rc)
		error_prefix(error, "%s", array->block.name);
	return rc;
}

int raid_reshape_plan_from(const struct raid_array *array, const struct raid_geometry *from,
			   const struct raid_grow *grow, struct raid_geometry *g, bool *wanted,
			   struct error *error)
{
	struct raid_move move;
	int rc = 0;

	*g = *from;
	if (grow->devices)
		g->disks = grow->devices;
	if (grow->chunk)
		g->chunk_sectors =
			(uint32_t)MIN(grow->chunk >> MD_SECTOR_SHIFT, (uint64_t)UINT32_MAX);
	if (grow->layout)
		rc = parse_layout(array, grow->layout, g, error);
	*wanted = g->disks != from->disks || g->chunk_sectors != from->chunk_sectors ||
		  g->layout != from->layout;
	if (rc || !*wanted)
		return rc;
	rc = check_shape(array, from, g, grow->adding, error);
	if (!rc)
		rc = raid_reshape_move(array, from, g, grow->backup != NULL || grow->backup_comes,
				       &move, error);
	if (!rc)
		grow_needs(grow, &move, g->disks < from->disks);
	return rc ? rc : check_fewer(array, from, grow, g, &move, error);
}

int raid_reshape_plan(const struct raid_array *array, const struct raid_grow *grow,
		      struct raid_geometry *g, bool *wanted, struct error *error)
{
	return raid_reshape_plan_from(array, &array->now, grow, g, wanted, error);
}

int raid_reshape_plan_after(const struct raid_array *array, const struct raid_geometry *from,
			    const struct raid_grow *grow, struct raid_geometry *g, bool *wanted,
			    struct error *error)
{
	struct raid_move move;
	int rc;

	*g = *from;
	rc = parse_layout(array, grow->layout, g, error);
	*wanted = !rc && g->layout != from->layout;
	if (!rc && *wanted)
		rc = raid_reshape_move(array, from, g, grow->backup != NULL || grow->backup_comes,
				       &move, error);
	if (!rc && *wanted)
		grow_needs(grow, &move, false);
	return rc;
}
