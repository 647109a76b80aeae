/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A metadata area: one header sector and a ring of text.
 *
 *	+0      header: where the committed text is (slot 0), and the precommitted one (slot 1)
 *	+512    ring: texts of the group, each begun at a sector after the one before, wrapping at the
 *		end of the area to +512
 *
 * A new text never overlaps the committed one, so the old metadata is whole until slot 0 names the
 * new one. lvm_metadata_place() alone decides where it goes and is free of I/O.
 */
#ifndef TENON_VOLUME_LVM_METADATA_AREA_H
#define TENON_VOLUME_LVM_METADATA_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "volume/lvm_label.h"

struct block;
struct error;

/* The most text that is read: no group that LVM2 writes comes near. */
#define LVM_METADATA_TEXT_MAX (32u << 20)

/* Where a text is in the ring; size 0: nowhere. */
struct lvm_slot {
	uint64_t offset; /* from the start of the area */
	uint64_t size;   /* with its NUL */
	uint32_t crc;
};

struct lvm_metadata_area {
	uint64_t start; /* on the device */
	uint64_t size;
	bool ignored; /* holds no metadata of its group */
	struct lvm_slot committed;
	struct lvm_slot precommitted;
};

/* Decodes a header sector of the area that the label puts at `where`. -EBADMSG with `error` set. */
int lvm_metadata_area_decode(const uint8_t sector[LVM_METADATA_HEADER],
			     const struct lvm_location *where, const char *name,
			     struct lvm_metadata_area *out, struct error *error);
void lvm_metadata_area_encode(const struct lvm_metadata_area *area,
			      uint8_t sector[LVM_METADATA_HEADER]);

/* Reads and decodes the header. */
int lvm_metadata_area_read(struct block *block, const struct lvm_location *where,
			   struct lvm_metadata_area *out, struct error *error);
/* Writes it. Does not flush. */
int lvm_metadata_area_write(struct block *block, const struct lvm_metadata_area *area,
			    struct error *error);

/* Whether a slot that holds something is possible in this area: begins in the ring, is not longer than
 * it. -EBADMSG with `error` set. */
int lvm_slot_check(const struct lvm_metadata_area *area, const struct lvm_slot *slot,
		   const char *name, struct error *error);

/* Whether both name the same text, or none. */
bool lvm_slot_equal(const struct lvm_slot *a, const struct lvm_slot *b);

/* Reads the text of a slot and checks its CRC. *text ends with a NUL whatever is on disk; *size counts
 * what was before. The caller frees it. */
int lvm_metadata_text_read(struct block *block, const struct lvm_metadata_area *area,
			   const struct lvm_slot *slot, char **text, size_t *size,
			   struct error *error);

/* The CRC of what is there, right or wrong. */
int lvm_metadata_text_crc(struct block *block, const struct lvm_metadata_area *area,
			  const struct lvm_slot *slot, uint32_t *crc, struct error *error);

/* Where in the ring a text of `size` bytes (with NUL) goes, beside the committed one. -ENOSPC with
 * `error` set when it is larger than half the ring, less a sector. */
int lvm_metadata_place(const struct lvm_metadata_area *area, uint64_t size, const char *name,
		       uint64_t *offset, struct error *error);

/* Writes `text` of `size` bytes (with NUL) at `offset` of the ring. Does not flush. */
int lvm_metadata_text_write(struct block *block, const struct lvm_metadata_area *area,
			    uint64_t offset, const char *text, uint64_t size, struct error *error);

#endif
