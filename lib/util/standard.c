/* SPDX-License-Identifier: BSD-2-Clause */
/* See standard.h. */
#include "util/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

int standard_open(void)
{
	static const int flags[] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* Those below are open: the lowest free number is this one. */
		if (open("/dev/null", flags[fd]) != fd)
			return errno ? -errno : -EBADF;
	}
	return 0;
}

int standard_output_flush(void)
{
	int before = ferror(stdout), rc;

	errno = 0;
	rc = fflush(stdout) ? -errno : 0;
	if (!rc && before)
		rc = -EIO;
	clearerr(stdout);
	return rc;
}

bool standard_output_is_left(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO };

	return poll(&output, 1, 0) == 1 && output.revents & (POLLERR | POLLHUP);
}
