/* SPDX-License-Identifier: BSD-2-Clause */
/* What a new array is to be; see create_plan.h. Layouts and sizes are mdadm's. */
#include "raid/create_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/md_ppl.h"
#include "raid/parity.h"
#include "util/bytes.h"
#include "util/size.h"

#define BITMAP_AUTO_SECTORS (100ull << 21) /* members of more than 100 GiB get one, as with mdadm */
#define SIZE_UNIT           128u /* mdadm rounds sizes down to 64 KiB, where there are no chunks */
#define LEAST_DATA_SECTORS  128u

static int check_counts(const struct raid_new_member *members, unsigned count,
			struct raid_create_plan *plan, struct error *error)
{
	for (unsigned i = 0; i < count; i++) {
		if (members[i].spare && !members[i].block)
			return error_set(error, -EINVAL, "a spare cannot be missing");
		if (members[i].journal && !members[i].block)
			return error_set(error, -EINVAL, "a write journal cannot be missing");
		if (members[i].journal) {
			plan->journals++;
			continue;
		}
		if (members[i].spare) {
			plan->spares++;
			continue;
		}
		plan->places++;
		plan->present += members[i].block != NULL;
	}
	if (!plan->places || plan->places + plan->spares + plan->journals > MD_MAX_DEVICES)
		return error_set(error, -EINVAL, "%u members, expected 1 to %u", plan->places,
				 MD_MAX_DEVICES);
	if (!plan->present)
		return error_set(error, -EINVAL, "all members are missing, expected one or more");
	return 0;
}

static int check_members(const struct raid_new_member *members, unsigned count, struct error *error)
{
	for (unsigned i = 0; i < count; i++) {
		const struct block *block = members[i].block;

		if (!block)
			continue;
		if (block->read_only)
			return error_set(error, -EROFS, "%s is opened read-only", block->name);
		for (unsigned j = 0; j < i; j++) {
			if (members[j].block == block ||
			    (members[j].block && !strcmp(members[j].block->name, block->name)))
				return error_set(error, -EINVAL, "%s is given twice", block->name);
		}
	}
	return 0;
}

static bool has_blanks(const char *word)
{
	for (; *word; word++)
		if ((unsigned char)*word <= ' ' || *word == 0x7f)
			return true;
	return false;
}

int raid_create_plan_name(const struct raid_create_options *options, char set_name[RAID_NAME_SIZE],
			  struct error *error)
{
	const char *name = options->name, *host = options->homehost;
	int length;

	if (!name || !*name)
		return error_set(error, -EINVAL, "an array needs a name");
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(error, -EINVAL, "the name \"%s\" is that of a folder", name);
	if (strpbrk(name, "/:")) {
		error_set(error, -EINVAL, "the name \"%s\" has a '/' or ':' in it", name);
		error_advise(error, "give a name alone, such as r0 for /dev/md/r0; the host before "
				    "the colon is --homehost");
		return -EINVAL;
	}
	if (host && strpbrk(host, "/:"))
		return error_set(error, -EINVAL, "the host \"%s\" has a '/' or ':' in it", host);
	if (has_blanks(name) || (host && has_blanks(host)))
		return error_set(error, -EINVAL, "the %s has a space or control character in it",
				 has_blanks(name) ? "name" : "host");
	length = host && *host ? snprintf(set_name, RAID_NAME_SIZE, "%s:%s", host, name)
			       : snprintf(set_name, RAID_NAME_SIZE, "%s", name);
	/* As mdadm: a host that does not fit is left out. */
	if (length > 31 && host && *host)
		length = snprintf(set_name, RAID_NAME_SIZE, "%s", name);
	if (length > 32)
		return error_set(error, -EINVAL,
				 "the name \"%s\" has %d characters, expected at "
				 "most 32",
				 name, length);
	return 0;
}

int raid_create_too_small(const struct block *block, uint64_t sectors, struct error *error)
{
	char has[SIZE_TEXT], needs[SIZE_TEXT];

	error_set(error, -ENOSPC, "%s has %s (%llu bytes), expected at least %s", block->name,
		  size_format(block->size, has), (unsigned long long)block->size,
		  size_format(sectors << MD_SECTOR_SHIFT, needs));
	return -ENOSPC;
}

#define CHUNK_USUAL 1024u /* sectors: mdadm's 512 KiB */

static bool has_chunks(int level)
{
	return level != RAID_LEVEL_1 && level != RAID_LEVEL_LINEAR;
}

/* Where more members are all that is wanted. */
static void advise_more(const struct raid_geometry *g, struct error *error)
{
	uint32_t disks = g->disks;

	while (++disks <= RAID_PARITY_SLOTS_Q)
		if (!raid_geometry_check(g->level, g->layout, g->chunk_sectors, disks, NULL)) {
			error_advise(error,
				     "%u named: name %u or more devices, or \"missing\" for one "
				     "that comes later",
				     g->disks, disks);
			return;
		}
}

