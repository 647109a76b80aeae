/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port on a TAP interface of the host. Frames carry the virtio-net header both ways, so large frames
 * and unfinished checksums pass between host and guests as they are; a `plain` TAP has no header, and
 * gets whole frames with all checksums.
 *
 * States: attached (frames pass if the interface is up, too), and gone, after the interface was deleted: see port_tap_again.c.
 *
 * The kernel gives and takes one frame for each read and write; a burst of them is one system call where
 * io_uring can be had. A frame that goes from a guest to the host is written right from the guest's
 * buffers, so the kernel's copy is the only one.
 */
#include "vswitch/port_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "netdev/link.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/port_place.h"
#include "vswitch/switch.h"

/* One read buffer: header and the largest frame, in whole pages. */
#define SLOT_SIZE 69632

/* A burst ends after so many bytes: with large frames a whole one would not stay in the cache. */
#define BURST_BYTES 262144

_Static_assert(SLOT_SIZE >= VIRTIO_NET_FRAME_MAX + sizeof(struct virtio_net_header) + 1,
	       "a frame that is too long is seen as such");
_Static_assert(PORT_BURST <= TAP_BATCH_MAX, "a burst is one batch");

_Static_assert(VSWITCH_TAP_QUEUES_MAX == TAP_QUEUES_MAX, "a port takes what a TAP has");

/* What a round has taken. */
struct tap_round {
	struct frame **frames;
	unsigned count; /* of them */
	unsigned used;  /* of the slots */
	size_t bytes;
	unsigned most;           /* frames in the next batch */
	uint8_t met[PORT_BURST]; /* queues that were read */
	unsigned met_count;
};

/* Reads a frame each into the slots from `first` on; reads of one queue follow one another. */
static void read_frames(struct port_tap *tap, unsigned first, unsigned count,
			struct tap_batch_frame *reads)
{
	for (unsigned i = 0; i < count; i++) {
		struct port_tap_slot *slot = &tap->slots[first + i];

		slot->buffer =
			(struct iovec){ tap->buffers + (size_t)(first + i) * SLOT_SIZE, SLOT_SIZE };
		reads[i].pieces = &slot->buffer;
		reads[i].count = 1;
	}
	if (tap->reads && count > 1) {
		tap_batch_read(tap->reads, reads, count);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned queue = reads[i].queue;
		ssize_t got =
			read(tap_queue_fd(&tap->tap, queue), reads[i].pieces->iov_base, SLOT_SIZE);

		reads[i].result = got < 0 ? -errno : (int)got;
		while (got < 0 && i + 1 < count && reads[i + 1].queue == queue)
			reads[++i].result = -EAGAIN;
	}
}

/* Makes a frame of the `got` bytes in a slot. False, and counted, if it cannot be forwarded. */
static bool tap_take_frame(struct port_tap *tap, struct port_tap_slot *slot, size_t got)
{
	static const struct virtio_net_header none;
	size_t header_size = tap->tap.header ? sizeof(struct virtio_net_header) : 0;
	const struct virtio_net_header *header = header_size ? slot->buffer.iov_base : &none;
	uint8_t *bytes = (uint8_t *)slot->buffer.iov_base + header_size;
	size_t length = got > header_size ? got - header_size : 0;
	enum virtio_net_fault fault =
		virtio_net_decode(header, bytes, length, length, &slot->frame.offload);

	if (fault != VIRTIO_NET_FAULT_NONE) {
		port_drop(&tap->port, port_drop_of_fault(fault));
		return false;
	}
	slot->piece = (struct iovec){ bytes, length };
	slot->frame.pieces = &slot->piece;
	slot->frame.count = 1;
	slot->frame.length = (uint32_t)length;
	return true;
}

