/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Beginning a reshape: more members or fewer, another chunk or layout at levels 4, 5, 6 and 10. Whether it can be done is asked in
 * reshape_plan.c; how it goes on is in raid5_reshape.c and raid10_reshape.c.
 *
 * Data are moved towards the start of the members, to an offset that is lower by a chunk or more, as mdadm does where there is room: then
 * nothing has to be kept elsewhere. With fewer members, and where there is room behind the data only, they are moved up, from the array's end on. Where
 * there is no room, levels with parity are reshaped in place, with a backup of what is written over: in a file or, with more members, on
 * those that are new (reshape_backup.c).
 *
 * Why no crash loses data. Nothing is moved before two updates of superblocks: in the first one the new members have a place and no data, so that
 * nobody takes their word for the array's; in the second they have all that the new shape has of them, which is nothing yet. Whoever missed
 * these has its data where they were, and so have all the others while the position is 0.
 */
#include "raid/grow.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/intent.h"
#include "raid/members.h"
#include "raid/raid5_geometry.h"
#include "raid/reshape_backup.h"
#include "raid/reshape_step.h"
#include "util/bytes.h"

/* As many as the shape that has more. */
static int make_places(struct raid_array *array, uint32_t disks)
{
	struct raid_place *places = calloc(MAX(disks, array->now.disks), sizeof(*places));

	if (!places)
		return -ENOMEM;
	for (uint32_t i = 0; i < array->now.disks; i++)
		places[i] = array->places[i];
	free(array->places);
	array->places = places;
	return 0;
}

static struct raid_member *next_spare(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_reshape_takes(array, member))
			return member;
	}
	return NULL;
}

int raid_reshape_prepare(struct raid_array *array, unsigned count, struct error *error)
{
	int rc = 0;

	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (!count)
			return 0;
		if (!raid_reshape_takes(array, member))
			continue;
		count--;
		raid_member_hold(member);
		rc = array->intent ? raid_intent_write_all(array->intent, member) : 0;
		if (!rc)
			rc = raid_member_announce(member);
		raid_member_release(member);
		if (!rc)
			continue;
		error_set(error, rc, "%s cannot be written: %s; %s keeps its shape",
			  member->block->name, error_name(rc), array->block.name);
		error_advise(error, "remove it, and add another");
		return rc;
	}
	return 0;
}

/* The new members have a place. */
static int take_spares(struct raid_array *array)
{
	/* At level 0 that of parity stays empty. */
	uint32_t end = array->now.disks - raid_is_level_0_on_its_way(array);

	for (uint32_t i = array->before.disks; i < end; i++) {
		struct raid_member *member = next_spare(array);

		if (!member)
			return -ENODEV;
		member->recovered = member->checkpoint = member->full_from = 0;
		raid_member_place(member, (int)i, RAID_MEMBER_REBUILDING);
	}
	return 0;
}

/* A place that is empty is filled as data are moved. */
static unsigned empty_places(const struct raid_array *array)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < array->now.disks; i++)
		count += !array->places[i].member;
	return count;
}

static void fill_empty_places(struct raid_array *array)
{
	uint32_t end = MIN(array->before.disks, array->now.disks);

	/* Not while data are moved. */
	if (!array->level->has_its_part)
		return;
	/* That of level 0's parity has data only where there are more members. */
	if (raid_is_level_0_on_its_way(array) && array->now.disks <= array->before.disks)
		end = 0;
	for (uint32_t i = 0; i < end; i++) {
		struct raid_member *member = array->places[i].member ? NULL : next_spare(array);

		if (!member)
			continue;
		member->recovered = member->checkpoint = member->full_from = 0;
		raid_member_place(member, (int)i, RAID_MEMBER_REBUILDING);
	}
}

static bool has_new(const struct raid_array *array)
{
	for (uint32_t i = array->before.disks; i < array->now.disks; i++) {
		if (array->places[i].member)
			return true;
	}
	return false;
}

/* What is used of each member ends before; nobody has what is beyond any more. */
static int use_less(struct raid_array *array, const struct raid_geometry *g, uint64_t sectors)
{
	uint64_t size = raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors, g->disks,
						    sectors)
			<< MD_SECTOR_SHIFT;

	array->block.size =
		round_down(MIN(size, array->block.size), (uint64_t)array->block.logical_block_size);
	if (sectors == array->now.member_sectors)
		return 0;
	array->now.member_sectors = sectors;
	array->level->resize(array, NULL);
	return raid_super_update(array);
}

