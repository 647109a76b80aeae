/* SPDX-License-Identifier: BSD-2-Clause */
/* Packed rings, also ones that no honest driver makes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "both_sides.h"
#include "util/bytes.h"

/* Descriptor `index` of the packed ring, in the first round; the driver's `flags` besides. */
static void put_packed(unsigned index, uint64_t address, uint32_t length, unsigned flags)
{
	struct vring_packed_desc *desc = &both.driver.ring[index];

	desc->addr = htole64(address);
	desc->len = htole32(length);
	desc->id = htole16((uint16_t)index);
	desc->flags = htole16((uint16_t)(flags | 1u << VRING_PACKED_DESC_F_AVAIL));
}

static void put_packed_inner(unsigned index, uint64_t address, uint32_t length, unsigned flags)
{
	struct vring_packed_desc *desc = (struct vring_packed_desc *)(both.bytes + TABLE) + index;

	*desc = (struct vring_packed_desc){ htole64(address), htole32(length), 0,
					    htole16((uint16_t)flags) };
}

/* Expects the chain at 0 to break the packed ring. */
static void expect_packed_broken(const char *reason)
{
	struct both *b = &both;

	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->device.broken);
	if (!strstr(b->device.broken, reason))
		printf("broken for '%s', expected '%s'\n", b->device.broken, reason);
	CU_ASSERT_PTR_NOT_NULL(strstr(b->device.broken, reason));
	CU_ASSERT_EQUAL(count_of(b->device.error_fd), 1);
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 0);
	CU_ASSERT_FALSE(virtqueue_available(&b->device));
	CU_ASSERT_EQUAL(b->device.in_flight, 0);
	tear_down();
}

/* A front-end that knows of no wrap counters begins a new packed ring at 0 (user-mode Linux 6.1); in one that
 * was in use, 0 means what it says. */
static void test_a_packed_ring_that_begins_at_0(void)
{
	struct both *b = &both;

	set_up(PACKED);
	CU_ASSERT_EQUAL(virtqueue_start(&b->device, SIZE, b->driver.desc_address,
					b->driver.avail_address, b->driver.used_address, 0),
			0);
	CU_ASSERT_EQUAL(virtqueue_base(&b->device), VIRTQUEUE_BASE_PACKED);
	add(1, 0);
	virtqueue_driver_kick(&b->driver);
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 1);
	virtqueue_push(&b->device, &b->chain, 0);
	virtqueue_notify(&b->device);
	CU_ASSERT_EQUAL(virtqueue_start(&b->device, SIZE, b->driver.desc_address,
					b->driver.avail_address, b->driver.used_address, 0),
			0);
	CU_ASSERT_EQUAL(virtqueue_base(&b->device), 0);
	tear_down();
}

static void test_hostile_packed_chains_break_the_ring(void)
{
	set_up(PACKED | INDIRECT);
	for (unsigned i = 0; i < SIZE; i++)
		put_packed(i, BASE + DATA, 1, N);
	expect_packed_broken("has no end");

	set_up(PACKED | INDIRECT);
	put_packed(0, FAR - 1, 2, 0);
	expect_packed_broken("outside guest memory");

	set_up(PACKED | INDIRECT);
	put_packed(1, BASE + DATA, 1, 0);
	put_packed(0, BASE + DATA, 1, W | N);
	expect_packed_broken("readable buffer follows");

	set_up(PACKED);
	put_packed(0, BASE + TABLE, 16, I);
	expect_packed_broken("not negotiated");

	set_up(PACKED | INDIRECT);
	put_packed(0, BASE + DATA, 16, N);
	put_packed(1, BASE + TABLE, 16, I);
	expect_packed_broken("in a chain of others");

	set_up(PACKED | INDIRECT);
	put_packed(0, BASE + TABLE, 40, I);
	expect_packed_broken("multiple of 16");

	set_up(PACKED | INDIRECT);
	put_packed(0, BASE + TABLE, 16 * (VIRTQUEUE_MAX_CHAIN + 1), I);
	expect_packed_broken("longer than it may be");

	set_up(PACKED | INDIRECT);
	put_packed_inner(0, BASE + TABLE, 16, I);
	put_packed(0, BASE + TABLE, 16, I);
	expect_packed_broken("in an indirect table");

	/* Descriptors that are with us are not available once more, whatever their flags say. */
	set_up(PACKED);
	for (unsigned i = 0; i < SIZE; i++)
		put_packed(i, BASE + DATA, 1, 0);
	for (unsigned i = 0; i < SIZE; i++)
		CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	both.driver.ring[0].flags = htole16(1u << VRING_PACKED_DESC_F_USED);
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), -EPROTO);
	for (unsigned i = 0; i < SIZE; i++)
		virtqueue_push(&both.device, &both.chain, 0);
	CU_ASSERT_EQUAL(both.device.in_flight, 0);
	tear_down();
}

