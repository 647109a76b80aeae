/* SPDX-License-Identifier: BSD-2-Clause */
/* See mounts.h. */
#include "util/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"

/* Blanks and the like are written in octal. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		unsigned code;

		if (*text == '\\' && strlen(text) >= 4 && sscanf(text + 1, "%3o", &code) == 1) {
			*to++ = (char)code;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static int add(struct mounts *mounts, const char *line)
{
	const char *type = strstr(line, " - ");
	CLEANUP_FREE char *path = NULL;
	struct mount_point *grown;
	unsigned major, minor;
	unsigned long long id;

	if (!type || sscanf(line, "%llu %*s %u:%u %*s %ms", &id, &major, &minor, &path) != 4)
		return 0;
	grown = realloc(mounts->all, (mounts->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	mounts->all = grown;
	unescape(path);
	grown[mounts->count] = (struct mount_point){ .path = steal_pointer(&path),
						     .id = id,
						     .device = makedev(major, minor) };
	sscanf(type, " - %31s", grown[mounts->count++].type);
	return 0;
}

int mounts_read(struct mounts *mounts)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	CLEANUP_FREE char *line = NULL;
	size_t room = 0;
	int rc = 0;

	*mounts = (struct mounts){ 0 };
	if (!file)
		return -errno;
	while (!rc && getline(&line, &room, file) >= 0)
		rc = add(mounts, line);
	fclose(file);
	if (rc)
		mounts_free(mounts);
	return rc;
}

void mounts_free(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free(mounts->all[i].path);
	free(mounts->all);
	*mounts = (struct mounts){ 0 };
}

static bool lies_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (length == 1) /* "/" */
		return *path == '/';
	return !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

const struct mount_point *mounts_of(const struct mounts *mounts, const char *path)
{
	const struct mount_point *found = NULL;

	/* Of several on one folder the last one is seen. */
	for (size_t i = 0; i < mounts->count; i++)
		if (lies_in(path, mounts->all[i].path) &&
		    (!found || strlen(mounts->all[i].path) >= strlen(found->path)))
			found = &mounts->all[i];
	return found;
}
