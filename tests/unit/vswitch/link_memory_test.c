/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/link_memory: limits of control groups, as proc_pid_cgroup(5), and Linux's cgroup-v1/memory.rst and cgroup-v2.rst, have them. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vswitch/link_memory.h"

static void put(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), name);
	for (char *at = path + strlen(unit_directory()) + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(path, 0700);
		*at = '/';
	}
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_TRUE_FATAL(fputs(text, file) >= 0 && !fclose(file));
}

static uint64_t limit(const char *groups)
{
	char path[512];

	put("groups", groups);
	snprintf(path, sizeof(path), "%s/groups", unit_directory());
	return link_memory_limit(path, unit_directory());
}

static void test_limits(void)
{
	put("a/b/memory.max", "max\n");
	put("a/memory.max", "5000000\n");
	put("a/c/memory.max", "4096\n");
	put("memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("memory/x/memory.limit_in_bytes", "70000\n");
	CU_ASSERT_EQUAL(limit("0::/\n"), UINT64_MAX);
	CU_ASSERT_EQUAL(limit("0::/a/b\n"), 5000000);
	CU_ASSERT_EQUAL(limit("0::/a/c\n"), 4096);
	CU_ASSERT_EQUAL(limit("4:cpu,memory:/x\n0::/\n"), 70000);
	CU_ASSERT_EQUAL(limit("4:memory:/x/y: z\n0::/a/c\n"), 4096);
	CU_ASSERT_EQUAL(limit("4:memory:/\n3:cpu:/x\n"), 9223372036854771712u);
	CU_ASSERT_EQUAL(limit("4:memoryx:/x\n1:name=systemd:/a/c\nnonsense\n\n"), UINT64_MAX);
	/* A container that sees its own as the top, by another name. */
	put("memory.max", "30000\n");
	CU_ASSERT_EQUAL(limit("0::/docker/0123\n"), 30000);
	CU_ASSERT_EQUAL(link_memory_limit("/nowhere/groups", "/nowhere"), UINT64_MAX);
	CU_ASSERT_TRUE(link_memory_most() > 0);
}

UNIT_MAIN("memory of links", UNIT(test_limits))