/* What a read into the next slot gave. False: nothing. */
static bool take_read(struct port_tap *tap, struct tap_round *round,
		      const struct tap_batch_frame *read)
{
	struct port_tap_slot *slot = &tap->slots[round->used++];
	struct port_tap_queue *queue = &tap->queues[read->queue];

	if (read->result < 0) {
		queue->readable &= read->result == -EINTR;
		if (read->result != -EAGAIN && read->result != -EINTR && tap->port.up)
			port_tap_gone(tap, read->result);
		return false;
	}
	round->bytes += (size_t)read->result;
	if (tap_take_frame(tap, slot, (size_t)read->result)) {
		if (tap->options.queues > 1)
			port_tap_flow_seen(tap, read->queue, &slot->frame);
		round->frames[round->count++] = &slot->frame;
	}
	return true;
}

/* Reads of one queue that belong to one batch; returns where those of the next one begin. */
static unsigned take_reads(struct port_tap *tap, struct tap_round *round,
			   const struct tap_batch_frame *reads, unsigned first, unsigned count)
{
	struct port_tap_queue *queue = &tap->queues[reads[first].queue];
	unsigned end = first, got = 0;

	for (; end < count && reads[end].queue == reads[first].queue; end++)
		got += take_read(tap, round, &reads[end]);
	queue->got = (uint8_t)(queue->got + got);
	queue->batch = (uint8_t)(got < end - first ? 1 : 2 * got);
	if (queue->readable)
		port_tap_give_turn(tap, reads[first].queue);
	return end;
}

/* A batch: from each queue that waits, as long as there is room, its share. */
static void take_batch(struct port_tap *tap, struct tap_round *round, unsigned max)
{
	unsigned room = MIN(max - round->used, round->most), waiting = tap->waiting, count = 0;
	unsigned share = MAX(room / waiting, 1u);
	struct tap_batch_frame reads[PORT_BURST];

	for (; waiting && count < room; waiting--) {
		unsigned number = port_tap_take_turn(tap);
		struct port_tap_queue *queue = &tap->queues[number];
		unsigned end;

		if (!queue->met) {
			queue->met = true;
			queue->got = 0;
			queue->batch = MAX(queue->expect, 1);
			round->met[round->met_count++] = (uint8_t)number;
		}
		end = count + MIN(MIN((unsigned)queue->batch, share), room - count);
		while (count < end)
			reads[count++].queue = number;
	}
	read_frames(tap, round->used, count, reads);
	for (unsigned i = 0; i < count;)
		i = take_reads(tap, round, reads, i, count);
	round->most *= 2;
}

/*
 * Reads in batches that double as long as they come back full, and begin with as many as came the last
 * time: a read that finds nothing costs as much as a third of one that finds a frame.
 */
static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_tap *tap = tap_of(port);
	struct tap_round round = { .frames = frames, .most = MAX(tap->most, 1u) };

	while (tap->waiting && round.used < max && round.bytes < BURST_BYTES)
		take_batch(tap, &round, max);
	for (unsigned i = 0; i < round.met_count; i++) {
		struct port_tap_queue *queue = &tap->queues[round.met[i]];

		queue->met = false;
		queue->expect = queue->got;
	}
	/* Large frames in small batches. */
	if (round.used)
		tap->most = (unsigned)MIN(BURST_BYTES / (round.bytes / round.used + 1) + 1,
					  (size_t)PORT_BURST);
	return round.count;
}

static void release(struct port *port)
{
	(void)port;
}

static enum port_drop drop_of_errno(int code)
{
	switch (code) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return PORT_DROP_NO_BUFFER;
	case EIO: /* the interface is down */
		return PORT_DROP_DOWN;
	default:
		return PORT_DROP_FAILED;
	}
}

/* Writes what was prepared for these frames, and counts how it went. Returns how many are done with: all up to the last one
 * for which there was room. */
static unsigned write_frames(struct port_tap *tap, struct frame *const *frames,
			     struct tap_batch_frame *writes, unsigned count)
{
	if (tap->writes && count > 1) {
		tap_batch_write(tap->writes, writes, count);
	} else {
		for (unsigned i = 0; i < count; i++) {
			ssize_t put = writev(tap_queue_fd(&tap->tap, writes[i].queue),
					     writes[i].pieces, (int)writes[i].count);

			writes[i].result = put < 0 ? -errno : (int)put;
		}
	}
	while (count && writes[count - 1].result < 0 &&
	       drop_of_errno(-writes[count - 1].result) == PORT_DROP_NO_BUFFER)
		count--;
	for (unsigned i = 0; i < count; i++)
		if (writes[i].result < 0)
			port_drop(&tap->port, drop_of_errno(-writes[i].result));
		else
			port_count_tx(&tap->port, frames[i]);
	return count;
}

