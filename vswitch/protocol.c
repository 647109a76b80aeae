/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control plane: what waits for protocols, and handing it to them; see protocol.h.
 *
 * The waiting frames and each port's share of them are guarded by `lock`, for any thread puts frames there. `control_pending` of the switch
 * says, also without it, that there is something to hand over. All else changes on the first thread while the others pause.
 */
#include "vswitch/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"

#define LOOK_MOST  128 /* bytes of a frame that `wants` may see */
#define SEND_LEAST 60

#define RATE_INTERVAL (1000000000u / PROTOCOL_RATE)

struct slot {
	unsigned waiting;
	uint64_t next; /* when the next frame would come if all came evenly: see decide.c */
	bool up;       /* what protocols were told */
	uint32_t downs;
	uint8_t holds[PROTOCOLS_MAX];
};

struct protocols {
	struct protocol *list[PROTOCOLS_MAX]; /* by index; with holes */
	struct timer_heap timers;
	struct slot slots[VSWITCH_PORTS_MAX];
	pthread_mutex_t lock;
	struct list frames;
};

/* ---- Claiming ---- */

static enum protocol_verdict claims(const struct protocol *protocol, const struct port *source,
				    const uint8_t *head, size_t length)
{
	uint64_t destination = mac_from_bytes(head);

	for (unsigned i = 0; i < protocol->ops->claim_count; i++) {
		const struct protocol_claim *claim = &protocol->ops->claims[i];
		enum protocol_verdict verdict = PROTOCOL_TAKE;

		if ((destination & claim->mask) != claim->address ||
		    (claim->type && claim->type != get_be16(head + VLAN_AT)))
			continue;
		if (claim->wants)
			verdict = claim->wants(protocol, source, head + VIRTIO_NET_FRAME_MIN,
					       length - VIRTIO_NET_FRAME_MIN);
		if (verdict != PROTOCOL_IGNORE)
			return verdict;
	}
	return PROTOCOL_IGNORE;
}

/* Copies the beginning of a frame, without its tag; returns how much. */
static size_t copy_beginning(const struct frame *frame, size_t skip, uint8_t head[LOOK_MOST])
{
	size_t length = MIN((size_t)frame->length - skip, (size_t)LOOK_MOST);

	frame_copy_out(frame->pieces, frame->count, 0, head, VLAN_AT);
	frame_copy_out(frame->pieces, frame->count, VLAN_AT + skip, head + VLAN_AT,
		       length - VLAN_AT);
	return length;
}

static struct protocol_frame *copy_frame(const struct frame *frame, size_t skip,
					 const uint8_t *head, size_t head_length)
{
	size_t length = frame->length - skip;
	struct protocol_frame *copy = malloc(sizeof(*copy) + length);
	struct virtio_net_offload offload = frame->offload;
	struct iovec piece;

	if (!copy)
		return NULL;
	copy->length = length;
	memcpy(copy->bytes, head, head_length);
	frame_copy_out(frame->pieces, frame->count, head_length + skip, copy->bytes + head_length,
		       length - head_length);
	if (offload.needs_checksum && offload.checksum_start >= VIRTIO_NET_FRAME_MIN + skip) {
		offload.checksum_start -= (uint16_t)skip;
		piece = (struct iovec){ copy->bytes, length };
		virtio_net_complete_checksum(&offload, &piece, 1, (uint32_t)length);
	}
	return copy;
}

/* Whether the port may have one more waiting; `lock` is held. */
static bool has_room(struct slot *slot, uint64_t now)
{
	if (slot->waiting >= PROTOCOL_SHARE || slot->next > now + PROTOCOL_SHARE * RATE_INTERVAL)
		return false;
	slot->waiting++;
	slot->next = MAX(slot->next, now) + RATE_INTERVAL;
	return true;
}

/* False: there is no room for it. */
static bool enqueue(struct vswitch_thread *thread, const struct port *source,
		    struct protocol_frame *copy)
{
	struct protocols *protocols = thread->vswitch->protocols;
	bool room;

	pthread_mutex_lock(&protocols->lock);
	room = has_room(&protocols->slots[source->index], thread->now);
	if (room)
		list_add_tail(&protocols->frames, &copy->node);
	pthread_mutex_unlock(&protocols->lock);
	if (room)
		vswitch_control_soon(thread->vswitch);
	return room;
}

