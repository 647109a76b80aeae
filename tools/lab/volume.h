/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volume groups as a subject of exploration: operations are carried out on a group over simulated disks and recorded, and states.h goes
 * through all that the disks may hold when the power goes. Each time the group must open; its metadata is what it was before
 * the operation that was on its way, or after it, and what it must be after one that was told to be done; and each volume holds
 * what was flushed. Then the group takes another change, and what is half done of a move is taken to its end or undone.
 *
 *	volume.c	recording, and looking at a state
 *	volume_ops.c	the operations: a table, to which others are added
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
	char *name;
	unsigned slot;
	uint64_t sectors;
};

/* A group as it is expected, after an operation. */
struct lab_volume_snapshot {
	char *text;
	struct lab_volume_expected lvs[LAB_SLOTS];
	unsigned lv_count;
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
	struct volume_group *group;
	struct lab_volume_expected lvs[LAB_SLOTS]; /* now */
	unsigned lv_count, slot_count;
	struct lab_oracle written[LAB_SLOTS];
	struct lab_volume_snapshot *snapshots; /* one more than operations */

	/* Looking. */
	struct lab_states states;
	struct lab_oracle expected[LAB_SLOTS];
	unsigned begun, done; /* operations */
	bool failed;
};

int lab_volume_explore(const struct lab_scenario *scenario,
		       const struct lab_explore_options *options, struct lab_explored *explored,
		       struct error *error);

/* ---- volume_ops.c ---- */

/* Several commits in one, of which each may be the last. */
bool lab_volume_op_has_steps(const struct lab_volume_op *op);
/* -EINVAL with `error` set. */
int lab_volume_op_parse(const char *text, struct lab_volume_op *op, struct error *error);
int lab_volume_op_run(struct lab_volume *volume, const struct lab_volume_op *op,
		      struct error *error);

#endif
