/* SPDX-License-Identifier: BSD-2-Clause */
/* See runtime.h. */
#include "tools/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"

int runtime_directory(char **path, struct error *error)
{
	const char *given = getenv("TENON_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	CLEANUP_FREE char *made = NULL;
	struct stat status;
	int rc;

	if (given && *given)
		rc = asprintf(&made, "%s", given);
	else if (xdg && *xdg)
		rc = asprintf(&made, "%s/tenon", xdg);
	else if (geteuid() == 0)
		rc = asprintf(&made, "/run/tenon");
	else
		rc = asprintf(&made, "/tmp/tenon-%u", (unsigned)geteuid());
	if (rc < 0)
		return -ENOMEM;
	if (mkdir(made, 0700) < 0 && errno != EEXIST)
		rc = -errno;
	else if (lstat(made, &status) < 0)
		rc = -errno;
	else
		rc = 0;
	if (rc) {
		error_set(error, rc, "%s: cannot make the runtime directory: %s", made,
			  error_name(rc));
		error_advise(error, "set TENON_RUNTIME_DIR to a directory of yours");
		return rc;
	}
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
		error_set(error, -EPERM,
			  "%s: the runtime directory belongs to user %u, expected %u", made,
			  (unsigned)status.st_uid, (unsigned)geteuid());
		error_advise(error, "set TENON_RUNTIME_DIR to a directory of yours");
		return -EPERM;
	}
	*path = steal_pointer(&made);
	return 0;
}

int runtime_socket(const char *name, char **path, struct error *error)
{
	CLEANUP_FREE char *directory = NULL;
	int rc = runtime_directory(&directory, error);

	if (rc)
		return rc;
	return asprintf(path, "%s/%s.sock", directory, name) < 0 ? -ENOMEM : 0;
}

int runtime_each_socket(const char *prefix, int (*fn)(const char *path, void *arg), void *arg)
{
	CLEANUP_FREE char *directory = NULL;
	struct dirent *entry;
	int rc = 0;
	DIR *listing;

	if (runtime_directory(&directory, NULL))
		return 0;
	listing = opendir(directory);
	while (!rc && listing && (entry = readdir(listing))) {
		size_t length = strlen(entry->d_name);
		CLEANUP_FREE char *path = NULL;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) || length < 5 ||
		    strcmp(entry->d_name + length - 5, ".sock"))
			continue;
		if (asprintf(&path, "%s/%s", directory, entry->d_name) < 0)
			return -ENOMEM;
		rc = fn(path, arg);
	}
	if (listing)
		closedir(listing);
	return rc;
}
