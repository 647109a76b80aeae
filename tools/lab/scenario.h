/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios: an array, its disks, what is done with it, what goes wrong and when, and what is expected; docs/rebuild-lab.md has the
 * language. All of it is checked before anything runs.
 */
#ifndef TENON_LAB_SCENARIO_H
#define TENON_LAB_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lab/decode.h"
#include "tools/lab/disk_time.h"

struct error;

#define LAB_DISKS    32u
#define LAB_NO_LIMIT UINT64_MAX

/* ---- Moments ---- */

enum lab_moment_kind {
	LAB_AT_TIME,
	LAB_AT_PERCENT,
	LAB_AT_WRITE,
	LAB_AT_FLUSH,
	LAB_AT_SECTOR,
	LAB_AT_STATE
};
enum lab_state {
	LAB_WHEN_CLEAN,
	LAB_WHEN_DIRTY,
	LAB_WHEN_DEGRADED,
	LAB_WHEN_REBUILDING,
	LAB_WHEN_RESYNCING,
	LAB_WHEN_REBUILT, /* idle, and not degraded, after it was one of those */
	LAB_WHEN_IDLE,
	LAB_WHEN_DONE, /* the workload is */
};

/* From `least` to `most`, drawn from the seed where they differ: nanoseconds, thousandths of a percent, numbers, a sector. */
struct lab_moment {
	bool said;
	enum lab_moment_kind kind;
	uint64_t least, most;
	enum lab_state state;
};
int lab_moment_parse(const char *text, void *at, struct error *error);
/* As it was written. Returns `text`. */
#define LAB_MOMENT_TEXT 80
char *lab_moment_format(const struct lab_moment *moment, char text[LAB_MOMENT_TEXT]);

/* ---- Events ---- */

enum lab_action {
	/* to disks */
	LAB_DO_LOSS,
	LAB_DO_DROP,
	LAB_DO_HANG,
	LAB_DO_SLOW,
	LAB_DO_LATENT,
	LAB_DO_ERRORS,
	LAB_DO_TORN,
	LAB_DO_LOST,
	LAB_DO_MISDIRECT,
	LAB_DO_REORDER,
	LAB_DO_ROT,
	LAB_DO_FULL,
	/* to all of them */
	LAB_DO_POWER,
	/* what an administrator does */
	LAB_DO_FAIL,
	LAB_DO_REMOVE,
	LAB_DO_ADD,
	LAB_DO_REPLACE,
	LAB_DO_CHECK,
	LAB_DO_REPAIR,
	LAB_DO_RESTART,
};
extern const char *const lab_action_names[];

struct lab_event {
	struct lab_moment at;
	uint64_t after_ns; /* that moment */
	unsigned action;   /* enum lab_action */
	struct lab_numbers disks;
	uint64_t for_ns, sector, sectors, count, factor, latency_ns, shift, bits;
	bool fails, reads, force;
	struct lab_numbers keep; /* power: writes that are kept */
	bool keep_said;
	struct lab_numbers lose; /* power: disks that do not come back */
	uint64_t with;           /* replace */
};

/* ---- Workloads ---- */

enum lab_workload_kind {
	LAB_WORKLOAD_NONE,
	LAB_WORKLOAD_SEQUENTIAL,
	LAB_WORKLOAD_RANDOM,
	LAB_WORKLOAD_DATABASE,
	LAB_WORKLOAD_REPLAY,
	LAB_WORKLOAD_SCRIPT,
};

enum lab_op_kind { LAB_OP_WRITE, LAB_OP_READ, LAB_OP_FLUSH, LAB_OP_FUA, LAB_OP_WAIT };

struct lab_op {
	enum lab_op_kind kind;
	uint64_t sector, count; /* of the region; nanoseconds of a wait in `count` */
};
int lab_op_parse(const char *text, struct lab_op *op, struct error *error);
#define LAB_OP_TEXT 64
char *lab_op_format(const struct lab_op *op, char text[LAB_OP_TEXT]);

