/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing levels 4, 5 and 6, stripe by stripe. The writes that wait at a stripe are carried out as one batch:
 *
 *	gather -> copy -> cut into segments -> read what each needs -> parity -> write
 *
 * The data are copied first, since parity must be of what is written, and a guest may change its memory meanwhile. In a
 * segment the same chunks are written from its start to its end; so one that is written on all chunks is never
 * read, and for each other the way with fewer reads is taken:
 *
 *	read-modify-write	reads what is written over, and parity
 *	reconstruct		reads (or computes, where a member is missing) the chunks that are not written
 *
 * Where parity may be wrong, since a resync has not been there, reconstruct makes it right.
 *
 * Why no crash loses data. While it is written, a stripe's parity may not fit its data. The array is marked dirty
 * before, and the bits of its bitmap are set, so a resync makes parity anew from the data. Without a member that cannot be done
 * (the write hole): such an array is not started again but by force. With a partial parity log, or a journal, it can.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/iov.h"
#include "raid/raid5.h"
#include "raid/raid5_batch.h"
#include "raid/raid5_journal.h"
#include "raid/raid5_ppl.h"
#include "util/bytes.h"

/* ---- Gathering ---- */

/* Where bytes [visit->start, visit->end) of the row are in data chunk `index`: columns [*from, *to) of the strip that
 * begins at column `strip`. */
static bool exact_columns(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip,
			  uint32_t index, uint64_t *from, uint64_t *to)
{
	uint64_t chunk = (uint64_t)index * raid5_chunk_bytes(r);

	*from = MAX(visit->start, chunk + strip);
	*to = MIN(visit->end, chunk + strip + r->strip);
	if (*from >= *to)
		return false;
	*from -= chunk;
	*to -= chunk;
	return true;
}

/* The same in whole pages, as they are written. */
static bool columns(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip,
		    uint32_t index, uint64_t *from, uint64_t *to)
{
	if (!exact_columns(r, visit, strip, index, from, to))
		return false;
	*from = round_down(*from, r->page);
	*to = round_up(*to, r->page);
	return true;
}

/* The chunks of the row that it touches. */
static uint32_t first_index(const struct raid5 *r, const struct raid5_visit *visit)
{
	return (uint32_t)(visit->start / raid5_chunk_bytes(r));
}

static uint32_t last_index(const struct raid5 *r, const struct raid5_visit *visit)
{
	return (uint32_t)((visit->end - 1) / raid5_chunk_bytes(r));
}

static bool touches(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip)
{
	uint64_t from, to;

	for (uint32_t i = first_index(r, visit); i <= last_index(r, visit); i++) {
		if (columns(r, visit, strip, i, &from, &to))
			return true;
	}
	return false;
}

/* The columns that the batch is about. */
static void find_hull(struct raid5_batch *batch)
{
	uint64_t from, to, lo = UINT64_MAX, hi = 0;

	for (unsigned v = 0; v < batch->visit_count; v++) {
		const struct raid5_visit *visit = batch->visits[v];

		for (uint32_t i = first_index(batch->r, visit); i <= last_index(batch->r, visit);
		     i++) {
			if (!columns(batch->r, visit, batch->strip, i, &from, &to))
				continue;
			lo = MIN(lo, from);
			hi = MAX(hi, to);
		}
		batch->flags |= visit->write->flags & BLOCK_FUA;
	}
	batch->lo = lo;
	batch->width = (uint32_t)(hi - lo);
}

/* ---- Copying ---- */

static void copy_piece(const struct raid5_batch *batch, const struct raid5_visit *visit,
		       uint32_t index, uint64_t from, uint64_t to)
{
	const struct raid5 *r = batch->r;
	uint8_t *at = raid5_second(&batch->work, raid5_role(&batch->work.row, index)) +
		      (from - batch->lo);
	const struct raid_write *write = visit->write;
	uint64_t in_row = (uint64_t)index * raid5_chunk_bytes(r) + from;
	uint64_t row = (batch->work.sector / r->g.chunk_sectors) * raid5_row_bytes(r);
	struct iov_range source = iov_range_of(write->iov, write->count);

	if (write->kind != RAID_WRITE_DATA) {
		memset(at, 0, to - from);
		return;
	}
	iov_advance(&source, row + in_row - write->offset);
	iov_copy_out(&source, at, to - from);
}

static void copy(const struct raid5_batch *batch)
{
	uint64_t from, to;

	for (unsigned v = 0; v < batch->visit_count; v++) {
		const struct raid5_visit *visit = batch->visits[v];

		for (uint32_t i = first_index(batch->r, visit); i <= last_index(batch->r, visit);
		     i++) {
			if (exact_columns(batch->r, visit, batch->strip, i, &from, &to))
				copy_piece(batch, visit, i, from, to);
		}
	}
}

