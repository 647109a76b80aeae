/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members come and go while the array runs. Each change is in the superblocks of all others before the
 * call returns.
 */
#include "raid/members.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/freshest.h"
#include "raid/intent.h"
#include "raid/md_layout.h"
#include "raid/rebuild.h"
#include "raid/spares.h"
#include "util/bytes.h"
#include "util/size.h"

#define REMOVE_PATIENCE_NS 5000000000ull

static int check_writable(const struct raid_array *array, struct error *error)
{
	return array->block.read_only
		       ? error_set(error, -EROFS, "%s is assembled read-only", array->block.name)
		       : 0;
}

int raid_member_named(struct raid_array *array, const char *device, struct raid_member **member,
		      struct error *error)
{
	*member = raid_member_find(array, device);
	if (*member)
		return 0;
	error_set(error, -ENOENT, "%s is no member of %s", device, array->block.name);
	error_advise(error, "`tenon raid show %s` lists its members", array->name);
	return -ENOENT;
}

struct block *raid_member_block(struct raid_array *array, const char *device)
{
	struct raid_member *member = raid_member_find(array, device);

	return member ? member->block : NULL;
}

static int refuse_alone(const struct raid_array *array, const struct raid_member *member,
			uint64_t sector, uint64_t count, struct error *error)
{
	error_set(
		error, -EBUSY,
		"%s alone has %llu bytes at byte %llu of %s: the bad-block logs of the others say "
		"that they are bad there",
		member->block->name, (unsigned long long)count << MD_SECTOR_SHIFT,
		(unsigned long long)sector << MD_SECTOR_SHIFT, array->block.name);
	error_advise(error,
		     "`tenon raid check %s --repair` writes them to the others; if it does not "
		     "answer, fail it with --force, and they cannot be read any more",
		     array->name);
	return -EBUSY;
}

/* As raid_member_fail() does: one that has no data, or no place, can always go. */
static int check_fail(struct raid_array *array, const char *device, bool force,
		      struct raid_member **out, struct error *error)
{
	struct raid_member *member;
	uint64_t sector, count;
	int rc = raid_member_named(array, device, &member, error);

	if (rc)
		return rc;
	*out = member;
	if (member->state == RAID_MEMBER_STALE)
		return error_set(error, -ENOENT, "%s is not in use by %s: %s", device,
				 array->block.name, member->reason);
	if (!force && array->level->holds_alone && raid_array_can_lose(array, member) &&
	    array->level->holds_alone(array, member, &sector, &count))
		return refuse_alone(array, member, sector, count, error);
	if (raid_member_counts(member) && !raid_array_can_lose(array, member))
		return error_set(error, -EBUSY,
				 "without %s data of %s are gone: no other member that is in sync "
				 "has them",
				 device, array->block.name);
	return 0;
}

int raid_fail_check(struct raid_array *array, const char *device, bool force, struct error *error)
{
	struct raid_member *member;

	return check_fail(array, device, force, &member, error);
}

static int fail(struct raid_array *array, const char *device, bool force, struct error *error)
{
	struct raid_member *member;
	int rc = check_writable(array, error);

	if (!rc)
		rc = check_fail(array, device, force, &member, error);
	if (rc)
		return rc;
	raid_member_fail(member, "failed on request");
	rc = raid_super_settle(array);
	if (rc)
		error_set(error, rc, "%s: superblocks cannot be written: %s", array->block.name,
			  error_name(rc));
	return rc;
}

int raid_fail(struct raid_array *array, const char *device, struct error *error)
{
	return fail(array, device, false, error);
}

int raid_fail_anyway(struct raid_array *array, const char *device, struct error *error)
{
	return fail(array, device, true, error);
}

int raid_note_missing(struct raid_array *array, struct error *error)
{
	return array->lost ? raid_write_superblocks(array, error) : 0;
}

int raid_write_superblocks(struct raid_array *array, struct error *error)
{
	int rc = raid_super_update(array);

	return rc ? error_set(error, rc, "%s: superblocks cannot be written: %s", array->block.name,
			      error_name(rc))
		  : 0;
}

/* Were it let go and added again, a request that is late could still write to it. */
static int wait_for_requests(struct raid_member *member, struct error *error)
{
	struct raid_array *array = member->array;
	uint64_t end = worker_now() + REMOVE_PATIENCE_NS;

	while (member->users && worker_now() < end)
		fiber_queue_wait(&array->users_queue, end - worker_now());
	if (!member->users)
		return 0;
	error_set(error, -EBUSY, "%s does not answer: %u requests to it are still on their way",
		  member->block->name, member->users);
	return error_advise(error, "%s goes on without it; remove it once it answers",
			    array->block.name);
}

static int check_remove(struct raid_array *array, const char *device, struct raid_member **out,
			struct error *error)
{
	int rc = raid_member_named(array, device, out, error);

