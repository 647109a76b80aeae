/* SPDX-License-Identifier: BSD-2-Clause */
/* The backup of a reshape in place at assembly: where it is, and what of it is needed; see reshape_backup.h. */
#include "raid/reshape_backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid5_geometry.h"
#include "raid/reshape_step.h"
#include "util/bytes.h"

/* How long before the array was last written, and after it, a backup may have been made, as with mdadm. */
#define OLDER_MOST 7200u
#define NEWER_MOST 600u

static int read_header(struct block *block, uint64_t at, struct md_backup *found, bool *empty,
		       struct error *error)
{
	uint8_t *page = NULL;
	int rc;

	*empty = false;
	if (!range_within(at, MD_BACKUP_HEADER_BYTES, block->size))
		return error_set(error, -ENOENT, "%s: it is too short for a backup", block->name);
	if (posix_memalign((void **)&page, MD_BACKUP_HEADER_BYTES, MD_BACKUP_HEADER_BYTES))
		return error_set(error, -ENOMEM, "%s: no memory", block->name);
	rc = block_read(block, at, page, MD_BACKUP_HEADER_BYTES);
	if (rc)
		error_set(error, rc, "%s: its backup cannot be read: %s", block->name,
			  error_name(rc));
	else {
		*empty = bytes_all_zero(page, MD_BACKUP_BYTES);
		rc = md_backup_decode(page, found, error);
		if (rc == -ENOENT)
			error_set(error, rc,
				  "%s: no header of a backup at byte %llu, expected that of mdadm "
				  "or tenon",
				  block->name, (unsigned long long)at);
		else if (rc)
			error_prefix(error, "%s: header of a backup", block->name);
	}
	free(page);
	return rc;
}

static bool is_same(const struct md_backup *a, const struct md_backup *b)
{
	return a->data == b->data && a->time == b->time && a->two == b->two &&
	       !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
	       !memcmp(a->piece, b->piece, sizeof(a->piece));
}

/* What of it the array lacks, from the position on: one piece after the other. */
static void choose_held(struct raid_backup *backup)
{
	const struct raid_array *array = backup->array;
	const struct md_backup_piece *pieces = backup->said.piece;
	uint64_t position = array->reshape_position;
	unsigned first = array->backwards ? pieces[1].start > pieces[0].start
					  : pieces[1].start < pieces[0].start;

	backup->held_count = 0;
	for (unsigned k = 0; k < 2; k++) {
		unsigned i = first ^ k;
		uint64_t start = pieces[i].start, end = start + pieces[i].count;
		uint64_t at = backup->said.data + (i ? backup->said.second : 0);
		struct raid_backup_held *held = &backup->held[backup->held_count];

		if (!pieces[i].count || start > position || end < position ||
		    position == (array->backwards ? start : end))
			continue;
		*held = array->backwards ? (struct raid_backup_held){ start, position, at, 0 }
					 : (struct raid_backup_held){ position, end,
								      at + position - start, 0 };
		held->byte <<= MD_SECTOR_SHIFT;
		position = array->backwards ? start : end;
		backup->held_count++;
	}
}

static int check_time(const struct raid_array *array, const struct raid_backup *backup,
		      struct error *error)
{
	uint64_t time = backup->said.time;
	char made[RAID_TIME_TEXT], written[RAID_TIME_TEXT];

	if (array->utime <= time + OLDER_MOST && array->utime + NEWER_MOST >= time)
		return 0;
	if (array->forced) {
		log_warning(array->log,
			    "%s: the backup in %s is taken by force: it is of %s, and the array "
			    "was last written %s: what was written since to the sectors that it "
			    "has is lost",
			    array->block.name, backup->places[0].block->name,
			    raid_time_format(time, made), raid_time_format(array->utime, written));
		return 0;
	}
	return error_set(error, -ESTALE,
			 "%s: it is of %s, and %s was last written %s: expected about the same "
			 "time. It is another reshape's, or an old copy",
			 backup->places[0].block->name, raid_time_format(time, made),
			 array->block.name, raid_time_format(array->utime, written));
}

