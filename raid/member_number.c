/* SPDX-License-Identifier: BSD-2-Clause */
/* Which number a member that is added gets. */
#include "raid/array.h"
#include "raid/md_layout.h"
#include "raid/members.h"

/* Also by one that is marked faulty until it is removed: who had its number would be taken for it. */
static bool is_taken(struct raid_array *array, uint32_t number)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_STALE && member->marked_faulty &&
		    member->sb.dev_number == number)
			return true;
	}
	return raid_member_by_number(array, number) != NULL;
}

static bool has_number_behind(const struct raid_array *array)
{
	uint32_t used = raid_array_places(array);

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		used += member->state == RAID_MEMBER_STALE ? member->marked_faulty
							   : member->state != RAID_MEMBER_IN_SYNC;
	}
	return used < array->metadata->most_devices;
}

uint32_t raid_member_new_number(struct raid_array *array)
{
	uint32_t number = array->now.disks, most = array->metadata->most_devices;

	if (array->metadata->behind_places && !has_number_behind(array))
		return MD_MAX_DEVICES;
	/* As mdadm: the first free one after those that the first members have, else any. */
	while (number < most && is_taken(array, number))
		number++;
	if (number == most) {
		number = 0;
		while (number < most && is_taken(array, number))
			number++;
	}
	if (number == most)
		return MD_MAX_DEVICES;
	if (number >= array->max_dev)
		array->max_dev = md_layout_max_dev(number + 1);
	return number;
}
