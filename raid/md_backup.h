/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mdadm's backup of what a reshape writes over: data of the array as they were, in a file, or at the end of members that are new. A header of
 * 512 bytes stands 4096 bytes before the data, and on a member again behind them, 4096 bytes from the end of its data. It tells one or
 * two pieces, each of which is whole stripes of both shapes; the second one is `second` sectors behind the first.
 *
 * Its checksum is that of mdadm, which for each byte adds the first one: it tells the magic and nothing more. So the numbers are not to
 * be relied on.
 *
 * Source: struct mdp_backup_super, bsb_csum(), grow_backup() and Grow_restart() of mdadm 4.2's Grow.c.
 */
#ifndef TENON_RAID_MD_BACKUP_H
#define TENON_RAID_MD_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

struct error;

#define MD_BACKUP_BYTES        512u
#define MD_BACKUP_HEADER_BYTES 4096u /* from the header to the data */

/* Sectors of the array. */
struct md_backup_piece {
	uint64_t start, count; /* count 0: none */
};

struct md_backup {
	uint8_t uuid[16];                /* as in bitmaps: see raid_metadata_ops.bitmap_uuid() */
	uint64_t time;                   /* seconds */
	uint64_t data;                   /* sector of the device or file */
	uint64_t second;                 /* sectors from there to the second piece */
	struct md_backup_piece piece[2]; /* the second only where `two` */
	bool two;
};

/* 0; -ENOENT without the magic; -EINVAL with `error` set where a checksum is wrong, or pieces cannot be. */
int md_backup_decode(const void *sector, struct md_backup *backup, struct error *error);

/* MD_BACKUP_BYTES. */
void md_backup_encode(const struct md_backup *backup, void *sector);

#endif
