/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end against the back-end over a socketpair, and the back-end against messages
 * that no front-end of ours sends. The back-end runs in a plain poll loop on a thread. */
#include "unit.h"

#include "echo_device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_backend.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

static void test_a_queue_runs_stops_and_goes_on(void)
{
	unsigned files = echo_open_files();
	struct guest guest;
	struct echo echo;
	struct error error;
	uint32_t last = 77;

	guest_begin(&guest, echo_begin(&echo));
	CU_ASSERT_EQUAL(vhost_user_frontend_features(guest.fe), ECHO_FEATURES);
	CU_ASSERT_EQUAL(vhost_user_frontend_queue_count(guest.fe), ECHO_QUEUES);
	guest_start(&guest, 1, 0);
	guest_echo(&guest, "first");
	guest_echo(&guest, "second");
	guest_check(vhost_user_frontend_stop_queue(guest.fe, 1, &last, &error), &error);
	CU_ASSERT_EQUAL(last, 2);
	CU_ASSERT_EQUAL(echo.features, ECHO_FEATURES & ~ECHO_PACKED);
	guest_start(&guest, 1, last);
	guest_echo(&guest, "third");
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
	CU_ASSERT_EQUAL(echo.starts, 2);
	CU_ASSERT_EQUAL(echo_open_files(), files);
}

static void test_a_packed_queue_runs_stops_and_goes_on(void)
{
	struct guest guest;
	struct echo echo;
	struct error error;
	uint32_t base = 0;

	guest_begin_with(&guest, echo_begin(&echo), ECHO_FEATURES);
	guest_start(&guest, 0, virtqueue_driver_base(&guest.queue));
	for (unsigned i = 0; i < 100; i++)
		guest_echo(&guest, "around");
	guest_check(vhost_user_frontend_stop_queue(guest.fe, 0, &base, &error), &error);
	CU_ASSERT_EQUAL(base, virtqueue_driver_base(&guest.queue));
	guest_start(&guest, 0, base);
	guest_echo(&guest, "on");
	/* Stopped and started by the back-end itself. */
	guest_check(vhost_user_frontend_set_memory(guest.fe, &guest.memory, &error), &error);
	guest_echo(&guest, "again");
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
}

static void test_memory_and_eventfds_change_under_a_running_queue(void)
{
	struct error error;
	struct guest guest;
	struct echo echo;

	guest_begin(&guest, echo_begin(&echo));
	guest_start(&guest, 0, 0);
	guest_echo(&guest, "before");
	/* Ten more regions: past what one table holds, so some are added singly. */
	for (uint64_t i = 0; i < 10; i++)
		guest_check(guest_memory_create_region(&guest.memory, "more",
						       0x40000000 + (i << 20), 4096, &error),
			    &error);
	guest_check(vhost_user_frontend_set_memory(guest.fe, &guest.memory, &error), &error);
	guest_echo(&guest, "after");
	CU_ASSERT_TRUE(echo.stops >= 3);

	/* A start anew with other eventfds, while it runs. */
	close(guest.call_fd);
	close(guest.kick_fd);
	guest.kick_fd = guest.queue.kick_fd = eventfd(0, EFD_NONBLOCK);
	guest.call_fd = eventfd(0, 0);
	guest_check(vhost_user_frontend_stop_queue(guest.fe, 0, NULL, &error), &error);
	guest_start(&guest, 0, guest.queue.avail_shown);
	guest_echo(&guest, "other eventfds");
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
}

