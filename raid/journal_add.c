/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A write journal is given to an array that runs: one that had none, or has lost it.
 *
 * Meanwhile no request is in the array, no rebuild runs, and no member comes or goes (still.h). That begins only once the device has taken a
 * write, so that one that does not answer is waited for by nobody but who adds it: it writes what is there, without the lock, and nobody else may
 * add the device meanwhile (array->joining). What is on it goes only when all has been looked at again.
 *
 * Why no crash loses data. The ring is empty, durably, before the device's superblock says that it is the journal, and that is durable before
 * those of the members do. Until the first of them does the device is left out as one that only calls itself so; from then on it is taken, one
 * event behind at most, and has nothing to carry out. What members had in their caches is flushed by the same update.
 *
 * What a lost journal had and members have not is gone. While the array ran nothing of that kind is: what the journal acknowledged went
 * on to the members, and was flushed before superblocks called it faulty. Of one that was lost while nobody looked that is not known: such an
 * array is started for this with parity to be made anew (assemble.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_layout.h"
#include "raid/members.h"
#include "raid/still.h"
#include "util/bytes.h"

static int refuse_present(const struct raid_array *array, struct error *error)
{
	const struct raid_member *journal = array->journal;

	error_set(error, -EBUSY, "%s has a journal already, %s (%s)", array->block.name,
		  journal->block->name, raid_member_state_name(journal->state));
	return journal->state == RAID_MEMBER_FAULTY ? error_advise(error, "remove it first")
						    : -EBUSY;
}

static int check_array(const struct raid_array *array, struct error *error)
{
	char name[16];

	if (!array->level->set_log)
		return error_set(error, -EOPNOTSUPP, "a journal at %s, expected level 4, 5 or 6",
				 raid_level_name(array->now.level, name));
	if (!array->metadata->adding || array->minor_version == MD_VERSION_90)
		return error_set(error, -EOPNOTSUPP,
				 "%s has %s superblocks, which know of no journals: expected 1.x",
				 array->block.name, array->metadata->name);
	if (array->journal)
		return refuse_present(array, error);
	if (array->reshaping)
		return error_set(error, -EBUSY, "%s is being reshaped", array->block.name);
	if (array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS))
		return error_set(error, -EINVAL,
				 "%s has a partial parity log, which does not go together with a "
				 "journal",
				 array->block.name);
	if (array->intent) {
		error_set(error, -EINVAL,
			  "%s has a bitmap, which does not go together with a journal",
			  array->block.name);
		return error_advise(error, "`tenon raid bitmap %s remove` first", array->name);
	}
	if (array->joining)
		return error_set(error, -EBUSY, "%s: %s is being added to it", array->block.name,
				 array->joining->name);
	return array->rebuild.frozen
		       ? error_set(error, -EBUSY, "%s is held still", array->block.name)
		       : 0;
}

/* A journal that the array has not given up may hold what members have not. */
static int check_former(const struct raid_array *array, const struct block *block,
			const struct md_superblock *old, struct error *error)
{
	uint16_t own = md_superblock_role(old, old->dev_number);

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_STALE && member->marked_faulty &&
		    !memcmp(member->sb.device_uuid, old->device_uuid, sizeof(old->device_uuid)))
			return 0;
	}
	if (memcmp(old->set_uuid, array->uuid, sizeof(array->uuid)) != 0 || own == MD_ROLE_SPARE ||
	    own == MD_ROLE_FAULTY)
		return 0;
	error_set(error, -ESTALE, "%s was %s of %s, and may hold what its members do not",
		  block->name, own == MD_ROLE_JOURNAL ? "the journal" : "a member",
		  array->block.name);
	return error_advise(error, "%s; --force makes an empty journal of it",
			    own == MD_ROLE_JOURNAL
				    ? "stop the array and start it with this device, which carries "
				      "out what is there"
				    : "look at what it holds first");
}

static int check_device(struct raid_array *array, const struct block *block, bool over,
			struct error *error)
{
	CLEANUP_FREE struct md_superblock *old = calloc(1, sizeof(*old));
	struct raid_member *member = raid_member_find(array, block->name);
	bool found;
	int rc;

	if (!old)
		return error_set(error, -ENOMEM, "out of memory");
	if (member && member->state != RAID_MEMBER_STALE) {
		error_set(error, -EBUSY, "%s is a member of %s already (%s)", block->name,
			  array->block.name, raid_member_state_name(member->state));
		return error_advise(error, "remove it first");
	}
	if (block->logical_block_size > array->block.logical_block_size)
		return error_set(error, -EINVAL, "%s has sectors of %u bytes, expected at most %u",
				 block->name, block->logical_block_size,
				 array->block.logical_block_size);
	rc = md_superblock_find((struct block *)block, old, &found, NULL);
	if (rc && rc != -ENOENT && rc != -EINVAL && rc != -ENXIO)
		return error_set(error, rc, "%s: cannot be read: %s", block->name, error_name(rc));
	return rc || over ? 0 : check_former(array, block, old, error);
}

static int check(struct raid_array *array, const struct block *block, bool over,
		 struct md_superblock *sb, struct error *error)
{
	int rc = check_array(array, error);

