/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVs on their way from one group to another (split.c, merge.c). No write of several disks is one, so for a moment two groups say that
 * a PV is theirs. Who is right must be certain at any write, for LVM2 too. As with its vgsplit, the group that is not to be used in that
 * moment is exported. And it has a tag that names the other one: as long as that says that a PV is its own, it is.
 *
 *	split	the new group, exported, yields to the old one	-> all is as before
 *		the old one, without the PVs			-> the new one has them, and is exported: `vg import` ends it
 *		the new one, not exported; or the new one is merged with a group that is there
 *	merge	the group that goes, exported, yields		-> all is as before, but exported: `vg import` undoes it, and the
 *								   same `vg merge` goes on
 *		the group that stays, on the PVs of both	-> it has them from the first header on
 *
 * The last column is what a cut of power after that leaves. A cut within a commit leaves the one or the other.
 */
#ifndef TENON_VOLUME_YIELD_H
#define TENON_VOLUME_YIELD_H

#include "volume/lvm_vg.h"

/* Has the group yield to the one with that UUID, or (NULL) to none: another list of tags, in its pool. -ENOMEM. */
int lvm_yield_set(struct volume_group *group, const char *uuid);
/* The UUID of the group that an exported one yields to, or NULL. */
const char *lvm_yield_to(const struct volume_group *group);

/* What the text of the group says, as a group without devices. */
int lvm_vg_copy(const struct volume_group *group, struct volume_group **out, struct error *error);
/* Has a PV of such a group be on the device of the original. */
void lvm_pv_copy_device(struct volume_pv *to, const struct volume_pv *from);

/* Whether `from`, which may be in memory only, could be merged with `group`; changes nothing. */
int lvm_merge_check(struct volume_group *group, struct volume_group *from, struct error *error);

#endif
