/* SPDX-License-Identifier: BSD-2-Clause */
/* What a change keeps to take itself back; see change.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/error.h"
#include "util/log.h"
#include "volume/active.h"
#include "volume/change.h"
#include "volume/segment.h"

enum kept_kind { KEPT_LV, NEW_LV, GONE_LV, KEPT_PV, NEW_PV, GONE_PV };

/* In the group's pool, so it goes with that. */
struct change_kept {
	struct change_kept *next;
	enum kept_kind kind;
	struct volume_lv *lv, lv_was;
	struct volume_lv_private lv_private_was;
	struct volume_pv *pv, pv_was;
	struct volume_pv_private pv_private_was;
};

void change_begin(struct change *change, struct volume_group *group)
{
	*change = (struct change){ .group = group,
				   .before = *group,
				   .status = group->private->status,
				   .flags = group->private->flags,
				   .extra = group->private->extra,
				   .mark = lvm_config_mark(&group->private->memory) };
	lvm_vg_problems_forget(group);
	lvm_vg_command_note(group);
}

int change_open(struct change *change, struct volume_group *group, struct error *error)
{
	change_begin(change, group);
	return lvm_vg_check_changeable(group, error);
}

static struct change_kept *keep(struct change *change, enum kept_kind kind)
{
	struct change_kept *kept = lvm_config_alloc(&change->group->private->memory, sizeof(*kept));

	if (!kept)
		return NULL;
	kept->next = change->kept;
	kept->kind = kind;
	change->kept = kept;
	return kept;
}

static int keep_lv(struct change *change, enum kept_kind kind, struct volume_lv *lv)
{
	struct change_kept *kept = keep(change, kind);

	if (!kept)
		return -ENOMEM;
	kept->lv = lv;
	kept->lv_was = *lv;
	kept->lv_private_was = *lv->private;
	return 0;
}

int change_keep_lv(struct change *change, struct volume_lv *lv)
{
	for (const struct change_kept *kept = change->kept; kept; kept = kept->next)
		if (kept->kind == KEPT_LV && kept->lv == lv)
			return 0;
	if (keep_lv(change, KEPT_LV, lv))
		return -ENOMEM;
	lv->private->span.length = 0;
	return 0;
}

static int keep_pv(struct change *change, enum kept_kind kind, struct volume_pv *pv)
{
	struct change_kept *kept = keep(change, kind);

	if (!kept)
		return -ENOMEM;
	kept->pv = pv;
	kept->pv_was = *pv;
	kept->pv_private_was = *pv->private;
	return 0;
}

int change_keep_pv(struct change *change, struct volume_pv *pv)
{
	return keep_pv(change, KEPT_PV, pv);
}

/* A copy of the list of volumes, with room for `more`. */
static struct volume_lv **copy_lvs(struct volume_group *group, unsigned more)
{
	struct volume_lv **lvs = lvm_config_alloc(&group->private->memory,
						  (group->lv_count + more) * sizeof(*lvs) + 1);

	if (lvs && group->lv_count)
		memcpy(lvs, group->lvs, group->lv_count * sizeof(struct volume_lv *));
	return lvs;
}

int change_add_lv(struct change *change, struct volume_lv *lv)
{
	struct volume_group *group = change->group;
	struct volume_lv **lvs = copy_lvs(group, 1);
	unsigned at = group->lv_count;

	if (!lvs || keep_lv(change, NEW_LV, lv)) {
		lvm_lv_free(lv);
		return -ENOMEM;
	}
	lv->private->span.length = 0;
	/* As they are written: what users see first. */
	while (lv->visible && at && !lvs[at - 1]->visible)
		at--;
	memmove(&lvs[at + 1], &lvs[at], (group->lv_count++ - at) * sizeof(struct volume_lv *));
	lvs[at] = lv;
	group->lvs = lvs;
	lvm_index_added(group, lv);
	return 0;
}

int change_drop_lv(struct change *change, struct volume_lv *lv)
{
	struct volume_group *group = change->group;
	struct volume_lv **lvs = copy_lvs(group, 0);
	unsigned at = 0;

	if (!lvs)
		return -ENOMEM;
	while (at < group->lv_count && lvs[at] != lv)
		at++;
	if (at == group->lv_count)
		return 0;
	if (keep_lv(change, GONE_LV, lv))
		return -ENOMEM;
	group->lv_count--;
	memmove(&lvs[at], &lvs[at + 1], (group->lv_count - at) * sizeof(struct volume_lv *));
	group->lvs = lvs;
	lvm_index_dropped(group, lv);
	return 0;
}

int change_add_lvs(struct change *change, struct volume_lv *const *add, unsigned count)
{
	struct volume_group *group = change->group;
	struct volume_lv **lvs = copy_lvs(group, count);
	struct change_kept *before = change->kept;

	for (unsigned i = 0; lvs && i < count; i++)
		if (keep_lv(change, NEW_LV, add[i]))
			lvs = NULL;
	if (!lvs) {
		change->kept = before;
		return -ENOMEM;
	}
	if (count)
		memcpy(&lvs[group->lv_count], add, count * sizeof(struct volume_lv *));
	for (unsigned i = 0; i < count; i++)
		add[i]->private->span.length = 0;
	group->lv_count += count;
	group->lvs = lvs;
	lvm_index_forget(group);
	return 0;
}

