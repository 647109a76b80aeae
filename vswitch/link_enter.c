/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_enter.h. */
#include "vswitch/link_enter.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/internal.h"
#include "vswitch/link_ecn.h"

/* A packet as a wire has it: `head` bytes at `at`, then [offset, offset + length) of `frame`. */
struct link_packet {
	const uint8_t *at;
	size_t head;
	const struct frame *frame;
	size_t offset, length;
	uint64_t id;
};

/* NULL: there is no room in the queue. */
static struct link_frame *copy_packet(const struct link_queue *queue,
				      const struct link_packet *packet)
{
	struct link_frame *copy = link_frame_create(queue, packet->head + packet->length);

	if (!copy)
		return NULL;
	memcpy(copy->bytes, packet->at, packet->head);
	frame_copy_out(packet->frame->pieces, packet->frame->count, packet->offset,
		       copy->bytes + packet->head, packet->length);
	copy->frame.id = packet->id;
	return copy;
}

/* In one piece, for the captures. */
static void record_packet(const struct port *port, const struct link_packet *packet,
			  const char *dropped)
{
	static const struct link_queue unbounded;
	struct link_frame *copy;

	if (!port || !port->checkpoint[PORT_IN].capture_count)
		return;
	copy = copy_packet(&unbounded, packet);
	if (copy)
		checkpoint_capture(port->thread, port, PORT_IN, &copy->frame, dropped);
	free(copy);
}

/* Why nothing of it goes on; NULL: something does. */
static const char *enter_packet(const struct link_entrance *at, const struct link_packet *packet)
{
	size_t length = packet->head + packet->length;
	struct link_way *way = at->way;
	struct link_fate fate;
	unsigned entered = 0;
	uint64_t waiting = LINK_NO_ROOM;

	/* What is dropped for lack of memory has taken no time of the wire. */
	if (link_queue_has_room(at->queue, 2, length))
		waiting = link_model_has_wire(&way->model) ? link_queue_waiting(at->queue, at->now)
							   : at->queue->count;
	link_way_decide(way, at->now, length, waiting,
			way->model.ecn && link_ecn_capable(packet->at, packet->head), &fate);
	for (unsigned i = 0; i < fate.copies; i++) {
		struct link_frame *copy = copy_packet(at->queue, packet);

		if (!copy) {
			way->counters.queue_full++;
			continue;
		}
		if (fate.mark)
			link_ecn_mark(copy->bytes, length);
		if (!i && fate.corrupt_bit >= 0)
			copy->bytes[fate.corrupt_bit / 8] ^= (uint8_t)(1u << fate.corrupt_bit % 8);
		if (link_queue_push(at->queue, at->now,
				    &(struct link_turn){ fate.sent[i], fate.due[i] - fate.sent[i],
							 copy, (uint32_t)length,
							 way->model.keep_order }))
			entered++;
		else
			way->counters.queue_full++;
	}
	if (!entered && !fate.dropped)
		fate.dropped = LINK_DROP_QUEUE_FULL;
	record_packet(at->recorder, packet, fate.dropped);
	return fate.dropped;
}

static const char *enter_segments(const struct link_entrance *at, const struct frame *frame,
				  uint64_t id)
{
	struct virtio_net_segmenter segmenter;
	struct virtio_net_segment segment;
	const char *dropped = NULL;
	bool entered = false;

	virtio_net_segmenter_start(&segmenter, &frame->offload, frame->pieces, frame->count,
				   frame->length);
	while (virtio_net_segmenter_next(&segmenter, &segment)) {
		const struct link_packet packet = {
			segment.head,           segment.headers,        frame,
			segment.payload_offset, segment.payload_length, id
		};
		const char *why = enter_packet(at, &packet);

		entered |= !why;
		dropped = why ? why : dropped;
	}
	return entered ? NULL : dropped;
}

const char *link_enter(const struct link_entrance *at, const struct frame *frame, uint64_t id)
{
	size_t head = MIN(frame->pieces[0].iov_len, (size_t)VIRTIO_NET_HEAD_MAX);
	struct virtio_net_offload offload = frame->offload;
	uint8_t finished[VIRTIO_NET_HEAD_MAX];

	if (offload.gso != VIRTIO_NET_HDR_GSO_NONE)
		return enter_segments(at, frame, id);
	memcpy(finished, frame->pieces[0].iov_base, head);
	if (offload.needs_checksum) {
		size_t start = offload.checksum_start;
		uint16_t folded;
		uint64_t sum = virtio_net_sum_pieces(0, frame->pieces, frame->count, start,
						     frame->length - start);
		folded = (uint16_t)~virtio_net_fold(sum);
		folded = folded ? folded : 0xffff;
		memcpy(finished + start + offload.checksum_offset, &folded, sizeof(folded));
	}
	return enter_packet(at, &(struct link_packet){ finished, head, frame, head,
						       frame->length - head, id });
}
