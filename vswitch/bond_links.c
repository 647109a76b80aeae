/* SPDX-License-Identifier: BSD-2-Clause */
/* Which links of a bond carry frames: the protocol "bond" of bond.h. All of it runs in calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/log.h"
#include "vswitch/bond.h"
#include "vswitch/bond_announce.h"
#include "vswitch/internal.h"

#define PAYLOAD_AT VIRTIO_NET_FRAME_MIN

/* A bucket that was idle for that long is moved to a link that has come; what never is, after the second time. */
#define MOVE_IDLE  10000000ULL
#define MOVE_LATER LACP_SECOND

struct bonds {
	struct protocol protocol;
	struct timer timer;
	struct bond_link *links[VSWITCH_PORTS_MAX]; /* by slot */
	bool up[VSWITCH_PORTS_MAX];                 /* what counts */
	bool is[VSWITCH_PORTS_MAX];            /* what it is: counts when the delay has passed */
	uint64_t counts_at[VSWITCH_PORTS_MAX]; /* LACP_NEVER: does already */
};

static struct bonds *find_bonds(const struct vswitch *vswitch)
{
	struct protocol *protocol = protocol_find(vswitch, BOND_PROTOCOL);

	return protocol ? container_of(protocol, struct bonds, protocol) : NULL;
}

static uint16_t slot_of(const struct bond_link *link)
{
	return (uint16_t)(link->lacp.actor.port - 1);
}

static bool is_up_link(const struct bonds *bonds, unsigned slot, const struct bond *bond)
{
	return bonds->links[slot] && bonds->links[slot]->bond == bond && bonds->up[slot];
}

/* ---- Which carry ---- */

static uint32_t priority_of(const struct vswitch *vswitch, unsigned slot)
{
	uint16_t priority = vswitch->ports[slot]->config.bond.priority;

	return priority ? priority : BOND_PRIORITY;
}

/* The primary; or the one that is active; or the first by priority. */
static uint16_t choose_active(const struct bonds *bonds, const struct bond *bond)
{
	const struct vswitch *vswitch = bond->port.vswitch;
	const char *primary = bond->port.config.bond.primary;
	uint16_t best = BOND_NOWHERE;

	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX; slot++) {
		if (!is_up_link(bonds, slot, bond))
			continue;
		if (!strcmp(vswitch->ports[slot]->name, primary))
			return (uint16_t)slot;
		if (best == BOND_NOWHERE ||
		    (best != bond->active &&
		     (slot == bond->active ||
		      priority_of(vswitch, slot) < priority_of(vswitch, best))))
			best = (uint16_t)slot;
	}
	return best;
}

static bool would_carry(const struct bonds *bonds, const struct bond *bond, unsigned slot)
{
	if (!is_up_link(bonds, slot, bond))
		return false;
	switch (bond->port.config.bond.mode) {
	case BOND_LACP:
		return bonds->links[slot]->lacp.mux == LACP_CARRYING;
	case BOND_ACTIVE_BACKUP:
		return slot == bond->active;
	default:
		return true;
	}
}

static void set_carries(struct bonds *bonds, unsigned slot, bool carries)
{
	struct bond_link *link = bonds->links[slot];
	const struct port *port = protocol_port(&bonds->protocol, slot);

	if (link->carries != carries && port)
		log_info(bonds->protocol.vswitch->log, "port %s: it %s frames of bond %s",
			 port->name, carries ? "carries" : "does not carry", link->bond->port.name);
	link->carries = carries;
	/* What is still on its way to one that leaves is taken. */
	protocol_hold(&bonds->protocol, slot,
		      carries || link->lacp.leaving ? 0
						    : PORT_HOLD_LEARNING | PORT_HOLD_FORWARDING);
}

