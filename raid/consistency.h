/* SPDX-License-Identifier: BSD-2-Clause */
/* Bitmaps and partial parity logs that come later, and go; raid_set_consistency() is in raid.h. */
#ifndef TENON_RAID_CONSISTENCY_H
#define TENON_RAID_CONSISTENCY_H

#include <stdint.h>

#include "raid/md_ppl.h"

struct error;
struct md_superblock;
struct raid_member;

/* A header and 4 KiB. */
#define RAID_PPL_LEAST_SECTORS (MD_PPL_HEADER_SECTORS + 8)

/* Puts one where mdadm would: between the superblock, which speaks of no bitmap, and its log of bad blocks. Pure: the same superblock has it in the
 * same place. 0, or -ENOSPC with `error` set, and nothing changed. */
int raid_ppl_place(struct md_superblock *sb, uint64_t device_sectors, struct error *error);

void raid_ppl_unplace(struct md_superblock *sb);

/* A member that the update which gave the array a bitmap or a log, or took a log, did not reach has what the freshest superblock says. */
void raid_adopt_consistency(struct raid_member *member, const struct md_superblock *freshest);

#endif
