/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a device something that was found on it (signature.h) needs, from its own superblock: what may not be cut
 * off when the device shrinks.
 *
 * Sources of the fields: Linux include/uapi/linux and fs/ (ext4.h, xfs_format.h, btrfs_tree.h, erofs_fs.h, f2fs_fs.h,
 * squashfs_fs.h, exfat_raw.h, msdos_fs.h, ntfs's layout.h), util-linux's swapheader.h, ECMA-119 8.4, UEFI 5.3.2, lvm2
 * lib/format_text/layout.h.
 */
#ifndef TENON_BLOCK_SIGNATURE_SIZE_H
#define TENON_BLOCK_SIGNATURE_SIZE_H

#include <stdint.h>

struct block;
struct block_signature;
struct error;

/* Sets *size to the bytes from the beginning of the block that it needs, or to 0 where that cannot be told: of another kind,
 * or of a superblock that makes no sense. What it says may be more than the block has. 0, or a negative errno of
 * reading with `error` set. Suspends. */
int block_signature_size(struct block *block, const struct block_signature *found, uint64_t *size,
			 struct error *error);

#endif