static void arm_timer(struct bonds *bonds)
{
	const struct vswitch *vswitch = bonds->protocol.vswitch;
	uint64_t next = TIMER_NEVER;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct bond *bond = vswitch->list[i]->bond;

		if (!bond)
			continue;
		next = MIN(next, bond->move_at);
		if (bond->port.config.bond.mode == BOND_LACP)
			next = MIN(next, lacp_next(&bond->lacp));
	}
	for (unsigned i = 0; i < vswitch->port_count; i++)
		next = MIN(next, bonds->counts_at[vswitch->list[i]->index]);
	if (next == TIMER_NEVER)
		protocol_timer_disarm(&bonds->protocol, &bonds->timer);
	else
		protocol_timer_arm(&bonds->protocol, &bonds->timer, next);
}

/* Frames leave by the carriers, by the buckets' shares. */
static void share_buckets(struct bonds *bonds, struct bond *bond)
{
	uint64_t now = protocol_now(&bonds->protocol);

	bond_buckets_share(&bond->buckets, bond->carriers, bond->carrier_count);
	bond->move_at = bond->buckets.moving ? now + MOVE_IDLE : LACP_NEVER;
	bond->move_until = now + MOVE_LATER;
}

/* Puts together anew which links carry frames. */
static void choose_carriers(struct bonds *bonds, struct bond *bond)
{
	uint16_t carriers[BOND_LINKS_MAX], active = choose_active(bonds, bond);
	bool failed_over = active != bond->active && active != BOND_NOWHERE &&
			   bond->port.config.bond.mode == BOND_ACTIVE_BACKUP && bond->carried_once;
	unsigned count = 0, least = bond->port.config.bond.min_links;

	bond->active = active;
	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX && count < BOND_LINKS_MAX; slot++)
		if (would_carry(bonds, bond, slot))
			carriers[count++] = (uint16_t)slot;
	if (count < least)
		count = 0;
	for (unsigned slot = 0, at = 0; slot < VSWITCH_PORTS_MAX; slot++) {
		bool carries = at < count && carriers[at] == slot;

		at += carries;
		if (bonds->links[slot] && bonds->links[slot]->bond == bond)
			set_carries(bonds, slot, carries);
	}
	if (count != bond->carrier_count ||
	    memcmp(carriers, bond->carriers, count * sizeof(carriers[0]))) {
		bond->carrier_count = count;
		memcpy(bond->carriers, carriers, count * sizeof(carriers[0]));
		share_buckets(bonds, bond);
	}
	port_set_up(&bond->port, count > 0);
	if (failed_over) {
		bond->failovers++;
		bond->announced += bond_announce(&bonds->protocol, &bond->port);
	}
	bond->carried_once |= count > 0;
}

/* ---- LACP ---- */

static void send_slow(struct lacp *lacp, struct lacp_link *lacp_link,
		      const uint8_t bytes[LACP_PDU_LEN])
{
	const struct bond *bond = container_of(lacp, struct bond, lacp);
	const struct vswitch *vswitch = bond->port.vswitch;
	uint16_t slot = slot_of(container_of(lacp_link, struct bond_link, lacp));
	uint8_t frame[PAYLOAD_AT + LACP_PDU_LEN];
	struct bonds *bonds = find_bonds(vswitch);

	mac_to_bytes(SLOW_GROUP, frame);
	/* Each port is a station of its own. */
	mac_to_bytes((vswitch->mac & ~0xffffULL) | ((vswitch->mac + slot + 1u) & 0xffff),
		     frame + 6);
	put_be16(frame + VLAN_AT, SLOW_TYPE);
	memcpy(frame + PAYLOAD_AT, bytes, LACP_PDU_LEN);
	protocol_send(&bonds->protocol, slot, 0, frame, sizeof(frame));
}

static void carriers_changed(struct lacp *lacp)
{
	struct bond *bond = container_of(lacp, struct bond, lacp);

	choose_carriers(find_bonds(bond->port.vswitch), bond);
}

