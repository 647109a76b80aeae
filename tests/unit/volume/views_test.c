/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume's table is replaced under requests of several workers, each with its view of the volume. */
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/fault.h"
#include "block/view.h"
#include "crew.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "volume/active.h"
#include "volume_fixture.h"

#define EXTENT  (16u << 10)
#define EXTENTS 8u
#define USERS   4u /* two of each of the crew's workers */
#define PART    (EXTENTS * EXTENT / USERS)
#define SWAPS   200u

struct rig {
	struct fixture *fixture;
	struct crew crew;
	struct block *block; /* the volume */
	uint8_t model[EXTENTS * EXTENT];
	atomic_bool over;
	atomic_uint requests, wrong;
};

/* Two extents of the volume are one user's alone, the border between them included. */
static int use(struct rig *rig, struct block *view, unsigned user, struct random *random)
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
		return block_write_zeroes(view, offset, length, 0);
	case 1:
		return block_flush(view);
	case 2:
	case 3:
	case 4:
		for (uint64_t i = 0; i < length; i += 8)
			put_le64(buffer + i, random_next(random));
		memcpy(model, buffer, length);
		return block_write(view, offset, buffer, length, 0);
	default:
		rc = block_read(view, offset, buffer, length);
		rig->wrong += !rc && memcmp(buffer, model, length);
		return rc;
	}
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

/* A disk that can be shared: a file, of which each worker has its own, or one that others call at home. */
static struct block *share(struct block *disk, const char *folder, unsigned number)
{
	struct block *shared = NULL;
	char path[128];

	if (!folder)
		return crew_share(disk);
	snprintf(path, sizeof(path), "%s/disk%u", folder, number);
	CU_ASSERT_EQUAL_FATAL(block_open_file(&shared, path, BLOCK_OPEN_CREATE | BLOCK_OPEN_FORCE,
					      disk->size, NULL),
			      0);
	unlink(path);
	return shared;
}

/* Two volumes whose extents take turns, so that each has as many segments. */
static void lay_out(struct fixture *fixture, const char *folder)
{
	struct volume_group_options options = { .extent_size = EXTENT };

	for (unsigned i = 0; i < fixture->count; i++) {
		struct block *shared = share(fixture->disks[i], folder, i);

		block_unref(fixture->disks[i]);
		fixture->disks[i] = shared;
	}
	fixture_create(fixture, &options);
	for (unsigned i = 1; i <= EXTENTS; i++)
		for (unsigned k = 0; k < 2; k++) {
			const char *name = k ? "spare" : "l";
			int rc = i == 1 ? fixture_lv(fixture, name, 1)
					: volume_lv_resize(fixture->group, name, i * EXTENT, NULL,
							   NULL);

			CU_ASSERT_EQUAL_FATAL(rc, 0);
		}
}

static void swap_under_load_on(struct fixture *fixture, const char *folder)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct fiber *fibers[USERS];
	struct user users[USERS];
	struct volume_lv *ours, *spare;

	crew_begin(&rig->crew);
	lay_out(fixture, folder);
	rig->fixture = fixture;
	ours = volume_group_get_lv(fixture->group, "l");
	spare = volume_group_get_lv(fixture->group, "spare");
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(fixture->group, "l", true, &rig->block, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(rig->block, 0, rig->model, sizeof(rig->model), 0), 0);
	for (unsigned i = 0; i < USERS; i++) {
		users[i] = (struct user){ .rig = rig, .number = i };
		fibers[i] = fiber_spawn(wait_for_user, &users[i]);
	}
	for (unsigned i = 0; i < SWAPS; i++) {
		unsigned before = rig->requests;

		swap(rig, ours->segments[random_below(&fixture->random, EXTENTS)].areas,
		     spare->segments[random_below(&fixture->random, EXTENTS)].areas);
		while (rig->requests - before < 3 && !rig->wrong)
			fiber_yield();
	}
	rig->over = true;
	for (unsigned i = 0; i < USERS; i++)
		fiber_join(fibers[i]);
	CU_ASSERT_EQUAL(rig->wrong, 0);
	for (unsigned i = 0; i < USERS; i++) {
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
