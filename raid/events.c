/* SPDX-License-Identifier: BSD-2-Clause */
/* See events.h. */
#include "raid/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "util/bytes.h"

/* Numbers of a second: an array that is started again begins above all that it had before. */
#define NUMBER_SHIFT 20

void raid_events_begin(struct raid_array *array)
{
	struct raid_event_log *log = &array->event_log;

	log->first = log->next = array->start_seconds << NUMBER_SHIFT;
}

void raid_events_end(struct raid_array *array)
{
	for (unsigned i = 0; i < RAID_EVENTS; i++)
		free(array->event_log.events[i].component);
}

void raid_event_note(struct raid_array *array, const char *name, const char *component)
{
	struct raid_event_log *log = &array->event_log;
	struct raid_event *event = &log->events[log->next % RAID_EVENTS];

	free(event->component);
	event->number = log->next++;
	event->seconds = raid_array_seconds(array);
	snprintf(event->name, sizeof(event->name), "%s", name);
	event->component = component ? strdup(component) : NULL;
}

uint64_t raid_events_since(const struct raid_array *array, uint64_t from,
			   void (*fn)(const struct raid_event *event, void *arg), void *arg,
			   uint64_t *lost)
{
	const struct raid_event_log *log = &array->event_log;
	uint64_t kept = log->next - MIN(log->next - log->first, RAID_EVENTS);

	from = MAX(from, log->first);
	*lost = kept > from ? kept - from : 0;
	for (from = MAX(from, kept); from < log->next; from++)
		fn(&log->events[from % RAID_EVENTS], arg);
	return log->next;
}
