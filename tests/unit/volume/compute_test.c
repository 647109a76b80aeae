/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes whose computing is done by another worker: the same outcome, and others go on at home meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "volume_fixture.h"

#define VOLUMES 200

struct computing {
	struct worker *worker;
	bool ending;
	struct fiber_queue end;
};

static int live(void *arg)
{
	struct computing *computing = arg;

	while (!computing->ending)
		fiber_queue_wait_always(&computing->end);
	return 0;
}

static int stop(void *arg)
{
	struct computing *computing = arg;

	computing->ending = true;
	fiber_queue_wake_all(&computing->end);
	return 0;
}

static void start_computing(struct computing *computing)
{
	*computing = (struct computing){ .ending = false };
	fiber_queue_init(&computing->end);
	CU_ASSERT_EQUAL_FATAL(worker_create(&computing->worker, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(worker_start(computing->worker, "compute", live, computing), 0);
}

static void stop_computing(struct computing *computing)
{
	worker_call(computing->worker, stop, computing);
	worker_join(computing->worker);
	worker_destroy(computing->worker);
}

/* What reads and writes a volume at home while others are changed. */
struct user {
	struct block *block;
	unsigned turns, errors;
	bool ending;
};

static int use(void *arg)
{
	struct user *user = arg;
	char bytes[4096];

	for (unsigned i = 0; !user->ending; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		user->errors += block_write(user->block, 0, bytes, sizeof(bytes), 0) != 0;
		user->errors += block_read(user->block, 0, bytes, sizeof(bytes)) != 0;
		user->turns++;
		fiber_yield();
	}
	return 0;
}

/* Some of each kind of change, and one that is refused; the text that is left on the first disk. */
static char *change(struct fixture *fixture)
{
	struct volume_group *group = fixture->group;
	struct error error;
	char *text = NULL;
	char name[16];

	for (unsigned i = 0; i < VOLUMES; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		CU_ASSERT_EQUAL(fixture_lv(fixture, name, 1), 0);
	}
	CU_ASSERT_EQUAL(volume_lv_remove(group, "v7", &error), 0);
	CU_ASSERT_EQUAL(volume_lv_rename(group, "v8", "w8", &error), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(group, "v9", 3 * MIB, NULL, &error), 0);
	CU_ASSERT_EQUAL(volume_lv_resize(group, "used", 8 * MIB, NULL, &error), 0);
	CU_ASSERT_EQUAL(volume_lv_set_writable(group, "v10", false, &error), 0);
	CU_ASSERT_EQUAL(fixture_lv(fixture, "w8", 1), -EEXIST);
	CU_ASSERT_EQUAL(volume_lv_resize(group, "v9", 1ULL << 40, NULL, &error), -ENOSPC);
	CU_ASSERT_EQUAL(volume_lv_remove(group, "v7", &error), -ENOENT);
	CU_ASSERT_EQUAL(volume_pv_dump(fixture->disks[0], &text, &error), 0);
	return text;
}

static char *change_beside_a_user(struct fixture *fixture, unsigned *turns)
{
	struct user user = { 0 };
	struct fiber *fiber;
	char *text;

	fixture_create(fixture, NULL);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(fixture, "used", 2), 0);
	CU_ASSERT_EQUAL_FATAL(
		volume_open_lv(fixture->group, "used", true, &user.block, &fixture->error), 0);
	fiber = fiber_spawn(use, &user);
	text = change(fixture);
	*turns = user.turns;
	user.ending = true;
	fiber_join(fiber);
	CU_ASSERT_EQUAL(user.errors, 0);
	CU_ASSERT_EQUAL(user.block->size, 8 * MIB);
	block_unref(user.block);
	return text;
}

static char *text_of_home;

static void at_home(struct fixture *fixture)
{
	unsigned turns;

	text_of_home = change_beside_a_user(fixture, &turns);
}

static void elsewhere(struct fixture *fixture)
{
	struct computing computing;
	char *text;
	unsigned turns;

	start_computing(&computing);
	fixture->context.compute = computing.worker;
	text = change_beside_a_user(fixture, &turns);
	CU_ASSERT_STRING_EQUAL(text, text_of_home);
	free(text);
	/* Each change waits for the other worker several times. */
	CU_ASSERT(turns >= 2 * VOLUMES);
	CU_ASSERT_EQUAL(fixture_scan(fixture), 0);
	CU_ASSERT_EQUAL(fixture->group->lv_count, VOLUMES);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(fixture->group, "w8"));
	volume_scan_free(steal_pointer(&fixture->scan));
	stop_computing(&computing);
}

static void test_another_worker_computes(void)
{
	fixture_run(at_home, 2, 256 * MIB);
	fixture_run(elsewhere, 2, 256 * MIB);
	free(steal_pointer(&text_of_home));
}

UNIT_MAIN("volume compute", UNIT(test_another_worker_computes))
