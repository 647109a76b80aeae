/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members: made, found, failed, let go; what the array's state says of them. All others build on this file and
 * it calls none of them: what changes is announced.
 */
#include "raid/array.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/overlay.h"
#include "util/bytes.h"

/* ---- Announcements ---- */

void raid_array_watch(struct raid_array *array, struct raid_watch *watch)
{
	list_add_tail(&array->watches, &watch->node);
}

void raid_array_changed(struct raid_array *array, enum raid_change change)
{
	list_for_each(at, &array->watches) {
		struct raid_watch *watch = list_entry(at, struct raid_watch, node);

		watch->changed(watch, change);
	}
}

/* ---- Members ---- */

struct raid_member *raid_member_new(struct raid_array *array, struct block *block,
				    struct block *meta)
{
	struct raid_member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->array = array;
	fiber_mutex_init(&member->bitmap);
	member->block = block_ref(block);
	member->meta = block_ref(meta ? meta : block);
	member->role = RAID_SPARE;
	member->state = RAID_MEMBER_SPARE;
	list_add_tail(&array->members, &member->node);
	return member;
}

int raid_member_cover(struct raid_member *member, struct error *error)
{
	struct block *overlay;
	int rc = block_create_overlay(&overlay, member->block, error);

	if (rc)
		return rc;
	if (member->meta == member->block) {
		block_unref(member->meta);
		member->meta = block_ref(overlay);
	}
	block_unref(member->block);
	member->block = overlay;
	return 0;
}

/* A replacement stays, and has the place for itself. */
static void leave_place(struct raid_member *member)
{
	struct raid_array *array = member->array;
	struct raid_place *place = &array->places[member->role];
	struct raid_member *left = place->replacement;

	if (place->replacement)
		array->replacements--;
	place->replacement = NULL;
	if (member->replaces) {
		member->replaces = member->filled = false;
		return;
	}
	place->member = left;
	if (!left)
		return;
	left->replaces = false;
	if (left->filled)
		left->state = RAID_MEMBER_IN_SYNC;
}

void raid_member_free(struct raid_member *member)
{
	if (raid_member_active(member))
		leave_place(member);
	if (member->array->journal == member)
		member->array->journal = NULL;
	list_remove(&member->node);
	md_badblocks_free(&member->bad);
	free(member->log);
	block_unref(member->meta);
	block_unref(member->block);
	free(member);
}

void raid_member_drop(struct raid_member *member)
{
	struct raid_array *array = member->array;

	if (raid_member_active(member))
		leave_place(member);
	member->state = RAID_MEMBER_STALE;
	list_remove(&member->node);
	while (member->users)
		fiber_queue_wait_always(&array->users_queue);
	raid_member_free(member);
}

struct raid_member *raid_member_find(struct raid_array *array, const char *device)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (strcmp(member->block->name, device) == 0)
			return member;
	}
	return NULL;
}

struct raid_member *raid_member_by_number(struct raid_array *array, uint32_t dev_number)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->sb.dev_number == dev_number && member->state != RAID_MEMBER_STALE)
			return member;
	}
	return NULL;
}

void raid_member_place(struct raid_member *member, int role, enum raid_member_state state)
{
	member->role = role;
	member->state = state;
	member->target = false;
	if (raid_member_active(member))
		member->array->places[role].member = member;
}

void raid_member_put_beside(struct raid_member *member, int role)
{
	struct raid_array *array = member->array;

	member->role = role;
	member->state = RAID_MEMBER_REBUILDING;
	member->target = false;
	member->replaces = true;
	array->places[role].replacement = member;
	array->replacements++;
}

void raid_member_replace(struct raid_member *member, int role)
{
	member->recovered = member->checkpoint = member->full_from = 0;
	member->filled = false;
	raid_member_put_beside(member, role);
}

void raid_place_exchange(struct raid_array *array, uint32_t role)
{
	struct raid_member *old = array->places[role].member;

	leave_place(old);
	old->state = RAID_MEMBER_FAULTY;
	snprintf(old->reason, sizeof(old->reason), "replaced by %s",
		 array->places[role].member->block->name);
	raid_event_note(array, "Fail", old->block->name);
	array->lost = true;
	array->super_wanted++;
	fiber_queue_wake_all(&array->each_queue);
	log_info(array->log, "%s: %s is %s", array->block.name, old->block->name, old->reason);
}

bool raid_member_fail(struct raid_member *member, const char *format, ...)
{
	struct raid_array *array = member->array;
	uint64_t sector, count;
	va_list arguments;

	if (member->state == RAID_MEMBER_FAULTY || member->state == RAID_MEMBER_STALE)
		return true;
	if (array->block.read_only ||
	    (raid_member_counts(member) && !raid_array_can_lose(array, member)))
		return false;
	va_start(arguments, format);
	vsnprintf(member->reason, sizeof(member->reason), format, arguments);
	va_end(arguments);
	if (array->level->holds_alone && array->level->holds_alone(array, member, &sector, &count))
		log_error(
			array->log,
			"%s: %llu bytes at byte %llu cannot be read any more: only %s, which "
			"failed, had them, and the bad-block logs of the others say that they are "
			"bad",
			array->block.name, (unsigned long long)count << MD_SECTOR_SHIFT,
			(unsigned long long)sector << MD_SECTOR_SHIFT, member->block->name);
	raid_event_note(array, member->state == RAID_MEMBER_IN_SYNC ? "Fail" : "FailSpare",
			member->block->name);
	if (raid_member_active(member))
		leave_place(member);
	member->state = RAID_MEMBER_FAULTY;
	array->counters.members_failed++;
	array->lost = true;
	array->super_wanted++;
	fiber_queue_wake_all(&array->each_queue);
	log_warning(array->log, "%s: %s failed: %s; %u of %u members are in sync",
		    array->block.name, member->block->name, member->reason,
		    raid_array_working(array), array->now.disks);
	raid_array_changed(array, RAID_CHANGED_LOST);
	return true;
}

