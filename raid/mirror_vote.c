/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of several copies is right, where they differ: with three or more what most of them say, sector by sector. Where
 * there is no majority nobody can know: a repair changes nothing there, unless it is forced to take the first copy in order.
 */
#include <errno.h>
#include <string.h>

#include "raid/mirror.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

struct voter {
	struct mirror_copy copy;
	uint8_t *data; /* RAID_PIECE bytes */
	bool wrong;
};

static bool may_vote(const struct mirror_copy *copy, uint64_t length)
{
	return copy->member && copy->member->state == RAID_MEMBER_IN_SYNC &&
	       !md_badblocks_find(&copy->member->bad, mirror_sector(copy),
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

struct hearing {
	struct voter voters[MIRROR_VOTERS];
	struct mirror_copy mutes[MIRROR_VOTERS]; /* that cannot be read */
	unsigned count, mute;
};

/* Their members are held. */
static void hear(const struct mirror_span *piece, uint8_t *memory, struct hearing *hearing)
{
	hearing->count = hearing->mute = 0;
	for (unsigned i = 0; i < piece->copies && hearing->count + hearing->mute < MIRROR_VOTERS;
	     i++) {
		struct voter *voter = &hearing->voters[hearing->count];

		*voter = (struct voter){ .copy = mirror_copy(piece, i),
					 .data = memory + hearing->count * RAID_PIECE };
		if (!may_vote(&voter->copy, piece->length))
			continue;
		raid_member_hold(voter->copy.member);
		if (!block_read(voter->copy.member->block,
				mirror_data_start(voter->copy.member) + voter->copy.offset,
				voter->data, piece->length))
			hearing->count++;
		else
			hearing->mutes[hearing->mute++] = voter->copy;
	}
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

/* Whether they are not all the same in the sector at `at`. */
static bool differs(const struct voter *voters, unsigned count, uint64_t at)
{
	for (unsigned k = 1; k < count; k++) {
		if (memcmp(voters[0].data + at, voters[k].data + at, MD_SECTOR_SIZE))
			return true;
	}
	return false;
}

/* A sector in which they differ: notes who is wrong, and makes them equal in memory where a repair may. */
static void decide(const struct mirror_span *piece, struct raid_sync *sync, struct voter *voters,
		   unsigned count, uint64_t at)
{
	int right = majority(voters, count, at);
	bool repair = sync->operation == RAID_REPAIR && (right >= 0 || sync->force);

	sync->mismatches += MD_SECTOR_SIZE;
	if (right < 0)
		raid_rebuild_found(piece->array, piece->offset + at, MD_SECTOR_SIZE, RAID_SPARE);
	if (right < 0 && sync->operation == RAID_REPAIR && !repair)
		sync->unresolved += MD_SECTOR_SIZE;
	for (unsigned k = 0; k < count; k++) {
		const uint8_t *taken = voters[MAX(right, 0)].data + at;

		if (!memcmp(taken, voters[k].data + at, MD_SECTOR_SIZE))
			continue;
		if (right >= 0)
			raid_rebuild_found(piece->array, piece->offset + at, MD_SECTOR_SIZE,
					   voters[k].copy.member->role);
		if (!repair)
			continue;
		memcpy(voters[k].data + at, taken, MD_SECTOR_SIZE);
		voters[k].wrong = true;
	}
}

/* Those that cannot be read get what all others have. */
static void make_good(const struct mirror_span *piece, const struct hearing *hearing)
{
	const struct voter *voters = hearing->voters;
	bool agree = hearing->count > 0;

	for (uint64_t at = 0; agree && at < piece->length; at += MD_SECTOR_SIZE)
		agree = !differs(voters, hearing->count, at);
	for (unsigned i = 0; agree && i < hearing->mute; i++) {
		const struct mirror_copy *copy = &hearing->mutes[i];

		if (copy->member->state == RAID_MEMBER_IN_SYNC)
			raid_member_make_good(copy->member, copy->offset, voters[0].data,
					      piece->length);
	}
}

static void let_go(const struct hearing *hearing)
{
	for (unsigned k = 0; k < hearing->count; k++)
		raid_member_release(hearing->voters[k].copy.member);
	for (unsigned k = 0; k < hearing->mute; k++)
		raid_member_release(hearing->mutes[k].member);
}

/* What is the least that those who cannot be read may have lost. */
static uint32_t least_of(const struct hearing *hearing)
{
	uint32_t unit = 0;

	for (unsigned k = 0; k < hearing->mute; k++)
		unit = MAX(unit, raid_member_unit(hearing->mutes[k].member));
	return unit ? unit : RAID_PIECE;
}

static void vote_parts(const struct mirror_span *span, uint32_t size, struct raid_sync *sync);

static void vote_piece(const struct mirror_span *piece, struct raid_sync *sync)
{
	struct raid_array *array = piece->array;
	uint64_t known = array->rebuild.found.count;
	bool tell = known < RAID_FOUND;
	struct hearing hearing;
	uint32_t unit;

	hear(piece, sync->buffers[1], &hearing);
	/* Around what one of them cannot read it has a voice. */
	unit = least_of(&hearing);
	if (piece->length > unit) {
		let_go(&hearing);
		vote_parts(piece, unit, sync);
		return;
	}
	for (uint64_t at = 0; at < piece->length; at += MD_SECTOR_SIZE) {
		if (differs(hearing.voters, hearing.count, at))
			decide(piece, sync, hearing.voters, hearing.count, at);
	}
	/* Where each range begins. */
	tell &= array->rebuild.found.count > known;
	for (unsigned k = 0; k < hearing.count; k++) {
		const struct voter *voter = &hearing.voters[k];

		if (!voter->wrong)
			continue;
		if (tell)
			log_warning(array->log, "%s: from byte %llu on the copy on %s is made %s",
				    array->block.name, (unsigned long long)piece->offset,
				    voter->copy.member->block->name,
				    hearing.count > 2 ? "good" : "what the first is");
		mirror_write_copy(&voter->copy, sync, voter->data, piece->length);
	}
	make_good(piece, &hearing);
	let_go(&hearing);
}

static void vote_parts(const struct mirror_span *span, uint32_t size, struct raid_sync *sync)
{
	uint64_t end = span->offset + span->length;

	for (uint64_t at = span->offset; at < end;) {
		struct mirror_span part =
			mirror_span(span->array, at, MIN(size - at % size, end - at));

		vote_piece(&part, sync);
		at += part.length;
	}
}

void mirror_vote(const struct mirror_span *span, struct raid_sync *sync)
{
	vote_parts(span, RAID_PIECE, sync);
}
