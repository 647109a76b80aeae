/* SPDX-License-Identifier: BSD-2-Clause */
/* Superblocks of partitions that are found at the end of the whole; see member_part.h. */
#include "tools/member_part.h"

#include <errno.h>

#include "block/blkid_library.h"
#include "block/block.h"
#include "block/partition.h"
#include "util/error.h"

#define VERSION_0_90 90u /* as raid_info has it */

static bool is_end_of(const struct block *block, const struct partition *part, bool old,
		      const struct raid_info *info)
{
	return !part->is_extended && part->start < block->size &&
	       raid_end_is_of_part(block->size, part->start, part->length, old,
				   info ? info->member_size : 0);
}

int member_check_whole(const char *path, struct block *block, const struct raid_info *info,
		       struct error *error)
{
	CLEANUP_PARTITION_TABLE struct partition_table table = { 0 };
	bool old =
		info ? info->minor_version == VERSION_0_90 : raid_end_has_superblock(block, true);
	bool new = !info &&raid_end_has_superblock(block, false);
	int rc = old || new ? libblkid_load(error) : 0;

	if (rc || (!old && !new) || partition_table_read_path(&table, path, NULL) <= 0)
		return rc;
	for (unsigned i = 0; i < table.count; i++) {
		const struct partition *part = &table.partitions[i];

		if (!(old && is_end_of(block, part, true, info)) &&
		    !(new &&is_end_of(block, part, false, info)))
			continue;
		return error_set(error, -EINVAL,
				 "%s: has a %s partition table, and the md superblock at its end "
				 "is that of partition %u: name %s:%u",
				 path, table.type, part->number, path, part->number);
	}
	return 0;
}
