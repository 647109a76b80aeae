/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volume groups as a subject of exploration: operations are carried out one after the other, as commands do it (each looks at all
 * disks anew), on disks whose power may go at each write. In each state that the disks may have then the metadata is what it was before
 * the operation that was on its way, or after it, and what it must be after one that was told to be done; and each volume holds
 * what was flushed. What is half done (a move, a split, a merge, a clone) is ended or undone first, in the way that users have for it. Then
 * the operation that did not come to its end is carried out again, or the group takes another change.
 *
 * And each operation is carried out on disks of which one fails in the middle: it vanishes, is full, or fails some requests. What
 * the user is told then is what the disks say.
 *
 *	volume.c	recording, and exploring
 *	volume_text.c	what the disks say: of the metadata, as texts that are compared
 *	volume_look.c	looking at a state
 *	volume_fail.c	disks that fail in the middle
 *	volume_ops.c	the operations: a table, to which others are added; volume_ops_lv.c, volume_ops_vg.c
 */
#ifndef TENON_LAB_VOLUME_H
#define TENON_LAB_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lab/explore.h"
#include "tools/lab/oracle.h"
#include "tools/lab/states.h"
#include "util/error.h"
#include "volume/volume.h"

#define LAB_SLOTS        64u   /* volumes that there ever are */
#define LAB_SLOT_SECTORS 4096u /* of each, at most */

/* A volume as it is expected. The slot stays with it when it gets another name. */
struct lab_volume_expected {
	char name[VOLUME_NAME_LENGTH + 1];
	unsigned slot;
	uint64_t sectors;
};

/* What operations have made so far. Copied as it is. */
struct lab_volume_here {
	char group[VOLUME_NAME_LENGTH + 1]; /* that operations are about */
	struct lab_volume_expected lvs[LAB_SLOTS];
	unsigned lv_count, slot_count;
	uint64_t gone;    /* disks that are not in the machine: bits */
	const char *kept; /* by vg-backup: a metadata text, of the volume's `kept` */
};

/* What is expected after an operation. */
struct lab_volume_snapshot {
	struct lab_volume_here here;
	char *text;    /* of the metadata (volume_text.c) */
	char *devices; /* what each disk is */
};

struct lab_volume;

/* Where operations are carried out: when the run is recorded, in a state, or on disks that fail. */
struct lab_volume_stage {
	struct lab_volume *volume;
	struct lab_disk **disks;
	struct lab_volume_here here;
	struct volume_scan *scan; /* of the last operation */
	bool recorded;            /* data are written, and the user's side of it is in the trace */
	unsigned problems;        /* that groups told of which are not in `scan` */
};

struct lab_volume {
	const struct lab_scenario *scenario;
	const struct lab_explore_options *options;
	struct lab_explored *out;
	struct error error;

	/* Recording. */
	struct lab_rack rack;
	struct lab_disk *disks[LAB_DISKS];
	struct lab_trace trace;
	struct random random;
	struct volume_context context;
	struct lab_volume_stage stage;
	struct lab_oracle written[LAB_SLOTS];
	struct lab_volume_snapshot *snapshots; /* one more than operations */
	char *kept[LAB_SLOTS];                 /* what backups are */
	unsigned kept_count;

	/* Looking. */
	struct lab_states states;
	struct lab_oracle expected[LAB_SLOTS];
	unsigned begun, done; /* operations */
	bool failed;
};

int lab_volume_explore(const struct lab_scenario *scenario,
		       const struct lab_explore_options *options, struct lab_explored *explored,
		       struct error *error);

/* Looks at all disks that are there. */
int lab_volume_scan(struct lab_volume_stage *stage, struct volume_scan **found,
		    struct error *error);
void lab_volume_stage_end(struct lab_volume_stage *stage);

/* ---- volume_text.c ---- */

/* All groups that were found, and whether they can be changed. The caller frees them. */
char *lab_volume_text(const struct volume_scan *scan);
/* Of each disk: a PV of which group, of none, or no PV. */
char *lab_volume_devices(const struct volume_scan *scan);
/* Whether they are the same but for sequence numbers, and for UUIDs that are not in `known`. */
bool lab_volume_alike(const char *text, const char *other, const char *known);

/* ---- volume_look.c ---- */

