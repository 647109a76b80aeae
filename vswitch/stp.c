/* SPDX-License-Identifier: BSD-2-Clause */
/* See stp.h. */
#include "vswitch/stp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "util/random.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"
#include "vswitch/snooping_protocol.h"

#define GROUP          0x0180c2000000ULL
#define PROVIDER_GROUP 0x0180c2000008ULL
#define SECOND         1000000000ULL
#define SPEED          10000000000ULL /* of a port whose link has no rate: memory, nominally */

#define LLC_AT VIRTIO_NET_FRAME_MIN

static_assert(RSTP_PORTS_MAX == VSWITCH_PORTS_MAX, "a slot is a port's number");

struct stp {
	struct protocol protocol;
	struct timer timer;
	struct rstp_bridge bridge;
	/* When snooping was told that the topology has changed, about once in a second at most: it has hosts of all VLANs asked, and a
	 * neighbour may have it change as often as it likes. And whether it is to be told again. */
	uint64_t regrouped;
	bool regroups;
};

static struct stp *stp_of(struct protocol *protocol)
{
	return container_of(protocol, struct stp, protocol);
}

/* ---- What the machines tell ---- */

static struct stp *stp_of_bridge(struct rstp_bridge *bridge)
{
	return container_of(bridge, struct stp, bridge);
}

static void send_bpdu(struct rstp_bridge *bridge, unsigned number, const uint8_t *bytes,
		      size_t length)
{
	struct protocol *protocol = &stp_of_bridge(bridge)->protocol;
	const struct port *port = protocol_port(protocol, number);
	uint64_t address = bridge->config.address;
	uint8_t frame[LLC_AT + RSTP_BPDU_MAX];

	mac_to_bytes(port && port_config_is_provider(&port->config) ? PROVIDER_GROUP : GROUP,
		     frame);
	/* Each port is a station of its own. */
	mac_to_bytes((address & ~0xffffULL) | ((address + number + 1) & 0xffff), frame + 6);
	put_be16(frame + VLAN_AT, (uint16_t)length);
	memcpy(frame + LLC_AT, bytes, length);
	protocol_send(protocol, number, 0, frame, LLC_AT + length);
}

static void set_state(struct rstp_bridge *bridge, unsigned number, bool learning, bool forwarding)
{
	struct protocol *protocol = &stp_of_bridge(bridge)->protocol;
	const struct port *port = protocol_port(protocol, number);

	protocol_hold(protocol, number,
		      (learning ? 0 : PORT_HOLD_LEARNING) |
			      (forwarding ? 0 : PORT_HOLD_FORWARDING));
	if (port)
		log_info(protocol->vswitch->log, "port %s: spanning tree: %s, %s", port->name,
			 rstp_role_name(bridge->ports[number].role),
			 rstp_state_name(&bridge->ports[number]));
}

static void regroup(struct stp *stp)
{
	stp->regrouped = protocol_now(&stp->protocol);
	stp->regroups = false;
	snooping_topology_change(stp->protocol.vswitch);
}

static void forget_addresses(struct rstp_bridge *bridge, unsigned number)
{
	struct stp *stp = stp_of_bridge(bridge);

	protocol_flush(&stp->protocol, number);
	/* Members of groups may be behind other ports now. */
	if (!bridge->ports[number].forwarding)
		return;
	if (stp->regrouped && protocol_now(&stp->protocol) - stp->regrouped < SECOND)
		stp->regroups = true;
	else
		regroup(stp);
}

static void say_guarded(struct rstp_bridge *bridge, unsigned number)
{
	struct protocol *protocol = &stp_of_bridge(bridge)->protocol;
	const struct port *port = protocol_port(protocol, number);

	log_warning(
		protocol->vswitch->log,
		"port %s: a bridge is behind it (a BPDU came), and stp-bpdu-guard is set: it is "
		"shut until its link comes anew, or it is set",
		port ? port->name : "?");
}

static const struct rstp_ops tree_ops = {
	.send = send_bpdu, .set_state = set_state, .flush = forget_addresses, .guarded = say_guarded
};

/* ---- What it is told ---- */

static uint64_t wire_speed(const struct port *port)
{
	uint64_t rate = port_link_lower(port) ? port_link_way(port, LINK_OUT)->model.rate : 0;

	return rate ? rate : SPEED;
}

