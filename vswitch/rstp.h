/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rapid spanning tree protocol: the state machines of IEEE 802.1D-2004, clause 17, as they stand there, and with them the
 * spanning tree protocol of 802.1D-1998: with a neighbour that speaks only that (protocol migration), or everywhere
 * (forced version 0).
 *
 * A bridge here is a pure object: it is told what comes (rstp_receive()), what its ports do, and each second that one has
 * passed; it tells what to send, what ports do, and where addresses are to be forgotten, by rstp_ops. No clock, no memory, no
 * lock of its own: the same calls give the same answers.
 *
 *	rstp_receive() > receive > migration, edges > information  -->  roles of all ports (root path, designated)
 *	                                                                      |
 *	rstp_tick()    > timers                                               v
 *	                                            transmit <-- topology changes <-- transitions --> states of ports
 *
 * Names of variables and states are the standard's, in our spelling; numbers in comments are its clauses. All machines run until
 * none has anything to do, the transmitting ones last.
 *
 * What the standard leaves to others, or a later one has:
 *	root guard	a port never becomes the root port (802.1Q's restrictedRole): better information blocks it
 *	BPDU guard	a port that hears any bridge is shut until it is set anew or goes down and up
 *	own messages	a port that hears itself (a loop behind it) stays blocked, as one in dispute
 */
#ifndef TENON_VSWITCH_RSTP_H
#define TENON_VSWITCH_RSTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/rstp_bpdu.h"

struct error;

#define RSTP_PORTS_MAX 256

/* ---- Settings ---- */

struct rstp_config {
	bool legacy;           /* forced version 0: the protocol of 1998 */
	uint16_t priority;     /* in steps of 4096 */
	uint8_t hello;         /* seconds; 1 or 2 (1 to 10 of the old protocol) */
	uint8_t max_age;       /* 6 to 40 */
	uint8_t forward_delay; /* 4 to 30 */
	uint8_t tx_hold;       /* 1 to 10 BPDUs in a second */
	uint64_t address;      /* of the bridge */
};

/* The standard's (17.14). */
struct rstp_config rstp_config_default(void);

/* Changes it by one word: mode=rstp|stp, priority=, hello=, max-age=, forward-delay=, tx-hold=, address=. -EINVAL. */
int rstp_config_set(struct rstp_config *config, const char *word, struct error *error);
/* Whether its numbers fit each other (17.14): -EINVAL. */
int rstp_config_check(const struct rstp_config *config, struct error *error);

enum rstp_choice { RSTP_AUTO, RSTP_YES, RSTP_NO };

/* All zero: the standard's. */
/* Whom its BPDUs are for (IEEE 802.1Q-2022, table 8-1). */
enum rstp_group {
	RSTP_GROUP_AUTO, /* the next, or at ports of a provider's (port_config.h) the one after it */
	RSTP_GROUP_BRIDGE,   /* 01:80:c2:00:00:00 */
	RSTP_GROUP_PROVIDER, /* 01:80:c2:00:00:08 */
};

struct rstp_port_config {
	uint32_t cost;          /* 0: by speed */
	uint8_t priority_steps; /* of 16, +1; 0: the default of 128 */
	uint8_t edge; /* enum rstp_choice: yes: at once; auto: when no bridge is heard; no: never */
	uint8_t point_to_point; /* enum rstp_choice; auto: yes */
	uint8_t group;          /* enum rstp_group */
	bool bpdu_guard, root_guard;
	bool off; /* no part of the tree: forwards always, hears and says nothing */
};

/* Whether a word is one of: stp-cost=, stp-priority=, stp-edge=auto|yes|no, stp-p2p=, stp-bpdu-guard=yes|no, stp-root-guard=,
 * stp-group=auto|bridge|provider, stp=on|off. */
bool rstp_port_config_knows(const char *word);
int rstp_port_config_set(struct rstp_port_config *config, const char *word, struct error *error);
/* The words that make it, each after a ','; as long as fits. */
void rstp_port_config_describe(const struct rstp_port_config *config, char *text, size_t size);

/* By speed in bits a second: table 17-3, or of 802.1D-1998 (table 8-5). */
uint32_t rstp_cost_of_speed(uint64_t speed, bool legacy);

/* ---- A bridge ---- */

enum rstp_info { RSTP_INFO_DISABLED, RSTP_INFO_AGED, RSTP_INFO_MINE, RSTP_INFO_RECEIVED };

struct rstp_port {
	bool present;
	uint16_t id; /* priority and number */
	uint32_t path_cost;
	struct rstp_port_config config;
	uint64_t speed; /* bits a second */
	bool link;      /* it is up */
	bool shut;      /* by BPDU guard */

	/* 17.19, in its order. */
	bool agree, agreed, disputed, fdb_flush, forward, forwarding, learn, learning, mcheck,
		new_info;
	bool oper_edge, port_enabled, proposed, proposing, rcvd_bpdu, rcvd_msg, rcvd_rstp, rcvd_stp;
	bool rcvd_tc, rcvd_tc_ack, rcvd_tcn, re_root, reselect, selected, send_rstp, sync, synced;
	bool tc_ack, tc_prop, updt_info;
	enum rstp_info info_is;
	enum rstp_role role, selected_role;
	struct rstp_vector designated_priority, port_priority, msg_priority;
	struct rstp_times designated_times, port_times, msg_times;
	uint8_t tx_count;
	/* Timers, in seconds (17.17). */
	unsigned edge_delay_while, fd_while, hello_when, mdelay_while, rb_while, rcvd_info_while,
		rr_while;
	unsigned tc_while;

	/* What each machine is in. */
	uint8_t in_receive, in_migration, in_detection, in_information, in_role, in_state,
		in_topology;
	struct rstp_bpdu message; /* what rcvd_bpdu is about */

	/* Counted. */
	uint64_t rx_bpdus, tx_bpdus, rx_bad, rx_tc, tx_tc,
		transitions; /* the last: to forwarding */
};

struct rstp_bridge;

struct rstp_ops {
	/* LLC and BPDU, after the addresses and the length of an 802.3 frame. */
	void (*send)(struct rstp_bridge *bridge, unsigned port, const uint8_t *bytes,
		     size_t length);
	void (*set_state)(struct rstp_bridge *bridge, unsigned port, bool learning,
			  bool forwarding);
	/* Forget the addresses that were learned there. */
	void (*flush)(struct rstp_bridge *bridge, unsigned port);
	/* A BPDU came where none may: the port is shut. */
	void (*guarded)(struct rstp_bridge *bridge, unsigned port);
};

struct rstp_bridge {
	const struct rstp_ops *ops;
	struct rstp_config config;
	uint64_t id; /* priority and address */
	struct rstp_vector root_priority;
	struct rstp_times root_times;
	uint16_t root_port; /* its id; 0: this bridge is the root */
	uint64_t topology_changes;
	uint64_t since_change; /* seconds */
	bool selecting;        /* the role selection machine has begun */
	unsigned end;          /* one more than the highest number that a port ever had */
	struct rstp_port ports[RSTP_PORTS_MAX];
};

/* Begins, or begins again with other settings; its ports stay. Their states are told anew. */
void rstp_bridge_begin(struct rstp_bridge *bridge, const struct rstp_ops *ops,
		       const struct rstp_config *config);

/* A port comes (its link down), is set, and goes. `number` below RSTP_PORTS_MAX is its place and, by one more, its number. */
void rstp_port_add(struct rstp_bridge *bridge, unsigned number,
		   const struct rstp_port_config *config, uint64_t speed);
void rstp_port_set(struct rstp_bridge *bridge, unsigned number,
		   const struct rstp_port_config *config, uint64_t speed);
void rstp_port_remove(struct rstp_bridge *bridge, unsigned number);
void rstp_port_link(struct rstp_bridge *bridge, unsigned number, bool up);
/* Has it try again whether its neighbour speaks the new protocol (17.19.13). */
void rstp_port_migrate(struct rstp_bridge *bridge, unsigned number);

/* A frame's LLC and BPDU; what is none is counted. */
void rstp_receive(struct rstp_bridge *bridge, unsigned number, const uint8_t *bytes, size_t length);

/* A second has passed. */
void rstp_tick(struct rstp_bridge *bridge);

static inline bool rstp_is_root(const struct rstp_bridge *bridge)
{
	return !bridge->root_port;
}

const char *rstp_role_name(enum rstp_role role);
/* "discarding" ... */
const char *rstp_state_name(const struct rstp_port *port);

/* ---- Between the machines' files ---- */

static inline struct rstp_port *rstp_next_port(struct rstp_bridge *bridge, struct rstp_port *port)
{
	for (port = port ? port + 1 : bridge->ports; port < bridge->ports + bridge->end; port++)
		if (port->present)
			return port;
	return NULL;
}

#define rstp_each_port(bridge, port)                                                               \
	for (struct rstp_port *port = rstp_next_port(bridge, NULL); port;                          \
	     port = rstp_next_port(bridge, port))

/* Each runs one machine of a port one step; true if it made one. */
bool rstp_run_receive(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_migration(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_detection(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_information(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_selection(struct rstp_bridge *bridge);
bool rstp_run_role(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_state(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_topology(struct rstp_bridge *bridge, struct rstp_port *port);
bool rstp_run_transmit(struct rstp_bridge *bridge, struct rstp_port *port);

/* All machines of a port are where they begin. */
void rstp_port_begin(struct rstp_bridge *bridge, struct rstp_port *port);

static inline unsigned rstp_number(const struct rstp_bridge *bridge, const struct rstp_port *port)
{
	return (unsigned)(port - bridge->ports);
}

#define RSTP_MIGRATE_TIME 3

/* 17.20: in seconds. */
static inline unsigned rstp_hello_time(const struct rstp_port *port)
{
	return rstp_seconds(port->designated_times.hello);
}

static inline unsigned rstp_fwd_delay(const struct rstp_port *port)
{
	return rstp_seconds(port->designated_times.forward_delay);
}

static inline unsigned rstp_max_age(const struct rstp_port *port)
{
	return rstp_seconds(port->designated_times.max_age);
}

static inline unsigned rstp_forward_delay(const struct rstp_port *port)
{
	return port->send_rstp ? rstp_hello_time(port) : rstp_fwd_delay(port);
}

static inline bool rstp_is_point_to_point(const struct rstp_port *port)
{
	return port->config.point_to_point != RSTP_NO;
}

#endif
