/* SPDX-License-Identifier: BSD-2-Clause */
/* volume/: what a commit says when devices fail in the middle of it, and what comes after. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/fault.h"
#include "util/bytes.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"
#include "volume_fixture.h"

#define HEADER 4096u

/* From the `after`th request of these kinds at the header on, `count` fail (0: for ever). */
static void break_header(struct fixture *f, unsigned disk, unsigned requests, uint64_t after,
			 uint64_t count)
{
	block_fault_add(f->disks[disk], &(struct block_fault_rule){ .requests = requests,
								    .offset = HEADER,
								    .length = 512,
								    .after = after,
								    .count = count,
								    .action = BLOCK_FAULT_ERROR,
								    .error = -EIO });
}

static bool says(const struct fixture *f, const char *text)
{
	return strstr(f->error.text, text) != NULL;
}

static bool has_problem(const struct volume_group *group, const char *text)
{
	for (unsigned i = 0; i < group->problem_count; i++)
		if (strstr(group->problems[i], text))
			return true;
	return false;
}

/* How often that is told of the group itself, or of the change. */
static unsigned told(const struct volume_group *group, bool lasting, const char *text)
{
	unsigned from = lasting ? 0 : group->lasting_problems, count = 0;
	unsigned to = lasting ? group->lasting_problems : group->problem_count;

	for (unsigned i = from; i < to; i++)
		count += strstr(group->problems[i], text) != NULL;
	return count;
}

/* Flushes of a change after the first one of a process: texts, precommitted, committed. */
static void one_flush_fails(struct fixture *f)
{
	fixture_put_faults(f);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	block_fault_add(f->disks[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								 .after = 2,
								 .count = 1,
								 .action = BLOCK_FAULT_ERROR,
								 .error = -EIO });
	/* the header is written and flushed again */
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old", "new", &f->error), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "new"));
	CU_ASSERT_EQUAL(f->group->seqno, 3);
}

static void test_one_flush_fails(void)
{
	fixture_run(one_flush_fails, 1, 16 * MIB);
}

/* Both tries of the header fail, and then the former one is put back for certain. */
static void not_made(struct fixture *f)
{
	fixture_put_faults(f);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	break_header(f, 0, BLOCK_FAULT_WRITE, 1, 2);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old", "new", &f->error), -EIO);
	CU_ASSERT(says(f, "the change was not made"));
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "old"));
	CU_ASSERT_EQUAL(f->group->seqno, 2);
	/* a number that a header had is not used again */
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old", "other", &f->error), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 4);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 4);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void test_not_made(void)
{
	fixture_run(not_made, 1, 16 * MIB);
}

/* The header can be written and never be flushed. */
static void unknown(struct fixture *f)
{
	struct block *lv;
	int rule;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	rule = block_fault_add(f->disks[0],
			       &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
							   .after = 2,
							   .action = BLOCK_FAULT_ERROR,
							   .error = -EIO });
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old", "new", &f->error), -EIO);
	CU_ASSERT(says(f, "it is unknown whether the change was made: d0: flush"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "read as if it was not made"));
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "old"));
	/* nothing is built on it */
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EIO);
	CU_ASSERT(says(f, "the change was not made: d0: flush"));
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "old", MIB, NULL, &f->error), -EIO);
	CU_ASSERT(says(f, "cannot say that it is so already"));
	/* nor does anybody write to what may be gone */
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "old", true, &lv, &f->error), -EIO);
	CU_ASSERT(says(f, "opens for reading only: a change failed"));
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "old", false, &lv, &f->error), 0);
	block_unref(lv);
	block_fault_remove(f->disks[0], rule);
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
	CU_ASSERT_EQUAL(f->group->seqno, 4);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "old"));
}

static void test_unknown(void)
{
	fixture_run(unknown, 1, 16 * MIB);
}

