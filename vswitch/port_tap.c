/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port on a TAP interface of the host. Frames carry the virtio-net header both ways, so large frames
 * and unfinished checksums pass between host and guests as they are; a `plain` TAP has no header, and
 * gets whole frames with all checksums.
 *
 * States: attached (frames pass if the interface is up, too), and gone, after the interface was deleted. Then a
 * thread of the port's own looks for an interface of that name, three times a second, attaches to it, and
 * hands it over; for what it does may wait in the kernel. While it runs, it alone touches `next`, and the
 * forwarding threads `tap`.
 *
 * The kernel gives and takes one frame for each read and write; a burst of them is one system call where
 * io_uring can be had. A frame that goes from a guest to the host is written right from the guest's
 * buffers, so the kernel's copy is the only one.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "netdev/tap.h"
#include "netdev/tap_batch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/switch.h"

/* One read buffer: header and the largest frame, in whole pages. */
#define SLOT_SIZE 69632

/* A burst ends after so many bytes: with large frames a whole one would not stay in the cache. */
#define BURST_BYTES 262144

/* Frames in more pieces are copied together first: writev() takes 1024, and fewer are faster. */
#define WRITE_PIECES 64

/* Shorter ones, too: the kernel takes one piece for less than it takes to look at two. */
#define WRITE_SHORT 256

#define LOOK_NS 300000000 /* between two looks for an interface that is gone */

struct tap_slot {
	struct frame frame;
	struct iovec buffer; /* what is read into */
	struct iovec piece;  /* the frame in it */
};

/* A frame on its way out. */
struct outgoing {
	struct virtio_net_header header;
	uint8_t bytes[WRITE_SHORT]; /* of a short frame, right behind its header */
	struct iovec pieces[1 + WRITE_PIECES];
};
_Static_assert(offsetof(struct outgoing, bytes) == sizeof(struct virtio_net_header),
	       "header and short frame are one piece");

struct port_tap {
	struct port port;
	char name[IFNAMSIZ];
	struct tap tap;
	struct tap_batch *reads, *writes; /* NULL: one system call for each frame */
	struct port_watch watch;
	bool readable;    /* since the last look at the epoll set */
	unsigned expect;  /* how many frames to try to read at once */
	uint8_t *buffers; /* PORT_BURST + 1 slots; the last is for transmit() */
	struct tap_slot slots[PORT_BURST];
	struct outgoing outgoing[PORT_BURST]; /* transmit()'s */

	/* For taking it again. */
	struct tap_options options;
	struct tap next;
	struct tap_batch *next_reads, *next_writes;
	bool looking; /* there is a thread to join */
	bool stopping;
	pthread_mutex_t lock; /* of `stopping` */
	pthread_cond_t stop;
	pthread_t thread;
};

_Static_assert(SLOT_SIZE >= VIRTIO_NET_FRAME_MAX + sizeof(struct virtio_net_header) + 1,
	       "a frame that is too long is seen as such");
_Static_assert(PORT_BURST <= TAP_BATCH_MAX, "a burst is one batch");

static struct port_tap *tap_of(struct port *port)
{
	return container_of(port, struct port_tap, port);
}

/* ---- An interface that was deleted ---- */

/* The offloads are what the kernel may give us. It takes all kinds but UDP segments, which old kernels
 * know neither way. */
static uint64_t taken_features(const struct tap *tap)
{
	uint64_t features = VIRTIO_NET_GUEST_OFFLOADS;

	if (!tap->header)
		return 0;
	if (!(tap->offloads & TUN_F_USO4))
		features &= ~(VIRTIO_NET_BIT(GUEST_USO4) | VIRTIO_NET_BIT(GUEST_USO6));
	return features;
}

static void ready(struct port_watch *watch)
{
	tap_of(watch->port)->readable = true;
}

/* Reading and writing may be on two threads at once. Where io_uring is refused it goes without. */
static void make_batches(struct tap_batch **reads, struct tap_batch **writes, int fd)
{
	if (tap_batch_create(reads, fd))
		*reads = NULL;
	if (!*reads || tap_batch_create(writes, fd))
		*writes = NULL;
}

/* In a call: goes on with the new one. */
static int take_over(void *arg)
{
	struct port_tap *tap = arg;
	int rc = tap->port.removed ? -ESHUTDOWN
				   : port_watch(&tap->port, &tap->watch, tap->next.fd, ready);

	if (rc)
		return rc;
	tap_batch_destroy(tap->reads);
	tap_batch_destroy(tap->writes);
	tap_close(&tap->tap);
	tap->tap = tap->next;
	tap->reads = steal_pointer(&tap->next_reads);
	tap->writes = steal_pointer(&tap->next_writes);
	tap->next.fd = -1;
	port_set_features(&tap->port, taken_features(&tap->tap));
	tap->readable = true;
	port_set_up(&tap->port, true);
	return 0;
}

