/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that protocols claim: copied, whole, on any thread; see protocol_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/protocol_internal.h"

#define LOOK_MOST     128 /* bytes of a frame that `wants` may see */
#define RATE_INTERVAL (1000000000u / PROTOCOL_RATE)

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
static bool has_room(struct protocol_slot *slot, uint64_t now)
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
	const struct protocol_slot *slot = &protocols->slots[source->index];
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
		      enum protocol_verdict verdict, struct protocol_frame *copy,
		      const struct egress_entry *entry, uint16_t vlan)
{
	const uint8_t *head = entry->frame->pieces[0].iov_base;

	if (copy) {
		copy->protocol = protocol;
		copy->slot = protocol->ops->physical ? source->index : source->home;
		copy->from = source->index;
		copy->vlan = vlan;
		copy->tag = entry->tag;
		copy->tag_type = entry->type;
		copy->tag_control = entry->tag == FRAME_UNTAGGED ? 0 : get_be16(head + VLAN_AT + 2);
		copy->mark = entry->mark;
		copy->time = thread->now;
		if (enqueue(thread, source, copy)) {
			source->counters.taken += verdict == PROTOCOL_TAKE;
			return;
		}
	}
	free(copy);
	port_drop(source, PORT_DROP_CONTROL_OVERRUN);
}

enum protocol_verdict protocol_offer(struct vswitch_thread *thread, struct port *source,
				     const struct egress_entry *entry, uint16_t vlan, bool may_take)
{
	struct protocols *protocols = thread->vswitch->protocols;
	const struct frame *frame = entry->frame;
	size_t skip = entry->tag != FRAME_UNTAGGED ? VLAN_TAG_SIZE : 0, length;
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
		hand_over(thread, source, protocol, verdict,
			  may_wait(thread, source, frame) ? copy_frame(frame, skip, head, length)
							  : NULL,
			  entry, vlan);
		return verdict;
	}
	return PROTOCOL_IGNORE;
}

void protocols_drop_waiting(struct protocols *protocols, const struct protocol *protocol,
			    unsigned slot)
{
	struct list kept;
	struct protocol_frame *frame;

	list_init(&kept);
	pthread_mutex_lock(&protocols->lock);
	while (!list_empty(&protocols->frames)) {
		frame = list_entry(list_pop(&protocols->frames), struct protocol_frame, node);
		if (protocol ? frame->protocol != protocol : frame->from != slot) {
			list_add_tail(&kept, &frame->node);
			continue;
		}
		protocols->slots[frame->from].waiting--;
		free(frame);
	}
	while (!list_empty(&kept))
		list_add_tail(&protocols->frames, list_pop(&kept));
	pthread_mutex_unlock(&protocols->lock);
}
