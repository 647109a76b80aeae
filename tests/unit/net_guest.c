/* SPDX-License-Identifier: BSD-2-Clause */
/* See net_guest.h. The memory: rings, then areas of buffers for transmission and reception. */
#include "net_guest.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"

#define GUEST_BASE 0x100000ULL
#define RX_RING    0x0
#define TX_RING    0x8000
#define TX_AREA    0x10000
#define TX_SIZE    0x20000
#define RX_AREA    (TX_AREA + TX_SIZE)
#define RX_SIZE    0x400000
#define MEMORY     (RX_AREA + RX_SIZE)

static void must(int status, const struct error *error, const char *what)
{
	if (status >= 0)
		return;
	fprintf(stderr, "net_guest: %s: %s\n", what, error ? error->text : error_name(status));
	abort();
}

static void start_queue(struct net_guest *guest, unsigned index, struct virtqueue_driver *driver,
			uint64_t ring, int kick, int call)
{
	struct vhost_user_queue queue = { .size = NET_GUEST_QUEUE,
					  .kick_fd = kick,
					  .call_fd = call };
	struct error error = { 0 };

	must(virtqueue_driver_init(driver, guest->base + ring, guest->guest_base + ring,
				   NET_GUEST_QUEUE, guest->features),
	     NULL, "ring");
	driver->kick_fd = kick;
	queue.base = virtqueue_driver_base(driver);
	queue.desc = driver->desc_address;
	queue.avail = driver->avail_address;
	queue.used = driver->used_address;
	must(vhost_user_frontend_start_queue(guest->frontend, index, &queue, &error), &error,
	     "start_queue");
}

/* The queues of pair `index` in memory that is there. */
static void start_pair(struct net_guest *guest, unsigned index)
{
	guest->rx_kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	guest->rx_call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	guest->tx_kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	guest->tx_call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	start_queue(guest, 2 * index, &guest->rx, RX_RING, guest->rx_kick, guest->rx_call);
	start_queue(guest, 2 * index + 1, &guest->tx, TX_RING, guest->tx_kick, guest->tx_call);
}

/* Makes its region of `memory`, and tells the back-end of all of that. */
static void add_memory(struct net_guest *guest, struct guest_memory *memory)
{
	struct error error = { 0 };

	must(guest_memory_create_region(memory, "net-guest", guest->guest_base, MEMORY, &error),
	     &error, "memory");
	guest->base = guest_memory_translate(memory, guest->guest_base, MEMORY);
	must(vhost_user_frontend_set_memory(guest->frontend, memory, &error), &error, "set_memory");
}

struct net_guest *net_guest_start(struct vhost_user_frontend *frontend, uint64_t features)
{
	struct net_guest *guest = calloc(1, sizeof(*guest));
	struct error error = { 0 };

	guest->frontend = frontend;
	guest->features = features | 1ULL << VIRTIO_F_VERSION_1;
	guest->guest_base = GUEST_BASE;
	must(vhost_user_frontend_set_features(frontend, guest->features, &error), &error,
	     "features");
	add_memory(guest, &guest->memory);
	start_pair(guest, 0);
	return guest;
}

struct net_guest *net_guest_add_pair(struct net_guest *first, unsigned index)
{
	struct net_guest *guest = calloc(1, sizeof(*guest));

	guest->first = first;
	guest->frontend = first->frontend;
	guest->features = first->features;
	guest->guest_base = GUEST_BASE + index * (GUEST_BASE + MEMORY);
	add_memory(guest, &first->memory);
	start_pair(guest, index);
	return guest;
}

void net_guest_end(struct net_guest *guest)
{
	if (!guest->first)
		vhost_user_frontend_close(guest->frontend);
	virtqueue_driver_destroy(&guest->rx);
	virtqueue_driver_destroy(&guest->tx);
	guest_memory_clear(&guest->memory);
	close(guest->rx_kick);
	close(guest->rx_call);
	close(guest->tx_kick);
	close(guest->tx_call);
	free(guest);
}

