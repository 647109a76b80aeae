/* SPDX-License-Identifier: BSD-2-Clause */
/* Entering network namespaces on threads of their own; see netns.h. */
#include "netdev/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/error.h"

struct netns_call {
	int fd;
	int (*fn)(void *arg);
	void *arg;
	int rc;
	struct error *error;
};

int netns_open(const char *name, struct error *error)
{
	char path[512];
	int fd, length;

	length = snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	if (length < 0 || (size_t)length >= sizeof(path))
		return error_set(error, -ENAMETOOLONG,
				 "network namespace \"%.32s...\": name too long", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int rc = -errno;

		error_set(error, rc, "network namespace %s: cannot open %s: %s", name, path,
			  error_name(rc));
		error_advise(error, "`ip netns list` shows those that have a name");
		return rc;
	}
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		error_set(error, -EINVAL, "network namespace %s: %s is none", name, path);
		error_advise(error, "expected a name that `ip netns list` shows, or a path as "
				    "/proc/PID/ns/net");
		return -EINVAL;
	}
	return fd;
}

static void *run(void *arg)
{
	struct netns_call *call = arg;

	if (setns(call->fd, CLONE_NEWNET)) {
		call->rc = -errno;
		error_set(call->error, call->rc, "network namespace: cannot enter it: %s",
			  error_name(call->rc));
		if (call->rc == -EPERM)
			error_advise(call->error,
				     "entering needs CAP_SYS_ADMIN there: run inside it, "
				     "or as its owner");
		return NULL;
	}
	call->rc = call->fn(call->arg);
	return NULL;
}

int netns_call(int fd, int (*fn)(void *arg), void *arg, struct error *error)
{
	struct netns_call call = { fd, fn, arg, 0, error };
	pthread_t thread;
	int rc;

	if (fd < 0)
		return fn(arg);
	rc = pthread_create(&thread, NULL, run, &call);
	if (rc)
		return error_set(error, -rc, "network namespace: cannot make a thread: %s",
				 error_name(rc));
	pthread_join(thread, NULL);
	return call.rc;
}

struct socket_call {
	int domain, type, protocol;
};

static int open_socket(void *arg)
{
	const struct socket_call *call = arg;
	int fd = socket(call->domain, call->type | SOCK_CLOEXEC, call->protocol);

	return fd < 0 ? -errno : fd;
}

int netns_socket(int fd, int domain, int type, int protocol, struct error *error)
{
	struct socket_call call = { domain, type, protocol };
	int made;

	if (error)
		error->code = 0;
	made = netns_call(fd, open_socket, &call, error);
	if (made < 0 && error && !error->code)
		error_set(error, made, "cannot open a socket: %s", error_name(made));
	return made;
}
