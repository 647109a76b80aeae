/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carrying out the write journal; see raid5_journal.h. raid5_replay_scan.c reads it.
 *
 *	scan		from the tail on, as long as meta blocks follow each other and all of their blocks are good; what a
 *			stripe is to have, newest last, is noted by where it is in the ring
 *	committed	data up to the stripe's last parity: written as they are
 *	pending		data behind it, which were not written to members at all (md's write-back): parity is made for them
 *	fresh start	an empty meta block behind all that, with a sequence number that nothing in the ring continues
 *
 * Why it can be cut off at any time. Until the superblock has a new tail all is carried out again, and comes to the same: committed blocks
 * are whole, whatever has arrived on the members. What is pending is computed from members, and with one missing that depends on a
 * parity that is being written over; so in that case what it comes to is put behind the journal first, data and parity, and the
 * tail is moved there, as md does. For who only looks (assemble.c) all of it goes to memory, which is lost as a whole; only what members have
 * not takes room there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/overlay.h"
#include "raid/raid5_replay.h"
#include "util/bytes.h"
#include "util/error.h"

#define PAGE     MD_JOURNAL_BLOCK
#define SEQUENCE 10000u /* as md: nothing that is left in the ring continues it */

/* ---- Carrying out ---- */

static bool has_any(const struct raid5_replay *replay, const uint64_t *places, uint64_t sector,
		    bool parity)
{
	struct raid5_row row = raid5_replay_row(replay, sector);

	for (uint32_t i = 0; i < row.disks; i++) {
		if (places[i] != RAID5_REPLAY_NOWHERE &&
		    (parity || raid5_index(&row, i) != RAID5_NO_ROLE))
			return true;
	}
	return false;
}

/* Whether it is to be written: all is, but who only looks spends no memory on what a member has already. */
static bool lacks(const struct raid5_replay *replay, const struct raid5_replay_column *column,
		  uint32_t role, const uint8_t *page)
{
	const struct raid_array *array = replay->r->array;
	uint8_t found[PAGE] __attribute__((aligned(512)));

	if (!replay->look || !raid5_readable(replay->r, role, column->sector, MD_JOURNAL_SECTORS))
		return true;
	return block_read(array->places[role].member->block,
			  raid_member_sector(array->places[role].member, column->sector)
				  << MD_SECTOR_SHIFT,
			  found, PAGE) ||
	       memcmp(found, page, PAGE) != 0;
}

static void add_write(struct raid5_replay *replay, struct raid5_ios *ios,
		      const struct raid5_replay_column *column, uint32_t role, uint8_t *page)
{
	const struct raid_place *place = &replay->r->array->places[role];

	if (place->member)
		raid5_ios_add(ios, place->member, BLOCK_WRITE, 0, column->sector << MD_SECTOR_SHIFT,
			      page, PAGE);
	if (place->replacement)
		raid5_ios_add(ios, place->replacement, BLOCK_WRITE, 0,
			      column->sector << MD_SECTOR_SHIFT, page, PAGE);
}

/* Memory that is full is no fault of a member's. */
static int run(const struct raid5_replay *replay, struct raid5_ios *ios)
{
	int rc = 0;

	raid5_ios_run(ios);
	if (!replay->look)
		return raid5_judge(replay->r->array, ios);
	for (unsigned i = 0; !rc && i < ios->count; i++) {
		rc = ios->ios[i].result;
		if (!rc)
			raid_member_written(ios->members[i], ios->ios[i].offset,
					    ios->ios[i].length);
	}
	return rc;
}

/* Blocks of one column from the ring to the members. */
static int write_places(struct raid5_replay *replay, const struct raid5_replay_column *column,
			const uint64_t *places)
{
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	uint32_t disks = replay->r->g.disks;
	int rc = raid5_ios_begin(&ios, replay->r, 2 * disks);

	for (uint32_t i = 0; !rc && i < disks; i++) {
		uint8_t *page = replay->pages + i * (size_t)PAGE;

		if (places[i] == RAID5_REPLAY_NOWHERE)
			continue;
		rc = raid5_replay_read(replay, places[i], page, 1);
		if (!rc && lacks(replay, column, i, page))
			add_write(replay, &ios, column, i, page);
	}
	if (rc)
		return rc;
	replay->r->array->from_log |= replay->look && ios.count;
	return run(replay, &ios);
}

static int write_committed(struct raid5_replay *replay)
{
	int rc = 0;

	for (struct raid5_replay_column *column = replay->first; !rc && column;
	     column = column->next) {
		/* Parity alone is of data that are older than the tail. */
		if (!has_any(replay, column->committed, column->sector, false))
			continue;
		rc = write_places(replay, column, column->committed);
		replay->columns++;
	}
	return rc;
}

/* ---- Data without parity ---- */

/* Reads what else the stripe has, lays the pending blocks over it, and makes parity: data in the first blocks, parity in the second. */
static int compute(struct raid5_replay *replay, const struct raid5_replay_column *column,
		   struct raid5_work *work)
{
	struct raid_column sum;
	int rc = 0;

	memset(work->state, 0, work->row.disks);
	for (uint32_t i = 0; i < work->row.data; i++) {
		uint32_t role = raid5_role(&work->row, i);

		if (column->pending[role] == RAID5_REPLAY_NOWHERE)
			work->state[role] = RAID5_WANT;
	}
	rc = raid5_fetch(work, 0, PAGE);
	for (uint32_t i = 0; !rc && i < work->row.disks; i++) {
		if (column->pending[i] != RAID5_REPLAY_NOWHERE)
			rc = raid5_replay_read(replay, column->pending[i], raid5_block(work, i), 1);
	}
	if (rc)
		return rc;
	sum = raid5_column(work, 0, PAGE, true);
	raid_parity_generate(&sum);
	return 0;
}

static int write_computed(struct raid5_replay *replay, const struct raid5_replay_column *column,
			  const struct raid5_work *work)
{
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	int rc = raid5_ios_begin(&ios, work->r, 2 * work->row.disks);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if (i == work->row.p || i == work->row.q)
			add_write(replay, &ios, column, i, raid5_second(work, i));
		else if (column->pending[i] != RAID5_REPLAY_NOWHERE)
			add_write(replay, &ios, column, i, raid5_block(work, i));
	}
	return run(replay, &ios);
}