static void test_config_status_and_reset(void)
{
	uint8_t at[20] = { 0 }, status;
	struct error error;
	struct guest guest;
	struct echo echo;

	guest_begin(&guest, echo_begin(&echo));
	guest_check(vhost_user_frontend_set_config(guest.fe, 4, "abcd", 4, &error), &error);
	guest_check(vhost_user_frontend_get_config(guest.fe, 2, at, 20, &error), &error);
	CU_ASSERT_EQUAL(memcmp(at, "\0\0abcd\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20), 0);
	CU_ASSERT_EQUAL(vhost_user_frontend_get_config(guest.fe, 250, at, 7, &error), -EINVAL);

	guest_check(vhost_user_frontend_set_status(guest.fe, 0xf, &error), &error);
	guest_start(&guest, 2, 0);
	guest_echo(&guest, "running");
	guest_check(vhost_user_frontend_get_status(guest.fe, &status, &error), &error);
	CU_ASSERT_EQUAL(status, 0xf);
	/* A ring that is broken shows as DEVICE_NEEDS_RESET, also after a pause of the queue. */
	guest.queue.avail->idx = htole16(1000);
	write(guest.kick_fd, &(uint64_t){ 1 }, 8);
	for (int i = 0; i < 12000 && !(status & 0x40); i++) {
		usleep(5000);
		guest_check(vhost_user_frontend_get_status(guest.fe, &status, &error), &error);
	}
	CU_ASSERT_EQUAL(status, 0x4f);
	guest_check(vhost_user_frontend_set_memory(guest.fe, &guest.memory, &error), &error);
	guest_check(vhost_user_frontend_get_status(guest.fe, &status, &error), &error);
	CU_ASSERT_EQUAL(status, 0x4f);
	guest_check(vhost_user_frontend_reset_device(guest.fe, &error), &error);
	guest_check(vhost_user_frontend_get_status(guest.fe, &status, &error), &error);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(echo.resets, 1);
	/* What was done is not undone by it. */
	CU_ASSERT_EQUAL(vhost_user_backend_queue(echo.be, 2)->counters.chains, 1);
	guest_end(&guest);
	echo_end(&echo);
}

static void test_what_cannot_be_is_refused_and_said(void)
{
	struct vhost_user_queue queue = { ECHO_SIZE,           0,  0x5000000, ECHO_MEMORY + 8192,
					  ECHO_MEMORY + 16384, -1, -1 };
	struct guest_memory_region *region;
	struct error error;
	struct guest guest;
	struct echo echo;

	guest_begin(&guest, echo_begin(&echo));
	CU_ASSERT_EQUAL(vhost_user_frontend_set_features(guest.fe, 1ULL << 40, &error), -EINVAL);
	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(guest.fe, ECHO_QUEUES, &queue, &error),
			-EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "SET_VRING_NUM"));
	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(guest.fe, 0, &queue, &error), -EFAULT);
	queue.size = 65;
	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(guest.fe, 0, &queue, &error), -EIO);
	/* A kick file that cannot be read without waiting. */
	queue = (struct vhost_user_queue){ ECHO_SIZE,           0,  ECHO_MEMORY, ECHO_MEMORY + 8192,
					   ECHO_MEMORY + 16384, -1, -1 };
	queue.kick_fd = inotify_init();
	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(guest.fe, 0, &queue, &error), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "SET_VRING_KICK"));
	close(queue.kick_fd);

	/* A file that is shorter than the region: refused, and what was there before still serves. */
	region = &guest.memory.regions[0];
	region->size *= 2;
	CU_ASSERT_EQUAL(vhost_user_frontend_set_memory(guest.fe, &guest.memory, &error), -EIO);
	region->size /= 2;
	guest_start(&guest, 0, 0);
	guest_echo(&guest, "still there");
	guest_end(&guest);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
}

