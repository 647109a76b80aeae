/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write journal at work: writing; see raid5_journal.h.
 *
 *	a batch --begin()--> pending --one writes for all--> flying --end()--> reclaimed by the next update of superblocks
 *
 * Why no crash loses data. One write of the ring is made at a time, with FUA, so that a meta block that is durable has
 * all before it durable, as a scan needs it; what a batch changes on members begins after that. A write is acknowledged
 * after it is in the ring, so a flush of the array needs no flush of members. Their flush is what moves the tail: an update of superblocks
 * notes the first meta block that is still flying, flushes the members, and only then says so; the room before it is
 * used again after that. The tail is a meta block that is good, never the place where the next one goes: what is there from the last time
 * round would be taken for the beginning.
 *
 * When the ring cannot be written nothing is any more, since a crash would leave stripes that do not fit. Nor is a device waited for
 * that does not answer, once it has been failed: the write that it has keeps its memory until it comes back, and all others go on.
 */
#include "raid/raid5_journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define PAGE        MD_JOURNAL_BLOCK
#define GROUP_PAGES 512u

uint64_t raid5_journal_checkpoint(const struct raid5_journal *journal)
{
	if (list_empty(&journal->flying))
		return journal->last;
	return list_entry(journal->flying.next, struct raid5_journal_entry, node)->at;
}

/* ---- Making one ---- */

static void array_changed(struct raid_watch *watch, enum raid_change change)
{
	struct raid5_journal *journal = container_of(watch, struct raid5_journal, watch);
	struct raid_array *array = journal->r->array;

	if (change != RAID_CHANGED_LOST || journal->lost || raid_array_has_journal(array))
		return;
	journal->lost = true;
	log_error(array->log, "%s: without its journal nothing is written any more",
		  array->block.name);
	fiber_queue_wake_all(&journal->queue);
}

/* What some batches take. */
static uint64_t least_sectors(const struct raid5 *r, uint32_t strip)
{
	return 8ull * (strip / PAGE) * (r->g.disks + 1) * MD_JOURNAL_SECTORS;
}

int raid5_journal_check(const struct raid5 *r, const char *name, uint64_t sectors,
			struct error *error)
{
	/* Those that one meta block can describe a stripe of. */
	uint32_t most = (PAGE - MD_JOURNAL_HEADER) / 20;
	uint64_t least = least_sectors(r, PAGE);

	sectors = round_down(sectors, MD_JOURNAL_SECTORS);
	if (r->g.disks > most)
		return error_set(error, -EINVAL, "%s: a journal with %u disks, expected at most %u",
				 r->array->block.name, r->g.disks, most);
	if (sectors < least)
		return error_set(error, -EINVAL,
				 "%s: %llu sectors for a journal, expected %llu or more", name,
				 (unsigned long long)sectors, (unsigned long long)least);
	return 0;
}

int raid5_journal_create(struct raid5 *r, struct error *error)
{
	struct raid5_journal *journal;
	uint64_t sectors;
	int rc;

	r->page = PAGE;
	if (!r->array->journal)
		return 0;
	sectors = round_down(r->array->journal->sb.data_size, MD_JOURNAL_SECTORS);
	rc = raid5_journal_check(r, r->array->journal->block->name, sectors, error);
	if (rc)
		return rc;
	/* A small ring has short stripes. */
	while (r->strip > PAGE && sectors < least_sectors(r, r->strip))
		r->strip /= 2;
	journal = calloc(1, sizeof(*journal));
	if (!journal)
		return error_set(error, -ENOMEM, "%s: no memory", r->array->block.name);
	journal->r = r;
	journal->sectors = sectors;
	list_init(&journal->pending);
	list_init(&journal->flying);
	fiber_queue_init(&journal->queue);
	journal->watch.changed = array_changed;
	raid_array_watch(r->array, &journal->watch);
	r->journal = journal;
	return 0;
}

void raid5_journal_free(struct raid5 *r)
{
	if (r->journal)
		list_remove(&r->journal->watch.node);
	free(r->journal);
	r->journal = NULL;
}

