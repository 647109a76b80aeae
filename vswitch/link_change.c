/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_change.h. */
#include "vswitch/link_change.h"

#include <stdlib.h>

#include "util/bytes.h"

static void send_again(struct link_way *way, struct link_queue *queue, uint64_t now)
{
	unsigned count;
	struct link_entry *all = link_queue_take_all(queue, &count);
	bool first = true;

	/* Then they are sent as by the old wire, and the others after them. */
	if (!all)
		return;
	way->last_due = 0;
	for (unsigned i = 0; i < count; i++) {
		struct link_frame *frame = all[i].frame;
		uint64_t due = all[i].due;

		if (frame->sent > now) {
			uint64_t sent = link_way_turn_again(way, now, frame->frame.length,
							    first ? frame->sent : 0);

			first = false;
			due = sent + (due - frame->sent);
			frame->sent = sent;
			link_turns_add(&queue->turns, now, sent);
		}
		if (frame->in_order)
			due = MAX(due, way->last_due);
		way->last_due = MAX(way->last_due, due);
		if (!link_queue_push(queue, frame, due))
			way->counters.queue_full++;
	}
	free(all);
}

void link_change(struct link_way *way, struct link_queue *queue, const struct link_model *model,
		 const char *link, bool out, uint64_t now)
{
	struct link_trace *trace = way->model.trace;
	struct link_table *table = way->model.table;

	link_trace_take(model->trace);
	link_table_take(model->table);
	if (link_way_change(way, model, link, out, now) && link_turns_waiting(&queue->turns, now))
		send_again(way, queue, now);
	link_trace_drop(trace);
	link_table_drop(table);
}