/* Reports to lab_explored; only the first of a state, and of these the first. */
void lab_volume_fails(struct lab_volume *volume, enum lab_failing kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The disks hold a state: is it right? */
void lab_volume_look(struct lab_volume *volume);
/* What of old and new the disks say, once what is half done of `op` (or NULL) is ended or undone; NULL: neither. `exactly`: with the
 * same sequence numbers and UUIDs, unless that was necessary. *found is the caller's, always. */
const struct lab_volume_snapshot *lab_volume_settle(struct lab_volume_stage *stage,
						    const struct lab_volume_op *op, bool exactly,
						    struct volume_scan **found,
						    struct error *error);
/* Of some states: does it again, where it was not done, or something else. */
void lab_volume_go_on(struct lab_volume_stage *stage, const struct lab_volume_op *op,
		      const struct lab_volume_snapshot *snapshot);
/* Each of the volumes of the snapshot is there, once, and holds what was flushed. */
void lab_volume_look_at_lvs(struct lab_volume *volume, struct volume_scan *found,
			    const struct lab_volume_snapshot *snapshot);

/* ---- volume_fail.c ---- */

/* Operation `number`, which is about to begin, on disks that fail. */
void lab_volume_try_failing(struct lab_volume *volume, unsigned number);

/* ---- volume_ops.c ---- */

typedef int lab_volume_op_fn(struct lab_volume_stage *stage, char *const *words, unsigned count,
			     struct error *error);

struct lab_volume_operation {
	const char *name, *words;
	unsigned least, most;
	const char *verbs; /* of the command, that do this: "lv resize, lv extend"; NULL: none */
	lab_volume_op_fn *run;
	/* Of one with several commits, each of which may be the last: ends or undoes what is half done. */
	int (*finish)(struct lab_volume_stage *stage, struct error *error);
	bool moves; /* volumes may lie elsewhere then */
};

/* Ended by one without a name. */
extern const struct lab_volume_operation lab_volume_operations[];

const struct lab_volume_operation *lab_volume_operation(const struct lab_volume_op *op);
/* -EINVAL with `error` set. */
int lab_volume_op_parse(const char *text, struct lab_volume_op *op, struct error *error);
int lab_volume_op_run(struct lab_volume_stage *stage, const struct lab_volume_op *op,
		      struct error *error);

/* For operations: a disk by its name, "disk2"; the PV on it, and the present group, after a look at all disks. */
struct lab_disk *lab_volume_find_disk(struct lab_volume_stage *stage, const char *name,
				      struct error *error);
struct volume_group *lab_volume_group(struct lab_volume_stage *stage, const char *name,
				      struct error *error);
struct volume_pv *lab_volume_find_pv(struct lab_volume_stage *stage, const char *name,
				     struct error *error);

#define LAB_VOLUME_OP(name)                                                                        \
	int name(struct lab_volume_stage *stage, char *const *words, unsigned count,               \
		 struct error *error)

/* volume_ops_lv.c */
LAB_VOLUME_OP(lab_op_create);
LAB_VOLUME_OP(lab_op_create_raid);
LAB_VOLUME_OP(lab_op_resize);
LAB_VOLUME_OP(lab_op_rename);
LAB_VOLUME_OP(lab_op_remove);
LAB_VOLUME_OP(lab_op_write);
LAB_VOLUME_OP(lab_op_tag);
LAB_VOLUME_OP(lab_op_lv_change);
LAB_VOLUME_OP(lab_op_lv_repair);
LAB_VOLUME_OP(lab_op_lv_convert);
LAB_VOLUME_OP(lab_op_lv_move);
LAB_VOLUME_OP(lab_op_move);
int lab_finish_lv_repair(struct lab_volume_stage *stage, struct error *error);
int lab_finish_move(struct lab_volume_stage *stage, struct error *error);
/* volume_ops_vg.c */
LAB_VOLUME_OP(lab_op_vg_create);
LAB_VOLUME_OP(lab_op_vg_extend);
LAB_VOLUME_OP(lab_op_vg_reduce);
LAB_VOLUME_OP(lab_op_vg_reduce_missing);
LAB_VOLUME_OP(lab_op_vg_rename);
LAB_VOLUME_OP(lab_op_vg_remove);
LAB_VOLUME_OP(lab_op_vg_tag);
LAB_VOLUME_OP(lab_op_vg_change);
LAB_VOLUME_OP(lab_op_vg_export);
LAB_VOLUME_OP(lab_op_vg_import);
LAB_VOLUME_OP(lab_op_vg_split);
LAB_VOLUME_OP(lab_op_vg_merge);
LAB_VOLUME_OP(lab_op_vg_clone);
LAB_VOLUME_OP(lab_op_vg_backup);
LAB_VOLUME_OP(lab_op_vg_restore);
LAB_VOLUME_OP(lab_op_vg_repair);
LAB_VOLUME_OP(lab_op_pv_create);
LAB_VOLUME_OP(lab_op_pv_remove);
LAB_VOLUME_OP(lab_op_pv_resize);
LAB_VOLUME_OP(lab_op_pv_tag);
LAB_VOLUME_OP(lab_op_pv_change);
LAB_VOLUME_OP(lab_op_gone);
LAB_VOLUME_OP(lab_op_back);
int lab_finish_regroup(struct lab_volume_stage *stage, struct error *error);
int lab_finish_clone(struct lab_volume_stage *stage, struct error *error);

#endif