static void test_shared_memory_is_sealed(void)
{
	struct guest_memory memory = { .count = 0 };
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int plain = memfd_create("test", MFD_CLOEXEC);

	CU_ASSERT_EQUAL(ftruncate(fd, 8192), 0);
	CU_ASSERT_EQUAL(ftruncate(plain, 8192), 0);
	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, 0, 4096, 0, dup(fd), 4096, -1, NULL), 0);
	CU_ASSERT_TRUE(memory.regions[0].sealed);
	CU_ASSERT_EQUAL(ftruncate(fd, 4096), -1);
	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, 4096, 4096, 0, dup(plain), 0, -1, NULL),
			0);
	CU_ASSERT_FALSE(memory.regions[1].sealed);

	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, 8192, 8193, 0, dup(fd), 0, -1, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, 8192, 1, 0, dup(fd), UINT64_MAX, -1, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, 4095, 2, 0, dup(fd), 0, -1, NULL),
			-EEXIST);
	CU_ASSERT_EQUAL(guest_memory_map_region(&memory, UINT64_MAX, 2, 0, dup(fd), 0, -1, NULL),
			-EINVAL);
	CU_ASSERT_EQUAL(memory.count, 2);
	CU_ASSERT_EQUAL(guest_memory_remove_region(&memory, 0, 4096, 1), -ENOENT);
	CU_ASSERT_EQUAL(guest_memory_remove_region(&memory, 0, 4096, 0), 0);
	CU_ASSERT_PTR_NULL(guest_memory_translate(&memory, 0, 1));
	CU_ASSERT_PTR_NOT_NULL(guest_memory_translate(&memory, 8191, 1));
	CU_ASSERT_PTR_NULL(guest_memory_translate(&memory, 8191, 2));
	CU_ASSERT_PTR_NULL(guest_memory_translate(&memory, 8191, UINT64_MAX));
	guest_memory_clear(&memory);
	close(fd);
	close(plain);
}

/* ---- Raw messages ---- */

/* One that is closed at once. */
static int any_file(void)
{
	int fd = memfd_create("any", MFD_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	return fd;
}

static void test_unknown_messages_are_answered_and_their_files_closed(void)
{
	unsigned files = echo_open_files();
	struct echo echo;
	int fd = raw_begin(&echo);
	int fds[3] = { any_file(), any_file(), any_file() };

	raw_send(fd, VHOST_USER_GET_INFLIGHT_FD, NEED, NULL, 24, NULL, 0);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_GET_INFLIGHT_FD), 1);
	raw_send(fd, 4711, NEED, NULL, 0, fds, 3);
	CU_ASSERT_EQUAL(raw_answer(fd, 4711), 1);
	raw_send(fd, 4711, 0, NULL, 0, fds, 3);
	raw_send(fd, VHOST_USER_SET_OWNER, NEED, NULL, 0, fds, 3);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_OWNER), 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	/* Both ends of the connection are still open, nothing else. */
	CU_ASSERT_EQUAL(echo_open_files(), files + 2);
	close(fd);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
	CU_ASSERT_EQUAL(echo_open_files(), files);
}

/* What user-mode Linux asks for: an answer to the message that negotiates answers, and a channel for
 * requests of the back-end, without which it has no interrupts. */
static void test_answers_from_the_first_message_on_and_a_channel(void)
{
	uint64_t protocol =
		1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ;
	unsigned files = echo_open_files();
	struct echo echo;
	int fd = echo_begin(&echo), channel = any_file();

	raw_send(fd, VHOST_USER_GET_PROTOCOL_FEATURES, 0, NULL, 0, NULL, 0);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_GET_PROTOCOL_FEATURES) & protocol, protocol);
	raw_send(fd, VHOST_USER_SET_PROTOCOL_FEATURES, NEED, &protocol, 8, NULL, 0);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_PROTOCOL_FEATURES), 0);
	raw_send(fd, VHOST_USER_SET_BACKEND_REQ_FD, NEED, NULL, 0, &channel, 1);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_BACKEND_REQ_FD), 0);
	raw_send(fd, VHOST_USER_SET_BACKEND_REQ_FD, NEED, NULL, 0, &channel, 1);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_BACKEND_REQ_FD), 0);
	raw_send(fd, VHOST_USER_SET_BACKEND_REQ_FD, NEED, NULL, 0, NULL, 0);
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_BACKEND_REQ_FD), 1);
	close(channel);
	close(fd);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
	CU_ASSERT_EQUAL(echo_open_files(), files);
}

static void test_a_message_may_come_byte_by_byte(void)
{
	struct vhost_user_header header = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0 };
	struct echo echo;
	int fd = raw_begin(&echo);

	for (unsigned i = 0; i < sizeof(header); i++) {
		CU_ASSERT_EQUAL(send(fd, (char *)&header + i, 1, 0), 1);
		usleep(1000);
	}
	CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_GET_FEATURES),
			ECHO_FEATURES | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES |
				1ULL << VHOST_USER_F_LOG_ALL);
	close(fd);
	CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
}

