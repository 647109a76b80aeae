/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that a running server serves, as this host uses it: a mount, a plugin of nbdkit, a loop device. The server has it;
 * machines and this host see the same bytes at the same time.
 *
 * It is found by its name among all servers of this user, and found again after its server has ended, as long as it is
 * the same disk (export ids are made of UUIDs):
 *
 *	away	there is no connection; host_disk_get() looks for the server, at most once in HOST_DISK_RETRY_NS, and fails between
 *	there	`block` is connected; a request that ends with -ENOTCONN, -ETIMEDOUT or -ECANCELED makes it away again
 *
 * What the server had acknowledged before it was killed is in the kernel or on the disk, and a flush of the next server
 * makes that durable.
 */
#ifndef TENON_TOOLS_HOST_DISK_H
#define TENON_TOOLS_HOST_DISK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "block/range_lock.h"
#include "tools/host_lease.h"
#include "util/error.h"

#define HOST_DISK_RETRY_NS 500000000ull

struct guest_memory;

struct host_disk_options {
	const char *id; /* of the export that it must be; NULL: whichever is found */
	bool shared;    /* also with machines that have it, who know */
	/* That the server is to have as well, so that data in it is not copied; it stays the caller's and outlives the disk. NULL: none. */
	const struct guest_memory *memory;
	bool direct; /* host_disk_direct() is called: ask for leases */
};

/* Home: the worker on which it was opened. */
struct host_disk {
	char *name; /* VG/LV or md/NAME */
	bool shared;
	const struct guest_memory *memory;
	char id[32];         /* of the export, once it was found */
	struct block *block; /* NULL: away */
	int alone_fd;  /* that nobody else gets it (alone.h), also while it is away; -1: shared */
	char *control; /* of the server that it was last found at */
	uint64_t looked_ns; /* when the server was last looked for in vain */
	struct error why;   /* why it is away */
	struct fiber_mutex finding;
	struct block_watch watch;
	void (*resized)(void *arg); /* or NULL */
	void *resized_arg;
	struct host_lease lease;
	struct range_lock lock; /* of writes that are not whole blocks, against others */
};

/*
 * Finds and connects it. Not `shared`, nobody else must have it, nor gets it until this ends, also where its server does and
 * another takes its place (alone.h). -ENOENT where nobody serves it, -EBUSY where somebody has it, -EEXIST where two servers serve disks of that name.
 */
int host_disk_open(struct host_disk **out, const char *name,
		   const struct host_disk_options *options, struct error *error);
void host_disk_close(struct host_disk *disk); /* NULL is fine */

/* Calls resized(arg), which must not suspend, whenever the disk may have another size: also as it is found again. */
void host_disk_tell(struct host_disk *disk, void (*resized)(void *arg), void *arg);

/* Says who has it, so that it cannot be had alone: -EBUSY with `error` set, or another errno where even that is not known. Not on a
 * fiber. */
int host_disk_explain_taken(const char *name, struct error *error);

/* A reference on the connected device, looking for the server if need be; NULL: `why` says so. Suspends. */
struct block *host_disk_get(struct host_disk *disk);

/* Reads or writes by itself, on any thread, which waits, while the disk is open and this can be: 0, or -EAGAIN: by the functions below, at
 * home, which also see to it that it can be next time. */
static inline int host_disk_direct(struct host_disk *disk, bool write, uint64_t offset, void *at,
				   uint64_t length)
{
	return host_lease_transfer(&disk->lease, write, offset, at, length);
}

/* Whether that can be now. */
static inline bool host_disk_is_leased(const struct host_disk *disk)
{
	return atomic_load(&disk->lease.use);
}

/* Any range, also of single bytes. 0, or a negative errno: -EINVAL outside of the disk, -EROFS, -EIO and others of
 * block.h, or why it is away. Parts of blocks are read, changed and written, one writer at a time here; a machine that
 * writes to the same block at the same time may lose what it writes. */
int host_disk_read(struct host_disk *disk, uint64_t offset, void *at, uint64_t length);
int host_disk_write(struct host_disk *disk, uint64_t offset, const void *at, uint64_t length,
		    unsigned flags);
int host_disk_write_zeroes(struct host_disk *disk, uint64_t offset, uint64_t length,
			   unsigned flags);
/* A hint: whole blocks of the range. */
int host_disk_discard(struct host_disk *disk, uint64_t offset, uint64_t length);
int host_disk_flush(struct host_disk *disk);

/* What reads as zeroes, from `offset` on: calls note() for each part, as far as the server says, until it returns false. */
int host_disk_extents(struct host_disk *disk, uint64_t offset, uint64_t length,
		      bool (*note)(void *arg, uint64_t length, bool zero), void *arg);

/* All that running servers serve of a group ("md": of arrays): a list of objects as server.exports has them. *served:
 * whether a server has the group at all. One that does not answer is passed over, one that is stopped is not asked.
 * *server (malloc, or NULL) is the control socket of the one that had the group last, which is asked first, and is kept
 * here for the next time. 0 or -ENOMEM; or it cannot be seen which servers there are, which is not that none has it. */
int host_disk_list(const char *group, char **server, json_t **out, bool *served);

#endif
