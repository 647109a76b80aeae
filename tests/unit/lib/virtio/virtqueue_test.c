/* SPDX-License-Identifier: BSD-2-Clause */
/* The device side of a virtqueue, over a plain buffer, with our own driver side: what both formats have in common. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "both_sides.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "virtio/dirty_log.h"

static void go_round(uint64_t features)
{
	struct both *b = &both;

	set_up(features);
	for (unsigned i = 0; i < 70000; i++) {
		uint16_t head = add(1, 2), taken;
		uint32_t written;

		CU_ASSERT_EQUAL_FATAL(virtqueue_pop(&b->device, &b->chain), 0);
		virtqueue_driver_kick(&b->driver);
		CU_ASSERT_EQUAL_FATAL(virtqueue_pop(&b->device, &b->chain), 1);
		CU_ASSERT_EQUAL_FATAL(b->chain.head, head);
		CU_ASSERT_EQUAL_FATAL(b->chain.readable, 1);
		CU_ASSERT_EQUAL_FATAL(b->chain.writable, 2);
		CU_ASSERT_EQUAL_FATAL(b->chain.readable_bytes, 64);
		CU_ASSERT_EQUAL_FATAL(b->chain.writable_bytes, 128);
		CU_ASSERT_PTR_EQUAL_FATAL(b->iov[1].iov_base, b->bytes + DATA + 64);
		virtqueue_push(&b->device, &b->chain, i);
		CU_ASSERT_EQUAL_FATAL(virtqueue_driver_take(&b->driver, &taken, &written), 0);
		virtqueue_notify(&b->device);
		CU_ASSERT_EQUAL_FATAL(virtqueue_driver_take(&b->driver, &taken, &written), 1);
		CU_ASSERT_EQUAL_FATAL(taken, head);
		CU_ASSERT_EQUAL_FATAL(written, i);
	}
	CU_ASSERT_EQUAL(b->device.in_flight, 0);
	CU_ASSERT_EQUAL(b->device.counters.chains, 70000);
	tear_down();
}

static void test_chains_go_round_the_ring_and_past_the_index_wrap(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		go_round(formats[i]);
}

static void test_a_burst_is_shown_at_once_and_signalled_once(void)
{
	struct both *b = &both;
	static const uint64_t in_any_order[] = { 0, EVENT, PACKED, PACKED | EVENT };
	struct virtqueue_chain chains[4];
	uint32_t written;
	uint16_t taken;

	for (unsigned f = 0; f < ARRAY_SIZE(in_any_order); f++) {
		set_up(in_any_order[f]);
		virtqueue_driver_enable_calls(&b->driver);
		for (int i = 0; i < 4; i++)
			add(1, f & 1);
		virtqueue_driver_kick(&b->driver);
		CU_ASSERT_EQUAL(count_of(b->driver.kick_fd), 1);
		CU_ASSERT_TRUE(virtqueue_prefetch(&b->device, 9) >= 4);
		for (int i = 0; i < 4; i++) {
			CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 1);
			chains[i] = b->chain;
		}
		for (int i = 3; i >= 0; i--) /* in any order */
			virtqueue_push(&b->device, &chains[i], 0);
		CU_ASSERT_TRUE(virtqueue_notify_pending(&b->device));
		virtqueue_notify(&b->device);
		virtqueue_notify(&b->device);
		CU_ASSERT_EQUAL(count_of(b->device.call_fd), 1);
		for (int i = 3; i >= 0; i--) {
			CU_ASSERT_EQUAL(virtqueue_driver_take(&b->driver, &taken, &written), 1);
			CU_ASSERT_EQUAL(taken, chains[i].head);
		}
		CU_ASSERT_FALSE(virtqueue_driver_enable_calls(&b->driver));
		tear_down();
	}
}

