/* SPDX-License-Identifier: BSD-2-Clause */
/* See unix_socket.h. */
#include "util/unix_socket.h"

#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/number.h"
#include "util/peer_file.h"

#define BACKLOG          64
#define CLEAN_UP_MS      1000
#define CONNECT_RETRY_US 1000
#define LISTEN_LOCK_MS   10000

int unix_socket_address(struct sockaddr_un *address, const char *path, struct error *error)
{
	int rc;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path)
		return error_set(error, -EINVAL, "the socket's path is empty");
	if (strlen(path) < sizeof(address->sun_path)) {
		strcpy(address->sun_path, path);
		return 0;
	}
	rc = error_set(error, -ENAMETOOLONG, "%s: the path has %zu bytes, a socket's may have %zu",
		       path, strlen(path), sizeof(address->sun_path) - 1);
	error_advise(error, "use a folder with a shorter path, or a relative one");
	return rc;
}

/* A path that is too long for an address, by way of its folder, which `folder` keeps open. */
static int address_through_folder(struct sockaddr_un *address, const char *path, int *folder)
{
	const char *name = strrchr(path, '/');
	CLEANUP_FREE char *head = name ? strndup(path, (size_t)(name - path)) : NULL;
	int length;

	*folder = head ? open(*head ? head : "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (*folder < 0)
		return -ENAMETOOLONG;
	length = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%s",
			  *folder, name);
	return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

int unix_socket_connect_with(const char *path, int (*wait)(void *arg), void *arg,
			     struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int fd = -1, folder = -1;
	int rc = 0;

	if (strlen(path) < sizeof(address.sun_path) ||
	    address_through_folder(&address, path, &folder))
		rc = unix_socket_address(&address, path, error);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, -errno, "%s: socket: %s", path, error_name(errno));
	while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return error_set(error, -errno, "%s: cannot connect: %s", path,
					 error_name(errno));
		rc = wait(arg);
		if (rc)
			return error_set(error, rc, "%s: the server takes no client: %s", path,
					 error_name(rc));
	}
	return steal_fd(&fd);
}

static int wait_a_moment(void *arg)
{
	uint64_t *until = arg;

	if (monotonic_ns() >= *until)
		return -ETIMEDOUT;
	usleep(CONNECT_RETRY_US);
	return 0;
}

int unix_socket_connect(const char *path, struct error *error)
{
	uint64_t until = monotonic_ns() + UNIX_SOCKET_PATIENCE_NS;
	CLEANUP_CLOSE int fd = unix_socket_connect_server(path, wait_a_moment, &until, error);

	return fd < 0 || !fcntl(fd, F_SETFL, 0) ? steal_fd(&fd) : -errno;
}

int unix_socket_connect_server(const char *path, int (*wait)(void *arg), void *arg,
			       struct error *error)
{
	int fd = unix_socket_connect_with(path, wait, arg, error);

	if (fd == -ETIMEDOUT) {
		error_set(error, fd, "%s: the server takes no client for %llu s", path,
			  UNIX_SOCKET_PATIENCE_NS / 1000000000);
		error_advise(error, "it is stopped or hangs: `fuser -v %s` finds it", path);
	} else if (fd == -ENOENT || fd == -ECONNREFUSED) {
		error_advise(error, "start the server that listens there first: `tenon serve` "
				    "for a disk, `tenon switch run` for a NIC");
	}
	return fd;
}

/* Whether the process that listens at the other end of a connection has ended. */
static bool listener_ended(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0 &&
	       kill(peer.pid, 0) < 0 && errno == ESRCH;
}

/* Whether anybody has that socket. A full backlog says that somebody does, and so does one of another kind; who cannot look
 * may not say that nobody does. */
static bool answers(const struct sockaddr_un *address, int type, bool *ended)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*ended = false;
	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return fd < 0 || (errno != ECONNREFUSED && errno != ENOENT);
	*ended = listener_ended(fd);
	return true;
}

/*
 * The same; but a server that was killed a moment ago is not taken for one that lives. What it waited for on an
 * io_uring keeps its sockets open until the kernel has cleaned up behind it, some milliseconds later. (Its
 * process being gone is not enough to replace the socket at once: a server may listen before it forks.)
 */