static const struct lacp_ops lacp_ops = { .send = send_slow, .changed = carriers_changed };

/* LACP's links are up while there is LACP. */
static void tell_lacp(struct bonds *bonds, unsigned slot)
{
	struct bond_link *link = bonds->links[slot];
	bool is_lacp = link->bond->port.config.bond.mode == BOND_LACP;

	protocol_enable(&bonds->protocol, slot, is_lacp);
	lacp_link_up(&link->bond->lacp, &link->lacp, is_lacp && bonds->up[slot],
		     protocol_now(&bonds->protocol));
}

/* The last one that was up is gone: what is up and was waited for is taken at once. */
static void end_waits(struct bonds *bonds, const struct bond *bond)
{
	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX; slot++)
		if (is_up_link(bonds, slot, bond))
			return;
	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX; slot++) {
		if (!bonds->links[slot] || bonds->links[slot]->bond != bond || !bonds->is[slot])
			continue;
		bonds->counts_at[slot] = LACP_NEVER;
		bonds->up[slot] = true;
		tell_lacp(bonds, slot);
	}
}

static struct lacp_config lacp_config_of(const struct bond *bond)
{
	const struct port *port = &bond->port;

	return bond_config_lacp(&port->config.bond, port->vswitch->mac,
				(uint16_t)(port->index + 1));
}

void bond_start(struct bond *bond)
{
	struct lacp_config config = lacp_config_of(bond);

	bond->active = BOND_NOWHERE;
	bond->move_at = LACP_NEVER;
	bond_buckets_init(&bond->buckets);
	lacp_init(&bond->lacp, &lacp_ops, &config,
		  protocol_now(&find_bonds(bond->port.vswitch)->protocol));
}

void bond_settle(struct bond *bond)
{
	struct bonds *bonds = find_bonds(bond->port.vswitch);
	struct lacp_config config = lacp_config_of(bond);

	lacp_set(&bond->lacp, &config, protocol_now(&bonds->protocol));
	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX; slot++)
		if (bonds->links[slot] && bonds->links[slot]->bond == bond)
			tell_lacp(bonds, slot);
	choose_carriers(bonds, bond);
	arm_timer(bonds);
}

/* ---- Links come and go ---- */

const struct bond_link *bond_link_at(const struct vswitch *vswitch, unsigned slot)
{
	const struct bonds *bonds = find_bonds(vswitch);

	return bonds ? bonds->links[slot] : NULL;
}

/* What a bond's other protocols know of it: its speed. */
static void tell_others(struct vswitch *vswitch, const struct bond *bond)
{
	if (vswitch->ports[bond->port.index] == &bond->port)
		protocols_port_event(vswitch, bond->port.index, PROTOCOL_PORT_CHANGED);
}

void bond_drop_link(struct vswitch *vswitch, unsigned slot)
{
	struct bonds *bonds = find_bonds(vswitch);
	struct bond_link *link = bonds ? bonds->links[slot] : NULL;
	struct bond *bond;

	if (!link)
		return;
	bond = link->bond;
	if (link->lacp.leaving && !lacp_has_left(&link->lacp))
		log_warning(vswitch->log,
			    "port %s: its partner did not say in time that it sends no more by it: "
			    "what it sends is lost",
			    vswitch->ports[slot]->name);
	lacp_remove(&bond->lacp, &link->lacp, protocol_now(&bonds->protocol));
	bonds->links[slot] = NULL;
	free(link);
	bonds->counts_at[slot] = LACP_NEVER; /* no bond has it wait any more */
	bonds->up[slot] = bonds->is[slot];
	protocol_enable(&bonds->protocol, slot, false);
	protocol_hold(&bonds->protocol, slot, 0);
	end_waits(bonds, bond);
	choose_carriers(bonds, bond);
	arm_timer(bonds);
	tell_others(vswitch, bond);
}

