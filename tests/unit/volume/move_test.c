/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: moving the extents of volumes that are used. Cuts of power are in move_cut_test.c. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "moved_volumes.h"
#include "util/bytes.h"
#include "volume/volume_move.h"

#define MS    1000000ull
#define LARGE (20u << 20) /* of a disk */

static bool lies_on(const struct volume_group *group, const char *name, const char *disk)
{
	const struct volume_lv *lv = volume_group_get_lv(group, name);

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			if (!lv->segments[i].areas[k].pv ||
			    !strcmp(lv->segments[i].areas[k].pv->block->name, disk))
				return true;
	return false;
}

/* ---- While it is used ---- */

static void moves_under_its_users(struct fixture *f)
{
	static const char *const names[] = { "a", "b", "s" };
	struct moved_user users[3] = { 0 };
	struct fiber *fibers[3];
	struct volume_move_options options = { .step_extents = 2 };
	struct volume_move_status status;
	uint32_t extents = 0;
	char *text = NULL;

	moved_create(f);
	for (unsigned i = 0; i < 3; i++) {
		users[i].random.state = i + 1;
		CU_ASSERT_EQUAL_FATAL(
			volume_open_lv(f->group, names[i], true, &users[i].block, &f->error), 0);
		CU_ASSERT_EQUAL(block_write_zeroes(users[i].block, 0, users[i].block->size, 0), 0);
		fibers[i] = fiber_spawn(moved_user_run, &users[i]);
	}
	options.from = moved_pv_on(f->group, "d0");
	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	CU_ASSERT_EQUAL(extents, 15);
	volume_move_status(f->group, &status);
	CU_ASSERT(status.half_done && !status.running && !status.done);
	CU_ASSERT_EQUAL(status.total, 15 * MOVED_EXTENT);
	CU_ASSERT_STRING_EQUAL(status.from, "d0");
	/* LVM2 refuses groups with a mirror that has none: of a step of 2 and one of 1 extent */
	CU_ASSERT_EQUAL(volume_group_text(f->group, &text, &f->error), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "extents_moved = 0\nregion_size = 256\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "extents_moved = 0\nregion_size = 128\n"));
	free(text);
	/* what is on its way is not changed */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 8 * MOVED_EXTENT, NULL, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_move_begin(f->group, &options, &extents, &f->error), -EBUSY);
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, NULL, &f->error), 0);
	/* other things are */
	CU_ASSERT_EQUAL(fixture_lv(f, "new", 1), 0);
	CU_ASSERT_EQUAL(volume_move_wait(f->group, NULL, NULL, 1000000, &f->error), 0);
	for (unsigned i = 0; i < 3; i++) {
		users[i].stop = true;
		fiber_join(fibers[i]);
		CU_ASSERT_EQUAL(users[i].rc, 0);
		CU_ASSERT_FALSE(users[i].wrong);
		CU_ASSERT_FALSE(lies_on(f->group, names[i], "d0"));
		CU_ASSERT(moved_user_is_kept(&users[i], users[i].block));
		block_unref(users[i].block);
	}
	volume_move_stop(f->group);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 4);
	/* stripes have a PV each still */
	CU_ASSERT_FALSE(lies_on(f->group, "s", "d0"));
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "s")->segments[0].areas[1].pv,
			moved_pv_on(f->group, "d1"));
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "a", 8 * MOVED_EXTENT, NULL, &f->error), 0);
}

static void test_moves_under_its_users(void)
{
	fixture_run(moves_under_its_users, 4, MOVED_DISK);
}

/* ---- Guests go first ---- */

struct reader {
	struct block *block;
	uint64_t after_ns;
	uint64_t pause_ns;
	bool stop;
	int rc;
};

static int read_on(void *arg)
{
	struct reader *reader = arg;
	char bytes[MOVED_UNIT];

	fiber_sleep(reader->after_ns);
	while (!reader->stop && !reader->rc) {
		reader->rc = block_read(reader->block, 0, bytes, sizeof(bytes));
		fiber_sleep(reader->pause_ns);
	}
	return 0;
}

