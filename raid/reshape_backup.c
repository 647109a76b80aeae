/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backup of a reshape in place, whose new rows are written over old ones that are still needed; see reshape_backup.h.
 *
 *	nothing held --raid_backup_save()--> [from, to) held --raid_backup_forget()--> nothing held
 *
 * Data are written and flushed, then the header that tells of them; it is one sector. With two areas data go into the one that is not held, and the
 * header that tells of them forgets the others; with one, that is forgotten first. What is held are data of the array next to its position, as
 * they were: whoever finds them at assembly writes them to the new shape and takes the position behind them, as mdadm does. So what is held must
 * not change: who writes there has it forgotten before (raid5_reshape_io.c), as who moves it has before others may be there again.
 *
 * A header that could not be written may be there all the same: then nothing is known to be held, and what it or the one before tells of may be. Requests
 * elsewhere have nothing to do with it.
 *
 * Where nothing is held the header says at which position that became so (the start of a piece of no sectors, which mdadm passes over): a copy of the
 * file from before, whose time may be right, would say so too. Going down, where the last parts are the first that take a backup, that is said before
 * superblocks have come to such a position (raid_backup_note()).
 *
 * A backup is of the time of the superblocks that it goes with, within the two hours that mdadm allows: an older one is a copy of the file, and what it
 * has was perhaps written anew since. So while one is held superblocks say no later time (raid_backup_bound_time()), however long that takes.
 *
 * Of several places (members that are new) all say the same. One that cannot be written is a faulty member before anything
 * goes on, so that nobody takes its word.
 */
#include "raid/reshape_backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/reshape_step.h"
#include "util/bytes.h"

#define EARLIER_MOST 60u /* seconds that superblocks may be older than now when a backup is made */
#define LATER_MOST   3600u /* and younger than a backup that is held */

uint64_t raid_backup_bytes(unsigned areas, uint64_t area)
{
	return MD_BACKUP_HEADER_BYTES + areas * (area << MD_SECTOR_SHIFT);
}

/* ---- Writing ---- */

/* Who was added is found by its device; it may be gone. */
static struct raid_member *member_of(const struct raid_backup *backup,
				     const struct raid_backup_place *place)
{
	list_for_each(at, &backup->array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->block == place->block && member->state != RAID_MEMBER_FAULTY &&
		    member->state != RAID_MEMBER_STALE)
			return member;
	}
	return NULL;
}

static int write_header_to(const struct raid_backup_place *place, struct md_backup *backup)
{
	uint8_t *page = NULL;
	int rc;

	if (posix_memalign((void **)&page, MD_BACKUP_HEADER_BYTES, MD_BACKUP_HEADER_BYTES))
		return -ENOMEM;
	memset(page, 0, MD_BACKUP_HEADER_BYTES);
	backup->data = place->data >> MD_SECTOR_SHIFT;
	md_backup_encode(backup, page);
	rc = block_write(place->block, place->data - MD_BACKUP_HEADER_BYTES, page,
			 MD_BACKUP_HEADER_BYTES, BLOCK_FUA);
	if (!rc && place->again)
		rc = block_write(place->block, place->again, page, MD_BACKUP_HEADER_BYTES,
				 BLOCK_FUA);
	free(page);
	return rc;
}

static int write_data_to(const struct raid_backup_place *place, uint64_t at, const void *bytes,
			 uint64_t length)
{
	int rc = block_write(place->block, at, bytes, length, 0);

	return rc ? rc : block_flush(place->block);
}

/* It is a member that is out before anything relies on the others, or the error. */
static int judge(struct raid_backup *backup, const struct raid_backup_place *place, int rc)
{
	struct raid_member *member = place->is_member ? member_of(backup, place) : NULL;

	if (!member) {
		log_warning(backup->array->log, "%s: its backup in %s cannot be written: %s",
			    backup->array->block.name, place->block->name, error_name(rc));
		return rc;
	}
	if (!raid_member_fail(member, "backup of a reshape not written: %s",
			      raid_member_trouble(member, rc)))
		return rc;
	return raid_super_settle(backup->array);
}

/* Data into an area, or the header where `bytes` is NULL, on all places. */
static int write_all(struct raid_backup *backup, unsigned area, const void *bytes, uint64_t length)
{
	unsigned written = 0;

	for (unsigned i = 0; i < backup->count; i++) {
		const struct raid_backup_place *place = &backup->places[i];
		int rc;

		if (place->is_member && !member_of(backup, place))
			continue;
		rc = bytes ? write_data_to(place,
					   place->data +
						   (area ? backup->area << MD_SECTOR_SHIFT : 0),
					   bytes, length)
			   : write_header_to(place, &backup->said);
		if (rc)
			rc = judge(backup, place, rc);
		else
			written++;
		if (rc)
			return rc;
	}
	return written ? 0 : -EIO;
}

