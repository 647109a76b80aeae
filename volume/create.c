/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making PVs and a group of them.
 *
 * All blocks are looked at before the first is written. Then each gets a label that does not yet say
 * that it is used, and empty metadata areas; the first commit brings the group into being; the labels
 * follow. Power that is cut between leaves PVs without a group, which the next try takes as they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/raid_magic.h"
#include "block/signature.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"

#define EXTENT_SIZE_DEFAULT (4ull << 20)
#define ALIGNMENT_DEFAULT   (1ull << 20)
#define AREA_START          4096u
#define AREA_HEAD           4096u /* cleared of a new metadata area */

/* What to make, options with their defaults. */
struct group_create_plan {
	struct volume_group *group;
	const struct volume_group_options *options;
	uint64_t extent_size, alignment, area_size;
	unsigned copies, label_sector;
	struct error *error;
};

/* ---- Looking ---- */

static int check_options(struct group_create_plan *plan)
{
	const struct volume_group_options *options = plan->options;

	plan->extent_size = options->extent_size ? options->extent_size : EXTENT_SIZE_DEFAULT;
	plan->alignment = options->data_alignment ? options->data_alignment : ALIGNMENT_DEFAULT;
	plan->copies = options->metadata_copies ? options->metadata_copies : 1;
	plan->label_sector = options->label_sector ? *options->label_sector : 1;
	if (lvm_extent_size_check(plan->extent_size, plan->error))
		return -EINVAL;
	if (plan->alignment % AREA_START || plan->alignment > (1ull << 40))
		return error_set(plan->error, -EINVAL,
				 "data alignment is %llu, expected a multiple of 4096",
				 (unsigned long long)plan->alignment);
	if (plan->copies > 2)
		return error_set(plan->error, -EINVAL,
				 "%u metadata areas are asked for on each device, expected 1 or 2",
				 plan->copies);
	if (plan->label_sector >= LVM_LABEL_SCAN_SECTORS)
		return error_set(plan->error, -EINVAL, "label sector is %u, expected 0 to 3",
				 plan->label_sector);
	if (options->metadata_size > (uint64_t)INT64_MAX / 4)
		return error_set(plan->error, -EINVAL, "metadata size is %llu, which is too large",
				 (unsigned long long)options->metadata_size);
	/* As pvcreate does, the first area ends where aligned data may begin. */
	plan->area_size =
		options->metadata_size ? options->metadata_size : ALIGNMENT_DEFAULT - AREA_START;
	plan->area_size = MAX(plan->area_size, (uint64_t)LVM_METADATA_SIZE_MIN);
	plan->area_size += plan->alignment - 1;
	plan->area_size -= (AREA_START + plan->area_size) % plan->alignment;
	return 0;
}

/* The group that a labelled device belongs to, in *name ("" for none). */
static int find_owner(struct block *block, const struct lvm_label *label, char *name,
		      struct error *error)
{
	struct volume_pv_info info;
	int rc = volume_pv_probe(block, &info, error);

	if (rc < 0)
		return rc;
	*name = '\0';
	if (*info.vg_name)
		stpcpy(name, info.vg_name);
	else if (label->extension_flags & LVM_EXTENSION_USED)
		stpcpy(name, "of an unknown name");
	return 0;
}

/* Whether a PV on the device is an array's, which has its superblock at the end: 1 where it is taken away from
 * that by force. */
static int look_for_array(struct group_create_plan *plan, struct block *block)
{
	struct block_raid_magic magic;
	int rc = block_raid_magic_find(block, 0, &magic, plan->error);

	if (rc <= 0 || plan->options->force)
		return rc;
	error_set(plan->error, -EEXIST,
		  "%s: holds a physical volume that belongs to an array (%s at byte %llu)",
		  block->name, magic.name, (unsigned long long)magic.offset);
	error_advise(plan->error, "give --force to overwrite both, if nothing on it is needed");
	return -EEXIST;
}

