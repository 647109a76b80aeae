/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Simulated disks: a block device over a sparse store, with the time that a disk of its kind takes (disk_time.h), a volatile write
 * cache, and faults. Disks stand in a rack, which is what they have in common: power, counts, who looks on, and the trace that is
 * made of all that becomes durable and when.
 *
 * A write is *issued* (from then on any part of it may be on the medium when the power goes), *completed* (reads give it),
 * and *durable* (a flush, FUA, or the cache made room). Without `cached` all of that is one.
 */
#ifndef TENON_LAB_DISK_H
#define TENON_LAB_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "tools/lab/disk_fault.h"
#include "tools/lab/disk_time.h"
#include "util/list.h"
#include "util/random.h"

struct lab_disk;
struct lab_store;
struct lab_trace;

struct lab_rack {
	bool off;
	uint64_t generation;      /* counts power losses */
	uint64_t writes, flushes; /* of all disks, so far */
	unsigned in_flight;       /* requests */
	struct random random;
	struct lab_trace *trace; /* NULL: nothing is recorded */
	/* Told of each request before anything is done; may arm faults and cut the power, does not suspend. */
	void (*look)(void *arg, struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
		     uint64_t length);
	void *look_arg;
};

struct lab_disk {
	struct block block;
	struct lab_rack *rack;
	struct lab_store *store;
	unsigned index;
	struct lab_disk_time time;
	struct list rules;
	struct list pending; /* writes that are not durable, in order of issue */
	uint64_t pending_bytes;
	bool cached;  /* writes are not durable at once */
	bool instant; /* takes no time, and no fiber, but for faults that do */
	bool gone;    /* out of the machine */
	struct fiber_queue hung;
	uint64_t reads, writes, flushes, read_bytes, written_bytes, errors;
};

/* `store` becomes the disk's. */
struct lab_disk *lab_disk_create(struct lab_rack *rack, unsigned index, const char *name,
				 struct lab_store *store, const struct lab_disk_model *model,
				 uint64_t seed);
struct lab_disk *lab_disk_of(struct block *block);

/* Whether some of it was never written, not even to the cache: a host would have to find room for it. */
bool lab_disk_has_hole(const struct lab_disk *disk, uint64_t offset, uint64_t length);

/* ---- Power ---- */

/* Cuts it: requests fail with -EIO from now on. Does not suspend. */
void lab_rack_cut(struct lab_rack *rack);
/* Of a disk without power: what is kept of what was not durable is written down. `keep` says it of each write by its number
 * in the rack; NULL: drawn from the rack's seed, whole writes or sectors of them. */
void lab_disk_settle(struct lab_disk *disk, bool (*keep)(void *arg, uint64_t number), void *arg);
void lab_rack_power_on(struct lab_rack *rack);

#endif
