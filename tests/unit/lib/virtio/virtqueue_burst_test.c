/* SPDX-License-Identifier: BSD-2-Clause */
/* The device side of a virtqueue by bursts: as chain by chain, with less to do for each. */
#include "unit.h"

#include <string.h>

#include "both_sides.h"
#include "util/bytes.h"

#define LONGEST 8
#define MANY    64 /* a ring of more entries than are kept back */

struct burst {
	struct iovec iov[SIZE * (LONGEST + 1)];
	struct virtqueue_chain chains[SIZE];
	struct virtqueue_space space;
};

static unsigned pop(struct burst *burst, unsigned count)
{
	burst->space = (struct virtqueue_space){ burst->iov, ARRAY_SIZE(burst->iov), 1, LONGEST };
	return virtqueue_pop_burst(&both.device, &burst->space, burst->chains, count);
}

static void must_take(uint16_t expected)
{
	uint32_t written;
	uint16_t head = 0xffff;

	CU_ASSERT_EQUAL_FATAL(virtqueue_driver_take(&both.driver, &head, &written), 1);
	CU_ASSERT_EQUAL_FATAL(head, expected);
}

static void must_take_nothing(void)
{
	uint32_t written;
	uint16_t head;

	CU_ASSERT_EQUAL_FATAL(virtqueue_driver_take(&both.driver, &head, &written), 0);
}

static void go_round(uint64_t features)
{
	struct burst burst;
	uint16_t heads[SIZE];

	set_up(features);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned count = 1 + i % 4, parts = features & INDIRECT ? i % 3 : i % 2;
		const struct iovec *expected = burst.iov + 1;

		CU_ASSERT_EQUAL_FATAL(pop(&burst, SIZE), 0);
		for (unsigned k = 0; k < count; k++)
			heads[k] = add(k & 1, 1 - (k & 1) + parts);
		virtqueue_driver_kick(&both.driver);
		CU_ASSERT_EQUAL_FATAL(pop(&burst, i % 5 ? SIZE : count), count);
		for (unsigned k = 0; k < count; k++) {
			const struct virtqueue_chain *chain = &burst.chains[k];

			CU_ASSERT_EQUAL_FATAL(chain->head, heads[k]);
			CU_ASSERT_EQUAL_FATAL(chain->readable, k & 1);
			CU_ASSERT_EQUAL_FATAL(chain->writable, 1 - (k & 1) + parts);
			CU_ASSERT_EQUAL_FATAL(chain->readable_bytes, 64 * chain->readable);
			CU_ASSERT_EQUAL_FATAL(chain->writable_bytes, 64 * chain->writable);
			CU_ASSERT_PTR_EQUAL_FATAL(chain->iov, expected);
			CU_ASSERT_PTR_EQUAL_FATAL(chain->iov[parts].iov_base,
						  both.bytes + DATA + 64 * parts);
			expected += parts + 2;
		}
		virtqueue_push_burst(&both.device, burst.chains, NULL, count);
		must_take_nothing();
		virtqueue_notify(&both.device);
		for (unsigned k = 0; k < count; k++)
			must_take(heads[k]);
		must_take_nothing();
	}
	CU_ASSERT_EQUAL(both.device.in_flight, 0);
	CU_ASSERT_EQUAL(both.device.slots_taken, 0);
	CU_ASSERT_EQUAL(both.device.counters.chains, 50000);
	tear_down();
}

static void test_bursts_go_round_the_ring(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		go_round(formats[i]);
}

static void test_what_there_is_no_room_for_stays(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct burst burst;
		uint16_t heads[4];

		set_up(formats[f]);
		for (unsigned i = 0; i < 4; i++)
			heads[i] = add(1, 0);
		virtqueue_driver_kick(&both.driver);
		burst.space = (struct virtqueue_space){ burst.iov, 2 + 2 + LONGEST, 1, LONGEST };
		CU_ASSERT_EQUAL(virtqueue_pop_burst(&both.device, &burst.space, burst.chains, 4),
				2);
		CU_ASSERT_PTR_EQUAL(burst.space.iov, burst.iov + 4);
		CU_ASSERT_EQUAL(burst.space.capacity, LONGEST);
		/* Put back, they come again. */
		virtqueue_rewind(&both.device, burst.chains + 1, 1);
		CU_ASSERT_EQUAL(pop(&burst, 4), 3);
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(burst.chains[i].head, heads[i + 1]);
		tear_down();
	}
}

