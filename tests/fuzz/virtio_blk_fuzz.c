/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disk requests with any content and layout.
 *
 * The first byte chooses features. The rest is guest memory from its beginning on: 16 descriptors, the
 * available ring at 256, the used ring at 512, requests behind. Whatever they ask for, each request that
 * was taken is answered, and the disk keeps its size.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/virtio_blk.h"

#define BASE  0x1000
#define BYTES 16384
#define AVAIL 256
#define USED  512
#define SIZE  16
#define DISK  (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t bytes[BYTES] __attribute__((aligned(4096)));

static int serve(void *arg)
{
	const struct input *input = arg;
	struct guest_memory memory = { .count = 0 };
	struct virtio_blk_queue queue;
	struct virtio_blk blk;
	struct virtqueue vq;
	struct block *disk;
	uint64_t features;
	int got;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, input->data + 1, MIN(input->size - 1, sizeof(bytes)));
	guest_memory_add_region(&memory, BASE, BYTES, bytes, NULL);
	if (block_create_memory(&disk, "fuzz", DISK, NULL) < 0)
		abort();
	disk->read_only = input->data[0] & 1;
	virtio_blk_init(&blk, disk, "fuzz", 1);
	features = virtio_blk_features(&blk);
	if (input->data[0] & 2)
		features &= VIRTQUEUE_FEATURES;
	if (!(input->data[0] & 4))
		features &= ~(1ULL << VIRTIO_F_RING_PACKED);
	virtio_blk_set_features(&blk, features);
	virtqueue_init(&vq, &memory, 0, features);
	if (virtqueue_start(&vq, SIZE, BASE, BASE + AVAIL, BASE + USED,
			    input->data[0] & 4 ? VIRTQUEUE_BASE_PACKED : 0) < 0)
		abort();
	virtio_blk_queue_init(&queue, &blk, &vq);
	for (int i = 0; i < 50; i++) {
		got = virtio_blk_queue_poll(&queue, 8);
		fiber_yield();
		if (got <= 0)
			break;
	}
	virtio_blk_queue_drain(&queue);
	if (vq.in_flight || queue.in_flight || disk->gate.inside)
		abort();
	block_unref(disk);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct worker *worker;
	struct input input = { data, size };
	struct worker_options options = { .engine = WORKER_ENGINE_AIO,
					  .virtual_clock = true,
					  .seed = 1 };

	if (!size)
		return 0;
	if (!worker && worker_create(&worker, &options, NULL) < 0)
		abort();
	worker_run(worker, serve, &input);
	return 0;
}
