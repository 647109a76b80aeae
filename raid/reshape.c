/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Beginning a reshape: more members, another chunk or layout at levels 4, 5 and 6. How it goes on is in raid5_reshape.c.
 *
 * Data are moved towards the start of the members, to an offset that is lower by a chunk or more, as mdadm does where there is room: then
 * nothing has to be kept elsewhere. Where there is no room it is refused.
 *
 * Why no crash loses data. Nothing is moved before two updates of superblocks: in the first one the new members have a place and no data, so that
 * nobody takes their word for the array's; in the second they have all that the new shape has of them, which is nothing yet. Whoever missed
 * these has its data where they were, and so have all the others while the position is 0.
 */
#include "raid/grow.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/intent.h"
#include "raid/md_bitmap.h"
#include "raid/members.h"
#include "util/bytes.h"
#include "util/size.h"

#define ROOM_MOST 32768u /* sectors that data are moved down at most */

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

static bool is_written(const struct raid_member *member)
{
	return RAID_WRITABLE_STATES & (1u << member->state);
}

/* By how much data move down on all members; 0 with `error` set where there is no room. */
static uint64_t choose_room(const struct raid_array *array, uint64_t height, struct error *error)
{
	const struct raid_member *least = NULL;
	char needs[SIZE_TEXT], has[SIZE_TEXT];

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (is_written(member) && (!least || room_below(member) < room_below(least)))
			least = member;
	}
	if (least && room_below(least) >= height)
		return MAX(height,
			   round_down(MIN(room_below(least) / 2, (uint64_t)ROOM_MOST), height));
	error_set(error, -ENOSPC,
		  "%s has %s before its data, expected %s or more: where data move to",
		  least ? least->block->name : array->block.name,
		  size_format(least ? room_below(least) << MD_SECTOR_SHIFT : 0, has),
		  size_format(height << MD_SECTOR_SHIFT, needs));
	error_advise(error, "mdadm does it with a --backup-file");
	return 0;
}

static bool is_fit(const struct raid_array *array, const struct raid_member *member)
{
	return member->state == RAID_MEMBER_SPARE &&
	       member->sb.data_size >= array->now.member_sectors;
}

static unsigned spares(const struct raid_array *array)
{
	unsigned count = 0;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		count += is_fit(array, member);
	}
	return count;
}

static int check_shape(const struct raid_array *array, const struct raid_geometry *g,
		       unsigned adding, struct error *error)
{
	const struct raid_geometry *now = &array->now;
	unsigned wanted = g->disks > now->disks ? g->disks - now->disks : 0;

	if (now->level < RAID_LEVEL_4 || now->level > RAID_LEVEL_6)
		return error_set(
			error, -EOPNOTSUPP,
			"%s: its level is %d, expected 4, 5 or 6: data are not moved at others",
			array->block.name, now->level);
	if (g->disks < now->disks)
		return error_set(error, -EOPNOTSUPP,
				 "%s has %u members, %u would be fewer, which is not supported",
				 array->block.name, now->disks, g->disks);
	if (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL))
		return error_set(error, -EOPNOTSUPP,
				 "%s has a log, with which data are not moved, by md either",
				 array->block.name);
	if (raid_array_degraded(array)) {
		error_set(error, -EBUSY, "%s is degraded", array->block.name);
		return error_advise(error, "let it be rebuilt first");
	}
	if (round_down(now->member_sectors, g->chunk_sectors) !=
	    round_down(now->member_sectors, now->chunk_sectors))
		return error_set(error, -EINVAL,
				 "%s uses %llu sectors of each member, expected a multiple of the "
				 "new chunk, %u",
				 array->block.name, (unsigned long long)now->member_sectors,
				 g->chunk_sectors);
	if (spares(array) + adding < wanted) {
		error_set(error, -ENODEV, "%s has %u spares, expected %u", array->block.name,
			  spares(array) + adding, wanted);
		return error_advise(error, "name devices with --add");
	}
	return raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);
}

