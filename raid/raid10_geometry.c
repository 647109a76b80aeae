/* SPDX-License-Identifier: BSD-2-Clause */
/* Where RAID10 keeps the copies of a chunk; see raid10_geometry.h. */
#include "raid/raid10_geometry.h"

#include "util/bytes.h"

struct raid10_shape raid10_shape(const struct raid_geometry *g)
{
	struct raid10_shape shape = {
		.disks = g->disks,
		.near = raid10_near_copies(g->layout),
		.far = raid10_far_copies(g->layout),
		.rows = g->layout & RAID10_LAYOUT_OFFSET,
		.chunk = g->chunk_sectors,
		.set = g->disks,
	};
	uint64_t chunks = g->member_sectors / shape.chunk / shape.far * shape.disks / shape.near;
	uint64_t used = (chunks * shape.near * shape.far + shape.disks - 1) / shape.disks;

	if (g->layout & RAID10_LAYOUT_FAR_SETS)
		shape.set = shape.near * shape.far;
	else if (g->layout & RAID10_LAYOUT_FAR_SETS_OLD)
		shape.set = shape.disks / shape.far;
	shape.sectors = chunks * shape.chunk;
	shape.member_sectors = used * shape.chunk;
	shape.stride = shape.rows ? shape.chunk : used / shape.far * shape.chunk;
	return shape;
}

/* The far set that a place is in: its first member and how many it has. */
static uint32_t set_of(const struct raid10_shape *shape, uint32_t role, uint32_t *size)
{
	uint32_t last = (shape->disks / shape->set - 1) * shape->set;

	*size = shape->set;
	if (role < last)
		return role / shape->set * shape->set;
	*size += shape->disks % shape->set;
	return last;
}

uint64_t raid10_place(const struct raid10_shape *shape, uint64_t sector, unsigned copy,
		      uint32_t *role)
{
	uint64_t slot = sector / shape->chunk * shape->near + copy / shape->far;
	uint64_t row = slot / shape->disks;
	uint32_t far = copy % shape->far, size, first;

	*role = (uint32_t)(slot % shape->disks);
	first = set_of(shape, *role, &size);
	*role = first + (uint32_t)((*role - first + (uint64_t)far * shape->near) % size);
	if (shape->rows)
		row *= shape->far;
	return row * shape->chunk + sector % shape->chunk + far * shape->stride;
}

uint64_t raid10_find(const struct raid10_shape *shape, uint32_t role, uint64_t sector)
{
	uint64_t row = sector / shape->chunk, slot;
	uint32_t far, size, first = set_of(shape, role, &size);

	if (shape->rows) {
		far = (uint32_t)(row % shape->far);
		row /= shape->far;
	} else {
		far = (uint32_t)(sector / shape->stride);
		row = (sector - far * shape->stride) / shape->chunk;
	}
	if (far >= shape->far)
		return UINT64_MAX;
	slot = row * shape->disks + first +
	       (role - first + size - (uint64_t)far * shape->near % size) % size;
	return slot / shape->near * shape->chunk + sector % shape->chunk;
}