	if (!rc)
		rc = check_device(array, block, over, error);
	if (!rc && md_layout_journal(array->minor_version, block->size >> MD_SECTOR_SHIFT, sb))
		rc = error_set(error, -ENOSPC, "%s: %llu bytes are too few for a journal",
			       block->name, (unsigned long long)block->size);
	return rc ? rc : array->level->check_journal(array, block->name, sb->data_size, error);
}

int raid_add_journal_check(struct raid_array *array, struct block *block, bool over,
			   struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = calloc(1, sizeof(*sb));
	int rc;

	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	fiber_mutex_lock(&array->membership);
	rc = check(array, block, over, sb, error);
	fiber_mutex_unlock(&array->membership);
	return rc;
}

/* ---- With everything held still ---- */

static void forget(struct raid_member *member)
{
	struct raid_array *array = member->array;

	raid_member_drop(member);
	array->level->set_log(array, NULL);
}

/* An empty ring, and a superblock that says so. */
static int make(struct raid_member *member, struct error *error)
{
	struct raid_array *array = member->array;
	const char *name = member->block->name;
	int rc;

	member->sb.dev_number = raid_member_new_number(array);
	if (member->sb.dev_number >= MD_MAX_DEVICES)
		return error_set(error, -ENOSPC, "%s has %u members, no more fit into a superblock",
				 array->block.name, array->metadata->most_devices);
	raid_device_uuid(member->sb.device_uuid);
	array->journal = member;
	rc = array->level->set_log(array, error);
	if (rc)
		return rc;
	rc = array->level->prepare(member);
	if (rc)
		return error_set(error, rc, "%s: its log cannot be written: %s", name,
				 error_name(rc));
	rc = raid_member_announce_journal(member);
	return rc ? error_set(error, rc, "%s: its superblock cannot be written: %s", name,
			      error_name(rc))
		  : 0;
}

/* What the members are told of. One that fails in it leaves an array that had none as it was. */
static int tell(struct raid_member *member, bool had, struct error *error)
{
	struct raid_array *array = member->array;
	int rc = raid_super_update(array);

	if (member->state == RAID_MEMBER_JOURNAL)
		return rc ? error_set(error, rc, "%s: its superblocks cannot be written: %s",
				      array->block.name, error_name(rc))
			  : 0;
	error_set(error, -EIO, "%s: %s", member->block->name, member->reason);
	if (!had) {
		array->features &= ~MD_FEATURE_JOURNAL;
		forget(member);
		raid_super_update(array);
	}
	return -EIO;
}

/* What is known only once it is written to, as that it does not answer, is found out while the array is in use: nobody waits for it.
 * Where the ring's first block would be it gets what it has. */
static int try_out(struct block *block, uint64_t sector, struct error *error)
{
	uint8_t page[4096] __attribute__((aligned(4096)));
	int rc = block_read(block, sector << MD_SECTOR_SHIFT, page, sizeof(page));

	if (!rc)
		rc = block_write(block, sector << MD_SECTOR_SHIFT, page, sizeof(page), BLOCK_FUA);
	return rc ? error_set(error, rc, "%s: its log cannot be written: %s", block->name,
			      error_name(rc))
		  : 0;
}

static int add(struct raid_array *array, struct block *block, const struct md_superblock *sb,
	       struct error *error)
{
	struct raid_member *member = raid_member_find(array, block->name);
	bool had = array->features & MD_FEATURE_JOURNAL;
	int rc;

	/* As it was found when the array was assembled. */
	if (member)
		raid_member_drop(member);
	member = raid_member_new(array, block, NULL);
	if (!member)
		return error_set(error, -ENOMEM, "out of memory");
	member->state = RAID_MEMBER_STALE;
	member->sb = *sb;
	rc = make(member, error);
	if (rc) {
		forget(member);
		return rc;
	}
	rc = tell(member, had, error);
	if (!rc)
		log_info(array->log, "%s: %s is its journal", array->block.name, block->name);
	return rc;
}

/* As it is now. What its superblock said is no matter any more. */
static int add_held(struct raid_array *array, struct block *block, const struct md_superblock *sb,
		    struct error *error)
{
	int rc;

	array->rebuild.frozen = false;
	rc = check_array(array, error);
	array->rebuild.frozen = true;
	/* But for the one that is to be written over. */
	if (!rc)
		rc = raid_erase_but(block, (int)array->minor_version, error);
	return rc ? rc : add(array, block, sb, error);
}

int raid_add_journal(struct raid_array *array, struct block *block, bool over, struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = calloc(1, sizeof(*sb));
	int rc = 0;

	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	if (block->read_only)
		return error_set(error, -EROFS, "%s is opened read-only", block->name);
	/* Keeps a stale member's block, should its reference have been the last one. */
	block_ref(block);
	fiber_mutex_lock(&array->membership);
	rc = check(array, block, over, sb, error);
	if (!rc) {
		array->joining = block;
		fiber_mutex_unlock(&array->membership);
		rc = try_out(block, sb->data_offset, error);
		fiber_mutex_lock(&array->membership);
		array->joining = NULL;
		memset(sb, 0, sizeof(*sb));
	}
	if (!rc)
		rc = check(array, block, over, sb, error);
	if (!rc) {
		raid_hold_still(array);
		rc = add_held(array, block, sb, error);
		raid_go_on(array);
	}
	fiber_mutex_unlock(&array->membership);
	block_unref(block);
	return rc;
}
