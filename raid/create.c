/* SPDX-License-Identifier: BSD-2-Clause */
/* New arrays. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "raid/create_plan.h"
#include "raid/intent.h"
#include "raid/members.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

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
		return raid_create_too_small(new->block, md_layout_least_sectors(&plan->layout),
					     error);
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

/* Where one cannot have a superblock there is no array, and the others are members of none. What cannot be erased stays, and is told. */
static void unmake(struct raid_array *array, struct error *error)
{
	list_for_each(at, &array->members) {
		struct block *block = list_entry(at, struct raid_member, node)->block;

		if (raid_erase(block, NULL))
			error_advise(error,
				     "%s may say all the same that it is a member of %s: `tenon "
				     "raid zero %s`, once it can be written",
				     block->name, array->block.name, block->name);
	}
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
	if (rc)
		error_set(error, rc, "%s: its superblocks cannot be written: %s", array->block.name,
			  error_name(rc));
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_FAULTY)
			rc = error_set(error, -EIO, "%s: %s", member->block->name, member->reason);
	}
	if (rc)
		unmake(array, error);
	return rc;
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
	int rc = raid_create_plan_name(options, set_name, error);

	if (!rc)
		rc = raid_create_plan_level(options->level, error);
	return rc ? rc : raid_create_plan_geometry(options, &plan, error);
}

int raid_create_check(const struct raid_new_member *members, unsigned count,
		      const struct raid_create_options *options, struct error *error)
{
	struct raid_create_plan plan = { 0 };
	char set_name[RAID_NAME_SIZE];
	int rc = raid_create_plan_name(options, set_name, error);

	return rc ? rc : raid_create_plan_array(members, count, options, &plan, error);
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
	rc = raid_create_plan_name(options, sb->set_name, error);
	if (!rc)
		rc = raid_create_plan_array(members, count, options, &plan, error);
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
