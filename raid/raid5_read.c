/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading levels 4, 5 and 6. What can be read is read straight into the caller's memory, all of it at once, without a
 * visit. Rows in which something cannot be read, or could not, are gone over strip by strip: everything that the
 * request wants of a stripe is fetched together, so that each member is read once. Where members lend (memory) only that something is.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/iov.h"
#include "raid/raid5.h"
#include "util/bytes.h"

#define FEW_PIECES 4u
#define FEW_IOVS   8u

/* Part of a request: of one chunk. */
struct raid5_piece {
	uint64_t from, length; /* in the request */
	struct raid5_place place;
	bool careful;
};

struct read {
	struct raid5 *r;
	uint64_t offset, length;
	const struct iovec *iov;
	unsigned iov_count;
	struct raid5_piece *pieces;
	unsigned count;
};

static void cut(struct read *read)
{
	uint64_t chunk = raid5_chunk_bytes(read->r);

	for (uint64_t at = 0; at < read->length;) {
		struct raid5_piece *piece = &read->pieces[read->count++];

		piece->from = at;
		piece->length = MIN(chunk - (read->offset + at) % chunk, read->length - at);
		piece->place = raid5_map(&read->r->g, (read->offset + at) >> MD_SECTOR_SHIFT);
		piece->careful = !raid5_readable(read->r, piece->place.role, piece->place.sector,
						 piece->length >> MD_SECTOR_SHIFT);
		at += piece->length;
	}
}

/* The pieces from `first` on that are of the same row. */
static unsigned row_end(const struct read *read, unsigned first)
{
	unsigned end = first + 1;

	while (end < read->count && read->pieces[end].place.row == read->pieces[first].place.row)
		end++;
	return end;
}

static bool row_is_careful(const struct read *read, unsigned first, unsigned end)
{
	for (; first < end; first++) {
		if (read->pieces[first].careful)
			return true;
	}
	return false;
}

/*
 * Whether members lend what the row has: then what cannot be read is computed from there, and the rest is read as ever,
 * before that, so that it is in a cache. Of others each is to be read once.
 */
static bool row_lends(const struct read *read, uint64_t row)
{
	const struct raid5 *r = read->r;
	uint64_t sector = row * r->g.chunk_sectors;

	for (uint32_t i = 0; i < r->g.disks; i++) {
		struct raid_member *member = r->array->places[i].member;

		if (raid5_readable(r, i, sector, r->g.chunk_sectors) &&
		    !block_lend(member->block,
				raid5_device_sector(r, member, sector) << MD_SECTOR_SHIFT,
				raid5_chunk_bytes(r)))
			return false;
	}
	return true;
}

/* Reads the pieces of rows in which all can be read. What fails is careful from then on. */
static int read_direct(struct read *read)
{
	struct iov_range at = iov_range_of(read->iov, read->iov_count);
	struct iovec few[FEW_IOVS], *iovs = few;
	unsigned capacity = read->count + read->iov_count, used;
	CLEANUP_FREE struct iovec *many = NULL;
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	int rc = raid5_ios_begin(&ios, read->r, read->count);

	if (!rc && capacity > FEW_IOVS) {
		iovs = many = malloc(capacity * sizeof(*iovs));
		rc = many ? 0 : -ENOMEM;
	}
	for (unsigned first = 0, end; !rc && first < read->count; first = end) {
		bool careful;

		end = row_end(read, first);
		careful = row_is_careful(read, first, end) &&
			  !row_lends(read, read->pieces[first].place.row);
		for (unsigned i = first; i < end; i++) {
			struct raid5_piece *piece = &read->pieces[i];

			piece->careful |= careful;
			if (piece->careful) {
				iov_advance(&at, piece->length);
				continue;
			}
			iov_take(&at, piece->length, iovs, capacity, &used);
			raid5_ios_add_iov(&ios, read->r->array->places[piece->place.role].member,
					  piece->place.sector << MD_SECTOR_SHIFT, iovs, used,
					  piece->length);
			iovs += used;
			capacity -= used;
		}
	}
	if (rc)
		return rc;
	raid5_ios_run(&ios);
	for (unsigned i = 0, leg = 0; i < read->count; i++)
		read->pieces[i].careful = read->pieces[i].careful || ios.ios[leg++].result;
	return 0;
}

