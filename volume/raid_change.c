/* SPDX-License-Identifier: BSD-2-Clause */
/* RAID volumes that are removed, renamed, made larger or smaller: with all of their parts. */
#include "volume/raid_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/mirror.h"

static bool is_part_of(const struct volume_lv *lv, const struct volume_lv *part)
{
	const struct volume_segment *segment = lv ? lvm_lv_raid(lv) : NULL;

	for (unsigned i = 0; segment && i < segment->area_count; i++)
		if (segment->areas[i].lv == part ||
		    (segment->metas && segment->metas[i].lv == part))
			return true;
	return false;
}

int lvm_raid_check_part_names(const struct volume_group *group, const char *name,
			      const struct volume_lv *lv, unsigned images, struct error *error)
{
	static const char *const kinds[] = { "rimage", "rmeta" };
	char part[LVM_RAID_NAME];

	for (unsigned i = 0; i < images; i++)
		for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
			const struct volume_lv *other;

			snprintf(part, sizeof(part), "%s_%s_%u", name, kinds[k], i);
			other = volume_group_get_lv(group, part);
			if (other && !is_part_of(lv, other))
				return error_set(error, -EEXIST, "%s/%s: exists already",
						 group->name, part);
		}
	return lvm_lv_dm_name_check(group, part, error);
}

int lvm_raid_drop(struct change *change, struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);
	int rc = change_drop_lv(change, lv);

	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		if (segment->metas)
			rc = change_drop_lv(change, segment->metas[i].lv);
		if (!rc)
			rc = change_drop_lv(change, segment->areas[i].lv);
	}
	return rc;
}

struct volume_segment *lvm_raid_copy_segment(struct volume_group *group, struct volume_lv *lv)
{
	struct lvm_config *memory = &group->private->memory;
	size_t size = lv->segments->area_count * sizeof(struct volume_area);
	struct volume_segment *segment = lvm_config_alloc(memory, sizeof(*segment));

	if (!segment)
		return NULL;
	*segment = *lv->segments;
	segment->areas = lvm_config_alloc(memory, size);
	segment->metas = segment->metas ? lvm_config_alloc(memory, size) : NULL;
	if (!segment->areas || (lv->segments->metas && !segment->metas))
		return NULL;
	memcpy(segment->areas, lv->segments->areas, size);
	if (segment->metas)
		memcpy(segment->metas, lv->segments->metas, size);
	lv->segments = segment;
	return segment;
}

/* ---- Whether it is whole ---- */

/* Not by their names: what is in use keeps those that it had when it was opened. */
const struct raid_member_status *lvm_raid_member(const struct raid_status *status, unsigned place)
{
	for (unsigned i = 0; i < status->member_count; i++)
		if (status->members[i].dev_number == place)
			return &status->members[i];
	return NULL;
}

bool lvm_raid_is_in_sync(const struct raid_status *status, unsigned place)
{
	const struct raid_member_status *member = lvm_raid_member(status, place);

	return member && member->state == RAID_MEMBER_IN_SYNC;
}

int lvm_raid_check_in_sync(const struct volume_group *group, const struct volume_lv *lv,
			   const bool *gone, struct error *error)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);
	struct raid_array *array = lvm_active_raid(lv);
	struct raid_status status;
	int rc = 0;

	if (!array)
		return error_set(error, -EIO, "%s/%s: its array does not run", group->name,
				 lv->name);
	raid_status(array, &status);
	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		if (!(gone && gone[i]) && !lvm_raid_is_in_sync(&status, i))
			rc = error_set(error, -EBUSY, "%s/%s: its image %s%s has not all data yet",
				       group->name, lv->name, segment->areas[i].lv->name,
				       gone ? ", which is to stay," : "");
	if (!rc && !status.agree)
		rc = error_set(error, -EBUSY, "%s/%s: its images do not agree yet", group->name,
			       lv->name);
	raid_status_free(&status);
	if (rc)
		error_advise(error, "`tenon lv repair %s/%s` waits until they do", group->name,
			     lv->name);
	return rc;
}

/* ---- Rename ---- */

