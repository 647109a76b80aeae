/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk with a volatile write cache whose power can be cut: for tests of what survives.
 *
 * Writes stay in the cache (in memory, without a limit) until a flush or FUA makes them durable. A power
 * cut keeps a subset of the unflushed writes that is drawn from a seed: none, all, the first so many, or
 * some, whole or torn at any sector; in any case a sector holds one of the versions written to it since
 * the flush, or what was there before. All else is lost, and requests fail with -EIO until power is on
 * again. To try every place at which a cut can come:
 *
 *	for (uint64_t n = 0; ; n++) {
 *		block_volatile_cut_after(disk, n, seed);
 *		...the work under test, until it fails or is done...
 *		if (!block_volatile_is_off(disk)) break;
 *		block_volatile_power_on(disk);
 *		...open again and check...
 *	}
 */
#ifndef TENON_BLOCK_VOLATILE_H
#define TENON_BLOCK_VOLATILE_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct error;

/* A layer over `lower`, on which it takes a reference. What remains in the cache when the last reference
 * goes is written down: closing is no power cut. */
int block_create_volatile(struct block **out, const char *name, struct block *lower,
			  struct error *error);

/* Cuts the power now. Requests that are in flight fail. The survivors are written to `lower` (suspends):
 * 0 or that write's error. */
int block_volatile_power_cut(struct block *block, uint64_t seed);

/* Cuts the power in the middle of a request: `count` more writes, write_zeroes, discards and flushes
 * are done, the next one is cut off (of a write, any subset of sectors may survive; a flush has not
 * happened) and fails with -EIO. UINT64_MAX: never. */
void block_volatile_cut_after(struct block *block, uint64_t count, uint64_t seed);

void block_volatile_power_on(struct block *block);
bool block_volatile_is_off(const struct block *block);

/* Bytes in the cache that a power cut might lose. */
uint64_t block_volatile_unflushed(const struct block *block);

#endif
