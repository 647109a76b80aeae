/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling a copy of a group's disks from the original: another name, and new UUIDs of the group and its PVs. A PV's UUID is in the
 * metadata and in its label, and no write of several disks is one:
 *
 *	1. the metadata	with new UUIDs, and in a tag of each PV the one that it had
 *	2. the labels	with the new ones
 *	3. the metadata	without the tags
 *
 * A cut of power within 1 and 2 leaves devices of which some are the copy's and some look like the original's. They cannot be told from
 * the original by a look; who names them again says that they are the copy's, and from the tags is known which is which: it goes
 * on with step 1. After step 2 the group is whole, with tags that say nothing any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/lvm_io.h"

#define COPY_OF "tenon:copy_of:"

/* ---- The tags ---- */

static const char *copy_of(const struct volume_pv *pv)
{
	for (unsigned i = 0; i < pv->tag_count; i++)
		if (!strncmp(pv->tags[i], COPY_OF, strlen(COPY_OF)))
			return pv->tags[i] + strlen(COPY_OF);
	return NULL;
}

bool volume_group_is_half_clone(const struct volume_group *group)
{
	bool half = false;

	for (unsigned i = 0; i < group->pv_count; i++)
		half |= copy_of(group->pvs[i]) && !group->pvs[i]->block;
	return half;
}

/* Another list of tags with that UUID, or (NULL) none. */
static int set_copy_of(struct volume_group *group, struct volume_pv *pv, const char *uuid)
{
	struct lvm_config *memory = &group->private->memory;
	char **tags = lvm_config_alloc(memory, (pv->tag_count + 1) * sizeof(*tags));
	char text[sizeof(COPY_OF) + VOLUME_UUID_TEXT];
	unsigned count = 0;

	if (!tags)
		return -ENOMEM;
	for (unsigned i = 0; i < pv->tag_count; i++)
		if (strncmp(pv->tags[i], COPY_OF, strlen(COPY_OF)) != 0)
			tags[count++] = pv->tags[i];
	if (uuid) {
		snprintf(text, sizeof(text), "%s%s", COPY_OF, uuid);
		tags[count] = lvm_vg_string(group, text);
		if (!tags[count++])
			return -ENOMEM;
	}
	pv->tags = tags;
	pv->tag_count = count;
	return 0;
}

/* ---- Which group ---- */

static int check_pvs(const struct volume_group *group, struct error *error)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];

		if (pv->block && !pv->duplicate)
			continue;
		error_set(error, pv->block ? -ENOTUNIQ : -ENXIO, "volume group %s: PV %s is %s",
			  group->name, pv->uuid,
			  pv->block ? "on more than one of the devices" : "on none of the devices");
		return error_advise(error, "name the copies of all its devices, each once");
	}
	return 0;
}

static int find_copy(const struct volume_scan *scan, struct volume_group **group,
		     struct error *error)
{
	int rc;

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
	rc = check_pvs(*group, error);
	return rc ? rc : lvm_vg_check_changeable(*group, error);
}

/* ---- What was cut off ---- */

static struct volume_group *find_half(const struct volume_scan *scan)
{
	for (unsigned i = 0; i < scan->group_count; i++)
		if (volume_group_is_half_clone(scan->groups[i]))
			return scan->groups[i];
	return NULL;
}

/* The PV is on this device, whatever its areas say. */
static int take_device(struct volume_pv *pv, struct block *block, struct error *error)
{
	struct volume_pv_private *private = pv->private;
	int rc = lvm_label_read(block, &private->label, error);

	if (rc <= 0)
		return rc < 0 ? rc : error_set(error, -ENODEV, "%s: has no label", block->name);
	pv->block = block_ref(block);
	memcpy(private->label.uuid, pv->uuid, sizeof(pv->uuid));
	private->area_count = private->label.metadata_count;
	for (unsigned i = 0; i < private->area_count; i++) {
		struct volume_metadata_area *area = &private->areas[i];

		area->readable = !lvm_metadata_area_read(block, &private->label.metadata[i],
							 &area->area, NULL);
	}
	return 0;
}

