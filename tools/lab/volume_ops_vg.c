/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on groups and their PVs; see volume_ops.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"
#include "util/size.h"

static struct block *find_block(struct lab_volume_stage *stage, const char *name,
				struct error *error)
{
	struct lab_disk *disk = lab_volume_find_disk(stage, name, error);

	return disk ? &disk->block : NULL;
}

/* What a group that was made told goes with it. */
static void let_go(struct lab_volume_stage *stage, struct volume_group *group)
{
	if (group)
		stage->problems += group->problem_count;
	volume_group_unref(group);
}

/* ---- Groups ---- */

LAB_VOLUME_OP(lab_op_vg_create)
{
	const struct volume_group_options options = {
		.extent_size = stage->volume->scenario->volume.extent, .metadata_copies = 2
	};
	struct volume_group *group = NULL;
	struct block *blocks[2];
	int rc;

	for (unsigned i = 1; i < count; i++)
		if (!(blocks[i - 1] = find_block(stage, words[i], error)))
			return error->code;
	rc = volume_group_create(&group, words[0], blocks, count - 1, &options,
				 &stage->volume->context, error);
	let_go(stage, group);
	return rc;
}

LAB_VOLUME_OP(lab_op_vg_extend)
{
	struct block *block = find_block(stage, words[0], error);
	struct volume_group *group = block ? lab_volume_group(stage, NULL, error) : NULL;

	(void)count;
	return group ? volume_group_extend(group, &block, 1, NULL, error) : error->code;
}

LAB_VOLUME_OP(lab_op_vg_reduce)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *pv = group ? lab_volume_find_pv(stage, words[0], error) : NULL;

	(void)count;
	return pv ? volume_group_reduce(group, pv, error) : error->code;
}

/* Volumes that lie on what is missing are no more. */
LAB_VOLUME_OP(lab_op_vg_reduce_missing)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	int rc;

	(void)words;
	rc = group ? volume_group_remove_missing(group, count > 0, error) : error->code;
	for (unsigned i = 0; !rc && i < stage->here.lv_count;)
		if (volume_group_get_lv(group, stage->here.lvs[i].name))
			i++;
		else
			stage->here.lvs[i] = stage->here.lvs[--stage->here.lv_count];
	return rc;
}

LAB_VOLUME_OP(lab_op_vg_rename)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	int rc = group ? volume_group_rename(group, words[0], error) : error->code;

	(void)count;
	if (!rc)
		memcpy(stage->here.group, words[0], strlen(words[0]) + 1);
	return rc;
}

LAB_VOLUME_OP(lab_op_vg_remove)
{
	struct volume_group *group = lab_volume_group(stage, words[0], error);

	(void)count;
	return group ? volume_group_remove(group, error) : error->code;
}

LAB_VOLUME_OP(lab_op_vg_tag)
{
	const char *const tags[] = { words[0] };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };
	struct volume_group *group = lab_volume_group(stage, NULL, error);

	(void)count;
	return group ? volume_group_set(group, &settings, error) : error->code;
}

LAB_VOLUME_OP(lab_op_vg_change)
{
	enum volume_allocation allocation;
	const struct volume_settings settings = { .allocation = &allocation };
	struct volume_group *group = lab_volume_group(stage, NULL, error);

	(void)count;
	if (!group || volume_allocation_parse(words[0], &allocation, error))
		return error->code;
	return volume_group_set(group, &settings, error);
}

LAB_VOLUME_OP(lab_op_vg_export)
{
	struct volume_group *group = lab_volume_group(stage, words[0], error);

	(void)count;
	return group ? volume_group_set_exported(group, true, error) : error->code;
}

LAB_VOLUME_OP(lab_op_vg_import)
{
	struct volume_group *group = lab_volume_group(stage, words[0], error);

	(void)count;
	return group ? volume_group_set_exported(group, false, error) : error->code;
}

LAB_VOLUME_OP(lab_op_vg_repair)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);

	(void)words;
	return group ? volume_group_repair(group, count > 0, error) : error->code;
}

/* ---- Splitting, merging, cloning ---- */

LAB_VOLUME_OP(lab_op_vg_split)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *pv = group ? lab_volume_find_pv(stage, words[1], error) : NULL;

	(void)count;
	return pv ? volume_group_split(group, words[0], &pv, 1, error) : error->code;
}

LAB_VOLUME_OP(lab_op_vg_merge)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_group *from = group ? lab_volume_group(stage, words[0], error) : NULL;

	(void)count;
	return from ? volume_group_merge(group, from, error) : error->code;
}

/* What is exported is imported. */
int lab_finish_regroup(struct lab_volume_stage *stage, struct error *error)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL;
	int rc = lab_volume_scan(stage, &found, error);

	for (unsigned i = 0; !rc && i < found->group_count; i++)
		if (found->groups[i]->exported)
			rc = volume_group_set_exported(found->groups[i], false, error);
	return rc;
}

