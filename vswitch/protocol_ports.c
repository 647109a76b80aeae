/* SPDX-License-Identifier: BSD-2-Clause */
/* What protocols are told of ports, and do to them; see protocol_internal.h. */
#include "util/bytes.h"
#include "vswitch/protocol_internal.h"

/* ---- What they are told ---- */

static void tell(struct protocols *protocols, const struct port *port,
		 enum protocol_port_event event)
{
	for (unsigned i = 0; i < PROTOCOLS_MAX; i++)
		if (protocols->list[i] && protocol_concerns(protocols->list[i], port))
			protocols->list[i]->ops->port(protocols->list[i], port->index, event);
}

void protocols_port_event(struct vswitch *vswitch, unsigned slot, enum protocol_port_event event)
{
	if (vswitch->protocols)
		tell(vswitch->protocols, vswitch->ports[slot], event);
}

unsigned protocols_tell_states(struct vswitch *vswitch)
{
	struct protocols *protocols = vswitch->protocols;
	unsigned told = 0;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i];
		struct protocol_slot *slot = &protocols->slots[port->index];
		uint32_t downs = __atomic_load_n(&port->downs, __ATOMIC_ACQUIRE);
		bool up = protocol_port_is_up(port);

		if (slot->up && (!up || slot->downs != downs)) {
			protocols_port_event(vswitch, port->index, PROTOCOL_PORT_DOWN);
			slot->up = false;
			told++;
		}
		slot->downs = downs;
		if (up && !slot->up) {
			slot->up = true;
			protocols_port_event(vswitch, port->index, PROTOCOL_PORT_UP);
			told++;
		}
	}
	return told;
}

/* ---- What they do ---- */

static uint8_t holds_of(const struct protocol_slot *slot)
{
	uint8_t holds = 0;

	for (unsigned i = 0; i < PROTOCOLS_MAX; i++)
		holds |= slot->holds[i];
	return holds;
}

/* A link has, besides its own, what its bond has; of what comes while it carries nothing its bond does not know. */
static void refresh_seen(struct vswitch *vswitch, unsigned index)
{
	const struct protocol_slot *slots = vswitch->protocols->slots;
	struct port *port = vswitch->ports[index];
	uint8_t own = holds_of(&slots[index]);

	port->holds = own;
	port->protocols = slots[index].enabled;
	if (port->home == index)
		return;
	port->holds |= holds_of(&slots[port->home]) | PORT_HOLD_LINK;
	if (!(own & PORT_HOLD_FORWARDING))
		port->protocols |= slots[port->home].enabled;
}

static void refresh_with_links(struct vswitch *vswitch, unsigned slot)
{
	refresh_seen(vswitch, slot);
	for (unsigned i = 0; vswitch->ports[slot]->bond && i < vswitch->port_count; i++)
		if (vswitch->list[i]->home == slot)
			refresh_seen(vswitch, vswitch->list[i]->index);
}

void protocols_port_added(struct vswitch *vswitch, const struct port *port)
{
	if (!vswitch->protocols)
		return;
	vswitch->protocols->slots[port->index] = (struct protocol_slot){ .downs = port->downs };
	refresh_seen(vswitch, port->index);
	protocols_port_event(vswitch, port->index, PROTOCOL_PORT_ADDED);
	vswitch_control_soon(vswitch);
}

void protocols_port_removed(struct vswitch *vswitch, const struct port *port)
{
	if (!vswitch->protocols)
		return;
	protocols_drop_waiting(vswitch->protocols, NULL, port->index);
	protocols_port_event(vswitch, port->index, PROTOCOL_PORT_REMOVED);
}

void protocols_port_hidden(struct vswitch *vswitch, const struct port *port)
{
	struct protocols *protocols = vswitch->protocols;
	struct protocol_slot *slot = &protocols->slots[port->index];

	protocols_drop_waiting(protocols, NULL, port->index);
	for (unsigned i = 0; i < PROTOCOLS_MAX; i++) {
		struct protocol *protocol = protocols->list[i];

		if (!protocol || protocol->ops->physical)
			continue;
		protocol->ops->port(protocol, port->index, PROTOCOL_PORT_REMOVED);
		slot->holds[i] = 0;
		slot->enabled &= (uint16_t) ~(1u << i);
	}
}

void protocols_port_shown(struct vswitch *vswitch, const struct port *port)
{
	struct protocols *protocols = vswitch->protocols;

	refresh_seen(vswitch, port->index);
	for (unsigned i = 0; port->home == port->index && i < PROTOCOLS_MAX; i++) {
		struct protocol *protocol = protocols->list[i];

		if (!protocol || protocol->ops->physical)
			continue;
		protocol->ops->port(protocol, port->index, PROTOCOL_PORT_ADDED);
		if (protocols->slots[port->index].up)
			protocol->ops->port(protocol, port->index, PROTOCOL_PORT_UP);
	}
}

struct port *protocol_port(const struct protocol *protocol, unsigned slot)
{
	return slot < VSWITCH_PORTS_MAX ? protocol->vswitch->ports[slot] : NULL;
}

void protocol_enable(struct protocol *protocol, unsigned slot, bool enabled)
{
	const struct port *port = protocol_port(protocol, slot);
	uint16_t *of;

	if (!port)
		return;
	of = &protocol->vswitch->protocols->slots[slot].enabled;
	*of &= (uint16_t) ~(1u << protocol->index);
	if (enabled && protocol_concerns(protocol, port))
		*of |= (uint16_t)(1u << protocol->index);
	refresh_with_links(protocol->vswitch, slot);
}

void protocol_hold(struct protocol *protocol, unsigned slot, uint8_t holds)
{
	if (!protocol_port(protocol, slot))
		return;
	protocol->vswitch->protocols->slots[slot].holds[protocol->index] = holds;
	refresh_with_links(protocol->vswitch, slot);
}

void protocol_flush(struct protocol *protocol, unsigned slot)
{
	struct port *port = protocol_port(protocol, slot);

	if (port)
		port_forget(port);
}
