/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside volume/: what the files that change logical volumes share. */
#ifndef TENON_VOLUME_CHANGE_H
#define TENON_VOLUME_CHANGE_H

#include "util/cleanup.h"
#include "volume/lvm_vg.h"

/* More stripes than anybody has disks for. */
#define CHANGE_STRIPES_MAX 128u

/* One change of a group at a time: held to the end of the function. */
static inline void change_unlock(struct fiber_mutex **mutex)
{
	fiber_mutex_unlock(*mutex);
}

#define CHANGING(group)                                                                            \
	CLEANUP(change_unlock) struct fiber_mutex *changing_ = &(group)->private->change;          \
	fiber_mutex_lock(changing_)

int change_no_memory(const struct volume_group *group, struct error *error);

/* The volume of that name, if the group may be changed and the volume by itself. */
int change_find_lv(struct volume_group *group, const char *name, struct volume_lv **out,
		   struct error *error);

/* 0, or -EBUSY while the volume is open. */
int change_check_closed(const struct volume_group *group, const struct volume_lv *lv,
			struct error *error);

/* Extents for `size` bytes in so many stripes, rounded up. */
int change_wanted_extents(const struct volume_group *group, const char *name, uint64_t size,
			  unsigned stripes, uint32_t *out, struct error *error);

/* Gives the volume `extents` more behind its end, in memory: a new array of segments, the old one stays
 * as it was. -ENOSPC with what is free in `error`. */
int change_grow(struct volume_group *group, struct volume_lv *lv, uint32_t extents,
		unsigned stripes, uint32_t stripe_size, const struct volume_lv_options *options,
		struct error *error);

#endif