/* 1: an orphan PV, whose label and layout are kept; 0: nothing of worth; negative: refused. */
static int look_at(struct group_create_plan *plan, struct block *block, struct lvm_label *label)
{
	char owner[VOLUME_NAME_LENGTH + 1];
	int rc;

	if (block->read_only)
		return error_set(plan->error, -EROFS, "%s: is open for reading only", block->name);
	rc = lvm_label_read(block, label, plan->options->force ? NULL : plan->error);
	if (rc < 0 && rc != -EBADMSG)
		return rc;
	if (rc <= 0)
		return plan->options->force ? 0 : block_signature_check(block, plan->error);
	rc = find_owner(block, label, owner, plan->error);
	if (rc)
		return rc;
	if (!*owner) {
		rc = look_for_array(plan, block);
		return rc ? MIN(rc, 0) : label->data_count == 1 && label->metadata_count;
	}
	if (plan->options->force)
		return 0;
	error_set(plan->error, -EBUSY, "%s: is a physical volume of volume group %s", block->name,
		  owner);
	error_advise(plan->error,
		     "take it out there first: `tenon vg reduce`; with --force it is taken as it "
		     "is, and what that group has on it is lost");
	return -EBUSY;
}

/* ---- Layout ---- */

static int no_room(struct group_create_plan *plan, const struct block *block)
{
	return error_set(plan->error, -ENOSPC,
			 "%s: has %llu bytes, too few for metadata and one extent of %llu",
			 block->name, (unsigned long long)block->size,
			 (unsigned long long)plan->extent_size);
}

/* A new label: areas where pvcreate puts them. */
static int lay_out(struct group_create_plan *plan, const struct block *block,
		   struct lvm_label *label)
{
	uint64_t data = AREA_START + plan->area_size;
	uint64_t size = round_down(block->size, LVM_SECTOR_SIZE);

	*label = (struct lvm_label){
		.sector = plan->label_sector,
		.device_size = size,
		.data_count = 1,
		.data = { { .offset = data } },
		.metadata_count = plan->copies,
		.metadata = { { .offset = AREA_START, .size = plan->area_size } },
		.extension_version = LVM_EXTENSION_VERSION,
	};
	if (size <= data || size - data < plan->extent_size)
		return no_room(plan, block);
	if (plan->copies == 2) {
		uint64_t second = size > plan->area_size ? size - plan->area_size : 0;

		second -= second % plan->alignment;
		if (second < data + plan->extent_size)
			return no_room(plan, block);
		label->metadata[1] =
			(struct lvm_location){ .offset = second, .size = size - second };
	}
	lvm_uuid_generate(label->uuid, plan->group->private->random);
	return 0;
}

static int set_extents(struct group_create_plan *plan, struct volume_pv *pv)
{
	uint64_t start = pv->private->label.data[0].offset;
	uint64_t size = round_down(pv->block->size, LVM_SECTOR_SIZE);
	uint64_t end = lvm_label_data_end(&pv->private->label, size);
	uint64_t count = end > start ? (end - start) / plan->extent_size : 0;

	if (!count)
		return no_room(plan, pv->block);
	if (count > UINT32_MAX || __builtin_add_overflow(plan->group->extent_count, (uint32_t)count,
							 &plan->group->extent_count))
		return error_set(
			plan->error, -EINVAL,
			"%s: %llu extents of %llu bytes are too many; fewer than 2^32 in a "
			"group are allowed",
			pv->block->name, (unsigned long long)count,
			(unsigned long long)plan->extent_size);
	if ((start | plan->extent_size) % pv->block->logical_block_size)
		return error_set(plan->error, -EINVAL,
				 "%s: has sectors of %u bytes, extents of %llu begin at byte %llu",
				 pv->block->name, pv->block->logical_block_size,
				 (unsigned long long)plan->extent_size, (unsigned long long)start);
	pv->extent_count = (uint32_t)count;
	pv->pe_start = start;
	pv->private->pe_start_sectors = start / LVM_SECTOR_SIZE;
	pv->private->dev_size_sectors = size / LVM_SECTOR_SIZE;
	pv->device_size = size;
	memcpy(pv->uuid, pv->private->label.uuid, sizeof(pv->uuid));
	return 0;
}

/* ---- The group in memory ---- */

