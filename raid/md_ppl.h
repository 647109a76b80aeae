/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The partial parity log of RAID5 on disk: one on each member, for the stripes whose P is there.
 *
 * A header of 4 KiB describes what is about to be written, then come the partial parities of its entries, one behind
 * the other. Partial parity is the sum of the blocks of a stripe that a write does not change: with it and with what is on
 * the disks where it writes, whichever of it arrived, P can be made right after a crash without knowing
 * anything else. A write of a whole stripe has none.
 *
 * Only the header with the newest generation counts. In an area of less than twice 132 KiB it is always at the start; in a
 * larger one headers follow one another, each behind the partial parity of the last, and begin again at the start.
 *
 * Sources: include/uapi/linux/raid/md_p.h, drivers/md/raid5-ppl.c of Linux 6.1. Little-endian.
 */
#ifndef TENON_RAID_MD_PPL_H
#define TENON_RAID_MD_PPL_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct raid_geometry;

#define MD_PPL_HEADER_BYTES   4096u
#define MD_PPL_HEADER_SECTORS 8u
#define MD_PPL_ENTRIES_MAX    148u
#define MD_PPL_SPACE_BYTES    (128u << 10) /* of partial parity behind one header, at most */
#define MD_PPL_SECTORS                                                                             \
	2048u /* of a member, as mdadm; the size that a superblock can name is 16 bits */
#define MD_PPL_DISKS_MAX 64u /* the kernel takes no more in an array with such logs */

struct md_ppl_entry {
	uint64_t data_sector; /* of the array: the first that is written */
	uint32_t pp_bytes;    /* partial parity; 0: the whole stripe is written */
	uint32_t data_bytes;  /* that are written, in chunks that follow one another */
	uint32_t parity_disk; /* the role of P */
	uint32_t checksum;    /* of the partial parity */
};

struct md_ppl_header {
	uint32_t signature; /* md_ppl_signature() of the array */
	uint64_t generation;
	uint32_t count;
	struct md_ppl_entry entries[MD_PPL_ENTRIES_MAX];
};

/* CRC-32C as PPL and journal have it, of `length` bytes behind those that `before` is the checksum of (0: none). */
uint32_t md_crc32c(uint32_t before, const void *at, size_t length);

/* What headers of an array carry. */
uint32_t md_ppl_signature(const uint8_t uuid[16]);

/* Decodes a header. 0; -EINVAL with `error` set: its checksum, or a number of entries that has no room. */
int md_ppl_decode(const void *page, struct md_ppl_header *header, struct error *error);
void md_ppl_encode(const struct md_ppl_header *header, void *page);

/* Bytes of partial parity behind a header. */
uint64_t md_ppl_bytes(const struct md_ppl_header *header);

/*
 * Whether an entry fits the array: all in one row, chunks that follow one another, P where the geometry says. Sets what it is
 * about: *row, the first chunk that is written and how many, and the columns of the chunk (sectors). 0, or
 * -EINVAL with `error` set.
 */
struct md_ppl_span {
	uint64_t row;
	uint32_t index, chunks; /* data chunks */
	uint32_t column, count; /* sectors of each of them */
};
int md_ppl_check(const struct md_ppl_entry *entry, const struct raid_geometry *g,
		 struct md_ppl_span *span, struct error *error);

#endif
