/* SPDX-License-Identifier: BSD-2-Clause */
/* Members with superblocks 0.90, which tenon does not create, for the tests of what it does with them. */
#ifndef TENON_TESTS_VERSION_90_H
#define TENON_TESTS_VERSION_90_H

#include <string.h>

#include "block/block.h"
#include "raid/md_superblock_90.h"
#include "unit.h"

#define VERSION_90_UUID "sixteen bytes of"

/* An array whose members agree, of `level` 4 to 6 with md's usual layout; `size` bytes of each member. */
static void put_version_90(struct block *const *disks, unsigned count, int level, uint32_t chunk,
			   uint64_t size)
{
	for (unsigned i = 0; i < count; i++) {
		struct md90_superblock sb = { .minor_version = 90,
					      .ctime = 1700000000,
					      .utime = 1700000000,
					      .level = level,
					      .size_kib = (uint32_t)(size >> 10),
					      .nr_disks = count,
					      .raid_disks = count,
					      .state = 1,
					      .active_disks = count,
					      .working_disks = count,
					      .events = 7,
					      .layout = level == 4 ? 0 : 2,
					      .chunk_bytes = chunk };
		uint8_t page[4096] = { 0 };
		uint64_t sector;

		memcpy(sb.uuid, VERSION_90_UUID, 16);
		for (unsigned k = 0; k < count; k++)
			sb.devices[k] =
				(struct md90_device){ .number = k, .raid_disk = k, .state = 6 };
		sb.this_device = sb.devices[i];
		md90_encode(&sb, page);
		CU_ASSERT_EQUAL_FATAL(md90_place(disks[i]->size / 512, &sector), 0);
		CU_ASSERT_EQUAL_FATAL(block_write(disks[i], sector * 512, page, sizeof(page), 0),
				      0);
	}
}

#endif
