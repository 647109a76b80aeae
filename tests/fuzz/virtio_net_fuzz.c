/* SPDX-License-Identifier: BSD-2-Clause */
/* A hostile virtio-net header and frame: decode, then all that may follow. The input is the 12 bytes of
 * the header, a byte that says where the frame is cut into two pieces, and the frame. */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtio_net.h"

static void segment(const struct virtio_net_offload *offload, const struct iovec pieces[2],
		    size_t length)
{
	struct virtio_net_segmenter segmenter;
	struct virtio_net_segment one;
	size_t payload = 0;
	unsigned count = 0;

	virtio_net_segmenter_start(&segmenter, offload, pieces, 2, length);
	while (virtio_net_segmenter_next(&segmenter, &one)) {
		if (one.headers > sizeof(one.head) || !one.payload_length ||
		    !range_within(one.payload_offset, one.payload_length, length))
			abort();
		payload += one.payload_length;
		count++;
	}
	if (payload + offload->headers != length || count > VIRTIO_NET_SEGMENTS_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_offload offload;
	struct virtio_net_header header, again;
	struct iovec pieces[2];
	size_t length, head;
	uint8_t *copy;

	if (size < sizeof(header) + 1)
		return 0;
	memcpy(&header, data, sizeof(header));
	length = size - sizeof(header) - 1;
	/* Two allocations, so that a byte too many is seen. */
	head = MIN(length, MAX((size_t)VIRTIO_NET_HEAD_MAX, (size_t)data[sizeof(header)] * 8));
	copy = malloc(head + 1);
	pieces[0] = (struct iovec){ copy, head };
	pieces[1] = (struct iovec){ malloc(length - head + 1), length - head };
	memcpy(copy, data + size - length, head);
	memcpy(pieces[1].iov_base, data + size - length + head, length - head);

	if (virtio_net_decode(&header, copy, head, length, &offload) == VIRTIO_NET_FAULT_NONE) {
		virtio_net_encode(&offload, &again);
		if (virtio_net_wire_length(&offload, length) > length)
			abort();
		if (offload.gso != VIRTIO_NET_HDR_GSO_NONE)
			segment(&offload, pieces, length);
		else if (offload.needs_checksum)
			virtio_net_complete_checksum(&offload, pieces, 2, length);
	}
	free(copy);
	free(pieces[1].iov_base);
	return 0;
}
