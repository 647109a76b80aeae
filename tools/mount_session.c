/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session of a mount with the kernel: requests are taken by fibers, one at a time, and carried out side by side; see mount.h.
 *
 * A taker has a buffer, in memory that the disks' servers have too, and so data goes between the kernel and the disk without a copy here:
 *
 *	0		MOUNT_HEAD		MOUNT_HEAD + MOUNT_DATA
 *	| ... | header	| data to be written, or data that was read | more than the kernel sends
 *
 * The head is this process's alone, and what is no write is copied before libfuse looks at it (mount_process.c).
 *
 * A server that is stopped or was killed may have a request yet that was given up here, and its disk may write into the buffer at any
 * time; or write what is in it then. That buffer is not used again: the taker has memory of its own from then on, which is copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fiber/signal.h"
#include "tools/fuse_library.h"
#include "tools/mount.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define OWN_MEMORY_NS 100000000ull

static void say_nothing(enum fuse_log_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
}

/* Pages of this process in the place of those that servers have. */
static int keep_heads(struct mount *mount, struct error *error)
{
	for (unsigned i = 0; i < MOUNT_TAKERS; i++)
		if (mmap(mount->memory.regions[0].host + i * MOUNT_BYTES, MOUNT_HEAD,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			return error_set(error, -errno, "memory for requests: %s",
					 error_name(errno));
	return 0;
}

int mount_begin(struct mount *mount, struct error *error)
{
	CLEANUP_FREE char *options = NULL;
	char *argv[] = { (char *)"tenon", (char *)"-o", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int rc = libfuse_load(error), flags;

	if (rc)
		return rc;
	rc = guest_memory_create_region(&mount->memory, "tenon-mount", MOUNT_HEAD,
					MOUNT_TAKERS * MOUNT_BYTES, error);
	if (!rc)
		rc = keep_heads(mount, error);
	if (rc)
		return rc;
	if (asprintf(&options, "fsname=tenon:%s,subtype=tenon,default_permissions%s", mount->group,
		     mount->read_only ? ",ro" : "") < 0)
		return options = NULL, -ENOMEM;
	argv[2] = options;
	libfuse.fuse_set_log_func(say_nothing);
	mount->session = libfuse_session_new(&args, &mount_operations, mount);
	libfuse.fuse_opt_free_args(&args);
	if (!mount->session)
		return error_set(error, -EINVAL, "%s: libfuse takes no such mount", mount->group);
	if (libfuse.fuse_session_mount(mount->session, mount->directory)) {
		libfuse.fuse_session_destroy(mount->session);
		mount->session = NULL;
		error_set(error, -EIO, "%s: cannot be mounted on", mount->directory);
		return error_advise(error, "`tenon host check` tells what FUSE lacks here");
	}
	/* Where it cannot be seen, it is taken for ours at the end. */
	(void)mount_device(mount->directory, &mount->device);
	flags = fcntl(libfuse.fuse_session_fd(mount->session), F_GETFL);
	if (flags < 0 ||
	    fcntl(libfuse.fuse_session_fd(mount->session), F_SETFL, flags | O_NONBLOCK))
		return error_set(error, -errno, "/dev/fuse: %s", error_name(errno));
	return 0;
}

/* The next request, whose size is returned; 0: there is none any more. */
static int receive(struct mount *mount, struct fuse_buf *buffer)
{
	int rc = -EAGAIN;

	while (!libfuse.fuse_session_exited(mount->session)) {
		rc = libfuse.fuse_session_receive_buf(mount->session, buffer);
		if (rc == -EAGAIN)
			rc = fiber_poll(libfuse.fuse_session_fd(mount->session), POLLIN,
					FIBER_FOREVER) < 0
				     ? -ECANCELED
				     : -EINTR;
		if (rc >= 0 || rc == -ECANCELED || mount_is_over(rc))
			return rc;
		if (rc == -EINTR)
			continue;
		mount_say_not_taken(mount, rc);
		if (fiber_sleep(MOUNT_AGAIN_NS))
			return -ECANCELED;
	}
	return 0;
}

struct taker {
	struct mount *mount;
	uint8_t *memory; /* MOUNT_BYTES of the mount's */
	struct fiber *fiber;
	bool ended;
};

/* Memory in the place of what was lost. */
static uint8_t *own_memory(void)
{
	void *at;

	while ((at = mmap(NULL, MOUNT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0)) == MAP_FAILED)
		if (fiber_sleep(OWN_MEMORY_NS))
			return NULL;
	return at;
}

/* One request of this fiber's taking, or threads take them for a while: > 0 to go on. */
static int take_one(struct mount *mount, struct mount_buffer *buffer, uint8_t *memory)
{
	struct fuse_buf request = { .mem = memory + MOUNT_REQUEST };
	bool direct;
	int rc = 1;

	fiber_mutex_lock(&mount->receiving);
	direct = mount_direct_take(mount->direct);
	if (!direct)
		rc = receive(mount, &request);
	fiber_mutex_unlock(&mount->receiving);
	if (direct)
		mount_direct_wait(mount->direct);
	else if (rc > 0)
		mount_process(mount, buffer, request.mem, request.size);
	return fiber_cancelled() || libfuse.fuse_session_exited(mount->session) ? 0 : rc;
}

static int take_requests(void *arg)
{
	struct taker *taker = arg;
	struct mount *mount = taker->mount;
	uint8_t *own = NULL;
	int rc;

	do {
		uint8_t *memory = own ? own : taker->memory;
		struct mount_buffer buffer = { .data = (char *)memory + MOUNT_HEAD };

		rc = take_one(mount, &buffer, memory);
		if (buffer.lost && !own && !(own = own_memory()))
			rc = -ECANCELED;
	} while (rc > 0);
	if (own)
		munmap(own, MOUNT_BYTES);
	taker->ended = true;
	return 0;
}

struct takers {
	struct mount *mount;
	struct taker all[MOUNT_TAKERS];
	sigset_t signals;
};

static int watch_signals(void *arg)
{
	struct takers *takers = arg;

	if (fiber_wait_signal(&takers->signals) <= 0)
		return 0;
	libfuse.fuse_session_exit(takers->mount->session);
	for (unsigned i = 0; i < MOUNT_TAKERS; i++)
		if (!takers->all[i].ended)
			fiber_cancel(takers->all[i].fiber);
	mount_direct_give_up(takers->mount->direct);
	return 0;
}

int mount_serve(struct mount *mount)
{
	struct takers takers = { .mount = mount };
	struct fiber *watcher;

	sigemptyset(&takers.signals);
	sigaddset(&takers.signals, SIGINT);
	sigaddset(&takers.signals, SIGTERM);
	sigaddset(&takers.signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &takers.signals, NULL);
	for (unsigned i = 0; i < MOUNT_TAKERS; i++) {
		takers.all[i].mount = mount;
		takers.all[i].memory = mount->memory.regions[0].host + i * MOUNT_BYTES;
		takers.all[i].fiber = fiber_spawn(take_requests, &takers.all[i]);
	}
	mount->direct = mount_direct_begin(mount);
	watcher = fiber_spawn(watch_signals, &takers);
	for (unsigned i = 0; i < MOUNT_TAKERS; i++)
		fiber_join(takers.all[i].fiber);
	/* A signal is for what threads wait for, too. */
	mount_direct_end(mount->direct);
	mount->direct = NULL;
	fiber_cancel(watcher);
	fiber_join(watcher);
	mount_resize_end(mount);
	return 0;
}

/* Whether it was unmounted, and only copies in other mount namespaces are left: what is there by now is another's. */
static bool is_elsewhere_only(const struct mount *mount)
{
	struct pollfd fd = { .fd = libfuse.fuse_session_fd(mount->session) };
	bool lives = poll(&fd, 1, 0) != 1 || !(fd.revents & POLLERR);
	dev_t there;

	return lives && mount->device && !mount_device(mount->directory, &there) &&
	       mount->device != there;
}

void mount_end(struct mount *mount)
{
	if (!mount->session)
		return;
	if (!is_elsewhere_only(mount))
		libfuse.fuse_session_unmount(mount->session);
	libfuse.fuse_session_destroy(mount->session);
	mount->session = NULL;
}
