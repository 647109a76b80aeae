/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata areas; see lvm_metadata_area.h. */
#include "volume/lvm_metadata_area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/large.h"
#include "volume/lvm_io.h"

#define WRITE_STEP (512u << 10)
#define ROOM       4096u /* behind a text that is read: the largest logical block */

#define HEADER_FIELD(sector, field) ((sector) + offsetof(struct lvm_metadata_header, field))

/* Without its NUL. */
static const char header_magic[16] = LVM_METADATA_MAGIC;

static uint32_t header_crc(const uint8_t *sector)
{
	size_t from = offsetof(struct lvm_metadata_header, magic);

	return lvm_crc(LVM_CRC_INITIAL, sector + from, LVM_METADATA_HEADER - from);
}

static uint32_t get_slot(const uint8_t *at, struct lvm_slot *slot)
{
	slot->offset = get_le64(at + offsetof(struct lvm_raw_location, offset));
	slot->size = get_le64(at + offsetof(struct lvm_raw_location, size));
	slot->crc = get_le32(at + offsetof(struct lvm_raw_location, crc));
	return get_le32(at + offsetof(struct lvm_raw_location, flags));
}

static void put_slot(uint8_t *at, const struct lvm_slot *slot, uint32_t flags)
{
	put_le64(at + offsetof(struct lvm_raw_location, offset), slot->offset);
	put_le64(at + offsetof(struct lvm_raw_location, size), slot->size);
	put_le32(at + offsetof(struct lvm_raw_location, crc), slot->crc);
	put_le32(at + offsetof(struct lvm_raw_location, flags), flags);
}

int lvm_metadata_area_decode(const uint8_t sector[LVM_METADATA_HEADER],
			     const struct lvm_location *where, const char *name,
			     struct lvm_metadata_area *out, struct error *error)
{
	unsigned long long byte = where->offset;
	uint32_t crc = get_le32(HEADER_FIELD(sector, crc));
	uint32_t version = get_le32(HEADER_FIELD(sector, version));

	memset(out, 0, sizeof(*out));
	if (memcmp(HEADER_FIELD(sector, magic), header_magic, sizeof(header_magic)))
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: wrong magic in its header", name,
				 byte);
	if (crc != header_crc(sector))
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: header CRC is 0x%08x, expected "
				 "0x%08x",
				 name, byte, crc, header_crc(sector));
	if (version != LVM_METADATA_VERSION)
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: version is %u, expected %u", name,
				 byte, version, LVM_METADATA_VERSION);
	out->start = get_le64(HEADER_FIELD(sector, start));
	out->size = get_le64(HEADER_FIELD(sector, size));
	if (out->start != where->offset)
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: its header gives its start as "
				 "%llu",
				 name, byte, (unsigned long long)out->start);
	if (out->size < 2 * LVM_METADATA_HEADER || out->size > (uint64_t)INT64_MAX)
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: size is %llu, expected at least "
				 "%u",
				 name, byte, (unsigned long long)out->size,
				 2 * LVM_METADATA_HEADER);
	out->ignored = get_slot(HEADER_FIELD(sector, slots[0]), &out->committed) & LVM_SLOT_IGNORED;
	get_slot(HEADER_FIELD(sector, slots[1]), &out->precommitted);
	return 0;
}

void lvm_metadata_area_encode(const struct lvm_metadata_area *area,
			      uint8_t sector[LVM_METADATA_HEADER])
{
	memset(sector, 0, LVM_METADATA_HEADER);
	memcpy(HEADER_FIELD(sector, magic), header_magic, sizeof(header_magic));
	put_le32(HEADER_FIELD(sector, version), LVM_METADATA_VERSION);
	put_le64(HEADER_FIELD(sector, start), area->start);
	put_le64(HEADER_FIELD(sector, size), area->size);
	put_slot(HEADER_FIELD(sector, slots[0]), &area->committed,
		 area->ignored ? LVM_SLOT_IGNORED : 0);
	put_slot(HEADER_FIELD(sector, slots[1]), &area->precommitted, 0);
	put_le32(HEADER_FIELD(sector, crc), header_crc(sector));
}

int lvm_metadata_area_read(struct block *block, const struct lvm_location *where,
			   struct lvm_metadata_area *out, struct error *error)
{
	uint8_t sector[LVM_METADATA_HEADER];
	int rc = lvm_read(block, where->offset, sector, sizeof(sector), error);

