/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lvm2 accepts of volumes and their parts: check_lv_segments() (lib/metadata/merge.c), and what its readers of segments look up.
 * See validate.c.
 */
#include <errno.h>
#include <string.h>

#include "util/error.h"
#include "volume/lvm_vg.h"
#include "volume/segment_raid.h"

/* What a segment lies on is there. */
static int check_areas(const struct volume_group *group, const struct volume_lv *lv,
		       const struct volume_segment *segment, struct error *error)
{
	for (unsigned i = 0; i < segment->area_count; i++) {
		const struct volume_area *areas[] = { &segment->areas[i],
						      segment->metas ? &segment->metas[i] : NULL };

		for (unsigned k = 0; k < 2 && areas[k]; k++)
			if (areas[k]->lv_name && !areas[k]->lv)
				return error_set(error, -EINVAL,
						 "%s/%s: lies on %.128s, which is no PV and no "
						 "volume of the group",
						 group->name, lv->name, areas[k]->lv_name);
	}
	return 0;
}

static int check_part(const struct volume_group *group, const struct volume_lv *lv,
		      const struct volume_lv *part, struct error *error)
{
	return part && part->visible
		       ? error_set(error, -EINVAL,
				   "%s/%s: its part %s is visible, expected a hidden volume",
				   group->name, lv->name, part->name)
		       : 0;
}

static int check_raid(const struct volume_group *group, const struct volume_lv *lv,
		      const struct volume_segment *segment, struct error *error)
{
	uint64_t region = segment->private->raid->region / 512;
	unsigned tracked = 0;
	const struct volume_lv *first = segment->areas[0].lv;
	int rc = 0;

	if (region & (region - 1))
		return error_set(error, -EINVAL,
				 "%s/%s: its region size is %llu sectors, expected a power of two",
				 group->name, lv->name, (unsigned long long)region);
	for (unsigned i = 0; !rc && i < segment->area_count; i++) {
		const struct volume_lv *image = segment->areas[i].lv;

		/* One of a mirror may be split off for a while; it is not written to. */
		if (!image || !image->visible || image->writable || tracked++ ||
		    segment->private->raid->kind->level != 1)
			rc = check_part(group, lv, image, error);
		if (!rc && segment->metas)
			rc = check_part(group, lv, segment->metas[i].lv, error);
		if (!rc && first && image && image->extent_count != first->extent_count)
			rc = error_set(error, -EINVAL,
				       "%s/%s: its image %s has %u extents, %s has %u; expected "
				       "the same",
				       group->name, lv->name, image->name, image->extent_count,
				       first->name, first->extent_count);
	}
	return rc;
}

static int check_mirror(const struct volume_group *group, const struct volume_lv *lv,
			const struct volume_segment *segment, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < segment->area_count; i++)
		rc = check_part(group, lv, segment->areas[i].lv, error);
	return rc;
}

int lvm_lv_validate(const struct volume_group *group, const struct volume_lv *lv,
		    struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];

		rc = check_areas(group, lv, segment, error);
		if (!rc && segment->private->mirror)
			rc = check_mirror(group, lv, segment, error);
		if (!rc && segment->private->raid && segment->area_count)
			rc = check_raid(group, lv, segment, error);
	}
	return rc;
}
