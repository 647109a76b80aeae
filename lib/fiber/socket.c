/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets and pipes on fibers: the system call at once, and a poll where it would block. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/worker_private.h"
#include "util/unix_socket.h"

/* Whether a call that failed with `error` is to be tried again, after the wait that it may need;
 * else 0 is not returned but the negative errno. */
static int retry(int fd, int error, short events)
{
	int result;

	if (error == EINTR)
		return 0;
	if (error != EAGAIN && error != EWOULDBLOCK)
		return -error;
	result = fiber_poll(fd, events, FIBER_FOREVER);
	return result < 0 ? result : 0;
}

ssize_t fiber_read(int fd, void *at, size_t length)
{
	for (;;) {
		ssize_t got;
		int rc;

		if (fiber_cancelled())
			return -ECANCELED;
		got = read(fd, at, length);
		if (got >= 0)
			return got;
		rc = retry(fd, errno, POLLIN);
		if (rc)
			return rc;
	}
}

/* send() spares sockets the SIGPIPE; it knows only sockets. */
static ssize_t write_some(int fd, const void *at, size_t length)
{
	ssize_t put = send(fd, at, length, MSG_NOSIGNAL);

	return put < 0 && errno == ENOTSOCK ? write(fd, at, length) : put;
}

int fiber_write(int fd, const void *at, size_t length)
{
	const char *next = at;

	while (length) {
		ssize_t put;

		if (fiber_cancelled())
			return -ECANCELED;
		put = write_some(fd, next, length);
		if (put >= 0) {
			next += put;
			length -= (size_t)put;
		} else {
			int rc = retry(fd, errno, POLLOUT);

			if (rc)
				return rc;
		}
	}
	return 0;
}

int fiber_accept(int fd)
{
	for (;;) {
		int connection, rc;

		if (fiber_cancelled())
			return -ECANCELED;
		connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (connection >= 0)
			return connection;
		/* A peer that has gone again is not our caller's trouble. */
		rc = errno == ECONNABORTED ? 0 : retry(fd, errno, POLLIN);
		if (rc)
			return rc;
	}
}

static int wait_a_moment(void *arg)
{
	(void)arg;
	return fiber_sleep(NS_PER_SECOND / 1000);
}

int fiber_connect_unix(const char *path)
{
	return unix_socket_connect_with(path, wait_a_moment, NULL, NULL);
}
