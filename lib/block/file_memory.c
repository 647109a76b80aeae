/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in memory (tmpfs). The ring has to give their requests to a thread, which takes thirty times as long as
 * the copy that they are; so they are done at once, as access to guest memory is, which is made of the same.
 *
 * Within limits: what is large, and what comes after much in one round of the loop, goes the way of all
 * requests, so that one who copies an image in memory does not keep the worker's others from their turn.
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "block/file.h"

#define LARGE      (64u << 10)
#define IN_A_ROUND (256u << 10)

bool file_is_in_memory(int fd)
{
	struct statfs at;

	return !fstatfs(fd, &at) && at.f_type == TMPFS_MAGIC;
}

bool file_transfers_now(struct file *file, uint64_t length)
{
	struct file_round *round = file_round(file);

	if (length > LARGE || round->bytes + length > IN_A_ROUND)
		return false;
	round->bytes += length;
	return true;
}

ssize_t file_transfer_now(int fd, bool write, const struct iovec *iov, unsigned count,
			  uint64_t offset)
{
	ssize_t done;

	if (count == 1)
		done = write ? pwrite(fd, iov->iov_base, iov->iov_len, (off_t)offset)
			     : pread(fd, iov->iov_base, iov->iov_len, (off_t)offset);
	else
		done = write ? pwritev(fd, iov, (int)count, (off_t)offset)
			     : preadv(fd, iov, (int)count, (off_t)offset);
	return done < 0 ? -errno : done;
}
