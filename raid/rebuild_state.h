/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of an array's resync, recovery or scrub, which is rebuild.c's; see rebuild.h. */
#ifndef TENON_RAID_REBUILD_STATE_H
#define TENON_RAID_REBUILD_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"
#include "raid/raid.h"

#define RAID_REBUILD_WINDOWS 4u    /* in flight */
#define RAID_REBUILD_SECTORS 1024u /* of each window */
#define RAID_RATE_MARKS      8u

struct raid_rebuild {
	struct fiber *fiber;        /* NULL: read-only, nothing ever runs */
	struct fiber_queue work;    /* something to do, for the fiber */
	struct fiber_queue change;  /* progress or an end, for those who wait */
	bool idle;                  /* the fiber has found nothing to do */
	bool disabled;              /* nothing starts by itself */
	bool frozen;                /* nothing starts at all, what runs ends */
	bool held;                  /* what is due waits, until members change or it is asked for */
	bool failed;                /* the last one did; tried again when members change */
	bool force;                 /* a repair may make a guess final; see raid_repair_anyway() */
	enum raid_operation wanted; /* a scrub that was asked for, or RAID_IDLE */

	enum raid_operation operation; /* that runs */
	enum raid_operation last;      /* that ran before */
	bool stop;
	int status;                      /* of the windows */
	bool unread;                     /* a reshape came to what nobody has, ... */
	uint64_t unread_at, unread_row;  /* at this byte of the array; bytes that have one parity */
	uint64_t next, completed, total; /* sectors */
	uint64_t busy[RAID_REBUILD_WINDOWS]; /* where windows in flight start; UINT64_MAX: none */

	/* of the last check or repair, or of that which runs */
	enum raid_operation scrub;
	bool cut_short;                           /* it ended before it was through */
	uint64_t scrubbed;                        /* sectors: how far it came */
	uint64_t mismatches, unresolved, skipped; /* bytes */
	struct raid_found found;                  /* where they differed */

	uint64_t saved_ns, saved; /* when and where the last checkpoint was */

	/* Whoever knows ranges to be in sync; see raid_rebuild_know(). */
	bool (*known)(void *arg, uint64_t sector, uint64_t *count);
	void *known_arg;

	/* rebuild_speed.c's */
	struct raid_speed speed;
	uint64_t most_ns, least_ns; /* when the next window may go by each of them */
	unsigned speed_changes;     /* those who wait look again */
	unsigned running;           /* windows that are at work */
	uint64_t seen;              /* requests that had begun when it was last looked */
	uint64_t seen_ns;           /* when there were new ones */
	struct {
		uint64_t ns, sectors;
	} marks[RAID_RATE_MARKS]; /* for the rate that is shown */
	unsigned mark_count;
	unsigned told_percent;    /* of which there was an event */
	bool told_end;            /* there was one of its end */
	uint64_t began_ns, began; /* when and where it began */
	uint64_t last_ns, last_sectors, last_completed,
		last_total; /* of the last one, for those who ask later */
};

static inline void raid_rebuild_init(struct raid_rebuild *rebuild)
{
	fiber_queue_init(&rebuild->work);
	fiber_queue_init(&rebuild->change);
	rebuild->idle = true;
	rebuild->speed.least = RAID_SPEED_LEAST;
}

#endif