/* Sends one message on a new connection and returns how the back-end takes it. */
static int raw_one(uint32_t request, const void *payload, uint32_t size, const int *fds,
		   unsigned fd_count)
{
	unsigned files = echo_open_files();
	struct echo echo;
	int result, fd = raw_begin(&echo);

	raw_send(fd, request, 0, payload, size, fds, fd_count);
	shutdown(fd, SHUT_WR);
	result = echo_end(&echo);
	close(fd);
	CU_ASSERT_EQUAL(echo_open_files(), files);
	return result;
}

static void test_broken_messages_end_the_connection(void)
{
	struct vhost_user_memory_table table = { .count = 1 };
	struct vhost_user_vring_state state = { ECHO_QUEUES, 8 };
	uint64_t kick = 0, value = 0;
	int file = any_file(), fds[8];

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = file;

	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_FEATURES, &value, 4, NULL, 0), -EPROTO);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_OWNER, &value, 8, NULL, 0), -EPROTO);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_MEM_TABLE, &table, 8, fds, 1), -EPROTO);
	table.count = 9;
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), fds, 8), -EPROTO);
	table.count = 2;
	table.regions[0].size = table.regions[1].size = 4096;
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), NULL, 0), -EBADF);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_VRING_NUM, &state, 8, NULL, 0), -EINVAL);
	state = (struct vhost_user_vring_state){ 0, 0x10000 };
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_VRING_NUM, &state, 8, NULL, 0), -EINVAL);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_VRING_BASE, &state, 8, NULL, 0), -EINVAL);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_VRING_KICK, &kick, 8, NULL, 0), -EBADF);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_VRING_KICK, &kick, 8, fds, 2), -EBADF);
	value = 1ULL << 50;
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_FEATURES, &value, 8, NULL, 0), -EINVAL);
	/* Harmless: a hang-up, "no eventfd", a fd where none belongs. */
	kick = VHOST_USER_VRING_NOFD | 1;
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_SET_VRING_KICK, &kick, 8, fds, 2), -ENOTCONN);
	CU_ASSERT_EQUAL(raw_one(VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0), -ENOTCONN);
	close(file);
}

static void test_what_is_no_message_ends_the_connection(void)
{
	static const struct vhost_user_header bad[] = {
		{ VHOST_USER_GET_FEATURES, 2, 0 },
		{ VHOST_USER_GET_FEATURES, 0, 0 },
		{ VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 100000 },
		{ VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8 }, /* and then nothing */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct echo echo;
		int fd = echo_begin(&echo);

		CU_ASSERT_EQUAL(send(fd, &bad[i], sizeof(bad[i]), 0), sizeof(bad[i]));
		shutdown(fd, SHUT_WR);
		CU_ASSERT_EQUAL(echo_end(&echo), -EPROTO);
		close(fd);
	}
}

