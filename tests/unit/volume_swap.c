/* SPDX-License-Identifier: BSD-2-Clause */
/* See volume_swap.h. */
#include "volume_swap.h"

#include <string.h>

#include "unit.h"
#include "util/bytes.h"
#include "volume/active.h"

#define PART (SWAP_BYTES / SWAP_USERS)

void swap_make_volumes(struct fixture *fixture)
{
	struct volume_group_options options = { .extent_size = SWAP_EXTENT };

	fixture_create(fixture, &options);
	for (unsigned i = 1; i <= SWAP_EXTENTS; i++)
		for (unsigned k = 0; k < 2; k++) {
			const char *name = k ? "spare" : "l";
			int rc = i == 1 ? fixture_lv(fixture, name, 1)
					: volume_lv_resize(fixture->group, name, i * SWAP_EXTENT,
							   NULL, NULL);

			CU_ASSERT_EQUAL_FATAL(rc, 0);
		}
	CU_ASSERT_EQUAL_FATAL(volume_group_get_lv(fixture->group, "l")->segment_count,
			      SWAP_EXTENTS);
}

static struct block *disk_of(const struct volume_area *area, struct volume_group *group,
			     uint64_t *offset)
{
	*offset = area->pv->pe_start + area->extent * group->extent_size;
	return area->pv->block;
}

void swap_extents(struct fixture *fixture, struct block *volume, unsigned ours, unsigned spare)
{
	struct volume_group *group = fixture->group;
	struct volume_area *one = volume_group_get_lv(group, "l")->segments[ours].areas;
	struct volume_area *other = volume_group_get_lv(group, "spare")->segments[spare].areas;
	struct volume_area was = *one;
	static uint8_t buffer[SWAP_EXTENT];
	uint64_t from, to;
	struct block *source = disk_of(one, group, &from), *target = disk_of(other, group, &to);

	block_quiesce(volume);
	CU_ASSERT_EQUAL(volume->gate.inside, 0);
	CU_ASSERT_EQUAL_FATAL(block_read(source, from, buffer, SWAP_EXTENT), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(target, to, buffer, SWAP_EXTENT, 0), 0);
	memset(buffer, 0xee, SWAP_EXTENT);
	CU_ASSERT_EQUAL_FATAL(block_write(source, from, buffer, SWAP_EXTENT, 0), 0);
	one->pv = other->pv;
	one->extent = other->extent;
	other->pv = was.pv;
	other->extent = was.extent;
	CU_ASSERT_EQUAL_FATAL(lvm_active_prepare(group, volume_group_get_lv(group, "l"), NULL), 0);
	lvm_active_swap(volume_group_get_lv(group, "l"), true);
	block_resume(volume);
}

/* The border between the two extents is included. */
int swap_use(struct block *volume, uint8_t *model, unsigned user, struct random *random,
	     bool *wrong)
{
	uint8_t buffer[PART];
	uint64_t at = random_below(random, PART / 512) * 512;
	uint64_t length = (1 + random_below(random, (PART - at) / 512)) * 512;
	uint64_t offset = user * PART + at;
	int rc;

	model += offset;
	switch (random_below(random, 8)) {
	case 0:
		memset(model, 0, length);
		return block_write_zeroes(volume, offset, length, 0);
	case 1:
		return block_flush(volume);
	case 2:
	case 3:
	case 4:
		for (uint64_t i = 0; i < length; i += 8)
			put_le64(buffer + i, random_next(random));
		memcpy(model, buffer, length);
		return block_write(volume, offset, buffer, length, 0);
	default:
		rc = block_read(volume, offset, buffer, length);
		*wrong |= !rc && memcmp(buffer, model, length);
		return rc;
	}
}
