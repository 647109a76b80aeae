/*
 * The driver side of a split virtqueue: for our own clients of vhost-user back-ends, for tests and for
 * benchmarks. Chains are direct (no indirect tables); event index is used if negotiated.
 *
 *	virtqueue_driver_add(q, parts, 1, 1, &head);	-- any number of times
 *	virtqueue_driver_kick(q);			-- shows them, kicks if the device wants it
 *	while (virtqueue_driver_take(q, &head, &written) > 0) ...
 *
 * `head` (0 to size - 1) names a chain between add and take: keep what belongs to it in an array.
 * The device is not trusted: used entries are checked, descriptors are never read back.
 * Memory ordering is the mirror image of what virtqueue.h describes.
 */
#ifndef TENON_VIRTIO_VIRTQUEUE_DRIVER_H
#define TENON_VIRTIO_VIRTQUEUE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

/* A piece of guest memory in a chain. */
struct virtqueue_part {
	uint64_t guest_address;
	uint32_t length;
};

struct virtqueue_driver {
	uint16_t size;
	bool event_index;
	int kick_fd; /* written to kick the device, -1 for none; the caller's */

	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t desc_address, avail_address, used_address; /* guest addresses of the three */

	uint16_t *next;   /* our copy of the free list and of chains; SIZE entries */
	uint16_t *length; /* descriptors of the chain that begins here; 0: none in flight */
	uint16_t free_head;
	uint16_t free_count;
	uint16_t avail_next;  /* chains added */
	uint16_t avail_shown; /* chains that the device sees */
	uint16_t used_seen;   /* chains taken back */
	uint64_t kicks;       /* written to kick_fd */
};

/* Bytes of ring memory for a queue of `size`. */
size_t virtqueue_driver_bytes(uint16_t size);

/*
 * Lays a ring out at `at` (64-byte aligned, virtqueue_driver_bytes() long), whose guest address is
 * `guest_address`. `features` are the negotiated virtio bits. -EINVAL (size) or -ENOMEM.
 */
int virtqueue_driver_init(struct virtqueue_driver *q, void *at, uint64_t guest_address,
			  uint16_t size, uint64_t features);
void virtqueue_driver_destroy(struct virtqueue_driver *q);

/* Adds a chain of `readable` parts for the device to read, then `writable` parts for it to write.
 * -ENOSPC if there are not enough free descriptors. */
int virtqueue_driver_add(struct virtqueue_driver *q, const struct virtqueue_part *parts,
			 unsigned readable, unsigned writable, uint16_t *head);

/* Shows the device what was added, and kicks it if it wants that. */
void virtqueue_driver_kick(struct virtqueue_driver *q);

/* Takes a used chain: 1, 0 if there is none, -EPROTO if the device wrote nonsense. */
int virtqueue_driver_take(struct virtqueue_driver *q, uint16_t *head, uint32_t *written);

/* Asks for calls, true if used chains came meanwhile; and the hint that none are needed. */
bool virtqueue_driver_enable_calls(struct virtqueue_driver *q);
void virtqueue_driver_disable_calls(struct virtqueue_driver *q);

#endif
