/* SPDX-License-Identifier: BSD-2-Clause */
/* What ports do and say: states (17.30), topology changes (17.31), transmitting (17.26); see rstp.h. */
#include "util/bytes.h"
#include "vswitch/rstp.h"

/* ---- States ---- */

enum { DISCARDING, LEARNING, FORWARDING };

bool rstp_run_state(struct rstp_bridge *bridge, struct rstp_port *port)
{
	uint8_t next = port->in_state;

	if (!port->learn || (port->in_state == FORWARDING && !port->forward))
		next = DISCARDING;
	else if (port->in_state == DISCARDING)
		next = LEARNING;
	else if (port->forward)
		next = FORWARDING;
	if (next == port->in_state)
		return false;
	port->in_state = next;
	port->learning = next != DISCARDING;
	port->forwarding = next == FORWARDING;
	port->transitions += port->forwarding;
	bridge->ops->set_state(bridge, rstp_number(bridge, port), port->learning, port->forwarding);
	return true;
}

/* ---- Topology changes ---- */

enum { TC_INACTIVE, TC_LEARNING, TC_ACTIVE };

static void flush_port(struct rstp_bridge *bridge, struct rstp_port *port)
{
	bridge->ops->flush(bridge, rstp_number(bridge, port));
	port->fdb_flush = false;
}

/* 17.21.7 */
static void new_tc_while(struct rstp_bridge *bridge, struct rstp_port *port)
{
	if (port->tc_while)
		return;
	if (port->send_rstp) {
		port->tc_while = rstp_hello_time(port) + 1;
		port->new_info = true;
	} else {
		port->tc_while = rstp_seconds(bridge->root_times.max_age) +
				 rstp_seconds(bridge->root_times.forward_delay);
	}
}

/* 17.21.18; it is this bridge's change, too. */
static void propagate(struct rstp_bridge *bridge, const struct rstp_port *self)
{
	rstp_each_port(bridge, port) if (port != self) port->tc_prop = true;
	bridge->topology_changes++;
	bridge->since_change = 0;
}

static bool is_in_tree(const struct rstp_port *port)
{
	return port->role == RSTP_ROOT || port->role == RSTP_DESIGNATED;
}

static bool run_learning(struct rstp_bridge *bridge, struct rstp_port *port)
{
	bool told = port->rcvd_tc || port->rcvd_tcn || port->rcvd_tc_ack || port->tc_prop;

	if (is_in_tree(port) && port->forward && !port->oper_edge) {
		new_tc_while(bridge, port);
		propagate(bridge, port);
		port->new_info = true;
		port->in_topology = TC_ACTIVE;
		return true;
	}
	if (told) {
		port->rcvd_tc = port->rcvd_tcn = port->rcvd_tc_ack = port->tc_prop = false;
		return true;
	}
	if (is_in_tree(port) || port->learn || port->learning)
		return false;
	port->tc_while = 0;
	port->tc_ack = false;
	port->in_topology = TC_INACTIVE;
	flush_port(bridge, port);
	return true;
}

static bool run_active(struct rstp_bridge *bridge, struct rstp_port *port)
{
	if (!is_in_tree(port) || port->oper_edge) {
		port->rcvd_tc = port->rcvd_tcn = port->rcvd_tc_ack = port->tc_prop = false;
		port->in_topology = TC_LEARNING;
	} else if (port->rcvd_tcn || port->rcvd_tc) {
		if (port->rcvd_tcn)
			new_tc_while(bridge, port);
		port->tc_ack |= port->role == RSTP_DESIGNATED;
		port->rcvd_tcn = port->rcvd_tc = false;
		propagate(bridge, port);
	} else if (port->tc_prop) {
		new_tc_while(bridge, port);
		port->tc_prop = false;
		flush_port(bridge, port);
	} else if (port->rcvd_tc_ack) {
		port->tc_while = 0;
		port->rcvd_tc_ack = false;
	} else {
		return false;
	}
	return true;
}

bool rstp_run_topology(struct rstp_bridge *bridge, struct rstp_port *port)
{
	switch (port->in_topology) {
	case TC_INACTIVE:
		if (port->fdb_flush)
			flush_port(bridge, port);
		else if (!port->learn)
			return false;
		else
			port->in_topology = TC_LEARNING;
		return true;
	case TC_LEARNING:
		return run_learning(bridge, port);
	default:
		return run_active(bridge, port);
	}
}

/* ---- Transmitting ---- */

static void send(struct rstp_bridge *bridge, struct rstp_port *port, const struct rstp_bpdu *bpdu)
{
	uint8_t bytes[RSTP_BPDU_MAX];
	size_t length = rstp_bpdu_encode(bpdu, bytes);

	port->new_info = false;
	port->tx_count++;
	port->tx_bpdus++;
	port->tx_tc += bpdu->type == RSTP_BPDU_TCN || bpdu->flags & RSTP_FLAG_TC;
	bridge->ops->send(bridge, rstp_number(bridge, port), bytes, length);
}

static struct rstp_bpdu say_designated(const struct rstp_port *port, enum rstp_type type)
{
	return (struct rstp_bpdu){ .type = type,
				   .role = RSTP_DESIGNATED,
				   .flags = port->tc_while ? RSTP_FLAG_TC : 0,
				   .priority = port->designated_priority,
				   .times = port->designated_times };
}

/* 17.21.19 */
static void send_config(struct rstp_bridge *bridge, struct rstp_port *port)
{
	struct rstp_bpdu bpdu = say_designated(port, RSTP_BPDU_CONFIG);

	if (port->tc_ack)
		bpdu.flags |= RSTP_FLAG_TC_ACK;
	port->tc_ack = false;
	send(bridge, port, &bpdu);
}

/* 17.21.20 */
static void send_rst(struct rstp_bridge *bridge, struct rstp_port *port)
{
	struct rstp_bpdu bpdu = say_designated(port, RSTP_BPDU_RST);

	bpdu.role = port->role;
	bpdu.flags |= (port->agree ? RSTP_FLAG_AGREEMENT : 0) |
		      (port->proposing ? RSTP_FLAG_PROPOSAL : 0) |
		      (port->learning ? RSTP_FLAG_LEARNING : 0) |
		      (port->forwarding ? RSTP_FLAG_FORWARDING : 0);
	port->tc_ack = false;
	send(bridge, port, &bpdu);
}

bool rstp_run_transmit(struct rstp_bridge *bridge, struct rstp_port *port)
{
	static const struct rstp_bpdu tcn = { .type = RSTP_BPDU_TCN };

	if (!port->selected || port->updt_info)
		return false;
	if (!port->hello_when) {
		port->new_info |= port->role == RSTP_DESIGNATED ||
				  (port->role == RSTP_ROOT && port->tc_while);
		port->hello_when = rstp_hello_time(port);
		return true;
	}
	if (!port->new_info || port->tx_count >= bridge->config.tx_hold || !port->port_enabled)
		return false;
	if (port->send_rstp)
		send_rst(bridge, port);
	else if (port->role == RSTP_DESIGNATED)
		send_config(bridge, port);
	else if (port->role == RSTP_ROOT)
		send(bridge, port, &tcn);
	else
		return false;
	port->hello_when = rstp_hello_time(port);
	return true;
}
