/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a scenario is about, and how the power losses of that are explored: a table, to which others are added (pools, snapshots).
 * What all of them share is states.h: a trace, and all that the disks may hold.
 */
#ifndef TENON_LAB_SUBJECT_H
#define TENON_LAB_SUBJECT_H

#include <stdbool.h>

struct error;
struct lab_explore_options;
struct lab_explored;
struct lab_scenario;

struct lab_subject {
	const char *name; /* as a key of scenarios */
	bool runs;        /* else it can only be explored */
	int (*explore)(const struct lab_scenario *scenario,
		       const struct lab_explore_options *options, struct lab_explored *explored,
		       struct error *error);
};

const struct lab_subject *lab_subject_of(const struct lab_scenario *scenario);
/* NULL: there is none of that name. */
const struct lab_subject *lab_subject_find(const char *name);

#endif
