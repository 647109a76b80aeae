/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model check of a virtqueue's kicks and signals: both sides, as they are in lib/virtio, with each of their accesses to the ring a place where
 * the other may go on instead, and with a store seen by the other at once or as late as the processor may have it. All ways of changing over
 * two times are gone through. Nobody is left asleep while the other waits for him, and all chains come, in order.
 *
 * Stores wait in a queue in front of memory, as x86 has it (total store order): a load may go before a store, which only a fence prevents.
 * That the check sees what it is for is checked, too: without the fences both sides sleep.
 */
#include "unit.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "both_sides.h"
#include "fiber/context.h"
#include "fiber/sanitizer.h"
#include "util/bytes.h"
#include "util/event_guard.h"
#include "virtio/dirty_log.h"
#include "virtio/virtqueue_inflight.h"

static uint64_t model_load(const void *at, size_t size);
static void model_store(void *at, size_t size, uint64_t value);
static void model_fence(void);

/* The sources, whose accesses are the model's. */
#define __atomic_load_n(at, order) ((void)(order), (__typeof__(*(at)))model_load(at, sizeof(*(at))))
#define __atomic_store_n(at, value, order)                                                         \
	((void)(order), model_store((void *)(uintptr_t)(at), sizeof(*(at)), (uint64_t)(value)))
#define __atomic_thread_fence(order) model_fence()
#include "../../../../lib/virtio/virtqueue.c"
#include "../../../../lib/virtio/virtqueue_chain.c"
#include "../../../../lib/virtio/virtqueue_driver.c"
#include "../../../../lib/virtio/virtqueue_driver_packed.c"
#include "../../../../lib/virtio/virtqueue_driver_table.c"
#include "../../../../lib/virtio/virtqueue_inflight.c"
#include "../../../../lib/virtio/virtqueue_packed.c"
#include "../../../../lib/virtio/virtqueue_packed_find.c"
#include "../../../../lib/virtio/virtqueue_split.c"
#undef __atomic_load_n
#undef __atomic_store_n
#undef __atomic_thread_fence

#define RING   2 /* so that a packed one turns over */
#define CHAINS 4
#define STACK  65536
#define STORES 64
#define NEVER  UINT32_MAX

/* ---- Two sides on one thread ---- */

struct side {
	struct context context;
	void (*run)(void);
	int waits_for; /* an eventfd; -1: nothing */
	bool done, lazy;
	unsigned count; /* of stores that are not in memory yet */
	struct {
		void *at;
		size_t size;
		uint64_t value;
	} stores[STORES];
	void *fake_stack;
	uint8_t stack[STACK] __attribute__((aligned(64)));
};

static struct {
	struct side sides[2]; /* the device, the driver */
	struct side *running;
	struct context home;
	void *fake_stack;
	const void *stack;
	size_t stack_size;
	uint32_t step, change[2]; /* at which accesses the other goes on */
	unsigned no_fences;       /* of which sides */
	unsigned ways;
	const char *wrong;
	unsigned slept[2];
} model;

static void go_home(void)
{
	struct side *side = model.running;

	fiber_switch_begins(side->done ? NULL : &side->fake_stack, model.stack, model.stack_size);
	context_switch(&side->context, &model.home);
	fiber_switch_ended(side->fake_stack, &model.stack, &model.stack_size);
}

static void go_to(struct side *side)
{
	model.running = side;
	fiber_switch_begins(&model.fake_stack, side->stack, STACK);
	context_switch(&model.home, &side->context);
	fiber_switch_ended(model.fake_stack, NULL, NULL);
	model.running = NULL;
}

/* ---- Memory ---- */

static void write_out_stores(struct side *side)
{
	for (unsigned i = 0; i < side->count; i++)
		memcpy(side->stores[i].at, &side->stores[i].value, side->stores[i].size);
	side->count = 0;
}

/* Counters are nobody else's. */
static bool is_shared(const void *at)
{
	return model.running && (const uint8_t *)at >= both.bytes &&
	       (const uint8_t *)at < both.bytes + MEMORY;
}

static void take_step(void)
{
	uint32_t step = model.step++;

	for (unsigned i = 0; i < ARRAY_SIZE(model.change); i++)
		if (step == model.change[i])
			go_home();
}

