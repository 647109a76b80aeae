/* SPDX-License-Identifier: BSD-2-Clause */
/* Which shape dm-raid's components are in: the one that the volume group says, on the way to it, or about to be (assemble_dm.c). */
#ifndef TENON_RAID_DM_SHAPE_H
#define TENON_RAID_DM_SHAPE_H

#include "raid/dm_raid.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "util/error.h"

struct dm_look {
	const struct raid_shape *shape;
	struct raid_component *components; /* without those whose superblocks cannot be read */
	unsigned places;
	struct log *log;
	struct error unread; /* why the first of those cannot; code 0: there is none */
	uint64_t sectors;    /* of each component, that are used */
	struct dm_raid_superblock *found;
	bool *is_new;
	uint64_t events; /* the most that a superblock has */
	unsigned newest; /* whose it is */
	bool reshaping;  /* by the newest, or one begins now */
	bool begins;
	bool grown_in_sync;
	struct dm_raid_superblock first; /* what superblocks are to say then */
};

static inline bool dm_has_superblock(const struct dm_look *look, unsigned place)
{
	return look->components[place].data && look->components[place].meta && !look->is_new[place];
}

/* Superblocks are loaded: finds the newest, and which shape they are in; components that have no place any more are left out. 0, or -EINVAL
 * with `error` set: they do not fit each other, or what the volume group says. */
int dm_check_superblocks(struct dm_look *look, struct error *error);

/* What of a reshape, and of where data are, is so for a component; md's superblock says it. */
void dm_put_shape(const struct dm_look *look, unsigned place, struct md_superblock *sb);

/* Whether data are where the newest has them: a reshape moves them, and no bitmap knows of that. */
bool dm_same_shape(const struct dm_look *look, unsigned place);

/* Whether superblocks have to say something else now before the volume group may forget it. */
bool dm_shape_is_told(const struct dm_look *look);

#endif
