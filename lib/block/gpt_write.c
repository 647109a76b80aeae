/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See gpt.h: making and writing.
 *
 * A table that is replaced by a larger one is at any time whole in one copy at least: the new backup does not lie where the
 * old one does, and is durable before the primary changes.
 */
#include <errno.h>
#include <isa-l.h>
#include <string.h>
#include <uuid/uuid.h>

#include "block/block.h"
#include "block/gpt.h"
#include "block/gpt_format.h"
#include "util/bytes.h"
#include "util/error.h"

/* A new id: the first three fields of a GUID are little-endian on disks. */
static void make_id(uint8_t id[16])
{
	uuid_t uuid;

	uuid_generate_random(uuid);
	put_le32(id, get_be32(uuid));
	put_le16(id + 4, get_be16(uuid + 4));
	put_le16(id + 6, get_be16(uuid + 6));
	memcpy(id + 8, uuid + 8, 8);
}

static uint8_t *entry_at(const struct gpt *gpt, uint32_t index)
{
	return gpt->entries + (size_t)index * gpt->entry_size;
}

/* The end of all partitions, in sectors: the first one behind them. */
static uint64_t used_end(const struct gpt *gpt)
{
	uint64_t end = gpt->first_usable;

	for (uint32_t i = 0; i < gpt->count; i++)
		if (!bytes_all_zero(entry_at(gpt, i), 16))
			end = MAX(end, get_le64(entry_at(gpt, i) + GPT_LAST) + 1);
	return end;
}

int gpt_fit(struct gpt *gpt, uint64_t size)
{
	uint64_t sectors = size / gpt->sector_size;
	uint64_t list = gpt_list_sectors(gpt->count, gpt->entry_size, gpt->sector_size);

	if (gpt->entries_at + list > gpt->first_usable)
		return -EINVAL;
	if (sectors < used_end(gpt) + list + 1)
		return -ENOSPC;
	gpt->backup_at = sectors - 1;
	gpt->last_usable = sectors - list - 2;
	return 0;
}

int gpt_init(struct gpt *gpt, uint64_t size, uint32_t sector_size)
{
	*gpt = (struct gpt){ .sector_size = sector_size,
			     .count = GPT_ENTRIES,
			     .entry_size = GPT_ENTRY_BYTES,
			     .entries_at = 2 };
	gpt->first_usable = 2 + gpt_list_sectors(gpt->count, gpt->entry_size, sector_size);
	if (size / sector_size <= 2 * gpt->first_usable)
		return -ENOSPC;
	gpt->entries = calloc(1, round_up((uint64_t)gpt->count * gpt->entry_size, sector_size));
	if (!gpt->entries)
		return -ENOMEM;
	make_id(gpt->id);
	return gpt_fit(gpt, size);
}

int gpt_add(struct gpt *gpt, const uint8_t type[16], const char *name, uint64_t length,
	    unsigned *number)
{
	uint64_t unit = GPT_ALIGNMENT / gpt->sector_size;
	uint64_t first = round_up(used_end(gpt), unit), last;
	uint32_t index = 0;
	uint8_t *entry;

	while (index < gpt->count && !bytes_all_zero(entry_at(gpt, index), 16))
		index++;
	if (index == gpt->count || first > gpt->last_usable)
		return -ENOSPC;
	if (length)
		last = first + (length + gpt->sector_size - 1) / gpt->sector_size - 1;
	else if (round_down(gpt->last_usable + 1, unit) > first)
		last = round_down(gpt->last_usable + 1, unit) - 1;
	else
		last = gpt->last_usable;
	if (last > gpt->last_usable)
		return -ENOSPC;
	entry = entry_at(gpt, index);
	memcpy(entry, type, 16);
	make_id(entry + GPT_ID);
	put_le64(entry + GPT_FIRST, first);
	put_le64(entry + GPT_LAST, last);
	for (unsigned i = 0; i < GPT_NAME_UNITS && name[i]; i++)
		put_le16(entry + GPT_ENTRY_NAME + 2 * i, (unsigned char)name[i]);
	*number = index + 1;
	return 0;
}

