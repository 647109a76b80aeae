/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of each device that is to be a member: in sync, rebuilding, a spare, or left out; see assemble.h.
 */
#include "raid/assemble.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "raid/consistency.h"
#include "raid/raid5_geometry.h"
#include "raid/takeover.h"
#include "util/bytes.h"

/* Why a device is left out goes into its reason. */
static void leave_out(struct raid_member *member, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void leave_out(struct raid_member *member, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(member->reason, sizeof(member->reason), format, arguments);
	va_end(arguments);
	member->state = RAID_MEMBER_STALE;
	log_warning(member->array->log, "%s: %s is left out: %s", member->array->block.name,
		    member->block->name, member->reason);
}

static bool is_rebuilding(const struct md_superblock *sb)
{
	return sb->features & MD_FEATURE_RECOVERY_OFFSET;
}

/* Whether it was being filled by others than those that hold the data now: with what it has of theirs, no
 * bitmap of this array says what it lacks. */
static bool is_filled_by_others(const struct md_superblock *sb,
				const struct md_superblock *freshest)
{
	return is_rebuilding(sb) &&
	       (raid_superblock_excludes(sb, freshest) || sb->events > freshest->events + 1);
}

/* It replaces another by its own superblock; or the freshest says so, and was the last that could be written. */
static bool goes_beside(const struct raid_member *member, uint16_t role)
{
	const struct raid_member *other = member->array->places[role].member;
	const struct md_superblock *sb = &member->sb;

	return (sb->features & MD_FEATURE_REPLACEMENT) ||
	       (other && other->state == RAID_MEMBER_IN_SYNC &&
		md_superblock_role(sb, sb->dev_number) == MD_ROLE_SPARE);
}

static void put(struct raid_member *member, uint16_t role, enum raid_member_state state)
{
	if (goes_beside(member, role))
		raid_member_put_beside(member, role);
	else
		raid_member_place(member, role, state);
}

/* Nothing has been moved yet by the reshape that it is in. */
static bool is_untouched(const struct md_superblock *sb)
{
	uint32_t before = sb->raid_disks - (uint32_t)sb->delta_disks;

	if (!md_superblock_reshapes_backwards(sb))
		return !sb->reshape_position;
	return sb->reshape_position >=
	       MIN(raid_geometry_array_sectors(sb->level, sb->layout, sb->chunk_sectors, before,
					       sb->size),
		   raid_geometry_array_sectors(sb->new_level, sb->new_layout, sb->new_chunk_sectors,
					       sb->raid_disks, sb->size));
}

/* A member that the new shape has and the old one has not has nothing yet that it could lack. */
static bool is_new_in_shape(const struct raid_array *array, uint16_t role)
{
	return array->reshaping && !array->backwards && !array->reshape_position &&
	       role >= array->before.disks;
}

/* It is filled as data are moved: with the new shape up to the position, whose data were flushed before any superblock had it. What was in
 * flight there when all stopped is made to agree by the resync that follows. */
static bool is_filled_in_reshape(const struct raid_array *array, const struct md_superblock *sb)
{
	return array->reshaping && !array->backwards && is_rebuilding(sb) &&
	       (sb->features & MD_FEATURE_RESHAPE) && !(sb->features & MD_FEATURE_REPLACEMENT) &&
	       sb->events + 1 >= array->events &&
	       sb->recovery_offset >= sb->reshape_position / raid5_data_disks(&array->now);
}

static void take_place(struct raid_member *member, uint16_t role)
{
	struct raid_array *array = member->array;
	const struct md_superblock *sb = &member->sb;
	bool filled = false;

	if (is_new_in_shape(array, role)) {
		raid_member_place(member, role, RAID_MEMBER_IN_SYNC);
		return;
	}

	/* A spare that was given its place by an update that did not reach itself has nothing yet, and
	 * its own superblock does not say so. */
	if (md_superblock_role(sb, sb->dev_number) != role) {
		member->recovered = member->full_from = member->checkpoint = 0;
		put(member, role, RAID_MEMBER_REBUILDING);
		return;
	}
	if (!is_rebuilding(sb) && !(sb->features & MD_FEATURE_REPLACEMENT)) {
		raid_member_place(member, role, RAID_MEMBER_IN_SYNC);
		return;
	}
	if (is_filled_in_reshape(array, sb)) {
		member->recovered = member->full_from = member->checkpoint =
			array->reshape_position / raid5_data_disks(&array->now);
		put(member, role, RAID_MEMBER_REBUILDING);
		return;
	}
	filled = !is_rebuilding(sb);
	/* Updates that fail are tried again, and come to it only after those with data. */
	if (sb->events + 1 < array->events) {
		member->recovered = member->full_from = member->checkpoint = 0;
		put(member, role, RAID_MEMBER_REBUILDING);
		return;
	}
	member->recovered = filled ? array->now.member_sectors
				   : MIN(sb->recovery_offset, array->now.member_sectors);
	member->full_from = member->recovered;
	if ((sb->features & MD_FEATURE_RECOVERY_BITMAP) && (sb->features & MD_FEATURE_BITMAP))
		member->full_from = UINT64_MAX;
	/* Writes may have been in flight when all stopped: the part that was recovered may differ. With
	 * a bitmap only its dirty chunks do, else all is done again. */
	if (array->resync_position != MD_RESYNC_DONE) {
		if (!(sb->features & MD_FEATURE_BITMAP))
			member->full_from = 0;
		member->recovered = 0;
	}
	member->filled = filled && member->recovered;
	member->checkpoint = member->recovered;
	put(member, role, RAID_MEMBER_REBUILDING);
}

static bool bitmap_fits(const struct md_superblock *sb, const struct md_superblock *freshest)
{
	return !(freshest->features & MD_FEATURE_BITMAP) ||
	       ((sb->features & MD_FEATURE_BITMAP) && sb->bitmap_offset == freshest->bitmap_offset);
}

/* Whether the array's bitmap can be written to it. Without a place of its own that would be on top of its
 * superblock; and the kernel takes the freshest's offset for all, so that what it wrote of the bitmap
 * is there, over whatever this one has. */
static bool has_bitmap_place(struct raid_member *member, const struct md_superblock *freshest)
{
	const struct md_superblock *sb = &member->sb;

	if (!(freshest->features & MD_FEATURE_BITMAP))
		return true;
	if (!(sb->features & MD_FEATURE_BITMAP))
		leave_out(member, "its superblock has no bitmap, the array's has one");
	else if (sb->bitmap_offset != freshest->bitmap_offset)
		leave_out(member, "its bitmap is %d sectors from its superblock, the array's %d",
			  sb->bitmap_offset, freshest->bitmap_offset);
	else
		return true;
	return false;
}

/* Nor where a partial parity log would be without a place: one on which it was not told of, or a spare with too small a one. */
static bool has_log_place(struct raid_member *member, const struct md_superblock *freshest)
{
	const uint32_t ppl = MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS;
	const struct md_superblock *sb = &member->sb;

	if (!(freshest->features & ppl))
		return true;
	if (!(sb->features & ppl))
		leave_out(member, "its superblock has no partial parity log, the array's has one");
	else if (md_superblock_role(freshest, sb->dev_number) == MD_ROLE_SPARE &&
		 sb->ppl_size < RAID_PPL_LEAST_SECTORS)
		leave_out(member, "its partial parity log has %u sectors, expected %u or more",
			  sb->ppl_size, RAID_PPL_LEAST_SECTORS);
	else
		return true;
	return false;
}

/* One that missed an update may lack what was written since. */
static void judge_journal(struct raid_member *member, const struct md_superblock *freshest)
{
	struct raid_array *array = member->array;
	const struct md_superblock *sb = &member->sb;

	if (md_superblock_role(freshest, sb->dev_number) == MD_ROLE_FAULTY)
		leave_out(member, "it is marked faulty");
	else if (md_superblock_role(freshest, sb->dev_number) != MD_ROLE_JOURNAL ||
		 md_superblock_role(sb, sb->dev_number) != MD_ROLE_JOURNAL)
		leave_out(member, "it is the journal of the array by only one of its superblock "
				  "and the others'");
	else if (!(freshest->features & MD_FEATURE_JOURNAL))
		leave_out(member, "the array's other superblocks know of no journal");
	else if (sb->events + 1 < freshest->events)
		leave_out(member, "its events are %llu, the array's %llu",
			  (unsigned long long)sb->events, (unsigned long long)freshest->events);
	else if (array->journal)
		leave_out(member, "%s is the journal of the array, too",
			  array->journal->block->name);
	else {
		member->state = RAID_MEMBER_JOURNAL;
		member->role = RAID_SPARE;
		member->checkpoint = member->flushed = member->recovered = sb->recovery_offset;
		array->journal = member;
	}
}

/* The reshape that it is in, as far as all members are to say the same. */
static bool is_same_reshape(const struct md_superblock *a, const struct md_superblock *b)
{
	return a->new_level == b->new_level && a->new_layout == b->new_layout &&
	       a->new_chunk_sectors == b->new_chunk_sectors && a->delta_disks == b->delta_disks;
}

static struct raid_geometry shape_of(const struct md_superblock *sb)
{
	return (struct raid_geometry){ sb->level, sb->layout, sb->chunk_sectors, sb->raid_disks,
				       sb->size };
}

/* The level changed in one update, in which data stayed where they were. */
static bool missed_takeover(const struct md_superblock *sb, const struct md_superblock *freshest)
{
	const struct raid_geometry a = shape_of(sb), b = shape_of(freshest);

	return raid_takeover_same(&a, &b);
}

/* Whether what is before its data, and behind them, leaves room for them to begin where they are to. */
static bool has_room(const struct md_superblock *sb)
{
	int64_t data = (int64_t)sb->data_offset + sb->new_offset;
	int64_t super = (int64_t)sb->super_offset, end = super + MD_SUPERBLOCK_SECTORS;

	if (sb->new_offset >= 0)
		return sb->data_size >= sb->size + (uint64_t)sb->new_offset;
	if (!sb->minor_version || sb->minor_version == MD_VERSION_DM)
		return data >= 0;
	if (sb->bblog_size && sb->bblog_offset > 0 &&
	    super + sb->bblog_offset < (int64_t)sb->data_offset)
		end = MAX(end, super + sb->bblog_offset + (int64_t)sb->bblog_size);
	if ((sb->features & MD_FEATURE_BITMAP) && sb->bitmap_offset > 0 &&
	    super + sb->bitmap_offset < (int64_t)sb->data_offset)
		end = MAX(end, super + sb->bitmap_offset + 1);
	return data >= end;
}

/*
 * Whether its data are where the freshest superblock has them. A reshape begins and ends with one update, which a member may have missed:
 * then nothing has been moved yet, or all of it.
 */
static bool is_same_shape(struct raid_member *member, const struct md_superblock *freshest)
{
	struct md_superblock *sb = &member->sb;
	bool here = sb->features & MD_FEATURE_RESHAPE,
	     there = freshest->features & MD_FEATURE_RESHAPE;

	if (!here || !(sb->features & MD_FEATURE_NEW_OFFSET))
		sb->new_offset = 0;
	if (here && !there) {
		if (!has_room(sb))
			return false;
		sb->data_offset += (uint64_t)(int64_t)sb->new_offset;
		sb->data_size -= (uint64_t)(int64_t)sb->new_offset;
		sb->new_offset = 0;
		/* What was filled on the way has all by then. */
		if (sb->recovery_offset >= round_down(sb->size, MAX(sb->new_chunk_sectors, 1u)))
			sb->features &= ~MD_FEATURE_RECOVERY_OFFSET;
		return sb->new_level == freshest->level && sb->new_layout == freshest->layout &&
		       sb->new_chunk_sectors == freshest->chunk_sectors;
	}
	if (there && !here && !is_untouched(freshest))
		return false;
	if (there && !here && (freshest->features & MD_FEATURE_NEW_OFFSET))
		sb->new_offset = freshest->new_offset;
	if (!here && !there && sb->level != freshest->level) {
		/* Level 0 goes by what each has. */
		if (freshest->level == RAID_LEVEL_0)
			sb->data_size = MIN(sb->data_size, freshest->data_size);
		return missed_takeover(sb, freshest);
	}
	return sb->level == freshest->level && sb->layout == freshest->layout &&
	       sb->chunk_sectors == freshest->chunk_sectors &&
	       (!here || is_same_reshape(sb, freshest));
}

/* Who is being filled, as the array is reshaped, goes on only upwards, and at levels with parity. Who is new lacks nothing yet, whatever the
 * first of the two updates that begin it says. */
static bool is_filled_too_late(const struct raid_array *array, const struct md_superblock *sb,
			       uint16_t role)
{
	if (!array->reshaping || is_new_in_shape(array, role))
		return false;
	return is_rebuilding(sb) ? array->backwards || array->now.level == RAID_LEVEL_10
				 : array->now.level == RAID_LEVEL_10 &&
					   (sb->features & MD_FEATURE_REPLACEMENT);
}

/* What kind of member it is, by the freshest superblock. */
static void judge(struct raid_member *member, uint64_t least_bytes,
		  const struct md_superblock *freshest)
{
	struct raid_array *array = member->array;
	const struct md_superblock *sb = &member->sb;
	uint16_t role = md_superblock_role(freshest, sb->dev_number);
	uint16_t own = md_superblock_role(sb, sb->dev_number);
	char version[8];

	raid_adopt_consistency(member, freshest);
	member->bitmap_fits = bitmap_fits(sb, freshest);
	member->marked_faulty = role == MD_ROLE_FAULTY;
	member->removed = role == MD_ROLE_SPARE && own < MD_ROLE_MAX;
	if (least_bytes)
		leave_out(member, RAID_TOO_SHORT, (unsigned long long)member->block->size,
			  (unsigned long long)least_bytes);
	else if (!is_same_shape(member, freshest) || sb->minor_version != freshest->minor_version)
		leave_out(member, "its superblock describes another array (%s, version %s)",
			  sb->level == freshest->level ? "same level" : "another level",
			  md_superblock_version(sb->minor_version, version));
	else if (role == MD_ROLE_JOURNAL || own == MD_ROLE_JOURNAL)
		judge_journal(member, freshest);
	else if (sb->data_size < array->now.member_sectors)
		leave_out(member, "it has %llu sectors for data, the array needs %llu",
			  (unsigned long long)sb->data_size,
			  (unsigned long long)array->now.member_sectors);
	else if ((sb->features & MD_FEATURE_REPLACEMENT) && raid_level_maps(array->level))
		leave_out(member, "it replaces a member at a level that keeps its data once");
	else if (!has_room(sb))
		leave_out(member, "its data are moved over its superblock, log or bitmap, or its "
				  "end");
	else if (is_filled_too_late(array, sb, role) && role < MD_ROLE_MAX)
		leave_out(member, "it was being rebuilt as the array is reshaped");
	else if (raid_member_by_number(array, sb->dev_number) != member)
		leave_out(member, "another member has its device number, %u", sb->dev_number);
	else if (role == MD_ROLE_FAULTY)
		leave_out(member, "it is marked faulty");
	else if (role == MD_ROLE_SPARE && own < MD_ROLE_MAX)
		/* It may hold what the other does not: two halves that ran apart. Never overwritten
		 * unasked. */
		leave_out(member, "the array went on without it (place %u)", own);
	else if (own < MD_ROLE_MAX && sb->events + 1 < freshest->events &&
		 !(own == role && is_rebuilding(sb)))
		leave_out(member, "its events are %llu, the array's %llu",
			  (unsigned long long)sb->events, (unsigned long long)freshest->events);
	else if (is_filled_by_others(sb, freshest))
		leave_out(member,
			  "it was being rebuilt from members that ran apart from this array");
	else if (!has_bitmap_place(member, freshest) || !has_log_place(member, freshest))
		return;
	else if (role == MD_ROLE_SPARE)
		member->state = RAID_MEMBER_SPARE;
	else if (role >= raid_array_places(array))
		leave_out(member, "its role is %u, the array has %u places", role,
			  raid_array_places(array));
	else if (goes_beside(member, role) && array->places[role].replacement)
		leave_out(member, "%s replaces the member of place %u, too",
			  array->places[role].replacement->block->name, role);
	else if (!goes_beside(member, role) && array->places[role].member)
		leave_out(member, "place %u is taken by %s", role,
			  array->places[role].member->block->name);
	else
		take_place(member, role);
}

/* Whose member is not here, or is out, has the place for itself, with as much as it has. */
static void settle_replacements(struct raid_array *array)
{
	for (uint32_t i = 0; i < array->now.disks; i++) {
		struct raid_place *place = &array->places[i];
		struct raid_member *replacement = place->replacement;

		if (!replacement || (place->member && place->member->state == RAID_MEMBER_IN_SYNC))
			continue;
		/* Two halves of one place; mdadm makes none. */
		if (place->member) {
			leave_out(replacement, "the member that it replaces has not all data");
			place->replacement = NULL;
			replacement->replaces = false;
			array->replacements--;
			continue;
		}
		place->replacement = NULL;
		array->replacements--;
		replacement->replaces = false;
		place->member = replacement;
		/* As any other that had all data when it was last written. */
		if (!is_rebuilding(&replacement->sb) &&
		    md_superblock_role(&replacement->sb, replacement->sb.dev_number) == i)
			replacement->state = RAID_MEMBER_IN_SYNC;
	}
}

/* The last one whose place is empty by the freshest superblock, and that says otherwise. */
static struct raid_member *latest_removed(const struct raid_array *array)
{
	struct raid_member *latest = NULL;

	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_STALE && member->removed &&
		    (!latest || member->sb.events > latest->sb.events))
			latest = member;
	}
	return latest;
}

