/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signatures of what is already on a block device (file systems, LUKS, partition tables, md members,
 * LVM PVs, swap, ...), so that nothing is overwritten by mistake: every command that takes a device
 * for itself asks block_signature_check() first, and is refused without --force.
 */
#ifndef TENON_BLOCK_SIGNATURE_H
#define TENON_BLOCK_SIGNATURE_H

#include <stdint.h>

struct block;
struct error;

struct block_signature {
	char name[96]; /* "ext4 file system (label root)", "dos partition table", "LVM2 PV", ... */
	char type
		[32]; /* libblkid's TYPE or PTTYPE: "ext4", "LVM2_member", "linux_raid_member", "gpt" */
	uint64_t offset;           /* of its magic on the device, in bytes */
	char label[128], uuid[40]; /* libblkid's, as text of unknown origin; or empty */
};

/* Looks for a signature by libblkid's probes, and for a file format that holds a disk or is compressed
 * (image_format.h). 1 and *found filled in, 0 when there is none, or a
 * negative errno with `error` set. Suspends. */
int block_signature_find(struct block *block, struct block_signature *found, struct error *error);

/* The same of an open file of any size, by its descriptor; needs no fiber. */
int block_signature_find_file(int fd, struct block_signature *found);

/* Of a partition by its name (partition.h, or a device's node): 1, *found and *whole, which the caller frees, where the disk itself is a member of an array, so that
 * the partition lies in that array: a superblock that is in none of the disk's partitions. 0 where there is none, or no disk that may be read; a negative
 * errno where the disk fails, or this process is short of descriptors or memory. */
int block_signature_below(const char *name, struct block_signature *found, char **whole);

/* The same as a refusal. */
int block_signature_check_below(const struct block *block, struct error *error);

/* Both as a refusal: 0 when there is none, -EEXIST with `error` naming what is there, or on the disk below, and advising
 * --force, or another negative errno. */
int block_signature_check(struct block *block, struct error *error);

/* Overwrites the magic of each signature until none is found, then flushes. For --force. */
int block_signature_wipe(struct block *block, struct error *error);

#endif
