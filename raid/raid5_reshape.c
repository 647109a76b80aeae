/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reshape: data go from the old shape (array->before) to the new one (array->now), upwards.
 *
 *	[0, position)	new shape, at the members' new offset
 *	[from, to)	what is being moved, from the position on: requests to it wait, and it waits for theirs
 *	[to, end)	old shape, at the old offset; what is beyond the old array has zeroes once it is there
 *
 * A part is read whole from the old shape and written whole, with parity, in the new; then superblocks say, after a flush, that the position is
 * behind it; and only then is it let go. So requests know but one position, the durable one, and what is acknowledged is where a restart looks
 * for it.
 *
 * Why no crash loses data. What a part is written over lies before the row of the old shape that the durable position is in
 * (farthest()), so that the old data of all that has not been said to be moved are there, with their parity. That takes room: members' data
 * begin at a lower sector in the new shape, or the new shape has more data disks and the position is far enough. Where there is none, nothing
 * is begun. After a crash a part is moved once more. Parity in the old shape may be wrong then, and is not looked at while all members
 * are there; that in the new shape is made good by the resync that follows.
 *
 * When all has been moved one update says that the new shape is the only one. Whoever missed it is one event behind, and is told by its
 * own superblock where its data are (assemble_members.c).
 */
#include "raid/raid5_reshape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/iov.h"
#include "raid/grow.h"
#include "util/bytes.h"

#define PART_BYTES (2u << 20) /* at most, or one row */

/* Sectors of a member that are moved at least: whole chunks of both shapes. */
static uint64_t height(const struct raid_array *array)
{
	return MAX(array->now.chunk_sectors, array->before.chunk_sectors);
}

static uint64_t sectors_of(const struct raid_geometry *g)
{
	return raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors, g->disks,
					   g->member_sectors);
}

/* The member whose data move down least decides. */
static int64_t least_room(const struct raid_array *array)
{
	int64_t room = INT64_MAX;

	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_member *member = array->places[i].member;

		if (member)
			room = MIN(room, -(int64_t)member->sb.new_offset);
	}
	return room == INT64_MAX ? 0 : room;
}

/* How far from the position on data can be moved at once. */
static uint64_t farthest(const struct raid_array *array)
{
	const struct raid_geometry *old = &array->before, *now = &array->now;
	uint64_t position = array->reshape_position, end = sectors_of(now), row, reach;
	uint64_t unit = height(array) * raid5_data_disks(now);
	uint64_t part = MAX((uint64_t)PART_BYTES >> MD_SECTOR_SHIFT, unit) / unit * unit;
	int64_t room = least_room(array);

	if (position >= sectors_of(old))
		return MIN(end, position + part);
	row = position / raid5_data_disks(old) / old->chunk_sectors * old->chunk_sectors;
	if ((int64_t)row + room < 0)
		return position;
	reach = round_down(row + (uint64_t)room, height(array)) * raid5_data_disks(now);
	return MAX(position, MIN(MIN(end, position + part), reach));
}

bool raid5_reshape_fits(const struct raid_array *array)
{
	return farthest(array) > array->reshape_position;
}

/* ---- Requests ---- */

struct user {
	struct list node;
	uint64_t offset, end;
};

static bool is_moving(const struct raid5_reshape *reshape, const struct user *user)
{
	return user->offset < reshape->to && reshape->from < user->end;
}

/* Suspends while the range is being moved. */
static void enter(struct raid5_reshape *reshape, struct user *user)
{
	while (is_moving(reshape, user))
		fiber_queue_wait_always(&reshape->queue);
	list_add_tail(&reshape->users, &user->node);
}

static void leave(struct raid5_reshape *reshape, struct user *user)
{
	list_remove(&user->node);
	if (reshape->from < reshape->to)
		fiber_queue_wake_all(&reshape->queue);
}

