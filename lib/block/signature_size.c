/* SPDX-License-Identifier: BSD-2-Clause */
/* See signature_size.h. All of it is hostile: a product that does not fit, or a shift that is none, is "not known". */
#include "block/signature_size.h"

#include <stdbool.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "util/bytes.h"
#include "util/error.h"

#define LONGEST    512u /* of what is read of a superblock */
#define SECTOR_MAX 4096u

/* units * 2^shift, or 0. */
static uint64_t shifted(uint64_t units, unsigned shift)
{
	return shift < 32 && units <= UINT64_MAX >> shift ? units << shift : 0;
}

static uint64_t times(uint64_t units, uint64_t size)
{
	uint64_t product;

	return __builtin_mul_overflow(units, size, &product) ? 0 : product;
}

/* Each is given the bytes at its place, LONGEST of them (zeroes beyond the end of the block). */

static uint64_t ext_size(const unsigned char *at)
{
	bool wide = get_le32(at + 0x60) & 0x80; /* INCOMPAT_64BIT */
	uint64_t blocks = get_le32(at + 0x04) | (wide ? (uint64_t)get_le32(at + 0x150) << 32 : 0);
	uint32_t log = get_le32(at + 0x18);

	return log > 6 ? 0 : shifted(blocks, 10 + log);
}

static uint64_t xfs_size(const unsigned char *at)
{
	return times(get_be64(at + 8), get_be32(at + 4));
}

/* Of this device, which is one of several perhaps: in its dev_item. */
static uint64_t btrfs_size(const unsigned char *at)
{
	return get_le64(at + 0xc9 + 8);
}

static uint64_t fat_size(const unsigned char *at)
{
	uint32_t sectors = get_le16(at + 0x13);

	return times(sectors ? sectors : get_le32(at + 0x20), get_le16(at + 0x0b));
}

static uint64_t ntfs_size(const unsigned char *at)
{
	uint64_t sectors = get_le64(at + 0x28);

	/* The copy of the boot sector lies behind them. */
	return sectors == UINT64_MAX ? 0 : times(sectors + 1, get_le16(at + 0x0b));
}

static uint64_t exfat_size(const unsigned char *at)
{
	return shifted(get_le64(at + 0x48), at[0x6c]);
}

static uint64_t iso_size(const unsigned char *at)
{
	return times(get_le32(at + 80), get_le16(at + 128));
}

static uint64_t squashfs_size(const unsigned char *at)
{
	return get_le64(at + 40);
}

static uint64_t erofs_size(const unsigned char *at)
{
	return shifted(get_le32(at + 36), at[12]);
}

static uint64_t f2fs_size(const unsigned char *at)
{
	return shifted(get_le64(at + 36), get_le32(at + 16));
}

/* Up to the end of the last partition that is in the table itself. */
static uint64_t dos_size(const unsigned char *at)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < 4; i++) {
		const unsigned char *entry = at + 446 + 16 * i;

		if (entry[4])
			end = MAX(end, (uint64_t)get_le32(entry + 8) + get_le32(entry + 12));
	}
	return end * 512;
}

static const struct {
	const char *type;
	uint64_t offset;
	uint64_t (*size)(const unsigned char *at);
} kinds[] = {
	{ "ext2", 1024, ext_size },       { "ext3", 1024, ext_size },
	{ "ext4", 1024, ext_size },       { "ext4dev", 1024, ext_size },
	{ "xfs", 0, xfs_size },           { "btrfs", 64 << 10, btrfs_size },
	{ "vfat", 0, fat_size },          { "ntfs", 0, ntfs_size },
	{ "exfat", 0, exfat_size },       { "iso9660", 32 << 10, iso_size },
	{ "squashfs", 0, squashfs_size }, { "erofs", 1024, erofs_size },
	{ "f2fs", 1024, f2fs_size },      { "dos", 0, dos_size },
};

static int read_at(struct block *block, uint64_t offset, unsigned char at[LONGEST],
		   struct error *error)
{
	uint64_t length = offset < block->size ? MIN((uint64_t)LONGEST, block->size - offset) : 0;
	uint64_t start = round_down(offset, block->logical_block_size);
	unsigned char whole[2 * SECTOR_MAX] = { 0 };
	int rc = 0;

	memset(at, 0, LONGEST);
	if (length)
		rc = block_read(block, start, whole,
				MIN(round_up(offset - start + length, block->logical_block_size),
				    block->size - start));
	if (rc)
		return error_set(error, rc, "%s: reading a superblock at byte %llu: %s",
				 block->name, (unsigned long long)offset, error_name(rc));
	memcpy(at, whole + (offset - start), length);
	return 0;
}

/* Its header is as long as a page of the machine that made it, at whose end the magic is. */
static int swap_size(struct block *block, const struct block_signature *found, uint64_t *size,
		     struct error *error)
{
	unsigned char at[LONGEST];
	int rc = read_at(block, 1024, at, error);

	if (!rc && get_le32(at) == 1)
		*size = times((uint64_t)get_le32(at + 4) + 1, found->offset + 10);
	return rc;
}

static int gpt_size(struct block *block, uint64_t *size, struct error *error)
{
	unsigned char at[LONGEST];
	uint64_t last;
	int rc = 0;

	for (unsigned sector = 512; !rc && !*size && sector <= 4096; sector *= 8) {
		rc = read_at(block, sector, at, error);
		last = get_le64(at + 32); /* of the copy of the header */
		if (!rc && !memcmp(at, "EFI PART", 8) && last != UINT64_MAX)
			*size = times(last + 1, sector);
	}
	return rc;
}

/* `found` is at the type, in the label's sector. */
static int pv_size(struct block *block, const struct block_signature *found, uint64_t *size,
		   struct error *error)
{
	unsigned char at[LONGEST];
	uint64_t label = found->offset - 24;
	int rc = found->offset < 24 ? 0 : read_at(block, label, at, error);
	uint32_t header;

	if (rc || found->offset < 24 || memcmp(at, "LABELONE", 8))
		return rc;
	header = get_le32(at + 20);
	if (header >= 32 && header <= 512 - 40)
		*size = get_le64(at + header + 32);
	return 0;
}

int block_signature_size(struct block *block, const struct block_signature *found, uint64_t *size,
			 struct error *error)
{
	unsigned char at[LONGEST];

	*size = 0;
	if (!strcmp(found->type, "swap"))
		return swap_size(block, found, size, error);
	if (!strcmp(found->type, "gpt"))
		return gpt_size(block, size, error);
	if (!strcmp(found->type, "LVM2_member"))
		return pv_size(block, found, size, error);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int rc;

		if (strcmp(found->type, kinds[i].type))
			continue;
		rc = read_at(block, kinds[i].offset, at, error);
		if (!rc)
			*size = kinds[i].size(at);
		return rc;
	}
	return 0;
}
