/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Planning a move (move.h):
 *
 *	move_what.c	which extents
 *	move_where.c	where to
 *	move_plan.c	the layer under the volumes that they are of, and all of it
 */
#ifndef TENON_VOLUME_MOVE_PLAN_H
#define TENON_VOLUME_MOVE_PLAN_H

#include "volume/allocate.h"
#include "volume/change.h"
#include "volume/volume_move.h"

struct move_planning {
	struct change *change;
	struct volume_group *group;
	const struct volume_move_options *options;
	struct error *error;
	struct volume_lv *move;
	struct allocate_free *free; /* what is left */
	size_t free_count;
	bool *barred; /* PVs that the extents at hand may not go to, by index */
	bool anywhere;
	struct volume_segment *steps;
	uint32_t step_room;
	uint32_t step_extents;
	uint64_t wanted; /* all extents that are to move */
};

/* ---- move_what.c ---- */

bool lvm_move_is_destination(const struct move_planning *planning, const struct volume_pv *pv);
bool lvm_move_is_source(const struct move_planning *planning, const struct volume_pv *pv);
/* The first part of [start, start + count) of an area's PV that is to move: *start and the count. */
uint32_t lvm_move_source_part(const struct move_planning *planning, const struct volume_area *area,
			      uint32_t count, uint32_t *start);
/* The volume, or what it is made of; 0 is the depth. */
bool lvm_move_is_named(const struct move_planning *planning, const struct volume_lv *lv,
		       unsigned depth);
int lvm_move_check_names(const struct move_planning *planning);
/* Extents of it that are to move. */
uint64_t lvm_move_count(const struct move_planning *planning, const struct volume_lv *lv);
/* Where after `at`, in extents of each area, the first of a segment's areas begins to be one that moves, or ends to be. */
uint32_t lvm_move_same_until(const struct move_planning *planning,
			     const struct volume_segment *segment, uint32_t at);
/* What lies on the PV and is of a type that is kept as it is: it would stay there without a word. -EOPNOTSUPP. */
int lvm_move_check_kept(const struct move_planning *planning, const struct volume_lv *lv);

/* ---- move_where.c ---- */

/* Room for so many extents of an area, taken out of what is left; the caller frees *pieces. -ENOSPC. */
int lvm_move_allocate(struct move_planning *planning, const struct volume_lv *lv,
		      const struct volume_segment *segment, unsigned area, uint32_t extents,
		      struct allocate_result *pieces);

#endif
