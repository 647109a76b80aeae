/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reshape of RAID10: data go from the old shape (array->before) to the new one (array->now), upwards or (array->backwards) downwards. There
 * are other members, another chunk, or near copies become offset ones or the reverse; the number of copies stays.
 *
 *	upwards		downwards
 *	[0, position)	[position, end)	new shape, at the members' new offset
 *	[from, to)	[from, to)	what is being moved, next to the position: requests to it wait, and it waits for theirs
 *	[to, end)	[0, from)	old shape, at the old offset
 *
 * The end is that of the smaller one, as with md: what a larger one has more counts as not in sync when it is there.
 *
 * Why no crash loses data. A part is read from the old shape and written to all copies of the new one; then superblocks say, after a flush,
 * that the position is behind it, and only then is it let go. Before that nothing is written where an old copy is of what has not been said to
 * be moved (farthest()): so all old copies of it are there, and a part that was being moved when all stopped is moved once more.
 * Members' data begin at a lower sector in the new shape (downwards: at a higher one), by a row of the larger chunk at least; md asks for
 * as much (raid10_start_reshape() of Linux 6.1), and where there is less nothing is begun.
 *
 * Who fails meanwhile is left out of both shapes. Nobody is filled before the end.
 */
#include "raid/raid10.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/mirror.h"
#include "raid/reshape_step.h"
#include "util/bytes.h"

#define PART_SECTORS 4096u

static uint64_t row_height(const struct raid10_shape *shape)
{
	return (uint64_t)shape->chunk * shape->far;
}

/* ---- How far data can be moved at once ---- */

/* Where the lowest old copy of what is at array sector `from` or behind is on a member: where its data began. */
static uint64_t first_on(const struct raid10_shape *shape, uint32_t role, uint64_t from)
{
	uint64_t lowest = UINT64_MAX, at = from;

	/* After so many chunks they come round to the same members, further on. */
	for (uint32_t i = 0; i <= shape->disks; i++) {
		for (unsigned k = 0; k < shape->near * shape->far; k++) {
			uint32_t found;
			uint64_t sector = raid10_place(shape, at, k, &found);

			if (found == role)
				lowest = MIN(lowest, sector);
		}
		at = round_down(at + shape->chunk, (uint64_t)shape->chunk);
	}
	return lowest;
}

/* Behind the highest copy of what is before array sector `to`. */
static uint64_t last_on(const struct raid10_shape *shape, uint32_t role, uint64_t to)
{
	uint64_t highest = 0;

	for (uint32_t i = 0; to && i <= shape->disks; i++) {
		for (unsigned k = 0; k < shape->near * shape->far; k++) {
			uint32_t found;
			uint64_t sector = raid10_place(shape, to - 1, k, &found);

			if (found == role)
				highest = MAX(highest, sector + 1);
		}
		to = round_down(to - 1, (uint64_t)shape->chunk);
	}
	return highest;
}

/* Whether nothing of an old copy that is needed is where [from, to), at most one chunk of either shape, goes. */
static bool is_free(const struct raid_array *array, uint64_t from, uint64_t to)
{
	const struct raid10 *r = raid10_of(array);
	int64_t room = raid_reshape_room(array);

	for (unsigned k = 0; k < r->shape.near * r->shape.far; k++) {
		uint32_t role;
		int64_t start = (int64_t)raid10_place(&r->shape, from, k, &role);
		int64_t end = start + (int64_t)(to - from);

		if (role >= r->old.disks)
			continue;
		if (array->backwards ? start + room < (int64_t)last_on(&r->old, role, to)
				     : end - room > (int64_t)MIN(first_on(&r->old, role, from),
								 (uint64_t)INT64_MAX))
			return false;
	}
	return true;
}

/* The next border of a chunk of either shape, or as much as is moved at once. */
static uint64_t one_chunk(const struct raid_array *array)
{
	const struct raid10 *r = raid10_of(array);
	uint64_t least = MIN(r->shape.chunk, r->old.chunk), position = array->reshape_position;

	if (array->backwards)
		return MAX(round_down(position - 1, least), position - MIN(position, PART_SECTORS));
	return MIN(MIN(round_down(position + least, least), position + PART_SECTORS),
		   raid_reshape_whole(array));
}

/* Rows of all members: none of the new shape is written to that the old one needs from the position on. */
static uint64_t rows_up(const struct raid_array *array, uint64_t room)
{
	const struct raid10 *r = raid10_of(array);
	uint64_t position = array->reshape_position;
	uint64_t row = position / r->old.chunk * r->old.near / r->old.disks * row_height(&r->old);
	uint64_t rows = (row + room) / row_height(&r->shape);
	uint64_t to = rows * r->shape.disks / r->shape.near * r->shape.chunk;

	to = round_down(MIN(to, position + PART_SECTORS),
			(uint64_t)MAX(r->shape.chunk, r->old.chunk));
	return MIN(to, raid_reshape_whole(array));
}

