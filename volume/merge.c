/* SPDX-License-Identifier: BSD-2-Clause */
/* Two groups become one. Why no cut of power loses any, and how one goes on that was cut short: yield.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/lvm_io.h"
#include "volume/move.h"
#include "volume/yield.h"

struct merging {
	struct volume_group *group, *from;
	struct volume_group *copy; /* of `from`, owned: what joins `group` */
	bool half_done;            /* `from` is exported for it already */
	struct error *error;
};

/* ---- Whether they can ---- */

static int check_shapes(const struct merging *merging)
{
	const struct volume_group *group = merging->group, *from = merging->from;
	unsigned lvs = change_visible_lvs(group) + change_visible_lvs(from);
	struct error *error = merging->error;

	if (group->extent_size != from->extent_size)
		return error_set(error, -EINVAL,
				 "volume group %s: has extents of %llu bytes, %s of %llu; expected "
				 "the same",
				 from->name, (unsigned long long)from->extent_size, group->name,
				 (unsigned long long)group->extent_size);
	if (group->pvs[0]->block->logical_block_size != from->pvs[0]->block->logical_block_size)
		return error_set(
			error, -EINVAL,
			"volume group %s: its devices have logical blocks of %u bytes, those "
			"of %s have %u",
			from->name, from->pvs[0]->block->logical_block_size, group->name,
			group->pvs[0]->block->logical_block_size);
	if (group->max_pv && group->pv_count + from->pv_count > group->max_pv)
		return error_set(error, -ENOSPC,
				 "volume group %s: allows %u PVs, %u would be there", group->name,
				 group->max_pv, group->pv_count + from->pv_count);
	if (group->max_lv && lvs > group->max_lv)
		return error_set(error, -ENOSPC,
				 "volume group %s: allows %u volumes, %u would be there",
				 group->name, group->max_lv, lvs);
	return 0;
}

static int check_volumes(const struct merging *merging)
{
	const struct volume_group *group = merging->group, *from = merging->from;
	int rc = 0;

	for (unsigned i = 0; !rc && i < from->lv_count; i++) {
		const struct volume_lv *lv = from->lvs[i];

		rc = change_check_closed(from, lv, merging->error);
		if (!rc && volume_group_get_lv(group, lv->name)) {
			error_set(merging->error, -EEXIST, "%s/%s: %s has a volume of this name",
				  from->name, lv->name, group->name);
			return error_advise(merging->error,
					    lv->visible ? "give one another name: tenon lv rename"
							: "LVM2 may be able to: vgmerge");
		}
		if (!rc)
			rc = lvm_lv_dm_name_check(group, lv->name, merging->error);
	}
	for (unsigned i = 0; !rc && i < from->pv_count; i++)
		if (volume_group_get_pv(group, from->pvs[i]->uuid))
			rc = error_set(merging->error, -EEXIST, "%s: PV %s is in both groups",
				       from->pvs[i]->block->name, from->pvs[i]->uuid);
	return rc;
}

static int check(const struct merging *merging)
{
	struct volume_group *const both[] = { merging->group, merging->from };
	int rc = 0;

	if (merging->group == merging->from)
		return error_set(merging->error, -EINVAL,
				 "volume group %s: it cannot be merged with itself",
				 merging->group->name);
	for (unsigned i = 0; !rc && i < 2; i++) {
		const struct volume_lv *move = lvm_move_find(both[i]);

		rc = lvm_vg_check_but(both[i],
				      merging->half_done && both[i] == merging->from
					      ? LVM_LOCK_BIT(LVM_LOCK_EXPORTED)
					      : 0,
				      merging->error);
		if (!rc && move)
			rc = error_set(merging->error, -EBUSY,
				       "volume group %s: a move is half done (%s)", both[i]->name,
				       move->name);
		if (!rc)
			rc = change_check_resizeable(both[i], merging->error);
	}
	if (!rc)
		rc = check_shapes(merging);
	return rc ? rc : check_volumes(merging);
}

/* A merge of these two was cut short: what is exported for it is taken as it is. */
static bool is_half_done(const struct merging *merging)
{
	const struct volume_group *from = merging->from;
	const char *to = lvm_yield_to(from);

	return to && !strcmp(to, merging->group->uuid) &&
	       lvm_vg_locks(from) == LVM_LOCK_BIT(LVM_LOCK_EXPORTED);
}

/* ---- What joins ---- */

/* Whether a volume of a type that is not read names the PV by its name in the metadata. */
static const struct volume_lv *who_names(const struct volume_group *group, const char *name)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		for (unsigned k = 0; k < group->lvs[i]->segment_count; k++) {
			const struct lvm_config_node *node =
				group->lvs[i]->segments[k].private->node;

			if (node && lvm_config_names(node->child, name))
				return group->lvs[i];
		}
	return NULL;
}

static bool is_taken(const struct volume_group *group, const char *name)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->name, name))
			return true;
	return false;
}

static bool is_taken_by_lv(const struct volume_group *group, const char *uuid)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		if (!strcmp(group->lvs[i]->uuid, uuid))
			return true;
	return false;
}

