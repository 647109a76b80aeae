/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user device that copies what it reads to what it writes, on a thread of its own, and a front-end with one
 * queue: for the tests of the protocol. */
#ifndef TENON_TESTS_ECHO_DEVICE_H
#define TENON_TESTS_ECHO_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "util/error.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user_backend.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define ECHO_QUEUES   3
#define ECHO_MEMORY   0x100000
#define ECHO_SIZE     64
#define ECHO_FEATURES (VIRTQUEUE_FEATURES | 1ULL << 5)
#define ECHO_PACKED   (1ULL << VIRTIO_F_RING_PACKED)

/* A device whose queues copy what they read to what they write. */
struct echo {
	struct vhost_user_backend *be;
	struct virtqueue *running[ECHO_QUEUES];
	unsigned starts, stops, resets;
	uint64_t features;
	uint8_t config[16];
	pthread_t thread;
	atomic_bool announce; /* tell of a changed configuration, once */
	atomic_int result;    /* of input(), 1 while all is well */
	struct error error;
};

/* Starts the back-end; returns the front-end's end of the socket. */
int echo_begin(struct echo *echo);
/* After the front-end has hung up, or broken the protocol: returns how input() ended. */
int echo_end(struct echo *echo);
/* How many descriptors this process has. */
unsigned echo_open_files(void);

/* A front-end with one queue. */
struct guest {
	struct vhost_user_frontend *fe;
	struct guest_memory memory;
	struct virtqueue_driver queue;
	int kick_fd, call_fd;
	uint64_t data; /* guest address */
	uint8_t *host;
};

/* Fails the test, with the message. */
void guest_check(int result, const struct error *error);
/* Shakes hands over `fd`, with all features but packed rings, or with just these. */
void guest_begin(struct guest *guest, int fd);
void guest_begin_with(struct guest *guest, int fd, uint64_t features);
void guest_start(struct guest *guest, unsigned index, uint32_t base);
/* Sends `text` through the queue, with 100 bytes for the answer: the head of the chain. */
uint16_t guest_send(struct guest *guest, const char *text);
/* Sends `text` through the queue and checks that it comes back. */
void guest_echo(struct guest *guest, const char *text);
void guest_end(struct guest *guest);

/* Without a front-end of ours: a connection with REPLY_ACK on; one message; the u64 of the answer to it, or UINT64_MAX
 * if there is none. */
#define NEED VHOST_USER_FLAG_NEED_REPLY
int raw_begin(struct echo *echo);
void raw_send(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	      const int *fds, unsigned fd_count);
uint64_t raw_answer(int fd, uint32_t request);

#endif
