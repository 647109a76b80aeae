/* SPDX-License-Identifier: BSD-2-Clause */
/* The label of a physical volume; see lvm_label.h. */
#include "volume/lvm_label.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"

#define LABEL_FIELD(sector, field) ((sector) + offsetof(struct lvm_label_header, field))

/* Without their NULs. */
static const char label_id[8] = LVM_LABEL_ID;
static const char label_type[8] = LVM_LABEL_TYPE;

static uint32_t label_crc(const uint8_t *sector)
{
	size_t from = offsetof(struct lvm_label_header, offset);

	return lvm_crc(LVM_CRC_INITIAL, sector + from, LVM_SECTOR_SIZE - from);
}

/* Reads a list of locations at *at in the sector, moves *at behind its end. False when it runs out of
 * the sector or has more than LVM_LABEL_AREAS. */
static bool read_list(const uint8_t *sector, size_t *at, struct lvm_location *out, unsigned *count)
{
	for (*count = 0;; (*count)++) {
		uint64_t offset;

		if (!range_within(*at, sizeof(struct lvm_disk_location), LVM_SECTOR_SIZE))
			return false;
		offset = get_le64(sector + *at);
		if (offset && *count == LVM_LABEL_AREAS)
			return false;
		if (offset) {
			out[*count].offset = offset;
			out[*count].size = get_le64(sector + *at + 8);
		}
		*at += sizeof(struct lvm_disk_location);
		if (!offset)
			return true;
	}
}

static int decode_areas(const uint8_t *sector, size_t at, const char *name, struct lvm_label *out,
			struct error *error)
{
	unsigned long long byte = out->sector * (unsigned long long)LVM_SECTOR_SIZE;

	if (!read_list(sector, &at, out->data, &out->data_count))
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: the list of data areas does not end",
				 name, byte);
	if (!read_list(sector, &at, out->metadata, &out->metadata_count))
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: the list of metadata areas does not "
				 "end",
				 name, byte);
	/* Labels of before 2.02.99 end here. */
	if (!range_within(at, sizeof(struct lvm_pv_extension), LVM_SECTOR_SIZE))
		return 1;
	out->extension_version = get_le32(sector + at);
	if (!out->extension_version)
		return 1;
	out->extension_flags = get_le32(sector + at + 4);
	at += sizeof(struct lvm_pv_extension);
	if (!read_list(sector, &at, out->bootloader, &out->bootloader_count))
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: the list of bootloader areas does "
				 "not end",
				 name, byte);
	return 1;
}

/* Decodes one sector that begins with LABELONE and has the type of LVM2. */
static int decode_sector(const uint8_t *sector, unsigned number, const char *name,
			 struct lvm_label *out, struct error *error)
{
	unsigned long long byte = number * (unsigned long long)LVM_SECTOR_SIZE;
	uint64_t own = get_le64(LABEL_FIELD(sector, sector));
	uint32_t crc = get_le32(LABEL_FIELD(sector, crc));
	uint32_t offset = get_le32(LABEL_FIELD(sector, offset));

	if (own != number)
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: sector number is %llu, expected %u",
				 name, byte, (unsigned long long)own, number);
	if (crc != label_crc(sector))
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: CRC is 0x%08x, expected 0x%08x",
				 name, byte, crc, label_crc(sector));
	if (offset < sizeof(struct lvm_label_header) ||
	    !range_within(offset, sizeof(struct lvm_pv_header), LVM_SECTOR_SIZE))
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: PV header at %u, expected 32 to %zu",
				 name, byte, offset,
				 LVM_SECTOR_SIZE - sizeof(struct lvm_pv_header));
	memset(out, 0, sizeof(*out));
	out->sector = number;
	if (!lvm_uuid_from_disk(out->uuid, sector + offset))
		return error_set(error, -EBADMSG,
				 "%s: LVM2 label at byte %llu: the PV's UUID has characters that a "
				 "UUID cannot have",
				 name, byte);
	out->device_size = get_le64(sector + offset + offsetof(struct lvm_pv_header, device_size));
	return decode_areas(sector, offset + sizeof(struct lvm_pv_header), name, out, error);
}

