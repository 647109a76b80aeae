/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * md superblocks at the end of an image or a disk that are those of its last partition. Of version 0.90 nobody can tell by the superblock alone: whoever
 * took the whole for the member would read the partition table as data, and write over it. mdadm refuses where it sees both.
 */
#ifndef TENON_TOOLS_MEMBER_PART_H
#define TENON_TOOLS_MEMBER_PART_H

#include "raid/raid.h"

struct block;
struct error;

/* Of what raid_probe() found (`info`; NULL: it refused it, wherever that was) on the device at `path`: 0, or -EINVAL, with which partition it is of in `error`. */
int member_check_whole(const char *path, struct block *block, const struct raid_info *info,
		       struct error *error);

#endif
