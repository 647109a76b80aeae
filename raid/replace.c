/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replacing a member that has its data, so that redundancy is there all the time.
 *
 *	spare --raid_replace()--> beside the member, REBUILDING --recovery--> filled --> has the place; the member is faulty
 *
 * From the moment it is beside the member it gets all writes, and the recovery copies the rest from the member, or from
 * the others what that cannot give. Its own superblock says so before anybody else's does, and before it is
 * written to: cut off in between it is a device that the array does not know. That it has all data is in the
 * superblocks before the member is out of them (rebuild.c). When either fails meanwhile the other goes on.
 */
#include <errno.h>

#include "raid/members.h"
#include "raid/rebuild.h"
#include "raid/spares.h"

static int check(struct raid_array *array, const char *device, struct raid_member **member,
		 struct error *error)
{
	if (raid_level_maps(array->level))
		return error_set(error, -EOPNOTSUPP,
				 "%s keeps its data once: its level has no replacement of members",
				 array->block.name);
	if (!array->metadata->replacements)
		return error_set(error, -EOPNOTSUPP,
				 "%s: its superblocks, of version %s, cannot say that one member "
				 "replaces another",
				 array->block.name, array->metadata->name);
	if (raid_member_named(array, device, member, error))
		return -ENOENT;
	if (array->reshaping)
		return error_set(error, -EBUSY, "%s is being reshaped", array->block.name);
	if ((*member)->state != RAID_MEMBER_IN_SYNC)
		return error_set(error, -EBUSY, "%s is %s, expected a member that is in sync",
				 device, raid_member_state_name((*member)->state));
	if (array->places[(*member)->role].replacement)
		return error_set(error, -EBUSY, "%s is being replaced by %s already", device,
				 array->places[(*member)->role].replacement->block->name);
	if (raid_array_degraded(array)) {
		error_set(error, -EBUSY,
			  "%s is degraded: spares go to its empty places before members are "
			  "replaced",
			  array->block.name);
		return error_advise(error, "let it be rebuilt first");
	}
	return 0;
}

static int no_spare(const struct raid_array *array, const struct block *with, struct error *error)
{
	if (with)
		return error_set(error, -EBUSY, "%s is no spare of %s", with->name,
				 array->block.name);
	error_set(error, -ENODEV, "%s has no spare", array->block.name);
	return error_advise(error, "name a device with --with, or add one");
}

int raid_replace(struct raid_array *array, const char *device, struct block *with,
		 struct error *error)
{
	struct raid_member *member, *spare;
	int rc;

	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	fiber_mutex_lock(&array->membership);
	rc = check(array, device, &member, error);
	spare = rc ? NULL : raid_spare_find(array, with);
	if (!rc)
		rc = spare ? raid_spare_put_beside(array, member, spare, error)
			   : no_spare(array, with, error);
	if (!rc)
		raid_rebuild_kick(array);
	fiber_mutex_unlock(&array->membership);
	return rc;
}

int raid_replace_with(struct raid_array *array, const char *device, struct block *with, bool over,
		      struct error *error)
{
	struct raid_member *member;
	int rc = check(array, device, &member, error);

	if (!rc && !raid_spare_find(array, with))
		rc = over ? raid_add_over(array, with, error) : raid_add(array, with, error);
	return rc ? rc : raid_replace(array, device, with, error);
}

int raid_replace_check(struct raid_array *array, const char *device, bool by_spare,
		       struct error *error)
{
	struct raid_member *member;
	int rc = check(array, device, &member, error);

	return !rc && by_spare && !raid_spare_find(array, NULL) ? no_spare(array, NULL, error) : rc;
}
