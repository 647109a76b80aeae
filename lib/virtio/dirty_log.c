/* SPDX-License-Identifier: BSD-2-Clause */
/* The dirty log: see dirty_log.h. */
#include "virtio/dirty_log.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/bytes.h"
#include "util/error.h"

int dirty_log_map(struct dirty_log *log, int fd, uint64_t offset, uint64_t bytes, int connection,
		  struct error *error)
{
	struct memory_guard *guard;
	size_t length = offset + bytes;
	struct stat status;
	void *at;
	int rc;

	if (fstat(fd, &status) < 0)
		return error_set(error, -errno, "dirty log: %s", error_name(errno));
	if (!bytes || !S_ISREG(status.st_mode) ||
	    !range_within(offset, bytes, (uint64_t)status.st_size))
		return error_set(error, -EINVAL,
				 "dirty log: its file has %" PRIu64 " bytes, expected %" PRIu64
				 " at %" PRIu64,
				 (uint64_t)status.st_size, bytes, offset);
	rc = memory_guard_map(&guard, &at, &length, fd, connection);
	if (rc < 0)
		return error_set(error, rc, "dirty log: cannot map it: %s", error_name(rc));
	*log = (struct dirty_log){ .bitmap = (uint8_t *)at + offset,
				   .bytes = bytes,
				   .mapping = at,
				   .mapping_size = length,
				   .guard = guard };
	return 0;
}

void dirty_log_unmap(struct dirty_log *log)
{
	memory_guard_remove(log->guard);
	if (log->mapping)
		munmap(log->mapping, log->mapping_size);
	*log = (struct dirty_log){ 0 };
}

void dirty_log_note(struct dirty_log *log, uint64_t guest_address, uint64_t length)
{
	uint64_t page = guest_address / DIRTY_LOG_PAGE;
	uint64_t last;

	if (!length)
		return;
	last = MIN((guest_address + length - 1) / DIRTY_LOG_PAGE, log->bytes * 8 - 1);
	for (; page <= last; page++)
		__atomic_fetch_or(&log->bitmap[page / 8], (uint8_t)(1u << (page % 8)),
				  __ATOMIC_RELEASE);
}
