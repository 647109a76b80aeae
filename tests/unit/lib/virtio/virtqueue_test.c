/* The device side of a virtqueue, over a plain buffer: with our own driver side, and with rings that no
 * honest driver makes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/dirty_log.h"
#include "virtio/guest_memory.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define BASE     0x10000
#define MEMORY   65536
#define DATA     0x8000 /* of buffers, in the memory */
#define TABLE    0x4000 /* of indirect tables */
#define SIZE     8
#define FAR      (BASE + MEMORY)
#define EVENT    (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)
#define PACKED   (1ULL << VIRTIO_F_RING_PACKED)
#define IN_ORDER (1ULL << VIRTIO_F_IN_ORDER)

/* A queue with both its sides. */
struct both {
	uint8_t bytes[MEMORY];
	struct guest_memory memory;
	struct virtqueue device;
	struct virtqueue_driver driver;
	struct iovec iov[16];
	struct virtqueue_chain chain;
} __attribute__((aligned(4096)));

static struct both both;

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) < 0 ? 0 : count;
}

static void set_up(uint64_t features)
{
	struct both *b = &both;

	memset(b, 0, sizeof(*b));
	b->chain.iov = b->iov;
	b->chain.capacity = ARRAY_SIZE(b->iov);
	CU_ASSERT_EQUAL(guest_memory_add_region(&b->memory, BASE, MEMORY, b->bytes, NULL), 0);
	CU_ASSERT_EQUAL(virtqueue_driver_init(&b->driver, b->bytes, BASE, SIZE, features), 0);
	virtqueue_init(&b->device, &b->memory, 0, features);
	CU_ASSERT_EQUAL(virtqueue_start(&b->device, SIZE, b->driver.desc_address,
					b->driver.avail_address, b->driver.used_address,
					virtqueue_driver_base(&b->driver)),
			0);
	b->device.call_fd = eventfd(0, EFD_NONBLOCK);
	b->device.error_fd = eventfd(0, EFD_NONBLOCK);
	b->driver.kick_fd = eventfd(0, EFD_NONBLOCK);
}

static void tear_down(void)
{
	close(both.device.call_fd);
	close(both.device.error_fd);
	close(both.driver.kick_fd);
	virtqueue_driver_destroy(&both.driver);
	virtqueue_stop(&both.device);
}

static uint16_t add(unsigned readable, unsigned writable)
{
	struct virtqueue_part parts[8];
	uint16_t head = 0xffff;

	for (unsigned i = 0; i < readable + writable; i++)
		parts[i] = (struct virtqueue_part){ BASE + DATA + 64 * i, 64 };
	CU_ASSERT_EQUAL(virtqueue_driver_add(&both.driver, parts, readable, writable, &head), 0);
	return head;
}

static const uint64_t formats[] = {
	0,      EVENT,          EVENT | INDIRECT,          EVENT | IN_ORDER,
	PACKED, PACKED | EVENT, PACKED | EVENT | INDIRECT, PACKED | EVENT | INDIRECT | IN_ORDER
};

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

/* Pops and pushes one chain. */
static void serve_one(void)
{
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	virtqueue_push(&both.device, &both.chain, 0);
	virtqueue_notify(&both.device);
}

static void take_all(void)
{
	uint32_t written;
	uint16_t head;

	while (virtqueue_driver_take(&both.driver, &head, &written) > 0)
		;
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

#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT
#define I VRING_DESC_F_INDIRECT

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

UNIT_MAIN("virtqueue", UNIT(test_chains_go_round_the_ring_and_past_the_index_wrap),
	  UNIT(test_a_burst_is_shown_at_once_and_signalled_once),
	  UNIT(test_nobody_is_signalled_who_does_not_wait), UNIT(test_rewound_chains_come_again),
	  UNIT(test_a_driver_that_was_promised_order_gets_it),
	  UNIT(test_indirect_tables_follow_direct_descriptors),
	  UNIT(test_an_indirect_table_may_be_longer_than_the_ring),
	  UNIT(test_empty_buffers_are_left_out),
	  UNIT(test_a_buffer_across_two_regions_becomes_two_pieces),
	  UNIT(test_hostile_direct_chains_break_the_ring),
	  UNIT(test_hostile_indirect_tables_break_the_ring),
	  UNIT(test_a_packed_ring_that_begins_at_0),
	  UNIT(test_hostile_packed_chains_break_the_ring),
	  UNIT(test_a_packed_table_is_a_list_and_may_be_longer_than_the_ring),
	  UNIT(test_a_packed_ring_goes_on_where_it_was),
	  UNIT(test_what_is_written_is_noted_as_dirty),
	  UNIT(test_no_more_chains_than_the_ring_holds),
	  UNIT(test_a_ring_must_lie_in_memory_and_be_aligned),
	  UNIT(test_a_driver_does_not_believe_its_device), UNIT(test_a_full_ring_takes_no_more))
