/* SPDX-License-Identifier: BSD-2-Clause */
/* An array's state, for people and tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/intent.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

static void fill_member(const struct raid_member *member, struct raid_member_status *status)
{
	const struct md_superblock *sb = &member->sb;

	*status = (struct raid_member_status){
		.device = strdup(member->block->name),
		.state = member->state,
		.role = raid_member_active(member) ? member->role : RAID_SPARE,
		.dev_number = sb->dev_number,
		.events = sb->events,
		.data_offset = sb->data_offset << MD_SECTOR_SHIFT,
		.device_size = member->block->size,
		.corrected = sb->corrected_reads,
		.bad_blocks = member->bad.count,
		.write_mostly = sb->devflags & MD_DEVICE_WRITE_MOSTLY,
		.failfast = sb->devflags & MD_DEVICE_FAILFAST,
		.replaces = member->replaces,
		.marked_faulty = member->state == RAID_MEMBER_STALE && member->marked_faulty,
		.removed = member->state == RAID_MEMBER_STALE && member->removed,
	};
	if (member->state == RAID_MEMBER_REBUILDING)
		status->recovered = member->recovered << MD_SECTOR_SHIFT;
	memcpy(status->device_uuid, sb->device_uuid, sizeof(status->device_uuid));
	snprintf(status->reason, sizeof(status->reason), "%s", member->reason);
	if (!status->device)
		abort();
}

static void fill_bitmap(const struct raid_intent *intent, struct raid_status *status)
{
	status->bitmap.present = true;
	status->bitmap.chunk = intent->super.chunk_bytes;
	status->bitmap.chunks = intent->chunks;
	status->bitmap.dirty = intent->set;
	status->bitmap.events = intent->super.events;
	status->bitmap.events_cleared = intent->super.events_cleared;
}

/* As mdadm --detail puts it. */
static void describe_state(const struct raid_array *array, struct raid_status *status)
{
	static const char *const running[] = {
		[RAID_IDLE] = "",
		[RAID_RESYNC] = ", resyncing",
		[RAID_RECOVER] = ", recovering",
		[RAID_CHECK] = ", checking",
		[RAID_REPAIR] = ", repairing",
		[RAID_RESHAPE] = ", reshaping",
	};

	/* Not that it is read-only: whoever only looks has it so. */
	snprintf(status->state, sizeof(status->state), "%s%s%s%s%s%s%s",
		 status->failed ? "failed"
		 : array->clean ? "clean"
				: "active",
		 status->degraded && !status->failed ? ", degraded" : "",
		 running[array->rebuild.operation],
		 array->rebuild.operation == RAID_IDLE && !raid_level_maps(array->level) &&
				 raid_array_in_sync_below(array) != MD_RESYNC_DONE
			 ? ", not in sync"
			 : "",
		 array->rebuild.operation != RAID_RESHAPE && array->reshaping
			 ? ", in the middle of a reshape"
			 : "",
		 status->journal && !raid_array_has_journal(array) ? ", without its journal" : "",
		 status->progress.held ? ", stopped" : "");
}

/* What runs knows better than what was written down last. Of a reshape what has been moved, as lvm2 has it. */
static uint64_t synced_sectors(const struct raid_array *array)
{
	const struct raid_rebuild *rebuild = &array->rebuild;
	uint64_t all = array->sync_sectors, below = raid_array_in_sync_below(array);
	uint64_t each = array->now.member_sectors, least = each;

	if (raid_level_maps(array->level))
		return all;
	if (array->reshaping) {
		uint64_t whole = raid_reshape_whole(array);

		return whole ? MIN(all, (uint64_t)((unsigned __int128)all *
						   raid_reshape_moved(array) / whole))
			     : 0;
	}
	if (rebuild->operation == RAID_RESYNC)
		below = MAX(below, rebuild->completed);
	else if (array->resync_by_bitmap)
		below = all - MIN(all, array->intent->set << array->intent->chunk_shift);
	below = MIN(below, all);
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_REBUILDING && !member->replaces)
			least = MIN(least, rebuild->operation == RAID_RECOVER
						   ? MAX(member->recovered, rebuild->completed)
						   : member->recovered);
	}
	return least < each ? MIN(below, (uint64_t)((unsigned __int128)all * least / each)) : below;
}

static unsigned places_taken(const struct raid_array *array)
{
	unsigned taken = 0;

	for (uint32_t i = 0; i < array->now.disks; i++)
		taken += array->places[i].member != NULL;
	return taken;
}

void raid_status(struct raid_array *array, struct raid_status *status)
{
	unsigned count = 0;

	memset(status, 0, sizeof(*status));
	memcpy(status->name, array->name, sizeof(status->name));
	strcpy(status->set_name, array->set_name);
	memcpy(status->uuid, array->uuid, sizeof(status->uuid));
	status->level = array->now.level;
	status->layout = array->now.layout;
	status->chunk = (uint64_t)array->now.chunk_sectors << MD_SECTOR_SHIFT;
	status->minor_version = array->minor_version;
	status->raid_disks = array->now.disks;
	status->working = raid_array_working(array);
	status->missing = MIN(array->missing, array->now.disks - places_taken(array));
	status->size = array->block.size;
	status->member_size = array->now.member_sectors << MD_SECTOR_SHIFT;
	status->events = array->events;
	status->ctime = array->ctime;
	status->utime = array->utime;
	status->read_only = array->block.read_only;
	status->from_log = array->from_log;
	status->clean = array->clean;
	status->agree =
		raid_level_maps(array->level) || raid_array_in_sync_below(array) == MD_RESYNC_DONE;
	status->synced = synced_sectors(array) << MD_SECTOR_SHIFT;
	status->sync_size = array->sync_sectors << MD_SECTOR_SHIFT;
	status->reshaping = array->reshaping;
	if (array->reshaping) {
		status->before.level = array->before.level;
		status->before.layout = array->before.layout;
		status->before.chunk = (uint64_t)array->before.chunk_sectors << MD_SECTOR_SHIFT;
		status->before.raid_disks = array->before.disks;
		status->before.position = array->reshape_position << MD_SECTOR_SHIFT;
	}
	status->backup_anew = array->backup_anew;
	status->degraded = raid_array_degraded(array);
	status->failed = !raid_array_survives(array);
	status->counters = array->counters;
	status->speed = array->rebuild.speed;
	raid_rebuild_progress(array, &status->progress);
	status->ppl = array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);
	status->journal = array->features & MD_FEATURE_JOURNAL;
	describe_state(array, status);
	if (array->intent)
		fill_bitmap(array->intent, status);

	list_for_each(at, &array->members)
		count++;
	status->members = calloc(count, sizeof(*status->members));
	if (!status->members)
		abort();
	list_for_each(at, &array->members)
		fill_member(list_entry(at, struct raid_member, node),
			    &status->members[status->member_count++]);
}

void raid_status_free(struct raid_status *status)
{
	for (unsigned i = 0; i < status->member_count; i++)
		free(status->members[i].device);
	free(status->members);
	memset(status, 0, sizeof(*status));
}
