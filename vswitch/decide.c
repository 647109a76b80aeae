/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a frame goes: the VLAN it is in, whether it may pass, learning, and the ports it leaves by; see thread.h.
 *
 * Learning is frame by frame, in the order of arrival, so that the same frames give the same result.
 */
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/turns.h"

/* Storm control lets come at once what may come in so long. */
#define STORM_BURST_NS 10000000ULL
#define STORM_LEAST    32u /* frames at once, anyway */

/* ---- The VLAN ---- */

/* What becomes of a frame: a reason to drop it, which was counted, or that it goes on. */
#define GOES_ON PORT_DROP_COUNT

static inline enum port_drop ends(struct port *source, enum port_drop why)
{
	port_drop(source, why);
	return why;
}

/* Finds what VLAN the frame is in, or why it is in none; counts nothing. */
static inline __attribute__((always_inline)) enum port_drop classify(const struct port *source,
								     const uint8_t *head,
								     struct egress_entry *entry)
{
	const struct vlan_port *vlan = &source->config.vlan;
	uint16_t id;

	entry->tag = FRAME_UNTAGGED;
	entry->vlan = vlan->untagged;
	entry->type = vlan_tag_type(vlan);
	if (get_be16(head + VLAN_AT) != entry->type || vlan->kind == VLAN_PORT_TUNNEL) {
		if (vlan->listed &&
		    !vlan_is_for_customer(vlan, head, entry->frame->length, VLAN_AT))
			return PORT_DROP_VLAN;
		if (vlan->kind != VLAN_PORT_TRUNK || vlan->untagged)
			return GOES_ON;
		return PORT_DROP_VLAN;
	}
	if (entry->frame->length < VIRTIO_NET_FRAME_MIN + VLAN_TAG_SIZE)
		return PORT_DROP_BAD_LENGTH;
	id = get_be16(head + VLAN_AT + 2) & VLAN_ID;
	entry->tag = id ? FRAME_TAGGED : FRAME_PRIORITY_TAGGED;
	if (id)
		entry->vlan = id;
	if (id > VLAN_ID_MAX || (id ? vlan->kind == VLAN_PORT_ACCESS || !vlan_has(vlan, id)
				    : vlan->kind == VLAN_PORT_TRUNK && !vlan->untagged))
		return PORT_DROP_VLAN;
	return GOES_ON;
}

/* ---- Flooding ---- */

/* Whether there may be one more of its kind now: the generic cell rate algorithm (ITU-T I.371), which needs one number: when
 * the next one would come if all came evenly. */
static bool storm_has_room(const struct vswitch_thread *thread, const struct port *source,
			   enum port_storm kind)
{
	uint64_t rate = source->config.storm[kind], interval, tolerance;

	if (!rate)
		return true;
	interval = 1000000000u / rate;
	tolerance = MAX(STORM_BURST_NS, STORM_LEAST * interval);
	return source->storm_next[kind] <= thread->now + tolerance - interval;
}

static void storm_count(const struct vswitch_thread *thread, struct port *source,
			enum port_storm kind, const struct frame *frame)
{
	uint64_t rate = source->config.storm[kind];
	uint64_t *next = &source->storm_next[kind];

	if (rate)
		*next = MAX(*next, thread->now) +
			1000000000u / rate * virtio_net_wire_frames(&frame->offload, frame->length);
}

static inline bool may_reach(const struct port *source, const struct port *port,
			     const struct egress_entry *entry)
{
	return egress_carries(port, entry) && !port->mirror_only && !port_is_parted(source, port) &&
	       (!port->config.isolation || port->config.isolation != source->config.isolation);
}

static enum reserved_choice choose_reserved(const struct vswitch *vswitch,
					    const struct port *source, const struct frame *frame)
{
	return reserved_choose(&source->config.reserved, &vswitch->reserved,
			       port_config_is_provider(&source->config), frame);
}