	if (rc || (!raid_member_active(*out) && (*out)->state != RAID_MEMBER_JOURNAL))
		return rc;
	error_set(error, -EBUSY, "%s is in use by %s (%s)", device, array->block.name,
		  raid_member_state_name((*out)->state));
	error_advise(error, "fail it first");
	return -EBUSY;
}

static int refuse_removed(const struct raid_array *array, const char *device, struct error *error)
{
	error_set(error, -ENOENT, "%s is no member of %s any more: it was removed before", device,
		  array->block.name);
	error_advise(error, "`tenon raid add` brings it back");
	return -ENOENT;
}

static bool was_removed(const struct raid_member *member)
{
	return member->state == RAID_MEMBER_STALE && member->removed;
}

int raid_remove_check(struct raid_array *array, const char *device, struct error *error)
{
	struct raid_member *member;
	int rc = check_remove(array, device, &member, error);

	return !rc && was_removed(member) ? refuse_removed(array, device, error) : rc;
}

static int remove_locked(struct raid_array *array, const char *device, struct error *error)
{
	struct raid_member *member;
	bool known, removed;
	int rc = check_writable(array, error);

	if (!rc)
		rc = check_remove(array, device, &member, error);
	if (!rc)
		rc = wait_for_requests(member, error);
	if (rc)
		return rc;
	known = member->state != RAID_MEMBER_STALE || member->marked_faulty;
	removed = was_removed(member);
	raid_member_drop(member);
	if (removed)
		return refuse_removed(array, device, error);
	rc = known ? raid_super_update(array) : 0;
	if (rc)
		error_set(error, rc, "%s: superblocks cannot be written: %s", array->block.name,
			  error_name(rc));
	return rc;
}

int raid_remove(struct raid_array *array, const char *device, struct error *error)
{
	int rc;

	fiber_mutex_lock(&array->membership);
	rc = remove_locked(array, device, error);
	fiber_mutex_unlock(&array->membership);
	return rc;
}

static int check_spare(struct raid_array *array, const char *device, struct raid_member **out,
		       struct error *error)
{
	int rc = raid_member_named(array, device, out, error);

	if (!rc && (*out)->state != RAID_MEMBER_SPARE)
		rc = error_set(error, -EBUSY, "%s is no spare of %s (%s)", device,
			       array->block.name, raid_member_state_name((*out)->state));
	if (!rc && (raid_array_degraded(array) || raid_spares_wanted(array)))
		rc = error_set(error, -EBUSY, "%s needs its spares itself", array->block.name);
	return rc;
}

static int take_spare_locked(struct raid_array *array, const char *device, struct block **block,
			     struct error *error)
{
	struct raid_member *member;
	int rc = check_writable(array, error);

	if (!rc)
		rc = check_spare(array, device, &member, error);
	if (!rc)
		rc = wait_for_requests(member, error);
	/* It may have been put to use meanwhile, or failed. */
	if (!rc)
		rc = check_spare(array, device, &member, error);
	if (rc)
		return rc;
	*block = block_ref(member->block);
	raid_member_drop(member);
	rc = raid_super_update(array);
	if (rc)
		log_warning(array->log,
			    "%s: %s is let go of, but superblocks cannot be written: %s",
			    array->block.name, device, error_name(rc));
	return 0;
}

int raid_take_spare(struct raid_array *array, const char *device, struct block **block,
		    struct error *error)
{
	int rc;

	fiber_mutex_lock(&array->membership);
	rc = take_spare_locked(array, device, block, error);
	fiber_mutex_unlock(&array->membership);
	return rc;
}

int raid_erase_but(struct block *block, int kept, struct error *error)
{
	static const uint8_t zeroes[MD_SUPERBLOCK_BYTES];
	static const unsigned versions[] = { 0, 1, 2, MD_VERSION_90 };
	uint8_t page[MD_SUPERBLOCK_BYTES];

	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		uint64_t sector, at;
		int rc;

		if ((int)versions[i] == kept ||
		    md_superblock_place(versions[i], block->size >> MD_SECTOR_SHIFT, &sector))
			continue;
		at = sector << MD_SECTOR_SHIFT;
		rc = block_read(block, at, page, sizeof(page));
		if (!rc && (get_le32(page) == MD_MAGIC ||
			    (versions[i] == MD_VERSION_90 && get_be32(page) == MD_MAGIC)))
			rc = block_write(block, at, zeroes, sizeof(zeroes), BLOCK_FUA);
		if (rc)
			return error_set(error, rc,
					 "%s: md superblock at byte %llu: cannot be erased: %s",
					 block->name, (unsigned long long)at, error_name(rc));
	}
	return 0;
}

int raid_erase(struct block *block, struct error *error)
{
	return raid_erase_but(block, -1, error);
}