/* A part that has another name than it should keeps it. */
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
	/* A mirror's log may be a mirror. */
	rc = lvm_lv_mirror(part) ? lvm_raid_rename(change, part, name, error) : 0;
	if (rc)
		return rc;
	part->name = lvm_vg_string(group, name);
	if (!part->name)
		return change_no_memory(group, error);
	area->lv_name = part->name;
	return 0;
}

int lvm_raid_rename(struct change *change, struct volume_lv *lv, const char *new_name,
		    struct error *error)
{
	struct volume_segment *segment = lvm_raid_copy_segment(change->group, lv);
	int rc = lvm_raid_refuse_tracked(change->group, lv, error);

	if (rc)
		return rc;
	if (!segment)
		return change_no_memory(change->group, error);
	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		rc = rename_part(change, lv->name, new_name, &segment->areas[i], error);
		if (!rc && segment->metas)
			rc = rename_part(change, lv->name, new_name, &segment->metas[i], error);
	}
	return rc;
}

int lvm_raid_name_part(struct change *change, const char *lv, struct volume_lv *part,
		       const char *kind, unsigned number)
{
	char name[LVM_RAID_NAME];

	snprintf(name, sizeof(name), "%s_%s_%u", lv, kind, number);
	if (!strcmp(part->name, name))
		return 0;
	if (change_keep_lv(change, part))
		return -ENOMEM;
	part->name = lvm_vg_string(change->group, name);
	lvm_index_forget(change->group);
	return part->name ? 0 : -ENOMEM;
}

/* ---- Another size ---- */

int lvm_raid_refuse_reshaped(const struct volume_group *group, const struct volume_lv *lv,
			     struct error *error)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	if (!segment || (!segment->private->raid->room && !segment->private->raid->begins &&
			 !segment->private->flags))
		return 0;
	error_set(error, -EBUSY,
		  "%s/%s: is reshaped, or keeps the room that a reshape needed, %u extents of each "
		  "image",
		  group->name, lv->name, segment->private->raid->room);
	return error_advise(error,
			    "once a reshape is at its end (`tenon lv repair %s/%s` waits for it), "
			    "`tenon lv convert %s/%s --type %s` gives the room back",
			    group->name, lv->name, group->name, lv->name, segment->type);
}

static int check_image(const struct volume_group *group, const struct volume_lv *image,
		       struct error *error)
{
	const struct volume_segment *last = &image->segments[image->segment_count - 1];

	return last->area_count == 1 && last->areas->pv
		       ? 0
		       : error_set(error, -EOPNOTSUPP, "%s/%s: is not linear, and cannot grow",
				   group->name, image->name);
}

static int find_ends(const struct volume_group *group, const struct volume_segment *segment,
		     unsigned images, struct allocate_place *ends, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < images; i++) {
		const struct volume_lv *image = segment->areas[i].lv;
		const struct volume_segment *last = &image->segments[image->segment_count - 1];

		rc = check_image(group, image, error);
		if (!rc)
			ends[i] = (struct allocate_place){
				.pv = last->areas->pv->private->index,
				.extent = last->areas->extent + last->extent_count,
			};
	}
	return rc;
}

/* Each image where it is, on its own PV. */
static int grow_images(struct change *change, const struct volume_segment *segment, unsigned images,
		       uint32_t more, const struct volume_lv_options *options, struct error *error)
{
	struct volume_group *group = change->group;
	struct allocate_place ends[256];
	struct allocate_wish wish = {
		.extents = more * images, .stripes = images, .policy = ALLOCATE_CLING, .after = ends
	};
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	struct allocate_result places = { 0 };
	size_t count;
	int rc = find_ends(group, segment, images, ends, error);

	if (rc)
		return rc;
	rc = change_find_free(group, options,
			      segment->areas->lv->segments->areas->pv->block->logical_block_size,
			      &gaps, &count);
	if (!rc)
		rc = (uint64_t)more * images > UINT32_MAX
			     ? -ENOSPC
			     : allocate_extents(gaps, count, &wish, &places);
	if (rc == -ENOSPC)
		return error_set(error, rc,
				 "volume group %s: each of %u images needs %u more extents on the "
				 "PV that it is on, which do not fit",
				 group->name, images, more);
	for (unsigned i = 0; !rc && i < images; i++) {
		rc = change_keep_lv(change, segment->areas[i].lv);
		if (!rc)
			rc = lvm_raid_give(group, &places, images, i, NULL, 0,
					   segment->areas[i].lv);
	}
	allocate_result_free(&places);
	return rc ? change_no_memory(group, error) : 0;
}

