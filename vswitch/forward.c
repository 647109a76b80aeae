/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning, deciding, and handing bursts to their destinations; see forward.h and switch.h. */
#include "vswitch/forward.h"

#include "vswitch/internal.h"

#define RESERVED_GROUP 0x0180c2000000ULL /* to ...0f: IEEE 802.1Q-2022, table 8-1 */

/* A frame of any port has fewer; see VIRTQUEUE_MAX_CHAIN. */
#define SCRATCH_PIECES 4096

/* A frame made here: a new head before pieces of another frame. */
struct made_frame {
	struct frame frame;
	uint8_t head[VIRTIO_NET_HEAD_MAX];
};

struct forward_scratch {
	unsigned made_count, piece_count;
	struct made_frame made[PORT_BURST];
	struct iovec pieces[SCRATCH_PIECES];
};

/* The frames that wait to be transmitted on one port. */
struct forward_batch {
	struct vswitch *vswitch;
	struct port *port;
	struct frame *frames[PORT_BURST];
	unsigned count;
};

struct forward_scratch *forward_scratch_create(void)
{
	return calloc(1, sizeof(struct forward_scratch));
}

void forward_scratch_destroy(struct forward_scratch *scratch)
{
	free(scratch);
}

static void capture(struct vswitch *vswitch, const struct port *port, bool out,
		    const struct frame *frame)
{
	capture_frame(vswitch->capture, port->index, out, vswitch->now + vswitch->epoch, frame);
}

static void batch_flush(struct forward_batch *batch)
{
	struct vswitch *vswitch = batch->vswitch;

	if (batch->count && vswitch->capture && capture_has_directions(vswitch->capture))
		for (unsigned i = 0; i < batch->count; i++)
			capture(vswitch, batch->port, true, batch->frames[i]);
	if (batch->count)
		batch->port->ops->transmit(batch->port, batch->frames, batch->count);
	batch->count = 0;
	vswitch->scratch->made_count = vswitch->scratch->piece_count = 0;
}

static void batch_add(struct forward_batch *batch, struct frame *frame)
{
	batch->frames[batch->count++] = frame;
	if (batch->count == PORT_BURST)
		batch_flush(batch);
}

/*
 * Makes a frame of a head that the caller fills in, `head` bytes long, and bytes [offset, offset +
 * length) of `source`. Flushes the batch when there is no room. NULL if `source` is in too many pieces.
 */
static struct made_frame *make_frame(struct forward_batch *batch, const struct frame *source,
				     size_t head, size_t offset, size_t length)
{
	struct forward_scratch *scratch = batch->vswitch->scratch;
	struct made_frame *made;
	struct iovec *pieces;
	unsigned count = 0;

	/* There is a slot for each frame that fits into a batch. */
	for (unsigned attempt = 0; length && !count; attempt++) {
		unsigned space = SCRATCH_PIECES - scratch->piece_count;

		if (space > 1)
			count = frame_slice(source, offset, length,
					    &scratch->pieces[scratch->piece_count + 1], space - 1);
		if (!count && attempt)
			return NULL;
		if (!count)
			batch_flush(batch);
	}
	if (scratch->piece_count == SCRATCH_PIECES)
		batch_flush(batch);
	made = &scratch->made[scratch->made_count++];
	pieces = &scratch->pieces[scratch->piece_count];
	scratch->piece_count += count + 1;
	pieces[0] = (struct iovec){ made->head, head };
	made->frame = (struct frame){
		.pieces = pieces,
		.count = count + 1,
		.length = (uint32_t)(head + length),
	};
	return made;
}

static void add_with_checksum(struct forward_batch *batch, const struct frame *frame)
{
	size_t head = frame->pieces[0].iov_len;
	struct made_frame *made;

	head = head < VIRTIO_NET_HEAD_MAX ? head : VIRTIO_NET_HEAD_MAX;
	made = make_frame(batch, frame, head, head, frame->length - head);
	if (!made) {
		port_drop(batch->port, PORT_DROP_FAILED);
		return;
	}
	memcpy(made->head, frame->pieces[0].iov_base, head);
	made->frame.offload = frame->offload;
	virtio_net_complete_checksum(&made->frame.offload, made->frame.pieces, made->frame.count,
				     made->frame.length);
	batch->port->counters.checksummed++;
	batch_add(batch, &made->frame);
}

