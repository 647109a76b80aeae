/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of `tenon mount`: a file system in user space (FUSE) with a file for each volume of a group that a server serves.
 *
 *	mount.c		the commands: into the background, and out again
 *	mount_tree.c	which files there are
 *	mount_session.c	taking requests from the kernel, and their memory
 *	mount_process.c	one request, whoever took it
 *	mount_direct.c	reads and writes that threads of the mount carry out themselves
 *	mount_fuse.c	what the kernel asks for
 *	mount_resize.c	telling a loop device of a new size
 *	host_disk.h		the disks behind them
 *
 * Everything is on one worker. A fiber takes a request from the kernel and carries it out; others take the next ones. Where a disk is leased
 * (host_lease.h), threads take them instead, read and write it themselves, and have the worker do all else.
 *
 * A file is the disk: nothing of it is cached in between, and its size is the volume's. A volume that is opened for
 * reading goes by its shared socket, beside whatever machine has it. One that is opened for writing is taken as a
 * machine takes it, alone, unless the mount was told to share.
 *
 * A volume here: known from the server's list on, with a number that it keeps. It goes when the list has it no more, the
 * kernel has forgotten it, and nobody has it open.
 */
#ifndef TENON_TOOLS_MOUNT_H
#define TENON_TOOLS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "fiber/fiber.h"
#include "util/list.h"
#include "util/log.h"
#include "virtio/guest_memory.h"

struct host_disk;
struct error;
struct fuse_lowlevel_ops;
struct fuse_session;

#define MOUNT_ROOT     1u          /* the number of the folder */
#define MOUNT_TAKERS   32u         /* requests at a time */
#define MOUNT_DATA     (1u << 20)  /* of one request, at most */
#define MOUNT_AGAIN_NS 10000000ull /* after one that could not be taken */

/* How a volume is open: its disk is there while somebody has it so. */
enum mount_way { MOUNT_BESIDE, MOUNT_ALONE, MOUNT_WAYS };

struct mount_volume {
	struct list node;
	uint64_t number;
	char *name; /* of the file */
	char id[32];
	uint64_t size;
	bool read_only, listed;
	uint64_t lookups; /* by the kernel, not forgotten yet */
	struct fiber_mutex opening;
	struct mount_disk {
		struct host_disk *disk;
		unsigned opens, writers;
	} ways[MOUNT_WAYS];
};

/* Of a taker of requests. */
struct mount_buffer {
	char *data; /* MOUNT_DATA bytes */
	bool lost;  /* a server that is gone or stopped may have it yet: it is not used again */
};

struct mount {
	const char *group;
	char *directory;
	const char
		*looped; /* the path of a file whose loop device is told of a new size, or NULL */
	char *server;    /* the control socket of the one that had the group last, or NULL */
	bool shared, read_only;
	struct log log;
	struct fuse_session *session;
	struct guest_memory memory;  /* of all requests; the servers of the disks have it as well */
	struct mount_buffer *buffer; /* of the request that begins, until its operation suspends */
	dev_t device;                /* of what it has mounted; 0: not known */
	time_t began;        /* what files say of when they were changed, which nobody knows */
	struct list volumes; /* by their numbers */
	uint64_t next_number;
	uint64_t listed_ns; /* when the server was last asked; 0: never */
	struct fiber_mutex listing, receiving;
	struct mount_direct *direct; /* while it serves */
	unsigned resizes;            /* that the loop device was not told of yet */
	struct fiber_queue resized;  /* waits until there are none */
	struct fiber *telling;       /* tells it of them, or NULL */
	bool resizes_end;            /* none is told any more */
};

/* ---- mount.c ---- */

/* Mounts a group, by a process in the background: the exit status of the command that did so. What is wrong was said. Not on a
 * fiber, as it forks. `directory` is a real path; `looped` a file in it, whose loop device follows the size, or NULL. */
int mount_in_background(const char *group, const char *directory, const char *looped, bool shared,
			bool read_only);
