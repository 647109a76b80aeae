/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of `tenon image list|show|extract`: what is on a disk.
 *
 *	image_list.c	the commands
 *	image_open.c	opening what they name
 *	image_look.c	partition tables, and what each partition holds
 *	image_system.c	an operating system in a file system; what firmware boots, what cloud-init is told
 *	image_ext.h	ext2, ext3, ext4
 */
#ifndef TENON_TOOLS_IMAGE_LOOK_H
#define TENON_TOOLS_IMAGE_LOOK_H

#include <jansson.h>
#include <stdbool.h>

#include "util/cleanup.h"

struct block;
struct cli_words;
struct error;
struct host_disk;
struct image_ext;
struct qemu_disk;
struct stack;

/* ---- image_open.c ---- */

/* A disk that is looked at: a file, a partition in one ("FILE:2"), a host block device, an NBD URI, an array, a volume. What a server
 * has is read through it, also while a machine uses it. */
struct image_disk {
	const char *word;
	bool is_object;
	struct block *block;
	struct stack *stack;
	struct host_disk *served;
	struct qemu_disk *image; /* of qcow2 and the like, by its name */
};

/* On a fiber, as image_disk_close(). */
int image_disk_open(struct image_disk *disk, const struct cli_words *given, char *word,
		    struct error *error);
void image_disk_close(struct image_disk *disk);
#define CLEANUP_IMAGE_DISK CLEANUP(image_disk_close)

/* Whether a word names a volume or an array rather than a file. */
int image_is_object(const struct cli_words *given, const char *word, bool *object,
		    struct error *error);

/* ---- image_look.c ---- */

/* The disk as JSON, ImageDetail of docs/json.md. What could not be read is said in it. 0 or -ENOMEM. On a fiber. */
int image_look(const struct image_disk *disk, json_t **out, struct error *error);

/* Calls fn() with each partition of a disk, or with all of it where it has none, until that returns other than 0. `number` 0: all. */
int image_each_partition(struct block *block,
			 int (*fn)(void *arg, unsigned number, struct block *part), void *arg,
			 struct error *error);

/* ---- image_system.c ---- */

/* Set keys of an ImagePartition, of which all are there already. `part` holds such a file system. */
void image_system_ext(json_t *row, struct block *part);
void image_system_fat(json_t *row, struct block *part, bool is_seed);

/* The versions of kernels in /boot, or in / of a file system that is /boot: the newest last. 0, -ENOENT, or -EIO. */
int image_system_kernels(struct image_ext *ext, json_t **versions, const char **folder);

#endif
