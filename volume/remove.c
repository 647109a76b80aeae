/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a group, and what the labels of PVs say of groups.
 *
 * A group is there as long as one metadata area holds its text; so the last area that is emptied is the commit.
 */
#include <errno.h>

#include "block/block.h"
#include "util/error.h"
#include "volume/archive.h"
#include "volume/change.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"

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

		if (mark_used(group->pvs[i], true, &why))
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
	lvm_vg_lock(group, "it is unknown whether it was removed");
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
	if (group->lv_count)
		return error_set(error, -EBUSY, "volume group %s: has %u logical volumes, %s first",
				 group->name, group->lv_count, group->lvs[0]->name);
	rc = lvm_vg_settle(group, error);
	if (!rc)
		lvm_archive_before(group);
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
	lvm_vg_lock(group, "it was removed");
	return 0;
}
