/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a port hears: the machines for receiving (17.23), for the neighbour's version (17.24) and edges (17.25), and for port
 * information (17.27), which keeps the best that was heard for as long as it is fresh; see rstp.h.
 *
 *	disabled --link--> aged --selected--> update --> current <---------------+
 *	    ^                ^                               | a message         |
 *	    | link gone      | not heard three hellos        v                   |
 *	    +---any----------+------------------------------ receive --> superior, repeated, inferior, not designated, other
 */
#include "util/bytes.h"
#include "vswitch/rstp.h"

/* ---- Receiving: 17.23 ---- */

enum { DISCARD, RECEIVE };

/* 17.21.22: which protocol the neighbour speaks. */
static void update_version(struct rstp_port *port)
{
	if (port->message.type == RSTP_BPDU_RST)
		port->rcvd_rstp = true;
	else
		port->rcvd_stp = true;
}

bool rstp_run_receive(struct rstp_bridge *bridge, struct rstp_port *port)
{
	(void)bridge;
	if ((port->rcvd_bpdu || port->edge_delay_while != RSTP_MIGRATE_TIME) &&
	    !port->port_enabled) {
		port->rcvd_bpdu = port->rcvd_rstp = port->rcvd_stp = port->rcvd_msg = false;
		port->edge_delay_while = RSTP_MIGRATE_TIME;
		port->in_receive = DISCARD;
		return true;
	}
	if (!port->rcvd_bpdu || !port->port_enabled ||
	    (port->in_receive == RECEIVE && port->rcvd_msg))
		return false;
	update_version(port);
	port->oper_edge = port->rcvd_bpdu = false;
	port->rcvd_msg = true;
	port->edge_delay_while = RSTP_MIGRATE_TIME;
	port->in_receive = RECEIVE;
	return true;
}

/* ---- The neighbour's version: 17.24 ---- */

enum { CHECKING_RSTP, SELECTING_STP, SENSING };

static void check_rstp(const struct rstp_bridge *bridge, struct rstp_port *port)
{
	port->mcheck = false;
	port->send_rstp = !bridge->config.legacy;
	port->mdelay_while = RSTP_MIGRATE_TIME;
	port->in_migration = CHECKING_RSTP;
}

static void sense(struct rstp_port *port)
{
	port->rcvd_rstp = port->rcvd_stp = false;
	port->in_migration = SENSING;
}

bool rstp_run_migration(struct rstp_bridge *bridge, struct rstp_port *port)
{
	switch (port->in_migration) {
	case CHECKING_RSTP:
		if (port->mdelay_while != RSTP_MIGRATE_TIME && !port->port_enabled)
			check_rstp(bridge, port);
		else if (!port->mdelay_while)
			sense(port);
		else
			return false;
		return true;
	case SELECTING_STP:
		if (port->mdelay_while && port->port_enabled && !port->mcheck)
			return false;
		sense(port);
		return true;
	default:
		if (!port->port_enabled || port->mcheck ||
		    (!bridge->config.legacy && !port->send_rstp && port->rcvd_rstp)) {
			check_rstp(bridge, port);
			return true;
		}
		if (!port->send_rstp || !port->rcvd_stp)
			return false;
		port->send_rstp = false;
		port->mdelay_while = RSTP_MIGRATE_TIME;
		port->in_migration = SELECTING_STP;
		return true;
	}
}

/* ---- Edges: 17.25 ---- */

enum { NOT_EDGE, EDGE };

bool rstp_run_detection(struct rstp_bridge *bridge, struct rstp_port *port)
{
	bool administered = port->config.edge == RSTP_YES, automatic = port->config.edge != RSTP_NO;

	(void)bridge;
	if (port->in_detection == NOT_EDGE) {
		if (!(!port->port_enabled && administered) &&
		    !(!port->edge_delay_while && automatic && port->send_rstp && port->proposing))
			return false;
		port->oper_edge = true;
		port->in_detection = EDGE;
		return true;
	}
	if ((port->port_enabled || administered) && port->oper_edge)
		return false;
	port->oper_edge = false;
	port->in_detection = NOT_EDGE;
	return true;
}

/* ---- What a message says: 17.21.8 ---- */

enum { DISABLED, AGED, UPDATE, CURRENT };

enum heard { HEARD_SUPERIOR, HEARD_REPEATED, HEARD_INFERIOR, HEARD_NOT_DESIGNATED, HEARD_OTHER };

#define ADDRESS(bridge_id) ((bridge_id)&0xffffffffffffULL)
#define NUMBER(port_id)    ((port_id)&0xfff)

