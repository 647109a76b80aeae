/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume's table is replaced while requests are on their way: what pvmove will stand on. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "volume/active.h"
#include "volume_fixture.h"

#define EXTENT  (16u << 10)
#define EXTENTS 8u
#define USERS   4u
#define PART    (EXTENTS * EXTENT / USERS)
#define SWAPS   10000u

struct rig {
	struct fixture *fixture;
	struct block *block; /* the volume */
	uint8_t model[EXTENTS * EXTENT];
	bool over;
	unsigned requests;
};

/* Two extents of the volume are one user's alone, the border between them included. */
static int use(struct rig *rig, unsigned user, struct random *random)
{
	uint8_t buffer[PART];
	uint64_t at = random_below(random, PART / 512) * 512;
	uint64_t length = (1 + random_below(random, (PART - at) / 512)) * 512;
	uint8_t *model = rig->model + user * PART + at;
	uint64_t offset = user * PART + at;
	int rc;

	rig->requests++;
	switch (random_below(random, 8)) {
	case 0:
		memset(model, 0, length);
		return block_write_zeroes(rig->block, offset, length, 0);
	case 1:
		return block_flush(rig->block);
	case 2:
	case 3:
	case 4:
		for (uint64_t i = 0; i < length; i += 8)
			put_le64(buffer + i, random_next(random));
		memcpy(model, buffer, length);
		return block_write(rig->block, offset, buffer, length, 0);
	default:
		rc = block_read(rig->block, offset, buffer, length);
		CU_ASSERT_FATAL(rc || !memcmp(buffer, model, length));
		return rc;
	}
}

struct user {
	struct rig *rig;
	unsigned number;
};

static int user_fiber(void *arg)
{
	struct user *user = arg;
	struct random random = { .state = 77 + user->number };

	while (!user->rig->over) {
		CU_ASSERT_EQUAL_FATAL(use(user->rig, user->number, &random), 0);
		fiber_yield();
	}
	return 0;
}

static struct block *disk_of(const struct volume_area *area, struct volume_group *group,
			     uint64_t *offset)
{
	*offset = area->pv->pe_start + area->extent * group->extent_size;
	return area->pv->block;
}

/* The extents of two volumes change places, with what the first one holds. */
static void swap(struct rig *rig, struct volume_area *ours, struct volume_area *spare)
{
	struct volume_group *group = rig->fixture->group;
	struct volume_area was = *ours;
	static uint8_t buffer[EXTENT];
	uint64_t from, to;
	struct block *source = disk_of(ours, group, &from), *target = disk_of(spare, group, &to);

	block_quiesce(rig->block);
	CU_ASSERT_EQUAL(rig->block->gate.inside, 0);
	CU_ASSERT_EQUAL_FATAL(block_read(source, from, buffer, EXTENT), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(target, to, buffer, EXTENT, 0), 0);
	memset(buffer, 0xee, EXTENT);
	CU_ASSERT_EQUAL_FATAL(block_write(source, from, buffer, EXTENT, 0), 0);
	ours->pv = spare->pv;
	ours->extent = spare->extent;
	spare->pv = was.pv;
	spare->extent = was.extent;
	CU_ASSERT_EQUAL_FATAL(lvm_active_prepare(group, volume_group_get_lv(group, "l"), NULL), 0);
	lvm_active_swap(volume_group_get_lv(group, "l"), true);
	block_resume(rig->block);
}

/* Two volumes whose extents take turns, so that each has as many segments. */
static void lay_out(struct fixture *fixture)
{
	struct volume_group_options options = { .extent_size = EXTENT };

	for (unsigned i = 0; i < fixture->count; i++) {
		struct block *disk = fixture->disks[i];

		CU_ASSERT_EQUAL_FATAL(
			block_create_fault(&fixture->disks[i], "d", disk, i + 1, NULL), 0);
		block_unref(disk);
	}
	fixture_create(fixture, &options);
	for (unsigned i = 1; i <= EXTENTS; i++)
		for (unsigned k = 0; k < 2; k++) {
			const char *name = k ? "spare" : "l";

			if (i == 1)
				CU_ASSERT_EQUAL_FATAL(fixture_lv(fixture, name, 1), 0)
			else
				CU_ASSERT_EQUAL_FATAL(volume_lv_resize(fixture->group, name,
								       i * EXTENT, NULL, NULL),
						      0)
		}
	for (unsigned i = 0; i < fixture->count; i++)
		block_fault_add(fixture->disks[i],
				&(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL,
							    .chance = 300000,
							    .action = BLOCK_FAULT_LATENCY,
							    .latency_ns = 1000 });
}

static void swap_under_load(struct fixture *fixture)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct fiber *fibers[USERS];
	struct user users[USERS];
	struct volume_lv *ours, *spare;

	lay_out(fixture);
	rig->fixture = fixture;
	ours = volume_group_get_lv(fixture->group, "l");
	spare = volume_group_get_lv(fixture->group, "spare");
	CU_ASSERT_EQUAL_FATAL(ours->segment_count, EXTENTS);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(fixture->group, "l", true, &rig->block, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(rig->block, 0, rig->model, sizeof(rig->model), 0), 0);
	for (unsigned i = 0; i < USERS; i++) {
		users[i] = (struct user){ rig, i };
		fibers[i] = fiber_spawn(user_fiber, &users[i]);
	}
	for (unsigned i = 0; i < SWAPS; i++) {
		swap(rig, ours->segments[random_below(&fixture->random, EXTENTS)].areas,
		     spare->segments[random_below(&fixture->random, EXTENTS)].areas);
		fiber_sleep(random_below(&fixture->random, 3000));
	}
	rig->over = true;
	for (unsigned i = 0; i < USERS; i++)
		fiber_join(fibers[i]);
	CU_ASSERT_TRUE(rig->requests > SWAPS);
	for (unsigned i = 0; i < USERS; i++) {
		struct random random = { .state = i };

		for (unsigned k = 0; k < 100; k++)
			use(rig, i, &random);
	}
	block_unref(rig->block);
	free(rig);
}

static void test_a_table_is_replaced_under_requests(void)
{
	fixture_run(swap_under_load, 2, MIB * 4);
}

UNIT_MAIN("volume swap", UNIT(test_a_table_is_replaced_under_requests))
