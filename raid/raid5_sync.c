/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making stripes agree, for rebuild.c; each stripe in a visit of its own.
 *
 *	resync	parity is made anew from the data, and written where it differs
 *	recovery	the members that are being rebuilt get what the others say
 *	check	parity is compared, and where there is Q it says which block is the wrong one
 *	repair	the wrong block is made right. Where nobody can say which it is (level 4 and 5, two wrong blocks, or one beside one that
 *		was computed), nothing is changed: making parity anew, as md does, makes wrong data final. Only `force` does that.
 *		What a member's log calls bad is written as it comes from the others, where these fit together.
 */
#include <errno.h>
#include <string.h>

#include "raid/raid5.h"
#include "raid/rebuild.h"
#include "raid/rebuild_windows.h"
#include "util/bytes.h"

#define PIECE 4096u

static uint64_t offset_of(const struct raid5_work *work, uint32_t at)
{
	return (work->sector << MD_SECTOR_SHIFT) + at;
}

static void want(struct raid5_work *work, uint32_t role)
{
	work->state[role] |= RAID5_WANT;
}

static bool is_readable(const struct raid5_work *work, uint32_t role, uint32_t at, uint32_t length)
{
	return raid5_readable(work->r, role, offset_of(work, at) >> MD_SECTOR_SHIFT,
			      length >> MD_SECTOR_SHIFT);
}

/* No log calls anything bad there. */
static bool all_readable(const struct raid5_work *work, uint32_t at, uint32_t length)
{
	for (uint32_t i = 0; i < work->row.disks; i++)
		if (!is_readable(work, i, at, length))
			return false;
	return true;
}

/* Fetches all of it, in pieces where it cannot be had as a whole, or is to be used and partly bad, and has each part that could be had used;
 * pieces that nobody can give go to lost(). */
