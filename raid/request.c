/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the array, as a block device: what is the same for every level. A write marks the array
 * dirty; then the level brackets what it writes: its range is locked, its bits are set, and it is acknowledged
 * only when a member that missed it is known to be faulty on the others. A level that maps sees none of this.
 */
#include <errno.h>
#include <stdlib.h>

#include "raid/array.h"
#include "raid/intent.h"

static struct raid_array *array_of(struct block *block)
{
	return (struct raid_array *)block;
}

static void request_begin(struct raid_array *array)
{
	array->requests++;
	array->requests_begun++;
}

static void request_end(struct raid_array *array)
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

int raid_bracket_end(struct raid_bracket *bracket, int rc)
{
	struct raid_array *array = bracket->array;
	int settled = raid_super_settle(array);

	if (!rc)
		rc = settled;
	if (array->intent)
		raid_intent_end(array->intent, bracket->sync.sector, bracket->sync.count,
				!rc && !raid_array_degraded(array));
	range_unlock(&array->ranges, &bracket->hold);
	return rc;
}

static int array_write(struct raid_array *array, const struct raid_write *write)
{
	int rc;

	request_begin(array);
	array->writes++;
	array->counters.degraded_writes += raid_array_degraded(array);
	rc = raid_array_mark_dirty(array);
	if (!rc)
		rc = array->level->write(array, write);
	array->counters.failed_writes += rc != 0;
	if (--array->writes == 0)
		raid_daemon_wrote(array);
	request_end(array);
	return rc;
}

static int raid_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct raid_array *array = array_of(block);
	int rc;

	request_begin(array);
	array->counters.degraded_reads += raid_array_degraded(array);
	rc = array->level->readv(array, offset, length, iov, count);
	request_end(array);
	return rc;
}

static int raid_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	return array_write(array_of(block), &(struct raid_write){ .kind = RAID_WRITE_DATA,
								  .offset = offset,
								  .length = length,
								  .iov = iov,
								  .count = count,
								  .flags = flags });
}

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

	request_begin(array);
	rc = array->level->status(array, offset, length, status);
	request_end(array);
	return rc;
}

static int raid_flush(struct block *block)
{
	struct raid_array *array = array_of(block);
	int rc, settled;

	if (block->read_only)
		return 0;
	request_begin(array);
	rc = array->level->flush ? array->level->flush(array) : raid_members_flush(array);
	settled = raid_super_settle(array);
	request_end(array);
	return rc ? rc : settled;
}

static void raid_close(struct block *block)
{
	free(array_of(block));
}

const struct block_ops raid_block_ops = {
	.type = "raid",
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

const struct block_ops raid_map_block_ops = {
	.type = "raid",
	.map = raid_map,
	.flush = raid_flush,
	.close = raid_close,
};