/* How many of its bytes are in the new shape. */
static uint64_t in_new(const struct raid_array *array, uint64_t offset, uint64_t length)
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
	uint64_t first = in_new(r->array, offset, length);
	CLEANUP_FREE struct iovec *room = NULL;
	unsigned counts[2];
	int rc;

	if (first == length)
		return raid5_read_shape(r, offset, length, iov, count);
	if (!first)
		return raid5_read_shape(&r->reshape->old, offset, length, iov, count);
	rc = cut(iov, count, first, length - first, &room, counts);
	if (!rc)
		rc = raid5_read_shape(r, offset, first, room, counts[0]);
	if (!rc)
		rc = raid5_read_shape(&r->reshape->old, offset + first, length - first,
				      room + count + 1, counts[1]);
	return rc;
}

int raid5_readv(struct raid_array *array, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count)
{
	struct raid5 *r = raid5_of(array);
	struct user user = { .offset = offset, .end = offset + length };
	int rc;

	if (!r->reshape || r->reshape->over)
		return raid5_read_shape(r, offset, length, iov, count);
	enter(r->reshape, &user);
	rc = r->reshape->over ? raid5_read_shape(r, offset, length, iov, count)
			      : read_both(r, offset, length, iov, count);
	leave(r->reshape, &user);
	return rc;
}

static int write_both(struct raid5 *r, const struct raid_write *write)
{
	uint64_t first = in_new(r->array, write->offset, write->length);
	CLEANUP_FREE struct iovec *room = NULL;
	struct raid_write low = *write, high = *write;
	int rc = 0;

	if (first == write->length)
		return raid5_write_shape(r, write);
	if (!first)
		return raid5_write_shape(&r->reshape->old, write);
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
		rc = raid5_write_shape(r, &low);
	if (!rc)
		rc = raid5_write_shape(&r->reshape->old, &high);
	return rc;
}

int raid5_write(struct raid_array *array, const struct raid_write *write)
{
	struct raid5 *r = raid5_of(array);
	struct user user = { .offset = write->offset, .end = write->offset + write->length };
	int rc;

	if (!r->reshape || r->reshape->over)
		return raid5_write_shape(r, write);
	enter(r->reshape, &user);
	rc = r->reshape->over ? raid5_write_shape(r, write) : write_both(r, write);
	leave(r->reshape, &user);
	return rc;
}

/* ---- Moving ---- */

static bool any_inside(const struct raid5_reshape *reshape)
{
	list_for_each(at, &reshape->users) {
		if (is_moving(reshape, list_entry(at, struct user, node)))
			return true;
	}
	return false;
}

/* From here on requests to it wait; suspends until those that are there have ended. */
static void take(struct raid5_reshape *reshape, uint64_t from, uint64_t to)
{
	reshape->from = from;
	reshape->to = to;
	while (any_inside(reshape))
		fiber_queue_wait_always(&reshape->queue);
}

static void let_go(struct raid5_reshape *reshape)
{
	reshape->from = reshape->to = 0;
	fiber_queue_wake_all(&reshape->queue);
}

/* Bytes [from, to) of the array, to the new shape. */
static int move(struct raid5 *r, uint64_t from, uint64_t to)
{
	uint64_t old_end = sectors_of(&r->array->before) << MD_SECTOR_SHIFT;
	uint64_t held = from < old_end ? MIN(to, old_end) - from : 0;
	CLEANUP_FREE uint8_t *bytes = NULL;
	struct iovec iov = { .iov_len = held };
	struct raid_write write = { .kind = held ? RAID_WRITE_DATA : RAID_WRITE_ZEROES,
				    .offset = from,
				    .length = to - from,
				    .iov = &iov,
				    .count = held ? 1 : 0,
				    .flags = held ? 0 : BLOCK_MAY_UNMAP };
	int rc = 0;

	if (held && posix_memalign((void **)&bytes, 4096, to - from))
		return -ENOMEM;
	iov.iov_base = bytes;
	if (held)
		rc = raid5_read_shape(&r->reshape->old, from, held, &iov, 1);
	if (rc)
		return rc;
	if (held)
		memset(bytes + held, 0, to - from - held);
	iov.iov_len = to - from;
	return raid5_write_shape(r, &write);
}

/* Superblocks say that all before `position` has been moved. Should they not be written nobody relies on it, and the next ones that
 * are say what was so before: no write is acknowledged until then. */
