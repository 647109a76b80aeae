/* SPDX-License-Identifier: BSD-2-Clause */
/* See describe.h. */
#include "tools/describe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "raid/raid.h"
#include "tools/describe_set.h"
#include "tools/serial.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "util/size.h"
#include "util/text.h"

json_t *describe_text(const char *text)
{
	CLEANUP_FREE char *copy = NULL;
	json_t *value = text ? json_string(text) : json_null();

	if (value)
		return value;
	copy = text_cleaned(text, NULL);
	return json_string(copy ? copy : "?");
}

json_t *describe_path(const char *path)
{
	CLEANUP_FREE char *folder = path && *path != '/' ? getcwd(NULL, 0) : NULL, *whole = NULL;

	if (!folder || asprintf(&whole, "%s/%s", folder, path) < 0)
		return describe_text(path);
	return describe_text(whole);
}

json_t *describe_process(int pid)
{
	char command[PROCESS_TEXT];

	if (!pid)
		return json_pack("{s:n, s:n}", "pid", "command");
	return json_pack("{s:i, s:o}", "pid", pid, "command",
			 describe_text(process_command(pid, command) ? command : NULL));
}

json_t *describe_name(const char *name)
{
	CLEANUP_FREE char *word = text_name(name);

	return json_string(word ? word : "?");
}

/* ---- Arrays ---- */

/* Who has a place; NULL: nobody. */
static const char *device_of_role(const struct raid_status *status, int role)
{
	for (unsigned i = 0; role != RAID_SPARE && i < status->member_count; i++)
		if (status->members[i].role == role)
			return status->members[i].device;
	return NULL;
}

static json_t *describe_mismatch(const struct raid_status *status,
				 const struct raid_mismatch *mismatch)
{
	bool has_stripes = status->level >= RAID_LEVEL_4 && status->level <= RAID_LEVEL_6;
	json_t *object = json_object();

	set_number(object, "offset_bytes", mismatch->offset);
	set_number(object, "length_bytes", mismatch->length);
	set_number_if(object, "stripe", has_stripes && status->chunk,
		      has_stripes && status->chunk ? mismatch->offset / status->chunk : 0);
	set_number_if(object, "wrong_role", mismatch->role != RAID_SPARE, (uint64_t)mismatch->role);
	set_text(object, "wrong_device", device_of_role(status, mismatch->role));
	return object;
}

/* What the last check or repair found. Each key is there, also where there is nothing to say. */
static void describe_scrub(json_t *object, const struct raid_status *status)
{
	const struct raid_progress *progress = &status->progress;
	json_t *list = json_array();

	for (unsigned i = 0; i < MIN(progress->found.count, RAID_FOUND); i++)
		json_array_append_new(list, describe_mismatch(status, &progress->found.ranges[i]));
	set_text(object, "scrub",
		 progress->scrub == RAID_IDLE ? NULL : raid_operation_name(progress->scrub));
	set_flag(object, "cut_short", progress->cut_short);
	set_number(object, "scrubbed_bytes", progress->scrubbed);
	set_number(object, "mismatch_bytes", progress->mismatches);
	json_object_set_new(object, "mismatches", list);
	set_number(object, "mismatch_count", progress->found.count);
	set_number(object, "unresolved_bytes", progress->unresolved);
	set_number(object, "not_compared_bytes", progress->skipped);
}

json_t *describe_progress(const struct raid_status *status)
{
	const struct raid_progress *progress = &status->progress;
	double total = progress->total ? (double)progress->total : 1;
	bool idle = progress->operation == RAID_IDLE;
	json_t *object = json_object();

	set_text(object, "operation", raid_operation_name(progress->operation));
	set_number_if(object, "position_bytes", !idle, progress->position);
	set_number_if(object, "total_bytes", !idle, progress->total);
	json_object_set_new(object, "done_percent",
			    idle ? json_null()
				 : json_real(100.0 * (double)progress->position / total));
	set_number_if(object, "rate_bytes", !idle && progress->rate, progress->rate);
	set_number_if(object, "seconds_left", !idle && progress->rate,
		      progress->remaining_ns / 1000000000);
	set_flag(object, "held", progress->held);
	describe_scrub(object, status);
	return object;
}

/* Of one that was left out: as what. */
static const char *member_state(const struct raid_member_status *member)
{
	return member->replaces        ? "replacing"
	       : member->marked_faulty ? raid_member_state_name(RAID_MEMBER_FAULTY)
	       : member->removed       ? "removed"
				       : raid_member_state_name(member->state);
}

static json_t *describe_member(const struct raid_member_status *member)
{
	json_t *object = json_object();
	char uuid[RAID_UUID_TEXT];

	set_text(object, "device", member->device);
	json_object_set_new(object, "role",
			    member->role == RAID_SPARE ? json_null() : json_integer(member->role));
	set_text(object, "state", member_state(member));
	set_number(object, "number", member->dev_number);
	set_number(object, "events", member->events);
	set_number(object, "data_offset_bytes", member->data_offset);
	set_number(object, "device_size_bytes", member->device_size);
	set_number_if(object, "recovered_bytes", member->state == RAID_MEMBER_REBUILDING,
		      member->recovered);
	set_number(object, "corrected", member->corrected);
	set_number(object, "bad_blocks", member->bad_blocks);
	set_flag(object, "write_mostly", member->write_mostly);
	set_flag(object, "failfast", member->failfast);
	set_text(object, "uuid", raid_uuid_format(member->device_uuid, uuid));
	set_text(object, "reason", member->reason[0] ? member->reason : NULL);
	return object;
}

