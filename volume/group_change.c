/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of a group as a whole that move no data: its name, whether it is exported, the size of a PV. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/change.h"
#include "volume/yield.h"

int change_check_unused(const struct volume_group *group, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		rc = change_check_closed(group, group->lvs[i], error);
	return rc;
}

int volume_group_rename(struct volume_group *group, const char *name, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	rc = change_open(&change, group, error);
	if (!rc)
		rc = volume_group_name_check(name, error);
	if (!rc)
		rc = change_check_unused(group, error);
	if (rc)
		return rc;
	if (!strcmp(name, group->name))
		return lvm_vg_unchanged(group, error);
	group->name = lvm_vg_keep_string(group, name);
	if (!group->name) {
		group->name = change.before.name;
		return change_no_memory(group, error);
	}
	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		rc = lvm_lv_dm_name_check(group, group->lvs[i]->name, error);
	return rc ? rc : change_commit(&change, error);
}

/* ---- Export and import ---- */

int change_set_exported(struct change *change, bool exported)
{
	struct volume_group *group = change->group;
	int rc = change_set_flag(group, &group->private->status, "EXPORTED", exported);

	for (unsigned i = 0; !rc && i < group->pv_count; i++) {
		rc = change_keep_pv(change, group->pvs[i]);
		if (!rc)
			rc = change_set_flag(group, &group->pvs[i]->private->status, "EXPORTED",
					     exported);
	}
	return rc;
}

static int check_exportable(struct volume_group *group, bool exported, bool partial_too,
			    struct error *error)
{
	if (group->exported == exported)
		return error_set(error, -EINVAL, "volume group %s: is %s already", group->name,
				 exported ? "exported" : "not exported");
	if (group->partial && !partial_too) {
		error_set(error, -EROFS, "volume group %s: %s", group->name,
			  group->private->locks[LVM_LOCK_MISSING]);
		if (!exported)
			return error_advise(error,
					    "`tenon vg show %s` names them; --force takes it in "
					    "without those that are lost for good",
					    group->name);
		return error_advise(error,
				    "`tenon vg show %s` names them; `tenon vg reduce %s "
				    "--remove-missing` takes out those that are lost for good",
				    group->name, group->name);
	}
	if (exported)
		return lvm_vg_check_changeable(group, error);
	return change_check_but(group, LVM_LOCK_LOSS | LVM_LOCK_BIT(LVM_LOCK_EXPORTED), error);
}

static int set_exported(struct volume_group *group, bool exported, bool partial_too,
			struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	rc = check_exportable(group, exported, partial_too, error);
	if (!rc)
		rc = change_check_unused(group, error);
	if (!rc &&
	    (change_set_exported(&change, exported) || (!exported && lvm_yield_set(group, NULL))))
		rc = change_no_memory(group, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (rc)
		return rc;
	if (exported)
		lvm_vg_lock_exported(group);
	else
		lvm_vg_unlock(group, LVM_LOCK_EXPORTED);
	return 0;
}

int volume_group_set_exported(struct volume_group *group, bool exported, struct error *error)
{
	return set_exported(group, exported, false, error);
}

int volume_group_import_partial(struct volume_group *group, struct error *error)
{
	return set_exported(group, false, true, error);
}

/* ---- The size of a PV ---- */

/* Where the last extent that is used ends. */
static int used_end(const struct volume_group *group, const struct volume_pv *pv, uint64_t *end)
{
	CLEANUP_FREE struct lvm_used *used = NULL;
	size_t count;
	int rc = lvm_vg_used(group, &used, &count);

	*end = 0;
	for (size_t i = 0; !rc && i < count; i++)
		if (used[i].pv == pv->private->index)
			*end = MAX(*end, (uint64_t)used[i].start + used[i].count);
	return rc;
}

static int plan_size(struct volume_group *group, const struct volume_pv *pv, uint64_t size,
		     uint32_t *extents, struct error *error)
{
	uint64_t data_end = lvm_label_data_end(&pv->private->label, size);
	uint64_t count, used;
	char text[SIZE_TEXT];

	if (size > pv->block->size) {
		error_set(error, -EINVAL, "%s: has %llu bytes, PV %s cannot have %llu",
			  pv->block->name, (unsigned long long)pv->block->size, pv->uuid,
			  (unsigned long long)size);
		error_advise(error, "make the device larger first, a file by `truncate`; without "
				    "--size the PV has all of it");
		return -EINVAL;
	}
	count = data_end > pv->pe_start ? (data_end - pv->pe_start) / group->extent_size : 0;
	if (used_end(group, pv, &used))
		return change_no_memory(group, error);
	if (!count || count < used) {
		error_set(error, -EBUSY,
			  "%s: %llu extents would be left of PV %s, and the one with number %llu "
			  "is used",
			  pv->block->name, (unsigned long long)count, pv->uuid,
			  (unsigned long long)(MAX(used, 1u) - 1));
		if (pv->private->is_short)
			return error_advise(error,
					    "`tenon lv repair` makes anew what RAID volumes had "
					    "there, `tenon lv remove` removes what is lost; `tenon "
					    "lv list %s` says which",
					    group->name);
		return error_advise(error, "it can be as small as %s",
				    size_format(pv->pe_start + used * group->extent_size, text));
	}
	if (group->extent_count - pv->extent_count + count > UINT32_MAX)
		return error_set(error, -EINVAL,
				 "%s: %llu extents are too many; fewer than 2^32 in a group are "
				 "allowed",
				 pv->block->name, (unsigned long long)count);
	*extents = (uint32_t)count;
	return 0;
}

/* The label is to name no metadata area any more that the device does not reach to. Whether it did. */
static bool drop_lost_areas(struct volume_pv *pv)
{
	struct volume_pv_private *private = pv->private;
	unsigned left = 0;

	for (unsigned i = 0; i < private->area_count; i++) {
		const struct lvm_location *where = &private->label.metadata[i];

		if (!range_within(where->offset, where->size, pv->block->size))
			continue;
		private->label.metadata[left] = *where;
		private->areas[left++] = private->areas[i];
	}
	if (left == private->area_count)
		return false;
	private->area_count = private->label.metadata_count = pv->metadata_areas = left;
	return true;
}

int volume_pv_resize(struct volume_group *group, struct volume_pv *pv, uint64_t size,
		     struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	uint32_t extents = 0;
	int rc;

	change_begin(&change, group);
	rc = change_check_but_short(group, error);
	size = round_down(size ? size : pv->block ? pv->block->size : 0, LVM_SECTOR_SIZE);
	if (!rc)
		rc = plan_size(group, pv, size, &extents, error);
	if (rc)
		return rc;
	if (size == pv->device_size && extents == pv->extent_count) {
		rc = lvm_vg_unchanged(group, error);
		if (rc || !drop_lost_areas(pv))
			return rc;
		lvm_vg_problems_judge(group);
		lvm_vg_mark_used(group);
		return 0;
	}
	if (change_keep_pv(&change, pv))
		return change_no_memory(group, error);
	group->extent_count = group->extent_count - pv->extent_count + extents;
	pv->extent_count = extents;
	pv->device_size = size;
	pv->private->dev_size_sectors = size / LVM_SECTOR_SIZE;
	rc = change_commit(&change, error);
	if (rc)
		return rc;
	lvm_vg_judge_lengths(group);
	lvm_vg_judge_partial(group);
	lvm_vg_lock_short(group);
	drop_lost_areas(pv);
	lvm_vg_problems_judge(group);
	/* What the label says of the size is a note: the metadata counts. */
	pv->private->label.device_size = size;
	lvm_vg_mark_used(group);
	return 0;
}