/* Sleeps; true: the port ends. */
static bool pause_or_stop(struct port_tap *tap)
{
	struct timespec until;
	bool stopping;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&tap->lock);
	while (!tap->stopping && !pthread_cond_timedwait(&tap->stop, &tap->lock, &until))
		;
	stopping = tap->stopping;
	pthread_mutex_unlock(&tap->lock);
	return stopping;
}

static void *look_for_it(void *arg)
{
	struct port_tap *tap = arg;
	const char *name = tap->name;
	bool told = false;

	while (!pause_or_stop(tap)) {
		struct error error = { 0 };
		int rc = tap_open(&tap->next, name, &tap->options, &error);

		if (!rc) {
			make_batches(&tap->next_reads, &tap->next_writes, tap->next.fd);
			rc = vswitch_call(tap->port.vswitch, take_over, tap);
			if (!rc) {
				log_warning(tap->port.log,
					    "port %s: TAP interface %s is there again",
					    tap->port.name, name);
				break;
			}
			tap_batch_destroy(steal_pointer(&tap->next_reads));
			tap_batch_destroy(steal_pointer(&tap->next_writes));
			tap_close(&tap->next);
			error_set(&error, rc, "cannot watch it: %s", error_name(rc));
		}
		if (rc != -ENODEV && !told)
			log_warning(tap->port.log, "port %s: %s", tap->port.name, error.text);
		told |= rc != -ENODEV;
	}
	return NULL;
}

static void gone(struct port_tap *tap, int code)
{
	int rc;

	log_warning(tap->port.log, "port %s: TAP interface %s is gone: %s", tap->port.name,
		    tap->tap.name, error_name(code));
	port_unwatch(&tap->watch);
	port_set_up(&tap->port, false);
	/* The last one that looked has handed over, and has nothing more to do. */
	if (tap->looking)
		pthread_join(tap->thread, NULL);
	rc = pthread_create(&tap->thread, NULL, look_for_it, tap);
	tap->looking = !rc;
	if (rc)
		log_warning(tap->port.log, "port %s: nobody looks for it: %s", tap->port.name,
			    error_name(rc));
}

/* Reads `count` frames into the slots from `first` on, each with its own result. */
static void read_frames(struct port_tap *tap, unsigned first, unsigned count,
			struct tap_batch_frame *reads)
{
	for (unsigned i = 0; i < count; i++) {
		struct tap_slot *slot = &tap->slots[first + i];

		slot->buffer =
			(struct iovec){ tap->buffers + (size_t)(first + i) * SLOT_SIZE, SLOT_SIZE };
		reads[i] = (struct tap_batch_frame){ .pieces = &slot->buffer, .count = 1 };
	}
	if (tap->reads && count > 1) {
		tap_batch_read(tap->reads, reads, count);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		ssize_t got = read(tap->tap.fd, reads[i].pieces->iov_base, SLOT_SIZE);

		reads[i].result = got < 0 ? -errno : (int)got;
		if (got < 0)
			while (++i < count)
				reads[i].result = -EAGAIN;
	}
}

/* Makes a frame of the `got` bytes in a slot. False, and counted, if it cannot be forwarded. */
static bool tap_take_frame(struct port_tap *tap, struct tap_slot *slot, size_t got)
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

/*
 * Reads in batches that double as long as they come back full, and begin with as many as came the last
 * time: a read that finds nothing costs as much as a third of one that finds a frame.
 */
static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct tap_batch_frame reads[PORT_BURST];
	struct port_tap *tap = tap_of(port);
	unsigned used = 0, count = 0, batch = MAX(tap->expect, 1u);
	size_t bytes = 0;

	while (tap->readable && used < max && bytes < BURST_BYTES) {
		unsigned got = 0;

		batch = MIN(batch, max - used);
		read_frames(tap, used, batch, reads);
		for (unsigned i = 0; i < batch; i++) {
			struct tap_slot *slot = &tap->slots[used + i];

			if (reads[i].result < 0) {
				tap->readable &= reads[i].result == -EINTR;
				if (reads[i].result != -EAGAIN && reads[i].result != -EINTR &&
				    port->up)
					gone(tap, reads[i].result);
				continue;
			}
			got++;
			bytes += (size_t)reads[i].result;
			if (tap_take_frame(tap, slot, (size_t)reads[i].result))
				frames[count++] = &slot->frame;
		}
		used += batch;
		batch = got < batch ? 1 : 2 * batch;
	}
	if (used) {
		/* Large frames in small batches. */
		size_t average = bytes / used + 1;

		tap->expect = (unsigned)MIN((size_t)MAX(count, 1u), BURST_BYTES / average + 1);
		tap->expect = MIN(tap->expect, (unsigned)PORT_BURST);
	}
	return count;
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
			ssize_t put = writev(tap->tap.fd, writes[i].pieces, (int)writes[i].count);

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
			  struct outgoing *outgoing, struct tap_batch_frame *write)
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

