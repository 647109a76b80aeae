/* SPDX-License-Identifier: BSD-2-Clause */
/* What a resync, recovery or scrub is for, and whether it has to end; see rebuild_windows.h. */
#include "raid/rebuild_windows.h"

/* One that failed and came back meanwhile is none any more: it begins anew. */
bool raid_rebuild_is_target(const struct raid_member *member)
{
	return member && member->state == RAID_MEMBER_REBUILDING && member->target;
}

static bool any_target(const struct raid_array *array)
{
	list_for_each(at, &array->members) {
		if (raid_rebuild_is_target(list_entry(at, struct raid_member, node)))
			return true;
	}
	return false;
}

bool raid_rebuild_must_end(const struct raid_array *array)
{
	const struct raid_rebuild *rebuild = &array->rebuild;

	return rebuild->stop || rebuild->frozen || array->stopping || rebuild->status ||
	       !raid_array_survives(array) ||
	       (rebuild->operation == RAID_RECOVER && !any_target(array));
}
