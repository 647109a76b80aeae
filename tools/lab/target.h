/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a scenario is run against: an array of tenon's in virtual time (target_tenon.c), or another one in real time, whose makers
 * are above this folder. Disks, faults, moments, workload, oracle and report are the same for all: a target only knows how
 * its array is made, looked at, changed and ended.
 *
 * All calls are made on fibers of the run's worker and may suspend, but status() of a prompt target. Where run->block is NULL there
 * is no array; create(), assemble(), stop() and power_lost() change that, and nobody else.
 */
#ifndef TENON_LAB_TARGET_H
#define TENON_LAB_TARGET_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct lab_event;
struct lab_run;
struct lab_scenario;
struct raid_status;

struct lab_target {
	const char *name;
	bool real_time;
	bool prompt;       /* status() does not suspend */
	uint64_t tick_ns;  /* between two looks, at least */
	uint64_t quiet_ns; /* with nothing going on for so long, it is over */

	/* Optional: what it cannot have, by name, before anything runs. -EOPNOTSUPP with `error` set. */
	int (*check)(const struct lab_scenario *scenario, struct error *error);
	/* Optional: before the array is made, and after all. */
	int (*begin)(struct lab_run *run, struct error *error);
	void (*end)(struct lab_run *run);

	/* Makes it of the run's disks; assembles it from those that are in the machine; ends it. */
	int (*create)(struct lab_run *run, struct error *error);
	int (*assemble)(struct lab_run *run, bool force, struct error *error);
	int (*stop)(struct lab_run *run, struct error *error);
	/* The disks have no power: whatever ran the array is no more. */
	void (*power_lost)(struct lab_run *run);

	/* What raid_status() says; the caller frees it. There is an array. */
	void (*status)(struct lab_run *run, struct raid_status *status);
	/* Nothing runs, and nothing is due to start by itself; by what status() said last. */
	bool (*is_idle)(struct lab_run *run);
	/* What an administrator does. */
	int (*administrate)(struct lab_run *run, const struct lab_event *event,
			    struct error *error);
	/* Waits until nothing runs, compares the members, and says in how many bytes they differ. */
	int (*scrub)(struct lab_run *run, uint64_t *mismatches, struct error *error);
	/* Optional: what runs is not to come further than so many thousandths of a percent until it is looked at again;
	 * UINT64_MAX: as far as it likes. After each look. */
	void (*pace)(struct lab_run *run, uint64_t most);
	/* Optional: how long a guest waited for its last request at this byte of the array (UINT64_MAX: a flush); 0: not
	 * known. Without it, what the run saw counts. Does not suspend. */
	uint64_t (*latency)(struct lab_run *run, uint64_t offset);
};

extern const struct lab_target lab_target_tenon;

#endif
