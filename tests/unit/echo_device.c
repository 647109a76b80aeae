/* SPDX-License-Identifier: BSD-2-Clause */
/* See echo_device.h. */
#include "echo_device.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "unit.h"
#include "util/bytes.h"
#include "virtio/vhost_user.h"

static uint64_t echo_features(void *device)
{
	(void)device;
	return ECHO_FEATURES;
}

static void echo_features_set(void *device, uint64_t features)
{
	((struct echo *)device)->features = features;
}

static unsigned echo_queue_count(void *device)
{
	(void)device;
	return ECHO_QUEUES;
}

static int echo_start(void *device, unsigned index, struct virtqueue *vq)
{
	struct echo *echo = device;

	echo->running[index] = vq;
	echo->starts++;
	return 0;
}

static void echo_stop(void *device, unsigned index)
{
	struct echo *echo = device;

	CU_ASSERT_PTR_NOT_NULL(echo->running[index]);
	echo->running[index] = NULL;
	echo->stops++;
}

static int echo_get_config(void *device, uint32_t offset, void *at, uint32_t size)
{
	struct echo *echo = device;

	memset(at, 0, size);
	if (offset < sizeof(echo->config))
		memcpy(at, echo->config + offset, MIN(size, sizeof(echo->config) - offset));
	return 0;
}

static int echo_set_config(void *device, uint32_t offset, const void *at, uint32_t size,
			   bool migration)
{
	struct echo *echo = device;

	(void)migration;
	if (!range_within(offset, size, sizeof(echo->config)))
		return -EACCES;
	memcpy(echo->config + offset, at, size);
	return 0;
}

static void echo_reset(void *device)
{
	((struct echo *)device)->resets++;
}

static const struct vhost_user_backend_ops echo_ops = {
	.inflight = true,
	.features = echo_features,
	.features_set = echo_features_set,
	.queue_count = echo_queue_count,
	.queue_start = echo_start,
	.queue_stop = echo_stop,
	.get_config = echo_get_config,
	.set_config = echo_set_config,
	.reset = echo_reset,
};

static void echo_queue(struct virtqueue *vq)
{
	struct iovec iov[8];
	struct virtqueue_chain chain = { .iov = iov, .capacity = 8 };

	while (virtqueue_pop(vq, &chain) > 0) {
		size_t length = 0;

		if (chain.readable == 1 && chain.writable == 1) {
			length = MIN(iov[0].iov_len, iov[1].iov_len);
			memcpy(iov[1].iov_base, iov[0].iov_base, length);
		}
		virtqueue_push(vq, &chain, (uint32_t)length);
	}
	virtqueue_notify(vq);
}

static void *echo_loop(void *arg)
{
	struct echo *echo = arg;
	int result = 0;

	while (result == 0) {
		struct pollfd fds[1 + ECHO_QUEUES] = { { vhost_user_backend_fd(echo->be), POLLIN,
							 0 } };

		for (unsigned i = 0; i < ECHO_QUEUES; i++) {
			struct virtqueue *vq = echo->running[i];
			uint64_t count;

			fds[1 + i] = (struct pollfd){ vq ? vq->kick_fd : -1, POLLIN, 0 };
			if (!vq)
				continue;
			if (vq->kick_fd >= 0 && read(vq->kick_fd, &count, 8) == 8)
				virtqueue_count_kick(vq);
			do
				echo_queue(vq);
			while (virtqueue_enable_kicks(vq));
		}
		poll(fds, 1 + ECHO_QUEUES, 10);
		if (atomic_exchange(&echo->announce, false))
			CU_ASSERT_EQUAL(vhost_user_backend_config_changed(echo->be), 0);
		if (fds[0].revents)
			result = vhost_user_backend_input(echo->be, &echo->error);
	}
	atomic_store(&echo->result, result);
	vhost_user_backend_close(echo->be);
	return NULL;
}

/* Starts the back-end; returns the front-end's end of the socket. */
int echo_begin(struct echo *echo)
{
	struct vhost_user_backend_options options = { .name = "echo" };
	int fds[2];

	memset(echo, 0, sizeof(*echo));
	atomic_store(&echo->result, 1);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	CU_ASSERT_EQUAL_FATAL(
		vhost_user_backend_create(&echo->be, fds[1], &echo_ops, echo, &options, NULL), 0);
	pthread_create(&echo->thread, NULL, echo_loop, echo);
	return fds[0];
}

/* After the front-end has hung up, or broken the protocol: returns how input() ended. */
int echo_end(struct echo *echo)
{
	pthread_join(echo->thread, NULL);
	CU_ASSERT_EQUAL(echo->starts, echo->stops);
	return atomic_load(&echo->result);
}

unsigned echo_open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

void guest_check(int result, const struct error *error)
{
	if (result < 0)
		printf("  %s\n", error->text);
	CU_ASSERT_EQUAL(result, 0);
}

