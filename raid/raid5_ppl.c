/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The partial parity log at work; see raid5_ppl.h.
 *
 * Why no crash loses data. Only the newest header of a log counts, so a header is not written before what the one
 * before it is about is durable: data and parity of a logged batch are written with FUA, under the lock of the log. Whatever
 * part of a batch has arrived when the power goes, P is made from what is on the disks of the chunks that were being
 * written, and the partial parity, which stands for all the others: so these can be had from P, a missing one too. A header that was torn has
 * a wrong checksum, and then nothing of its batch was written.
 */
#include "raid/raid5_ppl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_ppl.h"
#include "util/bytes.h"
#include "util/error.h"

#define LEAST 4096u /* of a stripe on a member */

/* One on each member. */
struct ppl_log {
	struct fiber_mutex lock;
	uint64_t next;  /* byte of the area where the next header goes */
	uint8_t of[16]; /* the member whose area that is */
};

struct raid5_ppl {
	uint32_t signature;
	uint64_t generation;
	struct ppl_log logs[MD_PPL_DISKS_MAX];
};

static uint64_t area_byte(const struct raid_member *member)
{
	return md_superblock_byte(&member->sb, member->sb.ppl_offset);
}

static uint64_t area_bytes(const struct raid_member *member)
{
	return (uint64_t)member->sb.ppl_size << MD_SECTOR_SHIFT;
}

/* A large area has headers one behind the other. */
static bool is_ring(const struct raid_member *member)
{
	return area_bytes(member) >= 2 * (MD_PPL_SPACE_BYTES + MD_PPL_HEADER_BYTES);
}

int raid5_ppl_create(struct raid5 *r, struct error *error)
{
	struct raid_array *array = r->array;

	if (r->g.level != 5 || r->g.disks > MD_PPL_DISKS_MAX)
		return error_set(error, -EINVAL,
				 "%s: a partial parity log at level %d with %u disks, expected "
				 "level 5 and at "
				 "most %u",
				 array->block.name, r->g.level, r->g.disks, MD_PPL_DISKS_MAX);
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		/* A spare may come to a place. */
		if (!raid_member_active(member) && member->state != RAID_MEMBER_SPARE)
			continue;
		/* A small area has short stripes: mdadm gives an array that had none what is before its log of bad blocks, 64 KiB. */
		while (r->strip > LEAST && area_bytes(member) < MD_PPL_HEADER_BYTES + r->strip)
			r->strip /= 2;
		if (area_bytes(member) < MD_PPL_HEADER_BYTES + r->strip)
			return error_set(
				error, -EINVAL,
				"%s: its partial parity log has %llu bytes, expected %u or more",
				member->block->name, (unsigned long long)area_bytes(member),
				MD_PPL_HEADER_BYTES + r->strip);
	}
	r->ppl = calloc(1, sizeof(*r->ppl));
	if (!r->ppl)
		return error_set(error, -ENOMEM, "%s: no memory", array->block.name);
	r->ppl->signature = md_ppl_signature(array->uuid);
	for (unsigned i = 0; i < MD_PPL_DISKS_MAX; i++)
		fiber_mutex_init(&r->ppl->logs[i].lock);
	return 0;
}

void raid5_ppl_free(struct raid5 *r)
{
	free(r->ppl);
	r->ppl = NULL;
}

/* ---- Replay ---- */

struct replay {
	struct raid5 *r;
	struct raid_member *member; /* whose log it is */
	unsigned done, wrong;       /* entries */
};

/* The newest header; *at is where it begins in the area. 1, 0 where there is none, or an error. */
static int find_newest(const struct replay *replay, struct md_ppl_header *newest, uint64_t *at)
{
	const struct raid_member *member = replay->member;
	uint8_t page[MD_PPL_HEADER_BYTES] __attribute__((aligned(512)));
	struct md_ppl_header header;
	uint64_t here = 0;
	int found = 0;

	while (here + MD_PPL_HEADER_BYTES < area_bytes(member)) {
		int rc = block_read(member->block, area_byte(member) + here, page, sizeof(page));

		if (rc)
			return rc;
		if (md_ppl_decode(page, &header, NULL) ||
		    header.signature != replay->r->ppl->signature ||
		    (found && header.generation < newest->generation))
			break;
		*newest = header;
		*at = here;
		found = 1;
		here += MD_PPL_HEADER_BYTES + md_ppl_bytes(&header);
	}
	return found;
}