static int clone_to(struct lab_volume_stage *stage, const char *name, struct error *error)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *found = NULL;
	struct block *blocks[LAB_DISKS];
	unsigned blocks_count = 0;
	int rc = lab_volume_scan(stage, &found, error);

	for (unsigned i = 0; !rc && i < found->device_count; i++)
		if (found->devices[i].is_pv)
			blocks[blocks_count++] = found->devices[i].block;
	return rc ? rc
		  : volume_group_clone(name, blocks, blocks_count, &stage->volume->context, error);
}

/* All PVs that there are count as copies of a group's. */
LAB_VOLUME_OP(lab_op_vg_clone)
{
	int rc = clone_to(stage, words[0], error);

	(void)count;
	if (!rc)
		memcpy(stage->here.group, words[0], strlen(words[0]) + 1);
	return rc;
}

int lab_finish_clone(struct lab_volume_stage *stage, struct error *error)
{
	const struct lab_volume *volume = stage->volume;

	return clone_to(stage, volume->snapshots[volume->begun].here.group, error);
}

/* ---- Copies of the metadata ---- */

LAB_VOLUME_OP(lab_op_vg_backup)
{
	struct lab_volume *volume = stage->volume;
	struct volume_group *group;
	int rc;

	(void)words, (void)count;
	if (!stage->recorded)
		return 0;
	group = lab_volume_group(stage, NULL, error);
	if (!group)
		return error->code;
	if (volume->kept_count == LAB_SLOTS)
		return error_set(error, -E2BIG, "expected at most %u backups", LAB_SLOTS);
	rc = volume_group_text(group, &volume->kept[volume->kept_count], error);
	if (!rc)
		stage->here.kept = volume->kept[volume->kept_count++];
	return rc;
}

LAB_VOLUME_OP(lab_op_vg_restore)
{
	struct block *blocks[LAB_DISKS];
	unsigned blocks_count = 0;
	struct volume_group *group = NULL;
	int rc;

	(void)words, (void)count;
	if (!stage->here.kept)
		return error_set(error, -ENOENT, "there is no backup: vg-backup makes one");
	for (unsigned i = 0; i < stage->volume->scenario->disk_count; i++)
		if (!(stage->here.gone >> i & 1))
			blocks[blocks_count++] = &stage->disks[i]->block;
	rc = volume_group_restore(&group, stage->here.kept, strlen(stage->here.kept), "backup",
				  blocks, blocks_count, false, &stage->volume->context, error);
	let_go(stage, group);
	return rc;
}

/* ---- PVs ---- */

LAB_VOLUME_OP(lab_op_pv_create)
{
	const struct volume_group_options options = {
		.metadata_copies = count > 1 ? (unsigned)atoi(words[1]) : 1
	};
	struct block *block = find_block(stage, words[0], error);

	return block ? volume_pv_create(block, &options, error) : error->code;
}

LAB_VOLUME_OP(lab_op_pv_remove)
{
	struct block *block = find_block(stage, words[0], error);

	(void)count;
	return block ? volume_pv_remove(block, error) : error->code;
}

LAB_VOLUME_OP(lab_op_pv_resize)
{
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *pv = group ? lab_volume_find_pv(stage, words[0], error) : NULL;
	uint64_t size;

	(void)count;
	if (!pv || size_parse(words[1], &size, error))
		return error->code;
	return volume_pv_resize(group, pv, size, error);
}

LAB_VOLUME_OP(lab_op_pv_tag)
{
	const char *const tags[] = { words[1] };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *pv = group ? lab_volume_find_pv(stage, words[0], error) : NULL;

	(void)count;
	return pv ? volume_pv_set(group, pv, &settings, error) : error->code;
}

LAB_VOLUME_OP(lab_op_pv_change)
{
	const bool allocatable = !strcmp(words[1], "yes");
	const struct volume_settings settings = { .allocatable = &allocatable };
	struct volume_group *group = lab_volume_group(stage, NULL, error);
	struct volume_pv *pv = group ? lab_volume_find_pv(stage, words[0], error) : NULL;

	(void)count;
	return pv ? volume_pv_set(group, pv, &settings, error) : error->code;
}

/* ---- Disks that leave the machine ---- */

static int set_gone(struct lab_volume_stage *stage, const char *name, bool gone,
		    struct error *error)
{
	struct lab_disk *disk = lab_volume_find_disk(stage, name, error);

	if (!disk)
		return error->code;
	stage->here.gone &= ~(1ull << disk->index);
	stage->here.gone |= (uint64_t)gone << disk->index;
	return 0;
}

LAB_VOLUME_OP(lab_op_gone)
{
	(void)count;
	return set_gone(stage, words[0], true, error);
}

LAB_VOLUME_OP(lab_op_back)
{
	(void)count;
	return set_gone(stage, words[0], false, error);
}
