/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a group whole again without losing anything of it; and telling a copy of its disks from the original.
 *
 * A repair is a change that changes nothing: every change writes all metadata areas and, here, all labels. A clone gets
 * new UUIDs in two steps, the metadata and then the labels: between them its PVs are found by nobody. It is a copy;
 * where that is cut short, it is copied again.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/lvm_io.h"

/* ---- Repair ---- */

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
	if (group->locked_reason && strcmp(group->locked_reason, LVM_PARTIAL_REASON) != 0)
		return lvm_vg_check_changeable(group, error);
	return 0;
}

int volume_group_repair(struct volume_group *group, bool restore_missing, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	char *reason = group->locked_reason;
	int rc;

	change_begin(&change, group);
	rc = check_whole(group, restore_missing, error);
	if (!rc && plan_return(&change))
		rc = change_no_memory(group, error);
	if (rc)
		return rc;
	group->locked_reason = NULL;
	rc = lvm_vg_check_changeable(group, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (rc) {
		group->locked_reason = reason;
		return rc;
	}
	group->partial = false;
	lvm_vg_mark_used(group);
	return 0;
}

/* ---- Clone ---- */

static int find_copy(const struct volume_scan *scan, struct volume_group **group,
		     struct error *error)
{
	for (unsigned i = 0; i < scan->device_count; i++)
		if (!scan->devices[i].is_pv || !scan->devices[i].group)
			return error_set(error, -EINVAL, "%s: is no physical volume of a group%s%s",
					 scan->devices[i].block->name,
					 scan->devices[i].problem ? ": " : "",
					 scan->devices[i].problem ? scan->devices[i].problem : "");
	if (scan->group_count != 1)
		return error_set(error, -EINVAL, "the devices are of %u groups, expected one",
				 scan->group_count);
	*group = scan->groups[0];
	for (unsigned i = 0; i < (*group)->pv_count; i++) {
		const struct volume_pv *pv = (*group)->pvs[i];

		if (pv->block && !pv->duplicate)
			continue;
		error_set(error, pv->block ? -ENOTUNIQ : -ENXIO, "volume group %s: PV %s is %s",
			  (*group)->name, pv->uuid,
			  pv->block ? "on more than one of the devices" : "on none of the devices");
		return error_advise(error, "name the copies of all its devices, each once");
	}
	return lvm_vg_check_changeable(*group, error);
}

static int plan_clone(struct change *change, const char *name, struct error *error)
{
	struct volume_group *group = change->group;
	int rc = 0;

	group->name = lvm_vg_keep_string(group, name);
	if (!group->name) {
		group->name = change->before.name;
		return change_no_memory(group, error);
	}
	lvm_uuid_generate(group->uuid, group->private->random);
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		if (change_keep_pv(change, pv))
			return change_no_memory(group, error);
		lvm_uuid_generate(pv->uuid, group->private->random);
		memcpy(pv->private->label.uuid, pv->uuid, sizeof(pv->uuid));
	}
	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		rc = lvm_lv_dm_name_check(group, group->lvs[i]->name, error);
	return rc;
}

static int clone_group(struct volume_group *group, const char *name, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	rc = plan_clone(&change, name, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (!rc)
		lvm_vg_mark_used(group);
	return rc;
}

int volume_group_clone(const char *name, struct block *const *blocks, unsigned count,
		       const struct volume_context *context, struct error *error)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *scan = NULL;
	struct volume_group *group = NULL;
	int rc = volume_group_name_check(name, error);

	if (!rc)
		rc = volume_groups_scan(blocks, count, context, &scan, error);
	if (!rc)
		rc = find_copy(scan, &group, error);
	if (!rc)
		rc = clone_group(group, name, error);
	if (rc)
		return rc;
	if (group->problem_count > group->lasting_problems)
		return error_set(error, -EIO,
				 "volume group %s: is half a copy now: %s; copy its "
				 "devices again",
				 name, group->problems[group->lasting_problems]);
	return 0;
}