int change_drop_lvs(struct change *change, const bool *gone)
{
	struct volume_group *group = change->group;
	struct volume_lv **lvs = copy_lvs(group, 0);
	unsigned left = 0;

	for (unsigned i = 0; lvs && i < group->lv_count; i++) {
		if (!gone[i])
			lvs[left++] = group->lvs[i];
		else if (keep_lv(change, GONE_LV, group->lvs[i]))
			return -ENOMEM;
	}
	if (!lvs)
		return -ENOMEM;
	group->lvs = lvs;
	group->lv_count = left;
	lvm_index_forget(group);
	return 0;
}

int change_copy_pvs(struct change *change, unsigned more)
{
	struct volume_group *group = change->group;
	struct volume_pv **pvs = lvm_config_alloc(&group->private->memory,
						  (group->pv_count + more) * sizeof(*pvs) + 1);

	if (!pvs)
		return -ENOMEM;
	memcpy(pvs, group->pvs, group->pv_count * sizeof(struct volume_pv *));
	group->pvs = pvs;
	return 0;
}

int change_keep_new_pv(struct change *change, struct volume_pv *pv)
{
	if (!keep_pv(change, NEW_PV, pv))
		return 0;
	change->group->pv_count--;
	block_unref(pv->block);
	free(pv);
	return -ENOMEM;
}

static void set_indexes(struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		group->pvs[i]->private->index = i;
}

int change_drop_pv(struct change *change, struct volume_pv *pv)
{
	struct volume_group *group = change->group;
	struct volume_group_private *private = group->private;
	struct volume_pv **left =
		realloc(private->left, (private->left_count + 1 + group->pv_count) * sizeof(*left));
	unsigned at = pv->private->index;

	if (!left)
		return -ENOMEM;
	private->left = left;
	if (change_copy_pvs(change, 0) || keep_pv(change, GONE_PV, pv))
		return -ENOMEM;
	group->pv_count--;
	memmove(&group->pvs[at], &group->pvs[at + 1],
		(group->pv_count - at) * sizeof(struct volume_pv *));
	group->extent_count -= pv->extent_count;
	set_indexes(group);
	return 0;
}

/* ---- Making it ---- */

/* On PVs alone, so that nothing of it concerns another volume. */
static bool is_simple(const struct volume_lv *lv, const struct volume_lv_private *private)
{
	bool simple = lv->visible && !private->shown_type && !private->origin && !private->moving;

	for (unsigned i = 0; simple && i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		simple = segment->private->type == &lvm_segment_striped && !segment->metas;
		for (unsigned k = 0; simple && k < segment->area_count; k++)
			simple = segment->areas[k].pv;
	}
	return simple;
}

/* Everything but volumes is as it was. */
static bool is_of_volumes(const struct change *change)
{
	const struct volume_group *group = change->group, *before = &change->before;
	const struct volume_group_private *private = group->private;

	return group->name == before->name && !strcmp(group->uuid, before->uuid) &&
	       group->pvs == before->pvs && group->pv_count == before->pv_count &&
	       group->tags == before->tags && group->tag_count == before->tag_count &&
	       group->extent_size == before->extent_size && group->max_lv == before->max_lv &&
	       group->max_pv == before->max_pv && private->status.at == change->status.at &&
	       private->flags.at == change->flags.at && private->extra == change->extra;
}

/* What it touches, where that is all, and few simple volumes: others need a look at all of the group. */
static void say_touched(struct change *change)
{
	struct lvm_commit *commit = &change->commit;
	unsigned count = 0;

	commit->touched_count = 0;
	for (const struct change_kept *kept = change->kept; kept; kept = kept->next)
		count++;
	if (!is_of_volumes(change) || !count || count > LVM_TOUCHED_MAX)
		return;
	count = 0;
	for (const struct change_kept *kept = change->kept; kept; kept = kept->next) {
		bool new = kept->kind == NEW_LV, gone = kept->kind == GONE_LV;

		if ((!new && !gone && kept->kind != KEPT_LV) ||
		    (!gone && !is_simple(kept->lv, kept->lv->private)) ||
		    (!new && !is_simple(&kept->lv_was, &kept->lv_private_was)))
			return;
		commit->touched[count++] =
			(struct lvm_touched){ kept->lv, new ? NULL : &kept->lv_was, gone };
	}
	/* One that was changed and then removed would be there twice. */
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < i; k++)
			if (commit->touched[i].lv == commit->touched[k].lv)
				return;
	commit->touched_count = count;
}

/* Whatever is changed without a PV, lvm2 must not take it for current when it comes back. */
static int mark_missing(struct change *change)
{
	struct volume_group *group = change->group;

	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		if (pv->block || pv->marked_missing)
			continue;
		if (change_keep_pv(change, pv) ||
		    change_set_flag(group, &pv->private->flags, "MISSING", true))
			return -ENOMEM;
		pv->marked_missing = true;
	}
	return 0;
}