static void prepare_short(const struct port_tap *tap, const struct frame *frame,
			  struct port_tap_out *outgoing, struct tap_batch_frame *write)
{
	bool header = tap->tap.header;
	uint8_t *to = outgoing->bytes;

	if (header)
		virtio_net_encode(&frame->offload, &outgoing->header);
	for (unsigned i = 0; i < frame->count; i++) {
		memcpy(to, frame->pieces[i].iov_base, frame->pieces[i].iov_len);
		to += frame->pieces[i].iov_len;
	}
	outgoing->pieces[0].iov_base = header ? (void *)&outgoing->header : outgoing->bytes;
	outgoing->pieces[0].iov_len =
		frame->length + (header ? sizeof(struct virtio_net_header) : 0);
	*write = (struct tap_batch_frame){ .pieces = outgoing->pieces, .count = 1 };
}

static void prepare(struct port_tap *tap, const struct frame *frame, struct port_tap_out *outgoing,
		    struct tap_batch_frame *write)
{
	unsigned count = 0;

	if (frame->length <= PORT_TAP_SHORT) {
		prepare_short(tap, frame, outgoing, write);
		return;
	}
	if (tap->tap.header) {
		virtio_net_encode(&frame->offload, &outgoing->header);
		outgoing->pieces[count++] =
			(struct iovec){ &outgoing->header, sizeof(outgoing->header) };
	}
	if (frame->count <= PORT_TAP_PIECES) {
		memcpy(outgoing->pieces + count, frame->pieces,
		       frame->count * sizeof(struct iovec));
		count += frame->count;
	} else {
		uint8_t *buffer = tap->buffers + (size_t)PORT_BURST * SLOT_SIZE;

		frame_copy_out(frame->pieces, frame->count, 0, buffer, frame->length);
		outgoing->pieces[count++] = (struct iovec){ buffer, frame->length };
	}
	*write = (struct tap_batch_frame){ .pieces = outgoing->pieces, .count = count };
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct tap_batch_frame writes[PORT_BURST];
	struct port_tap *tap = tap_of(port);
	unsigned first = 0;

	for (unsigned i = 0; i < count; i++) {
		/* There is one buffer for frames in many pieces: such a frame ends the batch. */
		bool last = i + 1 == count || frames[i]->count > PORT_TAP_PIECES;

		prepare(tap, frames[i], &tap->outgoing[i], &writes[i]);
		writes[i].queue = port_tap_queue_for(tap, frames[i]);
		if (!last)
			continue;
		first += write_frames(tap, frames + first, writes + first, i + 1 - first);
		if (first <= i)
			break;
	}
	return first;
}

static int tap_attach(struct port *port, struct error *error)
{
	struct port_tap *tap = tap_of(port);
	struct link_place place;
	int rc = tap_place(&tap->tap, &place) ? port_check_place(port, &place, error) : 0;

	if (rc)
		return rc;
	rc = port_tap_watch(tap, &tap->tap);
	if (rc)
		return error_set(error, rc, "port %s: cannot watch TAP interface %s: %s",
				 port->name, tap->tap.name, error_name(rc));
	return 0;
}

static bool tap_port_place(struct port *port, struct link_place *place)
{
	return tap_place(&tap_of(port)->tap, place);
}

