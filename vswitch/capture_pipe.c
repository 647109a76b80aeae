/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_pipe.h. */
#include "vswitch/capture_pipe.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/bytes.h"

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t unread(int fd)
{
	int bytes = 0;

	return ioctl(fd, FIONREAD, &bytes) || bytes < 0 ? 0 : (uint64_t)bytes;
}

static void note(struct capture_pipe *pipe, size_t bytes, unsigned pages)
{
	unsigned last = (pipe->first + pipe->count) % CAPTURE_PIPE_WRITES;

	pipe->put += bytes;
	pipe->used += pages;
	pipe->writes[last].end = pipe->put;
	pipe->writes[last].pages = pages;
	pipe->count++;
}

void capture_pipe_init(struct capture_pipe *pipe, int fd)
{
	int size;
	uint64_t before;

	(void)fcntl(fd, F_SETPIPE_SZ, (int)CAPTURE_PIPE_BYTES);
	size = fcntl(fd, F_GETPIPE_SZ);
	*pipe = (struct capture_pipe){ .pages = size > 0 ? (unsigned)((size_t)size / page()) : 1 };
	pipe->capacity = pipe->pages * page();
	/* How many pages another's bytes take is not known: all of them. */
	before = unread(fd);
	if (before)
		note(pipe, before, pipe->pages);
}

size_t capture_pipe_room(struct capture_pipe *pipe, int fd)
{
	uint64_t left = unread(fd), read = left < pipe->put ? pipe->put - left : 0;

	while (pipe->count && (pipe->writes[pipe->first].end <= read || !left)) {
		pipe->used -= pipe->writes[pipe->first].pages;
		pipe->first = (pipe->first + 1) % CAPTURE_PIPE_WRITES;
		pipe->count--;
	}
	if (pipe->count == CAPTURE_PIPE_WRITES || pipe->used >= pipe->pages)
		return 0;
	return (pipe->pages - pipe->used) * page();
}

void capture_pipe_written(struct capture_pipe *pipe, size_t bytes)
{
	note(pipe, bytes, (unsigned)((bytes + page() - 1) / page()));
}
