/* SPDX-License-Identifier: BSD-2-Clause */
/* Growing and shrinking logical volumes. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/mirror.h"
#include "volume/raid_change.h"

/* Cuts segments to `extents`, in a new array. */
int change_shrink(struct volume_group *group, struct volume_lv *lv, uint32_t extents)
{
	struct volume_segment *segments =
		lvm_config_alloc(&group->private->memory, lv->segment_count * sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	memcpy(segments, lv->segments, lv->segment_count * sizeof(*segments));
	while (segments[lv->segment_count - 1].start_extent >= extents)
		lv->segment_count--;
	segments[lv->segment_count - 1].extent_count =
		extents - segments[lv->segment_count - 1].start_extent;
	lv->segments = segments;
	lv->extent_count = extents;
	lv->size = extents * group->extent_size;
	return 0;
}

/* The last segment that a shrunken volume keeps a part of must divide into its stripes: rounds up. */
static uint32_t round_to_stripes(const struct volume_lv *lv, uint32_t extents)
{
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];
		uint32_t within = extents - segment->start_extent;

		if (extents <= segment->start_extent || within >= segment->extent_count)
			continue;
		return extents +
		       (segment->area_count - within % segment->area_count) % segment->area_count;
	}
	return extents;
}

struct growth {
	struct volume_group *group;
	struct volume_lv *lv;
	uint32_t more;
	const struct volume_lv_options *options;
	struct error *error;
};

/* Computes; see lvm_vg_compute(). */
static int grow(void *arg)
{
	const struct growth *growth = arg;
	const struct volume_segment *last = &growth->lv->segments[growth->lv->segment_count - 1];

	return change_grow(growth->group, growth->lv, growth->more, last->area_count,
			   last->stripe_size, growth->options, growth->error);
}

static int resize(struct volume_group *group, struct volume_lv *lv, uint64_t size,
		  const struct volume_lv_options *options, struct error *error)
{
	const struct volume_segment *last = &lv->segments[lv->segment_count - 1];
	uint32_t extents, more;
	int rc = change_wanted_extents(group, lv->name, size, 1, &extents, error);

	if (rc)
		return rc;
	if (extents <= lv->extent_count) {
		extents = round_to_stripes(lv, extents);
		if (extents == lv->extent_count)
			return 0;
		rc = change_check_closed(group, lv, error);
		if (!rc && change_shrink(group, lv, extents))
			rc = change_no_memory(group, error);
		return rc;
	}
	if (last->area_count > CHANGE_STRIPES_MAX)
		return error_set(error, -EOPNOTSUPP, "%s/%s: has %u stripes, at most %u can grow",
				 group->name, lv->name, last->area_count, CHANGE_STRIPES_MAX);
	more = extents - lv->extent_count;
	if (more % last->area_count)
		more += last->area_count - more % last->area_count;
	return lvm_vg_compute(group, grow, &(struct growth){ group, lv, more, options, error });
}

/* ---- What a RAID volume is given counts as in sync ---- */

/* While it is closed: its array would fill what is new from the commit on. The group says as lvm2's does that its images need not agree. */
static int plan_no_sync(struct change *change, struct volume_lv *lv, uint32_t old,
			struct error *error)
{
	const struct volume_group *group = change->group;
	const struct volume_segment *raid = lvm_lv_raid(lv);

	if (!raid || !raid->private->raid->kind->level)
		return error_set(error, -EINVAL,
				 "%s/%s: is %s, of which nothing is synchronized; leave out "
				 "--nosync",
				 group->name, lv->name, volume_lv_type(lv));
	if (raid->private->raid->kind->level == 6)
		return error_set(error, -EINVAL,
				 "%s/%s: raid6 is synchronized before it is of use; leave out "
				 "--nosync",
				 group->name, lv->name);
	if (lv->extent_count < old)
		return error_set(error, -EINVAL, "%s/%s: --nosync is about what a volume is given",
				 group->name, lv->name);
	if (change_check_closed(group, lv, error))
		return -EBUSY;
	return change_set_flag(change->group, &lv->private->status, "NOTSYNCED", true)
		       ? change_no_memory(change->group, error)
		       : 0;
}

/* Superblocks say it. Where that fails, or the power goes before, what is new is synchronized all the same. */
static int settle_no_sync(struct volume_group *group, struct volume_lv *lv, uint32_t old,
			  struct error *error)
{
	const struct volume_segment *raid = lvm_lv_raid(lv);
	CLEANUP_BLOCK struct block *block = NULL;
	int rc;

	lv->private->grown_in_sync =
		lvm_raid_image_extents(raid->private->raid, raid->area_count, old) *
		group->extent_size;
	rc = lvm_active_open(group, lv, true, &block, error);
	lv->private->grown_in_sync = 0;
	if (!rc)
		return 0;
	error_prefix(error, "%s/%s: is larger now, and what is new is synchronized all the same",
		     group->name, lv->name);
	return rc;
}

int volume_lv_resize(struct volume_group *group, const char *name, uint64_t size,
		     const struct volume_lv_options *options, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct volume_lv *lv;
	uint32_t old;
	int rc;

	change_begin(&change, group);
	rc = change_find_lv_or_raid(group, name, &lv, error);
	if (rc)
		return rc;
	if (lvm_lv_mirror(lv)) {
		error_set(error, -EOPNOTSUPP,
			  "%s/%s: its type is mirror, lvm2's older one, which gets no other size "
			  "here",
			  group->name, lv->name);
		return error_advise(error,
				    "`tenon lv convert %s/%s --type raid1` makes of it what does",
				    group->name, lv->name);
	}
	old = lv->extent_count;
	if (change_keep_lv(&change, lv))
		return change_no_memory(group, error);
	rc = lvm_lv_raid(lv) ? lvm_raid_resize(&change, lv, size, options, error)
			     : resize(group, lv, size, options, error);
	if (!rc && lv->extent_count == old)
		return lvm_vg_unchanged(group, error);
	if (!rc && options && options->no_sync)
		rc = plan_no_sync(&change, lv, old, error);
	if (!rc)
		rc = change_commit(&change, error);
	return rc || !options || !options->no_sync ? rc : settle_no_sync(group, lv, old, error);
}