static uint64_t model_load(const void *at, size_t size)
{
	uint64_t value = 0;

	if (is_shared(at)) {
		struct side *side = model.running;

		take_step();
		/* Its own stores it sees; of a part of one the processor waits until that is in memory. */
		for (unsigned i = side->count; i-- > 0;) {
			uintptr_t first = (uintptr_t)side->stores[i].at;

			if (first >= (uintptr_t)at + size ||
			    first + side->stores[i].size <= (uintptr_t)at)
				continue;
			if (side->stores[i].at == at && side->stores[i].size == size)
				return side->stores[i].value;
			write_out_stores(side);
			break;
		}
	}
	memcpy(&value, at, size);
	return value;
}

static void model_store(void *at, size_t size, uint64_t value)
{
	struct side *side = model.running;

	if (!is_shared(at)) {
		memcpy(at, &value, size);
		return;
	}
	take_step();
	if (side->count == STORES)
		write_out_stores(side);
	side->stores[side->count].at = at;
	side->stores[side->count].size = size;
	side->stores[side->count++].value = value;
	if (!side->lazy)
		write_out_stores(side);
}

static void model_fence(void)
{
	struct side *side = model.running;

	if (!side || model.no_fences >> (side - model.sides) & 1)
		return;
	take_step();
	write_out_stores(side);
}

/* ---- Sleep ---- */

static bool is_set(int fd)
{
	uint64_t count = count_of(fd);

	return count && write(fd, &count, sizeof(count)) > 0;
}

static void sleep_for(int fd)
{
	struct side *side = model.running;

	model.slept[side - model.sides]++;
	take_step();
	/* By the time it sleeps in the kernel all that it wrote is seen. */
	write_out_stores(side);
	side->waits_for = fd;
	while (!count_of(fd))
		go_home();
	side->waits_for = -1;
}

static bool can_go(const struct side *side)
{
	return !side->done && (side->waits_for < 0 || is_set(side->waits_for));
}

/* ---- The sides ---- */

static void run_device(void)
{
	struct virtqueue_chain chains[RING];
	struct iovec iov[RING * 2];
	unsigned served = 0;

	for (unsigned turn = 0; served < CHAINS && !model.wrong; turn++) {
		struct virtqueue_space space = { iov, ARRAY_SIZE(iov), 0, 1 };
		unsigned got = virtqueue_pop_burst(&both.device, &space, chains, 1 + turn % RING);

		for (unsigned i = 0; i < got; i++)
			if (chains[i].readable != 1 ||
			    chains[i].iov->iov_base != both.bytes + DATA + 64 * served++)
				model.wrong = "a chain is another one";
		virtqueue_push_burst(&both.device, chains, NULL, got);
		virtqueue_notify(&both.device);
		if (both.device.broken)
			model.wrong = both.device.broken;
		if (got)
			continue;
		if (!virtqueue_enable_kicks(&both.device))
			sleep_for(both.driver.kick_fd);
		virtqueue_disable_kicks(&both.device);
	}
}

static void run_driver(void)
{
	unsigned added = 0, taken = 0;
	uint32_t written;
	uint16_t head;

	for (unsigned turn = 0; taken < CHAINS && !model.wrong; turn++) {
		unsigned did = 0;

		while (added < CHAINS && did < 1 + turn % RING) {
			struct virtqueue_part part = { BASE + DATA + 64 * added, 64 };

			if (virtqueue_driver_add(&both.driver, &part, 1, 0, &head))
				break;
			added++;
			did++;
		}
		virtqueue_driver_kick(&both.driver);
		while (virtqueue_driver_take(&both.driver, &head, &written) > 0) {
			taken++;
			did++;
		}
		if (did || virtqueue_driver_enable_calls(&both.driver))
			continue;
		sleep_for(both.device.call_fd);
		virtqueue_driver_disable_calls(&both.driver);
	}
}

static void enter(void)
{
	struct side *side = model.running;

	fiber_switch_ended(NULL, &model.stack, &model.stack_size);
	side->run();
	write_out_stores(side);
	side->done = true;
	go_home();
}

/* ---- All ways ---- */