const char *raid_member_trouble(struct raid_member *member, int rc)
{
	struct raid_array *array = member->array;

	if (rc != -ENXIO)
		return error_name(rc);
	if (!member->trouble[0]) {
		snprintf(member->trouble, sizeof(member->trouble),
			 "it was made shorter and must have %llu bytes again; what was cut off is "
			 "lost",
			 (unsigned long long)member->block->size);
		log_error(array->log, "%s: %s: %s", array->block.name, member->block->name,
			  member->trouble);
	}
	raid_array_changed(array, RAID_CHANGED_SHORTER);
	return member->trouble;
}

void raid_member_release(struct raid_member *member)
{
	if (--member->users == 0)
		fiber_queue_wake_all(&member->array->users_queue);
}

/* A superblock at the end is where it was, so the device did not grow. */
uint64_t raid_member_usable(const struct raid_member *member)
{
	const struct md_superblock *sb = &member->sb;
	uint64_t sectors = member->block->size >> MD_SECTOR_SHIFT;
	int32_t behind = (int32_t)MIN(sb->data_offset - sb->super_offset, INT32_MAX);
	bool tail = sb->bblog_offset > behind ||
		    (sb->features & MD_FEATURE_BITMAP && sb->bitmap_offset > behind);

	if (!sb->minor_version || sb->minor_version == MD_VERSION_90 || tail ||
	    sectors <= sb->data_offset)
		return sb->data_size;
	return MAX(sb->data_size, sectors - sb->data_offset);
}

bool raid_member_counts(const struct raid_member *member)
{
	const struct raid_array *array = member->array;

	return member->state == RAID_MEMBER_IN_SYNC ||
	       (member->state == RAID_MEMBER_REBUILDING && array->reshaping && !member->replaces &&
		array->level->has_its_part && array->level->has_its_part(member));
}

struct raid_set raid_array_absent(const struct raid_array *array)
{
	struct raid_set absent = { 0 };

	for (uint32_t i = 0; i < raid_array_places(array); i++) {
		const struct raid_member *member = array->places[i].member;

		if (!member || !raid_member_counts(member))
			raid_set_add(&absent, i);
	}
	return absent;
}

bool raid_array_survives(const struct raid_array *array)
{
	const struct raid_set absent = raid_array_absent(array);

	return array->level->survives(array, &absent);
}

/* One that stands still for good is worse than an error of a member, which may pass. */
static bool reshape_goes_on(const struct raid_array *array, const struct raid_set *absent)
{
	const struct raid_set already = raid_array_absent(array);

	if (!array->reshaping || !array->level->can_reshape)
		return true;
	return array->level->can_reshape(array, absent) ||
	       !array->level->can_reshape(array, &already);
}

bool raid_array_can_lose(const struct raid_array *array, const struct raid_member *member)
{
	struct raid_set absent = raid_array_absent(array);

	if (raid_member_active(member) && !member->replaces)
		raid_set_add(&absent, (uint32_t)member->role);
	return array->level->survives(array, &absent) && reshape_goes_on(array, &absent);
}

unsigned raid_array_working(const struct raid_array *array)
{
	unsigned working = 0;

	for (uint32_t i = 0; i < array->now.disks; i++)
		working += array->places[i].member &&
			   array->places[i].member->state == RAID_MEMBER_IN_SYNC;
	return working;
}

static uint64_t sectors_of(const struct raid_geometry *g)
{
	return raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors, g->disks,
					   g->member_sectors);
}

uint64_t raid_reshape_whole(const struct raid_array *array)
{
	/* At levels with parity what is beyond the old shape gets zeroes, and is in sync. */
	if (!array->backwards && array->now.level != RAID_LEVEL_10)
		return sectors_of(&array->now);
	return MIN(sectors_of(&array->now), sectors_of(&array->before));
}

uint64_t raid_reshape_start(const struct raid_array *array)
{
	return array->backwards ? raid_reshape_whole(array) : 0;
}

uint64_t raid_reshape_moved(const struct raid_array *array)
{
	uint64_t start = raid_reshape_start(array);

	return array->backwards ? start - MIN(array->reshape_position, start)
				: array->reshape_position;
}

void raid_array_resync_from(struct raid_array *array, uint64_t sector)
{
	array->resync_from = MIN(array->resync_from, sector);
	array->resync_checkpoint = MIN(array->resync_checkpoint, sector);
	array->resync_by_bitmap = false;
	array->super_wanted++;
	raid_array_changed(array, RAID_CHANGED_APART);
}

void raid_daemon_wake(struct raid_array *array)
{
	array->daemon_kicked = true;
	fiber_queue_wake_all(&array->daemon_queue);
}
