/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks of spanning tree bridges (vswitch/rstp.h) for tests: bridges, ports on LANs with a letter, and time in milliseconds. A
 * message reaches all others on its LAN a millisecond later; each bridge counts its seconds from a moment of its own. After
 * each event it is looked whether ports that forward make a loop.
 */
#ifndef TENON_TESTS_UNIT_VSWITCH_RSTP_NETWORK_H
#define TENON_TESTS_UNIT_VSWITCH_RSTP_NETWORK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/rstp.h"

#define NETWORK_BRIDGES  16
#define NETWORK_PORTS    12
#define NETWORK_LANS     128 /* by character; '0': none, but up; '-': down */
#define NETWORK_MESSAGES 4096

struct network_port {
	char lan;
	bool deaf, mute; /* what comes is lost; what it sends */
	unsigned flushes;
};

struct network;

struct network_bridge {
	struct rstp_bridge bridge; /* the first: ops find the rest by it */
	struct network *network;
	unsigned port_count, phase;
	struct network_port ports[NETWORK_PORTS];
};

struct network_message {
	char lan;
	unsigned bridge, port; /* that sent it */
	uint64_t when;
	size_t length;
	uint8_t bytes[RSTP_BPDU_MAX];
};

struct network {
	struct network_bridge bridges[NETWORK_BRIDGES];
	unsigned bridge_count;
	uint64_t now;     /* ms */
	uint64_t changed; /* when a port's state did last */
	uint64_t loops;   /* ms in which there was one */
	uint64_t messages;
	bool bad_lans[NETWORK_LANS]; /* they carry nothing, and nobody sees it */
	struct network_message queue[NETWORK_MESSAGES];
	unsigned first, count;
};

#define SPEED 100000000u /* of cost 200000 */

static struct network_bridge *bridge_of(struct rstp_bridge *bridge)
{
	return (struct network_bridge *)bridge;
}

/* ---- Loops: bridges and LANs are nodes, ports that forward join them ---- */

#define NODES (NETWORK_BRIDGES + NETWORK_LANS)

static unsigned find(unsigned *over, unsigned node)
{
	while (over[node] != node)
		node = over[node] = over[over[node]];
	return node;
}

/* Joins by all ports (or those that forward); false: there is a loop. */
static bool join(struct network *network, unsigned *over, bool all)
{
	bool tree = true;

	for (unsigned i = 0; i < NODES; i++)
		over[i] = i;
	for (unsigned i = 0; i < network->bridge_count; i++)
		for (unsigned k = 0; k < network->bridges[i].port_count; k++) {
			char lan = network->bridges[i].ports[k].lan;
			unsigned a = find(over, i), b;

			if (lan == '0' || lan == '-' || network->bad_lans[(unsigned)lan] ||
			    !(all || network->bridges[i].bridge.ports[k].forwarding))
				continue;
			b = find(over, NETWORK_BRIDGES + (unsigned)lan);
			tree &= a != b;
			over[a] = b;
		}
	return tree;
}

/* Whether all bridges that are joined by LANs that work reach each other by ports that forward. */
static bool network_is_connected(struct network *network)
{
	unsigned able[NODES], in_fact[NODES];
	bool connected = true;

	join(network, able, true);
	join(network, in_fact, false);
	for (unsigned i = 0; i < network->bridge_count; i++)
		for (unsigned k = 0; k < i; k++)
			connected &= (find(able, i) == find(able, k)) ==
				     (find(in_fact, i) == find(in_fact, k));
	return connected;
}

/* ---- What bridges tell ---- */

static void send(struct rstp_bridge *bridge, unsigned port, const uint8_t *bytes, size_t length)
{
	struct network_bridge *self = bridge_of(bridge);
	struct network *network = self->network;
	struct network_message *message;

	if (self->ports[port].mute || self->ports[port].lan == '0' ||
	    self->ports[port].lan == '-' || network->bad_lans[(unsigned)self->ports[port].lan])
		return;
	if (network->count == NETWORK_MESSAGES)
		abort();
	message = &network->queue[(network->first + network->count++) % NETWORK_MESSAGES];
	*message = (struct network_message){ .lan = self->ports[port].lan,
					     .bridge = (unsigned)(self - network->bridges),
					     .port = port,
					     .when = network->now + 1,
					     .length = length };
	memcpy(message->bytes, bytes, length);
	network->messages++;
}

static void set_state(struct rstp_bridge *bridge, unsigned port, bool learning, bool forwarding)
{
	(void)port, (void)learning, (void)forwarding;
	bridge_of(bridge)->network->changed = bridge_of(bridge)->network->now;
}

static void flush(struct rstp_bridge *bridge, unsigned port)
{
	bridge_of(bridge)->ports[port].flushes++;
}

