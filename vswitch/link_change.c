/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_change.h. */
#include "vswitch/link_change.h"

void link_change(struct link_way *way, struct link_queue *queue, const struct link_model *model,
		 const char *link, bool out, uint64_t now)
{
	struct link_trace *trace = way->model.trace;
	struct link_table *table = way->model.table;

	link_trace_take(model->trace);
	link_table_take(model->table);
	link_queue_waiting(queue, now); /* what has been sent has gone by the old one */
	if (link_way_change(way, model, link, out, now))
		link_turns_change(&queue->turns, way, now);
	link_trace_drop(trace);
	link_table_drop(table);
}
