/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reshape: data go from the old shape (array->before) to the new one (array->now), upwards or (array->backwards) downwards.
 *
 *	upwards		downwards
 *	[0, position)	[position, end)	new shape, at the members' new offset
 *	[from, to)	[from, to)	what is being moved, next to the position: requests to it wait, and it waits for theirs
 *	[to, end)	[0, from)	old shape, at the old offset; what is beyond the old array has zeroes once it is there
 *
 * With fewer members it goes downwards; the array has its new size from the beginning.
 *
 * A part is read whole from the old shape and written whole, with parity, in the new; then superblocks say, after a flush, that the position is
 * behind it; and only then is it let go. So requests know but one position, the durable one, and what is acknowledged is where a restart looks
 * for it.
 *
 * Why no crash loses data. What a part is written over lies before the row of the old shape that the durable position is in
 * (farthest()), or behind it, so that the old data of all that has not been said to be moved are there, with their parity. That takes room: members' data
 * begin at a lower sector in the new shape (downwards: at a higher one), or the number of data disks changes and the position is far enough. Where
 * there is none, a backup of the part is kept elsewhere until superblocks say that it has been moved (reshape_backup.c): a part that could not be
 * written is read from there, and moved from there once it can be. After a crash a part is moved once more. Parity in the old shape may be wrong then, and is not looked at while all members
 * are there; that in the new shape is made good by the resync that follows.
 *
 * When all has been moved one update says that the new shape is the only one. Whoever missed it is one event behind, and is told by its
 * own superblock where its data are (assemble_members.c).
 */
#include "raid/raid5_reshape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/reshape_backup.h"
#include "raid/reshape_step.h"
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

/* How far down from the position data can be moved at once: rows of the new shape lie behind those of the old one that have what is
 * before the position. */
static uint64_t farthest_down(const struct raid_array *array, uint64_t part)
{
	const struct raid_geometry *old = &array->before, *now = &array->now;
	uint64_t position = array->reshape_position, row = 0, reach;
	int64_t free_from;

	if (position)
		row = ((position - 1) / raid5_data_disks(old) / old->chunk_sectors + 1) *
		      old->chunk_sectors;
	free_from = MAX((int64_t)row - raid_reshape_room(array), 0);
	reach = round_up((uint64_t)free_from, height(array)) * raid5_data_disks(now);
	return MIN(position, MAX(reach, position - MIN(part, position)));
}

/* How far from the position on data can be moved at once. */
static uint64_t farthest(const struct raid_array *array)
{
	const struct raid_geometry *old = &array->before, *now = &array->now;
	uint64_t position = array->reshape_position, end = sectors_of(now), row, reach;
	uint64_t unit = height(array) * raid5_data_disks(now);
	uint64_t part = MAX((uint64_t)PART_BYTES >> MD_SECTOR_SHIFT, unit) / unit * unit;
	int64_t room = raid_reshape_room(array);

	if (array->backwards)
		return farthest_down(array, part);
	if (position >= sectors_of(old))
		return MIN(end, position + part);
	row = position / raid5_data_disks(old) / old->chunk_sectors * old->chunk_sectors;
	if ((int64_t)row + room < 0)
		return position;
	reach = round_down(row + (uint64_t)room, height(array)) * raid5_data_disks(now);
	return MAX(position, MIN(MIN(end, position + part), reach));
}

static bool is_moved(const struct raid_array *array)
{
	return array->backwards ? !array->reshape_position
				: array->reshape_position >= sectors_of(&array->now);
}

bool raid5_needs_backup(const struct raid_array *array)
{
	return !is_moved(array) && farthest(array) == array->reshape_position;
}

/* With a backup of it: whole rows of both shapes, of which none of the new one is written over an old one behind them. */
static uint64_t farthest_by_backup(const struct raid_array *array)
{
	uint64_t position = array->reshape_position, area = array->backup->area;
	uint64_t step = raid5_backup_step(&array->before, &array->now);

	if (array->backwards)
		return position - MIN(position, area);
	return MIN(position / step * step + area, sectors_of(&array->now));
}

/* ---- Moving ---- */

static int make_backup(struct raid5 *r, uint64_t from, uint64_t to, const void *bytes)
{
	struct raid_backup *backup = r->array->backup;

	from >>= MD_SECTOR_SHIFT;
	to >>= MD_SECTOR_SHIFT;
	return raid_backup_has(backup, from, to) ? 0 : raid_backup_save(backup, from, to, bytes);
}

static int read_old(struct raid_array *array, uint64_t offset, uint64_t length,
		    const struct iovec *iov, unsigned count)
{
	return raid5_read_shape(&raid5_of(array)->reshape->old, offset, length, iov, count);
}

/* Bytes [from, to) of the array, to the new shape; `over` old ones, so that there is a backup first, and *torn is set where that is all there is
 * of them. */
