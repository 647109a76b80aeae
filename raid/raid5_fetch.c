/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting blocks of a stripe. What is wanted is read; what cannot be read is computed from the other roles, as few of
 * them as it takes. Members with a read error get what was computed, and are failed where that cannot be written or
 * read back. Where too many are unreadable in a part it is tried in smaller pieces, since errors are rarely in the
 * same place.
 */
#include <errno.h>
#include <string.h>

#include "raid/raid5.h"
#include "util/bytes.h"

static uint64_t offset_of(const struct raid5_work *work, uint32_t at)
{
	return (work->sector << MD_SECTOR_SHIFT) + at;
}

static uint64_t device_offset(const struct raid5_work *work, const struct raid_member *member,
			      uint32_t at)
{
	return (raid5_device_sector(work->r, member, work->sector) << MD_SECTOR_SHIFT) + at;
}

static bool is_readable(const struct raid5_work *work, uint32_t role, uint32_t at, uint32_t length)
{
	return !(work->state[role] & RAID5_SUSPECT) &&
	       raid5_readable(work->r, role, offset_of(work, at) >> MD_SECTOR_SHIFT,
			      length >> MD_SECTOR_SHIFT);
}

static void note_read(struct raid5_work *work, uint32_t role, struct raid_member *member, int rc)
{
	if (!rc) {
		work->state[role] |= RAID5_HAVE;
		return;
	}
	work->state[role] |= RAID5_SUSPECT;
	work->r->array->counters.retried_reads++;
	/* One that became shorter is not written to. */
	if (rc == -ENXIO)
		raid_member_fail(member, "read: %s", raid_member_trouble(member, rc));
}

/* Reads what is asked for and can be read. */
static int read_roles(struct raid5_work *work, uint32_t at, uint32_t length)
{
	struct raid_array *array = work->r->array;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	int rc = raid5_ios_begin(&ios, work->r, work->row.disks);
	unsigned leg = 0;

	if (rc)
		return rc;
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if ((work->state[i] & (RAID5_WANT | RAID5_HAVE)) == RAID5_WANT &&
		    is_readable(work, i, at, length))
			raid5_ios_add(&ios, array->places[i].member, BLOCK_READ, 0,
				      offset_of(work, at), raid5_block(work, i) + at, length);
	}
	if (!ios.count)
		return 0;
	raid5_ios_run(&ios);
	for (; leg < ios.count; leg++) {
		uint32_t role = (uint32_t)(((uint8_t *)ios.iovs[leg].iov_base - work->memory) /
					   work->width);

		note_read(work, role, ios.members[leg], ios.ios[leg].result);
	}
	return 0;
}

static int missing_name(const struct raid5_work *work, uint32_t role)
{
	if (role == work->row.p)
		return RAID_SLOT_P;
	if (role == work->row.q)
		return RAID_SLOT_Q;
	return (int)raid5_slot(&work->row, role);
}

/* What is missing of data and P, and of Q where `with_q`; false where that is too much. */
static bool find_missing(const struct raid5_work *work, bool with_q, int missing[2],
			 unsigned *count)
{
	unsigned most = 1 + with_q;

	*count = 0;
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if ((work->state[i] & RAID5_HAVE) || (i == work->row.q && !with_q))
			continue;
		if (*count == most)
			return false;
		missing[(*count)++] = missing_name(work, i);
	}
	return true;
}

static bool has_all_wanted(const struct raid5_work *work)
{
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if ((work->state[i] & (RAID5_WANT | RAID5_HAVE)) == RAID5_WANT)
			return false;
	}
	return true;
}

/* ---- Lending ---- */

/*
 * What others are computed from need not be copied where members lend it, all of them or none: so nothing suspends while
 * something is lent, and who lends it is there. It is in no block of the work, and not had afterwards.
 */
static void give_back(struct raid5_work *work)
{
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if (work->lent[i])
			work->state[i] &= (uint8_t)~RAID5_HAVE;
		work->lent[i] = NULL;
	}
}

/* What read_roles() would read; false: it has to. */
static bool borrow(struct raid5_work *work, uint32_t at, uint32_t length)
{
	for (uint32_t i = 0; i < work->row.disks; i++) {
		struct raid_member *member = work->r->array->places[i].member;

		if ((work->state[i] & (RAID5_WANT | RAID5_HAVE)) != RAID5_WANT ||
		    !is_readable(work, i, at, length))
			continue;
		if (work->state[i] & RAID5_SOURCE)
			work->lent[i] =
				block_lend(member->block, device_offset(work, member, at), length);
		if (!work->lent[i]) {
			give_back(work);
			return false;
		}
		work->state[i] |= RAID5_HAVE;
	}
	return true;
}