static void tap_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			 char features[PORT_TEXT_MAX])
{
	struct port_tap *tap = tap_of(port);

	port_place_text(port, tap->name, where);
	snprintf(state, PORT_TEXT_MAX, "%s",
		 !port->up              ? tap->taken ? "its interface is another port's" : "gone"
		 : tap_is_up(&tap->tap) ? "up"
					: "down: the interface is not up on the host");
	tap_offload_names(tap->tap.offloads, features, PORT_TEXT_MAX);
	if (tap->options.queues > 1) {
		size_t used = strlen(features);

		snprintf(features + used, PORT_TEXT_MAX - used, "%squeues=%u", used ? " " : "",
			 tap->options.queues);
	}
}

static void tap_carrier(struct port *port, bool on)
{
	struct port_tap *tap = tap_of(port);
	int rc = tap->tap.fd < 0 ? 0 : tap_set_carrier(&tap->tap, on);

	/* -EBADFD: it was deleted, which is told when that is seen. */
	if (rc && rc != -EBADFD)
		log_warning(port->log, "port %s: cannot have interface %s see %s: %s", port->name,
			    tap->name, on ? "its carrier" : "no carrier", error_name(rc));
}

static void tap_destroy(struct port *port)
{
	struct port_tap *tap = tap_of(port);

	port_tap_again_end(tap);
	port_tap_unwatch(tap);
	if (tap->options.netns > 0)
		close(tap->options.netns);
	tap_batch_destroy(tap->reads);
	tap_batch_destroy(tap->writes);
	tap_close(&tap->tap);
	if (tap->buffers)
		munmap(tap->buffers, (PORT_BURST + 1) * SLOT_SIZE);
	free(tap->queues);
	free(tap);
}

static const struct port_ops ops = {
	.type = "tap",
	.attach = tap_attach,
	.receive = receive,
	.release = release,
	.transmit = transmit,
	.carrier = tap_carrier,
	.place = tap_port_place,
	.describe = tap_describe,
	.destroy = tap_destroy,
};

static struct port_tap *tap_create(const char *ifname, const struct vswitch_tap_options *options)
{
	unsigned queues = options && options->queues ? options->queues : 1;
	struct port_tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return NULL;
	tap->queues = calloc(queues, sizeof(tap->queues[0]));
	if (!tap->queues) {
		free(tap);
		return NULL;
	}
	for (unsigned i = 0; i < queues; i++)
		tap->queues[i].watch.fd = -1;
	tap->port.ops = &ops;
	tap->tap.fd = tap->next.fd = -1;
	tap->most = PORT_BURST;
	snprintf(tap->name, sizeof(tap->name), "%s", ifname);
	tap->options = (struct tap_options){ .plain = options && options->plain,
					     .queues = queues,
					     .existing = true };
	if (options && options->netns > 0)
		tap->options.netns = fcntl(options->netns, F_DUPFD_CLOEXEC, 3);
	port_tap_again_begin(tap);
	return tap;
}

int vswitch_add_port_tap(struct vswitch *vswitch, const char *name, const char *ifname,
			 const struct vswitch_tap_options *options, struct error *error)
{
	struct tap_options tap_options = { .plain = options && options->plain,
					   .queues = options ? options->queues : 1,
					   .netns = options ? options->netns : 0 };
	struct port_tap *tap;
	int rc;

	if (tap_options.queues > VSWITCH_TAP_QUEUES_MAX)
		return error_set(error, -EINVAL, "port %s: %u queues, expected at most %d", name,
				 tap_options.queues, VSWITCH_TAP_QUEUES_MAX);
	tap = tap_create(ifname, options);
	if (!tap)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	rc = tap_open(&tap->tap, ifname, &tap_options, error);
	if (rc) {
		error_prefix(error, "port %s", name);
		tap_destroy(&tap->port);
		return rc;
	}
	tap->buffers = mmap(NULL, (PORT_BURST + 1) * SLOT_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tap->buffers == MAP_FAILED) {
		tap->buffers = NULL;
		tap_destroy(&tap->port);
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	}
	port_tap_make_batches(&tap->reads, &tap->writes, &tap->tap);
	tap->port.features = port_tap_features(&tap->tap);
	tap->port.up = true;
	return vswitch_add_port_as(vswitch, &tap->port, name, options ? options->config : NULL,
				   error);
}