static int move(struct raid5 *r, uint64_t from, uint64_t to, bool over, bool *torn)
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
		return raid_reshape_unread(r->array, from, from + held,
					   raid5_row_bytes(&r->reshape->old), rc, read_old);
	if (held)
		memset(bytes + held, 0, to - from - held);
	if (held && over)
		rc = make_backup(r, from, from + held, bytes);
	if (rc)
		return rc;
	*torn = over;
	iov.iov_len = to - from;
	return raid5_write_shape(r, &write);
}

/* ---- The backup ---- */

/* Data of the next part are old ones, and requests that change them have to have the backup forgotten: nobody is there meanwhile. The gate
 * is the caller's, from `first` on or up to `last`, or nobody is in the array. */
static int keep_next(struct raid5 *r, bool gate, uint64_t first, uint64_t last)
{
	struct raid_array *array = r->array;
	uint64_t position = array->reshape_position << MD_SECTOR_SHIFT;
	uint64_t old_end = sectors_of(&array->before) << MD_SECTOR_SHIFT;
	CLEANUP_FREE uint8_t *bytes = NULL;
	uint64_t to, from, held;
	struct iovec iov;
	int rc;

	if (!raid5_needs_backup(array))
		return raid_backup_forget(array->backup);
	to = farthest_by_backup(array) << MD_SECTOR_SHIFT;
	from = MIN(position, to);
	held = MIN(MAX(position, to), old_end) - from;
	if (gate)
		raid_reshape_gate_take(&r->reshape->gate, MIN(first, from), MAX(last, from + held));
	if (posix_memalign((void **)&bytes, 4096, held))
		return -ENOMEM;
	iov = (struct iovec){ .iov_base = bytes, .iov_len = held };
	rc = raid5_read_shape(&r->reshape->old, from, held, &iov, 1);
	return rc ? rc
		  : raid_backup_save(array->backup, from >> MD_SECTOR_SHIFT,
				     (from + held) >> MD_SECTOR_SHIFT, bytes);
}

int raid5_keep_ahead(struct raid_array *array)
{
	if (array->backup->held_count)
		return 0;
	return keep_next(raid5_of(array), false, 0, 0);
}

/* The next part may wait for long: who finds the array so meanwhile has a backup of that to begin with. Without one it has to be known that
 * there is none. */
static int turn_backup(struct raid5 *r, uint64_t first, uint64_t last)
{
	int rc = keep_next(r, true, first, last);

	return rc ? raid_backup_forget(r->array->backup) : 0;
}

/* What is held, in pieces of whole rows. */
static int restore_held(struct raid5 *r, const struct raid_backup_held *held)
{
	uint64_t from = held->from << MD_SECTOR_SHIFT, to = held->to << MD_SECTOR_SHIFT;
	uint64_t piece = MAX((uint64_t)PART_BYTES / raid5_row_bytes(r), 1u) * raid5_row_bytes(r);
	CLEANUP_FREE uint8_t *bytes = NULL;
	int rc = 0;

	if (posix_memalign((void **)&bytes, 4096, piece))
		return -ENOMEM;
	while (!rc && from < to) {
		struct iovec iov = { .iov_base = bytes, .iov_len = MIN(piece, to - from) };
		struct raid_write write = { .kind = RAID_WRITE_DATA,
					    .offset = from,
					    .length = iov.iov_len,
					    .iov = &iov,
					    .count = 1 };

		rc = raid_backup_read(r->array->backup, held, from, bytes, write.length);
		if (!rc)
			rc = raid5_write_shape(r, &write);
		from += write.length;
	}
	return rc;
}

static int check_held(const struct raid_array *array, const struct raid_backup_held *held,
		      struct error *error)
{
	uint64_t row = height(array) * raid5_data_disks(&array->now);

	if (held->from % row == 0 && (held->to % row == 0 || held->to == sectors_of(&array->now)))
		return 0;
	return error_set(error, -EINVAL,
			 "%s: its backup has sectors %llu to %llu, expected multiples of %llu",
			 array->block.name, (unsigned long long)held->from,
			 (unsigned long long)held->to, (unsigned long long)row);
}

int raid5_restore(struct raid_array *array, struct error *error)
{
	struct raid_backup *backup = array->backup;
	int rc = 0;

	for (unsigned i = 0; !rc && i < backup->held_count; i++)
		rc = check_held(array, &backup->held[i], error);
	for (unsigned i = 0; !rc && i < backup->held_count; i++) {
		const struct raid_backup_held *held = &backup->held[i];

		log_info(array->log, "%s: sectors %llu to %llu are restored from %s",
			 array->block.name, (unsigned long long)held->from,
			 (unsigned long long)held->to, backup->places[0].block->name);
		rc = restore_held(raid5_of(array), held);
		if (!rc)
			rc = raid_reshape_note(array, array->backwards ? held->from : held->to,
					       raid5_data_disks(&array->now));
		if (rc)
			error_set(error, rc,
				  "%s: sectors %llu to %llu cannot be restored from %s: %s",
				  array->block.name, (unsigned long long)held->from,
				  (unsigned long long)held->to, backup->places[0].block->name,
				  error_name(rc));
	}
	if (rc)
		return rc;
	backup->held_count = 0;
	rc = raid_backup_forget(backup);
	return rc ? error_set(error, rc, "%s: its backup in %s cannot be written: %s",
			      array->block.name, backup->places[0].block->name, error_name(rc))
		  : 0;
}