static void prepare(struct port_tap *tap, const struct frame *frame, struct outgoing *outgoing,
		    struct tap_batch_frame *write)
{
	unsigned count = 0;

	if (frame->length <= WRITE_SHORT) {
		prepare_short(tap, frame, outgoing, write);
		return;
	}
	if (tap->tap.header) {
		virtio_net_encode(&frame->offload, &outgoing->header);
		outgoing->pieces[count++] =
			(struct iovec){ &outgoing->header, sizeof(outgoing->header) };
	}
	if (frame->count <= WRITE_PIECES) {
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
		bool last = i + 1 == count || frames[i]->count > WRITE_PIECES;

		prepare(tap, frames[i], &tap->outgoing[i], &writes[i]);
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
	int rc = port_watch(port, &tap->watch, tap->tap.fd, ready);

	if (rc)
		return error_set(error, rc, "port %s: cannot watch TAP interface %s: %s",
				 port->name, tap->tap.name, error_name(rc));
	tap->readable = true;
	return 0;
}

static void tap_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			 char features[PORT_TEXT_MAX])
{
	struct port_tap *tap = tap_of(port);

	snprintf(where, PORT_TEXT_MAX, "%s", tap->name);
	snprintf(state, PORT_TEXT_MAX, "%s",
		 !port->up              ? "gone"
		 : tap_is_up(&tap->tap) ? "up"
					: "down: the interface is not up on the host");
	tap_offload_names(tap->tap.offloads, features, PORT_TEXT_MAX);
}

static void tap_destroy(struct port *port)
{
	struct port_tap *tap = tap_of(port);

	pthread_mutex_lock(&tap->lock);
	tap->stopping = true;
	pthread_cond_signal(&tap->stop);
	pthread_mutex_unlock(&tap->lock);
	if (tap->looking)
		pthread_join(tap->thread, NULL);
	pthread_cond_destroy(&tap->stop);
	pthread_mutex_destroy(&tap->lock);
	port_unwatch(&tap->watch);
	if (tap->options.netns > 0)
		close(tap->options.netns);
	tap_batch_destroy(tap->reads);
	tap_batch_destroy(tap->writes);
	tap_close(&tap->tap);
	if (tap->buffers)
		munmap(tap->buffers, (PORT_BURST + 1) * SLOT_SIZE);
	free(tap);
}

static const struct port_ops ops = {
	.type = "tap",
	.attach = tap_attach,
	.receive = receive,
	.release = release,
	.transmit = transmit,
	.describe = tap_describe,
	.destroy = tap_destroy,
};

static struct port_tap *tap_create(const char *ifname, const struct vswitch_tap_options *options)
{
	struct port_tap *tap = calloc(1, sizeof(*tap));
	pthread_condattr_t attributes;

	if (!tap)
		return NULL;
	tap->port.ops = &ops;
	tap->watch.fd = tap->tap.fd = tap->next.fd = -1;
	snprintf(tap->name, sizeof(tap->name), "%s", ifname);
	tap->options = (struct tap_options){ .plain = options && options->plain, .existing = true };
	if (options && options->netns > 0)
		tap->options.netns = fcntl(options->netns, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_init(&tap->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&tap->stop, &attributes);
	pthread_condattr_destroy(&attributes);
	return tap;
}

int vswitch_add_port_tap(struct vswitch *vswitch, const char *name, const char *ifname,
			 const struct vswitch_tap_options *options, struct error *error)
{
	struct tap_options tap_options = { .plain = options && options->plain,
					   .netns = options ? options->netns : 0 };
	struct port_tap *tap = tap_create(ifname, options);
	int rc;

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
	make_batches(&tap->reads, &tap->writes, tap->tap.fd);
	tap->port.features = taken_features(&tap->tap);
	tap->port.up = true;
	return vswitch_add_port_as(vswitch, &tap->port, name, options ? options->config : NULL,
				   error);
}
