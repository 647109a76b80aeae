/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port on a stream socket: see port_stream.h.
 *
 * States: without a connection (a listener waits, or who gets another one: port_connector.h), connecting (TCP only), and connected, the
 * only one in which the port is up. The port's thread changes them, with `out_lock`; receive(), which has no lock, notes in
 * `lost` that the connection is of no use any more, and its watch, which an end of file keeps ready, ends it.
 *
 * In: bytes are read into one buffer and frames handed out where they lie in it; it is moved together between two bursts.
 * Out: a burst is one sendmsg(). What the socket takes only a part of is kept, one frame at most, until there is room; what
 * comes meanwhile is dropped and counted, so a peer that stops reading costs others nothing.
 *
 * Source: QEMU 7.2, net/stream.c, net/net.c (net_fill_rstate): a length of 32 bits, big-endian, before each frame.
 */
#include "vswitch/port_stream.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netdev/endpoint.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"
#include "vswitch/internal.h"
#include "vswitch/port_accept.h"
#include "vswitch/port_connector.h"

#define LENGTH_SIZE 4
#define PEER_MAX                                                                                   \
	69632 /* the longest that QEMU sends or takes (NET_BUFSIZE); beyond it, the stream makes no sense */
#define IN_SIZE (4 * 69632)

struct port_stream {
	struct port port;
	struct port_ops ops;
	struct endpoint endpoint;
	bool client;
	struct port_connector connector; /* a client's */
	int fd;                          /* the connection, or the socket that connects; -1: none */
	struct unix_listener socket;     /* a path's */
	int spare_fd;                    /* see port_accept() */
	struct port_listener listener;
	struct port_watch stream;
	bool connecting, lost, readable;

	uint8_t *in;
	size_t in_first, in_end;
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST];

	uint8_t rest[LENGTH_SIZE + VIRTIO_NET_FRAME_MAX]; /* of a frame that went out in part */
	size_t rest_first, rest_end;
	uint8_t lengths[PORT_BURST][LENGTH_SIZE]; /* transmit()'s */
	struct iovec out[IOV_MAX];
};

static struct port_stream *stream_of(struct port *port)
{
	return container_of(port, struct port_stream, port);
}

/* ---- Connections ---- */

static void stream_close(struct port_stream *stream)
{
	port_unwatch(&stream->stream);
	peer_socket_close(steal_fd(&stream->fd));
	stream->connecting = stream->lost = stream->readable = false;
	stream->in_first = stream->in_end = stream->rest_first = stream->rest_end = 0;
	stream->port.peer = 0;
}

static void stream_disconnect(struct port_stream *stream)
{
	bool was_up = stream->port.up;

	stream_close(stream);
	port_set_up(&stream->port, false);
	if (stream->client)
		port_connector_lost(&stream->connector, was_up);
	else if (was_up)
		log_info(stream->port.log, "port %s: the peer left", stream->port.name);
}

static void stream_connected(struct port_stream *stream)
{
	int fd = stream->fd;

	if (!endpoint_is_local(&stream->endpoint))
		endpoint_tune_tcp(fd);
	else
		stream->port.peer = unix_socket_peer(fd);
	stream->connecting = false;
	stream->readable = true;
	if (stream->client)
		port_connector_made(&stream->connector);
	stream->port.counters.connections++;
	port_set_up(&stream->port, true);
	log_info(stream->port.log, "port %s: a peer connected", stream->port.name);
}

/* Of output that waits; false: the connection is lost. */
static bool send_rest(struct port_stream *stream)
{
	while (stream->rest_first < stream->rest_end) {
		ssize_t put =
			send(stream->fd, stream->rest + stream->rest_first,
			     stream->rest_end - stream->rest_first, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0)
			return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
		stream->rest_first += (size_t)put;
	}
	if (stream->rest_end)
		port_watch_output(&stream->stream, false);
	stream->rest_first = stream->rest_end = 0;
	return true;
}

