/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a group, and what the labels of PVs say of groups.
 *
 * A group is there as long as one metadata area holds its text; so the last area that is emptied is the commit.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/error.h"
#include "volume/archive.h"
#include "volume/change.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"
#include "volume/mirror.h"
#include "volume/raid_change.h"
#include "volume/volume_raid.h"

/* ---- Labels ---- */

/* Says in one label whether the PV is used. */
static int mark_used(struct volume_pv *pv, bool used, struct error *error)
{
	struct lvm_label *label = &pv->private->label;
	int rc;

	label->extension_version = LVM_EXTENSION_VERSION;
	label->extension_flags &= ~LVM_EXTENSION_USED;
	if (used)
		label->extension_flags |= LVM_EXTENSION_USED;
	rc = lvm_label_write(pv->block, label, error);
	return rc ? rc : lvm_flush(pv->block, error);
}

/* The group is there already: a label that could not be written is no failure, and lvm2 mends it with its
 * next change. */
void lvm_vg_mark_used(struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct error why = { 0 };

		if (group->pvs[i]->block && mark_used(group->pvs[i], true, &why))
			lvm_vg_problem(group, "the label of %s does not say that it is used: %s",
				       group->pvs[i]->block->name, why.text);
	}
}

/* ---- Metadata areas ---- */

/* Empties the areas of one PV, for certain: each header is written and flushed. */
static int clear_areas(struct volume_pv *pv, struct error *error)
{
	int rc;

	for (unsigned i = 0; i < pv->private->area_count; i++) {
		struct volume_metadata_area *area = &pv->private->areas[i];
		struct lvm_metadata_area empty = area->area;

		if (!area->readable)
			continue;
		empty.committed = (struct lvm_slot){ 0 };
		empty.precommitted = (struct lvm_slot){ 0 };
		area->current = false;
		area->settled = false;
		rc = lvm_metadata_area_write(pv->block, &empty, error);
		if (rc)
			return rc;
	}
	rc = lvm_flush(pv->block, error);
	for (unsigned i = 0; !rc && i < pv->private->area_count; i++) {
		pv->private->areas[i].area.committed = (struct lvm_slot){ 0 };
		pv->private->areas[i].area.precommitted = (struct lvm_slot){ 0 };
		pv->private->areas[i].settled = true;
	}
	return rc;
}

/* While one area holds its text the group is there, and takes the others in again with its next change. */
static bool still_there(const struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		for (unsigned k = 0; k < pv->private->area_count; k++)
			if (pv->private->areas[k].settled && pv->private->areas[k].current &&
			    !pv->private->areas[k].area.ignored)
				return true;
	}
	return false;
}

static int fail_removal(struct volume_group *group, int rc, struct error *error)
{
	if (still_there(group)) {
		lvm_vg_mark_used(group);
		error_prefix(error, "volume group %s: was not removed", group->name);
		return rc;
	}
	lvm_vg_lock(group, LVM_LOCK_OTHER, "it is unknown whether it was removed");
	error_prefix(error, "volume group %s: it is unknown whether it was removed", group->name);
	error_advise(error, "mend the device, then look whether the group is still there");
	return rc;
}

/*
 * The labels come first: one that says "unused" of a PV in use is mended by the next change of LVM2's,
 * while nothing may fail after the last metadata area is empty, with which the group is gone.
 */
int volume_group_remove(struct volume_group *group, struct error *error)
{
	CHANGING(group);
	int rc = lvm_vg_check_changeable(group, error);

	if (rc)
		return rc;
	if (group->lv_count) {
		error_set(error, -EBUSY, "volume group %s: has %u logical volumes, %s first",
			  group->name, group->lv_count, group->lvs[0]->name);
		error_advise(error, "`tenon lv list %s` shows them, `tenon lv remove` removes one",
			     group->name);
		return -EBUSY;
	}
	rc = lvm_vg_settle(group, error);
	lvm_vg_command_note(group);
	if (!rc)
		lvm_archive_before(group, false);
	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		rc = mark_used(group->pvs[i], false, error);
	if (rc) {
		error_prefix(error, "volume group %s: was not removed", group->name);
		return rc;
	}
	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		rc = clear_areas(group->pvs[i], error);
	if (rc)
		return fail_removal(group, rc, error);
	lvm_vg_lock(group, LVM_LOCK_OTHER, "it was removed");
	return 0;
}

/* ---- Fewer PVs ---- */

static int check_leaves(const struct volume_group *group, const struct volume_pv *pv,
			struct error *error)
{
	unsigned areas = 0;
	int rc = change_check_resizeable(group, error);

	if (rc)
		return rc;
	if (pv->allocated_extents) {
		error_set(error, -EBUSY, "volume group %s: %u extents of PV %s (%s) are used",
			  group->name, pv->allocated_extents, pv->uuid,
			  pv->block ? pv->block->name : "missing");
		return error_advise(
			error, pv->private->is_short
				       ? "`tenon lv repair` makes anew what RAID volumes lost, "
					 "`tenon lv remove` removes volumes, and `tenon pv resize` "
					 "takes it as it is with what it has still"
				       : "`tenon pv move` moves what lies on it to others; or "
					 "remove the volumes");
	}
	if (group->pv_count == 1)
		return error_set(error, -EINVAL,
				 "volume group %s: PV %s is its last one; remove the group",
				 group->name, pv->uuid);
	for (unsigned i = 0; i < group->pv_count; i++)
		for (unsigned k = 0; group->pvs[i] != pv && k < group->pvs[i]->private->area_count;
		     k++)
			areas += !group->pvs[i]->private->areas[k].area.ignored;
	return areas ? 0
		     : error_set(error, -EINVAL,
				 "volume group %s: no other PV has a metadata area in use",
				 group->name);
}

