/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing all of a stripe, of levels 4, 5 and 6, in one request and with nothing read: zeroes, whose parity is zeroes, and data
 * that nobody changes meanwhile (BLOCK_STABLE), which go to the members from where they are. With a log all goes
 * through that instead. Why no crash loses data is in raid5_write.c.
 */
#include <errno.h>

#include "block/iov.h"
#include "raid/raid5_batch.h"
#include "raid/raid5_journal.h"
#include "util/bytes.h"

#define PAGE 4096u /* other memory would be copied for direct I/O */

static bool covers_stripe(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip)
{
	uint64_t last = raid5_row_bytes(r) - raid5_chunk_bytes(r);

	return visit->start <= strip && visit->end >= last + strip + r->strip;
}

bool raid5_writes_whole(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip)
{
	const struct raid_write *write = visit->write;

	return (write->kind != RAID_WRITE_DATA || write->flags & BLOCK_STABLE) && !r->ppl &&
	       !raid5_has_journal(r->array) && covers_stripe(r, visit, strip);
}

/* Members, then replacements. */
static struct raid_member *writer(const struct raid_array *array, uint32_t disks, uint32_t i)
{
	return i < disks ? array->places[i].member : array->places[i - disks].replacement;
}

/* How the requests went that were added within the bracket: who comes while that begins is to be written to. */
static int written(struct raid_array *array, const struct raid5_ios *ios,
		   struct raid_bracket *bracket)
{
	int rc = raid5_judge(array, ios);

	if (rc)
		raid_array_resync_from(array, bracket->sync.sector);
	return raid_bracket_end(bracket, rc);
}

/* ---- Zeroes ---- */

static int zero(struct raid5 *r, const struct raid_write *write, struct raid_span span)
{
	unsigned flags = write->flags & ~BLOCK_STABLE;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	struct raid_bracket bracket;
	int rc = raid5_ios_begin(&ios, r, 2 * r->g.disks);

	if (!rc)
		rc = raid_bracket_begin(r->array, &bracket, span, span);
	if (rc)
		return rc;
	if (write->kind == RAID_WRITE_DISCARD)
		flags |= BLOCK_MAY_UNMAP;
	for (uint32_t i = 0; i < 2 * r->g.disks; i++) {
		struct raid_member *member = writer(r->array, r->g.disks, i);

		if (member)
			raid5_ios_add(&ios, member, BLOCK_WRITE_ZEROES, flags,
				      span.sector << MD_SECTOR_SHIFT, NULL, r->strip);
	}
	raid5_ios_run(&ios);
	return written(r->array, &ios, &bracket);
}

/* ---- Data ---- */

/* Puts the data of the stripe, by role, where they are in the caller's memory; false: not each strip is in one piece there. */
static bool find_data(const struct raid5_work *work, const struct raid_write *write, uint64_t first,
		      const void **data)
{
	const struct raid5 *r = work->r;
	struct iov_range at = iov_range_of(write->iov, write->count);

	iov_advance(&at, first);
	for (uint32_t i = 0; i < work->row.data; i++) {
		const char *piece;

		iov_advance(&at, i ? raid5_chunk_bytes(r) : 0);
		if (!at.count || at.iov->iov_len - at.skip < r->strip)
			return false;
		piece = (const char *)at.iov->iov_base + at.skip;
		if ((uintptr_t)piece % PAGE)
			return false;
		data[raid5_role(&work->row, i)] = piece;
	}
	return true;
}

static uint8_t *parity_at(const struct raid5_work *work, bool q)
{
	return work->memory + (q ? work->width : 0);
}

static void make_parity(void *arg)
{
	const struct raid5_work *work = arg;
	const struct raid5_row *row = &work->row;
	struct raid_column column = raid5_column_begin(work, work->width);

	for (uint32_t i = 0; i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		column.blocks[raid5_slot(row, role)] = (void *)work->lent[role];
	}
	column.blocks[column.slots] = parity_at(work, false);
	if (column.has_q)
		column.blocks[column.slots + 1] = parity_at(work, true);
	raid_parity_generate(&column);
}

/* To the member and its replacement. */
static void add_role(const struct raid5_work *work, struct raid5_ios *ios, uint32_t role,
		     const void *data, unsigned flags)
{
	uint32_t disks = work->row.disks;

	for (uint32_t i = role; i < 2 * disks; i += disks) {
		struct raid_member *member = writer(work->r->array, disks, i);

		if (member)
			raid5_ios_add(ios, member, BLOCK_WRITE, flags,
				      work->sector << MD_SECTOR_SHIFT, (void *)data, work->width);
	}
}

/* Parity is made when the data are on their way. Where that was a copy they are in a cache then. */
static int write_data(struct raid5_work *work, const struct raid_write *write,
		      struct raid_span span)
{
	struct raid5 *r = work->r;
	const struct raid5_row *row = &work->row;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	struct raid_bracket bracket;
	unsigned first;
	int rc = raid5_ios_begin(&ios, r, 2 * row->disks);

	if (!rc)
		rc = raid_bracket_begin(r->array, &bracket, span, span);
	if (rc)
		return rc;
	r->full_writes++;
	for (uint32_t i = 0; i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		add_role(work, &ios, role, work->lent[role], write->flags);
	}
	first = ios.count;
	add_role(work, &ios, row->p, parity_at(work, false), write->flags);
	if (row->q != RAID5_NO_ROLE)
		add_role(work, &ios, row->q, parity_at(work, true), write->flags);
	raid5_ios_run_with(&ios, first, make_parity, work);
	return written(r->array, &ios, &bracket);
}

int raid5_write_whole(struct raid5 *r, const struct raid5_visit *visit, uint64_t strip)
{
	const struct raid_write *write = visit->write;
	uint32_t sectors = r->strip >> MD_SECTOR_SHIFT;
	struct raid_span span = { visit->stripe * sectors, sectors };
	uint64_t row = span.sector / r->g.chunk_sectors * raid5_row_bytes(r);
	struct raid5_work work;
	int rc;

	if (write->kind != RAID_WRITE_DATA)
		return zero(r, write, span);
	rc = raid5_work_begin_parity(r, &work, span.sector, r->strip);
	if (rc)
		return rc;
	rc = find_data(&work, write, row + strip - write->offset, work.lent)
		     ? write_data(&work, write, span)
		     : 1;
	raid5_work_end(&work);
	return rc;
}
