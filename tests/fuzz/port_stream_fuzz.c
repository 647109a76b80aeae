/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hostile peer sends on a stream socket (vswitch/port_stream.h), and in what pieces. The input: how many bytes the peer sends at a
 * time, then the stream. What comes to another port is what a plain reading of it has, in order, until a length that cannot be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bytes.h"
#include "vswitch/internal.h"
#include "vswitch/port_stream.h"
#include "vswitch/switch.h"

#define STREAM_MOST 60000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where frames come to, and what is still expected of the stream. */
struct sink {
	struct port port;
	const uint8_t *next;
	size_t left;
};

struct peer {
	int ours, theirs;
};

static unsigned nothing(struct port *port, struct frame **frames, unsigned max)
{
	(void)port, (void)frames, (void)max;
	return 0;
}

static void nothing_held(struct port *port)
{
	(void)port;
}

/* The next frame of the stream that can be forwarded: to a station or a group, not from a group. */
static bool expect(struct sink *sink, const uint8_t **frame, size_t *length)
{
	while (sink->left >= 4) {
		*length = get_be32(sink->next);
		*frame = sink->next + 4;
		if (*length > 69632 || *length > sink->left - 4)
			return false;
		sink->next += 4 + *length;
		sink->left -= 4 + *length;
		if (*length >= VIRTIO_NET_FRAME_MIN && *length <= VIRTIO_NET_FRAME_MAX)
			return true;
	}
	return false;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	static uint8_t bytes[VIRTIO_NET_FRAME_MAX];
	struct sink *sink = container_of(port, struct sink, port);

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *frame;
		size_t length;

		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, bytes, frames[i]->length);
		/* Some of them end in the switch. */
		do {
			if (!expect(sink, &frame, &length))
				abort();
		} while (length != frames[i]->length || memcmp(frame, bytes, length));
	}
	return count;
}

static void destroy(struct port *port)
{
	free(container_of(port, struct sink, port));
}

static const struct port_ops sink_ops = { .type = "sink",
					  .receive = nothing,
					  .release = nothing_held,
					  .transmit = transmit,
					  .destroy = destroy };

static int make_connection(void *context, struct error *error)
{
	struct peer *peer = context;
	int fd = peer->theirs;

	(void)error;
	peer->theirs = -1;
	return fd < 0 ? -ECONNREFUSED : fd;
}

static bool no_more(void *context, struct error *why)
{
	(void)context, (void)why;
	return false;
}

static void destroyed(void *context)
{
	(void)context;
}

static uint64_t fuzz_clock(void *arg)
{
	(void)arg;
	return 1;
}

static void feed(struct vswitch *vswitch, int fd, const uint8_t *data, size_t size, size_t step)
{
	while (size) {
		ssize_t put = send(fd, data, MIN(size, step), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno != EAGAIN)
			return; /* the connection was given up */
		if (put > 0) {
			data += put;
			size -= (size_t)put;
		}
		for (unsigned i = 0; i < 64; i++)
			if (!(vswitch_thread_dispatch(&vswitch->threads[0], 0) +
			      vswitch_round(vswitch)))
				break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vswitch_options options = { .seed = 1, .clock = fuzz_clock };
	struct port_stream_maker maker = { .type = "stream",
					   .where = "here",
					   .make = make_connection,
					   .gone = no_more,
					   .destroy = destroyed };
	struct vswitch_stream_options stream = { .maker = &maker };
	struct vswitch *vswitch;
	struct peer peer;
	struct sink *sink;
	int pair[2];

	if (size < 1 || size > STREAM_MOST ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return 0;
	peer = (struct peer){ pair[0], pair[1] };
	maker.context = &peer;
	if (vswitch_create(&vswitch, &options, NULL))
		abort();
	sink = calloc(1, sizeof(*sink));
	*sink = (struct sink){ .port = { .ops = &sink_ops, .up = true },
			       .next = data + 1,
			       .left = size - 1 };
	if (vswitch_add_port(vswitch, &sink->port, "sink", NULL) ||
	    vswitch_add_port_stream(vswitch, "s", &stream, NULL))
		abort();
	feed(vswitch, peer.ours, data + 1, size - 1, data[0] ? data[0] * 37u : 1);
	close(peer.ours);
	for (unsigned i = 0; i < 8; i++)
		vswitch_thread_dispatch(&vswitch->threads[0], 0), vswitch_round(vswitch);
	vswitch_destroy(vswitch);
	return 0;
}
