/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the array, as a block device: what is the same for every level. A write marks the array
 * dirty; then the level brackets what it writes: its range is locked, its bits are set, and it is acknowledged
 * only when a member that missed it is known to be faulty on the others. A level that maps sees none of this.
 *
 * A level that can start() does so wherever nothing of that has to wait, for callers on fibers too, so that there is one
 * way in which most requests go.
 */
#include <errno.h>
#include <stdlib.h>

#include "raid/array.h"
#include "raid/intent.h"
#include "util/bytes.h"

static struct raid_array *array_of(struct block *block)
{
	return (struct raid_array *)block;
}

void raid_request_begin(struct raid_array *array)
{
	array->requests++;
	array->requests_begun++;
}

void raid_request_end(struct raid_array *array)
{
	array->requests_ended++;
	if (--array->requests == 0)
		fiber_queue_wake_all(&array->requests_queue);
}

/* A member that was lost may lack these bits, and is told by its superblock alone: the others' must say
 * so before they get data that it does not. */
static int begin_intent(struct raid_array *array, uint64_t sector, uint64_t count)
{
	int rc = raid_intent_begin(array->intent, sector, count);

	if (rc)
		return rc;
	rc = raid_super_settle(array);
	if (rc)
		raid_intent_end(array->intent, sector, count, false);
	return rc;
}

int raid_bracket_begin(struct raid_array *array, struct raid_bracket *bracket,
		       struct raid_span lock, struct raid_span sync)
{
	int rc = 0;

	bracket->array = array;
	bracket->sync = sync;
	range_lock(&array->ranges, &bracket->hold, lock.sector, lock.sector + lock.count);
	if (array->intent)
		rc = begin_intent(array, sync.sector, sync.count);
	if (rc)
		range_unlock(&array->ranges, &bracket->hold);
	return rc;
}

bool raid_bracket_try_begin(struct raid_array *array, struct raid_bracket *bracket,
			    struct raid_span lock, struct raid_span sync)
{
	if (array->super_done < array->super_wanted ||
	    !range_try_lock(&array->ranges, &bracket->hold, lock.sector, lock.sector + lock.count))
		return false;
	if (array->intent && !raid_intent_try_begin(array->intent, sync.sector, sync.count)) {
		range_unlock(&array->ranges, &bracket->hold);
		return false;
	}
	bracket->array = array;
	bracket->sync = sync;
	return true;
}

bool raid_bracket_can_end(const struct raid_bracket *bracket)
{
	return bracket->array->super_done >= bracket->array->super_wanted;
}

static void close_bracket(struct raid_bracket *bracket, bool complete)
{
	struct raid_array *array = bracket->array;

	if (array->intent)
		raid_intent_end(array->intent, bracket->sync.sector, bracket->sync.count, complete);
	range_unlock(&array->ranges, &bracket->hold);
}

int raid_bracket_end(struct raid_bracket *bracket, int rc)
{
	int settled = raid_super_settle(bracket->array);

	if (!rc)
		rc = settled;
	close_bracket(bracket, !rc && !raid_array_degraded(bracket->array));
	return rc;
}

void raid_bracket_drop(struct raid_bracket *bracket)
{
	close_bracket(bracket, true);
}

void raid_write_begin(struct raid_array *array)
{
	raid_request_begin(array);
	array->writes++;
}

void raid_write_end(struct raid_array *array, int rc)
{
	array->counters.failed_writes += rc != 0;
	if (--array->writes == 0)
		raid_daemon_wrote(array);
	raid_request_end(array);
}

static int array_write(struct raid_array *array, const struct raid_write *write)
{
	int rc;

	raid_write_begin(array);
	array->counters.degraded_writes += raid_array_degraded(array);
	rc = raid_array_mark_dirty(array);
	if (!rc)
		rc = array->level->write(array, write);
	raid_write_end(array, rc);
	return rc;
}

/* ---- Transfers that are started ---- */

