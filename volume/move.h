/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving extents to other PVs while their volumes are used, in LVM2's own format of a pvmove, so that either carries on, or
 * undoes, what the other has begun.
 *
 * A move is a hidden volume, "pvmoveN", of mirror segments (segment_mirror.c); the volumes whose extents move lie on it instead of
 * on their PV, and are LOCKED. Each of its segments is a step:
 *
 *	waiting		extents_moved 0 on the disks. Area 0 has the data, reads and writes go there.
 *	running		the same on the disks. In memory the step has a block (move_block.c) that reads from area 0 and
 *			writes to both, and the mover copies what is there. One step at a time.
 *	moved		extents_moved is all of it, committed. Reads and writes go to area 1 alone.
 *
 * States are changed by the mover (move.c) under the group's lock, and the metadata is the only checkpoint. Why no crash loses
 * data: until the commit of "moved" area 0 has everything that was ever acknowledged, whatever area 1 holds; a step that was
 * cut off begins anew. That commit comes after the copy, and what was written meanwhile, are flushed on area 1, and
 * writes go on to both until it is made: should it be unknown whether it was, both are right. The last one also takes the layer out (move_end.c): volumes
 * then lie where area 1 is. Undoing puts the steps that are not moved back on area 0; those that are stay where they are,
 * as with LVM2.
 */
#ifndef TENON_VOLUME_MOVE_H
#define TENON_VOLUME_MOVE_H

#include "fiber/fiber.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/segment.h"
#include "volume/volume_move.h"

/* A step that runs: of the pvmove volume (private->moving). */
struct lvm_moving {
	uint32_t start_extent;
	struct block *block; /* a reference */
};

/* Who moves; of a group. */
struct lvm_mover {
	struct fiber *fiber;
	bool running;             /* else it has ended, with `rc` and `error` */
	struct fiber_queue ended; /* who waits for that */
	int rc;
	struct error error;
	uint64_t step_done; /* bytes of the step that runs */
	uint64_t copied;    /* bytes since it was started */
	uint64_t since_ns;  /* by the worker's clock */
	struct volume_move_run options;
	char by[VOLUME_COMMAND]; /* who asked for it; empty: nobody, it goes on */
};

void lvm_moving_free(struct lvm_moving *moving); /* NULL is fine */

bool lvm_segment_is_move(const struct volume_segment *segment);
bool lvm_segment_is_moved(const struct volume_segment *segment);

/* Has the move's volume, which has no tags yet, say how fast it may be (0: nothing). -ENOMEM. What it says, or 0. */
int lvm_move_keep_rate(struct volume_group *group, struct volume_lv *move, uint64_t rate);
uint64_t lvm_move_rate(const struct volume_lv *move);

/* The first volume that is a move, or NULL; one that is left of a move that LVM2 has ended, too. */
struct volume_lv *lvm_move_find(const struct volume_group *group);
bool lvm_lv_is_move(const struct volume_lv *lv);

/* A change that takes the layer out: what is moved, and with `all_moved` what is not too, lies where area 1 is, the rest
 * where area 0 is. Plans; the caller commits. */
int lvm_move_plan_end(struct change *change, struct volume_lv *move, bool all_moved,
		      struct error *error);

/* ---- Copying (move_copy.c) ---- */

/* All of the step that runs. -ECANCELED: the fiber was. Suspends. */
int lvm_move_copy_step(struct volume_group *group, const struct volume_lv *move,
		       struct error *error);

/* ---- The block of a step (move_block.c) ---- */

/* Over [offset, offset + length) of each; takes references. */
int lvm_move_block_create(struct block **out, const char *name, struct block *from,
			  uint64_t from_offset, struct block *to, uint64_t to_offset,
			  uint64_t length, struct error *error);
/* Copies a range, while no write is in it. Suspends. */
int lvm_move_block_copy(struct block *block, uint64_t offset, void *buffer, uint64_t length);
/* Flushes what is written to the second place. 0: from now on a request has failed where it failed there; else the first
 * error that it gave since it was made. lvm_move_block_relax(): the first place alone counts again. */
int lvm_move_block_settle(struct block *block, struct error *error);
void lvm_move_block_relax(struct block *block);

#endif
