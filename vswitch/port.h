/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port of the switch: what kinds of ports implement, and what forwarding does with them.
 *
 * All calls are made on the forwarding thread (or, while none runs, on the caller's). Frames that
 * receive() returned stay the port's until release(): they are valid in between, and may be passed to
 * transmit() of any number of ports meanwhile. transmit() keeps nothing of what it is given.
 *
 * A frame that ends here is counted where it was decided: at the source port for what is wrong with the
 * frame, at the destination port for what it cannot take. Nothing is dropped without a counter.
 */
#ifndef TENON_VSWITCH_PORT_H
#define TENON_VSWITCH_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "vswitch/frame.h"

struct error;
struct log;
struct port;
struct vswitch;

#define PORT_BURST    32
#define PORT_NAME_MAX 32 /* with the final zero */
#define PORT_TEXT_MAX 128

/* Why a frame was dropped. Names in port_drop_name(). */
enum port_drop {
	/* On the way in. */
	PORT_DROP_BAD_LENGTH,   /* shorter than an Ethernet header, or too long */
	PORT_DROP_BAD_CHECKSUM, /* asks for a checksum outside its headers */
	PORT_DROP_BAD_GSO,      /* a large frame of unknown kind, without size, ... */
	PORT_DROP_BAD_PACKET,   /* a large frame that is not what it says */
	PORT_DROP_BAD_SOURCE,  /* from a group address or 00:00:00:00:00:00, which no station has */
	PORT_DROP_RESERVED,    /* to 01:80:c2:00:00:0X, which no bridge forwards */
	PORT_DROP_SAME_PORT,   /* to an address at the port it came from */
	PORT_DROP_NO_PORT,     /* to be flooded, and no other port is up */
	PORT_DROP_TX_DISABLED, /* sent on a queue that is disabled */
	/* On the way out. */
	PORT_DROP_DOWN,        /* nobody is connected */
	PORT_DROP_RX_DISABLED, /* the guest's driver does not receive (yet) */
	PORT_DROP_NO_BUFFER, /* the guest has given too few receive buffers; the TAP's queue is full */
	PORT_DROP_TOO_LONG, /* longer than the port takes */
	PORT_DROP_FAILED,   /* the kernel refused it */
	PORT_DROP_COUNT
};

/* "bad_length" ... */
const char *port_drop_name(enum port_drop drop);

/* As seen from the switch: rx is what came in at the port. Large frames count as one frame here. */
struct port_counters {
	uint64_t rx_frames, rx_bytes;
	uint64_t tx_frames, tx_bytes;
	uint64_t flooded;     /* came in here and went to all ports */
	uint64_t checksummed; /* checksums finished in software for this port */
	uint64_t segmented;   /* large frames cut in software for this port */
	uint64_t connections; /* front-ends that came */
	uint64_t drops[PORT_DROP_COUNT];
};

struct port_ops {
	const char *type; /* "tap", "vhost-user" */

	/* Looking for frames costs no system call, so it may be done often. */
	bool polled;

	/* The port belongs to a switch now: start watching. A negative errno with `error` set to refuse;
	 * destroy() follows. Optional. */
	int (*attach)(struct port *port, struct error *error);

	/* Takes up to `max` (at most PORT_BURST) frames; each is at least VIRTIO_NET_FRAME_MIN long and
	 * has its offload decoded. What cannot be decoded is counted and not returned. */
	unsigned (*receive)(struct port *port, struct frame **frames, unsigned max);
	/* All frames received since the last release() are done with. */
	void (*release)(struct port *port);
	/* Sends at most PORT_BURST frames, which ask for no more than port->features. */
	void (*transmit)(struct port *port, struct frame *const *frames, unsigned count);

	/* Before sleeping: asks to be woken, and returns true if frames came meanwhile. */
	bool (*arm)(struct port *port);
	/* After it: wakes are not needed. Both are optional. */
	void (*disarm)(struct port *port);

	/* What a user would like to know: an interface, a socket; its state ("up", "waiting"); what was
	 * negotiated. */
	void (*describe)(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			 char features[PORT_TEXT_MAX]);
	void (*destroy)(struct port *port);
};

/* A file descriptor of a port that the forwarding thread watches for input. */
struct port_watch {
	int fd; /* -1: not watched */
	struct port *port;
	void (*ready)(struct port_watch *watch);
};

struct port {
	const struct port_ops *ops;
	struct vswitch *vswitch;
	struct log *log;
	uint16_t index;
	char name[PORT_NAME_MAX];

	pid_t peer;        /* the process at the other end; 0: none, or not known */
	bool up;           /* frames can be sent to it; change it by port_set_up() */
	uint64_t features; /* the VIRTIO_NET_F_GUEST_* of what it can be handed */
	size_t frame_max;  /* the longest frame on its wire, with Ethernet header; 0: no limit */
	struct port_counters counters;

	/* Forwarding's: what goes out at the end of the burst. */
	struct frame *out[PORT_BURST];
	unsigned out_count;
};

static inline void port_drop(struct port *port, enum port_drop why)
{
	port->counters.drops[why]++;
}

static inline void port_count_tx(struct port *port, const struct frame *frame)
{
	port->counters.tx_frames++;
	port->counters.tx_bytes += frame->length;
}

/* The counter for what virtio_net_decode() found. */
enum port_drop port_drop_of_fault(enum virtio_net_fault fault);

/* Going down forgets the addresses learned at the port. */
void port_set_up(struct port *port, bool up);

/* Starts and ends watching an fd. 0 or a negative errno. The watch must not move. */
int port_watch(struct port *port, struct port_watch *watch, int fd,
	       void (*ready)(struct port_watch *watch));
void port_unwatch(struct port_watch *watch);

#endif