static bool may_wait(struct vswitch_thread *thread, const struct port *source,
		     const struct frame *frame)
{
	struct protocols *protocols = thread->vswitch->protocols;
	const struct slot *slot = &protocols->slots[source->index];
	bool room;

	if (frame->length > PROTOCOL_FRAME_MAX)
		return false;
	pthread_mutex_lock(&protocols->lock);
	room = slot->waiting < PROTOCOL_SHARE &&
	       slot->next <= thread->now + PROTOCOL_SHARE * RATE_INTERVAL;
	pthread_mutex_unlock(&protocols->lock);
	return room;
}

static void hand_over(struct vswitch_thread *thread, struct port *source, struct protocol *protocol,
		      struct protocol_frame *copy, uint16_t vlan)
{
	if (copy) {
		copy->protocol = protocol;
		copy->slot = source->index;
		copy->vlan = vlan;
		copy->time = thread->now;
		if (enqueue(thread, source, copy))
			return;
	}
	free(copy);
	port_drop(source, PORT_DROP_CONTROL_OVERRUN);
}

enum protocol_verdict protocol_offer(struct vswitch_thread *thread, struct port *source,
				     struct frame *frame, uint16_t vlan, bool tagged, bool may_take)
{
	struct protocols *protocols = thread->vswitch->protocols;
	size_t skip = tagged ? VLAN_TAG_SIZE : 0, length;
	enum protocol_verdict verdict;
	uint8_t head[LOOK_MOST];

	if (!source->protocols || frame->offload.gso || frame->length < VIRTIO_NET_FRAME_MIN + skip)
		return PROTOCOL_IGNORE;
	length = copy_beginning(frame, skip, head);
	for (unsigned left = source->protocols; left; left &= left - 1) {
		struct protocol *protocol = protocols->list[__builtin_ctz(left)];

		verdict = claims(protocol, source, head, length);
		if (verdict == PROTOCOL_IGNORE)
			continue;
		if (verdict == PROTOCOL_TAKE && !may_take)
			return verdict;
		hand_over(thread, source, protocol,
			  may_wait(thread, source, frame) ? copy_frame(frame, skip, head, length)
							  : NULL,
			  vlan);
		return verdict;
	}
	return PROTOCOL_IGNORE;
}

/* ---- Handing over ---- */

uint64_t protocols_next(const struct vswitch *vswitch)
{
	return __atomic_load_n(&vswitch->control_pending, __ATOMIC_ACQUIRE)
		       ? 0
		       : timer_next(&vswitch->protocols->timers);
}

void protocols_port_event(struct vswitch *vswitch, unsigned slot, enum protocol_port_event event)
{
	struct protocols *protocols = vswitch->protocols;

	for (unsigned i = 0; protocols && i < PROTOCOLS_MAX; i++)
		if (protocols->list[i])
			protocols->list[i]->ops->port(protocols->list[i], slot, event);
}

/* A port that gets only copies is one without a neighbour. */
static bool is_up(const struct port *port)
{
	return port_is_up(port) && !port->mirror_only;
}

/* Tells how the ports are, where it is not what was told. */
static unsigned tell_states(struct vswitch *vswitch)
{
	struct protocols *protocols = vswitch->protocols;
	unsigned told = 0;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i];
		struct slot *slot = &protocols->slots[port->index];
		uint32_t downs = __atomic_load_n(&port->downs, __ATOMIC_ACQUIRE);
		bool up = is_up(port);

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

static struct protocol_frame *take_waiting(struct protocols *protocols)
{
	struct protocol_frame *frame = NULL;

	pthread_mutex_lock(&protocols->lock);
	if (!list_empty(&protocols->frames)) {
		frame = list_entry(list_pop(&protocols->frames), struct protocol_frame, node);
		protocols->slots[frame->slot].waiting--;
	}
	pthread_mutex_unlock(&protocols->lock);
	return frame;
}

unsigned protocols_run(struct vswitch *vswitch)
{
	struct protocols *protocols = vswitch->protocols;
	struct protocol_frame *frame;
	unsigned work;

	__atomic_store_n(&vswitch->control_pending, false, __ATOMIC_RELEASE);
	work = tell_states(vswitch);
	while ((frame = take_waiting(protocols))) {
		frame->protocol->ops->frame(frame->protocol, frame);
		free(frame);
		work++;
	}
	return work + timer_expire(&protocols->timers, vswitch->threads[0].now);
}