int raid5_journal_clear(struct raid5_journal *journal)
{
	uint8_t block[PAGE] __attribute__((aligned(512)));
	struct raid_array *array = journal->r->array;

	journal->sequence = worker_random() & UINT32_MAX;
	md_journal_begin(block, journal->sequence++, 0);
	md_journal_seal(block, array->uuid);
	journal->last = 0;
	journal->head = MD_JOURNAL_SECTORS;
	return raid5_journal_put(journal, 0, &(struct iovec){ block, PAGE }, 1);
}

int raid5_journal_put(struct raid5_journal *journal, uint64_t at, const struct iovec *iov,
		      unsigned count)
{
	struct raid_member *member = journal->r->array->journal;
	unsigned first = (unsigned)MIN(count, (journal->sectors - at) / MD_JOURNAL_SECTORS);
	struct block_io ios[2] = { { .iov = iov, .count = first },
				   { .iov = iov + first, .count = count - first } };
	unsigned parts = count > first ? 2 : 1;

	for (unsigned i = 0; i < parts; i++) {
		ios[i].block = member->block;
		ios[i].kind = BLOCK_WRITE;
		ios[i].flags = BLOCK_FUA;
		ios[i].offset = raid5_ring_byte(journal, i ? 0 : at);
		ios[i].length = (uint64_t)ios[i].count * PAGE;
	}
	raid_member_hold(member);
	block_run_all(ios, parts);
	raid_member_release(member);
	return ios[0].result ? ios[0].result : parts > 1 ? ios[1].result : 0;
}

/* ---- What is written together ---- */

struct group {
	struct raid5_journal *journal;
	struct raid_member *member; /* its device */
	struct list entries;
	unsigned batches;
	uint8_t *metas; /* room for `most` of them */
	struct iovec *iovs;
	void **kept; /* the memory of its batches, if it is abandoned */
	unsigned kept_count;
	unsigned most, meta_count, count;
	uint64_t at; /* where it goes */
	int rc;
	bool done, abandoned; /* its write; see put_together() */
	uint32_t used;        /* bytes of the last meta block */
	uint64_t next, last;  /* where the next block goes, and where the last meta block is */
	uint64_t sequence;
};

static unsigned columns_of(const struct raid5_batch *batch)
{
	return batch->work.width / PAGE;
}

static unsigned parities(const struct raid5_batch *batch, const struct raid5_segment *segment)
{
	return segment->method == RAID5_NO_PARITY ? 0 : raid5_parities(&batch->r->g);
}

static unsigned pages_of(const struct raid5_batch *batch)
{
	unsigned pages = 0;

	for (unsigned i = 0; i < batch->segment_count; i++)
		pages += batch->segments[i].length / PAGE *
			 (batch->segments[i].written + parities(batch, &batch->segments[i]));
	return pages;
}

/* Pending batches as far as they go into one write. */
static int gather(struct group *group)
{
	struct raid5_journal *journal = group->journal;
	/* Less than what check() asks for, so that there is room for two in any ring. */
	uint64_t room = MIN(GROUP_PAGES, journal->sectors / MD_JOURNAL_SECTORS / 4);
	unsigned pages = 0;

	list_init(&group->entries);
	while (!list_empty(&journal->pending)) {
		struct raid5_journal_entry *entry =
			list_entry(journal->pending.next, struct raid5_journal_entry, node);
		const struct raid5_batch *batch =
			container_of(entry, struct raid5_batch, journaled);
		unsigned more = pages_of(batch) + columns_of(batch);

		if (pages && pages + more > room)
			break;
		pages += more;
		group->most += columns_of(batch);
		group->batches++;
		list_remove(&entry->node);
		list_add_tail(&group->entries, &entry->node);
	}
	group->next = journal->head;
	group->sequence = journal->sequence;
	group->iovs = malloc(pages * sizeof(*group->iovs));
	group->kept = calloc(group->batches, sizeof(*group->kept));
	if (!group->iovs || !group->kept ||
	    posix_memalign((void **)&group->metas, 4096, group->most * (size_t)PAGE))
		return -ENOMEM;
	return 0;
}

static uint8_t *meta_of(const struct group *group)
{
	return group->metas + (group->meta_count - 1) * (size_t)PAGE;
}

