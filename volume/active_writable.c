/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a volume can be opened for writing: what it lies on can be written to, and it is none that is only read here. */
#include <errno.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/mirror.h"
#include "volume/segment_raid.h"

/* A device that was opened for reading, or one that became shorter: who writes on to what is left of it
 * makes the loss harder to mend. Not so where nothing is lost: what an array has there is all here, or it does without. */
static int check_pv_writable(const struct volume_group *group, const struct volume_lv *lv,
			     const struct volume_pv *pv, struct error *error)
{
	uint64_t end = lvm_pv_end(group, pv);

	if (pv->block->read_only)
		return error_set(error, -EROFS, "%s/%s: %s is open for reading only", group->name,
				 lv->name, pv->block->name);
	if (pv->block->size < end && !lv->private->of_array)
		return error_set(error, -EROFS,
				 "%s/%s: opens for reading only: %s has %llu bytes, PV %s on it "
				 "must have %llu again",
				 group->name, lv->name, pv->block->name,
				 (unsigned long long)pv->block->size, pv->uuid,
				 (unsigned long long)MAX(end, pv->device_size));
	return 0;
}

/* Volumes below one that are looked at: metadata may have each many times over, and then there is no end of ways down. */
#define BELOW_MAX (1u << 16)

struct write_check {
	const struct volume_group *group;
	unsigned left;
	struct error *error;
};

static int check_lv_writable(struct write_check *check, const struct volume_lv *lv);

/* What is lost of an array is not written to. */
static int check_part_writable(struct write_check *check, const struct volume_lv *part)
{
	return lvm_raid_part_lost(part) ? 0 : check_lv_writable(check, part);
}

static int check_area_writable(struct write_check *check, const struct volume_lv *lv,
			       const struct volume_segment *segment, unsigned number)
{
	const struct volume_area *area = &segment->areas[number];
	int rc;

	if (area->pv)
		return check_pv_writable(check->group, lv, area->pv, check->error);
	if (!segment->private->type->redundant)
		return check_lv_writable(check, area->lv);
	rc = check_part_writable(check, area->lv);
	return rc || !segment->metas ? rc : check_part_writable(check, segment->metas[number].lv);
}

static int fail_mirror(const struct volume_group *group, const struct volume_lv *lv,
		       struct error *error)
{
	error_set(
		error, -EROFS,
		"%s/%s: opens for reading only: its type is mirror, lvm2's older one, which is not "
		"written to here",
		group->name, lv->name);
	return error_advise(error, "`tenon lv convert %s/%s --type raid1` makes of it what is",
			    group->name, lv->name);
}

/* Were it told by superblocks alone, lvm2 would take it for one that it has to begin once more. */
static int fail_begun(const struct volume_group *group, const struct volume_lv *lv,
		      struct error *error)
{
	error_set(
		error, -EROFS,
		"%s/%s: opens for reading only: a reshape of it was to begin when the power went, "
		"or who began it was ended",
		group->name, lv->name);
	return error_advise(error, "`tenon lv repair %s/%s` begins it, and goes on with it",
			    group->name, lv->name);
}

static int check_lv_writable(struct write_check *check, const struct volume_lv *lv)
{
	const struct volume_segment *raid = lvm_lv_raid(lv);
	int rc = lvm_lv_mirror(lv) ? fail_mirror(check->group, lv, check->error) : 0;

	if (raid && lvm_raid_is_to_begin(raid) && !lv->private->may_begin)
		rc = fail_begun(check->group, lv, check->error);

	if (!rc && !check->left--)
		rc = error_set(check->error, -EOPNOTSUPP,
			       "%s/%s: opens for reading only: is below another too many times",
			       check->group->name, lv->name);
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; !rc && k < lv->segments[i].area_count; k++)
			rc = check_area_writable(check, lv, &lv->segments[i], k);
	return rc;
}

int lvm_active_check_writable(const struct volume_group *group, const struct volume_lv *lv,
			      struct error *error)
{
	struct write_check check = { .group = group, .left = BELOW_MAX, .error = error };

	return check_lv_writable(&check, lv);
}