static bool raid_start(struct block *block, struct block_work *work)
{
	struct raid_array *array = array_of(block);

	return work->kind <= BLOCK_WRITE && array->level->start_transfer &&
	       array->level->start_transfer(array, work);
}

struct waiting_work {
	struct block_work work;
	bool ended;
	int rc;
	struct fiber_queue end;
};

static void waiting_done(struct block_work *work, int rc)
{
	struct waiting_work *waiting = container_of(work, struct waiting_work, work);

	waiting->ended = true;
	waiting->rc = rc;
	fiber_queue_wake_all(&waiting->end);
}

/* Starts it and waits for its end; false: it has to be done otherwise. */
static bool transfer(struct waiting_work *waiting)
{
	waiting->work.done = waiting_done;
	waiting->ended = false;
	fiber_queue_init(&waiting->end);
	if (!raid_start(waiting->work.block, &waiting->work))
		return false;
	while (!waiting->ended)
		fiber_queue_wait_always(&waiting->end);
	return true;
}

static int raid_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct raid_array *array = array_of(block);
	struct waiting_work waiting = { .work = { .block = block,
						  .kind = BLOCK_READ,
						  .offset = offset,
						  .length = length,
						  .iov = iov,
						  .count = count } };
	int rc;

	if (transfer(&waiting))
		return waiting.rc;
	raid_request_begin(array);
	array->counters.degraded_reads += raid_array_degraded(array);
	rc = array->level->readv(array, offset, length, iov, count);
	raid_request_end(array);
	return rc;
}

static int raid_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	struct waiting_work waiting = { .work = { .block = block,
						  .kind = BLOCK_WRITE,
						  .flags = flags,
						  .offset = offset,
						  .length = length,
						  .iov = iov,
						  .count = count } };

	if (transfer(&waiting))
		return waiting.rc;
	return array_write(array_of(block), &(struct raid_write){ .kind = RAID_WRITE_DATA,
								  .offset = offset,
								  .length = length,
								  .iov = iov,
								  .count = count,
								  .flags = flags });
}

/* ---- All others ---- */

static int raid_discard(struct block *block, uint64_t offset, uint64_t length)
{
	return array_write(array_of(block), &(struct raid_write){ .kind = RAID_WRITE_DISCARD,
								  .offset = offset,
								  .length = length });
}

static int raid_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	return array_write(array_of(block), &(struct raid_write){ .kind = RAID_WRITE_ZEROES,
								  .offset = offset,
								  .length = length,
								  .flags = flags });
}

static int raid_block_status(struct block *block, uint64_t offset, uint64_t *length,
			     enum block_status *status)
{
	struct raid_array *array = array_of(block);
	int rc;

	raid_request_begin(array);
	rc = array->level->status(array, offset, length, status);
	raid_request_end(array);
	return rc;
}

static int raid_flush(struct block *block)
{
	struct raid_array *array = array_of(block);
	int rc, settled;

	if (block->read_only)
		return 0;
	raid_request_begin(array);
	rc = array->level->flush ? array->level->flush(array) : raid_members_flush(array);
	settled = raid_super_settle(array);
	raid_request_end(array);
	return rc ? rc : settled;
}

static void raid_close(struct block *block)
{
	free(array_of(block));
}

static const struct block_ops raid_block_ops = {
	.type = "raid",
	.start = raid_start,
	.readv = raid_readv,
	.writev = raid_writev,
	.discard = raid_discard,
	.write_zeroes = raid_write_zeroes,
	.status = raid_block_status,
	.flush = raid_flush,
	.close = raid_close,
};

static int raid_map(struct block *block, enum block_kind kind, uint64_t offset, uint64_t length,
		    struct block_extent *extent)
{
	struct raid_array *array = array_of(block);

	return array->level->map(array, kind, offset, length, extent);
}

static const struct block_ops raid_map_block_ops = {
	.type = "raid",
	.map = raid_map,
	.flush = raid_flush,
	.close = raid_close,
};

const struct block_ops *raid_array_block_ops(const struct raid_array *array)
{
	return raid_level_maps(array->level) ? &raid_map_block_ops : &raid_block_ops;
}