static void test_a_packed_table_is_a_list_and_may_be_longer_than_the_ring(void)
{
	set_up(PACKED | INDIRECT);
	for (unsigned i = 0; i < 12; i++) /* NEXT means nothing here */
		put_packed_inner(i, BASE + DATA, 2, i < 9 ? N : W);
	put_packed(0, BASE + TABLE, 12 * 16, I);
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	CU_ASSERT_EQUAL(both.chain.readable, 9);
	CU_ASSERT_EQUAL(both.chain.writable_bytes, 6);
	CU_ASSERT_EQUAL(both.chain.slots, 1);
	tear_down();
}

static void test_a_packed_ring_goes_on_where_it_was(void)
{
	struct both *b = &both;
	struct virtqueue vq;
	uint32_t base;

	set_up(PACKED);
	CU_ASSERT_EQUAL(virtqueue_base(&b->device), VIRTQUEUE_BASE_PACKED);
	for (unsigned i = 0; i < 3; i++) {
		add(2, 1);
		virtqueue_driver_kick(&b->driver);
		serve_one();
		take_all();
	}
	/* Nine of eight: entry 1 of the second round. */
	base = virtqueue_base(&b->device);
	CU_ASSERT_EQUAL(base, 0x00010001);
	CU_ASSERT_EQUAL(base, virtqueue_driver_base(&b->driver));
	add(2, 1);
	virtqueue_driver_kick(&b->driver);
	virtqueue_init(&vq, &b->memory, 0, PACKED);
	/* DPDK says the first half only. */
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(virtqueue_start(&vq, SIZE, b->driver.desc_address,
						b->driver.avail_address, b->driver.used_address,
						i ? base & 0xffff : base),
				0);
		CU_ASSERT_EQUAL(virtqueue_pop(&vq, &b->chain), 1);
		CU_ASSERT_EQUAL(b->chain.readable, 2);
	}
	/* Outside the ring, or used ahead of available. */
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t wrong[] = { 8, 1 << 16 | 0x8008, 0x8003u << 16 | 0x8001 };

		CU_ASSERT_EQUAL(virtqueue_start(&vq, SIZE, b->driver.desc_address,
						b->driver.avail_address, b->driver.used_address,
						wrong[i]),
				-EINVAL);
	}
	/* No power of two. */
	CU_ASSERT_EQUAL(virtqueue_start(&vq, 7, b->driver.desc_address, b->driver.avail_address,
					b->driver.used_address, VIRTQUEUE_BASE_PACKED),
			0);
	tear_down();
}

/* Another device, whose front-end knows nothing of the one that was killed. Returns where it goes on. */
static uint32_t found_by(struct virtqueue *vq, uint64_t features)
{
	struct both *b = &both;

	virtqueue_init(vq, &b->memory, 0, features);
	vq->call_fd = b->device.call_fd;
	CU_ASSERT_EQUAL(virtqueue_start(vq, SIZE, b->driver.desc_address, b->driver.avail_address,
					b->driver.used_address,
					features & PACKED ? VIRTQUEUE_BASE_PACKED
							  : VIRTQUEUE_BASE_SPLIT),
			0);
	virtqueue_resume_in_order(vq);
	return virtqueue_base(vq);
}

/* The used position of the device that was killed, as both halves of a base. */
static uint32_t shown_by(const struct virtqueue *vq)
{
	uint32_t half = vq->used_shown | (vq->shown_wrap ? 0x8000u : 0);

	return half << 16 | half;
}

/* For chains of one buffer. */
static void give_room(struct virtqueue_chain *chains, struct iovec *pieces, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		chains[i] = (struct virtqueue_chain){ .iov = &pieces[i], .capacity = 1 };
}

