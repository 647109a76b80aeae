/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes that a mount carries out itself, by leases of the server's (host_lease.h): see mount.h.
 *
 * Only calls that a thread waits for may write by a lease, and a worker must not wait for a disk. So threads of their own take requests from the
 * kernel; each carries out a read or a write of whatever disk is leased, and has the worker do everything else, for which it waits.
 *
 *	idle	fibers of the worker take requests; the kernel's descriptor does not block
 *	active	threads do, and fibers wait. From the moment at which a request found its disk leased (mount_direct_want()), once no
 *		fiber is at the descriptor, which blocks from then on
 *
 * and idle again when many in a row were reads or writes of disks that are not leased: by way of a thread these take longer. A thread that is at
 * the descriptor then takes one request yet, beside the fibers.
 *
 * The kernel gives requests to the threads at the descriptor in turn. So there are no more of them than are of use: who takes a request and leaves nobody
 * there calls another, and who comes back to enough of them waits to be called.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tools/host_disk.h"
#include "tools/fuse_library.h"
#include "tools/mount.h"
#include "util/bytes.h"
#include "util/thread.h"

#define THREADS     16u
#define THERE_LEAST 2u /* at the descriptor at the beginning */
#define THERE_MOST  4u
#define MISSES_MOST 1000u
#define END_STEP_NS 1000000ull
#define WAKE        SIGUSR1

struct direct_thread {
	struct mount_direct *direct;
	pthread_t thread;
	uint8_t *memory; /* MOUNT_BYTES, nobody else's */
	atomic_bool ended;
};

struct mount_direct {
	struct mount *mount;
	struct worker *home;
	bool wanted, given_up; /* at home */
	struct list jobs;      /* struct at_home */
	atomic_bool active;
	atomic_uint misses; /* in a row */
	atomic_uint there;  /* threads at the descriptor */
	pthread_mutex_t lock;
	pthread_cond_t change; /* of the two below */
	bool ending;
	unsigned called;         /* threads that are to come, and have not yet */
	atomic_uint waiting;     /* for that */
	struct fiber_queue idle; /* fibers that wait until it is */
	unsigned count;
	struct direct_thread all[THREADS];
};

/* ---- Who takes requests, at home ---- */

