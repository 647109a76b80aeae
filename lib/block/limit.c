/* SPDX-License-Identifier: BSD-2-Clause */
/* See limit.h. */
#include "block/limit.h"

#include <assert.h>
#include <errno.h>

#include "block/block.h"
#include "block/lease.h"
#include "block/view.h"
#include "util/bytes.h"
#include "util/error.h"

#define SECOND_NS    1000000000ull
#define DEBT_MOST_NS (60 * SECOND_NS) /* of those that were hurried */

/* One measure: `due_ns` - now is what is owed, as a time at its rate. */
struct bucket {
	uint64_t rate; /* a second; 0: no limit */
	uint64_t due_ns;
};

/* A request that waits, on its fiber's stack. */
struct limit_turn {
	struct list node;
	struct fiber_queue wake;
};

struct limit {
	struct block block;
	struct block *lower;
	struct block_watch watch;
	bool limited; /* requests come here; changed while nobody is in the gate */
	struct bucket requests, bytes;
	uint64_t burst_ns;
	unsigned hurried;
	struct list waiting; /* turns, in their order; the first looks at the clock */
	struct block_limit_status status;
	struct fiber_mutex changing;
};

static struct limit *limit_of(struct block *block)
{
	return container_of(block, struct limit, block);
}

/* ---- Buckets ---- */

static uint64_t time_of(uint64_t amount, uint64_t rate)
{
	unsigned __int128 ns = (unsigned __int128)amount * SECOND_NS / rate;

	return (uint64_t)MIN(ns, (unsigned __int128)INT64_MAX);
}

/* How long until it gives something; 0: now. */
static uint64_t bucket_wait(const struct bucket *bucket, uint64_t burst_ns, uint64_t now)
{
	if (!bucket->rate || bucket->due_ns <= now + burst_ns)
		return 0;
	return bucket->due_ns - now - burst_ns;
}

/* After a long rest it is full, not more than that. */
static void bucket_take(struct bucket *bucket, uint64_t amount, uint64_t now)
{
	if (bucket->rate)
		bucket->due_ns = MIN(MAX(bucket->due_ns, now) + time_of(amount, bucket->rate),
				     (uint64_t)INT64_MAX);
}

/* What is owed stays as much, and takes another time. */
static void bucket_set(struct bucket *bucket, uint64_t rate, uint64_t now)
{
	uint64_t owed_ns = bucket->due_ns > now ? bucket->due_ns - now : 0;
	unsigned __int128 scaled = rate ? (unsigned __int128)owed_ns * bucket->rate / rate : 0;

	bucket->rate = rate;
	bucket->due_ns = now + (uint64_t)MIN(scaled, (unsigned __int128)DEBT_MOST_NS);
}

static uint64_t limit_wait(const struct limit *limit)
{
	uint64_t now = worker_now();

	return MAX(bucket_wait(&limit->requests, limit->burst_ns, now),
		   bucket_wait(&limit->bytes, limit->burst_ns, now));
}

/* ---- Turns ---- */

static void wake_first(struct limit *limit)
{
	if (!list_empty(&limit->waiting))
		fiber_queue_wake_all(
			&list_entry(limit->waiting.next, struct limit_turn, node)->wake);
}

static void wake_all(struct limit *limit)
{
	list_for_each(at, &limit->waiting)
		fiber_queue_wake_all(&list_entry(at, struct limit_turn, node)->wake);
}

/* Until it is the first and there is something to be had. Who is cancelled takes nothing of its request back, and does
 * not wait for it any longer. */
static void wait_for_turn(struct limit *limit)
{
	uint64_t since = worker_now();
	struct limit_turn turn;

	list_add_tail(&limit->waiting, &turn.node);
	fiber_queue_init(&turn.wake);
	limit->status.waiting++;
	while (!limit->hurried) {
		bool first = limit->waiting.next == &turn.node;
		uint64_t wait = first ? limit_wait(limit) : FIBER_FOREVER;

		if (!wait || fiber_queue_wait(&turn.wake, wait) == -ECANCELED)
			break;
	}
	list_remove(&turn.node);
	limit->status.waiting--;
	limit->status.delayed++;
	limit->status.delayed_ns += worker_now() - since;
}

static void clamp_debt(struct bucket *bucket, uint64_t now)
{
	bucket->due_ns = MIN(bucket->due_ns, now + DEBT_MOST_NS);
}

static void take_turn(struct limit *limit, uint64_t bytes)
{
	uint64_t now;

	if (!limit->hurried && (!list_empty(&limit->waiting) || limit_wait(limit)))
		wait_for_turn(limit);
	now = worker_now();
	bucket_take(&limit->requests, 1, now);
	bucket_take(&limit->bytes, bytes, now);
	if (limit->hurried) {
		clamp_debt(&limit->requests, now);
		clamp_debt(&limit->bytes, now);
	}
	wake_first(limit);
}

/* ---- Requests ---- */

