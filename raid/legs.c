/* SPDX-License-Identifier: BSD-2-Clause */
/* One request to several members; see legs.h. */
#include "raid/legs.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/array.h"

int raid_legs_begin(struct raid_legs *legs, unsigned capacity)
{
	legs->count = 0;
	legs->ios = legs->few_ios;
	legs->members = legs->few_members;
	if (capacity <= RAID_LEGS_FEW)
		return 0;
	legs->ios = calloc(capacity, sizeof(*legs->ios) + sizeof(*legs->members));
	if (!legs->ios) {
		legs->ios = legs->few_ios;
		return -ENOMEM;
	}
	legs->members = (struct raid_member **)(legs->ios + capacity);
	return 0;
}

void raid_legs_add(struct raid_legs *legs, struct raid_member *member, const struct block_io *io)
{
	struct block_io *own = &legs->ios[legs->count];

	*own = *io;
	own->block = member->block;
	own->offset += member->sb.data_offset << MD_SECTOR_SHIFT;
	legs->members[legs->count++] = member;
	raid_member_hold(member);
}

void raid_legs_run(struct raid_legs *legs)
{
	block_run_all(legs->ios, legs->count);
}

void raid_legs_end(struct raid_legs *legs)
{
	for (unsigned i = 0; i < legs->count; i++)
		raid_member_release(legs->members[i]);
	if (legs->ios != legs->few_ios)
		free(legs->ios);
}
