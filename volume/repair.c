/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a group whole again without losing anything of it: a change that changes nothing, since every change writes all metadata
 * areas and, here, all labels. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"

/* PVs that were missing when the group was last changed, and are here. */
static int plan_return(struct change *change)
{
	struct volume_group *group = change->group;
	int rc = 0;

	for (unsigned i = 0; !rc && i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		if (!pv->block || pv->duplicate || !pv->marked_missing)
			continue;
		rc = change_keep_pv(change, pv);
		if (!rc)
			rc = change_set_flag(group, &pv->private->flags, "MISSING", false);
		if (!rc)
			rc = change_set_flag(group, &pv->private->status, "MISSING", false);
	}
	return rc;
}

/* Whether it is whole but for those. */
static int check_whole(const struct volume_group *group, bool restore_missing, struct error *error)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		if (!pv->block) {
			error_set(error, -ENXIO,
				  "volume group %s: PV %s is missing (last seen as %s)",
				  group->name, pv->uuid,
				  pv->device_hint ? pv->device_hint : "unknown");
			return error_advise(error, "bring it back, or give it up: tenon vg reduce "
						   "--remove-missing");
		}
		if (pv->duplicate)
			return error_set(error, -ENOTUNIQ,
					 "volume group %s: PV %s is there more than once",
					 group->name, pv->uuid);
		if (pv->marked_missing && !restore_missing) {
			error_set(error, -EBUSY,
				  "volume group %s: PV %s (%s) was missing when the group was last "
				  "changed, its data may be old",
				  group->name, pv->uuid, pv->block->name);
			return error_advise(error, "--restore-missing takes it back as it is");
		}
	}
	return lvm_vg_check_but(group, LVM_LOCK_LOSS, error);
}

int volume_group_repair(struct volume_group *group, bool restore_missing, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	rc = check_whole(group, restore_missing, error);
	if (!rc && plan_return(&change))
		rc = change_no_memory(group, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (rc)
		return rc;
	group->partial = false;
	lvm_vg_unlock(group, LVM_LOCK_MISSING);
	lvm_vg_mark_used(group);
	return 0;
}
