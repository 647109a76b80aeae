/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_memory.h. */
#include "vswitch/link_memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"

/* "max", or no file: no limit. */
static uint64_t read_limit(const char *path)
{
	uint64_t limit = UINT64_MAX;
	FILE *file = fopen(path, "re");

	if (file && fscanf(file, "%" SCNu64, &limit) != 1)
		limit = UINT64_MAX;
	if (file)
		fclose(file);
	return limit;
}

/* Of the group at `path`, and of all above it: where a container does not see its own, it sees that at the top. */
static uint64_t limit_of(const char *root, const char *path, const char *name)
{
	uint64_t least = UINT64_MAX;
	char at[PATH_MAX], file[2 * PATH_MAX];
	char *end;

	snprintf(at, sizeof(at), "%s", path);
	do {
		end = strrchr(at, '/');
		snprintf(file, sizeof(file), "%s%s/%s", root, end && end[1] ? at : "", name);
		least = MIN(least, read_limit(file));
		if (end)
			*end = 0;
	} while (end);
	return least;
}

/* Whether one of the names between commas is "memory". */
static bool is_of_memory(char *controllers)
{
	for (char *word; (word = strsep(&controllers, ","));)
		if (!strcmp(word, "memory"))
			return true;
	return false;
}

uint64_t link_memory_limit(const char *groups, const char *root)
{
	FILE *file = fopen(groups, "re");
	char line[PATH_MAX + 256], below[PATH_MAX];
	uint64_t least = UINT64_MAX;

	snprintf(below, sizeof(below), "%s/memory", root);
	while (file && fgets(line, sizeof(line), file)) {
		char *path = line, *number = strsep(&path, ":"), *names = strsep(&path, ":");

		if (!path)
			continue;
		path[strcspn(path, "\n")] = 0;
		if (!*names && !strcmp(number, "0"))
			least = MIN(least, limit_of(root, path, "memory.max"));
		else if (is_of_memory(names))
			least = MIN(least, limit_of(below, path, "memory.limit_in_bytes"));
	}
	if (file)
		fclose(file);
	return least;
}

uint64_t link_memory_most(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t most = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;

	return MIN(most, link_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup")) / 4;
}
