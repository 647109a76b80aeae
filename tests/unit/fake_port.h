/* SPDX-License-Identifier: BSD-2-Clause */
/* A port of a switch for tests: frames are put in by hand, what is sent to it is kept. */
#ifndef TENON_TESTS_UNIT_FAKE_PORT_H
#define TENON_TESTS_UNIT_FAKE_PORT_H

#include "vswitch/switch.h"

#define FAKE_PORT_FRAMES 512

struct fake_frame {
	struct virtio_net_offload offload;
	size_t length;
	uint8_t *bytes;
};

struct fake_port {
	struct port port;
	bool small_pieces; /* hand frames out in pieces of 100 bytes after the head */

	struct fake_frame in[FAKE_PORT_FRAMES]; /* waiting to be received */
	unsigned in_count, in_next;
	struct fake_frame out[FAKE_PORT_FRAMES]; /* what was transmitted, in order */
	unsigned out_count;
	unsigned released; /* calls of release() after something was received */

	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST][1024];
	unsigned held;
};

/* Adds a port that takes frames with `features` offloads. The switch owns it. */
struct fake_port *fake_port_add(struct vswitch *vswitch, const char *name, uint64_t features);

/* Puts a frame in; the bytes are copied. `header` may be NULL. The header must be good. */
void fake_port_put(struct fake_port *fake, const void *bytes, size_t length,
		   const struct virtio_net_header *header);

/* Puts in a frame of `length` bytes (60 if 0) between two addresses. */
void fake_port_put_frame(struct fake_port *fake, uint64_t destination, uint64_t source,
			 size_t length);

/* Forgets what was transmitted. */
void fake_port_clear(struct fake_port *fake);

#endif
