/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making mirrors agree, for rebuild.c: resync copies from the copy that reads go to, recovery fills
 * the members that are being rebuilt, check compares and repair compares and makes equal.
 */
#include <errno.h>
#include <string.h>

#include "raid/legs.h"
#include "raid/mirror.h"
#include "raid/rebuild.h"
#include "raid/rebuild_windows.h"
#include "util/bytes.h"

/* What is done with one span. `only`: the one member that is filled; NULL: all that the operation writes to. */
struct pass {
	struct raid_sync *sync;
	const struct raid_member *only;
};

static bool is_target(const struct raid_member *member, const struct pass *pass)
{
	if (!member || (pass->only && member != pass->only))
		return false;
	return member->state == RAID_MEMBER_REBUILDING ||
	       (pass->sync->operation == RAID_RESYNC && member->state == RAID_MEMBER_IN_SYNC);
}

/* Writes a span to all targets but the copy `source` (-1: none), `data` NULL: zeroes. Those that fail are faulty
 * then. 0 or -ENOMEM. */
static int write_targets(const struct mirror_span *span, const struct pass *pass, int source,
			 const uint8_t *data)
{
	const struct iovec iov = { (void *)data, span->length };
	CLEANUP_RAID_LEGS struct raid_legs legs;
	int rc = raid_legs_begin(&legs, span->copies * (span->array->replacements ? 2 : 1));

	for (unsigned i = 0; !rc && i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);
		const struct block_io io = { .kind = data ? BLOCK_WRITE : BLOCK_WRITE_ZEROES,
					     .flags = data ? 0 : BLOCK_MAY_UNMAP,
					     .offset = copy.offset,
					     .length = span->length,
					     .iov = &iov,
					     .count = data ? 1 : 0 };

		if ((int)i != source && is_target(copy.member, pass))
			raid_legs_add(&legs, copy.member, &io);
		if (is_target(copy.replacement, pass))
			raid_legs_add(&legs, copy.replacement, &io);
	}
	raid_legs_run(&legs);
	for (unsigned i = 0; i < legs.count; i++)
		mirror_target_written(legs.members[i], pass->sync, &legs.ios[i]);
	return rc;
}

/* What no member can give is bad on the targets, too: the log keeps it from being read. */
static int note_bad(const struct mirror_span *span, const struct pass *pass)
{
	struct raid_array *array = span->array;

	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);
		struct raid_member *member = copy.replacement ? copy.replacement : copy.member;

		if (!is_target(member, pass) || member->state != RAID_MEMBER_REBUILDING)
			continue;
		if (raid_member_note_bad(member, raid_member_sector_of(copy.offset),
					 span->length >> MD_SECTOR_SHIFT))
			return -EIO;
		log_warning(array->log,
			    "%s: byte %llu cannot be read from any member: noted as bad on %s",
			    array->block.name, (unsigned long long)span->offset,
			    member->block->name);
	}
	return 0;
}

static int copy_piecewise(const struct mirror_span *span, int suspect, const struct pass *pass)
{
	uint64_t end = span->offset + span->length;
	uint8_t *buffer = pass->sync->buffers[0];

	for (uint64_t at = span->offset; at < end;) {
		uint64_t piece = MIN(RAID_PIECE - at % RAID_PIECE, end - at);
		struct mirror_span part = mirror_span(span->array, at, piece);
		int rc = mirror_read_carefully(&part, suspect, buffer);

		if (!rc)
			rc = write_targets(&part, pass, -1, buffer);
		else if (pass->sync->operation == RAID_RECOVER)
			rc = note_bad(&part, pass);
		else
			rc = 0; /* a resync cannot make it better */
		if (rc)
			return rc;
		at += piece;
	}
	return 0;
}

/* Reads them, or has them lent by a member that is held: nobody writes to what is locked. */
static int get_data(struct block *block, uint64_t start, uint64_t length, const struct pass *pass,
		    const uint8_t **data)
{
	*data = block_lend(block, start, length);
	if (*data)
		return 0;
	*data = pass->sync->buffers[0];
	return block_read(block, start, pass->sync->buffers[0], length);
}

