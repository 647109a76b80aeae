/* SPDX-License-Identifier: BSD-2-Clause */
/* See plain_path.h. */
#include "util/plain_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

bool path_is_plain(const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = RESOLVE_CACHED | RESOLVE_NO_SYMLINKS };
	size_t length = strlen(path);
	long fd;

	/* "/." begins "." and "..", too. */
	if (*path != '/' || path[length - 1] == '/' || strstr(path, "//") || strstr(path, "/."))
		return false;
	fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd >= 0)
		close((int)fd);
	return fd >= 0;
}