/* md's raid0 divides by it, the others shift. */
static bool is_good_chunk(const struct raid_geometry *g, uint64_t bytes)
{
	uint32_t sectors = g->chunk_sectors;

	return sectors >= 8 && sectors <= 1u << 22 && !(bytes % MD_SECTOR_SIZE) &&
	       (g->level == RAID_LEVEL_0 ? sectors % 8 == 0 : is_power_of_two(sectors));
}

/* Level, chunk and layout. */
int raid_create_plan_geometry(const struct raid_create_options *options,
			      struct raid_create_plan *plan, struct error *error)
{
	struct raid_geometry *g = &plan->geometry;
	int rc;

	g->level = options->level;
	g->disks = plan->places;
	if (has_chunks(g->level))
		g->chunk_sectors = options->chunk ? (uint32_t)MIN(options->chunk >> MD_SECTOR_SHIFT,
								  UINT32_MAX)
						  : CHUNK_USUAL;
	else if (options->chunk)
		return error_set(error, -EINVAL, "a chunk of %llu bytes, expected none at %s",
				 (unsigned long long)options->chunk,
				 g->level == RAID_LEVEL_1 ? "raid1" : "linear");
	if (has_chunks(g->level) && !is_good_chunk(g, options->chunk))
		return error_set(error, -EINVAL, "a chunk of %llu bytes, expected a %s to 2 GiB",
				 (unsigned long long)options->chunk,
				 g->level == RAID_LEVEL_0 ? "multiple of 4 KiB up"
							  : "power of two from 4 KiB");
	rc = raid_geometry_layout_parse(g->level, options->layout, &g->layout, error);
	if (rc)
		return rc;
	rc = raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);
	if (rc)
		advise_more(g, error);
	return rc;
}

/* How much of each member is used; levels that map use all of each. */
static int plan_member_size(const struct raid_create_options *options, const struct block *smallest,
			    uint64_t available, struct raid_create_plan *plan, struct error *error)
{
	const struct raid_geometry *g = &plan->geometry;
	uint64_t unit = g->chunk_sectors ? g->chunk_sectors : SIZE_UNIT;
	uint64_t least = MAX(LEAST_DATA_SECTORS, unit), *size = &plan->layout.size;

	if (available < least)
		return raid_create_too_small(smallest, plan->layout.data_offset + least + 64,
					     error);
	if (raid_level_maps(raid_level_ops_find(g->level)))
		return options->size ? error_set(error, -EINVAL,
						 "a size of the members, expected none at this "
						 "level: it uses all of each")
				     : 0;
	*size = available;
	if (options->size) {
		*size = options->size >> MD_SECTOR_SHIFT;
		if (*size < least || *size > available)
			return error_set(
				error, -ENOSPC,
				"%llu bytes of each member, expected %llu to the %llu that "
				"%s has for data",
				(unsigned long long)options->size,
				(unsigned long long)least * MD_SECTOR_SIZE,
				(unsigned long long)available << MD_SECTOR_SHIFT, smallest->name);
	}
	*size = round_down(*size, unit);
	plan->geometry.member_sectors = *size;
	return 0;
}

/* What the bitmap's bits stand for: see level.h. */
static uint64_t sync_sectors(const struct raid_geometry *g)
{
	return g->level == RAID_LEVEL_10
		       ? raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors,
						     g->disks, g->member_sectors)
		       : g->member_sectors;
}

/* A partial parity log next to the superblock, with the log of bad blocks in between where that is at the end. */
static int plan_ppl(struct raid_create_plan *plan, const struct block *smallest,
		    uint64_t *available, struct error *error)
{
	struct md_layout *layout = &plan->layout;
	char level[16];

	if (plan->geometry.level != RAID_LEVEL_5)
		return error_set(error, -EINVAL,
				 "a partial parity log at %s, expected level 5; levels 4 and 6 can "
				 "have a journal",
				 raid_level_name(plan->geometry.level, level));
	layout->ppl_sectors = MD_PPL_SECTORS;
	layout->bitmap_offset = layout->minor_version ? (int32_t)MD_SUPERBLOCK_SECTORS : 0;
	*available = md_layout_data_beside(layout->minor_version, smallest->size >> MD_SECTOR_SHIFT,
					   plan->geometry.chunk_sectors, MD_PPL_SECTORS,
					   &layout->data_offset);
	return 0;
}