static uint64_t rows_down(const struct raid_array *array, uint64_t room)
{
	const struct raid10 *r = raid10_of(array);
	uint64_t position = array->reshape_position;
	uint64_t slots = (position + r->old.chunk - 1) / r->old.chunk * r->old.near;
	uint64_t end = (slots + r->old.disks - 1) / r->old.disks * row_height(&r->old), rows = 0;
	uint64_t to;

	if (end > room)
		rows = (end - room + row_height(&r->shape) - 1) / row_height(&r->shape);
	to = (rows * r->shape.disks + r->shape.near - 1) / r->shape.near * r->shape.chunk;
	to = MAX(to, position - MIN(position, PART_SECTORS));
	return round_up(to, (uint64_t)MAX(r->shape.chunk, r->old.chunk));
}

/* Where the position can be next; where it is, if it can be nowhere else. */
static uint64_t farthest(const struct raid_array *array)
{
	uint64_t position = array->reshape_position, to;
	int64_t room = raid_reshape_room(array);

	if (room <= 0)
		return position;
	to = array->backwards ? rows_down(array, (uint64_t)room) : rows_up(array, (uint64_t)room);
	if (array->backwards ? to < position : to > position)
		return to;
	to = one_chunk(array);
	return is_free(array, MIN(to, position), MAX(to, position)) ? to : position;
}

static bool is_moved(const struct raid_array *array)
{
	return array->backwards ? !array->reshape_position
				: array->reshape_position >= raid_reshape_whole(array);
}

/* ---- Moving ---- */

/* Bytes [from, to) of the array, which nobody else is in. */
static int move(struct raid_array *array, uint64_t from, uint64_t to)
{
	struct raid10 *r = raid10_of(array);
	uint64_t border = r->border;
	CLEANUP_FREE uint8_t *bytes = NULL;
	struct iovec iov = { .iov_len = to - from };
	int rc;

	if (posix_memalign((void **)&bytes, 4096, to - from))
		return -ENOMEM;
	iov.iov_base = bytes;
	rc = mirror_readv(array, from, to - from, &iov, 1);
	if (rc)
		return raid_reshape_unread(array, from, to, RAID_PIECE, rc, mirror_readv);
	r->border = array->backwards ? from : to;
	rc = mirror_write(array, &(struct raid_write){ .kind = RAID_WRITE_DATA,
						       .offset = from,
						       .length = to - from,
						       .iov = &iov,
						       .count = 1 });
	if (rc)
		r->border = border;
	return rc;
}

/* The new shape is the only one. What it has more than the old one never had the same on all copies. */
static int end(struct raid_array *array)
{
	struct raid10 *r = raid10_of(array);
	uint64_t moved = raid_reshape_whole(array);

	raid_reshape_gate_take(&r->gate, 0, UINT64_MAX);
	r->moves = false;
	raid_reshape_over(array);
	array->sectors = array->sync_sectors = r->shape.sectors;
	array->now.member_sectors = r->shape.member_sectors;
	if (array->sectors > moved)
		raid_array_resync_from(array, moved);
	raid_reshape_gate_let_go(&r->gate);
	return raid_reshape_say_over(array);
}

int raid10_reshape_part(struct raid_array *array)
{
	struct raid10 *r = raid10_of(array);
	uint64_t position = array->reshape_position, to, first, last;
	int rc;

	if (is_moved(array))
		return end(array);
	rc = position ? 0 : raid_reshape_settle(array);
	if (rc)
		return rc;
	to = farthest(array);
	if (to == position)
		return -ENOSPC;
	first = MIN(position, to) << MD_SECTOR_SHIFT;
	last = MAX(position, to) << MD_SECTOR_SHIFT;
	raid_reshape_gate_take(&r->gate, first, last);
	rc = move(array, first, last);
	if (!rc)
		rc = raid_reshape_note(array, to, 1);
	r->border = array->reshape_position << MD_SECTOR_SHIFT;
	raid_reshape_gate_let_go(&r->gate);
	return rc ? rc : 1;
}

/* ---- Requests, each of which goes to one shape, to the other, or to both, and not to what is being moved ---- */

int raid10_readv(struct raid_array *array, uint64_t offset, uint64_t length,
		 const struct iovec *iov, unsigned count)
{
	struct raid10 *r = raid10_of(array);
	struct raid_reshape_user user;
	int rc;

	if (!r->moves)
		return mirror_readv(array, offset, length, iov, count);
	raid_reshape_gate_enter(&r->gate, &user, offset, length);
	rc = mirror_readv(array, offset, length, iov, count);
	raid_reshape_gate_leave(&r->gate, &user);
	return rc;
}

int raid10_write(struct raid_array *array, const struct raid_write *write)
{
	struct raid10 *r = raid10_of(array);
	struct raid_reshape_user user;
	int rc;

	if (!r->moves)
		return mirror_write(array, write);
	raid_reshape_gate_enter(&r->gate, &user, write->offset, write->length);
	rc = mirror_write(array, write);
	raid_reshape_gate_leave(&r->gate, &user);
	return rc;
}

