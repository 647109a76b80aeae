/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block devices: the one interface of everything that stores bytes.
 *
 * A block device has a home worker: the one on which it was opened. All calls are made on fibers of
 * that worker and may suspend; other workers use views of it (view.h). Several fibers may have requests in flight at once; requests that
 * overlap in time and place have no order between them, as on a disk.
 *
 * Durability is Linux's: a completed write is durable after the next completed flush, or at once with
 * BLOCK_FUA. A layer keeps that promise for whatever is above it.
 *
 * Offsets and lengths are in bytes and multiples of `logical_block_size`; memory may lie at any
 * address (the file layer copies where O_DIRECT needs more). Functions return 0 or a negative errno,
 * and transfer everything or fail: -EIO for a failed medium, -ENOSPC, -EROFS, -EINVAL for a request
 * outside the device or misaligned, -EOPNOTSUPP never for anything in this interface.
 *
 * -ENXIO means one thing only: the device is smaller than it was when it was opened (somebody truncated
 * the file), and must have its `size` again. Every change fails so then, wherever it is; reads do behind
 * the present end. It is no medium error: writing the place anew would make the file longer, with a hole
 * of zeroes in it that looks like data. A layer that copes with it (an array) does not pass it on.
 *
 * Layers stack. A layer says with map() where a range lies: in a lower layer, nowhere (it reads as zeroes), or
 * here, where it has to work. So a request is taken down through layers that translate (a slice, a
 * linear volume, striping) to extents of the layers that do work, without a fiber or a copy on the way.
 *
 * What a layer says is good while a request is inside of its gate. block_quiesce() closes the gate and
 * waits until nobody is inside; then its table may be replaced, and block_resume() lets requests in
 * again: device-mapper's suspend and resume. block_watch() tells those above what changed.
 *
 * Lifetime: block_ref() and block_unref(); a layer holds a reference on each layer below it.
 */
#ifndef TENON_BLOCK_BLOCK_H
#define TENON_BLOCK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "block/gate.h"
#include "block/range_lock.h"
#include "fiber/request.h"
#include "util/cleanup.h"
#include "util/list.h"

struct block;
struct error;
struct lease_file;

enum block_kind { BLOCK_READ, BLOCK_WRITE, BLOCK_WRITE_ZEROES, BLOCK_DISCARD, BLOCK_FLUSH };

/* Request flags. */
#define BLOCK_FUA       (1u << 0) /* write, write_zeroes: durable when it completes */
#define BLOCK_MAY_UNMAP (1u << 1) /* write_zeroes: the space may be given back */
#define BLOCK_STABLE    (1u << 2) /* write: nobody changes the data before it ends, as a guest may */

enum block_place {
	BLOCK_BELOW,  /* in `lower` */
	BLOCK_ZEROES, /* nowhere: reads as zeroes, and needs neither zeroing nor discarding */
	BLOCK_HERE,   /* the layer does the work */
};

/* Where a range of a layer lies. */
struct block_extent {
	enum block_place place;
	struct block *lower; /* BLOCK_BELOW: the layer below, and where in it */
	uint64_t offset;
	uint64_t length; /* how far it goes on so, at most what was asked for */
};

/* A range of a layer whose chunks lie in turn in each of several places, where those of one place follow each other. */
struct block_stripes {
	uint64_t length; /* whole chunks of all places */
	uint64_t chunk;
	unsigned count; /* of places: more than one */
};

/* One request of several, or one that a layer is asked to do without a fiber. */
struct block_io {
	struct block *block;
	enum block_kind kind;
	unsigned flags;
	uint64_t offset, length; /* of a flush: 0 */
	const struct iovec *iov; /* read, write: `count` of them that sum up to exactly `length` */
	unsigned count;
	int result; /* out */
};

/* A request that start() has taken; see there. */
struct block_work {
	struct block *block;
	enum block_kind kind;
	unsigned flags;
	uint64_t offset, length;
	const struct iovec *iov;
	unsigned count;
	void (*done)(struct block_work *work, int rc);

	/* the layer's, until then */
	struct worker_request request;
	struct range_hold hold;
	bool held;
};

/* What block_status() says of a range. */
enum block_status {
	BLOCK_STATUS_DATA, /* may hold anything */
	BLOCK_STATUS_ZERO, /* reads as zeroes; need not be copied */
};

/*
 * What a layer implements. Callers use the block_*() functions below, which check range and alignment,
 * resolve, and split; so an implementation sees only valid requests, never of length 0.
 */
struct block_ops {
	const char *type; /* "file", "memory", "slice", "raid1", ... */

	/* Optional: where [offset, offset + length), or the beginning of it, lies for a request of this
	 * kind (never a flush). Pure: it neither suspends nor changes anything. `extent` says BLOCK_BELOW
	 * when it is called. A write never lies in BLOCK_ZEROES. Without it the layer does all the work. */
	int (*map)(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		   struct block_extent *extent);

	/* Optional: whether a range of stripes begins, or goes on with the first place's turn, at `offset`. As pure as map(), which says where the first
	 * chunk of each place lies; for whoever wants to know of all of it (lease.h). */
	bool (*stripes)(const struct block *block, uint64_t offset, struct block_stripes *out);

