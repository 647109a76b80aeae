/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: a group gets another UUID, with the power cut, or a disk failing, at every write of that; and the system ID of a host. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "volume_cuts.h"

#define EXTENT (64u << 10)
#define SIZE   (2u << 20)
#define DISKS  3u

static const struct volume_group_options group_options = { .extent_size = EXTENT };

enum { NEW, OLD, HALF };

static void make(struct fixture *f)
{
	CLEANUP_BLOCK struct block *block = NULL;

	fixture_create(f, &group_options);
	CU_ASSERT_EQUAL_FATAL(fixture_lv(f, "a", 3), 0);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
	fixture_fill(block, 7);
	CU_ASSERT_EQUAL(block_flush(block), 0);
}

/* All of the group is there, once, and none of its devices is anybody else's. */
static void check(struct fixture *f)
{
	CLEANUP_BLOCK struct block *block = NULL;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->scan->group_count, 1);
	CU_ASSERT_FALSE(f->group->partial);
	CU_ASSERT_EQUAL(f->group->pv_count, DISKS);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &block, &f->error), 0);
	CU_ASSERT(fixture_filled(block, 7));
}

static void change_uuid(struct fixture *f, struct cuts *cuts)
{
	char was[VOLUME_UUID_TEXT];
	bool new;
	int rc;

	memcpy(was, f->group->uuid, sizeof(was));
	cuts_begin(f, cuts);
	rc = volume_group_renew_uuid(f->group, &f->error);
	cuts_mend(cuts);
	worn_power_cycle(&cuts->power);
	check(f);
	new = strcmp(f->group->uuid, was) != 0;
	CU_ASSERT(new || rc);
	cuts->counts[new ? NEW : OLD]++;
	if (f->group->exported) {
		CU_ASSERT(rc && !new);
		cuts->counts[HALF]++;
		CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), 0);
	}
	CU_ASSERT_EQUAL(f->group->tag_count, 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	memcpy(was, f->group->uuid, sizeof(was));
	CU_ASSERT_EQUAL(volume_group_renew_uuid(f->group, &f->error), 0);
	CU_ASSERT_STRING_NOT_EQUAL(f->group->uuid, was);
	CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), 0);
	check(f);
	CU_ASSERT_STRING_NOT_EQUAL(f->group->uuid, was);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void attempt_uuid(struct fixture *f, struct cuts *cuts)
{
	make(f);
	change_uuid(f, cuts);
}

/* One device has no metadata: only what is on the others tells whose it is, whichever of the two UUIDs is looked at first. */
static void attempt_without_area(struct fixture *f, struct cuts *cuts)
{
	make(f);
	fixture_ignore_area(f, DISKS - 1);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	for (uint64_t i = 1; i < cuts->seed; i++)
		CU_ASSERT_EQUAL(volume_group_renew_uuid(f->group, &f->error), 0);
	change_uuid(f, cuts);
}

static void test_device_without_area(void)
{
	struct cuts sum;

	cuts_run(attempt_without_area, DISKS, SIZE, false, 3, &sum);
	CU_ASSERT(sum.counts[NEW] > 2);
	CU_ASSERT(sum.counts[HALF] > 2);
}

static void test_uuid_is_cut_off(void)
{
	struct cuts sum;

	cuts_run(attempt_uuid, DISKS, SIZE, false, 2, &sum);
	CU_ASSERT(sum.changes > 20);
	CU_ASSERT(sum.counts[NEW] > 2);
	CU_ASSERT(sum.counts[OLD] > 5);
	CU_ASSERT(sum.counts[HALF] > 2);
}

static void test_uuid_fails(void)
{
	struct cuts sum;

	cuts_run(attempt_uuid, DISKS, SIZE, true, 2, &sum);
	CU_ASSERT(sum.counts[NEW] > 2);
	CU_ASSERT(sum.counts[OLD] > 2);
}

/* ---- The host's ---- */

static void attempt_system_id(struct fixture *f, struct cuts *cuts)
{
	int rc;

	make(f);
	cuts_begin(f, cuts);
	rc = volume_group_set_system_id(f->group, "host-1", &f->error);
	cuts_mend(cuts);
	CU_ASSERT_EQUAL(!f->group->system_id, rc != 0);
	CU_ASSERT_EQUAL(!f->group->locked_reason, rc != 0);
	worn_power_cycle(&cuts->power);
	check(f);
	if (!f->group->system_id) {
		CU_ASSERT_NOT_EQUAL(rc, 0);
		cuts->counts[OLD]++;
		CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "host-1", &f->error), 0);
	}
	CU_ASSERT_STRING_EQUAL(f->group->system_id, "host-1");
	cuts_begin(f, cuts);
	rc = volume_group_set_system_id(f->group, "", &f->error);
	cuts_mend(cuts);
	CU_ASSERT_EQUAL(!f->group->system_id, rc == 0);
	CU_ASSERT_EQUAL(!f->group->locked_reason, rc == 0);
	worn_power_cycle(&cuts->power);
	check(f);
	cuts->counts[HALF] += f->group->system_id != NULL;
}

