/* SPDX-License-Identifier: BSD-2-Clause */
/* Superblocks of version 1.x; see metadata.h. */
#include "raid/metadata.h"

#include <string.h>

#include "raid/array.h"

static int write_1(struct raid_member *member)
{
	return md_superblock_write(member->block, &member->sb);
}

static void bitmap_uuid_1(const struct raid_array *array, uint8_t uuid[16])
{
	memcpy(uuid, array->uuid, sizeof(array->uuid));
}

const struct raid_metadata_ops raid_metadata_1 = {
	.name = "1.x",
	.most_devices = MD_MAX_DEVICES,
	.replacements = true,
	.adding = true,
	.says_dirty = true,
	.write = write_1,
	.bitmap_uuid = bitmap_uuid_1,
};

const struct raid_metadata_ops *raid_metadata_of(unsigned minor_version)
{
	return minor_version == MD_VERSION_90   ? &raid_metadata_90
	       : minor_version == MD_VERSION_DM ? &raid_metadata_dm
						: &raid_metadata_1;
}