static void test_a_chain_that_is_wrong_ends_the_burst_and_the_queue(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct virtqueue_part wrong = { FAR, 64 };
		struct burst burst;
		uint16_t head;

		set_up(formats[f]);
		add(1, 0);
		add(0, 1);
		CU_ASSERT_EQUAL(virtqueue_driver_add(&both.driver, &wrong, 1, 0, &head), 0);
		add(1, 0);
		virtqueue_driver_kick(&both.driver);
		CU_ASSERT_EQUAL(pop(&burst, 4), 2);
		CU_ASSERT_STRING_EQUAL(both.device.broken, "a buffer is outside guest memory");
		CU_ASSERT_EQUAL(count_of(both.device.error_fd), 1);
		virtqueue_push_burst(&both.device, burst.chains, NULL, 2);
		virtqueue_notify(&both.device);
		must_take_nothing();
		CU_ASSERT_EQUAL(pop(&burst, 4), 0);
		CU_ASSERT_EQUAL(both.device.in_flight, 0);
		tear_down();
	}
}

/* More is available than the ring has. */
static void test_a_driver_that_overtakes_itself_breaks_the_queue(void)
{
	struct burst burst;

	set_up(0);
	for (unsigned i = 0; i < SIZE; i++)
		add(1, 0);
	virtqueue_driver_kick(&both.driver);
	both.driver.avail->idx = htole16(SIZE + 1);
	CU_ASSERT_EQUAL(pop(&burst, SIZE), 0);
	CU_ASSERT_PTR_NOT_NULL(both.device.broken);
	tear_down();

	set_up(PACKED);
	for (unsigned i = 0; i < SIZE; i++)
		add(1, 0);
	virtqueue_driver_kick(&both.driver);
	CU_ASSERT_EQUAL(pop(&burst, SIZE), SIZE);
	/* As if the first had come back. */
	both.driver.ring[0].flags = htole16(1u << VRING_PACKED_DESC_F_USED);
	CU_ASSERT_EQUAL(pop(&burst, SIZE), 0);
	CU_ASSERT_PTR_NOT_NULL(both.device.broken);
	tear_down();
}

/* With order promised one entry tells of all, in the place of the first (virtio 1.2, 2.7.9 and 2.8.9). */
static void test_one_entry_tells_of_a_burst_in_order(void)
{
	struct burst burst;
	uint16_t heads[4];

	set_up(IN_ORDER);
	memset(both.driver.used->ring, 0xee, SIZE * sizeof(both.driver.used->ring[0]));
	for (unsigned i = 0; i < 4; i++)
		heads[i] = add(1, 0);
	virtqueue_driver_kick(&both.driver);
	CU_ASSERT_EQUAL(pop(&burst, 4), 4);
	virtqueue_push_burst(&both.device, burst.chains, NULL, 4);
	virtqueue_notify(&both.device);
	CU_ASSERT_EQUAL(le16toh(both.driver.used->idx), 4);
	CU_ASSERT_EQUAL(le32toh(both.driver.used->ring[0].id), heads[3]);
	for (unsigned i = 1; i < SIZE; i++)
		CU_ASSERT_EQUAL(le32toh(both.driver.used->ring[i].id), 0xeeeeeeee);
	tear_down();

	set_up(IN_ORDER | PACKED);
	for (unsigned i = 0; i < 4; i++)
		heads[i] = add(1, 1);
	virtqueue_driver_kick(&both.driver);
	CU_ASSERT_EQUAL(pop(&burst, 4), 4);
	virtqueue_push_burst(&both.device, burst.chains, NULL, 4);
	virtqueue_notify(&both.device);
	CU_ASSERT_EQUAL(le16toh(both.driver.ring[0].id), heads[3]);
	CU_ASSERT_TRUE(le16toh(both.driver.ring[0].flags) & 1u << VRING_PACKED_DESC_F_USED);
	for (unsigned i = 1; i < SIZE; i++)
		CU_ASSERT_FALSE(le16toh(both.driver.ring[i].flags) &
				1u << VRING_PACKED_DESC_F_USED);
	CU_ASSERT_EQUAL(both.device.used_next, 0);
	CU_ASSERT_EQUAL(both.device.used_wrap, false);
	tear_down();
}

/* One that came back too early is told of with the others, none twice. */
static void test_a_burst_waits_for_what_was_taken_before_it(void)
{
	static const uint64_t in_order[] = { IN_ORDER, PACKED | IN_ORDER };

	for (unsigned f = 0; f < ARRAY_SIZE(in_order); f++) {
		struct burst burst;
		uint16_t heads[5];

		set_up(in_order[f]);
		for (unsigned i = 0; i < 5; i++)
			heads[i] = add(1, 0);
		virtqueue_driver_kick(&both.driver);
		CU_ASSERT_EQUAL(pop(&burst, 5), 5);
		virtqueue_push_burst(&both.device, burst.chains + 3, NULL, 2);
		virtqueue_push(&both.device, &burst.chains[1], 0);
		virtqueue_notify(&both.device);
		must_take_nothing();
		virtqueue_push(&both.device, &burst.chains[0], 0);
		virtqueue_notify(&both.device);
		must_take(heads[0]);
		must_take(heads[1]);
		must_take_nothing();
		virtqueue_push(&both.device, &burst.chains[2], 0);
		virtqueue_notify(&both.device);
		for (unsigned i = 2; i < 5; i++)
			must_take(heads[i]);
		must_take_nothing();
		CU_ASSERT_EQUAL(both.device.early, 0);
		tear_down();
	}
}

