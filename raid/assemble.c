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

/* A member is one device. Two that carry its superblock may differ in all the rest, and neither is known to be
 * the right one: the order of a list must not decide. mdadm refuses them too. */
static bool is_copy(const struct md_superblock *one, const struct md_superblock *other)
{
	return !memcmp(one->set_uuid, other->set_uuid, sizeof(one->set_uuid)) &&
	       !memcmp(one->device_uuid, other->device_uuid, sizeof(one->device_uuid)) &&
	       !bytes_all_zero(one->device_uuid, sizeof(one->device_uuid));
}

static int say_copy(const struct raid_candidate *one, const struct raid_candidate *other,
		    struct error *error)
{
	char uuid[RAID_UUID_TEXT];

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

static int check_same_array(const struct raid_candidate *candidates, unsigned count,
			    const struct raid_candidate *freshest, struct error *error)
{
	char found[RAID_UUID_TEXT], expected[RAID_UUID_TEXT];

	for (unsigned i = 0; i < count; i++) {
		const struct raid_candidate *candidate = &candidates[i];

		if (memcmp(candidate->sb.set_uuid, freshest->sb.set_uuid, 16) != 0)
			return error_set(
				error, -EINVAL,
				"%s belongs to array %s (%s), expected that of %s, %s (%s)",
				candidate->block->name,
				raid_uuid_format(candidate->sb.set_uuid, found),
				md_superblock_short_name(&candidate->sb), freshest->block->name,
				raid_uuid_format(freshest->sb.set_uuid, expected),
				md_superblock_short_name(&freshest->sb));
	}
	return 0;
}

static int unsupported(const struct md_superblock *sb, const char *what, struct error *error)
{
	error_set(error, -EOPNOTSUPP, "md/%s: %s; it can be examined, not assembled",
		  md_superblock_short_name(sb), what);
	return -EOPNOTSUPP;
}

static bool is_moved_level(int level)
{
	return (level >= RAID_LEVEL_4 && level <= RAID_LEVEL_6) || level == RAID_LEVEL_10;
}

/* Why a reshape cannot be carried on; NULL: it can. */
static const char *why_not_reshaped(const struct md_superblock *sb)
{
	const char *what = NULL;

	if (!is_moved_level(sb->level) || !is_moved_level(sb->new_level))
		what = "it is being reshaped, at a level that is neither 4, 5, 6 nor 10";
	else if (sb->level != sb->new_level &&
		 (sb->level >= RAID_LEVEL_6 || sb->new_level >= RAID_LEVEL_6))
		what = "it is being reshaped to another level";
	else if (sb->delta_disks < -(int32_t)(MD_MAX_DEVICES - MIN(sb->raid_disks, MD_MAX_DEVICES)))
		what = "the reshape that it is in has too many members to begin with";
	else if (sb->delta_disks >= (int32_t)MIN(sb->raid_disks, (uint32_t)INT32_MAX))
		what = "the reshape that it is in has no members to begin with";
	else if (sb->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL))
		what = "it is being reshaped, and has a log";
	return what;
}

/* As the superblock's own check of one that is not reshaped. */
static int check_shapes(const struct md_superblock *sb, struct error *error)
{
	int rc = raid_geometry_check(sb->new_level, sb->new_layout, sb->new_chunk_sectors,
				     sb->raid_disks, error);

	if (rc)
		return error_prefix(error, "md/%s: its new shape", md_superblock_short_name(sb)),
		       rc;
	rc = raid_geometry_check(sb->level, sb->layout, sb->chunk_sectors,
				 sb->raid_disks - (uint32_t)sb->delta_disks, error);
	if (rc)
		error_prefix(error, "md/%s: its old shape", md_superblock_short_name(sb));
	return rc;
}

static int check_supported(const struct md_superblock *sb, struct error *error)
{
	char name[16], text[64];
	const char *what = NULL;

	if (sb->features & MD_FEATURE_RESHAPE)
		what = why_not_reshaped(sb);
	else if (sb->features & MD_FEATURE_NEW_OFFSET)
		what = "its data have an offset to come, but it is not being reshaped";
	if (what)
		return unsupported(sb, what, error);
	if (sb->features & MD_FEATURE_RESHAPE) {
		int rc = check_shapes(sb, error);

		if (rc)
			return rc;
	}
	if ((sb->features & MD_FEATURE_JOURNAL) &&
	    (sb->level < RAID_LEVEL_4 || sb->level > RAID_LEVEL_6 ||
	     (sb->features & (MD_FEATURE_BITMAP | MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS))))
		return unsupported(
			sb,
			"it has a journal device, expected level 4, 5 or 6 without bitmap "
			"or partial parity log",
			error);
	if (sb->features & MD_FEATURE_CLUSTERED)
		return unsupported(sb, "it is clustered", error);
	if (!raid_level_ops_find(sb->level)) {
		snprintf(text, sizeof(text),
			 "its level is %s, expected linear, 0, 1, 4, 5, 6 or 10",
			 raid_level_name(sb->level, name));
		return unsupported(sb, text, error);
	}
	return 0;
}

