/* SPDX-License-Identifier: BSD-2-Clause */
/* 0.90 superblocks: what is decoded without an error is encoded and decoded again. The checksum is made right by encoding. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "raid/md_superblock_90.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t page[MD90_BYTES] = { 0 };
	struct md90_superblock sb, again;
	struct md_superblock kept;
	struct error error;

	if (size > sizeof(page))
		return 0;
	memcpy(page, data, size);
	if (md90_decode(page, &sb, &error) == -ENOENT)
		return 0;
	md90_encode(&sb, page);
	if (md90_decode(page, &again, &error))
		return 0;
	/* As those of 1.x are kept: what is valid has its bitmap within the device. */
	if (!md90_load(page, 4096, &kept, &error) && !md_superblock_validate(&kept, 4096, &error) &&
	    (kept.features & MD_FEATURE_BITMAP) &&
	    md_superblock_bitmap_room(&kept, 4096) > 60 << 10)
		abort();
	if (memcmp(&sb, &again, sizeof(sb)) != 0 || again.raid_disks > MD90_DEVICES)
		abort();
	return 0;
}