/* A connection that was begun has been made, or not. */
static void connect_ready(struct port_stream *stream)
{
	int reason = 0;
	socklen_t length = sizeof(reason);

	getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &reason, &length);
	if (reason) {
		stream_disconnect(stream);
		port_connector_refused(&stream->connector, -reason);
		return;
	}
	port_watch_output(&stream->stream, false);
	stream_connected(stream);
}

static void stream_ready(struct port_watch *watch)
{
	struct port_stream *stream = stream_of(watch->port);

	if (stream->connecting) {
		connect_ready(stream);
		return;
	}
	stream->readable = true;
	if (stream->lost || !send_rest(stream)) {
		uint64_t began = control_share_clock();

		stream_disconnect(stream);
		if (!stream->client)
			port_listener_used(&stream->listener, began);
	}
}

/* Takes `fd` over. */
static int stream_take(struct port *port, int fd, bool connecting, struct error *error)
{
	struct port_stream *stream = stream_of(port);
	int rc = port_watch(port, &stream->stream, fd, stream_ready);

	if (rc) {
		peer_socket_close(fd);
		return error_set(error, rc, "cannot watch its connection: %s", error_name(rc));
	}
	peer_socket_begin(fd);
	stream->fd = fd;
	stream->connecting = connecting;
	if (connecting)
		port_watch_output(&stream->stream, true);
	else
		stream_connected(stream);
	return 0;
}

static void peer_comes(struct port *port)
{
	struct port_stream *stream = stream_of(port);
	int fd = port_accept(port, stream->listener.fd, &stream->spare_fd);
	struct error error;
	char byte;

	if (fd < 0)
		return;
	/* One that comes back may be here before we have seen it go. */
	if (stream->fd >= 0 &&
	    (stream->lost || recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0))
		stream_disconnect(stream);
	if (stream->fd >= 0) {
		log_warning(stream->port.log, "port %s: a second peer was refused",
			    stream->port.name);
		peer_socket_close(fd);
	} else if (stream_take(&stream->port, fd, false, &error)) {
		log_warning(stream->port.log, "port %s: %s", stream->port.name, error.text);
	}
}

/* ---- Frames in ---- */

/* The stream is of no use any more. Its watch sees that at once, and ends it. */
static void stream_lose(struct port_stream *stream)
{
	stream->lost = true;
	stream->readable = false;
	shutdown(stream->fd, SHUT_RDWR);
}

static void stream_fill(struct port_stream *stream)
{
	size_t room;
	ssize_t got;

	if (IN_SIZE - stream->in_first < LENGTH_SIZE + PEER_MAX ||
	    stream->in_first == stream->in_end) {
		memmove(stream->in, stream->in + stream->in_first,
			stream->in_end - stream->in_first);
		stream->in_end -= stream->in_first;
		stream->in_first = 0;
	}
	room = IN_SIZE - stream->in_end;
	got = peer_receive_bytes(stream->fd, stream->in + stream->in_end, room);
	if (got > 0)
		stream->in_end += (size_t)got;
	else if (got != -EAGAIN && got != -EINTR)
		stream_lose(stream);
	if (got == -EMFILE)
		log_warning(stream->port.log, "port %s: connection closed: %s", stream->port.name,
			    peer_error_name(-EMFILE));
	stream->readable &= got == (ssize_t)room;
}

/* Whether there is a whole frame in the buffer, or one that ends the connection. */
static bool stream_holds_frame(const struct port_stream *stream)
{
	size_t there = stream->in_end - stream->in_first;
	size_t length = there < LENGTH_SIZE ? 0 : get_be32(stream->in + stream->in_first);

	return there >= LENGTH_SIZE && (length > PEER_MAX || there - LENGTH_SIZE >= length);
}

/* The next frame that is whole in the buffer; false: there is none. */
static bool stream_next(struct port_stream *stream, struct iovec *frame)
{
	const uint8_t *at = stream->in + stream->in_first;
	size_t length;

	if (!stream_holds_frame(stream))
		return false;
	length = get_be32(at);
	if (length > PEER_MAX) {
		log_warning(stream->port.log,
			    "port %s: connection closed: a frame of %zu bytes, at most %d are "
			    "possible",
			    stream->port.name, length, PEER_MAX);
		stream->in_first = stream->in_end;
		stream_lose(stream);
		return false;
	}
	*frame = (struct iovec){ (void *)(at + LENGTH_SIZE), length };
	stream->in_first += LENGTH_SIZE + length;
	return true;
}

