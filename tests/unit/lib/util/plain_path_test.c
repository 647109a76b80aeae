/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/plain_path: what is said to be plain is what realpath(3) says. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/plain_path.h"

static const char *const ends[] = {
	"/folder/file", "/folder",       "/link",     "/way/file",
	"/folder/",     "/folder//file", "/./folder", "/folder/../folder/file",
	"/none",        "/folder/none",  "/broken",   "/file/file"
};

static void make(const char *root)
{
	char path[256], other[256];

	snprintf(path, sizeof(path), "%s/folder", root);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	snprintf(other, sizeof(other), "%s/way", root);
	CU_ASSERT_EQUAL_FATAL(symlink("folder", other), 0);
	snprintf(path, sizeof(path), "%s/folder/file", root);
	fclose(fopen(path, "w"));
	snprintf(other, sizeof(other), "%s/link", root);
	CU_ASSERT_EQUAL_FATAL(symlink(path, other), 0);
	snprintf(other, sizeof(other), "%s/broken", root);
	CU_ASSERT_EQUAL_FATAL(symlink("none", other), 0);
}

static void end(const char *root)
{
	static const char *const made[] = { "/folder/file", "/link",   "/broken",
					    "/way",         "/folder", "" };
	char path[256];

	for (unsigned i = 0; i < sizeof(made) / sizeof(*made); i++) {
		snprintf(path, sizeof(path), "%s%s", root, made[i]);
		CU_ASSERT_EQUAL(remove(path), 0);
	}
}

static void test_is_what_realpath_says(void)
{
	char made[] = "/tmp/plain-XXXXXX";
	CLEANUP_FREE char *root = realpath(mkdtemp(made), NULL);

	make(root);
	for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		CLEANUP_FREE char *resolved = NULL;
		char path[256];

		snprintf(path, sizeof(path), "%s%s", root, ends[i]);
		resolved = realpath(path, NULL);
		if (path_is_plain(path))
			CU_ASSERT_TRUE(resolved && !strcmp(resolved, path));
		CU_ASSERT_TRUE(i > 1 ? !path_is_plain(path) : resolved != NULL);
	}
	end(root);
}

static void test_of_the_folder_one_is_in(void)
{
	CU_ASSERT_FALSE(path_is_plain(""));
	CU_ASSERT_FALSE(path_is_plain("."));
	CU_ASSERT_FALSE(path_is_plain("tmp"));
	CU_ASSERT_FALSE(path_is_plain("/"));
}

UNIT_MAIN("plain paths", UNIT(test_is_what_realpath_says), UNIT(test_of_the_folder_one_is_in))