static bool is_known_faulty(const struct raid_array *array, uint32_t number)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->marked_faulty && member->sb.dev_number == number)
			return true;
	}
	return false;
}

/* md's superblocks 0.90 give a faulty device that had a place another number, which it does not know: as many as there are were failed and not
 * removed yet. */
static void find_faulty_90(const struct raid_array *array, const struct md_superblock *view)
{
	for (uint32_t i = view->raid_disks; i < view->max_dev; i++) {
		struct raid_member *member =
			view->roles[i] == MD_ROLE_FAULTY && !is_known_faulty(array, i)
				? latest_removed(array)
				: NULL;

		if (!member)
			continue;
		member->marked_faulty = true;
		member->removed = false;
	}
}

/* The freshest, then who has the place that it has by its own word, then who was given one. Numbers of version 0.90 are given to others by any
 * update: of each kind those first that are up to date. */
static unsigned turn_of(const struct raid_candidate *candidate,
			const struct raid_candidate *freshest, const struct md_superblock *view)
{
	const struct md_superblock *sb = &candidate->sb;
	bool given =
		md_superblock_role(sb, sb->dev_number) != md_superblock_role(view, sb->dev_number);

	if (candidate == freshest)
		return 0;
	return (given ? 3 : 1) +
	       (sb->minor_version == MD_VERSION_90 && sb->events < freshest->sb.events);
}

int raid_assemble_members(struct raid_array *array, const struct raid_candidate *candidates,
			  unsigned count, const struct raid_candidate *freshest,
			  const struct md_superblock *view, struct error *error)
{
	for (unsigned pass = 0; pass < 5; pass++) {
		for (unsigned i = 0; i < count; i++) {
			struct raid_member *member;
			int rc;

			if (pass != turn_of(&candidates[i], freshest, view))
				continue;
			member = raid_member_new(array, candidates[i].block, candidates[i].meta);
			if (!member)
				return error_set(error, -ENOMEM, "out of memory");
			member->sb = candidates[i].sb;
			member->own_number = member->sb.dev_number;
			judge(member, candidates[i].least_bytes, view);
			rc = member->state == RAID_MEMBER_STALE
				     ? 0
				     : raid_member_load_badblocks(member, error);
			if (rc)
				return rc;
		}
	}
	settle_replacements(array);
	if (view->minor_version == MD_VERSION_90)
		find_faulty_90(array, view);
	return 0;
}
