/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID volumes, beyond what volumes of all types have. While one is open its array runs (raid.h): resyncs and recoveries go on by
 * themselves where it was opened for writing.
 */
#ifndef TENON_VOLUME_VOLUME_RAID_H
#define TENON_VOLUME_VOLUME_RAID_H

#include "volume/volume.h"

struct raid_array;

/* Whether it is one that can be opened. */
bool volume_lv_is_raid(const struct volume_lv *lv);

/* Whether parts of it are lost, and it has all data without them: it opens, and can be repaired. */
bool volume_lv_degraded(const struct volume_lv *lv);

/* The array of one that is open, which is good until that or a change suspends; NULL: it is not open. */
struct raid_array *volume_lv_array(const struct volume_lv *lv);

/*
 * Puts new images in the places of those that are lost, on other PVs (of `options`, which may be NULL, only `pvs` and `ranges` are looked at), and has the
 * array fill them: that goes on while the volume is open. Also while PVs of the group are missing; they are marked so, and nothing of
 * this volume is on them any more. *replaced is how many; 0 is fine.
 * -EOPNOTSUPP: no RAID, or raid0; -ENXIO, -ENODEV: what is left has not all data; -ENOSPC: no PV for one; and as for any change.
 */
int volume_lv_repair(struct volume_group *group, const char *name,
		     const struct volume_lv_options *options, unsigned *replaced,
		     struct error *error);

#endif
