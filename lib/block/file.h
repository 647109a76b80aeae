/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the file layer, from the top: open.c (names), file_open.c, file_view.c, file.c (requests), file_async.c,
 * file_memory.c, file_limits.c; and file_lock.c, file_loops.c.
 *
 * Direct I/O wants offsets and lengths in `direct_unit` and memory at `direct_memory`; both depend on the
 * file system and the disk under it. The device above always has 512-byte blocks for a regular file,
 * so what does not fit goes through a bounce buffer, and a write of part of a unit is a
 * read-modify-write under a range lock that all writes of such a file take.
 *
 * The end of a file whose size is no multiple of the unit cannot be written directly without making
 * the file longer: it is read and written through the page cache by a second descriptor.
 */
#ifndef TENON_BLOCK_FILE_H
#define TENON_BLOCK_FILE_H

#include "block/block.h"
#include "block/file_locks.h"
#include "block/identity.h"
#include "block/iov.h"
#include "block/range_lock.h"
#include "util/bytes.h"

struct block_identity;

#define FILE_BOUNCE_SIZE  (256u << 10)
#define FILE_BOUNCE_COUNT 4u /* kept for later */
#define FILE_LOOKS_EVERY  8u /* writes to a file in memory in one round */

/* See file_async.c; a view has none of its own. */
struct file_flushes {
	bool running;
	bool lost; /* one failed, and what it was to write may be gone from the page cache */
	uint64_t started;
	struct list waiters;
};

/* What was done in this round of the worker's loop. */
struct file_round {
	uint64_t round;
	bool looked;     /* at the size: it is as long as it should be */
	unsigned writes; /* in memory, since */
	uint64_t bytes;  /* transferred without waiting */
};

struct file {
	struct block block;
	struct file_locks below;
	int fd;
	int tail_fd; /* without O_DIRECT, for [direct_end, size); or -1 */
	bool is_device;
	bool created;           /* by this opening */
	bool in_memory;         /* tmpfs, see file_memory.c */
	bool direct;            /* `fd` has O_DIRECT */
	uint32_t direct_unit;   /* a power of two from 512 */
	uint32_t direct_memory; /* a power of two */
	uint64_t direct_end;    /* 0 without O_DIRECT */
	uint64_t odd_end; /* the true size where it is no multiple of 512 (read-only); else 0 */
	bool no_punch, no_zero_range; /* the file system said so */
	struct range_lock writes;     /* used where direct_unit > the logical block size */
	void *bounce[FILE_BOUNCE_COUNT];
	struct file_flushes flushes;
	struct file_round round;
};

static inline struct file *file_of(struct block *block)
{
	return container_of(block, struct file, block);
}

/* Whether what is written waits in the page cache for a flush, which may lose it. */
static inline bool file_is_cached(const struct file *file)
{
	return !file->in_memory && (!file->direct || file->tail_fd >= 0);
}

/* Whether it is smaller than it was when it was opened. A system call, but one of 0.2 microseconds. */
bool file_shrank(const struct file *file);

/* The same before a write: looked at once for all writes of a round of the loop, which reach the kernel
 * together after it, and again for every few of those that are done at once. */
bool file_shrank_before(struct file *file);

/* The present round's, to look at and to change. */
struct file_round *file_round(struct file *file);

/* What the contract of block.h knows. */
int file_error(const struct file *file, int code);

/* Whether the kernel takes these iovecs at this place as they are. */
bool file_fits_direct(const struct file *file, uint64_t offset, uint64_t length,
		      struct iov_range data);

/* ---- Files in memory (file_memory.c) ---- */

bool file_is_in_memory(int fd);
/* Whether so many bytes are to be transferred at once; if so, counts them. */
bool file_transfers_now(struct file *file, uint64_t length);
/* As preadv() and pwritev(): bytes or a negative errno. */
ssize_t file_transfer_now(int fd, bool write, const struct iovec *iov, unsigned count,
			  uint64_t offset);

/* ---- Requests without a fiber, and flushes (file_async.c) ---- */

void file_flushes_init(struct file_flushes *flushes);
bool file_start(struct block *block, struct block_work *work);
int file_flush(struct block *block);

/* Whether a loop device over a part of it is claimed by the kernel or in use by another process: -EBUSY, with `error`
 * set, or what kept us from looking. */
int file_check_loops(const struct block_identity *identity, const char *path, struct error *error);

/* The host's loop devices that show something: it has hundreds at times, of which most do not. */
struct file_loop {
	char *folder; /* in sysfs */
	bool on_fuse; /* its file is on a file system in user space: `mount` */
	dev_t mount;
	bool seen, gone; /* it was looked at, and what came of that: */
	int rc;
	dev_t device;
	struct block_identity identity;
};
struct file_loops {
	struct file_loop *loops;
	unsigned count;
};

/* `path` is what is opened, for the error. file_loops_free() is fine after a failure. */
int file_loops_find(struct file_loops *list, const char *path, struct error *error);
void file_loops_free(struct file_loops *list);
/* As file_check_loops(), of these alone. */
int file_loops_check(struct file_loops *list, const struct block_identity *identity,
		     const char *path, struct error *error);

extern const struct block_ops file_ops;

/* A file or device as block_open_file() opens it, for a path that is no partition's name (file_open.c). */
int file_open(struct block **out, const char *path, unsigned flags, uint64_t size,
	      struct error *error);

/* ---- Requests (file.c) ---- */

int file_readv(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
	       unsigned count);
int file_writev(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count, unsigned flags);
int file_discard(struct block *block, uint64_t offset, uint64_t length);
int file_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags);
int file_status(struct block *block, uint64_t offset, uint64_t *length, enum block_status *status);
/* Frees what a file keeps for later. */
void file_free_bounce(struct file *file);

/* ---- Leases (file_view.c; lease.h) ---- */

/* Not of files of which parts of units are written under locks. */
int file_lease(const struct block *block, uint64_t end, struct lease_file *out);

/* ---- Views (file_view.c) ---- */

bool file_has_views(const struct block *block);
struct block *file_view(struct block *block);

#endif