static unsigned count_spares(const struct raid_status *status)
{
	unsigned count = 0;

	for (unsigned i = 0; i < status->member_count; i++)
		count += status->members[i].state == RAID_MEMBER_SPARE;
	return count;
}

/* A letter for each place, as in /proc/mdstat: its member is in sync, or not. */
static json_t *describe_places(const struct raid_status *status)
{
	CLEANUP_FREE char *letters = calloc(status->raid_disks + 1, 1);

	if (!letters)
		abort();
	memset(letters, '_', status->raid_disks);
	for (unsigned i = 0; i < status->member_count; i++) {
		const struct raid_member_status *member = &status->members[i];

		if (member->state == RAID_MEMBER_IN_SYNC && member->role >= 0 &&
		    (unsigned)member->role < status->raid_disks)
			letters[member->role] = 'U';
	}
	return describe_text(letters);
}

/* As mdadm --detail counts devices. Members that were left out count where superblocks call them faulty. */
static json_t *describe_counts(const struct raid_status *status)
{
	unsigned total = 0, active = 0, failed = 0, journals = 0;
	json_t *object = json_object();

	for (unsigned i = 0; i < status->member_count; i++) {
		const struct raid_member_status *member = &status->members[i];

		total += member->state != RAID_MEMBER_STALE || member->marked_faulty;
		active += member->state == RAID_MEMBER_IN_SYNC;
		failed += member->state == RAID_MEMBER_FAULTY || member->marked_faulty;
		journals += member->state == RAID_MEMBER_JOURNAL;
	}
	set_number(object, "total", total);
	set_number(object, "active", active);
	set_number(object, "working", total - failed);
	set_number(object, "faulty", failed);
	set_number(object, "spare", total - failed - active - journals);
	return object;
}

/* Whoever only looks has it read-only, whatever it is: what keeps others from writing counts then. */
static bool is_read_only(const struct raid_status *status, bool looked)
{
	if (!looked)
		return status->read_only;
	for (unsigned i = 0; i < status->member_count; i++) {
		const struct raid_member_status *member = &status->members[i];

		if (member->state == RAID_MEMBER_IN_SYNC && *member->device == '/' &&
		    access(member->device, W_OK) && (errno == EACCES || errno == EROFS))
			return true;
	}
	return false;
}

static json_t *describe_array_head(const struct raid_status *status, bool looked)
{
	char level[16], uuid[RAID_UUID_TEXT], serial[SERIAL_TEXT], state[128];
	bool read_only = is_read_only(status, looked);
	json_t *object = json_object();

	snprintf(state, sizeof(state), "%s%s", status->state, read_only ? ", read-only" : "");
	json_object_set_new(object, "name", describe_name(status->name));
	set_text(object, "level", raid_level_name(status->level, level));
	set_text(object, "state", state);
	set_number(object, "size_bytes", status->size);
	set_number(object, "devices", status->raid_disks);
	set_number(object, "working", status->working);
	set_number(object, "spares", count_spares(status));
	set_flag(object, "degraded", status->degraded);
	set_number(object, "missing", status->missing);
	set_flag(object, "read_only", read_only);
	set_text(object, "problem", NULL);
	set_text(object, "uuid", raid_uuid_format(status->uuid, uuid));
	set_text(object, "serial", serial_of_array(status->uuid, serial));
	json_object_set_new(object, "progress", describe_progress(status));
	return object;
}

json_t *describe_array_row(struct raid_array *array, bool looked)
{
	struct raid_status status;
	json_t *object;

	raid_status(array, &status);
	object = describe_array_head(&status, looked);
	raid_status_free(&status);
	return object;
}

json_t *describe_broken_array(const struct raid_info *md, const char *problem)
{
	char level[16], uuid[RAID_UUID_TEXT], serial[SERIAL_TEXT];
	const struct raid_status idle = { .progress.operation = RAID_IDLE };
	json_t *object = json_object();

	json_object_set_new(object, "name", describe_name(md->name));
	set_text(object, "level", raid_level_name(md->level, level));
	set_text(object, "state", "not assembled");
	set_number(object, "size_bytes", md->array_size);
	set_number(object, "devices", md->raid_disks);
	set_number(object, "working", 0);
	set_number(object, "spares", 0);
	set_flag(object, "degraded", true);
	json_object_set_new(object, "missing", json_null());
	set_flag(object, "read_only", false);
	set_text(object, "problem", problem ? problem : "it cannot be assembled");
	set_text(object, "uuid", raid_uuid_format(md->set_uuid, uuid));
	set_text(object, "serial", serial_of_array(md->set_uuid, serial));
	json_object_set_new(object, "progress", describe_progress(&idle));
	return object;
}