static unsigned stream_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_stream *stream = stream_of(port);
	bool filled = false;
	unsigned count = 0;

	/* Those that are none count as well: there may be tens of thousands in the buffer. */
	for (unsigned looked = 0; looked < max;) {
		struct frame *frame = &stream->frames[count];
		size_t length;

		if (!stream_next(stream, &stream->pieces[count])) {
			/* Frames that were taken stay where they are. And who sends no frame at all has no more of the
			 * thread's time than others: what is left in the socket keeps its watch ready. */
			if (count || filled || !stream->readable || stream->lost)
				break;
			stream_fill(stream);
			filled = true;
			continue;
		}
		looked++;
		length = stream->pieces[count].iov_len;
		if (length < VIRTIO_NET_FRAME_MIN || length > VIRTIO_NET_FRAME_MAX) {
			port_drop(port, PORT_DROP_BAD_LENGTH);
			continue;
		}
		*frame = (struct frame){ .pieces = &stream->pieces[count],
					 .count = 1,
					 .length = (uint32_t)length };
		frames[count++] = frame;
	}
	return count;
}

static void stream_release(struct port *port)
{
	(void)port;
}

static bool stream_arm(struct port *port)
{
	return stream_holds_frame(stream_of(port));
}

/* ---- Frames out ---- */

/* Bytes [first, ...) of what was to be sent wait for room. */
static void keep_rest(struct port_stream *stream, const struct frame *frame, unsigned index,
		      size_t first)
{
	size_t header = first < LENGTH_SIZE ? LENGTH_SIZE - first : 0;

	memcpy(stream->rest, stream->lengths[index] + LENGTH_SIZE - header, header);
	first = header ? 0 : first - LENGTH_SIZE;
	frame_copy_out(frame->pieces, frame->count, first, stream->rest + header,
		       frame->length - first);
	stream->rest_first = 0;
	stream->rest_end = header + frame->length - first;
	port_watch_output(&stream->stream, true);
}

/* As many frames as one system call takes. */
static unsigned stream_gather(struct port_stream *stream, struct frame *const *frames,
			      unsigned count, unsigned *pieces)
{
	unsigned taken = 0, used = 0;

	for (; taken < count && frames[taken]->count + 1 <= IOV_MAX - used; taken++) {
		const struct frame *frame = frames[taken];

		put_be32(stream->lengths[taken], frame->length);
		stream->out[used++] = (struct iovec){ stream->lengths[taken], LENGTH_SIZE };
		memcpy(&stream->out[used], frame->pieces, frame->count * sizeof(struct iovec));
		used += frame->count;
	}
	*pieces = used;
	return taken;
}

/* Returns how many frames are done with: none for want of room, or as far as one system call goes. */
static unsigned stream_send(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_stream *stream = stream_of(port);
	unsigned pieces, done = 0;
	struct msghdr message = { .msg_iov = stream->out };
	ssize_t put;

	count = stream_gather(stream, frames, count, &pieces);
	if (!count) { /* in too many pieces to be sent at all */
		port_drop(port, PORT_DROP_FAILED);
		return 1;
	}
	message.msg_iovlen = pieces;
	put = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (put < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		port->counters.drops[PORT_DROP_DOWN] += count;
		return count; /* the watch sees why */
	}
	for (; put > 0 && done < count; done++) {
		size_t whole = LENGTH_SIZE + frames[done]->length;

		if ((size_t)put < whole)
			keep_rest(stream, frames[done], done, (size_t)put);
		put -= (ssize_t)MIN((size_t)put, whole);
		port_count_tx(port, frames[done]);
	}
	return done;
}

static unsigned stream_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_stream *stream = stream_of(port);
	unsigned done = 0, sent = 1;

	if (stream->rest_end)
		(void)send_rest(stream); /* its failure comes again, below or at the watch */
	for (; sent && done < count && !stream->rest_end; done += sent)
		sent = stream_send(port, frames + done, count - done);
	return done;
}

