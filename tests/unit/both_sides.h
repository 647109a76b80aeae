/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtqueue over a plain buffer with both of its sides, for tests. */
#ifndef TENON_TESTS_BOTH_SIDES_H
#define TENON_TESTS_BOTH_SIDES_H

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

#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT
#define I VRING_DESC_F_INDIRECT

/* A queue with both its sides. */
struct both {
	uint8_t bytes[MEMORY];
	struct guest_memory memory;
	struct virtqueue device;
	struct virtqueue_driver driver;
	struct iovec iov[16];
	struct virtqueue_chain chain;
} __attribute__((aligned(4096)));

extern struct both both;

/* Everything that a queue can be. */
#define FORMATS 8
extern const uint64_t formats[FORMATS];

void set_up(uint64_t features);
void tear_down(void);

/* Takes what an eventfd counts. */
uint64_t count_of(int fd);

/* The driver adds a chain of parts of 64 bytes, one behind the other from DATA on. */
uint16_t add(unsigned readable, unsigned writable);
/* The device pops and pushes one chain. */
void serve_one(void);
/* The driver takes all that is used. */
void take_all(void);

#endif
