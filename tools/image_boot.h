/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a disk is booted with where no firmware does it: the kernel in a file system of its own, the initial RAM disk beside that, and
 * the parameters that the disk's boot menu gives this kernel.
 *
 * All of it is the guest's, and hostile: paths are looked up in its file system alone, lengths are bounded.
 */
#ifndef TENON_TOOLS_IMAGE_BOOT_H
#define TENON_TOOLS_IMAGE_BOOT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct block;
struct error;

/* What is wanted. */
#define IMAGE_BOOT_KERNEL     (1u << 0)
#define IMAGE_BOOT_INITRD     (1u << 1)
#define IMAGE_BOOT_PARAMETERS (1u << 2)

struct image_boot {
	char *version;         /* of the kernel, as its file's name has it */
	char *folder;          /* "/boot", or "/" where the file system is that */
	unsigned partition;    /* 0: the file system is on all of the disk */
	char *kernel, *initrd; /* their bytes; NULL: not wanted, or (the latter) not there */
	size_t kernel_length, initrd_length;
	char *parameters; /* NULL: not wanted, or no menu has this kernel */
};

/* Of the first file system on a disk that has kernels, the newest or that of `version`. `word` is the disk's name, for
 * messages. -ENOENT where there is none, with `error` set; errors of reading. On a fiber. */
int image_boot_read(struct image_boot *boot, struct block *disk, const char *word,
		    const char *version, unsigned wanted, struct error *error);
void image_boot_free(struct image_boot *boot);
#define CLEANUP_IMAGE_BOOT CLEANUP(image_boot_free)

/* ---- image_menu.c ---- */

/* The parameters of `kernel` ("vmlinuz-6.1.0-9-amd64") in a grub.cfg, or in an entry of the Boot Loader Specification's; the caller
 * frees them. NULL: it is not about this kernel. Words that only the boot loader could complete ($...) are left out. */
char *image_menu_grub(const char *text, const char *kernel);
char *image_menu_entry(const char *text, const char *kernel);

#endif
