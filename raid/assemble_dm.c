/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays of dm-raid's: from components to candidates, whose superblocks are made to say what md's would; the rest is as for md's.
 * What dm-raid does not say: which array it is (the volume group knows), what others are but failed, and whether it is dirty.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/assemble.h"
#include "raid/dm_shape.h"
#include "raid/geometry.h"
#include "raid/intent.h"
#include "raid/md_bitmap.h"
#include "util/bytes.h"
#include "util/error.h"

/* Where its data are kept more than once it counts as missing, as by dm-raid: whether the others have all data is asked later. */
static int leave_unread(struct dm_look *look, unsigned place, int rc, struct error *error)
{
	struct raid_component *component = &look->components[place];
	struct error why = { 0 };

	error_set(&why, rc, "%s: %s: its superblock cannot be read: %s", look->shape->name,
		  component->meta->name, error_name(rc));
	if (!look->shape->level || rc == -ENOMEM) {
		if (error)
			*error = why;
		return rc;
	}
	log_warning(look->log, "%s; it is left out, as if it were missing", why.text);
	if (!look->unread.code)
		look->unread = why;
	component->data = component->meta = NULL;
	component->unread = true;
	return 0;
}

static int load(struct dm_look *look, unsigned place, struct error *error)
{
	struct block *meta = look->components[place].meta;
	uint8_t page[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512)));
	int rc = block_read(meta, 0, page, sizeof(page));

	if (rc)
		return leave_unread(look, place, rc, error);
	rc = dm_raid_decode(page, &look->found[place], error);
	if (rc == -ENOENT && bytes_all_zero(page, DM_RAID_BYTES)) {
		look->is_new[place] = true;
		return 0;
	}
	if (rc == -ENOENT)
		return error_set(error, -EINVAL,
				 "%s: %s: no dm-raid superblock, and not zeroes for a new one",
				 look->shape->name, meta->name);
	if (rc) {
		error_prefix(error, "%s: %s", look->shape->name, meta->name);
		return rc;
	}
	return 0;
}

/* dm-raid refuses what it does not know, too; and it takes what only the newest does not say, wherever data are then. */
static void advise_to_leave_out(const struct dm_look *look, struct error *error)
{
	if (error && error->code == -EINVAL && !error->advice[0] && look->shape->level &&
	    look->places > 1)
		error_advise(error,
			     "if it is damaged, and is the only one, leave its physical volume out "
			     "(--device with each of the others): the volume starts degraded then, "
			     "and `tenon lv repair` has another image instead");
}

static bool all_are_new(const struct dm_look *look)
{
	for (unsigned i = 0; i < look->places; i++) {
		if (look->components[i].data && !(look->is_new[i] || look->components[i].rebuild))
			return false;
	}
	return true;
}

static int refuse_unread(const struct dm_look *look, const char *why, struct error *error)
{
	return error_set(error, look->unread.code, "%s; %s", look->unread.text, why);
}

/* Without one that has a superblock nothing tells what those that cannot be read have: an array is not begun anew over them. */
static int check_unread(const struct dm_look *look, struct error *error)
{
	return look->unread.code && all_are_new(look)
		       ? refuse_unread(look, "no other image has a superblock with data", error)
		       : 0;
}

/* Where superblocks have a component's place. */
static uint32_t recorded_place(const struct dm_look *look, unsigned place)
{
	return dm_has_superblock(look, place) ? look->found[place].position : place;
}

/* One that the newest calls failed, and that did not go on without the newest: it is here again. */
static bool is_back(const struct dm_look *look, unsigned place)
{
	return look->shape->level && dm_has_superblock(look, place) &&
	       dm_raid_failed(&look->found[look->newest], recorded_place(look, place)) &&
	       !dm_raid_failed(&look->found[place], recorded_place(look, look->newest));
}

static bool is_filled(const struct dm_look *look, unsigned place)
{
	return look->is_new[place] || look->components[place].rebuild || is_back(look, place);
}

/* Who failed, and is not about to be filled. */
static bool is_failed(const struct dm_look *look, const struct dm_raid_superblock *found,
		      unsigned place)
{
	return dm_raid_failed(found, recorded_place(look, place)) && !is_filled(look, place);
}

/* Whether the bitmap of the newest has all that a former member missed. */
static bool bitmap_reaches(const struct dm_look *look, unsigned place)
{
	uint8_t bytes[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512)));
	struct block *meta = look->components[look->newest].meta;
	struct md_bitmap bitmap;

	if (block_read(meta, DM_RAID_BITMAP_BYTE, bytes, sizeof(bytes)) ||
	    md_bitmap_decode(bytes, meta->size - DM_RAID_BITMAP_BYTE, &bitmap, NULL))
		return false;
	if (bitmap.events >= DM_RAID_CLEAN_EVENTS)
		bitmap.events -= DM_RAID_CLEAN_EVENTS;
	return !look->components[place].rebuild && dm_same_shape(look, place) &&
	       look->found[place].recovered == DM_RAID_DONE && !(bitmap.state & MD_BITMAP_STALE) &&
	       bitmap.events >= look->events && bitmap.events_cleared <= look->found[place].events;
}

