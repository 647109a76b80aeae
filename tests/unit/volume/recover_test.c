/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: what survives: cuts of power, failing disks, stale and damaged metadata, missing PVs. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/fault.h"
#include "block/volatile.h"
#include "util/bytes.h"
#include "volume/lvm_io.h"
#include "volume/lvm_metadata_area.h"
#include "volume_fixture.h"

static bool has_problem(const struct volume_group *group, const char *text)
{
	for (unsigned i = 0; i < group->problem_count; i++)
		if (strstr(group->problems[i], text))
			return true;
	return false;
}

/* A finding of damage with what was found and what was expected. */
static bool has_finding(const struct volume_check *check, const char *device, uint64_t offset,
			const char *what)
{
	for (unsigned i = 0; i < check->count; i++) {
		const struct volume_finding *finding = &check->findings[i];

		if (finding->severity == VOLUME_DAMAGED && !strcmp(finding->device, device) &&
		    finding->offset == offset && !strcmp(finding->what, what))
			return finding->found && finding->expected &&
			       strcmp(finding->found, finding->expected);
	}
	return false;
}

static void flip_byte(struct block *block, uint64_t offset)
{
	uint8_t byte;

	CU_ASSERT_EQUAL(lvm_read(block, offset, &byte, 1, NULL), 0);
	byte ^= 0x40;
	CU_ASSERT_EQUAL(lvm_write(block, offset, &byte, 1, NULL), 0);
}

static uint64_t committed_text(struct block *block)
{
	struct lvm_location where = { .offset = 4096 };
	struct lvm_metadata_area area;

	CU_ASSERT_EQUAL_FATAL(lvm_metadata_area_read(block, &where, &area, NULL), 0);
	return area.start + area.committed.offset;
}

/* ---- Cuts of power ---- */

/* Puts a volatile cache on each disk, so that the rest of the fixture works through it. */
static void make_volatile(struct fixture *f, struct block *below[])
{
	for (unsigned i = 0; i < f->count; i++) {
		below[i] = f->disks[i];
		CU_ASSERT_EQUAL_FATAL(block_create_volatile(&f->disks[i], "v", below[i], NULL), 0);
		block_unref(below[i]); /* the layer holds it */
	}
}

/* One change; the power of both disks goes when disk `victim` has had `after` more requests. Returns
 * whether it went. */
static bool change_with_cut(struct fixture *f, unsigned victim, uint64_t after, uint64_t seed)
{
	bool cut;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	block_volatile_cut_after(f->disks[victim], after, seed);
	fixture_lv(f, "new", 3);
	cut = block_volatile_is_off(f->disks[victim]);
	block_volatile_cut_after(f->disks[victim], UINT64_MAX, 0);
	for (unsigned i = 0; cut && i < f->count; i++) {
		if (!block_volatile_is_off(f->disks[i]))
			CU_ASSERT_EQUAL(block_volatile_power_cut(f->disks[i], seed + i), 0);
		block_volatile_power_on(f->disks[i]);
	}
	return cut;
}

/* Returns whether the change had happened. */
static bool check_after_cut(struct fixture *f, uint32_t seqno)
{
	struct volume_lv *lv;

	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_FALSE(f->group->partial);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT(f->group->seqno == seqno || f->group->seqno == seqno + 1);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "old"));
	lv = volume_group_get_lv(f->group, "new");
	CU_ASSERT_EQUAL(!!lv, f->group->seqno == seqno + 1);
	/* and the group can be changed: this repairs areas that stayed behind */
	if (lv)
		CU_ASSERT_EQUAL(volume_lv_remove(f->group, "new", NULL), 0)
	else
		CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old", "old1", NULL), 0);
	if (!lv)
		CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old1", "old", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	return lv;
}

static void power_cut_at_every_request(struct fixture *f)
{
	struct block *below[FIXTURE_DISKS];
	unsigned cuts = 0, changed = 0;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 3), 0);
	volume_scan_free(steal_pointer(&f->scan));
	make_volatile(f, below);
	for (unsigned victim = 0; victim < f->count; victim++) {
		for (uint64_t seed = 1; seed <= 8; seed++) {
			bool cut = true;

			for (uint64_t after = 0; cut; after++) {
				uint32_t seqno;

				CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
				seqno = f->group->seqno;
				cut = change_with_cut(f, victim, after, seed * 1000 + after);
				changed += check_after_cut(f, seqno) && cut;
				cuts += cut;
			}
		}
	}
	CU_ASSERT(cuts >= 2 * 8 * 7); /* clearing and three phases of write and flush */
	CU_ASSERT(changed > 0 && changed < cuts / 2);
}

