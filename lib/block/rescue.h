/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading what can be read of a medium with errors: a read that fails is tried again in smaller pieces, down to
 * one logical block, so that only what is unreadable is lost.
 *
 * The ranges that were lost are kept in order and can be written as a map file of GNU ddrescue ("Mapfile
 * structure" of its manual), with which ddrescue goes on where this ended, and ddrescuelog computes.
 */
#ifndef TENON_BLOCK_RESCUE_H
#define TENON_BLOCK_RESCUE_H

#include <stdint.h>
#include <stdio.h>

#include "util/cleanup.h"

struct block;

struct rescue_range {
	uint64_t offset, length; /* bytes */
};

/* A zeroed one is empty. */
struct rescue_map {
	struct rescue_range *ranges; /* in order, never touching each other */
	unsigned count, room;
	uint64_t bytes; /* their sum */
};

static inline void rescue_map_free(struct rescue_map *map)
{
	free(map->ranges);
	*map = (struct rescue_map){ 0 };
}

/* Adds a range that overlaps none of the map's. 0 or -ENOMEM. */
int rescue_map_add(struct rescue_map *map, uint64_t offset, uint64_t length);

/*
 * Reads as block_read() does; what stays unreadable is zeroes at `at`, and added to `map`. An error that is not
 * of the place but of the device as a whole (it is gone; no memory; cancelled) is returned. Suspends.
 */
int rescue_read(struct block *block, uint64_t offset, void *at, uint64_t length,
		struct rescue_map *map);

/* Writes the map file of a source of `size` bytes that was tried from start to end. */
void rescue_map_print(const struct rescue_map *map, uint64_t size, FILE *to);

#endif
