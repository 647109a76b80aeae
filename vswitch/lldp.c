/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LLDP in a switch; see lldp.h. All of it runs in calls.
 *
 * A port is quiet (`next` is TIMER_NEVER), or sends: refresh_agent() alone moves it from one to the other, by its mode and whether it is up.
 * `told` is whether somebody may believe us: only then is a shutdown worth a frame.
 */
#include "vswitch/lldp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/timer.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/protocol.h"
#include "vswitch/vlan.h"

#define PAYLOAD_AT VIRTIO_NET_FRAME_MIN
#define REINIT     (2 * LLDP_SECOND) /* 802.1AB-2016, 9.2.5.12: quiet after a shutdown */

struct lldp_port {
	struct lldp_port_settings settings;
	bool up, told;
	unsigned fast;     /* messages that are still to follow each other */
	uint64_t next;     /* when it sends */
	uint64_t earliest; /* and not before that */
	struct lldp_neighbours neighbours;
};

struct lldp {
	struct protocol protocol;
	struct timer timer;
	struct lldp_settings settings;
	struct lldp_port ports[VSWITCH_PORTS_MAX]; /* by slot */
};

static struct lldp *lldp_of(struct protocol *protocol)
{
	return container_of(protocol, struct lldp, protocol);
}

static struct lldp *find_lldp(const struct vswitch *vswitch)
{
	struct protocol *protocol = protocol_find(vswitch, LLDP_PROTOCOL);

	return protocol ? lldp_of(protocol) : NULL;
}

static uint8_t mode_of(const struct lldp *lldp, unsigned slot)
{
	uint8_t mode = lldp->ports[slot].settings.mode;

	return mode == LLDP_UNSAID ? lldp->settings.mode : mode;
}

static bool may_send(const struct lldp *lldp, unsigned slot)
{
	uint8_t mode = mode_of(lldp, slot);

	return mode == LLDP_SEND || mode == LLDP_BOTH;
}

static bool may_receive(const struct lldp *lldp, unsigned slot)
{
	uint8_t mode = mode_of(lldp, slot);

	return mode == LLDP_RECEIVE || mode == LLDP_BOTH;
}

/* ---- Sending ---- */

static void wake_at(struct lldp *lldp, uint64_t when)
{
	if (when != TIMER_NEVER && (!lldp->timer.place || when < lldp->timer.when))
		protocol_timer_arm(&lldp->protocol, &lldp->timer, when);
}

static void text_of_name(struct lldp_text *text, const char *name)
{
	text->there = true;
	text->length = (uint8_t)strlen(name);
	memcpy(text->bytes, name, text->length);
}

static void compose(const struct lldp *lldp, const struct port *port, uint16_t ttl,
		    struct lldp_message *message)
{
	const struct lldp_port_settings *settings = &lldp->ports[port->index].settings;
	const struct bond_link *link = bond_link_at(port->vswitch, port->index);
	const struct vlan_port *vlan = &port->config.vlan;

	*message = (struct lldp_message){
		.chassis = { .kind = LLDP_CHASSIS_MAC, .length = 6 },
		.port = { .kind = LLDP_PORT_INTERFACE, .length = (uint8_t)strlen(port->name) },
		.ttl = ttl,
		.port_description = settings->description,
		.system_name = lldp->settings.name,
		.system_description = lldp->settings.description,
		.has_capabilities = true,
		.capabilities = LLDP_CAPABILITY_BRIDGE,
		.enabled = LLDP_CAPABILITY_BRIDGE,
		.management = lldp->settings.management,
		/* A customer's port has VLANs of the customer's own. */
		.has_vlan = vlan->kind == VLAN_PORT_ACCESS || vlan->kind == VLAN_PORT_TRUNK,
		.vlan = vlan->untagged,
	};
	if (link) {
		message->has_aggregation = true;
		message->aggregation =
			LLDP_AGGREGATION_CAPABLE | (link->carries ? LLDP_AGGREGATION_ENABLED : 0);
		message->aggregated_port = port->home + 1u;
	}
	mac_to_bytes(lldp->settings.chassis, message->chassis.bytes);
	memcpy(message->port.bytes, port->name, message->port.length);
	if (!settings->description.there)
		text_of_name(&message->port_description, port->name);
}

