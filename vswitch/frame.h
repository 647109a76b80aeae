/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame on its way through the switch. Its bytes stay where the source port has them (a guest's
 * buffers, a read buffer) until a destination port copies them, once, to where they go.
 *
 * pieces[0] is the head: private memory of the switch, at least as long as the lesser of the frame and
 * FRAME_HEAD_PLAIN, and as virtio_net_decode() needs it where the frame asks for an offload. All that is
 * decided on lies in it, and it is what is sent on; so a guest that rewrites a header meanwhile changes
 * nothing.
 */
#ifndef TENON_VSWITCH_FRAME_H
#define TENON_VSWITCH_FRAME_H

#include <stdint.h>
#include <sys/uio.h>

#include "virtio/virtio_net.h"

/* What is copied of a frame that asks for nothing: a small frame whole. */
#define FRAME_HEAD_PLAIN 64

struct frame {
	struct iovec *pieces;
	unsigned count;
	uint32_t length;
	struct virtio_net_offload offload;
	uint64_t id; /* where it is captured: the same at all ports that it passes; else anything */
};

/*
 * Describes bytes [offset, offset + length) of `frame` by at most `space` pieces at `out`. Returns how
 * many, or 0 if they do not suffice. The range lies in the frame.
 */
unsigned frame_slice(const struct frame *frame, size_t offset, size_t length, struct iovec *out,
		     unsigned space);

/* Copies `length` bytes from pieces, beginning `offset` bytes into them, to `to`. They are there. */
void frame_copy_out(const struct iovec *pieces, unsigned count, size_t offset, void *to,
		    size_t length);

#endif
