/* SPDX-License-Identifier: BSD-2-Clause */
/* An array's life: made, started, stopped, gone. It knows all the parts, and none of them knows it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raid/array.h"
#include "raid/intent.h"
#include "raid/mirror.h"
#include "raid/rebuild.h"
#include "raid/reshape_backup.h"
#include "util/bytes.h"

const struct raid_level_ops *raid_level_ops_find(int level)
{
	static const struct raid_level_ops *const levels[] = { &raid_linear_ops, &raid0_ops,
							       &raid1_ops,       &raid4_ops,
							       &raid5_ops,       &raid6_ops,
							       &raid10_ops };

	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		if (levels[i]->level == level)
			return levels[i];
	}
	return NULL;
}

struct raid_array *raid_array_new(const struct md_superblock *sb, struct log *log, uint64_t now)
{
	struct raid_array *array = calloc(1, sizeof(*array));
	char name[RAID_NAME_SIZE + 3];

	if (!array)
		return NULL;
	array->places = calloc(
		sb->raid_disks + (sb->features & MD_FEATURE_RESHAPE ? MAX(-sb->delta_disks, 0) : 0),
		sizeof(*array->places));
	if (!array->places) {
		free(array);
		return NULL;
	}
	array->level = raid_level_ops_find(sb->level);
	array->log = log;
	memcpy(array->uuid, sb->set_uuid, sizeof(array->uuid));
	memcpy(array->set_name, sb->set_name, sizeof(array->set_name));
	strcpy(array->name, md_superblock_short_name(sb));
	array->minor_version = sb->minor_version;
	array->preferred_minor = sb->preferred_minor;
	array->metadata = raid_metadata_of(sb->minor_version);
	array->now = (struct raid_geometry){ sb->level, sb->layout, sb->chunk_sectors,
					     sb->raid_disks, sb->size };
	if (sb->features & MD_FEATURE_RESHAPE) {
		array->reshaping = true;
		array->before = array->now;
		array->before.disks = sb->raid_disks - (uint32_t)sb->delta_disks;
		array->backwards = md_superblock_reshapes_backwards(sb);
		array->now.level = sb->new_level;
		array->now.layout = sb->new_layout;
		array->now.chunk_sectors = sb->new_chunk_sectors;
		array->reshape_position = array->reshape_checkpoint = array->reshape_flushed =
			sb->reshape_position;
	}
	array->features = sb->features & (MD_FEATURE_RAID0_LAYOUT | MD_FEATURE_PPL |
					  MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL);
	array->recorded_block_size = sb->logical_block_size;
	array->max_dev = sb->max_dev;
	array->ctime = sb->ctime;
	array->utime = sb->utime;
	array->start_seconds = now ? now : (uint64_t)time(NULL);
	array->start_ns = worker_now();
	array->events = sb->events;
	array->clean = true;
	array->resync_position = array->resync_checkpoint = sb->resync_offset;
	array->resync_from = MD_RESYNC_DONE;

	list_init(&array->members);
	list_init(&array->watches);
	list_init(&array->idle_transfers);
	fiber_queue_init(&array->users_queue);
	fiber_queue_init(&array->each_queue);
	fiber_queue_init(&array->requests_queue);
	fiber_queue_init(&array->daemon_queue);
	fiber_mutex_init(&array->membership);
	fiber_mutex_init(&array->clearing);
	fiber_mutex_init(&array->super_lock);
	fiber_mutex_init(&array->transition);
	range_lock_init(&array->ranges, 11); /* units of 1 MiB */
	raid_rebuild_init(&array->rebuild);
	raid_events_begin(array);
	snprintf(name, sizeof(name), "md/%s", array->name);
	block_init(&array->block, raid_array_block_ops(array), name);
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

int raid_array_start_level(struct raid_array *array, struct error *error)
{
	int rc = array->level->start(array, error);

	if (!rc && !array->sectors)
		rc = error_set(error, -EINVAL, "%s: its members have no room for data",
			       array->block.name);
	return rc;
}

void raid_array_start(struct raid_array *array, bool read_only)
{
	take_limits(array);
	if (array->level->limits)
		array->level->limits(array);
	array->block.size =
		round_down(array->sectors << MD_SECTOR_SHIFT, array->block.logical_block_size);
	array->block.read_only = read_only;
	if (!read_only) {
		raid_daemon_start(array);
		if (!raid_level_maps(array->level))
			raid_rebuild_start(array);
	}
}

void raid_array_destroy(struct raid_array *array)
{
	if (array->level->stop)
		array->level->stop(array);
	raid_backup_free(array);
	list_for_each_safe(at, &array->members)
		raid_member_free(list_entry(at, struct raid_member, node));
	mirror_free_transfers(array);
	raid_intent_free(array->intent);
	while (array->retired) {
		struct raid_intent *next = array->retired->retired;

		raid_intent_free(array->retired);
		array->retired = next;
	}
	raid_events_end(array);
	free(array->places);
	array->places = NULL;
	array->intent = NULL;
	block_unref(&array->block); /* closes, which frees the rest */
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
	block_quiesce(&array->block); /* those that are only mapped */
	block_resume(&array->block);
	raid_daemon_stop(array);
	if (!array->block.read_only) {
		rc = raid_super_settle(array);
		/* mdadm goes on with nothing else; if that cannot be had it takes --invalid-backup. */
		if (!rc && array->backup && array->reshaping)
			array->level->keep_ahead(array);
		/* One that could not say that it was over, and has now. */
		else if (!rc && array->backup)
			raid_backup_end(array);
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
