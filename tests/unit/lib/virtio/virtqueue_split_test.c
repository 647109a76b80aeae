/* SPDX-License-Identifier: BSD-2-Clause */
/* Split rings, also ones that no honest driver makes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "both_sides.h"
#include "util/bytes.h"

static void put_desc(void *table, unsigned index, uint64_t address, uint32_t length, uint16_t flags,
		     uint16_t next)
{
	struct vring_desc *desc = (struct vring_desc *)table + index;

	desc->addr = htole64(address);
	desc->len = htole32(length);
	desc->flags = htole16(flags);
	desc->next = htole16(next);
}

#define RING(index, address, length, flags, next)                                                  \
	put_desc(both.driver.desc, index, address, length, flags, next)
#define INNER(index, address, length, flags, next)                                                 \
	put_desc(both.bytes + TABLE, index, address, length, flags, next)

/* Makes `head` available as it is. */
static void offer(uint16_t head)
{
	struct vring_avail *avail = both.driver.avail;

	avail->ring[le16toh(avail->idx) % SIZE] = htole16(head);
	avail->idx = htole16((uint16_t)(le16toh(avail->idx) + 1));
}

static void test_indirect_tables_follow_direct_descriptors(void)
{
	set_up(INDIRECT);
	RING(3, BASE + DATA, 16, N, 5);
	RING(5, BASE + TABLE, 48, I | W, 77); /* WRITE and next mean nothing here */
	INNER(0, BASE + DATA + 16, 10, N, 2);
	INNER(1, FAR, 10, 0, 0); /* not in the chain */
	INNER(2, BASE + DATA + 32, 7, W, 0);
	offer(3);
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	CU_ASSERT_EQUAL(both.chain.head, 3);
	CU_ASSERT_EQUAL(both.chain.readable, 2);
	CU_ASSERT_EQUAL(both.chain.writable, 1);
	CU_ASSERT_EQUAL(both.chain.readable_bytes, 26);
	CU_ASSERT_EQUAL(both.chain.writable_bytes, 7);
	tear_down();
}

static void test_an_indirect_table_may_be_longer_than_the_ring(void)
{
	set_up(INDIRECT);
	for (unsigned i = 0; i < 12; i++)
		INNER(i, BASE + DATA, 1, i < 11 ? N : 0, (uint16_t)(i + 1));
	RING(0, BASE + TABLE, 12 * 16, I, 0);
	offer(0);
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	CU_ASSERT_EQUAL(both.chain.readable, 12);
	tear_down();
}

static void test_empty_buffers_are_left_out(void)
{
	set_up(0);
	RING(0, BASE + DATA, 0, N, 1);
	RING(1, BASE + DATA, 5, N, 2);
	RING(2, FAR, 0, W, 0);
	offer(0);
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	CU_ASSERT_EQUAL(both.chain.readable, 1);
	CU_ASSERT_EQUAL(both.chain.writable, 0);
	tear_down();
}

static void test_a_buffer_across_two_regions_becomes_two_pieces(void)
{
	static uint8_t more[4096];

	set_up(0);
	CU_ASSERT_EQUAL(guest_memory_add_region(&both.memory, FAR, sizeof(more), more, NULL), 0);
	RING(0, FAR - 10, 30, W, 0);
	offer(0);
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	CU_ASSERT_EQUAL(both.chain.writable, 2);
	CU_ASSERT_EQUAL(both.iov[0].iov_len, 10);
	CU_ASSERT_PTR_EQUAL(both.iov[1].iov_base, more);
	CU_ASSERT_EQUAL(both.iov[1].iov_len, 20);
	tear_down();
}