static int note(struct raid_array *array, uint64_t position)
{
	int rc;

	array->reshape_checkpoint = position;
	rc = raid_super_update(array);
	if (!rc) {
		array->reshape_position = position;
		return 0;
	}
	array->reshape_checkpoint = array->reshape_position;
	array->super_wanted++;
	return rc;
}

/* The new shape is the only one. */
static int end(struct raid5 *r)
{
	struct raid_array *array = r->array;
	int rc;

	take(r->reshape, 0, UINT64_MAX);
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		member->sb.data_offset += (uint64_t)(int64_t)member->sb.new_offset;
		member->sb.new_offset = 0;
	}
	r->moved = false;
	r->reshape->over = true;
	array->reshaping = false;
	array->before = (struct raid_geometry){ 0 };
	array->sectors = sectors_of(&array->now);
	array->block.size =
		round_down(array->sectors << MD_SECTOR_SHIFT, array->block.logical_block_size);
	let_go(r->reshape);
	rc = raid_super_update(array);
	log_info(array->log, "%s has its new shape: %u members, chunks of %u bytes",
		 array->block.name, array->now.disks, array->now.chunk_sectors * MD_SECTOR_SIZE);
	return rc;
}

int raid5_reshape_part(struct raid_array *array)
{
	struct raid5 *r = raid5_of(array);
	uint64_t position = array->reshape_position, to;
	int rc;

	if (position >= sectors_of(&array->now))
		return end(r);
	rc = position ? 0 : raid_reshape_settle(array);
	if (rc)
		return rc;
	to = farthest(array);
	if (to <= position)
		return -ENOSPC;
	take(r->reshape, position << MD_SECTOR_SHIFT, to << MD_SECTOR_SHIFT);
	rc = move(r, position << MD_SECTOR_SHIFT, to << MD_SECTOR_SHIFT);
	if (!rc)
		rc = note(array, to);
	let_go(r->reshape);
	return rc ? rc : 1;
}

/* ---- Its beginning and end ---- */

static int check(const struct raid_array *array, struct error *error)
{
	uint64_t row = height(array) * raid5_data_disks(&array->now);
	int rc = raid_geometry_check(array->before.level, array->before.layout,
				     array->before.chunk_sectors, array->before.disks, error);

	if (rc) {
		error_prefix(error, "%s: its old shape", array->block.name);
		return rc;
	}
	if (array->reshape_position % row && array->reshape_position < sectors_of(&array->now))
		return error_set(error, -EINVAL,
				 "%s: its reshape is at sector %llu, expected a multiple of %llu",
				 array->block.name, (unsigned long long)array->reshape_position,
				 (unsigned long long)row);
	if (array->reshape_position < sectors_of(&array->now) && !raid5_reshape_fits(array)) {
		error_set(
			error, -EOPNOTSUPP,
			"%s: its reshape is at sector %llu, where data are moved over what has not "
			"been moved: that takes the backup file of who began it",
			array->block.name, (unsigned long long)array->reshape_position);
		return error_advise(error, "let mdadm carry it on with its --backup-file");
	}
	return 0;
}

int raid5_reshape_begin(struct raid5 *r, struct error *error)
{
	struct raid_array *array = r->array;
	int rc = check(array, error);
	struct raid5_reshape *reshape;

	if (rc)
		return rc;
	reshape = calloc(1, sizeof(*reshape));
	if (!reshape)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	list_init(&reshape->users);
	fiber_queue_init(&reshape->queue);
	raid5_shape_init(&reshape->old, array, &array->before);
	r->reshape = reshape;
	r->moved = true;
	array->sectors = MIN(sectors_of(&array->before), sectors_of(&array->now));
	return 0;
}

int raid5_reshape_enter(struct raid_array *array, struct error *error)
{
	struct raid5 *r = raid5_of(array);
	int rc;

	raid5_reshape_free(r); /* of one that is over */
	raid5_memory_free(r);
	raid5_shape_init(r, array, &array->now);
	rc = raid5_reshape_begin(r, error);
	if (rc)
		raid5_shape_init(r, array, &array->before);
	return rc;
}

void raid5_reshape_free(struct raid5 *r)
{
	if (r->reshape)
		raid5_memory_free(&r->reshape->old);
	free(r->reshape);
	r->reshape = NULL;
}
