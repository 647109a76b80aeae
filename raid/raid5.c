/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels 4, 5 and 6: their table, their health, their state. */
#include "raid/raid5.h"

#include <errno.h>
#include <stdlib.h>

#include "raid/raid5_journal.h"
#include "raid/raid5_ppl.h"
#include "raid/raid5_reshape.h"
#include "util/bytes.h"

static unsigned set_count(const struct raid_set *set, uint32_t places)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < places; i++)
		count += raid_set_has(set, i);
	return count;
}

/* Places that have data: those that are new in a shape have none before anything is moved there, and those that will not be in
 * it have theirs to the end. */
static uint32_t places(const struct raid_array *array)
{
	return array->reshaping && (array->backwards || !array->reshape_position)
		       ? array->before.disks
		       : array->now.disks;
}

static bool is_filling(const struct raid_array *array, uint32_t place)
{
	const struct raid_member *member = array->places[place].member;

	return member && member->state == RAID_MEMBER_REBUILDING;
}

/* In a reshape both shapes need as many: who is being filled has its part of the new one, and nothing of the old one. */
static bool raid5_survives(const struct raid_array *array, const struct raid_set *absent)
{
	unsigned old = 0;

	if (!array->reshaping)
		return set_count(absent, array->now.disks) <= raid5_parities(&array->now);
	for (uint32_t i = 0; i < array->before.disks; i++)
		old += raid_set_has(absent, i) || is_filling(array, i);
	return old <= raid5_parities(&array->before) &&
	       (!raid_reshape_moved(array) ||
		set_count(absent, array->now.disks) <= raid5_parities(&array->now));
}

static bool raid5_has_its_part(const struct raid_member *member)
{
	const struct raid_array *array = member->array;

	return !array->backwards &&
	       member->recovered >= array->reshape_position / raid5_data_disks(&array->now);
}

static unsigned count_absent(const struct raid_array *array)
{
	const struct raid_set absent = raid_array_absent(array);

	return set_count(&absent, places(array));
}

/* Without all members that could be done without, parity is what stands in for data, and is not to be made anew from them. Level 0 on its way has
 * none, unless there will be fewer members. */
static bool raid5_agrees(const struct raid_array *array)
{
	return (raid_is_level_0_on_its_way(array) &&
		!array->places[raid_array_places(array) - 1].member) ||
	       count_absent(array) >= raid5_parities(&array->now);
}

/* Whether there is no data on it, in any row. */
static bool has_only_parity(const struct raid_geometry *g, uint32_t place)
{
	uint32_t last = g->disks - 1, parities = raid5_parities(g);

	if (g->level == RAID_LEVEL_4)
		return place == last;
	switch (g->layout) {
	case RAID5_PARITY_FIRST:
		return place < parities;
	case RAID5_PARITY_LAST:
		return place > last - parities;
	case RAID6_PARITY_FIRST_6:
		return place == 0 || place == last;
	default:
		return g->level == RAID_LEVEL_6 && g->layout >= RAID6_LEFT_ASYMMETRIC_6 &&
		       place == last;
	}
}

/* In a reshape both shapes count: what is being filled has its part of the new one, and in the old one it may have had no data. */
static bool lacks_data(const struct raid_array *array, uint32_t place)
{
	const struct raid_member *member = array->places[place].member;

	if (!array->reshaping)
		return !has_only_parity(&array->now, place);
	if (place < array->before.disks && !has_only_parity(&array->before, place))
		return true;
	return place < array->now.disks && !has_only_parity(&array->now, place) &&
	       !(member && raid_member_counts(member));
}

static unsigned count_absent_data(const struct raid_array *array)
{
	const struct raid_set absent = raid_array_absent(array);
	unsigned count = 0;

	for (uint32_t i = 0; i < places(array); i++)
		count += raid_set_has(&absent, i) && lacks_data(array, i);
	return count;
}

/* Of dm-raid's: their superblocks say it of parity that was never made, and of nothing else. */
static int refuse_unsynced(const struct raid_array *array, unsigned absent, struct error *error)
{
	error_set(error, -EBUSY,
		  "%s: %u of %u members are in sync, and parity was not made everywhere yet: it "
		  "cannot stand in for what is missing",
		  array->block.name, array->now.disks - absent, array->now.disks);
	return error_advise(error, "make the missing member available; device-mapper does not "
				   "start it without, either");
}

