/* SPDX-License-Identifier: BSD-2-Clause */
/* The parity of a batch of writes: which way, what has to be read for it; and the writes to members. See raid5_write.c. */
#include "raid/raid5_batch.h"

#include <errno.h>
#include <string.h>

#include "raid/raid5_journal.h"
#include "util/bytes.h"

static bool has_member(const struct raid5_batch *batch, uint32_t role)
{
	return role != RAID5_NO_ROLE && batch->r->array->places[role].member;
}

static bool is_readable(const struct raid5_batch *batch, const struct raid5_segment *segment,
			uint32_t role)
{
	return raid5_readable(batch->r, role, batch->work.sector + (segment->at >> MD_SECTOR_SHIFT),
			      segment->length >> MD_SECTOR_SHIFT);
}

/* How many reads it takes; UINT32_MAX where it cannot be done. */
static uint32_t cost_of_modify(const struct raid5_batch *batch, const struct raid5_segment *segment)
{
	const struct raid5_row *row = &batch->work.row;
	uint32_t cost = segment->written;

	if (cost > RAID_PARITY_CHANGES_MAX)
		return UINT32_MAX;
	for (uint32_t i = 0; i < row->data; i++) {
		if (segment->covered[i] && !is_readable(batch, segment, raid5_role(row, i)))
			return UINT32_MAX;
	}
	for (unsigned i = 0; i < 2; i++) {
		uint32_t role = i ? row->q : row->p;

		if (!has_member(batch, role))
			continue;
		if (!is_readable(batch, segment, role))
			return UINT32_MAX;
		cost++;
	}
	return cost;
}

static uint32_t cost_of_reconstruct(const struct raid5_batch *batch,
				    const struct raid5_segment *segment)
{
	const struct raid5_row *row = &batch->work.row;

	for (uint32_t i = 0; i < row->data; i++) {
		if (!segment->covered[i] && !is_readable(batch, segment, raid5_role(row, i)))
			return row->disks; /* everything else is read instead */
	}
	return row->data - segment->written;
}

static void choose(const struct raid5_batch *batch, struct raid5_segment *segment)
{
	const struct raid5_row *row = &batch->work.row;
	uint64_t end = batch->work.sector + ((segment->at + segment->length) >> MD_SECTOR_SHIFT);
	uint32_t modify, reconstruct;

	if (segment->written == row->data) {
		segment->method = RAID5_FULL;
		return;
	}
	if (!has_member(batch, row->p) && !has_member(batch, row->q)) {
		segment->method = RAID5_NO_PARITY;
		return;
	}
	modify = cost_of_modify(batch, segment);
	/* A journal has both, also that of a member that is missing. */
	if (row->q != RAID5_NO_ROLE && raid5_has_journal(batch->r->array) &&
	    (!has_member(batch, row->p) || !has_member(batch, row->q)))
		modify = UINT32_MAX;
	reconstruct = cost_of_reconstruct(batch, segment);
	/* Parity may be wrong: better made anew, if that takes no parity. */
	if (end > raid_array_in_sync_below(batch->r->array) && reconstruct < row->disks)
		modify = UINT32_MAX;
	segment->method = modify < reconstruct ? RAID5_MODIFY : RAID5_RECONSTRUCT;
}

/* ---- Reading ---- */

static void add_read(const struct raid5_batch *batch, const struct raid5_segment *segment,
		     struct raid5_ios *ios, uint32_t role)
{
	const struct raid5_work *work = &batch->work;

	if (has_member(batch, role))
		raid5_ios_add(ios, batch->r->array->places[role].member, BLOCK_READ, 0,
			      (work->sector << MD_SECTOR_SHIFT) + segment->at,
			      raid5_block(work, role) + segment->at, segment->length);
}

static void add_reads(const struct raid5_batch *batch, const struct raid5_segment *segment,
		      struct raid5_ios *ios)
{
	const struct raid5_row *row = &batch->work.row;

	for (uint32_t i = 0; i < row->data; i++) {
		if (segment->covered[i])
			add_read(batch, segment, ios, raid5_role(row, i));
	}
	add_read(batch, segment, ios, row->p);
	add_read(batch, segment, ios, row->q);
}

static unsigned reads_for_modify(const struct raid5_batch *batch)
{
	unsigned count = 0;

	for (unsigned i = 0; i < batch->segment_count; i++) {
		if (batch->segments[i].method == RAID5_MODIFY)
			count += batch->segments[i].written + 2;
	}
	return count;
}

/* For all segments that are modified. One in which something cannot be read is reconstructed instead. */
static int read_for_modify(struct raid5_batch *batch)
{
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	int rc = raid5_ios_begin(&ios, batch->r, reads_for_modify(batch));
	unsigned leg = 0;

	if (rc || !ios.capacity)
		return rc;
	for (unsigned i = 0; i < batch->segment_count; i++) {
		if (batch->segments[i].method == RAID5_MODIFY)
			add_reads(batch, &batch->segments[i], &ios);
	}
	raid5_ios_run(&ios);
	for (unsigned i = 0; i < batch->segment_count; i++) {
		struct raid5_segment *segment = &batch->segments[i];
		const uint8_t *at;

		if (segment->method != RAID5_MODIFY)
			continue;
		/* Its requests are those to its columns, and they come in the order of the segments. */
		for (; leg < ios.count; leg++) {
			at = ios.iovs[leg].iov_base;
			if ((size_t)(at - batch->work.memory) % batch->work.width != segment->at)
				break;
			if (ios.ios[leg].result)
				segment->method = RAID5_RECONSTRUCT;
		}
	}
	return 0;
}

