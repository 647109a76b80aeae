/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A limit on how much is done with a device in a time: requests a second, bytes a second, or both.
 *
 * A layer over a device. While there is no limit, it translates, and so costs next to nothing. With one, each read and
 * write, zeroing and discard waits for its turn at the device's home, first come, first served: requests of all queues,
 * on whatever worker, are counted in one place. Reads and writes count as requests and by their bytes, zeroing and
 * discards as requests only. A flush never waits: it is about what was acknowledged, and what waits was not.
 *
 * Of each measure there is a bucket that fills at the limit's rate, up to what flows in `burst_ns`. A request
 * goes when neither bucket is empty, and takes all that it costs, so one larger than a bucket goes too, and those after it
 * wait for that. What is owed is kept as a time: `due_ns` is when the bucket will be full but for its burst.
 *
 * States, changed at home only:
 *
 *	free		requests pass to what is below
 *	limited		they wait here. Another limit takes its place without any of them waiting for it; those that wait
 *			go by it at once, and what is owed is as many requests and bytes as before.
 *	hurried		somebody who cannot wait is at the end of a queue of requests (a client that leaves): all go at once,
 *			and owe it, a minute's worth at most
 *
 * A request that waits is in this layer's gate and in none below, so a volume is resized and moved under it.
 */
#ifndef TENON_BLOCK_LIMIT_H
#define TENON_BLOCK_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct error;

struct block_limits {
	uint64_t iops;      /* requests a second; 0: as many as there are */
	uint64_t bandwidth; /* bytes a second; 0: as many as there are */
	uint64_t burst_ns;  /* how much of it may be saved up */
};

#define BLOCK_LIMIT_BURST_NS      100000000ull     /* what nobody chose */
#define BLOCK_LIMIT_BURST_MOST_NS 3600000000000ull /* an hour */
#define BLOCK_LIMIT_MOST                                                                           \
	1000000000000000ull /* requests, bytes; so that none is less than 1 ns/1000 */

struct block_limit_status {
	struct block_limits limits;
	unsigned waiting;    /* requests now */
	uint64_t delayed;    /* requests that have waited */
	uint64_t delayed_ns; /* for how long together */
};

/* Over `lower`, on which it takes a reference; follows its size. `limits` NULL: none. */
int block_create_limit(struct block **out, const char *name, struct block *lower,
		       const struct block_limits *limits, struct error *error);

/* From now on, also for those that wait. At home; suspends while the first limit comes or the last goes. As block_leases_stop() where somebody
 * reads or writes it by himself (lease.h); it stays as it was then. */
int block_limit_set(struct block *limit, const struct block_limits *limits, struct error *error);
void block_limit_status(const struct block *limit, struct block_limit_status *out);

/* Counted: while somebody hurries, nobody waits. At home. Fine for devices that are no limit. */
void block_limit_hurry(struct block *block, bool hurry);

#endif
