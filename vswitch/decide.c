/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a frame goes: the VLAN it is in, whether it may pass, learning, and the ports it leaves by; see thread.h.
 *
 * Learning is frame by frame, in the order of arrival, so that the same frames give the same result.
 */
#include "vswitch/internal.h"

#define RESERVED_GROUP 0x0180c2000000ULL /* to ...0f: IEEE 802.1Q-2022, table 8-1 */

/* Storm control lets come at once what may come in so long. */
#define STORM_BURST_NS 10000000ULL
#define STORM_LEAST    32u /* frames at once, anyway */

/* ---- The VLAN ---- */

/* Finds what VLAN the frame is in. False: it may not come in here, and is counted. */
static inline bool classify(struct port *source, const uint8_t *head, struct egress_entry *entry)
{
	const struct vlan_port *vlan = &source->config.vlan;
	uint16_t id;

	entry->tag = FRAME_UNTAGGED;
	entry->vlan = vlan->untagged;
	if (get_be16(head + VLAN_AT) != VLAN_TYPE) {
		if (vlan->kind != VLAN_PORT_TRUNK || vlan->untagged)
			return true;
		port_drop(source, PORT_DROP_VLAN);
		return false;
	}
	if (entry->frame->length < VIRTIO_NET_FRAME_MIN + VLAN_TAG_SIZE) {
		port_drop(source, PORT_DROP_BAD_LENGTH);
		return false;
	}
	id = get_be16(head + VLAN_AT + 2) & VLAN_ID;
	entry->tag = id ? FRAME_TAGGED : FRAME_PRIORITY_TAGGED;
	if (id)
		entry->vlan = id;
	if (id > VLAN_ID_MAX || (id ? vlan->kind == VLAN_PORT_ACCESS || !vlan_has(vlan, id)
				    : vlan->kind == VLAN_PORT_TRUNK && !vlan->untagged)) {
		port_drop(source, PORT_DROP_VLAN);
		return false;
	}
	return true;
}

/* ---- Flooding ---- */

/* Whether there may be one more of its kind now: the generic cell rate algorithm (ITU-T I.371), which needs one number: when
 * the next one would come if all came evenly. */
static bool storm_allows(struct vswitch_thread *thread, struct port *source, enum port_storm kind,
			 const struct frame *frame)
{
	uint64_t rate = source->config.storm[kind], interval, tolerance;
	uint64_t *next = &source->storm_next[kind];

	if (!rate)
		return true;
	interval = 1000000000u / rate;
	tolerance = MAX(STORM_BURST_NS, STORM_LEAST * interval);
	if (*next > thread->now + tolerance - interval)
		return false;
	*next = MAX(*next, thread->now) +
		interval * virtio_net_wire_frames(&frame->offload, frame->length);
	return true;
}

static inline bool may_reach(const struct port *source, const struct port *port, uint16_t vlan)
{
	return vlan_has(&port->config.vlan, vlan) &&
	       (!port->config.isolation || port->config.isolation != source->config.isolation);
}

static void flood(struct vswitch_thread *thread, struct port *source, uint64_t destination,
		  const struct egress_entry *entry)
{
	struct vswitch *vswitch = thread->vswitch;
	enum port_storm kind = !mac_is_group(destination)        ? PORT_STORM_UNKNOWN
			       : destination == (1ULL << 48) - 1 ? PORT_STORM_BROADCAST
								 : PORT_STORM_MULTICAST;
	bool sent = false;

	if (!storm_allows(thread, source, kind, entry->frame)) {
		port_drop(source, PORT_DROP_STORM_BROADCAST + (unsigned)kind);
		return;
	}
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *port = vswitch->list[i];

		if (port == source || !port_is_up(port) || !may_reach(source, port, entry->vlan))
			continue;
		egress_line_up(thread, port, entry);
		sent = true;
	}
	if (sent)
		source->counters.flooded++;
	else
		port_drop(source, PORT_DROP_NO_PORT);
}

/* ---- Deciding ---- */

static inline void decide(struct vswitch_thread *thread, struct port *source, struct frame *frame)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	uint64_t destination = mac_from_bytes(head), address = mac_from_bytes(head + 6);
	struct vswitch *vswitch = thread->vswitch;
	struct egress_entry entry = { .frame = frame };
	uint16_t index = MAC_TABLE_NO_PORT;
	struct port *port;

	source->counters.rx_frames++;
	source->counters.rx_bytes += frame->length;
	if (vswitch->capture)
		vswitch_capture_frame(thread, source, false, frame);
	if (!classify(source, head, &entry))
		return;
	/* As Linux's bridge does, which counts them as errors of the receiving port. */
	if (!mac_is_station(address)) {
		port_drop(source, PORT_DROP_BAD_SOURCE);
		return;
	}
	if (vswitch->ageing)
		mac_recent_learn(&source->recent_source, vswitch->table, entry.vlan, address,
				 source->index, thread->now);
	if ((destination & ~0xfULL) == RESERVED_GROUP) {
		port_drop(source, PORT_DROP_RESERVED);
		return;
	}
	if (!mac_is_group(destination))
		index = mac_recent_lookup(&source->recent_destination, vswitch->table, entry.vlan,
					  destination, thread->now);
	if (index == MAC_TABLE_NO_PORT) {
		flood(thread, source, destination, &entry);
		return;
	}
	port = vswitch->ports[index];
	if (port == source)
		port_drop(source, PORT_DROP_SAME_PORT);
	else if (!may_reach(source, port, entry.vlan))
		port_drop(source, vlan_has(&port->config.vlan, entry.vlan) ? PORT_DROP_ISOLATED
									   : PORT_DROP_VLAN);
	else
		egress_line_up(thread, port, &entry);
}

/* What the table will be asked, for a whole burst at once: its answers come from memory. */
static void prefetch(const struct mac_table *table, const struct port *source,
		     struct frame *const *frames, unsigned count)
{
	uint16_t vlan = source->config.vlan.untagged; /* a tag would cost more than it is worth */

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *head = frames[i]->pieces[0].iov_base;

		mac_table_prefetch(table, vlan, mac_from_bytes(head));
		mac_table_prefetch(table, vlan, mac_from_bytes(head + 6));
	}
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *head = frames[i]->pieces[0].iov_base;

		mac_table_prefetch_entry(table, vlan, mac_from_bytes(head));
		mac_table_prefetch_entry(table, vlan, mac_from_bytes(head + 6));
	}
}

void decide_burst(struct vswitch_thread *thread, struct port *port, struct frame **frames,
		  unsigned count)
{
	const struct mac_table *table = thread->vswitch->table;

	if (count > 1 && !mac_table_is_near(table))
		prefetch(table, port, frames, count);
	for (unsigned i = 0; i < count; i++)
		decide(thread, port, frames[i]);
}