/* Where what components of that many sectors were given since begins, in sync sectors; DM_RAID_DONE: they were not. One that was cut off before
 * it was told of that counts, too. By dm-raid those that a reshape has moved up have as many sectors less. */
static uint64_t grown_from(const struct dm_look *look, uint64_t sectors)
{
	uint64_t from = DM_RAID_DONE;

	for (unsigned i = 0; !look->reshaping && i < look->places; i++) {
		const struct dm_raid_superblock *sb = &look->found[i];

		if (!dm_has_superblock(look, i) || is_filled(look, i) || !sb->sectors ||
		    sb->sectors + sb->data_offset >= sectors)
			continue;
		from = MIN(from,
			   look->shape->level == RAID_LEVEL_10 ? sb->array_sectors : sb->sectors);
	}
	return from;
}

/* Whether what components with `had` bytes were given since is in sync. What they were given before, and superblocks were not told of, is not, and nothing
 * behind that is. */
static bool is_grown_in_sync(const struct dm_look *look, uint64_t had)
{
	uint64_t room = look->shape->room;

	return had > room && grown_from(look, (had - room) >> MD_SECTOR_SHIFT) == DM_RAID_DONE;
}

/* As a superblock of md's. */
static void make_view(const struct dm_look *look, unsigned place, struct md_superblock *sb)
{
	const struct dm_raid_superblock *found = &look->found[place];
	const struct raid_shape *shape = look->shape;
	bool bare = !look->components[place].meta, new = is_filled(look, place);
	bool all_new = new &&all_are_new(look);

	memset(sb, 0, sizeof(*sb));
	sb->minor_version = MD_VERSION_DM;
	snprintf(sb->set_name, sizeof(sb->set_name), "%s", shape->name);
	sb->level = shape->level;
	sb->layout = shape->layout;
	sb->chunk_sectors = (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT);
	if (look->components[place].write_mostly)
		sb->devflags |= MD_DEVICE_WRITE_MOSTLY;
	sb->raid_disks = sb->max_dev = look->places;
	sb->size = sb->level ? look->sectors : 0;
	sb->dev_number = place;
	sb->device_uuid[0] = 1;
	sb->device_uuid[15] = (uint8_t)place;
	sb->events = new || bare ? look->events : found->events;
	if (bare || (all_new && shape->in_sync))
		sb->resync_offset = MD_RESYNC_DONE;
	else
		sb->resync_offset =
			all_new ? 0
				: MIN(look->found[look->newest].resynced,
				      look->grown_in_sync ? DM_RAID_DONE
							  : grown_from(look, look->sectors));
	sb->bitmap_offset = DM_RAID_BITMAP_BYTE >> MD_SECTOR_SHIFT;
	if (sb->level)
		sb->features |= MD_FEATURE_BITMAP;
	if (sb->level && ((new && !all_new) || (!new && found->recovered != DM_RAID_DONE))) {
		sb->features |= MD_FEATURE_RECOVERY_OFFSET;
		sb->recovery_offset = new ? 0 : found->recovered;
	}
	if (is_back(look, place) && bitmap_reaches(look, place))
		sb->features |= MD_FEATURE_RECOVERY_BITMAP;
	if (!all_new && !bare)
		dm_put_shape(look, new ? look->newest : place, sb);
	sb->data_size = look->sectors + (look->shape->room >> MD_SECTOR_SHIFT) - sb->data_offset;
	for (unsigned i = 0; i < MD_MAX_DEVICES; i++)
		sb->roles[i] = i >= look->places           ? MD_ROLE_SPARE
			       : is_failed(look, found, i) ? MD_ROLE_FAULTY
							   : (uint16_t)i;
}

static int check_shape(struct dm_look *look, struct error *error)
{
	const struct raid_shape *shape = look->shape;

	if (!look->places || look->places > DM_RAID_DEVICES)
		return error_set(error, -EINVAL, "%s: %u components, expected 1 to %u", shape->name,
				 look->places, DM_RAID_DEVICES);
	if (shape->room >> MD_SECTOR_SHIFT > INT32_MAX)
		return error_set(error, -EINVAL,
				 "%s: %llu bytes of room for reshapes, expected less than a TiB",
				 shape->name, (unsigned long long)shape->room);
	look->sectors = UINT64_MAX;
	for (unsigned i = 0; i < look->places; i++) {
		const struct raid_component *component = &look->components[i];
		uint64_t least = shape->room + MD_SECTOR_SIZE;

		if (component->data && component->data->size < least)
			return error_set(error, -EINVAL,
					 "%s: %s has %llu bytes, expected %llu or more",
					 shape->name, component->data->name,
					 (unsigned long long)component->data->size,
					 (unsigned long long)least);

		if (component->data && !component->meta && shape->level)
			return error_set(error, -EINVAL, "%s: component %u has no metadata",
					 shape->name, i);
		if (component->data)
			look->sectors = MIN(look->sectors, (component->data->size - shape->room) >>
								   MD_SECTOR_SHIFT);
	}
	if (look->sectors == UINT64_MAX)
		return error_set(error, -ENODEV, "%s: all of its components are missing",
				 shape->name);
	return raid_geometry_check(shape->level, shape->layout,
				   (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT), look->places,
				   error);
}

