/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID0 and linear: pure maps. Nothing of them is ever dirty, and none of their members can be missing.
 *
 * Members may differ in size. RAID0 goes round all of them as far as the smallest reaches (the first zone), then
 * round those that are left as far as the smallest of those reaches, and so on. Which member a later zone begins
 * with has been answered in two ways, and the superblock says which (MD_FEATURE_RAID0_LAYOUT): by the
 * number of the chunk in the array (original), or in the zone (alternate). With one zone they are the same.
 *
 * Sources: create_strip_zones(), map_sector() in drivers/md/raid0.c, linear_conf() in drivers/md/md-linear.c of Linux
 * 6.1, and arrays that it made (tests/guest/raid_levels_test.sh).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "util/bytes.h"

/* Sectors; those of a member are counted from the start of its data. */
struct zone {
	uint64_t start, end;   /* of the array */
	uint64_t member_start; /* the same on each of its members */
	uint32_t first, count; /* its members: so many of map.roles */
};

struct map {
	uint32_t chunk;      /* sectors; linear: 0 */
	bool by_array_chunk; /* layout "original" */
	uint32_t zone_count;
	uint32_t *roles;
	struct zone zones[]; /* in order */
};

static struct map *map_of(const struct raid_array *array)
{
	return array->level_state;
}

/* What of a member is used. */
static uint64_t usable(const struct raid_array *array, uint32_t role)
{
	const struct raid_member *member = array->places[role].member;
	uint32_t chunk = array->now.chunk_sectors;
	uint64_t sectors = member ? member->sb.data_size : 0;

	return chunk ? sectors - sectors % chunk : sectors;
}

static struct map *map_new(uint32_t zones, size_t roles)
{
	struct map *map = calloc(1, sizeof(*map) + zones * sizeof(map->zones[0]));

	if (!map)
		return NULL;
	map->roles = calloc(roles, sizeof(*map->roles));
	if (map->roles)
		return map;
	free(map);
	return NULL;
}

static void map_stop(struct raid_array *array)
{
	struct map *map = map_of(array);

	if (map)
		free(map->roles);
	free(map);
	array->level_state = NULL;
}

/* Without one of its members there is no size, and no array. */
static bool map_survives(const struct raid_array *array, const struct raid_set *absent)
{
	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (raid_set_has(absent, i))
			return false;
	}
	return true;
}

/* The smallest end of a member behind `start`; 0: there is none. */
static uint64_t next_end(const struct raid_array *array, uint64_t start)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < array->now.disks; i++) {
		uint64_t sectors = usable(array, i);

		if (sectors > start && (!end || sectors < end))
			end = sectors;
	}
	return end;
}

static uint32_t count_zones(const struct raid_array *array)
{
	uint32_t count = 0;

	for (uint64_t end = next_end(array, 0); end; end = next_end(array, end))
		count++;
	return count;
}

/* The array's blocks are as large, or as its superblocks say. */
static uint32_t largest_block(const struct raid_array *array)
{
	uint32_t size = array->block.logical_block_size;

	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (array->places[i].member)
			size = MAX(size, array->places[i].member->block->logical_block_size);
	}
	return size;
}

static int check_sizes(const struct raid_array *array, struct error *error)
{
	uint32_t block_size = largest_block(array);
	uint64_t sum = 0;

	/* As md: a block may not lie on two members. */
	if (array->now.level == RAID_LEVEL_0 &&
	    array->now.chunk_sectors % (block_size / MD_SECTOR_SIZE)) {
		error_set(error, -EINVAL,
			  "%s: its chunk is %u sectors, expected a multiple of %u: the largest "
			  "blocks of its members have %u bytes",
			  array->block.name, array->now.chunk_sectors, block_size / MD_SECTOR_SIZE,
			  block_size);
		error_advise(error, "copy the members to devices with blocks of 512 bytes");
		return -EINVAL;
	}
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_member *member = array->places[i].member;

		if (!member)
			continue;
		if (!usable(array, i))
			return error_set(error, -EINVAL,
					 "%s: %s has %llu sectors for data, expected a chunk of %u",
					 array->block.name, member->block->name,
					 (unsigned long long)member->sb.data_size,
					 array->now.chunk_sectors);
		if (usable(array, i) % (block_size / MD_SECTOR_SIZE))
			return error_set(error, -EINVAL,
					 "%s: %llu sectors of %s are used, expected a multiple of "
					 "%u: a member has blocks of %u bytes",
					 array->block.name, (unsigned long long)usable(array, i),
					 member->block->name, block_size / MD_SECTOR_SIZE,
					 block_size);
		if (__builtin_add_overflow(sum, usable(array, i), &sum) ||
		    sum > (uint64_t)INT64_MAX >> MD_SECTOR_SHIFT)
			return error_set(error, -EINVAL, "%s: its members have too many sectors",
					 array->block.name);
	}
	return 0;
}

/* ---- RAID0 ---- */

/* The kernel refuses to guess, too: the wrong answer mixes up the data behind the first zone. */
static int check_layout(const struct raid_array *array, uint32_t zones, struct error *error)
{
	uint32_t layout = array->features & MD_FEATURE_RAID0_LAYOUT ? array->now.layout : 0;

	if (zones < 2 || layout == RAID0_LAYOUT_ORIGINAL || layout == RAID0_LAYOUT_ALTERNATE)
		return 0;
	error_set(error, -EINVAL,
		  "%s: its members differ in size and its superblocks do not say which of two "
		  "layouts it was written with",
		  array->block.name);
	error_advise(error, "with the kernel's md: mdadm --assemble --update=layout-original, or "
			    "layout-alternate for one that Linux 3.14 to 5.3 made");
	return -EINVAL;
}

