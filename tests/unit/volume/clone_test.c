/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volume/: copies of a group's disks become a group of their own, with the power cut, or a disk failing, at every write of that. Whoever asks
 * again, with the same devices, has a whole clone then.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "util/bytes.h"
#include "volume_cuts.h"

#define EXTENT (64u << 10)
#define SIZE   (2u << 20)
#define DISKS  3u

static const struct volume_group_options group_options = { .extent_size = EXTENT };

enum { WHOLE, HALVES };

static struct volume_group *find(struct fixture *f, const char *name)
{
	struct volume_group *group = NULL;

	fixture_scan(f);
	return f->scan && !volume_scan_find(f->scan, name, &group, NULL) ? group : NULL;
}

static int clone(struct fixture *f)
{
	return volume_group_clone("copy", f->disks, f->count, &f->context, &f->error);
}

static void check_whole(struct fixture *f, char was[][VOLUME_UUID_TEXT])
{
	struct volume_group *group = find(f, "copy");
	CLEANUP_BLOCK struct block *block = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(group);
	CU_ASSERT_EQUAL(f->scan->group_count, 1);
	CU_ASSERT_PTR_NULL(group->locked_reason);
	CU_ASSERT_EQUAL(group->problem_count, 0);
	CU_ASSERT_EQUAL(group->pv_count, DISKS);
	for (unsigned i = 0; i < group->pv_count; i++) {
		CU_ASSERT_EQUAL(group->pvs[i]->tag_count, 0);
		for (unsigned k = 0; k < DISKS; k++)
			CU_ASSERT_STRING_NOT_EQUAL(group->pvs[i]->uuid, was[k]);
	}
	CU_ASSERT_STRING_NOT_EQUAL(group->uuid, was[DISKS]);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(group, "a", true, &block, &f->error), 0);
	CU_ASSERT(fixture_filled(block, 7));
}

static void attempt_one(struct fixture *f, struct cuts *cuts)
{
	char was[DISKS + 1][VOLUME_UUID_TEXT];
	struct volume_group *group;
	struct block *block;
	int rc;

	fixture_create(f, &group_options);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 3), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	block_unref(block);
	for (unsigned i = 0; i < DISKS; i++)
		memcpy(was[i], f->group->pvs[i]->uuid, VOLUME_UUID_TEXT);
	memcpy(was[DISKS], f->group->uuid, VOLUME_UUID_TEXT);
	cuts_begin(f, cuts);
	rc = clone(f);
	cuts_mend(cuts);
	worn_power_cycle(&cuts->power);
	if (!rc) {
		cuts->counts[WHOLE]++;
		check_whole(f, was);
		return;
	}
	group = find(f, "copy");
	if (group && volume_group_is_half_clone(group)) {
		cuts->counts[HALVES]++;
		CU_ASSERT_PTR_NOT_NULL(group->locked_reason);
	}
	/* a second cut on the way */
	worn_power_cut_after(&cuts->power, cuts->at * 7 % 31);
	clone(f);
	worn_power_mend(&cuts->power);
	worn_power_cycle(&cuts->power);
	rc = clone(f);
	if (rc)
		printf("at %llu: %s\n", (unsigned long long)cuts->at, f->error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	check_whole(f, was);
}

static void attempt_all(bool fails)
{
	struct cuts sum;

	cuts_run(attempt_one, DISKS, SIZE, fails, 2, &sum);
	CU_ASSERT(sum.changes > 30);
	CU_ASSERT(sum.counts[WHOLE] > 0);
	CU_ASSERT(fails || sum.counts[HALVES] > 5);
}

static void test_is_cut_off(void)
{
	attempt_all(false);
}

static void test_fails(void)
{
	attempt_all(true);
}

/* One disk does not take a header: that it has the old one still is no clone, though the group is there. */
static void a_header_is_not_written(struct fixture *f)
{
	const struct block_fault_rule broken = {
		.requests = BLOCK_FAULT_WRITE,
		.offset = 4096,
		.length = 512,
		.after = 2, /* settled, precommitted; twice it is tried */
		.count = 2,
		.action = BLOCK_FAULT_ERROR,
		.error = -EIO
	};

	fixture_put_faults(f);
	fixture_create(f, &group_options);
	block_fault_add(f->disks[1], &broken);
	CU_ASSERT_EQUAL(clone(f), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "is half a clone: d1: metadata area"));
	CU_ASSERT_EQUAL(clone(f), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(f, "copy"));
	CU_ASSERT_EQUAL(find(f, "copy")->problem_count, 0);
}

static void test_a_header_is_not_written(void)
{
	fixture_run(a_header_is_not_written, DISKS, SIZE);
}

/* What is no copy of it is told from what is. */
static void others_are_refused(struct fixture *f)
{
	struct block *one = f->disks[2], *const first[] = { f->disks[0], f->disks[1] };
	struct volume_group *other = NULL;

	f->count = 2;
	fixture_create(f, &group_options);
	f->count = 3;
	CU_ASSERT_EQUAL(volume_group_create(&other, "other", &one, 1, &group_options, &f->context,
					    &f->error),
			0);
	volume_group_unref(other);
	CU_ASSERT_EQUAL(clone(f), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_clone("copy", first, 1, &f->context, &f->error), -ENXIO);
	CU_ASSERT_EQUAL(volume_group_clone("copy", first, 2, &f->context, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_clone("copy2", first, 2, &f->context, &f->error), 0);
	CU_ASSERT_PTR_NULL(find(f, "copy"));
	CU_ASSERT_PTR_NOT_NULL(find(f, "copy2"));
}

static void test_others_are_refused(void)
{
	fixture_run(others_are_refused, 3, SIZE);
}

UNIT_MAIN("clones of groups", UNIT(test_is_cut_off), UNIT(test_fails),
	  UNIT(test_a_header_is_not_written), UNIT(test_others_are_refused))
