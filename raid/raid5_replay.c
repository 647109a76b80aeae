/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carrying out the write journal; see raid5_journal.h.
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
 * tail is moved there, as md does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid5_journal.h"
#include "util/bytes.h"
#include "util/error.h"

#define PAGE     MD_JOURNAL_BLOCK
#define NOWHERE  UINT64_MAX
#define BUCKETS  4096u
#define SEQUENCE 10000u /* as md: nothing that is left in the ring continues it */

/* One column of a stripe, of a block of each member. */
struct column {
	struct column *next, *chain;
	uint64_t sector;      /* of the members' data */
	uint64_t *pending;    /* sectors of the ring, by role, or NOWHERE */
	uint64_t committed[]; /* the same */
};

struct journal_replay {
	struct raid5 *r;
	struct raid5_journal *journal;
	bool look;
	uint64_t at, sequence; /* what comes next */
	struct column *first, **end, *buckets[BUCKETS];
	uint8_t *pages;             /* of one meta block, as many as it may have */
	unsigned columns, computed; /* that were written */
	bool differs;               /* look: a member has something else */
	uint8_t meta[PAGE] __attribute__((aligned(512)));
};

/* ---- What stripes are to have ---- */

static struct column **find(struct journal_replay *replay, uint64_t sector)
{
	struct column **at = &replay->buckets[(sector / MD_JOURNAL_SECTORS) % BUCKETS];

	while (*at && (*at)->sector != sector)
		at = &(*at)->chain;
	return at;
}

static void forget(struct column *column, uint32_t disks)
{
	for (uint32_t i = 0; i < 2 * disks; i++)
		column->committed[i] = NOWHERE;
}

