/* SPDX-License-Identifier: BSD-2-Clause */
/* New arrays. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "raid/intent.h"
#include "raid/md_layout.h"
#include "raid/members.h"
#include "raid/rebuild.h"
#include "util/bytes.h"
#include "util/size.h"

#define BITMAP_AUTO_SECTORS (100ull << 21) /* members of more than 100 GiB get one, as with mdadm */
#define SIZE_UNIT           128u /* mdadm rounds sizes down to 64 KiB, where there are no chunks */
#define LEAST_DATA_SECTORS  128u

struct raid_create_plan {
	struct md_layout layout;
	struct raid_geometry geometry;
	unsigned places, spares, present; /* present: places with a device */
	unsigned journals;
};

static int check_counts(const struct raid_new_member *members, unsigned count,
			struct raid_create_plan *plan, struct error *error)
{
	for (unsigned i = 0; i < count; i++) {
		if (members[i].spare && !members[i].block)
			return error_set(error, -EINVAL, "a spare cannot be missing");
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

static int check_name(const struct raid_create_options *options, char set_name[RAID_NAME_SIZE],
		      struct error *error)
{
	const char *name = options->name, *host = options->homehost;
	int length;

	if (!name || !*name)
		return error_set(error, -EINVAL, "an array needs a name");
	if (strpbrk(name, "/:") || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(error, -EINVAL, "the name \"%s\" has a '/' or ':' in it", name);
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

static int too_small(const struct block *block, uint64_t sectors, struct error *error)
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

/* Level, chunk and layout. */
static int plan_geometry(const struct raid_create_options *options, struct raid_create_plan *plan,
			 struct error *error)
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
	if (has_chunks(g->level) &&
	    (g->chunk_sectors < 8 || g->chunk_sectors > 1u << 22 ||
	     !is_power_of_two(g->chunk_sectors) || options->chunk % MD_SECTOR_SIZE))
		return error_set(
			error, -EINVAL,
			"a chunk of %llu bytes, expected a power of two from 4 KiB to 2 GiB",
			(unsigned long long)options->chunk);
	rc = raid_geometry_layout_parse(g->level, options->layout, &g->layout, error);
	return rc ? rc
		  : raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);
}

/* How much of each member is used; levels that map use all of each. */
static int plan_member_size(const struct raid_create_options *options, const struct block *smallest,
			    uint64_t available, struct raid_create_plan *plan, struct error *error)
{
	const struct raid_geometry *g = &plan->geometry;
	uint64_t unit = g->chunk_sectors ? g->chunk_sectors : SIZE_UNIT;
	uint64_t least = MAX(LEAST_DATA_SECTORS, unit), *size = &plan->layout.size;

	if (available < least)
		return too_small(smallest, plan->layout.data_offset + least + 64, error);
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

#define PPL_SECTORS 2048u /* as mdadm; the size that a superblock can name is 16 bits */
#define PPL_DATA    4096u /* where data begin at least, behind superblock, log and bad-block log */

/* A partial parity log behind the superblock; *available shrinks. */
static int plan_ppl(struct raid_create_plan *plan, uint64_t *available, struct error *error)
{
	struct md_layout *layout = &plan->layout;
	uint64_t more = layout->data_offset < PPL_DATA ? PPL_DATA - layout->data_offset : 0;

	if (plan->geometry.level != RAID_LEVEL_5 || layout->minor_version == 0)
		return error_set(error, -EINVAL,
				 "a partial parity log at level %d with superblock 1.%u, expected "
				 "level 5 and "
				 "1.1 or 1.2",
				 plan->geometry.level, layout->minor_version);
	layout->ppl_sectors = PPL_SECTORS;
	layout->bitmap_offset = MD_SUPERBLOCK_SECTORS;
	layout->data_offset += more;
	*available = *available > more ? *available - more : 0;
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
	rc = options->bitmap == RAID_BITMAP_PPL ? plan_ppl(plan, &available, error) : 0;
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

static int check_level(int level, struct error *error)
{
	char name[16];

	return raid_level_ops_find(level)
		       ? 0
		       : error_set(error, -EOPNOTSUPP,
				   "%s arrays cannot be created, expected linear, raid0, raid1, "
				   "raid4, raid5, raid6 or raid10",
				   raid_level_name(level, name));
}

static int plan_array(const struct raid_new_member *members, unsigned count,
		      const struct raid_create_options *options, struct raid_create_plan *plan,
		      struct error *error)
{
	const struct raid_level_ops *ops = raid_level_ops_find(options->level);
	int rc = check_level(options->level, error);

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
		rc = plan_geometry(options, plan, error);
	if (!rc)
		rc = check_missing(members, count, plan, error);
	if (!rc)
		rc = plan_size(members, count, options, plan, error);
	return rc;
}

static int lay_out(const struct raid_new_member *new, const struct raid_create_plan *plan,
		   struct md_superblock *sb)
{
	uint64_t sectors = new->block->size >> MD_SECTOR_SHIFT;

	return new->journal ? md_layout_journal(plan->layout.minor_version, sectors, sb)
			    : md_layout_apply(&plan->layout, sectors, sb);
}

static int add_member(struct raid_array *array, const struct raid_new_member *new,
		      const struct raid_create_plan *plan, uint32_t number, struct error *error)
{
	struct raid_member *member;
	int rc;

	if (!new->block)
		return 0;
	member = raid_member_new(array, new->block, NULL);
	if (!member)
		return error_set(error, -ENOMEM, "out of memory");
	rc = lay_out(new, plan, &member->sb);
	if (rc)
		return too_small(new->block, md_layout_least_sectors(&plan->layout), error);
	member->sb.dev_number = number;
	member->sb.devflags = (uint8_t)((new->write_mostly ? MD_DEVICE_WRITE_MOSTLY : 0) |
					(new->failfast ? MD_DEVICE_FAILFAST : 0));
	raid_device_uuid(member->sb.device_uuid);
	if (new->journal) {
		member->state = RAID_MEMBER_JOURNAL;
		array->journal = member;
	} else if (!new->spare)
		raid_member_place(member, (int)number, RAID_MEMBER_IN_SYNC);
	return 0;
}

/* Places take the first numbers, spares those after. */
static int add_members(struct raid_array *array, const struct raid_new_member *members,
		       unsigned count, const struct raid_create_plan *plan, struct error *error)
{
	uint32_t place = 0, spare = plan->places;
	int rc = 0;

	for (unsigned i = 0; !rc && i < count; i++)
		rc = add_member(array, &members[i], plan,
				members[i].spare || members[i].journal ? spare++ : place++, error);
	return rc;
}

static int erase_members(struct raid_array *array, struct error *error)
{
	int rc = 0;

	list_for_each(at, &array->members) {
		if (!rc)
			rc = raid_erase_but(list_entry(at, struct raid_member, node)->block,
					    (int)array->minor_version, error);
	}
	return rc;
}

/* Bitmaps first, so that no superblock speaks of one that is not there; a spare's does, too. */
static int write_all(struct raid_array *array, struct error *error)
{
	int rc;

	rc = erase_members(array, error);
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (rc || !array->intent)
			break;
		rc = raid_intent_write_all(array->intent, member);
		if (rc)
			error_set(error, rc, "%s: its bitmap cannot be written: %s",
				  member->block->name, error_name(rc));
	}
	if (rc)
		return rc;
	rc = raid_super_update(array);
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_FAULTY)
			return error_set(error, -EIO, "%s: %s", member->block->name,
					 member->reason);
	}
	return rc ? error_set(error, rc, "%s: its superblocks cannot be written: %s",
			      array->block.name, error_name(rc))
		  : 0;
}

/* Members of RAID0 that differ make several zones, for which the superblock must say how; else it says nothing. */
static void set_raid0_layout(struct raid_array *array)
{
	uint64_t least = UINT64_MAX, most = 0;

	if (array->now.level != RAID_LEVEL_0)
		return;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		uint64_t chunks = array->places[i].member->sb.data_size / array->now.chunk_sectors;

		least = MIN(least, chunks);
		most = MAX(most, chunks);
	}
	if (least == most) {
		array->now.layout = 0;
		return;
	}
	array->features |= MD_FEATURE_RAID0_LAYOUT;
	if (!array->now.layout)
		array->now.layout = RAID0_LAYOUT_ORIGINAL;
}