json_t *describe_unused_member(const char *device, uint64_t size, const struct raid_info *md)
{
	const struct raid_member_status member = {
		.device = (char *)device,
		.role = md->role,
		.dev_number = md->dev_number,
		.events = md->events,
		.data_offset = md->data_offset,
	};
	json_t *object = describe_member(&member);
	char uuid[RAID_UUID_TEXT];

	set_text(object, "state", md->faulty ? "faulty" : md->role == RAID_SPARE ? "spare" : NULL);
	set_number_if(object, "device_size_bytes", size != 0, size);
	json_object_set_new(object, "corrected", json_null());
	json_object_set_new(object, "bad_blocks", json_null());
	json_object_set_new(object, "write_mostly", json_null());
	json_object_set_new(object, "failfast", json_null());
	set_text(object, "uuid", raid_uuid_format(md->device_uuid, uuid));
	return object;
}

static json_t *describe_counters(const struct raid_counters *counters)
{
	json_t *object = json_object();

	set_number(object, "superblock_updates", counters->superblock_updates);
	set_number(object, "bitmap_writes", counters->bitmap_writes);
	set_number(object, "members_failed", counters->members_failed);
	set_number(object, "degraded_reads", counters->degraded_reads);
	set_number(object, "degraded_writes", counters->degraded_writes);
	set_number(object, "failed_writes", counters->failed_writes);
	set_number(object, "retried_reads", counters->retried_reads);
	set_number(object, "made_good", counters->made_good);
	set_number(object, "lost_reads", counters->lost_reads);
	set_number(object, "skipped_bytes", counters->skipped_bytes);
	return object;
}

static json_t *describe_bitmap(const struct raid_status *status)
{
	return status->bitmap.present ? json_pack("{s:I, s:I, s:I, s:I}", "chunk_bytes",
						  (json_int_t)status->bitmap.chunk, "chunks",
						  (json_int_t)status->bitmap.chunks, "dirty",
						  (json_int_t)status->bitmap.dirty, "events",
						  (json_int_t)status->bitmap.events)
				      : json_null();
}

/* Less than 100 as long as anything is left, as lvs has it. */
json_t *describe_synced(const struct raid_status *status)
{
	uint64_t promille;

	if (!raid_geometry_redundant(status->level) || !status->sync_size)
		return json_null();
	promille = (uint64_t)((unsigned __int128)1000 * status->synced / status->sync_size);
	return json_real((double)promille / 10);
}

/* What the array had before; what it is to have is where it always is. */
static json_t *describe_reshape(const struct raid_status *status)
{
	char level[16], layout[32];
	json_t *object;

	if (!status->reshaping)
		return json_null();
	object = json_object();
	set_number(object, "position_bytes", status->before.position);
	set_text(object, "old_level", raid_level_name(status->before.level, level));
	set_text(object, "old_layout",
		 raid_geometry_layout_name(status->before.level, status->before.layout, layout));
	set_number(object, "old_devices", status->before.raid_disks);
	set_number_if(object, "old_chunk_bytes", status->before.chunk != 0, status->before.chunk);
	return object;
}

json_t *describe_array(struct raid_array *array, bool looked)
{
	struct raid_status status;
	char metadata[16], layout[32];
	json_t *object, *members = json_array();

	raid_status(array, &status);
	object = describe_array_head(&status, looked);
	set_text(object, "set_name", status.set_name);
	raid_metadata_name(status.minor_version, metadata);
	set_text(object, "metadata", metadata);
	set_text(object, "layout", raid_geometry_layout_name(status.level, status.layout, layout));
	set_number_if(object, "chunk_bytes", status.chunk != 0, status.chunk);
	set_text(object, "consistency",
		 !raid_geometry_redundant(status.level) ? NULL
		 : status.bitmap.present                ? "bitmap"
		 : status.ppl                           ? "ppl"
		 : status.journal                       ? "journal"
							: "resync");
	set_number(object, "member_size_bytes", status.member_size);
	json_object_set_new(object, "synced_percent", describe_synced(&status));
	json_object_set_new(object, "reshape", describe_reshape(&status));
	set_number(object, "speed_min_bytes", status.speed.least);
	set_number_if(object, "speed_max_bytes", status.speed.most != 0, status.speed.most);
	set_number(object, "events", status.events);
	set_time(object, "created", status.ctime);
	set_time(object, "updated", status.utime);
	set_flag(object, "clean", status.clean);
	set_flag(object, "failed", status.failed);
	json_object_set_new(object, "places", describe_places(&status));
	json_object_set_new(object, "counts", describe_counts(&status));
	json_object_set_new(object, "bitmap", describe_bitmap(&status));
	json_object_set_new(object, "counters", describe_counters(&status.counters));
	for (unsigned i = 0; i < status.member_count; i++)
		json_array_append_new(members, describe_member(&status.members[i]));
	json_object_set_new(object, "members", members);
	raid_status_free(&status);
	return object;
}