static enum port_drop flood(struct vswitch_thread *thread, struct port *source,
			    uint64_t destination, const struct egress_entry *entry)
{
	struct vswitch *vswitch = thread->vswitch;
	enum port_storm kind = !mac_is_group(destination)        ? PORT_STORM_UNKNOWN
			       : destination == (1ULL << 48) - 1 ? PORT_STORM_BROADCAST
								 : PORT_STORM_MULTICAST;
	bool customers = reserved_is(destination) &&
			 choose_reserved(vswitch, source, entry->frame) == RESERVED_CUSTOMERS;
	unsigned sent = 0;

	if (!storm_has_room(thread, source, kind))
		return ends(source, PORT_DROP_STORM_BROADCAST + (unsigned)kind);
	storm_count(thread, source, kind, entry->frame);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *port = vswitch->list[i];

		if (port->home == source->home || !port_is_up(port) ||
		    (port->holds & PORT_HOLDS_OUT) || !may_reach(source, port, entry) ||
		    (customers && !port_config_is_provider(&port->config)))
			continue;
		egress_line_up(thread, port, entry);
		sent++;
	}
	if (!sent)
		return ends(source, PORT_DROP_NO_PORT);
	turn_charge(source, (uint64_t)(sent - 1) * turn_frame_cost(entry->frame->length));
	source->counters.flooded++;
	return GOES_ON;
}

/*
 * A frame to a group that is known (group_set.h): to the ports that want it. False: it is for all. What goes to members only is no
 * flood, and no storm.
 */
static bool __attribute__((noinline))
to_members(struct vswitch_thread *thread, struct port *source, const struct egress_entry *entry,
	   enum port_drop *why)
{
	const struct vswitch *vswitch = thread->vswitch;
	const struct iovec *head = &entry->frame->pieces[0];
	size_t at = VLAN_AT + (entry->tag == FRAME_UNTAGGED ? 0 : VLAN_TAG_SIZE);
	struct port_set members;

	if (!group_set_look(vswitch->groups, entry->vlan, head->iov_base, at, head->iov_len,
			    &members))
		return false;
	*why = PORT_DROP_NO_MEMBER;
	for (unsigned i = 0; i < ARRAY_SIZE(members.bits); i++)
		for (uint64_t left = members.bits[i]; left; left &= left - 1) {
			struct port *port =
				vswitch->ports[i * 64 + (unsigned)__builtin_ctzll(left)];

			if (!port || port->home == source->home || !port_is_up(port) ||
			    (port->holds & PORT_HOLDS_OUT) || !may_reach(source, port, entry))
				continue;
			egress_line_up(thread, port, entry);
			/* What one has is charged with the burst. */
			if (*why == GOES_ON)
				turn_charge(source, turn_frame_cost(entry->frame->length));
			*why = GOES_ON;
		}
	if (*why != GOES_ON)
		ends(source, *why);
	return true;
}

/* ---- Deciding ---- */

static inline void learn_source(struct vswitch_thread *thread, struct port *source, uint16_t vlan,
				uint64_t address)
{
	struct vswitch *vswitch = thread->vswitch;

	if (vswitch->ageing && !(source->holds & PORT_HOLD_LEARNING))
		mac_recent_learn(&source->recent_source, vswitch->table, vlan, address,
				 source->home, thread->now);
}

/*
 * A frame to an address that no bridge forwards, which was classified as *why says. True if it ends here, as *why says then: at a
 * protocol (GOES_ON), or dropped.
 */
static bool __attribute__((noinline))
reserved_ends(struct vswitch_thread *thread, struct port *source, const struct egress_entry *entry,
	      uint64_t address, enum port_drop *why)
{
	struct vswitch *vswitch = thread->vswitch;
	enum reserved_choice choice = choose_reserved(vswitch, source, entry->frame);

	if (choice == RESERVED_FLOOD || choice == RESERVED_CUSTOMERS)
		return false;
	if (*why == PORT_DROP_BAD_LENGTH || !mac_is_station(address)) {
		*why = ends(source, *why == PORT_DROP_BAD_LENGTH ? *why : PORT_DROP_BAD_SOURCE);
		return true;
	}
	if (*why == GOES_ON)
		learn_source(thread, source, entry->vlan, address);
	if (choice == RESERVED_HANDLE && vswitch->protocols && entry->tag != FRAME_TAGGED &&
	    protocol_offer(thread, source, entry, 0, true) == PROTOCOL_TAKE)
		*why = GOES_ON;
	else
		*why = ends(source, PORT_DROP_RESERVED);
	return true;
}

/*
 * To a group: whether a protocol takes it, and if so, *why. A reserved one is left to others by now. The protocol may pass it on to
 * all ports, so it counts as a flood.
 */
