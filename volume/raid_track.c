/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image of a mirror that is split off for a while, as `lvconvert --splitmirrors 1 --trackchanges` and `--merge` do it: for a backup of how
 * it was. In the metadata it stays an image of the array, and is a visible volume that is not written to.
 *
 *	hidden		an image as all others
 *	visible		left out of the array, which notes in its bitmap what the image misses; read by itself
 *
 * Why no crash loses data. A commit is all there is to both. In between superblocks of the others call the image failed from their first write
 * on, and it does not change: when it is hidden again it is one that slept, and gets what the bitmap has for it, or everything. One that is
 * hidden before the array was written to has missed nothing.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "raid/raid.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/raid_change.h"
#include "volume/raid_convert.h"
#include "volume/volume_raid.h"

bool lvm_raid_tracked(const struct volume_area *area)
{
	return area->lv && area->lv->visible;
}

/* The image that is split off, or NULL. */
static struct volume_lv *tracked_of(const struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	for (unsigned i = 0; segment && i < segment->area_count; i++)
		if (lvm_raid_tracked(&segment->areas[i]))
			return segment->areas[i].lv;
	return NULL;
}

/* Of one that is lost there is nothing to put back: it is replaced as any other. */
static bool is_lost(const struct volume_lv *lv, const struct volume_lv *image)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	for (unsigned i = 0; i < segment->area_count; i++)
		if (segment->areas[i].lv == image)
			return lvm_raid_part_lost(image) ||
			       lvm_raid_part_lost(segment->metas[i].lv);
	return false;
}

int lvm_raid_refuse_tracked(const struct volume_group *group, const struct volume_lv *lv,
			    struct error *error)
{
	const struct volume_lv *image = tracked_of(lv);

	if (!image || is_lost(lv, image))
		return 0;
	error_set(error, -EBUSY, "%s/%s: its image %s is split off, and what it misses is noted",
		  group->name, lv->name, image->name);
	return error_advise(error, "first put it back: `tenon lv convert %s/%s --merge`",
			    group->name, image->name);
}

int lvm_raid_check_tracked_closed(const struct volume_group *group, const struct volume_lv *lv,
				  struct error *error)
{
	const struct volume_lv *image = tracked_of(lv);

	return image ? change_check_closed(group, image, error) : 0;
}

/* ---- Off ---- */

static bool is_on(const struct volume_lv *image, struct volume_pv *const *pvs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (lvm_lv_lies_on(image, pvs[i]))
			return true;
	return !count;
}

static int check_mirror(const struct volume_group *group, const struct volume_lv *lv,
			struct error *error)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);
	int rc;

	if (!segment || segment->private->raid->kind->level != 1)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: its type is %s; an image is split from raid1 only",
				 group->name, lv->name, volume_lv_type(lv));
	if (segment->area_count < 2)
		return error_set(error, -EINVAL,
				 "%s/%s: has one image, and nothing of it would be left",
				 group->name, lv->name);
	rc = lvm_raid_refuse_tracked(group, lv, error);
	return rc ? rc : lvm_raid_refuse_reshaped(group, lv, error);
}

/* The last one, as lvm2 takes them, of those on these PVs. */
static int choose(const struct volume_group *group, const struct volume_lv *lv,
		  struct volume_pv *const *pvs, unsigned count, struct volume_lv **out,
		  struct error *error)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	for (unsigned i = segment->area_count; i-- > 0;) {
		*out = segment->areas[i].lv;
		if (is_on(*out, pvs, count))
			return 0;
	}
	return error_set(error, -EINVAL, "%s/%s: none of its images is on the devices named",
			 group->name, lv->name);
}

/* What is to be read from the others where that can be stays so. */
static unsigned add_preference(const struct volume_lv *image, const char **status, unsigned count)
{
	if (lvm_strings_contain(&image->private->status, "WRITEMOSTLY"))
		status[count++] = "WRITEMOSTLY";
	return count;
}

static int commit_off(struct volume_group *group, struct volume_lv *lv, struct volume_lv *image,
		      struct error *error)
{
	const char *status[3] = { "READ", "VISIBLE" };
	unsigned count = add_preference(image, status, 2);
	struct lvm_hold hold;
	struct change change;
	int rc = lvm_active_hold(lv, &hold, error);

	change_begin(&change, group);
	if (!rc)
		rc = lvm_raid_check_in_sync(group, lv, NULL, error);
	/* What is kept last is swapped first: the array lets go of it then. */
	if (!rc && (change_keep_lv(&change, image) ||
		    change_set_strings(group, &image->private->status, status, count) ||
		    change_keep_lv(&change, lv)))
		rc = change_no_memory(group, error);
	if (!rc) {
		image->visible = true;
		image->writable = false;
		rc = change_commit(&change, error);
	}
	change_end(&change);
	lvm_active_release(&hold);
	return rc;
}

int volume_lv_track(struct volume_group *group, const char *name, struct volume_pv *const *pvs,
		    unsigned pv_count, const char **image_name, struct error *error)
{
	CHANGING(group);
	CLEANUP_BLOCK struct block *block = NULL; /* its array runs, and is asked */
	struct volume_lv *lv, *image = NULL;
	int rc = change_find_lv_or_raid(group, name, &lv, error);

	if (!rc)
		rc = check_mirror(group, lv, error);
	if (!rc)
		rc = choose(group, lv, pvs, pv_count, &image, error);
	if (!rc)
		rc = lvm_active_open(group, lv, true, &block, error);
	if (!rc)
		rc = commit_off(group, lv, image, error);
	if (!rc)
		*image_name = image->name;
	return rc;
}

/* ---- And back ---- */

/* The volume that has it as an image. */
static struct volume_lv *owner_of(const struct volume_group *group, const struct volume_lv *image)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		if (tracked_of(group->lvs[i]) == image)
			return group->lvs[i];
	return NULL;
}

static int commit_back(struct volume_group *group, struct volume_lv *lv, struct volume_lv *image,
		       struct error *error)
{
	const char *status[3] = { "READ", "WRITE" };
	unsigned count = add_preference(image, status, 1 + lv->writable);
	struct change change;
	int rc = 0;

	change_begin(&change, group);
	if (change_keep_lv(&change, image) ||
	    change_set_strings(group, &image->private->status, status, count) ||
	    change_keep_lv(&change, lv))
		rc = change_no_memory(group, error);
	if (!rc) {
		image->visible = false;
		image->writable = lv->writable;
		rc = change_commit(&change, error);
	}
	change_end(&change);
	return rc;
}

int volume_lv_merge(struct volume_group *group, const char *name, const char **merged,
		    struct error *error)
{
	CHANGING(group);
	struct volume_lv *image = volume_group_get_lv(group, name), *lv;
	int rc = lvm_vg_check_changeable(group, error);

	if (rc)
		return rc;
	if (!image)
		return error_set(error, -ENOENT, "%s/%.128s: no such volume", group->name, name);
	lv = image->visible ? owner_of(group, image) : NULL;
	if (!lv) {
		error_set(error, -EINVAL, "%s/%s: is no image that is split off and tracked",
			  group->name, image->name);
		return error_advise(error, "`tenon lv convert VG/LV --track-changes` makes one");
	}
	*merged = lv->name;
	rc = change_check_closed(group, image, error);
	return rc ? rc : commit_back(group, lv, image, error);
}
