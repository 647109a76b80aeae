/* SPDX-License-Identifier: BSD-2-Clause */
/* See rpc_line.h. */
#include "rpc/rpc_line.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "util/bytes.h"
#include "util/peer_file.h"
#include "util/process.h"

#define LOOK_NS    (250 * 1000 * 1000ull) /* how often a peer that is waited for is looked at */
#define MOST_LOOKS 4                      /* that find it stopped */

struct rpc_time {
	uint64_t until, latest;
};

static struct rpc_time rpc_time(const struct rpc_patience *patience, uint64_t ns)
{
	uint64_t until = ns == FIBER_FOREVER ? ns : worker_now() + ns;
	uint64_t latest = patience->latest ? patience->latest : until;

	return (struct rpc_time){ MIN(until, latest), latest };
}

/*
 * As fiber_poll_until(), where a line has an end; 0, -ETIMEDOUT, or another negative errno. Limits are for a peer that hangs. What one spends in the queue
 * of a crowded machine, or works for, is not counted until that is too long as well. Our own process runs, as it looks.
 */
static int rpc_wait(int fd, short events, struct rpc_time *time, pid_t peer)
{
	unsigned stopped = 0;

	for (;;) {
		uint64_t look = peer ? MIN(time->until, worker_now() + LOOK_NS) : time->until;
		int rc;

		/* A look does not suspend: who sends as fast as it is read would have this thread to itself. */
		if (look <= worker_now())
			fiber_yield();
		rc = fiber_poll_until(fd, events, look);
		if (rc != -ETIMEDOUT)
			return MIN(rc, 0);
		if (time->until < time->latest && peer && peer != getpid() &&
		    process_is_runnable(peer))
			time->until = MIN(time->until + LOOK_NS, time->latest);
		if (look >= time->until)
			return -ETIMEDOUT;
		stopped = peer && process_is_stopped(peer) ? stopped + 1 : 0;
		if (stopped == MOST_LOOKS)
			return -ETIMEDOUT;
	}
}

static int rpc_reader_grow(struct rpc_reader *reader)
{
	size_t size = reader->size ? reader->size * 2 : 4096;
	char *buffer;

	if (reader->used < reader->size)
		return 0;
	if (size > reader->most)
		return -EMSGSIZE;
	buffer = realloc(reader->buffer, size);
	if (!buffer)
		return -ENOMEM;
	reader->buffer = buffer;
	reader->size = size;
	return 0;
}

int rpc_read_line(struct rpc_reader *reader, char **line, size_t *length)
{
	const struct rpc_patience *patience = reader->patience;
	struct rpc_time time;
	size_t searched = 0;
	bool begun;

	reader->used -= reader->taken;
	if (reader->taken && reader->used)
		memmove(reader->buffer, reader->buffer + reader->taken, reader->used);
	reader->taken = 0;
	begun = reader->used > 0;
	time = rpc_time(patience, begun ? patience->line_ns : patience->idle_ns);
	for (;;) {
		char *end = NULL;
		ssize_t got;
		int rc;

		if (reader->used > searched)
			end = memchr(reader->buffer + searched, '\n', reader->used - searched);
		if (end) {
			*line = reader->buffer;
			*length = (size_t)(end - reader->buffer);
			reader->taken = *length + 1;
			return 1;
		}
		searched = reader->used;
		rc = rpc_reader_grow(reader);
		if (!rc)
			rc = rpc_wait(reader->fd, POLLIN, &time, patience->peer);
		if (rc)
			return rc;
		got = peer_receive_bytes(reader->fd, reader->buffer + reader->used,
					 reader->size - reader->used);
		if (got == -EAGAIN || got == -EINTR)
			continue;
		if (got <= 0)
			return (int)got;
		reader->used += (size_t)got;
		if (!begun)
			time = rpc_time(patience, patience->line_ns);
		begun = true;
	}
}

void rpc_reader_free(struct rpc_reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}

static int write_within(int fd, const char *at, size_t length, struct rpc_time *time, pid_t peer)
{
	while (length) {
		ssize_t put = send(fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc = put < 0 ? -errno : 0;

		if (rc == -EAGAIN)
			rc = rpc_wait(fd, POLLOUT, time, peer);
		if (rc && rc != -EINTR)
			return rc;
		if (put > 0) {
			at += put;
			length -= (size_t)put;
		}
	}
	return 0;
}

int rpc_write_line(int fd, const char *line, const struct rpc_patience *patience)
{
	struct rpc_time time = rpc_time(patience, patience->line_ns);
	int rc = write_within(fd, line, strlen(line), &time, patience->peer);

	return rc ? rc : write_within(fd, "\n", 1, &time, patience->peer);
}

int rpc_write_text(int fd, const char *text, const struct rpc_patience *patience)
{
	struct rpc_time time = rpc_time(patience, patience->line_ns);

	return write_within(fd, text, strlen(text), &time, patience->peer);
}