/* How long "a" takes, in nanoseconds. */
static uint64_t move_a(struct fixture *f, const char *from)
{
	struct volume_move_options options = {
		.from = moved_pv_on(f->group, from),
		.volumes = (const char *[]){ "a" },
		.volume_count = 1,
	};
	uint64_t began = worker_now();
	uint32_t extents;

	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_move_wait(f->group, NULL, NULL, MS, &f->error), 0);
	volume_move_stop(f->group);
	return worker_now() - began;
}

/* The same beside two readers, who come back after a pause; a request at the first disk takes so long. */
static uint64_t move_beside(struct fixture *f, uint64_t pause_ns, uint64_t latency_ns)
{
	struct reader readers[2] = { { .after_ns = 1 }, { .after_ns = 3 * MS + 500000 } };
	struct fiber *fibers[2];
	uint64_t took;
	struct block *a;

	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &a, &f->error), 0);
	fixture_fill(a, 1);
	block_fault_add(f->disks[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								 .action = BLOCK_FAULT_LATENCY,
								 .latency_ns = latency_ns });
	for (unsigned i = 0; pause_ns && i < 2; i++) {
		readers[i].block = a;
		readers[i].pause_ns = pause_ns;
		fibers[i] = fiber_spawn(read_on, &readers[i]);
	}
	fiber_sleep(20 * MS);
	took = move_a(f, "d0");
	for (unsigned i = 0; pause_ns && i < 2; i++) {
		readers[i].stop = true;
		fiber_join(fibers[i]);
		CU_ASSERT_EQUAL(readers[i].rc, 0);
	}
	CU_ASSERT(fixture_filled(a, 1));
	block_unref(a);
	return took;
}

static void make_large_volume(struct fixture *f)
{
	struct volume_pv *first;
	struct block *disk = f->disks[0];
	struct volume_lv_options on_first = { .pvs = &first, .pv_count = 1, .extents = 16 };

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&f->disks[0], "d0", disk, 1, NULL), 0);
	block_unref(disk);
	fixture_create(f, &(struct volume_group_options){ .extent_size = 1u << 20 });
	first = moved_pv_on(f->group, "d0");
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &on_first, NULL, &f->error), 0);
}

static void nobody_is_there(struct fixture *f)
{
	make_large_volume(f);
	/* Four pieces of 1 MiB at once, four times. */
	CU_ASSERT(move_beside(f, 0, MS / 2) <= 5 * MS);
}

static void guests_go_first(struct fixture *f)
{
	make_large_volume(f);
	/* 64 pieces of 256 KiB, one after the other, each of which waits for guests for 6.25 ms. */
	CU_ASSERT(move_beside(f, MS / 10, 7 * MS) >= 64 * 13 * MS);
}

/* Who asks now and then finds one small piece in front of a request, not four large ones. */
static void guests_wait_for_little(struct fixture *f)
{
	uint64_t took;

	make_large_volume(f);
	took = move_beside(f, MS, MS / 2);
	CU_ASSERT(took >= 64 * MS / 2 && took <= 64 * 3 * MS);
}

static void test_guests_go_first(void)
{
	fixture_run(nobody_is_there, 3, LARGE);
	fixture_run(guests_go_first, 3, LARGE);
	fixture_run(guests_wait_for_little, 3, LARGE);
}

/* Who goes on after a crash keeps to the rate that it was begun with, unless told another. */
static void keeps_its_rate(struct fixture *f)
{
	struct volume_move_run fast = { .rate = MOVED_EXTENT * 1000 };
	struct volume_move_options options = { .step_extents = 1, .rate = MOVED_EXTENT * 10 };
	struct volume_move_status status;
	uint64_t began;
	uint32_t extents;

	moved_create(f);
	options.from = moved_pv_on(f->group, "d0");
	options.volumes = (const char *[]){ "a" };
	options.volume_count = 1;
	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_move_layer(f->group)->tag_count, 1);
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, NULL, &f->error), 0);
	fiber_sleep(350 * 1000 * 1000);
	volume_move_status(f->group, &status);
	CU_ASSERT(status.done >= 2 * MOVED_EXTENT && status.done <= 4 * MOVED_EXTENT);
	volume_move_stop(f->group);
	began = worker_now();
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, &fast, &f->error), 0);
	CU_ASSERT_EQUAL(volume_move_wait(f->group, NULL, NULL, 1000 * 1000, &f->error), 0);
	CU_ASSERT(worker_now() - began < 100 * 1000 * 1000);
	CU_ASSERT_PTR_NULL(volume_move_layer(f->group));
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(lies_on(f->group, "a", "d0"));
}

