/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things go on a new member; the rules are mdadm's (super1.c: validate_geometry1(),
 * add_internal_bitmap1(), write_init_super1()). Figures are sectors of 512 bytes. */
#include "raid/md_layout.h"

#include <errno.h>

#include "raid/md_bitmap.h"
#include "raid/md_superblock.h"
#include "util/bytes.h"
#include "util/error.h"

#define MEBIBYTE     2048ull
#define GIBIBYTE     (1024 * MEBIBYTE)
#define HEADROOM_MAX (128 * MEBIBYTE) /* for a later reshape */
#define METADATA     24ull            /* superblock and what is around it */

/* Room that is left for a bitmap, whether one is made now or later. */
static uint64_t reserved_for_bitmap(uint64_t device_sectors)
{
	if (device_sectors < 128)
		return 0;
	if (device_sectors - 128 >= 200 * GIBIBYTE)
		return 256;
	if (device_sectors - 8 > 8 * GIBIBYTE)
		return 128;
	return 8;
}

static uint64_t data_offset_at_start(uint64_t device_sectors, uint32_t chunk_sectors,
				     uint64_t reserved)
{
	uint64_t headroom = HEADROOM_MAX;

	/* About a thousandth of the device, two chunks at least. */
	while (headroom << 10 > device_sectors &&
	       (!chunk_sectors || headroom / 2 >= 2 * (uint64_t)chunk_sectors))
		headroom /= 2;
	return round_up(METADATA + reserved + headroom, MEBIBYTE);
}

uint64_t md_layout_data_beside(unsigned minor_version, uint64_t device_sectors,
			       uint32_t chunk_sectors, uint64_t reserved, uint64_t *data_offset)
{
	uint64_t overhead;

	*data_offset = 0;
	if (minor_version == 0) {
		device_sectors = round_down(device_sectors, 8);
		overhead = 16 + MD_BBLOG_SECTORS + reserved;
	} else {
		overhead = *data_offset =
			data_offset_at_start(device_sectors, chunk_sectors, reserved);
	}
	/* Sizes are told in KiB. */
	return device_sectors > overhead ? round_down(device_sectors - overhead, 2) : 0;
}

uint64_t md_layout_data(unsigned minor_version, uint64_t device_sectors, uint32_t chunk_sectors,
			uint64_t *data_offset)
{
	return md_layout_data_beside(minor_version, device_sectors, chunk_sectors,
				     reserved_for_bitmap(device_sectors), data_offset);
}

int md_layout_bitmap(struct md_layout *layout, uint64_t sync_sectors, uint64_t wanted,
		     struct error *error)
{
	uint64_t room = reserved_for_bitmap(layout->size) << MD_SECTOR_SHIFT;
	uint64_t chunk;

	if (!room)
		return error_set(
			error, -ENOSPC,
			"a bitmap for members of %llu sectors, expected 128 sectors or more",
			(unsigned long long)layout->size);
	chunk = md_bitmap_smallest_chunk(sync_sectors, room);
	if (wanted && (!is_power_of_two(wanted) || wanted < chunk || wanted > 1u << 31)) {
		error_set(error, -EINVAL,
			  "a bitmap chunk of %llu bytes, expected a power of two from %llu on",
			  (unsigned long long)wanted, (unsigned long long)chunk);
		return -EINVAL;
	}
	chunk = wanted ? wanted : MAX(chunk, MD_BITMAP_CHUNK_USUAL);
	layout->bitmap_chunk = (uint32_t)chunk;
	layout->bitmap_space =
		round_up(md_bitmap_bytes(md_bitmap_chunks(sync_sectors, layout->bitmap_chunk)),
			 MD_BITMAP_PAGE) >>
		MD_SECTOR_SHIFT;
	return 0;
}

/* What a bitmap or a partial parity log takes. */
static uint64_t space_of(const struct md_layout *layout)
{
	return layout->ppl_sectors ? layout->ppl_sectors : layout->bitmap_space;
}

/* A bitmap's, or the log's size and offset, which have that place then. */
static void put_offset(const struct md_layout *layout, int32_t offset, struct md_superblock *sb)
{
	sb->bitmap_offset = offset;
	if (!layout->ppl_sectors)
		return;
	sb->ppl_offset = (int16_t)offset;
	sb->ppl_size = (uint16_t)layout->ppl_sectors;
	sb->bitmap_offset = (int32_t)((uint32_t)layout->ppl_sectors << 16 | (uint16_t)offset);
}

/* How far below a superblock at the end that starts. */
static uint64_t starts_below(const struct md_layout *layout)
{
	return layout->bitmap_offset < 0 ? -(uint64_t)(int64_t)layout->bitmap_offset
					 : space_of(layout) + MD_BBLOG_SECTORS;
}

