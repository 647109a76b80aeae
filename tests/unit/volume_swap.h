/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume whose extents change places with those of another while it is used: for the tests of that, on one worker and
 * on several. */
#ifndef TENON_TESTS_VOLUME_SWAP_H
#define TENON_TESTS_VOLUME_SWAP_H

#include "volume_fixture.h"

#define SWAP_EXTENT  (16u << 10)
#define SWAP_EXTENTS 8u
#define SWAP_BYTES   (SWAP_EXTENTS * SWAP_EXTENT)
#define SWAP_USERS   4u

/* Makes vg0, and in it "l" and "spare", whose extents take turns, so that each has as many segments. */
void swap_make_volumes(struct fixture *fixture);

/* An extent of "l", which is open as `volume`, changes places with one of "spare", with what it holds. */
void swap_extents(struct fixture *fixture, struct block *volume, unsigned ours, unsigned spare);

/* One request at random to `volume`, or a view of it, in the two extents that are this user's alone; `model` is of all
 * of it. What it came to; *wrong is raised if what was read is not what was written. */
int swap_use(struct block *volume, uint8_t *model, unsigned user, struct random *random,
	     bool *wrong);

#endif
