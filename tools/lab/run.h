/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of a scenario, in virtual time, the same each time from the same seed.
 *
 *	run.c		its life: disks, array, workload, end, what it came to
 *	target.h	the array: made, looked at, changed, ended
 *	run_events.c	moments, faults, and what an administrator does
 *	run_look.c	samples, and whether anything is still to come
 *	workload.c	requests to the array
 *	check.c		what the array holds, compared with the oracle
 *	verdict.c	what was expected
 */
#ifndef TENON_LAB_RUN_H
#define TENON_LAB_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"
#include "raid/raid.h"
#include "tools/lab/disk.h"
#include "tools/lab/oracle.h"
#include "tools/lab/scenario.h"
#include "tools/lab/target.h"
#include "tools/lab/trace.h"
#include "util/error.h"
#include "util/log.h"

#define LAB_SAMPLES 1000u

struct lab_sample {
	uint64_t ns;      /* since the beginning */
	uint64_t rate;    /* bytes per second of the rebuild */
	uint64_t latency; /* of the slowest request since the last one */
	uint64_t ops;     /* requests answered since the last one */
	unsigned depth;   /* requests at the disks */
	bool degraded, exposed, off;
	enum raid_operation operation;
};

/* How well the array was from a moment on. */
enum lab_health { LAB_OFF, LAB_FAILED, LAB_EXPOSED, LAB_DEGRADED, LAB_WHOLE };
struct lab_phase {
	uint64_t ns;
	enum lab_health health;
	enum raid_operation operation;
};
extern const char *const lab_health_names[];

struct lab_note {
	uint64_t ns;
	bool fault; /* what was done; else what the array said */
	char *text;
};

struct lab_damage {
	uint64_t sector, count; /* of the region */
	uint32_t found;         /* a version; LAB_ANYTHING: none that there was */
	struct lab_legal legal;
	bool silent;
};

#define LAB_LATENCIES 512u

/* Of requests; latencies in steps of an eighth of their power of two. */
struct lab_work_counts {
	uint64_t reads, writes, flushes, errors, bytes;
	uint64_t latency_sum, latency_most, latencies[LAB_LATENCIES];
	uint64_t latency_most_now; /* since the last sample */
};

struct lab_result {
	const char *target; /* its name */
	uint64_t seed;
	bool met;
	char *failures[16]; /* what was expected and is not so */
	unsigned failure_count;

	uint64_t end_ns, rebuild_ns, degraded_ns, exposed_ns, off_ns;
	uint64_t rebuilt_at_ns; /* when it was whole again; 0: it never was otherwise, or is not */
	uint64_t silent, lost;  /* sectors */
	struct lab_damage *damages;
	unsigned damage_count;
	uint64_t mismatches; /* bytes */
	bool degraded, failed, assembled, timed_out;
	uint64_t corrected, members_failed, made_good, lost_reads;
	struct lab_work_counts work;
	uint64_t disk_reads, disk_writes, disk_flushes, disk_written_bytes, disk_read_bytes;
	struct lab_sample *samples;
	unsigned sample_count;
	struct lab_note *notes;
	unsigned note_count;
	struct lab_phase *phases; /* each differs from the one before */
	unsigned phase_count;
};

struct lab_fired {
	const struct lab_event *event;
	uint64_t value; /* of its moment, drawn */
	bool fired, timed;
};

struct lab_run {
	const struct lab_scenario *scenario;
	const struct lab_run_options *options;
	const struct lab_target *target;
	struct lab_result *result;
	uint64_t seed, start_ns;
	struct random random;
	struct error error;
	struct log log;

	struct lab_rack rack;
	struct lab_disk *disks[LAB_DISKS];
	struct block
		*block; /* the target's array; NULL: without power, or it cannot be assembled */
	struct raid_array *array; /* of tenon's targets */
	void *machine;            /* of others */
	struct lab_trace *trace;  /* NULL: none is wanted */
	struct lab_oracle oracle;

	/* run_events.c */
	struct lab_fired *fired;
	struct fiber_queue operator_queue;
	struct lab_fired **due;
	unsigned due_count, due_done;
	bool looking, operator_running;
	unsigned operating; /* timers */
	bool was_degraded, was_syncing;
	uint64_t looks;

