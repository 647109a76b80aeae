/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk for tests that fails as Linux's do: what a flush that failed did not write is forgotten, though
 * reads still give it and the next flush succeeds; a write that failed may have been done in part. Several
 * disks hang on one power switch.
 *
 * Sectors of 512 bytes are written whole, or pages of 4096. Those written since the last flush, and those that a failed flush
 * was to write, are each on the medium or not, as the seed has it, when the power goes.
 *
 * Where it is asked for, disks lend what reads give (block_lend()), as memory does.
 */
#ifndef TENON_TESTS_WORN_DISK_H
#define TENON_TESTS_WORN_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "util/random.h"

struct worn_disk;

/* What disks have in common. Zero but for the seed; outlives them. */
struct worn_power {
	struct random random;
	struct worn_disk *disks; /* all of them */
	uint64_t changes;        /* writes and flushes so far, of all disks */
	uint64_t cut_at;         /* the one that is cut off; 0: none */
	bool off;
	bool whole_pages;
	bool lends;
	bool leases; /* disks made from then on are leased (block/lease.h); what comes by that way is no change, but written since the last flush */
	bool slow;   /* each change takes a microsecond, in which others run */
};

struct block *worn_disk_create(struct worn_power *power, const char *name, uint64_t size);

/* Of the disk's next writes and flushes, `after` are done and then `count` fail with -EIO. */
void worn_disk_fail(struct block *disk, uint64_t after, uint64_t count);
/* No more failures, on any disk. */
void worn_power_mend(struct worn_power *power);

/* The power goes with the change after `count` more ones of all disks; all requests fail until it is back. */
void worn_power_cut_after(struct worn_power *power, uint64_t count);
/* It goes now, unless it has, and comes back: reads give what is on the media. */
void worn_power_cycle(struct worn_power *power);

#endif
