/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a device is a member, and of what: for discovery. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"

int raid_probe(struct block *block, struct raid_info *info, struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = malloc(sizeof(*sb));
	uint16_t role;
	bool found;
	int rc;

	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	rc = md_superblock_find(block, sb, &found, error);
	if (rc && rc != -ENXIO)
		return rc == -ENOENT ? 0 : rc;
	role = md_superblock_role(sb, sb->dev_number);
	memset(info, 0, sizeof(*info));
	info->least_bytes = rc ? md_superblock_least_bytes(sb) : 0;
	memcpy(info->set_uuid, sb->set_uuid, sizeof(info->set_uuid));
	memcpy(info->device_uuid, sb->device_uuid, sizeof(info->device_uuid));
	strcpy(info->set_name, sb->set_name);
	strcpy(info->name, md_superblock_short_name(sb));
	info->level = sb->level;
	info->minor_version = sb->minor_version;
	info->raid_disks = sb->raid_disks;
	info->dev_number = sb->dev_number;
	info->role = role < MD_ROLE_MAX ? role : RAID_SPARE;
	info->faulty = role == MD_ROLE_FAULTY;
	info->events = sb->events;
	info->utime = sb->utime;
	info->data_offset = sb->data_offset << MD_SECTOR_SHIFT;
	info->member_size = sb->size << MD_SECTOR_SHIFT;
	info->array_size = raid_geometry_array_sectors(sb->level, sb->layout, sb->chunk_sectors,
						       sb->raid_disks, sb->size)
			   << MD_SECTOR_SHIFT;
	return 1;
}
