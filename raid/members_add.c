/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adding members to an array that runs. A device that was a member before, and of whose data the bitmap knows what it
 * lacks, goes back to its place; any other becomes a spare. One that may hold acknowledged writes that the array
 * does not have is never overwritten unasked.
 */
#include "raid/members.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/freshest.h"
#include "raid/intent.h"
#include "raid/md_layout.h"
#include "raid/rebuild.h"
#include "util/bytes.h"
#include "util/size.h"

static int empty_place(const struct raid_array *array, uint16_t wanted)
{
	if (wanted < array->now.disks && !array->places[wanted].member)
		return wanted;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (!array->places[i].member)
			return (int)i;
	}
	return RAID_SPARE;
}

/* Where a member's data are of use: in its own place, but at RAID1 in any. */
static int place_again(const struct raid_array *array, uint16_t role)
{
	if (array->now.level == RAID_LEVEL_1)
		return empty_place(array, role);
	return role < array->now.disks && !array->places[role].member ? role : RAID_SPARE;
}

/* Whose places the others take: the first that is in use. */
static const struct raid_member *first_active(const struct raid_array *array)
{
	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (array->places[i].member)
			return array->places[i].member;
	}
	return NULL;
}

/* Whether the bitmap can be where the other members have it. */
static bool has_room_for_bitmap(const struct raid_array *array, const struct md_superblock *sb,
				const struct block *block)
{
	const struct raid_member *other = first_active(array);

	return (sb->features & MD_FEATURE_BITMAP) && other &&
	       sb->bitmap_offset == other->sb.bitmap_offset &&
	       md_superblock_bitmap_room(sb, block->size >> MD_SECTOR_SHIFT) >=
		       md_bitmap_bytes(array->intent->chunks);
}

/* Whether it was together with a member that is in sync when it was last written. Without that it may have
 * run apart, and hold writes that our bitmap does not know of. */
static bool left_from_here(const struct raid_array *array, const struct md_superblock *old)
{
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_member *member = array->places[i].member;

		if (member && member->state == RAID_MEMBER_IN_SYNC &&
		    raid_superblock_includes(old, &member->sb))
			return true;
	}
	return false;
}

/* Whether it may hold acknowledged writes that the array does not have. When an array is assembled some of
 * these are believed to be of a former generation (freshest.c); nothing is overwritten on a belief. */
static bool ran_apart(const struct raid_array *array, const struct block *block,
		      const struct md_superblock *old)
{
	struct raid_candidate candidate = { .block = (struct block *)block, .sb = *old };

	return !memcmp(old->set_uuid, array->uuid, sizeof(array->uuid)) &&
	       raid_candidate_has_data(&candidate) && !left_from_here(array, old);
}

static int refuse_apart(const struct raid_array *array, const struct block *block,
			const struct md_superblock *old, struct error *error)
{
	char when[RAID_TIME_TEXT];

	error_set(error, -ESTALE,
		  "%s was last written (%s, event %llu) without any of the members that %s has: it "
		  "may hold what they do not",
		  block->name, raid_time_format(old->utime, when), (unsigned long long)old->events,
		  array->block.name);
	error_advise(error, "look at what it holds first; --force copies %s over it",
		     array->block.name);
	return -ESTALE;
}

/* Whether a former member has all that the bitmap does not know of; `place` is where it goes. */
static bool can_return(struct raid_array *array, const struct md_superblock *old,
		       const struct block *block, int *place)
{
	uint16_t role = md_superblock_role(old, old->dev_number);

	if (array->reshaping || old->level != array->now.level ||
	    old->layout != array->now.layout || old->chunk_sectors != array->now.chunk_sectors ||
	    (array->now.level != RAID_LEVEL_1 && old->raid_disks != array->now.disks))
		return false;
	if (!array->intent || memcmp(old->set_uuid, array->uuid, sizeof(array->uuid)) != 0 ||
	    old->minor_version != array->minor_version || role >= MD_ROLE_MAX ||
	    old->events < array->intent->super.events_cleared || old->events > array->events ||
	    old->data_size < array->now.member_sectors ||
	    (old->features & (MD_FEATURE_REPLACEMENT | MD_FEATURE_RESHAPE)) ||
	    !has_room_for_bitmap(array, old, block) || !left_from_here(array, old))
		return false;
	*place = place_again(array, role);
	return *place != RAID_SPARE;
}

