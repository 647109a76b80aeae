/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that are killed and come again: no chain is lost, and none is given back twice. The device is a process
 * of its own, killed at any instruction, over rings and regions in shared memory. */
#include "unit.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/random.h"
#include "virtio/guest_memory.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"
#include "virtio/virtqueue_inflight.h"

#define BASE     0x10000
#define RING     0x0
#define DATA     0x8000
#define MEMORY   0x10000
#define SIZE     16
#define PACKED   (1ULL << VIRTIO_F_RING_PACKED)
#define EVENT    (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

/* In memory that the processes share. */
struct shared {
	uint8_t bytes[MEMORY];
	uint8_t region[1024];
	uint64_t done; /* chains that devices have worked on */
} __attribute__((aligned(4096)));

static struct shared *shared;
static struct guest_memory memory;
static struct virtqueue_driver driver;

static void begin(uint64_t features)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(shared, MAP_FAILED);
	memset(&memory, 0, sizeof(memory));
	guest_memory_add_region(&memory, BASE, MEMORY, shared->bytes, NULL);
	CU_ASSERT_TRUE_FATAL(virtqueue_driver_bytes(SIZE, features) <= DATA);
	CU_ASSERT_TRUE_FATAL(virtqueue_inflight_bytes(SIZE, true) <= sizeof(shared->region));
	CU_ASSERT_EQUAL(virtqueue_driver_init(&driver, shared->bytes, BASE, SIZE, features), 0);
}

static void end(void)
{
	virtqueue_driver_destroy(&driver);
	munmap(shared, sizeof(*shared));
}

struct device {
	struct virtqueue vq;
	struct virtqueue_inflight inflight;
	struct iovec iov[SIZE][8];
	struct virtqueue_chain chains[SIZE];
};

/* As a back-end starts: with no idea of where the one before it was. */
static int device_start(struct device *device, uint64_t features)
{
	memset(device, 0, sizeof(*device));
	virtqueue_init(&device->vq, &memory, 0, features);
	device->inflight.region = shared->region;
	device->inflight.bytes = sizeof(shared->region);
	device->vq.inflight = &device->inflight;
	for (unsigned i = 0; i < SIZE; i++) {
		device->chains[i].iov = device->iov[i];
		device->chains[i].capacity = ARRAY_SIZE(device->iov[i]);
	}
	return virtqueue_start(&device->vq, SIZE, driver.desc_address, driver.avail_address,
			       driver.used_address, features & PACKED ? VIRTQUEUE_BASE_PACKED : 0);
}

static uint16_t add(uint8_t slot, unsigned parts)
{
	struct virtqueue_part part[3];
	uint16_t head = 0xffff;

	for (unsigned i = 0; i < parts; i++)
		part[i] = (struct virtqueue_part){ BASE + DATA + 256u * slot + 16 * i, 16 };
	memset(shared->bytes + DATA + 256 * slot, 0, 48);
	CU_ASSERT_EQUAL(virtqueue_driver_add(&driver, part, 1, parts - 1, &head), 0);
	return head;
}

static const uint64_t formats[] = { EVENT,
				    EVENT | INDIRECT,
				    PACKED | EVENT,
				    PACKED | EVENT | INDIRECT,
				    PACKED,
				    PACKED | EVENT | 1ULL << VIRTIO_F_IN_ORDER,
				    1ULL << VIRTIO_F_IN_ORDER };