static void tell_marked(const struct change *change)
{
	const struct volume_group *group = change->group;

	for (const struct change_kept *kept = change->kept; kept; kept = kept->next)
		if (kept->kind == KEPT_PV && !kept->pv->block && !kept->pv_was.marked_missing)
			log_warning(
				group->private->log,
				"volume group %s: was changed without PV %s (last seen as %s), "
				"which "
				"is marked as missing: it is used again after `tenon vg repair %s "
				"--restore-missing`",
				group->name, kept->pv->uuid,
				kept->pv->device_hint ? kept->pv->device_hint : "unknown",
				group->name);
}

int change_build(struct change *change, struct error *error)
{
	int rc = mark_missing(change) ? change_no_memory(change->group, error) : 0;

	for (struct change_kept *kept = change->kept; !rc && kept; kept = kept->next)
		if (kept->kind == KEPT_LV)
			rc = lvm_active_prepare(change->group, kept->lv, error);
	if (rc)
		return rc;
	change->prepared = true;
	say_touched(change);
	return lvm_commit_prepare(&change->commit, change->group, error);
}

int change_write(struct change *change, struct error *error)
{
	int rc = lvm_commit_write(&change->commit, error);

	if (rc)
		return rc;
	change->made = true;
	tell_marked(change);
	for (struct change_kept *kept = change->kept; kept; kept = kept->next)
		if (kept->kind == KEPT_LV)
			lvm_active_swap(kept->lv, true);
	/* Nothing lies on what goes any more. */
	for (struct change_kept *kept = change->kept; kept; kept = kept->next) {
		if (kept->kind == GONE_LV)
			lvm_lv_free(kept->lv);
		else if (kept->kind == GONE_PV)
			change->group->private->left[change->group->private->left_count++] =
				kept->pv;
	}
	return 0;
}

int change_commit(struct change *change, struct error *error)
{
	int rc = change_build(change, error);

	return rc ? rc : change_write(change, error);
}

/* ---- Taking it back ---- */

/* Volumes may have been closed meanwhile. */
static void restore_lv(const struct change_kept *kept)
{
	struct volume_lv *lv = kept->lv;
	struct volume_lv_private *private = lv->private;
	struct lvm_active *active = private->active;
	unsigned open_count = lv->open_count;

	*lv = kept->lv_was;
	*private = kept->lv_private_was;
	private->active = active;
	lv->open_count = open_count;
}

/* What the change learned of the device stays. */
static void restore_pv(const struct change_kept *kept)
{
	struct volume_pv_private *private = kept->pv->private;
	struct volume_metadata_area areas[LVM_LABEL_AREAS];

	memcpy(areas, private->areas, sizeof(areas));
	*kept->pv = kept->pv_was;
	*private = kept->pv_private_was;
	memcpy(private->areas, areas, sizeof(areas));
}

static void restore(const struct change_kept *kept)
{
	switch (kept->kind) {
	case KEPT_LV:
		lvm_active_swap(kept->lv, false);
		restore_lv(kept);
		break;
	case KEPT_PV:
	case GONE_PV:
		restore_pv(kept);
		break;
	case NEW_LV:
	case NEW_PV:
	case GONE_LV:
		break;
	}
}

/* Once no table leads to it any more. */
static void drop_new(const struct change_kept *kept)
{
	if (kept->kind == NEW_LV) {
		lvm_lv_free(kept->lv);
	} else if (kept->kind == NEW_PV) {
		block_unref(kept->pv->block);
		free(kept->pv);
	}
}

static void take_back(struct change *change)
{
	struct volume_group *group = change->group;
	const struct volume_group *before = &change->before;

	for (struct change_kept *kept = change->kept; kept; kept = kept->next)
		restore(kept);
	for (struct change_kept *kept = change->kept; kept; kept = kept->next)
		drop_new(kept);
	group->name = before->name;
	memcpy(group->uuid, before->uuid, sizeof(group->uuid));
	group->pvs = before->pvs;
	group->pv_count = before->pv_count;
	group->lvs = before->lvs;
	group->lv_count = before->lv_count;
	group->extent_count = before->extent_count;
	group->extent_size = before->extent_size;
	group->private->extent_sectors = before->extent_size / LVM_SECTOR_SIZE;
	group->tags = before->tags;
	group->tag_count = before->tag_count;
	group->system_id = before->system_id;
	group->max_lv = before->max_lv;
	group->max_pv = before->max_pv;
	group->resizeable = before->resizeable;
	group->private->status = change->status;
	group->private->flags = change->flags;
	group->private->extra = change->extra;
	set_indexes(group);
	lvm_index_forget(group);
	lvm_config_rewind(&group->private->memory, &change->mark);
}

void change_end(struct change *change)
{
	if (change->prepared)
		lvm_commit_end(&change->commit);
	if (!change->made)
		take_back(change);
}
