/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a set of blocks to a running array.
 *
 * freshest.h says which superblock is believed. What that one says of each device number is what counts: a
 * member one event behind is taken, since an update may have been cut off between members, but its
 * place is the one that the freshest gives it. Whoever is further behind is stale.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/assemble.h"
#include "raid/grow.h"
#include "raid/intent.h"
#include "raid/members.h"
#include "raid/rebuild.h"
#include "raid/reshape_backup.h"
#include "util/bytes.h"

static bool has_place(const struct md_superblock *sb)
{
	return md_superblock_role(sb, sb->dev_number) < MD_ROLE_MAX;
}

/* A member is one device. Two that carry its superblock may differ in all the rest, and neither is known to be
 * the right one: the order of a list must not decide. mdadm refuses them too. */
static bool is_copy(const struct md_superblock *one, const struct md_superblock *other)
{
	if (memcmp(one->set_uuid, other->set_uuid, sizeof(one->set_uuid)))
		return false;
	/* Version 0.90 has only numbers; that of one that failed may have gone to another, which has been written more often since, and that of a
	 * spare by any update. */
	if (one->minor_version == MD_VERSION_90)
		return other->minor_version == MD_VERSION_90 &&
		       one->dev_number == other->dev_number &&
		       MAX(one->events, other->events) - MIN(one->events, other->events) <=
			       (has_place(one) && has_place(other));
	return !memcmp(one->device_uuid, other->device_uuid, sizeof(one->device_uuid)) &&
	       !bytes_all_zero(one->device_uuid, sizeof(one->device_uuid));
}

static int say_copy(const struct raid_candidate *one, const struct raid_candidate *other,
		    struct error *error)
{
	char uuid[RAID_UUID_TEXT];

	if (one->sb.minor_version == MD_VERSION_90)
		error_set(error, -EEXIST, "%s and %s are copies of one member (number %u)",
			  other->block->name, one->block->name, one->sb.dev_number);
	else
		error_set(error, -EEXIST, "%s and %s are copies of one member (device UUID %s)",
			  other->block->name, one->block->name,
			  raid_uuid_format(one->sb.device_uuid, uuid));
	error_advise(error, "leave out the one that is not up to date");
	return -EEXIST;
}

static int load(struct raid_candidate *candidates, struct block *const *blocks, unsigned count,
		struct error *error)
{
	for (unsigned i = 0; i < count; i++) {
		struct raid_candidate *candidate = &candidates[i];
		bool found;
		int rc;

		candidate->block = blocks[i];
		rc = md_superblock_find(blocks[i], &candidate->sb, &found, error);
		if (rc == -ENXIO) {
			candidate->least_bytes = md_superblock_least_bytes(&candidate->sb);
			rc = 0;
		}
		if (rc == -ENOENT)
			return error_set(error, -EINVAL,
					 "%s: no md superblock, expected a member of an array",
					 blocks[i]->name);
		if (rc)
			return rc;
		md_superblock_trim(&candidate->sb);
		for (unsigned j = 0; j < i; j++) {
			if (candidates[j].block == blocks[i])
				return error_set(error, -EINVAL, "%s is given twice",
						 blocks[i]->name);
			if (is_copy(&candidate->sb, &candidates[j].sb))
				return say_copy(candidate, &candidates[j], error);
		}
	}
	return 0;
}

static int check_writable(const struct raid_array *array, struct error *error)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state != RAID_MEMBER_STALE && member->block->read_only)
			return error_set(error, -EROFS,
					 "%s is opened read-only, and %s is to be "
					 "written to",
					 member->block->name, array->block.name);
	}
	return 0;
}

/* Without this a super would soon call bits current that say less than ours. And what a spare's superblock
 * announces must be there. */
static void rewrite_bitmaps(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);
		bool wanted = array->intent && (member->sb.features & MD_FEATURE_BITMAP);
		int rc;

		if (raid_member_active(member))
			wanted = wanted && array->intent->rewrite;
		else
			wanted = wanted && member->state == RAID_MEMBER_SPARE &&
				 !raid_intent_is_on(member);
		rc = wanted ? raid_intent_write_all(array->intent, member) : 0;
		if (rc)
			raid_member_fail(member, "bitmap not written: %s",
					 raid_member_trouble(member, rc));
	}
}

static void catch_up_one(struct raid_member *member, const struct md_superblock *freshest)
{
	int rc;

	if (member->sb.events >= freshest->events)
		return;
	rc = raid_member_catch_up(member, freshest);
	if (rc)
		raid_member_fail(member, "superblock not written: %s",
				 raid_member_trouble(member, rc));
}