bool bond_link_leaves(struct vswitch *vswitch, unsigned slot, bool leave)
{
	struct bonds *bonds = find_bonds(vswitch);
	struct bond_link *link = bonds ? bonds->links[slot] : NULL;
	struct bond *bond = link ? link->bond : NULL;

	if (!link || bond->port.config.bond.mode != BOND_LACP ||
	    (!link->carries && !link->lacp.leaving))
		return false;
	lacp_leave(&bond->lacp, &link->lacp, leave, protocol_now(&bonds->protocol));
	choose_carriers(bonds, bond);
	arm_timer(bonds);
	return leave && !lacp_has_left(&link->lacp);
}

static void make_link(struct bonds *bonds, const struct port *port, struct bond *bond)
{
	struct bond_link *link = calloc(1, sizeof(*link));

	protocol_hold(&bonds->protocol, port->index, PORT_HOLD_LEARNING | PORT_HOLD_FORWARDING);
	if (!link) {
		log_error(port->log, "port %s: out of memory: it carries no frames of bond %s",
			  port->name, bond->port.name);
		return;
	}
	link->bond = bond;
	bonds->links[port->index] = link;
	lacp_add(&bond->lacp, &link->lacp, (uint16_t)(port->index + 1),
		 (uint16_t)priority_of(port->vswitch, port->index), protocol_now(&bonds->protocol));
	tell_lacp(bonds, port->index);
	tell_others(port->vswitch, bond);
}

void bond_look_at_port(struct vswitch *vswitch, unsigned slot)
{
	const struct port *port = vswitch->ports[slot];
	struct bond *bond = bond_is_link(port) ? vswitch->ports[port->home]->bond : NULL;
	struct bonds *bonds = find_bonds(vswitch);

	if (!bonds)
		return;
	if (bonds->links[slot] && bonds->links[slot]->bond != bond)
		bond_drop_link(vswitch, slot);
	if (!bond)
		return;
	if (!bonds->links[slot])
		make_link(bonds, port, bond);
	else
		lacp_set_priority(&bond->lacp, &bonds->links[slot]->lacp,
				  (uint16_t)priority_of(vswitch, slot),
				  protocol_now(&bonds->protocol));
	choose_carriers(bonds, bond);
	arm_timer(bonds);
}

/* ---- The protocol ---- */

static void count_state(struct bonds *bonds, unsigned slot)
{
	bonds->counts_at[slot] = LACP_NEVER;
	bonds->up[slot] = bonds->is[slot];
	if (!bonds->links[slot])
		return;
	tell_lacp(bonds, slot);
	end_waits(bonds, bonds->links[slot]->bond);
	choose_carriers(bonds, bonds->links[slot]->bond);
}

/* At once, or when it has lasted for as long as the bond wants. The last one is not waited for. */
static void take_state(struct bonds *bonds, unsigned slot, bool up)
{
	const struct bond_link *link = bonds->links[slot];
	const struct bond_config *config = link ? &link->bond->port.config.bond : NULL;
	uint64_t delay = !config ? 0 : up ? config->up_delay_ms : config->down_delay_ms;

	bonds->is[slot] = up;
	if (up != bonds->up[slot] && delay && !(up && !link->bond->carrier_count)) {
		bonds->counts_at[slot] = protocol_now(&bonds->protocol) + delay * 1000000;
		return;
	}
	count_state(bonds, slot);
}

static void link_event(struct protocol *protocol, unsigned slot, enum protocol_port_event event)
{
	struct bonds *bonds = container_of(protocol, struct bonds, protocol);

	switch (event) {
	case PROTOCOL_PORT_ADDED:
	case PROTOCOL_PORT_CHANGED:
		bond_look_at_port(protocol->vswitch, slot);
		return;
	case PROTOCOL_PORT_LEAVES:
		bond_drop_link(protocol->vswitch, slot);
		return;
	case PROTOCOL_PORT_REMOVED:
		bonds->up[slot] = bonds->is[slot] = false;
		bonds->counts_at[slot] = LACP_NEVER;
		return;
	case PROTOCOL_PORT_UP:
	case PROTOCOL_PORT_DOWN:
		take_state(bonds, slot, event == PROTOCOL_PORT_UP);
		arm_timer(bonds);
		return;
	}
}

