/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exploring a run: the power goes at every write of it, with each subset of what was not durable then, up to a bound, and with
 * samples of them beyond. Each time the array is assembled, what was flushed must be there and what was not is old or new, and parity must fit
 * after the resync. With `explore: lose` members go with the power.
 */
#ifndef TENON_LAB_EXPLORE_H
#define TENON_LAB_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

struct lab_scenario;
struct error;

struct lab_explored {
	uint64_t states, writes, moments; /* looked at; recorded; at which the power went */
	uint64_t refused; /* of them: only with insistence does it assemble (dirty and degraded) */
	uint64_t failures;
	/* The first. */
	char what[400];
	uint64_t at_write;
	uint64_t *keep;                 /* writes that were kept, of those not durable */
	unsigned keep_count, lost_disk; /* UINT32_MAX: none; with `lose: 2` the next one, too */
};

/* On the calling thread. 0, or a negative errno with `error` set. The caller frees `keep`. */
int lab_explore_run(const struct lab_scenario *scenario, uint64_t seed,
		    struct lab_explored *explored, struct error *error);

#endif
