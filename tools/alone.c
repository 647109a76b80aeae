/* SPDX-License-Identifier: BSD-2-Clause */
/* See alone.h. */
#include "tools/alone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/runtime.h"
#include "util/cleanup.h"

static int open_lock(const char *id, int flags, int *fd)
{
	CLEANUP_FREE char *directory = NULL, *path = NULL;
	int rc = runtime_directory(&directory, NULL);

	if (rc)
		return rc;
	if (asprintf(&path, "%s/alone-%s", directory, id) < 0)
		return path = NULL, -ENOMEM;
	*fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd < 0 ? -errno : 0;
}

/* Of POSIX's kind: it is a process's, not inherited by what is forked, and tells whose it is. */
static int lock(int fd, int command, pid_t *holder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	if (fcntl(fd, command, &lock))
		return -errno;
	if (command == F_GETLK && lock.l_type != F_UNLCK) {
		*holder = lock.l_pid > 0 ? lock.l_pid : 0;
		return -EBUSY;
	}
	return 0;
}

int alone_take(const char *id, int *fd, pid_t *holder)
{
	CLEANUP_CLOSE int file = -1;
	int rc = open_lock(id, O_CREAT, &file);

	*holder = 0;
	if (rc)
		return rc;
	rc = lock(file, F_SETLK, holder);
	if (rc == -EAGAIN || rc == -EACCES) {
		lock(file, F_GETLK, holder);
		return -EBUSY;
	}
	if (!rc)
		*fd = steal_fd(&file);
	return rc;
}

bool alone_is_taken(const char *id, pid_t *holder)
{
	CLEANUP_CLOSE int file = -1;

	*holder = 0;
	return !open_lock(id, 0, &file) && lock(file, F_GETLK, holder) == -EBUSY;
}