static int find_devices(const struct volume_scan *scan, struct volume_group *group,
			struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < scan->device_count; i++) {
		const struct volume_scanned *scanned = &scan->devices[i];
		struct volume_pv *found = NULL;

		for (unsigned k = 0; k < group->pv_count; k++) {
			struct volume_pv *pv = group->pvs[k];
			const char *was = copy_of(pv);

			if (!strcmp(scanned->info.uuid, pv->uuid) ||
			    (was && !strcmp(scanned->info.uuid, was)))
				found = pv;
		}
		if (!found)
			return error_set(
				error, -EINVAL,
				"%s: is no copy of a device of the group that %s is half a "
				"clone of",
				scanned->block->name, group->name);
		if (found->block && found->block != scanned->block)
			return error_set(error, -ENOTUNIQ, "%s: and %s are copies of one device",
					 scanned->block->name, found->block->name);
		if (!found->block)
			rc = take_device(found, scanned->block, error);
	}
	if (!rc)
		rc = check_pvs(group, error);
	if (rc)
		return rc;
	group->partial = false;
	lvm_vg_unlock(group, LVM_LOCK_MISSING);
	return lvm_vg_check_changeable(group, error);
}

/* ---- Steps ---- */

static int plan_uuids(struct change *change, struct error *error)
{
	struct volume_group *group = change->group;

	lvm_uuid_generate(group->uuid, group->private->random);
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		if (change_keep_pv(change, pv) || set_copy_of(group, pv, pv->uuid))
			return change_no_memory(group, error);
		lvm_uuid_generate(pv->uuid, group->private->random);
		memcpy(pv->private->label.uuid, pv->uuid, sizeof(pv->uuid));
	}
	return 0;
}

static int write_texts(struct volume_group *group, const char *name, bool half, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	group->name = lvm_vg_keep_string(group, name);
	if (!group->name) {
		group->name = change.before.name;
		return change_no_memory(group, error);
	}
	rc = half ? 0 : plan_uuids(&change, error);
	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		rc = lvm_lv_dm_name_check(group, group->lvs[i]->name, error);
	return rc ? rc : change_commit(&change, error);
}

/* What fails in here is told in the group's problems. */
static int check_written(const struct volume_group *group, struct error *error)
{
	if (group->problem_count == group->lasting_problems)
		return 0;
	error_set(error, -EIO, "volume group %s: is half a clone: %s", group->name,
		  group->problems[group->lasting_problems]);
	return error_advise(error, "mend that, and clone the same devices again");
}

static int drop_tags(struct volume_group *group, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	for (unsigned i = 0; i < group->pv_count; i++)
		if (change_keep_pv(&change, group->pvs[i]) ||
		    set_copy_of(group, group->pvs[i], NULL))
			return change_no_memory(group, error);
	rc = change_commit(&change, error);
	return rc ? rc : check_written(group, error);
}

static int clone_group(struct volume_group *group, const char *name, bool half, struct error *error)
{
	int rc = write_texts(group, name, half, error);

	if (!rc)
		rc = check_written(group, error);
	if (rc)
		return rc;
	lvm_vg_mark_used(group);
	rc = check_written(group, error);
	return rc ? rc : drop_tags(group, error);
}

int volume_group_clone(const char *name, struct block *const *blocks, unsigned count,
		       const struct volume_context *context, struct error *error)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *scan = NULL;
	struct volume_group *group, *half = NULL;
	int rc = volume_group_name_check(name, error);

	if (!rc)
		rc = volume_groups_scan(blocks, count, context, &scan, error);
	if (rc)
		return rc;
	group = half = find_half(scan);
	rc = half ? find_devices(scan, half, error) : find_copy(scan, &group, error);
	return rc ? rc : clone_group(group, name, half != NULL, error);
}