/* The new header is on the disk, its flush failed, and the former one could not be written any more. */
static void made_after_all(struct fixture *f)
{
	struct block *lv;

	fixture_put_faults(f);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	block_fault_add(f->disks[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_FLUSH,
								 .after = 2,
								 .action = BLOCK_FAULT_ERROR,
								 .error = -EIO });
	break_header(f, 0, BLOCK_FAULT_WRITE, 3, 0);
	CU_ASSERT_EQUAL(volume_lv_remove(f->group, "old", &f->error), -EIO);
	CU_ASSERT(says(f, "it is unknown whether the change was made"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "read as if it was made"));
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "old"));
	block_fault_clear(f->disks[0]);
	/* this process believes in what was; it must not undo what others see */
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EROFS);
	CU_ASSERT(says(f, "found on d0 after all"));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EROFS);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "old", true, &lv, &f->error), -EROFS);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NULL(volume_group_get_lv(f->group, "old"));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
}

static void test_made_after_all(void)
{
	fixture_run(made_after_all, 1, 16 * MIB);
}

/* Some devices take it: it is made, the others are stale and told of, and come along later. */
static void some_take_it(struct fixture *f)
{
	static const char unwritten[] = "d1: metadata area at byte 4096 could not be written";

	fixture_put_faults(f);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	break_header(f, 1, BLOCK_FAULT_WRITE, 1, 0);
	CU_ASSERT_EQUAL(volume_lv_rename(f->group, "old", "new", &f->error), 0);
	/* to who made the change; and when what is said of that change alone is forgotten, of the group */
	CU_ASSERT_EQUAL(told(f->group, false, unwritten), 1);
	CU_ASSERT_EQUAL(told(f->group, true, unwritten), 0);
	lvm_vg_problems_forget(f->group);
	CU_ASSERT_EQUAL(told(f->group, false, unwritten), 0);
	CU_ASSERT_EQUAL(told(f->group, true, unwritten), 1);
	/* while it fails, nothing else is changed */
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EIO);
	CU_ASSERT(says(f, "the change was not made: d1: writing"));
	block_fault_clear(f->disks[1]);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(volume_group_get_lv(f->group, "new"));
	CU_ASSERT(has_problem(f->group, "has sequence number 2, the group is at 3"));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
}

static void test_some_take_it(void)
{
	fixture_run(some_take_it, 3, 16 * MIB);
}

static int make_one(void *arg)
{
	return fixture_lv(arg, "one", 1);
}

static unsigned files_in(const char *directory)
{
	DIR *stream = opendir(directory);
	unsigned count = 0;

	for (struct dirent *entry; stream && (entry = readdir(stream));) {
		count += entry->d_name[0] != '.';
		unlinkat(dirfd(stream), entry->d_name, 0);
	}
	if (stream)
		closedir(stream);
	rmdir(directory);
	return count;
}

/* Who is told to end in the middle of a change makes it, and keeps what was before and after. */
static void cancelled(struct fixture *f)
{
	char directory[] = "/tmp/tenon-test-XXXXXX", path[64];
	struct volume_archive archive = { .directory = mkdtemp(directory),
					  .least = 10,
					  .days = 30 };
	struct fiber *fiber;

	CU_ASSERT_PTR_NOT_NULL_FATAL(archive.directory);
	f->context.archive = &archive;
	fixture_create(f, NULL);
	fiber = fiber_spawn(make_one, f);
	fiber_cancel(fiber);
	CU_ASSERT_EQUAL(fiber_join(fiber), 0);
	CU_ASSERT_EQUAL(f->group->problem_count, 0);
	snprintf(path, sizeof(path), "%s/archive", directory);
	CU_ASSERT_EQUAL(files_in(path), 1);
	snprintf(path, sizeof(path), "%s/backup", directory);
	CU_ASSERT_EQUAL(files_in(path), 1);
	rmdir(directory);
}

static void test_cancelled(void)
{
	fixture_run_real(cancelled, 1, 16 * MIB);
}

/* "Could not look" is not "is not there": the device may have the newest metadata of all. */
static void metadata_that_cannot_be_read(struct fixture *f)
{
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	for (unsigned i = 0; i < 12; i++) /* until the text is where nobody else looks */
		CU_ASSERT_EQUAL(volume_lv_rename(f->group, i % 2 ? "new" : "old",
						 i % 2 ? "old" : "new", NULL),
				0);
	fixture_put_faults(f);
	break_header(f, 1, BLOCK_FAULT_READ, 0, 0);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL(f->group->locked_reason);
	block_fault_clear(f->disks[1]);
	block_fault_add(f->disks[1], &(struct block_fault_rule){ .requests = BLOCK_FAULT_READ,
								 .offset = HEADER + 8192,
								 .length = 65536,
								 .action = BLOCK_FAULT_ERROR,
								 .error = -EIO });
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->group->locked_reason);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->group->locked_reason, "d1 could not be read"));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -EROFS);
	block_fault_clear(f->disks[1]);
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), 0);
}

