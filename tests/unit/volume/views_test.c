/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume's table is replaced under requests of several workers, each with its view of the volume. */
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/view.h"
#include "crew.h"
#include "fiber/fiber.h"
#include "volume_swap.h"

#define SWAPS 200u

/* Two users are of each of the crew's workers. */
struct rig {
	struct crew crew;
	struct block *block; /* the volume */
	uint8_t model[SWAP_BYTES];
	atomic_bool over;
	atomic_uint requests, wrong;
};

static int use(struct rig *rig, struct block *view, unsigned user, struct random *random)
{
	bool wrong = false;
	int rc = swap_use(view, rig->model, user, random, &wrong);

	rig->requests++;
	rig->wrong += wrong;
	return rc;
}

struct user {
	struct rig *rig;
	unsigned number;
	struct fiber *home; /* that waits for it there */
};

/* On one of the crew's workers. */
static int user_fiber(void *arg)
{
	struct user *user = arg;
	struct rig *rig = user->rig;
	struct random random = { .state = 77 + user->number };
	struct block *view;

	if (block_view(&view, rig->block)) {
		rig->wrong++;
		return 0;
	}
	while (!rig->over) {
		rig->wrong += use(rig, view, user->number, &random) != 0;
		fiber_yield();
	}
	block_view_put(view);
	return 0;
}

static int wait_for_user(void *arg)
{
	struct user *user = arg;

	return worker_call(user->rig->crew.workers[user->number % CREW_WORKERS], user_fiber, user);
}

/* On disks that can be shared: files, of which each worker has its own, or what others call at home. */
static void lay_out(struct fixture *fixture, const char *folder)
{
	if (folder)
		fixture_put_files(fixture, folder);
	for (unsigned i = 0; !folder && i < fixture->count; i++) {
		struct block *shared = crew_share(fixture->disks[i]);

		block_unref(fixture->disks[i]);
		fixture->disks[i] = shared;
	}
	swap_make_volumes(fixture);
}

static void swap_under_load_on(struct fixture *fixture, const char *folder)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct fiber *fibers[SWAP_USERS];
	struct user users[SWAP_USERS];

	crew_begin(&rig->crew);
	lay_out(fixture, folder);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(fixture->group, "l", true, &rig->block, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(rig->block, 0, rig->model, sizeof(rig->model), 0), 0);
	for (unsigned i = 0; i < SWAP_USERS; i++) {
		users[i] = (struct user){ .rig = rig, .number = i };
		fibers[i] = fiber_spawn(wait_for_user, &users[i]);
	}
	for (unsigned i = 0; i < SWAPS; i++) {
		unsigned before = rig->requests;

		swap_extents(fixture, rig->block,
			     (unsigned)random_below(&fixture->random, SWAP_EXTENTS),
			     (unsigned)random_below(&fixture->random, SWAP_EXTENTS));
		while (rig->requests - before < 3 && !rig->wrong)
			fiber_yield();
	}
	rig->over = true;
	for (unsigned i = 0; i < SWAP_USERS; i++)
		fiber_join(fibers[i]);
	CU_ASSERT_EQUAL(rig->wrong, 0);
	for (unsigned i = 0; i < SWAP_USERS; i++) {
		struct random random = { .state = i };

		for (unsigned k = 0; k < 100; k++)
			use(rig, rig->block, i, &random);
	}
	CU_ASSERT_EQUAL(rig->wrong, 0);
	/* Views are gone, and with them what they held. */
	CU_ASSERT_EQUAL(rig->block->references, 1);
	CU_ASSERT_TRUE(list_empty(&rig->block->views.all));
	block_unref(rig->block);
	for (unsigned i = 0; i < fixture->count; i++)
		CU_ASSERT_TRUE(list_empty(&fixture->disks[i]->views.all));
	crew_end(&rig->crew);
	free(rig);
}

static void swap_under_load(struct fixture *fixture)
{
	swap_under_load_on(fixture, NULL);
}

static void swap_under_load_on_files(struct fixture *fixture)
{
	swap_under_load_on(fixture, unit_directory());
}

static void swap_under_load_in_memory(struct fixture *fixture)
{
	char folder[] = "/dev/shm/tenon-test-XXXXXX";

	if (!mkdtemp(folder)) {
		unit_skip("no folder in /dev/shm");
		return;
	}
	swap_under_load_on(fixture, folder);
	rmdir(folder);
}

static void test_a_table_is_replaced_under_views(void)
{
	fixture_run(swap_under_load, 2, MIB * 4);
	fixture_run(swap_under_load_on_files, 2, MIB * 4);
	fixture_run(swap_under_load_in_memory, 2, MIB * 4);
}

/* ---- A volume that grows onto a disk which has no views ---- */

struct growth {
	struct fixture *fixture;
	struct block *block;
	int rc;
};

static int write_all(struct block *view)
{
	uint8_t buffer[4096];
	int rc = 0;

	for (uint64_t at = 0; !rc && at < view->size; at += sizeof(buffer)) {
		memset(buffer, (int)(at / sizeof(buffer)), sizeof(buffer));
		rc = block_write(view, at, buffer, sizeof(buffer), 0);
	}
	return rc ? rc : block_flush(view);
}

static int grow_it(void *arg)
{
	struct growth *growth = arg;

	return volume_lv_resize(growth->fixture->group, "l", 3 * MIB + MIB, NULL, NULL);
}

static int use_a_growing_volume(void *arg)
{
	struct growth *growth = arg;
	struct worker *home = growth->block->home;
	struct block *view;

	growth->rc = block_view(&view, growth->block);
	if (growth->rc)
		return 0;
	growth->rc = write_all(view);
	if (!growth->rc)
		growth->rc = worker_call(home, grow_it, growth);
	/* Its size is known here when the change has ended. */
	if (!growth->rc && view->size != 4 * MIB)
		growth->rc = -1;
	if (!growth->rc)
		growth->rc = write_all(view);
	block_view_put(view);
	return 0;
}

static void grow_under_view(struct fixture *fixture)
{
	struct block *disk = fixture->disks[0];
	struct growth growth = { .fixture = fixture };
	struct crew crew;
	uint8_t buffer[4096], expected[4096];

	crew_begin(&crew);
	fixture->disks[0] = crew_share(disk);
	block_unref(disk);
	fixture_create(fixture, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(fixture, "l", 2), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(fixture->group, "l", true, &growth.block, NULL), 0);
	worker_call(crew.workers[0], use_a_growing_volume, &growth);
	CU_ASSERT_EQUAL(growth.rc, 0);
	CU_ASSERT_EQUAL(growth.block->size, 4 * MIB);
	CU_ASSERT_FALSE(block_has_views(growth.block));
	for (uint64_t at = 0; at < growth.block->size; at += sizeof(buffer)) {
		memset(expected, (int)(at / sizeof(buffer)), sizeof(expected));
		CU_ASSERT_EQUAL(block_read(growth.block, at, buffer, sizeof(buffer)), 0);
		CU_ASSERT_EQUAL_FATAL(memcmp(buffer, expected, sizeof(buffer)), 0);
	}
	block_unref(growth.block);
	crew_end(&crew);
}

static void test_a_volume_grows_onto_a_disk_without_views(void)
{
	fixture_run(grow_under_view, 2, MIB * 4);
}

UNIT_MAIN("volume views", UNIT(test_a_table_is_replaced_under_views),
	  UNIT(test_a_volume_grows_onto_a_disk_without_views))
