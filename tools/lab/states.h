/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that disks may hold when the power goes, out of the trace of a run: the machine below every subject that is explored
 * (arrays: explore.c; volume groups: volume.c).
 *
 * The trace is gone through in order. `durable` is over the disks as they were at the beginning and has what became durable so far;
 * `state` is over that, and has one subset of what is not, and what the subject does to it when it looks. So no image is ever
 * copied. A subset is looked at when its newest write is issued, and again, a few of them, when the user was told more: then the
 * same disks must hold more.
 */
#ifndef TENON_LAB_STATES_H
#define TENON_LAB_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lab/disk.h"
#include "tools/lab/scenario.h"
#include "tools/lab/trace.h"

struct lab_store;

#define LAB_PENDING 4096u

struct lab_states {
	/* The caller's. */
	const struct lab_explore *plan;
	struct lab_trace *trace;
	unsigned disk_count;
	struct lab_store *base[LAB_DISKS];
	uint64_t seed;
	/* What is no write happened. True: the user was told more. */
	bool (*event)(void *arg, const struct lab_trace_event *event);
	/* The disks hold a state: is it right? */
	void (*look)(void *arg);
	/* Optional: no more of them. */
	bool (*is_enough)(void *arg);
	void *arg;

	/* For the caller. */
	struct lab_disk *disks[LAB_DISKS];
	struct lab_store *durable[LAB_DISKS], *state[LAB_DISKS]; /* the disks' */
	uint64_t states, writes,
		moments; /* looked at, with this one not; seen; at which the power went */
	/* Writes that are not durable, as places in the trace, and which of them are kept. */
	uint64_t pending[LAB_PENDING];
	bool kept[LAB_PENDING];
	unsigned pending_count;

	struct lab_rack rack;
	struct random random;
};

/* Goes through all of it, on a fiber. */
void lab_states_run(struct lab_states *states);

/* For the caller, from within `event`: has the disks hold all that was written so far. */
void lab_states_show(struct lab_states *states);

/* The numbers of the writes that were not durable, those that were kept first; the caller frees them. */
uint64_t *lab_states_pending(const struct lab_states *states, unsigned *kept, unsigned *count);

#endif
