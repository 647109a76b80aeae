/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The array of a RAID volume in use: assembled from its images and metadata volumes when the volume is first opened, stopped when it is
 * closed. Who opens the volume for reading only has it assembled so, and nothing is written. Parts that are lost are left out, as long as
 * the others have all data, as lvm2's activation mode "degraded" does.
 */
#ifndef TENON_VOLUME_ACTIVE_RAID_H
#define TENON_VOLUME_ACTIVE_RAID_H

#include "raid/sync.h"
#include "volume/segment.h"

struct lvm_array;

/* The `activate` of RAID segments. */
int lvm_raid_activate(struct lvm_activation *activation, const struct volume_segment *segment,
		      struct error *error);

/* As the group says it; 0: as an array has it that says nothing. */
void lvm_array_set_speed(struct raid_array *array, struct raid_speed speed);

struct raid_array *lvm_array_raid(const struct lvm_array *array);
struct lvm_array *lvm_array_ref(struct lvm_array *array);
/* The last one stops it, and suspends. NULL is fine. */
void lvm_array_unref(struct lvm_array *array);

/* Whether the volume's segment says another array than this one, so that it has to be stopped and assembled anew. */
bool lvm_array_differs(const struct lvm_array *array, const struct volume_lv *lv);

#endif
