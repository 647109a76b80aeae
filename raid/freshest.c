/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose word counts; see freshest.h. */
#include "raid/freshest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/level.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"

static uint16_t own_role(const struct md_superblock *sb)
{
	return md_superblock_role(sb, sb->dev_number);
}

bool raid_candidate_has_data(const struct raid_candidate *candidate)
{
	const struct md_superblock *sb = &candidate->sb;

	return !candidate->least_bytes && own_role(sb) < MD_ROLE_MAX &&
	       !(sb->features & MD_FEATURE_RECOVERY_OFFSET);
}

bool raid_superblock_excludes(const struct md_superblock *sb, const struct md_superblock *other)
{
	uint16_t role = md_superblock_role(sb, other->dev_number), own = own_role(other);

	/* Numbers are given anew, to others, that have other places. */
	return role >= MD_ROLE_MAX || (own < MD_ROLE_MAX && own != role);
}

/* Whether `a` is fresher than `b`; both with data, or both without. */
static bool fresher(const struct md_superblock *a, const struct md_superblock *b)
{
	if (a->events != b->events)
		return a->events > b->events;
	/* The other may have been cut off in the update that this one never saw. */
	return raid_superblock_excludes(a, b) && !raid_superblock_excludes(b, a);
}

/* Of those with data that `judge` does not exclude (NULL: of all); NULL where there is none. */
static const struct raid_candidate *freshest_with_data(const struct raid_candidate *candidates,
						       unsigned count,
						       const struct md_superblock *judge)
{
	const struct raid_candidate *best = NULL;

	for (unsigned i = 0; i < count; i++) {
		const struct raid_candidate *candidate = &candidates[i];

		if (!raid_candidate_has_data(candidate) ||
		    (judge && raid_superblock_excludes(judge, &candidate->sb)))
			continue;
		if (!best || fresher(&candidate->sb, &best->sb))
			best = candidate;
	}
	return best;
}

const struct raid_candidate *raid_find_freshest(const struct raid_candidate *candidates,
						unsigned count, bool force,
						const struct raid_candidate **newest)
{
	const struct raid_candidate *best = freshest_with_data(candidates, count, NULL);

	*newest = best ? best : &candidates[0];
	for (unsigned i = 0; i < count; i++) {
		/* What is left of a member that was cut short has a say, too. */
		if (candidates[i].sb.events > (*newest)->sb.events)
			*newest = &candidates[i];
	}
	if (best && !force && *newest != best)
		best = freshest_with_data(candidates, count, &(*newest)->sb);
	return best ? best : *newest;
}

/* ---- Halves that ran apart ---- */

static bool same_shape(const struct md_superblock *a, const struct md_superblock *b)
{
	return a->level == b->level && a->layout == b->layout &&
	       a->chunk_sectors == b->chunk_sectors &&
	       (a->level <= RAID_LEVEL_0 || a->size == b->size) &&
	       !((a->features ^ b->features) & MD_FEATURE_RESHAPE);
}

/* One update writes the same to all of them. */
static bool same_update(const struct md_superblock *a, const struct md_superblock *b)
{
	uint32_t numbers = MIN(MAX(a->max_dev, b->max_dev), MD_MAX_DEVICES);

	if (a->utime != b->utime || a->raid_disks != b->raid_disks || !same_shape(a, b))
		return false;
	for (uint32_t i = 0; i < numbers; i++) {
		if (md_superblock_role(a, i) != md_superblock_role(b, i))
			return false;
	}
	return true;
}

/* Numbers are given anew, but not those that were given when the array was made. */
static bool is_first_number(const struct md_superblock *a, const struct md_superblock *b,
			    uint32_t i)
{
	return i < MIN(a->raid_disks, b->raid_disks);
}

static bool is_same_device(const struct md_superblock *a, const struct md_superblock *b)
{
	return !memcmp(a->device_uuid, b->device_uuid, sizeof(a->device_uuid));
}

bool raid_superblock_includes(const struct md_superblock *sb, const struct md_superblock *other)
{
	uint16_t role = md_superblock_role(sb, other->dev_number), own = own_role(other);

	if (role >= MD_ROLE_MAX || own >= MD_ROLE_MAX)
		return false;
	return is_first_number(sb, other, other->dev_number) ||
	       (role == own && (sb->dev_number != other->dev_number || is_same_device(sb, other)));
}

/* All that were given. */
struct crowd {
	const struct raid_candidate *candidates;
	unsigned count;
};

/* Which device `sb` means by a number; NULL where that cannot be told. Who is in an update is at most one
 * behind it, and of two that got the number one after the other it is the earlier one. */
static const struct md_superblock *meant(const struct crowd *crowd, const struct md_superblock *sb,
					 uint32_t number)
{
	const struct md_superblock *best = NULL;

	if (sb->dev_number == number)
		return sb;
	for (unsigned i = 0; i < crowd->count; i++) {
		const struct md_superblock *other = &crowd->candidates[i].sb;

		if (other->dev_number == number && own_role(other) == sb->roles[number] &&
		    other->events + 1 >= sb->events && (!best || other->events < best->events))
			best = other;
	}
	return best;
}

/* Whether `sb` knows the array without `other`, perhaps with another device that has its number. */
static bool excludes(const struct crowd *crowd, const struct md_superblock *sb,
		     const struct md_superblock *other)
{
	const struct md_superblock *device;

	if (raid_superblock_excludes(sb, other))
		return true;
	device = meant(crowd, sb, other->dev_number);
	return device && !is_same_device(device, other);
}

