/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * md superblocks of version 1.x: the one decoder and the one encoder, and the checksum. What
 * makes a superblock acceptable is in md_validate.c, where one is looked for in md_find.c.
 */
#include "raid/md_superblock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "raid/md_superblock_90.h"
#include "util/bytes.h"
#include "util/error.h"

#define FIELD(page, bits, field)                                                                   \
	get_le##bits((const uint8_t *)(page) + offsetof(struct md_superblock_1, field))
#define PUT_FIELD(page, bits, field, value)                                                        \
	put_le##bits((uint8_t *)(page) + offsetof(struct md_superblock_1, field), value)
#define BYTES(page, field) ((const uint8_t *)(page) + offsetof(struct md_superblock_1, field))

const char *md_superblock_version(unsigned minor, char text[8])
{
	if (minor == MD_VERSION_90)
		return strcpy(text, "0.90");
	if (minor == MD_VERSION_DM)
		return strcpy(text, "dm-raid");
	snprintf(text, 8, "1.%u", minor % 100);
	return text;
}

int md_superblock_place(unsigned minor, uint64_t device_sectors, uint64_t *sector)
{
	/* mdadm wants 24 sectors for any of them. */
	if (device_sectors < 24)
		return -ENOSPC;
	switch (minor) {
	case 0:
		*sector = round_down(device_sectors - 16, 8);
		return 0;
	case 1:
		*sector = 0;
		return 0;
	case 2:
		*sector = 8;
		return 0;
	case MD_VERSION_90:
		return md90_place(device_sectors, sector);
	default:
		return -EINVAL;
	}
}