static void use_lent(const struct raid5_work *work, const struct raid_column *column)
{
	const struct raid5_row *row = &work->row;

	for (uint32_t i = 0; i < row->disks; i++) {
		if (work->lent[i])
			column->blocks[i == row->p   ? column->slots
				       : i == row->q ? column->slots + 1
						     : raid5_slot(row, i)] = (void *)work->lent[i];
	}
}

/* ---- Computing ---- */

/* Gets all but Q, then Q as well if one is not enough: what is missing then. 1; 0 where that is too much; or a negative errno. */
static int gather_sources(struct raid5_work *work, uint32_t at, uint32_t length, bool *with_q,
			  int missing[2], unsigned *count)
{
	const struct raid5_row *row = &work->row;

	for (;; *with_q = true) {
		int rc = 0;

		for (uint32_t i = 0; i < row->disks; i++) {
			if (!(work->state[i] & RAID5_WANT) && (i != row->q || *with_q))
				work->state[i] |= RAID5_WANT | RAID5_SOURCE;
		}
		if (!borrow(work, at, length))
			rc = read_roles(work, at, length);
		if (rc)
			return rc;
		if (find_missing(work, *with_q, missing, count))
			return 1;
		if (*with_q || row->q == RAID5_NO_ROLE)
			return 0;
	}
}

/* Computes what is missing. `state` of it becomes HAVE. 1; 0 where too much is missing; or a negative errno. */
static int compute(struct raid5_work *work, uint32_t at, uint32_t length)
{
	const struct raid5_row *row = &work->row;
	bool with_q = row->q != RAID5_NO_ROLE && (work->state[row->q] & RAID5_WANT);
	struct raid_column column;
	unsigned count = 0;
	int missing[2], rc;

	memset(work->lent, 0, row->disks * sizeof(*work->lent));
	rc = gather_sources(work, at, length, &with_q, missing, &count);
	if (rc > 0 && count) {
		column = raid5_column(work, at, length, false);
		use_lent(work, &column);
		column.has_q = with_q;
		raid_parity_recover(&column, missing, count);
		for (uint32_t i = 0; i < row->disks; i++)
			if (!(work->state[i] & RAID5_HAVE) && (i != row->q || with_q))
				work->state[i] |= RAID5_HAVE | RAID5_COMPUTED;
	}
	give_back(work);
	for (uint32_t i = 0; i < row->disks; i++)
		work->state[i] &= (uint8_t)~RAID5_SOURCE;
	return rc;
}

/* ---- The whole ---- */

static int fetch_part(struct raid5_work *work, uint32_t at, uint32_t length)
{
	int rc = read_roles(work, at, length);

	if (rc)
		return rc;
	if (has_all_wanted(work))
		return 0;
	rc = compute(work, at, length);
	if (rc <= 0)
		return rc ? rc : -EIO;
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if ((work->state[i] & (RAID5_SUSPECT | RAID5_HAVE)) == (RAID5_SUSPECT | RAID5_HAVE))
			raid5_make_good(work, i, at, length);
	}
	return 0;
}

/* But what was computed. */
static void set_back(struct raid5_work *work, const uint8_t *before)
{
	for (uint32_t i = 0; i < work->row.disks; i++)
		work->state[i] = before[i] | (work->state[i] & RAID5_COMPUTED);
}

/* The same with what is wanted and there as it was before the part was tried. */
static int fetch_pieces(struct raid5_work *work, uint32_t at, uint32_t length, uint32_t piece,
			const uint8_t *before)
{
	int rc = 0;

	for (uint32_t step; !rc && length; at += step, length -= step) {
		step = MIN(length, piece - at % piece);
		set_back(work, before);
		rc = fetch_part(work, at, step);
		if (rc == -EIO && piece > work->r->array->block.logical_block_size)
			rc = fetch_pieces(work, at, step, work->r->array->block.logical_block_size,
					  before);
	}
	return rc;
}

int raid5_fetch(struct raid5_work *work, uint32_t at, uint32_t length)
{
	uint32_t disks = work->row.disks;
	uint8_t before[MD_MAX_DEVICES];
	int rc;

	memcpy(before, work->state, disks);
	rc = fetch_part(work, at, length);
	if (rc == -EIO) {
		rc = fetch_pieces(work, at, length, RAID_PIECE, before);
		set_back(work, before);
		for (uint32_t i = 0; !rc && i < disks; i++)
			work->state[i] |= before[i] & RAID5_WANT ? RAID5_HAVE : 0;
	}
	return rc;
}