/* Adds `length` bytes of `from` to `to`. */
static void add(uint8_t *to, const uint8_t *from, size_t length)
{
	for (size_t i = 0; i + 8 <= length; i += 8)
		put_le64(to + i, get_le64(to + i) ^ get_le64(from + i));
}

/* What the log of a member says cannot be had. With all members a resync makes parity fit; else what is missing would be computed wrongly. */
static int not_read(struct replay *replay, int rc)
{
	const struct raid_array *array = replay->r->array;

	if (raid_array_degraded(array) && !array->forced)
		return rc;
	replay->wrong++;
	return 0;
}

/* P of an entry's columns: `sum` begins as its partial parity. -ENODATA where a block that was written to cannot be had. */
static int add_written(const struct replay *replay, const struct md_ppl_span *span, uint8_t *sum,
		       uint8_t *block)
{
	struct raid_array *array = replay->r->array;
	struct raid5_row row = raid5_row(&replay->r->g, span->row);
	uint64_t sector = span->row * replay->r->g.chunk_sectors + span->column;
	size_t length = (size_t)span->count << MD_SECTOR_SHIFT;

	for (uint32_t i = 0; i < span->chunks; i++) {
		uint32_t role = raid5_role(&row, span->index + i);
		const struct raid_member *member = array->places[role].member;
		int rc;

		if (!raid5_readable(replay->r, role, sector, span->count))
			return -ENODATA;
		rc = block_read(member->block,
				raid_member_sector(member, sector) << MD_SECTOR_SHIFT, block,
				length);
		if (rc)
			return -ENODATA;
		add(sum, block, length);
	}
	return 0;
}

static int replay_entry(struct replay *replay, const struct md_ppl_entry *entry, uint64_t pp_byte)
{
	struct raid_member *member = replay->member;
	CLEANUP_FREE uint8_t *sum = NULL, *block = NULL;
	struct md_ppl_span span;
	uint64_t byte;
	size_t length;
	int rc = md_ppl_check(entry, &replay->r->g, &span, NULL);

	if (rc || entry->parity_disk != (uint32_t)member->role) {
		replay->wrong++;
		return 0;
	}
	length = (size_t)span.count << MD_SECTOR_SHIFT;
	if (posix_memalign((void **)&sum, 4096, length) ||
	    posix_memalign((void **)&block, 4096, length))
		return -ENOMEM;
	memset(sum, 0, length);
	if (entry->pp_bytes)
		rc = block_read(member->block, pp_byte, sum, length);
	if (rc)
		return not_read(replay, rc);
	if (entry->pp_bytes && md_crc32c(0, sum, length) != entry->checksum) {
		replay->wrong++;
		return 0;
	}
	rc = add_written(replay, &span, sum, block);
	/* P stands in for it, and is as good as it was. */
	if (rc == -ENODATA) {
		replay->wrong += !raid_array_degraded(replay->r->array);
		return 0;
	}
	byte = raid_member_sector(member, span.row * replay->r->g.chunk_sectors + span.column)
	       << MD_SECTOR_SHIFT;
	if (!rc)
		rc = block_write(member->block, byte, sum, length, BLOCK_FUA);
	if (!rc)
		raid_member_written(member, byte, length);
	replay->done += !rc;
	return rc;
}