int lvm_raid_grow_images(struct change *change, const struct volume_segment *segment,
			 unsigned images, uint32_t more, struct error *error)
{
	return grow_images(change, segment, images, more, NULL, error);
}

static int shrink_images(struct change *change, const struct volume_segment *segment,
			 uint32_t extents, struct error *error)
{
	for (unsigned i = 0; i < segment->area_count; i++) {
		struct volume_lv *image = segment->areas[i].lv;

		if (check_image(change->group, image, error))
			return -EOPNOTSUPP;
		if (change_keep_lv(change, image) || change_shrink(change->group, image, extents))
			return change_no_memory(change->group, error);
	}
	return 0;
}

int lvm_raid_resize(struct change *change, struct volume_lv *lv, uint64_t size,
		    const struct volume_lv_options *options, struct error *error)
{
	struct volume_group *group = change->group;
	const struct lvm_raid *raid = lv->segments->private->raid;
	struct volume_segment *segment = lvm_raid_copy_segment(group, lv);
	unsigned data = lvm_raid_data_images(raid, lv->segments->area_count);
	uint32_t extents, before, after;
	int rc = lvm_raid_refuse_reshaped(group, lv, error);

	if (!rc)
		rc = lvm_raid_refuse_tracked(group, lv, error);
	if (!rc)
		rc = change_wanted_extents(group, lv->name, size, data, &extents, error);

	if (rc)
		return rc;
	if (!segment)
		return change_no_memory(group, error);
	if (extents == lv->extent_count)
		return 0;
	before = segment->areas->lv->extent_count;
	after = lvm_raid_image_extents(raid, segment->area_count, extents);
	if (extents < lv->extent_count)
		rc = change_check_closed(group, lv, error);
	if (!rc && after > before)
		rc = grow_images(change, segment, segment->area_count, after - before, options,
				 error);
	else if (!rc && after < before)
		rc = shrink_images(change, segment, after, error);
	if (rc)
		return rc;
	segment->extent_count = extents;
	lv->extent_count = extents;
	lv->size = extents * group->extent_size;
	return 0;
}

/* ---- Reshapes ---- */

int lvm_raid_set_flags(struct change *change, struct volume_lv *part, const char *flags)
{
	struct lvm_config *memory = &change->group->private->memory;
	size_t size = part->segment_count * sizeof(*part->segments);
	struct volume_segment *segments = lvm_config_alloc(memory, size);

	if (!segments || change_keep_lv(change, part))
		return -ENOMEM;
	memcpy(segments, part->segments, size);
	for (unsigned i = 0; i < part->segment_count; i++) {
		struct volume_segment_private *private = lvm_config_alloc(memory, sizeof(*private));

		if (!private)
			return -ENOMEM;
		*private = *segments[i].private;
		private->flags = flags;
		segments[i].private = private;
	}
	part->segments = segments;
	return 0;
}

int lvm_raid_forget_beginning(struct change *change, struct volume_lv *lv)
{
	struct lvm_config *memory = &change->group->private->memory;
	struct volume_segment_private *private = lvm_config_alloc(memory, sizeof(*private));
	struct lvm_raid *raid = lvm_config_alloc(memory, sizeof(*raid));
	struct volume_segment *segment;
	int rc = 0;

	if (!private || !raid || change_keep_lv(change, lv))
		return -ENOMEM;
	segment = lvm_raid_copy_segment(change->group, lv);
	if (!segment)
		return -ENOMEM;
	*private = *segment->private;
	*raid = *private->raid;
	raid->begins = false;
	private->raid = raid;
	segment->private = private;
	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		const char *flags = lvm_raid_removed(segment, i) ? "+REMOVE_AFTER_RESHAPE" : NULL;

		rc = lvm_raid_set_flags(change, segment->areas[i].lv, flags);
		if (!rc && segment->metas)
			rc = lvm_raid_set_flags(change, segment->metas[i].lv, flags);
	}
	return rc;
}
