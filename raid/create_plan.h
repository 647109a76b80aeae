/* SPDX-License-Identifier: BSD-2-Clause */
/* What a new array is to be, before anything is written: between create_plan.c, which decides, and create.c, which does it. */
#ifndef TENON_RAID_CREATE_PLAN_H
#define TENON_RAID_CREATE_PLAN_H

#include "raid/array.h"
#include "raid/md_layout.h"

struct raid_create_plan {
	struct md_layout layout;
	struct raid_geometry geometry;
	unsigned places, spares, present; /* present: places with a device */
	unsigned journals;
};

/* All of these: 0, or a negative errno with `error` set. Pure. */

/* The name with its host part, as it is in superblocks. */
int raid_create_plan_name(const struct raid_create_options *options, char set_name[RAID_NAME_SIZE],
			  struct error *error);
int raid_create_plan_level(int level, struct error *error);
/* Level, chunk and layout, of plan->places. */
int raid_create_plan_geometry(const struct raid_create_options *options,
			      struct raid_create_plan *plan, struct error *error);
/* All of it. */
int raid_create_plan_array(const struct raid_new_member *members, unsigned count,
			   const struct raid_create_options *options, struct raid_create_plan *plan,
			   struct error *error);

/* -ENOSPC: a device of fewer than so many sectors. */
int raid_create_too_small(const struct block *block, uint64_t sectors, struct error *error);

#endif