static void send_message(struct lldp *lldp, unsigned slot, uint16_t ttl)
{
	const struct port *port = protocol_port(&lldp->protocol, slot);
	uint64_t chassis = lldp->settings.chassis;
	uint8_t frame[PAYLOAD_AT + LLDP_MESSAGE_MAX];
	struct lldp_message message;
	int length;

	if (!port || port->mirror_only)
		return;
	compose(lldp, port, ttl, &message);
	length = lldp_encode(&message, frame + PAYLOAD_AT, LLDP_MESSAGE_MAX);
	if (length < 0)
		return;
	mac_to_bytes(LLDP_GROUP, frame);
	/* Each port is a station of its own, as in the spanning tree. */
	mac_to_bytes((chassis & ~0xffffULL) | ((chassis + slot + 1) & 0xffff), frame + 6);
	put_be16(frame + VLAN_AT, LLDP_TYPE);
	if (!protocol_send(&lldp->protocol, slot, 0, frame, PAYLOAD_AT + (size_t)length)) {
		lldp->ports[slot].neighbours.counters.sent++;
		lldp->ports[slot].told = ttl != 0;
	}
}

static void send_due(struct lldp *lldp, unsigned slot, uint64_t now)
{
	struct lldp_port *port = &lldp->ports[slot];

	send_message(lldp, slot, lldp_settings_ttl(&lldp->settings));
	if (port->fast)
		port->fast--;
	port->earliest = now + LLDP_SECOND;
	port->next = now + (port->fast ? 1 : lldp->settings.interval) * LLDP_SECOND;
}

static void send_soon(struct lldp *lldp, unsigned slot)
{
	struct lldp_port *port = &lldp->ports[slot];

	port->fast = lldp->settings.fast;
	port->next = MAX(protocol_now(&lldp->protocol), port->earliest);
	wake_at(lldp, port->next);
}

static void shut_down(struct lldp *lldp, unsigned slot)
{
	struct lldp_port *port = &lldp->ports[slot];

	if (port->told && port->up) {
		send_message(lldp, slot, 0);
		port->earliest = protocol_now(&lldp->protocol) + REINIT;
	}
	port->told = false;
	port->next = TIMER_NEVER;
}

/* As mode and link have it now; what is told may have changed. */
static void refresh_agent(struct lldp *lldp, unsigned slot)
{
	struct lldp_port *port = &lldp->ports[slot];

	protocol_enable(&lldp->protocol, slot, may_receive(lldp, slot));
	if (!may_receive(lldp, slot))
		lldp_neighbours_clear(&port->neighbours);
	if (port->up && may_send(lldp, slot))
		send_soon(lldp, slot);
	else
		shut_down(lldp, slot);
}

static void on_timer(struct timer *timer)
{
	struct lldp *lldp = container_of(timer, struct lldp, timer);
	uint64_t now = protocol_now(&lldp->protocol), next = TIMER_NEVER;

	for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++) {
		struct lldp_port *port = &lldp->ports[i];

		if (port->next <= now)
			send_due(lldp, i, now);
		lldp_neighbours_age(&port->neighbours, now);
		next = MIN(next, MIN(port->next, lldp_neighbours_next(&port->neighbours)));
	}
	wake_at(lldp, next);
}

/* ---- What it is told ---- */

static void hear_frame(struct protocol *protocol, const struct protocol_frame *frame)
{
	struct lldp *lldp = lldp_of(protocol);
	struct lldp_port *port = &lldp->ports[frame->slot];
	enum lldp_news news;

	/* It waited while the port went down, or the mode changed: who sent it was forgotten then. */
	if (!port->up || !may_receive(lldp, frame->slot))
		return;
	news = lldp_neighbours_hear(&port->neighbours, frame->bytes + PAYLOAD_AT,
				    frame->length - PAYLOAD_AT, protocol_now(protocol));
	if (news == LLDP_CAME && port->next != TIMER_NEVER)
		send_soon(lldp, frame->slot);
	wake_at(lldp, lldp_neighbours_next(&port->neighbours));
}

static void reset_port(struct lldp_port *port)
{
	*port = (struct lldp_port){ .next = TIMER_NEVER };
	lldp_neighbours_init(&port->neighbours);
}