static int limit_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		     struct block_extent *extent)
{
	const struct limit *limit = limit_of(block);

	(void)kind;
	*extent = (struct block_extent){ .place = limit->limited ? BLOCK_HERE : BLOCK_BELOW,
					 .lower = limit->lower,
					 .offset = offset,
					 .length = length };
	return 0;
}

static bool limit_has_views(const struct block *block)
{
	return block_has_views(container_of(block, const struct limit, block)->lower);
}

static int limit_readv(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	take_turn(limit_of(block), length);
	return block_readv(limit_of(block)->lower, offset, iov, count);
}

static int limit_writev(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count, unsigned flags)
{
	take_turn(limit_of(block), length);
	return block_writev(limit_of(block)->lower, offset, iov, count, flags);
}

static int limit_discard(struct block *block, uint64_t offset, uint64_t length)
{
	take_turn(limit_of(block), 0);
	return block_discard(limit_of(block)->lower, offset, length);
}

static int limit_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	take_turn(limit_of(block), 0);
	return block_write_zeroes(limit_of(block)->lower, offset, length, flags);
}

static int limit_flush(struct block *block)
{
	return block_flush(limit_of(block)->lower);
}

static int limit_status(struct block *block, uint64_t offset, uint64_t *length,
			enum block_status *status)
{
	return block_status(limit_of(block)->lower, offset, length, status);
}

static void limit_close(struct block *block)
{
	struct limit *limit = limit_of(block);

	block_unwatch(&limit->watch);
	block_unref(limit->lower);
	free(limit);
}

static const struct block_ops limit_ops = {
	.type = "limit",
	.map = limit_map,
	.has_views = limit_has_views,
	.readv = limit_readv,
	.writev = limit_writev,
	.discard = limit_discard,
	.write_zeroes = limit_write_zeroes,
	.status = limit_status,
	.flush = limit_flush,
	.close = limit_close,
};

/* ---- The device below ---- */

static int follow_size(void *arg)
{
	struct limit *limit = arg;

	block_set_size(&limit->block, limit->lower->size);
	block_unref(&limit->block);
	return 0;
}

/* What suspends is left to a fiber. */
static void lower_changed(struct block_watch *watch, struct block *lower, unsigned what)
{
	struct limit *limit = container_of(watch, struct limit, watch);

	if (what & BLOCK_CHANGED_SIZE) {
		block_ref(&limit->block);
		fiber_start(follow_size, limit);
	}
	if (what & BLOCK_CHANGED_READ_ONLY)
		block_set_read_only(&limit->block, lower->read_only);
	if (what & BLOCK_CHANGED_GONE)
		block_set_gone(&limit->block);
}

/* ---- Control ---- */

static void set_rates(struct limit *limit, const struct block_limits *limits)
{
	uint64_t now = worker_now();

	bucket_set(&limit->requests, limits->iops, now);
	bucket_set(&limit->bytes, limits->bandwidth, now);
	limit->burst_ns = limits->burst_ns;
	limit->status.limits = *limits;
	wake_all(limit);
}

int block_create_limit(struct block **out, const char *name, struct block *lower,
		       const struct block_limits *limits, struct error *error)
{
	static const struct block_limits none;
	struct limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	block_init(&limit->block, &limit_ops, name);
	block_copy_limits(&limit->block, lower);
	limit->block.gone = lower->gone;
	limit->lower = block_ref(lower);
	limit->watch.changed = lower_changed;
	block_watch(lower, &limit->watch);
	list_init(&limit->waiting);
	fiber_mutex_init(&limit->changing);
	limits = limits ? limits : &none;
	limit->limited = limits->iops || limits->bandwidth;
	set_rates(limit, limits);
	*out = &limit->block;
	return 0;
}

int block_limit_set(struct block *block, const struct block_limits *limits, struct error *error)
{
	struct limit *limit = limit_of(block);
	bool limited = limits->iops || limits->bandwidth;
	int rc;

	assert(block->ops == &limit_ops);
	fiber_mutex_lock(&limit->changing);
	/* From here on nobody is given one. */
	block->leases.barred = true;
	rc = block_leases_stop(block, error);
	/* Nobody waits any more where there is none, so that the gate is soon empty. */
	if (!rc)
		set_rates(limit, limits);
	if (!rc && limit->limited != limited) {
		block_quiesce(block);
		limit->limited = limited;
		block_resume(block);
	}
	block->leases.barred = false;
	fiber_mutex_unlock(&limit->changing);
	return rc;
}

void block_limit_status(const struct block *block, struct block_limit_status *out)
{
	assert(block->ops == &limit_ops);
	*out = container_of(block, const struct limit, block)->status;
}

void block_limit_hurry(struct block *block, bool hurry)
{
	struct limit *limit = limit_of(block);

	if (block->ops != &limit_ops)
		return;
	limit->hurried += hurry ? 1 : -1;
	if (limit->hurried)
		wake_all(limit);
}
