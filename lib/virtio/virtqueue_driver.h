/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver side of a virtqueue, split or packed: for our own clients of vhost-user back-ends, for tests and
 * for benchmarks. Indirect descriptors, event index and in-order use go as negotiated.
 *
 *	virtqueue_driver_add(q, parts, 1, 1, &head);	-- any number of times
 *	virtqueue_driver_kick(q);			-- shows them, kicks if the device wants it
 *	while (virtqueue_driver_take(q, &head, &written) > 0) ...
 *
 * `head` (0 to size - 1) names a chain between add and take: keep what belongs to it in an array.
 * The device is not trusted: used entries are checked, descriptors are never read back.
 * Memory ordering is the mirror image of what virtqueue.h describes. Packed rings are in
 * virtqueue_driver_packed.c.
 */
#ifndef TENON_VIRTIO_VIRTQUEUE_DRIVER_H
#define TENON_VIRTIO_VIRTQUEUE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

/* Parts that a chain may have to go into an indirect table; a longer one takes descriptors of the ring. */
#define VIRTQUEUE_DRIVER_TABLE       32
#define VIRTQUEUE_DRIVER_TABLE_BYTES (16u * VIRTQUEUE_DRIVER_TABLE)

/* A piece of guest memory in a chain. */
struct virtqueue_part {
	uint64_t guest_address;
	uint32_t length;
};

/* A chain, by the name that it has, or would have. */
struct virtqueue_driver_chain {
	uint16_t slots; /* descriptors of the ring that it takes; 0: none in flight */
	uint16_t next; /* split: the next descriptor of the chain, or free one; packed: free name */
	uint16_t
		order; /* in-order: the name of the one added after the one added as this manieth */
	uint32_t writable;
};

struct virtqueue_driver {
	uint16_t size;
	bool packed, indirect, event_index, in_order;
	int kick_fd; /* written to kick the device, -1 for none; the caller's */

	union {
		struct {
			struct vring_desc *desc;
			struct vring_avail *avail;
			struct vring_used *used;
		};
		struct {
			struct vring_packed_desc *ring;
			struct vring_packed_desc_event *driver_event;
			struct vring_packed_desc_event *device_event;
		};
	};
	uint64_t desc_address, avail_address, used_address; /* guest addresses of the three */
	uint8_t *tables;                                    /* one for each chain */
	uint64_t tables_address;

	struct virtqueue_driver_chain *chains;
	uint16_t free_head;
	uint16_t free_count;  /* of descriptors */
	uint16_t avail_next;  /* split: chains added; packed: the next entry to fill */
	uint16_t avail_shown; /* the same, as far as the device sees it */
	uint16_t used_seen;   /* split: chains taken back; packed: the next entry to look at */
	bool avail_wrap, used_wrap;
	uint16_t shown_flags;  /* packed: of the entry at avail_shown, to show it */
	uint16_t unshown;      /* descriptors that the device does not see yet */
	uint16_t added, taken; /* chains, for in-order use */
	uint16_t batch;        /* in-order: what used_seen goes on by at the end of a batch */
	uint64_t kicks;        /* written to kick_fd */
};

/* Bytes of ring memory for a queue of `size` with these negotiated features. */
size_t virtqueue_driver_bytes(uint16_t size, uint64_t features);

/*
 * Lays a ring out at `at` (64-byte aligned, virtqueue_driver_bytes() long), whose guest address is
 * `guest_address`. `features` are the negotiated virtio bits. -EINVAL (size) or -ENOMEM.
 */
int virtqueue_driver_init(struct virtqueue_driver *q, void *at, uint64_t guest_address,
			  uint16_t size, uint64_t features);
void virtqueue_driver_destroy(struct virtqueue_driver *q);

/* Where the device is to begin, for SET_VRING_BASE; nothing is in flight. */
uint32_t virtqueue_driver_base(const struct virtqueue_driver *q);

/* Adds a chain of `readable` parts for the device to read, then `writable` parts for it to write.
 * -ENOSPC if there are not enough free descriptors. */
int virtqueue_driver_add(struct virtqueue_driver *q, const struct virtqueue_part *parts,
			 unsigned readable, unsigned writable, uint16_t *head);

/* Shows the device what was added, and kicks it if it wants that. */
void virtqueue_driver_kick(struct virtqueue_driver *q);

/* Takes a used chain: 1, 0 if there is none, -EPROTO if the device wrote nonsense. With in-order use a device
 * may tell of the last of a burst only; then *written of the others is all that they have. */
int virtqueue_driver_take(struct virtqueue_driver *q, uint16_t *head, uint32_t *written);

/* Asks for calls, true if used chains came meanwhile; and the hint that none are needed. */
bool virtqueue_driver_enable_calls(struct virtqueue_driver *q);
void virtqueue_driver_disable_calls(struct virtqueue_driver *q);

/* ---- Between the files ---- */

void virtqueue_driver_fill_table(const struct virtqueue_driver *q, uint16_t head,
				 const struct virtqueue_part *parts, unsigned readable,
				 unsigned count);
void virtqueue_driver_add_packed(struct virtqueue_driver *q, uint16_t id,
				 const struct virtqueue_part *parts, unsigned readable,
				 unsigned count);
/* Shows it; whether the device wants a kick. */
bool virtqueue_driver_show_packed(struct virtqueue_driver *q);
/* Whether there is a used descriptor, and what it says. */
bool virtqueue_driver_used_packed(const struct virtqueue_driver *q, uint32_t *id,
				  uint32_t *written);
void virtqueue_driver_want_calls_packed(struct virtqueue_driver *q, bool wanted);

#endif