static void catch_up(struct raid_array *array, const struct md_superblock *freshest)
{
	for (uint32_t i = 0; i < raid_array_places(array); i++) {
		struct raid_member *member = array->places[i].member;

		/* One that was taken by force is in the next update, and not before. */
		if (member && md_superblock_role(freshest, member->sb.dev_number) == member->role)
			catch_up_one(member, freshest);
	}
	if (raid_array_has_journal(array))
		catch_up_one(array->journal, freshest);
}

/* What the freshest says, without those that a newer superblock of one without data excludes. */
static void merge_views(struct md_superblock *view, const struct raid_candidate *freshest,
			const struct raid_candidate *newest, bool force)
{
	*view = freshest->sb;
	for (uint32_t i = 0; !force && i < MD_MAX_DEVICES; i++) {
		if (newest->sb.events > view->events &&
		    md_superblock_role(&newest->sb, i) >= MD_ROLE_MAX)
			view->roles[i] = md_superblock_role(&newest->sb, i);
	}
}

/* What is written from here on has more events than anything that was given, used or not. */
static void take_events(struct raid_array *array, const struct raid_candidate *candidates,
			unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		array->events = MAX(array->events, candidates[i].sb.events);
}

static int prepare(struct raid_array *array, const struct raid_candidate *candidates,
		   unsigned count, const struct raid_assemble_options *options, struct error *error)
{
	CLEANUP_FREE struct md_superblock *view = malloc(sizeof(*view));
	const struct raid_candidate *newest, *freshest;
	int rc;

	if (!view)
		return error_set(error, -ENOMEM, "out of memory");
	freshest = raid_find_freshest(candidates, count, options->force, &newest);
	merge_views(view, freshest, newest, options->force);
	rc = raid_assemble_members(array, candidates, count, freshest, view, error);
	if (!rc && options->force && raid_array_working(array))
		rc = raid_assemble_take_stale(array, error);
	if (!rc && !raid_array_survives(array))
		rc = raid_assemble_no_data(array, candidates, count, newest, error);
	if (!rc)
		rc = raid_assemble_complete(array, view, options->refuse_degraded, error);
	if (!rc && !options->read_only)
		rc = check_writable(array, error);
	return rc;
}

static bool has_dirty_ppl(const struct raid_array *array)
{
	return (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) &&
	       array->resync_position != MD_RESYNC_DONE;
}

/* Who only looks reads what is there once its log has been carried out: in memory. */
static int cover_members(struct raid_array *array, struct error *error)
{
	int rc = 0;

	if (!array->journal && !has_dirty_ppl(array))
		return 0;
	list_for_each(at, &array->members)
		rc = rc ? rc : raid_member_cover(list_entry(at, struct raid_member, node), error);
	return rc;
}

/* What the array's log says. */
static int carry_out_log(struct raid_array *array, const struct raid_assemble_options *options,
			 bool *replayed, struct error *error)
{
	bool ppl = array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);

	*replayed = array->journal || has_dirty_ppl(array);
	if (!array->level->replay || !(ppl || array->journal))
		return 0;
	return array->level->replay(array, options->read_only, error);
}

/*
 * Where only the bitmap knows what was being written, that may differ, and is known until it is made good. Superblocks go on saying that
 * all agree, as dm-raid's do: one with parity that says otherwise does not start any more when it lacks a member.
 */
static void take_from_bitmap(struct raid_array *array)
{
	array->intent->rewrite = true;
	if (!array->intent->set || array->intent->clean ||
	    (array->level->agrees && array->level->agrees(array)))
		return;
	array->resync_by_bitmap = array->resync_checkpoint == MD_RESYNC_DONE;
	array->resync_position = array->resync_checkpoint = 0;
}

/* So that nobody needs force again, nor takes another member for as good; nor a log that was carried out. */
static int say_what_was_done(struct raid_array *array, const struct raid_assemble_options *options,
			     struct error *error)
{
	int rc;

	array->lost = options->force;
	rc = raid_super_update(array);
	return rc ? error_set(error, rc, "%s: its superblocks cannot be written: %s",
			      array->block.name, error_name(rc))
		  : 0;
}