	/* Optional: begins a request and returns true, if that takes no waiting; work->done() is then
	 * called, perhaps at once, with 0, a negative errno, or -EAGAIN: do it by the calls below.
	 * False: nothing was done. */
	bool (*start)(struct block *block, struct block_work *work);

	/* The work; may suspend. The iovecs sum up to `length`. Needed but by a layer whose map() never
	 * says BLOCK_HERE. */
	int (*readv)(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count);
	int (*writev)(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count, unsigned flags);
	/* Optional: without it, discard does nothing (a hint) and write_zeroes writes zeroes. */
	int (*discard)(struct block *block, uint64_t offset, uint64_t length);
	int (*write_zeroes)(struct block *block, uint64_t offset, uint64_t length, unsigned flags);
	/* Optional: without it everything is data. Sets *length to how far the answer holds. */
	int (*status)(struct block *block, uint64_t offset, uint64_t *length,
		      enum block_status *status);

	/* Optional, and both at home: whether views of it do reads and writes themselves (view.h). A layer that
	 * says so has either a map() for these that asks nothing but what changes while the gate is closed, or view(), which
	 * makes one; NULL without memory. */
	bool (*has_views)(const struct block *block);
	struct block *(*view)(struct block *block);

	/* Optional: what is at the bottom of leases (lease.h): the descriptor, which stays its own, by which everything before byte `end` is read and
	 * written, and what to know of it; or -EOPNOTSUPP. */
	int (*lease)(const struct block *block, uint64_t end, struct lease_file *out);

	/* Optional: as block_lend(), of a range that is in the device. */
	const void *(*lend)(struct block *block, uint64_t offset);

	/* Every layer: flushes all lower layers that may hold unflushed writes. */
	int (*flush)(struct block *block);
	/* The last reference went away: stop what runs, drop lower references, free. May suspend. */
	void (*close)(struct block *block);
};

struct block {
	const struct block_ops *ops;
	char *name;    /* for people: a path, "md/NAME", "VG/LV"; freed by block_unref */
	uint64_t size; /* bytes; a multiple of logical_block_size */
	uint32_t logical_block_size;  /* 512 or 4096 */
	uint32_t physical_block_size; /* >= logical; writes of less cost a read */
	uint32_t preferred_io_size;   /* 0: no preference; a stripe, for example */
	uint32_t discard_granularity; /* 0: discard does nothing */
	bool read_only;
	bool gone; /* what was below is there no more: requests fail */
	unsigned references;
	struct worker *home;    /* whose fibers may use it; NULL: opened on none */
	struct block_gate gate; /* the requests in this layer */
	struct list watches;

	/* Of who reads and writes by himself what it lies on: lease.h. */
	struct {
		struct list ties;
		bool barred; /* set by a layer that is about to change: no new ones */
	} leases;

	/* Of one device on several workers: view.h, which alone uses these. */
	struct {
		struct list all;
		struct fiber_mutex lock;
	} views;
	struct {
		struct block *of; /* of a view: the device; else NULL */
		struct list node;
		unsigned users;
	} view;
};

/* For layers: fills in a new `block` with one reference, `name` copied, sizes of 512, all else 0. */
void block_init(struct block *block, const struct block_ops *ops, const char *name);

/* For layers over one other: takes its size, block sizes, preferences, and whether it is read-only. */
void block_copy_limits(struct block *block, const struct block *lower);

struct block *block_ref(struct block *block);
void block_unref(struct block *block); /* NULL is fine; the last one may suspend */

/* Makes the calling worker the home of a device that has no layers below it (a file) and that nobody uses
 * meanwhile: one may be opened where that can take its time. */
void block_move(struct block *block);
DEFINE_CLEANUP(cleanup_block, struct block, block_unref)
#define CLEANUP_BLOCK CLEANUP(cleanup_block)

/* Requests; each suspends until it is done. */
int block_read(struct block *block, uint64_t offset, void *at, uint64_t length);
int block_write(struct block *block, uint64_t offset, const void *at, uint64_t length,
		unsigned flags);
int block_readv(struct block *block, uint64_t offset, const struct iovec *iov, unsigned count);
int block_writev(struct block *block, uint64_t offset, const struct iovec *iov, unsigned count,
		 unsigned flags);
int block_flush(struct block *block);
int block_discard(struct block *block, uint64_t offset, uint64_t length);
int block_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags);

/*
 * Several requests at once: started together, waited for once. Each gets its own result, and a failed one
 * does not keep others from being done. Returns the first error in their order. Requests that overlap
 * have no order between them.
 */
int block_run_all(struct block_io *ios, unsigned count);
/* The same; between the first `first` of them and the others, if there are any, meanwhile(arg) is called: it may make what the others
 * write while the first are on their way, and does not suspend. */
int block_run_all_with(struct block_io *ios, unsigned count, unsigned first,
		       void (*meanwhile)(void *arg), void *arg);
/* Flushes several devices at once; the first error. */
int block_flush_all(struct block *const *blocks, unsigned count);

/* Whether [offset, offset + *length) reads as zeroes without looking at it; shortens *length to the
 * part that the answer holds for (at least one logical block). */