static int replay_member(struct replay *replay)
{
	struct raid_member *member = replay->member;
	struct md_ppl_header header;
	uint64_t at = 0, byte;
	int rc = find_newest(replay, &header, &at);

	if (rc < 0)
		return not_read(replay, rc);
	if (!rc) {
		replay->wrong++;
		return 0;
	}
	rc = 0;
	byte = area_byte(member) + at + MD_PPL_HEADER_BYTES;
	if (at + MD_PPL_HEADER_BYTES + md_ppl_bytes(&header) > area_bytes(member)) {
		replay->wrong++;
		return 0;
	}
	for (uint32_t i = 0; !rc && i < header.count; i++) {
		rc = replay_entry(replay, &header.entries[i], byte);
		byte += header.entries[i].pp_bytes;
	}
	return rc;
}

int raid5_ppl_clear(struct raid_member *member)
{
	struct raid5 *r = raid5_of(member->array);
	struct ppl_log *log = raid_member_active(member) ? &r->ppl->logs[member->role] : NULL;
	uint8_t page[MD_PPL_HEADER_BYTES] __attribute__((aligned(512)));
	const struct md_ppl_header header = { .signature = r->ppl->signature };
	int rc;

	/* What was logged while it is held is on the members. */
	if (log)
		fiber_mutex_lock(&log->lock);
	rc = block_write_zeroes(member->block, area_byte(member), area_bytes(member), 0);
	md_ppl_encode(&header, page);
	if (!rc)
		rc = block_write(member->block, area_byte(member), page, sizeof(page), BLOCK_FUA);
	if (log) {
		log->next = 0;
		fiber_mutex_unlock(&log->lock);
	}
	return rc;
}

static int clear_all(struct raid5 *r, struct error *error)
{
	for (uint32_t i = 0; i < r->g.disks; i++) {
		struct raid_member *member = r->array->places[i].member;
		int rc = member ? raid5_ppl_clear(member) : 0;

		if (rc)
			return error_set(error, rc,
					 "%s: its partial parity log cannot be written: %s",
					 member->block->name, error_name(rc));
	}
	return 0;
}

int raid5_ppl_replay(struct raid5 *r, bool look, struct error *error)
{
	struct raid_array *array = r->array;
	struct replay replay = { .r = r };

	if (look && array->resync_position == MD_RESYNC_DONE)
		return 0;
	for (uint32_t i = 0; array->resync_position != MD_RESYNC_DONE && i < r->g.disks; i++) {
		int rc;

		replay.member = array->places[i].member;
		if (!replay.member || replay.member->log_placed)
			continue;
		rc = replay_member(&replay);
		if (rc) {
			error_set(error, rc, "%s: its partial parity log cannot be carried out: %s",
				  replay.member->block->name, error_name(rc));
			return error_advise(
				error, "find the missing member; --force starts it without, and "
				       "what was being written, and other data of the same "
				       "stripes, may be damaged then");
		}
	}
	/* With all members it is parity only, of use where one of them cannot be read. */
	if (look && !raid_array_degraded(array))
		return 0;
	array->from_log |= look && replay.done;
	if (!look && (replay.done || replay.wrong))
		log_info(array->log,
			 "%s: %u entries of the partial parity logs carried out, %u wrong",
			 array->block.name, replay.done, replay.wrong);
	if (array->resync_position != MD_RESYNC_DONE) {
		uint64_t left = array->resync_position;

		/* 0: no resync was due. Else only what it had not come to; and of one that had not begun superblocks say a page, see super.c. */
		left = round_down(left - MIN(left, 1u), r->g.chunk_sectors);
		if (!replay.done || replay.wrong)
			left = 0;
		else if (!array->resync_position)
			left = MD_RESYNC_DONE;
		array->resync_position = array->resync_checkpoint = left;
	}
	return clear_all(r, error);
}

/* ---- Writing ---- */

/* The sum of the blocks that a segment does not change, over what was read for P: it is of no use any more. */
static void partial_parity(const struct raid5_batch *batch, const struct raid5_segment *segment)
{
	const struct raid5_work *work = &batch->work;
	const struct raid5_row *row = &work->row;
	uint8_t *pp = raid5_block(work, row->p) + segment->at;
	bool modify = segment->method == RAID5_MODIFY;

	if (!modify)
		memset(pp, 0, segment->length);
	for (uint32_t i = 0; i < row->data; i++) {
		if ((bool)segment->covered[i] == modify)
			add(pp, raid5_block(work, raid5_role(row, i)) + segment->at,
			    segment->length);
	}
}