static void guarded(struct rstp_bridge *bridge, unsigned port)
{
	(void)bridge, (void)port;
}

static const struct rstp_ops network_ops = {
	.send = send, .set_state = set_state, .flush = flush, .guarded = guarded
};

/* ---- Building ---- */

static struct network *network_create(void)
{
	struct network *network = calloc(1, sizeof(*network));

	if (!network)
		abort();
	return network;
}

static void network_destroy(struct network *network)
{
	free(network);
}

/* A bridge whose priority and address are `id`'s (0: the default priority), with ports on `lans` ("a b 0 -"). Settings may be
 * NULL. */
static void network_bridge(struct network *network, uint64_t id, const char *lans,
			   const struct rstp_config *config)
{
	struct network_bridge *self = &network->bridges[network->bridge_count++];
	struct rstp_config settings = config ? *config : rstp_config_default();
	static const struct rstp_port_config plain;

	settings.address = id & 0xffffffffffffULL;
	if (id >> 48)
		settings.priority = (uint16_t)(id >> 48);
	self->network = network;
	self->phase = network->bridge_count * 37 % 1000;
	rstp_bridge_begin(&self->bridge, &network_ops, &settings);
	for (const char *at = lans; *at; at++) {
		unsigned port = self->port_count;

		if (*at == ' ')
			continue;
		self->ports[port].lan = *at;
		self->port_count++;
		rstp_port_add(&self->bridge, port, &plain, SPEED);
		if (*at != '-')
			rstp_port_link(&self->bridge, port, true);
	}
}

/* Plugs a port to another LAN, its link going down and up. */
static void network_plug(struct network *network, unsigned bridge, unsigned port, char lan)
{
	struct network_bridge *self = &network->bridges[bridge];

	rstp_port_link(&self->bridge, port, false);
	self->ports[port].lan = lan;
	if (lan != '-')
		rstp_port_link(&self->bridge, port, true);
}

/* ---- Time ---- */

static void deliver(struct network *network)
{
	const struct network_message *message = &network->queue[network->first];

	for (unsigned i = 0; i < network->bridge_count; i++)
		for (unsigned k = 0; k < network->bridges[i].port_count; k++) {
			struct network_port *port = &network->bridges[i].ports[k];

			if (port->lan != message->lan || port->deaf ||
			    network->bad_lans[(unsigned)port->lan] ||
			    (i == message->bridge && k == message->port && message->lan != 'Z'))
				continue;
			rstp_receive(&network->bridges[i].bridge, k, message->bytes,
				     message->length);
		}
	network->first = (network->first + 1) % NETWORK_MESSAGES;
	network->count--;
}

static void network_run(struct network *network, uint64_t ms)
{
	unsigned over[NODES];

	for (uint64_t end = network->now + ms; network->now < end;) {
		bool looped = false;

		network->now++;
		for (unsigned i = 0; i < network->bridge_count; i++)
			if (network->now % 1000 == network->bridges[i].phase) {
				rstp_tick(&network->bridges[i].bridge);
				looped |= !join(network, over, false);
			}
		while (network->count && network->queue[network->first].when <= network->now) {
			deliver(network);
			looped |= !join(network, over, false);
		}
		network->loops += looped;
	}
}

/* Until `ms` have passed without a port's state changing; returns when the last did, or UINT64_MAX beyond 300 s. */
static uint64_t network_settle(struct network *network, uint64_t ms)
{
	uint64_t began = network->now;

	network->changed = network->now;
	while (network->now - network->changed < ms) {
		if (network->now - began > 300000)
			return UINT64_MAX;
		network_run(network, 1);
	}
	return network->changed - began;
}

/* ---- Looking ---- */

/* "root", or for each port of a bridge: R:cost, D, A, B, - and, where it does not forward and its role would, a '!' */
static const char *network_describe(struct network *network, unsigned bridge)
{
	static char text[256];
	static const char letters[] = "-ARDB";
	struct rstp_bridge *self = &network->bridges[bridge].bridge;
	size_t used = 0;

	if (rstp_is_root(self))
		used = (size_t)snprintf(text, sizeof(text), "root ");
	text[used] = '\0';
	for (unsigned i = 0; i < network->bridges[bridge].port_count; i++) {
		const struct rstp_port *port = &self->ports[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c", i ? " " : "",
					 letters[port->role]);
		if (port->role == RSTP_ROOT)
			used += (size_t)snprintf(text + used, sizeof(text) - used, ":%u",
						 self->root_priority.cost);
		if ((port->role == RSTP_ROOT || port->role == RSTP_DESIGNATED) != port->forwarding)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "!");
	}
	return text;
}

#endif
