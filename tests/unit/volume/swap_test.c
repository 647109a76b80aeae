/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume's table is replaced while requests are on their way: what pvmove will stand on. */
#include "unit.h"

#include <stdlib.h>

#include "block/fault.h"
#include "fiber/fiber.h"
#include "volume_swap.h"

#define SWAPS 10000u

struct rig {
	struct block *block; /* the volume */
	uint8_t model[SWAP_BYTES];
	bool over;
	unsigned requests;
};

static void use(struct rig *rig, unsigned user, struct random *random)
{
	bool wrong = false;

	rig->requests++;
	CU_ASSERT_EQUAL_FATAL(swap_use(rig->block, rig->model, user, random, &wrong), 0);
	CU_ASSERT_FALSE_FATAL(wrong);
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
		use(user->rig, user->number, &random);
		fiber_yield();
	}
	return 0;
}

/* On disks that answer some requests late. */
static void lay_out(struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->count; i++) {
		struct block *disk = fixture->disks[i];

		CU_ASSERT_EQUAL_FATAL(
			block_create_fault(&fixture->disks[i], "d", disk, i + 1, NULL), 0);
		block_unref(disk);
	}
	swap_make_volumes(fixture);
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
	struct fiber *fibers[SWAP_USERS];
	struct user users[SWAP_USERS];

	lay_out(fixture);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(fixture->group, "l", true, &rig->block, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(rig->block, 0, rig->model, sizeof(rig->model), 0), 0);
	for (unsigned i = 0; i < SWAP_USERS; i++) {
		users[i] = (struct user){ rig, i };
		fibers[i] = fiber_spawn(user_fiber, &users[i]);
	}
	for (unsigned i = 0; i < SWAPS; i++) {
		swap_extents(fixture, rig->block,
			     (unsigned)random_below(&fixture->random, SWAP_EXTENTS),
			     (unsigned)random_below(&fixture->random, SWAP_EXTENTS));
		fiber_sleep(random_below(&fixture->random, 3000));
	}
	rig->over = true;
	for (unsigned i = 0; i < SWAP_USERS; i++)
		fiber_join(fibers[i]);
	CU_ASSERT_TRUE(rig->requests > SWAPS);
	for (unsigned i = 0; i < SWAP_USERS; i++) {
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