static void test_keeps_its_rate(void)
{
	fixture_run(keeps_its_rate, 3, MOVED_DISK);
}

/* Undone in the middle: what is moved stays, and all the data is there. */
static void is_undone(struct fixture *f)
{
	struct volume_move_run slowly = { .rate = MOVED_EXTENT * 10 };
	struct volume_move_options options = { .step_extents = 1 };
	struct volume_move_status status;
	struct block *a;
	uint32_t extents;

	moved_create(f);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &a, &f->error), 0);
	fixture_fill(a, 1);
	options.from = moved_pv_on(f->group, "d0");
	options.volumes = (const char *[]){ "a" };
	options.volume_count = 1;
	CU_ASSERT_EQUAL(volume_move_abort(f->group, &f->error), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	CU_ASSERT_EQUAL(extents, 6);
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, &slowly, &f->error), 0);
	fiber_sleep(350 * 1000 * 1000);
	CU_ASSERT_EQUAL(volume_move_abort(f->group, &f->error), -EBUSY);
	volume_move_stop(f->group);
	volume_move_status(f->group, &status);
	CU_ASSERT(status.done > 0 && status.done < status.total);
	CU_ASSERT(fixture_filled(a, 1));
	CU_ASSERT_EQUAL(volume_move_abort(f->group, &f->error), 0);
	CU_ASSERT(fixture_filled(a, 1));
	CU_ASSERT(lies_on(f->group, "a", "d0"));
	CU_ASSERT_NOT_EQUAL(volume_group_get_lv(f->group, "a")->segments[0].areas[0].pv,
			    moved_pv_on(f->group, "d0"));
	block_unref(a);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 3);
}

static void test_is_undone(void)
{
	fixture_run(is_undone, 3, MOVED_DISK);
}

/* ---- Refusals ---- */

static void is_refused(struct fixture *f)
{
	struct volume_move_options options = { .step_extents = 1 };
	struct volume_pv *to;
	uint32_t extents, seqno;

	moved_create(f);
	seqno = f->group->seqno;
	CU_ASSERT_EQUAL(volume_move_begin(f->group, &options, &extents, &f->error), -EINVAL);
	options.from = moved_pv_on(f->group, "d0");
	options.volumes = (const char *[]){ "none" };
	options.volume_count = 1;
	CU_ASSERT_EQUAL(volume_move_begin(f->group, &options, &extents, &f->error), -ENOENT);
	options.from = moved_pv_on(f->group, "d2");
	options.volumes = (const char *[]){ "a" };
	CU_ASSERT_EQUAL(volume_move_begin(f->group, &options, &extents, &f->error), -ENOENT);
	/* the other stripe is there */
	options.from = moved_pv_on(f->group, "d0");
	options.volumes = (const char *[]){ "s" };
	to = moved_pv_on(f->group, "d1");
	options.to = &to;
	options.to_count = 1;
	CU_ASSERT_EQUAL(volume_move_begin(f->group, &options, &extents, &f->error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "3 extents on d0 are to move, 0 are free"));
	CU_ASSERT_EQUAL(f->group->seqno, seqno);
	CU_ASSERT_EQUAL(f->group->lv_count, 3);
	options.allocation = VOLUME_ALLOCATE_ANYWHERE;
	CU_ASSERT_EQUAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	CU_ASSERT_EQUAL(volume_move_abort(f->group, &f->error), 0);
	CU_ASSERT_EQUAL(f->group->lv_count, 3);
}