static struct md_ppl_entry entry_of(const struct raid5_batch *batch,
				    const struct raid5_segment *segment)
{
	const struct raid5_work *work = &batch->work;
	struct md_ppl_entry entry = { .parity_disk = work->row.p,
				      .data_bytes = segment->written * segment->length };
	uint32_t index = 0;

	while (!segment->covered[index])
		index++;
	entry.data_sector =
		raid5_unmap(&batch->r->g, index, work->sector + (segment->at >> MD_SECTOR_SHIFT));
	if (segment->method == RAID5_FULL)
		return entry;
	partial_parity(batch, segment);
	entry.pp_bytes = segment->length;
	entry.checksum =
		md_crc32c(0, raid5_block(work, work->row.p) + segment->at, segment->length);
	return entry;
}

static int write_log(struct raid5_batch *batch, struct ppl_log *log, struct raid_member *member,
		     struct md_ppl_header *header)
{
	uint8_t page[MD_PPL_HEADER_BYTES] __attribute__((aligned(512)));
	struct iovec iov[1 + ARRAY_SIZE(batch->segments)];
	unsigned count = 1;
	uint64_t bytes;
	int rc;

	for (unsigned i = 0; i < batch->segment_count; i++) {
		const struct raid5_segment *segment = &batch->segments[i];
		struct md_ppl_entry entry = entry_of(batch, segment);

		header->entries[header->count++] = entry;
		if (entry.pp_bytes)
			iov[count++] =
				(struct iovec){ raid5_block(&batch->work, batch->work.row.p) +
							segment->at,
						segment->length };
	}
	bytes = MD_PPL_HEADER_BYTES + md_ppl_bytes(header);
	/* Headers are looked for from the start on, and whoever has the place since is empty. */
	if (memcmp(log->of, member->sb.device_uuid, sizeof(log->of)) != 0)
		log->next = 0;
	memcpy(log->of, member->sb.device_uuid, sizeof(log->of));
	if (!is_ring(member) || log->next + bytes > area_bytes(member))
		log->next = 0;
	header->signature = batch->r->ppl->signature;
	header->generation = ++batch->r->ppl->generation;
	md_ppl_encode(header, page);
	iov[0] = (struct iovec){ page, sizeof(page) };
	raid_member_hold(member);
	rc = block_writev(member->block, area_byte(member) + log->next, iov, count, BLOCK_FUA);
	log->next += bytes;
	raid_member_release(member);
	return rc;
}

int raid5_ppl_begin(struct raid5_batch *batch)
{
	struct raid5 *r = batch->r;
	CLEANUP_FREE struct md_ppl_header *header = NULL;
	struct raid_member *member;
	struct ppl_log *log;
	int rc;

	batch->logged = false;
	if (!r->ppl)
		return 0;
	header = calloc(1, sizeof(*header));
	if (!header)
		return -ENOMEM;
	log = &r->ppl->logs[batch->work.row.p];
	fiber_mutex_lock(&log->lock);
	member = r->array->places[batch->work.row.p].member;
	/* One that is being filled, too: what it has already has to stay right. */
	rc = member ? write_log(batch, log, member, header) : -ENODEV;
	batch->logged = !rc;
	if (rc)
		fiber_mutex_unlock(&log->lock);
	/* P's member is gone then, and without P there is nothing to be logged. */
	if (rc && rc != -ENODEV &&
	    !raid_member_fail(member, "write of its partial parity log: %s",
			      raid_member_trouble(member, rc)))
		return -EIO;
	if (batch->logged)
		batch->flags |= BLOCK_FUA;
	return 0;
}

void raid5_ppl_end(struct raid5_batch *batch)
{
	if (batch->logged)
		fiber_mutex_unlock(&batch->r->ppl->logs[batch->work.row.p].lock);
	batch->logged = false;
}
