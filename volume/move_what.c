/* SPDX-License-Identifier: BSD-2-Clause */
/* Which extents a move is about; see move_plan.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/move_plan.h"

bool lvm_move_is_destination(const struct move_planning *planning, const struct volume_pv *pv)
{
	const struct volume_move_options *options = planning->options;

	for (unsigned i = 0; i < options->to_count; i++)
		if (options->to[i] == pv)
			return true;
	return !options->to_count;
}

bool lvm_move_is_source(const struct move_planning *planning, const struct volume_pv *pv)
{
	const struct volume_move_options *options = planning->options;

	if (options->from)
		return pv == options->from;
	return pv && options->to_count && !lvm_move_is_destination(planning, pv);
}

uint32_t lvm_move_source_part(const struct move_planning *planning, const struct volume_area *area,
			      uint32_t count, uint32_t *start)
{
	const struct volume_move_options *options = planning->options;
	uint64_t end = (uint64_t)area->extent + count, first = end, last = end;

	*start = area->extent;
	if (!lvm_move_is_source(planning, area->pv))
		return 0;
	if (!options->from_range_count)
		return count;
	for (unsigned i = 0; i < options->from_range_count; i++) {
		const struct volume_range *range = &options->from_ranges[i];
		uint64_t from = MAX((uint64_t)area->extent, (uint64_t)range->first);
		uint64_t to = MIN(end, (uint64_t)range->last + 1);

		if (range->pv != area->pv || from >= to || from >= first)
			continue;
		first = from;
		last = to;
	}
	*start = (uint32_t)first;
	return (uint32_t)(last - first);
}

/* The volume, or what it is made of. */
bool lvm_move_is_named(const struct move_planning *planning, const struct volume_lv *lv,
		       unsigned depth)
{
	const struct volume_move_options *options = planning->options;
	const struct volume_lv *user;

	for (unsigned i = 0; i < options->volume_count; i++)
		if (!strcmp(options->volumes[i], lv->name))
			return true;
	if (!options->volume_count)
		return true;
	user = lv->visible || depth > 8 ? NULL : lvm_lv_dependent(planning->group, lv);
	return user && lvm_move_is_named(planning, user, depth + 1);
}

int lvm_move_check_names(const struct move_planning *planning)
{
	const struct volume_move_options *options = planning->options;

	for (unsigned i = 0; i < options->volume_count; i++)
		if (!volume_group_get_lv(planning->group, options->volumes[i]))
			return error_set(planning->error, -ENOENT, "%s/%.128s: no such volume",
					 planning->group->name, options->volumes[i]);
	return 0;
}

static uint64_t count_area(const struct move_planning *planning, struct volume_area area,
			   uint32_t count)
{
	uint64_t sum = 0;
	uint32_t start, part;

	while ((part = lvm_move_source_part(planning, &area, count, &start))) {
		sum += part;
		count -= start + part - area.extent;
		area.extent = start + part;
	}
	return sum;
}

uint64_t lvm_move_count(const struct move_planning *planning, const struct volume_lv *lv)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			sum += count_area(planning, lv->segments[i].areas[k],
					  lvm_segment_area_extents(&lv->segments[i]));
	return sum;
}

uint32_t lvm_move_same_until(const struct move_planning *planning,
			     const struct volume_segment *segment, uint32_t at)
{
	uint32_t all = lvm_segment_area_extents(segment), cut = all;

	for (unsigned i = 0; i < segment->area_count; i++) {
		struct volume_area area = segment->areas[i];
		uint32_t start, part;

		area.extent += at;
		part = lvm_move_source_part(planning, &area, all - at, &start);
		if (part && start > area.extent)
			cut = MIN(cut, at + start - area.extent);
		else if (part)
			cut = MIN(cut, at + part);
	}
	return cut;
}

/* What lies on the PV and is of a type that is kept as it is: it would stay there without a word. */
int lvm_move_check_kept(const struct move_planning *planning, const struct volume_lv *lv)
{
	struct lvm_pv_names names;
	bool found = false;

	if (lvm_pv_names_init(&names, planning->group))
		return change_no_memory(planning->group, planning->error);
	for (unsigned i = 0; !found && i < lv->segment_count; i++) {
		const struct lvm_config_node *node = lv->segments[i].private->node;

		for (unsigned k = 0; node && k < planning->group->pv_count; k++)
			found |= lvm_move_is_source(planning, planning->group->pvs[k]) &&
				 lvm_config_names(node->child, planning->group->pvs[k]->name);
	}
	lvm_pv_names_free(&names);
	return found ? error_set(planning->error, -EOPNOTSUPP,
				 "%s/%s: is of type %s, which is not moved; LVM2 can",
				 planning->group->name, lv->name, volume_lv_type(lv))
		     : 0;
}
