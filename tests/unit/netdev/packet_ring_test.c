/* SPDX-License-Identifier: BSD-2-Clause */
/* netdev: what a ring's slots may say, in memory as the kernel's. */
#include "unit.h"

#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netdev/packet_ring.h"
#include "util/bytes.h"

#define SIZE ((size_t)PACKET_RING_SLOTS * PACKET_RING_SLOT)

static struct packet_ring ring_make(bool header)
{
	struct packet_ring ring = { .slots = aligned_alloc(4096, SIZE), .header = header };

	CU_ASSERT_PTR_NOT_NULL_FATAL(ring.slots);
	memset(ring.slots, 0, SIZE);
	return ring;
}

static struct tpacket2_hdr *slot(const struct packet_ring *ring, unsigned index)
{
	return (struct tpacket2_hdr *)(ring->slots + (size_t)index * PACKET_RING_SLOT);
}

static void test_frames(void)
{
	struct packet_ring ring = ring_make(true);
	struct packet_ring_frame frame;

	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_NOTHING);
	*slot(&ring, 0) = (struct tpacket2_hdr){ .tp_status = TP_STATUS_USER | TP_STATUS_LOSING,
						 .tp_len = 60,
						 .tp_snaplen = 60,
						 .tp_mac = 100,
						 .tp_vlan_tci = 7 };
	*slot(&ring, 1) = (struct tpacket2_hdr){ .tp_status = TP_STATUS_USER | TP_STATUS_VLAN_VALID,
						 .tp_len = PACKET_RING_SLOT - 66,
						 .tp_snaplen = PACKET_RING_SLOT - 66,
						 .tp_mac = 66,
						 .tp_vlan_tci = 7 };
	*slot(&ring, 2) =
		(struct tpacket2_hdr){ .tp_status = TP_STATUS_USER | TP_STATUS_VLAN_VALID |
						    TP_STATUS_VLAN_TPID_VALID,
				       .tp_mac = PACKET_RING_SLOT,
				       .tp_vlan_tci = 0xffff,
				       .tp_vlan_tpid = 0x88a8 };
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_FRAME);
	CU_ASSERT_PTR_EQUAL(frame.bytes, ring.slots + 100);
	CU_ASSERT_PTR_EQUAL(frame.header, ring.slots + 90);
	CU_ASSERT_EQUAL(frame.length, 60);
	CU_ASSERT_EQUAL(frame.tag, 0);
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_FRAME);
	CU_ASSERT_PTR_EQUAL(frame.bytes, ring.slots + PACKET_RING_SLOT + 66);
	CU_ASSERT_EQUAL(frame.length, PACKET_RING_SLOT - 66);
	CU_ASSERT_EQUAL(frame.tag, 0x81000007);
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_FRAME);
	CU_ASSERT_EQUAL(frame.length, 0);
	CU_ASSERT_EQUAL(frame.tag, 0x88a8ffff);
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_NOTHING);
	free(ring.slots);
}

/* A frame is not passed on cut, and nothing outside its slot is read, whatever the slot says. */
static void test_what_cannot_be(void)
{
	static const struct {
		bool header;
		uint32_t status, length, here;
		uint16_t at;
		enum packet_ring_found found;
	} cases[] = {
		{ true, TP_STATUS_USER, 60, 60, 66, PACKET_RING_FRAME },
		{ true, TP_STATUS_USER, 60, 60, 65, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, 60, 60, 0, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, 60, 60, 65535, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, 1, 1, PACKET_RING_SLOT, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, 0, 0, PACKET_RING_SLOT + 1, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, 1983, 1983, 66, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, UINT32_MAX, UINT32_MAX, 66, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, UINT32_MAX, 60, 66, PACKET_RING_CUT },
		{ true, TP_STATUS_USER, 59, 60, 66, PACKET_RING_BAD },
		{ true, TP_STATUS_USER, 61, 60, 66, PACKET_RING_CUT },
		{ true, TP_STATUS_USER, 61, 0, 66, PACKET_RING_CUT },
		{ true, TP_STATUS_USER | TP_STATUS_COPY, 65000, 1982, 66, PACKET_RING_QUEUED },
		{ true, TP_STATUS_USER | TP_STATUS_COPY, 65000, 0, 0, PACKET_RING_QUEUED },
		{ true, TP_STATUS_COPY, 65000, 0, 66, PACKET_RING_NOTHING },
		{ false, TP_STATUS_USER, 60, 60, 56, PACKET_RING_FRAME },
		{ false, TP_STATUS_USER, 60, 60, 55, PACKET_RING_BAD },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet_ring ring = ring_make(cases[i].header);
		struct packet_ring_frame frame;

		/* The last of all: behind it there is nothing. */
		ring.next = PACKET_RING_SLOTS - 1;
		*slot(&ring, ring.next) = (struct tpacket2_hdr){ .tp_status = cases[i].status,
								 .tp_len = cases[i].length,
								 .tp_snaplen = cases[i].here,
								 .tp_mac = cases[i].at };
		CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), cases[i].found);
		CU_ASSERT_EQUAL(ring.held, cases[i].found != PACKET_RING_NOTHING);
		packet_ring_release(&ring);
		if (ring.next == 0)
			CU_ASSERT_EQUAL(slot(&ring, PACKET_RING_SLOTS - 1)->tp_status,
					TP_STATUS_KERNEL);
		free(ring.slots);
	}
}

/* Slots are given back all together, in whatever place of the circle, and none twice. */
static void test_the_circle(void)
{
	struct packet_ring ring = ring_make(false);
	struct packet_ring_frame frame;

	for (unsigned i = 0; i < PACKET_RING_SLOTS; i++)
		*slot(&ring, i) = (struct tpacket2_hdr){ .tp_status = TP_STATUS_USER,
							 .tp_len = i % 1500,
							 .tp_snaplen = i % 1500,
							 .tp_mac = 64 };
	ring.next = 100;
	for (unsigned i = 0; i < PACKET_RING_SLOTS; i++) {
		CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_FRAME);
		CU_ASSERT_EQUAL(frame.length, (100 + i) % PACKET_RING_SLOTS % 1500);
	}
	/* All are ours: the next one was seen. */
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_NOTHING);
	packet_ring_release(&ring);
	for (unsigned i = 0; i < PACKET_RING_SLOTS; i++)
		CU_ASSERT_EQUAL(slot(&ring, i)->tp_status, TP_STATUS_KERNEL);
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_NOTHING);
	slot(&ring, 99)->tp_status = slot(&ring, 100)->tp_status = TP_STATUS_USER;
	CU_ASSERT_EQUAL(packet_ring_take(&ring, &frame), PACKET_RING_FRAME);
	packet_ring_release(&ring);
	CU_ASSERT_EQUAL(slot(&ring, 99)->tp_status, TP_STATUS_USER);
	CU_ASSERT_EQUAL(slot(&ring, 100)->tp_status, TP_STATUS_KERNEL);
	free(ring.slots);
}

/* It is as it was. */
static void test_what_is_no_packet_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct packet_ring ring;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_TRUE(packet_ring_create(&ring, fd, true) < 0);
	CU_ASSERT_PTR_NULL(ring.slots);
	packet_ring_release(&ring);
	packet_ring_destroy(&ring);
	close(fd);
}

UNIT_MAIN("packet_ring", UNIT(test_frames), UNIT(test_what_cannot_be), UNIT(test_the_circle),
	  UNIT(test_what_is_no_packet_socket))
