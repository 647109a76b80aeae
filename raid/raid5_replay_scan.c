/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the write journal, to carry it out; see raid5_replay.c. What is there is believed as far as meta blocks follow each other
 * and all of their blocks are good, and only of blocks that this array has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid5_replay.h"
#include "util/bytes.h"
#include "util/error.h"

#define PAGE    MD_JOURNAL_BLOCK
#define BUCKETS RAID5_REPLAY_BUCKETS

/* ---- What stripes are to have ---- */

static struct raid5_replay_column **find(struct raid5_replay *replay, uint64_t sector)
{
	struct raid5_replay_column **at = &replay->buckets[(sector / MD_JOURNAL_SECTORS) % BUCKETS];

	while (*at && (*at)->sector != sector)
		at = &(*at)->chain;
	return at;
}

static void forget(struct raid5_replay_column *column, uint32_t disks)
{
	for (uint32_t i = 0; i < 2 * disks; i++)
		column->committed[i] = RAID5_REPLAY_NOWHERE;
}

static struct raid5_replay_column *column_of(struct raid5_replay *replay, uint64_t sector)
{
	uint32_t disks = replay->r->g.disks;
	struct raid5_replay_column **at = find(replay, sector), *column = *at;

	if (column)
		return column;
	column = malloc(sizeof(*column) + 2 * disks * sizeof(column->committed[0]));
	if (!column)
		return NULL;
	column->next = column->chain = NULL;
	column->sector = sector;
	column->pending = column->committed + disks;
	forget(column, disks);
	*at = *replay->end = column;
	replay->end = &column->next;
	return column;
}

struct raid5_row raid5_replay_row(const struct raid5_replay *replay, uint64_t sector)
{
	return raid5_row(&replay->r->g, sector / replay->r->g.chunk_sectors);
}

static int note_data(struct raid5_replay *replay, const struct md_journal_payload *payload,
		     uint64_t at)
{
	struct raid5_place place = raid5_map(&replay->r->g, payload->location);
	struct raid5_replay_column *column = column_of(replay, place.sector);

	if (!column)
		return -ENOMEM;
	column->pending[place.role] = at;
	return 0;
}

static int note_parity(struct raid5_replay *replay, const struct md_journal_payload *payload,
		       uint64_t at)
{
	struct raid5_row row = raid5_replay_row(replay, payload->location);
	struct raid5_replay_column *column = column_of(replay, payload->location);

	if (!column)
		return -ENOMEM;
	for (uint32_t i = 0; i < row.disks; i++) {
		if (column->pending[i] != RAID5_REPLAY_NOWHERE)
			column->committed[i] = column->pending[i];
		column->pending[i] = RAID5_REPLAY_NOWHERE;
	}
	column->committed[row.p] = at;
	if (row.q != RAID5_NO_ROLE)
		column->committed[row.q] = raid5_ring_add(replay->journal, at, MD_JOURNAL_SECTORS);
	return 0;
}

/* They have reached the array. */
static void note_flush(struct raid5_replay *replay, const struct md_journal_payload *payload)
{
	for (uint32_t i = 0; i < payload->stripe_count; i++) {
		struct raid5_replay_column *column =
			*find(replay, get_le64(payload->stripes + 8 * (size_t)i));

		if (column)
			forget(column, replay->r->g.disks);
	}
}

/* ---- Scanning ---- */

int raid5_replay_read(const struct raid5_replay *replay, uint64_t at, uint8_t *to, unsigned blocks)
{
	const struct raid5_journal *journal = replay->journal;
	struct block *block = replay->r->array->journal->block;
	unsigned first = (unsigned)MIN(blocks, (journal->sectors - at) / MD_JOURNAL_SECTORS);
	int rc = block_read(block, raid5_ring_byte(journal, at), to, first * (size_t)PAGE);

	if (!rc && blocks > first)
		rc = block_read(block, raid5_ring_byte(journal, 0), to + first * (size_t)PAGE,
				(blocks - first) * (size_t)PAGE);
	return rc;
}

/* Whether a payload is about a block that this array has. */
static bool fits(const struct raid5_replay *replay, const struct md_journal_payload *payload)
{
	const struct raid5 *r = replay->r;
	uint64_t end =
		payload->type == MD_JOURNAL_DATA ? r->array->sectors : r->array->sync_sectors;

	if (payload->type == MD_JOURNAL_FLUSH)
		return true;
	if (payload->type == MD_JOURNAL_PARITY && payload->blocks != raid5_parities(&r->g))
		return false;
	return payload->location % MD_JOURNAL_SECTORS == 0 && payload->location < end;
}

