/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member's bad-block log: ranges of its data that could not be written, sorted and apart. The format
 * on disk is at the end of md_format.h; sectors count from the start of the device, as in the kernel.
 */
#ifndef TENON_RAID_MD_BADBLOCKS_H
#define TENON_RAID_MD_BADBLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct md_bad_range {
	uint64_t sector;
	uint64_t count;
};

struct md_badblocks {
	struct md_bad_range *ranges;
	unsigned count, capacity;
	bool changed; /* since it was last written; the owner resets it */
};

void md_badblocks_free(struct md_badblocks *list);

/* From `size` bytes of a log. 0, -ENOMEM, or -EINVAL with `error` set. */
int md_badblocks_decode(struct md_badblocks *list, const void *log, size_t size, unsigned shift,
			struct error *error);

/* To a log of `size` bytes, with shift 0; -ENOSPC when it has too few entries. */
int md_badblocks_encode(const struct md_badblocks *list, void *log, size_t size);

/* The first bad range that touches [sector, sector + count), or NULL. */
const struct md_bad_range *md_badblocks_find(const struct md_badblocks *list, uint64_t sector,
					     uint64_t count);

/* Adds or takes away a range. 0 or -ENOMEM. */
int md_badblocks_set(struct md_badblocks *list, uint64_t sector, uint64_t count);
int md_badblocks_clear(struct md_badblocks *list, uint64_t sector, uint64_t count);

#endif
