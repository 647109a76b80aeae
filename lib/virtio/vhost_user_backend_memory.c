/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory of a vhost-user back-end: the table as a whole, and single regions, also while rings run. */
#include "virtio/vhost_user_backend_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"

/* Maps a region into `memory`, taking the message's descriptor number `which`. */
static int map_region(struct vhost_user_backend *be, struct guest_memory *memory,
		      const struct vhost_user_region *region, unsigned which, struct error *error)
{
	int rc, fd = -1;

	if (which < be->receiver.fd_count)
		fd = steal_fd(&be->receiver.fds[which]);
	if (fd < 0)
		return error_set(error, -EBADF, "%s: memory region %u came without a descriptor",
				 be->name, which);
	rc = backend_check_file(be, fd, error);
	if (rc < 0) {
		peer_file_close(fd);
		return rc;
	}
	rc = guest_memory_map_region(memory, region->guest_address, region->size,
				     region->user_address, fd, region->mmap_offset, be->fd, error);
	if (rc < 0) {
		error_prefix(error, "%s", be->name);
		return rc;
	}
	if (be->require_seal && !memory->regions[memory->count - 1].sealed) {
		guest_memory_remove_region(memory, region->guest_address, region->size,
					   region->user_address);
		return error_set(error, -EPERM,
				 "%s: memory region %u could be shortened while in use, expected a "
				 "memfd that can be sealed",
				 be->name, which);
	}
	return 0;
}

int backend_set_mem_table(struct vhost_user_backend *be, struct vhost_user_message *message,
			  struct error *error)
{
	struct guest_memory fresh = { .count = 0 };
	uint32_t count = message->payload.memory.count;
	int rc = 0;

	if (count > VHOST_USER_MAX_TABLE_REGIONS ||
	    message->header.size < 8 + count * sizeof(struct vhost_user_region))
		return error_set(
			error, -EPROTO,
			"%s: a memory table of %u regions in %u bytes, expected at most %d "
			"regions of %zu bytes",
			be->name, count, message->header.size, VHOST_USER_MAX_TABLE_REGIONS,
			sizeof(struct vhost_user_region));
	/* The new memory is mapped whole before the old is given up: a table that is refused changes
	 * nothing. */
	for (unsigned i = 0; i < count && rc == 0; i++) {
		struct vhost_user_region region;

		memcpy(&region, &message->payload.memory.regions[i], sizeof(region));
		rc = map_region(be, &fresh, &region, i, error);
	}
	if (rc < 0) {
		guest_memory_clear(&fresh);
		return rc;
	}
	backend_pause_all(be);
	guest_memory_clear(&be->memory);
	be->memory = fresh;
	backend_update_log(be);
	return backend_resume_all(be, error);
}

/* Whether this very region is there. */
static bool has_region(const struct vhost_user_backend *be, const struct vhost_user_region *region,
		       int fd)
{
	struct stat given, held;

	for (unsigned i = 0; i < be->memory.count; i++) {
		const struct guest_memory_region *at = &be->memory.regions[i];

		if (at->guest_address == region->guest_address && at->size == region->size &&
		    at->user_address == region->user_address &&
		    at->fd_offset == region->mmap_offset)
			return !fstat(fd, &given) && !fstat(at->fd, &held) &&
			       given.st_dev == held.st_dev && given.st_ino == held.st_ino;
	}
	return false;
}

/* QEMU before 8.0 says for each queue pair of a NIC which regions come and go, which are the same for all of them: the second time nothing is left
 * to do. */
int backend_add_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error)
{
	struct vhost_user_region region;
	int rc, resumed;

	memcpy(&region, &message->payload.region.region, sizeof(region));
	if (be->receiver.fd_count == 1 && peer_file_is_prompt(be->receiver.fds[0]) &&
	    has_region(be, &region, be->receiver.fds[0]))
		return 0;
	/* A device on another thread may be looking through the regions. */
	backend_pause_all(be);
	rc = map_region(be, &be->memory, &region, 0, error);
	resumed = backend_resume_all(be, rc < 0 ? NULL : error);
	return rc < 0 ? rc : resumed;
}

int backend_rem_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *message,
			struct error *error)
{
	struct vhost_user_region region;
	int rc, resumed;

	memcpy(&region, &message->payload.region.region, sizeof(region));
	backend_pause_all(be);
	rc = guest_memory_remove_region(&be->memory, region.guest_address, region.size,
					region.user_address);
	if (rc < 0 && be->ops->in_pairs)
		rc = 0;
	if (rc < 0)
		error_set(error, rc, "%s: no memory region at 0x%" PRIx64 " to remove", be->name,
			  region.guest_address);
	resumed = backend_resume_all(be, rc < 0 ? NULL : error);
	return rc < 0 ? rc : resumed;
}

bool backend_torn(const struct vhost_user_backend *be)
{
	return guest_memory_torn(&be->memory) || memory_guard_torn(be->inflight.guard) ||
	       memory_guard_torn(be->dirty.guard);
}
