/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of several copies is right, where they differ: with three or more what most of them say, sector by sector. Where
 * there is no majority nobody can know; a repair then takes the first copy, which reads came from, too.
 */
#include <errno.h>
#include <string.h>

#include "raid/mirror.h"
#include "util/bytes.h"

struct voter {
	struct mirror_copy copy;
	uint8_t *data; /* MIRROR_PIECE bytes */
	bool wrong;
};

static bool may_vote(const struct mirror_copy *copy, uint64_t length)
{
	return copy->member && copy->member->state == RAID_MEMBER_IN_SYNC &&
	       !md_badblocks_find(&copy->member->bad,
				  raid_member_sector(copy->member, copy->offset >> MD_SECTOR_SHIFT),
				  length >> MD_SECTOR_SHIFT);
}

unsigned mirror_voters(const struct mirror_span *span)
{
	unsigned count = 0;

	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);

		count += may_vote(&copy, span->length);
	}
	return count;
}

/* Those that can be read; at most MIRROR_VOTERS. */
static unsigned hear(const struct mirror_span *piece, uint8_t *memory, struct voter *voters)
{
	unsigned count = 0;

	for (unsigned i = 0; i < piece->copies && count < MIRROR_VOTERS; i++) {
		struct voter *voter = &voters[count];

		*voter = (struct voter){ .copy = mirror_copy(piece, i),
					 .data = memory + count * MIRROR_PIECE };
		if (!may_vote(&voter->copy, piece->length))
			continue;
		raid_member_hold(voter->copy.member);
		if (!block_read(voter->copy.member->block,
				mirror_data_start(voter->copy.member) + voter->copy.offset,
				voter->data, piece->length))
			count++;
		else
			raid_member_release(voter->copy.member);
	}
	return count;
}

/* Of the sector at `at`: the number of one that most agree with, or -1. */
static int majority(const struct voter *voters, unsigned count, uint64_t at)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned same = 0;

		for (unsigned k = 0; k < count; k++)
			same += !memcmp(voters[i].data + at, voters[k].data + at, MD_SECTOR_SIZE);
		if (2 * same > count)
			return (int)i;
	}
	return -1;
}

/* Makes them equal in memory; how many bytes nobody could know of. */
static uint64_t decide(struct voter *voters, unsigned count, uint64_t length)
{
	uint64_t unknown = 0;

	for (uint64_t at = 0; at < length; at += MD_SECTOR_SIZE) {
		int right = majority(voters, count, at);

		if (right < 0)
			unknown += MD_SECTOR_SIZE;
		right = MAX(right, 0);
		for (unsigned k = 0; k < count; k++) {
			if (!memcmp(voters[right].data + at, voters[k].data + at, MD_SECTOR_SIZE))
				continue;
			memcpy(voters[k].data + at, voters[right].data + at, MD_SECTOR_SIZE);
			voters[k].wrong = true;
		}
	}
	return unknown;
}

static void vote_piece(const struct mirror_span *piece, struct raid_sync *sync)
{
	struct raid_array *array = piece->array;
	struct voter voters[MIRROR_VOTERS];
	unsigned count = hear(piece, sync->buffers[1], voters);
	uint64_t unknown = decide(voters, count, piece->length);

	if (unknown)
		log_warning(
			array->log,
			"%s: %llu bytes at byte %llu: the copies differ, and no majority of them "
			"agrees: that of %s is taken",
			array->block.name, (unsigned long long)unknown,
			(unsigned long long)piece->offset, voters[0].copy.member->block->name);
	for (unsigned k = 0; k < count; k++) {
		if (voters[k].wrong) {
			log_warning(array->log, "%s: byte %llu: the copy on %s is made good",
				    array->block.name, (unsigned long long)piece->offset,
				    voters[k].copy.member->block->name);
			mirror_write_copy(&voters[k].copy, sync, voters[k].data, piece->length);
		}
		raid_member_release(voters[k].copy.member);
	}
}

void mirror_vote(const struct mirror_span *span, struct raid_sync *sync)
{
	uint64_t end = span->offset + span->length;

	for (uint64_t at = span->offset; at < end;) {
		struct mirror_span piece = mirror_span(
			span->array, at, MIN(MIRROR_PIECE - at % MIRROR_PIECE, end - at));

		vote_piece(&piece, sync);
		at += piece.length;
	}
}