static bool __attribute__((noinline))
taken_by_protocol(struct vswitch_thread *thread, struct port *source,
		  const struct egress_entry *entry, enum port_drop *why)
{
	bool room = storm_has_room(thread, source, PORT_STORM_MULTICAST);

	if (protocol_offer(thread, source, entry, entry->vlan, room) != PROTOCOL_TAKE)
		return false;
	if (room)
		storm_count(thread, source, PORT_STORM_MULTICAST, entry->frame);
	else
		*why = ends(source, PORT_DROP_STORM_MULTICAST);
	return true;
}

static inline bool may_be_taken(const struct vswitch_thread *thread, const struct port *source,
				uint64_t destination)
{
	return thread->vswitch->protocols && source->protocols && !reserved_is(destination);
}

static inline __attribute__((always_inline)) enum port_drop to_port(
	struct vswitch_thread *thread, struct port *source, struct port *port,
	const struct egress_entry *entry)
{
	if (port->home == source->home)
		return ends(source, PORT_DROP_SAME_PORT);
	if (!may_reach(source, port, entry))
		return ends(source, port->mirror_only              ? PORT_DROP_MIRROR
				    : !egress_carries(port, entry) ? PORT_DROP_VLAN
				    : port_is_parted(source, port) ? PORT_DROP_PARTITIONED
								   : PORT_DROP_ISOLATED);
	if (port->holds & PORT_HOLDS_OUT)
		return ends(source, PORT_DROP_TO_BLOCKED);
	egress_line_up(thread, port, entry);
	return GOES_ON;
}

/* What the few do that go a way of their own. `entry` is a copy for each, so that the one of all others need not be in memory. */
static bool __attribute__((noinline))
goes_elsewhere(struct vswitch_thread *thread, struct port *source, const struct egress_entry entry,
	       uint64_t destination, enum port_drop *why)
{
	if (may_be_taken(thread, source, destination) &&
	    taken_by_protocol(thread, source, &entry, why))
		return true;
	return thread->vswitch->groups && to_members(thread, source, &entry, why);
}

static enum port_drop __attribute__((noinline))
flood_copy(struct vswitch_thread *thread, struct port *source, uint64_t destination,
	   const struct egress_entry entry)
{
	return flood(thread, source, destination, &entry);
}

static bool __attribute__((noinline))
reserved_copy_ends(struct vswitch_thread *thread, struct port *source,
		   const struct egress_entry entry, uint64_t address, enum port_drop *why)
{
	return reserved_ends(thread, source, &entry, address, why);
}

static inline enum port_drop decide(struct vswitch_thread *thread, struct port *source,
				    struct frame *frame, const struct filter_mark *mark)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	uint64_t destination = mac_from_bytes(head), address = mac_from_bytes(head + 6);
	struct vswitch *vswitch = thread->vswitch;
	struct egress_entry entry = { .frame = frame, .mark = *mark, .source = source->index };
	uint16_t index = MAC_TABLE_NO_PORT;
	enum port_drop why = classify(source, head, &entry), other = why;

	if (reserved_is(destination)) {
		if (reserved_copy_ends(thread, source, entry, address, &other))
			return other;
	}
	if (why != GOES_ON)
		return ends(source, why);
	/* As Linux's bridge does, which counts them as errors of the receiving port. */
	if (!mac_is_station(address))
		return ends(source, PORT_DROP_BAD_SOURCE);
	learn_source(thread, source, entry.vlan, address);
	if (source->holds & PORT_HOLD_FORWARDING)
		return ends(source, PORT_DROP_BLOCKED);
	if (!mac_is_group(destination))
		index = mac_recent_lookup(&source->recent_destination, vswitch->table, entry.vlan,
					  destination, thread->now);
	else if (goes_elsewhere(thread, source, entry, destination, &other))
		return other;
	if (index == MAC_TABLE_NO_PORT)
		return flood_copy(thread, source, destination, entry);
	return to_port(thread, source, vswitch->ports[index], &entry);
}

/* By the rules of the port it came from, if it has any. `entry` is the frame as it came; its mark is what a rule says. */
static enum port_drop obey_rules(struct vswitch_thread *thread, struct port *port,
				 struct egress_entry *entry, unsigned slot)
{
	struct filter *filter = port->checkpoint[PORT_IN].filter;
	const struct filter_action *action;
	enum filter_verdict verdict;

