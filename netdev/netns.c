/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entering network namespaces; see netns.h.
 *
 * Root enters on a thread. An ordinary user may enter the namespaces that belong to a user namespace of the same user, but
 * has to enter that one first, which the kernel allows only a process without other threads: one that shares memory and
 * descriptors with this one, as the child of vfork() does, while the caller waits.
 */
#include "netdev/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"

#define CHILD_STACK (512u << 10)

struct netns_call {
	int fd;
	int user_fd; /* of the user namespace to enter before, or -1 */
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool entered;
	struct error *error;
};

static int open_path(const char *format, const char *name, char *path, size_t size)
{
	int length = snprintf(path, size, format, name), fd;

	if (length < 0 || (size_t)length >= size)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int netns_open(const char *name, struct error *error)
{
	char path[512];
	int fd;

	fd = open_path(strchr(name, '/') ? "%s" : "/run/netns/%s", name, path, sizeof(path));
	if (fd == -ENOENT && name[0] && !name[strspn(name, "0123456789")])
		fd = open_path("/proc/%s/ns/net", name, path, sizeof(path));
	if (fd == -ENAMETOOLONG)
		return error_set(error, fd, "network namespace \"%.32s...\": name too long", name);
	if (fd < 0) {
		error_set(error, fd, "network namespace %s: cannot open %s: %s", name, path,
			  error_name(fd));
		error_advise(error,
			     "`ip netns list` shows those that have a name; that of a process "
			     "is its number");
		return fd;
	}
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		error_set(error, -EINVAL, "network namespace %s: %s is none", name, path);
		error_advise(error, "expected a name that `ip netns list` shows, the number of a "
				    "process, or a path as /proc/PID/ns/net");
		return -EINVAL;
	}
	return fd;
}

static int cannot_enter(const struct netns_call *call, int rc)
{
	error_set(call->error, rc, "network namespace: cannot enter it: %s", error_name(rc));
	if (rc == -EPERM)
		error_advise(call->error,
			     "entering needs CAP_SYS_ADMIN there: run inside it, or as "
			     "the user who made it");
	return rc;
}

static int enter_and_run(void *arg)
{
	struct netns_call *call = arg;

	if ((call->user_fd >= 0 && setns(call->user_fd, CLONE_NEWUSER)) ||
	    setns(call->fd, CLONE_NEWNET))
		call->rc = -errno;
	else {
		call->entered = true;
		call->rc = call->fn(call->arg);
	}
	return 0;
}

static void *run(void *arg)
{
	enter_and_run(arg);
	return NULL;
}

static int run_on_thread(struct netns_call *call)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, run, call);

	if (rc)
		return error_set(call->error, -rc, "network namespace: cannot make a thread: %s",
				 error_name(rc));
	pthread_join(thread, NULL);
	return 0;
}

/* The child has this thread's signal handlers and memory, so no signal may reach it. */
static int run_in_child(struct netns_call *call)
{
	void *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	sigset_t all, before;
	int rc = 0;
	pid_t pid;

	if (stack == MAP_FAILED)
		return error_set(call->error, -ENOMEM,
				 "network namespace: no memory for a process that enters it");
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	/* Without a signal at its end, so that nobody else's wait() finds it. */
	pid = clone(enter_and_run, (char *)stack + CHILD_STACK,
		    CLONE_VM | CLONE_VFORK | CLONE_FILES, call);
	if (pid < 0)
		rc = error_set(call->error, -errno,
			       "network namespace: cannot make a process that enters it: %s",
			       error_name(-errno));
	else
		while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(stack, CHILD_STACK);
	return rc;
}

int netns_call(int fd, int (*fn)(void *arg), void *arg, struct error *error)
{
	struct netns_call call = { .fd = fd, .user_fd = -1, .fn = fn, .arg = arg, .error = error };
	int rc;

	if (fd < 0)
		return fn(arg);
	rc = run_on_thread(&call);
	if (!rc && !call.entered && call.rc == -EPERM) {
		call.user_fd = ioctl(fd, NS_GET_USERNS);
		if (call.user_fd >= 0) {
			rc = run_in_child(&call);
			close(call.user_fd);
		}
	}
	if (rc)
		return rc;
	return call.entered ? call.rc : cannot_enter(&call, call.rc);
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
