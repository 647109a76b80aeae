/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: the regions of shared memory in which a driver keeps its rings and buffers.
 *
 * Three kinds of address meet here. A *guest address* is what descriptors hold. A *user address* is
 * where the front-end (QEMU, our monitor) has mapped the same byte; vhost-user gives ring addresses
 * as such. A *host pointer* is where this process has it mapped. All access to guest memory goes
 * through guest_memory_translate() and guest_memory_iov(), which check that a range lies in it.
 *
 * The other side writes to this memory at any time: read what a decision hangs on once, into a copy.
 *
 * Memory is a file of the peer, and touching a mapped page that lies past the end of its file raises SIGBUS.
 * When a region is mapped, the file must be long enough, and a memfd that allows it gets F_SEAL_SHRINK
 * (QEMU's memory-backend-memfd has it already), after which nobody can shorten it. A file that cannot be
 * sealed (memory-backend-file, a memfd without MFD_ALLOW_SEALING) is accepted, with `sealed` false, and
 * guarded: a front-end that truncates it while it is in use loses its connection (memory_guard.h).
 */
#ifndef TENON_VIRTIO_GUEST_MEMORY_H
#define TENON_VIRTIO_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/cleanup.h"

struct dirty_log;
struct error;
struct memory_guard;

#define GUEST_MEMORY_MAX_REGIONS 64

struct guest_memory_region {
	uint64_t guest_address;
	uint64_t size;
	uint64_t user_address; /* in the front-end; our own pointer where we are the front-end */
	uint8_t *host;         /* the region's first byte here */
	int fd;                /* the file behind it, or -1; closed with the region */
	uint64_t fd_offset;    /* of the region's first byte in the file */
	bool sealed;           /* the file cannot be shortened */

	void *mapping; /* what munmap() gets; NULL where the memory is not ours to unmap */
	uint64_t mapping_size;
	struct memory_guard *guard; /* NULL where the memory is not a peer's */
};

/* Regions do not overlap in guest addresses. Zero-initialise it to have no memory. */
struct guest_memory {
	struct guest_memory_region regions[GUEST_MEMORY_MAX_REGIONS];
	unsigned count;
	struct dirty_log *log; /* what is written is noted in it; NULL: not */
};

/*
 * Adds [guest_address, guest_address + size), backed by `fd` from `fd_offset` on, mapped shared for
 * reading and writing. Takes `fd` over, also when it fails. `connection` is the socket to shut down if
 * the file turns out to be shorter later, or -1. -EINVAL (size 0, addresses that wrap, a file too short),
 * -EEXIST (overlaps a region), -ENOSPC (too many regions), or mmap()'s errno.
 */
int guest_memory_map_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size,
			    uint64_t user_address, int fd, uint64_t fd_offset, int connection,
			    struct error *error);

/* Adds memory that the caller has mapped and keeps (a buffer, in tests). Errors as above. */
int guest_memory_add_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size,
			    void *at, struct error *error);

/*
 * Makes a sealed memfd called `name` and adds it as a region: memory of our own, to share with a
 * back-end. Its user address is our own pointer. Errors as above.
 */
int guest_memory_create_region(struct guest_memory *memory, const char *name,
			       uint64_t guest_address, uint64_t size, struct error *error);

/* Removes the region with just these three values; -ENOENT if there is none. */
int guest_memory_remove_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size,
			       uint64_t user_address);

/* Whether a region's file was shortened while it was in use. */
bool guest_memory_torn(const struct guest_memory *memory);

/* Unmaps and closes all regions and leaves `memory` empty. */
void guest_memory_clear(struct guest_memory *memory);
DEFINE_CLEANUP(cleanup_guest_memory, struct guest_memory, guest_memory_clear)

/* The region that holds [address, address + length), found by guest or by user address, or NULL. */
const struct guest_memory_region *guest_memory_find(const struct guest_memory *memory,
						    uint64_t guest_address, uint64_t length);
const struct guest_memory_region *guest_memory_find_user(const struct guest_memory *memory,
							 uint64_t user_address, uint64_t length);

/* Where [guest_address, guest_address + length) is mapped here; NULL unless it lies wholly inside one
 * region. The pointer holds until the region is removed. */
static inline void *guest_memory_translate(const struct guest_memory *memory,
					   uint64_t guest_address, uint64_t length)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = guest_address - region->guest_address;

		if (offset < region->size && length <= region->size - offset)
			return region->host + offset;
	}
	return NULL;
}

/* Between user addresses of the front-end and guest addresses; false if no region has it. */
bool guest_memory_user_to_guest(const struct guest_memory *memory, uint64_t user_address,
				uint64_t length, uint64_t *guest_address);
bool guest_memory_guest_to_user(const struct guest_memory *memory, uint64_t guest_address,
				uint64_t length, uint64_t *user_address);

/* Where [at, at + length) of this process is in the guest's; false unless it lies wholly inside one region. */
bool guest_memory_host_to_guest(const struct guest_memory *memory, const void *at, uint64_t length,
				uint64_t *guest_address);

/*
 * Splits [guest_address, guest_address + length) over the regions it touches, into at most `space`
 * iovecs. Returns how many (0 for length 0), -EFAULT if any byte of it is in no region, -ENOBUFS if
 * `space` is too small.
 */
int guest_memory_iov(const struct guest_memory *memory, uint64_t guest_address, uint64_t length,
		     struct iovec *iov, unsigned space);

/* Notes that [at, at + length), a piece given by one of these functions, was written to. */
void guest_memory_note_host(const struct guest_memory *memory, const void *at, uint64_t length);

/* Copies out of and into guest memory, across regions; a write is noted. 0 or -EFAULT. */
int guest_memory_read(const struct guest_memory *memory, uint64_t guest_address, void *to,
		      uint64_t length);
int guest_memory_write(const struct guest_memory *memory, uint64_t guest_address, const void *from,
		       uint64_t length);

#endif