/* Wherever it was, whatever was made available, taken and not given back. */
static void test_a_killed_device_is_succeeded(void)
{
	struct both *b = &both;
	struct virtqueue_chain chains[SIZE];
	struct iovec pieces[SIZE];
	struct virtqueue vq;

	give_room(chains, pieces, SIZE);
	set_up(PACKED | INDIRECT);
	CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), VIRTQUEUE_BASE_PACKED);
	for (unsigned step = 0; step < 500; step++) {
		unsigned adds = step * 7 % 5, takes = step * 3 % 4, taken = 0;

		for (unsigned i = 0; i < adds && b->driver.free_count; i++)
			add(1, 0);
		virtqueue_driver_kick(&b->driver);
		CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), shown_by(&b->device));
		while (taken < takes && virtqueue_pop(&b->device, &chains[taken]) == 1)
			taken++;
		CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), shown_by(&b->device));
		for (unsigned i = 0; i < taken; i++)
			virtqueue_push(&b->device, &chains[i], 0);
		virtqueue_notify(&b->device);
		CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), shown_by(&b->device));
		if (step % 3)
			take_all();
	}
	tear_down();
}

/* Killed after it wrote used entries, and before the first of them, for which the driver waits. */
static void test_a_device_killed_while_it_shows(void)
{
	struct both *b = &both;
	struct virtqueue_chain chains[3];
	struct iovec pieces[3];
	struct virtqueue vq;

	give_room(chains, pieces, 3);
	for (unsigned start = 0; start < 2 * SIZE; start++)
		for (unsigned more = 0; more < SIZE - 2; more++) {
			uint32_t after;
			uint16_t flags;

			set_up(PACKED | INDIRECT);
			for (unsigned i = 0; i < start; i++) {
				add(0, 1);
				virtqueue_driver_kick(&b->driver);
				serve_one();
				take_all();
			}
			for (unsigned i = 0; i < 3 + more; i++)
				add(0, 1);
			virtqueue_driver_kick(&b->driver);
			for (unsigned i = 0; i < 3; i++) {
				CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &chains[i]), 1);
				virtqueue_push(&b->device, &chains[i], 10);
			}
			flags = b->driver.ring[start % SIZE].flags;
			virtqueue_notify(&b->device);
			b->driver.ring[start % SIZE].flags = flags;
			after = shown_by(&b->device);
			CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), after);
			/* The second buffer of a frame is no frame. */
			for (unsigned i = 0; i < 3; i++) {
				uint32_t written = 1;
				uint16_t head;

				CU_ASSERT_EQUAL(virtqueue_driver_take(&b->driver, &head, &written),
						1);
				CU_ASSERT_EQUAL(written, 0);
			}
			CU_ASSERT_EQUAL(b->driver.free_count, SIZE - more);
			CU_ASSERT_EQUAL(virtqueue_pop(&vq, &b->chain), more > 0);
			tear_down();
		}
}

/* Shows some entries but for the first of them. */
static void show_half(unsigned start, struct virtqueue_chain *chains, unsigned count)
{
	struct both *b = &both;
	uint16_t flags = b->driver.ring[start % SIZE].flags;

	for (unsigned i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &chains[i]), 1);
		virtqueue_push(&b->device, &chains[i], 0);
	}
	virtqueue_notify(&b->device);
	b->driver.ring[start % SIZE].flags = flags;
}

/* QEMU takes what is available from entry 0 on, in rounds that begin as the first one does, though the device was before the ring's end; also
 * behind what the device was showing when it was killed. */
