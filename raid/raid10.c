/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID10: chunks go round the members, each in several copies. What it does is in mirror.h, where copies are in
 * raid10_geometry.h.
 *
 * Resync, check and the bitmap count in array sectors, and so each chunk is seen once with all of its copies. A
 * recovery counts in those of the member that it fills.
 */
#include <errno.h>
#include <stdlib.h>

#include "raid/mirror.h"
#include "raid/raid10.h"
#include "util/bytes.h"

static int raid10_start(struct raid_array *array, struct error *error)
{
	struct raid10 *r;
	int rc;

	if (!raid_geometry_array_sectors(RAID_LEVEL_10, array->now.layout, array->now.chunk_sectors,
					 array->now.disks, array->now.member_sectors))
		return error_set(error, -EINVAL,
				 "%s: %llu sectors of %u members are no array of this layout",
				 array->block.name, (unsigned long long)array->now.member_sectors,
				 array->now.disks);
	r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(error, -ENOMEM, "out of memory");
	array->level_state = r;
	if (array->reshaping) {
		rc = raid10_reshape_begin(array, error);
		if (rc) {
			free(r);
			array->level_state = NULL;
		}
		return rc;
	}
	r->shape = raid10_shape(&array->now);
	array->sectors = array->sync_sectors = r->shape.sectors;
	/* As the kernel: what no chunk uses is not recovered. */
	array->now.member_sectors = r->shape.member_sectors;
	return 0;
}

static int raid10_resize(struct raid_array *array, struct error *error)
{
	struct raid10 *r = raid10_of(array);

	(void)error;
	r->shape = raid10_shape(&array->now);
	array->sectors = array->sync_sectors = r->shape.sectors;
	array->now.member_sectors = r->shape.member_sectors;
	return 0;
}

static void raid10_stop(struct raid_array *array)
{
	free(array->level_state);
	array->level_state = NULL;
}

/* Chunks come round to the same members after at most so many as there are members. */
static bool shape_survives(const struct raid_geometry *g, const struct raid_set *absent)
{
	const struct raid10_shape shape = raid10_shape(g);

	for (uint32_t i = 0; i < shape.disks; i++) {
		bool any = false;

		for (unsigned k = 0; !any && k < shape.near * shape.far; k++) {
			uint32_t role;

			raid10_place(&shape, (uint64_t)i * shape.chunk, k, &role);
			any = !raid_set_has(absent, role);
		}
		if (!any)
			return false;
	}
	return true;
}

/* In a reshape as far as there are data in either shape. */
static bool raid10_survives(const struct raid_array *array, const struct raid_set *absent)
{
	uint64_t moved;

	if (!array->reshaping)
		return shape_survives(&array->now, absent);
	moved = raid_reshape_moved(array);
	return (!moved || shape_survives(&array->now, absent)) &&
	       (moved >= raid_reshape_whole(array) || shape_survives(&array->before, absent));
}

/* Each part that is moved needs a member. Who is new has all of nothing. */
static bool raid10_can_reshape(const struct raid_array *array, const struct raid_set *absent)
{
	struct raid_set lost = { 0 };

	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (raid_set_has(absent, i) &&
		    (raid_reshape_moved(array) || i < array->before.disks))
			raid_set_add(&lost, i);
	}
	return shape_survives(&array->now, &lost);
}

static bool raid10_agrees(const struct raid_array *array)
{
	return !array->reshaping && mirror_agrees(array);
}

/* A stripe of chunks, so that all members have work. */
static void raid10_limits(struct raid_array *array)
{
	const struct raid10_shape *shape = &raid10_of(array)->shape;
	uint64_t chunk = (uint64_t)shape->chunk << MD_SECTOR_SHIFT;
	uint64_t stripe =
		chunk * (shape->disks % shape->near ? shape->disks : shape->disks / shape->near);

	array->block.preferred_io_size = (uint32_t)MIN(stripe, UINT32_MAX);
}

static uint64_t raid10_sync_sector(const struct raid_array *array, const struct raid_member *member,
				   uint64_t sector, uint64_t *count)
{
	const struct raid10_shape *shape = &raid10_of(array)->shape;
	uint64_t found = raid10_find(shape, (uint32_t)member->role, sector);

	*count = MIN(*count, shape->chunk - sector % shape->chunk);
	return found < array->sectors ? found : UINT64_MAX;
}

const struct raid_level_ops raid10_ops = {
	.level = RAID_LEVEL_10,
	.start = raid10_start,
	.resize = raid10_resize,
	.stop = raid10_stop,
	.limits = raid10_limits,
	.survives = raid10_survives,
	.agrees = raid10_agrees,
	.holds_alone = mirror_holds_alone,
	.readv = raid10_readv,
	.write = raid10_write,
	.start_transfer = raid10_start_transfer,
	.status = raid10_status,
	.sync_buffers = mirror_sync_buffers,
	.sync_sector = raid10_sync_sector,
	.sync = mirror_sync,
	.check_reshape = raid10_reshape_check,
	.begin_reshape = raid10_reshape_begin,
	.can_reshape = raid10_can_reshape,
	.reshape = raid10_reshape_part,
};