/* Who only looks does without one that is of no use. */
static int load_bitmap(struct raid_array *array, const struct md_superblock *freshest,
		       const struct raid_assemble_options *options, struct error *error)
{
	int rc = 0;

	array->bitmap_chunk = options->bitmap_chunk;
	if (freshest->features & MD_FEATURE_BITMAP)
		rc = options->new_bitmap
			     ? raid_intent_begin_anew(array, error)
			     : raid_intent_load(array, options->grown_in_sync != 0, error);
	return rc == -ENOMEM || rc == -EOPNOTSUPP || !options->read_only ? rc : 0;
}

static int bring_up(struct raid_array *array, const struct raid_candidate *candidates,
		    unsigned count, const struct raid_candidate *freshest,
		    const struct raid_assemble_options *options, struct error *error)
{
	int rc = prepare(array, candidates, count, options, error);
	bool replayed;

	if (rc)
		return rc;
	raid_grow_load(array, freshest->sb.next);
	array->forced = options->force;
	/* Nor is anything made good, or anybody failed, while a log is carried out in memory. */
	array->block.read_only = options->read_only;
	rc = raid_assemble_journal(array, options, error);
	if (!rc && options->read_only)
		rc = cover_members(array, error);
	if (!rc)
		rc = raid_array_start_level(array, error);
	if (rc)
		return rc;
	rc = carry_out_log(array, options, &replayed, error);
	if (!rc)
		rc = raid_backup_load(array, options, error);
	if (rc)
		return rc;
	if (!array->level->agrees || array->level->agrees(array))
		array->resync_position = array->resync_checkpoint = MD_RESYNC_DONE;
	rc = load_bitmap(array, &freshest->sb, options, error);
	if (!rc && array->backup && array->backup->is_new)
		rc = raid_backup_begin(array, array->reshape_position, error);
	if (rc)
		return rc;
	if (!array->metadata->says_dirty && array->intent)
		take_from_bitmap(array);
	/* Only one member's was read. After an unclean stop the others' may lack bits that it has, and an
	 * update writes only pages that change. */
	if (array->intent && freshest->sb.resync_offset != MD_RESYNC_DONE)
		array->intent->rewrite = true;
	if (!options->read_only) {
		rewrite_bitmaps(array);
		catch_up(array, &freshest->sb);
	}
	take_events(array, candidates, count);
	array->rebuild.disabled = options->no_resync;
	raid_rebuild_set_rate(array, options->rebuild_rate);
	array->rebuild.frozen = array->backup != NULL;
	raid_array_start(array, options->read_only);
	if (options->read_only)
		return 0;
	if (options->force || replayed)
		rc = say_what_was_done(array, options, error);
	if (!rc && array->backup)
		rc = array->level->restore(array, error);
	if (!rc && array->backup) {
		array->rebuild.frozen = false;
		raid_rebuild_kick(array);
	}
	if (rc) {
		raid_rebuild_stop(array);
		raid_daemon_stop(array);
	} else {
		raid_grow_resume(array);
	}
	return rc;
}

int raid_assemble_candidates(struct raid_array **out, const struct raid_candidate *candidates,
			     unsigned count, const struct raid_assemble_options *options,
			     struct error *error)
{
	const struct raid_candidate *newest,
		*freshest = raid_find_freshest(candidates, count, options->force, &newest);
	struct raid_array *array;
	int rc = raid_check_same_array(candidates, count, freshest, error);

	if (!rc)
		rc = raid_check_apart(candidates, count, error);
	if (!rc)
		rc = raid_check_supported(&freshest->sb, error);
	if (rc)
		return rc;
	array = raid_array_new(&freshest->sb, options->log, options->now);
	if (!array)
		return error_set(error, -ENOMEM, "out of memory");
	rc = bring_up(array, candidates, count, freshest, options, error);
	if (rc) {
		raid_array_destroy(array);
		return rc;
	}
	*out = array;
	return 0;
}

int raid_assemble(struct raid_array **out, struct block *const *blocks, unsigned count,
		  const struct raid_assemble_options *options, struct error *error)
{
	static const struct raid_assemble_options defaults;
	CLEANUP_FREE struct raid_candidate *candidates = NULL;
	int rc;

	if (!count)
		return error_set(error, -EINVAL, "no devices, expected the members of an array");
	candidates = calloc(count, sizeof(*candidates));
	if (!candidates)
		return error_set(error, -ENOMEM, "out of memory");
	rc = load(candidates, blocks, count, error);
	return rc ? rc
		  : raid_assemble_candidates(out, candidates, count, options ? options : &defaults,
					     error);
}
