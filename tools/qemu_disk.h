/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in a file of one of QEMU's formats, by its name: qcow2, vmdk, vdi, vhdx, vhd. qemu-nbd, a child with a socket that
 * nobody else can reach, knows the format; what is here is a block device.
 *
 * Which format a file has is said by the user, or by the file's name, never by its bytes alone: a guest can write the head of
 * a qcow2 image to its raw disk. And an image that names other files (image_alone.h) is refused, unless the user wants
 * them read; where the kernel has Landlock, the child can open nothing but the image.
 */
#ifndef TENON_TOOLS_QEMU_DISK_H
#define TENON_TOOLS_QEMU_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct error;
struct qemu_disk;

#define QEMU_DISK_WRITE  (1u << 0)
#define QEMU_DISK_OTHERS (1u << 1) /* the image may name other files */

/* "qcow2, vmdk, vdi, vhdx or vhd" */
extern const char qemu_disk_formats[];

/* Whether it is one of these. */
bool qemu_disk_is_format(const char *format);
/* The format that a file's name says ("disk.qcow2"), or NULL. */
const char *qemu_disk_format_of_name(const char *path);

/*
 * Opens the image in the regular file or block device `path`. -EINVAL where it is not of that format, -EPERM where it names
 * other files, -ENOENT (also without qemu-nbd), -EBUSY where another process has it, or -EIO with what qemu-nbd says.
 * On a fiber.
 */
int qemu_disk_open(struct qemu_disk **out, const char *path, const char *format, unsigned flags,
		   struct error *error);
/* Good until qemu_disk_close(). What was written is there after its flush. */
struct block *qemu_disk_block(struct qemu_disk *disk);
/* Who had a reference on the block has dropped it. NULL is fine. 0, or a negative errno where the image was not closed in order. */
int qemu_disk_close(struct qemu_disk *disk, struct error *error);

/* Whether this host has what making and opening one takes, and can call it by that name: -ENOENT, -EINVAL. */
int qemu_disk_check_host(const char *path, struct error *error);

/* Makes the existing file an empty image of `size` bytes, or somewhat more: a whole sector. What it held is lost. On a
 * fiber. */
int qemu_disk_format(const char *path, const char *format, uint64_t size, struct error *error);

#endif
