/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside volume/: RAID volumes that get another number of stripes, stripe size or layout, so that all data move.
 *
 *	raid_reshape_plan.c	what is asked for, and whether it can be: nothing is changed
 *	raid_reshape_parts.c	images, room and segment, in memory
 *	raid_reshape.c		carries it out
 *
 * Source: lvm2 lib/metadata/raid_manip.c.
 */
#ifndef TENON_VOLUME_RAID_RESHAPE_H
#define TENON_VOLUME_RAID_RESHAPE_H

#include "volume/raid_change.h"
#include "volume/volume_raid.h"

struct reshape {
	struct volume_group *group;
	struct volume_lv *lv;
	const struct volume_convert *wish;
	struct error *error;

	enum volume_reshape_step step;
	const struct lvm_raid_kind *kind; /* that it is to have */
	unsigned before, images;          /* places that have data now, and then */
	uint32_t stripe_size;             /* then, bytes */
	uint32_t room;                    /* extents of each image that it takes */
	uint32_t data_extents;            /* of each image, without room */

	/* Of the array that runs. */
	bool in_front; /* the room that there is lies before the data */
	struct change change;
	struct block *block; /* keeps it in use */
};

/* Whether what is asked for is a reshape, or about what one has left: the rest is a takeover (raid_convert.c). Pure. */
bool lvm_reshape_is_wanted(const struct volume_lv *lv, const struct volume_convert *wish);

/* Finds out which step is to be made, and whether it can be, as far as metadata tell. -EALREADY, -EINVAL, -EBUSY, -EOPNOTSUPP. */
int lvm_reshape_plan(struct reshape *reshape);

/* Makes of the volume and its parts in memory what they will be, for the step; the change keeps what they were. `names`: those of
 * new metadata volumes are cleared. -ENOSPC, -ENOMEM, or an I/O error. Suspends. */
int lvm_reshape_parts(struct reshape *reshape);
/* After the first commit of a RESHAPE_RELEASE whose room was in front: takes it from the end. -ENOMEM. */
int lvm_reshape_cut(struct reshape *reshape);

/* The whole, for volume_lv_convert(), which has the group's lock. */
int lvm_lv_reshape(struct volume_group *group, struct volume_lv *lv,
		   const struct volume_convert *wish, struct error *error);

#endif
