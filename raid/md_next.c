/* SPDX-License-Identifier: BSD-2-Clause */
/* The level that an array is to have once data have been moved, as md's superblocks of either format may say it: see md_superblock.h. */
#include "raid/md_format.h"
#include "raid/md_superblock.h"
#include "raid/name.h"

void md_superblock_take_next(struct md_superblock *sb)
{
	bool from_6 = sb->level == RAID_LEVEL_6 && sb->new_level == RAID_LEVEL_5,
	     to_0 = sb->level == RAID_LEVEL_5 && sb->new_level == RAID_LEVEL_0;

	if (!(sb->features & MD_FEATURE_RESHAPE) || (!from_6 && !to_0))
		return;
	sb->next = from_6 ? MD_NEXT_LEVEL_5 : MD_NEXT_LEVEL_0;
	sb->next_from_md = true;
	sb->new_level = sb->level;
}
