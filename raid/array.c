/* Arrays and members: made, found, failed, let go. */
#include "raid/array.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raid/intent.h"
#include "util/bytes.h"

const struct raid_level_ops *raid_level_ops_find(int level)
{
	return level == RAID_LEVEL_1 ? &raid1_ops : NULL;
}

struct raid_array *raid_array_new(const struct md_superblock *sb, struct log *log, uint64_t now)
{
	struct raid_array *array = calloc(1, sizeof(*array));
	char name[RAID_NAME_SIZE + 3];

	if (!array)
		return NULL;
	array->places = calloc(sb->raid_disks, sizeof(struct raid_member *));
	if (!array->places) {
		free(array);
		return NULL;
	}
	array->level = raid_level_ops_find(sb->level);
	array->log = log;
	memcpy(array->uuid, sb->set_uuid, sizeof(array->uuid));
	memcpy(array->set_name, sb->set_name, sizeof(array->set_name));
	raid_name_printable(array->name, md_superblock_short_name(sb));
	array->minor_version = sb->minor_version;
	array->layout = sb->layout;
	array->chunk_sectors = sb->chunk_sectors;
	array->recorded_block_size = sb->logical_block_size;
	array->raid_disks = sb->raid_disks;
	array->max_dev = sb->max_dev;
	array->ctime = sb->ctime;
	array->utime = sb->utime;
	array->member_sectors = sb->size;
	array->start_seconds = now ? now : (uint64_t)time(NULL);
	array->start_ns = worker_now();
	array->events = sb->events;
	array->clean = true;
	array->resync_position = array->resync_checkpoint = sb->resync_offset;
	array->resync_from = MD_RESYNC_DONE;

	list_init(&array->members);
	fiber_queue_init(&array->users_queue);
	fiber_queue_init(&array->each_queue);
	fiber_queue_init(&array->requests_queue);
	fiber_queue_init(&array->daemon_queue);
	fiber_mutex_init(&array->membership);
	fiber_mutex_init(&array->super_lock);
	fiber_mutex_init(&array->transition);
	range_lock_init(&array->ranges, 11); /* units of 1 MiB */
	raid_rebuild_init(array);
	snprintf(name, sizeof(name), "md/%s", array->name);
	block_init(&array->block, &raid_block_ops, name);
	array->block.logical_block_size = MAX(sb->logical_block_size, MD_SECTOR_SIZE);
	return array;
}

/* What the array's block can do is what every member can. */
static void take_limits(struct raid_array *array)
{
	struct block *block = &array->block;
	bool discard = true;

	list_for_each(at, &array->members) {
		const struct block *lower = list_entry(at, struct raid_member, node)->block;

		block->logical_block_size =
			MAX(block->logical_block_size, lower->logical_block_size);
		block->physical_block_size =
			MAX(block->physical_block_size, lower->physical_block_size);
		block->preferred_io_size = MAX(block->preferred_io_size, lower->preferred_io_size);
		block->discard_granularity =
			MAX(block->discard_granularity, lower->discard_granularity);
		discard = discard && lower->discard_granularity;
	}
	if (!discard)
		block->discard_granularity = 0;
}

int raid_array_start(struct raid_array *array, bool read_only, struct error *error)
{
	uint64_t sectors;
	int rc;

	rc = array->level->start(array, &sectors, error);
	if (rc)
		return rc;
	take_limits(array);
	array->block.size = round_down(sectors << MD_SECTOR_SHIFT, array->block.logical_block_size);
	array->block.read_only = read_only;
	if (!read_only) {
		raid_daemon_start(array);
		raid_rebuild_start(array);
	}
	return 0;
}

void raid_array_destroy(struct raid_array *array)
{
	list_for_each_safe(at, &array->members)
		raid_member_free(list_entry(at, struct raid_member, node));
	raid_intent_free(array->intent);
	free(array->places);
	array->places = NULL;
	array->intent = NULL;
	block_unref(&array->block); /* closes, which frees the rest */
}