static void set_offsets(struct raid_array *array, const struct raid_move *move)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		member->sb.new_offset = move->offset;
		if (move->offset > 0 && RAID_WRITABLE_STATES & (1u << member->state))
			member->sb.data_size = raid_member_usable(member);
	}
}

static int enter(struct raid_array *array, const struct raid_geometry *g,
		 const struct raid_move *move, struct error *error)
{
	const struct raid_geometry old = array->now;
	int rc;

	set_offsets(array, move);
	array->before = old;
	array->now = *g;
	array->now.member_sectors = old.member_sectors;
	array->backwards = move->offset > 0 || (!move->offset && g->disks < old.disks);
	array->reshape_position = array->reshape_checkpoint = array->reshape_flushed =
		raid_reshape_start(array);
	array->reshaping = true;
	rc = array->level->begin_reshape(array, error);
	if (!rc)
		return 0;
	array->now = old;
	array->reshaping = array->backwards = false;
	return rc;
}

/* A backup of the first part before any superblock speaks of the reshape: whoever goes on with it finds one. Downwards it is the last part that
 * needs one. */
static int keep_first(struct raid_array *array, bool backwards, struct error *error)
{
	uint64_t sectors = MIN(array->backup->area, array->sectors);
	CLEANUP_FREE uint8_t *bytes = NULL;
	struct iovec iov = { .iov_len = sectors << MD_SECTOR_SHIFT };
	int rc;

	if (backwards)
		return 0;
	if (posix_memalign((void **)&bytes, 4096, iov.iov_len))
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	iov.iov_base = bytes;
	rc = array->level->readv(array, 0, iov.iov_len, &iov, 1);
	if (!rc)
		rc = raid_backup_save(array->backup, 0, sectors, bytes);
	return rc ? error_set(error, rc, "%s: no backup of its first %llu sectors can be made: %s",
			      array->block.name, (unsigned long long)sectors, error_name(rc))
		  : 0;
}

static int begin_backup(struct raid_array *array, const struct raid_geometry *g, struct block *file,
			uint64_t area, struct error *error)
{
	bool backwards = g->disks < array->now.disks;
	uint64_t end = raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors, g->disks,
						   array->now.member_sectors);
	int rc = raid_backup_prepare(array, file, g->disks - array->now.disks, area, backwards,
				     error);

	if (!rc)
		rc = raid_backup_begin(array, backwards ? MIN(end, array->sectors) : 0, error);
	return rc ? rc : keep_first(array, backwards, error);
}

int raid_reshape_begin(struct raid_array *array, const struct raid_geometry *g,
		       struct block *backup, struct error *error)
{
	const uint32_t disks = array->now.disks;
	struct raid_move move;
	int rc = raid_reshape_move(array, &array->now, g, backup != NULL, &move, error);

	if (!rc)
		rc = raid_reshape_prepare(array, empty_places(array) + MAX(g->disks, disks) - disks,
					  error);
	if (rc)
		return rc;
	rc = raid_array_mark_clean(array);
	if (!rc)
		rc = make_places(array, g->disks);
	if (rc)
		return error_set(error, rc, "%s: cannot begin: %s", array->block.name,
				 error_name(rc));
	/* One may have been lost with that. */
	if (!array->level->has_its_part && raid_array_degraded(array)) {
		error_set(error, -EBUSY, "%s is degraded by now", array->block.name);
		return error_advise(error, "let it be rebuilt first");
	}
	if (g->disks < disks)
		rc = use_less(array, g, move.sectors);
	if (rc)
		return error_set(error, rc,
				 "%s: superblocks cannot be written: %s; it is cut to its new "
				 "size, and has all members still",
				 array->block.name, error_name(rc));
	if (move.area)
		rc = begin_backup(array, g, backup, move.area, error);
	if (!rc)
		rc = enter(array, g, &move, error);
	if (rc) {
		raid_backup_free(array);
		return rc;
	}
	fill_empty_places(array);
	rc = take_spares(array);
	if (!rc)
		rc = has_new(array) ? raid_reshape_settle(array) : raid_super_update(array);
	if (!rc)
		return 0;
	/* Some may have it, so that there is no way back. */
	error_set(error, rc,
		  "%s: superblocks cannot be written: %s; some may say that it is reshaped",
		  array->block.name, error_name(rc));
	return error_advise(error, "nothing has been moved; it goes on by itself once they can be "
				   "written");
}
