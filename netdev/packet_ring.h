/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a packet socket receives, in memory shared with the kernel: each frame is in a slot, which is ours until it is given
 * back. No system call takes a frame, and the kernel copies it once, right there.
 *
 * Slots are for frames of an Ethernet wire. A longer one (large frames of TCP) is in the socket's queue as well, and its slot says so: the
 * frames in the queue are in the order of those slots. Slots for 64 KiB would be so few that small frames overrun them.
 *
 * A frame that a virtio-net header cannot describe (a datagram that is yet to be cut in fragments; before Linux 6.2 UDP segments, too) ends a
 * ring with headers: the kernel drops it, but has its slot as being filled for ever, and drops all that comes then (tpacket_rcv(), still so in 6.18).
 *
 * Frames are given one by one and not, as TPACKET_V3 does, in blocks: a block that is not full comes after a millisecond.
 *
 * Source: Linux Documentation/networking/packet_mmap.rst; net/packet/af_packet.c (6.1).
 */
#ifndef TENON_NETDEV_PACKET_RING_H
#define TENON_NETDEV_PACKET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_RING_SLOT  2048 /* bytes, the kernel's heads included */
#define PACKET_RING_SLOTS 2048
#define PACKET_RING_ROOM  4 /* bytes before a frame that may be written to: for a tag */

struct packet_ring {
	uint8_t *slots;      /* NULL: there is no ring */
	bool header;         /* each frame has a virtio-net header of 10 bytes before it */
	unsigned next, held; /* the slot to look at; how many before it are ours */
};

enum packet_ring_found {
	PACKET_RING_NOTHING,
	PACKET_RING_FRAME,  /* it is as told */
	PACKET_RING_QUEUED, /* it is the next in the socket's queue */
	PACKET_RING_CUT,    /* longer than the slot, and the queue had no room */
	PACKET_RING_BAD,    /* what the slot says of itself cannot be */
};

struct packet_ring_frame {
	uint8_t *bytes;
	size_t length;         /* also of one in the queue, which has no `bytes` */
	const uint8_t *header; /* if there is one */
	uint32_t tag;          /* the tag that the kernel took off: type and contents, or 0 */
};

/* Of a packet socket that is not bound, with its header chosen. -errno: the kernel gives none, and the socket is as it was. */
int packet_ring_create(struct packet_ring *ring, int fd, bool header);
void packet_ring_destroy(struct packet_ring *ring);
/* All that comes from now on is in the socket's queue, and what is in the ring or the queue is lost. -errno: the kernel keeps its ring. */
int packet_ring_end(struct packet_ring *ring, int fd);

/* Whether there is no frame in any slot. */
bool packet_ring_is_empty(const struct packet_ring *ring);

/* The next frame. It stays where it is, and may be changed, until packet_ring_release(). */
enum packet_ring_found packet_ring_take(struct packet_ring *ring, struct packet_ring_frame *frame);
/* All that were taken are done with. */
void packet_ring_release(struct packet_ring *ring);

#endif