static void begin(uint64_t features, unsigned lazy)
{
	void (*const runs[])(void) = { run_device, run_driver };

	memset(both.bytes, 0, DATA);
	CU_ASSERT_EQUAL_FATAL(virtqueue_driver_init(&both.driver, both.bytes, BASE, RING, features),
			      0);
	virtqueue_set_features(&both.device, features);
	CU_ASSERT_EQUAL_FATAL(virtqueue_start(&both.device, RING, both.driver.desc_address,
					      both.driver.avail_address, both.driver.used_address,
					      virtqueue_driver_base(&both.driver)),
			      0);
	model.step = 0;
	model.wrong = NULL;
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &model.sides[i];

		side->run = runs[i];
		side->waits_for = -1;
		side->done = false;
		side->count = 0;
		side->lazy = lazy >> i & 1;
		fiber_unpoison(side->stack, STACK);
		context_init(&side->context, side->stack, STACK, enter);
	}
}

/* One way through, which begins with side `first`. How many accesses it had. */
static uint32_t run_once(uint64_t features, unsigned lazy, unsigned first, const int fds[2])
{
	struct side *sides = model.sides;
	unsigned at = first;

	begin(features, lazy);
	both.device.call_fd = fds[0];
	both.driver.kick_fd = fds[1];
	count_of(fds[0]);
	count_of(fds[1]);
	for (; !model.wrong && !(sides[0].done && sides[1].done); at = !at) {
		if (can_go(&sides[at]))
			go_to(&sides[at]);
		else if (!can_go(&sides[!at]))
			model.wrong = "both sides sleep";
	}
	virtqueue_stop(&both.device);
	virtqueue_driver_destroy(&both.driver);
	return model.step;
}

/* All ways of one format; NULL, or what was wrong with one. */
static const char *run_all(uint64_t features, unsigned lazy, unsigned first)
{
	int fds[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	uint32_t *change = model.change, steps = NEVER;

	CU_ASSERT_TRUE_FATAL(fds[0] >= 0 && fds[1] >= 0);
	model.wrong = NULL;
	for (uint32_t a = 0; a < steps && !model.wrong; a++) {
		uint32_t most = a + 2;

		for (uint32_t b = a + 1; b < most && !model.wrong; b++) {
			change[0] = a, change[1] = b;
			model.ways++;
			steps = most = run_once(features, lazy, first, fds);
		}
	}
	if (model.wrong && !model.no_fences)
		fprintf(stderr,
			"features 0x%llx, late stores 0x%x, side %u first, changes %u %u: %s\n",
			(unsigned long long)features, lazy, first, change[0], change[1],
			model.wrong);
	close(fds[0]);
	close(fds[1]);
	return model.wrong;
}

static const uint64_t kinds[] = {
	0, EVENT, PACKED, PACKED | EVENT, EVENT | IN_ORDER, PACKED | EVENT | IN_ORDER
};

static void begin_memory(void)
{
	memset(&both, 0, sizeof(both));
	CU_ASSERT_EQUAL_FATAL(guest_memory_add_region(&both.memory, BASE, MEMORY, both.bytes, NULL),
			      0);
	virtqueue_init(&both.device, &both.memory, 0, 0);
	memset(model.slept, 0, sizeof(model.slept));
}

static void test_nobody_sleeps_while_he_is_waited_for(void)
{
#ifdef FIBER_TSAN
	unit_skip("the sides are no threads here");
	return;
#endif
	begin_memory();
	model.no_fences = 0;
	model.ways = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		for (unsigned way = 0; way < 8; way++)
			CU_ASSERT_PTR_NULL_FATAL(run_all(kinds[i], way >> 1, way & 1));
	CU_ASSERT_TRUE(model.slept[0] > 1000 && model.slept[1] > 1000);
	CU_ASSERT_TRUE(model.ways > 100000);
}

static void test_the_fences_are_needed(void)
{
#ifdef FIBER_TSAN
	unit_skip("the sides are no threads here");
	return;
#endif
	begin_memory();
	for (model.no_fences = 1; model.no_fences < 4; model.no_fences++) {
		/* Stores that are seen at once need none. */
		CU_ASSERT_PTR_NULL(run_all(EVENT, 0, 0));
		for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
			const char *wrong = run_all(kinds[i], 3, 0);

			CU_ASSERT_PTR_NOT_NULL(wrong ? wrong : run_all(kinds[i], 3, 1));
		}
	}
}

UNIT_MAIN("virtqueue model", UNIT(test_nobody_sleeps_while_he_is_waited_for),
	  UNIT(test_the_fences_are_needed))