static void test_system_id_is_cut_off(void)
{
	struct cuts sum;

	cuts_run(attempt_system_id, DISKS, SIZE, false, 2, &sum);
	CU_ASSERT(sum.changes > 5);
	CU_ASSERT(sum.counts[OLD] > 2);
	CU_ASSERT(sum.counts[HALF] > 2);
}

static void host_of_a_group(struct fixture *f)
{
	static const char *const bad[] = { ".x",   "-x",        "a b",     "a\nb",
					   "a\"b", "localhost", "\xc3\xa4" };
	CLEANUP_BLOCK struct block *block = NULL;
	struct block *other;

	make(f);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, bad[i], &f->error), -EINVAL);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "", &f->error), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(volume_open_lv(f->group, "a", false, &block, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "one", &f->error), -EBUSY);
	CU_ASSERT_EQUAL(volume_group_renew_uuid(f->group, &f->error), -EBUSY);
	block_unref(steal_pointer(&block));
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "one", &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "one", &f->error), -EINVAL);
	/* It is another host's from then on, here and after a scan. */
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), -EROFS);
		CU_ASSERT_EQUAL(volume_group_renew_uuid(f->group, &f->error), -EROFS);
		CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &other, &f->error), -EROFS);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "two", &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "", &f->error), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &block, &f->error), 0);
}

static void test_host(void)
{
	fixture_run(host_of_a_group, DISKS, SIZE);
}

/* Nothing that is in the way, too, is hidden behind it, and it is what can be ended first. */
static void hides_nothing(struct fixture *f)
{
	struct block *gone;

	make(f);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, true, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "one", &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "one", &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, true, &f->error), -EROFS);
	gone = f->disks[--f->count];
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT(f->group->partial);
	/* what may be done without them may not be done with another host's, nor may another host be given it */
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, false, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "--systemid"));
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "two", &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "", &f->error), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), -EROFS);
		CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "missing"));
		CU_ASSERT(f->group->pvs[f->count]->marked_missing);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	}
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, false, &f->error), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), 0);
	f->disks[f->count++] = gone;
}

static void test_hides_nothing(void)
{
	fixture_run(hides_nothing, DISKS, SIZE);
}

/* As another LVM2 may have written it. */
static void make_of_host(struct fixture *f, const char *status)
{
	CLEANUP_FREE char *text = NULL, *other = NULL;

	make(f);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "one", &f->error), 0);
	CU_ASSERT_EQUAL_FATAL(volume_group_text(f->group, &text, &f->error), 0);
	other = fixture_replace(text, "status = [\"RESIZEABLE\"", status);
	for (unsigned i = 0; i < DISKS; i++)
		fixture_put_text(f, i, other);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
}

static void both_of_lvm2(struct fixture *f)
{
	struct block *gone;

	make_of_host(f, "status = [\"EXPORTED\", \"RESIZEABLE\"");
	CU_ASSERT(f->group->exported);
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "system ID"));
	gone = f->disks[--f->count];
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "", &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, false, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "vg import"));
	CU_ASSERT_EQUAL(volume_group_set_exported(f->group, false, &f->error), -EROFS);
	CU_ASSERT_EQUAL(volume_group_import_partial(f->group, &f->error), 0);
	CU_ASSERT_EQUAL(volume_group_remove_missing(f->group, false, &f->error), 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_EQUAL(fixture_lv(f, "later", 1), 0);
	f->disks[f->count++] = gone;
}

static void test_both(void)
{
	fixture_run(both_of_lvm2, DISKS, SIZE);
}

/* Of a kind that is not known here, and another host's: it stays the first. */
static void of_another_kind(struct fixture *f)
{
	make_of_host(f, "status = [\"CLUSTERED\", \"RESIZEABLE\"");
	CU_ASSERT_EQUAL(volume_group_set_system_id(f->group, "", &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "CLUSTERED"));
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(f->group->system_id);
}

static void test_of_another_kind(void)
{
	fixture_run(of_another_kind, DISKS, SIZE);
}

UNIT_MAIN("which group it is, and whose", UNIT(test_uuid_is_cut_off), UNIT(test_uuid_fails),
	  UNIT(test_device_without_area), UNIT(test_system_id_is_cut_off), UNIT(test_host),
	  UNIT(test_hides_nothing), UNIT(test_both), UNIT(test_of_another_kind))
