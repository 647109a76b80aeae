/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of a hostile remote: what is in front of a frame, and what is found out of the frame. The input is the kind, the limit
 * (16 bits), and a datagram.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/tunnel_format.h"

/* What was found out must be what a header could say. */
static void check_offload(const struct virtio_net_offload *offload, const uint8_t *frame,
			  size_t length)
{
	struct virtio_net_offload again;
	struct virtio_net_header header;

	virtio_net_encode(offload, &header);
	if (virtio_net_decode(&header, frame, length, length, &again) ||
	    memcmp(offload, &again, sizeof(again)) != 0)
		abort();
}

static void check_fit(uint8_t *bytes, size_t length, size_t limit,
		      const struct virtio_net_offload *offload)
{
	struct iovec piece = { bytes, length };
	struct frame frame = {
		.pieces = &piece, .count = 1, .length = (uint32_t)length, .offload = *offload
	};
	struct virtio_net_segmenter segmenter;
	struct virtio_net_segment segment;
	unsigned count = 0;

	if (!tunnel_fit(&frame, limit))
		return;
	check_offload(&frame.offload, bytes, length);
	virtio_net_segmenter_start(&segmenter, &frame.offload, frame.pieces, frame.count,
				   frame.length);
	for (; virtio_net_segmenter_next(&segmenter, &segment); count++)
		if (segment.headers + segment.payload_length > limit)
			abort();
	if (count != virtio_net_wire_frames(&frame.offload, length))
		abort();
}

/* What came with a mark has one, or none is possible there; of the frame's head alone the same is told. */
static void check_congestion(uint8_t *frame, size_t length, unsigned outer)
{
	static const struct tunnel_outer_rule inherit = { .inherit_tos = true,
							  .inherit_ttl = true };
	struct tunnel_outer before = tunnel_outer_of(&inherit, frame, length);
	struct tunnel_outer head = tunnel_outer_of(&inherit, frame, MIN(length, (size_t)64));

	if (head.tos != before.tos || head.ttl != before.ttl)
		abort();
	if (tunnel_ecn_in(frame, length, outer) && before.tos & 3 && outer == 3 &&
	    (tunnel_outer_of(&inherit, frame, length).tos & 3) != 3)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_offload offload;
	size_t inner = 0, limit, length;
	uint8_t *frame;

	if (size < 3)
		return 0;
	limit = get_le16(data + 1);
	if (tunnel_decode(data[0] & 1, 1, data + 3, size - 3, &inner))
		return 0;
	if (inner > size - 3)
		abort();
	length = size - 3 - inner;
	if (length < VIRTIO_NET_FRAME_MIN || length > VIRTIO_NET_FRAME_MAX)
		return 0;
	frame = malloc(length);
	memcpy(frame, data + 3 + inner, length);
	tunnel_find_offload(frame, length, limit, &offload);
	check_offload(&offload, frame, length);
	check_fit(frame, length, limit, &offload);
	tunnel_flow_hash(frame, MIN(length, (size_t)64));
	check_congestion(frame, length, data[1] & 3);
	free(frame);
	return 0;
}
