/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes that another process writes by itself (block/lease.h) while their group is changed, and the power goes at a change of a disk. Each sector holds a
 * number that grows with each write of it: after the cut it is that of the last flush, or of a write since. TORTURE=1 cuts at each change.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lease_pair.h"
#include "util/bytes.h"
#include "volume/volume_move.h"
#include "volume_fixture.h"
#include "worn_disk.h"

#define EXTENT  (64u << 10)
#define SIZE    (2u << 20)
#define DISKS   3
#define SECTOR  512u
#define SECTORS (3 * EXTENT / SECTOR) /* of the volume, as it was made */

/* One attempt, or what all of them had. */
struct attempt {
	struct worn_power power;
	uint64_t at;             /* the change that is cut off; 0: none */
	uint64_t plain, changes; /* until the move begins; all */
	unsigned leases, leased_writes, flushes;
};

static struct attempt *the_attempt;

struct user {
	struct fixture *f;
	struct block *volume;
	struct lease_pair pair;
	bool has, stop;
	uint32_t number;
	uint32_t written[SECTORS], flushed[SECTORS];
};

static void let_go(struct user *user)
{
	if (user->has)
		lease_pair_end(&user->pair, true);
	user->has = false;
}

static void write_one(struct user *user)
{
	uint32_t at = (uint32_t)random_below(&user->f->random, SECTORS);
	uint8_t sector[SECTOR] = { 0 };
	int rc = -EAGAIN;

	if (!user->has && !lease_pair_give(&user->pair, user->volume, 0)) {
		user->has = true;
		the_attempt->leases++;
	}
	user->written[at] = ++user->number;
	put_le32(sector, at);
	put_le32(sector + 4, user->number);
	if (user->has)
		rc = lease_use_transfer(user->pair.use, true, at * SECTOR, sector, SECTOR);
	the_attempt->leased_writes += !rc;
	if (rc == -EAGAIN) {
		let_go(user);
		block_write(user->volume, at * SECTOR, sector, SECTOR, 0);
	}
}

static int use(void *arg)
{
	struct user *user = arg;

	while (!user->stop) {
		uint32_t written[SECTORS];

		for (unsigned i = 0; i < 20 && !user->stop; i++) {
			write_one(user);
			fiber_sleep_always(300);
		}
		memcpy(written, user->written, sizeof(written));
		if (block_flush(user->volume))
			continue;
		memcpy(user->flushed, written, sizeof(written));
		the_attempt->flushes++;
	}
	let_go(user);
	return 0;
}

static struct volume_pv *pv_on(const struct volume_group *group, const char *disk)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->block->name, disk))
			return group->pvs[i];
	return NULL;
}

/* What moves the volume, and what does not. Once the power is off nothing of it is done. */
static void change(struct fixture *f)
{
	static const char *const tags[] = { "t" };
	const struct volume_settings settings = { .add_tags = tags, .add_count = 1 };
	struct volume_move_options options = { .from = pv_on(f->group, "d0"), .step_extents = 9 };
	uint64_t began = the_attempt->power.changes;
	uint32_t extents;

	fixture_lv(f, "b", 2);
	volume_lv_set(f->group, "a", &settings, NULL);
	volume_lv_resize(f->group, "a", 5 * EXTENT, NULL, NULL);
	volume_lv_rename(f->group, "b", "c", NULL);
	fixture_lv(f, "d", 2);
	volume_lv_resize(f->group, "a", 6 * EXTENT, NULL, NULL);
	volume_lv_remove(f->group, "d", NULL);
	the_attempt->plain = the_attempt->power.changes - began;
	if (!volume_move_begin(f->group, &options, &extents, NULL) &&
	    !volume_move_start(f->group, NULL, NULL))
		volume_move_wait(f->group, NULL, NULL, 1000000, NULL);
	volume_move_stop(f->group);
	volume_lv_remove(f->group, "c", NULL);
}

static void check(struct fixture *f, const struct user *user)
{
	CLEANUP_BLOCK struct block *volume = NULL;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &volume, &f->error), 0);
	for (uint32_t i = 0; i < SECTORS; i++) {
		uint8_t sector[SECTOR];
		uint32_t number;

		CU_ASSERT_EQUAL_FATAL(block_read(volume, i * SECTOR, sector, SECTOR), 0);
		number = get_le32(sector + 4);
		CU_ASSERT_EQUAL_FATAL(get_le32(sector), number ? i : 0);
		CU_ASSERT_FATAL(number >= user->flushed[i] && number <= user->written[i]);
	}
}

static void attempt_one(struct fixture *f)
{
	const struct volume_group_options group_options = { .extent_size = EXTENT };
	struct worn_power *power = &the_attempt->power;
	struct user user = { .f = f };
	struct volume_lv_options options = { .extents = 3, .pv_count = 1 };
	struct volume_pv *first;
	struct fiber *fiber;

	power->leases = true;
	for (unsigned i = 0; i < f->count; i++) {
		char name[] = { 'd', (char)('0' + i), '\0' };

		block_unref(f->disks[i]);
		f->disks[i] = worn_disk_create(power, name, SIZE);
	}
	fixture_create(f, &group_options);
	first = pv_on(f->group, "d0");
	options.pvs = &first;
	CU_ASSERT_EQUAL_FATAL(volume_lv_create(f->group, "a", &options, NULL, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &user.volume, &f->error), 0);
	power->slow = true;
	fiber = fiber_spawn(use, &user);
	the_attempt->changes = power->changes;
	if (the_attempt->at)
		worn_power_cut_after(power, the_attempt->at - 1);
	change(f);
	CU_ASSERT_EQUAL(power->off, the_attempt->at != 0);
	the_attempt->changes = power->changes - the_attempt->changes;
	user.stop = true;
	fiber_join(fiber);
	block_unref(user.volume);
	power->slow = false;
	worn_power_cycle(power);
	check(f, &user);
}

static void test_power_goes_beside_leases(void)
{
	bool all = getenv("TORTURE");
	struct attempt sum = { 0 };
	uint64_t step = 1;

	for (uint64_t at = 0; at <= sum.changes; at += step) {
		struct attempt attempt = { .power.random.state = 17 + at, .at = at };

		the_attempt = &attempt;
		fixture_run(attempt_one, DISKS, SIZE);
		if (!at)
			sum = attempt;
		if (at && !all)
			step = at < sum.plain ? 2 : (sum.changes - sum.plain) / 50 + 1;
		sum.leases += attempt.leases;
		sum.leased_writes += attempt.leased_writes;
		sum.flushes += attempt.flushes;
	}
	CU_ASSERT(sum.plain > 50 && sum.changes > sum.plain);
	CU_ASSERT(sum.leases > 50);
	CU_ASSERT(sum.leased_writes > 1000);
	CU_ASSERT(sum.flushes > 100);
}

UNIT_MAIN("power losses beside leases", UNIT(test_power_goes_beside_leases))
