/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write-intent bitmap at work; see intent.h. Reading it is in intent_load.c.
 *
 * A chunk:	clear --raid_intent_begin()--> set --page written--> durable --no write for a round--> aged
 *		aged --raid_intent_clear(), by the daemon--> clear; a write makes it durable again
 *
 * `needed` keeps it from being cleared: set when a member is lost or a write did not reach all places, taken back
 * when a resync or recovery has gone over everything (raid_intent_synced()).
 *
 * Why no crash loses data. No write begins before its bits are on all active members, and none is cleared before
 * a flush that began after the chunk's last write. Then events_cleared goes to the disks before the cleared bits
 * do. A crash at any point leaves bits that are set for nothing, never one that is missing.
 */
#include "raid/intent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "util/bytes.h"

void raid_intent_free(struct raid_intent *intent)
{
	if (!intent)
		return;
	list_remove(&intent->watch.node);
	free(intent->state);
	free(intent->image);
	free(intent->set_at);
	free(intent->page_state);
	free(intent);
}

void raid_intent_retire(struct raid_array *array)
{
	struct raid_intent *intent = array->intent;

	list_remove(&intent->watch.node);
	list_init(&intent->watch.node);
	intent->retired = array->retired;
	array->retired = intent;
	array->intent = NULL;
}

void raid_intent_bring_back(struct raid_array *array)
{
	struct raid_intent *before = array->retired;

	array->retired = before->retired;
	raid_intent_retire(array);
	before->retired = NULL;
	for (unsigned page = 0; page < before->pages; page++)
		before->page_state[page] = RAID_PAGE_CHANGED;
	array->intent = before;
	raid_intent_watch(before);
}

/* ---- Pages on the members ---- */

/* What is written of a page: at the end of the bitmap only as many whole blocks as belong to it, for
 * what follows may be something else (a bitmap of 1.0 stands right before the bad-block log). */
static uint64_t page_bytes(const struct raid_intent *intent, const struct raid_member *member,
			   unsigned page)
{
	uint64_t end = round_up(md_bitmap_bytes(intent->chunks), member->meta->logical_block_size);

	return MIN(MD_BITMAP_PAGE, end - (uint64_t)page * MD_BITMAP_PAGE);
}

static int write_page(const struct raid_intent *intent, const struct raid_member *member,
		      const uint8_t *bytes, unsigned page)
{
	return block_write(member->meta,
			   md_superblock_byte(&member->sb, member->sb.bitmap_offset) +
				   (uint64_t)page * MD_BITMAP_PAGE,
			   bytes, page_bytes(intent, member, page), BLOCK_FUA);
}

/*
 * Changes go to all members by one writer at a time. A page that goes to one member only (its super, or all
 * of them when it is new) is taken from the image under the member's lock, which write_pages() takes too:
 * so an older state of a page lands on a newer one only where that is told durable by nobody yet, and comes
 * again. Nobody holds `writing` while a single member is written to, which may never answer.
 */
static void writing_begin(struct raid_intent *intent)
{
	while (intent->writing)
		fiber_queue_wait_always(&intent->queue);
	intent->writing = true;
}

static void writing_end(struct raid_intent *intent)
{
	intent->writing = false;
	fiber_queue_wake_all(&intent->queue);
}

/* Pages as they were when they were taken. */
struct pages_job {
	const struct raid_intent *intent;
	uint8_t *bytes;
	unsigned count, pages[];
};

static void pages_job_put(void *arg)
{
	struct pages_job *job = arg;

	free(job->bytes);
	free(job);
}

/* The member's lock is held. The super last: bits that are not there yet must not look current. */
static int write_pages_locked(struct raid_member *member, const struct pages_job *job)
{
	int rc = 0;

	for (unsigned i = job->count; !rc && i-- > 0;)
		rc = write_page(job->intent, member, job->bytes + (size_t)i * MD_BITMAP_PAGE,
				job->pages[i]);
	return rc;
}

static int write_pages(struct raid_member *member, void *arg)
{
	int rc;

	fiber_mutex_lock(&member->bitmap);
	rc = write_pages_locked(member, arg);
	fiber_mutex_unlock(&member->bitmap);
	return rc;
}

static struct pages_job *pages_job_new(const struct raid_intent *intent, unsigned count)
{
	struct pages_job *job = malloc(sizeof(*job) + count * sizeof(job->pages[0]));
	void *bytes;

	if (!job)
		return NULL;
	/* Aligned, so that direct I/O takes it as it is. */
	if (posix_memalign(&bytes, MD_BITMAP_PAGE, (size_t)MAX(count, 1u) * MD_BITMAP_PAGE)) {
		free(job);
		return NULL;
	}
	job->intent = intent;
	job->bytes = bytes;
	job->count = 0;
	return job;
}

/* The pages that have changed; they count as being written from now on. */
static struct pages_job *take_changed(struct raid_intent *intent)
{
	struct pages_job *job;
	unsigned count = 0;

