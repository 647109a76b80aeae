/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory: see guest_memory.h. */
#include "virtio/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/dirty_log.h"
#include "virtio/memory_guard.h"

/* Checks that a new region fits in; says why not. */
static int check_range(const struct guest_memory *memory, uint64_t guest_address, uint64_t size,
		       struct error *error)
{
	if (!size || guest_address + size < guest_address)
		return error_set(error, -EINVAL,
				 "guest memory region at 0x%" PRIx64 ": its size 0x%" PRIx64
				 " is zero or wraps around",
				 guest_address, size);
	if (memory->count == GUEST_MEMORY_MAX_REGIONS)
		return error_set(error, -ENOSPC, "guest memory: more than %d regions",
				 GUEST_MEMORY_MAX_REGIONS);
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_memory_region *other = &memory->regions[i];

		if (guest_address < other->guest_address + other->size &&
		    other->guest_address < guest_address + size)
			return error_set(error, -EEXIST,
					 "guest memory region at 0x%" PRIx64 ", 0x%" PRIx64
					 " bytes: overlaps the one at 0x%" PRIx64,
					 guest_address, size, other->guest_address);
	}
	return 0;
}

static struct guest_memory_region *append(struct guest_memory *memory, uint64_t guest_address,
					  uint64_t size, void *host)
{
	struct guest_memory_region *region = &memory->regions[memory->count++];

	*region = (struct guest_memory_region){
		.guest_address = guest_address,
		.size = size,
		.user_address = (uintptr_t)host,
		.host = host,
		.fd = -1,
	};
	return region;
}

/* Whether the file can no longer be shortened, sealing it if it lets itself be sealed. */
static bool seal(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && seals & F_SEAL_SHRINK)
		return true;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}

/* A peer's file is guarded, sealed or not: huge pages and tmpfs can also run out. In memory of our own, zeroes in the
 * place of what a guest wrote would be worse than the end. */
static int map_file(struct memory_guard **guard, void **at, size_t *length, int fd, int connection)
{
	if (connection >= 0)
		return memory_guard_map(guard, at, length, fd, connection);
	*at = mmap(NULL, *length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	return *at == MAP_FAILED ? -errno : 0;
}

int guest_memory_map_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size,
			    uint64_t user_address, int fd_owned, uint64_t fd_offset, int connection,
			    struct error *error)
{
	CLEANUP_CLOSE int fd = fd_owned;
	struct guest_memory_region *region;
	struct memory_guard *guard = NULL;
	struct stat status;
	size_t length;
	bool sealed;
	void *at;
	int rc = check_range(memory, guest_address, size, error);

	if (rc < 0)
		return rc;
	if (user_address + size < user_address)
		return error_set(error, -EINVAL,
				 "guest memory region at 0x%" PRIx64 ": user address 0x%" PRIx64
				 " wraps around",
				 guest_address, user_address);
	/* The seal comes before the look at the size, or the file could shrink between the two. */
	sealed = seal(fd);
	if (fstat(fd, &status) < 0)
		return error_set(error, -errno, "guest memory file: %s", error_name(errno));
	if (!S_ISREG(status.st_mode) || !range_within(fd_offset, size, (uint64_t)status.st_size))
		return error_set(error, -EINVAL,
				 "guest memory region at 0x%" PRIx64 ": its file has %" PRIu64
				 " bytes, expected 0x%" PRIx64 " bytes at 0x%" PRIx64,
				 guest_address, (uint64_t)status.st_size, size, fd_offset);

	/* From the file's beginning, because a region's offset need not be a multiple of its (maybe
	 * huge) pages. */
	length = fd_offset + size;
	rc = map_file(&guard, &at, &length, fd, connection);
	if (rc < 0)
		return error_set(error, rc,
				 "guest memory region at 0x%" PRIx64
				 ": cannot map 0x%zx bytes of its file: %s",
				 guest_address, length, error_name(rc));
	region = append(memory, guest_address, size, (uint8_t *)at + fd_offset);
	region->guard = guard;
	region->user_address = user_address;
	region->fd = steal_fd(&fd);
	region->fd_offset = fd_offset;
	region->sealed = sealed;
	region->mapping = at;
	region->mapping_size = length;
	return 0;
}

int guest_memory_add_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size,
			    void *at, struct error *error)
{
	int rc = check_range(memory, guest_address, size, error);

	if (rc == 0)
		append(memory, guest_address, size, at)->sealed = true;
	return rc;
}

int guest_memory_create_region(struct guest_memory *memory, const char *name,
			       uint64_t guest_address, uint64_t size, struct error *error)
{
	CLEANUP_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct guest_memory_region *region;
	int rc;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return error_set(error, -errno, "%s: cannot make %" PRIu64 " bytes of memory: %s",
				 name, size, error_name(errno));
	rc = guest_memory_map_region(memory, guest_address, size, 0, steal_fd(&fd), 0, -1, error);
	if (rc < 0)
		return rc;
	region = &memory->regions[memory->count - 1];
	region->user_address = (uintptr_t)region->host;
	return 0;
}