static bool answers_for_good(const struct sockaddr_un *address, int type)
{
	bool ended;

	for (unsigned i = 0; answers(address, type, &ended); i++) {
		if (!ended || i == CLEAN_UP_MS / 10)
			return true;
		usleep(10000);
	}
	return false;
}

static int replace_stale(const struct sockaddr_un *address, int type, struct error *error)
{
	const char *path = address->sun_path;
	struct stat status;
	int rc;

	if (lstat(path, &status) < 0)
		return errno == ENOENT
			       ? 0
			       : error_set(error, -errno, "%s: %s", path, error_name(errno));
	if (!S_ISSOCK(status.st_mode)) {
		rc = error_set(error, -EEXIST, "%s: exists, and is no socket", path);
		error_advise(error, "give another path, or remove the file");
		return rc;
	}
	if (answers_for_good(address, type)) {
		rc = error_set(error, -EADDRINUSE, "%s: another server answers there", path);
		error_advise(error, "stop that server, or give another path");
		return rc;
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(error, -errno, "%s: cannot remove the stale socket: %s", path,
				 error_name(errno));
	return 0;
}

static int access_error(int rc, const char *path, const struct unix_socket_access *access,
			struct error *error)
{
	error_set(error, rc, "%s: cannot give the socket mode 0%o%s: %s", path, access->mode,
		  access->has_group ? " and its group" : "", error_name(rc));
	if (rc == -EPERM)
		error_advise(error, "the group must be one that this user is in (see `id`)");
	return rc;
}

/* Makes it, and remembers which file it is. */
static int bind_new(struct unix_listener *made, const struct sockaddr_un *address)
{
	struct stat status;

	if (bind(made->fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    lstat(address->sun_path, &status) < 0)
		return -errno;
	/* One that is another's already is not remembered, and so never removed. */
	if (S_ISSOCK(status.st_mode) && status.st_uid == geteuid()) {
		made->device = status.st_dev;
		made->inode = status.st_ino;
	}
	return 0;
}

/* The caller closes `made`, also after a failure. */
static int make_socket(struct unix_listener *made, const struct sockaddr_un *address, int type,
		       struct error *error)
{
	const char *path = address->sun_path;
	int rc;

	made->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	made->path = strdup(path);
	/* Linux gives the socket file the mode of the socket itself: no moment with a wider one, and
	 * no umask that other threads would see. */
	if (made->fd < 0 || !made->path || fchmod(made->fd, 0600) < 0)
		return error_set(error, -errno, "%s: socket: %s", path, error_name(errno));
	rc = bind_new(made, address);
	if (rc == -EADDRINUSE) {
		rc = replace_stale(address, type, error);
		if (rc < 0)
			return rc;
		rc = bind_new(made, address);
	}
	return rc < 0 ? error_set(error, rc, "%s: cannot make the socket: %s", path, error_name(rc))
		      : 0;
}

/* Through a descriptor of the file itself: should somebody else have put another file there meanwhile, that
 * one keeps what it has. */
static int set_access(const struct unix_listener *made, const struct unix_socket_access *access,
		      struct error *error)
{
	const char *path = made->path;
	CLEANUP_CLOSE int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char itself[32];
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return access_error(-errno, path, access, error);
	if (status.st_dev != made->device || status.st_ino != made->inode || status.st_nlink != 1)
		return error_set(error, -EEXIST, "%s: somebody exchanged the socket just made",
				 path);
	if (access->has_group && fchownat(fd, "", (uid_t)-1, access->group, AT_EMPTY_PATH) < 0)
		return access_error(-errno, path, access, error);
	/* Mostly it was made with it; and where there is no /proc, nothing else can be had. */
	if ((status.st_mode & 07777) == access->mode)
		return 0;
	snprintf(itself, sizeof(itself), "/proc/self/fd/%d", fd);
	if (chmod(itself, access->mode) < 0) {
		int rc = access_error(-errno, path, access, error);

		if (rc == -ENOENT)
			error_advise(error, "mount /proc here; a socket of mode 0600 needs none");
		return rc;
	}
	return 0;
}

/*
 * Servers that start on one path in one moment do so one after another: from the first look at the file until
 * it listens the folder is locked. Else one that is bound and does not listen yet looks stale to another, and
 * so does the new file that was put where a stale one had been seen. Returns the descriptor that holds the
 * lock, or -1 where the folder cannot be opened (none can be made there then, or only the folder is not
 * to be listed), or -EBUSY.
 */
static int lock_folder(const char *path, struct error *error)
{
	const char *name = strrchr(path, '/');
	CLEANUP_FREE char *head = name ? strndup(path, (size_t)(name - path)) : NULL;
	const char *folder = !name ? "." : head && *head ? head : "/";
	CLEANUP_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -1;
	for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += 10) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		if (waited >= LISTEN_LOCK_MS) {
			rc = error_set(error, -EBUSY,
				       "%s: another process has had the folder locked for %u s",
				       folder, LISTEN_LOCK_MS / 1000);
			error_advise(error,
				     "`lslocks` says which; or give a path in another folder");
			return rc;
		}
		usleep(10000);
	}
	return steal_fd(&fd);
}