/* What pieces [first, end) of one row want of a strip: columns [*lo, *hi) of it. */
static void strip_columns(const struct read *read, unsigned first, unsigned end, uint64_t strip,
			  uint64_t *lo, uint64_t *hi)
{
	uint64_t chunk = raid5_chunk_bytes(read->r);

	*lo = strip + read->r->strip;
	*hi = strip;
	for (; first < end; first++) {
		const struct raid5_piece *piece = &read->pieces[first];
		uint64_t from = (read->offset + piece->from) % chunk;

		if (!piece->careful || from >= strip + read->r->strip ||
		    from + piece->length <= strip)
			continue;
		*lo = MIN(*lo, MAX(from, strip));
		*hi = MAX(*hi, MIN(from + piece->length, strip + read->r->strip));
	}
}

/* Copies what was fetched of [lo, hi). */
static void give(const struct read *read, const struct raid5_work *work,
		 const struct raid5_piece *piece, uint64_t lo, uint64_t hi)
{
	uint64_t from = (read->offset + piece->from) % raid5_chunk_bytes(read->r);
	uint64_t start = MAX(from, lo), end = MIN(from + piece->length, hi);
	struct iov_range to = iov_range_of(read->iov, read->iov_count);

	if (!piece->careful || start >= end)
		return;
	iov_advance(&to, piece->from + start - from);
	iov_copy_in(&to, raid5_block(work, piece->place.role) + (start - lo), end - start);
}

static int read_strip(const struct read *read, unsigned first, unsigned end, uint64_t lo,
		      uint64_t hi)
{
	struct raid5 *r = read->r;
	uint64_t row = read->pieces[first].place.row;
	uint64_t sector = row * r->g.chunk_sectors + (lo >> MD_SECTOR_SHIFT);
	struct raid5_visit visit = { .stripe = (sector << MD_SECTOR_SHIFT) / r->strip };
	struct raid5_work work;
	int rc;

	raid5_enter(r, &visit);
	rc = raid5_work_begin(r, &work, sector, (uint32_t)(hi - lo));
	if (!rc) {
		for (unsigned i = first; i < end; i++) {
			if (read->pieces[i].careful)
				work.state[read->pieces[i].place.role] = RAID5_WANT;
		}
		rc = raid5_fetch(&work, 0, work.width);
		for (unsigned i = first; !rc && i < end; i++)
			give(read, &work, &read->pieces[i], lo, hi);
		raid5_work_end(&work);
	}
	raid5_leave(r, &visit);
	return rc;
}

static int read_row(const struct read *read, unsigned first, unsigned end)
{
	uint32_t unit = MIN(read->r->array->block.physical_block_size, RAID_PIECE);
	int rc = 0;

	for (uint64_t strip = 0; !rc && strip < raid5_chunk_bytes(read->r);
	     strip += read->r->strip) {
		uint64_t lo, hi;

		strip_columns(read, first, end, strip, &lo, &hi);
		if (lo >= hi)
			continue;
		/* Whole blocks of the members, which can be made good. */
		rc = read_strip(read, first, end, round_down(lo, unit), round_up(hi, unit));
		if (rc == -EIO && (lo | hi) % unit)
			rc = read_strip(read, first, end, lo, hi);
	}
	return rc;
}

static int read_carefully(const struct read *read)
{
	struct raid_array *array = read->r->array;
	int rc = 0;

	for (unsigned first = 0, end; !rc && first < read->count; first = end) {
		end = row_end(read, first);
		if (row_is_careful(read, first, end))
			rc = read_row(read, first, end);
	}
	if (rc == -EIO) {
		array->counters.lost_reads++;
		log_warning(array->log,
			    "%s: %llu bytes at byte %llu cannot be read: too many members lack "
			    "their part "
			    "of them",
			    array->block.name, (unsigned long long)read->length,
			    (unsigned long long)read->offset);
	}
	return raid_super_settle(array) ? -EIO : rc;
}

int raid5_read_shape(struct raid5 *r, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count)
{
	uint64_t chunk = raid5_chunk_bytes(r);
	uint64_t pieces = (offset + length - 1) / chunk - offset / chunk + 1;
	struct raid5_piece few[FEW_PIECES];
	CLEANUP_FREE struct raid5_piece *many = NULL;
	struct read read = { .r = r,
			     .offset = offset,
			     .length = length,
			     .iov = iov,
			     .iov_count = count,
			     .pieces = few };
	int rc;

	if (pieces > FEW_PIECES) {
		read.pieces = many = malloc(pieces * sizeof(*many));
		if (!many)
			return -ENOMEM;
	}
	cut(&read);
	rc = read_direct(&read);
	if (!rc && row_is_careful(&read, 0, read.count))
		rc = read_carefully(&read);
	return rc;
}