static bool times_same(const struct rstp_times *a, const struct rstp_times *b)
{
	return a->message_age == b->message_age && a->max_age == b->max_age &&
	       a->hello == b->hello && a->forward_delay == b->forward_delay;
}

static uint16_t within(uint16_t time, unsigned least, unsigned most)
{
	return (uint16_t)MIN(MAX(time, least * RSTP_SECOND), most * RSTP_SECOND);
}

/* The times of a message, where they are out of the standard's ranges (17.14; Linux begins at 2 seconds) the nearest in them. */
static void take_times(struct rstp_port *port)
{
	const struct rstp_times *times = &port->message.times;

	port->msg_times =
		(struct rstp_times){ .message_age = times->message_age,
				     .max_age = within(times->max_age, 6, 40),
				     .hello = within(times->hello, 1, 10),
				     .forward_delay = within(times->forward_delay, 2, 30) };
}

/* 17.6: better, or from the designated port that what is known came from. */
static bool is_superior(const struct rstp_vector *message, const struct rstp_vector *known)
{
	return rstp_vector_compare(message, known) < 0 ||
	       (ADDRESS(message->bridge) == ADDRESS(known->bridge) &&
		NUMBER(message->port) == NUMBER(known->port));
}

static enum heard hear(struct rstp_port *port)
{
	int order;

	if (port->message.type == RSTP_BPDU_TCN)
		return HEARD_OTHER;
	port->msg_priority = port->message.priority;
	take_times(port);
	order = rstp_vector_compare(&port->msg_priority, &port->port_priority);
	switch (port->message.role) {
	case RSTP_DESIGNATED:
		if (!order)
			return times_same(&port->msg_times, &port->port_times) ? HEARD_REPEATED
									       : HEARD_SUPERIOR;
		return is_superior(&port->msg_priority, &port->port_priority) ? HEARD_SUPERIOR
									      : HEARD_INFERIOR;
	case RSTP_ROOT:
	case RSTP_ALTERNATE:
		return order >= 0 ? HEARD_NOT_DESIGNATED : HEARD_OTHER;
	default:
		return HEARD_OTHER;
	}
}

/* ---- Port information: 17.27 ---- */

static bool is_rst(const struct rstp_port *port)
{
	return port->message.type == RSTP_BPDU_RST;
}

/* 17.21.9 */
static void record_agreement(const struct rstp_bridge *bridge, struct rstp_port *port)
{
	port->agreed = !bridge->config.legacy && rstp_is_point_to_point(port) && is_rst(port) &&
		       port->message.flags & RSTP_FLAG_AGREEMENT;
	if (port->agreed)
		port->proposing = false;
}

/* 17.21.10 */
static void record_dispute(struct rstp_port *port)
{
	if (!is_rst(port) || !(port->message.flags & RSTP_FLAG_LEARNING))
		return;
	port->disputed = true;
	port->agreed = false;
}

/* 17.21.11 */
static void record_proposal(struct rstp_port *port)
{
	if (is_rst(port) && port->message.flags & RSTP_FLAG_PROPOSAL)
		port->proposed = true;
}

/* 17.21.17 */
static void set_tc_flags(struct rstp_port *port)
{
	if (port->message.type == RSTP_BPDU_TCN)
		port->rcvd_tcn = true;
	else if (port->message.flags & RSTP_FLAG_TC)
		port->rcvd_tc = true;
	if (port->message.type == RSTP_BPDU_CONFIG && port->message.flags & RSTP_FLAG_TC_ACK)
		port->rcvd_tc_ack = true;
	port->rx_tc += port->message.type == RSTP_BPDU_TCN || port->message.flags & RSTP_FLAG_TC;
}

/* 17.21.23 */
static void update_received_while(struct rstp_port *port)
{
	unsigned age = ((unsigned)port->port_times.message_age + RSTP_SECOND + RSTP_SECOND / 2) /
		       RSTP_SECOND;

	port->rcvd_info_while = age <= rstp_seconds(port->port_times.max_age)
					? 3 * rstp_seconds(port->port_times.hello)
					: 0;
}

static void reselect(struct rstp_port *port)
{
	port->reselect = true;
	port->selected = false;
}

static void record_superior(struct rstp_port *port)
{
	port->agreed = port->proposing = false;
	record_proposal(port);
	set_tc_flags(port);
	port->agree = port->agree && port->info_is == RSTP_INFO_RECEIVED &&
		      rstp_vector_compare(&port->msg_priority, &port->port_priority) <= 0;
	port->port_priority = port->msg_priority;
	port->port_times = port->msg_times;
	update_received_while(port);
	port->info_is = RSTP_INFO_RECEIVED;
	reselect(port);
}