static int one_string(struct volume_group *group, struct lvm_strings *strings,
		      const char *const *from, unsigned count)
{
	strings->at = lvm_config_alloc(&group->private->memory, (count + 1) * sizeof(*strings->at));
	if (!strings->at)
		return -ENOMEM;
	for (strings->count = 0; strings->count < count; strings->count++)
		strings->at[strings->count] = lvm_vg_string(group, from[strings->count]);
	return 0;
}

/* "pvN": those of PVs that left are taken again. */
static void free_name(const struct volume_group *group, char *name, size_t size)
{
	for (unsigned number = 0, i = 0; i <= group->pv_count; number++) {
		snprintf(name, size, "pv%u", number);
		for (i = 0; i < group->pv_count && strcmp(group->pvs[i]->name, name); i++)
			;
		i += i == group->pv_count;
	}
}

static struct volume_pv *add_pv(struct volume_group *group, struct block *block)
{
	static const char *const status[] = { "ALLOCATABLE" };
	struct volume_pv *pv = lvm_pv_new();
	char name[16];

	if (!pv)
		return NULL;
	free_name(group, name, sizeof(name));
	pv->name = lvm_vg_string(group, name);
	if (!pv->name || one_string(group, &pv->private->status, status, 1) ||
	    one_string(group, &pv->private->flags, NULL, 0)) {
		free(pv);
		return NULL;
	}
	pv->allocatable = true;
	pv->private->index = group->pv_count;
	pv->block = block_ref(block);
	group->pvs[group->pv_count++] = pv;
	return pv;
}

static int fill_group(struct group_create_plan *plan, const char *name, unsigned count)
{
	static const char *const status[] = { "RESIZEABLE", "READ", "WRITE" };
	struct volume_group *group = plan->group;
	struct lvm_strings tags;

	group->name = lvm_vg_keep_string(group, name);
	group->pvs = lvm_config_alloc(&group->private->memory, count * sizeof(struct volume_pv *));
	if (!group->name || !group->pvs || one_string(group, &group->private->status, status, 3) ||
	    one_string(group, &group->private->flags, NULL, 0) ||
	    one_string(group, &tags, plan->options->tags, plan->options->tag_count))
		return error_set(plan->error, -ENOMEM, "volume group %s: no memory", name);
	lvm_uuid_generate(group->uuid, group->private->random);
	group->tags = (char **)tags.at;
	group->tag_count = tags.count;
	group->extent_size = plan->extent_size;
	group->private->extent_sectors = plan->extent_size / LVM_SECTOR_SIZE;
	group->resizeable = true;
	return 0;
}

static int plan_pv(struct group_create_plan *plan, struct block *block)
{
	struct volume_pv *pv;
	struct lvm_label label;
	int rc = look_at(plan, block, &label);
	bool keep = rc > 0;

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < plan->group->pv_count; i++)
		if (plan->group->pvs[i]->block == block)
			return error_set(plan->error, -EINVAL, "%s: is named twice", block->name);
	for (unsigned i = 0; keep && i < plan->group->pv_count; i++) {
		if (strcmp(plan->group->pvs[i]->private->label.uuid, label.uuid))
			continue;
		error_set(plan->error, -EEXIST, "%s: is a copy of %s: both are PV %s", block->name,
			  plan->group->pvs[i]->block->name, label.uuid);
		return error_advise(plan->error, "leave one out, or give --force to make it anew");
	}
	pv = add_pv(plan->group, block);
	if (!pv)
		return error_set(plan->error, -ENOMEM, "%s: no memory", block->name);
	if (keep) {
		pv->private->label = label;
		pv->private->area_count = label.metadata_count;
		for (unsigned i = 0; i < label.metadata_count; i++)
			pv->private->areas[i].readable = !lvm_metadata_area_read(
				block, &label.metadata[i], &pv->private->areas[i].area, NULL);
		return set_extents(plan, pv);
	}
	rc = lay_out(plan, block, &pv->private->label);
	return rc ? rc : set_extents(plan, pv);
}

/* ---- Writing ---- */