/* Without PROTOCOL_FEATURES, rings begin enabled; with it, they wait for SET_VRING_ENABLE. */
static void test_rings_begin_disabled_only_with_protocol_features(void)
{
	for (int with = 0; with < 2; with++) {
		uint64_t features = with ? 1ULL << VHOST_USER_F_PROTOCOL_FEATURES : 0;
		struct vhost_user_vring_state state = { 0, 8 };
		struct guest_memory memory = { .count = 0 };
		struct vhost_user_vring_address address = { .index = 0 };
		struct vhost_user_memory_table table = { .count = 1 };
		uint64_t kick = VHOST_USER_VRING_NOFD;
		struct echo echo;
		int fd = raw_begin(&echo);

		guest_memory_create_region(&memory, "test", ECHO_MEMORY, 65536, NULL);
		table.regions[0] = (struct vhost_user_region){ ECHO_MEMORY, 65536, 0x7000, 0 };
		address.desc = 0x7000;
		address.avail = 0x8000;
		address.used = 0x9000;
		raw_send(fd, VHOST_USER_SET_FEATURES, 0, &features, 8, NULL, 0);
		raw_send(fd, VHOST_USER_SET_MEM_TABLE, 0, &table, 40, &memory.regions[0].fd, 1);
		raw_send(fd, VHOST_USER_SET_VRING_NUM, 0, &state, 8, NULL, 0);
		raw_send(fd, VHOST_USER_SET_VRING_ADDR, 0, &address, 40, NULL, 0);
		raw_send(fd, VHOST_USER_SET_VRING_KICK, NEED, &kick, 8, NULL, 0);
		CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_VRING_KICK), 0);
		CU_ASSERT_EQUAL(echo.starts, with ? 0 : 1);
		state.number = 1;
		raw_send(fd, VHOST_USER_SET_VRING_ENABLE, NEED, &state, 8, NULL, 0);
		CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_VRING_ENABLE), 0);
		CU_ASSERT_EQUAL(echo.starts, 1);
		state.number = 0;
		raw_send(fd, VHOST_USER_SET_VRING_ENABLE, NEED, &state, 8, NULL, 0);
		CU_ASSERT_EQUAL(raw_answer(fd, VHOST_USER_SET_VRING_ENABLE), 0);
		CU_ASSERT_EQUAL(echo.stops, 1);
		close(fd);
		CU_ASSERT_EQUAL(echo_end(&echo), -ENOTCONN);
		guest_memory_clear(&memory);
	}
}

/* A front-end that asks and never reads does not hold the back-end up. */
static void test_a_front_end_that_does_not_read_is_left(void)
{
	struct vhost_user_message message = { .header = { VHOST_USER_GET_FEATURES,
							  VHOST_USER_VERSION, 0 } };
	struct echo echo;
	int fd = raw_begin(&echo);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 1000000 && atomic_load(&echo.result) == 1; i++)
		if (vhost_user_send(fd, &message, NULL, 0, 0) == -EAGAIN)
			usleep(100);
	CU_ASSERT_EQUAL(echo_end(&echo), -EAGAIN);
	close(fd);
}

/* A back-end that answers one question, and then no more. */
static void *answer_once(void *arg)
{
	const int *fd = arg;
	struct vhost_user_message message;

	if (recv(*fd, &message, sizeof(message), 0) > 0) {
		message.header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		message.header.size = sizeof(uint64_t);
		message.payload.u64 = 0;
		send(*fd, &message, sizeof(message.header) + sizeof(uint64_t), MSG_NOSIGNAL);
	}
	return NULL;
}

static void test_a_back_end_that_does_not_answer_is_left(void)
{
	struct vhost_user_frontend *fe;
	struct vhost_user_queue queue = { .size = 64, .kick_fd = -1, .call_fd = -1 };
	struct pollfd hung_up = { .events = POLLRDHUP };
	struct timespec before, after;
	pthread_t thread;
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pthread_create(&thread, NULL, answer_once, &pair[0]);
	CU_ASSERT_EQUAL_FATAL(vhost_user_frontend_adopt(&fe, pair[1], "mute", NULL), 0);
	pthread_join(thread, NULL);
	vhost_user_frontend_set_timeout(fe, 100);
	CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(fe, 0, NULL, NULL), -ETIMEDOUT);
	/* Else the next question would be waited for in vain as well, or have the answer to this. */
	hung_up.fd = vhost_user_frontend_fd(fe);
	CU_ASSERT_EQUAL(poll(&hung_up, 1, 0), 1);
	vhost_user_frontend_set_timeout(fe, 5000);
	clock_gettime(CLOCK_MONOTONIC, &before);
	CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(fe, 1, NULL, NULL), -EPROTO);
	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(fe, 1, &queue, NULL), -EPROTO);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CU_ASSERT(after.tv_sec - before.tv_sec < 4);
	vhost_user_frontend_close(fe);
	close(pair[0]);
}

