/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes and descriptors from a vhost-user front-end, and whatever rings they set up.
 *
 * The input is a list of pieces: one byte with the length of what is sent, one with the descriptors that
 * go along (bits 0-3: how many; bit 4: memfds, else eventfds), then the bytes. After each piece the
 * back-end handles what it has, and its queues are drained.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/vhost_user_backend.h"

#define QUEUES 2
#define BYTES  65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtqueue *running[QUEUES];
static uint8_t config[32];

static uint64_t features(void *device)
{
	(void)device;
	return VIRTQUEUE_FEATURES | VIRTQUEUE_IN_ORDER;
}

static unsigned queue_count(void *device)
{
	(void)device;
	return QUEUES;
}

static int queue_start(void *device, unsigned index, struct virtqueue *vq)
{
	(void)device;
	if (running[index])
		abort();
	running[index] = vq;
	return 0;
}

static void queue_stop(void *device, unsigned index)
{
	(void)device;
	if (!running[index])
		abort();
	running[index] = NULL;
}

static int get_config(void *device, uint32_t offset, void *at, uint32_t size)
{
	(void)device;
	memset(at, 0, size);
	if (offset < sizeof(config))
		memcpy(at, config + offset, MIN(size, sizeof(config) - offset));
	return 0;
}

static int set_config(void *device, uint32_t offset, const void *at, uint32_t size, bool migration)
{
	(void)device;
	(void)migration;
	if (!range_within(offset, size, sizeof(config)))
		return -1;
	memcpy(config + offset, at, size);
	return 0;
}

static const struct vhost_user_backend_ops ops = {
	.inflight = true,
	.features = features,
	.queue_count = queue_count,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.get_config = get_config,
	.set_config = set_config,
};

static void drain(struct virtqueue *vq)
{
	struct iovec iov[20];
	struct virtqueue_chain chain = { .iov = iov, .capacity = 20 };

	for (int i = 0; i < 300 && virtqueue_pop(vq, &chain) > 0; i++) {
		if (chain.writable)
			memset(iov[chain.readable].iov_base, 0x55,
			       MIN(iov[chain.readable].iov_len, 64));
		virtqueue_push(vq, &chain, chain.writable_bytes);
	}
	virtqueue_notify(vq);
	virtqueue_enable_kicks(vq);
}

static void send_piece(int fd, const uint8_t *data, size_t size, uint8_t how)
{
	union {
		char bytes[CMSG_SPACE(15 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned count = how & 15;
	int fds[15];

	for (unsigned i = 0; i < count; i++) {
		fds[i] = how & 16 ? memfd_create("fuzz", MFD_ALLOW_SEALING)
				  : eventfd(0, EFD_NONBLOCK);
		if (how & 16 && ftruncate(fds[i], BYTES) < 0)
			abort();
	}
	if (count) {
		struct cmsghdr *c;

		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	/* The other side may have hung up by now. */
	if (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhost_user_backend_options options = { .name = "fuzz" };
	struct vhost_user_backend *be;
	struct error error;
	int fds[2], result = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    vhost_user_backend_create(&be, fds[1], &ops, NULL, &options, &error) < 0)
		abort();
	while (size > 2 && result == 0) {
		size_t length = MIN((size_t)data[0] + 1, size - 2);

		send_piece(fds[0], data + 2, length, data[1]);
		data += 2 + length;
		size -= 2 + length;
		result = vhost_user_backend_input(be, &error);
		for (unsigned i = 0; i < QUEUES; i++)
			if (running[i])
				drain(running[i]);
		(void)vhost_user_backend_config_changed(be);
	}
	vhost_user_backend_close(be);
	for (unsigned i = 0; i < QUEUES; i++)
		if (running[i])
			abort();
	close(fds[0]);
	return 0;
}
