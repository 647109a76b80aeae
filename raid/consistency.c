/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partial parity log is given to an array that runs, or taken from it; and the journal that it has lost is given up.
 *
 * Why no crash loses data. To give one, members are flushed and said to be clean; then empty logs are written to all members, and only then do
 * superblocks speak of them. Should they do so on some members only, the others are one event behind, and have an empty log where they would
 * have been told to have it (raid_ppl_place() says where, by the superblock alone). To take one, superblocks cease to speak of it, of an
 * array that is clean: whoever is one event behind has one that is empty, or is no longer asked for.
 */
#include "raid/consistency.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/array.h"
#include "raid/intent.h"
#include "raid/md_layout.h"
#include "raid/md_ppl.h"
#include "raid/still.h"
#include "util/bytes.h"

#define FEATURES_PPL (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)

/* ---- Its place ---- */

/* Sectors between the superblock and what is next to it, and where they begin from the superblock: as mdadm counts them. */
static uint64_t find_room(const struct md_superblock *sb, int32_t *offset)
{
	uint64_t log = sb->bblog_size ? (uint64_t)llabs((int64_t)sb->bblog_offset) : 0, end;

	if (sb->data_offset > sb->super_offset) {
		end = log ? log : sb->data_offset - sb->super_offset;
		*offset = MD_SUPERBLOCK_SECTORS;
		return end > MD_SUPERBLOCK_SECTORS ? end - MD_SUPERBLOCK_SECTORS : 0;
	}
	end = MIN(sb->super_offset - MIN(sb->super_offset, sb->data_offset + sb->data_size),
		  (uint64_t)-INT16_MIN);
	*offset = -(int32_t)end;
	return end > log ? end - log : 0;
}

int raid_ppl_place(struct md_superblock *sb, uint64_t device_sectors, struct error *error)
{
	int32_t offset;
	uint64_t room = find_room(sb, &offset), size = round_down(MIN(room, MD_PPL_SECTORS), 8);

	if (size < RAID_PPL_LEAST_SECTORS)
		return error_set(error, -ENOSPC,
				 "a partial parity log takes %u sectors or more between superblock "
				 "and log of bad blocks, and there are %llu",
				 RAID_PPL_LEAST_SECTORS, (unsigned long long)room);
	sb->features |= MD_FEATURE_MULTIPLE_PPLS;
	sb->ppl_offset = (int16_t)offset;
	sb->ppl_size = (uint16_t)size;
	sb->bitmap_offset = (int32_t)((uint32_t)size << 16 | (uint16_t)offset);
	if (!md_superblock_validate(sb, device_sectors, error))
		return 0;
	raid_ppl_unplace(sb);
	return -ENOSPC;
}

void raid_ppl_unplace(struct md_superblock *sb)
{
	sb->features &= ~FEATURES_PPL;
	sb->ppl_offset = 0;
	sb->ppl_size = 0;
	sb->bitmap_offset = 0;
}

/* ---- An update that was cut off ---- */

/* The update that gave the array a bitmap was cut off before it reached this one, on which the bitmap is already. */
static void adopt_bitmap(struct raid_member *member, const struct md_superblock *freshest)
{
	struct md_superblock *sb = &member->sb;
	uint32_t features = sb->features;
	int32_t offset = sb->bitmap_offset;

	if (!(freshest->features & MD_FEATURE_BITMAP) || sb->events + 1 != freshest->events ||
	    (features & (MD_FEATURE_BITMAP | FEATURES_PPL)))
		return;
	sb->features |= MD_FEATURE_BITMAP;
	sb->bitmap_offset = freshest->bitmap_offset;
	if (!md_superblock_validate(sb, member->block->size >> MD_SECTOR_SHIFT, NULL))
		return;
	sb->features = features;
	sb->bitmap_offset = offset;
}

/* So with a partial parity log, which is there, and empty; and with the update that took it away. */
static void adopt_ppl(struct raid_member *member, const struct md_superblock *freshest)
{
	struct md_superblock *sb = &member->sb;

	if (sb->events + 1 != freshest->events ||
	    !((freshest->features ^ sb->features) & FEATURES_PPL))
		return;
	if (!(freshest->features & FEATURES_PPL))
		raid_ppl_unplace(sb);
	else if (!(sb->features & (FEATURES_PPL | MD_FEATURE_BITMAP | MD_FEATURE_JOURNAL)))
		raid_ppl_place(sb, member->block->size >> MD_SECTOR_SHIFT, NULL);
}

void raid_adopt_consistency(struct raid_member *member, const struct md_superblock *freshest)
{
	adopt_bitmap(member, freshest);
	adopt_ppl(member, freshest);
}

/* ---- Giving one ---- */

/* On all members, or on none. */
static int place_all(struct raid_array *array, struct error *error)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);
		int rc;

		if (!raid_member_writable(member))
			continue;
		rc = raid_ppl_place(&member->sb, member->block->size >> MD_SECTOR_SHIFT, error);
		if (rc) {
			error_prefix(error, "%s", member->block->name);
			return rc;
		}
	}
	return 0;
}