static void test_power_cut_at_every_request(void)
{
	fixture_run(power_cut_at_every_request, 2, 16 * MIB);
}

static void power_cut_while_a_group_is_made(struct fixture *f)
{
	struct volume_group_options options = { .extent_size = MIB, .metadata_copies = 2 };
	struct block *below[FIXTURE_DISKS];
	bool cut = true;

	make_volatile(f, below);
	for (uint64_t after = 0; cut; after++) {
		struct volume_group *group = NULL;
		struct error error = { 0 };
		int r;

		block_volatile_cut_after(f->disks[0], after, after);
		r = volume_group_create(&group, "vg0", f->disks, f->count, &options, &f->context,
					&error);
		volume_group_unref(group);
		cut = block_volatile_is_off(f->disks[0]);
		CU_ASSERT(!r || cut);
		block_volatile_cut_after(f->disks[0], UINT64_MAX, 0);
		block_volatile_power_on(f->disks[0]);
		if (!cut)
			break;
		/* what is said to be made is there, on the other disk at least; else nothing stands in
		 * the way of the next try */
		CU_ASSERT(r || !fixture_scan(f));
		if (!fixture_scan(f)) {
			CU_ASSERT_FALSE(f->group->partial);
			CU_ASSERT_EQUAL(volume_group_remove(f->group, NULL), 0);
		}
		volume_scan_free(steal_pointer(&f->scan));
	}
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
}

/* With the last area the group is gone, and the devices are free; before that it is there. */
static void power_cut_while_a_group_is_removed(struct fixture *f)
{
	struct volume_group_options options = { .extent_size = MIB, .metadata_copies = 2 };
	struct block *below[FIXTURE_DISKS];
	unsigned gone = 0;
	bool cut = true;

	make_volatile(f, below);
	for (uint64_t after = 0; cut; after++) {
		int r;

		if (fixture_scan(f))
			fixture_create(f, &options);
		block_volatile_cut_after(f->disks[1], after, after);
		r = volume_group_remove(f->group, &f->error);
		cut = block_volatile_is_off(f->disks[1]);
		CU_ASSERT_EQUAL(r != 0, cut);
		CU_ASSERT(!r || strstr(f->error.text, "not removed") ||
			  strstr(f->error.text, "unknown whether"));
		block_volatile_cut_after(f->disks[1], UINT64_MAX, 0);
		block_volatile_power_on(f->disks[1]);
		volume_scan_free(steal_pointer(&f->scan));
		r = fixture_scan(f);
		gone += r == -ENOENT;
		if (!r) {
			CU_ASSERT_FALSE(f->group->partial);
			CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
			CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", NULL), 0);
		}
	}
	CU_ASSERT(gone > 0);
}

static void test_power_cut_while_a_group_is_removed(void)
{
	fixture_run(power_cut_while_a_group_is_removed, 2, 16 * MIB);
}

static void test_power_cut_while_a_group_is_made(void)
{
	fixture_run(power_cut_while_a_group_is_made, 2, 16 * MIB);
}

/* ---- Failing disks ---- */

/* Every request of a commit on disk 0 fails once. */
static void errors_at_every_request(struct fixture *f)
{
	struct block *disk = f->disks[0], *faulty;
	bool failed = true;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&faulty, "faulty", disk, 1, NULL), 0);
	f->disks[0] = faulty;
	block_unref(disk);
	for (uint64_t after = 0; failed; after++) {
		uint32_t seqno;
		int rule, r;

		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		seqno = f->group->seqno;
		rule = block_fault_add(faulty,
				       &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES |
									       BLOCK_FAULT_FLUSH,
								   .after = after,
								   .count = 1,
								   .action = BLOCK_FAULT_ERROR,
								   .error = -EIO });
		r = fixture_lv(f, "new", 1);
		failed = block_fault_hits(faulty, rule);
		block_fault_remove(faulty, rule);
		CU_ASSERT(r == 0 || r == -EIO);
		/* memory says what the disks say */
		CU_ASSERT_EQUAL(f->group->seqno, r ? seqno : seqno + 1);
		CU_ASSERT_EQUAL(!!volume_group_get_lv(f->group, "new"), !r);
		CU_ASSERT_EQUAL(f->group->free_extents, r ? 30 : 29);
		CU_ASSERT_EQUAL_FATAL(fixture_scan(f), 0);
		CU_ASSERT_EQUAL(f->group->seqno, r ? seqno : seqno + 1);
		if (!r)
			CU_ASSERT_EQUAL(volume_lv_remove(f->group, "new", NULL), 0);
	}
}

static void test_errors_at_every_request(void)
{
	fixture_run(errors_at_every_request, 2, 16 * MIB);
}