static int check_start(struct raid_array *array, struct error *error)
{
	set_raid0_layout(array);
	return raid_array_start_level(array, error);
}

/* Logs are there, and empty, before a superblock speaks of them. */
static int prepare_members(struct raid_array *array, struct error *error)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);
		int rc = array->level->prepare ? array->level->prepare(member) : 0;

		if (rc)
			return error_set(error, rc, "%s: its log cannot be written: %s",
					 member->block->name, error_name(rc));
	}
	return 0;
}

static int make(struct raid_array *array, const struct raid_new_member *members, unsigned count,
		const struct raid_create_options *options, const struct raid_create_plan *plan,
		struct error *error)
{
	int rc = add_members(array, members, count, plan, error);
	bool clean = options->assume_clean || raid_level_maps(array->level) ||
		     (!rc && array->level->agrees && array->level->agrees(array));

	array->resync_position = array->resync_checkpoint = clean ? MD_RESYNC_DONE : 0;
	if (plan->layout.ppl_sectors)
		array->features |= MD_FEATURE_MULTIPLE_PPLS;
	if (plan->journals)
		array->features |= MD_FEATURE_JOURNAL;
	if (!rc)
		rc = check_start(array, error);
	if (!rc)
		rc = prepare_members(array, error);
	if (rc)
		return rc;
	if (plan->layout.bitmap_chunk) {
		rc = raid_intent_create(array, plan->layout.bitmap_chunk, !clean);
		if (rc)
			return error_set(error, rc, "out of memory");
	}
	rc = write_all(array, error);
	if (rc)
		return rc;
	array->rebuild.disabled = options->no_resync;
	raid_rebuild_set_rate(array, options->rebuild_rate);
	raid_array_start(array, false);
	return 0;
}

