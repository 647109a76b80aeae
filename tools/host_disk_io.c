/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to a disk that is a server's; see host_disk.h.
 *
 * Whoever uses a file of bytes writes ranges that are no whole blocks. Such a write takes hold of its blocks, reads
 * the ones at its ends, and writes all of them, or where it is large those between by themselves; other writes here wait for it where they overlap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/host_disk.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define EXTENTS_NS  (10 * 1000000000ull)
#define PARTS_LEAST (64u << 10) /* what is less is sooner copied than written in three */

/* A request that is on its way: the device it goes to. */
struct request_way {
	struct host_disk *disk;
	struct block *block;
};

static int way_begin(struct request_way *way, struct host_disk *disk, uint64_t offset,
		     uint64_t length)
{
	*way = (struct request_way){ disk, host_disk_get(disk) };
	if (way->block)
		host_lease_want(&disk->lease);
	if (!way->block)
		return disk->why.code == -ENOENT || !disk->why.code ? -ENOTCONN : disk->why.code;
	return range_within(offset, length, way->block->size) ? 0 : -EINVAL;
}

/* A device whose server is gone is given back; others may have a new one by now. */
static int way_end(struct request_way *way, int rc)
{
	struct host_disk *disk = way->disk;

	if ((rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -ECANCELED) && way->block &&
	    disk->block == way->block) {
		block_unwatch(&disk->watch);
		disk->block = NULL;
		error_set(&disk->why, -ENOTCONN, "%s: its server %s", disk->name,
			  rc == -ETIMEDOUT ? "is stopped" : "has ended");
		/* Once the server sees us gone, another may have the disk alone. */
		host_lease_let_go(&disk->lease);
		block_unref(way->block);
	}
	block_unref(way->block);
	return rc;
}

/* ---- Reading ---- */

static int read_odd(struct block *block, uint64_t offset, void *at, uint64_t length)
{
	uint64_t unit = block->logical_block_size;
	uint64_t from = round_down(offset, unit), to = round_up(offset + length, unit);
	CLEANUP_FREE char *bytes = malloc(to - from);
	int rc = bytes ? block_read(block, from, bytes, to - from) : -ENOMEM;

	if (!rc)
		memcpy(at, bytes + (offset - from), length);
	return rc;
}

int host_disk_read(struct host_disk *disk, uint64_t offset, void *at, uint64_t length)
{
	struct request_way way;
	int rc = way_begin(&way, disk, offset, length);

	if (!rc && length)
		rc = (offset | length) % way.block->logical_block_size
			     ? read_odd(way.block, offset, at, length)
			     : block_read(way.block, offset, at, length);
	return way_end(&way, rc);
}

/* ---- Writing ---- */

/* With the blocks locked. `at` NULL: zeroes. */
static int write_odd(struct block *block, uint64_t offset, const void *at, uint64_t length,
		     unsigned flags)
{
	uint64_t unit = block->logical_block_size;
	uint64_t from = round_down(offset, unit), to = round_up(offset + length, unit);
	CLEANUP_FREE char *bytes = malloc(to - from);
	int rc = bytes ? 0 : -ENOMEM;

	if (!rc && offset > from)
		rc = block_read(block, from, bytes, unit);
	if (!rc && offset + length < to && (to - unit > from || offset == from))
		rc = block_read(block, to - unit, bytes + (to - unit - from), unit);
	if (rc)
		return rc;
	if (at)
		memcpy(bytes + (offset - from), at, length);
	else
		memset(bytes + (offset - from), 0, length);
	return block_write(block, from, bytes, to - from, flags);
}

static int write_middle(struct block *block, uint64_t offset, const void *at, uint64_t length,
			unsigned flags)
{
	return at ? block_write(block, offset, at, length, flags)
		  : block_write_zeroes(block, offset, length, flags);
}