static uint64_t speed_of(const struct port *port)
{
	uint64_t speed = port->bond ? bond_speed(port, wire_speed) : 0;

	return speed ? speed : wire_speed(port);
}

static void on_port(struct protocol *protocol, unsigned slot, enum protocol_port_event event)
{
	struct rstp_bridge *bridge = &stp_of(protocol)->bridge;
	const struct port *port = protocol_port(protocol, slot);

	switch (event) {
	case PROTOCOL_PORT_ADDED:
		rstp_port_add(bridge, slot, &port->config.stp, speed_of(port));
		protocol_enable(protocol, slot, !port->config.stp.off);
		break;
	case PROTOCOL_PORT_LEAVES:
		break;
	case PROTOCOL_PORT_REMOVED:
		rstp_port_remove(bridge, slot);
		break;
	case PROTOCOL_PORT_UP:
	case PROTOCOL_PORT_DOWN:
		rstp_port_link(bridge, slot, event == PROTOCOL_PORT_UP);
		break;
	case PROTOCOL_PORT_CHANGED:
		rstp_port_set(bridge, slot, &port->config.stp, speed_of(port));
		protocol_enable(protocol, slot, !port->config.stp.off);
		break;
	}
}

static enum protocol_verdict is_bpdu(const uint8_t *payload, size_t length)
{
	return length >= 3 && payload[0] == 0x42 && payload[1] == 0x42 && payload[2] == 0x03
		       ? PROTOCOL_TAKE
		       : PROTOCOL_IGNORE;
}

static enum protocol_verdict is_bridges_bpdu(const struct protocol *protocol,
					     const struct port *port, const uint8_t *payload,
					     size_t length)
{
	(void)protocol;
	return port_config_is_provider(&port->config) ? PROTOCOL_IGNORE : is_bpdu(payload, length);
}

static enum protocol_verdict is_providers_bpdu(const struct protocol *protocol,
					       const struct port *port, const uint8_t *payload,
					       size_t length)
{
	(void)protocol;
	return port_config_is_provider(&port->config) ? is_bpdu(payload, length) : PROTOCOL_IGNORE;
}

static void on_frame(struct protocol *protocol, const struct protocol_frame *frame)
{
	/* What the length does not cover is padding. */
	size_t length = MIN((size_t)get_be16(frame->bytes + VLAN_AT), frame->length - LLC_AT);

	rstp_receive(&stp_of(protocol)->bridge, frame->slot, frame->bytes + LLC_AT, length);
}

static void on_second(struct timer *timer)
{
	struct stp *stp = container_of(timer, struct stp, timer);

	rstp_tick(&stp->bridge);
	if (stp->regroups)
		regroup(stp);
	/* Seconds in which the process was stopped did not pass. */
	protocol_timer_arm(&stp->protocol, timer,
			   MAX(timer->when, protocol_now(&stp->protocol) - SECOND) + SECOND);
}

static void on_leave(struct protocol *protocol)
{
	protocol_timer_disarm(protocol, &stp_of(protocol)->timer);
}

static void on_destroy(struct protocol *protocol)
{
	free(stp_of(protocol));
}

static const struct protocol_claim bpdus[] = {
	{ .address = GROUP, .mask = ~0ULL, .wants = is_bridges_bpdu },
	{ .address = PROVIDER_GROUP, .mask = ~0ULL, .wants = is_providers_bpdu },
};

static const struct protocol_ops stp_ops = { .name = STP_PROTOCOL,
					     .claims = bpdus,
					     .claim_count = ARRAY_SIZE(bpdus),
					     .frame = on_frame,
					     .port = on_port,
					     .leave = on_leave,
					     .destroy = on_destroy };

/* ---- Setting ---- */

struct stp_call {
	struct vswitch *vswitch;
	const struct rstp_config *config;
	struct stp_status *status;
	struct error *error;
};

/* -ENOENT: there is none yet. */
static int change_tree(void *arg)
{
	const struct stp_call *call = arg;
	struct protocol *protocol = protocol_find(call->vswitch, STP_PROTOCOL);

	if (stp_check_heard(call->vswitch, &call->vswitch->reserved, call->error))
		return -EINVAL;
	if (!protocol)
		return -ENOENT;
	rstp_bridge_begin(&stp_of(protocol)->bridge, &tree_ops, call->config);
	return 0;
}