static void fill_zones(const struct raid_array *array, struct map *map)
{
	uint64_t at = 0, start = 0, end;
	uint32_t used = 0;

	while ((end = next_end(array, start))) {
		struct zone *zone = &map->zones[map->zone_count++];

		*zone = (struct zone){ .start = at, .member_start = start, .first = used };
		for (uint32_t i = 0; i < array->now.disks; i++) {
			if (usable(array, i) > start)
				map->roles[used++] = i;
		}
		zone->count = used - zone->first;
		at += (end - start) * zone->count;
		zone->end = at;
		start = end;
	}
}

/* As md's raid0_size(), which rounds as if the chunk were a power of two: where it is none, it leaves out some of the last row. */
static uint64_t sectors_of(const struct raid_array *array)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < array->now.disks; i++)
		sum += usable(array, i) & ~(uint64_t)(array->now.chunk_sectors - 1);
	return sum;
}

static int raid0_start(struct raid_array *array, struct error *error)
{
	uint32_t zones = count_zones(array);
	struct map *map;
	int rc = check_sizes(array, error);

	if (!rc)
		rc = check_layout(array, zones, error);
	if (rc)
		return rc;
	map = map_new(zones, (size_t)zones * array->now.disks);
	if (!map)
		return error_set(error, -ENOMEM, "out of memory");
	map->chunk = array->now.chunk_sectors;
	map->by_array_chunk = array->now.layout == RAID0_LAYOUT_ORIGINAL;
	fill_zones(array, map);
	array->sectors = sectors_of(array);
	array->level_state = map;
	return 0;
}

static const struct zone *find_zone(const struct map *map, uint64_t sector)
{
	uint32_t low = 0, high = map->zone_count - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (sector < map->zones[middle].end)
			high = middle;
		else
			low = middle + 1;
	}
	return &map->zones[low];
}

static void extent_at(const struct raid_array *array, uint32_t role, uint64_t sector,
		      uint64_t odd_bytes, struct block_extent *extent)
{
	const struct raid_member *member = array->places[role].member;

	extent->place = BLOCK_BELOW;
	extent->lower = member->block;
	extent->offset = ((member->sb.data_offset + sector) << MD_SECTOR_SHIFT) + odd_bytes;
}

static int raid0_map(struct raid_array *array, enum block_kind kind, uint64_t offset,
		     uint64_t length, struct block_extent *extent)
{
	const struct map *map = map_of(array);
	uint64_t sector = offset >> MD_SECTOR_SHIFT;
	const struct zone *zone = find_zone(map, sector);
	uint64_t inside = sector - zone->start, row = inside / map->chunk / zone->count;
	uint64_t number = (map->by_array_chunk ? sector : inside) / map->chunk;
	/* A zone begins where a chunk does. */
	uint64_t skip = offset - ((sector - inside % map->chunk) << MD_SECTOR_SHIFT);

	(void)kind;
	extent_at(array, map->roles[zone->first + number % zone->count],
		  zone->member_start + row * map->chunk + inside % map->chunk,
		  offset % MD_SECTOR_SIZE, extent);
	extent->length = MIN(length, ((uint64_t)map->chunk << MD_SECTOR_SHIFT) - skip);
	return 0;
}

static void raid0_limits(struct raid_array *array)
{
	uint64_t stripe =
		((uint64_t)array->now.chunk_sectors << MD_SECTOR_SHIFT) * array->now.disks;

	array->block.preferred_io_size = (uint32_t)MIN(stripe, UINT32_MAX);
}

const struct raid_level_ops raid0_ops = {
	.level = RAID_LEVEL_0,
	.start = raid0_start,
	.stop = map_stop,
	.limits = raid0_limits,
	.survives = map_survives,
	.map = raid0_map,
};

/* ---- Linear: each member is a zone of its own ---- */

static int linear_start(struct raid_array *array, struct error *error)
{
	struct map *map;
	uint64_t at = 0;
	int rc = check_sizes(array, error);

	if (rc)
		return rc;
	map = map_new(array->now.disks, array->now.disks);
	if (!map)
		return error_set(error, -ENOMEM, "out of memory");
	map->zone_count = array->now.disks;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		map->roles[i] = i;
		map->zones[i] = (struct zone){
			.start = at, .end = at + usable(array, i), .first = i, .count = 1
		};
		at = map->zones[i].end;
	}
	array->sectors = at;
	array->level_state = map;
	return 0;
}

static int linear_map(struct raid_array *array, enum block_kind kind, uint64_t offset,
		      uint64_t length, struct block_extent *extent)
{
	const struct map *map = map_of(array);
	uint64_t sector = offset >> MD_SECTOR_SHIFT;
	const struct zone *zone = find_zone(map, sector);

	(void)kind;
	extent_at(array, zone->first, sector - zone->start, offset % MD_SECTOR_SIZE, extent);
	extent->length = MIN(length, (zone->end << MD_SECTOR_SHIFT) - offset);
	return 0;
}

const struct raid_level_ops raid_linear_ops = {
	.level = RAID_LEVEL_LINEAR,
	.start = linear_start,
	.stop = map_stop,
	.survives = map_survives,
	.map = linear_map,
};
