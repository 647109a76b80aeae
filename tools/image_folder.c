/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The folder of a job of `tenon image`, for which there is nobody to remove it when the whole job is killed; see image.h.
 *
 * A file in it is locked as long as a process of the job lives. Who makes a folder first removes those of this user that
 * have such a file and whose file nobody has locked.
 *
 *	made	a folder; the job has not locked its file yet: who finds it so may remove it, and then the job makes another
 *	used	locked
 *	left	not locked
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/image.h"
#include "util/cleanup.h"
#include "util/error.h"

#define PREFIX "tenon-image-"
#define RANDOM 6u /* letters behind it */
#define LOCK   ".lock"
#define TRIES  16u

/* Whether the folder is one that a job of this user left behind: with the lock of its file, in *lock. */
static bool take_left(const char *folder, int *lock)
{
	CLEANUP_FREE char *path = image_path(folder, LOCK);
	struct stat status;

	*lock = -1;
	if (!path || lstat(folder, &status) || !S_ISDIR(status.st_mode) ||
	    status.st_uid != geteuid())
		return false;
	*lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return *lock >= 0 && !fstat(*lock, &status) && S_ISREG(status.st_mode) &&
	       status.st_uid == geteuid() && !flock(*lock, LOCK_EX | LOCK_NB);
}

static void remove_left(const char *directory)
{
	DIR *list = opendir(directory);
	const struct dirent *entry;

	while (list && (entry = readdir(list))) {
		CLEANUP_FREE char *folder = NULL;
		CLEANUP_CLOSE int lock = -1;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    strlen(entry->d_name) != strlen(PREFIX) + RANDOM)
			continue;
		folder = image_path(directory, entry->d_name);
		if (folder && take_left(folder, &lock))
			image_remove_folder(folder);
	}
	if (list)
		closedir(list);
}

/* Locks the file of a new folder. -EAGAIN: somebody took that for one that was left. */
static int lock_new(const char *folder, int *lock)
{
	CLEANUP_FREE char *path = image_path(folder, LOCK);
	struct stat status;

	if (!path)
		return -ENOMEM;
	*lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*lock < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(*lock, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return fstat(*lock, &status) ? -errno : status.st_nlink ? 0 : -EAGAIN;
}

int image_folder_make(char **path, int *lock, struct error *error)
{
	const char *given = getenv("TMPDIR");
	const char *directory = given && *given ? given : "/tmp";
	int rc = -EAGAIN;

	*path = NULL;
	*lock = -1;
	remove_left(directory);
	for (unsigned i = 0; rc == -EAGAIN && i < TRIES; i++) {
		cleanup_close(lock);
		*lock = -1;
		free(*path);
		*path = image_path(directory, PREFIX "XXXXXX");
		if (!*path)
			return error_set(error, -ENOMEM, "out of memory");
		rc = mkdtemp(*path) ? lock_new(*path, lock) : -errno;
	}
	if (!rc)
		return 0;
	error_set(error, rc, "%s: a folder in it: %s", directory, error_name(rc));
	return error_advise(error, "set TMPDIR to a directory with room for the guest");
}
