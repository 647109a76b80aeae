/* SPDX-License-Identifier: BSD-2-Clause */
/* See fake_port.h. */
#include "fake_port.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

static struct fake_port *fake_of(struct port *port)
{
	return container_of(port, struct fake_port, port);
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct fake_port *fake = fake_of(port);
	unsigned count = 0;

	while (count < max && fake->in_next < fake->in_count) {
		struct fake_frame *in = &fake->in[fake->in_next++];
		struct frame *frame = &fake->frames[count];
		struct iovec *pieces = fake->pieces[count];
		size_t at = MIN(in->length, (size_t)VIRTIO_NET_HEAD_MAX);

		*frame = (struct frame){ .pieces = pieces,
					 .length = (uint32_t)in->length,
					 .offload = in->offload };
		pieces[frame->count++] = (struct iovec){ in->bytes, at };
		while (at < in->length) {
			size_t take = fake->small_pieces ? MIN(in->length - at, (size_t)100)
							 : in->length - at;

			pieces[frame->count++] = (struct iovec){ in->bytes + at, take };
			at += take;
		}
		frames[count++] = frame;
	}
	fake->held = count;
	return count;
}

static void release(struct port *port)
{
	struct fake_port *fake = fake_of(port);

	fake->released += fake->held > 0;
	for (unsigned i = fake->in_next - fake->held; i < fake->in_next; i++) {
		free(fake->in[i].bytes); /* so that a late look at it is seen */
		fake->in[i].bytes = NULL;
	}
	fake->held = 0;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct fake_port *fake = fake_of(port);

	for (unsigned i = 0; i < count; i++) {
		struct fake_frame *out;

		if (fake->out_count == FAKE_PORT_FRAMES)
			return i;
		out = &fake->out[fake->out_count++];
		out->offload = frames[i]->offload;
		out->length = frames[i]->length;
		out->bytes = malloc(out->length);
		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, out->bytes, out->length);
		port_count_tx(port, frames[i]);
	}
	return count;
}

void fake_port_clear(struct fake_port *fake)
{
	for (unsigned i = 0; i < fake->out_count; i++)
		free(fake->out[i].bytes);
	fake->out_count = 0;
}

static void destroy(struct port *port)
{
	struct fake_port *fake = fake_of(port);

	fake_port_clear(fake);
	for (unsigned i = 0; i < fake->in_count; i++)
		free(fake->in[i].bytes);
	free(fake);
}

static const struct port_ops ops = {
	.type = "fake",
	.receive = receive,
	.release = release,
	.transmit = transmit,
	.destroy = destroy,
};

struct fake_port *fake_port_add(struct vswitch *vswitch, const char *name, uint64_t features)
{
	struct fake_port *fake = calloc(1, sizeof(*fake));

	fake->port.ops = &ops;
	fake->port.up = true;
	fake->port.features = features;
	return vswitch_add_port(vswitch, &fake->port, name, NULL) ? NULL : fake;
}

void fake_port_put(struct fake_port *fake, const void *bytes, size_t length,
		   const struct virtio_net_header *header)
{
	static const struct virtio_net_header none;
	struct fake_frame *in;

	if (fake->in_next == fake->in_count)
		fake->in_next = fake->in_count = 0;
	if (fake->in_count == FAKE_PORT_FRAMES)
		abort();
	in = &fake->in[fake->in_count++];
	in->length = length;
	in->bytes = malloc(length);
	memcpy(in->bytes, bytes, length);
	if (virtio_net_decode(header ? header : &none, in->bytes,
			      MIN(length, (size_t)VIRTIO_NET_HEAD_MAX), length, &in->offload))
		abort();
}

void fake_port_put_frame(struct fake_port *fake, uint64_t destination, uint64_t source,
			 size_t length)
{
	uint8_t bytes[VIRTIO_NET_FRAME_MAX] = { 0 };

	put_be16(bytes, (uint16_t)(destination >> 32));
	put_be32(bytes + 2, (uint32_t)destination);
	put_be16(bytes + 6, (uint16_t)(source >> 32));
	put_be32(bytes + 8, (uint32_t)source);
	put_be16(bytes + 12, 0x88b5); /* for local experiments */
	fake_port_put(fake, bytes, length ? length : 60, NULL);
}