/* That and the log of bad blocks in the sectors below a superblock at the end; how many they take. */
static int put_below(const struct md_layout *layout, uint64_t room, struct md_superblock *sb,
		     uint64_t *space)
{
	uint64_t below = starts_below(layout), log = MD_BBLOG_SECTORS;

	if (layout->bitmap_offset > 0 || below > room || below < space_of(layout))
		return -ENOSPC;
	if (below < space_of(layout) + MD_BBLOG_SECTORS)
		log = below + MD_BBLOG_SECTORS;
	put_offset(layout, -(int32_t)below, sb);
	*space = below;
	if (log <= room) {
		sb->bblog_size = MD_BBLOG_SECTORS;
		sb->bblog_offset = -(int32_t)log;
		*space = MAX(below, log);
	}
	return 0;
}

/* Superblock at the end: data, bitmap, bad-block log, superblock. */
static int apply_at_end(const struct md_layout *layout, struct md_superblock *sb)
{
	uint64_t used = layout->data_offset + layout->size, room, space;
	int rc = 0;

	if (used > sb->super_offset)
		return -ENOSPC;
	room = sb->super_offset - used;
	space = MIN(reserved_for_bitmap(layout->size) + MD_BBLOG_SECTORS, room);
	if (layout->bitmap_chunk || layout->ppl_sectors) {
		rc = put_below(layout, room, sb, &space);
	} else if (space >= MD_BBLOG_SECTORS) {
		sb->bblog_size = MD_BBLOG_SECTORS;
		sb->bblog_offset = -(int32_t)MD_BBLOG_SECTORS;
	}
	sb->data_size = sb->super_offset - space - layout->data_offset;
	return rc;
}

/* Superblock at the start: superblock, bitmap, bad-block log, data; the log before the bitmap where there
 * is room only there. */
static int apply_at_start(const struct md_layout *layout, uint64_t device_sectors,
			  struct md_superblock *sb)
{
	uint64_t space = reserved_for_bitmap(layout->size), log;
	bool fixed = layout->bitmap_chunk || layout->ppl_sectors;
	int32_t offset = MD_SUPERBLOCK_SECTORS;

	if (fixed) {
		space = space_of(layout);
		if (layout->bitmap_offset)
			offset = layout->bitmap_offset;
		if (offset < (int32_t)MD_SUPERBLOCK_SECTORS)
			return -ENOSPC;
	}
	log = sb->super_offset + (uint64_t)offset + space;
	if (layout->data_offset + layout->size > device_sectors)
		return -ENOSPC;
	sb->data_size = device_sectors - layout->data_offset;
	if (fixed) {
		if (log > layout->data_offset)
			return -ENOSPC;
		put_offset(layout, offset, sb);
	}
	if (layout->data_offset < log + MD_BBLOG_SECTORS) {
		if ((uint64_t)offset < MD_SUPERBLOCK_SECTORS + MD_BBLOG_SECTORS)
			return 0;
		log = sb->super_offset + MD_SUPERBLOCK_SECTORS;
	}
	sb->bblog_size = MD_BBLOG_SECTORS;
	sb->bblog_offset = (int32_t)(log - sb->super_offset);
	return 0;
}

int md_layout_apply(const struct md_layout *layout, uint64_t device_sectors,
		    struct md_superblock *sb)
{
	int rc;

	sb->minor_version = layout->minor_version;
	rc = md_superblock_place(layout->minor_version, device_sectors, &sb->super_offset);
	if (rc)
		return rc;
	sb->data_offset = layout->data_offset;
	sb->size = layout->size;
	sb->features &= ~MD_FEATURE_BITMAP;
	sb->bitmap_offset = 0;
	sb->bblog_size = 0;
	sb->bblog_shift = 0;
	sb->bblog_offset = 0;
	if (layout->bitmap_chunk)
		sb->features |= MD_FEATURE_BITMAP;
	if (layout->minor_version == MD_VERSION_90) {
		sb->data_size = sb->super_offset;
		sb->bitmap_offset = MD_SUPERBLOCK_SECTORS;
		return layout->data_offset || sb->data_size < layout->size ? -ENOSPC : 0;
	}
	return layout->minor_version == 0 ? apply_at_end(layout, sb)
					  : apply_at_start(layout, device_sectors, sb);
}

int md_layout_journal(unsigned minor_version, uint64_t device_sectors, struct md_superblock *sb)
{
	struct md_layout layout = { .minor_version = minor_version };

	if (!md_layout_data(minor_version, device_sectors, 0, &layout.data_offset))
		return -ENOSPC;
	return md_layout_apply(&layout, device_sectors, sb);
}

uint64_t md_layout_least_sectors(const struct md_layout *layout)
{
	uint64_t least = layout->data_offset + layout->size;

	if (layout->minor_version == MD_VERSION_90)
		return round_up(layout->size, MD_RESERVED_SECTORS_90) + MD_RESERVED_SECTORS_90;
	if (layout->minor_version == 0) {
		if (layout->bitmap_chunk || layout->ppl_sectors)
			least += starts_below(layout);
		least = round_up(least, 8) + 16;
	}
	return least;
}

uint32_t md_layout_max_dev(uint32_t devices)
{
	uint64_t bytes = round_up(MD_SUPERBLOCK_FIXED + 2 * (uint64_t)devices, MD_SECTOR_SIZE);

	return (uint32_t)MIN((bytes - MD_SUPERBLOCK_FIXED) / 2, MD_MAX_DEVICES);
}
