/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both sides of a virtqueue, each on a thread of its own, with kicks and calls: no chain is lost, none is seen before what is in it,
 * and nobody sleeps while there is work. ThreadSanitizer sees the orderings (tests/thread_test.sh).
 */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "both_sides.h"
#include "util/bytes.h"

#define CHAINS  20000
#define PART    64
#define SLOTS   SIZE /* of two parts each: more chains are not in flight */
#define LONGEST 4
#define WAIT_MS 60000

struct device {
	const char *wrong; /* the thread's, until it is joined */
	unsigned served, slept, rewound;
};

/* What a chain has in it, and what comes back. */
static void fill(uint8_t *at, uint64_t number)
{
	for (unsigned i = 0; i < PART; i += sizeof(number), number += 0x9e3779b97f4a7c15)
		memcpy(at + i, &number, sizeof(number));
}

static bool is_filled(const uint8_t *at, uint64_t number)
{
	uint8_t expected[PART];

	fill(expected, number);
	return !memcmp(at, expected, PART);
}

/* Sleeps until the other side says something; false: it did not. */
static bool wait_for(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	if (poll(&poll_fd, 1, WAIT_MS) != 1)
		return false;
	count_of(fd);
	return true;
}

static const char *serve(struct virtqueue_chain *chain, uint64_t number)
{
	if (chain->readable != 1 || chain->writable != 1 || chain->readable_bytes != PART ||
	    chain->writable_bytes != PART)
		return "a chain is not what was added";
	if (!is_filled(chain->iov[0].iov_base, number))
		return "a chain came before what is in it, or in another's place";
	fill(chain->iov[1].iov_base, ~number);
	return NULL;
}

static void *run_device(void *arg)
{
	static const uint32_t written[SIZE] = { PART, PART, PART, PART, PART, PART, PART, PART };
	struct virtqueue_chain chains[SIZE];
	struct iovec iov[SIZE * (LONGEST + 1)];
	struct virtqueue *vq = &both.device;
	struct device *device = arg;

	for (unsigned turn = 1; device->served < CHAINS && !device->wrong; turn++) {
		struct virtqueue_space space = { iov, ARRAY_SIZE(iov), 1, LONGEST };
		unsigned got = virtqueue_pop_burst(vq, &space, chains, 1 + turn % SIZE);

		if (vq->broken)
			device->wrong = vq->broken;
		/* As a receiver that needs fewer than it took. */
		if (got > 1 && turn % 3 == 0) {
			virtqueue_rewind(vq, &chains[got / 2], got - got / 2);
			device->rewound += got - got / 2;
			got /= 2;
		}
		for (unsigned i = 0; i < got && !device->wrong; i++)
			device->wrong = serve(&chains[i], device->served++);
		virtqueue_push_burst(vq, chains, written, got);
		virtqueue_notify(vq);
		if (got || virtqueue_enable_kicks(vq))
			continue;
		device->slept++;
		if (!wait_for(both.driver.kick_fd))
			device->wrong = "the driver kicked nobody";
		virtqueue_disable_kicks(vq);
	}
	return NULL;
}

/* The driver's, on the test's thread. */
struct driver {
	unsigned added, taken, in_flight;
	uint64_t number_of[SIZE]; /* of the chain of that name */
	unsigned slot_of[SIZE];
	bool slot_taken[SLOTS];
};

static bool add_one(struct driver *driver)
{
	struct virtqueue_part parts[2];
	uint16_t head;
	unsigned slot = 0;

	while (slot < SLOTS && driver->slot_taken[slot])
		slot++;
	if (slot == SLOTS || driver->added == CHAINS)
		return false;
	parts[0] = (struct virtqueue_part){ BASE + DATA + 2 * PART * slot, PART };
	parts[1] = (struct virtqueue_part){ parts[0].guest_address + PART, PART };
	fill(both.bytes + parts[0].guest_address - BASE, driver->added);
	if (virtqueue_driver_add(&both.driver, parts, 1, 1, &head))
		return false;
	driver->number_of[head] = driver->added++;
	driver->slot_of[head] = slot;
	driver->slot_taken[slot] = true;
	driver->in_flight++;
	return true;
}

static bool take_one(struct driver *driver)
{
	uint32_t written;
	uint16_t head;
	unsigned slot;
	int got = virtqueue_driver_take(&both.driver, &head, &written);

	CU_ASSERT_TRUE_FATAL(got >= 0);
	if (!got)
		return false;
	slot = driver->slot_of[head];
	CU_ASSERT_TRUE_FATAL(driver->slot_taken[slot]);
	CU_ASSERT_EQUAL_FATAL(written, PART);
	CU_ASSERT_TRUE_FATAL(
		is_filled(both.bytes + DATA + (2 * slot + 1) * PART, ~driver->number_of[head]));
	driver->slot_taken[slot] = false;
	driver->in_flight--;
	driver->taken++;
	return true;
}

static void run_driver(void)
{
	struct driver driver = { 0 };

	for (unsigned turn = 0; driver.taken < CHAINS; turn++) {
		unsigned did = 0;

		while (did < 1 + turn % SLOTS && add_one(&driver))
			did++;
		virtqueue_driver_kick(&both.driver);
		while (take_one(&driver))
			did++;
		if (did || !driver.in_flight || virtqueue_driver_enable_calls(&both.driver))
			continue;
		CU_ASSERT_TRUE_FATAL(wait_for(both.device.call_fd));
		virtqueue_driver_disable_calls(&both.driver);
	}
}

static void test_each_side_on_a_thread(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		struct device device = { 0 };
		pthread_t thread;

		set_up(formats[i]);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_device, &device), 0);
		run_driver();
		CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
		CU_ASSERT_PTR_NULL(device.wrong);
		CU_ASSERT_EQUAL(device.served, CHAINS);
		CU_ASSERT_TRUE(device.slept > 0);
		CU_ASSERT_TRUE(device.rewound > 0);
		CU_ASSERT_EQUAL(both.device.in_flight, 0);
		tear_down();
	}
}

UNIT_MAIN("virtqueue threads", UNIT(test_each_side_on_a_thread))
