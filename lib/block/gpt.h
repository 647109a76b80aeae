/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUID partition tables: read with their damage, made, enlarged and written. Opening partitions by name is partition.h's,
 * which believes only what is whole.
 *
 * There are two copies, the primary behind the first sector and the backup at the end of the disk, each a header and a list of
 * entries with checksums over both. They are hostile: what does not lie on the disk, overlaps itself or is too large is no
 * table. UEFI specification 2.10, 5.3.
 */
#ifndef TENON_BLOCK_GPT_H
#define TENON_BLOCK_GPT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "util/cleanup.h"

struct block;
struct error;

#define GPT_ENTRIES   128u /* of a new table */
#define GPT_UUID      37u  /* as text */
#define GPT_NAME      128u /* as UTF-8: 36 units of UTF-16, of three bytes at most */
#define GPT_ALIGNMENT (1u << 20)

/* Types, as bytes of an entry. */
extern const uint8_t gpt_type_esp[16], gpt_type_linux[16], gpt_type_root_x86_64[16];

struct gpt {
	uint32_t sector_size;
	uint8_t id[16];
	uint64_t first_usable, last_usable; /* sectors */
	uint32_t count, entry_size;
	uint8_t *entries;    /* count * entry_size bytes, as on the disk */
	uint64_t entries_at; /* sector of the primary's list */
	uint64_t backup_at;  /* sector of the backup's header */
};

enum gpt_copy { GPT_ABSENT, GPT_GOOD, GPT_DAMAGED };

/* What a disk has. */
struct gpt_look {
	enum gpt_copy primary, backup;
	bool differ;       /* both are good, and say different things */
	bool backup_early; /* the backup is not at the end of the disk: that was shorter */
	char problem[160]; /* what is wrong, one sentence without a full stop; or empty */
	struct gpt gpt;    /* the primary, if that is good, else the backup */
};

static inline void gpt_free(struct gpt *gpt)
{
	free(gpt->entries);
	gpt->entries = NULL;
}
static inline void gpt_look_free(struct gpt_look *look)
{
	gpt_free(&look->gpt);
}
#define CLEANUP_GPT      CLEANUP(gpt_free)
#define CLEANUP_GPT_LOOK CLEANUP(gpt_look_free)

struct gpt_partition {
	unsigned number;        /* from 1 */
	uint64_t start, length; /* bytes; length 0 where the entry makes no sense */
	uint8_t type[16], id[16];
	char name[GPT_NAME];
};

/* Looks for a table, with sectors of the device's size, and of 4096 and 512 bytes. 1: one copy at least is good; 0: there is none, or
 * none that is good (look->problem says so then); or a negative errno of reading with `error` set. Suspends. */
int gpt_look(struct block *block, struct gpt_look *look, struct error *error);

/* The partition of slot `index` (from 0). False: it is free. */
bool gpt_partition(const struct gpt *gpt, uint32_t index, struct gpt_partition *partition);

/* A new, empty table for a disk of `size` bytes, with an id of its own. -ENOSPC where that is too small, -ENOMEM. */
int gpt_init(struct gpt *gpt, uint64_t size, uint32_t sector_size);

/* Adds a partition of `length` bytes (0: as long as there is room, in whole MiB where it can be) behind all others, aligned, with
 * an id of its own. Its number goes to *number. -ENOSPC. */
int gpt_add(struct gpt *gpt, const uint8_t type[16], const char *name, uint64_t length,
	    unsigned *number);

/* The table for a disk that has `size` bytes now, which are not fewer than the partitions need: -ENOSPC; -EINVAL
 * where its list lies behind the partitions, as no tool puts it. */
int gpt_fit(struct gpt *gpt, uint64_t size);

/* Lets the partition that lies last end where the disk ends. Its new length goes to *length (bytes); 0 where there
 * is none. */
void gpt_grow_last(struct gpt *gpt, unsigned *number, uint64_t *length);

/* Writes both copies, the backup first, each flushed, and a protective MBR, whose boot code stays. Suspends. */
int gpt_write(struct block *block, const struct gpt *gpt, struct error *error);

/* As text: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b". */
void gpt_uuid(const uint8_t id[16], char text[GPT_UUID]);
/* What a type is for people, or NULL. */
const char *gpt_type_name(const uint8_t type[16]);

#endif
