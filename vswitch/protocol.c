/* SPDX-License-Identifier: BSD-2-Clause */
/* The control plane: protocols come and go, and get what waits for them; see protocol.h and protocol_internal.h. */
#include "vswitch/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/protocol_internal.h"

#define SEND_LEAST 60

/* ---- Handing over ---- */

uint64_t protocols_next(const struct vswitch *vswitch)
{
	return __atomic_load_n(&vswitch->control_pending, __ATOMIC_ACQUIRE)
		       ? 0
		       : timer_next(&vswitch->protocols->timers);
}

static struct protocol_frame *take_waiting(struct protocols *protocols)
{
	struct protocol_frame *frame = NULL;

	pthread_mutex_lock(&protocols->lock);
	if (!list_empty(&protocols->frames)) {
		frame = list_entry(list_pop(&protocols->frames), struct protocol_frame, node);
		protocols->slots[frame->from].waiting--;
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
	work = protocols_tell_states(vswitch);
	while ((frame = take_waiting(protocols))) {
		frame->protocol->ops->frame(frame->protocol, frame);
		free(frame);
		work++;
	}
	return work + timer_expire(&protocols->timers, vswitch->threads[0].now);
}

/* ---- Sending ---- */

static int send_entry(struct protocol *protocol, unsigned slot, struct egress_entry entry,
		      const void *bytes, size_t length)
{
	static const uint8_t padding[SEND_LEAST];
	struct iovec pieces[] = { { (void *)(uintptr_t)bytes, length },
				  { (void *)(uintptr_t)padding,
				    length < SEND_LEAST ? SEND_LEAST - length : 0 } };
	struct frame frame = { .pieces = pieces,
			       .count = length < SEND_LEAST ? 2 : 1,
			       .length = (uint32_t)MAX(length, (size_t)SEND_LEAST) };
	struct vswitch_thread *thread = &protocol->vswitch->threads[0];
	struct port *port = protocol_port(protocol, slot);

	if (!port || length < VIRTIO_NET_FRAME_MIN ||
	    (entry.vlan &&
	     !vlan_carries(&port->config.vlan, entry.vlan, bytes, length,
			   entry.tag == FRAME_UNTAGGED ? VLAN_AT : VLAN_AT + VLAN_TAG_SIZE)))
		return -EINVAL;
	if (!protocol_port_is_up(port))
		return -ENETDOWN;
	if (protocol->vswitch->captures.count)
		frame.id = ++thread->last_id;
	entry.frame = &frame;
	egress_line_up(thread, port, &entry);
	egress_all(thread);
	return 0;
}

int protocol_send(struct protocol *protocol, unsigned slot, uint16_t vlan, const void *bytes,
		  size_t length)
{
	struct egress_entry entry = { .vlan = vlan };

	return length > PROTOCOL_FRAME_MAX ? -EINVAL
					   : send_entry(protocol, slot, entry, bytes, length);
}

int protocol_pass_on(struct protocol *protocol, unsigned slot, const struct protocol_frame *frame)
{
	struct egress_entry entry = { .vlan = frame->vlan,
				      .tag = frame->tag,
				      .type = frame->tag_type,
				      .mark = frame->mark,
				      .source = (uint16_t)frame->from };
	uint8_t tagged[PROTOCOL_FRAME_MAX + VLAN_TAG_SIZE];

	if (frame->tag == FRAME_UNTAGGED)
		return send_entry(protocol, slot, entry, frame->bytes, frame->length);
	memcpy(tagged, frame->bytes, VLAN_AT);
	put_be16(tagged + VLAN_AT, frame->tag_type);
	put_be16(tagged + VLAN_AT + 2, frame->tag_control);
	memcpy(tagged + VLAN_AT + VLAN_TAG_SIZE, frame->bytes + VLAN_AT, frame->length - VLAN_AT);
	return send_entry(protocol, slot, entry, tagged, frame->length + VLAN_TAG_SIZE);
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

		if (!protocol_concerns(protocol, vswitch->list[i]))
			continue;
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

	protocols_drop_waiting(vswitch->protocols, protocol, 0);
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