static void see_port(struct protocol *protocol, unsigned slot, enum protocol_port_event event)
{
	struct lldp *lldp = lldp_of(protocol);
	struct lldp_port *port = &lldp->ports[slot];

	switch (event) {
	case PROTOCOL_PORT_LEAVES:
		shut_down(lldp, slot);
		return;
	case PROTOCOL_PORT_REMOVED:
		lldp_neighbours_clear(&port->neighbours);
		reset_port(port);
		return;
	case PROTOCOL_PORT_DOWN:
		port->up = false;
		lldp_neighbours_clear(&port->neighbours);
		break;
	case PROTOCOL_PORT_UP:
		port->up = true;
		break;
	case PROTOCOL_PORT_ADDED:
	case PROTOCOL_PORT_CHANGED:
		break;
	}
	refresh_agent(lldp, slot);
}

/* ---- The object ---- */

static void take_leave(struct protocol *protocol)
{
	struct lldp *lldp = lldp_of(protocol);

	for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++)
		shut_down(lldp, i);
	protocol_timer_disarm(protocol, &lldp->timer);
}

static void destroy_lldp(struct protocol *protocol)
{
	struct lldp *lldp = lldp_of(protocol);

	for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++)
		lldp_neighbours_clear(&lldp->ports[i].neighbours);
	free(lldp);
}

static const struct protocol_claim lldp_claims[] = {
	{ .address = LLDP_GROUP, .mask = ~0ULL, .type = LLDP_TYPE },
};

static const struct protocol_ops lldp_ops = {
	.name = LLDP_PROTOCOL,
	.physical = true,
	.claims = lldp_claims,
	.claim_count = ARRAY_SIZE(lldp_claims),
	.frame = hear_frame,
	.port = see_port,
	.leave = take_leave,
	.destroy = destroy_lldp,
};

static int add_lldp(struct vswitch *vswitch, uint64_t chassis, struct error *error)
{
	struct lldp *lldp = calloc(1, sizeof(*lldp));
	int rc;

	if (!lldp)
		return error_set(error, -ENOMEM, "switch %s: lldp: out of memory", vswitch->name);
	lldp->protocol.ops = &lldp_ops;
	lldp->timer.expire = on_timer;
	lldp_settings_init(&lldp->settings, vswitch->name, chassis ? chassis : vswitch->mac);
	for (unsigned i = 0; i < VSWITCH_PORTS_MAX; i++)
		reset_port(&lldp->ports[i]);
	rc = vswitch_add_protocol(vswitch, &lldp->protocol, error);
	return rc == -EEXIST ? 0 : rc;
}

/* ---- Settings ---- */

struct lldp_call {
	struct vswitch *vswitch;
	const char *port;
	const char *const *words;
	unsigned count;
	struct vswitch_lldp_status *status;
	struct error *error;
};

static int set_agent(struct lldp *lldp, const struct lldp_call *call)
{
	const struct port *port = vswitch_find_port(call->vswitch, call->port);
	struct lldp_port_settings settings;
	int rc = 0;

	settings = lldp ? lldp->ports[port->index].settings : (struct lldp_port_settings){ 0 };
	for (unsigned i = 0; !rc && i < call->count; i++)
		rc = lldp_port_settings_set(&settings, call->words[i], call->error);
	if (rc) {
		error_prefix(call->error, "port %s", call->port);
		return rc;
	}
	if (!lldp)
		return 0;
	lldp->ports[port->index].settings = settings;
	refresh_agent(lldp, port->index);
	return 0;
}

static int set_switch(struct lldp *lldp, const struct lldp_call *call)
{
	struct lldp_settings settings;
	int rc = 0;

	if (lldp)
		settings = lldp->settings;
	else
		lldp_settings_init(&settings, call->vswitch->name, call->vswitch->mac);
	for (unsigned i = 0; !rc && i < call->count; i++)
		rc = lldp_settings_set(&settings, call->words[i], call->error);
	if (rc || !lldp)
		return rc;
	/* Who it was says goodbye: neighbours would believe in two. */
	for (unsigned i = 0; i < VSWITCH_PORTS_MAX && settings.chassis != lldp->settings.chassis;
	     i++)
		if (lldp->ports[i].next != TIMER_NEVER)
			shut_down(lldp, i);
	lldp->settings = settings;
	for (unsigned i = 0; i < call->vswitch->port_count; i++)
		refresh_agent(lldp, call->vswitch->list[i]->index);
	return 0;
}