/* Resync and recovery of a span, which is locked. */
static int copy_span(const struct mirror_span *span, const struct pass *pass)
{
	uint64_t length = span->length, start;
	struct mirror_copy source = mirror_choose(span, &length, NULL);
	const uint8_t *data = NULL;
	enum block_status status;
	int rc;

	if (!source.member || length != span->length || source.member->state != RAID_MEMBER_IN_SYNC)
		return copy_piecewise(span, -1, pass);
	raid_member_hold(source.member);
	source.member->next_read = source.offset + length;
	start = mirror_data_start(source.member) + source.offset;
	rc = block_status(source.member->block, start, &length, &status);
	if (rc || status != BLOCK_STATUS_ZERO || length != span->length)
		rc = get_data(source.member->block, start, span->length, pass, &data);
	if (!rc)
		rc = write_targets(span, pass, (int)source.index, data);
	else
		rc = copy_piecewise(span, (int)source.index, pass);
	raid_member_release(source.member);
	return rc;
}

/* Calls fn() for the spans of array sectors, locked as a whole. */
static int for_each_span(struct raid_sync *sync, const struct raid_member *only, uint64_t sector,
			 uint64_t count,
			 int (*fn)(const struct mirror_span *span, const struct pass *pass))
{
	const struct pass pass = { sync, only };
	uint64_t at = sector << MD_SECTOR_SHIFT, end = (sector + count) << MD_SECTOR_SHIFT;
	struct range_hold hold;
	int rc = raid_sync_lock(sync, &hold, sector, count);

	if (rc)
		return rc;
	while (!rc && at < end) {
		struct mirror_span span = mirror_span(sync->array, at, end - at);

		rc = fn(&span, &pass);
		at += span.length;
	}
	range_unlock(&sync->array->ranges, &hold);
	return rc;
}

/* One member's sectors, each with the array sector that it holds. */
static int recover_member(struct raid_sync *sync, struct raid_member *member)
{
	struct raid_array *array = sync->array;
	uint64_t at = sync->sector, end = at + sync->count;
	int rc = 0;

	while (!rc && at < end && member->state == RAID_MEMBER_REBUILDING) {
		uint64_t count = end - at, found;

		found = array->level->sync_sector(array, member, at, &count);
		if (found != UINT64_MAX)
			rc = for_each_span(sync, member, found, count, copy_span);
		at += count;
	}
	return rc;
}

static int recover(struct raid_array *array, struct raid_sync *sync)
{
	int rc = 0;

	if (!array->level->sync_sector)
		return for_each_span(sync, NULL, sync->sector, sync->count, copy_span);
	for (uint32_t i = 0; !rc && i < 2 * array->now.disks; i++) {
		const struct raid_place *place = &array->places[i / 2];
		struct raid_member *member = i % 2 ? place->replacement : place->member;

		if (!raid_rebuild_is_target(member))
			continue;
		raid_member_hold(member);
		rc = recover_member(sync, member);
		raid_member_release(member);
	}
	return rc;
}

/* ---- Check and repair ---- */

/* Notes where one of two copies differs from the other; returns how many bytes. */
static uint64_t differing(const struct mirror_span *span, const uint8_t *a, const uint8_t *b)
{
	uint64_t bytes = 0;

	if (memcmp(a, b, span->length) == 0)
		return 0;
	for (uint64_t at = 0; at < span->length; at += MD_SECTOR_SIZE) {
		if (memcmp(a + at, b + at, MD_SECTOR_SIZE) == 0)
			continue;
		bytes += MD_SECTOR_SIZE;
		raid_rebuild_found(span->array, span->offset + at, MD_SECTOR_SIZE, RAID_SPARE);
	}
	return bytes;
}

/* A piece that cannot be read as a whole; units that cannot be read at all are made good from `data`. */
static void read_units(const struct mirror_copy *copy, uint64_t at, uint8_t *to, uint64_t length,
		       const uint8_t *data)
{
	struct raid_member *member = copy->member;
	uint64_t start = mirror_data_start(member) + copy->offset + at;
	uint32_t unit = raid_member_unit(member);

	for (uint64_t i = 0, part; i < length; i += part) {
		part = MIN(length - i, unit - (start + i) % unit);
		if (part < length && !block_read(member->block, start + i, to + i, part))
			continue;
		raid_member_make_good(member, copy->offset + at + i, data + i, part);
		memcpy(to + i, data + i, part);
	}
}

/* Reads a copy in pieces, which could not be read as a whole; what it cannot read is made good from `data`, when
 * there is one. */