/* A page of which only a part is written has the rest from what is there. */
static int complete_page(struct raid5_batch *batch, uint32_t index, uint64_t column)
{
	struct raid5_work *work = &batch->work;
	uint32_t page = batch->r->page, role = raid5_role(&work->row, index);
	uint32_t at = (uint32_t)(round_down(column, page) - batch->lo);
	int rc;

	if (column % page == 0)
		return 0;
	memset(work->state, 0, work->row.disks);
	work->state[role] = RAID5_WANT;
	rc = raid5_fetch(work, at, page);
	if (!rc)
		memcpy(raid5_second(work, role) + at, raid5_block(work, role) + at, page);
	return rc;
}

static int complete_pages(struct raid5_batch *batch)
{
	uint64_t from, to;
	int rc = 0;

	for (unsigned v = 0; batch->r->page > 1 && v < batch->visit_count; v++) {
		const struct raid5_visit *visit = batch->visits[v];
		uint32_t last = last_index(batch->r, visit);

		for (uint32_t i = first_index(batch->r, visit); !rc && i <= last; i++) {
			if (!exact_columns(batch->r, visit, batch->strip, i, &from, &to))
				continue;
			rc = complete_page(batch, i, from);
			if (!rc)
				rc = complete_page(batch, i, to);
		}
	}
	return rc;
}

/* ---- Segments ---- */