/* Without the protocol yet: whether it could be. 1: it is done. */
static int set_lldp(void *arg)
{
	const struct lldp_call *call = arg;
	struct lldp *lldp = find_lldp(call->vswitch);
	int rc;

	if (call->port && !vswitch_find_port(call->vswitch, call->port))
		return vswitch_no_such_port(call->vswitch, call->port, call->error);
	rc = call->port ? set_agent(lldp, call) : set_switch(lldp, call);
	return rc ? rc : lldp != NULL;
}

int vswitch_set_lldp(struct vswitch *vswitch, uint64_t chassis, const char *port,
		     const char *const *words, unsigned count, struct error *error)
{
	struct lldp_call call = {
		.vswitch = vswitch, .port = port, .words = words, .count = count, .error = error
	};
	int rc = vswitch_call(vswitch, set_lldp, &call);

	if (rc)
		return MIN(rc, 0);
	rc = add_lldp(vswitch, chassis, error);
	return rc ? rc : MIN(vswitch_call(vswitch, set_lldp, &call), 0);
}

/* ---- Looking ---- */

static void fill_lldp_port(struct vswitch_lldp_port *out, const struct lldp *lldp,
			   const struct port *port)
{
	const struct lldp_port *of;

	memcpy(out->name, port->name, sizeof(out->name));
	if (!lldp)
		return;
	of = &lldp->ports[port->index];
	out->settings = of->settings;
	out->sends = may_send(lldp, port->index);
	out->receives = may_receive(lldp, port->index);
	out->counters = of->neighbours.counters;
	out->neighbours = of->neighbours.count;
}

static void fill_neighbours(struct vswitch_lldp_status *status, const struct lldp *lldp,
			    unsigned number, const struct lldp_neighbours *of)
{
	uint64_t now = protocol_now(&lldp->protocol);

	list_for_each(at, &of->list) {
		const struct lldp_neighbour *from = list_entry(at, struct lldp_neighbour, node);
		struct vswitch_lldp_neighbour *to = &status->neighbours[status->neighbour_count++];

		to->port = number;
		to->left = from->until > now ? from->until - now : 0;
		to->message = from->message;
	}
}

static int fill_lldp_status(void *arg)
{
	const struct lldp_call *call = arg;
	const struct vswitch *vswitch = call->vswitch;
	struct vswitch_lldp_status *status = call->status;
	const struct lldp *lldp = find_lldp(vswitch);
	unsigned total = 0;

	lldp_settings_init(&status->settings, vswitch->name, vswitch->mac);
	if (lldp)
		status->settings = lldp->settings;
	status->port_count = vswitch->port_count;
	status->ports = calloc(vswitch->port_count + 1, sizeof(*status->ports));
	if (!status->ports)
		return -ENOMEM;
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		fill_lldp_port(&status->ports[i], lldp, vswitch->list[i]);
		total += status->ports[i].neighbours;
	}
	status->neighbours = calloc(total + 1, sizeof(*status->neighbours));
	if (!status->neighbours)
		return -ENOMEM;
	for (unsigned i = 0; lldp && i < vswitch->port_count; i++)
		fill_neighbours(status, lldp, i, &lldp->ports[vswitch->list[i]->index].neighbours);
	return 0;
}

int vswitch_lldp_status(struct vswitch *vswitch, struct vswitch_lldp_status **out)
{
	struct lldp_call call = { .vswitch = vswitch, .status = calloc(1, sizeof(*call.status)) };
	int rc = call.status ? vswitch_call(vswitch, fill_lldp_status, &call) : -ENOMEM;

	if (rc)
		vswitch_lldp_status_free(call.status);
	else
		*out = call.status;
	return rc;
}

void vswitch_lldp_status_free(struct vswitch_lldp_status *status)
{
	if (!status)
		return;
	free(status->ports);
	free(status->neighbours);
	free(status);
}
