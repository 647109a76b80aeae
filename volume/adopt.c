/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A group takes over what its own text reads back as (lvm_vg.h). PVs are in the same order in both, and volumes in that
 * of the text: visible ones first.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "volume/lvm_vg.h"
#include "volume/segment_raid.h"

bool lvm_pv_usable(const struct volume_pv *pv)
{
	return pv->block && !pv->duplicate && !pv->marked_missing;
}

enum lvm_loss lvm_area_loss(const struct volume_segment *segment, const struct volume_area *area)
{
	const struct volume_pv_private *pv = area->pv->private;

	if (!lvm_pv_usable(area->pv))
		return LVM_LOSS_MISSING;
	if (!pv->is_short)
		return LVM_LOSS_NONE;
	return area->extent + (uint64_t)lvm_segment_area_extents(segment) > pv->short_extents
		       ? LVM_LOSS_CUT
		       : LVM_LOSS_BESIDE;
}

/* No macro: what is asked is asked once. */
static enum lvm_loss worse(enum lvm_loss one, enum lvm_loss other)
{
	return MAX(one, other);
}

static enum lvm_loss loss_of(struct volume_lv *lv);

static enum lvm_loss loss_of_part(const struct volume_lv *lv, struct volume_lv *part, bool array)
{
	enum lvm_loss loss;

	part->private->of_array = array;
	loss = loss_of(part);
	lv->private->has_cut |= part->private->has_cut;
	return loss;
}

static enum lvm_loss loss_of_area(const struct volume_lv *lv, const struct volume_segment *segment,
				  const struct volume_area *area)
{
	enum lvm_loss loss = lvm_area_loss(segment, area);

	lv->private->has_cut |= loss == LVM_LOSS_CUT;
	return loss;
}

static enum lvm_loss loss_of_areas(const struct volume_lv *lv, const struct volume_segment *segment)
{
	const struct lvm_raid *raid = segment->private->raid;
	bool array = raid && raid->kind->level;
	enum lvm_loss loss = LVM_LOSS_NONE;

	for (unsigned k = 0; k < segment->area_count; k++) {
		const struct volume_area *area = &segment->areas[k];

		if (area->pv)
			loss = worse(loss, loss_of_area(lv, segment, area));
		if (lv->supported && area->lv)
			loss = worse(loss, loss_of_part(lv, area->lv, array));
		if (lv->supported && segment->metas)
			loss = worse(loss, loss_of_part(lv, segment->metas[k].lv, array));
	}
	/* Of an array nothing is lost that it has nowhere else. */
	return loss == LVM_LOSS_BESIDE && array ? LVM_LOSS_NONE : loss;
}

/* Found out once of each: of metadata that have volumes on volumes many times over there is no end of ways down. */
static enum lvm_loss loss_of(struct volume_lv *lv)
{
	enum lvm_loss loss = LVM_LOSS_NONE;

	if (lv->private->looked)
		return lv->private->loss;
	for (unsigned i = 0; i < lv->segment_count; i++)
		loss = worse(loss, loss_of_areas(lv, &lv->segments[i]));
	lv->partial = loss >= LVM_LOSS_CUT;
	lv->private->loss = loss;
	lv->private->looked = true;
	return loss;
}

bool volume_lv_cut(const struct volume_lv *lv)
{
	return lv->private->loss == LVM_LOSS_CUT;
}

bool volume_lv_beside_cut(const struct volume_lv *lv)
{
	return lv->private->loss == LVM_LOSS_BESIDE;
}

void lvm_vg_judge_partial(struct volume_group *group)
{
	for (unsigned i = 0; i < group->lv_count; i++) {
		struct volume_lv_private *private = group->lvs[i]->private;

		private->looked = private->of_array = private->has_cut = false;
	}
	for (unsigned i = 0; i < group->lv_count; i++)
		loss_of(group->lvs[i]);
}

/* Everything but what is known of the device. */
static void adopt_pv(struct volume_pv *pv, const struct volume_pv *read)
{
	struct volume_pv_private *private = pv->private;
	struct volume_pv old = *pv;

	*pv = *read;
	pv->block = old.block;
	pv->duplicate = old.duplicate;
	pv->metadata_areas = old.metadata_areas;
	pv->metadata_areas_used = old.metadata_areas_used;
	pv->private = private;
	private->index = read->private->index;
	private->status = read->private->status;
	private->flags = read->private->flags;
	private->extra = read->private->extra;
	private->pe_start_sectors = read->private->pe_start_sectors;
	private->dev_size_sectors = read->private->dev_size_sectors;
}

/* Everything but who uses it. */
static void adopt_lv(struct volume_lv *lv, const struct volume_lv *read)
{
	struct volume_lv_private *private = lv->private;
	struct lvm_active *active = private->active;
	struct lvm_moving *moving = private->moving;
	struct lvm_span span = private->span;
	unsigned open_count = lv->open_count;

	*lv = *read;
	lv->open_count = open_count;
	lv->private = private;
	*private = *read->private;
	private->active = active;
	private->moving = moving;
	private->span = span;
}

/* Areas name PVs of what was read, and volumes of it. */
static void adopt_areas(struct volume_group *group, const struct volume_lv *lv)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			struct volume_area *area = &lv->segments[i].areas[k];

			if (area->pv)
				area->pv = group->pvs[area->pv->private->index];
		}
}

static void adopt_lvs(struct volume_group *group, struct volume_group *read)
{
	unsigned at = 0;

	for (unsigned hidden = 0; hidden < 2; hidden++)
		for (unsigned i = 0; i < group->lv_count; i++) {
			struct volume_lv *lv = group->lvs[i];

			if (!lv || lv->visible == !!hidden)
				continue;
			adopt_lv(lv, read->lvs[at]);
			adopt_areas(group, lv);
			lvm_lv_free(read->lvs[at]);
			read->lvs[at++] = lv;
			group->lvs[i] = NULL;
		}
	group->lvs = read->lvs;
	group->lv_count = read->lv_count;
	read->lv_count = 0;
}

static void adopt_pvs(struct volume_group *group, struct volume_group *read)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *shell = read->pvs[i];

		adopt_pv(group->pvs[i], shell);
		read->pvs[i] = group->pvs[i];
		free(shell);
	}
	group->pvs = read->pvs;
	read->pv_count = 0;
}

static void adopt_numbers(struct volume_group *group, const struct volume_group *read)
{
	group->extent_count = read->extent_count;
	group->free_extents = read->free_extents;
	group->tags = read->tags;
	group->tag_count = read->tag_count;
	group->max_lv = read->max_lv;
	group->max_pv = read->max_pv;
	group->metadata_copies = read->metadata_copies;
	group->description = read->description;
	group->creation_host = read->creation_host;
	group->creation_time = read->creation_time;
	group->system_id = read->system_id;
	group->exported = read->exported;
	group->resizeable = read->resizeable;
	group->no_autoactivate = read->no_autoactivate;
	group->private->status = read->private->status;
	group->private->flags = read->private->flags;
	group->private->extra = read->private->extra;
}

void lvm_vg_adopt(struct volume_group *group, struct volume_group *read)
{
	struct lvm_config old = group->private->memory;

	lvm_index_forget(group);
	adopt_numbers(group, read);
	adopt_lvs(group, read);
	adopt_pvs(group, read);
	group->private->memory = read->private->memory;
	read->private->memory = old;
	lvm_vg_link_areas(group);
	lvm_vg_judge_partial(group);
}
