/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume that is attached as a loop device has another size (mount.h). The kernel's loop device keeps the size that its file had,
 * until it is told. Looking at the file asks the mount, which is this process, on this thread: so that is done by another
 * process (fiber/aside.h), which the mount serves meanwhile.
 */
#include <errno.h>
#include <unistd.h>

#include "fiber/aside.h"
#include "tools/loop.h"
#include "tools/mount.h"
#include "util/error.h"

#define LIMIT_NS 30000000000ull

struct following {
	const char *path;
	pid_t mount;
};

static int follow(void *arg, unsigned index, void **data, size_t *size)
{
	const struct following *following = arg;

	(void)index, (void)data, (void)size;
	/* Where no process can be had, it would be this one, which waited for itself. */
	return getpid() == following->mount ? -EAGAIN : loop_follow_size(following->path);
}

static int tell_loop(void *arg)
{
	struct mount *mount = arg;
	struct following following = { mount->looped, getpid() };
	struct aside_answer answer = { 0 };
	int rc;

	mount->telling = fiber_current();
	/* One at a time; who comes while one runs has it look once more. */
	while (mount->resizes && !mount->resizes_end) {
		unsigned seen = mount->resizes;

		rc = aside_run(follow, &following, 1, LIMIT_NS, &answer);
		rc = rc ? rc : answer.rc;
		aside_free(&answer, 1);
		if (rc)
			log_warning(&mount->log,
				    "%s: its loop device is not told of its new size: %s",
				    mount->looped, error_name(rc));
		mount->resizes -= seen;
	}
	mount->telling = NULL;
	mount->resizes = 0;
	fiber_queue_wake_all(&mount->resized);
	return 0;
}

void mount_resized(void *arg)
{
	struct mount *mount = arg;

	if (!mount->resizes_end && !mount->resizes++)
		fiber_start(tell_loop, mount);
}

void mount_resize_end(struct mount *mount)
{
	mount->resizes_end = true;
	if (mount->telling)
		fiber_cancel(mount->telling);
	while (mount->resizes)
		fiber_queue_wait_always(&mount->resized);
}
