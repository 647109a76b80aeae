/* SPDX-License-Identifier: BSD-2-Clause */
/* Making durable what metadata headers are read as; see commit.h. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/error.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"

static bool in_use(const struct volume_pv *pv, const struct volume_metadata_area *area)
{
	return pv->block && !pv->duplicate && area->readable && !area->area.ignored;
}

/* A change that stayed unknown was taken back in memory. If a header has it now, memory is wrong. */
static int check_unsure(struct volume_group *group, const struct volume_pv *pv, unsigned number,
			struct error *error)
{
	const struct lvm_metadata_area *known = &pv->private->areas[number].area;
	struct lvm_metadata_area found;
	int rc = lvm_metadata_area_read(pv->block, &pv->private->label.metadata[number], &found,
					error);

	if (rc || lvm_slot_equal(&found.committed, &known->committed))
		return rc;
	lvm_vg_lock(group, LVM_LOCK_OTHER,
		    "a change that failed here was found on %s after all; whoever opens the group "
		    "anew sees it",
		    pv->block->name);
	error_set(error, -EROFS, "volume group %s: %s", group->name, group->locked_reason);
	error_advise(error, "stop the server that has it open, and start it again");
	return -EROFS;
}

static int check_all_unsure(struct volume_group *group, struct error *error)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		for (unsigned k = 0; k < pv->private->area_count; k++) {
			const struct volume_metadata_area *area = &pv->private->areas[k];
			int rc = !in_use(pv, area) || area->settled
					 ? 0
					 : check_unsure(group, pv, k, error);

			if (rc)
				return rc;
		}
	}
	return 0;
}

/* The headers of one PV. A write that fails half way leaves the sector as it was or as it is known. */
static int settle_pv(struct volume_pv *pv, struct error *error)
{
	bool written = false;
	int rc;

	for (unsigned k = 0; k < pv->private->area_count; k++) {
		struct volume_metadata_area *area = &pv->private->areas[k];

		if (!in_use(pv, area) || area->settled)
			continue;
		area->area.precommitted = (struct lvm_slot){ 0 };
		rc = lvm_metadata_area_write(pv->block, &area->area, error);
		if (rc)
			return rc;
		written = true;
	}
	rc = written ? lvm_flush(pv->block, error) : 0;
	for (unsigned k = 0; !rc && k < pv->private->area_count; k++)
		if (in_use(pv, &pv->private->areas[k]))
			pv->private->areas[k].settled = true;
	return rc;
}

int lvm_vg_settle(struct volume_group *group, struct error *error)
{
	int rc = group->private->unsure ? check_all_unsure(group, error) : 0;

	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		rc = settle_pv(group->pvs[i], error);
	if (!rc)
		group->private->unsure = false;
	return rc;
}

int lvm_vg_unchanged(struct volume_group *group, struct error *error)
{
	int rc = lvm_vg_settle(group, error);

	if (rc)
		error_prefix(error, "volume group %s: cannot say that it is so already",
			     group->name);
	return rc;
}
