/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is in an ext2, ext3 or ext4 file system, by libext2fs over a struct block: without mounting it, and without root.
 *
 * The file system is hostile, and may be in use by a machine meanwhile. Paths are looked up inside of it alone; what is read is bounded in all, after
 * which everything fails, so that no file system, whatever it says, can keep a command for long.
 */
#ifndef TENON_TOOLS_IMAGE_EXT_H
#define TENON_TOOLS_IMAGE_EXT_H

#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct block;
struct error;
struct image_ext;

/* For reading; the block must outlive it. -EINVAL with `error` set where libext2fs does not open it. On a fiber. */
int image_ext_open(struct image_ext **out, struct block *block, struct error *error);
void image_ext_close(struct image_ext *ext);
DEFINE_CLEANUP(cleanup_image_ext, struct image_ext, image_ext_close)
#define CLEANUP_IMAGE_EXT CLEANUP(cleanup_image_ext)

/* Bytes in use. */
uint64_t image_ext_used(const struct image_ext *ext);

/* A regular file, links followed: at most `most` bytes of it, zero-terminated, which the caller frees. -ENOENT; -EFBIG where it has
 * more; -EIO. `error` may be NULL. */
int image_ext_read(struct image_ext *ext, const char *path, size_t most, char **data,
		   size_t *length, struct error *error);

/* Calls fn() with each name in a folder, until it returns other than 0, and for some thousands at most. -ENOENT, -EIO. */
int image_ext_list(struct image_ext *ext, const char *path, int (*fn)(void *arg, const char *name),
		   void *arg);

#endif
