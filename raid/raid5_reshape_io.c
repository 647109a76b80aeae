/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to an array that is reshaped: each goes to one shape, to the other, or to both, and not to what is being moved; see raid5_reshape.c. */
#include <errno.h>
#include <stdlib.h>

#include "block/iov.h"
#include "raid/raid5_reshape.h"
#include "raid/reshape_backup.h"
#include "util/bytes.h"

/* How many of its bytes are before the position. */
static uint64_t below(const struct raid_array *array, uint64_t offset, uint64_t length)
{
	uint64_t position = array->reshape_position << MD_SECTOR_SHIFT;

	return offset < position ? MIN(length, position - offset) : 0;
}

/* Cuts an iovec in two; the second half is in memory that the caller frees. */
static int cut(const struct iovec *iov, unsigned count, uint64_t first, uint64_t second,
	       struct iovec **room, unsigned counts[2])
{
	struct iov_range at = iov_range_of(iov, count);

	*room = calloc(2 * ((size_t)count + 1), sizeof(**room));
	if (!*room)
		return -ENOMEM;
	iov_take(&at, first, *room, count + 1, &counts[0]);
	iov_take(&at, second, *room + count + 1, count + 1, &counts[1]);
	return 0;
}

static int read_both(struct raid5 *r, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count)
{
	uint64_t first = below(r->array, offset, length);
	struct raid5 *low = r->array->backwards ? &r->reshape->old : r;
	struct raid5 *high = r->array->backwards ? r : &r->reshape->old;
	CLEANUP_FREE struct iovec *room = NULL;
	unsigned counts[2];
	int rc;

	if (first == length)
		return raid5_read_shape(low, offset, length, iov, count);
	if (!first)
		return raid5_read_shape(high, offset, length, iov, count);
	rc = cut(iov, count, first, length - first, &room, counts);
	if (!rc)
		rc = raid5_read_shape(low, offset, first, room, counts[0]);
	if (!rc)
		rc = raid5_read_shape(high, offset + first, length - first, room + count + 1,
				      counts[1]);
	return rc;
}

static int read_now(struct raid5 *r, uint64_t offset, uint64_t length, const struct iovec *iov,
		    unsigned count)
{
	return r->reshape->over ? raid5_read_shape(r, offset, length, iov, count)
				: read_both(r, offset, length, iov, count);
}

/* What a backup holds first of bytes [offset, end): [*from, *to); at the end where that is nothing. */
static void next_held(const struct raid_backup *backup, uint64_t offset, uint64_t end,
		      uint64_t *from, uint64_t *to)
{
	*from = *to = end;
	for (unsigned i = 0; i < backup->held_count; i++) {
		uint64_t first = MAX(backup->held[i].from << MD_SECTOR_SHIFT, offset);
		uint64_t last = MIN(backup->held[i].to << MD_SECTOR_SHIFT, end);

		if (first < last && first < *from) {
			*from = first;
			*to = last;
		}
	}
}

/* Members may lack what was being written over (noted as bad): that comes from the backup alone. */
static int read_beside_held(struct raid5 *r, uint64_t offset, uint64_t length,
			    const struct iovec *iov, unsigned count)
{
	struct raid_backup *backup = r->array->backup;
	CLEANUP_FREE struct iovec *room = calloc((size_t)count + 1, sizeof(*room));
	struct iov_range at = iov_range_of(iov, count);
	uint64_t end = offset + length;
	int rc = room ? 0 : -ENOMEM;

	for (uint64_t done = offset, from, to; !rc && done < end; done = to) {
		unsigned used;

		next_held(backup, done, end, &from, &to);
		iov_take(&at, from - done, room, count + 1, &used);
		if (from > done)
			rc = read_now(r, done, from - done, room, used);
		iov_advance(&at, to - from);
	}
	return rc ? rc : raid_backup_lay_over(backup, offset, length, iov, count);
}

int raid5_readv(struct raid_array *array, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count)
{
	struct raid5 *r = raid5_of(array);
	struct raid_reshape_user user;
	int rc;

	if (!r->reshape || r->reshape->over)
		return raid5_read_shape(r, offset, length, iov, count);
	raid_reshape_gate_enter(&r->reshape->gate, &user, offset, length);
	rc = array->backup && array->backup->held_count
		     ? read_beside_held(r, offset, length, iov, count)
		     : read_now(r, offset, length, iov, count);
	raid_reshape_gate_leave(&r->reshape->gate, &user);
	return rc;
}

static int write_both(struct raid5 *r, const struct raid_write *write)
{
	uint64_t first = below(r->array, write->offset, write->length);
	struct raid5 *below_it = r->array->backwards ? &r->reshape->old : r;
	struct raid5 *above_it = r->array->backwards ? r : &r->reshape->old;
	CLEANUP_FREE struct iovec *room = NULL;
	struct raid_write low = *write, high = *write;
	int rc = 0;

	if (first == write->length)
		return raid5_write_shape(below_it, write);
	if (!first)
		return raid5_write_shape(above_it, write);
	low.length = first;
	high.offset += first;
	high.length -= first;
	if (write->kind == RAID_WRITE_DATA) {
		unsigned counts[2];

		rc = cut(write->iov, write->count, first, high.length, &room, counts);
		low.iov = room;
		low.count = counts[0];
		high.iov = rc ? NULL : room + write->count + 1;
		high.count = counts[1];
	}
	if (!rc)
		rc = raid5_write_shape(below_it, &low);
	if (!rc)
		rc = raid5_write_shape(above_it, &high);
	return rc;
}

/* What is held of the next part would be taken for what it is. What has been moved nobody restores any more; and while a part is moved its backup,
 * which is written as requests come to other places, is none of theirs. */
static int leave_backup(struct raid_array *array, const struct raid_write *write)
{
	uint64_t from = write->offset >> MD_SECTOR_SHIFT;
	uint64_t to = (write->offset + write->length + MD_SECTOR_SIZE - 1) >> MD_SECTOR_SHIFT;

	if (array->backwards)
		to = MIN(to, array->reshape_position);
	else
		from = MAX(from, array->reshape_position);
	if (!array->backup || from >= to || !raid_backup_overlaps(array->backup, from, to))
		return 0;
	/* There is nothing else of it until that was restored. */
	return array->backup->held_count ? -EIO : raid_backup_forget(array->backup);
}

int raid5_write(struct raid_array *array, const struct raid_write *write)
{
	struct raid5 *r = raid5_of(array);
	struct raid_reshape_user user;
	int rc;

	if (!r->reshape || r->reshape->over)
		return raid5_write_shape(r, write);
	raid_reshape_gate_enter(&r->reshape->gate, &user, write->offset, write->length);
	rc = r->reshape->over ? 0 : leave_backup(array, write);
	if (!rc)
		rc = r->reshape->over ? raid5_write_shape(r, write) : write_both(r, write);
	raid_reshape_gate_leave(&r->reshape->gate, &user);
	return rc;
}
