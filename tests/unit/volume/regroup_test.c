/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volume/: a group is split, and merged with another one, with the power cut, or a disk failing, at every write of that. "a" lies on d0,
 * "b" on d1. However it went, each volume is in one group, with its data; and what was cut short can be ended, or undone.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "util/bytes.h"
#include "volume/yield.h"
#include "volume_cuts.h"

#define EXTENT (64u << 10)
#define SIZE   (2u << 20)

static const struct volume_group_options group_options = { .extent_size = EXTENT };

static struct volume_pv *pv_on(const struct volume_group *group, const char *disk)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->block->name, disk))
			return group->pvs[i];
	return NULL;
}

static void make_on(struct volume_group *group, const char *name, const char *disk, uint64_t seed,
		    struct error *error)
{
	struct volume_pv *pv = pv_on(group, disk);
	struct volume_lv_options options = { .pvs = &pv, .pv_count = 1, .extents = 3 };
	CLEANUP_BLOCK struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(volume_lv_create(group, name, &options, NULL, error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(group, name, true, &block, error), 0);
	fixture_fill(block, seed);
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

static struct volume_group *find(const struct fixture *f, const char *name)
{
	struct volume_group *group = NULL;

	return f->scan && !volume_scan_find(f->scan, name, &group, NULL) ? group : NULL;
}

static int split(struct fixture *f)
{
	struct volume_pv *pv = pv_on(f->group, "d1");

	return volume_group_split(f->group, "vg1", &pv, 1, &f->error);
}

static int merge(struct fixture *f)
{
	return volume_group_merge(f->group, find(f, "vg1"), &f->error);
}

static bool has(const struct volume_group *group, const char *name, uint64_t seed)
{
	CLEANUP_BLOCK struct block *block = NULL;

	if (!group || !volume_group_get_lv(group, name))
		return false;
	CU_ASSERT_EQUAL(volume_open_lv((struct volume_group *)group, name, false, &block, NULL), 0);
	if (block)
		CU_ASSERT(fixture_filled(block, seed));
	return true;
}

/* ---- Cuts and failures ---- */

enum { WHOLE, HALVES, WENT_ON, UNDONE };

/* Each volume is in one group. True: "b" is in vg0. */
static bool look(struct fixture *f, struct cuts *cuts, bool merges)
{
	struct volume_group *other;
	bool one;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	other = find(f, "vg1");
	CU_ASSERT(has(f->group, "a", 1));
	one = has(f->group, "b", 2);
	CU_ASSERT_NOT_EQUAL(one, has(other, "b", 2));
	CU_ASSERT_EQUAL(f->group->pv_count, one ? 3 : 2);
	CU_ASSERT_EQUAL(one, !other);
	if (other && other->exported && merges && cuts->at % 2) {
		/* the same again goes on with it */
		CU_ASSERT_EQUAL(merge(f), 0);
		cuts->counts[WENT_ON]++;
		return look(f, cuts, merges);
	}
	if (other && other->exported) {
		cuts->counts[HALVES]++;
		CU_ASSERT_EQUAL(volume_group_set_exported(other, false, &f->error), 0);
		CU_ASSERT_EQUAL(other->tag_count, 0);
	} else if (other) {
		CU_ASSERT_PTR_NULL(other->locked_reason);
	}
	return one;
}

static void attempt_one(struct fixture *f, struct cuts *cuts, bool merges)
{
	int (*regroup)(struct fixture *) = merges ? merge : split;
	int rc;

	fixture_create(f, &group_options);
	make_on(f->group, "a", "d0", 1, &f->error);
	make_on(f->group, "b", "d1", 2, &f->error);
	if (merges)
		CU_ASSERT_EQUAL_FATAL(split(f), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	cuts_begin(f, cuts);
	rc = regroup(f);
	cuts_mend(cuts);
	/* The same process goes on, on disks of which it does not know what they hold. */
	if (rc && cuts->fails && !merges && cuts->seed % 2 && !f->group->locked_reason)
		CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), 0);
	worn_power_cycle(&cuts->power);
	if (!rc) {
		cuts->counts[WHOLE]++;
		CU_ASSERT_EQUAL(look(f, cuts, merges), merges);
		return;
	}
	/* made, though it could not be told, or undone; and done again then */
	if (look(f, cuts, merges) == merges)
		return;
	cuts->counts[UNDONE]++;
	CU_ASSERT_EQUAL(regroup(f), 0);
	CU_ASSERT_EQUAL(look(f, cuts, merges), merges);
}

static void attempt_split(struct fixture *f, struct cuts *cuts)
{
	attempt_one(f, cuts, false);
}

static void attempt_merge(struct fixture *f, struct cuts *cuts)
{
	attempt_one(f, cuts, true);
}

static void attempt_all(bool merges, bool fails)
{
	struct cuts sum;

	cuts_run(merges ? attempt_merge : attempt_split, 3, SIZE, fails, 2, &sum);
	CU_ASSERT(sum.changes > 20);
	CU_ASSERT(sum.counts[WHOLE] > 0);
	CU_ASSERT(sum.counts[UNDONE] > 5);
	CU_ASSERT(fails || sum.counts[HALVES] > 2);
	CU_ASSERT(fails || !merges || sum.counts[WENT_ON] > 2);
}

static void test_split_is_cut_off(void)
{
	attempt_all(false, false);
}

static void test_merge_is_cut_off(void)
{
	attempt_all(true, false);
}

static void test_split_fails(void)
{
	attempt_all(false, true);
}

static void test_merge_fails(void)
{
	attempt_all(true, true);
}

/* ---- Into a group that is there ---- */

static void make_two(struct fixture *f)
{
	struct volume_pv *pv;

	fixture_create(f, &group_options);
	make_on(f->group, "a", "d0", 1, &f->error);
	make_on(f->group, "b", "d1", 2, &f->error);
	make_on(f->group, "c", "d2", 3, &f->error);
	pv = pv_on(f->group, "d2");
	CU_ASSERT_EQUAL_FATAL(volume_group_split(f->group, "vg1", &pv, 1, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

/* "vg1" has d2 with "c", and gets d1 with "b". */
static int split_into(struct fixture *f)
{
	struct volume_pv *pv = pv_on(f->group, "d1");

	return pv ? volume_group_split_into(f->group, find(f, "vg1"), &pv, 1, &f->error) : -ENOENT;
}

/* What is on its way, under the name that it has for the moment. */
static struct volume_group *find_between(const struct fixture *f)
{
	for (unsigned i = 0; i < f->scan->group_count; i++)
		if (!strncmp(f->scan->groups[i]->name, "split_", 6))
			return f->scan->groups[i];
	return NULL;
}

/* Ends what was cut short; true: "b" is in vg1. */
static bool look_into(struct fixture *f, struct cuts *cuts)
{
	struct volume_group *between;
	bool there;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT(has(f->group, "a", 1));
	CU_ASSERT(has(find(f, "vg1"), "c", 3));
	between = find_between(f);
	if (between) {
		cuts->counts[HALVES]++;
		CU_ASSERT(between->exported);
		CU_ASSERT(has(between, "b", 2));
		/* Where it was on its way into vg1 already, the merge goes on. */
		if (volume_group_merge(find(f, "vg1"), between, &f->error)) {
			CU_ASSERT_EQUAL(volume_group_set_exported(between, false, &f->error), 0);
			CU_ASSERT_EQUAL(volume_group_merge(find(f, "vg1"), between, &f->error), 0);
		} else {
			cuts->counts[WENT_ON]++;
		}
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
	there = has(find(f, "vg1"), "b", 2);
	CU_ASSERT_NOT_EQUAL(there, has(f->group, "b", 2));
	CU_ASSERT_EQUAL(f->scan->group_count, 2);
	CU_ASSERT_EQUAL(f->group->pv_count, there ? 1 : 2);
	CU_ASSERT_EQUAL(find(f, "vg1")->pv_count, there ? 2 : 1);
	return there;
}

static void attempt_into(struct fixture *f, struct cuts *cuts)
{
	int rc;

	make_two(f);
	cuts_begin(f, cuts);
	rc = split_into(f);
	cuts_mend(cuts);
	worn_power_cycle(&cuts->power);
	cuts->counts[WHOLE] += !rc;
	if (look_into(f, cuts))
		return;
	CU_ASSERT_NOT_EQUAL(rc, 0);
	cuts->counts[UNDONE]++;
	CU_ASSERT_EQUAL(split_into(f), 0);
	CU_ASSERT(look_into(f, cuts));
}

static void attempt_all_into(bool fails)
{
	struct cuts sum;

	cuts_run(attempt_into, 3, SIZE, fails, 1, &sum);
	CU_ASSERT(sum.changes > 20);
	CU_ASSERT(sum.counts[WHOLE] > 0);
	CU_ASSERT(sum.counts[UNDONE] > 3);
	CU_ASSERT(fails || sum.counts[HALVES] > 4);
	CU_ASSERT(fails || sum.counts[WENT_ON] > 1);
}

static void test_split_into_is_cut_off(void)
{
	attempt_all_into(false);
}

static void test_split_into_fails(void)
{
	attempt_all_into(true);
}

/* What a merge would refuse is refused before anything is written. */
static void into_is_refused(struct fixture *f)
{
	struct volume_group *other;
	struct volume_pv *pv;
	uint32_t seqnos[2];

	make_two(f);
	other = find(f, "vg1");
	CU_ASSERT_EQUAL_FATAL(volume_lv_rename(other, "c", "b", &f->error), 0);
	seqnos[0] = f->group->seqno;
	seqnos[1] = other->seqno;
	CU_ASSERT_EQUAL(split_into(f), -EEXIST);
	pv = pv_on(f->group, "d1");
	CU_ASSERT_EQUAL(volume_group_split_into(f->group, f->group, &pv, 1, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_set_exported(other, true, &f->error), 0);
	seqnos[1] = other->seqno;
	CU_ASSERT_EQUAL(split_into(f), -EROFS);
	CU_ASSERT_EQUAL(f->group->seqno, seqnos[0]);
	CU_ASSERT_EQUAL(other->seqno, seqnos[1]);
	CU_ASSERT_EQUAL(volume_group_set_exported(other, false, &f->error), 0);
	CU_ASSERT_EQUAL(volume_lv_rename(other, "b", "c", &f->error), 0);
	/* what was refused has left nothing behind in memory */
	CU_ASSERT_EQUAL(fixture_lv(f, "later", 2), 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "later", &f->error), 0);
	CU_ASSERT_EQUAL(split_into(f), 0);
	CU_ASSERT_EQUAL(other->pv_count, 2);
	CU_ASSERT(has(other, "b", 2));
	CU_ASSERT_EQUAL(volume_lv_rename(other, "b", "bb", &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->scan->group_count, 2);
	CU_ASSERT(has(find(f, "vg1"), "bb", 2));
	CU_ASSERT_EQUAL(find(f, "vg1")->problem_count, 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void test_into_is_refused(void)
{
	fixture_run(into_is_refused, 3, SIZE);
}

/* A merge that goes on, on disks that then take nothing more: what goes is exported all the while. */
static void going_on_fails(struct fixture *f)
{
	const struct block_fault_rule broken = { .requests = BLOCK_FAULT_WRITE,
						 .length = SIZE,
						 .action = BLOCK_FAULT_ERROR,
						 .error = -EIO };
	struct volume_group *other;

	fixture_put_faults(f);
	fixture_create(f, &group_options);
	make_on(f->group, "b", "d1", 2, &f->error);
	CU_ASSERT_EQUAL_FATAL(split(f), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	other = find(f, "vg1");
	CU_ASSERT_EQUAL_FATAL(lvm_yield_set(other, f->group->uuid), 0);
	CU_ASSERT_EQUAL_FATAL(volume_group_set_exported(other, true, &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	other = find(f, "vg1");
	block_fault_add(f->disks[0], &broken);
	CU_ASSERT_EQUAL(merge(f), -EIO);
	CU_ASSERT(lvm_vg_locks(other) & LVM_LOCK_BIT(LVM_LOCK_EXPORTED));
	block_fault_clear(f->disks[0]);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(merge(f), 0);
	CU_ASSERT(has(f->group, "b", 2));
}

static void test_going_on_fails(void)
{
	fixture_run(going_on_fails, 3, SIZE);
}

/* As many tags as fill a third of a metadata area. */
static void put_tags(struct volume_group *group, const char *name, struct error *error)
{
	static char tags[300][1000];
	const char *list[300];
	struct volume_settings settings = { .add_tags = list, .add_count = 300 };

	for (unsigned i = 0; i < 300; i++) {
		memset(tags[i], 'a' + (int)(i % 26), sizeof(tags[i]));
		snprintf(tags[i], sizeof(tags[i]), "%u", i);
		tags[i][strlen(tags[i])] = '_';
		tags[i][sizeof(tags[i]) - 1] = '\0';
		list[i] = tags[i];
	}
	CU_ASSERT_EQUAL_FATAL(volume_lv_set(group, name, &settings, error), 0);
}

/* Where there is no room for the metadata of both nothing is exported for it either. */
static void has_no_room(struct fixture *f)
{
	struct volume_group *other;
	uint32_t seqno;

	make_two(f);
	other = find(f, "vg1");
	put_tags(f->group, "b", &f->error);
	put_tags(other, "c", &f->error);
	seqno = f->group->seqno;
	CU_ASSERT_EQUAL(split_into(f), -ENOSPC);
	CU_ASSERT_EQUAL(f->group->seqno, seqno);
	seqno = other->seqno;
	CU_ASSERT_EQUAL(volume_group_merge(f->group, other, &f->error), -ENOSPC);
	CU_ASSERT_EQUAL(other->seqno, seqno);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->scan->group_count, 2);
	CU_ASSERT_EQUAL(f->group->pv_count, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(f, "vg1"));
	CU_ASSERT_PTR_NULL(find(f, "vg1")->locked_reason);
}

static void test_no_room(void)
{
	fixture_run(has_no_room, 3, SIZE);
}

/* ---- Refusals ---- */

static void is_refused(struct fixture *f)
{
	struct volume_lv_options striped = { .extents = 4, .stripes = 2, .stripe_size = 8192 };
	struct volume_group *other;
	struct volume_pv *pvs[3];
	struct block *block;
	uint32_t seqno;

	fixture_create(f, &group_options);
	make_on(f->group, "a", "d0", 1, &f->error);
	make_on(f->group, "b", "d1", 2, &f->error);
	for (unsigned i = 0; i < 3; i++)
		pvs[i] = f->group->pvs[i];
	seqno = f->group->seqno;
	CU_ASSERT_EQUAL(volume_group_split(f->group, "vg1", pvs, 3, &f->error), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_split(f->group, "-", pvs, 1, &f->error), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_split(f->group, "vg1", pvs, 1, &f->error), -EBUSY);
	CU_ASSERT_EQUAL(f->group->seqno, seqno);
	/* another one may be in use */
	CU_ASSERT_EQUAL(split(f), 0);
	CU_ASSERT(fixture_filled(block, 1));
	block_unref(block);
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "s", &striped, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_split(f->group, "vg2", f->group->pvs, 1, &f->error), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "vg0/"));

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	other = find(f, "vg1");
	CU_ASSERT_EQUAL(volume_group_merge(f->group, f->group, &f->error), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(other, "b", true, &block, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_merge(f->group, other, &f->error), -EBUSY);
	block_unref(block);
	CU_ASSERT_EQUAL(volume_lv_rename(other, "b", "a", &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_merge(f->group, other, &f->error), -EEXIST);
	CU_ASSERT_PTR_NULL(other->locked_reason);
	CU_ASSERT_EQUAL(volume_lv_rename(other, "a", "b", &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_merge(f->group, other, &f->error), 0);
	CU_ASSERT(fixture_filled(block, 1));
	block_unref(block);
	CU_ASSERT_EQUAL(volume_lv_create(other, "x", &striped, NULL, &f->error), -EROFS);
	CU_ASSERT(has(f->group, "b", 2));
	CU_ASSERT_EQUAL(fixture_lv(f, "later", 2), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->scan->group_count, 1);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void test_is_refused(void)
{
	fixture_run(is_refused, 3, SIZE);
}

UNIT_MAIN("splitting and merging groups", UNIT(test_is_refused), UNIT(test_split_is_cut_off),
	  UNIT(test_merge_is_cut_off), UNIT(test_split_fails), UNIT(test_merge_fails),
	  UNIT(test_into_is_refused), UNIT(test_no_room), UNIT(test_going_on_fails),
	  UNIT(test_split_into_is_cut_off), UNIT(test_split_into_fails))
