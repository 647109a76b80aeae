/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that hold a disk in a form of their own (qcow2, vmdk, vdi, ...) or compressed: their bytes are not
 * the disk's. Recognised by the magic that each format's specification has at the start, or for two of them
 * at the end. A raw disk may begin with the same bytes by chance, so whoever refuses also offers a way on.
 */
#ifndef TENON_BLOCK_IMAGE_FORMAT_H
#define TENON_BLOCK_IMAGE_FORMAT_H

#include <stddef.h>

struct block;
struct error;

#define IMAGE_FORMAT_HEAD 512u /* bytes from the start that all magics lie in */
#define IMAGE_FORMAT_TAIL 512u /* and from the end */

struct image_format {
	const char *name; /* "qcow2", "gzip" */
	const char *kind; /* "image", "compressed stream", "archive" */
	const char
		*decompressor; /* a command that writes what is in it to standard output, or NULL */
	const char *qemu;      /* the name that qemu-img has for it, or NULL */
};

/* What the first `length` bytes of a file or stream say, or NULL. */
const struct image_format *image_format_of_head(const void *head, size_t length);

/* What the last `length` bytes of a file of known size say, or NULL. */
const struct image_format *image_format_of_tail(const void *tail, size_t length);

/* Of an open file of any size; NULL also where it cannot be read. */
const struct image_format *image_format_of_file(int fd);

/* Of a block device; NULL also where it cannot be read. Suspends. */
const struct image_format *image_format_of_block(struct block *block);

/* The refusal: -EINVAL, with `error` naming `path`, the format and the way to get at what is in it. */
int image_format_refuse(const struct image_format *format, const char *path, struct error *error);

#endif
