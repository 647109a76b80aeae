/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The superblock update protocol.
 *
 * Every update raises the event count and goes to all members that are not faulty: take down what is to be said
 * of the data (checkpoints, bad-block logs), flush all, so that nothing of it is ahead of the data; then on each member bitmap super, bad-block log
 * and superblock, in this order, each durable before the next. A member that fails meanwhile is marked
 * faulty, and the rest are written again.
 *
 * Members that have all the data come first, and the others (spares, members that are being rebuilt) only
 * once those are durable: whoever assembles goes by the most events, and what has the most events must
 * have the data. So when the power goes, or when the last good member cannot be written and the process
 * ends, no spare knows more than the data do.
 *
 * An update is one event: then whoever was cut off in it is one behind, and is taken back. One that was
 * lost must not be: the update that says so is followed by another, which leaves it two behind, where no
 * kernel takes it. Only then is what waited for it acknowledged.
 *
 * A write that fails has perhaps happened all the same. So the event count goes up with each attempt, and
 * never comes with other content.
 *
 * The array is clean (superblocks say so), then on its way to dirty (`clean` false, `dirty` not yet), then dirty
 * (durably: writes may begin), and back once no write came for a while and everything is flushed. Only
 * raid_array_mark_dirty() and raid_array_mark_clean() change these, under `transition`.
 *
 * Requests for updates are counted: whoever wants one raises super_wanted, and one update serves all
 * who came before it began.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/intent.h"
#include "util/bytes.h"

#define MD_PAGE_SECTORS 8u /* md's raid5 works in pages */

/* ---- One member's superblock ---- */

static void fill_roles(const struct raid_array *array, struct md_superblock *sb)
{
	sb->max_dev = array->max_dev;
	for (unsigned i = 0; i < MD_MAX_DEVICES; i++)
		sb->roles[i] = MD_ROLE_SPARE;
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);
		uint32_t number = member->sb.dev_number;

		if (number >= MD_MAX_DEVICES)
			continue;
		if (member->state == RAID_MEMBER_STALE) {
			if (member->marked_faulty && sb->roles[number] == MD_ROLE_SPARE)
				sb->roles[number] = MD_ROLE_FAULTY;
		} else if (raid_member_active(member))
			sb->roles[number] = (uint16_t)member->role;
		else if (member->state == RAID_MEMBER_FAULTY)
			sb->roles[number] = MD_ROLE_FAULTY;
		else if (member->state == RAID_MEMBER_JOURNAL)
			sb->roles[number] = MD_ROLE_JOURNAL;
	}
}

/*
 * From where members may differ. While writes are in flight that is anywhere; with a partial parity log, which knows of those,
 * it is where the resync is, if one is due. 0 would mean that none is (raid5_ppl.c), as it does for md.
 */
static uint64_t resync_offset(const struct raid_array *array)
{
	uint64_t done = MIN(array->resync_checkpoint, array->resync_flushed);

	if (array->resync_by_bitmap)
		return MD_RESYNC_DONE;
	if (array->clean || !array->metadata->says_dirty)
		return done;
	/* A journal knows of all writes, but not of what they leave where members did not agree before. */
	if ((array->features & MD_FEATURE_JOURNAL) && raid_array_has_journal(array) &&
	    done == MD_RESYNC_DONE && array->resync_from == MD_RESYNC_DONE)
		return done;
	if (done == MD_RESYNC_DONE ||
	    !(array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)))
		return 0;
	return MAX(done, MD_PAGE_SECTORS);
}

/* As md has it: until a reshape is over level, layout and chunk are the old ones, but the number of members is the new one. */
static void fill_shape(const struct raid_array *array, struct md_superblock *sb)
{
	const struct raid_geometry *g = array->reshaping ? &array->before : &array->now;

	sb->level = g->level;
	sb->layout = g->layout;
	sb->chunk_sectors = g->chunk_sectors;
	if (!array->reshaping) {
		sb->new_level = 0;
		sb->new_layout = sb->new_chunk_sectors = 0;
		sb->reshape_position = 0;
		sb->delta_disks = 0;
		sb->new_offset = 0;
		return;
	}
	sb->features |= MD_FEATURE_RESHAPE;
	/* With fewer members it is no other way. */
	if (array->backwards && array->now.disks == array->before.disks)
		sb->features |= MD_FEATURE_RESHAPE_BACKWARDS;
	if (sb->new_offset)
		sb->features |= MD_FEATURE_NEW_OFFSET;
	sb->new_level = array->now.level;
	sb->new_layout = array->now.layout;
	sb->new_chunk_sectors = array->now.chunk_sectors;
	sb->delta_disks = (int32_t)array->now.disks - (int32_t)array->before.disks;
	/* What was moved behind a flush that is under way is not durable yet. */
	sb->reshape_position = array->backwards
				       ? MAX(array->reshape_checkpoint, array->reshape_flushed)
				       : MIN(array->reshape_checkpoint, array->reshape_flushed);
}