	if (!rc)
		rc = lvm_metadata_area_decode(sector, where, block->name, out, error);
	if (!rc && !range_within(out->start, out->size, block->size))
		rc = error_set(error, -EBADMSG,
			       "%s: metadata area at byte %llu: size is %llu, the device ends at "
			       "%llu",
			       block->name, (unsigned long long)out->start,
			       (unsigned long long)out->size, (unsigned long long)block->size);
	return rc;
}

int lvm_metadata_area_write(struct block *block, const struct lvm_metadata_area *area,
			    struct error *error)
{
	uint8_t sector[LVM_METADATA_HEADER];

	lvm_metadata_area_encode(area, sector);
	return lvm_write(block, area->start, sector, sizeof(sector), error);
}

int lvm_slot_check(const struct lvm_metadata_area *area, const struct lvm_slot *slot,
		   const char *name, struct error *error)
{
	uint64_t ring = area->size - LVM_METADATA_HEADER;

	if (slot->offset < LVM_METADATA_HEADER || slot->offset >= area->size)
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: the text begins at %llu, "
				 "expected %u to %llu",
				 name, (unsigned long long)area->start,
				 (unsigned long long)slot->offset, LVM_METADATA_HEADER,
				 (unsigned long long)area->size);
	if (!slot->size || slot->size > ring || slot->size > LVM_METADATA_TEXT_MAX)
		return error_set(error, -EBADMSG,
				 "%s: metadata area at byte %llu: the text has %llu bytes, "
				 "expected 1 to %llu",
				 name, (unsigned long long)area->start,
				 (unsigned long long)slot->size,
				 (unsigned long long)MIN(ring, LVM_METADATA_TEXT_MAX));
	return 0;
}

bool lvm_slot_equal(const struct lvm_slot *a, const struct lvm_slot *b)
{
	return a->size == b->size && (!a->size || (a->offset == b->offset && a->crc == b->crc));
}

/* In whole blocks where it can be, so that nobody below has to copy; there is ROOM behind what is asked for. */
static int read_part(struct block *block, uint64_t offset, char *at, uint64_t length,
		     struct error *error)
{
	uint64_t whole = round_up(length, block->logical_block_size);

	if (offset % block->logical_block_size || !range_within(offset, whole, block->size))
		whole = length;
	return lvm_read(block, offset, at, whole, error);
}

/* The bytes of a slot, and their CRC, whether it is right or not. */
static int read_slot(struct block *block, const struct lvm_metadata_area *area,
		     const struct lvm_slot *slot, char **text, uint32_t *crc, struct error *error)
{
	uint64_t first, where = area->start + slot->offset;
	CLEANUP_FREE char *at = NULL;
	int rc = lvm_slot_check(area, slot, block->name, error);

	if (rc)
		return rc;
	at = large_alloc(round_up(slot->size + 1, ROOM) + ROOM);
	if (!at)
		return error_set(error, -ENOMEM, "%s: no memory for %llu bytes of metadata",
				 block->name, (unsigned long long)slot->size);
	first = MIN(slot->size, area->size - slot->offset);
	rc = read_part(block, where, at, first, error);
	if (!rc && slot->size > first)
		rc = read_part(block, area->start + LVM_METADATA_HEADER, at + first,
			       slot->size - first, error);
	if (rc)
		return rc;
	at[slot->size] = '\0';
	*crc = lvm_crc(LVM_CRC_INITIAL, at, slot->size);
	*text = steal_pointer(&at);
	return 0;
}

int lvm_metadata_text_crc(struct block *block, const struct lvm_metadata_area *area,
			  const struct lvm_slot *slot, uint32_t *crc, struct error *error)
{
	CLEANUP_FREE char *text = NULL;

	return read_slot(block, area, slot, &text, crc, error);
}

int lvm_metadata_text_read(struct block *block, const struct lvm_metadata_area *area,
			   const struct lvm_slot *slot, char **text, size_t *size,
			   struct error *error)
{
	uint64_t where = area->start + slot->offset;
	CLEANUP_FREE char *at = NULL;
	uint32_t crc;
	int rc = read_slot(block, area, slot, &at, &crc, error);

	if (rc)
		return rc;
	if (crc != slot->crc)
		return error_set(error, -EBADMSG,
				 "%s: metadata text at byte %llu: CRC is 0x%08x, expected 0x%08x",
				 block->name, (unsigned long long)where, crc, slot->crc);
	*size = strlen(at);
	*text = steal_pointer(&at);
	return 0;
}

