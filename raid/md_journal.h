/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write journal of RAID4, 5 and 6 on disk, which has a device of its own: a ring of blocks of 4 KiB. A meta block says what the blocks
 * behind it are: data and parity that were on their way to the array, or that stripes have got there. Meta
 * blocks follow one another with sequence numbers; the superblock says where the first is that counts.
 *
 * Sources: include/uapi/linux/raid/md_p.h, drivers/md/raid5-cache.c of Linux 6.1. Little-endian.
 */
#ifndef TENON_RAID_MD_JOURNAL_H
#define TENON_RAID_MD_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

struct error;

#define MD_JOURNAL_BLOCK   4096u
#define MD_JOURNAL_SECTORS 8u
#define MD_JOURNAL_HEADER  32u /* bytes before the payloads */

enum md_journal_type { MD_JOURNAL_DATA = 0, MD_JOURNAL_PARITY = 1, MD_JOURNAL_FLUSH = 2 };

struct md_journal_meta {
	uint32_t bytes; /* of the block that are used */
	uint64_t sequence;
	uint64_t position; /* sector from the start of the device's data, its own */
};

/* What one payload says. */
struct md_journal_payload {
	enum md_journal_type type;
	uint16_t flags;
	uint32_t blocks;        /* of the ring, that are its content; 0 for MD_JOURNAL_FLUSH */
	uint64_t location;      /* data: a sector of the array; parity: of the members' data */
	uint32_t checksums[2];  /* of the first blocks; parity of level 6 has two */
	const uint8_t *stripes; /* flush: sectors of the members' data, of 8 bytes each */
	uint32_t stripe_count;
};

/* Of meta block, data and parity alike; of a meta block with its own field taken as 0. */
uint32_t md_journal_checksum(const uint8_t uuid[16], const void *block);

/* 0; -ENOENT without the magic; -EINVAL with `error` set. What it says of sequence and position is for the caller to
 * compare. */
int md_journal_decode(const void *block, const uint8_t uuid[16], struct md_journal_meta *meta,
		      struct error *error);

/* The payload at byte *at of a block that was decoded, and steps over it; begin at MD_JOURNAL_HEADER. 1; 0 at the
 * end; -EINVAL with `error` set. */
int md_journal_next(const void *block, const struct md_journal_meta *meta, uint32_t *at,
		    struct md_journal_payload *payload, struct error *error);

/* Makes a block without payloads; md_journal_add() adds one (false: there is no room), and md_journal_seal() ends it
 * with the checksum. */
void md_journal_begin(void *block, uint64_t sequence, uint64_t position);
int md_journal_add(void *block, const struct md_journal_payload *payload);
void md_journal_seal(void *block, const uint8_t uuid[16]);

#endif
