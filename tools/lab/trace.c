/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened in a run; see trace.h. */
#include "tools/lab/trace.h"

#include <stdlib.h>
#include <string.h>

void lab_trace_add(struct lab_trace *trace, const struct lab_trace_event *event)
{
	struct lab_trace_event *at;

	if (trace->count == trace->room) {
		trace->room = trace->room ? 2 * trace->room : 256;
		trace->events = realloc(trace->events, trace->room * sizeof(*trace->events));
		if (!trace->events)
			abort();
	}
	at = &trace->events[trace->count++];
	*at = *event;
	if (!event->data)
		return;
	at->data = malloc(event->length);
	if (!at->data)
		abort();
	memcpy(at->data, event->data, event->length);
}

void lab_trace_free(struct lab_trace *trace)
{
	for (uint64_t i = 0; i < trace->count; i++)
		free(trace->events[i].data);
	free(trace->events);
	*trace = (struct lab_trace){ 0 };
}
