/* SPDX-License-Identifier: BSD-2-Clause */
/* Resync, recovery, check and repair as others see them; a part of raid.h. */
#ifndef TENON_RAID_SYNC_H
#define TENON_RAID_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct raid_array;

enum raid_operation {
	RAID_IDLE,
	RAID_RESYNC,  /* make members agree after an unclean stop */
	RAID_RECOVER, /* fill a member that took an empty place */
	RAID_CHECK,   /* compare, count mismatches */
	RAID_REPAIR,  /* compare, make them agree */
	RAID_RESHAPE, /* move the data to another shape; positions are bytes of the array */
};

struct raid_mismatch {
	uint64_t offset, length; /* bytes of the array's members; of the array itself at RAID10 */
	int role; /* the place that is wrong, as the others say; RAID_SPARE: nobody can know */
};

/* The first ranges in which members differed. `count` may be more than are kept. */
#define RAID_FOUND 16u
struct raid_found {
	uint64_t count;
	struct raid_mismatch ranges[RAID_FOUND];
};

struct raid_progress {
	enum raid_operation operation;
	enum raid_operation last; /* that ended since the array was started; RAID_IDLE: none */
	/* Bytes of each member; of the array itself at RAID10, but for a recovery. */
	uint64_t position, total;
	uint64_t rate; /* bytes per second: over the last seconds; of all of it once it is over */
	uint64_t remaining_ns;
	bool held; /* a resync or recovery is due, and raid_sync_stop() keeps it from going on */

	/* The last check or repair, which a resync or recovery after it leaves as it is. */
	enum raid_operation scrub;   /* which it was; RAID_IDLE: none was there */
	bool cut_short;              /* it ended before it was through */
	uint64_t scrubbed, to_scrub; /* bytes: how far it came, and of how many */
	uint64_t mismatches;         /* bytes that differed */
	uint64_t
		unresolved; /* of these, that a repair left as they were: nobody can know which member is wrong */
	uint64_t skipped; /* bytes in which not all places could be compared; the same */
	struct raid_found found;
};

/* How many bytes the resync, recovery or reshape that ended last had still to go over; 0: it was through. */
uint64_t raid_progress_left(const struct raid_progress *progress);

/* "idle", "resync", "recover", "check", "repair". */
const char *raid_operation_name(enum raid_operation operation);

/* Called about every `interval` while one waits; false stops the waiting, not the operation. */
typedef bool raid_progress_fn(const struct raid_progress *progress, void *arg);

/*
 * Waits until no operation runs or is needed and possible. `report` may be NULL. 0; -EIO when the last
 * one failed or could not go on; -ECANCELED when `report` said stop or the fiber was cancelled.
 */
int raid_rebuild_wait(struct raid_array *array, raid_progress_fn *report, void *arg,
		      uint64_t interval_ns, struct error *error);

/* Starts a check (or repair) of the whole array; -EBUSY while another operation runs. The result is in
 * the progress: wait, then ask raid_status(). A repair writes only where it is known who is wrong: by a majority of
 * three or more copies, or both parities of level 6. */
int raid_scrub_start(struct raid_array *array, bool repair, struct error *error);

/* Whether it would, of an array that was only looked at too. */
int raid_scrub_check(const struct raid_array *array, struct error *error);

/* A repair that also, where nobody can know which member is wrong, does what md's does: makes parity anew from the data as
 * they are, and takes the first copy in order. If it was those that were wrong, the right ones cannot be had back then. */
int raid_repair_anyway(struct raid_array *array, struct error *error);

/* Stops what runs at a checkpoint, and lets nothing start (freeze), or lets it go on. */
void raid_rebuild_freeze(struct raid_array *array, bool freeze);

/*
 * Ends what runs: a check or repair for good; a resync or recovery at a checkpoint, from which it goes on after
 * raid_sync_resume(), or when a member fails or is added. *stopped is what ran, RAID_IDLE: nothing. Suspends until it
 * has ended. -EROFS.
 */
int raid_sync_stop(struct raid_array *array, enum raid_operation *stopped, struct error *error);
/* Lets what is due go on, also where it failed or nothing was to start by itself. */
void raid_sync_resume(struct raid_array *array);

/*
 * How fast a resync, recovery or scrub goes, in bytes of each member a second, as md's sync_speed_min and _max: never
 * above `most`; and while there are requests to the array not above `least`, so that they do not wait for it.
 * `most` 0: no limit. `least` 0: it stands still while there are requests. Both hold until the array is stopped.
 */
struct raid_speed {
	uint64_t least, most;
};
#define RAID_SPEED_LEAST (1000u << 10) /* md's */
void raid_sync_set_speed(struct raid_array *array, struct raid_speed speed);
/* Only `most`. */
void raid_rebuild_set_rate(struct raid_array *array, uint64_t bytes_per_second);

#endif
