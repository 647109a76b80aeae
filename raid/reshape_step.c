/* SPDX-License-Identifier: BSD-2-Clause */
/* What the levels' reshapes have in common; see reshape_step.h, and for why no crash loses data reshape.c and the levels'. */
#include "raid/reshape_step.h"

#include <errno.h>

#include "raid/events.h"
#include "util/bytes.h"

static void take_in(struct raid_member *member)
{
	if (member->state == RAID_MEMBER_REBUILDING)
		raid_event_note(member->array, "SpareActive", member->block->name);
	member->state = RAID_MEMBER_IN_SYNC;
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
			take_in(array->places[i].member);
	}
	return raid_super_update(array);
}

bool raid_reshape_takes(const struct raid_array *array, const struct raid_member *member)
{
	return member->state == RAID_MEMBER_SPARE &&
	       member->sb.data_size >= array->now.member_sectors;
}

int64_t raid_reshape_room(const struct raid_array *array)
{
	int64_t room = INT64_MAX;

	for (uint32_t i = 0; i < raid_array_places(array); i++) {
		const struct raid_member *member = array->places[i].member;
		int64_t offset = member ? member->sb.new_offset : 0;

		if (member)
			room = MIN(room, array->backwards ? offset : -offset);
	}
	return room == INT64_MAX ? 0 : room;
}

/* Who is being filled, and has all of the new shape up to the position, has it up to the next one: durably with it. */
static void note_filled(struct raid_array *array, uint64_t from, uint64_t to, uint32_t disks,
			bool durable)
{
	for (uint32_t i = 0; !array->backwards && i < array->now.disks; i++) {
		struct raid_member *member = array->places[i].member;

		if (!member || member->state != RAID_MEMBER_REBUILDING ||
		    (durable ? member->recovered : member->checkpoint) != from / disks)
			continue;
		if (durable)
			member->recovered = member->full_from = to / disks;
		else
			member->checkpoint = to / disks;
	}
}

int raid_reshape_note(struct raid_array *array, uint64_t position, uint32_t data_disks)
{
	uint64_t old = array->reshape_position;
	int rc;

	array->reshape_checkpoint = position;
	note_filled(array, old, position, data_disks, false);
	rc = raid_super_update(array);
	if (!rc) {
		array->reshape_position = position;
		note_filled(array, old, position, data_disks, true);
		return 0;
	}
	note_filled(array, position, old, data_disks, false);
	array->reshape_checkpoint = array->reshape_position;
	array->super_wanted++;
	return rc;
}

int raid_reshape_unread(struct raid_array *array, uint64_t from, uint64_t to, uint64_t row, int rc,
			int (*read)(struct raid_array *array, uint64_t offset, uint64_t length,
				    const struct iovec *iov, unsigned count))
{
	uint8_t piece[RAID_PIECE];
	struct iovec iov = { .iov_base = piece };

	if (rc != -EIO)
		return rc;
	for (uint64_t at = from; at < to; at += iov.iov_len) {
		iov.iov_len = MIN(RAID_PIECE - at % RAID_PIECE, to - at);
		if (!read(array, at, iov.iov_len, &iov, 1))
			continue;
		array->rebuild.unread = true;
		array->rebuild.unread_at = at;
		array->rebuild.unread_row = row;
		log_warning(array->log,
			    "%s: its reshape stops at byte %llu: no member has byte %llu, which "
			    "would be moved next",
			    array->block.name, (unsigned long long)from, (unsigned long long)at);
		break;
	}
	return rc;
}

/* The new shape has no place for it. */
static void leave(struct raid_member *member)
{
	member->array->places[member->role].member = NULL;
	member->recovered = member->checkpoint = member->full_from = 0;
	raid_member_place(member, RAID_SPARE, RAID_MEMBER_SPARE);
}

void raid_reshape_over(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		member->sb.data_offset += (uint64_t)(int64_t)member->sb.new_offset;
		member->sb.data_size -= (uint64_t)(int64_t)member->sb.new_offset;
		member->sb.new_offset = 0;
		if (!raid_member_active(member))
			continue;
		if ((uint32_t)member->role >= array->now.disks)
			leave(member);
		else if (member->state == RAID_MEMBER_REBUILDING &&
			 member->recovered >= array->sync_sectors)
			take_in(member);
	}
	array->reshaping = array->backwards = false;
	array->before = (struct raid_geometry){ 0 };
}

static struct raid_member *find_left(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_SPARE && member->sb.dev_number >= array->now.disks)
			return member;
	}
	return NULL;
}

/* Where no device can be added none that was left is of any use. */
static void drop_left(struct raid_array *array)
{
	struct raid_member *member;

	while ((member = find_left(array)))
		raid_member_drop(member);
}

int raid_reshape_say_over(struct raid_array *array)
{
	int rc;

	if (array->level->limits)
		array->level->limits(array);
	block_set_size(&array->block, round_down(array->sectors << MD_SECTOR_SHIFT,
						 array->block.logical_block_size));
	rc = raid_super_update(array);
	if (!rc)
		raid_array_changed(array, RAID_CHANGED_RESHAPED);
	if (!rc && !array->metadata->adding)
		drop_left(array);
	log_info(array->log, "%s has its new shape: %u members, chunks of %u bytes",
		 array->block.name, array->now.disks, array->now.chunk_sectors * MD_SECTOR_SIZE);
	return rc;
}