void guest_begin_with(struct guest *guest, int fd, uint64_t features)
{
	struct error error;

	memset(guest, 0, sizeof(*guest));
	guest_check(vhost_user_frontend_adopt(&guest->fe, fd, "echo", &error), &error);
	guest_check(guest_memory_create_region(&guest->memory, "test", ECHO_MEMORY, 1 << 20,
					       &error),
		    &error);
	guest->host = guest->memory.regions[0].host;
	guest->data = ECHO_MEMORY + 0x80000;
	guest_check(vhost_user_frontend_set_features(guest->fe, features, &error), &error);
	guest_check(vhost_user_frontend_set_memory(guest->fe, &guest->memory, &error), &error);
	CU_ASSERT_EQUAL(virtqueue_driver_init(&guest->queue, guest->host, ECHO_MEMORY, ECHO_SIZE,
					      features),
			0);
	guest->kick_fd = guest->queue.kick_fd = eventfd(0, EFD_NONBLOCK);
	guest->call_fd = eventfd(0, 0);
}

void guest_begin(struct guest *guest, int fd)
{
	guest_begin_with(guest, fd, ECHO_FEATURES & ~ECHO_PACKED);
}

void guest_start(struct guest *guest, unsigned index, uint32_t base)
{
	struct vhost_user_queue queue = { ECHO_SIZE,
					  base,
					  guest->queue.desc_address,
					  guest->queue.avail_address,
					  guest->queue.used_address,
					  guest->kick_fd,
					  guest->call_fd };
	struct error error;

	guest_check(vhost_user_frontend_start_queue(guest->fe, index, &queue, &error), &error);
}

void guest_end(struct guest *guest)
{
	vhost_user_frontend_close(guest->fe);
	virtqueue_driver_destroy(&guest->queue);
	guest_memory_clear(&guest->memory);
	close(guest->kick_fd);
	close(guest->call_fd);
}

uint16_t guest_send(struct guest *guest, const char *text)
{
	uint32_t length = (uint32_t)strlen(text) + 1;
	struct virtqueue_part parts[2] = { { guest->data, length }, { guest->data + 4096, 100 } };
	uint8_t *out = guest->host + (guest->data - ECHO_MEMORY);
	uint16_t head;

	memcpy(out, text, length);
	memset(out + 4096, 0, 100);
	CU_ASSERT_EQUAL(virtqueue_driver_add(&guest->queue, parts, 1, 1, &head), 0);
	virtqueue_driver_enable_calls(&guest->queue);
	virtqueue_driver_kick(&guest->queue);
	return head;
}

/* Sends `text` through the queue and checks that it comes back. */
void guest_echo(struct guest *guest, const char *text)
{
	char *in = (char *)guest->host + (guest->data - ECHO_MEMORY) + 4096;
	uint16_t head = guest_send(guest, text), taken;
	uint32_t written;
	uint64_t count;
	int got;

	do { /* a call may come for nothing, when a queue starts */
		CU_ASSERT_EQUAL_FATAL(poll(&(struct pollfd){ guest->call_fd, POLLIN, 0 }, 1, 60000),
				      1);
		CU_ASSERT_EQUAL(read(guest->call_fd, &count, 8), 8);
		got = virtqueue_driver_take(&guest->queue, &taken, &written);
	} while (got == 0);
	CU_ASSERT_EQUAL(got, 1);
	CU_ASSERT_EQUAL(taken, head);
	CU_ASSERT_EQUAL(written, strlen(text) + 1);
	CU_ASSERT_STRING_EQUAL(in, text);
}

/* ---- Raw messages ---- */

/* Sends a message of `size` payload bytes. */
void raw_send(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	      const int *fds, unsigned fd_count)
{
	struct vhost_user_message message = { .header = { request, VHOST_USER_VERSION | flags,
							  size } };

	if (payload)
		memcpy(&message.payload, payload, MIN(size, sizeof(message.payload)));
	CU_ASSERT_EQUAL(vhost_user_send(fd, &message, fds, fd_count, 0), 0);
}

/* The answer's u64, or UINT64_MAX if there is none. */
uint64_t raw_answer(int fd, uint32_t request)
{
	struct vhost_user_receiver receiver;
	struct timeval time = { .tv_sec = 60 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	vhost_user_receiver_init(&receiver);
	if (vhost_user_receive(&receiver, fd, 0) != 1)
		return UINT64_MAX;
	CU_ASSERT_EQUAL(receiver.message.header.request, request);
	CU_ASSERT_EQUAL(receiver.message.header.flags, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
	return receiver.message.payload.u64;
}

int raw_begin(struct echo *echo)
{
	uint64_t protocol = 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK;
	int fd = echo_begin(echo);

	raw_send(fd, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
	return fd;
}
