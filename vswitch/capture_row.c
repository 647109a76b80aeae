/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_row.h. */
#include "vswitch/capture_row.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS 5 /* of a file's number */

bool capture_row_is(const struct capture_row *row)
{
	return row->bytes || row->ns;
}

int capture_row_name(const struct capture_row *row, const char *path, unsigned number,
		     char name[PATH_MAX])
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	int length = dot ? (int)(dot - path) : (int)strlen(path);
	int size = capture_row_is(row) ? snprintf(name, PATH_MAX, "%.*s.%0*u%s", length, path,
						  DIGITS, number, dot ? dot : "")
				       : snprintf(name, PATH_MAX, "%s", path);

	return size < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Where `path` is; returns its name there, or NULL: no such folder. */
static const char *folder_of(const char *path, struct stat *folder)
{
	const char *slash = strrchr(path, '/');
	char copy[PATH_MAX] = ".";
	int length = slash ? (int)(slash - path) + 1 : 0;

	if (length && snprintf(copy, sizeof(copy), "%.*s", length, path) >= PATH_MAX)
		return NULL;
	return stat(copy, folder) ? NULL : slash ? slash + 1 : path;
}

void capture_place_find(struct capture_place *place, const char *path,
			const struct capture_row *row)
{
	const char *name = NULL;
	struct stat status;

	*place = (struct capture_place){ .is_row = capture_row_is(row) };
	if (place->is_row)
		name = folder_of(path, &status);
	place->known =
		place->is_row ? name != NULL : !stat(path, &status) && S_ISREG(status.st_mode);
	if (!place->known)
		return;
	place->device = status.st_dev;
	place->inode = status.st_ino;
	snprintf(place->name, sizeof(place->name), "%s", name ? name : "");
}

bool capture_place_same(const struct capture_place *a, const struct capture_place *b)
{
	return a->known && b->known && a->is_row == b->is_row && a->device == b->device &&
	       a->inode == b->inode && !strcmp(a->name, b->name);
}

void capture_row_shorten(const struct capture_row *row, const char *path, unsigned number)
{
	char name[PATH_MAX];

	if (row->keep && number > row->keep &&
	    !capture_row_name(row, path, number - row->keep, name))
		unlink(name);
}

bool capture_row_turns(const struct capture_row *row, uint64_t bytes, uint64_t prefix,
		       uint64_t size, uint64_t age_ns)
{
	return bytes > prefix &&
	       ((row->bytes && bytes + size > row->bytes) || (row->ns && age_ns >= row->ns));
}
