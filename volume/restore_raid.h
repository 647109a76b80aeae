/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside volume/: whether the RAID volumes of a text fit the superblocks that are on the disks (restore_raid.c). */
#ifndef TENON_VOLUME_RESTORE_RAID_H
#define TENON_VOLUME_RESTORE_RAID_H

struct error;
struct volume_group;

/* Of those that `now`, the group as it is (or NULL), does not have; PVs of `group` are attached, and it is not in use. 0 or -EOPNOTSUPP. Suspends. */
int lvm_restore_check_superblocks(struct volume_group *group, const struct volume_group *now,
				  const char *file, struct error *error);

#endif