/* The blocks in the middle at once, from where they are; those at the ends by their bytes. */
static int write_parts(struct block *block, uint64_t offset, const char *at, uint64_t length,
		       unsigned flags)
{
	uint64_t unit = block->logical_block_size, end = offset + length;
	uint64_t from = round_up(offset, unit), to = round_down(end, unit);
	int rc = 0;

	if (from > to)
		return write_odd(block, offset, at, length, flags & BLOCK_FUA);
	if (offset < from)
		rc = write_odd(block, offset, at, from - offset, flags & BLOCK_FUA);
	if (!rc && to < end)
		rc = write_odd(block, to, at ? at + (to - offset) : NULL, end - to,
			       flags & BLOCK_FUA);
	return rc || from == to ? rc
				: write_middle(block, from, at ? at + (from - offset) : NULL,
					       to - from, flags);
}

int host_disk_write(struct host_disk *disk, uint64_t offset, const void *at, uint64_t length,
		    unsigned flags)
{
	struct request_way way;
	struct range_hold hold;
	uint64_t unit;
	bool odd;
	int rc = way_begin(&way, disk, offset, length);

	if (rc || !length)
		return way_end(&way, rc);
	unit = way.block->logical_block_size;
	odd = (offset | length) % unit;
	if (odd)
		host_lease_hold_up(&disk->lease);
	range_lock(&disk->lock, &hold, round_down(offset, unit), round_up(offset + length, unit));
	rc = odd && length < PARTS_LEAST
		     ? write_odd(way.block, offset, at, length, flags)
		     : write_parts(way.block, offset, at, length, flags | BLOCK_STABLE);
	range_unlock(&disk->lock, &hold);
	if (odd)
		host_lease_go_on(&disk->lease);
	return way_end(&way, rc);
}

int host_disk_write_zeroes(struct host_disk *disk, uint64_t offset, uint64_t length, unsigned flags)
{
	struct request_way way;
	struct range_hold hold;
	uint64_t unit;
	bool odd;
	int rc = way_begin(&way, disk, offset, length);

	if (rc || !length)
		return way_end(&way, rc);
	unit = way.block->logical_block_size;
	odd = (offset | length) % unit;
	if (odd)
		host_lease_hold_up(&disk->lease);
	range_lock(&disk->lock, &hold, round_down(offset, unit), round_up(offset + length, unit));
	rc = write_parts(way.block, offset, NULL, length, flags);
	range_unlock(&disk->lock, &hold);
	if (odd)
		host_lease_go_on(&disk->lease);
	return way_end(&way, rc);
}

int host_disk_discard(struct host_disk *disk, uint64_t offset, uint64_t length)
{
	struct request_way way;
	uint64_t unit, from, to;
	int rc = way_begin(&way, disk, offset, length);

	if (!rc) {
		unit = way.block->logical_block_size;
		from = round_up(offset, unit);
		to = round_down(offset + length, unit);
		if (from < to)
			rc = block_discard(way.block, from, to - from);
	}
	return way_end(&way, rc);
}

int host_disk_flush(struct host_disk *disk)
{
	struct request_way way;
	int rc = way_begin(&way, disk, 0, 0);

	return way_end(&way, rc ? rc : block_flush(way.block));
}

/* ---- Extents ---- */

int host_disk_extents(struct host_disk *disk, uint64_t offset, uint64_t length,
		      bool (*note)(void *arg, uint64_t length, bool zero), void *arg)
{
	struct block *block = host_disk_get(disk);
	json_t *answer = NULL, *list;
	struct error error;
	int rc;

	if (!block)
		return -ENOTCONN;
	block_unref(block);
	rc = rpc_call_within(disk->control, "export.extents",
			     json_pack("{s:s, s:I, s:I}", "name", disk->name, "offset",
				       (json_int_t)offset, "length", (json_int_t)length),
			     EXTENTS_NS, &answer, &error);
	list = json_object_get(answer, "extents");
	for (size_t i = 0; !rc && i + 1 < json_array_size(list); i += 2) {
		json_int_t step = json_integer_value(json_array_get(list, i));

		if (step <= 0 || (uint64_t)step > length)
			rc = -EPROTO;
		else if (!note(arg, (uint64_t)step, json_is_true(json_array_get(list, i + 1))))
			break;
		length -= rc ? 0 : (uint64_t)step;
	}
	json_decref(answer);
	return rc;
}
