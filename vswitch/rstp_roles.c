/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The role of each port: selecting them all (17.28, 17.21.25), and what a port does to be in its role (17.29); see rstp.h.
 *
 *	root		the best way to the root bridge: forwards as soon as no former root port does
 *	designated	this bridge is its segment's best: proposes, and forwards when the other side agrees, or after a while
 *	alternate	another bridge is: blocked, and a root port at once should the present one fail
 *	backup		another port of this bridge is: blocked
 */
#include "util/bytes.h"
#include "vswitch/rstp.h"

#define ADDRESS(bridge_id) ((bridge_id)&0xffffffffffffULL)

/* ---- Selection ---- */

static bool is_by_this_bridge(const struct rstp_bridge *bridge, const struct rstp_vector *vector)
{
	return ADDRESS(vector->bridge) == ADDRESS(bridge->id);
}

/* The way to the root through a port; false: it is none. */
static bool root_path(const struct rstp_bridge *bridge, const struct rstp_port *port,
		      struct rstp_vector *path)
{
	if (port->info_is != RSTP_INFO_RECEIVED ||
	    is_by_this_bridge(bridge, &port->port_priority) || port->config.root_guard)
		return false;
	*path = port->port_priority;
	path->cost = path->cost + port->path_cost < path->cost ? UINT32_MAX
							       : path->cost + port->path_cost;
	path->receiver = port->id;
	return true;
}

/* a) to c) of 17.21.25 */
static void select_root(struct rstp_bridge *bridge)
{
	struct rstp_vector path;
	const struct rstp_port *best = NULL;

	bridge->root_priority = (struct rstp_vector){ .root = bridge->id, .bridge = bridge->id };
	rstp_each_port(bridge, port)
	{
		if (!root_path(bridge, port, &path) ||
		    rstp_vector_compare(&path, &bridge->root_priority) >= 0)
			continue;
		bridge->root_priority = path;
		best = port;
	}
	bridge->root_port = best ? best->id : 0;
	bridge->root_times = (struct rstp_times){
		.max_age = (uint16_t)(bridge->config.max_age * RSTP_SECOND),
		.hello = (uint16_t)(bridge->config.hello * RSTP_SECOND),
		.forward_delay = (uint16_t)(bridge->config.forward_delay * RSTP_SECOND)
	};
	if (best) {
		unsigned aged =
			((unsigned)best->port_times.message_age + RSTP_SECOND + RSTP_SECOND / 2) /
			RSTP_SECOND * RSTP_SECOND;

		bridge->root_times = best->port_times;
		bridge->root_times.message_age = (uint16_t)MIN(aged, (unsigned)UINT16_MAX);
	}
}

static void designate(struct rstp_port *port)
{
	port->selected_role = RSTP_DESIGNATED;
	port->updt_info = true;
}

/* f) to l) */
static void select_role(struct rstp_bridge *bridge, struct rstp_port *port)
{
	int order = rstp_vector_compare(&port->port_priority, &port->designated_priority);

	switch (port->info_is) {
	case RSTP_INFO_DISABLED:
		port->selected_role = RSTP_DISABLED;
		return;
	case RSTP_INFO_AGED:
		designate(port);
		return;
	case RSTP_INFO_MINE:
		port->selected_role = RSTP_DESIGNATED;
		port->updt_info =
			order ||
			port->port_times.message_age != port->designated_times.message_age ||
			port->port_times.max_age != port->designated_times.max_age ||
			port->port_times.hello != port->designated_times.hello ||
			port->port_times.forward_delay != port->designated_times.forward_delay;
		return;
	default:
		break;
	}
	port->updt_info = false;
	if (bridge->root_port == port->id)
		port->selected_role = RSTP_ROOT;
	else if (order > 0)
		designate(port);
	else if (is_by_this_bridge(bridge, &port->port_priority))
		port->selected_role = RSTP_BACKUP;
	else
		port->selected_role = RSTP_ALTERNATE;
}

static void update_roles(struct rstp_bridge *bridge)
{
	select_root(bridge);
	rstp_each_port(bridge, port)
	{
		port->designated_priority =
			(struct rstp_vector){ .root = bridge->root_priority.root,
					      .cost = bridge->root_priority.cost,
					      .bridge = bridge->id,
					      .port = port->id };
		port->designated_times = bridge->root_times;
		port->designated_times.hello = (uint16_t)(bridge->config.hello * RSTP_SECOND);
		select_role(bridge, port);
	}
}

bool rstp_run_selection(struct rstp_bridge *bridge)
{
	bool wanted = !bridge->selecting;

	rstp_each_port(bridge, port) wanted |= port->reselect;
	if (!wanted)
		return false;
	bridge->selecting = true;
	rstp_each_port(bridge, port) port->reselect = false;
	update_roles(bridge);
	rstp_each_port(bridge, port) port->selected = true;
	return true;
}

/* ---- Transitions: 17.29 ---- */

enum {
	SETTLING,
	SETTLED
}; /* disabled, alternate and backup ports: waiting to be discarding, and then */

/* 17.20.3 */
static bool all_synced(struct rstp_bridge *bridge)
{
	rstp_each_port(bridge, port) if (!port->selected || port->role != port->selected_role ||
					 (port->role != RSTP_ROOT && !port->synced)) return false;
	return true;
}