static int write_pv(struct group_create_plan *plan, struct volume_pv *pv)
{
	struct volume_pv_private *private = pv->private;
	const struct lvm_label *label = &private->label;
	char zeroes[AREA_HEAD] = { 0 };
	int rc;

	if (private->area_count)
		return 0; /* is a PV already */
	rc = block_signature_wipe(pv->block, plan->error);
	if (!rc)
		rc = lvm_write(pv->block, 0, zeroes, LVM_LABEL_SCAN_SIZE, plan->error);
	for (unsigned i = 0; !rc && i < label->metadata_count; i++) {
		struct volume_metadata_area *area = &private->areas[i];

		area->area = (struct lvm_metadata_area){ .start = label->metadata[i].offset,
							 .size = label->metadata[i].size };
		area->readable = true;
		area->settled = true; /* flushed below */
		rc = lvm_write(pv->block, area->area.start, zeroes, sizeof(zeroes), plan->error);
		if (!rc)
			rc = lvm_metadata_area_write(pv->block, &area->area, plan->error);
	}
	if (!rc)
		rc = lvm_flush(pv->block, plan->error);
	if (!rc)
		rc = lvm_label_write(pv->block, label, plan->error);
	private->area_count = label->metadata_count;
	return rc ? rc : lvm_flush(pv->block, plan->error);
}

/* lvm2 wants one size of logical blocks in a group: a volume that grew onto larger ones would lose the
 * guest that was told of small ones. */
static int check_block_sizes(const struct volume_group *group, struct error *error)
{
	const struct block *first = NULL;

	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct block *other = group->pvs[i]->block;

		if (other && !first)
			first = other;
		if (!other || other->logical_block_size == first->logical_block_size)
			continue;
		error_set(error, -EINVAL,
			  "volume group %s: %s has logical blocks of %u bytes, %s has %u",
			  group->name, first->name, first->logical_block_size, other->name,
			  other->logical_block_size);
		error_advise(error, "make a group of devices that have the same block size");
		return -EINVAL;
	}
	return 0;
}

static int plan_group(struct group_create_plan *plan, const char *name, struct block *const *blocks,
		      unsigned count, const struct volume_context *context)
{
	int rc = check_options(plan);

	if (!rc)
		rc = lvm_tags_check(plan->options->tags, plan->options->tag_count, plan->error);
	if (!rc && (rc = lvm_vg_set_context(plan->group, context)))
		error_set(plan->error, rc, "volume group %s: %s", name, error_name(rc));
	if (!rc)
		rc = fill_group(plan, name, count);
	for (unsigned i = 0; !rc && i < count; i++)
		rc = plan_pv(plan, blocks[i]);
	return rc ? rc : check_block_sizes(plan->group, plan->error);
}

static void count_areas(struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];

		pv->metadata_areas = pv->private->area_count;
		pv->metadata_areas_used = 0;
		for (unsigned k = 0; k < pv->private->area_count; k++)
			pv->metadata_areas_used += !pv->private->areas[k].area.ignored;
	}
}

int volume_group_create(struct volume_group **out, const char *name, struct block *const *blocks,
			unsigned count, const struct volume_group_options *options,
			const struct volume_context *context, struct error *error)
{
	static const struct volume_group_options defaults;
	CLEANUP_VOLUME_GROUP struct volume_group *group = lvm_vg_new();
	struct group_create_plan plan = { .group = group,
					  .options = options ? options : &defaults,
					  .error = error };
	int rc = volume_group_name_check(name, error);

	if (!group)
		return error_set(error, -ENOMEM, "volume group %s: no memory", name);
	if (!rc && !count)
		rc = error_set(error, -EINVAL, "volume group %s: needs at least one device", name);
	if (!rc)
		rc = plan_group(&plan, name, blocks, count, context);
	/* What lvm2 would not take is refused before the first device is written. */
	if (!rc)
		rc = lvm_vg_check_text(group, error);
	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < count; i++)
		rc = write_pv(&plan, group->pvs[i]);
	if (rc) {
		error_prefix(error, "volume group %s: was not made", name);
		return rc;
	}
	rc = lvm_vg_commit(group, error);
	if (rc)
		return rc;
	lvm_vg_mark_used(group);
	count_areas(group);
	*out = steal_pointer(&group);
	return 0;
}

/* ---- More of them ---- */