static void test_is_refused(void)
{
	fixture_run(is_refused, 3, MOVED_DISK);
}

/* It fails under a rate at which a piece takes a quarter of an hour: those that wait for their time do not wait that long. */
static void fails_at_once(struct fixture *f)
{
	struct volume_move_options options = { .rate = 1024 };
	struct block_fault_rule bad = { .requests = BLOCK_FAULT_READ,
					.length = 1,
					.action = BLOCK_FAULT_LATENCY,
					.latency_ns = 10 * MS,
					.error = -EIO };
	struct block *a;
	uint64_t began;
	uint32_t extents;

	make_large_volume(f);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &a, &f->error), 0);
	fixture_fill(a, 1);
	block_unref(a);
	options.from = moved_pv_on(f->group, "d0");
	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	bad.offset = options.from->pe_start;
	block_fault_add(f->disks[0], &bad);
	bad.action = BLOCK_FAULT_ERROR;
	block_fault_add(f->disks[0], &bad);
	began = worker_now();
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_move_wait(f->group, NULL, NULL, MS, &f->error), -EIO);
	CU_ASSERT(worker_now() - began < 1000 * MS);
	volume_move_stop(f->group);
}

static void test_fails_at_once(void)
{
	fixture_run(fails_at_once, 3, LARGE);
}

/* The new disk fails in the middle: users go on, and the move can be undone. */
static void a_destination_fails(struct fixture *f)
{
	struct volume_move_options options = { .step_extents = 1 };
	struct volume_move_status status;
	struct moved_user user = { .random.state = 1 };
	struct volume_pv *to;
	struct fiber *fiber;
	struct block *bare = f->disks[2];
	uint32_t extents;

	CU_ASSERT_EQUAL_FATAL(block_create_fault(&f->disks[2], bare->name, bare, 1, NULL), 0);
	block_unref(bare);
	moved_create(f);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &user.block, &f->error), 0);
	CU_ASSERT_EQUAL(block_write_zeroes(user.block, 0, user.block->size, 0), 0);
	fiber = fiber_spawn(moved_user_run, &user);
	options.from = moved_pv_on(f->group, "d0");
	options.volumes = (const char *[]){ "a" };
	options.volume_count = 1;
	to = moved_pv_on(f->group, "d2");
	options.to = &to;
	options.to_count = 1;
	CU_ASSERT_EQUAL_FATAL(volume_move_begin(f->group, &options, &extents, &f->error), 0);
	/* the third extent of it */
	block_fault_add(f->disks[2],
			&(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES,
						    .offset = to->pe_start + 2 * MOVED_EXTENT,
						    .length = MOVED_DISK,
						    .action = BLOCK_FAULT_ERROR,
						    .error = -EIO });
	CU_ASSERT_EQUAL_FATAL(volume_move_start(f->group, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_move_wait(f->group, NULL, NULL, 1000000, &f->error), -EIO);
	volume_move_status(f->group, &status);
	CU_ASSERT_EQUAL(status.done, 2 * MOVED_EXTENT);
	CU_ASSERT_EQUAL(status.rc, -EIO);
	volume_move_stop(f->group);
	fiber_sleep(100 * 1000 * 1000);
	user.stop = true;
	fiber_join(fiber);
	CU_ASSERT_EQUAL(user.rc, 0);
	CU_ASSERT_FALSE(user.wrong);
	CU_ASSERT_EQUAL(volume_move_abort(f->group, &f->error), 0);
	CU_ASSERT(moved_user_is_kept(&user, user.block));
	block_unref(user.block);
}

static void test_a_destination_fails(void)
{
	fixture_run(a_destination_fails, 3, MOVED_DISK);
}

UNIT_MAIN("moving volumes", UNIT(test_moves_under_its_users), UNIT(test_guests_go_first),
	  UNIT(test_keeps_its_rate), UNIT(test_is_undone), UNIT(test_is_refused),
	  UNIT(test_a_destination_fails), UNIT(test_fails_at_once))
