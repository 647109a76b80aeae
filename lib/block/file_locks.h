/* SPDX-License-Identifier: BSD-2-Clause */
/* The locks on an open file or device, and on what is below it (file_lock.c). */
#ifndef TENON_BLOCK_FILE_LOCKS_H
#define TENON_BLOCK_FILE_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Descriptors of what is below a device, which carry the locks on it. */
struct file_locks {
	int *fds;
	unsigned count;
	bool loops_later; /* set by the caller: it looks itself for loop devices that are in use */
};

/* Takes the lock that block_open_file() tells of, for [offset, offset + length) (BLOCK_TO_THE_END: all): on `fd`
 * itself, and on what is below for as long as `locks` lives, also after a failure. 0, or -EBUSY or another errno with
 * `error` set. */
int file_lock_range(int fd, const char *path, bool exclusive, uint64_t offset, uint64_t length,
		    struct file_locks *locks, struct error *error);
void file_unlock(struct file_locks *locks); /* those on what is below; a zeroed one is fine */

#endif