/* Puts data and parity of a stripe behind the journal, where they are committed then. */
static int put_computed(struct raid5_replay *replay, struct raid5_replay_column *column,
			const struct raid5_work *work)
{
	const uint8_t *uuid = replay->r->array->uuid;
	struct iovec iov[MD_JOURNAL_BLOCK / 16];
	struct md_journal_payload payload;
	uint64_t at = replay->at;
	unsigned count = 0;
	int rc;

	md_journal_begin(replay->meta, replay->sequence, at);
	iov[count++] = (struct iovec){ replay->meta, PAGE };
	for (uint32_t i = 0; i < work->row.data; i++) {
		uint32_t role = raid5_role(&work->row, i);
		uint8_t *page = raid5_block(work, role);

		if (column->pending[role] == RAID5_REPLAY_NOWHERE)
			continue;
		payload = (struct md_journal_payload){
			.type = MD_JOURNAL_DATA,
			.blocks = 1,
			.location = raid5_unmap(&replay->r->g, i, column->sector),
			.checksums = { md_journal_checksum(uuid, page) }
		};
		md_journal_add(replay->meta, &payload);
		column->committed[role] =
			raid5_ring_add(replay->journal, at, (uint64_t)count * MD_JOURNAL_SECTORS);
		iov[count++] = (struct iovec){ page, PAGE };
	}
	payload = (struct md_journal_payload){ .type = MD_JOURNAL_PARITY,
					       .location = column->sector };
	for (uint32_t i = 0; i < raid5_parities(&replay->r->g); i++) {
		uint32_t role = i ? work->row.q : work->row.p;
		uint8_t *page = raid5_second(work, role);

		payload.checksums[payload.blocks++] = md_journal_checksum(uuid, page);
		column->committed[role] =
			raid5_ring_add(replay->journal, at, (uint64_t)count * MD_JOURNAL_SECTORS);
		iov[count++] = (struct iovec){ page, PAGE };
	}
	md_journal_add(replay->meta, &payload);
	md_journal_seal(replay->meta, uuid);
	rc = raid5_journal_put(replay->journal, at, iov, count);
	replay->sequence++;
	replay->at = raid5_ring_add(replay->journal, at, (uint64_t)count * MD_JOURNAL_SECTORS);
	return rc;
}

