/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reshapes of dm-raid's arrays: what superblocks and the volume group say of them; see dm_shape.h.
 *
 * lvm2 begins one with a commit that says the new shape, has room before the images' data (or behind them, with fewer images), and says that it
 * is to begin. dm-raid writes superblocks that say the old shape, the new one, and where between them the data are; these count from
 * then on, and a second commit takes the word of beginning back.
 *
 * Why no crash loses data. Until a superblock says it nothing has been moved but into the room, so it begins anew. Where some superblocks say
 * it and others do not, the others are one event behind, and nothing has been moved.
 */
#include "raid/dm_shape.h"

#include <errno.h>

#include "block/block.h"
#include "raid/geometry.h"
#include "util/bytes.h"
#include "util/error.h"

static int differs(const struct dm_look *look, unsigned place, const char *what, uint64_t found,
		   uint64_t expected, struct error *error)
{
	return error_set(error, -EINVAL, "%s: %s: its superblock has %s %lld, expected %lld",
			 look->shape->name, look->components[place].meta->name, what,
			 (long long)found, (long long)expected);
}

/* Without any superblock it is place 0, of which nothing is known either. */
static void find_newest(struct dm_look *look)
{
	bool any = false;

	for (unsigned i = 0; i < look->places; i++) {
		if (!dm_has_superblock(look, i) || (any && look->found[i].events <= look->events))
			continue;
		look->events = look->found[i].events;
		look->newest = i;
		any = true;
	}
	look->events = MAX(look->events, 1u);
}

/* What superblocks say of the shape, where none of them is in a reshape. */
static int check(const struct dm_look *look, unsigned place, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[place];
	const struct raid_shape *shape = look->shape;

	/* Images of mirrors come and go, and their places change, before superblocks say so. */
	if (sb->devices != look->places && shape->level != 1)
		return differs(look, place, "devices", sb->devices, look->places, error);
	if (sb->position != place && shape->level != 1)
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
	return 0;
}

/* Both ends of the room, or one of them: where data are, and where they go. */
static int check_offsets(const struct dm_look *look, unsigned place, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[place];
	uint64_t room = look->shape->room >> MD_SECTOR_SHIFT;

	if (!(sb->compatible & DM_RAID_V190))
		return 0;
	if (sb->data_offset > room)
		return differs(look, place, "data offset", sb->data_offset, room, error);
	if ((sb->flags & DM_RAID_RESHAPE_ACTIVE) && sb->new_data_offset > room)
		return differs(look, place, "new data offset", sb->new_data_offset, room, error);
	return 0;
}

/*
 * A reshape that was stopped in the middle and is said to be over. Linux 6.1 may write that where dm-raid's message "frozen" stopped it: its thread
 * is reaped twice, and the second time nothing tells that it was interrupted. What is old, new and between them is forgotten then: level 10
 * says that there is no reshape, and two places of the data; levels 4, 5 and 6 that it goes on from a shape to the same one.
 */
static int said_to_be_over(const struct dm_look *look, unsigned place, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[place];

	error_set(error, -EINVAL,
		  "%s: %s: its superblock says that a reshape is over, but has data at sectors "
		  "%llu and "
		  "%llu: it was stopped in the middle, and how far it went nobody knows any more",
		  look->shape->name, look->components[place].meta->name,
		  (unsigned long long)sb->data_offset, (unsigned long long)sb->new_data_offset);
	return error_advise(error,
			    "Linux 6.1 may leave this behind where dm-raid's message \"frozen\" "
			    "stops a reshape; what it would read is mixed of both places");
}

static bool is_reshaped_to_itself(const struct dm_raid_superblock *sb)
{
	return !sb->delta_disks && sb->new_level == sb->level && sb->new_layout == sb->layout &&
	       sb->new_stripe_sectors == sb->stripe_sectors;
}

/* The newest is in the middle of one: it must lead to what the volume group says. */
static int check_reshape(struct dm_look *look, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[look->newest];
	const struct raid_shape *shape = look->shape;

	if (dm_raid_places(sb) != look->places)
		return differs(look, look->newest, "devices", dm_raid_places(sb), look->places,
			       error);
	if (sb->new_level != shape->level)
		return differs(look, look->newest, "the new level",
			       (uint64_t)(int64_t)sb->new_level, (uint64_t)(int64_t)shape->level,
			       error);
	if (sb->new_layout != shape->layout)
		return differs(look, look->newest, "the new layout", sb->new_layout, shape->layout,
			       error);
	if (sb->new_stripe_sectors != shape->chunk >> MD_SECTOR_SHIFT)
		return differs(look, look->newest, "new stripe sectors", sb->new_stripe_sectors,
			       shape->chunk >> MD_SECTOR_SHIFT, error);
	if (is_reshaped_to_itself(sb))
		return said_to_be_over(look, look->newest, error);
	return 0;
}