/* One without pieces tells nothing of a part that is torn: it has to be of this position, as mdadm's never are. */
static int check_none(const struct raid_array *array, const struct raid_backup *backup,
		      struct error *error)
{
	if (backup->said.piece[0].start == array->reshape_position)
		return 0;
	return error_set(error, -EINVAL,
			 "%s: its backup has nothing, as of sector %llu, and the reshape of %s is "
			 "at %llu: it is an old copy, or nothing was being moved",
			 backup->places[0].block->name,
			 (unsigned long long)backup->said.piece[0].start, array->block.name,
			 (unsigned long long)array->reshape_position);
}

/* One that neither begins nor ends where the array is: nobody leaves it so, and mdadm refuses it, too. */
static int check_pieces(const struct raid_array *array, const struct raid_backup *backup,
			uint64_t old_end, struct error *error)
{
	uint64_t position = array->reshape_position;
	const struct md_backup_piece *other = NULL;
	int ahead = 0; /* of the position: 1, at it: 0, behind it: -1 */

	if (!array->level->needs_backup(array) || backup->held_count)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		const struct md_backup_piece *piece = &backup->said.piece[i];
		uint64_t end = piece->start + piece->count;
		int is = array->backwards ? (piece->start < position) - (piece->start > position)
					  : (end > position) - (end < position);

		if (piece->count && (!other || is > ahead)) {
			other = piece;
			ahead = is;
		}
	}
	/* Behind the end of the old shape there is nothing to be held. */
	if ((other && !ahead) || (ahead <= 0 && position >= old_end))
		return 0;
	if (!other)
		return check_none(array, backup, error);
	return error_set(error, -EINVAL,
			 "%s: its backup is of sectors %llu to %llu, and the reshape of %s is at "
			 "%llu: it is not of this reshape, or an old copy",
			 backup->places[0].block->name, (unsigned long long)other->start,
			 (unsigned long long)(other->start + other->count), array->block.name,
			 (unsigned long long)position);
}

static int check_held(const struct raid_array *array, const struct raid_backup *backup,
		      struct error *error)
{
	const struct raid_geometry *old = &array->before;
	uint64_t end = raid_geometry_array_sectors(old->level, old->layout, old->chunk_sectors,
						   old->disks, old->member_sectors);

	for (unsigned i = 0; i < backup->held_count; i++) {
		const struct raid_backup_held *held = &backup->held[i];
		const struct block *block = backup->places[0].block;

		if (held->to > end)
			return error_set(error, -EINVAL,
					 "%s: its backup ends at sector %llu of %s, expected at "
					 "most %llu",
					 block->name, (unsigned long long)held->to,
					 array->block.name, (unsigned long long)end);
		if (!range_within(held->byte, (held->to - held->from) << MD_SECTOR_SHIFT,
				  block->size))
			return error_set(error, -EINVAL,
					 "%s has %llu bytes, and its backup is at byte %llu and "
					 "has %llu: it was made shorter",
					 block->name, (unsigned long long)block->size,
					 (unsigned long long)held->byte,
					 (unsigned long long)(held->to - held->from)
						 << MD_SECTOR_SHIFT);
	}
	return backup->held_count ? check_time(array, backup, error)
				  : check_pieces(array, backup, end, error);
}

/* Takes it over where it is the array's and good. -ENOENT: it is not. */
static int take(struct raid_array *array, struct raid_backup *backup, const struct md_backup *found,
		struct error *error)
{
	int rc;

	if (memcmp(found->uuid, backup->said.uuid, sizeof(found->uuid)) != 0)
		rc = error_set(error, -ENOENT, "%s: it is the backup of another array",
			       backup->places[0].block->name);
	else {
		backup->said = *found;
		choose_held(backup);
		rc = check_held(array, backup, error);
	}
	if (!rc) {
		array->backup = backup;
		raid_backup_bound_time(backup);
	} else {
		raid_backup_drop(backup);
	}
	return rc;
}

/* How large areas can be in a file that is there: whole steps. */
static int measure_file(struct raid_backup *backup, const struct block *file, struct error *error)
{
	const struct raid_array *array = backup->array;
	uint64_t step = raid5_backup_step(&array->before, &array->now);
	uint64_t room =
		(file->size - MIN(file->size, (uint64_t)MD_BACKUP_HEADER_BYTES)) >> MD_SECTOR_SHIFT;

	if (room < step)
		return error_set(error, -ENOSPC,
				 "%s has %llu bytes, expected %llu for the backup of %s",
				 file->name, (unsigned long long)file->size,
				 (unsigned long long)raid_backup_bytes(1, step), array->block.name);
	backup->areas = !array->backwards && room >= 2 * step ? 2 : 1;
	backup->area = MIN(room / backup->areas / step * step,
			   raid5_backup_area(&array->before, &array->now));
	return 0;
}