/* Whether one of ours is mounted on a real path, also one whose process was killed: 1 or 0; a negative errno with `error` set: it cannot
 * be seen. */
int mount_is_there(const char *directory, struct error *error);
/* Whether the process of that one was killed: nothing in it can be looked at. */
bool mount_is_dead(const char *directory);
/* realpath() of a folder in which nothing is looked at: there may be a mount whose process was killed, or is stopped. NULL with errno. */
char *mount_real_directory(const char *word);
/* *device: that of such a mount; 0: there is none. 0, or a negative errno: it cannot be seen. */
int mount_device(const char *directory, dev_t *device);
/* Unmounts it and waits until its process has ended; `shown` is what the user calls it. On a fiber. */
int mount_take_down(const char *directory, const char *shown, struct error *error);

/* ---- mount_tree.c ---- */

/* Asks the servers what there is, unless that was done a moment ago. -ENOENT where nobody serves the group; what was
 * known stays then. */
int mount_refresh(struct mount *mount);
/* NULL: there is none. */
struct mount_volume *mount_find(struct mount *mount, uint64_t number);
struct mount_volume *mount_find_name(struct mount *mount, const char *name);
/* Frees it where nothing needs it any more. */
void mount_settle(struct mount_volume *volume);
void mount_free_all(struct mount *mount);
/* As it is now. */
uint64_t mount_size(const struct mount_volume *volume);

/* Opens it: which way that is, or a negative errno, which is logged. Suspends. */
int mount_open(struct mount *mount, struct mount_volume *volume, bool writes);
void mount_close(struct mount *mount, struct mount_volume *volume, enum mount_way way, bool wrote);

/* ---- mount_resize.c ---- */

/* A disk that is open has another size. Does not suspend. */
void mount_resized(void *mount);
/* Requests are not taken any more: what waits for the mount itself is given up. Suspends. */
void mount_resize_end(struct mount *mount);

/* ---- mount_fuse.c ---- */

extern const struct fuse_lowlevel_ops mount_operations;

/* ---- mount_session.c ---- */

/* Mounts it. 0 or a negative errno with `error` set. */
int mount_begin(struct mount *mount, struct error *error);
/* Carries out requests until it is unmounted or one of the signals comes that end a command. */
int mount_serve(struct mount *mount);
/* Unmounts it, if it is yet. */
void mount_end(struct mount *mount);

/* ---- mount_process.c ---- */

/* As the kernel sends requests to a taker. */
#define MOUNT_HEAD  4096u /* data begins at a page, as disks want it */
#define MOUNT_TAIL  4096u /* libfuse offers the kernel room for more than MOUNT_DATA */
#define MOUNT_BYTES ((uint64_t)MOUNT_HEAD + MOUNT_DATA + MOUNT_TAIL)
/* Where a request begins in that memory, so that data of a write begins after the head. */
#define MOUNT_REQUEST (MOUNT_HEAD - sizeof(struct fuse_in_header) - sizeof(struct fuse_write_in))

/* Carries a request out, which is in `memory` as above. Suspends. */
void mount_process(struct mount *mount, struct mount_buffer *buffer, void *memory, size_t size);
/* Whether no request can come any more, as an error of taking one says; any other is about that one, which the kernel has failed. */
bool mount_is_over(int rc);
void mount_say_not_taken(struct mount *mount, int rc);

/* ---- mount_direct.c ---- */

/* Around mount_serve(), on its fiber: NULL without memory, then there are no threads. The end waits for them. */
struct mount_direct *mount_direct_begin(struct mount *mount);
void mount_direct_end(struct mount_direct *direct);
/* What the worker does for threads is cancelled, now and from now on. */
void mount_direct_give_up(struct mount_direct *direct);
/* One of the disks is leased: threads are to take requests. */
void mount_direct_want(struct mount_direct *direct);
/* With `receiving`: has threads take requests, if that is wanted. Whether they do. */
bool mount_direct_take(struct mount_direct *direct);
/* Waits until they do not any more, or who waits is cancelled. */
void mount_direct_wait(struct mount_direct *direct);

#endif