/* The new shape is the only one. */
static int end(struct raid5 *r)
{
	struct raid_array *array = r->array;
	int rc;

	raid_reshape_gate_take(&r->reshape->gate, 0, UINT64_MAX);
	raid_reshape_over(array);
	r->moved = false;
	r->reshape->over = true;
	array->sectors = sectors_of(&array->now);
	raid_reshape_gate_let_go(&r->reshape->gate);
	rc = raid_reshape_say_over(array);
	if (!rc)
		raid_backup_end(array);
	return rc;
}

/* What md began without one, and has come to where it is needed. */
static int say_stuck(const struct raid_array *array)
{
	log_warning(array->log,
		    "%s: its reshape is at sector %llu, from where on data are moved over what has "
		    "not been moved: `tenon raid rebuild %s --backup-file FILE` goes on with it",
		    array->block.name, (unsigned long long)array->reshape_position, array->name);
	return -ENOSPC;
}

static void rely_on_backup(struct raid_array *array, uint64_t first, uint64_t last)
{
	uint64_t end = MIN(last >> MD_SECTOR_SHIFT, sectors_of(&array->before));

	raid_backup_rely_on(array->backup, first >> MD_SECTOR_SHIFT, end);
}

/* One that came to no end, with what the backup has of it. */
static int move_again(struct raid5 *r)
{
	struct raid_array *array = r->array;
	struct raid_backup *backup = array->backup;
	struct raid_backup_held held = backup->held[0];
	uint64_t first = held.from << MD_SECTOR_SHIFT, last = held.to << MD_SECTOR_SHIFT;
	int rc;

	raid_reshape_gate_take(&r->reshape->gate, first, last);
	rc = restore_held(r, &held);
	if (!rc)
		rc = raid_reshape_note(array, array->backwards ? held.from : held.to,
				       raid5_data_disks(&array->now));
	if (!rc) {
		backup->held_count = 0;
		rc = turn_backup(r, first, last);
	}
	raid_reshape_gate_let_go(&r->reshape->gate);
	return rc ? rc : 1;
}

int raid5_reshape_part(struct raid_array *array)
{
	struct raid5 *r = raid5_of(array);
	uint64_t position = array->reshape_position, to, first, last;
	bool over = raid5_needs_backup(array), torn = false;
	int rc;

	if (is_moved(array))
		return end(r);
	if (array->backup && array->backup->held_count)
		return move_again(r);
	rc = position ? 0 : raid_reshape_settle(array);
	if (rc)
		return rc;
	if (over && !array->backup)
		return say_stuck(array);
	to = over ? farthest_by_backup(array) : farthest(array);
	first = MIN(position, to) << MD_SECTOR_SHIFT;
	last = MAX(position, to) << MD_SECTOR_SHIFT;
	raid_reshape_gate_take(&r->reshape->gate, first, last);
	rc = move(r, first, last, over, &torn);
	if (!rc && array->backup && array->backwards && !over)
		rc = raid_backup_note(array->backup, to);
	if (!rc)
		rc = raid_reshape_note(array, to, raid5_data_disks(&array->now));
	if (rc && torn)
		rely_on_backup(array, first, last);
	if (!rc && array->backup)
		rc = turn_backup(r, first, last);
	raid_reshape_gate_let_go(&r->reshape->gate);
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
	if (array->backwards && array->reshape_position > raid_reshape_start(array))
		return error_set(error, -EINVAL,
				 "%s: its reshape is at sector %llu, expected at most %llu",
				 array->block.name, (unsigned long long)array->reshape_position,
				 (unsigned long long)raid_reshape_start(array));
	if (array->reshape_position % row && array->reshape_position < sectors_of(&array->now))
		return error_set(error, -EINVAL,
				 "%s: its reshape is at sector %llu, expected a multiple of %llu",
				 array->block.name, (unsigned long long)array->reshape_position,
				 (unsigned long long)row);
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
	raid_reshape_gate_init(&reshape->gate);
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
	rc = raid5_needs_backup(array) && !array->backup
		     ? error_set(error, -ENOSPC, "%s: its data have no room to move",
				 array->block.name)
		     : raid5_reshape_begin(r, error);
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
