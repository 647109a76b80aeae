/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays of dm-raid's: from components to candidates, whose superblocks are made to say what md's would; the rest is as for md's.
 * What dm-raid does not say: which array it is (the volume group knows), what others are but failed, and whether it is dirty.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/assemble.h"
#include "raid/dm_raid.h"
#include "raid/geometry.h"
#include "util/bytes.h"
#include "util/error.h"

struct dm_look {
	const struct raid_shape *shape;
	const struct raid_component *components;
	unsigned places;
	uint64_t sectors; /* of each component, that are used */
	struct dm_raid_superblock *found;
	bool *is_new;
};

static int differs(const struct dm_look *look, unsigned place, const char *what, uint64_t found,
		   uint64_t expected, struct error *error)
{
	return error_set(error, -EINVAL, "%s: %s: its superblock has %s %lld, expected %lld",
			 look->shape->name, look->components[place].meta->name, what,
			 (long long)found, (long long)expected);
}

static int check(const struct dm_look *look, unsigned place, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[place];
	const struct raid_shape *shape = look->shape;

	if (sb->flags & (DM_RAID_RESHAPE_ACTIVE | DM_RAID_RESHAPE_BACKWARDS))
		return error_set(error, -EOPNOTSUPP, "%s: a reshape is in progress", shape->name);
	if (sb->devices != look->places)
		return differs(look, place, "devices", sb->devices, look->places, error);
	if (sb->position != place)
		return differs(look, place, "the place", sb->position, place, error);
	if (sb->level != shape->level)
		return differs(look, place, "level", (uint64_t)(int64_t)sb->level,
			       (uint64_t)(int64_t)shape->level, error);
	/* Of mirrors and level 4 nobody asks for a layout. */
	if (sb->layout != shape->layout && shape->level != 1 && shape->level != 4 && shape->level)
		return differs(look, place, "layout", sb->layout, shape->layout, error);
	if (shape->chunk && sb->stripe_sectors != shape->chunk >> MD_SECTOR_SHIFT)
		return differs(look, place, "stripe sectors", sb->stripe_sectors,
			       shape->chunk >> MD_SECTOR_SHIFT, error);
	if ((sb->compatible & DM_RAID_V190) && sb->data_offset)
		return differs(look, place, "data offset", sb->data_offset, 0, error);
	return 0;
}

static int load(struct dm_look *look, unsigned place, struct error *error)
{
	struct block *meta = look->components[place].meta;
	uint8_t page[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512)));
	int rc = block_read(meta, 0, page, sizeof(page));

	if (rc)
		return error_set(error, rc, "%s: %s: its superblock cannot be read: %s",
				 look->shape->name, meta->name, error_name(rc));
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
	return check(look, place, error);
}

static bool all_are_new(const struct dm_look *look)
{
	for (unsigned i = 0; i < look->places; i++) {
		if (look->components[i].data && !(look->is_new[i] || look->components[i].rebuild))
			return false;
	}
	return true;
}

static uint64_t newest_events(const struct dm_look *look)
{
	uint64_t events = 1;

	for (unsigned i = 0; i < look->places; i++)
		events = MAX(events, look->found[i].events);
	return events;
}

/* Who failed, and is not about to be filled. */
static bool is_failed(const struct dm_look *look, const struct dm_raid_superblock *found,
		      unsigned place)
{
	return dm_raid_failed(found, place) && !look->is_new[place] &&
	       !look->components[place].rebuild;
}

/* As a superblock of md's. */
static void make_view(const struct dm_look *look, unsigned place, struct md_superblock *sb)
{
	const struct dm_raid_superblock *found = &look->found[place];
	bool bare = !look->components[place].meta;
	bool new = look->is_new[place] || look->components[place].rebuild;

	memset(sb, 0, sizeof(*sb));
	sb->minor_version = MD_VERSION_DM;
	snprintf(sb->set_name, sizeof(sb->set_name), "%s", look->shape->name);
	sb->level = look->shape->level;
	sb->layout = look->shape->layout;
	sb->chunk_sectors = (uint32_t)(look->shape->chunk >> MD_SECTOR_SHIFT);
	sb->raid_disks = sb->max_dev = look->places;
	sb->size = sb->level ? look->sectors : 0;
	sb->data_size = look->sectors;
	sb->dev_number = place;
	sb->device_uuid[0] = 1;
	sb->device_uuid[15] = (uint8_t)place;
	sb->events = new || bare ? newest_events(look) : found->events;
	sb->resync_offset = bare ? MD_RESYNC_DONE : new ? 0 : found->resynced;
	sb->bitmap_offset = DM_RAID_BITMAP_BYTE >> MD_SECTOR_SHIFT;
	if (sb->level)
		sb->features |= MD_FEATURE_BITMAP;
	if (sb->level &&
	    ((new && !all_are_new(look)) || (!new && found->recovered != DM_RAID_DONE))) {
		sb->features |= MD_FEATURE_RECOVERY_OFFSET;
		sb->recovery_offset = new ? 0 : found->recovered;
	}
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
	look->sectors = UINT64_MAX;
	for (unsigned i = 0; i < look->places; i++) {
		const struct raid_component *component = &look->components[i];

		if (component->data && !component->meta && shape->level)
			return error_set(error, -EINVAL, "%s: component %u has no metadata",
					 shape->name, i);
		if (component->data)
			look->sectors =
				MIN(look->sectors, component->data->size >> MD_SECTOR_SHIFT);
	}
	if (look->sectors == UINT64_MAX)
		return error_set(error, -ENODEV, "%s: all of its components are missing",
				 shape->name);
	return raid_geometry_check(shape->level, shape->layout,
				   (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT), look->places,
				   error);
}

int raid_assemble_components(struct raid_array **out, const struct raid_shape *shape,
			     const struct raid_component *components, unsigned places,
			     const struct raid_assemble_options *options, struct error *error)
{
	static const struct raid_assemble_options defaults;
	CLEANUP_FREE struct raid_candidate *candidates = calloc(places, sizeof(*candidates));
	CLEANUP_FREE struct dm_raid_superblock *found = calloc(places, sizeof(*found));
	CLEANUP_FREE bool *is_new = calloc(places, sizeof(*is_new));
	struct dm_look look = { shape, components, places, 0, found, is_new };
	unsigned count = 0;
	int rc;

	if (!candidates || !found || !is_new)
		return error_set(error, -ENOMEM, "out of memory");
	rc = check_shape(&look, error);
	for (unsigned i = 0; !rc && i < places; i++) {
		if (components[i].data && components[i].meta)
			rc = load(&look, i, error);
	}
	for (unsigned i = 0; !rc && i < places; i++) {
		if (!components[i].data)
			continue;
		candidates[count].block = components[i].data;
		candidates[count].meta = components[i].meta;
		make_view(&look, i, &candidates[count++].sb);
	}
	return rc ? rc
		  : raid_assemble_candidates(out, candidates, count, options ? options : &defaults,
					     error);
}
