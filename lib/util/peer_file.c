/* SPDX-License-Identifier: BSD-2-Clause */
/* See peer_file.h. */
#include "util/peer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/mounts.h"
#include "util/thread.h"

#define WAITING_MOST 64 /* threads that close something */
#define TRY_AGAIN_NS 1000000000u

static bool is_local(const char *type)
{
	static const char *const local[] = { "bcachefs", "btrfs",     "ext2", "ext3",   "ext4",
					     "f2fs",     "hugetlbfs", "jfs",  "nilfs2", "overlay",
					     "ramfs",    "tmpfs",     "xfs",  "zfs" };

	for (unsigned i = 0; i < ARRAY_SIZE(local); i++)
		if (!strcmp(type, local[i]))
			return true;
	return false;
}

/*
 * Of a mount of ours, or (libvirt's QEMU, and containers, have mounts of their own) of a file system that is mounted here, too, by its device number, which no other
 * has. Of one that is mounted where the peer is alone, nothing is known.
 */
static bool is_of_local_mount(const struct statx *status)
{
	dev_t device = makedev(status->stx_dev_major, status->stx_dev_minor);
	struct mounts mounts;
	bool found = false;

	if (mounts_read(&mounts))
		return false;
	for (size_t i = 0; i < mounts.count && !found; i++)
		found = (mounts.all[i].id == status->stx_mnt_id ||
			 mounts.all[i].device == device) &&
			is_local(mounts.all[i].type);
	mounts_free(&mounts);
	return found;
}

/*
 * btrfs gives each subvolume a device number of its own, which the list of mounts does not have. But it tells four attributes of its files, and no
 * file system that others than the host's root can mount does: FUSE passes none of its server's on, nor do those over a network have all of them. Only overlays tell
 * what is told of the file above, while one that was opened before it was copied up is another's; they do not answer a question of btrfs.
 */
static bool is_of_btrfs(int fd, const struct statx *status)
{
	const uint64_t all = STATX_ATTR_APPEND | STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE |
			     STATX_ATTR_NODUMP;
	struct btrfs_ioctl_fs_info_args info = { 0 };

	return (status->stx_attributes_mask & all) == all && !ioctl(fd, BTRFS_IOC_FS_INFO, &info);
}

bool peer_file_is_socket(int fd)
{
	int domain;
	socklen_t length = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) && domain == AF_UNIX;
}

bool peer_file_is_prompt(int fd)
{
	struct statx status;

	/* Only of what is in memory. */
	if (fcntl(fd, F_GET_SEALS) >= 0)
		return true;
	/* What is known of it without asking. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &status))
		return false;
	switch (status.stx_mode & S_IFMT) {
	case 0: /* an eventfd and the like */
	case S_IFIFO:
		return true;
	case S_IFSOCK:
		return peer_file_is_socket(fd);
	case S_IFREG:
	case S_IFDIR:
		/* On a disk, which the host's root alone can mount, wherever (libvirt's QEMU has mounts of its own). */
		return status.stx_dev_major || is_of_btrfs(fd, &status) ||
		       (status.stx_mask & STATX_MNT_ID && is_of_local_mount(&status));
	default:
		return false;
	}
}

/* ---- Closing ---- */

struct peer_closing {
	struct peer_closing *next;
	unsigned count;
	int files[];
};

/* Of the process, as its threads are. */
static struct {
	atomic_uint
		waiting; /* closings: that threads are about, that have none yet, and (no memory) that are given up */
	pthread_mutex_t lock;
	struct peer_closing *first, **end; /* that have none yet */
	_Atomic uint64_t tried_at;
} closings = { .lock = PTHREAD_MUTEX_INITIALIZER, .end = &closings.first };

/* Without the first one, which is the caller's then; NULL: there is none. With the lock. */
static struct peer_closing *take_first(void)
{
	struct peer_closing *closing = closings.first;

	if (closing)
		closings.first = closing->next;
	if (!closings.first)
		closings.end = &closings.first;
	return closing;
}

static void *close_all(void *arg)
{
	struct peer_closing *closing = arg;

	while (closing) {
		for (unsigned i = 0; i < closing->count; i++)
			close(closing->files[i]);
		free(closing);
		atomic_fetch_sub(&closings.waiting, 1);
		/* Those that got no thread have this one. */
		pthread_mutex_lock(&closings.lock);
		closing = take_first();
		pthread_mutex_unlock(&closings.lock);
	}
	return NULL;
}

/* Each on a thread of its own, as long as there are some to be had. */
static void start_closings(struct peer_closing *more)
{
	struct peer_closing *closing;
	pthread_t thread;

	pthread_mutex_lock(&closings.lock);
	if (more) {
		*closings.end = more;
		closings.end = &more->next;
	}
	while ((closing = take_first())) {
		if (thread_start(&thread, "tenon-close", close_all, closing)) {
			closing->next = closings.first;
			closings.first = closing;
			closings.end = closing->next ? closings.end : &closing->next;
			break;
		}
		pthread_detach(thread);
	}
	pthread_mutex_unlock(&closings.lock);
}