int raid_reshape_plan(const struct raid_array *array, const struct raid_grow *grow,
		      struct raid_geometry *g, bool *wanted, struct error *error)
{
	int rc = 0;

	*g = array->now;
	if (grow->devices)
		g->disks = grow->devices;
	if (grow->chunk)
		g->chunk_sectors =
			(uint32_t)MIN(grow->chunk >> MD_SECTOR_SHIFT, (uint64_t)UINT32_MAX);
	if (grow->layout)
		rc = raid_geometry_layout_parse(g->level, grow->layout, &g->layout, error);
	*wanted = g->disks != array->now.disks || g->chunk_sectors != array->now.chunk_sectors ||
		  g->layout != array->now.layout;
	if (rc || !*wanted)
		return rc;
	rc = check_shape(array, g, grow->adding, error);
	if (!rc && !choose_room(array, MAX(g->chunk_sectors, array->now.chunk_sectors), error))
		rc = -ENOSPC;
	return rc;
}

static int make_places(struct raid_array *array, uint32_t disks)
{
	struct raid_place *places = calloc(disks, sizeof(*places));

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

		if (is_fit(array, member))
			return member;
	}
	return NULL;
}

/* Who is to be a member is written to before anything has changed: with one that cannot be, the new shape would begin degraded. */
static int prepare_spares(struct raid_array *array, unsigned count, struct error *error)
{
	int rc = 0;

	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (!count)
			return 0;
		if (!is_fit(array, member))
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
	for (uint32_t i = array->before.disks; i < array->now.disks; i++) {
		struct raid_member *member = next_spare(array);

		if (!member)
			return -ENODEV;
		member->recovered = member->checkpoint = member->full_from = 0;
		raid_member_place(member, (int)i, RAID_MEMBER_REBUILDING);
	}
	return 0;
}

int raid_reshape_settle(struct raid_array *array)
{
	bool any = false;
	int rc;

	for (uint32_t i = array->before.disks; i < array->now.disks; i++)
		any = any || (array->places[i].member &&
			      array->places[i].member->state == RAID_MEMBER_REBUILDING);
	if (!any)
		return 0;
	rc = raid_super_update(array);
	if (rc)
		return rc;
	for (uint32_t i = array->before.disks; i < array->now.disks; i++) {
		if (array->places[i].member)
			array->places[i].member->state = RAID_MEMBER_IN_SYNC;
	}
	return raid_super_update(array);
}

int raid_reshape_begin(struct raid_array *array, const struct raid_geometry *g, struct error *error)
{
	const struct raid_geometry old = array->now;
	uint64_t room = choose_room(array, MAX(g->chunk_sectors, old.chunk_sectors), error);
	int rc = room ? 0 : -ENOSPC;

	if (!rc)
		rc = prepare_spares(array, g->disks - old.disks, error);
	if (rc)
		return rc;
	rc = raid_array_mark_clean(array);
	if (!rc)
		rc = make_places(array, g->disks);
	if (rc)
		return error_set(error, rc, "%s: cannot begin: %s", array->block.name,
				 error_name(rc));
	list_for_each(at, &array->members)
		list_entry(at, struct raid_member, node)->sb.new_offset = -(int32_t)room;
	array->before = old;
	array->now = *g;
	array->reshape_position = array->reshape_checkpoint = array->reshape_flushed = 0;
	array->reshaping = true;
	rc = array->level->begin_reshape(array, error);
	if (rc) {
		array->now = old;
		array->reshaping = false;
		return rc;
	}
	rc = take_spares(array);
	if (!rc)
		rc = g->disks > old.disks ? raid_reshape_settle(array) : raid_super_update(array);
	if (!rc)
		return 0;
	/* Some may have it, so that there is no way back. */
	error_set(error, rc,
		  "%s: superblocks cannot be written: %s; some may say that it is reshaped",
		  array->block.name, error_name(rc));
	return error_advise(error, "nothing has been moved; it goes on by itself once they can be "
				   "written");
}
