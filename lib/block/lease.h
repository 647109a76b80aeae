/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases: another process reads and writes what a device's bytes lie on by itself, until it is told to stop.
 *
 * A request of a process on this host that goes by way of a server costs two wakes and a copy, several times what it costs the disk.
 * Where a device is nothing but pieces of files (a linear or striped volume on PVs), the server gives the process the files' descriptors and says
 * where each byte lies. Everything but plain reads and writes still goes by way of the server: flushes above all, so that one
 * place knows of a write that was lost.
 *
 * One page of memory, which both have, says whether the lease is over, and counts who is inside:
 *
 *	user, each request	inside + 1; unless over: reads or writes; inside - 1
 *	server, before a change	over; waits until inside is 0
 *
 * both with sequentially consistent order, so that one of them sees the other. What is over stays over: the user asks anew. So no
 * request is on its way by an old table when a new one takes its place, and what a change rests on is asked before it is
 * committed: a user that is stopped in the middle of a write keeps the change from being made (-EBUSY), and is named. Until the change is over the
 * device is barred: nobody is given a lease of it.
 *
 * A user that is killed: its connection closes after its threads have left the kernel, so only calls that a thread waits for may write (no
 * ring). A server that is killed: the descriptors are the server's own, with its locks, so nobody else gets the disks as long as the
 * user has them; it closes them as it sees the connection close.
 *
 * States: held (ties in the devices that it goes through), over (no ties: nothing waits for it), ended (freed).
 */
#ifndef TENON_BLOCK_LEASE_H
#define TENON_BLOCK_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct block;
struct block_lease;
struct error;

#define LEASE_EXTENTS 4096u /* a device of more pieces is not leased */
#define LEASE_AREAS   4096u /* nor one of more places */
#define LEASE_FILES   16u
#define LEASE_FDS     (LEASE_FILES + 1u)
#define LEASE_MAGIC   0x6c736533u /* also the version of this layout */

/* How long a change waits for users that run (their disk may be slow), and for stopped ones. */
#define LEASE_PATIENCE_NS (20 * 1000000000ull)
#define LEASE_STOPPED_NS  1000000000ull

/* A piece of the device: its chunks lie in turn in each of its areas, one after the other there. Where there is one area, the chunk is all of it. */
struct lease_extent {
	uint64_t start, length; /* bytes of the device; a multiple of chunk * area_count */
	uint64_t chunk;
	uint32_t first_area, area_count;
};

struct lease_area {
	uint64_t offset; /* of the file */
	uint32_t file, reserved;
};

struct lease_file {
	uint64_t least;  /* bytes that it has; if it has less, a write would make it longer again */
	uint32_t unit;   /* what offsets and lengths are multiples of */
	uint32_t memory; /* and addresses; 1 where I/O is not direct */
};

/* What both have. Only `over` and `inside` change. */
struct lease_page {
	uint32_t magic, extent_count, area_count, file_count;
	uint64_t size, writable;
	struct lease_file files[LEASE_FILES];
	struct lease_extent extents[LEASE_EXTENTS];
	struct lease_area areas[LEASE_AREAS];
	_Alignas(64) atomic_uint over;   /* written by the server */
	_Alignas(64) atomic_uint inside; /* by the user */
};

/* ---- The server's side, at the device's home ---- */

/*
 * Gives a lease of the whole device to process `user`, at the other end of the socket `connection`, to which an end is sent when the lease
 * is over. -EOPNOTSUPP where the device is more than pieces of files, or is being changed; -EMFILE, -ENOMEM. It is ended
 * by block_lease_end(), when the user has closed the connection, and before that is closed here.
 */
int block_lease_give(struct block_lease **out, struct block *block, int connection, pid_t user);
/* The descriptors for the user: the page's, then the files', in `fds` with room for LEASE_FDS. They are the caller's, once, who closes
 * them when they are sent: a file stays locked until then. Returns how many. */
unsigned block_lease_take_fds(struct block_lease *lease, int *fds);
/* `gone`: the user is; else it is told, and waited for, but not for longer than a change would. Suspends. */
void block_lease_end(struct block_lease *lease, bool gone);

/* Ends all leases that go through the device: 0, -EBUSY with who does not let go in `error`, or -ECANCELED. Suspends. */
int block_leases_stop(struct block *block, struct error *error);

/* ---- For change.c and block.c ---- */

/* The same, however long it takes. */
void block_leases_wait(struct block *block);
/* Tells the users, and does not wait. */
void block_leases_tell(struct block *block);

/* ---- The user's side ---- */

struct lease_use {
	struct lease_page *page; /* mapped */
	int fds[LEASE_FILES];
	unsigned fd_count;
	uint64_t size;
	bool writable;
	unsigned extent_count;
	struct lease_extent extents[LEASE_EXTENTS]; /* copies, checked */
	struct lease_area areas[LEASE_AREAS];
	struct lease_file files[LEASE_FILES];
};

/* Takes what the server sent, the page's descriptor first; all of them are taken over. -EPROTO where it makes no sense. */
int lease_use_open(struct lease_use **out, const int *fds, unsigned count);
/* Nobody is in lease_use_transfer() any more. NULL is fine. */
void lease_use_close(struct lease_use *use);
bool lease_use_is_over(const struct lease_use *use);

/* Reads or writes, from any thread, which waits: 0, or -EAGAIN where the server has to be asked (and tells what is wrong). */
int lease_use_transfer(struct lease_use *use, bool write, uint64_t offset, void *at,
		       uint64_t length);

#endif