static void another_took_what_is_behind(unsigned half)
{
	struct both *b = &both;
	struct virtqueue_chain chains[3];
	struct iovec pieces[3];
	struct virtqueue vq, other;

	give_room(chains, pieces, 3);
	for (unsigned start = 1; start + half < SIZE; start++)
		for (unsigned more = 1; more <= start; more++) {
			set_up(PACKED | INDIRECT);
			for (unsigned i = 0; i < SIZE + start; i++) {
				add(1, 0);
				virtqueue_driver_kick(&b->driver);
				serve_one();
				take_all();
			}
			for (unsigned i = start; i < SIZE + more; i++)
				add(1, 0);
			virtqueue_driver_kick(&b->driver);
			show_half(start, chains, half);
			virtqueue_init(&other, &b->memory, 0, PACKED | INDIRECT);
			CU_ASSERT_EQUAL(virtqueue_start(&other, SIZE, b->driver.desc_address,
							b->driver.avail_address,
							b->driver.used_address,
							VIRTQUEUE_BASE_PACKED),
					0);
			for (unsigned i = 0; i < more; i++) {
				CU_ASSERT_EQUAL(virtqueue_pop(&other, &b->chain), 1);
				virtqueue_push(&other, &b->chain, 0);
			}
			virtqueue_notify(&other);
			CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), virtqueue_base(&other));
			take_all();
			CU_ASSERT_EQUAL(b->driver.free_count, SIZE);
			add(1, 0);
			virtqueue_driver_kick(&b->driver);
			CU_ASSERT_EQUAL(virtqueue_pop(&vq, &b->chain), 1);
			tear_down();
		}
}

static void test_another_took_what_is_behind(void)
{
	another_took_what_is_behind(0);
	another_took_what_is_behind(3);
}

/* Killed after it showed used entries, and before it signalled: the driver would wait for that without end. */
static void test_a_device_killed_before_it_tells(void)
{
	static const uint64_t kinds[] = { EVENT, INDIRECT, PACKED | INDIRECT,
					  PACKED | INDIRECT | EVENT };
	struct both *b = &both;
	struct virtqueue vq;

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
		bool later = i % 2; /* the front-end gives its eventfd after the start */
		int call;

		set_up(kinds[i / 2]);
		call = b->device.call_fd;
		(void)found_by(&vq, kinds[i / 2]);
		CU_ASSERT_EQUAL(count_of(call), 0);
		for (unsigned k = 0; k < 4; k++)
			add(0, 1);
		virtqueue_driver_kick(&b->driver);
		CU_ASSERT_FALSE(virtqueue_driver_enable_calls(&b->driver));
		b->device.call_fd = -1;
		serve_one();
		b->device.call_fd = later ? -1 : call;
		(void)found_by(&vq, kinds[i / 2]);
		CU_ASSERT_EQUAL(count_of(call), !later);
		b->device.call_fd = vq.call_fd = call;
		CU_ASSERT_EQUAL(virtqueue_pop(&vq, &b->chain), 1);
		virtqueue_push(&vq, &b->chain, 0);
		virtqueue_notify(&vq);
		CU_ASSERT_EQUAL(count_of(call), 1);
		tear_down();
	}
}

/* Chains of several entries leave flags that say anything: then what the front-end says counts. */
static void test_a_front_end_is_believed_where_the_ring_is_not_clear(void)
{
	struct both *b = &both;
	struct virtqueue vq;

	set_up(PACKED);
	add(1, 1);
	virtqueue_driver_kick(&b->driver);
	serve_one();
	CU_ASSERT_EQUAL(found_by(&vq, PACKED), VIRTQUEUE_BASE_PACKED);
	tear_down();
	set_up(PACKED | INDIRECT | IN_ORDER);
	add(1, 0);
	virtqueue_driver_kick(&b->driver);
	serve_one();
	CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT | IN_ORDER), VIRTQUEUE_BASE_PACKED);
	virtqueue_stop(&vq);
	tear_down();
	/* Nobody's ring. */
	set_up(PACKED | INDIRECT);
	for (unsigned i = 0; i < SIZE; i++)
		b->driver.ring[i].flags =
			htole16((uint16_t)((i * 5 % 4 & 1) << 7 | (i * 5 % 4 >> 1) << 15));
	CU_ASSERT_EQUAL(found_by(&vq, PACKED | INDIRECT), VIRTQUEUE_BASE_PACKED);
	tear_down();
}

UNIT_MAIN("virtqueue_packed", UNIT(test_a_packed_ring_that_begins_at_0),
	  UNIT(test_hostile_packed_chains_break_the_ring),
	  UNIT(test_a_packed_table_is_a_list_and_may_be_longer_than_the_ring),
	  UNIT(test_a_packed_ring_goes_on_where_it_was), UNIT(test_a_killed_device_is_succeeded),
	  UNIT(test_a_device_killed_while_it_shows), UNIT(test_another_took_what_is_behind),
	  UNIT(test_a_device_killed_before_it_tells),
	  UNIT(test_a_front_end_is_believed_where_the_ring_is_not_clear))