	for (unsigned page = 0; page < intent->pages; page++)
		count += intent->page_state[page] == RAID_PAGE_CHANGED;
	job = pages_job_new(intent, count);
	for (unsigned page = 0; job && page < intent->pages; page++) {
		if (intent->page_state[page] != RAID_PAGE_CHANGED)
			continue;
		memcpy(job->bytes + (size_t)job->count * MD_BITMAP_PAGE,
		       intent->image + (size_t)page * MD_BITMAP_PAGE, MD_BITMAP_PAGE);
		job->pages[job->count++] = page;
		intent->page_state[page] = RAID_PAGE_WRITING;
	}
	return job;
}

/* Writes the changed pages, as they are now, to all active members. The caller holds `writing`. */
static int write_changed(struct raid_intent *intent)
{
	struct pages_job *job = take_changed(intent);
	uint64_t generation = intent->generation;
	int rc;

	if (!job)
		return -ENOMEM;
	intent->array->counters.bitmap_writes++;
	rc = raid_members_each_with(intent->array, RAID_ACTIVE_STATES, write_pages, job,
				    pages_job_put, "bitmap not written");
	/* Those that have changed again meanwhile say so. */
	for (unsigned page = 0; page < intent->pages; page++) {
		if (intent->page_state[page] == RAID_PAGE_WRITING)
			intent->page_state[page] = rc ? RAID_PAGE_CHANGED : RAID_PAGE_SAME;
	}
	if (!rc)
		intent->durable = generation;
	return rc;
}

static void encode_super(struct raid_intent *intent)
{
	const struct raid_array *array = intent->array;
	struct md_bitmap super;

	intent->super.events = array->events;
	if (intent->forget)
		intent->super.events_cleared = intent->super.events;
	if (intent->super.events_cleared > intent->super.events)
		intent->super.events_cleared = intent->super.events;
	super = intent->super;
	if (intent->clean)
		super.events += array->metadata->clean_events;
	md_bitmap_encode(&super, intent->image);
}

int raid_intent_write_super(struct raid_intent *intent, struct raid_member *member)
{
	uint8_t page[MD_BITMAP_PAGE];
	int rc;

	fiber_mutex_lock(&member->bitmap);
	encode_super(intent);
	memcpy(page, intent->image, sizeof(page));
	rc = write_page(intent, member, page, 0);
	fiber_mutex_unlock(&member->bitmap);
	return rc;
}

int raid_intent_write_all(struct raid_intent *intent, struct raid_member *member)
{
	int rc = 0;

	fiber_mutex_lock(&member->bitmap);
	encode_super(intent);
	for (unsigned page = intent->pages; !rc && page-- > 0;)
		rc = write_page(intent, member, intent->image + (size_t)page * MD_BITMAP_PAGE,
				page);
	fiber_mutex_unlock(&member->bitmap);
	return rc;
}

/* ---- Setting ---- */

static unsigned page_of(uint64_t chunk)
{
	return (unsigned)((MD_BITMAP_SUPER_BYTES + chunk / 8) / MD_BITMAP_PAGE);
}

static int wait_durable(struct raid_intent *intent, uint64_t generation)
{
	int rc = 0;

	while (!rc && intent->durable < generation) {
		if (intent->writing) {
			fiber_queue_wait_always(&intent->queue);
			continue;
		}
		intent->writing = true;
		/* Those who are ready now come along. */
		fiber_yield();
		rc = write_changed(intent);
		writing_end(intent);
	}
	return rc;
}

static uint64_t last_chunk(const struct raid_intent *intent, uint64_t sector, uint64_t count)
{
	return MIN((sector + count - 1) >> intent->chunk_shift, intent->chunks - 1);
}

int raid_intent_begin(struct raid_intent *intent, uint64_t sector, uint64_t count)
{
	uint64_t last = last_chunk(intent, sector, count), generation = 0;
	int rc;

	for (uint64_t chunk = sector >> intent->chunk_shift; chunk <= last; chunk++) {
		intent->state[chunk].writes++;
		intent->state[chunk].aged = 0;
		if (!md_bitmap_test(intent->image, chunk)) {
			md_bitmap_put(intent->image, chunk, true);
			intent->set++;
			intent->page_state[page_of(chunk)] = RAID_PAGE_CHANGED;
			intent->set_at[chunk] = ++intent->generation;
		}
		/* Another may just have set it. Bits that are newer are not waited for. */
		generation = MAX(generation, intent->set_at[chunk]);
	}
	rc = wait_durable(intent, generation);
	if (rc)
		raid_intent_end(intent, sector, count, true);
	return rc;
}

bool raid_intent_try_begin(struct raid_intent *intent, uint64_t sector, uint64_t count)
{
	uint64_t first = sector >> intent->chunk_shift, last = last_chunk(intent, sector, count);

	for (uint64_t chunk = first; chunk <= last; chunk++)
		if (!md_bitmap_test(intent->image, chunk) ||
		    intent->set_at[chunk] > intent->durable)
			return false;
	for (uint64_t chunk = first; chunk <= last; chunk++) {
		intent->state[chunk].writes++;
		intent->state[chunk].aged = 0;
	}
	return true;
}