/* These have no fiber that could wait. */
bool raid10_start_transfer(struct raid_array *array, struct block_work *work)
{
	return !raid10_of(array)->moves && mirror_start(array, work);
}

int raid10_status(struct raid_array *array, uint64_t offset, uint64_t *length,
		  enum block_status *status)
{
	if (!raid10_of(array)->moves)
		return mirror_status(array, offset, length, status);
	*status = BLOCK_STATUS_DATA;
	return 0;
}

/* ---- Its beginning ---- */

static bool is_far(uint32_t layout)
{
	return raid10_far_copies(layout) > 1 && !(layout & RAID10_LAYOUT_OFFSET);
}

static uint32_t copies(uint32_t layout)
{
	return raid10_near_copies(layout) * raid10_far_copies(layout);
}

static int check_layouts(const char *name, const struct raid_geometry *from,
			 const struct raid_geometry *to, struct error *error)
{
	char text[2][32];

	if (is_far(from->layout) || is_far(to->layout))
		return error_set(error, -EOPNOTSUPP,
				 "%s: from %s to %s: far copies lie behind all others and are not "
				 "moved, by md either; expected near or offset ones",
				 name,
				 raid_geometry_layout_name(RAID_LEVEL_10, from->layout, text[0]),
				 raid_geometry_layout_name(RAID_LEVEL_10, to->layout, text[1]));
	if (copies(from->layout) != copies(to->layout))
		return error_set(error, -EOPNOTSUPP,
				 "%s: %s has %u copies, expected %u as in %s: their number stays, "
				 "as with md",
				 name,
				 raid_geometry_layout_name(RAID_LEVEL_10, to->layout, text[1]),
				 copies(to->layout), copies(from->layout),
				 raid_geometry_layout_name(RAID_LEVEL_10, from->layout, text[0]));
	return 0;
}

int raid10_reshape_check(const struct raid_array *array, const struct raid_geometry *to,
			 struct error *error)
{
	const struct raid_geometry *now = &array->now;
	struct raid_geometry kept = *to;
	uint64_t sectors;
	int rc = check_layouts(array->block.name, now, to, error);

	if (rc)
		return rc;
	if (array->intent && to->disks != now->disks) {
		error_set(
			error, -EINVAL,
			"%s has a bitmap, which is of its size, expected none where the number of "
			"members changes",
			array->block.name);
		return error_advise(error, "`tenon raid bitmap %s remove` first", array->name);
	}
	/* As much as that is what md moves. */
	kept.disks = MIN(to->disks, now->disks);
	sectors = raid10_shape(&kept).sectors;
	if (to->disks >= now->disks && sectors < array->sectors)
		return error_set(error, -EINVAL,
				 "%s has %llu sectors and would have %llu: its members end within "
				 "a row of the new shape",
				 array->block.name, (unsigned long long)array->sectors,
				 (unsigned long long)sectors);
	if (array->intent && raid10_shape(to).sectors != array->sectors)
		return error_set(error, -EINVAL,
				 "%s has a bitmap for %llu sectors and would have %llu",
				 array->block.name, (unsigned long long)array->sectors,
				 (unsigned long long)raid10_shape(to).sectors);
	return 0;
}

/* From where it is. */
static int check_position(struct raid_array *array, struct error *error)
{
	uint64_t whole = raid_reshape_whole(array);

	/* md counts from what the new shape has, which the old one may not fill. */
	if (array->reshape_position > whole)
		array->reshape_position = array->reshape_checkpoint = array->reshape_flushed =
			whole;
	raid10_of(array)->border = array->reshape_position << MD_SECTOR_SHIFT;
	if (is_moved(array) || farthest(array) != array->reshape_position)
		return 0;
	return error_set(error, -EOPNOTSUPP,
			 "%s: its reshape is at sector %llu, and data move by %lld sectors, "
			 "expected more: they would be moved over what has not been moved",
			 array->block.name, (unsigned long long)array->reshape_position,
			 (long long)raid_reshape_room(array));
}

int raid10_reshape_begin(struct raid_array *array, struct error *error)
{
	struct raid10 *r = raid10_of(array);
	const struct raid10 before = *r;
	int rc = check_layouts(array->block.name, &array->before, &array->now, error);

	if (rc)
		return rc;
	r->shape = raid10_shape(&array->now);
	r->old = raid10_shape(&array->before);
	r->backwards = array->backwards;
	r->moves = true;
	raid_reshape_gate_init(&r->gate);
	rc = check_position(array, error);
	if (rc) {
		*r = before;
		return rc;
	}
	array->sectors = MIN(r->shape.sectors, r->old.sectors);
	array->sync_sectors = r->shape.sectors;
	return 0;
}
