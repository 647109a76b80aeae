/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings of both formats with any content, drained by the device side of a virtqueue.
 *
 * The first byte chooses features and size, the second format, order and an in-flight region, whether by bursts, and whether it looks for
 * where a device was that was killed. The rest is guest memory from its beginning on: the descriptors, what the driver writes at 512, what
 * the device writes at 1024, anything else behind; the region is at its end. After each chain a byte of it is changed, as a driver on
 * another processor might.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/dirty_log.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_inflight.h"

#define BASE  0x1000
#define BYTES 16384
#define AVAIL 512
#define USED  1024
#define LARGE 128 /* the largest ring */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[BYTES] __attribute__((aligned(4096)));

static void touch(struct virtqueue_chain *chain, unsigned round)
{
	uint64_t read = 0, written = 0;

	for (unsigned i = 0; i < chain->readable; i++)
		for (size_t at = 0; at < chain->iov[i].iov_len; at++, read++)
			*(volatile uint8_t *)((uint8_t *)chain->iov[i].iov_base + at);
	for (unsigned i = chain->readable; i < chain->readable + chain->writable; i++)
		written += chain->iov[i].iov_len;
	if (read != chain->readable_bytes || written != chain->writable_bytes)
		abort();
	if (chain->writable_bytes)
		*(uint8_t *)chain->iov[chain->readable].iov_base ^= (uint8_t)round;
}

/* The same by bursts. */
static void drain_by_bursts(struct virtqueue *vq, const uint8_t *data, size_t size)
{
	struct iovec iov[100];
	struct virtqueue_chain chains[8];
	unsigned count, rounds = 0;

	do {
		struct virtqueue_space space = { iov, ARRAY_SIZE(iov), data[0] & 1, 40 };
		unsigned keep;

		count = virtqueue_pop_burst(vq, &space, chains, 1 + rounds % ARRAY_SIZE(chains));
		for (unsigned i = 0; i < count; i++)
			touch(&chains[i], i);
		keep = rounds % 3 ? 0 : count / 2;
		if (keep && !vq->broken)
			virtqueue_rewind(vq, &chains[count - keep], keep);
		else
			keep = 0;
		if (rounds % 4 == 1 && count > 1) {
			virtqueue_push(vq, &chains[count - keep - 1], 0);
			virtqueue_push_burst(vq, chains, NULL, count - keep - 1);
		} else {
			virtqueue_push_burst(vq, chains, NULL, count - keep);
		}
		if (rounds % 3 != 1)
			virtqueue_notify(vq);
		bytes[(rounds * 131 + data[size - 1]) % sizeof(bytes)] ^= data[rounds % size];
	} while (count && rounds++ < 300);
	virtqueue_notify(vq);
	if (vq->in_flight)
		abort();
}

/* Takes and gives back until nothing comes. */
static void drain(struct virtqueue *vq, const uint8_t *data, size_t size)
{
	struct iovec iov[2][40];
	struct virtqueue_chain chain = { .iov = iov[0], .capacity = 40 };
	struct virtqueue_chain held = { .iov = iov[1], .capacity = 40 };
	bool holds = false;
	unsigned rounds = 0;
	int got;

	while (virtqueue_prefetch(vq, 3),
	       (got = virtqueue_pop(vq, &chain)) > 0 && rounds++ < 1000) {
		touch(&chain, rounds);
		if (rounds % 7 == 0) {
			virtqueue_rewind(vq, &chain, 1);
		} else if (rounds % 5 == 0 && !holds) {
			struct virtqueue_chain swap = held;

			held = chain;
			chain = swap;
			holds = true;
		} else {
			virtqueue_push(vq, &chain, chain.writable_bytes);
		}
		if (holds && rounds % 11 == 0) {
			virtqueue_push(vq, &held, 0);
			holds = false;
		}
		if (rounds % 3 == 0) {
			virtqueue_notify(vq);
			virtqueue_enable_kicks(vq);
		}
		bytes[(rounds * 131 + data[size - 1]) % sizeof(bytes)] ^= data[rounds % size];
	}
	if (holds)
		virtqueue_push(vq, &held, 0);
	virtqueue_notify(vq);
	virtqueue_disable_kicks(vq);
	if (got < 0 && !vq->broken)
		abort();
	if (vq->in_flight > vq->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t dirty[1];
	struct guest_memory memory = { .count = 0 };
	struct dirty_log log = { .bitmap = dirty, .bytes = sizeof(dirty) };
	struct virtqueue_inflight inflight = {
		.region = bytes + BYTES - virtqueue_inflight_bytes(LARGE, true),
		.bytes = virtqueue_inflight_bytes(LARGE, true),
	};
	struct virtqueue vq;
	uint64_t features;

	if (size < 2)
		return 0;
	features = (data[0] & 1 ? 1ULL << VIRTIO_RING_F_INDIRECT_DESC : 0) |
		   (data[0] & 2 ? 1ULL << VIRTIO_RING_F_EVENT_IDX : 0) |
		   (data[1] & 1 ? 1ULL << VIRTIO_F_RING_PACKED : 0) |
		   (data[1] & 2 ? 1ULL << VIRTIO_F_IN_ORDER : 0);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data + 2, MIN(size - 2, sizeof(bytes)));
	/* Two regions side by side, so that buffers may lie across. */
	guest_memory_add_region(&memory, BASE, 8192, bytes, NULL);
	guest_memory_add_region(&memory, BASE + 8192, BYTES - 8192, bytes + 8192, NULL);
	if (data[1] & 8)
		memory.log = &log;
	virtqueue_init(&vq, &memory, 0, features);
	if (data[1] & 4)
		vq.inflight = &inflight;
	if (virtqueue_start(&vq, (uint16_t)(1u << (data[0] >> 2 & 7)), BASE, BASE + AVAIL,
			    BASE + USED,
			    data[0] & 0x80 ? 0xfffe
			    : data[1] & 1  ? 0x8000
					   : 0) == 0) {
		if (data[1] & 32)
			virtqueue_resume_in_order(&vq);
		if (data[1] & 16)
			drain_by_bursts(&vq, data, size);
		else
			drain(&vq, data, size);
	}
	virtqueue_stop(&vq);
	guest_memory_clear(&memory);
	return 0;
}