static void put_block(struct group *group, void *at)
{
	group->iovs[group->count++] = (struct iovec){ at, PAGE };
	group->next = raid5_ring_add(group->journal, group->next, MD_JOURNAL_SECTORS);
}

/* A meta block with room for so many bytes: all of a stripe's column is in one. */
static void make_meta(struct group *group, uint32_t bytes)
{
	if (group->meta_count && group->used + bytes <= PAGE) {
		group->used += bytes;
		return;
	}
	group->meta_count++;
	group->used = MD_JOURNAL_HEADER + bytes;
	group->last = group->next;
	md_journal_begin(meta_of(group), group->sequence++, group->next);
	put_block(group, meta_of(group));
}

static void put_page(struct group *group, enum md_journal_type type, uint64_t location,
		     uint8_t *first, uint8_t *second)
{
	const uint8_t *uuid = group->journal->r->array->uuid;
	struct md_journal_payload payload = { .type = type,
					      .blocks = second ? 2 : 1,
					      .location = location };

	payload.checksums[0] = md_journal_checksum(uuid, first);
	if (second)
		payload.checksums[1] = md_journal_checksum(uuid, second);
	md_journal_add(meta_of(group), &payload);
	put_block(group, first);
	if (second)
		put_block(group, second);
}

static void put_column(struct group *group, const struct raid5_batch *batch,
		       const struct raid5_segment *segment, uint32_t at)
{
	const struct raid5_work *work = &batch->work;
	const struct raid5_row *row = &work->row;
	uint64_t sector = work->sector + (at >> MD_SECTOR_SHIFT);
	uint32_t bytes = 20 * segment->written;

	if (segment->method != RAID5_NO_PARITY)
		bytes += 16 + 4 * raid5_parities(&batch->r->g);
	make_meta(group, bytes);
	for (uint32_t i = 0; i < row->data; i++) {
		if (segment->covered[i])
			put_page(group, MD_JOURNAL_DATA, raid5_unmap(&batch->r->g, i, sector),
				 raid5_second(work, raid5_role(row, i)) + at, NULL);
	}
	if (segment->method != RAID5_NO_PARITY)
		put_page(group, MD_JOURNAL_PARITY, sector, raid5_second(work, row->p) + at,
			 row->q == RAID5_NO_ROLE ? NULL : raid5_second(work, row->q) + at);
}

static void build(struct group *group)
{
	list_for_each(at, &group->entries) {
		struct raid5_journal_entry *entry =
			list_entry(at, struct raid5_journal_entry, node);
		const struct raid5_batch *batch =
			container_of(entry, struct raid5_batch, journaled);
		bool first = true;

		for (unsigned i = 0; i < batch->segment_count; i++) {
			const struct raid5_segment *segment = &batch->segments[i];

			for (uint32_t j = 0; j < segment->length; j += PAGE) {
				put_column(group, batch, segment, segment->at + j);
				if (first)
					entry->at = group->last;
				first = false;
			}
		}
	}
	for (unsigned i = 0; i < group->meta_count; i++)
		md_journal_seal(group->metas + i * (size_t)PAGE, group->journal->r->array->uuid);
}

/* ---- Room ---- */

/* From the tail that the superblock has to the head. */
static uint64_t used(const struct raid5_journal *journal)
{
	return raid5_ring_distance(journal, journal->r->array->journal->recovered, journal->head);
}

/* The ring is not allowed to grow so long that carrying it out would take very long. */
#define RECLAIM_SECTORS (10ull << 21)

static int make_room(struct raid5_journal *journal, uint64_t sectors)
{
	struct raid_array *array = journal->r->array;
	uint64_t most = MIN(journal->sectors / 2, RECLAIM_SECTORS);
	int rc = 0;

	if (raid_array_has_journal(array) && used(journal) > most)
		rc = raid_super_update(array);
	while (!rc && raid_array_has_journal(array) &&
	       used(journal) + sectors >= journal->sectors) {
		if (raid5_journal_checkpoint(journal) == array->journal->recovered)
			fiber_queue_wait_always(&journal->queue);
		rc = raid_super_update(array);
	}
	return rc ? rc : raid_array_has_journal(array) ? 0 : -EIO;
}

/* ---- Writing ---- */

