/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_row.h. */
#include "vswitch/capture_row.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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