static void test_nobody_is_signalled_who_does_not_wait(void)
{
	struct both *b = &both;

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		bool event = formats[f] & EVENT;

		set_up(formats[f]);
		/* The first signal always comes with event index: nothing was compared before. */
		add(1, 1);
		virtqueue_driver_kick(&b->driver);
		serve_one();
		take_all();
		count_of(b->device.call_fd);
		count_of(b->driver.kick_fd);

		virtqueue_disable_kicks(&b->device);
		virtqueue_driver_disable_calls(&b->driver);
		for (int i = 0; i < 20; i++) {
			add(1, 1);
			virtqueue_driver_kick(&b->driver);
			serve_one();
			take_all();
		}
		CU_ASSERT_EQUAL(count_of(b->driver.kick_fd), 0);
		CU_ASSERT_EQUAL(count_of(b->device.call_fd), 0);
		CU_ASSERT_TRUE(b->device.counters.suppressed >= 20);

		/* And whoever waits is, once for each time it says so. */
		CU_ASSERT_FALSE(virtqueue_enable_kicks(&b->device));
		CU_ASSERT_FALSE(virtqueue_driver_enable_calls(&b->driver));
		for (int i = 0; i < 3; i++) {
			add(1, 1);
			virtqueue_driver_kick(&b->driver);
			serve_one();
		}
		CU_ASSERT_EQUAL(count_of(b->driver.kick_fd), event ? 1 : 3);
		CU_ASSERT_EQUAL(count_of(b->device.call_fd), event ? 1 : 3);
		CU_ASSERT_TRUE(virtqueue_driver_enable_calls(&b->driver));
		add(1, 1);
		virtqueue_driver_kick(&b->driver);
		CU_ASSERT_TRUE(virtqueue_enable_kicks(&b->device));
		tear_down();
	}
}

static void rewind_two(uint64_t features, unsigned turns)
{
	struct virtqueue_chain two[2];
	struct both *b = &both;
	uint16_t first;

	set_up(features);
	/* From different places of the ring. */
	for (unsigned i = 0; i < turns; i++) {
		add(1, 1);
		virtqueue_driver_kick(&b->driver);
		serve_one();
		take_all();
	}
	for (int i = 0; i < 3; i++)
		add(1, 1);
	virtqueue_driver_kick(&b->driver);
	virtqueue_pop(&b->device, &b->chain);
	virtqueue_push(&b->device, &b->chain, 0);
	virtqueue_pop(&b->device, &b->chain);
	first = b->chain.head;
	two[0] = b->chain;
	virtqueue_pop(&b->device, &b->chain);
	two[1] = b->chain;
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 0);
	virtqueue_rewind(&b->device, two, 2);
	CU_ASSERT_TRUE(virtqueue_available(&b->device));
	CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 1);
	CU_ASSERT_EQUAL(b->chain.head, first);
	CU_ASSERT_EQUAL(b->device.in_flight, 1);
	tear_down();
}

static void test_rewound_chains_come_again(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned turns = 0; turns < SIZE; turns++)
			rewind_two(formats[f], turns);
}

/* Pushed last first, they come back first first: one used entry each, or one for all of them. */
static void test_a_driver_that_was_promised_order_gets_it(void)
{
	static const uint64_t both_formats[] = { IN_ORDER, IN_ORDER | PACKED };
	struct both *b = &both;

	for (unsigned f = 0; f < ARRAY_SIZE(both_formats); f++) {
		struct virtqueue_chain chains[3];
		uint16_t heads[3], taken;
		uint32_t written;

		set_up(both_formats[f]);
		for (int i = 0; i < 3; i++)
			heads[i] = add(1, 1);
		virtqueue_driver_kick(&b->driver);
		for (int i = 0; i < 3; i++) {
			virtqueue_pop(&b->device, &b->chain);
			chains[i] = b->chain;
		}
		virtqueue_push(&b->device, &chains[2], 3);
		virtqueue_push(&b->device, &chains[1], 2);
		virtqueue_notify(&b->device);
		CU_ASSERT_EQUAL(virtqueue_driver_take(&b->driver, &taken, &written), 0);
		virtqueue_push(&b->device, &chains[0], 1);
		virtqueue_notify(&b->device);
		for (unsigned i = 0; i < 3; i++) {
			CU_ASSERT_EQUAL(virtqueue_driver_take(&b->driver, &taken, &written), 1);
			CU_ASSERT_EQUAL(taken, heads[i]);
			CU_ASSERT_EQUAL(written, i + 1);
		}
		CU_ASSERT_EQUAL(virtqueue_driver_take(&b->driver, &taken, &written), 0);
		tear_down();
	}

	/* A device may name the last of a burst only. */
	set_up(IN_ORDER);
	for (int i = 0; i < 3; i++)
		add(1, 1);
	virtqueue_driver_kick(&b->driver);
	b->driver.used->ring[0].id = htole32(2);
	b->driver.used->ring[0].len = htole32(7);
	b->driver.used->idx = htole16(2);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t written;
		uint16_t taken;

		CU_ASSERT_EQUAL(virtqueue_driver_take(&b->driver, &taken, &written), 1);
		CU_ASSERT_EQUAL(taken, 2 * i);
		CU_ASSERT_EQUAL(written, i ? 7 : 64);
	}
	CU_ASSERT_FALSE(virtqueue_driver_enable_calls(&b->driver));
	tear_down();
}

