/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happened to an array, for those who watch it: the events of mdadm --monitor, by its names. The last ones are kept while the
 * array runs.
 *
 *	Fail		a member in sync was marked faulty
 *	FailSpare	a spare, or a member that was being filled, was
 *	SpareActive	a member has been filled, and is in sync; or a reshape gave it a place
 *	RebuildStarted	a resync, recovery, check, repair or reshape begins
 *	RebuildNN	it has come so many percent, in steps of 20
 *	RebuildFinished	it ended, before it is told who came and went by it; after a check that found differences the component says how many
 *	MoveSpare	a spare came from another array of its spare group, which is the component
 */
#ifndef TENON_RAID_EVENTS_H
#define TENON_RAID_EVENTS_H

#include <stdint.h>

struct raid_array;

#define RAID_EVENTS 64u /* that are kept */

struct raid_event {
	uint64_t number; /* each has a greater one, also after the array was started anew */
	uint64_t seconds;
	char name[20];
	char *component; /* a device, or what else there is to say; or NULL */
};

/* array->events_log */
struct raid_event_log {
	struct raid_event events[RAID_EVENTS];
	uint64_t first,
		next; /* numbers: of the first one there ever was, of the one that is to come */
};

void raid_events_begin(struct raid_array *array);
void raid_events_end(struct raid_array *array);

/* Notes one; `component` may be NULL. Does not suspend. */
void raid_event_note(struct raid_array *array, const char *name, const char *component);

/* Calls fn() for each event from number `from` on that is still there. *lost: how many are not. Returns the number to go on
 * from. Does not suspend. */
uint64_t raid_events_since(const struct raid_array *array, uint64_t from,
			   void (*fn)(const struct raid_event *event, void *arg), void *arg,
			   uint64_t *lost);

#endif
