/* SPDX-License-Identifier: BSD-2-Clause */
/* By force: members that were left out are taken as they are, where the array cannot do without them; see assemble.h. */
#include "raid/assemble.h"

#include <stdlib.h>

#include "raid/consistency.h"

#define FEATURES_PPL (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)

/* In a reshape, as with mdadm, only where it is as far: else its data are not where the array looks for them. */
static bool is_as_far(const struct raid_array *array, const struct md_superblock *sb)
{
	if (!array->reshaping || !(sb->features & MD_FEATURE_RESHAPE))
		return !array->reshaping && !(sb->features & MD_FEATURE_RESHAPE);
	return sb->reshape_position == array->reshape_position &&
	       sb->new_level == array->now.level && sb->new_layout == array->now.layout &&
	       sb->new_chunk_sectors == array->now.chunk_sectors &&
	       sb->raid_disks == array->now.disks &&
	       sb->raid_disks - (uint32_t)sb->delta_disks == array->before.disks;
}

/* It left before the array was given its partial parity log. */
static bool lacks_log(const struct raid_member *member)
{
	return (member->array->features & FEATURES_PPL) && !(member->sb.features & FEATURES_PPL);
}

/* Where a bitmap was that the array had then, too: it is none of the array's any more. */
static int place_log(const struct raid_member *member, struct md_superblock *sb,
		     struct error *error)
{
	sb->features &= ~MD_FEATURE_BITMAP;
	return raid_ppl_place(sb, member->block->size >> MD_SECTOR_SHIFT, error);
}

static bool has_room_for_log(const struct raid_member *member)
{
	CLEANUP_FREE struct md_superblock *sb = malloc(sizeof(*sb));

	if (!sb)
		return false;
	*sb = member->sb;
	return !place_log(member, sb, NULL);
}

/* Whether it could stand in for the place that it says it has. */
static bool is_usable(const struct raid_member *member)
{
	const struct raid_array *array = member->array;
	const struct raid_geometry *old = array->reshaping ? &array->before : &array->now;
	const struct md_superblock *sb = &member->sb;
	uint16_t own = md_superblock_role(sb, sb->dev_number);

	return member->state == RAID_MEMBER_STALE && member->bitmap_fits &&
	       own < raid_array_places(array) && !array->places[own].member &&
	       is_as_far(array, sb) && sb->level == old->level && sb->layout == old->layout &&
	       sb->chunk_sectors == old->chunk_sectors &&
	       sb->minor_version == array->minor_version &&
	       sb->data_size >= array->now.member_sectors &&
	       md_superblock_least_bytes(sb) <= member->block->size &&
	       !(sb->features & MD_FEATURE_RECOVERY_OFFSET) &&
	       !(sb->features & MD_FEATURE_REPLACEMENT) &&
	       (!lacks_log(member) || has_room_for_log(member)) &&
	       !raid_member_by_number((struct raid_array *)array, sb->dev_number);
}

static struct raid_member *latest_usable(const struct raid_array *array)
{
	struct raid_member *best = NULL;

	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (is_usable(member) && (!best || member->sb.events > best->sb.events))
			best = member;
	}
	return best;
}

static void put_back(struct raid_member *member)
{
	member->array->places[member->role].member = NULL;
	member->state = RAID_MEMBER_STALE;
}

bool raid_assemble_stale(struct raid_array *array, bool take, struct raid_member **oldest)
{
	CLEANUP_FREE struct raid_member **taken =
		calloc(raid_array_places(array), sizeof(struct raid_member *));
	struct raid_member *member;
	unsigned count = 0;
	bool survives;

	*oldest = NULL;
	if (!taken)
		return false;
	while (!raid_array_survives(array) && (member = latest_usable(array))) {
		raid_member_place(member, md_superblock_role(&member->sb, member->sb.dev_number),
				  RAID_MEMBER_IN_SYNC);
		taken[count++] = member;
	}
	survives = raid_array_survives(array);
	/* The oldest first: whose data another has, better ones, stays out. */
	while (count-- > 0) {
		bool needed = !raid_array_can_lose(array, taken[count]);

		if (needed && !*oldest)
			*oldest = taken[count];
		if (!needed || !take || !survives)
			put_back(taken[count]);
	}
	return survives;
}

/* By force: what is there as it is, of the places that the array cannot do without. */
int raid_assemble_take_stale(struct raid_array *array, struct error *error)
{
	struct raid_member *oldest;
	int rc = 0;

	if (raid_array_survives(array) || !raid_assemble_stale(array, true, &oldest))
		return 0;
	for (uint32_t i = 0; !rc && i < raid_array_places(array); i++) {
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
		member->log_placed = lacks_log(member);
		if (member->log_placed)
			rc = place_log(member, &member->sb, error);
		rc = rc ? rc : raid_member_load_badblocks(member, error);
	}
	return rc;
}