static void test_chains_that_were_taken_come_again_in_their_order(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct device first, second;
		uint16_t heads[5], taken;
		uint32_t written;

		begin(formats[f]);
		CU_ASSERT_EQUAL(device_start(&first, formats[f]), 0);
		CU_ASSERT_FALSE(virtqueue_resumed(&first.vq));
		for (uint8_t i = 0; i < 5; i++)
			heads[i] = add(i, 2);
		virtqueue_driver_kick(&driver);
		for (unsigned i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(virtqueue_pop(&first.vq, &first.chains[i]), 1);
		/* One is back, one is pushed and not shown, two are at work, one was not seen. */
		virtqueue_push(&first.vq, &first.chains[0], 5);
		virtqueue_notify(&first.vq);
		virtqueue_push(&first.vq, &first.chains[2], 5);
		virtqueue_stop(&first.vq);

		CU_ASSERT_EQUAL(device_start(&second, formats[f]), 0);
		CU_ASSERT_TRUE(virtqueue_resumed(&second.vq));
		CU_ASSERT_TRUE(virtqueue_available(&second.vq));
		for (unsigned i = 1; i < 5; i++) {
			struct virtqueue_chain *chain = &second.chains[i];

			CU_ASSERT_EQUAL(virtqueue_pop(&second.vq, chain), 1);
			CU_ASSERT_EQUAL(chain->head, heads[i]);
			CU_ASSERT_PTR_EQUAL(chain->iov[0].iov_base, shared->bytes + DATA + 256 * i);
			CU_ASSERT_EQUAL(chain->writable_bytes, 16);
		}
		CU_ASSERT_EQUAL(second.vq.counters.resubmitted, 3);
		CU_ASSERT_EQUAL(virtqueue_pop(&second.vq, &second.chains[0]), 0);
		for (unsigned i = 1; i < 5; i++)
			virtqueue_push(&second.vq, &second.chains[i], i);
		virtqueue_notify(&second.vq);
		for (unsigned i = 0; i < 5; i++) {
			CU_ASSERT_EQUAL(virtqueue_driver_take(&driver, &taken, &written), 1);
			CU_ASSERT_EQUAL(taken, heads[i]);
		}
		CU_ASSERT_EQUAL(virtqueue_driver_take(&driver, &taken, &written), 0);
		virtqueue_stop(&second.vq);
		end();
	}
}

static void test_chains_put_back_are_not_in_flight(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct device device;

		begin(formats[f]);
		CU_ASSERT_EQUAL(device_start(&device, formats[f]), 0);
		for (uint8_t i = 0; i < 3; i++)
			add(i, 3);
		virtqueue_driver_kick(&driver);
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(virtqueue_pop(&device.vq, &device.chains[i]), 1);
		virtqueue_rewind(&device.vq, device.chains + 1, 2);
		virtqueue_stop(&device.vq);
		CU_ASSERT_EQUAL(device_start(&device, formats[f]), 0);
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(virtqueue_pop(&device.vq, &device.chains[i]), 1);
		CU_ASSERT_EQUAL(device.vq.counters.resubmitted, 1);
		CU_ASSERT_EQUAL(virtqueue_pop(&device.vq, &device.chains[3]), 0);
		virtqueue_stop(&device.vq);
		end();
	}
}

static void pop_all(struct device *device, const uint16_t *heads, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		CU_ASSERT_EQUAL(virtqueue_pop(&device->vq, &device->chains[i]), 1);
		CU_ASSERT_EQUAL(device->chains[i].head, heads[i]);
	}
}