struct raid_member *raid_member_new(struct raid_array *array, struct block *block)
{
	struct raid_member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->array = array;
	fiber_mutex_init(&member->bitmap);
	member->block = block_ref(block);
	member->role = RAID_SPARE;
	member->state = RAID_MEMBER_SPARE;
	list_add_tail(&array->members, &member->node);
	return member;
}

void raid_member_free(struct raid_member *member)
{
	if (raid_member_active(member))
		member->array->places[member->role] = NULL;
	list_remove(&member->node);
	md_badblocks_free(&member->bad);
	block_unref(member->block);
	free(member);
}

void raid_member_drop(struct raid_member *member)
{
	struct raid_array *array = member->array;

	if (raid_member_active(member))
		array->places[member->role] = NULL;
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
		member->array->places[role] = member;
}

bool raid_member_fail(struct raid_member *member, const char *format, ...)
{
	struct raid_array *array = member->array;
	va_list arguments;

	if (member->state == RAID_MEMBER_FAULTY || member->state == RAID_MEMBER_STALE)
		return true;
	if (array->block.read_only ||
	    (member->state == RAID_MEMBER_IN_SYNC && !array->level->can_lose(array, member)))
		return false;
	va_start(arguments, format);
	vsnprintf(member->reason, sizeof(member->reason), format, arguments);
	va_end(arguments);
	if (raid_member_active(member))
		array->places[member->role] = NULL;
	member->state = RAID_MEMBER_FAULTY;
	array->lost = true;
	array->super_wanted++;
	fiber_queue_wake_all(&array->each_queue);
	if (array->intent)
		raid_intent_keep(array->intent);
	log_warning(array->log, "%s: %s failed: %s; %u of %u members are in sync",
		    array->block.name, member->block->name, member->reason,
		    raid_array_working(array), array->raid_disks);
	raid_rebuild_kick(array);
	raid_daemon_wake(array);
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
	if (array->intent)
		array->intent->forget = true;
	return member->trouble;
}

void raid_member_release(struct raid_member *member)
{
	if (--member->users == 0)
		fiber_queue_wake_all(&member->array->users_queue);
}

unsigned raid_array_working(const struct raid_array *array)
{
	unsigned working = 0;

	for (uint32_t i = 0; i < array->raid_disks; i++)
		working += array->places[i] && array->places[i]->state == RAID_MEMBER_IN_SYNC;
	return working;
}

void raid_array_resync_from(struct raid_array *array, uint64_t sector)
{
	array->resync_from = MIN(array->resync_from, sector);
	array->resync_checkpoint = MIN(array->resync_checkpoint, sector);
	array->super_wanted++;
	raid_rebuild_kick(array);
	raid_daemon_wake(array);
}

uint64_t raid_array_seconds(const struct raid_array *array)
{
	return array->start_seconds + (worker_now() - array->start_ns) / 1000000000u;
}

struct block *raid_array_block(struct raid_array *array)
{
	return &array->block;
}

/* Of one that was failed, since it does not answer, requests may be on their way still. */
static void wait_for_members(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		while (list_entry(at, struct raid_member, node)->users)
			fiber_queue_wait_always(&array->users_queue);
	}
}

int raid_stop(struct raid_array *array, struct error *error)
{
	int rc = 0;

	if (!array)
		return 0;
	if (array->block.references > 1)
		return error_set(error, -EBUSY, "%s is in use by %u others", array->block.name,
				 array->block.references - 1);
	raid_rebuild_stop(array);
	while (array->requests)
		fiber_queue_wait_always(&array->requests_queue);
	raid_daemon_stop(array);
	if (!array->block.read_only) {
		rc = raid_super_settle(array);
		if (!rc && array->intent)
			rc = raid_intent_clear(array->intent, true);
		if (!rc)
			rc = raid_array_mark_clean(array);
		/* The bitmap may have cost a member. */
		if (!rc)
			rc = raid_super_settle(array);
		if (rc)
			error_set(error, rc, "%s: cannot be marked clean: %s", array->block.name,
				  error_name(rc));
		wait_for_members(array);
	}
	raid_array_destroy(array);
	return rc;
}