static void free_group(struct group *group)
{
	for (unsigned i = 0; i < group->kept_count; i++)
		free(group->kept[i]);
	free(group->kept);
	free(group->iovs);
	free(group->metas);
	free(group);
}

static int put_fiber(void *arg)
{
	struct group *group = arg;
	struct raid_member *member = group->member;

	group->rc =
		member->state == RAID_MEMBER_JOURNAL
			? raid5_journal_put(group->journal, group->at, group->iovs, group->count)
			: -EIO;
	group->done = true;
	if (group->abandoned)
		free_group(group);
	else
		fiber_queue_wake_all(&group->journal->queue);
	raid_member_release(member);
	return 0;
}

/* What a write that may never end is of. */
static void keep_memory(struct group *group)
{
	list_for_each(at, &group->entries) {
		struct raid5_journal_entry *entry =
			list_entry(at, struct raid5_journal_entry, node);

		group->kept[group->kept_count++] =
			raid5_work_take(&container_of(entry, struct raid5_batch, journaled)->work);
	}
}

/* Waits for the write, but not for a journal that has been failed meanwhile: then the group is its own. */
static int put_together(struct group *group)
{
	struct raid5_journal *journal = group->journal;
	struct raid_array *array = journal->r->array;

	group->at = journal->head;
	group->member = array->journal;
	raid_member_hold(group->member);
	fiber_start(put_fiber, group);
	while (!group->done && raid_array_has_journal(array))
		fiber_queue_wait_always(&journal->queue);
	if (group->done)
		return group->rc;
	group->abandoned = true;
	keep_memory(group);
	return -EIO;
}

static int write_group(struct group *group)
{
	struct raid5_journal *journal = group->journal;
	struct raid_array *array = journal->r->array;
	int rc = make_room(journal, (uint64_t)group->count * MD_JOURNAL_SECTORS);

	if (rc)
		return rc;
	rc = put_together(group);
	if (rc && raid_array_has_journal(array))
		raid_member_fail(array->journal, "write of the journal: %s",
				 raid_member_trouble(array->journal, rc));
	if (rc)
		return -EIO;
	journal->head = group->next;
	journal->sequence = group->sequence;
	journal->last = group->last;
	return 0;
}

static void end_entries(struct raid5_journal *journal, struct list *entries, int rc)
{
	while (!list_empty(entries)) {
		struct raid5_journal_entry *entry =
			list_entry(list_pop(entries), struct raid5_journal_entry, node);

		entry->done = true;
		entry->rc = rc;
		if (!rc)
			list_add_tail(&journal->flying, &entry->node);
	}
}

/* Writes what is pending, or a part of it. */
static void lead(struct raid5_journal *journal)
{
	struct group *group = calloc(1, sizeof(*group));
	int rc;

	if (!group) {
		end_entries(journal, &journal->pending, -ENOMEM);
		return;
	}
	group->journal = journal;
	rc = gather(group);
	if (!rc) {
		build(group);
		rc = write_group(group);
	}
	end_entries(journal, &group->entries, rc);
	if (!group->abandoned)
		free_group(group);
}

int raid5_journal_begin(struct raid5_batch *batch)
{
	struct raid5_journal *journal = batch->r->journal;
	struct raid5_journal_entry *entry = &batch->journaled;

	*entry = (struct raid5_journal_entry){ 0 };
	if (!raid5_has_journal(batch->r->array))
		return 0;
	if (!journal || !raid_array_has_journal(batch->r->array))
		return -EIO;
	list_add_tail(&journal->pending, &entry->node);
	while (!entry->done) {
		if (journal->writing) {
			fiber_queue_wait_always(&journal->queue);
			continue;
		}
		journal->writing = true;
		/* Those who are ready now come along. */
		fiber_yield();
		lead(journal);
		journal->writing = false;
		fiber_queue_wake_all(&journal->queue);
	}
	/* Durable it is already. */
	if (!entry->rc)
		batch->flags &= ~BLOCK_FUA;
	return entry->rc;
}

void raid5_journal_end(struct raid5_batch *batch)
{
	if (!batch->journaled.done || batch->journaled.rc)
		return;
	list_remove(&batch->journaled.node);
	batch->journaled.done = false;
	fiber_queue_wake_all(&batch->r->journal->queue);
}