/* Those that a process before took wait where they were; they are no neighbours in the ring, either. */
static void test_chains_that_came_again_are_put_back(void)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		bool in_order = formats[f] >> VIRTIO_F_IN_ORDER & 1;
		unsigned done = in_order ? 0 : 1; /* that is given back, of five */
		struct device first, second, third;
		uint16_t all[5], heads[5], taken;
		uint32_t written;

		begin(formats[f]);
		CU_ASSERT_EQUAL(device_start(&first, formats[f]), 0);
		for (uint8_t i = 0; i < 5; i++)
			all[i] = add(i, 2);
		virtqueue_driver_kick(&driver);
		pop_all(&first, all, 0, 4);
		virtqueue_push(&first.vq, &first.chains[done], 1);
		virtqueue_notify(&first.vq);
		virtqueue_stop(&first.vq);
		for (unsigned i = 0, to = 0; i < 5; i++)
			if (i != done)
				heads[to++] = all[i];

		/* Three that come again, one from the ring. */
		CU_ASSERT_EQUAL(device_start(&second, formats[f]), 0);
		pop_all(&second, heads, 0, 2);
		virtqueue_rewind(&second.vq, &second.chains[1], 1);
		pop_all(&second, heads, 1, 4);
		CU_ASSERT_EQUAL(virtqueue_pop(&second.vq, &second.chains[4]), 0);
		virtqueue_rewind(&second.vq, &second.chains[1], 3);
		CU_ASSERT_EQUAL(second.vq.counters.resubmitted, 1);
		pop_all(&second, heads, 1, 3);
		virtqueue_rewind(&second.vq, &second.chains[1], 2);
		virtqueue_stop(&second.vq);

		CU_ASSERT_EQUAL(device_start(&third, formats[f]), 0);
		pop_all(&third, heads, 0, 4);
		CU_ASSERT_EQUAL(third.vq.counters.resubmitted, 3);
		CU_ASSERT_EQUAL(virtqueue_pop(&third.vq, &third.chains[4]), 0);
		CU_ASSERT_PTR_NULL(third.vq.broken);
		for (unsigned i = 0; i < 4; i++)
			virtqueue_push(&third.vq, &third.chains[i], 1);
		virtqueue_notify(&third.vq);
		for (unsigned i = 0; i < 5; i++)
			CU_ASSERT_EQUAL(virtqueue_driver_take(&driver, &taken, &written), 1);
		CU_ASSERT_EQUAL(virtqueue_driver_take(&driver, &taken, &written), 0);
		virtqueue_stop(&third.vq);
		end();
	}
}

/* Takes what there is and gives it back, at once. */
static void work_by_burst(struct virtqueue *vq)
{
	struct virtqueue_chain chains[SIZE];
	struct iovec iov[SIZE * 8];
	struct virtqueue_space space = { iov, ARRAY_SIZE(iov), 0, 8 };
	unsigned count = virtqueue_pop_burst(vq, &space, chains, SIZE);

	for (unsigned i = 0; i < count; i++)
		if (!*(uint8_t *)chains[i].iov[0].iov_base)
			_exit(2);
	shared->done += count;
	virtqueue_push_burst(vq, chains, NULL, count);
}

/* Works until it is killed: takes some, gives some back, in no order. */
static void work(uint64_t features, uint64_t seed)
{
	struct device device;
	struct random random;
	unsigned held = 0;

	random.state = seed;
	if (device_start(&device, features) < 0)
		_exit(1);
	for (;;) {
		if (!held && random_below(&random, 2))
			work_by_burst(&device.vq);
		while (held < SIZE && random_below(&random, 4) &&
		       virtqueue_pop(&device.vq, &device.chains[held]) > 0) {
			struct iovec *iov = device.chains[held].iov;

			if (!*(uint8_t *)iov[0].iov_base)
				_exit(2); /* one that its driver has already taken back */
			held++;
		}
		if (device.vq.broken)
			_exit(3);
		while (held && random_below(&random, 3)) {
			unsigned which = (unsigned)random_below(&random, held);
			struct virtqueue_chain chain = device.chains[which];

			virtqueue_push(&device.vq, &chain, 1);
			shared->done++;
			device.chains[which] = device.chains[--held];
			device.chains[held] = chain; /* its iov */
		}
		if (random_below(&random, 2))
			virtqueue_notify(&device.vq);
		else
			sched_yield();
	}
}

