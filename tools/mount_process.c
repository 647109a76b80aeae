/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of the kernel's is carried out by libfuse, whoever took it; see mount.h.
 *
 * What is no write is copied first: libfuse takes numbers and names from where they lie, some of them twice, and a server that means ill would change
 * them in between.
 */
#define FUSE_USE_VERSION 35

#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mount.h"
#include "util/cleanup.h"

#define OWN_MEMORY_NS 100000000ull

/* Of a write only the data lie where servers may change them. */
void mount_process(struct mount *mount, struct mount_buffer *buffer, void *memory, size_t size)
{
	const struct fuse_in_header *header = memory;
	struct fuse_buf request = { .mem = memory, .size = size };
	CLEANUP_FREE void *copy = NULL;

	if (header->opcode != FUSE_WRITE) {
		while (!(copy = malloc(size)))
			if (fiber_sleep(OWN_MEMORY_NS))
				return;
		request.mem = memcpy(copy, memory, size);
	}
	mount->buffer = buffer;
	fuse_session_process_buf(mount->session, &request);
}