/* ---- The port ---- */

static int stream_attach(struct port *port, struct error *error)
{
	struct port_stream *stream = stream_of(port);
	int rc;

	if (stream->client) {
		port_connector_try(&stream->connector);
		return 0;
	}
	rc = port_listener_begin(&stream->listener, port);
	if (rc)
		return error_set(error, rc, "port %s: cannot watch its socket: %s", port->name,
				 error_name(rc));
	return 0;
}

static void stream_detach(struct port *port)
{
	struct port_stream *stream = stream_of(port);

	if (stream->client)
		port_connector_stop(&stream->connector);
	port_listener_stop(&stream->listener);
}

static void stream_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			    char text[PORT_TEXT_MAX])
{
	struct port_stream *stream = stream_of(port);

	if (stream->client) {
		port_connector_describe(&stream->connector, where, state);
	} else {
		snprintf(where, PORT_TEXT_MAX, "%s", stream->endpoint.text);
		snprintf(state, PORT_TEXT_MAX, "%s",
			 port->up ? "up" : port_waiting(&stream->socket, "waiting for a peer"));
	}
	text[0] = '\0';
}

static void stream_destroy(struct port *port)
{
	struct port_stream *stream = stream_of(port);

	stream_close(stream);
	port_unwatch(&stream->listener.watch);
	if (stream->socket.fd < 0)
		cleanup_close(&stream->listener.fd);
	unix_listener_close(&stream->socket);
	cleanup_close(&stream->spare_fd);
	if (stream->client)
		port_connector_end(&stream->connector);
	free(stream->in);
	free(stream);
}

static const struct port_ops ops = {
	.type = "qemu-stream",
	.attach = stream_attach,
	.detach = stream_detach,
	.receive = stream_receive,
	.release = stream_release,
	.arm = stream_arm,
	.transmit = stream_transmit,
	.describe = stream_describe,
	.destroy = stream_destroy,
};

static int stream_listen(struct port_stream *stream, const struct unix_socket_access *access,
			 struct error *error)
{
	if (endpoint_is_local(&stream->endpoint)) {
		int rc = unix_listen_for(&stream->socket, stream->endpoint.address.local.sun_path,
					 access, error);

		stream->listener.fd = stream->socket.fd;
		return rc;
	}
	stream->listener.fd = endpoint_listen(&stream->endpoint, SOCK_STREAM, error);
	return MIN(stream->listener.fd, 0);
}

void *port_stream_context(struct port *port, int (*make)(void *context, struct error *error))
{
	const struct port_stream *stream = stream_of(port);

	return port->ops->destroy == stream_destroy && stream->client &&
			       stream->connector.maker.make == make
		       ? stream->connector.maker.context
		       : NULL;
}

int vswitch_add_port_stream(struct vswitch *vswitch, const char *name,
			    const struct vswitch_stream_options *options, struct error *error)
{
	struct port_stream *stream = calloc(1, sizeof(*stream));
	int rc = 0;

	if (stream)
		stream->in = malloc(IN_SIZE);
	if (!stream || !stream->in) {
		if (options->maker)
			options->maker->destroy(options->maker->context);
		free(stream);
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	}
	stream->ops = ops;
	stream->port.ops = &stream->ops;
	stream->fd = stream->socket.fd = -1;
	stream->listener.fd = stream->listener.watch.fd = stream->stream.fd = -1;
	stream->listener.ready = peer_comes;
	stream->client = options->client || options->maker;
	stream->spare_fd = stream->client ? -1 : port_spare_fd();
	if (stream->client)
		port_connector_init(&stream->connector, &stream->port, &stream->endpoint,
				    options->maker, stream_take);
	if (options->maker) {
		stream->ops.type = options->maker->type;
		stream->endpoint.address.any.sa_family = AF_UNIX;
	} else {
		stream->endpoint = *options->endpoint;
		if (!stream->client)
			rc = stream_listen(stream, options->access, error);
	}
	if (rc < 0) {
		stream_destroy(&stream->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	return vswitch_add_port_as(vswitch, &stream->port, name, options->config, error);
}