/* ---- Damage ---- */

static void the_newest_metadata_wins(struct fixture *f)
{
	struct block *disk;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	/* disk 1 sleeps through a change */
	disk = f->disks[1];
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&f->disks[1], "asleep", disk, 1, NULL), 0);
	block_unref(disk);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	block_fault_add(f->disks[1], &(struct block_fault_rule){ .requests = BLOCK_FAULT_CHANGES |
									     BLOCK_FAULT_FLUSH,
								 .action = BLOCK_FAULT_LOST });
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	block_fault_clear(f->disks[1]);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 3);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "b"));
	CU_ASSERT(has_problem(f->group, "has sequence number 2, the group is at 3"));
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void test_the_newest_metadata_wins(void)
{
	fixture_run(the_newest_metadata_wins, 2, 16 * MIB);
}

static void damaged_areas_are_repaired(struct fixture *f)
{
	struct volume_check *check;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	flip_byte(f->disks[0], committed_text(f->disks[0]) + 100);
	flip_byte(f->disks[1], 4096 + 30); /* its header */
	CU_ASSERT_EQUAL(volume_pv_check(f->disks, 3, &check, NULL), 0);
	CU_ASSERT_EQUAL(check->worst, VOLUME_DAMAGED);
	CU_ASSERT(
		has_finding(check, "d0", committed_text(f->disks[0]), "metadata area 1: text CRC"));
	CU_ASSERT(has_finding(check, "d1", 4096, "metadata area 1: header CRC"));
	volume_check_free(check);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT(has_problem(f->group, "d0: the metadata area at byte 4096 has no valid"));
	CU_ASSERT(has_problem(f->group, "d1: the header of the metadata area at byte 4096"));
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "a"));
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL(volume_pv_check(f->disks, 3, &check, NULL), 0);
	CU_ASSERT_EQUAL(check->worst, VOLUME_FINE);
	volume_check_free(check);
}

static void test_damaged_areas_are_repaired(void)
{
	fixture_run(damaged_areas_are_repaired, 3, 16 * MIB);
}

static void no_valid_text_is_no_group(struct fixture *f)
{
	struct volume_check *check;

	fixture_create(f, NULL);
	flip_byte(f->disks[0], committed_text(f->disks[0]) + 100);
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	CU_ASSERT(f->scan->devices[0].is_pv);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->scan->devices[0].problem);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(f->scan->devices[0].problem, "metadata text at byte 4608: CRC"));
	flip_byte(f->disks[0], 512 + 40);
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	CU_ASSERT_FALSE(f->scan->devices[0].is_pv);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->scan->devices[0].problem, "LVM2 label at byte 512: CRC"));
	CU_ASSERT_EQUAL(volume_pv_check(f->disks, 1, &check, NULL), 0);
	CU_ASSERT_EQUAL(check->worst, VOLUME_DAMAGED);
	CU_ASSERT(has_finding(check, "d0", 512 + 16, "label CRC"));
	volume_check_free(check);
}

static void test_no_valid_text_is_no_group(void)
{
	fixture_run(no_valid_text_is_no_group, 1, 16 * MIB);
}

static void two_texts_of_one_number_are_not_changed(struct fixture *f)
{
	char *text, *other;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_group_text(f->group, &text, NULL), 0);
	other = fixture_replace(text, "max_lv = 0", "max_lv = 5");
	fixture_put_text(f, 1, other);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT(has_problem(f->group, "two different metadata texts have sequence number 1"));
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), -EROFS);
	free(text);
	free(other);
}

static void test_two_texts_of_one_number_are_not_changed(void)
{
	fixture_run(two_texts_of_one_number_are_not_changed, 2, 16 * MIB);
}

static void a_truncated_disk(struct fixture *f)
{
	struct block *lv;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 14), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 1), 0);
	f->disks[0]->size = 15 * MIB;
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT(has_problem(f->group, "d0: has 15728640 bytes, its extents end at 16777216"));
	CU_ASSERT(has_problem(f->group, "must have 16777216 bytes again"));
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &lv, NULL), 0);
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &lv, &f->error), -EROFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "must have 16777216 again"));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", false, &lv, &f->error), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "the device has 15728640"));
	f->disks[0]->size = 600;
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	f->disks[0]->size = 16 * MIB;
}

static void test_a_truncated_disk(void)
{
	fixture_run(a_truncated_disk, 1, 16 * MIB);
}

/* ---- Missing, twice, outdated ---- */

