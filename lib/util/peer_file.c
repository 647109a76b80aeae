/* SPDX-License-Identifier: BSD-2-Clause */
/* See peer_file.h. */
#include "util/peer_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/* Of one that is mounted where the peer is alone, nothing is known. */
static bool is_of_local_mount(uint64_t id)
{
	struct mounts mounts;
	bool found = false;

	if (mounts_read(&mounts))
		return false;
	for (size_t i = 0; i < mounts.count && !found; i++)
		found = mounts.all[i].id == id && is_local(mounts.all[i].type);
	mounts_free(&mounts);
	return found;
}

static bool is_unix_socket(int fd)
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
		return is_unix_socket(fd);
	case S_IFREG:
	case S_IFDIR:
		/* On a disk, which the host's root alone can mount, wherever (libvirt's QEMU has mounts of its own). */
		return status.stx_dev_major ||
		       (status.stx_mask & STATX_MNT_ID && is_of_local_mount(status.stx_mnt_id));
	default:
		return false;
	}
}

static void *close_it(void *arg)
{
	close((int)(intptr_t)arg);
	atomic_fetch_sub(&waiting, 1);
	return NULL;
}

void peer_file_close(int fd)
{
	pthread_t thread;

	if (fd < 0)
		return;
	if (peer_file_is_prompt(fd)) {
		close(fd);
		return;
	}
	atomic_fetch_add(&waiting, 1);
	/* Without a thread it stays open: better than to wait. */
	if (!thread_start(&thread, "tenon-close", close_it, (void *)(intptr_t)fd))
		pthread_detach(thread);
}

bool peer_files_wait(void)
{
	return atomic_load(&waiting) >= WAITING_MOST;
}