static void unmap_region(struct guest_memory_region *region)
{
	memory_guard_remove(region->guard);
	if (region->mapping)
		munmap(region->mapping, region->mapping_size);
	if (region->fd >= 0)
		close(region->fd);
}

int guest_memory_remove_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size,
			       uint64_t user_address)
{
	for (unsigned i = 0; i < memory->count; i++) {
		struct guest_memory_region *region = &memory->regions[i];

		if (region->guest_address != guest_address || region->size != size ||
		    region->user_address != user_address)
			continue;
		unmap_region(region);
		memmove(region, region + 1, (memory->count - i - 1) * sizeof(*region));
		memory->count--;
		return 0;
	}
	return -ENOENT;
}

bool guest_memory_torn(const struct guest_memory *memory)
{
	for (unsigned i = 0; i < memory->count; i++)
		if (memory_guard_torn(memory->regions[i].guard))
			return true;
	return false;
}

void guest_memory_clear(struct guest_memory *memory)
{
	while (memory->count)
		unmap_region(&memory->regions[--memory->count]);
}

const struct guest_memory_region *guest_memory_find(const struct guest_memory *memory,
						    uint64_t guest_address, uint64_t length)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = guest_address - region->guest_address;

		if (offset < region->size && length <= region->size - offset)
			return region;
	}
	return NULL;
}

const struct guest_memory_region *guest_memory_find_user(const struct guest_memory *memory,
							 uint64_t user_address, uint64_t length)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = user_address - region->user_address;

		if (offset < region->size && length <= region->size - offset)
			return region;
	}
	return NULL;
}

bool guest_memory_user_to_guest(const struct guest_memory *memory, uint64_t user_address,
				uint64_t length, uint64_t *guest_address)
{
	const struct guest_memory_region *region =
		guest_memory_find_user(memory, user_address, length);

	if (!region)
		return false;
	*guest_address = user_address - region->user_address + region->guest_address;
	return true;
}

bool guest_memory_guest_to_user(const struct guest_memory *memory, uint64_t guest_address,
				uint64_t length, uint64_t *user_address)
{
	const struct guest_memory_region *region = guest_memory_find(memory, guest_address, length);

	if (!region)
		return false;
	*user_address = guest_address - region->guest_address + region->user_address;
	return true;
}

bool guest_memory_host_to_guest(const struct guest_memory *memory, const void *at, uint64_t length,
				uint64_t *guest_address)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = (uint64_t)((uintptr_t)at - (uintptr_t)region->host);

		if (offset < region->size && length <= region->size - offset) {
			*guest_address = region->guest_address + offset;
			return true;
		}
	}
	return false;
}

/* The longest piece from `guest_address` on in one region, or NULL. */
static uint8_t *next_piece(const struct guest_memory *memory, uint64_t guest_address,
			   uint64_t length, uint64_t *piece)
{
	const struct guest_memory_region *region = guest_memory_find(memory, guest_address, 1);
	uint64_t offset;

	if (!region)
		return NULL;
	offset = guest_address - region->guest_address;
	*piece = MIN(length, region->size - offset);
	return region->host + offset;
}

int guest_memory_iov(const struct guest_memory *memory, uint64_t guest_address, uint64_t length,
		     struct iovec *iov, unsigned space)
{
	unsigned count = 0;

	for (uint64_t piece; length; length -= piece, guest_address += piece) {
		uint8_t *at = next_piece(memory, guest_address, length, &piece);

		if (!at)
			return -EFAULT;
		if (count == space)
			return -ENOBUFS;
		iov[count++] = (struct iovec){ at, piece };
	}
	return (int)count;
}

int guest_memory_read(const struct guest_memory *memory, uint64_t guest_address, void *to,
		      uint64_t length)
{
	uint8_t *at = to;

	for (uint64_t piece; length; length -= piece, at += piece, guest_address += piece) {
		const uint8_t *from = next_piece(memory, guest_address, length, &piece);

		if (!from)
			return -EFAULT;
		memcpy(at, from, piece);
	}
	return 0;
}

void guest_memory_note_host(const struct guest_memory *memory, const void *at, uint64_t length)
{
	for (unsigned i = 0; memory->log && i < memory->count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		uint64_t offset = (uint64_t)((uintptr_t)at - (uintptr_t)region->host);

		if (offset < region->size)
			dirty_log_note(memory->log, region->guest_address + offset, length);
	}
}

int guest_memory_write(const struct guest_memory *memory, uint64_t guest_address, const void *from,
		       uint64_t length)
{
	const uint8_t *at = from;

	for (uint64_t piece; length; length -= piece, at += piece, guest_address += piece) {
		uint8_t *to = next_piece(memory, guest_address, length, &piece);

		if (!to)
			return -EFAULT;
		memcpy(to, at, piece);
		if (memory->log)
			dirty_log_note(memory->log, guest_address, piece);
	}
	return 0;
}