static void test_what_is_written_is_noted_as_dirty(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		uint8_t bitmap[8] = { 0 };
		struct dirty_log log = { .bitmap = bitmap, .bytes = sizeof(bitmap) };
		struct both *b = &both;
		unsigned ring = BASE / 4096, data = (BASE + DATA) / 4096;

		set_up(formats[f]);
		add(1, 1);
		virtqueue_driver_kick(&b->driver);
		CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 1);
		virtqueue_push(&b->device, &b->chain, 64);
		b->memory.log = &log;
		virtqueue_notify(&b->device);
		CU_ASSERT_TRUE(bitmap[ring / 8] >> (ring % 8) & 1);
		CU_ASSERT_FALSE(bitmap[data / 8] >> (data % 8) & 1);
		add(1, 1);
		virtqueue_driver_kick(&b->driver);
		memset(bitmap, 0, sizeof(bitmap));
		CU_ASSERT_EQUAL(virtqueue_pop(&b->device, &b->chain), 1);
		CU_ASSERT_TRUE(bytes_all_zero(bitmap, sizeof(bitmap)));
		virtqueue_push(&b->device, &b->chain, 0);
		CU_ASSERT_TRUE(bitmap[data / 8] >> (data % 8) & 1);
		memset(bitmap, 0, sizeof(bitmap));
		CU_ASSERT_EQUAL(guest_memory_write(&b->memory, BASE + 4095, "ab", 2), 0);
		CU_ASSERT_EQUAL(bitmap[ring / 8] >> (ring % 8) & 3, 3);
		tear_down();
	}
}

static int kick_full(void *arg)
{
	struct both *b = arg;

	set_up(VIRTQUEUE_FEATURES);
	b->driver.kick_fd = eventfd(0, EFD_CLOEXEC);
	CU_ASSERT_EQUAL(eventfd_write(b->driver.kick_fd, UINT64_MAX - 1), 0);
	for (unsigned i = 0; i < 3; i++) {
		add(1, 1);
		virtqueue_driver_kick(&b->driver);
	}
	close(b->driver.kick_fd);
	b->driver.kick_fd = -1;
	tear_down();
	return 0;
}

static void *kick_on_worker(void *arg)
{
	struct worker *worker;

	CU_ASSERT_EQUAL_FATAL(worker_create(&worker, NULL, NULL), 0);
	worker_run(worker, kick_full, arg);
	worker_destroy(worker);
	return NULL;
}

/* A device that has its kick eventfd full, and whoever writes to it wait, does not hold the driver's worker. */
static void test_a_full_kick_holds_nobody(void)
{
	struct timespec limit;
	pthread_t thread;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 120;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, kick_on_worker, &both), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_timedjoin_np(thread, NULL, &limit), 0);
}

/* How many buffers are there, wherever in the ring they begin. */
static void test_what_is_offered_is_counted(void)
{
	struct both *b = &both;

	for (unsigned format = 0; format < ARRAY_SIZE(formats); format++) {
		set_up(formats[format]);
		for (unsigned turn = 0; turn < 20; turn++) {
			unsigned most = 1 + turn % SIZE;

			for (unsigned i = 0; i < most; i++) {
				CU_ASSERT_EQUAL_FATAL(virtqueue_offered(&b->device), i);
				add(0, 1);
				virtqueue_driver_kick(&b->driver);
			}
			CU_ASSERT_EQUAL_FATAL(virtqueue_offered(&b->device), most);
			for (unsigned i = 0; i < most; i++)
				serve_one();
			take_all();
		}
		tear_down();
	}
	/* Who says that there are more than fit. */
	set_up(0);
	b->device.avail->idx = htole16(1000);
	CU_ASSERT_EQUAL(virtqueue_offered(&b->device), SIZE);
	tear_down();
}

UNIT_MAIN("virtqueue", UNIT(test_chains_go_round_the_ring_and_past_the_index_wrap),
	  UNIT(test_a_burst_is_shown_at_once_and_signalled_once),
	  UNIT(test_nobody_is_signalled_who_does_not_wait), UNIT(test_rewound_chains_come_again),
	  UNIT(test_a_driver_that_was_promised_order_gets_it),
	  UNIT(test_what_is_written_is_noted_as_dirty), UNIT(test_a_full_kick_holds_nobody),
	  UNIT(test_what_is_offered_is_counted))