static void a_missing_pv(struct fixture *f)
{
	struct block *lv;
	char uuid[VOLUME_UUID_TEXT];

	fixture_create(f, NULL);
	strcpy(uuid, f->group->pvs[1]->uuid);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 10), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 15), 0); /* all of d1 */
	f->count = 1;
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT(f->group->partial);
	CU_ASSERT(has_problem(f->group, uuid));
	CU_ASSERT_FALSE(volume_group_get_lv(f->group, "a")->partial);
	CU_ASSERT(volume_group_get_lv(f->group, "b")->partial);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", false, &lv, &f->error), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, uuid));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.text, "d1"));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", true, &lv, NULL), 0);
	block_unref(lv);
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "a", "d", NULL), -EROFS);
	/* what frees something may be done */
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "a", &f->error), 0);
	f->count = 2;
}

static void test_a_missing_pv(void)
{
	fixture_run(a_missing_pv, 2, 16 * MIB);
}

static void copy_disk(struct block *from, struct block *to)
{
	char *all = malloc(from->size);

	CU_ASSERT_EQUAL_FATAL(block_read(from, 0, all, from->size), 0);
	CU_ASSERT_EQUAL_FATAL(block_write(to, 0, all, from->size, 0), 0);
	free(all);
}

static void a_pv_that_is_there_twice(struct fixture *f)
{
	struct block *lv;

	f->count = 2;
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 15), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "b", 15), 0);
	f->count = 3;
	copy_disk(f->disks[0], f->disks[2]);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT(f->group->pvs[0]->duplicate);
	CU_ASSERT_PTR_NOT_NULL(f->scan->devices[0].problem);
	CU_ASSERT_PTR_NOT_NULL(f->scan->devices[2].problem);
	CU_ASSERT_EQUAL(fixture_lv(f, "c", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "a", false, &lv, &f->error), -ENOTUNIQ);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "b", false, &lv, NULL), 0);
	block_unref(lv);
}

static void test_a_pv_that_is_there_twice(void)
{
	fixture_run(a_pv_that_is_there_twice, 3, 16 * MIB);
}

/* A disk that was taken out of the group while it was away. */
static void an_outdated_pv(struct fixture *f)
{
	char *text, *without, *cut, *end;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(volume_group_text(f->group, &text, NULL), 0);
	without = fixture_replace(text, "seqno = 1\n", "seqno = 9\n");
	cut = strstr(without, "\npv1 {");
	end = strstr(cut, "}\n") + 2;
	memmove(cut, end, strlen(end) + 1);
	fixture_put_text(f, 0, without);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 9);
	CU_ASSERT_EQUAL(f->group->pv_count, 1);
	CU_ASSERT_PTR_NULL(f->group->locked_reason);
	CU_ASSERT_PTR_NULL(f->scan->devices[1].group);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->scan->devices[1].problem, "is no PV of it any more"));
	/* and nothing is written to it */
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 1), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->scan->devices[1].problem, "with sequence number 1"));
	free(text);
	free(without);
}

static void test_an_outdated_pv(void)
{
	fixture_run(an_outdated_pv, 2, 16 * MIB);
}

static void ignored_areas_stay_ignored(struct fixture *f)
{
	struct lvm_location where = { .offset = 4096 };
	struct lvm_metadata_area area;

	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(lvm_metadata_area_read(f->disks[1], &where, &area, NULL), 0);
	area.ignored = true;
	CU_ASSERT_EQUAL(lvm_metadata_area_write(f->disks[1], &area, NULL), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->pvs[1]->metadata_areas_used, 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "a", 20), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	CU_ASSERT_EQUAL(lvm_metadata_area_read(f->disks[1], &where, &area, NULL), 0);
	CU_ASSERT(area.ignored);
	/* of which at least one must not be */
	CU_ASSERT_EQUAL(lvm_metadata_area_read(f->disks[0], &where, &area, NULL), 0);
	area.ignored = true;
	CU_ASSERT_EQUAL(lvm_metadata_area_write(f->disks[0], &area, NULL), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
}

static void test_ignored_areas_stay_ignored(void)
{
	fixture_run(ignored_areas_stay_ignored, 2, 16 * MIB);
}

UNIT_MAIN("volume groups that were hurt", UNIT(test_power_cut_at_every_request),
	  UNIT(test_power_cut_while_a_group_is_made), UNIT(test_power_cut_while_a_group_is_removed),
	  UNIT(test_errors_at_every_request), UNIT(test_the_newest_metadata_wins),
	  UNIT(test_damaged_areas_are_repaired), UNIT(test_no_valid_text_is_no_group),
	  UNIT(test_two_texts_of_one_number_are_not_changed), UNIT(test_a_truncated_disk),
	  UNIT(test_a_missing_pv), UNIT(test_a_pv_that_is_there_twice), UNIT(test_an_outdated_pv),
	  UNIT(test_ignored_areas_stay_ignored))