/* Where the data start and how much of each member is used: the smallest one decides. */
static int plan_size(const struct raid_new_member *members, unsigned count,
		     const struct raid_create_options *options, struct raid_create_plan *plan,
		     struct error *error)
{
	const struct block *smallest = NULL;
	struct md_layout *layout = &plan->layout;
	uint64_t available;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		if (members[i].block && !members[i].journal &&
		    (!smallest || members[i].block->size < smallest->size))
			smallest = members[i].block;
	}
	available = md_layout_data(layout->minor_version, smallest->size >> MD_SECTOR_SHIFT,
				   plan->geometry.chunk_sectors, &layout->data_offset);
	rc = options->bitmap == RAID_BITMAP_PPL ? plan_ppl(plan, smallest, &available, error) : 0;
	if (!rc)
		rc = plan_member_size(options, smallest, available, plan, error);
	if (rc)
		return rc;
	if (options->bitmap == RAID_BITMAP_INTERNAL ||
	    (options->bitmap == RAID_BITMAP_AUTO && layout->size > BITMAP_AUTO_SECTORS))
		return md_layout_bitmap(layout, sync_sectors(&plan->geometry),
					options->bitmap_chunk, error);
	return 0;
}

/* A level that keeps its data once. */
static int check_map(const struct raid_create_options *options, const struct raid_create_plan *plan,
		     struct error *error)
{
	char name[16];

	raid_level_name(options->level, name);
	if (plan->spares)
		return error_set(error, -EINVAL, "%u spares, expected none: %s has no use for them",
				 plan->spares, raid_level_name(options->level, name));
	if (plan->present < plan->places)
		return error_set(error, -EINVAL,
				 "a missing member, expected all: %s does without none",
				 raid_level_name(options->level, name));
	if (options->bitmap == RAID_BITMAP_INTERNAL)
		return error_set(error, -EINVAL,
				 "a bitmap, expected none: %s has nothing to resync",
				 raid_level_name(options->level, name));
	return 0;
}

/* An array that would lack data from the start. */
static int check_missing(const struct raid_new_member *members, unsigned count,
			 const struct raid_create_plan *plan, struct error *error)
{
	const struct raid_level_ops *level = raid_level_ops_find(plan->geometry.level);
	CLEANUP_FREE struct raid_array *array = calloc(1, sizeof(*array));
	struct raid_set absent = { 0 };
	uint32_t place = 0;
	char name[16];

	if (!array)
		return error_set(error, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < count; i++) {
		if (members[i].spare || members[i].journal)
			continue;
		if (!members[i].block)
			raid_set_add(&absent, place);
		place++;
	}
	array->now = plan->geometry;
	if (level->survives(array, &absent))
		return 0;
	return error_set(error, -EINVAL,
			 "%u of %u members do not hold all data of %s: too many are missing",
			 plan->present, plan->places, raid_level_name(plan->geometry.level, name));
}

/* As md: a journal and a bitmap do not go together. */
static int check_journal(const struct raid_create_options *options,
			 const struct raid_create_plan *plan, struct error *error)
{
	bool wanted = options->bitmap == RAID_BITMAP_JOURNAL;
	char name[16];

	if (wanted && (options->level < RAID_LEVEL_4 || options->level > RAID_LEVEL_6))
		return error_set(error, -EINVAL, "a journal at %s, expected level 4, 5 or 6",
				 raid_level_name(options->level, name));
	if (plan->journals != wanted)
		return error_set(error, -EINVAL, "%u devices for a journal, expected %u",
				 plan->journals, wanted);
	return 0;
}

int raid_create_plan_level(int level, struct error *error)
{
	char name[16];

	return raid_level_ops_find(level)
		       ? 0
		       : error_set(error, -EOPNOTSUPP,
				   "%s arrays cannot be created, expected linear, raid0, raid1, "
				   "raid4, raid5, raid6 or raid10",
				   raid_level_name(level, name));
}

int raid_create_plan_array(const struct raid_new_member *members, unsigned count,
			   const struct raid_create_options *options, struct raid_create_plan *plan,
			   struct error *error)
{
	const struct raid_level_ops *ops = raid_level_ops_find(options->level);
	int rc = raid_create_plan_level(options->level, error);

	if (rc)
		return rc;
	plan->layout.minor_version = options->metadata == RAID_METADATA_1_0   ? 0
				     : options->metadata == RAID_METADATA_1_1 ? 1
									      : 2;
	rc = check_counts(members, count, plan, error);
	if (!rc)
		rc = check_members(members, count, error);
	if (!rc)
		rc = check_journal(options, plan, error);
	if (!rc && raid_level_maps(ops))
		rc = check_map(options, plan, error);
	if (!rc)
		rc = raid_create_plan_geometry(options, plan, error);
	if (!rc)
		rc = check_missing(members, count, plan, error);
	if (!rc)
		rc = plan_size(members, count, options, plan, error);
	return rc;
}