static int try_file(struct raid_array *array, struct block *file, bool look, struct error *error)
{
	struct raid_backup *backup = raid_backup_make(array, 1, 0);
	struct md_backup found;
	uint64_t area;
	bool empty = false;
	int rc;

	if (!backup)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	raid_backup_add_place(backup, file, MD_BACKUP_HEADER_BYTES, 0);
	rc = measure_file(backup, file, error);
	if (!rc)
		rc = read_header(file, 0, &found, &empty, error);
	if (!rc)
		return take(array, backup, &found, error);
	area = backup->area;
	raid_backup_drop(backup);
	/* A new one will do for what comes. */
	if (rc == -ENOENT && empty && !look && !array->level->needs_backup(array))
		return raid_backup_prepare(array, file, 0, area, array->backwards, error);
	return rc;
}

/* Of two failures, the one that has more to say: what could not be read may have what is needed, and what was found is not it. */
static void keep_worse(struct error *kept, const struct error *found)
{
	bool unread = found->code && found->code != -ENOENT && found->code != -EINVAL &&
		      found->code != -ESTALE && found->code != -ENOSPC;

	if (!kept->code || kept->code == -ENOENT || unread)
		*kept = *found;
}

/* The header behind it tells where the other one is, which must be the same. */
static int try_member(struct raid_array *array, const struct raid_member *member,
		      struct error *error)
{
	uint64_t step = raid5_backup_step(&array->before, &array->now), area;
	uint64_t again = raid_backup_place_on(member, 0);
	struct raid_backup *backup;
	struct md_backup found, first;
	bool empty;
	int rc = read_header(member->block, again, &found, &empty, error);

	if (rc)
		return rc;
	if (found.data << MD_SECTOR_SHIFT < MD_BACKUP_HEADER_BYTES ||
	    found.data << MD_SECTOR_SHIFT >= again)
		return error_set(error, -EINVAL, "%s: its backup is at sector %llu",
				 member->block->name, (unsigned long long)found.data);
	rc = read_header(member->block, (found.data << MD_SECTOR_SHIFT) - MD_BACKUP_HEADER_BYTES,
			 &first, &empty, error);
	if (!rc && !is_same(&found, &first))
		rc = error_set(error, -EINVAL, "%s: the two headers of its backup differ",
			       member->block->name);
	if (rc)
		return rc;
	area = (again >> MD_SECTOR_SHIFT) - found.data;
	if (area % step)
		return error_set(error, -EINVAL,
				 "%s: its backup has room for %llu sectors, expected a multiple of "
				 "%llu",
				 member->block->name, (unsigned long long)area,
				 (unsigned long long)step);
	backup = raid_backup_make(array, array->now.disks, area);
	if (!backup)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	raid_backup_add_place(backup, member->block, found.data << MD_SECTOR_SHIFT, again);
	return take(array, backup, &found, error);
}

/* The others are written to as well from now on. */
static void add_other_members(struct raid_array *array)
{
	struct raid_backup *backup = array->backup;

	for (uint32_t i = array->before.disks; i < array->now.disks; i++) {
		const struct raid_member *member = array->places[i].member;
		uint64_t data;

		if (!member || member->block == backup->places[0].block)
			continue;
		data = raid_backup_place_on(member, backup->area);
		raid_backup_add_place(backup, member->block, data,
				      data + (backup->area << MD_SECTOR_SHIFT));
	}
}

static int try_members(struct raid_array *array, struct error *why)
{
	int rc = -ENOENT;

	for (uint32_t i = array->before.disks; rc && i < array->now.disks; i++) {
		struct error of_member = { 0 };

		if (!array->places[i].member)
			continue;
		rc = try_member(array, array->places[i].member, &of_member);
		if (rc && rc != -ENOENT)
			keep_worse(why, &of_member);
	}
	if (!rc)
		add_other_members(array);
	return rc;
}