/* Only of the level that it has on its way there. */
static uint8_t next_level(const struct raid_array *array)
{
	int level = array->now.level;

	if (!array->next_level)
		return MD_NEXT_NONE;
	if (array->next_level[0] == '0')
		return level == RAID_LEVEL_4 || level == RAID_LEVEL_5 ? MD_NEXT_LEVEL_0
								      : MD_NEXT_NONE;
	return level == RAID_LEVEL_6 ? MD_NEXT_LEVEL_5 : MD_NEXT_NONE;
}

static void fill_superblock(struct raid_member *member)
{
	const struct raid_array *array = member->array;
	struct md_superblock *sb = &member->sb;

	sb->minor_version = array->minor_version;
	sb->preferred_minor = array->preferred_minor;
	sb->features = array->features;
	memcpy(sb->set_uuid, array->uuid, sizeof(sb->set_uuid));
	memcpy(sb->set_name, array->set_name, sizeof(sb->set_name));
	sb->ctime = array->ctime;
	sb->utime = array->utime;
	sb->size = array->now.member_sectors;
	fill_shape(array, sb);
	sb->next = next_level(array);
	sb->logical_block_size = array->recorded_block_size;
	sb->raid_disks = array->now.disks;
	sb->events = array->events;
	sb->resync_offset = resync_offset(array);
	sb->recovery_offset = 0;
	if (array->intent)
		sb->features |= MD_FEATURE_BITMAP;
	if (member->state == RAID_MEMBER_JOURNAL)
		sb->recovery_offset = member->flushed;
	if (member->replaces)
		sb->features |= MD_FEATURE_REPLACEMENT;
	if (member->state == RAID_MEMBER_REBUILDING && !member->filled) {
		sb->features |= MD_FEATURE_RECOVERY_OFFSET;
		sb->recovery_offset = MIN(member->checkpoint, member->flushed);
		if (array->intent && member->full_from >= array->now.member_sectors)
			sb->features |= MD_FEATURE_RECOVERY_BITMAP;
	}
	if (member->log_used)
		sb->features |= MD_FEATURE_BAD_BLOCKS;
	fill_roles(array, sb);
}

static size_t badblocks_bytes(const struct md_superblock *sb)
{
	return sb->bblog_offset ? MIN(sb->bblog_size, MD_BBLOG_SECTORS) * (size_t)MD_SECTOR_SIZE
				: 0;
}

/* Before the flush of an update: what is good by then has its data durable when the log says so. */
static int take_badblocks(struct raid_member *member)
{
	size_t size = badblocks_bytes(&member->sb);
	int rc;

	if (!member->bad.changed || !size)
		return 0;
	if (!member->log)
		member->log = malloc(MD_BBLOG_SECTORS * MD_SECTOR_SIZE);
	if (!member->log)
		return -ENOMEM;
	rc = md_badblocks_encode(&member->bad, member->log, size);
	if (rc)
		return rc;
	member->log_used = member->bad.count != 0;
	member->log_taken = true;
	member->bad.changed = false;
	return 0;
}

static int write_badblocks(struct raid_member *member)
{
	struct md_superblock *sb = &member->sb;
	int rc;

	if (!member->log_taken)
		return 0;
	sb->bblog_shift = 0;
	member->log_taken = false;
	rc = block_write(member->block, md_superblock_byte(sb, sb->bblog_offset), member->log,
			 badblocks_bytes(sb), BLOCK_FUA);
	/* The last member is not failed for it, and the next update tries again. */
	member->bad.changed = member->bad.changed || rc;
	return rc;
}

