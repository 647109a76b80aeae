/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's network driver for tests: a vhost-user front-end with one queue pair or more, driven by hand. */
#ifndef TENON_TESTS_UNIT_NET_GUEST_H
#define TENON_TESTS_UNIT_NET_GUEST_H

#include "virtio/guest_memory.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtio_net.h"
#include "virtio/virtqueue_driver.h"

#define NET_GUEST_QUEUE    256
#define NET_GUEST_PATIENCE 300000 /* ms for what must come: a processor may be shared with many */

struct net_guest {
	struct guest_memory memory;
	struct vhost_user_frontend *frontend;
	struct virtqueue_driver rx, tx;
	int rx_kick, rx_call, tx_kick, tx_call;
	uint64_t features;
	size_t buffer_size; /* of the receive buffers */
	uint8_t *base;      /* of the memory here */
	uint64_t guest_base;
	struct net_guest *first; /* of a pair that was added; or NULL */

	/* Per chain: which of the buffers it uses. */
	uint64_t rx_at[NET_GUEST_QUEUE];
	unsigned next_rx, next_tx;
	struct virtio_net_header header; /* of the frame received last */
	unsigned buffers;                /* that it came in */
};

/* Takes a connected front-end over, negotiates `features` besides VERSION_1 (all must be on offer), and
 * starts both queues. Ends the test program where that fails. */
struct net_guest *net_guest_start(struct vhost_user_frontend *frontend, uint64_t features);
void net_guest_end(struct net_guest *guest);

/* Another queue pair of the same guest, the `index`th from 0 on, in a memory region of its own; to be ended by itself, after the guest. */
struct net_guest *net_guest_add_pair(struct net_guest *first, unsigned index);

/* Gives the device `count` receive buffers of `size` bytes. */
void net_guest_give_buffers(struct net_guest *guest, unsigned count, size_t size);

/* Sends a frame, in one chain of `parts` descriptors and the header in one of its own; waits until the
 * device has given the chain back. False if it does not within NET_GUEST_PATIENCE. `header` may be NULL. */
bool net_guest_send(struct net_guest *guest, const void *frame, size_t length,
		    const struct virtio_net_header *header, unsigned parts);

/* Sends `length` raw bytes: whatever they are, they are not preceded by a header of ours. */
bool net_guest_send_raw(struct net_guest *guest, const void *bytes, size_t length);

/* The next frame: its length, with guest->header and guest->buffers set, or 0 if none comes within
 * `timeout_ms`. */
size_t net_guest_receive(struct net_guest *guest, void *frame, size_t space, unsigned timeout_ms);

#endif