/* Whether the one's last update and the other's had a member in common. It has one history, so both are
 * part of it, and the older of them was left behind. */
static bool have_common_member(const struct crowd *crowd, const struct md_superblock *a,
			       const struct md_superblock *b)
{
	for (uint32_t i = 0; i < MIN(MIN(a->max_dev, b->max_dev), MD_MAX_DEVICES); i++) {
		const struct md_superblock *in_a, *in_b;

		if (a->roles[i] >= MD_ROLE_MAX || b->roles[i] >= MD_ROLE_MAX)
			continue;
		if (is_first_number(a, b, i))
			return true;
		if (a->roles[i] != b->roles[i])
			continue;
		in_a = meant(crowd, a, i);
		in_b = meant(crowd, b, i);
		if (!in_a || !in_b || is_same_device(in_a, in_b))
			return true;
	}
	return false;
}

/* Which places `sb` has filled: how many, and whether `other` has one of them. */
static unsigned places_filled(const struct md_superblock *sb, const struct md_superblock *other,
			      bool *shared)
{
	struct raid_set others = { 0 };
	unsigned filled = 0;

	*shared = false;
	for (uint32_t i = 0; i < MIN(other->max_dev, MD_MAX_DEVICES); i++) {
		if (other->roles[i] < MD_MAX_DEVICES)
			raid_set_add(&others, other->roles[i]);
	}
	for (uint32_t i = 0; i < MIN(sb->max_dev, MD_MAX_DEVICES); i++) {
		if (sb->roles[i] >= MIN(sb->raid_disks, MD_MAX_DEVICES))
			continue;
		filled++;
		*shared |= raid_set_has(&others, sb->roles[i]);
	}
	return filled;
}

/* Whether one of its members is in it since it was made: only those have numbers below that of the places. */
static bool has_first_member(const struct md_superblock *sb)
{
	for (uint32_t i = 0; i < MIN(sb->raid_disks, MIN(sb->max_dev, MD_MAX_DEVICES)); i++) {
		if (sb->roles[i] < sb->raid_disks)
			return true;
	}
	return false;
}

/* Whether `other`, one with data and no more events, was written apart from the freshest. */
static bool ran_apart(const struct crowd *crowd, const struct md_superblock *freshest,
		      const struct md_superblock *other)
{
	bool excluded = excludes(crowd, other, freshest), shared;
	unsigned filled;

	/* One that was written without the freshest cannot have been with it later. */
	if (!excludes(crowd, freshest, other))
		return excluded ||
		       (other->events == freshest->events && !same_update(freshest, other));
	if (!excluded || have_common_member(crowd, freshest, other))
		return false;
	/* Who was there before it, and was left out by it, has its data from elsewhere. */
	if (has_first_member(freshest))
		return true;
	/* Of one that was alone all that came later was copied, and it would know of those. Where it was with
	 * others, one of them may have gone on, and who sits in its places now has come from there. */
	filled = places_filled(other, freshest, &shared);
	return filled < other->raid_disks && (filled == 1 || !shared);
}

/* Whether `other` is part of the freshest's history: over members that both knew, or that one knew which is
 * part of it. `known` is what is known so far; returns whether that grew. */
static bool trace(const struct crowd *crowd, bool *known)
{
	bool grew = false;

	for (unsigned i = 0; i < crowd->count; i++) {
		const struct md_superblock *other = &crowd->candidates[i].sb;

		for (unsigned k = 0; !known[i] && k < crowd->count; k++) {
			const struct md_superblock *later = &crowd->candidates[k].sb;

			known[i] = known[k] && later->events >= other->events &&
				   excludes(crowd, later, other) &&
				   have_common_member(crowd, later, other);
			grew = grew || known[i];
		}
	}
	return grew;
}

static int apart(const struct raid_candidate *a, const struct raid_candidate *b,
		 struct error *error)
{
	char times[2][RAID_TIME_TEXT];

	error_set(error, -ESTALE,
		  "md/%s: %s (events %llu, last written %s) and %s (events %llu, last written %s) "
		  "each ran without the other: they may both hold what the other does not",
		  md_superblock_short_name(&a->sb), a->block->name,
		  (unsigned long long)a->sb.events, raid_time_format(a->sb.utime, times[0]),
		  b->block->name, (unsigned long long)b->sb.events,
		  raid_time_format(b->sb.utime, times[1]));
	error_advise(error,
		     "choose one: leave the other out (--device), look at what it holds, and "
		     "once it is sure add the other to it with `tenon raid add --force`");
	return -ESTALE;
}

int raid_check_apart(const struct raid_candidate *candidates, unsigned count, struct error *error)
{
	const struct raid_candidate *freshest = freshest_with_data(candidates, count, NULL);
	const struct crowd crowd = { candidates, count };
	CLEANUP_FREE bool *known = calloc(count, sizeof(*known));

	if (!known)
		return error_set(error, -ENOMEM, "out of memory");
	if (freshest)
		known[freshest - candidates] = true;
	while (trace(&crowd, known))
		;
	for (unsigned i = 0; freshest && i < count; i++) {
		const struct raid_candidate *other = &candidates[i];

		if (!known[i] && raid_candidate_has_data(other) &&
		    ran_apart(&crowd, &freshest->sb, &other->sb))
			return apart(freshest, other, error);
	}
	return 0;
}