/* Expects the chain at 0 to break the ring, once, for a reason that contains `reason`. */
static void expect_broken(const char *reason)
{
	struct both *b = &both;

	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->device.broken);
	if (!strstr(b->device.broken, reason))
		printf("broken for '%s', expected '%s'\n", b->device.broken, reason);
	CU_ASSERT_PTR_NOT_NULL(strstr(b->device.broken, reason));
	CU_ASSERT_EQUAL(count_of(b->device.error_fd), 1);
	/* From then on, silence. */
	offer(0);
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 0);
	CU_ASSERT_FALSE(virtqueue_available(&b->device));
	CU_ASSERT_FALSE(virtqueue_enable_kicks(&b->device));
	CU_ASSERT_EQUAL(count_of(b->device.error_fd), 0);
	/* Until the ring is set up anew. */
	b->driver.avail->idx = 0;
	CU_ASSERT_EQUAL(virtqueue_start(&b->device, SIZE, b->driver.desc_address,
					b->driver.avail_address, b->driver.used_address, 0),
			0);
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 0);
	tear_down();
}

static void test_hostile_direct_chains_break_the_ring(void)
{
	set_up(INDIRECT);
	offer(SIZE);
	expect_broken("beyond its table");

	set_up(INDIRECT);
	RING(0, BASE + DATA, 1, N, SIZE);
	offer(0);
	expect_broken("beyond its table");

	set_up(INDIRECT);
	RING(0, BASE + DATA, 1, N, 1);
	RING(1, BASE + DATA, 1, N, 0);
	offer(0);
	expect_broken("has no end");

	set_up(INDIRECT);
	RING(0, FAR - 1, 2, 0, 0);
	offer(0);
	expect_broken("outside guest memory");

	set_up(INDIRECT);
	RING(0, UINT64_MAX - 1, 16, 0, 0);
	offer(0);
	expect_broken("outside guest memory");

	set_up(INDIRECT);
	RING(0, BASE, UINT32_MAX, 0, 0);
	offer(0);
	expect_broken("outside guest memory");

	set_up(INDIRECT);
	RING(0, BASE + DATA, 1, W | N, 1);
	RING(1, BASE + DATA, 1, 0, 0);
	offer(0);
	expect_broken("readable buffer follows");

	set_up(0);
	both.chain.capacity = 1;
	RING(0, BASE + DATA, 1, N, 1);
	RING(1, BASE + DATA, 1, 0, 0);
	offer(0);
	expect_broken("more buffers than");
}

static void test_hostile_indirect_tables_break_the_ring(void)
{
	set_up(0);
	RING(0, BASE + TABLE, 16, I, 0);
	offer(0);
	expect_broken("not negotiated");

	set_up(INDIRECT);
	RING(0, BASE + TABLE, 16, I | N, 1);
	offer(0);
	expect_broken("has a next one");

	set_up(INDIRECT);
	RING(0, BASE + TABLE, 0, I, 0);
	offer(0);
	expect_broken("multiple of 16");

	set_up(INDIRECT);
	RING(0, BASE + TABLE, 24, I, 0);
	offer(0);
	expect_broken("multiple of 16");

	set_up(INDIRECT);
	RING(0, BASE + TABLE, 32, I, 0);
	INNER(0, BASE + TABLE, 16, I, 0);
	offer(0);
	expect_broken("in an indirect table");

	set_up(INDIRECT);
	RING(0, BASE + TABLE, 32, I, 0);
	INNER(0, BASE + DATA, 1, N, 2);
	offer(0);
	expect_broken("beyond its table");

	set_up(INDIRECT);
	RING(0, BASE + TABLE, 32, I, 0);
	INNER(0, BASE + DATA, 0, N, 1);
	INNER(1, BASE + DATA, 0, N, 0);
	offer(0);
	expect_broken("has no end");

	set_up(INDIRECT);
	RING(0, FAR - 16, 32, I, 0);
	put_desc(both.bytes + MEMORY - 16, 0, BASE + DATA, 1, N, 1);
	offer(0);
	expect_broken("table is outside");

	set_up(INDIRECT);
	RING(0, UINT64_MAX - 15, 32, I, 0);
	offer(0);
	expect_broken("wraps");
}

