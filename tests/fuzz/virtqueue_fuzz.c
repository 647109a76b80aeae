/*
 * Rings with any content, drained by the device side of a virtqueue.
 *
 * The first byte chooses features and size. The rest is guest memory from its beginning on: the
 * descriptor table, the available ring at 512, the used ring at 1024, anything else behind. After each
 * chain a byte of it is changed, as a driver on another processor might.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtqueue.h"

#define BASE  0x1000
#define BYTES 16384
#define AVAIL 512
#define USED  1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[BYTES] __attribute__((aligned(4096)));

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_memory memory = { .count = 0 };
	struct iovec iov[40];
	struct virtqueue_chain chain = { .iov = iov, .capacity = 40 };
	struct virtqueue vq;
	unsigned rounds = 0;
	uint64_t features;
	int got;

	if (!size)
		return 0;
	features = (data[0] & 1 ? 1ULL << VIRTIO_RING_F_INDIRECT_DESC : 0) |
		   (data[0] & 2 ? 1ULL << VIRTIO_RING_F_EVENT_IDX : 0);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data + 1, MIN(size - 1, sizeof(bytes)));
	/* Two regions side by side, so that buffers may lie across. */
	guest_memory_add_region(&memory, BASE, 8192, bytes, NULL);
	guest_memory_add_region(&memory, BASE + 8192, BYTES - 8192, bytes + 8192, NULL);
	virtqueue_init(&vq, &memory, 0, features);
	if (virtqueue_start(&vq, (uint16_t)(1u << (data[0] >> 2 & 7)), BASE, BASE + AVAIL,
			    BASE + USED, data[0] & 0x80 ? 0xfffe : 0) < 0)
		return 0;
	while ((got = virtqueue_pop(&vq, &chain)) > 0 && rounds++ < 1000) {
		uint64_t read = 0, written = 0;

		for (unsigned i = 0; i < chain.readable; i++)
			for (size_t at = 0; at < iov[i].iov_len; at++, read++)
				*(volatile uint8_t *)((uint8_t *)iov[i].iov_base + at);
		for (unsigned i = chain.readable; i < chain.readable + chain.writable; i++)
			written += iov[i].iov_len;
		if (read != chain.readable_bytes || written != chain.writable_bytes)
			abort();
		if (chain.writable_bytes)
			*(uint8_t *)iov[chain.readable].iov_base ^= (uint8_t)rounds;
		if (rounds % 7 == 0)
			virtqueue_rewind(&vq, 1);
		else
			virtqueue_push(&vq, chain.head, chain.writable_bytes);
		if (rounds % 3 == 0) {
			virtqueue_notify(&vq);
			virtqueue_enable_kicks(&vq);
		}
		bytes[(rounds * 131 + data[size - 1]) % 2048] ^= data[rounds % size];
	}
	virtqueue_notify(&vq);
	virtqueue_disable_kicks(&vq);
	if ((got < 0) != (vq.broken != NULL))
		abort();
	if (vq.in_flight > vq.size)
		abort();
	guest_memory_clear(&memory);
	return 0;
}