void gpt_grow_last(struct gpt *gpt, unsigned *number, uint64_t *length)
{
	uint64_t unit = GPT_ALIGNMENT / gpt->sector_size, most = 0;
	uint64_t end = round_down(gpt->last_usable + 1, unit);
	uint8_t *entry = NULL;

	*number = 0;
	*length = 0;
	for (uint32_t i = 0; i < gpt->count; i++) {
		uint8_t *at = entry_at(gpt, i);

		if (bytes_all_zero(at, 16) || (entry && get_le64(at + GPT_LAST) <= most))
			continue;
		entry = at;
		most = get_le64(at + GPT_LAST);
		*number = i + 1;
	}
	if (!entry)
		return;
	put_le64(entry + GPT_LAST, end > most ? end - 1 : most);
	*length = (get_le64(entry + GPT_LAST) - get_le64(entry + GPT_FIRST) + 1) * gpt->sector_size;
}

/* ---- Writing ---- */

/* One copy: its list first, so that no header says more than there is. */
static int write_copy(struct block *block, const struct gpt *gpt, uint64_t at, uint64_t other,
		      uint64_t list)
{
	uint8_t header[GPT_SECTOR_MOST] = { 0 };
	size_t length = (size_t)gpt->count * gpt->entry_size;
	size_t whole =
		gpt_list_sectors(gpt->count, gpt->entry_size, gpt->sector_size) * gpt->sector_size;
	CLEANUP_FREE uint8_t *entries = calloc(1, whole);
	int rc;

	if (!entries)
		return -ENOMEM;
	memcpy(entries, gpt->entries, length);
	memcpy(header, GPT_MAGIC, 8);
	put_le32(header + GPT_REVISION_AT, GPT_REVISION);
	put_le32(header + GPT_HEADER_SIZE, GPT_HEADER_BYTES);
	put_le64(header + GPT_AT, at);
	put_le64(header + GPT_OTHER, other);
	put_le64(header + GPT_FIRST_USABLE, gpt->first_usable);
	put_le64(header + GPT_LAST_USABLE, gpt->last_usable);
	memcpy(header + GPT_DISK_ID, gpt->id, 16);
	put_le64(header + GPT_ENTRIES_AT, list);
	put_le32(header + GPT_COUNT, gpt->count);
	put_le32(header + GPT_ENTRY_SIZE, gpt->entry_size);
	put_le32(header + GPT_LIST_CRC, crc32_gzip_refl(0, gpt->entries, length));
	put_le32(header + GPT_HEADER_CRC, crc32_gzip_refl(0, header, GPT_HEADER_BYTES));
	rc = block_write(block, list * gpt->sector_size, entries, whole, 0);
	if (!rc)
		rc = block_flush(block);
	if (!rc)
		rc = block_write(block, at * gpt->sector_size, header, gpt->sector_size, 0);
	return rc ? rc : block_flush(block);
}

/* UEFI 5.2.3: one partition that covers the disk, as far as 32 bits reach. A hybrid one, with others beside it, is left
 * as it is. */
static int write_protection(struct block *block, const struct gpt *gpt)
{
	uint8_t sector[GPT_SECTOR_MOST];
	uint64_t length = gpt->backup_at;
	uint8_t *entry = sector + 446;
	int rc = block_read(block, 0, sector, gpt->sector_size);

	if (rc)
		return rc;
	if (!bytes_all_zero(entry + 16, 48) && sector[510] == 0x55 && sector[511] == 0xaa)
		return 0;
	memcpy(entry, "\0\0\2\0\xee\xff\xff\xff\1\0\0\0", 12);
	put_le32(entry + 12, (uint32_t)MIN(length, (uint64_t)UINT32_MAX));
	memset(entry + 16, 0, 48);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	rc = block_write(block, 0, sector, gpt->sector_size, 0);
	return rc ? rc : block_flush(block);
}

int gpt_write(struct block *block, const struct gpt *gpt, struct error *error)
{
	uint64_t list = gpt_list_sectors(gpt->count, gpt->entry_size, gpt->sector_size);
	int rc = write_copy(block, gpt, gpt->backup_at, 1, gpt->backup_at - list);

	if (!rc)
		rc = write_copy(block, gpt, 1, gpt->backup_at, gpt->entries_at);
	if (!rc)
		rc = write_protection(block, gpt);
	return rc ? error_set(error, rc, "%s: writing its partition table: %s", block->name,
			      error_name(rc))
		  : 0;
}
