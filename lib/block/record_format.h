/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of dm-log-writes, version 1: a superblock, then entries, each a sector of its own that is
 * followed by its data. "Sector" is the log's own sector size (`sectorsize` in the superblock), in which
 * all positions and counts are, too. Little-endian.
 *
 * Source: Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c of Linux
 * 6.1. The text of a mark stands in its entry's sector, directly after the entry.
 */
#ifndef TENON_BLOCK_RECORD_FORMAT_H
#define TENON_BLOCK_RECORD_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAGIC   0x6a736677736872ULL
#define RECORD_VERSION 1ULL

struct record_super_format {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries; /* complete entries in the log */
	uint32_t sectorsize; /* bytes */
} __attribute__((packed));

#define RECORD_FLAG_FLUSH    (1ULL << 0) /* all before it is durable */
#define RECORD_FLAG_FUA      (1ULL << 1)
#define RECORD_FLAG_DISCARD  (1ULL << 2) /* no data follows */
#define RECORD_FLAG_MARK     (1ULL << 3)
#define RECORD_FLAG_METADATA (1ULL << 4)
#define RECORD_FLAGS_KNOWN   0x1fULL

struct record_entry_format {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len; /* bytes of a mark's text */
} __attribute__((packed));

static_assert(offsetof(struct record_super_format, nr_entries) == 16, "log superblock");
static_assert(offsetof(struct record_super_format, sectorsize) == 24, "log superblock");
static_assert(sizeof(struct record_super_format) == 28, "log superblock");
static_assert(offsetof(struct record_entry_format, flags) == 16, "log entry");
static_assert(sizeof(struct record_entry_format) == 32, "log entry");

#endif
