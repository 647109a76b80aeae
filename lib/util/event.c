/* SPDX-License-Identifier: BSD-2-Clause */
/* See event.h. */
#include "util/event.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"

/* As read(2) where nobody waits; bytes or a negative errno. */
static ssize_t read_now(int fd)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t got = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	return got < 0 ? -errno : got;
}

/* Whether this kernel reads eventfds so; Linux does since 5.8. */
static bool kernel_has_nowait(void)
{
	CLEANUP_CLOSE int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	return read_now(fd) > 0;
}

int event_take(int fd)
{
	ssize_t got = read_now(fd);
	uint64_t count;

	/* An older kernel has nothing better; a newer one has said that this is no eventfd. */
	if (got == -EOPNOTSUPP && !kernel_has_nowait())
		got = read(fd, &count, sizeof(count)) < 0 ? -errno : 1;
	if (got == -EAGAIN || got == -EINTR)
		return 0;
	if (got < 0)
		return (int)got;
	return got ? 1 : -EPIPE;
}