void raid_intent_end(struct raid_intent *intent, uint64_t sector, uint64_t count, bool complete)
{
	uint64_t last = last_chunk(intent, sector, count);

	for (uint64_t chunk = sector >> intent->chunk_shift; chunk <= last; chunk++) {
		intent->state[chunk].writes--;
		if (!complete)
			intent->state[chunk].needed = 1;
	}
}

/* What is set now is needed. */
static void keep(struct raid_intent *intent)
{
	for (uint64_t chunk = 0; intent->set && chunk < intent->chunks; chunk++) {
		if (md_bitmap_test(intent->image, chunk))
			intent->state[chunk].needed = 1;
	}
}

static void array_changed(struct raid_watch *watch, enum raid_change change)
{
	struct raid_intent *intent = container_of(watch, struct raid_intent, watch);

	if (change == RAID_CHANGED_LOST)
		keep(intent);
	else if (change == RAID_CHANGED_SHORTER)
		intent->forget = true;
}

void raid_intent_watch(struct raid_intent *intent)
{
	intent->watch.changed = array_changed;
	raid_array_watch(intent->array, &intent->watch);
}

void raid_intent_synced(struct raid_intent *intent)
{
	for (uint64_t chunk = 0; chunk < intent->chunks; chunk++)
		intent->state[chunk].needed = 0;
	raid_array_changed(intent->array, RAID_CHANGED_SYNCED);
}

bool raid_intent_is_set(const struct raid_intent *intent, uint64_t sector, uint64_t *count)
{
	uint64_t first = sector >> intent->chunk_shift, chunk = first, end;
	bool set;

	if (first >= intent->chunks)
		return true;
	set = md_bitmap_test(intent->image, first);
	do {
		chunk++;
		end = chunk << intent->chunk_shift;
	} while (end - sector < *count && chunk < intent->chunks &&
		 md_bitmap_test(intent->image, chunk) == set);
	*count = MIN(*count, end - sector);
	return set;
}

/* ---- Clearing ---- */

static bool clearable(const struct raid_intent *intent, uint64_t chunk, bool all)
{
	const struct raid_intent_chunk *state = &intent->state[chunk];

	return md_bitmap_test(intent->image, chunk) && !state->writes && !state->needed &&
	       (state->aged || all);
}

/* Chooses what is to be cleared, and lets the rest age. Whether there is any. */
static bool choose_chunks(struct raid_intent *intent, bool all, uint8_t *chosen)
{
	bool found = false;

	for (uint64_t chunk = 0; chunk < intent->chunks; chunk++) {
		struct raid_intent_chunk *state = &intent->state[chunk];

		if (clearable(intent, chunk, all)) {
			md_bitmap_put(chosen, chunk, true);
			found = true;
		}
		/* A write from here on takes this back. */
		if (!state->writes)
			state->aged = 1;
	}
	return found;
}

static void clear_chunks(struct raid_intent *intent, const uint8_t *chosen)
{
	for (uint64_t chunk = 0; chunk < intent->chunks; chunk++) {
		if (!md_bitmap_test(chosen, chunk) || !clearable(intent, chunk, false))
			continue;
		md_bitmap_put(intent->image, chunk, false);
		intent->set--;
		intent->page_state[page_of(chunk)] = RAID_PAGE_CHANGED;
	}
}

/* First events_cleared, then the bits: a crash in between leaves bits that are set for nothing. */
static int clear_chosen(struct raid_intent *intent, const uint8_t *chosen)
{
	int rc;

	writing_begin(intent);
	intent->super.events_cleared = intent->array->events;
	encode_super(intent);
	intent->page_state[0] = RAID_PAGE_CHANGED;
	rc = write_changed(intent);
	if (!rc && !raid_array_degraded(intent->array)) {
		clear_chunks(intent, chosen);
		rc = write_changed(intent);
	}
	writing_end(intent);
	return rc;
}

bool raid_intent_busy(const struct raid_intent *intent)
{
	return intent->set && !raid_array_degraded(intent->array) &&
	       raid_array_in_sync_below(intent->array) == MD_RESYNC_DONE;
}

int raid_intent_clear(struct raid_intent *intent, bool all)
{
	CLEANUP_FREE uint8_t *chosen = NULL;
	int rc;

	if (!raid_intent_busy(intent))
		return 0;
	chosen = calloc(intent->pages, MD_BITMAP_PAGE);
	if (!chosen)
		return -ENOMEM;
	if (!choose_chunks(intent, all, chosen))
		return 0;
	rc = raid_members_flush(intent->array);
	if (rc || raid_array_degraded(intent->array))
		return rc;
	return clear_chosen(intent, chosen);
}