static void add_maybe(struct raid_backup *backup)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct md_backup_piece *piece = &backup->said.piece[i];

		if (!piece->count)
			continue;
		backup->maybe.from = MIN(backup->maybe.from, piece->start);
		backup->maybe.to = MAX(backup->maybe.to, piece->start + piece->count);
	}
}

static int say(struct raid_backup *backup, const struct md_backup_piece pieces[2])
{
	int rc;

	if (!backup->unsure)
		backup->maybe = (struct raid_backup_range){ UINT64_MAX, 0 };
	add_maybe(backup);
	backup->said.piece[0] = pieces[0];
	backup->said.piece[1] = pieces[1];
	add_maybe(backup);
	backup->said.two = backup->said.two || pieces[1].count;
	backup->said.second = backup->area;
	backup->said.time = backup->array->utime;
	backup->unsure = true;
	rc = write_all(backup, 0, NULL, 0);
	backup->unsure = rc != 0;
	raid_backup_bound_time(backup);
	return rc;
}

static bool holds_any(const struct raid_backup *backup)
{
	return backup->unsure || backup->said.piece[0].count || backup->said.piece[1].count;
}

void raid_backup_bound_time(const struct raid_backup *backup)
{
	backup->array->utime_most =
		holds_any(backup) || backup->held_count ? backup->said.time + LATER_MOST : 0;
}

static int say_none(struct raid_backup *backup, uint64_t position)
{
	const struct md_backup_piece none[2] = { { .start = position } };

	return say(backup, none);
}

/*
 * The position is the one that superblocks have. Where they could not be written, and may say the next one, what was being moved is held still and
 * not forgotten, or nothing was held; and they are written before a request is acknowledged, and before the array is stopped.
 */
static int forget(struct raid_backup *backup)
{
	return holds_any(backup) ? say_none(backup, backup->array->reshape_position) : 0;
}

int raid_backup_note(struct raid_backup *backup, uint64_t position)
{
	int rc;

	fiber_mutex_lock(&backup->lock);
	rc = say_none(backup, position);
	fiber_mutex_unlock(&backup->lock);
	return rc;
}

int raid_backup_forget(struct raid_backup *backup)
{
	int rc;

	fiber_mutex_lock(&backup->lock);
	rc = forget(backup);
	fiber_mutex_unlock(&backup->lock);
	return rc;
}

int raid_backup_save(struct raid_backup *backup, uint64_t from, uint64_t to, const void *bytes)
{
	struct md_backup_piece pieces[2] = { { 0 } };
	unsigned area;
	int rc = 0;

	/* The header has the time of the superblocks that are on the disks. */
	if (raid_array_seconds(backup->array) > backup->array->utime + EARLIER_MOST)
		rc = raid_super_update(backup->array);
	if (rc)
		return rc;
	fiber_mutex_lock(&backup->lock);
	if (backup->areas == 1 || backup->unsure)
		rc = forget(backup);
	area = backup->said.piece[0].count ? 1 : 0;
	if (!rc)
		rc = write_all(backup, area, bytes, (to - from) << MD_SECTOR_SHIFT);
	pieces[area] = (struct md_backup_piece){ from, to - from };
	if (!rc)
		rc = say(backup, pieces);
	fiber_mutex_unlock(&backup->lock);
	return rc;
}

bool raid_backup_has(const struct raid_backup *backup, uint64_t from, uint64_t to)
{
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		const struct md_backup_piece *piece = &backup->said.piece[i];

		found = found ||
			(piece->count && piece->start == from && piece->count == to - from);
	}
	return found && !backup->unsure;
}

void raid_backup_rely_on(struct raid_backup *backup, uint64_t from, uint64_t to)
{
	unsigned area = backup->said.piece[0].count ? 0 : 1, i = 0;

	while (i + 1 < backup->count && backup->places[i].is_member &&
	       !member_of(backup, &backup->places[i]))
		i++;
	backup->held[0] = (struct raid_backup_held){
		from, to, backup->places[i].data + (area ? backup->area << MD_SECTOR_SHIFT : 0), i
	};
	backup->held_count = 1;
}

bool raid_backup_overlaps(const struct raid_backup *backup, uint64_t from, uint64_t to)
{
	if (backup->unsure)
		return backup->maybe.from < to && from < backup->maybe.to;
	for (unsigned i = 0; i < 2; i++) {
		const struct md_backup_piece *piece = &backup->said.piece[i];

		if (piece->count && piece->start < to && from < piece->start + piece->count)
			return true;
	}
	return false;
}

/* ---- Its beginning and end ---- */

