/* SPDX-License-Identifier: BSD-2-Clause */
/* A reshape during which the power goes, again and again, while somebody writes: for the tests of reshapes. */
#ifndef TENON_TESTS_RESHAPE_SCENE_H
#define TENON_TESTS_RESHAPE_SCENE_H

#include "raid/raid.h"

#define RESHAPE_MOST 6u

struct reshape_kind {
	struct raid_create_options options;
	unsigned count; /* members before */
	struct raid_grow grow;
	bool in_place; /* with a backup file */
	bool md90;     /* superblocks 0.90, as md would have made them */
};

/* Members that there are in all; whether there are fewer in the end. */
unsigned reshape_after(const struct reshape_kind *kind);
bool reshape_is_fewer(const struct reshape_kind *kind);

/* Superblocks of version 0.90, of a new array with zeroes that is in sync: of so many disks of one size. Suspends. */
void reshape_make_90(struct block *const *disks, unsigned count, int level, uint32_t layout,
		     uint64_t chunk);

/* Cuts the power at different places, on a worker of its own, and checks that nothing is lost that was flushed; at each one with TORTURE. */
void reshape_play(const struct reshape_kind *kind, unsigned seed);

#endif