/* 17.20.10 */
static bool re_rooted(struct rstp_bridge *bridge, const struct rstp_port *self)
{
	rstp_each_port(bridge, port) if (port != self && port->rr_while) return false;
	return true;
}

static void set_sync_tree(struct rstp_bridge *bridge)
{
	rstp_each_port(bridge, port) port->sync = true;
}

static void set_re_root_tree(struct rstp_bridge *bridge)
{
	rstp_each_port(bridge, port) port->re_root = true;
}

static bool enter_role(struct rstp_port *port)
{
	port->role = port->selected_role;
	port->in_role = SETTLING;
	if (port->role == RSTP_ROOT)
		port->rr_while = rstp_fwd_delay(port);
	else if (port->role != RSTP_DESIGNATED)
		port->learn = port->forward = false;
	return true;
}

static bool run_disabled(struct rstp_port *port)
{
	bool done = port->fd_while == rstp_max_age(port) && !port->sync && !port->re_root &&
		    port->synced;

	if (port->in_role == SETTLING ? port->learning || port->forwarding : done)
		return false;
	port->in_role = SETTLED;
	port->fd_while = rstp_max_age(port);
	port->synced = true;
	port->rr_while = 0;
	port->sync = port->re_root = false;
	return true;
}

static bool agree(struct rstp_port *port)
{
	port->proposed = port->sync = false;
	port->agree = true;
	port->new_info = true;
	return true;
}

static bool run_root(struct rstp_bridge *bridge, struct rstp_port *port)
{
	bool may_go_on;

	if (port->proposed && !port->agree) {
		set_sync_tree(bridge);
		port->proposed = false;
		return true;
	}
	if ((all_synced(bridge) && !port->agree) || (port->proposed && port->agree))
		return agree(port);
	if (!port->forward && !port->re_root) {
		set_re_root_tree(bridge);
		return true;
	}
	if (port->rr_while != rstp_fwd_delay(port)) {
		port->rr_while = rstp_fwd_delay(port);
		return true;
	}
	if (port->re_root && port->forward) {
		port->re_root = false;
		return true;
	}
	may_go_on = !port->fd_while ||
		    (re_rooted(bridge, port) && !port->rb_while && !bridge->config.legacy);
	if (!may_go_on || port->forward)
		return false;
	port->fd_while = port->learn ? 0 : rstp_forward_delay(port);
	port->forward = port->learn;
	port->learn = true;
	return true;
}

static bool may_go_on_designated(const struct rstp_port *port)
{
	return (!port->fd_while || port->agreed || port->oper_edge) &&
	       (!port->rr_while || !port->re_root) && !port->sync;
}

static bool run_designated(struct rstp_port *port)
{
	if (!port->forward && !port->agreed && !port->proposing && !port->oper_edge) {
		port->proposing = true;
		port->edge_delay_while =
			rstp_is_point_to_point(port) ? RSTP_MIGRATE_TIME : rstp_max_age(port);
		port->new_info = true;
		return true;
	}
	if ((!port->learning && !port->forwarding && !port->synced) ||
	    (port->agreed && !port->synced) || (port->oper_edge && !port->synced) ||
	    (port->sync && port->synced)) {
		port->rr_while = 0;
		port->synced = true;
		port->sync = false;
		return true;
	}
	if (!port->rr_while && port->re_root) {
		port->re_root = false;
		return true;
	}
	if (((port->sync && !port->synced) || (port->re_root && port->rr_while) ||
	     port->disputed) &&
	    !port->oper_edge && (port->learn || port->forward)) {
		port->learn = port->forward = port->disputed = false;
		port->fd_while = rstp_forward_delay(port);
		return true;
	}
	if (!may_go_on_designated(port) || port->forward)
		return false;
	if (!port->learn) {
		port->learn = true;
		port->fd_while = rstp_forward_delay(port);
		return true;
	}
	port->forward = true;
	port->fd_while = 0;
	port->agreed = port->send_rstp;
	return true;
}

static bool run_blocked(struct rstp_bridge *bridge, struct rstp_port *port)
{
	bool begins = port->in_role == SETTLING;

	if (begins && (port->learning || port->forwarding))
		return false;
	port->in_role = SETTLED;
	if (port->proposed && !port->agree) {
		set_sync_tree(bridge);
		port->proposed = false;
		return true;
	}
	if ((all_synced(bridge) && !port->agree) || (port->proposed && port->agree)) {
		port->proposed = false;
		port->agree = port->new_info = true;
		return true;
	}
	if (begins || port->fd_while != rstp_forward_delay(port) || port->sync || port->re_root ||
	    !port->synced) {
		port->fd_while = rstp_forward_delay(port);
		port->synced = true;
		port->rr_while = 0;
		port->sync = port->re_root = false;
		return true;
	}
	if (port->role != RSTP_BACKUP || port->rb_while == 2 * rstp_hello_time(port))
		return false;
	port->rb_while = 2 * rstp_hello_time(port);
	return true;
}

bool rstp_run_role(struct rstp_bridge *bridge, struct rstp_port *port)
{
	if (!port->selected || port->updt_info)
		return false;
	if (port->role != port->selected_role)
		return enter_role(port);
	switch (port->role) {
	case RSTP_DISABLED:
		return run_disabled(port);
	case RSTP_ROOT:
		return run_root(bridge, port);
	case RSTP_DESIGNATED:
		return run_designated(port);
	default:
		return run_blocked(bridge, port);
	}
}