	if (!filter)
		return GOES_ON;
	filter_pin(filter, entry->frame, slot);
	verdict = filter_decide(filter, entry->frame, thread->now, thread->room, &action);
	if (action && action->mirror_port) {
		/* For its tag: what fits depends on it. */
		classify(port, entry->frame->pieces[0].iov_base, entry);
		entry->vlan = 0;
		port_mirror_copy_to(thread, action->mirror_port, entry);
	}
	if (action)
		entry->mark = action->mark;
	return verdict == FILTER_ALLOW ? GOES_ON
				       : ends(port, verdict == FILTER_DROP ? PORT_DROP_FILTERED
									   : PORT_DROP_POLICED);
}

/* What comes by a port that gets copies ends; but at a link of a bond that does, what decides whether it carries frames. */
static enum port_drop ends_at_mirror(struct vswitch_thread *thread, struct port *port,
				     struct frame *frame)
{
	struct egress_entry entry = { .frame = frame, .source = port->index };

	if (bond_is_link(port) && mac_from_bytes(frame->pieces[0].iov_base) == SLOW_GROUP &&
	    protocol_offer(thread, port, &entry, 0, true) == PROTOCOL_TAKE)
		return GOES_ON;
	return ends(port, PORT_DROP_MIRROR);
}

/* A frame that something looks at, the `slot`th of its burst. */
static void __attribute__((noinline))
decide_looked_at(struct vswitch_thread *thread, struct port *port, struct frame *frame,
		 unsigned slot)
{
	struct egress_entry entry = { .frame = frame, .source = port->index };
	enum port_drop why;

	if (port->checkpoint[PORT_IN].mirror_count) {
		classify(port, frame->pieces[0].iov_base, &entry);
		port_mirror_copy(thread, port, PORT_IN, &entry);
	}
	why = obey_rules(thread, port, &entry, slot);
	if (why == GOES_ON && bond_of(port)->mirror_only)
		why = ends_at_mirror(thread, port, frame);
	else if (why == GOES_ON)
		why = decide(thread, port, frame, &entry.mark);
	/* What comes over a bad link was recorded before that (port_link.h). */
	if (!port->numbered || why != GOES_ON)
		checkpoint_capture(thread, port, PORT_IN, frame,
				   why == GOES_ON ? NULL : port_drop_name(why));
}

/* What the table will be asked, for a whole burst at once: its answers come from memory. */
static void prefetch(const struct mac_table *table, const struct port *source,
		     struct frame *const *frames, unsigned count)
{
	/* A tag would cost more than it is worth. */
	uint64_t vlan = (uint64_t)source->config.vlan.untagged << 48;
	uint64_t keys[2 * PORT_BURST];

	_Static_assert(2 * PORT_BURST <= MAC_TABLE_FETCH_MAX, "mac_table_prefetch()");
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *head = frames[i]->pieces[0].iov_base;

		keys[2 * i] = vlan | mac_from_bytes(head);
		keys[2 * i + 1] = vlan | mac_from_bytes(head + 6);
	}
	mac_table_prefetch(table, keys, 2 * count);
}

void decide_burst(struct vswitch_thread *thread, struct port *port, struct frame **frames,
		  unsigned count)
{
	static const struct filter_mark unmarked;
	const struct mac_table *table = thread->vswitch->table;
	uint64_t bytes = 0;

	if (count > 1 && !mac_table_is_near(table))
		prefetch(table, port, frames, count);
	port->counters.rx_frames += count;
	if (thread->vswitch->captures.count)
		for (unsigned i = 0; i < count; i++)
			if (!port->numbered || !frames[i]->id)
				frames[i]->id = ++thread->last_id;
	for (unsigned i = 0; i < count; i++) {
		bytes += frames[i]->length;
		if (port->checkpoint[PORT_IN].active)
			decide_looked_at(thread, port, frames[i], i);
		else
			decide(thread, port, frames[i], &unmarked);
	}
	port->counters.rx_bytes += bytes;
	turn_charge(port, count * TURN_FRAME + bytes + count * (uint64_t)turn_call_cost(port));
}