static void must_take_written(uint16_t expected, uint32_t bytes)
{
	uint32_t written = 0;
	uint16_t head = 0xffff;

	CU_ASSERT_EQUAL_FATAL(virtqueue_driver_take(&both.driver, &head, &written), 1);
	CU_ASSERT_EQUAL_FATAL(head, expected);
	CU_ASSERT_EQUAL_FATAL(written, bytes);
}

/* Each of those that were written to has its length; whole bursts, parts of one, and parts that are early. */
static void test_what_was_written_in_order_is_told_of_each(void)
{
	static const uint64_t in_order[] = { IN_ORDER, PACKED | IN_ORDER };

	for (unsigned f = 0; f < ARRAY_SIZE(in_order); f++) {
		struct burst burst;

		set_up(in_order[f]);
		for (unsigned round = 0; round < 70000; round++) {
			uint32_t written[5];
			uint16_t heads[5];
			unsigned first = round % 6;

			for (unsigned i = 0; i < 5; i++) {
				heads[i] = add(0, 1);
				written[i] = (round + i) % 64;
			}
			virtqueue_driver_kick(&both.driver);
			CU_ASSERT_EQUAL_FATAL(pop(&burst, 5), 5);
			if (round % 4 == 3) {
				virtqueue_push_burst(&both.device, burst.chains + first,
						     written + first, 5 - first);
				virtqueue_push_burst(&both.device, burst.chains, written, first);
			} else {
				virtqueue_push_burst(&both.device, burst.chains, written, first);
				virtqueue_push_burst(&both.device, burst.chains + first,
						     written + first, 5 - first);
			}
			must_take_nothing();
			virtqueue_notify(&both.device);
			for (unsigned i = 0; i < 5; i++)
				must_take_written(heads[i], written[i]);
			must_take_nothing();
		}
		CU_ASSERT_EQUAL(both.device.early, 0);
		CU_ASSERT_EQUAL(both.device.in_flight, 0);
		CU_ASSERT_EQUAL(both.device.slots_taken, 0);
		tear_down();
	}
}

static void begin_many(uint64_t features)
{
	set_up(features);
	virtqueue_driver_destroy(&both.driver);
	CU_ASSERT_EQUAL_FATAL(virtqueue_driver_init(&both.driver, both.bytes, BASE, MANY, features),
			      0);
	CU_ASSERT_EQUAL_FATAL(virtqueue_start(&both.device, MANY, both.driver.desc_address,
					      both.driver.avail_address, both.driver.used_address,
					      virtqueue_driver_base(&both.driver)),
			      0);
}

/* Used entries that are too many to keep back are in the ring, and not seen, until they are shown. */
static void test_nothing_of_a_large_burst_is_seen_before_it_is_shown(void)
{
	static const uint64_t kinds[] = { 0, PACKED, PACKED | IN_ORDER };

	for (unsigned f = 0; f < ARRAY_SIZE(kinds); f++) {
		begin_many(kinds[f]);
		for (unsigned round = 0; round < 5; round++) {
			uint16_t heads[MANY];

			for (unsigned i = 0; i < MANY - 3; i++) {
				heads[i] = add(1, 0);
				virtqueue_driver_kick(&both.driver);
				CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
				virtqueue_push(&both.device, &both.chain, 0);
				must_take_nothing();
			}
			virtqueue_notify(&both.device);
			for (unsigned i = 0; i < MANY - 3; i++)
				must_take(heads[i]);
			must_take_nothing();
		}
		tear_down();
	}
}

UNIT_MAIN("virtqueue_burst", UNIT(test_bursts_go_round_the_ring),
	  UNIT(test_what_there_is_no_room_for_stays),
	  UNIT(test_a_chain_that_is_wrong_ends_the_burst_and_the_queue),
	  UNIT(test_a_driver_that_overtakes_itself_breaks_the_queue),
	  UNIT(test_one_entry_tells_of_a_burst_in_order),
	  UNIT(test_a_burst_waits_for_what_was_taken_before_it),
	  UNIT(test_what_was_written_in_order_is_told_of_each),
	  UNIT(test_nothing_of_a_large_burst_is_seen_before_it_is_shown))
