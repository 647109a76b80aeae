/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading what is in a FAT file system (FAT12, FAT16, FAT32), without mounting it: what firmware boots from, what cloud-init is told.
 *
 * All of it is hostile: chains of clusters that bite their tails, folders in themselves, sizes that are not there. What is read is bounded,
 * and what makes no sense ends what it is in, rather than everything.
 *
 * Microsoft, FAT: General Overview of On-Disk Format, 1.03.
 */
#ifndef TENON_BLOCK_FAT_H
#define TENON_BLOCK_FAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct block;
struct error;
struct fat;

#define FAT_PATH 1024u

/* -EINVAL where there is none, with `error` set; or a negative errno of reading. The block must outlive it. Suspends. */
int fat_open(struct fat **out, struct block *block, struct error *error);
void fat_close(struct fat *fat);
DEFINE_CLEANUP(cleanup_fat, struct fat, fat_close)
#define CLEANUP_FAT CLEANUP(cleanup_fat)

/* Bytes that are in use. -EFBIG where its table is too large to look through. Suspends. */
int fat_used(struct fat *fat, uint64_t *bytes);

struct fat_file {
	const char *path; /* "EFI/BOOT/BOOTX64.EFI", UTF-8, not cleaned */
	bool is_folder;
	uint64_t size;
	uint32_t cluster; /* the first one */
};

/* Calls fn() for files and folders, those in a folder after it, until it returns other than 0, which is returned; at most
 * a few thousand. Suspends. */
int fat_walk(struct fat *fat, int (*fn)(void *arg, const struct fat_file *file), void *arg);

/* The file at a path (ASCII case does not matter), at most `most` bytes of it; zero-terminated, the caller frees it. -ENOENT. Suspends. */
int fat_read(struct fat *fat, const char *path, size_t most, char **data, size_t *length);

#endif
