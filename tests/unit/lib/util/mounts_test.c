/* SPDX-License-Identifier: BSD-2-Clause */
/* Which mount a path lies in, by names alone. */
#include "util/mounts.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "unit.h"
#include "util/bytes.h"

static void test_the_last_and_longest_has_a_path(void)
{
	struct mount_point all[] = {
		{ (char *)"/", 1, "ext4" },
		{ (char *)"/a", 2, "ext4" },
		{ (char *)"/a/b", 3, "fuse.x" },
		{ (char *)"/a", 4, "tmpfs" },
	};
	const struct mounts mounts = { all, ARRAY_SIZE(all) };

	CU_ASSERT_EQUAL(mounts_of(&mounts, "/x")->device, 1);
	CU_ASSERT_EQUAL(mounts_of(&mounts, "/ab")->device, 1);
	CU_ASSERT_EQUAL(mounts_of(&mounts, "/a")->device, 4);
	CU_ASSERT_EQUAL(mounts_of(&mounts, "/a/bc")->device, 4);
	CU_ASSERT_EQUAL(mounts_of(&mounts, "/a/b/c")->device, 3);
	CU_ASSERT_PTR_NULL(mounts_of(&mounts, "(unreachable)/a"));
}

static void test_those_of_this_host_are_read(void)
{
	const struct mount_point *proc;
	struct mounts mounts;
	struct stat status;

	CU_ASSERT_EQUAL_FATAL(mounts_read(&mounts), 0);
	proc = mounts_of(&mounts, "/proc/self/status");
	CU_ASSERT_PTR_NOT_NULL_FATAL(proc);
	CU_ASSERT_STRING_EQUAL(proc->path, "/proc");
	CU_ASSERT_STRING_EQUAL(proc->type, "proc");
	CU_ASSERT_EQUAL(stat("/proc/self/status", &status), 0);
	CU_ASSERT_EQUAL(status.st_dev, proc->device);
	mounts_free(&mounts);
}

UNIT_MAIN("mounts", UNIT(test_the_last_and_longest_has_a_path),
	  UNIT(test_those_of_this_host_are_read))
