/*
 * A port on a TAP interface of the host. Frames carry the virtio-net header both ways, so large frames
 * and unfinished checksums pass between host and guests as they are; a `plain` TAP has no header, and
 * gets whole frames with all checksums.
 *
 * The kernel gives and takes one frame for each call. A frame that goes from a guest to the host is
 * written right from the guest's buffers, so the kernel's copy is the only one.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "netdev/tap.h"
#include "util/bytes.h"
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

struct slot {
	struct frame frame;
	struct iovec piece;
};

struct port_tap {
	struct port port;
	struct tap tap;
	struct port_watch watch;
	bool readable;    /* since the last look at the epoll set */
	uint8_t *buffers; /* PORT_BURST + 1 slots; the last is for transmit() */
	struct slot slots[PORT_BURST];
};

_Static_assert(SLOT_SIZE >= VIRTIO_NET_FRAME_MAX + sizeof(struct virtio_net_header) + 1,
	       "a frame that is too long is seen as such");

static struct port_tap *tap_of(struct port *port)
{
	return container_of(port, struct port_tap, port);
}

static void gone(struct port_tap *tap, int code)
{
	log_warning(tap->port.log, "port %s: TAP interface %s is gone: %s", tap->port.name,
		    tap->tap.name, error_name(code));
	port_unwatch(&tap->watch);
	port_set_up(&tap->port, false);
}

/* Reads one frame into the slot. True with a frame that can be forwarded in it; *more is set to false
 * when there is nothing to read any more. */
static bool read_one(struct port_tap *tap, unsigned index, bool *more)
{
	static const struct virtio_net_header none;
	size_t header_size = tap->tap.header ? sizeof(struct virtio_net_header) : 0;
	struct slot *slot = &tap->slots[index];
	uint8_t *buffer = tap->buffers + (size_t)index * SLOT_SIZE;
	const struct virtio_net_header *header = header_size ? (void *)buffer : &none;
	ssize_t got = read(tap->tap.fd, buffer, SLOT_SIZE);
	enum virtio_net_fault fault;
	size_t length;

	if (got < 0) {
		*more = errno == EINTR;
		if (errno != EAGAIN && errno != EINTR)
			gone(tap, errno);
		return false;
	}
	length = (size_t)got > header_size ? (size_t)got - header_size : 0;
	fault = virtio_net_decode(header, buffer + header_size, length, length,
				  &slot->frame.offload);
	if (fault != VIRTIO_NET_FAULT_NONE) {
		port_drop(&tap->port, port_drop_of_fault(fault));
		return false;
	}
	slot->piece = (struct iovec){ buffer + header_size, length };
	slot->frame.pieces = &slot->piece;
	slot->frame.count = 1;
	slot->frame.length = (uint32_t)length;
	return true;
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_tap *tap = tap_of(port);
	size_t bytes = 0;
	unsigned count = 0;

	if (!tap->readable)
		return 0;
	for (unsigned tries = 0; count < max && tries < 2 * PORT_BURST && bytes < BURST_BYTES;
	     tries++) {
		bool more = true;

		if (read_one(tap, count, &more)) {
			bytes += tap->slots[count].frame.length;
			frames[count] = &tap->slots[count].frame;
			count++;
		}
		if (!more) {
			tap->readable = false;
			break;
		}
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

static void transmit_one(struct port_tap *tap, const struct frame *frame)
{
	struct iovec pieces[1 + WRITE_PIECES];
	struct virtio_net_header header;
	unsigned count = 0;

	if (tap->tap.header) {
		virtio_net_encode(&frame->offload, &header);
		pieces[count++] = (struct iovec){ &header, sizeof(header) };
	}
	if (frame->count <= WRITE_PIECES) {
		memcpy(pieces + count, frame->pieces, frame->count * sizeof(*pieces));
		count += frame->count;
	} else {
		uint8_t *buffer = tap->buffers + (size_t)PORT_BURST * SLOT_SIZE;

		frame_copy_out(frame->pieces, frame->count, 0, buffer, frame->length);
		pieces[count++] = (struct iovec){ buffer, frame->length };
	}
	if (writev(tap->tap.fd, pieces, (int)count) < 0)
		port_drop(&tap->port, drop_of_errno(errno));
	else
		port_count_tx(&tap->port, frame);
}

static void transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		transmit_one(tap_of(port), frames[i]);
}

static void ready(struct port_watch *watch)
{
	tap_of(watch->port)->readable = true;
}

static int attach(struct port *port, struct error *error)
{
	struct port_tap *tap = tap_of(port);
	int status = port_watch(port, &tap->watch, tap->tap.fd, ready);

	if (status)
		return error_set(error, status, "port %s: cannot watch TAP interface %s: %s",
				 port->name, tap->tap.name, error_name(status));
	tap->readable = true;
	return 0;
}

static void describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
		     char features[PORT_TEXT_MAX])
{
	struct port_tap *tap = tap_of(port);

	snprintf(where, PORT_TEXT_MAX, "%s", tap->tap.name);
	snprintf(state, PORT_TEXT_MAX, "%s", port->up ? "up" : "gone");
	tap_offload_names(tap->tap.offloads, features, PORT_TEXT_MAX);
}

static void destroy(struct port *port)
{
	struct port_tap *tap = tap_of(port);

	port_unwatch(&tap->watch);
	tap_close(&tap->tap);
	if (tap->buffers)
		munmap(tap->buffers, (PORT_BURST + 1) * SLOT_SIZE);
	free(tap);
}

static const struct port_ops ops = {
	.type = "tap",
	.attach = attach,
	.receive = receive,
	.release = release,
	.transmit = transmit,
	.describe = describe,
	.destroy = destroy,
};

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

int vswitch_add_port_tap(struct vswitch *vswitch, const char *name, const char *ifname,
			 const struct vswitch_tap_options *options, struct error *error)
{
	struct tap_options tap_options = { .plain = options && options->plain,
					   .netns = options ? options->netns : 0 };
	struct port_tap *tap = calloc(1, sizeof(*tap));
	int status;

	if (!tap)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	tap->port.ops = &ops;
	tap->watch.fd = -1;
	status = tap_open(&tap->tap, ifname, &tap_options, error);
	if (status) {
		error_prefix(error, "port %s", name);
		destroy(&tap->port);
		return status;
	}
	tap->buffers = mmap(NULL, (PORT_BURST + 1) * SLOT_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tap->buffers == MAP_FAILED) {
		tap->buffers = NULL;
		destroy(&tap->port);
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	}
	tap->port.features = taken_features(&tap->tap);
	tap->port.up = true;
	return vswitch_add_port(vswitch, &tap->port, name, error);
}