static void add_segments(struct forward_batch *batch, const struct frame *frame)
{
	struct virtio_net_segmenter segmenter;
	struct virtio_net_segment segment;

	virtio_net_segmenter_start(&segmenter, &frame->offload, frame->pieces, frame->count,
				   frame->length);
	while (virtio_net_segmenter_next(&segmenter, &segment)) {
		struct made_frame *made =
			make_frame(batch, frame, segment.headers, segment.payload_offset,
				   segment.payload_length);

		if (!made) {
			port_drop(batch->port, PORT_DROP_FAILED);
			return;
		}
		memcpy(made->head, segment.head, segment.headers);
		batch_add(batch, &made->frame);
	}
	batch->port->counters.segmented++;
}

/* Sends what was lined up at `port`, in order, as the port can take it. */
static void output(struct vswitch *vswitch, struct port *port)
{
	struct forward_batch batch = { .vswitch = vswitch, .port = port };

	for (unsigned i = 0; i < port->out_count; i++) {
		struct frame *frame = port->out[i];

		if (port->frame_max &&
		    virtio_net_wire_length(&frame->offload, frame->length) > port->frame_max) {
			port_drop(port, PORT_DROP_TOO_LONG);
			continue;
		}
		switch (virtio_net_action(&frame->offload, port->features)) {
		case VIRTIO_NET_PASS:
			batch_add(&batch, frame);
			break;
		case VIRTIO_NET_CHECKSUM:
			add_with_checksum(&batch, frame);
			break;
		case VIRTIO_NET_SEGMENT:
			add_segments(&batch, frame);
			break;
		}
	}
	batch_flush(&batch);
	port->out_count = 0;
}

static void line_up(struct port *port, struct frame *frame)
{
	port->out[port->out_count++] = frame;
}

static void flood(struct vswitch *vswitch, struct port *source, struct frame *frame)
{
	bool sent = false;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *port = vswitch->ports[i];

		if (port == source || !port->up)
			continue;
		line_up(port, frame);
		sent = true;
	}
	if (sent)
		source->counters.flooded++;
	else
		port_drop(source, PORT_DROP_NO_PORT);
}

static void forward(struct vswitch *vswitch, struct port *source, struct frame *frame)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	uint64_t destination = mac_from_bytes(head), address = mac_from_bytes(head + 6);
	uint16_t index = MAC_TABLE_NO_PORT;
	struct port *port;

	source->counters.rx_frames++;
	source->counters.rx_bytes += frame->length;
	if (vswitch->capture)
		capture(vswitch, source, false, frame);
	/* As Linux's bridge does, which counts them as errors of the receiving port. */
	if (!mac_is_station(address)) {
		port_drop(source, PORT_DROP_BAD_SOURCE);
		return;
	}
	if (vswitch->ageing)
		mac_table_learn(vswitch->table, address, source->index, vswitch->now);
	if ((destination & ~0xfULL) == RESERVED_GROUP) {
		port_drop(source, PORT_DROP_RESERVED);
		return;
	}
	if (!mac_is_group(destination))
		index = mac_table_lookup(vswitch->table, destination, vswitch->now);
	if (index == MAC_TABLE_NO_PORT) {
		flood(vswitch, source, frame);
		return;
	}
	port = vswitch->ports[index];
	if (port == source)
		port_drop(source, PORT_DROP_SAME_PORT);
	else if (!port->up)
		port_drop(port, PORT_DROP_DOWN);
	else
		line_up(port, frame);
}

unsigned forward_burst(struct vswitch *vswitch, struct port *port)
{
	struct frame *frames[PORT_BURST];
	unsigned count = port->ops->receive(port, frames, PORT_BURST);

	for (unsigned i = 0; i < count; i++)
		forward(vswitch, port, frames[i]);
	if (count)
		for (unsigned i = 0; i < vswitch->port_count; i++)
			if (vswitch->ports[i]->out_count)
				output(vswitch, vswitch->ports[i]);
	port->ops->release(port);
	return count;
}