uint32_t md_superblock_checksum(const void *page, uint32_t max_dev)
{
	const uint8_t *bytes = page;
	size_t size = MD_SUPERBLOCK_FIXED + 2 * (size_t)MIN(max_dev, MD_MAX_DEVICES);
	size_t skip = offsetof(struct md_superblock_1, sb_csum);
	uint64_t sum = 0;
	size_t at;

	for (at = 0; at + 4 <= size; at += 4) {
		if (at != skip)
			sum += get_le32(bytes + at);
	}
	if (at < size)
		sum += get_le16(bytes + at);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

static void decode_member(const void *page, struct md_superblock *sb)
{
	sb->data_offset = FIELD(page, 64, data_offset);
	sb->data_size = FIELD(page, 64, data_size);
	sb->super_offset = FIELD(page, 64, super_offset);
	sb->recovery_offset = FIELD(page, 64, recovery_offset);
	sb->dev_number = FIELD(page, 32, dev_number);
	sb->corrected_reads = FIELD(page, 32, cnt_corrected_read);
	memcpy(sb->device_uuid, BYTES(page, device_uuid), sizeof(sb->device_uuid));
	sb->devflags = *BYTES(page, devflags);
	sb->bblog_shift = *BYTES(page, bblog_shift);
	sb->bblog_size = FIELD(page, 16, bblog_size);
	sb->bblog_offset = (int32_t)FIELD(page, 32, bblog_offset);
}

static uint8_t decode_next(uint64_t utime)
{
	uint64_t next = (utime >> MD_NEXT_SHIFT) - MD_NEXT_BASE;

	return next <= MD_NEXT_LEVEL_5 ? (uint8_t)next : MD_NEXT_NONE;
}

static uint64_t encode_time(const struct md_superblock *sb)
{
	uint64_t utime = sb->utime & MD_TIME_SECONDS_MASK;

	return sb->next ? utime | (uint64_t)(MD_NEXT_BASE + sb->next) << MD_NEXT_SHIFT : utime;
}

static void decode_fields(const void *page, struct md_superblock *sb)
{
	sb->features = FIELD(page, 32, feature_map);
	memcpy(sb->set_uuid, BYTES(page, set_uuid), sizeof(sb->set_uuid));
	/* What stands after a NUL is no part of it. */
	memcpy(sb->set_name, BYTES(page, set_name),
	       strnlen((const char *)BYTES(page, set_name), 32));
	sb->ctime = FIELD(page, 64, ctime) & MD_TIME_SECONDS_MASK;
	sb->level = (int32_t)FIELD(page, 32, level);
	sb->layout = FIELD(page, 32, layout);
	sb->size = FIELD(page, 64, size);
	sb->chunk_sectors = FIELD(page, 32, chunksize);
	sb->raid_disks = FIELD(page, 32, raid_disks);
	sb->bitmap_offset = (int32_t)FIELD(page, 32, bitmap_offset);
	sb->ppl_offset = (int16_t)get_le16(BYTES(page, bitmap_offset));
	sb->ppl_size = get_le16(BYTES(page, bitmap_offset) + 2);
	sb->new_level = (int32_t)FIELD(page, 32, new_level);
	sb->reshape_position = FIELD(page, 64, reshape_position);
	sb->delta_disks = (int32_t)FIELD(page, 32, delta_disks);
	sb->new_layout = FIELD(page, 32, new_layout);
	sb->new_chunk_sectors = FIELD(page, 32, new_chunk);
	sb->new_offset = (int32_t)FIELD(page, 32, new_offset);
	decode_member(page, sb);
	sb->utime = FIELD(page, 64, utime) & MD_TIME_SECONDS_MASK;
	sb->next = decode_next(FIELD(page, 64, utime));
	md_superblock_take_next(sb);
	sb->events = FIELD(page, 64, events);
	sb->resync_offset = FIELD(page, 64, resync_offset);
	sb->checksum = FIELD(page, 32, sb_csum);
	sb->max_dev = FIELD(page, 32, max_dev);
	sb->logical_block_size = FIELD(page, 32, logical_block_size);
	sb->padding_dirty =
		FIELD(page, 32, pad0) != 0 ||
		!bytes_all_zero(BYTES(page, pad3), sizeof(((struct md_superblock_1 *)0)->pad3));

	for (unsigned i = 0; i < MD_MAX_DEVICES; i++)
		sb->roles[i] = i < sb->max_dev ? get_le16(BYTES(page, dev_roles) + 2 * (size_t)i)
					       : MD_ROLE_SPARE;
}

int md_superblock_decode(const void *page, unsigned minor, struct md_superblock *sb,
			 struct error *error)
{
	uint32_t major = FIELD(page, 32, major_version);

	memset(sb, 0, sizeof(*sb));
	if (FIELD(page, 32, magic) != MD_MAGIC)
		return -ENOENT;
	sb->minor_version = minor;
	decode_fields(page, sb);
	sb->checksum_expected = md_superblock_checksum(page, sb->max_dev);

	if (major != 1)
		return error_set(error, -EINVAL, "major version is %u, expected 1", major);
	if (sb->max_dev > MD_MAX_DEVICES)
		return error_set(error, -EINVAL, "max_dev is %u, expected at most %u", sb->max_dev,
				 MD_MAX_DEVICES);
	if (sb->checksum_expected != sb->checksum)
		return error_set(error, -EINVAL, "checksum is %08x, expected %08x", sb->checksum,
				 sb->checksum_expected);
	return 0;
}

static void encode_member(const struct md_superblock *sb, uint8_t *page)
{
	PUT_FIELD(page, 64, data_offset, sb->data_offset);
	PUT_FIELD(page, 64, data_size, sb->data_size);
	PUT_FIELD(page, 64, super_offset, sb->super_offset);
	PUT_FIELD(page, 64, recovery_offset, sb->recovery_offset);
	PUT_FIELD(page, 32, dev_number, sb->dev_number);
	PUT_FIELD(page, 32, cnt_corrected_read, sb->corrected_reads);
	memcpy(page + offsetof(struct md_superblock_1, device_uuid), sb->device_uuid,
	       sizeof(sb->device_uuid));
	page[offsetof(struct md_superblock_1, devflags)] = sb->devflags;
	page[offsetof(struct md_superblock_1, bblog_shift)] = sb->bblog_shift;
	PUT_FIELD(page, 16, bblog_size, sb->bblog_size);
	PUT_FIELD(page, 32, bblog_offset, (uint32_t)sb->bblog_offset);
}

void md_superblock_encode(const struct md_superblock *sb, void *at)
{
	uint32_t max_dev = MIN(sb->max_dev, MD_MAX_DEVICES);
	uint8_t *page = at;

	memset(page, 0, MD_SUPERBLOCK_BYTES);
	PUT_FIELD(page, 32, magic, MD_MAGIC);
	PUT_FIELD(page, 32, major_version, 1);
	PUT_FIELD(page, 32, feature_map, sb->features);
	memcpy(page + offsetof(struct md_superblock_1, set_uuid), sb->set_uuid,
	       sizeof(sb->set_uuid));
	memcpy(page + offsetof(struct md_superblock_1, set_name), sb->set_name,
	       strnlen(sb->set_name, 32));
	PUT_FIELD(page, 64, ctime, sb->ctime);
	PUT_FIELD(page, 32, level, (uint32_t)sb->level);
	PUT_FIELD(page, 32, layout, sb->layout);
	PUT_FIELD(page, 64, size, sb->size);
	PUT_FIELD(page, 32, chunksize, sb->chunk_sectors);
	PUT_FIELD(page, 32, raid_disks, sb->raid_disks);
	PUT_FIELD(page, 32, bitmap_offset, (uint32_t)sb->bitmap_offset);
	PUT_FIELD(page, 32, new_level, (uint32_t)sb->new_level);
	PUT_FIELD(page, 64, reshape_position, sb->reshape_position);
	PUT_FIELD(page, 32, delta_disks, (uint32_t)sb->delta_disks);
	PUT_FIELD(page, 32, new_layout, sb->new_layout);
	PUT_FIELD(page, 32, new_chunk, sb->new_chunk_sectors);
	PUT_FIELD(page, 32, new_offset, (uint32_t)sb->new_offset);
	PUT_FIELD(page, 32, logical_block_size, sb->logical_block_size);
	encode_member(sb, page);
	PUT_FIELD(page, 64, utime, encode_time(sb));
	PUT_FIELD(page, 64, events, sb->events);
	PUT_FIELD(page, 64, resync_offset, sb->resync_offset);
	PUT_FIELD(page, 32, max_dev, max_dev);
	for (unsigned i = 0; i < max_dev; i++)
		put_le16(page + MD_SUPERBLOCK_FIXED + 2 * (size_t)i, sb->roles[i]);
	PUT_FIELD(page, 32, sb_csum, md_superblock_checksum(page, max_dev));
}

int md_superblock_write(struct block *block, const struct md_superblock *sb)
{
	uint64_t size = MD_SUPERBLOCK_FIXED + 2 * (uint64_t)MIN(sb->max_dev, MD_MAX_DEVICES);
	uint8_t page[MD_SUPERBLOCK_BYTES];

	md_superblock_encode(sb, page);
	/* Not all of the page: a bitmap that mdadm --grow added to a 1.0 array may begin within it. */
	size = MIN(round_up(size, block->logical_block_size), sizeof(page));
	return block_write(block, sb->super_offset << MD_SECTOR_SHIFT, page, size, BLOCK_FUA);
}

const char *md_superblock_short_name(const struct md_superblock *sb)
{
	const char *colon = strchr(sb->set_name, ':');

	return colon && colon[1] ? colon + 1 : sb->set_name;
}
