/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether an image file in one of QEMU's formats is a disk by itself, or one that takes bytes from other files, which it
 * names: a backing file, an external data file, a parent, extents. Whoever made the image chose those names, and
 * whoever converts it would read them with rights of his own: a downloaded image with /etc/shadow as its backing file.
 *
 * Sources: qemu docs/interop/qcow2.txt; VMware Virtual Disk Format 1.1, read as QEMU does (the descriptor of an image with
 * one extent is in its second sector). Of VDI, VHD and VHDX QEMU opens only such as have no parent.
 */
#ifndef TENON_BLOCK_IMAGE_ALONE_H
#define TENON_BLOCK_IMAGE_ALONE_H

#include <stdbool.h>
#include <stddef.h>

struct error;

#define IMAGE_ALONE_HEAD (21u * 512) /* bytes from the start that all of this is in */

/*
 * Of the open file `fd`, said to be of `format`: "qcow2", "vmdk", "vdi", "vhdx" or "vhd". 0; -EINVAL where it is of another;
 * -EPERM where it names other files, unless `others` are allowed; -EIO and the like where it cannot be read.
 */
int image_check_alone(int fd, const char *path, const char *format, bool others,
		      struct error *error);

/* The part of it that looks at the head, of a file whose magic is that of the format. 0 or -EPERM. */
int image_check_head(const void *head, size_t length, const char *path, const char *format,
		     struct error *error);

#endif
