/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shrinking a failure: the shortest scenario that we find which still fails in the same way. Requests, faults, disks, sizes and
 * what else is said are left out one after the other (delta debugging, A. Zeller and R. Hildebrandt 2002); each candidate is
 * written down, read back, and tried, so what comes out is a file that was tried. The same each time.
 */
#ifndef TENON_LAB_SHRINK_H
#define TENON_LAB_SHRINK_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct lab_scenario;

struct lab_shrunk {
	char *text;     /* the scenario; NULL: it does not fail */
	char what[400]; /* how it does */
	bool explored;  /* it fails when it is explored, and no single event replays that */
	uint64_t tries;
	unsigned ops, events, members, lost_writes;
};

/* What `--explore` finds, as a scenario with the one power loss that shows it. On the calling thread. 0, or a negative errno with
 * `error` set. The caller frees `text`. */
int lab_shrink_explored(const struct lab_scenario *scenario, uint64_t seed,
			struct lab_shrunk *shrunk, struct error *error);
/* What is not as expected in the run from this seed. */
int lab_shrink_run(const struct lab_scenario *scenario, uint64_t seed, struct lab_shrunk *shrunk,
		   struct error *error);

#endif
