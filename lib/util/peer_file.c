/* SPDX-License-Identifier: BSD-2-Clause */
/* See peer_file.h. */
#include "util/peer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/mounts.h"
#include "util/thread.h"

#define WAITING_MOST 64 /* threads that close something */

/* Of the process, as its threads are. */
static atomic_uint waiting;

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
 * btrfs gives each subvolume a device number of its own, which the list of mounts does not have. But it (and bcachefs) tells four attributes of its files, and no
 * file system that others than the host's root can mount does: FUSE passes none of its server's on, nor do those over a network have all of them; overlays tell
 * what is told of the file below.
 */
static bool has_attributes_of_disk(const struct statx *status)
{
	const uint64_t all = STATX_ATTR_APPEND | STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE |
			     STATX_ATTR_NODUMP;

	return (status->stx_attributes_mask & all) == all;
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
		return status.stx_dev_major || has_attributes_of_disk(&status) ||
		       (status.stx_mask & STATX_MNT_ID && is_of_local_mount(&status));
	default:
		return false;
	}
}

/* ---- Closing ---- */

struct peer_closing {
	unsigned count;
	int files[];
};

static void *close_all(void *arg)
{
	struct peer_closing *closing = arg;

	for (unsigned i = 0; i < closing->count; i++)
		close(closing->files[i]);
	free(closing);
	atomic_fetch_sub(&waiting, 1);
	return NULL;
}

static void close_later(const int *files, unsigned count)
{
	struct peer_closing *closing = malloc(sizeof(*closing) + count * sizeof(files[0]));
	pthread_t thread;

	atomic_fetch_add(&waiting, 1);
	/* Without memory or a thread they stay open: better than to wait. */
	if (!closing)
		return;
	closing->count = count;
	memcpy(closing->files, files, count * sizeof(files[0]));
	if (!thread_start(&thread, "tenon-close", close_all, closing))
		pthread_detach(thread);
	else
		free(closing);
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

bool peer_files_wait(void)
{
	return atomic_load(&waiting) >= WAITING_MOST;
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
