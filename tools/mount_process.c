/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of the kernel's is carried out by libfuse, whoever took it; see mount.h.
 *
 * What is no write is copied first: libfuse takes numbers and names from where they lie, some of them twice, and a server that means ill would change
 * them in between.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/mount.h"
#include "tools/fuse_library.h"
#include "util/cleanup.h"
#include "util/error.h"

#define OWN_MEMORY_NS 100000000ull

/*
 * Nobody here gives up what a process no longer wants, and the kernel, told so, does not ask again. libfuse would keep each of these
 * whose request it does not know, as a thread carries that out (mount_direct.c), until another comes by way of it.
 */
static void refuse_interrupt(const struct mount *mount, const struct fuse_in_header *header)
{
	const struct fuse_out_header out = { .len = sizeof(out),
					     .error = -ENOSYS,
					     .unique = header->unique };

	/* Its request may be answered by now. */
	(void)!write(libfuse.fuse_session_fd(mount->session), &out, sizeof(out));
}

/* Of a write only the data lie where servers may change them. */
void mount_process(struct mount *mount, struct mount_buffer *buffer, void *memory, size_t size)
{
	const struct fuse_in_header *header = memory;
	struct fuse_buf request = { .mem = memory, .size = size };
	CLEANUP_FREE void *copy = NULL;

	if (header->opcode == FUSE_INTERRUPT) {
		refuse_interrupt(mount, header);
		return;
	}
	if (header->opcode != FUSE_WRITE) {
		while (!(copy = malloc(size)))
			if (fiber_sleep(OWN_MEMORY_NS))
				return;
		request.mem = memcpy(copy, memory, size);
	}
	mount->buffer = buffer;
	libfuse.fuse_session_process_buf(mount->session, &request);
}

/* ---- And one that was not ---- */

/* Nobody has it mounted, or its connection was cut (/sys/fs/fuse/connections). */
bool mount_is_over(int rc)
{
	return rc == -ENODEV || rc == -ECONNABORTED;
}

void mount_say_not_taken(struct mount *mount, int rc)
{
	log_warning(&mount->log, "%s: a request of the kernel's cannot be taken: %s",
		    mount->directory, error_name(rc));
}