static int fetch_what_can_be(struct raid5_work *work, struct raid_sync *sync,
			     int (*lost)(struct raid5_work *, struct raid_sync *, uint32_t,
					 uint32_t),
			     int (*use)(struct raid5_work *, struct raid_sync *, uint32_t,
					uint32_t))
{
	uint8_t before[MD_MAX_DEVICES];
	uint32_t disks = work->row.disks;
	int rc;

	memcpy(before, work->state, disks);
	rc = use && !all_readable(work, 0, work->width) ? -EIO : raid5_fetch(work, 0, work->width);
	if (rc != -EIO)
		return rc || !use ? rc : use(work, sync, 0, work->width);
	for (uint32_t at = 0, step; at < work->width; at += step) {
		step = MIN(PIECE, work->width - at);
		memcpy(work->state, before, disks);
		rc = raid5_fetch(work, at, step);
		if (rc == -EIO)
			rc = lost(work, sync, at, step);
		else if (!rc && use)
			rc = use(work, sync, at, step);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- Writing ---- */

static void write_ended(const struct raid_sync *sync, struct raid_member *member,
			const struct block_io *io)
{
	if (io->result && raid_member_write_again(member, io))
		return;
	if (io->result)
		raid_member_fail(member, "%s of %llu bytes at byte %llu: %s",
				 raid_operation_name(sync->operation),
				 (unsigned long long)io->length, (unsigned long long)io->offset,
				 raid_member_trouble(member, io->result));
	else
		raid_member_written(member, io->offset, io->length);
}

/* Writes [at, at + length) of a role's block, and what it has around that as far as members' logical blocks go. */
static int write_block(struct raid5_work *work, const struct raid_sync *sync, uint32_t role,
		       uint8_t *block, uint32_t at, uint32_t length)
{
	const struct raid_place place = work->r->array->places[role];
	uint32_t unit = work->r->array->block.logical_block_size;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	int rc = raid5_ios_begin(&ios, work->r, 2);

	if (rc || !place.member)
		return rc;
	length = round_up(at + length, unit) - round_down(at, unit);
	at = round_down(at, unit);
	raid5_ios_add(&ios, place.member, BLOCK_WRITE, 0, offset_of(work, at), block + at, length);
	if (place.replacement)
		raid5_ios_add(&ios, place.replacement, BLOCK_WRITE, 0, offset_of(work, at),
			      block + at, length);
	raid5_ios_run(&ios);
	for (unsigned i = ios.count; i-- > 0;)
		write_ended(sync, ios.members[i], &ios.ios[i]);
	return raid_array_survives(work->r->array) ? 0 : -EIO;
}

/* ---- Recovery ---- */

/* Who is filled in a place: its member or the member's replacement; NULL: nobody. */
static struct raid_member *target_of(const struct raid_array *array, uint32_t role)
{
	const struct raid_place *place = &array->places[role];

	return raid_rebuild_is_target(place->replacement) ? place->replacement
	       : raid_rebuild_is_target(place->member)    ? place->member
							  : NULL;
}

/* What nobody can give is bad on the targets, too. */
static int note_lost(struct raid5_work *work, struct raid_sync *sync, uint32_t at, uint32_t length)
{
	struct raid_array *array = sync->array;

	for (uint32_t i = 0; i < work->row.disks; i++) {
		struct raid_member *member = target_of(array, i);

		if (!member)
			continue;
		if (raid_member_note_bad(member, offset_of(work, at) >> MD_SECTOR_SHIFT,
					 length >> MD_SECTOR_SHIFT))
			return -EIO;
		memset(raid5_block(work, i) + at, 0, length);
		log_warning(array->log,
			    "%s: byte %llu of %s cannot be had from the others: noted as bad",
			    array->block.name, (unsigned long long)offset_of(work, at),
			    member->block->name);
	}
	return 0;
}

static int recover_stripe(struct raid5_work *work, struct raid_sync *sync)
{
	struct raid_array *array = sync->array;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	unsigned targets = 0;
	int rc;

	for (uint32_t i = 0; i < work->row.disks; i++) {
		struct raid_member *member = target_of(array, i);

		if (!member)
			continue;
		want(work, i);
		targets++;
		/* What is written is good; what nobody can give is noted again. */
		md_badblocks_clear(&member->bad, raid_member_sector(member, work->sector),
				   work->width >> MD_SECTOR_SHIFT);
	}
	rc = raid5_ios_begin(&ios, work->r, targets);
	if (!rc)
		rc = fetch_what_can_be(work, sync, note_lost, NULL);
	for (uint32_t i = 0; !rc && i < work->row.disks; i++) {
		struct raid_member *member = target_of(array, i);

		if (!member || ios.count == targets)
			continue;
		raid5_ios_add(&ios, member, BLOCK_WRITE, 0, offset_of(work, 0),
			      raid5_block(work, i), work->width);
	}
	raid5_ios_run(&ios);
	for (unsigned i = 0; i < ios.count; i++) {
		if (ios.ios[i].result)
			write_ended(sync, ios.members[i], &ios.ios[i]);
	}
	return rc;
}

/* ---- Parity ---- */

static int skip(struct raid5_work *work, struct raid_sync *sync, uint32_t at, uint32_t length)
{
	(void)work;
	(void)at;
	sync->skipped += length;
	return 0;
}

/* Parity as it should be, into the second blocks. */
static void compute(struct raid5_work *work, uint32_t at, uint32_t length)
{
	struct raid_column column = raid5_column(work, at, length, true);

	raid_parity_generate(&column);
}

static bool parity_differs(const struct raid5_work *work, uint32_t role, uint32_t at,
			   uint32_t length)
{
	return role != RAID5_NO_ROLE &&
	       memcmp(raid5_block(work, role) + at, raid5_second(work, role) + at, length) != 0;
}

/* What cannot be read a resync cannot make better; around that parity is made as ever. */
static int resync_part(struct raid5_work *work, struct raid_sync *sync, uint32_t at,
		       uint32_t length)
{
	const struct raid5_row *row = &work->row;
	int rc = 0;

	compute(work, at, length);
	for (unsigned i = 0; !rc && i < 2; i++) {
		uint32_t role = i ? row->q : row->p;

		/* A member that could not take it is failed, and the rest goes on. */
		if (role != RAID5_NO_ROLE && sync->array->places[role].member &&
		    parity_differs(work, role, at, length))
			rc = write_block(work, sync, role, raid5_second(work, role), at, length);
		if (rc && raid_array_survives(sync->array))
			rc = 0;
	}
	return rc;
}

static int resync_stripe(struct raid5_work *work, struct raid_sync *sync)
{
	const struct raid5_row *row = &work->row;

	for (uint32_t i = 0; i < row->data; i++)
		want(work, raid5_role(row, i));
	for (unsigned i = 0; i < 2; i++) {
		uint32_t role = i ? row->q : row->p;

		if (role != RAID5_NO_ROLE && sync->array->places[role].member)
			want(work, role);
	}
	return fetch_what_can_be(work, sync, skip, resync_part);
}

/* ---- Check and repair ---- */

/* Something there was computed from the others: none of them can be found out any more. */
static bool any_computed(const struct raid5_work *work)
{
	for (uint32_t i = 0; i < work->row.disks; i++)
		if (work->state[i] & RAID5_COMPUTED)
			return true;
	return false;
}

/* Who is wrong in a sector whose parity differs; *role is the one. */
static enum raid_liar locate(struct raid5_work *work, uint32_t at, uint32_t *role)
{
	struct raid_column column = raid5_column(work, at, MD_SECTOR_SIZE, false);
	uint8_t room[2 * MD_SECTOR_SIZE] __attribute__((aligned(RAID_PARITY_ALIGN)));
	enum raid_liar liar;
	unsigned slot;

	if (!column.has_q || any_computed(work))
		return RAID_LIAR_UNKNOWN;
	liar = raid_parity_locate(&column, room, &slot);
	*role = liar == RAID_LIAR_P ? work->row.p : work->row.q;
	for (uint32_t i = 0; liar == RAID_LIAR_DATA && i < work->row.data; i++) {
		uint32_t data = raid5_role(&work->row, i);

		if (raid5_slot(&work->row, data) == slot)
			*role = data;
	}
	return liar;
}

static void tell(const struct raid5_work *work, const struct raid_sync *sync, uint32_t at,
		 enum raid_liar liar, uint32_t role)
{
	struct raid_array *array = sync->array;
	unsigned long long sector = offset_of(work, at) >> MD_SECTOR_SHIFT;

	if (liar == RAID_LIAR_UNKNOWN)
		log_warning(
			array->log,
			"%s: from sector %llu of the members on data and parity differ, and which "
			"member is wrong cannot be known%s",
			array->block.name, sector,
			sync->operation != RAID_REPAIR ? ""
			: sync->force                  ? ": parity is made anew"
						       : ": nothing is changed");
	else
		log_warning(array->log,
			    "%s: from sector %llu of the members on %s is wrong, as the others and "
			    "both "
			    "parities say",
			    array->block.name, sector, array->places[role].member->block->name);
}

/* Makes a sector's block right again, from the others. */
static int repair_block(struct raid5_work *work, const struct raid_sync *sync, uint32_t at,
			uint32_t role)
{
	struct raid_column column = raid5_column(work, at, MD_SECTOR_SIZE, false);
	int missing = role == work->row.p   ? RAID_SLOT_P
		      : role == work->row.q ? RAID_SLOT_Q
					    : (int)raid5_slot(&work->row, role);

	raid_parity_recover(&column, &missing, 1);
	return write_block(work, sync, role, raid5_block(work, role), at, MD_SECTOR_SIZE);
}

static int repair_sector(struct raid5_work *work, struct raid_sync *sync, uint32_t at,
			 enum raid_liar liar, uint32_t role)
{
	int rc;

	if (liar != RAID_LIAR_UNKNOWN)
		return repair_block(work, sync, at, role);
	if (!sync->force) {
		sync->unresolved += MD_SECTOR_SIZE;
		return 0;
	}
	rc = repair_block(work, sync, at, work->row.p);
	if (!rc && work->row.q != RAID5_NO_ROLE)
		rc = repair_block(work, sync, at, work->row.q);
	return rc;
}

static int compare_sector(struct raid5_work *work, struct raid_sync *sync, uint32_t at)
{
	const struct raid_found *found = &sync->array->rebuild.found;
	uint32_t role = RAID5_NO_ROLE;
	uint64_t known = found->count;
	enum raid_liar liar;

	if (!parity_differs(work, work->row.p, at, MD_SECTOR_SIZE) &&
	    !parity_differs(work, work->row.q, at, MD_SECTOR_SIZE))
		return 0;
	sync->mismatches += MD_SECTOR_SIZE;
	liar = locate(work, at, &role);
	raid_rebuild_found(sync->array, offset_of(work, at), MD_SECTOR_SIZE,
			   liar == RAID_LIAR_UNKNOWN ? RAID_SPARE : (int)role);
	/* Where each range begins. */
	if (known < RAID_FOUND && found->count > known)
		tell(work, sync, at, liar, role);
	return sync->operation == RAID_REPAIR ? repair_sector(work, sync, at, liar, role) : 0;
}

/* Where it stays bad it is no worse than before. */
static void heal_sector(struct raid5_work *work, uint32_t role, uint32_t at, uint32_t length)
{
	struct raid_array *array = work->r->array;
	struct raid_member *member = array->places[role].member;
	uint64_t byte, sector = offset_of(work, at) >> MD_SECTOR_SHIFT;

	if (!member || member->state != RAID_MEMBER_IN_SYNC || is_readable(work, role, at, length))
		return;
	byte = raid5_device_sector(work->r, member, sector) << MD_SECTOR_SHIFT;
	if (raid_member_write_anew(member, byte - (member->sb.data_offset << MD_SECTOR_SHIFT),
				   raid5_block(work, role) + at, length) ||
	    array->places[role].member != member)
		return;
	raid_member_written(member, byte, length);
	array->counters.made_good++;
	log_info(array->log, "%s: %u bytes at byte %llu that were bad on %s made good",
		 array->block.name, length, (unsigned long long)byte, member->block->name);
}

/* Writes what was computed to what logs call bad. */
static void heal(struct raid5_work *work, uint32_t at, uint32_t length)
{
	uint32_t unit = work->r->array->block.logical_block_size;

	for (uint32_t role = 0; role < work->row.disks; role++)
		for (uint32_t i = 0; i < length; i += unit)
			heal_sector(work, role, at + i, unit);
}

static void want_all(struct raid5_work *work)
{
	for (uint32_t i = 0; i < work->row.disks; i++)
		work->state[i] = RAID5_WANT;
}

static int compare_parts(struct raid5_work *work, struct raid_sync *sync, uint32_t at,
			 uint32_t length, uint32_t part);

/* A part that is there. What was computed of it, of one that cannot be divided, comes from those that it is to be compared with. */
static int compare_fetched(struct raid5_work *work, struct raid_sync *sync, uint32_t at,
			   uint32_t length)
{
	uint64_t before = sync->mismatches;
	bool readable = all_readable(work, at, length);
	int rc = 0;

	sync->skipped += readable ? 0 : length;
	for (uint32_t i = 0; !rc && i < length; i += MD_SECTOR_SIZE)
		rc = compare_sector(work, sync, at + i);
	if (!rc && !readable && sync->operation == RAID_REPAIR && sync->mismatches == before)
		heal(work, at, length);
	return rc;
}

/* A part of which all is wanted. Smaller ones are tried where it cannot be had or something of it was computed: who is wrong
 * beside that cannot be told, and is all around it. */
static int compare_part(struct raid5_work *work, struct raid_sync *sync, uint32_t at,
			uint32_t length)
{
	uint32_t unit = work->r->array->block.logical_block_size;
	bool divide = !all_readable(work, at, length) && length > unit;
	int rc = divide ? 0 : raid5_fetch(work, at, length);

	if (rc && rc != -EIO)
		return rc;
	divide |= length > unit && (rc || any_computed(work));
	if (divide)
		return compare_parts(work, sync, at, length, length > PIECE ? PIECE : unit);
	if (rc)
		return skip(work, sync, at, length);
	compute(work, at, length);
	return compare_fetched(work, sync, at, length);
}

static int compare_parts(struct raid5_work *work, struct raid_sync *sync, uint32_t at,
			 uint32_t length, uint32_t part)
{
	int rc = 0;

	for (uint32_t end = at + length, step; !rc && at < end; at += step) {
		step = MIN(part, end - at);
		want_all(work);
		rc = compare_part(work, sync, at, step);
	}
	return rc;
}

static int compare_stripe(struct raid5_work *work, struct raid_sync *sync)
{
	const struct raid_array *array = sync->array;

	for (uint32_t i = 0; i < work->row.disks; i++) {
		if (!array->places[i].member ||
		    array->places[i].member->state != RAID_MEMBER_IN_SYNC)
			return skip(work, sync, 0, work->width);
	}
	return compare_parts(work, sync, 0, work->width, work->width);
}

/* ---- The whole ---- */

static int sync_stripe(struct raid5 *r, struct raid_sync *sync, uint64_t sector, uint32_t width)
{
	struct raid5_visit visit = { .stripe = (sector << MD_SECTOR_SHIFT) / r->strip };
	struct raid5_work work;
	int rc;

	raid5_enter(r, &visit);
	rc = raid5_work_begin(r, &work, sector, width);
	if (!rc) {
		if (sync->operation == RAID_RECOVER)
			rc = recover_stripe(&work, sync);
		else if (sync->operation == RAID_RESYNC)
			rc = resync_stripe(&work, sync);
		else
			rc = compare_stripe(&work, sync);
		raid5_work_end(&work);
	}
	raid5_leave(r, &visit);
	return rc;
}

int raid5_sync(struct raid_array *array, struct raid_sync *sync)
{
	struct raid5 *r = raid5_of(array);
	uint64_t at = sync->sector, end = MIN(sync->sector + sync->count, array->sync_sectors);
	uint64_t strip = r->strip >> MD_SECTOR_SHIFT;
	int rc = 0;

	while (!rc && at < end) {
		uint64_t count = MIN(strip - at % strip, end - at);

		rc = sync_stripe(r, sync, at, (uint32_t)(count << MD_SECTOR_SHIFT));
		at += count;
	}
	return rc;
}
