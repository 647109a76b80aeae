/* SPDX-License-Identifier: BSD-2-Clause */
/* A bridge of the spanning tree, as who has it sees it; see rstp.h. */
#include "vswitch/rstp.h"

#include "util/bytes.h"

#define ADDRESS(bridge_id) ((bridge_id)&0xffffffffffffULL)
#define NUMBER(port_id)    ((port_id)&0xfff)

#define PRIORITY_DEFAULT_STEPS 9 /* 128, and one */

const char *rstp_role_name(enum rstp_role role)
{
	static const char *const names[] = { [RSTP_DISABLED] = "disabled",
					     [RSTP_ALTERNATE] = "alternate",
					     [RSTP_ROOT] = "root",
					     [RSTP_DESIGNATED] = "designated",
					     [RSTP_BACKUP] = "backup" };

	return names[role];
}

const char *rstp_state_name(const struct rstp_port *port)
{
	return port->forwarding ? "forwarding" : port->learning ? "learning" : "discarding";
}

/* ---- Running ---- */

static void run_machines(struct rstp_bridge *bridge)
{
	bool changed;

	do {
		changed = false;
		rstp_each_port(bridge, port)
		{
			changed |= rstp_run_receive(bridge, port);
			changed |= rstp_run_migration(bridge, port);
			changed |= rstp_run_detection(bridge, port);
			changed |= rstp_run_information(bridge, port);
		}
		changed |= rstp_run_selection(bridge);
		rstp_each_port(bridge, port)
		{
			changed |= rstp_run_role(bridge, port);
			changed |= rstp_run_state(bridge, port);
			changed |= rstp_run_topology(bridge, port);
		}
	} while (changed);
	rstp_each_port(bridge, port) while (rstp_run_transmit(bridge, port));
}

static void count_down(unsigned *timer)
{
	if (*timer)
		--*timer;
}

/* 17.22 */
void rstp_tick(struct rstp_bridge *bridge)
{
	bridge->since_change++;
	rstp_each_port(bridge, port)
	{
		count_down(&port->hello_when);
		count_down(&port->tc_while);
		count_down(&port->fd_while);
		count_down(&port->rcvd_info_while);
		count_down(&port->rr_while);
		count_down(&port->rb_while);
		count_down(&port->mdelay_while);
		count_down(&port->edge_delay_while);
		if (port->tx_count)
			port->tx_count--;
	}
	run_machines(bridge);
}

/* ---- Ports ---- */

static void apply(struct rstp_bridge *bridge, struct rstp_port *port,
		  const struct rstp_port_config *config, uint64_t speed)
{
	unsigned steps = config->priority_steps ? config->priority_steps : PRIORITY_DEFAULT_STEPS;

	port->config = *config;
	port->speed = speed;
	port->id = (uint16_t)((steps - 1) << 12 | (rstp_number(bridge, port) + 1));
	port->path_cost =
		config->cost ? config->cost : rstp_cost_of_speed(speed, bridge->config.legacy);
}

static void begin_port(struct rstp_bridge *bridge, struct rstp_port *port)
{
	rstp_port_begin(bridge, port);
	bridge->ops->set_state(bridge, rstp_number(bridge, port), port->config.off,
			       port->config.off);
}

void rstp_port_add(struct rstp_bridge *bridge, unsigned number,
		   const struct rstp_port_config *config, uint64_t speed)
{
	struct rstp_port *port = &bridge->ports[number];

	bridge->end = MAX(bridge->end, number + 1);
	*port = (struct rstp_port){ .present = true };
	apply(bridge, port, config, speed);
	begin_port(bridge, port);
	run_machines(bridge);
}

void rstp_port_set(struct rstp_bridge *bridge, unsigned number,
		   const struct rstp_port_config *config, uint64_t speed)
{
	struct rstp_port *port = &bridge->ports[number];
	bool anew =
		port->config.off != config->off || port->config.edge != config->edge || port->shut;

	apply(bridge, port, config, speed);
	port->shut = false;
	if (anew)
		begin_port(bridge, port);
	port->reselect = true;
	port->selected = false;
	run_machines(bridge);
}

void rstp_port_remove(struct rstp_bridge *bridge, unsigned number)
{
	rstp_port_link(bridge, number, false);
	bridge->ports[number].present = false;
	bridge->selecting = false;
	run_machines(bridge);
}

void rstp_port_link(struct rstp_bridge *bridge, unsigned number, bool up)
{
	struct rstp_port *port = &bridge->ports[number];

	port->link = up;
	port->shut = false;
	port->port_enabled = up && !port->config.off;
	run_machines(bridge);
}

void rstp_port_migrate(struct rstp_bridge *bridge, unsigned number)
{
	bridge->ports[number].mcheck = !bridge->config.legacy;
	run_machines(bridge);
}

/* ---- Receiving ---- */

static bool is_from_itself(const struct rstp_bridge *bridge, const struct rstp_port *port)
{
	const struct rstp_vector *priority = &port->message.priority;

	return port->message.type != RSTP_BPDU_TCN &&
	       ADDRESS(priority->bridge) == ADDRESS(bridge->id) &&
	       NUMBER(priority->port) == NUMBER(port->id);
}

/* What it sends comes back: nothing may pass there. */
static void hear_itself(struct rstp_bridge *bridge, struct rstp_port *port)
{
	port->disputed = true;
	port->agreed = port->oper_edge = false;
	port->edge_delay_while = RSTP_MIGRATE_TIME;
	run_machines(bridge);
	port->fd_while = rstp_fwd_delay(port);
}

void rstp_receive(struct rstp_bridge *bridge, unsigned number, const uint8_t *bytes, size_t length)
{
	struct rstp_port *port = &bridge->ports[number];

	if (!port->port_enabled)
		return;
	if (!rstp_bpdu_decode(&port->message, bytes, length)) {
		port->rx_bad++;
		return;
	}
	port->rx_bpdus++;
	if (port->config.bpdu_guard) {
		port->shut = true;
		port->port_enabled = false;
		bridge->ops->guarded(bridge, number);
		run_machines(bridge);
		return;
	}
	if (is_from_itself(bridge, port)) {
		hear_itself(bridge, port);
		return;
	}
	port->rcvd_bpdu = true;
	run_machines(bridge);
}

/* ---- The bridge ---- */

void rstp_bridge_begin(struct rstp_bridge *bridge, const struct rstp_ops *ops,
		       const struct rstp_config *config)
{
	bool anew = bridge->ops != ops || bridge->config.legacy != config->legacy ||
		    bridge->config.address != config->address;

	bridge->ops = ops;
	bridge->config = *config;
	bridge->id = (uint64_t)config->priority << 48 | ADDRESS(config->address);
	bridge->selecting = false;
	rstp_each_port(bridge, port)
	{
		struct rstp_port_config same = port->config;

		apply(bridge, port, &same, port->speed);
		if (anew)
			begin_port(bridge, port);
		port->reselect = true;
		port->selected = false;
	}
	run_machines(bridge);
}