/* Those that come and go are behind all others. */
static unsigned places_without(const struct dm_look *look, bool added)
{
	unsigned places = look->places;

	while (places &&
	       (added ? look->components[places - 1].added : look->components[places - 1].removed))
		places--;
	return places;
}

static bool has_shape(const struct dm_look *look, const struct dm_raid_superblock *sb)
{
	const struct raid_shape *shape = look->shape;

	return sb->devices == places_without(look, false) && sb->level == shape->level &&
	       sb->layout == shape->layout && sb->stripe_sectors == shape->chunk >> MD_SECTOR_SHIFT;
}

static uint64_t sectors_in(const struct dm_look *look, int level, uint32_t layout, uint32_t chunk,
			   uint32_t places)
{
	return raid_geometry_array_sectors(level, layout, chunk, places, look->sectors);
}

/* Where a reshape is at its beginning. */
static uint64_t start_of(const struct dm_look *look, const struct dm_raid_superblock *sb)
{
	if (!(sb->flags & DM_RAID_RESHAPE_BACKWARDS))
		return 0;
	return MIN(sectors_in(look, sb->level, sb->layout, sb->stripe_sectors,
			      sb->devices - (uint32_t)sb->delta_disks),
		   sectors_in(look, sb->new_level, sb->new_layout, sb->new_stripe_sectors,
			      sb->devices));
}

/* As dm-raid does what lvm2 tells it: with more members upwards, with fewer downwards, else to the other end of the room. */
static int begin(struct dm_look *look, struct error *error)
{
	const struct raid_shape *shape = look->shape;
	const struct dm_raid_superblock *sb = &look->found[look->newest];
	uint64_t at = shape->begins_at >> MD_SECTOR_SHIFT, room = shape->room >> MD_SECTOR_SHIFT;
	unsigned places = places_without(look, false), before = places_without(look, true);
	bool fewer = places < look->places, more = before < look->places;
	bool up = more || (!fewer && sb->data_offset);
	struct dm_raid_superblock *first = &look->first;

	if (sb->level != shape->level || sb->devices != before || (more && fewer))
		return differs(look, look->newest, "devices", sb->devices, before, error);
	if (!at || at > room)
		return error_set(error, -EINVAL,
				 "%s: a reshape is to begin, data offset is %llu sectors, expected "
				 "up to %llu",
				 shape->name, (unsigned long long)at, (unsigned long long)room);
	*first = *sb;
	first->compatible = DM_RAID_V190;
	first->flags = DM_RAID_RESHAPE_ACTIVE | (up ? 0 : DM_RAID_RESHAPE_BACKWARDS);
	first->data_offset = up ? more ? at : sb->data_offset : 0;
	first->new_data_offset = up ? 0 : at;
	first->devices = places;
	first->delta_disks = (int32_t)places - (int32_t)before;
	first->new_level = shape->level;
	first->new_layout = shape->layout;
	first->new_stripe_sectors = (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT);
	first->reshape_position = start_of(look, first);
	look->begins = look->reshaping = true;
	return 0;
}

/* While it is reshaped places are as the volume group has them, too; one that was left at the end has none. */
static int check_place(const struct dm_look *look, unsigned place, struct error *error)
{
	uint32_t position = look->found[place].position;

	if (position == place || position == DM_RAID_NO_PLACE || look->shape->level == 1)
		return 0;
	return differs(look, place, "the place", position, place, error);
}

/* All images have as much room, and their data go from one end of it to the other at once: dm-raid would take what one of them says for itself. */
static int check_move(const struct dm_look *look, unsigned place, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[place],
					*newest = &look->found[look->newest];

	if (sb->data_offset != newest->data_offset)
		return differs(look, place, "data offset", sb->data_offset, newest->data_offset,
			       error);
	if (sb->new_data_offset != newest->new_data_offset)
		return differs(look, place, "new data offset", sb->new_data_offset,
			       newest->new_data_offset, error);
	return 0;
}