static int bring_back(struct raid_array *array, struct raid_member *member,
		      const struct md_superblock *old, struct error *error)
{
	bool partial = (old->features & MD_FEATURE_RECOVERY_OFFSET) &&
		       !(old->features & MD_FEATURE_RECOVERY_BITMAP);
	int rc, place;

	member->state = RAID_MEMBER_STALE;
	member->sb = *old;
	rc = raid_member_load_badblocks(member, error);
	if (rc)
		return rc;
	/* A spare may have taken the place meanwhile. */
	if (!can_return(array, old, member->block, &place))
		return error_set(error, -EBUSY, "%s: its place in %s has been filled",
				 member->block->name, array->block.name);
	if (raid_member_by_number(array, old->dev_number))
		member->sb.dev_number = raid_member_new_number(array);
	rc = raid_intent_write_all(array->intent, member);
	if (!rc)
		rc = raid_member_announce(member);
	if (rc)
		return error_set(error, rc, "%s: its superblock cannot be written: %s",
				 member->block->name, error_name(rc));
	if (!can_return(array, old, member->block, &place))
		return error_set(error, -EBUSY, "%s: its place in %s has been filled",
				 member->block->name, array->block.name);
	member->recovered = member->checkpoint = 0;
	member->full_from = partial ? old->recovery_offset : UINT64_MAX;
	raid_member_place(member, place, RAID_MEMBER_REBUILDING);
	array->super_wanted++;
	/* From here on it has requests of its own, so that it can fail, but not vanish; and bits that were
	 * set meanwhile are on it. */
	rc = raid_intent_write_all(array->intent, member);
	if (rc)
		raid_member_fail(member, "bitmap not written: %s", raid_member_trouble(member, rc));
	else
		log_info(array->log, "%s: %s is back; only what changed is copied",
			 array->block.name, member->block->name);
	return 0;
}

static int does_not_fit(const struct raid_array *array, const struct block *block,
			const struct md_layout *layout, struct error *error)
{
	uint64_t sectors = block->size >> MD_SECTOR_SHIFT, least = md_layout_least_sectors(layout);
	uint64_t ppl = layout->ppl_sectors;
	char has[SIZE_TEXT], needs[SIZE_TEXT];

	if (sectors >= least) {
		error_set(error, -ENOSPC,
			  "%s: a %s %d sectors from the superblock, where the other members of "
			  "%s have theirs, does not fit: it takes %llu sectors, and the data start "
			  "at sector %llu",
			  block->name, ppl ? "partial parity log" : "bitmap", layout->bitmap_offset,
			  array->block.name, (unsigned long long)(ppl ? ppl : layout->bitmap_space),
			  (unsigned long long)layout->data_offset);
		if (ppl)
			error_advise(error, "use a larger device");
		else
			error_advise(
				error,
				"make the bitmap anew: `tenon raid bitmap %s remove`, then add",
				array->name);
		return -ENOSPC;
	}
	error_set(error, -ENOSPC,
		  "%s has %s (%llu bytes), expected at least %s (%llu bytes) for a member of %s",
		  block->name, size_format(block->size, has), (unsigned long long)block->size,
		  size_format(least << MD_SECTOR_SHIFT, needs),
		  (unsigned long long)least << MD_SECTOR_SHIFT, array->block.name);
	error_advise(error, "use a larger device");
	return -ENOSPC;
}

/* Data where the others have them, else where a device of its size would have them; the bitmap always
 * where the others have it. */
static int lay_out(struct raid_array *array, const struct block *block, struct md_superblock *sb,
		   struct error *error)
{
	uint64_t sectors = block->size >> MD_SECTOR_SHIFT, own;
	struct md_layout layout = { .minor_version = array->minor_version,
				    .size = array->now.member_sectors };
	const struct raid_member *other = first_active(array);
	int rc;

	if (array->intent) {
		layout.bitmap_chunk = array->intent->super.chunk_bytes;
		layout.bitmap_space =
			round_up(md_bitmap_bytes(array->intent->chunks), MD_BITMAP_PAGE) >>
			MD_SECTOR_SHIFT;
		layout.bitmap_offset = other ? other->sb.bitmap_offset : 0;
	}
	if (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) {
		layout.ppl_sectors = other ? other->sb.ppl_size : 0;
		layout.bitmap_offset = other ? other->sb.ppl_offset : 0;
	}
	layout.data_offset = other ? other->sb.data_offset : 0;
	rc = md_layout_apply(&layout, sectors, sb);
	if (rc) {
		uint64_t offset = layout.data_offset;

		md_layout_data(array->minor_version, sectors, array->now.chunk_sectors, &own);
		layout.data_offset = MIN(own, offset);
		rc = md_layout_apply(&layout, sectors, sb);
	}
	return rc ? does_not_fit(array, block, &layout, error) : 0;
}