/* All blocks of replay->meta, which are read into replay->pages; how many. 0: they are not all good. */
static int check_blocks(const struct raid5_replay *replay, const struct md_journal_meta *meta,
			unsigned *blocks)
{
	struct md_journal_payload payload;
	uint32_t at = MD_JOURNAL_HEADER;
	unsigned count = 0;
	int rc;

	while ((rc = md_journal_next(replay->meta, meta, &at, &payload, NULL)) == 1) {
		if (!fits(replay, &payload))
			return 0;
		count += payload.blocks;
	}
	if (rc || (count + 1ull) * MD_JOURNAL_SECTORS > replay->journal->sectors)
		return 0;
	rc = raid5_replay_read(replay,
			       raid5_ring_add(replay->journal, replay->at, MD_JOURNAL_SECTORS),
			       replay->pages, count);
	if (rc)
		return rc;
	*blocks = count;
	count = 0;
	at = MD_JOURNAL_HEADER;
	while (md_journal_next(replay->meta, meta, &at, &payload, NULL) == 1) {
		for (uint32_t i = 0; i < payload.blocks; i++, count++) {
			if (md_journal_checksum(replay->r->array->uuid,
						replay->pages + count * (size_t)PAGE) !=
			    payload.checksums[i])
				return 0;
		}
	}
	return 1;
}

static int take_in(struct raid5_replay *replay, const struct md_journal_meta *meta)
{
	struct md_journal_payload payload;
	uint32_t at = MD_JOURNAL_HEADER;
	uint64_t ring = raid5_ring_add(replay->journal, replay->at, MD_JOURNAL_SECTORS);
	int rc = 0;

	while (!rc && md_journal_next(replay->meta, meta, &at, &payload, NULL) == 1) {
		if (payload.type == MD_JOURNAL_DATA)
			rc = note_data(replay, &payload, ring);
		else if (payload.type == MD_JOURNAL_PARITY)
			rc = note_parity(replay, &payload, ring);
		else
			note_flush(replay, &payload);
		ring = raid5_ring_add(replay->journal, ring,
				      (uint64_t)payload.blocks * MD_JOURNAL_SECTORS);
	}
	return rc;
}

/* The meta block at replay->at; whether it is good, and is the one that is looked for. `any`: whatever its sequence number. */
static int read_meta(struct raid5_replay *replay, struct md_journal_meta *meta, bool any)
{
	int rc = raid5_replay_read(replay, replay->at, replay->meta, 1);

	if (rc)
		return rc;
	return !md_journal_decode(replay->meta, replay->r->array->uuid, meta, NULL) &&
	       meta->position == replay->at && (any || meta->sequence == replay->sequence);
}

/* The tail that the superblock has. 0: no journal begins there. */
int raid5_replay_find_tail(struct raid5_replay *replay)
{
	const struct raid_member *member = replay->r->array->journal;
	struct md_journal_meta meta = { 0 };
	int rc;

	replay->at = member->sb.recovery_offset;
	if (replay->at % MD_JOURNAL_SECTORS || replay->at >= replay->journal->sectors)
		replay->at = 0;
	rc = read_meta(replay, &meta, true);
	replay->sequence = meta.sequence;
	return rc;
}

int raid5_replay_scan(struct raid5_replay *replay)
{
	struct md_journal_meta meta;
	uint64_t scanned = 0;
	unsigned blocks = 0;
	int rc;

	while ((rc = read_meta(replay, &meta, false)) == 1) {
		rc = check_blocks(replay, &meta, &blocks);
		if (rc != 1)
			break;
		/* Of a ring that is longer than itself nobody wrote the first part. */
		scanned += (blocks + 1ull) * MD_JOURNAL_SECTORS;
		if (scanned > replay->journal->sectors)
			return 0;
		rc = take_in(replay, &meta);
		if (rc)
			return rc;
		replay->sequence++;
		replay->at = raid5_ring_add(replay->journal, replay->at,
					    (blocks + 1ull) * MD_JOURNAL_SECTORS);
	}
	return MIN(rc, 0);
}

void raid5_replay_forget(struct raid5_replay *replay)
{
	while (replay->first) {
		struct raid5_replay_column *next = replay->first->next;

		free(replay->first);
		replay->first = next;
	}
}
