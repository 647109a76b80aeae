/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write-intent bitmap at work.
 *
 * A chunk's bit is on disk, on every active member, before a write to it begins, and is cleared lazily:
 * the daemon first marks a chunk without writes as aged, and in its next round, after a flush of all
 * members, clears it. So after a crash only the chunks with set bits need a resync.
 *
 * While a place is without a member in sync, nothing is cleared, and what is set is kept (needed) until
 * a resync or recovery has gone over all of it: a member that comes back needs those chunks only. It
 * can be told by events_cleared, the array's events when bits were last cleared: a member that has seen
 * fewer missed writes whose bits are gone.
 */
#ifndef TENON_RAID_INTENT_H
#define TENON_RAID_INTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"
#include "raid/array.h"
#include "raid/md_bitmap.h"

struct error;

struct raid_intent_chunk {
	uint32_t writes : 30; /* in flight */
	uint32_t needed : 1;  /* stays set until it has been synced */
	uint32_t aged : 1;    /* had no write for a round */
};

/* A page on the members, beside the one in memory. */
enum raid_page_state { RAID_PAGE_SAME, RAID_PAGE_CHANGED, RAID_PAGE_WRITING };

struct raid_intent {
	struct raid_array *array;
	struct raid_intent *retired; /* another that the array had before */
	struct raid_watch watch;
	struct md_bitmap super;
	uint64_t chunks, set; /* counts */
	unsigned chunk_shift; /* of sectors */
	struct raid_intent_chunk *state;
	uint8_t *image;      /* as on disk, super included; whole pages */
	uint8_t *page_state; /* enum raid_page_state, of each page */
	unsigned pages;
	bool forget;  /* nobody who left before now may come back for the sake of it */
	bool clean;   /* as superblocks say, or as was found; of metadata with clean_events */
	bool rewrite; /* members may have it otherwise: all goes to them before a super is current */
	/* Raised by each newly set bit; what it was then, of each chunk (0: since the start); how far the disks
	 * are. */
	uint64_t generation, *set_at, durable;
	bool writing;
	struct fiber_queue queue; /* writing came to an end */
};

/* A new bitmap for a new array, in memory; the first superblock update and raid_intent_write_all() bring
 * it to the members. `chunk` in bytes. */
int raid_intent_create(struct raid_array *array, uint32_t chunk, bool all_set);

/* Reads the array's bitmap from its best member. One that is stale or damaged counts as all set. What it has not
 * of an array that became larger counts as written, unless that is in sync. 0, or a negative errno with `error` set. Suspends. */
int raid_intent_load(struct raid_array *array, bool grown_in_sync, struct error *error);

/* One for an array that has none yet: where its members may differ all of it counts as written. 0, or with `error` set -EINVAL (there is
 * no room) or -ENOMEM. */
int raid_intent_begin_anew(struct raid_array *array, struct error *error);

/* The array has got more sync sectors, from `from` (which may be their end) on, which count as written and not synced: in memory; its chunk becomes
 * larger where there is no room. Nobody is in the array. 0, or with `error` set -ENOSPC or -ENOMEM, and nothing done. */
int raid_intent_resize(struct raid_array *array, uint64_t from, struct error *error);

/* Whether the array's bitmap is on a member, be it out of date. Suspends. */
bool raid_intent_is_on(struct raid_member *member);

void raid_intent_free(struct raid_intent *intent); /* NULL is fine */
/* The array is without its bitmap from now on. Its memory stays until the array's end: a member that was failed since it does not answer
 * may be writing it still. */
void raid_intent_retire(struct raid_array *array);
/* The array has again the one that was retired last, in place of its own; members may have none of its pages. */
void raid_intent_bring_back(struct raid_array *array);

/* Around each write, in the level's sync sectors. Begin suspends until the bits are durable. `complete`: every
 * place has the data now. */
int raid_intent_begin(struct raid_intent *intent, uint64_t sector, uint64_t count);
/* The same where the bits are durable already; else false, and nothing was done. */
bool raid_intent_try_begin(struct raid_intent *intent, uint64_t sector, uint64_t count);
void raid_intent_end(struct raid_intent *intent, uint64_t sector, uint64_t count, bool complete);

/* From now on it hears of members that are lost: what is set then is needed. */
void raid_intent_watch(struct raid_intent *intent);
/* All is synced and no place is without its data: nothing is needed any more. */
void raid_intent_synced(struct raid_intent *intent);

/* Whether the chunk at `sector` must be synced; shortens *count to where the answer ends. */
bool raid_intent_is_set(const struct raid_intent *intent, uint64_t sector, uint64_t *count);

/* A round of clearing; `all`: now, at the end of the array. Suspends. 0 or a negative errno. */
int raid_intent_clear(struct raid_intent *intent, bool all);
/* Whether there may be something to clear later. */
bool raid_intent_busy(const struct raid_intent *intent);

/* Writes super, or all pages, to one member. */
int raid_intent_write_super(struct raid_intent *intent, struct raid_member *member);
int raid_intent_write_all(struct raid_intent *intent, struct raid_member *member);
/* All pages to all members that are written to; those that cannot take them are failed. Suspends. */
int raid_bitmap_write(struct raid_array *array, struct error *error);

#endif
