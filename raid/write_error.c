/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member that does not take a write. As md does (narrow_write_error() of raid1.c and raid10.c, Linux 6.1) it is written again in small
 * pieces, and what it does not take then is noted in its bad-block log: it keeps all the rest. Who has no log, or a full one, is failed, and
 * so is who cannot write even the log, which an update does before the write is acknowledged.
 */
#include <errno.h>

#include "block/iov.h"
#include "raid/array.h"
#include "util/bytes.h"

#define PIECE       4096u
#define FAILED_MOST 4u  /* one after the other: then it is not tried any further */
#define IOV_MOST    64u /* of a piece; more are rare, and then it is noted untried */

static bool is_alone(const struct raid_member *member)
{
	const struct raid_array *array = member->array;
	uint64_t sector, count;

	return array->level->holds_alone && raid_array_can_lose(array, member) &&
	       array->level->holds_alone(array, member, &sector, &count);
}

/* As md's WantReplacement, which is kept in memory only. */
static void want_replacement(struct raid_member *member)
{
	if (member->wants_replacement || !member->array->metadata->replacements)
		return;
	member->wants_replacement = true;
	log_warning(member->array->log,
		    "%s: %s did not take a write: a spare replaces it, if there is one",
		    member->array->block.name, member->block->name);
	raid_array_changed(member->array, RAID_CHANGED_WANTING);
}

bool raid_member_note_instead(struct raid_member *member, uint64_t offset, uint64_t length, int rc)
{
	struct raid_array *array = member->array;

	/* One that is to fail fast is kept only for what it alone has. */
	if (rc == -ENXIO || array->block.read_only || !raid_member_active(member) ||
	    ((member->sb.devflags & MD_DEVICE_FAILFAST) && !is_alone(member)) ||
	    raid_member_note_bad(member, raid_member_sector_of(offset), length >> MD_SECTOR_SHIFT))
		return false;
	log_warning(array->log, "%s: %s: %llu bytes at byte %llu: %s: noted as bad",
		    array->block.name, member->block->name, (unsigned long long)length,
		    raid_member_byte(member, offset), error_name(rc));
	want_replacement(member);
	return true;
}

/* Writes `length` bytes of `io` from byte `at` on again. */
static int write_piece(const struct block_io *io, uint64_t at, uint64_t length)
{
	struct iov_range from = iov_range_of(io->iov, io->count);
	struct iovec iov[IOV_MOST];
	struct block_io piece = *io;

	piece.offset += at;
	piece.length = length;
	piece.result = 0;
	if (io->kind == BLOCK_WRITE) {
		iov_advance(&from, at);
		if (iov_take(&from, length, iov, IOV_MOST, &piece.count) != length)
			return -EIO;
		piece.iov = iov;
	}
	block_run_all(&piece, 1);
	return piece.result;
}

static bool write_pieces(struct raid_member *member, const struct block_io *io)
{
	uint64_t start = member->sb.data_offset << MD_SECTOR_SHIFT;
	unsigned failed = 0;

	for (uint64_t at = 0, step; at < io->length; at += step) {
		uint64_t offset = io->offset + at - start;
		int rc;

		step = MIN(io->length - at, PIECE - offset % PIECE);
		rc = write_piece(io, at, step);
		if (!raid_member_active(member))
			return true;
		failed = rc ? failed + 1 : 0;
		if (failed == FAILED_MOST)
			step = io->length - at;
		if (rc && !raid_member_note_instead(member, offset, step, rc))
			return false;
		if (!rc)
			raid_member_written(member, io->offset + at, step);
	}
	return true;
}

bool raid_member_write_again(struct raid_member *member, const struct block_io *io)
{
	uint64_t start = member->sb.data_offset << MD_SECTOR_SHIFT;
	bool kept;

	/* What has no log is failed at once, and so is who only replaces another, which has it all. */
	if (member->replaces || io->result == -ENXIO || !member->sb.bblog_offset ||
	    !raid_member_active(member) ||
	    ((member->sb.devflags & MD_DEVICE_FAILFAST) && !is_alone(member)))
		return false;
	if (io->kind == BLOCK_DISCARD)
		return raid_member_note_instead(member, io->offset - start, io->length, io->result);
	raid_member_hold(member);
	kept = write_pieces(member, io);
	if (kept && raid_member_active(member))
		want_replacement(member);
	raid_member_release(member);
	return kept;
}

void raid_member_written(struct raid_member *member, uint64_t offset, uint64_t length)
{
	if (!member->bad.count)
		return;
	md_badblocks_clear(&member->bad, offset >> MD_SECTOR_SHIFT, length >> MD_SECTOR_SHIFT);
	if (member->bad.changed && !member->array->block.read_only)
		member->array->super_wanted++;
}