static int start_timer(void *arg)
{
	const struct stp_call *call = arg;
	struct protocol *protocol = protocol_find(call->vswitch, STP_PROTOCOL);

	if (protocol)
		protocol_timer_arm(protocol, &stp_of(protocol)->timer,
				   protocol_now(protocol) + SECOND);
	return 0;
}

static int start_tree(struct vswitch *vswitch, const struct rstp_config *config,
		      struct error *error)
{
	struct stp_call call = { .vswitch = vswitch };
	struct stp *stp = calloc(1, sizeof(*stp));
	int rc;

	if (!stp)
		return error_set(error, -ENOMEM, "switch %s: spanning tree: out of memory",
				 vswitch->name);
	stp->protocol.ops = &stp_ops;
	stp->timer.expire = on_second;
	rstp_bridge_begin(&stp->bridge, &tree_ops, config);
	rc = vswitch_add_protocol(vswitch, &stp->protocol, error);
	return rc ? rc : vswitch_call(vswitch, start_timer, &call);
}

int vswitch_set_stp(struct vswitch *vswitch, const struct rstp_config *config, struct error *error)
{
	struct rstp_config settings = *config;
	struct stp_call call = { .vswitch = vswitch, .config = &settings, .error = error };
	int rc = rstp_config_check(config, error);

	if (rc) {
		error_prefix(error, "switch %s: spanning tree", vswitch->name);
		return rc;
	}
	if (!settings.address) /* a station's, given by nobody */
		settings.address =
			(random_seed_from_system() & 0xfcffffffffffULL) | 0x020000000000ULL;
	rc = vswitch_call(vswitch, change_tree, &call);
	return rc == -ENOENT ? start_tree(vswitch, &settings, error) : rc;
}

int vswitch_stop_stp(struct vswitch *vswitch, struct error *error)
{
	return vswitch_remove_protocol(vswitch, STP_PROTOCOL, error);
}

/* ---- Looking ---- */

static void describe_port(struct stp_port_status *out, const struct port *port,
			  const struct rstp_port *of)
{
	*out = (struct stp_port_status){ .role = rstp_role_name(of->role),
					 .state = of->config.off ? "forwarding"
								 : rstp_state_name(of),
					 .id = of->id,
					 .cost = of->path_cost,
					 .edge = of->oper_edge,
					 .point_to_point = rstp_is_point_to_point(of),
					 .rapid = of->send_rstp,
					 .shut = of->shut,
					 .designated = of->port_priority,
					 .rx_bpdus = of->rx_bpdus,
					 .tx_bpdus = of->tx_bpdus,
					 .rx_bad = of->rx_bad,
					 .rx_tc = of->rx_tc,
					 .tx_tc = of->tx_tc,
					 .transitions = of->transitions };
	memcpy(out->name, port->name, sizeof(out->name));
}

static int fill_tree_status(void *arg)
{
	const struct stp_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct stp_status *status = call->status;
	struct protocol *protocol = protocol_find(vswitch, STP_PROTOCOL);
	const struct rstp_bridge *bridge;

	if (!protocol)
		return -ENOENT;
	status->ports = calloc(vswitch->port_count + 1, sizeof(*status->ports));
	if (!status->ports)
		return -ENOMEM;
	bridge = &stp_of(protocol)->bridge;
	status->config = bridge->config;
	status->id = bridge->id;
	status->root = bridge->root_priority;
	status->times = bridge->root_times;
	status->topology_changes = bridge->topology_changes;
	status->since_change = bridge->since_change;
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i];
		const struct rstp_port *of = &bridge->ports[port->index];

		if (bond_is_link(port))
			continue;
		describe_port(&status->ports[status->port_count++], port, of);
		if (bridge->root_port == of->id)
			memcpy(status->root_port, port->name, sizeof(status->root_port));
	}
	return 0;
}

int vswitch_stp_status(struct vswitch *vswitch, struct stp_status **out)
{
	struct stp_call call = { .vswitch = vswitch, .status = calloc(1, sizeof(*call.status)) };
	int rc = call.status ? vswitch_call(vswitch, fill_tree_status, &call) : -ENOMEM;

	if (rc)
		vswitch_stp_status_free(call.status);
	else
		*out = call.status;
	return rc;
}

void vswitch_stp_status_free(struct stp_status *status)
{
	if (!status)
		return;
	free(status->ports);
	free(status);
}