/* The sector after the committed text, or the first of the ring (format-text.c _next_rlocn_offset). */
static uint64_t next_offset(const struct lvm_metadata_area *area)
{
	const struct lvm_slot *old = &area->committed;
	uint64_t end;

	if (!old->size || area->ignored || lvm_slot_check(area, old, "", NULL))
		return LVM_METADATA_HEADER;
	end = old->offset + old->size;
	if (end > area->size)
		end = end - area->size + LVM_METADATA_HEADER;
	end = round_up(end, LVM_METADATA_ALIGNMENT);
	if (end > area->size - LVM_METADATA_ALIGNMENT)
		return LVM_METADATA_HEADER;
	return end;
}

/* How many bytes of the ring a text of `size` bytes at `offset` takes, with the rest of its last
 * sector, which is zeroed. */
static uint64_t bytes_written(const struct lvm_metadata_area *area, uint64_t offset, uint64_t size)
{
	uint64_t first = area->size - offset;

	if (size <= first)
		return MIN(round_up(size, LVM_METADATA_ALIGNMENT), first);
	return first + round_up(size - first, LVM_METADATA_ALIGNMENT);
}

/* Whether what is written for a text at `offset` keeps off the committed one. Both may wrap: so both
 * are measured along the ring from the start of the committed text. */
static bool clear_of_committed(const struct lvm_metadata_area *area, uint64_t offset, uint64_t size)
{
	uint64_t ring = area->size - LVM_METADATA_HEADER;
	uint64_t old = area->committed.offset;
	uint64_t distance;

	if (!area->committed.size || area->ignored ||
	    lvm_slot_check(area, &area->committed, "", NULL))
		return size <= ring;
	distance = offset >= old ? offset - old : ring - (old - offset);
	return distance >= area->committed.size &&
	       bytes_written(area, offset, size) <= ring - distance;
}

int lvm_metadata_place(const struct lvm_metadata_area *area, uint64_t size, const char *name,
		       uint64_t *offset, struct error *error)
{
	uint64_t half = (area->size - LVM_METADATA_HEADER) / 2;
	uint64_t most = half > LVM_METADATA_ALIGNMENT ? half - LVM_METADATA_ALIGNMENT : 0;

	*offset = next_offset(area);
	if (size > most || !clear_of_committed(area, *offset, size)) {
		error_set(error, -ENOSPC,
			  "%s: metadata area at byte %llu: the metadata has %llu bytes, there is "
			  "room for %llu",
			  name, (unsigned long long)area->start, (unsigned long long)size,
			  (unsigned long long)most);
		error_advise(error, "remove volumes or tags, or make the group anew with larger "
				    "metadata areas");
		return -ENOSPC;
	}
	return 0;
}

/* A text of megabytes is not to hold up others by being copied at once. */
static int write_in_steps(struct block *block, uint64_t offset, const char *at, uint64_t length,
			  struct error *error)
{
	int rc = 0;

	for (uint64_t done = 0; !rc && done < length; done += WRITE_STEP)
		rc = lvm_write(block, offset + done, at + done,
			       MIN((uint64_t)WRITE_STEP, length - done), error);
	return rc;
}

int lvm_metadata_text_write(struct block *block, const struct lvm_metadata_area *area,
			    uint64_t offset, const char *text, uint64_t size, struct error *error)
{
	uint64_t first = MIN(size, area->size - offset);
	bool wraps = size > first;
	uint64_t last_at = wraps ? LVM_METADATA_HEADER : offset;
	uint64_t last_size = wraps ? size - first : first;
	uint64_t padded = bytes_written(area, offset, size) - (wraps ? first : 0);
	uint64_t whole = last_size - last_size % WRITE_STEP;
	const char *last = text + (size - last_size);
	CLEANUP_FREE char *end = calloc(1, padded - whole + 1);
	int rc = 0;

	if (!end)
		return error_set(error, -ENOMEM, "%s: no memory to write metadata", block->name);
	memcpy(end, last + whole, last_size - whole);
	if (wraps)
		rc = write_in_steps(block, area->start + offset, text, first, error);
	if (!rc)
		rc = write_in_steps(block, area->start + last_at, last, whole, error);
	if (!rc && padded > whole)
		rc = lvm_write(block, area->start + last_at + whole, end, padded - whole, error);
	return rc;
}