/* The group has left it already: what is on it is old news, which scans tell of as that. */
static void make_orphan(struct volume_group *group, struct volume_pv *pv)
{
	struct error why = { 0 };
	int rc = mark_used(pv, false, &why);

	if (!rc)
		rc = clear_areas(pv, &why);
	if (rc)
		lvm_vg_problem(group, "%s: left the group, and still has old metadata of it: %s",
			       pv->block->name, why.text);
}

int volume_group_reduce(struct volume_group *group, struct volume_pv *pv, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	rc = change_check_but_short(group, error);
	if (!rc)
		rc = check_leaves(group, pv, error);
	if (!rc && change_drop_pv(&change, pv))
		rc = change_no_memory(group, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (rc)
		return rc;
	lvm_vg_lock_short(group);
	make_orphan(group, pv);
	block_unref(steal_pointer(&pv->block));
	return 0;
}

/* Whether nothing but missing PVs stands in the way of changes. */
static int check_only_missing(const struct volume_group *group, struct error *error)
{
	if (!group->partial)
		return error_set(error, -EINVAL, "volume group %s: no PV is missing", group->name);
	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		if (pv->block && (pv->duplicate || pv->marked_missing))
			return error_set(error, -EROFS, "volume group %s: PV %s (%s) is %s",
					 group->name, pv->uuid, pv->block->name,
					 pv->duplicate ? "there twice"
						       : "marked as missing, and is here");
	}
	return lvm_vg_check_but(group, LVM_LOCK_LOSS, error);
}

static bool has_parts(const struct volume_lv *lv)
{
	return lvm_lv_raid(lv) || lvm_lv_mirror(lv);
}

/* Volumes that lie on what is missing are gone; parts of others are not taken out of these. */
static int drop_partial(struct change *change, bool volumes_too, struct error *error)
{
	struct volume_group *group = change->group;

	for (unsigned i = 0; i < group->lv_count;) {
		struct volume_lv *lv = group->lvs[i];
		const struct volume_lv *dependent = lvm_lv_dependent(group, lv);

		/* A part goes with its array; what a device that became shorter has no more is none that is missing. */
		if (!lv->partial || volume_lv_cut(lv) ||
		    (!lv->visible && dependent && has_parts(dependent))) {
			i++;
			continue;
		}
		if (volume_lv_degraded(lv)) {
			error_set(error, -EBUSY, "%s/%s: has lost a part that can be replaced",
				  group->name, lv->name);
			return error_advise(
				error,
				lvm_lv_mirror(lv) ? "LVM2 does that: lvconvert --repair %s/%s"
						  : "`tenon lv repair %s/%s` does that; where the "
						    "others have not all data, `tenon lv remove` "
						    "gives it up",
				group->name, lv->name);
		}
		if (!volumes_too) {
			error_set(error, -EBUSY, "volume group %s: %s lies on a PV that is missing",
				  group->name, lv->name);
			return error_advise(error, "give --force to remove what lies on missing "
						   "PVs, too: its data are lost");
		}
		if (!lv->supported || !lv->visible || dependent)
			return error_set(error, -EOPNOTSUPP,
					 "%s/%s: lies on a PV that is missing, and %s%s; LVM2 can "
					 "repair it: vgreduce --removemissing",
					 group->name, lv->name,
					 dependent ? "is a part of " : "its type is ",
					 dependent ? dependent->name : volume_lv_type(lv));
		if (change_check_closed(group, lv, error) ||
		    lvm_raid_check_tracked_closed(group, lv, error))
			return -EBUSY;
		if (lvm_lv_raid(lv) ? lvm_raid_drop(change, lv) : lvm_mirror_drop(change, lv))
			return change_no_memory(group, error);
		i = 0;
	}
	return 0;
}

/* What lies on a missing PV though no volume of a known type does: an old mirror. */
static int check_unused_missing(const struct volume_group *group, struct error *error)
{
	CLEANUP_FREE struct lvm_used *used = NULL;
	size_t count;

	if (lvm_vg_used(group, &used, &count))
		return change_no_memory(group, error);
	for (size_t i = 0; i < count; i++)
		if (!group->pvs[used[i].pv]->block)
			return error_set(error, -EOPNOTSUPP,
					 "volume group %s: extents of the missing PV %s are used; "
					 "LVM2 can repair it: vgreduce --removemissing",
					 group->name, group->pvs[used[i].pv]->uuid);
	return 0;
}

static int drop_missing(struct change *change, struct error *error)
{
	struct volume_group *group = change->group;
	int rc = check_unused_missing(group, error);

	for (unsigned i = 0; !rc && i < group->pv_count;) {
		struct volume_pv *pv = group->pvs[i];

		if (pv->block)
			i++;
		else if (change_drop_pv(change, pv))
			rc = change_no_memory(group, error);
	}
	if (!rc && !group->pv_count)
		rc = error_set(error, -EINVAL, "volume group %s: all its PVs are missing",
			       group->name);
	return rc;
}

int volume_group_remove_missing(struct volume_group *group, bool volumes_too, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	rc = check_only_missing(group, error);
	if (!rc)
		rc = drop_partial(&change, volumes_too, error);
	if (!rc)
		rc = drop_missing(&change, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (rc)
		return rc;
	group->partial = false;
	lvm_vg_unlock(group, LVM_LOCK_MISSING);
	lvm_vg_lock_short(group);
	return 0;
}
