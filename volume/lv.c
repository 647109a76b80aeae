/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may open a volume, and how; the blocks are active.c's. */
#include <errno.h>

#include "util/error.h"
#include "volume/volume_raid.h"
#include "volume/active.h"
#include "volume/change.h"
#include "volume/commit.h"

/* What is flushed to a volume must stay: so it must be certain that the volume is there, and so large, before
 * it is written to. A change that failed may have removed or shrunk it. */
static int check_certain(struct volume_group *group, const char *name, struct error *error)
{
	struct error why = { 0 };
	int rc;

	if (!group->private->unsure)
		return 0;
	rc = lvm_vg_check_but(group, LVM_LOCK_LOSS, &why);
	if (!rc)
		rc = lvm_vg_settle(group, &why);
	return rc ? error_set(error, rc,
			      "%s/%s: opens for reading only: a change failed, and it is unknown "
			      "whether it was made: %s",
			      group->name, name, why.text)
		  : 0;
}

int volume_group_settle(struct volume_group *group, struct error *error)
{
	CHANGING(group);

	return lvm_vg_check_but(group, LVM_LOCK_LOSS, NULL) ? 0 : lvm_vg_settle(group, error);
}

/* What forbids making its array whole. */
static int check_upkeep(struct volume_group *group, const struct volume_lv *lv, struct error *error)
{
	const char *reason = lvm_vg_reason(group, LVM_LOCK_FOREIGN);

	if (reason)
		return error_set(error, -EROFS,
				 "%s/%s: opens for reading only: the volume group's reason is that "
				 "%s",
				 group->name, lv->name, reason);
	return check_certain(group, lv->name, error);
}

/* What forbids writing to its data, but for its own permission. */
static int check_open_for_writing(struct volume_group *group, const struct volume_lv *lv,
				  struct error *error)
{
	const struct volume_lv *dependent =
		lvm_vg_reason(group, LVM_LOCK_FOREIGN) ? NULL : lvm_lv_dependent(group, lv);

	if (dependent)
		return error_set(
			error, -EOPNOTSUPP,
			"%s/%s: opens for reading only: %s depends on its data, and writing "
			"here would damage that",
			group->name, lv->name, dependent->name);
	return check_upkeep(group, lv, error);
}

static int find_to_open(const struct volume_group *group, const char *name, struct volume_lv **out,
			struct error *error)
{
	struct volume_lv *lv = volume_group_get_lv(group, name);

	if (!lv)
		return error_set(error, -ENOENT,
				 "%s/%.128s: no such volume in the volume group, which has %u",
				 group->name, name, group->lv_count);
	if (!lv->visible)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: is a part of another volume and cannot be used by itself",
				 group->name, name);
	*out = lv;
	return 0;
}

/* Not while a change is on its way, which may be taken back. */
int volume_open_lv(struct volume_group *group, const char *name, bool writable, struct block **out,
		   struct error *error)
{
	CHANGING(group);
	struct volume_lv *lv;
	int rc = find_to_open(group, name, &lv, error);

	if (!rc && writable && !lv->writable)
		rc = error_set(error, -EROFS, "%s/%s: the volume is read-only", group->name, name);
	if (!rc && writable)
		rc = check_open_for_writing(group, lv, error);
	return rc ? rc : lvm_active_open(group, lv, writable, out, error);
}

int volume_open_for_upkeep(struct volume_group *group, const char *name, struct block **out,
			   struct error *error)
{
	CHANGING(group);
	struct volume_lv *lv;
	int rc = find_to_open(group, name, &lv, error);

	if (!rc)
		rc = check_upkeep(group, lv, error);
	return rc ? rc : lvm_active_open(group, lv, true, out, error);
}