static int read_pieces(const struct mirror_copy *copy, uint8_t *to, uint64_t length,
		       const uint8_t *data)
{
	struct raid_member *member = copy->member;
	uint64_t start = mirror_data_start(member) + copy->offset;
	int rc = 0;

	raid_member_hold(member);
	for (uint64_t at = 0; !rc && at < length; at += RAID_PIECE) {
		uint64_t piece = MIN(RAID_PIECE, length - at);

		rc = block_read(member->block, start + at, to + at, piece);
		if (rc && data && member->state == RAID_MEMBER_IN_SYNC) {
			read_units(copy, at, to + at, piece, data + at);
			rc = 0;
		}
	}
	raid_member_release(member);
	return rc;
}

static bool is_bad(const struct mirror_copy *copy, uint64_t length)
{
	return md_badblocks_find(&copy->member->bad, mirror_sector(copy),
				 length >> MD_SECTOR_SHIFT) != NULL;
}

/* What the copy `first` is compared with next, from `index` on; its member is NULL at the end. */
static struct mirror_copy next_other(const struct mirror_span *span, unsigned index, unsigned first)
{
	for (; index < span->copies; index++) {
		struct mirror_copy copy = mirror_copy(span, index);

		if (copy.member && index != first && copy.member->state == RAID_MEMBER_IN_SYNC &&
		    !is_bad(&copy, span->length))
			return copy;
	}
	return (struct mirror_copy){ .index = span->copies };
}

/* Reads one or two copies at the same time, to the two buffers; those without a member are not read. */
static int read_both(const struct pass *pass, const struct mirror_copy *const copies[2],
		     uint64_t length, int results[2])
{
	struct iovec iov[2];
	CLEANUP_RAID_LEGS struct raid_legs legs;
	int rc = raid_legs_begin(&legs, 2);

	if (rc)
		return rc;
	for (unsigned i = 0; i < 2; i++) {
		if (!copies[i] || !copies[i]->member)
			continue;
		iov[i] = (struct iovec){ pass->sync->buffers[i], length };
		raid_legs_add(&legs, copies[i]->member,
			      &(struct block_io){ .kind = BLOCK_READ,
						  .offset = copies[i]->offset,
						  .length = length,
						  .iov = &iov[i],
						  .count = 1 });
	}
	raid_legs_run(&legs);
	for (unsigned i = 0, leg = 0; i < 2; i++)
		results[i] = copies[i] && copies[i]->member ? legs.ios[leg++].result : 0;
	return 0;
}

/* Compares a copy, which is in the second buffer if it could be read (`rc`), with the first. False where that
 * cannot be done. `vote`: who differs is found out otherwise, and *differs is all that is wanted. */
static bool compare_copy(const struct mirror_span *span, const struct mirror_copy *copy,
			 const struct pass *pass, int rc, bool vote, bool *differs)
{
	struct raid_sync *sync = pass->sync;
	uint64_t bytes;

	if (vote) {
		/* What one cannot read the others vote on, too. */
		*differs |= rc || memcmp(sync->buffers[0], sync->buffers[1], span->length) != 0;
		return copy->member->state == RAID_MEMBER_IN_SYNC;
	}
	if (rc)
		rc = read_pieces(copy, sync->buffers[1], span->length, sync->buffers[0]);
	if (rc || copy->member->state != RAID_MEMBER_IN_SYNC)
		return false;
	/* Of two nobody can know which is right. */
	bytes = differing(span, sync->buffers[0], sync->buffers[1]);
	sync->mismatches += bytes;
	if (sync->operation == RAID_REPAIR)
		sync->unresolved += bytes;
	return true;
}

/* Reads `first` to the first buffer, from other copies where it cannot give it, and `other`, if there is one, to
 * the second: *other_rc. 1; 0 where no copy can give it; or a negative errno. */
static int read_first(const struct mirror_span *span, const struct pass *pass,
		      const struct mirror_copy *first, const struct mirror_copy *other,
		      int *other_rc)
{
	uint8_t *buffer = pass->sync->buffers[0];
	int rc, results[2];

	rc = read_both(pass, (const struct mirror_copy *[2]){ first, other }, span->length,
		       results);
	*other_rc = rc ? rc : results[1];
	if (rc)
		return rc;
	return !results[0] || !read_pieces(first, buffer, span->length, NULL) ||
	       !mirror_read_carefully(span, (int)first->index, buffer);
}

/* The others, of which the first has been read. Held: who is compared may be failed meanwhile. */
static int compare_others(const struct mirror_span *span, const struct pass *pass, unsigned first,
			  struct mirror_copy other, int other_rc)
{
	bool vote = pass->sync->force || mirror_voters(span) > 2, differs = false;
	unsigned compared = 1;
	int rc = 0;