int raid_member_note_bad(struct raid_member *member, uint64_t sector, uint64_t count)
{
	uint8_t log[MD_BBLOG_SECTORS * MD_SECTOR_SIZE];
	int rc;

	if (!badblocks_bytes(&member->sb))
		return -ENOSPC;
	rc = md_badblocks_set(&member->bad, raid_member_sector(member, sector), count);
	if (rc)
		return rc;
	rc = md_badblocks_encode(&member->bad, log, badblocks_bytes(&member->sb));
	if (rc) {
		md_badblocks_clear(&member->bad, raid_member_sector(member, sector), count);
		return rc;
	}
	member->array->super_wanted++;
	raid_daemon_wake(member->array);
	return 0;
}

int raid_member_load_badblocks(struct raid_member *member, struct error *error)
{
	uint8_t log[MD_BBLOG_SECTORS * MD_SECTOR_SIZE];
	const struct md_superblock *sb = &member->sb;
	size_t size = MIN(sb->bblog_size * (size_t)MD_SECTOR_SIZE, sizeof(log));
	int rc;

	if (!(sb->features & MD_FEATURE_BAD_BLOCKS))
		return 0;
	rc = block_read(member->block, md_superblock_byte(sb, sb->bblog_offset), log, size);
	if (rc)
		return error_set(error, rc, "%s: its bad-block log cannot be read: %s",
				 member->block->name, error_name(rc));
	rc = md_badblocks_decode(&member->bad, log, size, sb->bblog_shift, error);
	member->log_used = member->bad.count != 0;
	if (rc)
		error_prefix(error, "%s", member->block->name);
	return rc;
}

static int write_member(struct raid_member *member, void *arg)
{
	struct raid_array *array = member->array;
	int rc = 0;

	if (member->turn != (enum raid_turn)(uintptr_t)arg)
		return 0;
	if (array->intent && raid_member_active(member))
		rc = raid_intent_write_super(array->intent, member);
	if (!rc)
		rc = write_badblocks(member);
	if (!rc)
		rc = array->metadata->write(member);
	return rc;
}

/* ---- Updates ---- */

/*
 * What is said of the data is what was so before they are flushed. A rebuild goes on meanwhile, and may move its
 * checkpoints on; a write may make good what was bad: both are for the next update. A checkpoint may also be taken
 * back, which counts at once.
 */
static int note_before_flush(struct raid_array *array)
{
	int rc = 0, failed;

	array->resync_flushed = array->resync_checkpoint;
	array->reshape_flushed = array->reshape_checkpoint;
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_JOURNAL)
			member->checkpoint = array->level->checkpoint(array);
		member->flushed = member->state == RAID_MEMBER_REBUILDING ||
						  member->state == RAID_MEMBER_JOURNAL
					  ? member->checkpoint
					  : 0;
		if (!(RAID_WRITABLE_STATES & (1u << member->state)))
			continue;
		failed = take_badblocks(member);
		if (failed &&
		    !raid_member_fail(member, "bad-block log not written: %s", error_name(failed)))
			rc = failed;
	}
	return rc;
}

/* What all of them are to say. Who comes, or changes, while it is written is for the next update. */
static void prepare_update(struct raid_array *array)
{
	uint64_t now;

	array->events++;
	now = raid_array_seconds(array);
	if (array->utime_most)
		now = MAX(MIN(now, array->utime_most), array->utime);
	array->utime = now;
	/* What was written is flushed: no write ends while an update is under way, nor begins before one says so. */
	if (array->intent)
		array->intent->clean = array->clean && !array->resync_by_bitmap &&
				       resync_offset(array) == MD_RESYNC_DONE;
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		member->turn = RAID_TURN_NONE;
		if (!(RAID_WRITABLE_STATES & (1u << member->state)))
			continue;
		fill_superblock(member);
		member->turn =
			member->state == RAID_MEMBER_IN_SYNC || member->state == RAID_MEMBER_JOURNAL
				? RAID_TURN_FIRST
				: RAID_TURN_SECOND;
	}
}

int raid_member_announce(struct raid_member *member)
{
	struct raid_array *array = member->array;
	int rc;

	fiber_mutex_lock(&array->super_lock);
	fill_superblock(member);
	rc = array->metadata->write(member);
	fiber_mutex_unlock(&array->super_lock);
	return rc;
}

int raid_member_announce_journal(struct raid_member *member)
{
	struct raid_array *array = member->array;
	uint32_t features = array->features;
	int rc;

	fiber_mutex_lock(&array->super_lock);
	array->features |= MD_FEATURE_JOURNAL;
	member->state = RAID_MEMBER_JOURNAL;
	member->checkpoint = member->flushed = member->recovered = 0;
	fill_superblock(member);
	rc = array->metadata->write(member);
	if (rc) {
		array->features = features;
		member->state = RAID_MEMBER_STALE;
	}
	fiber_mutex_unlock(&array->super_lock);
	return rc;
}

