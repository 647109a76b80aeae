/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The magic of software RAID at all places where a superblock may be: md 1.1 and 1.2 at the start, md 0.90 and 1.0,
 * Intel's (IMSM) and DDF at the end.
 *
 * What lies on a device with such a magic is the array's: a superblock at the end leaves the start of a
 * member as it is on the array, and who took the PV or file system there for its own would change one half of
 * a mirror behind the back of the other. So the magic alone counts, whatever version, checksum or features
 * follow it, and in either byte order (version 0.90 has that of its host). lvm2 does the same
 * (md_component_detection, lib/device/dev-md.c).
 */
#ifndef TENON_BLOCK_RAID_MAGIC_H
#define TENON_BLOCK_RAID_MAGIC_H

#include <stdint.h>

struct block;
struct error;

struct block_raid_magic {
	const char *name; /* "md superblock 0.90", ... */
	uint64_t offset;  /* bytes */
	unsigned length;
};

/* 1 and *found, 0 where there is none, or a negative errno with `error` set where it could not be looked, but for what is
 * known not to be an array's superblock, `others` bytes from the start. Suspends. */
int block_raid_magic_find(struct block *block, uint64_t others, struct block_raid_magic *found,
			  struct error *error);

/* The same of an open file or device of `size` bytes; needs no fiber. */
int block_raid_magic_find_file(int fd, uint64_t size, struct block_raid_magic *found);

#endif