/* Parity that may be wrong cannot say what a missing disk had: md calls it dirty degraded. */
static int check_dirty_degraded(const struct raid_array *array, struct error *error)
{
	unsigned absent = count_absent_data(array);

	/* A log knows what was being written. */
	if (!absent || array->resync_position == MD_RESYNC_DONE || raid5_has_ppl(array))
		return 0;
	if (array->forced) {
		log_warning(array->log,
			    "%s: started by force with %u of %u members after an unclean stop: "
			    "what was being "
			    "written then, and other data of the same stripes, may be damaged",
			    array->block.name, array->now.disks - absent, array->now.disks);
		return 0;
	}
	if (!array->metadata->says_dirty)
		return refuse_unsynced(array, absent, error);
	error_set(error, -EBUSY,
		  "%s: %u of %u members are in sync, and it was not stopped cleanly: what was "
		  "being written may "
		  "have reached some members and not others, so that the parity that is to stand "
		  "in for "
		  "what is missing may be wrong",
		  array->block.name, array->now.disks - absent, array->now.disks);
	return error_advise(
		error, "find the missing member; --force starts it all the same, and what was "
		       "being written, and other data of the same stripes, may be damaged then");
}

static int raid5_resize(struct raid_array *array, struct error *error)
{
	const struct raid_geometry *g = &array->now;

	(void)error;
	raid5_of(array)->g = *g;
	array->sync_sectors = round_down(g->member_sectors, g->chunk_sectors);
	array->sectors = raid_geometry_array_sectors(g->level, g->layout, g->chunk_sectors,
						     g->disks, g->member_sectors);
	return 0;
}

static int raid5_set_log(struct raid_array *array, struct error *error)
{
	struct raid5 *r = raid5_of(array);

	raid5_journal_free(r);
	raid5_ppl_free(r);
	raid5_measure(r);
	if (array->journal || raid5_has_journal(array))
		return raid5_journal_create(r, error);
	return raid5_has_ppl(array) ? raid5_ppl_create(r, error) : 0;
}

static int raid5_start(struct raid_array *array, struct error *error)
{
	const struct raid_geometry *g = &array->now;
	struct raid5 *r;
	int rc = raid_geometry_check(g->level, g->layout, g->chunk_sectors, g->disks, error);

	if (!rc)
		rc = check_dirty_degraded(array, error);
	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	raid5_shape_init(r, array, g);
	array->level_state = r;
	raid5_resize(array, NULL);
	if (array->reshaping)
		rc = raid5_reshape_begin(r, error);
	if (rc)
		return rc;
	return raid5_set_log(array, error);
}

static int raid5_replay(struct raid_array *array, bool look, struct error *error)
{
	if (raid5_of(array)->journal)
		return raid5_journal_replay(raid5_of(array), look, error);
	return raid5_of(array)->ppl ? raid5_ppl_replay(raid5_of(array), look, error) : 0;
}

static uint64_t raid5_checkpoint(const struct raid_array *array)
{
	const struct raid5_journal *journal = raid5_of(array)->journal;

	return journal ? raid5_journal_checkpoint(journal) : array->journal->checkpoint;
}

/* What is in the journal is durable. */
static int raid5_flush(struct raid_array *array)
{
	return raid5_of(array)->journal && raid_array_has_journal(array)
		       ? 0
		       : raid_members_flush(array);
}

static int raid5_check_journal(const struct raid_array *array, const char *name, uint64_t sectors,
			       struct error *error)
{
	return raid5_journal_check(raid5_of(array), name, sectors, error);
}

static int raid5_prepare(struct raid_member *member)
{
	if (member == member->array->journal)
		return raid5_journal_clear(raid5_of(member->array)->journal);
	return raid5_of(member->array)->ppl ? raid5_ppl_clear(member) : 0;
}

static void raid5_stop(struct raid_array *array)
{
	if (raid5_of(array)) {
		raid5_reshape_free(raid5_of(array));
		raid5_memory_free(raid5_of(array));
		raid5_ppl_free(raid5_of(array));
		raid5_journal_free(raid5_of(array));
	}
	free(array->level_state);
	array->level_state = NULL;
}

static void raid5_limits(struct raid_array *array)
{
	uint64_t row = raid5_row_bytes(raid5_of(array));

	if (row > UINT32_MAX)
		return;
	array->block.preferred_io_size = (uint32_t)row;
	if (array->block.discard_granularity)
		array->block.discard_granularity = (uint32_t)row;
}

/* Members in sync, or places without one, that cannot give a sector of a shape. */
static unsigned lacking(const struct raid5 *r, const struct raid_member *but, uint64_t sector)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < r->g.disks; i++) {
		const struct raid_member *member = r->array->places[i].member;

		if (member != but)
			count += !member || member->state != RAID_MEMBER_IN_SYNC ||
				 !raid5_readable(r, i, sector, 1);
	}
	return count;
}

/* Rows of members' data that array sectors [from, to) are in, in a shape. */
struct rows {
	const struct raid5 *r;
	uint64_t start, end; /* member sectors */
};

static struct rows rows_of(const struct raid5 *r, uint64_t from, uint64_t to)
{
	uint64_t row = (uint64_t)r->g.chunk_sectors * raid5_data_disks(&r->g);
	uint64_t rows = r->g.member_sectors / r->g.chunk_sectors;

