/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at a switch while it runs; see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/peer_file.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"

struct status_call {
	struct vswitch *vswitch;
	struct vswitch_status *status;
};

/* What a port counted before it had a link, and what both count since. */
static void add_counters(struct port_counters *to, const struct port_counters *from)
{
	uint64_t *sums = (uint64_t *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sums); i++)
		sums[i] += ((const uint64_t *)from)[i];
}

/* What passed by a bond's links. */
static void add_links(struct vswitch_port_status *out, const struct port *bond)
{
	const struct vswitch *vswitch = bond->vswitch;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i], *lower = port_link_lower(port);

		if (port == bond || port->home != bond->index)
			continue;
		add_counters(&out->counters, &port->counters);
		if (lower)
			add_counters(&out->counters, &lower->counters);
	}
}

static void fill_port(struct vswitch_port_status *out, struct port *port)
{
	const struct port *lower = port_link_lower(port);

	memcpy(out->name, port->name, sizeof(out->name));
	out->type = lower ? lower->ops->type : port->ops->type;
	out->up = port->up;
	out->peer = lower ? lower->peer : port->peer;
	out->thread = port->thread->index;
	bond_own_config(port, &out->config);
	out->counters = port->counters;
	if (lower) {
		add_counters(&out->counters, &lower->counters);
		out->has_link = true;
		out->link_in = *port_link_way(port, LINK_IN);
		out->link_out = *port_link_way(port, LINK_OUT);
		link_trace_take(out->link_in.model.trace);
		link_trace_take(out->link_out.model.trace);
		link_table_take(out->link_in.model.table);
		link_table_take(out->link_out.model.table);
	}
	if (port->bond)
		add_links(out, port);
	if (!port->ops->describe)
		return;
	port->ops->describe(port, out->where, out->state, out->features);
	/* "Connected" is not yet up: nothing but what takes frames is. */
	/* "up; ...": frames pass, and something else is wrong. */
	out->up = port->up && (!strcmp(out->state, "up") || !strncmp(out->state, "up; ", 4));
}

static void fill_addresses(struct vswitch *vswitch, struct vswitch_status *status)
{
	uint16_t place[VSWITCH_PORTS_MAX] = { 0 };

	for (unsigned i = 0; i < vswitch->port_count; i++)
		place[vswitch->list[i]->index] = (uint16_t)i;
	status->address_count = mac_table_list(vswitch->table, status->now, status->addresses,
					       mac_table_count(vswitch->table));
	for (unsigned i = 0; i < status->address_count; i++)
		status->addresses[i].port = place[status->addresses[i].port];
}

static int fill_status(void *arg)
{
	const struct status_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct vswitch_status *status = call->status;

	status->ports = calloc(vswitch->port_count + 1, sizeof(*status->ports));
	status->addresses = calloc(mac_table_count(vswitch->table) + 1, sizeof(*status->addresses));
	if (!status->ports || !status->addresses)
		return -ENOMEM;
	status->port_count = vswitch->port_count;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		fill_port(&status->ports[i], vswitch->list[i]);
	status->now = vswitch->clock(vswitch->clock_arg);
	fill_addresses(vswitch, status);
	mac_table_counters(vswitch->table, &status->table);
	status->table_size = vswitch->table_size;
	status->reserved = vswitch->reserved;
	status->ageing_ns = vswitch->ageing;
	status->threads = vswitch->thread_count;
	for (unsigned i = 0; i < vswitch->thread_count; i++) {
		status->sleeps += vswitch->threads[i].sleeps;
		status->rounds += vswitch->threads[i].rounds;
		frame_cost_sum(&status->cost, &vswitch->threads[i].cost);
	}
	status->peer_closings = peer_files_waiting();
	capture_sessions_status(vswitch, status);
	return 0;
}

int vswitch_status(struct vswitch *vswitch, struct vswitch_status **out)
{
	struct status_call call = { vswitch, calloc(1, sizeof(*call.status)) };
	int rc;

	if (!call.status)
		return -ENOMEM;
	rc = vswitch_call(vswitch, fill_status, &call);
	if (rc)
		vswitch_status_free(call.status);
	else
		*out = call.status;
	return rc;
}

void vswitch_status_free(struct vswitch_status *status)
{
	if (!status)
		return;
	for (unsigned i = 0; status->ports && i < status->port_count; i++) {
		link_trace_drop(status->ports[i].link_in.model.trace);
		link_trace_drop(status->ports[i].link_out.model.trace);
		link_table_drop(status->ports[i].link_in.model.table);
		link_table_drop(status->ports[i].link_out.model.table);
	}
	free(status->ports);
	free(status->addresses);
	free(status);
}