/* The driver's half: each name that is taken back must be one that waits, and all come back. */
static void drive(uint64_t features, unsigned kills)
{
	bool waiting[SIZE] = { false };
	uint8_t slot_of[SIZE] = { 0 };
	unsigned in_ring = 0, chains = 0, most = features & INDIRECT ? SIZE : SIZE / 3;
	uint64_t answered = 0, since = 0;
	struct random random;
	pid_t child = 0;

	random.state = 7 + features;
	begin(features);
	for (unsigned killed = 0; killed < kills || in_ring;) {
		uint32_t written;
		uint16_t head;
		int got, status;

		if (!child) {
			uint64_t seed = random_next(&random);

			child = fork();
			if (!child)
				work(features, seed);
			CU_ASSERT_TRUE_FATAL(child > 0);
			since = answered;
		}
		while (killed < kills && in_ring < most) {
			uint8_t slot = (uint8_t)(chains++ % SIZE);

			for (bool used = true; used;) {
				used = false;
				for (unsigned i = 0; i < SIZE; i++)
					used |= waiting[i] && slot_of[i] == slot;
				slot = used ? (uint8_t)((slot + 1) % SIZE) : slot;
			}
			head = add(slot, 2 + chains % 2);
			shared->bytes[DATA + 256 * slot] = 1;
			waiting[head] = true;
			slot_of[head] = slot;
			in_ring++;
		}
		virtqueue_driver_kick(&driver);
		while ((got = virtqueue_driver_take(&driver, &head, &written)) > 0) {
			CU_ASSERT_TRUE_FATAL(waiting[head]);
			waiting[head] = false;
			shared->bytes[DATA + 256 * slot_of[head]] = 0;
			in_ring--;
			answered++;
		}
		CU_ASSERT_EQUAL_FATAL(got, 0);
		if (killed < kills && answered - since > random_below(&random, 200)) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			if (!WIFSIGNALED(status))
				printf("features %#llx, kill %u: the device ended with %d\n",
				       (unsigned long long)features, killed, WEXITSTATUS(status));
			CU_ASSERT_TRUE_FATAL(WIFSIGNALED(status));
			child = 0;
			killed++;
		}
		if (child && waitpid(child, &status, WNOHANG) > 0) {
			printf("format %u: the device ended with %d\n", (unsigned)(features >> 32),
			       status);
			CU_FAIL_FATAL("the device gave up");
		}
		sched_yield();
	}
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	CU_ASSERT_TRUE(shared->done >= answered);
	CU_ASSERT_EQUAL(answered, chains);
	end();
}

static void test_a_device_may_be_killed_at_any_instruction(void)
{
	unsigned kills = getenv("TORTURE") ? 20000 : 150;

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		drive(formats[f], kills);
}

/* The region is the front-end's too. */
static void test_a_region_with_anything_in_it_does_no_harm(void)
{
	struct random random;

	random.state = 3;
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t features = formats[round % ARRAY_SIZE(formats)];
		struct device device;
		unsigned held = 0;

		begin(features);
		for (uint8_t i = 0; i < 4; i++)
			add(i, 3);
		virtqueue_driver_kick(&driver);
		for (unsigned i = 0; i < sizeof(shared->region); i++)
			shared->region[i] =
				random_below(&random, 3) ? 0 : (uint8_t)random_below(&random, 18);
		put_le16(shared->region + 8, 1); /* version */
		put_le16(shared->region + 10, SIZE);
		if (device_start(&device, features) == 0) {
			for (unsigned i = 0; i < 100; i++) {
				shared->region[random_below(&random, sizeof(shared->region))] =
					(uint8_t)random_below(&random, 256);
				if (held < SIZE &&
				    virtqueue_pop(&device.vq, &device.chains[held]) > 0)
					held++;
				else if (held)
					virtqueue_push(&device.vq, &device.chains[--held], 1);
				if (i % 5 == 0)
					virtqueue_notify(&device.vq);
			}
		}
		virtqueue_stop(&device.vq);
		end();
	}
}

UNIT_MAIN("virtqueue_inflight", UNIT(test_chains_that_were_taken_come_again_in_their_order),
	  UNIT(test_chains_put_back_are_not_in_flight),
	  UNIT(test_chains_that_came_again_are_put_back),
	  UNIT(test_a_device_may_be_killed_at_any_instruction),
	  UNIT(test_a_region_with_anything_in_it_does_no_harm))