static void take_message(struct rstp_bridge *bridge, struct rstp_port *port)
{
	switch (hear(port)) {
	case HEARD_SUPERIOR:
		record_superior(port);
		break;
	case HEARD_REPEATED:
		record_proposal(port);
		set_tc_flags(port);
		update_received_while(port);
		break;
	case HEARD_INFERIOR:
		record_dispute(port);
		break;
	case HEARD_NOT_DESIGNATED:
		record_agreement(bridge, port);
		set_tc_flags(port);
		break;
	default:
		if (port->message.type == RSTP_BPDU_TCN)
			set_tc_flags(port);
	}
	port->rcvd_msg = false;
}

static void age(struct rstp_port *port)
{
	port->info_is = RSTP_INFO_AGED;
	reselect(port);
	port->in_information = AGED;
}

/* What this bridge says is what counts here. */
static void update(struct rstp_port *port)
{
	port->proposing = port->proposed = false;
	port->agreed = port->agreed && port->info_is == RSTP_INFO_MINE &&
		       rstp_vector_compare(&port->designated_priority, &port->port_priority) <= 0;
	port->synced = port->synced && port->agreed;
	port->port_priority = port->designated_priority;
	port->port_times = port->designated_times;
	port->updt_info = false;
	port->info_is = RSTP_INFO_MINE;
	port->new_info = true;
	port->in_information = CURRENT;
}

static void disable(struct rstp_port *port)
{
	port->rcvd_msg = false;
	port->proposing = port->proposed = port->agree = port->agreed = false;
	port->rcvd_info_while = 0;
	port->info_is = RSTP_INFO_DISABLED;
	reselect(port);
	port->in_information = DISABLED;
}

bool rstp_run_information(struct rstp_bridge *bridge, struct rstp_port *port)
{
	if (!port->port_enabled && port->info_is != RSTP_INFO_DISABLED) {
		disable(port);
		return true;
	}
	switch (port->in_information) {
	case DISABLED:
		if (port->rcvd_msg)
			disable(port);
		else if (port->port_enabled)
			age(port);
		else
			return false;
		return true;
	case AGED:
		if (!port->selected || !port->updt_info)
			return false;
		update(port);
		return true;
	default:
		if (port->selected && port->updt_info)
			update(port);
		else if (port->info_is == RSTP_INFO_RECEIVED && !port->rcvd_info_while &&
			 !port->updt_info && !port->rcvd_msg)
			age(port);
		else if (port->rcvd_msg && !port->updt_info)
			take_message(bridge, port);
		else
			return false;
		return true;
	}
}

void rstp_port_begin(struct rstp_bridge *bridge, struct rstp_port *port)
{
	const struct rstp_config *config = &bridge->config;
	struct rstp_port fresh = { .present = true,
				   .id = port->id,
				   .path_cost = port->path_cost,
				   .config = port->config,
				   .speed = port->speed,
				   .link = port->link,
				   .shut = port->shut,
				   .rx_bpdus = port->rx_bpdus,
				   .tx_bpdus = port->tx_bpdus,
				   .rx_bad = port->rx_bad,
				   .rx_tc = port->rx_tc,
				   .tx_tc = port->tx_tc,
				   .transitions = port->transitions };

	*port = fresh;
	port->designated_times = port->port_times =
		(struct rstp_times){ .max_age = (uint16_t)(config->max_age * RSTP_SECOND),
				     .hello = (uint16_t)(config->hello * RSTP_SECOND),
				     .forward_delay =
					     (uint16_t)(config->forward_delay * RSTP_SECOND) };
	port->port_enabled = port->link && !port->shut && !port->config.off;
	port->edge_delay_while = RSTP_MIGRATE_TIME;
	check_rstp(bridge, port);
	port->oper_edge = port->config.edge == RSTP_YES;
	port->in_detection = port->oper_edge ? EDGE : NOT_EDGE;
	disable(port);
	/* Roles (17.29.1), topology changes, transmitting. */
	port->role = port->selected_role = RSTP_DISABLED;
	port->sync = port->re_root = true;
	port->rr_while = rstp_fwd_delay(port);
	port->fd_while = rstp_max_age(port);
	port->fdb_flush = true;
	port->new_info = true;
	port->hello_when = rstp_hello_time(port);
}