static enum protocol_verdict is_lacp_frame(const struct protocol *protocol, const struct port *port,
					   const uint8_t *payload, size_t length)
{
	(void)protocol, (void)port;
	return length && (payload[0] == SLOW_LACP || payload[0] == SLOW_MARKER) ? PROTOCOL_TAKE
										: PROTOCOL_IGNORE;
}

static void slow_frame(struct protocol *protocol, const struct protocol_frame *frame)
{
	struct bonds *bonds = container_of(protocol, struct bonds, protocol);
	struct bond_link *link = bonds->links[frame->slot];

	if (!link || link->bond->port.config.bond.mode != BOND_LACP)
		return;
	lacp_receive(&link->bond->lacp, &link->lacp, frame->bytes + PAYLOAD_AT,
		     frame->length - PAYLOAD_AT, protocol_now(protocol));
	arm_timer(bonds);
}

static void move_buckets(struct bond *bond, uint64_t now)
{
	bond_buckets_move(&bond->buckets, now >= bond->move_until);
	bond->move_at = bond->buckets.moving ? now + MOVE_IDLE : LACP_NEVER;
}

static void bonds_due(struct timer *timer)
{
	struct bonds *bonds = container_of(timer, struct bonds, timer);
	const struct vswitch *vswitch = bonds->protocol.vswitch;
	uint64_t now = protocol_now(&bonds->protocol);

	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (now >= bonds->counts_at[vswitch->list[i]->index])
			count_state(bonds, vswitch->list[i]->index);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct bond *bond = vswitch->list[i]->bond;

		if (!bond)
			continue;
		if (bond->port.config.bond.mode == BOND_LACP)
			lacp_run(&bond->lacp, now);
		if (now >= bond->move_at)
			move_buckets(bond, now);
	}
	arm_timer(bonds);
}

static void bonds_leave(struct protocol *protocol)
{
	protocol_timer_disarm(protocol, &container_of(protocol, struct bonds, protocol)->timer);
}

static void bonds_destroy(struct protocol *protocol)
{
	struct bonds *bonds = container_of(protocol, struct bonds, protocol);

	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX; slot++)
		free(bonds->links[slot]);
	free(bonds);
}

static const struct protocol_claim slow_claims[] = {
	{ .address = SLOW_GROUP, .mask = ~0ULL, .type = SLOW_TYPE, .wants = is_lacp_frame },
};

static const struct protocol_ops bonds_ops = { .name = BOND_PROTOCOL,
					       .physical = true,
					       .claims = slow_claims,
					       .claim_count = ARRAY_SIZE(slow_claims),
					       .frame = slow_frame,
					       .port = link_event,
					       .leave = bonds_leave,
					       .destroy = bonds_destroy };

static int is_begun(void *arg)
{
	return find_bonds(arg) != NULL;
}

int bond_begin(struct vswitch *vswitch, struct error *error)
{
	struct bonds *bonds;
	int rc;

	if (vswitch_call(vswitch, is_begun, vswitch))
		return 0;
	bonds = calloc(1, sizeof(*bonds));
	if (!bonds)
		return error_set(error, -ENOMEM, "switch %s: out of memory", vswitch->name);
	bonds->protocol.ops = &bonds_ops;
	bonds->timer.expire = bonds_due;
	for (unsigned slot = 0; slot < VSWITCH_PORTS_MAX; slot++)
		bonds->counts_at[slot] = LACP_NEVER;
	rc = vswitch_add_protocol(vswitch, &bonds->protocol, error);
	return rc == -EEXIST ? 0 : rc;
}