void net_guest_give_buffers(struct net_guest *guest, unsigned count, size_t size)
{
	guest->buffer_size = size;
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = RX_AREA + (uint64_t)(guest->next_rx++ % (RX_SIZE / size)) * size;
		struct virtqueue_part part = { guest->guest_base + at, (uint32_t)size };
		uint16_t head;

		must(virtqueue_driver_add(&guest->rx, &part, 0, 1, &head), NULL, "receive buffer");
		guest->rx_at[head] = at;
	}
	virtqueue_driver_kick(&guest->rx);
}

/* Waits for a used chain; false after `timeout_ms`. */
static bool wait_used(struct virtqueue_driver *driver, int call, unsigned timeout_ms,
		      uint16_t *head, uint32_t *written)
{
	for (;;) {
		struct pollfd pollfd = { call, POLLIN, 0 };
		uint64_t count;
		int got = virtqueue_driver_take(driver, head, written);

		must(got, NULL, "take");
		if (got)
			return true;
		if (virtqueue_driver_enable_calls(driver))
			continue;
		if (poll(&pollfd, 1, (int)timeout_ms) <= 0)
			return virtqueue_driver_take(driver, head, written) > 0;
		got = (int)read(call, &count, sizeof(count));
	}
}

static bool send_parts(struct net_guest *guest, const struct virtqueue_part *parts, unsigned count)
{
	uint16_t head, back = 0;
	uint32_t written;

	must(virtqueue_driver_add(&guest->tx, parts, count, 0, &head), NULL, "transmit chain");
	virtqueue_driver_kick(&guest->tx);
	return wait_used(&guest->tx, guest->tx_call, NET_GUEST_PATIENCE, &back, &written) &&
	       back == head;
}

bool net_guest_send(struct net_guest *guest, const void *frame, size_t length,
		    const struct virtio_net_header *header, unsigned parts)
{
	static const struct virtio_net_header none;
	struct virtqueue_part list[64];
	size_t each = (length + parts - 1) / parts, at = 0;
	unsigned count = 1;

	memcpy(guest->base + TX_AREA, header ? header : &none, sizeof(none));
	memcpy(guest->base + TX_AREA + 64, frame, length);
	list[0] = (struct virtqueue_part){ guest->guest_base + TX_AREA, sizeof(none) };
	while (at < length) {
		size_t take = MIN(each, length - at);

		list[count++] = (struct virtqueue_part){ guest->guest_base + TX_AREA + 64 + at,
							 (uint32_t)take };
		at += take;
	}
	return send_parts(guest, list, count);
}

bool net_guest_send_raw(struct net_guest *guest, const void *bytes, size_t length)
{
	struct virtqueue_part part = { guest->guest_base + TX_AREA, (uint32_t)length };

	memcpy(guest->base + TX_AREA, bytes, length);
	return send_parts(guest, &part, 1);
}

size_t net_guest_receive(struct net_guest *guest, void *frame, size_t space, unsigned timeout_ms)
{
	size_t length = 0, skip = sizeof(guest->header);

	guest->buffers = 1;
	for (unsigned i = 0; i < guest->buffers; i++) {
		const uint8_t *from;
		uint32_t written;
		uint16_t head;

		/* All buffers of a frame are shown at once. */
		if (!wait_used(&guest->rx, guest->rx_call, i ? 0 : timeout_ms, &head, &written))
			return 0;
		from = guest->base + guest->rx_at[head];
		if (!i) {
			memcpy(&guest->header, from, sizeof(guest->header));
			guest->buffers = le16toh(guest->header.num_buffers);
		}
		if (written < skip || (i + 1 < guest->buffers && written != guest->buffer_size) ||
		    length + written - skip > space)
			return 0;
		memcpy((uint8_t *)frame + length, from + skip, written - skip);
		length += written - skip;
		skip = 0;
	}
	return length;
}
