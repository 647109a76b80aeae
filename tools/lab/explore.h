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

enum lab_failing {
	LAB_FAILS_SILENT,     /* a sector holds something else, and no error says so */
	LAB_FAILS_UNREADABLE, /* a sector cannot be read */
	LAB_FAILS_REFUSED,    /* it does not assemble */
	LAB_FAILS_MISFIT,     /* members do not fit together */
};

struct lab_explored {
	uint64_t states, writes, moments; /* looked at; recorded; at which the power went */
	uint64_t refused; /* of them: only with insistence does it assemble (dirty and degraded) */
	uint64_t trials;  /* of operations on disks that fail, where the subject has them */
	uint64_t failures;
	/* The first. */
	char what[400];
	enum lab_failing kind;
	uint64_t sector; /* of the region, where `kind` has one */
	uint64_t at_write, state;
	uint64_t *pending; /* writes that were not durable; those that were kept of them first */
	unsigned keep_count, pending_count;
	unsigned lost_disk; /* UINT32_MAX: none; with `lose: 2` the next one, too */
};

struct lab_states;

struct lab_explore_options {
	uint64_t seed;
	bool first; /* only as far as the first failure */
	/* Of groups: shown each state before it is looked at, and no disks fail then; `gone`: which are not in the machine, bits. Or NULL. */
	void (*show)(void *arg, const struct lab_states *states, uint64_t gone);
	void *show_arg;
};

/* On the calling thread. 0, or a negative errno with `error` set. The caller frees `pending`. */
int lab_explore_run(const struct lab_scenario *scenario, const struct lab_explore_options *options,
		    struct lab_explored *explored, struct error *error);

#endif