int raid_member_catch_up(struct raid_member *member, const struct md_superblock *freshest)
{
	struct raid_array *array = member->array;
	struct md_superblock *sb = &member->sb;
	int rc = 0;

	fill_superblock(member);
	sb->events = freshest->events;
	sb->utime = freshest->utime;
	sb->resync_offset = freshest->resync_offset;
	sb->recovery_offset = member->state == RAID_MEMBER_REBUILDING ? member->checkpoint
			      : member->state == RAID_MEMBER_JOURNAL  ? member->flushed
								      : 0;
	sb->max_dev = freshest->max_dev;
	memcpy(sb->roles, freshest->roles, sizeof(sb->roles));
	if (array->intent)
		rc = raid_intent_write_super(array->intent, member);
	return rc ? rc : array->metadata->write(member);
}

static int update_once(struct raid_array *array)
{
	enum raid_turn turn;
	int rc;

	array->counters.superblock_updates++;
	rc = note_before_flush(array);
	if (!rc)
		rc = raid_members_flush(array);
	if (rc)
		return rc;
	prepare_update(array);
	for (turn = RAID_TURN_FIRST; !rc && turn <= RAID_TURN_SECOND; turn++)
		rc = raid_members_each(array, RAID_WRITABLE_STATES, write_member,
				       (void *)(uintptr_t)turn, "superblock not written");
	/* The room before it is free. */
	if (!rc && raid_array_has_journal(array))
		array->journal->recovered = array->journal->flushed;
	return rc;
}

/* After a loss once more. */
static int update(struct raid_array *array)
{
	bool lost = array->lost;
	int rc;

	array->lost = false;
	rc = update_once(array);
	if (!rc && lost)
		rc = update_once(array);
	array->lost = array->lost || (rc && lost);
	return rc;
}

int raid_super_settle(struct raid_array *array)
{
	uint64_t wanted = array->super_wanted;
	int rc = 0;

	if (array->super_done >= wanted)
		return 0;
	fiber_mutex_lock(&array->super_lock);
	/* Members that fail on the way raise super_wanted. */
	while (!rc && array->super_done < wanted) {
		uint64_t serving = array->super_wanted;

		rc = update(array);
		if (!rc)
			array->super_done = serving;
		wanted = MAX(wanted, array->super_wanted);
	}
	/* A rebuild that could not begin for it may now. */
	if (!rc && array->super_failed)
		raid_array_changed(array, RAID_CHANGED_WRITABLE);
	array->super_failed = rc != 0;
	fiber_mutex_unlock(&array->super_lock);
	return rc;
}

int raid_super_update(struct raid_array *array)
{
	array->super_wanted++;
	return raid_super_settle(array);
}

int raid_array_mark_dirty(struct raid_array *array)
{
	int rc = 0;

	if (array->dirty)
		return 0;
	/* What is not going to be written needs no word; and a journal that is away is not left behind by it. */
	if ((array->features & MD_FEATURE_JOURNAL) && !raid_array_has_journal(array))
		return -EIO;
	fiber_mutex_lock(&array->transition);
	if (!array->dirty) {
		array->clean = false;
		rc = raid_super_update(array);
		array->dirty = !rc;
	}
	fiber_mutex_unlock(&array->transition);
	return rc;
}

static int empty_log(struct raid_member *member, void *unused)
{
	(void)unused;
	return member->array->level->prepare(member);
}

/*
 * Where a resync is due from the start on superblocks say 0, which of an array with something in its partial parity logs means, for md too, that they know all and
 * that none is due: then they are to be empty. While it is dirty resync_offset() sees to that.
 */
static int empty_logs(struct raid_array *array)
{
	if (array->resync_checkpoint >= MD_PAGE_SECTORS ||
	    !(array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)))
		return 0;
	return raid_members_each(array, RAID_ACTIVE_STATES, empty_log, NULL,
				 "partial parity log not written");
}

int raid_array_mark_clean(struct raid_array *array)
{
	int rc = 0;

	fiber_mutex_lock(&array->transition);
	if (!array->writes && !array->clean) {
		array->dirty = false;
		rc = empty_logs(array);
		array->clean = !rc;
		if (!rc)
			rc = raid_super_update(array);
	}
	fiber_mutex_unlock(&array->transition);
	return rc;
}