/* ---- Whether it may start ---- */

/* "none of the devices given is in sync, expected one", or which places are empty. */
static void say_no_data(const struct raid_array *array, struct error *error)
{
	unsigned working = raid_array_working(array);
	uint32_t first = 0;

	while (first + 1 < array->now.disks && array->places[first].member &&
	       array->places[first].member->state == RAID_MEMBER_IN_SYNC)
		first++;
	if (!working)
		error_set(error, -ENODEV, "%s: none of the devices given is in sync, expected one",
			  array->block.name);
	else
		error_set(error, -ENODEV,
			  "%s: %u of its %u members are here and in sync, which do not have all "
			  "data; place %u is the first without",
			  array->block.name, working, array->now.disks, first);
}

static int no_data(struct raid_array *array, const struct raid_candidate *candidates,
		   unsigned count, const struct raid_candidate *newest, struct error *error)
{
	const struct raid_candidate *best = raid_find_freshest(candidates, count, true, &newest);
	char when[RAID_TIME_TEXT], text[sizeof(error->text)];
	struct raid_member *oldest;

	say_no_data(array, error);
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (!member->reason[0] || !error)
			continue;
		snprintf(text, sizeof(text), "%s", error->text);
		error_set(error, -ENODEV, "%s; %s: %s", text, member->block->name, member->reason);
		break;
	}
	error_advise(error, "give its other members too");
	if (raid_array_working(array) && raid_assemble_stale(array, false, &oldest)) {
		error_advise(error,
			     "give its other members too; if they are lost, `tenon raid assemble "
			     "--force` takes %s as it is, last written %s at event %llu: what "
			     "was written to its place later is lost",
			     oldest->block->name, raid_time_format(oldest->sb.utime, when),
			     (unsigned long long)oldest->sb.events);
		return -ENODEV;
	}
	if (raid_array_working(array) || !raid_candidate_has_data(best) || best == newest)
		return -ENODEV;
	raid_time_format(best->sb.utime, when);
	error_set(error, -ENODEV,
		  "%s: none of the devices given is in sync: %s, last written %s at event %llu, is "
		  "no "
		  "part of the array any more by the superblock of %s (event %llu)",
		  array->block.name, best->block->name, when, (unsigned long long)best->sb.events,
		  newest->block->name, (unsigned long long)newest->sb.events);
	error_advise(error,
		     "give its other members too; if they are lost, `tenon raid assemble --force` "
		     "goes on with %s, and what was written after %s is lost",
		     best->block->name, when);
	return -ENODEV;
}

/* By force: what is there as it is, of the places that the array cannot do without. */
static int take_stale(struct raid_array *array, struct error *error)
{
	struct raid_member *oldest;
	int rc = 0;

	if (raid_array_survives(array) || !raid_assemble_stale(array, true, &oldest))
		return 0;
	for (uint32_t i = 0; !rc && i < array->now.disks; i++) {
		struct raid_member *member = array->places[i].member;
		char when[RAID_TIME_TEXT];

		if (!member || !member->reason[0])
			continue;
		log_warning(array->log,
			    "%s: %s is taken as it is, last written %s at event %llu; what was "
			    "written to its place later is lost",
			    array->block.name, member->block->name,
			    raid_time_format(member->sb.utime, when),
			    (unsigned long long)member->sb.events);
		member->reason[0] = '\0';
		rc = raid_member_load_badblocks(member, error);
	}
	return rc;
}

/* What became of the device that has this place by the freshest superblock, as far as it was given. */
static const char *reason_of(const struct raid_array *array, uint32_t number, const char **name)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_STALE && member->sb.dev_number == number) {
			*name = member->block->name;
			return member->reason;
		}
	}
	return NULL;
}

/* Whether the device that has the place by the freshest superblock is missed there. Of two, one of which replaces
 * the other, it is the one with the data. */
static bool is_missed(struct raid_array *array, uint32_t number, uint32_t place)
{
	const struct raid_member *member = array->places[place].member;

	if (!member)
		return true;
	return member->state != RAID_MEMBER_IN_SYNC && member->sb.dev_number != number &&
	       (member->sb.features & MD_FEATURE_REPLACEMENT);
}

/* Whoever is missing must not come back one event behind. */
static bool is_lost(struct raid_array *array, uint32_t number)
{
	const struct raid_member *member = raid_member_by_number(array, number);

	return !member || !raid_member_active(member);
}