static void unplace_all(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_writable(member))
			raid_ppl_unplace(&member->sb);
	}
}

static int check_ppl(const struct raid_array *array, struct error *error)
{
	char name[16];

	if (array->now.level != RAID_LEVEL_5 || array->now.disks > MD_PPL_DISKS_MAX)
		return error_set(error, -EOPNOTSUPP,
				 "%s: a partial parity log at %s with %u members, expected level 5 "
				 "and at most %u",
				 array->block.name, raid_level_name(array->now.level, name),
				 array->now.disks, MD_PPL_DISKS_MAX);
	if (!array->metadata->adding || array->minor_version == MD_VERSION_90)
		return error_set(error, -EOPNOTSUPP,
				 "%s has %s superblocks, which know of no partial parity logs: "
				 "expected 1.x",
				 array->block.name, array->metadata->name);
	if (array->features & FEATURES_PPL)
		return error_set(error, -EEXIST, "%s has a partial parity log already",
				 array->block.name);
	if (array->features & MD_FEATURE_JOURNAL)
		return error_set(error, -EINVAL,
				 "%s has a write journal, which does what a partial parity log "
				 "does, and more",
				 array->block.name);
	if (!array->intent)
		return 0;
	error_set(error, -EINVAL,
		  "%s has a bitmap, which does not go together with a partial parity log",
		  array->block.name);
	error_advise(error, "`tenon raid grow %s --consistency resync` first", array->name);
	return -EINVAL;
}

static int update(struct raid_array *array, struct error *error)
{
	int rc = raid_super_update(array);

	return rc ? error_set(error, rc, "%s: superblocks cannot be written: %s", array->block.name,
			      error_name(rc))
		  : 0;
}

static int give(struct raid_array *array, uint64_t unused, struct error *error)
{
	int rc = check_ppl(array, error);

	(void)unused;
	if (rc)
		return rc;
	rc = raid_array_mark_clean(array);
	if (rc)
		return error_set(error, rc, "%s: %s", array->block.name, error_name(rc));
	rc = place_all(array, error);
	if (!rc) {
		array->features |= MD_FEATURE_MULTIPLE_PPLS;
		rc = array->level->set_log(array, error);
	}
	if (!rc)
		rc = raid_members_write_each(array, array->level->prepare, "partial parity log",
					     error);
	if (!rc)
		rc = update(array, error);
	if (rc) {
		array->features &= ~FEATURES_PPL;
		array->level->set_log(array, NULL);
		unplace_all(array);
		array->super_wanted++;
	}
	return rc;
}

/* ---- Taking it ---- */

static int refuse_journal(const struct raid_array *array, struct error *error)
{
	const struct raid_member *journal = array->journal;

	error_set(error, -EBUSY, "%s has a journal, %s (%s), and its members have not all of it",
		  array->block.name, journal->block->name, raid_member_state_name(journal->state));
	error_advise(error, "`tenon raid %s %s %s` first",
		     journal->state == RAID_MEMBER_FAULTY ? "remove" : "fail", array->name,
		     journal->block->name);
	return -EBUSY;
}

static int take(struct raid_array *array, uint64_t unused, struct error *error)
{
	uint32_t features = array->features;
	bool journal = features & MD_FEATURE_JOURNAL;
	int rc;

	(void)unused;
	if (array->journal)
		return refuse_journal(array, error);
	/* What a journal had was on its way to the members, too, when it was lost; the update flushes them. */
	rc = journal ? 0 : raid_array_mark_clean(array);
	if (rc)
		return error_set(error, rc, "%s: %s", array->block.name, error_name(rc));
	array->features &= ~(FEATURES_PPL | MD_FEATURE_JOURNAL);
	rc = update(array, error);
	if (rc) {
		/* The next update speaks of it again. */
		array->features = features;
		array->super_wanted++;
		return rc;
	}
	array->level->set_log(array, NULL);
	if (!journal)
		unplace_all(array);
	return 0;
}

static int set_resync(struct raid_array *array, struct error *error)
{
	if (array->intent)
		return raid_bitmap_remove(array, error);
	if (!(array->features & (FEATURES_PPL | MD_FEATURE_JOURNAL)))
		return error_set(error, -EEXIST, "%s has neither a bitmap nor a log",
				 array->block.name);
	return raid_while_still(array, 0, take, error);
}

int raid_set_consistency(struct raid_array *array, enum raid_bitmap_choice wanted,
			 struct error *error)
{
	switch (wanted) {
	case RAID_BITMAP_NONE:
		return set_resync(array, error);
	case RAID_BITMAP_INTERNAL:
		return raid_bitmap_add(array, 0, error);
	case RAID_BITMAP_PPL:
		return raid_while_still(array, 0, give, error);
	default:
		return error_set(error, -EINVAL, "%s: expected resync, bitmap or ppl",
				 array->block.name);
	}
}
