/* SPDX-License-Identifier: BSD-2-Clause */
/* See datagrams.h. */
#include "vswitch/datagrams.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "util/bytes.h"
#include "util/log.h"
#include "util/peer_file.h"

/* One buffer: a tag's room and the largest frame, and a byte more by which a longer one is seen; in whole pages. */
#define BUFFER_SIZE 69632
#define FRAME_ROOM  (VIRTIO_NET_FRAME_MAX + 1)
/* At its end there is room for files that came with it. */
#define FILES_FIRST (BUFFER_SIZE - PEER_FILES_ROOM)

_Static_assert(FILES_FIRST >= DATAGRAM_ROOM + FRAME_ROOM, "it fits");
_Static_assert(FILES_FIRST % _Alignof(struct cmsghdr) == 0, "it is aligned");

int datagrams_create(struct datagrams *datagrams)
{
	datagrams->in = datagrams->out = -1;
	datagrams->buffers = mmap(NULL, (PORT_BURST + 1) * BUFFER_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (datagrams->buffers != MAP_FAILED)
		return 0;
	datagrams->buffers = NULL;
	return -ENOMEM;
}

void datagrams_destroy(struct datagrams *datagrams)
{
	if (datagrams->buffers)
		munmap(datagrams->buffers, (PORT_BURST + 1) * BUFFER_SIZE);
	datagrams->buffers = NULL;
}

/* ---- In ---- */

static void prepare_to_receive(struct datagrams *datagrams, unsigned index, struct msghdr *message)
{
	struct datagram_slot *slot = &datagrams->slots[index];
	uint8_t *buffer = datagrams->buffers + (size_t)index * BUFFER_SIZE;
	bool header = datagrams->header;

	slot->pieces[0] = (struct iovec){ &slot->header, DATAGRAM_HEADER };
	slot->pieces[1] = (struct iovec){ buffer + DATAGRAM_ROOM, FRAME_ROOM };
	*message = (struct msghdr){ .msg_iov = &slot->pieces[!header], .msg_iovlen = 1u + header };
	if (datagrams->control) {
		message->msg_control = slot->control;
		message->msg_controllen = sizeof(slot->control);
	}
	if (datagrams->peers) {
		message->msg_control = buffer + FILES_FIRST;
		message->msg_controllen = PEER_FILES_ROOM;
	}
}

struct frame *datagram_frame(struct datagram_slot *slot, struct port *port)
{
	enum virtio_net_fault fault =
		virtio_net_decode(&slot->header, slot->piece.iov_base, slot->piece.iov_len,
				  slot->piece.iov_len, &slot->frame.offload);

	if (fault != VIRTIO_NET_FAULT_NONE) {
		port_drop(port, port_drop_of_fault(fault));
		return NULL;
	}
	slot->frame.pieces = &slot->piece;
	slot->frame.count = 1;
	slot->frame.length = (uint32_t)slot->piece.iov_len;
	return &slot->frame;
}

/* Of `got` bytes. NULL: no frame came of it, and that is counted. */
static struct frame *take_datagram(struct datagrams *datagrams, struct port *port,
				   struct datagram_slot *slot, const struct msghdr *message,
				   size_t got)
{
	static const struct virtio_net_header none;
	size_t header = datagrams->header ? DATAGRAM_HEADER : 0;
	size_t length = got > header ? got - header : 0;

	slot->piece = (struct iovec){ slot->pieces[1].iov_base, length };
	if (!header)
		slot->header = none;
	if (datagrams->look && !datagrams->look(datagrams, slot, message))
		return NULL;
	return datagram_frame(slot, port);
}

/* It stays where it is, and what is behind it; the socket is looked at again when epoll says so. */
static bool is_next_with_files(struct datagrams *datagrams, const struct port *port)
{
	bool told = datagrams->told;
	char byte;

	datagrams->told = peer_look(datagrams->in, &byte, 1, MSG_DONTWAIT) == -EMFILE;
	if (!datagrams->told)
		return false;
	datagrams->readable = false;
	if (!told)
		log_warning(port->log, "port %s: a frame waits: %s", port->name,
			    peer_error_name(-EMFILE));
	return true;
}

unsigned datagrams_receive(struct datagrams *datagrams, struct port *port, struct frame **frames,
			   unsigned max)
{
	struct mmsghdr messages[PORT_BURST];
	unsigned count = 0;
	int got;

	if (!datagrams->readable || datagrams->in < 0)
		return 0;
	if (!datagrams->peers || !peer_files_wait())
		datagrams->told = false;
	else if (is_next_with_files(datagrams, port))
		return 0;
	for (unsigned i = 0; i < max; i++)
		prepare_to_receive(datagrams, i, &messages[i].msg_hdr);
	/* A packet socket refuses a flag that it does not know. */
	got = recvmmsg(datagrams->in, messages, max,
		       MSG_DONTWAIT | (datagrams->peers ? MSG_CMSG_CLOEXEC : 0), NULL);
	datagrams->readable = got == (int)max;
	/* The kernel cannot say in a header what the frame is (UDP segments, before 6.2). */
	if (got < 0 && errno == EINVAL && datagrams->header)
		port_drop(port, PORT_DROP_BAD_GSO);
	for (int i = 0; i < got && datagrams->peers; i++)
		(void)peer_files_take(&messages[i].msg_hdr, NULL, 0);
	for (int i = 0; i < got; i++) {
		struct frame *frame = take_datagram(datagrams, port, &datagrams->slots[i],
						    &messages[i].msg_hdr, messages[i].msg_len);

		if (frame)
			frames[count++] = frame;
	}
	return count;
}

struct frame *datagrams_receive_one(struct datagrams *datagrams, struct port *port, unsigned index)
{
	unsigned tries = 3;
	struct msghdr message;
	ssize_t got;

	prepare_to_receive(datagrams, index, &message);
	/* An error of the socket is told first, and takes nothing. */
	do
		got = recvmsg(datagrams->in, &message, MSG_DONTWAIT);
	while (got < 0 && errno != EAGAIN && errno != EINVAL && --tries);
	if (got >= 0)
		return take_datagram(datagrams, port, &datagrams->slots[index], &message,
				     (size_t)got);
	port_drop(port, errno == EINVAL ? PORT_DROP_BAD_GSO : PORT_DROP_OVERRUN);
	return NULL;
}

/* ---- Out ---- */

/* True: it is in the buffer for that, of which there is one. */
static bool prepare_to_send(struct datagrams *datagrams, const struct frame *frame,
			    struct datagram_out *out, struct msghdr *message)
{
	uint8_t *buffer = datagrams->buffers + (size_t)PORT_BURST * BUFFER_SIZE;
	bool copied = frame->count > DATAGRAM_PIECES;
	unsigned count = 0;

	if (datagrams->header) {
		virtio_net_encode(&frame->offload, &out->header);
		out->pieces[count++] = (struct iovec){ &out->header, DATAGRAM_HEADER };
	}
	if (copied) {
		frame_copy_out(frame->pieces, frame->count, 0, buffer, frame->length);
		out->pieces[count++] = (struct iovec){ buffer, frame->length };
	} else {
		memcpy(out->pieces + count, frame->pieces, frame->count * sizeof(struct iovec));
		count += frame->count;
	}
	*message = (struct msghdr){ .msg_iov = out->pieces, .msg_iovlen = count };
	return copied;
}

static enum port_drop drop_of_sending(int code)
{
	switch (code) {
	case EMSGSIZE:
		return PORT_DROP_TOO_LONG;
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
	case ENOENT:
	case ENETDOWN:
	case ENXIO:
		return PORT_DROP_DOWN;
	default:
		return PORT_DROP_FAILED;
	}
}

/* Returns how many are done with. */
static unsigned send_messages(struct datagrams *datagrams, struct port *port,
			      struct frame *const *frames, struct mmsghdr *messages, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int sent = sendmmsg(datagrams->out, messages + done, count - done,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
			break;
		if (sent < 0) {
			port_drop(port, drop_of_sending(errno));
			done++;
			continue;
		}
		for (int i = 0; i < sent; i++)
			port_count_tx(port, frames[done++]);
	}
	return done;
}

unsigned datagrams_transmit(struct datagrams *datagrams, struct port *port,
			    struct frame *const *frames, unsigned count)
{
	struct mmsghdr messages[PORT_BURST];
	unsigned first = 0;

	for (unsigned i = 0; i < count; i++) {
		bool copied = prepare_to_send(datagrams, frames[i], &datagrams->sending[i],
					      &messages[i].msg_hdr);

		if (!copied && i + 1 < count)
			continue;
		first += send_messages(datagrams, port, frames + first, messages + first,
				       i + 1 - first);
		if (first <= i)
			break;
	}
	return first;
}
