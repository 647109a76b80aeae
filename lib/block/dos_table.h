/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DOS partition tables (MBR): the four entries of the first sector, and the chain of logical partitions. Hostile: the chain is
 * followed as far as it goes on the disk, a bounded number of steps.
 *
 * The fields: UEFI specification 2.10, 5.2.1; the chain: Linux, block/partitions/msdos.c, and util-linux, libblkid/src/partitions/dos.c.
 */
#ifndef TENON_BLOCK_DOS_TABLE_H
#define TENON_BLOCK_DOS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct error;

#define DOS_MOST       64u
#define DOS_PROTECTIVE 0xee

struct dos_partition {
	unsigned number; /* 1 to 4, logical ones from 5 */
	uint8_t type;
	bool active, extended;
	uint64_t start, length; /* bytes, of sectors of 512 */
};

struct dos_table {
	uint32_t id;
	unsigned count;
	struct dos_partition partitions[DOS_MOST];
};

/* 1 and the table; 0 where there is none, which is also a file system's first sector that only ends as one; or a negative errno
 * of reading with `error` set. Suspends. */
int dos_table_read(struct block *block, struct dos_table *table, struct error *error);

/* Lets partition `number`, a primary one that lies last, have `length` bytes. -EINVAL for another. Suspends. */
int dos_table_resize(struct block *block, const struct dos_table *table, unsigned number,
		     uint64_t length, struct error *error);

/* What a type is for people, or NULL. */
const char *dos_type_name(uint8_t type);

#endif