static void test_no_more_chains_than_the_ring_holds(void)
{
	struct both *b = &both;

	set_up(0);
	RING(0, BASE + DATA, 1, 0, 0);
	b->driver.avail->idx = htole16(SIZE + 1);
	expect_broken("more chains are available");

	/* Chains in flight count too, or a driver could have any number of them. */
	set_up(0);
	RING(0, BASE + DATA, 1, 0, 0);
	b->driver.avail->idx = htole16(SIZE);
	for (int i = 0; i < SIZE; i++)
		CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 1);
	b->driver.avail->idx = htole16(SIZE + 1);
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), -EPROTO);
	/* What was in flight may still be pushed; it changes nothing. */
	for (int i = 0; i < SIZE; i++)
		virtqueue_push(&b->device, &b->chain, 0);
	virtqueue_notify(&b->device);
	CU_ASSERT_EQUAL(b->device.in_flight, 0);
	CU_ASSERT_EQUAL(b->driver.used->idx, 0);
	tear_down();
}

static void test_a_ring_must_lie_in_memory_and_be_aligned(void)
{
	struct virtqueue vq;

	set_up(0);
	virtqueue_init(&vq, &both.memory, 0, 0);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 0, BASE, BASE + 4096, BASE + 8192, 0), -EINVAL);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 3, BASE, BASE + 4096, BASE + 8192, 0), -EINVAL);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, BASE + 8, BASE + 4096, BASE + 8192, 0), -EINVAL);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, BASE, BASE + 4097, BASE + 8192, 0), -EINVAL);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, BASE, BASE + 4096, BASE + 8194, 0), -EINVAL);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, FAR - 64, BASE + 4096, BASE + 8192, 0), -EFAULT);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, BASE, FAR - 20, BASE + 8192, 0), -EFAULT);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, BASE, BASE + 4096, FAR - 68, 0), -EFAULT);
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 8, BASE, BASE + 4096, FAR - 72, 65535), 0);
	CU_ASSERT_EQUAL(vq.last_avail, 65535);
	tear_down();
}

static void test_a_driver_does_not_believe_its_device(void)
{
	struct virtqueue_driver *q = &both.driver;
	uint32_t written;
	uint16_t head, taken;

	set_up(0);
	head = add(1, 1);
	virtqueue_driver_kick(q);
	q->used->ring[0].id = htole32((uint32_t)head + 1); /* not the head of a chain */
	q->used->idx = htole16(1);
	CU_ASSERT_EQUAL(virtqueue_driver_take(q, &taken, &written), -EPROTO);
	q->used->ring[0].id = htole32(SIZE);
	CU_ASSERT_EQUAL(virtqueue_driver_take(q, &taken, &written), -EPROTO);
	q->used->ring[0].id = htole32(head);
	CU_ASSERT_EQUAL(virtqueue_driver_take(q, &taken, &written), 1);
	q->used->ring[1].id = htole32(head); /* a second time */
	q->used->idx = htole16(2);
	CU_ASSERT_EQUAL(virtqueue_driver_take(q, &taken, &written), -EPROTO);
	tear_down();
}

static void test_a_full_ring_takes_no_more(void)
{
	struct virtqueue_part part = { BASE + DATA, 1 };
	uint16_t head;

	set_up(0);
	add(1, 3);
	add(1, 3);
	CU_ASSERT_EQUAL(virtqueue_driver_add(&both.driver, &part, 1, 0, &head), -ENOSPC);
	virtqueue_driver_kick(&both.driver);
	serve_one();
	take_all();
	add(1, 3);
	tear_down();
}

UNIT_MAIN("virtqueue_split", UNIT(test_indirect_tables_follow_direct_descriptors),
	  UNIT(test_an_indirect_table_may_be_longer_than_the_ring),
	  UNIT(test_empty_buffers_are_left_out),
	  UNIT(test_a_buffer_across_two_regions_becomes_two_pieces),
	  UNIT(test_hostile_direct_chains_break_the_ring),
	  UNIT(test_hostile_indirect_tables_break_the_ring),
	  UNIT(test_no_more_chains_than_the_ring_holds),
	  UNIT(test_a_ring_must_lie_in_memory_and_be_aligned),
	  UNIT(test_a_driver_does_not_believe_its_device), UNIT(test_a_full_ring_takes_no_more))