static int say_needed(const struct raid_array *array, const struct error *why, struct error *error)
{
	error_set(error, why->code ? why->code : -ENODEV,
		  "%s: its reshape is at sector %llu, where data are moved over what has not been "
		  "moved: that takes the backup file of who began it%s%s",
		  array->block.name, (unsigned long long)array->reshape_position,
		  why->code ? "; " : "", why->text);
	if (why->code == -ESTALE)
		return error_advise(error,
				    "name the right one; `tenon raid assemble %s --force "
				    "--backup-file FILE` takes it as it is, and what was written "
				    "since to the sectors that it has is lost then",
				    array->name);
	if (why->code)
		return error_advise(
			error,
			"name the right one; if the array was stopped, and not cut off, "
			"nothing of it is needed: `tenon raid assemble %s --backup-file "
			"FILE --invalid-backup` goes on, and writes FILE anew",
			array->name);
	return error_advise(error, "name it with --backup-file (`tenon raid rebuild`, `tenon "
				   "serve`)");
}

/* Written anew is what nobody needs: a backup of this array, whole or damaged, or zeroes; not somebody's image that was named by mistake. */
static int check_file(const struct raid_backup *backup, struct block *file, struct error *error)
{
	struct error why = { 0 };
	struct md_backup found;
	bool empty;
	int rc = read_header(file, 0, &found, &empty, &why);

	if (empty || rc == -EINVAL)
		return 0;
	if (!rc && memcmp(found.uuid, backup->said.uuid, sizeof(found.uuid)) != 0) {
		rc = -ENOENT;
		error_set(&why, rc, "%s: it is the backup of another array", file->name);
	}
	if (!rc)
		return 0;
	*error = why;
	return error_advise(error, "a backup is written over what is there: name a file of zeroes, "
				   "or the backup of this array");
}

/* What is of no use is what was found to be so: not what could not be read, nor one that is only of another time. */
static int check_useless(const struct raid_array *array, const struct error *why,
			 struct error *error)
{
	if (!why->code || why->code == -ENOENT || why->code == -EINVAL || why->code == -ENOSPC)
		return 0;
	*error = *why;
	if (why->code != -ESTALE)
		return error_advise(error, "that is not an invalid backup, and it may have what is "
					   "needed: have it read, or name another file");
	return error_advise(
		error,
		"`tenon raid assemble %s --force --backup-file FILE` takes it as it is; to go on "
		"without, name a file of zeroes with --invalid-backup: it is kept then",
		array->name);
}

/* Nothing was being moved, by the word of whoever starts it. */
static int go_on_without(struct raid_array *array, const struct raid_assemble_options *options,
			 const struct error *why, struct error *error)
{
	struct raid_backup *backup;
	uint64_t area;
	int rc = check_useless(array, why, error);

	if (rc)
		return rc;
	if (!options->backup_count)
		return error_set(error, -EINVAL,
				 "%s: no backup file, expected one for what is moved from now on",
				 array->block.name);
	backup = raid_backup_make(array, 1, 0);
	if (!backup)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	rc = measure_file(backup, options->backups[0], error);
	if (!rc)
		rc = check_file(backup, options->backups[0], error);
	area = backup->area;
	raid_backup_drop(backup);
	if (rc)
		return rc;
	log_warning(array->log,
		    "%s: goes on at sector %llu without a backup (%s): if its reshape was not "
		    "stopped but cut off, data from there on are damaged",
		    array->block.name, (unsigned long long)array->reshape_position,
		    why->code ? why->text : "there is none");
	array->backup_anew = true;
	return options->read_only ? 0
				  : raid_backup_prepare(array, options->backups[0], 0, area,
							array->backwards, error);
}

int raid_backup_load(struct raid_array *array, const struct raid_assemble_options *options,
		     struct error *error)
{
	struct error why = { 0 };
	int rc = -ENOENT;

	if (!array->reshaping || !array->level->needs_backup || raid_reshape_room(array) > 0)
		return 0;
	for (unsigned i = 0; rc && i < options->backup_count; i++) {
		struct error of_file = { 0 };

		rc = try_file(array, options->backups[i], options->read_only, &of_file);
		if (rc)
			keep_worse(&why, &of_file);
	}
	if (rc && array->level->needs_backup(array))
		rc = try_members(array, &why);
	if (!rc || !array->level->needs_backup(array))
		return 0;
	if (options->invalid_backup)
		return go_on_without(array, options, &why, error);
	if (why.code == -ENOENT)
		why.code = -ENODEV;
	return say_needed(array, &why, error), why.code ? why.code : -ENODEV;
}
