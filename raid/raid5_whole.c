/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing all of a stripe, of levels 4, 5 and 6, in one request and with nothing read: zeroes, whose parity is zeroes, and data that are
 * not copied before: nobody changes them meanwhile (BLOCK_STABLE), or members lend what they got, and parity is made
 * of that. With a log all goes through that instead. Why no crash loses data is in raid5_write.c.
 */
#include <errno.h>
#include <stdlib.h>

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

/* Whether there is something in it for data that may change; each member is asked again when it is written to. */
static bool lends(const struct raid5 *r)
{
	const struct raid_member *member = NULL;

	for (uint32_t i = 0; !member && i < r->g.disks; i++)
		member = r->array->places[i].member;
	return member && block_lend(member->block, 0, MD_SECTOR_SIZE);
}

bool raid5_writes_whole(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip)
{
	const struct raid_write *write = visit->write;

	return (write->kind != RAID_WRITE_DATA || write->flags & BLOCK_STABLE || lends(r)) &&
	       !r->ppl && !raid5_has_journal(r->array) && covers_stripe(r, visit, strip);
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

struct whole {
	struct raid5_work work; /* lent[]: by role, what parity is made of */
	const struct raid_write *write;
	struct raid_span span;
	struct iov_range data; /* from the first strip on */
	bool in_place;         /* parity may be made of the caller's memory, and members given it */
	struct iovec *pieces;  /* of the caller's memory, where requests take it as it comes */
	unsigned pieces_used, pieces_count;
};

static struct iov_range strip_of(const struct whole *whole, uint32_t index)
{
	struct iov_range at = whole->data;

	iov_advance(&at, index * raid5_chunk_bytes(whole->work.r));
	return at;
}

/* The strip, which is in one piece. */
static const char *piece_of(const struct whole *whole, uint32_t index)
{
	struct iov_range at = strip_of(whole, index);

	return (const char *)at.iov->iov_base + at.skip;
}

/* Whether nobody changes the data, and each strip is in one piece that any device could be given. */
static bool is_in_place(const struct whole *whole, const struct raid5 *r, uint32_t count)
{
	struct iov_range at = whole->data;

	for (uint32_t i = 0; i < count && whole->write->flags & BLOCK_STABLE; i++) {
		iov_advance(&at, i ? raid5_chunk_bytes(r) : 0);
		if (!at.count || at.iov->iov_len - at.skip < r->strip ||
		    ((uintptr_t)at.iov->iov_base + at.skip) % PAGE)
			return false;
	}
	return whole->write->flags & BLOCK_STABLE;
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

static void add(const struct whole *whole, struct raid5_ios *ios, struct raid_member *member,
		const void *data)
{
	if (member)
		raid5_ios_add(ios, member, BLOCK_WRITE, whole->write->flags,
			      whole->span.sector << MD_SECTOR_SHIFT, (void *)data,
			      whole->work.width);
}

/* From the caller's memory as it comes, to a member that lends what it got. */
static void add_pieces(struct whole *whole, struct raid5_ios *ios, struct raid_member *member,
		       uint32_t index)
{
	struct iov_range at = strip_of(whole, index);
	struct iovec *pieces = whole->pieces + whole->pieces_used;
	unsigned used;

	iov_take(&at, whole->work.width, pieces, whole->pieces_count - whole->pieces_used, &used);
	whole->pieces_used += used;
	add(whole, ios, member, NULL);
	ios->ios[ios->count - 1].iov = pieces;
	ios->ios[ios->count - 1].count = used;
}

/* What a strip is where no member lends it: nobody changes it any more. */
static const void *settle(const struct whole *whole, uint32_t index)
{
	struct iov_range at = strip_of(whole, index);
	uint8_t *own = whole->work.memory + (2 + (size_t)index) * whole->work.width;

	if (whole->in_place)
		return piece_of(whole, index);
	iov_copy_out(&at, own, whole->work.width);
	return own;
}

/* Whether its member lends it. */
static bool add_data(struct whole *whole, struct raid5_ios *ios, uint32_t index)
{
	struct raid5_work *work = &whole->work;
	uint32_t role = raid5_role(&work->row, index);
	struct raid_member *member = work->r->array->places[role].member;
	uint64_t sector = member ? raid5_device_sector(work->r, member, whole->span.sector) : 0;

	work->lent[role] =
		member ? block_lend(member->block, sector << MD_SECTOR_SHIFT, work->width) : NULL;
	if (work->lent[role]) {
		add_pieces(whole, ios, member, index);
		return true;
	}
	work->lent[role] = settle(whole, index);
	add(whole, ios, member, work->lent[role]);
	return false;
}

static void add_parity(const struct whole *whole, struct raid5_ios *ios, bool q)
{
	const struct raid5_work *work = &whole->work;
	uint32_t role = q ? work->row.q : work->row.p;

	if (role == RAID5_NO_ROLE)
		return;
	add(whole, ios, work->r->array->places[role].member, parity_at(work, q));
	add(whole, ios, work->r->array->places[role].replacement, parity_at(work, q));
}

/* What a member that lends did not take is had from elsewhere: for parity, for what it is tried again with, and for who is to replace
 * it. */
static void settle_data(struct whole *whole, struct raid5_ios *ios, unsigned first)
{
	struct raid5_work *work = &whole->work;

	for (unsigned i = 0; i < ios->count; i++) {
		uint32_t role = (uint32_t)ios->members[i]->role;
		uint32_t index = raid5_index(&work->row, role);

		if (index == RAID5_NO_ROLE)
			continue;
		if (i < first && ios->ios[i].result)
			work->lent[role] = settle(whole, index);
		if (i >= first || ios->ios[i].result) {
			ios->iovs[i].iov_base = (void *)work->lent[role];
			ios->ios[i].iov = &ios->iovs[i];
			ios->ios[i].count = 1;
		}
	}
}

/*
 * Where members lend what they got it is written first, and parity is made of that: whatever a guest changes meanwhile, it
 * is of what members have, and nothing is copied twice. Else it is made when the data are on their way.
 */
static void run(struct whole *whole, struct raid5_ios *ios, unsigned first, bool lent)
{
	if (!lent) {
		raid5_ios_run_with(ios, first, make_parity, &whole->work);
		return;
	}
	block_run_all(ios->ios, first);
	settle_data(whole, ios, first);
	make_parity(&whole->work);
	block_run_all(ios->ios + first, ios->count - first);
}

static int write_data(struct whole *whole)
{
	struct raid5 *r = whole->work.r;
	const struct raid5_row *row = &whole->work.row;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	struct raid_bracket bracket;
	bool lent = false;
	unsigned first;
	int rc = raid5_ios_begin(&ios, r, 2 * row->disks);

	if (!rc)
		rc = raid_bracket_begin(r->array, &bracket, whole->span, whole->span);
	if (rc)
		return rc;
	r->full_writes++;
	for (uint32_t i = 0; i < row->data; i++)
		lent |= add_data(whole, &ios, i);
	first = ios.count;
	for (uint32_t i = 0; r->array->replacements && i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		add(whole, &ios, r->array->places[role].replacement, whole->work.lent[role]);
	}
	add_parity(whole, &ios, false);
	add_parity(whole, &ios, true);
	run(whole, &ios, first, lent);
	return written(r->array, &ios, &bracket);
}

int raid5_write_whole(struct raid5 *r, const struct raid5_visit *visit, uint64_t strip)
{
	const struct raid_write *write = visit->write;
	uint32_t sectors = r->strip >> MD_SECTOR_SHIFT, data = raid5_data_disks(&r->g);
	struct whole whole = { .write = write, .span = { visit->stripe * sectors, sectors } };
	CLEANUP_FREE struct iovec *pieces = NULL;
	int rc;

	if (write->kind != RAID_WRITE_DATA)
		return zero(r, write, whole.span);
	whole.data = iov_range_of(write->iov, write->count);
	iov_advance(&whole.data, whole.span.sector / r->g.chunk_sectors * raid5_row_bytes(r) +
					 strip - write->offset);
	whole.in_place = is_in_place(&whole, r, data);
	whole.pieces_count = write->count + data;
	whole.pieces = pieces = malloc(whole.pieces_count * sizeof(*pieces));
	rc = pieces ? raid5_work_begin_parity(r, &whole.work, whole.span.sector, r->strip,
					      whole.in_place ? 0 : data)
		    : -ENOMEM;
	if (!rc)
		rc = write_data(&whole);
	raid5_work_end(&whole.work);
	return rc;
}