/* Answers at once, but to GET_VRING_BASE byte by byte. */
static void *answer_slowly(void *arg)
{
	int fd = *(int *)arg;
	struct vhost_user_receiver receiver;

	vhost_user_receiver_init(&receiver);
	while (vhost_user_receive(&receiver, fd, 0) > 0) {
		struct vhost_user_message *message = &receiver.message;
		const char *bytes = (const char *)message;

		message->header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		if (message->header.request == VHOST_USER_GET_FEATURES) {
			message->header.size = 8;
			message->payload.u64 = ECHO_FEATURES;
			vhost_user_send(fd, message, NULL, 0, 0);
		}
		for (unsigned i = 0;
		     message->header.request == VHOST_USER_GET_VRING_BASE && i < 12 + 8; i++) {
			if (send(fd, bytes + i, 1, MSG_NOSIGNAL) != 1)
				break;
			usleep(40000);
		}
		vhost_user_receiver_reset(&receiver);
	}
	return NULL;
}

/* So each byte comes in time, and the whole does not. */
static void test_an_answer_has_its_time_as_a_whole(void)
{
	struct vhost_user_frontend *fe;
	struct error error;
	pthread_t thread;
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pthread_create(&thread, NULL, answer_slowly, &pair[1]);
	CU_ASSERT_EQUAL_FATAL(vhost_user_frontend_adopt(&fe, pair[0], "slow", &error), 0);
	vhost_user_frontend_set_timeout(fe, 300);
	CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(fe, 0, NULL, &error), -ETIMEDOUT);
	vhost_user_frontend_close(fe);
	pthread_join(thread, NULL);
	close(pair[1]);
}

/* Descriptors that came and did not fit are no broken message: who reads that looks at the wrong end. */
static void test_descriptors_that_do_not_fit_are_said_to_be(void)
{
	struct vhost_user_message message = { .header = { .request = VHOST_USER_SET_OWNER,
							  .flags = VHOST_USER_VERSION } };
	struct vhost_user_receiver receiver;
	struct rlimit old, few;
	int pair[2], fds[2], last;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = eventfd(0, EFD_CLOEXEC);
	last = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	vhost_user_receiver_init(&receiver);
	CU_ASSERT_EQUAL(vhost_user_send(pair[0], &message, fds, 2, 0), 0);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ (rlim_t)last + 1, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	CU_ASSERT_EQUAL(vhost_user_receive(&receiver, pair[1], MSG_DONTWAIT), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	vhost_user_receiver_reset(&receiver);
	CU_ASSERT_EQUAL(vhost_user_send(pair[0], &message, fds, 2, 0), 0);
	CU_ASSERT_EQUAL(vhost_user_receive(&receiver, pair[1], MSG_DONTWAIT), 1);
	CU_ASSERT_EQUAL(receiver.fd_count, 2);
	vhost_user_receiver_reset(&receiver);
	close(pair[0]);
	close(pair[1]);
	close(fds[0]);
	close(fds[1]);
	close(last);
}

UNIT_MAIN("vhost-user", UNIT(test_a_queue_runs_stops_and_goes_on),
	  UNIT(test_a_packed_queue_runs_stops_and_goes_on),
	  UNIT(test_memory_and_eventfds_change_under_a_running_queue),
	  UNIT(test_config_status_and_reset), UNIT(test_what_cannot_be_is_refused_and_said),
	  UNIT(test_shared_memory_is_sealed),
	  UNIT(test_unknown_messages_are_answered_and_their_files_closed),
	  UNIT(test_answers_from_the_first_message_on_and_a_channel),
	  UNIT(test_a_message_may_come_byte_by_byte), UNIT(test_broken_messages_end_the_connection),
	  UNIT(test_what_is_no_message_ends_the_connection),
	  UNIT(test_rings_begin_disabled_only_with_protocol_features),
	  UNIT(test_a_front_end_that_does_not_read_is_left),
	  UNIT(test_a_back_end_that_does_not_answer_is_left),
	  UNIT(test_an_answer_has_its_time_as_a_whole),
	  UNIT(test_descriptors_that_do_not_fit_are_said_to_be))