struct lab_workload_plan {
	unsigned kind;
	uint64_t offset, length; /* the region: bytes of the array */
	uint64_t block, depth, reads, flush_every, count, rate;
	uint64_t time_ns; /* how long; 0: as `count` says */
	bool fill;        /* the region is written before it begins */
	const char *log;
	struct lab_texts ops;
	struct lab_op *script; /* `ops` */
};

/* ---- The whole ---- */

struct lab_array_plan {
	const char *level_text, *layout, *metadata;
	int level;
	uint64_t chunk, members, spares, size, bitmap_chunk, rebuild_max, rebuild_min;
	unsigned consistency; /* enum lab_consistency */
	bool assume_clean;
};
enum lab_consistency { LAB_BY_RESYNC, LAB_BY_BITMAP, LAB_BY_PPL, LAB_BY_JOURNAL };
extern const char *const lab_consistency_names[];

struct lab_disks_plan {
	struct lab_disk_model model;
	struct lab_maps each;
};
struct lab_each_disk {
	uint64_t disk;
	struct lab_disk_model model;
};

/* A volume group, and what is done with it. */
struct lab_volume_op {
	unsigned number, count; /* of the operation, of its words */
	char text[128], *words[5];
};

struct lab_volume_plan {
	uint64_t pvs, extent; /* the first disks are PVs; bytes */
	struct lab_texts ops;
	struct lab_volume_op *parsed; /* `ops` */
};

enum lab_data { LAB_DATA_INTACT, LAB_DATA_LOST, LAB_DATA_ANY };
enum lab_end { LAB_END_WHOLE, LAB_END_DEGRADED, LAB_END_FAILED, LAB_END_ANY };
extern const char *const lab_data_names[], *const lab_end_names[];

struct lab_expect {
	unsigned data;         /* enum lab_data */
	struct lab_texts lost; /* "SECTOR COUNT": exactly these are lost */
	unsigned state;        /* enum lab_end */
	bool silent; /* corruption without a word is expected (to show what is not guarded against) */
	bool parity; /* members agree in the end */
	uint64_t rebuilt_before_ns, exposed_ns, degraded_ns, corrected;
	uint64_t latency_ns; /* of the slowest request */
};

struct lab_explore {
	uint64_t subsets; /* of writes that are not durable: all, of so many writes */
	uint64_t samples; /* beyond that: so many subsets */
	uint64_t lose;    /* so many members with the power */
	uint64_t full;    /* each so manieth state is gone over as a whole */
	uint64_t states;  /* at most */
};

struct lab_scenario {
	const char *name, *about, *source;
	uint64_t seed, until_ns;
	struct lab_array_plan array;   /* this, or */
	struct lab_volume_plan volume; /* this */
	struct lab_disks_plan disks;
	struct lab_workload_plan workload;
	struct lab_maps events; /* struct lab_event */
	struct lab_expect expect;
	struct lab_explore explore;

	struct lab_disk_model models[LAB_DISKS]; /* of all disks: members, spares, the journal */
	unsigned disk_count;
	struct lab_pool pool;
};

/* Reads and checks one; `file` is for errors. The caller frees it, also after an error. */
int lab_scenario_parse(struct lab_scenario *scenario, const char *file, const char *text,
		       size_t length, struct error *error);
/* The text of which lab_scenario_parse() makes it. The caller frees it. */
char *lab_scenario_text(const struct lab_scenario *scenario);
/* As it is where nothing is said. */
void lab_scenario_usual_explore(struct lab_explore *explore);
/* Whether it is about a volume group. */
bool lab_scenario_is_volume(const struct lab_scenario *scenario);
void lab_scenario_free(struct lab_scenario *scenario);
struct lab_event *lab_scenario_event(const struct lab_scenario *scenario, unsigned index);

#endif