	/* workload.c */
	struct lab_op *ops;
	uint64_t op_count, op_next, log_next;
	uint64_t rate_next_ns, workload_end_ns;
	struct fiber_queue workload_queue;
	struct list busy;
	unsigned workers;
	bool ending;

	/* run_look.c */
	uint64_t looked_ns, idle_ns, tick_ns, ops_seen;
	uint64_t leaps;
};

/*
 * Runs it on a worker of its own, on the calling thread. `target` NULL: tenon's arrays. `trace` (may be NULL) records it, from when the array stands and the region
 * is filled; `begun` (may be NULL) is called then, on a fiber. 0, or a negative errno with `error` set: it could not be run at
 * all. The caller ends the result.
 */
struct lab_run_options {
	uint64_t seed;
	const struct lab_target *target;
	struct lab_trace *trace;
	void (*begun)(struct lab_run *run, void *arg);
	void *arg;
};
int lab_run_scenario(const struct lab_scenario *scenario, const struct lab_run_options *options,
		     struct lab_result *result, struct error *error);
void lab_result_end(struct lab_result *result);
const char *lab_end_of(const struct lab_result *result); /* "whole", "degraded", "failed" */

uint64_t lab_run_now(const struct lab_run *run); /* since the beginning */
void lab_run_note(struct lab_run *run, bool fault, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The disks that are in the machine. Returns how many. */
unsigned lab_run_blocks(struct lab_run *run, struct block *blocks[LAB_DISKS]);
/* Those of them that were ever of the array. */
unsigned lab_run_members(struct lab_run *run, struct block *blocks[LAB_DISKS]);
/* Puts a new disk of its kind in place of one that is gone. */
void lab_run_new_disk(struct lab_run *run, unsigned index);
/* The same for one whose place in the machine has to stay as it is: it is empty, and nothing is wrong with it. */
void lab_run_renew_disk(struct lab_run *run, unsigned index);
/* How many more members could be lost; -1: it has failed. */
int lab_redundancy(const struct raid_status *status);
bool lab_level_has_redundancy(int level);

/* run_events.c */
void lab_events_begin(struct lab_run *run);
void lab_events_end(struct lab_run *run);
void lab_events_look(struct lab_run *run,
		     const struct raid_status *status); /* states and percents */
void lab_events_touch(void *run, struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
		      uint64_t length);
bool lab_events_to_come(const struct lab_run *run);
/* How far what runs, if anything does, may come before the next moment; see lab_target.pace. */
uint64_t lab_events_pace(const struct lab_run *run, const struct raid_status *status);

/* run_look.c */
void lab_look(struct lab_run *run); /* takes a sample */
bool lab_run_is_over(struct lab_run *run);
/* raid_rebuild_know()'s: large stretches that nobody wrote to pass in time, not in work. */
bool lab_run_leap(void *run, uint64_t sector, uint64_t *count);

/* workload.c */
int lab_workload_begin(struct lab_run *run, struct error *error);
int lab_workload_fill(struct lab_run *run, struct error *error);
void lab_workload_end(struct lab_run *run);
bool lab_workload_done(const struct lab_run *run);
uint64_t lab_latency_at(const struct lab_work_counts *counts, double part); /* ns, of a quantile */

/* check.c */
struct lab_check {
	struct block *block;
	struct lab_oracle *oracle;
	uint64_t offset; /* of the region */
	bool crashed;    /* what was not durable may be gone */
	bool take;       /* what is there counts from now on */
	bool only_still; /* only sectors that nobody was writing to */
	void (*damage)(void *arg, const struct lab_damage *damage);
	void *arg;
	uint64_t silent, lost; /* out: sectors */
};
void lab_check_region(struct lab_check *check);
/* Of a run: what is found goes to its result. */
void lab_run_check(struct lab_run *run, bool crashed);
/* The bytes in which members do not agree. */
int lab_scrub(struct raid_array *array, uint64_t *mismatches, struct error *error);

/* verdict.c */
void lab_verdict(struct lab_run *run);

#endif