/* Also where PVs are missing, as with lvm2: what RAID volumes lost is made anew on those that come. */
static int check_extensible(const struct volume_group *group, unsigned more, struct error *error)
{
	int rc = change_check_but_missing(group, error);

	if (rc)
		return rc;
	rc = change_check_resizeable(group, error);
	if (rc)
		return rc;
	if (group->max_pv && group->pv_count + more > group->max_pv)
		return error_set(error, -ENOSPC,
				 "volume group %s: allows %u PVs and has %u, %u more are asked for",
				 group->name, group->max_pv, group->pv_count, more);
	return 0;
}

/* Adds the blocks in memory, each kept as a new one. */
static int plan_extension(struct group_create_plan *plan, struct change *change,
			  struct block *const *blocks, unsigned count)
{
	struct volume_group *group = plan->group;
	int rc = change_copy_pvs(change, count) ? change_no_memory(group, plan->error)
						: check_options(plan);

	for (unsigned i = 0; !rc && i < count; i++) {
		unsigned before = group->pv_count;

		rc = plan_pv(plan, blocks[i]);
		if (group->pv_count > before && change_keep_new_pv(change, group->pvs[before]))
			rc = change_no_memory(group, plan->error);
	}
	if (!rc)
		rc = check_block_sizes(group, plan->error);
	/* What lvm2 would not take is refused before the first device is written. */
	return rc ? rc : lvm_vg_check_text(group, plan->error);
}

int volume_group_extend(struct volume_group *group, struct block *const *blocks, unsigned count,
			const struct volume_group_options *options, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct volume_group_options wanted =
		options ? *options : (struct volume_group_options){ 0 };
	struct group_create_plan plan = { .group = group, .options = &wanted, .error = error };
	unsigned old_count = group->pv_count;
	int rc;

	change_begin(&change, group);
	wanted.extent_size = group->extent_size;
	rc = check_extensible(group, count, error);
	if (!rc)
		rc = plan_extension(&plan, &change, blocks, count);
	for (unsigned i = old_count; !rc && i < group->pv_count; i++) {
		rc = write_pv(&plan, group->pvs[i]);
		if (rc)
			error_prefix(error, "volume group %s: was not extended", group->name);
	}
	if (!rc)
		rc = change_commit(&change, error);
	if (rc)
		return rc;
	lvm_vg_mark_used(group);
	count_areas(group);
	return 0;
}

/* ---- PVs of no group ---- */

int volume_pv_create(struct block *block, const struct volume_group_options *options,
		     struct error *error)
{
	static const struct volume_group_options defaults;
	CLEANUP_VOLUME_GROUP struct volume_group *group = lvm_vg_new();
	struct group_create_plan plan = { .group = group,
					  .options = options ? options : &defaults,
					  .error = error };
	int rc;

	if (!group || lvm_vg_set_context(group, NULL) || fill_group(&plan, "none", 1))
		return error_set(error, -ENOMEM, "%s: no memory", block->name);
	rc = check_options(&plan);
	group->extent_size = plan.extent_size;
	if (!rc)
		rc = plan_pv(&plan, block);
	if (!rc && group->pvs[0]->private->area_count)
		return error_set(error, -EEXIST, "%s: is a physical volume already, %s",
				 block->name, group->pvs[0]->uuid);
	return rc ? rc : write_pv(&plan, group->pvs[0]);
}

int volume_pv_remove(struct block *block, struct error *error)
{
	uint8_t zeroes[LVM_SECTOR_SIZE] = { 0 };
	char owner[VOLUME_NAME_LENGTH + 1];
	struct lvm_label label;
	int rc = lvm_label_read(block, &label, error);

	if (!rc)
		return error_set(error, -ENODEV, "%s: is no physical volume", block->name);
	if (rc < 0)
		return rc;
	rc = find_owner(block, &label, owner, error);
	if (!rc && *owner) {
		error_set(error, -EBUSY, "%s: is a physical volume of volume group %s", block->name,
			  owner);
		return error_advise(error, "take it out first: tenon vg reduce");
	}
	if (!rc)
		rc = lvm_write(block, (uint64_t)label.sector * LVM_SECTOR_SIZE, zeroes,
			       sizeof(zeroes), error);
	return rc ? rc : lvm_flush(block, error);
}