static int one_pending(struct raid5_replay *replay, struct raid5_replay_column *column, bool put)
{
	struct raid5_work work;
	int rc = raid5_work_begin(replay->r, &work, column->sector, PAGE);

	if (!rc)
		rc = compute(replay, column, &work);
	if (!rc)
		rc = put ? put_computed(replay, column, &work)
			 : write_computed(replay, column, &work);
	raid5_work_end(&work);
	return rc;
}

static int move_tail(struct raid5_replay *replay, uint64_t to)
{
	struct raid_member *member = replay->r->array->journal;

	member->checkpoint = member->flushed = member->recovered = to;
	member->sb.recovery_offset = to;
	return replay->r->array->metadata->write(member);
}

static bool has_pending(const struct raid5_replay *replay, const struct raid5_replay_column *column)
{
	return has_any(replay, column->pending, column->sector, true);
}

/* How many blocks of the ring it takes to put all of them behind the journal. */
static uint64_t blocks_to_put(const struct raid5_replay *replay)
{
	uint64_t blocks = 2;

	for (const struct raid5_replay_column *column = replay->first; column;
	     column = column->next) {
		if (!has_pending(replay, column))
			continue;
		blocks += 1 + raid5_parities(&replay->r->g);
		for (uint32_t i = 0; i < replay->r->g.disks; i++)
			blocks += column->pending[i] != RAID5_REPLAY_NOWHERE;
	}
	return blocks;
}

static int write_pending(struct raid5_replay *replay, uint64_t tail)
{
	struct raid_array *array = replay->r->array;
	bool put = raid_array_degraded(array) && !replay->look;
	uint64_t start;
	int rc = 0;

	if (put && raid5_ring_distance(replay->journal, tail, replay->at) +
				   blocks_to_put(replay) * MD_JOURNAL_SECTORS >=
			   replay->journal->sectors)
		return -ENOSPC;
	replay->sequence += put ? SEQUENCE : 0;
	start = replay->at;
	for (struct raid5_replay_column *column = replay->first; !rc && column;
	     column = column->next) {
		if (!has_pending(replay, column))
			continue;
		rc = one_pending(replay, column, put);
		replay->computed += !rc;
	}
	array->from_log |= replay->look && replay->computed;
	if (rc || !put || !replay->computed)
		return rc;
	rc = move_tail(replay, start);
	for (struct raid5_replay_column *column = replay->first; !rc && column;
	     column = column->next) {
		if (has_pending(replay, column))
			rc = write_places(replay, column, column->committed);
	}
	return rc;
}

/* ---- The whole ---- */

/* Nothing of what is in the ring counts any more. */
static int start_anew(struct raid5_replay *replay)
{
	struct raid5_journal *journal = replay->journal;
	struct iovec iov = { replay->meta, PAGE };
	int rc;

	replay->sequence += SEQUENCE;
	md_journal_begin(replay->meta, replay->sequence, replay->at);
	md_journal_seal(replay->meta, replay->r->array->uuid);
	rc = raid5_journal_put(journal, replay->at, &iov, 1);
	if (!rc)
		rc = move_tail(replay, replay->at);
	journal->last = replay->at;
	journal->head = raid5_ring_add(journal, replay->at, MD_JOURNAL_SECTORS);
	journal->sequence = replay->sequence + 1;
	return rc;
}