/* One that is further behind than an update that was cut off is left out, or filled anew (assemble_members.c). */
static int check_one(const struct dm_look *look, unsigned place, struct error *error)
{
	const struct dm_raid_superblock *sb = &look->found[place],
					*newest = &look->found[look->newest];
	bool ends = sb->flags & DM_RAID_RESHAPE_ACTIVE;
	int rc = check_offsets(look, place, error);

	if (rc || sb->events + 1 < newest->events)
		return rc;
	if (sb->events == newest->events && ends != !!(newest->flags & DM_RAID_RESHAPE_ACTIVE))
		return differs(look, place, "flags", sb->flags, newest->flags, error);
	if (look->reshaping || ends) {
		rc = check_place(look, place, error);
		return rc || !look->reshaping || !ends ? rc : check_move(look, place, error);
	}
	rc = check(look, place, error);
	/* Before one begins dm-raid may have noted where it is to go. */
	if (!rc && (sb->compatible & DM_RAID_V190) && look->shape->level > 1 &&
	    !look->shape->begins && sb->new_data_offset != sb->data_offset)
		rc = said_to_be_over(look, place, error);
	if (!rc && sb->data_offset != newest->data_offset)
		rc = differs(look, place, "data offset", sb->data_offset, newest->data_offset,
			     error);
	return rc;
}

/* Which shape it is in. A member may have missed that a reshape began or ended: each says what is so for itself (assemble_members.c). */
int dm_check_superblocks(struct dm_look *look, struct error *error)
{
	int rc = 0;

	find_newest(look);
	if (look->shape->level && (look->found[look->newest].flags & DM_RAID_RESHAPE_ACTIVE)) {
		look->reshaping = true;
		rc = check_reshape(look, error);
	} else if (look->shape->begins && dm_has_superblock(look, look->newest) &&
		   !has_shape(look, &look->found[look->newest])) {
		rc = begin(look, error);
	} else {
		look->places = places_without(look, false);
		rc = look->places ? 0
				  : error_set(error, -EINVAL, "%s: all of its components are to go",
					      look->shape->name);
	}
	for (unsigned i = 0; !rc && i < look->places; i++)
		if (dm_has_superblock(look, i))
			rc = check_one(look, i, error);
	return rc;
}

/* What a component's superblock says of reshapes, or is to say: one may have missed the beginning. */
static const struct dm_raid_superblock *shape_of(const struct dm_look *look, unsigned place)
{
	const struct dm_raid_superblock *newest = &look->found[look->newest];
	const struct dm_raid_superblock *own =
		dm_has_superblock(look, place) ? &look->found[place] : newest;

	if (look->begins)
		return &look->first;
	if (look->shape->begins && look->reshaping && !(own->flags & DM_RAID_RESHAPE_ACTIVE) &&
	    newest->reshape_position == start_of(look, newest))
		return newest;
	return own;
}

/* The room was taken from before the data. */
static bool moves_to_zero(const struct dm_look *look)
{
	return look->shape->begins && !look->shape->begins_at && !look->reshaping;
}

/* Until it is over level, layout and chunk are the old ones. */
static void put_reshape(const struct dm_raid_superblock *found, struct md_superblock *sb)
{
	sb->features |= MD_FEATURE_RESHAPE;
	if (found->flags & DM_RAID_RESHAPE_BACKWARDS)
		sb->features |= MD_FEATURE_RESHAPE_BACKWARDS;
	sb->level = found->level;
	sb->layout = found->layout;
	sb->chunk_sectors = found->stripe_sectors;
	sb->new_level = found->new_level;
	sb->new_layout = found->new_layout;
	sb->new_chunk_sectors = found->new_stripe_sectors;
	sb->raid_disks = found->devices;
	sb->delta_disks = found->delta_disks;
	sb->reshape_position = found->reshape_position;
	sb->new_offset = (int32_t)((int64_t)found->new_data_offset - (int64_t)found->data_offset);
	if (sb->new_offset)
		sb->features |= MD_FEATURE_NEW_OFFSET;
}

bool dm_same_shape(const struct dm_look *look, unsigned place)
{
	const struct dm_raid_superblock *a = &look->found[place], *b = &look->found[look->newest];

	if (look->shape->level == RAID_LEVEL_1)
		return true;
	return !look->reshaping && !(a->flags & DM_RAID_RESHAPE_ACTIVE) &&
	       a->devices == b->devices && a->layout == b->layout &&
	       a->stripe_sectors == b->stripe_sectors && a->data_offset == b->data_offset;
}

void dm_put_shape(const struct dm_look *look, unsigned place, struct md_superblock *sb)
{
	const struct dm_raid_superblock *found = shape_of(look, place);

	sb->data_offset = moves_to_zero(look) ? 0 : found->data_offset;
	if (sb->level && (found->flags & DM_RAID_RESHAPE_ACTIVE))
		put_reshape(found, sb);
}

bool dm_shape_is_told(const struct dm_look *look)
{
	return look->begins || moves_to_zero(look);
}