static void test_metadata_that_cannot_be_read(void)
{
	fixture_run(metadata_that_cannot_be_read, 2, 16 * MIB);
}

/* A device that becomes shorter while the group is open says so with -ENXIO behind its new end. */
static void a_device_shrinks(struct fixture *f)
{
	fixture_put_faults(f);
	fixture_create(f, NULL);
	CU_ASSERT_EQUAL(fixture_lv(f, "old", 1), 0);
	block_fault_add(f->disks[0], &(struct block_fault_rule){ .requests = BLOCK_FAULT_ALL &
									     ~BLOCK_FAULT_FLUSH,
								 .offset = 8 * MIB,
								 .length = 8 * MIB,
								 .action = BLOCK_FAULT_ERROR,
								 .error = -ENXIO });
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "old", 12 * MIB, NULL, &f->error), -ENXIO);
	CU_ASSERT(says(f, "d0 became shorter") && says(f, "must have 16777216 bytes again"));
	CU_ASSERT_EQUAL(fixture_lv(f, "more", 1), -ENXIO);
	CU_ASSERT_EQUAL(volume_group_get_lv(f->group, "old")->size, MIB);
	block_fault_clear(f->disks[0]);
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "old", 12 * MIB, NULL, &f->error), 0);
}

static void test_a_device_shrinks(void)
{
	fixture_run(a_device_shrinks, 1, 16 * MIB);
}

/* ---- Block sizes ---- */

static void block_sizes_do_not_mix(struct fixture *f)
{
	struct volume_group *group;
	struct block *lv;

	f->disks[1]->logical_block_size = 4096;
	CU_ASSERT_EQUAL(volume_group_create(&group, "vg0", f->disks, 2, NULL, &f->context,
					    &f->error),
			-EINVAL);
	CU_ASSERT(says(f, "d0 has logical blocks of 512 bytes, d1 has 4096"));
	CU_ASSERT_EQUAL(fixture_scan(f), -ENOENT);
	CU_ASSERT_FALSE(f->scan->devices[0].is_pv);
	/* one that lvm2 was told to make all the same */
	f->disks[1]->logical_block_size = 512;
	fixture_create(f, NULL);
	f->disks[1]->logical_block_size = 4096;
	CU_ASSERT_EQUAL(fixture_scan(f), 0);
	CU_ASSERT_EQUAL(fixture_lv(f, "small", 10), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "small", true, &lv, &f->error), 0);
	CU_ASSERT_EQUAL(lv->logical_block_size, 512);
	/* 5 extents are left on d0, 15 on d1 */
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "small", 16 * MIB, NULL, &f->error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error.advice, "512 bytes"));
	CU_ASSERT_EQUAL(volume_lv_resize(f->group, "small", 15 * MIB, NULL, &f->error), 0);
	CU_ASSERT_EQUAL(lv->logical_block_size, 512);
	block_unref(lv);
	CU_ASSERT_EQUAL(fixture_lv(f, "large", 10), 0);
	CU_ASSERT_EQUAL(volume_open_lv(f->group, "large", true, &lv, &f->error), 0);
	CU_ASSERT_EQUAL(lv->logical_block_size, 4096);
	block_unref(lv);
	CU_ASSERT_EQUAL(volume_lv_create(f->group, "both",
					 &(struct volume_lv_options){ .extents = 2, .stripes = 2 },
					 NULL, &f->error),
			-ENOSPC);
	f->disks[1]->logical_block_size = 512;
}

static void test_block_sizes_do_not_mix(void)
{
	fixture_run(block_sizes_do_not_mix, 2, 16 * MIB);
}

UNIT_MAIN("commits that fail", UNIT(test_one_flush_fails), UNIT(test_not_made), UNIT(test_unknown),
	  UNIT(test_made_after_all), UNIT(test_some_take_it), UNIT(test_cancelled),
	  UNIT(test_metadata_that_cannot_be_read), UNIT(test_a_device_shrinks),
	  UNIT(test_block_sizes_do_not_mix))
