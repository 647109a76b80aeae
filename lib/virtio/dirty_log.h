/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dirty log of vhost-user (LOG_SHMFD): a bitmap in memory shared with the front-end, a bit for each 4 KiB
 * page of guest memory, set after the page was written to. A front-end that migrates its guest sends those
 * pages again.
 *
 * Bits are set atomically, for the front-end clears them at the same time. Pages beyond its end are not
 * noted: the front-end said how much it wants to know of. From any thread.
 */
#ifndef TENON_VIRTIO_DIRTY_LOG_H
#define TENON_VIRTIO_DIRTY_LOG_H

#include <stdint.h>

#include "virtio/memory_guard.h"

struct error;

#define DIRTY_LOG_PAGE 4096u

struct dirty_log {
	uint8_t *bitmap;
	uint64_t bytes; /* of the bitmap */
	void *mapping;
	uint64_t mapping_size;
	struct memory_guard *guard;
};

/* Maps `bytes` of `fd` (which stays the caller's) from `offset` on. -EINVAL (no file, or too short),
 * or mmap()'s. `connection` as of memory_guard_add(). */
int dirty_log_map(struct dirty_log *log, int fd, uint64_t offset, uint64_t bytes, int connection,
		  struct error *error);
void dirty_log_unmap(struct dirty_log *log);

/* [guest_address, guest_address + length) was written to. */
void dirty_log_note(struct dirty_log *log, uint64_t guest_address, uint64_t length);

#endif