static void close_later(const int *files, unsigned count)
{
	struct peer_closing *closing = malloc(sizeof(*closing) + count * sizeof(files[0]));

	atomic_fetch_add(&closings.waiting, 1);
	/* They stay open: better than to wait. */
	if (!closing)
		return;
	closing->next = NULL;
	closing->count = count;
	memcpy(closing->files, files, count * sizeof(files[0]));
	start_closings(closing);
}

void peer_file_close(int fd)
{
	if (fd < 0)
		return;
	/* What a socket has received, and nobody has taken, may be files, which end with it. */
	if (peer_file_is_prompt(fd) && !peer_file_is_socket(fd))
		close(fd);
	else
		close_later(&fd, 1);
}

void peer_socket_begin(int fd)
{
	int on = 1;

	/* An urgent byte would be dropped by itself, with the files that came with it. */
	if (peer_file_is_socket(fd))
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

/* False also where that is not known. */
static bool is_empty(int fd)
{
	char byte;
	int type = 0;
	socklen_t length = sizeof(type);
	ssize_t got;

	/* From here on nothing comes. */
	shutdown(fd, SHUT_RDWR);
	got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN;
	/* A datagram may have no bytes. */
	return !got && !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) && type == SOCK_STREAM;
}

void peer_socket_close(int fd)
{
	if (fd < 0)
		return;
	peer_socket_begin(fd);
	if (!peer_file_is_socket(fd) || is_empty(fd))
		close(fd);
	else
		close_later(&fd, 1);
}

void peer_listener_close(int fd)
{
	int both[2] = { fd, -1 };

	if (fd < 0)
		return;
	if (!peer_file_is_socket(fd)) {
		close(fd);
		return;
	}
	/* From here on nobody comes. */
	shutdown(fd, SHUT_RDWR);
	both[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (both[1] < 0 && (errno == EINVAL || errno == EAGAIN))
		close(fd);
	else
		close_later(both, both[1] < 0 ? 1 : 2);
}

/* What could not be begun is tried again where nothing else would. */
static void try_again(void)
{
	uint64_t now = monotonic_ns();

	if (now - atomic_load(&closings.tried_at) < TRY_AGAIN_NS)
		return;
	atomic_store(&closings.tried_at, now);
	start_closings(NULL);
}

unsigned peer_files_waiting(void)
{
	return atomic_load(&closings.waiting);
}

bool peer_files_wait(void)
{
	if (peer_files_waiting() < WAITING_MOST)
		return false;
	try_again();
	return peer_files_waiting() >= WAITING_MOST;
}

const char *peer_error_name(int code)
{
	return code == -EMFILE && peer_files_wait()
		       ? "files came with it, and no more are taken: too many of before are not "
			 "closed "
			 "yet, as a file system or a socket that peers sent does not answer"
		       : error_name(code);
}

/* ---- Receiving ---- */

unsigned peer_files_take(const struct msghdr *message, int *files, unsigned room)
{
	int unwanted[PEER_FILES_MOST];
	unsigned came = 0, left = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++, came++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (came < room)
				files[came] = fd;
			else
				unwanted[left++] = fd;
		}
	}
	/* Not even looked at: that they are many is not to cost much. */
	if (left)
		close_later(unwanted, left);
	return came;
}

ssize_t peer_look(int fd, void *bytes, size_t length, int flags)
{
	struct iovec iov = { bytes, length };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got = recvmsg(fd, &header, flags | MSG_PEEK);

	if (got < 0)
		return -errno;
	/* Who looks without room for files is told so that there are some. */
	return header.msg_flags & MSG_CTRUNC ? -EMFILE : got;
}

ssize_t peer_receive(int fd, void *bytes, size_t length, int flags, int *files, unsigned *count)
{
	union {
		char bytes[PEER_FILES_ROOM];
		struct cmsghdr align;
	} control;
	unsigned room = *count;
	struct iovec iov = { bytes, length };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	*count = 0;
	if (peer_files_wait()) {
		got = peer_look(fd, bytes, length, flags);
		if (got <= 0)
			return got;
		iov.iov_len = (size_t)got;
	}
	header.msg_control = &control;
	header.msg_controllen = sizeof(control);
	got = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	*count = peer_files_take(&header, files, room);
	return header.msg_flags & MSG_CTRUNC ? -EMFILE : got;
}

ssize_t peer_receive_bytes(int fd, void *bytes, size_t length)
{
	unsigned none = 0;

	return peer_receive(fd, bytes, length, MSG_DONTWAIT, NULL, &none);
}