int raid_create_check_options(const struct raid_create_options *options, unsigned places,
			      struct error *error)
{
	struct raid_create_plan plan = { .places = places };
	char set_name[RAID_NAME_SIZE];
	int rc = check_name(options, set_name, error);

	if (!rc)
		rc = check_level(options->level, error);
	return rc ? rc : plan_geometry(options, &plan, error);
}

int raid_create_check(const struct raid_new_member *members, unsigned count,
		      const struct raid_create_options *options, struct error *error)
{
	struct raid_create_plan plan = { 0 };
	char set_name[RAID_NAME_SIZE];
	int rc = check_name(options, set_name, error);

	return rc ? rc : plan_array(members, count, options, &plan, error);
}

int raid_create(struct raid_array **out, const struct raid_new_member *members, unsigned count,
		const struct raid_create_options *options, struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = calloc(1, sizeof(*sb));
	struct raid_create_plan plan = { 0 };
	struct raid_array *array;
	int rc;

	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	rc = check_name(options, sb->set_name, error);
	if (!rc)
		rc = plan_array(members, count, options, &plan, error);
	if (rc)
		return rc;
	if (options->uuid)
		memcpy(sb->set_uuid, options->uuid, sizeof(sb->set_uuid));
	else
		raid_device_uuid(sb->set_uuid);
	sb->minor_version = plan.layout.minor_version;
	sb->level = options->level;
	sb->raid_disks = plan.places;
	sb->max_dev = md_layout_max_dev(plan.places + plan.spares + plan.journals);
	sb->size = plan.layout.size;
	sb->layout = plan.geometry.layout;
	sb->chunk_sectors = plan.geometry.chunk_sectors;
	sb->ctime = options->now ? options->now : (uint64_t)time(NULL);
	array = raid_array_new(sb, options->log, options->now);
	if (!array)
		return error_set(error, -ENOMEM, "out of memory");
	rc = make(array, members, count, options, &plan, error);
	if (rc) {
		raid_array_destroy(array);
		return rc;
	}
	*out = array;
	return 0;
}