/* Lets go of the frames of a slot, or (NULL: all) of a protocol, that wait. */
static void drop_waiting(struct protocols *protocols, const struct protocol *protocol,
			 unsigned slot)
{
	struct list kept;
	struct protocol_frame *frame;

	list_init(&kept);
	pthread_mutex_lock(&protocols->lock);
	while (!list_empty(&protocols->frames)) {
		frame = list_entry(list_pop(&protocols->frames), struct protocol_frame, node);
		if (protocol ? frame->protocol != protocol : frame->slot != slot) {
			list_add_tail(&kept, &frame->node);
			continue;
		}
		protocols->slots[frame->slot].waiting--;
		free(frame);
	}
	while (!list_empty(&kept))
		list_add_tail(&protocols->frames, list_pop(&kept));
	pthread_mutex_unlock(&protocols->lock);
}

/* ---- Ports ---- */

void protocols_port_added(struct vswitch *vswitch, const struct port *port)
{
	if (!vswitch->protocols)
		return;
	vswitch->protocols->slots[port->index] = (struct slot){ .downs = port->downs };
	protocols_port_event(vswitch, port->index, PROTOCOL_PORT_ADDED);
	vswitch_control_soon(vswitch);
}

void protocols_port_removed(struct vswitch *vswitch, const struct port *port)
{
	if (!vswitch->protocols)
		return;
	drop_waiting(vswitch->protocols, NULL, port->index);
	protocols_port_event(vswitch, port->index, PROTOCOL_PORT_REMOVED);
}

struct port *protocol_port(const struct protocol *protocol, unsigned slot)
{
	return slot < VSWITCH_PORTS_MAX ? protocol->vswitch->ports[slot] : NULL;
}

void protocol_enable(struct protocol *protocol, unsigned slot, bool enabled)
{
	struct port *port = protocol_port(protocol, slot);

	if (!port)
		return;
	port->protocols &= (uint16_t) ~(1u << protocol->index);
	port->protocols |= (uint16_t)((unsigned)enabled << protocol->index);
}

void protocol_hold(struct protocol *protocol, unsigned slot, uint8_t holds)
{
	struct port *port = protocol_port(protocol, slot);
	uint8_t *of;

	if (!port)
		return;
	of = protocol->vswitch->protocols->slots[slot].holds;
	of[protocol->index] = holds;
	port->holds = 0;
	for (unsigned i = 0; i < PROTOCOLS_MAX; i++)
		port->holds |= of[i];
}

void protocol_flush(struct protocol *protocol, unsigned slot)
{
	struct port *port = protocol_port(protocol, slot);

	if (port)
		port_forget(port);
}

/* ---- Sending ---- */

int protocol_send(struct protocol *protocol, unsigned slot, uint16_t vlan, const void *bytes,
		  size_t length)
{
	static const uint8_t padding[SEND_LEAST];
	struct iovec pieces[] = { { (void *)(uintptr_t)bytes, length },
				  { (void *)(uintptr_t)padding,
				    length < SEND_LEAST ? SEND_LEAST - length : 0 } };
	struct frame frame = { .pieces = pieces,
			       .count = length < SEND_LEAST ? 2 : 1,
			       .length = (uint32_t)MAX(length, (size_t)SEND_LEAST) };
	struct egress_entry entry = { .frame = &frame, .vlan = vlan };
	struct vswitch_thread *thread = &protocol->vswitch->threads[0];
	struct port *port = protocol_port(protocol, slot);

	if (!port || length < VIRTIO_NET_FRAME_MIN || length > PROTOCOL_FRAME_MAX ||
	    (vlan && !vlan_has(&port->config.vlan, vlan)))
		return -EINVAL;
	if (!is_up(port))
		return -ENETDOWN;
	if (protocol->vswitch->captures.count)
		frame.id = ++thread->last_id;
	egress_line_up(thread, port, &entry);
	egress_all(thread);
	return 0;
}

/* ---- Timers ---- */

uint64_t protocol_now(const struct protocol *protocol)
{
	return protocol->vswitch->threads[0].now;
}

void protocol_timer_arm(struct protocol *protocol, struct timer *timer, uint64_t when)
{
	timer_arm(&protocol->vswitch->protocols->timers, timer, when);
}

void protocol_timer_disarm(struct protocol *protocol, struct timer *timer)
{
	if (protocol->vswitch)
		timer_disarm(&protocol->vswitch->protocols->timers, timer);
}

/* ---- Coming and going ---- */

struct protocol *protocol_find(const struct vswitch *vswitch, const char *name)
{
	for (unsigned i = 0; vswitch->protocols && i < PROTOCOLS_MAX; i++) {
		struct protocol *protocol = vswitch->protocols->list[i];

		if (protocol && !strcmp(protocol->ops->name, name))
			return protocol;
	}
	return NULL;
}

