/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volume/: the power goes at every change of a disk, from the first write of a move's beginning to the last of its end, while
 * a user writes and flushes. Each block holds a number that grows with each write of it; after a cut it must be one that
 * was written since the last flush, or that of the flush. Then the move is carried on, or undone, or cut off again. TORTURE=1
 * tries more seeds.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "moved_volumes.h"
#include "volume/volume_move.h"
#include "worn_disk.h"

struct campaign {
	struct worn_power power;
	struct moved_user user;
	const char *volume; /* that is used */
	uint64_t cut;       /* the change that is cut off; 0: none */
	uint64_t changes;   /* of the whole */
	bool done;
};

static int move_all(struct fixture *f)
{
	struct volume_move_options options = { .step_extents = 3,
					       .from = moved_pv_on(f->group, "d0") };
	uint32_t extents;
	int rc = volume_move_begin(f->group, &options, &extents, &f->error);

	if (!rc)
		rc = volume_move_start(f->group, NULL, &f->error);
	if (!rc)
		rc = volume_move_wait(f->group, NULL, NULL, 1000000, &f->error);
	volume_move_stop(f->group);
	return rc;
}

/* With its user beside it, until the power goes or all is done. */
static int move_while_used(struct fixture *f, struct campaign *campaign,
			   int (*move)(struct fixture *))
{
	struct moved_user *user = &campaign->user;
	struct fiber *fiber;
	int rc;

	user->stop = false;
	user->rc = 0;
	CU_ASSERT_EQUAL_FATAL(
		volume_open_lv(f->group, campaign->volume, true, &user->block, &f->error), 0);
	fiber = fiber_spawn(moved_user_run, user);
	rc = move(f);
	user->stop = true;
	fiber_join(fiber);
	block_unref(user->block);
	return rc;
}

static int carry_on(struct fixture *f)
{
	int rc = volume_move_start(f->group, NULL, &f->error);

	if (!rc)
		rc = volume_move_wait(f->group, NULL, NULL, 1000000, &f->error);
	volume_move_stop(f->group);
	return rc;
}

static int undo(struct fixture *f)
{
	struct volume_move_status status;

	volume_move_status(f->group, &status);
	return status.half_done ? volume_move_abort(f->group, &f->error) : 0;
}

static void say(const struct campaign *campaign, const struct fixture *f, const char *what)
{
	printf("%s, cut at %llu of %llu: %s: %s\n", campaign->volume,
	       (unsigned long long)campaign->cut, (unsigned long long)campaign->changes, what,
	       f->error.text);
	CU_FAIL("see the cut");
}

static void look_again(struct fixture *f, struct campaign *campaign, const char *when)
{
	struct moved_user *user = &campaign->user;
	struct block *block;

	worn_power_cycle(&campaign->power);
	if (fixture_scan(f) || f->group->locked_reason) {
		say(campaign, f, when);
		return;
	}
	if (volume_open_lv(f->group, campaign->volume, true, &block, &f->error)) {
		say(campaign, f, when);
		return;
	}
	user->rc = 0;
	user->block = block;
	if (user->wrong || !moved_user_is_kept(user, block))
		say(campaign, f, when);
	block_unref(block);
}

static struct campaign *the_campaign;

static void one_cut(struct fixture *f)
{
	struct campaign *campaign = the_campaign;
	uint64_t before;
	int rc;

	for (unsigned i = 0; i < f->count; i++) {
		char name[] = { 'd', (char)('0' + i), '\0' };

		block_unref(f->disks[i]);
		f->disks[i] = worn_disk_create(&campaign->power, name, MOVED_DISK);
	}
	moved_create(f);
	before = campaign->power.changes;
	if (campaign->cut)
		worn_power_cut_after(&campaign->power, campaign->cut);
	rc = move_while_used(f, campaign, move_all);
	if (!campaign->cut) {
		CU_ASSERT_EQUAL(rc, 0);
		campaign->changes = campaign->power.changes - before;
	}
	look_again(f, campaign, "after the cut");
	/* a second one on the way, of every other */
	if (campaign->cut & 1) {
		worn_power_cut_after(&campaign->power, campaign->cut * 7 % 61);
		move_while_used(f, campaign, carry_on);
		look_again(f, campaign, "after the second cut");
	}
	if (f->group && move_while_used(f, campaign, campaign->cut & 2 ? undo : carry_on))
		say(campaign, f, "it does not end");
	look_again(f, campaign, "at the end");
	if (f->group)
		CU_ASSERT_EQUAL(f->group->lv_count, 3);
}

static void cut_everywhere(const char *volume, uint64_t seed, uint64_t stride)
{
	uint64_t changes = 0;

	for (uint64_t cut = 0; cut <= changes; cut += cut ? stride : 1 + seed % stride) {
		struct campaign campaign = { .power.random.state = seed * 1000003 + cut,
					     .user.random.state = seed + cut,
					     .volume = volume,
					     .cut = cut,
					     .changes = changes };

		the_campaign = &campaign;
		fixture_run(one_cut, 4, MOVED_DISK);
		if (!cut)
			changes = campaign.changes;
	}
	CU_ASSERT(changes > 100);
}

static void test_power_is_cut_at_every_write(void)
{
	uint64_t seeds = getenv("TORTURE") ? 40 : 1;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		cut_everywhere("a", seed, seeds > 1 ? 1 : 5);
		cut_everywhere("s", seed, seeds > 1 ? 1 : 5);
	}
}

UNIT_MAIN("moving volumes while the power goes", UNIT(test_power_is_cut_at_every_write))