	while (!rc && other.member) {
		int results[2] = { 0 };

		compared += compare_copy(span, &other, pass, other_rc, vote, &differs);
		other = next_other(span, other.index + 1, first);
		if (other.member)
			rc = read_both(pass, (const struct mirror_copy *[2]){ NULL, &other },
				       span->length, results);
		other_rc = results[1];
	}
	if (!rc && differs)
		mirror_vote(span, pass->sync);
	if (!rc && compared < span->copies)
		pass->sync->skipped += span->length;
	return rc;
}

/* 1; 0 where no copy can give it, so that smaller parts are worth a try; or a negative errno. */
static int compare_part(const struct mirror_span *span, const struct pass *pass)
{
	uint64_t part = span->length;
	struct mirror_copy first = mirror_choose(span, &part, NULL), other;
	struct raid_member *held;
	int rc, other_rc;

	if (!first.member || part != span->length || first.member->state != RAID_MEMBER_IN_SYNC)
		return 0;
	other = next_other(span, 0, first.index);
	held = other.member;
	if (held)
		raid_member_hold(held);
	rc = read_first(span, pass, &first, &other, &other_rc);
	if (rc == 1) {
		int failed = compare_others(span, pass, first.index, other, other_rc);

		rc = failed ? failed : 1;
	}
	if (held)
		raid_member_release(held);
	return rc;
}

static bool any_bad(const struct mirror_span *span)
{
	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);

		if (copy.member && is_bad(&copy, span->length))
			return true;
	}
	return false;
}

/* Repair writes what is in the first buffer to copies that are bad there, as the kernel's does. */
static void heal(const struct mirror_span *span, const struct pass *pass)
{
	struct raid_array *array = span->array;

	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);

		if (!copy.member || copy.member->state != RAID_MEMBER_IN_SYNC ||
		    !is_bad(&copy, span->length))
			continue;
		/* Where it stays bad it is no worse than before. */
		if (raid_member_write_anew(copy.member, copy.offset, pass->sync->buffers[0],
					   span->length))
			continue;
		md_badblocks_clear(&copy.member->bad, mirror_sector(&copy),
				   span->length >> MD_SECTOR_SHIFT);
		array->counters.made_good++;
		log_info(array->log, "%s: %llu bytes at byte %llu that were bad on %s made good",
			 array->block.name, (unsigned long long)span->length,
			 (unsigned long long)span->offset, copy.member->block->name);
	}
}

/* A piece, or a block of one. What is bad is written where the others are known to be the same. */
static int compare_piece(const struct mirror_span *piece, const struct pass *pass)
{
	uint64_t before = pass->sync->mismatches;
	int rc = compare_part(piece, pass);

	if (!rc)
		pass->sync->skipped += piece->length;
	else if (rc > 0 && pass->sync->operation == RAID_REPAIR && pass->sync->mismatches == before)
		heal(piece, pass);
	return MIN(rc, 0);
}

/* In parts of `size` at most. */
static int compare_parts(const struct mirror_span *span, uint64_t size, const struct pass *pass)
{
	uint64_t end = span->offset + span->length;
	uint32_t block = span->array->block.logical_block_size;
	int rc = 0;

	for (uint64_t at = span->offset; !rc && at < end;) {
		struct mirror_span part =
			mirror_span(span->array, at, MIN(size - at % size, end - at));

		if (size > block && any_bad(&part))
			rc = compare_parts(&part, block, pass);
		else
			rc = compare_piece(&part, pass);
		at += part.length;
	}
	return rc;
}

/* Around what is bad somewhere in pieces, so that the rest is compared all the same. */
static int compare_span(const struct mirror_span *span, const struct pass *pass)
{
	int rc = 0;

	if (!any_bad(span))
		rc = compare_part(span, pass);
	if (!rc)
		rc = compare_parts(span, RAID_PIECE, pass);
	if (rc < 0)
		return rc;
	return raid_array_survives(span->array) ? 0 : -EIO;
}

int mirror_sync(struct raid_array *array, struct raid_sync *sync)
{
	switch (sync->operation) {
	case RAID_RESYNC:
		return for_each_span(sync, NULL, sync->sector, sync->count, copy_span);
	case RAID_RECOVER:
		return recover(array, sync);
	case RAID_CHECK:
	case RAID_REPAIR:
		return for_each_span(sync, NULL, sync->sector, sync->count, compare_span);
	default:
		return -EINVAL;
	}
}