static void set_blocking(const struct mount *mount, bool blocking)
{
	int fd = libfuse.fuse_session_fd(mount->session);
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static int become_idle(void *arg)
{
	struct mount_direct *direct = arg;

	direct->wanted = false;
	if (atomic_load(&direct->active)) {
		atomic_store(&direct->active, false);
		set_blocking(direct->mount, false);
	}
	fiber_queue_wake_all(&direct->idle);
	return 0;
}

/* Nobody has it mounted any more. */
static int become_over(void *arg)
{
	struct mount_direct *direct = arg;

	libfuse.fuse_session_exit(direct->mount->session);
	return become_idle(direct);
}

void mount_direct_want(struct mount_direct *direct)
{
	if (direct)
		direct->wanted = true;
}

/* ---- Requests, on threads ---- */

static void reply(const struct mount *mount, uint64_t unique, void *data, size_t size)
{
	struct fuse_out_header header = { .len = (uint32_t)(sizeof(header) + size),
					  .unique = unique };
	const struct iovec iov[2] = { { &header, sizeof(header) }, { data, size } };

	/* One that was given up meanwhile is not there any more. */
	(void)!writev(libfuse.fuse_session_fd(mount->session), iov, 2);
}

static struct host_disk *disk_of(uint64_t handle)
{
	const struct mount_disk *file = (const void *)(uintptr_t)handle;

	return file ? file->disk : NULL;
}

static bool read_here(const struct mount *mount, uint8_t *memory, uint64_t unique,
		      const struct fuse_read_in *in)
{
	struct host_disk *disk = disk_of(in->fh);
	uint32_t size = in->size;

	if (!disk || size > MOUNT_DATA ||
	    host_disk_direct(disk, false, in->offset, memory + MOUNT_HEAD, size))
		return false;
	reply(mount, unique, memory + MOUNT_HEAD, size);
	return true;
}

static bool write_here(const struct mount *mount, uint8_t *memory, uint64_t unique,
		       const struct fuse_write_in *in)
{
	struct host_disk *disk = disk_of(in->fh);
	struct fuse_write_out out = { .size = in->size };

	if (!disk || in->size > MOUNT_DATA || in->flags & (O_SYNC | O_DSYNC) ||
	    host_disk_direct(disk, true, in->offset, memory + MOUNT_HEAD, in->size))
		return false;
	reply(mount, unique, &out, sizeof(out));
	return true;
}

/* On the stack of the thread, which waits; in the list while it runs. */
struct at_home {
	struct direct_thread *thread;
	size_t size;
	struct list node;
	struct fiber *fiber;
};

static int process_at_home(void *arg)
{
	struct at_home *job = arg;
	struct mount_direct *direct = job->thread->direct;
	uint8_t *memory = job->thread->memory;
	struct mount_buffer buffer = { .data = (char *)memory + MOUNT_HEAD };

	job->fiber = fiber_current();
	list_add_tail(&direct->jobs, &job->node);
	if (direct->given_up)
		fiber_cancel(job->fiber);
	mount_process(direct->mount, &buffer, memory + MOUNT_REQUEST, job->size);
	list_remove(&job->node);
	return 0;
}

void mount_direct_give_up(struct mount_direct *direct)
{
	if (!direct)
		return;
	direct->given_up = true;
	list_for_each(at, &direct->jobs)
		fiber_cancel(list_entry(at, struct at_home, node)->fiber);
}

static void carry_out(struct direct_thread *thread, size_t size)
{
	struct mount_direct *direct = thread->direct;
	const struct fuse_in_header *header = (const void *)(thread->memory + MOUNT_REQUEST);
	bool reads = header->opcode == FUSE_READ, writes = header->opcode == FUSE_WRITE;
	const void *in = header + 1;

	if ((reads && read_here(direct->mount, thread->memory, header->unique, in)) ||
	    (writes && write_here(direct->mount, thread->memory, header->unique, in))) {
		atomic_store(&direct->misses, 0);
		return;
	}
	worker_call(direct->home, process_at_home,
		    &(struct at_home){ .thread = thread, .size = size });
	if ((reads || writes) && atomic_fetch_add(&direct->misses, 1) == MISSES_MOST)
		worker_call(direct->home, become_idle, direct);
}

static void call_threads(struct mount_direct *direct, unsigned count)
{
	pthread_mutex_lock(&direct->lock);
	direct->called = MIN(direct->called + count, direct->count);
	while (count--)
		pthread_cond_signal(&direct->change);
	pthread_mutex_unlock(&direct->lock);
}

struct not_taken {
	struct mount *mount;
	int rc;
};

static int say_not_taken(void *arg)
{
	const struct not_taken *why = arg;

	mount_say_not_taken(why->mount, why->rc);
	return 0;
}

static void fail_to_take(struct mount_direct *direct, int rc)
{
	static const struct timespec pause = { .tv_nsec = MOUNT_AGAIN_NS };

	if (rc == -EINTR || rc == -EAGAIN || rc == -ENOENT)
		return;
	if (mount_is_over(rc)) {
		worker_call(direct->home, become_over, direct);
		return;
	}
	worker_call(direct->home, say_not_taken, &(struct not_taken){ direct->mount, rc });
	nanosleep(&pause, NULL);
}

static void take_one(struct direct_thread *thread)
{
	struct mount_direct *direct = thread->direct;
	ssize_t size;
	int rc;

	atomic_fetch_add(&direct->there, 1);
	size = read(libfuse.fuse_session_fd(direct->mount->session), thread->memory + MOUNT_REQUEST,
		    MOUNT_BYTES - MOUNT_REQUEST);
	rc = size < 0 ? -errno : -ENODEV;
	if (atomic_fetch_sub(&direct->there, 1) == 1 && size > 0 && atomic_load(&direct->waiting))
		call_threads(direct, 1);
	if (size >= (ssize_t)sizeof(struct fuse_in_header))
		carry_out(thread, (size_t)size);
	else
		fail_to_take(direct, rc);
}

static bool is_deserted(const struct mount_direct *direct)
{
	return atomic_load(&direct->active) && !atomic_load(&direct->there);
}

/* False: it is over. */
static bool wait_until_called(struct mount_direct *direct)
{
	bool ending;

	pthread_mutex_lock(&direct->lock);
	atomic_fetch_add(&direct->waiting, 1);
	/* Whoever was the last to leave the descriptor either saw us waiting, or is seen here. */
	while (!direct->ending && !direct->called && !is_deserted(direct))
		pthread_cond_wait(&direct->change, &direct->lock);
	atomic_fetch_sub(&direct->waiting, 1);
	ending = direct->ending;
	if (!ending && direct->called)
		direct->called--;
	pthread_mutex_unlock(&direct->lock);
	return !ending;
}

static void *run(void *arg)
{
	struct direct_thread *thread = arg;
	sigset_t wake;

	sigemptyset(&wake);
	sigaddset(&wake, WAKE);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	while (wait_until_called(thread->direct))
		while (atomic_load(&thread->direct->active) &&
		       atomic_load(&thread->direct->there) < THERE_MOST)
			take_one(thread);
	atomic_store(&thread->ended, true);
	return NULL;
}

/* ---- Threads, at home ---- */

static void start_thread(struct mount_direct *direct)
{
	struct direct_thread *thread = &direct->all[direct->count];

	thread->direct = direct;
	thread->memory =
		mmap(NULL, MOUNT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (thread->memory == MAP_FAILED)
		return;
	if (thread_start(&thread->thread, "mount", run, thread))
		munmap(thread->memory, MOUNT_BYTES);
	else
		direct->count++;
}

bool mount_direct_take(struct mount_direct *direct)
{
	if (!direct || atomic_load(&direct->active))
		return direct != NULL;
	if (!direct->wanted)
		return false;
	for (unsigned i = direct->count; i < THREADS; i++)
		start_thread(direct);
	/* Else one that has the worker do something would leave nobody to take the next. */
	if (direct->count < THERE_LEAST)
		return false;
	atomic_store(&direct->misses, 0);
	set_blocking(direct->mount, true);
	atomic_store(&direct->active, true);
	call_threads(direct, THERE_LEAST);
	return true;
}

void mount_direct_wait(struct mount_direct *direct)
{
	while (atomic_load(&direct->active))
		if (fiber_queue_wait(&direct->idle, FIBER_FOREVER))
			return;
}

static void do_nothing(int signal)
{
	(void)signal;
}

struct mount_direct *mount_direct_begin(struct mount *mount)
{
	const struct sigaction action = { .sa_handler = do_nothing };
	struct mount_direct *direct = calloc(1, sizeof(*direct));

	if (!direct)
		return NULL;
	/* Whoever is at the descriptor returns from it. */
	sigaction(WAKE, &action, NULL);
	direct->mount = mount;
	direct->home = worker_current();
	pthread_mutex_init(&direct->lock, NULL);
	pthread_cond_init(&direct->change, NULL);
	fiber_queue_init(&direct->idle);
	list_init(&direct->jobs);
	return direct;
}

void mount_direct_end(struct mount_direct *direct)
{
	if (!direct)
		return;
	pthread_mutex_lock(&direct->lock);
	direct->ending = true;
	pthread_cond_broadcast(&direct->change);
	pthread_mutex_unlock(&direct->lock);
	become_idle(direct);
	for (unsigned i = 0; i < direct->count; i++) {
		struct direct_thread *thread = &direct->all[i];

		while (!atomic_load(&thread->ended)) {
			pthread_kill(thread->thread, WAKE);
			fiber_sleep_always(END_STEP_NS);
		}
		pthread_join(thread->thread, NULL);
		munmap(thread->memory, MOUNT_BYTES);
	}
	pthread_cond_destroy(&direct->change);
	pthread_mutex_destroy(&direct->lock);
	free(direct);
}