void raid_device_uuid(uint8_t uuid[16])
{
	put_le64(uuid, worker_random());
	put_le64(uuid + 8, worker_random());
}

static int add_as_spare(struct raid_array *array, struct raid_member *member, struct error *error)
{
	int rc;

	member->state = RAID_MEMBER_STALE;
	rc = lay_out(array, member->block, &member->sb, error);
	if (rc)
		return rc;
	rc = raid_erase_but(member->block, (int)array->minor_version, error);
	if (rc)
		return rc;
	raid_device_uuid(member->sb.device_uuid);
	member->sb.dev_number = raid_member_new_number(array);
	if (member->sb.dev_number >= MD_MAX_DEVICES)
		return error_set(error, -ENOSPC,
				 "%s: no number is left for another member: superblocks have room "
				 "for %u, with its places and the faulty that were not removed",
				 array->block.name, array->metadata->most_devices);
	/* Its superblock will speak of one. */
	if (array->intent) {
		rc = raid_intent_write_all(array->intent, member);
		if (rc)
			return error_set(error, rc, "%s: its bitmap cannot be written: %s",
					 member->block->name, error_name(rc));
	}
	rc = array->level->prepare ? array->level->prepare(member) : 0;
	if (rc)
		return error_set(error, rc, "%s: its log cannot be written: %s",
				 member->block->name, error_name(rc));
	rc = raid_member_announce(member);
	if (rc)
		return error_set(error, rc, "%s: its superblock cannot be written: %s",
				 member->block->name, error_name(rc));
	member->state = RAID_MEMBER_SPARE;
	return 0;
}

static int check_device(struct raid_array *array, struct block *block, struct error *error)
{
	struct raid_member *member;

	if (raid_level_maps(array->level))
		return error_set(error, -EOPNOTSUPP,
				 "%s keeps its data once, on the members that it was made with: it "
				 "has no place for another",
				 array->block.name);
	if (!array->metadata->adding)
		return error_set(error, -EOPNOTSUPP,
				 "%s has members of two devices each, by its volume group",
				 array->block.name);
	if (block->logical_block_size > array->block.logical_block_size)
		return error_set(error, -EINVAL, "%s has sectors of %u bytes, expected at most %u",
				 block->name, block->logical_block_size,
				 array->block.logical_block_size);
	if (array->joining && !strcmp(array->joining->name, block->name))
		return error_set(error, -EBUSY, "%s is being added to %s already", block->name,
				 array->block.name);
	member = raid_member_find(array, block->name);
	if (!member)
		return 0;
	if (member->state != RAID_MEMBER_STALE) {
		error_set(error, -EBUSY, "%s is a member of %s already (%s)", block->name,
			  array->block.name, raid_member_state_name(member->state));
		if (member->state == RAID_MEMBER_FAULTY)
			error_advise(error, "remove it first");
		return -EBUSY;
	}
	return 0;
}

/* What may be done with a device that is added. */
enum adding {
	ADD_ANY,  /* taken back by the bitmap, or as a spare */
	ADD_OVER, /* also where it ran apart: as a spare then */
	ADD_BACK, /* taken back only */
};

static int refuse_back(const struct raid_array *array, const struct block *block,
		       const struct md_superblock *old, struct error *error)
{
	uint16_t role = md_superblock_role(old, old->dev_number);

	if (memcmp(old->set_uuid, array->uuid, sizeof(array->uuid)) != 0 || role >= MD_ROLE_MAX)
		error_set(error, -ESTALE, "%s was no member of %s with data", block->name,
			  array->block.name);
	else if (!array->intent)
		error_set(error, -ESTALE,
			  "%s has no bitmap: what %s missed (events %llu of %llu) nobody knows",
			  array->block.name, block->name, (unsigned long long)old->events,
			  (unsigned long long)array->events);
	else if (old->events < array->intent->super.events_cleared)
		error_set(error, -ESTALE,
			  "%s was last written at event %llu, and the bitmap of %s reaches back to "
			  "event %llu",
			  block->name, (unsigned long long)old->events, array->block.name,
			  (unsigned long long)array->intent->super.events_cleared);
	else if (place_again(array, role) == RAID_SPARE)
		error_set(error, -ESTALE, "%s: its place in %s, %u, has been filled", block->name,
			  array->block.name, role);
	else
		error_set(error, -ESTALE,
			  "%s cannot come back to %s by the bitmap: its superblock does not fit",
			  block->name, array->block.name);
	error_advise(error, "`tenon raid add` copies all to it");
	return -ESTALE;
}

