/* SPDX-License-Identifier: BSD-2-Clause */
/* Where extents move to: redundancy stays. See move_plan.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/move_plan.h"

static void bar(const struct move_planning *planning, const struct volume_pv *pv)
{
	if (pv && !planning->anywhere)
		planning->barred[pv->private->index] = true;
}

static void bar_all_of(const struct move_planning *planning, const struct volume_lv *lv,
		       unsigned depth)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			bar(planning, lv->segments[i].areas[k].pv);
			if (lv->segments[i].areas[k].lv && depth < 8)
				bar_all_of(planning, lv->segments[i].areas[k].lv, depth + 1);
		}
}

/* "x_rimage_1" and "x_rmeta_1" are of one leg. */
static bool same_leg(const struct volume_lv *a, const struct volume_lv *b)
{
	const char *x = strrchr(a->name, '_'), *y = strrchr(b->name, '_');

	return a == b || (x && y && !strcmp(x, y));
}

/* The PVs of the other copies, or parity, of what a volume is a part of. */
static void bar_siblings(const struct move_planning *planning, const struct volume_lv *lv)
{
	const struct volume_group *group = planning->group;
	const struct volume_lv *user = lv->visible ? NULL : lvm_lv_dependent(group, lv);

	if (!user || (strncmp(user->segments->type, "raid", 4) &&
		      strncmp(user->segments->type, "mirror", 6)))
		return;
	for (unsigned i = 0; i < group->lv_count; i++) {
		const struct volume_lv *other = group->lvs[i];

		if (!other->visible && !same_leg(lv, other) &&
		    lvm_lv_dependent(group, other) == user)
			bar_all_of(planning, other, 0);
	}
}

static void find_barred(const struct move_planning *planning, const struct volume_lv *lv,
			const struct volume_segment *segment, unsigned area)
{
	const struct volume_group *group = planning->group;
	const struct volume_pv *from = segment->areas[area].pv;

	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		planning->barred[i] =
			!pv->allocatable || !pv->block || !lvm_move_is_destination(planning, pv) ||
			(pv == from && !(planning->anywhere && planning->options->to_count)) ||
			pv->block->logical_block_size != from->block->logical_block_size;
	}
	for (unsigned i = 0; i < segment->area_count; i++)
		if (i != area)
			bar(planning, segment->areas[i].pv);
	bar_siblings(planning, lv);
}

/* Takes what was allocated out of what is left. */
static void take(struct move_planning *planning, const struct allocate_result *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		for (size_t k = 0; k < planning->free_count; k++) {
			struct allocate_free *gap = &planning->free[k];

			if (gap->pv != pieces->places[i].pv ||
			    gap->start != pieces->places[i].extent)
				continue;
			gap->start += pieces->lengths[i];
			gap->count -= pieces->lengths[i];
			break;
		}
}

static int fail_room(const struct move_planning *planning, const struct volume_lv *lv,
		     const struct volume_pv *from, uint32_t extents)
{
	uint64_t left = 0;

	for (size_t i = 0; i < planning->free_count; i++)
		if (!planning->barred[planning->free[i].pv])
			left += planning->free[i].count;
	error_set(planning->error, -ENOSPC,
		  "%s/%s: %u extents on %s are to move, %llu are free where they may go",
		  planning->group->name, lv->name, extents, from->block->name,
		  (unsigned long long)left);
	return error_advise(planning->error, "name other devices, or add one: tenon vg extend%s",
			    planning->anywhere ? ""
					       : "; --alloc anywhere lets stripes and copies "
						 "share one");
}

int lvm_move_allocate(struct move_planning *planning, const struct volume_lv *lv,
		      const struct volume_segment *segment, unsigned area, uint32_t extents,
		      struct allocate_result *pieces)
{
	struct allocate_free *gaps = calloc(planning->free_count + 1, sizeof(*gaps));
	enum volume_allocation policy = planning->options->allocation;
	struct allocate_wish wish = { .extents = extents, .stripes = 1 };
	size_t count = 0;
	int rc;

	if (!gaps)
		return change_no_memory(planning->group, planning->error);
	if (policy == VOLUME_ALLOCATE_CONTIGUOUS)
		wish.policy = ALLOCATE_CONTIGUOUS;
	else if (policy == VOLUME_ALLOCATE_CLING)
		wish.policy = ALLOCATE_CLING;
	find_barred(planning, lv, segment, area);
	for (size_t i = 0; i < planning->free_count; i++)
		if (planning->free[i].count && !planning->barred[planning->free[i].pv])
			gaps[count++] = planning->free[i];
	rc = allocate_extents(gaps, count, &wish, pieces);
	free(gaps);
	if (rc == -ENOSPC)
		return fail_room(planning, lv, segment->areas[area].pv, extents);
	if (rc)
		return change_no_memory(planning->group, planning->error);
	take(planning, pieces);
	return 0;
}