/* Few, and mostly in their order. */
static void sort(uint32_t *values, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint32_t value = values[i];
		unsigned at = i;

		for (; at && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

/* Every column at which a piece begins or ends, sorted, each perhaps several times. */
static unsigned find_edges(const struct raid5_batch *batch, uint32_t *edges)
{
	unsigned count = 0;

	for (unsigned v = 0; v < batch->visit_count; v++) {
		const struct raid5_visit *visit = batch->visits[v];
		uint32_t ends[2] = { first_index(batch->r, visit), last_index(batch->r, visit) };

		/* Chunks between the first and the last are whole: strip's ends. */
		edges[count++] = 0;
		edges[count++] = batch->width;
		for (unsigned i = 0; i < 2; i++) {
			uint64_t from, to;

			if (!columns(batch->r, visit, batch->strip, ends[i], &from, &to))
				continue;
			edges[count++] = (uint32_t)(from - batch->lo);
			edges[count++] = (uint32_t)(to - batch->lo);
		}
	}
	sort(edges, count);
	return count;
}

/* Which chunks are written from column `at` on. Returns how many. */
static uint32_t find_covered(const struct raid5_batch *batch, uint32_t at, uint8_t *covered)
{
	uint64_t from, to;
	uint32_t count = 0;

	memset(covered, 0, batch->work.row.data);
	for (unsigned v = 0; v < batch->visit_count; v++) {
		const struct raid5_visit *visit = batch->visits[v];

		for (uint32_t i = first_index(batch->r, visit); i <= last_index(batch->r, visit);
		     i++) {
			if (columns(batch->r, visit, batch->strip, i, &from, &to) &&
			    from <= batch->lo + at && batch->lo + at < to)
				covered[i] = 1;
		}
	}
	for (uint32_t i = 0; i < batch->work.row.data; i++)
		count += covered[i];
	return count;
}

static void add_segment(struct raid5_batch *batch, uint32_t at, uint32_t end)
{
	uint32_t data = batch->work.row.data;
	struct raid5_segment *segment = &batch->segments[batch->segment_count], *last = NULL;

	if (batch->segment_count)
		last = &batch->segments[batch->segment_count - 1];

	segment->covered = batch->covered + (size_t)batch->segment_count * data;
	segment->written = find_covered(batch, at, segment->covered);
	if (!segment->written)
		return;
	segment->at = at;
	segment->length = end - at;
	if (last && last->at + last->length == at &&
	    memcmp(last->covered, segment->covered, data) == 0)
		last->length += segment->length;
	else
		batch->segment_count++;
}

static int find_segments(struct raid5_batch *batch)
{
	uint32_t edges[6 * RAID5_BATCH_MOST];
	unsigned count = find_edges(batch, edges);

	batch->covered = malloc((size_t)count * batch->work.row.data);
	if (!batch->covered)
		return -ENOMEM;
	for (unsigned i = 0; i + 1 < count; i++) {
		if (edges[i] < edges[i + 1])
			add_segment(batch, edges[i], edges[i + 1]);
	}
	return 0;
}

/* ---- One batch ---- */

/* Nothing is read for it, and no log wants its parity before. */
static bool writes_all(const struct raid5_batch *batch)
{
	return batch->segment_count == 1 && batch->segments[0].written == batch->work.row.data &&
	       !batch->r->ppl && !raid5_has_journal(batch->r->array);
}

static int write_with_parity(struct raid5_batch *batch)
{
	int rc;

	if (writes_all(batch)) {
		batch->r->full_writes++;
		return raid5_batch_write(batch, true);
	}
	rc = raid5_batch_parity(batch);
	if (!rc)
		rc = raid5_ppl_begin(batch);
	if (!rc)
		rc = raid5_journal_begin(batch);
	if (!rc)
		rc = raid5_batch_write(batch, false);
	raid5_journal_end(batch);
	raid5_ppl_end(batch);
	return rc;
}

static int carry_out(struct raid5_batch *batch)
{
	struct raid_span span = { batch->work.sector, batch->work.width >> MD_SECTOR_SHIFT };
	struct raid_bracket bracket;
	int rc;

	rc = complete_pages(batch);
	if (rc)
		return rc;
	copy(batch);
	rc = find_segments(batch);
	if (!rc)
		rc = raid_bracket_begin(batch->r->array, &bracket, span, span);
	if (rc)
		return rc;
	return raid_bracket_end(&bracket, write_with_parity(batch));
}

/* The write that is at the stripe, and those behind it. */
static int lead(struct raid5 *r, struct raid5_visit *visit, uint64_t strip)
{
	struct raid5_batch batch;
	struct list taken;
	uint64_t sector;
	int rc;

	raid5_batch_begin(&batch, r, strip, visit);
	list_init(&taken);
	if (visit->joins)
		raid5_gather(r, visit, &taken, RAID5_BATCH_MOST - 1);
	list_for_each(at, &taken)
		batch.visits[batch.visit_count++] = list_entry(at, struct raid5_visit, node);
	find_hull(&batch);
	sector = visit->stripe * (r->strip >> MD_SECTOR_SHIFT);
	sector += (batch.lo - strip) >> MD_SECTOR_SHIFT;
	rc = raid5_work_begin(r, &batch.work, sector, batch.width);
	if (!rc)
		rc = carry_out(&batch);
	free(batch.covered);
	raid5_work_end(&batch.work);
	for (unsigned i = 1; i < batch.visit_count; i++)
		raid5_carried_out(batch.visits[i], rc);
	return rc;
}

/* ---- A request ---- */

struct raid5_job {
	struct raid5 *r;
	const struct raid_write *write;
	uint64_t row, strip; /* what comes next */
	int rc;
};

/* The part of the request in one row. */
static void part_of_row(const struct raid5_job *job, uint64_t row, struct raid5_visit *visit)
{
	uint64_t bytes = raid5_row_bytes(job->r), start = row * bytes;
	uint64_t end = job->write->offset + job->write->length;

	visit->write = job->write;
	visit->start = MAX(job->write->offset, start) - start;
	visit->end = MIN(end - start, bytes);
}

/* The next stripe that the request touches. */
static bool next_stripe(struct raid5_job *job, struct raid5_visit *visit, uint64_t *strip)
{
	struct raid5 *r = job->r;

	while (job->row * raid5_row_bytes(r) < job->write->offset + job->write->length) {
		bool found;

		part_of_row(job, job->row, visit);
		*strip = job->strip;
		visit->stripe = (job->row * raid5_chunk_bytes(r) + *strip) / r->strip;
		found = touches(r, visit, *strip);
		job->strip += r->strip;
		if (job->strip == raid5_chunk_bytes(r)) {
			job->strip = 0;
			job->row++;
		}
		if (found)
			return true;
	}
	return false;
}

static int write_stripe(struct raid5 *r, struct raid5_visit *visit, uint64_t strip)
{
	bool whole = raid5_writes_whole(r, visit, strip);
	int rc;

	/* A discard is a hint. */
	if (visit->write->kind == RAID_WRITE_DISCARD && !whole)
		return 0;
	visit->joins = !whole;
	if (!raid5_enter(r, visit))
		return visit->rc;
	rc = whole ? raid5_write_whole(r, visit, strip) : lead(r, visit, strip);
	raid5_leave(r, visit);
	return rc;
}

static int work_on(void *arg)
{
	struct raid5_visit visit;
	struct raid5_job *job = arg;
	uint64_t strip;

	while (next_stripe(job, &visit, &strip)) {
		int rc = write_stripe(job->r, &visit, strip);

		if (rc && !job->rc)
			job->rc = rc;
	}
	return 0;
}

#define FIBERS 4u

int raid5_write_shape(struct raid5 *r, const struct raid_write *write)
{
	struct raid5_job job = { .r = r,
				 .write = write,
				 .row = write->offset / raid5_row_bytes(r) };
	uint64_t stripes = write->length / r->strip / raid5_data_disks(&r->g);
	struct fiber *fibers[FIBERS];
	unsigned count = (unsigned)MIN(stripes, FIBERS);

	for (unsigned i = 1; i < count; i++)
		fibers[i] = fiber_spawn(work_on, &job);
	work_on(&job);
	for (unsigned i = 1; i < count; i++)
		fiber_join(fibers[i]);
	return job.rc;
}
