/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write-intent bitmap on disk: its super, its size, its bits. How it is used while an array runs is
 * in intent.h.
 */
#ifndef TENON_RAID_MD_BITMAP_H
#define TENON_RAID_MD_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/md_format.h"

struct error;

#define MD_BITMAP_CHUNK_MIN   512u
#define MD_BITMAP_BYTES_MAX   (8u << 20) /* of bits; more would cost too much memory */
#define MD_BITMAP_PAGE        4096u
#define MD_BITMAP_SLEEP       5u                   /* seconds, mdadm's default */
#define MD_BITMAP_CHUNK_USUAL ((uint64_t)64 << 20) /* mdadm's, where the space allows */

struct md_bitmap {
	uint32_t version;
	uint8_t uuid[16];
	uint64_t events, events_cleared;
	uint64_t sync_sectors;
	uint32_t state;
	uint32_t chunk_bytes;
	uint32_t daemon_sleep; /* seconds */
	uint32_t write_behind;
	uint32_t sectors_reserved;
	uint32_t nodes;
};

/* Chunks, thus bits, that cover the sectors. */
uint64_t md_bitmap_chunks(uint64_t sync_sectors, uint32_t chunk_bytes);

/* Bytes on disk, the super included. */
uint64_t md_bitmap_bytes(uint64_t chunks);

/* Decodes the 256 bytes of a super. `room` is how many bytes it may take on disk. 0; -ENOENT without the
 * magic; -EINVAL with `error` set. */
int md_bitmap_decode(const void *super, uint64_t room, struct md_bitmap *bitmap,
		     struct error *error);

void md_bitmap_encode(const struct md_bitmap *bitmap, void *super);

/* The smallest chunk (a power of two, 4096 or more) whose bitmap fits into `room` bytes. */
uint32_t md_bitmap_smallest_chunk(uint64_t sync_sectors, uint64_t room);

/* Bit `chunk` of an image of the bitmap, super included. */
static inline bool md_bitmap_test(const uint8_t *image, uint64_t chunk)
{
	return image[MD_BITMAP_SUPER_BYTES + chunk / 8] & (1u << (chunk % 8));
}

static inline void md_bitmap_put(uint8_t *image, uint64_t chunk, bool set)
{
	uint8_t *byte = &image[MD_BITMAP_SUPER_BYTES + chunk / 8];

	*byte = (uint8_t)(set ? *byte | (1u << (chunk % 8)) : *byte & ~(1u << (chunk % 8)));
}

#endif
