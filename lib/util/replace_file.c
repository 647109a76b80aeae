/* SPDX-License-Identifier: BSD-2-Clause */
/* See replace_file.h. */
#include "util/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "util/cleanup.h"

#define MODE  0600
#define TRIES 8

#define BESIDE ".new-%08x" /* 13 bytes */
#define KEPT   (NAME_MAX - 13)

static int open_folder(const char *path, int flags)
{
	CLEANUP_FREE char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	int fd;

	if (!folder)
		return -ENOMEM;
	if (slash)
		slash[1] = '\0';
	fd = open(slash ? folder : ".", flags | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int replace_file_flush_folder(const char *path)
{
	CLEANUP_CLOSE int fd = open_folder(path, O_RDONLY);

	return fd < 0 ? fd : fsync(fd) ? -errno : 0;
}

int replace_file_put(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t put = write(fd, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put ? -errno : -EIO;
		at += put;
		size -= (size_t)put;
	}
	return 0;
}

int replace_file_fill(int fd, const void *bytes, size_t size)
{
	int rc = replace_file_put(fd, bytes, size);

	return rc ? rc : fsync(fd) ? -errno : 0;
}

/* The name that a file has for a moment: of a long one, its beginning. */
static char *name_beside(const char *path)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash + 1 - path) : 0;
	uint32_t chance;
	char *name;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance) ||
	    asprintf(&name, "%.*s%.*s" BESIDE, folder, path, KEPT, path + folder, chance) < 0)
		return NULL;
	return name;
}

static void write_self(int fd, char self[static 32])
{
	snprintf(self, 32, "/proc/self/fd/%d", fd);
}

/* Only through /proc does a file without a name get one, which may not be mounted. */
static int open_nameless(int folder)
{
	int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, MODE);
	char self[32];

	if (fd < 0)
		return errno == EISDIR || errno == ENOENT ? -EOPNOTSUPP : -errno;
	write_self(fd, self);
	if (!access(self, F_OK))
		return fd;
	close(fd);
	return -EOPNOTSUPP;
}

/* A file without a name, or (*named) with one. */
static int open_new(const char *path, char **named)
{
	CLEANUP_CLOSE int folder = open_folder(path, O_PATH);
	int fd;

	*named = NULL;
	if (folder < 0)
		return folder;
	fd = open_nameless(folder);
	if (fd != -EOPNOTSUPP)
		return fd;
	*named = name_beside(path);
	fd = *named ? open(*named, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE) : -1;
	return fd < 0 ? -errno : fd;
}

/* Where nothing has the place that needs no other name before. 1: it is there. */
static int give_name(int fd, const char *path, char **named)
{
	char self[32];

	write_self(fd, self);
	if (!linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		return 1;
	for (unsigned i = 0; errno == EEXIST && i < TRIES; i++) {
		CLEANUP_FREE char *name = name_beside(path);

		if (!name)
			return -ENOMEM;
		if (!linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW)) {
			*named = steal_pointer(&name);
			return 0;
		}
	}
	return -errno;
}

int replace_file(const char *path, const void *bytes, size_t size)
{
	CLEANUP_FREE char *named = NULL;
	CLEANUP_CLOSE int fd = open_new(path, &named);
	int rc = fd < 0 ? fd : replace_file_fill(fd, bytes, size);

	if (!rc && !named)
		rc = give_name(fd, path, &named);
	if (!rc && rename(named, path))
		rc = -errno;
	if (rc < 0) {
		if (named && fd >= 0)
			unlink(named);
		return rc;
	}
	rc = replace_file_flush_folder(path);
	/* One that may be written to, but not read: with all of its file system. */
	return rc == -EACCES ? (syncfs(fd) ? -errno : 0) : rc;
}