/* Places that the freshest superblock has filled, and that are not. */
static int check_complete(struct raid_array *array, const struct md_superblock *freshest,
			  bool refuse_degraded, struct error *error)
{
	unsigned filled = 0, missing = 0;
	uint32_t first = 0;

	for (uint32_t i = 0; i < MIN(freshest->max_dev, MD_MAX_DEVICES); i++) {
		if (freshest->roles[i] >= raid_array_places(array))
			continue;
		filled++;
		array->lost = array->lost || is_lost(array, i);
		if (!is_missed(array, i, freshest->roles[i]))
			continue;
		first = missing ? first : i;
		missing++;
	}
	array->missing = missing;
	if (!missing)
		return 0;
	if (refuse_degraded) {
		const char *name = "", *why = reason_of(array, first, &name);

		error_set(error, -ENODEV,
			  "%s: %u of the %u members that it had when it was last written are here; "
			  "that of place %u %s%s%s%s",
			  array->block.name, filled - missing, filled, freshest->roles[first],
			  why ? "cannot be used: " : "is not", name, why ? ": " : "",
			  why ? why : "");
		error_advise(error,
			     "make it available; or insist with --degraded: it then misses what is "
			     "written, and must be added again");
		return -ENODEV;
	}
	log_warning(array->log, "%s: starts with %u of %u members", array->block.name,
		    filled - missing, filled);
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
		rc = take_stale(array, error);
	if (!rc && !raid_array_survives(array))
		rc = no_data(array, candidates, count, newest, error);
	if (!rc)
		rc = check_complete(array, view, options->refuse_degraded, error);
	if (!rc && !options->read_only)
		rc = check_writable(array, error);
	return rc;
}

/* What the array's log says. */
static int carry_out_log(struct raid_array *array, const struct raid_assemble_options *options,
			 bool *replayed, struct error *error)
{
	bool ppl = array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);

	*replayed = array->journal || (ppl && array->resync_position != MD_RESYNC_DONE);
	if (!array->level->replay || !(ppl || array->journal))
		return 0;
	return array->level->replay(array, options->read_only, error);
}

/* Why the journal's device cannot be used, as far as one was given. */
static const struct raid_member *stale_journal(const struct raid_array *array)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (md_superblock_role(&member->sb, member->sb.dev_number) == MD_ROLE_JOURNAL)
			return member;
	}
	return NULL;
}

/* What was flushed last may be in the journal only. */
static int check_journal(struct raid_array *array, const struct raid_assemble_options *options,
			 struct error *error)
{
	const struct raid_member *stale = stale_journal(array);

	if (!(array->features & MD_FEATURE_JOURNAL) || array->journal)
		return 0;
	if (options->read_only) {
		log_warning(array->log,
			    "%s: its journal's device is missing: what is read may be older than "
			    "what was "
			    "written last",
			    array->block.name);
		return 0;
	}
	if (options->journal_comes) {
		log_warning(array->log,
			    "%s: its journal's device is missing: what was there and not on the "
			    "members yet is lost, and parity is made anew",
			    array->block.name);
		array->resync_position = array->resync_checkpoint = 0;
		return 0;
	}
	if (options->force) {
		log_warning(array->log,
			    "%s: goes on without its journal by force: what was there and not on "
			    "the members yet is "
			    "lost, and parity is made anew",
			    array->block.name);
		array->features &= ~MD_FEATURE_JOURNAL;
		array->resync_position = array->resync_checkpoint = 0;
		return 0;
	}
	error_set(error, -ENODEV,
		  "%s: the device of its journal %s%s%s%s: what was written last may be there only",
		  array->block.name, stale ? "cannot be used: " : "is missing",
		  stale ? stale->block->name : "", stale ? ": " : "", stale ? stale->reason : "");
	error_advise(
		error,
		"give it too; if it is lost, what was in it is lost: `tenon raid add %s DEVICE "
		"--journal` gives it another, and `tenon raid assemble %s --force` goes on "
		"without one",
		array->name, array->name);
	return -ENODEV;
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
	rc = check_journal(array, options, error);
	if (!rc)
		rc = raid_array_start_level(array, error);
	if (rc)
		return rc;
	rc = carry_out_log(array, options, &replayed, error);
	if (!rc)
		rc = raid_backup_load(array, options->backups, options->backup_count,
				      options->read_only, error);
	if (rc)
		return rc;
	if (!array->level->agrees || array->level->agrees(array))
		array->resync_position = array->resync_checkpoint = MD_RESYNC_DONE;
	/* Who only looks does without one that is of no use. */
	array->bitmap_chunk = options->bitmap_chunk;
	if (freshest->sb.features & MD_FEATURE_BITMAP)
		rc = options->new_bitmap ? raid_intent_begin_anew(array, error)
					 : raid_intent_load(array, error);
	if (rc && (rc == -ENOMEM || !options->read_only))
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
	int rc = check_same_array(candidates, count, freshest, error);

	if (!rc)
		rc = raid_check_apart(candidates, count, error);
	if (!rc)
		rc = check_supported(&freshest->sb, error);
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