struct protocol_call {
	struct vswitch *vswitch;
	struct protocol *protocol;
	const char *name;
	struct protocols *fresh; /* for a switch that has none; taken */
	struct error *error;
};

static struct protocols *make_protocols(void)
{
	struct protocols *protocols = calloc(1, sizeof(*protocols));

	if (!protocols)
		return NULL;
	list_init(&protocols->frames);
	pthread_mutex_init(&protocols->lock, NULL);
	return protocols;
}

static void free_protocols(struct protocols *protocols)
{
	if (!protocols)
		return;
	timer_heap_destroy(&protocols->timers);
	pthread_mutex_destroy(&protocols->lock);
	free(protocols);
}

static void take_fresh(struct protocol_call *call)
{
	struct vswitch *vswitch = call->vswitch;

	if (vswitch->protocols)
		return;
	vswitch->protocols = call->fresh;
	call->fresh = NULL;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		vswitch->protocols->slots[vswitch->list[i]->index].downs = vswitch->list[i]->downs;
}

static int add_protocol(void *arg)
{
	struct protocol_call *call = arg;
	struct protocol *protocol = call->protocol;
	struct vswitch *vswitch = call->vswitch;
	struct protocols *protocols;
	unsigned index = 0;

	if (protocol_find(vswitch, protocol->ops->name))
		return error_set(call->error, -EEXIST, "switch %s: %s runs already", vswitch->name,
				 protocol->ops->name);
	take_fresh(call);
	protocols = vswitch->protocols;
	while (index < PROTOCOLS_MAX && protocols->list[index])
		index++;
	if (index == PROTOCOLS_MAX)
		return error_set(call->error, -ENOSPC, "switch %s: %s: it has %d protocols already",
				 vswitch->name, protocol->ops->name, PROTOCOLS_MAX);
	protocols->list[index] = protocol;
	protocol->vswitch = vswitch;
	protocol->index = index;
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		unsigned slot = vswitch->list[i]->index;

		protocol->ops->port(protocol, slot, PROTOCOL_PORT_ADDED);
		if (protocols->slots[slot].up)
			protocol->ops->port(protocol, slot, PROTOCOL_PORT_UP);
	}
	vswitch_control_soon(vswitch);
	return 0;
}

int vswitch_add_protocol(struct vswitch *vswitch, struct protocol *protocol, struct error *error)
{
	struct protocol_call call = {
		.vswitch = vswitch, .protocol = protocol, .fresh = make_protocols(), .error = error
	};
	int rc = call.fresh ? vswitch_call(vswitch, add_protocol, &call)
			    : error_set(error, -ENOMEM, "switch %s: out of memory", vswitch->name);

	free_protocols(call.fresh);
	if (rc)
		protocol->ops->destroy(protocol);
	return rc;
}

static void part_with(struct protocol *protocol)
{
	struct vswitch *vswitch = protocol->vswitch;

	drop_waiting(vswitch->protocols, protocol, 0);
	if (protocol->ops->leave)
		protocol->ops->leave(protocol);
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		protocol_enable(protocol, vswitch->list[i]->index, false);
		protocol_hold(protocol, vswitch->list[i]->index, 0);
	}
	vswitch->protocols->list[protocol->index] = NULL;
	protocol->vswitch = NULL;
}

static int remove_protocol(void *arg)
{
	struct protocol_call *call = arg;

	call->protocol = protocol_find(call->vswitch, call->name);
	if (!call->protocol)
		return error_set(call->error, -ENOENT, "switch %s: %s does not run",
				 call->vswitch->name, call->name);
	part_with(call->protocol);
	return 0;
}

int vswitch_remove_protocol(struct vswitch *vswitch, const char *name, struct error *error)
{
	struct protocol_call call = { .vswitch = vswitch, .name = name, .error = error };
	int rc = vswitch_call(vswitch, remove_protocol, &call);

	if (!rc)
		call.protocol->ops->destroy(call.protocol);
	return rc;
}

void protocols_destroy(struct vswitch *vswitch)
{
	struct protocols *protocols = vswitch->protocols;

	for (unsigned i = 0; protocols && i < PROTOCOLS_MAX; i++) {
		struct protocol *protocol = protocols->list[i];

		if (!protocol)
			continue;
		part_with(protocol);
		protocol->ops->destroy(protocol);
	}
	free_protocols(protocols);
	vswitch->protocols = NULL;
}