static struct column *column_of(struct journal_replay *replay, uint64_t sector)
{
	uint32_t disks = replay->r->g.disks;
	struct column **at = find(replay, sector), *column = *at;

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

static struct raid5_row row_of(const struct journal_replay *replay, uint64_t sector)
{
	return raid5_row(&replay->r->g, sector / replay->r->g.chunk_sectors);
}

static int note_data(struct journal_replay *replay, const struct md_journal_payload *payload,
		     uint64_t at)
{
	struct raid5_place place = raid5_map(&replay->r->g, payload->location);
	struct column *column = column_of(replay, place.sector);

	if (!column)
		return -ENOMEM;
	column->pending[place.role] = at;
	return 0;
}

static int note_parity(struct journal_replay *replay, const struct md_journal_payload *payload,
		       uint64_t at)
{
	struct raid5_row row = row_of(replay, payload->location);
	struct column *column = column_of(replay, payload->location);

	if (!column)
		return -ENOMEM;
	for (uint32_t i = 0; i < row.disks; i++) {
		if (column->pending[i] != NOWHERE)
			column->committed[i] = column->pending[i];
		column->pending[i] = NOWHERE;
	}
	column->committed[row.p] = at;
	if (row.q != RAID5_NO_ROLE)
		column->committed[row.q] = raid5_ring_add(replay->journal, at, MD_JOURNAL_SECTORS);
	return 0;
}

/* They have reached the array. */
static void note_flush(struct journal_replay *replay, const struct md_journal_payload *payload)
{
	for (uint32_t i = 0; i < payload->stripe_count; i++) {
		struct column *column = *find(replay, get_le64(payload->stripes + 8 * (size_t)i));

		if (column)
			forget(column, replay->r->g.disks);
	}
}

/* ---- Scanning ---- */

static int read_ring(const struct journal_replay *replay, uint64_t at, uint8_t *to, unsigned blocks)
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
static bool fits(const struct journal_replay *replay, const struct md_journal_payload *payload)
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
static int check_blocks(const struct journal_replay *replay, const struct md_journal_meta *meta,
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
	rc = read_ring(replay, raid5_ring_add(replay->journal, replay->at, MD_JOURNAL_SECTORS),
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

static int take_in(struct journal_replay *replay, const struct md_journal_meta *meta)
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
static int read_meta(struct journal_replay *replay, struct md_journal_meta *meta, bool any)
{
	int rc = read_ring(replay, replay->at, replay->meta, 1);

	if (rc)
		return rc;
	return !md_journal_decode(replay->meta, replay->r->array->uuid, meta, NULL) &&
	       meta->position == replay->at && (any || meta->sequence == replay->sequence);
}

/* The tail that the superblock has. 0: no journal begins there. */
static int find_tail(struct journal_replay *replay)
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

static int scan(struct journal_replay *replay)
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

/* ---- Carrying out ---- */

static bool has_any(const struct journal_replay *replay, const uint64_t *places, uint64_t sector,
		    bool parity)
{
	struct raid5_row row = row_of(replay, sector);

	for (uint32_t i = 0; i < row.disks; i++) {
		if (places[i] != NOWHERE && (parity || raid5_index(&row, i) != RAID5_NO_ROLE))
			return true;
	}
	return false;
}

/* Look: whether a member that can be read has something else. */
static int compare(struct journal_replay *replay, const struct column *column, uint32_t role,
		   const uint8_t *page)
{
	const struct raid_array *array = replay->r->array;
	uint8_t found[PAGE] __attribute__((aligned(512)));
	int rc;

	if (!raid5_readable(replay->r, role, column->sector, MD_JOURNAL_SECTORS))
		return 0;
	rc = block_read(array->places[role].member->block,
			raid_member_sector(array->places[role].member, column->sector)
				<< MD_SECTOR_SHIFT,
			found, PAGE);
	replay->differs = replay->differs || (!rc && memcmp(found, page, PAGE) != 0);
	return rc;
}

static void add_write(struct journal_replay *replay, struct raid5_ios *ios,
		      const struct column *column, uint32_t role, uint8_t *page)
{
	const struct raid_place *place = &replay->r->array->places[role];

	if (place->member)
		raid5_ios_add(ios, place->member, BLOCK_WRITE, 0, column->sector << MD_SECTOR_SHIFT,
			      page, PAGE);
	if (place->replacement)
		raid5_ios_add(ios, place->replacement, BLOCK_WRITE, 0,
			      column->sector << MD_SECTOR_SHIFT, page, PAGE);
}

/* Blocks of one column from the ring to the members. */
static int write_places(struct journal_replay *replay, const struct column *column,
			const uint64_t *places)
{
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	uint32_t disks = replay->r->g.disks;
	int rc = raid5_ios_begin(&ios, replay->r, 2 * disks);

	for (uint32_t i = 0; !rc && i < disks; i++) {
		uint8_t *page = replay->pages + i * (size_t)PAGE;

		if (places[i] == NOWHERE)
			continue;
		rc = read_ring(replay, places[i], page, 1);
		if (!rc && replay->look)
			rc = compare(replay, column, i, page);
		else if (!rc)
			add_write(replay, &ios, column, i, page);
	}
	if (rc || replay->look)
		return rc;
	raid5_ios_run(&ios);
	return raid5_judge(replay->r->array, &ios);
}

static int write_committed(struct journal_replay *replay)
{
	int rc = 0;

	for (struct column *column = replay->first; !rc && column; column = column->next) {
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
static int compute(struct journal_replay *replay, const struct column *column,
		   struct raid5_work *work)
{
	struct raid_column sum;
	int rc = 0;

	memset(work->state, 0, work->row.disks);
	for (uint32_t i = 0; i < work->row.data; i++) {
		uint32_t role = raid5_role(&work->row, i);

		if (column->pending[role] == NOWHERE)
			work->state[role] = RAID5_WANT;
	}
	rc = raid5_fetch(work, 0, PAGE);
	for (uint32_t i = 0; !rc && i < work->row.disks; i++) {
		if (column->pending[i] != NOWHERE)
			rc = read_ring(replay, column->pending[i], raid5_block(work, i), 1);
	}
	if (rc)
		return rc;
	sum = raid5_column(work, 0, PAGE, true);
	raid_parity_generate(&sum);
	return 0;
}

static int write_computed(struct journal_replay *replay, const struct column *column,
			  const struct raid5_work *work)
{
	CLEANUP_RAID5_IOS struct raid5_ios ios;
	int rc = raid5_ios_begin(&ios, work->r, 2 * work->row.disks);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < work->row.disks; i++) {
		if (i == work->row.p || i == work->row.q)
			add_write(replay, &ios, column, i, raid5_second(work, i));
		else if (column->pending[i] != NOWHERE)
			add_write(replay, &ios, column, i, raid5_block(work, i));
	}
	raid5_ios_run(&ios);
	return raid5_judge(replay->r->array, &ios);
}

/* Puts data and parity of a stripe behind the journal, where they are committed then. */
static int put_computed(struct journal_replay *replay, struct column *column,
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

		if (column->pending[role] == NOWHERE)
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

static int one_pending(struct journal_replay *replay, struct column *column, bool put)
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

static int move_tail(struct journal_replay *replay, uint64_t to)
{
	struct raid_member *member = replay->r->array->journal;

	member->checkpoint = member->flushed = member->recovered = to;
	member->sb.recovery_offset = to;
	return replay->r->array->metadata->write(member);
}

static bool has_pending(const struct journal_replay *replay, const struct column *column)
{
	return has_any(replay, column->pending, column->sector, true);
}

/* How many blocks of the ring it takes to put all of them behind the journal. */
static uint64_t blocks_to_put(const struct journal_replay *replay)
{
	uint64_t blocks = 2;

	for (const struct column *column = replay->first; column; column = column->next) {
		if (!has_pending(replay, column))
			continue;
		blocks += 1 + raid5_parities(&replay->r->g);
		for (uint32_t i = 0; i < replay->r->g.disks; i++)
			blocks += column->pending[i] != NOWHERE;
	}
	return blocks;
}

static int write_pending(struct journal_replay *replay, uint64_t tail)
{
	struct raid_array *array = replay->r->array;
	bool put = raid_array_degraded(array);
	uint64_t start;
	int rc = 0;

	if (put && raid5_ring_distance(replay->journal, tail, replay->at) +
				   blocks_to_put(replay) * MD_JOURNAL_SECTORS >=
			   replay->journal->sectors)
		return -ENOSPC;
	replay->sequence += put ? SEQUENCE : 0;
	start = replay->at;
	for (struct column *column = replay->first; !rc && column; column = column->next) {
		if (!has_pending(replay, column))
			continue;
		rc = one_pending(replay, column, put);
		replay->computed += !rc;
	}
	if (rc || !put || !replay->computed)
		return rc;
	rc = move_tail(replay, start);
	for (struct column *column = replay->first; !rc && column; column = column->next) {
		if (has_pending(replay, column))
			rc = write_places(replay, column, column->committed);
	}
	return rc;
}

static int look_at_pending(struct journal_replay *replay)
{
	int rc = 0;

	for (struct column *column = replay->first; !rc && column; column = column->next)
		rc = write_places(replay, column, column->pending);
	return rc;
}

/* ---- The whole ---- */

/* Nothing of what is in the ring counts any more. */
static int start_anew(struct journal_replay *replay)
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

static int carry_out(struct journal_replay *replay)
{
	struct raid_array *array = replay->r->array;
	uint64_t tail = replay->at;
	int rc = scan(replay);

	if (!rc)
		rc = write_committed(replay);
	if (!rc && replay->look)
		return look_at_pending(replay);
	if (!rc)
		rc = raid_members_flush(array);
	if (!rc)
		rc = write_pending(replay, tail);
	if (!rc)
		rc = raid_members_flush(array);
	return rc ? rc : start_anew(replay);
}

/* The superblock's place has no journal: of a new device, as md takes it; but of one that was in use, what was in it is lost. */
static int no_journal(struct journal_replay *replay, struct error *error)
{
	struct raid_array *array = replay->r->array;

	log_warning(array->log,
		    "%s: %s has no journal where its superblock says, at sector %llu: if something "
		    "was in it, it is lost, and parity is made anew",
		    array->block.name, array->journal->block->name,
		    (unsigned long long)array->journal->sb.recovery_offset);
	if (raid_array_degraded(array) && !array->forced) {
		error_set(
			error, -EINVAL,
			"%s: a member is missing, and %s has no journal where its superblock says, "
			"at sector %llu: what it had, and parity, cannot be relied on",
			array->block.name, array->journal->block->name,
			(unsigned long long)array->journal->sb.recovery_offset);
		return error_advise(error, "find the missing member; --force starts it all the "
					   "same, and data may be damaged then");
	}
	if (replay->look)
		return 0;
	array->resync_position = array->resync_checkpoint = 0;
	replay->at = 0;
	replay->sequence = worker_random() & UINT32_MAX;
	return start_anew(replay);
}

static void free_columns(struct journal_replay *replay)
{
	while (replay->first) {
		struct column *next = replay->first->next;

		free(replay->first);
		replay->first = next;
	}
}

static int say(const struct journal_replay *replay, int rc, struct error *error)
{
	const struct raid_array *array = replay->r->array;

	if (!rc && replay->differs) {
		error_set(error, -EROFS,
			  "%s: its journal has what its members have not: that has to be carried "
			  "out first, which is not done read-only",
			  array->block.name);
		return error_advise(error, "assemble it for writing once");
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
	if (replay->columns || replay->computed)
		log_info(
			array->log,
			"%s: %u stripes of the journal carried out, %u of them had no parity there",
			array->block.name, replay->columns + replay->computed, replay->computed);
	return 0;
}

int raid5_journal_replay(struct raid5 *r, bool look, struct error *error)
{
	CLEANUP_FREE struct journal_replay *replay = NULL;
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
	rc = find_tail(replay);
	if (!rc)
		rc = no_journal(replay, error);
	else if (rc == 1)
		rc = say(replay, carry_out(replay), error);
	else
		rc = say(replay, rc, error);
	free_columns(replay);
	free(replay->pages);
	return rc;
}
