/* SPDX-License-Identifier: BSD-2-Clause */
/* See packet_ring.h. */
#include "netdev/packet_ring.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define BLOCK_SIZE 65536
#define RING_SIZE  ((size_t)PACKET_RING_SLOTS * PACKET_RING_SLOT)
#define HEADER     10 /* bytes of a virtio-net header */
/* Where a frame may begin: behind the slot's head and an address, with room before it. */
#define RESERVE     16
#define FRAME_FIRST (TPACKET2_HDRLEN + PACKET_RING_ROOM)

_Static_assert(BLOCK_SIZE % PACKET_RING_SLOT == 0 && RING_SIZE % BLOCK_SIZE == 0,
	       "slots lie one behind another");
_Static_assert(PACKET_RING_SLOT % TPACKET_ALIGNMENT == 0, "they are aligned");
_Static_assert(HEADER >= PACKET_RING_ROOM && RESERVE >= PACKET_RING_ROOM, "there is room");

static int request_ring(int fd, unsigned slots)
{
	struct tpacket_req request = { .tp_block_size = slots ? BLOCK_SIZE : 0,
				       .tp_block_nr = slots * PACKET_RING_SLOT / BLOCK_SIZE,
				       .tp_frame_size = slots ? PACKET_RING_SLOT : 0,
				       .tp_frame_nr = slots };

	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) ? -errno : 0;
}

int packet_ring_create(struct packet_ring *ring, int fd, bool header)
{
	int version = TPACKET_V2, reserve = RESERVE, copy = 1, rc;

	*ring = (struct packet_ring){ .header = header };
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof(reserve)) ||
	    /* Any number: what is too long for a slot is queued as well. */
	    setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &copy, sizeof(copy)))
		return -errno;
	rc = request_ring(fd, PACKET_RING_SLOTS);
	if (rc)
		return rc;
	ring->slots = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring->slots != MAP_FAILED)
		return 0;
	rc = -errno;
	ring->slots = NULL;
	(void)request_ring(fd, 0);
	return rc;
}

void packet_ring_destroy(struct packet_ring *ring)
{
	if (ring->slots)
		munmap(ring->slots, RING_SIZE);
	ring->slots = NULL;
}

int packet_ring_end(struct packet_ring *ring, int fd)
{
	/* It cannot end while it is mapped. */
	packet_ring_destroy(ring);
	ring->held = 0;
	return request_ring(fd, 0);
}

static struct tpacket2_hdr *slot_at(const struct packet_ring *ring, unsigned index)
{
	return (struct tpacket2_hdr *)(ring->slots +
				       (size_t)(index % PACKET_RING_SLOTS) * PACKET_RING_SLOT);
}

static uint32_t status_of(const struct tpacket2_hdr *head)
{
	return __atomic_load_n(&head->tp_status, __ATOMIC_ACQUIRE);
}

bool packet_ring_is_empty(const struct packet_ring *ring)
{
	for (unsigned i = 0; i < PACKET_RING_SLOTS; i++)
		if (status_of(slot_at(ring, i)) & TP_STATUS_USER)
			return false;
	return true;
}

static uint32_t tag_of(const struct tpacket2_hdr *head, uint32_t status)
{
	if (!(status & TP_STATUS_VLAN_VALID))
		return 0;
	return (uint32_t)(status & TP_STATUS_VLAN_TPID_VALID ? head->tp_vlan_tpid : ETH_P_8021Q)
		       << 16 |
	       head->tp_vlan_tci;
}

enum packet_ring_found packet_ring_take(struct packet_ring *ring, struct packet_ring_frame *frame)
{
	struct tpacket2_hdr *head = slot_at(ring, ring->next);
	size_t at, here;
	uint32_t status;

	if (ring->held == PACKET_RING_SLOTS)
		return PACKET_RING_NOTHING;
	status = status_of(head);
	if (!(status & TP_STATUS_USER))
		return PACKET_RING_NOTHING;
	ring->next = (ring->next + 1) % PACKET_RING_SLOTS;
	ring->held++;
	*frame = (struct packet_ring_frame){ .length = head->tp_len };
	if (status & TP_STATUS_COPY)
		return PACKET_RING_QUEUED;
	at = head->tp_mac;
	here = head->tp_snaplen;
	if (at < FRAME_FIRST + (ring->header ? HEADER : 0) || at > PACKET_RING_SLOT ||
	    here > PACKET_RING_SLOT - at || here > frame->length)
		return PACKET_RING_BAD;
	if (here < frame->length)
		return PACKET_RING_CUT;
	frame->bytes = (uint8_t *)head + at;
	frame->header = ring->header ? frame->bytes - HEADER : NULL;
	frame->tag = tag_of(head, status);
	return PACKET_RING_FRAME;
}

void packet_ring_release(struct packet_ring *ring)
{
	unsigned first = ring->next + PACKET_RING_SLOTS - ring->held;

	for (unsigned i = 0; i < ring->held; i++)
		__atomic_store_n(&slot_at(ring, first + i)->tp_status, TP_STATUS_KERNEL,
				 __ATOMIC_RELEASE);
	ring->held = 0;
}