/* PVs have names of their own in the text of one group ("pv0"). */
static int name_pvs(struct merging *merging)
{
	struct volume_group *group = merging->group, *copy = merging->copy;
	unsigned number = 0;

	for (unsigned i = 0; i < copy->pv_count; i++) {
		const struct volume_lv *lv;
		char name[16];

		do
			snprintf(name, sizeof(name), "pv%u", number++);
		while (is_taken(group, name));
		lv = strcmp(copy->pvs[i]->name, name) ? who_names(copy, copy->pvs[i]->name) : NULL;
		if (lv)
			return error_set(merging->error, -EOPNOTSUPP,
					 "%s/%s: is of type %s, and could not be merged; LVM2 can: "
					 "vgmerge",
					 merging->from->name, lv->name, volume_lv_type(lv));
		copy->pvs[i]->name = lvm_vg_string(copy, name);
		if (!copy->pvs[i]->name)
			return change_no_memory(group, merging->error);
	}
	return 0;
}

static int make_copy(struct merging *merging)
{
	int rc = lvm_vg_copy(merging->from, &merging->copy, merging->error);

	if (!rc)
		rc = name_pvs(merging);
	for (unsigned i = 0; !rc && i < merging->copy->pv_count; i++)
		if (change_set_flag(merging->copy, &merging->copy->pvs[i]->private->status,
				    "EXPORTED", false))
			rc = change_no_memory(merging->group, merging->error);
	for (unsigned i = 0; !rc && i < merging->copy->lv_count; i++)
		if (is_taken_by_lv(merging->group, merging->copy->lvs[i]->uuid))
			lvm_uuid_generate(merging->copy->lvs[i]->uuid,
					  merging->group->private->random);
	return rc;
}

/* In memory. What is joined is the change's from then on. */
static int join(struct merging *merging, struct change *change)
{
	struct volume_group *group = merging->group, *copy = merging->copy;

	if (change_add_lvs(change, copy->lvs, copy->lv_count))
		return change_no_memory(group, merging->error);
	copy->lv_count = 0;
	if (change_copy_pvs(change, copy->pv_count))
		return change_no_memory(group, merging->error);
	for (unsigned i = 0; i < copy->pv_count; i++) {
		struct volume_pv *pv = copy->pvs[i];

		lvm_pv_copy_device(pv, merging->from->pvs[i]);
		pv->private->index = group->pv_count;
		group->pvs[group->pv_count++] = pv;
		if (change_keep_new_pv(change, pv)) {
			memmove(copy->pvs, &copy->pvs[i + 1],
				(copy->pv_count - i - 1) * sizeof(struct volume_pv *));
			copy->pv_count -= i + 1;
			return change_no_memory(group, merging->error);
		}
	}
	copy->pv_count = 0;
	return lvm_vg_check_commit(group, merging->error);
}

/* ---- All of it ---- */

static int export_from(struct merging *merging)
{
	struct volume_group *from = merging->from;
	CLEANUP_CHANGE struct change change;

	change_begin(&change, from);
	if (change_set_exported(&change, true) || lvm_yield_set(from, merging->group->uuid))
		return change_no_memory(from, merging->error);
	return change_commit(&change, merging->error);
}

/* The areas as that has left them. */
static void learn_areas(struct merging *merging)
{
	for (unsigned i = 0; i < merging->from->pv_count; i++) {
		const struct volume_pv *was = merging->from->pvs[i];
		struct volume_pv *pv = volume_group_get_pv(merging->group, was->uuid);

		memcpy(pv->private->areas, was->private->areas, sizeof(pv->private->areas));
		for (unsigned k = 0; k < pv->private->area_count; k++)
			pv->private->areas[k].current = false;
	}
}

static int merge(struct merging *merging)
{
	struct volume_group *from = merging->from;
	CHANGING(from);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, merging->group);
	merging->half_done = is_half_done(merging);
	rc = check(merging);
	if (!rc)
		rc = make_copy(merging);
	if (!rc)
		rc = join(merging, &change);
	if (!rc && !merging->half_done)
		rc = export_from(merging);
	if (rc)
		return rc;
	/* It stays exported for the disks until the other one is written, and for who would open a volume of it meanwhile. */
	lvm_vg_lock_exported(from);
	learn_areas(merging);
	rc = change_commit(&change, merging->error);
	if (rc) {
		/* Whether it is a part of the other one by now may be unknown. */
		lvm_vg_lock(from, LVM_LOCK_OTHER, "it was being merged into %s, which failed",
			    merging->group->name);
		return error_advise(
			merging->error,
			"volume group %s is exported: the same command goes on, `tenon vg "
			"import %s` undoes that",
			from->name, from->name);
	}
	lvm_vg_lock(from, LVM_LOCK_OTHER, "it is a part of %s now", merging->group->name);
	return 0;
}

static int try_merge(struct merging *merging)
{
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, merging->group);
	rc = check(merging);
	if (!rc)
		rc = make_copy(merging);
	return rc ? rc : join(merging, &change);
}

int lvm_merge_check(struct volume_group *group, struct volume_group *from, struct error *error)
{
	CHANGING(group);
	struct merging merging = { .group = group, .from = from, .error = error };
	int rc = try_merge(&merging);

	volume_group_unref(merging.copy);
	return rc;
}

int volume_group_merge(struct volume_group *group, struct volume_group *from, struct error *error)
{
	CHANGING(group);
	struct merging merging = { .group = group, .from = from, .error = error };
	int rc = group == from ? check(&merging) : merge(&merging);

	volume_group_unref(merging.copy);
	return rc;
}