/* A member is missing that was there when it was written last, and something was being written then. dm-raid starts it without a word. */
static void warn_of_write_hole(const struct raid_array *array, const struct dm_look *look)
{
	unsigned lost = 0;

	if (look->shape->level < RAID_LEVEL_4 || look->shape->level > RAID_LEVEL_6 ||
	    !array->intent || !array->intent->set || array->intent->clean)
		return;
	for (unsigned i = 0; i < look->places; i++)
		lost += !look->components[i].data && !dm_raid_failed(&look->found[look->newest], i);
	if (lost)
		log_warning(array->log,
			    "%s: was not stopped cleanly, and %u of its members are missing since: "
			    "in %llu regions of %u bytes, which were being written, what is read "
			    "for them may be wrong",
			    array->block.name, lost, (unsigned long long)array->intent->set,
			    array->intent->super.chunk_bytes);
}

/* One that is long again lacks more than was written meanwhile: no bitmap brings it back. */
static bool forget_cut(struct raid_array *array, const struct dm_look *look)
{
	bool cut = false;

	for (unsigned i = 0; i < look->places; i++)
		cut |= look->components[i].cut && !look->components[i].data;
	if (cut && array->intent)
		array->intent->forget = true;
	return cut;
}

int raid_assemble_components(struct raid_array **out, const struct raid_shape *shape,
			     struct raid_component *components, unsigned places,
			     const struct raid_assemble_options *options, struct error *error)
{
	struct raid_assemble_options all = options ? *options : (struct raid_assemble_options){ 0 };
	CLEANUP_FREE struct raid_candidate *candidates = calloc(places, sizeof(*candidates));
	CLEANUP_FREE struct dm_raid_superblock *found = calloc(places, sizeof(*found));
	CLEANUP_FREE bool *is_new = calloc(places, sizeof(*is_new));
	CLEANUP_FREE struct raid_component *own = calloc(places, sizeof(*own));
	struct dm_look look = { .shape = shape,
				.components = own,
				.places = places,
				.log = all.log,
				.found = found,
				.is_new = is_new };
	unsigned count = 0;
	bool cut;
	int rc;

	if (!candidates || !found || !is_new || !own)
		return error_set(error, -ENOMEM, "out of memory");
	memcpy(own, components, places * sizeof(*own));
	rc = check_shape(&look, error);
	for (unsigned i = 0; !rc && i < places; i++) {
		if (own[i].data && own[i].meta)
			rc = load(&look, i, error);
		components[i].unread = own[i].unread;
	}
	if (!rc)
		rc = check_unread(&look, error);
	if (!rc)
		rc = dm_check_superblocks(&look, error);
	if (rc)
		advise_to_leave_out(&look, error);
	/* It was whole when it was asked for, and dm-raid begins none without an image either. */
	if (!rc && look.begins && look.unread.code && !all.read_only)
		rc = refuse_unread(&look, "a reshape is not begun without it", error);
	look.grown_in_sync = !rc && is_grown_in_sync(&look, all.grown_in_sync);
	if (!look.grown_in_sync)
		all.grown_in_sync = 0;
	for (unsigned i = 0; !rc && i < look.places; i++) {
		if (!own[i].data)
			continue;
		candidates[count].block = own[i].data;
		candidates[count].meta = own[i].meta;
		make_view(&look, i, &candidates[count++].sb);
	}
	all.bitmap_chunk = shape->region;
	all.new_bitmap = all_are_new(&look);
	if (rc)
		return rc;
	rc = raid_assemble_candidates(out, candidates, count, &all, error);
	if (rc && look.unread.code)
		error_advise(error, "%s", look.unread.text);
	if (rc)
		return rc;
	warn_of_write_hole(*out, &look);
	cut = forget_cut(*out, &look);
	if (all.read_only || (!dm_shape_is_told(&look) && !cut && !all.grown_in_sync))
		return 0;
	/* Only then the volume group may forget what is to begin, or that what is new is in sync, and a device may be as long as it was. */
	rc = raid_write_superblocks(*out, error);
	if (rc)
		raid_stop(steal_pointer(out), NULL);
	return rc;
}
