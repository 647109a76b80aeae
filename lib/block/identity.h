/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is underneath a device: which bytes it shows, whatever name it goes by.
 *
 * A path is one of many names of the same bytes: hard links, bind mounts, other device nodes, loop devices over
 * a file, loops over loops, partitions of either, device-mapper and md devices over disks. An identity is
 * the chain from the device itself (part 0) down to the lowest object that can be found, each part with the
 * range of it that the device shows. A file is known by its file system and inode, a block device by its
 * number.
 *
 * What holds several devices together (device-mapper, the kernel's md) lies somewhere on each of them; where
 * is not looked at: these parts are not `exact`, and two that are not are taken as disjoint.
 *
 * Not seen: what another mount namespace or the far side of a network disk has, and the layers below a file
 * (an overlay's lower file, the disk under a mounted file system, which the kernel keeps for itself).
 */
#ifndef TENON_BLOCK_IDENTITY_H
#define TENON_BLOCK_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

#define BLOCK_TO_THE_END         UINT64_MAX /* of a range: wherever the object ends, now and later */
#define BLOCK_IDENTITY_PARTS_MAX 256u

struct block_part {
	bool is_file;  /* else a block device */
	dev_t device;  /* of the file's file system, or the block device itself */
	ino_t inode;   /* of a file; else 0 */
	uint64_t size; /* of a file, in bytes; else 0 */
	uint64_t start, end;
	bool exact; /* [start, end) is where it lies; else somewhere in there */
	bool claimed; /* the kernel keeps it for what lies above (partitions, device-mapper): not for loops */
	char *path; /* by which it can be opened, for a device its node in /dev; NULL: none is known */
};

struct block_identity {
	struct block_part
		*parts; /* from the device itself downwards; none for what is not storage */
	unsigned count;
	char *unknown; /* what could not be found out, as a clause for people, or NULL */
	int failed; /* block_identify()'s own, while it finds out: why it cannot, which it returns; 0 in all that others see */
	bool assembled; /* what is below are members of it, which nobody else may use: the kernel's md, multipath */
	bool nameless; /* see block_identify_number() */
};

/* Of an open descriptor, `path` being a name of it. For a stream or another thing that is no storage there
 * are no parts. 0, or -errno of fstat(2), or -ENOMEM; or why what it lies on could not be read, as where there are too few
 * descriptors (-EMFILE): that is not the same as lying on nothing. */
int block_identify(struct block_identity *identity, int fd, const char *path);
/* Of a path, without opening a file; -errno of stat(2) or open(2) where it cannot be found out. May wait as
 * long as those do. */
int block_identify_path(struct block_identity *identity, const char *path);
/* Of a block device by its number, without looking at the files that it may lie on: these parts have no path. */
int block_identify_number(struct block_identity *identity, dev_t device);
void block_identity_free(struct block_identity *identity); /* a zeroed one is fine */

/* As bytes, for another process of the same program: allocated, the caller frees them. NULL without memory. */
void *block_identity_pack(const struct block_identity *identity, size_t *size);
/* -EINVAL where `data` is no identity, or -ENOMEM. */
int block_identity_unpack(struct block_identity *identity, const void *data, size_t size);

/* Takes just [offset, offset + length) of the device. */
void block_identity_narrow(struct block_identity *identity, uint64_t offset, uint64_t length);

/* Whether two devices show a byte in common. */
bool block_identity_overlaps(const struct block_identity *one, const struct block_identity *other);
/* Whether two devices show the same bytes at the same offsets. */
bool block_identity_same(const struct block_identity *one, const struct block_identity *other);

/* The lowest part that is known exactly: what a person would call the thing itself. NULL without parts. */
const struct block_part *block_identity_bottom(const struct block_identity *identity);

#endif