	return (struct rows){ r, MIN(from / row, rows) * r->g.chunk_sectors,
			      MIN(to / row + (to % row > 0), rows) * r->g.chunk_sectors };
}

/* Ranges of several logs that have something in common have the start of one of them in common, or that of the rows. */
static bool alone_in(const struct rows *rows, const struct raid_member *member, uint64_t *sector,
		     uint64_t *count)
{
	const struct raid5 *r = rows->r;

	for (uint32_t i = 0; i < r->g.disks; i++) {
		const struct raid_member *other = r->array->places[i].member;

		for (unsigned j = 0; other && other != member && j < other->bad.count; j++) {
			const struct md_bad_range *bad = &other->bad.ranges[j];
			uint64_t start = raid5_device_sector(r, other, 0);
			uint64_t at = MAX(bad->sector, start + rows->start) - start;
			struct raid5_row row;
			uint32_t index;

			if (start + at >= bad->sector + bad->count || at >= rows->end ||
			    lacking(r, member, at) + 1 <= raid5_parities(&r->g))
				continue;
			row = raid5_row(&r->g, at / r->g.chunk_sectors);
			index = raid5_index(&row, (uint32_t)member->role);
			*sector = raid5_unmap(&r->g, index == RAID5_NO_ROLE ? 0 : index, at);
			*count = MIN(bad->sector + bad->count - start - at,
				     r->g.chunk_sectors - at % r->g.chunk_sectors);
			return true;
		}
	}
	return false;
}

/* Where others are bad there may be nothing left without it. In a reshape that is asked of both shapes, each where the data still are in it; a
 * row that is in both parts counts in both. */
static bool raid5_holds_alone(const struct raid_array *array, const struct raid_member *member,
			      uint64_t *sector, uint64_t *count)
{
	const struct raid5 *r = raid5_of(array), *low = r, *high = NULL;
	uint64_t position = UINT64_MAX;

	if (member->state != RAID_MEMBER_IN_SYNC)
		return false;
	if (array->reshaping && r->reshape && !r->reshape->over) {
		position = array->reshape_position;
		low = array->backwards ? &r->reshape->old : r;
		high = array->backwards ? r : &r->reshape->old;
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct raid5 *shape = i ? high : low;
		struct rows rows;

		if (!shape || (uint32_t)member->role >= shape->g.disks)
			continue;
		rows = rows_of(shape, i ? position : 0, i ? UINT64_MAX : position);
		if (alone_in(&rows, member, sector, count))
			return true;
	}
	return false;
}

static int raid5_status(struct raid_array *array, uint64_t offset, uint64_t *length,
			enum block_status *status)
{
	const struct raid_geometry *g = &array->now;
	struct raid5_place place = raid5_map(g, offset >> MD_SECTOR_SHIFT);
	uint64_t chunk = (uint64_t)g->chunk_sectors * MD_SECTOR_SIZE;
	struct raid_member *member = array->places[place.role].member;
	int rc;

	*status = BLOCK_STATUS_DATA;
	if (array->reshaping)
		return 0;
	*length = MIN(*length, chunk - offset % chunk);
	if (!raid5_readable(raid5_of(array), place.role, place.sector, *length >> MD_SECTOR_SHIFT))
		return 0;
	raid_member_hold(member);
	rc = block_status(member->block,
			  ((member->sb.data_offset + place.sector) << MD_SECTOR_SHIFT) +
				  offset % MD_SECTOR_SIZE,
			  length, status);
	raid_member_release(member);
	return rc;
}

/* It has memory of its own. */
static unsigned raid5_sync_buffers(const struct raid_array *array)
{
	(void)array;
	return 0;
}

#define RAID5_OPS(n)                                                                               \
	{                                                                                          \
		.level = n, .start = raid5_start, .replay = raid5_replay,                          \
		.checkpoint = raid5_checkpoint, .flush = raid5_flush, .prepare = raid5_prepare,    \
		.check_journal = raid5_check_journal, .set_log = raid5_set_log,                    \
		.resize = raid5_resize, .stop = raid5_stop, .limits = raid5_limits,                \
		.survives = raid5_survives, .agrees = raid5_agrees,                                \
		.holds_alone = raid5_holds_alone, .readv = raid5_readv, .write = raid5_write,      \
		.status = raid5_status, .sync_buffers = raid5_sync_buffers, .sync = raid5_sync,    \
		.begin_reshape = raid5_reshape_enter, .reshape = raid5_reshape_part,               \
		.has_its_part = raid5_has_its_part, .needs_backup = raid5_needs_backup,            \
		.restore = raid5_restore, .keep_ahead = raid5_keep_ahead,                          \
	}

const struct raid_level_ops raid4_ops = RAID5_OPS(RAID_LEVEL_4);
const struct raid_level_ops raid5_ops = RAID5_OPS(RAID_LEVEL_5);
const struct raid_level_ops raid6_ops = RAID5_OPS(RAID_LEVEL_6);
