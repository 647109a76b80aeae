/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_fifo.h. */
#include "tools/capture_fifo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/runtime.h"
#include "util/cleanup.h"
#include "util/error.h"

#define PREFIX "capture-"

/* Opening it to write, and closing it again, is nothing to a reader who has it: he does not read before the switch has it open. */
static bool has_reader(int folder, const char *name)
{
	CLEANUP_CLOSE int fd = openat(folder, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 || errno != ENXIO;
}

static void tidy(const char *directory)
{
	DIR *listing = opendir(directory);
	struct dirent *entry;
	struct stat status;

	while (listing && (entry = readdir(listing)))
		if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)) &&
		    !fstatat(dirfd(listing), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) &&
		    S_ISFIFO(status.st_mode) &&
		    time(NULL) - status.st_mtime > CAPTURE_FIFO_SETTLED_S &&
		    !has_reader(dirfd(listing), entry->d_name))
			unlinkat(dirfd(listing), entry->d_name, 0);
	if (listing)
		closedir(listing);
}

int capture_fifo_make(char **path, int *fd, struct error *error)
{
	CLEANUP_FREE char *directory = NULL;
	uint64_t number;
	int rc = runtime_directory(&directory, error);

	*path = NULL;
	if (rc)
		return rc;
	tidy(directory);
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return error_set(error, -EIO, "capture: no random number for its FIFO: %s",
				 error_name(errno));
	if (asprintf(path, "%s/" PREFIX "%016llx", directory, (unsigned long long)number) < 0)
		return *path = NULL, error_set(error, -ENOMEM, "capture: out of memory");
	if (mkfifo(*path, 0600))
		return error_set(error, -errno, "capture: cannot make the FIFO %s: %s", *path,
				 error_name(errno));
	*fd = open(*path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return error_set(error, -errno, "capture: cannot open the FIFO %s: %s", *path,
				 error_name(errno));
	return 0;
}