struct raid_backup *raid_backup_make(struct raid_array *array, unsigned places, uint64_t area)
{
	struct raid_backup *backup = calloc(1, sizeof(*backup));

	if (!backup)
		return NULL;
	backup->places = calloc(places, sizeof(*backup->places));
	if (!backup->places) {
		free(backup);
		return NULL;
	}
	backup->array = array;
	backup->area = area;
	backup->areas = 1;
	array->metadata->bitmap_uuid(array, backup->said.uuid);
	fiber_mutex_init(&backup->lock);
	return backup;
}

void raid_backup_add_place(struct raid_backup *backup, struct block *block, uint64_t data,
			   uint64_t again)
{
	backup->places[backup->count++] = (struct raid_backup_place){
		.block = block_ref(block), .is_member = again != 0, .data = data, .again = again
	};
}

void raid_backup_drop(struct raid_backup *backup)
{
	for (unsigned i = 0; i < backup->count; i++)
		block_unref(backup->places[i].block);
	free(backup->places);
	free(backup);
}

void raid_backup_free(struct raid_array *array)
{
	if (array->backup)
		raid_backup_drop(array->backup);
	array->backup = NULL;
	array->utime_most = 0;
}

void raid_backup_end(struct raid_array *array)
{
	struct raid_backup *backup = array->backup;

	if (!backup)
		return;
	/* On members it lies where data are by now. */
	for (unsigned i = 0; i < backup->count; i++) {
		struct raid_backup_place *place = &backup->places[i];

		if (!place->is_member &&
		    block_write_zeroes(place->block, 0, MD_BACKUP_HEADER_BYTES, BLOCK_FUA))
			log_warning(array->log,
				    "%s: the backup in %s is of no use any more, and "
				    "cannot be erased",
				    array->block.name, place->block->name);
	}
	raid_backup_free(array);
}

/* Where on a member an area of so many sectors is: with a header before it and one behind it, at the end of its data. */
uint64_t raid_backup_place_on(const struct raid_member *member, uint64_t area)
{
	uint64_t end = member->sb.data_offset + member->array->now.member_sectors;

	return (end - area - (MD_BACKUP_HEADER_BYTES >> MD_SECTOR_SHIFT)) << MD_SECTOR_SHIFT;
}

static int add_spares(struct raid_backup *backup, unsigned spares)
{
	struct raid_array *array = backup->array;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);
		uint64_t data;

		if (backup->count == spares)
			break;
		if (!raid_reshape_takes(array, member))
			continue;
		data = raid_backup_place_on(member, backup->area);
		raid_backup_add_place(backup, member->block, data,
				      data + (backup->area << MD_SECTOR_SHIFT));
	}
	return backup->count == spares ? 0 : -ENODEV;
}

static int check_file(const struct raid_array *array, struct block *file, uint64_t bytes,
		      struct error *error)
{
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->block == file)
			return error_set(error, -EINVAL,
					 "%s is a member of %s, expected a file elsewhere",
					 file->name, array->block.name);
	}
	if (file == &array->block)
		return error_set(error, -EINVAL, "%s: its backup would lie on itself", file->name);
	if (file->size < bytes)
		return error_set(error, -ENOSPC,
				 "%s has %llu bytes, expected %llu for the backup of %s",
				 file->name, (unsigned long long)file->size,
				 (unsigned long long)bytes, array->block.name);
	return 0;
}

int raid_backup_prepare(struct raid_array *array, struct block *file, unsigned spares,
			uint64_t area, bool backwards, struct error *error)
{
	struct raid_backup *backup = raid_backup_make(array, file ? 1 : spares, area);
	int rc = 0;

	if (!backup)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	raid_backup_free(array); /* of one that could not say that it was over */
	/* mdadm does not read a second area in the other direction. */
	backup->areas = file && !backwards ? 2 : 1;
	if (file)
		rc = check_file(array, file, raid_backup_bytes(backup->areas, area), error);
	if (!rc && file)
		raid_backup_add_place(backup, file, MD_BACKUP_HEADER_BYTES, 0);
	else if (!rc && add_spares(backup, spares))
		rc = error_set(error, -ENODEV, "%s has too few spares for its backup",
			       array->block.name);
	if (rc) {
		raid_backup_drop(backup);
		return rc;
	}
	backup->is_new = true;
	array->backup = backup;
	return 0;
}

int raid_backup_begin(struct raid_array *array, uint64_t position, struct error *error)
{
	struct raid_backup *backup = array->backup;
	int rc = say_none(backup, position);

	if (rc)
		error_set(error, rc, "%s: its backup in %s cannot be written: %s",
			  array->block.name, backup->places[0].block->name, error_name(rc));
	backup->is_new = rc != 0;
	return rc;
}
