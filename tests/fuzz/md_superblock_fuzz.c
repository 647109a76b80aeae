/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * md superblocks and bad-block logs from hostile disks. The input is a superblock's page and what
 * follows, a log; the first byte before them chooses the minor version. What is accepted must encode to
 * the same fields again, and describe areas that lie within the device.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "raid/geometry.h"
#include "raid/md_badblocks.h"
#include "raid/md_superblock.h"
#include "util/bytes.h"
#include "util/error.h"

#define DEVICE_SECTORS 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_accepted(const struct md_superblock *sb)
{
	static struct md_superblock back;
	uint8_t page[MD_SUPERBLOCK_BYTES];
	struct error error;

	assert(range_within(sb->data_offset, sb->data_size, DEVICE_SECTORS));
	assert(sb->raid_disks && sb->raid_disks <= MD_MAX_DEVICES);
	if (sb->features & MD_FEATURE_BITMAP)
		assert(md_superblock_bitmap_room(sb, DEVICE_SECTORS) <=
		       DEVICE_SECTORS * (uint64_t)MD_SECTOR_SIZE);
	raid_geometry_array_sectors(sb->level, sb->layout, sb->chunk_sectors, sb->raid_disks,
				    sb->size);
	assert(strlen(md_superblock_short_name(sb)) <= 32);
	md_superblock_encode(sb, page);
	assert(md_superblock_decode(page, sb->minor_version, &back, &error) == 0);
	assert(md_superblock_validate(&back, DEVICE_SECTORS, &error) == 0);
	back.checksum = sb->checksum;
	back.checksum_expected = sb->checksum_expected;
	back.next_from_md = sb->next_from_md; /* encoded in our words */
	assert(memcmp(&back, sb, sizeof(back)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct md_superblock sb;
	uint8_t page[MD_SUPERBLOCK_BYTES] = { 0 };
	struct md_badblocks list = { 0 };
	struct error error;
	unsigned minor;

	if (size < 1)
		return 0;
	minor = data[0] % 3;
	data++;
	size--;
	memcpy(page, data, MIN(size, sizeof(page)));
	/* Half of the inputs get a checksum that fits, or little would ever be accepted. */
	if (page[0] == 0xfc && get_le32(page + 220) <= MD_MAX_DEVICES)
		put_le32(page + 216, md_superblock_checksum(page, get_le32(page + 220)));
	if (md_superblock_decode(page, minor, &sb, &error) == 0 &&
	    md_superblock_validate(&sb, DEVICE_SECTORS, &error) == 0)
		check_accepted(&sb);
	if (size > sizeof(page) &&
	    md_badblocks_decode(&list, data + sizeof(page), size - sizeof(page), data[0] % 40,
				&error) == 0) {
		for (unsigned i = 1; i < list.count; i++)
			assert(list.ranges[i - 1].sector + list.ranges[i - 1].count <
			       list.ranges[i].sector);
	}
	md_badblocks_free(&list);
	return 0;
}