/* What is on the device, and whether it may be taken; *back: it has all but what the bitmap names. */
static int look_before(struct raid_array *array, struct block *block, struct md_superblock *old,
		       enum adding adding, bool *back, struct error *error)
{
	bool found, apart;
	int rc, place = RAID_SPARE;

	*back = false;
	rc = md_superblock_find(block, old, &found, NULL);
	if (rc && rc != -ENOENT && rc != -EINVAL && rc != -ENXIO)
		return error_set(error, rc, "%s: cannot be read: %s", block->name, error_name(rc));
	if (!rc)
		md_superblock_trim(old);
	apart = !rc && ran_apart(array, block, old);
	if (apart && adding != ADD_OVER)
		return refuse_apart(array, block, old, error);
	if (adding == ADD_BACK && rc) {
		error_set(error, -ESTALE,
			  "%s: no md superblock that is whole, expected that of a former member of "
			  "%s",
			  block->name, array->block.name);
		error_advise(error, "`tenon raid add` takes it as a new one");
		return -ESTALE;
	}
	*back = !rc && !apart && can_return(array, old, block, &place);
	return adding == ADD_BACK && !*back ? refuse_back(array, block, old, error) : 0;
}

static int add_checked(struct raid_array *array, struct block *block, struct md_superblock *old,
		       enum adding adding, struct error *error)
{
	struct raid_member *member;
	bool back;
	int rc = look_before(array, block, old, adding, &back, error);

	if (rc)
		return rc;
	/* As it was found when the array was assembled. */
	member = raid_member_find(array, block->name);
	if (member)
		raid_member_drop(member);
	member = raid_member_new(array, block, NULL);
	if (!member)
		return error_set(error, -ENOMEM, "out of memory");
	rc = back ? bring_back(array, member, old, error) : add_as_spare(array, member, error);
	if (rc) {
		raid_member_drop(member);
		return rc;
	}
	rc = raid_super_update(array);
	if (member->state == RAID_MEMBER_FAULTY)
		rc = -EIO;
	if (rc)
		return error_set(error, rc, "%s: its superblock cannot be written: %s", block->name,
				 member->reason[0] ? member->reason : error_name(rc));
	array->rebuild.held = false;
	raid_rebuild_kick(array);
	return 0;
}

static int check_writable(const struct raid_array *array, const struct block *block,
			  struct error *error)
{
	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	if (block->read_only)
		return error_set(error, -EROFS, "%s is opened read-only", block->name);
	return 0;
}

int raid_add_check(struct raid_array *array, struct block *block, bool over, bool only_back,
		   struct raid_adding *what, struct error *error)
{
	CLEANUP_FREE struct md_superblock *old = malloc(sizeof(*old));
	int rc;

	if (!old)
		return error_set(error, -ENOMEM, "out of memory");
	memset(old, 0, sizeof(*old));
	fiber_mutex_lock(&array->membership);
	rc = check_device(array, block, error);
	if (!rc)
		rc = look_before(array, block, old,
				 only_back ? ADD_BACK
				 : over    ? ADD_OVER
					   : ADD_ANY,
				 &what->back, error);
	what->place = rc ? RAID_SPARE : empty_place(array, UINT16_MAX);
	if (!rc && what->back)
		what->place = place_again(array, md_superblock_role(old, old->dev_number));
	if (!rc && !what->back)
		rc = lay_out(array, block, old, error);
	fiber_mutex_unlock(&array->membership);
	return rc;
}

static int add(struct raid_array *array, struct block *block, enum adding adding,
	       struct error *error)
{
	CLEANUP_FREE struct md_superblock *old = malloc(sizeof(*old));
	int rc;

	if (!old)
		return error_set(error, -ENOMEM, "out of memory");
	/* Keeps a stale member's block, should its reference have been the last one. */
	block_ref(block);
	fiber_mutex_lock(&array->membership);
	rc = check_writable(array, block, error);
	if (!rc)
		rc = check_device(array, block, error);
	if (!rc)
		rc = add_checked(array, block, old, adding, error);
	fiber_mutex_unlock(&array->membership);
	block_unref(block);
	return rc;
}

int raid_add(struct raid_array *array, struct block *block, struct error *error)
{
	return add(array, block, ADD_ANY, error);
}

int raid_add_over(struct raid_array *array, struct block *block, struct error *error)
{
	return add(array, block, ADD_OVER, error);
}

int raid_add_back(struct raid_array *array, struct block *block, struct error *error)
{
	return add(array, block, ADD_BACK, error);
}