int lvm_label_decode(const void *at, size_t length, const char *name, struct lvm_label *out,
		     struct error *error)
{
	int damaged = 0;

	for (unsigned i = 0; i < LVM_LABEL_SCAN_SECTORS; i++) {
		const uint8_t *sector = (const uint8_t *)at + i * LVM_SECTOR_SIZE;
		struct error ignored;
		int rc;

		if ((i + 1) * (size_t)LVM_SECTOR_SIZE > length)
			break;
		if (memcmp(LABEL_FIELD(sector, id), label_id, sizeof(label_id)) ||
		    memcmp(LABEL_FIELD(sector, type), label_type, sizeof(label_type)))
			continue;
		/* As in lvm2 the first good one counts, and the first damaged one is told of. */
		rc = decode_sector(sector, i, name, out, damaged ? &ignored : error);
		if (rc > 0) {
			if (damaged && error)
				memset(error, 0, sizeof(*error));
			return rc;
		}
		damaged = rc;
	}
	return damaged;
}

int lvm_label_read(struct block *block, struct lvm_label *out, struct error *error)
{
	uint8_t head[LVM_LABEL_SCAN_SIZE];
	size_t length = MIN(block->size, sizeof(head));
	int rc;

	length -= length % LVM_SECTOR_SIZE;
	rc = lvm_read(block, 0, head, length, error);
	if (rc)
		return rc;
	return lvm_label_decode(head, length, block->name, out, error);
}

static size_t write_list(uint8_t *sector, size_t at, const struct lvm_location *list,
			 unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		put_le64(sector + at, list[i].offset);
		put_le64(sector + at + 8, list[i].size);
		at += sizeof(struct lvm_disk_location);
	}
	memset(sector + at, 0, sizeof(struct lvm_disk_location));
	return at + sizeof(struct lvm_disk_location);
}

void lvm_label_encode(const struct lvm_label *label, uint8_t sector[LVM_SECTOR_SIZE])
{
	size_t at = sizeof(struct lvm_label_header);

	memset(sector, 0, LVM_SECTOR_SIZE);
	memcpy(LABEL_FIELD(sector, id), label_id, sizeof(label_id));
	memcpy(LABEL_FIELD(sector, type), label_type, sizeof(label_type));
	put_le64(LABEL_FIELD(sector, sector), label->sector);
	put_le32(LABEL_FIELD(sector, offset), (uint32_t)at);
	lvm_uuid_to_disk(sector + at, label->uuid);
	put_le64(sector + at + offsetof(struct lvm_pv_header, device_size), label->device_size);
	at += sizeof(struct lvm_pv_header);
	at = write_list(sector, at, label->data, label->data_count);
	at = write_list(sector, at, label->metadata, label->metadata_count);
	put_le32(sector + at, LVM_EXTENSION_VERSION);
	put_le32(sector + at + 4, label->extension_flags);
	write_list(sector, at + sizeof(struct lvm_pv_extension), label->bootloader,
		   label->bootloader_count);
	put_le32(LABEL_FIELD(sector, crc), label_crc(sector));
}

int lvm_label_write(struct block *block, const struct lvm_label *label, struct error *error)
{
	uint8_t sector[LVM_SECTOR_SIZE];

	lvm_label_encode(label, sector);
	return lvm_write(block, (uint64_t)label->sector * LVM_SECTOR_SIZE, sector, sizeof(sector),
			 error);
}

uint64_t lvm_label_data_end(const struct lvm_label *label, uint64_t size)
{
	uint64_t end = size;

	if (label->data[0].size && range_within(label->data[0].offset, label->data[0].size, size))
		end = label->data[0].offset + label->data[0].size;
	for (unsigned i = 0; i < label->metadata_count; i++)
		if (label->metadata[i].offset > label->data[0].offset)
			end = MIN(end, label->metadata[i].offset);
	return end;
}
