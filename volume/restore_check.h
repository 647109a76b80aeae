/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside volume/: whether what a text says of volumes still holds, by what the group is now and by superblocks on the disks (restore_check.c). */
#ifndef TENON_VOLUME_RESTORE_CHECK_H
#define TENON_VOLUME_RESTORE_CHECK_H

struct error;
struct volume_group;

/* Of those that `now`, the group as it is (or NULL), does not have; PVs of `group` are attached, and it is not in use. 0, -EOPNOTSUPP, or why a superblock
 * could not be read. Suspends. */
int lvm_restore_check_superblocks(struct volume_group *group, const struct volume_group *now,
				  const char *file, struct error *error);

#endif
