/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The size of a group's extents is changed, as `vgchange --physicalextentsize` does: every byte stays where it is, and is counted
 * anew. All that is counted in extents must be whole numbers of the new ones.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "volume/change.h"
#include "volume/lvm_io.h"
#include "volume/segment_raid.h"

#define SECTOR 512
#define LEAST  512u
#define STEP   (128u << 10) /* of sizes that are no power of two */

struct resizing {
	struct change *change;
	struct volume_group *group;
	uint64_t old, new;
	struct error *error;
};

int lvm_extent_size_check(uint64_t size, struct error *error)
{
	return size >= LEAST && size / SECTOR <= UINT32_MAX &&
			       (is_power_of_two(size) || size % STEP == 0)
		       ? 0
		       : error_set(error, -EINVAL,
				   "extent size is %llu, expected a power of two from 512 or a "
				   "multiple of 128 KiB",
				   (unsigned long long)size);
}

/* Old extents in new ones; false: they are no whole number of these, or too many. */
static bool recount(const struct resizing *resizing, uint32_t *extents)
{
	uint64_t bytes, count;

	if (__builtin_mul_overflow(resizing->old, *extents, &bytes) || bytes % resizing->new)
		return false;
	count = bytes / resizing->new;
	if (count > UINT32_MAX)
		return false;
	*extents = (uint32_t)count;
	return true;
}

static int fail_fit(const struct resizing *resizing, const char *what, uint64_t extents)
{
	char was[SIZE_TEXT], new[SIZE_TEXT];

	return error_set(resizing->error, -EINVAL,
			 "volume group %s: %s: %llu extents of %s are no whole number of extents "
			 "of %s that can be counted",
			 resizing->group->name, what, (unsigned long long)extents,
			 size_format(resizing->old, was), size_format(resizing->new, new));
}

static int plan_pv(struct resizing *resizing, struct volume_pv *pv)
{
	uint32_t was = pv->extent_count;

	if (resizing->new % pv->block->logical_block_size)
		return error_set(resizing->error, -EINVAL,
				 "%s: has logical blocks of %u bytes, extents of %llu would not be "
				 "whole numbers of them",
				 pv->block->name, pv->block->logical_block_size,
				 (unsigned long long)resizing->new);
	if (change_keep_pv(resizing->change, pv))
		return change_no_memory(resizing->group, resizing->error);
	if (!recount(resizing, &pv->extent_count))
		return fail_fit(resizing, pv->block->name, was);
	return 0;
}

/* Of RAID: its images have what they had, and the room in them for reshapes is counted, too. `was`: its extents before. -ENOMEM, or
 * -EINVAL where it does not fit. */
static int plan_raid(const struct resizing *resizing, struct volume_segment *segment, uint32_t was)
{
	struct lvm_config *memory = &resizing->group->private->memory;
	const struct lvm_raid *before = segment->private->raid;
	struct volume_segment_private *private = lvm_config_alloc(memory, sizeof(*private));
	struct lvm_raid *raid = lvm_config_alloc(memory, sizeof(*raid));
	uint32_t image = lvm_raid_image_extents(before, segment->area_count, was);

	if (!raid || !private)
		return -ENOMEM;
	*raid = *before;
	*private = *segment->private;
	private->raid = raid;
	segment->private = private;
	if (!recount(resizing, &raid->room) || !recount(resizing, &image))
		return -EINVAL;
	return lvm_raid_image_extents(raid, segment->area_count, segment->extent_count) == image
		       ? 0
		       : -EINVAL;
}

static bool is_raid(const struct volume_segment *segment)
{
	return segment->private->type == &lvm_segment_raid;
}

static int plan_segment(struct resizing *resizing, const struct volume_lv *lv,
			struct volume_segment *segment)
{
	struct volume_area *areas = lvm_config_alloc(&resizing->group->private->memory,
						     segment->area_count * sizeof(*areas) + 1);
	uint32_t was = segment->extent_count;
	bool fits = recount(resizing, &segment->start_extent) &&
		    recount(resizing, &segment->extent_count);
	int rc = 0;

	if (!areas)
		return change_no_memory(resizing->group, resizing->error);
	memcpy(areas, segment->areas, segment->area_count * sizeof(*areas));
	for (unsigned i = 0; i < segment->area_count; i++)
		fits = fits && recount(resizing, &areas[i].extent);
	segment->areas = areas;
	if (is_raid(segment))
		rc = plan_raid(resizing, segment, was);
	else
		fits = fits && segment->extent_count % segment->area_count == 0;
	if (rc == -ENOMEM)
		return change_no_memory(resizing->group, resizing->error);
	return fits && !rc ? 0 : fail_fit(resizing, lv->name, lv->extent_count);
}

/* Others count extents in keys of their own. */
static int check_lv(const struct resizing *resizing, const struct volume_lv *lv)
{
	const char *group = resizing->group->name;

	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		if (segment->private->type != &lvm_segment_striped && !is_raid(segment)) {
			error_set(resizing->error, -EOPNOTSUPP,
				  "%s/%s: is of type %s; the extents of a group change their size "
				  "only where all volumes are linear, striped or RAID",
				  group, lv->name, volume_lv_type(lv));
			return error_advise(resizing->error,
					    "LVM2 may be able to: vgchange --physicalextentsize");
		}
		if (is_raid(segment) && lvm_raid_is_to_begin(segment))
			return error_set(resizing->error, -EBUSY,
					 "%s/%s: a reshape of it is to begin", group, lv->name);
		if (segment->area_count > 1 && segment->stripe_size > resizing->new)
			return error_set(resizing->error, -EINVAL,
					 "%s/%s: has stripes of %u bytes, extents would be smaller "
					 "than these",
					 group, lv->name, segment->stripe_size);
	}
	return change_check_closed(resizing->group, lv, resizing->error);
}

static int plan_lv(struct resizing *resizing, struct volume_lv *lv)
{
	struct volume_group *group = resizing->group;
	struct volume_segment *segments;
	uint32_t was = lv->extent_count;
	int rc = check_lv(resizing, lv);

	if (rc)
		return rc;
	segments = lvm_config_alloc(&group->private->memory,
				    lv->segment_count * sizeof(*segments) + 1);
	if (!segments || change_keep_lv(resizing->change, lv))
		return change_no_memory(group, resizing->error);
	memcpy(segments, lv->segments, lv->segment_count * sizeof(*segments));
	lv->segments = segments;
	for (unsigned i = 0; !rc && i < lv->segment_count; i++)
		rc = plan_segment(resizing, lv, &segments[i]);
	if (!rc && !recount(resizing, &lv->extent_count))
		rc = fail_fit(resizing, lv->name, was);
	return rc;
}

int change_set_extent_size(struct change *change, uint64_t size, struct error *error)
{
	struct volume_group *group = change->group;
	struct resizing resizing = { change, group, group->extent_size, size, error };
	uint64_t extents = 0;
	int rc = lvm_extent_size_check(size, error);

	for (unsigned i = 0; !rc && i < group->pv_count; i++) {
		rc = plan_pv(&resizing, group->pvs[i]);
		extents += group->pvs[i]->extent_count;
	}
	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		rc = plan_lv(&resizing, group->lvs[i]);
	if (rc)
		return rc;
	group->extent_size = size;
	group->private->extent_sectors = size / SECTOR;
	group->extent_count = extents;
	return 0;
}
