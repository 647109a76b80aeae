/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a group may be changed of which PVs are missing, or became shorter; see change.h. What a change does with those: change_build(). */
#include <errno.h>

#include "block/block.h"
#include "util/error.h"
#include "volume/change.h"

int change_check_but_short(const struct volume_group *group, struct error *error)
{
	return lvm_vg_check_but(group, LVM_LOCK_BIT(LVM_LOCK_SHORT), error);
}

static int refuse_duplicates(const struct volume_group *group, struct error *error)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		if (!group->pvs[i]->duplicate)
			continue;
		error_set(error, -ENOTUNIQ, "volume group %s: PV %s is there twice", group->name,
			  group->pvs[i]->uuid);
		return error_advise(error, "leave out the devices that are copies");
	}
	return 0;
}

int change_check_but(const struct volume_group *group, unsigned borne, struct error *error)
{
	int rc = lvm_vg_check_but(group, borne, error);

	return rc ? rc : refuse_duplicates(group, error);
}

int change_check_but_missing(const struct volume_group *group, struct error *error)
{
	return change_check_but(group, LVM_LOCK_LOSS, error);
}

int volume_group_check_planned(const struct volume_group *group, bool removal, struct error *error)
{
	int rc = lvm_vg_check_locks(group, removal ? LVM_LOCK_LOSS : 0, error);

	return rc || !removal ? rc : refuse_duplicates(group, error);
}
