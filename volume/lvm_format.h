/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What LVM2 puts on a physical volume, byte for byte; all integers are little-endian.
 *
 *	sector 0..3    label (normally sector 1): label_header, pv_header, lists of areas, extension
 *	4096           metadata area: a header of one sector, then a ring of text
 *	pe_start       extents
 *	(device end)   optionally a second metadata area
 *
 * Sources: lvm2 lib/label/label.h, lib/format_text/layout.h, lib/misc/crc.h.
 */
#ifndef TENON_VOLUME_LVM_FORMAT_H
#define TENON_VOLUME_LVM_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define LVM_SECTOR_SIZE        512
#define LVM_LABEL_SCAN_SECTORS 4
#define LVM_LABEL_SCAN_SIZE    (LVM_LABEL_SCAN_SECTORS * LVM_SECTOR_SIZE)
#define LVM_LABEL_ID           "LABELONE"
#define LVM_LABEL_TYPE         "LVM2 001"
#define LVM_UUID_LENGTH        32 /* on disk, without hyphens or NUL */

#define LVM_CRC_INITIAL 0xf597a6cfu

#define LVM_METADATA_MAGIC     "\040LVM2\040x[5A%r0N*>"
#define LVM_METADATA_VERSION   1
#define LVM_METADATA_HEADER    512 /* bytes; the text ring follows */
#define LVM_METADATA_ALIGNMENT 512 /* of the start of a text */
#define LVM_METADATA_SIZE_MIN  (8 * 4096)

#define LVM_EXTENSION_VERSION 2
#define LVM_EXTENSION_USED    1u /* the PV belongs to a group, whether or not its metadata is here */

#define LVM_SLOT_IGNORED 1u /* in slot 0: the area is not used for the group's metadata */

/* At the start of the label's sector. The CRC covers the sector from `offset` on. */
struct lvm_label_header {
	uint8_t id[8];
	uint64_t sector; /* its own */
	uint32_t crc;
	uint32_t offset; /* of the lvm_pv_header, from the start of this */
	uint8_t type[8];
} __attribute__((packed));

static_assert(sizeof(struct lvm_label_header) == 32, "label header");
static_assert(offsetof(struct lvm_label_header, offset) == 20, "what the label CRC covers");

/* Bytes from the start of the device. A list of them ends with one of offset 0. */
struct lvm_disk_location {
	uint64_t offset;
	uint64_t size; /* 0: to the end */
} __attribute__((packed));

static_assert(sizeof(struct lvm_disk_location) == 16, "disk location");

struct lvm_pv_header {
	uint8_t uuid[LVM_UUID_LENGTH];
	uint64_t device_size; /* bytes */
	/* a list of data areas, a list of metadata areas, then struct lvm_pv_extension */
	struct lvm_disk_location areas[];
} __attribute__((packed));

static_assert(sizeof(struct lvm_pv_header) == 40, "pv header");

struct lvm_pv_extension {
	uint32_t version; /* 0: there is none */
	uint32_t flags;
	struct lvm_disk_location bootloader[]; /* a list */
} __attribute__((packed));

static_assert(sizeof(struct lvm_pv_extension) == 8, "pv header extension");

/* Where a text lies: bytes from the start of the metadata area. */
struct lvm_raw_location {
	uint64_t offset;
	uint64_t size; /* with the NUL that ends the text */
	uint32_t crc;  /* of `size` bytes */
	uint32_t flags;
} __attribute__((packed));

static_assert(sizeof(struct lvm_raw_location) == 24, "raw location");

/* The first sector of a metadata area. The CRC covers the sector from `magic` on. */
struct lvm_metadata_header {
	uint32_t crc;
	uint8_t magic[16];
	uint32_t version;
	uint64_t start; /* of this area on the device */
	uint64_t size;
	struct lvm_raw_location slots[2]; /* committed, precommitted */
} __attribute__((packed));

static_assert(offsetof(struct lvm_metadata_header, magic) == 4, "what the header CRC covers");
static_assert(offsetof(struct lvm_metadata_header, slots) == 40, "first slot");
static_assert(sizeof(struct lvm_metadata_header) <= LVM_METADATA_HEADER, "one sector");

#endif