/* The chunks that are not written. */
static int fetch_for_reconstruct(struct raid5_batch *batch, const struct raid5_segment *segment)
{
	struct raid5_work *work = &batch->work;

	memset(work->state, 0, work->row.disks);
	for (uint32_t i = 0; i < work->row.data; i++) {
		if (!segment->covered[i])
			work->state[raid5_role(&work->row, i)] = RAID5_WANT;
	}
	return raid5_fetch(work, segment->at, segment->length);
}

/* ---- Computing ---- */

static void modify(struct raid5_batch *batch, const struct raid5_segment *segment)
{
	struct raid_change_block changes[RAID_PARITY_CHANGES_MAX];
	const struct raid5_work *work = &batch->work;
	const struct raid5_row *row = &work->row;
	uint32_t at = segment->at;
	bool q = has_member(batch, row->q);
	unsigned count = 0;

	for (uint32_t i = 0; i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		if (segment->covered[i])
			changes[count++] =
				(struct raid_change_block){ raid5_slot(row, role),
							    raid5_block(work, role) + at,
							    raid5_second(work, role) + at };
	}
	/* Without P's member what comes out for P is of no use, and harmless. */
	raid_parity_update(changes, count, segment->length, raid5_block(work, row->p) + at,
			   raid5_second(work, row->p) + at,
			   q ? raid5_block(work, row->q) + at : NULL,
			   q ? raid5_second(work, row->q) + at : NULL);
}

static void generate(struct raid5_batch *batch, const struct raid5_segment *segment)
{
	const struct raid5_work *work = &batch->work;
	const struct raid5_row *row = &work->row;
	struct raid_column column = raid5_column(work, segment->at, segment->length, true);

	for (uint32_t i = 0; i < row->data; i++) {
		uint32_t role = raid5_role(row, i);

		if (segment->covered[i])
			column.blocks[raid5_slot(row, role)] =
				raid5_second(work, role) + segment->at;
	}
	raid_parity_generate(&column);
}

int raid5_batch_parity(struct raid5_batch *batch)
{
	struct raid5 *r = batch->r;
	int rc;

	for (unsigned i = 0; i < batch->segment_count; i++)
		choose(batch, &batch->segments[i]);
	rc = read_for_modify(batch);
	for (unsigned i = 0; !rc && i < batch->segment_count; i++) {
		const struct raid5_segment *segment = &batch->segments[i];

		r->full_writes += segment->method == RAID5_FULL;
		r->rmw_writes += segment->method == RAID5_MODIFY;
		r->reconstruct_writes += segment->method == RAID5_RECONSTRUCT;
		if (segment->method == RAID5_RECONSTRUCT)
			rc = fetch_for_reconstruct(batch, segment);
		if (rc || segment->method == RAID5_NO_PARITY)
			continue;
		if (segment->method == RAID5_MODIFY)
			modify(batch, segment);
		else
			generate(batch, segment);
	}
	return rc;
}

/* ---- Writing ---- */

static uint64_t offset_of(const struct raid5_batch *batch, uint32_t at)
{
	return (batch->work.sector << MD_SECTOR_SHIFT) + at;
}

/* Whether a role is written in this segment: parity always is. */
static bool is_written(const struct raid5_batch *batch, const struct raid5_segment *segment,
		       uint32_t role)
{
	uint32_t index = raid5_index(&batch->work.row, role);

	return index == RAID5_NO_ROLE || segment->covered[index];
}

/* One request for as many segments of a role as are in one piece. */
static void add_writes(const struct raid5_batch *batch, struct raid5_ios *ios, uint32_t role,
		       struct raid_member *member)
{
	uint32_t at = 0, length = 0;

	for (unsigned i = 0; member && i <= batch->segment_count; i++) {
		const struct raid5_segment *segment = &batch->segments[i];
		bool written = i < batch->segment_count && is_written(batch, segment, role);

		if (written && length && at + length == segment->at) {
			length += segment->length;
			continue;
		}
		if (length)
			raid5_ios_add(ios, member, BLOCK_WRITE, batch->flags, offset_of(batch, at),
				      raid5_second(&batch->work, role) + at, length);
		at = written ? segment->at : 0;
		length = written ? segment->length : 0;
	}
}

static void add_role(const struct raid5_batch *batch, struct raid5_ios *ios, uint32_t role)
{
	const struct raid_place *place;

	if (role == RAID5_NO_ROLE)
		return;
	place = &batch->r->array->places[role];
	add_writes(batch, ios, role, place->member);
	add_writes(batch, ios, role, place->replacement);
}

static void parity_of_all(void *arg)
{
	struct raid5_batch *batch = arg;

	generate(batch, &batch->segments[0]);
}

int raid5_batch_write(struct raid5_batch *batch, bool late)
{
	struct raid_array *array = batch->r->array;
	const struct raid5_row *row = &batch->work.row;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	unsigned capacity = 0, first;
	int rc;

	for (unsigned i = 0; i < batch->segment_count; i++)
		capacity += batch->segments[i].written + 2;
	rc = raid5_ios_begin(&ios, batch->r, array->replacements ? 2 * capacity : capacity);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < row->data; i++)
		add_role(batch, &ios, raid5_role(row, i));
	first = ios.count;
	add_role(batch, &ios, row->p);
	add_role(batch, &ios, row->q);
	if (late)
		raid5_ios_run_with(&ios, first, parity_of_all, batch);
	else
		raid5_ios_run(&ios);
	rc = raid5_judge(array, &ios);
	if (rc)
		raid_array_resync_from(array, batch->work.sector);
	return rc;
}