static int carry_out(struct raid5_replay *replay)
{
	struct raid_array *array = replay->r->array;
	uint64_t tail = replay->at;
	int rc = raid5_replay_scan(replay);

	if (!rc)
		rc = write_committed(replay);
	if (!rc)
		rc = raid_members_flush(array);
	if (!rc)
		rc = write_pending(replay, tail);
	if (!rc)
		rc = raid_members_flush(array);
	return rc ? rc : start_anew(replay);
}

/* The superblock's place has no journal: of a new device, as md takes it; but of one that was in use, what was in it is lost. */
static int no_journal(struct raid5_replay *replay, struct error *error)
{
	struct raid_array *array = replay->r->array;

	log_warning(array->log,
		    "%s: %s has no journal where its superblock says, at sector %llu: if something "
		    "was in it, it is lost%s",
		    array->block.name, array->journal->block->name,
		    (unsigned long long)array->journal->sb.recovery_offset,
		    replay->look ? "" : ", and parity is made anew");
	if (raid_array_degraded(array) && !array->forced) {
		error_set(
			error, -EINVAL,
			"%s: a member is missing, and %s has no journal where its superblock says, "
			"at sector %llu: what it had, and parity, cannot be relied on",
			array->block.name, array->journal->block->name,
			(unsigned long long)array->journal->sb.recovery_offset);
		return error_advise(error,
				    "find the missing member; `tenon raid assemble %s --force` "
				    "starts it all the same, and data may be damaged then",
				    array->name);
	}
	if (replay->look)
		return 0;
	array->resync_position = array->resync_checkpoint = 0;
	replay->at = 0;
	replay->sequence = worker_random() & UINT32_MAX;
	return start_anew(replay);
}

static int say(const struct raid5_replay *replay, int rc, struct error *error)
{
	const struct raid_array *array = replay->r->array;

	if (rc == -ENOSPC && replay->look) {
		error_set(error, -EROFS,
			  "%s: its journal has more than %llu MiB that a member has not: that has "
			  "to be carried out first, which is not done in memory",
			  array->block.name, BLOCK_OVERLAY_MOST >> 20);
		return error_advise(error, "`tenon raid assemble %s` does that", array->name);
	}
	if (rc == -ENOSPC && raid_array_degraded(array)) {
		error_set(error, rc,
			  "%s: the journal on %s has data without parity, which have to be written "
			  "behind it while a member is missing: it has no room for the %llu blocks "
			  "that it takes",
			  array->block.name, array->journal->block->name,
			  (unsigned long long)blocks_to_put(replay));
		return error_advise(error, "give all members: then nothing has to be put there");
	}
	if (rc)
		return error_set(error, rc, "%s: the journal on %s cannot be carried out: %s",
				 array->block.name, array->journal->block->name, error_name(rc));
	if (!replay->look && (replay->columns || replay->computed))
		log_info(
			array->log,
			"%s: %u stripes of the journal carried out, %u of them had no parity there",
			array->block.name, replay->columns + replay->computed, replay->computed);
	return 0;
}

int raid5_journal_replay(struct raid5 *r, bool look, struct error *error)
{
	CLEANUP_FREE struct raid5_replay *replay = NULL;
	int rc;

	if (!r->journal)
		return 0;
	if (posix_memalign((void **)&replay, 4096, sizeof(*replay)))
		return error_set(error, -ENOMEM, "%s: no memory", r->array->block.name);
	memset(replay, 0, sizeof(*replay));
	replay->r = r;
	replay->journal = r->journal;
	replay->look = look;
	replay->end = &replay->first;
	/* As many blocks as a meta block can name, or a stripe has. */
	if (posix_memalign((void **)&replay->pages, 4096, MAX(PAGE / 8, r->g.disks) * (size_t)PAGE))
		return error_set(error, -ENOMEM, "%s: no memory", r->array->block.name);
	rc = raid5_replay_find_tail(replay);
	if (!rc)
		rc = no_journal(replay, error);
	else if (rc == 1)
		rc = say(replay, carry_out(replay), error);
	else
		rc = say(replay, rc, error);
	raid5_replay_forget(replay);
	free(replay->pages);
	return rc;
}
