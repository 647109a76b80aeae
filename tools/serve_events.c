/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened to the arrays of a server, for `tenon raid watch`. */
#include <string.h>

#include "raid/events.h"
#include "tools/describe.h"
#include "tools/serve.h"

static void add_event(const struct raid_event *event, void *arg)
{
	char time[RAID_TIME_TEXT];

	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:o}", "time", raid_time_format(event->seconds, time),
			       "event", event->name, "component", describe_text(event->component)));
}

/* Of a home, at home. */
struct events_call {
	const struct stack *stack;
	const json_t *after;
	bool all;
	json_t *rows;
};

/* As md counts spares: what has no data yet, in a place or not. */
static unsigned count_spares(const struct raid_status *status)
{
	unsigned count = 0;

	for (unsigned i = 0; i < status->member_count; i++)
		count += status->members[i].state == RAID_MEMBER_SPARE ||
			 status->members[i].state == RAID_MEMBER_REBUILDING;
	return count;
}

static json_t *describe_events(struct raid_array *array, const struct events_call *call)
{
	json_t *events = json_array(), *from;
	char uuid[RAID_UUID_TEXT];
	struct raid_status status;
	uint64_t next, lost, after;
	json_t *row;

	raid_status(array, &status);
	raid_uuid_format(status.uuid, uuid);
	from = json_object_get(call->after, uuid);
	after = from ? (uint64_t)json_integer_value(from) : call->all ? 0 : UINT64_MAX;
	next = raid_events_since(array, after, add_event, events, &lost);
	row = json_pack("{s:o, s:s, s:b, s:i, s:s, s:I, s:I, s:o}", "name",
			describe_name(status.name), "uuid", uuid, "degraded", status.degraded,
			"spares", (int)count_spares(&status), "operation",
			raid_operation_name(status.progress.operation), "next", (json_int_t)next,
			"lost", (json_int_t)lost, "events", events);
	raid_status_free(&status);
	return row;
}

static int collect(void *arg)
{
	struct events_call *call = arg;

	for (unsigned i = 0; i < call->stack->array_count; i++)
		if (call->stack->arrays[i].raid)
			json_array_append_new(call->rows,
					      describe_events(call->stack->arrays[i].raid, call));
	return 0;
}

int serve_raid_events(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	json_t *rows = json_array();

	(void)error;
	for (unsigned i = 0; i < serve->home_count; i++) {
		struct events_call call = { .stack = serve->homes[i].stack,
					    .after = json_object_get(params, "after"),
					    .all = json_is_true(json_object_get(params, "all")),
					    .rows = rows };

		if (call.stack)
			serve_call(&serve->homes[i], collect, &call);
	}
	*result = rows;
	return 0;
}
