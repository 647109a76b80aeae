/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spares, and where they go by themselves, as md has it (remove_and_add_spares() of md.c, hot_add_disk() of the levels): to empty places first;
 * then beside members that did not take a write (WantReplacement), which are replaced with redundancy all the time.
 */
#include "raid/spares.h"

#include <errno.h>

#include "raid/intent.h"

struct raid_member *raid_spare_find(struct raid_array *array, const struct block *with)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state == RAID_MEMBER_SPARE && (!with || member->block == with) &&
		    member->sb.data_size >= array->now.member_sectors)
			return member;
	}
	return NULL;
}

/* ---- Empty places ---- */

static bool use_spare(struct raid_array *array, uint32_t place)
{
	struct raid_member *spare = raid_spare_find(array, NULL);

	if (!spare)
		return false;
	spare->recovered = spare->checkpoint = spare->full_from = 0;
	raid_member_place(spare, (int)place, RAID_MEMBER_REBUILDING);
	return true;
}

/* What a spare's bitmap and log have is of another time; md leaves it to whoever uses the spare. */
static void prepare_member(struct raid_array *array, struct raid_member *member)
{
	int rc = 0;

	raid_member_hold(member);
	if (array->intent)
		rc = raid_intent_write_all(array->intent, member);
	if (!rc && array->level->prepare)
		rc = array->level->prepare(member);
	if (rc)
		raid_member_fail(member, "bitmap or log not written: %s",
				 raid_member_trouble(member, rc));
	raid_member_release(member);
}

/* The superblocks know a new member before it is written to, and it has the bitmap. */
static int fill_places(struct raid_array *array)
{
	bool used = false;

	for (uint32_t i = 0; i < array->now.disks; i++)
		used = (!array->places[i].member && use_spare(array, i)) || used;
	if (!used)
		return 0;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		struct raid_member *member = array->places[i].member;

		if (member && member->state == RAID_MEMBER_REBUILDING)
			prepare_member(array, member);
	}
	return raid_super_update(array);
}

/* ---- Beside members ---- */

int raid_spare_put_beside(struct raid_array *array, const struct raid_member *member,
			  struct raid_member *spare, struct error *error)
{
	int rc;

	raid_member_replace(spare, member->role);
	raid_member_hold(spare);
	rc = array->intent ? raid_intent_write_all(array->intent, spare) : 0;
	if (!rc && array->level->prepare && raid_member_active(spare))
		rc = array->level->prepare(spare);
	if (!rc && raid_member_active(spare))
		rc = raid_member_announce(spare);
	if (rc)
		raid_member_fail(spare, "superblock not written: %s",
				 raid_member_trouble(spare, rc));
	raid_member_release(spare);
	rc = raid_super_update(array);
	if (!raid_member_active(spare))
		return error_set(error, -EIO, "%s: %s", spare->block->name, spare->reason);
	if (rc)
		return error_set(error, rc, "%s: superblocks cannot be written: %s",
				 array->block.name, error_name(rc));
	log_info(array->log, "%s: %s is being replaced by %s", array->block.name,
		 member->block->name, spare->block->name);
	return 0;
}

/* One that did not take a write, and is not being replaced. */
static struct raid_member *find_wanting(const struct raid_array *array)
{
	if (!array->metadata->replacements || raid_level_maps(array->level) || array->reshaping ||
	    raid_array_degraded(array))
		return NULL;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_place *place = &array->places[i];

		if (place->member->wants_replacement && !place->replacement)
			return place->member;
	}
	return NULL;
}

bool raid_spares_wanted(struct raid_array *array)
{
	return find_wanting(array) && raid_spare_find(array, NULL);
}

int raid_spares_use(struct raid_array *array)
{
	struct raid_member *member, *spare;
	int rc = fill_places(array);

	while (!rc && (member = find_wanting(array)) && (spare = raid_spare_find(array, NULL))) {
		/* Both may be failed and removed meanwhile. */
		raid_member_hold(member);
		raid_member_hold(spare);
		rc = raid_spare_put_beside(array, member, spare, NULL);
		/* There may be another one. */
		if (rc && !raid_member_active(spare))
			rc = 0;
		raid_member_release(spare);
		raid_member_release(member);
	}
	return rc;
}