int block_status(struct block *block, uint64_t offset, uint64_t *length, enum block_status *status);

/* Where a range of a device is in memory, aligned as it is in the device, so that it need not be read; NULL: it has to be.
 * Good while the device is referenced; what is written to the device meanwhile changes it. Does not suspend. */
const void *block_lend(struct block *block, uint64_t offset, uint64_t length);

/* ---- Changing a device under its users ---- */

/* Keeps new requests out of the layer and waits until those inside have ended; block_resume() lets them in.
 * Counted. Who quiesces several layers begins with the uppermost. Suspends. */
void block_quiesce(struct block *block);
void block_resume(struct block *block);

#define BLOCK_CHANGED_SIZE      (1u << 0)
#define BLOCK_CHANGED_READ_ONLY (1u << 1)
#define BLOCK_CHANGED_GONE      (1u << 2)

/* Somebody who is told of changes: changed() is called on the device's worker, may take itself or
 * others off the list, and does not suspend. */
struct block_watch {
	struct list node;
	void (*changed)(struct block_watch *watch, struct block *block, unsigned what);
};

void block_watch(struct block *block, struct block_watch *watch);
void block_unwatch(struct block_watch *watch); /* fine when it is not on any */

/* For layers: change it and tell. The first suspends where there are views of it (view.h). */
void block_set_size(struct block *block, uint64_t size);
void block_set_read_only(struct block *block, bool read_only);
void block_set_gone(struct block *block);

/* ---- Files and host block devices (file.c) ---- */

#define BLOCK_OPEN_WRITE    (1u << 0) /* else read-only */
#define BLOCK_OPEN_LOCK     (1u << 1) /* take the lock described below; -EBUSY if another has it */
#define BLOCK_OPEN_CREATE   (1u << 2) /* a regular file is created, or truncated, to `size` */
#define BLOCK_OPEN_BUFFERED (1u << 3) /* never O_DIRECT */
#define BLOCK_OPEN_FORCE    (1u << 4) /* with CREATE: whatever signature the file carries */
#define BLOCK_OPEN_ODD                                                                             \
	(1u << 5) /* read-only: a file of any size, filled up with zeroes to a sector */
#define BLOCK_OPEN_TOGETHER                                                                        \
	(1u << 6) /* with others: block_check_together() is called before anything is written */

/*
 * Opens an image file, a host block device, or a partition in one of them ("disk.img:2", partition.h): O_DIRECT where the file system has it, with the
 * alignment it wants; holes are kept, discard punches them. Errors are -ENOENT, -EACCES, -EBUSY,
 * -EINVAL (a directory, a socket, a size that is no multiple of 512), with `error` set.
 *
 * The lock is an open-file-description lock: exclusive over the whole file for writing, shared for
 * reading. QEMU's own image locks collide with it where they should: readers may share an image with
 * QEMU's readers (file_lock.c). A host block device is also opened O_EXCL for writing, so that one the
 * kernel has mounted or assembled is refused with -EBUSY.
 *
 * What lies below a device is locked with it (identity.h): the file of a loop device, the disk of a partition, in
 * their range. For writing it is refused with -EBUSY where that cannot be done, and where a loop
 * device over it is in use.
 *
 * With BLOCK_OPEN_CREATE, a file that is there and carries a signature is refused with -EEXIST (output.h).
 */
int block_open_file(struct block **out, const char *path, unsigned flags, uint64_t size,
		    struct error *error);

/* That no loop device over one of these is in use, which were opened with BLOCK_OPEN_TOGETHER: the host's loop devices are
 * gone through once for all of them. Other blocks are passed over. 0, or as block_open_file(). */
int block_check_together(struct block *const *blocks, unsigned count, struct error *error);

/* Opens and locks just [offset, offset + length) of it, as a device called `name`: others may have other parts. Not
 * for BLOCK_OPEN_CREATE. */
int block_open_part(struct block **out, const char *name, const char *path, unsigned flags,
		    uint64_t offset, uint64_t length, struct error *error);

/* Cuts a file opened for writing by at most a sector, to a size that no block device can have. What was cut
 * off must not be used again. 0 or a negative errno. */
int block_file_cut(struct block *block, uint64_t size);

/* Removes a file again that BLOCK_OPEN_CREATE made, and did not find there, if it is still what `path` names. For
 * others nothing happens. */
void block_file_discard(struct block *block, const char *path);

/* ---- Memory (memory.c) ---- */

/* Zeroed memory of `size` bytes, sparse until written. */
int block_create_memory(struct block **out, const char *name, uint64_t size, struct error *error);

/* ---- Null (null.c) ---- */

/* A disk of `size` bytes that does nothing, at once: writes are forgotten, reads leave memory as it is.
 * For measuring what is above it. */
int block_create_null(struct block **out, const char *name, uint64_t size, struct error *error);

/* ---- Slice (slice.c) ---- */

/* [offset, offset + length) of `lower`, on which it takes a reference. */
int block_create_slice(struct block **out, const char *name, struct block *lower, uint64_t offset,
		       uint64_t length, struct error *error);

#endif
