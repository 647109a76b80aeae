/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partitions inside an image file or a host block device, by name: "disk.img:2" is partition 2 of disk.img.
 * block_open_file() opens such a name as the device that it is; a file that has this very name wins.
 *
 * Tables are read by libblkid (GPT; MBR with its logical partitions; what else it knows), of 512-byte sectors or,
 * in an image, of 4096-byte ones. They are hostile: a partition that is not wholly inside the device, overlaps
 * another, or comes from a damaged GPT is refused.
 *
 * An open partition is locked in its range (file_lock.c): two servers may hold two partitions of one image, and
 * nobody the whole of it beside them.
 */
#ifndef TENON_BLOCK_PARTITION_H
#define TENON_BLOCK_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"

struct block;
struct error;

struct partition {
	unsigned number;
	uint64_t start, length; /* bytes */
	bool is_extended;       /* of an MBR: only holds others */
	bool has_parent;        /* a table of its own kind inside another partition: BSD, Solaris */
};

struct partition_table {
	char type[16]; /* libblkid's: "gpt", "dos", ... */
	uint32_t sector_size;
	struct partition *partitions;
	unsigned count;
};

static inline void partition_table_free(struct partition_table *table)
{
	free(table->partitions);
	*table = (struct partition_table){ 0 };
}
#define CLEANUP_PARTITION_TABLE CLEANUP(partition_table_free)

/* 1 and the table; 0 where there is none; a negative errno with `error` set: what cannot be read, and a GPT that is
 * damaged or of which only the backup is left. */
int partition_table_read(struct partition_table *table, int fd, const char *path,
			 struct error *error);
/* By path; 0 also for what is neither a file nor a block device. */
int partition_table_read_path(struct partition_table *table, const char *path, struct error *error);

/* Of an image file at `path` that has partitions and is not known by other means: a sentence for people that says so
 * and how to name them, or what is wrong with its table. NULL for what has none, and for block devices, whose
 * partitions the kernel shows. The caller frees it. */
char *partition_hint(const char *path);

/* Finds a partition and sees that it can be used. */
int partition_find(const struct partition_table *table, unsigned number, uint64_t device_size,
		   const char *path, const struct partition **found, struct error *error);

/* "1, 2, 5": those that hold something themselves, as many as there is room for. */
void partition_table_list(const struct partition_table *table, char *text, unsigned size);

/* Whether `name` has the form PATH:NUMBER, no file has that name, and PATH is a file or a block device. Then
 * `*path`, if not NULL, is a copy of PATH, and *number the number. */
bool partition_split(const char *name, char **path, unsigned *number);

/* The range of a partition of `path`, by the table as it is now. */
int partition_locate(const char *path, unsigned number, uint64_t *start, uint64_t *length,
		     struct error *error);

/* The absolute name of a device, by realpath(3) of the file that it is or is in; NULL where there is none. */
char *device_realpath(const char *name);
/* Whether a file has this name, or holds it if it is a partition. */
bool device_exists(const char *name);

#endif
