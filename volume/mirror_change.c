/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirrors that are removed or renamed, with all of their parts: legs, log, and legs of the log; see mirror.h. */
#include "volume/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/raid_change.h"

int lvm_mirror_drop(struct change *change, struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_mirror(lv);
	int rc = change_drop_lv(change, lv);

	for (unsigned i = 0; segment && !rc && i < segment->area_count; i++)
		rc = lvm_mirror_drop(change, segment->areas[i].lv);
	return rc;
}

/* A part of another name than it should have keeps it. */
static int rename_part(struct change *change, const char *old, const char *new_name,
		       struct volume_area *area, struct error *error)
{
	struct volume_group *group = change->group;
	struct volume_lv *part = area->lv;
	size_t length = strlen(old);
	char name[2 * LVM_RAID_NAME];
	int rc;

	if (strncmp(part->name, old, length) != 0 || part->name[length] != '_')
		return 0;
	snprintf(name, sizeof(name), "%s%s", new_name, part->name + length);
	if (volume_group_get_lv(group, name))
		return error_set(error, -EEXIST, "%s/%s: exists already", group->name, name);
	if (lvm_lv_dm_name_check(group, name, error))
		return -EINVAL;
	if (change_keep_lv(change, part))
		return change_no_memory(group, error);
	rc = lvm_lv_mirror(part) ? lvm_mirror_rename(change, part, name, error) : 0;
	if (rc)
		return rc;
	part->name = lvm_vg_string(group, name);
	if (!part->name)
		return change_no_memory(group, error);
	area->lv_name = part->name;
	return 0;
}

int lvm_mirror_rename(struct change *change, struct volume_lv *lv, const char *new_name,
		      struct error *error)
{
	struct volume_segment *segment = lvm_raid_copy_segment(change->group, lv);
	int rc = segment ? 0 : change_no_memory(change->group, error);

	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		rc = rename_part(change, lv->name, new_name, &segment->areas[i], error);
	return rc;
}
