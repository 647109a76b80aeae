/* SPDX-License-Identifier: BSD-2-Clause */
/* dm-raid superblocks. */
#include <stdlib.h>
#include <string.h>

#include "raid/dm_raid.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t block[DM_RAID_BYTES] = { 0 }, again[DM_RAID_BYTES];
	struct dm_raid_superblock sb, back;
	struct error error;

	memcpy(block, "DmRd", 4);
	if (size > sizeof(block) - 4)
		return 0;
	memcpy(block + 4, data, size);
	if (dm_raid_decode(block, &sb, &error))
		return 0;
	if (sb.devices > DM_RAID_DEVICES ||
	    (sb.position >= dm_raid_places(&sb) && sb.position != DM_RAID_NO_PLACE))
		abort();
	dm_raid_encode(&sb, again);
	if (dm_raid_decode(again, &back, &error) || memcmp(&sb, &back, sizeof(sb)) != 0)
		abort();
	return 0;
}
