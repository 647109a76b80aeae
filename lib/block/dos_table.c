/* SPDX-License-Identifier: BSD-2-Clause */
/* See dos_table.h. */
#include "block/dos_table.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"

#define SECTOR      512u
#define SECTOR_MOST 4096u
#define ENTRIES     446
#define ENTRY       16u
#define DISK_ID     440
#define CHAIN_MOST  100u /* also of what adds no partition */

static const struct {
	uint8_t type;
	const char *name;
} types[] = {
	{ 0x01, "FAT12" },
	{ 0x04, "FAT16" },
	{ 0x06, "FAT16" },
	{ 0x07, "NTFS or exFAT" },
	{ 0x0b, "FAT32" },
	{ 0x0c, "FAT32" },
	{ 0x0e, "FAT16" },
	{ 0x05, "extended" },
	{ 0x0f, "extended" },
	{ 0x85, "extended" },
	{ 0x82, "Linux swap" },
	{ 0x83, "Linux" },
	{ 0x8e, "Linux LVM" },
	{ 0xea, "Linux extended boot" },
	{ DOS_PROTECTIVE, "protective of a GPT" },
	{ 0xef, "EFI system" },
	{ 0xfd, "Linux RAID" },
	{ 0xa5, "FreeBSD" },
};

const char *dos_type_name(uint8_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return NULL;
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* `at` in sectors of 512, on the disk. */
static int read_dos_sector(struct block *block, uint64_t at, uint8_t table[SECTOR],
			   struct error *error)
{
	uint8_t whole[SECTOR_MOST];
	uint32_t unit = block->logical_block_size;
	uint64_t from = round_down(at * SECTOR, unit);
	int rc = unit <= SECTOR_MOST ? block_read(block, from, whole, unit) : -EINVAL;

	if (rc)
		return error_set(error, rc, "%s: reading sector %llu: %s", block->name,
				 (unsigned long long)at, error_name(rc));
	memcpy(table, whole + (at * SECTOR - from), SECTOR);
	return 0;
}

static bool is_table(const uint8_t table[SECTOR])
{
	return table[510] == 0x55 && table[511] == 0xaa;
}

static void take_entry(struct dos_table *table, unsigned number, const uint8_t *entry,
		       uint64_t base)
{
	if (table->count == DOS_MOST)
		return;
	table->partitions[table->count++] = (struct dos_partition){
		.number = number,
		.type = entry[4],
		.active = entry[0] == 0x80,
		.extended = number < 5 && is_extended(entry[4]),
		.start = (base + get_le32(entry + 8)) * SECTOR,
		.length = (uint64_t)get_le32(entry + 12) * SECTOR,
	};
}

/* Each link has a partition, relative to itself, and the next link, relative to the first. */
static int follow(struct block *block, struct dos_table *table, uint64_t first, struct error *error)
{
	uint64_t at = first;
	unsigned number = 5;

	for (unsigned step = 0; step < CHAIN_MOST; step++) {
		uint8_t link[SECTOR];
		uint64_t next = 0;
		int rc;

		if (!range_within(at * SECTOR, SECTOR, block->size))
			return 0;
		rc = read_dos_sector(block, at, link, error);
		if (rc || !is_table(link))
			return rc;
		for (unsigned i = 0; i < 4; i++) {
			const uint8_t *entry = link + ENTRIES + ENTRY * i;

			if (is_extended(entry[4]) && get_le32(entry + 12))
				next = next ? next : first + get_le32(entry + 8);
			else if (entry[4] && get_le32(entry + 12))
				take_entry(table, number++, entry, at);
		}
		/* A chain that bites its tail ends there. */
		if (next <= at)
			return 0;
		at = next;
	}
	return 0;
}

int dos_table_read(struct block *block, struct dos_table *table, struct error *error)
{
	uint8_t sector[SECTOR];
	unsigned used = 0, extended = 0;
	int rc;

	*table = (struct dos_table){ 0 };
	if (block->size < SECTOR)
		return 0;
	rc = read_dos_sector(block, 0, sector, error);
	if (rc || !is_table(sector) || !memcmp(sector + 54, "FAT", 3) ||
	    !memcmp(sector + 82, "FAT32", 5) || !memcmp(sector + 3, "NTFS", 4))
		return rc;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *entry = sector + ENTRIES + ENTRY * i;

		/* Boot code of a file system is where entries are. */
		if (entry[0] & 0x7f)
			return 0;
		if (!entry[4] || !get_le32(entry + 12))
			continue;
		take_entry(table, i + 1, entry, 0);
		used++;
		if (is_extended(entry[4]) && !extended)
			extended = get_le32(entry + 8);
	}
	table->id = get_le32(sector + DISK_ID);
	if (used && extended)
		rc = follow(block, table, extended, error);
	return rc ? rc : used > 0;
}

int dos_table_resize(struct block *block, const struct dos_table *table, unsigned number,
		     uint64_t length, struct error *error)
{
	uint8_t whole[SECTOR_MOST];
	uint32_t unit = block->logical_block_size;
	const struct dos_partition *found = NULL;
	uint8_t *entry;
	int rc;

	for (unsigned i = 0; i < table->count; i++)
		if (table->partitions[i].number == number)
			found = &table->partitions[i];
	if (!found || number > 4 || number < 1 || found->extended || unit > SECTOR_MOST ||
	    !range_within(found->start, length, block->size))
		return -EINVAL;
	rc = block_read(block, 0, whole, unit);
	entry = whole + ENTRIES + ENTRY * (number - 1);
	/* Its sectors are counted in 32 bits. */
	put_le32(entry + 12, (uint32_t)MIN(length / SECTOR, (uint64_t)UINT32_MAX));
	/* Cylinders, heads and sectors are out of reach, as all tools say. */
	memcpy(entry + 5, "\xfe\xff\xff", 3);
	if (!rc)
		rc = block_write(block, 0, whole, unit, 0);
	if (!rc)
		rc = block_flush(block);
	return rc ? error_set(error, rc, "%s: writing its partition table: %s", block->name,
			      error_name(rc))
		  : 0;
}