static int bind_for(struct unix_listener *listener, const char *path, int type,
		    const struct unix_socket_access *access, struct error *error)
{
	struct unix_listener made = { .fd = -1 };
	struct sockaddr_un address;
	CLEANUP_CLOSE int folder = -1;
	int rc = unix_socket_address(&address, path, error);

	if (rc < 0)
		return rc;
	folder = lock_folder(path, error);
	if (folder == -EBUSY)
		return -EBUSY;
	rc = make_socket(&made, &address, type, error);
	if (!rc && access)
		rc = set_access(&made, access, error);
	if (!rc && type == SOCK_STREAM && listen(made.fd, BACKLOG) < 0)
		rc = error_set(error, -errno, "%s: cannot listen: %s", path, error_name(errno));
	if (rc < 0) {
		unix_listener_close(&made);
		return rc;
	}
	*listener = made;
	return 0;
}

int unix_listen(struct unix_listener *listener, const char *path, struct error *error)
{
	return unix_listen_for(listener, path, NULL, error);
}

int unix_listen_for(struct unix_listener *listener, const char *path,
		    const struct unix_socket_access *access, struct error *error)
{
	return bind_for(listener, path, SOCK_STREAM, access, error);
}

int unix_bind_datagram(struct unix_listener *listener, const char *path,
		       const struct unix_socket_access *access, struct error *error)
{
	return bind_for(listener, path, SOCK_DGRAM, access, error);
}

bool unix_listener_is_there(const struct unix_listener *listener)
{
	struct stat status;

	return listener->fd < 0 ||
	       (lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
		status.st_ino == listener->inode);
}

static void close_own(int fd)
{
	int type = 0;
	socklen_t length = sizeof(type);

	if (!getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) && type == SOCK_DGRAM)
		peer_socket_close(fd);
	else
		peer_listener_close(fd);
}

void unix_listener_close(struct unix_listener *listener)
{
	if (listener->fd >= 0) {
		if (unix_listener_is_there(listener))
			unlink(listener->path);
		close_own(listener->fd);
	}
	free(listener->path);
	*listener = (struct unix_listener){ .fd = -1 };
}

/* ---- What a person says ---- */

int unix_socket_parse_mode(const char *text, mode_t *mode, struct error *error)
{
	mode_t value = 0;
	bool good = *text && strlen(text) <= 4;

	for (const char *at = text; *at && good; at++) {
		good = *at >= '0' && *at <= '7';
		value = value << 3 | (mode_t)(*at - '0');
	}
	if (!good || value > 0777 || (value & 0600) != 0600)
		return error_set(error, -EINVAL,
				 "'%.40s': expected an octal mode from 0600 to 0777, as in 0660",
				 text);
	*mode = value;
	return 0;
}

int unix_socket_parse_group(const char *text, gid_t *group, struct error *error)
{
	const struct group *entry = getgrnam(text);
	uint64_t number;

	if (entry) {
		*group = entry->gr_gid;
		return 0;
	}
	/* (gid_t)-1 means "as it is" to chown(). */
	if (number_parse(text, 0, UINT32_MAX - 1, &number, NULL))
		return error_set(error, -ENOENT,
				 "'%.40s': there is no group of that name, and it is no number",
				 text);
	*group = (gid_t)number;
	return 0;
}

pid_t unix_socket_peer(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) ? 0 : peer.pid;
}
