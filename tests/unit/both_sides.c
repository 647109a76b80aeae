/* SPDX-License-Identifier: BSD-2-Clause */
/* See both_sides.h. */
#include "both_sides.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit.h"
#include "util/bytes.h"

struct both both;

const uint64_t formats[FORMATS] = {
	0,      EVENT,          EVENT | INDIRECT,          EVENT | IN_ORDER,
	PACKED, PACKED | EVENT, PACKED | EVENT | INDIRECT, PACKED | EVENT | INDIRECT | IN_ORDER
};

uint64_t count_of(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) < 0 ? 0 : count;
}

void set_up(uint64_t features)
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

void tear_down(void)
{
	close(both.device.call_fd);
	close(both.device.error_fd);
	close(both.driver.kick_fd);
	virtqueue_driver_destroy(&both.driver);
	virtqueue_stop(&both.device);
}

uint16_t add(unsigned readable, unsigned writable)
{
	struct virtqueue_part parts[8];
	uint16_t head = 0xffff;

	for (unsigned i = 0; i < readable + writable; i++)
		parts[i] = (struct virtqueue_part){ BASE + DATA + 64 * i, 64 };
	CU_ASSERT_EQUAL(virtqueue_driver_add(&both.driver, parts, readable, writable, &head), 0);
	return head;
}

void serve_one(void)
{
	CU_ASSERT_EQUAL(virtqueue_pop(&both.device, &both.chain), 1);
	virtqueue_push(&both.device, &both.chain, 0);
	virtqueue_notify(&both.device);
}

void take_all(void)
{
	uint32_t written;
	uint16_t head;

	while (virtqueue_driver_take(&both.driver, &head, &written) > 0)
		;
}
